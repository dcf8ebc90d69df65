//! Events of mails and text messages.

use std::fmt;
use std::time::SystemTime;

use crate::account::AccountId;
use crate::mail::Mail;
use crate::sms::Sms;

/// An event of a text message, or of a mail for one or all of its recipients. Events are immutable.
/// They are dropped together with their message.
///
/// `Debug` leaves out the recipient and the details.
pub struct Event {
    pub(crate) id: u128,
    pub(crate) time: SystemTime,
    pub(crate) account: AccountId,
    pub(crate) subject: Subject,
    pub(crate) kind: EventKind,
    pub(crate) detail: Detail,
}

/// Details of an event, named like in the webhook's payload: `message`, `context`, `host`, `url`,
/// `user-agent`, …
pub(crate) type Detail = Vec<(&'static str, String)>;

/// The message of an event.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A mail, and the recipient's address without a name. `None` for all recipients.
    Mail {
        mail: Mail,
        recipient: Option<String>,
    },
    /// A text message.
    Sms(Sms),
}

impl Subject {
    /// The message's number in the ledger.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Mail { mail, .. } => mail.number(),
            Self::Sms(sms) => sms.number(),
        }
    }
}

/// The kind of an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The service started to deliver the mail.
    Processed,
    /// The recipient's server accepted the mail.
    Delivered,
    /// The recipient's server refused the mail permanently.
    HardBounce,
    /// The recipient's server refused the mail temporarily.
    SoftBounce,
    /// The recipient opened the mail.
    Open,
    /// The recipient clicked a link of the mail.
    Click,
    /// The recipient reported the mail as spam.
    Spam,
    /// The recipient unsubscribed.
    Unsubscribe,
    /// The recipient resubscribed.
    Resubscribe,
    /// The service did not try to deliver the mail.
    Reject,
    /// The text message is being sent.
    SmsSending,
    /// The text message was handed to the carrier.
    SmsSubmitted,
    /// The text message was delivered.
    SmsDelivered,
    /// The text message could not be delivered.
    SmsFailed,
    /// The text message was not sent.
    SmsRejected,
    /// The recipient of a text message opted out of further ones.
    SmsOptOut,
}

/// The names of events in a data file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "EventKind")]
pub(crate) enum KindForm {
    Processed,
    Delivered,
    HardBounce,
    SoftBounce,
    Open,
    Click,
    Spam,
    Unsubscribe,
    Resubscribe,
    Reject,
    SmsSending,
    SmsSubmitted,
    SmsDelivered,
    SmsFailed,
    SmsRejected,
    SmsOptOut,
}

impl EventKind {
    /// The value of `event` in a webhook's payload, such as `bounce` or `sms_delivered`. The value
    /// for an opt-out is not documented: the sandbox posts `opt-out`, the value to subscribe with.
    pub fn webhook_name(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Delivered => "delivered",
            Self::HardBounce | Self::SoftBounce => "bounce",
            Self::Open => "open",
            Self::Click => "click",
            Self::Spam => "spam",
            Self::Unsubscribe => "unsubscribe",
            Self::Resubscribe => "resubscribe",
            Self::Reject => "reject",
            Self::SmsSending => "sms_sending",
            Self::SmsSubmitted => "sms_submitted",
            Self::SmsDelivered => "sms_delivered",
            Self::SmsFailed => "sms_failed",
            Self::SmsRejected => "sms_rejected",
            Self::SmsOptOut => "opt-out",
        }
    }

    /// The event's name in `/activity/search`, such as `hard-bounced`. `None` for events of text
    /// messages, which that endpoint does not list.
    pub fn activity_name(self) -> Option<&'static str> {
        Some(match self {
            Self::Processed => "processed",
            Self::Delivered => "delivered",
            Self::HardBounce => "hard-bounced",
            Self::SoftBounce => "soft-bounced",
            Self::Open => "opened",
            Self::Click => "clicked",
            Self::Spam => "spam",
            Self::Unsubscribe => "unsubscribed",
            Self::Resubscribe => "resubscribed",
            Self::Reject => "rejected",
            _ => return None,
        })
    }
}

impl Event {
    /// The event's id in webhooks: 32 lower-case hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// Kind of the event.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// When the event happened, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The mail. `None` for an event of a text message.
    pub fn mail(&self) -> Option<&Mail> {
        match &self.subject {
            Subject::Mail { mail, .. } => Some(mail),
            Subject::Sms(_) => None,
        }
    }

    /// The text message. `None` for an event of a mail.
    pub fn sms(&self) -> Option<&Sms> {
        match &self.subject {
            Subject::Mail { .. } => None,
            Subject::Sms(sms) => Some(sms),
        }
    }

    /// The recipient's address, without a name. `None` for an event of a text message or of the mail
    /// as a whole.
    pub fn recipient(&self) -> Option<&str> {
        match &self.subject {
            Subject::Mail { recipient, .. } => recipient.as_deref(),
            Subject::Sms(_) => None,
        }
    }

    /// Returns a detail by its name in a webhook's payload: `message`, `context`, `host`, …
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.detail
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("id", &self.id())
            .field("time", &self.time)
            .field("account", &self.account)
            .field("mail", &self.mail())
            .field("sms", &self.sms())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
