//! One exchange with a host, and the proof of how much of the request was sent.
//!
//! Error types can't tell "timed out while connecting" from "timed out after the request was
//! processed". The request's body can tell. The HTTP layer asks for the body's first bytes before it
//! writes any of the request, and the request is incomplete until the body hands over its last byte. A
//! plain flag would be racy, since the HTTP layer could ask for the body after the flag was read. So
//! the body has a gate: one atomic that the HTTP layer advances and this module seals. A sealed body
//! refuses to be read, so the request can't be completed later.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::platform::time::{Instant, Sleep, sleep_until};
use crate::platform::transport::{self, Url};
use bytes::Bytes;
use http::HeaderMap;
use http::StatusCode;
use http_body::{Frame, SizeHint};

use super::Core;
use super::failover::Host;
use super::verdict::{Ending, Evidence, Received, Upload};
use crate::body::Part;
use crate::body::read::Base64Stream;
use crate::error::{FieldError, ReplyLimit};
use crate::operation::Operation;

/// The HTTP layer has not asked for the body.
const FRESH: u8 = 0;
/// The HTTP layer has asked for the body: part of the request may have been sent.
const TAKEN: u8 = 1;
/// The last byte was handed over: the whole request may have been sent.
const WHOLE: u8 = 2;
/// Sealed before the body was asked for.
const SEALED_FRESH: u8 = 3;
/// Sealed before the last byte was handed over.
const SEALED_PART: u8 = 4;

/// Maximum size of a frame. The HTTP layer asks for a frame when it has sent the previous one, so small
/// frames show progress.
const FRAME: usize = 64 * 1024;
/// Number of bytes at the end of a large body that are each a frame of their own. hyper queues up to 16
/// frames while a connection accepts no data. So when it asks for the last byte, it has written the
/// larger frames. Otherwise it could hold up to 400 KiB, which a suspended process would send after
/// waking up.
const TAIL: u64 = 16;
/// Size from which a body is large. A smaller one is written at once.
const LARGE: u64 = 16 * 1024;
/// Cap on preallocation for a reply: its Content-Length is not trusted.
const PREALLOCATED: usize = 64 * 1024;
/// If a timeout is noticed this long after it was due, the process was suspended or the runtime
/// blocked. A reply that arrived in the meantime is then still read, within [`GRACE`].
const LATE: Duration = Duration::from_millis(5);
const GRACE: Duration = Duration::from_millis(20);

/// A request, ready to be sent.
pub(crate) struct Request {
    /// The HTTP client of the caller's runtime.
    pub(crate) http: transport::Client,
    pub(crate) operation: &'static Operation,
    pub(crate) headers: Arc<HeaderMap>,
    pub(crate) parts: Arc<[Part]>,
    /// Whether the same bytes can be sent again.
    pub(crate) rewindable: bool,
    /// Time allowed for sending the body, which is added to the time limits.
    pub(crate) upload: Duration,
}

/// The time limits of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Maximum time of the whole attempt.
    pub(crate) total: Duration,
    /// Maximum time without progress.
    pub(crate) idle: Duration,
}

impl Core {
    /// Sends a request once, and returns what [`verdict`](super::verdict) judges it by. Calls `head`
    /// with the status and headers as soon as they arrive.
    pub(super) async fn attempt(
        &self,
        request: &Request,
        host: &Host,
        wire: Arc<Wire>,
        limits: Limits,
        head: impl FnOnce(StatusCode, &HeaderMap),
    ) -> Evidence {
        let _sealed_if_cancelled = SealOnDrop(&wire);
        let mut answer = None;
        let exchanged = {
            let sent = request.http.execute(Self::request(request, host, &wire));
            let exchange = pin!(async {
                let mut response = sent.await?;
                wire.received();
                head(response.status(), response.headers());
                let size = response.content_length();
                let room = usize::try_from(size.unwrap_or_default()).unwrap_or(usize::MAX);
                let answer = answer.insert(Received {
                    status: response.status(),
                    // Our own HTTP client follows no redirect; the user's may.
                    followed: !is_at(response.url(), &host.base_url, request.operation.path),
                    headers: std::mem::take(response.headers_mut()),
                    body: Vec::with_capacity(room.min(PREALLOCATED)),
                });
                let limit = self.max_reply_bytes;
                // An error's body is read up to the limit, because it says what is wrong.
                if size.is_some_and(|size| size > limit) && answer.status.is_success() {
                    return Ok(false);
                }
                while let Some(chunk) = response.chunk().await? {
                    wire.received();
                    if !answer.take(&chunk, limit) {
                        return Ok(false);
                    }
                }
                Ok(true)
            });
            wire.within(limits, exchange).await
        };
        let ending = match (wire.failure(), exchanged) {
            (Some(failure), _) if answer.is_none() => Ending::Content(failure.clone()),
            (_, Some(Ok(true))) => Ending::Complete,
            (_, Some(Ok(false))) => Ending::OverLimit(ReplyLimit::Bytes(self.max_reply_bytes)),
            (_, Some(Err(_))) if wire.expired.load(Ordering::Relaxed) => Ending::Broken(None),
            (_, Some(Err(error))) => Ending::Broken(Some(error)),
            (_, None) => Ending::Broken(None),
        };
        Evidence {
            answer,
            upload: wire.seal(),
            ending,
        }
        .with_values_limited(self.max_reply_values)
    }

    /// Builds the request for the HTTP client.
    fn request(request: &Request, host: &Host, wire: &Arc<Wire>) -> transport::Request {
        let Operation { method, path, .. } = request.operation;
        let body = AttemptBody::new(wire.clone(), request.parts.clone());
        let mut sent = transport::Request::new(method.clone(), host.url(path));
        *sent.headers_mut() = HeaderMap::clone(&request.headers);
        *sent.body_mut() = Some(transport::Body::wrap(body));
        sent
    }
}

/// Whether `url` is `path` below the base URL.
fn is_at(url: &Url, base: &Url, path: &str) -> bool {
    let base = base.as_str();
    let base = base.strip_suffix('/').unwrap_or(base);
    url.as_str().strip_prefix(base) == Some(path)
}

/// State that an attempt shares with its body: the gate, and the time of the last progress.
#[derive(Debug)]
pub(crate) struct Wire {
    gate: AtomicU8,
    started: Instant,
    /// When the attempt must have ended. After this time the body yields nothing, so that a process
    /// that was suspended does not finish a request that other processes consider lost.
    deadline: Instant,
    /// Whether the body was asked for bytes after the deadline.
    expired: AtomicBool,
    /// Milliseconds from the start to the last progress.
    moved: AtomicU64,
    /// Whether bytes of the reply have arrived since `moved` was last updated.
    received: AtomicBool,
    /// Number of bytes of the body that were handed over.
    sent: AtomicU64,
    /// Why the body could not be read, if it failed before its last byte.
    failure: OnceLock<FieldError>,
}

impl Wire {
    pub(crate) fn new(started: Instant, limit: Duration) -> Self {
        Self {
            gate: AtomicU8::new(FRESH),
            started,
            // Can't overflow: the builder caps the time limits.
            deadline: started.checked_add(limit).unwrap_or(started),
            expired: AtomicBool::new(false),
            moved: AtomicU64::new(0),
            received: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    /// Why the body could not be read to its end. If set, the request was never sent whole and never
    /// will be: a body that failed yields nothing more.
    fn failure(&self) -> Option<&FieldError> {
        self.failure.get()
    }

    /// Number of bytes of the body that were handed to the HTTP layer.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Prevents the attempt from sending more, and returns how much may have been sent.
    pub(crate) fn seal(&self) -> Upload {
        let sealed = |gate| match gate {
            FRESH => Some(SEALED_FRESH),
            TAKEN => Some(SEALED_PART),
            _ => None,
        };
        let found = self
            .gate
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, sealed);
        match found.unwrap_or_else(|gate| gate) {
            FRESH | SEALED_FRESH => Upload::Nothing,
            TAKEN | SEALED_PART => Upload::Part,
            _ => Upload::Whole,
        }
    }

    /// Advances the gate before bytes are handed over. `last`: whether they include the last byte
    /// of the body. Returns false if the gate is sealed.
    fn take(&self, last: bool) -> bool {
        let taken = |gate| match gate {
            FRESH | TAKEN => Some(if last { WHOLE } else { TAKEN }),
            _ => None,
        };
        let found = self
            .gate
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, taken);
        found.is_ok() || found == Err(WHOLE)
    }

    /// Records that bytes arrived. [`within`](Self::within) reads the clock only when it has to wait
    /// for more, since most replies arrive as a whole.
    fn received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Records the time at which bytes were sent or arrived.
    fn progress(&self) {
        let elapsed = self.started.elapsed();
        let millis = elapsed.as_secs().saturating_mul(1000) + u64::from(elapsed.subsec_millis());
        self.moved.store(millis, Ordering::Relaxed);
    }

    /// When the attempt times out: `total` after the start, or `idle` after the last progress,
    /// whichever comes first.
    fn due(&self, Limits { total, idle }: Limits) -> Instant {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let wait = total.min(moved.saturating_add(idle));
        // Can't overflow: the builder caps the time limits.
        self.started.checked_add(wait).unwrap_or(self.started)
    }

    /// Runs `work` to its end. Returns `None` if it times out.
    async fn within<F: Future>(&self, limits: Limits, mut work: Pin<&mut F>) -> Option<F::Output> {
        let mut timer: Pin<&mut Sleep> = pin!(sleep_until(self.due(limits)));
        let mut in_grace = false;
        poll_fn(|cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if self.received.swap(false, Ordering::Relaxed) {
                self.progress();
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                let (due, now) = (self.due(limits), Instant::now());
                let late = now.saturating_duration_since(due);
                if due > now {
                    in_grace = false;
                    timer.as_mut().reset(due);
                } else if late > LATE && !in_grace {
                    in_grace = true;
                    timer.as_mut().reset(now.checked_add(GRACE).unwrap_or(now));
                } else {
                    return Poll::Ready(None);
                }
            }
        })
        .await
    }
}

/// Seals a wire when dropped: a cancelled call is not sent later.
#[derive(Debug)]
struct SealOnDrop<'a>(&'a Wire);

impl Drop for SealOnDrop<'_> {
    fn drop(&mut self) {
        self.0.seal();
    }
}

/// The body of one attempt, as the HTTP layer reads it.
pub(crate) struct AttemptBody {
    wire: Arc<Wire>,
    /// The parts of the body. The last one is not empty.
    parts: Arc<[Part]>,
    /// Index of the next part, and the number of its bytes that were handed over.
    next: (usize, usize),
    /// The content that is being read, from the part before `next`.
    reading: Option<Base64Stream>,
    /// Bytes that were read but not handed over yet.
    read: Bytes,
    remaining: u64,
    /// Number of bytes at the end of the body that are handed over one at a time.
    tail: u64,
    failed: bool,
}

impl AttemptBody {
    pub(crate) fn new(wire: Arc<Wire>, parts: Arc<[Part]>) -> Self {
        let remaining = parts.iter().map(Part::size).sum();
        Self {
            wire,
            remaining,
            parts,
            next: (0, 0),
            reading: None,
            read: Bytes::new(),
            tail: if remaining > LARGE { TAIL } else { 0 },
            failed: false,
        }
    }

    /// Returns the next frame; `None` at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FieldError>> {
        if self.read.is_empty() {
            match ready!(self.poll_chunk(cx))? {
                Some(chunk) => self.read = chunk,
                None => return Poll::Ready(Ok(None)),
            }
        }
        let before_tail = self.remaining.saturating_sub(self.tail);
        let limit = match usize::try_from(before_tail).unwrap_or(usize::MAX) {
            0 if self.tail > 0 => 1,
            limit => limit,
        };
        let size = self.read.len().min(limit);
        Poll::Ready(Ok(Some(self.read.split_to(size))))
    }

    /// Returns the next bytes of a part; `None` at the end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, FieldError>> {
        loop {
            if let Some(reading) = &mut self.reading {
                if let Some(bytes) = ready!(reading.poll_next(cx))? {
                    return Poll::Ready(Ok(Some(bytes)));
                }
                self.reading = None;
            }
            let (index, start) = self.next;
            match self.parts.get(index) {
                None => return Poll::Ready(Ok(None)),
                Some(Part::Bytes(bytes)) => {
                    let end = bytes.len().min(start + FRAME);
                    self.next = if end == bytes.len() {
                        (index + 1, 0)
                    } else {
                        (index, end)
                    };
                    if start < end {
                        return Poll::Ready(Ok(Some(bytes.slice(start..end))));
                    }
                }
                Some(Part::Base64(content)) => {
                    self.reading = Some(content.open()?);
                    self.next = (index + 1, 0);
                }
            }
        }
    }
}

impl http_body::Body for AttemptBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.remaining > 0 && Instant::now() >= self.wire.deadline {
            self.wire.expired.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(BodyError::Sealed)));
        }
        if !self.wire.take(false) {
            // An error, because the HTTP layer would treat the end as a complete, empty body.
            return Poll::Ready(Some(Err(BodyError::Sealed)));
        }
        if self.failed {
            return Poll::Ready(Some(Err(BodyError::Unreadable)));
        }
        let result = ready!(self.poll_bytes(cx));
        self.wire.progress();
        match result {
            Ok(None) => Poll::Ready(None),
            Ok(Some(frame)) => {
                let size = frame.len() as u64;
                self.remaining = self.remaining.saturating_sub(size);
                if self.remaining == 0 && !self.wire.take(true) {
                    return Poll::Ready(Some(Err(BodyError::Sealed)));
                }
                // Only this body adds to it, so it need not be one atomic step.
                let sent = self.wire.sent() + size;
                self.wire.sent.store(sent, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
            Err(failure) => {
                self.failed = true;
                // If all bytes were handed over, the request may be complete, so nothing is proven.
                if self.remaining > 0 {
                    let _ = self.wire.failure.set(failure);
                }
                Poll::Ready(Some(Err(BodyError::Unreadable)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0 && self.reading.is_none()
    }

    /// Returns the exact number of bytes that remain, so that the request has a Content-Length.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Why the body yields no more bytes. Only the HTTP layer sees this error.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The attempt ended before the body was read.
    Sealed,
    /// The content could not be read; [`Wire::failure`] says why.
    Unreadable,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sealed => "attempt ended before the request was sent",
            Self::Unreadable => "content of the request could not be read",
        })
    }
}

impl std::error::Error for BodyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::content::{Content, Files};
    use http_body::Body as _;
    use std::pin::pin;

    fn poll(body: &mut AttemptBody) -> Option<Result<Bytes, BodyError>> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut cx) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().unwrap())),
            Poll::Pending => panic!("a body of bytes is always ready"),
        }
    }

    fn body(chunks: &[&Bytes]) -> (Arc<Wire>, AttemptBody) {
        let wire = Arc::new(Wire::new(Instant::now(), Duration::from_secs(60)));
        (
            wire.clone(),
            AttemptBody::new(
                wire,
                chunks.iter().copied().cloned().map(Part::Bytes).collect(),
            ),
        )
    }

    #[test]
    fn reply_from_another_url_is_recognised() {
        for base in [
            "http://localhost:1",
            "http://localhost:1/",
            "http://[::1]/a/b",
        ] {
            let base = Url::parse(base).unwrap();
            let mut url = base.clone();
            url.set_path(&format!(
                "{}/template/view",
                base.path().trim_end_matches('/')
            ));
            assert!(is_at(&url, &base, "/template/view"), "{base}");
            for elsewhere in ["?a", "/", "/x"] {
                let url = Url::parse(&format!("{url}{elsewhere}")).unwrap();
                assert!(!is_at(&url, &base, "/template/view"), "{url}");
            }
        }
    }

    #[test]
    fn body_is_yielded_in_frames_with_its_exact_size() {
        let long = Bytes::from(vec![b'x'; FRAME + 1]);
        let (_, mut body) = body(&[&Bytes::from_static(b"{"), &Bytes::new(), &long]);
        assert_eq!(body.size_hint().exact(), Some(FRAME as u64 + 2));
        let mut sizes = Vec::new();
        while let Some(frame) = poll(&mut body) {
            sizes.push(frame.unwrap().len());
        }
        assert_eq!(sizes[..2], [1, FRAME + 1 - 16]);
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[test]
    fn last_bytes_of_a_large_body_are_frames_of_their_own() {
        let large = Bytes::from(vec![b'x'; 20_000]);
        let (_, mut body) = body(&[&large, &Bytes::from_static(b"}]}")]);
        let mut sizes = Vec::new();
        while let Some(frame) = poll(&mut body) {
            sizes.push(frame.unwrap().len());
        }
        assert_eq!(sizes[0], 20_003 - 16);
        assert_eq!(sizes[1..], [1; 16]);
        assert!(body.is_end_stream());
    }

    #[test]
    fn sealed_body_never_yields() {
        let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
        for _ in 0..2 {
            assert_eq!(wire.seal(), Upload::Nothing);
        }
        for _ in 0..2 {
            assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
        }
    }

    #[test]
    fn whole_body_cannot_be_sealed() {
        let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
        assert!(matches!(poll(&mut body), Some(Ok(_))));
        assert_eq!(wire.seal(), Upload::Whole);
        assert!(poll(&mut body).is_none());
    }

    #[test]
    fn body_closed_before_its_last_frame_was_read_counts_as_incomplete() {
        let long = Bytes::from(vec![b'x'; FRAME + 1]);
        let (wire, mut body) = body(&[&long]);
        assert!(matches!(poll(&mut body), Some(Ok(_))));
        for _ in 0..2 {
            assert_eq!(wire.seal(), Upload::Part);
            assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn body_yields_nothing_after_the_deadline() {
        let long = Bytes::from(vec![b'x'; 2 * FRAME]);
        for (frames, upload) in [
            (0, Upload::Nothing),
            (1, Upload::Part),
            (17, Upload::Part),
            (18, Upload::Whole),
        ] {
            let (wire, mut body) = body(&[&long]);
            for _ in 0..frames {
                assert!(matches!(poll(&mut body), Some(Ok(_))));
            }
            tokio::time::advance(Duration::from_secs(60)).await;
            match poll(&mut body) {
                None => assert_eq!(upload, Upload::Whole),
                frame => assert!(matches!(frame, Some(Err(BodyError::Sealed)))),
            }
            assert_eq!(wire.seal(), upload);
        }
    }

    #[test]
    fn dropping_the_guard_seals_the_body() {
        let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
        drop(SealOnDrop(&wire));
        assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
    }

    #[test]
    fn race_of_reading_and_sealing_has_one_winner() {
        for _ in 0..500 {
            let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
            let yielded = std::thread::scope(|scope| {
                let reader = scope.spawn(move || matches!(poll(&mut body), Some(Ok(_))));
                let sealed = wire.seal();
                (reader.join().unwrap(), sealed)
            });
            let (yielded, upload) = yielded;
            assert_eq!(yielded, upload == Upload::Whole, "{upload:?}");
        }
    }

    #[tokio::test]
    async fn failed_body_yields_nothing_more() {
        for (before, yielded) in [("", 0), ("{\"a\":\"", 1)] {
            let short = Content::blocking_reader(&b"x"[..], 2);
            let short = short.sized("a", &Files::default()).unwrap();
            let parts = [
                Part::Bytes(Bytes::from_static(before.as_bytes())),
                Part::Base64(short),
                Part::Bytes(Bytes::from_static(b"\"}")),
            ];
            let wire = Arc::new(Wire::new(Instant::now(), Duration::from_secs(60)));
            let mut body = AttemptBody::new(wire.clone(), Arc::new(parts));
            assert_eq!(body.size_hint().exact(), Some(before.len() as u64 + 6));
            let mut frames = Vec::new();
            for _ in 0..4 {
                let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
                frames.push(frame.unwrap());
            }
            assert!(frames.iter().take(yielded).all(Result::is_ok));
            assert!(
                frames
                    .iter()
                    .skip(yielded)
                    .all(|frame| matches!(frame, Err(BodyError::Unreadable)))
            );
            assert!(!body.is_end_stream());
            let failure = wire.failure().unwrap();
            assert_eq!(
                failure.to_string(),
                "a: content ends 1 byte before its stated length"
            );
        }
        // A sealed body does not even start to read.
        let content = Content::blocking_reader(&b"xy"[..], 2);
        let sized = || content.sized("a", &Files::default());
        let wire = Arc::new(Wire::new(Instant::now(), Duration::from_secs(60)));
        let part = Part::Base64(sized().unwrap());
        let mut body = AttemptBody::new(wire.clone(), Arc::new([part]));
        assert_eq!(wire.seal(), Upload::Nothing);
        assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
        assert!(sized().is_ok() && wire.failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn progress_extends_the_idle_limit_but_not_the_total_limit() {
        async fn within<F: Future>(
            wire: &Wire,
            limit: Duration,
            idle: Duration,
            work: F,
        ) -> Option<F::Output> {
            wire.within(Limits { total: limit, idle }, pin!(work)).await
        }

        let second = Duration::from_secs(1);
        let wire = Wire::new(Instant::now(), Duration::from_secs(60));
        let never = std::future::pending::<()>();
        let stalled = within(&wire, 10 * second, 3 * second, never).await;
        assert!(stalled.is_none());
        assert_eq!(wire.started.elapsed().as_secs(), 3);

        let wire = Wire::new(Instant::now(), Duration::from_secs(60));
        let steady = async {
            loop {
                tokio::time::sleep(2 * second).await;
                wire.received();
            }
        };
        let cut: Option<()> = within(&wire, 10 * second, 3 * second, steady).await;
        assert!(cut.is_none());
        assert_eq!(wire.started.elapsed().as_secs(), 10);

        let wire = Wire::new(Instant::now(), Duration::from_secs(60));
        let done = within(&wire, second, second, async { 7 }).await;
        assert_eq!(done, Some(7));
    }
}
