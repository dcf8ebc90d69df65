//! Mails to queue, and the results of queueing and of requests.

use std::time::SystemTime;

use smtp2go_sdk::Email;

use crate::record::Priority;

/// A mail with the settings of its row: see [`Outbox::put`](crate::Outbox::put).
///
/// ```
/// use smtp2go_outbox::{Entry, Priority};
/// use smtp2go_sdk::Email;
///
/// let mail = Email::new("shop@example.com", "Your login code")
///     .to("jane@example.net")
///     .text("123456")
///     .idempotency_key("login/8842");
/// let entry = Entry::new(mail).priority(Priority::High).tenant("acme");
/// # let _ = entry;
/// ```
#[derive(Clone, Debug)]
#[must_use = "an entry does nothing until `Outbox::put` takes it"]
pub struct Entry {
    pub(crate) mail: Email,
    pub(crate) tenant: String,
    pub(crate) priority: Priority,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) not_after: Option<SystemTime>,
}

impl Entry {
    /// Returns an entry with the default settings.
    pub fn new(mail: Email) -> Self {
        Self {
            mail,
            tenant: String::new(),
            priority: Priority::default(),
            not_before: None,
            not_after: None,
        }
    }

    /// Sets the priority. Default: [`Priority::Normal`].
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the tenant, for [`WorkerBuilder::tenant_rate`](crate::WorkerBuilder::tenant_rate). Default: empty.
    /// A mail without a tenant has no tenant limit.
    pub fn tenant(mut self, tenant: impl Into<String>) -> Self {
        self.tenant = tenant.into();
        self
    }

    /// Sets the earliest time to send the mail, by the database's clock. Default: at once.
    pub fn not_before(mut self, time: SystemTime) -> Self {
        self.not_before = Some(time);
        self
    }

    /// Sets the latest time to send the mail, such as the end of a login code's validity. Default: none. If the
    /// mail is still queued at this time, or is queued again later, a worker cancels it with the reason `expired`.
    pub fn not_after(mut self, time: SystemTime) -> Self {
        self.not_after = Some(time);
        self
    }
}

impl From<Email> for Entry {
    fn from(mail: Email) -> Self {
        Self::new(mail)
    }
}

/// The result of [`Outbox::put`](crate::Outbox::put).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Put {
    /// The mail is in the table now.
    Queued,
    /// The table already had a mail with this key. Nothing was changed, even if the mails differ.
    Known,
}

/// The result of a request such as [`Outbox::retry`](crate::Outbox::retry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the request may not apply to the mail's state"]
#[non_exhaustive]
pub enum Requested {
    /// The request changed the mail's state.
    Done,
    /// The request does not apply to a mail in this state. Nothing was changed.
    NotIn(crate::State),
    /// The mail's [`not_after`](crate::Record::not_after) has passed, so it can't be retried. Nothing was changed.
    Expired,
    /// An attempt of the mail may have sent it. Nothing was changed: see
    /// [`Outbox::look_up`](crate::Outbox::look_up) and [`Outbox::resend`](crate::Outbox::resend).
    InDoubt,
    /// The table has no mail with this key.
    NoSuchKey,
}
