//! The senders that an account allows or blocks.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fields::{domain_of, text, texts};
use super::{Context, Reply};
use crate::data::Kept;
use crate::refusal::Refusal;
use crate::weight::{Weight, weigh};

/// The allowed or blocked senders of an account.
#[derive(Debug, Default)]
pub(crate) struct AllowedSenders {
    pub(crate) entries: SenderEntries,
    pub(crate) mode: Mode,
}

/// How the list is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) enum Mode {
    #[default]
    Disabled,
    Whitelist,
    Blacklist,
}

/// Email addresses and domains, without duplicates.
#[derive(Debug, Default)]
pub(crate) struct SenderEntries {
    pub(crate) entries: Kept<u64, String>,
    /// The entries in lower case.
    known: HashSet<String>,
    /// The entries in lower case, without a leading `@`.
    domains: HashSet<String>,
}

weigh!(AllowedSenders { entries, mode });

impl Weight for Mode {
    fn weight(&self) -> usize {
        0
    }
}

weigh!(SenderEntries {
    entries,
    known,
    domains
});

impl SenderEntries {
    /// Appends new entries, ignoring letter case.
    pub(crate) fn add(&mut self, entries: &[&str]) {
        for entry in entries {
            if self.know(entry) {
                self.entries.push((*entry).to_owned());
            }
        }
    }

    /// Adds an entry to the look-up sets. Returns false if it was already there.
    fn know(&mut self, entry: &str) -> bool {
        let key = entry.to_lowercase();
        let domain = key.trim_start_matches('@').to_owned();
        let new = self.known.insert(key);
        if new {
            self.domains.insert(domain);
        }
        new
    }

    /// Rebuilds the look-up sets from the entries.
    pub(crate) fn know_all(&mut self) {
        self.known.clear();
        self.domains.clear();
        let entries: Vec<_> = self.entries.iter().cloned().collect();
        for entry in &entries {
            self.know(entry);
        }
    }

    /// Removes entries.
    pub(crate) fn remove(&mut self, entries: &[&str]) {
        let removed: HashSet<_> = entries.iter().map(|entry| entry.to_lowercase()).collect();
        self.entries
            .retain(|entry| !removed.contains(&entry.to_lowercase()));
        self.know_all();
    }

    pub(crate) fn replace(&mut self, entries: &[&str]) {
        self.entries.retain(|_| false);
        self.know_all();
        self.add(entries);
    }

    /// Whether the entries contain the address or its domain.
    pub(crate) fn cover(&self, address: &str) -> bool {
        let address = address.to_lowercase();
        self.known.contains(&address) || self.domains.contains(&domain_of(&address))
    }

    pub(crate) fn show(&self) -> Value {
        self.entries.iter().map(String::as_str).collect()
    }
}

impl AllowedSenders {
    /// Whether the list allows an address to send. `None` if the list is disabled.
    pub(crate) fn lets_send(&self, address: &str) -> Option<bool> {
        match self.mode {
            Mode::Disabled => None,
            Mode::Whitelist => Some(self.entries.cover(address)),
            Mode::Blacklist => Some(!self.entries.cover(address)),
        }
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let list = &mut context.account().allowed_senders;
    let entries = texts(request, "allowed_senders");
    match operation {
        "allowed_senders_add" => list.entries.add(&entries),
        "allowed_senders_remove" => list.entries.remove(&entries),
        "allowed_senders_update" => {
            list.entries.replace(&entries);
            list.mode = match text(request, "mode") {
                Some("whitelist") => Mode::Whitelist,
                Some("blacklist") => Mode::Blacklist,
                _ => Mode::Disabled,
            };
        }
        "allowed_senders_view" => {}
        _ => return Ok(Reply::Example),
    }
    let mode = match list.mode {
        Mode::Disabled => "disabled",
        Mode::Whitelist => "whitelist",
        Mode::Blacklist => "blacklist",
    };
    let data = json!({ "allowed_senders": list.entries.show(), "mode": mode });
    Ok(Reply::Data(data))
}
