//! Mail as the sandbox received it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use axum::body::Bytes;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use smtp2go_types::SecretUrl;

use crate::account::AccountId;
use crate::address;
use crate::blobs::Blobs;
use crate::data::{Literal, interned};
use crate::event::EventKind;
use crate::mime::{self, Mime};
use crate::operations::fields::texts;
use crate::operations::template::Rendered;
use crate::weight::{self, Weight};

/// A mail that was accepted: a call of `/email/send` or `/email/mime`, an item of `/email/batch`,
/// or a message that came over SMTP. Clones are cheap.
///
/// `Debug` leaves out what the mail says and to whom.
#[derive(Clone)]
pub struct Mail(Arc<Kept>);

/// What is kept of a mail.
struct Kept {
    accepted: AcceptedMail,
    /// Where the first header of each name is, in lower case: of the MIME message, or of the
    /// `custom_headers`. Every event asks for some, and there may be 100,000.
    headers: HashMap<String, usize>,
    /// The addresses of the sender and of the recipients, each once. Every event asks for some. If the
    /// mail came over SMTP, the recipients are those of the envelope.
    sender: String,
    recipients: Vec<String>,
    /// What happened so far, by recipient.
    history: Mutex<HashMap<String, Vec<EventKind>>>,
    /// How many bytes the message has, once somebody asked: every event shows it.
    size: OnceLock<usize>,
}

/// How much of a text of a mail is copied into what there may be hundreds of for the mail: events for
/// webhooks, suppressions.
const COPIED: usize = 8 * 1024;

/// The operation of a mail that came over SMTP.
pub(crate) const SMTP: &str = "smtp";

/// What a mail is made of.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct AcceptedMail {
    /// That of the message in the ledger.
    pub(crate) number: u64,
    pub(crate) email_id: String,
    pub(crate) schedule_id: Option<String>,
    #[serde(deserialize_with = "interned")]
    pub(crate) operation: Literal,
    /// Without what is long and encoded, such as the content of attachments.
    pub(crate) request: Arc<Value>,
    /// What is long and encoded.
    pub(crate) blobs: Blobs,
    pub(crate) mime: Option<Mime>,
    /// What the template made of it, if it has one.
    pub(crate) rendered: Option<Rendered>,
    pub(crate) accepted: SystemTime,
    pub(crate) account: AccountId,
    pub(crate) username: String,
    /// The key has the status `sandbox`: nothing is delivered.
    pub(crate) withheld: bool,
}

/// An attachment or an inline image of a mail.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// The name of the file.
    pub filename: String,
    /// The media type, if one was sent.
    pub mimetype: Option<String>,
    /// The bytes of the file, decoded; empty if it was given by its URL.
    pub content: Vec<u8>,
    /// What the HTML shows it by, after `cid:`; the file name for an inline image of a request.
    pub content_id: Option<String>,
    /// Where the service would fetch the file, if it was given so. The sandbox fetches nothing.
    pub url: Option<String>,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Attachment")
            .field("filename", &self.filename)
            .field("mimetype", &self.mimetype)
            .field("content_bytes", &self.content.len())
            .field("content_id", &self.content_id)
            .field("url", &self.url.as_ref().map(SecretUrl::from))
            .finish()
    }
}

impl Mail {
    pub(crate) fn new(accepted: AcceptedMail) -> Self {
        let headers = match &accepted.mime {
            Some(mime) => first_places(mime.headers.iter().map(|(name, _)| Some(name.as_str()))),
            None => {
                let custom = list(&accepted.request, "custom_headers").iter();
                first_places(custom.map(|header| Some(custom_header(header)?.0)))
            }
        };
        let mut kept = Kept {
            accepted,
            headers,
            sender: String::new(),
            recipients: Vec::new(),
            history: Mutex::default(),
            size: OnceLock::new(),
        };
        let sender = address::mailboxes(kept.sender()).next();
        kept.sender = sender
            .and_then(Result::ok)
            .map_or_else(String::new, |found| found.address);
        kept.recipients = kept.find_recipients();
        Self(Arc::new(kept))
    }

    pub(crate) fn known_size(&self) -> &OnceLock<usize> {
        &self.0.size
    }

    fn history_of_all(&self) -> MutexGuard<'_, HashMap<String, Vec<EventKind>>> {
        self.0
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What happened for a recipient so far.
    pub(crate) fn history(&self, recipient: &str) -> Vec<EventKind> {
        let history = self.history_of_all();
        history.get(recipient).cloned().unwrap_or_default()
    }

    pub(crate) fn remember(&self, recipient: &str, kind: EventKind) {
        let mut history = self.history_of_all();
        history.entry(recipient.to_owned()).or_default().push(kind);
    }

    /// Nothing happened, after a reset.
    pub(crate) fn forget(&self) {
        self.history_of_all().clear();
    }

    pub(crate) fn kept(&self) -> &AcceptedMail {
        &self.0.accepted
    }

    /// The number of the message.
    pub(crate) fn number(&self) -> u64 {
        self.kept().number
    }

    /// The body of the call, if what is long is there.
    pub(crate) fn body(&self) -> Option<&Bytes> {
        self.kept().blobs.body()
    }

    pub(crate) fn account(&self) -> AccountId {
        self.kept().account
    }

    /// The headers of a MIME message, unfolded.
    pub(crate) fn mime_headers(&self) -> Option<&[(String, String)]> {
        self.kept()
            .mime
            .as_ref()
            .map(|mime| mime.headers.as_slice())
    }

    pub(crate) fn withheld(&self) -> bool {
        self.kept().withheld
    }

    /// When the mail was accepted, by the sandbox's clock.
    pub fn accepted_at(&self) -> SystemTime {
        self.kept().accepted
    }

    /// Who sent it: the first 16 characters of the API key, as the service shows them, or the name
    /// of the SMTP user, or the IP address that may send without a password.
    pub fn username(&self) -> &str {
        &self.kept().username
    }

    /// The addresses of all recipients, without their names, in the order of `to`, `cc`, `bcc`. One
    /// that occurs several times is listed once. Over SMTP they are those of the envelope, in the
    /// order of the RCPT commands, whatever the headers say.
    pub fn recipients(&self) -> Vec<&str> {
        self.0.recipients.iter().map(String::as_str).collect()
    }

    /// The address of the sender, without a name.
    pub(crate) fn sender_address(&self) -> &str {
        &self.0.sender
    }

    /// The id that was made up for the mail, in the style of Exim. An item of a batch with a
    /// `schedule` has one here too, though the reply holds its `schedule_id` only.
    pub fn email_id(&self) -> &str {
        &self.kept().email_id
    }

    /// The id of the schedule, if the mail was sent with a `schedule`.
    pub fn schedule_id(&self) -> Option<&str> {
        self.kept().schedule_id.as_deref()
    }

    /// The operation that took the mail: `email_send`, `email_mime` or `email_batch`; `smtp` for a
    /// mail that came over SMTP.
    pub fn operation(&self) -> &str {
        self.kept().operation
    }

    /// The sender as it was sent, `a@example.com` or `Name <a@example.com>`; for a MIME message
    /// the header `From`, with the name decoded (RFC 2047). Without that header the sender of the SMTP
    /// envelope.
    pub fn sender(&self) -> &str {
        self.0.sender()
    }

    /// The recipients, in order, as they were sent; for a MIME message those of the headers `To`,
    /// those of a group one by one and with names decoded (RFC 2047).
    pub fn to(&self) -> Vec<&str> {
        self.0.to()
    }

    /// The recipients of copies; for a MIME message those of the headers `Cc`, as in [`to`](Self::to).
    pub fn cc(&self) -> Vec<&str> {
        self.0.cc()
    }

    /// The recipients of blind copies; for a MIME message those of the headers `Bcc`, as in
    /// [`to`](Self::to). Over SMTP they are the recipients of the envelope that are in neither `To`
    /// nor `Cc`.
    pub fn bcc(&self) -> Vec<&str> {
        if self.operation() != SMTP {
            return self.0.bcc();
        }
        let shown = [self.to(), self.cc()].into_iter().flatten();
        let shown: HashSet<_> = shown.map(|one| address::bare(one).to_lowercase()).collect();
        let mut recipients = self.recipients();
        recipients.retain(|address| !shown.contains(&address.to_lowercase()));
        recipients
    }

    /// The subject: the template's, filled in, if the mail has one, or what was sent. That of a MIME
    /// message is decoded (RFC 2047).
    pub fn subject(&self) -> Option<&str> {
        let AcceptedMail { rendered, mime, .. } = self.kept();
        match (rendered, mime) {
            (Some(rendered), _) => Some(&rendered.subject),
            (None, Some(mime)) => mime.subject.as_deref(),
            (None, None) => self.0.field("subject"),
        }
    }

    /// The plain text: the template's, filled in, if the mail has one, or what was sent. Of a MIME
    /// message the first part with plain text, decoded.
    pub fn text_body(&self) -> Option<&str> {
        let AcceptedMail { rendered, mime, .. } = self.kept();
        match (rendered, mime) {
            (Some(rendered), _) => Some(&rendered.text_body),
            (None, Some(mime)) => mime.text.as_deref(),
            (None, None) => self.0.field("text_body"),
        }
    }

    /// The HTML: the template's, filled in, if the mail has one, or what was sent. Of a MIME message
    /// the first part with HTML, decoded.
    pub fn html_body(&self) -> Option<&str> {
        let AcceptedMail { rendered, mime, .. } = self.kept();
        match (rendered, mime) {
            (Some(rendered), _) => Some(&rendered.html_body),
            (None, Some(mime)) => mime.html.as_deref(),
            (None, None) => self.0.field("html_body"),
        }
    }

    /// The attachments, decoded anew at each call. Of a MIME message the parts that are neither its
    /// text nor inline; one without a file name is called `part-1` and so on.
    pub fn attachments(&self) -> Vec<Attachment> {
        self.files("attachments", false)
    }

    /// The inline images, decoded anew at each call. Of a MIME message the parts that have a
    /// `Content-ID` and are not marked as attachments.
    pub fn inlines(&self) -> Vec<Attachment> {
        self.files("inlines", true)
    }

    /// The message of `/email/mime`, decoded anew at each call, or the one that came over SMTP.
    pub fn mime(&self) -> Option<Vec<u8>> {
        self.kept().mime.as_ref()?;
        if let Some(message) = self.kept().blobs.message() {
            return Some(message.to_vec());
        }
        let encoded = match self.fields().get("mime_email").and_then(Value::as_str) {
            Some(encoded) => encoded.into(),
            None => self.kept().blobs.read("mime_email", 0).unwrap_or_default(),
        };
        Some(decode_base64(&encoded).unwrap_or_default())
    }

    /// Whether it is a message of `/email/mime`, or one that came over SMTP.
    pub(crate) fn is_mime(&self) -> bool {
        self.kept().mime.is_some()
    }

    /// How many bytes such a message has.
    pub(crate) fn mime_size(&self) -> Option<usize> {
        self.kept().mime.as_ref().map(|mime| mime.size)
    }

    /// How many bytes the files in a field have, encoded.
    pub(crate) fn files_encoded(&self, field: &str) -> usize {
        let files = list(self.fields(), field).iter();
        let short = files.filter_map(|file| Some(file.get("fileblob")?.as_str()?.len()));
        short.sum::<usize>() + self.kept().blobs.size(field)
    }

    /// The request as it was sent, without `api_key`; for a batch the item. Fields that count as absent
    /// (null, empty texts) or are ignored are left out. Put together anew at each call. Over SMTP it is
    /// the envelope: `sender` and `recipients`.
    pub fn request(&self) -> Value {
        let mut request = self.fields().clone();
        self.kept().blobs.put_back(&mut request);
        request
    }

    /// The request without what is long and encoded.
    pub(crate) fn fields(&self) -> &Value {
        &self.kept().request
    }

    /// The first header of a name in the MIME message or among the `custom_headers`.
    pub(crate) fn given_header(&self, name: &str) -> Option<&str> {
        let place = *self.0.headers.get(&name.to_ascii_lowercase())?;
        match &self.kept().mime {
            Some(mime) => mime.headers.get(place).map(|(_, value)| value.trim()),
            None => {
                let header = list(self.fields(), "custom_headers").get(place)?;
                Some(custom_header(header)?.1)
            }
        }
    }

    fn files(&self, field: &str, inline: bool) -> Vec<Attachment> {
        if let Some(message) = self.mime() {
            let files = mime::files(&message).into_iter();
            let files = files.filter(|(is_inline, _)| *is_inline == inline);
            return files.map(|(_, file)| file).collect();
        }
        let text = |file: &Value, name| file.get(name).and_then(Value::as_str).map(str::to_owned);
        let content = |index: usize, file: &Value| match file.get("fileblob") {
            Some(fileblob) => decode_base64(fileblob.as_str()?),
            None => decode_base64(&self.kept().blobs.read(field, index)?),
        };
        list(self.fields(), field)
            .iter()
            .enumerate()
            .map(|(index, file)| Attachment {
                filename: text(file, "filename").unwrap_or_default(),
                mimetype: text(file, "mimetype"),
                content: content(index, file).unwrap_or_default(),
                content_id: text(file, "filename").filter(|_| inline),
                url: text(file, "url"),
            })
            .collect()
    }
}

impl Kept {
    fn field(&self, name: &str) -> Option<&str> {
        self.accepted.request.get(name).and_then(Value::as_str)
    }

    fn sender(&self) -> &str {
        match &self.accepted.mime {
            Some(mime) if !mime.from.is_empty() => &mime.from,
            _ => self.field("sender").unwrap_or_default(),
        }
    }

    fn to(&self) -> Vec<&str> {
        self.list("to", |mime| &mime.to)
    }

    fn cc(&self) -> Vec<&str> {
        self.list("cc", |mime| &mime.cc)
    }

    fn bcc(&self) -> Vec<&str> {
        self.list("bcc", |mime| &mime.bcc)
    }

    fn list(&self, field: &str, of_mime: fn(&Mime) -> &Vec<String>) -> Vec<&str> {
        match &self.accepted.mime {
            Some(mime) => of_mime(mime).iter().map(String::as_str).collect(),
            None => {
                let items = list(&self.accepted.request, field).iter();
                items.filter_map(Value::as_str).collect()
            }
        }
    }

    /// The addresses of all recipients, each once, in order.
    fn find_recipients(&self) -> Vec<String> {
        let all = match self.accepted.operation {
            SMTP => texts(&self.accepted.request, "recipients"),
            _ => [self.to(), self.cc(), self.bcc()].concat(),
        };
        let mut known = HashSet::new();
        let addresses = all.into_iter().map(address::bare);
        addresses
            .filter(|address| known.insert(address.clone()))
            .collect()
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mail")
            .field("email_id", &self.kept().email_id)
            .field("schedule_id", &self.kept().schedule_id)
            .field("operation", &self.kept().operation)
            .finish_non_exhaustive()
    }
}

/// The memory behind a mail, but for the body of its call.
impl Weight for Mail {
    fn weight(&self) -> usize {
        let mail = self.kept();
        let headers = self.0.headers.keys().map(|name| weight::text(name) + 64);
        let rendered = mail.rendered.as_ref().map_or(0, |rendered| {
            rendered.subject.weight() + rendered.html_body.weight() + rendered.text_body.weight()
        });
        size_of::<Kept>()
            + headers.sum::<usize>()
            + self.0.sender.weight()
            + self.0.recipients.weight()
            + weight::text(&mail.email_id)
            + mail.schedule_id.weight()
            + mail.request.weight()
            + mail.blobs.weight()
            + mail.mime.weight()
            + rendered
            + mail.username.weight()
    }
}

/// As much of a text as may be copied many times.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(COPIED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// The name and the value of an item of `custom_headers`.
pub(crate) fn custom_header(header: &Value) -> Option<(&str, &str)> {
    Some((
        header.get("header")?.as_str()?,
        header.get("value")?.as_str()?,
    ))
}

/// Where each name comes first, in lower case.
fn first_places<'a>(names: impl Iterator<Item = Option<&'a str>>) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, name) in names.enumerate() {
        if let Some(name) = name {
            places.entry(name.to_ascii_lowercase()).or_insert(place);
        }
    }
    places
}

/// The items of a list field; none if it is absent.
pub(crate) fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object
        .get(field)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Decodes standard base64, which may be broken into lines and need not be padded.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ENGINE: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let mut bytes = text.as_bytes().to_vec();
    bytes.retain(|byte| !byte.is_ascii_whitespace());
    ENGINE.decode(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_cut_between_characters() {
        assert_eq!(cut("é"), "é");
        let long = format!("a{}", "é".repeat(COPIED));
        assert_eq!(cut(&long).len(), COPIED - 1);
    }

    #[test]
    fn base64_may_be_wrapped_and_unpadded() {
        for text in ["aGk=", "aGk", "aG\r\nk=\n"] {
            assert_eq!(decode_base64(text).as_deref(), Some(b"hi".as_slice()));
        }
        for text in ["aGk*", "a", "data:text/plain;base64,aGk="] {
            assert_eq!(decode_base64(text), None);
        }
    }
}
