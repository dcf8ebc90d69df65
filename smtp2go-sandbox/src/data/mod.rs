//! The data file: saves the state of a sandbox for the next start.
//!
//! Code that changes the world marks its changes: [`Kept`] marks changes of accounts' items, and
//! [`Unsaved`] holds the marks of all other changes. Unlocking the world makes [`save`] turn the marked
//! changes into a batch of records. A thread ([`file`]) writes all queued batches in one transaction.
//! The sandbox replies after its changes are written: [`Shared::saved`](crate::world::Shared::saved). At
//! the start, [`load`] reads the records.
#![cfg_attr(not(feature = "data"), allow(dead_code))]

#[cfg(feature = "data")]
pub(crate) mod file;
mod kept;
#[cfg(feature = "data")]
mod load;
#[cfg(feature = "data")]
mod record;
#[cfg(feature = "data")]
mod save;
#[cfg(feature = "data")]
mod trial;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer};

pub(crate) use self::kept::{Collection, Kept};
use crate::due::JobKey;

/// Marks of what changed since the last write: flags, and numbers of changed items.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Whether all earlier records must be removed first.
    pub(crate) cleared: bool,
    pub(crate) clock: bool,
    pub(crate) accounts: BTreeSet<usize>,
    pub(crate) messages: BTreeSet<u64>,
    pub(crate) events: BTreeSet<usize>,
    pub(crate) jobs: BTreeSet<JobKey>,
    #[cfg(feature = "data")]
    pub(crate) saved: save::Saved,
}

/// A static text, such as the name of a field. An alias, because serde's derive would borrow a
/// `&'static str` from the input.
pub(crate) type Literal = &'static str;

/// Deserializes a literal.
pub(crate) fn interned<'de, D: Deserializer<'de>>(from: D) -> Result<Literal, D::Error> {
    String::deserialize(from).map(intern)
}

/// Deserializes a map whose keys are literals.
pub(crate) fn interned_keys<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<Literal, V>, D::Error> {
    let map = BTreeMap::<String, V>::deserialize(from)?;
    let map = map.into_iter().map(|(key, value)| (intern(key), value));
    Ok(map.collect())
}

/// Returns a text as a literal. Leaks each different text once per process.
pub(crate) fn intern(text: String) -> Literal {
    static TEXTS: Mutex<Option<HashSet<Literal>>> = Mutex::new(None);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = texts.get_or_insert_default();
    match texts.get(text.as_str()) {
        Some(known) => known,
        None => {
            // Leaks little: the file has only texts that are literals in this program.
            let text: Literal = text.leak();
            texts.insert(text);
            text
        }
    }
}
