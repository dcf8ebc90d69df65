//! Cancellation of a call, from any thread, with proof of whether it was sent.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::attempt::Wire;
use super::verdict::{Upload, cancelled};
use crate::error::Certainty;

/// Cancels one call. Shared by the call and its owner.
///
/// The owner also drops the call's future. Until then, this prevents the future from sending anything.
#[derive(Debug)]
pub struct CallCancel(Mutex<CancelState>);

#[derive(Debug)]
struct CancelState {
    cancelled: bool,
    /// Certainty of the attempts that have ended.
    ended: Certainty,
    /// The attempt in progress.
    attempt: Option<Arc<Wire>>,
}

impl CallCancel {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(CancelState {
            cancelled: false,
            ended: Certainty::NotSent,
            attempt: None,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, CancelState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers an attempt before it starts. After a cancellation it can't send anything.
    pub(crate) fn attempt_started(&self, wire: &Arc<Wire>) {
        let mut state = self.lock();
        if state.cancelled {
            wire.seal();
        }
        state.attempt = Some(wire.clone());
    }

    /// Records how the attempt ended: `None` for a success. The certainty of a failure covers the
    /// attempts before it too.
    pub(crate) fn attempt_ended(&self, failed: Option<Certainty>) {
        let mut state = self.lock();
        state.ended = failed.unwrap_or_else(|| cancelled(Upload::Whole));
        state.attempt = None;
    }

    /// Prevents the call from sending anything more, and returns its certainty.
    pub(crate) fn cancel(&self) -> Certainty {
        let mut state = self.lock();
        state.cancelled = true;
        match &state.attempt {
            Some(wire) => state.ended.and(cancelled(wire.seal())),
            None => state.ended,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::platform::time::Instant;

    use super::*;

    #[test]
    fn certainty_is_that_of_all_attempts() {
        for failed in [Certainty::NotSent, Certainty::Rejected, Certainty::Unknown] {
            let call = CallCancel::new();
            call.attempt_started(&Arc::new(Wire::new(
                Instant::now(),
                Duration::from_secs(60),
            )));
            call.attempt_ended(Some(failed));
            let second = Arc::new(Wire::new(Instant::now(), Duration::from_secs(60)));
            call.attempt_started(&second);
            assert_eq!(call.cancel(), failed);
            assert_eq!(second.seal(), Upload::Nothing);
        }
    }

    #[test]
    fn cancelling_a_call_that_has_succeeded_returns_unknown() {
        let call = CallCancel::new();
        call.attempt_started(&Arc::new(Wire::new(
            Instant::now(),
            Duration::from_secs(60),
        )));
        call.attempt_ended(None);
        assert_eq!(call.cancel(), Certainty::Unknown);
    }

    #[test]
    fn attempt_after_cancellation_sends_nothing() {
        let call = CallCancel::new();
        assert_eq!(call.cancel(), Certainty::NotSent);
        let wire = Arc::new(Wire::new(Instant::now(), Duration::from_secs(60)));
        call.attempt_started(&wire);
        assert_eq!(wire.seal(), Upload::Nothing);
        assert_eq!(call.cancel(), Certainty::NotSent);
    }
}
