//! The head of a request, independent of the web framework.

use std::fmt;
use std::net::IpAddr;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};

#[allow(unused_imports, reason = "for the documentation")]
use super::Receiver;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The parts of a request that a [`Receiver`] checks, besides the body.
#[derive(Clone, Copy, Default)]
pub struct RequestHead<'a> {
    target: &'a str,
    authorization: Option<&'a [u8]>,
    content_type: Option<&'a str>,
    forwarded_for: Option<&'a str>,
    peer: Option<IpAddr>,
}

impl<'a> RequestHead<'a> {
    /// Starts with the path and query as received, such as `/webhook?token=…`.
    #[must_use]
    pub fn new(path_and_query: &'a str) -> Self {
        Self {
            target: path_and_query,
            ..Self::default()
        }
    }

    /// Takes everything but the peer from a request in the types of the crate `http` 1.
    #[must_use]
    pub fn from_http(uri: &'a http::Uri, headers: &'a HeaderMap) -> Self {
        let text = |value: &'a http::HeaderValue| value.to_str().ok();
        // A proxy may add a header instead of extending it. The last header counts, as the last entry
        // does.
        let forwarded_for = headers.get_all(FORWARDED_FOR).iter().next_back();
        Self {
            target: uri.path_and_query().map_or("", |target| target.as_str()),
            authorization: headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes),
            content_type: headers.get(CONTENT_TYPE).and_then(text),
            forwarded_for: forwarded_for.and_then(text),
            peer: None,
        }
    }

    /// Sets the header `Authorization`.
    #[must_use]
    pub fn authorization(mut self, value: impl Into<Option<&'a [u8]>>) -> Self {
        self.authorization = value.into();
        self
    }

    /// Sets the header `Content-Type`.
    #[must_use]
    pub fn content_type(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_type = value.into();
        self
    }

    /// Sets the header `X-Forwarded-For`, the last one if there are several, for
    /// [`Receiver::behind_proxies`].
    #[must_use]
    pub fn forwarded_for(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.forwarded_for = value.into();
        self
    }

    /// Sets the address of the connection's peer, for [`Receiver::sources`].
    #[must_use]
    pub fn peer(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.peer = address.into();
        self
    }

    pub(super) fn content_type_header(&self) -> Option<&'a str> {
        self.content_type
    }

    pub(super) fn target(&self) -> &'a str {
        self.target
    }

    pub(super) fn authorization_header(&self) -> Option<&'a [u8]> {
        self.authorization
    }

    /// Returns the address of the sender behind `proxies` proxies, each of which added an entry at the
    /// end of `X-Forwarded-For`.
    pub(super) fn source(&self, proxies: usize) -> Option<IpAddr> {
        let Some(before) = proxies.checked_sub(1) else {
            return self.peer;
        };
        let entry = self.forwarded_for?.rsplit(',').nth(before)?.trim();
        // Some proxies add the port, and brackets around a v6 address.
        let entry = entry.trim_start_matches('[');
        let address = entry.parse().ok();
        address.or_else(|| match entry.split_once(']') {
            Some((address, _)) => address.parse().ok(),
            None => entry.rsplit_once(':')?.0.parse().ok(),
        })
    }
}

/// Does not show the header `Authorization`, the path and the query, which can hold the secret. Shows
/// the peer's IP address, which explains a refusal.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("content_type", &self.content_type)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
