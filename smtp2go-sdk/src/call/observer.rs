//! A look at calls from outside, for metrics and tests.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::operation::Operation;
use crate::{Certainty, Region};

/// Is told of every attempt and every call of a client and its clones: for metrics, and for tests
/// that want to know how a call came about. Set with
/// [`ClientBuilder::observer`](crate::ClientBuilder::observer).
///
/// It gets no key, no body, no address and no error's text. Each method does nothing unless it is
/// written. They run within the call, on its thread: keep them short, and don't block. A panic in
/// one is caught, where the program is built to unwind, and changes nothing of the call (the
/// program's panic hook reports it as any other).
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
    /// A call begins, before its request is checked. Each is followed by one
    /// [`call_ended`](Self::call_ended).
    fn call_started(&self, operation: &'static Operation) {
        let _ = operation;
    }

    /// A call was tried over the network, and it is decided what comes next.
    fn attempt_ended(&self, attempt: &AttemptReport<'_>) {
        let _ = attempt;
    }

    /// A call has ended: with a reply, with an error, or because its future was dropped.
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

/// One attempt at a call, after its end.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct AttemptReport<'a> {
    /// What was called.
    pub operation: &'static Operation,
    /// The host of the base URL, with its port if that is not the usual one.
    pub host: &'a str,
    /// The region whose base URL it is, if it is one's.
    pub region: Option<Region>,
    /// Which attempt of its call it was, from 1.
    pub attempt: u32,
    /// The HTTP status, if one arrived.
    pub status: Option<StatusCode>,
    /// The kind of the error, as [`Error::kind`](crate::Error::kind) or `cancelled`; `None` after
    /// a success.
    pub error: Option<&'static str>,
    /// What is certain after an error: of this and all earlier attempts of the call, as
    /// [`Error::certainty`](crate::Error::certainty) says. `None` after a success.
    pub certainty: Option<Certainty>,
    /// From its start to its end, connecting included.
    pub elapsed: Duration,
    /// Bytes of the request body that were handed to the HTTP layer.
    pub bytes_sent: u64,
    /// Bytes of the reply's body that arrived.
    pub bytes_received: u64,
    /// What comes next.
    pub next: Next,
}

/// A whole call, after its end.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallReport<'a> {
    /// What was called.
    pub operation: &'static Operation,
    /// The host of the last attempt's base URL, with its port if that is not the usual one. `None`
    /// if there was no attempt.
    pub host: Option<&'a str>,
    /// The region whose base URL it is, if it is one's.
    pub region: Option<Region>,
    /// How often the call was tried over the network. 0 if it failed, or was dropped, before.
    pub attempts: u32,
    /// The HTTP status of the last attempt, if one arrived.
    pub status: Option<StatusCode>,
    /// The kind of the error, as [`Error::kind`](crate::Error::kind) or `cancelled`; `None` after
    /// a success.
    pub error: Option<&'static str>,
    /// The API's code for the error, if it gave one that has the form of a code.
    pub code: Option<&'a str>,
    /// What is certain after an error, as [`Error::certainty`](crate::Error::certainty) says; also
    /// of a call that was dropped. `None` after a success.
    pub certainty: Option<Certainty>,
    /// The id that SMTP2GO gave the request, if it has the form of an id.
    pub request_id: Option<&'a str>,
    /// From the start of the call to its end, waits included.
    pub elapsed: Duration,
    /// Bytes of request bodies that were handed to the HTTP layer, over all attempts.
    pub bytes_sent: u64,
    /// Bytes of the replies' bodies that arrived, over all attempts.
    pub bytes_received: u64,
}

/// What comes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Next {
    /// Nothing: it succeeded.
    Done,
    /// Another attempt.
    Retry {
        /// How long the call waits before.
        after: Duration,
        /// Why that does no harm: `not_sent`, `refused` (by HTTP/2's own means),
        /// `rate_limited` or `repeat_safe`.
        reason: &'static str,
    },
    /// The call ends with the error.
    Stop {
        /// Why: `final` (another attempt would change nothing), `not_repeat_safe` (it may have
        /// been processed), `not_replayable` (its content can't be read again), `attempts`,
        /// `deadline` or `retry_budget` (no more of them), `cancelled` (the call was dropped).
        reason: &'static str,
    },
}

impl Next {
    /// Whether there is another attempt.
    #[must_use]
    pub fn is_retry(&self) -> bool {
        matches!(self, Self::Retry { .. })
    }
}
