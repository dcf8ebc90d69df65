//! The API's error codes.

use std::fmt;

use smtp2go_types::one_line;

use super::redact;

/// Prefix of the API's error codes.
pub(super) const CODE_PREFIX: &str = "E_ApiResponseCodes.";

/// The API's code for an error. The API publishes no list, so this enum is open.
///
/// Display is [`as_str`](Self::as_str), with control characters replaced. Debug shows an unknown code only
/// if it has the form of a code, so it can't show an address.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The key may not call this operation.
    EndpointPermissionDenied,
    /// A field of the request is invalid; see [`Error::field_errors`](crate::Error::field_errors).
    NonValidatingInPayload,
    /// A general error, also used for objects that don't exist.
    ApiException,
    /// Too many requests.
    ReqLimitExceeded,
    /// Any other code, unchanged.
    Unknown(String),
}

impl ErrorCode {
    /// Returns the code: a known one without the API's prefix, an unknown one unchanged.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::EndpointPermissionDenied => "ENDPOINT_PERMISSION_DENIED",
            Self::NonValidatingInPayload => "NON_VALIDATING_IN_PAYLOAD",
            Self::ApiException => "API_EXCEPTION",
            Self::ReqLimitExceeded => "REQ_LIMIT_EXCEEDED",
            Self::Unknown(text) => text,
        }
    }

    pub(super) fn from_text(text: String) -> Self {
        match text.strip_prefix(CODE_PREFIX).unwrap_or(&text) {
            "ENDPOINT_PERMISSION_DENIED" => Self::EndpointPermissionDenied,
            "NON_VALIDATING_IN_PAYLOAD" => Self::NonValidatingInPayload,
            "API_EXCEPTION" => Self::ApiException,
            "REQ_LIMIT_EXCEEDED" => Self::ReqLimitExceeded,
            _ => Self::Unknown(text),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(self.as_str()))
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointPermissionDenied => "EndpointPermissionDenied",
            Self::NonValidatingInPayload => "NonValidatingInPayload",
            Self::ApiException => "ApiException",
            Self::ReqLimitExceeded => "ReqLimitExceeded",
            Self::Unknown(text) => {
                return f.debug_tuple("Unknown").field(&redact::name(text)).finish();
            }
        })
    }
}
