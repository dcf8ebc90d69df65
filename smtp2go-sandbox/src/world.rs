//! The state of a sandbox, and its time.
//!
//! [`Shared::world`] locks the [`World`] and first runs all jobs that are due, in order, each at its
//! own time. Therefore a locked world is always up to date, and a test that advances the clock sees
//! the consequences at once. A task ([`run`]) locks the world whenever a job is due, so that jobs also
//! run without other access.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use tokio::runtime;
use tokio::sync::{Notify, watch};

use crate::account::{Account, AccountId, ApiKey, Key};
use crate::api::{Api, Operation};
use crate::call::Call;
use crate::clock::{self, Clock};
use crate::connection::Waits;
#[cfg(feature = "data")]
use crate::data::file::DataFile;
use crate::data::{Collection, Kept, Unsaved};
use crate::delivery::{DeliveryRules, Transit};
use crate::due::{DueQueue, Job, JobKey};
use crate::event::{Detail, Event, EventKind, Subject};
use crate::faults::FaultRules;
use crate::heavy::Heavy;
use crate::ids::Ids;
use crate::inbox::MailIndex;
use crate::keep::{Dropped, Figures, Group, KeptMessage, Ledger, Log, LogLimits};
use crate::mail::Mail;
use crate::operations::sender_settings::SenderSettings;
use crate::operations::sms::{Received, units};
use crate::refusal::Refusal;
use crate::server::Bodies;
use crate::sms::Sms;
use crate::webhooks::{self, Outbox, WebhookDelivery};
use crate::weight::Weight;

/// Functions that are called with every event as it is recorded, in this order. They must not block.
const LISTENERS: &[fn(&mut World, &Arc<Event>)] = &[webhooks::notice];

/// Maximum memory in bytes of the accounts' state: templates, keys, domains, suppressions and so on.
const STATE: usize = 64 * 1024 * 1024;

/// Maximum number of sending times kept per username. Sending limits above it are not enforced.
const TIMES: usize = 100_000;

/// The settings of a sandbox.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The API keys. The first one is the main key.
    pub(crate) keys: Vec<ApiKey>,
    /// Whether senders must be verified.
    pub(crate) enforce_senders: bool,
    /// Domains that are verified from the start.
    pub(crate) sender_domains: Vec<String>,
    /// IP addresses that may send without a password.
    pub(crate) ip_auth: Vec<String>,
    /// Status for an unknown key.
    pub(crate) unknown_key_status: u16,
    pub(crate) strictness: Strictness,
    /// Serve paths without `/v3`.
    pub(crate) allow_missing_v3: bool,
    /// Reply with the spec's examples.
    pub(crate) stateless: bool,
    pub(crate) seed: u64,
    pub(crate) access: Access,
    /// Post webhooks beyond loopback.
    pub(crate) remote_webhooks: bool,
    /// Factor by which webhook retries are faster than the service's.
    pub(crate) webhook_speed: u32,
    /// Time limit of an endpoint's reply.
    pub(crate) webhook_timeout: Duration,
    /// Time from an event until `/activity/search` finds it.
    pub(crate) activity_lag: Duration,
    /// Limits on stored mails and their memory.
    pub(crate) budget: LogLimits,
    pub(crate) limits: Limits,
    /// The port for SMTP, if it is served.
    pub(crate) smtp: Option<u16>,
}

/// Input that the sandbox refuses although the service accepts it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strictness {
    /// Fields that the specification does not know.
    pub(crate) unknown: bool,
    /// Null instead of an absent field.
    pub(crate) nulls: bool,
}

impl Strictness {
    pub(crate) const FULL: Self = Self {
        unknown: true,
        nulls: true,
    };

    /// Whether both unknown fields and nulls are refused. Then the sandbox's own replies are checked
    /// too.
    pub(crate) fn is_full(self) -> bool {
        self.unknown && self.nulls
    }
}

/// Limits on connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum number of connections.
    pub(crate) connections: usize,
    /// Time limit of a request's head.
    pub(crate) head: Duration,
    /// Idle time limit: between requests, between chunks of a body, and while writing a reply.
    pub(crate) idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // Half of a common limit on a process's open files.
            connections: 512,
            head: Duration::from_secs(30),
            // Longer than clients keep idle connections, so that the client closes them first.
            idle: Duration::from_secs(120),
        }
    }
}

impl Settings {
    /// The defaults, with these keys.
    pub(crate) fn with_keys(keys: Vec<ApiKey>) -> Self {
        Self {
            keys,
            enforce_senders: false,
            sender_domains: Vec::new(),
            ip_auth: Vec::new(),
            unknown_key_status: 401,
            strictness: Strictness::default(),
            allow_missing_v3: false,
            stateless: false,
            seed: 0,
            access: Access::default(),
            remote_webhooks: false,
            // An hour at the service takes a second.
            webhook_speed: 3_600,
            webhook_timeout: Duration::from_secs(10),
            activity_lag: Duration::ZERO,
            limits: Limits::default(),
            smtp: None,
            budget: LogLimits::default(),
        }
    }
}

/// Settings of access control ([`gate`](crate::gate)).
#[derive(Clone, Debug, Default)]
pub(crate) struct Access {
    /// Other machines can reach the sandbox: the admin endpoints and the inbox require the main key.
    pub(crate) exposed: bool,
    /// Allowed host names besides those of loopback, in lower case.
    pub(crate) hosts: Vec<String>,
}

/// Receives every call, before the client receives the reply.
pub(crate) type OnCall = Box<dyn Fn(&Call) + Send + Sync>;

/// Why a mail can't be deleted.
pub(crate) const SCHEDULED: &str =
    "is scheduled and not sent yet: remove it with /email/scheduled/remove";

/// Receives the totals of dropped items: after the first drop, and each time the total has grown tenfold.
pub(crate) type OnDrop = Box<dyn Fn(&Dropped) + Send + Sync>;

/// Receives every webhook delivery that was given up.
pub(crate) type OnGiveUp = Box<dyn Fn(&WebhookDelivery) + Send + Sync>;

/// The data that the server, its connections and the [`Sandbox`](crate::Sandbox) share.
pub(crate) struct Shared {
    pub(crate) api: Arc<Api>,
    pub(crate) settings: Arc<Settings>,
    pub(crate) rules: FaultRules,
    /// Number of open connections.
    pub(crate) connections: AtomicUsize,
    /// Number of connections that count towards the limit.
    pub(crate) slots: AtomicUsize,
    /// Permits for replies that wait for changes.
    pub(crate) waits: Waits,
    /// Notified of every new mail, event and call.
    pub(crate) changes: watch::Sender<()>,
    wake: Arc<Notify>,
    pub(crate) on_call: OnceLock<OnCall>,
    pub(crate) on_drop: OnceLock<OnDrop>,
    pub(crate) on_give_up: OnceLock<OnGiveUp>,
    pub(crate) heavy: Heavy,
    /// The cache of the inbox's list.
    pub(crate) entries: MailIndex,
    /// Bodies of requests in progress.
    pub(crate) bodies: Bodies,
    /// Set when the sandbox stops, to end event streams.
    pub(crate) stopping: watch::Sender<bool>,
    /// The base URL for a client. Set once the port is open.
    pub(crate) base_url: OnceLock<String>,
    /// Proves that a form or link comes from a page of this sandbox.
    pub(crate) page_token: OnceLock<String>,
    runtime: OnceLock<runtime::Handle>,
    /// The data file. Unset if the world is only in memory.
    #[cfg(feature = "data")]
    pub(crate) data: OnceLock<DataFile>,
    world: Mutex<World>,
}

/// The locked world. Dropping the guard queues the changes for the data file.
pub(crate) struct WorldGuard<'a> {
    world: MutexGuard<'a, World>,
    #[cfg(feature = "data")]
    data: Option<&'a DataFile>,
}

impl Deref for WorldGuard<'_> {
    type Target = World;

    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for WorldGuard<'_> {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

#[cfg(feature = "data")]
impl Drop for WorldGuard<'_> {
    fn drop(&mut self) {
        if let Some(data) = self.data {
            data.save(&mut self.world);
        }
    }
}

/// The accounts and keys, and everything that was received and recorded.
pub(crate) struct World {
    pub(crate) settings: Arc<Settings>,
    pub(crate) clock: Clock,
    pub(crate) ids: Ids,
    pub(crate) keys: Kept<u64, Arc<Key>>,
    pub(crate) mails: Log<Mail>,
    pub(crate) events: Log<Arc<Event>>,
    pub(crate) calls: Log<Arc<Call>>,
    /// Text messages that were sent, of all accounts.
    pub(crate) sms: Log<Sms>,
    /// Text messages that the accounts received.
    pub(crate) received: Log<Received>,
    pub(crate) ledger: Ledger,
    /// Statistics of dropped messages.
    pub(crate) figures: Figures,
    pub(crate) delivery_rules: DeliveryRules,
    /// Mails in transit.
    pub(crate) transit: Transit,
    /// Webhook deliveries.
    pub(crate) outbox: Outbox,
    /// Time from an event until `/activity/search` finds it.
    pub(crate) activity_lag: Duration,
    /// Marks of changes that are not in the data file yet. `None` without a data file.
    pub(crate) unsaved: Option<Box<Unsaved>>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) due: DueQueue,
    /// The time of the current request or job. Never goes back.
    pub(crate) now: SystemTime,
    /// Times of calls of operations with a rate limit, by account and operation.
    recent: HashMap<(AccountId, String), VecDeque<SystemTime>>,
    /// Times of sent mails in order, by username.
    sent: HashMap<String, VecDeque<SystemTime>>,
    /// `wait_for_mail` has returned the mails before this place.
    handed_out: usize,
    /// Number of dropped items at which `on_drop` is called next.
    tell_at: usize,
    /// Upper bound of the memory of the accounts' state. Computed again when it exceeds [`STATE`].
    state: usize,
    outside: Outside,
}

/// The world's references to [`Shared`].
#[derive(Clone)]
struct Outside {
    shared: Weak<Shared>,
    changes: watch::Sender<()>,
    wake: Arc<Notify>,
}

impl Shared {
    pub(crate) fn new(api: Arc<Api>, settings: Settings) -> Arc<Self> {
        Arc::new_cyclic(|shared| {
            let settings = Arc::new(settings);
            let outside = Outside {
                shared: Weak::clone(shared),
                changes: watch::Sender::new(()),
                wake: Arc::default(),
            };
            Self {
                api,
                settings: Arc::clone(&settings),
                rules: FaultRules::new(settings.seed),
                connections: AtomicUsize::new(0),
                slots: AtomicUsize::new(0),
                waits: Waits::new(settings.limits.connections),
                changes: outside.changes.clone(),
                wake: Arc::clone(&outside.wake),
                on_call: OnceLock::new(),
                on_drop: OnceLock::new(),
                on_give_up: OnceLock::new(),
                heavy: Heavy::new(),
                entries: MailIndex::new(settings.budget.bytes),
                bodies: Bodies::new(settings.budget.bytes),
                stopping: watch::Sender::new(false),
                base_url: OnceLock::new(),
                page_token: OnceLock::new(),
                runtime: OnceLock::new(),
                #[cfg(feature = "data")]
                data: OnceLock::new(),
                world: Mutex::new(World::new(&settings, outside, false)),
            }
        })
    }

    /// Sets the runtime of [`World::spawn`]. Only the first call has an effect.
    pub(crate) fn runs_on(&self, runtime: runtime::Handle) {
        self.runtime.get_or_init(|| runtime);
    }

    /// Locks the world and runs all due jobs. Must not be called while the world is locked: handlers
    /// and jobs receive the locked world.
    pub(crate) fn world(&self) -> WorldGuard<'_> {
        // Poisoning is ignored: no holder panics in the middle of a change.
        let mut world = WorldGuard {
            world: self.world.lock().unwrap_or_else(PoisonError::into_inner),
            #[cfg(feature = "data")]
            data: self.data.get(),
        };
        world.catch_up();
        world
    }

    /// Whether there is a data file.
    #[cfg(feature = "data")]
    pub(crate) fn keeps_data(&self) -> bool {
        self.data.get().is_some()
    }

    #[cfg(not(feature = "data"))]
    pub(crate) fn keeps_data(&self) -> bool {
        false
    }

    /// Opens the data file and restores its state. The world must be new.
    #[cfg(feature = "data")]
    pub(crate) fn open_data(&self, path: &std::path::Path) -> std::io::Result<()> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let data = DataFile::open(path, &mut world)?;
        self.data.get_or_init(|| data);
        Ok(())
    }

    /// Waits until all changes so far are in the data file, if there is one. Callers must wait before
    /// they acknowledge a request.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written. Then the caller must not acknowledge anything.
    pub(crate) async fn saved(&self) -> Result<(), String> {
        #[cfg(feature = "data")]
        if let Some(data) = self.data.get() {
            return data.saved().await;
        }
        Ok(())
    }

    /// The base URL for a client. Empty before the server starts.
    pub(crate) fn base_url(&self) -> &str {
        self.base_url.get().map_or("", String::as_str)
    }

    /// The token of the pages. Empty before the server starts.
    pub(crate) fn page_token(&self) -> &str {
        self.page_token.get().map_or("", String::as_str)
    }

    pub(crate) fn is_page_token(&self, given: &str) -> bool {
        !given.is_empty() && given == self.page_token()
    }

    /// Records a call, and notifies `on_call`, `on_drop` and everyone who waits for changes.
    pub(crate) fn note(&self, call: Call) {
        if let Some(on_call) = self.on_call.get() {
            on_call(&call);
        }
        let mut world = self.world();
        let place = world.calls.push(Arc::new(call));
        world.enter_call(place);
        world.trim();
        world.changed();
        let news = world.drop_news();
        drop(world);
        if let (Some(dropped), Some(on_drop)) = (news, self.on_drop.get()) {
            on_drop(&dropped);
        }
    }
}

/// Runs the jobs of `shared` when they are due, until it is dropped. Needs a runtime with its timer
/// enabled, on which [`World::spawn`] then spawns.
pub(crate) async fn run(shared: Weak<Shared>) {
    if let Some(shared) = shared.upgrade() {
        shared.runs_on(runtime::Handle::current());
    }
    /// Maximum wait, because the system's clock may be changed.
    const AT_MOST: Duration = Duration::from_secs(60);
    loop {
        let (wake, wait) = {
            let Some(shared) = shared.upgrade() else {
                return;
            };
            let wait = shared.world().until_due().unwrap_or(AT_MOST);
            (Arc::clone(&shared.wake), wait.min(AT_MOST))
        };
        // Checks again after a wake-up and after the timeout.
        let _ = tokio::time::timeout(wait, wake.notified()).await;
    }
}

impl World {
    /// Creates a world. If `tracked` is set, changes are marked for the data file.
    fn new(settings: &Arc<Settings>, outside: Outside, tracked: bool) -> Self {
        let clock = Clock::new();
        let mut world = Self {
            clock,
            ids: Ids::new(settings.seed),
            keys: Kept::default(),
            mails: Log::default(),
            events: Log::default(),
            calls: Log::default(),
            sms: Log::default(),
            received: Log::default(),
            ledger: Ledger::new(settings.budget, 0),
            figures: Figures::default(),
            delivery_rules: DeliveryRules::default(),
            transit: Transit::default(),
            outbox: Outbox::default(),
            activity_lag: settings.activity_lag,
            unsaved: None,
            accounts: vec![Account::new("")],
            due: DueQueue::default(),
            now: clock.now(),
            recent: HashMap::new(),
            sent: HashMap::new(),
            handed_out: 0,
            tell_at: 1,
            state: 0,
            outside,
            settings: Arc::clone(settings),
        };
        if tracked {
            world.track(true);
        }
        world.set_up();
        world
    }

    /// Starts to mark changes for the data file. `all` marks the existing state as changed.
    pub(crate) fn track(&mut self, all: bool) {
        let unsaved = self.unsaved.insert(Box::default());
        unsaved.clock = true;
        if all {
            unsaved.accounts.extend(0..self.accounts.len());
        }
        for (_, collection) in self.collections() {
            collection.track(all);
        }
        for account in &mut self.accounts {
            account.track(all);
        }
    }

    /// The collections that a data file stores item by item, with their names in the file. Those of
    /// accounts are not included.
    pub(crate) fn collections(&mut self) -> [(&'static str, &mut dyn Collection); 3] {
        [
            ("key", &mut self.keys),
            ("figure", &mut self.figures.0),
            ("rule", &mut self.delivery_rules.0),
        ]
    }

    /// Adds the builder's domains, IP addresses and keys that the world does not have yet.
    pub(crate) fn set_up(&mut self) {
        let settings = Arc::clone(&self.settings);
        let now = self.now;
        let master = self.account_mut(AccountId::MASTER);
        for name in &settings.sender_domains {
            master.domain.add_verified(name, now);
        }
        for address in &settings.ip_auth {
            master.ip_auth.add(address);
        }
        for key in &settings.keys {
            let account = match &key.subaccount {
                None => AccountId::MASTER,
                Some(id) => match self.find_account(id) {
                    Some(account) => account,
                    None => self.add_account(Account::new(id)),
                },
            };
            if self.key(&key.secret).is_none() {
                self.keys.push(Arc::new(Key {
                    secret: key.secret.clone(),
                    account,
                    endpoints: key.endpoints.clone(),
                    status: key.status,
                    settings: SenderSettings::default(),
                }));
            }
        }
    }

    /// Restores the initial state, except the clock, the delivery rules and the activity lag.
    pub(crate) fn reset(&mut self) {
        let (clock, now, lag) = (self.clock, self.now, self.activity_lag);
        self.events
            .iter()
            .filter_map(|event| event.mail())
            .for_each(Mail::forget);
        let rules = std::mem::take(&mut self.delivery_rules);
        let messages = self.ledger.number();
        let tracked = self.unsaved.is_some();
        *self = Self::new(&self.settings, self.outside.clone(), tracked);
        self.ledger = Ledger::new(self.settings.budget, messages);
        self.delivery_rules = rules;
        self.clock = clock;
        self.now = now;
        self.activity_lag = lag;
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.cleared = true;
            self.delivery_rules.0.track(true);
        }
        self.changed();
    }

    /// Marks a change for the data file, if there is one.
    fn mark<T>(&mut self, mark: impl FnOnce(&mut Unsaved) -> T) {
        if let Some(unsaved) = &mut self.unsaved {
            mark(unsaved);
        }
    }

    /// Adds a message, like [`Ledger::enter`].
    pub(crate) fn enter(&mut self, number: u64, message: KeptMessage, waits: bool) {
        self.ledger.enter(number, message, waits);
        self.mark(|unsaved| unsaved.messages.insert(number));
    }

    /// The time of the request or job that runs.
    pub(crate) fn now(&self) -> SystemTime {
        self.now
    }

    fn catch_up(&mut self) {
        let until = self.clock.now().max(self.now);
        self.trim();
        while let Some((key, message, job)) = self.due.pop(until) {
            self.now = self.now.max(key.0);
            self.mark(|unsaved| unsaved.jobs.insert(key));
            if let Some(message) = message {
                self.ledger.remove_job(message, key);
            }
            job.run(self);
            self.trim();
        }
        self.now = until;
    }

    pub(crate) fn freeze(&mut self) {
        self.clock.freeze(self.now);
        self.mark(|unsaved| unsaved.clock = true);
    }

    pub(crate) fn resume(&mut self) {
        self.clock.resume();
        self.mark(|unsaved| unsaved.clock = true);
        self.outside.wake.notify_one();
    }

    /// Moves the clock forward, and runs all jobs that become due.
    pub(crate) fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.mark(|unsaved| unsaved.clock = true);
        self.catch_up();
        self.outside.wake.notify_one();
    }

    /// Moves the clock forward like [`advance`](Self::advance). Returns false and does nothing if the
    /// time would be after the year 9999.
    pub(crate) fn try_advance(&mut self, by: Duration) -> bool {
        let is_early = self.now.checked_add(by).is_some_and(clock::has_date);
        if is_early {
            self.advance(by);
        }
        is_early
    }

    /// Schedules a job at `time`. If the time is past, the job runs after the current one.
    pub(crate) fn at(&mut self, time: SystemTime, job: Job) -> JobKey {
        let key = self.due.add(time, None, job);
        self.mark(|unsaved| unsaved.jobs.insert(key));
        self.outside.wake.notify_one();
        key
    }

    /// Schedules a job after a duration.
    pub(crate) fn later(&mut self, by: Duration, job: Job) -> JobKey {
        self.at(clock::after(self.now, by), job)
    }

    /// Schedules a job of a message at `time`. The job is cancelled if the message is dropped, and not
    /// scheduled if the message is not kept.
    pub(crate) fn at_for(&mut self, message: u64, time: SystemTime, job: Job) {
        if self.ledger.has(message) {
            let key = self.due.add(time, Some(message), job);
            self.mark(|unsaved| unsaved.jobs.insert(key));
            self.ledger.add_job(message, key);
            self.outside.wake.notify_one();
        }
    }

    /// Schedules a job of a message after a duration, like [`at_for`](Self::at_for).
    pub(crate) fn later_for(&mut self, message: u64, by: Duration, job: Job) {
        self.at_for(message, clock::after(self.now, by), job);
    }

    /// Cancels a job.
    pub(crate) fn call_off(&mut self, job: JobKey) {
        self.due.remove(job);
        self.mark(|unsaved| unsaved.jobs.insert(job));
    }

    fn enter_call(&mut self, place: usize) {
        if let Some(call) = self.calls.get(place) {
            self.ledger.enter_call(place, call);
        }
    }

    /// Drops the oldest messages and calls until the rest is within the budget.
    fn trim(&mut self) {
        while let Some((number, group)) = self.ledger.surplus() {
            self.drop_group(number, &group);
        }
        while let Some(place) = self.ledger.surplus_call() {
            self.calls.remove(place);
        }
    }

    fn drop_group(&mut self, number: u64, group: &Group) {
        for job in &group.jobs {
            self.due.remove(*job);
        }
        self.mark(|unsaved| {
            unsaved.messages.insert(number);
            unsaved.jobs.extend(&group.jobs);
            unsaved.events.extend(&group.events);
        });
        let mut begun = false;
        for place in &group.events {
            let Some(event) = self.events.remove(*place) else {
                continue;
            };
            let (Some(mail), Some(name)) = (event.mail(), event.kind().activity_name()) else {
                continue;
            };
            let (day, username) = (clock::days(event.time()), mail.username());
            let sender = mail.sender_address();
            let counts = self.figures.of(event.account, day, username, sender);
            *counts.events.entry(name).or_default() += 1;
            if !begun && matches!(event.kind(), EventKind::Processed | EventKind::Reject) {
                begun = true;
                counts.mails += 1;
                counts.bytes += mail.size();
            }
        }
        self.outbox.remove(&group.deliveries);
        match &group.message {
            KeptMessage::Mail(_, place) => {
                self.transit.remove(&number);
                if let Some(place) = place {
                    self.mails.remove(*place);
                }
            }
            KeptMessage::Sms(sms, place) => {
                self.sms.remove(*place);
                let account = sms.account();
                let status = &mut self.account_mut(account).sms.status;
                status.remove(sms.message_id());
                let day = clock::days(sms.accepted_at());
                let counts = self.figures.of(account, day, sms.username(), "");
                counts.sms += 1;
                counts.sms_units += units(sms);
            }
            KeptMessage::Received(place) => {
                self.received.remove(*place);
            }
        }
        if let Some(call) = group.call
            && self.ledger.leave_call(call)
        {
            self.calls.remove(call);
        }
    }

    /// Deletes a mail with its events, its webhook deliveries and, if it was the last mail of its
    /// call, the call. None of these counts as dropped. Returns false for a scheduled mail that is not
    /// yet due.
    pub(crate) fn delete(&mut self, mail: &Mail) -> bool {
        let before = self.dropped();
        let Some(group) = self.ledger.take(mail.number()) else {
            return false;
        };
        self.drop_group(mail.number(), &group);
        let after = self.dropped();
        self.mails.note_deleted(after.mails - before.mails);
        self.events.note_deleted(after.events - before.events);
        self.calls.note_deleted(after.calls - before.calls);
        let deliveries = after.webhook_deliveries - before.webhook_deliveries;
        self.outbox.deliveries.note_deleted(deliveries);
        self.changed();
        true
    }

    /// Whether the mail with this id was dropped.
    pub(crate) fn was_dropped(&self, email_id: &str) -> bool {
        self.mails.dropped() > 0
            && self.ids.has_email(email_id)
            && self.mails.iter().all(|mail| mail.email_id() != email_id)
    }

    /// Whether the text message with this id was dropped.
    pub(crate) fn was_sms_dropped(&self, message_id: &str) -> bool {
        self.sms.dropped() > 0
            && self.ids.has_sms(message_id)
            && self.sms.iter().all(|sms| sms.message_id() != message_id)
    }

    /// Numbers of dropped items.
    pub(crate) fn dropped(&self) -> Dropped {
        Dropped {
            mails: self.mails.dropped(),
            sms: self.sms.dropped(),
            events: self.events.dropped(),
            calls: self.calls.dropped(),
            webhook_deliveries: self.outbox.deliveries.dropped(),
        }
    }

    /// Returns the numbers of dropped items if `on_drop` is to be called: after the first drop, and
    /// each time the total has grown tenfold.
    pub(crate) fn drop_news(&mut self) -> Option<Dropped> {
        let dropped = self.dropped();
        if dropped.total() < self.tell_at {
            return None;
        }
        while self.tell_at <= dropped.total() {
            self.tell_at = self.tell_at.saturating_mul(10);
        }
        Some(dropped)
    }

    /// Records the time of a mail sent with a username.
    pub(crate) fn note_sent(&mut self, username: &str) {
        self.note_sent_at(username, self.now);
    }

    pub(crate) fn note_sent_at(&mut self, username: &str, now: SystemTime) {
        let times = match self.sent.get_mut(username) {
            Some(times) => times,
            None => self.sent.entry(username.to_owned()).or_default(),
        };
        times.push_back(now);
        if times.len() > TIMES {
            times.pop_front();
        }
    }

    /// Number of mails sent with a username within the last `span`, up to [`TIMES`].
    pub(crate) fn sent_within(&self, username: &str, span: Duration) -> usize {
        let times = self.sent.get(username).into_iter().flatten().rev();
        let recent = times.take_while(|time| clock::after(**time, span) > self.now);
        recent.count()
    }

    /// Forgets the sending times of a username that was removed.
    pub(crate) fn forget_sent(&mut self, username: &str) {
        self.sent.remove(username);
    }

    /// Whether `more` bytes would exceed the limit of the accounts' state.
    pub(crate) fn is_state_full(&mut self, more: usize) -> bool {
        if self.state.saturating_add(more) > STATE {
            // The bound still includes removed data, so compute it again.
            self.count_state();
        }
        self.state.saturating_add(more) > STATE
    }

    /// Computes the memory of the accounts' state again.
    pub(crate) fn count_state(&mut self) {
        self.state = self.accounts.weight() + self.keys.weight();
    }

    /// Adds to the memory of the accounts' state.
    pub(crate) fn add_state(&mut self, bytes: usize) {
        self.state = self.state.saturating_add(bytes);
    }

    /// Time until the next job is due. `None` if the clock is frozen or there is no job.
    fn until_due(&self) -> Option<Duration> {
        if self.clock.is_frozen() {
            return None;
        }
        let next = self.due.next()?;
        Some(next.duration_since(self.clock.now()).unwrap_or_default())
    }

    /// Spawns a task on the sandbox's runtime. The task gets a weak reference, so that it does not
    /// keep the sandbox alive.
    pub(crate) fn spawn<F>(&self, task: impl FnOnce(Weak<Shared>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let shared = Weak::clone(&self.outside.shared);
        if let Some(alive) = shared.upgrade()
            && let Some(runtime) = alive.runtime.get()
        {
            runtime.spawn(task(shared));
        }
    }

    /// The operations of the API. `None` once the sandbox has stopped.
    pub(crate) fn api(&self) -> Option<Arc<Api>> {
        Some(Arc::clone(&self.outside.shared.upgrade()?.api))
    }

    /// Returns where a webhook's payload does not match the spec.
    pub(crate) fn payload_mismatch(
        &self,
        event: &Event,
        payload: &serde_json::Map<String, serde_json::Value>,
    ) -> Option<String> {
        let api = self.api()?;
        let schema = match event.sms() {
            Some(_) => api.sms_event.as_ref()?,
            None => api.email_event.as_ref()?,
        };
        let payload = serde_json::Value::Object(payload.clone());
        schema.mismatch(&payload).unwrap_or_else(Some)
    }

    /// Notifies everyone who waits for changes.
    pub(crate) fn changed(&self) {
        self.outside.changes.send_replace(());
    }

    pub(crate) fn key(&self, secret: &str) -> Option<&Arc<Key>> {
        self.keys.iter().find(|key| key.secret == secret)
    }

    /// Adds a subaccount, whose id must be new.
    pub(crate) fn add_account(&mut self, mut account: Account) -> AccountId {
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.accounts.insert(self.accounts.len());
            account.track(true);
        }
        let master = self.account_mut(AccountId::MASTER);
        let lent = master.domain.lend_to_new(&account.id);
        self.add_state(lent);
        self.add_state(account.weight() + size_of::<Account>());
        self.accounts.push(account);
        AccountId(self.accounts.len() - 1)
    }

    /// All accounts, the master account first.
    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.iter()
    }

    /// All accounts except the master account.
    pub(crate) fn subaccounts(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        let accounts = self.accounts.iter().enumerate().skip(1);
        accounts.map(|(place, account)| (AccountId(place), account))
    }

    /// The subaccount with this id.
    pub(crate) fn find_account(&self, id: &str) -> Option<AccountId> {
        let place = |account: &Account| account.id == id;
        let found = self.accounts.iter().skip(1).position(place)?;
        Some(AccountId(found + 1))
    }

    pub(crate) fn account(&self, id: AccountId) -> &Account {
        &self.accounts[self.place(id)]
    }

    pub(crate) fn account_mut(&mut self, id: AccountId) -> &mut Account {
        let place = self.place(id);
        self.mark(|unsaved| unsaved.accounts.insert(place));
        &mut self.accounts[place]
    }

    /// Index of an account. An id from before a reset may no longer exist: then the index of the
    /// master account.
    fn place(&self, id: AccountId) -> usize {
        if id.0 < self.accounts.len() { id.0 } else { 0 }
    }

    /// Returns the account of a request: the key's, or the subaccount that the request names.
    pub(crate) fn account_for(
        &self,
        key: &Key,
        subaccount: Option<(&str, &str)>,
    ) -> Result<AccountId, Refusal> {
        let Some((field, id)) = subaccount else {
            return Ok(key.account);
        };
        if !key.account.is_master() {
            return Err(Refusal::exception(format!(
                "Only keys of the master account may use {field}."
            )));
        }
        match self.find_account(id) {
            None => Err(Refusal::exception(format!(
                "The subaccount {id:?} does not exist."
            ))),
            Some(account) if self.account(account).closed => Err(Refusal::exception(format!(
                "The subaccount {id:?} is closed."
            ))),
            Some(account) => Ok(account),
        }
    }

    /// Counts a call of an operation, and refuses it beyond the rate limit.
    pub(crate) fn count(
        &mut self,
        account: AccountId,
        operation: &Operation,
    ) -> Result<(), Refusal> {
        let Some(limit) = &operation.rate_limit else {
            return Ok(());
        };
        let now = self.now;
        let recent = self
            .recent
            .entry((account, operation.id.clone()))
            .or_default();
        while recent
            .front()
            .is_some_and(|time| clock::after(*time, limit.per()) <= now)
        {
            recent.pop_front();
        }
        if recent.len() >= limit.requests {
            return Err(Refusal::too_many(limit));
        }
        recent.push_back(now);
        Ok(())
    }

    /// Records an event, and calls all [`LISTENERS`].
    pub(crate) fn record(
        &mut self,
        account: AccountId,
        subject: Subject,
        kind: EventKind,
        detail: Detail,
    ) -> Arc<Event> {
        let message = subject.number();
        let event = Arc::new(Event {
            id: self.ids.hex(),
            time: self.now,
            account,
            subject,
            kind,
            detail,
        });
        let place = self.events.push(Arc::clone(&event));
        self.mark(|unsaved| unsaved.events.insert(place));
        if !self.ledger.add_event(message, place, &event) {
            self.events.remove(place);
        }
        for listener in LISTENERS {
            listener(self, &event);
        }
        self.changed();
        event
    }

    /// Records an event of a text message.
    pub(crate) fn record_sms(&mut self, sms: &Sms, kind: EventKind, detail: Detail) -> Arc<Event> {
        self.record(sms.account(), Subject::Sms(sms.clone()), kind, detail)
    }

    /// Records an event of a mail, for one recipient or, if it is `None`, for all.
    pub(crate) fn record_mail(
        &mut self,
        mail: &Mail,
        recipient: Option<&str>,
        kind: EventKind,
        detail: Detail,
    ) -> Arc<Event> {
        if let Some(recipient) = recipient {
            mail.remember(recipient, kind);
        }
        let subject = Subject::Mail {
            mail: mail.clone(),
            recipient: recipient.map(str::to_owned),
        };
        self.record(mail.account(), subject, kind, detail)
    }

    /// Returns the next kept mail for `wait_for_mail`.
    pub(crate) fn next_mail(&mut self) -> Option<Mail> {
        let (place, mail) = self.mails.since(self.handed_out).next()?;
        let mail = mail.clone();
        self.handed_out = place + 1;
        Some(mail)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("World")
            .field("now", &self.now)
            .field("mails", &self.mails.len())
            .field("events", &self.events.len())
            .field("calls", &self.calls.len())
            .field("due", &self.due)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::operations::tests::call;

    pub(crate) const KEY: &str = "api-SANDBOX0SANDBOX0SANDBOX0SANDBOX0";

    /// Makes a world without a server, with one key that has all permissions.
    pub(crate) fn shared(change: impl FnOnce(&mut Settings)) -> Arc<Shared> {
        let mut settings = Settings {
            strictness: Strictness::FULL,
            ..Settings::with_keys(vec![ApiKey::new(KEY)])
        };
        change(&mut settings);
        Shared::new(Api::embedded().unwrap(), settings)
    }

    #[test]
    fn due_jobs_run_in_order_at_their_own_time() {
        let shared = shared(|_| {});
        let mut world = shared.world();
        world.freeze();
        let start = world.now();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |name: &'static str| {
            let seen = Arc::clone(&seen);
            move |world: &mut World| {
                let since = world.now().duration_since(start).unwrap();
                seen.lock().unwrap().push((name, since.as_secs()));
            }
        };
        let job = |name| Job::Test(Box::new(note(name)));
        let seconds = Duration::from_secs;
        world.later(seconds(2), job("b"));
        world.later(seconds(1), job("a"));
        world.later(seconds(2), job("c"));
        world.later(seconds(9), job("late"));
        let nested = job("nested");
        let outer = move |world: &mut World| {
            world.later(seconds(1), nested);
        };
        world.later(seconds(3), Job::Test(Box::new(outer)));
        world.advance(seconds(1));
        assert_eq!(*seen.lock().unwrap(), [("a", 1)]);
        world.advance(seconds(5));
        let expected = [("a", 1), ("b", 2), ("c", 2), ("nested", 4)];
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_eq!(world.now(), start + seconds(6));
        world.reset();
        world.advance(seconds(5));
        assert_eq!(seen.lock().unwrap().len(), 4);
    }

    /// Asserts that everything kept belongs to a kept message, and that the totals are right.
    fn check_consistency(world: &World) {
        world.ledger.check();
        let kept = |number| world.ledger.has(number);
        assert!(world.mails.iter().all(|mail| kept(mail.number())));
        assert!(world.sms.iter().all(|sms| kept(sms.number())));
        let mut events = world.events.iter();
        assert!(events.all(|event| kept(event.subject.number())));
        let mut deliveries = world.outbox.deliveries.iter();
        assert!(deliveries.all(|one| kept(one.event().subject.number())));
        assert!(world.transit.keys().all(|number| kept(*number)));
    }

    /// Sends random traffic with small budgets. Totals never fall, the memory stays within the budget,
    /// and the newest message and call are kept.
    #[test]
    fn random_traffic_stays_within_the_memory_budget() {
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes = random.usize(60_000..300_000);
            let shared = shared(|settings| {
                settings.budget = LogLimits {
                    mails: random.usize(1..40),
                    bytes,
                };
            });
            shared.world().freeze();
            let webhook = json!({ "url": "http://127.0.0.1:9/", "events": ["delivered", "open"],
                                  "sms_events": ["delivered"] });
            call(&shared, "webhook_add", &webhook).unwrap();
            let (mut before, mut mails) = ([0; 5], 0);
            for step in 0..100 {
                let text = "x".repeat(random.usize(0..3_000));
                let names = ["b", "open", "click", "bounce", "hold", "refuse", "spam"];
                let name = names[random.usize(..names.len())];
                let to = format!("{name}+{step}@example.net");
                let mut mail = json!({ "sender": format!("a{}@example.com", random.u8(..3)),
                                       "to": [to, "c@example.net"], "subject": "Hi",
                                       "text_body": text });
                let first = shared.world().ledger.next();
                let operation = match random.u8(..10) {
                    0..5 => {
                        mails += 1;
                        call(&shared, "email_send", &mail).unwrap();
                        "email_send"
                    }
                    5 => {
                        mails += 3;
                        let batch = json!({ "emails": [mail, mail, mail] });
                        call(&shared, "email_batch", &batch).unwrap();
                        "email_batch"
                    }
                    6 => {
                        let due = clock::after(shared.world().now(), Duration::from_secs(5));
                        mail["schedule"] = clock::rfc3339(due).into();
                        mails += usize::from(call(&shared, "email_send", &mail).is_ok());
                        "email_send"
                    }
                    7 => {
                        let sms = json!({ "destination": ["+15550000004"], "content": "Hi" });
                        call(&shared, "sms_send", &sms).unwrap();
                        "sms_send"
                    }
                    8 => {
                        let by = Duration::from_millis(random.u64(..3_000));
                        shared.world().advance(by);
                        "template_view"
                    }
                    _ if random.bool() => {
                        let mut world = shared.world();
                        let all = world.mails.to_vec();
                        if let Some(mail) = random.choice(&all) {
                            let dropped = world.dropped();
                            if world.delete(mail) {
                                assert!(!world.ledger.has(mail.number()));
                            }
                            assert_eq!(world.dropped().total(), dropped.total());
                        }
                        "template_view"
                    }
                    _ => "template_view",
                };
                let messages = first..shared.world().ledger.next();
                // Advancing the clock may make messages too, without a call.
                let made = !messages.is_empty() && operation != "template_view";
                let mut noted = Call::new(
                    clock::after(std::time::UNIX_EPOCH, Duration::ZERO),
                    "POST".to_owned(),
                    format!("/{operation}"),
                );
                noted.messages = messages.clone();
                noted.reply = vec![b'x'; random.usize(..2_000)].into();
                shared.note(noted);

                let world = shared.world();
                check_consistency(&world);
                assert!(
                    world.ledger.bytes() <= bytes,
                    "{} {bytes}",
                    world.ledger.bytes()
                );
                assert!(
                    !made || world.ledger.has(messages.end - 1),
                    "seed {seed}, step {step}"
                );
                let last = world.calls.total() - 1;
                assert!(world.calls.get(last).is_some(), "seed {seed}, step {step}");
                assert_eq!(world.mails.total(), mails);
                let totals = [
                    world.mails.total(),
                    world.sms.total(),
                    world.events.total(),
                    world.calls.total(),
                    world.outbox.deliveries.total(),
                ];
                assert!(
                    before
                        .iter()
                        .zip(&totals)
                        .all(|(before, now)| before <= now)
                );
                before = totals;
            }
            // All scheduled mail is sent in the end.
            shared.world().advance(Duration::from_secs(60));
            let mut world = shared.world();
            let master = world.account_mut(AccountId::MASTER);
            assert!(master.email.scheduled.is_empty());
            check_consistency(&world);
        }
    }
}
