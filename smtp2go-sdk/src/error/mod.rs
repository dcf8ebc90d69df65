//! Why a call failed.

mod code;
mod display;
pub(crate) mod known;
pub(crate) mod redact;
pub(crate) mod said;

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, StatusCode};
use smtp2go_types::{ValidationError, one_line};

pub use self::code::ErrorCode;
use self::known::{Cause, KnownError};
use self::said::Said;
use crate::operation::Operation;

use self::code::CODE_PREFIX;

type Source = Arc<dyn StdError + Send + Sync>;

/// Why a call failed.
///
/// Ask it with the `is_…` methods; [`certainty`](Self::certainty) says whether the call may have
/// had its effect all the same. Whatever shape the API's reply has, the status, request id, error
/// code, failed fields and raw body are kept.
///
/// Display is one line, with advice where the cause is known. It shows the API's own words, which
/// can quote addresses. Debug shows neither those nor bodies, so use Debug for logs. Neither shows
/// a key.
#[derive(Clone)]
pub struct Error {
    details: Box<Details>,
}

#[derive(Clone)]
struct Details {
    kind: ErrorKind,
    certainty: Certainty,
    operation: Option<&'static Operation>,
    attempts: u32,
    /// An earlier attempt may have been processed, though this one was not.
    doubt: bool,
    /// How long to wait, where the reply does not say.
    retry_after: Option<Duration>,
    /// The host that the last attempt went to.
    host: Option<Arc<str>>,
    source: Option<Source>,
    reply: Option<FailedReply>,
    fields: Vec<FieldError>,
    failures: Vec<String>,
    email_id: Option<String>,
    schedule_id: Option<String>,
    /// What the user can do, where the caller knows better than the reply.
    advice: Option<String>,
}

/// As much of a reply as arrived, with what was read from it.
#[derive(Clone)]
struct FailedReply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    request_id: Option<String>,
    code: Option<ErrorCode>,
    message: Option<String>,
}

/// What an error of the raw client carries besides the reply.
#[cfg(feature = "raw")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallFacts {
    pub(crate) attempts: u32,
    pub(crate) certainty: Certainty,
    /// An earlier attempt may have been processed, though this one was not.
    pub(crate) doubt: bool,
    /// How long to wait, where the reply does not say.
    pub(crate) retry_after: Option<Duration>,
}

/// Where a call failed.
#[derive(Clone, Debug)]
pub(crate) enum ErrorKind {
    /// The client, or the call, is set up wrongly.
    Config(String),
    /// The request breaks a documented limit.
    Validation(ValidationError),
    /// The request body is larger than the API accepts, in bytes.
    TooLarge { size: u64, limit: u64 },
    /// The request can't be serialised.
    Serialize,
    /// The call had no permit before its deadline.
    NoPermit(NoPermit),
    /// The page token of a search repeated.
    PaginationLoop,
    /// Content of the request could not be read while it was sent.
    Content,
    /// The server promised, by HTTP/2's means, that it did not process the request.
    StreamRefused,
    /// No status arrived. `part`: the request was aborted before its last byte.
    NoReply {
        connect: bool,
        timeout: bool,
        part: bool,
    },
    /// A success status arrived, but not the whole reply.
    Truncated { timeout: bool },
    /// A success whose body exceeds a limit.
    ReplyTooLarge(ReplyLimit),
    /// A 3xx, or a reply from where a redirect led that the HTTP client followed.
    Redirect { followed: bool },
    /// Any other status that is not a success.
    Status,
    /// A success that reports an error.
    ErrorIn200,
    /// A success that reports that a message was not accepted.
    FailedIn200,
    /// A success of a send that does not say that anything was accepted.
    Unconfirmed,
    /// A success that has a wrong number of results for a batch.
    Results { found: usize, expected: usize },
    /// A success whose body is not the expected reply.
    Decode,
}

/// Why a call had no permit before its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPermit {
    /// The API has answered 429 to a call of this client.
    Paused,
    /// The operation's documented rate is used up.
    RateLimit,
    /// The deadline had passed before the first attempt.
    Deadline,
}

/// A limit on a reply's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplyLimit {
    /// `max_reply_bytes`.
    Bytes(u64),
    /// `max_reply_values`.
    Values(usize),
}

/// Whether a failed call may have had its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Proven: the request never reached the API whole, and never will. Or, with HTTP/2, the
    /// server promised that it did not look at it.
    NotSent,
    /// The API answered that it did not do it.
    Rejected,
    /// It may have been processed, or certainly was and the reply is lost. Sending again may do
    /// it twice.
    Unknown,
}

impl Certainty {
    /// What is certain of two things together: the weaker of the two.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Rejected, _) | (_, Self::Rejected) => Self::Rejected,
            (Self::NotSent, Self::NotSent) => Self::NotSent,
        }
    }
}

/// A request field that failed, by the API's word or by the check before sending. Display is
/// `field: message`; Debug leaves the message out, which can quote addresses.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// Path of the field, such as `to` or `attachments[2].filename`. Empty if it is not known.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(f, "{}: ", one_line(&self.field))?;
        }
        f.write_str(&one_line(&self.message))
    }
}

impl fmt::Debug for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldError")
            .field("field", &redact::name(&self.field))
            .finish_non_exhaustive()
    }
}

impl Error {
    /// An error found before anything was sent.
    pub(crate) fn not_sent(kind: ErrorKind) -> Self {
        Self::judged(kind, Certainty::NotSent)
    }

    /// An error after an attempt. Only for `call::verdict`, which decides what is certain.
    pub(crate) fn judged(kind: ErrorKind, certainty: Certainty) -> Self {
        Self {
            details: Box::new(Details {
                kind,
                certainty,
                operation: None,
                attempts: 0,
                doubt: false,
                retry_after: None,
                host: None,
                source: None,
                reply: None,
                fields: Vec::new(),
                failures: Vec::new(),
                email_id: None,
                schedule_id: None,
                advice: None,
            }),
        }
    }

    /// A client, or a call, that is set up wrongly.
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::Config(text.into()))
    }

    /// A request that did not pass its check.
    pub(crate) fn validation(error: ValidationError) -> Self {
        let fields = error.problems().iter().map(|problem| FieldError {
            field: problem.field().to_owned(),
            message: problem.message().to_owned(),
        });
        let fields = fields.collect();
        let mut error = Self::not_sent(ErrorKind::Validation(error));
        error.details.fields = fields;
        error
    }

    /// Content of a request that could not be read.
    pub(crate) fn unreadable(field: FieldError) -> Self {
        Self::not_sent(ErrorKind::Content).with_field(field)
    }

    /// Adds the reply, and what it says.
    pub(crate) fn with_reply(
        mut self,
        (status, headers, body): (StatusCode, HeaderMap, Bytes),
        said: Said,
    ) -> Self {
        let details = &mut self.details;
        details.fields = said.fields;
        details.failures = said.failures;
        details.email_id = said.email_id;
        details.schedule_id = said.schedule_id;
        details.reply = Some(FailedReply {
            status,
            headers,
            body,
            request_id: said.request_id,
            code: said.error_code.map(ErrorCode::from_text),
            message: said.error,
        });
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        self.details.source = Some(source.into().into());
        self
    }

    /// Adds the error of the HTTP layer, if there is one, without its URL: the operation has ours.
    pub(crate) fn with_http_source(self, source: Option<reqwest::Error>) -> Self {
        match source {
            Some(source) => self.with_source(source.without_url()),
            None => self,
        }
    }

    pub(crate) fn with_field(mut self, field: FieldError) -> Self {
        self.details.fields.push(field);
        self
    }

    /// Adds what the user can do.
    pub(crate) fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.details.advice = Some(advice.into());
        self
    }

    /// Adds the operation, and the number of attempts so far.
    pub(crate) fn during(mut self, operation: &'static Operation, attempts: u32) -> Self {
        self.details.operation = Some(operation);
        self.details.attempts = attempts;
        self
    }

    /// Adds the host that the attempt went to.
    pub(crate) fn at(mut self, host: &Arc<str>) -> Self {
        self.details.host = Some(host.clone());
        self
    }

    /// Adds a wait, for when the reply has none.
    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.details.retry_after = wait.or(self.details.retry_after);
        self
    }

    /// Takes into account that an earlier attempt at the same call failed: what is certain has to
    /// hold for both.
    pub(crate) fn following(mut self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else {
            return self;
        };
        let details = &mut self.details;
        let both = details.certainty.and(earlier.certainty());
        details.doubt |= both == Certainty::Unknown && details.certainty != both;
        details.certainty = both;
        self
    }

    /// The facts that [`with_facts`](Self::with_facts) takes.
    #[cfg(feature = "raw")]
    pub(crate) fn facts(&self) -> CallFacts {
        CallFacts {
            attempts: self.details.attempts,
            certainty: self.details.certainty,
            doubt: self.details.doubt,
            retry_after: self.details.retry_after,
        }
    }

    /// Takes the facts of another error about the same reply.
    #[cfg(feature = "raw")]
    pub(crate) fn with_facts(mut self, facts: CallFacts) -> Self {
        self.details.attempts = facts.attempts;
        self.details.certainty = facts.certainty;
        self.details.doubt = facts.doubt;
        self.details.retry_after = facts.retry_after;
        self
    }

    /// Whether the API refused the call by a status of its own, from 400 to 499.
    #[cfg(feature = "raw")]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.details.kind, ErrorKind::Status)
            && self.status().is_some_and(|status| status.is_client_error())
    }

    /// Names the setting that an error is about.
    pub(crate) fn about(mut self, setting: &str) -> Self {
        if let ErrorKind::Config(text) = &mut self.details.kind {
            *text = format!("{setting}: {text}");
        }
        self
    }

    /// The kind of error, for logs and the labels of metrics. More may be added.
    ///
    /// - Before anything was sent: `config`, `validation`, `too_large`, `serialize`; `held_back` (a
    ///   429 pauses the client), `paced` (a documented rate) and `deadline`, if the call could not
    ///   begin before its deadline; `repeated_token`, if a search over all pages would never end.
    /// - Without a whole reply: `connect`, `connect_timeout`, `timeout`, `connection`, `refused` (by
    ///   HTTP/2's own means), `truncated`, and `content` for content of the request that could not
    ///   be read.
    /// - With a reply: `status` and `redirect`, by its [`status`](Self::status).
    /// - With a success status: `error_in_200`, `failed_in_200`, `unconfirmed` (a send whose reply
    ///   does not say that anything was accepted), `results` (a batch with too few or too many),
    ///   `decode`, and `reply_too_large` (see
    ///   [`max_reply_bytes`](crate::ClientBuilder::max_reply_bytes) and
    ///   [`max_reply_values`](crate::ClientBuilder::max_reply_values)).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.details.kind {
            ErrorKind::Config(_) => "config",
            ErrorKind::Validation(_) => "validation",
            ErrorKind::TooLarge { .. } => "too_large",
            ErrorKind::Serialize => "serialize",
            ErrorKind::NoPermit(NoPermit::Paused) => "held_back",
            ErrorKind::NoPermit(NoPermit::RateLimit) => "paced",
            ErrorKind::NoPermit(NoPermit::Deadline) => "deadline",
            ErrorKind::PaginationLoop => "repeated_token",
            ErrorKind::Content => "content",
            ErrorKind::NoReply {
                connect: true,
                timeout: true,
                ..
            } => "connect_timeout",
            ErrorKind::NoReply { connect: true, .. } => "connect",
            ErrorKind::NoReply { timeout: true, .. } => "timeout",
            ErrorKind::NoReply { .. } => "connection",
            ErrorKind::StreamRefused => "refused",
            ErrorKind::Truncated { .. } => "truncated",
            ErrorKind::ReplyTooLarge(_) => "reply_too_large",
            ErrorKind::Redirect { .. } => "redirect",
            ErrorKind::Status => "status",
            ErrorKind::ErrorIn200 => "error_in_200",
            ErrorKind::FailedIn200 => "failed_in_200",
            ErrorKind::Unconfirmed => "unconfirmed",
            ErrorKind::Results { .. } => "results",
            ErrorKind::Decode => "decode",
        }
    }

    /// Whether it took too long: connecting, sending, or waiting for the answer; or there was no
    /// time to begin with.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::NoReply { timeout: true, .. }
                | ErrorKind::Truncated { timeout: true }
                | ErrorKind::NoPermit(NoPermit::Deadline)
        )
    }

    /// Whether no connection came about: refused, unknown host, TLS failure, or a connection that
    /// took too long (which [`is_timeout`](Self::is_timeout) too).
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.details.kind, ErrorKind::NoReply { connect: true, .. })
    }

    /// Whether the API did not accept the key, for this operation or at all.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        ) || matches!(self.code_ref(), Some(ErrorCode::EndpointPermissionDenied))
            || self.blames_key()
    }

    /// Whether the API wants fewer requests: by its answer, or because its answer to another call
    /// or the operation's documented rate would keep this one waiting past its deadline. In the
    /// latter cases it was not sent.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::NoPermit(NoPermit::Paused | NoPermit::RateLimit)
        ) || self.status() == Some(StatusCode::TOO_MANY_REQUESTS)
            || matches!(self.code_ref(), Some(ErrorCode::ReqLimitExceeded))
    }

    /// Whether the request was invalid: by the check before sending, by the API's word, or because
    /// the content of an attachment could not be read.
    #[must_use]
    pub fn is_validation(&self) -> bool {
        matches!(self.details.kind, ErrorKind::Validation(_))
            || !self.details.fields.is_empty()
            || matches!(self.code_ref(), Some(ErrorCode::NonValidatingInPayload))
    }

    /// Whether the API answered with success, and the reply could not be read. The call was
    /// processed, though what came of it is not known: [`Certainty::Unknown`].
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::Decode | ErrorKind::Results { .. }
        )
    }

    /// Whether the client, or the call, is set up wrongly: a malformed key, a bad base URL, no TLS
    /// backend, no tokio runtime.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self.details.kind, ErrorKind::Config(_))
    }

    /// Whether the call may have had its effect, by any of its attempts: the weakest of what is
    /// certain of each.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.details.certainty
    }

    /// The operation that was called, if it got as far.
    #[must_use]
    pub fn operation(&self) -> Option<&'static Operation> {
        self.details.operation
    }

    /// How often the call was tried over the network. 0 if it failed before.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.details.attempts
    }

    /// The HTTP status, if one arrived. It can be a success: a reply can break off, be unreadable,
    /// or report a failure in spite of its status.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.details.reply.as_ref().map(|reply| reply.status)
    }

    /// The headers of the answer, if one arrived.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.details.reply.as_ref().map(|reply| &reply.headers)
    }

    /// The raw body of the answer, as much of it as arrived.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.details.reply.as_ref().map(|reply| &reply.body)
    }

    /// The id that SMTP2GO's support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.details.reply.as_ref()?.request_id.as_deref()
    }

    /// The API's code for the error, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.code_ref().cloned()
    }

    pub(crate) fn code_ref(&self) -> Option<&ErrorCode> {
        self.details.reply.as_ref()?.code.as_ref()
    }

    /// The API's text about the error, as it came. It can quote addresses.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.details.reply.as_ref()?.message.as_deref()
    }

    /// The request fields that failed.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.details.fields
    }

    /// The texts of the failures in a reply that has a success status and counts failures: why
    /// messages were not accepted. They can quote addresses.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.details.failures
    }

    /// The id of a mail that a reply names although it reports an error or a failure. The mail, or
    /// a part of it, may have been accepted: look it up in the activity by this id.
    #[must_use]
    pub fn email_id(&self) -> Option<&str> {
        self.details.email_id.as_deref()
    }

    /// The id of a scheduled mail, as [`email_id`](Self::email_id).
    #[must_use]
    pub fn schedule_id(&self) -> Option<&str> {
        self.details.schedule_id.as_deref()
    }

    /// How long to wait before another call, counted from when the error came. The answer's
    /// `Retry-After` if it has one (in seconds or as a date; a date that has passed is zero), which
    /// the API does not document. After a 429 without one, 60 to 75 seconds (see
    /// [`RetryPolicy::rate_limit_wait`](crate::RetryPolicy::rate_limit_wait)). For a call that was
    /// held back, the time until its turn, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.headers()
            .and_then(|headers| retry_after(headers, SystemTime::now()))
            .or(self.details.retry_after)
    }

    /// What the API's code and text prove.
    pub(crate) fn known(&self) -> Option<&'static KnownError> {
        known::find(self.code_ref().map(ErrorCode::as_str), self.message())
    }

    fn has_cause(&self, cause: Cause) -> bool {
        self.known().is_some_and(|known| known.cause == cause)
    }

    /// Whether the API's words are about the key as such.
    fn blames_key(&self) -> bool {
        let mut fields = self.details.fields.iter();
        self.has_cause(Cause::Key) || fields.any(|field| field.field == "api_key")
    }

    /// Whether the API's words are about a sender who is not verified.
    fn blames_sender(&self) -> bool {
        let fields = self.details.fields.iter().map(|field| &field.message);
        let mut texts = self.failures().iter().chain(fields);
        let blames = |text: &String| {
            known::find(None, Some(text)).is_some_and(|known| known.cause == Cause::Sender)
        };
        self.has_cause(Cause::Sender) || texts.any(blames)
    }
}

/// The wait that a reply's `Retry-After` asks for: seconds, or a date in any of HTTP's three forms.
/// A date that has passed is zero.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.details.source.as_deref().map(|source| source as _)
    }
}
