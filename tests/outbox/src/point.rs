//! The points of a send at which a worker is killed or stopped.

use std::time::Duration;

use clap::{Args, ValueEnum};

/// A place between the claim of a mail and the record of its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Point {
    /// The worker is about to write the state `sending`.
    BeforeWrite,
    /// The worker has committed the state `sending`.
    AfterWrite,
    /// The worker has checked that its lease is long enough, and has written no byte of the request.
    BeforeSend,
    /// The sandbox has received a part of the request's body.
    MidBody,
    /// The worker has read the reply.
    AfterReply,
    /// The worker is about to write the outcome.
    BeforeRecord,
}

/// The signal that a worker receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT when the lease is over.
    Stop,
}

/// A signal at a point, or at a random moment.
pub(crate) type Kind = (Blow, Option<Point>);

/// A signal at the `nth` time that a worker comes to a point.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trap {
    #[arg(long, required = false, requires = "point")]
    pub(crate) blow: Blow,
    #[arg(long, required = false, requires = "nth")]
    pub(crate) point: Point,
    #[arg(long, required = false, requires = "blow")]
    pub(crate) nth: u64,
}

/// The way in which a worker's process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Trap(Trap),
    /// A signal after this time.
    After(Blow, Duration),
    /// No signal.
    Spared,
}

impl Point {
    pub(crate) fn name(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

impl Fate {
    pub(crate) fn kind(self) -> Option<Kind> {
        match self {
            Self::Trap(trap) => Some((trap.blow, Some(trap.point))),
            Self::After(blow, _) => Some((blow, None)),
            Self::Spared => None,
        }
    }
}
