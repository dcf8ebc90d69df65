//! The queue of jobs that are due at a later time.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::account::AccountId;
use crate::delivery;
use crate::event::{EventKind, KindForm};
use crate::operations::{domain, email, single_sender_emails, sms};
use crate::webhooks;
use crate::world::World;

/// A change of the world at a later time. It is data, not a closure, so that a data file can hold it.
/// The job itself must check whether it still applies.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) enum Job {
    /// Sends a scheduled mail.
    SendScheduled {
        account: AccountId,
        schedule_id: String,
        number: u64,
    },
    /// Delivers a mail to its recipients.
    Arrive { number: u64 },
    /// Simulates a recipient's reaction to a mail.
    React {
        number: u64,
        recipient: String,
        #[serde(with = "KindForm")]
        kind: EventKind,
    },
    /// Moves a text message to its next state.
    MoveSms { number: u64, step: sms::SmsStep },
    /// Looks up the records of a domain.
    LookUpDomain { account: AccountId, name: String },
    /// Verifies a single sender, as if the owner of the address clicked the mailed link.
    VerifySender { account: AccountId, address: String },
    /// Posts an event again. The data file contains neither webhook deliveries nor this job.
    #[serde(skip)]
    PostAgain {
        place: usize,
        time: SystemTime,
        epoch: Arc<()>,
    },
    #[cfg(test)]
    #[serde(skip)]
    Test(Box<dyn FnOnce(&mut World) + Send>),
}

impl Job {
    pub(crate) fn run(self, world: &mut World) {
        match self {
            Self::SendScheduled {
                account,
                schedule_id,
                ..
            } => email::send_scheduled(world, account, &schedule_id),
            Self::Arrive { number } => delivery::arrive(world, number),
            Self::React {
                number,
                recipient,
                kind,
            } => delivery::react(world, number, &recipient, kind),
            Self::MoveSms { number, step } => sms::advance(world, number, step),
            Self::LookUpDomain { account, name } => domain::look_up(world, account, &name),
            Self::VerifySender { account, address } => {
                single_sender_emails::verify(world, account, &address);
            }
            Self::PostAgain { place, time, epoch } => {
                webhooks::post_when_due(world, place, time, &epoch);
            }
            #[cfg(test)]
            Self::Test(job) => job(world),
        }
    }
}

/// The time when a job is due, and its unique number.
pub(crate) type JobKey = (SystemTime, u64);

/// Jobs in the order of their time, then of their addition. A job may belong to a message, given by
/// its number.
#[derive(Default)]
pub(crate) struct DueQueue {
    jobs: BTreeMap<JobKey, (Option<u64>, Job)>,
    added: u64,
}

impl DueQueue {
    pub(crate) fn add(&mut self, time: SystemTime, message: Option<u64>, job: Job) -> JobKey {
        self.added += 1;
        let key = (time, self.added);
        self.jobs.insert(key, (message, job));
        key
    }

    /// Cancels a job.
    pub(crate) fn remove(&mut self, key: JobKey) {
        self.jobs.remove(&key);
    }

    /// The time when the next job is due.
    pub(crate) fn next(&self) -> Option<SystemTime> {
        self.jobs.keys().next().map(|(time, _)| *time)
    }

    /// Removes the next job that is due at `now`, and returns it with its message.
    pub(crate) fn pop(&mut self, now: SystemTime) -> Option<(JobKey, Option<u64>, Job)> {
        if self.next()? > now {
            return None;
        }
        let (key, (message, job)) = self.jobs.pop_first()?;
        Some((key, message, job))
    }
}

#[cfg(feature = "data")]
impl DueQueue {
    pub(crate) fn get(&self, key: JobKey) -> Option<(Option<u64>, &Job)> {
        self.jobs.get(&key).map(|(message, job)| (*message, job))
    }

    /// The number of the last job that was added.
    pub(crate) fn last(&self) -> u64 {
        self.added
    }

    /// Sets the number of the last job. The next one gets the number after it.
    pub(crate) fn set_last(&mut self, number: u64) {
        self.added = number;
    }

    /// Restores a job from a data file.
    pub(crate) fn restore(&mut self, key: JobKey, message: Option<u64>, job: Job) {
        self.jobs.insert(key, (message, job));
    }
}

impl fmt::Debug for DueQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DueQueue")
            .field("jobs", &self.jobs.len())
            .finish_non_exhaustive()
    }
}
