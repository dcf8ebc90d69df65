//! Posts requests as the service does, and runs a receiver in each framework.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::{any, post};
use http::StatusCode;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use smtp2go_sdk::webhook::axum::{WebhookEvent, router};
use smtp2go_sdk::webhook::{Event, Peer, Receiver, RequestHead, WebhookService};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::log_watch;

/// The events that a handler received, and the status that it answers with.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    events: Arc<Mutex<Vec<Event>>>,
    status: Arc<Mutex<StatusCode>>,
}

impl Inbox {
    /// Also starts the check of the log, for tests that have no secret to watch.
    pub(crate) fn new() -> Self {
        log_watch::on();
        Self {
            events: Arc::default(),
            status: Arc::new(Mutex::new(StatusCode::OK)),
        }
    }

    pub(crate) fn answer_with(&self, status: u16) {
        *self.status.lock().unwrap() = StatusCode::from_u16(status).unwrap();
    }

    /// Returns the events since the last call.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    async fn handle(self, event: Event) -> StatusCode {
        self.events.lock().unwrap().push(event);
        *self.status.lock().unwrap()
    }

    fn handler(
        &self,
    ) -> impl Fn(Event) -> std::pin::Pin<Box<dyn Future<Output = StatusCode> + Send>>
    + Clone
    + Send
    + Sync
    + 'static {
        let inbox = self.clone();
        move |event| Box::pin(inbox.clone().handle(event))
    }
}

/// The state of the application with the extractor.
#[derive(Clone)]
struct App {
    receiver: Receiver,
    inbox: Inbox,
}

impl FromRef<App> for Receiver {
    fn from_ref(app: &App) -> Self {
        app.receiver.clone()
    }
}

async fn extracted(State(app): State<App>, WebhookEvent(event): WebhookEvent) -> StatusCode {
    app.inbox.handle(event).await
}

async fn by_parts(
    State(app): State<App>,
    axum::extract::ConnectInfo(peer): axum::extract::ConnectInfo<SocketAddr>,
    uri: http::Uri,
    headers: http::HeaderMap,
    body: bytes::Bytes,
) -> smtp2go_sdk::webhook::Answer {
    let head = RequestHead::from_http(&uri, &headers).peer(peer.ip());
    let handler = app.inbox.handler();
    app.receiver.handle(&head, &body, handler).await
}

/// The frameworks that a receiver is tested in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Framework {
    AxumRouter,
    AxumExtractor,
    /// A handler that uses only the parts of a request, which any framework has.
    Parts,
    /// The tower service on hyper, without axum.
    Hyper,
}

impl Framework {
    pub(crate) const ALL: [Self; 4] = [
        Self::AxumRouter,
        Self::AxumExtractor,
        Self::Parts,
        Self::Hyper,
    ];

    /// Starts a server, and returns its webhook address.
    pub(crate) async fn serve(self, receiver: Receiver, inbox: &Inbox) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = App {
            receiver: receiver.clone(),
            inbox: inbox.clone(),
        };
        let path = "/hooks/smtp2go";
        let below = "/hooks/smtp2go/{secret}";
        let routes = match self {
            Self::AxumRouter => Router::new().merge(router(path, receiver, inbox.handler())),
            Self::AxumExtractor => Router::new()
                .route(path, post(extracted))
                .route(below, post(extracted))
                .with_state(app),
            Self::Parts => Router::new()
                .route(path, any(by_parts))
                .route(below, any(by_parts))
                .with_state(app),
            Self::Hyper => {
                tokio::spawn(hyper_server(listener, receiver, inbox.clone()));
                return format!("http://{address}{path}");
            }
        };
        let service = routes.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        format!("http://{address}{path}")
    }
}

async fn hyper_server(listener: TcpListener, receiver: Receiver, inbox: Inbox) {
    loop {
        let (stream, peer) = listener.accept().await.unwrap();
        let webhook = WebhookService::new(receiver.clone(), inbox.handler());
        tokio::spawn(async move {
            // Adds the peer's address, as a layer would.
            let service = WithPeer(webhook, Peer(peer.ip()));
            let service = TowerToHyperService::new(service);
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}

#[derive(Clone)]
struct WithPeer<S>(S, Peer);

impl<S, B> tower_service::Service<http::Request<B>> for WithPeer<S>
where
    S: tower_service::Service<http::Request<B>, Error = Infallible>,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = S::Future;

    fn poll_ready(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: http::Request<B>) -> S::Future {
        request.extensions_mut().insert(self.1);
        self.0.call(request)
    }
}

/// The answer of a receiver.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Sends a request on a new connection.
pub(crate) async fn send(
    method: http::Method,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Answered {
    let body = body.into();
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut request = format!(
        "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request += &format!("{name}: {value}\r\n");
    }
    request += &format!("\r\n{body}");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server can refuse before it has read the body, and then resets the connection.
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    Answered {
        status: lines
            .next()
            .unwrap()
            .split(' ')
            .nth(1)
            .unwrap()
            .parse()
            .unwrap(),
        headers: lines
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (name.to_ascii_lowercase(), value.to_owned())
            })
            .collect(),
        body: body.to_owned(),
    }
}

pub(crate) async fn post_to(
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<String>,
) -> Answered {
    send(http::Method::POST, url, headers, body).await
}
