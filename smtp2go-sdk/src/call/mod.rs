//! A call from its first attempt to its last.

pub(crate) mod attempt;
pub(crate) mod failover;
mod observer;
pub(crate) mod rate_limit;
mod reply;
pub(crate) mod retry;
pub(crate) mod telemetry;
pub(crate) mod verdict;

pub use observer::{AttemptReport, CallReport, Next, Observer};
pub use reply::{RawReply, Reply};
pub use retry::RetryPolicy;

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::Error;
use crate::call::attempt::Wire;
use crate::call::failover::{Host, Hosts, Route};
use crate::call::rate_limit::{Turn, Turns};
use crate::call::retry::{Decision, Situation, Verdict, classify, decide};
use crate::call::telemetry::Watch;
use crate::call::verdict::{Outcome, Success, judge};
use crate::client::options::Settings;
use crate::client::{Core, Prepared};

/// What the calls of a client and of its clones have in common.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) hosts: Hosts,
    pub(crate) turns: Turns,
    pub(crate) jitter: Mutex<fastrand::Rng>,
}

impl Traffic {
    fn jitter(&self) -> f64 {
        self.jitter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .f64()
    }
}

impl Core {
    /// Sends a request until it is answered or not to be sent again. The same bytes go out each
    /// time.
    ///
    /// What is decided in between is in functions of its own: a future keeps room for all that is
    /// borrowed in it.
    pub(crate) async fn run(
        &self,
        request: &Prepared,
        settings: &Settings,
        watch: &mut Watch,
    ) -> Result<Success, Error> {
        let mut call = Call::new(self, request, settings, watch);
        loop {
            let turn = call.turn().await?;
            let (host, wire, limit) = call.attempt(turn.1);
            let outcome = self
                .attempt(request, host, wire, limit, settings.timeout)
                .await;
            match call.concluded(host, outcome, turn.0) {
                ControlFlow::Break(result) => return result,
                ControlFlow::Continue(Some(after)) => tokio::time::sleep(after).await,
                ControlFlow::Continue(None) => {}
            }
        }
    }
}

/// A call under way.
struct Call<'a> {
    traffic: &'a Traffic,
    request: &'a Prepared,
    settings: &'a Settings,
    watch: &'a mut Watch,
    started: Instant,
    deadline: Instant,
    route: Route<'a>,
    attempts: u32,
    /// The error of the attempt before.
    last: Option<Error>,
}

impl<'a> Call<'a> {
    fn new(
        core: &'a Core,
        request: &'a Prepared,
        settings: &'a Settings,
        watch: &'a mut Watch,
    ) -> Self {
        let traffic = &core.traffic;
        let started = Instant::now();
        let deadline = settings.deadline.saturating_add(request.upload);
        Self {
            traffic,
            request,
            settings,
            watch,
            started,
            // Can't overflow: the settings are capped.
            deadline: started.checked_add(deadline).unwrap_or(started),
            route: traffic.hosts.route(),
            attempts: 0,
            last: None,
        }
    }

    /// Waits for the call's turn, and says when it came.
    async fn turn(&mut self) -> Result<(Turn, Instant), Error> {
        let (operation, paced) = (self.request.operation, self.settings.pacing);
        let now = match self.attempts {
            0 => self.started,
            _ => Instant::now(),
        };
        let turn = self
            .traffic
            .turns
            .next(operation, paced, now, self.deadline);
        turn.await.map_err(|held| match self.last.take() {
            Some(error) => error.with_retry_after(held.wait),
            None => Error::held_back(held).during(operation, self.attempts),
        })
    }

    /// An attempt begins: where it goes, and how long it may take.
    fn attempt(&mut self, now: Instant) -> (&'a Host, Arc<Wire>, Duration) {
        let host = self.route.host();
        let left = self.deadline.saturating_duration_since(now);
        let limit = self.settings.timeout.saturating_add(self.request.upload);
        self.attempts += 1;
        let wire = Arc::new(Wire::new(now));
        self.watch.attempt_started(&host.site, &wire);
        (host, wire, limit.min(left))
    }

    /// An attempt has ended: what the call came to, or how long it waits before it waits for the turn
    /// of the next one.
    fn concluded(
        &mut self,
        host: &Host,
        outcome: Outcome,
        turn: Turn,
    ) -> ControlFlow<Result<Success, Error>, Option<Duration>> {
        if outcome.unsent && outcome.answer.is_none() {
            turn.unused();
        } else {
            drop(turn);
        }
        let answer = outcome.answer.as_ref();
        let received = answer.map_or(0, |answer| answer.body.len() as u64);
        let operation = self.request.operation;
        match judge(operation, outcome, self.settings.failures_are_errors) {
            Ok(Success { reply, mail }) => {
                host.answered();
                self.watch.attempt_ended(Ok(&reply), received, Next::Done);
                let reply = reply.after(self.attempts);
                ControlFlow::Break(Ok(Success { reply, mail }))
            }
            Err(error) => self.failed(host, error, received),
        }
    }

    /// An attempt has failed.
    #[cold]
    fn failed(
        &mut self,
        host: &Host,
        error: Error,
        received: u64,
    ) -> ControlFlow<Result<Success, Error>, Option<Duration>> {
        let operation = self.request.operation;
        let verdict = classify(&error);
        host.reached(verdict != Verdict::Unsent);
        let error = error
            .at(&host.site)
            .during(operation, self.attempts)
            .following(self.last.as_ref());
        let fresh_host = self.route.has_fresh();
        let decision = decide(&Situation {
            policy: &self.settings.retry,
            repeat_safe: operation.repeat_safe,
            replayable: self.request.replayable,
            attempt: self.attempts,
            verdict,
            left: self.deadline.saturating_duration_since(Instant::now()),
            fresh_host,
            jitter: self.traffic.jitter(),
        });
        let limited = matches!(verdict, Verdict::RateLimited { .. });
        let after = match decision {
            Decision::Retry { after } => after,
            Decision::Stop { hold, why } => {
                let next = Next::Stop { reason: why };
                self.watch.attempt_ended(Err(&error), received, next);
                if let Some(wait) = hold {
                    self.traffic.turns.hold(wait);
                }
                if verdict == Verdict::Final {
                    host.answered();
                }
                return ControlFlow::Break(Err(error.with_retry_after(hold)));
            }
        };
        if verdict == Verdict::Unsent {
            self.route.advance();
        }
        // Then the call waits for its turn as all others do, and is the first of them.
        let in_turn = limited && self.traffic.turns.hold(after);
        // A budget is there to spare a host more of the same: not for the first attempt at
        // another one, nor where all calls pause anyway.
        let free = limited || (verdict == Verdict::Unsent && fresh_host);
        if !free && !self.route.host().take_retry() {
            let reason = "retry_budget";
            self.watch
                .attempt_ended(Err(&error), received, Next::Stop { reason });
            return ControlFlow::Break(Err(error));
        }
        let reason = verdict.why();
        self.watch
            .attempt_ended(Err(&error), received, Next::Retry { after, reason });
        self.last = Some(error);
        ControlFlow::Continue((!in_turn).then_some(after))
    }
}
