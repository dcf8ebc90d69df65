//! The list of text messages, and the page of a text message.

use std::collections::HashMap;
use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::page::{self, Section, Shell, newest, show};
use super::request::Fields;
use super::view::{self, EventView, Time};
use crate::world::Shared;

#[derive(Template)]
#[template(path = "sms.html")]
struct SmsPage {
    shell: Shell,
    rows: Vec<SmsRow>,
    later: bool,
    more: Option<usize>,
    message: Option<SmsView>,
}

struct SmsRow {
    id: String,
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
    let world = shared.world();
    let before = fields.number("before");
    let (places, more) = newest(&world.sms, before, |_| true);
    let rows = places.iter().filter_map(|place| world.sms.get(*place));
    let events = world.events.iter();
    let last: HashMap<_, _> = events
        .filter_map(|event| Some((event.sms()?.message_id(), event.kind())))
        .collect();
    let rows = rows.map(|sms| {
        let kind = last.get(sms.message_id()).copied();
        SmsRow {
            id: sms.message_id().to_owned(),
            to: sms.destination().to_owned(),
            from: sms.sender().to_owned(),
            text: sms.content().to_owned(),
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
        })
    });
    SmsPage {
        shell: Shell::new(shared, &world, Section::Sms),
        rows,
        later: before.is_some(),
        more,
        message,
    }
}
