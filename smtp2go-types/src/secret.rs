//! Text that must not be shown.

use std::fmt;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::lenient::{Lenient, Scalar};

/// A secret, such as an API key, a password, or the value of an authorisation header.
///
/// Serialises as plain text, because the API needs it, and prints as `…`, so that `Debug` and
/// `Display` don't put it into a log. [`expose`](Secret::expose) returns the text. The memory is
/// not wiped, and comparison is not in constant time.
///
/// ```
/// let secret = smtp2go_types::Secret::from("hunter2");
/// assert_eq!(format!("{secret} {secret:?}"), "… Secret(…)");
/// assert_eq!(secret.expose(), "hunter2");
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "schemars",
    derive(schemars::JsonSchema),
    schemars(extend("format" = "password"))
)]
pub struct Secret(String);

impl Secret {
    /// Returns the secret text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&String> for Secret {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("…")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Lenient for Secret {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        Some(Self(scalar.into_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn secret_is_serialised_but_not_printed() {
        let secret: Secret = serde_json::from_str(r#""hunter2""#).unwrap();
        assert_eq!(secret, Secret::from("hunter2".to_owned()));
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""hunter2""#);
        let shown = format!("{secret}{secret:?}{secret:#?}{:?}", Some(&secret));
        assert!(!shown.contains("hunter"), "{shown}");
        assert_eq!(Secret::default().expose(), "");
    }
}
