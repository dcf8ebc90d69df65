//! Webhooks in an axum application.
//!
//! Most applications need [`router`] only. If the handler needs the application's state or more of the
//! request, use the extractor [`WebhookEvent`].

use ::axum::Router;
use ::axum::body::Body;
use ::axum::extract::{FromRef, FromRequest, Request};
use ::axum::response::{IntoResponse, Response};

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
    let below = receiver
        .has_secret_path()
        .then(|| format!("{}/{{secret}}", path.trim_end_matches('/')));
    let service = WebhookService::new(receiver, handler);
    let router = Router::new();
    let router = match below {
        Some(below) => router.route_service(&below, service.clone()),
        None => router,
    };
    router.route_service(path, service)
}

/// Extracts the event of an authenticated request.
///
/// The application's state must be a [`Receiver`], or have one ([`FromRef`]). A refused request does not
/// reach the handler. For a [secret path](Auth::secret_path), the route must have its segment:
/// `/webhook/{secret}`.
///
/// An extractor does not know the handler's result, so [`Receiver::deduplicate`] has no effect on it.
/// To deduplicate, pass the event to [`Receiver::process`], or use [`Event::dedup_key`].
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
