//! Accounts and their API keys.

use std::fmt;

use crate::data::Collection;
use crate::operations::{
    allowed_recipients, allowed_senders, dedicated_ips, domain, email, ip_allow_list, ip_auth,
    sender_settings::SenderSettings, single_sender_emails, sms, smtp_users, subaccount,
    suppression, template, webhook,
};
use crate::weight::weigh;

/// Index of an account in [`World`](crate::world::World). Accounts are never removed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub(crate) struct AccountId(pub(crate) usize);

impl AccountId {
    /// The account that exists from the start. All others are its subaccounts.
    pub(crate) const MASTER: Self = Self(0);

    pub(crate) fn is_master(self) -> bool {
        self == Self::MASTER
    }
}

/// The master account or a subaccount. Each group of the API that keeps data has a field here; its type
/// is defined in the group's file.
#[derive(Debug, Default)]
pub(crate) struct Account {
    /// The value of `subaccount_id`.
    pub(crate) id: String,
    /// Whether the subaccount is closed. Its keys are refused.
    pub(crate) closed: bool,
    /// Number of mails sent.
    pub(crate) mails: usize,
    pub(crate) allowed_recipients: allowed_recipients::AllowedRecipients,
    pub(crate) allowed_senders: allowed_senders::AllowedSenders,
    pub(crate) dedicated_ips: dedicated_ips::DedicatedIps,
    pub(crate) domain: domain::SenderDomains,
    pub(crate) email: email::EmailState,
    pub(crate) ip_allow_list: ip_allow_list::IpAllowLists,
    pub(crate) ip_auth: ip_auth::IpAuthentication,
    pub(crate) single_sender_emails: single_sender_emails::SingleSenders,
    pub(crate) sms: sms::SmsState,
    pub(crate) smtp_users: smtp_users::SmtpUsers,
    pub(crate) subaccount: subaccount::SubaccountState,
    pub(crate) suppression: suppression::Suppressions,
    pub(crate) template: template::Templates,
    pub(crate) webhook: webhook::RegisteredWebhooks,
}

weigh!(Account {
    id,
    closed,
    mails,
    allowed_recipients,
    allowed_senders,
    dedicated_ips,
    domain,
    email,
    ip_allow_list,
    ip_auth,
    single_sender_emails,
    sms,
    smtp_users,
    subaccount,
    suppression,
    template,
    webhook,
});

/// The part of an account that a data file stores in one record.
#[cfg(feature = "data")]
#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct AccountRow {
    id: String,
    closed: bool,
    mails: usize,
    limits_recipients: bool,
    sender_mode: allowed_senders::Mode,
    limits_smtp: bool,
    limits_api: bool,
    subaccount: subaccount::SubaccountState,
}

impl Account {
    pub(crate) fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// The parts that a data file stores item by item, with their names in the file. The rest is in the
    /// [`AccountRow`], or is derived from messages and jobs.
    pub(crate) fn collections(&mut self) -> [(&'static str, &mut dyn Collection); 12] {
        let Self {
            id: _,
            closed: _,
            mails: _,
            allowed_recipients,
            allowed_senders,
            dedicated_ips: _,
            domain,
            email: _,
            ip_allow_list,
            ip_auth,
            single_sender_emails,
            sms,
            smtp_users,
            subaccount: _,
            suppression,
            template,
            webhook,
        } = self;
        [
            ("allowed-recipient", &mut allowed_recipients.entries.entries),
            ("allowed-sender", &mut allowed_senders.entries.entries),
            ("domain", &mut domain.domains),
            ("smtp-ip", &mut ip_allow_list.smtp.entries),
            ("api-ip", &mut ip_allow_list.api.entries),
            ("ip-auth", &mut ip_auth.addresses),
            ("single-sender", &mut single_sender_emails.senders),
            ("opted-out", &mut sms.opted_out),
            ("smtp-user", &mut smtp_users.users),
            ("suppression", &mut suppression.entries),
            ("template", &mut template.templates),
            ("webhook", &mut webhook.webhooks),
        ]
    }

    /// Starts to mark changes, like [`World::track`](crate::world::World::track).
    pub(crate) fn track(&mut self, all: bool) {
        for (_, collection) in self.collections() {
            collection.track(all);
        }
    }

    #[cfg(feature = "data")]
    pub(crate) fn row(&self) -> AccountRow {
        AccountRow {
            id: self.id.clone(),
            closed: self.closed,
            mails: self.mails,
            limits_recipients: self.allowed_recipients.enabled,
            sender_mode: self.allowed_senders.mode,
            limits_smtp: self.ip_allow_list.smtp.enabled,
            limits_api: self.ip_allow_list.api.enabled,
            subaccount: self.subaccount.clone(),
        }
    }

    /// Returns the account of a record, with empty collections.
    #[cfg(feature = "data")]
    pub(crate) fn from_row(row: AccountRow) -> Self {
        let mut account = Self::new(row.id);
        account.closed = row.closed;
        account.mails = row.mails;
        account.allowed_recipients.enabled = row.limits_recipients;
        account.allowed_senders.mode = row.sender_mode;
        account.ip_allow_list.smtp.enabled = row.limits_smtp;
        account.ip_allow_list.api.enabled = row.limits_api;
        account.subaccount = row.subaccount;
        account
    }

    /// Rebuilds the derived state after the collections were read.
    #[cfg(feature = "data")]
    pub(crate) fn restored(&mut self) -> Result<(), String> {
        self.allowed_recipients.entries.know_all();
        self.allowed_senders.entries.know_all();
        self.suppression.note_places();
        self.template.compile()
    }
}

/// The `status` of an API key or an SMTP user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeyStatus {
    /// `allowed`: the key may call all its endpoints.
    #[default]
    Allowed,
    /// `blocked`: calls get status 401.
    Blocked,
    /// `sandbox`: calls succeed, but mail is rejected instead of delivered. This is a value of the
    /// service's API and unrelated to this crate's name.
    Sandbox,
}

/// The names of statuses in a data file.
#[derive(serde::Serialize, serde::Deserialize)]
#[serde(remote = "KeyStatus")]
pub(crate) enum KeyStatusForm {
    Allowed,
    Blocked,
    Sandbox,
}

impl KeyStatus {
    /// Returns the API's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
            Self::Sandbox => "sandbox",
        }
    }

    /// Finds the status with this value of the API. `None` if the value is unknown.
    pub fn from_value(value: &str) -> Option<Self> {
        [Self::Allowed, Self::Blocked, Self::Sandbox]
            .into_iter()
            .find(|status| status.as_str() == value)
    }
}

/// An additional API key for [`SandboxBuilder::api_key`](crate::SandboxBuilder::api_key).
///
/// ```
/// use smtp2go_sandbox::{ApiKey, Sandbox};
///
/// # fn main() -> std::io::Result<()> {
/// let key = "api-TEMPLATES0TEMPLATES0TEMPLATES000";
/// let sandbox = Sandbox::builder()
///     .api_key(ApiKey::new(key).endpoints(["/template/*", "/email/send"]))
///     .start_blocking()?;
/// # Ok(())
/// # }
/// ```
///
/// `Debug` shows only the first 16 characters of the key.
#[derive(Clone)]
#[must_use = "a key does nothing until it is given to a sandbox"]
pub struct ApiKey {
    pub(crate) secret: String,
    pub(crate) endpoints: Vec<String>,
    pub(crate) status: KeyStatus,
    pub(crate) subaccount: Option<String>,
}

impl ApiKey {
    /// Makes a key of the master account with the status `allowed` for all endpoints. Use an invented
    /// one, never a real key. Its format is not checked.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            secret: key.into(),
            endpoints: vec!["*".to_owned()],
            status: KeyStatus::Allowed,
            subaccount: None,
        }
    }

    /// Sets the paths that the key may call, such as `/email/send`. `*` matches any text:
    /// `/email/*`. Every key may call `/api_keys/permissions`.
    pub fn endpoints<I>(mut self, endpoints: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        self.endpoints = endpoints.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the status. Default: `allowed`.
    pub fn status(mut self, status: KeyStatus) -> Self {
        self.status = status;
        self
    }

    /// Assigns the key to the subaccount with this id, which is created if it does not exist.
    pub fn subaccount(mut self, id: impl Into<String>) -> Self {
        self.subaccount = Some(id.into());
        self
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ApiKey")
            .field("key", &short_name(&self.secret))
            .field("endpoints", &self.endpoints)
            .field("status", &self.status)
            .field("subaccount", &self.subaccount)
            .finish()
    }
}

/// An API key of a running sandbox.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Key {
    pub(crate) secret: String,
    pub(crate) account: AccountId,
    pub(crate) endpoints: Vec<String>,
    #[serde(with = "KeyStatusForm")]
    pub(crate) status: KeyStatus,
    /// The other fields of `/api_keys/view`, such as `description`.
    pub(crate) settings: SenderSettings,
}

weigh!(Key {
    secret,
    account,
    endpoints,
    status,
    settings
});

impl Key {
    /// The key's first 16 characters, which identify it in replies, filters and webhooks.
    pub(crate) fn short_name(&self) -> &str {
        short_name(&self.secret)
    }

    /// Whether the key may call the operation at `path`.
    pub(crate) fn permits(&self, path: &str) -> bool {
        path == "/api_keys/permissions" || self.grants(path)
    }

    /// Whether one of the key's endpoints matches the path.
    pub(crate) fn grants(&self, path: &str) -> bool {
        self.endpoints.iter().any(|endpoint| glob(endpoint, path))
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("key", &self.short_name())
            .field("account", &self.account)
            .field("endpoints", &self.endpoints)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// The first 16 characters of a key.
pub(crate) fn short_name(secret: &str) -> &str {
    secret
        .char_indices()
        .nth(16)
        .map_or(secret, |(end, _)| secret.get(..end).unwrap_or(secret))
}

/// Whether a text matches a pattern in which `*` stands for any text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asterisk_in_an_endpoint_matches_any_text() {
        for (pattern, path, expected) in [
            ("*", "/email/send", true),
            ("/email/*", "/email/send", true),
            ("/email/*", "/email/scheduled/search", true),
            ("/email/*", "/email", false),
            ("/email/send", "/email/send", true),
            ("/email/send", "/email/sender", false),
            ("/email/s", "/email/send", false),
            ("*/view", "/domain/view", true),
            ("*/view", "/domain/view/x", false),
            ("/*/s*h", "/email/search", true),
            ("/*/s*h", "/email/send", false),
            ("/ab*b", "/ab", false),
            ("", "/email/send", false),
        ] {
            assert_eq!(glob(pattern, path), expected, "{pattern} {path}");
        }
    }

    #[test]
    fn short_name_of_a_key_is_its_first_16_characters() {
        assert_eq!(short_name("api-0123456789abcdef"), "api-0123456789ab");
        assert_eq!(short_name("api"), "api");
        assert_eq!(short_name("ééééééééééééééééé").chars().count(), 16);
    }
}
