//! What each operation does: a file per group of the API, named as the group.
//!
//! A file has the `State` that an account keeps of the group (a field of
//! [`Account`]) and `answer`, which is given a request that its schema
//! allows. An operation that a file does not know, and a group without a file, is answered with
//! the example of the specification.

pub(crate) mod activity;
pub(crate) mod allowed_recipients;
pub(crate) mod allowed_senders;
pub(crate) mod api_keys;
pub(crate) mod archive;
pub(crate) mod dedicated_ips;
pub(crate) mod domain;
pub(crate) mod email;
pub(crate) mod ip_allow_list;
pub(crate) mod ip_auth;
pub(crate) mod single_sender_emails;
pub(crate) mod sms;
pub(crate) mod smtp_users;
pub(crate) mod stats;
pub(crate) mod subaccount;
pub(crate) mod suppression;
pub(crate) mod template;
pub(crate) mod webhook;

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::Value;

use crate::account::{Account, AccountId, Key};
use crate::refusal::Refusal;
use crate::world::World;

/// What a handler works with.
pub(crate) struct Context<'a> {
    pub(crate) world: &'a mut World,
    /// The account that the request is for: that of the key, or the subaccount that it names.
    pub(crate) account: AccountId,
    /// The key that the request came with.
    pub(crate) key: Arc<Key>,
    #[allow(dead_code)] // until a handler puts it elsewhere than the envelope
    pub(crate) request_id: &'a str,
}

#[allow(dead_code)] // until a handler uses all of it
impl Context<'_> {
    /// The account that the request is for.
    pub(crate) fn account(&mut self) -> &mut Account {
        self.world.account_mut(self.account)
    }

    /// The time of the request.
    pub(crate) fn now(&self) -> SystemTime {
        self.world.now()
    }
}

/// What a handler answers with status 200.
#[derive(Debug, PartialEq)]
#[allow(dead_code)] // until a handler needs the others
pub(crate) enum Reply {
    /// `{request_id, data}` with this as `data`.
    Data(Value),
    /// A body that has not the usual envelope; the request's id is put in wherever it has one.
    Whole(Value),
    /// No body.
    Empty,
    /// The example of the specification.
    Example,
}

/// Carries out a request that its schema allows, unless something else speaks against it.
pub(crate) fn answer(
    context: &mut Context<'_>,
    group: &str,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    let answer = match group {
        "activity" => activity::answer,
        "allowed_recipients" => allowed_recipients::answer,
        "allowed_senders" => allowed_senders::answer,
        "api_keys" => api_keys::answer,
        "archive" => archive::answer,
        "dedicated_ips" => dedicated_ips::answer,
        "domain" => domain::answer,
        "email" => email::answer,
        "ip_allow_list" => ip_allow_list::answer,
        "ip_auth" => ip_auth::answer,
        "single_sender_emails" => single_sender_emails::answer,
        "sms" => sms::answer,
        "smtp_users" => smtp_users::answer,
        "stats" => stats::answer,
        "subaccount" => subaccount::answer,
        "suppression" => suppression::answer,
        "template" => template::answer,
        "webhook" => webhook::answer,
        _ => return Ok(Reply::Example),
    };
    answer(context, operation, request)
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::Shared;
    use crate::world::tests::{KEY, shared};

    /// Calls an operation without HTTP, with the main key. `subaccount_id` is honoured.
    pub(crate) fn call(
        shared: &Shared,
        operation: &str,
        request: &Value,
    ) -> Result<Reply, Refusal> {
        let mut operations = shared.api.operations().iter();
        let operation = operations.find(|known| known.id == operation).unwrap();
        if let Some(error) = operation.request.check(request).unwrap() {
            return Err(error.into());
        }
        let mut world = shared.world();
        let key = Arc::clone(world.key(KEY).unwrap());
        let field = operation.subaccount.as_deref();
        let subaccount = field.and_then(|field| Some((field, request.get(field)?.as_str()?)));
        let account = world.account_for(&key, subaccount)?;
        let mut context = Context {
            world: &mut world,
            account,
            key,
            request_id: "00000000-0000-4000-8000-000000000000",
        };
        let request = Arc::new(request.clone());
        answer(&mut context, &operation.group, &operation.id, &request)
    }

    /// Operations that are still answered with the example of the specification. To shrink to none;
    /// a new endpoint may be listed until it has its handler.
    const EXAMPLES: &[&str] = &[
        "email_scheduled_search",
        "email_scheduled_remove",
        "email_search",
        "template_add",
        "template_delete",
        "template_edit",
        "template_search",
        "template_view",
        "activity_search",
        "archive_search",
        "archive_email",
        "stats_email_bounces",
        "stats_email_cycle",
        "stats_email_history",
        "stats_email_spam",
        "stats_email_summary",
        "stats_email_unsubs",
        "suppression_add",
        "suppression_remove",
        "suppression_view",
        "domain_add",
        "domain_remove",
        "domain_return_path",
        "domain_subaccount_access",
        "domain_tracking",
        "domain_verify",
        "domain_view",
        "single_sender_emails_add",
        "single_sender_emails_remove",
        "single_sender_emails_view",
        "allowed_senders_add",
        "allowed_senders_remove",
        "allowed_senders_update",
        "allowed_senders_view",
        "allowed_recipients_add",
        "allowed_recipients_remove",
        "allowed_recipients_update",
        "allowed_recipients_view",
        "api_keys_add",
        "api_keys_edit",
        "api_keys_patch",
        "api_keys_permissions",
        "api_keys_remove",
        "api_keys_view",
        "smtp_users_add",
        "smtp_users_edit",
        "smtp_users_patch",
        "smtp_users_remove",
        "smtp_users_view",
        "ip_auth_patch",
        "ip_auth_remove",
        "ip_auth_view",
        "ip_allow_list_set",
        "ip_allow_list_add",
        "ip_allow_list_edit",
        "ip_allow_list_remove",
        "ip_allow_list_view",
        "dedicated_ips_view",
        "subaccount_add",
        "subaccount_close",
        "subaccount_edit",
        "subaccount_reopen",
        "subaccount_search",
    ];

    #[test]
    fn operations_have_handlers() {
        let mut examples = Vec::new();
        for operation in crate::api::Api::embedded().unwrap().operations() {
            let shared = shared(|_| {});
            let request = operation.request_example.clone().unwrap_or(json!({}));
            let mut world = shared.world();
            for subaccount in ["381204", "4c1f0e7a9b"] {
                world.add_account(crate::account::Account::new(subaccount));
            }
            drop(world);
            if let Ok(Reply::Example) = call(&shared, &operation.id, &request) {
                examples.push(operation.id.clone());
            }
        }
        assert_eq!(examples, EXAMPLES);
    }
}
