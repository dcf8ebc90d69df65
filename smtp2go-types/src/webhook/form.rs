//! `application/x-www-form-urlencoded`.

use std::borrow::Cow;

use super::members::{Member, Members};

/// The members of a form, in order; `None` if there are more than `most`. What has no `=` is a key
/// without a value, as browsers write it.
#[inline]
pub(super) fn read(text: &str, most: usize) -> Option<Members<'_>> {
    let mut members = Vec::new();
    for pair in text.trim().split('&').filter(|pair| !pair.is_empty()) {
        if members.len() == most {
            return None;
        }
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        members.push((unescape(key), Member::Text(unescape(value))));
    }
    Some(members)
}

/// Plus signs and percent escapes made what they stand for; what is no escape stays as it is, and
/// what is no UTF-8 then is replaced.
#[inline]
fn unescape(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let escape = |byte: &u8| matches!(byte, b'%' | b'+');
    let Some(mut at) = bytes.iter().position(escape) else {
        return Cow::Borrowed(text);
    };
    let digit = |byte: Option<&u8>| char::from(*byte?).to_digit(16);
    let mut plain = Vec::with_capacity(bytes.len());
    plain.extend_from_slice(bytes.get(..at).unwrap_or_default());
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'+' => plain.push(b' '),
            b'%' => match digit(bytes.get(at)).zip(digit(bytes.get(at + 1))) {
                Some((high, low)) => {
                    // Two hexadecimal digits fit.
                    plain.push((high * 16 + low) as u8);
                    at += 2;
                }
                None => plain.push(b'%'),
            },
            byte => plain.push(*byte),
        }
    }
    Cow::Owned(match String::from_utf8(plain) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for (escaped, plain) in [
            ("a+b%20c", "a b c"),
            ("%c3%A9", "\u{e9}"),
            ("%FF", "\u{fffd}"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%+1%zz", "% 1%zz"),
            ("%2B%2525", "+%25"),
            ("é%+", "é% "),
            ("", ""),
        ] {
            assert_eq!(unescape(escaped), plain);
        }
        assert!(matches!(unescape("plain"), Cow::Borrowed(_)));
    }

    #[test]
    fn pairs() {
        let members = read("a=1&&b&c=d=e&=f\r\n", 4).unwrap();
        let pairs: Vec<_> = members
            .iter()
            .map(|(key, value)| (&**key, value.as_text().unwrap()))
            .collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", "d=e"), ("", "f")]);
        assert!(read("a&b&c", 2).is_none());
    }
}
