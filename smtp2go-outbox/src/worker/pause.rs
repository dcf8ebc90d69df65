//! Pauses after failures that don't concern a single mail.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Shared;
use super::outcome::Trouble;

/// Counts the failures in a row, and pauses this worker.
#[derive(Debug)]
pub(super) struct Outages {
    range: (Duration, Duration),
    state: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    failures: u32,
    until: Option<Instant>,
}

impl Outages {
    pub(super) fn new(range: (Duration, Duration)) -> Self {
        Self {
            range,
            state: Mutex::default(),
        }
    }

    /// Returns the rest of a pause, if there is one.
    pub(super) fn left(&self) -> Option<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = state.until?.saturating_duration_since(Instant::now());
        Some(left).filter(|left| !left.is_zero())
    }

    fn over(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Failures::default();
    }

    /// Counts a failure. Returns the length of the pause that begins with it. A first failure begins no pause, and
    /// a failure during a pause does not count: its send began before the pause.
    fn failed(&self, now: Instant, jitter: f64) -> Option<Duration> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.until.is_some_and(|until| until > now) {
            return None;
        }
        state.failures = state.failures.saturating_add(1);
        let doublings = state.failures.checked_sub(2)?.min(20);
        let (first, most) = self.range;
        let full = first.saturating_mul(1 << doublings).min(most.max(first));
        let pause = full.mul_f64(0.5 + jitter / 2.0);
        state.until = now.checked_add(pause);
        Some(pause).filter(|pause| !pause.is_zero())
    }
}

impl Shared {
    /// Pauses this worker or all workers. Ignores an error of the database, because writing the outcome is more
    /// urgent than the pause.
    pub(super) async fn pause_after(&self, trouble: Trouble) {
        let shared = match trouble {
            Trouble::None => return,
            Trouble::Over => return self.outages.over(),
            Trouble::RateLimited(wait) => Some(wait),
            Trouble::Api | Trouble::Worker => {
                let pause = self.outages.failed(Instant::now(), fastrand::f64());
                pause.filter(|_| trouble == Trouble::Api)
            }
        };
        if let Some(pause) = shared {
            tracing::warn!(
                target: "smtp2go_outbox",
                wait_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                reason = if trouble == Trouble::Api { "outage" } else { "rate_limited" },
                "all workers pause"
            );
            let _ = self.outbox.store.pause(pause).await;
        }
    }
}
