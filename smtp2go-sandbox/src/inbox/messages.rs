//! The list of text messages, and the page of a text message.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::index;
use super::page::{self, Section, Shell, newest, show};
use super::request::{Fields, query};
use super::view::{self, EventView, Time};
use crate::sms::Sms;
use crate::world::Shared;

#[derive(Template)]
#[template(path = "sms.html")]
struct SmsPage {
    shell: Shell,
    rows: Vec<SmsRow>,
    search: String,
    /// Number of messages sent.
    all: usize,
    later: bool,
    more: Option<String>,
    message: Option<SmsView>,
}

struct SmsRow {
    id: String,
    href: String,
    to: String,
    from: String,
    text: String,
    time: Time,
    status: &'static str,
    tone: &'static str,
    current: bool,
}

struct SmsView {
    id: String,
    to: String,
    from: String,
    text: String,
    time: Time,
    events: Vec<EventView>,
    back: String,
}

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    show(StatusCode::OK, &page_of(&shared, &fields, None))
}

pub(super) async fn message(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let page = page_of(&shared, &fields, Some(&id));
    if page.message.is_none() {
        let dropped = shared.world().was_sms_dropped(&id);
        return page::missing(&shared, Section::Sms, "text message", dropped);
    }
    show(StatusCode::OK, &page)
}

fn page_of(shared: &Shared, fields: &Fields, current: Option<&str>) -> SmsPage {
    let before = fields.number("before");
    let search = fields.get("q");
    let suffix = query("q", search);
    let words = index::words(search);
    // A search may take long, so it does not lock the world.
    let all = shared.world().sms.clone();
    let fits = |place: usize| {
        words.is_empty()
            || all.get(place).is_some_and(|sms| {
                let text = searched(sms);
                words.iter().all(|word| text.contains(word.as_str()))
            })
    };
    let (places, more) = newest(&all, before, fits);
    let rows = places.iter().filter_map(|place| all.get(*place));
    let world = shared.world();
    let events = world.events.iter();
    let last: HashMap<_, _> = events
        .filter_map(|event| Some((event.sms()?.message_id(), event.kind())))
        .collect();
    let rows = rows.map(|sms| {
        let kind = last.get(sms.message_id()).copied();
        SmsRow {
            id: sms.message_id().to_owned(),
            href: format!("/_inbox/sms/{}{suffix}", sms.message_id()),
            to: sms.destination().to_owned(),
            from: sms.sender().to_owned(),
            text: index::cut(sms.content()),
            time: Time::new(sms.accepted_at()),
            status: kind.map_or("accepted", view::name),
            tone: kind.map_or("calm", view::tone),
            current: current == Some(sms.message_id()),
        }
    });
    let rows = rows.collect();
    let message = current.and_then(|id| {
        let mut all = world.sms.iter();
        let sms = all.find(|sms| sms.message_id() == id)?;
        Some(SmsView {
            id: id.to_owned(),
            to: sms.destination().to_owned(),
            from: sms.sender().to_owned(),
            text: sms.content().to_owned(),
            time: Time::new(sms.accepted_at()),
            events: view::timeline(&world, |event| {
                event.sms().is_some_and(|other| other.message_id() == id)
            }),
            back: format!("/_inbox/sms{suffix}"),
        })
    });
    SmsPage {
        shell: Shell::new(shared, &world, Section::Sms),
        rows,
        search: search.to_owned(),
        all: all.total(),
        later: before.is_some(),
        more: more.map(|place| page::older("/_inbox/sms", search, place)),
        message,
    }
}

/// Returns the searched text in lower case.
fn searched(sms: &Sms) -> String {
    let parts = [sms.destination(), sms.sender(), sms.content()];
    parts.join("\n").to_lowercase()
}
