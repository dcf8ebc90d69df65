//! Suppressed addresses and domains, to which no mail is delivered.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::fields::{check_few, covers, descending, domain_of, flag, text, texts};
use super::history::time;
use super::{Context, Reply};
use crate::account::{Account, AccountId};
use crate::clock;
use crate::data::Kept;
use crate::paging::{numbered, page};
use crate::refusal::Refusal;
use crate::weight::{Weight, weigh};
use crate::world::World;

/// Number of entries per page, which the API does not let the caller choose.
const PAGE: usize = 100;

/// Maximum number of characters that are kept of a mail's subject or a server's reply.
const EXCERPT: usize = 1_000;

/// The suppressions of an account, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct Suppressions {
    /// The entries, ordered by number.
    pub(crate) entries: Kept<u64, Suppression>,
    /// Numbers of the entries for an address or a domain, by [`key`].
    places: HashMap<String, Vec<u64>>,
}

/// A suppressed address or domain, and the reason.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Suppression {
    pub(crate) email_address: String,
    /// The API's value: manual, spam, unsubscribe, bounce or compliance.
    pub(crate) reason: String,
    pub(crate) complaint: String,
    pub(crate) block_description: String,
    pub(crate) subject: Option<String>,
    pub(crate) time: SystemTime,
}

/// Returns the key to look up an address or a domain: lower case, without a leading `@`.
fn key(entry: &str) -> String {
    entry.to_lowercase().trim_start_matches('@').to_owned()
}

/// Returns the suppression of an address or its domain, if there is one.
pub(crate) fn suppressed<'a>(account: &'a Account, address: &str) -> Option<&'a Suppression> {
    let state = &account.suppression;
    let keys = [key(address), domain_of(address)];
    let places = keys
        .iter()
        .filter_map(|key| state.places.get(key))
        .flatten();
    let entries = places.filter_map(|place| Some((place, state.entries.get(place)?)));
    let entries = entries.filter(|(_, entry)| covers(&entry.email_address, address));
    entries
        .min_by_key(|(place, _)| **place)
        .map(|(_, entry)| entry)
}

/// Suppresses an address because of an event of a mail. `reason` is the API's value and `complaint`
/// the server's message. Returns false if the address is already suppressed for this reason. If the
/// memory limit is reached, removes the account's oldest suppressions.
pub(crate) fn suppress(
    world: &mut World,
    account: AccountId,
    address: &str,
    reason: &str,
    complaint: &str,
    subject: Option<&str>,
) -> bool {
    let excerpt = |text: &str| text.chars().take(EXCERPT).collect::<String>();
    let entry = Suppression {
        email_address: address.to_owned(),
        reason: reason.to_owned(),
        complaint: excerpt(complaint),
        block_description: String::new(),
        subject: subject.map(excerpt),
        time: world.now(),
    };
    let weight = size_of::<Suppression>() + entry.weight();
    while world.is_state_full(weight) {
        if !world.account_mut(account).suppression.remove_oldest() {
            return false;
        }
    }
    let new = world.account_mut(account).suppression.add(entry);
    if new {
        world.add_state(weight);
    }
    new
}

weigh!(Suppressions { entries, places });
weigh!(Suppression {
    email_address,
    reason,
    complaint,
    block_description,
    subject,
    time
});

impl Suppressions {
    fn add(&mut self, entry: Suppression) -> bool {
        let new = self.place(&entry.email_address, &entry.reason).is_none();
        if new {
            let address = entry.email_address.clone();
            let place = self.entries.push(entry);
            self.note_place(&address, place);
        }
        new
    }

    fn note_place(&mut self, address: &str, place: u64) {
        self.places.entry(key(address)).or_default().push(place);
    }

    /// Adds every entry to the look-up index.
    #[cfg(feature = "data")]
    pub(crate) fn note_places(&mut self) {
        let places = self.entries.numbered();
        let places = places.map(|(place, entry)| (*place, entry.email_address.clone()));
        for (place, address) in places.collect::<Vec<_>>() {
            self.note_place(&address, place);
        }
    }

    fn place(&self, address: &str, reason: &str) -> Option<u64> {
        let places = self.places.get(&key(address))?;
        let address = address.to_lowercase();
        let is_it = |place: &&u64| {
            self.entries.get(place).is_some_and(|entry| {
                entry.email_address.to_lowercase() == address && entry.reason == reason
            })
        };
        places.iter().find(is_it).copied()
    }

    /// Removes the oldest entry. Returns whether there was one.
    fn remove_oldest(&mut self) -> bool {
        let Some((place, entry)) = self.entries.pop_first() else {
            return false;
        };
        self.forget_place(&entry.email_address, place);
        true
    }

    fn forget_place(&mut self, address: &str, place: u64) {
        let key = key(address);
        if let Some(places) = self.places.get_mut(&key) {
            places.retain(|other| *other != place);
            if places.is_empty() {
                self.places.remove(&key);
            }
        }
    }

    /// Removes the suppression for a reason, if there is one.
    pub(crate) fn lift(&mut self, address: &str, reason: &str) -> bool {
        let Some(place) = self.place(address, reason) else {
            return false;
        };
        self.forget_place(address, place);
        self.entries.remove(&place).is_some()
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let address = text(request, "email_address");
    match operation {
        "suppression_add" => {
            let address = address.unwrap_or_default();
            let description = text(request, "block_description").unwrap_or_default();
            let entry = Suppression {
                email_address: address.to_owned(),
                reason: "manual".to_owned(),
                complaint: String::new(),
                block_description: description.to_owned(),
                subject: None,
                time: context.now(),
            };
            let added = context.account().suppression.add(entry);
            Ok(Reply::Data(json!({
                "email_address": address,
                "block_description": description,
                "added": added,
            })))
        }
        "suppression_remove" => {
            let address = address.unwrap_or_default();
            let state = &mut context.account().suppression;
            let rows = texts(request, "reasons").into_iter().map(|reason| {
                let removed = state.lift(address, reason);
                json!({ "reason": reason, "email_address": address, "removed": removed })
            });
            let rows: Value = rows.collect();
            Ok(Reply::Data(json!({ "suppressions": rows })))
        }
        "suppression_view" => view(context, request),
        _ => Ok(Reply::Example),
    }
}

fn view(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let filter = SuppressionFilter::new(request, context.now())?;
    let entries = context.account().suppression.entries.iter();
    let mut entries: Vec<_> = entries.filter(|entry| filter.takes(entry)).collect();
    if descending(request, "sort")? {
        entries.reverse();
    }
    let total = entries.len();
    let token = text(request, "continue_token");
    let page = page(numbered(entries), PAGE, "continue_token", token)?;
    let results: Value = page.items.into_iter().map(Suppression::show).collect();
    Ok(Reply::Data(json!({
        "results": results,
        "continue_token": page.token,
        "total_results": total,
    })))
}

struct SuppressionFilter<'a> {
    start: SystemTime,
    end: SystemTime,
    address: Option<&'a str>,
    recipients: Terms,
    reasons: Terms,
    types: HashSet<&'a str>,
    wildcard: String,
}

/// A text filter, in lower case: a text must equal or contain one of the terms.
enum Terms {
    Whole(HashSet<String>),
    Parts(Vec<String>),
}

impl Terms {
    fn take(&self, texts: &[&str]) -> bool {
        let mut texts = texts.iter().map(|text| text.to_lowercase());
        match self {
            Self::Whole(wanted) => wanted.is_empty() || texts.any(|text| wanted.contains(&text)),
            Self::Parts(wanted) => {
                wanted.is_empty() || texts.any(|text| wanted.iter().any(|part| text.contains(part)))
            }
        }
    }
}

impl<'a> SuppressionFilter<'a> {
    fn new(request: &'a Value, now: SystemTime) -> Result<Self, Refusal> {
        let one_or_more = |one: &str, more: &str| {
            let all = texts(request, more).into_iter();
            all.chain(text(request, one))
        };
        let fuzzy = flag(request, "fuzzy").unwrap_or(false);
        let terms = |one: &str, more: &str| {
            let all = one_or_more(one, more).map(str::to_lowercase);
            if !fuzzy {
                return Ok(Terms::Whole(all.collect()));
            }
            let all: Vec<_> = all.collect();
            check_few(all.len(), more)?;
            Ok::<_, Refusal>(Terms::Parts(all))
        };
        Ok(Self {
            start: time(request, "start_date")?.unwrap_or_else(|| clock::day_start(now, 30)),
            // The default end is the start of today.
            end: time(request, "end_date")?.unwrap_or_else(|| clock::day_start(now, 0)),
            address: text(request, "email_address"),
            recipients: terms("recipient", "recipients")?,
            reasons: terms("reason", "reasons")?,
            types: one_or_more("suppression_type", "suppression_types").collect(),
            wildcard: text(request, "wildcard").unwrap_or_default().to_lowercase(),
        })
    }

    fn takes(&self, entry: &Suppression) -> bool {
        let address = entry.email_address.as_str();
        entry.time >= self.start
            && entry.time < self.end
            && self.address.is_none_or(|wanted| covers(address, wanted))
            && self.recipients.take(&[address])
            && self
                .reasons
                .take(&[&entry.reason, &entry.complaint, &entry.block_description])
            && (self.types.is_empty() || self.types.contains(entry.reason.as_str()))
            && address.to_lowercase().contains(&self.wildcard)
    }
}

impl Suppression {
    fn show(&self) -> Value {
        json!({
            "email_address": self.email_address,
            "reason": self.reason,
            "complaint": self.complaint,
            "block_description": self.block_description,
            "timestamp": clock::spaced(self.time),
            "subject": self.subject,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    #[test]
    fn address_is_suppressed_by_an_entry_for_it_or_for_its_domain() {
        let shared = shared(|_| {});
        for entry in ["Kim@example.net", "example.org"] {
            call(
                &shared,
                "suppression_add",
                &json!({ "email_address": entry }),
            )
            .unwrap();
        }
        let mut world = shared.world();
        let bounced = |world: &mut World, subject| {
            let complaint = "550 5.1.1 unknown";
            suppress(
                world,
                AccountId::MASTER,
                "lou@example.net",
                "bounce",
                complaint,
                subject,
            )
        };
        assert!(bounced(&mut world, Some("Hi")));
        assert!(!bounced(&mut world, None));
        let account = world.account(AccountId::MASTER);
        for (address, reason) in [
            ("kim@example.net", Some("manual")),
            ("a@EXAMPLE.org", Some("manual")),
            ("a@mail.example.org", None),
            ("lou@example.net", Some("bounce")),
            ("mia@example.net", None),
        ] {
            let found = suppressed(account, address).map(|entry| entry.reason.as_str());
            assert_eq!(found, reason, "{address}");
        }
        drop(world);
        let request = json!({ "reasons": ["unknown"], "fuzzy": true, "end_date": "2999-01-01" });
        let Ok(Reply::Data(data)) = call(&shared, "suppression_view", &request) else {
            panic!("no data");
        };
        assert_eq!(data["total_results"], 1);
        assert_eq!(data["results"][0]["subject"], "Hi");
    }

    #[test]
    fn search_without_dates_lists_30_days_in_pages_of_100() {
        let shared = shared(|_| {});
        shared.world().freeze();
        let add = |address: String| {
            call(
                &shared,
                "suppression_add",
                &json!({ "email_address": address }),
            )
            .unwrap();
        };
        add("old@example.net".to_owned());
        shared.world().advance(Duration::from_secs(31 * 86_400));
        for number in 0..250 {
            add(format!("{number}@example.net"));
        }
        shared.world().advance(Duration::from_secs(86_400));
        let mut token = Value::Null;
        let mut seen = Vec::new();
        loop {
            let mut request = json!({ "sort": "desc" });
            if !token.is_null() {
                request["continue_token"] = token;
            }
            let Ok(Reply::Data(mut data)) = call(&shared, "suppression_view", &request) else {
                panic!("no data");
            };
            assert_eq!(data["total_results"], 250);
            let results = data["results"].as_array().unwrap().iter();
            seen.extend(results.map(|row| row["email_address"].as_str().unwrap().to_owned()));
            token = data["continue_token"].take();
            if token.is_null() {
                break;
            }
        }
        let expected: Vec<_> = (0..250).rev().map(|n| format!("{n}@example.net")).collect();
        assert_eq!(seen, expected);
        let request = json!({ "start_date": "2000-01-01" });
        let Ok(Reply::Data(data)) = call(&shared, "suppression_view", &request) else {
            panic!("no data");
        };
        assert_eq!(data["total_results"], 251);
    }
}
