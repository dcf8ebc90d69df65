//! The event, and what can be asked of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_core::de::Error as _;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::key::DedupKey;
use super::members::EventMembers;
use super::parse;
use crate::{BounceKind, EmailEvent, EmailEventKind, SmsEvent, SmsEventName, Timestamp};

/// What a webhook received. [`parse`](super::parse) makes one of a request's body.
///
/// It serialises as the JSON that the service would post, and can be read back from it: so it can
/// be put into a queue or a table, and nothing of it gets lost. Reading it back has the same limit
/// on members, and none on bytes or on what is inside the members: read back what you stored, and use
/// [`parse`](super::parse()) for what comes from elsewhere.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something happened to an email.
    Email(Box<EmailEvent>),
    /// Something happened to a text message.
    Sms(Box<SmsEvent>),
    /// An event of a kind that this version does not know, and that is not plainly about an email or
    /// a text message.
    Unknown(UnknownEvent),
}

/// An event that is not known, with everything that came.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UnknownEvent {
    /// The members of the payload, under the names that they came with.
    pub members: BTreeMap<String, Value>,
}

/// Who opened an email or clicked a link: what the service knows of it. All of it is what the
/// reader's program and network say, so it can be wrong: mail programs load images through proxies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reader<'a> {
    /// The address that the request came from.
    pub address: Option<IpAddr>,
    /// The User-Agent header.
    pub user_agent: Option<&'a str>,
    /// The program.
    pub client: Option<&'a str>,
    /// The device.
    pub device: Option<&'a str>,
    /// The operating system.
    pub os: Option<&'a str>,
    /// The continent, two letters, going by the address.
    pub continent: Option<&'a str>,
    /// The country, two letters, going by the address.
    pub country: Option<&'a str>,
    /// The city, going by the address.
    pub city: Option<&'a str>,
}

impl Event {
    /// The word for what happened, such as `delivered` or `sms_failed`: as this crate spells it if it
    /// knows it, or else as it came.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Email(event) => event.event.as_ref().map(EmailEventKind::as_str),
            Self::Sms(event) => event.event.as_ref().map(SmsEventName::as_str),
            Self::Unknown(event) => event.name(),
        }
    }

    /// The email event, if it is one.
    #[must_use]
    pub fn as_email(&self) -> Option<&EmailEvent> {
        match self {
            Self::Email(event) => Some(event),
            _ => None,
        }
    }

    /// The text message event, if it is one.
    #[must_use]
    pub fn as_sms(&self) -> Option<&SmsEvent> {
        match self {
            Self::Sms(event) => Some(event),
            _ => None,
        }
    }

    /// Returns a text that is the same when the service posts the event again, in whichever format,
    /// and another for another event. `None` if the event says too little to tell: handle it each
    /// time.
    ///
    /// - Of an email event: `event`, `email_id`, `rcpt`, `time`, `id` and `url`. All of them, because
    ///   no id is proven to be one event's own. A value that is `Unavailable`, as in some rejections,
    ///   counts as absent. Without `email_id`, the key holds `message-id`, `sendtime`, `recipients`,
    ///   `sender` and `subject` too.
    /// - Of a text message: `event`, `message_id`, the number it was sent to, status, retry count,
    ///   times and `id`.
    /// - Of an unknown event: everything.
    ///
    /// An email event has a key if it has an `email_id`, `id` or `message-id`, or a recipient and a
    /// time; a text message if it has a `message_id`, or a number and a time; an unknown event if it
    /// has anything but its name that is available.
    ///
    /// It is readable, holds an address or a number, so is personal data, and is shorter than 3 KiB
    /// however long the event is. The same in every version of this crate that has the same major
    /// version.
    #[must_use]
    pub fn dedup_key(&self) -> Option<String> {
        match self {
            Self::Email(event) => event.dedup_key(),
            Self::Sms(event) => event.dedup_key(),
            Self::Unknown(event) => event.dedup_key(),
        }
    }
}

impl UnknownEvent {
    /// The word for what happened.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let exact = self.members.get("event").and_then(Value::as_str);
        exact.or_else(|| {
            let mut members = self.members.iter();
            members.find_map(|(key, event)| {
                let is_named = key.eq_ignore_ascii_case("event");
                event.as_str().filter(|_| is_named)
            })
        })
    }

    fn dedup_key(&self) -> Option<String> {
        let says_nothing = |(key, value): (&String, &Value)| {
            let is_missing = value
                .as_str()
                .is_some_and(|text| available(Some(text)).is_none());
            key.eq_ignore_ascii_case("event") || value.is_null() || is_missing
        };
        if self.members.iter().all(says_nothing) {
            return None;
        }
        let all = serde_json::to_string(&self.members).unwrap_or_default();
        Some(
            DedupKey::default()
                .part(Some("unknown"))
                .part(self.name())
                .part(Some(&all))
                .finish(),
        )
    }
}

impl EmailEvent {
    /// See [`Event::dedup_key`].
    #[must_use]
    pub fn dedup_key(&self) -> Option<String> {
        let event = self.event.as_ref().map(EmailEventKind::as_str);
        let (email_id, id) = (
            available(self.email_id.as_deref()),
            available(self.id.as_deref()),
        );
        let (rcpt, time) = (
            available(self.rcpt.as_deref()),
            available(self.time.as_ref().map(Timestamp::as_str)),
        );
        let key = DedupKey::default()
            .part(event)
            .part(email_id)
            .part(rcpt)
            .part(time)
            .part(id)
            .part(self.target());
        if email_id.is_some() {
            return Some(key.finish());
        }
        let message_id = available(self.message_id.as_deref());
        let sendtime = available(self.sendtime.as_ref().map(Timestamp::as_str));
        let recipients = self.recipients.join(",");
        let recipients = available(Some(&recipients));
        let is_told = id.or(message_id).is_some()
            || rcpt.or(recipients).is_some() && time.or(sendtime).is_some();
        let key = key
            .part(message_id)
            .part(sendtime)
            .part(recipients)
            .part(available(self.sender.as_deref()))
            .part(available(self.subject.as_deref()));
        is_told.then(|| key.finish())
    }

    /// Whether the address is not worth another try: the bounce is `hard`. `None` if this is no
    /// bounce, or one of neither kind.
    #[must_use]
    pub fn is_hard_bounce(&self) -> Option<bool> {
        match self.bounce.as_ref()? {
            BounceKind::Hard => Some(true),
            BounceKind::Soft => Some(false),
            BounceKind::Unknown(_) => None,
        }
    }

    /// Whom the event concerns: `rcpt`, or else all `recipients`.
    pub fn concerns(&self) -> impl Iterator<Item = &str> {
        let all = match self.rcpt {
            Some(_) => &[],
            None => self.recipients.as_slice(),
        };
        self.rcpt.iter().chain(all).map(String::as_str)
    }

    /// The target of the clicked link: `url`, without the secrecy of its type.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Who opened or clicked; `None` if the event says nothing of it. With `processed` the address is
    /// that of whoever handed the email in, which is not a reader.
    #[must_use]
    pub fn reader(&self) -> Option<Reader<'_>> {
        use crate::EmailEventKind::{Click, Open};
        let is_read = matches!(self.event, Some(Open | Click));
        let address = self.srchost.as_deref().filter(|_| is_read);
        let reader = Reader {
            address: address.and_then(|address| address.trim().parse().ok()),
            user_agent: self.user_agent.as_deref(),
            client: self.client.as_deref(),
            device: self.client_device.as_deref(),
            os: self.client_os.as_deref(),
            continent: self.geoip_continent.as_deref(),
            country: self.geoip_country.as_deref(),
            city: self.geoip_city.as_deref(),
        };
        let nobody = Reader {
            address: None,
            user_agent: None,
            client: None,
            device: None,
            os: None,
            continent: None,
            country: None,
            city: None,
        };
        (reader != nobody).then_some(reader)
    }
}

impl SmsEvent {
    /// See [`Event::dedup_key`].
    #[must_use]
    pub fn dedup_key(&self) -> Option<String> {
        let retries = self.retry_count.map(|count| count.to_string());
        let (message_id, id) = (
            available(self.message_id.as_deref()),
            available(self.id.as_deref()),
        );
        let number = available(self.destination_number.as_deref());
        let submitted = available(self.submitted_timestamp.as_ref().map(Timestamp::as_str));
        let received = available(self.received_timestamp.as_ref().map(Timestamp::as_str));
        // Not by `id` alone, which the documentation calls the webhook's.
        let is_told = message_id.is_some() || number.is_some() && submitted.or(received).is_some();
        let key = DedupKey::default()
            .part(self.event.as_ref().map(SmsEventName::as_str))
            .part(message_id)
            .part(number)
            .part(available(self.status_code.as_deref()))
            .part(retries.as_deref())
            .part(submitted)
            .part(received)
            .part(id);
        is_told.then(|| key.finish())
    }
}

/// The value of a field, unless it is empty or the text that stands for a missing one.
fn available(text: Option<&str>) -> Option<&str> {
    text.filter(|text| {
        let text = text.trim();
        !text.is_empty() && !text.eq_ignore_ascii_case("unavailable")
    })
}

impl From<EmailEvent> for Event {
    fn from(event: EmailEvent) -> Self {
        Self::Email(Box::new(event))
    }
}

impl From<SmsEvent> for Event {
    fn from(event: SmsEvent) -> Self {
        Self::Sms(Box::new(event))
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Email(event) => event.serialize(serializer),
            Self::Sms(event) => event.serialize(serializer),
            Self::Unknown(event) => event.members.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let EventMembers(members) = EventMembers::deserialize(deserializer)?;
        parse::event(members, false).ok_or_else(|| D::Error::custom(parse::NO_EVENT))
    }
}
