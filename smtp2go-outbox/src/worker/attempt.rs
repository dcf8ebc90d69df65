//! One attempt: sends a claimed mail, and records the outcome.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use smtp2go_sdk::types::Timestamp;
use smtp2go_sdk::{CallOptions, Email, RetryPolicy};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::outcome::{Trouble, outcome};
use super::slot::Stop;
use super::{Backoff, LAST_WRITES, Shared};
use crate::decide::{Known, Outcome, is_expired};
use crate::error::Error;
use crate::store::{Claim, Claimed};

/// Assumed upload speed in bytes per second. The client adds the time of an upload at this speed to its
/// deadline.
const SLOWEST: u64 = 64 * 1024;

/// Cap on the upload time. Longer than any upload takes at this speed, because the client refuses
/// requests that are too large for the API.
const LONGEST_UPLOAD: Duration = Duration::from_secs(60 * 60);

/// The progress of an attempt.
#[derive(Clone, Debug)]
enum Stage {
    Claimed,
    Sending,
    Ended(Outcome),
}

/// The stage of an attempt, shared by the task and by the slot that may abort it.
#[derive(Clone, Debug)]
struct Progress(Arc<Mutex<Stage>>);

impl Progress {
    fn set(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }

    /// Returns the outcome of an attempt that ends now, for this reason.
    fn outcome(&self, why: &str) -> Outcome {
        let reason = why.to_owned();
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Stage::Claimed => Outcome::NotSent {
                reason,
                retry_after: None,
            },
            Stage::Sending => Outcome::Unknown { reason },
            Stage::Ended(outcome) => outcome.clone(),
        }
    }
}

/// A task that is aborted on drop.
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    /// Claims the next due mail, or the mail with this key if it is due.
    pub(crate) async fn claim(&self, key: Option<&str>) -> Result<Claim, Error> {
        let Self {
            outbox,
            settings,
            owner,
            ..
        } = self;
        let claim = outbox
            .store
            .claim(key, owner, settings.lease, settings.rates);
        let claim = claim.await?;
        if let Claim::Claimed(claimed) = &claim {
            outbox.report_claim(&claimed.record, claimed.now());
        }
        Ok(claim)
    }

    /// Sends a claimed mail and records the outcome, in a task of its own, so that a panic ends only this task.
    pub(crate) async fn run(
        self: &Arc<Self>,
        claimed: Arc<Claimed>,
        stop: &mut watch::Receiver<Stop>,
    ) {
        let progress = Progress(Arc::new(Mutex::new(Stage::Claimed)));
        let mut task = Task(tokio::spawn(
            self.clone().attempt(claimed.clone(), progress.clone()),
        ));
        // `None` if the worker aborts its sends.
        let ended = tokio::select! {
            ended = &mut task.0 => Some(ended),
            () = aborted(stop) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                task.0.abort();
                // After this returns, the task sends nothing.
                (&mut task.0).await
            }
        };
        let why = match ended {
            Ok(()) => return,
            Err(error) if error.is_panic() => "panicked",
            Err(_) => "stopped",
        };
        let written = self.write_outcome(&claimed, progress.outcome(why));
        if !matches!(timeout(LAST_WRITES, written).await, Ok(Ok(()))) {
            tracing::warn!(
                target: "smtp2go_outbox",
                key = claimed.record.key,
                "outcome not written: the mail becomes unknown when its lease ends"
            );
        }
    }

    /// Sends a claimed mail and records the outcome. Repeats the recording until the database is available.
    async fn attempt(self: Arc<Self>, claimed: Arc<Claimed>, progress: Progress) {
        let (outcome, trouble) = self.send(&claimed, &progress).await;
        progress.set(Stage::Ended(outcome.clone()));
        let (key, fence) = (&claimed.record.key, claimed.record.fence);
        tracing::trace!(target: "smtp2go_outbox", step = "answered", key, fence);
        self.pause_after(trouble).await;
        let mut wait = Backoff::default();
        while let Err(error) = self.write_outcome(&claimed, outcome.clone()).await {
            wait.after(&error).await;
        }
        tracing::trace!(target: "smtp2go_outbox", step = "recorded", key, fence);
    }

    async fn write_outcome(&self, claimed: &Claimed, outcome: Outcome) -> Result<(), Error> {
        let Claimed { record, mail, .. } = claimed;
        tracing::trace!(
            target: "smtp2go_outbox",
            step = "record",
            key = record.key,
            fence = record.fence
        );
        let known = Known::Attempt(record.fence, outcome);
        let policy = self.settings.policy();
        let settled = self
            .outbox
            .settle(record, claimed.now(), known, &policy, mail.as_deref());
        settled.await.map(drop)
    }

    /// Sends a claimed mail, unless the mail can't be sent or the rest of its lease is too short.
    async fn send(&self, claimed: &Claimed, progress: &Progress) -> (Outcome, Trouble) {
        if is_expired(&claimed.record, claimed.now()) {
            return (Outcome::Expired, Trouble::None);
        }
        let mail = match readable(claimed) {
            Ok(mail) => mail,
            Err(unfit) => return (unfit, Trouble::None),
        };
        let not_sent = |reason: &str| {
            let outcome = Outcome::NotSent {
                reason: reason.to_owned(),
                retry_after: None,
            };
            (outcome, Trouble::None)
        };
        let upload = upload_time(&mail);
        let mut over = claimed.before + self.settings.lease;
        let needed = (self.settings.send_deadline)
            .saturating_add(upload)
            .saturating_add(self.settings.margin);
        if needed > self.settings.lease {
            let before = Instant::now();
            match self.outbox.store.extend(&claimed.record, needed).await {
                Ok(true) => over = before + needed,
                Ok(false) => return not_sent("lease_expired"),
                Err(_) => return not_sent("database"),
            }
        }
        let (key, fence) = (&claimed.record.key, claimed.record.fence);
        tracing::trace!(target: "smtp2go_outbox", step = "send", key, fence);
        let over = over
            .checked_sub(claimed.suspended())
            .unwrap_or(claimed.before);
        // The client adds the time of the upload to the deadline itself.
        let reserved = upload.saturating_add(self.settings.margin);
        let left = over.saturating_duration_since(Instant::now());
        let left = left.saturating_sub(reserved);
        if left < self.settings.send_deadline / 4 {
            return not_sent("lease_expired");
        }
        let options = CallOptions::new()
            .deadline(left.min(self.settings.send_deadline))
            // A point in time, so that it also applies if the process is suspended before the call
            // starts.
            .end_by((over - self.settings.margin).into_std())
            .retry(self.settings.retry(RetryPolicy::none()))
            .failures_are_errors(true);
        progress.set(Stage::Sending);
        let sent = self.client.with_options(options).send(mail).await;
        let (from, to) = self.settings.rate_limit_pause;
        let pause = from + to.saturating_sub(from).mul_f64(fastrand::f64());
        outcome(sent, pause)
    }
}

async fn aborted(stop: &mut watch::Receiver<Stop>) {
    if stop.wait_for(|stop| *stop == Stop::Sending).await.is_err() {
        // The worker's future was dropped, and this task is aborted with it.
        std::future::pending::<()>().await;
    }
}

/// Reads the mail of a row.
fn readable(claimed: &Claimed) -> Result<Email, Outcome> {
    let unfit = |reason: &str, error: String| Outcome::Unfit {
        reason: reason.to_owned(),
        error,
    };
    let Some(json) = &claimed.mail else {
        return Err(unfit("no_content", "the row has no mail".to_owned()));
    };
    let mut mail: Email =
        serde_json::from_str(json).map_err(|error| unfit("unreadable", error.to_string()))?;
    let due = mail.parts().schedule().and_then(Timestamp::to_system_time);
    if due.is_some_and(|due| due <= claimed.now()) {
        // The API refuses a time in the past.
        mail = mail.without_schedule();
    }
    let key = claimed.record.key.as_str();
    match mail.key() {
        None => Ok(mail.idempotency_key(key)),
        Some(own) if own == key => Ok(mail),
        Some(_) => Err(unfit(
            "key_mismatch",
            "idempotency_key of the mail differs from the row's key".to_owned(),
        )),
    }
}

/// Returns the time that the client adds for the upload of the mail.
fn upload_time(mail: &Email) -> Duration {
    // A mail whose size can't be read can't be sent either: the client returns the error.
    let size = mail.size().unwrap_or_default();
    Duration::from_millis(size.saturating_mul(1000) / SLOWEST).min(LONGEST_UPLOAD)
}
