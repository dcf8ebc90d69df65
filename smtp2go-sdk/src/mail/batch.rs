//! The outcomes of a batch.

use super::Sent;
use crate::call::RawReply;
use crate::call::verdict::{self, Success};
use crate::error::Error;
use crate::operation::Operation;

/// The outcomes of a batch, in the order of its mails.
///
/// That the batch was answered does not mean that each mail was accepted: look at them all, or turn
/// them into one result with [`into_sent`](Self::into_sent).
///
/// How the service reports a mail that failed is not documented. Each result is judged as the reply
/// to a [`send`](crate::Client::send) is: a mail was accepted if its result has an id, or counts a
/// success, and reports no failure. Otherwise its outcome is an [`Error`] with what the service
/// said. The [certainty](Error::certainty) is `Rejected` if a failure was reported and nothing else,
/// and `Unknown` if there is an id or a success beside the failure, if the reply reports an error
/// for the whole batch, or if the result says nothing. [`Error::email_id`] has the id, if there is
/// one.
#[derive(Debug)]
#[must_use = "a mail of the batch may have failed"]
pub struct Batch {
    outcomes: Vec<Result<Sent, Error>>,
    reply: RawReply,
}

impl Batch {
    /// The outcomes, one for each mail, in their order.
    pub fn outcomes(&self) -> &[Result<Sent, Error>] {
        &self.outcomes
    }

    /// The outcomes, to keep.
    pub fn into_outcomes(self) -> Vec<Result<Sent, Error>> {
        self.outcomes
    }

    /// The mails that failed: their places in the list, counted from 0, and why.
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes.filter_map(|(index, outcome)| Some((index, outcome.as_ref().err()?)))
    }

    /// All mails, if all were accepted.
    ///
    /// # Errors
    /// That of the first mail that failed. Others may have been sent all the same.
    pub fn into_sent(self) -> Result<Vec<Sent>, Error> {
        self.outcomes.into_iter().collect()
    }

    /// The id that SMTP2GO gave the request, and asks for in support. Absent if the reply had
    /// none.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.reply.request_id()
    }

    /// The reply as it came.
    #[must_use]
    pub fn reply(&self) -> &RawReply {
        &self.reply
    }

    /// Reads the results of a number of mails.
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

/// The outcomes, one for each mail, in their order.
impl IntoIterator for Batch {
    type Item = Result<Sent, Error>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.into_iter()
    }
}
