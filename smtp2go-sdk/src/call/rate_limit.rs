//! Rate limits: the documented rates of operations, and the pause after a 429.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::platform::sync::{Mutex as Turn, Notify};
use crate::platform::time::{Instant, timeout_at};

use crate::error::NoPermit;
use crate::operation::{Operation, RateLimit};

/// Longest pause after a 429. After this, one probe request is allowed.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);
/// After a pause, the number of calls that may have started doubles with each step. A step is the
/// length of the pause divided by this: one second for a pause of a minute.
const STEPS: u32 = 60;
/// Number of steps, after which 65,536 calls may have started. Then calls no longer wait.
const LAST_STEP: u32 = 16;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a call got no permit before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    pub(crate) reason: NoPermit,
    /// Time until the call would have got a permit, if known.
    pub(crate) wait: Option<Duration>,
}

/// Issues permits. Shared by the clones of a client.
#[derive(Debug, Default)]
pub(crate) struct Permits {
    queue: Mutex<Queue>,
    /// The windows by operation id. A list suffices: few operations have a documented rate.
    windows: Mutex<Vec<(&'static str, Arc<Window>)>>,
    /// Notified when a pause is revoked.
    resumed: Notify,
}

/// The calls that wait because of a 429.
#[derive(Debug, Default)]
struct Queue {
    pause: Option<Pause>,
    /// The latest of the pauses that can't be revoked any more.
    confirmed: Option<Pause>,
    /// The tickets of the calls that wait for the end of this pause, in order.
    waiting: VecDeque<u64>,
    /// Number of tickets issued. Never reset, so that a ticket of an earlier pause is not mistaken for
    /// one of this pause.
    tickets: u64,
}

/// A pause after a 429. No call starts before its end. Then calls start gradually: one at once, and
/// with each sixtieth of the pause (each second after a pause of a minute) the number of started calls
/// doubles. If all started at once while the API still blocks the address, all would get the next 429,
/// and each would prolong the block. This way the first call finds out before many follow.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Instant,
    step: Duration,
    /// Number of calls that have started since the pause ended.
    gone: usize,
}

impl Pause {
    /// `None` if its end overflows the clock.
    fn new(from: Instant, wait: Duration) -> Option<Self> {
        Some(Self {
            until: from.checked_add(wait)?,
            step: wait / STEPS,
            gone: 0,
        })
    }

    /// Returns when a call may start if `before` calls start before it.
    fn place(&self, before: usize) -> Instant {
        let calls = u32::try_from(before).unwrap_or(u32::MAX);
        let steps = (f64::from(calls) + 1.0).log2().min(f64::from(LAST_STEP));
        let after = Duration::try_from_secs_f64(self.step.as_secs_f64() * steps);
        let place = self.until.checked_add(after.unwrap_or_default());
        place.unwrap_or(self.until)
    }

    /// Whether all steps have passed, so that calls no longer queue.
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.until) >= self.step * LAST_STEP && now >= self.until
    }
}

impl Queue {
    /// Begins a pause, unless one that ends later is in force.
    fn pause(&mut self, pause: Pause) {
        if self
            .pause
            .is_none_or(|earlier| earlier.until <= pause.until)
        {
            self.pause = Some(pause);
            // The waiting calls get new tickets when they ask again, behind the call that got this 429.
            self.waiting.clear();
        }
    }

    /// Returns `None` if the call may start, else when to ask again. A call that has to wait gets a
    /// ticket, unless it has one for this pause.
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
            // The calls ahead that have not asked yet may start too, so no call is overtaken.
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
        // Calls ahead may be cancelled, so look again at the end of the pause, and then every step.
        let again = if now < pause.until {
            Some(pause.until)
        } else {
            now.checked_add(pause.step)
        };
        Ok(Some(again.map_or(place, |again| again.min(place))))
    }

    /// Removes a call that no longer waits.
    fn leave(&mut self, ticket: u64) {
        if let Ok(index) = self.waiting.binary_search(&ticket) {
            self.waiting.remove(index);
        }
    }
}

/// A call in the queue. Leaves the queue on drop, so that the calls behind it move up.
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
    /// Starts a pause of `wait` from `from`, unless the present pause ends later.
    pub(crate) fn pause(&self, from: Instant, wait: Duration) {
        if let Some(pause) = Pause::new(from, wait) {
            lock(&self.queue).pause(pause);
        }
    }

    /// Keeps a pause from being revoked.
    pub(crate) fn confirm(&self, from: Instant, wait: Duration) {
        if let Some(pause) = Pause::new(from, wait) {
            let mut queue = lock(&self.queue);
            queue.pause(pause);
            if queue
                .confirmed
                .is_none_or(|earlier| earlier.until <= pause.until)
            {
                queue.confirmed = Some(pause);
            }
        }
    }

    /// Revokes a pause, and restores the latest confirmed one.
    pub(crate) fn resume(&self, from: Instant, wait: Duration) {
        let mut queue = lock(&self.queue);
        if queue.pause.map(|pause| pause.until) == from.checked_add(wait) {
            queue.pause = queue.confirmed;
            queue.waiting.clear();
            self.resumed.notify_waiters();
        }
    }

    /// Waits until the rate limits allow a call. The call holds the permit until it has ended. With
    /// `rate_limits` off, waits only for the end of a pause.
    pub(crate) async fn acquire(
        &self,
        operation: &'static Operation,
        rate_limits: bool,
        deadline: Instant,
    ) -> Result<Permit, Denied> {
        loop {
            self.wait_for_release(deadline).await?;
            let permit = match operation.rate_limit {
                Some(limit) if rate_limits && limit.requests > 0 => {
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

    /// Waits for the end of the pause, if there is one, and for the call's place in the queue.
    async fn wait_for_release(&self, deadline: Instant) -> Result<(), Denied> {
        if lock(&self.queue).pause.is_none() {
            return Ok(());
        }
        let mut waiting = Waiting {
            queue: &self.queue,
            ticket: None,
        };
        loop {
            let mut resumed = pin!(self.resumed.notified());
            // Registered before the pause is checked, so that its end is not missed.
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
            queue: Turn::new(()),
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

/// A documented rate: at most n calls in any window of time. There are n places, and a place becomes
/// free a window's length after the *end* of its call. So the limit holds whether the server counts a
/// call at its start, at its end or in between. (A token bucket allows up to twice as many calls
/// around the edge of a window.)
#[derive(Debug)]
struct Window {
    per: Duration,
    /// Makes waiting calls take places in the order in which they came.
    queue: Turn<()>,
    places: Mutex<Places>,
    /// Notified when a call ends.
    freed: Notify,
}

/// The places of a [`Window`]. Places of running calls are in neither field.
#[derive(Debug)]
struct Places {
    /// Number of places that were free from the start, or whose call sent nothing.
    unused: u32,
    /// The times at which the places of ended calls become free, in order.
    free_at: VecDeque<Instant>,
}

impl Window {
    async fn acquire(self: Arc<Self>, deadline: Instant) -> Result<Permit, Denied> {
        let late = |wait| Denied {
            reason: NoPermit::RateLimit,
            wait,
        };
        let Ok(_turn) = timeout_at(deadline, self.queue.lock()).await else {
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
            // Without `free_at`, all places are taken by running calls, which may leave one unused.
            if now >= deadline || free_at.is_some_and(|at| at >= deadline) {
                return Err(late(free_at.map(|at| at.saturating_duration_since(now))));
            }
            let until = free_at.unwrap_or(deadline);
            // Look again, whether it was notified or timed out.
            let _ = timeout_at(until, self.freed.notified()).await;
        }
        Ok(Permit {
            window: Some(self.clone()),
        })
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
    /// Releases the permit without counting the call, because nothing was sent.
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
    async fn any_window_has_at_most_n_calls() {
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
    async fn call_within_the_rate_does_not_wait() {
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
    async fn permit_that_would_come_after_the_deadline_is_denied_at_once() {
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
    async fn unused_permit_of_a_running_call_goes_to_the_next_call() {
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
    async fn pause_delays_every_operation() {
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

    /// Returns when each of `calls` calls got its permit, in milliseconds from now.
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
    async fn calls_start_gradually_after_a_pause() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let times = times_of(&permits, 1000, 300 * SECOND).await;
        let times: Vec<_> = times.into_iter().map(Option::unwrap).collect();
        assert_eq!(times[..2], [60_000, 61_000]);
        for seconds in 0..10 {
            let by_then = times.iter().filter(|at| **at <= 60_000 + seconds * 1000);
            assert_eq!(by_then.count(), 1 << seconds, "after {seconds} s");
        }
        // All start soon, and the first ones at different times.
        assert!(times.last().unwrap() < &71_000, "{times:?}");
        assert!(
            times[..64].windows(2).all(|two| two[0] < two[1]),
            "{times:?}"
        );

        // Later calls don't wait.
        let before = Instant::now();
        tokio::time::advance(20 * SECOND).await;
        let free = times_of(&permits, 1000, SECOND).await;
        assert!(free.iter().all(|at| *at == Some(0)), "{free:?}");
        assert_eq!(before.elapsed(), 20 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn call_that_a_pause_delays_past_its_deadline_is_denied_at_once() {
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
    async fn cancelled_call_leaves_its_place_to_others() {
        for callers in [200, 6000] {
            let permits = Arc::new(Permits::default());
            permits.pause(Instant::now(), 60 * SECOND);
            let started = Instant::now();
            let waiting: Vec<_> = (0..callers)
                .map(|n| {
                    let permits = permits.clone();
                    // Some are cancelled only after others have started.
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
            // Two have started and none waits, so the next gets the third place, at 61.6 s.
            let next = times_of(&permits, 1, 300 * SECOND).await;
            assert!(next[0].unwrap() < 500, "{next:?} of {callers}");
            assert!(started.elapsed() < 62 * SECOND);
            // The one after that is not denied.
            assert!(times_of(&permits, 1, SECOND).await[0].is_some());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn new_call_starts_at_once_after_a_pause_if_all_others_were_cancelled() {
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
    async fn first_call_after_pause_runs_alone_despite_cancellation() {
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
    async fn waiting_call_moves_up_after_the_pause_too() {
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
            // Not before its place, and at most one step late. Two calls had started before.
            let place = 60_000.0 + 1000.0 * f64::from(u32::try_from(n + 3).unwrap()).log2();
            let at = f64::from(u32::try_from(*at).unwrap());
            assert!(at >= place && at <= place + 1002.0, "{times:?}");
        }
        for call in before {
            call.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn call_that_is_not_polled_delays_no_other() {
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
    async fn second_429_pauses_the_waiting_calls_again() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), 60 * SECOND);
        let again = async {
            let permit = permits
                .acquire(&TEMPLATE_VIEW, true, after(300 * SECOND))
                .await;
            permit.unwrap();
            // Before the second call has its permit.
            tokio::time::sleep(Duration::from_millis(500)).await;
            permits.pause(Instant::now(), 60 * SECOND);
            // The retry of the call that got the 429 has the first place.
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
    async fn confirmed_pause_outlives_a_revoked_one() {
        let permits = Arc::new(Permits::default());
        let now = Instant::now();
        permits.pause(now, 90 * SECOND);
        permits.confirm(now, 30 * SECOND);
        permits.resume(now, 90 * SECOND);
        let times = times_of(&permits, 1, 90 * SECOND).await;
        assert_eq!(times, [Some(30_000)]);
    }

    #[tokio::test(start_paused = true)]
    async fn revoked_pause_releases_waiting_calls() {
        let permits = Arc::new(Permits::default());
        let now = Instant::now();
        permits.pause(now, 60 * SECOND);
        let revoke = async {
            tokio::time::sleep(SECOND).await;
            // Does not match the pause, as for another 429.
            permits.resume(now, 30 * SECOND);
            tokio::time::sleep(SECOND).await;
            permits.resume(now, 60 * SECOND);
        };
        let ((), times) = tokio::join!(revoke, times_of(&permits, 100, 90 * SECOND));
        assert!(times.iter().all(|time| *time == Some(2000)), "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn pause_of_zero_delays_no_call() {
        let permits = Arc::new(Permits::default());
        permits.pause(Instant::now(), Duration::ZERO);
        let times = times_of(&permits, 100, SECOND).await;
        assert!(times.iter().all(|at| *at == Some(0)), "{times:?}");
    }
}
