//! The thread that does the network's work.

use std::fmt;
use std::future::Future;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tracing::Instrument;

use crate::Error;
use crate::call::verdict::interrupted;
use crate::operation::Operation;

/// A thread with a runtime. It ends when this is dropped.
pub(super) struct Worker {
    runtime: Handle,
    thread: ThreadId,
    /// Never used: that it goes away ends the thread. Nobody joins it, for dropping must not wait,
    /// least of all on the thread itself.
    _stop: oneshot::Sender<()>,
}

impl Worker {
    pub(super) fn start(thread: thread::Builder) -> Result<Self, Error> {
        let (stop, stopped) = oneshot::channel();
        let (started, runtime) = mpsc::sync_channel(1);
        let run = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            if started.send(Ok(runtime.handle().clone())).is_ok() {
                // An error too means that the sender is gone.
                let _ = runtime.block_on(stopped);
            }
            // Dropping it would wait for readers that block.
            runtime.shutdown_background();
        };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::config("the thread of the blocking client can't be started").with_source(source)
        };
        let thread = thread.spawn(run).map_err(|error| failed(error.into()))?;
        let runtime = runtime
            .recv()
            .map_err(|error| failed(error.into()))?
            .map_err(|error| failed(error.into()))?;
        Ok(Self {
            runtime,
            thread: thread.thread().id(),
            _stop: stop,
        })
    }

    /// Runs a call on the thread, and waits for it.
    ///
    /// Waits on a channel of the standard library rather than in a runtime: tokio's ways of
    /// blocking panic in async code, and its handles may put off waking a thread that is in the
    /// middle of a task of another runtime until that task yields, which it never would.
    pub(super) fn run<T: Send + 'static>(
        &self,
        operation: &'static Operation,
        call: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        self.check(operation)?;
        let (done, outcome) = mpsc::sync_channel(1);
        self.spawn(async move {
            let _ = done.send(call.await);
        });
        outcome.recv().unwrap_or_else(|_| Err(panicked(operation)))
    }

    /// Whether the calling thread is the one that does the work.
    pub(super) fn is_this_thread(&self) -> bool {
        thread::current().id() == self.thread
    }

    /// Refuses a call from the thread itself.
    pub(super) fn check(&self, operation: &'static Operation) -> Result<(), Error> {
        if self.is_this_thread() {
            let error = Error::config(
                "called on the blocking client's own thread, where the call would wait for itself",
            );
            return Err(error.during(operation, 0));
        }
        Ok(())
    }

    /// Begins a call on the thread.
    pub(super) fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        // The span of the call belongs under the span of the caller.
        self.runtime.spawn(call.in_current_span()).abort_handle()
    }
}

/// The error of a call that ended by a panic, of something of the user's that it made use of.
pub(super) fn panicked(operation: &'static Operation) -> Error {
    interrupted("the call panicked").during(operation, 1)
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::Certainty;
    use crate::operations::EMAIL_SEND;

    fn worker() -> Worker {
        Worker::start(thread::Builder::new()).unwrap()
    }

    #[test]
    fn a_thread_that_cannot_be_started_is_an_error() {
        // More than there are addresses.
        let huge = thread::Builder::new().stack_size(1 << (usize::BITS - 2));
        let error = Worker::start(huge).err().unwrap();
        assert!(error.is_config(), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn a_call_that_panics_is_an_error_and_others_go_on() {
        let worker = worker();
        let error = worker
            .run(&EMAIL_SEND, async {
                if true {
                    panic!("on purpose");
                }
                Ok(())
            })
            .unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.operation().unwrap().id, "email_send");
        assert_eq!(worker.run(&EMAIL_SEND, async { Ok(7) }).unwrap(), 7);
    }

    #[test]
    fn a_call_from_the_thread_itself_is_refused() {
        let worker = Arc::new(worker());
        let inner = worker.clone();
        let error = worker
            .run(&EMAIL_SEND, async move {
                inner.run(&EMAIL_SEND, async { Ok(()) })
            })
            .unwrap_err();
        assert!(error.is_config());
        assert_eq!(error.certainty(), Certainty::NotSent);
        // Another one's thread is as good as any.
        let other = Arc::new(self::worker());
        worker
            .run(&EMAIL_SEND, async move {
                other.run(&EMAIL_SEND, async { Ok(()) })
            })
            .unwrap();
    }

    /// What the thread drops as it ends.
    struct Ends(mpsc::Sender<()>);

    impl Drop for Ends {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn the_thread_ends_with_its_owner_whatever_it_does() {
        let (sender, ended) = mpsc::channel();
        let worker = worker();
        let task = Ends(sender.clone());
        worker.runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(task);
        });
        // Never comes to an end: it is not waited for.
        let (release, held) = mpsc::channel::<()>();
        worker.runtime.spawn_blocking(move || {
            let _ = held.recv();
        });
        drop(worker);
        ended.recv_timeout(Duration::from_secs(60)).unwrap();

        // On the thread itself.
        let worker = Arc::new(self::worker());
        let (last, ours) = (worker.clone(), worker.runtime.clone());
        let task = Ends(sender);
        drop(worker);
        ours.spawn(async move {
            let _task = task;
            drop(last);
            std::future::pending::<()>().await;
        });
        ended.recv_timeout(Duration::from_secs(60)).unwrap();
        drop(release);
    }
}
