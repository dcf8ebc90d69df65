//! Parses MIME messages, for assertions, the inbox and the checks.

use mail_parser::{Message, MessageParser, MimeHeaders as _, PartType};

use crate::address::{self, Mailbox};
use crate::mail::Attachment;
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
}

impl Mime {
    /// Reads a message. If a header of addresses has an error, only the addresses before it are kept,
    /// and [`check`](Self::check) reports it.
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
        let (text, html) = bodies(message);
        Self {
            size: message.len(),
            subject,
            from: from.join(", "),
            to,
            cc,
            bcc,
            text,
            html,
            headers,
        }
    }

    /// Refuses a message with a header of addresses that is not a list of addresses, or with a line break
    /// or another control character in a header, also if it is encoded (RFC 2047).
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

    /// Refuses a message that can't be sent: without a sender or recipients, or with an invalid header.
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
            _ => Ok(()),
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
    let name = decoded(name);
    let is_plain = |c: char| c.is_alphanumeric() || c == ' ' || c == '-';
    match name.chars().all(is_plain) {
        true => format!("{name} <{address}>"),
        false => {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" <{address}>")
        }
    }
}

/// Returns the plain text and the HTML of a message.
fn bodies(message: &[u8]) -> (Option<String>, Option<String>) {
    let (mut text, mut html) = (None, None);
    let Some(message) = MessageParser::default().parse(message) else {
        return (text, html);
    };
    // The parser converts text to HTML and HTML to text. Only the actual parts are returned.
    for id in message.html_body.iter().chain(&message.text_body) {
        match message.parts.get(*id as usize).map(|part| &part.body) {
            Some(PartType::Html(body)) => {
                html.get_or_insert_with(|| body.to_string());
            }
            Some(PartType::Text(body)) => {
                text.get_or_insert_with(|| body.to_string());
            }
            _ => {}
        }
    }
    take_apart(message);
    (text, html)
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
    fn message_without_sender_or_recipients_is_refused() {
        for (message, expected) in [
            ("From: a@b.test\nTo: c@d.test\n\n", None),
            ("From: a@b.test\nBcc: c@d.test\n\n", None),
            (
                "From: a@b.test\nTo: undisclosed-recipients:;\nCc: c@d.test\n\n",
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
