//! Reads content while it is sent, and encodes it as base64.

use std::future::poll_fn;
use std::io::{self, Read};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use tokio::io::{AsyncRead, ReadBuf};

use crate::FieldError;
use crate::platform::{NotRun, blocking};

/// Number of bytes read at a time, which bounds the memory that content takes. A multiple of three:
/// the concatenated base64 of the chunks is the base64 of the whole.
const CHUNK: usize = 96 * 1024;

/// A source of content: a blocking or an async reader.
pub(crate) enum ContentReader {
    /// A blocking reader, which is read on a thread for blocking work.
    Blocking(Box<dyn Read + Send>),
    Async(Pin<Box<dyn AsyncRead + Send>>),
}

impl ContentReader {
    /// Reads `limit` bytes, or fewer at the end of the content.
    async fn read(self, limit: usize) -> io::Result<(Self, Vec<u8>)> {
        match self {
            Self::Blocking(mut reader) => {
                let read = move || {
                    let mut chunk = Vec::with_capacity(limit);
                    let mut limited = reader.by_ref().take(limit as u64);
                    limited.read_to_end(&mut chunk)?;
                    Ok((Self::Blocking(reader), chunk))
                };
                match blocking(read).await {
                    Ok(result) => result,
                    Err(NotRun::NoRuntime) => {
                        Err(io::Error::other("read outside of a tokio runtime"))
                    }
                    Err(NotRun::Ended) => Err(io::Error::other(
                        "reading stopped: the reader panicked or the runtime is shutting down",
                    )),
                }
            }
            Self::Async(mut reader) => {
                let mut chunk = vec![0; limit];
                let mut buffer = ReadBuf::new(&mut chunk);
                let mut ended = false;
                while !ended && buffer.remaining() > 0 {
                    let before = buffer.filled().len();
                    poll_fn(|cx| reader.as_mut().poll_read(cx, &mut buffer)).await?;
                    ended = buffer.filled().len() == before;
                }
                let read = buffer.filled().len();
                chunk.truncate(read);
                Ok((Self::Async(reader), chunk))
            }
        }
    }
}

/// Content with `left` bytes that have not been read.
struct Unread {
    reader: ContentReader,
    left: u64,
}

impl Unread {
    /// Reads a chunk. Returns the chunk and the unread rest, or `None` if the content is empty.
    async fn read_chunk(self) -> io::Result<Option<(Vec<u8>, Option<Self>)>> {
        // One byte more than is left, to notice content that continues.
        let wanted = usize::try_from(self.left.saturating_add(1)).unwrap_or(usize::MAX);
        let wanted = wanted.min(CHUNK);
        let (reader, chunk) = self.reader.read(wanted).await?;
        let Some(left) = self.left.checked_sub(chunk.len() as u64) else {
            return Err(io::Error::other("content is longer than its stated length"));
        };
        let has_ended = chunk.len() < wanted;
        if has_ended && left > 0 {
            let bytes = if left == 1 { "byte" } else { "bytes" };
            let message = format!("content ends {left} {bytes} before its stated length");
            return Err(io::Error::other(message));
        }
        let rest = (!has_ended).then_some(Self { reader, left });
        Ok((!chunk.is_empty()).then_some((chunk, rest)))
    }
}

/// The base64 of content, chunk by chunk. Yields nothing after an error.
pub(crate) struct Base64Stream {
    /// The request field that the content is for.
    field: String,
    /// Never locked: the mutex makes the stream `Sync`, which reqwest requires.
    chunks: Mutex<BoxStream<'static, io::Result<Vec<u8>>>>,
}

impl Base64Stream {
    /// Encodes `size` bytes of a reader.
    pub(crate) fn new(reader: ContentReader, size: u64, field: &str) -> Self {
        let unread = Unread { reader, left: size };
        let chunks = stream::try_unfold(Some(unread), |unread| async {
            match unread {
                Some(unread) => unread.read_chunk().await,
                None => Ok(None),
            }
        });
        Self {
            field: field.to_owned(),
            chunks: Mutex::new(Box::pin(chunks)),
        }
    }

    /// Returns the next bytes. `None` at the end, which is reached only if the stated size was right.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, FieldError>> {
        let chunks = self
            .chunks
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        Poll::Ready(match ready!(chunks.as_mut().poll_next(cx)) {
            None => Ok(None),
            Some(Ok(chunk)) => Ok(Some(STANDARD.encode(chunk).into())),
            Some(Err(error)) => Err(FieldError {
                field: self.field.clone(),
                message: error.to_string(),
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write;
    use std::path::Path;
    use std::time::SystemTime;

    use super::*;
    use crate::body::content::{Content, Files};

    /// Reads a file to the end, and calls `change` after the first chunk.
    async fn read(path: &Path, change: impl FnOnce()) -> Result<String, FieldError> {
        let files = Files::look([path].into_iter()).await.unwrap();
        let content = Content::File(path.to_owned()).sized("f", &files)?;
        let mut stream = content.open()?;
        let mut change = Some(change);
        let mut read = String::new();
        while let Some(chunk) = poll_fn(|cx| stream.poll_next(cx)).await? {
            read.push_str(std::str::from_utf8(&chunk).unwrap());
            if let Some(change) = change.take() {
                change();
            }
        }
        Ok(read)
    }

    #[tokio::test]
    async fn chunks_of_a_file_join_to_its_base64() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
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
            std::fs::write(&path, vec![7; size]).unwrap();
            let encoded = read(&path, || {}).await.unwrap();
            assert_eq!(encoded, STANDARD.encode(vec![7; size]), "{size}");
        }
    }

    #[tokio::test]
    async fn file_that_changes_while_it_is_read_is_an_error() {
        type Change = fn(&Path);
        let changes: [(Change, &str); 3] = [
            (|path| std::fs::write(path, "short").unwrap(), "to 5 bytes"),
            (
                |path| {
                    let mut file = File::options().append(true).open(path).unwrap();
                    file.write_all(b"more").unwrap();
                },
                "size changed",
            ),
            (
                |path| {
                    let file = File::options().write(true).open(path).unwrap();
                    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
                },
                "modification time changed",
            ),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.bin");
        for (change, says) in changes {
            std::fs::write(&path, vec![7; 2 * CHUNK + 5]).unwrap();
            let error = read(&path, || change(&path)).await.unwrap_err();
            let FieldError { field, message } = error;
            assert_eq!(field, "f");
            assert!(
                message.contains(says) && message.contains("data.bin"),
                "{message}"
            );
        }
    }

    #[tokio::test]
    async fn path_that_is_not_a_file_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("none.bin")] {
            let error = read(&path, || {}).await.unwrap_err();
            assert!(
                error.message.contains(&path.display().to_string()),
                "{error}"
            );
        }
    }

    #[tokio::test]
    async fn stream_yields_nothing_after_an_error() {
        let reader = ContentReader::Blocking(Box::new(&b"x"[..]));
        let mut stream = Base64Stream::new(reader, 2, "f");
        let error = poll_fn(|cx| stream.poll_next(cx)).await.unwrap_err();
        assert_eq!(
            error.message,
            "content ends 1 byte before its stated length"
        );
        assert!(poll_fn(|cx| stream.poll_next(cx)).await.unwrap().is_none());
    }
}
