//! Creates or changes the account's webhook: the calls.

use std::fmt;

use smtp2go_types::{Webhook, WebhookViewRequest};

use super::auth::Auth;
use super::difference::{Difference, differences};
use super::subscription::Subscription;
use super::wanted::WantedWebhook;
use crate::{Certainty, Client, Error};

/// The result of [`Client::ensure_webhook`]: the webhook that the account has now, and the change.
#[derive(Clone, PartialEq)]
#[must_use = "the service ignores unknown settings without an error: check `differences`"]
#[non_exhaustive]
pub struct EnsuredWebhook {
    /// The webhook, as the account has it now.
    pub webhook: Webhook,
    /// What the call did to the webhook.
    pub change: Change,
    /// Fields that still differ from the requested settings after the change. Empty on success.
    pub differences: Vec<Difference>,
    /// Whether the service masks the secret of the `Authorization` header, so that the secret can't be
    /// compared. Then every call writes the secret again.
    pub secret_unseen: bool,
    /// The ids of other webhooks with the same address. If there are any, the service posts each event
    /// more than once. They are left unchanged.
    pub duplicates: Vec<i64>,
}

impl EnsuredWebhook {
    /// Whether the webhook has all requested settings, as far as the service shows them.
    #[must_use]
    pub fn is_as_asked(&self) -> bool {
        self.differences.is_empty()
    }
}

/// Shows the webhook's id only, since its address can hold a secret.
impl fmt::Debug for EnsuredWebhook {
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

/// What [`Client::ensure_webhook`] did to the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The account had no webhook with the address.
    Created,
    /// The webhook differed, or its secret could not be compared.
    Updated,
    /// The webhook already had the requested settings, so nothing was written.
    Unchanged,
}

impl Client {
    /// Makes the account post these events to this address: creates the webhook, or changes the
    /// existing one if it differs. A disabled webhook is enabled. Idempotent, so a program can call it
    /// at each start.
    ///
    /// `url` is the address without the secret. `auth` adds the secret to the address or sends it as a
    /// header; give the same `auth` to the [`Receiver`](super::Receiver). `None` is for a webhook
    /// without a secret. An existing webhook is found by its address without user, password and secret
    /// parameter, so these can be changed. A different [secret path](Auth::secret_path) is a different
    /// webhook.
    ///
    /// The service ignores unknown values without an error. So the webhook is read back afterwards:
    /// check [`EnsuredWebhook::differences`].
    ///
    /// Two programs that call this at the same moment can create two webhooks. The next call lists the
    /// second one in [`duplicates`](EnsuredWebhook::duplicates).
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
    ///     eprintln!("the webhook differs: {difference}");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`is_config`](Error::is_config) for an address that is neither http nor https, an empty list of
    /// events, and an empty name of a header or sender; [`is_validation`](Error::is_validation) for an
    /// unlisted event; and the errors of calls. An account may have one webhook on a free plan and ten
    /// on a paid plan. If the service refuses another, the error says how many there are.
    // Inline, so that the calls below are compiled only in programs that use this method.
    #[inline]
    pub async fn ensure_webhook<'a>(
        &self,
        url: impl AsRef<str>,
        events: impl Into<Subscription>,
        auth: impl Into<Option<&'a Auth>>,
    ) -> Result<EnsuredWebhook, Error> {
        let wanted = WantedWebhook::new(url.as_ref(), events.into(), auth.into())?;
        let webhooks = self.webhook().view(WebhookViewRequest::new()).await?;
        let webhooks = webhooks.into_inner();
        let (found, duplicates) = wanted.find(&webhooks);
        let Some((found, id)) = found else {
            let added = self.webhook().add(wanted.add_request()).await;
            let added = added.map_err(|error| with_plan_limit(error, webhooks.len()))?;
            let added = added.into_inner();
            return self
                .read_back(&wanted, added, Change::Created, duplicates)
                .await;
        };
        let differences = differences(&wanted, found);
        if differences.is_empty() && wanted.sees_secret(found) {
            return Ok(EnsuredWebhook {
                webhook: found.clone(),
                change: Change::Unchanged,
                differences,
                secret_unseen: false,
                duplicates,
            });
        }
        let edited = self.webhook().edit(wanted.edit_request(id, found)).await?;
        let mut edited = edited.into_inner();
        edited.id = Some(id);
        self.read_back(&wanted, edited, Change::Updated, duplicates)
            .await
    }

    /// Reads the webhook after a change and compares it with the wanted one.
    // Inline, as `ensure_webhook`.
    #[inline]
    async fn read_back(
        &self,
        wanted: &WantedWebhook<'_>,
        written: Webhook,
        change: Change,
        duplicates: Vec<i64>,
    ) -> Result<EnsuredWebhook, Error> {
        let webhooks = self.webhook().view(WebhookViewRequest::new()).await?;
        let mut webhooks = webhooks.into_inner();
        let by_id = |webhook: &Webhook| webhook.id.is_some() && webhook.id == written.id;
        let by_address = |webhook: &Webhook| wanted.has_address_of(webhook);
        let index = webhooks.iter().position(by_id);
        let index = index.or_else(|| webhooks.iter().position(by_address));
        let (webhook, differences) = match index {
            Some(index) => {
                let webhook = webhooks.swap_remove(index);
                let differences = differences(wanted, &webhook);
                (webhook, differences)
            }
            None => (written, vec![Difference::missing(&wanted.url)]),
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

/// Adds the plans' limits to the error of a refused addition.
fn with_plan_limit(error: Error, count: usize) -> Error {
    if count == 0
        || error.certainty() != Certainty::Rejected
        || error.is_auth()
        || error.is_rate_limited()
    {
        return error;
    }
    let webhooks = if count == 1 { "webhook" } else { "webhooks" };
    error.with_advice(format!(
        "the account already has {count} {webhooks}; a free plan allows 1 and a paid plan 10: \
         remove one, or change the plan"
    ))
}
