//! Starts and stops a sandbox, and gives access to what it received.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
#[cfg(feature = "data")]
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use tokio::runtime;
use tokio::sync::oneshot;

use crate::account::{AccountId, ApiKey};
use crate::api::Api;
use crate::call::Call;
use crate::connection::{Control, FaultyListener};
use crate::delivery::Delivery;
use crate::event::Event;
use crate::faults::{Fault, Faults};
use crate::keep::Dropped;
use crate::mail::Mail;
use crate::operations::{single_sender_emails, sms};
use crate::server;
use crate::sms::Sms;
use crate::smtp;
use crate::webhooks::{self, WebhookDelivery};
use crate::world::{self, OnCall, OnDrop, OnGiveUp, Settings, Shared, Strictness};

/// An invented key in the service's format: `api-` and 32 letters or digits.
pub(crate) const DEFAULT_KEY: &str = "api-SANDBOX0SANDBOX0SANDBOX0SANDBOX0";

/// Minimum length of the main key if the sandbox is exposed: then only the key protects the mail.
const SHORTEST_KEY: usize = 16;

/// A running local SMTP2GO. By default it listens on a free port of 127.0.0.1. Stops on drop.
///
/// Dropping it refuses new connections and closes idle ones. With [`Sandbox::start`], a request that
/// is in progress may still get a reply.
pub struct Sandbox {
    base_url: String,
    smtp_address: Option<SocketAddr>,
    pub(crate) shared: Arc<Shared>,
    /// Dropped to stop the server.
    stop: Option<oneshot::Sender<()>>,
    /// The thread of `start_blocking`.
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox with the default settings on the caller's tokio runtime.
    ///
    /// # Errors
    ///
    /// The same as for [`SandboxBuilder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts a sandbox with the default settings on a thread of its own, for tests without a runtime
    /// or with blocking clients.
    ///
    /// # Errors
    ///
    /// The same as for [`SandboxBuilder::start_blocking`].
    pub fn start_blocking() -> io::Result<Self> {
        Self::builder().start_blocking()
    }

    /// Returns a builder with the default settings.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder {
            settings: Settings::with_keys(vec![ApiKey::new(DEFAULT_KEY)]),
            faults: Vec::new(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            on_call: None,
            on_drop: None,
            on_give_up: None,
            #[cfg(feature = "data")]
            data: None,
        }
    }

    /// URL of the inbox, a web page that shows what was sent: `http://127.0.0.1:PORT/`.
    pub fn inbox_url(&self) -> String {
        format!("{}/", self.base_url.trim_end_matches("/v3"))
    }

    /// Base URL for a client: `http://127.0.0.1:PORT/v3`. The operations are also served without
    /// `/v3`. The [admin endpoints](crate#admin-endpoints) are below `/_sandbox`.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address for SMTP clients, `127.0.0.1:PORT`. `None` unless SMTP was switched on by
    /// [`SandboxBuilder::smtp`]. The server has no TLS. Clients log in as
    /// [`smtp_username`](Self::smtp_username) with [`key`](Self::key) as the password, or as a user of
    /// `/users/smtp/add`.
    pub fn smtp_address(&self) -> Option<SocketAddr> {
        self.smtp_address
    }

    /// The name of the SMTP user that every sandbox has: `sandbox`. Its password is the main
    /// [`key`](Self::key). It sends for that key's account, and has that key's status.
    pub fn smtp_username(&self) -> &str {
        smtp::USERNAME
    }

    /// The main key. It belongs to the master account and has all permissions. Default: an invented
    /// key of 36 characters.
    pub fn key(&self) -> &str {
        // The builder always has one.
        let mut keys = self.shared.settings.keys.iter();
        keys.next().map_or(DEFAULT_KEY, |key| &key.secret)
    }

    /// Returns the accepted mails that are kept, in order. A batch gives one mail per item.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.world().mails.to_vec()
    }

    /// Returns the calls that are kept, in order, including refused ones and those with a [`Fault`].
    /// A request that the client aborted is not recorded.
    pub fn calls(&self) -> Vec<Call> {
        let calls = self.shared.world().calls.to_vec();
        calls.into_iter().map(Arc::unwrap_or_clone).collect()
    }

    /// Returns how much was dropped to stay within
    /// [`keep_mails`](SandboxBuilder::keep_mails) and [`keep_bytes`](SandboxBuilder::keep_bytes).
    ///
    /// ```
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::builder().keep_mails(100).start_blocking()?;
    /// // The code under test sends up to 100 mails.
    /// assert_eq!(sandbox.dropped().mails, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn dropped(&self) -> Dropped {
        self.shared.world().dropped()
    }

    /// Number of open connections of clients, including idle ones.
    pub fn open_connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Returns the faults, which make calls fail on purpose. Default: none, except those of
    /// [`SandboxBuilder::fault`].
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.shared))
    }

    /// Returns the events that are kept, in order. A mail is processed, and delivered to each
    /// recipient 50 ms later.
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.shared.world().events.to_vec()
    }

    /// Returns the controls of delivery: rules for outcomes, and events on demand, such as a bounce
    /// or a click.
    pub fn delivery(&self) -> Delivery {
        Delivery::new(Arc::clone(&self.shared))
    }

    /// Returns the accepted text messages that are kept, in order. Each destination of a request
    /// gives one message.
    pub fn sms(&self) -> Vec<Sms> {
        self.shared.world().sms.to_vec()
    }

    /// Simulates a text message to the master account, from the number `from` to the account's number
    /// `to`. `/sms/view-received` lists it. The content STOP, or a similar word, opts out: later
    /// messages to the number `from` are rejected.
    pub fn receive_sms(&self, from: &str, to: &str, content: &str) {
        let mut world = self.shared.world();
        sms::receive(&mut world, AccountId::MASTER, from, to, content);
    }

    /// Returns the webhook deliveries that are kept, in order: one for each event and each webhook
    /// that subscribes to it, with the attempts so far.
    ///
    /// A delivery is retried unless the endpoint replies with a status from 200 to 299 within 10
    /// seconds. There are up to 35 attempts on the service's schedule, in which an hour takes a
    /// second (see [`SandboxBuilder::webhook_speed`]).
    pub fn webhook_deliveries(&self) -> Vec<WebhookDelivery> {
        let world = self.shared.world();
        world.outbox.deliveries.to_vec()
    }

    /// Waits until no webhook delivery is queued or being posted. Does not wait for retries that are
    /// due later. Returns false after `timeout`.
    ///
    /// Needs a tokio runtime, like [`wait_for_mail`](Self::wait_for_mail).
    ///
    /// ```
    /// use std::time::Duration;
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::start().await?;
    /// sandbox.freeze();
    /// // The code under test adds a webhook and sends a mail.
    /// sandbox.advance(Duration::from_secs(1));
    /// assert!(sandbox.wait_for_webhooks(Duration::from_secs(5)).await);
    /// for delivery in sandbox.webhook_deliveries() {
    ///     println!("{} {:?}", delivery.event().kind().webhook_name(), delivery.state());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn wait_for_webhooks(&self, timeout: Duration) -> bool {
        let settled = async {
            let mut changes = self.shared.changes.subscribe();
            while !self.shared.world().outbox.is_settled() {
                if changes.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(timeout, settled).await.is_ok()
    }

    /// Posts a delivery again, also if it was accepted or given up. `delivery` is its index in
    /// [`webhook_deliveries`](Self::webhook_deliveries), counting dropped ones. Returns false if the
    /// delivery does not exist, is queued or is being posted.
    pub fn post_webhook_again(&self, delivery: usize) -> bool {
        webhooks::post_again(&mut self.shared.world(), delivery)
    }

    /// Sets the time from an event until `/activity/search` finds it, by the sandbox's clock.
    /// Applies to past events too: see [`SandboxBuilder::activity_lag`].
    pub fn set_activity_lag(&self, lag: Duration) {
        self.shared.world().activity_lag = lag;
    }

    /// The sandbox's time: the system's, unless the clock was frozen or advanced.
    pub fn now(&self) -> SystemTime {
        self.shared.world().now()
    }

    /// Stops the sandbox's clock. Deliveries, scheduled mail and other pending jobs then wait for
    /// [`advance`](Self::advance), so that a test controls each step.
    ///
    /// ```
    /// use std::time::Duration;
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::start_blocking()?;
    /// sandbox.freeze();
    /// let before = sandbox.now();
    /// sandbox.advance(Duration::from_secs(3 * 86_400));
    /// assert_eq!(sandbox.now(), before + Duration::from_secs(3 * 86_400));
    /// # Ok(())
    /// # }
    /// ```
    pub fn freeze(&self) {
        self.shared.world().freeze();
    }

    /// Restarts a frozen clock from its frozen time, or from the system's time if that is later.
    pub fn resume(&self) {
        self.shared.world().resume();
    }

    /// Moves the sandbox's clock forward, frozen or not. Runs everything that becomes due, in order,
    /// each at its own time, before it returns.
    pub fn advance(&self, by: Duration) {
        self.shared.world().advance(by);
    }

    /// Removes all mails, text messages, events, calls and webhook deliveries, and undoes all changes
    /// of accounts. Keeps the clock, the faults, the delivery rules and the activity lag.
    pub fn reset(&self) {
        self.shared.world().reset();
    }

    /// Verifies a single sender now, as if its owner clicked the link that
    /// `/single_sender_emails/add` mails. Returns false if the master account has no such single
    /// sender.
    pub fn verify_sender(&self, address: &str) -> bool {
        let mut world = self.shared.world();
        single_sender_emails::verify(&mut world, AccountId::MASTER, address)
    }

    /// Waits until the data file ([`SandboxBuilder::data`]) cannot be written any more, because the disk
    /// is full for example, and returns why. From then on every request is answered with 500. Never
    /// returns without a data file.
    ///
    /// Requires the feature `data`.
    #[cfg(feature = "data")]
    pub async fn data_error(&self) -> io::Error {
        match self.shared.data.get() {
            Some(data) => io::Error::other(data.failed().await),
            None => std::future::pending().await,
        }
    }

    /// Waits for the next mail: the first call returns the first mail, the second call the second
    /// mail, and so on. Returns at once if the mail has already arrived, and skips dropped mails.
    /// `None` after `timeout`.
    ///
    /// Needs a tokio runtime with its timer enabled, such as those of `#[tokio::test]` and
    /// `#[tokio::main]`. Otherwise tokio panics.
    pub async fn wait_for_mail(&self, timeout: Duration) -> Option<Mail> {
        let next = async {
            let mut changes = self.shared.changes.subscribe();
            loop {
                let mail = self.shared.world().next_mail();
                if mail.is_some() {
                    return mail;
                }
                changes.changed().await.ok()?;
            }
        };
        tokio::time::timeout(timeout, next).await.ok().flatten()
    }

    /// Like [`wait_for_mail`](Self::wait_for_mail), for code without a runtime. It blocks its thread,
    /// so the sandbox must run on another one: [`Sandbox::start_blocking`].
    pub fn wait_for_mail_blocking(&self, timeout: Duration) -> Option<Mail> {
        let end = Instant::now().checked_add(timeout);
        loop {
            let mail = self.shared.world().next_mail();
            if mail.is_some() || end.is_some_and(|end| Instant::now() >= end) {
                return mail;
            }
            // tokio's channel has no blocking wait with a timeout.
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Waits until the port is closed, which is at once.
            let _ = thread.join();
        }
        #[cfg(feature = "data")]
        if let Some(data) = self.shared.data.get() {
            data.close();
        }
    }
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sandbox")
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

/// Builds a [`Sandbox`]. Returned by [`Sandbox::builder`].
///
/// `Debug` leaves out the keys.
#[must_use = "the builder does nothing until the sandbox is started"]
pub struct SandboxBuilder {
    settings: Settings,
    faults: Vec<Fault>,
    address: SocketAddr,
    on_call: Option<OnCall>,
    on_drop: Option<OnDrop>,
    on_give_up: Option<OnGiveUp>,
    #[cfg(feature = "data")]
    data: Option<PathBuf>,
}

impl fmt::Debug for SandboxBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SandboxBuilder")
            .field("enforce_senders", &self.settings.enforce_senders)
            .field("sender_domains", &self.settings.sender_domains)
            .field("ip_auth", &self.settings.ip_auth)
            .field("unknown_key_status", &self.settings.unknown_key_status)
            .field("strictness", &self.settings.strictness)
            .field("allow_missing_v3", &self.settings.allow_missing_v3)
            .field("stateless", &self.settings.stateless)
            .field("seed", &self.settings.seed)
            .field("access", &self.settings.access)
            .field("activity_lag", &self.settings.activity_lag)
            .field("budget", &self.settings.budget)
            .field("address", &self.address)
            .field("limits", &self.settings.limits)
            .field("smtp", &self.settings.smtp)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl SandboxBuilder {
    /// Sets the main key. Use an invented one, never a real key. Its format is not checked, except
    /// that starting fails if it is empty, has white space around it or has a control character.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        // The main key is always the first one.
        if let Some(main) = self.settings.keys.first_mut() {
            *main = ApiKey::new(key);
        }
        self
    }

    /// Adds another key, for example one for some endpoints only, of a subaccount, or with the status
    /// `blocked` or `sandbox`. If the same key was added before, the first one applies.
    pub fn api_key(mut self, key: ApiKey) -> Self {
        self.settings.keys.push(key);
        self
    }

    /// Whether to refuse unknown fields in requests with `NON_VALIDATING_IN_PAYLOAD`.
    ///
    /// Default: false. Then they are ignored, as by the service (see [`Call::ignored`]). The field
    /// `version` of `/email/send`, which official clients send, is always ignored.
    pub fn refuse_unknown(mut self, refuse: bool) -> Self {
        self.settings.strictness.unknown = refuse;
        self
    }

    /// Whether to refuse null where the spec does not allow it, and an empty string in an optional
    /// field, with `NON_VALIDATING_IN_PAYLOAD`. An empty string is accepted in edits, where it can clear
    /// a value, as the content of a file, and in fields whose default in the spec is empty.
    ///
    /// Default: false. Then null and, except in edits, an empty string are treated as absent, as by the
    /// service.
    pub fn refuse_null(mut self, refuse: bool) -> Self {
        self.settings.strictness.nulls = refuse;
        self
    }

    /// Sets both [`refuse_unknown`](Self::refuse_unknown) and [`refuse_null`](Self::refuse_null).
    ///
    /// With both, requests must match the spec exactly: other forms that official clients send are
    /// refused. Also checks the sandbox's own replies against the spec; a mismatch, which is a bug of
    /// the sandbox, gets status 500.
    pub fn strict(mut self, strict: bool) -> Self {
        self.settings.strictness = match strict {
            true => Strictness::FULL,
            false => Strictness::default(),
        };
        self
    }

    /// Whether calls are served without `/v3` in their path too. Default: no; they are refused with
    /// 404, as by the service, and the error names the path to call.
    pub fn allow_missing_v3(mut self, allow: bool) -> Self {
        self.settings.allow_missing_v3 = allow;
        self
    }

    /// Sets the status for an unknown key, from 400 to 599. Default: 401, as documented. The service
    /// was also seen to send 500 with the same envelope and text, which clients should treat the
    /// same.
    pub fn unknown_key_status(mut self, status: u16) -> Self {
        self.settings.unknown_key_status = status;
        self
    }

    /// Whether to reply to every valid request with the spec's example, for tools that test contracts.
    /// Then only calls are recorded. Default: false.
    pub fn stateless(mut self, stateless: bool) -> Self {
        self.settings.stateless = stateless;
        self
    }

    /// Sets the seed of generated values, such as the ids of events, and of faults that have a
    /// probability. The same calls with the same seed get the same values. Default: 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Whether to post events to webhooks on other machines. Default: false. Then only loopback
    /// addresses and `localhost` receive events, so that no test sends anything by mistake. In both
    /// cases the URL must start with `http://`: the sandbox has no TLS, and gives up deliveries to
    /// `https://` at once.
    pub fn remote_webhooks(mut self, allowed: bool) -> Self {
        self.settings.remote_webhooks = allowed;
        self
    }

    /// Sets the factor by which retries of failed webhook deliveries are faster than at the service.
    /// Default: 3600, so that an hour takes a second. 1 is the service's schedule, for tests that use
    /// [`Sandbox::advance`]: 5 attempts in 30 minutes, then one every hour for a day, every 6 hours
    /// for a day, and every 12 hours for a day.
    pub fn webhook_speed(mut self, times: u32) -> Self {
        self.settings.webhook_speed = times;
        self
    }

    /// Sets the time limit for a webhook endpoint's reply, by the system's clock. Default: 10 seconds,
    /// as at the service.
    pub fn webhook_timeout(mut self, limit: Duration) -> Self {
        self.settings.webhook_timeout = limit;
        self
    }

    /// Sets the time from an event until `/activity/search` finds it, by the sandbox's clock.
    /// Default: zero, so that a test finds an event at once. SMTP2GO takes about two minutes.
    ///
    /// ```
    /// use std::time::Duration;
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let lag = Duration::from_secs(120);
    /// let sandbox = Sandbox::builder().activity_lag(lag).start_blocking()?;
    /// sandbox.freeze();
    /// // The code under test sends a mail; a search does not find it yet.
    /// sandbox.advance(lag);
    /// // Now it does.
    /// # Ok(())
    /// # }
    /// ```
    pub fn activity_lag(mut self, lag: Duration) -> Self {
        self.settings.activity_lag = lag;
        self
    }

    /// Sets the port to listen on. Default: 0, any free port.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// Sets the address to listen on. Default: 127.0.0.1. An address beyond loopback, such as 0.0.0.0,
    /// needs [`expose`](Self::expose).
    pub fn host(mut self, host: IpAddr) -> Self {
        self.address.set_ip(host);
        self
    }

    /// Whether [`host`](Self::host) may be an address that other machines can reach. Default: false.
    /// Needs your own [`key`](Self::key) of at least 16 characters, which the inbox and the admin
    /// endpoints then require too.
    pub fn expose(mut self, expose: bool) -> Self {
        self.settings.access.exposed = expose;
        self
    }

    /// Adds a host name that browsers may use for the inbox, such as the name of a container. By
    /// default, browsers may use `localhost`, names below it and IP addresses: only loopback ones, or
    /// all if the sandbox is [exposed](Self::expose). Pages on any other name are refused, because a
    /// site can have its name resolve to this machine (DNS rebinding).
    ///
    /// Programs need an allowed name only for a GET of `/_sandbox` or the inbox by a name that someone
    /// can own on the internet, and only if the sandbox is not exposed. Names without a dot, and names
    /// below `.internal`, `.local`, `.localhost`, `.test` and `.home.arpa`, never need it.
    pub fn allowed_host(mut self, name: impl Into<String>) -> Self {
        let name = name.into().to_ascii_lowercase();
        self.settings.access.hosts.push(name);
        self
    }

    /// Sets the maximum number of open connections, including idle ones. Default: 512. Another
    /// connection gets status 503 and is closed. Connections that a [`Fault`] delays or stalls don't
    /// count. The inbox's event streams and requests to `/_sandbox/mails` with `wait=` use at most a
    /// quarter of this number.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.settings.limits.connections = most;
        self
    }

    /// Sets the time limit for the head of a request, by the system's clock. Default: 30 seconds. For
    /// the first request of a connection, the time starts when the connection is accepted. A head that
    /// takes longer gets status 408, and the connection is closed.
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.head = limit;
        self
    }

    /// Sets how long a connection may be idle, by the system's clock. Default: 120 seconds. Limits the
    /// time between two requests, between two chunks of a body (which gets status 408), and until the
    /// client reads more of a reply. After the time limit, the connection is closed. Connections that a
    /// [`Fault`] delays or stalls are not limited.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.idle = limit;
        self
    }

    /// Sets a function that receives every call with its outcome, before the client receives the
    /// reply. Use it for a log. The function must not call the sandbox. If set again, the last one
    /// applies.
    pub fn on_call(mut self, on_call: impl Fn(&Call) + Send + Sync + 'static) -> Self {
        self.on_call = Some(Box::new(on_call));
        self
    }

    /// Sets the number of mails to keep; the oldest are dropped. Default: 200,000. The minimum is 1.
    /// Mail that waits for its `schedule` is kept in addition.
    ///
    /// A mail is dropped together with its events, its webhook deliveries and its call, and its
    /// pending jobs, such as webhook retries, are cancelled. Totals, statistics and
    /// [`assert_mails`](Sandbox::assert_mails) still count it. [`Sandbox::dropped`] returns the number
    /// of dropped mails.
    pub fn keep_mails(mut self, count: usize) -> Self {
        self.settings.budget.mails = count.max(1);
        self
    }

    /// Sets the approximate memory for mails, text messages, events, webhook deliveries and calls, in
    /// bytes. Default: 1 GiB, which has room for 100,000 mails of 2 KB. Beyond it, the oldest are
    /// dropped; the newest mail is always kept.
    ///
    /// Calls that sent nothing get an eighth of the memory. Mail that waits for its `schedule` is not
    /// dropped; if it takes seven sixteenths, further scheduled mail is refused.
    ///
    /// Other memory is not included. The bodies of requests in progress may take half of this value
    /// (at least 128 MiB) if the requests have a known key in a header. The bodies of other requests
    /// may take 128 MiB. A request beyond these limits gets status 503. The inbox's search takes up
    /// to a quarter of this value.
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.settings.budget.bytes = bytes;
        self
    }

    /// Sets a function that is called after the first drop ([`keep_mails`](Self::keep_mails),
    /// [`keep_bytes`](Self::keep_bytes)), and again each time the total has grown tenfold. It receives
    /// the totals so far. The function must not call the sandbox. If set again, the last one applies.
    pub fn on_drop(mut self, on_drop: impl Fn(&Dropped) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(on_drop));
        self
    }

    /// Sets a function that is called with every webhook delivery that was given up
    /// ([`WebhookState::GivenUp`](crate::WebhookState::GivenUp)), at most once each time. It runs on a thread of the server and must
    /// not block. If set again, the last one applies.
    pub fn on_give_up(
        mut self,
        on_give_up: impl Fn(&WebhookDelivery) + Send + Sync + 'static,
    ) -> Self {
        self.on_give_up = Some(Box::new(on_give_up));
        self
    }

    /// Whether to refuse mail from an unverified sender with status 400, as the service does. A sender
    /// is verified if it is a verified single sender or in a verified sender domain of the account.
    /// Default: false. Then every address may send.
    ///
    /// `/domain/verify` verifies a domain; otherwise it is verified 7 minutes after it was added. A
    /// domain with the label `unpublished` is never verified: it simulates missing DNS records. A
    /// single sender is verified one second after it was added, unless it starts with `unverified`;
    /// see [`Sandbox::verify_sender`].
    pub fn enforce_senders(mut self, enforce: bool) -> Self {
        self.settings.enforce_senders = enforce;
        self
    }

    /// Sets domains of the master account that are verified from the start and shared with all
    /// subaccounts. Also turns [`enforce_senders`](Self::enforce_senders) on: mail from any other
    /// domain, including subdomains, is refused. With an empty list, all mail is refused until a
    /// sender is verified.
    pub fn sender_domains<I>(mut self, domains: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let domains = domains
            .into_iter()
            .map(|domain| domain.as_ref().to_lowercase());
        self.settings.sender_domains = domains.collect();
        self.settings.enforce_senders = true;
        self
    }

    /// Adds an IP address of the master account that may send over SMTP without a password, for
    /// `/ip_auth`. The API has no call to add one.
    pub fn ip_auth(mut self, address: IpAddr) -> Self {
        self.settings.ip_auth.push(address.to_string());
        self
    }

    /// Sets the port of [`host`](Self::host) on which the sandbox also accepts mail over SMTP. 0 is any
    /// free port; [`Sandbox::smtp_address`] returns it. Default: no SMTP.
    ///
    /// Clients log in by AUTH PLAIN or LOGIN, without TLS. A mail has the same effects as one sent to
    /// `/email/mime`, except that its recipients are those of the SMTP envelope. The limits on
    /// connections, time and memory apply to SMTP and HTTP together. A [`Fault`] applies to HTTP calls
    /// only.
    ///
    /// ```
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::builder().smtp(0).start_blocking()?;
    /// let address = sandbox.smtp_address().unwrap();
    /// let (username, password) = (sandbox.smtp_username(), sandbox.key());
    /// // The code under test sends over SMTP.
    /// # let _ = (address, username, password);
    /// # Ok(())
    /// # }
    /// ```
    pub fn smtp(mut self, port: u16) -> Self {
        self.settings.smtp = Some(port);
        self
    }

    /// Adds a fault, which makes calls fail on purpose, like [`Faults::add`] after the start.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Saves the sandbox's state in a file, a [redb](https://docs.rs/redb) database. Creates the file if
    /// it is missing. A sandbox that starts with an existing file restores its state. Every change that
    /// the earlier sandbox replied to is there, even if it was killed. Default: no file.
    ///
    /// The file contains mails and text messages with their contents and events, scheduled mails and
    /// mails in transit, API keys, SMTP users, webhooks, templates, suppressions, domains, subaccounts
    /// and all other state of accounts, delivery rules ([`Delivery::on`](crate::Delivery::on)), the
    /// clock if it was advanced or frozen, and the last ids, so that no id repeats. Data that
    /// [`reset`](Sandbox::reset) or [`keep_bytes`](Self::keep_bytes) drops is also removed from the file.
    ///
    /// The file does not contain calls, [webhook deliveries](Sandbox::webhook_deliveries) (pending ones
    /// are lost), faults, calls counted for rate limits, and settings of this builder. The API keys,
    /// sender domains and IP addresses of this builder are added at each start if they are missing. An
    /// API key that an earlier builder set and this one does not set is removed.
    ///
    /// The sandbox replies after the changes are in the file. Each request that changes something costs
    /// an fsync, which concurrent requests share. Methods of [`Sandbox`] start writing at once and don't
    /// wait for it. Dropping the sandbox waits until everything is written.
    ///
    /// [`start`](Self::start) fails if another sandbox has the file open, if the file is damaged, has
    /// another format or is not a sandbox's, and with [`stateless`](Self::stateless). It does not
    /// change the file then. If the file cannot be written later, requests get status 500; see
    /// [`Sandbox::data_error`].
    ///
    /// Requires the feature `data`, which `cli` enables.
    ///
    /// ```no_run
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::builder().data("sandbox.redb").start_blocking()?;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "data")]
    pub fn data(mut self, path: impl Into<PathBuf>) -> Self {
        self.data = Some(path.into());
        self
    }

    /// Starts the sandbox on the caller's tokio runtime, which must have I/O and time enabled
    /// (otherwise tokio panics). A test that blocks its only thread also blocks the sandbox: use
    /// [`SandboxBuilder::start_blocking`] there.
    ///
    /// # Errors
    ///
    /// Fails outside of a tokio runtime, if the port can't be opened, if a key, an allowed host or a
    /// sender domain is empty, has white space around it or has a control character, or if a setting
    /// is out of range.
    pub async fn start(mut self) -> io::Result<Sandbox> {
        let runtime = runtime::Handle::try_current().map_err(io::Error::other)?;
        let (listener, base_url) = listen(&mut self)?;
        let (smtp, smtp_address) = listen_for_smtp(&self)?.unzip();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // It may read a large file.
        let made = base_url.clone();
        let shared = runtime.spawn_blocking(move || self.shared(&made));
        let shared = shared.await.map_err(io::Error::other)??;
        shared.runs_on(runtime.clone());
        let (stop, stopped) = oneshot::channel();
        let listener = FaultyListener::new(listener, Arc::clone(&shared));
        let router = server::router(Arc::clone(&shared));
        let router = router.into_make_service_with_connect_info::<Control>();
        let server = axum::serve(listener, router).with_graceful_shutdown(until_dropped(stopped));
        runtime.spawn(world::run(Arc::downgrade(&shared)));
        runtime.spawn(async { server.await });
        serve_smtp(smtp, &shared)?;
        Ok(Sandbox {
            base_url,
            smtp_address,
            shared,
            stop: Some(stop),
            thread: None,
        })
    }

    /// Starts the sandbox on a thread of its own. Works with or without a tokio runtime.
    ///
    /// # Errors
    ///
    /// Fails if the port can't be opened or the thread can't be started, if a key, an allowed host or
    /// a sender domain is empty, has white space around it or has a control character, or if a setting
    /// is out of range.
    pub fn start_blocking(mut self) -> io::Result<Sandbox> {
        let (listener, base_url) = listen(&mut self)?;
        let (smtp, smtp_address) = listen_for_smtp(&self)?.unzip();
        let shared = self.shared(&base_url)?;
        let in_thread = Arc::clone(&shared);
        let run = world::run(Arc::downgrade(&shared));
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("smtp2go-sandbox".to_owned())
            .spawn(move || {
                let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                in_thread.runs_on(runtime.handle().clone());
                runtime.block_on(async {
                    let listener = tokio::net::TcpListener::from_std(listener);
                    match listener.and_then(|listener| {
                        serve_smtp(smtp, &in_thread)?;
                        Ok(listener)
                    }) {
                        Ok(listener) => {
                            let router = server::router(Arc::clone(&in_thread));
                            let router = router.into_make_service_with_connect_info::<Control>();
                            let listener = FaultyListener::new(listener, in_thread);
                            tokio::spawn(run);
                            tokio::spawn(async { axum::serve(listener, router).await });
                            drop(ready.send(Ok(())));
                            until_dropped(stopped).await;
                        }
                        Err(error) => drop(ready.send(Err(error))),
                    }
                });
                // Ends the server and its connections without waiting for work on other threads.
                runtime.shutdown_background();
            })?;
        let sandbox = Sandbox {
            base_url,
            smtp_address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        };
        started.recv().map_err(io::Error::other)??;
        Ok(sandbox)
    }

    fn shared(self, base_url: &str) -> io::Result<Arc<Shared>> {
        let api = Api::embedded().map_err(io::Error::other)?;
        let shared = Shared::new(api, self.settings);
        #[cfg(feature = "data")]
        if let Some(path) = &self.data {
            shared.open_data(path)?;
        }
        for fault in self.faults {
            shared.rules.add(fault);
        }
        let mut token = [0; 16];
        getrandom::fill(&mut token).map_err(|error| io::Error::other(error.to_string()))?;
        let token: String = token.iter().map(|byte| format!("{byte:02x}")).collect();
        // `shared` is new, so that none of these was set before.
        let _ = shared.base_url.set(base_url.to_owned());
        let _ = shared.page_token.set(token);
        if let Some(on_call) = self.on_call {
            let _ = shared.on_call.set(on_call);
        }
        if let Some(on_drop) = self.on_drop {
            let _ = shared.on_drop.set(on_drop);
        }
        if let Some(on_give_up) = self.on_give_up {
            let _ = shared.on_give_up.set(on_give_up);
        }
        Ok(shared)
    }
}

/// Checks the settings and opens the port. Clears `exposed` if the address is a loopback address.
fn listen(builder: &mut SandboxBuilder) -> io::Result<(TcpListener, String)> {
    let settings = &builder.settings;
    for key in &settings.keys {
        check_text("API key", &key.secret)?;
    }
    for host in &settings.access.hosts {
        check_text("allowed host", host)?;
    }
    for domain in &settings.sender_domains {
        check_text("sender domain", domain)?;
    }
    let status = settings.unknown_key_status;
    if !(400..=599).contains(&status) {
        return Err(invalid(format!(
            "unknown_key_status: {status} is not in the range 400 to 599"
        )));
    }
    #[cfg(feature = "data")]
    if let Some(path) = builder.data.as_ref().filter(|_| settings.stateless) {
        return Err(invalid(format!(
            "{}: a stateless sandbox keeps nothing in a data file",
            path.display()
        )));
    }
    let (address, access) = (builder.address, &mut builder.settings.access);
    if address.ip().is_loopback() {
        access.exposed = false;
    } else {
        let host = address.ip();
        if !access.exposed {
            return Err(invalid(format!(
                "{host} can be reached from other machines: set expose (--expose) to allow this"
            )));
        }
        let key = builder.settings.keys.first();
        let key = key.map_or(DEFAULT_KEY, |key| &key.secret);
        if key == DEFAULT_KEY || key.chars().count() < SHORTEST_KEY {
            return Err(invalid(format!(
                "{host} can be reached from other machines: set a key of your own with at least \
                 {SHORTEST_KEY} characters"
            )));
        }
    }
    let (listener, address) = bind(address)?;
    Ok((listener, format!("http://{address}/v3")))
}

/// Opens the port for SMTP, if it is to be served.
fn listen_for_smtp(builder: &SandboxBuilder) -> io::Result<Option<(TcpListener, SocketAddr)>> {
    let Some(port) = builder.settings.smtp else {
        return Ok(None);
    };
    if builder.settings.stateless {
        return Err(invalid(
            "a stateless sandbox keeps no mail, and so has no SMTP".to_owned(),
        ));
    }
    bind(SocketAddr::new(builder.address.ip(), port)).map(Some)
}

/// Serves SMTP on the current runtime, if its port is open.
fn serve_smtp(listener: Option<TcpListener>, shared: &Arc<Shared>) -> io::Result<()> {
    if let Some(listener) = listener {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        tokio::spawn(smtp::serve(listener, Arc::clone(shared)));
    }
    Ok(())
}

/// Opens a port. Also returns the address at which this machine reaches it.
fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    listener.set_nonblocking(true)?;
    let mut address = listener.local_addr()?;
    // Replaces an unspecified address by one that clients on this machine can connect to.
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok((listener, address))
}

/// Refuses an empty setting and one with stray white space, which come from unset variables and from
/// line breaks in files.
fn check_text(what: &str, text: &str) -> io::Result<()> {
    let fault = if text.trim().is_empty() {
        "is empty"
    } else if text.trim().len() != text.len() {
        "has white space around it"
    } else if text.contains(char::is_control) {
        "has a control character"
    } else {
        return Ok(());
    };
    Err(invalid(format!("{what}: {fault}")))
}

fn invalid(message: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// Waits until the other end of the channel is dropped.
async fn until_dropped(stopped: oneshot::Receiver<()>) {
    // Nothing is ever sent: the only outcome is the error of a closed channel.
    let _ = stopped.await;
}
