//! The records of a data file: their keys and values.

use std::time::SystemTime;

use axum::body::Bytes;
use serde::{Deserialize, Serialize};

use crate::account::AccountId;
use crate::clock::Clock;
use crate::event::{EventKind, KindForm};
use crate::ids::Ids;

/// Key of the [`SingleRecord`].
pub(super) const SINGLE: &str = "meta";

/// Returns the key of a record. Records of a kind sort by number.
pub(super) fn key(kind: &str, number: usize) -> String {
    format!("{kind}/{number:020}")
}

/// State that exists once per sandbox.
#[derive(Serialize, Deserialize)]
pub(super) struct SingleRecord {
    pub(super) ids: Ids,
    pub(super) clock: Clock,
    /// All jobs due up to this time have run.
    pub(super) now: SystemTime,
    /// The number of the last message.
    pub(super) last_message: u64,
    /// The number of the last job.
    pub(super) last_job: u64,
    /// Totals, including dropped items.
    pub(super) mails: usize,
    pub(super) events: usize,
    pub(super) sms: usize,
    pub(super) received: usize,
    /// Numbers of mails and events that the user deleted. Missing in files of earlier versions.
    #[serde(default)]
    pub(super) deleted_mails: usize,
    #[serde(default)]
    pub(super) deleted_events: usize,
    /// The API keys that the builder set.
    pub(super) keys: Vec<String>,
}

/// A message. The record's key contains the message's number. `place` is the message's index in the log
/// of its kind.
#[derive(Serialize, Deserialize)]
pub(super) enum MessageRecord<M, S, R> {
    Mail {
        place: Option<usize>,
        /// The number of the body record with the mail's long texts, if it has any.
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
    /// The event's id, in hexadecimal.
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

/// Size in bytes of the chunks in which bodies are written. A chunk with its key almost fills a page of
/// the file.
pub(super) const PIECE: usize = 32 * 1024 - 256;

/// The records to write, in order.
#[derive(Default)]
pub(super) struct RecordBatch {
    /// Whether all earlier records are removed first.
    pub(super) cleared: bool,
    pub(super) records: Vec<(String, RecordValue)>,
}

pub(super) enum RecordValue {
    /// Removes the record.
    Gone,
    /// Removes all records whose keys start with the key.
    AllGone,
    Json(serde_json::Result<Vec<u8>>),
    /// Serialized by the writer thread, because a long value would keep the world locked.
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
