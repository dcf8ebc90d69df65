//! The list of registered webhooks, and the page of a webhook.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;

use super::index::cut;
use super::items::{self, Item, ItemRow, Kind, Rows, account_name, joined};
use super::page::{self, Section};
use super::request::{Fields, query};
use super::view::{HookView, Time, pretty, without_password};
use super::webhooks::whom;
use crate::operations::webhook::Webhook;
use crate::world::{Shared, World};

const KIND: Kind = Kind {
    section: Section::Webhooks,
    name: "Webhooks",
    one: "webhook",
    path: "/_inbox/registered",
    searched: "URL or event",
    hint: "Webhooks that your application adds with /webhook/add appear here.",
};

/// Maximum number of deliveries on the page of a webhook.
const DELIVERIES: usize = 50;

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let rows = rows_of(&shared.world(), &fields);
    items::respond(&shared, &KIND, &fields, rows, None)
}

pub(super) async fn webhook(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<u64>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let (rows, item) = {
        let world = shared.world();
        (rows_of(&world, &fields), item_of(&world, id))
    };
    match item {
        Some(item) => items::respond(&shared, &KIND, &fields, rows, Some(item)),
        None => page::missing(&shared, KIND.section, KIND.one, false),
    }
}

/// The names of a webhook's events.
fn events(webhook: &Webhook) -> String {
    let sms = webhook
        .sms_events
        .iter()
        .map(|event| format!("sms {event}"));
    let all: Vec<_> = webhook.events.iter().cloned().chain(sms).collect();
    all.join(", ")
}

fn rows_of(world: &World, fields: &Fields) -> Rows {
    let all = items::accounts(world).flat_map(|(id, account)| {
        let webhooks = account.webhook.webhooks.iter();
        webhooks.map(move |webhook| (account_name(id, account), webhook))
    });
    let search = fields.get("q");
    Rows::take(
        fields,
        all,
        |(account, webhook)| {
            [&without_password(&webhook.url), &events(webhook), account]
                .map(String::as_str)
                .join("\n")
        },
        |(account, webhook)| ItemRow {
            key: webhook.id.to_string(),
            href: format!("{}/{}{}", KIND.path, webhook.id, query("q", search)),
            title: cut(&without_password(&webhook.url)),
            subject: cut(&events(webhook)),
            note: joined(&[&webhook.output_format, &account]),
            badge: if webhook.disabled { "disabled" } else { "" }.to_owned(),
            tone: "warn",
            time: None,
        },
    )
}

fn item_of(world: &World, id: u64) -> Option<Item> {
    let mut all = items::accounts(world).flat_map(|(account_id, account)| {
        let webhooks = account.webhook.webhooks.iter();
        webhooks.map(move |webhook| (account_name(account_id, account), webhook))
    });
    let (account, webhook) = all.find(|(_, webhook)| webhook.id == id)?;
    let url = without_password(&webhook.url);
    let custom = webhook.custom_headers.as_ref();
    let facts = [
        ("Webhook id", id.to_string()),
        ("Account", account),
        ("Events", events(webhook)),
        ("Headers in events", webhook.headers.join(", ")),
        ("Usernames", webhook.usernames.join(", ")),
        ("Format", webhook.output_format.clone()),
        // The value is a secret.
        ("Authorization", webhook.auth_header_type.clone()),
        (
            "State",
            if webhook.disabled {
                "disabled: nothing is posted"
            } else {
                ""
            }
            .to_owned(),
        ),
    ];
    let deliveries = world.outbox.deliveries.numbered().rev();
    let deliveries = deliveries.filter(|(_, delivery)| delivery.webhook_id() == id);
    let deliveries = deliveries.take(DELIVERIES).map(|(number, delivery)| {
        let time = Time::new(delivery.event().time());
        (HookView::new(number, delivery), whom(delivery), time)
    });
    Some(Item {
        key: id.to_string(),
        facts: facts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .collect(),
        links: vec![(
            "Search its deliveries",
            format!("/_inbox/webhooks{}", query("q", &url)),
        )],
        texts: custom
            .map(|headers| {
                (
                    "Custom headers (not sent)",
                    page::shorten(&pretty(headers)).0.to_owned(),
                )
            })
            .into_iter()
            .collect(),
        title: url,
        deliveries: Some(deliveries.collect()),
        ..Item::default()
    })
}
