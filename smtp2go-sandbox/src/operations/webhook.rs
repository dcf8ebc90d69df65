//! Stores the account's webhooks. [`webhooks`](crate::webhooks) posts the events.

use std::fmt;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fields::{check_url, few, flag};
use super::{Context, Reply};
use crate::data::Kept;
use crate::event::Event;
use crate::refusal::Refusal;
use crate::weight::weigh;
use smtp2go_types::validation::header_fault;

/// Maximum number of webhooks, which is the limit of a paid account.
const MOST: usize = 10;

/// The webhooks of an account, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct RegisteredWebhooks {
    pub(crate) webhooks: Kept<u64, Arc<Webhook>>,
}

/// A webhook's settings.
#[derive(Clone, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Webhook {
    pub(crate) id: u64,
    pub(crate) url: String,
    pub(crate) events: Vec<String>,
    pub(crate) sms_events: Vec<String>,
    /// Headers of the mail that are copied into events.
    pub(crate) headers: Vec<String>,
    /// Only mail of these usernames. Empty for all.
    pub(crate) usernames: Vec<String>,
    pub(crate) output_format: String,
    pub(crate) auth_header_type: String,
    pub(crate) auth_header_value: String,
    /// No events are posted.
    pub(crate) disabled: bool,
    /// Stored unchanged and not sent, because their format is not documented.
    pub(crate) custom_headers: Option<Value>,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Webhook")
            .field("id", &self.id)
            .field("events", &self.events)
            .field("sms_events", &self.sms_events)
            .field("output_format", &self.output_format)
            .finish_non_exhaustive()
    }
}

weigh!(RegisteredWebhooks { webhooks });
weigh!(Webhook {
    id,
    url,
    events,
    sms_events,
    headers,
    usernames,
    output_format,
    auth_header_type,
    auth_header_value,
    disabled,
    custom_headers
});

impl Webhook {
    pub(crate) fn is_json(&self) -> bool {
        self.output_format == "json"
    }

    /// Whether the webhook subscribes to an event.
    fn wants(&self, event: &Event) -> bool {
        let word = event.kind().webhook_name();
        let username = match (event.mail(), event.sms()) {
            (Some(mail), _) => mail.username(),
            (_, Some(sms)) => sms.username(),
            _ => "",
        };
        let asked = match event.sms() {
            Some(_) => {
                let word = word.trim_start_matches("sms_");
                self.sms_events.iter().any(|asked| asked == word)
            }
            None => self.events.iter().any(|asked| asked == word),
        };
        asked
            && !self.disabled
            && (self.usernames.is_empty() || self.usernames.iter().any(|name| name == username))
    }

    fn show(&self) -> Value {
        let mut shown = json!({
            "id": self.id,
            "url": self.url,
            "events": self.events,
            "sms_events": self.sms_events,
            "headers": self.headers,
            "usernames": self.usernames,
            "output_format": self.output_format,
            "auth_header_type": self.auth_header_type,
            "auth_header_value": self.auth_header_value,
            "disabled": self.disabled,
        });
        if let Some(headers) = &self.custom_headers {
            shown["custom_headers"] = headers.clone();
        }
        shown
    }

    /// Applies the fields of a request.
    fn update(&mut self, request: &Value) -> Result<(), Refusal> {
        let text = |field: &str| {
            request
                .get(field)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let texts = |field: &str| match request.get(field) {
            None => Ok(None),
            Some(_) => {
                let mut texts = Vec::new();
                for item in few(request, field)? {
                    if !texts.iter().any(|known| known == item) {
                        texts.push(item.to_owned());
                    }
                }
                Ok::<_, Refusal>(Some(texts))
            }
        };
        if let Some(url) = text("url") {
            check_url("url", &url)?;
            self.url = url;
        }
        for (place, field) in [
            (&mut self.events, "events"),
            (&mut self.sms_events, "sms_events"),
            (&mut self.headers, "headers"),
            (&mut self.usernames, "usernames"),
        ] {
            if let Some(texts) = texts(field)? {
                *place = texts;
            }
        }
        for (place, field, words) in [
            (
                &mut self.output_format,
                "output_format",
                ["form", "json", ""],
            ),
            (
                &mut self.auth_header_type,
                "auth_header_type",
                ["", "bearer", "basic"],
            ),
        ] {
            if let Some(word) = text(field) {
                if !words.contains(&word.as_str()) {
                    return Err(Refusal::field(
                        field,
                        format!("The value must be one of {words:?}."),
                    ));
                }
                *place = word;
            }
        }
        if self.output_format.is_empty() {
            self.output_format = "form".to_owned();
        }
        if let Some(value) = text("auth_header_value") {
            self.auth_header_value = value;
        }
        self.disabled = flag(request, "disabled").unwrap_or(self.disabled);
        if let Some(headers) = request.get("custom_headers").filter(|any| !any.is_null()) {
            self.custom_headers = Some(headers.clone());
        }
        Ok(())
    }
}

impl RegisteredWebhooks {
    /// Returns the webhooks that subscribe to an event.
    pub(crate) fn wanting(&self, event: &Event) -> Vec<Arc<Webhook>> {
        let webhooks = self.webhooks.iter();
        webhooks
            .filter(|webhook| webhook.wants(event))
            .cloned()
            .collect()
    }

    /// Whether a webhook is disabled. `None` if it was removed.
    pub(crate) fn is_disabled(&self, id: u64) -> Option<bool> {
        let mut webhooks = self.webhooks.iter();
        let webhook = webhooks.find(|webhook| webhook.id == id)?;
        Some(webhook.disabled)
    }

    fn place(&self, request: &Value) -> Result<u64, Refusal> {
        let id = request.get("id").and_then(Value::as_u64);
        let place = self.webhooks.find(|webhook| Some(webhook.id) == id);
        place.ok_or_else(|| Refusal::exception("The webhook does not exist."))
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "webhook_add" => {
            let mut webhook = Webhook::default();
            webhook.update(request)?;
            if context.account().webhook.webhooks.len() >= MOST {
                return Err(Refusal::exception(format!(
                    "The limit of {MOST} webhooks is reached."
                )));
            }
            webhook.id = context.world.ids.webhook();
            let shown = webhook.show();
            context.account().webhook.webhooks.push(Arc::new(webhook));
            Ok(Reply::Data(shown))
        }
        "webhook_edit" => {
            let state = &mut context.account().webhook;
            let place = state.place(request)?;
            let mut webhook = Webhook::clone(&state.webhooks[place]);
            webhook.update(request)?;
            let shown = webhook.show();
            state.webhooks.insert(place, Arc::new(webhook));
            Ok(Reply::Data(shown))
        }
        "webhook_remove" => {
            let state = &mut context.account().webhook;
            let place = state.place(request)?;
            let shown = state.webhooks[place].show();
            state.webhooks.remove(&place);
            Ok(Reply::Data(shown))
        }
        "webhook_view" => {
            let webhooks = context.account().webhook.webhooks.iter();
            Ok(Reply::Data(
                webhooks.map(|webhook| webhook.show()).collect(),
            ))
        }
        _ => Ok(Reply::Example),
    }
}

/// Removes unknown events, which the service ignores, and adds them to `ignored`.
pub(crate) fn forgive(request: &mut Value, ignored: &mut Vec<String>) {
    const EVENTS: [&str; 9] = [
        "processed",
        "delivered",
        "open",
        "click",
        "bounce",
        "spam",
        "unsubscribe",
        "reject",
        "resubscribe",
    ];
    const SMS_EVENTS: [&str; 6] = [
        "sending",
        "submitted",
        "delivered",
        "failed",
        "rejected",
        "opt-out",
    ];
    for (field, words) in [("events", &EVENTS[..]), ("sms_events", &SMS_EVENTS[..])] {
        let Some(Value::Array(items)) = request.get_mut(field) else {
            continue;
        };
        let mut index = 0;
        items.retain(|item| {
            let known = item.as_str().is_none_or(|word| words.contains(&word));
            if !known {
                ignored.push(format!("{field}[{index}]"));
            }
            index += 1;
            known
        });
    }
}

/// Refuses `custom_headers` with a text that a header can't contain. Their shape is unknown, so all
/// names and texts in them are checked.
pub(super) fn check(request: &Value) -> Result<(), Refusal> {
    let field = "custom_headers";
    match request.get(field).and_then(header_fault_in) {
        Some(fault) => Err(Refusal::field(
            field,
            format!("The value can't be headers: {fault}."),
        )),
        None => Ok(()),
    }
}

fn header_fault_in(value: &Value) -> Option<&'static str> {
    // An iterative search, so that deep nesting does not overflow the stack.
    let mut values = vec![value];
    while let Some(value) = values.pop() {
        match value {
            Value::String(text) => {
                if let Some(fault) = header_fault(text) {
                    return Some(fault);
                }
            }
            Value::Array(items) => values.extend(items),
            Value::Object(members) => {
                if let Some(fault) = members.keys().find_map(|name| header_fault(name)) {
                    return Some(fault);
                }
                values.extend(members.values());
            }
            _ => {}
        }
    }
    None
}
