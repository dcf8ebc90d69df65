//! The receiver as a tower service.

use std::convert::Infallible;
use std::fmt;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, Method, Request, Response, request};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};

use super::outcome::IntoStatus;
use super::receiver::Receiver;
use super::refusal::{Answer, Refusal};
use super::request_head::RequestHead;
use super::{Event, StoreError};

/// The address of the connection's peer, as an extension of a request, for [`Receiver::sources`]. A
/// server on plain hyper has to insert it;
#[cfg_attr(
    feature = "axum",
    doc = "on axum, `ConnectInfo<SocketAddr>` works too."
)]
#[cfg_attr(
    not(feature = "axum"),
    doc = "with the feature `axum`, axum's `ConnectInfo<SocketAddr>` works too."
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// A [`Receiver`] and a handler as a tower service, for axum, hyper and other servers.
///
/// Accepts requests to any path: select the path in your router. The handler receives each event and
/// returns an [`IntoStatus`].
///
/// A success has an empty body. A refusal has one line of text, without secrets.
///
/// On plain hyper, wrap it in `hyper_util::service::TowerToHyperService`.
///
/// ```
/// use smtp2go_sdk::webhook::{Auth, Event, Receiver, WebhookService};
///
/// let receiver = Receiver::new(Auth::bearer("a-long-random-token")?);
/// let service = WebhookService::new(receiver, |event: Event| async move {
///     println!("{:?}", event.name());
/// });
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
#[derive(Clone)]
pub struct WebhookService<H> {
    receiver: Receiver,
    handler: H,
}

impl<H> WebhookService<H> {
    /// Returns a service that passes to the handler the events that the receiver accepts.
    pub fn new<F>(receiver: Receiver, handler: H) -> Self
    where
        H: Fn(Event) -> F,
        F: Future<Output: IntoStatus>,
    {
        Self { receiver, handler }
    }
}

impl<H> fmt::Debug for WebhookService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookService")
            .field("receiver", &self.receiver)
            .finish_non_exhaustive()
    }
}

impl<B, H, F> tower_service::Service<Request<B>> for WebhookService<H>
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<StoreError>,
    H: Fn(Event) -> F + Clone + Send + 'static,
    F: Future<Output: IntoStatus> + Send,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Self { receiver, handler } = self.clone();
        Box::pin(async move {
            let answer = match receive(&receiver, request).await {
                Ok(event) => Answer::status_only(receiver.process(event, handler).await),
                Err(refusal) => refusal.into(),
            };
            Ok(response(&answer))
        })
    }
}

/// Authenticates a request and reads its event.
pub(super) async fn receive<B>(receiver: &Receiver, request: Request<B>) -> Result<Event, Refusal>
where
    B: http_body::Body,
    B::Error: Into<StoreError>,
{
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return Err(Refusal::method());
    }
    let head = RequestHead::from_http(&parts.uri, &parts.headers).peer(peer(&parts));
    receiver.authenticate(&head)?;
    let limit = receiver.limit();
    let announced = parts.headers.get(CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| usize::try_from(length).map_or(true, |len| len > limit)) {
        return Err(Refusal::too_large(limit));
    }
    let body = match Limited::new(body, limit).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return Err(Refusal::too_large(limit)),
        Err(_) => return Err(Refusal::broken()),
    };
    let content_type = parts.headers.get(CONTENT_TYPE);
    receiver.parse(content_type.and_then(|value| value.to_str().ok()), &body)
}

fn peer(parts: &request::Parts) -> Option<IpAddr> {
    let given = parts.extensions.get::<Peer>().map(|Peer(address)| *address);
    #[cfg(all(feature = "axum", not(target_family = "wasm")))]
    let given = given.or_else(|| {
        use ::axum::extract::ConnectInfo;
        let connected = parts.extensions.get::<ConnectInfo<std::net::SocketAddr>>();
        connected.map(|ConnectInfo(address)| address.ip())
    });
    given
}

pub(super) fn response(answer: &Answer) -> Response<Full<Bytes>> {
    let text = match answer.refusal() {
        Some(refusal) => Bytes::from(refusal.to_string()),
        None => Bytes::new(),
    };
    let mut response = Response::new(Full::new(text));
    *response.status_mut() = answer.status();
    if let Some(refusal) = answer.refusal() {
        let headers = response.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
        if let Some(challenge) = refusal.challenge() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if refusal.status() == http::StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("POST"));
        }
    }
    response
}
