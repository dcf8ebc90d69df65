//! The archive of sent mail. It contains all mail, whether archiving is on or off.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::fields::{integer, text};
use super::history::{mails, time};
use super::{Context, Reply};
use crate::clock;
use crate::mail::{Mail, list};
use crate::paging::page;
use crate::refusal::Refusal;

/// Carries out one of the group's operations.
pub(crate) fn answer(
    context: &mut Context<'_>,
    operation: &str,
    request: &Arc<Value>,
) -> Result<Reply, Refusal> {
    match operation {
        "archive_search" => search(context, request),
        "archive_email" => {
            let id = text(request, "email_id").unwrap_or_default();
            let mails = mails(context.world, context.account);
            let found = mails.iter().find(|(mail, ..)| mail.email_id() == id);
            match found {
                Some((mail, sent, _)) => Ok(Reply::Data(show(mail, *sent))),
                None => Err(Refusal::exception("The archive has no mail with this id.")),
            }
        }
        _ => Ok(Reply::Example),
    }
}

fn search(context: &Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let start = time(request, "start_date")?;
    let start = start.unwrap_or_else(|| clock::day_start(context.now(), 0));
    let end = time(request, "end_date")?;
    // Filters match whole values, except for the headers.
    let is = |field: &str, values: &[&str]| {
        text(request, field).is_none_or(|wanted| values.contains(&wanted))
    };
    let mut found = mails(context.world, context.account);
    found.retain(|(mail, sent, _)| {
        let recipients = mail.recipients();
        *sent >= start
            && end.is_none_or(|end| *sent < end)
            && is("username", &[mail.username()])
            && is("recipient", &recipients)
            && is("sender", &[mail.sender(), mail.sender_address()])
            && is("envelope_from", &[&mail.envelope_sender()])
            && is("subject", &[mail.subject().unwrap_or_default()])
            && text(request, "headers").is_none_or(|part| mail.header_block().contains(part))
    });
    let total = found.len();
    let limit = integer(request, "limit").and_then(|limit| usize::try_from(limit).ok());
    let token = text(request, "continue_token");
    let found = found
        .into_iter()
        .map(|(mail, sent, place)| ((place, 0), (mail, sent)));
    let mut page = page(found, limit.unwrap_or(5_000), "continue_token", token)?;
    let emails = page.rows(|(mail, sent)| show(mail, *sent));
    let mut data = json!({ "email_count": total, "emails": emails });
    if let Some(token) = page.token {
        data["continue_token"] = token.into();
    }
    Ok(Reply::Data(data))
}

fn show(mail: &Mail, sent: SystemTime) -> Value {
    let files = ["attachments", "inlines"].map(|field| list(mail.fields(), field).len());
    json!({
        "email_id": mail.email_id(),
        "sent": clock::rfc3339(sent),
        "username": mail.username(),
        "sender": mail.sender_address(),
        "envelope_from": mail.envelope_sender(),
        "recipient": mail.recipients().join(", "),
        "to": mail.to().join(", "),
        "subject": mail.subject().unwrap_or_default(),
        "headers": mail.header_block(),
        "byte_count": mail.size(),
        "attachment_count": files.iter().sum::<usize>(),
        // The format of an item is not documented.
        "attachments": [],
        "url": format!("https://archive.example.com/{}.eml", mail.email_id()),
    })
}
