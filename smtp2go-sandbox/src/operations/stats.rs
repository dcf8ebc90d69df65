//! Statistics, computed from the event log at each call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::fields::{domain_of, set, text, word};
use super::history::{has_day, mails, time};
use super::{Context, Reply, domain};
use crate::account::AccountId;
use crate::clock;
use crate::event::EventKind;
use crate::keep::Counts;
use crate::mail::Mail;
use crate::refusal::Refusal;
use crate::world::World;

/// Number of days that statistics cover if the request has no start date.
const DAYS: u64 = 30;

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let count = |context: &Context<'_>| {
        let start = clock::day_start(context.now(), DAYS);
        let username = text(request, "username");
        count(context.world, context.account, start, None, username)
    };
    let data = match operation {
        "stats_email_bounces" => count(context).bounces(),
        "stats_email_spam" => count(context).spam(),
        "stats_email_unsubs" => count(context).unsubscribes(),
        "stats_email_cycle" => cycle(context),
        "stats_email_summary" => {
            let counts = count(context);
            let mut data = cycle(context);
            let more = json!({
                "email_count": counts.mails,
                "rejects": counts.of(EventKind::Reject),
                "bounce_rejects": counts.of(EventKind::Reject),
                "spam_rejects": counts.of(EventKind::Reject),
                "softbounces": counts.of(EventKind::SoftBounce),
                "hardbounces": counts.of(EventKind::HardBounce),
                "bounce_percent": counts.percent_text(counts.all_bounces()),
                "spam_emails": counts.of(EventKind::Spam),
                "spam_percent": counts.percent_text(counts.of(EventKind::Spam)),
                "unsubscribes": counts.of(EventKind::Unsubscribe),
                "unsubscribe_percent": counts.percent_text(counts.of(EventKind::Unsubscribe)),
                "opens": counts.of(EventKind::Open),
                "clicks": counts.of(EventKind::Click),
            });
            if let (Value::Object(data), Value::Object(more)) = (&mut data, more) {
                data.extend(more);
            }
            data
        }
        "stats_email_history" => history(context, request)?,
        _ => return Ok(Reply::Example),
    };
    Ok(Reply::Data(data))
}

impl Counts {
    fn of(&self, kind: EventKind) -> usize {
        let name = kind.activity_name().unwrap_or_default();
        self.events.get(name).copied().unwrap_or_default()
    }

    fn all_bounces(&self) -> usize {
        self.of(EventKind::HardBounce) + self.of(EventKind::SoftBounce)
    }

    /// Percentage of the mails, with two decimals.
    // Counts of items in memory are exact as floats.
    #[allow(clippy::cast_precision_loss)]
    fn percent(&self, part: usize) -> f64 {
        match self.mails {
            0 => 0.0,
            all => (part as f64 / all as f64 * 10_000.0).round() / 100.0,
        }
    }

    fn percent_text(&self, part: usize) -> String {
        format!("{:.2}", self.percent(part))
    }

    fn bounces(&self) -> Value {
        json!({
            "emails": self.mails,
            "rejects": self.of(EventKind::Reject),
            "softbounces": self.of(EventKind::SoftBounce),
            "hardbounces": self.of(EventKind::HardBounce),
            "bounce_percent": self.percent_text(self.all_bounces()),
        })
    }

    fn spam(&self) -> Value {
        json!({
            "emails": self.mails,
            "rejects": self.of(EventKind::Reject),
            "spams": self.of(EventKind::Spam),
            "spam_percent": self.percent_text(self.of(EventKind::Spam)),
        })
    }

    fn unsubscribes(&self) -> Value {
        json!({
            "emails": self.mails,
            "rejects": self.of(EventKind::Reject),
            "unsubscribes": self.of(EventKind::Unsubscribe),
            "unsubscribe_percent": self.percent_text(self.of(EventKind::Unsubscribe)),
        })
    }

    #[allow(clippy::cast_precision_loss)]
    fn row(&self) -> Value {
        let bounces = self.all_bounces();
        let (opens, rejects) = (self.of(EventKind::Open), self.of(EventKind::Reject));
        let (spam, gone) = (self.of(EventKind::Spam), self.of(EventKind::Unsubscribe));
        json!({
            "lastip": "127.0.0.1",
            "used": self.mails,
            "bytecount": self.bytes,
            "avgsize": self.bytes as f64 / self.mails.max(1) as f64,
            "bounces": bounces,
            "clicks": self.of(EventKind::Click),
            "opens": opens,
            "rejects": rejects,
            "spam": spam,
            "unsubscribes": gone,
            "bounce_percent": self.percent(bounces),
            "open_percent": self.percent(opens),
            "reject_percent": self.percent(rejects),
            "spam_percent": self.percent(spam),
            "unsubscribe_percent": self.percent(gone),
        })
    }
}

/// Counts an account's mails and events in a time range, optionally of one username. Dropped mails and
/// events are included by day.
fn count(
    world: &World,
    account: AccountId,
    start: SystemTime,
    end: Option<SystemTime>,
    username: Option<&str>,
) -> Counts {
    let takes = |mail: &Mail| username.is_none_or(|username| mail.username() == username);
    let within = |time| time >= start && end.is_none_or(|end| time < end);
    let mut counts = Counts::default();
    for (mail, time, _) in mails(world, account) {
        if within(time) && takes(&mail) {
            counts.mails += 1;
            counts.bytes += mail.size();
        }
    }
    for event in world.events.iter().filter(|event| event.account == account) {
        let wanted = within(event.time()) && event.mail().is_some_and(takes);
        if let Some(name) = event.kind().activity_name().filter(|_| wanted) {
            *counts.events.entry(name).or_default() += 1;
        }
    }
    for (day, of, _, dropped) in world.figures.iter(account) {
        if has_day(start, end, day) && username.is_none_or(|username| of == username) {
            counts.add(dropped);
        }
    }
    counts
}

/// The billing cycle, which is the month in UTC, and its usage.
fn cycle(context: &Context<'_>) -> Value {
    let world = &*context.world;
    let today = clock::rfc3339(context.now());
    let number =
        |range: std::ops::Range<usize>| today.get(range).and_then(|text| text.parse::<u32>().ok());
    let (year, month) = (number(0..4).unwrap_or(1970), number(5..7).unwrap_or(1));
    let (next_year, next) = match month {
        12 => (year + 1, 1),
        _ => (year, month + 1),
    };
    let start = format!("{year:04}-{month:02}-01 00:00:00+00:00");
    let begin = clock::parse(&start).unwrap_or(std::time::UNIX_EPOCH);
    let used = count(world, context.account, begin, None, None).mails;
    let limit = world.account(context.account).subaccount.limit;
    let limit = usize::try_from(limit).unwrap_or_default();
    json!({
        "cycle_start": start,
        "cycle_end": format!("{next_year:04}-{next:02}-01 00:00:00+00:00"),
        "cycle_max": limit,
        "cycle_used": used,
        "cycle_remaining": limit.saturating_sub(used),
    })
}

fn history(context: &Context<'_>, request: &Value) -> Result<Value, Refusal> {
    let world = &*context.world;
    let groupings = ["email_address", "username", "domain", "subaccount"];
    let group_by = word(request, "group_by", &groupings)?.unwrap_or("email_address");
    let start = time(request, "start_date")?;
    let start = start.unwrap_or_else(|| clock::day_start(context.now(), DAYS));
    let end = time(request, "end_date")?;
    let accounts = match request.get("subaccounts") {
        None => {
            let mut accounts = vec![context.account];
            if context.account.is_master() {
                accounts.extend(world.subaccounts().map(|(id, _)| id));
            }
            accounts
        }
        Some(_) if !context.account.is_master() => {
            return Err(Refusal::exception(
                "Only keys of the master account may use subaccounts.",
            ));
        }
        Some(_) => {
            let ids = set(request, "subaccounts").into_iter();
            ids.filter_map(|id| world.find_account(id)).collect()
        }
    };
    let key = |account: AccountId, username: &str, sender: &str| match group_by {
        "username" => username.to_owned(),
        "domain" => domain_of(sender),
        "subaccount" => world.account(account).id.clone(),
        _ => sender.to_lowercase(),
    };
    let key_of = |account, mail: &Mail| key(account, mail.username(), mail.sender_address());
    // A mail counts at the time when it was processed, an event at its own time.
    let within = |time| time >= start && end.is_none_or(|end| time < end);
    let mut groups: BTreeMap<String, Counts> = BTreeMap::new();
    let mut total = Counts::default();
    let mut verified = BTreeMap::new();
    for account in accounts {
        for (mail, time, _) in mails(world, account) {
            if within(time) {
                let key = key_of(account, &mail);
                let lets_send = domain::lets_send(world, account, mail.sender_address());
                *verified.entry(key.clone()).or_insert(false) |= lets_send;
                for counts in [&mut total, groups.entry(key).or_default()] {
                    counts.mails += 1;
                    counts.bytes += mail.size();
                }
            }
        }
        for event in world.events.iter().filter(|event| event.account == account) {
            let (Some(mail), Some(name)) = (event.mail(), event.kind().activity_name()) else {
                continue;
            };
            if within(event.time()) {
                let group = groups.entry(key_of(account, mail)).or_default();
                for counts in [&mut total, group] {
                    *counts.events.entry(name).or_default() += 1;
                }
            }
        }
        for (day, username, sender, dropped) in world.figures.iter(account) {
            if has_day(start, end, day) && (dropped.mails > 0 || !dropped.events.is_empty()) {
                let key = key(account, username, sender);
                let lets_send = domain::lets_send(world, account, sender);
                *verified.entry(key.clone()).or_insert(false) |= lets_send;
                for counts in [&mut total, groups.entry(key).or_default()] {
                    counts.add(dropped);
                }
            }
        }
    }
    let rows = groups.iter().map(|(name, counts)| {
        let mut row = match counts.row() {
            Value::Object(row) => row,
            _ => Map::new(),
        };
        row.insert(group_by.to_owned(), name.as_str().into());
        if group_by == "domain" {
            let verified = verified.get(name).copied().unwrap_or(false);
            row.insert("domain_verified".to_owned(), verified.into());
        }
        Value::Object(row)
    });
    let rows: Value = rows.collect();
    let rejects = total.of(EventKind::Reject);
    Ok(json!({
        "count": groups.len(),
        "bounce_percent_total": total.percent(total.all_bounces()),
        "open_percent_total": total.percent(total.of(EventKind::Open)),
        "reject_percent_total": total.percent(rejects),
        "spam_percent_total": total.percent(total.of(EventKind::Spam)),
        "unsubscribe_percent_total": total.percent(total.of(EventKind::Unsubscribe)),
        "history": rows,
    }))
}
