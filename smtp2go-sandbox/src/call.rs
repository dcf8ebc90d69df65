//! Calls as the sandbox received them.

use std::fmt;
use std::time::SystemTime;

use axum::body::Bytes;

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
        }
    }

    /// The HTTP method, such as `POST`; `TLS` for a client that begins with TLS, which is noted
    /// where a [`Fault`](crate::Fault) strikes it.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The path as it was sent, with or without `/v3`, without a query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The id of the operation, such as `email_send`; `None` if the method and path are none.
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
    /// sent it before it had the answer to the one before.
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

    /// The body as it was sent, the key in it included. What is longer than the longest body that
    /// any operation takes (50 MiB) is cut off somewhere past that.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// When it was received, by the sandbox's clock.
    pub fn time(&self) -> SystemTime {
        self.time
    }

    /// The fields that were ignored, as `attachments[0].cid`, since the specification does not know
    /// them: none in a sandbox that is strict, where they are refused.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The body of the answer; all of it even if a [`Fault`](crate::Fault) cut it short, and empty
    /// if one left no answer.
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// The HTTP status of the answer; 0 if a [`Fault`](crate::Fault) left none.
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
        write!(formatter, "{} {} ", self.method, self.path.escape_debug())?;
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
            .field("body_bytes", &self.body.len())
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
