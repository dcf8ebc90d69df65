//! Faults: deliberate failures of calls, and which calls fail. `fault_rule` has their text form.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::account::glob;
use crate::ids::mix;
use crate::mail::list;
use crate::world::Shared;

/// Number of faults from which the admin endpoint and the inbox can't add more. [`Faults::add`] has no
/// limit.
const MOST: usize = 100;

/// A deliberate failure, and the calls that it applies to.
///
/// By default a fault applies to every call. [`on`](Self::on) restricts it to an operation, and one
/// of [`nth`](Self::nth), [`first`](Self::first), [`calls`](Self::calls) and
/// [`chance`](Self::chance) to some of the calls. If several of these four are set, the last one
/// applies.
///
/// A fault also decides whether the sandbox *carries out* the failed call, for example accepts the
/// mail. If it does, a client that retries sends the mail twice. Each kind of fault has a default;
/// [`carried_out`](Self::carried_out) overrides it.
///
/// ```
/// use smtp2go_sandbox::{Fault, Sandbox};
///
/// # fn main() -> std::io::Result<()> {
/// let sandbox = Sandbox::start_blocking()?;
/// sandbox
///     .faults()
///     .add(Fault::status(503).header("Retry-After", "2").on("email_send").nth(1))
///     .add(Fault::reset().chance(0.05, 42));
/// # Ok(())
/// # }
/// ```
///
/// # As text
///
/// The command line and the admin endpoints take faults as text, called rules. In Rust, `parse`
/// reads a rule:
///
/// ```
/// use smtp2go_sandbox::Fault;
///
/// # fn main() -> Result<(), smtp2go_sandbox::FaultRuleError> {
/// let fault: Fault = "email_send:nth=3:reset".parse()?;
/// assert_eq!(fault, Fault::reset().on("email_send").nth(3));
/// let burst: Fault = "first=5:status=429:retry-after=2".parse()?;
/// assert_eq!(burst, Fault::status(429).header("Retry-After", "2").first(5));
/// assert_eq!(burst.to_string(), "first=5:status=429:header=Retry-After=2");
/// # Ok(())
/// # }
/// ```
///
/// A rule is a list of parts, separated by colons, in any order: at least one effect (bold in the
/// table), and optional conditions. `status=` and `failed` set the reply. The effects from `delay=` to
/// `reset-when-idle` in the table change how the reply is sent. A rule may combine one effect that sets
/// the reply with one that changes how it is sent, such as `status=502:html:truncate` (see
/// [`then`](Self::then)).
///
/// | Part | Meaning |
/// | --- | --- |
/// | `email_send`, `email_*` | only calls of these operations: [`on`](Self::on) |
/// | `nth=3` | only the third call: [`nth`](Self::nth) |
/// | `nth=3-7` | only the third to the seventh call: [`calls`](Self::calls) |
/// | `first=5` | only the first five calls: [`first`](Self::first) |
/// | `chance=0.05` | each call with this probability: [`chance`](Self::chance) |
/// | `seed=42` | with `chance`: the seed that selects the calls. Default: derived from the sandbox's seed |
/// | `carried-out=no`, `=yes` | whether the sandbox carries out the request: [`carried_out`](Self::carried_out) |
/// | **`refuse`** | [`refuse`](Self::refuse) |
/// | **`close-before-reading`**, **`reset-before-reading`**, **`stall-before-reading`** | [`close_before_reading`](Self::close_before_reading), [`reset_before_reading`](Self::reset_before_reading), [`stall_before_reading`](Self::stall_before_reading) |
/// | **`delay=250ms`**, **`=2s`**, **`=1m`** | [`delay`](Self::delay) |
/// | **`close`**, **`reset`**, **`stall`** | [`close`](Self::close), [`reset`](Self::reset), [`stall`](Self::stall) |
/// | **`truncate-head`** | [`truncated_head`](Self::truncated_head) |
/// | **`truncate`**, **`stall-halfway`** | [`truncated`](Self::truncated), [`stalled_halfway`](Self::stalled_halfway) |
/// | **`close-when-idle`**, **`reset-when-idle`** | [`close_when_idle`](Self::close_when_idle), [`reset_when_idle`](Self::reset_when_idle) |
/// | **`failed`**, **`failed=REASON`** | [`failed`](Self::failed) |
/// | **`status=503`** | [`status`](Self::status), with an empty body |
/// | `retry-after=7` | with `status`: the header `Retry-After` |
/// | `header=NAME=VALUE` | with `status`: any [`header`](Self::header); a colon in it is written `\:` |
/// | `json`, `json=VALUE` | with `status`: a [`json`](Self::json) body. Default: an error in the API's envelope |
/// | `html`, `html=TEXT` | with `status`: an [`html`](Self::html) body. Default: a proxy's error page |
/// | `text=TEXT`, `body=TYPE,TEXT` | with `status`: plain text, or any [`body`](Self::body) |
///
/// `failed=`, `json=`, `html=`, `text=` and `body=` take the rest of the rule as their value, colons
/// included, so they must come last.
#[derive(Clone, PartialEq)]
#[must_use = "a fault does nothing until it is added"]
pub struct Fault {
    pub(crate) manner: Manner,
    pub(crate) answer: FaultAnswer,
    /// A pattern of operation ids. `None` matches every request, also one for an unknown path.
    pub(crate) operation: Option<String>,
    pub(crate) when: When,
    pub(crate) carried_out: bool,
}

/// How much of a request is read, and how much of its reply is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// The connection is closed as soon as it is accepted.
    Refused,
    /// Nothing of the request is read.
    Unread(Ending),
    /// The whole reply is sent at once.
    Answered,
    /// The whole reply is sent after this delay.
    Late(Duration),
    /// Nothing of the reply is sent.
    Unanswered(Ending),
    /// Half of the reply's head is sent.
    HalfHead(Ending),
    /// The reply's head and half of its body are sent.
    HalfBody(Ending),
    /// The whole reply is sent; the connection ends once it is idle.
    Left(Ending),
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// Closed in an orderly way (FIN).
    Close,
    /// Reset (RST).
    Reset,
    /// Left open without further traffic.
    Stall,
}

/// The manners that a rule sets by a name without a value.
pub(crate) const MANNERS: [(&str, Manner); 12] = [
    ("refuse", Manner::Refused),
    ("close-before-reading", Manner::Unread(Ending::Close)),
    ("reset-before-reading", Manner::Unread(Ending::Reset)),
    ("stall-before-reading", Manner::Unread(Ending::Stall)),
    ("close", Manner::Unanswered(Ending::Close)),
    ("reset", Manner::Unanswered(Ending::Reset)),
    ("stall", Manner::Unanswered(Ending::Stall)),
    ("truncate-head", Manner::HalfHead(Ending::Close)),
    ("truncate", Manner::HalfBody(Ending::Close)),
    ("stall-halfway", Manner::HalfBody(Ending::Stall)),
    ("close-when-idle", Manner::Left(Ending::Close)),
    ("reset-when-idle", Manner::Left(Ending::Reset)),
];

impl Manner {
    /// The manner's name in a rule. `None` for [`Manner::Answered`].
    pub(crate) fn word(self) -> Option<&'static str> {
        if let Self::Late(_) = self {
            return Some("delay");
        }
        let mut words = MANNERS.iter();
        words.find_map(|(word, manner)| (*manner == self).then_some(*word))
    }

    /// Whether the request is read.
    pub(crate) fn reads(self) -> bool {
        !matches!(self, Self::Refused | Self::Unread(_))
    }
}

/// The reply to a call that has a fault.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FaultAnswer {
    /// The sandbox's normal reply.
    Own,
    /// Status 200 with a failure for this reason.
    Failed(String),
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        content_type: Option<String>,
        body: Vec<u8>,
    },
}

impl FaultAnswer {
    pub(crate) fn status(status: u16) -> Self {
        Self::Reply {
            status,
            headers: Vec::new(),
            content_type: None,
            body: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum When {
    Always,
    /// The calls from number `first` to number `last`, both inclusive.
    Calls {
        first: u64,
        last: u64,
    },
    /// Without a seed, one is derived from the sandbox's seed and the fault's id.
    Chance {
        probability: f64,
        seed: Option<u64>,
    },
}

impl Fault {
    /// Makes a fault that applies to every call. By default, requests are carried out only if they
    /// are read and get the sandbox's normal reply.
    pub(crate) fn new(manner: Manner, answer: FaultAnswer) -> Self {
        Self {
            carried_out: manner.reads() && answer == FaultAnswer::Own,
            manner,
            answer,
            operation: None,
            when: When::Always,
        }
    }

    fn of(manner: Manner) -> Self {
        Self::new(manner, FaultAnswer::Own)
    }

    /// Closes the connection as soon as it is accepted. (To have the operating system refuse a
    /// connection, use a port without a listener.)
    ///
    /// Applies to connections, not to calls: [`on`](Self::on) has no effect, [`nth`](Self::nth) and
    /// the like count new connections, and [`Sandbox::calls`](crate::Sandbox::calls) does not list
    /// them. Connections to the admin endpoints and the inbox are closed too.
    pub fn refuse() -> Self {
        Self::of(Manner::Refused)
    }

    /// Closes the connection in an orderly way (FIN) once the first line of a request has arrived.
    /// The request is not carried out.
    pub fn close_before_reading() -> Self {
        Self::of(Manner::Unread(Ending::Close))
    }

    /// Resets the connection (RST) once the first line of a request has arrived. The request is not
    /// carried out.
    pub fn reset_before_reading() -> Self {
        Self::of(Manner::Unread(Ending::Reset))
    }

    /// Stops reading once the first line of a request has arrived, and keeps the connection open
    /// without a reply. The request is not carried out. Also applies to a client that starts a TLS
    /// handshake: the handshake never ends.
    pub fn stall_before_reading() -> Self {
        Self::of(Manner::Unread(Ending::Stall))
    }

    /// Carries out the request, then closes the connection (FIN) without a reply.
    pub fn close() -> Self {
        Self::of(Manner::Unanswered(Ending::Close))
    }

    /// Carries out the request, then resets the connection (RST) without a reply.
    pub fn reset() -> Self {
        Self::of(Manner::Unanswered(Ending::Reset))
    }

    /// Carries out the request and never replies. The connection stays open.
    pub fn stall() -> Self {
        Self::of(Manner::Unanswered(Ending::Stall))
    }

    /// Carries out the request, and sends the normal reply after this delay.
    pub fn delay(time: Duration) -> Self {
        Self::of(Manner::Late(time))
    }

    /// Carries out the request, sends half of the reply's head and closes the connection (FIN). The
    /// client may receive the status, but not all headers.
    pub fn truncated_head() -> Self {
        Self::of(Manner::HalfHead(Ending::Close))
    }

    /// Carries out the request, sends the reply's head and half of its body, and closes the
    /// connection (FIN). A reply without a body is cut after its head.
    pub fn truncated() -> Self {
        Self::of(Manner::HalfBody(Ending::Close))
    }

    /// Carries out the request, and sends the reply's head and half of its body. The connection
    /// stays open.
    pub fn stalled_halfway() -> Self {
        Self::of(Manner::HalfBody(Ending::Stall))
    }

    /// Carries out the request, sends the normal reply without `Connection: close`, and closes the
    /// connection (FIN) 20 ms later, when the client has put it into its pool. A request that the
    /// client sends within these 20 ms is not read. To wait for the end of the connection, see
    /// [`Sandbox::open_connections`](crate::Sandbox::open_connections).
    pub fn close_when_idle() -> Self {
        Self::of(Manner::Left(Ending::Close))
    }

    /// Like [`close_when_idle`](Self::close_when_idle), but resets the connection (RST).
    pub fn reset_when_idle() -> Self {
        Self::of(Manner::Left(Ending::Reset))
    }

    /// Replies with this status, 200 to 599 (any other number becomes 500). The reply has an empty
    /// body and no headers; [`header`](Self::header), [`json`](Self::json), [`html`](Self::html) and
    /// [`body`](Self::body) add them. The request is not carried out.
    pub fn status(status: u16) -> Self {
        let status = if (200..600).contains(&status) {
            status
        } else {
            500
        };
        Self::new(Manner::Answered, FaultAnswer::status(status))
    }

    /// Replies with status 200 and reports that the mail, or every mail of a batch, failed for this
    /// reason. Text messages are reported as failed without the reason, because their reply has no
    /// field for it. The request is not carried out.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::new(Manner::Answered, FaultAnswer::Failed(reason.into()))
    }

    /// Also delays or cuts off the reply of [`status`](Self::status) or [`failed`](Self::failed), or
    /// ends the connection, as `other` does. Conditions and other settings of `other` are ignored.
    ///
    /// ```
    /// use smtp2go_sandbox::Fault;
    ///
    /// let half_a_page = Fault::status(502).html("<h1>Bad Gateway</h1>").then(Fault::truncated());
    /// # let _ = half_a_page;
    /// ```
    #[allow(clippy::needless_pass_by_value)] // callers pass a temporary
    pub fn then(mut self, other: Self) -> Self {
        self.manner = other.manner;
        self.carried_out &= self.manner.reads();
        self
    }

    /// Applies only to calls of this operation, given by its id, such as `email_send`. `*` matches
    /// any text: `email_*` is every operation of the group.
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Applies only to the nth call. The first call after the fault is added is number 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Calls { first: n, last: n };
        self
    }

    /// Applies only to these calls, such as `3..=7`. The first call after the fault is added is
    /// number 1.
    pub fn calls(mut self, calls: RangeInclusive<u64>) -> Self {
        self.when = When::Calls {
            first: *calls.start(),
            last: *calls.end(),
        };
        self
    }

    /// Applies only to the first `n` calls after the fault is added.
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::Calls { first: 1, last: n };
        self
    }

    /// Applies to each call with this probability, from 0 to 1. The seed and the order of the calls
    /// alone decide which calls fail. Give faults different seeds to have them fail independently.
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        let seed = Some(seed);
        self.when = When::Chance { probability, seed };
        self
    }

    /// Sets whether the sandbox carries out the request, for example accepts the mail;
    /// [`Call::accepted`](crate::Call::accepted) shows it. The default depends on the kind of fault.
    /// A request that is not read is never carried out.
    pub fn carried_out(mut self, carried_out: bool) -> Self {
        self.carried_out = carried_out;
        self
    }

    /// Adds a header to the reply of [`status`](Self::status). A header that HTTP does not allow is
    /// left out. With `Transfer-Encoding: chunked` the reply has no `Content-Length`.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let FaultAnswer::Reply { headers, .. } = &mut self.answer {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// Sets a JSON body for the reply of [`status`](Self::status).
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// Sets an HTML body for the reply of [`status`](Self::status).
    pub fn html(self, html: impl Into<String>) -> Self {
        self.body("text/html", html.into())
    }

    /// Sets a body and its content type for the reply of [`status`](Self::status).
    pub fn body(mut self, kind: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        if let FaultAnswer::Reply {
            content_type, body, ..
        } = &mut self.answer
        {
            *content_type = Some(kind.into());
            *body = bytes.into();
        }
        self
    }

    /// A short name for lists and logs, such as `status 502, truncate`.
    pub(crate) fn name(&self) -> String {
        let answer = match &self.answer {
            FaultAnswer::Own => None,
            FaultAnswer::Failed(_) => Some("failed".to_owned()),
            FaultAnswer::Reply { status, .. } => Some(format!("status {status}")),
        };
        let manner = self.manner.word().map(|word| word.replace('-', " "));
        let parts: Vec<_> = answer.into_iter().chain(manner).collect();
        parts.join(", ")
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fault")
            .field("effect", &self.name())
            .field("operation", &self.operation)
            .field("when", &self.when)
            .field("carried_out", &self.carried_out)
            .finish()
    }
}

/// Returns the `data` of a reply that reports failure: of the mail, of each mail of a batch, or of
/// each text message (without the reason, for which that reply has no field).
pub(crate) fn failure(operation: Option<&str>, request: &[u8], reason: &str) -> Value {
    let mail = json!({ "email_id": "", "succeeded": 0, "failed": 1, "failures": [reason] });
    let request: Value = serde_json::from_slice(request).unwrap_or_default();
    match operation {
        Some("email_batch") => {
            let mails = list(&request, "emails").iter();
            mails.map(|_| mail.clone()).collect()
        }
        Some("sms_send") => {
            let destinations = list(&request, "destination");
            let message = |destination: &Value| json!({ "destination": destination, "message_id": "", "status": "failed" });
            let messages: Vec<_> = destinations.iter().map(message).collect();
            json!({
                "statuses": { "failed": messages.len() },
                "total_sent": 0,
                "messages": messages,
            })
        }
        _ => mail,
    }
}

/// The faults of a running sandbox, from [`Sandbox::faults`](crate::Sandbox::faults). They can be
/// changed at any time. A change does not affect requests that are in progress.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a fault. If several apply to the same call, the one added first takes effect; the
    /// others still count the call.
    pub fn add(&self, fault: Fault) -> &Self {
        self.shared.rules.add(fault);
        self
    }

    /// Returns the current faults in the order in which they were added.
    pub fn list(&self) -> Vec<ActiveFault> {
        self.shared.rules.lock().list.clone()
    }

    /// Removes the fault with this [`id`](ActiveFault::id). Returns whether it existed.
    pub fn remove(&self, id: u64) -> bool {
        let list = &mut self.shared.rules.lock().list;
        let before = list.len();
        list.retain(|active| active.id != id);
        list.len() < before
    }

    /// Removes all faults.
    pub fn clear(&self) -> &Self {
        self.shared.rules.lock().list.clear();
        self
    }
}

/// A fault of a running sandbox, with a snapshot of its counts.
#[derive(Clone, Debug)]
pub struct ActiveFault {
    id: u64,
    fault: Fault,
    seen: u64,
    struck: u64,
}

impl ActiveFault {
    /// The fault's number, from 1. The sandbox does not use a number twice.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The fault. Its `to_string` returns the rule.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// Number of calls whose operation matched.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Number of calls that the fault was applied to.
    pub fn struck(&self) -> u64 {
        self.struck
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.shared.rules.lock();
        formatter
            .debug_list()
            .entries(rules.list.iter().map(|active| &active.fault))
            .finish()
    }
}

/// The point at which faults are looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage<'a> {
    /// A connection was accepted.
    Connection,
    /// The first line of a request arrived. `None` if its path is not an operation's.
    Request(Option<&'a str>),
}

/// The faults with their counts.
pub(crate) struct FaultRules {
    /// Seed of the faults that have a probability but no seed.
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    list: Vec<ActiveFault>,
    added: u64,
}

impl FaultRules {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault, and returns its id.
    pub(crate) fn add(&self, fault: Fault) -> u64 {
        let mut inner = self.lock();
        inner.added += 1;
        let id = inner.added;
        inner.list.push(ActiveFault {
            id,
            fault,
            seen: 0,
            struck: 0,
        });
        id
    }

    /// Returns an error message if requests may add no more faults. Each may have a body of 1 MiB.
    pub(crate) fn full(&self) -> Option<String> {
        (self.count() >= MOST)
            .then(|| format!("there are already {MOST} faults: remove some first"))
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().list.len()
    }

    /// Counts a connection or request, and returns the fault that applies to it.
    pub(crate) fn due(&self, stage: Stage<'_>) -> Option<Fault> {
        let mut found = None;
        for active in &mut self.lock().list {
            // Every fault counts the call, so that its count does not depend on the other faults.
            if active.fault.matches(stage) && active.fires(self.seed) && found.is_none() {
                active.struck += 1;
                found = Some(active.fault.clone());
            }
        }
        found
    }
}

impl Fault {
    /// Whether the fault applies to connections instead of requests.
    pub(crate) fn of_connection(&self) -> bool {
        self.manner == Manner::Refused
    }

    /// Returns an error message if the fault would refuse every connection: then no request could
    /// remove it again.
    pub(crate) fn lockout(&self) -> Option<&'static str> {
        let forever = match self.when {
            When::Always => true,
            When::Chance { probability, .. } => probability >= 1.0,
            _ => false,
        };
        (self.of_connection() && forever).then_some(
            "refuse without a condition would also shut out the admin endpoints and the inbox: \
             add nth=, first= or chance=, or use close-before-reading",
        )
    }

    fn matches(&self, stage: Stage<'_>) -> bool {
        match stage {
            Stage::Connection => self.of_connection(),
            Stage::Request(operation) => {
                !self.of_connection()
                    && self.operation.as_deref().is_none_or(|pattern| {
                        operation.is_some_and(|operation| glob(pattern, operation))
                    })
            }
        }
    }
}

impl ActiveFault {
    fn fires(&mut self, seed_of_all: u64) -> bool {
        self.seen += 1;
        match self.fault.when {
            When::Always => true,
            When::Calls { first, last } => (first..=last).contains(&self.seen),
            When::Chance { probability, seed } => {
                let seed = seed.unwrap_or_else(|| mix(seed_of_all, self.id));
                fraction(seed, self.seen) < probability
            }
        }
    }
}

/// Returns the nth pseudo-random number of a seed, in the range from 0 to below 1.
fn fraction(seed: u64, n: u64) -> f64 {
    let bits = mix(seed, n);
    // 32 bits convert to f64 without loss.
    let high = u32::try_from(bits >> 32).unwrap_or_default();
    f64::from(high) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired(rules: &FaultRules, operation: &str, calls: usize) -> Vec<bool> {
        (0..calls)
            .map(|_| rules.due(Stage::Request(Some(operation))).is_some())
            .collect()
    }

    #[test]
    fn conditions_select_the_calls_that_fail() {
        for (fault, expected) in [
            (Fault::close(), [true, true, true]),
            (Fault::close().nth(2), [false, true, false]),
            (Fault::close().first(2), [true, true, false]),
            (Fault::close().calls(2..=3), [false, true, true]),
            (Fault::close().on("other"), [false, false, false]),
            (Fault::close().on("email_*"), [true, true, true]),
            (Fault::close().chance(0.0, 1), [false, false, false]),
            (Fault::close().chance(1.0, 1), [true, true, true]),
            (Fault::refuse(), [false, false, false]),
        ] {
            let rules = FaultRules::new(0);
            rules.add(fault.clone());
            assert_eq!(fired(&rules, "email_send", 3), expected, "{fault:?}");
        }
    }

    #[test]
    fn two_faults_that_match_a_call_both_count_it_and_the_first_added_applies() {
        let rules = FaultRules::new(0);
        rules.add(Fault::status(500).nth(1));
        rules.add(Fault::status(503).first(2));
        let names: Vec<_> = (0..3)
            .map(|_| rules.due(Stage::Request(None)).map(|fault| fault.name()))
            .collect();
        let expected = [Some("status 500"), Some("status 503"), None];
        assert_eq!(names, expected.map(|name| name.map(str::to_owned)));
        rules.add(Fault::refuse().nth(2));
        assert!(rules.due(Stage::Connection).is_none());
        assert!(rules.due(Stage::Connection).is_some());
    }

    #[test]
    fn chance_without_a_seed_uses_the_sandboxs_seed_and_the_faults_id() {
        let pattern = |seed| {
            let rules = FaultRules::new(seed);
            let fault: Fault = "chance=0.5:close".parse().unwrap();
            rules.add(Fault::status(500).on("other"));
            rules.add(fault.clone());
            let first = fired(&rules, "email_send", 64);
            rules.lock().list.clear();
            rules.add(fault);
            (first, fired(&rules, "email_send", 64))
        };
        let (first, second) = pattern(1);
        assert_ne!(first, second);
        assert_eq!(pattern(1), (first.clone(), second));
        assert_ne!(pattern(2).0, first);
    }

    #[test]
    fn chance_of_30_percent_hits_about_30_percent_and_is_repeatable() {
        let count = |seed| {
            let rules = FaultRules::new(0);
            rules.add(Fault::close().chance(0.3, seed));
            let fired = fired(&rules, "email_send", 10_000);
            (fired.iter().filter(|fired| **fired).count(), fired)
        };
        let (first, again, other) = (count(7), count(7), count(8));
        assert_eq!(first, again);
        assert_ne!(first.1, other.1);
        assert!((2_800..3_200).contains(&first.0), "{}", first.0);
    }
}
