//! Notifies the program of calls and attempts, for metrics and tests.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::operation::Operation;
use crate::{Certainty, Region};

/// Receives a report of each call and each attempt of a client and its clones, for metrics and tests.
/// Set it with [`ClientBuilder::observer`](crate::ClientBuilder::observer).
///
/// Reports have no key, body, address or error text. Implement the methods you need; the others do
/// nothing. The methods run within the call, on its thread: keep them short, and don't block. If a
/// method panics, the program's panic hook runs, and the call goes on. With `panic = "abort"` the program
/// ends.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::sync::{Arc, Mutex};
///
/// use smtp2go_sdk::{AttemptReport, CallReport, Client, Observer};
///
/// /// Counts calls by operation and outcome, and retries.
/// #[derive(Default)]
/// struct Metrics {
///     calls: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
///     retries: Mutex<u64>,
/// }
///
/// impl Observer for Metrics {
///     fn attempt_ended(&self, attempt: &AttemptReport<'_>) {
///         if attempt.next.is_retry() {
///             *self.retries.lock().unwrap() += 1;
///         }
///     }
///
///     fn call_ended(&self, call: &CallReport<'_>) {
///         let outcome = call.error.unwrap_or("ok");
///         let mut calls = self.calls.lock().unwrap();
///         *calls.entry((call.operation.id, outcome)).or_default() += 1;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sandbox = smtp2go_sandbox::Sandbox::start().await?;
/// # let (key, url) = (sandbox.key(), sandbox.base_url());
/// let metrics = Arc::new(Metrics::default());
/// let client = Client::builder(key).base_url(url).observer(metrics.clone()).build()?;
/// client.stats().email_cycle().await?;
/// client.sms().send(smtp2go_sdk::types::SmsSendRequest::new(Vec::<String>::new(), "Hi")).await.unwrap_err();
///
/// let calls = metrics.calls.lock().unwrap();
/// assert_eq!(calls[&("stats_email_cycle", "ok")], 1);
/// assert_eq!(calls[&("sms_send", "validation")], 1);
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + Sync {
    /// Called when a call begins, before its request is checked. One
    /// [`call_ended`](Self::call_ended) follows for each call.
    fn call_started(&self, operation: &'static Operation) {
        let _ = operation;
    }

    /// Called when an attempt has ended and the next step is decided.
    fn attempt_ended(&self, attempt: &AttemptReport<'_>) {
        let _ = attempt;
    }

    /// Called when a call has ended: with a reply, with an error, or because its future was dropped.
    fn call_ended(&self, call: &CallReport<'_>) {
        let _ = call;
    }
}

impl<T: Observer + ?Sized> Observer for Arc<T> {
    fn call_started(&self, operation: &'static Operation) {
        (**self).call_started(operation);
    }

    fn attempt_ended(&self, attempt: &AttemptReport<'_>) {
        (**self).attempt_ended(attempt);
    }

    fn call_ended(&self, call: &CallReport<'_>) {
        (**self).call_ended(call);
    }
}

/// Report of an attempt that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptReport<'a> {
    /// The operation that was called.
    pub operation: &'static Operation,
    /// The host of the base URL, with its port unless that is the scheme's default.
    pub host: &'a str,
    /// The region that the base URL belongs to, if any.
    pub region: Option<Region>,
    /// Number of the attempt within its call, from 1.
    pub attempt: u32,
    /// The HTTP status, if one arrived.
    pub status: Option<StatusCode>,
    /// The [kind](crate::Error::kind) of the error, or `cancelled`. `None` after a success.
    pub error: Option<&'static str>,
    /// The certainty after an error. Covers this and all earlier attempts of the call, as
    /// [`Error::certainty`](crate::Error::certainty) does. `None` after a success.
    pub certainty: Option<Certainty>,
    /// Duration of the attempt, including the time to connect.
    pub elapsed: Duration,
    /// Bytes of the request body that were passed to the HTTP layer.
    pub bytes_sent: u64,
    /// Bytes of the reply's body that arrived.
    pub bytes_received: u64,
    /// The next step.
    pub next: Next,
}

/// Report of a call that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// The operation that was called.
    pub operation: &'static Operation,
    /// The host of the last attempt's base URL, with its port unless that is the scheme's default.
    /// `None` if there was no attempt.
    pub host: Option<&'a str>,
    /// The region that this base URL belongs to, if any.
    pub region: Option<Region>,
    /// Number of attempts. Zero if the call failed or was dropped before the first one.
    pub attempts: u32,
    /// The HTTP status of the last attempt, if one arrived.
    pub status: Option<StatusCode>,
    /// The [kind](crate::Error::kind) of the error, or `cancelled`. `None` after a success.
    pub error: Option<&'static str>,
    /// The API's code for the error, if it has the form of a code.
    pub code: Option<&'a str>,
    /// The certainty after an error, see [`Error::certainty`](crate::Error::certainty), or of a call
    /// that was dropped. `None` after a success.
    pub certainty: Option<Certainty>,
    /// The id that SMTP2GO gave the request, if it has the form of an id.
    pub request_id: Option<&'a str>,
    /// Duration of the call, including waits.
    pub elapsed: Duration,
    /// Bytes of request bodies that were passed to the HTTP layer, over all attempts.
    pub bytes_sent: u64,
    /// Bytes of the replies' bodies that arrived, over all attempts.
    pub bytes_received: u64,
}

/// The step after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// No further step: the call succeeded.
    Done,
    /// Another attempt.
    Retry {
        /// The wait before it. After a 429, the length of the pause; the call may then wait longer,
        /// because calls start gradually.
        after: Duration,
        /// Why a retry is safe: `not_sent` (the server never had the whole request), `refused` (the
        /// server refused the HTTP/2 stream before processing it), `rate_limited` (429) or
        /// `repeat_safe` (the operation is idempotent).
        reason: &'static str,
    },
    /// The call ends with the error.
    Stop {
        /// The reason: `final` (another attempt would change nothing), `not_repeat_safe` (the request
        /// may have been processed, and the operation is not idempotent), `not_rewindable` (the content
        /// of the request can be read only once), `attempts`, `deadline` or `retry_budget` (used up),
        /// `cancelled` (the call was dropped).
        reason: &'static str,
    },
}

impl Next {
    /// Whether another attempt follows.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }
}
