//! Waiting for other calls, with the names of tokio.
//!
//! A runtime can forbid a request to wake another, and can suspend a request for ever. So no call waits
//! for another's notice or lock here: it looks again after [`LOOK_AGAIN`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::time::{Sleep, sleep};

const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Notifies nobody.
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

/// The time until a call looks again.
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

/// Lets everybody in: the queue that it keeps natively is for order only.
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
