//! The mails of a run: made from numbers, and recognised by their keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::{Attachment, Email, IDEMPOTENCY_HEADER};

use crate::Result;

/// Size of the file attached to some mails, in bytes: more than a connection buffers.
pub(crate) const LARGE: u64 = 256 * 1024;
/// Maximum number of mails with that file, because the sandbox keeps each.
const LARGE_MAILS: u64 = 100;
/// In small runs, one in this number of mails has that file. In larger runs, fewer mails have it.
const LARGE_EVERY: u64 = 8;

/// Writes the file that large mails have attached.
pub(crate) fn write_large_file(folder: &Path) -> Result<PathBuf> {
    let path = folder.join("large.bin");
    std::fs::write(&path, vec![b'a'; LARGE as usize])?;
    Ok(path)
}

/// The key of a queued mail.
pub(crate) fn key(number: u64) -> String {
    format!("order-{number:06}")
}

/// The key of a mail whose transaction is rolled back. The key must appear nowhere.
pub(crate) fn key_of_rolled_back(number: u64) -> String {
    format!("rolled-back-{number:06}")
}

/// Returns mail `number` of a run with `mails` mails. A few of them attach the file `large`.
pub(crate) fn mail(number: u64, mails: u64, key: String, large: &Path) -> Email {
    let mail = Email::new("Shop <shop@example.com>", format!("Order {number}"))
        .to(format!("customer-{number}@example.net"))
        .text("Thank you for your order. ".repeat(20))
        .idempotency_key(key);
    let every = (mails / LARGE_MAILS).max(LARGE_EVERY);
    if number.is_multiple_of(every) {
        mail.attach(Attachment::from_path(large))
    } else {
        mail
    }
}

/// The ids of the mails that the sandbox accepted, by key.
pub(crate) fn inbox(sandbox: &Sandbox) -> BTreeMap<String, Vec<String>> {
    let mut inbox: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for mail in sandbox.mails() {
        let request = mail.request();
        let headers = request["custom_headers"].as_array();
        let key = headers.into_iter().flatten().find_map(|header| {
            let ours = header["header"].as_str() == Some(IDEMPOTENCY_HEADER);
            ours.then(|| header["value"].as_str()).flatten()
        });
        let key = key.unwrap_or("a mail without a key").to_owned();
        inbox
            .entry(key)
            .or_default()
            .push(mail.email_id().to_owned());
    }
    inbox
}

#[cfg(test)]
mod tests {
    use smtp2go_sdk::Client;

    use super::*;

    #[tokio::test]
    async fn ids_of_delivered_mails_are_grouped_by_key() -> Result<()> {
        let sandbox = Sandbox::start().await?;
        let client = Client::builder(sandbox.key())
            .base_url(sandbox.base_url())
            .build()?;
        let folder = tempfile::tempdir()?;
        let large = write_large_file(folder.path())?;
        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for number in [1, 2, 2] {
            let sent = client.send(mail(number, 100, key(number), &large)).await?;
            let ids = expected.entry(key(number)).or_default();
            ids.extend(sent.email_id.clone());
        }
        assert_eq!(inbox(&sandbox), expected);
        Ok(())
    }
}
