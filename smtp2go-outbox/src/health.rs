//! The health of an outbox.

use std::time::{Duration, SystemTime};

use crate::error::Error;
use crate::outbox::Outbox;

/// The backlog and the failures of an outbox: see [`Outbox::health`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// How long the oldest due mail has waited. Zero if no mail is due.
    pub oldest_due: Duration,
    /// The longest time that workers have tried to send a queued mail without success: the API
    /// can't be reached, limits the rate, or refuses the key.
    /// [`Record::reason`](crate::Record::reason) says why.
    pub oldest_failing: Duration,
    /// Time since the end of the oldest lease that no worker has cleared. If it exceeds a few times
    /// [`sweep_every`](crate::WorkerBuilder::sweep_every), no worker runs.
    pub oldest_lease: Duration,
    /// How long the oldest look-up has been due. If it exceeds a few minutes, no worker makes look-ups.
    pub oldest_look_up: Duration,
    /// Number of unknown mails whose last look-up failed. [`Record::reason`](crate::Record::reason) says why:
    /// `look_up_status` mostly means that the API key does not permit `/activity/search`.
    pub failed_look_ups: u64,
    /// Remaining time of a pause of all workers. Zero if there is none.
    pub paused: Duration,
    /// Number of mails that the API refused. Their [`Record::error`](crate::Record::error) says why.
    pub rejected: u64,
    /// Number of mails that are held.
    pub held: u64,
}

impl Health {
    /// Returns whether nothing waits for longer than `limit`, no look-up failed, and no mail is held. Rejected
    /// mails don't count, because some recipients' addresses are always wrong.
    #[must_use]
    pub fn is_ok(&self, limit: Duration) -> bool {
        let waits = [
            self.oldest_due,
            self.oldest_failing,
            self.oldest_lease,
            self.oldest_look_up,
        ];
        self.held == 0 && self.failed_look_ups == 0 && waits.into_iter().all(|wait| wait <= limit)
    }
}

impl Outbox {
    /// Returns the outbox's backlog and failures. Reads indexes, so it is cheap at any size of the
    /// table, unless many mails are held, rejected or unknown.
    ///
    /// # Errors
    /// If the database fails, or the tables are missing or have another version.
    pub async fn health(&self) -> Result<Health, Error> {
        self.store.check_version().await?;
        let load = self.store.load().await?;
        let paused = self.store.paused_until().await?;
        let since = |time: Option<SystemTime>| {
            let since = time.and_then(|time| load.now.duration_since(time).ok());
            since.unwrap_or_default()
        };
        Ok(Health {
            oldest_due: since(load.oldest_due),
            oldest_failing: since(load.failing_since),
            oldest_lease: since(load.oldest_lease),
            oldest_look_up: since(load.oldest_look_up),
            paused: paused
                .and_then(|until| until.duration_since(load.now).ok())
                .unwrap_or_default(),
            failed_look_ups: load.failed_look_ups,
            rejected: load.rejected,
            held: load.held,
        })
    }
}
