//! Judges an attempt: whether the call succeeded, the certainty if it did not, and the next step.
//!
//! All functions are pure: no I/O, no clock, no randomness.
//!
//! ```text
//! Evidence ── case() ──> Case ── row() ──> certainty, retry ── next() ──> Step
//! ```
//!
//! No other file derives a certainty from a status, a body or the end of an attempt.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

#[cfg(all(feature = "raw", not(target_family = "wasm")))]
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use smtp2go_types::values_beyond;

use super::rate_limit::LONGEST_PAUSE;
use super::{Next, RawReply, RetryPolicy};
use crate::error::said::Said;
use crate::error::{Certainty, Error, ErrorKind, FieldError, ReplyLimit, known, retry_after};
use crate::operation::{FailureIn200, Operation};
use crate::platform::transport;

/// What is known after an attempt.
#[derive(Debug)]
pub(crate) struct Evidence {
    /// The reply, as far as it arrived. `None` if no status arrived.
    pub(crate) answer: Option<Received>,
    pub(crate) upload: Upload,
    pub(crate) ending: Ending,
}

/// A reply, read up to where it ended or a limit was reached.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) status: StatusCode,
    /// Whether the HTTP client followed a redirect, so that the reply is from another URL.
    pub(crate) followed: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// How much of the request can reach the server, now or later. The body's gate proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Upload {
    /// Nothing.
    Nothing,
    /// Only a part of the request, so no server can process it.
    Part,
    /// All of it.
    Whole,
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The attempt ended with a whole reply.
    Complete,
    /// No complete reply arrived: the HTTP layer failed, or the attempt timed out (`None`).
    Broken(Option<transport::Error>),
    /// The body of the reply exceeds a limit.
    OverLimit(ReplyLimit),
    /// Content of the request could not be read, so the rest was never sent.
    Content(FieldError),
}

/// Inputs of the verdict that are the same for all attempts of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy<'a> {
    pub(crate) operation: &'static Operation,
    pub(crate) retry: &'a RetryPolicy,
    /// Whether the same bytes can be sent again.
    pub(crate) rewindable: bool,
    /// Whether a success that reports failures is an error.
    pub(crate) failures_are_errors: bool,
    /// Whether the caller judges each result of a batch separately, with [`outcome`].
    pub(crate) per_item: bool,
    /// Whether the base URL ends in the API's version.
    pub(crate) versioned: bool,
}

/// The state of a call after an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// Number of attempts so far.
    pub(crate) attempt: u32,
    /// Time until the deadline.
    pub(crate) left: Duration,
    /// Whether the host has a retry left in its budget.
    pub(crate) has_budget: bool,
    /// Whether there is a host that the call has not tried.
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
    /// Certainty of a mail whose reply reports failures but counts as a success, because
    /// `failures_are_errors` is off.
    pub(crate) failed: Option<Certainty>,
}

/// The next step of a call, and what the attempt means for the host and for other calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) next: Next,
    /// Pause of all calls of the client, as the head of the reply determines it.
    pub(crate) pause: Option<Duration>,
    /// Whether the next attempt uses the next host.
    pub(crate) moves_on: bool,
    /// Whether the retry is subtracted from the host's budget.
    pub(crate) charged: bool,
    /// Whether the host could be reached.
    pub(crate) reached: bool,
    /// Whether the host replied with anything but a temporary failure.
    pub(crate) answered: bool,
}

/// The result of an attempt, other than success. [`case`] returns the first one that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    /// Content of the request could not be read to its end.
    Content,
    /// No reply; nothing was sent.
    NothingSent,
    /// No reply; the last byte of the request was not sent.
    PartSent,
    /// A 408 or 5xx other than 501, before the last byte of the request was sent.
    EarlyReply,
    /// No reply; the server refused the HTTP/2 stream before processing it.
    StreamRefused,
    /// No reply; the whole request was sent.
    NoReply,
    /// The HTTP client followed a redirect, so the reply is from another URL.
    RedirectFollowed,
    /// An error that the spec lists as a refusal, such as that for an unknown key.
    KnownRefusal,
    /// 429.
    RateLimited,
    /// 408: the server says that the request did not arrive in time.
    RequestTimeout,
    /// Any other 4xx.
    ClientError,
    /// A 4xx whose body reports an id or a success of a send.
    RefusedBesideSuccess,
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
    /// A success whose body is incomplete.
    Truncated,
    /// A success that reports an error.
    ErrorIn200,
    /// A success that reports an error, and also an id or a success, or that is unreadable in part.
    ErrorBesideSuccess,
    /// A success that reports that a message was not accepted.
    FailedIn200,
    /// Like [`FailedIn200`](Self::FailedIn200), but the body also reports an id or a success, or is
    /// unreadable in part.
    FailedBesideSuccess,
    /// A success of a send whose body reports neither an id nor an accepted message.
    Unconfirmed,
    /// A success whose body is not the expected reply.
    Undecodable,
}

/// When another attempt is safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// Never, or another attempt would not help.
    Never,
    /// For every operation: nothing was sent. Another host may be reachable.
    NotSent,
    /// For every operation: the server never had the whole request. The host can be reached.
    Aborted,
    /// For every operation: the server did not process the request. The host can be reached.
    Refused,
    /// For every operation, after a pause of all calls.
    RateLimited,
    /// For idempotent operations.
    Idempotent,
}

/// The table: the certainty of a case, and when another attempt is safe.
const fn row(case: Case) -> (Certainty, Retry) {
    use Certainty::{NotSent, Rejected, Unknown};
    use Retry::{Aborted, Idempotent, Never, RateLimited, Refused};
    match case {
        Case::Content => (NotSent, Never),
        Case::NothingSent => (NotSent, Retry::NotSent),
        Case::PartSent => (NotSent, Aborted),
        Case::EarlyReply => (NotSent, Aborted),
        Case::StreamRefused => (NotSent, Refused),
        Case::NoReply => (Unknown, Idempotent),
        Case::RedirectFollowed => (Unknown, Never),
        Case::KnownRefusal => (Rejected, Never),
        Case::RateLimited => (Rejected, RateLimited),
        Case::RequestTimeout => (Unknown, Never),
        Case::ClientError => (Rejected, Never),
        Case::RefusedBesideSuccess => (Unknown, Never),
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

/// Judges an attempt, and decides the next step.
pub(crate) fn verdict(
    policy: &Policy<'_>,
    evidence: Evidence,
    situation: &Situation,
) -> (Result<Success, Error>, Step) {
    let (reached, has_answer) = (evidence.was_counted(), evidence.answer.is_some());
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
            let step = Step {
                reached,
                answered: has_answer && row(case).1 == Retry::Never,
                ..next(policy, row(case).1, asked, situation)
            };
            // After a 429 without `Retry-After`, the error says how long the client pauses.
            (Err(error.with_retry_after(step.pause)), step)
        }
    }
}

/// Returns the pause of the client after a 429, as the head of the reply determines it.
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

/// Returns the certainty of a call that is dropped during an attempt.
pub(crate) fn cancelled(upload: Upload) -> Certainty {
    match upload {
        Upload::Nothing | Upload::Part => Certainty::NotSent,
        Upload::Whole => Certainty::Unknown,
    }
}

/// Returns the error of a call whose task ended before the call did.
pub(crate) fn interrupted(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
    cancelled_call(row(Case::NoReply).0, source)
}

/// Returns the error of a call that was cancelled.
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

/// Judges a complete reply to a whole request, for the users' tests.
#[cfg(feature = "test-util")]
pub(crate) fn judged_reply(
    operation: &'static Operation,
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
) -> Result<Success, Error> {
    let retry = RetryPolicy::new();
    let policy = Policy {
        operation,
        retry: &retry,
        rewindable: true,
        failures_are_errors: true,
        per_item: false,
        versioned: true,
    };
    let evidence = Evidence {
        answer: Some(Received {
            status,
            followed: false,
            headers,
            body,
        }),
        upload: Upload::Whole,
        ending: Ending::Complete,
    };
    let situation = Situation {
        attempt: 1,
        left: Duration::ZERO,
        has_budget: false,
        has_other_host: false,
        jitter: 0.0,
        now: crate::platform::time::now(),
    };
    verdict(&policy, evidence, &situation).0
}

/// Returns the error of an attempt without a reply, for the users' tests.
#[cfg(feature = "test-util")]
pub(crate) fn no_reply(upload: Upload, connect: bool, timeout: bool) -> Error {
    let case = match upload {
        Upload::Nothing => Case::NothingSent,
        Upload::Part => Case::PartSent,
        Upload::Whole => Case::NoReply,
    };
    let kind = ErrorKind::NoReply {
        connect,
        timeout,
        part: case == Case::PartSent,
    };
    Error::judged(kind, row(case).0)
}

/// Returns the error of a success whose body is not the expected reply.
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
    // serde's text can quote the body, so the source is only the position.
    let place = match error.line() {
        0 => "JSON does not have the reply's shape".to_owned(),
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

/// Returns the error of a complete reply that progenitor treats as an error. If the call went through
/// the core, the caller replaces the certainty with that of the call.
#[cfg(all(feature = "raw", not(target_family = "wasm")))]
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

/// Returns the results of a batch, one for each mail. Fails if the numbers of results and mails
/// differ.
pub(crate) fn results(
    operation: &'static Operation,
    expected: usize,
    success: Success,
) -> Result<(Vec<Result<Said, Error>>, RawReply), Error> {
    let Success { reply, said, .. } = success;
    let found = said.results.count;
    let places = operation.failure_in_200.unwrap_or_default();
    if found != expected {
        let kind = ErrorKind::Results { found, expected };
        let attempts = reply.attempts();
        // It is unknown which result belongs to which mail.
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

/// Returns the outcome of one mail of a batch. If the envelope reports an error, no mail is a success,
/// and a mail without a result of its own is rejected only if no mail was accepted.
fn outcome(
    operation: &'static Operation,
    mut result: Said,
    envelope: &Said,
    reply: &RawReply,
) -> Result<Said, Error> {
    result.whole &= envelope.whole;
    result.misplaced |= envelope.misplaced;
    let fails = envelope.has_error() || envelope.refused;
    let case = match by_content(&result, operation.failure_in_200, true, false) {
        None if fails => Case::ErrorBesideSuccess,
        None => return Ok(result),
        Some(Case::Unconfirmed) if fails && !result.misplaced && !envelope.results.accepted => {
            Case::ErrorIn200
        }
        Some(case) => case,
    };
    let certainty = row(case).0;
    // The error of one result is a failure within a successful reply.
    let kind = match case {
        Case::Unconfirmed | Case::Undecodable if !fails => ErrorKind::Unconfirmed,
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

/// Returns the success or the error that the evidence proves.
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
        let failed = if policy.failures_are_errors {
            None
        } else {
            by_content(&said, operation.failure_in_200, true, false).map(|case| row(case).0)
        };
        return Ok(Success {
            reply,
            said,
            failed,
        });
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

/// Classifies an attempt. `None` for a success.
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
        // The content is ignored, since it is the reply to another request.
        return Some(Case::RedirectFollowed);
    }
    match by_status(answer, said) {
        // A server can't process part of a request.
        Some(Case::RequestTimeout | Case::ServerError) if evidence.upload != Upload::Whole => {
            return Some(Case::EarlyReply);
        }
        Some(case) => return Some(case),
        None => {}
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

/// Classifies a reply whose status is not 2xx, whether or not all of its body arrived.
fn by_status(answer: &Received, said: &Said) -> Option<Case> {
    let status = answer.status;
    if status.is_success() {
        return None;
    }
    let known = known::find(said.error_code.as_deref(), said.error.as_deref());
    Some(match status {
        status if status.is_client_error() && said.reports_success() => Case::RefusedBesideSuccess,
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

/// Classifies a success, or one result of a batch, by its content. `places` is set for an operation
/// that sends, whose reply must report what was accepted.
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
    let accepted = said.reports_success();
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

/// Returns the kind of error for a case.
fn kind(case: Case, answer: Option<&Received>, ending: &Ending) -> ErrorKind {
    let source = match ending {
        Ending::Broken(source) => source.as_ref(),
        _ => None,
    };
    let timeout =
        matches!(ending, Ending::Broken(None)) || source.is_some_and(transport::Error::is_timeout);
    let no_reply = |connect, part| ErrorKind::NoReply {
        connect,
        timeout,
        part,
    };
    match case {
        Case::Content => ErrorKind::Content,
        // After a part was sent, `is_connect` can be about the target of a redirect.
        Case::NothingSent => no_reply(source.is_some_and(transport::Error::is_connect), false),
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
        | Case::RefusedBesideSuccess
        | Case::EarlyReply
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

/// Decides the next step after a failed attempt. `asked` is the reply's `Retry-After`.
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
    // No wait before another host is tried. After a 429 the whole client waits.
    let (after, reason) = match retry {
        Retry::Never => (None, "final"),
        Retry::NotSent if has_other_host => (Some(Duration::ZERO), "not_sent"),
        Retry::NotSent => (Some(backoff), "not_sent"),
        Retry::Aborted => (Some(backoff.max(asked.unwrap_or_default())), "not_sent"),
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
    // The budget protects a failing host from retries. Failover goes to another host, and after a 429
    // all calls pause anyway, so neither is charged.
    let charged = retry != Retry::RateLimited && !(retry == Retry::NotSent && has_other_host);
    let next = match after {
        None => Next::Stop { reason },
        Some(after) => match () {
            () if !policy.rewindable => Next::Stop {
                reason: "not_rewindable",
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
        reached: false,
        answered: false,
    }
}

impl Evidence {
    /// Whether the API may have counted the attempt for its rate limits.
    pub(crate) fn was_counted(&self) -> bool {
        self.answer.is_some() || self.upload != Upload::Nothing
    }

    /// Cuts the body after `limit` JSON values, so that decoding it takes a bounded amount of memory.
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
    /// Adds a chunk of the body, up to `limit` bytes in total. Returns whether all of it fit.
    pub(crate) fn take(&mut self, chunk: &[u8], limit: u64) -> bool {
        let room = limit.saturating_sub(self.body.len() as u64);
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        self.body
            .extend_from_slice(chunk.get(..room).unwrap_or(chunk));
        chunk.len() <= room
    }
}

/// Whether an HTTP/2 server promised that it has not processed the request and will not: by
/// REFUSED_STREAM, or by a GOAWAY that names an earlier stream as the last one processed.
///
/// Needs the version of h2 that reqwest uses; a test checks this.
#[cfg(all(feature = "http2", not(target_family = "wasm")))]
fn is_stream_refused(error: &transport::Error) -> bool {
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

/// Returns false: HTTP/1.1 has no streams that a server can refuse.
#[cfg(any(not(feature = "http2"), target_family = "wasm"))]
fn is_stream_refused(_: &transport::Error) -> bool {
    false
}

#[cfg(test)]
pub(crate) mod tests;
