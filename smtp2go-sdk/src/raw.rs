//! The second door: the client that progenitor generates, wired to the same core.
//!
//! [`Client::raw`](crate::Client::raw) hands one out, ready to use. Its methods are named by
//! operation and take and return the wire's own types, with the envelope around the data. Base
//! URL, key, time limits and errors are those of the client that it came from: an error here is
//! the one that the group's method would have given.
//!
//! What differs:
//! - Requests are not checked before they are sent: only their bytes get as far as the core. Call
//!   [`Validate::validate`](smtp2go_types::Validate::validate) first to have them checked.
//! - A reply of the right type is required: a member that comes twice, or no body where it is not
//!   known what the service answers, is an error. The error for an unreadable reply has the body but
//!   not the headers, and counts one attempt, whatever it took.
//! - The status of a [`ResponseValue`] is always 200, also for another success, which the
//!   generated code would take for a failure.

use std::borrow::Cow;
use std::error::Error as _;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use progenitor_client::{ClientHooks, ClientInfo, Error as Generated, OperationInfo};
use smtp2go_types::readable;

use crate::error::{Certainty, Kind};
use crate::inspect::inspect;
use crate::operation::Operation;
use crate::{Body, Error, RawReply, operations, outcome};

pub use crate::generated::raw::Client;
pub use progenitor_client::ResponseValue;

/// What the generated client holds for us: the way to the core.
#[derive(Clone, Debug)]
pub struct Inner {
    client: crate::Client,
}

impl Inner {
    pub(crate) fn new(client: crate::Client) -> Self {
        Self { client }
    }

    /// Calls the operation with the body that the generated client made.
    async fn execute(&self, id: &str, body: Option<&reqwest::Body>) -> Result<RawReply, Error> {
        let operation = operations::OPERATIONS
            .iter()
            .copied()
            .find(|operation| operation.id == id)
            .ok_or_else(|| Error::config(format!("the operation table lacks {id}")))?;
        let body = match body.map(reqwest::Body::as_bytes) {
            None => Body::empty(),
            Some(Some(bytes)) => Bytes::copy_from_slice(bytes).into(),
            Some(None) => {
                return Err(Error::config("a streamed body can't be sent").during(operation, 0));
            }
        };
        self.client.execute(operation, body).await
    }
}

impl ClientHooks<Inner> for Client {
    /// Leaves the request to the core, which builds its own from the same body.
    async fn exec(
        &self,
        request: reqwest::Request,
        info: &OperationInfo,
    ) -> reqwest::Result<reqwest::Response> {
        let result = self
            .inner()
            .execute(info.operation_id, request.body())
            .await;
        let mut response = http::Response::new(Bytes::new());
        match result {
            Ok(reply) => {
                let (_, headers, body) = reply.into_parts();
                *response.headers_mut() = headers;
                *response.body_mut() = match readable(&body) {
                    Cow::Borrowed(text) if text.len() == body.len() => body,
                    text => text.into_owned().into(),
                };
            }
            Err(error) => {
                *response.status_mut() = carrier_status();
                response.extensions_mut().insert(Carried::new(error));
            }
        }
        Ok(response.into())
    }
}

/// A status that the generated code takes for a failure, and that no server sends.
fn carrier_status() -> StatusCode {
    StatusCode::from_u16(599).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Our error on its way through the generated code, which has no place for it, in the extensions
/// of a made-up response. Extensions must be `Clone`, which errors are not.
#[derive(Clone)]
struct Carried(Arc<Mutex<Option<Error>>>);

impl Carried {
    fn new(error: Error) -> Self {
        Self(Arc::new(Mutex::new(Some(error))))
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The error of a generated method as one of ours.
pub(crate) fn error(operation: &'static Operation, error: Generated<()>) -> Error {
    match error {
        Generated::UnexpectedResponse(mut response) => {
            match response
                .extensions_mut()
                .remove::<Carried>()
                .and_then(|carried| carried.take())
            {
                Some(error) => error,
                // Not from our hook: nothing is known but the status.
                None => answered(operation, response.status()),
            }
        }
        // The hook lets successes through only.
        Generated::InvalidResponsePayload(body, error) => {
            let reply = RawReply::new(StatusCode::OK, HeaderMap::new(), body, None);
            outcome::unreadable(reply, &error).during(operation, 1)
        }
        // The rest comes up while the request is built, or never: the hook answers from memory.
        Generated::InvalidRequest(text) | Generated::Custom(text) => {
            Error::config(text).during(operation, 0)
        }
        Generated::CommunicationError(error) => {
            let source = error.source().map(ToString::to_string).unwrap_or_default();
            Error::not_sent(Kind::Serialize)
                .with_source(source)
                .during(operation, 0)
        }
        Generated::ErrorResponse(response) => answered(operation, response.status()),
        Generated::InvalidUpgrade(error) | Generated::ResponseBodyError(error) => {
            Error::transport(false, Some(error)).during(operation, 1)
        }
    }
}

/// Nothing is known of such an answer but its status.
fn answered(operation: &'static Operation, status: StatusCode) -> Error {
    Error::answered(
        Kind::Status,
        Certainty::Unknown,
        (status, HeaderMap::new(), Bytes::new()),
        inspect(b""),
    )
    .during(operation, 1)
}
