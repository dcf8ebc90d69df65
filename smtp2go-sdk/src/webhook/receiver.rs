//! Checks a request and passes its event to the handler, independent of the web framework.

use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use smtp2go_types::webhook::{DEFAULT_LIMIT, Event, parse_with_limit};

use super::auth::Auth;
use super::dedup::{Claim, Deduplicator, DynDeduplicator, HeldClaim};
use super::outcome::IntoStatus;
use super::refusal::{Answer, Refusal, RefusalReason};
use super::request_head::RequestHead;

/// Authenticates requests, parses their events, and deduplicates them if
/// [`deduplicate`](Self::deduplicate) is set.
///
/// Cheap to clone: clones share the settings and the store.
///
/// ```
/// use smtp2go_sdk::webhook::{Auth, MemoryDeduplicator, Receiver};
///
/// let receiver = Receiver::new(Auth::bearer("a-long-random-token")?)
///     .deduplicate(MemoryDeduplicator::new())
///     .body_limit(64 * 1024);
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Receiver {
    settings: Arc<ReceiverSettings>,
}

#[derive(Clone, Debug)]
struct ReceiverSettings {
    /// The accepted secrets. Empty: no secret is required.
    auths: Vec<Auth>,
    sources: Option<Vec<IpAddr>>,
    proxies: usize,
    limit: usize,
    store: Option<Arc<dyn DynDeduplicator>>,
}

impl Receiver {
    /// Returns a receiver that requires this secret.
    #[must_use]
    pub fn new(auth: Auth) -> Self {
        Self::of(vec![auth])
    }

    /// Returns a receiver that requires no secret: anybody who knows the address can post forged
    /// events. Use it only behind a proxy that authenticates.
    #[must_use]
    pub fn without_authentication() -> Self {
        Self::of(Vec::new())
    }

    fn of(auths: Vec<Auth>) -> Self {
        Self {
            settings: Arc::new(ReceiverSettings {
                auths,
                sources: None,
                proxies: 0,
                limit: DEFAULT_LIMIT,
                store: None,
            }),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut ReceiverSettings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Accepts this secret too. To rotate a secret, accept both until the webhook has the new one.
    ///
    /// A receiver [without authentication](Self::without_authentication) requires this secret
    /// afterwards.
    #[must_use]
    pub fn also_accept(self, auth: Auth) -> Self {
        self.with(|settings| settings.auths.push(auth))
    }

    /// Accepts requests from these addresses only, in addition to the secret. Others get 403. So does
    /// every request if the server does not pass on the peer's address (axum does with
    /// `into_make_service_with_connect_info::<SocketAddr>()`).
    ///
    /// The service posts from the addresses of `webhooks.smtp2go.com`. They may change, so look them
    /// up from time to time; the receiver does not.
    #[must_use]
    pub fn sources(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = addresses.into_iter().map(|address| address.to_canonical());
        let addresses = addresses.collect();
        self.with(|settings| settings.sources = Some(addresses))
    }

    /// Sets the number of your own proxies in front of the server. Each adds an address to
    /// `X-Forwarded-For`; [`sources`](Self::sources) then checks the address that the first of
    /// these proxies added. Default: 0. If the number is too high, the sender can forge the
    /// address.
    #[must_use]
    pub fn behind_proxies(self, proxies: usize) -> Self {
        self.with(|settings| settings.proxies = proxies)
    }

    /// Sets the maximum length of a body, in bytes. Default: 1 MiB. A longer body gets 413, and the
    /// rest of it is not read.
    ///
    /// A body with more than [`MAX_MEMBERS`](super::MAX_MEMBERS) members or
    /// [`MAX_VALUES`](super::MAX_VALUES) values gets 400. So parsing any body of 1 MiB takes less than
    /// 8 MiB of memory. Limit the number of concurrent requests in the server.
    #[must_use]
    pub fn body_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.limit = bytes)
    }

    /// Skips duplicate deliveries of events that the handler succeeded on. See [`Deduplicator`] for
    /// the exact guarantee.
    ///
    /// A duplicate of a handled event gets 200, and a duplicate of an event that is being handled gets
    /// 503. An event without a [key](Event::dedup_key) is handled each time.
    ///
    /// Has effect where the receiver calls the handler: [`handle`](Self::handle),
    /// [`process`](Self::process), the tower service and the axum router. Has no effect on
    /// [`receive`](Self::receive) and the axum extractor, which do not know the handler's result.
    #[must_use]
    pub fn deduplicate(self, store: impl Deduplicator) -> Self {
        let store: Arc<dyn DynDeduplicator> = Arc::new(store);
        self.with(|settings| settings.store = Some(store))
    }

    #[cfg(feature = "tower")]
    pub(super) fn limit(&self) -> usize {
        self.settings.limit
    }

    #[cfg(all(feature = "axum", not(target_family = "wasm")))]
    pub(super) fn has_secret_path(&self) -> bool {
        self.settings.auths.iter().any(Auth::is_path)
    }

    /// Checks the source, then the secret. Call this before reading the body.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with status 403 or 401.
    pub fn authenticate(&self, head: &RequestHead<'_>) -> Result<(), Refusal> {
        let settings = &*self.settings;
        if let Some(sources) = &settings.sources {
            match head.source(settings.proxies) {
                Some(address) if sources.contains(&address.to_canonical()) => {}
                Some(_) => return Err(Refusal::new(RefusalReason::Source)),
                None => return Err(Refusal::new(RefusalReason::NoSource)),
            }
        }
        let Some(first) = settings.auths.first() else {
            return Ok(());
        };
        // No short circuit: the time that the comparison takes must not reveal which secret is right.
        let accepted = settings
            .auths
            .iter()
            .fold(false, |accepted, auth| accepted | auth.accepts(head));
        if accepted {
            return Ok(());
        }
        let challenges = settings.auths.iter().filter_map(Auth::challenge);
        Err(Refusal::new(RefusalReason::Secret {
            missing: head.authorization_header().is_none() && first.challenge().is_some(),
            challenge: challenges.clone().next(),
        }))
    }

    /// Parses the event of an authenticated request.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with status 413 or 400.
    pub fn parse(&self, content_type: Option<&str>, body: &[u8]) -> Result<Event, Refusal> {
        parse_with_limit(content_type, body, self.settings.limit)
            .map_err(|error| Refusal::new(RefusalReason::Body(error)))
    }

    /// Calls [`authenticate`](Self::authenticate) and [`parse`](Self::parse).
    ///
    /// # Errors
    ///
    /// The errors of both.
    pub fn receive(&self, head: &RequestHead<'_>, body: &[u8]) -> Result<Event, Refusal> {
        self.authenticate(head)?;
        self.parse(head.content_type_header(), body)
    }

    /// Calls the handler with the event, unless it is a duplicate, and returns the status to answer
    /// with.
    ///
    /// If the future is dropped or the handler panics, the claim is released, so that the next delivery
    /// is handled.
    pub async fn process<F, R>(&self, event: Event, handler: impl FnOnce(Event) -> F) -> StatusCode
    where
        F: Future<Output = R>,
        R: IntoStatus,
    {
        let store = self.settings.store.as_ref();
        let Some((store, key)) = store.and_then(|store| Some((store, event.dedup_key()?))) else {
            let status = handler(event).await.into_status();
            log_failure(status, "handler");
            return status;
        };
        let held = match store.claim(&key).await {
            Ok(Claim::Claimed(token)) => HeldClaim::new(store.clone(), key, token),
            Ok(Claim::Done) => return StatusCode::OK,
            Ok(Claim::Busy) => return StatusCode::SERVICE_UNAVAILABLE,
            Err(_) => {
                log_failure(StatusCode::SERVICE_UNAVAILABLE, "deduplicator");
                return StatusCode::SERVICE_UNAVAILABLE;
            }
        };
        let status = handler(event).await.into_status();
        log_failure(status, "handler");
        held.settle(status.is_success()).await;
        status
    }

    /// Calls [`receive`](Self::receive) and [`process`](Self::process).
    pub async fn handle<F, R>(
        &self,
        head: &RequestHead<'_>,
        body: &[u8],
        handler: impl FnOnce(Event) -> F,
    ) -> Answer
    where
        F: Future<Output = R>,
        R: IntoStatus,
    {
        match self.receive(head, body) {
            Ok(event) => Answer::status_only(self.process(event, handler).await),
            Err(refusal) => refusal.into(),
        }
    }
}

/// Logs that the program's handler or deduplicator failed, without the error's text, which may quote the event.
fn log_failure(status: StatusCode, what: &str) {
    if !status.is_success() {
        tracing::warn!(
            target: "smtp2go_sdk",
            status = status.as_u16(),
            "the {what} of a webhook failed, so the service will post the event again"
        );
    }
}
