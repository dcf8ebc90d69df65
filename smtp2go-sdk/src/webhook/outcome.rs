//! The status that a handler answers with.

use std::convert::Infallible;

use http::StatusCode;

use super::StoreError;

/// The result of an event handler, as the status that the service receives.
///
/// After a success (2xx) the service does not post the event again. After any other status it does. Use
/// 200 and 500: how the service handles other statuses is not documented.
///
/// | Result | Status |
/// |---|---|
/// | `()` | 200 |
/// | [`StatusCode`] | the same |
/// | [`Result`] | that of its value or of its error |
/// | `Box<dyn Error + Send + Sync>` | 500 |
///
/// Implement it for your own error type to choose its status.
pub trait IntoStatus {
    /// Returns the status to answer with.
    fn into_status(self) -> StatusCode;
}

impl IntoStatus for () {
    fn into_status(self) -> StatusCode {
        StatusCode::OK
    }
}

impl IntoStatus for StatusCode {
    fn into_status(self) -> StatusCode {
        self
    }
}

impl IntoStatus for Infallible {
    fn into_status(self) -> StatusCode {
        match self {}
    }
}

impl IntoStatus for StoreError {
    fn into_status(self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl<T: IntoStatus, E: IntoStatus> IntoStatus for Result<T, E> {
    fn into_status(self) -> StatusCode {
        match self {
            Ok(value) => value.into_status(),
            Err(error) => error.into_status(),
        }
    }
}
