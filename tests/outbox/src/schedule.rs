//! Decides how each worker process ends, so that every point is reached often enough before the
//! mails run out.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum as _;

use crate::point::{Blow, Fate, Kind, Point, Trap};

/// Points at which a worker is stopped until its lease is over. When it resumes, it must neither send the
/// mail nor overwrite its row.
const STOPS: [Option<Point>; 5] = [
    Some(Point::AfterWrite),
    Some(Point::BeforeSend),
    Some(Point::MidBody),
    Some(Point::BeforeRecord),
    None,
];
/// The signal that needs one of the few large mails.
const RARE: Kind = (Blow::Stop, Some(Point::MidBody));
/// Number of signals for which the table has mails in advance.
const AHEAD: u64 = 10;
/// Number of mails that are reserved for each signal.
const RESERVED: u64 = 4;
/// Number of mails that are added if none is left before all signals are sent.
const MORE: u64 = 4;
/// Maximum number of mails that a worker sends before a signal.
const MOST: u64 = 200;

/// The signals of a run.
#[derive(Debug)]
pub(crate) struct Schedule {
    random: fastrand::Rng,
    /// Signals to be sent, the last one first. A signal that a worker did not receive is put back.
    deck: Vec<Kind>,
    wanted: BTreeMap<Kind, u64>,
    sent: BTreeMap<Kind, u64>,
}

impl Schedule {
    /// Schedules `kills` kill signals at each point and as many at random moments, and `stops` stop signals
    /// at each of [`STOPS`].
    pub(crate) fn new(seed: u64, kills: u64, stops: u64) -> Self {
        let points = Point::value_variants().iter().map(|point| Some(*point));
        let kinds = points.chain([None]).map(|point| (Blow::Kill, point));
        let mut wanted: BTreeMap<Kind, u64> = kinds.map(|kind| (kind, kills)).collect();
        wanted.extend(STOPS.map(|point| ((Blow::Stop, point), stops)));
        let times = wanted.iter();
        let mut deck: Vec<Kind> = times
            .flat_map(|(kind, count)| (0..*count).map(|_| *kind))
            .collect();
        let mut random = fastrand::Rng::with_seed(seed);
        random.shuffle(&mut deck);
        // A stop in mid-body waits for a large mail, so it comes while there are some.
        deck.sort_by_key(|kind| *kind == RARE);
        Self {
            random,
            deck,
            wanted,
            sent: BTreeMap::new(),
        }
    }

    /// Chooses the fate of a worker that starts while `left` mails are neither sent nor held.
    pub(crate) fn next(&mut self, left: u64) -> Fate {
        // So that enough mails are left, even if other workers send more.
        let most = (left / (4 * self.lacking()).max(1)).clamp(1, MOST);
        let Some(kind) = self.deck.pop() else {
            return Fate::Spared;
        };
        match kind {
            // Workers that are still starting are killed too.
            (blow, None) => Fate::After(blow, Duration::from_millis(self.random.u64(20..400))),
            (blow, Some(point)) => {
                let rare = (blow, Some(point)) == RARE;
                let nth = if rare { 1 } else { self.random.u64(1..=most) };
                Fate::Trap(Trap { blow, point, nth })
            }
        }
    }

    /// Records the end of a process: `struck` if the worker received the signal.
    pub(crate) fn ended(&mut self, fate: Fate, struck: bool) {
        if let Some(kind) = fate.kind() {
            match struck {
                true => *self.sent.entry(kind).or_default() += 1,
                false => self.deck.push(kind),
            }
        }
    }

    /// Returns how many of `mails` may be in the table, so that they last for all signals. `put`
    /// are in the table, of which `queued` wait to be sent.
    pub(crate) fn share(&self, mails: u64, put: u64, queued: u64) -> u64 {
        if self.is_over() {
            return mails;
        }
        let wanted: u64 = self.wanted.values().sum();
        let lacking = self.lacking();
        let reserved = (RESERVED * lacking).min(mails / 4);
        let share = (mails * (wanted - lacking + AHEAD) / wanted).min(mails - reserved);
        let more = if queued == 0 { put + MORE } else { 0 };
        share.max(more).min(mails)
    }

    /// Whether all signals were sent.
    pub(crate) fn is_over(&self) -> bool {
        self.sent == self.wanted
    }

    /// Returns the number of signals that remain to be sent.
    fn lacking(&self) -> u64 {
        self.wanted.values().sum::<u64>() - self.sent.values().sum::<u64>()
    }

    /// Number of signals sent.
    pub(crate) fn sent(&self, blow: Blow, point: Option<Point>) -> u64 {
        self.sent.get(&(blow, point)).copied().unwrap_or_default()
    }

    /// Number of signals sent at all points and moments.
    pub(crate) fn total(&self, blow: Blow) -> u64 {
        let sent = self.sent.iter().filter(|(kind, _)| kind.0 == blow);
        sent.map(|(_, count)| count).sum()
    }

    /// The signals that were not sent, each as a sentence.
    pub(crate) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        for (kind, wanted) in &self.wanted {
            let sent = self.sent(kind.0, kind.1);
            if sent < *wanted {
                let point = kind.1.map_or("at random".to_owned(), Point::name);
                missing.push(format!("{:?} {point}: {sent} of {wanted}", kind.0));
            }
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signal_is_repeated_until_a_worker_receives_it() {
        let mut schedule = Schedule::new(1, 20, 2);
        let mut lives = 0;
        while !schedule.missing().is_empty() {
            assert_ne!(schedule.share(300, 100, 1), 300);
            let fate = schedule.next(300);
            assert_ne!(fate, Fate::Spared);
            // Every third signal comes too late.
            schedule.ended(fate, lives % 3 != 0);
            lives += 1;
            assert!(lives < 400, "{:?}", schedule.missing());
        }
        assert_eq!(schedule.sent(Blow::Kill, Some(Point::MidBody)), 20);
        assert_eq!(schedule.total(Blow::Stop), 10);
        assert_eq!(schedule.next(300), Fate::Spared);
        assert_eq!(schedule.share(300, 100, 1), 300);
    }

    #[test]
    fn same_seed_gives_the_same_fates() {
        let fates = |seed| {
            let mut schedule = Schedule::new(seed, 20, 2);
            let next = |_| schedule.next(300);
            (0..50).map(next).collect::<Vec<_>>()
        };
        assert_eq!(fates(1), fates(1));
        assert_ne!(fates(1), fates(2));
    }

    #[test]
    fn share_grows_while_the_queue_is_empty() {
        let schedule = Schedule::new(1, 20, 2);
        let share = schedule.share(300, 0, 1);
        assert_eq!(schedule.share(300, share, 1), share);
        assert_eq!(schedule.share(300, share, 0), share + MORE);
        assert_eq!(schedule.share(300, 299, 0), 300);
    }
}
