//! The settings of a client.

use std::env::VarError;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use smtp2go_types::Secret;

use super::Client;
use super::idempotency::IdempotencyHeader;
use super::key::{Key, SharedCredentials};
use crate::call::failover::Hosts;
use crate::call::http::HttpClients;
use crate::call::{Core, CoreParts, LONGEST, Settings};
use crate::client::base_url::{HttpHosts, parse_base_url};
use crate::{Error, KeyLocation, Observer, Region, RetryPolicy};

/// Environment variable with the API key.
const ENV_KEY: &str = "SMTP2GO_API_KEY";
/// Environment variable with the region.
const ENV_REGION: &str = "SMTP2GO_REGION";
/// Environment variable with the base URL.
const ENV_BASE_URL: &str = "SMTP2GO_BASE_URL";
/// Environment variable with the hosts that may be called over plain http.
const ENV_ALLOW_HTTP: &str = "SMTP2GO_ALLOW_HTTP";

/// The SDK's part of the `User-Agent` header.
const PRODUCT: &str = concat!("smtp2go-sdk/", env!("CARGO_PKG_VERSION"));

#[cfg(not(target_family = "wasm"))]
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(120);
const RETRY_BUDGET: u32 = 50;
const MAX_REPLY_BYTES: u64 = 32 * 1024 * 1024;
const MAX_REPLY_VALUES: usize = 1_000_000;

/// Builder of a [`Client`], from [`Client::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use smtp2go_sdk::{Client, Region};
///
/// let client = Client::builder("api-0123456789abcdef0123456789ABCDEF")
///     .region(Region::Eu)
///     .user_agent("acme-shop/2.1")
///     .timeout(Duration::from_secs(60))
///     .build()?;
/// # Ok::<(), smtp2go_sdk::Error>(())
/// ```
///
/// `C` is the type that `build` returns: [`Client`], or with the feature `blocking`
/// `smtp2go_sdk::blocking::Client`.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder<C = Client> {
    key: Secret,
    region: Region,
    base_url: Option<String>,
    allow_http: Vec<String>,
    key_location: KeyLocation,
    user_agent: Option<String>,
    #[cfg(not(target_family = "wasm"))]
    connect_timeout: Duration,
    timeout: Duration,
    deadline: Duration,
    retry: RetryPolicy,
    retry_budget: u32,
    jitter_seed: Option<u64>,
    rate_limits: bool,
    failures_are_errors: bool,
    skip_suppressed: bool,
    max_reply_bytes: u64,
    max_reply_values: usize,
    failover: Vec<String>,
    idempotency_header: Option<String>,
    builds: PhantomData<fn() -> C>,
    #[cfg(not(target_family = "wasm"))]
    proxy: Option<String>,
    #[cfg(not(target_family = "wasm"))]
    http_client: Option<reqwest::Client>,
    observer: Option<Arc<dyn Observer>>,
}

impl<C> ClientBuilder<C> {
    pub(crate) fn new(key: Secret) -> Self {
        Self {
            key,
            region: Region::default(),
            base_url: None,
            allow_http: Vec::new(),
            key_location: KeyLocation::default(),
            user_agent: None,
            #[cfg(not(target_family = "wasm"))]
            connect_timeout: CONNECT_TIMEOUT,
            timeout: TIMEOUT,
            deadline: DEADLINE,
            retry: RetryPolicy::new(),
            retry_budget: RETRY_BUDGET,
            jitter_seed: None,
            rate_limits: true,
            failures_are_errors: true,
            skip_suppressed: false,
            max_reply_bytes: MAX_REPLY_BYTES,
            max_reply_values: MAX_REPLY_VALUES,
            failover: Vec::new(),
            idempotency_header: None,
            builds: PhantomData,
            #[cfg(not(target_family = "wasm"))]
            proxy: None,
            #[cfg(not(target_family = "wasm"))]
            http_client: None,
            observer: None,
        }
    }

    /// Reads the environment through `lookup`, which returns the value of a variable.
    pub(crate) fn from_lookup(
        lookup: &dyn Fn(&str) -> Result<String, VarError>,
    ) -> Result<Self, Error> {
        // Many tools set a variable to the empty string to unset it.
        let variable = |name: &str| match lookup(name) {
            Ok(text) => Ok((!text.is_empty()).then_some(text)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(Error::config("not valid Unicode").about(name)),
        };
        let key = variable(ENV_KEY)?.ok_or_else(|| Error::config("not set").about(ENV_KEY))?;
        let key = Secret::from(key);
        // `build` checks everything again. Here the errors can name the variable.
        Key::new(key.clone()).map_err(|error| error.about(ENV_KEY))?;
        let mut builder = Self::new(key);
        if let Some(region) = variable(ENV_REGION)? {
            builder.region = region
                .parse()
                .map_err(|error: Error| error.about(ENV_REGION))?;
        }
        if let Some(hosts) = variable(ENV_ALLOW_HTTP)? {
            builder.allow_http = hosts.split(',').map(str::to_owned).collect();
        }
        let http_hosts = builder
            .http_hosts()
            .map_err(|error| error.about(ENV_ALLOW_HTTP))?;
        if let Some(url) = variable(ENV_BASE_URL)? {
            parse_base_url(&url, &http_hosts).map_err(|error| error.about(ENV_BASE_URL))?;
            builder.base_url = Some(url);
        }
        Ok(builder)
    }

    /// Sets the region whose servers are called. Default: [`Region::Global`].
    pub fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// Sets the base URL, such as `https://api.smtp2go.com/v3`, for tests and gateways. The paths of
    /// the operations are appended to it, with or without a slash at its end. Takes precedence over
    /// [`region`](Self::region).
    ///
    /// The URL must be https, or http to this machine (`localhost`, 127.0.0.0/8, `::1`) or to a host
    /// named by [`allow_http`](Self::allow_http). It must have no user name, query or fragment. On
    /// smtp2go.com and its subdomains it must end in `/v3`.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// Allows plain http to this host, in [`base_url`](Self::base_url) and
    /// [`failover_urls`](Self::failover_urls). The key and all mail are sent unencrypted: for hosts
    /// of a trusted network only, such as a sandbox in a container beside yours. Call it once for
    /// each host. Default: none. Plain http to this machine needs no permission.
    ///
    /// The host is given alone, without scheme and port. It must equal the URL's host, except for
    /// letter case; wildcards are refused. Calls over plain http use no proxy.
    ///
    /// ```no_run
    /// use smtp2go_sdk::Client;
    ///
    /// let client = Client::builder("api-0123456789abcdef0123456789ABCDEF")
    ///     .base_url("http://sandbox:4020/v3")
    ///     .allow_http("sandbox")
    ///     .build()?;
    /// # Ok::<(), smtp2go_sdk::Error>(())
    /// ```
    pub fn allow_http(mut self, host: impl Into<String>) -> Self {
        self.allow_http.push(host.into());
        self
    }

    /// Sets where a request carries the key. Default: [`KeyLocation::Header`].
    pub fn key_location(mut self, location: KeyLocation) -> Self {
        self.key_location = location;
        self
    }

    /// Sets the program's name and version, such as `acme-shop/2.1`. It precedes the SDK's own name
    /// and version in the `User-Agent` header. Default: none. With an
    /// [`http_client`](Self::http_client) of your own and without this setting, the header is that
    /// client's.
    pub fn user_agent(mut self, prefix: impl Into<String>) -> Self {
        self.user_agent = Some(prefix.into());
        self
    }

    /// Sets the time limit for connecting, including TLS. Default: 5 seconds. Ignored if
    /// [`http_client`](Self::http_client) is set. Not on wasm32, where the runtime connects.
    #[cfg(not(target_family = "wasm"))]
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Sets how long an attempt may go without progress, that is, without a byte sent or received.
    /// Default: 30 seconds.
    ///
    /// The whole attempt has the same limit, plus one second for each 64 KiB of the request body: a
    /// body of 50 MB may take about 14 minutes.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// Sets the time limit for the whole call, including all attempts, waits for a rate limit and
    /// waits before retries. Default: 2 minutes. One second is added for each 64 KiB of the request
    /// body.
    ///
    /// An attempt is cut short by the deadline. A call that would have to wait past it ends at once.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Sets how often and when a call is retried. Default: [`RetryPolicy::new`].
    /// [`RetryPolicy::none`] disables retries.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// Sets the retry budget of each host, which all calls of the client share. Default: 50 retries.
    ///
    /// Each retry takes one from the budget. Each reply that is not a temporary failure gives back a
    /// tenth, so a failing host soon gets few retries. Retries after a 429 cost nothing.
    pub fn retry_budget(mut self, retries: u32) -> Self {
        self.retry_budget = retries;
        self
    }

    /// Makes the random part of retry delays reproducible, for tests. Default: random.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Sets whether calls of an operation with a documented rate limit wait for a permit, so that no
    /// window of time has more of them than the API allows. Default: on. The calls of this client
    /// and its clones are counted, but not those of other programs.
    pub fn rate_limits(mut self, on: bool) -> Self {
        self.rate_limits = on;
        self
    }

    /// Sets the regions to fall back on, in this order, if the client's own region or base URL can't
    /// be reached. Default: none, because the law can require mail to be processed in one region.
    ///
    /// A call moves on to the next host, without delay, only after an attempt that provably sent
    /// nothing. Each move counts as an attempt of its [`RetryPolicy`]. For the next 30 seconds, calls
    /// start at another host than the one that could not be reached.
    pub fn failover(self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.failover_urls(regions.into_iter().map(Region::base_url))
    }

    /// Like [`failover`](Self::failover), but takes base URLs. They must follow the rules of
    /// [`base_url`](Self::base_url), and have the same scheme as the client's. The last call of
    /// either method replaces earlier ones.
    pub fn failover_urls<I>(mut self, urls: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.failover = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Sets whether a reply with status 200 that counts failures is an error. Default: on, because
    /// this is how the service reports that it did not accept a mail.
    ///
    /// If off, such a reply is returned by every method, and you check its `failed` and `failures`
    /// yourself: in [`SendResult`](crate::types::SendResult), [`Sent`](crate::Sent) or the raw body.
    /// A 200 that reports an *error* is an error either way, and [`Client::send_batch`] returns an
    /// outcome for each mail either way.
    pub fn failures_are_errors(mut self, on: bool) -> Self {
        self.failures_are_errors = on;
        self
    }

    /// Sets whether suppressed recipients are left out of mail. Default: off. SMTP2GO does not deliver
    /// to them either, but counts a reject, and reports it only in the activity and in webhooks.
    ///
    /// If on, the recipients of an [`Email`](crate::Email), also in cc and bcc, are
    /// [looked up](crate::groups::SuppressionGroup::lookup) before the mail is sent. The look-up takes at least
    /// one call of `/suppression/view` for each recipient. The key must permit this operation.
    /// Suppressed recipients are left out, and [`Sent::skipped`](crate::Sent::skipped) lists them. If
    /// no recipient in `to` is left, nothing is sent, because the API requires one, and the error
    /// [is suppressed](Error::is_suppressed). If a look-up fails, nothing is sent either, and the error is
    /// that of the look-up, with the [certainty](Error::certainty) `NotSent`.
    ///
    /// The setting applies to [`send`](Client::send), [`send_all`](Client::send_all) and
    /// [`send_once`](Client::send_once), and to the outbox, if its workers' client has the setting.
    /// [`send_batch`](Client::send_batch) and [`send_mime`](Client::send_mime) can't leave recipients
    /// out: with the setting they fail with an error that [`is_config`](Error::is_config). Methods of
    /// groups do not look recipients up.
    ///
    /// ```no_run
    /// use smtp2go_sdk::{CallOptions, Client, Email};
    ///
    /// # async fn example(client: Client, mail: Email) -> Result<(), smtp2go_sdk::Error> {
    /// // For some mail only: newsletters, but not password resets.
    /// let newsletters = client.with_options(CallOptions::new().skip_suppressed(true));
    /// match newsletters.send(mail).await {
    ///     Ok(sent) => println!("sent, but not to {} recipients", sent.skipped.len()),
    ///     Err(error) if error.is_suppressed() => println!("nobody is left: {error}"),
    ///     Err(error) => return Err(error),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn skip_suppressed(mut self, on: bool) -> Self {
        self.skip_suppressed = on;
        self
    }

    /// Maximum number of bytes read of a reply's body. Default: 32 MiB, enough for a page of 5,000
    /// archived mails with 6 KiB of headers each. Zero is refused.
    ///
    /// A success with a longer body is an error of the [`kind`](Error::kind) `reply_too_large` and is
    /// not retried. The request was processed, so the certainty is
    /// [`Unknown`](crate::Certainty::Unknown). The error keeps the status, the headers and the part of
    /// the body that was read; nothing is read if `Content-Length` already exceeds the limit. An error
    /// status with a longer body remains the error of that status, with its body cut at the limit.
    pub fn max_reply_bytes(mut self, limit: u64) -> Self {
        self.max_reply_bytes = limit;
        self
    }

    /// Maximum number of JSON values in a reply. Default: 1,000,000. Zero is refused.
    ///
    /// Together with [`max_reply_bytes`](Self::max_reply_bytes) this bounds the memory that decoding a
    /// reply takes: at most 100 bytes for each value and 10 for each byte, however hostile the reply.
    /// Each item of a list and each member of an object counts as 1, at every depth, and each list and
    /// object as 16 more. The largest documented page, of 5,000 mails with every field filled and five
    /// opens each, has about 800,000.
    ///
    /// A reply with more values is handled like one with more bytes than
    /// [`max_reply_bytes`](Self::max_reply_bytes): the same kind of error, the same certainty, and the
    /// body is kept up to the first value beyond the limit.
    pub fn max_reply_values(mut self, limit: usize) -> Self {
        self.max_reply_values = limit;
        self
    }

    /// Sets the name of the header that carries [`Email::idempotency_key`](crate::Email::idempotency_key)
    /// and [`Mime::idempotency_key`](crate::Mime::idempotency_key). Default:
    /// [`IDEMPOTENCY_HEADER`](crate::IDEMPOTENCY_HEADER). Every client that sends mails, looks them up
    /// or receives their events must have the same name: a mail sent under another name is not found.
    ///
    /// Refused: a name that is not a header name or is longer than 100 bytes, the headers that the API
    /// refuses, and headers with a meaning of their own, such as `Message-ID`.
    pub fn idempotency_header(mut self, name: impl Into<String>) -> Self {
        self.idempotency_header = Some(name.into());
        self
    }

    /// Sends the https calls through this proxy, such as `http://proxy.example.com:3128`, in place of the
    /// proxy of the environment; `NO_PROXY` is ignored then. Default: the environment's, if any.
    ///
    /// The URL must be http or https, with a host. It may have a user name and a password,
    /// percent-encoded. The proxy is asked for a tunnel (CONNECT), so it sees the API's host, but
    /// neither the key nor the mail. Calls over plain http, as to a sandbox on this machine, use no
    /// proxy. An error that the proxy caused names its host and port: see [`Error::proxy`]. Setting an
    /// [`http_client`](Self::http_client) too is refused, because it has its own proxies. Not on
    /// wasm32.
    ///
    /// ```no_run
    /// use smtp2go_sdk::Client;
    ///
    /// let client = Client::builder("api-0123456789abcdef0123456789ABCDEF")
    ///     .proxy("http://proxy.example.com:3128")
    ///     .build()?;
    /// # Ok::<(), smtp2go_sdk::Error>(())
    /// ```
    #[cfg(not(target_family = "wasm"))]
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// Sends requests with this HTTP client instead of the SDK's own: for certificates or
    /// DNS of your choice, or connections shared with the rest of the program. It must be a
    /// [`reqwest::Client`] of the version that this crate depends on. Not on wasm32, where requests go
    /// through the runtime's `fetch`.
    ///
    /// The following holds with any client. The key is sent to the host of the base URL, over https
    /// except as [`base_url`](Self::base_url) says. Retries are the SDK's, by the same rules.
    /// [`timeout`](Self::timeout) and [`deadline`](Self::deadline) end an attempt. [`Error::certainty`]
    /// is right, unless the client follows redirects. Its proof is the request's body: the SDK provides
    /// it, and no client can copy it and send it twice.
    ///
    /// The following depends on the client's settings. The SDK can neither read nor change them.
    /// - **Redirects.** Set `redirect(reqwest::redirect::Policy::none())`. By default reqwest
    ///   follows a 301, 302 or 303 and sends *the key* to its target, even to another host or over
    ///   plain http, but not the body. The SDK reports a followed redirect as an error with an
    ///   unknown outcome, but the key has been disclosed by then. A 307 or 308 is not followed. **A
    ///   redirect back to the very same URL can't be noticed**: the SDK then takes the reply to a GET
    ///   for that of the call, so that a certainty can be wrong, and a 429 is retried.
    /// - **Runtimes.** Call from one tokio runtime only. A connection stops working when the runtime
    ///   that opened it ends, but the client may still use it: a call from another runtime can then
    ///   fail with an unknown outcome. If you need several runtimes, set
    ///   `pool_max_idle_per_host(0)`, which opens a connection for each request.
    /// - **Hidden retries.** reqwest would retry a request that an HTTP/2 server refused, but it would
    ///   need a copy of the body, so it never does. `retry(reqwest::retry::never())` makes this
    ///   explicit.
    /// - **Time limits.** [`connect_timeout`](Self::connect_timeout) is ignored; set the client's.
    ///   A `timeout` or `read_timeout` of the client ends attempts too, and does not grow with the
    ///   body. Keep `pool_idle_timeout` below the server's keep-alive.
    /// - **Proxies**, including those of the environment. They are used for plain http too, and see
    ///   the key then: set `no_proxy()`.
    /// - **TLS**: backend, certificates, versions, whether invalid certificates are accepted. The
    ///   TLS features of this crate are not needed.
    /// - **Headers** that the client adds, and its cookies. [`user_agent`](Self::user_agent) is used
    ///   if it is set.
    /// - **Logs.** With `connection_verbose(true)` reqwest logs everything that is sent, including
    ///   the key.
    ///
    /// ```no_run
    /// use std::time::Duration;
    /// use smtp2go_sdk::Client;
    ///
    /// let http = reqwest::Client::builder()
    ///     .connect_timeout(Duration::from_secs(5))
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .retry(reqwest::retry::never())
    ///     .no_proxy()
    ///     .build()?;
    /// let client = Client::builder("api-0123456789abcdef0123456789ABCDEF").http_client(http).build()?;
    /// # let _ = client;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(not(target_family = "wasm"))]
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Sets an [`Observer`], which is notified of each attempt and each call, for metrics and tests.
    /// Default: none. Pass an `Arc` to keep access to it.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    fn http_hosts(&self) -> Result<HttpHosts, Error> {
        let mut hosts = HttpHosts::default();
        for host in &self.allow_http {
            hosts.allow(host)?;
        }
        Ok(hosts)
    }

    /// Builds the HTTP clients. The returned user agent is `None` if `http_client` sets its own.
    #[cfg(not(target_family = "wasm"))]
    fn http(
        &self,
        https: bool,
        user_agent: HeaderValue,
    ) -> Result<(HttpClients, Option<HeaderValue>), Error> {
        use crate::call::http::HttpSetup;
        use crate::call::proxy::Proxies;
        use crate::call::tls::TlsSetup;

        let proxy = self.proxy.as_deref().map(Proxies::parse).transpose();
        let proxies = proxy
            .map_err(|error| error.about("proxy"))?
            .unwrap_or_else(Proxies::of_environment);
        if let Some(http) = &self.http_client {
            if self.proxy.is_some() {
                return Err(Error::config(
                    "proxy and http_client are both set: set the proxy of the http_client instead",
                ));
            }
            let user_agent = self.user_agent.is_some().then_some(user_agent);
            return Ok((HttpClients::own(http.clone()), user_agent));
        }
        let setup = HttpSetup {
            // For the CONNECT to a proxy. Requests have it in their own headers.
            user_agent: user_agent.clone(),
            connect_timeout: self.connect_timeout.min(LONGEST),
            proxies: if https { proxies } else { Proxies::None },
            https,
            tls: TlsSetup::new(https)?,
        };
        Ok((HttpClients::new(setup)?, Some(user_agent)))
    }

    #[cfg(target_family = "wasm")]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self)]
    fn http(
        &self,
        _https: bool,
        user_agent: HeaderValue,
    ) -> Result<(HttpClients, Option<HeaderValue>), Error> {
        Ok((HttpClients, Some(user_agent)))
    }

    /// Builds the async client, which both kinds of client contain.
    pub(crate) fn client(self) -> Result<Client, Error> {
        let key = Key::new(self.key.clone())?;
        let http_hosts = self
            .http_hosts()
            .map_err(|error| error.about("allow_http"))?;
        let base_url = match &self.base_url {
            Some(url) => {
                parse_base_url(url, &http_hosts).map_err(|error| error.about("base URL"))?
            }
            None => parse_base_url(self.region.base_url(), &http_hosts)?,
        };
        let user_agent = match &self.user_agent {
            Some(prefix) if prefix.trim().is_empty() => {
                return Err(Error::config("the user agent is empty"));
            }
            Some(prefix) => HeaderValue::try_from(format!("{prefix} {PRODUCT}")).map_err(|_| {
                Error::config("the user agent has characters that a header can't have")
            })?,
            None => HeaderValue::from_static(PRODUCT),
        };
        #[cfg(not(target_family = "wasm"))]
        let no_time = self.connect_timeout.is_zero();
        #[cfg(target_family = "wasm")]
        let no_time = false;
        if no_time || self.timeout.is_zero() || self.deadline.is_zero() {
            return Err(Error::config("a time limit must be more than zero"));
        }
        if self.max_reply_bytes == 0 {
            return Err(Error::config("max_reply_bytes must be more than zero"));
        }
        if self.max_reply_values == 0 {
            return Err(Error::config("max_reply_values must be more than zero"));
        }

        let idempotency_header = IdempotencyHeader::new(self.idempotency_header.as_deref())?;

        let https = base_url.scheme() == "https";
        let mut failover = Vec::with_capacity(self.failover.len());
        for url in &self.failover {
            let url =
                parse_base_url(url, &http_hosts).map_err(|error| error.about("failover URL"))?;
            if url.scheme() != base_url.scheme() {
                return Err(Error::config(
                    "failover URL: must have the scheme of the base URL, https or http",
                ));
            }
            if url != base_url && !failover.contains(&url) {
                failover.push(url);
            }
        }
        let (http, user_agent) = self.http(https, user_agent)?;
        let core = Core::new(CoreParts {
            http,
            hosts: Hosts::new(base_url, failover, self.retry_budget),
            max_reply_bytes: self.max_reply_bytes,
            max_reply_values: self.max_reply_values,
            observer: self.observer,
            jitter_seed: self.jitter_seed,
        });
        let credentials = SharedCredentials::new(key, self.key_location, headers(user_agent))?;
        let settings = Settings {
            end_by: None,
            timeout: self.timeout.min(LONGEST),
            deadline: self.deadline.min(LONGEST),
            retry: self.retry,
            rate_limits: self.rate_limits,
            failures_are_errors: self.failures_are_errors,
            skip_suppressed: self.skip_suppressed,
            per_item: false,
        };
        Ok(Client {
            core: Arc::new(core),
            credentials: Arc::new(credentials),
            subaccount: None,
            settings,
            idempotency_header,
        })
    }
}

impl ClientBuilder {
    /// Builds the client. Nothing is sent yet.
    ///
    /// # Errors
    /// An error that [`is_config`](Error::is_config) if
    /// - the key is not `api-` and 32 letters or digits,
    /// - the base URL or a failover URL violates the rules of [`base_url`](Self::base_url), or their
    ///   schemes differ,
    /// - a host of [`allow_http`](Self::allow_http) is not a host alone,
    /// - the [`proxy`](Self::proxy) is not an http or https URL with a host, or an
    ///   [`http_client`](Self::http_client) is set too,
    /// - the user agent is empty, or has characters that a header can't have,
    /// - the [`idempotency_header`](Self::idempotency_header) is refused,
    /// - a limit is zero,
    /// - TLS can't be set up: this build has no TLS backend, or this system has no certificates.
    pub fn build(self) -> Result<Client, Error> {
        self.client()
    }
}

/// Returns the headers of every request, without the key. `user_agent` is `None` if the user's own HTTP
/// client sets it.
fn headers(user_agent: Option<HeaderValue>) -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, json.clone());
    headers.insert(CONTENT_TYPE, json);
    if let Some(agent) = user_agent {
        headers.insert(USER_AGENT, agent);
    }
    headers
}

/// Shows neither the key nor the URLs, which can contain secrets before they are checked.
impl<C> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("ClientBuilder");
        shown
            .field("region", &self.region)
            .field("has_base_url", &self.base_url.is_some())
            .field("allow_http", &self.allow_http.len())
            .field("key_location", &self.key_location)
            .field("user_agent", &self.user_agent)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("retry_budget", &self.retry_budget)
            .field("rate_limits", &self.rate_limits)
            .field("failures_are_errors", &self.failures_are_errors)
            .field("skip_suppressed", &self.skip_suppressed)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("max_reply_values", &self.max_reply_values)
            .field("failover", &self.failover.len())
            .field("idempotency_header", &self.idempotency_header)
            .field("has_observer", &self.observer.is_some());
        #[cfg(not(target_family = "wasm"))]
        shown
            .field("connect_timeout", &self.connect_timeout)
            .field("has_proxy", &self.proxy.is_some())
            .field("has_http_client", &self.http_client.is_some());
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_watch::watched;

    const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

    fn builder() -> ClientBuilder {
        ClientBuilder::new(watched(KEY).into())
    }

    #[test]
    fn debug_shows_neither_key_nor_url() {
        let shown = builder()
            .base_url("https://hunter2@example.com/v3")
            .allow_http("hunter2")
            .proxy("http://user:hunter2@example.com");
        let shown = format!("{shown:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains(KEY),
            "{shown}"
        );
    }

    #[test]
    fn allowed_host_may_be_called_over_http() {
        let http = || builder().base_url("http://sandbox:4020/v3");
        let error = http().build().unwrap_err().to_string();
        assert!(error.contains(r"allow_http"), "{error}");
        let both = || http().allow_http("other").allow_http("sandbox");
        both().build().unwrap();
        let failover = |url: &str| both().failover_urls([url]).build();
        failover("http://other/v3").unwrap();
        let error = failover("http://third/v3").unwrap_err().to_string();
        assert!(error.starts_with("failover URL: "), "{error}");
        let error = http().allow_http("http://sandbox").build().unwrap_err();
        assert!(error.to_string().starts_with("allow_http: "), "{error}");
        #[cfg(all(feature = "blocking", not(target_family = "wasm")))]
        crate::blocking::Client::builder(watched(KEY))
            .base_url("http://sandbox:4020/v3")
            .allow_http("sandbox")
            .build()
            .unwrap();
    }

    #[test]
    fn base_url_of_the_vendor_without_version_is_an_error() {
        let error = builder().base_url("https://eu-api.smtp2go.com").build();
        let error = error.unwrap_err();
        assert!(error.is_config());
        assert!(error.to_string().contains("must end in /v3"), "{error}");
        let error = builder().failover_urls(["https://api.smtp2go.com/"]);
        let error = error.build().unwrap_err().to_string();
        assert!(
            error.starts_with("failover URL: must end in /v3"),
            "{error}"
        );
    }

    #[test]
    fn bad_setting_is_a_config_error() {
        for bad in [
            builder().user_agent("line\nbreak"),
            builder().user_agent(""),
            builder().user_agent(" "),
            builder().timeout(Duration::ZERO),
            builder().connect_timeout(Duration::ZERO),
            builder().deadline(Duration::ZERO),
            builder().max_reply_bytes(0),
            builder().max_reply_values(0),
            builder().failover([Region::Us]),
            builder().idempotency_header(""),
            builder().failover_urls(["http://localhost:1", "hunter2"]),
        ] {
            let bad = bad.base_url("http://localhost");
            assert!(bad.build().unwrap_err().is_config());
        }
        let forever = builder()
            .timeout(Duration::MAX)
            .deadline(Duration::MAX)
            .connect_timeout(Duration::MAX);
        forever.base_url("http://localhost").build().unwrap();
    }

    #[test]
    fn environment_is_read_and_errors_name_the_variable() {
        let read = |variables: &[(&str, &str)]| {
            let variables = variables.to_vec();
            ClientBuilder::<Client>::from_lookup(&move |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found
                    .map(|(_, value)| (*value).to_owned())
                    .ok_or(VarError::NotPresent)
            })
        };
        let good = read(&[(ENV_KEY, KEY)]).unwrap();
        assert_eq!(
            (good.key.expose(), good.region, good.base_url),
            (KEY, Region::Global, None)
        );
        let good = read(&[(ENV_KEY, KEY), (ENV_REGION, "eu-api"), (ENV_BASE_URL, "")]).unwrap();
        assert_eq!((good.region, good.base_url), (Region::Eu, None));
        let url = "http://localhost:8025/v3";
        let good = read(&[(ENV_KEY, KEY), (ENV_REGION, ""), (ENV_BASE_URL, url)]).unwrap();
        assert_eq!(
            (good.region, good.base_url.as_deref()),
            (Region::Global, Some(url))
        );
        let good = read(&[
            (ENV_KEY, KEY),
            (ENV_BASE_URL, "http://sandbox/v3"),
            (ENV_ALLOW_HTTP, "other, sandbox"),
        ]);
        good.unwrap().build().unwrap();

        for (variables, name) in [
            (vec![], ENV_KEY),
            (vec![(ENV_KEY, "")], ENV_KEY),
            (vec![(ENV_KEY, " ")], ENV_KEY),
            (vec![(ENV_KEY, "api-short")], ENV_KEY),
            (vec![(ENV_KEY, KEY), (ENV_REGION, " ")], ENV_REGION),
            (vec![(ENV_KEY, KEY), (ENV_BASE_URL, " ")], ENV_BASE_URL),
            (vec![(ENV_KEY, KEY), (ENV_REGION, "mars")], ENV_REGION),
            (
                vec![(ENV_KEY, KEY), (ENV_BASE_URL, "http://example.com")],
                ENV_BASE_URL,
            ),
            (
                vec![(ENV_KEY, KEY), (ENV_BASE_URL, "https://api.smtp2go.com")],
                ENV_BASE_URL,
            ),
            (
                vec![
                    (ENV_KEY, KEY),
                    (ENV_BASE_URL, "http://example.com"),
                    (ENV_ALLOW_HTTP, "example.net"),
                ],
                ENV_BASE_URL,
            ),
            (vec![(ENV_KEY, KEY), (ENV_ALLOW_HTTP, "*")], ENV_ALLOW_HTTP),
            (vec![(ENV_KEY, KEY), (ENV_ALLOW_HTTP, "a,")], ENV_ALLOW_HTTP),
        ] {
            let error = read(&variables).unwrap_err();
            assert!(error.is_config());
            assert!(
                error.to_string().starts_with(&format!("{name}: ")),
                "{error}"
            );
        }
        let error =
            ClientBuilder::<Client>::from_lookup(&|_| Err(VarError::NotUnicode("x".into())));
        assert!(error.unwrap_err().to_string().starts_with(ENV_KEY));
    }

    #[cfg(not(any(
        feature = "rustls-ring",
        feature = "rustls-aws-lc",
        feature = "native-tls"
    )))]
    #[test]
    fn without_a_tls_backend_https_is_an_error() {
        let error = builder().build().unwrap_err();
        assert!(error.is_config());
        assert!(error.to_string().contains("rustls-ring"), "{error}");
    }
}
