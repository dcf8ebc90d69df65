//! A mail, its check, and its JSON.

use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use serde_core::Serialize;
use serde_json::Value;
use smtp2go_types::validation::{Check, header_fault};
use smtp2go_types::{BatchEmail, EmailSendRequest, Timestamp, Validate, ValidationError};

use super::attachment::{Attached, Attachment};
use super::schedule;
use crate::Mailbox;
use crate::body::content::Blob;
use crate::body::json::Writer;

/// Recipients of a kind, at most.
const RECIPIENTS: usize = 100;
/// Headers that the API refuses.
const REFUSED: [&str; 3] = ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"];
/// The header that [`Email::reply_to`] makes. There may be one of it.
const REPLY_TO: &str = "Reply-To";
/// Headers that the service writes from fields of their own, and what sets those. A second one would
/// make the mail invalid, and one of recipients would not send it to anybody.
const SET: [(&str, &str); 5] = [
    ("From", "Email::new"),
    ("To", "Email::to"),
    ("Cc", "Email::cc"),
    ("Bcc", "Email::bcc"),
    ("Subject", "Email::subject"),
];

/// A mail for [`Client::send`](crate::Client::send), [`send_all`](crate::Client::send_all) and
/// [`send_batch`](crate::Client::send_batch).
///
/// Setters take addresses as text, `jane@example.com` or `Jane <jane@example.com>`, as a pair of
/// name and address, or as a [`Mailbox`]. They never fail: all that is wrong with a mail is
/// reported at once, by field, when it is sent, before a byte of it is. [`validate`](Self::validate)
/// does so earlier.
///
/// The limits: 100 recipients each in to, cc and bcc; 50 MB for the request as sent, where base64
/// makes files a third larger; three days ahead for a schedule.
///
/// Clones are cheap as far as attachments go.
///
/// ```
/// use smtp2go_sdk::{Attachment, Email};
///
/// let mail = Email::new("Acme <noreply@example.com>", "Your report")
///     .to("Jane <jane@example.net>")
///     .cc(("Doe, John", "john@example.net"))
///     .reply_to("support@example.com")
///     .text("The report is attached.")
///     .html(r#"<img src="cid:logo.png"> <p>The report is attached.</p>"#)
///     .inline(Attachment::from_bytes("logo.png", &b"\x89PNG"[..]))
///     .attach(Attachment::from_bytes("report.csv", "month,mails\n"));
/// mail.validate()?;
/// # Ok::<(), smtp2go_sdk::types::ValidationError>(())
/// ```
#[derive(Clone)]
pub struct Email {
    /// One pointer: a mail is handed on from future to future, each of which would hold all of it.
    parts: Arc<Parts>,
}

#[derive(Clone)]
struct Parts {
    sender: Mailbox,
    to: Vec<Mailbox>,
    cc: Vec<Mailbox>,
    bcc: Vec<Mailbox>,
    reply_to: Vec<Mailbox>,
    subject: Option<String>,
    html: Option<String>,
    text: Option<String>,
    headers: Vec<(String, String)>,
    template: Option<Template>,
    schedule: Option<Timestamp>,
    fastaccept: bool,
    attachments: Vec<Arc<dyn Attached>>,
    inlines: Vec<Arc<dyn Attached>>,
    /// Further fields, with their values as JSON.
    extra: Vec<(String, String)>,
}

#[derive(Clone)]
struct Template {
    id: String,
    /// The data as JSON, or why it is not.
    data: Option<Result<String, String>>,
}

/// What a mail is sent by: the two differ in some fields.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    Send,
    Batch,
}

impl Email {
    /// A mail with a subject. It needs a recipient, and [`text`](Self::text) or
    /// [`html`](Self::html).
    ///
    /// The sender's domain or address has to be verified in the account.
    pub fn new(sender: impl Into<Mailbox>, subject: impl Into<String>) -> Self {
        Self::bare(sender.into()).subject(subject)
    }

    /// A mail whose subject and bodies come from a template of the account. It needs a recipient.
    /// The id is case-sensitive.
    pub fn from_template(sender: impl Into<Mailbox>, id: impl Into<String>) -> Self {
        let mut mail = Self::bare(sender.into());
        mail.edit().template = Some(Template {
            id: id.into(),
            data: None,
        });
        mail
    }

    fn bare(sender: Mailbox) -> Self {
        let parts = Parts {
            sender,
            to: Vec::new(),
            cc: Vec::new(),
            bcc: Vec::new(),
            reply_to: Vec::new(),
            subject: None,
            html: None,
            text: None,
            headers: Vec::new(),
            template: None,
            schedule: None,
            fastaccept: false,
            attachments: Vec::new(),
            inlines: Vec::new(),
            extra: Vec::new(),
        };
        Self {
            parts: Arc::new(parts),
        }
    }

    fn edit(&mut self) -> &mut Parts {
        Arc::make_mut(&mut self.parts)
    }

    /// Adds a recipient. At least 1, at most 100.
    #[must_use]
    pub fn to(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.edit().to.push(recipient.into());
        self
    }

    /// Adds recipients, all of whom see each other. Where each is to get a mail alone, use
    /// [`send_all`](crate::Client::send_all) or [`send_batch`](crate::Client::send_batch).
    #[must_use]
    pub fn to_all(mut self, recipients: impl IntoIterator<Item = impl Into<Mailbox>>) -> Self {
        self.edit()
            .to
            .extend(recipients.into_iter().map(Into::into));
        self
    }

    /// Adds a recipient of a copy. At most 100.
    #[must_use]
    pub fn cc(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.edit().cc.push(recipient.into());
        self
    }

    /// Adds a recipient of a copy whom the others do not see. At most 100.
    #[must_use]
    pub fn bcc(mut self, recipient: impl Into<Mailbox>) -> Self {
        self.edit().bcc.push(recipient.into());
        self
    }

    /// Adds an address that answers go to, in place of the sender's. The API has no field for it:
    /// it becomes a header `Reply-To`, one for all.
    #[must_use]
    pub fn reply_to(mut self, address: impl Into<Mailbox>) -> Self {
        self.edit().reply_to.push(address.into());
        self
    }

    /// Sets the subject. Not for a mail from a template: the API ignores it there.
    #[must_use]
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.edit().subject = Some(subject.into());
        self
    }

    /// Sets the body as HTML. Refer to an image of [`inline`](Self::inline) as `cid:` and its
    /// file name. An empty text is no body.
    #[must_use]
    pub fn html(mut self, html: impl Into<String>) -> Self {
        self.edit().html = Some(html.into());
        self
    }

    /// Sets the body as plain text, for readers that don't show HTML. An empty text is no body.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.edit().text = Some(text.into());
        self
    }

    /// Adds a header, such as `List-Unsubscribe`, or one with an id of yours, by which the activity
    /// can be searched later. The API refuses Content-Type, Content-Transfer-Encoding and
    /// MIME-Version. From, To, Cc, Bcc and Subject are refused here, since the mail has them
    /// already, from the setters of that name. For Reply-To there is [`reply_to`](Self::reply_to),
    /// and a second one is refused. What the service makes of others that it writes itself, such as
    /// Date and Message-ID, is not documented, nor whether a value that is not ASCII is encoded on
    /// the way.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.edit().headers.push((name.into(), value.into()));
        self
    }

    /// Sets the values for the template's placeholders: anything that serialises to a JSON object,
    /// such as a struct, a map, or `serde_json::json!({…})`. It is serialised at once. Only for a
    /// mail [from a template](Self::from_template).
    #[must_use]
    #[allow(clippy::needless_pass_by_value, reason = "a reference serialises too")]
    pub fn template_data(mut self, data: impl Serialize) -> Self {
        let json = match serde_json::to_string(&data) {
            Ok(json) if json.starts_with('{') => Ok(json),
            Ok(_) => Err("the data of a template has to be an object".to_owned()),
            Err(error) => Err(format!("the data can't be written as JSON: {error}")),
        };
        // Without a template it is kept too, for the check to find.
        self.edit()
            .template
            .get_or_insert_with(|| Template {
                id: String::new(),
                data: None,
            })
            .data = Some(json);
        self
    }

    /// Sets when to send: in the future, and at most three days ahead. A
    /// [`SystemTime`](std::time::SystemTime), or a time as [`Timestamp`] reads it; a time without
    /// a zone is UTC. Fractions of a second are cut off.
    #[must_use]
    pub fn schedule(mut self, time: impl Into<Timestamp>) -> Self {
        self.edit().schedule = Some(time.into());
        self
    }

    /// Sets whether the mail is queued without checks. Failures then show in the activity and in
    /// webhooks only. `false` unless set, and always sent, since the service has announced another
    /// default. Not available in a batch.
    #[must_use]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.edit().fastaccept = fastaccept;
        self
    }

    /// Attaches a file.
    #[must_use]
    #[inline]
    pub fn attach(mut self, file: Attachment) -> Self {
        self.edit().attachments.push(Arc::new(file));
        self
    }

    /// Adds an image that the HTML shows, as `<img src="cid:logo.png">` for one of that file name.
    /// The name has to be used in the HTML, be the only one of its kind, and have no white space
    /// in it.
    #[must_use]
    #[inline]
    pub fn inline(mut self, image: Attachment) -> Self {
        self.edit().inlines.push(Arc::new(image));
        self
    }

    /// Adds a field that the API has and this version does not list, or replaces it. The check refuses
    /// the name of a listed field, also in other case or with other separators, `api_key` and
    /// `subaccount_id`.
    #[must_use]
    #[inline]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        set_extra(&mut self.edit().extra, name.into(), &value.into());
        self
    }

    /// Checks all that can be checked without reading files, as [`Client::send`] does before it
    /// sends. Size limits are left to that.
    ///
    /// What only the service knows is not checked: whether the sender is verified, whether there
    /// is such a template.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, each problem with its field in the API's names.
    ///
    /// [`Client::send`]: crate::Client::send
    pub fn validate(&self) -> Result<(), ValidationError> {
        Validate::validate(self)
    }

    /// The files, with the place of each: attachments before inlines.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&'static str, usize, &dyn Attached)> {
        (0..).map_while(|place| self.file(place))
    }

    // One copy for all that go through the files.
    #[inline(never)]
    fn file(&self, place: usize) -> Option<(&'static str, usize, &dyn Attached)> {
        let attachments = &self.parts.attachments;
        if let Some(file) = attachments.get(place) {
            return Some(("attachments", place, &**file));
        }
        let index = place - attachments.len();
        let file = self.parts.inlines.get(index)?;
        Some(("inlines", index, &**file))
    }

    /// Checks the mail for one of the ways to send it. A path is made only where there is something
    /// to say, and in one place for all.
    pub(crate) fn check_for(&self, door: Door, check: &mut Check) {
        let parts = &*self.parts;
        if let Some(fault) = parts.sender.fault() {
            problem(check, "sender", fault);
        }
        for (field, list, least) in [
            ("to", &parts.to, 1),
            ("cc", &parts.cc, 0),
            ("bcc", &parts.bcc, 0),
            ("reply_to", &parts.reply_to, 0),
        ] {
            if !(least..=RECIPIENTS).contains(&list.len()) && field != "reply_to" {
                check.at(field, |check| {
                    check.count(list.len(), Some(least), Some(RECIPIENTS));
                });
            }
            for (index, mailbox) in list.iter().enumerate() {
                if let Some(fault) = mailbox.fault() {
                    problem_in(check, (field, index), "", fault);
                }
            }
        }
        if let Some(fault) = parts.subject.as_deref().and_then(header_fault) {
            problem(check, "subject", fault);
        }
        self.check_bodies(check);
        self.check_headers(check);
        if let Some(time) = &parts.schedule {
            check.at("schedule", |check| schedule::check(time, check));
        }
        if parts.fastaccept && door == Door::Batch {
            problem(check, "fastaccept", "not available in a batch");
        }
        for (field, index, file) in self.files() {
            check.at_index(field, index, |check| file.check(check));
        }
        self.check_inlines(check);
        let fields = match door {
            Door::Send => EmailSendRequest::FIELDS,
            Door::Batch => BatchEmail::FIELDS,
        };
        check.extra(fields, self.parts.extra.iter().map(|(name, _)| name));
    }

    fn check_bodies(&self, check: &mut Check) {
        let parts = &*self.parts;
        let bodies = [("html_body", &parts.html), ("text_body", &parts.text)];
        let Some(Template { id, data }) = &parts.template else {
            if bodies.iter().all(|(_, body)| filled(body).is_none()) {
                let text = "a mail needs a text or HTML body, or a template";
                problem(check, "text_body", text);
            }
            return;
        };
        if id.is_empty() {
            let text = if parts.subject.is_some() {
                "template data without a template"
            } else {
                "the template's id is missing"
            };
            problem(check, "template_id", text);
        }
        if let Some(Err(fault)) = data {
            problem(check, "template_data", fault);
        }
        for (field, value) in [("subject", &parts.subject)].into_iter().chain(bodies) {
            if value.is_some() && !id.is_empty() {
                let text = "ignored by the API for a mail from a template";
                problem(check, field, text);
            }
        }
    }

    fn check_headers(&self, check: &mut Check) {
        let token = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':')
        };
        for (index, (name, value)) in self.parts.headers.iter().enumerate() {
            let at = ("custom_headers", index);
            let trimmed = name.trim();
            let is = |other: &&str| trimmed.eq_ignore_ascii_case(other);
            if REFUSED.iter().any(is) {
                let text = format!("{trimmed} is refused by the API");
                problem_in(check, at, "header", &text);
            } else if let Some((name, setter)) = SET.iter().find(|(name, _)| is(name)) {
                let text = format!("{name} can't be added: {setter} sets it");
                problem_in(check, at, "header", &text);
            } else if let Some(fault) = header_fault(name) {
                problem_in(check, at, "header", fault);
            } else if !token(name) {
                let text = format!("{name:?} is not the name of a header");
                problem_in(check, at, "header", &text);
            } else if is(&REPLY_TO) {
                let mut before = self.parts.headers.iter().take(index);
                if !self.parts.reply_to.is_empty() {
                    let text = "Reply-To is there twice: reply_to sets it too";
                    problem_in(check, at, "header", text);
                } else if before.any(|(name, _)| name.eq_ignore_ascii_case(REPLY_TO)) {
                    let text = "Reply-To is there twice, which makes a mail invalid: reply_to puts \
                                several addresses into one";
                    problem_in(check, at, "header", text);
                }
            }
            if let Some(fault) = header_fault(value) {
                problem_in(check, at, "value", fault);
            }
        }
    }

    /// Compares the images with what the HTML shows.
    fn check_inlines(&self, check: &mut Check) {
        // A template's HTML is not known here.
        let known = self.parts.template.is_none();
        let html = filled(&self.parts.html).filter(|_| known);
        let used: Vec<_> = references(html.unwrap_or_default()).collect();
        let inlines = &self.parts.inlines;
        for (index, image) in inlines.iter().enumerate() {
            let name = image.name();
            let mut problem = |text| problem_in(check, ("inlines", index), "filename", text);
            if name.contains(char::is_whitespace) {
                problem("the name of an inline image can't have white space in it");
            }
            if inlines.iter().take(index).any(|other| other.name() == name) {
                problem("another inline image has the same name");
            }
            if known && !used.iter().any(|(used, _)| used == name) {
                problem("the HTML does not show this image: attach it, or refer to it by cid:");
            }
        }
        // Each once, in order.
        let mut missing = Vec::new();
        for (name, certain) in used {
            if certain
                && !inlines.iter().any(|image| image.name() == name)
                && let Err(place) = missing.binary_search(&name)
            {
                missing.insert(place, name);
            }
        }
        for name in missing {
            let text = format!("{:?} is no inline image", format!("cid:{name}"));
            problem(check, "html_body", &text);
        }
    }

    /// Bytes of its JSON without the files, or a little more unless much has to be escaped.
    pub(crate) fn size(&self) -> usize {
        let parts = &*self.parts;
        let mut size = parts.sender.size() + 320;
        for list in [&parts.to, &parts.cc, &parts.bcc, &parts.reply_to] {
            for mailbox in list {
                size += mailbox.size() + 3;
            }
        }
        for text in [&parts.subject, &parts.html, &parts.text] {
            let length = text.as_ref().map_or(0, String::len);
            size += length + length / 16;
        }
        for (name, value) in &parts.headers {
            size += name.len() + value.len() + 32;
        }
        if let Some(Template { id, data }) = &parts.template {
            size += id.len();
            if let Some(Ok(data)) = data {
                size += data.len();
            }
        }
        for (_, _, file) in self.files() {
            size += file.size();
        }
        for (name, value) in &parts.extra {
            size += name.len() + value.len() + 4;
        }
        size
    }

    /// Writes its JSON. `blobs` has one for each of [`files`](Self::files); what the check would
    /// refuse may be left out.
    pub(crate) fn write(
        &self,
        door: Door,
        json: &mut Writer,
        blobs: &mut impl Iterator<Item = Option<Blob>>,
    ) {
        json.raw("{\"sender\":");
        write_mailbox(&self.parts.sender, json);
        for (key, list) in [
            (",\"to\":[", &self.parts.to),
            (",\"cc\":[", &self.parts.cc),
            (",\"bcc\":[", &self.parts.bcc),
        ] {
            if !list.is_empty() {
                json.raw(key);
                for (index, mailbox) in list.iter().enumerate() {
                    if index > 0 {
                        json.raw(",");
                    }
                    write_mailbox(mailbox, json);
                }
                json.raw("]");
            }
        }
        match &self.parts.subject {
            Some(subject) => {
                json.raw(",\"subject\":");
                json.string(subject);
            }
            // The schema requires it here, also where the template's is used.
            None if door == Door::Batch => json.raw(",\"subject\":\"\""),
            None => {}
        }
        if let Some(html) = filled(&self.parts.html) {
            json.raw(",\"html_body\":");
            json.string(html);
        }
        if let Some(text) = filled(&self.parts.text) {
            json.raw(",\"text_body\":");
            json.string(text);
        }
        self.write_headers(json);
        if let Some(Template { id, data }) = &self.parts.template {
            json.raw(",\"template_id\":");
            json.string(id);
            if let Some(Ok(data)) = data {
                json.raw(",\"template_data\":");
                json.raw(data);
            }
        }
        if let Some(time) = self.parts.schedule.as_ref().and_then(schedule::written) {
            json.raw(",\"schedule\":");
            json.string(&time);
        }
        if door == Door::Send {
            json.raw(",\"fastaccept\":");
            json.raw(if self.parts.fastaccept {
                "true"
            } else {
                "false"
            });
        }
        for (key, files) in [
            (",\"attachments\":[", &self.parts.attachments),
            (",\"inlines\":[", &self.parts.inlines),
        ] {
            if !files.is_empty() {
                json.raw(key);
                for (index, file) in files.iter().enumerate() {
                    if index > 0 {
                        json.raw(",");
                    }
                    file.write(json, blobs.next().flatten());
                }
                json.raw("]");
            }
        }
        write_extra(&self.parts.extra, json);
        json.raw("}");
    }

    fn write_headers(&self, json: &mut Writer) {
        if self.parts.headers.is_empty() && self.parts.reply_to.is_empty() {
            return;
        }
        json.raw(",\"custom_headers\":[");
        let mut separator = "{\"header\":";
        let mut write = |name: &str, value: &str| {
            json.raw(separator);
            separator = ",{\"header\":";
            json.string(name);
            json.raw(",\"value\":");
            json.string(value);
            json.raw("}");
        };
        for (name, value) in &self.parts.headers {
            write(name, value);
        }
        if !self.parts.reply_to.is_empty() {
            let addresses: Vec<_> = self
                .parts
                .reply_to
                .iter()
                .map(ToString::to_string)
                .collect();
            write(REPLY_TO, &addresses.join(", "));
        }
        json.raw("]");
    }
}

/// A clone, which is cheap as far as attachments go.
impl From<&Email> for Email {
    fn from(email: &Email) -> Self {
        email.clone()
    }
}

impl Validate for Email {
    fn check(&self, check: &mut Check) {
        self.check_for(Door::Send, check);
    }
}

/// Shows how much there is of everything, and no address or text.
impl fmt::Debug for Email {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Email")
            .field("to", &self.parts.to.len())
            .field("cc", &self.parts.cc.len())
            .field("bcc", &self.parts.bcc.len())
            .field("template", &self.parts.template.as_ref().map(|t| &t.id))
            .field("schedule", &self.parts.schedule)
            .field("fastaccept", &self.parts.fastaccept)
            .field("attachments", &self.parts.attachments)
            .field("inlines", &self.parts.inlines)
            .field("extra", &self.parts.extra.len())
            .finish_non_exhaustive()
    }
}

/// Adds a further field to a mail, or replaces it.
#[inline]
pub(super) fn set_extra(extra: &mut Vec<(String, String)>, name: String, value: &Value) {
    extra.retain(|(other, _)| *other != name);
    extra.push((name, value.to_string()));
}

/// Writes the further fields of a mail.
pub(super) fn write_extra(extra: &[(String, String)], json: &mut Writer) {
    for (name, value) in extra {
        json.raw(",");
        json.string(name);
        json.raw(":");
        json.raw(value);
    }
}

/// A body, unless it is empty.
fn filled(body: &Option<String>) -> Option<&str> {
    body.as_deref().filter(|text| !text.is_empty())
}

fn write_mailbox(mailbox: &Mailbox, json: &mut Writer) {
    json.string(&mailbox.text());
}

/// Reports a problem of a field.
#[cold]
fn problem(check: &mut Check, field: &str, text: &str) {
    check.at(field, |check| check.problem(text));
}

/// Reports a problem of an item of a list, or of a field of it.
#[cold]
pub(super) fn problem_in(check: &mut Check, (list, index): (&str, usize), field: &str, text: &str) {
    check.at_index(list, index, |check| match field {
        "" => check.problem(text),
        field => problem(check, field, text),
    });
}

/// The names that HTML refers to by `cid:`, and whether it is certain that it does: text about
/// such an address looks much the same.
fn references(html: &str) -> impl Iterator<Item = (String, bool)> {
    // Nearly all HTML has none, and to find that out like this is quicker than to look at each colon.
    let html = if has_cid(html.as_bytes()) { html } else { "" };
    memchr::memchr_iter(b':', html.as_bytes()).filter_map(move |colon| {
        let at = colon.checked_sub(3)?;
        // Most colons are not worth more.
        if !matches!(html.as_bytes().get(colon - 1), Some(b'd' | b'D')) {
            return None;
        }
        if !html.get(at..colon)?.eq_ignore_ascii_case("cid") {
            return None;
        }
        let (before, after) = (html.get(..at)?, html.get(colon + 1..)?);
        let previous = before.chars().next_back();
        if previous.is_some_and(char::is_alphanumeric) {
            return None;
        }
        // What it opened with closes it: names such as `logo(1).png` are common.
        let quote = ["&quot;", "&#34;", "&#39;", "&apos;"]
            .into_iter()
            .find(|quote| before.ends_with(quote));
        let end = |c: char| match previous {
            Some(open @ ('"' | '\'')) => c == open || c.is_whitespace() || matches!(c, '<' | '>'),
            _ => {
                c.is_whitespace()
                    || matches!(c, '"' | '\'' | '<' | '>')
                    || c == ')' && previous != Some('=') && quote.is_none()
            }
        };
        let name = after.split(end).next().unwrap_or_default();
        let name = quote
            .and_then(|quote| name.split(quote).next())
            .unwrap_or(name);
        // Between those of a `srcset`.
        let name = name.trim_end_matches(',');
        let in_tag = before.rfind(['<', '>']).is_some_and(|found| {
            before
                .get(found..)
                .is_some_and(|rest| rest.starts_with('<'))
        });
        let certain = matches!(previous, Some('"' | '\'' | '=')) && in_tag
            || before.trim_end_matches(['"', '\'']).ends_with("url(");
        Some((unescape(name), certain && !name.is_empty()))
    })
}

/// Whether there is `id:` somewhere. Without a branch, so that compilers make vector instructions of
/// it.
fn has_cid(html: &[u8]) -> bool {
    let [second, third] = [1, 2].map(|skip| html.get(skip..).unwrap_or_default());
    let all = html.iter().zip(second).zip(third);
    all.fold(false, |found, ((i, d), colon)| {
        found | ((i | 0x20 == b'i') & (d | 0x20 == b'd') & (*colon == b':'))
    })
}

/// What stands for a character in HTML, as far as a name needs it.
const ENTITIES: [(&str, char); 4] = [
    ("#39;", '\''),
    ("#x27;", '\''),
    ("apos;", '\''),
    ("amp;", '&'),
];

/// The name in a `cid:` address in HTML, without percent signs and ampersands that stand for
/// something else.
fn unescape(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once('&') {
        let entity = ENTITIES
            .iter()
            .find_map(|(text, c)| Some((after.strip_prefix(text)?, *c)));
        let (after, c) = entity.unwrap_or((after, '&'));
        plain.push_str(before);
        plain.push(c);
        rest = after;
    }
    plain.push_str(rest);
    percent_decode_str(&plain).decode_utf8_lossy().into_owned()
}

/// What a file came to: content or a problem.
pub(crate) type File = Result<Option<Blob>, String>;

/// Looks at the files of mails, in the order of the mails and of [`Email::files`]. `prefix` is what
/// the field paths of each start with.
pub(crate) async fn files(mails: &[(String, Email)]) -> Result<Vec<File>, String> {
    let with_path = mails
        .iter()
        .flat_map(|(_, mail)| mail.files())
        .filter_map(|(.., file)| Some((file, file.path()?)));
    let (mut paths, mut last) = (Vec::new(), None);
    for (file, path) in with_path {
        paths.push(path.to_owned());
        last = Some(file);
    }
    let stats = match last {
        Some(file) => file.look(paths).await?,
        None => Vec::new(),
    };
    let mut stats = stats.into_iter();
    let mut files = Vec::new();
    for (prefix, mail) in mails {
        for (field, index, file) in mail.files() {
            let stat = file.path().and_then(|_| stats.next());
            let field = format!("{prefix}{field}[{index}]");
            files.push(file.blob(&field, stat));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_found_in_html() {
        let found = |html: &str| references(html).collect::<Vec<_>>();
        for (html, name, certain) in [
            (r#"<img src="cid:a.png">"#, "a.png", true),
            ("<img src='CID:a.png'>", "a.png", true),
            ("<img src=cid:a.png>", "a.png", true),
            ("<img src= cid:a.png>", "a.png", false),
            (
                r#"<img alt="x" src="cid:a%2Eb&amp;c.png">"#,
                "a.b&c.png",
                true,
            ),
            (r#"<i style="background: url('cid:a.png')">"#, "a.png", true),
            (
                "<style>i { background: url(cid:a.png) }</style>",
                "a.png",
                true,
            ),
            (
                r#"<i style="background: url(&quot;cid:a.png&quot;)">"#,
                "a.png",
                false,
            ),
            (r#"<p>write "cid:a.png" there</p>"#, "a.png", false),
            (r#"<img src="cid:%zz%C3%A9.png">"#, "%zzé.png", true),
            (r#"<img src="cid:logo(1).png">"#, "logo(1).png", true),
            (r#"<img src="cid:ana's.png">"#, "ana's.png", true),
            (r#"<img src="cid:ana&#39;s.png">"#, "ana's.png", true),
            (r#"<img srcset="cid:a.png, x">"#, "a.png", true),
            ("<p>an image (cid:a.png)</p>", "a.png", false),
            ("<img src=cid:logo(1).png>", "logo(1).png", true),
            (
                "<style>i { background: url('cid:logo(1).png') }</style>",
                "logo(1).png",
                true,
            ),
            (
                r#"<i style="background: url(&quot;cid:logo(1).png&quot;)">"#,
                "logo(1).png",
                false,
            ),
            (
                r#"<i style="background: url(&#39;cid:a.png&#39;)">"#,
                "a.png",
                false,
            ),
        ] {
            assert_eq!(found(html), [(name.to_owned(), certain)], "{html}");
        }
        for html in [
            "",
            ":",
            "cid",
            "placid:a.png",
            "é:cid",
            r#"<a href="https://x">"#,
        ] {
            assert_eq!(found(html), [], "{html}");
        }
        assert_eq!(found(r#"<img src="cid:">"#), [(String::new(), false)]);
    }
}
