//! Replies of successful calls.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_core::de::DeserializeOwned;
use smtp2go_types::readable;

use super::verdict::undecodable;
use crate::error::Error;

/// The reply to a call: its data, with status, headers, request id and raw body.
///
/// Dereferences to the data.
#[derive(Clone)]
pub struct Reply<T> {
    data: T,
    raw: RawReply,
}

impl<T> Reply<T> {
    pub(crate) fn new(data: T, raw: RawReply) -> Self {
        Self { data, raw }
    }

    /// Changes the data.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut T)) -> Self {
        change(&mut self.data);
        self
    }

    /// Returns the reply without its data.
    pub(crate) fn raw(&self) -> &RawReply {
        &self.raw
    }

    /// Returns the data.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.data
    }

    /// Returns the id that SMTP2GO gave the request. Quote it to SMTP2GO's support. `None` if the reply
    /// has no id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.raw.request_id()
    }

    /// Returns the number of attempts: 1 without a retry.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.raw.attempts()
    }

    /// Returns the HTTP status. It is 2xx.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.raw.status()
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.raw.headers()
    }

    /// Returns the raw body. It can have members that the data has no fields for.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        self.raw.body()
    }
}

impl<T> Deref for Reply<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.data
    }
}

/// Shows the data, and the size of the body.
impl<T: fmt::Debug> fmt::Debug for Reply<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("data", &self.data)
            .field("raw", &self.raw)
            .finish()
    }
}

/// The reply to a call, with its body as raw bytes.
#[derive(Clone)]
pub struct RawReply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    request_id: Option<String>,
    attempts: u32,
}

impl RawReply {
    pub(crate) fn new(
        status: StatusCode,
        headers: HeaderMap,
        body: Bytes,
        request_id: Option<String>,
    ) -> Self {
        Self {
            status,
            headers,
            body,
            request_id,
            attempts: 1,
        }
    }

    /// Sets the number of attempts.
    pub(crate) fn after(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Returns the number of attempts: 1 without a retry.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the id that SMTP2GO gave the request. Quote it to SMTP2GO's support. `None` if the reply
    /// has no id or is not JSON.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the HTTP status. It is 2xx.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the raw body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Decodes the whole body, such as `{"request_id":…,"data":…}`, as a type of your own or as a
    /// `serde_json::Value`.
    ///
    /// # Errors
    /// An error that [`is_decode`](Error::is_decode), if the body is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&readable(&self.body))
            .map_err(|error| undecodable(None, self.clone(), &error))
    }

    /// Replaces the body with one that progenitor's code can decode.
    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn with_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Splits the reply into its parts.
    pub(crate) fn into_parts(self) -> (StatusCode, HeaderMap, Bytes) {
        (self.status, self.headers, self.body)
    }
}

/// Shows the size of the body only.
impl fmt::Debug for RawReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReply")
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}
