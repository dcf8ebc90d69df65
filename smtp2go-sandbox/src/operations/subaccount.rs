//! Subaccounts: accounts below the master account, each with its own state.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fields::{descending, few, flag, integer, occurs, page_size, text, word};
use super::{Context, Reply};
use crate::account::{Account, AccountId};
use crate::paging::{numbered, page};
use crate::refusal::Refusal;
use crate::weight::weigh;
use crate::world::World;

/// The allowed values of `limit`: mails per billing cycle.
const LIMITS: [i64; 17] = [
    2_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000, 80_000, 100_000, 250_000,
    500_000, 1_000_000, 2_000_000, 3_000_000, 5_000_000, 10_000_000,
];

/// A dedicated IP address needs a `limit` above this one.
const DEDICATED_ABOVE: i64 = 100_000;

/// Settings of a subaccount, which the master account controls.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct SubaccountState {
    pub(crate) name: String,
    email: String,
    pub(crate) limit: i64,
    dedicated_ip: bool,
    archiving: bool,
    enforce_2fa: bool,
    enable_sms: bool,
    sms_limit: i64,
}

impl Default for SubaccountState {
    fn default() -> Self {
        Self {
            name: String::new(),
            email: String::new(),
            limit: 10_000,
            dedicated_ip: false,
            archiving: false,
            enforce_2fa: false,
            enable_sms: false,
            sms_limit: 1_000,
        }
    }
}

weigh!(SubaccountState {
    name,
    email,
    limit,
    dedicated_ip,
    archiving,
    enforce_2fa,
    enable_sms,
    sms_limit
});

impl SubaccountState {
    /// Applies the fields of a request.
    fn change(mut self, request: &Value) -> Result<Self, Refusal> {
        for (field, place) in [
            ("fullname", &mut self.name),
            ("subaccount_email", &mut self.email),
        ] {
            if let Some(text) = text(request, field) {
                text.clone_into(place);
            }
        }
        for (field, place) in [
            ("dedicated_ip", &mut self.dedicated_ip),
            ("archiving", &mut self.archiving),
            ("enforce_2fa", &mut self.enforce_2fa),
            ("enable_sms", &mut self.enable_sms),
        ] {
            if let Some(flag) = flag(request, field) {
                *place = flag;
            }
        }
        if let Some(limit) = integer(request, "limit") {
            if !LIMITS.contains(&limit) {
                return Err(Refusal::field(
                    "limit",
                    "The value must be the size of a plan.",
                ));
            }
            self.limit = limit;
        }
        self.sms_limit = integer(request, "sms_limit").unwrap_or(self.sms_limit);
        if self.dedicated_ip && self.limit <= DEDICATED_ABOVE {
            return Err(Refusal::exception(format!(
                "dedicated_ip needs a limit above {DEDICATED_ABOVE}."
            )));
        }
        Ok(self)
    }
}

/// Carries out one of the group's operations, which only the master account may call.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    if !context.account.is_master() {
        return Err(Refusal::exception(
            "Only keys of the master account may manage subaccounts.",
        ));
    }
    match operation {
        "subaccount_add" => {
            check_pool(context, request)?;
            let state = SubaccountState::default().change(request)?;
            let id = loop {
                let id = context.world.ids.subaccount();
                if context.world.find_account(&id).is_none() {
                    break id;
                }
            };
            let account = context.world.add_account(Account {
                subaccount: state,
                ..Account::new(id)
            });
            Ok(Reply::Data(show(context.world, account)))
        }
        "subaccount_edit" => {
            check_pool(context, request)?;
            let account = find(context, request)?;
            let account_state = &mut context.world.account_mut(account).subaccount;
            *account_state = account_state.clone().change(request)?;
            Ok(Reply::Data(show(context.world, account)))
        }
        "subaccount_close" => set_closed(context, request, true),
        "subaccount_reopen" => set_closed(context, request, false),
        "subaccount_search" => search(context, request),
        _ => Ok(Reply::Example),
    }
}

/// Refuses an unknown IP pool. The pool has no other effect and is in no reply.
fn check_pool(context: &mut Context<'_>, request: &Value) -> Result<(), Refusal> {
    match integer(request, "ip_pool") {
        Some(pool) if !context.account().dedicated_ips.has(pool) => Err(Refusal::exception(
            format!("The IP pool {pool} does not exist."),
        )),
        _ => Ok(()),
    }
}

fn set_closed(context: &mut Context<'_>, request: &Value, closed: bool) -> Result<Reply, Refusal> {
    let account = find(context, request)?;
    let account = context.world.account_mut(account);
    if account.closed == closed {
        let state = if closed { "closed" } else { "open" };
        return Err(Refusal::exception(format!(
            "The subaccount is already {state}."
        )));
    }
    account.closed = closed;
    let done = if closed { "closed" } else { "reopened" };
    Ok(Reply::Data(format!("The subaccount was {done}.").into()))
}

fn search(context: &Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let states = word(request, "states", &["all", "active", "closed", "suspended"])?;
    let terms = few(request, "search_terms")?;
    let fuzzy = flag(request, "fuzzy_search").unwrap_or(true);
    let found = |account: &Account| {
        let texts = [&account.id, name(account), &account.subaccount.email];
        let like = |term: &&str| {
            let mut texts = texts.iter();
            texts.any(|text| {
                if fuzzy {
                    occurs(term, text)
                } else {
                    text == term
                }
            })
        };
        terms.is_empty() || terms.iter().any(like)
    };
    let in_state = |account: &Account| match states {
        None | Some("all") => true,
        Some(wanted) => state(account).to_lowercase() == wanted,
    };
    let mut accounts: Vec<_> = context
        .world
        .subaccounts()
        .filter(|(_, account)| found(account) && in_state(account))
        .collect();
    accounts.sort_by(|(_, one), (_, other)| name(one).cmp(name(other)));
    if descending(request, "sort_direction")? {
        accounts.reverse();
    }
    let total = accounts.len();
    let token = text(request, "continue_token");
    let accounts = numbered(accounts);
    let page = page(accounts, page_size(request)?, "continue_token", token)?;
    let rows: Value = page
        .items
        .into_iter()
        .map(|(id, account)| {
            let mut row = summary(context.world, id);
            row["email"] = account.subaccount.email.as_str().into();
            row
        })
        .collect();
    Ok(Reply::Data(json!({
        "continue_token": page.token.unwrap_or_default(),
        "total_count": total,
        "subaccounts": rows,
    })))
}

fn find(context: &Context<'_>, request: &Value) -> Result<AccountId, Refusal> {
    let id = text(request, "id").unwrap_or_default();
    let account = context.world.find_account(id);
    account.ok_or_else(|| Refusal::exception(format!("The subaccount {id:?} does not exist.")))
}

/// The members that a search and the other replies share.
fn summary(world: &World, id: AccountId) -> Value {
    let account = world.account(id);
    let used = i64::try_from(account.mails).unwrap_or(i64::MAX);
    json!({
        "id": account.id,
        "name": name(account),
        "state": state(account),
        "plan_size": account.subaccount.limit,
        "plan_used": used,
        "plan_remaining": (account.subaccount.limit - used).max(0),
        "dedicated_ip": account.subaccount.dedicated_ip,
    })
}

fn show(world: &World, id: AccountId) -> Value {
    let mut reply = summary(world, id);
    let state = &world.account(id).subaccount;
    reply["archiving"] = state.archiving.into();
    reply["enforce_2fa"] = state.enforce_2fa.into();
    reply["sms_enabled"] = state.enable_sms.into();
    reply["sms_limit"] = state.sms_limit.into();
    reply
}

/// The subaccount's name. A subaccount that [`ApiKey`](crate::ApiKey) created has its id as its name.
fn name(account: &Account) -> &String {
    match account.subaccount.name.is_empty() {
        true => &account.id,
        false => &account.subaccount.name,
    }
}

fn state(account: &Account) -> &'static str {
    if account.closed { "Closed" } else { "Active" }
}
