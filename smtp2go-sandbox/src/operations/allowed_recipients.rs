//! The recipients that an account may send to.

use std::sync::Arc;

use serde_json::{Value, json};

use super::allowed_senders::SenderEntries;
use super::fields::{flag, texts};
use super::{Context, Reply};
use crate::refusal::Refusal;
use crate::weight::weigh;

/// The allowed recipients of an account.
#[derive(Debug, Default)]
pub(crate) struct AllowedRecipients {
    pub(crate) entries: SenderEntries,
    pub(crate) enabled: bool,
}

weigh!(AllowedRecipients { entries, enabled });

impl AllowedRecipients {
    /// Whether the account may send to an address.
    pub(crate) fn lets_receive(&self, address: &str) -> bool {
        !self.enabled || self.entries.cover(address)
    }
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let list = &mut context.account().allowed_recipients;
    let entries = texts(request, "allowed_recipients");
    match operation {
        "allowed_recipients_add" => list.entries.add(&entries),
        "allowed_recipients_remove" => list.entries.remove(&entries),
        "allowed_recipients_update" => list.entries.replace(&entries),
        "allowed_recipients_view" => {}
        _ => return Ok(Reply::Example),
    }
    list.enabled = flag(request, "enabled").unwrap_or(list.enabled);
    let data = json!({ "allowed_recipients": list.entries.show(), "enabled": list.enabled });
    Ok(Reply::Data(data))
}
