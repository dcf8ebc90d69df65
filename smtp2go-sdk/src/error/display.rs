//! The texts of errors.

use std::fmt::{self, Write as _};

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use smtp2go_types::one_line;

use super::redact::{excerpt, mask, name};
use super::{
    Certainty, Error, ErrorCode, ErrorKind, FailedReply, FieldError, NoPermit, ReplyLimit,
};
use crate::platform::transport::Url;

/// Maximum number of failures that are shown.
const FAILURES: usize = 3;
/// Maximum number of fields that are shown.
const SHOWN_FIELDS: usize = 20;

impl Error {
    /// Returns what the user can do, if the cause is known.
    fn hint(&self) -> Option<&'static str> {
        self.details.reply.as_ref()?;
        let is_key = self.blames_key() || self.status() == Some(StatusCode::UNAUTHORIZED);
        if matches!(self.code_ref(), Some(ErrorCode::EndpointPermissionDenied))
            || self.status() == Some(StatusCode::FORBIDDEN) && !is_key
        {
            return Some(
                "the API key is not permitted to call this endpoint: add the endpoint to the key's permissions",
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

    fn write_reply(&self, reply: &FailedReply, text: &mut String) -> fmt::Result {
        let effect = self.effect();
        write!(text, "HTTP {}", reply.status.as_u16())?;
        match &self.details.kind {
            ErrorKind::Truncated { timeout: true } => {
                write!(text, ", but the rest of the reply timed out; {effect}")?;
            }
            ErrorKind::Truncated { .. } => write!(text, ", but the reply is incomplete; {effect}")?,
            ErrorKind::ReplyTooLarge(limit) => {
                let (limit, unit, setting) = match limit {
                    ReplyLimit::Bytes(limit) => (*limit, "bytes", "max_reply_bytes"),
                    ReplyLimit::Values(limit) => (*limit as u64, "values", "max_reply_values"),
                };
                write!(
                    text,
                    ", but the reply exceeds the limit of {limit} {unit} (`{setting}` of the \
                     client's builder raises it); {effect}"
                )?;
            }
            ErrorKind::Redirect { followed: true } => write!(
                text,
                ", but from another URL: the HTTP client followed a redirect, so disable its \
                 redirects; {effect}"
            )?,
            ErrorKind::Redirect { .. } => match redirect_host(&reply.headers) {
                Some(host) => write!(text, ", a redirect to {host}, not followed")?,
                None => text.push_str(", a redirect, not followed"),
            },
            ErrorKind::Decode => write!(text, ", but {}; {effect}", unexpected(reply))?,
            ErrorKind::ErrorIn200 if self.certainty() == Certainty::Unknown => {
                self.write_answer(reply, text)?;
                write!(text, "; {effect}")?;
            }
            ErrorKind::FailedIn200 => {
                text.push_str(", but not accepted");
                self.write_failures(text)?;
                if self.certainty() == Certainty::Unknown {
                    write!(text, "; {effect}")?;
                }
            }
            ErrorKind::Unconfirmed => {
                text.push_str(", but the reply does not say that the message was accepted");
                self.write_failures(text)?;
                write!(text, "; {effect}")?;
            }
            ErrorKind::Results { found, expected } => {
                let results = if *found == 1 { "result" } else { "results" };
                write!(text, ", but {found} {results} for {expected} mails")?;
                if let Some(message) = &reply.message {
                    write!(text, ": {}", excerpt(message))?;
                }
                write!(text, "; {effect}")?;
            }
            _ => self.write_answer(reply, text)?,
        }
        if let Some(id) = &reply.request_id {
            write!(text, " (request {})", excerpt(id))?;
        }
        Ok(())
    }

    /// Writes the API's text. Without one, describes the body.
    fn write_answer(&self, reply: &FailedReply, text: &mut String) -> fmt::Result {
        if let Some(code) = &reply.code {
            write!(text, " {}", excerpt(code.as_str()))?;
        }
        if let Some(message) = &reply.message {
            write!(text, ": {}", excerpt(message))?;
        }
        let mut separator = if reply.message.is_some() { "; " } else { ": " };
        let fields = &self.details.fields;
        for FieldError { field, message } in fields.iter().take(SHOWN_FIELDS) {
            let colon = if field.is_empty() { "" } else { ": " };
            let (field, message) = (excerpt(field), excerpt(message));
            write!(text, "{separator}{field}{colon}{message}")?;
            separator = "; ";
        }
        match fields.len().saturating_sub(SHOWN_FIELDS) {
            0 => {}
            more => write!(text, "; and {more} more")?,
        }
        if reply.code.is_none() && reply.message.is_none() && self.details.fields.is_empty() {
            match reply.body.trim_ascii_start().first() {
                None => text.push_str(" with an empty body"),
                Some(b'{' | b'[') => text.push_str(" without an explanation"),
                Some(b'<') => text.push_str(" with an HTML page, not from the API itself"),
                Some(_) => {
                    let size = reply.body.len();
                    write!(text, " with {size} bytes that are not JSON")?;
                }
            }
        }
        Ok(())
    }

    fn write_failures(&self, text: &mut String) -> fmt::Result {
        let failures = self.failures();
        let message = self.message().filter(|_| failures.is_empty());
        let shown = failures.iter().map(String::as_str).chain(message);
        for (index, failure) in shown.take(FAILURES).enumerate() {
            let separator = if index == 0 { ":" } else { ";" };
            write!(text, "{separator} {}", excerpt(failure))?;
        }
        match failures.len().saturating_sub(FAILURES) {
            0 => Ok(()),
            more => write!(text, "; and {more} more"),
        }
    }

    /// Writes the text of an error without a reply.
    fn write_local(&self, text: &mut String) -> fmt::Result {
        let effect = self.effect();
        let host = self.details.host.as_deref().unwrap_or("the API");
        match &self.details.kind {
            ErrorKind::Config(what) => text.push_str(what),
            ErrorKind::Validation(error) => {
                let problems = mask(&error.to_string());
                write!(text, "invalid request, {effect}: {problems}")?;
            }
            ErrorKind::TooLarge { size, limit } => write!(
                text,
                "the request body of {size} bytes exceeds the limit of {limit} bytes; {effect}"
            )?,
            ErrorKind::Serialize => write!(text, "can't serialize the request as JSON; {effect}")?,
            ErrorKind::Suppressed => {
                write!(text, "all recipients in `to` are suppressed; {effect}")?;
                for FieldError { field, message } in self.details.fields.iter().take(SHOWN_FIELDS) {
                    write!(text, "; {field}: {}", mask(message))?;
                }
            }
            ErrorKind::NoPermit(NoPermit::Paused) => write!(
                text,
                "rate limited: the pause after a 429 ends only after the deadline; {effect}"
            )?,
            ErrorKind::NoPermit(NoPermit::RateLimit) => write!(
                text,
                "rate limited: the operation's documented rate allows the call only after the \
                 deadline; {effect}"
            )?,
            ErrorKind::NoPermit(NoPermit::Deadline) => {
                write!(text, "deadline exceeded before the first attempt; {effect}")?;
            }
            ErrorKind::PaginationLoop => {
                write!(text, "pagination loop: the page token repeated; {effect}")?;
            }
            ErrorKind::Content => {
                for FieldError { field, message } in &self.details.fields {
                    write!(text, "{field}: {}; ", mask(message))?;
                }
                text.push_str("request aborted before its last byte, so it was not processed");
            }
            ErrorKind::StreamRefused => {
                text.push_str("server refused the HTTP/2 stream before processing it");
            }
            ErrorKind::NoReply {
                connect: true,
                timeout,
                ..
            } => {
                match (&self.details.proxy, timeout) {
                    (Some(proxy), true) => {
                        write!(
                            text,
                            "connecting to {host} through the proxy {proxy} timed out"
                        )?;
                    }
                    (Some(proxy), false) => self.write_proxy_failure(host, proxy, text)?,
                    (None, true) => write!(text, "connecting to {host} timed out")?,
                    (None, false) => write!(text, "can't connect to {host}")?,
                }
                write!(text, "; {effect}")?;
            }
            ErrorKind::NoReply { timeout: true, .. } => {
                write!(text, "request to {host} timed out; {effect}")?;
            }
            _ => write!(text, "connection to {host} failed; {effect}")?,
        }
        Ok(())
    }

    /// Writes how a proxy failed, other than by a timeout.
    fn write_proxy_failure(&self, host: &str, proxy: &str, text: &mut String) -> fmt::Result {
        match self.tunnel_failure().unwrap_or_default().as_str() {
            "failed to create underlying connection" => {
                write!(text, "can't connect to the proxy {proxy}")
            }
            "proxy authorization required" => {
                write!(text, "the proxy {proxy} requires a user name and password")
            }
            _ => write!(text, "the proxy {proxy} did not connect to {host}"),
        }
    }

    /// Returns what the call may have done, according to the certainty.
    fn effect(&self) -> &'static str {
        match (self.certainty(), &self.details.kind) {
            (Certainty::NotSent, ErrorKind::NoReply { part: true, .. }) => {
                "the request was not sent whole, so it was not processed"
            }
            (Certainty::NotSent, _) => "nothing was sent",
            (Certainty::Rejected, _) => "the request was refused",
            (Certainty::Unknown, _) => "the request may have been processed",
        }
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let details = &*self.details;
        if let Some(operation) = details.operation {
            write!(text, "{} {}: ", operation.method, operation.path)?;
        }
        match &details.reply {
            Some(reply) => self.write_reply(reply, text)?,
            None => self.write_local(text)?,
        }
        if details.attempts > 1 {
            write!(text, ", at attempt {}", details.attempts)?;
        }
        // Other errors without a reply contain `effect`, which says so already.
        let is_about_last =
            details.reply.is_some() || matches!(details.kind, ErrorKind::StreamRefused);
        if details.doubt && is_about_last {
            text.push_str("; an earlier attempt may have been processed");
        }
        if let Some(hint) = details.advice.as_deref().or_else(|| self.hint()) {
            write!(text, " ({hint})")?;
        }
        Ok(())
    }
}

/// Describes the body of a success that can't be decoded.
fn unexpected(reply: &FailedReply) -> &'static str {
    match reply.body.trim_ascii_start().first() {
        Some(b'{' | b'[') => "the reply does not have the expected shape",
        None => "the reply is empty",
        Some(b'<') => {
            "the reply is an HTML page, not from the API itself: check for a proxy or a captive portal"
        }
        Some(_) => "the reply is not JSON: check for a proxy or a captive portal",
    }
}

/// Returns the host of a redirect's target. The rest of the URL may contain secrets.
fn redirect_host(headers: &HeaderMap) -> Option<String> {
    let url = Url::parse(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    url.host_str().map(ToOwned::to_owned)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text)?;
        f.write_str(&one_line(&text))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let details = &*self.details;
        let mut out = f.debug_struct("Error");
        match &details.kind {
            // The problems can quote the caller's values.
            ErrorKind::Validation(_) => out.field("kind", &"Validation"),
            kind => out.field("kind", kind),
        };
        out.field("certainty", &details.certainty);
        if let Some(operation) = details.operation {
            out.field("operation", &operation.id);
        }
        out.field("attempts", &details.attempts);
        if let Some(reply) = &details.reply {
            out.field("status", &reply.status.as_u16());
            out.field("request_id", &reply.request_id.as_deref().map(name));
            let code = reply.code.as_ref().map(|code| name(code.as_str()));
            out.field("code", &code);
            out.field("body_bytes", &reply.body.len());
        }
        if !details.fields.is_empty() {
            let fields = details.fields.iter().map(|field| name(&field.field));
            out.field("fields", &fields.collect::<Vec<_>>());
        }
        if !details.failures.is_empty() {
            out.field("failures", &details.failures.len());
        }
        if let Some(source) = &details.source {
            out.field("source", source);
        }
        out.finish()
    }
}
