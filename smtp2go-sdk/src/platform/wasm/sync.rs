//! Waiting for other calls, under the names that tokio uses.
//!
//! A runtime can forbid a request to wake another, and can suspend a request for ever. So a call never
//! waits for another call's notification or lock: it checks again after [`LOOK_AGAIN`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::time::{Sleep, sleep};

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Notifications have no effect: waiting calls check again after [`LOOK_AGAIN`].
#[derive(Debug)]
pub(crate) struct Notify;

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notify {
    pub(crate) fn new() -> Self {
        Self
    }

    pub(crate) fn notified(&self) -> Notified {
        Notified(sleep(LOOK_AGAIN))
    }

    pub(crate) fn notify_one(&self) {}

    pub(crate) fn notify_waiters(&self) {}
}

/// The wait until a call checks again.
#[derive(Debug)]
pub(crate) struct Notified(Sleep);

impl Notified {
    pub(crate) fn enable(self: Pin<&mut Self>) {}
}

impl Future for Notified {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// Never waits. Natively the lock only keeps calls in order, and nothing depends on the order.
#[derive(Debug)]
pub(crate) struct Mutex<T>(T);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(value)
    }

    #[allow(clippy::unused_async)]
    pub(crate) async fn lock(&self) -> &T {
        &self.0
    }
}
