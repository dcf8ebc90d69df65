//! The frame of all pages, and the error pages.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::request::after;
use super::view::size;
use crate::account::Account;
use crate::keep::Log;
use crate::mail::Mail;
use crate::sandbox::DEFAULT_KEY;
use crate::world::{Shared, World};

/// Number of rows on the first page of a list.
pub(super) const ROWS: usize = 100;

/// Number of rows on further pages. Larger pages make a long list faster to scroll.
const OLDER: usize = 500;

/// Maximum size of a text on a page, in bytes. The whole mail can be saved.
const SHOWN: usize = 256 * 1024;

/// The list that a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Section {
    Mail,
    Sms,
    Calls,
    Deliveries,
    Webhooks,
    Templates,
    Suppressions,
    Faults,
    None,
}

/// The data of every page's frame.
pub(super) struct Shell {
    pub(super) tabs: Vec<Tab>,
    /// The base URL for an application.
    pub(super) base_url: String,
    pub(super) key: &'static str,
    /// The token that forms and links to remote content must send.
    pub(super) token: String,
    /// Note about older items of the section that were dropped. Empty if none were.
    pub(super) dropped: String,
}

/// A link to a section.
pub(super) struct Tab {
    pub(super) name: &'static str,
    pub(super) href: &'static str,
    pub(super) count: usize,
    pub(super) current: bool,
}

impl Shell {
    pub(super) fn new(shared: &Shared, world: &World, section: Section) -> Self {
        let faults = shared.rules.count();
        let tab = |of: Section, name, href, count| Tab {
            name,
            href,
            count,
            current: of == section,
        };
        let sum = |count: fn(&Account) -> usize| world.accounts().map(count).sum();
        let own_key = shared
            .settings
            .keys
            .first()
            .is_some_and(|key| key.secret != DEFAULT_KEY);
        Self {
            tabs: vec![
                tab(Section::Mail, "Mail", "/", world.mails.undeleted()),
                tab(Section::Sms, "SMS", "/_inbox/sms", world.sms.total()),
                tab(
                    Section::Calls,
                    "Calls",
                    "/_inbox/calls",
                    world.calls.undeleted(),
                ),
                tab(
                    Section::Deliveries,
                    "Deliveries",
                    "/_inbox/webhooks",
                    world.outbox.deliveries.undeleted(),
                ),
                tab(
                    Section::Webhooks,
                    "Webhooks",
                    "/_inbox/registered",
                    sum(|account| account.webhook.webhooks.len()),
                ),
                tab(
                    Section::Templates,
                    "Templates",
                    "/_inbox/templates",
                    sum(|account| account.template.templates.len()),
                ),
                tab(
                    Section::Suppressions,
                    "Suppressions",
                    "/_inbox/suppressions",
                    sum(|account| account.suppression.entries.len()),
                ),
                tab(Section::Faults, "Faults", "/_inbox/faults", faults),
            ],
            base_url: shared.base_url().to_owned(),
            // The user's own key is not shown.
            key: if own_key { "your key" } else { DEFAULT_KEY },
            token: shared.page_token().to_owned(),
            dropped: dropped(world, section),
        }
    }
}

/// Returns a note about a section's dropped items. Empty if none were dropped.
fn dropped(world: &World, section: Section) -> String {
    let dropped = world.dropped();
    let (count, one, many) = match section {
        Section::Mail => (dropped.mails, "mail", "mails"),
        Section::Sms => (dropped.sms, "text message", "text messages"),
        Section::Calls => (dropped.calls, "call", "calls"),
        Section::Deliveries => (dropped.webhook_deliveries, "delivery", "deliveries"),
        Section::Webhooks
        | Section::Templates
        | Section::Suppressions
        | Section::Faults
        | Section::None => (0, "", ""),
    };
    let budget = world.ledger.budget();
    let limits = format!("{} mails and {}", budget.mails, size(budget.bytes));
    match count {
        0 => String::new(),
        1 => format!("1 older {one} was dropped: the sandbox keeps only {limits}."),
        count => format!("{count} older {many} were dropped: the sandbox keeps only {limits}."),
    }
}

/// A page with a short message.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct MessagePage {
    pub(super) shell: Shell,
    pub(super) title: &'static str,
    pub(super) text: String,
    pub(super) back: &'static str,
    pub(super) back_name: &'static str,
}

/// Renders a page to a response.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => {
            let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
            (status, kind, html).into_response()
        }
        Err(error) => {
            let text = format!("cannot render the page: {error}");
            (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
        }
    }
}

/// Redirects to a page after a change.
pub(super) fn see(address: &str) -> Response {
    (
        StatusCode::SEE_OTHER,
        [(header::LOCATION, address.to_owned())],
    )
        .into_response()
}

/// Responds that an item does not exist, or that it was `dropped` or deleted.
pub(super) fn missing(shared: &Shared, section: Section, what: &str, dropped: bool) -> Response {
    let shell = Shell::new(shared, &shared.world(), section);
    let found = shell.tabs.iter().find(|tab| tab.current);
    let (back_name, back) = found.map_or(("Mail", "/"), |tab| (tab.name, tab.href));
    let (status, title, text) = match dropped {
        true => (
            StatusCode::GONE,
            "No longer there",
            format!(
                "This {what} was dropped to make room for newer ones, or deleted. {}",
                shell.dropped
            ),
        ),
        false => (
            StatusCode::NOT_FOUND,
            "Not found",
            format!(
                "This {what} does not exist. It may have been deleted, or the sandbox reset or \
                 restarted."
            ),
        ),
    };
    let page = MessagePage {
        title,
        text,
        back,
        back_name,
        shell,
    };
    show(status, &page)
}

pub(super) async fn unknown(State(shared): State<Arc<Shared>>) -> Response {
    missing(&shared, Section::None, "page", false)
}

pub(super) async fn wrong_method(State(shared): State<Arc<Shared>>) -> Response {
    let page = MessagePage {
        shell: Shell::new(&shared, &shared.world(), Section::None),
        title: "Method not allowed",
        text: "This address does not allow the request's method.".to_owned(),
        back: "/",
        back_name: "Mail",
    };
    show(StatusCode::METHOD_NOT_ALLOWED, &page)
}

/// Responds to a form without this sandbox's token.
pub(super) fn stale(shared: &Shared) -> Response {
    let page = MessagePage {
        shell: Shell::new(shared, &shared.world(), Section::None),
        title: "Not done",
        text:
            "The form does not have the token of this sandbox's pages. The sandbox may have been \
               restarted: reload the page and submit the form again."
                .to_owned(),
        back: "/",
        back_name: "Mail",
    };
    show(StatusCode::FORBIDDEN, &page)
}

pub(super) fn find_mail(shared: &Shared, id: &str) -> Option<Mail> {
    let world = shared.world();
    let found = world.mails.iter().find(|mail| mail.email_id() == id);
    found.cloned()
}

/// Responds that a mail does not exist or was dropped.
pub(super) fn missing_mail(shared: &Shared, id: &str) -> Response {
    let dropped = shared.world().was_dropped(id);
    missing(shared, Section::Mail, "mail", dropped)
}

/// Cuts a text to the size that a page shows. Returns whether it was cut.
pub(super) fn shorten(text: &str) -> (&str, bool) {
    if text.len() <= SHOWN {
        return (text, false);
    }
    let end = text
        .char_indices()
        .map(|(place, _)| place)
        .take_while(|place| *place <= SHOWN)
        .last()
        .unwrap_or_default();
    (text.get(..end).unwrap_or_default(), true)
}

/// Number of rows on a page of a list.
pub(super) fn rows(before: Option<usize>) -> usize {
    if before.is_some() { OLDER } else { ROWS }
}

/// Returns the address of the next page of a list.
pub(super) fn older(list: &str, search: &str, place: usize) -> String {
    more_at(list, search, "before", place)
}

/// Returns the address of a list with a search and a position.
pub(super) fn more_at(list: &str, search: &str, name: &str, number: usize) -> String {
    let mut query = after(format!("{list}?"));
    if !search.is_empty() {
        query.append_pair("q", search);
    }
    query.append_pair(name, &number.to_string()).finish()
}

/// Returns the places of the newest items before `before` for which `fits` returns true, newest
/// first: up to [`ROWS`], or [`OLDER`] if `before` is given. Also returns the `before` of the next
/// page, if there is one.
pub(super) fn newest<T>(
    log: &Log<T>,
    before: Option<usize>,
    fits: impl Fn(usize) -> bool,
) -> (Vec<usize>, Option<usize>) {
    let rows = rows(before);
    let places = log.places(before).rev().filter(|place| fits(*place));
    let mut places: Vec<usize> = places.take(rows + 1).collect();
    if places.len() > rows {
        places.truncate(rows);
        let more = places.last().copied();
        return (places, more);
    }
    (places, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_is_paged_from_the_newest_item_to_the_oldest() {
        let log = |count: usize| {
            let mut log = Log::default();
            for item in 0..count {
                log.push(item);
            }
            log
        };
        let three = log(3);
        assert_eq!(newest(&three, None, |_| true), (vec![2, 1, 0], None));
        assert_eq!(newest(&three, None, |place| place != 1), (vec![2, 0], None));
        let mut all = log(1_000);
        let (first, more) = newest(&all, None, |_| true);
        assert_eq!((first.len(), first[0], more), (ROWS, 999, Some(900)));
        let (second, more) = newest(&all, more, |_| true);
        assert_eq!((second.len(), second[0], more), (OLDER, 899, Some(400)));
        let (last, end) = newest(&all, more, |_| true);
        assert_eq!((last.len(), last[0], end), (400, 399, None));
        // Drops items between two pages.
        for place in 0..390 {
            all.remove(place);
        }
        let (last, end) = newest(&all, more, |_| true);
        assert_eq!((last.len(), last[0], end), (10, 399, None));
        assert_eq!(newest(&log(ROWS), None, |_| true).1, None);
        assert_eq!(newest(&log(2), Some(9), |_| true).0, [1, 0]);
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shorten("é"), ("é", false));
        let long = format!("a{}", "é".repeat(SHOWN));
        let (shown, cut) = shorten(&long);
        assert!(cut && shown.len() <= SHOWN && shown.ends_with('é'));
    }
}
