//! Misbehaviour on purpose: which call fails, and how. Their form as text is in `fault_rule`.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::account::glob;
use crate::ids::mix;
use crate::mail::list;
use crate::world::Shared;

/// How many faults there may be for requests to add another.
const MOST: usize = 100;

/// What goes wrong with a call, and with which calls.
///
/// A fault happens to every call unless it is narrowed down: [`on`](Self::on) picks an operation,
/// and one of [`nth`](Self::nth), [`first`](Self::first), [`calls`](Self::calls) and
/// [`chance`](Self::chance) picks among its calls. The last one that is set counts.
///
/// Whether the call *has its effect* all the same, which decides if a client that sends again
/// sends twice, is part of the fault; [`carried_out`](Self::carried_out) changes it.
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
/// The command line and the admin endpoints take a fault as text, and so does Rust, by `parse`:
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
/// A rule is made of parts with colons between them, in any order: an effect, and what narrows it
/// down. `status=` and `failed` say what the answer is, `delay=` to `reset-when-idle` what becomes of
/// it: a rule may have one of each, such as `status=502:html:truncate` (see [`then`](Self::then)).
///
/// | Part | Meaning |
/// | --- | --- |
/// | `email_send`, `email_*` | only calls of these operations: [`on`](Self::on) |
/// | `nth=3` | only the third call: [`nth`](Self::nth) |
/// | `nth=3-7` | only the third to the seventh call: [`calls`](Self::calls) |
/// | `first=5` | only the first five calls: [`first`](Self::first) |
/// | `chance=0.05` | each call with this probability: [`chance`](Self::chance) |
/// | `seed=42` | with `chance`: which calls those are; by default the sandbox's seed decides |
/// | `carried-out=no`, `=yes` | whether what is read has its effect: [`carried_out`](Self::carried_out) |
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
/// | `json`, `json=VALUE` | with `status`: a [`json`](Self::json) body; an error in the API's envelope if none is given |
/// | `html`, `html=TEXT` | with `status`: an [`html`](Self::html) body; a proxy's error page if none is given |
/// | `text=TEXT`, `body=TYPE,TEXT` | with `status`: plain text, or any [`body`](Self::body) |
///
/// `failed=`, `json=`, `html=`, `text=` and `body=` take the rest of the rule as it is, colons
/// included, so they come last.
#[derive(Clone, PartialEq)]
#[must_use = "a fault does nothing until it is added"]
pub struct Fault {
    pub(crate) manner: Manner,
    pub(crate) answer: FaultAnswer,
    /// `None`: any operation, and requests for none.
    pub(crate) operation: Option<String>,
    pub(crate) when: When,
    pub(crate) carried_out: bool,
}

/// What becomes of a request and of its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Manner {
    /// There is no request: the connection is closed before.
    Refused,
    /// None of the request is read.
    Unread(Ending),
    /// All is well with the connection.
    Answered,
    Late(Duration),
    /// Nothing of the answer goes out.
    Unanswered(Ending),
    HalfHead(Ending),
    /// Its head, and half of its body.
    HalfBody(Ending),
    /// All of it, and when the connection is idle it ends.
    Left(Ending),
}

/// How a connection ends, or does not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    /// In an orderly way (FIN).
    Close,
    /// RST.
    Reset,
    /// It stays open, and silent.
    Stall,
}

/// The manners that have a word of their own in a rule.
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
    /// Its word in a rule: none for an answer that is whole and in time.
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

/// What the answer is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum FaultAnswer {
    /// The one that there would be without a fault.
    Own,
    /// 200, with a failure for this reason.
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
    /// From the first to the last, both included.
    Calls {
        first: u64,
        last: u64,
    },
    /// Without a seed that of the sandbox counts, and which of its faults it is.
    Chance {
        probability: f64,
        seed: Option<u64>,
    },
}

impl Fault {
    /// A fault of every call. What it answers in place of the sandbox is not carried out, nor what
    /// is not read.
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

    /// The connection is closed as soon as it is accepted, without a look at it. (A connection
    /// that is refused by the system needs no sandbox: take a port where nobody listens.)
    ///
    /// This happens to connections, not to calls: [`on`](Self::on) has no effect, the others
    /// count new connections, and [`Sandbox::calls`](crate::Sandbox::calls) does not list it. The
    /// admin endpoints and the inbox are shut out too.
    pub fn refuse() -> Self {
        Self::of(Manner::Refused)
    }

    /// The connection is closed in an orderly way (FIN) when a request begins to arrive, before
    /// any of it is read.
    pub fn close_before_reading() -> Self {
        Self::of(Manner::Unread(Ending::Close))
    }

    /// The connection is reset (RST) when a request begins to arrive, before any of it is read.
    pub fn reset_before_reading() -> Self {
        Self::of(Manner::Unread(Ending::Reset))
    }

    /// None of the request is ever read, and the connection stays open. This happens to a client
    /// that begins with TLS too, whose handshake never ends.
    pub fn stall_before_reading() -> Self {
        Self::of(Manner::Unread(Ending::Stall))
    }

    /// The request is read and carried out, then the connection closed (FIN) without an answer.
    pub fn close() -> Self {
        Self::of(Manner::Unanswered(Ending::Close))
    }

    /// The request is read and carried out, then the connection reset (RST) without an answer.
    pub fn reset() -> Self {
        Self::of(Manner::Unanswered(Ending::Reset))
    }

    /// The request is read and carried out and never answered; the connection stays open.
    pub fn stall() -> Self {
        Self::of(Manner::Unanswered(Ending::Stall))
    }

    /// The request is carried out, and answered as it should be, but so much later.
    pub fn delay(time: Duration) -> Self {
        Self::of(Manner::Late(time))
    }

    /// The request is carried out, and the connection closed after half of the answer's head: its
    /// status may have gone out, but not all of its headers.
    pub fn truncated_head() -> Self {
        Self::of(Manner::HalfHead(Ending::Close))
    }

    /// The request is carried out, and the connection closed after half of the answer's body (or
    /// after its head, if it has no body).
    pub fn truncated() -> Self {
        Self::of(Manner::HalfBody(Ending::Close))
    }

    /// The request is carried out, and after half of the answer's body no more of it comes; the
    /// connection stays open.
    pub fn stalled_halfway() -> Self {
        Self::of(Manner::HalfBody(Ending::Stall))
    }

    /// The request is carried out and answered as it should be. The connection seems to stay open
    /// for more, but is closed (FIN) 20 ms later, when the client takes it for an idle one; what the
    /// client has sent on it by then is not read.
    /// [`Sandbox::open_connections`](crate::Sandbox::open_connections) tells that it is gone.
    pub fn close_when_idle() -> Self {
        Self::of(Manner::Left(Ending::Close))
    }

    /// As [`close_when_idle`](Self::close_when_idle), but the connection is reset (RST).
    pub fn reset_when_idle() -> Self {
        Self::of(Manner::Left(Ending::Reset))
    }

    /// The answer has this status, 200 to 599 (another acts as 500), no headers but those added
    /// with [`header`](Self::header), and an empty body unless [`json`](Self::json),
    /// [`html`](Self::html) or [`body`](Self::body) gives one. The request is not carried out.
    pub fn status(status: u16) -> Self {
        let status = if (200..600).contains(&status) {
            status
        } else {
            500
        };
        Self::new(Manner::Answered, FaultAnswer::status(status))
    }

    /// The answer has status 200 and says that the mail failed, or every mail of a batch, for this
    /// reason; of text messages it says so without a reason, since theirs has no place for one. The
    /// request is not carried out.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::new(Manner::Answered, FaultAnswer::Failed(reason.into()))
    }

    /// What becomes of the answer of [`status`](Self::status) or [`failed`](Self::failed) as well:
    /// it is late, cut short, or the connection ends. Nothing else of `other` counts.
    ///
    /// ```
    /// use smtp2go_sandbox::Fault;
    ///
    /// let half_a_page = Fault::status(502).html("<h1>Bad Gateway</h1>").then(Fault::truncated());
    /// # let _ = half_a_page;
    /// ```
    #[allow(clippy::needless_pass_by_value)] // as it was just made
    pub fn then(mut self, other: Self) -> Self {
        self.manner = other.manner;
        self.carried_out &= self.manner.reads();
        self
    }

    /// Only calls of this operation, by its id, such as `email_send`; `*` in it stands for any
    /// text, so that `email_*` is all of a group.
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Only the nth call, counted from 1 and from when the fault is added.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Calls { first: n, last: n };
        self
    }

    /// Only these calls, such as `3..=7`, counted from 1 and from when the fault is added.
    pub fn calls(mut self, calls: RangeInclusive<u64>) -> Self {
        self.when = When::Calls {
            first: *calls.start(),
            last: *calls.end(),
        };
        self
    }

    /// Only the first n calls, counted from when the fault is added.
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::Calls { first: 1, last: n };
        self
    }

    /// Each call with a probability from 0 to 1. Which ones depends on nothing but the seed and
    /// the order of the calls; faults that are to fail independently take different seeds.
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
        let seed = Some(seed);
        self.when = When::Chance { probability, seed };
        self
    }

    /// Whether a request that is read has its effect: mail is accepted, and
    /// [`Call::accepted`](crate::Call::accepted) says so. Each kind of fault has its default. What
    /// is not read never has an effect.
    pub fn carried_out(mut self, carried_out: bool) -> Self {
        self.carried_out = carried_out;
        self
    }

    /// Adds a header to the answer of [`status`](Self::status). One that HTTP does not allow is
    /// left out. With `Transfer-Encoding: chunked` the answer does not tell its length.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let FaultAnswer::Reply { headers, .. } = &mut self.answer {
            headers.push((name.into(), value.into()));
        }
        self
    }

    /// A JSON body for the answer of [`status`](Self::status).
    pub fn json(self, value: &Value) -> Self {
        self.body("application/json", value.to_string())
    }

    /// An HTML body for the answer of [`status`](Self::status).
    pub fn html(self, html: impl Into<String>) -> Self {
        self.body("text/html", html.into())
    }

    /// Any body for the answer of [`status`](Self::status), with its content type.
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

    /// What it does, in a word or two.
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

/// The data of a sending reply that counts a failure: of the mail, of each mail of a batch, or of
/// each text message, whose reply has no place for the reason.
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
/// changed at any time; requests that are being answered are not affected.
#[derive(Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

impl Faults {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Adds a fault. Of several that are due at the same call the one added first happens; the
    /// others count the call all the same.
    pub fn add(&self, fault: Fault) -> &Self {
        self.shared.rules.add(fault);
        self
    }

    /// The faults that there are, in order.
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

    /// Takes all faults away.
    pub fn clear(&self) -> &Self {
        self.shared.rules.lock().list.clear();
        self
    }
}

/// A fault of a running sandbox, with its counts as they were when it was asked for.
#[derive(Clone, Debug)]
pub struct ActiveFault {
    id: u64,
    fault: Fault,
    seen: u64,
    struck: u64,
}

impl ActiveFault {
    /// Its number among all that the sandbox ever had, from 1.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The fault. `to_string` on it is its rule.
    pub fn fault(&self) -> &Fault {
        &self.fault
    }

    /// How many calls it could have happened to, by the operation.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// How many calls it did happen to.
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

/// Where in the life of a call a fault is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage<'a> {
    /// A connection was accepted.
    Connection,
    /// A request begins, for an operation if it is for one.
    Request(Option<&'a str>),
}

/// The faults with their counts.
pub(crate) struct FaultRules {
    /// For faults that come by chance and have no seed.
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

    /// Why no more can be added by requests, each of which may bring a body of 1 MiB.
    pub(crate) fn full(&self) -> Option<String> {
        (self.count() >= MOST).then(|| format!("there are {MOST} faults already; remove some"))
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().list.len()
    }

    /// The fault that happens now.
    pub(crate) fn due(&self, stage: Stage<'_>) -> Option<Fault> {
        let mut found = None;
        for active in &mut self.lock().list {
            // Every rule gets to count, so that none depends on the others.
            if active.fault.matches(stage) && active.fires(self.seed) && found.is_none() {
                active.struck += 1;
                found = Some(active.fault.clone());
            }
        }
        found
    }
}

impl Fault {
    /// Whether it is about the connection and not about a request.
    pub(crate) fn of_connection(&self) -> bool {
        self.manner == Manner::Refused
    }

    /// Why it is not to be added by HTTP, over which it could not be removed again.
    pub(crate) fn lockout(&self) -> Option<&'static str> {
        let forever = match self.when {
            When::Always => true,
            When::Chance { probability, .. } => probability >= 1.0,
            _ => false,
        };
        (self.of_connection() && forever).then_some(
            "without an end this shuts out the admin endpoints and the inbox too; \
             give it nth, first or a chance, or take close-before-reading",
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

/// The nth number from 0 to 1, without it, of the sequence of a seed.
fn fraction(seed: u64, n: u64) -> f64 {
    let bits = mix(seed, n);
    // 32 bits are plenty, and convert without loss.
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
    fn rules_pick_their_calls() {
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
    fn the_first_added_wins_and_all_count() {
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
    fn without_a_seed_that_of_the_sandbox_decides_for_each_fault_apart() {
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
    fn chance_is_fair_and_repeatable() {
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
