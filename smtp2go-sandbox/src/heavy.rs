//! Runs expensive work off the threads that serve connections.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::admin::Problem;
use crate::world::Shared;

/// Maximum number of running tasks for each pool in [`Heavy`]. Further tasks wait.
const AT_ONCE: usize = 4;

/// Maximum time that a task waits for a permit. Several times the time limit of templates.
const WAIT: Duration = Duration::from_secs(30);

/// The pools of permits.
#[derive(Debug)]
pub(crate) struct Heavy {
    /// For calls of the API: long requests, and templates, which may take seconds.
    pub(crate) calls: Places,
    /// For the admin endpoints and the inbox, so that expensive calls don't block them.
    pub(crate) own: Places,
}

impl Heavy {
    pub(crate) fn new() -> Self {
        Self {
            calls: Places::new(WAIT),
            own: Places::new(WAIT),
        }
    }
}

/// A pool of permits, with the maximum time to wait for one.
#[derive(Debug)]
pub(crate) struct Places {
    free: Semaphore,
    wait: Duration,
}

/// Why work was not done.
#[derive(Debug, PartialEq)]
pub(crate) enum Undone {
    /// No permit was free for this long.
    Busy(Duration),
    Panicked,
}

impl Places {
    fn new(wait: Duration) -> Self {
        Self {
            free: Semaphore::new(AT_ONCE),
            wait,
        }
    }

    /// Waits for a permit, then runs `work` on a thread for blocking work.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Undone> {
        let place = tokio::time::timeout(self.wait, self.free.acquire()).await;
        // The semaphore is never closed, so that only a timeout fails.
        let Ok(Ok(_place)) = place else {
            return Err(Undone::Busy(self.wait));
        };
        let done = tokio::task::spawn_blocking(work).await;
        done.map_err(|_| Undone::Panicked)
    }

    /// Runs a handler on a blocking thread. The handler must not wait for anything.
    async fn handle(&self, handler: impl Future<Output = Response> + Send + 'static) -> Response {
        let done = self.run(move || Handle::current().block_on(handler)).await;
        done.unwrap_or_else(IntoResponse::into_response)
    }
}

impl IntoResponse for Undone {
    fn into_response(self) -> Response {
        match self {
            Self::Busy(waited) => Problem(
                StatusCode::SERVICE_UNAVAILABLE,
                format!(
                    "the sandbox is busy: {AT_ONCE} other pages and admin requests have run for {} s: \
                     try again later",
                    waited.as_secs()
                ),
            )
            .into_response(),
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        }
    }
}

/// Middleware that runs a handler of the admin endpoints or the inbox off the server's threads.
pub(crate) async fn apart(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    shared.heavy.own.handle(next.run(request)).await
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_without_a_free_permit_fails_after_the_maximum_wait() {
        let places = Arc::new(Places::new(Duration::from_millis(50)));
        let (hold, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let running: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (places, held) = (Arc::clone(&places), Arc::clone(&held));
                let work = move || held.lock().unwrap().recv().is_err();
                tokio::spawn(async move { places.run(work).await })
            })
            .collect();
        let busy = loop {
            match places.run(|| ()).await {
                // Not all have started.
                Ok(()) => tokio::task::yield_now().await,
                Err(why) => break why,
            }
        };
        assert_eq!(busy, Undone::Busy(Duration::from_millis(50)));
        drop(hold);
        for one in running {
            assert_eq!(one.await.unwrap(), Ok(true));
        }
        assert_eq!(places.run(|| 1).await, Ok(1));
        let panicked = places.run(|| assert_eq!(1, 2)).await;
        assert_eq!(panicked, Err(Undone::Panicked));
    }
}
