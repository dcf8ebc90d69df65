//! The outcomes of `send_all`, counted.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use crate::call::verdict::failed;
use crate::{Certainty, Error, Reply, Sent};

/// Stops a [`SendAll`](crate::SendAll), and reports on it, from wherever it is taken to. It is no part of the
/// stream: it keeps nothing going, and answers when the stream is long gone.
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
pub struct SendHandle {
    log: Arc<Log>,
}

impl SendHandle {
    #[inline]
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// As [`SendAll::stop`](crate::SendAll::stop).
    #[inline]
    pub fn stop(&self) {
        self.log.stop();
    }

    /// As [`SendAll::report`](crate::SendAll::report). Once the stream or iterator was dropped, mails that were under way count as
    /// unknown.
    #[must_use]
    #[inline]
    pub fn report(&self) -> SendReport {
        self.log.report()
    }
}

impl fmt::Debug for SendHandle {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHandle")
            .field("report", &self.report())
            .finish()
    }
}

/// How far a mail of [`Client::send_all`](crate::Client::send_all) got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendState {
    /// The service took it in.
    Sent,
    /// It was provably not sent, and will not be: it failed before, or it was taken from the input
    /// and its call never began.
    NotSent,
    /// The service refused it.
    Rejected,
    /// It may have been sent: the call failed in a way that does not tell, or was cancelled.
    Unknown,
    /// Its call is being made.
    InFlight,
}

impl SendState {
    #[inline]
    fn of(result: &Result<Reply<Sent>, Error>) -> Self {
        let certainty = match result {
            // A failure, though the client is set to hand it out as a reply.
            Ok(reply) if reply.failed.is_some_and(|count| count > 0) => failed(reply.raw()),
            Ok(_) => None,
            Err(error) => Some(error.certainty()),
        };
        match certainty {
            None => Self::Sent,
            Some(Certainty::NotSent) => Self::NotSent,
            Some(Certainty::Rejected) => Self::Rejected,
            Some(Certainty::Unknown) => Self::Unknown,
        }
    }
}

/// What became of the mails of a [`SendAll`](crate::SendAll), or of the blocking client's, at the time it was asked for. Every mail that was
/// taken from the input is counted once.
#[derive(Clone, PartialEq, Eq)]
pub struct SendReport {
    states: Vec<SendState>,
    not_taken: Option<usize>,
}

impl SendReport {
    /// How many mails were taken from the input: the sum of the other counts but
    /// [`not_taken`](Self::not_taken).
    #[must_use]
    #[inline]
    pub fn taken(&self) -> usize {
        self.states.len()
    }

    /// How many the service took in.
    #[must_use]
    #[inline]
    pub fn sent(&self) -> usize {
        self.count(SendState::Sent)
    }

    /// How many provably were not sent; those that were taken and never begun among them.
    #[must_use]
    #[inline]
    pub fn not_sent(&self) -> usize {
        self.count(SendState::NotSent)
    }

    /// How many the service refused.
    #[must_use]
    #[inline]
    pub fn rejected(&self) -> usize {
        self.count(SendState::Rejected)
    }

    /// How many may have been sent: calls that failed in a way that does not tell, and those that
    /// were cancelled when the stream or iterator was dropped.
    #[must_use]
    #[inline]
    pub fn unknown(&self) -> usize {
        self.count(SendState::Unknown)
    }

    /// How many are being sent. None once the stream or iterator has ended or was dropped.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.count(SendState::InFlight)
    }

    /// How many mails are left in the input, or were when it was given up: they were not sent.
    /// `None` if the input does not know, which it does if it is a list.
    #[must_use]
    #[inline]
    pub fn not_taken(&self) -> Option<usize> {
        self.not_taken
    }

    /// How far each mail got, by its place in the input.
    #[must_use]
    #[inline]
    pub fn states(&self) -> &[SendState] {
        &self.states
    }

    #[inline]
    fn count(&self, state: SendState) -> usize {
        self.states.iter().filter(|found| **found == state).count()
    }
}

/// One line, such as `5 taken: 3 sent, 1 rejected, 1 not sent, 0 unknown; 2 not taken`.
impl fmt::Display for SendReport {
    #[inline]
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
            write!(f, ", {} under way", self.in_flight())?;
        }
        match self.not_taken {
            Some(left) => write!(f, "; {left} not taken"),
            None => Ok(()),
        }
    }
}

/// Shows the counts.
impl fmt::Debug for SendReport {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendReport")
            .field("taken", &self.taken())
            .field("sent", &self.sent())
            .field("rejected", &self.rejected())
            .field("not_sent", &self.not_sent())
            .field("unknown", &self.unknown())
            .field("in_flight", &self.in_flight())
            .field("not_taken", &self.not_taken)
            .finish()
    }
}

/// What a stream and its handles share.
#[derive(Default)]
pub(crate) struct Log(Mutex<State>);

#[derive(Default)]
struct State {
    states: Vec<SendState>,
    /// The size hint of the input.
    left: (usize, Option<usize>),
    stopped: bool,
    dropped: bool,
    /// Who waits for an outcome, and thus for a mail to take.
    reader: Option<Waker>,
}

impl Log {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many mails the input has left.
    #[inline]
    pub(crate) fn left(&self, left: (usize, Option<usize>)) {
        self.lock().left = left;
    }

    /// Notes that nobody reads on.
    #[inline]
    pub(crate) fn dropped(&self) {
        self.lock().dropped = true;
    }

    /// Notes that the call for a mail begins.
    #[inline]
    pub(crate) fn begun(&self, index: usize) {
        self.set(index, SendState::InFlight);
    }

    /// Notes what became of a mail.
    #[inline]
    pub(crate) fn ended(&self, index: usize, result: &Result<Reply<Sent>, Error>) {
        self.set(index, SendState::of(result));
    }

    /// Notes that a mail was taken, which leaves so many, and says which it is.
    #[inline]
    pub(crate) fn taken(&self, left: (usize, Option<usize>)) -> usize {
        let mut state = self.lock();
        state.left = left;
        // Until its call begins.
        state.states.push(SendState::NotSent);
        state.states.len() - 1
    }

    #[inline]
    fn set(&self, index: usize, found: SendState) {
        if let Some(state) = self.lock().states.get_mut(index) {
            *state = found;
        }
    }

    #[inline]
    pub(crate) fn stop(&self) {
        let reader = {
            let mut state = self.lock();
            state.stopped = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether it was stopped; if not, the reader is woken when it is.
    #[inline]
    pub(crate) fn is_stopped(&self, reader: &Waker) -> bool {
        let mut state = self.lock();
        if !state.stopped {
            match &mut state.reader {
                Some(known) => known.clone_from(reader),
                None => state.reader = Some(reader.clone()),
            }
        }
        state.stopped
    }

    #[inline]
    pub(crate) fn report(&self) -> SendReport {
        let state = self.lock();
        let (least, most) = state.left;
        let cancelled = |found: &SendState| match found {
            SendState::InFlight if state.dropped => SendState::Unknown,
            other => *other,
        };
        SendReport {
            states: state.states.iter().map(cancelled).collect(),
            not_taken: most.filter(|most| *most == least),
        }
    }
}
