//! Writes JSON into the parts of a body.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use memchr::memchr3;

use crate::body::content::SizedContent;
use crate::body::{Body, Part};

/// Writes a JSON object in which values can be content, such as files.
pub(crate) struct JsonWriter {
    /// The text before the first content.
    start: Option<Bytes>,
    /// The contents so far, alternating with the texts between them.
    rest: Vec<Part>,
    /// The text after the last content.
    text: Vec<u8>,
}

impl JsonWriter {
    /// Reserves space for `capacity` bytes of text.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            start: None,
            rest: Vec::new(),
            text: Vec::with_capacity(capacity),
        }
    }

    /// Opens an object or a list: `{` or `[`.
    pub(crate) fn open(&mut self, bracket: &str) {
        self.value(bracket);
    }

    /// Closes an object or a list: `}` or `]`.
    pub(crate) fn close(&mut self, bracket: &str) {
        self.text.extend_from_slice(bracket.as_bytes());
    }

    /// Writes the name of a member. The name must need no escaping, and the value must be written
    /// next.
    pub(crate) fn key(&mut self, name: &'static str) {
        self.separate();
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
    }

    /// Writes the name of a member, escaped if necessary. The value must be written next.
    pub(crate) fn any_key(&mut self, name: &str) {
        self.string(name);
        self.text.push(b':');
    }

    /// Writes a string.
    pub(crate) fn string(&mut self, text: &str) {
        self.separate();
        write_string(&mut self.text, text);
    }

    /// Writes JSON unchanged.
    pub(crate) fn value(&mut self, json: &str) {
        self.separate();
        self.text.extend_from_slice(json.as_bytes());
    }

    /// Writes a comma, except before the first member or item, and between a key and its value.
    fn separate(&mut self) {
        if !matches!(self.text.last(), None | Some(b'{' | b'[' | b':')) {
            self.text.push(b',');
        }
    }

    /// Writes a string with the base64 of the content.
    pub(crate) fn base64(&mut self, content: SizedContent) {
        self.base64_after("", content);
    }

    /// Writes a string with the base64 of a text and of the content that follows it. The length of
    /// the text must be a multiple of 3 bytes, since the two are encoded separately.
    pub(crate) fn base64_after(&mut self, text: &str, content: SizedContent) {
        self.separate();
        self.text.push(b'"');
        self.text
            .extend_from_slice(STANDARD.encode(text).as_bytes());
        let text = Bytes::from(std::mem::take(&mut self.text));
        if self.start.is_none() {
            self.start = Some(text);
        } else {
            self.rest.push(Part::Bytes(text));
        }
        self.rest.push(Part::Base64(content));
        self.text.push(b'"');
    }

    /// Returns the body. The text has to be a complete object.
    pub(crate) fn finish(mut self) -> Body {
        let text = Bytes::from(self.text);
        match self.start {
            None => text.into(),
            Some(start) => {
                self.rest.push(Part::Bytes(text));
                Body {
                    start,
                    rest: self.rest,
                }
            }
        }
    }
}

/// Writes a JSON string.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    let is_rare = |byte: &u8| *byte < 0x20 && *byte != b'\n';
    // Without an early exit, so that it is compiled to vector instructions.
    if bytes
        .iter()
        .fold(false, |found, byte| found | is_rare(byte))
    {
        // A write to a `Vec` never fails.
        let _ = serde_json::to_writer(out, text);
        return;
    }
    out.push(b'"');
    let mut rest = bytes;
    while let Some((before, [escaped, after @ ..])) =
        memchr3(b'"', b'\\', b'\n', rest).and_then(|at| rest.split_at_checked(at))
    {
        out.extend_from_slice(before);
        let letter = if *escaped == b'\n' { b'n' } else { *escaped };
        out.extend_from_slice(&[b'\\', letter]);
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_json_does() {
        let mut texts = vec![String::new(), "日本語 \"x\" é\u{2028}".to_owned()];
        for special in (0..0x100).filter_map(char::from_u32) {
            for place in 0..40 {
                texts.push(format!("{}{special}ab\"#\\]cd", "x".repeat(place)));
            }
        }
        for text in texts {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            // serde_json spells these two \b and \f.
            if !text.contains(['\u{8}', '\u{c}']) {
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
            }
        }
    }
}
