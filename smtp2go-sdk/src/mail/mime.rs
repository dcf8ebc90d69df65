//! Ready MIME messages.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::Value;
use smtp2go_types::validation::Check;
use smtp2go_types::{EmailMimeRequest, Timestamp};
use tokio::io::AsyncRead;

use super::attachment::Content;
use super::email::{set_extra, write_extra};
#[cfg(feature = "lettre")]
use super::lettre::envelope::Disagreement;
use super::schedule;
use crate::body::content::{Blob, Slot};
use crate::body::json::Writer;

/// A finished message for [`Client::send_mime`](crate::Client::send_mime): headers and body, as
/// RFC 5322 has it.
///
/// Sender and recipients are those in its headers, so recipients of hidden copies need a header
/// `Bcc`. The message itself is not looked at; the API reads it. Whether it takes the header `Bcc`
/// out before it delivers, as is usual, is not documented.
///
/// With the feature `lettre`, a `lettre::Message` becomes one by `From` too, and its envelope has
/// to say what its headers say: see `LettreTransport`.
///
/// ```
/// use smtp2go_sdk::Mime;
///
/// let text = "From: a@example.com\r\nTo: b@example.net\r\nSubject: Hello\r\n\r\nHello\r\n";
/// let from_memory = Mime::from_bytes(text);
/// let from_disk = Mime::from_path("outbox/1.eml").fastaccept(true);
/// # let _ = (from_memory, from_disk);
/// ```
#[derive(Clone)]
pub struct Mime {
    content: Content,
    schedule: Option<Timestamp>,
    fastaccept: bool,
    /// Further fields, with their values as JSON.
    extra: Vec<(String, String)>,
    /// How the envelope that came with the message differs from its headers.
    #[cfg(feature = "lettre")]
    disagreement: Disagreement,
}

impl Mime {
    /// A message in memory.
    #[inline]
    pub fn from_bytes(message: impl Into<Bytes>) -> Self {
        Self::new(Content::Bytes(message.into()))
    }

    /// A message in a file, which is read while it is sent, as
    /// [`Attachment::from_path`](crate::Attachment::from_path) does it.
    #[inline]
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::new(Content::Path(path.into()))
    }

    /// A message of so many bytes that is read while it is sent, and only once, as
    /// [`Attachment::from_reader`](crate::Attachment::from_reader) does it.
    #[inline]
    pub fn from_reader(reader: impl AsyncRead + Send + 'static, length: u64) -> Self {
        let slot = Slot::with(reader);
        Self::new(Content::Reader { size: length, slot })
    }

    /// As [`from_reader`](Self::from_reader), with a reader that blocks.
    #[inline]
    pub fn from_blocking_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        let slot = Slot::blocking(reader);
        Self::new(Content::Reader { size: length, slot })
    }

    #[inline]
    fn new(content: Content) -> Self {
        Self {
            content,
            schedule: None,
            fastaccept: false,
            extra: Vec::new(),
            #[cfg(feature = "lettre")]
            disagreement: Disagreement::default(),
        }
    }

    /// A message that came with an envelope.
    #[cfg(feature = "lettre")]
    #[inline]
    pub(crate) fn with_envelope(message: Vec<u8>, envelope: &lettre::address::Envelope) -> Self {
        let sender = envelope.from().map(AsRef::as_ref);
        let recipients = envelope.to().iter().map(AsRef::as_ref);
        Self {
            disagreement: Disagreement::new(sender, recipients, &message),
            ..Self::from_bytes(message)
        }
    }

    /// Gives the message a header `Bcc` with the recipients of its envelope whom no header names,
    /// which otherwise are an error. For a message made from a `lettre::Message`, whose builder
    /// takes that header out unless told to
    /// [`keep_bcc`](lettre::message::MessageBuilder::keep_bcc); others are left as they are.
    ///
    /// Not done unless asked for: that the service takes the header out again before it delivers is
    /// usual, but not documented, and if it did not, every recipient would see the hidden ones. Try
    /// it with addresses of your own first.
    #[cfg(feature = "lettre")]
    #[must_use]
    #[inline]
    pub fn restore_bcc(mut self) -> Self {
        if let Content::Bytes(message) = &self.content
            && let Some(header) = self.disagreement.bcc()
        {
            self.content = Content::Bytes([header.as_bytes(), message].concat().into());
        }
        self
    }

    /// Sets when to send, as [`Email::schedule`](crate::Email::schedule).
    #[must_use]
    #[inline]
    pub fn schedule(mut self, time: impl Into<Timestamp>) -> Self {
        self.schedule = Some(time.into());
        self
    }

    /// Sets whether the mail is queued without checks, as
    /// [`Email::fastaccept`](crate::Email::fastaccept).
    #[must_use]
    #[inline]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.fastaccept = fastaccept;
        self
    }

    /// Adds a field that this version does not list, as [`Email::extra`](crate::Email::extra).
    #[must_use]
    #[inline]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        set_extra(&mut self.extra, name.into(), &value.into());
        self
    }

    #[inline]
    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    #[inline]
    pub(crate) fn check(&self, blob: &Result<Option<Blob>, String>, check: &mut Check) {
        check.at("mime_email", |check| match blob {
            Ok(Some(blob)) if blob.size() == 0 => check.problem("the message is empty"),
            Ok(_) => {}
            Err(fault) => check.problem(fault),
        });
        if let Some(time) = &self.schedule {
            check.at("schedule", |check| schedule::check(time, check));
        }
        let names = self.extra.iter().map(|(name, _)| name);
        check.extra(EmailMimeRequest::FIELDS, names);
        #[cfg(feature = "lettre")]
        self.disagreement.check(check);
    }

    #[inline]
    pub(crate) fn write(&self, json: &mut Writer, blob: Option<Blob>) {
        json.raw("{\"fastaccept\":");
        json.raw(if self.fastaccept { "true" } else { "false" });
        if let Some(time) = self.schedule.as_ref().and_then(schedule::written) {
            json.raw(",\"schedule\":");
            json.string(&time);
        }
        if let Some(blob) = blob {
            json.raw(",\"mime_email\":");
            json.base64(blob);
        }
        write_extra(&self.extra, json);
        json.raw("}");
    }
}

impl From<Vec<u8>> for Mime {
    #[inline]
    fn from(message: Vec<u8>) -> Self {
        Self::from_bytes(message)
    }
}

/// What [`formatted`](lettre::Message::formatted) makes of it, with its envelope to compare.
#[cfg(feature = "lettre")]
impl From<lettre::Message> for Mime {
    #[inline]
    fn from(message: lettre::Message) -> Self {
        Self::from(&message)
    }
}

/// What [`formatted`](lettre::Message::formatted) makes of it, with its envelope to compare.
#[cfg(feature = "lettre")]
impl From<&lettre::Message> for Mime {
    #[inline]
    fn from(message: &lettre::Message) -> Self {
        Self::with_envelope(message.formatted(), message.envelope())
    }
}

impl From<Bytes> for Mime {
    #[inline]
    fn from(message: Bytes) -> Self {
        Self::from_bytes(message)
    }
}

impl From<PathBuf> for Mime {
    #[inline]
    fn from(path: PathBuf) -> Self {
        Self::from_path(path)
    }
}

impl From<&Path> for Mime {
    #[inline]
    fn from(path: &Path) -> Self {
        Self::from_path(path)
    }
}

/// Shows where the message comes from, and nothing of it.
impl fmt::Debug for Mime {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mime")
            .field("content", &self.content)
            .field("schedule", &self.schedule)
            .field("fastaccept", &self.fastaccept)
            .field("extra", &self.extra.len())
            .finish()
    }
}
