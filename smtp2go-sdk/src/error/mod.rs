//! What went wrong, and what is known about it.

pub(crate) mod known;
pub(crate) mod said;

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use smtp2go_types::{Timestamp, ValidationError, one_line};

use self::known::{Cause, KnownError};
use crate::body::content::Failure;
use crate::call::failover::Site;
use crate::call::rate_limit::{HeldBack, Reason};
use crate::call::verdict::Limit;
use crate::client::key::mask;
use crate::error::said::Findings;
use crate::operation::Operation;

type Source = Arc<dyn StdError + Send + Sync>;

/// Longest piece of the API's text that Display shows, in characters.
const SHOWN: usize = 300;
/// What precedes the name in the API's error codes.
const CODE_PREFIX: &str = "E_ApiResponseCodes.";

/// Why a call failed.
///
/// Ask it with the `is_…` methods; [`certainty`](Self::certainty) says whether the call may have
/// had its effect all the same. Whatever shape the API's answer came in, the status, request id,
/// error code, failed fields and raw body are kept.
///
/// Display is one line, with advice where the cause is known. It shows the API's own words,
/// which can quote addresses; Debug shows neither those nor bodies, so it is the one for logs.
/// Neither shows a key.
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    kind: Kind,
    certainty: Certainty,
    operation: Option<&'static Operation>,
    attempts: u32,
    /// An earlier attempt may have been processed, though this one was not.
    doubt: bool,
    /// How long to wait, where the answer does not say.
    retry_after: Option<Duration>,
    host: Option<Arc<Site>>,
    source: Option<Source>,
    reply: Option<Answer>,
    fields: Vec<FieldError>,
    failures: Vec<String>,
    email_id: Option<String>,
    /// What the user can do about it, where the caller knows better than the answer.
    advice: Option<String>,
}

/// As much of an answer as arrived, with what was read from it.
#[derive(Clone)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    request_id: Option<String>,
    code: Option<ErrorCode>,
    message: Option<String>,
}

/// What an error knows of its call beside the answer.
#[cfg(feature = "raw")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) attempts: u32,
    pub(crate) certainty: Certainty,
    /// An earlier attempt may have been processed, though this one was not.
    pub(crate) doubt: bool,
    /// How long to wait, where the answer does not say.
    pub(crate) retry_after: Option<Duration>,
}

/// Where a call failed.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    /// The client, or the call, is set up wrongly.
    Config(String),
    /// The request breaks a documented limit.
    Validation(ValidationError),
    /// The request body is larger than the API takes, in bytes.
    TooLarge { size: u64, limit: u64 },
    /// The request could not be serialised.
    Serialize,
    /// It did not get its turn in time.
    HeldBack(Reason),
    /// The next page of a search has a token that the search has come by before.
    RepeatedToken,
    /// Content of the request could not be read while it was sent.
    Unreadable,
    /// The server promised, by HTTP/2's means, that it did not look at the request.
    Refused,
    /// No status arrived.
    Transport { connect: bool, timeout: bool },
    /// A status arrived that promised a reply, but not all of the reply.
    Truncated { timeout: bool },
    /// A success whose body exceeds a limit.
    ReplyTooLarge { limit: Limit },
    /// A 3xx, or an answer from where a redirect led that the HTTP client followed.
    Redirect { followed: bool },
    /// Any other status that is not a success.
    Status,
    /// A success whose envelope reports an error.
    ErrorInSuccess,
    /// A success that counts failures.
    FailureInSuccess,
    /// A success that says nothing about one mail of a batch.
    NoResult,
    /// A success with so many results for a batch of so many mails.
    Results { found: usize, expected: usize },
    /// A success whose body is not the reply that was expected.
    Decode,
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

/// The API's word for a kind of error. There is no published list, so this is open.
///
/// Display is the code as it came. Debug shows an unknown one only if it has the form of a code, so
/// that no address is in it.
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The key may not call this operation.
    EndpointPermissionDenied,
    /// A field of the request is invalid; see [`Error::field_errors`].
    NonValidatingInPayload,
    /// The general error, also used for objects that don't exist.
    ApiException,
    /// Too many requests.
    ReqLimitExceeded,
    /// Any other code, as it came.
    Unknown(String),
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

impl ErrorCode {
    /// The code without the prefix that the known ones have; an unknown code as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::EndpointPermissionDenied => "ENDPOINT_PERMISSION_DENIED",
            Self::NonValidatingInPayload => "NON_VALIDATING_IN_PAYLOAD",
            Self::ApiException => "API_EXCEPTION",
            Self::ReqLimitExceeded => "REQ_LIMIT_EXCEEDED",
            Self::Unknown(text) => text,
        }
    }

    fn from_text(text: String) -> Self {
        match text.strip_prefix(CODE_PREFIX).unwrap_or(&text) {
            "ENDPOINT_PERMISSION_DENIED" => Self::EndpointPermissionDenied,
            "NON_VALIDATING_IN_PAYLOAD" => Self::NonValidatingInPayload,
            "API_EXCEPTION" => Self::ApiException,
            "REQ_LIMIT_EXCEEDED" => Self::ReqLimitExceeded,
            _ => Self::Unknown(text),
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(self.as_str()))
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EndpointPermissionDenied => "EndpointPermissionDenied",
            Self::NonValidatingInPayload => "NonValidatingInPayload",
            Self::ApiException => "ApiException",
            Self::ReqLimitExceeded => "ReqLimitExceeded",
            Self::Unknown(text) => return f.debug_tuple("Unknown").field(&word(text)).finish(),
        })
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
    #[inline]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldError")
            .field("field", &word(&self.field))
            .finish_non_exhaustive()
    }
}

impl Error {
    fn new(kind: Kind, certainty: Certainty) -> Self {
        Self {
            inner: Box::new(Inner {
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
                advice: None,
            }),
        }
    }

    /// An error found before anything was sent.
    pub(crate) fn not_sent(kind: Kind) -> Self {
        Self::new(kind, Certainty::NotSent)
    }

    /// A client, or a call, that is set up wrongly.
    pub(crate) fn config(text: impl Into<String>) -> Self {
        Self::not_sent(Kind::Config(text.into()))
    }

    /// A request that did not pass its own check.
    pub(crate) fn validation(error: ValidationError) -> Self {
        let fields = error.problems().iter().map(|problem| FieldError {
            field: problem.field().to_owned(),
            message: problem.message().to_owned(),
        });
        let fields = fields.collect();
        let mut error = Self::not_sent(Kind::Validation(error));
        error.inner.fields = fields;
        error
    }

    /// A call that did not get its turn before its deadline.
    pub(crate) fn held_back(held: HeldBack) -> Self {
        Self::not_sent(Kind::HeldBack(held.reason)).with_retry_after(held.wait)
    }

    /// Content of the request could not be read while it was sent. The request was broken off.
    pub(crate) fn unreadable(Failure { field, message }: Failure) -> Self {
        let mut error = Self::not_sent(Kind::Unreadable);
        error.inner.fields = vec![FieldError { field, message }];
        error
    }

    /// Whether content of the request could not be read: trying again would not mend it.
    pub(crate) fn is_unreadable(&self) -> bool {
        matches!(self.inner.kind, Kind::Unreadable)
    }

    /// Whether the reply is longer than is read of one: trying again would not make it shorter.
    pub(crate) fn is_over_limit(&self) -> bool {
        matches!(self.inner.kind, Kind::ReplyTooLarge { .. })
    }

    /// Whether the answer is from where a redirect led: trying again would lead there again.
    pub(crate) fn is_followed(&self) -> bool {
        matches!(self.inner.kind, Kind::Redirect { followed: true })
    }

    /// No status arrived. `unsent` is the seal's verdict.
    pub(crate) fn transport(unsent: bool, source: Option<reqwest::Error>) -> Self {
        let certainty = if unsent {
            Certainty::NotSent
        } else {
            Certainty::Unknown
        };
        // Once something was sent it may be the target of a redirect that can't be connected to.
        let connect = unsent && source.as_ref().is_some_and(reqwest::Error::is_connect);
        let timeout = source.as_ref().is_none_or(reqwest::Error::is_timeout);
        let error = Self::new(Kind::Transport { connect, timeout }, certainty);
        error.with_http_source(source)
    }

    /// The server promised that it did not look at the request.
    pub(crate) fn refused(source: reqwest::Error) -> Self {
        Self::not_sent(Kind::Refused).with_http_source(Some(source))
    }

    /// Whether the server promised that it did not look at the request: it can be reached.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.inner.kind, Kind::Refused)
    }

    /// The task that made the call ended before the call did.
    pub(crate) fn interrupted(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        let kind = Kind::Transport {
            connect: false,
            timeout: false,
        };
        Self::new(kind, Certainty::Unknown).with_source(source)
    }

    /// A status arrived.
    pub(crate) fn answered(
        kind: Kind,
        certainty: Certainty,
        (status, headers, body): (StatusCode, HeaderMap, Bytes),
        found: Findings,
    ) -> Self {
        let mut error = Self::new(kind, certainty);
        error.inner.fields = found.fields;
        error.inner.reply = Some(Answer {
            status,
            headers,
            body,
            request_id: found.request_id,
            code: found.error_code.map(ErrorCode::from_text),
            message: found.error,
        });
        error
    }

    #[inline]
    pub(crate) fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.with_boxed_source(source.into())
    }

    fn with_boxed_source(mut self, source: Box<dyn StdError + Send + Sync>) -> Self {
        self.inner.source = Some(source.into());
        self
    }

    /// The error of the HTTP layer, if there is one, without its URL: ours is in the operation.
    pub(crate) fn with_http_source(self, source: Option<reqwest::Error>) -> Self {
        match source {
            Some(source) => self.with_source(source.without_url()),
            None => self,
        }
    }

    pub(crate) fn with_failures(mut self, failures: Vec<String>) -> Self {
        self.inner.failures = failures;
        self
    }

    pub(crate) fn with_email_id(mut self, id: Option<String>) -> Self {
        self.inner.email_id = id;
        self
    }

    /// `self`, with what the user can do about it.
    pub(crate) fn with_advice(mut self, advice: String) -> Self {
        self.inner.advice = Some(advice);
        self
    }

    /// `self`, met while calling `operation`, after so many attempts.
    pub(crate) fn during(mut self, operation: &'static Operation, attempts: u32) -> Self {
        self.inner.operation = Some(operation);
        self.inner.attempts = attempts;
        self
    }

    /// `self`, met at this host.
    pub(crate) fn at(mut self, site: &Arc<Site>) -> Self {
        self.inner.host = Some(site.clone());
        self
    }

    /// `self`, with a wait for when the answer has none.
    pub(crate) fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.inner.retry_after = wait.or(self.inner.retry_after);
        self
    }

    /// `self`, met after an earlier attempt at the same call failed: what is certain has to be so
    /// of both.
    pub(crate) fn following(mut self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else {
            return self;
        };
        let inner = &mut self.inner;
        let both = inner.certainty.and(earlier.certainty());
        inner.doubt |= both == Certainty::Unknown && inner.certainty != both;
        inner.certainty = both;
        self
    }

    /// What an error knows of its call beside the answer: see [`Self::with_facts`].
    #[cfg(feature = "raw")]
    pub(crate) fn facts(&self) -> Facts {
        Facts {
            attempts: self.inner.attempts,
            certainty: self.inner.certainty,
            doubt: self.inner.doubt,
            retry_after: self.inner.retry_after,
        }
    }

    /// `self`, with the facts of another error about the same answer.
    #[cfg(feature = "raw")]
    pub(crate) fn with_facts(mut self, facts: Facts) -> Self {
        self.inner.attempts = facts.attempts;
        self.inner.certainty = facts.certainty;
        self.inner.doubt = facts.doubt;
        self.inner.retry_after = facts.retry_after;
        self
    }

    /// Whether the API refused the call: a status from 400 to 499 of its own.
    #[cfg(feature = "raw")]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.inner.kind, Kind::Status)
            && self.status().is_some_and(|status| status.is_client_error())
    }

    /// `self`, about the named setting.
    pub(crate) fn about(mut self, setting: &str) -> Self {
        if let Kind::Config(text) = &mut self.inner.kind {
            *text = format!("{setting}: {text}");
        }
        self
    }

    /// The kind of error in a word, for logs and the labels of metrics. More may be added.
    ///
    /// Before anything was sent: `config`, `validation`, `too_large`, `serialize`; `held_back`
    /// (after a 429), `paced` (by a documented rate) and `deadline`, if there was no turn in time;
    /// `repeated_token`, if a search over all pages would go round in a circle. Without a whole
    /// answer: `connect`, `connect_timeout`, `timeout`, `connection`, `refused` (by HTTP/2's own
    /// means), `truncated`, and `content` for content of the request that could not be read. With
    /// one: `status` and `redirect` by its [`status`](Self::status); in spite of a success
    /// `error_in_200`, `failed_in_200`, `no_result`, `results` (a batch with too few or many),
    /// `decode`, and `reply_too_large` (see
    /// [`max_reply_bytes`](crate::ClientBuilder::max_reply_bytes) and
    /// [`max_reply_values`](crate::ClientBuilder::max_reply_values)).
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.inner.kind {
            Kind::Config(_) => "config",
            Kind::Validation(_) => "validation",
            Kind::TooLarge { .. } => "too_large",
            Kind::Serialize => "serialize",
            Kind::HeldBack(Reason::RateLimited) => "held_back",
            Kind::HeldBack(Reason::Paced) => "paced",
            Kind::HeldBack(Reason::Deadline) => "deadline",
            Kind::RepeatedToken => "repeated_token",
            Kind::Unreadable => "content",
            Kind::Transport {
                connect: true,
                timeout: true,
            } => "connect_timeout",
            Kind::Transport { connect: true, .. } => "connect",
            Kind::Transport { timeout: true, .. } => "timeout",
            Kind::Transport { .. } => "connection",
            Kind::Refused => "refused",
            Kind::Truncated { .. } => "truncated",
            Kind::ReplyTooLarge { .. } => "reply_too_large",
            Kind::Redirect { .. } => "redirect",
            Kind::Status => "status",
            Kind::ErrorInSuccess => "error_in_200",
            Kind::FailureInSuccess => "failed_in_200",
            Kind::NoResult => "no_result",
            Kind::Results { .. } => "results",
            Kind::Decode => "decode",
        }
    }

    /// Whether it took too long: connecting, sending, or waiting for the answer; or there was no
    /// time to begin with.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self.inner.kind,
            Kind::Transport { timeout: true, .. }
                | Kind::Truncated { timeout: true }
                | Kind::HeldBack(Reason::Deadline)
        )
    }

    /// Whether no connection came about: refused, unknown host, TLS failure, or a connection that
    /// took too long (which [`is_timeout`](Self::is_timeout) too).
    #[must_use]
    pub fn is_connect(&self) -> bool {
        matches!(self.inner.kind, Kind::Transport { connect: true, .. })
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
            self.inner.kind,
            Kind::HeldBack(Reason::RateLimited | Reason::Paced)
        ) || self.status() == Some(StatusCode::TOO_MANY_REQUESTS)
            || matches!(self.code_ref(), Some(ErrorCode::ReqLimitExceeded))
    }

    /// Whether the request was invalid: by the check before sending, by the API's word, or because
    /// the content of an attachment could not be read.
    #[must_use]
    pub fn is_validation(&self) -> bool {
        matches!(self.inner.kind, Kind::Validation(_))
            || !self.inner.fields.is_empty()
            || matches!(self.code_ref(), Some(ErrorCode::NonValidatingInPayload))
    }

    /// Whether the API answered with success, and the reply could not be read. The call was
    /// processed, though what came of it is not known: [`Certainty::Unknown`].
    #[must_use]
    pub fn is_decode(&self) -> bool {
        matches!(self.inner.kind, Kind::Decode | Kind::Results { .. })
    }

    /// Whether the client, or the call, is set up wrongly: a malformed key, a bad base URL, no TLS
    /// backend, no tokio runtime.
    #[must_use]
    pub fn is_config(&self) -> bool {
        matches!(self.inner.kind, Kind::Config(_))
    }

    /// Whether the call may have had its effect, by any of its attempts: the weakest of what is
    /// certain of each.
    #[must_use]
    pub fn certainty(&self) -> Certainty {
        self.inner.certainty
    }

    /// The operation that was called, if it got as far.
    #[must_use]
    pub fn operation(&self) -> Option<&'static Operation> {
        self.inner.operation
    }

    /// How often the call was tried over the network. 0 if it failed before.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// The HTTP status, if one arrived. It can be a success: a reply can break off, be unreadable,
    /// or report a failure in spite of its status.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.inner.reply.as_ref().map(|reply| reply.status)
    }

    /// The headers of the answer, if one arrived.
    #[must_use]
    pub fn headers(&self) -> Option<&HeaderMap> {
        self.inner.reply.as_ref().map(|reply| &reply.headers)
    }

    /// The raw body of the answer, as much of it as arrived.
    #[must_use]
    pub fn body(&self) -> Option<&Bytes> {
        self.inner.reply.as_ref().map(|reply| &reply.body)
    }

    /// The id that SMTP2GO's support asks for.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.inner.reply.as_ref()?.request_id.as_deref()
    }

    /// The API's code for the error, if it gave one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.code_ref().cloned()
    }

    pub(crate) fn code_ref(&self) -> Option<&ErrorCode> {
        self.inner.reply.as_ref()?.code.as_ref()
    }

    /// The API's text about the error, as it came. It can quote addresses.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        self.inner.reply.as_ref()?.message.as_deref()
    }

    /// The request fields that failed.
    #[must_use]
    pub fn field_errors(&self) -> &[FieldError] {
        &self.inner.fields
    }

    /// The texts of the failures in a reply that has a success status and counts failures: why
    /// messages were not accepted. They can quote addresses.
    #[must_use]
    pub fn failures(&self) -> &[String] {
        &self.inner.failures
    }

    /// The id of a mail that a reply names in spite of counting failures: a part of it may have
    /// been taken in, and the activity knows it by this id. `None` where nothing was.
    #[must_use]
    pub fn email_id(&self) -> Option<&str> {
        self.inner.email_id.as_deref()
    }

    /// How long to wait before another call, counted from when the error came. The answer's
    /// `Retry-After` if it has one (in seconds or as a date; a date that has passed is zero), which
    /// the API does not document. After a 429 without one, 60 to 75 seconds (see
    /// [`RetryPolicy::rate_limit_wait`](crate::RetryPolicy::rate_limit_wait)). For a call that was
    /// held back, the time until its turn, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.asked_to_wait().or(self.inner.retry_after)
    }

    /// What the answer's `Retry-After` says.
    fn asked_to_wait(&self) -> Option<Duration> {
        let text = self.headers()?.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        // The date starts with its weekday; `Timestamp` takes more, bare numbers among it.
        if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let date = Timestamp::new(text).to_system_time()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
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
        let mut fields = self.inner.fields.iter();
        self.has_cause(Cause::Key) || fields.any(|field| field.field == "api_key")
    }

    /// Whether the API's words are about a sender who is not verified.
    fn blames_sender(&self) -> bool {
        let fields = self.inner.fields.iter().map(|field| &field.message);
        let mut texts = self.failures().iter().chain(fields);
        let blames = |text: &String| {
            known::find(None, Some(text)).is_some_and(|known| known.cause == Cause::Sender)
        };
        self.has_cause(Cause::Sender) || texts.any(blames)
    }

    /// What the user can do about it, where the cause is known.
    fn hint(&self) -> Option<&'static str> {
        self.inner.reply.as_ref()?;
        let code = self.code_ref();
        let is_key = self.blames_key() || self.status() == Some(StatusCode::UNAUTHORIZED);
        if matches!(code, Some(ErrorCode::EndpointPermissionDenied))
            || self.status() == Some(StatusCode::FORBIDDEN) && !is_key
        {
            return Some(
                "the API key is not permitted to call this endpoint: add it to the key's permissions",
            );
        }
        if is_key {
            return Some(
                "the API key is unknown or disabled: check the key, and the region of its account",
            );
        }
        if self.blames_sender() {
            return Some("verify the sender's domain or address in the SMTP2GO account first");
        }
        None
    }

    /// The API's own words, or what can be said in their place.
    fn say_answer(&self, reply: &Answer, text: &mut Text) {
        if let Some(code) = &reply.code {
            text.say(format_args!(" {}", short(code.as_str())));
        }
        if let Some(message) = &reply.message {
            text.say(format_args!(": {}", short(message)));
        }
        let mut separator = if reply.message.is_some() { "; " } else { ": " };
        for FieldError { field, message } in &self.inner.fields {
            let colon = if field.is_empty() { "" } else { ": " };
            text.say(format_args!(
                "{separator}{}{colon}{}",
                short(field),
                short(message)
            ));
            separator = "; ";
        }
        if reply.code.is_none() && reply.message.is_none() && self.inner.fields.is_empty() {
            match reply.body.trim_ascii_start().first() {
                None => text.add(" with an empty body"),
                Some(b'{' | b'[') => text.add(" without an explanation"),
                Some(b'<') => text.add(" with an HTML page, not from the API itself"),
                Some(_) => text.say(format_args!(
                    " with {} bytes that are not JSON",
                    reply.body.len()
                )),
            }
        }
    }
}

/// The text of an error in the making: to write into a string can't fail, and takes less code for
/// that.
#[derive(Default)]
struct Text(String);

impl Text {
    fn say(&mut self, text: fmt::Arguments<'_>) {
        let _ = self.0.write_fmt(text);
    }

    fn add(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

/// `text` without keys, and not too long.
fn short(text: &str) -> String {
    // Before the cut, which could leave the better part of a key that is no longer seen as one.
    let text = mask(text.trim());
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// `text` if it is an id, a code or the path of a field, as those of the API are. What quotes an
/// address has other characters.
fn word(text: &str) -> &str {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[]".contains(&byte);
    if text.len() <= SHOWN && text.bytes().all(known) && mask(text) == text {
        text
    } else {
        "…"
    }
}

/// The host that a redirect leads to; the rest of its URL may hold secrets.
fn redirect_host(headers: &HeaderMap) -> Option<String> {
    let url = reqwest::Url::parse(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    url.host_str().map(ToOwned::to_owned)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        let mut text = Text::default();
        if let Some(operation) = inner.operation {
            text.say(format_args!("{} {}: ", operation.method, operation.path));
        }
        let effect = match inner.certainty {
            Certainty::NotSent => "nothing was sent",
            Certainty::Rejected => "it was not done",
            Certainty::Unknown => "it may have been processed",
        };
        if let Some(reply) = &inner.reply {
            text.say(format_args!("HTTP {}", reply.status.as_u16()));
            match &inner.kind {
                Kind::Truncated { timeout } => {
                    let how = if *timeout {
                        "did not arrive in time"
                    } else {
                        "broke off"
                    };
                    text.say(format_args!(", but the reply {how}; {effect}"));
                }
                Kind::ReplyTooLarge { limit } => {
                    let (limit, unit, setting) = match limit {
                        Limit::Bytes(limit) => (*limit, "bytes", "max_reply_bytes"),
                        Limit::Values(limit) => (*limit as u64, "values", "max_reply_values"),
                    };
                    text.say(format_args!(
                        ", but the reply exceeds the limit of {limit} {unit} (`{setting}` of the \
                         client's builder raises it); {effect}"
                    ));
                }
                Kind::Redirect { followed: true } => text.say(format_args!(
                    ", but from elsewhere: a redirect was followed, which the HTTP client in use \
                     must not do; {effect}"
                )),
                Kind::Redirect { .. } => match redirect_host(&reply.headers) {
                    Some(host) => text.say(format_args!(
                        ", a redirect to {host}, which is not followed"
                    )),
                    None => text.add(", a redirect, which is not followed"),
                },
                Kind::Decode => {
                    text.add(", but the reply is not of the expected form; it was processed");
                }
                Kind::FailureInSuccess => {
                    text.add(", but not accepted");
                    for (index, failure) in inner.failures.iter().take(3).enumerate() {
                        text.say(format_args!(
                            "{} {}",
                            if index == 0 { ":" } else { ";" },
                            short(failure)
                        ));
                    }
                    if let Some(more) = inner.failures.len().checked_sub(3).filter(|more| *more > 0)
                    {
                        text.say(format_args!("; and {more} more"));
                    }
                }
                Kind::NoResult => {
                    text.say(format_args!(", but nothing is said of this mail; {effect}"));
                }
                Kind::Results { found, expected } => {
                    let results = if *found == 1 { "result" } else { "results" };
                    text.say(format_args!(
                        ", but {found} {results} for {expected} mails; {effect}"
                    ));
                }
                _ => self.say_answer(reply, &mut text),
            }
            if let Some(id) = &reply.request_id {
                text.say(format_args!(" (request {})", short(id)));
            }
        } else {
            match &inner.kind {
                Kind::Config(what) => text.add(what),
                Kind::Validation(error) => {
                    text.say(format_args!(
                        "invalid request, {effect}: {}",
                        mask(&error.to_string())
                    ));
                }
                Kind::TooLarge { size, limit } => text.say(format_args!(
                    "the request body has {size} bytes, and at most {limit} are accepted; {effect}"
                )),
                Kind::HeldBack(reason) => {
                    text.add(match reason {
                        Reason::RateLimited => {
                            "held back until after the deadline, because the API has answered 429"
                        }
                        Reason::Paced => {
                            "held back until after the deadline by the operation's documented rate"
                        }
                        Reason::Deadline => "no time was left",
                    });
                    text.say(format_args!("; {effect}"));
                }
                Kind::RepeatedToken => text.say(format_args!(
                    "the token for the next page was there before, so that the search would never \
                     end; {effect}"
                )),
                Kind::Unreadable => {
                    for FieldError { field, message } in &inner.fields {
                        text.say(format_args!("{field}: {}; ", mask(message)));
                    }
                    text.add("the request was broken off, so that nothing is sent");
                }
                Kind::Serialize => text.say(format_args!(
                    "the request can't be written as JSON; {effect}"
                )),
                Kind::Transport {
                    connect: true,
                    timeout: true,
                } => {
                    let host = inner.host.as_ref().map_or("the API", |site| &site.name);
                    text.say(format_args!("connecting to {host} took too long; {effect}"));
                }
                Kind::Transport { connect: true, .. } => {
                    let host = inner.host.as_ref().map_or("the API", |site| &site.name);
                    text.say(format_args!("can't connect to {host}; {effect}"));
                }
                Kind::Refused => text.add(
                    "the server refused the HTTP/2 stream without a look at it; nothing was done",
                ),
                Kind::Transport { timeout: true, .. } => {
                    text.say(format_args!("no answer in time; {effect}"));
                }
                _ => text.say(format_args!("the connection failed; {effect}")),
            }
        }
        if inner.attempts > 1 {
            text.say(format_args!(", at attempt {}", inner.attempts));
        }
        if inner.doubt && inner.reply.is_some() {
            text.add("; an earlier attempt may have been processed");
        }
        if let Some(hint) = inner.advice.as_deref().or_else(|| self.hint()) {
            text.say(format_args!(" ({hint})"));
        }
        f.write_str(&one_line(&text.0))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &*self.inner;
        let mut out = f.debug_struct("Error");
        match &inner.kind {
            // The problems can quote what the user put in.
            Kind::Validation(_) => out.field("kind", &"Validation"),
            kind => out.field("kind", kind),
        };
        out.field("certainty", &inner.certainty);
        if let Some(operation) = inner.operation {
            out.field("operation", &operation.id);
        }
        out.field("attempts", &inner.attempts);
        if let Some(reply) = &inner.reply {
            out.field("status", &reply.status.as_u16());
            out.field("request_id", &reply.request_id.as_deref().map(word));
            out.field("code", &reply.code.as_ref().map(|code| word(code.as_str())));
            out.field("body_bytes", &reply.body.len());
        }
        if !inner.fields.is_empty() {
            let fields: Vec<_> = inner
                .fields
                .iter()
                .map(|field| word(&field.field))
                .collect();
            out.field("fields", &fields);
        }
        if !inner.failures.is_empty() {
            out.field("failures", &inner.failures.len());
        }
        if let Some(source) = &inner.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}
