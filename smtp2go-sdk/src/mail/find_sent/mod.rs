//! Looks in the activity whether a mail was sent.

mod decide;
mod search;

use std::fmt;
use std::time::{Duration, SystemTime};

use smtp2go_types::{ActivityRecord, ActivityRegion, Timestamp};

use self::decide::Attempt;
pub(super) use self::decide::{Timing, after};
pub(super) use self::search::look;
use super::email::Email;
use super::mailbox::Mailbox;
use crate::{Client, Error};

/// Which mail [`Client::find_sent`] looks for: its key, and when it was sent.
///
/// The key is that of [`Email::idempotency_key`]. The look-up reads the header that carries it from the
/// events of the activity.
///
/// ```no_run
/// use std::time::SystemTime;
/// use smtp2go_sdk::{Certainty, Client, Email, FindSent, Found};
///
/// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
/// let mail = Email::new("Acme <noreply@example.com>", "Your order")
///     .idempotency_key("order-42/confirmation")
///     .to("jane@example.net")
///     .text("Thank you.");
/// let started = SystemTime::now();
/// match client.send(mail.clone()).await {
///     Err(error) if error.certainty() == Certainty::Unknown => {
///         let mail = FindSent::of(&mail, started)?.until(SystemTime::now());
///         match client.find_sent(&mail).await? {
///             Found::Sent { email_id, .. } => println!("sent: {email_id:?}"),
///             Found::Absent => println!("not sent: send it again"),
///             Found::NotYet { look_again_at } => println!("look again at {look_again_at:?}"),
///             other => println!("can't be proven: {other:?}"),
///         }
///     }
///     other => println!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[must_use = "nothing is looked up until a client gets it"]
pub struct FindSent {
    key: String,
    header: Option<String>,
    started: SystemTime,
    until: Option<SystemTime>,
    scheduled: Option<SystemTime>,
    recipient: Option<String>,
    sender: Option<String>,
    region: Option<ActivityRegion>,
    timing: Timing,
    now: Option<SystemTime>,
}

impl FindSent {
    /// Looks for the mail with this key. `started` is a time before the first attempt to send it, by
    /// this machine's clock.
    pub fn new(key: impl Into<String>, started: SystemTime) -> Self {
        Self {
            key: key.into(),
            header: None,
            started,
            until: None,
            scheduled: None,
            recipient: None,
            sender: None,
            region: None,
            timing: Timing::default(),
            now: None,
        }
    }

    /// Looks for this mail: takes its key, its first recipient and its schedule.
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if the mail has no key.
    pub fn of(email: &Email, started: SystemTime) -> Result<Self, Error> {
        let Some(key) = email.key() else {
            return Err(Error::config(
                "the mail has no key to find it by: set `Email::idempotency_key`",
            ));
        };
        let mut wanted = Self::new(key, started);
        if let Some(to) = email.parts.to.first() {
            wanted = wanted.to(to.clone());
        }
        // One that is not a time can't be sent.
        let schedule = email.parts.schedule.as_ref();
        wanted.scheduled = schedule.and_then(Timestamp::to_system_time);
        Ok(wanted)
    }

    /// Sets the end of the last attempt: a time after which the mail can't have been sent any more.
    /// Default: `started` and the client's [`deadline`](crate::ClientBuilder::deadline). A mail with
    /// large attachments can take longer than that.
    pub fn until(mut self, ended: SystemTime) -> Self {
        self.until = Some(ended);
        self
    }

    /// Sets the time that the mail is scheduled for. Its events come then, so
    /// [`Found::Absent`] is not returned before. Default: none.
    pub fn scheduled(mut self, at: SystemTime) -> Self {
        self.scheduled = Some(at);
        self
    }

    /// Sets the region whose activity is searched. Default: that of the master account. Needed for the mail
    /// of a subaccount in another region. In [`find_all_sent`](Client::find_all_sent), the first one that is set
    /// counts for all.
    pub fn region(mut self, region: impl Into<ActivityRegion>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Limits the search to events with this address in the recipient, or the To or Bcc header. It
    /// makes the look-up of a single mail cheap, whatever else the account sends, and has no effect in
    /// [`find_all_sent`](Client::find_all_sent) with several mails. An address with characters outside
    /// ASCII is not used. Default: none.
    ///
    /// How the API compares addresses is inferred. So before the mail counts as absent, it is searched for
    /// without them.
    pub fn to(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.recipient = Some(recipient.into().address().to_owned());
        self
    }

    /// Limits the search to events with this address as the sender, as [`to`](Self::to) does for the
    /// recipient. Default: none.
    ///
    /// Whether the API compares the From address or the envelope's, which the account's return-path
    /// domain can replace, is not documented. A sender that does not match makes a sent mail `Absent`.
    pub fn sender(mut self, sender: impl Into<Mailbox>) -> Self {
        self.sender = Some(sender.into().address().to_owned());
        self
    }

    /// Sets the name of the header that carries the key. Upper and lower case are the same. Default:
    /// the client's [`idempotency_header`](crate::ClientBuilder::idempotency_header).
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.header = Some(name.into());
        self
    }

    /// Sets the largest difference between the clocks of this machine and of the API. The search begins
    /// this much before the first attempt, and another mail proves nothing unless it was processed this
    /// much later than the last attempt. Default: 5 minutes.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.timing.margin = margin;
        self
    }

    /// Sets how long the activity takes to show an event. It determines
    /// [`look_again_at`](Found::NotYet): this long after the last attempt, and then after a quarter of
    /// it, at least a second. Default: 2 minutes, as documented.
    pub fn lag(mut self, lag: Duration) -> Self {
        self.timing.lag = lag;
        self
    }

    /// Sets how long after the last attempt a mail that is not found counts as
    /// [`Absent`](Found::Absent), even if no later mail proves it. Default: 15 minutes. Choose a longer time
    /// for mail that the service may hold, such as that of an account over its daily limit.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.timing.give_up_after = time;
        self
    }

    /// Sets how long the account's activity is kept. A mail that is not found is
    /// [`TooOld`](Found::TooOld) if its first attempt is longer ago. Default: 5 days, as on a free plan.
    /// A paid plan has 30 days.
    pub fn retention(mut self, time: Duration) -> Self {
        self.timing.retention = time;
        self
    }

    /// Sets the present time, for tests. Default: the system's.
    pub fn now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    pub(super) fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// When the activity can have the mail.
    pub(super) fn first_look(&self, client: &Client) -> SystemTime {
        self.attempt(client).first_look()
    }

    /// The time from one look to the next.
    pub(super) fn step(&self) -> Duration {
        self.timing.step()
    }

    fn attempt(&self, client: &Client) -> Attempt {
        let until = self
            .until
            .unwrap_or_else(|| after(self.started, client.deadline()));
        Attempt {
            started: self.started,
            ended: self.scheduled.map_or(until, |at| at.max(until)),
            timing: self.timing,
        }
    }

    /// The time that the rule takes for the present.
    fn present(&self) -> SystemTime {
        self.now.unwrap_or_else(SystemTime::now)
    }
}

/// Leaves out the key and the addresses.
impl fmt::Debug for FindSent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FindSent")
            .field("header", &self.header)
            .field("started", &self.started)
            .field("until", &self.until)
            .field("scheduled", &self.scheduled)
            .field("timing", &self.timing)
            .finish_non_exhaustive()
    }
}

/// What [`Client::find_sent`] found out about a mail.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// The activity has the mail: SMTP2GO accepted it. That includes a mail that was rejected or
    /// bounced afterwards.
    #[non_exhaustive]
    Sent {
        /// Id of the mail. If several mails carry the key, that of the first.
        email_id: Option<String>,
        /// The events that carry the key. Different `email_id`s here are mails that were sent twice.
        events: Vec<ActivityRecord>,
    },
    /// The activity does not have the mail, and may not have caught up yet.
    NotYet {
        /// When to look again.
        look_again_at: SystemTime,
    },
    /// The mail was not sent. Either the activity has a mail that was processed later than the last
    /// attempt, by more than the [`margin`](FindSent::margin), or
    /// [`give_up_after`](FindSent::give_up_after) has passed.
    ///
    /// The first is inferred: it assumes that the activity shows mails in the order in which they were
    /// processed. The second is a convention, and wrong if the activity is further behind.
    Absent,
    /// The activity does not have the mail, and does not go back far enough to prove that it was not
    /// sent: see [`retention`](FindSent::retention).
    TooOld,
}

/// Shows the number of events, and not the events, which have addresses.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { email_id, events } => f
                .debug_struct("Sent")
                .field("email_id", email_id)
                .field("events", &events.len())
                .finish(),
            Self::NotYet { look_again_at } => f
                .debug_struct("NotYet")
                .field("look_again_at", look_again_at)
                .finish(),
            Self::Absent => f.write_str("Absent"),
            Self::TooOld => f.write_str("TooOld"),
        }
    }
}

impl Client {
    /// Looks in the activity whether a mail was sent, after a call that ended as
    /// [`Unknown`](crate::Certainty::Unknown), or after a crash.
    ///
    /// Searches from the [`margin`](FindSent::margin) before the first attempt until now, over all
    /// pages. [`send_once`](Self::send_once) does this by itself.
    ///
    /// A search is one or two calls of `/activity/search`, and one more for each 1000 events; twice as many
    /// before [`Found::Absent`], if the search is limited to an address. The API
    /// allows 60 a minute, for which the client waits (see [`pacing`](crate::ClientBuilder::pacing)).
    /// The key has to permit the endpoint `/activity/search`; a new key permits `/email/send` only.
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) for a key or a header name that no mail can have. Otherwise the errors of
    /// [`execute`](Self::execute). An error says nothing about the mail: look again.
    pub async fn find_sent(&self, wanted: &FindSent) -> Result<Found, Error> {
        let found = self.find_all_sent(std::slice::from_ref(wanted)).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Error::config("no mail to look for"))
    }

    /// Looks for several mails with one search. Returns one result for each, in the same order.
    ///
    /// The search begins with the earliest of them and covers all mail of the account. The filters
    /// [`to`](FindSent::to) and [`sender`](FindSent::sender) are used only if there is a single mail.
    /// Look for old mails separately from new ones.
    ///
    /// # Errors
    /// Those of [`find_sent`](Self::find_sent).
    pub async fn find_all_sent(&self, wanted: &[FindSent]) -> Result<Vec<Found>, Error> {
        Ok(search::look(self, wanted).await?.found)
    }
}
