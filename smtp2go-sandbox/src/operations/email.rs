//! Sending mail.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use smtp2go_types::validation::header_fault;

use super::fields::{check_url, integer, text, texts};
use super::sending::SendingUser;
use super::template::Rendered;
use super::{Context, Reply, email_search, sending};
use crate::account::{AccountId, KeyStatus};
use crate::address;
use crate::blobs::{Blobs, Texts};
use crate::clock;
use crate::delivery;
use crate::due::{Job, JobKey};
use crate::keep::KeptMessage;
use crate::mail::{AcceptedMail, Mail, custom_header, decode_base64, list};
use crate::mime::Mime;
use crate::refusal::Refusal;
use crate::weight::Weight;
use crate::world::World;

/// Maximum time from a request to its `schedule`.
const FARTHEST: Duration = Duration::from_secs(3 * 86_400);

/// The scheduled mails of an account.
#[derive(Debug, Default)]
pub(crate) struct EmailState {
    /// Scheduled mails that are not yet due, by `schedule_id`. Removing one cancels it.
    pub(crate) scheduled: BTreeMap<String, Scheduled>,
}

/// 0, because scheduled mails are counted in the ledger.
impl Weight for EmailState {
    fn weight(&self) -> usize {
        0
    }
}

/// A scheduled mail that is not yet due.
#[derive(Debug)]
pub(crate) struct Scheduled {
    pub(crate) mail: Mail,
    job: JobKey,
}

impl EmailState {
    /// Stores a scheduled mail with the job that will send it.
    pub(crate) fn schedule(&mut self, id: &str, mail: Mail, job: JobKey) {
        self.scheduled
            .insert(id.to_owned(), Scheduled { mail, job });
    }
}

impl Scheduled {
    fn time(&self) -> SystemTime {
        self.job.0
    }
}

/// Sends a scheduled mail, at its time.
pub(crate) fn send_scheduled(world: &mut World, account: AccountId, schedule_id: &str) {
    let waiting = &mut world.account_mut(account).email.scheduled;
    if let Some(scheduled) = waiting.remove(schedule_id) {
        world.ledger.release(scheduled.mail.number());
        delivery::begin(world, &scheduled.mail);
    }
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
        "email_scheduled_search" => search_scheduled(context, request),
        "email_scheduled_remove" => {
            let id = text(request, "schedule_id").unwrap_or_default();
            match context.account().email.scheduled.remove(id) {
                Some(scheduled) => {
                    context.world.call_off(scheduled.job);
                    context.world.ledger.release(scheduled.mail.number());
                    Ok(Reply::Empty)
                }
                None => Err(Refusal::exception(
                    "No scheduled mail has this schedule_id.",
                )),
            }
        }
        "email_search" => email_search::answer(context, request),
        _ => Ok(Reply::Example),
    }
}

/// Converts quirks of official clients that the spec does not allow: a schedule in unix seconds, and
/// template data as a JSON string.
pub(crate) fn forgive(request: &mut Value) {
    if let Some(Value::Array(items)) = request.get_mut("emails") {
        items.iter_mut().for_each(forgive);
    }
    let schedule = request.get("schedule").and_then(Value::as_u64);
    if let Some(seconds) = schedule {
        let time = clock::after(UNIX_EPOCH, Duration::from_secs(seconds));
        request["schedule"] = clock::rfc3339(time).into();
    }
    let data = text(request, "template_data").and_then(|text| serde_json::from_str(text).ok());
    if let Some(data @ Value::Object(_)) = data {
        request["template_data"] = data;
    }
}

fn send(context: &mut Context<'_>, request: &Arc<Value>) -> Result<Reply, Refusal> {
    let mut rendered = std::mem::take(&mut context.prepared.rendered).into_iter();
    let checked = check_mail(context, request, "", &mut rendered)?;
    sending::within_limit(context.world, &context.user(), 1)?;
    let sent = keep(
        context,
        "email_send",
        Arc::clone(request),
        &mut None,
        checked,
    );
    Ok(Reply::Data(sent.show(request)))
}

fn mime(context: &mut Context<'_>, request: &Arc<Value>) -> Result<Reply, Refusal> {
    let schedule = check_schedule(context, request, "")?;
    let mime = context.prepared.mime.take();
    if let Some(mime) = &mime {
        let recipients: Vec<_> = mime.mailboxes().collect();
        sending::may_send(context.world, context.account, &mime.from, &recipients)?;
    }
    let checked = Checked {
        mime,
        rendered: None,
        schedule,
    };
    sending::within_limit(context.world, &context.user(), 1)?;
    let sent = keep(
        context,
        "email_mime",
        Arc::clone(request),
        &mut None,
        checked,
    );
    Ok(Reply::Data(sent.show(request)))
}

fn batch(context: &mut Context<'_>, request: &Arc<Value>) -> Result<Reply, Refusal> {
    let items = list(request, "emails").iter().enumerate();
    let mut rendered = std::mem::take(&mut context.prepared.rendered).into_iter();
    let checked: Result<Vec<_>, _> = items
        .map(|(index, item)| check_mail(context, item, &format!("emails[{index}]."), &mut rendered))
        .collect();
    let checked = checked?;
    sending::within_limit(context.world, &context.user(), checked.len())?;
    let items = list(request, "emails").iter().zip(checked);
    let mut texts = None;
    let results = items.map(|(item, checked)| {
        match keep(
            context,
            "email_batch",
            Arc::new(item.clone()),
            &mut texts,
            checked,
        ) {
            Sent::Accepted(mail) => match mail.schedule_id() {
                Some(schedule_id) => json!({ "schedule_id": schedule_id }),
                None => json!({ "email_id": mail.email_id() }),
            },
            Sent::Refused(failures) => {
                json!({ "email_id": "", "failed": 1, "failures": failures })
            }
        }
    });
    Ok(Reply::Data(results.collect()))
}

/// The parsed parts of a mail whose fields are valid.
#[derive(Default)]
pub(crate) struct Checked {
    mime: Option<Mime>,
    rendered: Option<Rendered>,
    schedule: Option<SystemTime>,
}

/// Makes a mail without a schedule, which is sent at once.
impl From<Mime> for Checked {
    fn from(mime: Mime) -> Self {
        Self {
            mime: Some(mime),
            ..Self::default()
        }
    }
}

/// A mail that passed all checks.
pub(crate) struct NewMail {
    pub(crate) operation: &'static str,
    /// The request without its long encoded texts.
    pub(crate) request: Arc<Value>,
    pub(crate) blobs: Blobs,
    pub(crate) checked: Checked,
}

/// The outcome of sending a mail.
pub(crate) enum Sent {
    Accepted(Mail),
    /// All recipients are refused, for these reasons.
    Refused(Vec<String>),
}

impl Sent {
    fn show(&self, request: &Value) -> Value {
        let mail = match self {
            Self::Accepted(mail) => mail,
            Self::Refused(failures) => {
                return json!({
                    "succeeded": 0, "failed": 1, "failures": failures, "email_id": "",
                });
            }
        };
        let mut data = json!({ "email_id": mail.email_id() });
        if let Some(schedule_id) = mail.schedule_id() {
            data["schedule_id"] = schedule_id.into();
        }
        if !is_fast(request) {
            data["succeeded"] = 1.into();
            data["failed"] = 0.into();
            data["failures"] = json!([]);
        }
        data
    }
}

/// Whether the mail is to be accepted without checks.
fn is_fast(request: &Value) -> bool {
    request.get("fastaccept") == Some(&Value::Bool(true))
}

/// Records a mail, and starts its delivery or schedules it. Refuses a mail whose recipients are all
/// refused, unless it is scheduled, has `fastaccept` or is withheld. `texts` caches the long texts of
/// the body.
fn keep(
    context: &mut Context<'_>,
    operation: &'static str,
    request: Arc<Value>,
    texts: &mut Option<Texts>,
    checked: Checked,
) -> Sent {
    let (request, blobs) = Blobs::take_out(request, texts, context.body);
    let mail = NewMail {
        operation,
        request,
        blobs,
        checked,
    };
    let user = context.user();
    accept(context.world, user, mail)
}

/// Records a mail, and starts its delivery or schedules it. Refuses a mail whose recipients are all
/// refused, unless it is scheduled, has `fastaccept` or is withheld.
pub(crate) fn accept(world: &mut World, user: SendingUser, mail: NewMail) -> Sent {
    let NewMail {
        operation,
        request,
        blobs,
        checked,
    } = mail;
    let account = user.account;
    let number = world.ledger.number();
    let is_fast = is_fast(&request);
    let mail = Mail::new(AcceptedMail {
        number,
        email_id: world.ids.email(),
        schedule_id: checked.schedule.map(|_| world.ids.schedule()),
        operation,
        request,
        blobs,
        mime: checked.mime,
        rendered: checked.rendered,
        accepted: world.now(),
        account,
        username: user.name,
        withheld: user.status == KeyStatus::Sandbox,
    });
    if checked.schedule.is_none()
        && !is_fast
        && !mail.withheld()
        && let Some(failures) = delivery::refused_altogether(world, &mail)
    {
        world.enter(number, KeptMessage::Mail(mail.clone(), None), false);
        delivery::begin(world, &mail);
        return Sent::Refused(failures);
    }
    let place = world.mails.push(mail.clone());
    let message = KeptMessage::Mail(mail.clone(), Some(place));
    world.enter(number, message, checked.schedule.is_some());
    world.note_sent(mail.username());
    world.account_mut(account).mails += 1;
    match (mail.schedule_id(), checked.schedule) {
        (Some(id), Some(time)) => {
            let schedule_id = id.to_owned();
            let job = world.at(
                time,
                Job::SendScheduled {
                    account,
                    schedule_id,
                    number,
                },
            );
            let waiting = &mut world.account_mut(account).email;
            waiting.schedule(id, mail.clone(), job);
        }
        _ => delivery::begin(world, &mail),
    }
    world.changed();
    Sent::Accepted(mail)
}

fn search_scheduled(context: &mut Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let number = |field: &str, default: usize| match integer(request, field) {
        None => Ok(default),
        Some(number) => usize::try_from(number)
            .map_err(|_| Refusal::field(field, "The value must not be negative.")),
    };
    let limit = number("limit", 1_000)?;
    // The first page is 1. Page 0 returns it too.
    let skipped = number("page", 1)?.saturating_sub(1).saturating_mul(limit);
    let parts: BTreeMap<_, _> = [
        "search_subject",
        "search_sender",
        "search_recipient",
        "search",
    ]
    .into_iter()
    .filter_map(|field| Some((field, text(request, field)?.to_lowercase())))
    .collect();
    let wanted = |field: &str, values: &[&str]| {
        parts.get(field).is_none_or(|part| {
            let mut values = values.iter().map(|value| value.to_lowercase());
            values.any(|value| value.contains(part))
        })
    };
    let waiting = context.account().email.scheduled.iter();
    let mut found: Vec<_> = waiting
        .filter(|(id, scheduled)| {
            let mail = &scheduled.mail;
            let subject = mail.subject().unwrap_or_default();
            let recipients = mail.recipients();
            let all = [&recipients[..], &[subject, mail.sender()]].concat();
            text(request, "schedule_id").is_none_or(|wanted| wanted == *id)
                && wanted("search_subject", &[subject])
                && wanted("search_sender", &[mail.sender()])
                && wanted("search_recipient", &recipients)
                && wanted("search", &all)
        })
        .collect();
    found.sort_by_key(|(_, scheduled)| scheduled.time());
    let page = found.into_iter().skip(skipped).take(limit);
    let rows = page.map(|(id, scheduled)| {
        json!({
            "schedule_id": id,
            "schedule": clock::rfc3339(scheduled.time()),
            "sender": scheduled.mail.sender(),
            "subject": scheduled.mail.subject().unwrap_or_default(),
            "recipients": scheduled.mail.recipients().join(", "),
            "client_ip": "127.0.0.1",
        })
    });
    Ok(Reply::Data(rows.collect()))
}

/// Refuses a batch without mails, and checks each of its mails.
pub(super) fn check_batch(request: &Value) -> Result<(), Refusal> {
    let mails = list(request, "emails");
    if mails.is_empty() {
        return Err(Refusal::field("emails", "At least one mail is required."));
    }
    let mut mails = mails.iter().enumerate();
    mails.try_for_each(|(index, mail)| check_content(mail, &format!("emails[{index}].")))
}

/// Checks a mail's bodies, files and headers beyond the schema. `path` is the prefix of field names in
/// errors.
pub(super) fn check_content(mail: &Value, path: &str) -> Result<(), Refusal> {
    let has = |field: &str| text(mail, field).is_some_and(|text| !text.is_empty());
    let body = |field: &str| text(mail, field).unwrap_or_default();
    if !has("template_id") && is_blank(body("text_body"), body("html_body")) {
        return Err(Refusal::field(
            format!("{path}html_body"),
            "One of html_body, text_body and template_id is required.",
        ));
    }
    for field in ["attachments", "inlines"] {
        for (index, file) in list(mail, field).iter().enumerate() {
            let place = |name: &str| format!("{path}{field}[{index}].{name}");
            if text(file, "filename") == Some("") {
                return Err(Refusal::field(place("filename"), "The value is empty."));
            }
            if let Some(url) = text(file, "url") {
                check_url(&place("url"), url)?;
            }
        }
    }
    for (index, header) in list(mail, "custom_headers").iter().enumerate() {
        if let Some((name, value)) = custom_header(header) {
            let path = format!("{path}custom_headers[{index}]");
            check_custom_header(mail, name, value, &path)?;
        }
    }
    Ok(())
}

/// Whether a mail has no body. Blank HTML counts as none; blank text is a body.
pub(crate) fn is_blank(text: &str, html: &str) -> bool {
    text.is_empty() && html.trim().is_empty()
}

fn check_custom_header(mail: &Value, name: &str, value: &str, path: &str) -> Result<(), Refusal> {
    let own = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"];
    let is_one_of = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
    let refuse =
        |field: &str, message: String| Err(Refusal::field(format!("{path}.{field}"), message));
    if is_one_of(&own) {
        return refuse("header", "The service sets this header itself.".to_owned());
    }
    let fields = [
        ("From", "sender"),
        ("To", "to"),
        ("Cc", "cc"),
        ("Bcc", "bcc"),
        ("Subject", "subject"),
        ("Subject", "template_id"),
    ];
    let is_set = |field: &str| match mail.get(field) {
        Some(Value::Array(items)) => !items.is_empty(),
        Some(Value::String(text)) => !text.is_empty(),
        _ => false,
    };
    let mut fields = fields.into_iter();
    if let Some((_, field)) = fields.find(|(header, field)| is_one_of(&[header]) && is_set(field)) {
        let message = format!("The field {field} sets this header already.");
        return refuse("header", message);
    }
    // RFC 5322, 2.2.
    if name.is_empty()
        || !name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b':')
    {
        let message =
            "The name of a header is made of ASCII characters other than space and colon.";
        return refuse("header", message.to_owned());
    }
    let fault = address::mailboxes(value).find_map(Result::err);
    match fault.filter(|_| is_one_of(&address::HEADERS)) {
        Some(fault) => refuse("value", fault.refuse(value)),
        None => Ok(()),
    }
}

/// Reads the message of `/email/mime`.
pub(super) fn check_mime(request: &Value) -> Result<Mime, Refusal> {
    let field = "mime_email";
    let mime = Mime::new(&check_base64(
        text(request, field).unwrap_or_default(),
        field,
    )?);
    mime.check()
        .map_err(|message| Refusal::field(field, message))?;
    Ok(mime)
}

/// Checks the files of a mail, and the mail against the state of its account. Takes the rendered
/// template of the mail, if it has one, from `rendered`. `path` is the prefix of field names in errors.
fn check_mail(
    context: &Context<'_>,
    mail: &Value,
    path: &str,
    rendered: &mut impl Iterator<Item = Result<Rendered, Refusal>>,
) -> Result<Checked, Refusal> {
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
    let recipients = ["to", "cc", "bcc"].map(|field| texts(mail, field)).concat();
    let schedule = check_schedule(context, mail, path)?;
    let sender = text(mail, "sender").unwrap_or_default();
    sending::may_send(context.world, context.account, sender, &recipients)?;
    let rendered = match text(mail, "template_id") {
        Some(_) => rendered.next().transpose()?,
        None => None,
    };
    if let Some(fault) = rendered
        .as_ref()
        .and_then(|mail| header_fault(&mail.subject))
    {
        return Err(Refusal::field(
            format!("{path}template_data"),
            format!("With these values, the template's subject can't be a header: {fault}."),
        ));
    }
    if let Some(mail) = &rendered
        && is_blank(&mail.text_body, &mail.html_body)
    {
        return Err(Refusal::field(
            format!("{path}template_data"),
            "With these values, the text that the template makes is empty and its HTML is blank.",
        ));
    }
    Ok(Checked {
        mime: None,
        rendered,
        schedule,
    })
}

/// Checks that a schedule is in the future, at most [`FARTHEST`] ahead.
fn check_schedule(
    context: &Context<'_>,
    mail: &Value,
    path: &str,
) -> Result<Option<SystemTime>, Refusal> {
    let Some(schedule) = text(mail, "schedule") else {
        return Ok(None);
    };
    let refuse = |message| Err(Refusal::field(format!("{path}schedule"), message));
    match clock::parse(schedule) {
        None => refuse("The value must be a time."),
        Some(time) if time <= context.now() => refuse("The time must be in the future."),
        Some(time) if time > clock::after(context.now(), FARTHEST) => {
            refuse("The time must be at most 3 days ahead.")
        }
        Some(_) if !context.world.ledger.has_room_for_scheduled() => {
            Err(Refusal::exception(format!(
                "The limit of {} bytes of scheduled mail is reached: remove some.",
                context.world.ledger.budget().scheduled()
            )))
        }
        time => Ok(time),
    }
}

fn check_base64(text: &str, field: &str) -> Result<Vec<u8>, Refusal> {
    decode_base64(text).ok_or_else(|| Refusal::field(field, "The value must be base64."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;
    use crate::operations::tests::call;
    use crate::world::tests::shared;

    #[test]
    fn scheduled_mail_is_sent_when_it_is_due_unless_it_was_cancelled() {
        let shared = shared(|_| {});
        shared.world().freeze();
        let hour = Duration::from_secs(3_600);
        let schedule = clock::rfc3339(clock::after(shared.world().now(), hour));
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": "Hi",
                           "text_body": "Hello", "schedule": schedule });
        call(&shared, "email_send", &mail).unwrap();
        let batch = json!({ "emails": [mail] });
        call(&shared, "email_batch", &batch).unwrap();
        let world = shared.world();
        assert_eq!((world.mails.len(), world.events.len()), (2, 0));
        // Cancels the second mail.
        let id = world.mails[1].schedule_id().unwrap().to_owned();
        let account = world.mails[1].account();
        drop(world);
        let remove = json!({ "schedule_id": id });
        assert_eq!(
            call(&shared, "email_scheduled_remove", &remove).unwrap(),
            Reply::Empty
        );
        assert!(call(&shared, "email_scheduled_remove", &remove).is_err());
        let mut world = shared.world();
        world.advance(hour * 2);
        let kinds: Vec<_> = world.events.iter().map(|event| event.kind()).collect();
        assert_eq!(kinds, [EventKind::Processed, EventKind::Delivered]);
        assert_eq!(clock::rfc3339(world.events[0].time()), schedule);
        assert!(world.account(account).email.scheduled.is_empty());
    }
}
