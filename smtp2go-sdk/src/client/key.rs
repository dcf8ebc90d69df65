//! The API key: how it is checked, and how it travels.

use std::fmt;

use bytes::Bytes;
use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};

use crate::Error;
use crate::body::json::write_string;

/// The header of the API's own scheme.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-smtp2go-api-key");
/// The member that carries the key in a body.
pub(crate) const KEY_MEMBER: &str = "api_key";
/// What every key starts with.
const PREFIX: &str = "api-";
/// Letters and digits after the prefix.
const RANDOM: usize = 32;

/// How the API key travels.
///
/// Operations that want the key in their body too get it there, whatever is chosen here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyLocation {
    /// In the header `X-Smtp2go-Api-Key`. The default.
    #[default]
    Header,
    /// In the header `Authorization`, as a bearer token. The API takes it since September 2026.
    Bearer,
    /// In the JSON body, as the member `api_key`, and in no header. For gateways that drop
    /// headers they don't know; mind that bodies are logged more often than headers.
    Body,
}

/// A key of the right form. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Key(String);

impl Key {
    /// Takes a key if it has the documented form: `api-` and 32 ASCII letters or digits.
    pub(crate) fn new(text: String) -> Result<Self, Error> {
        match fault(&text) {
            None => Ok(Self(text)),
            Some(fault) => Err(Error::config(format!(
                "the API key {fault}; \"{PREFIX}\" and {RANDOM} letters or digits are expected"
            ))),
        }
    }

    /// The header that carries the key, if a header does.
    pub(crate) fn header(
        &self,
        location: KeyLocation,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        let (name, value) = match location {
            KeyLocation::Header => (KEY_HEADER, HeaderValue::from_str(&self.0)),
            KeyLocation::Bearer => (
                AUTHORIZATION,
                HeaderValue::from_str(&format!("Bearer {}", self.0)),
            ),
            KeyLocation::Body => return Ok(None),
        };
        let mut value =
            value.map_err(|_| Error::config("the API key does not fit into a header"))?;
        // Keeps it out of every debug output, and out of HTTP/2's compression tables.
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    /// The JSON object `body` with the key as its first member: see [`inject`].
    pub(crate) fn inject(&self, body: &Bytes, member: &str) -> Option<[Bytes; 2]> {
        inject(body, member, &self.0)
    }
}

/// The JSON object `body` with one more member, its first, in two pieces: nothing is parsed, and
/// what follows the brace is not copied. `None` if `body` does not start an object.
pub(crate) fn inject(body: &Bytes, member: &str, value: &str) -> Option<[Bytes; 2]> {
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

impl fmt::Debug for Key {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// What is wrong with a key, in words that don't show it.
fn fault(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if text.trim().len() != text.len() {
        return Some("has white space around it".to_owned());
    }
    let Some(random) = text.strip_prefix(PREFIX) else {
        return Some(format!("does not start with \"{PREFIX}\""));
    };
    if !random.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some("has a character that is neither a letter nor a digit".to_owned());
    }
    (random.len() != RANDOM).then(|| format!("has {} characters after \"{PREFIX}\"", random.len()))
}

/// `text` with everything that has the form of a key masked.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = split_at_prefix(rest) {
        masked.push_str(before);
        masked.push_str(PREFIX);
        let run = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
        rest = after;
        if run >= RANDOM {
            masked.push('…');
            rest = after.get(run..).unwrap_or_default();
        }
    }
    masked.push_str(rest);
    masked
}

/// What is before and after the next prefix of a key. The way of `str` to search for text is made for
/// longer ones, and takes much more code.
fn split_at_prefix(text: &str) -> Option<(&str, &str)> {
    let mut parts = text.as_bytes().windows(PREFIX.len());
    let at = parts.position(|part| part == PREFIX.as_bytes())?;
    Some((text.get(..at)?, text.get(at + PREFIX.len()..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

    fn key() -> Key {
        Key::new(KEY.to_owned()).unwrap()
    }

    #[test]
    fn faults_are_named_and_the_key_is_not_shown() {
        for (text, word) in [
            (String::new(), "empty"),
            (" ".to_owned(), "empty"),
            (" ".repeat(36), "empty"),
            ("\u{3000}\t\r\n".to_owned(), "empty"),
            (format!("{KEY}\u{a0}"), "white space"),
            (KEY.replace('A', " "), "neither"),
            (KEY.replace('A', "\u{202e}"), "neither"),
            (format!("\u{200b}{KEY}"), "start with"),
            (format!("{KEY}\n"), "white space"),
            (format!(" {KEY}"), "white space"),
            (KEY.replace("api-", "key-"), "start with"),
            (KEY.replace('A', "-"), "neither"),
            (KEY.replace('A', "é"), "neither"),
            (format!("{KEY}0"), "33 characters"),
            (KEY.replace("9", ""), "30 characters"),
            ("api-".to_owned(), "0 characters"),
        ] {
            let error = Key::new(text.clone()).unwrap_err();
            assert!(error.is_config());
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(word), "{shown}");
            assert!(!shown.contains("0123"), "{shown}");
        }
        assert_eq!(format!("{:?}", key()), "…");
    }

    #[test]
    fn headers_are_sensitive() {
        for (location, name, text) in [
            (KeyLocation::Header, "x-smtp2go-api-key", KEY.to_owned()),
            (
                KeyLocation::Bearer,
                "authorization",
                format!("Bearer {KEY}"),
            ),
        ] {
            let (header, value) = key().header(location).unwrap().unwrap();
            assert_eq!(header, name);
            assert_eq!(value, text);
            assert!(value.is_sensitive());
        }
        assert!(key().header(KeyLocation::Body).unwrap().is_none());
    }

    #[test]
    fn the_key_becomes_the_first_member() {
        for (body, expected) in [
            ("{}", format!(r#"{{"api_key":"{KEY}"}}"#)),
            (" {\n }", format!("{{\"api_key\":\"{KEY}\"\n }}")),
            (r#"{"a":"{"}"#, format!(r#"{{"api_key":"{KEY}","a":"{{"}}"#)),
            (r#"{ "a":1}"#, format!(r#"{{"api_key":"{KEY}", "a":1}}"#)),
        ] {
            let injected = key()
                .inject(&Bytes::from(body), KEY_MEMBER)
                .unwrap()
                .concat();
            assert_eq!(String::from_utf8(injected.clone()).unwrap(), expected);
            serde_json::from_slice::<serde_json::Value>(&injected).unwrap();
        }
        for body in ["", " ", "[]", "null", "{", "{ ", "\"{}\""] {
            assert!(
                key().inject(&Bytes::from(body), KEY_MEMBER).is_none(),
                "{body}"
            );
        }
    }

    #[test]
    fn members_and_keys_are_escaped() {
        let odd = Key("a\"b\\c\n".to_owned());
        let injected = odd.inject(&Bytes::from("{}"), "k\"").unwrap().concat();
        let value: serde_json::Value = serde_json::from_slice(&injected).unwrap();
        assert_eq!(value["k\""], "a\"b\\c\n");
    }

    #[test]
    fn keys_are_masked_in_any_text() {
        assert_eq!(
            mask(&format!("key {KEY} or '{KEY}x' is off")),
            "key api-… or 'api-…' is off"
        );
        for plain in ["", "api-", "an api-key", "api-api-api-", "äpi-ö"] {
            assert_eq!(mask(plain), plain);
        }
        assert_eq!(mask(&format!("api-{KEY}")), "api-api-…");
    }
}
