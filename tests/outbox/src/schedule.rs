//! Decides how each worker's life ends, so that every point is reached often enough before the mails run out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::point::{Blow, Point, Trap};

/// Points at which a worker is stopped: the late worker must neither send nor overwrite.
const STOPS: [Point; 4] = [
    Point::AfterWrite,
    Point::BeforeSend,
    Point::MidBody,
    Point::BeforeRecord,
];
/// Kills at each point beyond the quota.
const SPARE: u32 = 3;
/// Signals for which mails are there in advance.
const AHEAD: u32 = 10;
/// One life in this number ends at a random moment instead of at a point.
const RANDOM: u32 = 6;

/// What happens to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A signal at a point.
    Trap(Trap),
    /// A signal after this time.
    After(Blow, Duration),
    /// Nothing.
    Spared,
}

/// How many signals of each kind a run needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota {
    /// SIGKILLs at each point.
    pub(crate) kills: u32,
    /// SIGSTOPs at each of [`STOPS`], and at random moments.
    pub(crate) stops: u32,
}

/// The signals of a run so far, and the choice of the next.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: fastrand::Rng,
    quota: Quota,
    /// Signals sent, and those that a running worker is to receive.
    done: BTreeMap<(Blow, Option<Point>), u32>,
    planned: BTreeMap<(Blow, Option<Point>), u32>,
}

impl Schedule {
    pub(crate) fn new(seed: u64, quota: Quota) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            quota,
            done: BTreeMap::new(),
            planned: BTreeMap::new(),
        }
    }

    /// Chooses the fate of a worker that starts while `left` mails are neither sent nor held. Without
    /// `may_stop` it is not stopped.
    pub(crate) fn next(&mut self, left: u64, may_stop: bool) -> Fate {
        let mut lacking = self.lacking();
        lacking.retain(|((blow, _), _)| may_stop || *blow == Blow::Kill);
        let total: u32 = lacking.iter().map(|(_, count)| count).sum();
        if total == 0 {
            return Fate::Spared;
        }
        let random = self.random.u32(0..RANDOM) == 0;
        let kind = match self.pick(&lacking, total) {
            Some(kind) if !random => kind,
            _ => (Blow::Kill, None),
        };
        *self.planned.entry(kind).or_default() += 1;
        match kind {
            (blow, None) => {
                // Workers that are still starting are killed too.
                let millis = self.random.u64(20..600);
                Fate::After(blow, Duration::from_millis(millis))
            }
            (blow, Some(point)) => {
                // So that the mails last until the quota is reached.
                let most = (left / u64::from(total.max(1))).clamp(1, 200);
                // A stop in mid-body waits for a large mail, and there are few.
                let rare = blow == Blow::Stop && point == Point::MidBody;
                let nth = if rare { 1 } else { self.random.u64(1..=most) };
                Fate::Trap(Trap { blow, point, nth })
            }
        }
    }

    /// Records how a life ended: `struck` if the worker received the signal.
    pub(crate) fn ended(&mut self, fate: Fate, struck: bool) {
        let kind = match fate {
            Fate::Trap(trap) => (trap.blow, Some(trap.point)),
            Fate::After(blow, _) => (blow, None),
            Fate::Spared => return,
        };
        if let Some(planned) = self.planned.get_mut(&kind) {
            *planned = planned.saturating_sub(1);
        }
        if struck {
            *self.done.entry(kind).or_default() += 1;
        }
    }

    /// What was sent less often than the quota wants it, each as a sentence.
    pub(crate) fn missing(&self) -> impl Iterator<Item = String> {
        let kinds = self.kinds().into_iter();
        kinds.filter_map(|(kind, wanted)| {
            let done = self.done(kind.0, kind.1);
            (done < wanted).then(|| format!("{}: {done} of {wanted}", name(kind)))
        })
    }

    /// How many of `mails` may be in the table by now, so that they last for all signals.
    pub(crate) fn share(&self, mails: u64) -> u64 {
        let (mut done, mut wanted) = (0, 0);
        for (kind, count) in self.kinds() {
            done += self.done(kind.0, kind.1).min(count);
            wanted += count;
        }
        let ahead = mails * u64::from(done + AHEAD) / u64::from(wanted.max(1));
        ahead.clamp(1, mails)
    }

    /// Number of signals sent at a point, or at random moments.
    pub(crate) fn done(&self, blow: Blow, point: Option<Point>) -> u32 {
        self.done.get(&(blow, point)).copied().unwrap_or_default()
    }

    /// Number of all signals sent.
    pub(crate) fn total(&self, blow: Blow) -> u32 {
        let done = self.done.iter();
        done.filter(|((sent, _), _)| *sent == blow)
            .map(|(_, count)| count)
            .sum()
    }

    fn kinds(&self) -> Vec<((Blow, Option<Point>), u32)> {
        let kills = Point::ALL.map(|point| ((Blow::Kill, Some(point)), self.quota.kills));
        let stops = STOPS.map(|point| ((Blow::Stop, Some(point)), self.quota.stops));
        let random = [((Blow::Stop, None), self.quota.stops)];
        kills.into_iter().chain(stops).chain(random).collect()
    }

    /// What is neither sent nor planned as often as it has to be, and some more: the mails may run out
    /// before a plan is carried out.
    fn lacking(&self) -> Vec<((Blow, Option<Point>), u32)> {
        let mut kinds = self.kinds();
        for (kind, wanted) in &mut kinds {
            let planned = self.planned.get(kind).copied().unwrap_or_default();
            let spare = if kind.0 == Blow::Kill { SPARE } else { 0 };
            *wanted = (*wanted + spare).saturating_sub(self.done(kind.0, kind.1) + planned);
        }
        kinds.retain(|(_, wanted)| *wanted > 0);
        kinds
    }

    /// One of them, the more likely the more of it is lacking.
    fn pick(
        &mut self,
        lacking: &[((Blow, Option<Point>), u32)],
        total: u32,
    ) -> Option<(Blow, Option<Point>)> {
        if total == 0 {
            return None;
        }
        let mut at = self.random.u32(0..total);
        for (kind, count) in lacking {
            match at.checked_sub(*count) {
                None => return Some(*kind),
                Some(rest) => at = rest,
            }
        }
        None
    }
}

fn name((blow, point): (Blow, Option<Point>)) -> String {
    let blow = match blow {
        Blow::Kill => "kills",
        Blow::Stop => "stops",
    };
    format!("{blow} {}", point.map_or("at random", Point::name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota {
        kills: 20,
        stops: 2,
    };

    #[test]
    fn lives_reach_the_quota_and_then_are_spared() {
        let mut schedule = Schedule::new(1, QUOTA);
        let mut lives = 0;
        while schedule.missing().next().is_some() {
            let fate = schedule.next(300, true);
            assert_ne!(fate, Fate::Spared);
            // Every third signal comes too late.
            schedule.ended(fate, lives % 3 != 0);
            lives += 1;
            assert!(lives < 400, "{:?}", schedule.missing().collect::<Vec<_>>());
        }
        assert!(schedule.done(Blow::Kill, Some(Point::MidBody)) >= 20);
        while !schedule.lacking().is_empty() {
            let fate = schedule.next(300, true);
            schedule.ended(fate, true);
        }
        assert_eq!(schedule.next(300, true), Fate::Spared);
        assert_eq!(schedule.share(300), 300);
    }

    #[test]
    fn same_seed_gives_the_same_fates() {
        let fates = |seed| {
            let mut schedule = Schedule::new(seed, QUOTA);
            let next = |_| schedule.next(300, true);
            (0..50).map(next).collect::<Vec<_>>()
        };
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn traps_are_sparse_while_many_mails_are_left() {
        let mut schedule = Schedule::new(1, QUOTA);
        let mut most = |left| {
            let fates = (0..20).map(|_| schedule.next(left, true));
            let nth = fates.filter_map(|fate| match fate {
                Fate::Trap(trap) => Some(trap.nth),
                _ => None,
            });
            nth.max().unwrap_or_default()
        };
        assert!(most(10_000) > 20);
        assert_eq!(most(1), 1);
    }
}
