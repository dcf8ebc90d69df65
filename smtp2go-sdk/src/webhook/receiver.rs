//! From a request to a handled event, whatever the framework.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use smtp2go_types::webhook::{DEFAULT_LIMIT, Event, ParseError, parse_with_limit};

use super::auth::Auth;
use super::dedup::{Claim, Deduplicator, Held, Store};
use super::outcome::IntoStatus;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// Who may post events, how long they may be, and whether they are deduplicated.
///
/// Cheap to clone: clones share everything.
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
    settings: Arc<Settings>,
}

#[derive(Clone, Debug)]
struct Settings {
    /// One of these; anything if there is none.
    auths: Vec<Auth>,
    sources: Option<Vec<IpAddr>>,
    proxies: usize,
    limit: usize,
    store: Option<Arc<dyn Store>>,
}

impl Receiver {
    /// A receiver for requests with this secret.
    #[must_use]
    #[inline]
    pub fn new(auth: Auth) -> Self {
        Self::of(vec![auth])
    }

    /// A receiver for requests of anybody: whoever finds the address can post made-up events. For
    /// where something in front asks for the secret.
    #[must_use]
    #[inline]
    pub fn without_authentication() -> Self {
        Self::of(Vec::new())
    }

    #[inline]
    fn of(auths: Vec<Auth>) -> Self {
        Self {
            settings: Arc::new(Settings {
                auths,
                sources: None,
                proxies: 0,
                limit: DEFAULT_LIMIT,
                store: None,
            }),
        }
    }

    #[inline]
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Lets in requests with this secret too, so that a secret can be changed: the receiver takes
    /// both while the webhook changes from the old one to the new one.
    ///
    /// On a receiver [without authentication](Self::without_authentication), this secret is asked for
    /// from now on.
    #[must_use]
    #[inline]
    pub fn also_accept(self, auth: Auth) -> Self {
        self.with(|settings| settings.auths.push(auth))
    }

    /// Lets in requests from these addresses only, in addition to the secret. Anybody else gets 403,
    /// and so does everybody if the framework does not say where a request comes from (axum does
    /// with `into_make_service_with_connect_info::<SocketAddr>()`).
    ///
    /// The service posts from the addresses of `webhooks.smtp2go.com`. They may change, so look them
    /// up now and then; the receiver does not do that by itself.
    #[must_use]
    #[inline]
    pub fn sources(self, addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let addresses = addresses.into_iter().map(|address| address.to_canonical());
        let addresses = addresses.collect();
        self.with(|settings| settings.sources = Some(addresses))
    }

    /// How many proxies of your own a request passes, each of which adds to `X-Forwarded-For` where
    /// it had it from: [`sources`](Self::sources) then looks at the one that the first of them added.
    /// None by default; with too high a number the address is whatever the sender writes.
    #[must_use]
    #[inline]
    pub fn behind_proxies(self, proxies: usize) -> Self {
        self.with(|settings| settings.proxies = proxies)
    }

    /// Maximum length of a body, in bytes. Default: 1 MiB. A longer one gets 413, and is not read
    /// further.
    ///
    /// A body of more than [`MAX_MEMBERS`](super::MAX_MEMBERS) members or
    /// [`MAX_VALUES`](super::MAX_VALUES) values gets 400. So parsing a body of 1 MiB takes less than
    /// 8 MiB of memory, whatever is in it. How many requests are served at a time is for the server to
    /// limit.
    #[must_use]
    #[inline]
    pub fn body_limit(self, bytes: usize) -> Self {
        self.with(|settings| settings.limit = bytes)
    }

    /// Hands an event to the handler once, however often it is posted, as long as the handler
    /// succeeds. See [`Deduplicator`] for what exactly that means.
    ///
    /// A repetition of an event that was handled gets 200, one of an event that is being handled
    /// 503. An event without a [key](Event::dedup_key) is handled each time.
    ///
    /// It holds for all that gets a handler: [`handle`](Self::handle), [`process`](Self::process), the
    /// tower service and the axum router; not for [`receive`](Self::receive) and the axum extractor,
    /// which do not know how the handler fared.
    #[must_use]
    #[inline]
    pub fn deduplicate(self, store: impl Deduplicator) -> Self {
        let store: Arc<dyn Store> = Arc::new(store);
        self.with(|settings| settings.store = Some(store))
    }

    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn limit(&self) -> usize {
        self.settings.limit
    }

    #[cfg(feature = "axum")]
    #[inline]
    pub(super) fn has_secret_path(&self) -> bool {
        self.settings.auths.iter().any(Auth::is_path)
    }

    /// Whether the request may post: the source first, then the secret. Do this before reading the
    /// body.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with status 403 or 401.
    #[inline]
    pub fn authenticate(&self, head: &RequestHead<'_>) -> Result<(), Refusal> {
        let settings = &*self.settings;
        if let Some(sources) = &settings.sources {
            match head.source(settings.proxies) {
                Some(address) if sources.contains(&address.to_canonical()) => {}
                Some(_) => return Err(Refusal::new(Why::Source)),
                None => return Err(Refusal::new(Why::NoSource)),
            }
        }
        let Some(first) = settings.auths.first() else {
            return Ok(());
        };
        // Each is compared, whichever is right.
        let accepted = settings
            .auths
            .iter()
            .fold(false, |accepted, auth| accepted | auth.accepts(head));
        if accepted {
            return Ok(());
        }
        let challenges = settings.auths.iter().filter_map(Auth::challenge);
        Err(Refusal::new(Why::Secret {
            missing: head.authorization_header().is_none() && first.challenge().is_some(),
            challenge: challenges.clone().next(),
        }))
    }

    /// Reads the event of a request that may post.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] with status 413 or 400.
    #[inline]
    pub fn parse(&self, content_type: Option<&str>, body: &[u8]) -> Result<Event, Refusal> {
        parse_with_limit(content_type, body, self.settings.limit)
            .map_err(|error| Refusal::new(Why::Body(error)))
    }

    /// [`authenticate`](Self::authenticate) and [`parse`](Self::parse).
    ///
    /// # Errors
    ///
    /// Those of both.
    #[inline]
    pub fn receive(&self, head: &RequestHead<'_>, body: &[u8]) -> Result<Event, Refusal> {
        self.authenticate(head)?;
        self.parse(head.content_type, body)
    }

    /// Gives the event to the handler, unless it is a repetition; the status to answer with.
    ///
    /// If the future is dropped or the handler panics, the event is released, and handled when it
    /// comes again.
    #[inline]
    pub async fn process<F, R>(&self, event: Event, handler: impl FnOnce(Event) -> F) -> StatusCode
    where
        F: Future<Output = R>,
        R: IntoStatus,
    {
        let store = self.settings.store.as_ref();
        let Some((store, key)) = store.and_then(|store| Some((store, event.dedup_key()?))) else {
            return handler(event).await.into_status();
        };
        let held = match store.claim(&key).await {
            Ok(Claim::Claimed(token)) => Held::new(store.clone(), key, token),
            Ok(Claim::Done) => return StatusCode::OK,
            Ok(Claim::Busy) | Err(_) => return StatusCode::SERVICE_UNAVAILABLE,
        };
        let status = handler(event).await.into_status();
        held.settle(status.is_success()).await;
        status
    }

    /// All of it: [`receive`](Self::receive) and [`process`](Self::process).
    #[inline]
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

/// What a [`Receiver`] looks at of a request, besides its body.
#[derive(Clone, Copy, Default)]
pub struct RequestHead<'a> {
    target: &'a str,
    authorization: Option<&'a [u8]>,
    content_type: Option<&'a str>,
    forwarded_for: Option<&'a str>,
    peer: Option<IpAddr>,
}

impl<'a> RequestHead<'a> {
    /// A request to this path, with its query, as they came: `/webhook?token=…`.
    #[must_use]
    #[inline]
    pub fn new(path_and_query: &'a str) -> Self {
        Self {
            target: path_and_query,
            ..Self::default()
        }
    }

    /// What there is to know of a request in the types of the crate `http` 1, but for the peer.
    #[must_use]
    #[inline]
    pub fn from_http(uri: &'a http::Uri, headers: &'a HeaderMap) -> Self {
        let text = |value: &'a http::HeaderValue| value.to_str().ok();
        // Each proxy may have added a header rather than to the header: the last one counts, as the
        // last entry does.
        let forwarded_for = headers.get_all(FORWARDED_FOR).iter().next_back();
        Self {
            target: uri.path_and_query().map_or("", |target| target.as_str()),
            authorization: headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes),
            content_type: headers.get(CONTENT_TYPE).and_then(text),
            forwarded_for: forwarded_for.and_then(text),
            peer: None,
        }
    }

    /// The header `Authorization`.
    #[must_use]
    #[inline]
    pub fn authorization(mut self, value: impl Into<Option<&'a [u8]>>) -> Self {
        self.authorization = value.into();
        self
    }

    /// The header `Content-Type`.
    #[must_use]
    #[inline]
    pub fn content_type(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.content_type = value.into();
        self
    }

    /// The header `X-Forwarded-For`, the last one if there are several; for
    /// [`Receiver::behind_proxies`].
    #[must_use]
    #[inline]
    pub fn forwarded_for(mut self, value: impl Into<Option<&'a str>>) -> Self {
        self.forwarded_for = value.into();
        self
    }

    /// The address at the other end of the connection; for [`Receiver::sources`].
    #[must_use]
    #[inline]
    pub fn peer(mut self, address: impl Into<Option<IpAddr>>) -> Self {
        self.peer = address.into();
        self
    }

    #[inline]
    pub(super) fn target(&self) -> &'a str {
        self.target
    }

    #[inline]
    pub(super) fn authorization_header(&self) -> Option<&'a [u8]> {
        self.authorization
    }

    /// Where the request comes from, behind so many proxies: each has added an entry at the end.
    #[inline]
    fn source(&self, proxies: usize) -> Option<IpAddr> {
        let Some(before) = proxies.checked_sub(1) else {
            return self.peer;
        };
        let entry = self.forwarded_for?.rsplit(',').nth(before)?.trim();
        // Some proxies add the port, and then brackets around a v6 address.
        let entry = entry.trim_start_matches('[');
        let address = entry.parse().ok();
        address.or_else(|| match entry.split_once(']') {
            Some((address, _)) => address.parse().ok(),
            None => entry.rsplit_once(':')?.0.parse().ok(),
        })
    }
}

/// Shows neither the header `Authorization` nor the path and query, which can hold the secret. The
/// peer's IP address is shown: who looks into why a request was refused needs it.
impl fmt::Debug for RequestHead<'_> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("content_type", &self.content_type)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}

/// A request that was not let through to the handler.
///
/// Display is one line for a log. It shows neither secrets nor what the body holds.
#[derive(Clone, Debug)]
pub struct Refusal {
    why: Why,
}

#[derive(Clone, Debug)]
enum Why {
    Source,
    NoSource,
    Secret {
        missing: bool,
        challenge: Option<&'static str>,
    },
    #[cfg(feature = "tower")]
    Method,
    #[cfg(feature = "tower")]
    TooLarge(usize),
    #[cfg(feature = "tower")]
    Broken,
    Body(ParseError),
}

impl Refusal {
    #[inline]
    fn new(why: Why) -> Self {
        Self { why }
    }

    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn method() -> Self {
        Self::new(Why::Method)
    }

    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(Why::TooLarge(limit))
    }

    #[cfg(feature = "tower")]
    #[inline]
    pub(super) fn broken() -> Self {
        Self::new(Why::Broken)
    }

    /// The status to answer with: 401 for a wrong or missing secret, 403 for a wrong source, 413 for
    /// a body that is too long, 400 for one that is no event; from the tower service also 405.
    #[must_use]
    #[inline]
    pub fn status(&self) -> StatusCode {
        match &self.why {
            Why::Source | Why::NoSource => StatusCode::FORBIDDEN,
            Why::Secret { .. } => StatusCode::UNAUTHORIZED,
            #[cfg(feature = "tower")]
            Why::Method => StatusCode::METHOD_NOT_ALLOWED,
            #[cfg(feature = "tower")]
            Why::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            #[cfg(feature = "tower")]
            Why::Broken => StatusCode::BAD_REQUEST,
            Why::Body(ParseError::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
            Why::Body(_) => StatusCode::BAD_REQUEST,
        }
    }

    /// What is wrong with the body, if that is what is wrong.
    #[must_use]
    #[inline]
    pub fn parse_error(&self) -> Option<&ParseError> {
        match &self.why {
            Why::Body(error) => Some(error),
            _ => None,
        }
    }

    /// The header `WWW-Authenticate` for a 401, if a header is what is asked for.
    #[must_use]
    #[inline]
    pub fn challenge(&self) -> Option<&'static str> {
        match self.why {
            Why::Secret { challenge, .. } => challenge,
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Why::Source => f.write_str("the source address is not one of those that may post"),
            Why::NoSource => f.write_str(
                "the source address is not known, so nobody may post: the server has to pass on \
                 the address of the peer, or a proxy the header X-Forwarded-For",
            ),
            Why::Secret { missing: true, .. } => f.write_str("no Authorization header"),
            Why::Secret { .. } => f.write_str("the secret is wrong or missing"),
            #[cfg(feature = "tower")]
            Why::Method => f.write_str("events are posted"),
            #[cfg(feature = "tower")]
            Why::TooLarge(limit) => write!(f, "the body has more than {limit} bytes"),
            #[cfg(feature = "tower")]
            Why::Broken => f.write_str("the body broke off"),
            Why::Body(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {
    #[inline]
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // Display is the parser's error already.
        None
    }
}

/// What to answer the service.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    refusal: Option<Refusal>,
}

impl Answer {
    #[inline]
    pub(super) fn status_only(status: StatusCode) -> Self {
        Self {
            status,
            refusal: None,
        }
    }

    /// The status.
    #[must_use]
    #[inline]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Why the request did not get as far as the handler, if it did not.
    #[must_use]
    #[inline]
    pub fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}

impl From<Refusal> for Answer {
    #[inline]
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status(),
            refusal: Some(refusal),
        }
    }
}
