//! What can differ from call to call.

use std::time::Duration;

use crate::RetryPolicy;

/// Longer limits are taken as this: no clock overflows, and nobody notices.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Settings for some calls, in place of those of the client; see
/// [`Client::with_options`](crate::Client::with_options). What is not set stays as it is.
///
/// ```no_run
/// use std::time::Duration;
/// use smtp2go_sdk::{CallOptions, RetryPolicy, types::DomainViewRequest};
/// # async fn example(client: smtp2go_sdk::Client) -> Result<(), smtp2go_sdk::Error> {
/// let hurried = client.with_options(
///     CallOptions::new().deadline(Duration::from_secs(3)).retry(RetryPolicy::none()),
/// );
/// let domains = hurried.domain().view(DomainViewRequest::new()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use = "options do nothing until `Client::with_options` takes them"]
pub struct CallOptions {
    timeout: Option<Duration>,
    deadline: Option<Duration>,
    retry: Option<RetryPolicy>,
    pacing: Option<bool>,
    failures_are_errors: Option<bool>,
}

impl CallOptions {
    /// Nothing set.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            deadline: None,
            retry: None,
            pacing: None,
            failures_are_errors: None,
        }
    }

    /// As [`ClientBuilder::timeout`](crate::ClientBuilder::timeout). Zero counts as a nanosecond:
    /// every attempt times out.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// As [`ClientBuilder::deadline`](crate::ClientBuilder::deadline). With zero, a call with a
    /// small body ends as `NotSent` at once.
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// As [`ClientBuilder::retry`](crate::ClientBuilder::retry).
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// As [`ClientBuilder::pacing`](crate::ClientBuilder::pacing). The calls of others don't count
    /// those that are not paced.
    pub const fn pacing(mut self, on: bool) -> Self {
        self.pacing = Some(on);
        self
    }

    /// As [`ClientBuilder::failures_are_errors`](crate::ClientBuilder::failures_are_errors).
    pub const fn failures_are_errors(mut self, on: bool) -> Self {
        self.failures_are_errors = Some(on);
        self
    }
}

/// What is in force for a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    /// How long an attempt may go without progress, and what its limit starts from.
    pub(crate) timeout: Duration,
    /// How long the whole call may take, before what its body adds.
    pub(crate) deadline: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) pacing: bool,
    /// Whether a success that counts failures is an error.
    pub(crate) failures_are_errors: bool,
}

impl Settings {
    pub(crate) fn with(self, options: CallOptions) -> Self {
        Self {
            timeout: options.timeout.map_or(self.timeout, |limit| {
                limit.clamp(Duration::from_nanos(1), LONGEST)
            }),
            deadline: options.deadline.unwrap_or(self.deadline).min(LONGEST),
            retry: options.retry.unwrap_or(self.retry),
            pacing: options.pacing.unwrap_or(self.pacing),
            failures_are_errors: options
                .failures_are_errors
                .unwrap_or(self.failures_are_errors),
        }
    }
}
