//! Erasure of a person's data.

use serde_json::Value;

use crate::content::Bodies;
use crate::decide::Request;
use crate::entry::Requested;
use crate::error::Error;
use crate::foreign;
use crate::outbox::Outbox;
use crate::store::{Personal, address};

/// The result of [`Outbox::erase`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Erased {
    /// Mails whose content or error text was deleted.
    pub mails: u64,
    /// Mails that are being sent or looked up. They were not changed: call again when their outcome is known.
    pub busy: u64,
}

/// The members of a mail that have addresses.
const ADDRESSES: [&str; 5] = ["sender", "to", "cc", "bcc", "reply_to"];

/// The part of a row that has the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Mail,
    /// Only the error text mentions the address. The mail is to other addresses.
    Error,
}

impl Outbox {
    /// Deletes the content of all mails that have this address as sender, recipient (To, Cc or Bcc) or in
    /// Reply-To. Cancels such mails if they are queued or held. Compares addresses without regard to case. Reads
    /// the whole table.
    ///
    /// Also deletes error texts that quote the address, and the events about it that [`Dedup`] remembers. Does not
    /// search the text of mails to other people. Rows stay, with their keys, ids and times, so keep addresses out
    /// of keys.
    ///
    /// Encrypted content is [opened](crate::Seal::open) to find the address, and deleted if it can't be opened.
    ///
    /// [`Dedup`]: crate::Dedup
    ///
    /// # Errors
    /// If the address is empty, or the database fails. Call again after a failure of the database.
    pub async fn erase(&self, who: &str) -> Result<Erased, Error> {
        let who = address(who);
        if who.is_empty() {
            return Err(Error::settings("the address to erase is empty"));
        }
        let mut erased = Erased::default();
        let mut after = String::new();
        loop {
            let rows = self.store.personal(&after).await?;
            let Some(last) = rows.last() else { break };
            after = last.key.clone();
            for row in &rows {
                let Some(place) = self.place(row, &who) else {
                    continue;
                };
                if place == Place::Mail {
                    // Not done for a mail that is settled or busy.
                    let _: Requested = self.request(&row.key, Request::Erase).await?;
                }
                if self.store.erase(&row.key, place == Place::Mail).await? {
                    erased.mails += 1;
                } else {
                    erased.busy += 1;
                }
            }
        }
        self.store.erase_gates(&who).await?;
        let mut after = String::new();
        loop {
            let keys = self.store.event_keys(&after).await?;
            let Some(last) = keys.last() else { break };
            after.clone_from(last);
            for key in &keys {
                // Slashes separate the parts of a key. A part can be an address, with `%2F` for a
                // slash.
                if quotes(&key.replace("%2F", "/"), &who) {
                    self.store.forget_event(key).await?;
                }
            }
        }
        Ok(erased)
    }

    fn place(&self, row: &Personal, who: &str) -> Option<Place> {
        let in_content = match (&row.mail, &row.sealed, &self.bodies) {
            (Some(mail), ..) => names(mail, who),
            (None, Some(sealed), Bodies::Seal(seal)) => {
                match foreign::call("seal", || seal.open(&row.key, sealed)) {
                    Some(Ok(mail)) => names(&mail, who),
                    Some(Err(_)) | None => true,
                }
            }
            (None, Some(_), _) => true,
            (None, None, _) => false,
        };
        let in_error = || row.error.as_deref().is_some_and(|error| quotes(error, who));
        if in_content {
            Some(Place::Mail)
        } else if in_error() {
            Some(Place::Error)
        } else {
            None
        }
    }
}

/// Whether a mail has the address in one of [`ADDRESSES`]. For a mail that can't be parsed: whether
/// its text contains the address anywhere.
fn names(json: &str, who: &str) -> bool {
    let Ok(Value::Object(mail)) = serde_json::from_str(json) else {
        return quotes(json, who);
    };
    let lists = ADDRESSES.iter().filter_map(|name| mail.get(*name));
    let mut mailboxes = lists.flat_map(|list| match list {
        Value::Array(list) => list.as_slice(),
        one => std::slice::from_ref(one),
    });
    mailboxes.any(|mailbox| {
        mailbox
            .as_str()
            .is_some_and(|mailbox| address(mailbox) == who)
    })
}

/// Whether a text contains the address as a whole. A slash ends an address, as in a path.
fn quotes(text: &str, who: &str) -> bool {
    let text = text.to_lowercase();
    let is_part = |char: char| char.is_alphanumeric() || "!#$%&'*+-=?^_`{|}~.@".contains(char);
    text.match_indices(who).any(|(at, _)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + who.len()..).unwrap_or_default();
        // A dot at the end of a sentence.
        let after = after.trim_start_matches('.').chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_address_matches() {
        for (text, expected) in [
            ("ann@example.net", true),
            ("to[0] <Ann@Example.net>: refused", true),
            ("refused: ann@example.net.", true),
            ("delivered/1/ann@example.net/-", true),
            ("joann@example.net", false),
            ("x.ann@example.net", false),
            ("ann@example.network", false),
            ("ann@example.net.au", false),
            ("joann@example.net, ann@example.net", true),
            ("", false),
        ] {
            assert_eq!(quotes(text, "ann@example.net"), expected, "{text}");
        }
    }
}
