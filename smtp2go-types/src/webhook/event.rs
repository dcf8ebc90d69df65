//! The event and its methods.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_core::de::Error as _;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::key::DedupKey;
use super::members::EventMembers;
use super::parse;
use crate::{BounceKind, EmailEvent, EmailEventKind, SmsEvent, SmsEventName, Timestamp};

/// An event that a webhook posted. [`parse`](super::parse) reads one from a request's body.
///
/// Serialises as the JSON that the service would post, and deserialises from it without loss, so it
/// can be stored in a queue or a table. Deserialising limits the number of members, but neither the
/// length nor nested values: use it for what you stored, and [`parse`](super::parse()) for anything
/// else.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// Something happened to an email.
    Email(Box<EmailEvent>),
    /// Something happened to a text message.
    Sms(Box<SmsEvent>),
    /// An event of an unknown kind without an id of an email or a text message.
    Unknown(UnknownEvent),
}

/// An event of an unknown kind, with all its members.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct UnknownEvent {
    /// The members of the payload, under their names as received.
    pub members: BTreeMap<String, Value>,
}

/// Who opened an email or clicked a link. The values come from the reader's program and network, so
/// they can be wrong: mail programs load images through proxies.
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
    /// The continent of the address, two letters.
    pub continent: Option<&'a str>,
    /// The country of the address, two letters.
    pub country: Option<&'a str>,
    /// The city of the address.
    pub city: Option<&'a str>,
}

impl Event {
    /// Returns the event's name, such as `delivered` or `sms_failed`. A known name has this crate's
    /// spelling; an unknown one is as received.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Email(event) => event.event.as_ref().map(EmailEventKind::as_str),
            Self::Sms(event) => event.event.as_ref().map(SmsEventName::as_str),
            Self::Unknown(event) => event.name(),
        }
    }

    /// Returns the email event, if it is one.
    #[must_use]
    pub fn as_email(&self) -> Option<&EmailEvent> {
        match self {
            Self::Email(event) => Some(event),
            _ => None,
        }
    }

    /// Returns the text message event, if it is one.
    #[must_use]
    pub fn as_sms(&self) -> Option<&SmsEvent> {
        match self {
            Self::Sms(event) => Some(event),
            _ => None,
        }
    }

    /// Returns a header of the mail, if the webhook copies it into its events: see
    /// [`EmailEvent::header`].
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        match self {
            Self::Email(event) => event.header(name),
            Self::Sms(_) => None,
            Self::Unknown(event) => header(&event.members, name),
        }
    }

    /// Returns a key that is the same for each delivery of the event, in both formats, and differs from
    /// the keys of other events. `None` if the event has too few values: handle it each time.
    ///
    /// The key consists of
    /// - for an email event: `event`, `email_id`, `rcpt`, `time`, `id` and `url`, because no single id
    ///   is proven to be unique. The value `Unavailable` of some rejections counts as absent. Without
    ///   `email_id` also `message-id`, `sendtime`, `recipients`, `sender` and `subject`;
    /// - for a text message: `event`, `message_id`, the destination number, status, retry count, times
    ///   and `id`;
    /// - for an unknown event: all members.
    ///
    /// An email event has a key if it has an `email_id`, `id` or `message-id`, or a recipient and a
    /// time; a text message if it has a `message_id`, or a number and a time; an unknown event if it
    /// has any value besides its name.
    ///
    /// The key contains an address or a number, so it is personal data. It is shorter than 3 KiB. It
    /// does not change within a major version of this crate.
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
    /// Returns the event's name.
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
        let is_identified = id.or(message_id).is_some()
            || rcpt.or(recipients).is_some() && time.or(sendtime).is_some();
        let key = key
            .part(message_id)
            .part(sendtime)
            .part(recipients)
            .part(available(self.sender.as_deref()))
            .part(available(self.subject.as_deref()));
        is_identified.then(|| key.finish())
    }

    /// Returns a header of the mail, by its name in any case. `None` if the event does not have it.
    ///
    /// An event has the headers that are listed in the webhook's `headers`, unless a header has the name
    /// of a field of the event. The text `Headers Unavailable` of the service's test events counts as
    /// absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.extra, name)
    }

    /// Whether the bounce is `hard`, so that the address should not be used again. `None` if this is
    /// not a bounce, or a bounce of an unknown kind.
    #[must_use]
    pub fn is_hard_bounce(&self) -> Option<bool> {
        match self.bounce.as_ref()? {
            BounceKind::Hard => Some(true),
            BounceKind::Soft => Some(false),
            BounceKind::Unknown(_) => None,
        }
    }

    /// Returns the recipients that the event concerns: `rcpt`, or else all `recipients`.
    pub fn concerns(&self) -> impl Iterator<Item = &str> {
        let all = match self.rcpt {
            Some(_) => &[],
            None => self.recipients.as_slice(),
        };
        self.rcpt.iter().chain(all).map(String::as_str)
    }

    /// Returns the target of the clicked link: `url` as plain text.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// Returns who opened the email or clicked a link; `None` if the event has no value about that.
    /// The address of `processed` is the sender's and does not count.
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
        // `id` alone is not enough: the documentation calls it the webhook's id.
        let is_identified =
            message_id.is_some() || number.is_some() && submitted.or(received).is_some();
        let key = DedupKey::default()
            .part(self.event.as_ref().map(SmsEventName::as_str))
            .part(message_id)
            .part(number)
            .part(available(self.status_code.as_deref()))
            .part(retries.as_deref())
            .part(submitted)
            .part(received)
            .part(id);
        is_identified.then(|| key.finish())
    }
}

/// Returns the text of a member, or the first text of a list.
fn header<'a>(members: &'a BTreeMap<String, Value>, name: &str) -> Option<&'a str> {
    let mut values = members
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| match value {
            Value::Array(values) => values.first().and_then(Value::as_str),
            value => value.as_str(),
        });
    values.find_map(|value| {
        value.filter(|text| !text.trim().is_empty() && *text != "Headers Unavailable")
    })
}

/// Returns the value of a field, unless it is empty or the placeholder `unavailable`.
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
