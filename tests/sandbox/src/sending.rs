//! The operations that send mail: what the schema cannot say of them, and their replies.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::mail::{Mail, Mime, decode_base64, list};
use crate::refusal::Refusal;
use crate::state::{Shared, State};

/// What `operation` answers as `data` to a request that its schema allows; `None` if it is not
/// one that sends mail.
pub(crate) fn answer(
    shared: &Shared,
    operation: &str,
    request: &Value,
) -> Option<Result<Value, Refusal>> {
    match operation {
        "email_send" | "email_mime" => Some(one(shared, operation, request)),
        "email_batch" => Some(batch(shared, operation, request)),
        _ => None,
    }
}

fn one(shared: &Shared, operation: &str, request: &Value) -> Result<Value, Refusal> {
    let mime = if operation == "email_mime" {
        Some(check_mime(shared, request)?)
    } else {
        check_fields(shared, request, "")?;
        None
    };
    let mail = keep(&mut shared.state(), operation, request, mime);
    shared.arrivals.send_replace(());

    let mut data = Map::new();
    data.insert("email_id".to_owned(), mail.email_id.into());
    if let Some(schedule_id) = mail.schedule_id {
        data.insert("schedule_id".to_owned(), schedule_id.into());
    }
    if request.get("fastaccept") != Some(&Value::Bool(true)) {
        data.insert("succeeded".to_owned(), 1.into());
        data.insert("failed".to_owned(), 0.into());
        data.insert("failures".to_owned(), json!([]));
    }
    Ok(data.into())
}

fn batch(shared: &Shared, operation: &str, request: &Value) -> Result<Value, Refusal> {
    let items = list(request, "emails");
    for (index, item) in items.iter().enumerate() {
        check_fields(shared, item, &format!("emails[{index}]."))?;
    }
    // Kept under one lock, so that the ids of a batch are in a row.
    let mut state = shared.state();
    let results = items
        .iter()
        .map(|item| {
            let mail = keep(&mut state, operation, item, None);
            match mail.schedule_id {
                Some(schedule_id) => json!({ "schedule_id": schedule_id }),
                None => json!({ "email_id": mail.email_id }),
            }
        })
        .collect();
    drop(state);
    shared.arrivals.send_replace(());
    Ok(results)
}

fn keep(state: &mut State, operation: &str, request: &Value, mime: Option<Mime>) -> Mail {
    let mail = Mail {
        email_id: state.next_email_id(),
        schedule_id: request
            .get("schedule")
            .is_some_and(|schedule| !schedule.is_null())
            .then(|| state.next_schedule_id()),
        operation: operation.to_owned(),
        request: Arc::new(request.clone()),
        mime: mime.map(Arc::new),
    };
    state.mails.push(mail.clone());
    mail
}

/// Checks the fields of a mail; `path` is what goes before their names.
fn check_fields(shared: &Shared, mail: &Value, path: &str) -> Result<(), Refusal> {
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
    check_sender(shared, sender.unwrap_or_default())
}

fn check_mime(shared: &Shared, request: &Value) -> Result<Mime, Refusal> {
    let encoded = request.get("mime_email").and_then(Value::as_str);
    let mime = Mime::new(check_base64(encoded.unwrap_or_default(), "mime_email")?);
    check_sender(shared, mime.header("From").unwrap_or_default())?;
    Ok(mime)
}

fn check_base64(text: &str, field: &str) -> Result<Vec<u8>, Refusal> {
    decode_base64(text).ok_or_else(|| Refusal::field(field, "The value is not base64."))
}

/// Refuses a sender, `a@b.c` or `Name <a@b.c>`, whose domain is not among those that may send.
fn check_sender(shared: &Shared, sender: &str) -> Result<(), Refusal> {
    let Some(domains) = &shared.sender_domains else {
        return Ok(());
    };
    let address = match sender.rsplit_once('<') {
        Some((_, rest)) => rest.split_once('>').map_or(rest, |(address, _)| address),
        None => sender,
    };
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let domain = domain.trim().to_ascii_lowercase();
    if domains.contains(&domain) {
        Ok(())
    } else {
        Err(Refusal::unverified_sender(&domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Api;

    #[test]
    fn the_domain_of_a_sender_is_found() {
        let api = Arc::new(Api::parse(include_str!("../tests/fixture.json")).unwrap());
        let shared = Shared::new(api, String::new(), Some(vec!["example.com".to_owned()]));
        for verified in [
            "a@example.com",
            "a@EXAMPLE.com",
            "Acme <a@example.com>",
            r#""a@example.net <x>" <a@example.com>"#,
        ] {
            assert!(check_sender(&shared, verified).is_ok(), "{verified}");
        }
        for unverified in [
            "",
            "example.com",
            "a@mail.example.com",
            "a@example.net",
            "a@example.com <a@example.net>",
        ] {
            assert!(check_sender(&shared, unverified).is_err(), "{unverified}");
        }
    }
}
