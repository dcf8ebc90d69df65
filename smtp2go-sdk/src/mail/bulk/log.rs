//! State that a `send_all` stream, its calls and its handles share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use crate::platform::time::Instant;

use super::report::SendState;
use crate::call::cancel::CallCancel;
use crate::call::rate_limit::LONGEST_PAUSE;
use crate::call::telemetry::send_all_paused;
use crate::{Certainty, Error, Reply, Sent};

/// A later 429 has to extend a pause by at least this much to be logged again. Otherwise each of the
/// calls in flight would log one.
const LOGGED_EXTENSION: Duration = Duration::from_secs(1);

/// The progress of one `send_all`.
#[derive(Default)]
pub(crate) struct SendLog(Mutex<SendLogEntries>);

#[derive(Default)]
struct SendLogEntries {
    /// State of each mail taken, in input order.
    states: Vec<SendState>,
    /// Size hint of the input.
    remaining: (usize, Option<usize>),
    /// End of the pause after a rate limit. It may be in the past.
    paused_until: Option<Instant>,
    stopped: bool,
    /// Whether the input was dropped.
    closed: bool,
    /// Wakes the reader that waits for an outcome.
    reader: Option<Waker>,
}

impl SendLogEntries {
    /// End of the pause. `None` if there is no pause, or no mail left that it would delay.
    fn pause(&self, now: Instant) -> Option<Instant> {
        let over = self.closed || self.stopped || self.remaining.1 == Some(0);
        self.paused_until.filter(|until| !over && *until > now)
    }
}

impl SendLog {
    pub(crate) fn new(remaining: (usize, Option<usize>)) -> Self {
        Self(Mutex::new(SendLogEntries {
            remaining,
            ..SendLogEntries::default()
        }))
    }

    fn lock(&self) -> MutexGuard<'_, SendLogEntries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a mail that was taken from the input, and returns its index.
    pub(crate) fn taken(&self, remaining: (usize, Option<usize>)) -> usize {
        let mut entries = self.lock();
        entries.remaining = remaining;
        // Until its call starts.
        entries.states.push(SendState::NotSent);
        entries.states.len() - 1
    }

    /// Records that the input ended.
    pub(crate) fn exhausted(&self) {
        self.lock().remaining = (0, Some(0));
    }

    fn set(&self, index: usize, found: SendState) {
        if let Some(state) = self.lock().states.get_mut(index) {
            *state = found;
        }
    }

    /// Records the certainty of a cancelled call, unless its outcome is known.
    fn cancelled(&self, index: usize, certainty: Certainty) {
        if let Some(state) = self.lock().states.get_mut(index)
            && *state == SendState::InFlight
        {
            *state = certainty.into();
        }
    }

    /// Starts a pause for the time that the API asked for, up to the client's cap. No mail is taken until
    /// its end.
    pub(crate) fn hold(&self, asked: Duration) {
        let wait = asked.min(LONGEST_PAUSE);
        let now = Instant::now();
        // Can't overflow: the wait is capped.
        let until = now.checked_add(wait).unwrap_or(now);
        let logged = {
            let mut entries = self.lock();
            let earlier = entries.pause(now).unwrap_or(now);
            entries.paused_until = entries.paused_until.max(Some(until));
            let extension = entries
                .pause(now)
                .map(|until| until.saturating_duration_since(earlier));
            extension.is_some_and(|more| earlier == now || more >= LOGGED_EXTENSION)
        };
        if logged {
            send_all_paused(wait, asked);
        }
    }

    /// End of the pause, if there is one.
    pub(crate) fn pause(&self) -> Option<Instant> {
        self.lock().pause(Instant::now())
    }

    /// Ends the stream once the calls in flight have ended, and wakes the reader.
    pub(crate) fn stop(&self) {
        let reader = {
            let mut entries = self.lock();
            entries.stopped = true;
            entries.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether the stream was stopped. If not, registers the reader, which `stop` then wakes.
    pub(crate) fn is_stopped(&self, reader: &Waker) -> bool {
        let mut entries = self.lock();
        if !entries.stopped {
            match &mut entries.reader {
                Some(known) => known.clone_from(reader),
                None => entries.reader = Some(reader.clone()),
            }
        }
        entries.stopped
    }

    /// Records that the input was dropped.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
    }

    /// Returns the states, the number of mails left in the input, and the time left of a pause.
    pub(super) fn read(&self) -> (Vec<SendState>, Option<usize>, Option<Duration>) {
        let now = Instant::now();
        let entries = self.lock();
        let (least, most) = entries.remaining;
        let pause = entries.pause(now);
        (
            entries.states.clone(),
            most.filter(|most| *most == least),
            pause.map(|until| until.saturating_duration_since(now)),
        )
    }
}

/// One call of a `send_all`: keeps the state of its mail. Cancelled on drop, unless it has ended.
pub(crate) struct SendCall {
    log: Arc<SendLog>,
    index: usize,
    cancel: Arc<CallCancel>,
}

impl SendCall {
    pub(super) fn new(log: Arc<SendLog>, index: usize) -> Self {
        Self {
            log,
            index,
            cancel: Arc::new(CallCancel::new()),
        }
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Returns the handle by which [`cancel`](Self::cancel) cancels the client's call.
    pub(crate) fn cancel_handle(&self) -> Arc<CallCancel> {
        self.cancel.clone()
    }

    pub(crate) fn started(&self) {
        self.log.set(self.index, SendState::InFlight);
    }

    /// Records the outcome. A rate limit begins a pause.
    pub(crate) fn ended(&self, result: &Result<Reply<Sent>, Error>) {
        self.log.set(self.index, SendState::of(result));
        if let Err(error) = result
            && error.is_rate_limited()
            && let Some(asked) = error.retry_after()
        {
            self.log.hold(asked);
        }
    }

    /// Prevents the call from sending anything more, and returns its certainty.
    pub(crate) fn cancel(&self) -> Certainty {
        let certainty = self.cancel.cancel();
        self.log.cancelled(self.index, certainty);
        certainty
    }
}

impl Drop for SendCall {
    fn drop(&mut self) {
        self.cancel();
    }
}
