//! Parses MIME messages, for assertions, the inbox and the checks.

use mail_parser::{ContentType, Message, MessageParser, MimeHeaders as _, PartType};

use crate::address::{self, Mailbox};
use crate::mail::Attachment;
use crate::operations::email::is_blank;
use crate::weight::Weight;

/// Maximum number of recipients of a message. Each has events, which contain headers.
const RECIPIENTS: usize = 1_000;

/// The headers of a MIME message, its texts and its size.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct Mime {
    pub(crate) size: usize,
    /// Unfolded, but not decoded.
    pub(crate) headers: Vec<(String, String)>,
    /// Decoded (RFC 2047), like the names in the addresses below.
    pub(crate) subject: Option<String>,
    /// All addresses of `From`, joined by commas.
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) cc: Vec<String>,
    pub(crate) bcc: Vec<String>,
    pub(crate) text: Option<String>,
    pub(crate) html: Option<String>,
    /// The body can't be read. Needed only to check a new message.
    #[serde(skip)]
    is_unreadable: bool,
}

impl Mime {
    /// Reads a message. If an address header has an error, only the addresses before it are kept, and
    /// [`check`](Self::check) reports it.
    pub(crate) fn new(message: &[u8]) -> Self {
        let headers = headers(message);
        let list = |name| {
            let mailboxes = values(&headers, name).flat_map(address::mailboxes);
            let mailboxes = mailboxes.filter_map(Result::ok).take(RECIPIENTS + 1);
            mailboxes.map(|mailbox| readable(&mailbox)).collect()
        };
        let from: Vec<String> = list("From");
        let (to, cc, bcc) = (list("To"), list("Cc"), list("Bcc"));
        let subject = values(&headers, "Subject").next().map(decoded);
        let MimeBodies {
            text,
            html,
            is_unreadable,
        } = MimeBodies::new(message);
        Self {
            size: message.len(),
            subject,
            from: from.join(", "),
            to,
            cc,
            bcc,
            text,
            html,
            is_unreadable,
            headers,
        }
    }

    /// Refuses a message if an address header, such as From, is not a valid address list. Also refuses
    /// control characters in headers, such as line breaks, even in encoded words (RFC 2047).
    pub(crate) fn check_headers(&self) -> Result<(), String> {
        for name in address::HEADERS {
            for value in values(&self.headers, name) {
                if let Some(Err(fault)) = address::mailboxes(value).find(Result::is_err) {
                    let found: String = value.chars().take(address::EXCERPT).collect();
                    return Err(format!(
                        "The header {name} is not a list of addresses: {fault}; found: {found:?}"
                    ));
                }
            }
        }
        let has_control = |value: &str| value.contains(|c: char| c.is_control() && c != '\t');
        let written = self.headers.iter();
        let written = written.map(|(name, value)| (name.as_str(), value.as_str()));
        let decoded = [("From", self.from.as_str())].into_iter();
        let decoded = decoded.chain(self.subject.as_deref().map(|subject| ("Subject", subject)));
        let recipients = self.mailboxes().map(|mailbox| ("To, Cc or Bcc", mailbox));
        let mut all = written.chain(decoded).chain(recipients);
        match all.find(|(_, value)| has_control(value)) {
            Some((name, _)) => {
                let name: String = name.chars().take(address::EXCERPT).collect();
                Err(format!(
                    "The header {name:?} has a line break or another control character."
                ))
            }
            None => Ok(()),
        }
    }

    /// Refuses a message without a body, like `/email/send` does. Blank HTML is not a body, nor is a
    /// text of line breaks only, because every message ends with one. A body that can't be read is
    /// accepted.
    pub(crate) fn check_body(&self) -> Result<(), String> {
        let text = self.text.as_deref().unwrap_or_default();
        let text = text.trim_end_matches(['\r', '\n']);
        let html = self.html.as_deref().unwrap_or_default();
        match is_blank(text, html) && !self.is_unreadable {
            true => Err("The message has no body: its text is empty and its HTML is blank.".into()),
            false => Ok(()),
        }
    }

    /// Refuses a message that can't be sent: without a sender, recipients or a body, or with an invalid
    /// header.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_headers()?;
        if self.from.is_empty() {
            return Err("The message has no sender: the header From is missing or empty.".into());
        }
        match self.mailboxes().count() {
            0 => {
                Err("The message has no recipients: none of To, Cc and Bcc has an address.".into())
            }
            count if count > RECIPIENTS => Err(format!(
                "The message has more than {RECIPIENTS} recipients."
            )),
            _ => self.check_body(),
        }
    }

    /// The recipients, in the order of `To`, `Cc`, `Bcc`.
    pub(crate) fn mailboxes(&self) -> impl Iterator<Item = &str> {
        let all = self.to.iter().chain(&self.cc).chain(&self.bcc);
        all.map(String::as_str)
    }
}

impl Weight for Mime {
    fn weight(&self) -> usize {
        self.headers.weight()
            + self.subject.weight()
            + self.from.weight()
            + self.to.weight()
            + self.cc.weight()
            + self.bcc.weight()
            + self.text.weight()
            + self.html.weight()
    }
}

fn headers(message: &[u8]) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in message.split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        if line.is_empty() {
            break;
        }
        if line.starts_with([' ', '\t']) {
            // Unfolding removes only the line break (RFC 5322, 2.2.3).
            if let Some((_, value)) = headers.last_mut() {
                value.push_str(line);
            }
        } else if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim_end().to_owned(), value.trim_start().to_owned()));
        }
    }
    headers
}

/// Iterates over the values of all headers with a name.
fn values<'a>(headers: &'a [(String, String)], name: &str) -> impl Iterator<Item = &'a str> {
    let of_name = headers
        .iter()
        .filter(move |(header, _)| header.eq_ignore_ascii_case(name));
    of_name.map(|(_, value)| value.trim())
}

/// Decodes the encoded words (RFC 2047) in the value of a header.
pub(crate) fn decoded(value: &str) -> String {
    if !value.contains("=?") {
        return value.to_owned();
    }
    let header = format!("Subject: {}\r\n\r\n", value.replace(['\r', '\n'], " "));
    let message = MessageParser::default().parse_headers(header.as_bytes());
    let decoded = message.as_ref().and_then(Message::subject);
    decoded.unwrap_or(value).to_owned()
}

/// Returns a mailbox with its name decoded.
fn readable(mailbox: &Mailbox<'_>) -> String {
    let Mailbox {
        written,
        name,
        address,
    } = mailbox;
    if !name.contains("=?") {
        return (*written).to_owned();
    }
    let name = decoded(&address::unquoted(name));
    let is_plain = |c: char| c.is_alphanumeric() || c == ' ' || c == '-';
    match name.chars().all(is_plain) {
        true => format!("{name} <{address}>"),
        false => {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" <{address}>")
        }
    }
}

/// The bodies of a message.
#[derive(Default)]
struct MimeBodies {
    /// All parts of plain text, with a line break between them.
    text: Option<String>,
    /// All parts of HTML, with a line break between them.
    html: Option<String>,
    /// The body is encrypted or made of other messages, or the parser can't decode a part of it.
    is_unreadable: bool,
}

impl MimeBodies {
    fn new(message: &[u8]) -> Self {
        let mut bodies = Self::default();
        let Some(message) = MessageParser::default().parse(message) else {
            return bodies;
        };
        // In these lists, the parser also has HTML in place of a missing text, and text in place of missing
        // HTML. A text part that is not in the list of texts is an attachment; the same holds for HTML.
        let part = |id: &u32| message.parts.get(*id as usize).map(|part| &part.body);
        let texts = message.text_body.iter().filter_map(part);
        let texts = texts.filter_map(|body| match body {
            PartType::Text(text) => Some(text.as_ref()),
            _ => None,
        });
        let htmls = message.html_body.iter().filter_map(part);
        let htmls = htmls.filter_map(|body| match body {
            PartType::Html(html) => Some(html.as_ref()),
            _ => None,
        });
        bodies.is_unreadable = message.parts.iter().any(|part| {
            let (PartType::Text(decoded) | PartType::Html(decoded)) = &part.body else {
                return false;
            };
            let range = part.offset_body as usize..part.offset_end as usize;
            let raw = message.raw_message.get(range).unwrap_or_default();
            let kind = part.content_type().map_or("text", ContentType::ctype);
            let is_lost = decoded.is_empty() && !raw.trim_ascii().is_empty();
            kind.eq_ignore_ascii_case("text") && (part.is_encoding_problem || is_lost)
        });
        bodies.text = joined(texts);
        bodies.html = joined(htmls);
        let kind = message.content_type();
        let kind = kind.and_then(|kind| Some((kind.ctype(), kind.subtype()?)));
        bodies.is_unreadable |= kind.is_some_and(|(kind, subtype)| {
            kind.eq_ignore_ascii_case("message")
                || (kind.eq_ignore_ascii_case("multipart")
                    && ["encrypted", "digest"]
                        .iter()
                        .any(|known| subtype.eq_ignore_ascii_case(known)))
                || subtype.eq_ignore_ascii_case("pkcs7-mime")
                || subtype.eq_ignore_ascii_case("x-pkcs7-mime")
        });
        take_apart(message);
        bodies
    }
}

/// Joins the parts of a body. `None` if there are none.
fn joined<'a>(mut parts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut whole = parts.next()?.to_owned();
    for part in parts {
        whole.push('\n');
        whole.push_str(part);
    }
    Some(whole)
}

/// Returns the files of a message, each with whether it is an inline image.
pub(crate) fn files(message: &[u8]) -> Vec<(bool, Attachment)> {
    let Some(message) = MessageParser::default().parse(message) else {
        return Vec::new();
    };
    let mut number = 0;
    let files = message.attachments().map(|part| {
        number += 1;
        let mimetype = part.content_type().map(|kind| match kind.subtype() {
            Some(subtype) => format!("{}/{subtype}", kind.ctype()),
            None => kind.ctype().to_owned(),
        });
        let name = part.attachment_name().map(str::to_owned);
        let is_attached = part
            .content_disposition()
            .is_some_and(mail_parser::ContentType::is_attachment);
        let file = Attachment {
            filename: name.unwrap_or_else(|| format!("part-{number}")),
            mimetype,
            content: part.contents().to_vec(),
            content_id: part.content_id().map(str::to_owned),
            url: None,
        };
        (!is_attached && file.content_id.is_some(), file)
    });
    let files = files.collect();
    take_apart(message);
    files
}

/// Drops a message iteratively. Recursion over deeply nested messages would overflow the stack.
fn take_apart(message: Message<'_>) {
    let mut messages = vec![message];
    while let Some(message) = messages.pop() {
        for part in message.parts {
            if let PartType::Message(inner) = part.body {
                messages.push(inner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_split_into_html_and_files() {
        let message =
            b"From: a@example.com\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=x\r\n\r\n\
            --x\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>caf\xe9</p>\r\n\
            --x\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline; \
            filename=logo.png\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n\
            --x\r\nContent-Type: text/csv\r\nContent-Disposition: attachment\r\n\r\n1,2\r\n--x--\r\n";
        let mime = Mime::new(message);
        assert_eq!(mime.subject.as_deref(), Some("café"));
        assert_eq!(mime.html.as_deref().map(str::trim), Some("<p>café</p>"));
        assert_eq!(mime.text, None);
        let files = files(message);
        let (is_inline, image) = &files[0];
        assert!(is_inline);
        assert_eq!(image.filename, "logo.png");
        assert_eq!(image.mimetype.as_deref(), Some("image/png"));
        assert_eq!(image.content_id.as_deref(), Some("logo"));
        assert_eq!(image.content, b"hi");
        let (is_inline, table) = &files[1];
        assert!(!is_inline);
        assert_eq!(table.filename, "part-2");
    }

    #[test]
    fn headers_are_unfolded_and_end_at_the_empty_line() {
        let mime = Mime::new(
            b"FROM: A\r\n <a@example.com>\r\nSubject:  Hi\r\nno header\r\n\r\nTo: body\r\n",
        );
        assert_eq!(mime.from, "A <a@example.com>");
        assert_eq!(mime.subject.as_deref(), Some("Hi"));
        assert!(mime.to.is_empty());
        assert_eq!(Mime::new(&[]).from, "");
    }

    #[test]
    fn recipients_come_from_all_headers_and_groups_with_decoded_names() {
        let mime = Mime::new(
            b"From: =?utf-8?q?Zo=C3=AB?= <z@example.com>\nTo: Team: a@b.test, b@b.test;\n\
            To: (x) =?utf-8?q?Doe=2C_J?= <j@b.test>\nCc: a@b.test\nBcc: Hidden: c@b.test;\n\n",
        );
        assert_eq!(mime.from, "Zoë <z@example.com>");
        assert_eq!(
            mime.to,
            ["a@b.test", "b@b.test", r#""(x) Doe, J" <j@b.test>"#]
        );
        assert_eq!(
            (mime.cc, mime.bcc),
            (vec!["a@b.test".to_owned()], vec!["c@b.test".to_owned()])
        );
    }

    #[test]
    fn message_without_a_body_is_refused() {
        let multipart = |kind: &str, parts: &[&str]| {
            let parts: String = parts.iter().map(|part| format!("--x\n{part}\n")).collect();
            format!("Content-Type: multipart/{kind}; boundary=x\n\n{parts}--x--\n")
        };
        let file = "Content-Type: application/pdf\nContent-Disposition: attachment\n\nx";
        let note = "Content-Type: text/plain\nContent-Disposition: attachment\n\nx";
        for (rest, is_refused) in [
            ("\n".to_owned(), true),
            ("\n\r\n\n".to_owned(), true),
            ("\n \n".to_owned(), false),
            ("\nx".to_owned(), false),
            ("Content-Type: text/html\n\n \n".to_owned(), true),
            ("Content-Type: text/html\n\n<p>".to_owned(), false),
            ("Content-Type: application/pdf\n\nx".to_owned(), true),
            (
                "Content-Type: application/pkcs7-mime\n\nx".to_owned(),
                false,
            ),
            (multipart("encrypted", &[file, file]), false),
            (multipart("digest", &["\nSubject: x\n\nHi"]), false),
            (
                "Content-Type: message/rfc822\n\nSubject: x\n\nHi\n".to_owned(),
                false,
            ),
            ("Content-Transfer-Encoding: base64\n\n!\n".to_owned(), false),
            (
                "Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHA*==\n".to_owned(),
                false,
            ),
            (
                "Content-Transfer-Encoding: base64\n\nCg==\n".to_owned(),
                true,
            ),
            (
                "Content-Type: text/html; charset=utf-7\n\n+ADw\n".to_owned(),
                false,
            ),
            (multipart("mixed", &[file]), true),
            (multipart("mixed", &[file, note]), true),
            (multipart("mixed", &["\n\n", file]), true),
            (multipart("mixed", &["\nx", file]), false),
            (multipart("mixed", &[file, "\nx"]), false),
            (
                multipart("alternative", &["\n\n", "Content-Type: text/html\n\n<p>"]),
                false,
            ),
            (
                multipart("alternative", &["\n\n", "Content-Type: text/html\n\n\n"]),
                true,
            ),
        ] {
            let message = format!("From: a@b.test\nTo: c@d.test\n{rest}");
            let checked = Mime::new(message.as_bytes()).check();
            assert_eq!(checked.is_err(), is_refused, "{message:?}: {checked:?}");
            if let Err(error) = checked {
                assert!(error.contains("no body"), "{error}");
            }
        }
    }

    /// Each part must be in exactly one of the text, the HTML and the files.
    #[test]
    fn no_part_is_lost_or_duplicated() {
        let text = "Content-Type: text/plain\n\nONE";
        let html = "Content-Type: text/html\n\nTWO";
        let image = "Content-Type: image/png\nContent-ID: <i>\n\nTHREE";
        let more_text = "\nFOUR";
        let more_html = "Content-Type: text/html\n\nFIVE";
        let csv = "Content-Type: text/csv\n\nSIX";
        let calendar = "Content-Type: text/calendar\n\nSEVEN";
        let part = |kind: &str, boundary: &str, parts: &[&str]| {
            let parts: String = parts
                .iter()
                .map(|part| format!("--{boundary}\n{part}\n"))
                .collect();
            format!("Content-Type: multipart/{kind}; boundary={boundary}\n\n{parts}--{boundary}--")
        };
        let both = part("alternative", "y", &[text, html]);
        let related = part("related", "z", &[html, image]);
        for parts in [
            part("mixed", "x", &[text, more_text, more_html]),
            part("mixed", "x", &[html, more_html, more_text]),
            part("mixed", "x", &[&both, image, more_text, more_html, csv]),
            part("alternative", "x", &[text, more_text, html, more_html]),
            part("alternative", "x", &[text, html, calendar]),
            part("alternative", "x", &[text, &related]),
            part(
                "alternative",
                "x",
                &[text, &part("mixed", "z", &[html, more_text, more_html])],
            ),
            part("related", "x", &[&both, image, more_text]),
            part("digest", "x", &[more_text, html]),
            part("nonsense", "x", &[text, more_text, csv]),
        ] {
            let message = format!("From: a@b.test\nTo: c@d.test\n{parts}\n");
            let mime = Mime::new(message.as_bytes());
            let mut found = mime.text.unwrap_or_default() + &mime.html.unwrap_or_default();
            for (_, file) in files(message.as_bytes()) {
                found += &String::from_utf8(file.content).unwrap();
            }
            for word in ["ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN"] {
                let expected = message.matches(word).count();
                assert_eq!(
                    found.matches(word).count(),
                    expected,
                    "{word} in {message}: {found}"
                );
            }
        }
    }

    #[test]
    fn further_text_parts_are_joined() {
        let mime = Mime::new(
            b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nHello\n--x\n\nFooter\n--x\n\
            Content-Type: text/html\n\n<p>\n--x\nContent-Type: text/html\n\n<hr>\n--x--\n",
        );
        assert_eq!(mime.text.as_deref(), Some("Hello\nFooter"));
        assert_eq!(mime.html.as_deref(), Some("<p>\n<hr>"));
    }

    #[test]
    fn encoded_words_are_decoded_also_within_quotes() {
        for (header, expected) in [
            (r#""=?utf-8?q?Zo=C3=AB?=" <z@b.test>"#, "Zoë <z@b.test>"),
            (
                r#""=?utf-8?q?Doe=2C_Zo=C3=AB?=" <z@b.test>"#,
                r#""Doe, Zoë" <z@b.test>"#,
            ),
            (
                r#""=?utf-8?q?Zo=C3=AB?= \"Z\"" <z@b.test>"#,
                r#""Zoë \"Z\"" <z@b.test>"#,
            ),
            (
                r#""Doe" =?utf-8?q?Zo=C3=AB?= <z@b.test>"#,
                "Doe Zoë <z@b.test>",
            ),
            (r#""Doe, Z" <z@b.test>"#, r#""Doe, Z" <z@b.test>"#),
        ] {
            let mime = Mime::new(format!("From: {header}\n\n").as_bytes());
            assert_eq!(mime.from, expected);
        }
    }

    #[test]
    fn east_asian_subject_is_decoded() {
        for (subject, expected) in [
            ("=?iso-2022-jp?B?GyRCRnxLXDhsGyhC?=", "日本語"),
            ("=?shift_jis?B?k/qWe4zq?=", "日本語"),
            ("=?euc-jp?B?xvzL3Ljs?=", "日本語"),
            ("=?gb2312?B?1tDOxA==?=", "中文"),
            ("=?gb18030?B?1tDOxA==?=", "中文"),
            ("=?big5?B?pKSk5Q==?=", "中文"),
            ("=?euc-kr?B?x9G5zg==?=", "한민"),
        ] {
            let mime = Mime::new(format!("Subject: {subject}\n\n").as_bytes());
            assert_eq!(mime.subject.as_deref(), Some(expected), "{subject}");
        }
    }

    #[test]
    fn message_without_sender_or_recipients_is_refused() {
        for (message, expected) in [
            ("From: a@b.test\nTo: c@d.test\n\nx", None),
            ("From: a@b.test\nBcc: c@d.test\n\nx", None),
            (
                "From: a@b.test\nTo: undisclosed-recipients:;\nCc: c@d.test\n\nx",
                None,
            ),
            ("", Some("From")),
            ("To: c@d.test\n\n", Some("From")),
            ("From: \nTo: c@d.test\n\n", Some("From")),
            ("From: a@b.test\n\nTo: c@d.test\n", Some("recipients")),
            ("From: a@b.test\nTo: x:;\n\n", Some("recipients")),
            ("From: nope\nTo: c@d.test\n\n", Some("From")),
            ("From: a@b.test\nTo: c@d.test, nope\n\n", Some("To")),
            ("From: a@b.test\nTo: c@d.test\nCc: A <a@b\n\n", Some("Cc")),
            (
                "From: a@b.test\nTo: c@d.test\nReply-To: nope\n\n",
                Some("Reply-To"),
            ),
            ("From: a@b.test\nTo: A\rB <c@d.test>\n\n", Some("To")),
            (
                "From: a@b.test\nTo: c@d.test\nSubject: a\rBcc: x@y.z\n\n",
                Some("Subject"),
            ),
            ("From: a@b.test\nTo: c@d.test\nX-A: \0\n\n", Some("X-A")),
            (
                "From: a@b.test\nTo: c@d.test\nSubject: =?utf-8?q?Hi=0D=0ABcc:_x?=\n\n",
                Some("Subject"),
            ),
            (
                "From: a@b.test\nTo: =?utf-8?b?QQ1C?= <c@d.test>\n\n",
                Some("To"),
            ),
        ] {
            match (Mime::new(message.as_bytes()).check(), expected) {
                (Ok(()), None) => {}
                (Err(error), Some(part)) => assert!(error.contains(part), "{message}: {error}"),
                (found, _) => panic!("{message:?}: {found:?}"),
            }
        }
        let many = "a@b.test,".repeat(RECIPIENTS + 1);
        let mime = Mime::new(format!("From: a@b.test\nTo: {many}\n\n").as_bytes());
        assert!(mime.check().unwrap_err().contains("1000 recipients"));
    }
}
