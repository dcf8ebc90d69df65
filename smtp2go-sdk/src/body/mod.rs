//! Request bodies.

pub(crate) mod content;
pub(crate) mod json;
pub(crate) mod read;

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_core::Serialize;

use crate::body::content::SizedContent;
use crate::body::json::write_string;
use crate::error::ErrorKind;
use crate::{Error, FieldError};

/// The body of a request: a JSON object.
///
/// The API requires an object in every request, so an empty body is sent as `{}`. Cheap to clone.
///
/// ```
/// use smtp2go_sdk::Body;
///
/// let written = Body::from(r#"{"id":"welcome"}"#);
/// let serialised = Body::json(&std::collections::BTreeMap::from([("id", "welcome")]))?;
/// # let _ = (written, serialised);
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
#[derive(Clone)]
pub struct Body {
    /// The start of the object. Never empty.
    start: Bytes,
    /// The parts after the start.
    rest: Vec<Part>,
}

/// A part of a request body.
#[derive(Clone)]
pub(crate) enum Part {
    /// Bytes that are sent unchanged.
    Bytes(Bytes),
    /// Content that is read and sent as base64.
    Base64(SizedContent),
}

impl Part {
    /// Number of bytes as sent.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Base64(content) => content.size().div_ceil(3).saturating_mul(4),
        }
    }
}

impl Body {
    /// The body without arguments, `{}`.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            start: Bytes::from_static(b"{}"),
            rest: Vec::new(),
        }
    }

    /// Serialises a value.
    ///
    /// # Errors
    /// If the value's `Serialize` fails, or a map in it has keys that JSON can't hold.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        // Enough for most requests without growing.
        let mut bytes = Vec::with_capacity(1024);
        match serde_json::to_writer(&mut bytes, value) {
            Ok(()) => Ok(bytes.into()),
            Err(error) => Err(Error::not_sent(ErrorKind::Serialize).with_source(error)),
        }
    }

    /// Returns the bytes, if the body is in one part.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        self.rest.is_empty().then_some(self.start)
    }

    /// Returns the parts. The last one is not empty.
    pub(crate) fn into_parts(self) -> Arc<[Part]> {
        [Part::Bytes(self.start)]
            .into_iter()
            .chain(self.rest)
            .collect()
    }

    /// Puts a member at the front of the object, without copying the rest. `None` if the body is
    /// not an object.
    pub(crate) fn with_member(mut self, name: &str, value: &str) -> Option<Self> {
        let mut tokens = self
            .start
            .iter()
            .enumerate()
            .filter(|(_, byte)| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
        let (brace, b'{') = tokens.next()? else {
            return None;
        };
        let is_empty = matches!(tokens.next()?, (_, b'}'));
        let mut head = Vec::with_capacity(name.len() + value.len() + 8);
        head.push(b'{');
        write_string(&mut head, name);
        head.push(b':');
        write_string(&mut head, value);
        if !is_empty {
            head.push(b',');
        }
        self.rest
            .insert(0, Part::Bytes(self.start.slice(brace + 1..)));
        self.start = head.into();
        Some(self)
    }

    /// Number of bytes as sent.
    pub(crate) fn size(&self) -> u64 {
        self.start.len() as u64 + self.rest.iter().map(Part::size).sum::<u64>()
    }

    /// Returns the whole text of the body, with all content. Blocks while it reads files.
    pub(crate) fn read_now(&self) -> Result<String, FieldError> {
        let mut text = String::from_utf8_lossy(&self.start).into_owned();
        for part in &self.rest {
            match part {
                Part::Bytes(bytes) => text.push_str(&String::from_utf8_lossy(bytes)),
                Part::Base64(content) => STANDARD.encode_string(content.read_now()?, &mut text),
            }
        }
        Ok(text)
    }

    /// Whether the body can be sent again. A reader can be read only once.
    pub(crate) fn is_rewindable(&self) -> bool {
        self.rest.iter().all(|part| match part {
            Part::Bytes(_) => true,
            Part::Base64(content) => content.is_rewindable(),
        })
    }
}

#[cfg(test)]
impl Body {
    /// Returns the text of a body, with the first bytes of content in place of its base64.
    pub(crate) fn into_text(self) -> String {
        let parts = self.into_parts();
        let texts = parts.iter().map(|part| match part {
            Part::Bytes(bytes) => bytes,
            Part::Base64(content) => content.start(),
        });
        texts.map(String::from_utf8_lossy).collect()
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        if bytes.is_empty() {
            return Self::empty();
        }
        Self {
            start: bytes,
            rest: Vec::new(),
        }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

/// Shows the size, and `once` if the body can be sent only once.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let once = if self.is_rewindable() { "" } else { ", once" };
        write!(f, "Body({} bytes{once})", self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_body_is_an_empty_object() {
        for body in [
            Body::empty(),
            Body::default(),
            "".into(),
            String::new().into(),
            vec![].into(),
        ] {
            assert_eq!(body.into_text(), "{}");
        }
    }

    #[test]
    fn debug_shows_only_the_size() {
        let body = Body::from(r#"{"secret":1}"#);
        assert_eq!(format!("{body:?}"), "Body(12 bytes)");
    }

    #[test]
    fn value_that_json_cannot_hold_is_an_error() {
        let map = std::collections::BTreeMap::from([(vec![1], 1)]);
        let error = Body::json(&map).unwrap_err();
        assert_eq!(error.certainty(), crate::Certainty::NotSent);
        assert_eq!(error.attempts(), 0);
    }

    #[test]
    fn member_is_put_at_the_front() {
        for (body, expected) in [
            ("{}", r#"{"k":"v"}"#),
            (" {\n }", "{\"k\":\"v\"\n }"),
            (r#"{"a":"{"}"#, r#"{"k":"v","a":"{"}"#),
            (r#"{ "a":1}"#, r#"{"k":"v", "a":1}"#),
        ] {
            let body = Body::from(body).with_member("k", "v").unwrap();
            assert_eq!(body.into_text(), expected);
        }
        for body in [" ", "[]", "null", "{", "{ ", "\"{}\""] {
            assert!(Body::from(body).with_member("k", "v").is_none(), "{body}");
        }
    }

    #[test]
    fn member_is_escaped() {
        let body = Body::empty().with_member("k\"", "a\"b\\c\n").unwrap();
        let value: serde_json::Value = serde_json::from_str(&body.into_text()).unwrap();
        assert_eq!(value["k\""], "a\"b\\c\n");
    }
}
