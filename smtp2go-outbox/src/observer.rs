//! Reports for metrics.

use std::time::Duration;

use crate::record::State;

/// Receives reports of an outbox, for metrics. Set with
/// [`Outbox::observer`](crate::Outbox::observer). The methods are called between the steps of a mail, so
/// they must not block.
pub trait Observer: Send + Sync + 'static {
    /// A mail's state was changed by this process, and the change is committed.
    fn state_changed(&self, change: &StateChange<'_>) {
        let _ = change;
    }

    /// Unknown mails were looked up.
    fn looked_up(&self, report: &LookUpReport) {
        let _ = report;
    }
}

/// A change of a mail's state.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StateChange<'a> {
    /// The mail's key.
    pub key: &'a str,
    /// The state before.
    pub from: State,
    /// The state now.
    pub to: State,
    /// See [`Record::reason`](crate::Record::reason).
    pub reason: Option<&'a str>,
    /// How often the mail was handed to a worker.
    pub attempts: u32,
    /// Time since the mail was queued.
    pub age: Duration,
}

/// The result of a search for unknown mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookUpReport {
    /// Mails that were looked up.
    pub mails: usize,
    /// Those that were found: the API had accepted them.
    pub found: usize,
    /// Those that the API did not accept.
    pub absent: usize,
}
