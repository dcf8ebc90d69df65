//! What is known of an API operation besides its types. The table itself is generated:
//! [`operations`](crate::operations).

use std::time::Duration;

use http::Method;

/// One operation of the API, with the facts that decide how it is called.
///
/// Taken from the spec. Pass one to [`Client::execute`](crate::Client::execute) to call the
/// operation with a body of your own.
#[derive(Debug)]
#[non_exhaustive]
pub struct Operation {
    /// Name of the operation, `<group>_<action>`, such as `template_view`.
    pub id: &'static str,
    /// The group it belongs to: the accessor on the client.
    pub group: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path below the base URL, with its leading slash.
    pub path: &'static str,
    /// What the call does.
    pub kind: Kind,
    /// Whether calling it twice has the effect of calling it once. A judgement made from the
    /// API's documentation, which does not say.
    pub repeat_safe: bool,
    /// Whether the API advises against it.
    pub deprecated: bool,
    /// The documented limit on calls, if there is one.
    pub rate_limit: Option<RateLimit>,
    /// Largest request body in bytes, as sent.
    pub max_body_bytes: Option<u64>,
    /// How replies continue on further pages, if they do.
    pub pagination: Option<Pagination>,
    /// The request field that names a subaccount, if the operation takes one.
    pub subaccount: Option<&'static str>,
    /// Where a reply with status 200 reports failure, if it can.
    pub failure_in_200: Option<FailureIn200>,
    /// The body member that must carry the API key as well, if the operation asks for it.
    pub key_in_body: Option<&'static str>,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Looks something up and changes nothing.
    Read,
    /// Changes the account.
    Write,
    /// Sends email or SMS.
    Send,
}

/// At most so many requests in any window of that length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// Number of requests.
    pub requests: u32,
    /// Length of the window.
    pub per: Duration,
}

/// How an operation's results go on over several replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pagination {
    /// What the request field holds.
    pub style: PageStyle,
    /// The request field that asks for the next page.
    pub request: &'static str,
    /// JSON pointer to the next token in the reply, if the place is known.
    pub reply: Option<&'static str>,
    /// JSON pointer to the list of results in the reply.
    pub items: &'static str,
    /// The request field that sets the size of a page, if there is one.
    pub size: Option<&'static str>,
}

/// The way from one page to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PageStyle {
    /// The reply has an opaque token, which the next request repeats.
    Token,
    /// The request has the number of the page.
    Page,
}

/// Where a reply with status 200 says that the call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailureIn200 {
    /// JSON pointer to the number of failures; more than zero is a failure.
    pub count: &'static str,
    /// JSON pointer to the list of texts that say why.
    pub messages: &'static str,
    /// JSON pointer to the number of successes. With one, the call was carried out in part.
    pub succeeded: &'static str,
    /// JSON pointer to the id of what was accepted; absent or empty if nothing was.
    pub id: &'static str,
}
