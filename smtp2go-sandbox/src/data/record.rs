//! The records of a data file: their keys, and how what is in them is written.

use std::time::SystemTime;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::clock::Clock;
use crate::event::{EventKind, KindForm};
use crate::ids::Ids;

/// The key of what there is one of.
pub(super) const SINGLE: &str = "meta";

/// A key that keeps records of a kind together and in order.
pub(super) fn key(kind: &str, number: usize) -> String {
    format!("{kind}/{number:020}")
}

/// What there is one of.
#[derive(Serialize, Deserialize)]
pub(super) struct SingleRecord {
    pub(super) ids: Ids,
    pub(super) clock: Clock,
    /// What was due until then has happened.
    pub(super) now: SystemTime,
    /// The number of the last message.
    pub(super) last_message: u64,
    /// The number of the last job.
    pub(super) last_job: u64,
    /// How many there ever were.
    pub(super) mails: usize,
    pub(super) events: usize,
    pub(super) sms: usize,
    pub(super) received: usize,
    /// The keys that the sandbox was set up with.
    pub(super) keys: Vec<String>,
}

/// A message by its number. `place` is that in its log.
#[derive(Serialize, Deserialize)]
pub(super) enum MessageRecord<M, S, R> {
    Mail {
        place: Option<usize>,
        /// The number of the body of its call, if what is long is there.
        body: Option<u64>,
        mail: M,
    },
    Sms {
        place: usize,
        sms: S,
    },
    Received {
        place: usize,
        received: R,
    },
}

#[derive(Serialize, Deserialize)]
pub(super) struct EventRecord {
    /// Hexadecimal.
    pub(super) id: String,
    pub(super) time: SystemTime,
    pub(super) account: AccountId,
    pub(super) message: u64,
    pub(super) recipient: Option<String>,
    #[serde(with = "KindForm")]
    pub(super) kind: EventKind,
    pub(super) detail: Vec<(String, String)>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct JobRecord<J> {
    pub(super) time: SystemTime,
    pub(super) message: Option<u64>,
    pub(super) job: J,
}

/// The long texts of mails are in their bodies, which are written in pieces of this size: so each has a
/// page of the file with little left over.
pub(super) const PIECE: usize = 32 * 1024 - 256;

/// What to write, in order.
#[derive(Default)]
pub(super) struct RecordBatch {
    /// Everything that was there before is gone.
    pub(super) cleared: bool,
    pub(super) records: Vec<(String, RecordValue)>,
}

pub(super) enum RecordValue {
    /// The record is gone, or all records whose keys begin so.
    Gone,
    AllGone,
    Json(serde_json::Result<Vec<u8>>),
    /// What may be long is written when the world is not locked any more.
    Later(Box<dyn FnOnce() -> serde_json::Result<Vec<u8>> + Send>),
    Body(Bytes),
}

impl RecordBatch {
    pub(super) fn put(&mut self, key: String, value: &impl Serialize) {
        let json = RecordValue::Json(serde_json::to_vec(value));
        self.records.push((key, json));
    }

    pub(super) fn put_later<T: Serialize>(
        &mut self,
        key: String,
        value: impl FnOnce() -> T + Send + 'static,
    ) {
        let later = RecordValue::Later(Box::new(move || serde_json::to_vec(&value())));
        self.records.push((key, later));
    }
}
