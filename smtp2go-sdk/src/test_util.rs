//! Replies and errors of the client, for tests of your own code (feature `test-util`).
//!
//! Use them to test error handling without a server. The rules of a real call apply to the replies, so
//! the errors have the same [`certainty`](Error::certainty), text and code:
//!
//! ```
//! use smtp2go_sdk::test_util::{Failure, FakeReply};
//! use smtp2go_sdk::{Certainty, Error, Reply, Sent, operations};
//!
//! /// The code under test.
//! fn next_step(result: Result<Reply<Sent>, Error>) -> &'static str {
//!     match result {
//!         Ok(_) => "done",
//!         Err(error) if error.is_rate_limited() => "wait",
//!         Err(error) => match error.certainty() {
//!             Certainty::NotSent => "send again",
//!             Certainty::Rejected => "give up",
//!             Certainty::Unknown => "look it up",
//!         },
//!     }
//! }
//!
//! let accepted = r#"{"data": {"succeeded": 1, "failed": 0, "failures": [], "email_id": "1er8bV-6Tw0Mi-7h"}}"#;
//! assert_eq!(next_step(FakeReply::new(200, accepted).sent()), "done");
//!
//! let refused = r#"{"data": {"error": "no such sender", "error_code": "E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD"}}"#;
//! assert_eq!(next_step(FakeReply::new(400, refused).sent()), "give up");
//!
//! let too_many = FakeReply::new(429, "{}").header("Retry-After", "30");
//! assert_eq!(next_step(too_many.sent()), "wait");
//!
//! let send = &operations::EMAIL_SEND;
//! assert_eq!(next_step(Err(Failure::Connect.error(send))), "send again");
//! assert_eq!(next_step(Err(Failure::Timeout.error(send))), "look it up");
//! ```
//!
//! [`Sent`] and the types of replies implement `Default` and have public fields. [`Reply::fake`] wraps
//! one in a reply. For tests with a server, use the crate `smtp2go-sandbox`.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_core::de::DeserializeOwned;
use smtp2go_types::Envelope;

use crate::call::verdict::{Success, Upload, judged_reply, no_reply};
use crate::client::decoded;
use crate::mail::sent;
use crate::operation::Operation;
use crate::{Error, RawReply, Reply, Sent, operations};

/// A raw reply of the API, which the client judges and decodes.
#[derive(Clone, Debug)]
#[must_use = "a fake reply does nothing until it is judged"]
pub struct FakeReply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl FakeReply {
    /// Creates a reply from an HTTP status and a body.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// Adds a header, such as `Retry-After`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns what [`Client::send`](crate::Client::send) returns for this reply.
    ///
    /// # Errors
    /// The error of the send. [`is_config`](Error::is_config) if the status or a header is invalid.
    pub fn sent(self) -> Result<Reply<Sent>, Error> {
        sent(self.judged(&operations::EMAIL_SEND)?)
    }

    /// Returns what [`Client::execute`](crate::Client::execute) returns for this reply to an operation.
    ///
    /// # Errors
    /// Like [`sent`](Self::sent).
    pub fn raw(self, operation: &'static Operation) -> Result<RawReply, Error> {
        Ok(self.judged(operation)?.reply)
    }

    /// Returns what [`Client::call`](crate::Client::call) and the methods of groups return for this
    /// reply to an operation. `R` is the type of the whole reply, such as
    /// [`TemplateResponse`](crate::types::TemplateResponse).
    ///
    /// # Errors
    /// Like [`sent`](Self::sent), and [`is_decode`](Error::is_decode) if the body is not an `R`.
    pub fn call<R>(self, operation: &'static Operation) -> Result<Reply<R::Data>, Error>
    where
        R: Envelope + DeserializeOwned,
    {
        decoded::<R>(operation, self.judged(operation)?.reply)
    }

    fn judged(self, operation: &'static Operation) -> Result<Success, Error> {
        let status = StatusCode::from_u16(self.status);
        let status = status.map_err(|_| Error::config("fake reply: not an HTTP status"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in self.headers {
            let header = HeaderName::try_from(name)
                .ok()
                .zip(HeaderValue::try_from(value).ok());
            let (name, value) = header.ok_or_else(|| Error::config("fake reply: not a header"))?;
            headers.append(name, value);
        }
        judged_reply(operation, status, headers, self.body.into())
            .map_err(|error| error.during(operation, 1))
    }
}

/// A way in which a call ends without a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// No connection could be made: nothing was sent.
    Connect,
    /// Connecting timed out: nothing was sent.
    ConnectTimeout,
    /// The connection failed before the request was sent whole, so it was not processed.
    Upload,
    /// The connection failed after the request was sent: the outcome is unknown.
    Lost,
    /// No reply arrived in time after the request was sent: the outcome is unknown.
    Timeout,
}

impl Failure {
    /// Returns the error of a call to the operation whose first attempt failed this way.
    #[must_use]
    pub fn error(self, operation: &'static Operation) -> Error {
        let error = match self {
            Self::Connect => no_reply(Upload::Nothing, true, false),
            Self::ConnectTimeout => no_reply(Upload::Nothing, true, true),
            Self::Upload => no_reply(Upload::Part, false, false),
            Self::Lost => no_reply(Upload::Whole, false, false),
            Self::Timeout => no_reply(Upload::Whole, false, true),
        };
        error.during(operation, 1)
    }
}

impl<T> Reply<T> {
    /// Creates a reply from its data, with status 200 and without headers, body and request id.
    ///
    /// ```
    /// use smtp2go_sdk::{Reply, Sent};
    ///
    /// let mut sent = Sent::default();
    /// sent.email_id = Some("1er8bV-6Tw0Mi-7h".to_owned());
    /// let reply = Reply::fake(sent);
    /// assert_eq!(reply.email_id.as_deref(), Some("1er8bV-6Tw0Mi-7h"));
    /// ```
    #[must_use]
    pub fn fake(data: T) -> Self {
        let raw = RawReply::new(StatusCode::OK, HeaderMap::new(), Bytes::new(), None);
        Self::new(data, raw)
    }
}
