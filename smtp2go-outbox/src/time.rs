//! Arithmetic of times that never overflows.

use std::time::{Duration, SystemTime};

/// Upper limit of durations; longer ones are clamped.
pub(crate) const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

pub(crate) fn later(time: SystemTime, by: Duration) -> SystemTime {
    time.checked_add(by.min(CENTURY)).unwrap_or(time)
}

/// Returns the duration in seconds, for a statement.
pub(crate) fn seconds(duration: Duration) -> f64 {
    duration.min(CENTURY).as_secs_f64()
}
