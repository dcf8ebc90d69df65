//! The API key: its check, where a request carries it, and its replacement.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue};
use smtp2go_types::Secret;

use crate::body::Body;
use crate::error::Error;
use crate::error::redact::{KEY_LENGTH, KEY_PREFIX};

/// The header of the API's own scheme.
const KEY_HEADER: HeaderName = HeaderName::from_static("x-smtp2go-api-key");
/// Name of the body's member with the key.
pub(crate) const KEY_MEMBER: &str = "api_key";

/// Where a request carries the API key.
///
/// Operations that require the key in the body too ([`Operation::key_in_body`]) get it there as well.
///
/// [`Operation::key_in_body`]: crate::operation::Operation::key_in_body
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyLocation {
    /// In the header `X-Smtp2go-Api-Key`. The default.
    #[default]
    Header,
    /// In the header `Authorization`, as a bearer token. The API accepts this since September 2026.
    Bearer,
    /// In the JSON body, as the member `api_key`, and in no header. For gateways that drop unknown
    /// headers. Bodies are logged more often than headers.
    Body,
}

/// A key of the documented form. `Debug` does not show it.
#[derive(PartialEq, Eq)]
pub(crate) struct Key(Secret);

impl Key {
    /// Checks that a key has the documented form: `api-` and 32 ASCII letters or digits.
    pub(crate) fn new(text: Secret) -> Result<Self, Error> {
        match fault(text.expose()) {
            None => Ok(Self(text)),
            Some(fault) => Err(Error::config(format!(
                "the API key {fault}; \"{KEY_PREFIX}\" and {KEY_LENGTH} letters or digits are expected"
            ))),
        }
    }

    /// Returns the header with the key, if a header carries it.
    fn header(&self, location: KeyLocation) -> Result<Option<(HeaderName, HeaderValue)>, Error> {
        let key = self.0.expose();
        let (name, value) = match location {
            KeyLocation::Header => (KEY_HEADER, HeaderValue::from_str(key)),
            KeyLocation::Bearer => (
                AUTHORIZATION,
                HeaderValue::from_str(&format!("Bearer {key}")),
            ),
            KeyLocation::Body => return Ok(None),
        };
        let mut value = value
            .map_err(|_| Error::config("the API key has characters that a header can't have"))?;
        // Keeps the value out of debug output and out of HTTP/2's compression tables.
        value.set_sensitive(true);
        Ok(Some((name, value)))
    }

    /// Puts the key into a body, as its first member.
    pub(crate) fn put_into(&self, body: Body, member: &str) -> Result<Body, Error> {
        body.with_member(member, self.0.expose()).ok_or_else(|| {
            Error::config("the body must be a JSON object, because the key is added to it")
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A key, and the headers of the requests that carry it.
pub(crate) struct Credentials {
    pub(crate) key: Key,
    pub(crate) headers: Arc<HeaderMap>,
}

impl Credentials {
    /// Adds the header with the key to `headers`, or replaces it.
    fn new(key: Key, location: KeyLocation, mut headers: HeaderMap) -> Result<Self, Error> {
        if let Some((name, value)) = key.header(location)? {
            headers.insert(name, value);
        }
        Ok(Self {
            key,
            headers: Arc::new(headers),
        })
    }
}

/// The credentials of a client and its clones. A call keeps those that it started with.
pub(crate) struct SharedCredentials {
    pub(crate) location: KeyLocation,
    current: RwLock<Arc<Credentials>>,
}

impl SharedCredentials {
    /// `headers` are those of every request, without the key.
    pub(crate) fn new(key: Key, location: KeyLocation, headers: HeaderMap) -> Result<Self, Error> {
        let credentials = Credentials::new(key, location, headers)?;
        Ok(Self {
            location,
            current: RwLock::new(Arc::new(credentials)),
        })
    }

    pub(crate) fn current(&self) -> Arc<Credentials> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Replaces the key for the calls that start from here on.
    pub(crate) fn set(&self, key: Key) -> Result<(), Error> {
        let headers = (*self.current().headers).clone();
        let credentials = Arc::new(Credentials::new(key, self.location, headers)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = credentials;
        Ok(())
    }
}

/// Returns what is wrong with a key, without quoting it.
fn fault(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if text.trim().len() != text.len() {
        return Some("has white space around it".to_owned());
    }
    let Some(random) = text.strip_prefix(KEY_PREFIX) else {
        return Some(format!("does not start with \"{KEY_PREFIX}\""));
    };
    if !random.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Some("has a character that is neither a letter nor a digit".to_owned());
    }
    (random.len() != KEY_LENGTH)
        .then(|| format!("has {} characters after \"{KEY_PREFIX}\"", random.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

    fn key() -> Key {
        Key::new(KEY.into()).unwrap()
    }

    #[test]
    fn malformed_key_is_an_error_that_does_not_show_it() {
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
            let error = Key::new(text.as_str().into()).unwrap_err();
            assert!(error.is_config());
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(word), "{shown}");
            assert!(!shown.contains("0123"), "{shown}");
        }
        assert_eq!(format!("{:?}", key()), "…");
    }

    #[test]
    fn header_with_the_key_is_sensitive() {
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
}
