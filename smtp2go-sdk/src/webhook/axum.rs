//! Webhooks in an axum application.
//!
//! Most applications need [`router`] only, or [`router_with_state`] if the handler needs the
//! application's state. If it needs more of the request, use the extractor [`WebhookEvent`], which does not
//! deduplicate.
//!
//! Not on wasm32: use [`Receiver`] there.

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::{FromRef, FromRequest, Request, State};
use ::axum::response::{IntoResponse, Response};
use ::axum::routing::any;
use tower_service::Service;

#[allow(unused_imports, reason = "for the documentation")]
use super::Auth;
use super::Event;
use super::outcome::IntoStatus;
use super::receiver::Receiver;
use super::refusal::{Answer, Refusal};
use super::service::{WebhookService, receive, response};

/// Returns a router that passes events posted to `path` to the handler; with
/// [`Auth::secret_path`], also those posted to `path` and one more segment.
///
/// Merge it into the application's router. The handler returns an [`IntoStatus`]; the service posts the
/// event again unless that is a success.
///
/// [`Receiver::sources`] requires serving the application with
/// `into_make_service_with_connect_info::<SocketAddr>()`.
///
/// ```
/// use axum::Router;
/// use smtp2go_sdk::webhook::{Auth, Event, Receiver, axum::router};
///
/// let receiver = Receiver::new(Auth::bearer("a-long-random-token")?);
/// let webhook = router("/webhook", receiver, |event: Event| async move {
///     println!("{:?}", event.name());
/// });
/// let app: Router = Router::new().merge(webhook);
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
///
/// # Panics
///
/// Panics as axum's `route` does, if the path does not start with a slash or is malformed.
pub fn router<S, H, F>(path: &str, receiver: Receiver, handler: H) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    H: Fn(Event) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: IntoStatus> + Send + 'static,
{
    let below = below(path, &receiver);
    let service = WebhookService::new(receiver, handler);
    let router = Router::new();
    let router = match below {
        Some(below) => router.route_service(&below, service.clone()),
        None => router,
    };
    router.route_service(path, service)
}

/// Like [`router`], with the application's state, or a part of it ([`FromRef`]), as the handler's first
/// argument. Events are [deduplicated](Receiver::deduplicate) if the receiver does so.
///
/// ```
/// use axum::Router;
/// use axum::extract::State;
/// use axum::http::StatusCode;
/// use smtp2go_sdk::webhook::{Auth, Event, MemoryDeduplicator, Receiver, axum::router_with_state};
///
/// #[derive(Clone)]
/// struct Orders; // such as a pool of database connections
///
/// impl Orders {
///     async fn note(&self, _event: &Event) -> Result<(), std::io::Error> {
///         Ok(())
///     }
/// }
///
/// async fn received(State(orders): State<Orders>, event: Event) -> StatusCode {
///     match orders.note(&event).await {
///         Ok(()) => StatusCode::OK,
///         Err(_) => StatusCode::INTERNAL_SERVER_ERROR, // the service posts the event again
///     }
/// }
///
/// let receiver = Receiver::new(Auth::bearer("a-long-random-token")?)
///     .deduplicate(MemoryDeduplicator::new());
/// let app: Router = Router::new()
///     .merge(router_with_state("/webhook", receiver, received))
///     .with_state(Orders);
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
///
/// # Panics
///
/// As [`router`].
pub fn router_with_state<S, T, H, F>(path: &str, receiver: Receiver, handler: H) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
    T: FromRef<S> + Clone + Send + Sync + 'static,
    H: Fn(State<T>, Event) -> F + Clone + Send + Sync + 'static,
    F: Future<Output: IntoStatus> + Send + 'static,
{
    let below = below(path, &receiver);
    let route = any(move |state: State<T>, request: Request| {
        let handle = move |event| handler(state.clone(), event);
        let response = WebhookService::new(receiver, handle).call(request);
        async move {
            match response.await {
                Ok(response) => response.map(Body::new),
                Err(never) => match never {},
            }
        }
    });
    let router = Router::new();
    let router = match below {
        Some(below) => router.route(&below, route.clone()),
        None => router,
    };
    router.route(path, route)
}

/// Returns the route of the secret path below `path`, if the receiver has one.
fn below(path: &str, receiver: &Receiver) -> Option<String> {
    let has_one = receiver.has_secret_path();
    has_one.then(|| format!("{}/{{secret}}", path.trim_end_matches('/')))
}

/// Extracts the event of an authenticated request.
///
/// The application's state must be a [`Receiver`], or have one ([`FromRef`]). A refused request does not
/// reach the handler. For a [secret path](Auth::secret_path), the route must have its segment:
/// `/webhook/{secret}`.
///
/// An extractor does not know the handler's result, so [`Receiver::deduplicate`] has no effect on it.
/// To deduplicate, use [`router_with_state`], pass the event to [`Receiver::process`], or use [`Event::dedup_key`].
///
/// ```
/// use axum::{Router, http::StatusCode, routing::post};
/// use smtp2go_sdk::webhook::{Auth, Receiver, axum::WebhookEvent};
///
/// async fn received(WebhookEvent(event): WebhookEvent) -> StatusCode {
///     println!("{:?}", event.name());
///     StatusCode::OK
/// }
///
/// let receiver = Receiver::new(Auth::bearer("a-long-random-token")?);
/// let app: Router = Router::new().route("/webhook", post(received)).with_state(receiver);
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct WebhookEvent(pub Event);

impl<S> FromRequest<S> for WebhookEvent
where
    Receiver: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        receive(&Receiver::from_ref(state), request).await.map(Self)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        Answer::from(self).into_response()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        response(&self).map(Body::new)
    }
}
