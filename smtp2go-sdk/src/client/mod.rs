//! The client, and the core that every call goes through.

pub(crate) mod builder;
pub(crate) mod key;
pub(crate) mod options;
pub(crate) mod pages;
pub(crate) mod subaccount;
mod tls;

pub use builder::ClientBuilder;
pub use key::KeyLocation;
pub use options::CallOptions;
pub use pages::{Items, Pages};

use std::fmt;
use std::future::{Future, ready};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use reqwest::Url;
use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use smtp2go_types::{Envelope, Validate, readable};
use tokio::time::sleep_until;
use tracing::Span;

use crate::body::content::Piece;
use crate::call::Traffic;

use crate::call::attempt::{AttemptBody, SealOnDrop, Wire};
use crate::call::failover::Host;
use crate::call::telemetry::Watch;
use crate::call::verdict::{Answer, Ending, Limit, Outcome, Success, unreadable};
use crate::client::key::{KEY_MEMBER, Key};
use crate::client::options::Settings;
use crate::client::subaccount::Subaccount;
use crate::error::Kind;
use crate::operation::Operation;
use crate::{Body, Error, Observer, RawReply, Reply};

/// Upload speed that an attempt is given time for, in bytes a second.
const SLOWEST: u64 = 64 * 1024;
/// Bytes set aside at most for a reply that has not arrived: its size is but what the server says.
const ROOM: usize = 64 * 1024;

/// A client of the API, for one key.
///
/// Operations are methods of its groups, `client.template().view(…)`. Cheap to clone: clones
/// share their connections, their pacing and what they know of the servers, and it is best to make
/// one client and keep it.
///
/// Calls need a tokio runtime with time and I/O enabled. They are retried as [`RetryPolicy`] says,
/// and end by their [deadline](ClientBuilder::deadline); redirects are not followed. The proxy
/// that the environment names (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`) is used, except to this
/// machine; proxies set in the system's own settings are not, unless something else in the build
/// switches on reqwest's feature `system-proxy`.
///
/// [`RetryPolicy`]: crate::RetryPolicy
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
    /// The subaccount that every call is for.
    subaccount: Option<Subaccount>,
    settings: Settings,
}

/// What the clones of a client share.
pub(crate) struct Core {
    pub(crate) http: reqwest::Client,
    /// Without a slash at the end of its path, unless the path is that slash.
    pub(crate) base_url: Url,
    pub(crate) key: Key,
    pub(crate) key_location: KeyLocation,
    /// The same for every request: see [`Core::headers`].
    pub(crate) headers: HeaderMap,
    pub(crate) traffic: Traffic,
    /// Limits of a reply's body.
    pub(crate) max_reply_bytes: u64,
    pub(crate) max_reply_values: usize,
    pub(crate) observer: Option<Arc<dyn Observer>>,
}

/// A request, ready to be tried.
pub(crate) struct Prepared {
    pub(crate) operation: &'static Operation,
    /// The body, in pieces.
    pieces: Arc<[Piece]>,
    /// Whether the body can be sent again.
    pub(crate) replayable: bool,
    /// How long the body may take to go out: what the time limits grow by.
    pub(crate) upload: Duration,
}

impl Client {
    pub(crate) fn new(core: Core, settings: Settings) -> Self {
        Self {
            core: Arc::new(core),
            subaccount: None,
            settings,
        }
    }

    /// The same client with other settings for some calls: everything else, connections and pacing
    /// included, is shared. Cheap: make one for a single call if need be.
    ///
    /// Holds for whatever is called through it: groups, [`call`](Self::call),
    /// [`execute`](Self::execute), and the raw client made from it.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self {
            core: self.core.clone(),
            subaccount: self.subaccount.clone(),
            settings: self.settings.with(options),
        }
    }

    /// Sets up a client for the key, which is checked by
    /// [`ClientBuilder::build`](ClientBuilder::build).
    pub fn builder(key: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(key.into())
    }

    /// A client set up from the environment.
    ///
    /// - `SMTP2GO_API_KEY`: the key. Required.
    /// - `SMTP2GO_REGION`: `global` (the default), `us`, `eu` or `au`; or `api`, `us-api`,
    ///   `eu-api`, `au-api`.
    /// - `SMTP2GO_BASE_URL`: see [`ClientBuilder::base_url`]; wins over the region.
    ///
    /// An empty variable counts as not set.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`]; the error names the variable.
    #[inline]
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::<Self>::from_lookup(&|name| std::env::var(name))?.build()
    }

    /// The same client, on the same connections, for one subaccount of the key's account, which
    /// must be the master account.
    ///
    /// Every call of it names the subaccount in the request, at every door: groups, streams,
    /// [`call`](Self::call), [`execute`](Self::execute) and the raw client. That the subaccount
    /// exists is for the API to say. Called again on what it returned, it replaces the id.
    ///
    /// # Errors
    /// There are none here, but a call is refused before anything is sent, with an error that
    /// [`is_config`](Error::is_config), if
    /// - the operation can't be called for a subaccount, which
    ///   [`Operation::subaccount`](crate::operation::Operation::subaccount) tells; the operations
    ///   that send are among those, and need a key of the subaccount;
    /// - the request names another subaccount;
    /// - the id is empty.
    ///
    /// ```no_run
    /// # async fn example(client: smtp2go_sdk::Client) -> Result<(), smtp2go_sdk::Error> {
    /// let theirs = client.for_subaccount("123456");
    /// let domains = theirs.domain().view(Default::default()).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    #[inline]
    pub fn for_subaccount(&self, id: impl Into<String>) -> Self {
        Self {
            subaccount: Some(Subaccount::new(id.into())),
            ..self.clone()
        }
    }

    /// Calls an operation with a typed request: what the groups' methods do.
    ///
    /// `R` is the type of the whole reply, around its data. `()` takes any reply, an empty one
    /// too.
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation) if the request does not pass its own check,
    /// [`is_decode`](Error::is_decode) if the reply is not an `R`, and all of
    /// [`execute`](Self::execute)'s.
    pub async fn call<Q, R>(
        &self,
        operation: &'static Operation,
        request: &Q,
    ) -> Result<Reply<R::Data>, Error>
    where
        Q: Serialize + Validate + ?Sized,
        R: Envelope + DeserializeOwned,
    {
        // Within the call, so that what is wrong with the request is seen from outside too.
        self.perform::<R, _>(operation, || ready(encode(request)))
            .await
    }

    /// Calls an operation that takes no arguments, as [`call`](Self::call) does.
    ///
    /// # Errors
    /// Those of [`call`](Self::call), but for the check of the request.
    pub async fn call_empty<R>(
        &self,
        operation: &'static Operation,
    ) -> Result<Reply<R::Data>, Error>
    where
        R: Envelope + DeserializeOwned,
    {
        self.perform::<R, _>(operation, || ready(Ok(Body::empty())))
            .await
    }

    /// A whole call: makes the body, executes, and decodes the reply.
    pub(crate) fn perform<R, B>(
        &self,
        operation: &'static Operation,
        body: impl FnOnce() -> B,
    ) -> impl Future<Output = Result<Reply<R::Data>, Error>>
    where
        R: Envelope + DeserializeOwned,
        B: Future<Output = Result<Body, Error>>,
    {
        let decode = move |success: Success| decoded::<R>(operation, success.reply);
        self.perform_as(operation, body, decode, Reply::raw)
    }

    /// A whole call, under its span: makes the body, executes, and makes of the reply what is
    /// wanted.
    ///
    /// The futures in it are large. Each is made where it is awaited, since to move one is to copy
    /// it, which was most of what many calls at a time cost here.
    pub(crate) async fn perform_as<T, B>(
        &self,
        operation: &'static Operation,
        body: impl FnOnce() -> B,
        read: impl FnOnce(Success) -> Result<T, Error>,
        raw: fn(&T) -> &RawReply,
    ) -> Result<T, Error>
    where
        B: Future<Output = Result<Body, Error>>,
    {
        let mut watch = Watch::new(operation, self.core.observer.clone());
        let span = watch.span();
        let call = pin!(Some(async {
            let body = body().await;
            let result = match body.and_then(|body| self.prepare(operation, body)) {
                Ok(request) => self.core.run(&request, &self.settings, &mut watch).await,
                Err(error) => Err(error.during(operation, 0)),
            };
            let result = result.and_then(read);
            watch.ended(result.as_ref().map(raw));
            result
        }));
        InSpan { span: &span, call }.await
    }

    /// Calls an operation with a body of your own, and hands back the reply as it came: for what
    /// the types don't cover. The operation is one of [`operations`](crate::operations), or
    /// [your own](Operation::post) for what the API has added since this version.
    ///
    /// The body is sent as it is, unchecked but for its size; the key is added.
    ///
    /// # Errors
    /// Any answer but a success; a success that reports an error or a failure in its body; no
    /// answer at all. [`Error::certainty`] says whether the call may have had its effect.
    pub async fn execute(
        &self,
        operation: &'static Operation,
        body: Body,
    ) -> Result<RawReply, Error> {
        self.perform_as(
            operation,
            || ready(Ok(body)),
            |success| Ok(success.reply),
            |reply| reply,
        )
        .await
    }

    /// Builds a request, with the client's subaccount named in it.
    fn prepare(&self, operation: &'static Operation, body: Body) -> Result<Prepared, Error> {
        let body = match &self.subaccount {
            Some(subaccount) => subaccount.fill(operation, body)?,
            None => body,
        };
        self.core.prepare(operation, body)
    }

    /// The raw client, ready to use: see [`raw`](crate::raw).
    #[cfg(feature = "raw")]
    #[must_use]
    pub fn raw(&self) -> crate::raw::Client {
        let base_url = self.core.base_url.as_str();
        crate::raw::Client::new_with_client(base_url, self.core.http.clone(), self.clone())
    }
}

/// Runs a call, and drops it if it is cancelled, in its span: as `Instrument` does, but in place.
struct InSpan<'a, F> {
    span: &'a Span,
    /// `None` once it has ended.
    call: Pin<&'a mut Option<F>>,
}

impl<F: Future> Future for InSpan<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { span, call } = &mut *self;
        span.in_scope(|| {
            let Some(running) = call.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            let polled = running.poll(cx);
            if polled.is_ready() {
                call.set(None);
            }
            polled
        })
    }
}

impl<F> Drop for InSpan<'_, F> {
    fn drop(&mut self) {
        if self.call.is_some() {
            self.span.in_scope(|| self.call.set(None));
        }
    }
}

/// Shows the base URL and the subaccount, and no key.
impl fmt::Debug for Client {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.core.base_url.as_str())
            .field("key", &self.core.key)
            .field("subaccount", &self.subaccount)
            .finish_non_exhaustive()
    }
}

impl Core {
    /// The headers of every request, with the key if a header carries it, and with the user agent
    /// unless that of an HTTP client of the user's counts.
    pub(crate) fn headers(
        key: &Key,
        location: KeyLocation,
        user_agent: Option<HeaderValue>,
    ) -> Result<HeaderMap, Error> {
        let json = HeaderValue::from_static("application/json");
        // Clones have the same room: enough for what the HTTP layer adds.
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(ACCEPT, json.clone());
        headers.insert(CONTENT_TYPE, json);
        if let Some(agent) = user_agent {
            headers.insert(USER_AGENT, agent);
        }
        if let Some((name, value)) = key.header(location)? {
            headers.insert(name, value);
        }
        Ok(headers)
    }

    /// Builds a request: all that can fail before anything is sent.
    fn prepare(&self, operation: &'static Operation, body: Body) -> Result<Prepared, Error> {
        if tokio::runtime::Handle::try_current().is_err() {
            return Err(Error::config("called outside of a tokio runtime"));
        }
        operation.check()?;

        let replayable = body.replayable();
        let mut pieces = body.into_pieces();
        let member = operation
            .key_in_body
            .or_else(|| (self.key_location == KeyLocation::Body).then_some(KEY_MEMBER));
        if let Some(member) = member {
            pieces = self.with_key(&pieces, member).ok_or_else(|| {
                Error::config("the body is not a JSON object, so the key can't be put into it")
            })?;
        }
        let size: u64 = pieces.iter().map(Piece::size).sum();
        match operation.max_body_bytes {
            Some(limit) if size > limit => {
                return Err(Error::not_sent(Kind::TooLarge { size, limit }));
            }
            _ => {}
        }
        let upload = Duration::from_millis(size.saturating_mul(1000) / SLOWEST);
        Ok(Prepared {
            operation,
            pieces,
            replayable,
            upload,
        })
    }

    /// The pieces of a body, with the key in it.
    fn with_key(&self, pieces: &[Piece], member: &str) -> Option<Arc<[Piece]>> {
        let (Piece::Bytes(start), rest) = pieces.split_first()? else {
            return None;
        };
        let mut injected = self.key.inject(start, member)?.map(Piece::Bytes).to_vec();
        injected.extend_from_slice(rest);
        Some(injected.into())
    }

    /// Tries a request once, for no longer than `limit`, and `idle` without progress. Decides
    /// nothing: see [`judge`](crate::call::verdict::judge).
    pub(crate) async fn attempt(
        &self,
        request: &Prepared,
        host: &Host,
        wire: Arc<Wire>,
        limit: Duration,
        idle: Duration,
    ) -> Outcome {
        let _sealed_if_cancelled = SealOnDrop(&wire);
        let mut answer = None;
        let exchanged = {
            let sent = self.http.execute(self.request(request, host, &wire));
            let exchange = pin!(async {
                let mut response = sent.await?;
                wire.received();
                let size = response.content_length();
                let room = usize::try_from(size.unwrap_or_default()).unwrap_or(usize::MAX);
                let answer = answer.insert(Answer {
                    status: response.status(),
                    // Ours follows none; one that was handed in may.
                    followed: !is_at(response.url(), &host.base_url, request.operation.path),
                    headers: std::mem::take(response.headers_mut()),
                    body: Vec::with_capacity(room.min(ROOM)),
                });
                // An answer that is no success is read as far as allowed: its beginning says why.
                let most = self.max_reply_bytes;
                if size.is_some_and(|size| size > most) && answer.status.is_success() {
                    return Ok(false);
                }
                // Kept, also when the rest does not arrive.
                while let Some(chunk) = response.chunk().await? {
                    wire.received();
                    if !answer.take(&chunk, most) {
                        return Ok(false);
                    }
                }
                Ok(true)
            });
            let timer = pin!(sleep_until(wire.due(limit, idle)));
            wire.within(limit, idle, timer, exchange).await
        };
        let ending = match exchanged {
            Some(Ok(true)) => Ending::Complete,
            Some(Ok(false)) => Ending::OverLimit {
                limit: Limit::Bytes(self.max_reply_bytes),
            },
            Some(Err(error)) => Ending::Broken(Some(error)),
            None => Ending::Broken(None),
        };
        let ending = match wire.failure() {
            Some(failure) if answer.is_none() => Ending::Unreadable(failure.clone()),
            _ => ending,
        };
        Outcome {
            answer,
            unsent: wire.seal(),
            ending,
        }
        .with_values_limited(self.max_reply_values)
    }

    /// A request for the HTTP client.
    fn request(&self, request: &Prepared, host: &Host, wire: &Arc<Wire>) -> reqwest::Request {
        let Operation { method, path, .. } = request.operation;
        let body = AttemptBody::new(wire.clone(), request.pieces.clone());
        let mut sent = reqwest::Request::new(method.clone(), host.url(path));
        *sent.headers_mut() = self.headers.clone();
        *sent.body_mut() = Some(reqwest::Body::wrap(body));
        sent
    }
}

/// Whether a URL is that of a path of the API at a base URL.
fn is_at(url: &Url, base: &Url, path: &str) -> bool {
    let base = base.as_str();
    let base = base.strip_suffix('/').unwrap_or(base);
    url.as_str().strip_prefix(base) == Some(path)
}

/// The body of a typed request, if that passes its check.
pub(crate) fn encode<Q: Serialize + Validate + ?Sized>(request: &Q) -> Result<Body, Error> {
    request.validate().map_err(Error::validation)?;
    Body::json(request)
}

/// The data of an operation's reply.
pub(crate) fn decoded<R>(
    operation: &'static Operation,
    reply: RawReply,
) -> Result<Reply<R::Data>, Error>
where
    R: Envelope + DeserializeOwned,
{
    match decode::<R>(reply.body()) {
        Ok(decoded) => Ok(Reply::new(decoded.into_parts().1, reply)),
        Err(error) => {
            let attempts = reply.attempts();
            Err(unreadable(reply, &error).during(operation, attempts))
        }
    }
}

/// Reads a reply, made readable if it is not.
fn decode<R: Envelope + DeserializeOwned>(body: &[u8]) -> Result<R, serde_json::Error> {
    let repaired = || serde_json::from_str(&readable(body));
    match std::str::from_utf8(body) {
        // Quicker than from bytes, each string of which would be looked at for this.
        Ok(text) => serde_json::from_str(text).or_else(|error| repaired().map_err(|_| error)),
        Err(_) => repaired(),
    }
    .or_else(|error| R::unknown().ok_or(error))
}

#[cfg(test)]
mod tests {
    use smtp2go_types::{
        EmailScheduledSearchResponse, EmailSendResponse, SingleSenderEmailsAddResponse,
    };

    use super::*;
    use crate::log_watch::watched;

    const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

    #[test]
    fn paths_are_appended_to_the_base() {
        for (base, expected) in [
            ("http://localhost:1", "http://localhost:1/template/view"),
            ("http://localhost:1/", "http://localhost:1/template/view"),
            (
                "http://localhost:1/v3",
                "http://localhost:1/v3/template/view",
            ),
            (
                "http://localhost:1/v3/",
                "http://localhost:1/v3/template/view",
            ),
            (
                "http://localhost:1/v3//",
                "http://localhost:1/v3/template/view",
            ),
            ("http://[::1]/a/b", "http://[::1]/a/b/template/view"),
            (
                " http://LOCALHOST:80/v3\n",
                "http://localhost/v3/template/view",
            ),
        ] {
            let client = Client::builder(watched(KEY))
                .base_url(base)
                .build()
                .unwrap();
            let route = client.core.traffic.hosts.route();
            let (base, host) = (&client.core.base_url, route.host());
            // Kept from the first time on, each under its own path.
            for _ in 0..2 {
                let url = host.url("/template/view");
                assert_eq!(url.as_str(), expected);
                let other = expected.replace("view", "add");
                assert_eq!(host.url("/template/add").as_str(), other);
                assert!(is_at(&url, base, "/template/view"), "{base}");
            }
            for elsewhere in ["?a", "/", "/x"] {
                let url = Url::parse(&format!("{expected}{elsewhere}")).unwrap();
                assert!(!is_at(&url, base, "/template/view"), "{url}");
            }
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let client = Client::builder(watched(KEY))
            .base_url("http://localhost/v3")
            .build()
            .unwrap();
        let shown = format!("{client:?}");
        assert!(
            shown.contains("http://localhost/v3") && !shown.contains("0123"),
            "{shown}"
        );
    }

    #[test]
    fn clients_and_calls_are_send() {
        fn assert_send<T: Send>(_: &T) {}
        fn assert_send_sync<T: Send + Sync>() {}
        assert_send_sync::<Client>();
        assert_send_sync::<ClientBuilder>();
        assert_send_sync::<Error>();
        assert_send_sync::<Body>();
        assert_send_sync::<Reply<String>>();
        let client = Client::builder(watched(KEY))
            .base_url("http://localhost")
            .build()
            .unwrap();
        assert_send(&client.execute(&crate::call::verdict::tests::LOOKUP, Body::empty()));
    }

    #[test]
    fn only_what_is_a_reply_is_taken_for_one() {
        for body in ["[]", r#"["rid"]"#, "", "null", "true", r#""{}""#] {
            assert!(
                decode::<EmailSendResponse>(body.as_bytes()).is_err(),
                "{body}"
            );
        }
        // The one reply whose list is documented without what should be around it.
        let body = br#"[{"schedule_id":"a"},{"schedule_id":"b"}]"#;
        let (_, mails) = decode::<EmailScheduledSearchResponse>(body)
            .unwrap()
            .into_parts();
        let ids: Vec<_> = mails
            .iter()
            .map(|mail| mail.schedule_id.as_deref())
            .collect();
        assert_eq!(ids, [Some("a"), Some("b")]);
        // One of the two of which nobody knows what they look like.
        for body in ["", "ok", "null", "[]", r#"{"request_id":"r"}"#] {
            assert!(
                decode::<SingleSenderEmailsAddResponse>(body.as_bytes()).is_ok(),
                "{body}"
            );
        }
    }

    #[test]
    fn replies_are_decoded_leniently() {
        for (body, id) in [
            (&br#"{"request_id":"a"}"#[..], "a"),
            (br#"{"request_id":"a","more":1}"#, "a"),
            (br#"{"request_id":"a","request_id":"b"}"#, "b"),
            (br#"{"request_id":"caf\udc80"}"#, "caf\u{fffd}"),
            (b"\xEF\xBB\xBF{\"request_id\":\"a\"}", "a"),
            (b"{\"request_id\":\"caf\xe9\"}", "caf\u{fffd}"),
        ] {
            let (found, _) = decode::<EmailSendResponse>(body).unwrap().into_parts();
            assert_eq!(found.as_deref(), Some(id));
        }
        for body in ["", "null", "<html>", r#"{"request_id":"a""#] {
            assert!(
                decode::<EmailSendResponse>(body.as_bytes()).is_err(),
                "{body}"
            );
        }
    }

    #[test]
    fn no_reply_type_takes_anything() {
        for body in ["", "null", "{}", "[1]", "<html>", "{\"a"] {
            decode::<()>(body.as_bytes()).unwrap();
        }
    }
}
