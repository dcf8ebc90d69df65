//! Compares the webhook that a program requests with one that the account has.

use std::borrow::Cow;
use std::fmt;

use crate::platform::transport::Url;
use smtp2go_types::{OpenEnum, Secret, Webhook, WebhookAuthType, WebhookFormat, one_line};

use super::subscription::Subscription;
use super::wanted::WantedWebhook;

/// A field of a webhook that differs from the requested value. `Debug` shows only the field's name;
/// `Display` also shows the values, which can be senders' addresses.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The field's name in the API, such as `events`.
    pub field: &'static str,
    /// The requested value; `…` for a secret.
    pub wanted: String,
    /// The account's value; `…` for a secret.
    pub found: String,
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Difference")
            .field("field", &self.field)
            .finish_non_exhaustive()
    }
}

/// `events: wanted bounce, spam, found bounce`
impl fmt::Display for Difference {
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

impl Difference {
    /// The account has no webhook with this address.
    pub(super) fn missing(url: &Url) -> Self {
        Self {
            field: "url",
            wanted: without_secrets(url),
            found: String::new(),
        }
    }
}

/// Returns the fields that differ. A field that the service does not show counts as equal.
pub(super) fn differences(wanted: &WantedWebhook<'_>, found: &Webhook) -> Vec<Difference> {
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
    let found_url = url.as_ref().map(without_secrets).unwrap_or_default();
    compare(
        "url",
        url.as_ref() == Some(&wanted.url),
        without_secrets(&wanted.url),
        found_url,
    );

    let Subscription {
        events,
        sms_events,
        usernames,
        format,
        ..
    } = &wanted.subscription;
    let headers = wanted.subscription.headers_beside(&found.headers);
    let lists = [
        (
            "events",
            events.as_deref().map(sorted_values),
            sorted_values(&found.events),
        ),
        (
            "sms_events",
            sms_events.as_deref().map(sorted_values),
            sorted_values(&found.sms_events),
        ),
        (
            "headers",
            headers.as_deref().map(sorted),
            sorted(&found.headers),
        ),
        (
            "usernames",
            usernames.as_deref().map(sorted),
            sorted(&found.usernames),
        ),
    ];
    for (field, wanted, found) in lists {
        if let Some(wanted) = wanted {
            compare(field, wanted == found, wanted.join(", "), found.join(", "));
        }
    }
    // The service's default.
    let found_format = found.output_format.clone().unwrap_or(WebhookFormat::Form);
    compare(
        "output_format",
        *format == found_format,
        format.to_string(),
        found_format.to_string(),
    );

    let disabled = found.disabled == Some(true);
    let (wanted_disabled, found_disabled) = (false.to_string(), disabled.to_string());
    compare("disabled", !disabled, wanted_disabled, found_disabled);

    let none = WebhookAuthType::None;
    let wanted_type = wanted.header.as_ref().map_or(&none, |(kind, _)| kind);
    let found_type = found.auth_header_type.as_ref().unwrap_or(&none);
    let unseen = found.auth_header_type.is_none() && found.auth_header_value.is_none();
    compare(
        "auth_header_type",
        wanted_type == found_type || unseen,
        wanted_type.to_string(),
        found_type.to_string(),
    );
    if let (Some((_, wanted)), Some(found)) = (&wanted.header, &found.auth_header_value) {
        let same = wanted == found || is_masked(found);
        compare("auth_header_value", same, "…".to_owned(), "…".to_owned());
    }
    differences
}

/// Whether the service masks the value, as it does API keys.
pub(super) fn is_masked(value: &Secret) -> bool {
    let value = value.expose();
    value.is_empty() || value.contains("***") || value.contains('…')
}

/// Shows scheme, host and port of an address: the rest can hold a secret.
fn without_secrets(url: &Url) -> String {
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    let host = url.host_str().unwrap_or_default();
    format!("{}://{host}{port}/…", url.scheme())
}

fn sorted_values<V: OpenEnum>(values: &[V]) -> Vec<String> {
    let texts: Vec<_> = values
        .iter()
        .map(|value| value.as_str().to_owned())
        .collect();
    sorted(&texts)
}

/// Sorts and deduplicates, since the service need not keep the requested order.
fn sorted(texts: &[String]) -> Vec<String> {
    let mut texts: Vec<_> = texts
        .iter()
        .filter(|text| !text.is_empty())
        .cloned()
        .collect();
    texts.sort();
    texts.dedup();
    texts
}
