//! A call from its first attempt to its last.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::client::{Core, Prepared};
use crate::hosts::Hosts;
use crate::options::Settings;
use crate::outcome::judge;
use crate::pace::Turns;
use crate::retry::{Decision, Situation, Verdict, classify, decide};
use crate::watch::Watch;
use crate::wire::Wire;
use crate::{Error, Next, RawReply};

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
    pub(crate) async fn run(
        &self,
        request: &Prepared,
        settings: &Settings,
        watch: &mut Watch,
    ) -> Result<RawReply, Error> {
        let operation = request.operation;
        let traffic = &self.traffic;
        let started = Instant::now();
        let deadline = settings.deadline.saturating_add(request.upload);
        // Can't overflow: the settings are capped.
        let deadline = started.checked_add(deadline).unwrap_or(started);
        let mut route = traffic.hosts.route();
        let mut attempts = 0;
        let mut last: Option<Error> = None;
        loop {
            let turn = traffic.turns.next(operation, settings.pacing, deadline);
            let (turn, now) = match turn.await {
                Ok(turn) => turn,
                Err(held) => {
                    return Err(match last {
                        Some(error) => error.with_retry_after(held.wait),
                        None => Error::held_back(held).during(operation, attempts),
                    });
                }
            };
            let host = route.host();
            let left = deadline.saturating_duration_since(now);
            let limit = settings.timeout.saturating_add(request.upload).min(left);
            attempts += 1;
            let wire = Arc::new(Wire::new(now));
            watch.attempt_started(&host.site, &wire);
            let outcome = self
                .attempt(request, host, wire, limit, settings.timeout)
                .await;
            if outcome.unsent && outcome.answer.is_none() {
                turn.unused();
            } else {
                drop(turn);
            }
            let answer = outcome.answer.as_ref();
            let received = answer.map_or(0, |answer| answer.body.len() as u64);
            let result = judge(operation, outcome, settings.failures_are_errors);
            let verdict = classify(&result);
            host.reached(verdict != Verdict::Unsent);
            let error = match result {
                Ok(reply) => {
                    host.answered();
                    watch.attempt_ended(Ok(&reply), received, Next::Done);
                    return Ok(reply.after(attempts));
                }
                Err(error) => error
                    .at(&host.site)
                    .during(operation, attempts)
                    .following(last.as_ref()),
            };
            let fresh_host = route.has_fresh();
            let decision = decide(&Situation {
                policy: &settings.retry,
                repeat_safe: operation.repeat_safe,
                replayable: request.replayable,
                attempt: attempts,
                verdict,
                left: deadline.saturating_duration_since(Instant::now()),
                fresh_host,
                jitter: traffic.jitter(),
            });
            let limited = matches!(verdict, Verdict::RateLimited { .. });
            let after = match decision {
                Decision::Retry { after } => after,
                Decision::Stop { hold, why } => {
                    watch.attempt_ended(Err(&error), received, Next::Stop { reason: why });
                    if let Some(wait) = hold {
                        traffic.turns.hold(wait);
                    }
                    if verdict == Verdict::Final {
                        host.answered();
                    }
                    return Err(error.with_retry_after(hold));
                }
            };
            if verdict == Verdict::Unsent {
                route.advance();
            }
            if limited {
                traffic.turns.hold(after);
            }
            // A budget is there to spare a host more of the same: not for the first attempt at
            // another one, nor where all calls pause anyway.
            let free = limited || (verdict == Verdict::Unsent && fresh_host);
            if !free && !route.host().take_retry() {
                let reason = "retry_budget";
                watch.attempt_ended(Err(&error), received, Next::Stop { reason });
                return Err(error);
            }
            let reason = verdict.why();
            watch.attempt_ended(Err(&error), received, Next::Retry { after, reason });
            tokio::time::sleep(after).await;
            last = Some(error);
        }
    }
}
