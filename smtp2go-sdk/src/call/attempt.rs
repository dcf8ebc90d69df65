//! One attempt's body on its way out, and the proof that it never left.
//!
//! Error types can't tell "timed out while connecting" from "timed out after the request was
//! processed". The body can: the HTTP layer asks for its first bytes before it writes any of the
//! request, so a request whose body was never asked for was never sent. A plain flag would be
//! racy, since the body could be asked for after the flag was read; the gate here is one atomic
//! that is either *taken* by the HTTP layer or *sealed* by us, and never both. Once sealed, the
//! body refuses to be read, so that the request can't be sent later either.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::body::content::{Failure, Piece, Reading};

/// Nobody has touched the body yet.
const FRESH: u8 = 0;
/// The HTTP layer has read from the body: some of the request may be out.
const TAKEN: u8 = 1;
/// The attempt is over and the body was never read.
const SEALED: u8 = 2;

/// Bytes handed over at a time: small enough for progress to show, since the HTTP layer comes
/// back for more as it gets rid of what it has.
const FRAME: usize = 64 * 1024;

/// What one attempt shares with its body: the gate, and when something last moved.
#[derive(Debug)]
pub(crate) struct Wire {
    gate: AtomicU8,
    started: Instant,
    /// Milliseconds from the start to the last progress.
    moved: AtomicU64,
    /// Whether there was progress since, by bytes that came in.
    received: AtomicBool,
    /// Bytes of the body that were handed over.
    sent: AtomicU64,
    /// Why the body broke off, if it did so before its last byte.
    failure: OnceLock<Failure>,
}

impl Wire {
    /// Of an attempt that started then.
    pub(crate) fn new(started: Instant) -> Self {
        Self {
            gate: AtomicU8::new(FRESH),
            started,
            moved: AtomicU64::new(0),
            received: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            failure: OnceLock::new(),
        }
    }

    /// Why the body could not be read to its end. If there is an answer to this, the request was
    /// never sent as a whole, and never will be: a body that failed yields nothing more.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.failure.get()
    }

    /// Bytes of the body that were handed to the HTTP layer.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends the attempt's chance to be sent. True: nothing was sent, and nothing will be.
    pub(crate) fn seal(&self) -> bool {
        self.settle(SEALED)
    }

    /// Claims the body for sending. False: it was sealed.
    fn take(&self) -> bool {
        self.settle(TAKEN)
    }

    /// Settles what the gate is for, unless that was done before. Whether it is settled that way.
    fn settle(&self, way: u8) -> bool {
        let found = match self.gate.load(Ordering::Acquire) {
            // To write costs much more than to look, and most find what was written.
            FRESH => self
                .gate
                .compare_exchange(FRESH, way, Ordering::AcqRel, Ordering::Acquire)
                .map_or_else(|found| found, |_| way),
            found => found,
        };
        found == way
    }

    /// Notes that bytes came in, in what [`within`](Self::within) runs. That looks at the clock once
    /// it has to wait for more: most answers are there as a whole.
    pub(crate) fn received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Notes that bytes went out or came in.
    fn progress(&self) {
        let elapsed = self.started.elapsed();
        let millis = elapsed.as_secs().saturating_mul(1000) + u64::from(elapsed.subsec_millis());
        self.moved.store(millis, Ordering::Relaxed);
    }

    /// When to give up, as things stand: `limit` after the start, or `idle` after the last
    /// progress, whichever comes first.
    pub(crate) fn due(&self, limit: Duration, idle: Duration) -> Instant {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        let wait = limit.min(moved.saturating_add(idle));
        // Can't overflow: the builder caps the time limits.
        self.started.checked_add(wait).unwrap_or(self.started)
    }

    /// Runs `work` to its end, or until its time is up (`None`). The timer is one that ends when
    /// it is [`due`](Self::due).
    pub(crate) fn within<F: Future>(
        &self,
        limit: Duration,
        idle: Duration,
        mut timer: Pin<&mut Sleep>,
        mut work: Pin<&mut F>,
    ) -> impl Future<Output = Option<F::Output>> {
        poll_fn(move |cx| {
            if let Poll::Ready(output) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(output));
            }
            if self.received.load(Ordering::Relaxed) {
                self.received.store(false, Ordering::Relaxed);
                self.progress();
            }
            loop {
                ready!(timer.as_mut().poll(cx));
                let due = self.due(limit, idle);
                if due <= Instant::now() {
                    return Poll::Ready(None);
                }
                timer.as_mut().reset(due);
            }
        })
    }
}

/// Seals a wire when dropped: a cancelled call is not sent later.
#[derive(Debug)]
pub(crate) struct SealOnDrop<'a>(pub(crate) &'a Wire);

impl Drop for SealOnDrop<'_> {
    fn drop(&mut self) {
        self.0.seal();
    }
}

/// The body that is handed to the HTTP layer for one attempt.
pub(crate) struct AttemptBody {
    wire: Arc<Wire>,
    /// The last one is not empty.
    pieces: Arc<[Piece]>,
    /// The piece to go on with, and how much of it is out.
    next: (usize, usize),
    /// The piece before that, which is being read.
    reading: Option<Reading>,
    remaining: u64,
    failed: bool,
}

impl AttemptBody {
    pub(crate) fn new(wire: Arc<Wire>, pieces: Arc<[Piece]>) -> Self {
        Self {
            wire,
            remaining: pieces.iter().map(Piece::size).sum(),
            pieces,
            next: (0, 0),
            reading: None,
            failed: false,
        }
    }

    /// The next bytes, as long as nothing fails.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            if let Some(reading) = &mut self.reading {
                if let Some(bytes) = ready!(reading.poll_next(cx))? {
                    return Poll::Ready(Ok(Some(bytes)));
                }
                self.reading = None;
            }
            let (index, start) = self.next;
            match self.pieces.get(index) {
                None => return Poll::Ready(Ok(None)),
                Some(Piece::Bytes(bytes)) => {
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
                Some(Piece::Base64(blob)) => {
                    self.reading = Some(blob.clone().open());
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
        if !self.wire.take() {
            // An error, not the end: an end could pass for a complete, empty body.
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
                // Nobody else adds to it.
                let sent = self.wire.sent() + size;
                self.wire.sent.store(sent, Ordering::Relaxed);
                Poll::Ready(Some(Ok(Frame::data(frame))))
            }
            Err(failure) => {
                self.failed = true;
                // Nothing to tell if all bytes are out: then the request may be complete.
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

    /// Exact, so that the request goes out with its Content-Length.
    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

/// Why the body yields no more, in words for the HTTP layer only.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// It was asked for after the attempt had ended.
    Sealed,
    /// Its content could not be read, see [`Wire::failure`].
    Unreadable,
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sealed => "the attempt had ended before its request was sent",
            Self::Unreadable => "the content of the request could not be read",
        })
    }
}

impl std::error::Error for BodyError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body::content::{Blob, Slot};
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
        let wire = Arc::new(Wire::new(Instant::now()));
        (
            wire.clone(),
            AttemptBody::new(
                wire,
                chunks.iter().copied().cloned().map(Piece::Bytes).collect(),
            ),
        )
    }

    #[test]
    fn a_body_comes_in_pieces_with_its_exact_size() {
        let long = Bytes::from(vec![b'x'; FRAME + 1]);
        let (_, mut body) = body(&[&Bytes::from_static(b"{"), &Bytes::new(), &long]);
        assert_eq!(body.size_hint().exact(), Some(FRAME as u64 + 2));
        let mut sizes = Vec::new();
        while let Some(frame) = poll(&mut body) {
            sizes.push(frame.unwrap().len());
        }
        assert_eq!(sizes, [1, FRAME, 1]);
        assert!(body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(0));
    }

    #[test]
    fn a_sealed_body_never_yields() {
        let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
        assert!(wire.seal());
        assert!(wire.seal(), "sealing again finds the seal");
        for _ in 0..2 {
            assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
        }
    }

    #[test]
    fn a_taken_body_cannot_be_sealed() {
        let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
        assert!(matches!(poll(&mut body), Some(Ok(_))));
        assert!(!wire.seal());
        assert!(poll(&mut body).is_none());
    }

    #[test]
    fn dropping_the_guard_seals() {
        let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
        drop(SealOnDrop(&wire));
        assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
    }

    #[test]
    fn racing_threads_never_both_win() {
        for _ in 0..500 {
            let (wire, mut body) = body(&[&Bytes::from_static(b"{}")]);
            let yielded = std::thread::scope(|scope| {
                let reader = scope.spawn(move || matches!(poll(&mut body), Some(Ok(_))));
                let sealed = wire.seal();
                (reader.join().unwrap(), sealed)
            });
            assert!(
                matches!(yielded, (true, false) | (false, true)),
                "{yielded:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_body_that_fails_yields_nothing_more() {
        for (before, yielded) in [("", 0), ("{\"a\":\"", 1)] {
            let short = Blob::reader("a", 2, Slot::blocking(&b"x"[..]));
            let pieces = [
                Piece::Bytes(Bytes::from_static(before.as_bytes())),
                Piece::Base64(short),
                Piece::Bytes(Bytes::from_static(b"\"}")),
            ];
            let wire = Arc::new(Wire::new(Instant::now()));
            let mut body = AttemptBody::new(wire.clone(), Arc::new(pieces));
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
            assert_eq!(failure.to_string(), "a: it ends 1 byte before its length");
        }
        // A sealed body does not even start to read.
        let slot = Slot::blocking(&b"xy"[..]);
        let wire = Arc::new(Wire::new(Instant::now()));
        let blob = Piece::Base64(Blob::reader("a", 2, slot.clone()));
        let mut body = AttemptBody::new(wire.clone(), Arc::new([blob]));
        assert!(wire.seal());
        assert!(matches!(poll(&mut body), Some(Err(BodyError::Sealed))));
        assert!(!slot.is_empty() && wire.failure().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn progress_puts_the_idle_limit_off_but_not_the_whole() {
        async fn within<F: Future>(
            wire: &Wire,
            limit: Duration,
            idle: Duration,
            work: F,
        ) -> Option<F::Output> {
            let timer = pin!(tokio::time::sleep_until(wire.due(limit, idle)));
            wire.within(limit, idle, timer, pin!(work)).await
        }

        let second = Duration::from_secs(1);
        let wire = Wire::new(Instant::now());
        let never = std::future::pending::<()>();
        let stalled = within(&wire, 10 * second, 3 * second, never).await;
        assert!(stalled.is_none());
        assert_eq!(wire.started.elapsed().as_secs(), 3);

        let wire = Wire::new(Instant::now());
        let steady = async {
            loop {
                tokio::time::sleep(2 * second).await;
                wire.received();
            }
        };
        let cut: Option<()> = within(&wire, 10 * second, 3 * second, steady).await;
        assert!(cut.is_none());
        assert_eq!(wire.started.elapsed().as_secs(), 10);

        let wire = Wire::new(Instant::now());
        let done = within(&wire, second, second, async { 7 }).await;
        assert_eq!(done, Some(7));
    }
}
