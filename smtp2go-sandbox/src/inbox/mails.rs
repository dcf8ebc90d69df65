//! The list of mails, and the page of a mail.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::checks::MailChecks;
use super::content::{self, Content};
use super::index::MailSearch;
use super::page::{self, Section, Shell, newest, shorten, show};
use super::request::{Fields, after, query};
use super::thumbnail::{self, THUMBNAILS};
use super::view::{self, EventView, Time};
use crate::delivery;
use crate::event::EventKind;
use crate::mail::Mail;
use crate::mime;
use crate::world::{SCHEDULED, Shared};

#[derive(Template)]
#[template(path = "mails.html")]
struct MailPage {
    shell: Shell,
    list: List,
    mail: Option<MailView>,
}

/// The page that asks whether to delete mails.
#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    shell: Shell,
    search: String,
    count: usize,
    /// The number that the next message to arrive gets: the user was not asked about that one.
    before: u64,
    back: String,
}

struct List {
    rows: Vec<MailRow>,
    search: String,
    /// The list does not start with the newest mail.
    later: bool,
    /// Address of the next page.
    more: Option<String>,
    /// Number of mails received, without deleted ones.
    all: usize,
}

struct MailRow {
    id: String,
    href: String,
    subject: String,
    from: String,
    to: String,
    time: Time,
    status: &'static str,
    tone: &'static str,
    files: usize,
    tags: Vec<TagView>,
    current: bool,
    is_read: bool,
}

/// A mail as its page shows it.
struct MailView {
    id: String,
    subject: String,
    from: String,
    /// The recipients in `To`, `Cc` and `Bcc`, without empty lists.
    to: Vec<(&'static str, Vec<String>)>,
    time: Time,
    operation: String,
    schedule: String,
    template: String,
    data: String,
    tags: Vec<TagView>,
    files: Vec<FileView>,
    tabs: Vec<TabView>,
    part: ShownPart,
    events: Vec<EventView>,
    recipients: Vec<String>,
    recipient: String,
    links: Vec<String>,
    back: String,
    error: String,
}

struct FileView {
    number: usize,
    name: String,
    kind: String,
    size: String,
    inline: bool,
    url: String,
    is_image: bool,
}

/// A tag, and the address of the list of mails that have it.
struct TagView {
    name: String,
    href: String,
}

impl TagView {
    fn all(tags: &[String]) -> Vec<Self> {
        let tags = tags.iter().map(|tag| Self {
            name: tag.clone(),
            href: format!("/{}", query("q", &MailSearch::for_tag(tag))),
        });
        tags.collect()
    }
}

struct TabView {
    name: &'static str,
    href: String,
    current: bool,
}

/// The content of the selected tab.
enum ShownPart {
    Html {
        address: String,
        /// Address of the copy whose height the script measures. Empty if it is not measured.
        measured: String,
        remote: bool,
        toggle: String,
    },
    Text {
        text: String,
        cut: bool,
        what: &'static str,
    },
    Headers {
        headers: Vec<(String, String)>,
        cut: bool,
    },
    Checks(Box<MailChecks>),
    Nothing(&'static str),
}

/// Maximum number of headers on a page. The whole mail can be saved.
const HEADERS: usize = 1_000;

/// Maximum number of links that can be selected for a click.
const LINKS: usize = 1_000;

/// Maximum total size in bytes of the HTML and the inline images of a mail whose frame is fitted to its
/// height. To measure the height, the browser loads the HTML a second time.
const MEASURED: usize = 1024 * 1024;

/// The buttons that make an event happen, in order.
const BUTTONS: &[(&str, EventKind)] = &[
    ("open", EventKind::Open),
    ("click", EventKind::Click),
    ("soft-bounce", EventKind::SoftBounce),
    ("hard-bounce", EventKind::HardBounce),
    ("spam", EventKind::Spam),
    ("unsubscribe", EventKind::Unsubscribe),
    ("resubscribe", EventKind::Resubscribe),
];

pub(super) async fn list(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let fields = Fields::of_query(query.as_deref());
    let page = MailPage {
        list: list_of(&shared, &fields, None),
        mail: None,
        shell: Shell::new(&shared, &shared.world(), Section::Mail),
    };
    show(StatusCode::OK, &page)
}

pub(super) async fn mail(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    page_of(&shared, &id, &fields, StatusCode::OK, "", String::new())
}

/// Makes an event of the mail happen.
pub(super) async fn happen(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(search): RawQuery,
    body: Bytes,
) -> Response {
    let form = Fields::of_form(&body);
    let Some(mail) = page::find_mail(&shared, &id) else {
        return page::missing_mail(&shared, &id);
    };
    let recipient = form.get("recipient");
    let mut buttons = BUTTONS.iter();
    let outcome = match buttons.find(|(name, _)| *name == form.get("event")) {
        Some((_, kind)) => {
            let link = Some(form.get("link")).filter(|link| !link.is_empty());
            let mut world = shared.world();
            delivery::happen(&mut world, &mail, recipient, *kind, link)
                .map(drop)
                .map_err(|error| error.to_string())
        }
        None => Err(format!("unknown event {:?}", form.get("event"))),
    };
    let fields = Fields::of_query(search.as_deref());
    match outcome {
        Ok(()) => page::see(&address(&id, &fields, recipient)),
        Err(error) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            page_of(&shared, &id, &fields, status, recipient, error)
        }
    }
}

/// Deletes a mail, and returns to the list.
pub(super) async fn delete(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    RawQuery(search): RawQuery,
) -> Response {
    let fields = Fields::of_query(search.as_deref());
    let Some(mail) = page::find_mail(&shared, &id) else {
        return page::missing_mail(&shared, &id);
    };
    let deleted = shared.world().delete(&mail);
    match deleted {
        true => page::see(&address_of_list(fields.get("q"))),
        false => {
            let status = StatusCode::CONFLICT;
            let error = format!("the mail {SCHEDULED}");
            page_of(&shared, &id, &fields, status, "", error)
        }
    }
}

/// Asks whether to delete all mails that a search finds.
pub(super) async fn ask_to_delete(
    State(shared): State<Arc<Shared>>,
    RawQuery(query): RawQuery,
) -> Response {
    let fields = Fields::of_query(query.as_deref());
    ask(&shared, StatusCode::OK, fields.get("q"))
}

/// Deletes the mails that the user was asked about, and returns to the list. Asks again if the search now finds
/// another number of them.
pub(super) async fn delete_found(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let form = Fields::of_form(&body);
    let search = form.get("q");
    let before = form.get("before").parse().unwrap_or_default();
    let found = found(&shared, search, before);
    if form.number("count") != Some(found.len()) {
        return ask(&shared, StatusCode::CONFLICT, search);
    }
    for mail in found {
        shared.world().delete(&mail);
    }
    page::see("/")
}

fn ask(shared: &Shared, status: StatusCode, search: &str) -> Response {
    let before = shared.world().ledger.next();
    let page = DeletePage {
        count: found(shared, search, before).len(),
        before,
        search: search.to_owned(),
        back: address_of_list(search),
        shell: Shell::new(shared, &shared.world(), Section::Mail),
    };
    show(status, &page)
}

/// Returns the mails that a search finds, if they can be deleted and their number is below `before`.
fn found(shared: &Shared, search: &str, before: u64) -> Vec<Mail> {
    let wanted = MailSearch::new(search);
    let mails = shared.world().mails.clone();
    let older = mails.iter().filter(|mail| mail.number() < before);
    let found = older.filter(|mail| shared.entries.finds(&wanted, mail));
    let found: Vec<_> = found.cloned().collect();
    let world = shared.world();
    let ledger = &world.ledger;
    let found = found.into_iter();
    found
        .filter(|mail| ledger.can_drop(mail.number()))
        .collect()
}

fn address_of_list(search: &str) -> String {
    format!("/{}", query("q", search))
}

/// Returns the address of a mail's page with the search and the tab of `fields`.
pub(super) fn address(id: &str, fields: &Fields, recipient: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let fields = [
        ("q", fields.get("q")),
        ("part", fields.get("part")),
        ("recipient", recipient),
    ];
    query.extend_pairs(fields.iter().filter(|(_, value)| !value.is_empty()));
    let query = query.finish();
    match query.is_empty() {
        true => format!("/_inbox/mails/{id}"),
        false => format!("/_inbox/mails/{id}?{query}"),
    }
}

fn page_of(
    shared: &Arc<Shared>,
    id: &str,
    fields: &Fields,
    status: StatusCode,
    recipient: &str,
    error: String,
) -> Response {
    let Some(mail) = page::find_mail(shared, id) else {
        return page::missing_mail(shared, id);
    };
    if shared.entries.mark_read(&mail) {
        // Other windows show the mark.
        shared.world().changed();
    }
    let mut view = MailView::new(shared, &mail, fields);
    view.error = error;
    if !recipient.is_empty() {
        recipient.clone_into(&mut view.recipient);
    }
    let page = MailPage {
        list: list_of(shared, fields, Some(id)),
        mail: Some(view),
        shell: Shell::new(shared, &shared.world(), Section::Mail),
    };
    show(status, &page)
}

fn list_of(shared: &Shared, fields: &Fields, current: Option<&str>) -> List {
    let search = fields.get("q");
    let wanted = MailSearch::new(search);
    shared.entries.tidy(shared);
    let mails = shared.world().mails.clone();
    let before = fields.number("before");
    // The open mail stays in the list, though it is no longer unread.
    let fits = |place: usize| {
        mails.get(place).is_some_and(|mail| {
            current == Some(mail.email_id()) || shared.entries.finds(&wanted, mail)
        })
    };
    let (places, more) = newest(&mails, before, fits);
    let shown = || places.iter().filter_map(|place| mails.get(*place));
    let statuses: HashMap<String, EventKind> = {
        let shown_ids: HashSet<_> = shown().map(Mail::email_id).collect();
        let world = shared.world();
        let statuses = view::statuses(&world, |id| shown_ids.contains(id)).into_iter();
        statuses.map(|(id, kind)| (id.to_owned(), kind)).collect()
    };
    let rows = shown().map(|mail| {
        let id = mail.email_id();
        let status = statuses.get(id).copied();
        let entry = shared.entries.of(mail);
        MailRow {
            id: id.to_owned(),
            href: format!("/_inbox/mails/{id}{}", query("q", search)),
            subject: entry.subject.clone(),
            from: entry.from.clone(),
            to: entry.to.clone(),
            time: Time::new(mail.accepted_at()),
            status: status.map_or("scheduled", view::name),
            tone: status.map_or("calm", view::tone),
            files: entry.files,
            tags: TagView::all(&entry.tags),
            current: current == Some(id),
            is_read: shared.entries.is_read(mail),
        }
    });
    List {
        rows: rows.collect(),
        search: search.to_owned(),
        later: before.is_some(),
        more: more.map(|place| page::older("/", search, place)),
        all: mails.undeleted(),
    }
}

impl MailView {
    fn new(shared: &Shared, mail: &Mail, fields: &Fields) -> Self {
        let content = Content::of(mail);
        let id = mail.email_id();
        let search = fields.get("q");
        let address = |part: &str, remote: bool| {
            let mut query = after(format!("/_inbox/mails/{id}?"));
            if !search.is_empty() {
                query.append_pair("q", search);
            }
            query.append_pair("part", part);
            if remote {
                query.append_pair("remote", "1");
                query.append_pair("token", shared.page_token());
            }
            query.finish()
        };
        let default = if content.html.is_some() {
            "html"
        } else {
            "text"
        };
        let wanted = match fields.get("part") {
            "" => default,
            part => part,
        };
        let tabs = [
            ("HTML", "html"),
            ("Text", "text"),
            ("Headers", "headers"),
            ("Source", "source"),
            ("Request", "request"),
            ("Checks", "checks"),
        ];
        let request = mail.fields();
        let text = |name: &str| request.get(name).map(plain).unwrap_or_default();
        let people =
            |list: Vec<&str>| -> Vec<String> { list.into_iter().map(str::to_owned).collect() };
        let to = [
            ("To", people(mail.to())),
            ("Cc", people(mail.cc())),
            ("Bcc", people(mail.bcc())),
        ];
        let schedule = request.get("schedule").map(|value| match value.as_u64() {
            Some(seconds) => {
                let time = std::time::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
                time.map(|time| Time::new(time).text).unwrap_or_default()
            }
            None => plain(value),
        });
        let data = request.get("template_data").filter(|data| !data.is_null());
        let events = {
            let world = shared.world();
            view::timeline(&world, |event| {
                event.mail().is_some_and(|other| other.email_id() == id)
            })
        };
        let mut images = 0;
        let files = content.files.iter().enumerate().map(|(number, file)| {
            let is_image = images < THUMBNAILS && thumbnail::media_type(file).is_some();
            images += usize::from(is_image);
            FileView {
                is_image,
                number,
                name: file.filename.clone(),
                kind: file.mimetype.clone().unwrap_or_default(),
                size: view::size(file.content.len()),
                inline: file.content_id.is_some(),
                url: file.url.clone().unwrap_or_default(),
            }
        });
        Self {
            id: id.to_owned(),
            subject: mail.subject().unwrap_or_default().to_owned(),
            from: mail.sender().to_owned(),
            to: to
                .into_iter()
                .filter(|(_, list)| !list.is_empty())
                .collect(),
            time: Time::new(mail.accepted_at()),
            operation: mail.operation().to_owned(),
            schedule: schedule.unwrap_or_default(),
            template: text("template_id"),
            data: data.map(view::pretty).unwrap_or_default(),
            tags: TagView::all(&mail.tags()),
            files: files.collect(),
            tabs: tabs
                .into_iter()
                .map(|(name, part)| TabView {
                    name,
                    href: address(part, false),
                    current: part == wanted,
                })
                .collect(),
            part: part(
                mail,
                &content,
                wanted,
                shared.page_token(),
                // Without the token, the request may come from a link in a mail.
                fields.get("remote") == "1" && shared.is_page_token(fields.get("token")),
                &address,
            ),
            events,
            recipients: mail.recipients().into_iter().map(str::to_owned).collect(),
            recipient: fields.get("recipient").to_owned(),
            links: mail.each_link().take(LINKS).collect(),
            back: address_of_list(search),
            error: String::new(),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn part(
    mail: &Mail,
    content: &Content<'_>,
    wanted: &str,
    token: &str,
    remote: bool,
    address: &impl Fn(&str, bool) -> String,
) -> ShownPart {
    let text = |text: &str, what| {
        let (shown, cut) = shorten(text);
        ShownPart::Text {
            text: shown.to_owned(),
            cut,
            what,
        }
    };
    match wanted {
        "html" if content.html.is_some() => {
            let frame = format!("/_inbox/mails/{}/html", mail.email_id());
            // Remote content changes the height after it is loaded.
            let is_measured = !remote && content.shown_bytes() <= MEASURED;
            ShownPart::Html {
                measured: match is_measured {
                    true => format!("{frame}?measured=1&token={token}"),
                    false => String::new(),
                },
                address: match remote {
                    true => format!("{frame}?remote=1&token={token}"),
                    false => frame,
                },
                remote,
                toggle: address("html", !remote),
            }
        }
        "html" => ShownPart::Nothing("This mail has no HTML."),
        "headers" => {
            let all = mail.headers();
            let count = all.len();
            let headers: Vec<_> = all
                .into_iter()
                .take(HEADERS)
                .map(|(name, value)| match mail.is_mime() {
                    true => (name, mime::decoded(shorten(&value).0)),
                    false => (name, shorten(&value).0.to_owned()),
                })
                .collect();
            ShownPart::Headers {
                cut: headers.len() < count,
                headers,
            }
        }
        "source" => text(&String::from_utf8_lossy(&content::raw(mail)), "Source"),
        "request" => text(&view::pretty(&mail.request()), "Request"),
        "checks" => ShownPart::Checks(Box::new(MailChecks::of(mail))),
        _ => match &content.text {
            Some(body) => text(body, "Text"),
            None => ShownPart::Nothing("This mail has no text."),
        },
    }
}
