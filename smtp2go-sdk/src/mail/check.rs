//! Checks a mail before it is encoded.

use std::collections::BTreeSet;

use crate::platform::transport::Url;
use smtp2go_types::validation::{Check, header_fault};
use smtp2go_types::{BatchEmail, CustomHeader, EmailSendRequest, Validate};

use super::attachment::{Attachment, AttachmentSource};
use super::email::{Email, EmailFormat, EmailParts, EmailTemplate};
use super::html::{Mentions, loaded_images, refers_to};
use super::idempotency::{check_key, report_other_value};
use super::mailbox::{Mailbox, has_override};
use super::media_type::is_media_type;
use super::schedule;
use crate::body::content::Files;
use crate::{Error, IDEMPOTENCY_HEADER};

/// The header that [`Email::reply_to`] sets. A mail may have only one.
pub(super) const REPLY_TO: &str = "Reply-To";
/// The header with the targets of an unsubscribe.
pub(super) const UNSUBSCRIBE: &str = "List-Unsubscribe";
/// The header that says that one of the targets takes a one-click unsubscribe.
pub(super) const UNSUBSCRIBE_POST: &str = "List-Unsubscribe-Post";
/// Headers that the API writes from fields of the request, and the setters of these fields. A
/// second header of the same name would make the mail invalid. The API would not send the mail to
/// recipients in such a header.
const SETTERS: [(&str, &str); 5] = [
    ("From", "Email::new"),
    ("To", "Email::to"),
    ("Cc", "Email::cc"),
    ("Bcc", "Email::bcc"),
    ("Subject", "Email::subject"),
];

/// Runs a check, and returns all its problems as one error.
pub(super) fn run(check: impl Fn(&mut Check)) -> Result<(), Error> {
    struct Checked<F>(F);
    impl<F: Fn(&mut Check)> Validate for Checked<F> {
        fn check(&self, check: &mut Check) {
            self.0(check);
        }
    }
    Checked(check).validate().map_err(Error::validation)
}

impl Validate for Email {
    fn check(&self, check: &mut Check) {
        check_unsent(self, IDEMPOTENCY_HEADER, check);
    }
}

/// Checks a mail except for its files.
pub(super) fn check_unsent(email: &Email, key_header: &str, check: &mut Check) {
    check_email(email, EmailFormat::Single, key_header, None, check);
}

/// Checks a mail. `key_header` is the name of the header for its key. Files are checked only if `files`
/// is given.
pub(super) fn check_email(
    email: &Email,
    format: EmailFormat,
    key_header: &str,
    files: Option<&Files>,
    check: &mut Check,
) {
    let parts = &*email.parts;
    let (fields, max_days) = match format {
        EmailFormat::Single => (
            EmailSendRequest::FIELDS,
            EmailSendRequest::MAX_SCHEDULE_DAYS,
        ),
        EmailFormat::BatchItem => (BatchEmail::FIELDS, BatchEmail::MAX_SCHEDULE_DAYS),
    };
    if let Some(fault) = parts.sender.fault() {
        check.at("sender", |check| check.problem(fault));
    }
    check_recipients(parts, format, check);
    check_mailboxes("reply_to", &parts.reply_to, check);
    if let Some(subject) = &parts.subject {
        check.at("subject", |check| check.header(subject));
    }
    check_bodies(parts, check);
    check_headers(parts, check);
    check_one_click(parts, check);
    if let Some(key) = &parts.key {
        check_key(key, check);
        check_key_headers(parts, key, key_header, check);
    }
    if let Some(time) = &parts.schedule {
        check.at("schedule", |check| schedule::check(time, max_days, check));
    }
    if parts.fastaccept && format == EmailFormat::BatchItem {
        check.at("fastaccept", |check| {
            check.problem("not available in a batch");
        });
    }
    for (field, list) in [
        ("attachments", &parts.attachments),
        ("inlines", &parts.inlines),
    ] {
        for (index, attachment) in list.iter().enumerate() {
            check.at_index(field, index, |check| {
                check_attachment(attachment, files, check);
            });
        }
    }
    // The HTML of a template is not known here.
    if parts.template.is_none() {
        check_images(parts, check);
    }
    check_image_names(&parts.inlines, check);
    check.extra(fields, parts.extra.names());
}

fn check_recipients(parts: &EmailParts, format: EmailFormat, check: &mut Check) {
    let [to, cc, bcc] = match format {
        EmailFormat::Single => [
            EmailSendRequest::MAX_TO,
            EmailSendRequest::MAX_CC,
            EmailSendRequest::MAX_BCC,
        ],
        EmailFormat::BatchItem => [BatchEmail::MAX_TO, BatchEmail::MAX_CC, BatchEmail::MAX_BCC],
    };
    for (field, list, min, max) in [
        ("to", &parts.to, Some(1), to),
        ("cc", &parts.cc, None, cc),
        ("bcc", &parts.bcc, None, bcc),
    ] {
        check.at(field, |check| check.count(list.len(), min, Some(max)));
        check_mailboxes(field, list, check);
    }
}

fn check_mailboxes(field: &str, mailboxes: &[Mailbox], check: &mut Check) {
    for (index, mailbox) in mailboxes.iter().enumerate() {
        if let Some(fault) = mailbox.fault() {
            check.at_index(field, index, |check| check.problem(fault));
        }
    }
}

fn check_bodies(parts: &EmailParts, check: &mut Check) {
    let Some(EmailTemplate { id, data }) = &parts.template else {
        if parts.html().is_none() && parts.text().is_none() {
            check.at("text_body", |check| {
                check.problem("a mail needs a text or HTML body, or a template");
            });
        }
        return;
    };
    if id.is_empty() {
        check.at("template_id", |check| {
            check.problem(if parts.subject.is_some() {
                "template data without a template"
            } else {
                "the template's id is missing"
            });
        });
    }
    if let Some(Err(fault)) = data {
        check.at("template_data", |check| check.problem(fault));
    }
    for (field, value) in [
        ("subject", &parts.subject),
        ("html_body", &parts.html),
        ("text_body", &parts.text),
    ] {
        if value.is_some() && !id.is_empty() {
            check.at(field, |check| {
                check.problem("ignored by the API for a mail from a template");
            });
        }
    }
}

fn check_headers(parts: &EmailParts, check: &mut Check) {
    let mut has_reply_to = false;
    for (index, (name, value)) in parts.headers.iter().enumerate() {
        let header = CustomHeader::new(name, value);
        let is_reply_to = name.trim().eq_ignore_ascii_case(REPLY_TO);
        check.at_index("custom_headers", index, |check| {
            check.at("header", |check| {
                check_header_name(name, check);
                if is_reply_to && !parts.reply_to.is_empty() {
                    check.problem("duplicate Reply-To: reply_to sets it too");
                } else if is_reply_to && has_reply_to {
                    check.problem(
                        "duplicate Reply-To, which makes a mail invalid: reply_to puts several \
                         addresses into one header",
                    );
                }
            });
            header.check(check);
        });
        has_reply_to |= is_reply_to;
    }
}

/// Reports a header `List-Unsubscribe-Post` without exactly one `List-Unsubscribe` that has an https
/// URL.
fn check_one_click(parts: &EmailParts, check: &mut Check) {
    let is = |name: &str, expected: &str| name.trim().eq_ignore_ascii_case(expected);
    if !parts.headers().any(|(name, _)| is(name, UNSUBSCRIBE_POST)) {
        return;
    }
    let mut targets = parts.headers().filter(|(name, _)| is(name, UNSUBSCRIBE));
    let is_one_url = match (targets.next(), targets.next()) {
        (Some((_, value)), None) => value.split(',').any(is_https_in_brackets),
        _ => false,
    };
    if !is_one_url {
        check.at("custom_headers", |check| {
            check.problem(
                "one-click unsubscribe needs one header List-Unsubscribe with an https URL in <>, as \
                 one_click_unsubscribe writes it",
            );
        });
    }
}

/// Whether a target of `List-Unsubscribe` is an https URL.
fn is_https_in_brackets(target: &str) -> bool {
    let url = target.trim().strip_prefix('<');
    let url = url
        .and_then(|url| url.strip_suffix('>'))
        .unwrap_or_default();
    let is_plain = url
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>".contains(&byte));
    is_plain && Url::parse(url).is_ok_and(|url| url.scheme() == "https" && url.has_host())
}

/// Reports headers whose key differs from the mail's.
fn check_key_headers(parts: &EmailParts, key: &str, key_header: &str, check: &mut Check) {
    for (index, (name, value)) in parts.headers.iter().enumerate() {
        if name.trim().eq_ignore_ascii_case(key_header) && value != key {
            check.at_index("custom_headers", index, |check| {
                check.at("value", |check| report_other_value(key_header, check));
            });
        }
    }
}

fn check_header_name(name: &str, check: &mut Check) {
    let is_token =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    let setter = SETTERS
        .iter()
        .find(|(other, _)| name.trim().eq_ignore_ascii_case(other));
    if let Some((name, setter)) = setter {
        check.problem(format!("{name} can't be added: {setter} sets it"));
    } else if !is_token(name) && header_fault(name).is_none() {
        check.problem(format!("{name:?} is not a header name"));
    }
}

fn check_attachment(attachment: &Attachment, files: Option<&Files>, check: &mut Check) {
    let filename = &attachment.filename;
    check.at("filename", |check| {
        if filename.trim().is_empty() {
            check.problem("a file needs a name");
        } else if has_override(filename) {
            check.problem(
                "the name has a line separator or overrides the direction of text, which can hide \
                 its extension",
            );
        }
        check.header(filename);
    });
    if let Some(mimetype) = &attachment.mimetype {
        check.at("mimetype", |check| {
            if header_fault(mimetype).is_none() && !is_media_type(mimetype) {
                check.problem(format!(
                    "{mimetype:?} is not a media type, such as application/pdf"
                ));
            }
            check.header(mimetype);
        });
    }
    match &attachment.source {
        AttachmentSource::Url(url) => {
            let is_web = Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !is_web {
                check.at("url", |check| check.problem("not an http or https URL"));
            }
        }
        AttachmentSource::Content(content) => {
            if let Some(files) = files
                && let Err(fault) = content.sized("", files)
            {
                check.problem(fault.message);
            }
        }
    }
}

/// Reports the inline images that the HTML does not mention, and the images that the HTML loads but the
/// mail does not have.
fn check_images(parts: &EmailParts, check: &mut Check) {
    let html = parts.html().unwrap_or_default();
    let mentions = (!parts.inlines.is_empty()).then(|| Mentions::new(html));
    for (index, image) in parts.inlines.iter().enumerate() {
        if mentions
            .as_ref()
            .is_some_and(|html| !html.may_have(&image.filename))
        {
            check.at_index("inlines", index, |check| {
                check.at("filename", |check| {
                    check.problem(
                        "the HTML does not mention this image: refer to it by cid:, or add it with attach",
                    );
                });
            });
        }
    }
    for name in loaded_images(html) {
        let mut images = parts.inlines.iter();
        if !images.any(|image| refers_to(&name, &image.filename)) {
            check.at("html_body", |check| {
                check.problem(format!(
                    "{:?} is not an inline image",
                    format!("cid:{name}")
                ));
            });
        }
    }
}

fn check_image_names(images: &[Attachment], check: &mut Check) {
    let mut names = BTreeSet::new();
    for (index, image) in images.iter().enumerate() {
        let name = image.filename.as_str();
        let is_new = names.insert(name);
        check.at_index("inlines", index, |check| {
            check.at("filename", |check| {
                if name.contains(char::is_whitespace) {
                    check.problem("the name of an inline image can't have white space in it");
                }
                if !is_new {
                    check.problem("another inline image has the same name");
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use smtp2go_types::ValidationError;

    use super::*;

    fn problems(email: &Email) -> Vec<String> {
        let problems = email.validate().err();
        let problems = problems.iter().flat_map(ValidationError::problems);
        problems.map(ToString::to_string).collect()
    }

    fn html(html: &str) -> Email {
        Email::new("a@example.com", "x")
            .to("b@example.net")
            .html(html)
    }

    fn image(name: &str) -> Attachment {
        Attachment::from_bytes(name, "x")
    }

    #[test]
    fn html_that_only_mentions_an_image_is_valid_without_it() {
        for text in [
            r#"<a href="cid:a.png">x</a>"#,
            r#"<img data-src="cid:a.png">"#,
            r#"<input value="cid:a.png">"#,
            "<p>src=\"cid:a.png\"</p>",
            "<!-- <img src=\"cid:a.png\"> -->",
        ] {
            assert_eq!(problems(&html(text)), [""; 0], "{text}");
            assert_eq!(
                problems(&html(text).inline(image("a.png"))),
                [""; 0],
                "{text}"
            );
        }
    }

    #[test]
    fn loaded_images_and_inline_images_must_match() {
        let shown = r#"<img src="cid:a.png"><i style="background: url(cid:b%2Epng)">"#;
        let both = html(shown).inline(image("a.png"));
        assert_eq!(
            problems(&both),
            ["html_body: \"cid:b%2Epng\" is not an inline image"]
        );
        let both = both.inline(image("b.png"));
        assert_eq!(problems(&both), [""; 0]);
        assert_eq!(
            problems(&both.inline(image("c.png"))),
            [
                "inlines[2].filename: the HTML does not mention this image: refer to it by cid:, or \
              add it with attach"
            ]
        );
        let template = Email::from_template("a@example.com", "t").to("b@example.net");
        assert_eq!(problems(&template.inline(image("c.png"))), [""; 0]);
    }

    #[test]
    fn limits_of_recipients_are_those_of_the_request() {
        type Add = fn(Email, String) -> Email;
        let rows: [(Add, usize, &str); 3] = [
            (|mail, to| mail.to(to), EmailSendRequest::MAX_TO - 1, "to"),
            (|mail, cc| mail.cc(cc), EmailSendRequest::MAX_CC, "cc"),
            (|mail, bcc| mail.bcc(bcc), EmailSendRequest::MAX_BCC, "bcc"),
        ];
        for (add, most, field) in rows {
            let address = |n| format!("n{n}@example.net");
            let email = (0..most).fold(html("x"), |email, n| add(email, address(n)));
            assert_eq!(problems(&email), [""; 0]);
            let problems = problems(&add(email, address(most)));
            assert!(
                matches!(&*problems, [only] if only.starts_with(field)),
                "{problems:?}"
            );
        }
    }

    #[test]
    fn header_that_the_request_type_refuses_is_refused() {
        for name in ["Content-Type", "content-transfer-encoding", " MIME-Version"] {
            assert!(CustomHeader::new(name, "x").validate().is_err(), "{name}");
            let problems = problems(&html("x").header(name, "x")).join("; ");
            assert!(problems.contains("is refused by the API"), "{problems}");
        }
    }
}
