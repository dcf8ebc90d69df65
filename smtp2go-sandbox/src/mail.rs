//! Accepted mail.

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

/// A mail that was accepted by `/email/send`, by `/email/mime`, as an item of `/email/batch` or over
/// SMTP. Cheap to clone.
///
/// `Debug` leaves out the content and the addresses.
#[derive(Clone)]
pub struct Mail(Arc<MailState>);

/// The data of a [`Mail`].
struct MailState {
    accepted: AcceptedMail,
    /// Index of the first header with each name, in lower case, in the MIME message or the
    /// `custom_headers`. Every event looks headers up, and there may be 100,000.
    headers: HashMap<String, usize>,
    /// The addresses of the sender and the recipients, each once. Cached because every event needs them.
    /// The recipients of a mail that came over SMTP are those of the envelope.
    sender: String,
    recipients: Vec<String>,
    /// The kinds of events so far, by recipient.
    history: Mutex<HashMap<String, Vec<EventKind>>>,
    /// Size of the message in bytes, computed on first use.
    size: OnceLock<usize>,
}

/// Maximum size in bytes of a text that is copied into each of a mail's events and suppressions.
const COPIED: usize = 8 * 1024;

/// The operation of a mail that came over SMTP.
pub(crate) const SMTP: &str = "smtp";

/// The parts of a mail.
#[derive(serde::Serialize, serde::Deserialize)]
pub(crate) struct AcceptedMail {
    /// The message's number in the ledger.
    pub(crate) number: u64,
    pub(crate) email_id: String,
    pub(crate) schedule_id: Option<String>,
    #[serde(deserialize_with = "interned")]
    pub(crate) operation: Literal,
    /// The request without its long encoded texts, such as the content of attachments.
    pub(crate) request: Arc<Value>,
    /// The request's long encoded texts.
    pub(crate) blobs: Blobs,
    pub(crate) mime: Option<Mime>,
    /// The rendered template, if the mail has one.
    pub(crate) rendered: Option<Rendered>,
    pub(crate) accepted: SystemTime,
    pub(crate) account: AccountId,
    pub(crate) username: String,
    /// The key has the status `sandbox`, so that the mail is not delivered.
    pub(crate) withheld: bool,
}

/// An attachment or an inline image of a mail.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attachment {
    /// Name of the file.
    pub filename: String,
    /// Media type, if the request has one.
    pub mimetype: Option<String>,
    /// Decoded content of the file. Empty if the request has a URL instead.
    pub content: Vec<u8>,
    /// The name that HTML refers to after `cid:`. For an inline image of a request, the file name.
    pub content_id: Option<String>,
    /// URL from which the service would fetch the file, if the request has one. The sandbox does not
    /// fetch it.
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
        let mut kept = MailState {
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

    /// Returns the kinds of a recipient's events so far.
    pub(crate) fn history(&self, recipient: &str) -> Vec<EventKind> {
        let history = self.history_of_all();
        history.get(recipient).cloned().unwrap_or_default()
    }

    pub(crate) fn remember(&self, recipient: &str, kind: EventKind) {
        let mut history = self.history_of_all();
        history.entry(recipient.to_owned()).or_default().push(kind);
    }

    /// Forgets all events, for a reset.
    pub(crate) fn forget(&self) {
        self.history_of_all().clear();
    }

    pub(crate) fn kept(&self) -> &AcceptedMail {
        &self.0.accepted
    }

    /// The message's number in the ledger.
    pub(crate) fn number(&self) -> u64 {
        self.kept().number
    }

    /// The body of the call, if the mail's long texts refer to it.
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

    /// The name of the user that sent the mail: the first 16 characters of the API key, as the service
    /// shows it. For a mail over SMTP, the name of the SMTP user, or the authenticated IP address.
    pub fn username(&self) -> &str {
        &self.kept().username
    }

    /// Returns the addresses of all recipients, without names, in the order of `to`, `cc`, `bcc`, each
    /// once.
    pub fn recipients(&self) -> Vec<&str> {
        self.0.recipients.iter().map(String::as_str).collect()
    }

    /// The address of the sender, without a name.
    pub(crate) fn sender_address(&self) -> &str {
        &self.0.sender
    }

    /// The id that the sandbox assigned, in the format of Exim. A scheduled item of a batch also has
    /// one, although the reply contains only its `schedule_id`.
    pub fn email_id(&self) -> &str {
        &self.kept().email_id
    }

    /// Id of the schedule. `None` if the mail has no `schedule`.
    pub fn schedule_id(&self) -> Option<&str> {
        self.kept().schedule_id.as_deref()
    }

    /// The operation that accepted the mail: `email_send`, `email_mime` or `email_batch`. For a mail
    /// over SMTP: `smtp`.
    pub fn operation(&self) -> &str {
        self.kept().operation
    }

    /// The sender as in the request, `a@example.com` or `Name <a@example.com>`. For a MIME message, the
    /// header `From`.
    pub fn sender(&self) -> &str {
        self.0.sender()
    }

    /// The recipients as in the request, in order. For a MIME message, those in the header `To`.
    pub fn to(&self) -> Vec<&str> {
        self.0.to()
    }

    /// The recipients of copies. For a MIME message, those in the header `Cc`.
    pub fn cc(&self) -> Vec<&str> {
        self.0.cc()
    }

    /// The recipients of blind copies. For a MIME message, those in the header `Bcc`. For a mail over
    /// SMTP, the recipients of the envelope that are neither in `To` nor in `Cc`.
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

    /// The subject: rendered from the template if the mail has one, otherwise as in the request. The
    /// subject of a MIME message is decoded (RFC 2047).
    pub fn subject(&self) -> Option<&str> {
        let AcceptedMail { rendered, mime, .. } = self.kept();
        match (rendered, mime) {
            (Some(rendered), _) => Some(&rendered.subject),
            (None, Some(mime)) => mime.subject.as_deref(),
            (None, None) => self.0.field("subject"),
        }
    }

    /// The plain text: rendered from the template if the mail has one, otherwise as in the request. For
    /// a MIME message, its parts of plain text that are not attachments, decoded, with a line break
    /// between them.
    pub fn text_body(&self) -> Option<&str> {
        let AcceptedMail { rendered, mime, .. } = self.kept();
        match (rendered, mime) {
            (Some(rendered), _) => Some(&rendered.text_body),
            (None, Some(mime)) => mime.text.as_deref(),
            (None, None) => self.0.field("text_body"),
        }
    }

    /// The HTML: rendered from the template if the mail has one, otherwise as in the request. For a MIME
    /// message, its parts of HTML that are not attachments, decoded, with a line break between them.
    pub fn html_body(&self) -> Option<&str> {
        let AcceptedMail { rendered, mime, .. } = self.kept();
        match (rendered, mime) {
            (Some(rendered), _) => Some(&rendered.html_body),
            (None, Some(mime)) => mime.html.as_deref(),
            (None, None) => self.0.field("html_body"),
        }
    }

    /// Decodes and returns the attachments. For a MIME message, these are the parts that belong neither
    /// to the [text](Self::text_body) nor to the [HTML](Self::html_body), and are not inline images.
    pub fn attachments(&self) -> Vec<Attachment> {
        self.files("attachments", false)
    }

    /// Decodes and returns the inline images. For a MIME message, these are the parts with a
    /// `Content-ID` that belong neither to the text nor to the HTML, and are not marked as attachments.
    pub fn inlines(&self) -> Vec<Attachment> {
        self.files("inlines", true)
    }

    /// Returns the MIME message, decoded, that was sent by `/email/mime` or over SMTP. `None` for other
    /// mails.
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

    /// Whether the mail was sent by `/email/mime` or over SMTP.
    pub(crate) fn is_mime(&self) -> bool {
        self.kept().mime.is_some()
    }

    /// Size in bytes of the MIME message. `None` if the mail was not sent as one.
    pub(crate) fn mime_size(&self) -> Option<usize> {
        self.kept().mime.as_ref().map(|mime| mime.size)
    }

    /// Total encoded size of the files in a field, in bytes.
    pub(crate) fn files_encoded(&self, field: &str) -> usize {
        let files = list(self.fields(), field).iter();
        let short = files.filter_map(|file| Some(file.get("fileblob")?.as_str()?.len()));
        short.sum::<usize>() + self.kept().blobs.size(field)
    }

    /// Returns the JSON of the request, without `api_key`. For a batch, the JSON of the item. Unless
    /// the sandbox is strict, null, empty and unknown fields are left out.
    pub fn request(&self) -> Value {
        let mut request = self.fields().clone();
        self.kept().blobs.put_back(&mut request);
        request
    }

    /// The request without its long encoded texts.
    pub(crate) fn fields(&self) -> &Value {
        &self.kept().request
    }

    /// Returns the first header with this name in the MIME message or the `custom_headers`.
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

impl MailState {
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

/// The memory of a mail without the body of its call.
impl Weight for Mail {
    fn weight(&self) -> usize {
        let mail = self.kept();
        let headers = self.0.headers.keys().map(|name| weight::text(name) + 64);
        let rendered = mail.rendered.as_ref().map_or(0, |rendered| {
            rendered.subject.weight() + rendered.html_body.weight() + rendered.text_body.weight()
        });
        size_of::<MailState>()
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

/// Cuts a text to [`COPIED`] bytes.
pub(crate) fn cut(text: &str) -> &str {
    let mut end = text.len().min(COPIED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// Returns the name and the value of an item of `custom_headers`.
pub(crate) fn custom_header(header: &Value) -> Option<(&str, &str)> {
    Some((
        header.get("header")?.as_str()?,
        header.get("value")?.as_str()?,
    ))
}

/// Returns the index of the first occurrence of each name, in lower case.
fn first_places<'a>(names: impl Iterator<Item = Option<&'a str>>) -> HashMap<String, usize> {
    let mut places = HashMap::new();
    for (place, name) in names.enumerate() {
        if let Some(name) = name {
            places.entry(name.to_ascii_lowercase()).or_insert(place);
        }
    }
    places
}

/// Returns the items of a list field. Empty if the field is missing.
pub(crate) fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object
        .get(field)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Decodes standard base64, with or without line breaks and padding.
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
    fn long_text_is_cut_between_characters() {
        assert_eq!(cut("é"), "é");
        let long = format!("a{}", "é".repeat(COPIED));
        assert_eq!(cut(&long).len(), COPIED - 1);
    }

    #[test]
    fn wrapped_or_unpadded_base64_is_decoded() {
        for text in ["aGk=", "aGk", "aG\r\nk=\n"] {
            assert_eq!(decode_base64(text).as_deref(), Some(b"hi".as_slice()));
        }
        for text in ["aGk*", "a", "data:text/plain;base64,aGk="] {
            assert_eq!(decode_base64(text), None);
        }
    }
}
