//! The report of `send_all`, and the handle that returns it.

use std::fmt;
use std::iter;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::log::{SendCall, SendLog};
use crate::{Certainty, Error, Reply, Sent};

/// Stops a [`SendAll`](crate::SendAll) and reports on it, also from other threads and after the
/// stream was dropped. It does not keep the stream running.
///
/// It can go to another thread if the keys can (`K: Send`).
///
/// ```no_run
/// # use smtp2go_sdk::{Client, Email};
/// # async fn example(client: Client, mails: Vec<Email>, shutdown: impl Future<Output = ()> + Send + 'static) {
/// let mut sending = client.send_all(mails, 8);
/// let handle = sending.handle();
/// tokio::spawn(async move {
///     shutdown.await;
///     handle.stop();
/// });
/// while let Some(outcome) = sending.next().await {
///     // …
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct SendHandle<K = ()> {
    log: Arc<SendLog>,
    /// The key of each mail taken, in input order.
    keys: Arc<Mutex<Vec<K>>>,
}

impl<K> SendHandle<K> {
    /// Creates the handle of a new stream. `remaining` is the size hint of its input.
    pub(crate) fn new(remaining: (usize, Option<usize>)) -> Self {
        Self {
            log: Arc::new(SendLog::new(remaining)),
            keys: Arc::default(),
        }
    }

    /// Clones the handle. Works with any type of key.
    pub(crate) fn share(&self) -> Self {
        Self {
            log: self.log.clone(),
            keys: self.keys.clone(),
        }
    }

    pub(crate) fn log(&self) -> &SendLog {
        &self.log
    }

    /// Adds a mail that was taken from the input, and returns its index.
    pub(crate) fn taken(&self, key: &K, remaining: (usize, Option<usize>)) -> usize
    where
        K: Clone,
    {
        let key = key.clone();
        // Before the state, so that each state has a key.
        self.keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(key);
        self.log.taken(remaining)
    }

    /// Returns the call for a mail that was taken.
    pub(crate) fn call(&self, index: usize) -> SendCall {
        SendCall::new(self.log.clone(), index)
    }

    /// Stops taking mails, as [`SendAll::stop`](crate::SendAll::stop).
    pub fn stop(&self) {
        self.log.stop();
    }

    /// Returns the state of the mails taken so far. Costs a clone of each key.
    ///
    /// After the stream or iterator was dropped, a mail whose call was cancelled is
    /// [`NotSent`](SendState::NotSent) if nothing of it can have been sent, and else
    /// [`Unknown`](SendState::Unknown).
    #[must_use]
    pub fn report(&self) -> SendReport<K>
    where
        K: Clone,
    {
        let read = self.log.read();
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        SendReport::new(read, keys.iter().cloned())
    }
}

impl<K> fmt::Debug for SendHandle<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = SendReport::new(self.log.read(), iter::repeat(()));
        f.debug_struct("SendHandle")
            .field("report", &counts)
            .finish()
    }
}

/// The state of one mail of [`Client::send_all`](crate::Client::send_all).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendState {
    /// The service accepted the mail.
    Sent,
    /// The mail provably was not sent and will not be: the call failed or was cancelled before
    /// anything was sent, or never started.
    NotSent,
    /// The service refused the mail.
    Rejected,
    /// The mail may have been sent: the call failed or was cancelled after the request was handed
    /// to the network.
    Unknown,
    /// The call that sends the mail is in progress.
    InFlight,
}

impl From<Certainty> for SendState {
    fn from(certainty: Certainty) -> Self {
        match certainty {
            Certainty::NotSent => Self::NotSent,
            Certainty::Rejected => Self::Rejected,
            Certainty::Unknown => Self::Unknown,
        }
    }
}

impl SendState {
    pub(super) fn of(result: &Result<Reply<Sent>, Error>) -> Self {
        let certainty = match result {
            // A failure that `failures_are_errors(false)` returns as a reply.
            Ok(reply) => reply.certainty,
            Err(error) => Some(error.certainty()),
        };
        certainty.map_or(Self::Sent, Self::from)
    }
}

/// The state of each mail that was taken from the input of a [`SendAll`](crate::SendAll), or of the
/// blocking client's, at the time of the report.
#[derive(Clone, PartialEq, Eq)]
pub struct SendReport<K = ()> {
    mails: Vec<(K, SendState)>,
    not_taken: Option<usize>,
    paused: Option<Duration>,
}

impl<K> SendReport<K> {
    fn new(
        (states, not_taken, paused): (Vec<SendState>, Option<usize>, Option<Duration>),
        keys: impl Iterator<Item = K>,
    ) -> Self {
        Self {
            mails: keys.zip(states).collect(),
            not_taken,
            paused,
        }
    }

    /// Number of mails taken from the input: the sum of all other counts except
    /// [`not_taken`](Self::not_taken).
    #[must_use]
    pub fn taken(&self) -> usize {
        self.mails.len()
    }

    /// Number of mails that the service accepted.
    #[must_use]
    pub fn sent(&self) -> usize {
        self.count(SendState::Sent)
    }

    /// Number of mails that provably were not sent, including those whose call never started.
    #[must_use]
    pub fn not_sent(&self) -> usize {
        self.count(SendState::NotSent)
    }

    /// Number of mails that the service refused.
    #[must_use]
    pub fn rejected(&self) -> usize {
        self.count(SendState::Rejected)
    }

    /// Number of mails that may have been sent.
    #[must_use]
    pub fn unknown(&self) -> usize {
        self.count(SendState::Unknown)
    }

    /// Number of mails whose call is in progress. 0 after the stream or iterator has ended or was
    /// dropped.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.count(SendState::InFlight)
    }

    /// Number of mails that are left in the input, or were left when the input was dropped. They
    /// were not sent. `None` if the input does not know its length.
    #[must_use]
    pub fn not_taken(&self) -> Option<usize> {
        self.not_taken
    }

    /// Time left until mails are taken again after a rate limit. At most one hour, whatever the API
    /// asked for. `None` if there is no pause, or no mail left to take.
    #[must_use]
    pub fn paused(&self) -> Option<Duration> {
        self.paused
    }

    /// Returns the key and the state of each mail taken, in input order. Mails without a key have
    /// `()`: count them with `enumerate`.
    ///
    /// ```
    /// # use smtp2go_sdk::{SendReport, SendState};
    /// fn to_repeat(report: &SendReport<u64>) -> Vec<u64> {
    ///     let not_sent = report.states().filter(|(_, state)| *state == SendState::NotSent);
    ///     not_sent.map(|(id, _)| *id).collect()
    /// }
    /// ```
    pub fn states(&self) -> impl ExactSizeIterator<Item = (&K, SendState)> {
        self.mails.iter().map(|(key, state)| (key, *state))
    }

    fn count(&self, state: SendState) -> usize {
        self.mails
            .iter()
            .filter(|(_, found)| *found == state)
            .count()
    }
}

/// One line, such as `5 taken: 3 sent, 1 rejected, 1 not sent, 0 unknown; 2 not taken`. Without
/// keys.
impl<K> fmt::Display for SendReport<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} taken: {} sent, {} rejected, {} not sent, {} unknown",
            self.taken(),
            self.sent(),
            self.rejected(),
            self.not_sent(),
            self.unknown(),
        )?;
        if self.in_flight() > 0 {
            write!(f, ", {} in flight", self.in_flight())?;
        }
        if let Some(left) = self.not_taken {
            write!(f, "; {left} not taken")?;
        }
        if let Some(wait) = self.paused {
            let seconds = wait.as_millis().div_ceil(1000);
            write!(f, "; rate limited, paused for {seconds} s")?;
        }
        Ok(())
    }
}

/// Shows the counts. Without keys.
impl<K> fmt::Debug for SendReport<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendReport")
            .field("taken", &self.taken())
            .field("sent", &self.sent())
            .field("rejected", &self.rejected())
            .field("not_sent", &self.not_sent())
            .field("unknown", &self.unknown())
            .field("in_flight", &self.in_flight())
            .field("not_taken", &self.not_taken)
            .field("paused", &self.paused)
            .finish()
    }
}
