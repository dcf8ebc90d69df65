//! Stores what the sandbox received, and drops the oldest data to stay within the memory budget.
//!
//! Mails, text messages, events, calls and webhook deliveries are in [`Log`]s, which never use an
//! item's number twice. The [`Ledger`] counts the bytes, and knows what belongs to which message. A
//! message is dropped together with its events, its webhook deliveries and its pending jobs. The
//! call that made it is dropped with the last of the call's messages.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::ops::Index;

use crate::account::AccountId;
use crate::call::Call;
use crate::data::{Kept, Literal, interned_keys};
use crate::due::JobKey;
use crate::event::Event;
use crate::mail::Mail;
use crate::sms::Sms;
use crate::weight::{self, Weight};

/// Default memory budget in bytes. Has room for more than 100,000 mails of 2 KB.
pub(crate) const DEFAULT_BYTES: usize = 1024 * 1024 * 1024;

/// Default number of mails that are kept.
pub(crate) const DEFAULT_MAILS: usize = 200_000;

/// Maximum number of events of one mail.
pub(crate) const EVENTS_OF_ONE: usize = 10_000;

/// Maximum size of the events of one mail, in bytes.
pub(crate) const EVENT_BYTES_OF_ONE: usize = 16 * 1024 * 1024;

/// Memory of a message besides its content, in bytes: its entries in logs and indexes.
const OVERHEAD: usize = 512;

/// Memory of a pending job in bytes.
const JOB: usize = 256;

/// Maximum number of stored mails, and the memory budget in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LogLimits {
    pub(crate) mails: usize,
    pub(crate) bytes: usize,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            mails: DEFAULT_MAILS,
            bytes: DEFAULT_BYTES,
        }
    }
}

impl LogLimits {
    /// Budget in bytes for calls that made no message.
    fn calls(self) -> usize {
        self.bytes / 8
    }

    /// Budget in bytes for messages and what belongs to them.
    fn messages(self) -> usize {
        self.bytes - self.calls()
    }

    /// Budget in bytes for scheduled mail that is not yet due; part of the budget for messages.
    pub(crate) fn scheduled(self) -> usize {
        self.messages() / 2
    }
}

/// Numbers of items that a sandbox has dropped, since it started or was reset, to stay within its
/// limits ([`SandboxBuilder::keep_mails`](crate::SandboxBuilder::keep_mails),
/// [`keep_bytes`](crate::SandboxBuilder::keep_bytes)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Number of dropped mails.
    pub mails: usize,
    /// Number of dropped text messages that were sent. Received ones don't count.
    pub sms: usize,
    /// Number of dropped events.
    pub events: usize,
    /// Number of dropped calls.
    pub calls: usize,
    /// Number of dropped [`WebhookDelivery`](crate::WebhookDelivery)s.
    pub webhook_deliveries: usize,
}

impl Dropped {
    pub(crate) fn total(self) -> usize {
        self.mails + self.sms + self.events + self.calls + self.webhook_deliveries
    }
}

/// Writes `N mails, N text messages, …`, without the kinds whose number is 0.
impl fmt::Display for Dropped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.mails, "mail", "mails"),
            (self.sms, "text message", "text messages"),
            (self.events, "event", "events"),
            (self.calls, "call", "calls"),
            (
                self.webhook_deliveries,
                "webhook delivery",
                "webhook deliveries",
            ),
        ];
        let mut separator = "";
        for (count, one, many) in parts.into_iter().filter(|(count, ..)| *count > 0) {
            let name = if count == 1 { one } else { many };
            write!(formatter, "{separator}{count} {name}")?;
            separator = ", ";
        }
        Ok(())
    }
}

/// A list of items, numbered from 0. Items keep their numbers when others are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Log<T> {
    items: BTreeMap<usize, T>,
    total: usize,
    /// Number of items that the user deleted, which are not counted as dropped.
    deleted: usize,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            total: 0,
            deleted: 0,
        }
    }
}

impl<T> Log<T> {
    /// Appends an item, and returns its number.
    pub(crate) fn push(&mut self, item: T) -> usize {
        let place = self.total;
        self.total += 1;
        self.items.insert(place, item);
        place
    }

    pub(crate) fn get(&self, place: usize) -> Option<&T> {
        self.items.get(&place)
    }

    pub(crate) fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        self.items.get_mut(&place)
    }

    pub(crate) fn remove(&mut self, place: usize) -> Option<T> {
        self.items.remove(&place)
    }

    /// Iterates over the items that are kept.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.values()
    }

    /// Iterates over the items that are kept, with their numbers.
    pub(crate) fn numbered(&self) -> impl DoubleEndedIterator<Item = (usize, &T)> {
        self.items.iter().map(|(place, item)| (*place, item))
    }

    /// Iterates over the items from a number on.
    pub(crate) fn since(&self, place: usize) -> impl Iterator<Item = (usize, &T)> {
        let items = self.items.range(place..);
        items.map(|(place, item)| (*place, item))
    }

    /// Restores an item from a data file.
    #[cfg(feature = "data")]
    pub(crate) fn restore(&mut self, place: usize, item: T) {
        self.items.insert(place, item);
        self.set_total(place + 1);
    }

    /// Sets the total number of items so far, including dropped ones.
    #[cfg(feature = "data")]
    pub(crate) fn set_total(&mut self, total: usize) {
        self.total = self.total.max(total);
    }

    /// Iterates over the numbers of items before `end`, or of all items.
    pub(crate) fn places(&self, end: Option<usize>) -> impl DoubleEndedIterator<Item = usize> {
        let items = self.items.range(..end.unwrap_or(usize::MAX));
        items.map(|(place, _)| *place)
    }

    /// Number of items that are kept.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Number of items ever added.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Number of items ever added that the user has not deleted.
    pub(crate) fn undeleted(&self) -> usize {
        self.total - self.deleted
    }

    #[cfg(feature = "data")]
    pub(crate) fn deleted(&self) -> usize {
        self.deleted
    }

    /// Records that the user deleted items, which are removed.
    pub(crate) fn note_deleted(&mut self, count: usize) {
        self.deleted = (self.deleted + count).min(self.total - self.items.len());
    }

    pub(crate) fn dropped(&self) -> usize {
        (self.total - self.items.len()).saturating_sub(self.deleted)
    }

    /// Whether the item with this number was dropped. Also true for a deleted one if others were
    /// dropped, because the numbers of deleted items are not kept.
    pub(crate) fn was_dropped(&self, place: usize) -> bool {
        self.dropped() > 0 && place < self.total && !self.items.contains_key(&place)
    }
}

impl<T: Clone> Log<T> {
    pub(crate) fn to_vec(&self) -> Vec<T> {
        self.items.values().cloned().collect()
    }
}

impl<T> Index<usize> for Log<T> {
    type Output = T;

    fn index(&self, place: usize) -> &T {
        &self.items[&place]
    }
}

/// A message and its number in its log.
#[derive(Clone, Debug)]
pub(crate) enum KeptMessage {
    /// The number is `None` for a mail whose recipients were all refused. Such a mail has events but is
    /// not in the log.
    Mail(Mail, Option<usize>),
    Sms(Sms, usize),
    /// A text message that an account received.
    Received(usize),
}

/// A message and what belongs to it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) message: KeptMessage,
    /// Key in `ages`. `None` for a scheduled mail that is not yet due, which is not dropped.
    age: Option<u64>,
    /// Memory of the message, its events and its deliveries.
    bytes: usize,
    /// Memory of its events, included in `bytes`.
    event_bytes: usize,
    pub(crate) events: Vec<usize>,
    pub(crate) deliveries: Vec<usize>,
    pub(crate) jobs: Vec<JobKey>,
    pub(crate) call: Option<usize>,
    body: Option<usize>,
}

impl Group {
    fn is_mail(&self) -> bool {
        matches!(self.message, KeptMessage::Mail(_, Some(_)))
    }
}

/// A request's body, which several messages and a call may share.
#[derive(Debug)]
struct Held {
    bytes: usize,
    holders: usize,
}

/// Counts the memory of stored messages and calls, and groups items that are dropped together.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    budget: LogLimits,
    /// Number of the last message. Not set back by a reset, so that a mail from before the reset is
    /// not confused with one from after it.
    next: u64,
    groups: HashMap<u64, Box<Group>>,
    /// Messages that may be dropped, the oldest first.
    ages: BTreeMap<u64, u64>,
    next_age: u64,
    /// Memory of all messages with what belongs to them, their bodies and their calls.
    bytes: usize,
    /// Memory of scheduled mails that are not yet due, included in `bytes`.
    scheduled: usize,
    /// Number of mails that may be dropped.
    mails: usize,
    /// Shared bodies by the address of their first byte.
    bodies: HashMap<usize, Held>,
    /// Calls that made messages: the memory and the body of each, and the number of its messages still
    /// kept.
    calls: HashMap<usize, (usize, Option<usize>, usize)>,
    /// Calls that made no message, in order, with their memory.
    loose: VecDeque<(usize, usize)>,
    loose_bytes: usize,
}

impl Ledger {
    pub(crate) fn new(budget: LogLimits, next: u64) -> Self {
        Self {
            budget,
            next,
            ..Self::default()
        }
    }

    pub(crate) fn budget(&self) -> LogLimits {
        self.budget
    }

    /// Assigns the number of a new message.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The number that the next message will get.
    pub(crate) fn next(&self) -> u64 {
        self.next + 1
    }

    /// Total memory of stored messages and calls, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.loose_bytes
    }

    /// Whether the budget has room for another scheduled mail.
    pub(crate) fn has_room_for_scheduled(&self) -> bool {
        self.scheduled < self.budget.scheduled()
    }

    /// Adds a message. If `waits` is set, it cannot be dropped until [`release`](Self::release).
    pub(crate) fn enter(&mut self, number: u64, message: KeptMessage, waits: bool) {
        let (weight, body) = match &message {
            KeptMessage::Mail(mail, _) => (mail.weight(), mail.body()),
            KeptMessage::Sms(sms, _) => (sms.weight(), None),
            KeptMessage::Received(_) => (0, None),
        };
        let body = body.map(|body| self.hold(body));
        let group = Group {
            message,
            age: None,
            bytes: 0,
            event_bytes: 0,
            events: Vec::new(),
            deliveries: Vec::new(),
            jobs: Vec::new(),
            call: None,
            body,
        };
        self.groups.insert(number, Box::new(group));
        self.charge(number, weight + OVERHEAD);
        if !waits {
            self.release(number);
        }
    }

    /// Allows a message to be dropped. Of the messages that may be dropped, it counts as the newest.
    pub(crate) fn release(&mut self, number: u64) {
        let Some(group) = self.groups.get_mut(&number) else {
            return;
        };
        if group.age.is_some() {
            return;
        }
        group.age = Some(self.next_age);
        self.ages.insert(self.next_age, number);
        self.next_age += 1;
        self.scheduled -= group.bytes;
        self.mails += usize::from(group.is_mail());
    }

    /// Whether a message is kept.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.groups.contains_key(&number)
    }

    /// Whether the message can be dropped or deleted. False for a scheduled mail that is not yet due.
    pub(crate) fn can_drop(&self, number: u64) -> bool {
        let group = self.groups.get(&number);
        group.is_some_and(|group| group.age.is_some())
    }

    pub(crate) fn message(&self, number: u64) -> Option<&KeptMessage> {
        self.groups.get(&number).map(|group| &group.message)
    }

    /// Returns a mail. `None` if it was dropped or is not a mail.
    pub(crate) fn mail(&self, number: u64) -> Option<Mail> {
        match self.message(number)? {
            KeptMessage::Mail(mail, _) => Some(mail.clone()),
            _ => None,
        }
    }

    /// Returns a text message. `None` if it was dropped or is not a text message.
    pub(crate) fn sms(&self, number: u64) -> Option<Sms> {
        match self.message(number)? {
            KeptMessage::Sms(sms, _) => Some(sms.clone()),
            _ => None,
        }
    }

    /// Sets the number of the last message. The next one gets the number after it.
    #[cfg(feature = "data")]
    pub(crate) fn set_last(&mut self, number: u64) {
        self.next = number;
    }

    /// Adds to the memory of a message.
    pub(crate) fn charge(&mut self, number: u64, bytes: usize) {
        if let Some(group) = self.groups.get_mut(&number) {
            group.bytes += bytes;
            self.bytes += bytes;
            if group.age.is_none() {
                self.scheduled += bytes;
            }
        }
    }

    /// Adds an event of a message. Returns false if the message is not kept.
    pub(crate) fn add_event(&mut self, number: u64, place: usize, event: &Event) -> bool {
        let bytes = event.weight();
        self.charge(number, bytes);
        let group = self.groups.get_mut(&number);
        group.is_some_and(|group| {
            group.events.push(place);
            group.event_bytes += bytes;
            true
        })
    }

    /// Whether another event of a message can be kept.
    pub(crate) fn has_room_for_events(&self, number: u64) -> bool {
        self.groups.get(&number).is_some_and(|group| {
            group.events.len() < EVENTS_OF_ONE && group.event_bytes < EVENT_BYTES_OF_ONE
        })
    }

    /// Adds a webhook delivery of a message. Returns false if the message is not kept.
    pub(crate) fn add_delivery(&mut self, number: u64, place: usize, bytes: usize) -> bool {
        self.charge(number, bytes);
        let group = self.groups.get_mut(&number);
        group.is_some_and(|group| {
            group.deliveries.push(place);
            true
        })
    }

    /// Adds a pending job of a message.
    pub(crate) fn add_job(&mut self, number: u64, job: JobKey) {
        self.charge(number, JOB);
        if let Some(group) = self.groups.get_mut(&number) {
            group.jobs.push(job);
        }
    }

    /// Removes a job that was run.
    pub(crate) fn remove_job(&mut self, number: u64, job: JobKey) {
        if let Some(group) = self.groups.get_mut(&number)
            && let Some(place) = group.jobs.iter().position(|other| *other == job)
        {
            group.jobs.swap_remove(place);
            if group.jobs.is_empty() {
                // Frees the allocation: most mails have no further jobs.
                group.jobs = Vec::new();
            }
            group.bytes -= JOB;
            self.bytes -= JOB;
            if group.age.is_none() {
                self.scheduled -= JOB;
            }
        }
    }

    /// Adds a call. If it made messages, it is dropped with the last of them.
    pub(crate) fn enter_call(&mut self, place: usize, call: &Call) {
        let weight = call.weight();
        let mut made = 0;
        for number in call.messages.clone() {
            if let Some(group) = self.groups.get_mut(&number) {
                group.call = Some(place);
                made += 1;
            }
        }
        if made == 0 {
            let bytes = weight + call.body.len();
            self.loose.push_back((place, bytes));
            self.loose_bytes += bytes;
            return;
        }
        let body = (!call.body.is_empty()).then(|| self.hold(&call.body));
        self.calls.insert(place, (weight, body, made));
        self.bytes += weight;
    }

    /// Records that a message of the call was dropped. Returns whether the call must be dropped too.
    pub(crate) fn leave_call(&mut self, place: usize) -> bool {
        let Some((_, _, left)) = self.calls.get_mut(&place) else {
            return false;
        };
        *left -= 1;
        if *left > 0 {
            return false;
        }
        if let Some((weight, body, _)) = self.calls.remove(&place) {
            self.bytes -= weight;
            self.let_go(body);
        }
        true
    }

    /// Adds a holder of a shared body, whose memory is counted once. The body is identified by its
    /// address, which is unique while the body has a holder.
    fn hold(&mut self, body: &[u8]) -> usize {
        let address = body.as_ptr() as usize;
        let held = self.bodies.entry(address).or_insert(Held {
            bytes: body.len(),
            holders: 0,
        });
        if held.holders == 0 {
            self.bytes += held.bytes;
        }
        held.holders += 1;
        address
    }

    fn let_go(&mut self, body: Option<usize>) {
        let Some(address) = body else {
            return;
        };
        if let Some(held) = self.bodies.get_mut(&address) {
            held.holders -= 1;
            if held.holders == 0 {
                self.bytes -= held.bytes;
                self.bodies.remove(&address);
            }
        }
    }

    /// Removes the oldest message if the budget is exceeded. The newest message is always kept.
    pub(crate) fn surplus(&mut self) -> Option<(u64, Box<Group>)> {
        let over = self.bytes > self.budget.messages() || self.mails > self.budget.mails.max(1);
        if !over || self.ages.len() < 2 {
            return None;
        }
        let (_, number) = self.ages.pop_first()?;
        Some((number, self.take(number)?))
    }

    /// Removes a message. `None` if it is not kept, or is a scheduled mail that is not yet due.
    pub(crate) fn take(&mut self, number: u64) -> Option<Box<Group>> {
        let age = self.groups.get(&number)?.age?;
        self.ages.remove(&age);
        let group = self.groups.remove(&number)?;
        self.bytes -= group.bytes;
        self.mails -= usize::from(group.is_mail());
        self.let_go(group.body);
        Some(group)
    }

    /// Removes the oldest call that made no message if such calls exceed their budget. The newest such
    /// call is always kept.
    pub(crate) fn surplus_call(&mut self) -> Option<usize> {
        if self.loose_bytes <= self.budget.calls() || self.loose.len() < 2 {
            return None;
        }
        let (place, bytes) = self.loose.pop_front()?;
        self.loose_bytes -= bytes;
        Some(place)
    }
}

#[cfg(test)]
impl Ledger {
    /// Compares the totals with sums of their parts.
    pub(crate) fn check(&self) {
        let groups = self.groups.values();
        let of_groups: usize = groups.clone().map(|group| group.bytes).sum();
        let of_bodies: usize = self.bodies.values().map(|held| held.bytes).sum();
        let of_calls: usize = self.calls.values().map(|(bytes, ..)| bytes).sum();
        assert_eq!(self.bytes, of_groups + of_bodies + of_calls);
        let waiting = groups.clone().filter(|group| group.age.is_none());
        assert_eq!(
            self.scheduled,
            waiting.map(|group| group.bytes).sum::<usize>()
        );
        let mails = groups.filter(|group| group.age.is_some() && group.is_mail());
        assert_eq!(self.mails, mails.count());
        assert_eq!(
            self.loose_bytes,
            self.loose.iter().map(|(_, bytes)| bytes).sum::<usize>()
        );
    }
}

/// Key of a [`Counts`]: the day (UTC, days since 1970), the account, the username and the sender's
/// address.
pub(crate) type Figure = (u64, AccountId, String, String);

/// Maximum number of [`Figure`]s with a sender. Beyond it, new senders are counted together; beyond
/// twice this number, the oldest figure is dropped.
const FIGURES: usize = 10_000;

/// Figures of dropped messages, so that an account's figures don't fall when messages are dropped.
#[derive(Debug, Default)]
pub(crate) struct Figures(pub(crate) Kept<Figure, Counts>);

/// Numbers of messages and events, and their sizes.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Counts {
    pub(crate) mails: usize,
    pub(crate) bytes: usize,
    #[serde(deserialize_with = "interned_keys")]
    pub(crate) events: BTreeMap<Literal, usize>,
    pub(crate) sms: usize,
    pub(crate) sms_units: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.mails += other.mails;
        self.bytes += other.bytes;
        self.sms += other.sms;
        self.sms_units += other.sms_units;
        for (name, count) in &other.events {
            *self.events.entry(name).or_default() += count;
        }
    }
}

impl Figures {
    /// Returns the counts of a figure, for the caller to add to.
    pub(crate) fn of(
        &mut self,
        account: AccountId,
        day: u64,
        username: &str,
        sender: &str,
    ) -> &mut Counts {
        /// Maximum length of an address (RFC 5321).
        const ADDRESS: usize = 254;
        let sender: String = sender.chars().take(ADDRESS).collect();
        let mut figure = (day, account, username.to_owned(), sender);
        if self.0.len() >= FIGURES && !self.0.contains(&figure) {
            figure.3.clear();
        }
        if self.0.len() >= 2 * FIGURES && !self.0.contains(&figure) {
            self.0.pop_first();
        }
        self.0.or_default(figure)
    }

    /// Iterates over an account's days, usernames, senders and counts.
    pub(crate) fn iter(
        &self,
        account: AccountId,
    ) -> impl Iterator<Item = (u64, &str, &str, &Counts)> {
        let figures = self
            .0
            .numbered()
            .filter(move |((_, of, ..), _)| *of == account);
        figures.map(|((day, _, username, sender), counts)| {
            (*day, username.as_str(), sender.as_str(), counts)
        })
    }
}

impl Weight for Event {
    fn weight(&self) -> usize {
        // The mail also stores the kind of event by recipient.
        let recipient = self
            .recipient()
            .map_or(0, |text| 2 * weight::text(text) + 96);
        let detail = self.detail.iter().map(|(_, value)| weight::text(value));
        size_of::<Self>()
            + recipient
            + self.detail.capacity() * size_of::<(&str, String)>()
            + detail.sum::<usize>()
            // The counters of an Arc, and its entries in the log and the group.
            + 96
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_an_item_keeps_the_numbers_of_others() {
        let mut log = Log::default();
        for item in ["a", "b", "c"] {
            log.push(item);
        }
        log.remove(1);
        assert_eq!((log.len(), log.total(), log.dropped()), (2, 3, 1));
        assert_eq!(log.numbered().collect::<Vec<_>>(), [(0, &"a"), (2, &"c")]);
        assert_eq!(log.since(1).collect::<Vec<_>>(), [(2, &"c")]);
        assert_eq!(log.places(Some(2)).collect::<Vec<_>>(), [0]);
        assert_eq!((log.was_dropped(1), log.was_dropped(3)), (true, false));
        assert_eq!(log.push("d"), 3);
    }

    #[test]
    fn shared_body_is_counted_once_until_its_last_holder_is_gone() {
        let mut ledger = Ledger::default();
        let body = [0_u8; 1_000];
        let (one, two) = (ledger.hold(&body), ledger.hold(&body));
        assert_eq!(ledger.bytes(), 1_000);
        ledger.let_go(Some(one));
        assert_eq!(ledger.bytes(), 1_000);
        ledger.let_go(Some(two));
        assert_eq!((ledger.bytes(), ledger.bodies.len()), (0, 0));
    }

    #[test]
    fn senders_beyond_the_limit_are_counted_together() {
        let mut figures = Figures::default();
        for number in 0..FIGURES + 100 {
            let sender = format!("{number}@example.com");
            figures.of(AccountId::MASTER, 7, "u", &sender).mails += 1;
        }
        let all = figures
            .iter(AccountId::MASTER)
            .map(|(.., counts)| counts.mails);
        assert_eq!(all.sum::<usize>(), FIGURES + 100);
        assert_eq!(figures.0.len(), FIGURES + 1);
    }

    #[test]
    fn dropped_is_displayed_without_kinds_whose_count_is_0() {
        let dropped = Dropped {
            mails: 1,
            events: 2,
            ..Dropped::default()
        };
        assert_eq!(dropped.to_string(), "1 mail, 2 events");
        assert_eq!(Dropped::default().to_string(), "");
    }
}
