//! How often and when calls are retried. Whether one is, is decided in `verdict`.

use std::time::Duration;

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

    /// Maximum number of attempts.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The wait after an attempt, counted from 1. `jitter` is from 0 to 1.
    pub(super) fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempt.min(31));
        let ceiling = self.min_backoff.saturating_mul(doubled);
        let ceiling = ceiling.min(self.max_backoff).max(self.min_backoff);
        between(self.min_backoff, ceiling, jitter)
    }

    /// The wait after a 429.
    pub(super) fn after_rate_limit(&self, retry_after: Option<Duration>, jitter: f64) -> Duration {
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
