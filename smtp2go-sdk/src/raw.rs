//! The second door: a method for each operation as progenitor generates it, wired to the same core.
//!
//! [`Client::raw`](crate::Client::raw) hands one out, ready to use. Its methods are named by
//! operation and take and return the wire's own types, with the envelope around the data: names,
//! arguments and types are as progenitor makes them from the specification, and [`Reply`] is around
//! what is returned. Base URL, key, time limits, retries and errors are those of the client that it
//! came from: an error here is the one that the group's method would have given.
//!
//! Requests are checked before they are sent, as those of the groups are.

use std::future::ready;

use serde_core::de::DeserializeOwned;
use smtp2go_types::Envelope;

use crate::client::whole;
use crate::operation::Operation;
use crate::outcome::Success;
use crate::{Body, Error, Reply};

/// The raw client: one method per operation, named by its operationId.
#[derive(Clone, Debug)]
pub struct Client {
    core: crate::Client,
}

impl Client {
    pub(crate) fn new(core: crate::Client) -> Self {
        Self { core }
    }

    /// What each method does.
    pub(crate) async fn call<R>(
        &self,
        operation: &'static Operation,
        body: Result<Body, Error>,
    ) -> Result<Reply<R>, Error>
    where
        R: Envelope + DeserializeOwned,
    {
        let read = |success: Success| whole::<R>(operation, success.reply);
        self.core
            .perform_as(operation, || ready(body), read, Reply::raw)
            .await
    }
}
