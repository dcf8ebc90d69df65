//! Request bodies.

use std::fmt;

use bytes::Bytes;
use serde::Serialize;

use crate::Error;
use crate::error::Kind;

/// The body of a request: a JSON object.
///
/// A call of this API always has one, so an empty body is sent as `{}`. Cheap to clone.
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
    bytes: Bytes,
}

impl Body {
    /// The body without arguments, `{}`.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bytes: Bytes::from_static(b"{}"),
        }
    }

    /// Serialises a value.
    ///
    /// # Errors
    /// If the value's `Serialize` fails, or a map in it has keys that JSON can't hold.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        match serde_json::to_vec(value) {
            Ok(bytes) => Ok(bytes.into()),
            Err(error) => Err(Error::not_sent(Kind::Serialize).with_source(error)),
        }
    }

    /// Whether the same bytes can be sent again, if an attempt fails.
    pub(crate) const fn is_replayable(&self) -> bool {
        true
    }

    /// The bytes to send, before the key goes in where it has to.
    pub(crate) fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        // What is never polled can't be sealed, see `wire`.
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self { bytes }
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

/// Shows the size only.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_bodies_become_an_empty_object() {
        for body in [
            Body::empty(),
            Body::default(),
            "".into(),
            String::new().into(),
            vec![].into(),
        ] {
            assert_eq!(body.into_bytes(), "{}");
        }
    }

    #[test]
    fn debug_shows_the_size_only() {
        assert_eq!(
            format!("{:?}", Body::from(r#"{"secret":1}"#)),
            "Body(12 bytes)"
        );
    }

    #[test]
    fn what_json_cannot_hold_is_an_error() {
        let map = std::collections::BTreeMap::from([(vec![1], 1)]);
        let error = Body::json(&map).unwrap_err();
        assert_eq!(error.certainty(), crate::Certainty::NotSent);
        assert_eq!(error.attempts(), 0);
    }
}
