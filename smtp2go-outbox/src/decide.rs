//! Decides the next step for a mail, from its row and the latest news about it. The functions are pure. Except
//! for a claim, each change of a mail's state is decided here.
//!
//! Three facts make it safe:
//! - A worker commits `sending` before it sends the first byte. So no attempt begins to send a mail whose row
//!   is in another state.
//! - Each attempt has a fence, a number that no other attempt of any mail has. The report of an
//!   attempt counts only while the row has the attempt's fence. A worker that was suspended may
//!   report late: if the row still has the fence, no other attempt began, and the report is valid.
//! - After an attempt with an unknown outcome, only its own report, or a look-up that proves
//!   absence, changes `unknown` to `queued`.

use std::time::{Duration, SystemTime};

use crate::record::{Record, State};
use crate::time::later;

/// Largest expected difference between the clocks of the database and of the API, when an event is compared with
/// the time at which a mail was queued.
const EVENT_MARGIN: Duration = Duration::from_secs(300);

/// The news about a mail, in addition to its row.
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
    /// A request of an operator.
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
    /// The API did not accept the mail, and may accept it later.
    NotSent {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// The API refused this mail.
    Refused { reason: String, error: String },
    /// The mail can't be sent as it is: it is invalid, or a file is missing.
    Unfit { reason: String, error: String },
    /// The mail's `not_after` had passed before the send.
    Expired,
    /// The API may have accepted the mail.
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
    /// The activity no longer covers the time of the attempt.
    TooOld,
    /// The search failed.
    Failed {
        reason: String,
        look_again_at: SystemTime,
    },
}

/// The facts of a webhook event about a mail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventFacts {
    /// The state that the event proves: `Sent` or a later one.
    pub(crate) proves: State,
    pub(crate) name: String,
    pub(crate) email_id: Option<String>,
    /// When the mail was sent, if the event says so.
    pub(crate) sent_at: Option<SystemTime>,
}

/// A request of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Retry,
    /// Sends the mail again, even if it may have been sent.
    Resend,
    Hold,
    LookUp,
    Cancel,
    Erase,
}

/// What to do with a mail after a look-up proved that it was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAbsent {
    /// Send it again, up to `at_most` times; then hold it.
    Resend {
        /// Maximum number of times that a mail is sent again.
        at_most: u32,
    },
    /// Hold it until an operator decides.
    Hold,
}

/// The settings that decisions depend on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) on_absent: OnAbsent,
    /// Time from the end of an attempt to the first look-up.
    pub(crate) look_up_after: Duration,
    pub(crate) backoff: (Duration, Duration),
    /// A number from 0 to 1, drawn at random for each decision.
    pub(crate) jitter: f64,
}

/// The next step for a mail.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Nothing: the mail is done, an operator must decide, or the news is about another attempt.
    Nothing,
    /// Do nothing with the mail before this time.
    Wait(SystemTime),
    /// Claim it and send it.
    Claim,
    /// Look it up in the activity.
    LookUp,
    /// Write this change, if the row still has the fence and the state.
    Write(Change),
}

/// A change of a row. A field that is `None` keeps its value.
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
    /// Whether the mail holds a rate-limit permit for the time `not_before`.
    pub(crate) reserved: bool,
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
            reserved: false,
        }
    }

    /// Returns whether the API has accepted the mail, so that its content is no longer needed.
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
        State::Queued if is_expired(record, now) => Action::Write(expired()),
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
        // Counts in every state, even if an operator has cancelled the mail meanwhile.
        Outcome::Accepted {
            email_id,
            schedule_id,
        } if record.sent_at.is_none() => Change {
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
                // The attempt did not use the permit.
                reserved: true,
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
        Outcome::Expired if open => expired(),
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

/// Decides the change after an event. An event of the mail proves that the API accepted it,
/// whatever the state of the row is. The most serious state is kept, so events may arrive in any
/// order and more than once.
fn after_event(record: &Record, event: EventFacts) -> Action {
    // The event is about another mail with the same key: an older mail, or a mail of another outbox.
    let is_older = event
        .sent_at
        .is_some_and(|sent_at| later(sent_at, EVENT_MARGIN) < record.created_at);
    let is_other = match (&event.email_id, &record.email_id) {
        (Some(event), Some(record)) => event != record,
        _ => false,
    };
    if record.fence == 0 || is_older || is_other {
        return Action::Nothing;
    }
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
        // An event of the kind `reject` also proves that the API accepted the mail: it must not be sent again.
        (Request::Retry | Request::Resend, State::Rejected) if record.sent_at.is_some() => {
            return Action::Nothing;
        }
        (Request::Retry | Request::Resend, _) if is_expired(record, now) => return Action::Nothing,
        (Request::Retry, _) if record.unknown_since.is_some() => return Action::Nothing,
        (Request::Retry | Request::Resend, State::Held | State::Rejected | State::Cancelled) => {
            Change {
                not_before: Some(record.not_before.max(now)),
                resends: Some(0),
                ..Change::to(State::Queued).because("retried")
            }
        }
        (Request::Hold, State::Queued | State::Unknown) => Change::to(State::Held).because("held"),
        (Request::LookUp, State::Held) if record.unknown_since.is_some() => Change {
            look_at: Some(now),
            ..Change::to(State::Unknown)
        },
        (Request::Cancel, State::Queued | State::Held) => {
            Change::to(State::Cancelled).because("cancelled")
        }
        (Request::Erase, State::Queued | State::Held) => {
            Change::to(State::Cancelled).because("erased")
        }
        _ => return Action::Nothing,
    })
}

/// Returns whether the mail's `not_after` has passed.
pub(crate) fn is_expired(record: &Record, now: SystemTime) -> bool {
    record.not_after.is_some_and(|end| end <= now)
}

fn expired() -> Change {
    Change::to(State::Cancelled).because("expired")
}

/// Returns how serious a state of an accepted mail is, and `None` for other states. Before the call, check for
/// `Rejected` that `sent_at` is set: the API can also refuse a mail without having accepted it.
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

/// Returns the wait before the next attempt. It doubles with each attempt, from the first to the second duration
/// of `policy.backoff`, and is shortened at random by up to half.
fn backoff(attempts: u32, policy: &Policy) -> Duration {
    let (first, most) = policy.backoff;
    let doublings = attempts.saturating_sub(1).min(31);
    let full = first.saturating_mul(1 << doublings).min(most.max(first));
    full.mul_f64(0.5 + policy.jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;
    use crate::record::Priority;

    const FENCE: i64 = 7;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A row in its third attempt. The lease lasts from 80 to 110 seconds after 1970, and the time
    /// is 100.
    fn row(state: State) -> Record {
        Record {
            key: "k".to_owned(),
            state,
            tenant: String::new(),
            priority: Priority::Normal,
            not_before: at(50),
            not_after: None,
            sender: None,
            schedule: None,
            attempts: 3,
            resends: 1,
            fence: FENCE,
            owner: None,
            attempt_since: Some(at(80)),
            unknown_since: None,
            lease_until: Some(at(110)),
            look_at: Some(at(90)),
            email_id: None,
            schedule_id: None,
            reason: None,
            error: None,
            event: None,
            created_at: at(1),
            updated_at: at(80),
            sent_at: None,
            has_mail: true,
            reserved: false,
        }
    }

    fn accepted_row(state: State) -> Record {
        Record {
            email_id: Some("id".to_owned()),
            sent_at: Some(at(95)),
            ..row(state)
        }
    }

    fn policy(on_absent: OnAbsent) -> Policy {
        Policy {
            on_absent,
            look_up_after: Duration::from_secs(20),
            backoff: (Duration::from_secs(10), Duration::from_secs(300)),
            jitter: 1.0,
        }
    }

    const RESEND: OnAbsent = OnAbsent::Resend { at_most: 2 };

    /// Returns a short text of an action: `wait 110`, `sent`, `queued at 140`.
    fn short(action: &Action) -> String {
        let since = |time: &SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_secs();
        match action {
            Action::Nothing => "nothing".to_owned(),
            Action::Wait(time) => format!("wait {}", since(time)),
            Action::Claim => "claim".to_owned(),
            Action::LookUp => "look up".to_owned(),
            Action::Write(change) => {
                let mut text = change.state.to_string();
                for time in [&change.not_before, &change.look_at].into_iter().flatten() {
                    text += &format!(" at {}", since(time));
                }
                if let Some(reason) = &change.reason {
                    text += &format!(" because {reason}");
                }
                text
            }
        }
    }

    fn accepted() -> Outcome {
        Outcome::Accepted {
            email_id: Some("id".to_owned()),
            schedule_id: None,
        }
    }

    fn not_sent(retry_after: u64) -> Outcome {
        Outcome::NotSent {
            reason: "connect".to_owned(),
            retry_after: Some(Duration::from_secs(retry_after)),
        }
    }

    fn refused() -> Outcome {
        Outcome::Refused {
            reason: "code".to_owned(),
            error: "text".to_owned(),
        }
    }

    fn unfit() -> Outcome {
        Outcome::Unfit {
            reason: "validation".to_owned(),
            error: "text".to_owned(),
        }
    }

    fn unknown() -> Outcome {
        Outcome::Unknown {
            reason: "timeout".to_owned(),
        }
    }

    fn event(proves: State) -> Known {
        Known::Event(EventFacts {
            proves,
            name: proves.to_string(),
            email_id: Some("id".to_owned()),
            sent_at: Some(at(90)),
        })
    }

    #[test]
    fn due_action_depends_on_state_and_time() {
        let later = |mut record: Record| {
            record.not_before = at(130);
            record.lease_until = Some(at(99));
            record.look_at = Some(at(140));
            record
        };
        for (state, first, second) in [
            (State::Queued, "claim", "wait 130"),
            (
                State::Sending,
                "wait 110",
                "unknown at 119 because lease_expired",
            ),
            (State::Unknown, "look up", "wait 140"),
            (State::Held, "nothing", "nothing"),
            (State::Sent, "nothing", "nothing"),
            (State::Rejected, "nothing", "nothing"),
            (State::Cancelled, "nothing", "nothing"),
        ] {
            for (record, expected) in [(row(state), first), (later(row(state)), second)] {
                let action = decide(&record, Known::Nothing, &policy(RESEND), at(100));
                assert_eq!(short(&action), expected, "{state}");
            }
        }
    }

    #[test]
    fn queued_mail_past_its_not_after_is_cancelled() {
        for (state, not_after, expected) in [
            (State::Queued, 101, "claim"),
            (State::Queued, 100, "cancelled because expired"),
            // An attempt may have sent it.
            (State::Sending, 100, "wait 110"),
            (State::Unknown, 100, "look up"),
            (State::Held, 100, "nothing"),
        ] {
            let record = Record {
                not_after: Some(at(not_after)),
                ..row(state)
            };
            let action = decide(&record, Known::Nothing, &policy(RESEND), at(100));
            assert_eq!(short(&action), expected, "{state} {not_after}");
        }
    }

    #[test]
    fn attempt_outcome_counts_only_with_its_fence() {
        use State::*;
        // Backoff: 10 s, doubled twice before the third attempt.
        let queued = "queued at 140 because connect";
        let rejected = "rejected because code";
        let held = "held because validation";
        let expired = "cancelled because expired";
        let lost = "unknown at 120 because timeout";
        let no = "nothing";
        for (state, outcomes) in [
            (Sending, ["sent", queued, rejected, held, expired, lost]),
            (Unknown, ["sent", queued, rejected, held, expired, no]),
            // The look-up was wrong, or an operator acted: an accepted mail must not be sent again.
            (Queued, ["sent", no, no, no, no, no]),
            (Held, ["sent", no, no, no, no, no]),
            (Cancelled, ["sent", no, no, no, no, no]),
            (Rejected, ["sent", no, no, no, no, no]),
            (Sent, [no; 6]),
            (Delivered, [no; 6]),
            (Bounced, [no; 6]),
            (Complained, [no; 6]),
        ] {
            let row = |state| match state {
                Sent | Delivered | Bounced | Complained => accepted_row(state),
                _ => row(state),
            };
            let all = [
                accepted(),
                not_sent(0),
                refused(),
                unfit(),
                Outcome::Expired,
                unknown(),
            ];
            for (outcome, expected) in all.into_iter().zip(outcomes) {
                let known = Known::Attempt(FENCE, outcome.clone());
                let action = decide(&row(state), known, &policy(RESEND), at(100));
                assert_eq!(short(&action), expected, "{state} {outcome:?}");
                for stale in [FENCE - 1, FENCE + 1] {
                    let known = Known::Attempt(stale, outcome.clone());
                    let action = decide(&row(state), known, &policy(RESEND), at(100));
                    assert_eq!(action, Action::Nothing, "{state} {outcome:?} of another");
                }
            }
        }
    }

    #[test]
    fn look_up_counts_only_for_an_unknown_mail_with_its_fence() {
        let look_again_at = at(160);
        let sent = Found::Sent { email_id: None };
        let not_yet = Found::NotYet { look_again_at };
        let failed = Found::Failed {
            reason: "look_up_status".to_owned(),
            look_again_at,
        };
        let tried = |resends| Record {
            resends,
            ..row(State::Unknown)
        };
        for (resends, found, on_absent, expected) in [
            (1, sent.clone(), RESEND, "sent because found"),
            (1, not_yet, RESEND, "unknown at 160"),
            (1, failed, RESEND, "unknown at 160 because look_up_status"),
            (1, Found::TooOld, RESEND, "held because too_old"),
            (1, Found::Absent, RESEND, "queued at 100 because absent"),
            (2, Found::Absent, RESEND, "held because absent"),
            (0, Found::Absent, OnAbsent::Hold, "held because absent"),
        ] {
            let known = Known::LookUp(FENCE, found.clone());
            let action = decide(&tried(resends), known, &policy(on_absent), at(100));
            assert_eq!(short(&action), expected, "{found:?} after {resends}");
            for (fence, state) in [
                (FENCE + 1, State::Unknown),
                (FENCE, State::Sending),
                (FENCE, State::Queued),
                (FENCE, State::Held),
                (FENCE, State::Sent),
            ] {
                let known = Known::LookUp(fence, found.clone());
                let action = decide(&row(state), known, &policy(on_absent), at(100));
                assert_eq!(action, Action::Nothing, "{found:?} in {state}");
            }
        }
        let known = Known::LookUp(FENCE, Found::Absent);
        let Action::Write(change) = decide(&tried(1), known, &policy(RESEND), at(100)) else {
            panic!("nothing is written");
        };
        assert_eq!(change.resends, Some(2));
    }

    #[test]
    fn events_prove_acceptance_in_any_order() {
        use State::*;
        for (record, proves, expected) in [
            (row(Queued), Sent, "sent"),
            (row(Sending), Sent, "sent"),
            (row(Unknown), Delivered, "delivered"),
            (row(Held), Bounced, "bounced"),
            (row(Cancelled), Sent, "sent"),
            // Refused by the API, but there is an event.
            (row(Rejected), Sent, "sent"),
            (accepted_row(Sent), Sent, "nothing"),
            (accepted_row(Sent), Delivered, "delivered"),
            (accepted_row(Delivered), Sent, "nothing"),
            (accepted_row(Delivered), Bounced, "bounced"),
            (accepted_row(Bounced), Delivered, "nothing"),
            (accepted_row(Bounced), Rejected, "rejected"),
            (accepted_row(Rejected), Sent, "nothing"),
            (accepted_row(Rejected), Complained, "complained"),
            (accepted_row(Complained), Bounced, "nothing"),
        ] {
            let action = decide(&record, event(proves), &policy(RESEND), at(100));
            assert_eq!(short(&action), expected, "{} {proves}", record.state);
        }
    }

    #[test]
    fn event_about_another_mail_with_the_same_key_changes_nothing() {
        let known = |email_id: &str, sent_at: Option<u64>| {
            Known::Event(EventFacts {
                proves: State::Delivered,
                name: "open".to_owned(),
                email_id: Some(email_id.to_owned()),
                sent_at: sent_at.map(at),
            })
        };
        let queued_at = |seconds, fence| Record {
            created_at: at(seconds),
            fence,
            ..row(State::Unknown)
        };
        for (record, known, expected) in [
            (queued_at(1000, FENCE), known("id", Some(700)), "delivered"),
            (queued_at(1000, FENCE), known("id", None), "delivered"),
            // Sent before the mail was queued, or by another outbox.
            (queued_at(1000, FENCE), known("id", Some(699)), "nothing"),
            (queued_at(1000, 0), known("id", None), "nothing"),
            (accepted_row(State::Sent), known("id", None), "delivered"),
            (accepted_row(State::Sent), known("other", None), "nothing"),
        ] {
            let action = decide(&record, known, &policy(RESEND), at(2000));
            assert_eq!(short(&action), expected, "{record:?}");
        }
    }

    #[test]
    fn retry_keeps_a_later_not_before_and_the_not_after() {
        let held = |not_before, not_after: Option<u64>| Record {
            not_before: at(not_before),
            not_after: not_after.map(at),
            ..row(State::Held)
        };
        for (record, expected) in [
            (held(50, None), "queued at 100 because retried"),
            (held(500, None), "queued at 500 because retried"),
            (held(50, Some(101)), "queued at 100 because retried"),
            (held(50, Some(100)), "nothing"),
        ] {
            let known = Known::Request(Request::Retry);
            let action = decide(&record, known, &policy(RESEND), at(100));
            assert_eq!(short(&action), expected, "{record:?}");
        }
    }

    #[test]
    fn unsent_mail_keeps_its_permit() {
        for (outcome, reserved) in [(not_sent(0), true), (unknown(), false)] {
            let known = Known::Attempt(FENCE, outcome);
            let action = decide(&row(State::Sending), known, &policy(RESEND), at(100));
            assert!(matches!(action, Action::Write(change) if change.reserved == reserved));
        }
    }

    #[test]
    fn request_changes_a_mail_only_in_states_that_allow_it() {
        use State::*;
        let (retried, held, again, cancelled, erased, no) = (
            "queued at 100 because retried",
            "held because held",
            "unknown at 100",
            "cancelled because cancelled",
            "cancelled because erased",
            "nothing",
        );
        for (state, expected) in [
            (Queued, [no, held, no, cancelled, erased]),
            (Sending, [no; 5]),
            (Unknown, [no, held, no, no, no]),
            (Held, [retried, no, again, cancelled, erased]),
            (Rejected, [retried, no, no, no, no]),
            (Cancelled, [retried, no, no, no, no]),
            (Sent, [no; 5]),
            (Delivered, [no; 5]),
        ] {
            let requests = [
                Request::Retry,
                Request::Hold,
                Request::LookUp,
                Request::Cancel,
                Request::Erase,
            ];
            for (request, expected) in requests.into_iter().zip(expected) {
                let known = Known::Request(request);
                let in_doubt = (request == Request::LookUp).then(|| at(80));
                let record = Record {
                    unknown_since: in_doubt,
                    ..row(state)
                };
                let action = decide(&record, known, &policy(RESEND), at(100));
                assert_eq!(short(&action), expected, "{request:?} {state}");
            }
        }
        // `retry` does not send a mail again that may have been sent.
        for (request, expected) in [(Request::Retry, no), (Request::Resend, retried)] {
            let in_doubt = Record {
                unknown_since: Some(at(80)),
                ..row(Held)
            };
            let action = decide(&in_doubt, Known::Request(request), &policy(RESEND), at(100));
            assert_eq!(short(&action), expected, "{request:?}");
        }
        // Held for another reason.
        let known = Known::Request(Request::LookUp);
        let action = decide(&row(Held), known, &policy(RESEND), at(100));
        assert_eq!(action, Action::Nothing);
        // Accepted, then rejected according to an event.
        let known = Known::Request(Request::Retry);
        let action = decide(&accepted_row(Rejected), known, &policy(RESEND), at(100));
        assert_eq!(action, Action::Nothing);
    }

    #[test]
    fn backoff_doubles_to_its_maximum() {
        for (attempts, jitter, seconds) in [
            (0, 1.0, 10),
            (1, 1.0, 10),
            (1, 0.0, 5),
            (2, 1.0, 20),
            (5, 1.0, 160),
            (6, 1.0, 300),
            (u32::MAX, 1.0, 300),
            (u32::MAX, 0.0, 150),
        ] {
            let policy = Policy {
                jitter,
                ..policy(RESEND)
            };
            assert_eq!(
                backoff(attempts, &policy),
                Duration::from_secs(seconds),
                "{attempts} {jitter}"
            );
        }
        // The wait that the API asks for is a minimum.
        let known = Known::Attempt(FENCE, not_sent(75));
        let action = decide(&row(State::Sending), known, &policy(RESEND), at(100));
        assert_eq!(short(&action), "queued at 175 because connect");
    }

    #[test]
    fn only_accepted_mail_loses_its_content() {
        for state in State::ALL {
            let accepted = matches!(
                state,
                State::Sent | State::Delivered | State::Bounced | State::Complained
            );
            assert_eq!(Change::to(state).is_accepted(), accepted, "{state}");
        }
    }
}
