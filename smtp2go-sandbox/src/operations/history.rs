//! Views of the event log by mail and by time range, for searches and statistics.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::fields::text;
use crate::account::AccountId;
use crate::clock;
use crate::event::{Event, EventKind};
use crate::mail::Mail;
use crate::refusal::Refusal;
use crate::world::World;

/// Whether a time range includes a day. Only the day of dropped data is known, so the day counts as
/// included if the range starts on it.
pub(crate) fn has_day(start: SystemTime, end: Option<SystemTime>, day: u64) -> bool {
    let time = clock::after(UNIX_EPOCH, Duration::from_secs(day.saturating_mul(86_400)));
    day >= clock::days(start) && end.is_none_or(|end| time < end)
}

/// A mail for one of its recipients, with its events in order.
pub(crate) struct Copy {
    pub(crate) mail: Mail,
    pub(crate) recipient: String,
    pub(crate) events: Vec<Arc<Event>>,
    /// The number of the first event and the index of the recipient: a stable place for paging.
    pub(crate) place: (usize, usize),
}

impl Copy {
    pub(crate) fn had(&self, kind: EventKind) -> Option<&Arc<Event>> {
        self.events.iter().find(|event| event.kind() == kind)
    }
}

/// Returns the copies of an account's mail, in the order in which the mail was processed.
pub(crate) fn copies(world: &World, account: AccountId) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    let mut places: HashMap<(&str, &str), usize> = HashMap::new();
    let events = world.events.numbered();
    for (number, event) in events.filter(|(_, event)| event.account == account) {
        let Some(mail) = event.mail() else {
            continue;
        };
        let recipients = match event.recipient() {
            Some(recipient) => vec![recipient],
            None => mail.recipients(),
        };
        for (index, recipient) in recipients.into_iter().enumerate() {
            let place = *places
                .entry((mail.email_id(), recipient))
                .or_insert_with(|| {
                    copies.push(Copy {
                        mail: mail.clone(),
                        recipient: recipient.to_owned(),
                        events: Vec::new(),
                        place: (number, index),
                    });
                    copies.len() - 1
                });
            if let Some(copy) = copies.get_mut(place) {
                copy.events.push(Arc::clone(event));
            }
        }
    }
    copies
}

/// Returns an account's processed mails in order, with the time and the number of their first event.
pub(crate) fn mails(world: &World, account: AccountId) -> Vec<(Mail, SystemTime, usize)> {
    let mut mails = Vec::new();
    let mut known = HashSet::new();
    let events = world.events.numbered();
    for (number, event) in events.filter(|(_, event)| event.account == account) {
        let begins = matches!(event.kind(), EventKind::Processed | EventKind::Reject);
        let Some(mail) = event.mail().filter(|_| begins) else {
            continue;
        };
        // The first event of mail from a key with the status `sandbox` is a reject.
        if known.insert(mail.email_id()) {
            mails.push((mail.clone(), event.time(), number));
        }
    }
    mails
}

/// Returns a time of a request, in any format that the API accepts.
pub(crate) fn time(request: &Value, field: &str) -> Result<Option<SystemTime>, Refusal> {
    match text(request, field).map(clock::parse) {
        Some(None) => Err(Refusal::field(field, "The value must be a time.")),
        time => Ok(time.flatten()),
    }
}
