//! What takes long, off the threads that serve connections.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use crate::world::Shared;

/// How many at a time; the others wait.
const AT_ONCE: usize = 4;

/// The places for them.
#[derive(Debug)]
pub(crate) struct Heavy(Semaphore);

impl Heavy {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }

    /// Runs something on a thread for what blocks. `None` if it panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        // It is never closed.
        let _place = self.0.acquire().await.ok()?;
        tokio::task::spawn_blocking(work).await.ok()
    }
}

/// Runs a handler there, one that does not wait for anything.
pub(crate) async fn apart(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let handler = move || Handle::current().block_on(next.run(request));
    let response = shared.heavy.run(handler).await;
    response.unwrap_or_else(|| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
