//! The secret that authenticates the service to a receiver.

use std::fmt;

use crate::platform::transport::Url;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use percent_encoding::percent_decode_str;
use smtp2go_types::{Secret, WebhookAuthType};
use subtle::ConstantTimeEq;

use super::request_head::RequestHead;
use crate::Error;

/// Reads base64 with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A secret that the service sends with every event. Give the same value to
/// [`Client::ensure_webhook`](crate::Client::ensure_webhook), which registers it with the service,
/// and to [`Receiver::new`](super::Receiver::new), which requires it.
///
/// Prefer [`bearer`](Self::bearer): proxies log URLs, but not this header. Use 32 random characters or
/// more. Register an https address: over plain http every kind of secret can be read.
///
/// Each constructor refuses an empty secret, such as that of
/// `env::var("WEBHOOK_TOKEN").unwrap_or_default()`.
///
/// The time to compare a secret depends only on its length. `Debug` does not show the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Auth(AuthScheme);

#[derive(Clone, PartialEq, Eq)]
enum AuthScheme {
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
    /// A token in the header `Authorization: Bearer <token>`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the token is empty, or has a character other than visible
    /// ASCII.
    pub fn bearer(token: impl Into<Secret>) -> Result<Self, Error> {
        let token = checked_secret("token", token)?;
        if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "the token has a character that a header can't hold",
            ));
        }
        Ok(Self(AuthScheme::Bearer(token)))
    }

    /// A user name and a password in the header `Authorization: Basic <base64 of user:password>`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the user or the password is empty, all white space or has a
    /// control character, or if the user has a colon.
    pub fn basic(user: impl Into<String>, password: impl Into<Secret>) -> Result<Self, Error> {
        Self::with_password(user.into(), password.into(), false)
    }

    /// Like [`basic`](Self::basic), but registered as an address with user and password,
    /// `https://user:password@…`. The service has been observed to send them in the same header, so a
    /// receiver treats both alike.
    ///
    /// # Errors
    ///
    /// Those of [`basic`](Self::basic).
    pub fn basic_in_url(
        user: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Result<Self, Error> {
        Self::with_password(user.into(), password.into(), true)
    }

    fn with_password(user: String, password: Secret, in_url: bool) -> Result<Self, Error> {
        check("user", &user)?;
        if user.contains(':') {
            return Err(invalid(
                "the user name has a colon, which HTTP Basic does not allow",
            ));
        }
        let password = checked_secret("password", password)?;
        Ok(Self(AuthScheme::Basic {
            user,
            password,
            in_url,
        }))
    }

    /// A secret in the last segment of the address's path: `https://acme.example/webhook/<secret>` for
    /// the address `https://acme.example/webhook`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the secret is empty, all white space, `.` or `..`, or has a
    /// control character.
    pub fn secret_path(secret: impl Into<Secret>) -> Result<Self, Error> {
        let secret = checked_secret("secret of the path", secret)?;
        if matches!(secret.expose(), "." | "..") {
            return Err(invalid(
                "the secret of the path is \".\" or \"..\", which URLs remove",
            ));
        }
        Ok(Self(AuthScheme::Path(secret)))
    }

    /// A secret in a parameter of the address's query: `https://acme.example/webhook?<name>=<secret>`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the name or the secret is empty, all white space or has a
    /// control character.
    pub fn secret_query(name: impl Into<String>, secret: impl Into<Secret>) -> Result<Self, Error> {
        let name = name.into();
        check("name of the query parameter", &name)?;
        let secret = checked_secret("secret of the query", secret)?;
        Ok(Self(AuthScheme::Query { name, secret }))
    }

    /// Whether the secret is a segment of the path.
    #[cfg_attr(any(not(feature = "axum"), target_family = "wasm"), allow(dead_code))]
    pub(crate) fn is_path(&self) -> bool {
        matches!(self.0, AuthScheme::Path(_))
    }

    /// Returns the `WWW-Authenticate` header of a 401; `None` if the secret is in the address.
    pub(super) fn challenge(&self) -> Option<&'static str> {
        match &self.0 {
            AuthScheme::Bearer(_) => Some("Bearer"),
            AuthScheme::Basic { .. } => Some("Basic realm=\"webhook\""),
            AuthScheme::Path(_) | AuthScheme::Query { .. } => None,
        }
    }

    /// Whether the request has the secret.
    pub(super) fn accepts(&self, head: &RequestHead<'_>) -> bool {
        match &self.0 {
            AuthScheme::Bearer(token) => {
                credentials(head, "bearer").is_some_and(|given| same(given, token.expose()))
            }
            AuthScheme::Basic { user, password, .. } => credentials(head, "basic")
                .and_then(|given| LENIENT.decode(given).ok())
                .is_some_and(|given| {
                    // The user ends at the first colon.
                    let colon = given.iter().position(|byte| *byte == b':');
                    let (name, rest) = given.split_at(colon.unwrap_or(given.len()));
                    let given = rest.strip_prefix(b":").unwrap_or_default();
                    // No short circuit: the time must not tell which one is right.
                    same(name, user) & same(given, password.expose())
                }),
            AuthScheme::Path(secret) => {
                let path = head.target().split(['?', '#']).next().unwrap_or_default();
                let last = path.rsplit('/').next().unwrap_or_default();
                let given: Vec<u8> = percent_decode_str(last).collect();
                same(&given, secret.expose())
            }
            AuthScheme::Query { name, secret } => {
                let target = head.target().split('#').next().unwrap_or_default();
                let query = target.split_once('?').map_or("", |(_, query)| query);
                // No short circuit here either.
                query.split('&').fold(false, |found, pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let is_named = decoded(key) == name.as_bytes();
                    found | (is_named && same(&decoded(value), secret.expose()))
                })
            }
        }
    }

    /// Returns the address to register, including the secret if the address carries it, and the header.
    pub(super) fn register(
        &self,
        mut url: Url,
    ) -> Result<(Url, Option<(WebhookAuthType, Secret)>), Error> {
        let no_base =
            |()| Error::config("url: this address can't carry the secret: use a URL with a host");
        let header = match &self.0 {
            AuthScheme::Bearer(token) => Some((WebhookAuthType::Bearer, token.clone())),
            AuthScheme::Basic {
                user,
                password,
                in_url: false,
            } => {
                let value = STANDARD.encode(format!("{user}:{}", password.expose()));
                Some((WebhookAuthType::Basic, value.into()))
            }
            AuthScheme::Basic { user, password, .. } => {
                url.set_username(user).map_err(no_base)?;
                url.set_password(Some(password.expose())).map_err(no_base)?;
                None
            }
            AuthScheme::Path(secret) => {
                let mut path = url.path_segments_mut().map_err(no_base)?;
                path.pop_if_empty().push(secret.expose());
                drop(path);
                None
            }
            AuthScheme::Query { name, secret } => {
                url.query_pairs_mut().append_pair(name, secret.expose());
                None
            }
        };
        Ok((url, header))
    }

    /// Removes what [`register`](Self::register) adds to an address, except a secret path. The result
    /// stays the same when the secret changes.
    pub(super) fn without_secret(auth: Option<&Self>, mut url: Url) -> Url {
        // Neither fails for an address with a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        // The path is kept: its last segment could be that of another webhook, such as
        // `/webhook/billing`, which must not be overwritten.
        if let Some(AuthScheme::Query { name, .. }) = auth.map(|auth| &auth.0) {
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

/// Returns the credentials of the `Authorization` header, if it has this scheme.
fn credentials<'a>(head: &RequestHead<'a>, scheme: &str) -> Option<&'a [u8]> {
    let header = head.authorization_header()?.trim_ascii();
    let at = header.iter().position(|byte| *byte == b' ')?;
    let (given, rest) = header.split_at_checked(at)?;
    given
        .eq_ignore_ascii_case(scheme.as_bytes())
        .then(|| rest.trim_ascii())
}

fn checked_secret(what: &str, secret: impl Into<Secret>) -> Result<Secret, Error> {
    let secret = secret.into();
    check(what, secret.expose())?;
    Ok(secret)
}

/// Checks one part of a secret. In a composed secret such as `user:password`, an empty part would go
/// unnoticed.
fn check(what: &str, part: &str) -> Result<(), Error> {
    let fault = if part.is_empty() {
        "is empty"
    } else if part.trim().is_empty() {
        "is all white space"
    } else if part.contains(char::is_control) {
        // URL parsers remove some control characters.
        "has a line break or another control character"
    } else {
        return Ok(());
    };
    Err(invalid(&format!("the {what} {fault}")))
}

fn invalid(fault: &str) -> Error {
    Error::config(format!("webhook auth: {fault}"))
}

/// Compares in constant time. An empty secret never matches.
fn same(given: &[u8], secret: &str) -> bool {
    !secret.is_empty() && bool::from(given.ct_eq(secret.as_bytes()))
}

/// Decodes a part of a query.
fn decoded(text: &str) -> Vec<u8> {
    percent_decode_str(&text.replace('+', " ")).collect()
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            AuthScheme::Bearer(_) => "Auth::bearer(…)",
            AuthScheme::Basic { in_url: false, .. } => "Auth::basic(…)",
            AuthScheme::Basic { .. } => "Auth::basic_in_url(…)",
            AuthScheme::Path(_) => "Auth::secret_path(…)",
            AuthScheme::Query { .. } => "Auth::secret_query(…)",
        })
    }
}
