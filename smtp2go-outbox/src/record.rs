//! A mail of the table, without its content.

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
    /// To be sent at [`not_before`](Record::not_before).
    Queued,
    /// A worker has a lease on the mail and may be sending it.
    Sending,
    /// The mail may have been accepted. Workers look it up in the activity; it is not sent again until
    /// the look-up proves that it was not accepted.
    Unknown,
    /// Waits for a person, who retries or cancels it. [`reason`](Record::reason) says why.
    Held,
    /// Accepted by the API.
    Sent,
    /// Delivered to at least one recipient.
    Delivered,
    /// Bounced hard for at least one recipient.
    Bounced,
    /// Reported as spam by at least one recipient.
    Complained,
    /// Refused by the API, or refused for at least one recipient after it was accepted.
    Rejected,
    /// Not to be sent: a person cancelled it, or its time is over. If it was unknown before it was held and
    /// cancelled, it may have been sent.
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

    /// Whether workers are done with the mail. Webhook events can still change the state.
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
    /// 0 in the table: for mails that somebody waits for, such as login codes.
    High,
    /// 1 in the table. The default.
    #[default]
    Normal,
    /// 2 in the table: for newsletters.
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

/// A row of the table, without the mail's content. Times are the database's. Debug leaves out `sender` and
/// `error`, which have addresses.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Record {
    /// The mail's idempotency key.
    pub key: String,
    /// Its state.
    pub state: State,
    /// The tenant, for rates. Empty if there is none.
    pub tenant: String,
    /// The priority.
    pub priority: Priority,
    /// When it may be sent at the earliest.
    pub not_before: SystemTime,
    /// When it is cancelled if it was not sent.
    pub not_after: Option<SystemTime>,
    /// The sender as in the mail. `None` if the mail was deleted.
    pub sender: Option<String>,
    /// The time that the mail is scheduled for, as in the mail.
    pub schedule: Option<String>,
    /// How often the mail was handed to a worker.
    pub attempts: u32,
    /// How often it was sent again after a look-up proved that the attempt before was not accepted.
    pub resends: u32,
    /// Number of the last attempt. Unique in the table, and it only grows. 0 before the first attempt.
    pub fence: i64,
    /// The worker of the last attempt.
    pub owner: Option<String>,
    /// When the last attempt began.
    pub attempt_since: Option<SystemTime>,
    /// When the first attempt began whose outcome is unknown, or was until a look-up. Look-ups search from
    /// there.
    pub unknown_since: Option<SystemTime>,
    /// When the last attempt is over at the latest.
    pub lease_until: Option<SystemTime>,
    /// When an unknown mail is looked up next.
    pub look_at: Option<SystemTime>,
    /// The API's id of the mail.
    pub email_id: Option<String>,
    /// The API's id of a scheduled mail.
    pub schedule_id: Option<String>,
    /// Why the mail is in its state: a kind or code without personal data, such as `timeout`.
    pub reason: Option<String>,
    /// The text of the last error. It can quote addresses.
    pub error: Option<String>,
    /// The last webhook event that was recorded, such as `delivered`.
    pub event: Option<String>,
    /// When the mail was queued.
    pub created_at: SystemTime,
    /// When the row last changed.
    pub updated_at: SystemTime,
    /// When the API accepted the mail, or this was found out.
    pub sent_at: Option<SystemTime>,
    /// Whether the row still has the mail's content in clear.
    pub has_mail: bool,
    /// The worker's rate limit already has a permit for the mail, at `not_before`.
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
