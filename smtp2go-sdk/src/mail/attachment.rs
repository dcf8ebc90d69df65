//! Files of a mail.

// Functions in here are `#[inline]`, so that those programs compile them which attach something.

use std::fmt;
use std::future::Future;
use std::io::Read;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bytes::Bytes;
use smtp2go_types::validation::{Check, header_fault};
use tokio::io::AsyncRead;

use crate::body::content::{Blob, Slot, Stat};
use crate::body::json::Writer;
use crate::mail::mailbox::has_override;

/// A file to [attach](crate::Email::attach), or an image for [inline](crate::Email::inline) use.
///
/// Its media type is guessed from the end of the file's name, where that is a common one, else from
/// the first bytes of its content, where they are there before it is sent, and is
/// `application/octet-stream` otherwise; [`mimetype`](Self::mimetype) sets it. Clones are cheap.
///
/// ```
/// use smtp2go_sdk::Attachment;
///
/// let report = Attachment::from_path("out/report.pdf").filename("report-2026-10.pdf");
/// let table = Attachment::from_bytes("totals.csv", "month,mails\n2026-10,1042\n");
/// let terms = Attachment::from_url("terms.pdf", "https://example.com/terms.pdf");
/// # let _ = (report, table, terms);
/// ```
#[derive(Clone)]
pub struct Attachment {
    filename: String,
    mimetype: Option<String>,
    content: Content,
}

/// Where content comes from.
#[derive(Clone)]
pub(crate) enum Content {
    Bytes(Bytes),
    Path(PathBuf),
    Reader { size: u64, slot: Slot },
    Url(String),
}

impl Attachment {
    /// A file, named as it is named on disk.
    ///
    /// It is read while the mail is sent, a piece at a time and off the runtime's threads, so it
    /// takes no memory however large it is. Its size is looked up when the mail is sent: a file
    /// that is missing, not readable or not a regular file is an error of the mail's check. If it
    /// is changed before all of it is sent, the request is broken off and the mail is not sent.
    #[inline]
    pub fn from_path(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let filename = path.file_name().unwrap_or_default();
        Self::new(filename.to_string_lossy().into_owned(), Content::Path(path))
    }

    /// Content in memory, from a `Vec<u8>`, a `String`, static bytes or text, or [`Bytes`], which
    /// are shared and not copied. Pass an owned value: borrowed bytes must be `'static`.
    #[inline]
    pub fn from_bytes(filename: impl Into<String>, content: impl Into<Bytes>) -> Self {
        Self::new(filename.into(), Content::Bytes(content.into()))
    }

    /// Content that SMTP2GO fetches itself, and keeps for 24 hours. Only http and https are
    /// accepted. What the API does if it can't fetch it is not documented.
    #[inline]
    pub fn from_url(filename: impl Into<String>, url: impl Into<String>) -> Self {
        Self::new(filename.into(), Content::Url(url.into()))
    }

    /// Content that is read from `reader` while the mail is sent: `length` bytes, after which the
    /// reader has to be at its end. If it is not, or ends before, the request is broken off and
    /// the mail is not sent.
    ///
    /// A reader can be read once. A mail with one is never sent a second time, so neither is it
    /// retried; sending a clone of a mail that was sent is an error. Waiting for the reader counts
    /// towards the client's time limits.
    #[inline]
    pub fn from_reader(
        filename: impl Into<String>,
        reader: impl AsyncRead + Send + 'static,
        length: u64,
    ) -> Self {
        let slot = Slot::with(reader);
        Self::new(filename.into(), Content::Reader { size: length, slot })
    }

    /// As [`from_reader`](Self::from_reader), with a reader that blocks; it is read on a thread
    /// where that is allowed.
    #[inline]
    pub fn from_blocking_reader(
        filename: impl Into<String>,
        reader: impl Read + Send + 'static,
        length: u64,
    ) -> Self {
        let slot = Slot::blocking(reader);
        Self::new(filename.into(), Content::Reader { size: length, slot })
    }

    #[inline]
    fn new(filename: String, content: Content) -> Self {
        Self {
            filename,
            mimetype: None,
            content,
        }
    }

    /// Sets the name that the recipient sees. That of an inline image is what the HTML refers to.
    ///
    /// The mail's check refuses a name that is empty, has a control character or one of the line
    /// separators U+2028 and U+2029, or embeds, overrides or isolates the direction of text (U+202A
    /// to U+202E, U+2066 to U+2069): with U+202E a program can pass for a PDF. The marks U+061C,
    /// U+200E and U+200F are valid.
    #[must_use]
    #[inline]
    pub fn filename(mut self, filename: impl Into<String>) -> Self {
        self.filename = filename.into();
        self
    }

    /// Sets the media type, such as `application/pdf`, in place of the guess.
    #[must_use]
    #[inline]
    pub fn mimetype(mut self, mimetype: impl Into<String>) -> Self {
        self.mimetype = Some(mimetype.into());
        self
    }
}

/// What a mail can do with an attachment. A trait, so that only a program that attaches something has
/// the code for it: the mail, which all programs have, just knows the trait.
pub(crate) trait Attached: fmt::Debug + Send + Sync + UnwindSafe + RefUnwindSafe {
    fn name(&self) -> &str;
    /// Bytes of its JSON without the content, or a little more.
    fn size(&self) -> usize;
    /// Checks what can be checked without reading.
    fn check(&self, check: &mut Check);
    /// The path of a file on disk.
    fn path(&self) -> Option<&Path>;
    /// Looks at these files, those of others too, on a thread that may block. In here so that only
    /// a program that attaches something has the code.
    fn look(&self, paths: Vec<PathBuf>) -> Pin<Box<dyn Future<Output = Looked> + Send>>;
    /// What can be sent of it; `stat` is what was found at its path.
    fn blob(&self, field: &str, stat: Option<Result<Stat, String>>)
    -> Result<Option<Blob>, String>;
    /// Writes its JSON. Without its content if that can't be had, which the check reports.
    fn write(&self, json: &mut Writer, blob: Option<Blob>);
}

impl Attached for Attachment {
    #[inline]
    fn name(&self) -> &str {
        &self.filename
    }

    #[inline]
    fn path(&self) -> Option<&Path> {
        self.content.path()
    }

    #[inline]
    fn look(&self, paths: Vec<PathBuf>) -> Pin<Box<dyn Future<Output = Looked> + Send>> {
        Box::pin(look(paths))
    }

    #[inline]
    fn blob(
        &self,
        field: &str,
        stat: Option<Result<Stat, String>>,
    ) -> Result<Option<Blob>, String> {
        self.content.blob(field, stat)
    }

    #[inline]
    fn size(&self) -> usize {
        let url = match &self.content {
            Content::Url(url) => url.len(),
            _ => 0,
        };
        self.filename.len() + url + 128
    }

    #[inline]
    fn check(&self, check: &mut Check) {
        check.at("filename", |check| {
            if self.filename.trim().is_empty() {
                check.problem("a file needs a name");
            } else if has_override(&self.filename) {
                check.problem(
                    "the name has a line separator or overrides the direction of text, which can \
                     hide its extension",
                );
            }
            check.header(&self.filename);
        });
        if let Some(mimetype) = &self.mimetype {
            check.at("mimetype", |check| {
                if let Some(fault) = header_fault(mimetype) {
                    check.problem(fault);
                } else if !is_media_type(mimetype) {
                    check.problem(format!(
                        "{mimetype:?} is not a media type, such as application/pdf"
                    ));
                }
            });
        }
        if let Content::Url(url) = &self.content {
            let web = reqwest::Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
            if !web {
                check.at("url", |check| {
                    check.problem("not an http or https URL");
                });
            }
        }
    }

    #[inline]
    fn write(&self, json: &mut Writer, blob: Option<Blob>) {
        json.raw("{\"filename\":");
        json.string(&self.filename);
        json.raw(",\"mimetype\":");
        json.string(match &self.mimetype {
            Some(mimetype) => mimetype,
            None => guess(&self.filename, blob.as_ref().map_or(&[], Blob::start)),
        });
        if let Content::Url(url) = &self.content {
            json.raw(",\"url\":");
            json.string(url);
        }
        if let Some(blob) = blob {
            json.raw(",\"fileblob\":");
            json.base64(blob);
        }
        json.raw("}");
    }
}

/// Shows where the content comes from, and no name, which often says whom it is about.
impl fmt::Debug for Attachment {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("content", &self.content)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Content {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::Path(_) => f.write_str("a file"),
            Self::Reader { size, .. } => write!(f, "a reader of {size} bytes"),
            // Its path and query can hold secrets.
            Self::Url(_) => f.write_str("a URL"),
        }
    }
}

/// What was found at the paths, in their order, or why nobody could look.
pub(crate) type Looked = Result<Vec<Result<Stat, String>>, String>;

/// Looks at files, on a thread that may block.
#[inline]
pub(crate) async fn look(paths: Vec<PathBuf>) -> Looked {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let Ok(runtime) = tokio::runtime::Handle::try_current() else {
        return Err("called outside of a tokio runtime".to_owned());
    };
    let look = move || paths.into_iter().map(Stat::new).collect();
    runtime
        .spawn_blocking(look)
        .await
        .map_err(|_| "the runtime is shutting down".to_owned())
}

impl Content {
    #[inline]
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            _ => None,
        }
    }

    /// What can be sent of it; `stat` is what was found at its path.
    #[inline]
    pub(crate) fn blob(
        &self,
        field: &str,
        stat: Option<Result<Stat, String>>,
    ) -> Result<Option<Blob>, String> {
        match (self, stat) {
            (Self::Bytes(bytes), _) => Ok(Some(Blob::bytes(field, bytes.clone()))),
            (Self::Path(_), Some(stat)) => Ok(Some(Blob::file(field, stat?))),
            (Self::Path(path), None) => Err(format!("{}: not looked at", path.display())),
            (Self::Reader { slot, .. }, _) if slot.is_empty() => {
                Err("the reader was used up before".to_owned())
            }
            (Self::Reader { size, slot }, _) => Ok(Some(Blob::reader(field, *size, slot.clone()))),
            (Self::Url(_), _) => Ok(None),
        }
    }
}

/// Whether a text has the form `type/subtype`, with or without parameters.
#[inline]
fn is_media_type(text: &str) -> bool {
    let token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    essence
        .trim_end()
        .split_once('/')
        .is_some_and(|(main, sub)| token(main) && token(sub))
        && header_fault(parameters).is_none()
}

/// Media types by the end of the file's name: what is mailed commonly, named as IANA registers it.
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("eml", "message/rfc822"),
    ("epub", "application/epub+zip"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("heic", "image/heic"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("json", "application/json"),
    ("log", "text/plain"),
    ("m4a", "audio/mp4"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("p7s", "application/pkcs7-signature"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("tsv", "text/tab-separated-values"),
    ("txt", "text/plain"),
    ("vcf", "text/vcard"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// Media types by how content starts: formats that are mailed commonly and can't be mistaken.
const SIGNATURES: &[(&[u8], &str)] = &[
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"{\\rtf1", "application/rtf"),
];

/// The media type of a file by its name, or else by how it starts.
#[inline]
fn guess(filename: &str, start: &[u8]) -> &'static str {
    by_name(filename)
        .or_else(|| by_content(start))
        .unwrap_or("application/octet-stream")
}

#[inline]
fn by_content(start: &[u8]) -> Option<&'static str> {
    if start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    SIGNATURES
        .iter()
        .find(|(signature, _)| start.starts_with(signature))
        .map(|(_, media_type)| *media_type)
}

#[inline]
fn by_name(filename: &str) -> Option<&'static str> {
    filename
        .rsplit_once('.')
        .and_then(|(_, end)| {
            MEDIA_TYPES
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(end))
        })
        .map(|(_, media_type)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_are_guessed_by_name() {
        for (name, expected) in [
            ("report.pdf", "application/pdf"),
            ("LOGO.PNG", "image/png"),
            ("logs.tar.gz", "application/gzip"),
            ("README", "application/octet-stream"),
            ("odd.", "application/octet-stream"),
            ("pdf", "application/octet-stream"),
        ] {
            assert_eq!(guess(name, b""), expected, "{name}");
        }
        assert!(MEDIA_TYPES.iter().all(|(_, guess)| is_media_type(guess)));
    }

    #[test]
    fn media_types_are_guessed_by_content_where_the_name_says_nothing() {
        for (name, start, expected) in [
            ("scan", &b"%PDF-1.7\n"[..], "application/pdf"),
            ("photo.original", b"\xff\xd8\xff\xe0", "image/jpeg"),
            ("logo", b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
            ("sound", b"RIFF\x24\0\0\0WAVE", "application/octet-stream"),
            ("short", b"RIFF", "application/octet-stream"),
            ("notes.txt", b"%PDF-1.7\n", "text/plain"),
            ("empty", b"", "application/octet-stream"),
        ] {
            assert_eq!(guess(name, start), expected, "{name}");
        }
        for (signature, expected) in SIGNATURES {
            assert_eq!(guess("unknown", signature), *expected);
            assert!(is_media_type(expected));
        }
    }

    #[test]
    fn files_and_bytes_tell_their_type_by_content() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let pdf = b"%PDF-1.7 and more than what is looked at";
        std::fs::write(path.path(), pdf).unwrap();
        for file in [
            Attachment::from_path(path.path()).filename("scan"),
            Attachment::from_bytes("scan", &pdf[..]),
        ] {
            let stat = Stat::new(path.path().to_owned());
            let blob = file.blob("attachments[0]", Some(stat)).unwrap();
            let mut json = Writer::with_capacity(64);
            file.write(&mut json, blob);
            let pieces = json.finish().into_pieces();
            let crate::body::content::Piece::Bytes(start) = &pieces[0] else {
                panic!("the names come first");
            };
            let start = String::from_utf8_lossy(start);
            assert!(start.contains(r#""mimetype":"application/pdf""#), "{start}");
        }
    }

    #[test]
    fn media_types_have_a_form() {
        assert!(is_media_type("text/plain; charset=utf-8"));
        for odd in [
            "",
            "pdf",
            "a/",
            "/b",
            "a/b/c",
            "a b/c",
            "a/b\r\nX: 1",
            "a/b;\n",
        ] {
            assert!(!is_media_type(odd), "{odd:?}");
        }
    }
}
