//! Writes JSON into the parts of a body.

use bytes::Bytes;

use crate::body::content::SizedContent;
use crate::body::{Body, Part, write_string};

/// Writes a JSON object with content in between.
pub(crate) struct JsonWriter {
    /// The text before the first content.
    start: Option<Bytes>,
    /// The content so far, and the text between.
    rest: Vec<Part>,
    /// The text after it.
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

    /// Writes the name of a member. Its value follows.
    pub(crate) fn key(&mut self, name: &str) {
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

    /// Writes a comma, unless a member or an item is the first one, or a value follows its key.
    fn separate(&mut self) {
        if !matches!(self.text.last(), None | Some(b'{' | b'[' | b':')) {
            self.text.push(b',');
        }
    }

    /// Writes a string with the base64 of the content.
    pub(crate) fn base64(&mut self, content: SizedContent) {
        self.separate();
        self.text.push(b'"');
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
