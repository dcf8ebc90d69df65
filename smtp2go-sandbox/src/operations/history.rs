//! What the searches and figures have in common: the event log, seen by mail and by span of time.

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

/// Whether a span of time has a day in it. Of what was dropped no more is known than its day, which
/// counts if the span begins on it.
pub(crate) fn has_day(start: SystemTime, end: Option<SystemTime>, day: u64) -> bool {
    let time = clock::after(UNIX_EPOCH, Duration::from_secs(day.saturating_mul(86_400)));
    day >= clock::days(start) && end.is_none_or(|end| time < end)
}

/// A mail for one of its recipients, and what happened to it, in order.
pub(crate) struct Copy {
    pub(crate) mail: Mail,
    pub(crate) recipient: String,
    pub(crate) events: Vec<Arc<Event>>,
    /// The number of its first event, and which of its recipients it is: by these it keeps its place.
    pub(crate) place: (usize, usize),
}

impl Copy {
    pub(crate) fn had(&self, kind: EventKind) -> Option<&Arc<Event>> {
        self.events.iter().find(|event| event.kind() == kind)
    }
}

/// The copies of an account's mail, in the order in which the mail was taken up.
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

/// The mails of an account that were taken up, with the time of that and the number of the event,
/// in order.
pub(crate) fn mails(world: &World, account: AccountId) -> Vec<(Mail, SystemTime, usize)> {
    let mut mails = Vec::new();
    let mut known = HashSet::new();
    let events = world.events.numbered();
    for (number, event) in events.filter(|(_, event)| event.account == account) {
        let begins = matches!(event.kind(), EventKind::Processed | EventKind::Reject);
        let Some(mail) = event.mail().filter(|_| begins) else {
            continue;
        };
        // Mail of a key with the status sandbox begins with being rejected.
        if known.insert(mail.email_id()) {
            mails.push((mail.clone(), event.time(), number));
        }
    }
    mails
}

/// A time in a request, in any layout that the API takes.
pub(crate) fn time(request: &Value, field: &str) -> Result<Option<SystemTime>, Refusal> {
    match text(request, field).map(clock::parse) {
        Some(None) => Err(Refusal::field(field, "The value is not a time.")),
        time => Ok(time.flatten()),
    }
}
