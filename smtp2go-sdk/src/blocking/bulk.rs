//! Many mails, a few at a time, as an iterator.

use std::fmt;
use std::iter::FusedIterator;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Wake, Waker};
use std::time::Instant;

use tokio::task::AbortHandle;

use super::client::Client;
use super::worker::{Worker, panicked};
use crate::call::verdict::interrupted;
use crate::mail::{Log, wait};
use crate::{Email, Error, IntoMail, Reply, SendHandle, SendOutcome, SendReport, Sent, operations};

/// Mails on their way: the outcomes of [`Client::send_all`], in the order in which calls end.
///
/// # How it runs
///
/// Nothing is sent before the first outcome is asked for. From then on the calls are made by the
/// client's thread, and go on while an outcome is worked on. Mails are taken from the input by the
/// thread that asks for an outcome, and only then: as many as are still allowed beside those under
/// way. So a loop that is left after an error has started no other mail since that was handed out.
///
/// A call that panicked, of something of the mail's such as a reader, is an outcome of which it is
/// unknown whether it was sent.
///
/// After a call that ended because the API wants fewer requests
/// ([`is_rate_limited`](Error::is_rate_limited)), no mail is taken until
/// [`retry_after`](Error::retry_after) has passed: mails that could only be refused stay in the
/// input.
///
/// # How it ends
///
/// After the last outcome of the input's mails, or, once it is [stopped](Self::stop), of those that
/// were taken by then. Dropping it cancels the calls and does not wait for them: nothing more is
/// sent, but what was under way may have been. The [report](Self::report), also by a
/// [handle](Self::handle) after that, tells which mails these are.
#[must_use = "nothing is sent before it is read"]
pub struct SendAll<I, K = ()> {
    client: crate::Client,
    worker: Arc<Worker>,
    /// `None` once it has ended, or is not to be read any more.
    mails: Option<I>,
    concurrency: usize,
    calls: Vec<Call<K>>,
    events: mpsc::Receiver<Event>,
    tell: mpsc::Sender<Event>,
    stopper: Waker,
    /// Until when no mail is taken.
    pause: Arc<Mutex<Option<Instant>>>,
    log: Arc<Log>,
}

/// A mail whose call is under way.
struct Call<K> {
    index: usize,
    key: K,
    email: Email,
    /// `None` if there was no call to be made.
    task: Option<AbortHandle>,
}

/// What the thread that reads waits for: how the call for the mail of that index ended; `None` if it
/// is stopped.
type Event = Option<(usize, Result<Reply<Sent>, Error>)>;

/// Wakes the reader when it is stopped.
struct Stopper(mpsc::Sender<Event>);

impl Wake for Stopper {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(None);
    }
}

/// Tells how a call ended, also if it did so by a panic.
struct Told {
    index: usize,
    result: Option<Result<Reply<Sent>, Error>>,
    log: Arc<Log>,
    pause: Arc<Mutex<Option<Instant>>>,
    tell: mpsc::Sender<Event>,
}

impl Told {
    fn ended(&mut self, result: Result<Reply<Sent>, Error>) {
        self.result = Some(result);
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        let result = self.result.take();
        let result = result.unwrap_or_else(|| Err(panicked(&operations::EMAIL_SEND)));
        self.log.ended(self.index, &result);
        if let Some(wait) = wait(&result) {
            let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            *pause = pause.max(Instant::now().checked_add(wait));
        }
        let _ = self.tell.send(Some((self.index, result)));
    }
}

impl Client {
    /// Sends many mails, each by a call of its own, up to `concurrency` of them at once (0 counts as
    /// 1), and hands out what became of each as soon as that is known: see
    /// [`Client::send_all`](crate::Client::send_all) of the async one.
    ///
    /// `mails` is anything that can be iterated over, of mails or of pairs of a key and a mail; the
    /// key, such as the number of a row, comes back with the outcome. It is read on this thread as
    /// calls end, never further ahead than `concurrency`, so it may be endless, or larger than
    /// memory, borrow, and block.
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
    /// How the calls are run, stopped and accounted for is said at [`SendAll`].
    pub fn send_all<K, I>(&self, mails: I, concurrency: usize) -> SendAll<I::IntoIter, K>
    where
        I: IntoIterator<Item: IntoMail<K>>,
    {
        let mails = mails.into_iter();
        let (tell, events) = mpsc::channel();
        let log = Arc::new(Log::default());
        log.left(mails.size_hint());
        SendAll {
            client: self.client.clone(),
            worker: self.worker.clone(),
            mails: Some(mails),
            concurrency: concurrency.max(1),
            calls: Vec::new(),
            events,
            stopper: Waker::from(Arc::new(Stopper(tell.clone()))),
            tell,
            pause: Arc::default(),
            log,
        }
    }
}

impl<I, K> SendAll<I, K> {
    /// Takes no more mails from the input, which is dropped. The iterator goes on until all that
    /// were taken have their outcomes, and then ends.
    pub fn stop(&self) {
        self.log.stop();
    }

    /// A handle to stop it, and to ask for the report, from elsewhere and for longer.
    #[must_use]
    pub fn handle(&self) -> SendHandle {
        SendHandle::new(self.log.clone())
    }

    /// What became of the mails so far.
    #[must_use]
    pub fn report(&self) -> SendReport {
        self.log.report()
    }
}

impl<I, K> SendAll<I, K>
where
    I: Iterator<Item: IntoMail<K>>,
{
    /// Takes mails while there is room for more calls; until when it does not, if there is a pause.
    fn fill(&mut self) -> Option<Instant> {
        while self.calls.len() < self.concurrency {
            if self.log.is_stopped(&self.stopper) {
                self.mails = None;
            }
            let mails = self.mails.as_mut()?;
            let pause = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
            if pause.is_some_and(|until| until > Instant::now()) {
                return pause;
            }
            match mails.next() {
                Some(item) => {
                    let index = self.log.taken(mails.size_hint());
                    let (key, email) = item.into_mail();
                    self.begin(index, key, email);
                }
                None => {
                    self.log.left((0, Some(0)));
                    self.mails = None;
                }
            }
        }
        None
    }

    fn begin(&mut self, index: usize, key: K, email: Email) {
        // Not by the call itself: it can begin at any time from here on, also just when it is
        // cancelled.
        self.log.begun(index);
        let mut told = Told {
            index,
            result: None,
            log: self.log.clone(),
            pause: self.pause.clone(),
            tell: self.tell.clone(),
        };
        let task = match self.worker.check(&operations::EMAIL_SEND) {
            Ok(()) => {
                let (client, mail) = (self.client.clone(), email.clone());
                Some(self.worker.spawn(async move {
                    told.ended(client.send(mail).await);
                }))
            }
            Err(error) => {
                told.ended(Err(error));
                None
            }
        };
        self.calls.push(Call {
            index,
            key,
            email,
            task,
        });
    }
}

impl<I, K> SendAll<I, K> {
    /// Waits for what comes next, and no longer than until mails may be taken again.
    fn event(&mut self, pause: Option<Instant>) -> Event {
        match pause {
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now());
                self.events.recv_timeout(left).ok()?
            }
            None if self.worker.is_this_thread() => {
                let event = self.events.try_recv().ok();
                event.unwrap_or_else(|| self.give_up())
            }
            // There is always a sender: this one's.
            None => self.events.recv().ok()?,
        }
    }

    /// Cancels a call, on the thread that would have to go on with it.
    fn give_up(&mut self) -> Event {
        let call = self.calls.first()?;
        if let Some(task) = &call.task {
            task.abort();
        }
        let text = "its outcome was asked for on the blocking client's own thread";
        let error = interrupted(text).during(&operations::EMAIL_SEND, 1);
        let result = Err(error);
        self.log.ended(call.index, &result);
        Some((call.index, result))
    }
}

impl<I, K> Iterator for SendAll<I, K>
where
    I: Iterator<Item: IntoMail<K>>,
{
    type Item = SendOutcome<K>;

    fn next(&mut self) -> Option<SendOutcome<K>> {
        loop {
            let pause = self.fill();
            if self.calls.is_empty() && self.mails.is_none() {
                return None;
            }
            let Some((index, result)) = self.event(pause) else {
                continue;
            };
            let Some(at) = self.calls.iter().position(|call| call.index == index) else {
                continue;
            };
            let Call { key, email, .. } = self.calls.swap_remove(at);
            return Some(SendOutcome {
                index,
                key,
                email,
                result,
            });
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let calls = self.calls.len();
        // It can be stopped at any time.
        let most = match &self.mails {
            Some(mails) => mails.size_hint().1,
            None => Some(0),
        };
        (calls, most.and_then(|most| most.checked_add(calls)))
    }
}

impl<I: Iterator<Item: IntoMail<K>>, K> FusedIterator for SendAll<I, K> {}

impl<I, K> Drop for SendAll<I, K> {
    fn drop(&mut self) {
        for task in self.calls.iter().filter_map(|call| call.task.as_ref()) {
            task.abort();
        }
        self.log.dropped();
    }
}

impl<I, K> fmt::Debug for SendAll<I, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendAll")
            .field("concurrency", &self.concurrency)
            .field("in_flight", &self.calls.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Certainty;
    use crate::log_watch::watched;

    #[test]
    fn a_call_that_is_dropped_before_it_began_has_an_outcome() {
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
        sending.calls[0].task.as_ref().unwrap().abort();
        drop(go_on);
        let error = sending.next().unwrap().result.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert!(sending.next().is_none());
        assert_eq!(sending.report().unknown(), 1);
    }
}
