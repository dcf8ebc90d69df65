//! `send_all`: many mails, a bounded number of calls at a time.

mod input;
mod log;
mod report;

pub use input::{BulkMail, IntoMail, Mails};
pub(crate) use log::SendCall;
pub use report::{SendHandle, SendReport, SendState};

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::platform::time::{Sleep, sleep_until};
use futures_core::Stream;
use futures_util::stream::FuturesUnordered;

use super::Sent;
use crate::{Client, Email, Error, Reply};

impl Client {
    /// Sends many mails, each in a call of its own, with at most `concurrency` calls in flight (0
    /// counts as 1). Returns the outcome of each mail as soon as its call ends.
    ///
    /// `mails` is an iterator or a [`Stream`] of mails, or of pairs of a key and a mail: see [`Mails`].
    /// A mail is an [`Email`], a [`Mime`](crate::Mime) or a message of lettre. The key identifies the
    /// mail, such as a row id. It comes back with the outcome and in the [report](SendAll::report),
    /// which keeps a clone of each key. The input is read only while fewer than `concurrency` calls are
    /// in flight, so it may be larger than memory.
    ///
    /// Each mail is sent as by [`send`](Self::send) or [`send_mime`](Self::send_mime), with its checks, retries and rate limits. A
    /// mail that fails does not stop the others. To send a list in one request, where all mails have
    /// to pass their check, use [`send_batch`](Self::send_batch).
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
    /// Messages of lettre, with the feature `lettre`, and MIME messages in files are sent the same way:
    ///
    /// ```no_run
    /// # use smtp2go_sdk::{Client, Mime};
    /// # async fn example(client: Client, folder: std::fs::ReadDir) {
    /// let messages = folder.filter_map(Result::ok).map(|file| (file.path(), Mime::from_path(file.path())));
    /// let mut sending = client.send_all(messages, 8);
    /// while let Some(outcome) = sending.next().await {
    ///     println!("{}: {:?}", outcome.key.display(), outcome.result);
    /// }
    /// # }
    /// ```
    ///
    /// [`SendAll`] documents how the calls run, pause and stop.
    pub fn send_all<'a, K: Clone, S, I: Mails<'a, K, S>>(
        &self,
        mails: I,
        concurrency: usize,
    ) -> SendAll<'a, K, I::Mail> {
        let input = mails.into_stream();
        SendAll {
            client: self.clone(),
            concurrency: concurrency.max(1),
            calls: FuturesUnordered::new(),
            pause: None,
            handle: SendHandle::new(input.size_hint()),
            input: Some(input),
        }
    }
}

/// A stream of the outcomes of [`Client::send_all`], in the order in which the calls end.
///
/// Read it with [`next`](Self::next), or as a [`Stream`].
///
/// # How it runs
///
/// Nothing is sent before the stream is read, and no task is spawned: the calls make progress while the
/// reader waits for the next outcome. A mail is taken from the input only during that wait, and only
/// while fewer than `concurrency` calls are in flight. So a reader that stops at an error starts no
/// mail after that error.
///
/// While the reader does something else, the calls stand still, except for data that the operating
/// system already has. Their [deadlines](crate::ClientBuilder::deadline) continue. Do long work on an
/// outcome in a task of its own.
///
/// # Rate limits
///
/// After a call that failed because of a rate limit ([`is_rate_limited`](Error::is_rate_limited)), the
/// input pauses for [`retry_after`](Error::retry_after), at most one hour: no mail is taken from it.
/// The start of a pause is logged at WARN, and [`SendReport::paused`] returns the time left. Calls in
/// flight continue, and end by their deadline. [`stop`](Self::stop) ends the pause.
///
/// # How it ends
///
/// The stream ends after it has returned the outcome of every mail of the input. Once it is
/// [stopped](Self::stop), it ends after the outcomes of the mails taken so far. [`next`](Self::next)
/// can be cancelled, as in `select!` or `timeout`, without losing an outcome.
///
/// Dropping the stream cancels the calls in flight, and nothing more is sent. A [handle](Self::handle)
/// made before that still returns the [report](Self::report). A cancelled mail counts as `Unknown` only
/// if its request was handed to the network.
#[must_use = "nothing is sent before it is read"]
pub struct SendAll<'a, K = (), M = Email> {
    client: Client,
    /// `None` after the last mail, and when the stream is stopped.
    input: Option<MailStream<'a, K, M>>,
    concurrency: usize,
    calls: FuturesUnordered<OutcomeFuture<'a, K, M>>,
    /// Timer of the current pause.
    pause: Option<Pin<Box<Sleep>>>,
    handle: SendHandle<K>,
}

type MailStream<'a, K, M> = Pin<Box<dyn Stream<Item = (K, M)> + Send + 'a>>;
type OutcomeFuture<'a, K, M> = Pin<Box<dyn Future<Output = SendOutcome<K, M>> + Send + 'a>>;

/// The outcome of one mail of [`Client::send_all`].
#[derive(Debug)]
#[non_exhaustive]
pub struct SendOutcome<K = (), M = Email> {
    /// The position of the mail in the input, counted from 0.
    pub index: usize,
    /// The key that came with the mail. `()` if there was none.
    pub key: K,
    /// The mail, an [`Email`] or a [`Mime`](crate::Mime), for example to send it again if it provably was
    /// not sent. An attachment from a reader may have been consumed.
    pub email: M,
    /// The result, as from [`Client::send`].
    pub result: Result<Reply<Sent>, Error>,
}

impl<'a, K, M> SendAll<'a, K, M> {
    /// Returns the next outcome, or `None` after the last.
    ///
    /// Cancel safe: if the future is dropped before it completes, as in `select!`, no outcome is
    /// lost.
    pub async fn next(&mut self) -> Option<SendOutcome<K, M>>
    where
        K: Clone + Send + 'a,
        M: BulkMail,
    {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Stops taking mails and drops the input. The stream ends after the outcomes of the calls in
    /// flight.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Returns a handle that stops the stream and reports on it, also from other threads and after
    /// the stream was dropped.
    #[must_use]
    pub fn handle(&self) -> SendHandle<K> {
        self.handle.share()
    }

    /// Returns the state of the mails taken so far. Costs a clone of each key.
    #[must_use]
    pub fn report(&self) -> SendReport<K>
    where
        K: Clone,
    {
        self.handle.report()
    }

    /// Takes mails while there is room for more calls.
    fn take(&mut self, cx: &mut Context<'_>)
    where
        K: Clone + Send + 'a,
        M: BulkMail,
    {
        if self.handle.log().is_stopped(cx.waker()) {
            self.close();
        }
        while self.calls.len() < self.concurrency && self.input.is_some() {
            if self.poll_pause(cx).is_pending() {
                return;
            }
            let Some(input) = &mut self.input else {
                return;
            };
            match input.as_mut().poll_next(cx) {
                Poll::Pending => return,
                Poll::Ready(Some((key, email))) => {
                    let index = self.handle.taken(&key, input.size_hint());
                    let call = send_one(self.client.clone(), self.handle.call(index), key, email);
                    self.calls.push(Box::pin(call));
                }
                Poll::Ready(None) => {
                    self.handle.log().exhausted();
                    self.close();
                }
            }
        }
    }

    /// Waits for the end of the pause.
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.handle.log().pause() else {
            self.pause = None;
            return Poll::Ready(());
        };
        let pause = self
            .pause
            .get_or_insert_with(|| Box::pin(sleep_until(until)));
        if pause.deadline() != until {
            pause.as_mut().reset(until);
        }
        pause.as_mut().poll(cx)
    }

    /// Drops the input.
    fn close(&mut self) {
        self.input = None;
        self.handle.log().close();
    }
}

/// Sends one mail and records its state.
async fn send_one<K, M: BulkMail>(
    client: Client,
    call: SendCall,
    key: K,
    email: M,
) -> SendOutcome<K, M> {
    call.started();
    let result = email.clone().send(&client, call.cancel_handle()).await;
    call.ended(&result);
    SendOutcome {
        index: call.index(),
        key,
        email,
        result,
    }
}

impl<'a, K: Clone + Send + 'a, M: BulkMail> Stream for SendAll<'a, K, M> {
    type Item = SendOutcome<K, M>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<SendOutcome<K, M>>> {
        let this = self.get_mut();
        this.take(cx);
        match Pin::new(&mut this.calls).poll_next(cx) {
            Poll::Ready(Some(outcome)) => Poll::Ready(Some(outcome)),
            Poll::Ready(None) if this.input.is_none() => Poll::Ready(None),
            _ => Poll::Pending,
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let calls = self.calls.len();
        // The lower bound ignores the input: the stream can be stopped at any time.
        let most = match &self.input {
            Some(input) => input.size_hint().1,
            None => Some(0),
        };
        (calls, most.and_then(|most| most.checked_add(calls)))
    }
}

/// `SendAll` can move between polls, because it pins none of its fields.
impl<K, M> Unpin for SendAll<'_, K, M> {}

impl<K, M> Drop for SendAll<'_, K, M> {
    fn drop(&mut self) {
        self.handle.log().close();
    }
}

impl<K, M> fmt::Debug for SendAll<'_, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("concurrency", &self.concurrency)
            .field("in_flight", &self.calls.len())
            .finish_non_exhaustive()
    }
}
