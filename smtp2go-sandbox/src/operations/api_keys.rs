//! API keys. The keys are stored in the world, which looks them up for every call.

use std::sync::Arc;

use serde_json::{Value, json};

use super::fields::{few, occurs, text};
use super::sender_settings::{SenderSettings, Spelling, status};
use super::{Context, Reply};
use crate::account::{Key, glob};
use crate::refusal::Refusal;

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "api_keys_add" => add(context, request),
        "api_keys_edit" => edit(context, request, false),
        "api_keys_patch" => edit(context, request, true),
        "api_keys_permissions" => Ok(permissions(context)),
        "api_keys_remove" => {
            let place = find(context, request)?;
            if let Some(key) = context.world.keys.remove(&place) {
                context.world.forget_sent(key.short_name());
            }
            Ok(Reply::Empty)
        }
        "api_keys_view" => Ok(view(context, request)),
        _ => Ok(Reply::Example),
    }
}

fn add(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let endpoints = match request.get("endpoints") {
        Some(_) => owned(&few(request, "endpoints")?),
        None => vec!["/email/send".to_owned()],
    };
    let caller = Arc::clone(&context.key);
    check_escalation(&endpoints, &[&caller.endpoints])?;
    let settings = SenderSettings::default().change(request, &context.account().dedicated_ips)?;
    let status = status(request)?.unwrap_or_default();
    let mut secret = context.world.ids.api_key();
    while context.world.key(&secret).is_some() {
        secret = context.world.ids.api_key();
    }
    let key = Key {
        secret,
        account: context.account,
        endpoints,
        status,
        settings,
    };
    let reply = show(&key, key.secret.clone());
    context.world.keys.push(Arc::new(key));
    Ok(Reply::Data(json!([reply])))
}

/// Changes a key. Fields that are not given are kept if `keep` is set, and otherwise set to their
/// defaults, except `endpoints`, which are kept in both cases.
fn edit(context: &mut Context<'_>, request: &Value, keep: bool) -> Result<Reply, Refusal> {
    let place = find(context, request)?;
    let caller = Arc::clone(&context.key);
    let present = Arc::clone(&context.world.keys[place]);
    let endpoints = match request.get("endpoints") {
        Some(_) => owned(&few(request, "endpoints")?),
        None => present.endpoints.clone(),
    };
    check_escalation(&endpoints, &[&caller.endpoints, &present.endpoints])?;
    let (settings, before) = match keep {
        true => (present.settings.clone(), present.status),
        false => Default::default(),
    };
    let settings = settings.change(request, &context.account().dedicated_ips)?;
    let key = Key {
        endpoints,
        status: status(request)?.unwrap_or(before),
        settings,
        ..Key::clone(&present)
    };
    let reply = show(&key, masked(&key.secret));
    context.world.keys.insert(place, Arc::new(key));
    Ok(Reply::Data(json!([reply])))
}

fn view(context: &Context<'_>, request: &Value) -> Reply {
    let (id, search) = (text(request, "id"), text(request, "search"));
    let keys = context.world.keys.iter().filter(|key| {
        let found = |part: &str| {
            let mut texts = vec![key.short_name(), key.settings.description()];
            texts.extend(key.endpoints.iter().map(String::as_str));
            texts.into_iter().any(|text| occurs(part, text))
        };
        key.account == context.account
            && id.is_none_or(|id| key.secret == id)
            && search.is_none_or(found)
    });
    Reply::Data(keys.map(|key| show(key, masked(&key.secret))).collect())
}

/// Returns the paths that the key's endpoints match, because clients compare paths without wildcards.
fn permissions(context: &Context<'_>) -> Reply {
    let Some(api) = context.world.api() else {
        return Reply::Example;
    };
    let paths = api.operations().iter().map(|operation| &operation.path);
    let mut paths: Vec<_> = paths.filter(|path| context.key.grants(path)).collect();
    paths.sort_unstable();
    paths.dedup();
    Reply::Data(json!(paths))
}

/// Returns the number of the key that the request names in full.
fn find(context: &Context<'_>, request: &Value) -> Result<u64, Refusal> {
    let id = text(request, "id").unwrap_or_default();
    let keys = &context.world.keys;
    keys.find(|key| key.secret == id && key.account == context.account)
        .ok_or_else(|| Refusal::exception("The API key does not exist."))
}

/// Refuses endpoints that are in none of the sets.
fn check_escalation(endpoints: &[String], sets: &[&Vec<String>]) -> Result<(), Refusal> {
    // Matches a new pattern like a path, so that its `*` is covered only by another `*`.
    let covered = |endpoint: &String| {
        let mut known = sets.iter().copied().flatten();
        known.any(|pattern| glob(pattern, endpoint))
    };
    match endpoints.iter().find(|endpoint| !covered(endpoint)) {
        None => Ok(()),
        Some(endpoint) => Err(Refusal::exception(format!(
            "The API key cannot grant {endpoint:?}: it has no permission for this endpoint."
        ))),
    }
}

fn show(key: &Key, secret: String) -> Value {
    let mut members = key.settings.show(key.status, Spelling::RateLimit);
    members.insert("api_key".to_owned(), secret.into());
    members.insert("username".to_owned(), key.short_name().into());
    members.insert("endpoints".to_owned(), json!(key.endpoints));
    members.into()
}

/// Replaces all characters after the first 16 by `*`.
fn masked(secret: &str) -> String {
    let mask = |(place, character)| if place < 16 { character } else { '*' };
    secret.chars().enumerate().map(mask).collect()
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().copied().map(str::to_owned).collect()
}
