//! `/activity/…`: searches the event log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Map, Value, json};

use super::fields::{check_few, few, flag, integer, set, text};
use super::history::time;
use super::{Context, Reply};
use crate::account::AccountId;
use crate::clock;
use crate::delivery::OUTBOUND_IP;
use crate::event::{Event, EventKind};
use crate::mail::{Mail, list};
use crate::paging::page;
use crate::refusal::Refusal;
use crate::world::World;

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "activity_search" => search(context, request),
        _ => Ok(Reply::Example),
    }
}

fn search(context: &Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let world = &*context.world;
    let accounts = accounts(context, request)?;
    let filter = ActivityFilter::new(request, context.now())?;
    // Cached by mail, because a mail may be long and have hundreds of events.
    let mut mails = HashMap::new();
    let mut found: Vec<_> = indexed(world)
        .filter(|(_, event)| accounts.contains(&event.account))
        .filter_map(|(number, event)| Some(((number, 0), (event, event.mail()?))))
        .filter(|(_, (event, mail))| {
            let id = mail.email_id();
            filter.takes(event, mail, || {
                *mails.entry(id).or_insert_with(|| filter.mail(mail))
            })
        })
        .collect();
    if filter.only_latest || filter.by_sent {
        let mut last = HashMap::new();
        for (place, (_, (_, mail))) in found.iter().enumerate() {
            last.insert(mail.email_id(), place);
        }
        let mut place = 0..;
        found.retain(|(_, (_, mail))| last.get(mail.email_id()) == place.next().as_ref());
    }
    if filter.by_sent {
        for ((number, event), (_, mail)) in &mut found {
            let accepted = usize::try_from(mail.number()).unwrap_or(usize::MAX);
            (*number, *event) = (accepted, *number);
        }
        found.sort_by_key(|(place, _)| *place);
    }
    let total = found.len();
    let limit = integer(request, "limit").and_then(|limit| usize::try_from(limit).ok());
    let token = text(request, "continue_token");
    let mut page = page(found, limit.unwrap_or(100), "continue_token", token)?;
    let shown = Shown {
        headers: flag(request, "include_headers").unwrap_or(false),
        custom_headers: few(request, "custom_headers")?,
        attempts: attempts(world, page.items.iter().map(|(_, mail)| mail.email_id())),
    };
    let events = page.rows(|(event, mail)| shown.show(world, event, mail));
    let mut data = json!({ "total_events": total, "events": events });
    if let Some(token) = page.token {
        data["continue_token"] = token.into();
    }
    Ok(Reply::Data(data))
}

/// Returns the events older than the activity lag, in the order of their times. Because of the order, a
/// new event never appears before one that a search has already found.
fn indexed(world: &World) -> impl Iterator<Item = (usize, &Arc<Event>)> {
    let (now, lag) = (world.now(), world.activity_lag);
    let events = world.events.numbered();
    events.filter(move |(_, event)| clock::after(event.time(), lag) <= now)
}

/// Returns the accounts to search: the subaccounts that the request names, or the key's account and,
/// for the master account, all subaccounts.
fn accounts(context: &Context<'_>, request: &Value) -> Result<HashSet<AccountId>, Refusal> {
    let (world, own) = (&*context.world, context.account);
    if request.get("subaccounts").is_none() {
        let mut accounts = HashSet::from([own]);
        if own.is_master() {
            accounts.extend(world.subaccounts().map(|(id, _)| id));
        }
        return Ok(accounts);
    }
    if !own.is_master() {
        return Err(Refusal::exception(
            "Only keys of the master account may use subaccounts.",
        ));
    }
    let ids = set(request, "subaccounts").into_iter();
    Ok(ids.filter_map(|id| world.find_account(id)).collect())
}

struct ActivityFilter<'a> {
    start: SystemTime,
    end: Option<SystemTime>,
    /// The words to search for. These and the next three fields are in lower case.
    search: Option<Vec<String>>,
    subject: Option<String>,
    sender: Option<String>,
    recipient: Option<String>,
    email_id: Option<&'a str>,
    usernames: HashSet<&'a str>,
    kinds: Option<HashSet<&'a str>>,
    only_latest: bool,
    by_sent: bool,
}

/// The part of a filter's result that depends only on the mail, not on the event.
#[derive(Clone, Copy)]
struct OfMail {
    /// The mail matches the filters by id, username, subject and sender.
    fits: bool,
    /// The mail also matches the search.
    found: bool,
}

impl<'a> ActivityFilter<'a> {
    fn new(request: &'a Value, now: SystemTime) -> Result<Self, Refusal> {
        let kinds = !list(request, "event_types").is_empty();
        let folded = |field: &str| text(request, field).map(str::to_lowercase);
        let search: Option<Vec<_>> = folded("search").map(|search| {
            search
                .split('|')
                .map(|part| part.trim().to_owned())
                .collect()
        });
        check_few(search.as_ref().map_or(0, Vec::len), "search")?;
        Ok(Self {
            start: time(request, "start_date")?.unwrap_or_else(|| clock::day_start(now, 0)),
            end: time(request, "end_date")?,
            search,
            email_id: text(request, "search_email_id"),
            subject: folded("search_subject"),
            sender: folded("search_sender"),
            recipient: folded("search_recipient"),
            usernames: set(request, "search_usernames"),
            kinds: kinds.then(|| set(request, "event_types")),
            only_latest: flag(request, "only_latest").unwrap_or(false),
            by_sent: flag(request, "only_latest_by_sent").unwrap_or(false),
        })
    }

    fn mail(&self, mail: &Mail) -> OfMail {
        let has = |part: &Option<String>, text: &str| {
            part.as_ref()
                .is_none_or(|part| text.to_lowercase().contains(part))
        };
        let subject = mail.subject().unwrap_or_default();
        let fits = self.email_id.is_none_or(|id| id == mail.email_id())
            && (self.usernames.is_empty() || self.usernames.contains(mail.username()))
            && has(&self.subject, subject)
            && has(&self.sender, mail.sender());
        let found = || {
            let all = [&[mail.email_id(), subject][..], &mail.to(), &mail.bcc()].concat();
            self.finds(&all)
        };
        OfMail {
            fits,
            found: fits && found(),
        }
    }

    /// Whether one of the texts contains a search term.
    fn finds(&self, texts: &[&str]) -> bool {
        self.search.as_ref().is_none_or(|parts| {
            let mut texts = texts.iter().map(|text| text.to_lowercase());
            texts.any(|text| parts.iter().any(|part| text.contains(part)))
        })
    }

    fn takes(&self, event: &Event, mail: &Mail, of_mail: impl FnOnce() -> OfMail) -> bool {
        let Some(kind) = event.kind().activity_name() else {
            return false;
        };
        let early = event.time() >= self.start
            && self.end.is_none_or(|end| event.time() < end)
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind));
        if !early {
            return false;
        }
        let of_mail = of_mail();
        let recipients = || match event.recipient() {
            Some(recipient) => vec![recipient],
            None => mail.recipients(),
        };
        of_mail.fits
            && self.recipient.as_ref().is_none_or(|part| {
                let mut recipients = recipients().into_iter();
                recipients.any(|recipient| recipient.to_lowercase().contains(part))
            })
            && (of_mail.found || self.finds(&recipients()))
    }
}

/// Returns the delivery attempts of the mails with these ids.
fn attempts<'a>(
    world: &World,
    wanted: impl Iterator<Item = &'a str>,
) -> HashMap<&'a str, Vec<Value>> {
    let mut attempts: HashMap<_, Vec<Value>> = wanted.map(|id| (id, Vec::new())).collect();
    for (_, event) in indexed(world) {
        let attempt = matches!(
            event.kind(),
            EventKind::Delivered | EventKind::HardBounce | EventKind::SoftBounce
        );
        let Some(mail) = event.mail().filter(|_| attempt) else {
            continue;
        };
        if let Some(attempts) = attempts.get_mut(mail.email_id()) {
            attempts.push(json!({
                "smtptime": clock::rfc3339(event.time()),
                "host": address(event),
                "smtpresponse": event.detail("message").unwrap_or_default(),
            }));
        }
    }
    attempts
}

/// Returns the address from the event's `host`, which has the form `name [address]`.
fn address(event: &Event) -> &str {
    let host = event.detail("host").unwrap_or_default();
    let address = host
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    address.map_or(host, |(address, _)| address)
}

/// The optional parts of an event in the reply.
struct Shown<'a> {
    headers: bool,
    custom_headers: Vec<&'a str>,
    attempts: HashMap<&'a str, Vec<Value>>,
}

impl Shown<'_> {
    /// Writes an event. Most fields are left out if they are empty.
    fn show(&self, world: &World, event: &Event, mail: &Mail) -> Value {
        let mut shown = Map::new();
        let mut put = |name: &str, value: Value| {
            let empty = match &value {
                Value::String(text) => text.is_empty(),
                Value::Array(items) => items.is_empty(),
                Value::Object(members) => members.is_empty(),
                other => other.is_null(),
            };
            if !empty {
                shown.insert(name.to_owned(), value);
            }
        };
        put("event", event.kind().activity_name().into());
        put("date", clock::rfc3339(event.time()).into());
        put("email_id", mail.email_id().into());
        let account = world.account(event.account);
        put("subaccount_name", account.subaccount.name.as_str().into());
        put("username", mail.username().into());
        put("subject", mail.subject().into());
        put("from", mail.sender_address().into());
        put("sender", mail.envelope_sender().into());
        put("sender_full", mail.sender().into());
        put("reply_to", mail.header("Reply-To").into());
        put("to", mail.to().join(", ").into());
        put("cc", mail.cc().join(", ").into());
        put("bcc", mail.bcc().join(", ").into());
        put("recipient", event.recipient().into());
        put("recipients", mail.recipients().into());
        put("byte_size", mail.size().into());
        if self.headers {
            put("headers", mail.header_block().into());
        }
        let custom = self.custom_headers.iter();
        let custom =
            custom.filter_map(|name| Some(((*name).to_owned(), mail.header(name)?.into())));
        put("custom_headers", Value::Object(custom.collect()));
        let message = event.detail("message").unwrap_or_default();
        match event.kind() {
            EventKind::Processed => {
                put("originating_host", event.detail("srchost").into());
                let attempts = self.attempts.get(mail.email_id());
                put(
                    "delivery_attempts",
                    attempts.cloned().unwrap_or_default().into(),
                );
            }
            EventKind::Delivered => {
                put("host", address(event).into());
                put("outbound_ip", OUTBOUND_IP.into());
                put("smtp_response", message.into());
            }
            EventKind::HardBounce | EventKind::SoftBounce => {
                put("host", address(event).into());
                put("outbound_ip", OUTBOUND_IP.into());
                put("smtp_response", message.into());
                put("reason", message.into());
                put("error", message.into());
            }
            EventKind::Reject => put("reason", message.into()),
            EventKind::Open | EventKind::Click => {
                put("host", event.detail("srchost").into());
                put(
                    "email_client",
                    json!({
                        "name": event.detail("client"),
                        "os": event.detail("client-os"),
                        "device": event.detail("client-device"),
                    }),
                );
                let mut metadata = json!({ "country": event.detail("geoip-country") });
                if let Some(link) = event.detail("url") {
                    metadata["link"] = link.into();
                }
                put("metadata", metadata);
            }
            _ => {}
        }
        Value::Object(shown)
    }
}
