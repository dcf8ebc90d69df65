//! The rule: from a mail's row and what is known now to the next step. Pure; nothing else changes the
//! state of a mail.
//!
//! Three facts make it safe:
//! - `sending` is committed before the first byte is sent, so a row in any other state has no attempt
//!   under way that could begin.
//! - Each attempt has a fence, which no other attempt of any mail has. What an attempt reports counts
//!   only while the row has its fence. A worker that was asleep reports about an attempt that is over;
//!   if the row still has its fence, nobody has tried since, and the report is the truth.
//! - Only a look-up that proves an attempt's failure leads from `unknown` to `queued`.

use std::time::{Duration, SystemTime};

use crate::record::{Record, State};

/// What is known besides the row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Known {
    /// Nothing.
    Nothing,
    /// How the attempt with this fence ended.
    Attempt(i64, Outcome),
    /// The result of a look-up that began while the row had this fence.
    LookUp(i64, Found),
    /// A webhook event about the mail.
    Event(EventFacts),
    /// What a person asks for.
    Request(Request),
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The API accepted the mail.
    Accepted {
        email_id: Option<String>,
        schedule_id: Option<String>,
    },
    /// Nothing was accepted, and the same mail can be accepted later.
    NotSent {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The API refused this mail.
    Refused { reason: String, error: String },
    /// The mail can't be sent as it is: it is invalid, or a file is missing.
    Unfit { reason: String, error: String },
    /// The mail may have been accepted.
    Unknown { reason: String },
}

/// The result of a look-up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Found {
    Sent {
        email_id: Option<String>,
    },
    NotYet {
        look_again_at: SystemTime,
    },
    Absent,
    /// The activity does not go back to the attempt.
    TooOld,
    /// The search failed.
    Failed {
        reason: String,
        look_again_at: SystemTime,
    },
}

/// What a webhook event says about a mail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventFacts {
    /// The state that the event proves: `Sent` or a later one.
    pub(crate) proves: State,
    pub(crate) name: String,
    pub(crate) email_id: Option<String>,
}

/// A request of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Retry,
    Hold,
    Cancel,
}

/// What to do with a mail that the look-up proves not to have been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAbsent {
    /// Send it again, at most this many times; then hold it.
    Resend {
        /// Maximum number of times.
        at_most: u32,
    },
    /// Hold it for a person.
    Hold,
}

/// The settings of the rule.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) on_absent: OnAbsent,
    /// From an attempt's end to the first look-up.
    pub(crate) look_up_after: Duration,
    pub(crate) backoff: (Duration, Duration),
    /// From 0 to 1, drawn for each decision.
    pub(crate) jitter: f64,
}

/// The next step for a mail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Nothing: the mail is done, waits for a person, or the news is about another attempt.
    Nothing,
    /// Nothing before this time.
    Wait(SystemTime),
    /// Claim it and send it.
    Claim,
    /// Look it up in the activity.
    LookUp,
    /// Write this, if fence and state are still the row's.
    Write(Change),
}

/// A change of a row. `None` keeps the value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Change {
    pub(crate) state: State,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) look_at: Option<SystemTime>,
    pub(crate) resends: Option<u32>,
    pub(crate) email_id: Option<String>,
    pub(crate) schedule_id: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) event: Option<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            on_absent: OnAbsent::Resend { at_most: 3 },
            look_up_after: Duration::from_secs(120),
            backoff: (Duration::from_secs(5), Duration::from_secs(600)),
            jitter: 0.5,
        }
    }
}

impl Change {
    pub(crate) fn to(state: State) -> Self {
        Self {
            state,
            not_before: None,
            look_at: None,
            resends: None,
            email_id: None,
            schedule_id: None,
            reason: None,
            error: None,
            event: None,
        }
    }

    /// Whether the API has accepted the mail, so that its content is no longer needed.
    pub(crate) fn is_accepted(&self) -> bool {
        let by_state = accepted_rank(self.state).is_some() && self.state != State::Rejected;
        by_state || self.event.is_some()
    }

    fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }
}

/// Decides the next step for a mail at the time `now` of the database.
pub(crate) fn decide(record: &Record, known: Known, policy: &Policy, now: SystemTime) -> Action {
    match known {
        Known::Nothing => by_time(record, policy, now),
        Known::Attempt(fence, outcome) if fence == record.fence => {
            after_attempt(record, outcome, policy, now)
        }
        Known::LookUp(fence, found) if fence == record.fence => {
            after_look_up(record, found, policy, now)
        }
        Known::Attempt(..) | Known::LookUp(..) => Action::Nothing,
        Known::Event(event) => after_event(record, event),
        Known::Request(request) => on_request(record, request, now),
    }
}

fn by_time(record: &Record, policy: &Policy, now: SystemTime) -> Action {
    let from = |time: SystemTime, action: Action| match time > now {
        true => Action::Wait(time),
        false => action,
    };
    match record.state {
        State::Queued => from(record.not_before, Action::Claim),
        State::Sending => {
            let over = record.lease_until.unwrap_or(now);
            let unknown = Change {
                look_at: Some(later(over, policy.look_up_after)),
                ..Change::to(State::Unknown).because("lease_expired")
            };
            from(over, Action::Write(unknown))
        }
        State::Unknown => from(record.look_at.unwrap_or(now), Action::LookUp),
        _ => Action::Nothing,
    }
}

fn after_attempt(record: &Record, outcome: Outcome, policy: &Policy, now: SystemTime) -> Action {
    let open = matches!(record.state, State::Sending | State::Unknown);
    let change = match outcome {
        // Counts in every state that could lead to another attempt.
        Outcome::Accepted {
            email_id,
            schedule_id,
        } if !record.state.is_final() => Change {
            email_id,
            schedule_id,
            ..Change::to(State::Sent)
        },
        Outcome::NotSent {
            reason,
            retry_after,
        } if open => {
            let wait = backoff(record.attempts, policy).max(retry_after.unwrap_or_default());
            Change {
                not_before: Some(later(now, wait)),
                ..Change::to(State::Queued).because(&reason)
            }
        }
        Outcome::Refused { reason, error } if open => Change {
            error: Some(error),
            ..Change::to(State::Rejected).because(&reason)
        },
        Outcome::Unfit { reason, error } if open => Change {
            error: Some(error),
            ..Change::to(State::Held).because(&reason)
        },
        Outcome::Unknown { reason } if record.state == State::Sending => Change {
            look_at: Some(later(now, policy.look_up_after)),
            ..Change::to(State::Unknown).because(&reason)
        },
        _ => return Action::Nothing,
    };
    Action::Write(change)
}

fn after_look_up(record: &Record, found: Found, policy: &Policy, now: SystemTime) -> Action {
    if record.state != State::Unknown {
        return Action::Nothing;
    }
    Action::Write(match found {
        Found::Sent { email_id } => Change {
            email_id,
            ..Change::to(State::Sent).because("found")
        },
        Found::NotYet { look_again_at } => Change {
            look_at: Some(look_again_at),
            ..Change::to(State::Unknown)
        },
        Found::Failed {
            reason,
            look_again_at,
        } => Change {
            look_at: Some(look_again_at),
            ..Change::to(State::Unknown).because(&reason)
        },
        Found::TooOld => Change::to(State::Held).because("too_old"),
        Found::Absent => match policy.on_absent {
            OnAbsent::Resend { at_most } if record.resends < at_most => Change {
                not_before: Some(now),
                resends: Some(record.resends.saturating_add(1)),
                ..Change::to(State::Queued).because("absent")
            },
            OnAbsent::Resend { .. } | OnAbsent::Hold => Change::to(State::Held).because("absent"),
        },
    })
}

/// An event proves that the mail was accepted, whatever the row says. The most serious state counts, so
/// events can come in any order, and twice.
fn after_event(record: &Record, event: EventFacts) -> Action {
    let before = record.sent_at.and_then(|_| accepted_rank(record.state));
    let state = match before {
        Some(rank) if Some(rank) >= accepted_rank(event.proves) => record.state,
        _ => event.proves,
    };
    let email_id = event.email_id.filter(|_| record.email_id.is_none());
    if before.is_some() && state == record.state && email_id.is_none() {
        return Action::Nothing;
    }
    Action::Write(Change {
        email_id,
        event: Some(event.name),
        ..Change::to(state)
    })
}

fn on_request(record: &Record, request: Request, now: SystemTime) -> Action {
    Action::Write(match (request, record.state) {
        // After an event refused it, the mail was accepted all the same: it must not be sent again.
        (Request::Retry, State::Rejected) if record.sent_at.is_some() => return Action::Nothing,
        (Request::Retry, State::Held | State::Rejected | State::Cancelled) => Change {
            not_before: Some(now),
            resends: Some(0),
            ..Change::to(State::Queued).because("retried")
        },
        (Request::Hold, State::Queued | State::Unknown) => Change::to(State::Held).because("held"),
        (Request::Cancel, State::Queued | State::Held) => {
            Change::to(State::Cancelled).because("cancelled")
        }
        _ => return Action::Nothing,
    })
}

/// The order of the states of an accepted mail. `Rejected` is one of them only if the mail has been
/// accepted.
fn accepted_rank(state: State) -> Option<u8> {
    match state {
        State::Sent => Some(0),
        State::Delivered => Some(1),
        State::Bounced => Some(2),
        State::Rejected => Some(3),
        State::Complained => Some(4),
        _ => None,
    }
}

/// Exponential from the first duration, capped at the second, with the upper half drawn at random.
fn backoff(attempts: u32, policy: &Policy) -> Duration {
    let (first, most) = policy.backoff;
    let doublings = attempts.saturating_sub(1).min(31);
    let full = first.saturating_mul(1 << doublings).min(most.max(first));
    full.mul_f64(0.5 + policy.jitter.clamp(0.0, 1.0) / 2.0)
}

/// Saturates, so that no setting overflows the clock.
fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by).unwrap_or(time)
}
