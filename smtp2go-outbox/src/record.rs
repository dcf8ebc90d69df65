//! A row of the table, without the mail's content.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

/// The state of a mail.
///
/// ```text
/// queued ─▶ sending ─▶ sent ─▶ delivered, bounced, complained   (by webhook events)
///   ▲          │ ├───▶ rejected
///   │          │ ├───▶ held
///   │          ▼ └───▶ queued      not sent: again after a backoff
///   └────── unknown ─▶ sent        found in the activity
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// Waits to be sent at [`not_before`](Record::not_before) or later.
    Queued,
    /// A worker has a lease on the mail and may be sending it.
    Sending,
    /// The API may have accepted the mail. Workers look it up in the activity, and send it again only if the
    /// look-up proves that it was not accepted.
    Unknown,
    /// An operator must decide about the mail: retry it, cancel it, or look it up.
    /// [`reason`](Record::reason) says why.
    Held,
    /// Accepted by the API.
    Sent,
    /// Delivered to at least one recipient.
    Delivered,
    /// Bounced hard for at least one recipient.
    Bounced,
    /// Reported as spam by at least one recipient.
    Complained,
    /// Refused by the API, or accepted by the API and refused later for at least one recipient.
    Rejected,
    /// Workers don't send it: an operator cancelled it, or its [`not_after`](Record::not_after) has
    /// passed. If its outcome was unknown before an operator held and cancelled it, it may have
    /// been sent.
    Cancelled,
}

impl State {
    /// All states, in the order of a mail's life.
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::Sending,
        Self::Unknown,
        Self::Held,
        Self::Sent,
        Self::Delivered,
        Self::Bounced,
        Self::Complained,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// Returns the state's name in the table, such as `queued`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Held => "held",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::Complained => "complained",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether workers are done with the mail. Webhook events can still change the state.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Queued | Self::Sending | Self::Unknown | Self::Held
        )
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|state| state.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            format!("unknown state {text:?}: use one of {names}")
        })
    }
}

/// The priority of a mail. Workers send all due mails of a higher priority first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// 0 in the table. For mails that somebody waits for, such as login codes.
    High,
    /// 1 in the table. The default.
    #[default]
    Normal,
    /// 2 in the table. For newsletters.
    Low,
}

impl Priority {
    pub(crate) const fn number(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }

    pub(crate) const fn of_number(number: i64) -> Self {
        match number {
            i64::MIN..=0 => Self::High,
            1 => Self::Normal,
            2.. => Self::Low,
        }
    }
}

/// A row of the table, without the mail's content. Times are by the database's clock. Debug leaves out `sender`
/// and `error`, which contain addresses.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// The mail's idempotency key.
    pub key: String,
    /// The mail's state.
    pub state: State,
    /// The tenant, for the rate limit of its mails. Empty if the mail has no tenant.
    pub tenant: String,
    /// The priority.
    pub priority: Priority,
    /// The earliest time to send the mail.
    pub not_before: SystemTime,
    /// The latest time to send the mail. If it was not sent by then, a worker cancels it.
    pub not_after: Option<SystemTime>,
    /// The sender as in the mail. `None` if the content was deleted or encrypted.
    pub sender: Option<String>,
    /// The time that the mail is scheduled for, as in the mail.
    pub schedule: Option<String>,
    /// How often a worker claimed the mail.
    pub attempts: u32,
    /// How often the mail was queued again after a look-up proved that the last attempt was not accepted.
    pub resends: u32,
    /// Number of the last attempt, unique in the table. Later attempts have higher numbers. 0 before the first
    /// attempt.
    pub fence: i64,
    /// The worker of the last attempt.
    pub owner: Option<String>,
    /// When the last attempt began.
    pub attempt_since: Option<SystemTime>,
    /// When the first attempt with an unknown outcome began. Look-ups search the activity from this time on. Kept
    /// while the mail is unknown or held, and after it was queued again because it was absent.
    pub unknown_since: Option<SystemTime>,
    /// When the lease of the last attempt ends.
    pub lease_until: Option<SystemTime>,
    /// When a worker next looks up an unknown mail.
    pub look_at: Option<SystemTime>,
    /// The API's id of the mail.
    pub email_id: Option<String>,
    /// The API's id of a scheduled mail.
    pub schedule_id: Option<String>,
    /// The reason for the state: a kind or code without personal data, such as `timeout`.
    pub reason: Option<String>,
    /// The text of the error that led to the state. It can quote addresses.
    pub error: Option<String>,
    /// The last webhook event that changed the row, such as `delivered`.
    pub event: Option<String>,
    /// When the mail was queued.
    pub created_at: SystemTime,
    /// When the row last changed.
    pub updated_at: SystemTime,
    /// When the outbox recorded that the API had accepted the mail.
    pub sent_at: Option<SystemTime>,
    /// Whether the row still has the mail's content unencrypted.
    pub has_mail: bool,
    /// Whether the mail holds a rate-limit permit for the time `not_before`.
    pub(crate) reserved: bool,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("key", &self.key)
            .field("state", &self.state)
            .field("reason", &self.reason)
            .field("attempts", &self.attempts)
            .field("resends", &self.resends)
            .field("fence", &self.fence)
            .field("owner", &self.owner)
            .field("not_before", &self.not_before)
            .field("email_id", &self.email_id)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
