//! Lists of the accounts' state: templates, suppressions and webhooks.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use super::index;
use super::page::{self, Section, Shell, show};
use super::request::{Fields, query};
use super::view::{HookView, Time};
use crate::account::{Account, AccountId};
use crate::world::{Shared, World};

/// The section, path and texts of a list.
pub(super) struct Kind {
    pub(super) section: Section,
    /// Heading of the list.
    pub(super) name: &'static str,
    /// One item, such as `template`.
    pub(super) one: &'static str,
    pub(super) path: &'static str,
    /// The fields that the search covers, such as `URL or event`.
    pub(super) searched: &'static str,
    /// Says how items get into the list. Shown while it is empty.
    pub(super) hint: &'static str,
}

#[derive(Template)]
#[template(path = "items.html")]
struct ItemPage {
    shell: Shell,
    kind: &'static Kind,
    rows: Vec<ItemRow>,
    /// Key of the open item. Empty if none is open.
    current: String,
    search: String,
    /// Number of items, before the search.
    all: usize,
    later: bool,
    more: Option<String>,
    back: String,
    item: Option<Item>,
}

/// A row of a list.
pub(super) struct ItemRow {
    /// Identifies the item in the list, without spaces.
    pub(super) key: String,
    pub(super) href: String,
    pub(super) title: String,
    pub(super) subject: String,
    pub(super) note: String,
    pub(super) badge: String,
    pub(super) tone: &'static str,
    pub(super) time: Option<Time>,
}

/// An item as its page shows it.
#[derive(Default)]
pub(super) struct Item {
    pub(super) key: String,
    pub(super) title: String,
    pub(super) facts: Vec<(&'static str, String)>,
    pub(super) links: Vec<(&'static str, String)>,
    pub(super) error: String,
    /// Address of a sandboxed frame. Empty for none.
    pub(super) frame: String,
    pub(super) texts: Vec<(&'static str, String)>,
    /// The newest deliveries of a webhook. `None` for other items.
    pub(super) deliveries: Option<Vec<(HookView, String, Time)>>,
}

/// Shows a list, and an item if there is one.
pub(super) fn respond(
    shared: &Shared,
    kind: &'static Kind,
    fields: &Fields,
    rows: Rows,
    item: Option<Item>,
) -> Response {
    let search = fields.get("q");
    let suffix = query("q", search);
    let page = ItemPage {
        shell: Shell::new(shared, &shared.world(), kind.section),
        kind,
        more: rows
            .more
            .map(|skip| page::more_at(kind.path, search, "skip", skip)),
        later: rows.skip > 0,
        rows: rows.rows,
        current: item.as_ref().map_or(String::new(), |item| item.key.clone()),
        search: search.to_owned(),
        all: rows.all,
        back: format!("{}{suffix}", kind.path),
        item,
    };
    show(StatusCode::OK, &page)
}

/// The rows of one page of a list.
pub(super) struct Rows {
    rows: Vec<ItemRow>,
    skip: usize,
    more: Option<usize>,
    all: usize,
}

impl Rows {
    /// Takes the rows of the requested page, from the items whose `text` has all words of the search.
    pub(super) fn take<T>(
        fields: &Fields,
        items: impl Iterator<Item = T>,
        text: impl Fn(&T) -> String,
        row: impl Fn(T) -> ItemRow,
    ) -> Self {
        let words = index::words(fields.get("q"));
        let skip = fields.number("skip").unwrap_or(0);
        let most = page::rows(Some(skip).filter(|skip| *skip > 0));
        let mut rows = Self {
            rows: Vec::new(),
            skip,
            more: None,
            all: 0,
        };
        let mut found = 0;
        for item in items {
            rows.all += 1;
            if !words.is_empty() {
                let text = text(&item).to_lowercase();
                if !words.iter().all(|word| text.contains(word.as_str())) {
                    continue;
                }
            }
            found += 1;
            if found > skip && rows.rows.len() < most {
                rows.rows.push(row(item));
            } else if found > skip {
                rows.more = Some(skip + most);
            }
        }
        rows
    }
}

/// Iterates over the accounts with their ids.
pub(super) fn accounts(world: &World) -> impl Iterator<Item = (AccountId, &Account)> {
    let accounts = world.accounts().enumerate();
    accounts.map(|(place, account)| (AccountId(place), account))
}

/// Returns the account with this index, which is part of a page's path.
pub(super) fn find_account(world: &World, place: usize) -> Option<&Account> {
    world.accounts().nth(place)
}

/// The name of an account in a list. Empty for the master account.
pub(super) fn account_name(id: AccountId, account: &Account) -> String {
    match id.is_master() {
        true => String::new(),
        false => format!("subaccount {}", account.id),
    }
}

/// Joins the parts that are not empty.
pub(super) fn joined(parts: &[&str]) -> String {
    let parts = parts.iter().filter(|part| !part.is_empty());
    parts.copied().collect::<Vec<_>>().join(" · ")
}
