//! Rate limits: the documented rates of operations, and the pause after a 429.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::error::NoPermit;
use crate::operation::{Operation, RateLimit};

/// Longest pause after a 429. After this, one probe request is allowed.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// After a pause, the calls that may have gone on are doubled step by step. A step is the pause's
/// length divided by this: a second, after a minute.
const STEPS: u32 = 60;
/// So many steps after the pause, when 65536 calls may have gone on, the rest need not wait any more.
const LAST_STEP: u32 = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The permit that a call did not get before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) reason: NoPermit,
    /// How long until there would be one, if that is known.
    pub(crate) wait: Option<Duration>,
}

/// Hands out permits. Shared by the clones of a client.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    queue: Mutex<Queue>,
    /// By the operation's id. Few operations have a documented rate.
    windows: Mutex<Vec<(&'static str, Arc<Window>)>>,
    /// A pause was revoked.
    resumed: Notify,
}

/// The calls that wait because of a 429.
#[derive(Debug, Default)]
struct Queue {
    pause: Option<Pause>,
    /// The tickets of those that wait behind this pause, in order.
    waiting: VecDeque<u64>,
    /// How many tickets there were. Each has a number of its own, so that one from behind an earlier
    /// pause is not taken for another.
    tickets: u64,
}

/// No call before an instant, and few at first from then on: were all that wait to go on at the same
/// moment, they would soon have the next 429, each of which counts. So the first goes alone, one more
/// within a sixtieth of the pause (a second, after a minute), two within the next, then four: the
/// first is refused before many follow, and soon nobody waits.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    step: Duration,
    /// Calls that have gone on since.
    gone: usize,
}

impl Pause {
    /// When a call may go that has so many others before it.
    fn place(&self, before: usize) -> Instant {
        let calls = u32::try_from(before).unwrap_or(u32::MAX);
        let steps = (f64::from(calls) + 1.0).log2().min(f64::from(LAST_STEP));
        let after = Duration::try_from_secs_f64(self.step.as_secs_f64() * steps);
        let place = self.until.checked_add(after.unwrap_or_default());
        place.unwrap_or(self.until)
    }

    /// Whether it is so long past that calls don't queue any more.
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.until) >= self.step * LAST_STEP && now >= self.until
    }
}

impl Queue {
    /// Lets the call with this ticket go, or says when it shall ask again. One without a ticket gets
    /// one if it has to wait, and so does one whose ticket was for an earlier pause.
    fn ask(
        &mut self,
        ticket: &mut Option<u64>,
        deadline: Instant,
    ) -> Result<Option<Instant>, Denied> {
        let Some(pause) = &mut self.pause else {
            return Ok(None);
        };
        let now = Instant::now();
        if pause.is_over(now) {
            self.pause = None;
            self.waiting.clear();
            return Ok(None);
        }
        let index = ticket.and_then(|ticket| self.waiting.binary_search(&ticket).ok());
        let ahead = index.unwrap_or(self.waiting.len());
        let place = pause.place(pause.gone.saturating_add(ahead));
        if place <= now {
            // Those ahead that have not asked yet may go too, so none is passed over.
            pause.gone = pause.gone.saturating_add(1);
            if let Some(index) = index {
                self.waiting.remove(index);
            }
            return Ok(None);
        }
        if place >= deadline {
            return Err(Denied {
                reason: NoPermit::Paused,
                wait: Some(place.saturating_duration_since(now)),
            });
        }
        if index.is_none() {
            self.tickets += 1;
            self.waiting.push_back(self.tickets);
            *ticket = Some(self.tickets);
        }
        // Whoever is ahead may give up, so the place is looked up anew: as the pause ends, and then
        // every step.
        let again = if now < pause.until {
            Some(pause.until)
        } else {
            now.checked_add(pause.step)
        };
        Ok(Some(again.map_or(place, |again| again.min(place))))
    }

    /// Closes the gap that a call leaves which waits no longer.
    fn leave(&mut self, ticket: u64) {
        if let Ok(index) = self.waiting.binary_search(&ticket) {
            self.waiting.remove(index);
        }
    }
}

/// A call in the queue. Dropped before it has its permit, it leaves its place to those behind it.
struct Waiting<'a> {
    queue: &'a Mutex<Queue>,
    ticket: Option<u64>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            lock(self.queue).leave(ticket);
        }
    }
}

impl Permits {
    /// Allows no call until `wait` after `from`, or until a later end that was set before.
    pub(crate) fn pause(&self, from: Instant, wait: Duration) {
        let mut queue = lock(&self.queue);
        if let Some(until) = from.checked_add(wait)
            && queue.pause.is_none_or(|earlier| earlier.until <= until)
        {
            queue.pause = Some(Pause {
                until,
                step: wait / STEPS,
                gone: 0,
            });
            // They get new places when they ask again, behind the call that has met this 429.
            queue.waiting.clear();
        }
    }

    /// Revokes a pause, unless another one has replaced it.
    pub(crate) fn resume(&self, from: Instant, wait: Duration) {
        let mut queue = lock(&self.queue);
        if queue.pause.map(|pause| pause.until) == from.checked_add(wait) {
            queue.pause = None;
            queue.waiting.clear();
            self.resumed.notify_waiters();
        }
    }

    /// Waits until the rate limits allow a call. The permit counts until it is dropped.
    pub(crate) async fn acquire(
        &self,
        operation: &'static Operation,
        paced: bool,
        deadline: Instant,
    ) -> Result<Permit, Denied> {
        loop {
            self.wait_for_release(deadline).await?;
            let permit = match operation.rate_limit {
                Some(limit) if paced && limit.requests > 0 => {
                    let permit = self.window(operation.id, limit).acquire(deadline).await?;
                    // A 429 may have come in the meantime.
                    if self.is_paused() {
                        permit.unused();
                        continue;
                    }
                    permit
                }
                _ => Permit { window: None },
            };
            if Instant::now() < deadline {
                return Ok(permit);
            }
            permit.unused();
            return Err(Denied {
                reason: NoPermit::Deadline,
                wait: None,
            });
        }
    }

    /// Whether a pause is in force.
    fn is_paused(&self) -> bool {
        let pause = lock(&self.queue).pause;
        pause.is_some_and(|pause| pause.until > Instant::now())
    }

    /// Waits for the end of the pause and a place in the queue behind it, if there is a pause.
    async fn wait_for_release(&self, deadline: Instant) -> Result<(), Denied> {
        let mut waiting = Waiting {
            queue: &self.queue,
            ticket: None,
        };
        loop {
            let mut resumed = pin!(self.resumed.notified());
            // Registered before the pause is looked at, so that its end is not missed.
            resumed.as_mut().enable();
            let next = lock(waiting.queue).ask(&mut waiting.ticket, deadline)?;
            match next {
                Some(at) => drop(timeout_at(at, resumed).await),
                None => return Ok(()),
            }
        }
    }

    fn window(&self, id: &'static str, limit: RateLimit) -> Arc<Window> {
        let mut windows = lock(&self.windows);
        if let Some((_, window)) = windows.iter().find(|(known, _)| *known == id) {
            return window.clone();
        }
        let window = Arc::new(Window {
            per: limit.per,
            queue: tokio::sync::Mutex::new(()),
            places: Mutex::new(Places {
                unused: limit.requests,
                free_at: VecDeque::new(),
            }),
            freed: Notify::new(),
        });
        windows.push((id, window.clone()));
        window
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
    async fn acquire(self: Arc<Self>, deadline: Instant) -> Result<Permit, Denied> {
        let late = |wait| Denied {
            reason: NoPermit::RateLimit,
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
        Ok(Permit { window: Some(self) })
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

/// A rate-limit permit. Released on drop.
#[derive(Debug)]
pub(crate) struct Permit {
    window: Option<Arc<Window>>,
}

impl Permit {
    /// Gives the permit back: nothing was sent.
    pub(crate) fn unused(mut self) {
        if let Some(window) = self.window.take() {
            window.leave(false);
        }
    }
}

impl Drop for Permit {
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
        let permits = Arc::new(Permits::default());
        let mut random = fastrand::Rng::with_seed(3);
        let mut calls = Vec::new();
        for _ in 0..12 * n {
            let (permits, start, length) = (
                permits.clone(),
                Duration::from_millis(random.u64(0..400_000)),
                Duration::from_millis(random.u64(0..20_000)),
            );
            let (reached, sent) = (random.f64(), random.u8(0..4) > 0);
            calls.push(tokio::spawn(async move {
                tokio::time::sleep(start).await;
                let permit = permits.acquire(&API_KEYS_ADD, true, after(9_999 * SECOND));
                let permit = permit.await.unwrap();
                // The server counts it at some time while it runs.
                tokio::time::sleep(length.mul_f64(reached)).await;
                let counted = Instant::now();
                tokio::time::sleep(length.mul_f64(1.0 - reached)).await;
                if sent {
                    drop(permit);
                    Some(counted)
                } else {
                    permit.unused();
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
        let permits = Permits::default();
        let started = Instant::now();
        for _ in 0..5 {
            drop(
                permits
                    .acquire(&API_KEYS_ADD, true, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        for _ in 0..1000 {
            drop(
                permits
                    .acquire(&TEMPLATE_VIEW, true, after(SECOND))
                    .await
                    .unwrap(),
            );
            drop(
                permits
                    .acquire(&API_KEYS_ADD, false, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(Instant::now(), started);
        let permit = permits
            .acquire(&API_KEYS_ADD, true, after(90 * SECOND))
            .await;
        permit.unwrap().unused();
        assert!(started.elapsed() >= 60 * SECOND && started.elapsed() < 61 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn past_the_deadline_is_said_at_once() {
        let permits = Permits::default();
        let started = Instant::now();
        for _ in 0..50 {
            drop(
                permits
                    .acquire(&SUBACCOUNT_ADD, true, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        let late = permits
            .acquire(&SUBACCOUNT_ADD, true, after(120 * SECOND))
            .await;
        assert_eq!(
            late.unwrap_err(),
            Denied {
                reason: NoPermit::RateLimit,
                wait: Some(3600 * SECOND)
            }
        );
        assert_eq!(Instant::now(), started);
        let late = permits.acquire(&TEMPLATE_VIEW, true, Instant::now()).await;
        assert_eq!(late.unwrap_err().reason, NoPermit::Deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn running_calls_are_waited_for_and_an_unused_turn_goes_to_the_next() {
        let permits = Permits::default();
        let mut running = Vec::new();
        for _ in 0..5 {
            running.push(
                permits
                    .acquire(&API_KEYS_ADD, true, after(SECOND))
                    .await
                    .unwrap(),
            );
        }
        let late = permits.acquire(&API_KEYS_ADD, true, after(SECOND)).await;
        assert_eq!(late.unwrap_err().wait, None);
        let started = Instant::now();
        let (next, ()) = tokio::join!(
            permits.acquire(&API_KEYS_ADD, true, after(9 * SECOND)),
            async {
                tokio::time::sleep(SECOND).await;
                running.pop().unwrap().unused();
            }
        );
        next.unwrap();
        assert!(started.elapsed() < 2 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_holds_everything_back() {
        let permits = Permits::default();
        permits.pause(Instant::now(), 10 * SECOND);
        permits.pause(Instant::now(), 5 * SECOND);
        let late = permits
            .acquire(&TEMPLATE_VIEW, true, after(10 * SECOND))
            .await;
        assert_eq!(
            late.unwrap_err(),
            Denied {
                reason: NoPermit::Paused,
                wait: Some(10 * SECOND)
            }
        );
        let started = Instant::now();
        // Another 429 while it waits.
        let (permit, ()) = tokio::join!(
            permits.acquire(&API_KEYS_ADD, true, after(60 * SECOND)),
            async {
                tokio::time::sleep(9 * SECOND).await;
                permits.pause(Instant::now(), 20 * SECOND);
            }
        );
        permit.unwrap();
        assert!(started.elapsed() >= 29 * SECOND && started.elapsed() < 30 * SECOND);
    }

    /// When each of so many calls got its permit, in milliseconds from now.
    async fn times_of(permits: &Arc<Permits>, calls: u32, deadline: Duration) -> Vec<Option<u128>> {
        let started = Instant::now();
        let deadline = started + deadline;
        let calls: Vec<_> = (0..calls)
            .map(|_| {
                let permits = permits.clone();
                tokio::spawn(async move {
                    let permit = permits.acquire(&TEMPLATE_VIEW, true, deadline).await;
                    permit.is_ok().then(|| started.elapsed().as_millis())
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
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let times = times_of(&permits, 1000, 300 * SECOND).await;
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
        let free = times_of(&permits, 1000, SECOND).await;
        assert!(free.iter().all(|at| *at == Some(0)), "{free:?}");
        assert_eq!(before.elapsed(), 20 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_get_a_turn_past_the_deadline_is_told_at_once() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let times = times_of(&permits, 10, 62 * SECOND).await;
        let (refused, given) = times.split_at(7);
        assert!(refused.iter().all(Option::is_none));
        assert_eq!(given, [Some(60_000), Some(61_000), Some(61_585)]);

        permits.pause(Instant::now(), 60 * SECOND);
        let started = Instant::now();
        let waiting = times_of(&permits, 3, 90 * SECOND);
        let late = async {
            tokio::task::yield_now().await;
            let late = permits
                .acquire(&TEMPLATE_VIEW, true, after(62 * SECOND))
                .await;
            assert_eq!(started, Instant::now());
            assert_eq!(
                late.unwrap_err(),
                Denied {
                    reason: NoPermit::Paused,
                    wait: Some(62 * SECOND)
                }
            );
        };
        tokio::join!(waiting, late);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_cancelled_leaves_its_place_to_others() {
        for callers in [200, 6000] {
            let permits = Arc::new(Permits::default());
            permits.pause(Instant::now(), 60 * SECOND);
            let started = Instant::now();
            let waiting: Vec<_> = (0..callers)
                .map(|n| {
                    let permits = permits.clone();
                    // Some of them only when others are through.
                    let patience = Duration::from_millis(if n % 8 == 7 { 61_200 } else { 5_000 });
                    tokio::spawn(async move {
                        let permit = permits.acquire(&TEMPLATE_VIEW, true, after(300 * SECOND));
                        timeout_at(after(patience), permit).await.is_ok()
                    })
                })
                .collect();
            let mut through = 0;
            for call in waiting {
                through += u32::from(call.await.unwrap());
            }
            assert_eq!(through, 2, "at 60 s and at 61 s");
            // Two are through, and nobody waits: the third place is that of 61.6 s.
            let next = times_of(&permits, 1, 300 * SECOND).await;
            assert!(next[0].unwrap() < 500, "{next:?} of {callers}");
            assert!(started.elapsed() < 62 * SECOND);
            // And the next is not refused.
            assert!(times_of(&permits, 1, SECOND).await[0].is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_call_goes_at_once_after_a_pause_that_none_outlived() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let mut waiting = Vec::new();
        for _ in 0..200 {
            let permits = permits.clone();
            waiting.push(tokio::spawn(async move {
                let permit = permits.acquire(&TEMPLATE_VIEW, true, after(300 * SECOND));
                timeout_at(after(5 * SECOND), permit).await.is_err()
            }));
        }
        for call in waiting {
            assert!(call.await.unwrap());
        }
        tokio::time::sleep(56 * SECOND).await;
        assert_eq!(times_of(&permits, 1, SECOND).await, [Some(0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_goes_alone_whoever_was_cancelled() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let cancelled: Vec<_> = (0..500)
            .map(|_| {
                let permits = permits.clone();
                tokio::spawn(async move {
                    let _ = permits
                        .acquire(&TEMPLATE_VIEW, true, after(300 * SECOND))
                        .await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let rest = async {
            tokio::time::sleep(SECOND).await;
            cancelled.iter().for_each(tokio::task::JoinHandle::abort);
        };
        let (times, ()) = tokio::join!(times_of(&permits, 100, 300 * SECOND), rest);
        let times: Vec<_> = times.into_iter().map(Option::unwrap).collect();
        assert_eq!(times[..4], [60_000, 61_000, 61_585, 62_000]);
        assert!(times.last().unwrap() < &67_000, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_moves_up_after_the_pause_too() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let before: Vec<_> = (0..500)
            .map(|_| {
                let permits = permits.clone();
                tokio::spawn(async move {
                    let permit = permits.acquire(&TEMPLATE_VIEW, true, after(300 * SECOND));
                    let _ = timeout_at(after(Duration::from_millis(61_200)), permit).await;
                })
            })
            .collect();
        tokio::task::yield_now().await;
        let times = times_of(&permits, 10, 300 * SECOND).await;
        let times: Vec<_> = times.into_iter().map(Option::unwrap).collect();
        for (n, at) in times.iter().enumerate() {
            // No more by then than one, two, four, and a step late at most. Two were through.
            let place = 60_000.0 + 1000.0 * f64::from(u32::try_from(n + 3).unwrap()).log2();
            let at = f64::from(u32::try_from(*at).unwrap());
            assert!(at >= place && at <= place + 1002.0, "{times:?}");
        }
        for call in before {
            call.await.unwrap();
        }
    }

    /// A call that somebody began and does not go on with keeps nobody from going.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_nobody_polls_holds_up_none() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let mut idle = Box::pin(permits.acquire(&TEMPLATE_VIEW, true, after(300 * SECOND)));
        assert!(timeout_at(after(SECOND), &mut idle).await.is_err());
        let times = times_of(&permits, 2, 300 * SECOND).await;
        assert_eq!(times, [Some(60_000), Some(60_585)]);
        let before = Instant::now();
        idle.await.unwrap();
        assert_eq!(before, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_429_to_the_first_holds_the_rest_back_again() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let again = async {
            let permit = permits
                .acquire(&TEMPLATE_VIEW, true, after(300 * SECOND))
                .await;
            permit.unwrap();
            // Before the second has its permit.
            tokio::time::sleep(Duration::from_millis(500)).await;
            permits.pause(Instant::now(), 60 * SECOND);
            // Who waits for another try has the first place.
            let permit = permits
                .acquire(&TEMPLATE_VIEW, true, after(300 * SECOND))
                .await;
            permit.unwrap();
            Instant::now()
        };
        let started = Instant::now();
        let (again, others) = tokio::join!(again, times_of(&permits, 3, 300 * SECOND));
        assert_eq!((again - started).as_millis(), 120_500);
        assert_eq!(others, [Some(121_500), Some(122_085), Some(122_500)]);
    }

    #[tokio::test(start_paused = true)]
    async fn revoked_pause_lets_waiting_calls_go() {
        let permits = Arc::new(Permits::default());
        let now = Instant::now();
        permits.pause(now, 60 * SECOND);
        let revoke = async {
            tokio::time::sleep(SECOND).await;
            // Not that of another 429.
            permits.resume(now, 30 * SECOND);
            tokio::time::sleep(SECOND).await;
            permits.resume(now, 60 * SECOND);
        };
        let ((), times) = tokio::join!(revoke, times_of(&permits, 100, 90 * SECOND));
        assert!(times.iter().all(|time| *time == Some(2000)), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_of_no_time_delays_nobody() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), Duration::ZERO);
        let times = times_of(&permits, 100, SECOND).await;
        assert!(times.iter().all(|at| *at == Some(0)), "{times:?}");
    }
}
