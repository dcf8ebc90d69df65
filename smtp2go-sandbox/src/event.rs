//! What happened to mail and text messages.

use std::fmt;
use std::time::SystemTime;

use crate::account::AccountId;
use crate::mail::Mail;
use crate::sms::Sms;

/// Something that happened to a mail, for one of its recipients or all of them, or to a text
/// message. Events are never changed. They are dropped with the message.
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

/// What more there is to say of an event, in the names of the webhook's payload: `message`,
/// `context`, `host`, `url`, `user-agent`, …
pub(crate) type Detail = Vec<(&'static str, String)>;

/// What an event happened to.
#[derive(Clone, Debug)]
pub(crate) enum Subject {
    /// A mail, and the address without a name of the recipient; `None` where it is all of them.
    Mail {
        mail: Mail,
        recipient: Option<String>,
    },
    /// A text message.
    Sms(Sms),
}

impl Subject {
    /// The number of the message.
    pub(crate) fn number(&self) -> u64 {
        match self {
            Self::Mail { mail, .. } => mail.number(),
            Self::Sms(sms) => sms.number(),
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The mail was taken up for delivery.
    Processed,
    /// The recipient's server took the mail.
    Delivered,
    /// The recipient's server refused the mail for good.
    HardBounce,
    /// The recipient's server refused the mail for now.
    SoftBounce,
    /// The recipient opened the mail.
    Open,
    /// The recipient followed a link of the mail.
    Click,
    /// The recipient reported the mail as spam.
    Spam,
    /// The recipient unsubscribed.
    Unsubscribe,
    /// The recipient took the unsubscription back.
    Resubscribe,
    /// The service did not try to deliver the mail.
    Reject,
    /// The text message is being sent.
    SmsSending,
    /// The text message was handed to the carrier.
    SmsSubmitted,
    /// The text message arrived.
    SmsDelivered,
    /// The text message did not arrive.
    SmsFailed,
    /// The text message was not sent.
    SmsRejected,
    /// The recipient of a text message wants no more.
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
    /// The word of a webhook's payload, such as `bounce`. That of a text message has the prefix
    /// `sms_`. That of an opt-out is not documented: the sandbox posts `opt-out`, the word to
    /// subscribe with.
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

    /// The word of `/activity/search`, such as `hard-bounced`; `None` for text messages, which it
    /// does not list.
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
    /// The id of the event, 32 lower-case hexadecimal digits, as webhooks have it.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// What happened.
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// When, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The mail; `None` for a text message.
    pub fn mail(&self) -> Option<&Mail> {
        match &self.subject {
            Subject::Mail { mail, .. } => Some(mail),
            Subject::Sms(_) => None,
        }
    }

    /// The text message; `None` for a mail.
    pub fn sms(&self) -> Option<&Sms> {
        match &self.subject {
            Subject::Mail { .. } => None,
            Subject::Sms(sms) => Some(sms),
        }
    }

    /// The recipient's address, without a name; `None` for a text message and for what happened to
    /// the mail as a whole.
    pub fn recipient(&self) -> Option<&str> {
        match &self.subject {
            Subject::Mail { recipient, .. } => recipient.as_deref(),
            Subject::Sms(_) => None,
        }
    }

    /// What more is known, by its name in a webhook's payload: `message`, `context`, `host`, …
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
