//! The outcomes of a batch.

use super::Sent;
use crate::call::RawReply;
use crate::call::verdict::{self, Success};
use crate::error::Error;
use crate::operation::Operation;

/// The outcomes of a batch, in the order of its mails.
///
/// A reply to the batch does not mean that each mail was accepted: check all outcomes, or convert them
/// into one result with [`into_sent`](Self::into_sent).
///
/// Each result is judged like the reply to a [`send`](crate::Client::send): a mail was accepted if its
/// result has an id or counts a success, and reports no failure. Otherwise its outcome is an [`Error`]
/// with the service's explanation. The [certainty](Error::certainty) of the error is `Rejected` if the
/// result reports only a failure. It is `Unknown` if the result has an id or a success beside the
/// failure, if the reply reports an error for the whole batch, or if the result reports nothing.
/// [`Error::email_id`] returns the id, if there is one. How the service reports a failed mail in a batch
/// is not documented.
#[derive(Debug)]
#[must_use = "a mail of the batch may have failed"]
pub struct Batch {
    outcomes: Vec<Result<Sent, Error>>,
    reply: RawReply,
}

impl Batch {
    /// Returns the outcomes, one for each mail, in the order of the mails.
    pub fn outcomes(&self) -> &[Result<Sent, Error>] {
        &self.outcomes
    }

    /// Converts the batch into its outcomes.
    pub fn into_outcomes(self) -> Vec<Result<Sent, Error>> {
        self.outcomes
    }

    /// Returns the index, counted from 0, and the error of each mail that failed.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes.filter_map(|(index, outcome)| Some((index, outcome.as_ref().err()?)))
    }

    /// Returns the results of all mails, if all were accepted.
    ///
    /// # Errors
    /// The error of the first mail that failed. Other mails may have been sent nevertheless.
    pub fn into_sent(self) -> Result<Vec<Sent>, Error> {
        self.outcomes.into_iter().collect()
    }

    /// Returns the id that SMTP2GO gave the request. Quote it to SMTP2GO's support. `None` if the reply
    /// has no id.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.reply.request_id()
    }

    /// Returns the raw reply.
    #[must_use]
    pub fn reply(&self) -> &RawReply {
        &self.reply
    }

    /// Reads the results of `expected` mails.
    pub(crate) fn new(
        operation: &'static Operation,
        expected: usize,
        success: Success,
    ) -> Result<Self, Error> {
        let (results, reply) = verdict::results(operation, expected, success)?;
        Ok(Self {
            outcomes: results
                .into_iter()
                .map(|said| said.map(Sent::from))
                .collect(),
            reply,
        })
    }
}

/// Iterates over the outcomes, one for each mail, in the order of the mails.
impl IntoIterator for Batch {
    type Item = Result<Sent, Error>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.into_iter()
    }
}
