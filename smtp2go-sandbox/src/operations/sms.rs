//! Sends, lists and receives text messages.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::fields::text;
use super::history::has_day;
use super::{Context, Reply};
use crate::account::{AccountId, KeyStatus};
use crate::clock;
use crate::data::Kept;
use crate::due::Job;
use crate::event::EventKind;
use crate::keep::KeptMessage;
use crate::mail::list;
use crate::refusal::Refusal;
use crate::sms::{AcceptedSms, Sms};
use crate::weight::Weight;
use crate::world::World;

/// Default sender: a fictional number.
const NUMBER: &str = "+15555550100";

/// Time between two events of a message.
const STEP: Duration = Duration::from_millis(50);

/// Invented price of a unit in cents.
const CENTS_PER_UNIT: usize = 6;

/// Maximum length of a text in characters. Each destination keeps a copy.
const LONGEST: usize = 10_000;

/// Number of characters in a unit.
const UNIT: usize = 160;

/// Maximum number of digits that are kept of a phone number.
const DIGITS: usize = 32;

/// The state of an account's text messages. Sent messages are in [`World::sms`], received ones in
/// [`World::received`].
#[derive(Debug, Default)]
pub(crate) struct SmsState {
    /// The last event of sent messages, by `message_id`.
    pub(crate) status: BTreeMap<String, EventKind>,
    /// The digits of phone numbers that opted out.
    pub(crate) opted_out: Kept<String, ()>,
}

/// The memory without `status`, which is counted with the messages.
impl Weight for SmsState {
    fn weight(&self) -> usize {
        self.opted_out.weight()
    }
}

/// A message that an account received.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Received {
    account: AccountId,
    message_id: String,
    from: String,
    to: String,
    content: String,
    username: String,
    time: SystemTime,
}

impl Received {
    /// Returns the message in the form of a sent one, for the event of an opt-out. `number` is its
    /// number in the ledger.
    pub(crate) fn answer(&self, number: u64) -> Sms {
        Sms::new(AcceptedSms {
            number,
            message_id: self.message_id.clone(),
            destination: self.from.clone(),
            sender: self.to.clone(),
            content: self.content.clone(),
            accepted: self.time,
            account: self.account,
            username: self.username.clone(),
            withheld: false,
        })
    }
}

impl Weight for Received {
    fn weight(&self) -> usize {
        size_of::<Self>()
            + self.message_id.weight()
            + self.from.weight()
            + self.to.weight()
            + self.content.weight()
            + self.username.weight()
    }
}

/// The next step of a sent message.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
pub(crate) enum SmsStep {
    Reject,
    Submit,
    Arrive {
        submitted: SystemTime,
    },
    /// Its recipient answers STOP.
    Stop,
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "sms_send" => send(context, request),
        "sms_summary" => {
            let span = Span::new(request, context.now(), 0)?;
            let sent = sent(context, request, &span);
            let (mut messages, mut total) = (sent.len(), sent.iter().map(units).sum::<usize>());
            let wanted = request.get("username").and_then(Value::as_str);
            let figures = context.world.figures.iter(context.account);
            for (day, username, _, counts) in figures {
                // Only the day of dropped messages is known.
                if span.has_day(day) && wanted.is_none_or(|wanted| wanted == username) {
                    messages += counts.sms;
                    total += counts.sms_units;
                }
            }
            // Whole cents below 2^53 are exact.
            #[allow(clippy::cast_precision_loss)]
            let cost = (total * CENTS_PER_UNIT) as f64 / 100.0;
            Ok(Reply::Data(json!({
                "total_messages": messages,
                "total_units": total,
                "total_cost": cost,
            })))
        }
        "sms_view_sent" => {
            let span = Span::new(request, context.now(), 7)?;
            let messages = sent(context, request, &span);
            let status = &context.world.account(context.account).sms.status;
            let messages = messages.iter().map(|sms| {
                json!({
                    "id": sms.message_id(),
                    "timestamp": clock::rfc3339(sms.accepted_at()),
                    "username": sms.username(),
                    "sender": sms.sender(),
                    "destination_address": sms.destination(),
                    "destination_address_country": country(sms.destination()),
                    "format": "text",
                    "status": phrase(status.get(sms.message_id())),
                    "content": sms.content(),
                    "units": units(sms),
                })
            });
            let messages: Value = messages.collect();
            let id = context.request_id;
            Ok(Reply::Data(
                json!({ "request_id": id, "messages": messages }),
            ))
        }
        "sms_view_received" => {
            let span = Span::new(request, context.now(), 7)?;
            let username = request.get("username").and_then(Value::as_str);
            let messages = context
                .world
                .received
                .iter()
                .filter(|sms| sms.account == context.account && span.has(sms.time))
                .filter(|sms| username.is_none_or(|username| sms.username == username))
                .map(|sms| {
                    json!({
                        "source_address": sms.from,
                        "destination_address": sms.to,
                        "timestamp": clock::rfc3339(sms.time),
                        "content": sms.content,
                        "message_id": sms.message_id,
                        "username": sms.username,
                    })
                });
            let messages: Value = messages.collect();
            let id = context.request_id;
            Ok(Reply::Data(
                json!({ "request_id": id, "messages": messages }),
            ))
        }
        _ => Ok(Reply::Example),
    }
}

/// Checks a text message beyond the schema.
pub(super) fn check(request: &Value) -> Result<(), Refusal> {
    match text(request, "content") {
        Some("") => Err(Refusal::field("content", "The value is empty.")),
        _ => Ok(()),
    }
}

fn send(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let text = |field: &str| text(request, field).unwrap_or_default();
    let destinations = list(request, "destination")
        .iter()
        .filter_map(Value::as_str);
    for (index, destination) in destinations.clone().enumerate() {
        check_number(destination, &format!("destination[{index}]"))?;
    }
    if text("content").chars().count() > LONGEST {
        return Err(Refusal::field(
            "content",
            format!("The value has more than {LONGEST} characters."),
        ));
    }
    let sender = match text("sender") {
        "" => NUMBER,
        sender => sender,
    };
    let mut messages = Vec::new();
    for destination in destinations {
        let number = context.world.ledger.number();
        let sms = Sms::new(AcceptedSms {
            number,
            message_id: context.world.ids.sms(),
            destination: destination.to_owned(),
            sender: sender.to_owned(),
            content: text("content").to_owned(),
            accepted: context.now(),
            account: context.account,
            username: context.key.short_name().to_owned(),
            withheld: context.key.status == KeyStatus::Sandbox,
        });
        messages.push(json!({
            "destination": destination,
            "message_id": sms.message_id(),
            "status": "queued",
        }));
        let place = context.world.sms.push(sms.clone());
        let message = KeptMessage::Sms(sms.clone(), place);
        context.world.enter(number, message, false);
        begin(context.world, &sms);
    }
    context.world.changed();
    Ok(Reply::Data(json!({
        "statuses": { "queued": messages.len() },
        "total_sent": messages.len(),
        "messages": messages,
    })))
}

fn check_number(number: &str, field: &str) -> Result<(), Refusal> {
    let digits = number.strip_prefix('+').unwrap_or(number);
    // E.164 allows at most 15 digits.
    let good = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    match good {
        true => Ok(()),
        false => Err(Refusal::field(
            field,
            "The value must be a phone number with its country code.",
        )),
    }
}

fn digits(number: &str) -> String {
    number.chars().filter(char::is_ascii_digit).collect()
}

/// Simulates the delivery of a message. The last digits of the number select the outcome: 0002 fails,
/// 0003 is rejected, 0004 answers STOP.
fn begin(world: &mut World, sms: &Sms) {
    let to = digits(sms.destination());
    happen(world, sms, EventKind::SmsSending, None);
    let opted_out = world.account(sms.account()).sms.opted_out.contains(&to);
    let step = match sms.withheld() || opted_out || to.ends_with("0003") {
        true => SmsStep::Reject,
        false => SmsStep::Submit,
    };
    step_later(world, sms.number(), step);
}

fn step_later(world: &mut World, number: u64, step: SmsStep) {
    world.later_for(number, STEP, Job::MoveSms { number, step });
}

/// Takes the step `step` in the delivery of a message, and schedules the next.
pub(crate) fn advance(world: &mut World, number: u64, step: SmsStep) {
    let Some(sms) = world.ledger.sms(number) else {
        return;
    };
    let to = digits(sms.destination());
    match step {
        SmsStep::Reject => happen(world, &sms, EventKind::SmsRejected, None),
        SmsStep::Submit => {
            let submitted = world.now();
            happen(world, &sms, EventKind::SmsSubmitted, Some(submitted));
            step_later(world, number, SmsStep::Arrive { submitted });
        }
        SmsStep::Arrive { submitted } => {
            let kind = match to.ends_with("0002") {
                true => EventKind::SmsFailed,
                false => EventKind::SmsDelivered,
            };
            happen(world, &sms, kind, Some(submitted));
            if to.ends_with("0004") {
                step_later(world, number, SmsStep::Stop);
            }
        }
        SmsStep::Stop => {
            let (from, to) = (sms.destination(), sms.sender());
            receive(world, sms.account(), from, to, "STOP");
        }
    }
}

fn happen(world: &mut World, sms: &Sms, kind: EventKind, submitted: Option<SystemTime>) {
    let status = &mut world.account_mut(sms.account()).sms.status;
    status.insert(sms.message_id().to_owned(), kind);
    let submitted = submitted.map(|time| ("submitted_timestamp", clock::rfc3339(time)));
    world.record_sms(sms, kind, submitted.into_iter().collect());
}

/// Records a message to the account. The content STOP, or a similar word, opts the number `from` out.
pub(crate) fn receive(world: &mut World, account: AccountId, from: &str, to: &str, content: &str) {
    let message_id = world.ids.sms();
    let number = world.ledger.number();
    let is_answer_to = |sms: &&Sms| {
        sms.account() == account
            && digits(sms.destination()) == digits(from)
            && digits(sms.sender()) == digits(to)
    };
    let conversation = world.sms.iter().rev().find(is_answer_to);
    let username = conversation.map(|sms| sms.username().to_owned());
    let username = username.unwrap_or_default();
    let received = Received {
        account,
        message_id,
        from: from.to_owned(),
        to: to.to_owned(),
        content: content.to_owned(),
        username,
        time: world.now(),
    };
    let weight = received.weight();
    let place = world.received.push(received);
    world.enter(number, KeptMessage::Received(place), false);
    world.ledger.charge(number, weight);
    let word = content.trim().to_ascii_uppercase();
    if ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"].contains(&word.as_str()) {
        let opted_out: String = digits(from).chars().take(DIGITS).collect();
        let weight = 2 * size_of::<String>() + opted_out.weight();
        if !world.is_state_full(weight) {
            world
                .account_mut(account)
                .sms
                .opted_out
                .insert(opted_out, ());
            world.add_state(weight);
        }
        let answer = world.received[place].answer(number);
        world.record_sms(&answer, EventKind::SmsOptOut, Vec::new());
    }
    world.changed();
}

/// A range of times. `end` is excluded.
struct Span {
    start: SystemTime,
    /// `None` for a range up to and including now.
    end: Option<SystemTime>,
}

impl Span {
    /// Reads the range of a request. Default start: the start of the day `days` ago.
    fn new(request: &Value, now: SystemTime, days: u64) -> Result<Self, Refusal> {
        let date = |field: &str| match request.get(field).and_then(Value::as_str) {
            None => Ok(None),
            Some(text) => match clock::parse(text) {
                None => Err(Refusal::field(field, "The value must be a date.")),
                time => Ok(time),
            },
        };
        let unix = |field: &str| {
            let seconds = request.get(field).and_then(Value::as_u64);
            seconds.map(|seconds| clock::after(UNIX_EPOCH, Duration::from_secs(seconds)))
        };
        let start = date("start_date")?.or_else(|| unix("unix_start"));
        Ok(Self {
            start: start.unwrap_or_else(|| clock::day_start(now, days)),
            end: date("end_date")?.or_else(|| unix("unix_end")),
        })
    }

    fn has(&self, time: SystemTime) -> bool {
        time >= self.start && self.end.is_none_or(|end| time < end)
    }

    fn has_day(&self, day: u64) -> bool {
        has_day(self.start, self.end, day)
    }
}

/// Returns the messages that the account sent in a time range, filtered by the request's username.
fn sent(context: &Context<'_>, request: &Value, span: &Span) -> Vec<Sms> {
    let username = request.get("username").and_then(Value::as_str);
    let all = context.world.sms.iter();
    all.filter(|sms| sms.account() == context.account && span.has(sms.accepted_at()))
        .filter(|sms| username.is_none_or(|username| sms.username() == username))
        .cloned()
        .collect()
}

pub(crate) fn units(sms: &Sms) -> usize {
    sms.content().chars().count().div_ceil(UNIT).max(1)
}

/// The status texts of `/sms/view-sent`. Only one of them is documented.
fn phrase(status: Option<&EventKind>) -> &'static str {
    match status {
        Some(EventKind::SmsSubmitted) => "Handed to the carrier",
        Some(EventKind::SmsDelivered | EventKind::SmsOptOut) => "Arrived on the phone",
        Some(EventKind::SmsFailed) => "Failed",
        Some(EventKind::SmsRejected) => "Rejected",
        _ => "Sending",
    }
}

/// The two-letter country of a phone number. Empty if its country code is not in the list.
pub(crate) fn country(number: &str) -> &'static str {
    const CODES: &[(&str, &str)] = &[
        ("1", "US"),
        ("27", "ZA"),
        ("30", "GR"),
        ("31", "NL"),
        ("32", "BE"),
        ("33", "FR"),
        ("34", "ES"),
        ("351", "PT"),
        ("353", "IE"),
        ("358", "FI"),
        ("36", "HU"),
        ("39", "IT"),
        ("40", "RO"),
        ("41", "CH"),
        ("420", "CZ"),
        ("43", "AT"),
        ("44", "GB"),
        ("45", "DK"),
        ("46", "SE"),
        ("47", "NO"),
        ("48", "PL"),
        ("49", "DE"),
        ("52", "MX"),
        ("55", "BR"),
        ("61", "AU"),
        ("62", "ID"),
        ("63", "PH"),
        ("64", "NZ"),
        ("65", "SG"),
        ("81", "JP"),
        ("82", "KR"),
        ("86", "CN"),
        ("90", "TR"),
        ("91", "IN"),
    ];
    let digits = digits(number);
    let mut codes = CODES.iter();
    let found = codes.find(|(code, _)| digits.starts_with(code));
    found.map_or("", |(_, country)| country)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    #[test]
    fn last_digits_of_a_number_select_the_outcome_of_a_message() {
        let shared = shared(|_| {});
        shared.world().freeze();
        let all = [
            "+15555550123",
            "15555550002",
            "+64200000003",
            "+64200000004",
        ];
        let request = json!({ "destination": all, "content": "Hello" });
        call(&shared, "sms_send", &request).unwrap();
        shared.world().advance(STEP * 4);
        // The last number has opted out.
        let request = json!({ "destination": ["64200000004"], "content": "x".repeat(161) });
        call(&shared, "sms_send", &request).unwrap();
        let mut world = shared.world();
        world.advance(STEP * 4);
        let words = |number: &str| -> Vec<_> {
            let events = world.events.iter().filter_map(|event| {
                let same = digits(event.sms()?.destination()) == digits(number);
                same.then(|| event.kind().webhook_name())
            });
            events.collect()
        };
        let sent = ["sms_sending", "sms_submitted"];
        assert_eq!(words(all[0]), [&sent[..], &["sms_delivered"]].concat());
        assert_eq!(words(all[1]), [&sent[..], &["sms_failed"]].concat());
        assert_eq!(words(all[2]), ["sms_sending", "sms_rejected"]);
        let stop = ["sms_delivered", "opt-out", "sms_sending", "sms_rejected"];
        assert_eq!(words(all[3]), [&sent[..], &stop].concat());
        drop(world);

        let data = |operation: &str, request: &Value| match call(&shared, operation, request) {
            Ok(Reply::Data(data)) => data,
            other => panic!("{other:?}"),
        };
        let summary = data("sms_summary", &json!({}));
        let expected = json!({ "total_messages": 5, "total_units": 6, "total_cost": 0.36 });
        assert_eq!(summary, expected);
        let sent = data("sms_view_sent", &json!({}));
        let sent: Vec<_> = sent["messages"].as_array().unwrap().iter().collect();
        assert_eq!(sent[0]["destination_address_country"], "US");
        assert_eq!(sent[1]["status"], "Failed");
        assert_eq!(sent[4]["units"], 2);
        let received = data("sms_view_received", &json!({}));
        assert_eq!(received["messages"][0]["content"], "STOP");
        assert_eq!(received["messages"][0]["username"], "api-SANDBOX0SAND");
        for (filter, count) in [
            (json!({ "username": "other" }), 0),
            (json!({ "username": "api-SANDBOX0SAND" }), 5),
            (json!({ "end_date": "2020-01-01" }), 0),
            (json!({ "start_date": "2020-01-01" }), 5),
        ] {
            let sent = data("sms_view_sent", &filter);
            assert_eq!(
                sent["messages"].as_array().unwrap().len(),
                count,
                "{filter}"
            );
        }
    }

    #[test]
    fn phone_number_without_a_country_code_is_refused() {
        let shared = shared(|_| {});
        for wrong in ["", "+", "0123", "+1 555", "1555555012345678", "abc"] {
            let request = json!({ "destination": ["+15555550123", wrong], "content": "x" });
            let refusal = call(&shared, "sms_send", &request).unwrap_err();
            assert_eq!(refusal.field.unwrap().field, "destination[1]", "{wrong}");
        }
        assert_eq!(shared.world().sms.len(), 0);
    }
}
