//! `send_all` of the blocking client: an iterator of outcomes.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::time::Instant;

use tokio::task::AbortHandle;

use super::client::Client;
use super::worker::Worker;
use crate::call::verdict::cancelled_call;
use crate::mail::SendCall;
use crate::operation::Operation;
use crate::{BulkMail, Email, Error, IntoMail, Reply, SendHandle, SendOutcome, SendReport, Sent};

/// An iterator over the outcomes of [`Client::send_all`], in the order in which the calls end.
///
/// # How it runs
///
/// Nothing is sent before the first call of `next`. From then on the client's thread makes the calls,
/// even while the program works on an outcome. Mails are taken from the input only within `next`, on
/// the thread that calls it, and only while fewer than `concurrency` calls are in flight. So a loop
/// that ends at an error starts no mail after that error.
///
/// If a call panics, for example in a reader of an attachment, its outcome is an error.
///
/// # Rate limits
///
/// After a call that failed because of a rate limit ([`is_rate_limited`](Error::is_rate_limited)), the
/// input pauses for [`retry_after`](Error::retry_after), at most one hour: no mail is taken from it.
/// The start of a pause is logged at WARN, and [`SendReport::paused`] returns the time left. Calls in
/// flight continue, and end by their deadline. [`stop`](Self::stop) ends the pause, also from another
/// thread through a [handle](Self::handle).
///
/// # How it ends
///
/// The iterator ends after it has returned the outcome of every mail of the input. Once it is
/// [stopped](Self::stop), it ends after the outcomes of the mails taken so far.
///
/// Dropping it cancels the calls in flight without waiting for them, and nothing more is sent. A
/// [handle](Self::handle) made before that still returns the [report](Self::report). A cancelled mail
/// counts as `Unknown` only if its request was handed to the network.
#[must_use = "nothing is sent before it is read"]
pub struct SendAll<I, K = (), M = Email> {
    client: crate::Client,
    worker: Arc<Worker>,
    /// `None` after the last mail, and when the iterator is stopped.
    input: Option<I>,
    concurrency: usize,
    pending: Vec<PendingMail<K, M>>,
    wakeups: mpsc::Receiver<Wakeup>,
    sender: mpsc::Sender<Wakeup>,
    on_stop: Waker,
    handle: SendHandle<K>,
}

/// A mail without an outcome.
struct PendingMail<K, M> {
    key: K,
    email: M,
    call: Arc<SendCall>,
    /// `None` if the call was refused.
    task: Option<AbortHandle>,
}

/// A call that has ended.
struct EndedCall {
    index: usize,
    result: Result<Reply<Sent>, Error>,
}

/// Message to the thread that waits in `next`. `None`: the iterator was stopped.
type Wakeup = Option<EndedCall>;

/// Wakes the reader when the iterator is stopped.
struct StopWaker(mpsc::Sender<Wakeup>);

impl Wake for StopWaker {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(None);
    }
}

/// Sends the result of a call to the reader, also if the call panics or is aborted.
struct ResultSender {
    call: Arc<SendCall>,
    operation: &'static Operation,
    result: Option<Result<Reply<Sent>, Error>>,
    sender: mpsc::Sender<Wakeup>,
}

impl ResultSender {
    fn set(&mut self, result: Result<Reply<Sent>, Error>) {
        self.result = Some(result);
    }
}

impl Drop for ResultSender {
    fn drop(&mut self) {
        let result = match self.result.take() {
            Some(result) => {
                self.call.ended(&result);
                result
            }
            None => Err(cancelled(&self.call, self.operation, "the call panicked")),
        };
        let index = self.call.index();
        let _ = self.sender.send(Some(EndedCall { index, result }));
    }
}

/// Cancels a call, and returns the error of its mail.
fn cancelled(call: &SendCall, operation: &'static Operation, reason: &'static str) -> Error {
    cancelled_call(call.cancel(), reason).during(operation, 1)
}

impl Client {
    /// Sends many mails, each in a call of its own, with at most `concurrency` calls in flight (0
    /// counts as 1). Returns the outcome of each mail as soon as its call ends, as
    /// [`Client::send_all`](crate::Client::send_all) of the async client does.
    ///
    /// `mails` is anything that iterates over mails, or over pairs of a key and a mail. A mail is
    /// an [`Email`], a [`Mime`](crate::Mime) or a message of lettre. The key identifies the mail,
    /// such as a row id. It comes back with the outcome and in the [report](SendAll::report), which
    /// keeps a clone of each key. The input is read on the thread that calls `next`, and only while
    /// fewer than `concurrency` calls are in flight. So it may be larger than memory, may borrow,
    /// and may block.
    ///
    /// ```no_run
    /// # use smtp2go_sdk::{Email, blocking::Client};
    /// # fn example(client: Client, rows: Vec<(u64, String)>) {
    /// let mails = rows.iter().map(|(id, address)| {
    ///     let mail = Email::new("Acme <noreply@example.com>", "News").to(address).text("Hello");
    ///     (id, mail)
    /// });
    /// let mut sending = client.send_all(mails, 8);
    /// for outcome in &mut sending {
    ///     match outcome.result {
    ///         Ok(sent) => println!("{}: sent as {:?}", outcome.key, sent.email_id),
    ///         Err(error) => println!("{}: {error}", outcome.key),
    ///     }
    /// }
    /// println!("{}", sending.report());
    /// # }
    /// ```
    ///
    /// [`SendAll`] documents how the calls run, pause and stop.
    pub fn send_all<K, I, M>(&self, mails: I, concurrency: usize) -> SendAll<I::IntoIter, K, M>
    where
        K: Clone,
        I: IntoIterator<Item: IntoMail<K, Mail = M>>,
    {
        let input = mails.into_iter();
        let (sender, wakeups) = mpsc::channel();
        SendAll {
            client: self.client.clone(),
            worker: self.worker.clone(),
            concurrency: concurrency.max(1),
            pending: Vec::new(),
            wakeups,
            on_stop: Waker::from(Arc::new(StopWaker(sender.clone()))),
            sender,
            handle: SendHandle::new(input.size_hint()),
            input: Some(input),
        }
    }
}

impl<I, K, M> SendAll<I, K, M> {
    /// Stops taking mails and drops the input. The iterator ends after the outcomes of the calls in
    /// flight.
    pub fn stop(&self) {
        self.handle.stop();
    }

    /// Returns a handle that stops the iterator and reports on it, also after the iterator was
    /// dropped, and from other threads if the keys are `Send`.
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

    /// Drops the input.
    fn close(&mut self) {
        self.input = None;
        self.handle.log().close();
    }
}

impl<I, K, M> SendAll<I, K, M>
where
    I: Iterator<Item: IntoMail<K, Mail = M>>,
    K: Clone,
    M: BulkMail,
{
    /// Takes mails while there is room for more calls. If a pause prevents that, returns the end of the
    /// pause.
    fn fill(&mut self) -> Option<Instant> {
        while self.pending.len() < self.concurrency {
            if self.handle.log().is_stopped(&self.on_stop) {
                self.close();
            }
            let input = self.input.as_mut()?;
            // On the client's thread each mail is refused, so there is no need to wait.
            if let Some(until) = self.handle.log().pause()
                && !self.worker.is_this_thread()
            {
                return Some(until.into_std());
            }
            match input.next() {
                Some(item) => {
                    let (key, email) = item.into_mail();
                    let index = self.handle.taken(&key, input.size_hint());
                    self.begin(index, key, email);
                }
                None => {
                    self.handle.log().exhausted();
                    self.close();
                }
            }
        }
        None
    }

    fn begin(&mut self, index: usize, key: K, email: M) {
        let call = Arc::new(self.handle.call(index));
        // Before the task exists: it can run at once.
        call.started();
        let mut sender = ResultSender {
            call: call.clone(),
            operation: M::OPERATION,
            result: None,
            sender: self.sender.clone(),
        };
        let task = match self.worker.check(M::OPERATION) {
            Ok(()) => {
                let (client, mail) = (self.client.clone(), email.clone());
                let cancel = call.cancel_handle();
                Some(self.worker.spawn(async move {
                    sender.set(mail.send(&client, cancel).await);
                }))
            }
            Err(error) => {
                sender.set(Err(error));
                None
            }
        };
        self.pending.push(PendingMail {
            key,
            email,
            call,
            task,
        });
    }
}

impl<I, K, M: BulkMail> SendAll<I, K, M> {
    /// Waits for the next message, but not past the end of the pause.
    fn wait(&mut self, pause: Option<Instant>) -> Wakeup {
        match pause {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.wakeups.recv_timeout(left).ok()?
            }
            None if self.worker.is_this_thread() => {
                let wakeup = self.wakeups.try_recv();
                wakeup.unwrap_or_else(|_| self.give_up())
            }
            // Can't fail: `self` has a sender.
            None => self.wakeups.recv().ok()?,
        }
    }

    /// Cancels a call in flight. For the thread that makes the calls: it would wait for itself.
    fn give_up(&mut self) -> Wakeup {
        let PendingMail { call, task, .. } = self.pending.first()?;
        if let Some(task) = task {
            task.abort();
        }
        let reason = "the outcome was requested on the blocking client's own thread";
        Some(EndedCall {
            index: call.index(),
            result: Err(cancelled(call, M::OPERATION, reason)),
        })
    }
}

impl<I, K, M> Iterator for SendAll<I, K, M>
where
    I: Iterator<Item: IntoMail<K, Mail = M>>,
    K: Clone,
    M: BulkMail,
{
    type Item = SendOutcome<K, M>;

    fn next(&mut self) -> Option<SendOutcome<K, M>> {
        loop {
            let pause = self.fill();
            if self.pending.is_empty() && self.input.is_none() {
                return None;
            }
            let Some(EndedCall { index, result }) = self.wait(pause) else {
                continue;
            };
            let found = self.pending.iter();
            let Some(at) = found
                .map(|mail| mail.call.index())
                .position(|it| it == index)
            else {
                continue;
            };
            let PendingMail { key, email, .. } = self.pending.swap_remove(at);
            return Some(SendOutcome {
                index,
                key,
                email,
                result,
            });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let pending = self.pending.len();
        // The lower bound ignores the input: the iterator can be stopped at any time.
        let most = match &self.input {
            Some(input) => input.size_hint().1,
            None => Some(0),
        };
        (pending, most.and_then(|most| most.checked_add(pending)))
    }
}

impl<I, K, M> FusedIterator for SendAll<I, K, M>
where
    I: Iterator<Item: IntoMail<K, Mail = M>>,
    K: Clone,
    M: BulkMail,
{
}

impl<I, K, M> Drop for SendAll<I, K, M> {
    fn drop(&mut self) {
        for PendingMail { call, task, .. } in &self.pending {
            if let Some(task) = task {
                task.abort();
            }
            call.cancel();
        }
        self.handle.log().close();
    }
}

impl<I, K, M> fmt::Debug for SendAll<I, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("concurrency", &self.concurrency)
            .field("in_flight", &self.pending.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Certainty;
    use crate::log_watch::watched;

    #[test]
    fn call_aborted_before_its_start_is_not_sent() {
        let client = Client::builder(watched("api-0123456789abcdefABCDEF0123456789"))
            .base_url("http://localhost")
            .build()
            .unwrap();
        let (go_on, wait) = mpsc::channel::<()>();
        client.worker.spawn(async move {
            let _ = wait.recv();
        });
        let email = Email::new("noreply@example.com", "Hello").to("jane@example.net");
        let mut sending = client.send_all([email.text("Hello")], 1);
        sending.fill();
        sending.pending[0].task.as_ref().unwrap().abort();
        drop(go_on);
        let error = sending.next().unwrap().result.unwrap_err();
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert!(sending.next().is_none());
        assert_eq!(sending.report().not_sent(), 1);
    }

    #[test]
    fn client_s_own_thread_does_not_wait_for_a_pause() {
        let client = Client::builder(watched("api-0123456789abcdefABCDEF0123456789"))
            .base_url("http://localhost")
            .build()
            .unwrap();
        let email = Email::new("noreply@example.com", "Hello").to("jane@example.net");
        let mut sending = client.send_all([email.text("Hello")], 1);
        sending.handle.log().hold(Duration::from_secs(3600));
        assert!(sending.report().paused().is_some());
        let (done, ended) = mpsc::channel();
        client.worker.spawn(async move {
            let _ = done.send(sending.next().unwrap().result);
        });
        let result = ended.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(result.unwrap_err().is_config());
    }
}
