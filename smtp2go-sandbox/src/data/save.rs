//! Turns the changes of the world into records.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::{
    EventRecord, JobRecord, MessageRecord, RecordBatch, RecordValue, SINGLE, SingleRecord, key,
};
use crate::due::Job;
use crate::event::Event;
use crate::keep::KeptMessage;
use crate::world::World;

/// Index of the file's content. Needed to write only changes and to remove unused bodies.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The row of each account, as last written.
    rows: HashMap<usize, Vec<u8>>,
    /// The number of the body of each mail, by the number of the mail. A body has the number of its
    /// first mail.
    body_of: HashMap<u64, u64>,
    /// The number of mails that need each body.
    needed_by: HashMap<u64, usize>,
}

impl Saved {
    /// Records that a mail in the file needs a body.
    pub(super) fn note_body(&mut self, mail: u64, body: u64) {
        self.body_of.insert(mail, body);
        *self.needed_by.entry(body).or_default() += 1;
    }

    pub(super) fn note_row(&mut self, account: usize, row: Vec<u8>) {
        self.rows.insert(account, row);
    }

    /// Records that a mail is removed. Returns its body if no other mail needs it.
    fn let_go(&mut self, mail: u64) -> Option<u64> {
        let body = self.body_of.remove(&mail)?;
        let needed = self.needed_by.get_mut(&body)?;
        *needed -= 1;
        if *needed > 0 {
            return None;
        }
        self.needed_by.remove(&body);
        Some(body)
    }
}

/// Takes the changes since the last call. `None` if there are none or the world has no data file.
pub(super) fn take(world: &mut World) -> Option<RecordBatch> {
    let mut unsaved = world.unsaved.take()?;
    let mut batch = RecordBatch {
        cleared: std::mem::take(&mut unsaved.cleared),
        ..RecordBatch::default()
    };
    let put_changed = |batch: &mut RecordBatch, name: &str, changed: Vec<super::kept::Changed>| {
        for (key, value) in changed {
            let content = value.map_or(RecordValue::Gone, RecordValue::Json);
            batch.records.push((format!("{name}/{key}"), content));
        }
    };
    for (name, collection) in world.collections() {
        put_changed(&mut batch, name, collection.take_changed());
    }
    for id in std::mem::take(&mut unsaved.accounts) {
        let Some(account) = world.accounts.get_mut(id) else {
            continue;
        };
        let row = serde_json::to_vec(&account.row());
        if unsaved.saved.rows.get(&id) != row.as_ref().ok() {
            if let Ok(row) = &row {
                unsaved.saved.note_row(id, row.clone());
            }
            batch
                .records
                .push((key("account", id), RecordValue::Json(row)));
        }
        for (name, collection) in account.collections() {
            put_changed(&mut batch, &key(name, id), collection.take_changed());
        }
    }
    let mut new_bodies = HashMap::new();
    for number in std::mem::take(&mut unsaved.messages) {
        put_message(
            world,
            &mut unsaved.saved,
            &mut new_bodies,
            &mut batch,
            number,
        );
    }
    for place in std::mem::take(&mut unsaved.events) {
        let key = key("event", place);
        match world.events.get(place) {
            Some(event) => {
                let event = Arc::clone(event);
                batch.put_later(key, move || EventRecord::new(&event));
            }
            None => batch.records.push((key, RecordValue::Gone)),
        }
    }
    for job_key in std::mem::take(&mut unsaved.jobs) {
        let key = format!("job/{:020}", job_key.1);
        match world.due.get(job_key) {
            Some((_, Job::PostAgain { .. })) => {}
            Some((message, job)) => {
                let time = job_key.0;
                batch.put(key, &JobRecord { time, message, job });
            }
            None => batch.records.push((key, RecordValue::Gone)),
        }
    }
    let clock = std::mem::take(&mut unsaved.clock);
    world.unsaved = Some(unsaved);
    if !clock && !batch.cleared && batch.records.is_empty() {
        return None;
    }
    batch.put(SINGLE.to_owned(), &SingleRecord::of(world));
    Some(batch)
}

/// Adds a message to the batch, with its body unless a message in the batch has the same body.
fn put_message(
    world: &World,
    saved: &mut Saved,
    new_bodies: &mut HashMap<usize, u64>,
    batch: &mut RecordBatch,
    number: u64,
) {
    let key = format!("message/{number:020}");
    match world.ledger.message(number) {
        None => {
            batch.records.push((key, RecordValue::Gone));
            if let Some(body) = saved.let_go(number) {
                let key = format!("body/{body:020}/");
                batch.records.push((key, RecordValue::AllGone));
            }
        }
        Some(KeptMessage::Mail(mail, place)) => {
            let body = mail.body().map(|bytes| {
                let body = *new_bodies
                    .entry(bytes.as_ptr() as usize)
                    .or_insert_with(|| {
                        let key = format!("body/{number:020}/");
                        batch.records.push((key, RecordValue::Body(bytes.clone())));
                        number
                    });
                saved.note_body(number, body);
                body
            });
            let (mail, place) = (mail.clone(), *place);
            batch.records.push((
                key,
                RecordValue::Later(Box::new(move || {
                    serde_json::to_vec(&MessageRecord::<_, (), ()>::Mail {
                        place,
                        body,
                        mail: mail.kept(),
                    })
                })),
            ));
        }
        Some(KeptMessage::Sms(sms, place)) => {
            let (place, sms) = (*place, sms.accepted());
            batch.put(key, &MessageRecord::<(), _, ()>::Sms { place, sms });
        }
        Some(KeptMessage::Received(place)) => {
            if let Some(received) = world.received.get(*place) {
                let place = *place;
                batch.put(
                    key,
                    &MessageRecord::<(), (), _>::Received { place, received },
                );
            }
        }
    }
}

impl EventRecord {
    fn new(event: &Event) -> Self {
        let detail = event.detail.iter();
        Self {
            id: event.id(),
            time: event.time(),
            account: event.account,
            message: event.subject.number(),
            recipient: event.recipient().map(str::to_owned),
            kind: event.kind(),
            detail: detail
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
        }
    }
}

impl SingleRecord {
    fn of(world: &World) -> Self {
        let keys = world.settings.keys.iter();
        Self {
            ids: world.ids.clone(),
            clock: world.clock,
            now: world.now(),
            last_message: world.ledger.next() - 1,
            last_job: world.due.last(),
            mails: world.mails.total(),
            events: world.events.total(),
            sms: world.sms.total(),
            received: world.received.total(),
            deleted_mails: world.mails.deleted(),
            deleted_events: world.events.deleted(),
            keys: keys.map(|key| key.secret.clone()).collect(),
        }
    }
}
