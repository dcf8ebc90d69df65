//! The blocking client and its builder.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::thread;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use smtp2go_types::{Envelope, Secret, Validate};

use super::items::Items;
use super::worker::Worker;
use crate::client::encode;
use crate::operation::Operation;
use crate::{
    Batch, Body, CallOptions, Email, Error, FindSent, Found, Mime, RawReply, Reply, SendOnce, Sent,
    operations,
};

/// Configures a [`blocking::Client`](Client). Returned by [`Client::builder`].
pub type ClientBuilder = crate::ClientBuilder<Client>;

/// A blocking client of the API, for one key.
///
/// Operations are methods of its groups, `client.template().view(…)`. Build one client and keep it. It
/// is cheap to clone: clones share a thread, connections, rate limits and the state of the hosts. See
/// [threads](super#threads) for where it can be called.
#[derive(Clone)]
pub struct Client {
    pub(crate) client: crate::Client,
    pub(super) worker: Arc<Worker>,
}

impl crate::ClientBuilder<Client> {
    /// Builds the client and starts its thread. Sends nothing.
    ///
    /// # Errors
    /// Those of [`ClientBuilder::build`](crate::ClientBuilder::build) of the async client. Also if the
    /// system can't start the thread or its I/O driver.
    pub fn build(self) -> Result<Client, Error> {
        let client = self.client()?;
        let thread = thread::Builder::new().name("smtp2go".to_owned());
        Ok(Client {
            client,
            worker: Arc::new(Worker::start(thread)?),
        })
    }
}

impl Client {
    /// Returns a builder of a client for the key: text or a [`Secret`]. `build` checks the key.
    pub fn builder(key: impl Into<Secret>) -> ClientBuilder {
        ClientBuilder::new(key.into())
    }

    /// Builds a client from environment variables, as
    /// [`Client::from_env`](crate::Client::from_env) of the async client.
    ///
    /// # Errors
    /// Those of the [`builder`](Self::builder)'s `build`. The error names the variable.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_lookup(&|name| std::env::var(name))?.build()
    }

    /// Replaces the API key of this client and its clones, as
    /// [`Client::set_key`](crate::Client::set_key) of the async client. Calls under way finish with
    /// the old key.
    ///
    /// # Errors
    /// If the key is malformed. The old key stays in use then.
    pub fn set_key(&self, key: impl Into<Secret>) -> Result<(), Error> {
        self.client.set_key(key)
    }

    /// Returns the client with other settings for some calls, as
    /// [`Client::with_options`](crate::Client::with_options) of the async client.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self {
            client: self.client.with_options(options),
            worker: self.worker.clone(),
        }
    }

    /// Returns the client for one subaccount of the key's account, as
    /// [`Client::for_subaccount`](crate::Client::for_subaccount) of the async client, which lists the
    /// calls that it refuses.
    #[must_use]
    pub fn for_subaccount(&self, id: impl Into<String>) -> Self {
        Self {
            client: self.client.for_subaccount(id),
            worker: self.worker.clone(),
        }
    }

    /// Returns the name of the header that carries a mail's idempotency key, as
    /// [`Client::idempotency_header`](crate::Client::idempotency_header) of the async client.
    #[must_use]
    pub fn idempotency_header(&self) -> &str {
        self.client.idempotency_header()
    }

    /// Sends or schedules a mail, as [`Client::send`](crate::Client::send) of the async client.
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation) for a mail that the API would refuse, and for an
    /// attachment that could not be read to its end. Otherwise those of [`execute`](Self::execute).
    pub fn send(&self, email: Email) -> Result<Reply<Sent>, Error> {
        let client = self.client.clone();
        let call = async move { client.send(email).await };
        self.worker.run(&operations::EMAIL_SEND, call)
    }

    /// Sends or schedules a composed MIME message, as
    /// [`Client::send_mime`](crate::Client::send_mime) of the async client.
    ///
    /// # Errors
    /// As [`send`](Self::send). Only the size of the message is checked.
    pub fn send_mime(&self, message: impl Into<Mime>) -> Result<Reply<Sent>, Error> {
        let (client, message) = (self.client.clone(), message.into());
        let call = async move { client.send_mime(message).await };
        self.worker.run(&operations::EMAIL_MIME, call)
    }

    /// Sends many mails in one request, as
    /// [`Client::send_batch`](crate::Client::send_batch) of the async client.
    ///
    /// # Errors
    /// As [`send`](Self::send), and if the reply does not have one result for each mail. The
    /// [`Batch`] has the outcome of each mail.
    pub fn send_batch(&self, emails: impl IntoIterator<Item = Email>) -> Result<Batch, Error> {
        let (client, emails) = (self.client.clone(), Vec::from_iter(emails));
        let call = async move { client.send_batch(emails).await };
        self.worker.run(&operations::EMAIL_BATCH, call)
    }

    /// Sends a mail once, even if the reply is lost, as [`Client::send_once`](crate::Client::send_once)
    /// of the async client. Can block for up to 30 minutes.
    ///
    /// # Errors
    /// Those of [`send_once_with`](Self::send_once_with).
    pub fn send_once(&self, email: Email) -> Result<Reply<Sent>, Error> {
        self.send_once_with(email, SendOnce::new())
    }

    /// Sends a mail once, even if the reply is lost, as
    /// [`Client::send_once_with`](crate::Client::send_once_with) of the async client. Can block until
    /// the deadline of the settings.
    ///
    /// # Errors
    /// If the mail has no idempotency key. Otherwise those of [`send`](Self::send). The certainty
    /// is `Unknown` if the look-ups did not settle the outcome.
    pub fn send_once_with(&self, email: Email, settings: SendOnce) -> Result<Reply<Sent>, Error> {
        let client = self.client.clone();
        let call = async move { client.send_once_with(email, settings).await };
        self.worker.run(&operations::EMAIL_SEND, call)
    }

    /// Looks up in the activity whether a mail was sent, as
    /// [`Client::find_sent`](crate::Client::find_sent) of the async client.
    ///
    /// # Errors
    /// For an empty key or header name; otherwise those of [`execute`](Self::execute).
    pub fn find_sent(&self, wanted: &FindSent) -> Result<Found, Error> {
        let (client, wanted) = (self.client.clone(), wanted.clone());
        let call = async move { client.find_sent(&wanted).await };
        self.worker.run(&operations::ACTIVITY_SEARCH, call)
    }

    /// Looks for several mails with one search, as
    /// [`Client::find_all_sent`](crate::Client::find_all_sent) of the async client. Returns one result
    /// for each, in the same order.
    ///
    /// # Errors
    /// Those of [`find_sent`](Self::find_sent).
    pub fn find_all_sent(&self, wanted: &[FindSent]) -> Result<Vec<Found>, Error> {
        let (client, wanted) = (self.client.clone(), wanted.to_vec());
        let call = async move { client.find_all_sent(&wanted).await };
        self.worker.run(&operations::ACTIVITY_SEARCH, call)
    }

    /// Calls an operation with a typed request, as the groups' methods do. See
    /// [`Client::call`](crate::Client::call) of the async client.
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation) if the request does not pass its check,
    /// [`is_decode`](Error::is_decode) if the reply is not an `R`, and those of
    /// [`execute`](Self::execute).
    pub fn call<Q, R>(
        &self,
        operation: &'static Operation,
        request: &Q,
    ) -> Result<Reply<R::Data>, Error>
    where
        Q: Serialize + Validate + ?Sized,
        R: Envelope + DeserializeOwned + 'static,
        R::Data: Send + 'static,
    {
        self.perform::<R>(operation, encode(request))
    }

    /// Calls an operation that takes no arguments, as [`call`](Self::call) does.
    ///
    /// # Errors
    /// Those of [`call`](Self::call), except for the check of the request.
    pub fn call_empty<R>(&self, operation: &'static Operation) -> Result<Reply<R::Data>, Error>
    where
        R: Envelope + DeserializeOwned + 'static,
        R::Data: Send + 'static,
    {
        self.perform::<R>(operation, Ok(Body::empty()))
    }

    fn perform<R>(
        &self,
        operation: &'static Operation,
        body: Result<Body, Error>,
    ) -> Result<Reply<R::Data>, Error>
    where
        R: Envelope + DeserializeOwned + 'static,
        R::Data: Send + 'static,
    {
        let client = self.client.clone();
        let call = async move { client.perform::<R, _>(operation, || ready(body)).await };
        self.worker.run(operation, call)
    }

    /// Calls an operation with your own body, and returns the reply undecoded, as
    /// [`Client::execute`](crate::Client::execute) of the async client.
    ///
    /// # Errors
    /// If the reply has no success status, if it reports an error or a failure in its body, if no
    /// reply arrives, and for a call from the client's own thread. [`Error::certainty`] says whether
    /// the call may have had its effect.
    pub fn execute(&self, operation: &'static Operation, body: Body) -> Result<RawReply, Error> {
        let client = self.client.clone();
        let call = async move { client.execute(operation, body).await };
        self.worker.run(operation, call)
    }
}

/// Runs a search of the async client on the client's thread. Not a method, because its name could clash
/// with that of a group.
pub(crate) fn iterate<T, D>(client: &Client, search: crate::Items<T, D>) -> Items<T, D> {
    Items::new(client.worker.clone(), search)
}

/// Shows the base URL and the subaccount, and no key.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_and_iterators_are_send() {
        fn assert_send_sync<T: Send + Sync>() {}
        fn assert_send<T: Send>() {}
        assert_send_sync::<Client>();
        assert_send_sync::<ClientBuilder>();
        assert_send::<Items<String, Vec<String>>>();
        assert_send::<super::super::Pages<Vec<String>>>();
    }
}
