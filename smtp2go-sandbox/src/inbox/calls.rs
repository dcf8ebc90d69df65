//! The list of calls, and the page of a call with its request and reply.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::digest::{Digest, Messages};
use super::index;
use super::page::{self, Section, Shell, newest, shorten, show};
use super::request::{Fields, query};
use super::view::{Time, pretty, size};
use crate::call::{Call, KeyPlace};
use crate::keep::KeptMessage;
use crate::mail::SMTP;
use crate::world::Shared;

#[derive(Template)]
#[template(path = "calls.html")]
struct CallPage {
    shell: Shell,
    rows: Vec<CallRow>,
    search: String,
    all: usize,
    later: bool,
    more: Option<String>,
    call: Option<CallView>,
}

struct CallRow {
    number: usize,
    href: String,
    method: String,
    path: String,
    digest: Digest,
    operation: String,
    time: Time,
    status: String,
    tone: &'static str,
    note: String,
    current: bool,
}

struct CallView {
    number: usize,
    title: String,
    time: Time,
    status: String,
    tone: &'static str,
    refused: String,
    fault: String,
    received: bool,
    accepted: bool,
    ignored: Vec<String>,
    facts: Vec<(&'static str, String)>,
    request: Body,
    reply: Body,
    back: String,
}

struct Body {
    text: String,
    size: String,
    cut: bool,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    show(StatusCode::OK, &page_of(&shared, &fields, None))
}

pub(super) async fn call(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<usize>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let page = page_of(&shared, &fields, Some(number));
    if page.call.is_none() {
        let dropped = shared.world().calls.was_dropped(number);
        return page::missing(&shared, Section::Calls, "call", dropped);
    }
    show(StatusCode::OK, &page)
}

fn page_of(shared: &Shared, fields: &Fields, current: Option<usize>) -> CallPage {
    let search = fields.get("q");
    let words = index::words(search);
    let calls = shared.world().calls.clone();
    let fits = |place: usize| {
        words.is_empty()
            || calls.get(place).is_some_and(|call| {
                let text = searched(shared, call);
                words.iter().all(|word| text.contains(word.as_str()))
            })
    };
    let before = fields.number("before");
    let (places, more) = newest(&calls, before, fits);
    let suffix = query("q", search);
    let shown = || {
        let places = places.iter();
        places.filter_map(|place| Some((*place, &**calls.get(*place)?)))
    };
    let mut messages = Messages::of(&shared.world(), shown().map(|(_, call)| call));
    let rows = shown().map(|(place, call)| {
        let (status, tone) = status(call);
        CallRow {
            number: place,
            href: format!("/_inbox/calls/{place}{suffix}"),
            method: call.method().to_owned(),
            path: index::cut(call.path()),
            digest: messages.digest(call, &shared.entries),
            operation: call.operation().unwrap_or_default().to_owned(),
            time: Time::new(call.time()),
            status,
            tone,
            note: index::cut(&note(call)),
            current: current == Some(place),
        }
    });
    let rows = rows.collect();
    let call = current.and_then(|number| {
        let back = format!("/_inbox/calls{suffix}");
        Some(CallView::new(number, calls.get(number)?, back))
    });
    CallPage {
        shell: Shell::new(shared, &shared.world(), Section::Calls),
        rows,
        search: search.to_owned(),
        all: calls.undeleted(),
        later: before.is_some(),
        more: more.map(|place| page::older("/_inbox/calls", search, place)),
        call,
    }
}

/// Maximum number of bytes of a request's body that are searched.
const SEARCHED_BODY: usize = 16 * 1024;

/// Returns the searched text in lower case, with the start of the request's body, and with the decoded recipients
/// and the decoded subject or text of the first message that the call sent.
fn searched(shared: &Shared, call: &Call) -> String {
    let status = call.status().to_string();
    let body = call.body();
    let body = body.get(..SEARCHED_BODY).unwrap_or(body);
    let [to, about] = match message(shared, call) {
        Some(KeptMessage::Mail(mail, _)) => {
            let entry = shared.entries.of(&mail);
            [entry.to.clone(), entry.subject.clone()]
        }
        Some(KeptMessage::Sms(sms, _)) => [sms.destination(), sms.content()].map(index::cut),
        _ => Default::default(),
    };
    let parts = [
        call.method(),
        call.path(),
        call.operation().unwrap_or_default(),
        &status,
        call.refused().unwrap_or_default(),
        call.fault().unwrap_or_default(),
        &to,
        &about,
        &String::from_utf8_lossy(body),
    ];
    parts.join("\n").to_lowercase()
}

/// Returns the first message that a call sent, if it is kept.
fn message(shared: &Shared, call: &Call) -> Option<KeptMessage> {
    if call.messages.is_empty() {
        return None;
    }
    shared.world().ledger.message(call.messages.start).cloned()
}

fn status(call: &Call) -> (String, &'static str) {
    match call.status() {
        0 => ("no reply".to_owned(), "bad"),
        status @ 200..300 if call.fault().is_none() && call.failures().is_empty() => {
            (status.to_string(), "good")
        }
        status @ 200..300 => (status.to_string(), "warn"),
        status => (status.to_string(), "bad"),
    }
}

fn note(call: &Call) -> String {
    match (call.refused(), call.fault(), call.ignored()) {
        (Some(reason), None, _) => reason.to_owned(),
        (_, Some(fault), _) => format!("fault: {fault}"),
        (None, None, _) if !call.failures().is_empty() => {
            format!("failed: {}", call.failures().join("; "))
        }
        (None, None, []) => String::new(),
        (None, None, ignored) => format!("ignored: {}", ignored.join(", ")),
    }
}

impl CallView {
    fn new(number: usize, call: &Call, back: String) -> Self {
        let (status, tone) = status(call);
        let key = match call.key_place() {
            Some(KeyPlace::Header) => "in the header X-Smtp2go-Api-Key",
            Some(KeyPlace::Bearer) => "as a bearer token",
            Some(KeyPlace::Body) => "in the body",
            None => "none",
        };
        let facts = match call.operation() {
            Some(SMTP) => vec![("Operation", SMTP)],
            operation => vec![
                ("Operation", operation.unwrap_or("none")),
                ("Key", key),
                ("User-Agent", call.user_agent().unwrap_or("none")),
                ("Content-Type", call.content_type().unwrap_or("none")),
            ],
        };
        let facts = facts.into_iter();
        Self {
            number,
            title: format!("{} {}", call.method(), call.path()),
            time: Time::new(call.time()),
            status,
            tone,
            refused: call.refused().unwrap_or_default().to_owned(),
            fault: call.fault().unwrap_or_default().to_owned(),
            received: call.received(),
            accepted: call.accepted(),
            ignored: call.ignored().to_vec(),
            facts: facts
                .map(|(name, value)| (name, value.to_owned()))
                .collect(),
            request: Body::new(call.body(), call.body_bytes()),
            reply: Body::new(call.reply(), call.reply().len()),
            back,
        }
    }
}

impl Body {
    /// Formats a body for display. `bytes` is its stored start, `all` its full size in bytes.
    fn new(bytes: &[u8], all: usize) -> Self {
        let text = match serde_json::from_slice::<Value>(bytes) {
            Ok(mut value) => {
                hide_key(&mut value);
                pretty(&value)
            }
            Err(_) => String::from_utf8_lossy(bytes).into_owned(),
        };
        let (shown, cut) = shorten(&text);
        Self {
            text: shown.to_owned(),
            size: size(all),
            cut: cut || bytes.len() < all,
        }
    }
}

/// Shortens the key in a body as the service does.
fn hide_key(value: &mut Value) {
    if let Some(Value::String(key)) = value.get_mut("api_key") {
        *key = format!("{}…", crate::account::short_name(key));
    }
}
