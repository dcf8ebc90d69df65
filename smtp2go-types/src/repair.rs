//! Repairs text that is almost JSON.

use std::borrow::Cow;

/// Returns the text of a JSON body in a form that strict parsers accept: removes a byte order mark,
/// and replaces invalid UTF-8 and unpaired surrogates such as `\uD800`, which some encoders write
/// for undecodable headers. Borrowed if nothing was changed.
#[must_use]
pub fn readable(body: &[u8]) -> Cow<'_, str> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    // Several times as fast as `from_utf8_lossy` if there is nothing to replace.
    match std::str::from_utf8(body) {
        Ok(text) => whole_pairs(text),
        Err(_) => {
            let text = String::from_utf8_lossy(body).into_owned();
            let repaired = match whole_pairs(&text) {
                Cow::Owned(repaired) => Some(repaired),
                Cow::Borrowed(_) => None,
            };
            Cow::Owned(repaired.unwrap_or(text))
        }
    }
}

/// Replaces unpaired surrogates.
fn whole_pairs(text: &str) -> Cow<'_, str> {
    let mut repaired = String::new();
    let mut done = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find('\\')) {
        let start = at + found;
        // Skips the whole escape, so that `\\ud800` is not read as a surrogate. In text that is not
        // JSON, the escaped character may be longer than a byte.
        at = start + 2;
        while at < text.len() && !text.is_char_boundary(at) {
            at += 1;
        }
        let Some(unit) = unit(text, start) else {
            continue;
        };
        match unit {
            0xD800..0xDC00 if matches!(self::unit(text, start + 6), Some(0xDC00..0xE000)) => {
                at = start + 12;
            }
            0xD800..0xE000 => {
                repaired.push_str(text.get(done..start).unwrap_or_default());
                repaired.push_str("\\ufffd");
                at = start + 6;
                done = at;
            }
            _ => {}
        }
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    repaired.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(repaired)
}

/// Returns the code unit of an escape like `\u00e9` at `start`.
fn unit(text: &str, start: usize) -> Option<u16> {
    let digits = text.get(start..)?.strip_prefix("\\u")?.get(..4)?;
    let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpaired_surrogates_are_replaced_and_pairs_are_kept() {
        for (body, expected) in [
            (r#""plain""#, r#""plain""#),
            (r#""caf\udc80""#, r#""caf\ufffd""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ufffd\ud83d\ude00""#),
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""\\ud83d""#, r#""\\ud83d""#),
            (r#""\\\ud83d\n""#, r#""\\\ufffd\n""#),
            (r"\", r"\"),
            (r"\é\u12", r"\é\u12"),
            (r"\ud8", r"\ud8"),
        ] {
            assert_eq!(readable(body.as_bytes()), expected);
        }
        assert!(matches!(readable(b"\"\\u00e9\""), Cow::Borrowed(_)));
        assert_eq!(
            readable(b"\xEF\xBB\xBF{\"a\":\"\xFF\"}"),
            "{\"a\":\"\u{FFFD}\"}"
        );
    }
}
