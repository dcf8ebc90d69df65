//! The rule that decides from a search whether a mail was sent.

use std::time::{Duration, SystemTime};

use smtp2go_types::{ActivityRecord, Timestamp};

use super::Found;

/// Shortest time between two look-ups.
const SHORTEST_STEP: Duration = Duration::from_secs(1);

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// The durations that the rule depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mail) struct Timing {
    pub(in crate::mail) margin: Duration,
    pub(in crate::mail) lag: Duration,
    pub(in crate::mail) give_up_after: Duration,
    pub(in crate::mail) retention: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            margin: Duration::from_secs(5 * 60),
            lag: Duration::from_secs(2 * 60),
            give_up_after: Duration::from_secs(15 * 60),
            retention: Duration::from_secs(5 * 24 * 60 * 60),
        }
    }
}

impl Timing {
    /// The time from one look-up to the next.
    pub(super) fn step(&self) -> Duration {
        (self.lag / 4).max(SHORTEST_STEP)
    }
}

/// The attempt to send a mail: the time span in which it was sent, if it was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) started: SystemTime,
    pub(super) ended: SystemTime,
    pub(super) timing: Timing,
}

impl Attempt {
    /// Another mail that was processed at this time or later proves that the index has passed the
    /// attempt. The margin allows for a difference between the clocks here and at the API.
    pub(super) fn passed_at(&self) -> SystemTime {
        after(self.ended, self.timing.margin)
    }

    /// The earliest time at which the activity can have the mail.
    pub(super) fn first_look(&self) -> SystemTime {
        after(self.ended, self.timing.lag)
    }

    /// Decides on the mail.
    ///
    /// `events` are those that carry the mail's key. `newest` is the processing time of the newest mail that
    /// the index had before the search.
    pub(super) fn decide(
        &self,
        events: Vec<ActivityRecord>,
        newest: Option<SystemTime>,
        now: SystemTime,
    ) -> Found {
        let timing = &self.timing;
        let give_up_at = after(self.ended, timing.give_up_after);
        if let Some(first) = events.iter().min_by_key(|event| time(event)) {
            let email_id = first.email_id.clone();
            return Found::Sent { email_id, events };
        }
        if now > after(self.started, timing.retention) {
            return Found::TooOld;
        }
        if newest.is_some_and(|newest| newest >= self.passed_at()) || now >= give_up_at {
            return Found::Absent;
        }
        let first_look = self.first_look();
        let look_again_at = match now < first_look {
            true => first_look,
            false => after(now, timing.step()),
        };
        Found::NotYet {
            look_again_at: look_again_at.min(give_up_at),
        }
    }
}

/// Returns a key to sort events by time. An event without a readable time comes last.
pub(super) fn time(event: &ActivityRecord) -> (bool, Option<SystemTime>) {
    let date = event.date.as_ref();
    let time = date.and_then(Timestamp::to_system_time);
    (time.is_none(), time)
}

/// Adds a duration to a time. A duration of more than a century counts as a century, so that no
/// system's clock overflows.
pub(in crate::mail) fn after(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by.min(CENTURY)).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// A number of seconds after the start of the attempt.
    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_772_000_000 + seconds)
    }

    fn event(email_id: &str, seconds: u64) -> ActivityRecord {
        let mut event = ActivityRecord::default();
        event.email_id = Some(email_id.to_owned());
        event.date = Some(Timestamp::from(at(seconds)));
        event
    }

    /// An attempt from second 0 to second 10. The lag is 40 s, the margin 60 s, and look-ups end after 300 s.
    fn attempt() -> Attempt {
        Attempt {
            started: at(0),
            ended: at(10),
            timing: Timing {
                margin: Duration::from_secs(60),
                lag: Duration::from_secs(40),
                give_up_after: Duration::from_secs(300),
                retention: Duration::from_secs(10_000),
            },
        }
    }

    fn again(seconds: u64) -> Found {
        Found::NotYet {
            look_again_at: at(seconds),
        }
    }

    fn sent(email_id: &str, events: &[ActivityRecord]) -> Found {
        Found::Sent {
            email_id: Some(email_id.to_owned()),
            events: events.to_vec(),
        }
    }

    #[test]
    fn mail_without_an_event_is_judged_by_index_and_time() {
        for (newest, now, expected) in [
            // Before the first look.
            (None, 0, again(50)),
            (None, 49, again(50)),
            (Some(9), 20, again(50)),
            // Then a quarter of the lag.
            (None, 50, again(60)),
            (None, 200, again(210)),
            // The index has passed the attempt only if the margin is over too.
            (Some(10), 100, again(110)),
            (Some(69), 100, again(110)),
            (Some(70), 100, Found::Absent),
            (Some(9_000), 100, Found::Absent),
            // The last look-up is at the give-up time.
            (Some(11), 305, again(310)),
            (None, 309, again(310)),
            (None, 310, Found::Absent),
            (None, 10_000, Found::Absent),
            // The attempt is older than the retention, so absence proves nothing.
            (None, 10_001, Found::TooOld),
            (Some(9_999), 10_001, Found::TooOld),
        ] {
            let found = attempt().decide(Vec::new(), newest.map(at), at(now));
            assert_eq!(found, expected, "newest {newest:?}, now {now}");
        }
    }

    #[test]
    fn event_proves_that_the_mail_was_sent_at_any_time() {
        for now in [0, 49, 100, 310, 20_000] {
            for newest in [None, Some(5), Some(500)] {
                let events = [event("a", 3)];
                let found = attempt().decide(events.to_vec(), newest.map(at), at(now));
                assert_eq!(found, sent("a", &events), "newest {newest:?}, now {now}");
            }
        }
    }

    #[test]
    fn first_of_several_mails_with_the_key_counts() {
        let mut undated = event("u", 0);
        undated.date = None;
        for (events, email_id) in [
            ([event("b", 9), event("a", 3)], "a"),
            ([event("a", 3), event("b", 9)], "a"),
            ([undated.clone(), event("b", 9)], "b"),
        ] {
            let found = attempt().decide(events.to_vec(), None, at(20));
            assert_eq!(found, sent(email_id, &events));
        }
        let found = attempt().decide(vec![undated.clone()], None, at(20));
        assert_eq!(found, sent("u", &[undated]));
    }

    #[test]
    fn extreme_durations_neither_skip_waits_nor_overflow() {
        let mut attempt = attempt();
        attempt.timing.lag = Duration::ZERO;
        assert_eq!(attempt.decide(Vec::new(), None, at(20)), again(21));
        attempt.timing.give_up_after = Duration::ZERO;
        assert_eq!(attempt.decide(Vec::new(), None, at(9)), again(10));
        assert_eq!(attempt.decide(Vec::new(), None, at(10)), Found::Absent);
        attempt.timing = Timing {
            margin: Duration::MAX,
            lag: Duration::ZERO,
            give_up_after: Duration::MAX,
            retention: Duration::MAX,
        };
        // With these durations the mail is neither absent nor too old.
        let late = 1_000_000_000;
        let found = attempt.decide(Vec::new(), Some(at(late)), at(late));
        assert_eq!(found, again(late + 1));
        attempt.timing.lag = Duration::MAX;
        let found = attempt.decide(Vec::new(), None, at(20));
        assert_eq!(found, again(10 + CENTURY.as_secs()));
    }
}
