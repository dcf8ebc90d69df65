//! When a call gets its turn: the documented rates of operations, and the pause after a 429.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::operation::{Operation, RateLimit};

/// However long a 429 asks to wait, after this a call is let through to see.
const LONGEST_HOLD: Duration = Duration::from_secs(60 * 60);
/// Parts of a pause, in each of which after it as many calls may go on as before it.
const STEPS: u32 = 60;
/// After so many of those, calls don't wait any more.
const LAST_STEP: u32 = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a call did not get its turn before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The API has answered 429 to a call of this client.
    RateLimited,
    /// The operation's documented rate is used up.
    Paced,
    /// There was no time to begin with.
    Deadline,
}

/// A call that did not get its turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldBack {
    pub(crate) reason: Reason,
    /// How long until there would be one, if that is known.
    pub(crate) wait: Option<Duration>,
}

/// Hands out turns. Shared by the clones of a client.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    pause: Mutex<Option<Pause>>,
    /// By the operation's id.
    windows: Mutex<HashMap<&'static str, Arc<Window>>>,
}

/// No call before an instant, and few at first from then on: were all that wait to go on at the same
/// moment, they would soon have the next 429, each of which counts. So the first goes alone, one more
/// within a sixtieth of the pause (a second, after a minute), two within the next, then four: the
/// first is refused before many follow, and soon nobody waits.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    step: Duration,
    /// Calls that have their place in the queue behind it.
    places: u32,
}

impl Pause {
    /// When the next call in the queue may go.
    fn next_place(&self) -> Instant {
        let steps = (f64::from(self.places) + 1.0).log2();
        let after = Duration::try_from_secs_f64(self.step.as_secs_f64() * steps);
        let place = self.until.checked_add(after.unwrap_or_default());
        place.unwrap_or(self.until)
    }

    /// Whether it is so long past that calls don't queue any more.
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.until) >= self.step * LAST_STEP && now >= self.until
    }
}

impl Turns {
    /// Lets no call through for that long, or for longer if that was said before. False: it is not
    /// held for as long as that, which is too long.
    pub(crate) fn hold(&self, wait: Duration) -> bool {
        let length = wait.min(LONGEST_HOLD);
        let mut pause = lock(&self.pause);
        if let Some(until) = Instant::now().checked_add(length)
            && pause.is_none_or(|earlier| earlier.until < until)
        {
            *pause = Some(Pause {
                until,
                step: length / STEPS,
                places: 0,
            });
        }
        length == wait
    }

    /// Waits for a call's turn, and says when it came. The turn counts until what is returned is
    /// dropped.
    pub(crate) async fn next(
        &self,
        operation: &'static Operation,
        paced: bool,
        deadline: Instant,
    ) -> Result<(Turn, Instant), HeldBack> {
        loop {
            self.wait_for_release(deadline).await?;
            let turn = match operation.rate_limit {
                Some(limit) if paced && limit.requests > 0 => {
                    self.window(operation.id, limit).next(deadline).await?
                }
                _ => Turn { window: None },
            };
            // A 429 may have come in the meantime.
            if !self.is_held() {
                let now = Instant::now();
                return if now < deadline {
                    Ok((turn, now))
                } else {
                    turn.unused();
                    Err(HeldBack {
                        reason: Reason::Deadline,
                        wait: None,
                    })
                };
            }
            turn.unused();
        }
    }

    /// Whether all calls are held back.
    fn is_held(&self) -> bool {
        lock(&self.pause).is_some_and(|pause| pause.until > Instant::now())
    }

    /// Waits for the end of the pause and a place in the queue behind it, if there is a pause.
    async fn wait_for_release(&self, deadline: Instant) -> Result<(), HeldBack> {
        // The pause behind which the call had its place.
        let mut waited_for = None;
        while let Some((until, place)) = self.queue(waited_for, deadline)? {
            waited_for = Some(until);
            sleep_until(place).await;
        }
        Ok(())
    }

    /// Gives a call a place behind the pause, unless it has waited for that one: when the pause ends,
    /// and when the call may go.
    fn queue(
        &self,
        waited_for: Option<Instant>,
        deadline: Instant,
    ) -> Result<Option<(Instant, Instant)>, HeldBack> {
        let mut paused = lock(&self.pause);
        let Some(pause) = &mut *paused else {
            return Ok(None);
        };
        let now = Instant::now();
        if pause.is_over(now) {
            *paused = None;
            return Ok(None);
        }
        if waited_for == Some(pause.until) {
            return Ok(None);
        }
        let place = pause.next_place();
        if place > now && place >= deadline {
            return Err(HeldBack {
                reason: Reason::RateLimited,
                wait: Some(place.saturating_duration_since(now)),
            });
        }
        pause.places = pause.places.saturating_add(1);
        Ok((place > now).then_some((pause.until, place)))
    }

    fn window(&self, id: &'static str, limit: RateLimit) -> Arc<Window> {
        let mut windows = lock(&self.windows);
        let window = windows.entry(id).or_insert_with(|| {
            Arc::new(Window {
                per: limit.per,
                queue: tokio::sync::Mutex::new(()),
                places: Mutex::new(Places {
                    unused: limit.requests,
                    free_at: VecDeque::new(),
                }),
                freed: Notify::new(),
            })
        });
        window.clone()
    }
}

/// At most n calls in any window of time, wherever between its start and its end the server counts
/// a call: there are n places, and a place is free again a window's length after the *end* of the
/// call that had it. (A token bucket allows up to twice as many around the edge of a window.)
#[derive(Debug)]
struct Window {
    per: Duration,
    /// First come, first served.
    queue: tokio::sync::Mutex<()>,
    places: Mutex<Places>,
    /// A place was left.
    freed: Notify,
}

#[derive(Debug)]
struct Places {
    /// Places that no call has had for a window's length.
    unused: u32,
    /// When the places of finished calls are free again, in order. Those of running calls are in
    /// neither.
    free_at: VecDeque<Instant>,
}

impl Window {
    async fn next(self: Arc<Self>, deadline: Instant) -> Result<Turn, HeldBack> {
        let late = |wait| HeldBack {
            reason: Reason::Paced,
            wait,
        };
        let Ok(queue) = timeout_at(deadline, self.queue.lock()).await else {
            return Err(late(None));
        };
        loop {
            let now = Instant::now();
            let free_at = {
                let mut places = lock(&self.places);
                if places.unused > 0 {
                    places.unused -= 1;
                    break;
                }
                match places.free_at.front().copied() {
                    Some(at) if at <= now => {
                        places.free_at.pop_front();
                        break;
                    }
                    other => other,
                }
            };
            // Where all places are with running calls, one may be left unused yet.
            if now >= deadline || free_at.is_some_and(|at| at >= deadline) {
                return Err(late(free_at.map(|at| at.saturating_duration_since(now))));
            }
            let until = free_at.unwrap_or(deadline);
            // Woken or not, look again.
            let _ = timeout_at(until, self.freed.notified()).await;
        }
        drop(queue);
        Ok(Turn { window: Some(self) })
    }

    fn leave(&self, used: bool) {
        let mut places = lock(&self.places);
        match Instant::now().checked_add(self.per) {
            Some(at) if used => places.free_at.push_back(at),
            _ => places.unused += 1,
        }
        drop(places);
        self.freed.notify_one();
    }
}

/// A call's turn. It is over when this is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    window: Option<Arc<Window>>,
}

impl Turn {
    /// Gives the turn back: nothing was sent.
    pub(crate) fn unused(mut self) {
        if let Some(window) = self.window.take() {
            window.leave(false);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(window) = self.window.take() {
            window.leave(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::{API_KEYS_ADD, SUBACCOUNT_ADD, TEMPLATE_VIEW};

    const SECOND: Duration = Duration::from_secs(1);

    fn after(wait: Duration) -> Instant {
        Instant::now() + wait
    }

    #[tokio::test(start_paused = true)]
    async fn at_most_n_in_any_window() {
        let limit = API_KEYS_ADD.rate_limit.unwrap();
        let n = usize::try_from(limit.requests).unwrap();
        let turns = Arc::new(Turns::default());
        let mut random = fastrand::Rng::with_seed(3);
        let mut calls = Vec::new();
        for _ in 0..12 * n {
            let (turns, start, length) = (
                turns.clone(),
                Duration::from_millis(random.u64(0..400_000)),
                Duration::from_millis(random.u64(0..20_000)),
            );
            let (reached, sent) = (random.f64(), random.u8(0..4) > 0);
            calls.push(tokio::spawn(async move {
                tokio::time::sleep(start).await;
                let turn = turns.next(&API_KEYS_ADD, true, after(9_999 * SECOND));
                let (turn, _) = turn.await.unwrap();
                // The server counts it at some time while it runs.
                tokio::time::sleep(length.mul_f64(reached)).await;
                let counted = Instant::now();
                tokio::time::sleep(length.mul_f64(1.0 - reached)).await;
                if sent {
                    drop(turn);
                    Some(counted)
                } else {
                    turn.unused();
                    None
                }
            }));
        }
        let mut counted = Vec::new();
        for call in calls {
            counted.extend(call.await.unwrap());
        }
        counted.sort();
        assert!(counted.len() > 6 * n);
        for window in counted.windows(n + 1) {
            assert!(window[n] - window[0] >= limit.per, "{window:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_free_window_keeps_nobody_waiting() {
        let turns = Turns::default();
        let started = Instant::now();
        for _ in 0..5 {
            drop(
                turns
                    .next(&API_KEYS_ADD, true, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        for _ in 0..1000 {
            drop(
                turns
                    .next(&TEMPLATE_VIEW, true, after(SECOND))
                    .await
                    .unwrap(),
            );
            drop(
                turns
                    .next(&API_KEYS_ADD, false, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(Instant::now(), started);
        let turn = turns.next(&API_KEYS_ADD, true, after(90 * SECOND)).await;
        turn.unwrap().0.unused();
        assert!(started.elapsed() >= 60 * SECOND && started.elapsed() < 61 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_deadline_is_said_at_once() {
        let turns = Turns::default();
        let started = Instant::now();
        for _ in 0..50 {
            drop(
                turns
                    .next(&SUBACCOUNT_ADD, true, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        let late = turns.next(&SUBACCOUNT_ADD, true, after(120 * SECOND)).await;
        assert_eq!(
            late.unwrap_err(),
            HeldBack {
                reason: Reason::Paced,
                wait: Some(3600 * SECOND)
            }
        );
        assert_eq!(Instant::now(), started);
        let late = turns.next(&TEMPLATE_VIEW, true, Instant::now()).await;
        assert_eq!(late.unwrap_err().reason, Reason::Deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn running_calls_are_waited_for_and_an_unused_turn_goes_to_the_next() {
        let turns = Turns::default();
        let mut running = Vec::new();
        for _ in 0..5 {
            running.push(
                turns
                    .next(&API_KEYS_ADD, true, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        let late = turns.next(&API_KEYS_ADD, true, after(SECOND)).await;
        assert_eq!(late.unwrap_err().wait, None);
        let started = Instant::now();
        let (next, ()) = tokio::join!(turns.next(&API_KEYS_ADD, true, after(9 * SECOND)), async {
            tokio::time::sleep(SECOND).await;
            running.pop().unwrap().0.unused();
        });
        next.unwrap();
        assert!(started.elapsed() < 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_holds_everything_back() {
        let turns = Turns::default();
        assert!(turns.hold(10 * SECOND) && turns.hold(5 * SECOND));
        let late = turns.next(&TEMPLATE_VIEW, true, after(10 * SECOND)).await;
        assert_eq!(
            late.unwrap_err(),
            HeldBack {
                reason: Reason::RateLimited,
                wait: Some(10 * SECOND)
            }
        );
        let started = Instant::now();
        // Another 429 while it waits.
        let (turn, ()) = tokio::join!(turns.next(&API_KEYS_ADD, true, after(60 * SECOND)), async {
            tokio::time::sleep(9 * SECOND).await;
            turns.hold(20 * SECOND);
        });
        turn.unwrap();
        assert!(started.elapsed() >= 29 * SECOND && started.elapsed() < 30 * SECOND);
        assert!(!turns.hold(Duration::MAX));
        let turn = turns.next(&TEMPLATE_VIEW, true, after(3601 * SECOND)).await;
        turn.unwrap();
    }

    /// When each of so many calls got its turn, in milliseconds from now.
    async fn turns_of(turns: &Arc<Turns>, calls: u32, deadline: Duration) -> Vec<Option<u128>> {
        let started = Instant::now();
        let deadline = started + deadline;
        let calls: Vec<_> = (0..calls)
            .map(|_| {
                let turns = turns.clone();
                tokio::spawn(async move {
                    let turn = turns.next(&TEMPLATE_VIEW, true, deadline).await;
                    turn.is_ok().then(|| started.elapsed().as_millis())
                })
            })
            .collect();
        let mut times = Vec::new();
        for call in calls {
            times.push(call.await.unwrap());
        }
        times.sort();
        times
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_pause_calls_go_on_few_at_first() {
        let turns = Arc::new(Turns::default());
        turns.hold(60 * SECOND);
        let times = turns_of(&turns, 1000, 300 * SECOND).await;
        let times: Vec<_> = times.into_iter().map(Option::unwrap).collect();
        assert_eq!(times[..2], [60_000, 61_000]);
        for seconds in 0..10 {
            let by_then = times.iter().filter(|at| **at <= 60_000 + seconds * 1000);
            assert_eq!(by_then.count(), 1 << seconds, "after {seconds} s");
        }
        // All of them soon enough, and no two at the same moment while they are few.
        assert!(times.last().unwrap() < &71_000, "{times:?}");
        assert!(
            times[..64].windows(2).all(|two| two[0] < two[1]),
            "{times:?}"
        );

        // A call that comes then finds its place behind them, and one that comes later need not wait.
        let before = Instant::now();
        tokio::time::advance(20 * SECOND).await;
        let free = turns_of(&turns, 1000, SECOND).await;
        assert!(free.iter().all(|at| *at == Some(0)), "{free:?}");
        assert_eq!(before.elapsed(), 20 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_get_a_turn_past_the_deadline_is_told_at_once() {
        let turns = Arc::new(Turns::default());
        turns.hold(60 * SECOND);
        let times = turns_of(&turns, 10, 62 * SECOND).await;
        let (refused, given) = times.split_at(7);
        assert!(refused.iter().all(Option::is_none));
        assert_eq!(given, [Some(60_000), Some(61_000), Some(61_585)]);

        turns.hold(60 * SECOND);
        let started = Instant::now();
        let waiting = turns_of(&turns, 3, 90 * SECOND);
        let late = async {
            tokio::task::yield_now().await;
            let late = turns.next(&TEMPLATE_VIEW, true, after(62 * SECOND)).await;
            assert_eq!(started, Instant::now());
            assert_eq!(
                late.unwrap_err(),
                HeldBack {
                    reason: Reason::RateLimited,
                    wait: Some(62 * SECOND)
                }
            );
        };
        tokio::join!(waiting, late);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_to_the_first_holds_the_rest_back_again() {
        let turns = Arc::new(Turns::default());
        turns.hold(60 * SECOND);
        let again = async {
            let turn = turns.next(&TEMPLATE_VIEW, true, after(300 * SECOND)).await;
            turn.unwrap();
            // Before the second has its turn.
            tokio::time::sleep(Duration::from_millis(500)).await;
            turns.hold(60 * SECOND);
            // Who waits for another try has the first place.
            let turn = turns.next(&TEMPLATE_VIEW, true, after(300 * SECOND)).await;
            turn.unwrap().1
        };
        let started = Instant::now();
        let (again, others) = tokio::join!(again, turns_of(&turns, 3, 300 * SECOND));
        assert_eq!((again - started).as_millis(), 120_500);
        assert_eq!(others, [Some(121_500), Some(122_085), Some(122_500)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_no_time_delays_nobody() {
        let turns = Arc::new(Turns::default());
        turns.hold(Duration::ZERO);
        let times = turns_of(&turns, 100, SECOND).await;
        assert!(times.iter().all(|at| *at == Some(0)), "{times:?}");
    }
}
