//! The list of webhook deliveries, and the page of a delivery.

use std::sync::Arc;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::index;
use super::mails;
use super::page::{self, Section, Shell, shorten, show};
use super::request::{Fields, query};
use super::view::{HookView, Time, pretty};
use crate::webhooks::{self, WebhookDelivery, WebhookState};
use crate::world::Shared;

#[derive(Template)]
#[template(path = "webhooks.html")]
struct WebhookPage {
    shell: Shell,
    rows: Vec<WebhookRow>,
    search: String,
    /// Number of deliveries so far.
    all: usize,
    later: bool,
    more: Option<String>,
    delivery: Option<WebhookView>,
}

struct WebhookRow {
    hook: HookView,
    href: String,
    time: Time,
    whom: String,
    current: bool,
}

/// Number of deliveries that are searched before other threads get the lock.
const AT_ONCE: usize = 1_000;

struct WebhookView {
    hook: HookView,
    /// Id of the webhook.
    webhook: u64,
    whom: String,
    /// Address of the mail's or text message's page.
    about: String,
    content_type: &'static str,
    body: String,
    attempts: Vec<AttemptRow>,
    next: Option<Time>,
    error: String,
    back: String,
}

struct AttemptRow {
    time: Time,
    took: String,
    outcome: String,
    tone: &'static str,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    show(StatusCode::OK, &page_of(&shared, &fields, None, ""))
}

pub(super) async fn delivery(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<usize>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    respond(&shared, &fields, number, StatusCode::OK, "")
}

/// Posts a delivery again. If the form is on the page of a mail, redirects to that page.
pub(super) async fn again(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<usize>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Response {
    let posted = webhooks::post_again(&mut shared.world(), number);
    let fields = Fields::of_query(query.as_deref());
    let form = Fields::of_form(&body);
    if posted {
        return page::see(&match page::find_mail(&shared, form.get("mail")) {
            Some(mail) => mails::address(mail.email_id(), &fields, fields.get("recipient")),
            None => address(number, fields.get("q")),
        });
    }
    let error = "The delivery is already queued or being posted.";
    respond(&shared, &fields, number, StatusCode::CONFLICT, error)
}

fn address(number: usize, search: &str) -> String {
    format!("/_inbox/webhooks/{number}{}", query("q", search))
}

fn respond(
    shared: &Shared,
    fields: &Fields,
    number: usize,
    status: StatusCode,
    error: &str,
) -> Response {
    let page = page_of(shared, fields, Some(number), error);
    if page.delivery.is_none() {
        let dropped = shared.world().outbox.deliveries.was_dropped(number);
        return page::missing(shared, Section::Deliveries, "webhook delivery", dropped);
    }
    show(status, &page)
}

/// Returns the recipients of the message, cut to the length in lists.
pub(super) fn whom(delivery: &WebhookDelivery) -> String {
    let event = delivery.event();
    match (event.mail(), event.sms()) {
        (Some(mail), _) => match event.recipient() {
            Some(recipient) => index::cut(recipient),
            None => index::recipients(mail),
        },
        (None, Some(sms)) => index::cut(sms.destination()),
        (None, None) => String::new(),
    }
}

fn page_of(shared: &Shared, fields: &Fields, current: Option<usize>, error: &str) -> WebhookPage {
    let search = fields.get("q");
    let before = fields.number("before");
    let (places, more) = matching(shared, before, &index::words(search));
    let world = shared.world();
    let all = &world.outbox.deliveries;
    let rows = places.iter().filter_map(|place| {
        let delivery = all.get(*place)?;
        Some(WebhookRow {
            hook: HookView::new(*place, delivery),
            href: address(*place, search),
            time: Time::new(delivery.event().time()),
            whom: whom(delivery),
            current: current == Some(*place),
        })
    });
    let rows = rows.collect();
    let back = format!("/_inbox/webhooks{}", query("q", search));
    let delivery =
        current.and_then(|number| Some(WebhookView::new(number, all.get(number)?, error, back)));
    WebhookPage {
        shell: Shell::new(shared, &world, Section::Deliveries),
        rows,
        search: search.to_owned(),
        all: all.undeleted(),
        later: before.is_some(),
        more: more.map(|place| page::older("/_inbox/webhooks", search, place)),
        delivery,
    }
}

/// Returns the places of a page's deliveries that contain all `words`, and the `before` of the next
/// page, like [`page::newest`]. Unlocks the world between parts of a long search.
fn matching(
    shared: &Shared,
    before: Option<usize>,
    words: &[String],
) -> (Vec<usize>, Option<usize>) {
    let rows = page::rows(before);
    let (mut found, mut end) = (Vec::new(), before);
    loop {
        let world = shared.world();
        let deliveries = &world.outbox.deliveries;
        let mut last = None;
        for place in deliveries.places(end).rev().take(AT_ONCE) {
            last = Some(place);
            let fits = |delivery| {
                let text = searched(delivery);
                words.iter().all(|word| text.contains(word.as_str()))
            };
            if !words.is_empty() && !deliveries.get(place).is_some_and(fits) {
                continue;
            }
            if found.len() == rows {
                let more = found.last().copied();
                return (found, more);
            }
            found.push(place);
        }
        if last.is_none() {
            return (found, None);
        }
        end = last;
    }
}

/// Returns the searched text in lower case: the URL, the event, the recipients and the state with the
/// last status or error.
fn searched(delivery: &WebhookDelivery) -> String {
    let hook = HookView::new(0, delivery);
    let kind = delivery.event().kind().webhook_name();
    let whom = whom(delivery);
    [&hook.url, hook.event, kind, &whom, &hook.state]
        .join("\n")
        .to_lowercase()
}

impl WebhookView {
    fn new(number: usize, delivery: &WebhookDelivery, error: &str, back: String) -> Self {
        let event = delivery.event();
        let about = match (event.mail(), event.sms()) {
            (Some(mail), _) => format!("/_inbox/mails/{}", mail.email_id()),
            (None, Some(sms)) => format!("/_inbox/sms/{}", sms.message_id()),
            (None, None) => String::new(),
        };
        let body = delivery.body();
        let body = match serde_json::from_slice::<Value>(&body) {
            Ok(value) => pretty(&value),
            // A form is shown with one field per line.
            Err(_) => form_urlencoded::parse(&body)
                .map(|(name, value)| format!("{name}={value}"))
                .collect::<Vec<_>>()
                .join("\n"),
        };
        let attempts = delivery.attempts().iter().map(|attempt| AttemptRow {
            time: Time::new(attempt.time()),
            took: format!("{} ms", attempt.took().as_millis()),
            outcome: match (attempt.status(), attempt.error()) {
                (Some(status), _) => status.to_string(),
                (None, error) => error.unwrap_or_default().to_owned(),
            },
            tone: if attempt.accepted() { "good" } else { "bad" },
        });
        Self {
            hook: HookView::new(number, delivery),
            webhook: delivery.webhook_id(),
            whom: whom(delivery),
            about,
            content_type: delivery.content_type(),
            body: shorten(&body).0.to_owned(),
            attempts: attempts.collect(),
            next: match delivery.state() {
                WebhookState::Waiting(time) => Some(Time::new(time)),
                _ => None,
            },
            error: error.to_owned(),
            back,
        }
    }
}
