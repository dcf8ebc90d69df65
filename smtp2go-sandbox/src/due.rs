//! What is to happen later.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::fmt;
use std::time::SystemTime;

use crate::world::World;

/// What happens to the world at its time. It cannot be called back: it has to see for itself
/// whether it still applies.
pub(crate) type Job = Box<dyn FnOnce(&mut World) + Send>;

/// Jobs, the earliest first; of those of the same time the one that was added first.
#[derive(Default)]
pub(crate) struct DueQueue {
    heap: BinaryHeap<Entry>,
    added: u64,
}

struct Entry {
    time: SystemTime,
    number: u64,
    job: Job,
}

impl DueQueue {
    pub(crate) fn add(&mut self, time: SystemTime, job: Job) {
        self.added += 1;
        self.heap.push(Entry {
            time,
            number: self.added,
            job,
        });
    }

    /// When the next job is due.
    pub(crate) fn next(&self) -> Option<SystemTime> {
        self.heap.peek().map(|entry| entry.time)
    }

    /// Takes out the next job that is due at `now`, with its time.
    pub(crate) fn pop(&mut self, now: SystemTime) -> Option<(SystemTime, Job)> {
        if self.next()? > now {
            return None;
        }
        self.heap.pop().map(|entry| (entry.time, entry.job))
    }
}

impl fmt::Debug for DueQueue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DueQueue")
            .field("jobs", &self.heap.len())
            .finish_non_exhaustive()
    }
}

impl Ord for Entry {
    /// The greatest is the one that is due first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.number).cmp(&(self.time, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}
