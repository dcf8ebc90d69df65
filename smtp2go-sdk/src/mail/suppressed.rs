//! Removes suppressed recipients from a mail before it is sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::email::Email;
use super::mailbox::Mailbox;
use super::{Sent, check};
use crate::call::cancel::CallCancel;
use crate::error::ErrorKind;
use crate::{Client, Error, FieldError, Reply, operations};

/// Maximum number of concurrent look-ups.
const CONCURRENCY: usize = 4;

impl Client {
    /// Sends a mail to the recipients that are not suppressed.
    pub(super) async fn send_unsuppressed(
        &self,
        mut email: Email,
        cancel: Option<Arc<CallCancel>>,
    ) -> Result<Reply<Sent>, Error> {
        // Validate before the look-ups, and before removals shift the indices of fields in errors.
        check::run(|check| check::check_unsent(&email, self.idempotency_header(), check))
            .map_err(|error| error.during(&operations::EMAIL_SEND, 0))?;
        let suppressed = self.suppressed(&email).await.map_err(Error::before_send)?;
        let (skipped, fields) = skip(&mut email, &suppressed);
        if email.parts().to().is_empty() {
            let error = Error::not_sent(ErrorKind::Suppressed);
            let error = fields.into_iter().fold(error, Error::with_field);
            return Err(error.during(&operations::EMAIL_SEND, 0));
        }
        let reply = self.send_cancellable(email, cancel).await?;
        Ok(reply.with(|sent| sent.skipped = skipped))
    }

    /// Looks up all recipients of a mail. Returns the suppressed addresses in lower case, each with the
    /// reason.
    async fn suppressed(&self, email: &Email) -> Result<BTreeMap<String, String>, Error> {
        let addresses: BTreeSet<String> = email.parts().recipients().map(lower).collect();
        let addresses = Vec::from_iter(addresses);
        let group = self.suppression();
        let mut suppressed = BTreeMap::new();
        for chunk in addresses.chunks(CONCURRENCY) {
            let entries = try_join_all(chunk.iter().map(|address| group.lookup(address))).await?;
            for (address, entries) in chunk.iter().zip(entries) {
                if let Some(entry) = entries.first() {
                    let reason = entry.reason.as_ref().map(ToString::to_string);
                    suppressed.insert(address.clone(), reason.unwrap_or_default());
                }
            }
        }
        Ok(suppressed)
    }
}

/// Removes the suppressed recipients. Returns them, and a field error for each.
fn skip(
    email: &mut Email,
    suppressed: &BTreeMap<String, String>,
) -> (Vec<Mailbox>, Vec<FieldError>) {
    let (mut skipped, mut fields) = (Vec::new(), Vec::new());
    if suppressed.is_empty() {
        return (skipped, fields);
    }
    let parts = email.edit();
    for (field, list) in [
        ("to", &mut parts.to),
        ("cc", &mut parts.cc),
        ("bcc", &mut parts.bcc),
    ] {
        let mut index = 0;
        list.retain(|mailbox| {
            let field = format!("{field}[{index}]");
            index += 1;
            let Some(reason) = suppressed.get(&lower(mailbox)) else {
                return true;
            };
            let message = match reason.as_str() {
                "" => "suppressed".to_owned(),
                reason => format!("suppressed ({reason})"),
            };
            fields.push(FieldError { field, message });
            skipped.push(mailbox.clone());
            false
        });
    }
    (skipped, fields)
}

/// Returns the address in lower case, because suppressions ignore case.
fn lower(mailbox: &Mailbox) -> String {
    mailbox.address().to_lowercase()
}
