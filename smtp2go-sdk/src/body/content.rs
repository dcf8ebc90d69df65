//! Content that a request carries as base64: bytes, a file or a reader.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Cursor, Read, Take};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use bytes::Bytes;
use tokio::io::AsyncRead;

use crate::body::read::{Base64Stream, ContentReader};
use crate::platform::{NotRun, blocking};
use crate::{Error, FieldError};

/// Number of bytes of a file that are read in advance to guess its media type.
const START: u64 = 16;

/// Content of an attachment or a MIME message. Clones share a reader.
#[derive(Clone)]
pub(crate) enum Content {
    Bytes(Bytes),
    File(PathBuf),
    Reader { length: u64, reader: SharedReader },
}

impl Content {
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn blocking_reader(reader: impl Read + Send + 'static, length: u64) -> Self {
        let reader = SharedReader::new(ContentReader::Blocking(Box::new(reader)));
        Self::Reader { length, reader }
    }

    pub(crate) fn async_reader(reader: impl AsyncRead + Send + 'static, length: u64) -> Self {
        let reader = SharedReader::new(ContentReader::Async(Box::pin(reader)));
        Self::Reader { length, reader }
    }

    /// Returns the path, if the content is a file.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Bytes(_) | Self::Reader { .. } => None,
        }
    }

    /// Determines the size. `field` names the request field in errors, also in those that occur
    /// while the content is read.
    ///
    /// # Errors
    /// If the file can't be sent, or the reader was used before.
    pub(crate) fn sized(&self, field: &str, files: &Files) -> Result<SizedContent, FieldError> {
        let facts = match self {
            Self::Bytes(bytes) => Ok(ContentFacts {
                size: bytes.len() as u64,
                modified: None,
                start: bytes.clone(),
            }),
            Self::File(path) => files.facts(path),
            Self::Reader { reader, .. } if reader.is_used() => Err(USED.to_owned()),
            Self::Reader { length, .. } => Ok(ContentFacts {
                size: *length,
                modified: None,
                start: Bytes::new(),
            }),
        };
        match facts {
            Ok(facts) => Ok(SizedContent {
                field: field.into(),
                content: self.clone(),
                facts,
            }),
            Err(message) => Err(FieldError {
                field: field.to_owned(),
                message,
            }),
        }
    }
}

/// Bytes are equal by content, files by path. A reader equals only its clones.
impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Reader { reader: a, .. }, Self::Reader { reader: b, .. }) => a.is_clone_of(b),
            _ => false,
        }
    }
}

/// Shows the kind and the size, but no path, which can reveal whom the content is about.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Self::File(_) => f.write_str("a file"),
            Self::Reader { length, .. } => write!(f, "a reader of {length} bytes"),
        }
    }
}

const USED: &str = "the reader was already used: a reader can be sent once";

/// A reader that can be taken once.
#[derive(Clone)]
pub(crate) struct SharedReader(Arc<Mutex<Option<ContentReader>>>);

impl SharedReader {
    fn new(reader: ContentReader) -> Self {
        Self(Arc::new(Mutex::new(Some(reader))))
    }

    /// Whether the two are clones of one reader.
    fn is_clone_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn is_used(&self) -> bool {
        let slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        slot.is_none()
    }

    fn take(&self) -> Option<ContentReader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Properties of content that are fixed before it is sent.
#[derive(Clone)]
struct ContentFacts {
    size: u64,
    /// Time of the last modification, if the content is a file.
    modified: Option<SystemTime>,
    /// The first bytes. Empty for a reader.
    start: Bytes,
}

impl ContentFacts {
    /// Reads the properties of a file. Blocks.
    fn of_file(path: &Path) -> io::Result<Self> {
        // Checked before the file is opened: opening a pipe can block forever.
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        let mut start = Vec::new();
        file.by_ref().take(START).read_to_end(&mut start)?;
        Ok(Self {
            size: metadata.len(),
            modified: metadata.modified().ok(),
            start: start.into(),
        })
    }

    /// Compares an open file with the properties that were read before.
    fn check(&self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if metadata.len() != self.size {
            let (size, expected) = (metadata.len(), self.size);
            return Err(io::Error::other(format!(
                "size changed from {expected} to {size} bytes"
            )));
        }
        if metadata.modified().ok() != self.modified {
            return Err(io::Error::other(
                "modification time changed after the mail was checked",
            ));
        }
        Ok(())
    }
}

/// Properties of the files of a request, by path.
#[derive(Default)]
pub(crate) struct Files(HashMap<PathBuf, Result<ContentFacts, String>>);

impl Files {
    /// Reads the properties of the files, on a thread that may block.
    ///
    /// # Errors
    /// If there is a file and no running tokio runtime. Errors of a single file are kept for
    /// [`Content::sized`].
    pub(crate) async fn look(paths: impl Iterator<Item = &Path>) -> Result<Self, Error> {
        let paths: Vec<_> = paths.map(Path::to_owned).collect();
        if paths.is_empty() {
            return Ok(Self(HashMap::new()));
        }
        match blocking(|| Self::look_now(paths)).await {
            Ok(files) => Ok(files),
            Err(NotRun::NoRuntime) => Err(Error::config("called outside of a tokio runtime")),
            Err(NotRun::Ended) => Err(Error::config("the runtime is shutting down")),
        }
    }

    /// Reads the properties of the files. Blocks.
    pub(crate) fn look_now(paths: Vec<PathBuf>) -> Self {
        let facts = paths.into_iter().map(|path| {
            let facts = ContentFacts::of_file(&path).map_err(|error| about(&path, error));
            (path, facts)
        });
        Self(facts.collect())
    }

    fn facts(&self, path: &Path) -> Result<ContentFacts, String> {
        match self.0.get(path) {
            Some(facts) => facts.clone(),
            None => Err(about(path, "not read")),
        }
    }
}

/// Returns an error message with the path of the file.
pub(crate) fn about(path: &Path, error: impl fmt::Display) -> String {
    format!("{}: {error}", path.display())
}

/// Content whose size is known.
#[derive(Clone)]
pub(crate) struct SizedContent {
    field: Arc<str>,
    content: Content,
    facts: ContentFacts,
}

impl SizedContent {
    /// Number of bytes before they are encoded.
    pub(crate) fn size(&self) -> u64 {
        self.facts.size
    }

    /// Time of the last modification. `None` if the content is not a file, or if the system does
    /// not record this time.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        self.facts.modified
    }

    /// The first bytes, enough to guess the media type. Empty for a reader.
    pub(crate) fn start(&self) -> &[u8] {
        &self.facts.start
    }

    /// Whether the content can be read more than once.
    pub(crate) fn is_rewindable(&self) -> bool {
        !matches!(self.content, Content::Reader { .. })
    }

    /// Reads the whole content. Blocks.
    ///
    /// # Errors
    /// If a file can't be read or has changed. Also for a reader, which is left unread.
    pub(crate) fn read_now(&self) -> Result<Bytes, FieldError> {
        let failed = |message| FieldError {
            field: self.field.to_string(),
            message,
        };
        match &self.content {
            Content::Bytes(bytes) => Ok(bytes.clone()),
            Content::File(path) => {
                let mut read = Vec::new();
                UnchangedFile::new(path, &self.facts)
                    .read_to_end(&mut read)
                    .map_err(|error| failed(error.to_string()))?;
                Ok(read.into())
            }
            Content::Reader { .. } => Err(failed(
                "a reader can be read only once, when the mail is sent".to_owned(),
            )),
        }
    }

    /// Starts to read at the beginning. A file is opened on the first read.
    ///
    /// # Errors
    /// If the reader was used before.
    pub(crate) fn open(&self) -> Result<Base64Stream, FieldError> {
        let reader = match &self.content {
            Content::Bytes(bytes) => ContentReader::Async(Box::pin(Cursor::new(bytes.clone()))),
            Content::File(path) => {
                ContentReader::Blocking(Box::new(UnchangedFile::new(path, &self.facts)))
            }
            Content::Reader { reader, .. } => reader.take().ok_or_else(|| FieldError {
                field: self.field.to_string(),
                message: USED.to_owned(),
            })?,
        };
        Ok(Base64Stream::new(reader, self.facts.size, &self.field))
    }
}

/// Reads a file, and fails if its properties differ from those that [`Files::look`] read.
struct UnchangedFile {
    path: PathBuf,
    facts: ContentFacts,
    /// `None` before the first read.
    file: Option<Take<File>>,
}

impl UnchangedFile {
    fn new(path: &Path, facts: &ContentFacts) -> Self {
        Self {
            path: path.to_owned(),
            facts: facts.clone(),
            file: None,
        }
    }

    fn read_checked(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match &mut self.file {
            Some(file) => file,
            closed => {
                let file = File::open(&self.path)?;
                self.facts.check(&file)?;
                closed.insert(file.take(self.facts.size))
            }
        };
        let read = file.read(buffer)?;
        if read == 0 {
            self.facts.check(file.get_ref())?;
        }
        Ok(read)
    }
}

impl Read for UnchangedFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read_checked(buffer).map_err(|error| {
            // `read_to_end` continues after `Interrupted`.
            io::Error::new(error.kind(), about(&self.path, error))
        })
    }
}
