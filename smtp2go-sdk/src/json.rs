//! Writes JSON straight into the pieces of a body.

use bytes::Bytes;

use crate::Body;
use crate::blob::{Blob, Piece};

/// A body in the making: text, with blobs in between.
pub(crate) struct Writer {
    pieces: Vec<Piece>,
    text: Vec<u8>,
}

impl Writer {
    /// With room for so many bytes of text.
    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self {
            pieces: Vec::new(),
            text: Vec::with_capacity(capacity),
        }
    }

    /// Adds JSON as it is.
    pub(crate) fn raw(&mut self, json: &str) {
        self.text.extend_from_slice(json.as_bytes());
    }

    /// Adds a string.
    pub(crate) fn string(&mut self, text: &str) {
        write_string(&mut self.text, text);
    }

    /// Adds a string that holds the content in base64.
    pub(crate) fn base64(&mut self, blob: Blob) {
        self.text.push(b'"');
        let text = std::mem::take(&mut self.text);
        self.pieces.push(Piece::Bytes(text.into()));
        self.pieces.push(Piece::Base64(blob));
        self.text.push(b'"');
    }

    pub(crate) fn finish(mut self) -> Body {
        let text = Bytes::from(self.text);
        if self.pieces.is_empty() {
            return text.into();
        }
        self.pieces.push(Piece::Bytes(text));
        Body::from_pieces(self.pieces)
    }
}

/// Writes a JSON string. Stretches without anything to escape are found eight bytes at a time,
/// and copied as a whole.
fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((clean, byte, after)) = split_at_special(rest) {
        out.extend_from_slice(clean);
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = after;
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// What precedes the first byte that has to be escaped, that byte, and what follows.
fn split_at_special(text: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let mut at = 0;
    while let Some(word) = text.get(at..).and_then(|rest| rest.first_chunk()) {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            at += special.trailing_zeros() as usize / 8;
            break;
        }
        at += 8;
    }
    let tail = text.get(at..)?;
    let found = tail
        .iter()
        .position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\'))?;
    let (clean, rest) = text.split_at_checked(at + found)?;
    let (byte, after) = rest.split_first()?;
    Some((clean, *byte, after))
}

/// The high bit of each byte that has to be escaped. Bytes above the first one found may be wrong:
/// the subtractions borrow from them.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = zero(word ^ (ONES * u64::from(b'"')));
    let slash = zero(word ^ (ONES * u64::from(b'\\')));
    (control | quote | slash) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_serde_json_does() {
        let mut texts = vec![String::new(), "日本語 \"x\" é\u{2028}".to_owned()];
        // Every character near the limits, at every place of a word.
        for special in (0..0x100).filter_map(char::from_u32) {
            for place in 0..20 {
                texts.push(format!("{}{special}ab\"cd", "x".repeat(place)));
            }
        }
        for text in texts {
            let mut out = Vec::new();
            write_string(&mut out, &text);
            let read: String = serde_json::from_slice(&out).unwrap();
            assert_eq!(read, text);
            // The same length as serde_json's, up to \b and \f, which we spell \u.
            if !text.contains(['\u{8}', '\u{c}']) {
                assert_eq!(out, serde_json::to_vec(&text).unwrap());
            }
        }
    }
}
