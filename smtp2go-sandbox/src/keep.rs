//! What the sandbox keeps of the past, and what it drops to stay within its budget.
//!
//! Mails, text messages, events, calls and webhook deliveries are in [`Log`]s, which number their
//! items once: a number never means another item later. The [`Ledger`] counts the bytes, and knows
//! what belongs to which message. A message is dropped with its events, its webhook deliveries,
//! what was still to happen to it, and, if it is the last one of its call, the call.

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

/// Bytes that are kept if nobody says otherwise: more than 100,000 mails of 2 KB take.
pub(crate) const DEFAULT_BYTES: usize = 1024 * 1024 * 1024;

/// Mails that are kept if nobody says otherwise.
pub(crate) const DEFAULT_MAILS: usize = 200_000;

/// The most events that are kept of one mail, and their bytes.
const EVENTS_OF_ONE: usize = 10_000;
const EVENT_BYTES_OF_ONE: usize = 16 * 1024 * 1024;

/// What a message takes besides what it says: its places in logs and indexes.
const OVERHEAD: usize = 512;

/// What a job takes that is to happen later.
const JOB: usize = 256;

/// How much is kept.
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
    /// Bytes for calls that made no message.
    fn calls(self) -> usize {
        self.bytes / 8
    }

    /// Bytes for messages with all that belongs to them.
    fn messages(self) -> usize {
        self.bytes - self.calls()
    }

    /// Bytes for mail that waits for its schedule, as part of those for messages.
    pub(crate) fn scheduled(self) -> usize {
        self.messages() / 2
    }
}

/// How many of the oldest items a sandbox has dropped to stay within its budget
/// ([`SandboxBuilder::keep_mails`](crate::SandboxBuilder::keep_mails),
/// [`keep_bytes`](crate::SandboxBuilder::keep_bytes)), since it started or was reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dropped {
    /// Mails.
    pub mails: usize,
    /// Text messages that were sent.
    pub sms: usize,
    /// Events.
    pub events: usize,
    /// Calls.
    pub calls: usize,
    /// Events on their way to webhooks.
    pub webhook_deliveries: usize,
}

impl Dropped {
    /// All of them.
    pub(crate) fn total(self) -> usize {
        self.mails + self.sms + self.events + self.calls + self.webhook_deliveries
    }
}

/// `N mails, N text messages, …`, without what none was dropped of.
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

/// Items in their order, with numbers from 0 that they keep when others are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Log<T> {
    items: BTreeMap<usize, T>,
    total: usize,
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            total: 0,
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

    /// The items that are kept.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.items.values()
    }

    /// The items that are kept, with their numbers.
    pub(crate) fn numbered(&self) -> impl DoubleEndedIterator<Item = (usize, &T)> {
        self.items.iter().map(|(place, item)| (*place, item))
    }

    /// Those from a number on.
    pub(crate) fn since(&self, place: usize) -> impl Iterator<Item = (usize, &T)> {
        let items = self.items.range(place..);
        items.map(|(place, item)| (*place, item))
    }

    /// Puts an item back that was read from a file.
    #[cfg(feature = "data")]
    pub(crate) fn restore(&mut self, place: usize, item: T) {
        self.items.insert(place, item);
        self.set_total(place + 1);
    }

    /// There were so many before, whether they are kept or not.
    #[cfg(feature = "data")]
    pub(crate) fn set_total(&mut self, total: usize) {
        self.total = self.total.max(total);
    }

    /// The numbers before `end`, or all.
    pub(crate) fn places(&self, end: Option<usize>) -> impl DoubleEndedIterator<Item = usize> {
        let items = self.items.range(..end.unwrap_or(usize::MAX));
        items.map(|(place, _)| *place)
    }

    /// How many are kept.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many there ever were. Never falls.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    pub(crate) fn dropped(&self) -> usize {
        self.total - self.items.len()
    }

    /// Whether there was an item with this number that is dropped.
    pub(crate) fn was_dropped(&self, place: usize) -> bool {
        place < self.total && !self.items.contains_key(&place)
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

/// A message, and where it is kept.
#[derive(Debug)]
pub(crate) enum KeptMessage {
    /// `None`: it was refused for all of its recipients, and has events only.
    Mail(Mail, Option<usize>),
    Sms(Sms, usize),
    /// A text message to an account.
    Received(usize),
}

/// A message with what belongs to it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) message: KeptMessage,
    /// `None` while it waits for its schedule: then it is not dropped.
    age: Option<u64>,
    bytes: usize,
    /// Those of its events among them.
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

/// The body of a request, which several messages and a call may hold.
#[derive(Debug)]
struct Held {
    bytes: usize,
    holders: usize,
}

/// The bytes of what is kept, and what belongs together.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    budget: LogLimits,
    /// The number of the next message. It goes on after a reset, so that no mail from before is
    /// taken for one from after it.
    next: u64,
    groups: HashMap<u64, Box<Group>>,
    /// The messages that may be dropped, the oldest first.
    ages: BTreeMap<u64, u64>,
    next_age: u64,
    /// Of all messages, what belongs to them, and the bodies that they hold.
    bytes: usize,
    /// Of the mails that wait for their schedule.
    scheduled: usize,
    /// Mails that may be dropped.
    mails: usize,
    /// By their address.
    bodies: HashMap<usize, Held>,
    /// The calls that made messages: their bytes, their bodies, and how many of the messages are
    /// left.
    calls: HashMap<usize, (usize, Option<usize>, usize)>,
    /// The calls that made no message, in order, with their bytes.
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

    /// A number for a new message.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// The number of the next message.
    pub(crate) fn next(&self) -> u64 {
        self.next + 1
    }

    /// The bytes of all that is kept.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes + self.loose_bytes
    }

    /// Whether more mail may be scheduled.
    pub(crate) fn has_room_for_scheduled(&self) -> bool {
        self.scheduled < self.budget.scheduled()
    }

    /// Takes in a message, which may be dropped later unless it waits for its schedule.
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

    /// The message may be dropped from now on, as the newest.
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

    /// Whether the message is kept.
    pub(crate) fn has(&self, number: u64) -> bool {
        self.groups.contains_key(&number)
    }

    pub(crate) fn message(&self, number: u64) -> Option<&KeptMessage> {
        self.groups.get(&number).map(|group| &group.message)
    }

    /// A mail that is kept.
    pub(crate) fn mail(&self, number: u64) -> Option<Mail> {
        match self.message(number)? {
            KeptMessage::Mail(mail, _) => Some(mail.clone()),
            _ => None,
        }
    }

    /// A text message that is kept.
    pub(crate) fn sms(&self, number: u64) -> Option<Sms> {
        match self.message(number)? {
            KeptMessage::Sms(sms, _) => Some(sms.clone()),
            _ => None,
        }
    }

    /// The numbers of messages go on after this one.
    #[cfg(feature = "data")]
    pub(crate) fn set_last(&mut self, number: u64) {
        self.next = number;
    }

    /// Counts more bytes for a message.
    pub(crate) fn charge(&mut self, number: u64, bytes: usize) {
        if let Some(group) = self.groups.get_mut(&number) {
            group.bytes += bytes;
            self.bytes += bytes;
            if group.age.is_none() {
                self.scheduled += bytes;
            }
        }
    }

    /// An event happened to the message. False if it is not kept.
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

    /// Whether there may be more events of a message.
    pub(crate) fn has_room_for_events(&self, number: u64) -> bool {
        self.groups.get(&number).is_some_and(|group| {
            group.events.len() < EVENTS_OF_ONE && group.event_bytes < EVENT_BYTES_OF_ONE
        })
    }

    /// An event of the message goes to a webhook. False if the message is not kept.
    pub(crate) fn add_delivery(&mut self, number: u64, place: usize, bytes: usize) -> bool {
        self.charge(number, bytes);
        let group = self.groups.get_mut(&number);
        group.is_some_and(|group| {
            group.deliveries.push(place);
            true
        })
    }

    /// Something is to happen to the message later.
    pub(crate) fn add_job(&mut self, number: u64, job: JobKey) {
        self.charge(number, JOB);
        if let Some(group) = self.groups.get_mut(&number) {
            group.jobs.push(job);
        }
    }

    /// It happened.
    pub(crate) fn remove_job(&mut self, number: u64, job: JobKey) {
        if let Some(group) = self.groups.get_mut(&number)
            && let Some(place) = group.jobs.iter().position(|other| *other == job)
        {
            group.jobs.swap_remove(place);
            if group.jobs.is_empty() {
                // Most mails have none any more.
                group.jobs = Vec::new();
            }
            group.bytes -= JOB;
            self.bytes -= JOB;
            if group.age.is_none() {
                self.scheduled -= JOB;
            }
        }
    }

    /// Takes in a call, which goes with the messages that it made.
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

    /// A message of the call is gone. Whether the call has to go too.
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

    /// Counts a body once, however many hold it. It is known by its address, which is its own for
    /// as long as somebody does.
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

    /// Takes out the oldest message if there is too much. The newest stays, whatever its size.
    pub(crate) fn surplus(&mut self) -> Option<(u64, Box<Group>)> {
        let over = self.bytes > self.budget.messages() || self.mails > self.budget.mails.max(1);
        if !over || self.ages.len() < 2 {
            return None;
        }
        let (_, number) = self.ages.pop_first()?;
        let group = self.groups.remove(&number)?;
        self.bytes -= group.bytes;
        self.mails -= usize::from(group.is_mail());
        self.let_go(group.body);
        Some((number, group))
    }

    /// Takes out the oldest call that made no message if there is too much of them. The newest
    /// stays, whatever its size.
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
    /// Counts all anew.
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

/// Whose figures: the day (of UTC, from 1970 on), the account, the username and the address of the
/// sender.
pub(crate) type Figure = (u64, AccountId, String, String);

/// From so many on, senders are not told apart, and from twice as many on the oldest day goes.
const FIGURES: usize = 10_000;

/// The figures of what was dropped, so that those of the account never fall.
#[derive(Debug, Default)]
pub(crate) struct Figures(pub(crate) Kept<Figure, Counts>);

/// How many mails there were, how large, and how much happened to them.
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
    /// Those of a day, to be added to.
    pub(crate) fn of(
        &mut self,
        account: AccountId,
        day: u64,
        username: &str,
        sender: &str,
    ) -> &mut Counts {
        /// An address has no more (RFC 5321).
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

    /// Day, username, sender and counts of an account.
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
        // What happened is noted with the mail too, by recipient.
        let recipient = self
            .recipient()
            .map_or(0, |text| 2 * weight::text(text) + 96);
        let detail = self.detail.iter().map(|(_, value)| weight::text(value));
        size_of::<Self>()
            + recipient
            + self.detail.capacity() * size_of::<(&str, String)>()
            + detail.sum::<usize>()
            // The counters of an Arc, and its places in the log and in the group.
            + 96
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_item_leaves_the_numbers_of_others() {
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
    fn shared_body_is_counted_once_until_its_last_holder_lets_go() {
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
    fn figures_of_too_many_senders_are_counted_together() {
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
    fn what_was_dropped_is_said_in_words() {
        let dropped = Dropped {
            mails: 1,
            events: 2,
            ..Dropped::default()
        };
        assert_eq!(dropped.to_string(), "1 mail, 2 events");
        assert_eq!(Dropped::default().to_string(), "");
    }
}
