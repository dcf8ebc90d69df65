//! Calls as the sandbox received them.

use std::fmt;
use std::ops::Range;
use std::time::SystemTime;

use axum::body::Bytes;

use crate::weight::{self, Weight};

/// How much of a text is kept of a call without a key that the sandbox knows: its head, its body,
/// its answer, and each of the others.
const SHORT: usize = 1024;

/// Where a request carried its API key.
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

/// One HTTP request as it was received, and what became of it.
///
/// A message that came over SMTP is a call too, and so is an SMTP command that was refused.
///
/// `Display` is one line for a log. `Debug` leaves out the head and the body, which may hold a key.
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
    /// How many bytes the body had.
    pub(crate) body_bytes: usize,
    /// It had a key that the sandbox knows, and none that it does not; or a fault answered it and
    /// nobody looked.
    pub(crate) has_known_key: bool,
    /// The numbers of the messages that it made.
    pub(crate) messages: Range<u64>,
}

impl Call {
    /// A call of which nothing more is known yet.
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

    /// Cuts off what is long of a call that nobody with a key made, or that is for no operation, so
    /// that it does not fill the memory.
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
            // A part of it would keep all of it.
            if let Some(beginning) = bytes.get(..SHORT) {
                *bytes = Bytes::copy_from_slice(beginning);
            }
        }
    }

    /// The HTTP method, such as `POST`; `TLS` for a client that begins with TLS, which is noted
    /// where a [`Fault`](crate::Fault) strikes it; `SMTP` for what came over SMTP.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as it was sent, with or without `/v3`, without a query. Over SMTP the name of the
    /// command: `DATA` for a message.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The id of the operation, such as `email_send`; `None` if the method and path are none. `smtp`
    /// over SMTP.
    pub fn operation(&self) -> Option<&str> {
        self.operation.as_deref()
    }

    /// Where the key was, right or wrong; `None` if there was none. If there were several, the
    /// first in the order of [`KeyPlace`].
    pub fn key_place(&self) -> Option<KeyPlace> {
        self.key_place
    }

    /// The header `User-Agent`, if it was sent and is readable text.
    pub fn user_agent(&self) -> Option<&str> {
        self.user_agent.as_deref()
    }

    /// The header `Content-Type`, if it was sent and is readable text.
    pub fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// The request line and the headers byte for byte as they were sent, the key in them included,
    /// up to the empty line that ends them. Empty if none of the request was read, and if the client
    /// sent it before it had the answer to the one before. Over SMTP the command, or of a message its
    /// MAIL and RCPT; of AUTH its name alone.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The value of the first header with this name, in any case, if it is readable text.
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

    /// The body as it was sent, the key in it included; over SMTP the message. What is longer than the operation takes is
    /// cut off somewhere past that. Of a call without a key that the sandbox knows, and of one for
    /// no operation, the first 1024 bytes are kept; the same holds for [`head`](Self::head) and
    /// [`reply`](Self::reply). What a [`Fault`](crate::Fault) answers without a look at the key is
    /// kept whole.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// How many bytes the body had as it was sent, whether all of it is kept or not.
    pub fn body_bytes(&self) -> usize {
        self.body_bytes
    }

    /// When it was received, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The fields that were ignored, as `attachments[0].cid`, since the specification does not know
    /// them. With [`refuse_unknown`](crate::SandboxBuilder::refuse_unknown) only `version` is among
    /// them; others are refused.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The body of the answer; all of it even if a [`Fault`](crate::Fault) cut it short, and empty
    /// if one left no answer.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// The HTTP status of the answer, or the SMTP reply code; 0 if a [`Fault`](crate::Fault) left none.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Why the request was refused, in a line that begins with the field where there is one;
    /// `None` if it was not.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// The reasons in an answer with status 200 that says that mail failed, such as a recipient who
    /// is suppressed. What a [`Fault`](crate::Fault) makes up is not among them.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Whether all of the request was read. Only a [`Fault`](crate::Fault) that strikes before
    /// reading leaves a call for which this is false.
    pub fn received(&self) -> bool {
        self.received
    }

    /// Whether the request was carried out: whatever the client got to see, what it asked for was
    /// done, and once more if the same request is accepted again.
    pub fn accepted(&self) -> bool {
        self.accepted
    }

    /// The fault that struck, such as `reset` or `status 503`; `None` if none did.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }
}

impl Call {
    /// Whether it was refused, failed, struck by a fault, or read only in part.
    pub(crate) fn is_odd(&self) -> bool {
        self.refused.is_some()
            || self.fault.is_some()
            || !self.ignored.is_empty()
            || !self.failures.is_empty()
    }
}

/// One line for a log: the method, the path, the status (`---` if there was no answer), and what is
/// out of the ordinary. Of the body there are names of fields in it, and addresses that a refusal
/// or a failure is about.
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

/// Text of a client on one line, with its quotes as they are.
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

/// Cuts a text that is long between two characters.
fn shorten(text: &mut String) {
    if text.len() > SHORT {
        let cut = (0..=SHORT)
            .rev()
            .find(|place| text.is_char_boundary(*place));
        text.truncate(cut.unwrap_or_default());
        text.shrink_to_fit();
    }
}

/// The memory of a call but for its body.
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
        // Its places in the log and in the ledger.
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
    fn log_line_escapes_what_the_client_chose() {
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
