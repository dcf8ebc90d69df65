//! How often calls are retried, and how long they wait. `verdict` decides whether a call is retried.

use std::time::Duration;

const ATTEMPTS: u32 = 3;
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(20);
/// Default range of the wait after a 429 without `Retry-After`. The API blocks an address for at
/// least a minute.
const RATE_LIMIT_WAIT: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(75));

/// Maximum number of attempts of a call, and the waits between them.
///
/// What is retried can't be configured, so that no setting makes a retry send a mail twice:
///
/// | Failure | Retried |
/// | --- | --- |
/// | the request provably did not reach the server whole, or the server refused its HTTP/2 stream before processing it | for every operation |
/// | 429, except with the error for an unknown key | for every operation |
/// | 5xx other than 501, no reply to a complete request, a truncated 2xx reply | for idempotent operations ([`Operation::repeat_safe`](crate::operation::Operation)) |
///
/// A request is not retried if its content could not be read, or is from a reader, which can be read only
/// once.
///
/// The backoff is random and grows: before the first retry it is between `min_backoff` and twice that,
/// before the second up to four times `min_backoff`, and so on, but at most `max_backoff`. A longer
/// `Retry-After` is honoured. A call that would have to wait past its deadline ends at once.
///
/// After a 429, all calls of the client and its clones wait. Then they start gradually: one call at
/// once, and with each sixtieth of the wait (each second after a wait of a minute) the number of
/// started calls doubles. A call that could start only after its deadline ends at once.
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
    /// Returns the default policy: 3 attempts, backoff from 1 to 20 seconds, and 60 to 75 seconds
    /// after a 429 without `Retry-After`.
    pub const fn new() -> Self {
        Self {
            attempts: ATTEMPTS,
            min_backoff: MIN_BACKOFF,
            max_backoff: MAX_BACKOFF,
            rate_limit_wait: RATE_LIMIT_WAIT,
        }
    }

    /// Returns a policy without retries: a call is sent once, and does not fail over to another host.
    /// Calls still wait for permits, see [`CallOptions::rate_limits`](crate::CallOptions::rate_limits),
    /// and for the end of a pause after a 429.
    pub const fn none() -> Self {
        Self::new().max_attempts(1)
    }

    /// Sets the maximum number of attempts, including the first. Default: 3. Zero counts as 1.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the minimum backoff, from which it grows. Default: 1 second. Set less only in tests
    /// against your own server. With zero, the backoff is zero.
    pub const fn min_backoff(mut self, wait: Duration) -> Self {
        self.min_backoff = wait;
        self
    }

    /// Sets the maximum backoff. Default: 20 seconds. A value below `min_backoff` counts as
    /// `min_backoff`. Does not limit `Retry-After`.
    pub const fn max_backoff(mut self, wait: Duration) -> Self {
        self.max_backoff = wait;
        self
    }

    /// Sets the range from which the wait after a 429 without `Retry-After` is drawn. Default: 60 to
    /// 75 seconds, because the API documents that it blocks an address for at least a minute and that
    /// failing calls prolong the block. Set less only in tests.
    pub const fn rate_limit_wait(mut self, from: Duration, to: Duration) -> Self {
        self.rate_limit_wait = (from, to);
        self
    }

    /// Maximum number of attempts.
    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Returns the backoff after an attempt, counted from 1. `jitter` is from 0 to 1.
    pub(super) fn backoff(&self, attempt: u32, jitter: f64) -> Duration {
        let doubled = 2u32.saturating_pow(attempt.min(31));
        let ceiling = self.min_backoff.saturating_mul(doubled);
        let ceiling = ceiling.min(self.max_backoff).max(self.min_backoff);
        between(self.min_backoff, ceiling, jitter)
    }

    /// Returns the length of the pause after a 429.
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

/// Interpolates between two durations. `share` is from 0 to 1.
fn between(from: Duration, to: Duration, share: f64) -> Duration {
    let span = to.saturating_sub(from);
    let part = Duration::try_from_secs_f64(span.as_secs_f64() * share).unwrap_or(span);
    from.saturating_add(part)
}
