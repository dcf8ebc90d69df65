//! Erasure of a person's data.

use smtp2go_sdk::Email;

use crate::content::Bodies;
use crate::error::Error;
use crate::outbox::Outbox;
use crate::record::State;
use crate::store::{Containing, address};

/// What [`Outbox::erase`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// Mails whose content and error text were deleted.
    pub mails: u64,
    /// Mails that are being sent or looked up, which were left as they are: call again when they are
    /// settled.
    pub busy: u64,
}

impl Outbox {
    /// Deletes the content of all mails that have this address as sender or recipient (To, Cc or Bcc).
    /// Upper and lower case are the same. Mails that wait are cancelled. Rows stay, with their keys, ids
    /// and times; so keep addresses out of keys.
    ///
    /// Sealed content is opened to find the address, and deleted if it can't be opened. Reads the whole
    /// table.
    ///
    /// # Errors
    /// If the address is empty, or the database fails: call again then.
    pub async fn erase(&self, who: &str) -> Result<Erased, Error> {
        let who = address(who);
        if who.is_empty() {
            return Err(Error::settings("address to erase is empty"));
        }
        let mut erased = Erased::default();
        let mut after = String::new();
        loop {
            let rows = self.store.containing(&who, &after).await?;
            let Some(last) = rows.last() else { break };
            after = last.key.clone();
            for row in &rows {
                if !self.concerns(row, &who) {
                    continue;
                }
                let busy = matches!(row.state, State::Sending | State::Unknown);
                if !busy && self.store.erase(row).await? {
                    erased.mails += 1;
                } else {
                    erased.busy += 1;
                }
            }
        }
        self.store.erase_beside(&who).await?;
        Ok(erased)
    }

    /// Whether a row has the address: in the mail, or in the text of an error.
    fn concerns(&self, row: &Containing, who: &str) -> bool {
        let in_error = |error: &str| error.to_lowercase().contains(who);
        if row.error.as_deref().is_some_and(in_error) {
            return true;
        }
        if let Some(mail) = &row.mail {
            return names(mail, who);
        }
        match (&row.sealed, &self.bodies) {
            (Some(sealed), Bodies::Seal(seal)) => match seal.open(&row.key, sealed) {
                Ok(mail) => names(&mail, who),
                Err(_) => true,
            },
            (Some(_), _) => true,
            (None, _) => false,
        }
    }
}

/// Whether a mail has the address as sender or recipient. One that can't be read counts if the text has
/// the address anywhere.
fn names(json: &str, who: &str) -> bool {
    let Ok(mail) = serde_json::from_str::<Email>(json) else {
        return json.to_lowercase().contains(who);
    };
    let parts = mail.parts();
    let mut all = parts.recipients().chain([parts.sender()]);
    all.any(|mailbox| mailbox.address().to_lowercase() == who)
}
