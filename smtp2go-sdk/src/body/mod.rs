//! Request bodies.

pub(crate) mod content;
pub(crate) mod json;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde_core::Serialize;

use self::content::Piece;
use self::json::write_string;
use crate::error::{Error, Kind};

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
    content: Content,
}

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    /// Partly read while it is sent.
    Pieces(Arc<[Piece]>),
}

impl Body {
    /// The body without arguments, `{}`.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            content: Content::Bytes(Bytes::from_static(b"{}")),
        }
    }

    /// Serialises a value.
    ///
    /// # Errors
    /// If the value's `Serialize` fails, or a map in it has keys that JSON can't hold.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        // Room for most requests, so that it need not grow.
        let mut bytes = Vec::with_capacity(1024);
        match serde_json::to_writer(&mut bytes, value) {
            Ok(()) => Ok(bytes.into()),
            Err(error) => Err(Error::not_sent(Kind::Serialize).with_source(error)),
        }
    }

    /// The bytes to send, if they are all there already.
    pub(crate) fn into_bytes(self) -> Option<Bytes> {
        match self.content {
            Content::Bytes(bytes) => Some(bytes),
            Content::Pieces(_) => None,
        }
    }

    /// A body that is partly read while it is sent. Its first piece is the start of the object, and
    /// its last one is not empty.
    pub(crate) fn from_pieces(pieces: Vec<Piece>) -> Self {
        Self {
            content: Content::Pieces(pieces.into()),
        }
    }

    /// What to send, before the key goes in where it has to. The same each time, unless the body
    /// is not [`rewindable`](Self::rewindable).
    pub(crate) fn into_pieces(self) -> Arc<[Piece]> {
        match self.content {
            Content::Bytes(bytes) => Arc::new([Piece::Bytes(bytes)]),
            Content::Pieces(pieces) => pieces,
        }
    }

    /// How many bytes are sent, before the key goes in.
    pub(crate) fn size(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::Pieces(pieces) => pieces.iter().map(Piece::size).sum(),
        }
    }

    /// Whether the same bytes can be sent again: not with a reader, which is used up after once.
    pub(crate) fn rewindable(&self) -> bool {
        match &self.content {
            Content::Bytes(_) => true,
            Content::Pieces(pieces) => pieces.iter().all(Piece::rewindable),
        }
    }

    /// The same JSON object with one more member, its first. `None` if the body does not start an
    /// object.
    pub(crate) fn with_member(self, member: &str, value: &str) -> Option<Self> {
        let pieces = self.into_pieces();
        let (Piece::Bytes(start), rest) = pieces.split_first()? else {
            return None;
        };
        let mut pieces = inject(start, member, value)?.map(Piece::Bytes).to_vec();
        pieces.extend_from_slice(rest);
        Some(Self::from_pieces(pieces))
    }
}

/// The JSON object `body` with one more member, its first, in two pieces: nothing is parsed, and
/// what follows the brace is not copied. `None` if `body` does not start an object.
fn inject(body: &Bytes, member: &str, value: &str) -> Option<[Bytes; 2]> {
    let mut unspaced = body
        .iter()
        .enumerate()
        .filter(|(_, byte)| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    let (brace, b'{') = unspaced.next()? else {
        return None;
    };
    let comma = match unspaced.next()? {
        (_, b'}') => &b""[..],
        _ => b",",
    };
    let mut head = Vec::with_capacity(member.len() + value.len() + 8);
    head.push(b'{');
    write_string(&mut head, member);
    head.push(b':');
    write_string(&mut head, value);
    head.extend_from_slice(comma);
    Some([Bytes::from(head), body.slice(brace + 1..)])
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
            Self {
                content: Content::Bytes(bytes),
            }
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

/// Shows the size only, and whether it can be sent just once.
impl fmt::Debug for Body {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let once = if self.rewindable() { "" } else { ", once" };
        write!(f, "Body({} bytes{once})", self.size())
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
            let pieces = body.into_pieces();
            assert!(matches!(&*pieces, [Piece::Bytes(bytes)] if bytes == "{}"));
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
