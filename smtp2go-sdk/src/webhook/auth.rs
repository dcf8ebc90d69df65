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
/// whatever stands in between. Take 32 random characters or more. Only https keeps any of them
/// secret.
///
/// No `Auth` is without a secret: each constructor refuses an empty one, such as that of
/// `env::var("WEBHOOK_TOKEN").unwrap_or_default()`.
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
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the token is empty, or has a character other than visible
    /// ASCII.
    #[inline]
    pub fn bearer(token: impl Into<Secret>) -> Result<Self, Error> {
        let token = given("token", token)?;
        if !token.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid(
                "the token has a character that a header can't hold",
            ));
        }
        Ok(Self(Kind::Bearer(token)))
    }

    /// `Authorization: Basic <base64 of user:password>`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the user or the password is empty, all white space or has a
    /// control character, or if the user has a colon.
    #[inline]
    pub fn basic(user: impl Into<String>, password: impl Into<Secret>) -> Result<Self, Error> {
        Self::with_password(user.into(), password.into(), false)
    }

    /// The same header, by way of an address with user and password, `https://user:password@…`,
    /// which has been seen to arrive as such. For a receiver this and [`basic`](Self::basic) are the
    /// same.
    ///
    /// # Errors
    ///
    /// Those of [`basic`](Self::basic).
    #[inline]
    pub fn basic_in_url(
        user: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Result<Self, Error> {
        Self::with_password(user.into(), password.into(), true)
    }

    #[inline]
    fn with_password(user: String, password: Secret, in_url: bool) -> Result<Self, Error> {
        check("user", &user)?;
        if user.contains(':') {
            return Err(invalid("the user has a colon"));
        }
        let password = given("password", password)?;
        Ok(Self(Kind::Basic {
            user,
            password,
            in_url,
        }))
    }

    /// The last segment of the address's path: `https://acme.example/webhook/<secret>` for the
    /// address `https://acme.example/webhook`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the secret is empty, all white space, `.` or `..`, or has a
    /// control character.
    #[inline]
    pub fn secret_path(secret: impl Into<Secret>) -> Result<Self, Error> {
        let secret = given("secret of the path", secret)?;
        if matches!(secret.expose(), "." | "..") {
            return Err(invalid("the secret of the path is a dot segment"));
        }
        Ok(Self(Kind::Path(secret)))
    }

    /// A parameter of the address's query: `https://acme.example/webhook?<name>=<secret>`.
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) if the name or the secret is empty, all white space or has a
    /// control character.
    #[inline]
    pub fn secret_query(name: impl Into<String>, secret: impl Into<Secret>) -> Result<Self, Error> {
        let name = name.into();
        check("name of the query parameter", &name)?;
        let secret = given("secret of the query", secret)?;
        Ok(Self(Kind::Query { name, secret }))
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
                .is_some_and(|given| {
                    // The first colon ends the user, which has none.
                    let colon = given.iter().position(|byte| *byte == b':');
                    let (name, rest) = given.split_at(colon.unwrap_or(given.len()));
                    let given = rest.strip_prefix(b":").unwrap_or_default();
                    // Both are compared, whichever is right.
                    same(name, user) & same(given, password.expose())
                }),
            Kind::Path(secret) => {
                let path = head.target().split(['?', '#']).next().unwrap_or_default();
                let last = path.rsplit('/').next().unwrap_or_default();
                let given: Vec<u8> = percent_decode_str(last).collect();
                same(&given, secret.expose())
            }
            Kind::Query { name, secret } => {
                let target = head.target().split('#').next().unwrap_or_default();
                let query = target.split_once('?').map_or("", |(_, query)| query);
                // All of them are looked at, whichever is right.
                query.split('&').fold(false, |found, pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let is_named = decoded(key) == name.as_bytes();
                    found | (is_named && same(&decoded(value), secret.expose()))
                })
            }
        }
    }

    /// The address to register for one without a secret, and the header.
    #[inline]
    pub(super) fn register(
        &self,
        mut url: Url,
    ) -> Result<(Url, Option<(WebhookAuthType, Secret)>), Error> {
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

/// A secret that is worth asking for.
#[inline]
fn given(what: &str, secret: impl Into<Secret>) -> Result<Secret, Error> {
    let secret = secret.into();
    check(what, secret.expose())?;
    Ok(secret)
}

/// Each part is checked on its own: what is composed of parts is never empty.
#[inline]
fn check(what: &str, part: &str) -> Result<(), Error> {
    let fault = if part.is_empty() {
        "is empty"
    } else if part.trim().is_empty() {
        "is all white space"
    } else if part.contains(char::is_control) {
        // Parsers of URLs drop some of them.
        "has a line break or another control character"
    } else {
        return Ok(());
    };
    Err(invalid(&format!("the {what} {fault}")))
}

#[inline]
fn invalid(fault: &str) -> Error {
    Error::config(format!("webhook auth: {fault}"))
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
