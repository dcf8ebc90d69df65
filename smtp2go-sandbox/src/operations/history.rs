//! What the searches and figures have in common: the event log, seen by mail and by span of time.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use super::fields::text;
use crate::account::AccountId;
use crate::clock;
use crate::event::{Event, EventKind};
use crate::mail::Mail;
use crate::refusal::Refusal;
use crate::world::World;

/// A mail for one of its recipients, and what happened to it, in order.
pub(crate) struct Copy {
    pub(crate) mail: Mail,
    pub(crate) recipient: String,
    pub(crate) events: Vec<Arc<Event>>,
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
    for event in world.events.iter().filter(|event| event.account == account) {
        let Some(mail) = event.mail() else {
            continue;
        };
        let recipients = match event.recipient() {
            Some(recipient) => vec![recipient],
            None => mail.recipients(),
        };
        for recipient in recipients {
            let place = *places
                .entry((mail.email_id(), recipient))
                .or_insert_with(|| {
                    copies.push(Copy {
                        mail: mail.clone(),
                        recipient: recipient.to_owned(),
                        events: Vec::new(),
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

/// The mails of an account that were taken up, with the time of that, in order.
pub(crate) fn mails(world: &World, account: AccountId) -> Vec<(Mail, SystemTime)> {
    let mut mails: Vec<(Mail, SystemTime)> = Vec::new();
    let mut known = HashSet::new();
    for event in world.events.iter().filter(|event| event.account == account) {
        let begins = matches!(event.kind(), EventKind::Processed | EventKind::Reject);
        let Some(mail) = event.mail().filter(|_| begins) else {
            continue;
        };
        // Mail of a key with the status sandbox begins with being rejected.
        if known.insert(mail.email_id()) {
            mails.push((mail.clone(), event.time()));
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
