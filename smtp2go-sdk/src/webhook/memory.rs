//! A deduplicator for one process.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::platform::time::Instant;

use super::dedup::{Claim, Deduplicator, StoreError, Token};

/// Default time for which a handled event is remembered: one day longer than the service posts an
/// event again, by the longest statement of its documentation.
const KEEP: Duration = Duration::from_secs(5 * 24 * 60 * 60);
/// Default time until a claim expires: longer than the service waits for an answer.
const LEASE: Duration = Duration::from_secs(60);
const CAPACITY: usize = 100_000;

/// Remembers handled events in memory: for one process, until it ends.
///
/// Its size is bounded. When full, it forgets the event that was handled first. If all its events are
/// still being handled, it refuses a new event, and the receiver answers 503. A key takes about
/// 300 bytes, so the default capacity takes about 30 MB.
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
    state: Mutex<RememberedEvents>,
}

#[derive(Default)]
struct RememberedEvents {
    entries: HashMap<Arc<str>, RememberedEvent>,
    /// Events being handled, by expiry. The serial number makes equal times distinct.
    claims: BTreeMap<(Instant, u64), Arc<str>>,
    /// Handled events, by the time when they are forgotten.
    done: BTreeMap<(Instant, u64), Arc<str>>,
    serial: u64,
}

#[derive(Clone, Copy)]
struct RememberedEvent {
    /// Token of the claim. `None` once the event is handled.
    token: Option<Token>,
    /// Key of the event's entry in `claims` or `done`.
    place: (Instant, u64),
}

impl MemoryDeduplicator {
    /// Returns a deduplicator for 100,000 events. Claims expire after 60 seconds, and handled events
    /// are remembered for 5 days.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capacity: CAPACITY,
            lease: LEASE,
            keep: KEEP,
            state: Mutex::default(),
        }
    }

    /// Sets the maximum number of events, including those being handled. Default: 100,000. At least
    /// one.
    #[must_use]
    pub fn capacity(mut self, events: usize) -> Self {
        self.capacity = events.max(1);
        self
    }

    /// Sets the time until a claim expires, after which another delivery of the event is handled.
    /// Default: 60 seconds. Choose more than the handler takes.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a handled event is remembered. Default: 5 days.
    #[must_use]
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Returns the number of remembered events. Includes those being handled, and expired ones that
    /// were not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().entries.len()
    }

    /// Whether no event is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // No code here panics while it holds the lock.
    fn state(&self) -> std::sync::MutexGuard<'_, RememberedEvents> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RememberedEvents {
    fn insert(&mut self, key: Arc<str>, token: Option<Token>, until: Instant) {
        self.serial += 1;
        let place = (until, self.serial);
        let order = match token {
            Some(_) => &mut self.claims,
            None => &mut self.done,
        };
        order.insert(place, key.clone());
        self.entries.insert(key, RememberedEvent { token, place });
    }

    fn remove(&mut self, key: &str) {
        if let Some(entry) = self.entries.remove(key) {
            match entry.token {
                Some(_) => self.claims.remove(&entry.place),
                None => self.done.remove(&entry.place),
            };
        }
    }

    /// Removes expired events.
    fn expire(&mut self, now: Instant) {
        for order in [&mut self.claims, &mut self.done] {
            while let Some(first) = order.first_entry()
                && first.key().0 <= now
            {
                self.entries.remove(&*first.remove());
            }
        }
    }

    /// Whether the event is claimed with this token.
    fn holds(&self, key: &str, token: Token) -> bool {
        let entry = self.entries.get(key);
        entry.is_some_and(|entry| entry.token == Some(token))
    }
}

/// Adds a duration. One that overflows the clock counts as ten years.
fn after(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    now.checked_add(wait)
        .or_else(|| now.checked_add(FAR))
        .unwrap_or(now)
}

impl Deduplicator for MemoryDeduplicator {
    async fn claim(&self, key: &str) -> Result<Claim, StoreError> {
        let now = Instant::now();
        let mut state = self.state();
        state.expire(now);
        match state.entries.get(key) {
            Some(RememberedEvent { token: None, .. }) => return Ok(Claim::Done),
            Some(_) => return Ok(Claim::Busy),
            None => {}
        }
        while state.entries.len() >= self.capacity {
            let Some((_, oldest)) = state.done.first_key_value() else {
                let events = self.capacity;
                return Err(format!("MemoryDeduplicator is full: {events} events are being handled: raise its capacity").into());
            };
            let oldest = oldest.clone();
            state.remove(&oldest);
        }
        let token = Token::random();
        state.insert(Arc::from(key), Some(token), after(now, self.lease));
        Ok(Claim::Claimed(token))
    }

    async fn commit(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let now = Instant::now();
        let mut state = self.state();
        // An expired claim commits too, unless another caller holds it.
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

    async fn release(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let mut state = self.state();
        if state.holds(key, token) {
            state.remove(key);
        }
        Ok(())
    }
}

impl Default for MemoryDeduplicator {
    fn default() -> Self {
        Self::new()
    }
}

/// Does not show the keys, which contain addresses.
impl fmt::Debug for MemoryDeduplicator {
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
    async fn claim_ends_by_release_commit_or_expiry() {
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

        // Expired, and claimed by another caller: the first token has no effect.
        tokio::time::advance(10 * SECOND).await;
        let taken = claim(&store, "a").await;
        store.release("a", expired).await.unwrap();
        store.commit("a", expired).await.unwrap();
        assert_eq!(store.claim("a").await.unwrap(), Claim::Busy);
        // Expired, and not claimed by another caller: the commit has effect.
        tokio::time::advance(10 * SECOND).await;
        let _ = claim(&store, "b").await;
        store.commit("a", taken).await.unwrap();
        assert_eq!(store.claim("a").await.unwrap(), Claim::Done);
    }

    #[tokio::test(start_paused = true)]
    async fn full_store_forgets_oldest_handled_event_and_refuses_if_all_are_claimed() {
        let store = MemoryDeduplicator::new().capacity(3).keep(Duration::MAX);
        for key in ["a", "b"] {
            let token = claim(&store, key).await;
            store.commit(key, token).await.unwrap();
            tokio::time::advance(SECOND).await;
        }
        let held = [claim(&store, "c").await, claim(&store, "d").await];
        assert_eq!(store.claim("b").await.unwrap(), Claim::Done);
        let third = claim(&store, "e").await;
        // Only the oldest handled events are removed.
        assert_eq!(store.len(), 3);
        assert!(store.claim("f").await.is_err());
        store.release("e", third).await.unwrap();
        let _ = claim(&store, "a").await;
        for (key, token) in ["c", "d"].into_iter().zip(held) {
            store.commit(key, token).await.unwrap();
        }
        assert_eq!(store.len(), 3);
        let RememberedEvents {
            claims,
            done,
            entries,
            ..
        } = &*store.state();
        assert_eq!(claims.len() + done.len(), entries.len());
    }

    #[tokio::test]
    async fn concurrent_claims_succeed_once() {
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
