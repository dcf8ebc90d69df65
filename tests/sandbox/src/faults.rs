//! Misbehaviour on purpose: which call fails, and how.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::ids::mix;
use crate::world::Shared;

/// What goes wrong with a call, and with which calls.
///
/// A fault happens to every call unless it is narrowed down: [`on`](Self::on) picks an operation,
/// and one of [`nth`](Self::nth), [`first`](Self::first) and [`chance`](Self::chance) picks among
/// its calls. The last one that is set counts.
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
#[derive(Clone)]
#[must_use = "a fault does nothing until it is added"]
pub struct Fault {
    pub(crate) effect: Effect,
    /// `None`: any operation, and requests for none.
    operation: Option<String>,
    when: When,
    pub(crate) carried_out: bool,
}

#[derive(Clone)]
pub(crate) enum Effect {
    Refuse,
    CloseBeforeReading,
    ResetBeforeReading,
    Close,
    Reset,
    Stall,
    Delay(Duration),
    Truncate,
    Failed(String),
    Reply {
        status: u16,
        headers: Vec<(String, String)>,
        content_type: Option<String>,
        body: Vec<u8>,
    },
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Nth(u64),
    First(u64),
    Chance { probability: f64, seed: u64 },
}

impl Fault {
    fn new(effect: Effect, carried_out: bool) -> Self {
        Self {
            effect,
            operation: None,
            when: When::Always,
            carried_out,
        }
    }

    /// The connection is closed as soon as it is accepted, without a look at it. (A connection
    /// that is refused by the system needs no sandbox: take a port where nobody listens.)
    ///
    /// This happens to connections, not to calls: [`on`](Self::on) has no effect, the others
    /// count new connections, and [`Sandbox::calls`](crate::Sandbox::calls) does not list it.
    pub fn refuse() -> Self {
        Self::new(Effect::Refuse, false)
    }

    /// The connection is closed in an orderly way (FIN) when a request begins to arrive, before
    /// any of it is read.
    pub fn close_before_reading() -> Self {
        Self::new(Effect::CloseBeforeReading, false)
    }

    /// The connection is reset (RST) when a request begins to arrive, before any of it is read.
    pub fn reset_before_reading() -> Self {
        Self::new(Effect::ResetBeforeReading, false)
    }

    /// The request is read and carried out, then the connection closed (FIN) without an answer.
    pub fn close() -> Self {
        Self::new(Effect::Close, true)
    }

    /// The request is read and carried out, then the connection reset (RST) without an answer.
    pub fn reset() -> Self {
        Self::new(Effect::Reset, true)
    }

    /// The request is read and carried out and never answered; the connection stays open.
    pub fn stall() -> Self {
        Self::new(Effect::Stall, true)
    }

    /// The request is carried out, and answered as it should be, but so much later.
    pub fn delay(time: Duration) -> Self {
        Self::new(Effect::Delay(time), true)
    }

    /// The request is carried out, and the connection closed after half of the answer's body (or
    /// after its head, if it has no body).
    pub fn truncated() -> Self {
        Self::new(Effect::Truncate, true)
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
        Self::new(
            Effect::Reply {
                status,
                headers: Vec::new(),
                content_type: None,
                body: Vec::new(),
            },
            false,
        )
    }

    /// The answer has status 200 and says that one message failed, for this reason. The request is
    /// not carried out.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::new(Effect::Failed(reason.into()), false)
    }

    /// Only calls of this operation, by its id, such as `email_send`.
    pub fn on(mut self, operation: impl Into<String>) -> Self {
        self.operation = Some(operation.into());
        self
    }

    /// Only the nth call, counted from 1 and from when the fault is added.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first n calls, counted from when the fault is added.
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::First(n);
        self
    }

    /// Each call with a probability from 0 to 1. Which ones depends on nothing but the seed and
    /// the order of the calls; faults that are to fail independently take different seeds.
    pub fn chance(mut self, probability: f64, seed: u64) -> Self {
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
    /// left out.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        if let Effect::Reply { headers, .. } = &mut self.effect {
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
        if let Effect::Reply {
            content_type, body, ..
        } = &mut self.effect
        {
            *content_type = Some(kind.into());
            *body = bytes.into();
        }
        self
    }

    /// What it does, in a word or two.
    pub(crate) fn name(&self) -> String {
        match &self.effect {
            Effect::Refuse => "refuse".to_owned(),
            Effect::CloseBeforeReading => "close before reading".to_owned(),
            Effect::ResetBeforeReading => "reset before reading".to_owned(),
            Effect::Close => "close".to_owned(),
            Effect::Reset => "reset".to_owned(),
            Effect::Stall => "stall".to_owned(),
            Effect::Delay(_) => "delay".to_owned(),
            Effect::Truncate => "truncate".to_owned(),
            Effect::Failed(_) => "failed".to_owned(),
            Effect::Reply { status, .. } => format!("status {status}"),
        }
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

/// The data of a sending reply that counts a failure.
pub(crate) fn failure(reason: &str) -> Value {
    json!({ "email_id": "", "succeeded": 0, "failed": 1, "failures": [reason] })
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

    /// Takes all faults away.
    pub fn clear(&self) -> &Self {
        self.shared.rules.lock().clear();
        self
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.shared.rules.lock();
        formatter
            .debug_list()
            .entries(rules.iter().map(|rule| &rule.fault))
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
#[derive(Default)]
pub(crate) struct Rules(Mutex<Vec<Rule>>);

pub(crate) struct Rule {
    fault: Fault,
    /// Calls that it could have happened to so far.
    seen: u64,
}

impl Rules {
    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, fault: Fault) {
        self.lock().push(Rule { fault, seen: 0 });
    }

    /// The fault that happens now.
    pub(crate) fn due(&self, stage: Stage<'_>) -> Option<Fault> {
        let mut found = None;
        for rule in self.lock().iter_mut() {
            // Every rule gets to count, so that none depends on the others.
            if rule.matches(stage) && rule.fires() && found.is_none() {
                found = Some(rule.fault.clone());
            }
        }
        found
    }
}

impl Rule {
    fn matches(&self, stage: Stage<'_>) -> bool {
        let of_connection = matches!(self.fault.effect, Effect::Refuse);
        match stage {
            Stage::Connection => of_connection,
            Stage::Request(operation) => {
                !of_connection
                    && (self.fault.operation.is_none()
                        || self.fault.operation.as_deref() == operation)
            }
        }
    }

    fn fires(&mut self) -> bool {
        self.seen += 1;
        match self.fault.when {
            When::Always => true,
            When::Nth(n) => self.seen == n,
            When::First(n) => self.seen <= n,
            When::Chance { probability, seed } => fraction(seed, self.seen) < probability,
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

    fn fired(rules: &Rules, operation: &str, calls: usize) -> Vec<bool> {
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
            (Fault::close().on("other"), [false, false, false]),
            (Fault::close().chance(0.0, 1), [false, false, false]),
            (Fault::close().chance(1.0, 1), [true, true, true]),
            (Fault::refuse(), [false, false, false]),
        ] {
            let rules = Rules::default();
            rules.add(fault.clone());
            assert_eq!(fired(&rules, "email_send", 3), expected, "{fault:?}");
        }
    }

    #[test]
    fn the_first_added_wins_and_all_count() {
        let rules = Rules::default();
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
    fn chance_is_fair_and_repeatable() {
        let count = |seed| {
            let rules = Rules::default();
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
