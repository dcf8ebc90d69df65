//! The places in a send where a worker is ended, and how a worker's life ends.

use std::fmt;
use std::str::FromStr;

use crate::Result;

/// A place between the claim of a mail and the record of its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Point {
    /// Before `sending` is written.
    BeforeWrite,
    /// `sending` is committed.
    AfterWrite,
    /// The lease was found to be long enough, and no byte of the request is written.
    BeforeSend,
    /// The sandbox has some of the request's body.
    MidBody,
    /// The worker has read the reply.
    AfterReply,
    /// The outcome is known and about to be written.
    BeforeRecord,
}

impl Point {
    pub(crate) const ALL: [Self; 6] = [
        Self::BeforeWrite,
        Self::AfterWrite,
        Self::BeforeSend,
        Self::MidBody,
        Self::AfterReply,
        Self::BeforeRecord,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::BeforeWrite => "before-write",
            Self::AfterWrite => "after-write",
            Self::BeforeSend => "before-send",
            Self::MidBody => "mid-body",
            Self::AfterReply => "after-reply",
            Self::BeforeRecord => "before-record",
        }
    }
}

impl FromStr for Point {
    type Err = crate::Failure;

    fn from_str(name: &str) -> Result<Self> {
        let mut points = Self::ALL.into_iter();
        let point = points.find(|point| point.name() == name);
        Ok(point.ok_or_else(|| format!("unknown kill point: {name}"))?)
    }
}

/// The signal that a worker receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT when the lease is over.
    Stop,
}

/// A signal at the `nth` time that a worker comes to a point. Its text form is `kill:mid-body:3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trap {
    pub(crate) blow: Blow,
    pub(crate) point: Point,
    pub(crate) nth: u64,
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let blow = match self.blow {
            Blow::Kill => "kill",
            Blow::Stop => "stop",
        };
        write!(f, "{blow}:{}:{}", self.point.name(), self.nth)
    }
}

impl FromStr for Trap {
    type Err = crate::Failure;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(':').collect();
        let [blow, point, nth] = parts[..] else {
            return Err(format!("a trap is BLOW:POINT:NTH, not {text}").into());
        };
        let blow = match blow {
            "kill" => Blow::Kill,
            "stop" => Blow::Stop,
            _ => return Err(format!("a blow is kill or stop, not {blow}").into()),
        };
        let (point, nth) = (point.parse()?, nth.parse()?);
        Ok(Self { blow, point, nth })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_is_read_as_it_was_written() {
        for blow in [Blow::Kill, Blow::Stop] {
            for point in Point::ALL {
                let trap = Trap {
                    blow,
                    point,
                    nth: 3,
                };
                assert_eq!(trap.to_string().parse::<Trap>().ok(), Some(trap));
            }
        }
        for wrong in [
            "",
            "kill",
            "kill:nowhere:1",
            "kill:mid-body:x",
            "hit:mid-body:1",
        ] {
            assert!(wrong.parse::<Trap>().is_err(), "{wrong}");
        }
    }
}
