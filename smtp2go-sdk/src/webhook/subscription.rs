//! Which events a webhook posts.

use std::fmt;

use smtp2go_types::{EmailEventKind, SmsEventKind, WebhookFormat};

/// Which events a webhook posts, and in which format. Made from a list of [`EmailEventKind`] or of
/// [`SmsEventKind`], or with [`email`](Self::email) and [`sms`](Self::sms).
///
/// Unspecified settings of an existing webhook are kept, except the format, which is JSON unless
/// [set](Self::format).
///
/// ```
/// use smtp2go_sdk::types::{EmailEventKind, SmsEventKind};
/// use smtp2go_sdk::webhook::Subscription;
///
/// let events = Subscription::email([EmailEventKind::Bounce, EmailEventKind::Spam])
///     .and_sms([SmsEventKind::Failed])
///     .headers(["X-Order"]);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Subscription {
    pub(super) events: Option<Vec<EmailEventKind>>,
    pub(super) sms_events: Option<Vec<SmsEventKind>>,
    pub(super) headers: Option<Vec<String>>,
    /// Added to `headers`, or else to the headers that the webhook has.
    pub(super) more_headers: Vec<String>,
    pub(super) usernames: Option<Vec<String>>,
    pub(super) format: WebhookFormat,
}

impl Subscription {
    /// Subscribes to these email events. Unlisted values are refused before sending, unless made by
    /// [`unlisted`](EmailEventKind::unlisted). The API's list lacks `resubscribe`, which its
    /// documentation has; the API may drop it.
    #[must_use]
    pub fn email(events: impl IntoIterator<Item = impl Into<EmailEventKind>>) -> Self {
        Self {
            events: Some(events.into_iter().map(Into::into).collect()),
            ..Self::none()
        }
    }

    /// Subscribes to these SMS events.
    #[must_use]
    pub fn sms(events: impl IntoIterator<Item = impl Into<SmsEventKind>>) -> Self {
        Self::none().and_sms(events)
    }

    fn none() -> Self {
        Self {
            events: None,
            sms_events: None,
            headers: None,
            more_headers: Vec::new(),
            usernames: None,
            format: WebhookFormat::Json,
        }
    }

    /// Also subscribes to these SMS events.
    #[must_use]
    pub fn and_sms(mut self, events: impl IntoIterator<Item = impl Into<SmsEventKind>>) -> Self {
        self.sms_events = Some(events.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the names of mail headers that are copied into each event, to
    /// [`extra`](smtp2go_types::EmailEvent::extra). Replaces those of an existing webhook;
    /// [`and_header`](Self::and_header) keeps them.
    #[must_use]
    pub fn headers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.headers = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Adds the name of a mail header that is copied into each event. The headers of an existing
    /// webhook are kept. [`EmailEvent::header`](smtp2go_types::EmailEvent::header) returns the copied
    /// header.
    ///
    /// With the client's [`idempotency_header`](crate::Client::idempotency_header), events carry the key
    /// of their mail:
    ///
    /// ```no_run
    /// use smtp2go_sdk::types::EmailEventKind;
    /// use smtp2go_sdk::webhook::Subscription;
    ///
    /// # async fn example(client: smtp2go_sdk::Client) -> Result<(), smtp2go_sdk::Error> {
    /// let events = Subscription::email([EmailEventKind::Delivered, EmailEventKind::Bounce])
    ///     .and_header(client.idempotency_header());
    /// let ensured = client.ensure_webhook("https://example.com/webhook", events, None).await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn and_header(mut self, name: impl Into<String>) -> Self {
        self.more_headers.push(name.into());
        self
    }

    /// Returns the headers to request for a webhook that has the headers `found`. `None` keeps `found`.
    pub(super) fn headers_beside(&self, found: &[String]) -> Option<Vec<String>> {
        if self.headers.is_none() && self.more_headers.is_empty() {
            return None;
        }
        let mut headers = self.headers.clone().unwrap_or_else(|| found.to_vec());
        for name in &self.more_headers {
            if !headers.iter().any(|other| other.eq_ignore_ascii_case(name)) {
                headers.push(name.clone());
            }
        }
        Some(headers)
    }

    /// Limits the events to mail of these senders: SMTP usernames, or the first 16 characters of API
    /// keys. An empty list stands for all senders.
    #[must_use]
    pub fn usernames(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.usernames = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the format of an event's body. Default: JSON. A [`Receiver`](super::Receiver) reads both.
    #[must_use]
    pub fn format(mut self, format: WebhookFormat) -> Self {
        self.format = format;
        self
    }
}

impl<const N: usize> From<[EmailEventKind; N]> for Subscription {
    fn from(events: [EmailEventKind; N]) -> Self {
        Self::email(events)
    }
}

impl From<Vec<EmailEventKind>> for Subscription {
    fn from(events: Vec<EmailEventKind>) -> Self {
        Self::email(events)
    }
}

impl<const N: usize> From<[SmsEventKind; N]> for Subscription {
    fn from(events: [SmsEventKind; N]) -> Self {
        Self::sms(events)
    }
}

impl From<Vec<SmsEventKind>> for Subscription {
    fn from(events: Vec<SmsEventKind>) -> Self {
        Self::sms(events)
    }
}

/// Shows the number of usernames, and not the names, which can be addresses.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("events", &self.events)
            .field("sms_events", &self.sms_events)
            .field("headers", &self.headers)
            .field("more_headers", &self.more_headers)
            .field("usernames", &self.usernames.as_ref().map(Vec::len))
            .field("format", &self.format)
            .finish()
    }
}
