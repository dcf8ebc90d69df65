//! What is to happen later.

use std::collections::BTreeMap;
use std::fmt;
use std::time::SystemTime;

use crate::world::World;

/// What happens to the world at its time. It has to see for itself whether it still applies, unless
/// it is called off.
pub(crate) type Job = Box<dyn FnOnce(&mut World) + Send>;

/// When a job is due, and its number, which is its own.
pub(crate) type JobKey = (SystemTime, u64);

/// Jobs, the earliest first; of those of the same time the one that was added first. Each may be
/// about a message, by its number.
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

    /// Calls a job off.
    pub(crate) fn remove(&mut self, key: JobKey) {
        self.jobs.remove(&key);
    }

    /// When the next job is due.
    pub(crate) fn next(&self) -> Option<SystemTime> {
        self.jobs.keys().next().map(|(time, _)| *time)
    }

    /// Takes out the next job that is due at `now`, with the message that it is about.
    pub(crate) fn pop(&mut self, now: SystemTime) -> Option<(JobKey, Option<u64>, Job)> {
        if self.next()? > now {
            return None;
        }
        let (key, (message, job)) = self.jobs.pop_first()?;
        Some((key, message, job))
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
