//! The settings of a call.

use std::time::Duration;

use crate::platform::time::Instant;

use super::RetryPolicy;

/// Longer durations are clamped to this, so that no clock overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The settings of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// Maximum time of an attempt without progress. Plus the time for sending the body, it is also the
    /// time limit of the whole attempt.
    pub(crate) timeout: Duration,
    /// Time limit of the whole call, before the time for sending the body is added.
    pub(crate) deadline: Duration,
    /// Latest end of the whole call. Applies in addition to the other limits.
    pub(crate) end_by: Option<Instant>,
    pub(crate) retry: RetryPolicy,
    /// Whether calls wait for the documented rates of operations.
    pub(crate) rate_limits: bool,
    /// Whether a success that reports failures is an error.
    pub(crate) failures_are_errors: bool,
    /// Whether suppressed recipients are left out of mail.
    pub(crate) skip_suppressed: bool,
    /// Whether the caller judges each result of a batch separately.
    pub(crate) per_item: bool,
}
