//! Tells pages that there is something new.

use std::convert::Infallible;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_core::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;

use crate::world::Shared;

/// A page is told no more often than this: many mails at once are one piece of news.
const PAUSE: Duration = Duration::from_millis(150);

struct Listener {
    changes: watch::Receiver<()>,
    stopping: watch::Receiver<bool>,
    /// Nothing that a page has open keeps the sandbox.
    shared: Weak<Shared>,
    begun: bool,
}

/// Server-sent events without content: the page looks for itself.
pub(super) async fn changes(
    State(shared): State<Arc<Shared>>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let listener = Listener {
        changes: shared.changes.subscribe(),
        stopping: shared.stopping.subscribe(),
        shared: Arc::downgrade(&shared),
        begun: false,
    };
    Sse::new(unfold(listener, next)).keep_alive(KeepAlive::default())
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
        };
        if !more || listener.shared.strong_count() == 0 {
            return None;
        }
    }
    // Whoever connects anew may have missed something.
    listener.begun = true;
    Some((Ok(Event::default().event("change").data("new")), listener))
}
