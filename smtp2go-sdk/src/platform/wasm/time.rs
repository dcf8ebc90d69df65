//! The clock and timers of the runtime, under the names that tokio uses.
//!
//! In Workers the clock stands still while code runs, and moves on with each reply or timer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use js_sys::{Function, Promise, Reflect};
use send_wrapper::SendWrapper;
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::member;

/// Maximum duration of a timer: `setTimeout` takes milliseconds as a signed 32-bit integer.
const LONGEST_TIMER: Duration = Duration::from_millis(i32::MAX as u64);

/// Returns the time of the runtime's clock.
pub(crate) fn now() -> SystemTime {
    let since = Duration::try_from_secs_f64(js_sys::Date::now() / 1000.0);
    UNIX_EPOCH
        .checked_add(since.unwrap_or_default())
        .unwrap_or(UNIX_EPOCH)
}

/// A time of a monotonic clock, as the duration since the clock's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

impl Instant {
    pub(crate) fn now() -> Self {
        let global = js_sys::global();
        let millis = Reflect::get(&global, &"performance".into())
            .ok()
            .and_then(|clock| {
                member::<Function>(&clock, "now")?
                    .call0(&clock)
                    .ok()?
                    .as_f64()
            })
            .unwrap_or_else(js_sys::Date::now);
        Self(Duration::try_from_secs_f64(millis / 1000.0).unwrap_or_default())
    }

    pub(crate) fn checked_add(self, wait: Duration) -> Option<Self> {
        self.0.checked_add(wait).map(Self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }
}

/// Waits until a time.
#[derive(Debug)]
pub(crate) struct Sleep {
    deadline: Instant,
    timer: Option<Timer>,
}

pub(crate) fn sleep(wait: Duration) -> Sleep {
    let now = Instant::now();
    sleep_until(now.checked_add(wait).unwrap_or(now))
}

pub(crate) fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: None,
    }
}

impl Sleep {
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(crate) fn reset(mut self: Pin<&mut Self>, deadline: Instant) {
        self.deadline = deadline;
        self.timer = None;
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Ready(());
            }
            let timer = self.timer.get_or_insert_with(|| Timer::start(left));
            let fired = ready!(Pin::new(&mut *timer.fired).poll(cx));
            // It may have been shorter than the wait.
            self.timer = None;
            if fired.is_err() {
                // Without timers, a wait is over at once rather than never.
                return Poll::Ready(());
            }
        }
    }
}

/// A timer of the runtime. Cleared on drop.
#[derive(Debug)]
struct Timer {
    fired: SendWrapper<JsFuture>,
    handle: SendWrapper<JsValue>,
}

impl Timer {
    fn start(wait: Duration) -> Self {
        // Up to the next millisecond, since `setTimeout` cuts fractions.
        let millis = wait.min(LONGEST_TIMER).as_secs_f64() * 1000.0;
        let global = js_sys::global();
        let mut handle = JsValue::UNDEFINED;
        let fired = Promise::new(&mut |resolve, reject| {
            let started = member::<Function>(&global, "setTimeout")
                .ok_or(JsValue::UNDEFINED)
                .and_then(|start| start.call2(&global, &resolve, &millis.ceil().into()));
            match started {
                Ok(started) => handle = started,
                Err(error) => drop(reject.call1(&JsValue::UNDEFINED, &error)),
            }
        });
        Self {
            fired: SendWrapper::new(fired.into()),
            handle: SendWrapper::new(handle),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let global = js_sys::global();
        if let Some(clear) = member::<Function>(&global, "clearTimeout") {
            let _ = clear.call1(&global, &self.handle);
        }
    }
}

/// The error of [`timeout_at`]: the deadline passed.
#[derive(Debug)]
pub(crate) struct Elapsed;

/// Runs a future until it completes, or until `at`.
pub(crate) async fn timeout_at<F: Future>(at: Instant, work: F) -> Result<F::Output, Elapsed> {
    let mut work = std::pin::pin!(work);
    let mut timer = sleep_until(at);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = work.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut timer).poll(cx).map(|()| Err(Elapsed))
    })
    .await
}
