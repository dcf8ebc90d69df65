//! The meaning of an attempt: whether the call succeeded, what is certain if it did not, and what
//! comes next.
//!
//! All of it is a function of what is passed in. There is no I/O, no clock and no randomness:
//!
//! ```text
//! Evidence ── case() ──> Case ── row() ──> certainty, retry ── next() ──> Step
//! ```
//!
//! Nothing outside of this file maps a status, a body or the end of an attempt to a certainty.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use smtp2go_types::values_beyond;

use super::rate_limit::LONGEST_PAUSE;
use super::{Next, RawReply, RetryPolicy};
use crate::error::said::Said;
use crate::error::{Certainty, Error, ErrorKind, FieldError, ReplyLimit, known, retry_after};
use crate::operation::{FailureIn200, Operation};

/// What is known after an attempt.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// As much of the reply as arrived, if its status did.
    pub(crate) answer: Option<Received>,
    pub(crate) upload: Upload,
    pub(crate) ending: Ending,
}

/// A reply, read up to where it ended or a limit was reached.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    /// The HTTP client followed a redirect, so that another URL answered.
    pub(crate) followed: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How much of the request may have reached the server, and may still do so. The gate of the body
/// proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// Nothing.
    Nothing,
    /// Less than the whole, so that no server can process it.
    Part,
    /// The whole.
    Whole,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// With a whole reply.
    Complete,
    /// Before that, with an error of the HTTP layer or (`None`) by a time limit.
    Broken(Option<reqwest::Error>),
    /// With a reply whose body exceeds a limit.
    OverLimit(ReplyLimit),
    /// Because content of the request could not be read, so that the rest was never sent.
    Content(FieldError),
}

/// What holds for all attempts of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    pub(crate) operation: &'static Operation,
    pub(crate) retry: &'a RetryPolicy,
    /// The same bytes can be sent again.
    pub(crate) rewindable: bool,
    /// A success that reports failures is an error.
    pub(crate) failures_are_errors: bool,
    /// The caller judges each result of a batch by itself, with [`outcome`].
    pub(crate) per_item: bool,
    /// The base URL ends in a version, as that of the API does.
    pub(crate) versioned: bool,
}

/// Where a call stands after an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Attempts so far.
    pub(crate) attempt: u32,
    /// Time until the deadline.
    pub(crate) left: Duration,
    /// The host has a retry left in its budget.
    pub(crate) has_budget: bool,
    /// There is a host that the call has not tried.
    pub(crate) has_other_host: bool,
    /// A random number from 0 to 1.
    pub(crate) jitter: f64,
    pub(crate) now: SystemTime,
}

/// A call that succeeded.
#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) reply: RawReply,
    pub(crate) said: Said,
}

/// What comes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) next: Next,
    /// How long no call of the client may begin, counted from the head of the reply.
    pub(crate) pause: Option<Duration>,
    /// The next attempt goes to the next host.
    pub(crate) moves_on: bool,
    /// The retry is taken out of the host's budget.
    pub(crate) charged: bool,
    /// The host could be reached.
    pub(crate) reached: bool,
    /// The host answered the call, and not with a passing failure.
    pub(crate) answered: bool,
}

/// What an attempt came to. The first case that applies counts, in the order of [`case`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Content of the request could not be read to its end.
    Content,
    /// There is no reply, and nothing was sent.
    NothingSent,
    /// There is no reply, and the last byte of the request was not sent.
    PartSent,
    /// There is no reply. By HTTP/2's means, the server promised that it did not process the request.
    StreamRefused,
    /// There is no reply to a request that was sent whole.
    NoReply,
    /// The HTTP client followed a redirect, so that another URL answered.
    RedirectFollowed,
    /// An error that the spec lists as a refusal, such as that for an unknown key.
    KnownRefusal,
    /// 429.
    RateLimited,
    /// 408: the server waited for the request in vain.
    RequestTimeout,
    /// Any other 4xx.
    ClientError,
    /// 501.
    NotImplemented,
    /// Any other 5xx.
    ServerError,
    /// 3xx.
    Redirect,
    /// Any other status that is not a success.
    OtherStatus,
    /// A success whose body exceeds a limit.
    ReplyTooLarge,
    /// A success whose body broke off.
    Truncated,
    /// A success that reports an error.
    ErrorIn200,
    /// A success that reports an error and, beside it, an id or a success; or of which a part is unreadable.
    ErrorBesideSuccess,
    /// A success that reports that a message was not accepted.
    FailedIn200,
    /// As [`FailedIn200`](Self::FailedIn200), with an id or a success beside it, or unreadable in part.
    FailedBesideSuccess,
    /// A success of a send that reports neither an id nor a success.
    Unconfirmed,
    /// A success that is not the expected reply.
    Undecodable,
}

/// When another attempt does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// Another attempt would change nothing.
    Never,
    /// For every operation: the request was not processed.
    NotSent,
    /// For every operation: the server did not process the request, and can be reached.
    Refused,
    /// For every operation, after a pause of all calls.
    RateLimited,
    /// For idempotent operations.
    Idempotent,
}

/// THE table: what is certain in a case, and when another attempt does no harm.
const fn row(case: Case) -> (Certainty, Retry) {
    use Certainty::{NotSent, Rejected, Unknown};
    use Retry::{Idempotent, Never, RateLimited, Refused};
    match case {
        Case::Content => (NotSent, Never),
        Case::NothingSent => (NotSent, Retry::NotSent),
        Case::PartSent => (NotSent, Retry::NotSent),
        Case::StreamRefused => (NotSent, Refused),
        Case::NoReply => (Unknown, Idempotent),
        Case::RedirectFollowed => (Unknown, Never),
        Case::KnownRefusal => (Rejected, Never),
        Case::RateLimited => (Rejected, RateLimited),
        Case::RequestTimeout => (Unknown, Never),
        Case::ClientError => (Rejected, Never),
        Case::NotImplemented => (Unknown, Never),
        Case::ServerError => (Unknown, Idempotent),
        Case::Redirect => (Unknown, Never),
        Case::OtherStatus => (Unknown, Never),
        Case::ReplyTooLarge => (Unknown, Never),
        Case::Truncated => (Unknown, Idempotent),
        Case::ErrorIn200 => (Rejected, Never),
        Case::ErrorBesideSuccess => (Unknown, Never),
        Case::FailedIn200 => (Rejected, Never),
        Case::FailedBesideSuccess => (Unknown, Never),
        Case::Unconfirmed => (Unknown, Never),
        Case::Undecodable => (Unknown, Never),
    }
}

/// Judges an attempt, and decides what comes next.
pub(crate) fn verdict(
    policy: &Policy<'_>,
    evidence: Evidence,
    situation: &Situation,
) -> (Result<Success, Error>, Step) {
    match judge(policy, evidence) {
        Ok(success) => {
            let step = Step {
                next: Next::Done,
                pause: None,
                moves_on: false,
                charged: false,
                reached: true,
                answered: true,
            };
            (Ok(success), step)
        }
        Err((case, error)) => {
            let asked = error
                .headers()
                .and_then(|headers| retry_after(headers, situation.now));
            let step = next(policy, row(case).1, asked, situation);
            // After a 429 without `Retry-After`, the error says how long the client pauses.
            (Err(error.with_retry_after(step.pause)), step)
        }
    }
}

/// How long no call of the client may begin after a 429, by its head alone.
pub(crate) fn pause_after(
    policy: &RetryPolicy,
    status: StatusCode,
    headers: &HeaderMap,
    situation: (f64, SystemTime),
) -> Option<Duration> {
    let (jitter, now) = situation;
    (status == StatusCode::TOO_MANY_REQUESTS).then(|| {
        policy
            .after_rate_limit(retry_after(headers, now), jitter)
            .min(LONGEST_PAUSE)
    })
}

/// What is certain of a call that is dropped during an attempt.
pub(crate) fn cancelled(upload: Upload) -> Certainty {
    match upload {
        Upload::Nothing | Upload::Part => Certainty::NotSent,
        Upload::Whole => Certainty::Unknown,
    }
}

/// The error of a call whose task ended before the call did.
pub(crate) fn interrupted(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    cancelled_call(row(Case::NoReply).0, source)
}

/// The error of a call that was cancelled, with what is certain of it.
pub(crate) fn cancelled_call(
    certainty: Certainty,
    source: impl Into<Box<dyn StdError + Send + Sync>>,
) -> Error {
    let kind = ErrorKind::NoReply {
        connect: false,
        timeout: false,
        part: false,
    };
    Error::judged(kind, certainty).with_source(source)
}

/// The error of a success whose body is not the expected reply.
pub(crate) fn undecodable(
    operation: Option<&'static Operation>,
    reply: RawReply,
    error: &serde_json::Error,
) -> Error {
    let attempts = reply.attempts();
    let said = Said::read(
        reply.body(),
        operation.and_then(|operation| operation.failure_in_200),
    );
    // Only the place: the text can quote the body.
    let place = match error.line() {
        0 => "the JSON does not have the reply's shape".to_owned(),
        line => format!(
            "{:?} error at line {line} column {}",
            error.classify(),
            error.column()
        ),
    };
    let error = Error::judged(ErrorKind::Decode, row(Case::Undecodable).0)
        .with_reply(reply.into_parts(), said)
        .with_source(place);
    match operation {
        Some(operation) => error.during(operation, attempts),
        None => error,
    }
}

/// The error of a complete reply that was judged before, or by somebody else.
#[cfg(feature = "raw")]
pub(crate) fn of_reply(status: StatusCode, headers: HeaderMap, body: Bytes) -> Error {
    let said = Said::read(&body, None);
    let answer = Received {
        status,
        followed: false,
        headers: HeaderMap::new(),
        body: Vec::new(),
    };
    let case = if status.is_success() {
        Case::Undecodable
    } else {
        by_status(&answer, &said).unwrap_or(Case::Undecodable)
    };
    Error::judged(kind(case, None, &Ending::Complete), row(case).0)
        .with_reply((status, headers, body), said)
}

/// What is certain of the mail in a success that was taken for one although it reports failures;
/// `None` if it does not.
pub(crate) fn certainty_despite_success(
    operation: &'static Operation,
    reply: &RawReply,
) -> Option<Certainty> {
    let said = Said::read(reply.body(), operation.failure_in_200);
    by_content(&said, operation.failure_in_200, true, false).map(|case| row(case).0)
}

/// The results of a batch: one for each mail, or an error if there are not as many.
pub(crate) fn results(
    operation: &'static Operation,
    expected: usize,
    success: Success,
) -> Result<(Vec<Result<Said, Error>>, RawReply), Error> {
    let Success { reply, said } = success;
    let found = said.results.count;
    let places = operation.failure_in_200.unwrap_or_default();
    if found != expected {
        let kind = ErrorKind::Results { found, expected };
        let attempts = reply.attempts();
        // Nobody can tell which result belongs to which mail.
        return Err(Error::judged(kind, row(Case::Undecodable).0)
            .with_reply(reply.into_parts(), said)
            .during(operation, attempts));
    }
    let outcomes = Said::results(reply.body(), places)
        .into_iter()
        .map(|result| outcome(operation, result, &said, &reply))
        .collect();
    Ok((outcomes, reply))
}

/// The outcome of one mail of a batch. With an error of the whole reply no mail is confirmed, and a
/// mail of which nothing is said is refused only if none was accepted.
fn outcome(
    operation: &'static Operation,
    mut result: Said,
    envelope: &Said,
    reply: &RawReply,
) -> Result<Said, Error> {
    result.whole &= envelope.whole;
    let case = match by_content(&result, operation.failure_in_200, true, false) {
        None if envelope.has_error() => Case::ErrorBesideSuccess,
        None => return Ok(result),
        Some(Case::Unconfirmed) if envelope.has_error() && !envelope.results.accepted => {
            Case::ErrorIn200
        }
        Some(case) => case,
    };
    let certainty = row(case).0;
    // An item's error is a failure within a reply that is none.
    let kind = match case {
        Case::Unconfirmed | Case::Undecodable if !envelope.has_error() => ErrorKind::Unconfirmed,
        _ => ErrorKind::FailedIn200,
    };
    result.request_id.clone_from(&envelope.request_id);
    if result.error.is_none() && result.error_code.is_none() {
        result.error.clone_from(&envelope.error);
        result.error_code.clone_from(&envelope.error_code);
    }
    if result.failures.is_empty() {
        let reason = result.error.clone().or_else(|| result.error_code.clone());
        result.failures.extend(reason);
    }
    Err(Error::judged(kind, certainty)
        .with_reply(reply.clone().into_parts(), result)
        .during(operation, reply.attempts()))
}

/// Turns evidence into a success, or into an error that says what is certain.
fn judge(policy: &Policy<'_>, evidence: Evidence) -> Result<Success, (Case, Error)> {
    let operation = policy.operation;
    let said = evidence
        .answer
        .as_ref()
        .map_or_else(Said::default, |answer| {
            Said::read(&answer.body, operation.failure_in_200)
        });
    let Some(case) = case(policy, &evidence, &said) else {
        let Some(answer) = evidence.answer else {
            return Err((Case::NoReply, interrupted("no reply")));
        };
        let (status, headers, body) = (answer.status, answer.headers, answer.body.into());
        let request_id = said.request_id.clone();
        let reply = RawReply::new(status, headers, body, request_id);
        return Ok(Success { reply, said });
    };
    let Evidence { answer, ending, .. } = evidence;
    let kind = kind(case, answer.as_ref(), &ending);
    let mut error = Error::judged(kind, row(case).0);
    if let Some(answer) = answer {
        let mut said = said;
        said.take_failures();
        if answer.status == StatusCode::NOT_FOUND && !policy.versioned {
            error = error.with_advice(
                "the base URL does not end in a version, as https://api.smtp2go.com/v3 does",
            );
        }
        error = error.with_reply((answer.status, answer.headers, answer.body.into()), said);
    }
    Err((
        case,
        match ending {
            Ending::Broken(source) => error.with_http_source(source),
            Ending::Content(field) if case == Case::Content => error.with_field(field),
            _ => error,
        },
    ))
}

/// The case of an attempt; `None` for a success.
fn case(policy: &Policy<'_>, evidence: &Evidence, said: &Said) -> Option<Case> {
    let Some(answer) = &evidence.answer else {
        return Some(match (&evidence.ending, evidence.upload) {
            (Ending::Content(_), _) => Case::Content,
            (_, Upload::Nothing) => Case::NothingSent,
            (Ending::Broken(Some(error)), _) if is_stream_refused(error) => Case::StreamRefused,
            (_, Upload::Part) => Case::PartSent,
            (_, Upload::Whole) => Case::NoReply,
        });
    };
    if answer.followed {
        // Whatever it says: it answers another request.
        return Some(Case::RedirectFollowed);
    }
    if let Some(case) = by_status(answer, said) {
        return Some(case);
    }
    match evidence.ending {
        Ending::OverLimit(_) => Some(Case::ReplyTooLarge),
        Ending::Broken(_) | Ending::Content(_) => Some(Case::Truncated),
        Ending::Complete => by_content(
            said,
            policy.operation.failure_in_200,
            policy.failures_are_errors,
            policy.per_item,
        ),
    }
}

/// The case of a reply whose status is not a success. A refusal is one even if the rest is lost.
fn by_status(answer: &Received, said: &Said) -> Option<Case> {
    let status = answer.status;
    if status.is_success() {
        return None;
    }
    let known = known::find(said.error_code.as_deref(), said.error.as_deref());
    Some(match status {
        _ if known.is_some_and(|known| known.rejected) => Case::KnownRefusal,
        StatusCode::TOO_MANY_REQUESTS => Case::RateLimited,
        StatusCode::REQUEST_TIMEOUT => Case::RequestTimeout,
        StatusCode::NOT_IMPLEMENTED => Case::NotImplemented,
        status if status.is_client_error() => Case::ClientError,
        status if status.is_server_error() => Case::ServerError,
        status if status.is_redirection() => Case::Redirect,
        _ => Case::OtherStatus,
    })
}

/// The case of a success, or of one result of a batch, by what it says. `places` is set for an
/// operation whose success has to say so.
fn by_content(
    said: &Said,
    places: Option<FailureIn200>,
    failures_are_errors: bool,
    per_item: bool,
) -> Option<Case> {
    let results = &said.results;
    if per_item && (results.count > 0 || said.whole && !said.has_error()) {
        return None;
    }
    let confirmed = said.accepted || results.confirmed;
    let accepted = said.accepted || said.misplaced || results.accepted;
    if said.has_error() {
        return Some(if said.whole && !accepted {
            Case::ErrorIn200
        } else {
            Case::ErrorBesideSuccess
        });
    }
    places?;
    // A batch fails as a whole only if none of its mails was accepted.
    let refused = said.refused || !confirmed && results.refused;
    match (said.whole, refused) {
        (false, true) => Some(Case::FailedBesideSuccess),
        (false, false) => Some(Case::Undecodable),
        (true, true) if !failures_are_errors => None,
        (true, true) if accepted => Some(Case::FailedBesideSuccess),
        (true, true) => Some(Case::FailedIn200),
        (true, false) if confirmed => None,
        (true, false) => Some(Case::Unconfirmed),
    }
}

/// The kind of error for a case.
fn kind(case: Case, answer: Option<&Received>, ending: &Ending) -> ErrorKind {
    let source = match ending {
        Ending::Broken(source) => source.as_ref(),
        _ => None,
    };
    let timeout =
        matches!(ending, Ending::Broken(None)) || source.is_some_and(reqwest::Error::is_timeout);
    let no_reply = |connect, part| ErrorKind::NoReply {
        connect,
        timeout,
        part,
    };
    match case {
        Case::Content => ErrorKind::Content,
        // Once a part was sent, the error may be that of a redirect's target.
        Case::NothingSent => no_reply(source.is_some_and(reqwest::Error::is_connect), false),
        Case::PartSent => no_reply(false, true),
        Case::NoReply => no_reply(false, false),
        Case::StreamRefused => ErrorKind::StreamRefused,
        Case::RedirectFollowed | Case::Redirect => ErrorKind::Redirect {
            followed: answer.is_some_and(|answer| answer.followed),
        },
        Case::KnownRefusal
        | Case::RateLimited
        | Case::RequestTimeout
        | Case::ClientError
        | Case::NotImplemented
        | Case::ServerError
        | Case::OtherStatus => ErrorKind::Status,
        Case::ReplyTooLarge => match ending {
            Ending::OverLimit(limit) => ErrorKind::ReplyTooLarge(*limit),
            _ => ErrorKind::Truncated { timeout },
        },
        Case::Truncated => ErrorKind::Truncated { timeout },
        Case::ErrorIn200 | Case::ErrorBesideSuccess => ErrorKind::ErrorIn200,
        Case::FailedIn200 | Case::FailedBesideSuccess => ErrorKind::FailedIn200,
        Case::Unconfirmed => ErrorKind::Unconfirmed,
        Case::Undecodable => ErrorKind::Decode,
    }
}

/// Decides what comes after a failed attempt. `asked` is the wait that the reply asks for.
fn next(policy: &Policy<'_>, retry: Retry, asked: Option<Duration>, situation: &Situation) -> Step {
    let &Situation {
        attempt,
        left,
        has_budget,
        has_other_host,
        jitter,
        ..
    } = situation;
    let backoff = policy.retry.backoff(attempt, jitter);
    // Another host is tried at once. After a 429 the whole client waits.
    let (after, reason) = match retry {
        Retry::Never => (None, "final"),
        Retry::NotSent if has_other_host => (Some(Duration::ZERO), "not_sent"),
        Retry::NotSent => (Some(backoff), "not_sent"),
        Retry::Refused => (Some(backoff), "refused"),
        Retry::RateLimited => {
            let pause = policy.retry.after_rate_limit(asked, jitter);
            (Some(pause.min(LONGEST_PAUSE)), "rate_limited")
        }
        Retry::Idempotent if policy.operation.repeat_safe => {
            (Some(backoff.max(asked.unwrap_or_default())), "repeat_safe")
        }
        Retry::Idempotent => (None, "not_repeat_safe"),
    };
    // The budget spares a host more of the same: not another host, nor where all calls pause.
    let charged = retry != Retry::RateLimited && !(retry == Retry::NotSent && has_other_host);
    let next = match after {
        None => Next::Stop { reason },
        Some(after) => match () {
            () if !policy.rewindable => Next::Stop {
                reason: "not_replayable",
            },
            () if attempt >= policy.retry.attempts() => Next::Stop { reason: "attempts" },
            () if after >= left => Next::Stop { reason: "deadline" },
            () if charged && !has_budget => Next::Stop {
                reason: "retry_budget",
            },
            () => Next::Retry { after, reason },
        },
    };
    Step {
        next,
        pause: after.filter(|_| retry == Retry::RateLimited),
        moves_on: retry == Retry::NotSent && next.is_retry(),
        charged: charged && next.is_retry(),
        reached: retry != Retry::NotSent,
        answered: retry == Retry::Never,
    }
}

impl Evidence {
    /// Whether the API may have counted the attempt for its rate limits.
    pub(crate) fn was_counted(&self) -> bool {
        self.answer.is_some() || self.upload != Upload::Nothing
    }

    /// Cuts the body where it exceeds a number of values, so that decoding it takes a bounded amount
    /// of memory.
    pub(crate) fn with_values_limited(mut self, limit: usize) -> Self {
        if let Some(answer) = &mut self.answer
            && let Some(end) = values_beyond(&answer.body, limit)
        {
            answer.body.truncate(end);
            if matches!(self.ending, Ending::Complete) {
                self.ending = Ending::OverLimit(ReplyLimit::Values(limit));
            }
        }
        self
    }
}

impl Received {
    /// Adds a chunk of the body, up to `limit` bytes in all. Whether all of it was within the limit.
    pub(crate) fn take(&mut self, chunk: &[u8], limit: u64) -> bool {
        let room = limit.saturating_sub(self.body.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.body
            .extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        chunk.len() <= room
    }
}

/// Whether an HTTP/2 server promised that it has not processed the request and will not: it reset
/// the stream as refused, or went away naming an earlier stream as the last that it processes.
///
/// Works only while h2 is the copy that reqwest uses, which a test holds.
#[cfg(feature = "http2")]
fn is_stream_refused(error: &reqwest::Error) -> bool {
    let mut source = StdError::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return error.is_remote()
                && (error.is_go_away()
                    || error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM));
        }
        source = error.source();
    }
    false
}

/// Without HTTP/2 there are no such promises.
#[cfg(not(feature = "http2"))]
fn is_stream_refused(_: &reqwest::Error) -> bool {
    false
}

#[cfg(test)]
pub(crate) mod tests;
