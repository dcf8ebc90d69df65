//! `Worker`: sends the mails of an outbox.

mod attempt;
mod listen;
mod look_up;
mod outcome;
mod pause;
mod slot;

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use smtp2go_sdk::Client;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::decide::Known;
use crate::error::Error;
use crate::outbox::Outbox;
use crate::settings::Settings;
use pause::Outages;
pub(crate) use slot::Stop;
use slot::slot;

/// Maximum number of ended leases read at a time.
const SWEPT_AT_A_TIME: u32 = 500;

/// Time limit for writing the outcomes of aborted sends.
const LAST_WRITES: Duration = Duration::from_secs(5);

/// Sends the mails of an outbox. Built by [`Outbox::worker`]. Clones share one worker.
#[derive(Clone)]
pub struct Worker {
    pub(crate) inner: Arc<Shared>,
}

/// The parts that the tasks of a worker share.
pub(crate) struct Shared {
    pub(crate) outbox: Outbox,
    pub(crate) client: Client,
    pub(crate) settings: Settings,
    /// The worker's name in the table, unique for each build.
    pub(crate) owner: String,
    outages: Outages,
}

impl Worker {
    pub(crate) fn new(outbox: Outbox, client: Client, settings: Settings, owner: String) -> Self {
        let outages = Outages::new(settings.outage_pause);
        Self {
            inner: Arc::new(Shared {
                outbox,
                client,
                settings,
                owner,
                outages,
            }),
        }
    }

    /// Returns the worker's name in the table, which is unique for each build.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.owner
    }

    /// Sends mails until `signal` completes. Then returns after at most the
    /// [`drain`](crate::WorkerBuilder::drain) limit plus about 5 seconds.
    ///
    /// After the signal, the worker claims no more mails, and lets running sends finish. At the limit it
    /// aborts the remaining ones: a mail whose send had not begun is queued again, and any other mail becomes
    /// unknown.
    ///
    /// If the database fails, the worker waits and tries again, and writes the outcome of a send when the database
    /// is available. If the future is dropped, mails that are being sent become unknown when their leases end.
    ///
    /// # Errors
    /// Only at the start: if the tables are missing or have another version, the database refuses the connection
    /// for a lasting reason, or SQLite's `synchronous` is not FULL.
    pub async fn run_until(&self, signal: impl Future<Output = ()>) -> Result<(), Error> {
        let mut signal = pin!(signal);
        tokio::select! {
            checked = self.inner.check() => checked?,
            () = &mut signal => return Ok(()),
        }
        let inner = &self.inner;
        let (stop, stopping) = watch::channel(Stop::No);
        let scout = Arc::new(Mutex::new(()));
        let mut slots = JoinSet::new();
        for _ in 0..inner.settings.concurrency {
            slots.spawn(slot(inner.clone(), scout.clone(), stopping.clone()));
        }
        let mut helpers = JoinSet::new();
        helpers.spawn(inner.clone().keep_house());
        helpers.spawn(listen::listen(inner.clone()));
        tracing::info!(target: "smtp2go_outbox", owner = inner.owner, "worker started");
        tokio::select! {
            () = &mut signal => {}
            // A bug in this crate. A worker without one of its tasks would leave mails unsent.
            panic = panic_in(&mut slots, &mut helpers) => std::panic::resume_unwind(panic),
        }
        stop.send_replace(Stop::Claiming);
        let all = async { while slots.join_next().await.is_some() {} };
        let mut all = pin!(all);
        if timeout(inner.settings.drain, &mut all).await.is_err() {
            stop.send_replace(Stop::Sending);
            let _ = timeout(LAST_WRITES.saturating_add(Duration::from_secs(1)), all).await;
        }
        tracing::info!(target: "smtp2go_outbox", owner = inner.owner, "worker ended");
        Ok(())
    }
}

/// Waits for the first panic of a task.
async fn panic_in(slots: &mut JoinSet<()>, helpers: &mut JoinSet<()>) -> Box<dyn Any + Send> {
    loop {
        let ended = tokio::select! {
            Some(ended) = slots.join_next() => ended,
            Some(ended) = helpers.join_next() => ended,
            else => std::future::pending().await,
        };
        if let Some(panic) = ended.err().and_then(|error| error.try_into_panic().ok()) {
            return panic;
        }
    }
}

impl Shared {
    /// Checks the tables, and waits for a database that can't be reached.
    async fn check(&self) -> Result<(), Error> {
        let mut wait = Backoff::default();
        loop {
            let checked = match self.outbox.store.check_version().await {
                Ok(()) => self.outbox.store.check_durability().await,
                checked => checked,
            };
            match checked {
                Err(error) if error.is_temporary() => wait.after(&error).await,
                checked => return checked,
            }
        }
    }

    /// Makes mails unknown whose leases have ended, and looks unknown mails up. Never returns.
    async fn keep_house(self: Arc<Self>) {
        let mut wait = Backoff::default();
        loop {
            let swept = match self.sweep().await {
                Ok(()) => self.look_up_due().await,
                Err(error) => Err(error),
            };
            match swept {
                Ok(()) => {
                    wait = Backoff::default();
                    // Random, so that several workers don't sweep at the same time.
                    let share = fastrand::f64().mul_add(0.5, 0.75);
                    sleep(self.settings.sweep.mul_f64(share)).await;
                }
                Err(error) => wait.after(&error).await,
            }
        }
    }

    /// Makes mails unknown whose leases have ended.
    async fn sweep(&self) -> Result<(), Error> {
        for (record, now) in self.outbox.store.expired(SWEPT_AT_A_TIME).await? {
            let policy = self.settings.policy();
            let settled = self
                .outbox
                .settle(&record, now, Known::Nothing, &policy, None);
            settled.await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker")
            .field("name", &self.inner.owner)
            .field("outbox", &self.inner.outbox)
            .field("settings", &self.inner.settings)
            .finish_non_exhaustive()
    }
}

/// The wait after a failure of the database: it doubles up to 5 seconds.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    const FIRST: Duration = Duration::from_millis(50);
    const MOST: Duration = Duration::from_secs(5);

    pub(crate) async fn after(&mut self, error: &Error) {
        let wait = Self::FIRST.saturating_mul(1 << self.failures.min(10));
        let wait = wait.min(Self::MOST).mul_f64(0.5 + fastrand::f64() / 2.0);
        self.failures = self.failures.saturating_add(1);
        tracing::warn!(
            target: "smtp2go_outbox",
            error = %error,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "database failed; retrying"
        );
        sleep(wait).await;
    }
}
