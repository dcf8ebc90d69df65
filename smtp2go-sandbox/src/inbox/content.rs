//! Splits a mail into its text, its HTML and its files, whether it was sent as fields or as MIME.

use std::borrow::Cow;
use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mail_builder::MessageBuilder;
use mail_builder::headers::HeaderType;
use mail_builder::headers::raw::Raw;

use crate::mail::{Attachment, Mail};

/// Scheme of references to inline images.
const CID: &str = "cid:";

/// Maximum total size in bytes of the inline images in a mail's frame. An image counts each time it
/// is shown.
const INLINED: usize = 32 * 1024 * 1024;

/// Note at the top of a frame whose images exceed [`INLINED`].
const LEFT_OUT: &str =
    "<p>[Some inline images are not shown: their total size exceeds 32 MiB.]</p>";

/// The parts of a mail.
#[derive(Debug, Default)]
pub(super) struct Content<'a> {
    pub(super) html: Option<&'a str>,
    pub(super) text: Option<&'a str>,
    /// Inline images, then attachments.
    pub(super) files: Vec<Attachment>,
}

impl<'a> Content<'a> {
    pub(super) fn of(mail: &'a Mail) -> Self {
        let mut files = mail.inlines();
        files.append(&mut mail.attachments());
        Self {
            html: mail.html_body(),
            text: mail.text_body(),
            files,
        }
    }

    /// Size in bytes of the HTML and of the inline images.
    pub(super) fn shown_bytes(&self) -> usize {
        let images = self.files.iter().filter(|file| file.content_id.is_some());
        self.html.map_or(0, str::len) + images.map(|file| file.content.len()).sum::<usize>()
    }
}

/// Returns the image as a `data:` URL. `None` if the file is not an image.
fn data_url(file: &Attachment) -> Option<String> {
    let kind = match file.mimetype.as_deref() {
        None | Some("") => kind_by_name(&file.filename),
        Some(kind) => kind,
    };
    let subtype = kind.strip_prefix("image/")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let safe = !subtype.is_empty() && subtype.bytes().all(plain);
    safe.then(|| format!("data:{kind};base64,{}", STANDARD.encode(&file.content)))
}

/// Returns the media type of an image by its name. Empty if it is not an image.
pub(super) fn kind_by_name(name: &str) -> &'static str {
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

/// Returns the MIME message that was sent, or builds one from the request's fields.
pub(super) fn raw(mail: &Mail) -> Cow<'_, [u8]> {
    if let Some(mime) = mail.mime() {
        return mime.into();
    }
    let content = Content::of(mail);
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
    // Files that are given by a URL are left out, because the sandbox does not fetch them.
    for file in content.files.into_iter().filter(|file| file.url.is_none()) {
        let kind = match file.mimetype.as_deref() {
            None | Some("") => "application/octet-stream".to_owned(),
            Some(kind) => kind.replace(['\r', '\n'], " "),
        };
        builder = match file.content_id {
            Some(cid) => builder.inline(kind, cid, file.content),
            None => builder.attachment(kind, file.filename, file.content),
        };
    }
    match builder.write_to_vec() {
        Ok(bytes) => bytes.into(),
        // Writing to memory does not fail.
        Err(_) => Cow::Borrowed(b""),
    }
}

/// Prepares the HTML of a mail for its frame: embeds inline images, and makes links open in a new
/// window.
///
/// Safety comes from the frame and its content security policy. But no policy covers hints that make a
/// browser connect, such as `<link rel=preconnect>`, in the HTML or in a nested frame. Therefore,
/// unless `remote` is set, `<link>` and the elements that nest a page are renamed to unknown elements.
pub(super) fn for_frame(content: &Content<'_>, remote: bool) -> String {
    let mut html = Cow::Borrowed(content.html.unwrap_or_default());
    if !remote {
        for name in ["link", "iframe", "frame", "frameset", "object", "embed"] {
            html = rename(&html, name).into();
        }
    }
    let (html, complete) = with_inlines(&html, &content.files);
    let note = if complete { "" } else { LEFT_OUT };
    // Browsers use the first `<base>`. The policy forbids an `href` in those of the mail.
    format!("<!doctype html><meta charset=\"utf-8\"><base target=\"_blank\">{note}{html}")
}

/// Replaces `cid:` references by the images, up to [`INLINED`] bytes in total: a mail may show an
/// image many thousand times. Returns whether all images fit.
fn with_inlines(html: &str, files: &[Attachment]) -> (String, bool) {
    let files = files
        .iter()
        .filter_map(|file| Some((file.content_id.as_deref()?, file)));
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

/// An inline image, with its `data:` URL after the first use.
struct Image<'a> {
    file: &'a Attachment,
    url: Option<String>,
}

impl Image<'_> {
    /// Returns the `data:` URL. Empty if the file is not an image.
    fn url(&mut self) -> &str {
        let file = self.file;
        self.url
            .get_or_insert_with(|| data_url(file).unwrap_or_default())
    }
}

/// Returns the URL at the start of `text`. If the character `before` the URL is a quote, the URL ends
/// at the next such quote. Otherwise it ends at a character that an unquoted URL can't contain.
fn address(before: Option<char>, text: &str) -> &str {
    let end = match before {
        Some(quote @ ('"' | '\'')) => text.find(quote),
        _ => {
            text.find(|character: char| character.is_whitespace() || "\"'<>()&".contains(character))
        }
    };
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// Renames an element at every place where one of its tags may start.
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

/// Removes the tags from HTML, precisely enough for a search.
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

    fn image(name: &str, kind: &str, content: Vec<u8>) -> Attachment {
        Attachment {
            filename: name.to_owned(),
            mimetype: Some(kind.to_owned()),
            content,
            content_id: Some(name.to_owned()),
            url: None,
        }
    }

    #[test]
    fn only_tags_of_the_element_are_renamed() {
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
    fn frame_embeds_inline_images_and_disables_iframes() {
        let content = Content {
            html: Some("<img src='cid:logo.png'><iframe src=x></iframe>"),
            files: vec![
                image("logo.png", "", b"hi".to_vec()),
                image("x", "text/html", b"hi".to_vec()),
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
    fn cid_reference_ends_at_its_quote_or_delimiter() {
        let file = |name: &str| image(name, "image/png", b"hi".to_vec());
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
    fn images_beyond_32_mib_are_left_out_with_a_note() {
        let html = "<img src=cid:a>".repeat(40);
        let content = Content {
            html: Some(&html),
            files: vec![image("a", "image/png", vec![0; 1024 * 1024])],
            text: None,
        };
        let html = for_frame(&content, false);
        assert!(html.len() < INLINED + 4096 && html.contains(LEFT_OUT));
        assert_eq!(html.matches("<img src=data:").count(), 23);
    }
}
