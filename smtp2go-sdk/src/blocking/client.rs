//! The client itself.

use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::thread;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use smtp2go_types::{Envelope, Validate};

use super::items::Items;
use super::worker::Worker;
use crate::client::encode;
use crate::operation::Operation;
use crate::{Batch, Body, CallOptions, Email, Error, Mime, RawReply, Reply, Sent, operations};

/// Sets up a [`blocking::Client`](Client). Made by [`Client::builder`].
pub type ClientBuilder = crate::ClientBuilder<Client>;

/// A client of the API, for one key, whose calls return when they are over.
///
/// Operations are methods of its groups, `client.template().view(…)`. Cheap to clone: clones
/// share a thread, their connections, their pacing and what they know of the servers, and it is
/// best to make one client and keep it. [Where it can be used](super#threads).
#[derive(Clone)]
pub struct Client {
    pub(crate) client: crate::Client,
    pub(super) worker: Arc<Worker>,
}

impl crate::ClientBuilder<Client> {
    /// The client, with its thread started. Nothing is sent yet.
    ///
    /// # Errors
    /// As [`ClientBuilder::build`](crate::ClientBuilder::build) of the async client, and if the
    /// system refuses the thread or what it needs to do I/O.
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
    /// Sets up a client for the key, which is checked by `build`.
    pub fn builder(key: impl Into<String>) -> ClientBuilder {
        ClientBuilder::new(key.into())
    }

    /// A client set up from the environment, as
    /// [`Client::from_env`](crate::Client::from_env) of the async one is.
    ///
    /// # Errors
    /// As `build` of the [`builder`](Self::builder); the error names the variable.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_lookup(&|name| std::env::var(name))?.build()
    }

    /// The same client with other settings for some calls: see
    /// [`Client::with_options`](crate::Client::with_options) of the async one.
    #[must_use]
    pub fn with_options(&self, options: CallOptions) -> Self {
        Self {
            client: self.client.with_options(options),
            worker: self.worker.clone(),
        }
    }

    /// The same client for one subaccount of the key's account: see
    /// [`Client::for_subaccount`](crate::Client::for_subaccount) of the async one, for what is
    /// refused too.
    #[must_use]
    pub fn for_subaccount(&self, id: impl Into<String>) -> Self {
        Self {
            client: self.client.for_subaccount(id),
            worker: self.worker.clone(),
        }
    }

    /// Sends a mail, or schedules it: see [`Client::send`](crate::Client::send) of the async one.
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation) for a mail that the API would not take, and for an
    /// attachment that could not be read to its end; otherwise those of
    /// [`execute`](Self::execute).
    pub fn send(&self, email: Email) -> Result<Reply<Sent>, Error> {
        let client = self.client.clone();
        let call = async move { client.send(email).await };
        self.worker.run(&operations::EMAIL_SEND, call)
    }

    /// Sends a finished MIME message, or schedules it: see
    /// [`Client::send_mime`](crate::Client::send_mime) of the async one.
    ///
    /// # Errors
    /// As [`send`](Self::send). Of the message only its size is checked.
    pub fn send_mime(&self, message: impl Into<Mime>) -> Result<Reply<Sent>, Error> {
        let (client, message) = (self.client.clone(), message.into());
        let call = async move { client.send_mime(message).await };
        self.worker.run(&operations::EMAIL_MIME, call)
    }

    /// Sends many mails in one request: see [`Client::send_batch`](crate::Client::send_batch) of
    /// the async one.
    ///
    /// # Errors
    /// As [`send`](Self::send), and if the reply does not have one result for each mail. What
    /// became of each mail is in the [`Batch`].
    pub fn send_batch(&self, emails: impl IntoIterator<Item = Email>) -> Result<Batch, Error> {
        let (client, emails) = (self.client.clone(), Vec::from_iter(emails));
        let call = async move { client.send_batch(emails).await };
        self.worker.run(&operations::EMAIL_BATCH, call)
    }

    /// Calls an operation with a typed request: what the groups' methods do. See
    /// [`Client::call`](crate::Client::call) of the async one.
    ///
    /// # Errors
    /// [`is_validation`](Error::is_validation) if the request does not pass its own check,
    /// [`is_decode`](Error::is_decode) if the reply is not an `R`, and all of
    /// [`execute`](Self::execute)'s.
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
    /// Those of [`call`](Self::call), but for the check of the request.
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

    /// Calls an operation with a body of your own, and hands back the reply as it came: see
    /// [`Client::execute`](crate::Client::execute) of the async one.
    ///
    /// # Errors
    /// Any answer but a success; a success that reports an error or a failure in its body; no
    /// answer at all; a call from the client's own thread. [`Error::certainty`] says whether the
    /// call may have had its effect.
    pub fn execute(&self, operation: &'static Operation, body: Body) -> Result<RawReply, Error> {
        let client = self.client.clone();
        let call = async move { client.execute(operation, body).await };
        self.worker.run(operation, call)
    }
}

/// A search of the async client, with this one's thread to run on. Not a method, which could be the
/// name of a group.
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
    fn clients_and_iterators_go_between_threads() {
        fn assert_send_sync<T: Send + Sync>() {}
        fn assert_send<T: Send>() {}
        assert_send_sync::<Client>();
        assert_send_sync::<ClientBuilder>();
        assert_send::<Items<String, Vec<String>>>();
        assert_send::<super::super::Pages<Vec<String>>>();
    }
}
