//! A deduplicator of webhook events over the outbox's database.

use std::time::Duration;

use smtp2go_sdk::webhook::{Claim, Deduplicator, StoreError, Token};

use crate::error::Error;
use crate::outbox::Outbox;
use crate::store::Store;

/// Deduplicates webhook events for all processes that use the outbox's database. Pass it to
/// [`Receiver::deduplicate`](smtp2go_sdk::webhook::Receiver::deduplicate).
///
/// The table `smtp2go_outbox_events` has one row for each event. The keys of these rows contain addresses.
/// [`Outbox::erase`] deletes the rows whose keys contain the erased address.
#[derive(Clone, Debug)]
pub struct Dedup {
    store: Store,
    lease: Duration,
    keep: Duration,
}

impl Dedup {
    /// Returns a deduplicator in the database of this outbox.
    #[must_use]
    pub fn new(outbox: &Outbox) -> Self {
        Self {
            store: outbox.store.clone(),
            lease: Duration::from_secs(60),
            keep: Duration::from_secs(5 * 24 * 60 * 60),
        }
    }

    /// Sets how long a process may handle an event. Default: 60 seconds. After that time the event can be handled
    /// again, for example if the process died. Must be longer than the handler can take.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Sets how long a handled event is remembered. Default: 5 days, because the service repeats a failed
    /// delivery for up to 4 days.
    #[must_use]
    pub fn keep(mut self, keep: Duration) -> Self {
        self.keep = keep;
        self
    }

    /// Deletes handled events that are older than [`keep`](Self::keep). Returns their number. Call it once a day.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn purge(&self) -> Result<u64, Error> {
        self.store.forget_events().await
    }
}

impl Deduplicator for Dedup {
    async fn claim(&self, key: &str) -> Result<Claim, StoreError> {
        let token = Token::random();
        let bits = token.value().cast_signed();
        if self.store.claim_event(key, bits, self.lease).await? {
            return Ok(Claim::Claimed(token));
        }
        Ok(match self.store.event_is_handled(key).await? {
            Some(true) => Claim::Done,
            // `None`: released meanwhile, so the service posts the event again.
            Some(false) | None => Claim::Busy,
        })
    }

    async fn commit(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let bits = token.value().cast_signed();
        Ok(self.store.commit_event(key, bits, self.keep).await?)
    }

    async fn release(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let bits = token.value().cast_signed();
        Ok(self.store.release_event(key, bits).await?)
    }
}
