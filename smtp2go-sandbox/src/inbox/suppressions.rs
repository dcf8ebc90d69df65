//! The list of suppressions, and the page of a suppression.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::response::Response;

use super::index::cut;
use super::items::{self, Item, ItemRow, Kind, Rows, account_name, joined};
use super::page::{self, Section, shorten};
use super::request::{Fields, query};
use super::view::Time;
use crate::account::AccountId;
use crate::operations::suppression::Suppression;
use crate::world::{Shared, World};

const KIND: Kind = Kind {
    section: Section::Suppressions,
    name: "Suppressions",
    one: "suppression",
    path: "/_inbox/suppressions",
    searched: "Address or reason",
    hint: "Addresses appear here after a hard bounce, a spam complaint or an unsubscribe, or when your \
           application adds them with /suppression/add.",
};

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let rows = rows_of(&shared.world(), &fields);
    items::respond(&shared, &KIND, &fields, rows, None)
}

pub(super) async fn suppression(
    State(shared): State<Arc<Shared>>,
    Path((account, number)): Path<(usize, u64)>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let (rows, item) = {
        let world = shared.world();
        (rows_of(&world, &fields), item_of(&world, account, number))
    };
    match item {
        Some(item) => items::respond(&shared, &KIND, &fields, rows, Some(item)),
        None => page::missing(&shared, KIND.section, KIND.one, false),
    }
}

fn tone(reason: &str) -> &'static str {
    match reason {
        "bounce" | "spam" => "bad",
        "unsubscribe" => "warn",
        _ => "calm",
    }
}

/// Lists each account's suppressions, the newest first.
fn rows_of(world: &World, fields: &Fields) -> Rows {
    let all = items::accounts(world).flat_map(|(id, account)| {
        let entries = account.suppression.entries.numbered().rev();
        entries.map(move |(number, entry)| (id, account, *number, entry))
    });
    let search = fields.get("q");
    Rows::take(
        fields,
        all,
        |(_, _, _, entry)| {
            [
                &entry.email_address,
                &entry.reason,
                &entry.complaint,
                &entry.block_description,
            ]
            .map(String::as_str)
            .join("\n")
        },
        |(id, account, number, entry)| ItemRow {
            key: format!("{}-{number}", id.0),
            href: format!("{}/{}/{number}{}", KIND.path, id.0, query("q", search)),
            title: cut(&entry.email_address),
            subject: cut(entry.subject.as_deref().unwrap_or_default()),
            note: joined(&[
                &cut(&entry.complaint),
                &cut(&entry.block_description),
                &account_name(id, account),
            ]),
            badge: entry.reason.clone(),
            tone: tone(&entry.reason),
            time: Some(Time::new(entry.time)),
        },
    )
}

fn item_of(world: &World, account: usize, number: u64) -> Option<Item> {
    let found = items::find_account(world, account)?;
    let entry: &Suppression = found.suppression.entries.get(&number)?;
    let short = |text: &str| shorten(text).0.to_owned();
    let facts = [
        ("Reason", entry.reason.clone()),
        ("Account", account_name(AccountId(account), found)),
        ("Added", Time::new(entry.time).text),
        ("Server's reply", short(&entry.complaint)),
        ("Description", short(&entry.block_description)),
        ("Subject", entry.subject.clone().unwrap_or_default()),
    ];
    let address = short(&entry.email_address);
    Some(Item {
        key: format!("{account}-{number}"),
        facts: facts
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .collect(),
        links: vec![(
            "Search mail to it",
            format!("/{}", query("q", &cut(&entry.email_address))),
        )],
        title: address,
        ..Item::default()
    })
}
