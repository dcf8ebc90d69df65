//! The raw client: the code that progenitor generates, on the core of this crate's client.
//!
//! [`Client::raw`](crate::Client::raw) returns one. It has a method for each operation, named by the
//! operationId, which takes the request and returns the whole reply: the envelope with its data. The
//! methods are what progenitor generates from the specification, unchanged. Hooks of this crate send
//! their requests, so key, region, rate limits, retries, time limits, tracing and the verdict on replies
//! are those of the client. Not on wasm32.
//!
//! ```no_run
//! use smtp2go_sdk::types::TemplateViewRequest;
//!
//! # async fn example(client: smtp2go_sdk::Client) -> Result<(), smtp2go_sdk::Error> {
//! let reply = client.raw().template_view(&TemplateViewRequest::new("welcome")).await?;
//! println!("{:?} {:?}", reply.request_id, reply.data);
//! # Ok(())
//! # }
//! ```
//!
//! # When to use it
//!
//! Prefer the groups, such as `client.template()`: their errors say whether a call may have been processed,
//! and their replies are without the envelope. Use the raw client for code that was written for
//! progenitor's client of the same document, or if you need the whole reply as progenitor types it.
//!
//! # What differs from the groups
//!
//! - Requests are checked by their JSON, which is parsed again for that
//!   ([`validate_json`](smtp2go_types::validation::validate_json)). A value that an open enum does not
//!   list is sent, unless it is another spelling of a listed one. An `extra` with the name of a field
//!   that is not set is sent too, because in JSON the two are the same.
//! - Errors are progenitor's. [`crate::Error::of`], or `?`, converts each into the error that the
//!   group's method would have returned.
//!
//! # Errors
//!
//! | Failure | [`Error`] |
//! |---|---|
//! | a status from 400 to 499, with the API's explanation | `ErrorResponse`, with the typed explanation |
//! | everything else, such as a success that reports a failure or can't be decoded | `CommunicationError`, whose source is a [`crate::Error`] |
//!
//! - Convert the error with [`crate::Error::of`], and decide by its
//!   [`certainty`](crate::Error::certainty) whether to send again. Don't use progenitor's
//!   `is_retryable`: it is true for every `CommunicationError`, so a mail could be sent twice.
//! - Don't log progenitor's error: its Display and Debug show headers and bodies, which quote
//!   addresses. Log the Debug of [`crate::Error`].
//! - The error of an `ErrorResponse` is made from the typed explanation: its
//!   [`body`](crate::Error::body) has the reply's members, but not the original bytes.

use std::error::Error as StdError;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::{Body as _, Frame};
use serde_core::de::DeserializeOwned;
use smtp2go_types::{Envelope, ErrorResponse, ValidationError};

use crate::call::verdict::{Success, interrupted, of_reply, undecodable};
use crate::error::{CallFacts, ErrorKind};
use crate::generated::raw_types::ROWS;
use crate::operation::Operation;
use crate::{Body, Certainty, RawReply};

pub use crate::generated::raw::{ByteStream, Client, ClientInfo, ResponseValue};

/// The error of the raw client's methods.
pub type Error<E = ErrorResponse> = progenitor_client::Error<E>;

/// Header that carries the facts of a call besides its reply, from the hook to [`crate::Error::of`].
const FACTS: HeaderName = HeaderName::from_static("x-smtp2go-sdk-call");

/// An operation, the check of its request, and the function that repairs its reply.
pub(crate) type Row = (&'static Operation, Option<Check>, Readable);

/// Checks the body of a request.
type Check = fn(&[u8]) -> Result<(), ValidationError>;

/// Returns the body of a reply as JSON that serde decodes as the operation's type. Fails if it is
/// something else.
type Readable = fn(&Bytes) -> Result<Bytes, serde_json::Error>;

/// [`Readable`] for `R`, with the rules of the groups' methods.
pub(crate) fn readable<R: Envelope + DeserializeOwned>(
    body: &Bytes,
) -> Result<Bytes, serde_json::Error> {
    // A reply of unknown shape is decoded from an empty object.
    let anything = || R::unknown().map(|_| Bytes::from_static(b"{}"));
    repaired::<R>(body).or_else(|error| anything().ok_or(error))
}

/// Returns a body that serde decodes as an `R`, repaired if needed.
fn repaired<R: DeserializeOwned>(body: &Bytes) -> Result<Bytes, serde_json::Error> {
    let is_one = |body: &[u8]| serde_json::from_slice::<R>(body).map(|_| ());
    is_one(body).map(|()| body.clone()).or_else(|error| {
        let text = smtp2go_types::readable(body).into_owned();
        is_one(text.as_bytes())
            .map(|()| text.into())
            .map_err(|_| error)
    })
}

/// Sends the requests of progenitor's methods through the core.
impl progenitor_client::ClientHooks<crate::Client> for Client {
    async fn exec(
        &self,
        request: reqwest::Request,
        info: &progenitor_client::OperationInfo,
    ) -> reqwest::Result<reqwest::Response> {
        let result = match row(info.operation_id) {
            Some((operation, check, readable)) => {
                let read = |success: Success| read(operation, *readable, success.reply);
                self.inner
                    .perform_as(operation, || sent(request, *check), read, |reply| reply)
                    .await
            }
            None => Err(crate::Error::config(format!(
                "unknown operation {}",
                info.operation_id
            ))),
        };
        match result {
            Ok(reply) => {
                let (status, headers, body) = reply.into_parts();
                Ok(response(status, headers, body))
            }
            Err(error) => match refusal(&error) {
                Some(response) => Ok(response),
                None => Err(thrown(error).await),
            },
        }
    }
}

impl crate::Client {
    /// Returns the raw client: see [`raw`](crate::raw).
    #[must_use]
    pub fn raw(&self) -> Client {
        let core = self.core();
        let http = core.http().for_building_requests();
        Client::new_with_client(core.base_url(), http, self.clone())
    }
}

fn row(id: &str) -> Option<&'static Row> {
    ROWS.iter().find(|(operation, ..)| operation.id == id)
}

/// Returns the body of a request, if it passes its check.
async fn sent(mut request: reqwest::Request, check: Option<Check>) -> Result<Body, crate::Error> {
    let Some(mut body) = request.body_mut().take() else {
        return Ok(Body::empty());
    };
    let mut frames = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|error| {
            crate::Error::not_sent(ErrorKind::Serialize).with_source(error.without_url())
        })?;
        frames.extend(frame.into_data());
    }
    // A body in memory is usually one frame.
    let body = match <[Bytes; 1]>::try_from(frames) {
        Ok([only]) => only,
        Err(frames) => frames.concat().into(),
    };
    if let Some(check) = check {
        check(&body).map_err(crate::Error::validation)?;
    }
    Ok(body.into())
}

/// Returns a reply with a body that progenitor's code can decode.
fn read(
    operation: &'static Operation,
    readable: Readable,
    reply: RawReply,
) -> Result<RawReply, crate::Error> {
    match readable(reply.body()) {
        Ok(body) => Ok(reply.with_body(body)),
        Err(error) => Err(undecodable(Some(operation), reply, &error)),
    }
}

fn response(status: StatusCode, headers: HeaderMap, body: Bytes) -> reqwest::Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.into()
}

/// Returns the reply of an error with a status from 400 to 499 and an explanation.
fn refusal(error: &crate::Error) -> Option<reqwest::Response> {
    if !error.is_refusal() {
        return None;
    }
    let body = repaired::<ErrorResponse>(error.body()?).ok()?;
    let mut headers = error.headers()?.clone();
    let id = error.operation().map_or("", |operation| operation.id);
    headers.insert(FACTS, error.facts().to_header(id)?);
    Some(response(error.status()?, headers, body))
}

/// Wraps an error of the SDK in a reqwest error, the only type that a hook can return.
async fn thrown(error: crate::Error) -> reqwest::Error {
    let mut body = reqwest::Body::wrap(Failing(error));
    loop {
        // The body fails on every read.
        if let Some(Err(error)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            return error;
        }
    }
}

/// A body whose reading fails with this error.
struct Failing(crate::Error);

impl http_body::Body for Failing {
    type Data = Bytes;
    type Error = crate::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, crate::Error>>> {
        Poll::Ready(Some(Err(self.0.clone())))
    }
}

impl CallFacts {
    /// Writes operation, attempts, certainty, doubt and wait: `email_send 2 unknown doubt 61000`.
    fn to_header(self, operation: &str) -> Option<HeaderValue> {
        let Self {
            attempts,
            certainty,
            doubt,
            retry_after,
        } = self;
        let doubt = if doubt { "doubt" } else { "-" };
        let wait = retry_after.map_or("-".to_owned(), |wait| wait.as_millis().to_string());
        let text = format!(
            "{operation} {attempts} {} {doubt} {wait}",
            certainty.as_str()
        );
        HeaderValue::try_from(text).ok()
    }

    /// Returns the operation's id, and the facts.
    fn from_header(value: &HeaderValue) -> Option<(&str, Self)> {
        let mut parts = value.to_str().ok()?.split(' ');
        let (operation, attempts) = (parts.next()?, parts.next()?.parse().ok()?);
        let found = parts.next()?;
        let all = [Certainty::NotSent, Certainty::Rejected, Certainty::Unknown];
        let facts = Self {
            attempts,
            certainty: all
                .into_iter()
                .find(|certainty| certainty.as_str() == found)?,
            doubt: parts.next()? == "doubt",
            retry_after: parts.next()?.parse().ok().map(Duration::from_millis),
        };
        Some((operation, facts))
    }
}

impl crate::Error {
    /// Returns the error that the group's method would have returned.
    #[must_use]
    pub fn of(error: &Error) -> Self {
        match error {
            Error::CommunicationError(error) | Error::ResponseBodyError(error) => of_http(error),
            Error::ErrorResponse(answer) => of_answer(answer),
            // The hook fails before these can occur. So they are from code that calls progenitor's
            // functions directly, or makes such an error itself.
            Error::InvalidRequest(text) | Error::Custom(text) => Self::config(text.as_str()),
            Error::InvalidUpgrade(error) => of_http(error),
            Error::InvalidResponsePayload(body, error) => {
                let reply = RawReply::new(StatusCode::OK, HeaderMap::new(), body.clone(), None);
                undecodable(None, reply, error)
            }
            Error::UnexpectedResponse(response) => {
                of_reply(response.status(), response.headers().clone(), Bytes::new())
            }
        }
    }
}

impl From<Error> for crate::Error {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

fn of_http(error: &reqwest::Error) -> crate::Error {
    let mut innermost: &(dyn StdError + 'static) = error;
    while let Some(source) = innermost.source() {
        if let Some(ours) = source.downcast_ref::<crate::Error>() {
            return ours.clone();
        }
        innermost = source;
    }
    // Its text, since a reqwest error can't be cloned.
    let source = innermost.to_string();
    if error.is_builder() {
        crate::Error::not_sent(ErrorKind::Serialize).with_source(source)
    } else {
        interrupted(source)
    }
}

fn of_answer(answer: &ResponseValue<ErrorResponse>) -> crate::Error {
    let mut headers = answer.headers().clone();
    let facts = headers.remove(FACTS);
    let body = serde_json::to_vec(&**answer).unwrap_or_default();
    let error = of_reply(answer.status(), headers, body.into());
    let Some((id, facts)) = facts.as_ref().and_then(CallFacts::from_header) else {
        return error;
    };
    let error = match row(id) {
        Some((operation, ..)) => error.during(operation, facts.attempts),
        None => error,
    };
    error.with_facts(facts)
}
