//! Peak memory of decoding, measured by a counting allocator. `--nocapture` prints the figures.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;
mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use log_watch::watched;
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use smtp2go_sdk::types::webhook::{self, ParseError};
use smtp2go_sdk::types::{
    ActivitySearchRequest, ArchiveSearchRequest, EmailSearchRequest, EmailSendRequest,
    SubaccountSearchRequest, SuppressionViewRequest, TemplateSearchRequest, values_beyond,
};
use smtp2go_sdk::{
    Body, Certainty, Client, ClientBuilder, Email, Error, RetryPolicy, blocking, operations,
};
use support::spec;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

const KEY: &str = "api-0123456789abcdefABCDEF0123456789";
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Maximum memory of a reply for each value that counts towards `max_reply_values`, and for each
/// byte. The builder's documentation guarantees it.
const FOR_A_VALUE: usize = 100;
const FOR_A_BYTE: usize = 10;
/// Maximum memory of an event of 1 MiB. The documentation of `parse` guarantees it.
const EVENT_PEAK: usize = 8 * MIB;

/// The allocator counts for the whole process, so one test runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the peak of additional memory during `work`.
fn peak<T>(work: impl FnOnce() -> T) -> (usize, T) {
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();
    let result = work();
    (HEAP.peak_usage().saturating_sub(before), result)
}

/// Repeats `unit`, separated by commas, as often as `size` and `limit` allow: the worst accepted
/// case.
fn repeated(start: &str, unit: &str, end: &str, size: usize, limit: usize) -> String {
    let fill = |count: usize| format!("{start}{unit}{}{end}", format!(",{unit}").repeat(count - 1));
    let most = size.saturating_sub(start.len() + end.len()) / (unit.len() + 1);
    let body = fill(most);
    match values_beyond(body.as_bytes(), limit) {
        None => body,
        Some(offset) => fill((offset - start.len()) / (unit.len() + 1)),
    }
}

/// Returns members or items that are long, or whose decoded values take much more memory than their text.
fn units() -> Vec<(&'static str, String)> {
    vec![
        ("empty objects", "{}".to_owned()),
        ("empty lists", "[]".to_owned()),
        ("nulls", "null".to_owned()),
        ("numbers", "0".to_owned()),
        ("long numbers", "1".repeat(300)),
        ("empty texts", r#""""#.to_owned()),
        ("short texts", r#""a""#.to_owned()),
        ("escapes", r#""\u0041\n""#.to_owned()),
        ("half pairs", r#""\ud800""#.to_owned()),
        ("empty names", r#"{"":0}"#.to_owned()),
        ("lists in lists", "[[0]]".to_owned()),
        ("objects in objects", r#"{"a":{"a":{"a":0}}}"#.to_owned()),
        ("long names", format!(r#"{{"{}":0}}"#, "n".repeat(KIB))),
        ("long texts", format!(r#""{}""#, "t".repeat(64 * KIB))),
        (
            "duplicates",
            r#"{"recipients":[""],"recipients":["",""],"custom_headers":{"a":"b"}}"#.to_owned(),
        ),
        (
            "events",
            r#"{"recipients":["a"],"custom_headers":{"a":"b"},"delivery_attempts":[{}]}"#
                .to_owned(),
        ),
    ]
}

/// Returns members of one object, each with a different name.
fn members(start: &str, value: &str, end: &str, size: usize, most: usize) -> String {
    let mut text = start.to_owned();
    for index in 0..most {
        if text.len() + value.len() + 16 + end.len() > size {
            break;
        }
        if index > 0 {
            text.push(',');
        }
        text.push_str(&format!("\"{index:x}\":{value}"));
    }
    text.push_str(end);
    text
}

fn deep(open: &str, close: &str, size: usize) -> String {
    let depth = size / (open.len() + close.len());
    format!("{}{}", open.repeat(depth), close.repeat(depth))
}

/// Answers every request with the same reply.
struct Server {
    url: String,
}

impl Server {
    fn start(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = BufReader::new(stream.unwrap());
                let mut length = 0;
                for line in stream.by_ref().lines() {
                    let line = line.unwrap().to_ascii_lowercase();
                    if line.is_empty() {
                        break;
                    }
                    if let Some(value) = line.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink()).unwrap();
                let stream = stream.get_mut();
                let head = format!(
                    "HTTP/1.1 {status} x\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                    body.len()
                );
                // The client may hang up.
                let _ = stream.write_all(head.as_bytes());
                let _ = stream.write_all(&body);
            }
        });
        Self { url }
    }

    fn builder(&self) -> ClientBuilder {
        Client::builder(watched(KEY))
            .base_url(&self.url)
            .retry(RetryPolicy::none())
    }

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn mail() -> Email {
    Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi")
}

/// Calls that decode a reply in different ways: operation, status, the reply's text before and after the
/// items of its list, and the call.
type Call = fn(&Client) -> Result<(), Error>;
const CALLS: &[(&str, u16, &str, &str, Call)] = &[
    (
        "activity_search",
        200,
        r#"{"data":{"events":["#,
        "]}}",
        |client| {
            runtime().block_on(async {
                let request = ActivitySearchRequest::new();
                client.activity().search(request).await.map(drop)
            })
        },
    ),
    (
        "email_send",
        200,
        r#"{"data":{"email_id":"1","failures":["#,
        "]}}",
        |client| runtime().block_on(async { client.send(mail()).await.map(drop) }),
    ),
    ("email_batch", 200, r#"{"data":["#, "]}", |client| {
        runtime().block_on(async { client.send_batch([mail()]).await.map(drop) })
    }),
    ("execute", 200, r#"{"data":{"error":["#, "]}}", |client| {
        runtime().block_on(async {
            let operation = &operations::ACTIVITY_SEARCH;
            client.execute(operation, Body::empty()).await.map(drop)
        })
    }),
    (
        "error",
        400,
        r#"{"data":{"field_validation_errors":["#,
        "]}}",
        |client| runtime().block_on(async { client.send(mail()).await.map(drop) }),
    ),
];

/// Returns bodies for the list of a call: the largest accepted ones, and a few that are refused.
fn hostile(start: &str, end: &str, size: usize, limit: usize) -> Vec<(&'static str, Vec<u8>)> {
    let units = units().into_iter();
    let mut bodies: Vec<_> = units
        .map(|(name, unit)| (name, repeated(start, &unit, end, size, limit)))
        .collect();
    let fields = [("custom_headers", '{', '}'), ("recipients", '[', ']')];
    let [object, list] = fields.map(|(field, open, close)| {
        (
            format!("{start}{{\"{field}\":{open}"),
            format!("{close}}}{end}"),
        )
    });
    let most = limit - 100;
    bodies.push(("members", members(&object.0, "0", &object.1, size, most)));
    bodies.push(("texts", repeated(&list.0, "\"\"", &list.1, size, limit)));
    bodies.push((
        "deep lists",
        format!("{start}{}{end}", deep("[", "]", size)),
    ));
    bodies.push((
        "deep objects",
        format!("{start}{}{end}", deep("{\"\":", "}", size)),
    ));
    let mut bodies: Vec<_> = bodies
        .into_iter()
        .map(|(name, body)| (name, body.into_bytes()))
        .collect();
    let bytes = [
        list.0.as_bytes(),
        b"\"",
        &vec![0xff; size],
        b"\"",
        list.1.as_bytes(),
    ];
    bodies.push(("not UTF-8", bytes.concat()));
    bodies
}

#[test]
fn hostile_reply_stays_within_the_memory_limit() {
    let _alone = alone();
    let (size, limit) = (256 * KIB, 125_000);
    for (call, status, start, end, run) in CALLS {
        for (name, body) in hostile(start, end, size, limit) {
            let size = body.len();
            let server = Server::start(*status, body);
            let client = server.builder().max_reply_values(limit).build().unwrap();
            let (peak, result) = peak(|| run(&client));
            let outcome = result.as_ref().map_or_else(Error::kind, |()| "ok");
            println!(
                "{call:16} {name:20} {:6} KiB {:8} KiB, {:4} times: {outcome}",
                size / KIB,
                peak / KIB,
                peak / size
            );
            let values = match name {
                "not UTF-8" | "long texts" => 1000,
                _ => limit,
            };
            let most = values * FOR_A_VALUE + size * FOR_A_BYTE;
            assert!(peak < most, "{call}, {name}: {peak} of {most} bytes");
        }
    }
}

#[test]
fn default_limit_of_values_bounds_memory() {
    let _alone = alone();
    let unit = |wanted: &str| {
        let mut units = units().into_iter();
        units
            .find_map(|(name, unit)| (name == wanted).then_some(unit))
            .unwrap()
    };
    for (index, unit) in [(0, unit("empty objects")), (4, unit("numbers"))] {
        let (call, status, start, end, run) = CALLS[index];
        let limit = 1_000_000;
        let body = repeated(start, &unit, end, 4 * MIB, limit);
        assert!(values_beyond(body.as_bytes(), limit - 100).is_some());
        let most = limit * FOR_A_VALUE + body.len() * FOR_A_BYTE;
        let server = Server::start(status, body);
        let (peak, _) = peak(|| run(&server.client()));
        println!("{call}: {} MiB of {}", peak / MIB, most / MIB);
        assert!(peak < most, "{call}: {peak} of {most} bytes");
    }
}

#[test]
fn hostile_event_stays_within_the_memory_limit() {
    let _alone = alone();
    let size = webhook::DEFAULT_LIMIT;
    let (start, end) = (r#"{"event":"open","email_id":"1","#, "}");
    let mut bodies = Vec::new();
    for (name, unit) in units() {
        for field in ["recipients", "subject", "x"] {
            let list = format!("{start}\"{field}\":[");
            bodies.push((
                name,
                false,
                repeated(&list, &unit, "]}", size, webhook::MAX_VALUES),
            ));
        }
        let values = (1..).find(|limit| values_beyond(unit.as_bytes(), limit - 1).is_none());
        let most = (webhook::MAX_VALUES / values.unwrap() - 2).min(webhook::MAX_MEMBERS - 2);
        bodies.push((name, false, members(start, &unit, end, size, most)));
        let member = format!("\"x\":{unit}");
        bodies.push((name, false, repeated(start, &member, end, size, most)));
    }
    let mut bodies: Vec<(&str, bool, Vec<u8>)> = bodies
        .into_iter()
        .map(|(name, is_form, body)| (name, is_form, body.into_bytes()))
        .collect();
    for (is_form, start, end) in [
        (false, r#"{"event":"open","x":""#, "\"}"),
        (true, "event=open&x=", ""),
    ] {
        let bytes = vec![0xff; size - 64];
        let body = [start.as_bytes(), &bytes, end.as_bytes()].concat();
        bodies.push(("not UTF-8", is_form, body));
    }
    let mut push = |name, is_form, body: String| bodies.push((name, is_form, body.into_bytes()));
    push(
        "deep lists",
        false,
        format!("{start}\"x\":{}}}", deep("[", "]", size - 64)),
    );
    let addresses = "a@b,".repeat((size - 128) / 4);
    let list = "[\\\"\\\"".to_owned() + &",\\\"\\\"".repeat((size - 128) / 5) + "]";
    for text in [addresses.as_str(), list.as_str()] {
        push(
            "list in a text",
            false,
            format!("{start}\"recipients\":\"{text}\"}}"),
        );
    }
    let form = "event=open&email_id=1&recipients=";
    push("addresses", true, form.to_owned() + &addresses);
    let list = "[\"\"".to_owned() + &",\"\"".repeat((size - 128) / 3) + "]";
    push("list in a text", true, form.to_owned() + &list);
    for pair in ["&a", "&=", "&recipients=a", "&a=b", "&A=%41+", "&x=%FF"] {
        push(
            "pairs",
            true,
            form.to_owned() + &pair.repeat((size - 128) / pair.len()),
        );
    }
    push(
        "bytes",
        true,
        form.to_owned() + &"%FF".repeat((size - 128) / 3),
    );
    let mut worst = 0;
    for (name, is_form, body) in &bodies {
        let content_type = is_form.then_some("application/x-www-form-urlencoded");
        let (peak, result) = peak(|| webhook::parse(content_type, body));
        let outcome = match &result {
            Ok(_) => "ok".to_owned(),
            Err(ParseError::Malformed { message, .. }) => message.clone(),
            Err(error) => error.to_string(),
        };
        println!(
            "{name:20} {:6} KiB {:8} KiB, {:4} times: {outcome}",
            body.len() / KIB,
            peak / KIB,
            peak / body.len()
        );
        worst = worst.max(peak);
    }
    assert!(worst < EVENT_PEAK, "{} KiB", worst / KIB);
}

#[test]
fn reply_with_too_many_values_is_refused_by_every_entry_point() {
    let _alone = alone();
    let item = "{}".to_owned() + &",{}".repeat(9_999);
    let body = format!(r#"{{"request_id":"r","data":{{"events":[{item}],"email_id":"1"}}}}"#);
    let events = Server::start(200, body);
    let batch = Server::start(200, format!(r#"{{"request_id":"r","data":[{item}]}}"#));
    let search = ActivitySearchRequest::new;
    let limited = |server: &Server, limit| server.builder().max_reply_values(limit).build();
    for limit in [100_000, 200_000] {
        let (client, batched) = (
            limited(&events, limit).unwrap(),
            limited(&batch, limit).unwrap(),
        );
        let blocking = blocking::Client::builder(watched(KEY))
            .base_url(&events.url)
            .max_reply_values(limit)
            .build()
            .unwrap();
        let results: Vec<(&str, Result<(), Error>)> = runtime().block_on(async {
            let raw = client.raw();
            let operation = &operations::ACTIVITY_SEARCH;
            let request = EmailSendRequest::new("a@example.com", ["b@example.net"]);
            vec![
                ("group", client.activity().search(search()).await.map(drop)),
                (
                    "raw",
                    raw.activity_search(&search())
                        .await
                        .map(drop)
                        .map_err(Error::from),
                ),
                (
                    "stream",
                    client
                        .activity()
                        .search_all(search())
                        .try_next()
                        .await
                        .map(drop),
                ),
                (
                    "pages",
                    client
                        .activity()
                        .search_all(search())
                        .pages()
                        .try_next()
                        .await
                        .map(drop),
                ),
                (
                    "execute",
                    client.execute(operation, Body::empty()).await.map(drop),
                ),
                ("send", client.send(mail()).await.map(drop)),
                ("typed send", client.email().send(request).await.map(drop)),
                ("batch", batched.send_batch([mail()]).await.map(drop)),
            ]
        });
        let blocked = [
            (
                "blocking group",
                blocking.activity().search(search()).map(drop),
            ),
            ("blocking send", blocking.send(mail()).map(drop)),
        ];
        for (entry, result) in results.into_iter().chain(blocked) {
            if limit == 200_000 {
                // The list has 10,000 results for one mail.
                let kind = result.map_or_else(|error| error.kind(), |()| "ok");
                assert_eq!(
                    kind,
                    if entry == "batch" { "results" } else { "ok" },
                    "{entry}"
                );
                continue;
            }
            let error = result.unwrap_err();
            assert_eq!(error.kind(), "reply_too_large", "{entry}");
            assert_eq!(error.certainty(), Certainty::Unknown, "{entry}");
            assert_eq!(error.request_id(), Some("r"), "{entry}");
            assert!(error.to_string().contains("max_reply_values"), "{error}");
        }
    }
}

/// Returns a value with all fields of the spec, with realistic lengths.
fn filled(spec: &Value, schema: &Value, name: &str) -> Value {
    let schema = match schema["$ref"]
        .as_str()
        .or(schema["allOf"][0]["$ref"].as_str())
    {
        Some(reference) => spec.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema["oneOf"].get(0).unwrap_or(schema),
    };
    match schema["type"].as_str() {
        Some("array") => (0..5)
            .map(|_| filled(spec, &schema["items"], name))
            .collect(),
        Some("object") => {
            let members = schema["properties"].as_object().into_iter().flatten();
            let mut members: serde_json::Map<_, _> = members
                .map(|(name, schema)| (name.clone(), filled(spec, schema, name)))
                .collect();
            if members.is_empty() {
                members = (0..5)
                    .map(|index| (format!("x-{index}"), json!("a value")))
                    .collect();
            }
            members.into()
        }
        Some("integer") => json!(1_234_567),
        Some("number") => json!(12.5),
        Some("boolean") => json!(true),
        // As long as the header of a mail with its signatures.
        Some("string") if name == "headers" => "Received: by a.example\r\n".repeat(120).into(),
        Some("string") => "a text of a usual length, as an address has".into(),
        _ => json!({ "name": "invoice.pdf", "size": 12_345 }),
    }
}

/// Returns the reply of an operation, with a list of `count` items.
fn page(spec: &Value, id: &str, list: &str, count: usize) -> String {
    let operations = spec["paths"].as_object().unwrap().values();
    let operation = operations
        .flat_map(|item| item.as_object().unwrap().values())
        .find(|operation| operation["operationId"] == id)
        .unwrap();
    let reply = &operation["responses"]["200"]["content"]["application/json"]["schema"];
    let mut reply = filled(spec, reply, "");
    let items = reply.pointer_mut(list).unwrap();
    *items = vec![items[0].take(); count].into();
    reply.to_string()
}

#[test]
#[allow(deprecated, reason = "email_search")]
fn largest_documented_pages_are_accepted_with_all_fields() {
    type Read = fn(&Client) -> Result<usize, Error>;
    macro_rules! reads {
        ($($group:ident.$method:ident($request:ident) $items:ident),* $(,)?) => {
            [$({
                let read: Read = |client| runtime().block_on(async {
                    let reply = client.$group().$method($request::new()).await?;
                    Ok(reply.$items.len())
                });
                (stringify!($group), concat!("/data/", stringify!($items)), read)
            }),*]
        };
    }
    let _alone = alone();
    let spec = spec();
    let reads = reads![
        activity.search(ActivitySearchRequest) events,
        archive.search(ArchiveSearchRequest) emails,
        email.search(EmailSearchRequest) emails,
        template.search(TemplateSearchRequest) templates,
        subaccount.search(SubaccountSearchRequest) subaccounts,
        suppression.view(SuppressionViewRequest) results,
    ];
    for ((group, list, read), count) in reads.into_iter().zip([1000, 5000, 5000, 1000, 1000, 5000])
    {
        let action = if group == "suppression" {
            "view"
        } else {
            "search"
        };
        let body = page(&spec, &format!("{group}_{action}"), list, count);
        let size = body.len();
        let server = Server::start(200, body);
        let (peak, result) = peak(|| read(&server.client()));
        println!(
            "{group:12} {:6} KiB {:8} KiB, {:4} times",
            size / KIB,
            peak / KIB,
            peak / size
        );
        assert_eq!(result.unwrap(), count, "{group}");
    }
}
