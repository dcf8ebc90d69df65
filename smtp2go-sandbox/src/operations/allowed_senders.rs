//! The senders that an account may have, or must not have.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fields::{covers, text, texts};
use super::{Context, Reply};
use crate::refusal::Refusal;

/// What an account has of them.
#[derive(Debug, Default)]
pub(crate) struct State {
    entries: Entries,
    mode: Mode,
}

/// How the list is used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mode {
    #[default]
    Disabled,
    Whitelist,
    Blacklist,
}

/// Email addresses and domains, each of them once.
#[derive(Debug, Default)]
pub(crate) struct Entries(Vec<String>);

impl Entries {
    /// Appends those that are not there, upper and lower case being the same.
    pub(crate) fn add(&mut self, entries: &[&str]) {
        for entry in entries {
            if !self.has(entry) {
                self.0.push((*entry).to_owned());
            }
        }
    }

    /// Takes out those that are there.
    pub(crate) fn remove(&mut self, entries: &[&str]) {
        let removed = |present: &str| entries.iter().any(|entry| same(entry, present));
        self.0.retain(|present| !removed(present));
    }

    pub(crate) fn replace(&mut self, entries: &[&str]) {
        self.0.clear();
        self.add(entries);
    }

    /// Whether the address, or its domain, is among them.
    pub(crate) fn cover(&self, address: &str) -> bool {
        self.0.iter().any(|entry| covers(entry, address))
    }

    pub(crate) fn show(&self) -> Value {
        json!(self.0)
    }

    fn has(&self, entry: &str) -> bool {
        self.0.iter().any(|present| same(entry, present))
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

impl State {
    /// Whether the list lets an address send; `None` if it has no say.
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
