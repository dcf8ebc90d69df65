//! Content that is read, and turned into base64, while it is sent.

// Functions in here are `#[inline]`, so that those programs compile them which attach something.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::error::FieldError;

/// Bytes read at a time: what memory a file takes while it is sent. A multiple of three, so that
/// the base64 of the pieces is the base64 of the whole.
const CHUNK: usize = 96 * 1024;

/// Bytes of a file that are looked at to tell its type.
const START: u64 = 16;

/// A stretch of a request body.
#[derive(Clone)]
pub(crate) enum Piece {
    /// Bytes as they are sent.
    Bytes(Bytes),
    /// What is sent as base64.
    Base64(Blob),
}

impl Piece {
    /// How many bytes are sent.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Base64(blob) => blob.size().div_ceil(3).saturating_mul(4),
        }
    }

    /// Whether it can be sent a second time.
    pub(crate) fn rewindable(&self) -> bool {
        match self {
            Self::Bytes(_) => true,
            Self::Base64(blob) => blob.source.rewindable(),
        }
    }
}

/// Content of a known size. Cheap to clone; a clone of a reader is the same reader.
#[derive(Clone)]
pub(crate) struct Blob {
    /// The request field that it is for.
    field: Arc<str>,
    source: Arc<dyn Open>,
}

/// What a [`Source`] can do. A trait, as [`Chunks`] is, so that only a program that makes blobs has
/// the code that reads them: the request's body, which all programs have, just knows the traits.
trait Open: Send + Sync + UnwindSafe + RefUnwindSafe {
    fn size(&self) -> u64;
    fn start(&self) -> &[u8];
    fn rewindable(&self) -> bool;
    fn open(&self) -> Box<dyn Chunks + Send>;
}

enum Source {
    Bytes(Bytes),
    File(Arc<Stat>),
    Reader { size: u64, slot: Slot },
}

/// A file as it was when the request was put together.
pub(crate) struct Stat {
    path: PathBuf,
    size: u64,
    modified: Option<SystemTime>,
    /// Its first bytes, by which its type can be told.
    start: Vec<u8>,
}

impl Stat {
    /// Looks at a file, and whether it can be read. Blocks.
    #[inline]
    pub(crate) fn new(path: PathBuf) -> Result<Self, String> {
        let look = || {
            // Before it is opened: opening a pipe can block for good.
            if !std::fs::metadata(&path)?.is_file() {
                return Err(io::Error::other("not a regular file"));
            }
            let mut file = File::open(&path)?;
            let found = file.metadata()?;
            let mut start = Vec::new();
            file.by_ref().take(START).read_to_end(&mut start)?;
            Ok((found, start))
        };
        match look() {
            Ok((found, start)) => Ok(Self {
                start,
                size: found.len(),
                modified: found.modified().ok(),
                path,
            }),
            Err(error) => Err(format!("{}: {error}", path.display())),
        }
    }

    /// Compares the file with what it was.
    #[inline]
    fn check(&self, file: &File) -> Result<(), String> {
        let path = self.path.display();
        let found = file
            .metadata()
            .map_err(|error| format!("{path}: {error}"))?;
        if found.len() != self.size {
            let (size, was) = (found.len(), self.size);
            return Err(format!("{path}: it has {size} bytes now, and had {was}"));
        }
        if found.modified().ok() != self.modified {
            return Err(format!("{path}: it was changed in the meantime"));
        }
        Ok(())
    }
}

/// A reader until somebody takes it.
#[derive(Clone)]
pub(crate) struct Slot(Arc<Mutex<Option<Reader>>>);

enum Reader {
    Blocking(Box<dyn Read + Send>),
    Async(Pin<Box<dyn AsyncRead + Send>>),
}

impl Slot {
    #[inline]
    pub(crate) fn blocking(reader: impl Read + Send + 'static) -> Self {
        Self::new(Reader::Blocking(Box::new(reader)))
    }

    #[inline]
    pub(crate) fn with(reader: impl AsyncRead + Send + 'static) -> Self {
        Self::new(Reader::Async(Box::pin(reader)))
    }

    #[inline]
    fn new(reader: Reader) -> Self {
        Self(Arc::new(Mutex::new(Some(reader))))
    }

    #[inline]
    fn take(&self) -> Option<Reader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Whether it was taken.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none()
    }
}

impl Blob {
    #[inline]
    pub(crate) fn bytes(field: &str, bytes: Bytes) -> Self {
        let source = Source::Bytes(bytes);
        Self::new(field, source)
    }

    #[inline]
    pub(crate) fn file(field: &str, stat: Stat) -> Self {
        Self::new(field, Source::File(Arc::new(stat)))
    }

    #[inline]
    pub(crate) fn reader(field: &str, size: u64, slot: Slot) -> Self {
        Self::new(field, Source::Reader { size, slot })
    }

    #[inline]
    fn new(field: &str, source: Source) -> Self {
        Self {
            field: field.into(),
            source: Arc::new(source),
        }
    }

    /// Bytes of content, before they are encoded.
    pub(crate) fn size(&self) -> u64 {
        self.source.size()
    }

    /// Its first bytes, at least as many as tell its type; none of a reader.
    pub(crate) fn start(&self) -> &[u8] {
        self.source.start()
    }

    /// Starts at the beginning. Nothing is opened yet.
    pub(crate) fn open(self) -> Reading {
        Reading {
            state: Mutex::new(self.source.open()),
            field: self.field,
        }
    }
}

impl Open for Source {
    #[inline]
    fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(stat) => stat.size,
            Self::Reader { size, .. } => *size,
        }
    }

    #[inline]
    fn start(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::File(stat) => &stat.start,
            Self::Reader { .. } => &[],
        }
    }

    #[inline]
    fn rewindable(&self) -> bool {
        !matches!(self, Self::Reader { .. })
    }

    #[inline]
    fn open(&self) -> Box<dyn Chunks + Send> {
        let left = self.size();
        Box::new(match self {
            Self::Bytes(bytes) => State::Bytes(bytes.clone()),
            Self::File(stat) => State::idle(Input::Closed(stat.clone()), left),
            Self::Reader { slot, .. } => match slot.take() {
                Some(Reader::Blocking(reader)) => State::idle(Input::Reader(reader), left),
                Some(Reader::Async(reader)) => State::Async {
                    reader,
                    chunk: Vec::new(),
                    left,
                },
                None => State::Spent,
            },
        })
    }
}

/// A blob on its way out.
pub(crate) struct Reading {
    field: Arc<str>,
    /// Never locked: the mutex makes a reader `Sync`, which the HTTP layer asks for.
    state: Mutex<Box<dyn Chunks + Send>>,
}

/// Yields content in base64, piece by piece. Nothing follows a failure.
trait Chunks {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>>;
}

enum State {
    Bytes(Bytes),
    /// Between two pieces of a file or a blocking reader.
    Idle(Box<Blocking>),
    /// While a piece is read, on a thread that may block.
    Busy(JoinHandle<(Box<Blocking>, Result<Bytes, String>)>),
    Async {
        reader: Pin<Box<dyn AsyncRead + Send>>,
        /// Read, and not encoded yet.
        chunk: Vec<u8>,
        /// Bytes that have not been read.
        left: u64,
    },
    /// The reader was used by an earlier attempt.
    Spent,
    Done,
}

impl State {
    #[inline]
    fn idle(input: Input, left: u64) -> Self {
        Self::Idle(Box::new(Blocking {
            input,
            left,
            chunk: Vec::new(),
            done: false,
        }))
    }
}

impl Reading {
    /// The next bytes of base64; `None` at the end, which is reached only if the size was right.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, FieldError>> {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.poll_next(cx).map_err(|message| FieldError {
            field: self.field.to_string(),
            message,
        })
    }
}

impl Chunks for State {
    #[inline]
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>> {
        self.poll_piece(cx).map_err(|message| {
            *self = Self::Done;
            message
        })
    }
}

impl State {
    #[inline]
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, String>> {
        loop {
            match self {
                Self::Done => return Poll::Ready(Ok(None)),
                Self::Spent => {
                    return Poll::Ready(Err("the reader was used up before".to_owned()));
                }
                Self::Bytes(bytes) => {
                    let chunk = bytes.split_to(bytes.len().min(CHUNK));
                    if chunk.is_empty() {
                        *self = Self::Done;
                        continue;
                    }
                    return Poll::Ready(Ok(Some(encode(&chunk))));
                }
                Self::Idle(_) => {
                    let Self::Idle(mut blocking) = std::mem::replace(self, Self::Done) else {
                        continue;
                    };
                    if blocking.done {
                        continue;
                    }
                    let Ok(runtime) = Handle::try_current() else {
                        return Poll::Ready(Err("read outside of a tokio runtime".to_owned()));
                    };
                    *self = Self::Busy(runtime.spawn_blocking(move || {
                        let piece = blocking.next();
                        (blocking, piece)
                    }));
                }
                Self::Busy(task) => {
                    let (blocking, piece) = ready!(Pin::new(task).poll(cx))
                        // The runtime is going down, or the user's reader panicked.
                        .map_err(|_| "reading was stopped".to_owned())?;
                    *self = Self::Idle(blocking);
                    let piece = piece?;
                    if !piece.is_empty() {
                        return Poll::Ready(Ok(Some(piece)));
                    }
                }
                Self::Async {
                    reader,
                    chunk,
                    left,
                } => {
                    let (piece, ended) = ready!(poll_chunk(reader.as_mut(), chunk, left, cx))?;
                    if ended {
                        *self = Self::Done;
                    }
                    if !piece.is_empty() {
                        return Poll::Ready(Ok(Some(piece)));
                    }
                }
            }
        }
    }
}

/// Reads up to a chunk, and says whether that was the last: then nothing follows it.
#[inline]
fn poll_chunk(
    mut reader: Pin<&mut (dyn AsyncRead + Send)>,
    chunk: &mut Vec<u8>,
    left: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<Result<(Bytes, bool), String>> {
    // On the stack, and thus small: a chunk is put together of several.
    let mut space = [0; 8 * 1024];
    loop {
        // One byte more than is left, to see whether something follows.
        let want = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX);
        let want = want.min(CHUNK.saturating_sub(chunk.len())).min(space.len());
        if want == 0 {
            let piece = encode(chunk);
            chunk.clear();
            return Poll::Ready(Ok((piece, false)));
        }
        let (space, _) = space.split_at_mut(want);
        let mut space = ReadBuf::new(space);
        ready!(reader.as_mut().poll_read(cx, &mut space)).map_err(|error| error.to_string())?;
        let read = space.filled();
        if read.is_empty() {
            if *left > 0 {
                return Poll::Ready(Err(ends_early(*left)));
            }
            return Poll::Ready(Ok((encode(chunk), true)));
        }
        if read.len() as u64 > *left {
            return Poll::Ready(Err("it goes on after its length".to_owned()));
        }
        *left -= read.len() as u64;
        chunk.extend_from_slice(read);
    }
}

/// A file or reader that is read where blocking is allowed.
struct Blocking {
    input: Input,
    left: u64,
    chunk: Vec<u8>,
    done: bool,
}

enum Input {
    /// Not opened yet.
    Closed(Arc<Stat>),
    File(File, Arc<Stat>),
    Reader(Box<dyn Read + Send>),
}

impl Blocking {
    /// The next chunk in base64; after the last one `done` is set.
    #[inline]
    fn next(&mut self) -> Result<Bytes, String> {
        if let Input::Closed(stat) = &self.input {
            let file = File::open(&stat.path)
                .map_err(|error| format!("{}: {error}", stat.path.display()))?;
            stat.check(&file)?;
            self.input = Input::File(file, stat.clone());
        }
        let want = CHUNK.min(usize::try_from(self.left).unwrap_or(CHUNK));
        self.chunk.resize(want, 0);
        let mut filled = 0;
        while let Some(space @ [_, ..]) = self.chunk.get_mut(filled..) {
            match self.input.read(space)? {
                0 => {
                    let missing = self.left.saturating_sub(filled as u64);
                    return Err(self.input.explain(ends_early(missing)));
                }
                read => filled += read,
            }
        }
        self.left = self.left.saturating_sub(filled as u64);
        if self.left == 0 {
            self.done = true;
            if self.input.read(&mut [0])? > 0 {
                return Err(self.input.explain("it goes on after its length".to_owned()));
            }
            if let Input::File(file, stat) = &self.input {
                stat.check(file)?;
            }
        }
        Ok(encode(&self.chunk))
    }
}

impl Input {
    #[inline]
    fn read(&mut self, space: &mut [u8]) -> Result<usize, String> {
        loop {
            let result = match self {
                Self::Closed(_) => Ok(0),
                Self::File(file, _) => file.read(space),
                Self::Reader(reader) => reader.read(space),
            };
            match result {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A reader of the user's can claim anything.
                Ok(read) => return Ok(read.min(space.len())),
                Err(error) => return Err(self.explain(error.to_string())),
            }
        }
    }

    /// `text`, about the file if it is one.
    #[inline]
    fn explain(&self, text: String) -> String {
        match self.path() {
            Some(path) => format!("{}: {text}", path.display()),
            None => text,
        }
    }

    #[inline]
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Closed(stat) | Self::File(_, stat) => Some(&stat.path),
            Self::Reader(_) => None,
        }
    }
}

#[inline]
fn ends_early(missing: u64) -> String {
    let bytes = if missing == 1 { "byte" } else { "bytes" };
    format!("it ends {missing} {bytes} before its length")
}

#[inline]
fn encode(bytes: &[u8]) -> Bytes {
    STANDARD.encode(bytes).into()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A file of so many bytes that goes away with its folder.
    fn file(size: usize) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        std::fs::write(&path, vec![7; size]).unwrap();
        (folder, path)
    }

    fn blocking(path: &Path) -> Blocking {
        let stat = Stat::new(path.to_owned()).unwrap();
        let left = stat.size;
        Blocking {
            input: Input::Closed(Arc::new(stat)),
            left,
            chunk: Vec::new(),
            done: false,
        }
    }

    /// Reads to the end, and does something after the first piece.
    fn read(path: &Path, then: impl FnOnce()) -> Result<String, String> {
        let mut blocking = blocking(path);
        let mut out = blocking.next()?.to_vec();
        then();
        while !blocking.done {
            out.extend_from_slice(&blocking.next()?);
        }
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn files_are_encoded_in_pieces() {
        for size in [
            0,
            1,
            2,
            3,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            2 * CHUNK,
            2 * CHUNK + 2,
        ] {
            let (_folder, path) = file(size);
            let piece = Piece::Base64(Blob::file("f", Stat::new(path.clone()).unwrap()));
            let encoded = read(&path, || {}).unwrap();
            assert_eq!(encoded, STANDARD.encode(vec![7; size]));
            assert_eq!(piece.size(), encoded.len() as u64);
            assert!(piece.rewindable());
        }
    }

    #[test]
    fn a_file_that_changes_while_it_is_read_is_found_out() {
        type Change = fn(&Path);
        let changes: [(Change, &str); 3] = [
            (|path| std::fs::write(path, "short").unwrap(), "ends"),
            (
                |path| {
                    let mut file = File::options().append(true).open(path).unwrap();
                    file.write_all(b"more").unwrap();
                },
                "goes on",
            ),
            (
                |path| {
                    let file = File::options().write(true).open(path).unwrap();
                    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
                },
                "changed",
            ),
        ];
        for (change, says) in changes {
            let (_folder, path) = file(2 * CHUNK + 5);
            let error = read(&path, || change(&path)).unwrap_err();
            assert!(
                error.contains(says) && error.contains("data.bin"),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("none.bin")] {
            let error = Stat::new(path.clone()).err().unwrap();
            assert!(error.contains(&path.display().to_string()), "{error}");
        }
    }
}
