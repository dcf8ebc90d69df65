//! Refused requests, and the answer to the service.

use std::fmt;

use http::StatusCode;
use smtp2go_types::webhook::ParseError;

/// A request that the receiver refused.
///
/// `Display` is one line for a log, without secrets and without the body.
#[derive(Clone, Debug)]
pub struct Refusal {
    reason: RefusalReason,
}

#[derive(Clone, Debug)]
pub(super) enum RefusalReason {
    Source,
    NoSource,
    Secret {
        missing: bool,
        challenge: Option<&'static str>,
    },
    #[cfg(feature = "tower")]
    Method,
    #[cfg(feature = "tower")]
    TooLarge(usize),
    #[cfg(feature = "tower")]
    Broken,
    Body(ParseError),
}

impl Refusal {
    /// Makes a refusal, and logs it.
    pub(super) fn new(reason: RefusalReason) -> Self {
        let refusal = Self { reason };
        tracing::info!(
            target: "smtp2go_sdk",
            status = refusal.status().as_u16(),
            "a webhook request was refused: {refusal}"
        );
        refusal
    }

    #[cfg(feature = "tower")]
    pub(super) fn method() -> Self {
        Self::new(RefusalReason::Method)
    }

    #[cfg(feature = "tower")]
    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(RefusalReason::TooLarge(limit))
    }

    #[cfg(feature = "tower")]
    pub(super) fn broken() -> Self {
        Self::new(RefusalReason::Broken)
    }

    /// Returns the status to answer with: 401 for a wrong or missing secret, 403 for a wrong source,
    /// 413 for a body that is too long, 400 for a body that is not an event. The tower service also
    /// answers 405.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match &self.reason {
            RefusalReason::Source | RefusalReason::NoSource => StatusCode::FORBIDDEN,
            RefusalReason::Secret { .. } => StatusCode::UNAUTHORIZED,
            #[cfg(feature = "tower")]
            RefusalReason::Method => StatusCode::METHOD_NOT_ALLOWED,
            #[cfg(feature = "tower")]
            RefusalReason::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            #[cfg(feature = "tower")]
            RefusalReason::Broken => StatusCode::BAD_REQUEST,
            RefusalReason::Body(ParseError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            RefusalReason::Body(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the error of a body that could not be parsed.
    #[must_use]
    pub fn parse_error(&self) -> Option<&ParseError> {
        match &self.reason {
            RefusalReason::Body(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the value of the header `WWW-Authenticate` for a 401, if the secret is expected in a
    /// header.
    #[must_use]
    pub fn challenge(&self) -> Option<&'static str> {
        match self.reason {
            RefusalReason::Secret { challenge, .. } => challenge,
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            RefusalReason::Source => f.write_str("the source address is not allowed"),
            RefusalReason::NoSource => f.write_str(
                "the source address is unknown: pass on the address of the peer, or have the proxy \
                 set X-Forwarded-For",
            ),
            RefusalReason::Secret { missing: true, .. } => f.write_str("no Authorization header"),
            RefusalReason::Secret { .. } => f.write_str("the secret is wrong or missing"),
            #[cfg(feature = "tower")]
            RefusalReason::Method => f.write_str("method not allowed: use POST"),
            #[cfg(feature = "tower")]
            RefusalReason::TooLarge(limit) => {
                write!(f, "the body exceeds the limit of {limit} bytes")
            }
            #[cfg(feature = "tower")]
            RefusalReason::Broken => f.write_str("the body is incomplete"),
            RefusalReason::Body(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // `Display` includes the parser's error.
        None
    }
}

/// The answer to the service.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    refusal: Option<Refusal>,
}

impl Answer {
    pub(super) fn status_only(status: StatusCode) -> Self {
        Self {
            status,
            refusal: None,
        }
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the reason if the request was refused before the handler was called.
    #[must_use]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status(),
            refusal: Some(refusal),
        }
    }
}
