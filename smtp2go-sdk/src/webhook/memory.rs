//! Deduplication within one process.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::dedup::{Claim, Deduplicator, StoreError, Token};

/// Four days, by the longest statement of the service's documentation, and one more.
const KEEP: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// Longer than the service waits for an answer.
const LEASE: Duration = Duration::from_secs(60);
const CAPACITY: usize = 100_000;

/// Remembers handled events in memory: for one process, until it ends.
///
/// It is bounded. When it is full, it forgets the event that was handled the longest time ago; when
/// it is full of events that are being handled, it refuses a new one, which is answered with 503. A
/// key takes about 300 bytes, so the default capacity about 30 MB.
///
/// ```
/// use std::time::Duration;
/// use smtp2go_sdk::webhook::{Auth, MemoryDeduplicator, Receiver};
///
/// let seen = MemoryDeduplicator::new().capacity(10_000).lease(Duration::from_secs(30));
/// let receiver = Receiver::new(Auth::bearer("a-long-random-token")?).deduplicate(seen);
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
pub struct MemoryDeduplicator {
    capacity: usize,
    lease: Duration,
    keep: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<Arc<str>, Entry>,
    /// What is being handled, by when that expires. The serial number tells equal times apart.
    claims: BTreeMap<(Instant, u64), Arc<str>>,
    /// What is handled, by when that is forgotten.
    done: BTreeMap<(Instant, u64), Arc<str>>,
    serial: u64,
}

#[derive(Clone, Copy)]
struct Entry {
    /// `None` if it is handled.
    token: Option<Token>,
    /// Where it stands in `claims` or `done`.
    place: (Instant, u64),
}

impl MemoryDeduplicator {
    /// For 100,000 events, claimed for 60 seconds and remembered for 5 days.
    #[must_use]
    #[inline]
    pub fn new() -> Self {
        Self {
            capacity: CAPACITY,
            lease: LEASE,
            keep: KEEP,
            state: Mutex::default(),
        }
    }

    /// How many events it remembers at most, those being handled included; at least one.
    #[must_use]
    #[inline]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// How long a handler has before its event may be handled by another. Longer than the handler
    /// takes.
    #[must_use]
    #[inline]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How long a handled event is remembered.
    #[must_use]
    #[inline]
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// How many events it remembers now, those being handled included, and expired ones that it has
    /// not met yet.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether it remembers nothing.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Nothing here panics while it holds the lock.
    #[inline]
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    #[inline]
    fn insert(&mut self, key: Arc<str>, token: Option<Token>, until: Instant) {
        self.serial += 1;
        let place = (until, self.serial);
        let order = match token {
            Some(_) => &mut self.claims,
            None => &mut self.done,
        };
        order.insert(place, key.clone());
        self.entries.insert(key, Entry { token, place });
    }

    #[inline]
    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            match entry.token {
                Some(_) => self.claims.remove(&entry.place),
                None => self.done.remove(&entry.place),
            };
        }
    }

    /// Forgets what has expired.
    #[inline]
    fn expire(&mut self, now: Instant) {
        for order in [&mut self.claims, &mut self.done] {
            while let Some(first) = order.first_entry()
                && first.key().0 <= now
            {
                self.entries.remove(&*first.remove());
            }
        }
    }

    /// Whether the claim is still this one.
    #[inline]
    fn holds(&self, key: &str, token: Token) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.token == Some(token))
    }
}

/// A time that far ahead, or else as far as there is time.
#[inline]
fn after(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    now.checked_add(wait).unwrap_or(now + FAR)
}

impl Deduplicator for MemoryDeduplicator {
    #[inline]
    async fn claim(&self, key: &str) -> Result<Claim, StoreError> {
        let now = Instant::now();
        let mut state = self.state();
        state.expire(now);
        match state.entries.get(key) {
            Some(Entry { token: None, .. }) => return Ok(Claim::Done),
            Some(_) => return Ok(Claim::Busy),
            None => {}
        }
        while state.entries.len() >= self.capacity {
            let Some((_, oldest)) = state.done.first_key_value() else {
                return Err("full of events that are being handled".into());
            };
            let oldest = oldest.clone();
            state.remove(&oldest);
        }
        let token = Token::random();
        state.insert(Arc::from(key), Some(token), after(now, self.lease));
        Ok(Claim::Claimed(token))
    }

    #[inline]
    async fn commit(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let now = Instant::now();
        let mut state = self.state();
        // After the lease, what was done is done all the same, unless somebody else is at it.
        if state.holds(key, token) || !state.entries.contains_key(key) {
            state.remove(key);
            state.insert(Arc::from(key), None, after(now, self.keep));
            if state.entries.len() > self.capacity
                && let Some((_, oldest)) = state.done.pop_first()
            {
                state.entries.remove(&oldest);
            }
        }
        Ok(())
    }

    #[inline]
    async fn release(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.holds(key, token) {
            state.remove(key);
        }
        Ok(())
    }
}

impl Default for MemoryDeduplicator {
    #[inline]
    fn default() -> Self {
        Self::new()
    }
}

/// Shows no keys, which hold addresses.
impl fmt::Debug for MemoryDeduplicator {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDeduplicator")
            .field("capacity", &self.capacity)
            .field("lease", &self.lease)
            .field("keep", &self.keep)
            .field("len", &self.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    async fn claim(store: &MemoryDeduplicator, key: &str) -> Token {
        match store.claim(key).await.unwrap() {
            Claim::Claimed(token) => token,
            other => panic!("{key}: {other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn claims_end_in_one_of_three_ways() {
        let store = MemoryDeduplicator::new()
            .lease(10 * SECOND)
            .keep(100 * SECOND);
        let token = claim(&store, "a").await;
        assert_eq!(store.claim("a").await.unwrap(), Claim::Busy);
        store.release("a", token).await.unwrap();
        assert!(store.is_empty());

        let token = claim(&store, "a").await;
        store.commit("a", token).await.unwrap();
        tokio::time::advance(99 * SECOND).await;
        assert_eq!(store.claim("a").await.unwrap(), Claim::Done);
        tokio::time::advance(SECOND).await;
        let expired = claim(&store, "a").await;

        // Expired, and taken by another: the first has no say any more.
        tokio::time::advance(10 * SECOND).await;
        let taken = claim(&store, "a").await;
        store.release("a", expired).await.unwrap();
        store.commit("a", expired).await.unwrap();
        assert_eq!(store.claim("a").await.unwrap(), Claim::Busy);
        // Expired, and taken by nobody: it is done.
        tokio::time::advance(10 * SECOND).await;
        let _ = claim(&store, "b").await;
        store.commit("a", taken).await.unwrap();
        assert_eq!(store.claim("a").await.unwrap(), Claim::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_bounded() {
        let store = MemoryDeduplicator::new().capacity(3).keep(Duration::MAX);
        for key in ["a", "b"] {
            let token = claim(&store, key).await;
            store.commit(key, token).await.unwrap();
            tokio::time::advance(SECOND).await;
        }
        let held = [claim(&store, "c").await, claim(&store, "d").await];
        assert_eq!(store.claim("b").await.unwrap(), Claim::Done);
        let third = claim(&store, "e").await;
        // The oldest went first, and what is being handled stays.
        assert_eq!(store.len(), 3);
        assert!(store.claim("f").await.is_err());
        store.release("e", third).await.unwrap();
        let _ = claim(&store, "a").await;
        for (key, token) in ["c", "d"].into_iter().zip(held) {
            store.commit(key, token).await.unwrap();
        }
        assert_eq!(store.len(), 3);
        let State {
            claims,
            done,
            entries,
            ..
        } = &*store.state();
        assert_eq!(claims.len() + done.len(), entries.len());
    }

    #[tokio::test]
    async fn of_many_one_gets_it() {
        let store = Arc::new(MemoryDeduplicator::new());
        let claims = (0..50).map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.claim("a").await.unwrap() })
        });
        let mut claimed = 0;
        for claim in claims.collect::<Vec<_>>() {
            claimed += i32::from(matches!(claim.await.unwrap(), Claim::Claimed(_)));
        }
        assert_eq!(claimed, 1);
        let shown = format!("{store:?}");
        assert!(
            shown.contains("len: 1") && !shown.contains("\"a\""),
            "{shown}"
        );
    }
}
