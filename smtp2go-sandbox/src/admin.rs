//! The admin endpoints below `/_sandbox`: they give programs in any language access to the sandbox,
//! as JSON.
//!
//! [`gate`](crate::gate) checks every request to them. A GET changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use smtp2go_types::Timestamp;

use crate::account::AccountId;
use crate::address;
use crate::call::{Call, KeyPlace};
use crate::clock::TOO_LATE;
use crate::delivery::{Delivery, NAMES, Outcome};
use crate::event::{Event, EventKind};
use crate::faults::{ActiveFault, Fault, Faults};
use crate::heavy;
use crate::inbox::MailChecks;
use crate::keep::Log;
use crate::mail::{Attachment, Mail};
use crate::operations;
use crate::paging;
use crate::sms::Sms;
use crate::webhooks::{self, WebhookDelivery, WebhookState};
use crate::world::{SCHEDULED, Shared, World};

/// Prefix of the paths.
pub(crate) const PREFIX: &str = "/_sandbox";

/// Default number of items of a list.
const LIMIT: usize = 1_000;

/// Number of delivery rules from which requests can't add more.
const RULES: usize = 1_000;

/// Maximum length in bytes of the recipient of a delivery rule.
const LONGEST: usize = 1_000;

/// Maximum time in seconds that a request waits for mail.
const MAX_WAIT: f64 = 60.0;

type AdminResult = Result<Value, Problem>;

/// The endpoints as `GET /_sandbox` lists them.
const ENDPOINTS: &[&str] = &[
    "GET /_sandbox",
    "GET /_sandbox/mails?to=ADDRESS&subject=TEXT&wait=SECONDS&after=0&offset=0&limit=1000",
    "GET /_sandbox/mails/EMAIL_ID",
    "DELETE /_sandbox/mails/EMAIL_ID",
    "GET /_sandbox/mails/EMAIL_ID/checks",
    "POST /_sandbox/mails/EMAIL_ID/events {\"event\": \"open\", \"recipient\": \"b@example.net\"}",
    "POST /_sandbox/delivery {\"recipient\": \"@example.org\", \"outcome\": \"soft-bounce\"}",
    "DELETE /_sandbox/delivery",
    "GET /_sandbox/sms?after=0&offset=0&limit=1000",
    "POST /_sandbox/sms/receive {\"from\": \"+15550001\", \"to\": \"+15550002\", \"content\": \"Hi\"}",
    "GET /_sandbox/webhooks?after=0&offset=0&limit=1000",
    "POST /_sandbox/webhooks/NUMBER/again",
    "GET /_sandbox/events?after=0&offset=0&limit=1000",
    "GET /_sandbox/calls?after=0&offset=0&limit=1000",
    "GET /_sandbox/calls/NUMBER",
    "GET /_sandbox/faults",
    "POST /_sandbox/faults {\"rule\": \"email_send:nth=1:status=503\"}",
    "DELETE /_sandbox/faults",
    "DELETE /_sandbox/faults/ID",
    "GET /_sandbox/clock",
    "POST /_sandbox/clock/freeze",
    "POST /_sandbox/clock/resume",
    "POST /_sandbox/clock/advance {\"seconds\": 3600}",
    "GET /_sandbox/activity",
    "POST /_sandbox/activity {\"lag\": 120}",
    "POST /_sandbox/reset",
];

/// Routes of the endpoints, without [`PREFIX`].
pub(crate) fn router(shared: &Arc<Shared>) -> Router<Arc<Shared>> {
    Router::new()
        .route("/", get(about))
        .route("/mails/{email_id}", get(mail).delete(delete_mail))
        .route("/mails/{email_id}/checks", get(checks))
        .route("/mails/{email_id}/events", post(make_event))
        .route("/delivery", post(add_outcome).delete(clear_outcomes))
        .route("/sms", get(sms))
        .route("/sms/receive", post(receive_sms))
        .route("/webhooks", get(list_webhooks))
        .route("/webhooks/{number}/again", post(post_again))
        .route("/events", get(events))
        .route("/calls", get(calls))
        .route("/calls/{number}", get(call))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/faults/{id}", delete(remove_fault))
        .route("/clock", get(clock))
        .route("/clock/freeze", post(freeze))
        .route("/clock/resume", post(resume))
        .route("/clock/advance", post(advance))
        .route("/activity", get(activity).post(set_activity))
        .route("/reset", post(reset))
        .route_layer(middleware::from_fn_with_state(
            Arc::clone(shared),
            heavy::apart,
        ))
        // Outside the layer, because it may wait for mail.
        .route("/mails", get(mails))
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
}

/// The status and message of a failed admin request.
#[derive(Debug)]
pub(crate) struct Problem(pub(crate) StatusCode, pub(crate) String);

impl Problem {
    fn bad(message: impl Into<String>) -> Self {
        Self(StatusCode::BAD_REQUEST, message.into())
    }

    fn missing(message: impl Into<String>) -> Self {
        Self(StatusCode::NOT_FOUND, message.into())
    }

    fn dropped(what: &str, world: &World) -> Self {
        let budget = world.ledger.budget();
        let message = format!(
            "{what} was deleted, or dropped: the sandbox keeps only {} mails and {} bytes",
            budget.mails, budget.bytes
        );
        Self(StatusCode::GONE, message)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        respond(self.0, &json!({ "error": self.1 }))
    }
}

fn respond(status: StatusCode, body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, body.to_string()).into_response()
}

/// A JSON reply.
struct Json(AdminResult);

impl IntoResponse for Json {
    fn into_response(self) -> Response {
        match self.0 {
            Ok(body) => respond(StatusCode::OK, &body),
            Err(problem) => problem.into_response(),
        }
    }
}

async fn unknown() -> Json {
    Json(Err(Problem::missing(
        "unknown endpoint: GET /_sandbox lists the endpoints",
    )))
}

async fn wrong_method() -> Json {
    Json(Err(Problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "method not allowed: GET /_sandbox lists the endpoints with their methods".to_owned(),
    )))
}

/// Returns the sandbox's version, settings, counts and endpoints.
async fn about(State(shared): State<Arc<Shared>>) -> Json {
    let settings = &shared.settings;
    let faults = Faults::new(Arc::clone(&shared)).list().len();
    let world = shared.world();
    let (dropped, budget) = (world.dropped(), world.ledger.budget());
    Json(Ok(json!({
        "name": env!("CARGO_PKG_NAME"),
        "version": env!("CARGO_PKG_VERSION"),
        "refuse_unknown": settings.strictness.unknown,
        "refuse_null": settings.strictness.nulls,
        "allow_missing_v3": settings.allow_missing_v3,
        "stateless": settings.stateless,
        "seed": settings.seed,
        "now": time(world.now()),
        "frozen": world.clock.is_frozen(),
        "mails": world.mails.total(),
        "events": world.events.total(),
        "sms": world.sms.total(),
        "webhooks": world.outbox.deliveries.total(),
        "calls": world.calls.total(),
        "dropped": {
            "mails": dropped.mails,
            "events": dropped.events,
            "sms": dropped.sms,
            "webhooks": dropped.webhook_deliveries,
            "calls": dropped.calls,
        },
        "kept_bytes": world.ledger.bytes(),
        "keep_bytes": budget.bytes,
        "keep_mails": budget.mails,
        "faults": faults,
        "endpoints": ENDPOINTS,
    })))
}

/// The parameters of a query. Unknown parameters are refused. If a parameter is repeated, the last
/// value applies.
struct AdminQuery(HashMap<String, String>);

impl AdminQuery {
    fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                let known = known.join(", ");
                return Err(Problem::bad(format!(
                    "unknown parameter {name:?}: use {known}"
                )));
            }
            parameters.insert(name.into_owned(), value.into_owned());
        }
        Ok(Self(parameters))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn number(&self, name: &str, otherwise: usize) -> Result<usize, Problem> {
        self.text(name).map_or(Ok(otherwise), |text| {
            text.parse()
                .map_err(|_| Problem::bad(format!("{name}={text:?}: the value must be a number")))
        })
    }

    /// Returns the page of a list that `after`, `offset` and `limit` select. The offset counts dropped
    /// items too. Copies the items, which is cheap, so that the caller can write them without the
    /// world's lock.
    fn page<T: Clone>(
        &self,
        name: &str,
        shared: &Shared,
        list: impl FnOnce(&World) -> &Log<T>,
        write: impl Fn(&T) -> Value,
    ) -> AdminResult {
        let from = self.number("offset", 0)?.max(self.number("after", 0)?);
        // One more item shows whether there is a next page.
        let limit = self.number("limit", LIMIT)?.saturating_add(1);
        let (items, total, dropped) = {
            let world = shared.world();
            let items = list(&world);
            let page = items.since(from).take(limit);
            let page: Vec<_> = page.map(|(place, item)| (place, item.clone())).collect();
            (page, items.total(), items.dropped())
        };
        let items = items.iter().map(|(place, item)| (*place, item));
        let (page, next) = self.write(items, 0, write)?;
        Ok(json!({ "total": total, "dropped": dropped, "next": next, name: page }))
    }

    /// Writes up to `limit` items with their numbers, and ends early after [`paging::BYTES`]. Also
    /// returns the value of `after` for the next page, if there is one.
    fn write<'a, T: 'a>(
        &self,
        items: impl Iterator<Item = (usize, &'a T)>,
        offset: usize,
        write: impl Fn(&T) -> Value,
    ) -> Result<(Vec<Value>, Option<usize>), Problem> {
        let limit = self.number("limit", LIMIT)?;
        let (mut page, mut bytes, mut last) = (Vec::new(), 0, None);
        for (place, item) in items.skip(offset) {
            if page.len() >= limit || bytes > paging::BYTES {
                return Ok((page, last));
            }
            let mut written = write(item);
            written["number"] = (place + 1).into();
            bytes += paging::length(&written);
            page.push(written);
            last = Some(place + 1);
        }
        Ok((page, None))
    }
}

async fn mails(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    list_mails(&shared, query.as_deref())
        .await
        .unwrap_or_else(IntoResponse::into_response)
}

/// The filter of a list of mails.
struct Wanted {
    to: Option<String>,
    /// Part of the subject, in lower case and with spaces in place of `+`.
    subject: Option<String>,
}

impl Wanted {
    fn new(query: &AdminQuery) -> Self {
        let to = query.text("to").map(|to| to.trim().replace(' ', "+"));
        let subject = query.text("subject").map(without_plus);
        Self {
            to: to.map(|to| address::bare(&to)),
            subject,
        }
    }

    fn all(&self) -> bool {
        self.to.is_none() && self.subject.is_none()
    }

    fn has(&self, mail: &Mail) -> bool {
        let to = self.to.as_ref().is_none_or(|to| {
            let mut recipients = mail.recipients().into_iter();
            recipients.any(|recipient| recipient.replace(' ', "+").eq_ignore_ascii_case(to))
        });
        let subject = || without_plus(mail.subject().unwrap_or_default());
        to && (self.subject.as_ref()).is_none_or(|part| subject().contains(part))
    }
}

/// Returns a text in lower case, with `+` replaced by a space.
fn without_plus(text: &str) -> String {
    text.replace('+', " ").to_lowercase()
}

/// Finds the mails that have arrived since the previous call of `take`.
struct NewMails {
    /// Index of the first mail for the first call of `take`, and after a reset.
    after: usize,
    /// The index and the message's number of the last mail that was found.
    last: Option<(usize, u64)>,
}

impl NewMails {
    fn take(&mut self, world: &World) -> Vec<(usize, Mail)> {
        let mails = &world.mails;
        let (last, seen) = self.last.unwrap_or_default();
        // A reset sets back the places, but not the messages' numbers.
        let is_there = mails.get(last).is_some_and(|mail| mail.number() == seen);
        let begin = if is_there { last + 1 } else { self.after };
        let new = mails.since(begin).filter(|(_, mail)| mail.number() > seen);
        let new: Vec<_> = new.map(|(place, mail)| (place, mail.clone())).collect();
        self.last = new
            .last()
            .map(|(place, mail)| (*place, mail.number()))
            .or(self.last);
        new
    }
}

/// Lists mails by recipient and subject. With `wait`, waits until at least one matches.
async fn list_mails(shared: &Arc<Shared>, query: Option<&str>) -> Result<Response, Problem> {
    let known = ["to", "subject", "wait", "after", "offset", "limit"];
    let query = AdminQuery::read(query, &known)?;
    let wait = match query.text("wait") {
        None => Duration::ZERO,
        Some(text) => text
            .parse()
            .ok()
            .filter(|seconds| (0.0..=MAX_WAIT).contains(seconds))
            .map(Duration::from_secs_f64)
            .ok_or_else(|| {
                Problem::bad(format!(
                    "wait={text:?}: the value must be a number of seconds from 0 to {MAX_WAIT}"
                ))
            })?,
    };
    let wanted = Arc::new(Wanted::new(&query));
    let query = Arc::new(query);
    let mut new = NewMails {
        after: query.number("after", 0)?,
        last: None,
    };
    let end = Instant::now() + wait;
    let mut changes = shared.changes.subscribe();
    let mut place = None;
    loop {
        changes.borrow_and_update();
        let (mails, dropped) = {
            let world = shared.world();
            (new.take(&world), world.mails.dropped())
        };
        let ends = end.saturating_duration_since(Instant::now()).is_zero();
        if ends || !mails.is_empty() {
            let (shared_too, query, wanted) =
                (Arc::clone(shared), Arc::clone(&query), Arc::clone(&wanted));
            let look = move || write_mails(&shared_too, &query, &wanted, &mails, dropped, ends);
            match shared.heavy.own.run(look).await {
                Ok(Some(found)) => return Ok(found.into_response()),
                Ok(None) => {}
                Err(undone) => return Ok(undone.into_response()),
            }
        }
        if place.is_none() {
            place = Some(shared.waits.place()?);
        }
        let left = end.saturating_duration_since(Instant::now());
        // Looks again after a change and after the timeout.
        let _ = tokio::time::timeout(left, changes.changed()).await;
    }
}

/// Builds the reply with the matching mails. `None` if no mail matches and the request may wait longer
/// (`ends` is not set).
fn write_mails(
    shared: &Shared,
    query: &AdminQuery,
    wanted: &Wanted,
    mails: &[(usize, Mail)],
    dropped: usize,
    ends: bool,
) -> Option<Json> {
    if wanted.all() {
        return Some(Json(query.page(
            "mails",
            shared,
            |world| &world.mails,
            summary,
        )));
    }
    let found = mails.iter().filter(|(_, mail)| wanted.has(mail));
    let found: Vec<_> = found.map(|(place, mail)| (*place, mail)).collect();
    if found.is_empty() && !ends {
        return None;
    }
    let write = || {
        // Counts all dropped mails: whether they would have matched is not known.
        let (total, offset) = (found.len(), query.number("offset", 0)?);
        let (page, next) = query.write(found.into_iter(), offset, summary)?;
        Ok(json!({ "total": total, "dropped": dropped, "next": next, "mails": page }))
    };
    Some(Json(write()))
}

async fn mail(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Json {
    let (place, mail, events) = {
        let world = shared.world();
        let mut mails = world.mails.numbered();
        let Some((place, mail)) = mails.find(|(_, mail)| mail.email_id() == id) else {
            return Json(Err(no_mail(&world, &id)));
        };
        let of_it = |event: &&Arc<Event>| event.mail().is_some_and(|of| of.email_id() == id);
        let events: Vec<_> = world.events.iter().filter(of_it).cloned().collect();
        (place, mail.clone(), events)
    };
    let mut whole = summary(&mail);
    whole["number"] = (place + 1).into();
    whole["text_body"] = mail.text_body().into();
    whole["html_body"] = mail.html_body().into();
    let mime = mail.mime();
    whole["mime"] = mime.as_deref().map(String::from_utf8_lossy).into();
    whole["attachments"] = mail.attachments().iter().map(write_file).collect();
    whole["inlines"] = mail.inlines().iter().map(write_file).collect();
    whole["request"] = mail.request();
    whole["events"] = events.iter().map(|event| write_event(event)).collect();
    Json(Ok(whole))
}

/// Deletes a mail with its events and deliveries.
async fn delete_mail(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Json {
    let deleted = find_mail(&shared, &id).and_then(|mail| match shared.world().delete(&mail) {
        true => Ok(json!({ "deleted": true })),
        false => Err(Problem(
            StatusCode::CONFLICT,
            format!("the mail {id:?} {SCHEDULED}"),
        )),
    });
    Json(deleted)
}

/// Returns the results of a mail's checks, as the inbox shows them.
async fn checks(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Json {
    Json(find_mail(&shared, &id).map(|mail| json!(MailChecks::of(&mail))))
}

fn find_mail(shared: &Shared, id: &str) -> Result<Mail, Problem> {
    let world = shared.world();
    let found = world.mails.iter().find(|mail| mail.email_id() == id);
    found.cloned().ok_or_else(|| no_mail(&world, id))
}

fn no_mail(world: &World, id: &str) -> Problem {
    match world.was_dropped(id) {
        true => Problem::dropped(&format!("the mail {id:?}"), world),
        false => Problem::missing(format!("unknown mail {id:?}")),
    }
}

/// Writes a mail as an item of a list.
fn summary(mail: &Mail) -> Value {
    json!({
        "email_id": mail.email_id(),
        "schedule_id": mail.schedule_id(),
        "operation": mail.operation(),
        "accepted_at": time(mail.accepted_at()),
        "username": mail.username(),
        "sender": mail.sender(),
        "to": mail.to(),
        "cc": mail.cc(),
        "bcc": mail.bcc(),
        "subject": mail.subject(),
    })
}

fn write_file(file: &Attachment) -> Value {
    json!({
        "filename": file.filename,
        "mimetype": file.mimetype,
        "content_id": file.content_id,
        "content": STANDARD.encode(&file.content),
        "url": file.url,
    })
}

/// Makes an event of a mail happen.
async fn make_event(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Bytes,
) -> Json {
    Json(happen(&shared, &id, &body))
}

fn happen(shared: &Arc<Shared>, id: &str, body: &Bytes) -> AdminResult {
    let [event, recipient, link] = fields(body, ["event", "recipient", "link"], 2)?;
    let event = text("event", &event)?;
    let kind = KINDS
        .into_iter()
        .find(|kind| kind.webhook_name() == event || kind.activity_name() == Some(event.as_str()));
    let kind = kind.ok_or_else(|| {
        let words = KINDS.map(|kind| kind.activity_name().unwrap_or_default());
        Problem::bad(format!(
            "event: unknown value {event:?}: use one of {}",
            words.join(", ")
        ))
    })?;
    let mail = find_mail(shared, id)?;
    let recipient = match (&recipient, mail.recipients().as_slice()) {
        (Value::Null, [only]) => (*only).to_owned(),
        (Value::Null, _) => {
            return Err(Problem::bad(
                "recipient: the field is required, because the mail has several recipients",
            ));
        }
        (given, _) => text("recipient", given)?,
    };
    let delivery = Delivery::new(Arc::clone(shared));
    let done = match (&link, kind) {
        (Value::Null, _) => delivery.happen(&mail, &recipient, kind),
        (link, EventKind::Click) => delivery.click(&mail, &recipient, &text("link", link)?),
        _ => {
            return Err(Problem::bad(
                "link: the field is allowed only with the event clicked",
            ));
        }
    };
    let event = done.map_err(|error| Problem(StatusCode::CONFLICT, error.to_string()))?;
    Ok(write_event(&event))
}

/// The events that can be made on demand. A request selects one by its name in webhooks or in
/// `/activity/search`. `bounce` selects the hard bounce, which is before the soft one in the list.
const KINDS: [EventKind; 9] = [
    EventKind::Delivered,
    EventKind::HardBounce,
    EventKind::SoftBounce,
    EventKind::Open,
    EventKind::Click,
    EventKind::Spam,
    EventKind::Unsubscribe,
    EventKind::Resubscribe,
    EventKind::Reject,
];

async fn add_outcome(State(shared): State<Arc<Shared>>, body: Bytes) -> Json {
    let add = || {
        let [recipient, outcome] = fields(&body, ["recipient", "outcome"], 0)?;
        let (recipient, word) = (text("recipient", &recipient)?, text("outcome", &outcome)?);
        let outcome = Outcome::named(&word).ok_or_else(|| {
            let words: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            Problem::bad(format!(
                "outcome: unknown value {word:?}: use one of {}",
                words.join(", ")
            ))
        })?;
        if recipient.len() > LONGEST {
            return Err(Problem::bad(format!(
                "recipient: the value is longer than {LONGEST} bytes"
            )));
        }
        if shared.world().delivery_rules.count() >= RULES {
            return Err(Problem(
                StatusCode::CONFLICT,
                format!("there are already {RULES} rules: DELETE /_sandbox/delivery removes them"),
            ));
        }
        Delivery::new(shared).on(&recipient, outcome);
        Ok(json!({ "recipient": recipient, "outcome": word }))
    };
    Json(add())
}

async fn clear_outcomes(State(shared): State<Arc<Shared>>) -> Json {
    Delivery::new(shared).clear();
    Json(Ok(json!({ "cleared": true })))
}

async fn sms(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Json {
    let page =
        AdminQuery::read(query.as_deref(), &["after", "offset", "limit"]).and_then(|query| {
            query.page(
                "sms",
                &shared,
                |world| &world.sms,
                |sms| {
                    json!({
                        "message_id": sms.message_id(),
                        "destination": sms.destination(),
                        "sender": sms.sender(),
                        "content": sms.content(),
                        "username": sms.username(),
                        "accepted_at": time(sms.accepted_at()),
                    })
                },
            )
        });
    Json(page)
}

async fn receive_sms(State(shared): State<Arc<Shared>>, body: Bytes) -> Json {
    let receive = || {
        let [from, to, content] = fields(&body, ["from", "to", "content"], 0)?;
        let (from, to) = (text("from", &from)?, text("to", &to)?);
        let content = text("content", &content)?;
        let mut world = shared.world();
        operations::sms::receive(&mut world, AccountId::MASTER, &from, &to, &content);
        Ok(json!({ "received": true }))
    };
    Json(receive())
}

async fn list_webhooks(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Json {
    let page =
        AdminQuery::read(query.as_deref(), &["after", "offset", "limit"]).and_then(|query| {
            query.page(
                "webhooks",
                &shared,
                |world| &world.outbox.deliveries,
                write_delivery,
            )
        });
    Json(page)
}

/// Writes a webhook delivery.
fn write_delivery(delivery: &WebhookDelivery) -> Value {
    let (state, next) = match delivery.state() {
        WebhookState::Queued => ("queued", None),
        WebhookState::Sending => ("sending", None),
        WebhookState::Waiting(next) => ("waiting", Some(time(next))),
        WebhookState::Accepted => ("accepted", None),
        WebhookState::GivenUp => ("given up", None),
    };
    let attempts = delivery.attempts().iter().map(|attempt| {
        json!({
            "time": time(attempt.time()),
            "took_seconds": attempt.took().as_secs_f64(),
            "status": attempt.status(),
            "error": attempt.error(),
        })
    });
    json!({
        "webhook_id": delivery.webhook_id(),
        "url": delivery.url(),
        "event": write_event(delivery.event()),
        "content_type": delivery.content_type(),
        "body": String::from_utf8_lossy(&delivery.body()),
        "state": state,
        "next_attempt": next,
        "attempts": attempts.collect::<Vec<_>>(),
    })
}

async fn post_again(State(shared): State<Arc<Shared>>, Path(number): Path<String>) -> Json {
    let place = number.parse().ok().and_then(|n: usize| n.checked_sub(1));
    let mut world = shared.world();
    let deliveries = &world.outbox.deliveries;
    let count = deliveries.total();
    Json(match place.filter(|place| *place < count) {
        Some(place) if deliveries.was_dropped(place) => Err(Problem::dropped(
            &format!("the webhook delivery {number}"),
            &world,
        )),
        None => Err(Problem::missing(format!(
            "unknown webhook delivery {number:?}: use a number from 1 to {count}"
        ))),
        Some(place) if webhooks::post_again(&mut world, place) => Ok(json!({ "posted": true })),
        Some(_) => Err(Problem(
            StatusCode::CONFLICT,
            "the delivery is already queued or being posted".to_owned(),
        )),
    })
}

async fn events(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Json {
    let page =
        AdminQuery::read(query.as_deref(), &["after", "offset", "limit"]).and_then(|query| {
            query.page(
                "events",
                &shared,
                |world| &world.events,
                |event| write_event(event),
            )
        });
    Json(page)
}

fn write_event(event: &Event) -> Value {
    let detail: serde_json::Map<String, Value> = event
        .detail
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone().into()))
        .collect();
    json!({
        "id": event.id(),
        "time": time(event.time()),
        "event": event.kind().webhook_name(),
        "activity": event.kind().activity_name(),
        "email_id": event.mail().map(Mail::email_id),
        "message_id": event.sms().map(Sms::message_id),
        "recipient": event.recipient(),
        "detail": detail,
    })
}

async fn calls(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Json {
    let page =
        AdminQuery::read(query.as_deref(), &["after", "offset", "limit"]).and_then(|query| {
            query.page(
                "calls",
                &shared,
                |world| &world.calls,
                |call| write_call(call),
            )
        });
    Json(page)
}

async fn call(State(shared): State<Arc<Shared>>, Path(number): Path<String>) -> Json {
    let place = number.parse().ok().and_then(|n: usize| n.checked_sub(1));
    let found = {
        let world = shared.world();
        let found = place.and_then(|place| Some((place, Arc::clone(world.calls.get(place)?))));
        found.ok_or_else(|| match place {
            Some(place) if world.calls.was_dropped(place) => {
                Problem::dropped(&format!("the call {number}"), &world)
            }
            _ => Problem::missing(format!(
                "unknown call {number:?}: use a number from 1 to {}",
                world.calls.total()
            )),
        })
    };
    let (place, call) = match found {
        Ok(found) => found,
        Err(problem) => return Json(Err(problem)),
    };
    let mut whole = write_call(&call);
    whole["number"] = (place + 1).into();
    whole["head"] = String::from_utf8_lossy(call.head()).into();
    whole["body"] = String::from_utf8_lossy(call.body()).into();
    whole["reply"] = String::from_utf8_lossy(call.reply()).into();
    Json(Ok(whole))
}

/// Writes a call without its head and its bodies.
fn write_call(call: &Call) -> Value {
    let key = call.key_place().map(|place| match place {
        KeyPlace::Header => "header",
        KeyPlace::Bearer => "bearer",
        KeyPlace::Body => "body",
    });
    json!({
        "time": time(call.time()),
        "method": call.method(),
        "path": call.path(),
        "operation": call.operation(),
        // `null` if a fault suppressed the reply.
        "status": Some(call.status()).filter(|status| *status != 0),
        "refused": call.refused(),
        "failures": call.failures(),
        "ignored": call.ignored(),
        "received": call.received(),
        "accepted": call.accepted(),
        "fault": call.fault(),
        "key_in": key,
        "user_agent": call.user_agent(),
        "content_type": call.content_type(),
        "body_bytes": call.body_bytes(),
    })
}

async fn faults(State(shared): State<Arc<Shared>>) -> Json {
    let all: Vec<Value> = Faults::new(shared).list().iter().map(write_fault).collect();
    Json(Ok(json!({ "total": all.len(), "faults": all })))
}

fn write_fault(active: &ActiveFault) -> Value {
    json!({
        "id": active.id(),
        "rule": active.fault().to_string(),
        "seen": active.seen(),
        "struck": active.struck(),
    })
}

async fn add_fault(State(shared): State<Arc<Shared>>, body: Bytes) -> Json {
    let added = fields(&body, ["rule"], 0)
        .and_then(|[rule]| text("rule", &rule))
        .and_then(|rule| {
            let fault: Result<Fault, _> = rule.parse();
            let fault = fault.map_err(|error| Problem::bad(format!("rule: {error}")))?;
            match fault.lockout() {
                None => Ok(fault),
                Some(reason) => Err(Problem::bad(format!("rule: {reason}"))),
            }
        })
        .and_then(|fault| match shared.rules.full() {
            None => Ok(fault),
            Some(reason) => Err(Problem(StatusCode::CONFLICT, reason)),
        });
    Json(added.map(|fault| {
        let rule = fault.to_string();
        json!({ "id": shared.rules.add(fault), "rule": rule, "seen": 0, "struck": 0 })
    }))
}

async fn clear_faults(State(shared): State<Arc<Shared>>) -> Json {
    let faults = Faults::new(shared);
    let removed = faults.list().len();
    faults.clear();
    Json(Ok(json!({ "removed": removed })))
}

async fn remove_fault(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Json {
    let faults = Faults::new(shared);
    Json(if id.parse().is_ok_and(|id| faults.remove(id)) {
        Ok(json!({ "removed": 1 }))
    } else {
        Err(Problem::missing(format!("unknown fault {id:?}")))
    })
}

async fn clock(State(shared): State<Arc<Shared>>) -> Json {
    Json(Ok(write_clock(&shared)))
}

async fn freeze(State(shared): State<Arc<Shared>>) -> Json {
    shared.world().freeze();
    Json(Ok(write_clock(&shared)))
}

async fn resume(State(shared): State<Arc<Shared>>) -> Json {
    shared.world().resume();
    Json(Ok(write_clock(&shared)))
}

async fn advance(State(shared): State<Arc<Shared>>, body: Bytes) -> Json {
    let by = fields(&body, ["seconds"], 0).and_then(|[by]| seconds("seconds", &by));
    let advanced = by.and_then(|by| {
        let advanced = shared.world().try_advance(by);
        match advanced {
            true => Ok(write_clock(&shared)),
            false => Err(Problem::bad(format!("seconds: {TOO_LATE}"))),
        }
    });
    Json(advanced)
}

fn write_clock(shared: &Shared) -> Value {
    let world = shared.world();
    json!({ "now": time(world.now()), "frozen": world.clock.is_frozen() })
}

async fn activity(State(shared): State<Arc<Shared>>) -> Json {
    Json(Ok(write_activity(&shared)))
}

async fn set_activity(State(shared): State<Arc<Shared>>, body: Bytes) -> Json {
    let lag = fields(&body, ["lag"], 0).and_then(|[lag]| seconds("lag", &lag));
    Json(lag.map(|lag| {
        shared.world().activity_lag = lag;
        write_activity(&shared)
    }))
}

fn write_activity(shared: &Shared) -> Value {
    json!({ "lag": shared.world().activity_lag.as_secs_f64() })
}

async fn reset(State(shared): State<Arc<Shared>>) -> Json {
    shared.world().reset();
    Json(Ok(json!({ "reset": true })))
}

/// Returns the values of the fields `names` of a JSON body, whose content type is not checked. The last
/// `optional` fields may be missing. Unknown fields are refused.
fn fields<const N: usize>(
    body: &Bytes,
    names: [&str; N],
    optional: usize,
) -> Result<[Value; N], Problem> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|error| Problem::bad(format!("the body is not valid JSON: {error}")))?;
    let Value::Object(mut members) = body else {
        return Err(Problem::bad("the body is not a JSON object"));
    };
    let found = names.map(|name| members.remove(name).unwrap_or_default());
    if let Some(name) = members.keys().next() {
        let names = names.join(", ");
        return Err(Problem::bad(format!("unknown field {name:?}: use {names}")));
    }
    let wanted = N.saturating_sub(optional);
    match found.iter().take(wanted).position(Value::is_null) {
        Some(missing) => Err(Problem::bad(format!(
            "{}: the field is required",
            names.get(missing).copied().unwrap_or_default()
        ))),
        None => Ok(found),
    }
}

fn seconds(name: &str, value: &Value) -> Result<Duration, Problem> {
    match value.as_f64().map(Duration::try_from_secs_f64) {
        Some(Ok(seconds)) => Ok(seconds),
        _ => Err(Problem::bad(format!(
            "{name}: the value must be a number of seconds, 0 or more"
        ))),
    }
}

fn text(name: &str, value: &Value) -> Result<String, Problem> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| Problem::bad(format!("{name}: the value must be a string")))
}

fn time(time: SystemTime) -> String {
    Timestamp::from(time).to_string()
}
