//! Whether a call is tried again, and when. No I/O, no clock and no chance here: the decision is a
//! function of what is passed in.
//!
//! Proof that nothing was sent is the seal of `wire`. With HTTP/2 the server's promise counts as
//! much: that it refused the stream, or went away before it.

use std::time::Duration;

use http::StatusCode;

use crate::{Certainty, Error};

const ATTEMPTS: u32 = 3;
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// The API blocks an address for at least a minute.
const RATE_LIMIT_WAIT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(75));

/// How often a call is tried, and how long it waits in between.
///
/// What is retried is not a setting, since it is what keeps mail from going out twice:
/// - a failure before which provably nothing was sent, for every operation (with the feature
///   `http2` also a server's promise, by HTTP/2's own means, that it did not look at the request);
/// - a 429, for every operation: the API has not processed the call (but not the error for an
///   unknown key, whatever its status);
/// - a 5xx other than 501, a timeout, a lost connection or a truncated reply, only for operations
///   whose repetition does no harm ([`Operation::repeat_safe`](crate::operation::Operation)).
///
/// The wait before a retry grows from attempt to attempt: the first is drawn at random from
/// between `min_backoff` and twice that, the next from up to four times, and so on, never from
/// more than `max_backoff`. A `Retry-After` that asks for more is honoured. A call that would have
/// to wait past its deadline ends at once.
///
/// After a 429 all calls of the client wait, and go on few at first: the one that had the 429, one more
/// within a sixtieth of the wait (a second, after a minute), two within the next, then four, and so
/// on. Where that is past its deadline, a call ends at once too.
///
/// ```
/// use std::time::Duration;
/// use smtp2go_sdk::RetryPolicy;
///
/// let patient = RetryPolicy::new().max_attempts(5).max_backoff(Duration::from_secs(60));
/// let once = RetryPolicy::none();
/// # let _ = (patient, once);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct RetryPolicy {
    attempts: u32,
    min_backoff: Duration,
    max_backoff: Duration,
    rate_limit_wait: (Duration, Duration),
}

impl RetryPolicy {
    /// The default policy: 3 attempts, backoff from 1 to 20 seconds, 60 to 75 seconds after a 429
    /// that does not say how long.
    pub const fn new() -> Self {
        Self {
            attempts: ATTEMPTS,
            min_backoff: MIN_BACKOFF,
            max_backoff: MAX_BACKOFF,
            rate_limit_wait: RATE_LIMIT_WAIT,
        }
    }

    /// No retries: a call is sent once, and not to another region either. Calls still wait for
    /// their turn, see [`CallOptions::pacing`](crate::CallOptions::pacing).
    pub const fn none() -> Self {
        Self::new().max_attempts(1)
    }

    /// How often a call is sent at most, the first time included. 3 by default; 0 counts as 1.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The shortest wait before a retry, and what the backoff grows from. 1 second by default.
    /// Less is for tests against a server of one's own: zero retries at once.
    pub const fn min_backoff(mut self, wait: Duration) -> Self {
        self.min_backoff = wait;
        self
    }

    /// The longest backoff. 20 seconds by default; less than the shortest counts as that. Does
    /// not shorten a `Retry-After`.
    pub const fn max_backoff(mut self, wait: Duration) -> Self {
        self.max_backoff = wait;
        self
    }

    /// The wait after a 429 without `Retry-After`, drawn from this range. 60 to 75 seconds by
    /// default: the API documents that it blocks an address for at least a minute, and that
    /// failing calls prolong it. Less is for tests.
    pub const fn rate_limit_wait(mut self, from: Duration, to: Duration) -> Self {
        self.rate_limit_wait = (from, to);
        self
    }

    /// The wait after so many attempts. `jitter` is from 0 to 1.
    fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempt.min(31));
        let ceiling = self.min_backoff.saturating_mul(doubled);
        let ceiling = ceiling.min(self.max_backoff).max(self.min_backoff);
        between(self.min_backoff, ceiling, jitter)
    }

    /// The wait after a 429.
    fn after_rate_limit(&self, retry_after: Option<Duration>, jitter: f64) -> Duration {
        match retry_after {
            Some(asked) => asked.max(self.min_backoff),
            None => between(self.rate_limit_wait.0, self.rate_limit_wait.1, jitter),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// The duration at `share`, from 0 to 1, of the way between two.
fn between(from: Duration, to: Duration, share: f64) -> Duration {
    let span = to.saturating_sub(from);
    let part = Duration::try_from_secs_f64(span.as_secs_f64() * share).unwrap_or(span);
    from.saturating_add(part)
}

/// What an attempt came to, as far as a retry goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing that another attempt would change.
    Final,
    /// Proven: nothing was sent.
    Unsent,
    /// The server promised, by HTTP/2's means, that it did not look at the request.
    Refused,
    /// 429: not processed, and the API wants fewer calls.
    RateLimited { retry_after: Option<Duration> },
    /// It may get better with time, and the call may have been processed.
    Transient { retry_after: Option<Duration> },
}

/// Sorts what an attempt that failed came to.
pub(crate) fn classify(error: &Error) -> Verdict {
    if error.is_unreadable() || error.is_followed() || error.is_over_limit() {
        return Verdict::Final;
    }
    if error.known().is_some_and(|known| known.rejected) {
        return Verdict::Final;
    }
    let retry_after = error.retry_after();
    match (error.status(), error.certainty()) {
        (None, Certainty::NotSent) if error.is_refused() => Verdict::Refused,
        (None, Certainty::NotSent) => Verdict::Unsent,
        (None, _) => Verdict::Transient { retry_after: None },
        (Some(StatusCode::TOO_MANY_REQUESTS), _) => Verdict::RateLimited { retry_after },
        (Some(StatusCode::NOT_IMPLEMENTED), _) => Verdict::Final,
        (Some(status), _) if status.is_server_error() => Verdict::Transient { retry_after },
        // A success that broke off.
        (Some(status), Certainty::Unknown) if status.is_success() => {
            Verdict::Transient { retry_after: None }
        }
        _ => Verdict::Final,
    }
}

impl Verdict {
    /// Why another attempt does no harm: a word of [`Next::Retry`](crate::Next::Retry).
    pub(crate) fn why(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Unsent => "not_sent",
            Self::Refused => "refused",
            Self::RateLimited { .. } => "rate_limited",
            Self::Transient { .. } => "repeat_safe",
        }
    }
}

/// All that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation<'a> {
    pub(crate) policy: &'a RetryPolicy,
    /// Whether the operation may be processed twice.
    pub(crate) repeat_safe: bool,
    /// Whether the same bytes can be sent again.
    pub(crate) replayable: bool,
    /// Attempts so far.
    pub(crate) attempt: u32,
    pub(crate) verdict: Verdict,
    /// Time until the deadline.
    pub(crate) left: Duration,
    /// Whether the next attempt goes to a host that this call has not tried.
    pub(crate) fresh_host: bool,
    /// From 0 to 1, at random.
    pub(crate) jitter: f64,
}

/// What to do after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// The call ends. After a 429 `hold` is how long no call should be made. `why` is a word of
    /// [`Next::Stop`](crate::Next::Stop).
    Stop {
        hold: Option<Duration>,
        why: &'static str,
    },
    /// The call is sent again after this wait. After a 429 no call is made until then, this one
    /// or another.
    Retry { after: Duration },
}

/// Decides whether a call that was not answered with success is sent again.
pub(crate) fn decide(situation: &Situation<'_>) -> Decision {
    let Situation {
        policy,
        repeat_safe,
        replayable,
        attempt,
        verdict,
        left,
        fresh_host,
        jitter,
    } = *situation;
    let mut hold = None;
    let after = match verdict {
        Verdict::Final => return Decision::Stop { hold, why: "final" },
        Verdict::Unsent if fresh_host => Duration::ZERO,
        Verdict::Unsent | Verdict::Refused => policy.backoff(attempt, jitter),
        Verdict::RateLimited { retry_after } => {
            *hold.insert(policy.after_rate_limit(retry_after, jitter))
        }
        Verdict::Transient { .. } if !repeat_safe => {
            return Decision::Stop {
                hold,
                why: "not_repeat_safe",
            };
        }
        Verdict::Transient { retry_after } => policy
            .backoff(attempt, jitter)
            .max(retry_after.unwrap_or_default()),
    };
    let why = if !replayable {
        "not_replayable"
    } else if attempt >= policy.attempts {
        "attempts"
    } else if after >= left {
        "deadline"
    } else {
        return Decision::Retry { after };
    };
    Decision::Stop { hold, why }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::verdict::tests::judge;
    use crate::call::verdict::tests::{LOOKUP, answered};
    use crate::call::verdict::{Ending, Limit, Outcome};

    const SECOND: Duration = Duration::from_secs(1);
    const STOP: Decision = Decision::Stop {
        hold: None,
        why: "",
    };

    /// A success is final too.
    fn classified(outcome: Outcome) -> Verdict {
        judge(&LOOKUP, outcome).map_or_else(|error| classify(&error), |_| Verdict::Final)
    }

    /// The decision without its reason.
    fn decided(situation: &Situation<'_>) -> Decision {
        match decide(situation) {
            Decision::Stop { hold, .. } => Decision::Stop { hold, why: "" },
            retry => retry,
        }
    }

    fn seconds(n: u32) -> Decision {
        Decision::Retry { after: n * SECOND }
    }

    fn hold(n: u32) -> Decision {
        Decision::Stop {
            hold: Some(n * SECOND),
            why: "",
        }
    }

    #[test]
    fn the_decision_row_by_row() {
        let transient = Verdict::Transient { retry_after: None };
        let limited = Verdict::RateLimited { retry_after: None };
        let told = |n| Some(n * SECOND);
        let transient_told = |n| Verdict::Transient {
            retry_after: told(n),
        };
        let limited_told = |n| Verdict::RateLimited {
            retry_after: told(n),
        };
        // verdict, repeat-safe, attempt, seconds left, not repeat-safe: decision
        for (verdict, attempt, left, safe, unsafe_) in [
            (Verdict::Final, 1, 120, STOP, STOP),
            (Verdict::Unsent, 1, 120, seconds(1), seconds(1)),
            (Verdict::Unsent, 2, 120, seconds(1), seconds(1)),
            (Verdict::Unsent, 3, 120, STOP, STOP),
            (Verdict::Unsent, 4, 120, STOP, STOP),
            (Verdict::Unsent, 1, 1, STOP, STOP),
            (Verdict::Unsent, 1, 0, STOP, STOP),
            (Verdict::Refused, 1, 120, seconds(1), seconds(1)),
            (Verdict::Refused, 3, 120, STOP, STOP),
            (transient, 1, 120, seconds(1), STOP),
            (transient, 2, 120, seconds(1), STOP),
            (transient, 3, 120, STOP, STOP),
            (transient, 1, 1, STOP, STOP),
            (transient_told(9), 1, 120, seconds(9), STOP),
            (transient_told(0), 1, 120, seconds(1), STOP),
            (transient_told(9), 1, 9, STOP, STOP),
            (limited, 1, 120, seconds(60), seconds(60)),
            (limited, 1, 60, hold(60), hold(60)),
            (limited, 3, 120, hold(60), hold(60)),
            (limited_told(9), 1, 120, seconds(9), seconds(9)),
            (limited_told(0), 1, 120, seconds(1), seconds(1)),
            (limited_told(9), 1, 9, hold(9), hold(9)),
            (limited_told(9), 3, 120, hold(9), hold(9)),
        ] {
            for (repeat_safe, expected) in [(true, safe), (false, unsafe_)] {
                let situation = Situation {
                    policy: &RetryPolicy::new(),
                    repeat_safe,
                    replayable: true,
                    attempt,
                    verdict,
                    left: left * SECOND,
                    fresh_host: false,
                    jitter: 0.0,
                };
                assert_eq!(decided(&situation), expected, "{situation:?}");
                let once = Situation {
                    policy: &RetryPolicy::none(),
                    ..situation
                };
                let consumed = Situation {
                    replayable: false,
                    ..situation
                };
                for never in [once, consumed] {
                    assert!(matches!(decide(&never), Decision::Stop { .. }), "{never:?}");
                }
                let fresh = Situation {
                    fresh_host: true,
                    ..situation
                };
                let expected = match (verdict, expected) {
                    (Verdict::Unsent, _) if attempt < 3 && left > 0 => seconds(0),
                    _ => expected,
                };
                assert_eq!(decided(&fresh), expected, "{fresh:?}");
            }
        }
    }

    #[test]
    fn a_stop_has_its_reason() {
        let transient = Verdict::Transient { retry_after: None };
        for (verdict, replayable, attempt, left, expected) in [
            (Verdict::Final, false, 3, 0, "final"),
            (transient, false, 3, 0, "not_repeat_safe"),
            (Verdict::Unsent, false, 3, 0, "not_replayable"),
            (Verdict::Unsent, true, 3, 0, "attempts"),
            (Verdict::Unsent, true, 1, 0, "deadline"),
        ] {
            let situation = Situation {
                policy: &RetryPolicy::new(),
                repeat_safe: false,
                replayable,
                attempt,
                verdict,
                left: left * SECOND,
                fresh_host: false,
                jitter: 0.0,
            };
            assert!(
                matches!(decide(&situation), Decision::Stop { why, .. } if why == expected),
                "{situation:?}"
            );
        }
    }

    #[test]
    fn backoff_grows_to_its_cap_and_never_falls_under_its_floor() {
        let policy = RetryPolicy::new();
        for (attempt, longest) in [(1, 2), (2, 4), (3, 8), (4, 16), (5, 20), (99, 20)] {
            assert_eq!(policy.backoff(attempt, 0.0), SECOND);
            assert_eq!(policy.backoff(attempt, 1.0), longest * SECOND);
            let middle = policy.backoff(attempt, 0.5);
            assert_eq!(middle, (longest + 1) * SECOND / 2);
        }
        assert_eq!(policy.after_rate_limit(None, 0.0), 60 * SECOND);
        assert_eq!(policy.after_rate_limit(None, 1.0), 75 * SECOND);
        let odd = policy
            .min_backoff(Duration::MAX)
            .max_backoff(Duration::ZERO)
            .rate_limit_wait(Duration::MAX, Duration::ZERO);
        assert_eq!(odd.backoff(7, 1.0), Duration::MAX);
        assert_eq!(odd.after_rate_limit(None, 1.0), Duration::MAX);
        let none = policy.min_backoff(Duration::ZERO);
        assert_eq!(none.backoff(7, 1.0), Duration::ZERO);
    }

    #[test]
    fn certainty_is_the_weakest_of_all_attempts() {
        let unsent = |unsent| Outcome {
            answer: None,
            unsent,
            ending: Ending::Broken(None),
        };
        let made = |certainty| {
            let outcome = match certainty {
                Certainty::NotSent => unsent(true),
                Certainty::Rejected => answered(429, ""),
                Certainty::Unknown => unsent(false),
            };
            judge(&LOOKUP, outcome).unwrap_err()
        };
        let order = [Certainty::NotSent, Certainty::Rejected, Certainty::Unknown];
        for (first, earlier) in order.into_iter().enumerate() {
            for (second, last) in order.into_iter().enumerate() {
                let error = made(last).following(Some(&made(earlier)));
                assert_eq!(error.certainty(), order[first.max(second)]);
                assert_eq!(error.status(), made(last).status());
            }
            assert_eq!(made(earlier).following(None).certainty(), earlier);
        }
    }

    #[test]
    fn outcomes_row_by_row() {
        let transient = Verdict::Transient { retry_after: None };
        let limited = Verdict::RateLimited { retry_after: None };
        for (status, complete, truncated) in [
            (200, Verdict::Final, transient),
            (204, Verdict::Final, transient),
            (301, Verdict::Final, Verdict::Final),
            (307, Verdict::Final, Verdict::Final),
            (400, Verdict::Final, Verdict::Final),
            (401, Verdict::Final, Verdict::Final),
            (402, Verdict::Final, Verdict::Final),
            (403, Verdict::Final, Verdict::Final),
            (404, Verdict::Final, Verdict::Final),
            (408, Verdict::Final, Verdict::Final),
            (429, limited, limited),
            (500, transient, transient),
            (501, Verdict::Final, Verdict::Final),
            (502, transient, transient),
            (503, transient, transient),
            (504, transient, transient),
            (599, transient, transient),
        ] {
            let outcome = answered(status, "");
            assert_eq!(classified(outcome), complete, "{status}");
            let mut outcome = answered(status, "");
            outcome.ending = Ending::Broken(None);
            assert_eq!(classified(outcome), truncated, "{status}");
        }
        // Another attempt would be answered at the same length.
        for (status, expected) in [
            (200, Verdict::Final),
            (400, Verdict::Final),
            (429, limited),
            (503, transient),
        ] {
            let mut outcome = answered(status, "");
            outcome.ending = Ending::OverLimit {
                limit: Limit::Bytes(1),
            };
            assert_eq!(classified(outcome), expected, "{status}");
        }
        let refused = answered(200, r#"{"data":{"error":"no"}}"#);
        assert_eq!(classified(refused), Verdict::Final);
        for (unsent, expected) in [(true, Verdict::Unsent), (false, transient)] {
            let outcome = Outcome {
                answer: None,
                unsent,
                ending: Ending::Broken(None),
            };
            assert_eq!(classified(outcome), expected);
        }
    }
}
