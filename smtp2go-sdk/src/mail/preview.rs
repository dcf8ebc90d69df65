//! Shows a mail before it is sent: as JSON, and as a MIME message.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::attachment::{Attachment, AttachmentSource};
use super::check;
use super::email::{Email, EmailParts};
use super::encode::encode_single;
use super::mailbox::Mailbox;
use super::media_type::guess;
use crate::body::content::Files;
use crate::{Error, FieldError, IDEMPOTENCY_HEADER};

/// Maximum length of a line in bytes, without its CRLF.
const LONGEST_LINE: usize = 998;
/// Maximum length of a line of base64 in bytes.
const BASE64_LINE: usize = 76;
/// Maximum number of bytes in an encoded word: 60 characters when encoded, so that a line that starts
/// with a header's name has at most 76.
const ENCODED_WORD: usize = 36;

impl Email {
    /// Returns the request as JSON, as [`Client::send`](crate::Client::send) sends it with the default
    /// settings. Blocks while it reads files, and holds them in memory as base64.
    ///
    /// Does not check the mail: call [`validate`](Self::validate) first, as in this `--dry-run`:
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mail = Email::new("Acme <noreply@example.com>", "Your order")
    ///     .to("Jane <jane@example.net>")
    ///     .text("Thank you.");
    /// let dry_run = true; // std::env::args().any(|argument| argument == "--dry-run")
    /// if dry_run {
    ///     mail.validate()?;
    ///     println!("{}\n{} bytes: {}", mail.to_mime()?, mail.size()?, mail.to_json()?);
    /// } else {
    ///     // client.send(mail).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Fails if a file can't be read, if a stored mail's file has changed, or if an attachment is from a
    /// reader, which can be read only once. The error names the attachment.
    pub fn to_json(&self) -> Result<String, Error> {
        let files = self.look_now();
        let body = encode_single(self, IDEMPOTENCY_HEADER, &files).map_err(Error::unreadable)?;
        body.read_now().map_err(Error::unreadable)
    }

    /// Returns the mail as a MIME message (RFC 5322), to be shown or written to a `.eml` file. Blocks like
    /// [`to_json`](Self::to_json), and does not check the mail either.
    ///
    /// SMTP2GO composes the message that recipients get. It adds what is missing here, such as `Date` and
    /// `Message-ID`, and removes the header `Bcc`. It may track opens and clicks, and choose other encodings.
    /// Text is written as 8bit if its lines allow that, to be readable. A file that SMTP2GO fetches
    /// from a URL is a reference (`message/external-body`).
    ///
    /// ```
    /// use smtp2go_sdk::Email;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mail = Email::new("noreply@example.com", "Hello").to("jane@example.net").text("Hello Jane");
    /// assert!(mail.to_mime()?.contains("Subject: Hello\r\n"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`to_json`](Self::to_json), and [`is_validation`](Error::is_validation) for a mail
    /// from a template, because only the API knows its subject and bodies.
    pub fn to_mime(&self) -> Result<String, Error> {
        check::run(|check| {
            if self.parts.template.is_some() {
                check.at("template_id", |check| {
                    check.problem("a mail from a template can't be shown as MIME: only the API has its content");
                });
            }
        })?;
        compose(&self.parts, &self.look_now()).map_err(Error::unreadable)
    }

    /// Inspects the files. Blocks.
    pub(super) fn look_now(&self) -> Files {
        Files::look_now(self.paths().map(Path::to_owned).collect())
    }
}

/// Composes the message of a mail without a template.
fn compose(parts: &EmailParts, files: &Files) -> Result<String, FieldError> {
    let mut message = format!("From: {}\r\n", address(&parts.sender));
    for (name, list) in [
        ("To", &parts.to),
        ("Cc", &parts.cc),
        ("Bcc", &parts.bcc),
        ("Reply-To", &parts.reply_to),
    ] {
        if !list.is_empty() {
            let addresses: Vec<_> = list.iter().map(address).collect();
            let addresses = addresses.join(",\r\n ");
            message.push_str(&format!("{name}: {addresses}\r\n"));
        }
    }
    message.push_str(&header("Subject", parts.subject().unwrap_or_default()));
    for (name, value) in parts.headers() {
        message.push_str(&header(name, value));
    }
    let has_key = |(name, _): (&str, &str)| name.trim().eq_ignore_ascii_case(IDEMPOTENCY_HEADER);
    if let Some(key) = parts.key().filter(|_| !parts.headers().any(has_key)) {
        message.push_str(&header(IDEMPOTENCY_HEADER, key));
    }
    message.push_str("MIME-Version: 1.0\r\n");
    message.push_str(&content(parts, files)?);
    Ok(message)
}

/// Returns the entity with the bodies and files of a mail.
fn content(parts: &EmailParts, files: &Files) -> Result<String, FieldError> {
    let mut html = parts.html().map(|html| text("html", html));
    if !parts.inlines.is_empty() {
        let images = entities("inlines", "inline", &parts.inlines, files)?;
        html = Some(multipart(
            "related",
            html.into_iter().chain(images).collect(),
        ));
    }
    let plain = parts.text().map(|plain| text("plain", plain));
    let bodies = match (plain, html) {
        (Some(plain), Some(html)) => multipart("alternative", vec![plain, html]),
        (plain, html) => plain.or(html).unwrap_or_else(|| text("plain", "")),
    };
    if parts.attachments.is_empty() {
        return Ok(bodies);
    }
    let attached = entities("attachments", "attachment", &parts.attachments, files)?;
    Ok(multipart(
        "mixed",
        [bodies].into_iter().chain(attached).collect(),
    ))
}

/// Returns a multipart entity. Its boundary does not occur in the parts.
fn multipart(subtype: &str, parts: Vec<String>) -> String {
    let mut number = 0;
    let boundary = loop {
        let boundary = format!("=_part{number}");
        if !parts.iter().any(|part| part.contains(&boundary)) {
            break boundary;
        }
        number += 1;
    };
    let mut entity = format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"\r\n\r\n");
    for part in parts {
        entity.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    entity.push_str(&format!("--{boundary}--\r\n"));
    entity
}

/// Returns a body as an entity.
fn text(subtype: &str, text: &str) -> String {
    let text = text.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n");
    let fits = text.lines().all(|line| line.len() <= LONGEST_LINE);
    let encoding = match (fits, text.is_ascii()) {
        (true, true) => "7bit",
        (true, false) => "8bit",
        (false, _) => "base64",
    };
    let body = if fits { text } else { base64(text.as_bytes()) };
    format!(
        "Content-Type: text/{subtype}; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n"
    )
}

/// Returns files as entities. `field` is the name of the list in errors.
fn entities(
    field: &str,
    disposition: &str,
    list: &[Attachment],
    files: &Files,
) -> Result<Vec<String>, FieldError> {
    let entity = |(index, file): (usize, &Attachment)| {
        let name = parameter("filename", &file.filename);
        let mut head = format!("Content-Disposition: {disposition}; {name}\r\n");
        if disposition == "inline" {
            head.push_str(&format!("Content-ID: <{}>\r\n", file.filename));
        }
        let given = file.mimetype.as_deref();
        match &file.source {
            AttachmentSource::Content(content) => {
                let content = content.sized(&format!("{field}[{index}]"), files)?;
                let media_type = given.unwrap_or_else(|| guess(&file.filename, content.start()));
                let body = base64(&content.read_now()?);
                Ok(format!(
                    "Content-Type: {media_type}\r\n{head}\
                     Content-Transfer-Encoding: base64\r\n\r\n{body}\r\n"
                ))
            }
            AttachmentSource::Url(url) => {
                let media_type = given.unwrap_or_else(|| guess(&file.filename, &[]));
                Ok(format!(
                    "Content-Type: message/external-body; access-type=URL; URL=\"{url}\"\r\n{head}\
                     \r\nContent-Type: {media_type}\r\n\r\n"
                ))
            }
        }
    };
    list.iter().enumerate().map(entity).collect()
}

/// Returns a line of a header, in encoded words if it needs them.
fn header(name: &str, value: &str) -> String {
    format!("{name}: {}\r\n", encoded(value))
}

/// Returns an address with its name, in encoded words if it needs them.
fn address(mailbox: &Mailbox) -> String {
    match mailbox.name() {
        Some(name) if needs_encoding(name) => format!("{} <{}>", encoded(name), mailbox.address()),
        _ => mailbox.to_string(),
    }
}

/// Whether a text must be encoded in a header.
fn needs_encoding(text: &str) -> bool {
    !text.is_ascii() || text.contains("=?")
}

/// Returns a text as encoded words (RFC 2047), if it needs them.
fn encoded(text: &str) -> String {
    if !needs_encoding(text) {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for character in text.chars() {
        if word.len() + character.len_utf8() > ENCODED_WORD {
            words.push(std::mem::take(&mut word));
        }
        word.push(character);
    }
    words.push(word);
    let words = words
        .iter()
        .map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word)));
    words.collect::<Vec<_>>().join("\r\n ")
}

/// Returns a parameter of a header, encoded by RFC 2231 if necessary.
fn parameter(name: &str, value: &str) -> String {
    if value.is_ascii() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"");
        return format!("{name}=\"{value}\"");
    }
    format!(
        "{name}*=UTF-8''{}",
        utf8_percent_encode(value, NON_ALPHANUMERIC)
    )
}

/// Returns base64, split into lines.
fn base64(bytes: &[u8]) -> String {
    // A line is the base64 of a multiple of three bytes.
    let lines = bytes
        .chunks(BASE64_LINE / 4 * 3)
        .map(|line| STANDARD.encode(line));
    lines.collect::<Vec<_>>().join("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> Email {
        Email::new("Acme <noreply@example.com>", "Your order").to("jane@example.net")
    }

    #[test]
    fn message_has_every_part_of_the_mail() {
        let mail = mail()
            .to(("Jürgen", "juergen@example.net"))
            .cc(("Doe, John", "john@example.net"))
            .bcc("archive@example.com")
            .reply_to("support@example.com")
            .subject("Größe")
            .header("X-Order", "42")
            .idempotency_key("order-42")
            .text("Hello\nJane =_part0")
            .html("<img src=\"cid:logo.png\">ß")
            .inline(Attachment::from_bytes("logo.png", &b"\x89PNG"[..]))
            .attach(Attachment::from_bytes("größe.csv", "a,b\n"))
            .attach(Attachment::from_url(
                "terms.pdf",
                "https://example.com/terms.pdf",
            ));
        let expected = "\
From: Acme <noreply@example.com>
To: jane@example.net,
 =?UTF-8?B?SsO8cmdlbg==?= <juergen@example.net>
Cc: \"Doe, John\" <john@example.net>
Bcc: archive@example.com
Reply-To: support@example.com
Subject: =?UTF-8?B?R3LDtsOfZQ==?=
X-Order: 42
X-Idempotency-Key: order-42
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=\"=_part2\"

--=_part2
Content-Type: multipart/alternative; boundary=\"=_part1\"

--=_part1
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 7bit

Hello
Jane =_part0

--=_part1
Content-Type: multipart/related; boundary=\"=_part0\"

--=_part0
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: 8bit

<img src=\"cid:logo.png\">ß

--=_part0
Content-Type: image/png
Content-Disposition: inline; filename=\"logo.png\"
Content-ID: <logo.png>
Content-Transfer-Encoding: base64

iVBORw==

--=_part0--

--=_part1--

--=_part2
Content-Type: text/csv
Content-Disposition: attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe%2Ecsv
Content-Transfer-Encoding: base64

YSxiCg==

--=_part2
Content-Type: message/external-body; access-type=URL; URL=\"https://example.com/terms.pdf\"
Content-Disposition: attachment; filename=\"terms.pdf\"

Content-Type: application/pdf


--=_part2--
";
        assert_eq!(mail.to_mime().unwrap(), expected.replace('\n', "\r\n"));
    }

    #[test]
    fn message_with_long_lines_is_encoded_in_short_ones() {
        let line = "é".repeat(500);
        let message = mail().subject(&line).text(&line).to_mime().unwrap();
        assert!(message.is_ascii(), "{message}");
        assert!(message.lines().all(|line| line.len() <= 76), "{message}");
        assert!(
            message.contains("Content-Transfer-Encoding: base64"),
            "{message}"
        );
    }

    #[test]
    fn json_has_the_whole_content_and_the_stated_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.csv");
        std::fs::write(&path, "month,mails\n").unwrap();
        let mail = mail().text("Hello").attach(Attachment::from_path(&path));
        let json = mail.to_json().unwrap();
        assert_eq!(json.len() as u64, mail.size().unwrap());
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["attachments"][0]["fileblob"], "bW9udGgsbWFpbHMK");
        assert_eq!(value["subject"], "Your order");
        std::fs::remove_file(&path).unwrap();
        for error in [mail.to_json().unwrap_err(), mail.to_mime().unwrap_err()] {
            assert_eq!(error.field_errors()[0].field, "attachments[0]");
        }
    }

    #[test]
    fn reader_or_template_is_an_error_that_names_the_field() {
        let reader = Attachment::from_blocking_reader("a.txt", &b"abc"[..], 3);
        let mail = mail().text("Hello").attach(reader);
        for error in [mail.to_json().unwrap_err(), mail.to_mime().unwrap_err()] {
            assert_eq!(error.field_errors()[0].field, "attachments[0]");
            assert!(error.to_string().contains("only once"), "{error}");
        }
        // The reader was not read.
        assert!(mail.size().is_ok());
        let error = Email::from_template("a@example.com", "welcome")
            .to_mime()
            .unwrap_err();
        assert!(error.is_validation(), "{error}");
        assert_eq!(error.field_errors()[0].field, "template_id");
    }
}
