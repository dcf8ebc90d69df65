//! The client.

mod base_url;
pub(crate) mod builder;
pub(crate) mod idempotency;
pub(crate) mod key;
pub(crate) mod options;
pub(crate) mod pages;
pub(crate) mod subaccount;

pub use builder::ClientBuilder;
pub use idempotency::IDEMPOTENCY_HEADER;
pub use key::KeyLocation;
pub use options::CallOptions;
pub use pages::{Items, Pages};

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;
use std::time::Duration;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use smtp2go_types::{Envelope, Secret, Validate, readable};

use self::idempotency::IdempotencyHeader;
use self::key::{KEY_MEMBER, Key, SharedCredentials};
use self::subaccount::Subaccount;
use crate::body::Body;
use crate::call::cancel::CallCancel;
use crate::call::verdict::{Success, undecodable};
use crate::call::{Core, RawReply, Reply, Settings};
use crate::error::Error;
use crate::operation::Operation;

/// A client of the API, for one key.
///
/// Operations are methods of its groups: `client.template().view(…)`. Make one client and keep it:
/// clones are cheap and share connections, rate limits and failover state.
///
/// [`RetryPolicy`] describes which calls are retried. Each call ends by its
/// [deadline](ClientBuilder::deadline). Redirects are not followed. The proxy of the environment
/// (`HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), or the one of [`ClientBuilder::proxy`], is used for https only.
/// Proxies of the system's settings are
/// ignored, unless the build enables reqwest's feature `system-proxy`.
///
/// # Runtimes
///
/// Calls need a tokio runtime with time and I/O enabled. A client can be called from several
/// runtimes, one after another or at once. So a `static` client works in tests with
/// `#[tokio::test]`, each of which has its own runtime:
///
/// ```no_run
/// use std::sync::LazyLock;
/// use smtp2go_sdk::Client;
///
/// static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::from_env().expect("set SMTP2GO_API_KEY"));
/// ```
///
/// Each runtime has its own connections. A small task on each runtime closes them when the runtime
/// ends; it does not keep the runtime running. With your own
/// [`http_client`](ClientBuilder::http_client), all runtimes share its connections, with the limits
/// described there.
///
/// In Cloudflare Workers there is no tokio. Build a client for each request there, since Workers don't let
/// requests share connections or wake each other.
///
/// Under a paused clock (`tokio::time::pause`, `start_paused = true`) a call works if the server
/// runs in the same runtime, such as a sandbox from `Sandbox::start().await`. While a call waits for
/// a server elsewhere, tokio advances the clock to the call's timeout, so the call fails. Call
/// `tokio::time::resume()` before such calls, and `pause()` after them.
///
/// [`RetryPolicy`]: crate::RetryPolicy
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
    credentials: Arc<SharedCredentials>,
    /// The subaccount that every call names.
    subaccount: Option<Subaccount>,
    settings: Settings,
    idempotency_header: IdempotencyHeader,
}

impl Client {
    /// Returns a client with other settings. It shares everything else with this client, including
    /// connections and rate limits. Cheap enough for a single call.
    ///
    /// The settings apply to every call of the returned client: groups, [`call`](Self::call),
    /// [`execute`](Self::execute), and the raw client made from it.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use smtp2go_sdk::{CallOptions, Client, Email, RetryPolicy};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// // A user waits: one attempt, 3 seconds.
    /// let hurried = CallOptions::new().retry(RetryPolicy::none()).deadline(Duration::from_secs(3));
    /// let mail = Email::new("login@example.com", "Your code").to("jane@example.net").text("271828");
    /// client.with_options(hurried).send(mail).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self {
            settings: options.over(self.settings),
            ..self.clone()
        }
    }

    /// Returns a builder of a client for the key: text, or a [`Secret`] that a program has read from its
    /// configuration. [`ClientBuilder::build`](ClientBuilder::build) checks the key.
    ///
    /// ```
    /// use smtp2go_sdk::{Client, Region};
    ///
    /// let client = Client::builder("api-0123456789abcdef0123456789ABCDEF").region(Region::Eu).build()?;
    /// # Ok::<(), smtp2go_sdk::Error>(())
    /// ```
    pub fn builder(key: impl Into<Secret>) -> ClientBuilder {
        ClientBuilder::new(key.into())
    }

    /// Builds a client from the environment.
    ///
    /// - `SMTP2GO_API_KEY`: the key. Required.
    /// - `SMTP2GO_REGION`: `global` (the default), `us`, `eu` or `au`; or `api`, `us-api`,
    ///   `eu-api`, `au-api`.
    /// - `SMTP2GO_BASE_URL`: see [`ClientBuilder::base_url`]. Takes precedence over the region.
    /// - `SMTP2GO_ALLOW_HTTP`: hosts that may be called over plain http, separated by commas; see
    ///   [`ClientBuilder::allow_http`].
    ///
    /// An empty variable counts as not set.
    ///
    /// Not on wasm32, where a program has no environment: use [`from_lookup`](Self::from_lookup).
    ///
    /// ```no_run
    /// use smtp2go_sdk::Client;
    ///
    /// let client = Client::from_env()?;
    /// # Ok::<(), smtp2go_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`ClientBuilder::build`]. The error names the variable.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::<Self>::from_lookup(&|name| std::env::var(name))?.build()
    }

    /// Builds a client from variables that `lookup` returns by name. Names and values are those of
    /// [`from_env`](#method.from_env). Use it for settings that are not in the environment of the
    /// process, such as the variables and secrets of a Cloudflare Worker.
    ///
    /// ```
    /// use std::collections::HashMap;
    /// use smtp2go_sdk::Client;
    ///
    /// let settings = HashMap::from([
    ///     ("SMTP2GO_API_KEY", "api-0123456789abcdef0123456789ABCDEF"),
    ///     ("SMTP2GO_REGION", "eu"),
    /// ]);
    /// let client = Client::from_lookup(|name| settings.get(name).map(|value| (*value).to_owned()))?;
    /// # let _ = client;
    /// # Ok::<(), smtp2go_sdk::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`ClientBuilder::build`]. The error names the variable.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let lookup = |name: &str| lookup(name).ok_or(std::env::VarError::NotPresent);
        ClientBuilder::<Self>::from_lookup(&lookup)?.build()
    }

    /// Replaces the API key of this client and everything that shares it: its clones, and what
    /// [`with_options`](Self::with_options) and [`for_subaccount`](Self::for_subaccount) return. Use it
    /// to rotate a key while the program runs.
    ///
    /// Calls that start later use the new key. Calls under way, and their retries, still use the old
    /// key. So leave the old key enabled until their [`deadline`](ClientBuilder::deadline) has passed.
    /// Connections, rate limits and pauses are kept.
    ///
    /// ```no_run
    /// # fn example(client: &smtp2go_sdk::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// // When the secret store says that there is a new version, or at SIGHUP.
    /// let key = std::fs::read_to_string("/run/secrets/smtp2go-key")?;
    /// client.set_key(key.trim())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if the key is not `api-` and 32 letters or digits. The old key stays
    /// in use then.
    pub fn set_key(&self, key: impl Into<Secret>) -> Result<(), Error> {
        self.credentials.set(Key::new(key.into())?)
    }

    /// Returns a client for one subaccount, on the same connections. The key must be of the master
    /// account.
    ///
    /// Every call of the returned client names the subaccount in the request, including those of
    /// groups, streams, [`call`](Self::call), [`execute`](Self::execute) and the raw client. Whether
    /// the subaccount exists is not checked before the call. On a client that is for a subaccount, the
    /// method replaces the id.
    ///
    /// # Errors
    /// None here. A call is refused before anything is sent, with an error that
    /// [`is_config`](Error::is_config), if
    /// - the operation can't name a subaccount: its
    ///   [`subaccount`](crate::operation::Operation::subaccount) is `None`. All operations that send
    ///   are of this kind: they need a key of the subaccount;
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
    pub fn for_subaccount(&self, id: impl Into<String>) -> Self {
        Self {
            subaccount: Some(Subaccount::new(id.into())),
            ..self.clone()
        }
    }

    /// Returns the name of the header that carries a mail's
    /// [idempotency key](crate::Email::idempotency_key). Set by
    /// [`ClientBuilder::idempotency_header`].
    ///
    /// ```
    /// use smtp2go_sdk::Client;
    ///
    /// let client = Client::builder("api-0123456789abcdef0123456789ABCDEF").build()?;
    /// assert_eq!(client.idempotency_header(), "X-Idempotency-Key");
    /// # Ok::<(), smtp2go_sdk::Error>(())
    /// ```
    #[must_use]
    pub fn idempotency_header(&self) -> &str {
        self.idempotency_header.as_str()
    }

    /// Calls an operation with a typed request, as the groups' methods do.
    ///
    /// `R` is the type of the whole reply: the envelope with its data. `()` accepts any reply, even an
    /// empty one.
    ///
    /// ```no_run
    /// use smtp2go_sdk::Client;
    /// use smtp2go_sdk::operations::TEMPLATE_VIEW;
    /// use smtp2go_sdk::types::{TemplateResponse, TemplateViewRequest};
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let request = TemplateViewRequest::new("welcome");
    /// let reply = client.call::<_, TemplateResponse>(&TEMPLATE_VIEW, &request).await?;
    /// println!("{}", reply.subject.as_deref().unwrap_or("(no subject)"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// An error that [`is_validation`](Error::is_validation) if the request does not pass its check, one
    /// that [`is_decode`](Error::is_decode) if the reply is not an `R`, and those of
    /// [`execute`](Self::execute).
    pub async fn call<Q, R>(
        &self,
        operation: &'static Operation,
        request: &Q,
    ) -> Result<Reply<R::Data>, Error>
    where
        Q: Serialize + Validate + ?Sized,
        R: Envelope + DeserializeOwned,
    {
        // Encoded within the call, so that telemetry has the errors of the check too.
        self.perform::<R, _>(operation, || ready(encode(request)))
            .await
    }

    /// Calls an operation without a request. Otherwise like [`call`](Self::call).
    ///
    /// ```no_run
    /// use smtp2go_sdk::Client;
    /// use smtp2go_sdk::operations::STATS_EMAIL_CYCLE;
    /// use smtp2go_sdk::types::StatsEmailCycleResponse;
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let cycle = client.call_empty::<StatsEmailCycleResponse>(&STATS_EMAIL_CYCLE).await?;
    /// println!("{:?}", cycle.cycle_remaining);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`call`](Self::call), except for the check of the request.
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

    /// Runs a whole call: makes the body, sends it, and decodes the reply.
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

    /// Runs a whole call: makes the body, adds subaccount and key, sends it, and reads the result from
    /// the reply with `read`. `raw` returns the reply of a result, for the telemetry.
    pub(crate) fn perform_as<T, B>(
        &self,
        operation: &'static Operation,
        body: impl FnOnce() -> B,
        read: impl FnOnce(Success) -> Result<T, Error>,
        raw: fn(&T) -> &RawReply,
    ) -> impl Future<Output = Result<T, Error>>
    where
        B: Future<Output = Result<Body, Error>>,
    {
        self.perform_cancellable(None, operation, body, read, raw)
    }

    /// Like [`perform_as`](Self::perform_as), but `cancel` can cancel the call.
    pub(crate) fn perform_cancellable<T, B>(
        &self,
        cancel: Option<Arc<CallCancel>>,
        operation: &'static Operation,
        body: impl FnOnce() -> B,
        read: impl FnOnce(Success) -> Result<T, Error>,
        raw: fn(&T) -> &RawReply,
    ) -> impl Future<Output = Result<T, Error>>
    where
        B: Future<Output = Result<Body, Error>>,
    {
        let request = async move || {
            let credentials = self.credentials.current();
            let body = self.complete(operation, body().await?, &credentials.key)?;
            Ok((credentials.headers.clone(), body))
        };
        self.core
            .call(cancel, operation, &self.settings, request, read, raw)
    }

    /// Calls an operation with your own body, and returns the raw reply. Use it for what the types
    /// don't cover. The operation is one of [`operations`](crate::operations), or
    /// [your own](Operation::post) for what the API has added since this version.
    ///
    /// Only the size of the body is checked. The key and the subaccount are added.
    ///
    /// ```no_run
    /// use smtp2go_sdk::operation::{Kind, Operation};
    /// use smtp2go_sdk::{Body, Client};
    ///
    /// static READS: Operation = Operation::post("/stats/email_reads").kind(Kind::Read).repeat_safe(true);
    ///
    /// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
    /// let reply = client.execute(&READS, Body::from(r#"{"days":7}"#)).await?;
    /// println!("{}", reply.json::<serde_json::Value>()?["data"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If no reply arrives, if its status is not 2xx, or if its body reports an error or a failure.
    /// [`Error::certainty`] says whether the call may have been processed.
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

    /// The time limit of a call, without the time for its body.
    pub(crate) fn deadline(&self) -> Duration {
        self.settings.deadline
    }

    /// Whether suppressed recipients are left out of mail.
    pub(crate) fn skips_suppressed(&self) -> bool {
        self.settings.skip_suppressed
    }

    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Returns a client for a batch whose results are judged one by one.
    pub(crate) fn per_item(&self) -> Self {
        let mut client = self.clone();
        client.settings.per_item = true;
        client
    }

    /// Adds the subaccount, and the key if it goes into the body.
    fn complete(&self, operation: &Operation, body: Body, key: &Key) -> Result<Body, Error> {
        let body = match &self.subaccount {
            Some(subaccount) => subaccount.fill(operation, body)?,
            None => body,
        };
        let in_body = self.credentials.location == KeyLocation::Body;
        match operation.key_in_body.or(in_body.then_some(KEY_MEMBER)) {
            Some(member) => key.put_into(body, member),
            None => Ok(body),
        }
    }
}

/// Shows the base URL and the subaccount, and no key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("base_url", &self.core.base_url())
            .field("key", &self.credentials.current().key)
            .field("subaccount", &self.subaccount)
            .finish_non_exhaustive()
    }
}

/// Returns the body of a typed request, if the request passes its check.
pub(crate) fn encode<Q: Serialize + Validate + ?Sized>(request: &Q) -> Result<Body, Error> {
    request.validate().map_err(Error::validation)?;
    Body::json(request)
}

/// Decodes the reply of an operation.
pub(crate) fn decoded<R>(
    operation: &'static Operation,
    reply: RawReply,
) -> Result<Reply<R::Data>, Error>
where
    R: Envelope + DeserializeOwned,
{
    match decode::<R>(reply.body()) {
        Ok(decoded) => Ok(Reply::new(decoded.into_parts().1, reply)),
        Err(error) => Err(undecodable(Some(operation), reply, &error)),
    }
}

/// Decodes a body, repaired if it is not valid JSON.
fn decode<R: Envelope + DeserializeOwned>(body: &[u8]) -> Result<R, serde_json::Error> {
    let repaired = || serde_json::from_str(&readable(body));
    match std::str::from_utf8(body) {
        // Faster than from bytes, where serde checks each string for UTF-8.
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
    fn body_without_an_envelope_is_an_error() {
        for body in ["[]", r#"["rid"]"#, "", "null", "true", r#""{}""#] {
            assert!(
                decode::<EmailSendResponse>(body.as_bytes()).is_err(),
                "{body}"
            );
        }
        // The one reply that is documented as a list without an envelope.
        let body = br#"[{"schedule_id":"a"},{"schedule_id":"b"}]"#;
        let (_, mails) = decode::<EmailScheduledSearchResponse>(body)
            .unwrap()
            .into_parts();
        let ids: Vec<_> = mails
            .iter()
            .map(|mail| mail.schedule_id.as_deref())
            .collect();
        assert_eq!(ids, [Some("a"), Some("b")]);
        // One of the two replies whose shape is unknown.
        for body in ["", "ok", "null", "[]", r#"{"request_id":"r"}"#] {
            assert!(
                decode::<SingleSenderEmailsAddResponse>(body.as_bytes()).is_ok(),
                "{body}"
            );
        }
    }

    #[test]
    fn irregular_reply_is_decoded() {
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
    fn unit_type_accepts_any_reply() {
        for body in ["", "null", "{}", "[1]", "<html>", "{\"a"] {
            decode::<()>(body.as_bytes()).unwrap();
        }
    }
}
