//! Many mails, a few at a time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::{self, FuturesUnordered};
use tokio::time::{Instant, Sleep, sleep_until};

use super::Sent;
use crate::call::verdict::certainty_despite_success;
use crate::{Certainty, Client, Email, Error, Reply, operations};

impl Client {
    /// Sends many mails, each by a call of its own, up to `concurrency` of them at once (0 counts as
    /// 1), and hands out what became of each as soon as that is known.
    ///
    /// `mails` is an iterator or a [`Stream`], of mails or of pairs of a key and a mail; the key,
    /// such as the number of a row, comes back with the outcome. See [`Mails`]. It is read as calls
    /// end, never further ahead than `concurrency`, so it may be endless, or larger than memory.
    ///
    /// Each mail is sent as [`send`](Self::send) does it, with its checks, retries and pacing; one
    /// that fails does not keep the others from being sent. To send the mails of a list in one
    /// request, where all have to pass their check, there is [`send_batch`](Self::send_batch).
    ///
    /// ```no_run
    /// # use smtp2go_sdk::{Client, Email};
    /// # async fn example(client: Client, rows: Vec<(u64, String)>) {
    /// let mails = rows.into_iter().map(|(id, address)| {
    ///     let mail = Email::new("Acme <noreply@example.com>", "News").to(address).text("Hello");
    ///     (id, mail)
    /// });
    /// let mut sending = client.send_all(mails, 8);
    /// while let Some(outcome) = sending.next().await {
    ///     match outcome.result {
    ///         Ok(sent) => println!("{}: sent as {:?}", outcome.key, sent.email_id),
    ///         Err(error) => println!("{}: {error}", outcome.key),
    ///     }
    /// }
    /// println!("{}", sending.report());
    /// # }
    /// ```
    ///
    /// How the calls are run, stopped and accounted for is said at [`SendAll`].
    #[inline]
    pub fn send_all<'a, K, M>(
        &self,
        mails: impl Mails<'a, K, M>,
        concurrency: usize,
    ) -> SendAll<'a, K> {
        let source = mails.into_stream();
        let log = Log::default();
        log.left(source.size_hint());
        SendAll {
            client: self.clone(),
            source: Some(source),
            concurrency: concurrency.max(1),
            calls: FuturesUnordered::new(),
            pause: None,
            log: Arc::new(log),
        }
    }
}

/// Mails on their way: the outcomes of [`Client::send_all`], in the order in which calls end.
///
/// Read it with [`next`](Self::next), or as a [`Stream`].
///
/// # How it runs
///
/// Nothing is sent before it is read, and nothing is spawned: the calls are made by whoever waits
/// for the next outcome. No mail is taken from the input while as many as allowed are under way,
/// and none between the end of a call and the next time the stream is read. So a reader that stops
/// after an error has started no other mail since.
///
/// While the reader does something else, calls stand still, though what the network has taken over
/// goes on; their [deadlines](crate::ClientBuilder::deadline) go on too. A reader that works for
/// long on an outcome should do so in a task of its own.
///
/// After a call that ended because the API wants fewer requests
/// ([`is_rate_limited`](Error::is_rate_limited)), no mail is taken until
/// [`retry_after`](Error::retry_after) has passed: mails that could only be refused stay in the
/// input.
///
/// # How it ends
///
/// After the last outcome of the input's mails, or, once it is [stopped](Self::stop), of those that
/// were taken by then. [`next`](Self::next) can be cancelled, as in `select!`: nothing is lost.
/// Dropping the stream cancels the calls: nothing more is sent, but what was under way may have
/// been. The [report](Self::report), also by a [handle](Self::handle) after that, tells which mails
/// these are.
#[must_use = "nothing is sent before it is read"]
pub struct SendAll<'a, K = ()> {
    client: Client,
    /// `None` once it has ended, or is not to be read any more.
    source: Option<Source<'a, K>>,
    concurrency: usize,
    calls: FuturesUnordered<Call<'a, K>>,
    /// Until when no mail is taken.
    pause: Option<Pin<Box<Sleep>>>,
    log: Arc<Log>,
}

type Source<'a, K> = Pin<Box<dyn Stream<Item = (K, Email)> + Send + 'a>>;
type Call<'a, K> = Pin<Box<dyn Future<Output = SendOutcome<K>> + Send + 'a>>;

/// What became of one mail of [`Client::send_all`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SendOutcome<K = ()> {
    /// The place of the mail in the input, counted from 0.
    pub index: usize,
    /// The key that came with the mail; `()` if there was none.
    pub key: K,
    /// The mail, handed back: to be sent again, for example, if it provably was not. What an
    /// attachment read from a reader is used up, if it got as far.
    pub email: Email,
    /// As from [`Client::send`].
    pub result: Result<Reply<Sent>, Error>,
}

/// How long no mail is taken after a call that ended so.
#[inline]
pub(crate) fn wait(result: &Result<Reply<Sent>, Error>) -> Option<Duration> {
    let error = result.as_ref().err()?;
    let wait = error.retry_after().filter(|_| error.is_rate_limited());
    // One that no clock can hold is one that nobody lives to see end.
    wait.map(|wait| wait.min(crate::call::LONGEST))
}

impl<'a, K> SendAll<'a, K> {
    /// The next outcome; `None` after the last.
    ///
    /// Loses nothing if it is dropped before it is done, as in `select!`: the next call takes up
    /// where it was.
    #[inline]
    pub async fn next(&mut self) -> Option<SendOutcome<K>>
    where
        K: Send + 'a,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Takes no more mails from the input, which is dropped. The stream goes on until all that were
    /// taken have their outcomes, and then ends.
    #[inline]
    pub fn stop(&self) {
        self.log.stop();
    }

    /// A handle to stop it, and to ask for the report, from elsewhere and for longer.
    #[must_use]
    #[inline]
    pub fn handle(&self) -> SendHandle {
        SendHandle::new(self.log.clone())
    }

    /// What became of the mails so far.
    #[must_use]
    #[inline]
    pub fn report(&self) -> SendReport {
        self.log.report()
    }

    /// Takes mails while there is room for more calls.
    #[inline]
    fn take(&mut self, cx: &mut Context<'_>)
    where
        K: Send + 'a,
    {
        if self.log.is_stopped(cx.waker()) {
            self.source = None;
        }
        while self.calls.len() < self.concurrency {
            let Some(source) = &mut self.source else {
                return;
            };
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(cx).is_pending() {
                    return;
                }
                self.pause = None;
            }
            match source.as_mut().poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Some((key, email))) => {
                    let index = self.log.taken(source.size_hint());
                    let call = call(self.client.clone(), self.log.clone(), index, key, email);
                    self.calls.push(Box::pin(call));
                }
                Poll::Ready(None) => {
                    self.log.left((0, Some(0)));
                    self.source = None;
                }
            }
        }
    }

    /// Takes no mail for so long.
    #[inline]
    fn hold(&mut self, wait: Duration) {
        let now = Instant::now();
        let until = now.checked_add(wait).unwrap_or(now);
        if self
            .pause
            .as_ref()
            .is_none_or(|pause| pause.deadline() < until)
        {
            self.pause = Some(Box::pin(sleep_until(until)));
        }
    }
}

/// Sends one mail, and keeps the log of it.
#[inline]
async fn call<K>(
    client: Client,
    log: Arc<Log>,
    index: usize,
    key: K,
    email: Email,
) -> SendOutcome<K> {
    log.begun(index);
    let result = client.send(email.clone()).await;
    log.ended(index, &result);
    SendOutcome {
        index,
        key,
        email,
        result,
    }
}

impl<'a, K: Send + 'a> Stream for SendAll<'a, K> {
    type Item = SendOutcome<K>;

    #[inline]
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SendOutcome<K>>> {
        let this = self.get_mut();
        this.take(cx);
        match Pin::new(&mut this.calls).poll_next(cx) {
            Poll::Ready(Some(outcome)) => {
                if let Some(wait) = wait(&outcome.result) {
                    this.hold(wait);
                }
                Poll::Ready(Some(outcome))
            }
            Poll::Ready(None) if this.source.is_none() => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        let calls = self.calls.len();
        let (least, most) = match &self.source {
            // It can be stopped at any time.
            Some(source) => (0, source.size_hint().1),
            None => (0, Some(0)),
        };
        (
            calls.saturating_add(least),
            most.and_then(|most| most.checked_add(calls)),
        )
    }
}

/// Nothing in it is pinned.
impl<K> Unpin for SendAll<'_, K> {}

impl<K> Drop for SendAll<'_, K> {
    #[inline]
    fn drop(&mut self) {
        self.log.dropped();
    }
}

impl<K> fmt::Debug for SendAll<'_, K> {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("concurrency", &self.concurrency)
            .field("in_flight", &self.calls.len())
            .finish_non_exhaustive()
    }
}

/// Stops a [`SendAll`], and reports on it, from wherever it is taken to. It is no part of the
/// stream: it keeps nothing going, and answers when the stream is long gone.
///
/// ```no_run
/// # use smtp2go_sdk::{Client, Email};
/// # async fn example(client: Client, mails: Vec<Email>, shutdown: impl Future<Output = ()> + Send + 'static) {
/// let mut sending = client.send_all(mails, 8);
/// let handle = sending.handle();
/// tokio::spawn(async move {
///     shutdown.await;
///     handle.stop();
/// });
/// while let Some(outcome) = sending.next().await {
///     // …
/// }
/// # }
/// ```
#[derive(Clone)]
pub struct SendHandle {
    log: Arc<Log>,
}

impl SendHandle {
    #[inline]
    pub(crate) fn new(log: Arc<Log>) -> Self {
        Self { log }
    }

    /// As [`SendAll::stop`].
    #[inline]
    pub fn stop(&self) {
        self.log.stop();
    }

    /// As [`SendAll::report`]. Once the stream or iterator was dropped, mails that were under way count as
    /// unknown.
    #[must_use]
    #[inline]
    pub fn report(&self) -> SendReport {
        self.log.report()
    }
}

impl fmt::Debug for SendHandle {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHandle")
            .field("report", &self.report())
            .finish()
    }
}

/// How far a mail of [`Client::send_all`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendState {
    /// The service took it in.
    Sent,
    /// It was provably not sent, and will not be: it failed before, or it was taken from the input
    /// and its call never began.
    NotSent,
    /// The service refused it.
    Rejected,
    /// It may have been sent: the call failed in a way that does not tell, or was cancelled.
    Unknown,
    /// Its call is being made.
    InFlight,
}

impl SendState {
    #[inline]
    fn of(result: &Result<Reply<Sent>, Error>) -> Self {
        let certainty = match result {
            // A failure, though the client is set to hand it out as a reply.
            Ok(reply) if reply.failed.is_some_and(|count| count > 0) => {
                certainty_despite_success(&operations::EMAIL_SEND, reply.raw())
            }
            Ok(_) => None,
            Err(error) => Some(error.certainty()),
        };
        match certainty {
            None => Self::Sent,
            Some(Certainty::NotSent) => Self::NotSent,
            Some(Certainty::Rejected) => Self::Rejected,
            Some(Certainty::Unknown) => Self::Unknown,
        }
    }
}

/// What became of the mails of a [`SendAll`], or of the blocking client's, at the time it was asked for. Every mail that was
/// taken from the input is counted once.
#[derive(Clone, PartialEq, Eq)]
pub struct SendReport {
    states: Vec<SendState>,
    not_taken: Option<usize>,
}

impl SendReport {
    /// How many mails were taken from the input: the sum of the other counts but
    /// [`not_taken`](Self::not_taken).
    #[must_use]
    #[inline]
    pub fn taken(&self) -> usize {
        self.states.len()
    }

    /// How many the service took in.
    #[must_use]
    #[inline]
    pub fn sent(&self) -> usize {
        self.count(SendState::Sent)
    }

    /// How many provably were not sent; those that were taken and never begun among them.
    #[must_use]
    #[inline]
    pub fn not_sent(&self) -> usize {
        self.count(SendState::NotSent)
    }

    /// How many the service refused.
    #[must_use]
    #[inline]
    pub fn rejected(&self) -> usize {
        self.count(SendState::Rejected)
    }

    /// How many may have been sent: calls that failed in a way that does not tell, and those that
    /// were cancelled when the stream or iterator was dropped.
    #[must_use]
    #[inline]
    pub fn unknown(&self) -> usize {
        self.count(SendState::Unknown)
    }

    /// How many are being sent. None once the stream or iterator has ended or was dropped.
    #[must_use]
    #[inline]
    pub fn in_flight(&self) -> usize {
        self.count(SendState::InFlight)
    }

    /// How many mails are left in the input, or were when it was given up: they were not sent.
    /// `None` if the input does not know, which it does if it is a list.
    #[must_use]
    #[inline]
    pub fn not_taken(&self) -> Option<usize> {
        self.not_taken
    }

    /// How far each mail got, by its place in the input.
    #[must_use]
    #[inline]
    pub fn states(&self) -> &[SendState] {
        &self.states
    }

    #[inline]
    fn count(&self, state: SendState) -> usize {
        self.states.iter().filter(|found| **found == state).count()
    }
}

/// One line, such as `5 taken: 3 sent, 1 rejected, 1 not sent, 0 unknown; 2 not taken`.
impl fmt::Display for SendReport {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} taken: {} sent, {} rejected, {} not sent, {} unknown",
            self.taken(),
            self.sent(),
            self.rejected(),
            self.not_sent(),
            self.unknown(),
        )?;
        if self.in_flight() > 0 {
            write!(f, ", {} under way", self.in_flight())?;
        }
        match self.not_taken {
            Some(left) => write!(f, "; {left} not taken"),
            None => Ok(()),
        }
    }
}

/// Shows the counts.
impl fmt::Debug for SendReport {
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendReport")
            .field("taken", &self.taken())
            .field("sent", &self.sent())
            .field("rejected", &self.rejected())
            .field("not_sent", &self.not_sent())
            .field("unknown", &self.unknown())
            .field("in_flight", &self.in_flight())
            .field("not_taken", &self.not_taken)
            .finish()
    }
}

/// What a stream and its handles share.
#[derive(Default)]
pub(crate) struct Log(Mutex<State>);

#[derive(Default)]
struct State {
    states: Vec<SendState>,
    /// The size hint of the input.
    left: (usize, Option<usize>),
    stopped: bool,
    dropped: bool,
    /// Who waits for an outcome, and thus for a mail to take.
    reader: Option<Waker>,
}

impl Log {
    #[inline]
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many mails the input has left.
    #[inline]
    pub(crate) fn left(&self, left: (usize, Option<usize>)) {
        self.lock().left = left;
    }

    /// Notes that nobody reads on.
    #[inline]
    pub(crate) fn dropped(&self) {
        self.lock().dropped = true;
    }

    /// Notes that the call for a mail begins.
    #[inline]
    pub(crate) fn begun(&self, index: usize) {
        self.set(index, SendState::InFlight);
    }

    /// Notes what became of a mail.
    #[inline]
    pub(crate) fn ended(&self, index: usize, result: &Result<Reply<Sent>, Error>) {
        self.set(index, SendState::of(result));
    }

    /// Notes that a mail was taken, which leaves so many, and says which it is.
    #[inline]
    pub(crate) fn taken(&self, left: (usize, Option<usize>)) -> usize {
        let mut state = self.lock();
        state.left = left;
        // Until its call begins.
        state.states.push(SendState::NotSent);
        state.states.len() - 1
    }

    #[inline]
    fn set(&self, index: usize, found: SendState) {
        if let Some(state) = self.lock().states.get_mut(index) {
            *state = found;
        }
    }

    #[inline]
    pub(crate) fn stop(&self) {
        let reader = {
            let mut state = self.lock();
            state.stopped = true;
            state.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Whether it was stopped; if not, the reader is woken when it is.
    #[inline]
    pub(crate) fn is_stopped(&self, reader: &Waker) -> bool {
        let mut state = self.lock();
        if !state.stopped {
            match &mut state.reader {
                Some(known) => known.clone_from(reader),
                None => state.reader = Some(reader.clone()),
            }
        }
        state.stopped
    }

    #[inline]
    pub(crate) fn report(&self) -> SendReport {
        let state = self.lock();
        let (least, most) = state.left;
        let cancelled = |found: &SendState| match found {
            SendState::InFlight if state.dropped => SendState::Unknown,
            other => *other,
        };
        SendReport {
            states: state.states.iter().map(cancelled).collect(),
            not_taken: most.filter(|most| *most == least),
        }
    }
}

/// What [`Client::send_all`] takes its mails from. It is implemented for
///
/// - everything that can be iterated over: `Vec<Email>`, an iterator that makes mails as it goes;
/// - every [`Stream`], such as one that reads rows from a database. It is polled along with the
///   calls, so it should not block.
///
/// and items that are [`IntoMail`]. `K` is the type of their keys; `M` only tells the
/// implementations apart, and is inferred.
///
/// An input that can fail is for the caller to take apart, since only he knows whether an error is
/// the end of it: as with `map_while(Result::ok)`, or by keeping the error aside.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no source of mails",
    label = "neither an iterator nor a stream of mails, or not `Send`",
    note = "items are `Email`, what converts into it, or pairs of a key and such: `(id, email)`"
)]
pub trait Mails<'a, K, M>: sealed::Source<M> {
    /// The mails, with their keys.
    #[doc(hidden)]
    fn into_stream(self) -> Pin<Box<dyn Stream<Item = (K, Email)> + Send + 'a>>;
}

/// An item of [`Mails`], or of what the blocking client takes: an [`Email`] or what converts into one, or a pair of a key and such.
///
/// The key is any type of yours, and is handed back as
/// [`SendOutcome::key`](SendOutcome::key).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no mail",
    note = "mails are `Email`, what converts into it, or pairs of a key and such: `(id, email)`"
)]
pub trait IntoMail<K>: sealed::Item<K> {
    /// The key, and the mail.
    #[doc(hidden)]
    fn into_mail(self) -> (K, Email);
}

/// Tells the implementations of the two traits apart, and keeps others from adding to them.
mod sealed {
    use super::{Email, Stream};

    #[derive(Debug)]
    pub enum ByIterator {}
    #[derive(Debug)]
    pub enum ByStream {}

    pub trait Source<M> {}
    impl<I: IntoIterator> Source<ByIterator> for I {}
    impl<S: Stream> Source<ByStream> for S {}

    pub trait Item<K> {}
    impl<E: Into<Email>> Item<()> for E {}
    impl<K, E: Into<Email>> Item<K> for (K, E) {}
}

impl<'a, K, I> Mails<'a, K, sealed::ByIterator> for I
where
    K: 'a,
    I: IntoIterator<Item: IntoMail<K> + 'a, IntoIter: Send + 'a>,
{
    #[inline]
    fn into_stream(self) -> Source<'a, K> {
        Box::pin(stream::iter(self.into_iter().map(IntoMail::into_mail)))
    }
}

impl<'a, K, S> Mails<'a, K, sealed::ByStream> for S
where
    K: 'a,
    S: Stream<Item: IntoMail<K> + 'a> + Send + 'a,
{
    #[inline]
    fn into_stream(self) -> Source<'a, K> {
        use futures_util::StreamExt;
        Box::pin(self.map(IntoMail::into_mail))
    }
}

impl<E: Into<Email>> IntoMail<()> for E {
    #[inline]
    fn into_mail(self) -> ((), Email) {
        ((), self.into())
    }
}

impl<K, E: Into<Email>> IntoMail<K> for (K, E) {
    #[inline]
    fn into_mail(self) -> (K, Email) {
        (self.0, self.1.into())
    }
}
