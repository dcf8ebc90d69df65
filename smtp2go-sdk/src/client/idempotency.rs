//! The name of the header that has a mail's idempotency key.

use std::sync::Arc;

use http::HeaderName;
use smtp2go_types::CustomHeader;

use crate::Error;

/// Default name of the header that carries [`Email::idempotency_key`](crate::Email::idempotency_key).
/// [`ClientBuilder::idempotency_header`](crate::ClientBuilder::idempotency_header) sets another.
pub const IDEMPOTENCY_HEADER: &str = "X-Idempotency-Key";

/// Maximum length of the name in bytes. With the longest key the header's line has 358 bytes, and RFC
/// 5322 allows 998.
const MAX_NAME: usize = 100;

/// Headers that other fields of a mail set, or that a mail server writes or reads.
const TAKEN: [&str; 13] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Return-Path",
    "Received",
];

/// The name of the header, checked.
#[derive(Clone)]
pub(crate) struct IdempotencyHeader(Option<Arc<str>>);

impl IdempotencyHeader {
    /// Checks the name. `None` selects the default name.
    pub(crate) fn new(name: Option<&str>) -> Result<Self, Error> {
        let Some(name) = name else {
            return Ok(Self(None));
        };
        let fault = if HeaderName::from_bytes(name.as_bytes()).is_err() {
            Some("not a header name".to_owned())
        } else if name.len() > MAX_NAME {
            Some(format!("longer than {MAX_NAME} bytes"))
        } else if TAKEN.iter().any(|taken| taken.eq_ignore_ascii_case(name)) {
            Some("the header has another meaning in mail".to_owned())
        } else {
            let refused = CustomHeader::new(name, "").validate().err();
            refused.and_then(|error| Some(error.problems().first()?.message().to_owned()))
        };
        match fault {
            None => Ok(Self(Some(name.into()))),
            Some(fault) => {
                Err(Error::config(format!("{name:?}: {fault}")).about("idempotency_header"))
            }
        }
    }

    /// Returns the name.
    pub(crate) fn as_str(&self) -> &str {
        self.0.as_deref().unwrap_or(IDEMPOTENCY_HEADER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_header_name_is_a_config_error() {
        let longest = "x".repeat(MAX_NAME);
        for name in ["X-Order", "idempotency-key", &longest] {
            assert_eq!(IdempotencyHeader::new(Some(name)).unwrap().as_str(), name);
        }
        let default = IdempotencyHeader::new(None).unwrap();
        assert_eq!(default.as_str(), IDEMPOTENCY_HEADER);
        let long = "x".repeat(MAX_NAME + 1);
        for (name, expected) in [
            ("", "\"\": not a header name"),
            ("a b", "not a header name"),
            ("a:", "not a header name"),
            ("a\r\nBcc", "not a header name"),
            ("Schlüssel", "not a header name"),
            (&long, "longer than 100 bytes"),
            ("message-id", "the header has another meaning in mail"),
            ("Bcc", "the header has another meaning in mail"),
            ("Content-Type", "Content-Type is refused by the API"),
        ] {
            let error = IdempotencyHeader::new(Some(name)).err().unwrap();
            let text = error.to_string();
            assert!(error.is_config(), "{text}");
            assert!(text.contains("idempotency_header: "), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    }
}
