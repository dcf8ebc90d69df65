//! Finished MIME messages.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
#[cfg(not(target_family = "wasm"))]
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;
use smtp2go_types::validation::Check;
use smtp2go_types::{EmailMimeRequest, Timestamp};
use tokio::io::AsyncRead;

use super::extra::ExtraFields;
use super::header_fields::HeaderFields;
use super::idempotency::{check_key, report_other_value};
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
use super::lettre::IdempotencyKey;
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
use super::lettre::envelope::EnvelopeDifference;
use super::schedule;
use crate::body::content::{Content, Files};
use crate::body::json::JsonWriter;
use crate::platform::blocking;
use crate::{Body, FieldError};

/// The field of the request that has the message.
const FIELD: &str = "mime_email";
/// Number of bytes of a file that are searched for a header.
const SEARCHED: u64 = 256 * 1024;

/// A finished message for [`Client::send_mime`](crate::Client::send_mime): headers and body, as
/// defined by RFC 5322.
///
/// The API reads sender and recipients from the headers, so Bcc recipients must be in a header `Bcc`.
/// Whether the API removes that header before delivery, as is usual, is not documented. The message is
/// not parsed before it is sent.
///
/// With the feature `lettre`, `From` converts a `lettre::Message`. The envelope must agree with the
/// headers: see `LettreTransport`.
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
    extra: ExtraFields,
    /// The idempotency key.
    key: Option<String>,
    /// Differences between the envelope and the headers.
    #[cfg(all(feature = "lettre", not(target_family = "wasm")))]
    difference: EnvelopeDifference,
}

impl Mime {
    /// Takes a message in memory.
    pub fn from_bytes(message: impl Into<Bytes>) -> Self {
        Self::new(Content::Bytes(message.into()))
    }

    /// Takes a message in a file, which is read while it is sent: see
    /// [`Attachment::from_path`](crate::Attachment::from_path). Not on wasm32.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::new(Content::File(path.into()))
    }

    /// Takes a message of `length` bytes that is read while it is sent, and only once: see
    /// [`Attachment::from_reader`](crate::Attachment::from_reader).
    pub fn from_reader(reader: impl AsyncRead + Send + 'static, length: u64) -> Self {
        Self::new(Content::async_reader(reader, length))
    }

    /// Takes a message from a blocking reader. Otherwise the same as
    /// [`from_reader`](Self::from_reader). Not on wasm32.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_blocking_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        Self::new(Content::blocking_reader(reader, length))
    }

    fn new(content: Content) -> Self {
        Self {
            content,
            schedule: None,
            fastaccept: false,
            extra: ExtraFields::default(),
            key: None,
            #[cfg(all(feature = "lettre", not(target_family = "wasm")))]
            difference: EnvelopeDifference::default(),
        }
    }

    /// Takes a message with an envelope.
    #[cfg(all(feature = "lettre", not(target_family = "wasm")))]
    pub(crate) fn with_envelope(message: Vec<u8>, envelope: &lettre::address::Envelope) -> Self {
        let sender = envelope.from().map(AsRef::as_ref);
        let recipients = envelope.to().iter().map(AsRef::as_ref);
        Self {
            difference: EnvelopeDifference::new(sender, recipients, &message),
            ..Self::from_bytes(message)
        }
    }

    /// Adds a header `Bcc` with the recipients of the envelope that no header names. Without it they
    /// are a validation error. Changes only a message made from a `lettre::Message`, whose builder
    /// removes the header unless [`keep_bcc`](lettre::message::MessageBuilder::keep_bcc) is called.
    ///
    /// Mail services usually remove the header before delivery, but this API does not document that it
    /// does. If it does not, every recipient sees the Bcc recipients. Try it with your own addresses
    /// first.
    #[cfg(all(feature = "lettre", not(target_family = "wasm")))]
    #[must_use]
    pub fn restore_bcc(mut self) -> Self {
        if let Content::Bytes(message) = &self.content
            && let Some(header) = self.difference.bcc()
        {
            self.content = Content::Bytes([header.as_bytes(), message].concat().into());
        }
        self
    }

    /// Sets when to send: see [`Email::schedule`](crate::Email::schedule).
    #[must_use]
    pub fn schedule(mut self, time: impl Into<Timestamp>) -> Self {
        self.schedule = Some(time.into());
        self
    }

    /// Sets whether the mail is queued without checks: see
    /// [`Email::fastaccept`](crate::Email::fastaccept).
    #[must_use]
    pub fn fastaccept(mut self, fastaccept: bool) -> Self {
        self.fastaccept = fastaccept;
        self
    }

    /// Adds a field that this version does not list: see [`Email::extra`](crate::Email::extra).
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.extra.set(name.into(), &value.into());
        self
    }

    /// Sets the mail's idempotency key: see [`Email::idempotency_key`](crate::Email::idempotency_key).
    ///
    /// Its header is sent as the first line of the message, and the rest of the message is sent
    /// unchanged. If a message in memory or in a file already has the header, nothing is added: with
    /// the same value it is sent as it is, and with another value it is a validation error. Of a file,
    /// the first 256 KiB are searched. A message from a reader is not searched: make sure that it does
    /// not have the header.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Returns the idempotency key that [`idempotency_key`](Self::idempotency_key) or a message of
    /// lettre has set. The message itself is not searched.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    /// Returns the values that the message has in the header for the key. Empty if the mail has no
    /// key.
    pub(super) async fn key_values(&self, header: &str) -> Vec<String> {
        let read = |message: &[u8]| -> Vec<String> {
            let fields = HeaderFields::read(message);
            fields
                .values(header)
                .map(|value| value.trim().to_owned())
                .collect()
        };
        match &self.content {
            _ if self.key.is_none() => Vec::new(),
            Content::Bytes(message) => read(message),
            Content::File(path) => {
                let path = path.clone();
                // A file that can't be read is reported by the check of its size.
                let start = blocking(move || file_start(&path).unwrap_or_default()).await;
                read(&start.unwrap_or_default())
            }
            Content::Reader { .. } => Vec::new(),
        }
    }

    /// Path of the file that has the message.
    pub(super) fn path(&self) -> Option<&Path> {
        self.content.path()
    }

    /// Checks the mail. `written` has the values that the message has in the key's `header`.
    pub(super) fn check(&self, files: &Files, header: &str, written: &[String], check: &mut Check) {
        check.at(FIELD, |check| match self.content.sized(FIELD, files) {
            Ok(content) if content.size() == 0 => check.problem("the message is empty"),
            Ok(_) => {}
            Err(fault) => check.problem(fault.message),
        });
        if let Some(time) = &self.schedule {
            check.at("schedule", |check| {
                schedule::check(time, EmailMimeRequest::MAX_SCHEDULE_DAYS, check);
            });
        }
        if let Some(key) = &self.key {
            check_key(key, check);
            if written.iter().any(|value| value != key) {
                check.at(FIELD, |check| report_other_value(header, check));
            }
        }
        check.extra(EmailMimeRequest::FIELDS, self.extra.names());
        #[cfg(all(feature = "lettre", not(target_family = "wasm")))]
        self.difference.check(check);
    }

    /// Encodes the request. `header` is the name of the header for the key, unless the message has
    /// it.
    ///
    /// # Errors
    /// If a reader was used since the check.
    pub(super) fn encode(&self, files: &Files, header: Option<&str>) -> Result<Body, FieldError> {
        let mut json = JsonWriter::with_capacity(128);
        json.open("{");
        json.key("fastaccept");
        json.value(if self.fastaccept { "true" } else { "false" });
        schedule::write(self.schedule.as_ref(), &mut json);
        json.key(FIELD);
        let content = self.content.sized(FIELD, files)?;
        match (&self.key, header) {
            (Some(key), Some(header)) => json.base64_after(&header_line(header, key), content),
            _ => json.base64(content),
        }
        self.extra.write(&mut json);
        json.close("}");
        Ok(json.finish())
    }
}

/// Reads the start of a file. Blocks.
fn file_start(path: &Path) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    File::open(path)?.take(SEARCHED).read_to_end(&mut start)?;
    Ok(start)
}

/// Returns the line of a header. Spaces make its length a multiple of 3 bytes.
fn header_line(name: &str, value: &str) -> String {
    let spaces = match (name.len() + value.len()) % 3 {
        0 => "   ",
        1 => "  ",
        _ => " ",
    };
    format!("{name}:{spaces}{value}\r\n")
}

impl From<Vec<u8>> for Mime {
    fn from(message: Vec<u8>) -> Self {
        Self::from_bytes(message)
    }
}

/// Takes the [`formatted`](lettre::Message::formatted) message and its envelope. A header
/// [`IdempotencyKey`] sets the key.
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
impl From<lettre::Message> for Mime {
    fn from(message: lettre::Message) -> Self {
        Self::from(&message)
    }
}

/// Takes the [`formatted`](lettre::Message::formatted) message and its envelope. A header
/// [`IdempotencyKey`] sets the key.
#[cfg(all(feature = "lettre", not(target_family = "wasm")))]
impl From<&lettre::Message> for Mime {
    fn from(message: &lettre::Message) -> Self {
        let mime = Self::with_envelope(message.formatted(), message.envelope());
        match message.headers().get::<IdempotencyKey>() {
            Some(key) => mime.idempotency_key(key.0),
            None => mime,
        }
    }
}

impl From<Bytes> for Mime {
    fn from(message: Bytes) -> Self {
        Self::from_bytes(message)
    }
}

#[cfg(not(target_family = "wasm"))]
impl From<PathBuf> for Mime {
    fn from(path: PathBuf) -> Self {
        Self::from_path(path)
    }
}

#[cfg(not(target_family = "wasm"))]
impl From<&Path> for Mime {
    fn from(path: &Path) -> Self {
        Self::from_path(path)
    }
}

/// Shows where the message comes from, and no content.
impl fmt::Debug for Mime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mime")
            .field("content", &self.content)
            .field("schedule", &self.schedule)
            .field("fastaccept", &self.fastaccept)
            .field("extra", &self.extra.names().len())
            .finish()
    }
}
