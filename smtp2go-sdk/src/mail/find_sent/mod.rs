//! Looks up in the account's activity whether a mail was sent.

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
use crate::platform::time::now;
use crate::{Client, Error};

/// The mail that [`Client::find_sent`] looks for: its key, and the time of the attempts to send it.
///
/// The key is the one of [`Email::idempotency_key`], which the events of the activity have in a header.
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
#[must_use = "does nothing until `Client::find_sent` takes it"]
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
    /// Looks for the mail with this key. `started` is a time before the first attempt to send the mail, by this
    /// machine's clock.
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

    /// Looks for this mail, by its key, its first recipient and its schedule.
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
        // A schedule that is not a time is ignored: a mail with it can't be sent.
        let schedule = email.parts.schedule.as_ref();
        wanted.scheduled = schedule.and_then(Timestamp::to_system_time);
        Ok(wanted)
    }

    /// Sets the end of the last attempt: a time after which the mail can't have been sent. Default: `started` plus
    /// the client's [`deadline`](crate::ClientBuilder::deadline). Set it for a mail with large attachments, whose
    /// upload extends the deadline.
    pub fn until(mut self, ended: SystemTime) -> Self {
        self.until = Some(ended);
        self
    }

    /// Sets the time that the mail is scheduled for. The mail has no events before that time, so
    /// [`Found::Absent`] is not returned before it either. Default: none.
    pub fn scheduled(mut self, at: SystemTime) -> Self {
        self.scheduled = Some(at);
        self
    }

    /// Sets the region whose activity is searched. Default: the region of the master account. Set it for the mail
    /// of a subaccount in another region. [`find_all_sent`](Client::find_all_sent) uses the first region that is
    /// set for all mails.
    pub fn region(mut self, region: impl Into<ActivityRegion>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Limits the search to events with this address in the recipient, or in the To or Bcc header. Default: none.
    /// This makes the look-up of a single mail cheap in an account that sends many mails.
    /// [`find_all_sent`](Client::find_all_sent) ignores it for several mails. An address with characters outside
    /// ASCII, or with `|`, is ignored.
    ///
    /// The API does not document how it compares addresses. So before the mail counts as absent, the search is
    /// repeated without this limit and without [`sender`](Self::sender).
    pub fn to(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.recipient = Some(recipient.into().address().to_owned());
        self
    }

    /// Limits the search to events with this address as the sender, as [`to`](Self::to) does for the
    /// recipient. Default: none.
    ///
    /// The API does not document whether it compares the From address or the envelope's sender. The
    /// envelope's sender can have the account's return-path domain instead.
    pub fn sender(mut self, sender: impl Into<Mailbox>) -> Self {
        self.sender = Some(sender.into().address().to_owned());
        self
    }

    /// Sets the name of the header that has the key. Case is ignored. Default: the client's
    /// [`idempotency_header`](crate::ClientBuilder::idempotency_header).
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.header = Some(name.into());
        self
    }

    /// Sets the largest expected difference between the clocks of this machine and of the API. Default: 5
    /// minutes. The search begins this long before the first attempt. Another mail proves an absence only if it
    /// was processed this long after the last attempt, or later.
    pub fn margin(mut self, margin: Duration) -> Self {
        self.timing.margin = margin;
        self
    }

    /// Sets how long the activity takes to show an event. Default: 2 minutes, as the API documents. It determines
    /// [`look_again_at`](Found::NotYet): first this long after the last attempt, then a quarter of
    /// this time after each search, but at least a second.
    pub fn lag(mut self, lag: Duration) -> Self {
        self.timing.lag = lag;
        self
    }

    /// Sets how long after the last attempt a mail that is not found counts as [`Absent`](Found::Absent), even
    /// if no later mail proves it. Default: 15 minutes. Choose a longer time if the service may hold the mail
    /// back, for example over the account's daily limit.
    pub fn give_up_after(mut self, time: Duration) -> Self {
        self.timing.give_up_after = time;
        self
    }

    /// Sets how long SMTP2GO keeps the account's activity. Default: 5 days, as on a free plan. A paid plan has 30
    /// days. A mail that is not found is [`TooOld`](Found::TooOld) if its first attempt was longer ago.
    pub fn retention(mut self, time: Duration) -> Self {
        self.timing.retention = time;
        self
    }

    /// Sets the current time, for tests or to use the clock of a database. Default: the system's time.
    pub fn now(mut self, now: SystemTime) -> Self {
        self.now = Some(now);
        self
    }

    pub(super) fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// Returns the time of the first look-up: the end of the attempt plus the lag.
    pub(super) fn first_look(&self, client: &Client) -> SystemTime {
        self.attempt(client).first_look()
    }

    /// Returns the time from one look-up to the next.
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

    /// Returns the current time for the decision.
    fn present(&self) -> SystemTime {
        self.now.unwrap_or_else(now)
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

/// The result of [`Client::find_sent`] for a mail.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub enum Found {
    /// The activity has the mail, so SMTP2GO accepted it. It may have been rejected or bounced later.
    #[non_exhaustive]
    Sent {
        /// The mail's id. If several mails have the key, the id of the first one.
        email_id: Option<String>,
        /// The events that have the key. If their `email_id`s differ, the mail was sent more than once.
        events: Vec<ActivityRecord>,
    },
    /// The activity does not have the mail yet, but may lag.
    NotYet {
        /// When to look again.
        look_again_at: SystemTime,
    },
    /// The mail was not sent. Either the activity has another mail that was processed more than the
    /// [`margin`](FindSent::margin) after the last attempt, or [`give_up_after`](FindSent::give_up_after) has
    /// passed since the last attempt.
    ///
    /// The first case assumes that the activity shows mails in the order in which SMTP2GO processed them, which is
    /// not documented. The second case is wrong if the activity lags by more than that time.
    Absent,
    /// The activity does not have the mail, and does not go back to the first attempt, so it proves nothing: see
    /// [`retention`](FindSent::retention).
    TooOld,
}

/// Shows only the number of events, because events contain addresses.
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
    /// Looks up in the activity whether a mail was sent, after a call that ended as
    /// [`Unknown`](crate::Certainty::Unknown), or after a crash. [`send_once`](Self::send_once) does this by
    /// itself.
    ///
    /// Searches all events from the [`margin`](FindSent::margin) before the first attempt until now. This takes
    /// one or two calls of `/activity/search`, and another call for each further 1000 events. If the search is
    /// limited to an address, it is repeated over all mail of the account before the result is
    /// [`Found::Absent`].
    ///
    /// The API allows 60 searches a minute, and the client waits to keep to that (see
    /// [`rate_limits`](crate::ClientBuilder::rate_limits)). The API key must permit `/activity/search`; a new
    /// API key permits only `/email/send`.
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    /// use smtp2go_sdk::{Client, FindSent, Found};
    ///
    /// # async fn example(client: Client, started: SystemTime) -> Result<(), smtp2go_sdk::Error> {
    /// let wanted = FindSent::new("order-42/confirmation", started).to("jane@example.net");
    /// match client.find_sent(&wanted).await? {
    ///     Found::Sent { .. } => println!("sent"),
    ///     Found::Absent => println!("not sent: send it again"),
    ///     Found::NotYet { look_again_at } => println!("look again at {look_again_at:?}"),
    ///     other => println!("no proof: ask a person: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`is_config`](Error::is_config) if the key or the header name is invalid, so that no mail can
    /// have it. Otherwise the errors of [`execute`](Self::execute). An error says nothing about the
    /// mail: look again.
    pub async fn find_sent(&self, wanted: &FindSent) -> Result<Found, Error> {
        let found = self.find_all_sent(std::slice::from_ref(wanted)).await?;
        found
            .into_iter()
            .next()
            .ok_or_else(|| Error::config("no mail to look for"))
    }

    /// Looks up several mails with one search. Returns one result for each mail, in the same order.
    ///
    /// The search covers all mail of the account since the earliest of these mails. So look up old mails
    /// separately from new ones. [`to`](FindSent::to) and [`sender`](FindSent::sender) are ignored for several
    /// mails.
    ///
    /// ```no_run
    /// use std::time::SystemTime;
    /// use smtp2go_sdk::{Client, FindSent, Found};
    ///
    /// # async fn example(client: Client, started: SystemTime) -> Result<(), smtp2go_sdk::Error> {
    /// let wanted = [41, 42].map(|order| FindSent::new(format!("order-{order}/confirmation"), started));
    /// for found in client.find_all_sent(&wanted).await? {
    ///     println!("sent: {}", matches!(found, Found::Sent { .. }));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`find_sent`](Self::find_sent).
    pub async fn find_all_sent(&self, wanted: &[FindSent]) -> Result<Vec<Found>, Error> {
        Ok(search::look(self, wanted).await?.found)
    }
}
