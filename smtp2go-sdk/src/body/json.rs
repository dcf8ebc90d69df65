//! Writes JSON straight into the pieces of a body.

use bytes::Bytes;

use crate::Body;
use crate::body::content::{Blob, Piece};

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

/// Bytes that are copied at a time.
const STRIDE: usize = 2 * WORD;
/// Bytes that are looked at at a time.
const WORD: usize = 8;

/// What follows the backslash of a byte that can't stand for itself in a string; `u` for those
/// that are written as a number, zero for all others.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        table[control] = b'u';
        control += 1;
    }
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\t' as usize] = b't';
    table[b'"' as usize] = b'"';
    table[b'\\' as usize] = b'\\';
    table
};

/// Writes a JSON string. A stride is written whole, and then cut at what has to be escaped.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    // Room for a usual text with its quotes, so that the rest only looks whether there is.
    out.reserve(text.len() + text.len() / 16 + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some((stride, after)) = rest.split_first_chunk::<STRIDE>() {
        out.extend_from_slice(stride);
        let (first, second) = halves(stride);
        let (mut found, mut clean) = (special(first), 0);
        if found == 0 {
            (found, clean) = (special(second), WORD);
            if found == 0 {
                rest = after;
                continue;
            }
        }
        clean += found.trailing_zeros() as usize / 8;
        out.truncate(out.len().saturating_sub(STRIDE - clean));
        let Some((byte, after)) = rest.get(clean..).and_then(<[u8]>::split_first) else {
            break;
        };
        write_escape(out, *byte, escape(*byte));
        rest = after;
    }
    for byte in rest {
        match escape(*byte) {
            0 => out.push(*byte),
            letter => write_escape(out, *byte, letter),
        }
    }
    out.push(b'"');
}

#[inline]
fn escape(byte: u8) -> u8 {
    ESCAPES.get(usize::from(byte)).copied().unwrap_or_default()
}

#[inline]
fn write_escape(out: &mut Vec<u8>, byte: u8, letter: u8) {
    match letter {
        b'u' => write_number(out, byte),
        letter => out.extend_from_slice(&[b'\\', letter]),
    }
}

#[cold]
fn write_number(out: &mut Vec<u8>, byte: u8) {
    out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
}

/// A stride as two words, which are cheaper to work on than one of twice the size.
#[inline]
fn halves(stride: &[u8; STRIDE]) -> (u64, u64) {
    let whole = u128::from_le_bytes(*stride);
    #[allow(clippy::cast_possible_truncation)]
    (whole as u64, (whole >> 64) as u64)
}

/// The high bit of the first byte that has to be escaped, and perhaps of some after it: a
/// subtraction borrows from the byte above only where it finds one. Zero if there is none.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    // With this bit flipped a quote is 0x20, and those below are still the control characters.
    let low_or_quote = (word ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (word ^ (ONES * 0x5c)).wrapping_sub(ONES);
    (low_or_quote | backslash) & !word & (ONES << 7)
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
                // After a quote and a backslash, what a borrow could make look like them.
                texts.push(format!("{}{special}ab\"#\\]cd", "x".repeat(place)));
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
