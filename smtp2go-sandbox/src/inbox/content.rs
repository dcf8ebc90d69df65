//! What is in a mail: its text, its HTML, its files and its headers, whichever way it was sent.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::raw::Raw;
use mail_parser::{Message, MessageParser, MimeHeaders as _, PartType};

use crate::mail::Mail;

/// What an inline image is shown by begins with this.
const CID: &str = "cid:";

/// How many bytes the inline images of a mail may come to in its frame, each as often as it is shown.
const INLINED: usize = 32 * 1024 * 1024;

/// What a frame begins with whose images are more than that.
const LEFT_OUT: &str =
    "<p>[Some inline images are not shown: together they have more than 32 MiB.]</p>";

/// The parts of a mail.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) html: Option<String>,
    pub(super) text: Option<String>,
    pub(super) files: Vec<File>,
}

/// An attachment or an inline image.
#[derive(Debug, PartialEq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) bytes: Vec<u8>,
    /// What HTML shows it by, after `cid:`.
    pub(super) cid: Option<String>,
    /// Where it would be fetched from; the sandbox fetches nothing.
    pub(super) url: Option<String>,
}

impl Content {
    pub(super) fn of(mail: &Mail) -> Self {
        match mail.mime() {
            Some(mime) => Self::of_mime(&mime),
            None => Self::of_request(mail),
        }
    }

    fn of_request(mail: &Mail) -> Self {
        let inlines = mail.inlines().into_iter().map(|file| (true, file));
        let attached = mail.attachments().into_iter().map(|file| (false, file));
        let files = inlines.chain(attached).map(|(inline, file)| File {
            cid: inline.then(|| file.filename.clone()),
            name: file.filename,
            kind: file.mimetype.unwrap_or_default(),
            bytes: file.content,
            url: file.url,
        });
        Self {
            html: mail.html_body().map(str::to_owned),
            text: mail.text_body().map(str::to_owned),
            files: files.collect(),
        }
    }

    fn of_mime(mime: &[u8]) -> Self {
        let Some(message) = MessageParser::default().parse(mime) else {
            let text = String::from_utf8_lossy(mime).into_owned();
            return Self {
                text: Some(text),
                ..Self::default()
            };
        };
        // The parser makes up the HTML of a text, and the text of HTML: only what is there counts.
        let mut content = Self::default();
        for id in message.html_body.iter().chain(&message.text_body) {
            match message.parts.get(*id as usize).map(|part| &part.body) {
                Some(PartType::Html(html)) => {
                    content.html.get_or_insert_with(|| html.to_string());
                }
                Some(PartType::Text(text)) => {
                    content.text.get_or_insert_with(|| text.to_string());
                }
                _ => {}
            }
        }
        let mut number = 0;
        content.files = message
            .attachments()
            .map(|part| {
                number += 1;
                let kind = part.content_type().map(|kind| match kind.subtype() {
                    Some(subtype) => format!("{}/{subtype}", kind.ctype()),
                    None => kind.ctype().to_owned(),
                });
                let name = part.attachment_name().map(str::to_owned);
                File {
                    name: name.unwrap_or_else(|| format!("part-{number}")),
                    kind: kind.unwrap_or_default(),
                    bytes: part.contents().to_vec(),
                    cid: part.content_id().map(str::to_owned),
                    url: None,
                }
            })
            .collect();
        take_apart(message);
        content
    }
}

/// Drops a message without calling itself for each message in a message, of which there may be more
/// than the stack has room for.
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

impl File {
    /// The image as an address that holds all of it; `None` if it is no image.
    fn data_url(&self) -> Option<String> {
        let kind = if self.kind.is_empty() {
            kind_by_name(&self.name)
        } else {
            &self.kind
        };
        let subtype = kind.strip_prefix("image/")?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        let safe = !subtype.is_empty() && subtype.bytes().all(plain);
        safe.then(|| format!("data:{kind};base64,{}", STANDARD.encode(&self.bytes)))
    }
}

fn kind_by_name(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        _ => "",
    }
}

/// The subject of a mail as people read it.
pub(super) fn subject(mail: &Mail) -> String {
    let decoded = mail.mime().and_then(|mime| {
        let message = MessageParser::default().parse_headers(&mime)?;
        message.subject().map(str::to_owned)
    });
    decoded.unwrap_or_else(|| mail.subject().unwrap_or_default().to_owned())
}

/// An address or several as people read them: encoded words of a MIME message are decoded.
pub(super) fn readable(mail: &Mail, mailbox: &str) -> String {
    if !mail.is_mime() || !mailbox.contains("=?") {
        return mailbox.to_owned();
    }
    let header = format!("Subject: {}\r\n\r\n", mailbox.replace(['\r', '\n'], " "));
    let message = MessageParser::default().parse_headers(header.as_bytes());
    let decoded = message.as_ref().and_then(Message::subject);
    decoded.unwrap_or(mailbox).to_owned()
}

/// The mail as a MIME message: as it was sent, or as it would be made of the request.
pub(super) fn raw(mail: &Mail) -> Cow<'_, [u8]> {
    if let Some(mime) = mail.mime() {
        return mime.into();
    }
    let content = Content::of_request(mail);
    let mut builder = MessageBuilder::new();
    for (name, value) in mail.headers() {
        let value = value.replace(['\r', '\n'], " ");
        let header: HeaderType<'_> = if value.is_ascii() {
            Raw::new(value).into()
        } else {
            mail_builder::headers::text::Text::new(value).into()
        };
        builder = builder.header(name, header);
    }
    if let Some(text) = content.text {
        builder = builder.text_body(text);
    }
    if let Some(html) = content.html {
        builder = builder.html_body(html);
    }
    // Files that are given by an address are not fetched, and so are not in it.
    for file in content.files.into_iter().filter(|file| file.url.is_none()) {
        let kind = match file.kind.as_str() {
            "" => "application/octet-stream".to_owned(),
            kind => kind.replace(['\r', '\n'], " "),
        };
        builder = match file.cid {
            Some(cid) => builder.inline(kind, cid, file.bytes),
            None => builder.attachment(kind, file.name, file.bytes),
        };
    }
    match builder.write_to_vec() {
        Ok(bytes) => bytes.into(),
        // It writes to memory.
        Err(_) => Cow::Borrowed(b""),
    }
}

/// The HTML of a mail for a frame: with its inline images in it, and links that open elsewhere.
///
/// This is not what makes it safe: the frame and its policy do. But no policy covers the hints that
/// make a browser connect (`<link rel=preconnect>`), nor what a nested frame has of them, so that
/// unless remote content is wanted these elements become others that mean nothing.
pub(super) fn for_frame(content: &Content, remote: bool) -> String {
    let mut html = Cow::Borrowed(content.html.as_deref().unwrap_or_default());
    if !remote {
        for name in ["link", "iframe", "frame", "frameset", "object", "embed"] {
            html = rename(&html, name).into();
        }
    }
    let (html, complete) = with_inlines(&html, &content.files);
    let note = if complete { "" } else { LEFT_OUT };
    // The first one counts, and the policy forbids an address in it.
    format!("<!doctype html><meta charset=\"utf-8\"><base target=\"_blank\">{note}{html}")
}

/// Puts inline images in the place of `cid:` and their names, until they come to [`INLINED`] bytes;
/// whether all found room. A mail may show an image many thousand times.
fn with_inlines(html: &str, files: &[File]) -> (String, bool) {
    let files = files
        .iter()
        .filter_map(|file| Some((file.cid.as_deref()?, file)));
    let mut images: HashMap<&str, Image<'_>> = HashMap::new();
    for (cid, file) in files.filter(|(cid, _)| !cid.is_empty()) {
        images.entry(cid).or_insert(Image { file, url: None });
    }
    let mut inlined = String::with_capacity(html.len());
    let (mut rest, mut room, mut complete) = (html, INLINED, true);
    while let Some(place) = rest.find(CID) {
        let (before, after) = rest.split_at(place);
        let after = after.get(CID.len()..).unwrap_or_default();
        let name = address(before.chars().next_back(), after);
        let url = images.get_mut(name).map(Image::url).unwrap_or_default();
        inlined.push_str(before);
        if url.is_empty() || url.len() > room {
            complete &= url.is_empty();
            inlined.push_str(CID);
            inlined.push_str(name);
        } else {
            room -= url.len();
            inlined.push_str(url);
        }
        rest = after.get(name.len()..).unwrap_or_default();
    }
    inlined.push_str(rest);
    (inlined, complete)
}

/// An inline image, and the address that holds all of it, once it is needed.
struct Image<'a> {
    file: &'a File,
    url: Option<String>,
}

impl Image<'_> {
    /// Empty if it is no image.
    fn url(&mut self) -> &str {
        let file = self.file;
        self.url
            .get_or_insert_with(|| file.data_url().unwrap_or_default())
    }
}

/// The beginning of a text up to where an address ends: at the quote that comes before it, or else at
/// what ends an address without quotes.
fn address(before: Option<char>, text: &str) -> &str {
    let end = match before {
        Some(quote @ ('"' | '\'')) => text.find(quote),
        _ => {
            text.find(|character: char| character.is_whitespace() || "\"'<>()&".contains(character))
        }
    };
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Renames an element wherever a tag of it may begin.
fn rename(html: &str, name: &str) -> String {
    let mut renamed = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(place) = rest.find('<') {
        let (before, tag) = rest.split_at(place);
        renamed.push_str(before);
        let start = if tag.starts_with("</") { 2 } else { 1 };
        let is_it = tag
            .get(start..start + name.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(name));
        let after = tag
            .get(start + name.len()..)
            .and_then(|rest| rest.bytes().next());
        let ends = after.is_none_or(|byte| !byte.is_ascii_alphanumeric() && byte != b'-');
        if is_it && ends {
            renamed.push_str(&tag[..start]);
            renamed.push_str("x-");
        } else {
            renamed.push_str(&tag[..start.min(tag.len())]);
        }
        rest = tag.get(start..).unwrap_or_default();
    }
    renamed.push_str(rest);
    renamed
}

/// HTML without its tags, well enough to search in.
pub(super) fn without_tags(html: &str) -> String {
    let mut text = String::with_capacity(html.len() / 2);
    let mut inside = false;
    for character in html.chars() {
        match character {
            '<' => inside = true,
            '>' if inside => {
                inside = false;
                text.push(' ');
            }
            _ if !inside => text.push(character),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_that_connect_are_renamed() {
        for (html, expected) in [
            ("<link rel=x>", "<x-link rel=x>"),
            ("a<LiNk/rel=x></LINK>", "a<x-LiNk/rel=x></x-LINK>"),
            ("<linked>", "<linked>"),
            ("<link-x>", "<link-x>"),
            ("<", "<"),
            ("</", "</"),
            ("<link", "<x-link"),
            ("<é><link\u{c}>", "<é><x-link\u{c}>"),
            ("<<link>", "<<x-link>"),
            ("a < b, <p>c</p>", "a < b, <p>c</p>"),
        ] {
            assert_eq!(rename(html, "link"), expected);
        }
    }

    #[test]
    fn inline_images_are_put_in() {
        let content = Content {
            html: Some("<img src='cid:logo.png'><iframe src=x></iframe>".to_owned()),
            files: vec![
                File {
                    name: "logo.png".to_owned(),
                    kind: String::new(),
                    bytes: b"hi".to_vec(),
                    cid: Some("logo.png".to_owned()),
                    url: None,
                },
                File {
                    name: "x".to_owned(),
                    kind: "text/html".to_owned(),
                    bytes: b"hi".to_vec(),
                    cid: Some("x".to_owned()),
                    url: None,
                },
            ],
            text: None,
        };
        let html = for_frame(&content, false);
        assert!(
            html.contains("<img src='data:image/png;base64,aGk='>"),
            "{html}"
        );
        assert!(html.contains("<x-iframe src=x></x-iframe>"), "{html}");
    }

    #[test]
    fn references_are_read_as_a_browser_does() {
        let file = |cid: &str| File {
            name: cid.to_owned(),
            kind: "image/png".to_owned(),
            bytes: b"hi".to_vec(),
            cid: Some(cid.to_owned()),
            url: None,
        };
        let files = ["a", "a.png", "my logo.png"].map(file);
        for (html, expected) in [
            ("<img src=cid:a>", "<img src=U>"),
            (
                "<img src='cid:a.png' alt='cid:b'>",
                "<img src='U' alt='cid:b'>",
            ),
            ("<img src=\"cid:my logo.png\">", "<img src=\"U\">"),
            (
                "<p style=\"background: url(cid:a)\">",
                "<p style=\"background: url(U)\">",
            ),
            ("url(&quot;cid:a&quot;)", "url(&quot;U&quot;)"),
            ("cid:cid:a cid:", "cid:cid:a cid:"),
            ("\"cid:a", "\"U"),
        ] {
            let (inlined, complete) = with_inlines(html, &files);
            let inlined = inlined.replace("data:image/png;base64,aGk=", "U");
            assert_eq!((inlined.as_str(), complete), (expected, true));
        }
    }

    #[test]
    fn images_beyond_the_limit_are_left_out() {
        let content = Content {
            html: Some("<img src=cid:a>".repeat(40)),
            files: vec![File {
                name: "a".to_owned(),
                kind: "image/png".to_owned(),
                bytes: vec![0; 1024 * 1024],
                cid: Some("a".to_owned()),
                url: None,
            }],
            text: None,
        };
        let html = for_frame(&content, false);
        assert!(html.len() < INLINED + 4096 && html.contains(LEFT_OUT));
        assert_eq!(html.matches("<img src=data:").count(), 23);
    }

    #[test]
    fn a_message_is_taken_apart() {
        let mime =
            b"From: a@example.com\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\n\
            Content-Type: multipart/mixed; boundary=x\r\n\r\n\
            --x\r\nContent-Type: text/html; charset=iso-8859-1\r\n\r\n<p>caf\xe9</p>\r\n\
            --x\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Disposition: inline; \
            filename=logo.png\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=\r\n--x--\r\n";
        let content = Content::of_mime(mime);
        assert_eq!(content.html.as_deref().map(str::trim), Some("<p>café</p>"));
        assert_eq!(content.text, None);
        let file = &content.files[0];
        assert_eq!(
            (file.name.as_str(), file.kind.as_str()),
            ("logo.png", "image/png")
        );
        assert_eq!(
            (file.cid.as_deref(), file.bytes.as_slice()),
            (Some("logo"), &b"hi"[..])
        );
    }
}
