//! The settings of a worker.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use smtp2go_sdk::types::ActivityRegion;
use smtp2go_sdk::{Client, RetryPolicy};

use crate::decide::{OnAbsent, Policy};
use crate::error::Error;
use crate::outbox::Outbox;
use crate::store::Rates;
use crate::time::CENTURY;
use crate::worker::Worker;

const LONGEST_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

/// Builds a [`Worker`]: see [`Outbox::worker`].
///
/// ```no_run
/// # async fn example(outbox: smtp2go_outbox::Outbox, client: smtp2go_sdk::Client) -> Result<(), smtp2go_outbox::Error> {
/// let worker = outbox.worker(client).concurrency(8).build()?;
/// worker.run_until(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a worker does nothing until it is built and run"]
pub struct WorkerBuilder {
    outbox: Outbox,
    client: Client,
    settings: Settings,
    name: String,
}

/// The settings of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) concurrency: usize,
    pub(crate) send_deadline: Duration,
    pub(crate) lease: Duration,
    pub(crate) margin: Duration,
    pub(crate) poll: Duration,
    pub(crate) listen: bool,
    pub(crate) sweep: Duration,
    pub(crate) drain: Duration,
    pub(crate) look_up_after: Duration,
    pub(crate) look_up_margin: Duration,
    pub(crate) look_up_handover: Duration,
    pub(crate) give_up_after: Duration,
    pub(crate) retention: Duration,
    pub(crate) look_up_region: Option<ActivityRegion>,
    pub(crate) on_absent: OnAbsent,
    pub(crate) backoff: (Duration, Duration),
    pub(crate) outage_pause: (Duration, Duration),
    pub(crate) rate_limit_pause: (Duration, Duration),
    pub(crate) rates: Rates,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        let policy = Policy::default();
        Self {
            concurrency: 8,
            send_deadline: seconds(60),
            lease: seconds(90),
            margin: seconds(5),
            poll: seconds(1),
            listen: true,
            sweep: seconds(5),
            drain: seconds(30),
            look_up_after: policy.look_up_after,
            look_up_margin: seconds(300),
            look_up_handover: seconds(60),
            give_up_after: seconds(15 * 60),
            retention: seconds(5 * 24 * 60 * 60),
            look_up_region: None,
            on_absent: policy.on_absent,
            backoff: policy.backoff,
            outage_pause: (seconds(5), seconds(60)),
            rate_limit_pause: (seconds(60), seconds(75)),
            rates: Rates::default(),
        }
    }
}

impl Settings {
    /// Returns the settings with each duration limited to a century, so that sums don't overflow.
    fn clamped(mut self) -> Self {
        let Self {
            concurrency: _,
            send_deadline,
            lease,
            margin,
            poll,
            listen: _,
            sweep,
            drain,
            look_up_after,
            look_up_margin,
            look_up_handover,
            give_up_after,
            retention,
            look_up_region: _,
            on_absent: _,
            backoff,
            outage_pause,
            rate_limit_pause,
            rates,
        } = &mut self;
        let ranges = [backoff, outage_pause, rate_limit_pause];
        let durations = [
            send_deadline,
            lease,
            margin,
            poll,
            sweep,
            drain,
            look_up_after,
            look_up_margin,
            look_up_handover,
            give_up_after,
            retention,
        ];
        let rates = [&mut rates.sender, &mut rates.tenant].into_iter().flatten();
        let ends = ranges.into_iter().flat_map(|(from, to)| [from, to]);
        for duration in durations.into_iter().chain(rates).chain(ends) {
            *duration = CENTURY.min(*duration);
        }
        self
    }

    /// Returns the settings for one decision, with a new random jitter.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            on_absent: self.on_absent,
            look_up_after: self.look_up_after,
            backoff: self.backoff,
            jitter: fastrand::f64(),
        }
    }

    /// Returns the policy with this worker's pause after a 429.
    pub(crate) fn retry(&self, policy: RetryPolicy) -> RetryPolicy {
        policy.rate_limit_wait(self.rate_limit_pause.0, self.rate_limit_pause.1)
    }
}

impl WorkerBuilder {
    pub(crate) fn new(outbox: Outbox, client: Client) -> Self {
        Self {
            outbox,
            client,
            settings: Settings::default(),
            name: String::new(),
        }
    }

    /// Sets how many mails the worker sends at once. Default: 8. Zero counts as 1. The worker claims a mail only
    /// when it can send it at once.
    pub fn concurrency(mut self, mails: usize) -> Self {
        self.settings.concurrency = mails.max(1);
        self
    }

    /// Sets the time limit for sending one mail. Default: 60 seconds. The time to upload the mail at 64 KiB a
    /// second is added. The client does not retry the send: a mail that was not sent goes back into the queue.
    pub fn send_deadline(mut self, limit: Duration) -> Self {
        self.settings.send_deadline = limit;
        self
    }

    /// Sets how long a mail belongs to the worker that claimed it. Default: 90 seconds. Maximum: 24 hours. Must
    /// be longer than [`send_deadline`](Self::send_deadline) and [`lease_margin`](Self::lease_margin) together.
    /// If the upload of a mail may take longer than the lease, the worker extends the lease before it sends the
    /// mail.
    ///
    /// If a worker dies, its mails become unknown when their leases end.
    pub fn lease(mut self, length: Duration) -> Self {
        self.settings.lease = length;
        self
    }

    /// Sets the time between the latest end of a send and the end of the mail's lease. Default: 5 seconds. If the
    /// rest of a lease is too short, for example because the process was suspended, the worker does not send the
    /// mail.
    pub fn lease_margin(mut self, margin: Duration) -> Self {
        self.settings.margin = margin;
        self
    }

    /// Sets how often an idle worker looks for mail. Default: 1 second. In PostgreSQL, an `INSERT` wakes all
    /// workers at once. In SQLite, [`Outbox::put`] wakes the workers of the same [`Outbox`].
    pub fn poll(mut self, interval: Duration) -> Self {
        self.settings.poll = interval;
        self
    }

    /// Sets whether the worker listens for notifications of PostgreSQL, for which it keeps one connection of
    /// the pool. Default: true. Set false if you connect through a pooler that does not support `LISTEN`.
    pub fn listen(mut self, on: bool) -> Self {
        self.settings.listen = on;
        self
    }

    /// Sets how often the worker checks for leases that have ended, and for mails to look up. Default: 5 seconds.
    pub fn sweep_every(mut self, interval: Duration) -> Self {
        self.settings.sweep = interval;
        self
    }

    /// Sets how long [`run_until`](Worker::run_until) lets sends finish after the signal. Default: 30 seconds.
    /// Then it aborts the remaining sends, and their mails become unknown.
    pub fn drain(mut self, limit: Duration) -> Self {
        self.settings.drain = limit;
        self
    }

    /// Sets the time from an attempt to the first look-up of an unknown mail. Default: 2 minutes, which is the
    /// documented lag of the activity.
    pub fn look_up_after(mut self, lag: Duration) -> Self {
        self.settings.look_up_after = lag;
        self
    }

    /// Sets the largest expected difference between the clocks of the database and of the API. Default: 5 minutes.
    /// See [`FindSent::margin`](smtp2go_sdk::FindSent::margin).
    pub fn look_up_margin(mut self, margin: Duration) -> Self {
        self.settings.look_up_margin = margin;
        self
    }

    /// Sets how long other workers make no look-ups after this worker's last one. Default: 60 seconds.
    ///
    /// The API allows 60 searches a minute, and each client keeps to this limit. Only one worker at a time makes
    /// look-ups, so that all workers together keep to the limit too.
    pub fn look_up_handover(mut self, wait: Duration) -> Self {
        self.settings.look_up_handover = wait;
        self
    }

    /// Sets when an unknown mail counts as absent even if no later mail proves it: this long after
    /// the end of its lease. Default: 15 minutes. A mail that the service delays for longer is sent
    /// twice. See [`FindSent::give_up_after`](smtp2go_sdk::FindSent::give_up_after).
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.settings.give_up_after = time;
        self
    }

    /// Sets how long SMTP2GO keeps the account's activity. Default: 5 days, as on a free plan. A mail that is
    /// unknown for longer is held.
    pub fn retention(mut self, time: Duration) -> Self {
        self.settings.retention = time;
        self
    }

    /// Sets the region whose activity look-ups search. Default: the region of the master account. See
    /// [`FindSent::region`](smtp2go_sdk::FindSent::region).
    pub fn look_up_region(mut self, region: impl Into<ActivityRegion>) -> Self {
        self.settings.look_up_region = Some(region.into());
        self
    }

    /// Sets what happens to an unknown mail after a look-up proved that it was not accepted. Default: the worker
    /// sends it again, up to 3 times.
    pub fn on_absent(mut self, action: OnAbsent) -> Self {
        self.settings.on_absent = action;
        self
    }

    /// Sets the shortest and longest wait before the next attempt for a mail that was not sent. Default: 5 seconds
    /// and 10 minutes. The wait doubles with each attempt, and is shortened at random by up to half.
    pub fn backoff(mut self, first: Duration, most: Duration) -> Self {
        self.settings.backoff = (first, most);
        self
    }

    /// Sets the shortest and longest pause after failures that don't concern a single mail, such as
    /// a timeout, a refused API key or a status 5xx. Default: 5 and 60 seconds. The pause begins
    /// with the second failure in a row, and doubles with each further one. After a status 5xx all
    /// workers pause, after other failures only this one. A `first` of zero switches the pause off.
    pub fn outage_pause(mut self, first: Duration, most: Duration) -> Self {
        self.settings.outage_pause = (first, most);
        self
    }

    /// Sets the range of the pause of all workers after a 429 without `Retry-After`. Default: 60 to 75 seconds.
    /// The length is drawn at random from the range.
    pub fn rate_limit_pause(mut self, from: Duration, to: Duration) -> Self {
        self.settings.rate_limit_pause = (from, to);
        self
    }

    /// Limits the mails of each sender to `count` in each `period`, evenly spaced, for all workers together.
    /// Default: no limit. The limit holds for each [`Priority`](crate::Priority) separately, so that a newsletter
    /// does not delay a login code. Set the same limit for all workers.
    ///
    /// A due mail takes a permit, and waits until the permit's time. A mail that was not sent keeps its permit. If
    /// the permit's time passed long ago, for example because all workers were stopped, the mail takes another
    /// permit. Long means more than `period / count` and more than two intervals of [`poll`](Self::poll).
    pub fn sender_rate(mut self, count: NonZeroU32, period: Duration) -> Self {
        self.settings.rates.sender = Some(period / count.get());
        self
    }

    /// Limits the mails of each tenant, as [`sender_rate`](Self::sender_rate) does for senders.
    pub fn tenant_rate(mut self, count: NonZeroU32, period: Duration) -> Self {
        self.settings.rates.tenant = Some(period / count.get());
        self
    }

    /// Sets the beginning of the worker's name in the table, such as the name of the host. Default: empty. A
    /// random part follows, so that each worker has a name of its own.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Builds the worker.
    ///
    /// # Errors
    /// [`is_settings`](Error::is_settings) if the lease is too short or too long, `send_deadline`, `poll` or
    /// `sweep_every` is zero, or the pool has fewer than two connections and [`listen`](Self::listen) is on.
    pub fn build(self) -> Result<Worker, Error> {
        let mut settings = self.settings.clamped();
        let Settings {
            send_deadline,
            lease,
            margin,
            poll,
            sweep,
            ..
        } = settings;
        settings.rates.slack = poll * 2;
        if lease <= send_deadline.saturating_add(margin) {
            return Err(Error::settings(format!(
                "lease of {lease:?} must be longer than send_deadline and lease_margin together \
                 ({send_deadline:?} and {margin:?})"
            )));
        }
        if lease > LONGEST_LEASE {
            return Err(Error::settings(format!(
                "lease of {lease:?} exceeds the maximum of {LONGEST_LEASE:?}"
            )));
        }
        if settings.listen && self.outbox.store.most_connections() < 2 {
            return Err(Error::settings(
                "the pool has one connection, which the worker needs for notifications: allow two connections, \
                 or switch `listen` off",
            ));
        }
        for (name, value) in [
            ("send_deadline", send_deadline),
            ("poll", poll),
            ("sweep_every", sweep),
        ] {
            if value.is_zero() {
                return Err(Error::settings(format!("{name} must not be zero")));
            }
        }
        let owner = format!("{}{:016x}", self.name, fastrand::u64(..));
        Ok(Worker::new(self.outbox, self.client, settings, owner))
    }
}

impl fmt::Debug for WorkerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerBuilder")
            .field("outbox", &self.outbox)
            .field("client", &self.client)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
