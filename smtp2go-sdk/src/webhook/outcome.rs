//! What a handler answers with.

use std::convert::Infallible;

use http::StatusCode;

use super::StoreError;

/// What a handler of events may return: the status that the service gets.
///
/// With a success (2xx) the event is done, with anything else the service posts it again. It is
/// known that 200 counts as success and 500 does not; nothing is known of other statuses, so
/// prefer these two.
///
/// | | |
/// |---|---|
/// | `()` | 200 |
/// | [`StatusCode`] | itself |
/// | [`Result`] | that of its value or of its error |
/// | `Box<dyn Error + Send + Sync>` | 500 |
///
/// Implement it for an error of your own to choose its status.
pub trait IntoStatus {
    /// The status to answer with.
    fn into_status(self) -> StatusCode;
}

impl IntoStatus for () {
    #[inline]
    fn into_status(self) -> StatusCode {
        StatusCode::OK
    }
}

impl IntoStatus for StatusCode {
    #[inline]
    fn into_status(self) -> StatusCode {
        self
    }
}

impl IntoStatus for Infallible {
    #[inline]
    fn into_status(self) -> StatusCode {
        match self {}
    }
}

impl IntoStatus for StoreError {
    #[inline]
    fn into_status(self) -> StatusCode {
        StatusCode::INTERNAL_SERVER_ERROR
    }
}

impl<T: IntoStatus, E: IntoStatus> IntoStatus for Result<T, E> {
    #[inline]
    fn into_status(self) -> StatusCode {
        match self {
            Ok(value) => value.into_status(),
            Err(error) => error.into_status(),
        }
    }
}
