//! The webhook that a program requests, and the API requests that create or change it.

use crate::platform::transport::Url;
use smtp2go_types::{Secret, Webhook, WebhookAddRequest, WebhookAuthType, WebhookEditRequest};

use super::auth::Auth;
use super::difference::{differences, is_masked};
use super::subscription::Subscription;
use crate::Error;

pub(super) struct WantedWebhook<'a> {
    /// The address, with the secret if it is part of the address.
    pub(super) url: Url,
    /// The type and value of the `Authorization` header.
    pub(super) header: Option<(WebhookAuthType, Secret)>,
    auth: Option<&'a Auth>,
    pub(super) subscription: Subscription,
}

impl<'a> WantedWebhook<'a> {
    pub(super) fn new(
        text: &str,
        subscription: Subscription,
        auth: Option<&'a Auth>,
    ) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|error| Error::config(format!("url: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Error::config("url: the scheme must be http or https"));
        }
        let lists = [
            subscription.events.as_ref().map(Vec::len),
            subscription.sms_events.as_ref().map(Vec::len),
        ];
        if lists.into_iter().flatten().sum::<usize>() == 0 {
            return Err(Error::config("events: list at least one event"));
        }
        for (field, names) in [
            ("headers", subscription.headers_beside(&[])),
            // The service could take an empty username for "no restriction".
            ("usernames", subscription.usernames.clone()),
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

    /// Whether a webhook has the wanted address, whatever its secret.
    pub(super) fn has_address_of(&self, webhook: &Webhook) -> bool {
        let url = webhook.url.as_deref().and_then(|url| Url::parse(url).ok());
        url.is_some_and(|url| {
            Auth::without_secret(self.auth, url)
                == Auth::without_secret(self.auth, self.url.clone())
        })
    }

    /// Returns the webhook with the wanted address, and the ids of other webhooks with the same address.
    pub(super) fn find<'w>(
        &self,
        webhooks: &'w [Webhook],
    ) -> (Option<(&'w Webhook, i64)>, Vec<i64>) {
        let mut found: Vec<_> = webhooks
            .iter()
            .filter(|webhook| self.has_address_of(webhook))
            .filter_map(|webhook| Some((webhook, webhook.id?)))
            .collect();
        // If several match, chooses the one with the fewest differences, so that an edit changes little.
        let chosen = found
            .iter()
            .enumerate()
            .min_by_key(|(_, (webhook, _))| differences(self, webhook).len())
            .map(|(index, _)| index);
        let chosen = chosen.map(|index| found.remove(index));
        (chosen, found.into_iter().map(|(_, id)| id).collect())
    }

    /// Whether the secret of the header can be compared: none is wanted, or the service shows it.
    pub(super) fn sees_secret(&self, found: &Webhook) -> bool {
        self.header.is_none()
            || found
                .auth_header_value
                .as_ref()
                .is_some_and(|value| !is_masked(value))
    }

    /// The request that creates the webhook.
    pub(super) fn add_request(&self) -> WebhookAddRequest {
        let mut request = WebhookAddRequest::new(self.url.as_str());
        let wanted = &self.subscription;
        request.events.clone_from(&wanted.events);
        request.sms_events.clone_from(&wanted.sms_events);
        request.headers = wanted.headers_beside(&[]);
        request.usernames.clone_from(&wanted.usernames);
        request.output_format = Some(wanted.format.clone());
        if let Some((kind, value)) = &self.header {
            request.auth_header_type = Some(kind.clone());
            request.auth_header_value = Some(value.clone());
        }
        request
    }

    /// The request that changes a webhook. It has every field, because the documentation does not say
    /// what happens to a field that is left out.
    pub(super) fn edit_request(&self, id: i64, found: &Webhook) -> WebhookEditRequest {
        let wanted = &self.subscription;
        let events = wanted.events.clone();
        let sms_events = wanted.sms_events.clone();
        let headers = wanted.headers_beside(&found.headers);
        let (kind, value) = match &self.header {
            Some((kind, value)) => (kind.clone(), value.clone()),
            None => (WebhookAuthType::None, Secret::default()),
        };
        let mut edit = WebhookEditRequest::new(id);
        // Only if the service shows the field: the documentation does not have it.
        edit.disabled = found.disabled.map(|_| false);
        edit.url(self.url.as_str())
            .events(events.unwrap_or_else(|| found.events.clone()))
            .sms_events(sms_events.unwrap_or_else(|| found.sms_events.clone()))
            .headers(headers.as_ref().unwrap_or(&found.headers))
            .usernames(wanted.usernames.as_ref().unwrap_or(&found.usernames))
            .output_format(wanted.format.clone())
            .auth_header_type(kind)
            .auth_header_value(value)
            .based_on(found.clone())
    }
}
