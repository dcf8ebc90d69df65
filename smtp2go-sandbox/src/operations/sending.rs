//! Checks whether an account and a key may send a mail: sender, recipients and sending limit.

use super::domain;
use super::fields::domain_of;
use super::sender_settings::SendingLimit;
use crate::account::{AccountId, KeyStatus};
use crate::address::{self, Mailbox};
use crate::refusal::Refusal;
use crate::world::World;

/// Who sends: an API key, an SMTP user or an authenticated IP address.
#[derive(Debug)]
pub(crate) struct SendingUser {
    /// The account that the mail is for.
    pub(crate) account: AccountId,
    /// The name in replies, filters and webhooks.
    pub(crate) name: String,
    pub(crate) status: KeyStatus,
    pub(crate) limit: Option<SendingLimit>,
}

/// Refuses a mail if the account may not use one of its senders or send to one of its recipients. A MIME
/// message can have several senders, separated by commas. Addresses may be `a@b.c` or `Name <a@b.c>`.
pub(crate) fn may_send(
    world: &World,
    id: AccountId,
    sender: &str,
    recipients: &[&str],
) -> Result<(), Refusal> {
    let account = world.account(id);
    for Mailbox {
        address: sender, ..
    } in address::mailboxes(sender).filter_map(Result::ok)
    {
        match account.allowed_senders.lets_send(&sender) {
            Some(true) => {}
            Some(false) => {
                return Err(Refusal::exception(format!(
                    "The allowed senders of the account do not include the sender {sender}."
                )));
            }
            // Verified senders matter only without a list of allowed senders.
            None if world.settings.enforce_senders
                && !domain::lets_send(world, id, &sender)
                && !account.single_sender_emails.verified(&sender) =>
            {
                return Err(Refusal::unverified_sender(&domain_of(&sender)));
            }
            None => {}
        }
    }
    let mut recipients = recipients.iter().map(|recipient| address::bare(recipient));
    match recipients.find(|address| !account.allowed_recipients.lets_receive(address)) {
        None => Ok(()),
        Some(address) => Err(Refusal::exception(format!(
            "The allowed recipients of the account do not include {address}."
        ))),
    }
}

/// Refuses `mails` more mails if the user has a sending limit and they would exceed it.
pub(crate) fn within_limit(world: &World, user: &SendingUser, mails: usize) -> Result<(), Refusal> {
    let Some(limit) = &user.limit else {
        return Ok(());
    };
    let sent = world.sent_within(&user.name, limit.span);
    let allowed = usize::try_from(limit.mails).unwrap_or(usize::MAX);
    if sent.saturating_add(mails) > allowed {
        return Err(Refusal::exception(format!(
            "The rate limit of {} is reached: {} mails in {}.",
            user.name, limit.mails, limit.period
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::operations::tests::call;
    use crate::world::tests::shared;

    #[test]
    fn sender_in_a_verified_domain_may_send() {
        let shared = shared(|settings| {
            settings.enforce_senders = true;
            settings.sender_domains = vec!["example.com".to_owned()];
        });
        let send = |sender: &str| {
            let mail = json!({ "sender": sender, "to": ["b@example.net"], "text_body": "x" });
            call(&shared, "email_send", &mail)
        };
        for verified in [
            "a@example.com",
            "a@EXAMPLE.com",
            "Acme <a@example.com>",
            r#""a@example.net <x>" <a@example.com>"#,
        ] {
            assert!(send(verified).is_ok(), "{verified}");
        }
        for unverified in [
            "",
            "example.com",
            "a@mail.example.com",
            "a@example.net",
            "a@example.com <a@example.net>",
        ] {
            assert!(send(unverified).is_err(), "{unverified}");
        }
    }
}
