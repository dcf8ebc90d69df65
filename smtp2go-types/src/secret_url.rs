//! URLs that may contain a secret.

use std::fmt;
use std::ops::Deref;

use serde_core::{Deserialize, Deserializer, Serialize, Serializer};

use crate::lenient::{Lenient, Scalar};

/// A URL that may contain a secret: a user with a password, a secret path, or a token in its query.
///
/// Derefs to `str`; `Display` shows the whole URL. `Debug`, which ends up in logs, shows only
/// scheme and host, or `…` if the text is not an http or https URL. The text is not checked.
///
/// ```
/// use smtp2go_types::SecretUrl;
///
/// let url = SecretUrl::from("https://user:pass@acme.example:8443/hook?token=hunter2");
/// assert_eq!(format!("{url:?}"), "https://acme.example:8443/…");
/// assert!(url.ends_with("hunter2"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "schemars",
    derive(schemars::JsonSchema),
    schemars(extend("format" = "url"))
)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Returns the whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns scheme and host, if the host can be determined without doubt.
    fn origin(&self) -> Option<(&str, &str)> {
        let (scheme, rest) = self.0.split_once("://")?;
        if !["http", "https"]
            .iter()
            .any(|known| scheme.eq_ignore_ascii_case(known))
        {
            return None;
        }
        let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(end)?;
        let host = authority
            .rsplit_once('@')
            .map_or(authority, |(_, host)| host);
        // A slash in a password ends the authority too early.
        let ends_early = path.contains('@');
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            Some((address, _)) if address.starts_with('[') => host,
            Some(_) => return None,
            None => host,
        };
        let known = |c: char| c.is_alphanumeric() || "-._:[]".contains(c);
        (!ends_early && !name.is_empty() && name.chars().all(known)).then_some((scheme, host))
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin() {
            Some((scheme, host)) => write!(formatter, "{scheme}://{host}/…"),
            None => formatter.write_str("…"),
        }
    }
}

impl fmt::Display for SecretUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Deref for SecretUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for SecretUrl {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretUrl {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for SecretUrl {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&String> for SecretUrl {
    fn from(text: &String) -> Self {
        Self(text.clone())
    }
}

impl From<SecretUrl> for String {
    fn from(url: SecretUrl) -> Self {
        url.0
    }
}

impl PartialEq<str> for SecretUrl {
    fn eq(&self, text: &str) -> bool {
        self.0 == text
    }
}

impl PartialEq<&str> for SecretUrl {
    fn eq(&self, text: &&str) -> bool {
        self.0 == *text
    }
}

impl PartialEq<String> for SecretUrl {
    fn eq(&self, text: &String) -> bool {
        self.0 == *text
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl Lenient for SecretUrl {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        Some(Self(scalar.into_text()))
    }
}

#[cfg(test)]
mod tests {
    use super::SecretUrl;

    #[test]
    fn debug_shows_scheme_and_host_only() {
        for (url, shown) in [
            ("https://acme.example", "https://acme.example/…"),
            ("HTTP://acme.example/hush", "HTTP://acme.example/…"),
            ("https://acme.example?token=hush", "https://acme.example/…"),
            ("https://acme.example#hush", "https://acme.example/…"),
            ("https://acme.example\\hush", "https://acme.example/…"),
            (
                "https://acme.example:8443/hush",
                "https://acme.example:8443/…",
            ),
            ("https://hush:hush@acme.example/", "https://acme.example/…"),
            ("https://hush@acme.example", "https://acme.example/…"),
            ("https://hush@hush@acme.example", "https://acme.example/…"),
            ("https://hush:hu@192.0.2.1:80/", "https://192.0.2.1:80/…"),
            (
                "https://[2001:db8::1]:80/hush",
                "https://[2001:db8::1]:80/…",
            ),
            ("https://[2001:db8::1]/hush", "https://[2001:db8::1]/…"),
            ("https://bücher.example/hush", "https://bücher.example/…"),
            // A password that is not percent-encoded.
            ("https://hush:hu/sh@acme.example/", "…"),
            ("https://hush:12/34@acme.example/", "…"),
            ("https://hush:hu?sh@acme.example/", "…"),
            ("https://hush:hu#sh@acme.example/", "…"),
            ("https://hush:hush", "…"),
            ("https://hu\u{202e}sh/", "…"),
            ("https://hu sh/", "…"),
            ("https:///hush", "…"),
            ("https://@/hush", "…"),
            ("ftp://hush/", "…"),
            ("hush://hush", "…"),
            ("hush", "…"),
            ("hush@acme.example", "…"),
            ("", "…"),
        ] {
            let debug = format!("{:?}", SecretUrl::from(url));
            assert_eq!(debug, shown, "{url}");
            assert!(!debug.contains("hush"), "{debug}");
        }
    }

    #[test]
    fn display_and_json_show_the_whole_url() {
        let text = "https://user:pass@acme.example/hook?token=hunter2";
        let url: SecretUrl = serde_json::from_value(text.into()).unwrap();
        assert_eq!(url, text);
        assert_eq!(url, *text);
        assert_eq!(url, text.to_owned());
        assert_eq!(url, SecretUrl::from(&text.to_owned()));
        assert_eq!(url.to_string(), text);
        assert_eq!(url.as_str(), url.as_ref());
        assert_eq!(url.len(), text.len());
        assert_eq!(Some(&url).map(|url| &**url), Some(text));
        assert_eq!(serde_json::to_value(&url).unwrap(), text);
        assert_eq!(String::from(url), text);
    }
}
