//! Converts a mail into the generated request, and back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_core::de::DeserializeOwned;
use serde_json::Value;
use smtp2go_types::validation::Check;
use smtp2go_types::{Attachment as RequestFile, CustomHeader, EmailSendRequest, Timestamp};

use super::attachment::{Attachment, AttachmentKind};
use super::check::{REPLY_TO, run};
use super::email::{Email, EmailTemplate};
use super::mailbox::Mailbox;
use super::media_type::guess;
use super::schedule::in_utc;
use crate::{Error, FieldError, IDEMPOTENCY_HEADER};

/// Converts a mail into the request that [`Client::send`](crate::Client::send) sends for it, with
/// guessed media types, and with the idempotency key under the default name of its header. Numbers of
/// template data and additional fields that need more than 64 bits are rounded.
///
/// # Errors
/// [`is_validation`](Error::is_validation), which names each attachment from a file or a reader: a
/// request has content in memory only. Also for template data that could not be serialised.
impl TryFrom<&Email> for EmailSendRequest {
    type Error = Error;

    fn try_from(email: &Email) -> Result<Self, Error> {
        run(|check| check_convertible(email, check))?;
        let parts = email.parts();
        let texts =
            |list: &[Mailbox]| -> Vec<String> { list.iter().map(ToString::to_string).collect() };
        let mut request = Self::new(parts.sender.to_string(), texts(&parts.to));
        request.cc = non_empty(texts(&parts.cc));
        request.bcc = non_empty(texts(&parts.bcc));
        request.subject.clone_from(&parts.subject);
        request.html_body = parts.html().map(ToOwned::to_owned);
        request.text_body = parts.text().map(ToOwned::to_owned);
        let headers = parts.headers();
        let mut headers: Vec<_> = headers
            .map(|(name, value)| CustomHeader::new(name, value))
            .collect();
        if !parts.reply_to.is_empty() {
            headers.push(CustomHeader::new(
                REPLY_TO,
                texts(&parts.reply_to).join(", "),
            ));
        }
        if let Some(key) = &parts.key
            && !headers.iter().any(is_key)
        {
            headers.push(CustomHeader::new(IDEMPOTENCY_HEADER, key));
        }
        request.custom_headers = non_empty(headers);
        request.template_id = parts.template.as_ref().map(|template| template.id.clone());
        if let Some(data) = parts.template_data() {
            request.template_data = Some(decoded("template_data", data)?);
        }
        let schedule = parts.schedule();
        request.schedule =
            schedule.map(|time| in_utc(time).map_or_else(|| time.clone(), Timestamp::new));
        request.fastaccept = parts.fastaccept;
        request.attachments = non_empty(parts.attachments.iter().filter_map(file).collect());
        request.inlines = non_empty(parts.inlines.iter().filter_map(file).collect());
        for (name, json) in parts.extra() {
            request.extra.insert(name.to_owned(), decoded(name, json)?);
        }
        Ok(request)
    }
}

/// Converts a request. The header [`IDEMPOTENCY_HEADER`] becomes the idempotency key. A header
/// `Reply-To` stays a header.
///
/// # Errors
/// [`is_validation`](Error::is_validation), which names each part that a mail can't have: an attachment
/// whose content is not base64 or that has not exactly one of content and URL, and unknown fields of
/// attachments and headers.
impl TryFrom<EmailSendRequest> for Email {
    type Error = Error;

    fn try_from(request: EmailSendRequest) -> Result<Self, Error> {
        let headers = request.custom_headers.unwrap_or_default();
        let attachments = files(request.attachments);
        let inlines = files(request.inlines);
        run(|check| {
            for (index, header) in headers.iter().enumerate() {
                if !header.extra.is_empty() {
                    check.at_index("custom_headers", index, |check| {
                        check.problem("a mail's header can't have unknown fields");
                    });
                }
            }
            for (field, list) in [("attachments", &attachments), ("inlines", &inlines)] {
                for (index, file) in list.iter().enumerate() {
                    if let Err(fault) = file {
                        check.at_index(field, index, |check| check.problem(*fault));
                    }
                }
            }
        })?;
        let mut email = Self::bare(Mailbox::from(&request.sender));
        let parts = email.edit();
        let mailboxes = |list: Vec<String>| list.into_iter().map(Mailbox::from).collect();
        parts.to = mailboxes(request.to);
        parts.cc = mailboxes(request.cc.unwrap_or_default());
        parts.bcc = mailboxes(request.bcc.unwrap_or_default());
        parts.subject = request.subject;
        parts.html = request.html_body;
        parts.text = request.text_body;
        let (mut keys, mut headers): (Vec<_>, Vec<_>) = headers.into_iter().partition(is_key);
        if keys.len() == 1 {
            parts.key = keys.pop().map(|key| key.value);
        }
        headers.append(&mut keys);
        let headers = headers.into_iter();
        parts.headers = headers
            .map(|header| (header.header, header.value))
            .collect();
        let (id, data) = (request.template_id, request.template_data);
        if id.is_some() || data.is_some() {
            let data = data.map(|data| Value::from_iter(data).to_string());
            parts.template = Some(EmailTemplate {
                id: id.unwrap_or_default(),
                data: data.map(Ok),
            });
        }
        parts.schedule = request.schedule;
        parts.fastaccept = request.fastaccept;
        parts.attachments = attachments.into_iter().flatten().collect();
        parts.inlines = inlines.into_iter().flatten().collect();
        for (name, value) in request.extra {
            parts.extra.set(name, &value);
        }
        Ok(email)
    }
}

fn is_key(header: &CustomHeader) -> bool {
    header.header.eq_ignore_ascii_case(IDEMPOTENCY_HEADER)
}

fn non_empty<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

/// Parses JSON that a mail keeps as text.
fn decoded<T: DeserializeOwned>(field: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|error| {
        Error::unreadable(FieldError {
            field: field.to_owned(),
            message: error.to_string(),
        })
    })
}

/// Reports the parts of a mail that a request can't have.
fn check_convertible(email: &Email, check: &mut Check) {
    let parts = email.parts();
    if let Some(EmailTemplate {
        data: Some(Err(fault)),
        ..
    }) = &parts.template
    {
        check.at("template_data", |check| check.problem(fault));
    }
    for (field, list) in [
        ("attachments", &parts.attachments),
        ("inlines", &parts.inlines),
    ] {
        for (index, attachment) in list.iter().enumerate() {
            let what = match attachment.kind() {
                AttachmentKind::Path(_) => "a file",
                AttachmentKind::Reader { .. } => "a reader",
                AttachmentKind::Bytes(_) | AttachmentKind::Url(_) => continue,
            };
            check.at_index(field, index, |check| {
                check.problem(format!(
                    "{:?} is {what}: a request needs its content in memory, as by \
                     Attachment::from_bytes",
                    attachment.filename
                ));
            });
        }
    }
}

/// Converts an attachment. `None` if its content is not in memory.
fn file(attachment: &Attachment) -> Option<RequestFile> {
    let mut file = RequestFile::new(&attachment.filename);
    let mut start: &[u8] = &[];
    match attachment.kind() {
        AttachmentKind::Bytes(bytes) => {
            start = bytes;
            file.fileblob = Some(STANDARD.encode(bytes));
        }
        AttachmentKind::Url(url) => file.url = Some(url.into()),
        AttachmentKind::Path(_) | AttachmentKind::Reader { .. } => return None,
    }
    let mimetype = attachment.media_type();
    file.mimetype = Some(
        mimetype
            .unwrap_or_else(|| guess(&attachment.filename, start))
            .to_owned(),
    );
    Some(file)
}

/// Converts attachments.
fn files(list: Option<Vec<RequestFile>>) -> Vec<Result<Attachment, &'static str>> {
    list.into_iter().flatten().map(attachment).collect()
}

/// Converts an attachment. Returns why a mail can't have it.
fn attachment(file: RequestFile) -> Result<Attachment, &'static str> {
    if !file.extra.is_empty() {
        return Err("a mail's attachment can't have unknown fields");
    }
    let attachment = match (file.fileblob, file.url) {
        (Some(blob), None) => {
            let bytes = STANDARD.decode(blob);
            Attachment::from_bytes(file.filename, bytes.map_err(|_| "fileblob is not base64")?)
        }
        (None, Some(url)) => Attachment::from_url(file.filename, url),
        _ => return Err("needs exactly one of fileblob and url"),
    };
    Ok(Attachment {
        mimetype: file.mimetype,
        ..attachment
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::body::content::Files;
    use crate::mail::encode::encode_single;

    fn full() -> Email {
        Email::from_template("Acme <noreply@example.com>", "t")
            .to("Jane <jane@example.net>")
            .cc("c@example.net")
            .bcc("d@example.net")
            .subject("x")
            .html("x")
            .text("x")
            .header("X-A", "x")
            .reply_to("e@example.net")
            .reply_to("f@example.net")
            .schedule("2026-03-03T10:00:00+01:00")
            .attach(Attachment::from_url("a.png", "https://example.com/a"))
            .template_data(json!({"a": {"b": [1, 2.5, null]}}))
            .fastaccept(true)
            .extra("newer", 1)
            .idempotency_key("order-42")
    }

    #[test]
    fn request_equals_the_json_that_is_sent() {
        let email = full();
        let request = EmailSendRequest::try_from(&email).unwrap();
        let sent = encode_single(&email, IDEMPOTENCY_HEADER, &Files::default());
        let sent: Value = serde_json::from_str(&sent.unwrap().into_text()).unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), sent);
    }

    #[test]
    fn request_is_the_same_after_a_conversion_to_a_mail() {
        let email = full()
            .inline(Attachment::from_bytes("b.png", "\x00\u{ff}"))
            .inline(Attachment::from_bytes("c", "%PDF-1.7"));
        let request = EmailSendRequest::try_from(&email).unwrap();
        let files = request.inlines.as_deref().unwrap();
        assert_eq!(files[1].mimetype.as_deref(), Some("application/pdf"));
        let again = Email::try_from(request.clone()).unwrap();
        assert_eq!(again.key(), Some("order-42"));
        assert_eq!(EmailSendRequest::try_from(&again).unwrap(), request);
    }

    fn fields(error: &Error) -> Vec<String> {
        assert!(error.is_validation(), "{error}");
        let problems = error.field_errors().iter();
        problems
            .map(|problem| format!("{}: {}", problem.field, problem.message))
            .collect()
    }

    #[test]
    fn file_and_reader_cannot_be_in_a_request() {
        let email = full()
            .attach(Attachment::from_path("a.pdf"))
            .inline(Attachment::from_blocking_reader("b", std::io::empty(), 0));
        let what = "a request needs its content in memory, as by Attachment::from_bytes";
        assert_eq!(
            fields(&EmailSendRequest::try_from(&email).unwrap_err()),
            [
                format!("attachments[1]: \"a.pdf\" is a file: {what}"),
                format!("inlines[0]: \"b\" is a reader: {what}"),
            ]
        );
    }

    #[test]
    fn request_that_no_mail_can_have_is_refused() {
        let mut request = EmailSendRequest::new("a@example.com", ["b@example.net"]);
        let mut header = CustomHeader::new("X-A", "x");
        header.extra.insert("newer".to_owned(), 1.into());
        let mut unlisted = RequestFile::new("d").fileblob("");
        unlisted.extra.insert("newer".to_owned(), 1.into());
        request.custom_headers = Some(vec![CustomHeader::new("X-B", ""), header]);
        request.attachments = Some(vec![
            RequestFile::new("a"),
            RequestFile::new("b")
                .fileblob("")
                .url("https://example.com"),
            RequestFile::new("c").fileblob("?"),
        ]);
        request.inlines = Some(vec![unlisted]);
        assert_eq!(
            fields(&Email::try_from(request).unwrap_err()),
            [
                "custom_headers[1]: a mail's header can't have unknown fields",
                "attachments[0]: needs exactly one of fileblob and url",
                "attachments[1]: needs exactly one of fileblob and url",
                "attachments[2]: fileblob is not base64",
                "inlines[0]: a mail's attachment can't have unknown fields",
            ]
        );
    }
}
