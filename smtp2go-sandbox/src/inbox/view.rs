//! Events and webhook deliveries as pages show them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;
use smtp2go_types::Timestamp;

use crate::clock;
use crate::event::{Event, EventKind};
use crate::webhooks::{WebhookDelivery, WebhookState};
use crate::world::World;

/// An event with its webhook deliveries.
pub(super) struct EventView {
    pub(super) time: Time,
    pub(super) name: &'static str,
    pub(super) tone: &'static str,
    /// The recipient's address. Empty for an event of all recipients.
    pub(super) recipient: String,
    pub(super) details: Vec<(&'static str, String)>,
    pub(super) hooks: Vec<HookView>,
}

/// A webhook delivery.
pub(super) struct HookView {
    pub(super) number: usize,
    pub(super) url: String,
    pub(super) event: &'static str,
    pub(super) state: String,
    pub(super) tone: &'static str,
    pub(super) attempts: usize,
}

/// A time as the `datetime` of a `<time>` element, and as its text. The script replaces the text by
/// local time.
pub(super) struct Time {
    pub(super) machine: String,
    pub(super) text: String,
}

impl Time {
    pub(super) fn new(time: SystemTime) -> Self {
        let machine = Timestamp::from(time).to_string();
        let text = clock::rfc3339(time).replace('T', " ").replace('Z', " UTC");
        Self { machine, text }
    }
}

/// An event's name: the one of `/activity/search`, else the one of webhooks.
pub(super) fn name(kind: EventKind) -> &'static str {
    kind.activity_name().unwrap_or_else(|| kind.webhook_name())
}

/// The CSS class for an event's kind.
pub(super) fn tone(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Delivered
        | EventKind::Open
        | EventKind::Click
        | EventKind::Resubscribe
        | EventKind::SmsDelivered => "good",
        EventKind::HardBounce
        | EventKind::Spam
        | EventKind::Reject
        | EventKind::SmsFailed
        | EventKind::SmsRejected => "bad",
        EventKind::SoftBounce | EventKind::Unsubscribe | EventKind::SmsOptOut => "warn",
        _ => "calm",
    }
}

/// Priority of an event as the status of its mail in the list. The highest is shown.
fn weight(kind: EventKind) -> u8 {
    match kind {
        EventKind::HardBounce | EventKind::Reject => 9,
        EventKind::Spam => 8,
        EventKind::SoftBounce => 7,
        EventKind::Unsubscribe => 6,
        EventKind::Click => 5,
        EventKind::Open => 4,
        EventKind::Delivered | EventKind::Resubscribe => 3,
        _ => 1,
    }
}

/// Returns the status of each wanted mail by its `email_id`: its event with the highest priority.
pub(super) fn statuses(world: &World, wanted: impl Fn(&str) -> bool) -> HashMap<&str, EventKind> {
    let mut statuses: HashMap<&str, EventKind> = HashMap::new();
    for event in world.events.iter() {
        if let Some(mail) = event.mail()
            && wanted(mail.email_id())
        {
            let status = statuses.entry(mail.email_id()).or_insert(event.kind());
            if weight(event.kind()) >= weight(*status) {
                *status = event.kind();
            }
        }
    }
    statuses
}

/// Returns the wanted events in order, with their webhook deliveries.
pub(super) fn timeline(world: &World, wanted: impl Fn(&Event) -> bool) -> Vec<EventView> {
    let events: Vec<&Arc<Event>> = world.events.iter().filter(|event| wanted(event)).collect();
    let mut hooks: HashMap<String, Vec<HookView>> = HashMap::new();
    for (number, delivery) in world.outbox.deliveries.numbered() {
        if wanted(delivery.event()) {
            let list = hooks.entry(delivery.event().id()).or_default();
            list.push(HookView::new(number, delivery));
        }
    }
    events
        .into_iter()
        .map(|event| EventView {
            time: Time::new(event.time()),
            name: name(event.kind()),
            tone: tone(event.kind()),
            recipient: event.recipient().unwrap_or_default().to_owned(),
            details: event.detail.clone(),
            hooks: hooks.remove(&event.id()).unwrap_or_default(),
        })
        .collect()
}

impl HookView {
    pub(super) fn new(number: usize, delivery: &WebhookDelivery) -> Self {
        let last = delivery.attempts().last();
        let outcome = last.map(|attempt| match (attempt.status(), attempt.error()) {
            (Some(status), _) => status.to_string(),
            (None, error) => error.unwrap_or_default().to_owned(),
        });
        let outcome = outcome.unwrap_or_default();
        let (state, tone) = match delivery.state() {
            WebhookState::Queued => ("queued".to_owned(), "calm"),
            WebhookState::Sending => ("sending".to_owned(), "calm"),
            WebhookState::Accepted => (format!("accepted: {outcome}"), "good"),
            WebhookState::Waiting(_) => (format!("will be retried: {outcome}"), "warn"),
            WebhookState::GivenUp => (format!("given up: {outcome}"), "bad"),
        };
        Self {
            number,
            url: without_password(delivery.url()),
            event: name(delivery.event().kind()),
            state,
            tone,
            attempts: delivery.attempts().len(),
        }
    }
}

/// Removes the user and password from a URL.
pub(super) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => url.to_owned(),
    }
}

/// Formats a size, such as `1.5 KB`.
pub(super) fn size(bytes: usize) -> String {
    const KB: usize = 1024;
    const MB: usize = 1024 * 1024;
    match bytes {
        0..KB => format!("{bytes} bytes"),
        KB..MB => format!("{}.{} KB", bytes / KB, bytes % KB * 10 / KB),
        _ => format!("{}.{} MB", bytes / MB, bytes % MB * 10 / MB),
    }
}

/// Formats JSON with line breaks.
pub(super) fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_is_formatted_in_bytes_kb_or_mb() {
        for (bytes, expected) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KB"),
            (5 * 1024 * 1024, "5.0 MB"),
        ] {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn user_and_password_are_removed_from_a_url() {
        for (url, expected) in [
            ("http://a:b@example.com/x@y", "http://example.com/x@y"),
            ("http://example.com/x@y", "http://example.com/x@y"),
            ("http://a@b@example.com?@", "http://example.com?@"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_password(url), expected);
        }
    }
}
