//! The Workers of `tests/workers` in the real runtime, workerd, against the sandbox. `cargo xtask workers`
//! builds them and runs this.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Without the Workers, tests say that they are skipped.
#![allow(clippy::print_stdout)]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use log_watch::watched;
use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::TemplateViewRequest;
use smtp2go_sdk::{CallOptions, Client, Email, Error, RetryPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[path = "support/log_watch.rs"]
mod log_watch;

/// Environment variable with the folder that `cargo xtask workers` builds. Without it, the tests are
/// skipped.
const FOLDER: &str = "SMTP2GO_WORKERS";
const TOKEN: &str = "EXAMPLE-long-random-token";

/// A Worker that runs in workerd, until it is dropped.
struct Worker {
    workerd: Child,
    port: u16,
    /// Port of the stand-in that delivers messages of a queue.
    queue_port: u16,
}

impl Worker {
    /// Starts a Worker. `None` if it was not built.
    fn start(name: &str, variables: &[(&str, &str)], stand_in: Option<u16>) -> Option<Self> {
        let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
            println!("skipped: `cargo xtask workers` runs this test");
            return None;
        };
        let mut workerd =
            Command::new(folder.join("npm/node_modules/@cloudflare/workerd-linux-64/bin/workerd"));
        workerd
            .arg("serve")
            .arg(folder.join(name).join("worker.capnp"))
            .args(["--control-fd=1", "--experimental"]);
        if let Some(port) = stand_in {
            workerd.arg(format!("--external-addr=stand-in=127.0.0.1:{port}"));
        }
        let mut workerd = workerd
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(workerd.stdout.take().unwrap());
        let [port, queue_port] = ["http", "deliver"].map(|socket| {
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            let started: Value = serde_json::from_str(&line).expect("workerd has started");
            assert_eq!(started["socket"], socket);
            u16::try_from(started["port"].as_u64().unwrap()).unwrap()
        });
        // The runtime ends if nobody reads what it prints.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::stderr()));
        Some(Self {
            workerd,
            port,
            queue_port,
        })
    }

    /// Sends a request and returns status and body of the reply.
    async fn request(&self, head: &str, body: &str) -> (u16, String) {
        request(self.port, head, body).await
    }

    /// Delivers messages of a queue. Returns the ids of those that were acknowledged, and of those to be
    /// delivered again.
    async fn deliver(&self, messages: &Value) -> (Value, Value) {
        let (status, body) = request(self.queue_port, "POST /", &messages.to_string()).await;
        assert_eq!(status, 200, "{body}");
        let ended: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(ended["outcome"], "ok", "{ended}");
        (
            ended["explicitAcks"].clone(),
            ended["retryMessages"].clone(),
        )
    }

    async fn form(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let encode = |text: &str| {
            percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
                .to_string()
        };
        let body: Vec<_> = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", encode(value)))
            .collect();
        let head = "POST /\nContent-Type: application/x-www-form-urlencoded";
        let (status, body) = self.request(head, &body.join("&")).await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.workerd.kill();
        let _ = self.workerd.wait();
    }
}

/// Sends a request and returns status and body of the reply.
async fn request(port: u16, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (request, headers) = head.split_once('\n').unwrap_or((head, ""));
    let length = body.len();
    let mut head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
    for header in headers.lines() {
        write!(head, "{header}\r\n").unwrap();
    }
    write!(head, "Content-Length: {length}\r\n\r\n{body}").unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    assert!(!head.contains("chunked"), "{head}");
    (status, body.to_owned())
}

/// Requests that a stand-in has received: method, path and body.
type Seen = Arc<Mutex<Vec<String>>>;

/// Stands in for the KV store or the queue of Workers: takes every request.
async fn stand_in() -> (u16, Seen) {
    let seen = Seen::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = seen.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, server.clone()));
        }
    });
    (port, seen)
}

/// The body of a queue's reply.
const QUEUED: &str = r#"{"metadata":{"metrics":{"backlogCount":1,"backlogBytes":1}}}"#;

async fn serve(mut stream: TcpStream, seen: Seen) {
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let seen = seen.clone();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let path = percent_encoding::percent_decode_str(head.uri.path()).decode_utf8_lossy();
            let body = String::from_utf8_lossy(&body);
            seen.lock()
                .unwrap()
                .push(format!("{} {path} {body}", head.method));
            Ok::<_, hyper::Error>(hyper::Response::new(QUEUED.to_owned()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    let _ = connection
        .serve_connection(TokioIo::new(&mut stream), service)
        .await;
}

/// Waits until a stand-in has received this many requests.
async fn seen(requests: &Seen, count: usize) -> Vec<String> {
    loop {
        let seen = requests.lock().unwrap().clone();
        if seen.len() >= count {
            return seen;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const MESSAGE: [(&str, &str); 3] = [
    ("name", "Ann <b>Other</b>"),
    ("email", "ann@example.net"),
    ("message", "Is 1 < 2 & \"so\"?"),
];

#[tokio::test]
async fn shortest_worker_sends_a_mail_and_reports_a_failure() {
    let sandbox = Sandbox::start().await.unwrap();
    let variables = [
        ("SMTP2GO_API_KEY", sandbox.key()),
        ("SMTP2GO_BASE_URL", sandbox.base_url()),
    ];
    let Some(worker) = Worker::start("welcome", &variables, None) else {
        return;
    };

    let (status, body) = worker.request("GET /", "").await;
    assert_eq!((status, &*body), (200, "sent"));
    assert_eq!(sandbox.mails().len(), 1);

    sandbox.faults().add(Fault::failed("550 no such mailbox"));
    let (status, body) = worker.request("GET /", "").await;
    assert_eq!(status, 502);
    assert!(body.contains("550 no such mailbox"), "{body}");
}

#[tokio::test]
async fn contact_form_sends_valid_messages_and_refuses_others() {
    let sandbox = Sandbox::start().await.unwrap();
    let variables = [
        ("SMTP2GO_API_KEY", sandbox.key()),
        ("SMTP2GO_BASE_URL", sandbox.base_url()),
        ("SITE_ADDRESS", "site@example.com"),
    ];
    let Some(worker) = Worker::start("contact-form", &variables, None) else {
        return;
    };

    assert_eq!(worker.request("GET /", "").await.0, 400);
    assert_eq!(worker.request("POST /", "x").await.0, 400);
    for (index, (field, _)) in MESSAGE.iter().enumerate() {
        let mut form = MESSAGE.to_vec();
        form[index].1 = " ";
        let (status, answer) = worker.form(&form).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(*field)));
        form.remove(index);
        let (status, answer) = worker.form(&form).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some(*field)));
    }
    for address in ["ann", "ann@", "ann@example.net, bob@example.net"] {
        let mut form = MESSAGE;
        form[1].1 = address;
        let (status, answer) = worker.form(&form).await;
        assert_eq!((status, answer["field"].as_str()), (400, Some("email")));
    }
    assert!(sandbox.calls().is_empty());

    assert_eq!(worker.form(&MESSAGE).await, (200, json!({"ok": true})));
    let [mail] = &sandbox.mails()[..] else {
        panic!("not one mail: {:?}", sandbox.mails());
    };
    assert_eq!(
        (mail.sender(), mail.to()),
        ("site@example.com", vec!["site@example.com"])
    );
    assert_eq!(mail.header("Reply-To").as_deref(), Some("ann@example.net"));
    let html = mail.html_body().unwrap();
    assert!(html.contains("Ann &lt;b&gt;Other&lt;/b&gt;"), "{html}");
    assert!(html.contains("Is 1 &lt; 2 &amp; &quot;so&quot;?"), "{html}");

    let limited = Fault::status(429).header("Retry-After", "1").nth(1);
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/v3/email/send", elsewhere.local_addr().unwrap());
    let redirect = Fault::status(307).header("Location", target);
    let refused = Fault::failed("550 no such mailbox");
    let unknown = Some("your message may not have arrived");
    let not_sent = Some("your message was not sent: try again");
    for (fault, status, error) in [
        (limited, 200, None),
        (Fault::reset_before_reading(), 502, unknown),
        (Fault::reset(), 502, unknown),
        (redirect, 502, unknown),
        (refused, 502, not_sent),
    ] {
        sandbox.faults().clear().add(fault);
        let (answered, answer) = worker.form(&MESSAGE).await;
        assert_eq!((answered, answer["error"].as_str()), (status, error));
    }
    assert_nobody_came(&elsewhere).await;
}

async fn assert_nobody_came(listener: &TcpListener) {
    let came = tokio::time::timeout(Duration::from_millis(200), listener.accept()).await;
    assert!(came.is_err(), "the redirect was followed");
}

#[tokio::test]
async fn webhook_lists_who_bounced_unsubscribed_or_complained() {
    let (port, stored) = stand_in().await;
    let Some(worker) = Worker::start("webhook", &[("WEBHOOK_TOKEN", TOKEN)], Some(port)) else {
        return;
    };

    let json = format!("POST /hook\nContent-Type: application/json\nAuthorization: Bearer {TOKEN}");
    let event = |kind: &str, bounce: &str| {
        let event = json!({"event": kind, "bounce": bounce, "rcpt": format!("{kind}@example.net")});
        event.to_string()
    };
    let wrong = json.replace(TOKEN, "wrong");
    assert_eq!(worker.request(&wrong, &event("spam", "")).await.0, 401);
    assert_eq!(worker.request("POST /hook", "").await.0, 401);
    assert_eq!(worker.request(&json, "no event").await.0, 400);
    for (kind, bounce) in [
        ("delivered", ""),
        ("bounce", "soft"),
        ("bounce", "hard"),
        ("unsubscribe", ""),
        ("spam", ""),
    ] {
        let (status, body) = worker.request(&json, &event(kind, bounce)).await;
        assert_eq!((status, &*body), (200, ""), "{kind}");
    }
    let mut list = seen(&stored, 3).await;
    list.sort();
    assert_eq!(
        list,
        [
            "PUT /bounce@example.net bounced",
            "PUT /spam@example.net complained",
            "PUT /unsubscribe@example.net unsubscribed",
        ]
    );
}

/// A call that the Worker and a native program make.
#[derive(Clone, Copy)]
struct Call {
    path: &'static str,
    /// Number of bytes of the mail's text.
    size: usize,
    /// Time limit in milliseconds.
    timeout: u64,
    attempts: u32,
}

const SEND: Call = Call {
    path: "/send",
    size: 100,
    timeout: 60_000,
    attempts: 1,
};
const LARGE: Call = Call {
    // More than what the system buffers for a connection.
    size: 20 * 1024 * 1024,
    ..SEND
};
/// Long enough for a whole request to arrive on a busy machine.
const STALLED: u64 = 6_000;

impl Call {
    /// Makes the call in the Worker. Returns how it ended.
    async fn by_worker(self, worker: &Worker, base_url: &str) -> Value {
        let Self {
            path,
            size,
            timeout,
            attempts,
        } = self;
        let head = format!(
            "GET {path}?base={base_url}&size={size}&timeout={timeout}&deadline=60000&attempts={attempts}&mails=5"
        );
        let (status, body) = worker.request(&head, "").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Makes the call in this process. Returns how it ended.
    async fn natively(self, sandbox: &Sandbox, base_url: &str) -> String {
        let client = Client::builder(watched(sandbox.key()))
            .base_url(base_url)
            .build();
        let client = client.unwrap().with_options(
            CallOptions::new()
                .timeout(Duration::from_millis(self.timeout))
                .deadline(Duration::from_secs(60))
                .retry(RetryPolicy::new().max_attempts(self.attempts)),
        );
        let verdict = |error: Error| format!("{:?}, {}", error.certainty(), error.kind());
        let result = match self.path {
            "/view" => {
                let request = TemplateViewRequest::new("welcome");
                client.template().view(request).await.map(drop)
            }
            _ => {
                let mail = Email::new("a@example.com", "Hello")
                    .to("b@example.net")
                    .text("x".repeat(self.size));
                client.send(mail).await.map(drop)
            }
        };
        result.map_or_else(verdict, |()| "ok".to_owned())
    }
}

/// The faults of the documented table, in its order, each with the call that it disturbs.
fn cases() -> Vec<(&'static str, Option<Fault>, Call)> {
    let large_stall = Call {
        timeout: STALLED,
        ..LARGE
    };
    let stall = Call {
        timeout: STALLED,
        ..SEND
    };
    vec![
        ("no fault", None, SEND),
        ("no fault, 20 MiB", None, LARGE),
        ("connection refused", None, SEND),
        ("connection refused, 20 MiB", None, LARGE),
        (
            "reset before the request was read",
            Some(Fault::reset_before_reading()),
            SEND,
        ),
        (
            "the same, 20 MiB",
            Some(Fault::reset_before_reading()),
            LARGE,
        ),
        (
            "timeout, nothing was read",
            Some(Fault::stall_before_reading()),
            stall,
        ),
        (
            "the same, 20 MiB",
            Some(Fault::stall_before_reading()),
            large_stall,
        ),
        (
            "reset after the request was read",
            Some(Fault::reset()),
            SEND,
        ),
        (
            "closed after the request was read",
            Some(Fault::close()),
            SEND,
        ),
        (
            "timeout after the request was read",
            Some(Fault::stall()),
            stall,
        ),
        ("reply cut in its head", Some(Fault::truncated_head()), SEND),
        ("reply cut in its body", Some(Fault::truncated()), SEND),
        (
            "timeout in the middle of the reply",
            Some(Fault::stalled_halfway()),
            stall,
        ),
        (
            "failure with status 200",
            Some(Fault::failed("550 no such mailbox")),
            SEND,
        ),
        ("status 400", Some(Fault::status(400)), SEND),
        ("status 429", Some(Fault::status(429)), SEND),
        ("status 503", Some(Fault::status(503)), SEND),
    ]
}

#[tokio::test]
async fn verdicts_of_worker_and_native_program_match_the_documented_table() {
    let key = Sandbox::start().await.unwrap().key().to_owned();
    let Some(worker) = Worker::start("probe", &[("SMTP2GO_API_KEY", &key)], None) else {
        return;
    };
    let worker = Arc::new(worker);
    let calls = cases().into_iter().map(|(name, fault, call)| {
        let worker = worker.clone();
        tokio::spawn(async move {
            let mut verdicts = Vec::new();
            for by_worker in [false, true] {
                let mut sandbox = Sandbox::builder();
                if let Some(fault) = fault.clone() {
                    sandbox = sandbox.fault(fault);
                }
                let sandbox = sandbox.start().await.unwrap();
                let mut base_url = sandbox.base_url().to_owned();
                if name.starts_with("connection refused") {
                    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                    base_url = format!("http://{}/v3", closed.local_addr().unwrap());
                }
                let verdict = if by_worker {
                    let ended = call.by_worker(&worker, &base_url).await;
                    ended["verdict"].as_str().unwrap().to_owned()
                } else {
                    call.natively(&sandbox, &base_url).await
                };
                let accepted = sandbox.mails().len();
                assert!(
                    accepted == 0 || !verdict.contains("NotSent"),
                    "{name}: {verdict}, but the mail was accepted"
                );
                verdicts.push(verdict);
            }
            (name, verdicts)
        })
    });
    let mut measured = vec![];
    for call in calls.collect::<Vec<_>>() {
        let (name, verdicts) = call.await.unwrap();
        let cell = |verdict: &str| match verdict.split_once(", ") {
            Some((certainty, kind)) => format!("`{certainty}` (`{kind}`)"),
            None => "sent".to_owned(),
        };
        let [native, worker] = &verdicts[..] else {
            panic!("{verdicts:?}");
        };
        measured.push(format!("| {name} | {} | {} |", cell(native), cell(worker)));
    }
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/workers.md"))
        .unwrap_or_default();
    let documented: Vec<_> = page
        .lines()
        .skip_while(|line| !line.starts_with("| Fault |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .collect();
    assert_eq!(measured.join("\n"), documented.join("\n"));
}

#[tokio::test]
async fn worker_retries_follows_no_redirect_and_sends_many() {
    let key = Sandbox::start().await.unwrap().key().to_owned();
    let Some(worker) = Worker::start("probe", &[("SMTP2GO_API_KEY", &key)], None) else {
        return;
    };
    let retrying = |path, attempts| Call {
        path,
        attempts,
        ..SEND
    };

    // A send is not repeated unless the API said that it did not accept it.
    let after_one_second = Fault::status(429).header("Retry-After", "1");
    for (fault, call, verdict, calls) in [
        (after_one_second, retrying("/send", 3), "ok", 2),
        (Fault::status(503), retrying("/view", 3), "ok", 2),
        (Fault::reset(), retrying("/view", 3), "ok", 2),
        (
            Fault::reset(),
            retrying("/send", 3),
            "Unknown, connection",
            1,
        ),
    ] {
        let operation = match call.path {
            "/send" => "email_send",
            _ => "template_view",
        };
        let fault = fault.on(operation).nth(1);
        let sandbox = Sandbox::builder().fault(fault).start().await.unwrap();
        let client = Client::builder(watched(sandbox.key())).base_url(sandbox.base_url());
        let client = client.build().unwrap();
        let template =
            smtp2go_sdk::types::TemplateAddRequest::new("Welcome", "welcome", "Hi", "Hi", "Hi");
        client.template().add(template).await.unwrap();
        let before = sandbox.calls().len();
        let ended = call.by_worker(&worker, sandbox.base_url()).await;
        assert_eq!(ended["verdict"], verdict, "{ended}");
        assert_eq!(sandbox.calls().len() - before, calls);
    }

    // A 429 that does not say for how long is not waited for beyond the deadline.
    let sandbox = Sandbox::builder()
        .fault(Fault::status(429))
        .start()
        .await
        .unwrap();
    let ended = retrying("/send", 3)
        .by_worker(&worker, sandbox.base_url())
        .await;
    assert_eq!(ended["verdict"], "Rejected, status");
    assert!(ended["retry_after"].as_u64() >= Some(60), "{ended}");

    // Neither mail nor key reaches the target of a redirect.
    for status in [302, 307] {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = format!("http://{}/v3/email/send", elsewhere.local_addr().unwrap());
        let redirect = Fault::status(status).header("Location", target);
        let sandbox = Sandbox::builder().fault(redirect).start().await.unwrap();
        let ended = SEND.by_worker(&worker, sandbox.base_url()).await;
        assert_eq!(ended["verdict"], "Unknown, redirect", "{ended}");
        assert_nobody_came(&elsewhere).await;
    }

    let sandbox = Sandbox::start().await.unwrap();
    let ended = retrying("/send_all", 1)
        .by_worker(&worker, sandbox.base_url())
        .await;
    let results = ended.as_array().unwrap();
    assert!(
        results.iter().all(|result| result["verdict"] == "ok"),
        "{ended}"
    );
    assert_eq!((results.len(), sandbox.mails().len()), (5, 5));
}

#[tokio::test]
async fn worker_has_clock_random_numbers_and_background_work() {
    let sandbox = Sandbox::start().await.unwrap();
    let key = [("SMTP2GO_API_KEY", sandbox.key())];
    let (Some(worker), Some(other)) = (
        Worker::start("probe", &key, None),
        Worker::start("probe", &key, None),
    ) else {
        return;
    };

    // Two isolates that start alike draw different tokens for claims.
    let first = worker.request("GET /token", "").await;
    assert_ne!(first, other.request("GET /token", "").await);
    assert_ne!(first, worker.request("GET /token", "").await);

    // The handling of an event that was dropped releases its claim.
    let released = worker.request("GET /claim", "").await;
    assert_eq!(released, (200, "200".to_owned()));

    let call = |path| Call { path, ..SEND }.by_worker(&worker, sandbox.base_url());
    let scheduled = call("/scheduled").await;
    assert_eq!(scheduled[0]["verdict"], "NotSent, validation");
    assert_eq!(scheduled[1]["verdict"], "ok");
    let keys = call("/set_key").await;
    assert_eq!(keys[0]["verdict"], "Rejected, status", "{keys}");
    assert_eq!(keys[1]["verdict"], "ok");

    // A date as `Retry-After` needs the clock.
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.faults().add(
        Fault::status(429)
            .header("Retry-After", "Wed, 21 Oct 2015 07:28:00 GMT")
            .nth(1),
    );
    let retried = Call {
        attempts: 2,
        ..SEND
    };
    let ended = retried.by_worker(&worker, sandbox.base_url()).await;
    assert_eq!(ended["verdict"], "ok", "{ended}");
}

#[tokio::test]
async fn mail_whose_reply_was_lost_is_looked_up_by_the_worker() {
    let lost = Fault::reset().on("email_send").nth(1);
    let sandbox = Sandbox::builder().fault(lost).start().await.unwrap();
    let key = [("SMTP2GO_API_KEY", sandbox.key())];
    let Some(worker) = Worker::start("probe", &key, None) else {
        return;
    };
    let once = Call {
        path: "/send_once",
        ..SEND
    };
    let ended = once.by_worker(&worker, sandbox.base_url()).await;
    assert_eq!(
        (&ended["verdict"], &ended["found"]),
        (&json!("ok"), &json!("looked up"))
    );
    assert_eq!(sandbox.mails().len(), 1);
}

#[tokio::test]
async fn queue_sends_a_mail_once_though_its_message_is_delivered_again() {
    let (port, queued) = stand_in().await;
    let sandbox = Sandbox::builder()
        .activity_lag(Duration::ZERO)
        .start()
        .await
        .unwrap();
    let variables = [
        ("SMTP2GO_API_KEY", sandbox.key()),
        ("SMTP2GO_BASE_URL", sandbox.base_url()),
    ];
    let Some(worker) = Worker::start("queue", &variables, Some(port)) else {
        return;
    };
    assert_eq!(worker.request("GET /42", "").await.0, 200);
    let message = seen(&queued, 1).await.remove(0);
    // A queue keeps a text as JSON.
    let mail: String = serde_json::from_str(&message[message.find('"').unwrap()..]).unwrap();

    let now = u64::try_from(
        sandbox
            .now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis(),
    )
    .unwrap();
    let message =
        |age: u64| json!([{"id": "1", "attempts": 1, "body": mail, "timestamp": now - age}]);
    let acknowledged = (json!(["1"]), json!([]));
    assert_eq!(worker.deliver(&message(0)).await, acknowledged);
    assert_eq!(sandbox.mails().len(), 1);
    // As if the Worker had ended before it acknowledged the message.
    assert_eq!(worker.deliver(&message(25 * 60 * 1000)).await, acknowledged);
    assert_eq!(sandbox.mails().len(), 1);
}

#[tokio::test]
async fn call_dropped_by_the_worker_is_aborted() {
    let sandbox = Sandbox::builder()
        .fault(Fault::stall())
        .start()
        .await
        .unwrap();
    let key = [("SMTP2GO_API_KEY", sandbox.key())];
    let Some(worker) = Worker::start("probe", &key, None) else {
        return;
    };
    let dropped = Call {
        path: "/dropped",
        ..SEND
    };
    let base_url = sandbox.base_url().to_owned();
    let asking = tokio::spawn(async move { dropped.by_worker(&worker, &base_url).await });
    let holds: [fn(&Sandbox) -> bool; 2] = [
        |sandbox| sandbox.calls().len() == 1,
        |sandbox| sandbox.open_connections() == 0,
    ];
    for holds in holds {
        while !holds(&sandbox) {
            assert!(!asking.is_finished(), "the request ended before its call");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    asking.abort();
}
