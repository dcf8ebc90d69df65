//! The operations, in one file per group of the API. The file has the name of the group.
//!
//! A file has `answer`, which handles requests that match their schema. If an account keeps data of the
//! group, the file also has a struct for it, which is a field of [`Account`]. A new endpoint gets the
//! spec's example as its reply until its file handles it.

pub(crate) mod activity;
pub(crate) mod allowed_recipients;
pub(crate) mod allowed_senders;
pub(crate) mod api_keys;
pub(crate) mod archive;
pub(crate) mod dedicated_ips;
pub(crate) mod domain;
pub(crate) mod email;
pub(crate) mod email_search;
pub(crate) mod fields;
pub(crate) mod history;
pub(crate) mod ip_allow_list;
pub(crate) mod ip_auth;
pub(crate) mod sender_settings;
pub(crate) mod sending;
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

use axum::body::Bytes;
use serde_json::Value;

use self::fields::{check_entry, text, texts};
use crate::account::{Account, AccountId, Key};
use crate::api::Operation;
use crate::mime::Mime;
use crate::refusal::Refusal;
use crate::schema::Cleaned;
use crate::weight::Weight;
use crate::world::{Shared, Strictness, World};

/// The input of a handler besides the request.
pub(crate) struct Context<'a> {
    pub(crate) world: &'a mut World,
    /// The request's account: the key's, or the subaccount that the request names.
    pub(crate) account: AccountId,
    /// The request's key.
    pub(crate) key: Arc<Key>,
    pub(crate) request_id: &'a str,
    pub(crate) prepared: Prepared,
    /// The body of the request as received.
    pub(crate) body: &'a Bytes,
}

/// Results of expensive work that needs no world and is done before locking it.
#[derive(Default)]
pub(crate) struct Prepared {
    /// The message of `/email/mime`.
    pub(crate) mime: Option<Mime>,
    /// The parts of a template that is added or changed.
    pub(crate) compiled: Option<Result<template::Parts, Refusal>>,
    /// The rendered templates of a request's mails, in order.
    pub(crate) rendered: template::AllRendered,
}

impl Prepared {
    /// Checks the addresses, headers and bodies of a request that matches the schema. These checks don't
    /// depend on an account and apply in every mode.
    pub(crate) fn check(operation: &str, request: &Value) -> Result<Self, Refusal> {
        let mut prepared = Self::default();
        let entries = |field: &str| {
            let mut entries = texts(request, field).into_iter();
            entries.try_for_each(|entry| check_entry(field, entry))
        };
        match operation {
            "email_send" => email::check_content(request, "")?,
            "email_batch" => email::check_batch(request)?,
            "email_mime" => prepared.mime = Some(email::check_mime(request)?),
            "allowed_recipients_add" | "allowed_recipients_update" => {
                entries("allowed_recipients")?;
            }
            "allowed_senders_add" | "allowed_senders_update" => entries("allowed_senders")?,
            "suppression_add" => {
                let field = "email_address";
                check_entry(field, text(request, field).unwrap_or_default())?;
            }
            "single_sender_emails_add" => single_sender_emails::check(request)?,
            "sms_send" => sms::check(request)?,
            "webhook_add" | "webhook_edit" => webhook::check(request)?,
            "api_keys_add" | "api_keys_edit" | "api_keys_patch" | "smtp_users_add"
            | "smtp_users_edit" | "smtp_users_patch" | "ip_auth_patch" => {
                sender_settings::check(request)?;
            }
            _ => {}
        }
        Ok(prepared)
    }

    /// Compiles or renders the templates of a valid request, without the world's lock.
    pub(crate) fn prepare(
        &mut self,
        shared: &Shared,
        operation: &str,
        key: &Key,
        subaccount: Option<(&str, &str)>,
        request: &Arc<Value>,
    ) {
        match operation {
            "template_add" | "template_edit" => {
                self.compiled = Some(template::Parts::compile(request));
            }
            "email_send" | "email_batch" => {
                let world = shared.world();
                // A request without permission is refused later.
                let account = world.account_for(key, subaccount).unwrap_or(key.account);
                let orders = template::orders(world.account(account), request);
                drop(world);
                self.rendered = template::render(request, orders);
            }
            _ => {}
        }
    }
}

impl Context<'_> {
    /// The account that the request is for.
    pub(crate) fn account(&mut self) -> &mut Account {
        self.world.account_mut(self.account)
    }

    /// Who sends the mail of the request.
    fn user(&self) -> sending::SendingUser {
        sending::SendingUser {
            account: self.account,
            name: self.key.short_name().to_owned(),
            status: self.key.status,
            limit: self.key.settings.rate_limit.clone(),
        }
    }

    /// The time of the request.
    pub(crate) fn now(&self) -> SystemTime {
        self.world.now()
    }
}

/// A handler's reply with status 200.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    /// `{request_id, data}` with this `data`.
    Data(Value),
    /// A body without the usual envelope. Its `request_id`, if it has one, is replaced.
    Whole(Value),
    /// No body.
    Empty,
    /// The spec's example.
    Example,
}

/// Prepares a request for a lenient sandbox before it is checked, as far as `strictness` allows:
/// removes nulls, empty strings and unknown fields, and converts quirks of official clients.
pub(crate) fn forgive(
    operation: &Operation,
    request: &mut Value,
    strictness: Strictness,
) -> Cleaned {
    // An edit can set a field to an empty string.
    let edits = ["_edit", "_patch"];
    let keep_empty = edits.iter().any(|word| operation.id.ends_with(word));
    let mut cleaned = operation.request.clean(request, strictness, keep_empty);
    if let (Some(field), Some(members)) = (&operation.subaccount, request.as_object_mut())
        && members.get(field).is_some_and(|id| id == "")
    {
        if !strictness.nulls {
            members.remove(field);
        } else if keep_empty {
            // No edit sets the subaccount to nothing.
            cleaned.empty.push(field.clone());
        }
    }
    if strictness.is_full() {
        return cleaned;
    }
    match operation.id.as_str() {
        "email_send" | "email_mime" | "email_batch" => email::forgive(request),
        "webhook_add" | "webhook_edit" if !strictness.unknown => {
            webhook::forgive(request, &mut cleaned.ignored);
        }
        _ => {}
    }
    cleaned
}

/// Carries out a request that matches its schema.
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
    // Old messages are dropped to make room. Accounts' state is not, so its growth is refused.
    let grows =
        !matches!(group, "email" | "sms") && GROWING.iter().any(|word| operation.ends_with(word));
    if !grows {
        return answer(context, operation, request);
    }
    // Times 4, because lists are also kept in indexes.
    let weight = ENTRY + 4 * request.weight() + template::compiled_weight(request);
    if context.world.is_state_full(weight) {
        return Err(Refusal::exception(
            "The sandbox's limit of 64 MiB for templates, keys, domains, suppressions and the like is \
             reached. Remove some, or reset the sandbox.",
        ));
    }
    let answer = answer(context, operation, request);
    if answer.is_ok() {
        context.world.add_state(weight);
    }
    answer
}

/// Name endings of the operations that can add to an account's state.
const GROWING: [&str; 7] = [
    "_access",
    "_add",
    "_edit",
    "_patch",
    "_return_path",
    "_tracking",
    "_update",
];

/// Memory that an addition to an account's state takes besides its request, in bytes.
const ENTRY: usize = 1024;

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::world::tests::{KEY, shared};

    /// Calls an operation without HTTP, with the main key. `subaccount_id` works.
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
        let request = Arc::new(request.clone());
        let key = Arc::clone(shared.world().key(KEY).unwrap());
        let field = operation.subaccount.as_deref();
        let subaccount = field.and_then(|field| Some((field, request.get(field)?.as_str()?)));
        let mut prepared = Prepared::check(&operation.id, &request)?;
        prepared.prepare(shared, &operation.id, &key, subaccount, &request);
        let mut world = shared.world();
        let account = world.account_for(&key, subaccount)?;
        let mut context = Context {
            world: &mut world,
            account,
            key,
            request_id: "00000000-0000-4000-8000-000000000000",
            prepared,
            body: &Bytes::new(),
        };
        answer(&mut context, &operation.group, &operation.id, &request)
    }

    /// The snapshot lists operations without a handler, which reply with the spec's example.
    #[test]
    fn every_operation_has_a_handler() {
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
        insta::assert_snapshot!("answered_with_examples", examples.join("\n"));
    }

    #[test]
    fn adding_to_accounts_beyond_64_mib_is_refused_until_something_is_removed() {
        let shared = shared(|_| {});
        let long = "x".repeat(1_000_000);
        let key = json!({ "description": long });
        let mut added = 0;
        let refusal = loop {
            match call(&shared, "api_keys_add", &key) {
                Ok(_) => added += 1,
                Err(refusal) => break refusal,
            }
        };
        assert!(
            refusal.reason().contains("limit of 64 MiB"),
            "{}",
            refusal.reason()
        );
        assert!((60..=67).contains(&added), "{added}");
        // Reads and mail still work. An address that bounces is not suppressed.
        call(&shared, "template_search", &json!({})).unwrap();
        let mail =
            json!({ "sender": "a@example.com", "to": ["bounce@example.net"], "text_body": "x" });
        call(&shared, "email_send", &mail).unwrap();
        shared.world().advance(std::time::Duration::from_secs(1));
        let id = shared.world().keys[1].secret.clone();
        call(&shared, "api_keys_remove", &json!({ "id": id })).unwrap();
        call(&shared, "api_keys_add", &key).unwrap();
    }
}
