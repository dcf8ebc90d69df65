//! When a call gets its turn: the documented rates of operations, and the pause after a 429.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::operation::{Operation, RateLimit};

/// However long a 429 asks to wait, after this a call is let through to see.
const LONGEST_HOLD: Duration = Duration::from_secs(60 * 60);

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
    /// No call before this.
    held_until: Mutex<Option<Instant>>,
    /// By the operation's id.
    windows: Mutex<HashMap<&'static str, Arc<Window>>>,
}

impl Turns {
    /// Lets no call through for that long, or for longer if that was said before.
    pub(crate) fn hold(&self, wait: Duration) {
        let until = Instant::now().checked_add(wait.min(LONGEST_HOLD));
        let mut held = lock(&self.held_until);
        *held = (*held).max(until);
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
            if self.held().is_none() {
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

    /// Until when calls are held back, if they are.
    fn held(&self) -> Option<Instant> {
        let held = *lock(&self.held_until);
        held.filter(|until| *until > Instant::now())
    }

    async fn wait_for_release(&self, deadline: Instant) -> Result<(), HeldBack> {
        while let Some(until) = self.held() {
            if until >= deadline {
                return Err(HeldBack {
                    reason: Reason::RateLimited,
                    wait: Some(until.saturating_duration_since(Instant::now())),
                });
            }
            sleep_until(until).await;
        }
        Ok(())
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
        turns.hold(10 * SECOND);
        turns.hold(5 * SECOND);
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
        turns.hold(Duration::MAX);
        let turn = turns.next(&TEMPLATE_VIEW, true, after(3601 * SECOND)).await;
        turn.unwrap();
    }
}
