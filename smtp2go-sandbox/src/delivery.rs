//! Simulates the delivery of an accepted mail: outcomes by recipient, and their events.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smtp2go_types::one_line;

use crate::address;
use crate::data::Kept;
use crate::due::Job;
use crate::event::{Detail, Event, EventKind};
use crate::keep::{EVENT_BYTES_OF_ONE, EVENTS_OF_ONE};
use crate::mail::{Mail, cut};
use crate::operations::suppression::{suppress, suppressed};
use crate::weight::Weight;
use crate::world::{Shared, World};

/// Time from processing a mail to its delivery.
const TRANSIT: Duration = Duration::from_millis(50);

/// Time before each reaction of a recipient, such as opening the mail.
const REACTION: Duration = Duration::from_millis(50);

/// The sandbox's sending address: a documentation address (RFC 5737).
pub(crate) const OUTBOUND_IP: &str = "198.51.100.25";

/// Memory of a mail in transit besides its recipients, in bytes.
const HELD: usize = 96;

/// The numbers of mails in transit, with the recipients to whom they are not yet delivered.
pub(crate) type Transit = HashMap<u64, Vec<String>>;

/// The outcome of a mail for one of its recipients.
///
/// The local part of an address selects its outcome, in any domain and letter case. A `+tag` is
/// ignored: `bounce+1@example.net` bounces like `bounce+2@example.net`, but the two are suppressed
/// separately. Mail to any other local part is delivered. A rule ([`Delivery::on`]) takes
/// precedence over the local part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The mail is delivered, without further events.
    Deliver,
    /// `bounce@…`, `hardbounce@…`, `hard-bounce@…`: the recipient's server refuses the mail
    /// permanently.
    HardBounce,
    /// `softbounce@…`, `soft-bounce@…`: the recipient's server refuses the mail temporarily. The
    /// sandbox does not try again.
    SoftBounce,
    /// `reject@…`: the mail is accepted, but the service does not try to deliver it.
    Reject,
    /// `refuse@…`: treated like a suppressed address. The service does not deliver to it. If all
    /// recipients of a mail are refused, the reply reports it: status 200 with `failed` 1.
    Refuse,
    /// `spam@…`: the mail is delivered and reported as spam.
    Spam,
    /// `unsubscribe@…`: the mail is delivered, and the recipient unsubscribes.
    Unsubscribe,
    /// `resubscribe@…`: the mail is delivered, and the recipient unsubscribes, then resubscribes.
    Resubscribe,
    /// `open@…`: the mail is delivered and opened.
    Open,
    /// `click@…`: the mail is delivered and opened, and the first link of its HTML is clicked, if it
    /// has one.
    Click,
    /// `hold@…`: the mail stays in transit until a test calls [`Delivery::happen`].
    Hold,
}

/// Names of outcomes in rules, which are also the local parts that select them. Lower case.
pub(crate) const NAMES: &[(&str, Outcome)] = &[
    ("deliver", Outcome::Deliver),
    ("bounce", Outcome::HardBounce),
    ("hardbounce", Outcome::HardBounce),
    ("hard-bounce", Outcome::HardBounce),
    ("softbounce", Outcome::SoftBounce),
    ("soft-bounce", Outcome::SoftBounce),
    ("reject", Outcome::Reject),
    ("refuse", Outcome::Refuse),
    ("spam", Outcome::Spam),
    ("unsubscribe", Outcome::Unsubscribe),
    ("resubscribe", Outcome::Resubscribe),
    ("open", Outcome::Open),
    ("click", Outcome::Click),
    ("hold", Outcome::Hold),
];

/// The names of outcomes in a data file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "Outcome")]
enum OutcomeForm {
    Deliver,
    HardBounce,
    SoftBounce,
    Reject,
    Refuse,
    Spam,
    Unsubscribe,
    Resubscribe,
    Open,
    Click,
    Hold,
}

impl Outcome {
    /// The outcome that an address's local part selects.
    fn by_name(address: &str) -> Self {
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        let local = local.split('+').next().unwrap_or_default().to_lowercase();
        Self::named(&local).unwrap_or(Self::Deliver)
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = NAMES.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    }

    /// The events after delivery, in order.
    fn reactions(self) -> &'static [EventKind] {
        match self {
            Self::Spam => &[EventKind::Spam],
            Self::Unsubscribe => &[EventKind::Unsubscribe],
            Self::Resubscribe => &[EventKind::Unsubscribe, EventKind::Resubscribe],
            Self::Open => &[EventKind::Open],
            Self::Click => &[EventKind::Open, EventKind::Click],
            _ => &[],
        }
    }
}

/// The rules of [`Delivery::on`].
#[derive(Debug, Default)]
pub(crate) struct DeliveryRules(pub(crate) Kept<u64, DeliveryRule>);

/// The outcome of mail to the recipients that match the pattern.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct DeliveryRule {
    /// A pattern of addresses, in lower case.
    pattern: String,
    #[serde(with = "OutcomeForm")]
    outcome: Outcome,
}

impl DeliveryRules {
    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    fn outcome(&self, address: &str) -> Outcome {
        let address = address.to_lowercase();
        let applies = |pattern: &str| {
            pattern == "*"
                || pattern == address
                || (pattern.starts_with('@') && address.ends_with(pattern))
                || (pattern.ends_with('@') && address.starts_with(pattern))
        };
        let mut rules = self.0.iter().rev();
        let found = rules.find(|rule| applies(&rule.pattern));
        found.map_or_else(|| Outcome::by_name(&address), |rule| rule.outcome)
    }
}

/// Controls the delivery of a sandbox's mail: sets the outcome by recipient, and makes events happen
/// on demand. Returned by [`Sandbox::delivery`](crate::Sandbox::delivery).
///
/// ```
/// use smtp2go_sandbox::{Outcome, Sandbox};
///
/// # fn main() -> std::io::Result<()> {
/// let sandbox = Sandbox::start_blocking()?;
/// sandbox
///     .delivery()
///     .on("jane@example.net", Outcome::SoftBounce)
///     .on("@example.org", Outcome::Open);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Delivery {
    shared: Arc<Shared>,
}

impl Delivery {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Sets the outcome of mail to an address, to a whole domain (`@example.org`), to a local part in
    /// any domain (`jane@`) or to all recipients (`*`), ignoring letter case.
    ///
    /// If several rules match an address, the one set last applies. A new rule replaces one for the
    /// same `recipient`. Rules also apply to mail in transit, and a [`reset`](crate::Sandbox::reset)
    /// keeps them.
    pub fn on(&self, recipient: impl Into<String>, outcome: Outcome) -> &Self {
        let mut world = self.shared.world();
        let pattern = recipient.into().to_lowercase();
        let rules = &mut world.delivery_rules.0;
        rules.retain(|rule| rule.pattern != pattern);
        rules.push(DeliveryRule { pattern, outcome });
        drop(world);
        self
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.shared.world().delivery_rules.0.retain(|_| false);
    }

    /// Records an event of a mail for one of its recipients now, and applies its consequences: webhooks
    /// and suppressions. A click goes to the first link of the HTML; [`click`](Self::click) can select
    /// another link.
    ///
    /// A mail in transit is delivered first if the event requires it. `recipient` may be
    /// `Name <address>`.
    ///
    /// # Errors
    ///
    /// Fails if the mail has no such recipient, is scheduled for later, or cannot have the event
    /// after its previous ones: a bounced mail cannot be opened. Also fails for
    /// [`EventKind::Processed`] and for the kinds of text messages.
    pub fn happen(
        &self,
        mail: &Mail,
        recipient: &str,
        kind: EventKind,
    ) -> Result<Arc<Event>, DeliveryError> {
        happen(&mut self.shared.world(), mail, recipient, kind, None)
    }

    /// Has the recipient open the mail.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen).
    pub fn open(&self, mail: &Mail, recipient: &str) -> Result<Arc<Event>, DeliveryError> {
        self.happen(mail, recipient, EventKind::Open)
    }

    /// Has the recipient click a link of the mail.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen). Also fails if the HTML has no such link; the links
    /// of a mail that was sent as MIME are not checked.
    pub fn click(
        &self,
        mail: &Mail,
        recipient: &str,
        link: &str,
    ) -> Result<Arc<Event>, DeliveryError> {
        let mut world = self.shared.world();
        happen(&mut world, mail, recipient, EventKind::Click, Some(link))
    }

    /// Has the mail bounce permanently, either on delivery or after it was delivered.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen).
    pub fn hard_bounce(&self, mail: &Mail, recipient: &str) -> Result<Arc<Event>, DeliveryError> {
        self.happen(mail, recipient, EventKind::HardBounce)
    }

    /// Has the mail bounce temporarily.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen).
    pub fn soft_bounce(&self, mail: &Mail, recipient: &str) -> Result<Arc<Event>, DeliveryError> {
        self.happen(mail, recipient, EventKind::SoftBounce)
    }

    /// Has the recipient report the mail as spam.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen).
    pub fn spam(&self, mail: &Mail, recipient: &str) -> Result<Arc<Event>, DeliveryError> {
        self.happen(mail, recipient, EventKind::Spam)
    }

    /// Has the recipient unsubscribe.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen).
    pub fn unsubscribe(&self, mail: &Mail, recipient: &str) -> Result<Arc<Event>, DeliveryError> {
        self.happen(mail, recipient, EventKind::Unsubscribe)
    }

    /// Has the recipient resubscribe.
    ///
    /// # Errors
    ///
    /// The same as for [`happen`](Self::happen). Also fails if the recipient has not unsubscribed.
    pub fn resubscribe(&self, mail: &Mail, recipient: &str) -> Result<Arc<Event>, DeliveryError> {
        self.happen(mail, recipient, EventKind::Resubscribe)
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.shared.world().delivery_rules.0.len();
        formatter
            .debug_struct("Delivery")
            .field("rules", &rules)
            .finish_non_exhaustive()
    }
}

/// Why a mail cannot have an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryError(String);

impl fmt::Display for DeliveryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&one_line(&self.0))
    }
}

impl std::error::Error for DeliveryError {}

/// Processes a mail now, and schedules its delivery to each recipient after [`TRANSIT`]. A mail from
/// a key with the status `sandbox` is rejected instead, like at the service.
pub(crate) fn begin(world: &mut World, mail: &Mail) {
    if mail.withheld() {
        for recipient in mail.recipients() {
            let reason = "The API key has the status sandbox: nothing is delivered.";
            reject(world, mail, recipient, reason);
        }
        return;
    }
    let source = vec![("srchost", "127.0.0.1".to_owned())];
    world.record_mail(mail, None, EventKind::Processed, source);
    let mut waiting = Vec::new();
    for recipient in mail.recipients() {
        match refusal(world, mail, recipient) {
            Some(reason) => reject(world, mail, recipient, &reason),
            None => waiting.push(recipient.to_owned()),
        }
    }
    if waiting.is_empty() {
        return;
    }
    let number = mail.number();
    let weight = waiting.weight() + HELD;
    world.ledger.charge(number, weight);
    world.transit.insert(number, waiting);
    world.later_for(number, TRANSIT, Job::Arrive { number });
}

/// Restores the recipients in transit of a processed mail from a data file. They have no event yet.
#[cfg(feature = "data")]
pub(crate) fn restore_transit(world: &mut World, mail: &Mail) {
    let waiting = mail.recipients().into_iter();
    let waiting = waiting.filter(|recipient| mail.history(recipient).is_empty());
    let waiting: Vec<_> = waiting.map(str::to_owned).collect();
    if !waiting.is_empty() {
        let number = mail.number();
        world.ledger.charge(number, waiting.weight() + HELD);
        world.transit.insert(number, waiting);
    }
}

/// Delivers a mail to its recipients in transit. Recipients that had an event on demand are no longer
/// in transit.
pub(crate) fn arrive(world: &mut World, number: u64) {
    let Some(mail) = world.ledger.mail(number) else {
        return;
    };
    let waiting = world.transit.remove(&number).unwrap_or_default();
    let (held, arriving) = waiting.into_iter().partition::<Vec<_>, _>(|recipient| {
        world.delivery_rules.outcome(recipient) == Outcome::Hold
    });
    for recipient in &arriving {
        arrive_at(world, &mail, recipient);
    }
    if !held.is_empty() {
        world.transit.insert(number, held);
    }
}

/// Returns the reason if the service refuses to deliver to a recipient.
fn refusal(world: &World, mail: &Mail, recipient: &str) -> Option<String> {
    if let Some(entry) = suppressed(world.account(mail.account()), recipient) {
        return Some(format!("the recipient is suppressed ({})", entry.reason));
    }
    let outcome = world.delivery_rules.outcome(recipient);
    (outcome == Outcome::Refuse).then(|| "the recipient is suppressed".to_owned())
}

/// If the service refuses to deliver to every recipient, returns the reason for each.
pub(crate) fn refused_altogether(world: &World, mail: &Mail) -> Option<Vec<String>> {
    let recipients = mail.recipients().into_iter();
    let refusals = recipients.map(|recipient| {
        let reason = refusal(world, mail, recipient)?;
        Some(format!("Recipient <{recipient}> refused: {reason}"))
    });
    let refusals: Option<Vec<_>> = refusals.collect();
    refusals.filter(|refusals| !refusals.is_empty())
}

pub(crate) fn reject(world: &mut World, mail: &Mail, recipient: &str, reason: &str) {
    let detail = vec![
        ("message", reason.to_owned()),
        ("context", "Unavailable".to_owned()),
    ];
    record(world, mail, recipient, EventKind::Reject, detail);
}

/// Records the outcome of delivery to a recipient, and schedules the recipient's reactions.
fn arrive_at(world: &mut World, mail: &Mail, recipient: &str) {
    let outcome = world.delivery_rules.outcome(recipient);
    let kind = match outcome {
        Outcome::HardBounce => EventKind::HardBounce,
        Outcome::SoftBounce => EventKind::SoftBounce,
        Outcome::Reject | Outcome::Refuse => EventKind::Reject,
        _ => EventKind::Delivered,
    };
    let detail = detail(world, recipient, kind, None);
    record(world, mail, recipient, kind, detail);
    let mut after = Duration::ZERO;
    for kind in outcome.reactions() {
        after += REACTION;
        let (number, kind) = (mail.number(), *kind);
        let recipient = recipient.to_owned();
        let job = Job::React {
            number,
            recipient,
            kind,
        };
        world.later_for(number, after, job);
    }
}

/// Records a scheduled reaction of a recipient, such as opening the mail.
pub(crate) fn react(world: &mut World, number: u64, recipient: &str, kind: EventKind) {
    if let Some(mail) = world.ledger.mail(number) {
        // An impossible event, such as a click in a mail without links, is skipped.
        let _ = happen(world, &mail, recipient, kind, None);
    }
}

/// Records an event on demand, for [`Delivery::happen`].
pub(crate) fn happen(
    world: &mut World,
    mail: &Mail,
    recipient: &str,
    kind: EventKind,
    link: Option<&str>,
) -> Result<Arc<Event>, DeliveryError> {
    let number = mail.number();
    if !world.ledger.has(number) {
        return Err(DeliveryError(format!(
            "the mail is gone: the sandbox was reset or dropped it ({} mails were dropped)",
            world.mails.dropped()
        )));
    }
    if !world.ledger.has_room_for_events(number) {
        return Err(DeliveryError(format!(
            "the mail has reached its limit of {EVENTS_OF_ONE} events or {} MiB of events",
            EVENT_BYTES_OF_ONE / (1024 * 1024)
        )));
    }
    let wanted = &address::bare(recipient);
    let recipients = mail.recipients();
    let mut recipients = recipients.iter();
    let recipient = recipients
        .find(|address| address.eq_ignore_ascii_case(wanted))
        .ok_or_else(|| DeliveryError(format!("the mail has no recipient {wanted}")))?;
    let link = match kind {
        EventKind::Click => Some(link_of(mail, link)?),
        _ => None,
    };
    let on_its_way = world
        .transit
        .get(&number)
        .is_some_and(|waiting| waiting.iter().any(|waiting| waiting == recipient));
    check(mail, recipient, kind, on_its_way)?;
    if on_its_way {
        if let Some(waiting) = world.transit.get_mut(&number) {
            waiting.retain(|waiting| waiting != recipient);
        }
        if is_reaction(kind) {
            let delivered = detail(world, recipient, EventKind::Delivered, None);
            record(world, mail, recipient, EventKind::Delivered, delivered);
        }
    }
    let detail = detail(world, recipient, kind, link.as_deref());
    Ok(record(world, mail, recipient, kind, detail))
}

/// Whether the event is an action of a recipient, who must have received the mail.
fn is_reaction(kind: EventKind) -> bool {
    matches!(
        kind,
        EventKind::Open
            | EventKind::Click
            | EventKind::Spam
            | EventKind::Unsubscribe
            | EventKind::Resubscribe
    )
}

/// Checks that an event is possible after the previous ones.
fn check(
    mail: &Mail,
    recipient: &str,
    kind: EventKind,
    on_its_way: bool,
) -> Result<(), DeliveryError> {
    let history = mail.history(recipient);
    let before = |kind| history.contains(&kind);
    let delivered = before(EventKind::Delivered);
    let gone = before(EventKind::Reject) || before(EventKind::HardBounce);
    if !on_its_way && history.is_empty() {
        return Err(DeliveryError(
            "the mail was not sent: it is scheduled for later or was cancelled".to_owned(),
        ));
    }
    let reason = match kind {
        EventKind::Delivered if delivered => "it was already delivered",
        EventKind::Delivered | EventKind::HardBounce | EventKind::SoftBounce if gone => {
            "it has already bounced or was rejected"
        }
        EventKind::Reject if !on_its_way => "it is no longer in transit",
        EventKind::Resubscribe if !before(EventKind::Unsubscribe) => {
            "the recipient has not unsubscribed"
        }
        _ if is_reaction(kind) && !delivered && !on_its_way => "it was not delivered",
        EventKind::Delivered | EventKind::HardBounce | EventKind::SoftBounce => return Ok(()),
        EventKind::Reject => return Ok(()),
        _ if is_reaction(kind) => return Ok(()),
        _ => "this kind of event cannot be made on demand",
    };
    Err(DeliveryError(format!(
        "the mail to {recipient} cannot have the event {}: {reason}",
        kind.webhook_name()
    )))
}

/// Returns the link that is clicked. Default: the first link of the HTML.
fn link_of(mail: &Mail, link: Option<&str>) -> Result<String, DeliveryError> {
    let mut links = mail.each_link();
    match link {
        None => links
            .next()
            .ok_or_else(|| DeliveryError("the mail has no link in its HTML".to_owned())),
        Some(link) if mail.is_mime() || links.any(|known| known == link) => Ok(link.to_owned()),
        Some(link) => Err(DeliveryError(format!("the mail has no link to {link}"))),
    }
}

/// Returns an event's details, named like in the webhook's payload.
fn detail(world: &World, recipient: &str, kind: EventKind, link: Option<&str>) -> Detail {
    let domain = recipient.rsplit_once('@').map_or("", |(_, domain)| domain);
    // Documentation addresses, RFC 5737.
    let host = ("host", format!("mx.{domain} [192.0.2.25]"));
    let say = |message: &str, context: String| {
        let message = ("message", message.to_owned());
        vec![host.clone(), message, ("context", context)]
    };
    let mut reader = vec![
        ("srchost", "192.0.2.77".to_owned()),
        (
            "user-agent",
            "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0".to_owned(),
        ),
        ("client", "Firefox".to_owned()),
        ("client-device", "Other".to_owned()),
        ("client-os", "Linux".to_owned()),
        ("geoip-continent", "OC".to_owned()),
        ("geoip-country", "NZ".to_owned()),
        ("geoip-city", "Dunedin".to_owned()),
    ];
    let now = crate::clock::rfc3339(world.now());
    match kind {
        EventKind::Delivered => say("250 2.0.0 accepted", "end of DATA".to_owned()),
        EventKind::HardBounce => say(
            "550 5.1.1 no such mailbox",
            format!("RCPT TO:<{recipient}>"),
        ),
        EventKind::SoftBounce => say("452 4.2.2 mailbox full", "end of DATA".to_owned()),
        EventKind::Reject => vec![
            ("message", "the service did not deliver the mail".to_owned()),
            ("context", "Unavailable".to_owned()),
        ],
        EventKind::Open => {
            reader.push(("read-secs", "15".to_owned()));
            reader.push(("opened-at", now));
            reader
        }
        EventKind::Click => {
            reader.push(("clicked-at", now));
            reader.push(("url", link.unwrap_or_default().to_owned()));
            reader
        }
        _ => Vec::new(),
    }
}

/// Records an event for a recipient. Depending on its kind, also suppresses the address or lifts the
/// suppression.
fn record(
    world: &mut World,
    mail: &Mail,
    recipient: &str,
    kind: EventKind,
    detail: Detail,
) -> Arc<Event> {
    // The service suppresses an address after a permanent bounce, a complaint or an unsubscription.
    let reason = match kind {
        EventKind::HardBounce => Some("bounce"),
        EventKind::Spam => Some("spam"),
        EventKind::Unsubscribe => Some("unsubscribe"),
        _ => None,
    };
    let account = mail.account();
    if let Some(reason) = reason {
        let mut said = detail.iter();
        let said = said.find(|(name, _)| *name == "message");
        let complaint = said.map_or("", |(_, text)| text.as_str());
        suppress(
            world,
            account,
            recipient,
            reason,
            complaint,
            mail.subject().map(cut),
        );
    }
    if kind == EventKind::Resubscribe {
        let state = &mut world.account_mut(account).suppression;
        state.lift(recipient, "unsubscribe");
    }
    world.record_mail(mail, Some(recipient), kind, detail)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::account::KeyStatus;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    fn history(world: &World) -> Vec<(EventKind, Option<String>)> {
        let events = world.events.iter();
        events
            .map(|event| (event.kind(), event.recipient().map(str::to_owned)))
            .collect()
    }

    #[test]
    fn accepted_mail_is_processed_once_and_delivered_to_each_recipient() {
        let shared = shared(|_| {});
        shared.world().freeze();
        let mail = json!({ "sender": "a@example.com", "to": ["Jane <b@example.net>"],
                           "cc": ["b@example.net", "c@example.net"], "text_body": "Hello" });
        call(&shared, "email_send", &mail).unwrap();
        let mut world = shared.world();
        let start = world.now();
        assert_eq!(history(&world), [(EventKind::Processed, None)]);
        world.advance(TRANSIT);
        let delivered = |to: &str| (EventKind::Delivered, Some(to.to_owned()));
        let expected = [delivered("b@example.net"), delivered("c@example.net")];
        assert_eq!(history(&world)[1..], expected);
        let last = Arc::clone(world.events.iter().last().unwrap());
        assert_eq!(last.time(), start + TRANSIT);
        assert_eq!(last.detail("host"), Some("mx.example.net [192.0.2.25]"));
        assert_eq!(last.id().len(), 32);
    }

    #[test]
    fn mail_of_a_key_with_status_sandbox_is_rejected() {
        let shared = shared(|settings| settings.keys[0].status = KeyStatus::Sandbox);
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "text_body": "x" });
        call(&shared, "email_send", &mail).unwrap();
        let mut world = shared.world();
        world.advance(TRANSIT);
        let rejected = (EventKind::Reject, Some("b@example.net".to_owned()));
        assert_eq!(history(&world), [rejected]);
        assert_eq!(world.mails.len(), 1);
    }
}
