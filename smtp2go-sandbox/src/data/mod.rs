//! What outlives the sandbox, in a file.
//!
//! Whoever changes the world leaves marks of what changed: [`Kept`] those of an account's things,
//! [`Unsaved`] the others. When the world is unlocked, [`save`] takes the marked records out of it, in
//! order, and a thread ([`file`]) writes them, as many at a time as there are. No answer leaves
//! before everything that it may be about is written: [`Shared::saved`](crate::world::Shared::saved).
//! At the start [`load`] puts the records back.
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

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Deserializer};

pub(crate) use self::kept::{Collection, Kept};
use crate::due::JobKey;

/// What changed since it was written last, by number.
#[derive(Debug, Default)]
pub(crate) struct Unsaved {
    /// Everything that was there before is gone.
    pub(crate) cleared: bool,
    pub(crate) clock: bool,
    pub(crate) accounts: BTreeSet<usize>,
    pub(crate) messages: BTreeSet<u64>,
    pub(crate) events: BTreeSet<usize>,
    pub(crate) jobs: BTreeSet<JobKey>,
    #[cfg(feature = "data")]
    pub(crate) saved: save::Saved,
}

/// A text of which there are few, such as the name of a field. By this name, serde's derive does not
/// take it for one that is borrowed from the input.
pub(crate) type Literal = &'static str;

/// Reads a literal.
pub(crate) fn interned<'de, D: Deserializer<'de>>(from: D) -> Result<Literal, D::Error> {
    String::deserialize(from).map(intern)
}

/// Reads a map by literals.
pub(crate) fn interned_keys<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
    from: D,
) -> Result<BTreeMap<Literal, V>, D::Error> {
    let map = BTreeMap::<String, V>::deserialize(from)?;
    let map = map.into_iter().map(|(key, value)| (intern(key), value));
    Ok(map.collect())
}

/// The text, once in the process.
pub(crate) fn intern(text: String) -> Literal {
    static TEXTS: Mutex<Option<HashSet<Literal>>> = Mutex::new(None);
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    let texts = texts.get_or_insert_default();
    match texts.get(text.as_str()) {
        Some(known) => known,
        None => {
            // The sandbox has them as literals, so that a file has few different ones.
            let text: Literal = text.leak();
            texts.insert(text);
            text
        }
    }
}
