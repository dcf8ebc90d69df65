//! The receivers over HTTP.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use receivers::actix::webhook;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::{
    EmailEventKind, OpenEnum, SmsEventKind, SmsEventName, SmsSendRequest, WebhookFormat,
};
use smtp2go_sdk::webhook::{Auth, Event, MemoryDeduplicator, Receiver, Subscription, parse};
use smtp2go_sdk::{Client, Email};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Clone, Default)]
struct Inbox {
    events: Arc<Mutex<Vec<Event>>>,
    fails: Arc<Mutex<bool>>,
}

async fn receive(
    request: HttpRequest,
    body: Bytes,
    receiver: Data<Receiver>,
    inbox: Data<Inbox>,
) -> HttpResponse {
    webhook(&request, &body, &receiver, |event| async move {
        inbox.events.lock().unwrap().push(event);
        match *inbox.fails.lock().unwrap() {
            true => Err("on purpose".into()),
            false => Ok::<(), Box<dyn std::error::Error + Send + Sync>>(()),
        }
    })
    .await
}

/// Starts an actix-web server on its own thread. Returns its URL.
fn serve(receiver: Receiver, inbox: Inbox) -> String {
    let (ready, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let (receiver, inbox) = (Data::new(receiver), Data::new(inbox));
            let app = move || {
                App::new()
                    .app_data(receiver.clone())
                    .app_data(inbox.clone())
                    .route("/hook", web::post().to(receive))
                    .route("/hook/{secret}", web::post().to(receive))
            };
            let server = HttpServer::new(app)
                .workers(1)
                .bind(("127.0.0.1", 0))
                .unwrap();
            ready.send(server.addrs()[0]).unwrap();
            server.run().await
        })
    });
    format!("http://{}/hook", started.recv().unwrap())
}

async fn post(url: &str, authorization: &str, content_type: &str, body: &str) -> u16 {
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST /{path} HTTP/1.1\r\nhost: {address}\r\nauthorization: {authorization}\r\n\
         content-type: {content_type}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn actix_receives_events_with_each_auth_in_both_formats() {
    for (auth, suffix, header) in [
        (Auth::bearer("t0ken").unwrap(), "", "Bearer t0ken"),
        (
            Auth::basic("user", "pass").unwrap(),
            "",
            "Basic dXNlcjpwYXNz",
        ),
        (Auth::secret_path("s3 cret").unwrap(), "/s3%20cret", ""),
        (
            Auth::secret_query("token", "s3cret").unwrap(),
            "?token=s3cret",
            "",
        ),
    ] {
        let inbox = Inbox::default();
        let receiver = Receiver::new(auth).deduplicate(MemoryDeduplicator::new());
        let url = serve(receiver, inbox.clone());
        let words = EmailEventKind::VALUES.iter().chain(SmsEventName::VALUES);
        for (index, word) in words.enumerate() {
            // A duplicate SMS event is recognised by its message, not by its id.
            let form = format!("event={word}&id={index}&message_id={index}");
            let json = format!(r#"{{"event":"{word}","id":"{index}-j","message_id":"{index}-j"}}"#);
            for (content_type, body) in [
                ("application/x-www-form-urlencoded", form),
                ("application/json", json),
            ] {
                let right = format!("{url}{suffix}");
                assert_eq!(post(&url, "Bearer wrong", content_type, &body).await, 401);
                *inbox.fails.lock().unwrap() = true;
                assert_eq!(post(&right, header, content_type, &body).await, 500);
                *inbox.fails.lock().unwrap() = false;
                assert_eq!(post(&right, header, content_type, &body).await, 200);
                assert_eq!(post(&right, header, content_type, &body).await, 200);
                let events = std::mem::take(&mut *inbox.events.lock().unwrap());
                let event = parse(None, &body).unwrap();
                assert_eq!(events, [event.clone(), event]);
            }
        }
        assert_eq!(
            post(&format!("{url}{suffix}"), header, "", "nonsense").await,
            400
        );
    }
}

/// Like the test above, with events of the sandbox, which posts like the service.
#[tokio::test]
async fn actix_receives_events_of_the_sandbox() {
    let sandbox = Sandbox::builder().strict(true).start().await.unwrap();
    sandbox.freeze();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    let settle = async || assert!(sandbox.wait_for_webhooks(Duration::from_secs(30)).await);
    let mut inboxes = Vec::new();
    for auth in [
        Auth::bearer("t0ken").unwrap(),
        Auth::basic("user", "pass").unwrap(),
        Auth::basic_in_url("us@er", "p:a/ss").unwrap(),
        Auth::secret_path("s3 cret/").unwrap(),
        Auth::secret_query("token", "s3 cret&").unwrap(),
    ] {
        for format in [WebhookFormat::Json, WebhookFormat::Form] {
            let inbox = Inbox::default();
            *inbox.fails.lock().unwrap() = true;
            let receiver = Receiver::new(auth.clone()).deduplicate(MemoryDeduplicator::new());
            let url = serve(receiver, inbox.clone());
            let words = EmailEventKind::VALUES.iter().copied();
            let events = Subscription::email(words.map(EmailEventKind::from))
                .and_sms(SmsEventKind::VALUES.iter().copied().map(SmsEventKind::from))
                .format(format);
            let ensured = client.ensure_webhook(&url, events, &auth).await.unwrap();
            assert!(ensured.is_as_asked(), "{auth:?} {:?}", ensured.differences);
            inboxes.push(inbox);
        }
    }
    for name in [
        "bounce",
        "softbounce",
        "spam",
        "resubscribe",
        "click",
        "reject",
    ] {
        let mail = Email::new("Acme <noreply@example.com>", "Hello")
            .to(format!("{name}@example.net"))
            .html("<a href=\"https://example.com/\">Hello</a>");
        client.send(mail).await.unwrap();
    }
    let numbers = [
        "+15555550123",
        "+15555550002",
        "+15555550003",
        "+15555550004",
    ];
    let texts = SmsSendRequest::new(numbers, "Hello");
    client.sms().send(texts).await.unwrap();
    sandbox.advance(Duration::from_secs(1));
    settle().await;
    let all = EmailEventKind::VALUES.len() + SmsEventName::VALUES.len();
    let fired = sandbox.events();
    let statuses = |last: u16| {
        let deliveries = sandbox.webhook_deliveries();
        assert_eq!(deliveries.len(), fired.len() * inboxes.len());
        for delivery in deliveries {
            assert_eq!(delivery.attempts().last().unwrap().status(), Some(last));
        }
    };
    // Each handler failed, so every event is posted again; a third delivery is not handled.
    statuses(500);
    for inbox in &inboxes {
        let events = std::mem::take(&mut *inbox.events.lock().unwrap());
        let keys: BTreeSet<_> = events.iter().map(Event::dedup_key).collect();
        assert_eq!(keys.len(), fired.len());
        *inbox.fails.lock().unwrap() = false;
    }
    sandbox.advance(Duration::from_secs(1));
    settle().await;
    statuses(200);
    for place in 0..sandbox.webhook_deliveries().len() {
        assert!(sandbox.post_webhook_again(place));
    }
    settle().await;
    statuses(200);
    for inbox in &inboxes {
        let events = std::mem::take(&mut *inbox.events.lock().unwrap());
        assert_eq!(events.len(), fired.len());
        let mut names: Vec<_> = events.iter().map(|event| event.name().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
        assert!(events.iter().all(|event| match event {
            Event::Email(event) => event.email_id.is_some(),
            Event::Sms(event) => event.message_id.is_some(),
            _ => false,
        }));
    }

    // A wrong secret is refused.
    sandbox.reset();
    let inbox = Inbox::default();
    let url = serve(Receiver::new(Auth::bearer("new").unwrap()), inbox.clone());
    let old = Auth::bearer("old").unwrap();
    let processed = [EmailEventKind::Processed];
    let ensured = client.ensure_webhook(&url, processed, &old).await.unwrap();
    assert!(ensured.is_as_asked());
    let mail = Email::new("noreply@example.com", "Hello")
        .to("jane@example.net")
        .text("Hello");
    client.send(mail).await.unwrap();
    settle().await;
    let deliveries = sandbox.webhook_deliveries();
    assert_eq!(deliveries[0].attempts()[0].status(), Some(401));
    assert_eq!(*inbox.events.lock().unwrap(), []);
}
