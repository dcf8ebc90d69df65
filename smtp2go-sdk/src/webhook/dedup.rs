//! Recognises duplicate deliveries of events.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::platform;

/// The error of a store.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// Remembers handled events, so that a duplicate delivery is not handled again.
///
/// Pass one to [`Receiver::deduplicate`](super::Receiver::deduplicate). The receiver *claims* an event
/// before it calls the handler, *commits* the claim if the handler succeeds, and *releases* it if the
/// handler fails, so that the next delivery is handled. If the process ends in between, the claim
/// has to expire: after a time that is longer than any run of a handler, but before the service
/// stops posting the event again. Committed events have to be remembered for as long as the service
/// posts again: four days by the longest statement of its documentation.
///
/// [`MemoryDeduplicator`](super::MemoryDeduplicator) works for one process. For several processes, or
/// across restarts, use `Dedup` of the crate `smtp2go-outbox`, which uses a table in PostgreSQL or
/// SQLite, or implement this over another store.
///
/// The guarantee is *at least once*: an event is handled again if its claim expires while the handler
/// runs, or if the process ends between the handler's success and the commit.
///
/// The methods can be written as `async fn`.
pub trait Deduplicator: Send + Sync + 'static {
    /// Claims an event by its [key](super::Event::dedup_key), for a time that the store chooses. If
    /// several calls run at once, in any process, only one may return [`Claim::Claimed`].
    ///
    /// # Errors
    ///
    /// The receiver then answers 503 without calling the handler, and the service posts the event
    /// again.
    fn claim(&self, key: &str) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// Marks the event as handled: every later claim returns [`Claim::Done`]. Does nothing if the claim
    /// expired and another caller holds it, with another token.
    ///
    /// # Errors
    ///
    /// Ignored: the event was handled. A duplicate delivery is then handled again.
    fn commit(
        &self,
        key: &str,
        token: Token,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives the claim up, so that the next claim succeeds. As with `commit`, does nothing if another
    /// caller holds the claim, with another token.
    ///
    /// # Errors
    ///
    /// Ignored: the claim expires.
    fn release(
        &self,
        key: &str,
        token: Token,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// The result of [`Deduplicator::claim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The caller handles the event.
    Claimed(Token),
    /// The event was handled before: answer 200 without handling it.
    Done,
    /// Another caller is handling the event: answer 503, so that the service posts it again in case
    /// that caller fails.
    Busy,
}

/// Identifies a claim among all claims of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

impl Token {
    /// Returns a random token.
    #[must_use]
    pub fn random() -> Self {
        Self(platform::random())
    }

    /// Returns the token with this value, which a store kept.
    #[must_use]
    pub fn from_value(value: u64) -> Self {
        Self(value)
    }

    /// Returns the value, for a store to keep.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// [`Deduplicator`] as a trait object.
pub(super) trait DynDeduplicator: Send + Sync {
    fn claim<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Claim>;
    fn commit<'a>(&'a self, key: &'a str, token: Token) -> StoreFuture<'a, ()>;
    fn release<'a>(&'a self, key: &'a str, token: Token) -> StoreFuture<'a, ()>;
}

impl<D: Deduplicator> DynDeduplicator for D {
    fn claim<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Claim> {
        Box::pin(Deduplicator::claim(self, key))
    }

    fn commit<'a>(&'a self, key: &'a str, token: Token) -> StoreFuture<'a, ()> {
        Box::pin(Deduplicator::commit(self, key, token))
    }

    fn release<'a>(&'a self, key: &'a str, token: Token) -> StoreFuture<'a, ()> {
        Box::pin(Deduplicator::release(self, key, token))
    }
}

impl fmt::Debug for dyn DynDeduplicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deduplicator")
    }
}

/// A claim that is released on drop unless it was settled: the handler panicked, or was cancelled
/// because its connection ended.
pub(super) struct HeldClaim {
    open: Option<(Arc<dyn DynDeduplicator>, String, Token)>,
}

impl HeldClaim {
    pub(super) fn new(store: Arc<dyn DynDeduplicator>, key: String, token: Token) -> Self {
        Self {
            open: Some((store, key, token)),
        }
    }

    /// Commits or releases the claim. Errors are ignored, see [`Deduplicator`].
    pub(super) async fn settle(mut self, success: bool) {
        if let Some((store, key, token)) = &self.open {
            let _ = if success {
                store.commit(key, *token).await
            } else {
                store.release(key, *token).await
            };
        }
        self.open = None;
    }
}

impl Drop for HeldClaim {
    fn drop(&mut self) {
        if let Some((store, key, token)) = self.open.take() {
            // If it does not run, the claim expires.
            platform::run_later(async move {
                let _ = store.release(&key, token).await;
            });
        }
    }
}
