//! Many mails, a few at a time.

mod input;
mod report;

pub use input::{IntoMail, Mails};
pub(crate) use report::Log;
pub use report::{SendHandle, SendReport, SendState};

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Sent;
use crate::{Client, Email, Error, Reply};

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
    wait.map(|wait| wait.min(crate::client::options::LONGEST))
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
