//! How the service shows that it is the service.

use std::fmt;

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use percent_encoding::percent_decode_str;
use reqwest::Url;
use smtp2go_types::{Secret, WebhookAuthType};
use subtle::ConstantTimeEq;

use super::receiver::RequestHead;
use crate::Error;

/// Reads base64 with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that the service sends along with every event. The same value goes to
/// [`Client::ensure_webhook`](crate::Client::ensure_webhook), which tells the service, and to
/// [`Receiver::new`](super::Receiver::new), which asks for it.
///
/// [`bearer`](Self::bearer) is the one to take: addresses, unlike headers, end up in the logs of
/// whatever stands in between. Take 32 random characters or more; with an empty secret nobody is
/// let in. Only https keeps any of them secret.
///
/// Secrets are compared in a time that depends on their length, and not on how much of them is
/// right. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth(Kind);

#[derive(Clone, PartialEq, Eq)]
enum Kind {
    Bearer(Secret),
    Basic {
        user: String,
        password: Secret,
        in_url: bool,
    },
    Path(Secret),
    Query {
        name: String,
        secret: Secret,
    },
}

impl Auth {
    /// `Authorization: Bearer <token>`.
    #[must_use]
    #[inline]
    pub fn bearer(token: impl Into<Secret>) -> Self {
        Self(Kind::Bearer(token.into()))
    }

    /// `Authorization: Basic <base64 of user:password>`. The user has no colon.
    #[must_use]
    #[inline]
    pub fn basic(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self(Kind::Basic {
            user: user.into(),
            password: password.into(),
            in_url: false,
        })
    }

    /// The same header, by way of an address with user and password, `https://user:password@…`,
    /// which has been seen to arrive as such. For a receiver this and [`basic`](Self::basic) are the
    /// same.
    #[must_use]
    #[inline]
    pub fn basic_in_url(user: impl Into<String>, password: impl Into<Secret>) -> Self {
        Self(Kind::Basic {
            user: user.into(),
            password: password.into(),
            in_url: true,
        })
    }

    /// The last segment of the address's path: `https://acme.example/webhook/<secret>` for the
    /// address `https://acme.example/webhook`.
    #[must_use]
    #[inline]
    pub fn secret_path(secret: impl Into<Secret>) -> Self {
        Self(Kind::Path(secret.into()))
    }

    /// A parameter of the address's query: `https://acme.example/webhook?<name>=<secret>`.
    #[must_use]
    #[inline]
    pub fn secret_query(name: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self(Kind::Query {
            name: name.into(),
            secret: secret.into(),
        })
    }

    /// Whether the secret is a segment of the path.
    #[cfg_attr(not(feature = "axum"), allow(dead_code))]
    #[inline]
    pub(crate) fn is_path(&self) -> bool {
        matches!(self.0, Kind::Path(_))
    }

    /// What a 401 asks for; `None` if no header will do.
    #[inline]
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match &self.0 {
            Kind::Bearer(_) => Some("Bearer"),
            Kind::Basic { .. } => Some("Basic realm=\"webhook\""),
            Kind::Path(_) | Kind::Query { .. } => None,
        }
    }

    /// Whether the request has the secret.
    #[inline]
    pub(super) fn accepts(&self, head: &RequestHead<'_>) -> bool {
        match &self.0 {
            Kind::Bearer(token) => {
                credentials(head, "bearer").is_some_and(|given| same(given, token.expose()))
            }
            Kind::Basic { user, password, .. } => credentials(head, "basic")
                .and_then(|given| LENIENT.decode(given).ok())
                .is_some_and(|given| same(&given, &format!("{user}:{}", password.expose()))),
            Kind::Path(secret) => {
                let path = head.target().split(['?', '#']).next().unwrap_or_default();
                let last = path.rsplit('/').next().unwrap_or_default();
                let given: Vec<u8> = percent_decode_str(last).collect();
                same(&given, secret.expose())
            }
            Kind::Query { name, secret } => {
                let query = head.target().split_once('?').map_or("", |(_, query)| query);
                let query = query.split('#').next().unwrap_or_default();
                // All of them are looked at, whichever is right.
                query.split('&').fold(false, |found, pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let is_named = decoded(key) == name.as_bytes();
                    found | (is_named && same(&decoded(value), secret.expose()))
                })
            }
        }
    }

    /// What is wrong with it, as far as anybody can tell.
    #[inline]
    fn fault(&self) -> Option<&'static str> {
        let empty = |secret: &Secret| secret.expose().is_empty();
        match &self.0 {
            Kind::Bearer(secret) if empty(secret) => Some("the token is empty"),
            Kind::Bearer(secret) if secret.expose().bytes().any(|b| !b.is_ascii_graphic()) => {
                Some("the token has a character that a header can't hold")
            }
            Kind::Basic { user, .. } if user.contains(':') => Some("the user has a colon"),
            Kind::Basic { user, password, .. } if user.is_empty() || empty(password) => {
                Some("the user or the password is empty")
            }
            Kind::Path(secret) if empty(secret) => Some("the secret of the path is empty"),
            Kind::Path(secret) if matches!(secret.expose(), "." | "..") => {
                Some("the secret of the path is a dot segment")
            }
            Kind::Query { name, secret } if name.is_empty() || empty(secret) => {
                Some("the secret of the query, or its name, is empty")
            }
            _ => None,
        }
    }

    /// The address to register for one without a secret, and the header.
    #[inline]
    pub(super) fn register(
        &self,
        mut url: Url,
    ) -> Result<(Url, Option<(WebhookAuthType, Secret)>), Error> {
        if let Some(fault) = self.fault() {
            return Err(Error::config(format!("auth: {fault}")));
        }
        let no_base = |()| Error::config("url: it can't hold a secret");
        let header = match &self.0 {
            Kind::Bearer(token) => Some((WebhookAuthType::Bearer, token.clone())),
            Kind::Basic {
                user,
                password,
                in_url: false,
            } => {
                let value = STANDARD.encode(format!("{user}:{}", password.expose()));
                Some((WebhookAuthType::Basic, value.into()))
            }
            Kind::Basic { user, password, .. } => {
                url.set_username(user).map_err(no_base)?;
                url.set_password(Some(password.expose())).map_err(no_base)?;
                None
            }
            Kind::Path(secret) => {
                let mut path = url.path_segments_mut().map_err(no_base)?;
                path.pop_if_empty().push(secret.expose());
                drop(path);
                None
            }
            Kind::Query { name, secret } => {
                url.query_pairs_mut().append_pair(name, secret.expose());
                None
            }
        };
        Ok((url, header))
    }

    /// A registered address without what [`register`](Self::register) adds to it, whatever its value,
    /// but for a secret path: what stays the same when the secret changes.
    #[inline]
    pub(super) fn place(auth: Option<&Self>, mut url: Url) -> Url {
        // Neither can fail for an address that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        // The path is left alone, secret or not: the last segment may as well be that of another
        // webhook, `/webhook/billing`, which is not to be taken over.
        if let Some(Kind::Query { name, .. }) = auth.map(|auth| &auth.0) {
            let kept: Vec<_> = url
                .query_pairs()
                .filter(|(key, _)| key != name)
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .collect();
            url.set_query(None);
            if !kept.is_empty() {
                url.query_pairs_mut().extend_pairs(kept);
            }
        }
        url.set_fragment(None);
        url
    }
}

/// What follows the scheme of the header, if it is this one.
#[inline]
fn credentials<'a>(head: &RequestHead<'a>, scheme: &str) -> Option<&'a [u8]> {
    let header = head.authorization_header()?.trim_ascii();
    let at = header.iter().position(|byte| *byte == b' ')?;
    let (given, rest) = header.split_at_checked(at)?;
    given
        .eq_ignore_ascii_case(scheme.as_bytes())
        .then(|| rest.trim_ascii())
}

/// In a time that depends on the lengths only. An empty secret is nobody's.
#[inline]
fn same(given: &[u8], secret: &str) -> bool {
    !secret.is_empty() && bool::from(given.ct_eq(secret.as_bytes()))
}

/// A part of a query.
#[inline]
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

impl fmt::Debug for Auth {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Bearer(_) => "Auth::bearer(…)",
            Kind::Basic { in_url: false, .. } => "Auth::basic(…)",
            Kind::Basic { .. } => "Auth::basic_in_url(…)",
            Kind::Path(_) => "Auth::secret_path(…)",
            Kind::Query { .. } => "Auth::secret_query(…)",
        })
    }
}
