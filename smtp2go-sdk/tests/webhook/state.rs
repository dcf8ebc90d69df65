//! Handlers in axum that have the application's state: of webhooks, and of one-click unsubscribes.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Path, State};
use axum::http::{Request, StatusCode};
use axum::routing::post;
use smtp2go_sdk::unsubscribe::OneClick;
use smtp2go_sdk::webhook::{Auth, Event, MemoryDeduplicator, Receiver, axum::router_with_state};
use tower_service::Service;

use crate::log_watch::watched;

const EVENT: &str = r#"{"event":"open","email_id":"1a","id":"1","rcpt":"jane@example.net"}"#;

/// The handled events, and the statuses that the handler returns.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<(Vec<String>, Vec<StatusCode>)>>);

/// The state of an application, of which the log is a part.
#[derive(Clone, Default)]
struct App {
    log: Log,
}

impl FromRef<App> for Log {
    fn from_ref(app: &App) -> Self {
        app.log.clone()
    }
}

async fn received(State(log): State<Log>, event: Event) -> StatusCode {
    let mut log = log.0.lock().unwrap();
    log.0.push(event.name().unwrap().to_owned());
    log.1.pop().unwrap_or(StatusCode::OK)
}

async fn ask(app: &mut Router, uri: &str, headers: &[(&str, &str)], body: &str) -> u16 {
    let request = Request::post(uri);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let request = request.body(Body::from(body.to_owned())).unwrap();
    app.call(request).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn handler_has_state_and_deduplicated_events() {
    let app = App::default();
    let receiver = Receiver::new(Auth::bearer(watched("t0ken")).unwrap())
        .deduplicate(MemoryDeduplicator::new());
    let mut router: Router = Router::new()
        .merge(router_with_state("/webhook", receiver, received))
        .with_state(app.clone());
    let auth = [
        ("authorization", "Bearer t0ken"),
        ("content-type", "application/json"),
    ];
    app.log.0.lock().unwrap().1 = vec![StatusCode::INTERNAL_SERVER_ERROR];
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(ask(&mut router, "/webhook", &auth, EVENT).await);
    }
    statuses.push(ask(&mut router, "/webhook", &[], EVENT).await);
    statuses.push(ask(&mut router, "/webhook/t0ken", &auth, EVENT).await);
    // Fails, succeeds, is a duplicate; no secret; no such route.
    assert_eq!(statuses, [500, 200, 200, 401, 404]);
    assert_eq!(app.log.0.lock().unwrap().0, ["open", "open"]);
}

#[tokio::test]
async fn secret_path_is_a_route_of_the_handler_with_state() {
    let app = App::default();
    let receiver = Receiver::new(Auth::secret_path(watched("s3cret")).unwrap());
    let mut router: Router =
        router_with_state("/webhook", receiver, received).with_state(app.clone());
    let json = [("content-type", "application/json")];
    let mut statuses = Vec::new();
    for uri in ["/webhook/s3cret", "/webhook/wrong", "/webhook"] {
        statuses.push(ask(&mut router, uri, &json, EVENT).await);
    }
    assert_eq!(statuses, [200, 401, 401]);
    assert_eq!(app.log.0.lock().unwrap().0.len(), 1);
}

async fn unsubscribe(Path(token): Path<String>, State(log): State<Log>, _: OneClick) -> StatusCode {
    log.0.lock().unwrap().0.push(token);
    StatusCode::OK
}

#[tokio::test]
async fn only_one_click_requests_reach_the_handler() {
    let log = Log::default();
    let mut router: Router = Router::new()
        .route("/unsubscribe/{token}", post(unsubscribe))
        .with_state(log.clone());
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let long = format!("a={}&List-Unsubscribe=One-Click", "x".repeat(16 * 1024));
    let mut statuses = Vec::new();
    for body in ["List-Unsubscribe=One-Click", "", "a=b", &long] {
        statuses.push(ask(&mut router, "/unsubscribe/0b9f", &form, body).await);
    }
    assert_eq!(statuses, [200, 400, 400, 400]);
    assert_eq!(log.0.lock().unwrap().0, ["0b9f"]);
}
