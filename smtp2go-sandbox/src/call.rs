//! Calls as the sandbox received them.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use axum::body::Bytes;

use crate::weight::{self, Weight};

/// Maximum number of bytes that are kept of each text (head, body, reply and so on) of a call without a
/// known key or without an operation.
const SHORT: usize = 1024;

/// The part of a request that contained the API key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyPlace {
    /// In the header `X-Smtp2go-Api-Key`.
    Header,
    /// In the header `Authorization`, as a bearer token.
    Bearer,
    /// In the field `api_key` of the body.
    Body,
}

/// An HTTP request as received, and its outcome.
///
/// `Display` is one line for a log. `Debug` leaves out the head and the body, which may contain a
/// key.
#[derive(Clone)]
pub struct Call {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) operation: Option<String>,
    pub(crate) key_place: Option<KeyPlace>,
    pub(crate) user_agent: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) head: Bytes,
    pub(crate) body: Bytes,
    pub(crate) time: SystemTime,
    pub(crate) ignored: Vec<String>,
    pub(crate) reply: Bytes,
    pub(crate) status: u16,
    pub(crate) refused: Option<String>,
    pub(crate) failures: Vec<String>,
    pub(crate) received: bool,
    pub(crate) accepted: bool,
    pub(crate) fault: Option<String>,
    /// Size of the body as sent.
    pub(crate) body_bytes: usize,
    /// All keys of the call are known, and there is at least one. Also set if a fault replied without
    /// checking the keys.
    pub(crate) has_known_key: bool,
    /// Numbers of the messages that the call made.
    pub(crate) messages: Range<u64>,
}

impl Call {
    pub(crate) fn new(time: SystemTime, method: String, path: String) -> Self {
        Self {
            method,
            path,
            operation: None,
            key_place: None,
            user_agent: None,
            content_type: None,
            head: Bytes::new(),
            body: Bytes::new(),
            time,
            ignored: Vec::new(),
            reply: Bytes::new(),
            status: 0,
            refused: None,
            failures: Vec::new(),
            received: false,
            accepted: false,
            fault: None,
            body_bytes: 0,
            has_known_key: false,
            messages: 0..0,
        }
    }

    /// Shortens the texts of a call without a known key or without an operation, so that such calls
    /// don't fill the memory.
    pub(crate) fn shorten(&mut self) {
        if self.has_known_key && self.operation.is_some() {
            return;
        }
        for text in [&mut self.method, &mut self.path] {
            shorten(text);
        }
        let texts = [
            &mut self.user_agent,
            &mut self.content_type,
            &mut self.refused,
        ];
        texts.into_iter().flatten().for_each(shorten);
        self.ignored.clear();
        self.failures.truncate(1);
        self.failures.iter_mut().for_each(shorten);
        for bytes in [&mut self.head, &mut self.body, &mut self.reply] {
            // Copied, because a slice would keep the whole buffer alive.
            if let Some(beginning) = bytes.get(..SHORT) {
                *bytes = Bytes::copy_from_slice(beginning);
            }
        }
    }

    /// The HTTP method, such as `POST`. `TLS` for a client that started a TLS handshake; such a call
    /// is recorded only if a [`Fault`](crate::Fault) applies to it.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as sent, with or without `/v3`, without the query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Id of the operation, such as `email_send`. `None` if no operation has the method and path.
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Where the API key was, valid or not. `None` if there was none. If there were several, the
    /// first in the order of [`KeyPlace`].
    pub fn key_place(&self) -> Option<KeyPlace> {
        self.key_place
    }

    /// The header `User-Agent`. `None` if it is missing or not visible ASCII.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The header `Content-Type`. `None` if it is missing or not visible ASCII.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The request line and the headers exactly as sent, including the key, up to and including the
    /// empty line. Empty if the request was not read, or if the client pipelined it: sent it before
    /// the reply to the previous request.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// Returns the value of the first header with this name, ignoring letter case. `None` if the
    /// header is missing or not UTF-8.
    ///
    /// ```
    /// # fn look(sandbox: &smtp2go_sandbox::Sandbox) {
    /// assert_eq!(sandbox.calls()[0].header("accept"), Some("application/json"));
    /// # }
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.split(|byte| *byte == b'\n').skip(1);
        let mut lines = lines.map(|line| std::str::from_utf8(line).unwrap_or_default());
        lines.find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body as sent, including the key. A body beyond the operation's maximum size is cut off
    /// somewhere past that size.
    ///
    /// If a call has no known key or no operation, at most 1024 bytes each of the body, the
    /// [`head`](Self::head) and the [`reply`](Self::reply) are kept. They are kept whole if a
    /// [`Fault`](crate::Fault) replied without checking the key.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Size of the body as sent, in bytes. May be larger than [`body`](Self::body), which can be cut
    /// off.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// When the call was received, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// Fields that are not in the spec and were ignored, such as `attachments[0].cid`. Empty if the
    /// sandbox is strict: it refuses such fields.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Body of the reply. Complete even if a [`Fault`](crate::Fault) truncated it; empty if a fault
    /// suppressed the reply.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// HTTP status of the reply. 0 if a [`Fault`](crate::Fault) suppressed the reply.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Why the request was refused, in one line. Starts with the field's name if a field is invalid.
    /// `None` if the request was not refused.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The reasons in a reply that reports failure with status 200, such as a suppressed recipient.
    /// Does not contain failures that a [`Fault`](crate::Fault) simulates.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Whether the whole request was read. False only for a [`Fault`](crate::Fault) that applies
    /// before reading.
    pub fn received(&self) -> bool {
        self.received
    }

    /// Whether the sandbox carried out the request, for example accepted the mail, whichever reply
    /// the client received. A client that sends an accepted request again sends the mail twice.
    pub fn accepted(&self) -> bool {
        self.accepted
    }

    /// The fault that was applied, such as `reset` or `status 503`. `None` if there was none.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl Call {
    /// Whether the call was refused, failed, had a fault or had ignored fields.
    pub(crate) fn is_odd(&self) -> bool {
        self.refused.is_some()
            || self.fault.is_some()
            || !self.ignored.is_empty()
            || !self.failures.is_empty()
    }
}

/// Writes one line for a log: the method, the path, the status (`---` without a reply), and why the
/// call was refused, failed, had ignored fields or had a fault. From the body, the line contains only
/// names of fields, and values and addresses that a refusal or failure quotes.
impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (method, path) = (self.method.escape_debug(), self.path.escape_debug());
        write!(formatter, "{method} {path} ")?;
        match self.status {
            0 => formatter.write_str("---")?,
            status => write!(formatter, "{status}")?,
        }
        if let Some(reason) = &self.refused {
            write!(formatter, " refused: {}", Line(reason))?;
        }
        if !self.failures.is_empty() {
            write!(formatter, " failed: {}", Line(&self.failures.join("; ")))?;
        }
        if !self.ignored.is_empty() {
            let ignored = self.ignored.join(", ");
            write!(formatter, " ignored: {}", Line(&ignored))?;
        }
        if let Some(fault) = &self.fault {
            let done = match (self.received, self.accepted) {
                (false, _) => "not read",
                (true, true) => "carried out",
                (true, false) => "not carried out",
            };
            write!(formatter, " fault: {fault}, {done}")?;
        }
        Ok(())
    }
}

/// Escapes a client's text so that it stays on one line. Quotes are not escaped.
struct Line<'a>(&'a str);

impl fmt::Display for Line<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '"' | '\'' => write!(formatter, "{letter}"),
            letter => write!(formatter, "{}", letter.escape_debug()),
        })
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Call")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("operation", &self.operation)
            .field("key_place", &self.key_place)
            .field("user_agent", &self.user_agent)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body_bytes)
            .field("ignored", &self.ignored)
            .field("status", &self.status)
            .field("refused", &self.refused)
            .field("failures", &self.failures)
            .field("received", &self.received)
            .field("accepted", &self.accepted)
            .field("fault", &self.fault)
            .finish()
    }
}

/// Cuts a text after at most [`SHORT`] bytes, between two characters.
fn shorten(text: &mut String) {
    if text.len() > SHORT {
        let cut = (0..=SHORT)
            .rev()
            .find(|place| text.is_char_boundary(*place));
        text.truncate(cut.unwrap_or_default());
        text.shrink_to_fit();
    }
}

/// The memory of a call without its body.
impl Weight for Call {
    fn weight(&self) -> usize {
        let texts = [
            &self.operation,
            &self.user_agent,
            &self.content_type,
            &self.refused,
            &self.fault,
        ];
        let texts = texts.into_iter().map(Weight::weight);
        // 160 is for the call's entries in the log and the ledger.
        size_of::<Self>()
            + 160
            + self.method.weight()
            + self.path.weight()
            + texts.sum::<usize>()
            + self.ignored.weight()
            + self.failures.weight()
            + weight::bytes(self.head.len())
            + weight::bytes(self.reply.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn log_line_escapes_control_characters_of_the_client() {
        let hostile = "a\u{202e}\u{1b}[31m\n\u{2028}b";
        let call = Call {
            refused: Some(hostile.to_owned()),
            ignored: vec![hostile.to_owned()],
            failures: vec![hostile.to_owned()],
            ..Call::new(UNIX_EPOCH, hostile.to_owned(), hostile.to_owned())
        };
        let escaped = r"a\u{202e}\u{1b}[31m\n\u{2028}b";
        let line = format!(
            "{escaped} {escaped} --- refused: {escaped} failed: {escaped} ignored: {escaped}"
        );
        assert_eq!(call.to_string(), line);
    }

    #[test]
    fn long_call_is_cut_unless_it_has_a_key_and_an_operation() {
        let long = "é".repeat(5_000);
        for (known, operation, cut) in [
            (false, Some("email_send"), true),
            (true, None, true),
            (false, None, true),
            (true, Some("email_send"), false),
        ] {
            let mut call = Call {
                operation: operation.map(str::to_owned),
                has_known_key: known,
                head: long.clone().into(),
                body: long.clone().into(),
                reply: long.clone().into(),
                refused: Some(long.clone()),
                user_agent: Some(long.clone()),
                ignored: vec![long.clone(); 9],
                body_bytes: long.len(),
                ..Call::new(UNIX_EPOCH, "POST".to_owned(), long.clone())
            };
            call.shorten();
            let kept = call.weight() + call.body.len();
            assert_eq!(kept < 16_000, cut, "{kept}");
            assert_eq!(call.body_bytes(), 10_000);
        }
    }
}
