//! What became of the mails of a batch.

use serde_core::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use smtp2go_types::{BatchResult, Envelope, readable};

use super::Sent;
use crate::RawReply;
use crate::error::said::{Findings, Members, filled, kind, texts};
use crate::error::{Certainty, Error, Kind};
use crate::operation::Operation;

/// The outcomes of a batch, in the order of its mails.
///
/// That the batch was answered does not mean that each mail was taken in: look at them all, or
/// turn them into one result with [`into_sent`](Self::into_sent).
///
/// How the service reports a mail that failed is not documented. Here a mail was taken in if its
/// result has an `email_id` or a `schedule_id` and reports no error; otherwise its outcome is an
/// [`Error`] with what the service said, and the [certainty](Error::certainty) is `Rejected` if
/// an error was reported and no id was given, and `Unknown` if not.
#[derive(Debug)]
#[must_use = "a mail of the batch may have failed"]
pub struct Batch {
    outcomes: Vec<Result<Sent, Error>>,
    reply: RawReply,
}

impl Batch {
    /// The outcomes, one for each mail, in their order.
    #[inline]
    pub fn outcomes(&self) -> &[Result<Sent, Error>] {
        &self.outcomes
    }

    /// The outcomes, to keep.
    #[inline]
    pub fn into_outcomes(self) -> Vec<Result<Sent, Error>> {
        self.outcomes
    }

    /// The mails that failed: their places in the list, counted from 0, and why.
    #[inline]
    pub fn failures(&self) -> impl Iterator<Item = (usize, &Error)> {
        let outcomes = self.outcomes.iter().enumerate();
        outcomes.filter_map(|(index, outcome)| Some((index, outcome.as_ref().err()?)))
    }

    /// All mails, if all were taken in.
    ///
    /// # Errors
    /// That of the first mail that failed. Others may have been sent all the same.
    #[inline]
    pub fn into_sent(self) -> Result<Vec<Sent>, Error> {
        self.outcomes.into_iter().collect()
    }

    /// The id that SMTP2GO gave the request, and asks for in support. Absent if the reply had
    /// none.
    #[must_use]
    #[inline]
    pub fn request_id(&self) -> Option<&str> {
        self.reply.request_id()
    }

    /// The reply as it came.
    #[must_use]
    #[inline]
    pub fn reply(&self) -> &RawReply {
        &self.reply
    }

    /// Reads the results of so many mails.
    #[inline]
    pub(crate) fn new(
        operation: &'static Operation,
        expected: usize,
        results: &Results,
        reply: RawReply,
    ) -> Result<Self, Error> {
        let found = results.0.len();
        if found != expected {
            // Which result is whose can't be told.
            let kind = Kind::Results { found, expected };
            let error = answered(kind, Certainty::Unknown, &reply, Findings::default());
            return Err(error.during(operation, 1));
        }
        let outcome =
            |value| outcome(value, &reply).map_err(|error: Error| error.during(operation, 1));
        Ok(Self {
            outcomes: results.0.iter().map(|result| outcome(result)).collect(),
            reply,
        })
    }
}

/// The outcomes, one for each mail, in their order.
impl IntoIterator for Batch {
    type Item = Result<Sent, Error>;
    type IntoIter = std::vec::IntoIter<Self::Item>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.outcomes.into_iter()
    }
}

/// The list of results as it came: one that is null or of another kind keeps its place.
#[derive(Default)]
pub(crate) struct Results(Vec<Box<RawValue>>);

/// The reply around it.
pub(crate) struct BatchReply {
    data: Option<Box<RawValue>>,
}

impl<'de> Deserialize<'de> for BatchReply {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Members(members) = Deserialize::deserialize(deserializer)?;
        let data = members.into_iter().rfind(|(name, _)| name == "data");
        Ok(Self {
            data: data.map(|(_, data)| data.to_owned()),
        })
    }
}

impl Envelope for BatchReply {
    type Data = Results;

    #[inline]
    fn into_parts(self) -> (Option<String>, Results) {
        let results = match self.data {
            None => Vec::new(),
            Some(data) => match kind(&data) {
                b'[' => serde_json::from_str(data.get()).unwrap_or_default(),
                b'n' => Vec::new(),
                // One result in place of a list of one.
                _ => vec![data],
            },
        };
        (None, Results(results))
    }
}

#[inline]
fn outcome(value: &RawValue, reply: &RawReply) -> Result<Sent, Error> {
    let repaired = readable(value.get().as_bytes());
    let value = serde_json::from_str(&repaired).unwrap_or(value);
    let item: BatchResult = if kind(value) == b'{' {
        // An object always decodes: each of its fields takes anything.
        serde_json::from_str(value.get()).unwrap_or_default()
    } else {
        let mut item = BatchResult::default();
        item.failures = texts(value);
        item
    };
    let sent = Sent::new(item.email_id, item.schedule_id);
    let has_id = sent.email_id.is_some() || sent.schedule_id.is_some();
    let (error, error_code) = (filled(item.error), filled(item.error_code));
    let mut failures = item.failures;
    let reported = error.is_some()
        || error_code.is_some()
        || !failures.is_empty()
        || item.failed.is_some_and(|failed| failed > 0);
    if has_id && !reported {
        return Ok(sent);
    }
    let certainty = if reported && !has_id {
        Certainty::Rejected
    } else {
        Certainty::Unknown
    };
    if failures.is_empty() {
        failures.extend(error.clone().or_else(|| error_code.clone()));
    }
    let kind = if reported {
        Kind::FailureInSuccess
    } else {
        Kind::NoResult
    };
    let found = Findings {
        error,
        error_code,
        ..Findings::default()
    };
    let id = sent.email_id;
    Err(answered(kind, certainty, reply, found)
        .with_failures(failures)
        .with_email_id(id))
}

#[inline]
fn answered(kind: Kind, certainty: Certainty, reply: &RawReply, found: Findings) -> Error {
    let found = Findings {
        request_id: reply.request_id().map(ToOwned::to_owned),
        ..found
    };
    Error::answered(kind, certainty, reply.clone().into_parts(), found)
}
