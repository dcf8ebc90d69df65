//! Notifies pages of changes.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::unfold;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;

use crate::admin::Problem;
use crate::world::Shared;

/// Minimum time between two notifications of a page. Changes in between are combined.
const PAUSE: Duration = Duration::from_millis(150);

/// Maximum duration of a stream. Browsers open another one when it ends.
const LIFE: Duration = Duration::from_secs(60 * 60);

struct Listener {
    changes: watch::Receiver<()>,
    stopping: watch::Receiver<bool>,
    /// Weak, so that an open page does not keep a dropped sandbox alive.
    shared: Weak<Shared>,
    begun: bool,
    end: Instant,
    _place: OwnedSemaphorePermit,
}

/// Streams server-sent events without content. The page reloads its lists on each.
pub(super) async fn changes(
    State(shared): State<Arc<Shared>>,
) -> Result<impl IntoResponse, Problem> {
    let listener = Listener::new(&shared)?;
    Ok(Sse::new(unfold(listener, next)).keep_alive(KeepAlive::default()))
}

impl Listener {
    fn new(shared: &Arc<Shared>) -> Result<Self, Problem> {
        Ok(Self {
            changes: shared.changes.subscribe(),
            stopping: shared.stopping.subscribe(),
            shared: Arc::downgrade(shared),
            begun: false,
            end: Instant::now() + LIFE,
            _place: shared.waits.place()?,
        })
    }
}

async fn next(mut listener: Listener) -> Option<(Result<Event, Infallible>, Listener)> {
    if listener.begun {
        let news = async {
            if listener.changes.changed().await.is_err() {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
            listener.changes.mark_unchanged();
            true
        };
        let more = tokio::select! {
            more = news => more,
            _ = listener.stopping.wait_for(|stopping| *stopping) => false,
            () = tokio::time::sleep_until(listener.end) => false,
        };
        if !more || listener.shared.strong_count() == 0 {
            return None;
        }
    }
    // The first event is sent at once, because a page that reconnects may have missed changes.
    listener.begun = true;
    Some((Ok(Event::default().event("change").data("new")), listener))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;
    use crate::world::Settings;

    #[tokio::test]
    async fn stream_ends_after_its_maximum_duration_and_releases_its_permit() {
        let mut settings = Settings::with_keys(Vec::new());
        settings.limits.connections = 4;
        let shared = Shared::new(Api::embedded().unwrap(), settings);
        let listener = Listener::new(&shared).unwrap();
        assert_eq!(Listener::new(&shared).err().unwrap().0, 503);
        let (_, mut listener) = next(listener).await.unwrap();
        shared.changes.send_replace(());
        let (_, more) = next(listener).await.unwrap();
        listener = more;
        listener.end = Instant::now() + Duration::from_millis(5);
        assert!(next(listener).await.is_none());
        assert!(Listener::new(&shared).is_ok());
    }
}
