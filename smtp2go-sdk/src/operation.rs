//! Operations of the API: path, idempotency, limits and other facts. The generated table of all
//! operations is [`operations`](crate::operations).
//!
//! Most programs don't need this module. Use it to read an operation's limits, or to describe an operation
//! that the API has and this version does not list, for [`Client::execute`](crate::Client::execute).

use std::time::Duration;

use http::Method;

/// An operation of the API, with the facts that decide how it is called.
///
/// [`operations`](crate::operations) has the operations of this version, taken from the spec. For an
/// operation that the API has added since, make your own with [`post`](Self::post). Pass either to
/// [`Client::execute`](crate::Client::execute) with your own body.
///
/// ```no_run
/// use std::time::Duration;
/// use smtp2go_sdk::operation::{Kind, Operation};
/// use smtp2go_sdk::{Body, Client};
///
/// static READS: Operation = Operation::post("/stats/email_reads")
///     .kind(Kind::Read)
///     .repeat_safe(true)
///     .rate_limit(60, Duration::from_secs(60));
///
/// # async fn example(client: Client) -> Result<(), smtp2go_sdk::Error> {
/// let reply = client.execute(&READS, Body::from(r#"{"days":7}"#)).await?;
/// let reads: serde_json::Value = reply.json()?;
/// println!("{}", reads["data"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation {
    /// Name of the operation in spans, observers and errors: `<group>_<action>`, such as
    /// `template_view`. For your own operation, this is the path unless it is [named](Self::named).
    pub id: &'static str,
    /// Group of the operation, which is also the name of the client's method for the group. Empty for
    /// your own operation.
    pub group: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path below the base URL, with its leading slash.
    pub path: &'static str,
    /// Whether the operation reads, writes or sends.
    pub kind: Kind,
    /// Whether the operation is idempotent. The API does not document this, so it is our judgement.
    pub repeat_safe: bool,
    /// Whether the API advises against using it.
    pub deprecated: bool,
    /// The documented rate limit, if any.
    pub rate_limit: Option<RateLimit>,
    /// Maximum size of the request body as sent, in bytes.
    pub max_body_bytes: Option<u64>,
    /// How the results are paginated. `None` if they are not.
    pub pagination: Option<Pagination>,
    /// The request field that names a subaccount, if there is one.
    pub subaccount: Option<&'static str>,
    /// For a send: where a reply with status 200 reports whether a message was accepted.
    pub failure_in_200: Option<FailureIn200>,
    /// The member of the body that must also carry the API key, if the operation requires it.
    pub key_in_body: Option<&'static str>,
}

impl Operation {
    /// Makes an operation that this version does not list, called by `POST`. The path is the part
    /// below the base URL, such as `/stats/email_reads`.
    ///
    /// Defaults: it changes the account, is not idempotent, has no rate limit, takes requests of up to
    /// 1 MiB, takes no subaccount, and reports failures by status or by an error in the body.
    ///
    /// A path that is not made of `/` and segments of letters, digits, `-`, `_`, `.` and `~` is refused
    /// when the operation is called, with an error that [`is_config`](crate::Error::is_config).
    #[must_use]
    pub const fn post(path: &'static str) -> Self {
        Self::new(Method::POST, path)
    }

    /// Makes an operation that this version does not list, called by any method: see
    /// [`post`](Self::post). The body is sent with every method, `GET` too.
    #[must_use]
    pub const fn new(method: Method, path: &'static str) -> Self {
        Self {
            id: path,
            group: "",
            method,
            path,
            kind: Kind::Write,
            repeat_safe: false,
            deprecated: false,
            rate_limit: None,
            max_body_bytes: Some(1024 * 1024),
            pagination: None,
            subaccount: None,
            failure_in_200: None,
            key_in_body: None,
        }
    }

    /// Sets [`id`](Self::id). Operations with the same id share one rate limit: that of the operation
    /// that is called first.
    #[must_use]
    pub const fn named(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// Sets [`kind`](Self::kind).
    #[must_use]
    pub const fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// Sets [`repeat_safe`](Self::repeat_safe). With `true`, calls are also retried after timeouts, lost
    /// connections and 5xx, so set it only for an idempotent operation.
    #[must_use]
    pub const fn repeat_safe(mut self, repeat_safe: bool) -> Self {
        self.repeat_safe = repeat_safe;
        self
    }

    /// Sets [`rate_limit`](Self::rate_limit): at most `requests` in any window of the length `per`.
    #[must_use]
    pub const fn rate_limit(mut self, requests: u32, per: Duration) -> Self {
        self.rate_limit = Some(RateLimit { requests, per });
        self
    }

    /// Sets [`max_body_bytes`](Self::max_body_bytes).
    #[must_use]
    pub const fn max_body_bytes(mut self, limit: u64) -> Self {
        self.max_body_bytes = Some(limit);
        self
    }

    /// Sets [`subaccount`](Self::subaccount): the field that
    /// [`for_subaccount`](crate::Client::for_subaccount) sets, which is `subaccount_id` in most requests.
    #[must_use]
    pub const fn subaccount(mut self, field: &'static str) -> Self {
        self.subaccount = Some(field);
        self
    }

    /// Sets [`failure_in_200`](Self::failure_in_200): [`FailureIn200::MAIL`] for an operation whose
    /// replies have the shape of `/email/send`'s.
    #[must_use]
    pub const fn failure_in_200(mut self, failure: FailureIn200) -> Self {
        self.failure_in_200 = Some(failure);
        self
    }

    /// Sets [`key_in_body`](Self::key_in_body).
    #[must_use]
    pub const fn key_in_body(mut self, member: &'static str) -> Self {
        self.key_in_body = Some(member);
        self
    }

    /// Refuses a path that a URL parser would change, such as one with `..` or a space.
    pub(crate) fn check_path(&self) -> Result<(), String> {
        let is_segment = |segment: &str| {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            !matches!(segment, "" | "." | "..") && segment.bytes().all(plain)
        };
        match self.path.strip_prefix('/') {
            Some(path) if path.split('/').all(is_segment) => Ok(()),
            _ => Err(format!(
                "operation path {:?}: write it as /group/action, below the base URL",
                self.path
            )),
        }
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Reads, and changes nothing.
    Read,
    /// Changes the account.
    Write,
    /// Sends email or SMS.
    Send,
}

/// A rate limit: at most `requests` in any window of the length `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Number of requests.
    pub requests: u32,
    /// Length of the window.
    pub per: Duration,
}

/// How the results of an operation are paginated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pagination {
    /// Whether pages are requested by token or by number.
    pub style: PageStyle,
    /// The request field that asks for the next page.
    pub request: &'static str,
    /// JSON pointer to the next page's token in the reply, if known.
    pub reply: Option<&'static str>,
    /// JSON pointer to the list of results in the reply.
    pub items: &'static str,
    /// The request field that sets the page size, if there is one.
    pub size: Option<&'static str>,
}

/// How the next page is requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageStyle {
    /// The request passes on the opaque token of the reply.
    Token,
    /// The request has the number of the page.
    Page,
}

/// Where the reply of an operation that sends says whether a message was accepted. Each place is a JSON
/// pointer, in which `*` stands for every item of a list.
///
/// A call of such an operation fails if its reply reports a failure, or reports neither an id nor a
/// success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureIn200 {
    /// The number of failures.
    pub count: Option<&'static str>,
    /// The list of texts that explain them.
    pub messages: Option<&'static str>,
    /// The number of successes.
    pub succeeded: Option<&'static str>,
    /// The id of the accepted message. Absent or empty if none was accepted.
    pub id: Option<&'static str>,
    /// The status of each message.
    pub status: Option<&'static str>,
}

impl FailureIn200 {
    /// The places in replies of the operations that send mail.
    pub const MAIL: Self = Self {
        count: Some("/data/failed"),
        messages: Some("/data/failures"),
        succeeded: Some("/data/succeeded"),
        id: Some("/data/email_id"),
        status: None,
    };
}

/// An error that the spec lists (`x-smtp2go-known-errors`).
#[derive(Debug)]
pub(crate) struct KnownError {
    pub(crate) sign: Sign,
    pub(crate) cause: Cause,
    /// Whether the error proves, with any status, that the call was refused.
    pub(crate) rejected: bool,
}

/// How a known error is recognised.
#[derive(Debug)]
pub(crate) enum Sign {
    /// Its text contains all of these parts, in any letter case.
    Text(&'static [&'static str]),
    /// Its code ends with this text.
    Code(&'static str),
}

/// The cause of a known error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The key is unknown, disabled, or of an account in another region.
    Key,
    /// The sender is not verified.
    Sender,
    /// The key or the account exceeded its rate limit.
    Rate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations;

    #[test]
    fn path_that_a_url_parser_would_change_is_refused() {
        for path in [
            "",
            "/",
            "thing",
            "thing/view",
            "//evil.example/thing",
            "/thing//view",
            "/thing/",
            "/./thing",
            "/thing/..",
            "/../thing",
            "/%2e%2e/thing",
            "/thing view",
            "/thing?a=1",
            "/thing#a",
            "/thing\\view",
            "/thing\n",
            "/th\u{ef}ng",
            "@evil.example/thing",
            ":80/thing",
            "https://evil.example/thing",
        ] {
            let line = Operation::post(path).check_path().unwrap_err();
            assert!(line.contains(&format!("{path:?}")), "{line}");
            assert!(!line.contains('\n'), "{line}");
        }
        for path in ["/a", "/a/b-c_d.e~f/9", "/..."] {
            Operation::post(path).check_path().unwrap();
        }
        for operation in operations::OPERATIONS {
            operation.check_path().unwrap();
        }
    }

    #[test]
    fn email_send_reports_failures_in_the_fields_of_mail() {
        let reported = operations::EMAIL_SEND.failure_in_200;
        assert_eq!(reported, Some(FailureIn200::MAIL));
    }
}
