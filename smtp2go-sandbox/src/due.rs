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

/// What happens to the world at its time. It is data, so that it can be kept in a file. It has to see
/// for itself whether it still applies, unless it is called off.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) enum Job {
    /// A scheduled mail is sent.
    SendScheduled {
        account: AccountId,
        schedule_id: String,
        number: u64,
    },
    /// A mail reaches its recipients.
    Arrive { number: u64 },
    /// A recipient does something with a mail.
    React {
        number: u64,
        recipient: String,
        #[serde(with = "KindForm")]
        kind: EventKind,
    },
    /// A text message gets one step further.
    MoveSms { number: u64, step: sms::SmsStep },
    /// The service looks for the records of a domain.
    LookUpDomain { account: AccountId, name: String },
    /// The owner of a single sender follows the link.
    VerifySender { account: AccountId, address: String },
    /// An event is posted again. Deliveries to webhooks are not in the file, and neither is this.
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

    /// The numbers of jobs go on after this one.
    pub(crate) fn set_last(&mut self, number: u64) {
        self.added = number;
    }

    /// Puts a job back that was read from a file.
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
