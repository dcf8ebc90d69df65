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

/// Writes a JSON string, a word of eight bytes at a time.
fn write_string(out: &mut Vec<u8>, text: &str) {
    // Enough for most; a word is written whole before it is cut at what has to be escaped.
    out.reserve(text.len() + text.len() / 16 + 16);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        out.extend_from_slice(word);
        let special = special(u64::from_le_bytes(*word));
        if special == 0 {
            rest = after;
            continue;
        }
        let clean = special.trailing_zeros() as usize / 8;
        out.truncate(out.len() - (word.len() - clean));
        // There is a byte: `clean` is less than eight.
        let Some((byte, after)) = rest.get(clean..).and_then(<[u8]>::split_first) else {
            break;
        };
        escape(out, *byte);
        rest = after;
    }
    for byte in rest {
        match byte {
            0..0x20 | b'"' | b'\\' => escape(out, *byte),
            plain => out.push(*plain),
        }
    }
    out.push(b'"');
}

/// Writes a byte that can't stand for itself in a string.
fn escape(out: &mut Vec<u8>, byte: u8) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        other => return out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
    };
    out.extend_from_slice(&[b'\\', letter]);
}

/// The high bit of each byte that has to be escaped. Nothing is carried from byte to byte.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    let low = word & !HIGH;
    let printable = low + ONES * 0x60;
    let no_quote = (low ^ (ONES * u64::from(b'"'))) + !HIGH;
    let no_slash = (low ^ (ONES * u64::from(b'\\'))) + !HIGH;
    !((printable & no_quote & no_slash) | word) & HIGH
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
