//! The SDK's log has the required events and no secrets. These tests record everything that they
//! log; `smtp2go-sdk/tests/support/log_watch.rs` watches the other tests.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;
mod support;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::operation::Operation;
use smtp2go_sdk::types::{
    ActivitySearchRequest, EmailSendRequest, SmsSendRequest, SmtpUsersAddRequest,
    TemplateViewRequest, WebhookAddRequest,
};
use smtp2go_sdk::webhook::{Auth, Receiver, RequestHead};
use smtp2go_sdk::{
    Attachment, Body, CallOptions, Client, ClientBuilder, Email, KeyLocation, RetryPolicy,
};
use smtp2go_tests::entry_points::ENTRY_POINTS;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Instrument, Metadata, Subscriber, info_span};
use tracing_core::span::Current;

use log_watch::SHORTEST;

/// Records everything that is logged, including spans and their fields.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Recorded>>);

#[derive(Default)]
struct Recorded {
    spans: HashMap<u64, SpanRecord>,
    events: Vec<EventRecord>,
}

#[derive(Clone, Debug, Default)]
struct SpanRecord {
    metadata: Option<&'static Metadata<'static>>,
    name: &'static str,
    target: String,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    handles: usize,
    inside: usize,
}

#[derive(Clone, Debug)]
struct EventRecord {
    target: String,
    span: Option<u64>,
    fields: BTreeMap<&'static str, String>,
}

static NEXT: AtomicU64 = AtomicU64::new(1);

thread_local! {
    static ENTERED: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

fn current() -> Option<u64> {
    ENTERED.with_borrow(|entered| entered.last().copied())
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let id = NEXT.fetch_add(1, Ordering::SeqCst);
        let metadata = attributes.metadata();
        let mut span = SpanRecord {
            metadata: Some(metadata),
            name: metadata.name(),
            target: metadata.target().to_owned(),
            parent: attributes.parent().map(Id::into_u64).or_else(current),
            handles: 1,
            ..SpanRecord::default()
        };
        attributes.record(&mut Fields(&mut span.fields));
        self.0.lock().unwrap().spans.insert(id, span);
        Id::from_u64(id)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        let mut recorded = self.0.lock().unwrap();
        let span = recorded.spans.get_mut(&id.into_u64()).unwrap();
        values.record(&mut Fields(&mut span.fields));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = BTreeMap::new();
        event.record(&mut Fields(&mut fields));
        let record = EventRecord {
            target: event.metadata().target().to_owned(),
            span: event.parent().map(Id::into_u64).or_else(current),
            fields,
        };
        self.0.lock().unwrap().events.push(record);
    }

    fn enter(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.into_u64()));
        let mut recorded = self.0.lock().unwrap();
        recorded.spans.get_mut(&id.into_u64()).unwrap().inside += 1;
    }

    fn exit(&self, id: &Id) {
        let left = ENTERED.with_borrow_mut(Vec::pop);
        assert_eq!(
            left,
            Some(id.into_u64()),
            "spans must be exited in reverse order"
        );
        let mut recorded = self.0.lock().unwrap();
        recorded.spans.get_mut(&id.into_u64()).unwrap().inside -= 1;
    }

    fn current_span(&self) -> Current {
        let Some(id) = current() else {
            return Current::none();
        };
        let recorded = self.0.lock().unwrap();
        match recorded.spans.get(&id).and_then(|span| span.metadata) {
            Some(metadata) => Current::new(Id::from_u64(id), metadata),
            None => Current::none(),
        }
    }

    fn clone_span(&self, id: &Id) -> Id {
        let mut recorded = self.0.lock().unwrap();
        recorded.spans.get_mut(&id.into_u64()).unwrap().handles += 1;
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let mut recorded = self.0.lock().unwrap();
        let span = recorded.spans.get_mut(&id.into_u64()).unwrap();
        span.handles -= 1;
        span.handles == 0
    }
}

impl Recorder {
    /// Returns the calls' spans in the order of their beginning. Fails if a span is not closed.
    fn calls(&self) -> Vec<(u64, SpanRecord)> {
        let recorded = self.0.lock().unwrap();
        let mut calls: Vec<_> = recorded
            .spans
            .iter()
            .filter(|(_, span)| span.name == "smtp2go")
            .map(|(id, span)| (*id, span.clone()))
            .collect();
        calls.sort_by_key(|(id, _)| *id);
        for (_, span) in &calls {
            assert_eq!((span.handles, span.inside), (0, 0), "not closed: {span:?}");
            assert_eq!(span.target, "smtp2go_sdk");
        }
        calls
    }

    /// Returns the events about retries.
    fn decisions(&self) -> Vec<EventRecord> {
        let recorded = self.0.lock().unwrap();
        let events = recorded.events.iter();
        events
            .filter(|event| event.target == "smtp2go_sdk")
            .cloned()
            .collect()
    }

    /// Returns everything that was recorded, as text.
    fn text(&self) -> String {
        let recorded = self.0.lock().unwrap();
        format!("{:?}\n{:?}", recorded.spans, recorded.events)
    }
}

/// Records what is logged through the crate `log`, which reqwest and rustls use.
struct Logger(Mutex<String>);

static LOGGER: Logger = Logger(Mutex::new(String::new()));

impl log::Log for Logger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

fn builder(sandbox: &Sandbox) -> ClientBuilder {
    Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .rate_limits(false)
        .retry(
            RetryPolicy::new()
                .min_backoff(Duration::ZERO)
                .rate_limit_wait(Duration::ZERO, Duration::ZERO),
        )
}

fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}/v3", listener.local_addr().unwrap())
}

fn view() -> TemplateViewRequest {
    TemplateViewRequest::new("welcome")
}

/// Collects the values of a request or reply that must not be logged: addresses, numbers, keys,
/// passwords, texts of mail.
fn secrets(value: &Value, name: &str, found: &mut BTreeSet<String>) {
    const NAMES: [&str; 12] = [
        "password",
        "auth_header",
        "api_key",
        "body",
        "subject",
        "content",
        "fileblob",
        "mime_email",
        "destination",
        "number",
        "fullname",
        "error",
    ];
    match value {
        Value::String(text) => {
            let number = text.strip_prefix('+').unwrap_or_default();
            let secret = text.contains('@')
                || text.starts_with("api-")
                || (number.len() > 6 && number.bytes().all(|byte| byte.is_ascii_digit()))
                || NAMES.iter().any(|part| name.contains(part));
            if secret && text.len() > 6 {
                found.insert(text.clone());
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secrets(item, name, found)),
        Value::Object(members) => {
            for (name, value) in members {
                secrets(value, name, found);
            }
        }
        _ => {}
    }
}

#[tokio::test]
async fn no_secret_is_logged_by_any_operation_or_error() {
    let recorder = Recorder::default();
    // For all threads, because the sandbox and blocking calls run on other threads.
    tracing::subscriber::set_global_default(recorder.clone()).unwrap();
    log::set_logger(&LOGGER).unwrap();
    log::set_max_level(log::LevelFilter::Trace);

    // Without state, because the spec's examples refer to none.
    let stateless = Sandbox::builder().strict(true).stateless(true);
    let sandbox = stateless.start().await.unwrap();
    let mut hidden = BTreeSet::from([sandbox.key().to_owned()]);
    // Every operation through both async entry points, with the key in each place.
    let operations = support::operations(&support::spec());
    for location in [KeyLocation::Header, KeyLocation::Bearer, KeyLocation::Body] {
        let client = builder(&sandbox).key_location(location).build().unwrap();
        for (operation, entry_points) in operations.iter().zip(ENTRY_POINTS) {
            let request = operation.request.to_string();
            (entry_points.call)(&client, &client.raw(), &request)
                .await
                .unwrap();
            secrets(&operation.request, "", &mut hidden);
            secrets(&operation.reply, "", &mut hidden);
        }
    }
    assert!(hidden.len() > 40, "{hidden:?}");
    let calls = recorder.calls();
    assert_eq!(calls.len(), 3 * 2 * ENTRY_POINTS.len());
    let port = sandbox.base_url().rsplit(':').next().unwrap();
    let port = port.split('/').next().unwrap();
    for (operation, entry_points) in operations.iter().zip(ENTRY_POINTS) {
        let mut spans = calls.iter().map(|(_, span)| &span.fields);
        let fields = spans
            .find(|span| span["operation"] == entry_points.id)
            .unwrap();
        for (name, value) in [
            ("otel.kind", "client"),
            ("http.request.method", operation.method.as_str()),
            ("url.template", operation.path.as_str()),
            ("server.address", "127.0.0.1"),
            ("server.port", port),
            ("http.response.status_code", "200"),
            ("attempt", "1"),
        ] {
            assert_eq!(fields.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(fields.contains_key("elapsed_ms"));
        assert!(!fields.contains_key("error.type") && !fields.contains_key("region"));
        let has_id =
            !operation.reply.is_null() && operation.reply.to_string().contains("request_id");
        assert!(
            fields.contains_key("request_id") || !has_id,
            "{}",
            entry_points.id
        );
    }

    // An operation that the table does not list.
    static READS: Operation = Operation::post("/stats/email_reads").named("email_reads");
    let client = builder(&sandbox).build().unwrap();
    client.execute(&READS, Body::empty()).await.unwrap_err();
    let fields = recorder.calls().pop().unwrap().1.fields;
    assert_eq!(fields["operation"], "email_reads");
    assert_eq!(fields["url.template"], "/stats/email_reads");
    assert_eq!(fields["error.type"], "404");

    // Each kind of failure, with replies that quote secrets.
    let words = "told.off@example.org";
    let evil = json!({
        "request_id": words,
        "data": {
            "error": format!("{words} is not yours, {}", sandbox.key()),
            "error_code": format!("E_ApiResponseCodes.{words}"),
            "field_validation_errors": { "fieldname": words, "message": words },
        },
    });
    let client = builder(&sandbox)
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    let mail = || {
        Email::new("Sender <hush.sender@example.com>", "Hush subject")
            .to("hush.to@example.net")
            .bcc("hush.bcc@example.net")
            .header("X-Hush", "hush header")
            .text("hush text")
            .attach(Attachment::from_bytes("hush.txt", &b"hush file"[..]))
    };
    hidden.extend(["told.off", "hush", "Hush", "5551234", "pass:w0rd"].map(str::to_owned));
    let faults = sandbox.faults();
    for fault in [
        Fault::status(400).json(&evil),
        Fault::status(200).json(&evil),
        Fault::status(401).html(words),
        Fault::status(429).header("Retry-After", "0").json(&evil),
        Fault::status(503).body("text/plain", words),
        Fault::status(307).header("Location", format!("https://{words}/{words}")),
        Fault::failed(format!("550 {words}")),
        Fault::status(200).html(format!("<html>{words}")),
        Fault::close(),
        Fault::reset(),
        Fault::reset_before_reading(),
        Fault::truncated(),
        Fault::stall(),
    ] {
        faults.clear().add(fault);
        client.send(mail()).await.unwrap_err();
        let _ = client.send_batch([mail()]).await;
        let sms = SmsSendRequest::new(["+15551234567"], "hush text");
        let _ = client.sms().send(sms).await;
        let user = SmtpUsersAddRequest::new("hush-user").email_password("pass:w0rd-1");
        let _ = client.smtp_users().add(user).await;
        let hook = WebhookAddRequest::new("https://hush:pass:w0rd@example.com/hush")
            .auth_header_value("pass:w0rd-2");
        let _ = client.webhook().add(hook).await;
        let once = client.with_options(CallOptions::new().retry(RetryPolicy::none()));
        let _ = once.raw().template_view(&view()).await;
    }
    faults
        .clear()
        .add(Fault::status(200).html(format!("<html>{words}")));
    client.raw().template_view(&view()).await.unwrap_err();
    let fields = recorder.calls().pop().unwrap().1.fields;
    assert_eq!(fields["operation"], "template_view");
    assert_eq!(fields["error.type"], "decode");
    faults.clear();
    client.send(mail().to("hush@")).await.unwrap_err();
    let fallback = builder(&sandbox).base_url(nowhere());
    let fallback = fallback
        .failover_urls([sandbox.base_url()])
        .build()
        .unwrap();
    fallback.send(mail()).await.unwrap();

    let logged = LOGGER.0.lock().unwrap().clone();
    assert!(
        logged.contains("starting new connection"),
        "reqwest's log is not recorded: {logged}"
    );
    let text = recorder.text() + &logged;
    for there in [
        r#""error.type": "400""#,
        r#""error.type": "error_in_200""#,
        r#""error.type": "failed_in_200""#,
        r#""error.type": "truncated""#,
        r#""error.type": "timeout""#,
        r#""error.type": "redirect""#,
        r#""error.type": "validation""#,
        r#""otel.status_code": "ERROR""#,
        r#""http.request.resend_count": "2""#,
        r#""reason": "rate_limited""#,
        r#""reason": "not_sent""#,
        r#""reason": "not_repeat_safe""#,
    ] {
        assert!(text.contains(there), "{there}");
    }
    for secret in &hidden {
        if let Some(at) = text.find(secret.as_str()) {
            let around: String = text[at.saturating_sub(300)..].chars().take(600).collect();
            panic!("{secret:?} is logged: …{around}");
        }
    }
}

/// Collects the Rust files below a folder, without comments. Keeps only the tests of a file with both code
/// and tests.
fn tests_below(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
        }
        // This file records its own log.
        if path.extension().is_none_or(|end| end != "rs") || path.ends_with("tests/tracing.rs") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut tests = !folder.components().any(|part| part.as_os_str() == "src");
        let lines = text.lines().map(|line| {
            tests |= line == "#[cfg(test)]";
            let code = if tests { line } else { "" };
            // A URL has two slashes as well.
            let comment = code.trim_start().starts_with("//");
            if comment {
                "\n".to_owned()
            } else {
                format!("{code}\n")
            }
        });
        found.push((path, lines.collect()));
    }
}

/// Collects the fields that the spec marks as secret, except ids: these are API keys, which are recognised
/// by their form.
fn sensitive(spec: &Value, found: &mut BTreeSet<String>) {
    match spec {
        Value::Array(items) => items.iter().for_each(|item| sensitive(item, found)),
        Value::Object(members) => {
            for (name, value) in members {
                if value["x-smtp2go-sensitive"] == true && name != "id" {
                    found.insert(name.clone());
                }
                sensitive(value, found);
            }
        }
        _ => {}
    }
}

/// Returns the last argument of a call. `text` begins with the arguments.
fn last_argument(text: &str) -> &str {
    let (mut open, mut quoted, mut escaped) = (0, false, false);
    let (mut start, mut last) = (0, "");
    for (at, c) in text.char_indices() {
        if open == 0 && !quoted && matches!(c, ',' | ')') {
            // A comma may follow the last argument.
            let argument = text[start..at].trim();
            if !argument.is_empty() {
                last = argument;
            }
            start = at + 1;
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => open += 1,
            ')' if !quoted => open -= 1,
            _ => {}
        }
        if open < 0 {
            break;
        }
    }
    last
}

/// Whether this argument is a password that is not watched.
fn unseen(argument: &str, file: &str) -> bool {
    if argument.starts_with("watched(") {
        return false;
    }
    let constant = format!("const {argument}: &str = ");
    let value = match file.split_once(&constant) {
        Some((_, value)) => value.lines().next().unwrap_or_default(),
        None => argument,
    };
    // A variable has no text; its value is watched where it is set.
    let quoted = value.split_once('"');
    let password = quoted.and_then(|(_, text)| text.rsplit_once('"'));
    password.is_some_and(|(text, _)| text.len() >= SHORTEST && !text.starts_with("EXAMPLE-"))
}

#[test]
fn unwatched_password_is_found_in_every_form() {
    let file = "const LONG: &str = \"l0ng-password\";\nconst SHORT: &str = \"a\";\n";
    for (arguments, expected) in [
        ("\"longpassword\")", true),
        ("\"u\", \"longpassword\")", true),
        ("\n    \"u\",\n    \"longpassword\",\n)", true),
        ("watched(\"username\"), \"passw0rd\")", true),
        ("\"u\", \"pass,w0rd)\")", true),
        ("\"u\", \"\\\"), w0rd\")", true),
        ("\"u\", LONG)", true),
        ("\"passw0rd\").header(\"a\", watched(\"b\"))", true),
        ("\"u\", SHORT)", false),
        ("\"longusername\", \"a b\")", false),
        ("\n    \"u\",\n    watched(\"longpassword\"),\n)", false),
        ("watched(concat(\"long\", \"password\")))", false),
        ("\"longusername\", variable)", false),
        ("\"EXAMPLE-password\")", false),
    ] {
        assert_eq!(
            unseen(last_argument(arguments), file),
            expected,
            "{arguments}"
        );
    }
}

#[test]
fn every_client_and_password_in_tests_is_watched() {
    let mut fields = BTreeSet::new();
    sensitive(&support::spec(), &mut fields);
    assert!(fields.contains("email_password"), "{fields:?}");
    let setters: Vec<_> = fields.iter().map(|name| format!(".{name}(")).collect();
    let (mut found, mut passwords) = (Vec::new(), 0);
    for folder in [
        "smtp2go-sdk/src",
        "smtp2go-sdk/tests",
        "smtp2go-sdk/examples",
        "tests/tests",
    ] {
        let mut files = Vec::new();
        tests_below(&support::root().join(folder), &mut files);
        for (path, text) in files {
            let mut note = |at: usize| {
                let number = text[..at].matches('\n').count() + 1;
                let line = text.lines().nth(number - 1).unwrap_or_default();
                found.push(format!("{}:{number}: {line}", path.display()));
            };
            let calls = setters
                .iter()
                .flat_map(|setter| text.match_indices(setter.as_str()));
            let calls = calls.map(|(at, setter)| (at, &text[at + setter.len()..]));
            let auths = text.match_indices("Auth::").filter_map(|(at, name)| {
                let (name, rest) = text[at + name.len()..].split_once('(')?;
                let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
                plain.then_some((at, rest))
            });
            for (at, rest) in calls.chain(auths) {
                passwords += 1;
                if unseen(last_argument(rest), &text) {
                    note(at);
                }
            }
            if folder.ends_with("examples") || path.ends_with("docs.rs") {
                // Examples watch their own log, and the test that runs them checks this. The programs of
                // the documentation are shown as users write them.
                continue;
            }
            for builder in [
                "Client::builder(",
                "ClientBuilder::new(",
                "Client::from_env",
            ] {
                for (at, builder) in text.match_indices(builder) {
                    let others = text[..at].ends_with("reqwest::");
                    let watched = text[at + builder.len()..].starts_with("watched(");
                    if !others && !watched {
                        note(at);
                    }
                }
            }
        }
    }
    assert!(passwords > 30, "{passwords} passwords are set");
    assert!(found.is_empty(), "not watched: {found:#?}");
}

#[tokio::test]
async fn concurrent_calls_have_separate_spans() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let sandbox = Sandbox::start().await.unwrap();
    let faults = sandbox.faults();
    faults
        .add(Fault::status(503).on("template_view").chance(0.4, 1))
        .add(
            Fault::status(429)
                .header("Retry-After", "0")
                .on("email_send")
                .chance(0.4, 2),
        );
    let client = builder(&sandbox).build().unwrap();
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let client = client.clone();
            let outer = info_span!("outer", n);
            let id = outer.id().unwrap().into_u64();
            let call = async move {
                if n % 2 == 0 {
                    let _ = client.template().view(view()).await;
                } else {
                    let mail = EmailSendRequest::new("a@example.com", ["b@example.net"])
                        .subject("Hi")
                        .text_body("Hi");
                    let _ = client.email().send(mail).await;
                }
            };
            (id, tokio::spawn(call.instrument(outer)))
        })
        .collect();
    let mut outer = Vec::new();
    for (id, task) in tasks {
        task.await.unwrap();
        outer.push(id);
    }
    let calls = recorder.calls();
    assert_eq!(calls.len(), 40);
    let parents: BTreeSet<_> = calls.iter().map(|(_, call)| call.parent.unwrap()).collect();
    assert_eq!(parents, outer.into_iter().collect());
    let decisions = recorder.decisions();
    assert!(decisions.len() > 10, "{decisions:?}");
    for (id, call) in &calls {
        let own = decisions.iter().filter(|event| event.span == Some(*id));
        let attempts: Vec<_> = own
            .map(|event| {
                assert_eq!(event.fields["operation"], call.fields["operation"]);
                assert!(event.fields.contains_key("wait_ms"));
                event.fields["attempt"].parse::<usize>().unwrap()
            })
            .collect();
        let made: usize = call.fields["attempt"].parse().unwrap();
        let failed = call.fields.contains_key("error.type");
        // One for each failed attempt, in order.
        let expected: Vec<_> = (1..made + usize::from(failed)).collect();
        assert_eq!(attempts, expected, "{call:?}");
    }
}

#[tokio::test]
async fn prefetched_pages_are_in_the_callers_span() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    // Its example of a page says that there is another page.
    let stateless = Sandbox::builder().strict(true).stateless(true);
    let sandbox = stateless.start().await.unwrap();
    let client = builder(&sandbox).build().unwrap();
    let outer = info_span!("outer");
    let id = outer.id().unwrap().into_u64();
    let read = async {
        let mut events = client.activity().search_all(ActivitySearchRequest::new());
        while events.try_next().await.unwrap().is_some() {}
    };
    read.instrument(outer).await;
    let calls = recorder.calls();
    assert!(calls.len() > 1, "{calls:?}");
    assert!(
        calls.iter().all(|(_, call)| call.parent == Some(id)),
        "{calls:?}"
    );
}

#[tokio::test]
async fn dropped_call_closes_its_span() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let sandbox = Sandbox::start().await.unwrap();
    let client = builder(&sandbox).build().unwrap();
    let short = Duration::from_millis(300);
    let templates = client.template();
    for fault in [
        Fault::stall(),
        Fault::status(503).header("Retry-After", "60"),
    ] {
        sandbox.faults().clear().add(fault);
        let call = tokio::time::timeout(short, templates.view(view()));
        call.await.unwrap_err();
    }
    let calls = recorder.calls();
    assert_eq!(calls.len(), 2);
    for (_, call) in &calls {
        for (name, value) in [
            ("error.type", "cancelled"),
            ("certainty", "unknown"),
            ("attempt", "1"),
            ("server.address", "127.0.0.1"),
        ] {
            assert_eq!(call.fields[name], value, "{call:?}");
        }
    }
}

#[tokio::test]
async fn receiver_logs_refused_requests_and_failed_handlers_without_their_text() {
    let recorder = Recorder::default();
    let _guard = tracing::subscriber::set_default(recorder.clone());
    let receiver = Receiver::new(Auth::bearer("token-of-the-receiver").unwrap());
    let body = br#"{"event": "delivered", "rcpt": "jane@example.net"}"#;
    for (token, handled, expected) in [
        ("Bearer token-of-the-receiver", Ok(()), None),
        (
            "Bearer token-of-the-receiver",
            Err("no table for jane@example.net".into()),
            Some((
                "500",
                "the handler of a webhook failed, so the service will post the event again",
            )),
        ),
        (
            "Bearer wrong-token-of-a-stranger",
            Ok(()),
            Some(("401", "a webhook request was refused: ")),
        ),
    ] {
        let head = RequestHead::new("/hook")
            .authorization(Some(token.as_bytes()))
            .content_type(Some("application/json"));
        let handled: Result<(), Box<dyn std::error::Error + Send + Sync>> = handled;
        receiver.handle(&head, body, |_| async { handled }).await;
        let events = std::mem::take(&mut recorder.0.lock().unwrap().events);
        let found = events.first().map(|event| &event.fields);
        match (found, expected) {
            (None, None) => {}
            (Some(fields), Some((status, message))) => {
                assert_eq!(fields["status"], status);
                assert!(fields["message"].contains(message), "{fields:?}");
            }
            other => panic!("{other:?}"),
        }
        let all = format!("{events:?}");
        for hidden in ["jane", "token-of", "stranger"] {
            assert!(!all.contains(hidden), "{hidden} in {all}");
        }
    }
}
