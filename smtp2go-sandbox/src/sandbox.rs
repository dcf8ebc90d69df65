//! Starting and stopping a sandbox, and looking into it.

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
use crate::world::{self, OnCall, OnDrop, Settings, Shared, Strictness};

/// Made up, in the form of a real key: `api-` and 32 letters or digits.
pub(crate) const DEFAULT_KEY: &str = "api-SANDBOX0SANDBOX0SANDBOX0SANDBOX0";

/// What a key has to have beyond the loopback address, where it is all that protects the mail.
const SHORTEST_KEY: usize = 16;

/// A running local SMTP2GO, on a port of its own of 127.0.0.1. It stops when it is dropped.
///
/// After the drop new connections are refused and idle ones closed. With [`Sandbox::start`] a
/// request that is being received at that moment may still be answered.
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
    /// Starts a sandbox with the default key, to which every sender is allowed, on the caller's
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// As [`SandboxBuilder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// Starts a sandbox like [`Sandbox::start`], but on a thread of its own, for tests without a
    /// runtime or with blocking clients.
    ///
    /// # Errors
    ///
    /// As [`SandboxBuilder::start_blocking`].
    pub fn start_blocking() -> io::Result<Self> {
        Self::builder().start_blocking()
    }

    /// A sandbox to be set up before it starts.
    pub fn builder() -> SandboxBuilder {
        SandboxBuilder {
            settings: Settings::with_keys(vec![ApiKey::new(DEFAULT_KEY)]),
            faults: Vec::new(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            on_call: None,
            on_drop: None,
            #[cfg(feature = "data")]
            data: None,
        }
    }

    /// The address of the inbox, a page for a browser that shows what was sent:
    /// `http://127.0.0.1:PORT/`.
    pub fn inbox_url(&self) -> String {
        format!("{}/", self.base_url.trim_end_matches("/v3"))
    }

    /// The base URL for a client, `http://127.0.0.1:PORT/v3`. Without `/v3` calls are refused, unless
    /// [`SandboxBuilder::allow_missing_v3`] lets them through. The admin endpoints are below
    /// `/_sandbox` (see the [crate's documentation](crate#admin-endpoints)).
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The address for SMTP clients, `127.0.0.1:PORT`; `None` unless [`SandboxBuilder::smtp`] switched
    /// SMTP on. The server has no TLS. Clients log in as [`smtp_username`](Self::smtp_username) with
    /// [`key`](Self::key) as the password, or as a user of `/users/smtp/add`.
    pub fn smtp_address(&self) -> Option<SocketAddr> {
        self.smtp_address
    }

    /// The name of the SMTP user that every sandbox has: `sandbox`. Its password is the main
    /// [`key`](Self::key), and its mail is of that key's account and status.
    pub fn smtp_username(&self) -> &str {
        smtp::USERNAME
    }

    /// The main key, of the master account, which may do everything; a made-up one of 36 characters
    /// by default.
    pub fn key(&self) -> &str {
        // The builder always has one.
        let mut keys = self.shared.settings.keys.iter();
        keys.next().map_or(DEFAULT_KEY, |key| &key.secret)
    }

    /// The mails that were accepted so far and are kept, in order; for a batch one per item.
    pub fn mails(&self) -> Vec<Mail> {
        self.shared.world().mails.to_vec()
    }

    /// The calls so far that are kept, in order, refused ones and those that a [`Fault`] struck included. A
    /// request that the client broke off is not among them.
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

    /// How many connections clients have open to it, idle ones included.
    pub fn open_connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The faults that make calls fail on purpose: none at first, unless
    /// [`SandboxBuilder::fault`] set some up.
    pub fn faults(&self) -> Faults {
        Faults::new(Arc::clone(&self.shared))
    }

    /// What happened to the mails so far, in order: each is processed, and delivered to each of its
    /// recipients a moment later.
    pub fn events(&self) -> Vec<Arc<Event>> {
        self.shared.world().events.to_vec()
    }

    /// What becomes of the mail: rules for it, and what happens on demand, such as a bounce or a
    /// click.
    pub fn delivery(&self) -> Delivery {
        Delivery::new(Arc::clone(&self.shared))
    }

    /// The text messages that were accepted so far, in order; one per destination.
    pub fn sms(&self) -> Vec<Sms> {
        self.shared.world().sms.to_vec()
    }

    /// Somebody sends a text message to the master account: `from` is their number, `to` the
    /// account's. `/sms/view-received` shows it. STOP, and words like it, opt out: what is sent to
    /// that number afterwards is rejected.
    pub fn receive_sms(&self, from: &str, to: &str, content: &str) {
        let mut world = self.shared.world();
        sms::receive(&mut world, AccountId::MASTER, from, to, content);
    }

    /// The events that were posted to webhooks or are to be, in order: one for each webhook that
    /// asked for the event, with its attempts.
    ///
    /// An endpoint that does not answer with a status from 200 to 299 within 10 seconds gets the
    /// event again: up to 35 times, at the times of the service's schedule, on which an hour passes
    /// in a second (see [`SandboxBuilder::webhook_speed`]).
    pub fn webhook_deliveries(&self) -> Vec<WebhookDelivery> {
        let world = self.shared.world();
        world.outbox.deliveries.to_vec()
    }

    /// Waits until everything that is to be posted to webhooks by now was posted and answered, or
    /// not answered in time. What is to be tried again later is not waited for. False if `timeout`
    /// passes first.
    ///
    /// Needs a tokio runtime, as [`wait_for_mail`](Self::wait_for_mail) does.
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

    /// Posts an event to its webhook once more, whatever became of it before; `delivery` is its
    /// place in [`webhook_deliveries`](Self::webhook_deliveries), where dropped ones count. False if
    /// there is none, or it is just being posted.
    pub fn post_webhook_again(&self, delivery: usize) -> bool {
        webhooks::post_again(&mut self.shared.world(), delivery)
    }

    /// Sets how long after it happened an event is found by `/activity/search`, by the sandbox's
    /// clock. Applies to past events too: see [`SandboxBuilder::activity_lag`].
    pub fn set_activity_lag(&self, lag: Duration) {
        self.shared.world().activity_lag = lag;
    }

    /// The time in the sandbox: the system's, unless it was frozen or advanced.
    pub fn now(&self) -> SystemTime {
        self.shared.world().now()
    }

    /// Stops the sandbox's clock. What is to happen later, such as deliveries and scheduled mail,
    /// waits for [`advance`](Self::advance), so that a test sees each step.
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

    /// Lets a clock that was frozen run again, from where it is, or from the system's time if that
    /// is later.
    pub fn resume(&self) {
        self.shared.world().resume();
    }

    /// Moves the sandbox's clock on, frozen or not. What comes due on the way has happened when this
    /// returns, in order, each thing at its own time.
    pub fn advance(&self, by: Duration) {
        self.shared.world().advance(by);
    }

    /// Forgets all mails, events and calls and all changes of accounts: what the sandbox has is what
    /// it had at its start. Its clock, its faults, its rules of delivery and the activity's lag stay as
    /// they are.
    pub fn reset(&self) {
        self.shared.world().reset();
    }

    /// Follows the link that `/single_sender_emails/add` mails to an address, so that it is verified
    /// now. False if it is no single sender of the master account.
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
    /// one, and so on, at once if it is there already. One that was dropped meanwhile is passed over.
    /// `None` if `timeout` passes first.
    ///
    /// Needs a tokio runtime with its timer enabled, which those of `#[tokio::test]` and
    /// `#[tokio::main]` are; tokio panics otherwise.
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

    /// As [`wait_for_mail`](Self::wait_for_mail), for code without a runtime. It blocks its thread,
    /// so it needs a sandbox on another one: [`Sandbox::start_blocking`].
    pub fn wait_for_mail_blocking(&self, timeout: Duration) -> Option<Mail> {
        let end = Instant::now().checked_add(timeout);
        loop {
            let mail = self.shared.world().next_mail();
            if mail.is_some() || end.is_some_and(|end| Instant::now() >= end) {
                return mail;
            }
            // There is no waiting for a channel of tokio's with a limit outside of a runtime.
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shared.stopping.send_replace(true);
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It ends at once. Waiting for it makes sure that the port is closed.
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

/// The settings of a [`Sandbox`] that is yet to be started; made by [`Sandbox::builder`].
///
/// `Debug` leaves out the key.
#[must_use = "a sandbox has to be started"]
pub struct SandboxBuilder {
    settings: Settings,
    faults: Vec<Fault>,
    address: SocketAddr,
    on_call: Option<OnCall>,
    on_drop: Option<OnDrop>,
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
    /// The main key, in place of the default one. Make one up: a real key has no business here. Its
    /// form is not checked, but an empty one, or one with white space around it, does not start.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        // It is always there, and first.
        if let Some(main) = self.settings.keys.first_mut() {
            *main = ApiKey::new(key);
        }
        self
    }

    /// Another key that the sandbox knows: one for some endpoints only, for a subaccount, disabled,
    /// or on trial. If it is the same as one before, that one counts.
    pub fn api_key(mut self, key: ApiKey) -> Self {
        self.settings.keys.push(key);
        self
    }

    /// Whether fields that the specification does not know are refused, with
    /// `NON_VALIDATING_IN_PAYLOAD`. Default: no; they are ignored, as by the service, and
    /// [`Call::ignored`] names them. The field `version` of `/email/send`, which official clients send,
    /// is ignored either way.
    pub fn refuse_unknown(mut self, refuse: bool) -> Self {
        self.settings.strictness.unknown = refuse;
        self
    }

    /// Whether null is refused where the specification does not allow it, and an empty text of an
    /// optional field is taken as it is. Default: no; both count as absent, as at the service. In edits
    /// an empty text is always taken as it is.
    pub fn refuse_null(mut self, refuse: bool) -> Self {
        self.settings.strictness.nulls = refuse;
        self
    }

    /// Sets both [`refuse_unknown`](Self::refuse_unknown) and [`refuse_null`](Self::refuse_null). With
    /// both, requests are held to the specification alone, without what official clients send in another
    /// form, and so are the sandbox's own replies: one that is not as specified becomes a 500, which is
    /// a mistake of the sandbox.
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

    /// The status of a refusal for a key that the sandbox does not know, from 400 to 599. Default: 401,
    /// as documented. The service has been seen to answer with 500, which clients have to take for
    /// the same: it is in the same envelope, with the same text.
    pub fn unknown_key_status(mut self, status: u16) -> Self {
        self.settings.unknown_key_status = status;
        self
    }

    /// Whether every request that is allowed is answered with the specification's example, for
    /// tools that check contracts. Nothing is kept but the calls. Off by default.
    pub fn stateless(mut self, stateless: bool) -> Self {
        self.settings.stateless = stateless;
        self
    }

    /// The seed of what is made up, such as ids of events; 0 by default. The same calls with the
    /// same seed get the same values.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Whether events may be posted to webhooks on other machines. By default they go to loopback
    /// addresses and `localhost` only, so that no test reaches the outside by mistake. It takes
    /// `http://` either way: the sandbox has no TLS, and gives up on `https://` at once.
    pub fn remote_webhooks(mut self, allowed: bool) -> Self {
        self.settings.remote_webhooks = allowed;
        self
    }

    /// How many times faster than at the service events are posted again after a failure: 3600 by
    /// default, so that an hour is a second. With 1 it is the service's schedule, to go with
    /// [`Sandbox::advance`]: 5 attempts in 30 minutes, then one an hour for a day, every 6 hours for
    /// a day, and every 12 hours for a day.
    pub fn webhook_speed(mut self, times: u32) -> Self {
        self.settings.webhook_speed = times;
        self
    }

    /// How long a webhook's endpoint may take to answer, by the system's clock: 10 seconds by
    /// default, as at the service.
    pub fn webhook_timeout(mut self, limit: Duration) -> Self {
        self.settings.webhook_timeout = limit;
        self
    }

    /// How long after it happened an event is found by `/activity/search`, by the sandbox's clock.
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

    /// The port to listen on; 0, the default, is any free one.
    pub fn port(mut self, port: u16) -> Self {
        self.address.set_port(port);
        self
    }

    /// The address to listen on, 127.0.0.1 by default. One beyond the loopback address, such as
    /// 0.0.0.0, has to be allowed by [`expose`](Self::expose).
    pub fn host(mut self, host: IpAddr) -> Self {
        self.address.set_ip(host);
        self
    }

    /// Whether [`host`](Self::host) may be an address that other machines can reach. Not by
    /// default, and with the default key not at all: it takes a [`key`](Self::key) of one's own, of
    /// 16 characters or more, which the admin endpoints want too then.
    pub fn expose(mut self, expose: bool) -> Self {
        self.settings.access.exposed = expose;
        self
    }

    /// Adds a name under which a browser may use the inbox, such as that of a container. By default
    /// these are `localhost`, names below it, and IP addresses: of the loopback only, or any if the
    /// sandbox is [exposed](Self::expose). Pages under any other name are refused, since a site can
    /// re-point its name to this machine (DNS rebinding).
    ///
    /// Programs need it only to GET from `/_sandbox` by a name that somebody can own on the internet,
    /// and only if the sandbox is not exposed. Names without a dot, and below `.internal`, `.local`,
    /// `.localhost`, `.test` and `.home.arpa`, need it never.
    pub fn allowed_host(mut self, name: impl Into<String>) -> Self {
        let name = name.into().to_ascii_lowercase();
        self.settings.access.hosts.push(name);
        self
    }

    /// How many connections clients may have open at a time, idle ones included: 512 by default.
    /// One more is answered with 503 and closed. Those that a [`Fault`] has wait do not count. The
    /// inbox's event streams and `wait=` of `/_sandbox/mails` use at most a quarter.
    pub fn max_connections(mut self, most: usize) -> Self {
        self.settings.limits.connections = most;
        self
    }

    /// How long the head of a request may take to arrive, by the system's clock: 30 seconds by
    /// default. For the first request of a connection that is from when it was accepted. A head that
    /// takes longer is answered with 408 and the connection closed. Over SMTP this limits the time for a
    /// command until the client has logged in (answered with 421).
    pub fn head_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.head = limit;
        self
    }

    /// How long nothing may happen on a connection, by the system's clock: 120 seconds by default.
    /// This limits the time between two requests, between two chunks of a body (answered with 408),
    /// and until the client reads more of an answer. The connection is closed then. A [`Fault`] that
    /// waits on purpose is never ended. Over SMTP this limits the time for a command after the login, and
    /// between two chunks of a message (answered with 421).
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.settings.limits.idle = limit;
        self
    }

    /// Calls a function with every call, when it is known what became of it and before the client
    /// has its answer: for a log. It must not call the sandbox. The last one that is set counts.
    pub fn on_call(mut self, on_call: impl Fn(&Call) + Send + Sync + 'static) -> Self {
        self.on_call = Some(Box::new(on_call));
        self
    }

    /// How many mails are kept: the newest. Default: 200,000. At least one is, and mail that waits for
    /// its `schedule` is kept beyond that.
    ///
    /// A mail is dropped with its events, its webhook deliveries and its call. Whatever was still to
    /// happen to it, such as the next attempt at a webhook, is called off. Totals, figures and
    /// [`assert_mails`](Sandbox::assert_mails) still count it, and [`Sandbox::dropped`] returns how
    /// many there are.
    pub fn keep_mails(mut self, count: usize) -> Self {
        self.settings.budget.mails = count.max(1);
        self
    }

    /// Approximate memory for mails, text messages, events, webhook deliveries and calls, in bytes.
    /// Default: 1 GiB, which has room for 100,000 mails of 2 KB. Beyond it the oldest are dropped; the
    /// newest mail is kept whatever its size.
    ///
    /// Calls that sent nothing get an eighth of it. Mail that waits for its `schedule` is not
    /// dropped; when it takes up seven sixteenths, no more is scheduled.
    ///
    /// Bodies of requests that are not answered yet take memory besides: with a known key in a header
    /// up to half as much, or 128 MiB if that is more, and 128 MiB without one. A request beyond that
    /// is answered with 503. What the inbox searches takes up to a quarter as much besides.
    pub fn keep_bytes(mut self, bytes: usize) -> Self {
        self.settings.budget.bytes = bytes;
        self
    }

    /// Calls a function after the first drop ([`keep_mails`](Self::keep_mails),
    /// [`keep_bytes`](Self::keep_bytes)), and again each time the total has grown tenfold. It receives
    /// the totals so far, and must not call the sandbox. The last one that is set counts.
    pub fn on_drop(mut self, on_drop: impl Fn(&Dropped) + Send + Sync + 'static) -> Self {
        self.on_drop = Some(Box::new(on_drop));
        self
    }

    /// Whether mail from an unverified sender is refused, with 400, as by the service: from an
    /// address that is neither a verified single sender nor of a verified sender domain of the
    /// account. By default every address may send.
    ///
    /// A domain is verified by `/domain/verify`, or by itself 7 minutes after it was added, unless
    /// a label of it is `unpublished`: that stands for a domain without its DNS records. A single
    /// sender is verified a second after it was added, unless it begins with `unverified`; see
    /// [`Sandbox::verify_sender`].
    pub fn enforce_senders(mut self, enforce: bool) -> Self {
        self.settings.enforce_senders = enforce;
        self
    }

    /// Domains of the master account that are verified from the start, and lent to all subaccounts.
    /// Senders are enforced then (see [`enforce_senders`](Self::enforce_senders)): mail from any
    /// other domain is refused, and with an empty list all mail is, until a sender is verified.
    /// Subdomains count as other domains.
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

    /// An IP address that may send over SMTP without a password, for `/ip_auth`: the API has no call
    /// to add one. It belongs to the master account.
    pub fn ip_auth(mut self, address: IpAddr) -> Self {
        self.settings.ip_auth.push(address.to_string());
        self
    }

    /// Accepts mail over SMTP too, on this port of [`host`](Self::host); 0 is any free one, which
    /// [`Sandbox::smtp_address`] returns. By default there is no SMTP.
    ///
    /// Clients log in by AUTH PLAIN or LOGIN, without TLS. Mail has the same effect as that of
    /// `/email/mime`, except that its recipients are those of the SMTP envelope. The limits on
    /// connections, their time and their memory are shared with HTTP. A [`Fault`] strikes calls over
    /// HTTP only.
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

    /// Adds a fault, which makes calls fail on purpose, as [`Faults::add`] does later.
    pub fn fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Keeps what the sandbox knows in a file: a [redb](https://docs.rs/redb) database, which is made if
    /// there is none. A sandbox that starts with the file of an earlier one goes on where that ended,
    /// however it ended: whatever was answered is there. Off by default.
    ///
    /// In the file are mails and text messages with their contents and events, what is scheduled or on
    /// its way, API keys, SMTP users, webhooks, templates, suppressions, domains, subaccounts and all
    /// other things of accounts, delivery rules ([`Delivery::on`](crate::Delivery::on)), the clock if it
    /// was advanced or frozen, and ids, so that none repeats. What [`reset`](Sandbox::reset) forgets or
    /// [`keep_bytes`](Self::keep_bytes) drops is taken out of the file too.
    ///
    /// Not in the file are calls, [webhook deliveries](Sandbox::webhook_deliveries) (what was not posted
    /// yet is not posted later), faults, calls counted for rate limits, and settings of this builder.
    /// The API keys, sender domains and IP addresses of this builder are added at each start if they are
    /// missing. An API key of an earlier start that this one does not have is removed.
    ///
    /// An answer is sent when the file has what it is about: each request that changes something takes
    /// an fsync, which requests at the same time share. What methods of [`Sandbox`] change is written
    /// at once, but not waited for, and is there at the latest when the sandbox is dropped.
    ///
    /// [`start`](Self::start) fails if another sandbox has the file open, if it is not a sandbox's, damaged
    /// or of another format, and with [`stateless`](Self::stateless). The file is never overwritten then.
    /// If it cannot be written later, requests are answered with 500; see [`Sandbox::data_error`].
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

    /// Starts the sandbox on the caller's tokio runtime, which has to have I/O and time enabled
    /// (tokio panics otherwise). A test that blocks its only thread keeps the sandbox from
    /// answering: such a test takes [`SandboxBuilder::start_blocking`].
    ///
    /// # Errors
    ///
    /// If it is not called on a tokio runtime, no port can be opened, a key, an allowed host or a
    /// sender domain is empty, or a setting is not in its range.
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

    /// Starts the sandbox on a thread of its own. It can be called, and the sandbox dropped,
    /// with or without a runtime around.
    ///
    /// # Errors
    ///
    /// If no port can be opened, no thread started, a key, an allowed host or a sender domain is
    /// empty, or a setting is not in its range.
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
                // The end of the runtime is the end of the server and of its connections. What takes
                // long on other threads is not waited for.
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
        // It was made just now, so that none was set before.
        let _ = shared.base_url.set(base_url.to_owned());
        let _ = shared.page_token.set(token);
        if let Some(on_call) = self.on_call {
            // It was made just now, so there is none yet.
            let _ = shared.on_call.set(on_call);
        }
        if let Some(on_drop) = self.on_drop {
            let _ = shared.on_drop.set(on_drop);
        }
        Ok(shared)
    }
}

/// Opens the port, any free one if it is 0, and notes whether other machines can reach it.
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
            "unknown key status: {status} is not from 400 to 599"
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
                "{host} can be reached from other machines, which has to be allowed (expose)"
            )));
        }
        let key = builder.settings.keys.first();
        let key = key.map_or(DEFAULT_KEY, |key| &key.secret);
        if key == DEFAULT_KEY || key.chars().count() < SHORTEST_KEY {
            return Err(invalid(format!(
                "{host} can be reached from other machines, which takes a key of your own of \
                 {SHORTEST_KEY} characters or more"
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

/// Opens a port. Returns the address to call it at from this machine too.
fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    listener.set_nonblocking(true)?;
    let mut address = listener.local_addr()?;
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    Ok((listener, address))
}

/// Refuses what a missing variable or a file's line break makes of a setting.
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
    // Nothing is ever sent, so that the only outcome is the error of a closed channel.
    let _ = stopped.await;
}
