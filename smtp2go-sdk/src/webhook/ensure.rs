//! Making the account's webhook what it should be.

use std::borrow::Cow;
use std::fmt;

use reqwest::Url;
use smtp2go_types::{
    EmailEventKind, Secret, SmsEventKind, Vocabulary, Webhook, WebhookAddRequest, WebhookAuthType,
    WebhookEditRequest, WebhookFormat, WebhookViewRequest, one_line,
};

use super::auth::Auth;
use crate::{Certainty, Client, Error};

/// Which events a webhook should post, and how. Made from a list of [`EmailEventKind`] or of
/// [`SmsEventKind`], or with [`email`](Self::email) and [`sms`](Self::sms).
///
/// What is not said stays as it is at a webhook that exists, but for the format, which is JSON
/// unless [said otherwise](Self::format).
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
    events: Option<Vec<EmailEventKind>>,
    sms_events: Option<Vec<SmsEventKind>>,
    headers: Option<Vec<String>>,
    usernames: Option<Vec<String>>,
    format: WebhookFormat,
}

impl Subscription {
    /// These email events. Values that are not listed are refused before sending, unless made by
    /// [`unlisted`](EmailEventKind::unlisted). The API lists no `resubscribe`, though its documentation
    /// has it, and may drop it.
    #[must_use]
    #[inline]
    pub fn email(events: impl IntoIterator<Item = impl Into<EmailEventKind>>) -> Self {
        Self {
            events: Some(events.into_iter().map(Into::into).collect()),
            ..Self::none()
        }
    }

    /// These SMS events.
    #[must_use]
    #[inline]
    pub fn sms(events: impl IntoIterator<Item = impl Into<SmsEventKind>>) -> Self {
        Self::none().and_sms(events)
    }

    #[inline]
    fn none() -> Self {
        Self {
            events: None,
            sms_events: None,
            headers: None,
            usernames: None,
            format: WebhookFormat::Json,
        }
    }

    /// These SMS events too.
    #[must_use]
    #[inline]
    pub fn and_sms(mut self, events: impl IntoIterator<Item = impl Into<SmsEventKind>>) -> Self {
        self.sms_events = Some(events.into_iter().map(Into::into).collect());
        self
    }

    /// Names of mail headers to copy into each event, where they stand in
    /// [`extra`](smtp2go_types::EmailEvent::extra).
    #[must_use]
    #[inline]
    pub fn headers(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.headers = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Only mail of these senders: SMTP usernames, or the first 16 characters of API keys. With none,
    /// of all senders.
    #[must_use]
    #[inline]
    pub fn usernames(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.usernames = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// How the body of an event is written. A receiver of this crate takes both.
    #[must_use]
    #[inline]
    pub fn format(mut self, format: WebhookFormat) -> Self {
        self.format = format;
        self
    }
}

impl<const N: usize> From<[EmailEventKind; N]> for Subscription {
    #[inline]
    fn from(events: [EmailEventKind; N]) -> Self {
        Self::email(events)
    }
}

impl From<Vec<EmailEventKind>> for Subscription {
    #[inline]
    fn from(events: Vec<EmailEventKind>) -> Self {
        Self::email(events)
    }
}

impl<const N: usize> From<[SmsEventKind; N]> for Subscription {
    #[inline]
    fn from(events: [SmsEventKind; N]) -> Self {
        Self::sms(events)
    }
}

/// Shows how many senders it is for, whose names can be addresses.
impl fmt::Debug for Subscription {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("events", &self.events)
            .field("sms_events", &self.sms_events)
            .field("headers", &self.headers)
            .field("usernames", &self.usernames.as_ref().map(Vec::len))
            .field("format", &self.format)
            .finish()
    }
}

impl From<Vec<SmsEventKind>> for Subscription {
    #[inline]
    fn from(events: Vec<SmsEventKind>) -> Self {
        Self::sms(events)
    }
}

/// What [`Client::ensure_webhook`] found and did.
#[derive(Clone, PartialEq)]
#[must_use = "the service can ignore what it was asked for without an error: look at `differences`"]
#[non_exhaustive]
pub struct EnsuredWebhook {
    /// The webhook, as the account has it now.
    pub webhook: Webhook,
    /// What was done.
    pub change: Change,
    /// In what the webhook is not as asked, all the same. Empty if all is well.
    pub differences: Vec<Difference>,
    /// Whether the service did not show the secret of the `Authorization` header, so that nobody can
    /// say whether it is the right one. It was then written, even if nothing else had to be.
    pub secret_unseen: bool,
    /// The ids of other webhooks of the account that post to the same place, so that events come
    /// more than once. They were left alone.
    pub duplicates: Vec<i64>,
}

impl EnsuredWebhook {
    /// Whether the webhook is as asked, as far as the service shows it.
    #[must_use]
    #[inline]
    pub fn is_as_asked(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Shows the id of the webhook only, since its address can have a secret in it.
impl fmt::Debug for EnsuredWebhook {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnsuredWebhook")
            .field("id", &self.webhook.id)
            .field("change", &self.change)
            .field("differences", &self.differences)
            .field("secret_unseen", &self.secret_unseen)
            .field("duplicates", &self.duplicates)
            .finish_non_exhaustive()
    }
}

/// What was done to a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none for the address.
    Created,
    /// It was not as asked, or its secret can't be seen.
    Updated,
    /// It was as asked already; nothing was written.
    Unchanged,
}

/// A field that is not as asked. Debug shows which; Display says more, and can quote the names of
/// senders, which can be addresses.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// Its name in the API, such as `events`.
    pub field: &'static str,
    /// What was asked for; `…` for a secret.
    pub wanted: String,
    /// What the account has; `…` for a secret.
    pub found: String,
}

impl fmt::Debug for Difference {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Difference")
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

/// `events: wanted bounce, spam, found bounce`
impl fmt::Display for Difference {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text| match text {
            "" => Cow::Borrowed("none"),
            text => one_line(text),
        };
        write!(
            f,
            "{}: wanted {}, found {}",
            self.field,
            shown(&self.wanted),
            shown(&self.found)
        )
    }
}

/// Everything that is asked for.
struct Wanted<'a> {
    url: Url,
    header: Option<(WebhookAuthType, Secret)>,
    auth: Option<&'a Auth>,
    subscription: Subscription,
}

impl Client {
    /// Has the account post these events to this address: creates the webhook, or changes the one that
    /// there is for the address, or finds it as it should be. A disabled webhook is switched on. Calling
    /// it again changes nothing, so a program can do it whenever it starts.
    ///
    /// `url` is the address without any secret; `auth` adds it to the address or sends it as a
    /// header, and the [`Receiver`](super::Receiver) gets the same. `None` is for a webhook without
    /// one. The webhook is known by its address without user, password and secret parameter, so those
    /// can be changed; with another [secret path](Auth::secret_path) it is another webhook.
    ///
    /// The webhook is read back afterwards, because the service ignores what it does not know
    /// without an error: [`EnsuredWebhook::differences`] says what came of it.
    ///
    /// Two programs that do this at the same moment can create two webhooks;
    /// [`duplicates`](EnsuredWebhook::duplicates) has the other one the next time.
    ///
    /// ```no_run
    /// use smtp2go_sdk::types::EmailEventKind;
    /// use smtp2go_sdk::webhook::Auth;
    ///
    /// # async fn example(client: smtp2go_sdk::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let auth = Auth::bearer(std::env::var("WEBHOOK_TOKEN")?)?;
    /// let events = [EmailEventKind::Delivered, EmailEventKind::Bounce];
    /// let ensured = client.ensure_webhook("https://example.com/webhook", events, &auth).await?;
    /// for difference in &ensured.differences {
    ///     eprintln!("the webhook is not as asked: {difference}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) for an address that is neither http nor https, no events at all,
    /// and an empty name of a header or sender;
    /// [`is_validation`](Error::is_validation) for an event that is not listed; and those of
    /// calls. An account with a free plan has one webhook, with a paid plan ten: where the service
    /// refuses another, the error says how many there are. Nobody documents what it answers then.
    #[inline]
    pub async fn ensure_webhook<'a>(
        &self,
        url: impl AsRef<str>,
        events: impl Into<Subscription>,
        auth: impl Into<Option<&'a Auth>>,
    ) -> Result<EnsuredWebhook, Error> {
        let wanted = Wanted::new(url.as_ref(), events.into(), auth.into())?;
        let webhooks = self.webhook().view(WebhookViewRequest::new()).await?;
        let webhooks = webhooks.into_inner();
        let (found, duplicates) = wanted.find(&webhooks);
        let Some((found, id)) = found else {
            let added = self.webhook().add(wanted.addition()).await;
            let added = added.map_err(|error| at_plan_limit(error, webhooks.len()))?;
            let added = added.into_inner();
            return self
                .read_back(&wanted, added, Change::Created, duplicates)
                .await;
        };
        let differences = wanted.differences(found);
        if differences.is_empty() && wanted.sees_secret(found) {
            return Ok(EnsuredWebhook {
                webhook: found.clone(),
                change: Change::Unchanged,
                differences,
                secret_unseen: false,
                duplicates,
            });
        }
        let mut edited = self
            .webhook()
            .edit(wanted.edit(id, found))
            .await?
            .into_inner();
        edited.id = Some(id);
        self.read_back(&wanted, edited, Change::Updated, duplicates)
            .await
    }

    /// What became of a change, by what the account has afterwards.
    #[inline]
    async fn read_back(
        &self,
        wanted: &Wanted<'_>,
        written: Webhook,
        change: Change,
        duplicates: Vec<i64>,
    ) -> Result<EnsuredWebhook, Error> {
        let webhooks = self.webhook().view(WebhookViewRequest::new()).await?;
        let mut webhooks = webhooks.into_inner();
        let index = webhooks
            .iter()
            .position(|webhook| webhook.id.is_some() && webhook.id == written.id)
            .or_else(|| {
                webhooks
                    .iter()
                    .position(|webhook| wanted.is_place_of(webhook))
            });
        let (webhook, differences) = match index {
            Some(index) => {
                let webhook = webhooks.swap_remove(index);
                let differences = wanted.differences(&webhook);
                (webhook, differences)
            }
            None => {
                let missing = Difference {
                    field: "url",
                    wanted: shown(&wanted.url),
                    found: String::new(),
                };
                (written, vec![missing])
            }
        };
        Ok(EnsuredWebhook {
            secret_unseen: !wanted.sees_secret(&webhook),
            webhook,
            change,
            differences,
            duplicates,
        })
    }
}

/// A refused addition, with what is known of the limit.
#[inline]
fn at_plan_limit(error: Error, count: usize) -> Error {
    if count == 0
        || error.certainty() != Certainty::Rejected
        || error.is_auth()
        || error.is_rate_limited()
    {
        return error;
    }
    let webhooks = if count == 1 { "webhook" } else { "webhooks" };
    error.with_advice(format!(
        "the account has {count} {webhooks} already; a free plan has 1 and a paid one 10: remove \
         one that is not needed, or change the plan"
    ))
}

impl<'a> Wanted<'a> {
    #[inline]
    fn new(text: &str, subscription: Subscription, auth: Option<&'a Auth>) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| Error::config(format!("url: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::config("url: it is neither http nor https"));
        }
        let lists = [
            subscription.events.as_ref().map(Vec::len),
            subscription.sms_events.as_ref().map(Vec::len),
        ];
        if lists.into_iter().flatten().sum::<usize>() == 0 {
            return Err(Error::config("events: there are none to post"));
        }
        for (field, names) in [
            ("headers", &subscription.headers),
            // An empty one could stand for no restriction at all.
            ("usernames", &subscription.usernames),
        ] {
            let mut names = names.iter().flatten();
            if let Some(index) = names.position(|name| name.trim().is_empty()) {
                return Err(Error::config(format!("{field}[{index}]: is empty")));
            }
        }
        let (url, header) = match auth {
            Some(auth) => auth.register(url)?,
            None => (url, None),
        };
        Ok(Self {
            url,
            header,
            auth,
            subscription,
        })
    }

    /// Whether a webhook is the one for the address, whatever its secret.
    #[inline]
    fn is_place_of(&self, webhook: &Webhook) -> bool {
        let url = webhook.url.as_deref().and_then(|url| Url::parse(url).ok());
        url.is_some_and(|url| {
            Auth::place(self.auth, url) == Auth::place(self.auth, self.url.clone())
        })
    }

    /// The webhook for the address, and the ids of further ones.
    #[inline]
    fn find<'w>(&self, webhooks: &'w [Webhook]) -> (Option<(&'w Webhook, i64)>, Vec<i64>) {
        let mut found: Vec<_> = webhooks
            .iter()
            .filter(|webhook| self.is_place_of(webhook))
            .filter_map(|webhook| Some((webhook, webhook.id?)))
            .collect();
        // The one that needs the fewest changes, so that the others stay as they are.
        let chosen = found
            .iter()
            .enumerate()
            .min_by_key(|(_, (webhook, _))| self.differences(webhook).len())
            .map(|(index, _)| index);
        let chosen = chosen.map(|index| found.remove(index));
        (chosen, found.into_iter().map(|(_, id)| id).collect())
    }

    /// Whether the service shows the header's secret, if there is to be one.
    #[inline]
    fn sees_secret(&self, found: &Webhook) -> bool {
        self.header.is_none()
            || found
                .auth_header_value
                .as_ref()
                .is_some_and(|value| !is_masked(value))
    }

    #[inline]
    fn differences(&self, found: &Webhook) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut compare = |field, same: bool, wanted: String, found: String| {
            if !same {
                differences.push(Difference {
                    field,
                    wanted,
                    found,
                });
            }
        };
        let url = found.url.as_deref().and_then(|url| Url::parse(url).ok());
        let found_url = url.as_ref().map(shown).unwrap_or_default();
        compare(
            "url",
            url.as_ref() == Some(&self.url),
            shown(&self.url),
            found_url,
        );

        let Subscription {
            events,
            sms_events,
            headers,
            usernames,
            format,
        } = &self.subscription;
        let lists = [
            ("events", events.as_deref().map(words), words(&found.events)),
            (
                "sms_events",
                sms_events.as_deref().map(words),
                words(&found.sms_events),
            ),
            (
                "headers",
                headers.as_deref().map(texts),
                texts(&found.headers),
            ),
            (
                "usernames",
                usernames.as_deref().map(texts),
                texts(&found.usernames),
            ),
        ];
        for (field, wanted, found) in lists {
            if let Some(wanted) = wanted {
                compare(field, wanted == found, wanted.join(", "), found.join(", "));
            }
        }
        // Absent is the default.
        let found_format = found.output_format.clone().unwrap_or(WebhookFormat::Form);
        compare(
            "output_format",
            *format == found_format,
            format.to_string(),
            found_format.to_string(),
        );

        let disabled = found.disabled == Some(true);
        let (wanted, found_disabled) = (false.to_string(), disabled.to_string());
        compare("disabled", !disabled, wanted, found_disabled);

        // The service may show neither of these; then nobody knows.
        let none = WebhookAuthType::None;
        let wanted_type = self.header.as_ref().map_or(&none, |(kind, _)| kind);
        let found_type = found.auth_header_type.as_ref().unwrap_or(&none);
        let unseen = found.auth_header_type.is_none() && found.auth_header_value.is_none();
        compare(
            "auth_header_type",
            wanted_type == found_type || unseen,
            wanted_type.to_string(),
            found_type.to_string(),
        );
        if let (Some((_, wanted)), Some(found)) = (&self.header, &found.auth_header_value) {
            let same = wanted == found || is_masked(found);
            compare("auth_header_value", same, "…".to_owned(), "…".to_owned());
        }
        differences
    }

    #[inline]
    fn addition(&self) -> WebhookAddRequest {
        let mut request = WebhookAddRequest::new(self.url.as_str());
        let wanted = &self.subscription;
        request.events.clone_from(&wanted.events);
        request.sms_events.clone_from(&wanted.sms_events);
        request.headers.clone_from(&wanted.headers);
        request.usernames.clone_from(&wanted.usernames);
        request.output_format = Some(wanted.format.clone());
        if let Some((kind, value)) = &self.header {
            request.auth_header_type = Some(kind.clone());
            request.auth_header_value = Some(value.clone());
        }
        request
    }

    /// The full state, since nobody says what happens to a field that is not sent.
    #[inline]
    fn edit(&self, id: i64, found: &Webhook) -> WebhookEditRequest {
        let wanted = &self.subscription;
        let events = wanted.events.clone();
        let sms_events = wanted.sms_events.clone();
        let (kind, value) = match &self.header {
            Some((kind, value)) => (kind.clone(), value.clone()),
            None => (WebhookAuthType::None, Secret::default()),
        };
        let mut edit = WebhookEditRequest::new(id);
        // Only where it is shown: its shape is inferred.
        edit.disabled = found.disabled.map(|_| false);
        edit.url(self.url.as_str())
            .events(events.unwrap_or_else(|| found.events.clone()))
            .sms_events(sms_events.unwrap_or_else(|| found.sms_events.clone()))
            .headers(wanted.headers.as_ref().unwrap_or(&found.headers))
            .usernames(wanted.usernames.as_ref().unwrap_or(&found.usernames))
            .output_format(wanted.format.clone())
            .auth_header_type(kind)
            .auth_header_value(value)
            .based_on(found.clone())
    }
}

/// Whether it is shown in part only, as the service shows API keys.
#[inline]
fn is_masked(value: &Secret) -> bool {
    let value = value.expose();
    value.is_empty() || value.contains("***") || value.contains('…')
}

/// Without what may be secret.
#[inline]
fn shown(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}/…", url.scheme())
}

/// In an order of their own, each once: the service need not keep ours.
#[inline]
fn words<V: Vocabulary>(words: &[V]) -> Vec<String> {
    let words: Vec<_> = words.iter().map(|word| word.as_str().to_owned()).collect();
    texts(&words)
}

#[inline]
fn texts(texts: &[String]) -> Vec<String> {
    let mut texts: Vec<_> = texts
        .iter()
        .filter(|text| !text.is_empty())
        .cloned()
        .collect();
    texts.sort();
    texts.dedup();
    texts
}
