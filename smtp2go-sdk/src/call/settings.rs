//! The settings of a call.

use std::time::Duration;

use super::RetryPolicy;

/// Longer durations are clamped to this, so that no clock overflows.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The settings of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long an attempt may go without progress. Its total limit starts from this.
    pub(crate) timeout: Duration,
    /// How long the whole call may take, without what its body adds.
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) pacing: bool,
    /// A success that reports failures is an error.
    pub(crate) failures_are_errors: bool,
    /// The caller judges each result of a batch by itself.
    pub(crate) per_item: bool,
}
