//! Addresses that may send without a verified domain.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::fields::{check_address, text};
use super::{Context, Reply};
use crate::account::AccountId;
use crate::data::Kept;
use crate::due::{Job, JobKey};
use crate::refusal::Refusal;
use crate::weight::weigh;
use crate::world::World;

/// Time until the owner of an address clicks the mailed link.
const FOLLOWED_AFTER: Duration = Duration::from_secs(1);

/// Prefix of addresses whose owner never clicks the link. A test can still verify them.
const NEVER_FOLLOWED: &str = "unverified";

/// The single senders of an account.
#[derive(Debug, Default)]
pub(crate) struct SingleSenders {
    pub(crate) senders: Kept<u64, Sender>,
}

#[derive(Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Sender {
    address: String,
    verified: bool,
    /// The click on the link that was scheduled last. It may have run already.
    #[serde(skip)]
    job: Option<JobKey>,
}

weigh!(SingleSenders { senders });
weigh!(Sender {
    address,
    verified,
    job
});

impl SingleSenders {
    /// Whether an address is verified.
    pub(crate) fn verified(&self, address: &str) -> bool {
        let place = self.place(address);
        place.is_some_and(|place| self.senders[place].verified)
    }

    fn find_mut(&mut self, address: &str) -> Option<&mut Sender> {
        let place = self.place(address)?;
        self.senders.get_mut(&place)
    }

    /// Records the job that will click the link mailed to an address.
    pub(crate) fn note_link(&mut self, address: &str, job: JobKey) {
        if let Some(sender) = self.find_mut(address) {
            sender.job = Some(job);
        }
    }

    fn place(&self, address: &str) -> Option<u64> {
        let address = address.to_lowercase();
        self.senders
            .find(|sender| sender.address.to_lowercase() == address)
    }
}

/// Verifies an address. Returns false if the account has no such single sender.
pub(crate) fn verify(world: &mut World, account: AccountId, address: &str) -> bool {
    let state = &mut world.account_mut(account).single_sender_emails;
    let sender = state.find_mut(address);
    sender.is_some_and(|sender| {
        sender.verified = true;
        true
    })
}

/// Refuses a request in which `email_address` is not an address without a name.
pub(crate) fn check(request: &Value) -> Result<(), Refusal> {
    let field = "email_address";
    check_address(field, text(request, field).unwrap_or_default())
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let request_id = context.request_id;
    let address = text(request, "email_address");
    match operation {
        "single_sender_emails_add" => {
            add(context, address.unwrap_or_default())?;
            Ok(Reply::Whole(json!({
                "request_id": request_id,
                "just_returns_this": "The verification mail was sent.",
            })))
        }
        "single_sender_emails_remove" => {
            let address = address.unwrap_or_default();
            let state = &mut context.account().single_sender_emails;
            let Some(place) = state.place(address) else {
                return Err(Refusal::exception("The single sender does not exist."));
            };
            let removed = state.senders.remove(&place);
            if let Some(job) = removed.and_then(|removed| removed.job) {
                context.world.call_off(job);
            }
            Ok(Reply::Data("The address was removed.".into()))
        }
        "single_sender_emails_view" => {
            let state = &context.account().single_sender_emails;
            let wanted = address.map(|address| state.place(address));
            let senders: Value = state
                .senders
                .numbered()
                .filter(|(place, _)| wanted.is_none_or(|wanted| wanted == Some(**place)))
                .map(|(_, sender)| {
                    json!({ "email_address": sender.address, "verified": sender.verified })
                })
                .collect();
            // This reply has the request's id inside `data`.
            Ok(Reply::Whole(
                json!({ "data": { "request_id": request_id, "senders": senders } }),
            ))
        }
        _ => Ok(Reply::Example),
    }
}

/// Adds an address, unless it exists, and schedules the click on the mailed link.
fn add(context: &mut Context<'_>, address: &str) -> Result<(), Refusal> {
    let state = &mut context.account().single_sender_emails;
    if state.place(address).is_none() {
        state.senders.push(Sender {
            address: address.to_owned(),
            verified: false,
            job: None,
        });
    }
    if !address.to_lowercase().starts_with(NEVER_FOLLOWED) {
        let (account, now) = (context.account, context.now());
        let state = &context.account().single_sender_emails;
        let place = state.place(address).unwrap_or_default();
        // A click may still be scheduled from a previous call.
        if state.senders[place].job.is_none_or(|(time, _)| time <= now) {
            let verify = Job::VerifySender {
                account,
                address: address.to_owned(),
            };
            let job = context.world.later(FOLLOWED_AFTER, verify);
            context
                .account()
                .single_sender_emails
                .note_link(address, job);
        }
    }
    Ok(())
}
