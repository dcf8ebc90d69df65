//! The thread that runs the blocking client's calls.

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

/// A thread with a tokio runtime. Ends on drop.
pub(super) struct Worker {
    runtime: Handle,
    thread: ThreadId,
    /// Ends the thread on drop. The thread is not joined: dropping must not wait, least of all on
    /// the thread itself.
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
                // Ends when `_stop` is dropped.
                let _ = runtime.block_on(stopped);
            }
            // Dropping the runtime would wait for blocking readers.
            runtime.shutdown_background();
        };
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| {
            Error::config("can't start the thread of the blocking client").with_source(source)
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
    /// Waits on a channel of the standard library, because tokio's blocking calls panic in async code.
    /// Besides, tokio may defer a wake-up until the current task of another runtime yields, and that
    /// task may be the one that is blocked here.
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

    /// Whether the calling thread is the worker's thread.
    pub(super) fn is_this_thread(&self) -> bool {
        thread::current().id() == self.thread
    }

    /// Refuses a call from the worker's thread.
    pub(super) fn check(&self, operation: &'static Operation) -> Result<(), Error> {
        if self.is_this_thread() {
            let error = Error::config(
                "called on the blocking client's own thread, where the call would wait for itself: \
                 call from another thread",
            );
            return Err(error.during(operation, 0));
        }
        Ok(())
    }

    /// Starts a call on the thread.
    pub(super) fn spawn(&self, call: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        // The caller's span is the parent of the call's span.
        self.runtime.spawn(call.in_current_span()).abort_handle()
    }
}

/// The error of a call that ended by a panic, for example in a reader of an attachment.
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
    fn thread_that_cannot_start_is_an_error() {
        // Larger than the address space.
        let huge = thread::Builder::new().stack_size(1 << (usize::BITS - 2));
        let error = Worker::start(huge).err().unwrap();
        assert!(error.is_config(), "{error}");
        assert!(std::error::Error::source(&error).is_some());
    }

    #[test]
    fn panic_fails_its_own_call_only() {
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
    fn call_from_the_worker_s_thread_is_refused() {
        let worker = Arc::new(worker());
        let inner = worker.clone();
        let error = worker
            .run(&EMAIL_SEND, async move {
                inner.run(&EMAIL_SEND, async { Ok(()) })
            })
            .unwrap_err();
        assert!(error.is_config());
        assert_eq!(error.certainty(), Certainty::NotSent);
        // The thread of another worker is accepted.
        let other = Arc::new(self::worker());
        worker
            .run(&EMAIL_SEND, async move {
                other.run(&EMAIL_SEND, async { Ok(()) })
            })
            .unwrap();
    }

    /// Sends a message when it is dropped.
    struct ReportsDrop(mpsc::Sender<()>);

    impl Drop for ReportsDrop {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn thread_ends_with_its_owner_despite_pending_tasks() {
        let (sender, ended) = mpsc::channel();
        let worker = worker();
        let task = ReportsDrop(sender.clone());
        worker.runtime.spawn(async move {
            std::future::pending::<()>().await;
            drop(task);
        });
        // Does not end until released, and is not waited for.
        let (release, held) = mpsc::channel::<()>();
        worker.runtime.spawn_blocking(move || {
            let _ = held.recv();
        });
        drop(worker);
        ended.recv_timeout(Duration::from_secs(60)).unwrap();

        // Dropped on its own thread.
        let worker = Arc::new(self::worker());
        let (last, ours) = (worker.clone(), worker.runtime.clone());
        let task = ReportsDrop(sender);
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
