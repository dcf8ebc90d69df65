//! Files of a mail.

use std::fmt;
#[cfg(not(target_family = "wasm"))]
use std::io::Read;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::io::AsyncRead;

use super::recorded::RecordedFile;
use crate::body::content::Content;

/// A file to [attach](crate::Email::attach), or an image for [inline](crate::Email::inline) use.
///
/// [`mimetype`](Self::mimetype) sets the media type. By default it is guessed from the file extension,
/// or else from the first bytes of the content (of bytes and files only), or else is
/// `application/octet-stream`. Clones are cheap.
///
/// ```
/// use smtp2go_sdk::Attachment;
///
/// let report = Attachment::from_path("out/report.pdf").filename("report-2026-10.pdf");
/// let table = Attachment::from_bytes("totals.csv", "month,mails\n2026-10,1042\n");
/// let terms = Attachment::from_url("terms.pdf", "https://example.com/terms.pdf");
/// # let _ = (report, table, terms);
/// ```
///
/// Two attachments are equal if name, media type and content are. Bytes are compared by content,
/// files by path and by the size and time that a [stored mail](crate::Email#stored-mail) records,
/// and a reader equals only its clones.
#[derive(Clone, PartialEq)]
pub struct Attachment {
    pub(super) filename: String,
    pub(super) mimetype: Option<String>,
    pub(super) source: AttachmentSource,
    /// Properties of the file in a stored mail.
    pub(super) recorded: Option<RecordedFile>,
}

/// Where the content of an attachment comes from. Returned by [`Attachment::kind`].
#[derive(Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum AttachmentKind<'a> {
    /// Content in memory.
    Bytes(&'a [u8]),
    /// The path of a file that is read while the mail is sent.
    Path(&'a Path),
    /// A URL that SMTP2GO fetches.
    Url(&'a str),
    /// A reader of `length` bytes. It may have been read already.
    Reader {
        /// Number of bytes.
        length: u64,
    },
}

/// Where the content of an attachment comes from.
#[derive(Clone, PartialEq)]
pub(super) enum AttachmentSource {
    Content(Content),
    /// The API fetches the content.
    Url(String),
}

impl Attachment {
    /// Attaches a file under its name on disk.
    ///
    /// The file is read while the mail is sent, in chunks and off the runtime's threads, so a large
    /// file takes no more memory than a small one. Its size is read when the mail is sent. A file that
    /// is missing, not readable or not a regular file is a validation error then. If the file changes
    /// before all of it is sent, the request is aborted and the mail is not sent.
    ///
    /// Not on wasm32, where there are no files.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        Self::from_file(path.into())
    }

    /// Attaches a file. On wasm32, which has no files, sending it fails.
    pub(super) fn from_file(path: PathBuf) -> Self {
        let filename = path.file_name().unwrap_or_default();
        let filename = filename.to_string_lossy().into_owned();
        Self::new(filename, Content::File(path))
    }

    /// Attaches content in memory: a `Vec<u8>`, a `String`, static bytes or text, or [`Bytes`],
    /// which are shared and not copied. Pass an owned value: borrowed bytes must be `'static`.
    pub fn from_bytes(filename: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::new(filename, Content::Bytes(content.into()))
    }

    /// Attaches content that SMTP2GO fetches, and keeps for 24 hours. Only http and https are
    /// accepted. The API's behaviour if it can't fetch the URL is not documented.
    pub fn from_url(filename: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            filename: filename.into(),
            mimetype: None,
            source: AttachmentSource::Url(url.into()),
            recorded: None,
        }
    }

    /// Attaches content that is read from `reader` while the mail is sent. The reader must yield
    /// exactly `length` bytes and then end. Otherwise the request is aborted and the mail is not sent.
    ///
    /// A reader can be read only once, so the mail is never retried, and once it was sent, sending a
    /// clone of it is an error. Waiting for the reader counts towards the client's time limits.
    pub fn from_reader(
        filename: impl Into<String>,
        reader: impl AsyncRead + Send + 'static,
        length: u64,
    ) -> Self {
        Self::new(filename, Content::async_reader(reader, length))
    }

    /// Attaches content from a blocking reader, which is read on a thread that may block. Otherwise
    /// the same as [`from_reader`](Self::from_reader). Not on wasm32, where nothing may block.
    #[cfg(not(target_family = "wasm"))]
    pub fn from_blocking_reader(
        filename: impl Into<String>,
        reader: impl Read + Send + 'static,
        length: u64,
    ) -> Self {
        Self::new(filename, Content::blocking_reader(reader, length))
    }

    fn new(filename: impl Into<String>, content: Content) -> Self {
        Self {
            filename: filename.into(),
            mimetype: None,
            source: AttachmentSource::Content(content),
            recorded: None,
        }
    }

    /// Sets the name that the recipient sees. HTML refers to an inline image by this name.
    ///
    /// A name is a validation error if it is empty, or has a control character, one of the line separators
    /// U+2028 and U+2029, or an embedding, override or isolate of bidirectional text (U+202A to U+202E,
    /// U+2066 to U+2069): with U+202E a program can pass for a PDF. The marks U+061C, U+200E and U+200F
    /// are valid.
    #[must_use]
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = filename.into();
        self
    }

    /// Sets the media type, such as `application/pdf`.
    #[must_use]
    pub fn mimetype(mut self, mimetype: impl Into<String>) -> Self {
        self.mimetype = Some(mimetype.into());
        self
    }

    /// Returns the name that the recipient sees. [`filename`](Self::filename) sets it.
    #[must_use]
    pub fn file_name(&self) -> &str {
        &self.filename
    }

    /// Returns the media type that [`mimetype`](Self::mimetype) has set. `None` if it is guessed when
    /// the mail is sent.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.mimetype.as_deref()
    }

    /// Returns where the content comes from.
    #[must_use]
    pub fn kind(&self) -> AttachmentKind<'_> {
        match &self.source {
            AttachmentSource::Content(Content::Bytes(bytes)) => AttachmentKind::Bytes(bytes),
            AttachmentSource::Content(Content::File(path)) => AttachmentKind::Path(path),
            AttachmentSource::Content(Content::Reader { length, .. }) => {
                AttachmentKind::Reader { length: *length }
            }
            AttachmentSource::Url(url) => AttachmentKind::Url(url),
        }
    }

    /// Returns the path, if the content is a file on disk.
    pub(super) fn path(&self) -> Option<&Path> {
        match &self.source {
            AttachmentSource::Content(content) => content.path(),
            AttachmentSource::Url(_) => None,
        }
    }
}

/// Shows where the content comes from. Does not show the file name, which often reveals whom the file is
/// about.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Attachment");
        match &self.source {
            AttachmentSource::Content(content) => shown.field("content", content),
            // Path and query of a URL can hold secrets.
            AttachmentSource::Url(_) => shown.field("content", &format_args!("a URL")),
        };
        shown.finish_non_exhaustive()
    }
}

/// Shows the kind and the size. Paths and URLs can reveal whom the content is about.
impl fmt::Debug for AttachmentKind<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Path(_) => f.write_str("Path(…)"),
            Self::Url(_) => f.write_str("Url(…)"),
            Self::Reader { length } => write!(f, "Reader({length} bytes)"),
        }
    }
}
