//! How a client is set up.

use std::env::VarError;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use reqwest::Url;

use super::Client;
use super::key::Key;
use crate::call::failover::Hosts;
use crate::call::http::{HttpClients, HttpSetup};
use crate::call::tls::TlsSetup;
use crate::call::{Core, CoreParts, LONGEST, Settings};
use crate::{Error, KeyLocation, Observer, Region, RetryPolicy};

/// Environment variable with the API key.
const ENV_KEY: &str = "SMTP2GO_API_KEY";
/// Environment variable with the region.
const ENV_REGION: &str = "SMTP2GO_REGION";
/// Environment variable with the base URL.
const ENV_BASE_URL: &str = "SMTP2GO_BASE_URL";

/// How we name ourselves to the server.
const PRODUCT: &str = concat!("smtp2go-sdk/", env!("CARGO_PKG_VERSION"));

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(120);
const RETRY_BUDGET: u32 = 50;
const MAX_REPLY_BYTES: u64 = 32 * 1024 * 1024;
const MAX_REPLY_VALUES: usize = 1_000_000;

/// Sets up a [`Client`]. Made by [`Client::builder`].
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
/// `C` is the client that comes of it: this one, or with the feature `blocking` the one of
/// `smtp2go_sdk::blocking`.
#[derive(Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder<C = Client> {
    key: String,
    region: Region,
    base_url: Option<String>,
    key_location: KeyLocation,
    user_agent: Option<String>,
    connect_timeout: Duration,
    timeout: Duration,
    deadline: Duration,
    retry: RetryPolicy,
    retry_budget: u32,
    jitter_seed: Option<u64>,
    pacing: bool,
    failures_are_errors: bool,
    max_reply_bytes: u64,
    max_reply_values: usize,
    failover: Vec<String>,
    builds: PhantomData<fn() -> C>,
    http_client: Option<reqwest::Client>,
    observer: Option<Arc<dyn Observer>>,
}

impl<C> ClientBuilder<C> {
    pub(crate) fn new(key: String) -> Self {
        Self {
            key,
            region: Region::default(),
            base_url: None,
            key_location: KeyLocation::default(),
            user_agent: None,
            connect_timeout: CONNECT_TIMEOUT,
            timeout: TIMEOUT,
            deadline: DEADLINE,
            retry: RetryPolicy::new(),
            retry_budget: RETRY_BUDGET,
            jitter_seed: None,
            pacing: true,
            failures_are_errors: true,
            max_reply_bytes: MAX_REPLY_BYTES,
            max_reply_values: MAX_REPLY_VALUES,
            failover: Vec::new(),
            builds: PhantomData,
            http_client: None,
            observer: None,
        }
    }

    /// A builder set from variables that `lookup` knows by name.
    #[inline]
    pub(crate) fn from_lookup(
        lookup: &dyn Fn(&str) -> Result<String, VarError>,
    ) -> Result<Self, Error> {
        // An empty variable is as good as none: that is how many tools unset one.
        let variable = |name: &str| match lookup(name) {
            Ok(text) => Ok((!text.is_empty()).then_some(text)),
            Err(VarError::NotPresent) => Ok(None),
            Err(VarError::NotUnicode(_)) => Err(Error::config("not valid Unicode").about(name)),
        };
        let key = variable(ENV_KEY)?.ok_or_else(|| Error::config("not set").about(ENV_KEY))?;
        // Checked here, so that the errors name the variable.
        Key::new(key.clone()).map_err(|error| error.about(ENV_KEY))?;
        let mut builder = Self::new(key);
        if let Some(word) = variable(ENV_REGION)? {
            builder.region = word
                .parse()
                .map_err(|error: Error| error.about(ENV_REGION))?;
        }
        if let Some(url) = variable(ENV_BASE_URL)? {
            parse_base_url(&url).map_err(|error| error.about(ENV_BASE_URL))?;
            builder.base_url = Some(url);
        }
        Ok(builder)
    }

    /// The region whose servers are called. [`Region::Global`] by default.
    pub fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    /// The URL that the operations' paths are appended to, such as `https://api.smtp2go.com/v3`;
    /// wins over [`region`](Self::region). For tests and gateways. Its path is kept, with or
    /// without a slash at the end.
    ///
    /// Must be https, or http to this machine (`localhost`, 127.0.0.0/8, `::1`), and without user
    /// name, query and fragment.
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = Some(url.into());
        self
    }

    /// How the key travels. [`KeyLocation::Header`] by default.
    pub fn key_location(mut self, location: KeyLocation) -> Self {
        self.key_location = location;
        self
    }

    /// The program's own name and version, such as `acme-shop/2.1`, put before ours in the
    /// `User-Agent` header. None by default. With an [`http_client`](Self::http_client) of your
    /// own the header is that client's, unless this is set.
    pub fn user_agent(mut self, prefix: impl Into<String>) -> Self {
        self.user_agent = Some(prefix.into());
        self
    }

    /// How long connecting may take, TLS included. 5 seconds by default. Not in force with an
    /// [`http_client`](Self::http_client) of your own.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an attempt may go without progress, that is, without bytes going out or coming
    /// in. 30 seconds by default.
    ///
    /// The whole of an attempt may take that long, and a second more for each 64 KiB of its
    /// request body: 50 MB get about 14 minutes.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    /// How long a whole call may take, with all its attempts and the waits for its turn and before
    /// retries. 2 minutes by default, and a second more for each 64 KiB of the request body.
    ///
    /// A call that would have to wait past it ends at once; an attempt is cut short by it.
    pub fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// How often and when a call is tried again. [`RetryPolicy::new`] by default;
    /// [`RetryPolicy::none`] switches retries off.
    pub fn retry(mut self, policy: RetryPolicy) -> Self {
        self.retry = policy;
        self
    }

    /// How many retries a host may get in a row. 50 by default. Each retry takes one away and each
    /// answer that is not a passing failure gives back a tenth, so that a host in trouble is not
    /// burdened with more retries than calls for long. Shared by all calls of the client; retries
    /// after a 429 don't count.
    pub fn retry_budget(mut self, retries: u32) -> Self {
        self.retry_budget = retries;
        self
    }

    /// Makes the random part of the waits before retries repeatable, for tests. Random by default.
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter_seed = Some(seed);
        self
    }

    /// Whether calls of an operation with a documented rate wait for their turn, so that no more
    /// of them are sent in any window of time than the API allows. On by default. Counts the calls
    /// of this client and its clones, not those of other programs.
    pub fn pacing(mut self, on: bool) -> Self {
        self.pacing = on;
        self
    }

    /// The regions to fall back on, in this order, when the region (or base URL) of the client
    /// can't be reached. None by default: where mail is processed can be a matter of law.
    ///
    /// A call moves on only after an attempt of which provably nothing was sent, and at once; each
    /// move is one of the attempts of its [`RetryPolicy`]. For half a minute after that, other
    /// calls don't begin at the host that could not be reached.
    pub fn failover(self, regions: impl IntoIterator<Item = Region>) -> Self {
        self.failover_urls(regions.into_iter().map(Region::base_url))
    }

    /// As [`failover`](Self::failover), with base URLs like that of [`base_url`](Self::base_url);
    /// the last call of either counts. Their scheme must be that of the client's base URL.
    pub fn failover_urls<I>(mut self, urls: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.failover = urls.into_iter().map(Into::into).collect();
        self
    }

    /// Whether a reply with status 200 that counts failures is an error. On by default: such a
    /// reply is how the service says that it did not take a mail in.
    ///
    /// Off, it is a reply like any other at every door, and `failed` and `failures` in it are
    /// yours to look at: in [`SendResult`](crate::types::SendResult),
    /// [`Sent`](crate::Sent) and the raw body. A 200 that reports an *error* stays one.
    /// [`Client::send_batch`] has an outcome for each mail either way.
    pub fn failures_are_errors(mut self, on: bool) -> Self {
        self.failures_are_errors = on;
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
    /// body is kept up to the value that is one too many.
    pub fn max_reply_values(mut self, limit: usize) -> Self {
        self.max_reply_values = limit;
        self
    }

    /// Sends requests with this HTTP client instead of the SDK's own: for a proxy, certificates or
    /// DNS of your choice, or connections shared with the rest of the program. It must be a
    /// [`reqwest::Client`] of the version that this crate depends on.
    ///
    /// The following holds with any client. The key is sent to the host of the base URL, over https
    /// except to this machine. Retries are the SDK's, by the same rules.
    /// [`timeout`](Self::timeout) and [`deadline`](Self::deadline) end an attempt.
    /// [`Error::certainty`] is right: its proof is the request's body, which is the SDK's, and which
    /// no client can copy and send twice.
    ///
    /// The following depends on the client. The SDK can neither read nor change it.
    /// - **Redirects.** Set `redirect(reqwest::redirect::Policy::none())`. By default reqwest
    ///   follows a 301, 302 or 303 and sends *the key* to its target, even to another host or over
    ///   plain http, but not the body. The SDK reports a followed redirect as an error with an
    ///   unknown outcome, but the key has been disclosed by then. (A redirect to the very same URL
    ///   is not noticed.) A 307 or 308 is not followed.
    /// - **Runtimes.** Call from one tokio runtime only. A connection stops working when the runtime
    ///   that opened it ends, but the client may still use it: a call from another runtime can then
    ///   fail with an unknown outcome. If you need several runtimes, set
    ///   `pool_max_idle_per_host(0)`, which opens a connection for each request.
    /// - **Hidden retries** of requests that an HTTP/2 server refused. They need a copy of the body,
    ///   so there are none. `retry(reqwest::retry::never())` says so.
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
    pub fn http_client(mut self, client: reqwest::Client) -> Self {
        self.http_client = Some(client);
        self
    }

    /// Is told of every attempt and every call, for metrics and tests: see [`Observer`]. None by
    /// default. To keep a hand on it, pass an `Arc` of it.
    pub fn observer(mut self, observer: impl Observer + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// What [`build`](ClientBuilder::build) does, whatever comes of it in the end.
    pub(crate) fn client(self) -> Result<Client, Error> {
        let key = Key::new(self.key)?;
        let base_url = match &self.base_url {
            Some(url) => parse_base_url(url).map_err(|error| error.about("base URL"))?,
            None => parse_base_url(self.region.base_url())?,
        };
        let user_agent = match &self.user_agent {
            Some(prefix) if prefix.trim().is_empty() => {
                return Err(Error::config("the user agent is empty"));
            }
            Some(prefix) => HeaderValue::try_from(format!("{prefix} {PRODUCT}"))
                .map_err(|_| Error::config("the user agent does not fit into a header"))?,
            None => HeaderValue::from_static(PRODUCT),
        };
        if self.connect_timeout.is_zero() || self.timeout.is_zero() || self.deadline.is_zero() {
            return Err(Error::config("a time limit must be more than zero"));
        }
        if self.max_reply_bytes == 0 {
            return Err(Error::config("max_reply_bytes must be more than zero"));
        }
        if self.max_reply_values == 0 {
            return Err(Error::config("max_reply_values must be more than zero"));
        }

        let https = base_url.scheme() == "https";
        let mut failover = Vec::with_capacity(self.failover.len());
        for url in &self.failover {
            let url = parse_base_url(url).map_err(|error| error.about("failover URL"))?;
            if url.scheme() != base_url.scheme() {
                return Err(Error::config(
                    "failover URL: must be https if and only if the base URL is",
                ));
            }
            if url != base_url && !failover.contains(&url) {
                failover.push(url);
            }
        }
        let jitter = match self.jitter_seed {
            Some(seed) => fastrand::Rng::with_seed(seed),
            None => fastrand::Rng::new(),
        };
        let (http, user_agent) = match self.http_client {
            Some(http) => (
                HttpClients::own(http),
                self.user_agent.is_some().then_some(user_agent),
            ),
            None => {
                let setup = HttpSetup {
                    // For a proxy. The server gets it with the headers of each request.
                    user_agent: user_agent.clone(),
                    connect_timeout: self.connect_timeout.min(LONGEST),
                    https,
                    tls: TlsSetup::new(https)?,
                };
                (HttpClients::new(setup)?, Some(user_agent))
            }
        };
        let core = Core::new(CoreParts {
            http,
            hosts: Hosts::new(base_url, failover, self.retry_budget),
            headers: headers(&key, self.key_location, user_agent)?,
            max_reply_bytes: self.max_reply_bytes,
            max_reply_values: self.max_reply_values,
            observer: self.observer,
            jitter,
        });
        let settings = Settings {
            timeout: self.timeout.min(LONGEST),
            deadline: self.deadline.min(LONGEST),
            retry: self.retry,
            pacing: self.pacing,
            failures_are_errors: self.failures_are_errors,
            per_item: false,
        };
        Ok(Client::new(core, key, self.key_location, settings))
    }
}

impl ClientBuilder {
    /// The client. Nothing is sent yet.
    ///
    /// # Errors
    /// If the key is not of the form `api-` and 32 letters or digits, the base URL is not as
    /// [`base_url`](Self::base_url) says, the user agent is empty or does not fit into a header, a
    /// limit is zero, a URL to fall back on is of another scheme, or TLS can't be set up (no backend in
    /// this build, no certificates on this system).
    pub fn build(self) -> Result<Client, Error> {
        self.client()
    }
}

/// The headers of every request: with the key, if a header carries it, and without a user agent if
/// that of the user's own HTTP client counts.
fn headers(
    key: &Key,
    location: KeyLocation,
    user_agent: Option<HeaderValue>,
) -> Result<HeaderMap, Error> {
    let json = HeaderValue::from_static("application/json");
    let mut headers = HeaderMap::new();
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

/// Shows neither the key nor the base URL, which could hold secrets until it is checked.
impl<C> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("region", &self.region)
            .field("has_base_url", &self.base_url.is_some())
            .field("key_location", &self.key_location)
            .field("user_agent", &self.user_agent)
            .field("connect_timeout", &self.connect_timeout)
            .field("timeout", &self.timeout)
            .field("deadline", &self.deadline)
            .field("retry", &self.retry)
            .field("retry_budget", &self.retry_budget)
            .field("pacing", &self.pacing)
            .field("failures_are_errors", &self.failures_are_errors)
            .field("max_reply_bytes", &self.max_reply_bytes)
            .field("max_reply_values", &self.max_reply_values)
            .field("failover", &self.failover.len())
            .field("has_http_client", &self.http_client.is_some())
            .field("has_observer", &self.observer.is_some())
            .finish_non_exhaustive()
    }
}

/// Parses a base URL, and takes the slashes from its end. The errors don't repeat it.
fn parse_base_url(text: &str) -> Result<Url, Error> {
    let mut url = Url::parse(text.trim())
        .map_err(|source| Error::config("not a valid URL").with_source(source))?;
    let host = match url.host_str() {
        Some(host) if matches!(url.scheme(), "http" | "https") => host,
        _ => return Err(Error::config("not an http or https URL with a host")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::config(
            "has a user name or password, which does not belong there",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(Error::config(
            "has a query or fragment, to which no path can be appended",
        ));
    }
    if url.scheme() == "http" && !is_loopback(host) {
        return Err(Error::config(
            "must be https, except to this machine (localhost)",
        ));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Whether a URL's host is this machine.
fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_watch::watched;

    const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

    fn builder() -> ClientBuilder {
        ClientBuilder::new(watched(KEY).to_owned())
    }

    #[test]
    fn bad_urls_are_refused_and_not_shown() {
        for (url, word) in [
            ("", "valid"),
            (" ", "valid"),
            ("hunter2", "valid"),
            ("//hunter2/v3", "valid"),
            ("ftp://hunter2/v3", "http or https"),
            ("data:hunter2", "http or https"),
            ("https://", "valid"),
            ("https://user:hunter2@example.com/v3", "password"),
            ("https://hunter2@example.com/v3", "password"),
            ("https://example.com/v3?hunter2", "query"),
            ("https://example.com/v3?", "query"),
            ("https://example.com/v3#hunter2", "fragment"),
            ("http://hunter2.example.com/v3", "https"),
            ("http://192.0.2.1/v3", "https"),
            ("http://localhost.example.com/v3", "https"),
            ("http://[2001:db8::1]/v3", "https"),
        ] {
            let error = builder().base_url(url).build().unwrap_err();
            assert!(error.is_config());
            let shown = format!("{error} {error:?}");
            assert!(
                shown.contains(word) && !shown.contains("hunter2"),
                "{url}: {shown}"
            );
            let shown = format!("{:?}", builder().base_url(url));
            assert!(
                !shown.contains("hunter2") && !shown.contains(KEY),
                "{shown}"
            );
        }
    }

    #[test]
    fn http_is_for_this_machine() {
        for url in [
            "http://localhost:1",
            "http://127.0.0.1",
            "http://127.9.9.9/v3",
            "http://[::1]:8025/",
        ] {
            builder().base_url(url).build().unwrap();
        }
    }

    #[test]
    fn other_settings_are_checked() {
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
    fn the_environment_is_read_and_errors_name_the_variable() {
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
            (good.key.as_str(), good.region, good.base_url),
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
