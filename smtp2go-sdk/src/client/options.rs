//! Settings that can differ from call to call.

use std::time::Duration;

use crate::platform::time::Instant;

use crate::RetryPolicy;
use crate::call::{LONGEST, Settings};

/// Settings that replace the client's for some calls: see
/// [`Client::with_options`](crate::Client::with_options). Unspecified settings are kept.
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
    end_by: Option<Instant>,
    retry: Option<RetryPolicy>,
    rate_limits: Option<bool>,
    failures_are_errors: Option<bool>,
    skip_suppressed: Option<bool>,
}

impl CallOptions {
    /// Returns options that change nothing.
    pub const fn new() -> Self {
        Self {
            timeout: None,
            deadline: None,
            end_by: None,
            retry: None,
            rate_limits: None,
            failures_are_errors: None,
            skip_suppressed: None,
        }
    }

    /// Sets the time limit of an attempt: see
    /// [`ClientBuilder::timeout`](crate::ClientBuilder::timeout). With zero, every attempt times
    /// out.
    pub const fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Sets the time limit of the whole call: see
    /// [`ClientBuilder::deadline`](crate::ClientBuilder::deadline). With zero, the call sends nothing
    /// and ends as `NotSent`.
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = Some(limit);
        self
    }

    /// Sets when the call must have ended. Unlike [`deadline`](Self::deadline), it includes the time for
    /// sending the body, and does not depend on when the call starts: for a caller whose permission to
    /// send ends at a certain time, such as a lease. Default: none. After this time, the call sends
    /// nothing and ends as `NotSent`. Not on wasm32, where std has no clock.
    #[cfg(not(target_family = "wasm"))]
    pub fn end_by(mut self, time: std::time::Instant) -> Self {
        self.end_by = Some(Instant::from_std(time));
        self
    }

    /// Sets how often and when a call is retried: see
    /// [`ClientBuilder::retry`](crate::ClientBuilder::retry).
    pub const fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = Some(policy);
        self
    }

    /// Sets whether calls wait for a permit: see
    /// [`ClientBuilder::rate_limits`](crate::ClientBuilder::rate_limits). Calls that don't wait are not
    /// counted against the rate limit.
    pub const fn rate_limits(mut self, on: bool) -> Self {
        self.rate_limits = Some(on);
        self
    }

    /// Sets whether a reply with status 200 that counts failures is an error: see
    /// [`ClientBuilder::failures_are_errors`](crate::ClientBuilder::failures_are_errors).
    pub const fn failures_are_errors(mut self, on: bool) -> Self {
        self.failures_are_errors = Some(on);
        self
    }

    /// Sets whether suppressed recipients are left out of mail: see
    /// [`ClientBuilder::skip_suppressed`](crate::ClientBuilder::skip_suppressed).
    pub const fn skip_suppressed(mut self, on: bool) -> Self {
        self.skip_suppressed = Some(on);
        self
    }

    /// Merges the options into the client's settings.
    pub(crate) fn over(self, client: Settings) -> Settings {
        Settings {
            timeout: self.timeout.map_or(client.timeout, |limit| {
                limit.clamp(Duration::from_nanos(1), LONGEST)
            }),
            deadline: self.deadline.unwrap_or(client.deadline).min(LONGEST),
            end_by: self.end_by.or(client.end_by),
            retry: self.retry.unwrap_or(client.retry),
            rate_limits: self.rate_limits.unwrap_or(client.rate_limits),
            failures_are_errors: self
                .failures_are_errors
                .unwrap_or(client.failures_are_errors),
            skip_suppressed: self.skip_suppressed.unwrap_or(client.skip_suppressed),
            per_item: client.per_item,
        }
    }
}
