//! The error of a call.

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
use smtp2go_types::{Timestamp, ValidationError, one_line};

pub use self::code::ErrorCode;
use self::known::{Cause, KnownError};
use self::said::Said;
use crate::operation::Operation;
use crate::platform::{time, transport};

use self::code::CODE_PREFIX;

type Source = Arc<dyn StdError + Send + Sync>;

/// The error of a call.
///
/// [`certainty`](Self::certainty) says whether the call may have been processed, and so whether it is
/// safe to send again. The `is_…` methods classify the error. Status, request id, error code, failed
/// fields and raw body are kept, whatever the shape of the reply.
///
/// Display is one line, with a hint if the cause is known. It includes the API's text, which can quote
/// addresses. Debug has neither the API's text nor bodies, so log Debug. Neither shows a key.
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
    /// Whether an earlier attempt may have been processed, though the last one was not.
    doubt: bool,
    /// How long to wait, if the reply has no `Retry-After`.
    retry_after: Option<Duration>,
    /// The host of the last attempt.
    host: Option<Arc<str>>,
    /// Host and port of the proxy, if the failure is or may be the proxy's.
    proxy: Option<String>,
    source: Option<Source>,
    reply: Option<FailedReply>,
    fields: Vec<FieldError>,
    failures: Vec<String>,
    email_id: Option<String>,
    schedule_id: Option<String>,
    /// Advice to the user. Replaces the hint in the error's text.
    advice: Option<String>,
}

/// A reply as far as it arrived, with what was read from it.
#[derive(Clone)]
struct FailedReply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    request_id: Option<String>,
    code: Option<ErrorCode>,
    message: Option<String>,
}

/// Facts that an error of the raw client carries besides the reply.
#[cfg(all(feature = "raw", not(target_family = "wasm")))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallFacts {
    pub(crate) attempts: u32,
    pub(crate) certainty: Certainty,
    /// Whether an earlier attempt may have been processed, though the last one was not.
    pub(crate) doubt: bool,
    /// How long to wait, if the reply has no `Retry-After`.
    pub(crate) retry_after: Option<Duration>,
}

/// The kind of an error, with the details of that kind.
#[derive(Clone, Debug)]
pub(crate) enum ErrorKind {
    /// The client or the call is misconfigured.
    Config(String),
    /// The request breaks a documented limit.
    Validation(ValidationError),
    /// The request body is larger than the API accepts, in bytes.
    TooLarge { size: u64, limit: u64 },
    /// The request can't be serialised.
    Serialize,
    /// All recipients in `to` are suppressed.
    Suppressed,
    /// The call got no permit before its deadline.
    NoPermit(NoPermit),
    /// The page token of a search repeated.
    PaginationLoop,
    /// Content of the request could not be read while it was sent.
    Content,
    /// The server refused the HTTP/2 stream before processing it.
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
    /// A 3xx, or a reply after a redirect that the HTTP client followed.
    Redirect { followed: bool },
    /// Any other status that is not a success.
    Status,
    /// A success that reports an error.
    ErrorIn200,
    /// A success that reports that a message was not accepted.
    FailedIn200,
    /// A success of a send that reports neither an id nor a success.
    Unconfirmed,
    /// A success that has a wrong number of results for a batch.
    Results { found: usize, expected: usize },
    /// A success whose body is not the expected reply.
    Decode,
}

/// Why a call got no permit before its deadline.
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

/// Whether a failed call may have been processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// Proven: the API never received the whole request, and never will; or, with HTTP/2, the server
    /// refused the stream before processing it. Sending again is safe.
    NotSent,
    /// The API refused the call, and nothing was accepted. Fix the request; after a 429, send later.
    Rejected,
    /// The call may have been processed. Sending again may send a mail twice: look it up first, as
    /// [`Client::find_sent`](crate::Client::find_sent) and
    /// [`Client::send_once`](crate::Client::send_once) do.
    Unknown,
}

impl Certainty {
    /// Returns the name of the certainty in logs.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the weaker of two certainties.
    pub(crate) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Rejected, _) | (_, Self::Rejected) => Self::Rejected,
            (Self::NotSent, Self::NotSent) => Self::NotSent,
        }
    }
}

/// A request field that the API or the check before sending refused. Display is `field: message`. Debug
/// omits the message, which can quote addresses.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldError {
    /// Path of the field, such as `to` or `attachments[2].filename`. Empty if unknown.
    pub field: String,
    /// What is wrong with the field.
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
    /// Returns an error from before anything was sent.
    pub(crate) fn not_sent(kind: ErrorKind) -> Self {
        Self::judged(kind, Certainty::NotSent)
    }

    /// Returns an error after an attempt. Only for `call::verdict`, which decides the certainty.
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
                proxy: None,
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

    /// Returns the error of a misconfigured client or call.
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::not_sent(ErrorKind::Config(text.into()))
    }

    /// Returns the error of a request that did not pass its check.
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

    /// Returns the error of content that could not be read.
    pub(crate) fn unreadable(field: FieldError) -> Self {
        Self::not_sent(ErrorKind::Content).with_field(field)
    }

    /// Adds the reply, and what was read from it.
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

    /// Adds the error of the HTTP layer, if there is one. Its URL is removed: the error already has the
    /// operation and the host.
    pub(crate) fn with_http_source(self, source: Option<transport::Error>) -> Self {
        match source {
            Some(source) => self.with_source(source.without_url()),
            None => self,
        }
    }

    pub(crate) fn with_field(mut self, field: FieldError) -> Self {
        self.details.fields.push(field);
        self
    }

    /// Turns the error of a look-up into that of the mail, which was not sent because of it.
    pub(crate) fn before_send(mut self) -> Self {
        self.details.certainty = Certainty::NotSent;
        self.details.doubt = false;
        self.with_advice(
            "the mail was not sent, because skip_suppressed could not look up its recipients. If access \
             was denied, permit /suppression/view to the API key",
        )
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

    /// Adds the host of the attempt.
    pub(crate) fn at(mut self, host: &Arc<str>) -> Self {
        self.details.host = Some(host.clone());
        self
    }

    /// Adds host and port of the proxy, if the failure is or may be the proxy's.
    pub(crate) fn through(mut self, proxy: impl FnOnce() -> Option<String>) -> Self {
        if self.is_connect() && (self.is_timeout() || self.tunnel_failure().is_some()) {
            self.details.proxy = proxy();
        }
        self
    }

    /// Returns hyper-util's message if the proxy failed. Its error type is private, so this recognises the
    /// error by its text; a test fails if the text changes.
    fn tunnel_failure(&self) -> Option<String> {
        let mut source = StdError::source(self);
        while let Some(error) = source {
            if let Some(failure) = error.to_string().strip_prefix("tunnel error: ") {
                return Some(failure.to_owned());
            }
            source = error.source();
        }
        None
    }

    /// Adds a wait, which counts if the reply has no `Retry-After`.
    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.details.retry_after = wait.or(self.details.retry_after);
        self
    }

    /// Weakens the certainty to that of an earlier attempt of the call, so that it holds for both.
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

    /// Returns the facts that [`with_facts`](Self::with_facts) takes.
    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn facts(&self) -> CallFacts {
        CallFacts {
            attempts: self.details.attempts,
            certainty: self.details.certainty,
            doubt: self.details.doubt,
            retry_after: self.details.retry_after,
        }
    }

    /// Takes the facts of another error about the same reply.
    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn with_facts(mut self, facts: CallFacts) -> Self {
        self.details.attempts = facts.attempts;
        self.details.certainty = facts.certainty;
        self.details.doubt = facts.doubt;
        self.details.retry_after = facts.retry_after;
        self
    }

    /// Whether the API refused the call with a status from 400 to 499.
    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.details.kind, ErrorKind::Status)
            && self.status().is_some_and(|status| status.is_client_error())
    }

    /// Prefixes a config error with the setting that it is about.
    pub(crate) fn about(mut self, setting: &str) -> Self {
        if let ErrorKind::Config(text) = &mut self.details.kind {
            *text = format!("{setting}: {text}");
        }
        self
    }

    /// Returns the kind of error, for logs and metric labels. More kinds may be added.
    ///
    /// Nothing was sent:
    /// - `config`: the client or the call is misconfigured
    /// - `validation`, `too_large`, `serialize`: the request is invalid, too large or not serializable
    /// - `suppressed`: see [`is_suppressed`](Self::is_suppressed)
    /// - `paused`, `rate_limit`: a pause after a 429, or a documented rate, would delay the call beyond
    ///   its deadline
    /// - `deadline`: the deadline had passed before the first attempt
    /// - `repeated_token`: the page token of a search repeated (pagination loop)
    ///
    /// No complete reply arrived:
    /// - `connect`, `connect_timeout`: no connection could be made
    /// - `connection`, `timeout`: the connection failed or timed out later
    /// - `content`: content of the request could not be read, so the request was aborted
    /// - `refused`: the server refused the HTTP/2 stream before processing it
    /// - `truncated`: a reply with status 2xx is incomplete
    ///
    /// A reply arrived:
    /// - `status`: the HTTP [`status`](Self::status) is an error
    /// - `redirect`: the reply is a redirect, or your own HTTP client followed one
    /// - `error_in_200`, `failed_in_200`: a success status, but the body reports an error, or a message
    ///   that was not accepted
    /// - `unconfirmed`: the reply to a send reports neither an id nor a success
    /// - `results`: the reply to a batch does not have one result for each mail
    /// - `decode`: the body is not the expected reply
    /// - `reply_too_large`: see [`max_reply_bytes`](crate::ClientBuilder::max_reply_bytes) and
    ///   [`max_reply_values`](crate::ClientBuilder::max_reply_values)
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.details.kind {
            ErrorKind::Config(_) => "config",
            ErrorKind::Validation(_) => "validation",
            ErrorKind::TooLarge { .. } => "too_large",
            ErrorKind::Serialize => "serialize",
            ErrorKind::Suppressed => "suppressed",
            ErrorKind::NoPermit(NoPermit::Paused) => "paused",
            ErrorKind::NoPermit(NoPermit::RateLimit) => "rate_limit",
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

    /// Whether the call timed out: while connecting, while sending, while waiting for the reply, or
    /// because its deadline had passed before the first attempt.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::NoReply { timeout: true, .. }
                | ErrorKind::Truncated { timeout: true }
                | ErrorKind::NoPermit(NoPermit::Deadline)
        )
    }

    /// Whether no connection could be made: refused, unknown host, TLS failure, or a timeout while
    /// connecting (for which [`is_timeout`](Self::is_timeout) is true too). Never true on wasm32, where the
    /// runtime reports this like a lost connection.
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.details.kind, ErrorKind::NoReply { connect: true, .. })
    }

    /// Whether the API did not accept the key, for this operation or for all.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        matches!(
            self.status(),
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
        ) || matches!(self.code_ref(), Some(ErrorCode::EndpointPermissionDenied))
            || self.blames_key()
    }

    /// Whether the call was rate limited:
    /// - the API replied with status 429, or with a code or text about a rate limit, such as the rate
    ///   limit of a key,
    /// - or a pause after another call's 429, or the operation's documented rate, would have delayed the
    ///   call beyond its deadline.
    ///
    /// [`retry_after`](Self::retry_after) says how long to wait.
    #[must_use]
    pub fn is_rate_limited(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::NoPermit(NoPermit::Paused | NoPermit::RateLimit)
        ) || self.status() == Some(StatusCode::TOO_MANY_REQUESTS) && !self.blames_key()
            || matches!(self.code_ref(), Some(ErrorCode::ReqLimitExceeded))
            || self.says(Cause::Rate)
    }

    /// Whether the request was invalid: the check before sending or the API refused it, it was larger
    /// than the API accepts, or the content of an attachment could not be read.
    #[must_use]
    pub fn is_validation(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::Validation(_) | ErrorKind::TooLarge { .. }
        ) || !self.details.fields.is_empty()
            || matches!(self.code_ref(), Some(ErrorCode::NonValidatingInPayload))
    }

    /// Whether nothing was sent because every recipient in `to` is suppressed. Only with
    /// [`skip_suppressed`](crate::ClientBuilder::skip_suppressed). [`field_errors`](Self::field_errors)
    /// has each suppressed recipient, with its field and the reason, so
    /// [`is_validation`](Self::is_validation) is true too.
    #[must_use]
    pub fn is_suppressed(&self) -> bool {
        matches!(self.details.kind, ErrorKind::Suppressed)
    }

    /// Whether the reply has a success status but could not be decoded. The result of the call is
    /// unknown: [`Certainty::Unknown`].
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(
            self.details.kind,
            ErrorKind::Decode | ErrorKind::Results { .. }
        )
    }

    /// Whether the client or the call is misconfigured: a malformed key, a bad base URL, no TLS
    /// backend, no tokio runtime.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self.details.kind, ErrorKind::Config(_))
    }

    /// Returns whether the call may have been processed. Covers all attempts: if one is
    /// [`Unknown`](Certainty::Unknown), the call is.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.details.certainty
    }

    /// Returns the operation that was called. `None` if the error is not from a call.
    #[must_use]
    pub fn operation(&self) -> Option<&'static Operation> {
        self.details.operation
    }

    /// Returns the number of attempts. Zero if the call failed before the first one.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.details.attempts
    }

    /// Returns host and port of the proxy, such as `proxy.example.com:3128`, if the proxy could not be
    /// reached or refused the tunnel, or if connecting through it timed out. `None` for a proxy of your own
    /// [`http_client`](crate::ClientBuilder::http_client), which the SDK does not know.
    #[must_use]
    pub fn proxy(&self) -> Option<&str> {
        self.details.proxy.as_deref()
    }

    /// Returns the HTTP status, if one arrived. It can be 2xx: such a reply may be incomplete,
    /// unreadable, or report a failure.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.details.reply.as_ref().map(|reply| reply.status)
    }

    /// Returns the headers of the reply, if one arrived.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.details.reply.as_ref().map(|reply| &reply.headers)
    }

    /// Returns the raw body of the reply, as far as it arrived.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.details.reply.as_ref().map(|reply| &reply.body)
    }

    /// Returns the id that SMTP2GO gave the request. Quote it to SMTP2GO's support.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.details.reply.as_ref()?.request_id.as_deref()
    }

    /// Returns the API's code for the error, if the reply has one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.code_ref().cloned()
    }

    pub(crate) fn code_ref(&self) -> Option<&ErrorCode> {
        self.details.reply.as_ref()?.code.as_ref()
    }

    /// Returns the API's text about the error, unchanged. It can quote addresses.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.details.reply.as_ref()?.message.as_deref()
    }

    /// Returns the request fields that the API or the check before sending refused, or whose content
    /// could not be read.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.details.fields
    }

    /// Returns why messages were not accepted, from a reply that has a success status and reports
    /// failures. The texts can quote addresses.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.details.failures
    }

    /// Returns the id of the mail, if the reply has one beside an error or a failure. The mail may have
    /// been accepted, for some recipients or all: look it up in the activity by this id.
    #[must_use]
    pub fn email_id(&self) -> Option<&str> {
        self.details.email_id.as_deref()
    }

    /// Returns the id of a scheduled mail, like [`email_id`](Self::email_id).
    #[must_use]
    pub fn schedule_id(&self) -> Option<&str> {
        self.details.schedule_id.as_deref()
    }

    /// Returns how long to wait before another call, counted from when the error was returned:
    /// - the reply's `Retry-After`, in seconds or as a date (zero if the date has passed); the API does
    ///   not document this header
    /// - after a 429 without it, 60 to 75 seconds, see
    ///   [`RetryPolicy::rate_limit_wait`](crate::RetryPolicy::rate_limit_wait)
    /// - for a call that got no permit before its deadline, the time until it would have got one, if
    ///   known
    ///
    /// The client itself pauses for one hour at most, however long the reply asks to wait.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.headers()
            .and_then(|headers| retry_after(headers, time::now()))
            .or(self.details.retry_after)
    }

    /// Returns the listed error that the reply's code or text matches.
    pub(crate) fn known(&self) -> Option<&'static KnownError> {
        known::find(self.code_ref().map(ErrorCode::as_str), self.message())
    }

    fn has_cause(&self, cause: Cause) -> bool {
        self.known().is_some_and(|known| known.cause == cause)
    }

    /// Whether the API's code or text is about the key itself, not its permissions.
    fn blames_key(&self) -> bool {
        let mut fields = self.details.fields.iter();
        self.has_cause(Cause::Key) || fields.any(|field| field.field == "api_key")
    }

    /// Whether the API's code or text is about a sender that is not verified.
    fn blames_sender(&self) -> bool {
        self.says(Cause::Sender)
    }

    /// Whether the code or any text of the API matches a listed error with this cause.
    fn says(&self, cause: Cause) -> bool {
        let fields = self.details.fields.iter().map(|field| &field.message);
        let mut texts = self.failures().iter().chain(fields);
        let matches =
            |text: &String| known::find(None, Some(text)).is_some_and(|known| known.cause == cause);
        self.has_cause(cause) || texts.any(matches)
    }
}

/// Returns the wait that `Retry-After` asks for: seconds, or a date in any of HTTP's three forms. Zero
/// if the date has passed.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    Some(http_date(text)?.duration_since(now).unwrap_or_default())
}

/// Reads a date in any of HTTP's three forms.
fn http_date(text: &str) -> Option<SystemTime> {
    let date = match text.split_once(',') {
        // `Sun, 06 Nov 1994 08:49:37 GMT`, or with dashes and two digits of the year.
        Some((_weekday, date)) => date.replace('-', " "),
        // `Sun Nov  6 08:49:37 1994`
        None => {
            let words: Vec<_> = text.split_whitespace().collect();
            let &[_weekday, month, day, time, year] = words.as_slice() else {
                return None;
            };
            format!("{day} {month} {year} {time}")
        }
    };
    Timestamp::new(date.trim()).to_system_time()
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.details.source.as_deref().map(|source| source as _)
    }
}
