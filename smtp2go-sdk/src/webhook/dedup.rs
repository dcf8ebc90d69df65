//! Events that come more than once.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

/// What a store failed with.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// Remembers which events were handled, so that one that is posted again is not handled again.
///
/// [`Receiver::deduplicate`](super::Receiver::deduplicate) takes one. The receiver *claims* an event
/// before the handler gets it, *commits* the claim when the handler succeeded, and *releases* it
/// when it failed, so that the event is handled when it comes again. A claim that is neither
/// committed nor released, because the process ended, has to expire: after longer than a handler
/// takes, and sooner than the service gives up. What was committed has to be remembered for as long as
/// the service repeats itself: four days by the longest statement of its documentation.
///
/// [`MemoryDeduplicator`](super::MemoryDeduplicator) does so for one process. For several, or across
/// restarts, write it over a table with the key as its primary key; the repository has such a one, in
/// `tests/receivers/examples/database.rs`.
///
/// The guarantee is *at least once*: a handler whose claim expires while it works, or a process that
/// ends between the handler's success and the commit, means that an event is handled again.
///
/// The methods can be written as `async fn`.
pub trait Deduplicator: Send + Sync + 'static {
    /// Claims an event by its [key](super::Event::dedup_key), for a time that the store decides. Of
    /// several calls at once, in whatever process, only one may get [`Claim::Claimed`].
    ///
    /// # Errors
    ///
    /// The event is then answered with 503, unhandled, and the service posts it again.
    fn claim(&self, key: &str) -> impl Future<Output = Result<Claim, StoreError>> + Send;

    /// The event is handled: every later claim gets [`Claim::Done`]. A claim that has expired and was
    /// taken by somebody else, with another token, is left alone.
    ///
    /// # Errors
    ///
    /// They change nothing: the event is handled, and is handled again should it come again.
    fn commit(
        &self,
        key: &str,
        token: Token,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The event is not handled: the next claim succeeds. As with `commit`, only if the claim is still
    /// this one.
    ///
    /// # Errors
    ///
    /// They change nothing: the claim will expire.
    fn release(
        &self,
        key: &str,
        token: Token,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The event is the caller's to handle.
    Claimed(Token),
    /// It was handled before: answer with 200, and do nothing.
    Done,
    /// Somebody else is at it: answer with 503, so that it comes again in case they fail.
    Busy,
}

/// Tells a claim from a later one of the same event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token(u64);

impl Token {
    /// A random token.
    #[must_use]
    #[inline]
    pub fn random() -> Self {
        Self(fastrand::u64(..))
    }

    /// The token of this value, as a store kept it.
    #[must_use]
    #[inline]
    pub fn from_value(value: u64) -> Self {
        Self(value)
    }

    /// The value, for a store to keep.
    #[must_use]
    #[inline]
    pub fn value(self) -> u64 {
        self.0
    }
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A [`Deduplicator`] of whatever type.
pub(super) trait Store: Send + Sync {
    fn claim<'a>(&'a self, key: &'a str) -> Boxed<'a, Claim>;
    fn commit<'a>(&'a self, key: &'a str, token: Token) -> Boxed<'a, ()>;
    fn release<'a>(&'a self, key: &'a str, token: Token) -> Boxed<'a, ()>;
}

impl<D: Deduplicator> Store for D {
    #[inline]
    fn claim<'a>(&'a self, key: &'a str) -> Boxed<'a, Claim> {
        Box::pin(Deduplicator::claim(self, key))
    }

    #[inline]
    fn commit<'a>(&'a self, key: &'a str, token: Token) -> Boxed<'a, ()> {
        Box::pin(Deduplicator::commit(self, key, token))
    }

    #[inline]
    fn release<'a>(&'a self, key: &'a str, token: Token) -> Boxed<'a, ()> {
        Box::pin(Deduplicator::release(self, key, token))
    }
}

impl fmt::Debug for dyn Store {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deduplicator")
    }
}

/// A claim that is released if it is dropped before it was settled: the handler panicked, or its
/// connection ended and it was cancelled.
pub(super) struct Held {
    open: Option<(Arc<dyn Store>, String, Token)>,
}

impl Held {
    #[inline]
    pub(super) fn new(store: Arc<dyn Store>, key: String, token: Token) -> Self {
        Self {
            open: Some((store, key, token)),
        }
    }

    /// Commits or releases. Failures change nothing, see [`Deduplicator`].
    #[inline]
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

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if let Some((store, key, token)) = self.open.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            // Without a runtime the claim expires.
            runtime.spawn(async move { store.release(&key, token).await });
        }
    }
}
