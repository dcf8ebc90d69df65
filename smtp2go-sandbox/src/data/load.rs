//! Loads the world from the records of a data file.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Bytes;
use serde::de::DeserializeOwned;

use super::record::{EventRecord, JobRecord, MessageRecord, SINGLE, SingleRecord};
use super::save::Saved;
use crate::account::{Account, AccountRow};
use crate::data::{Kept, intern};
use crate::delivery::restore_transit;
use crate::due::Job;
use crate::event::{Event, EventKind, Subject};
use crate::keep::KeptMessage;
use crate::mail::{AcceptedMail, Mail};
use crate::operations::sms::Received;
use crate::sms::{AcceptedSms, Sms};
use crate::weight::Weight;
use crate::world::World;

/// Receives a record's key without the prefix, and its value.
pub(super) type TakeRecord<'a> = dyn FnMut(&str, &[u8]) -> Result<(), String> + 'a;

/// A source of records.
pub(super) trait RecordSource {
    fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String>;

    /// Passes each record with the prefix to `take`, in the order of the keys. `take` receives the key
    /// without the prefix.
    fn each(&self, prefix: &str, take: &mut TakeRecord<'_>) -> Result<(), String>;
}

/// Parses the value of a record. The error names the record.
fn parse<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, String> {
    serde_json::from_slice(value).map_err(|error| format!("{key}: {error}"))
}

fn number<T: FromStr>(key: &str) -> Result<T, String> {
    key.parse().map_err(|_| format!("{key:?} is not a number"))
}

/// Loads all records into a new world, and starts to track its changes.
pub(super) fn load(world: &mut World, source: &dyn RecordSource) -> Result<(), String> {
    let mut saved = Saved::default();
    if let Some(meta) = source.get(SINGLE)? {
        let meta = parse(SINGLE, &meta)?;
        load_accounts(world, source, &mut saved)?;
        load_messages(world, source, &mut saved)?;
        load_events(world, source)?;
        world.track(false);
        restore_meta(world, meta);
    } else {
        world.track(true);
    }
    if let Some(unsaved) = &mut world.unsaved {
        unsaved.saved = saved;
    }
    world.set_up();
    Ok(())
}

fn restore_meta(world: &mut World, meta: SingleRecord) {
    // Remove the keys that the earlier builder set and this one does not set.
    let settings = Arc::clone(&world.settings);
    let still = |secret: &String| settings.keys.iter().any(|key| key.secret == *secret);
    let gone: BTreeSet<_> = meta.keys.into_iter().filter(|key| !still(key)).collect();
    world.keys.retain(|key| !gone.contains(&key.secret));
    world.ids = meta.ids.resume(settings.seed);
    world.clock = meta.clock;
    world.now = meta.now;
    world.ledger.set_last(meta.last_message);
    world.due.set_last(meta.last_job);
    world.mails.set_total(meta.mails);
    world.events.set_total(meta.events);
    world.mails.note_deleted(meta.deleted_mails);
    world.events.note_deleted(meta.deleted_events);
    world.sms.set_total(meta.sms);
    world.received.set_total(meta.received);
    world.count_state();
    // Earlier runs have reported their own drops.
    let _ = world.drop_news();
}

fn load_accounts(
    world: &mut World,
    source: &dyn RecordSource,
    saved: &mut Saved,
) -> Result<(), String> {
    world.keys = Kept::default();
    for (name, collection) in world.collections() {
        load_collection(source, &format!("{name}/"), collection)?;
    }
    world.accounts.clear();
    source.each("account/", &mut |key, value| {
        let row: AccountRow = parse(key, value)?;
        saved.note_row(world.accounts.len(), value.to_vec());
        world.accounts.push(Account::from_row(row));
        Ok(())
    })?;
    if world.accounts.is_empty() {
        return Err("the master account is missing".to_owned());
    }
    for (id, account) in world.accounts.iter_mut().enumerate() {
        for (name, collection) in account.collections() {
            let prefix = format!("{}/", super::record::key(name, id));
            load_collection(source, &prefix, collection)?;
        }
        account.restored()?;
    }
    Ok(())
}

fn load_collection(
    source: &dyn RecordSource,
    prefix: &str,
    collection: &mut dyn super::Collection,
) -> Result<(), String> {
    source.each(prefix, &mut |key, value| {
        let restored = collection.restore(key, value);
        restored.map_err(|error| format!("{prefix}{key}: {error}"))
    })
}

fn load_messages(
    world: &mut World,
    source: &dyn RecordSource,
    saved: &mut Saved,
) -> Result<(), String> {
    let mut jobs = Vec::new();
    source.each("job/", &mut |key, value| {
        let record: JobRecord<Job> = parse(key, value)?;
        jobs.push(((record.time, number(key)?), record.message, record.job));
        Ok(())
    })?;
    let mut waiting = HashMap::new();
    for (key, _, job) in &jobs {
        if let Job::SendScheduled {
            account,
            schedule_id,
            number,
        } = job
        {
            waiting.insert(*number, (*account, schedule_id.clone(), *key));
        }
    }
    let mut bodies = HashMap::new();
    source.each("message/", &mut |key, value| {
        let number: u64 = number(key)?;
        let message = parse(key, value)?;
        match message {
            MessageRecord::Mail { place, body, mail } => {
                let mail = with_body(source, saved, &mut bodies, mail, body)?;
                if let Some(place) = place {
                    world.mails.restore(place, mail.clone());
                    world.note_sent_at(mail.username(), mail.accepted_at());
                }
                let waits = waiting.get(&number);
                let message = KeptMessage::Mail(mail.clone(), place);
                world.ledger.enter(number, message, waits.is_some());
                if let Some((account, schedule_id, job)) = waits {
                    let email = &mut world.account_mut(*account).email;
                    email.schedule(schedule_id, mail, *job);
                }
            }
            MessageRecord::Sms { place, sms } => {
                let sms: AcceptedSms = sms;
                let sms = Sms::new(sms);
                world.sms.restore(place, sms.clone());
                let message = KeptMessage::Sms(sms, place);
                world.ledger.enter(number, message, false);
            }
            MessageRecord::Received { place, received } => {
                let received: Received = received;
                let weight = received.weight();
                world.received.restore(place, received);
                let message = KeptMessage::Received(place);
                world.ledger.enter(number, message, false);
                world.ledger.charge(number, weight);
            }
        }
        Ok(())
    })?;
    for (key, message, job) in jobs {
        match &job {
            Job::LookUpDomain { account, name } => {
                world.account_mut(*account).domain.note_look_up(name, key);
            }
            Job::VerifySender { account, address } => {
                let senders = &mut world.account_mut(*account).single_sender_emails;
                senders.note_link(address, key);
            }
            _ => {}
        }
        world.due.restore(key, message, job);
        if let Some(message) = message {
            world.ledger.add_job(message, key);
        }
    }
    Ok(())
}

/// Creates a mail with the body of its call. The mails of a batch share one body.
fn with_body(
    source: &dyn RecordSource,
    saved: &mut Saved,
    bodies: &mut HashMap<u64, Bytes>,
    mail: AcceptedMail,
    body: Option<u64>,
) -> Result<Mail, String> {
    let Some(body) = body else {
        return Ok(Mail::new(mail));
    };
    saved.note_body(mail.number, body);
    let bytes = match bodies.get(&body) {
        Some(bytes) => bytes.clone(),
        None => {
            let mut bytes = Vec::new();
            source.each(&format!("body/{body:020}/"), &mut |_, piece| {
                bytes.extend_from_slice(piece);
                Ok(())
            })?;
            bytes.shrink_to_fit();
            let bytes = Bytes::from(bytes);
            // One body is enough: the mails of a batch are adjacent.
            bodies.clear();
            bodies.insert(body, bytes.clone());
            bytes
        }
    };
    let blobs = mail.blobs.with_body(bytes);
    Ok(Mail::new(AcceptedMail { blobs, ..mail }))
}

fn load_events(world: &mut World, source: &dyn RecordSource) -> Result<(), String> {
    let mut taken_up = Vec::new();
    source.each("event/", &mut |key, value| {
        let place = number(key)?;
        let record: EventRecord = parse(key, value)?;
        let id = u128::from_str_radix(&record.id, 16);
        let id = id.map_err(|_| format!("event/{key}: {:?} is not an id", record.id))?;
        let message = world.ledger.message(record.message);
        let message = message
            .ok_or_else(|| format!("event/{key}: there is no message {}", record.message))?;
        let subject = match message {
            KeptMessage::Mail(mail, _) => {
                if let Some(recipient) = &record.recipient {
                    mail.remember(recipient, record.kind);
                }
                if record.kind == EventKind::Processed {
                    taken_up.push(mail.clone());
                }
                Subject::Mail {
                    mail: mail.clone(),
                    recipient: record.recipient,
                }
            }
            KeptMessage::Sms(sms, _) => Subject::Sms(sms.clone()),
            KeptMessage::Received(place) => {
                Subject::Sms(world.received[*place].answer(record.message))
            }
        };
        if let Subject::Sms(sms) = &subject
            && record.kind != EventKind::SmsOptOut
        {
            let status = &mut world.account_mut(sms.account()).sms.status;
            status.insert(sms.message_id().to_owned(), record.kind);
        }
        let detail = record.detail.into_iter();
        let event = Arc::new(Event {
            id,
            time: record.time,
            account: record.account,
            subject,
            kind: record.kind,
            detail: detail.map(|(name, value)| (intern(name), value)).collect(),
        });
        world.ledger.add_event(record.message, place, &event);
        world.events.restore(place, event);
        Ok(())
    })?;
    for mail in taken_up {
        restore_transit(world, &mail);
    }
    Ok(())
}
