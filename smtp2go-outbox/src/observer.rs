//! Reports for metrics.

use std::time::Duration;

use crate::record::State;

/// Receives reports of an outbox, for metrics. Set with [`Outbox::observer`](crate::Outbox::observer). Workers
/// call the methods while they process mails, so the methods must not block.
pub trait Observer: Send + Sync + 'static {
    /// Called after this process has committed a change of a mail's state.
    fn state_changed(&self, change: &StateChange<'_>) {
        let _ = change;
    }

    /// Called after a search for unknown mails.
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
    /// How often a worker claimed the mail.
    pub attempts: u32,
    /// Time since the mail was queued.
    pub age: Duration,
}

/// The result of a search for unknown mails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LookUpReport {
    /// Number of mails that were looked up.
    pub mails: usize,
    /// Number of mails that were found: the API had accepted them.
    pub found: usize,
    /// Number of mails that the search proved not to have been accepted.
    pub absent: usize,
}
