//! Sending mail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Context, Reply, sending};
use crate::account::KeyStatus;
use crate::clock;
use crate::delivery;
use crate::mail::{Accepted, Mail, Mime, decode_base64, list, split_addresses};
use crate::refusal::Refusal;

/// What an account has of them.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The mails that wait for their time, by `schedule_id`. What is taken out is not sent.
    pub(crate) scheduled: BTreeMap<String, Mail>,
}

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "email_send" => send(context, request),
        "email_mime" => mime(context, request),
        "email_batch" => batch(context, request),
        _ => Ok(Reply::Example),
    }
}

fn send(context: &mut Context<'_>, request: &Arc<Value>) -> Result<Reply, Refusal> {
    check_fields(context, request, "")?;
    sending::within_limit(context, 1)?;
    let mail = keep(context, "email_send", request, None, None);
    Ok(sent(&mail))
}

fn mime(context: &mut Context<'_>, request: &Arc<Value>) -> Result<Reply, Refusal> {
    let mime = check_mime(context, request)?;
    sending::within_limit(context, 1)?;
    let mail = keep(context, "email_mime", request, None, Some(mime));
    Ok(sent(&mail))
}

fn sent(mail: &Mail) -> Reply {
    let mut data = Map::new();
    data.insert("email_id".to_owned(), mail.email_id().into());
    if let Some(schedule_id) = mail.schedule_id() {
        data.insert("schedule_id".to_owned(), schedule_id.into());
    }
    if mail.request().get("fastaccept") != Some(&Value::Bool(true)) {
        data.insert("succeeded".to_owned(), 1.into());
        data.insert("failed".to_owned(), 0.into());
        data.insert("failures".to_owned(), json!([]));
    }
    Reply::Data(data.into())
}

fn batch(context: &mut Context<'_>, request: &Arc<Value>) -> Result<Reply, Refusal> {
    let items = list(request, "emails");
    for (index, item) in items.iter().enumerate() {
        check_fields(context, item, &format!("emails[{index}]."))?;
    }
    sending::within_limit(context, items.len())?;
    let results = (0..items.len())
        .map(|index| {
            let mail = keep(context, "email_batch", request, Some(index), None);
            match mail.schedule_id() {
                Some(schedule_id) => json!({ "schedule_id": schedule_id }),
                None => json!({ "email_id": mail.email_id() }),
            }
        })
        .collect();
    Ok(Reply::Data(results))
}

/// Keeps a mail, and takes it up for delivery, or makes it due at its schedule.
fn keep(
    context: &mut Context<'_>,
    operation: &'static str,
    request: &Arc<Value>,
    item: Option<usize>,
    mime: Option<Mime>,
) -> Mail {
    let (account, world) = (context.account, &mut *context.world);
    let fields = match item {
        Some(item) => &request["emails"][item],
        None => &**request,
    };
    let schedule = fields.get("schedule").filter(|value| !value.is_null());
    let mail = Mail::new(Accepted {
        email_id: world.ids.email(),
        schedule_id: schedule.is_some().then(|| world.ids.schedule()),
        operation,
        request: Arc::clone(request),
        item,
        mime,
        accepted: world.now(),
        account,
        username: context.key.short_name().to_owned(),
        withheld: context.key.status == KeyStatus::Sandbox,
    });
    world.mails.push(mail.clone());
    match (mail.schedule_id(), schedule) {
        (Some(id), Some(schedule)) => {
            // A time that cannot be read, or is past, is due at once.
            let time = match schedule {
                Value::String(text) => clock::parse(text),
                other => other
                    .as_u64()
                    .map(|seconds| clock::after(UNIX_EPOCH, Duration::from_secs(seconds))),
            };
            let time = time.unwrap_or_else(|| world.now());
            let id = id.to_owned();
            let waiting = &mut world.account_mut(account).email.scheduled;
            waiting.insert(id.clone(), mail.clone());
            world.at(time, move |world| {
                let waiting = &mut world.account_mut(account).email.scheduled;
                if let Some(mail) = waiting.remove(&id) {
                    delivery::begin(world, &mail);
                }
            });
        }
        _ => delivery::begin(world, &mail),
    }
    world.changed();
    mail
}

/// Checks the fields of a mail; `path` is what goes before their names.
fn check_fields(context: &Context<'_>, mail: &Value, path: &str) -> Result<(), Refusal> {
    if ["html_body", "text_body", "template_id"]
        .iter()
        .all(|field| mail.get(field).is_none())
    {
        return Err(Refusal::field(
            format!("{path}html_body"),
            "One of html_body, text_body and template_id is required.",
        ));
    }
    for field in ["attachments", "inlines"] {
        for (index, file) in list(mail, field).iter().enumerate() {
            match file.get("fileblob").and_then(Value::as_str) {
                Some(fileblob) => {
                    check_base64(fileblob, &format!("{path}{field}[{index}].fileblob"))?;
                }
                None if file.get("url").is_none() => {
                    return Err(Refusal::field(
                        format!("{path}{field}[{index}].fileblob"),
                        "One of fileblob and url is required.",
                    ));
                }
                None => {}
            }
        }
    }
    let sender = mail.get("sender").and_then(Value::as_str);
    let recipients = ["to", "cc", "bcc"]
        .iter()
        .flat_map(|field| list(mail, field));
    let recipients: Vec<_> = recipients.filter_map(Value::as_str).collect();
    sending::may_send(context, sender.unwrap_or_default(), &recipients)
}

fn check_mime(context: &Context<'_>, request: &Value) -> Result<Mime, Refusal> {
    let encoded = request.get("mime_email").and_then(Value::as_str);
    let mime = Mime::new(check_base64(encoded.unwrap_or_default(), "mime_email")?);
    let recipients = ["To", "Cc", "Bcc"]
        .iter()
        .filter_map(|name| mime.header(name));
    let recipients: Vec<_> = recipients.flat_map(split_addresses).collect();
    let sender = mime.header("From").unwrap_or_default();
    sending::may_send(context, sender, &recipients)?;
    Ok(mime)
}

fn check_base64(text: &str, field: &str) -> Result<Vec<u8>, Refusal> {
    decode_base64(text).ok_or_else(|| Refusal::field(field, "The value is not base64."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    #[test]
    fn a_scheduled_mail_waits_for_its_time() {
        let shared = shared(|_| {});
        shared.world().freeze();
        let hour = Duration::from_secs(3_600);
        let schedule = clock::rfc3339(clock::after(shared.world().now(), hour));
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": "Hi",
                           "text_body": "Hello", "schedule": schedule });
        call(&shared, "email_send", &mail).unwrap();
        let batch = json!({ "emails": [mail] });
        call(&shared, "email_batch", &batch).unwrap();
        let mut world = shared.world();
        assert_eq!((world.mails.len(), world.events.len()), (2, 0));
        // The second is called off.
        let id = world.mails[1].schedule_id().unwrap().to_owned();
        let account = world.mails[1].account();
        let waiting = &mut world.account_mut(account).email.scheduled;
        assert!(waiting.remove(&id).is_some());
        world.advance(hour * 2);
        let kinds: Vec<_> = world.events.iter().map(|event| event.kind()).collect();
        assert_eq!(kinds, [EventKind::Processed, EventKind::Delivered]);
        assert_eq!(clock::rfc3339(world.events[0].time()), schedule);
        assert!(world.account(account).email.scheduled.is_empty());
    }
}
