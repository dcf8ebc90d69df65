//! Runs a call, from its first attempt to its last.
//!
//! ```text
//! Client ── Body ──> Core::call        span, telemetry
//!                      └ Core::run     the loop:
//!                          rate_limit    waits for a permit
//!                          failover      picks the host
//!                          attempt       sends the request once, returns the evidence
//!                          verdict       judges the evidence, decides the next step
//!                          ├ Done        returns the reply
//!                          ├ Retry       waits, and starts over
//!                          └ Stop        returns the error
//! ```

mod attempt;
pub(crate) mod cancel;
pub(crate) mod failover;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod http;
#[cfg(target_family = "wasm")]
pub(crate) mod http_fetch;
mod observer;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod proxy;
pub(crate) mod rate_limit;
mod reply;
mod retry;
mod settings;
pub(crate) mod telemetry;
#[cfg(not(target_family = "wasm"))]
pub(crate) mod tls;
pub(crate) mod verdict;

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use crate::platform::time::{Instant, now, sleep};
use ::http::HeaderMap;
use tracing::Span;

use self::attempt::{Limits, Request, Wire};
use self::cancel::CallCancel;
use self::failover::{Hosts, Route};
use self::http::HttpClients;
use self::rate_limit::{Permit, Permits};
use self::telemetry::Telemetry;
use self::verdict::{Evidence, Policy, Situation, Success, pause_after, verdict};
use crate::body::Body;
use crate::error::{Error, ErrorKind};
use crate::operation::Operation;

#[cfg(target_family = "wasm")]
pub(crate) use http_fetch as http;
pub use observer::{AttemptReport, CallReport, Next, Observer};
pub use reply::{RawReply, Reply};
pub use retry::RetryPolicy;
pub(crate) use settings::{LONGEST, Settings};

/// Slowest upload that the time limits allow for, in bytes per second.
const SLOWEST: u64 = 64 * 1024;

/// State that the clones of a client share.
pub(crate) struct Core {
    http: HttpClients,
    hosts: Hosts,
    max_reply_bytes: u64,
    max_reply_values: usize,
    observer: Option<Arc<dyn Observer>>,
    permits: Permits,
    /// `None` before its first use: a Cloudflare Worker has random numbers only while it handles a
    /// request.
    jitter: Mutex<Option<fastrand::Rng>>,
}

/// The arguments of [`Core::new`].
pub(crate) struct CoreParts {
    pub(crate) http: HttpClients,
    pub(crate) hosts: Hosts,
    pub(crate) max_reply_bytes: u64,
    pub(crate) max_reply_values: usize,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Seeded at random if `None`.
    pub(crate) jitter_seed: Option<u64>,
}

impl Core {
    pub(crate) fn new(parts: CoreParts) -> Self {
        Self {
            http: parts.http,
            hosts: parts.hosts,
            max_reply_bytes: parts.max_reply_bytes,
            max_reply_values: parts.max_reply_values,
            observer: parts.observer,
            permits: Permits::default(),
            jitter: Mutex::new(parts.jitter_seed.map(fastrand::Rng::with_seed)),
        }
    }

    /// The base URL of the first host.
    pub(crate) fn base_url(&self) -> &str {
        self.hosts.first().base_url.as_str()
    }

    #[cfg(all(feature = "raw", not(target_family = "wasm")))]
    pub(crate) fn http(&self) -> &HttpClients {
        &self.http
    }

    /// Runs a whole call in its span: makes headers and body with `request`, sends them in each attempt,
    /// and reads the result from the reply with `read`. `raw` returns the reply of a result, for the
    /// telemetry.
    ///
    /// The futures are large, and moving one copies it. So each is made where it is awaited.
    pub(crate) async fn call<T, B>(
        &self,
        cancel: Option<Arc<CallCancel>>,
        operation: &'static Operation,
        settings: &Settings,
        request: impl FnOnce() -> B,
        read: impl FnOnce(Success) -> Result<T, Error>,
        raw: fn(&T) -> &RawReply,
    ) -> Result<T, Error>
    where
        B: Future<Output = Result<(Arc<HeaderMap>, Body), Error>>,
    {
        let started = Instant::now();
        let mut telemetry = Telemetry::new(operation, self.observer.clone(), cancel);
        let span = telemetry.span();
        let call = pin!(Some(async {
            let request = request().await;
            let request =
                request.and_then(|(headers, body)| self.prepare(operation, headers, body));
            let result = match request {
                Ok(request) => self.run(&request, settings, started, &mut telemetry).await,
                Err(error) => Err(error.during(operation, 0)),
            };
            let result = result.and_then(read);
            telemetry.ended(result.as_ref().map(raw));
            result
        }));
        InSpan { span: &span, call }.await
    }

    /// Sends a request until it succeeds or is not retried. Each attempt sends the same bytes.
    async fn run(
        &self,
        request: &Request,
        settings: &Settings,
        started: Instant,
        telemetry: &mut Telemetry,
    ) -> Result<Success, Error> {
        let mut call = CallInProgress::new(self, request, settings, started, telemetry);
        loop {
            let permit = call.permit().await?;
            let attempt = call.attempt().await;
            let (result, next) = call.judged(attempt, permit);
            match next {
                Next::Retry { after, .. } if after.is_zero() => {}
                Next::Retry { after, .. } => sleep(after).await,
                Next::Done | Next::Stop { .. } => return result,
            }
            call.last = result.err();
        }
    }

    /// Builds a request from its complete body. Does everything that can fail before anything is
    /// sent.
    fn prepare(
        &self,
        operation: &'static Operation,
        headers: Arc<HeaderMap>,
        body: Body,
    ) -> Result<Request, Error> {
        let http = self.http.current()?;
        operation.check_path().map_err(Error::config)?;
        let size = body.size();
        if let Some(limit) = operation.max_body_bytes
            && size > limit
        {
            return Err(Error::not_sent(ErrorKind::TooLarge { size, limit }));
        }
        Ok(Request {
            http,
            operation,
            headers,
            rewindable: body.is_rewindable(),
            parts: body.into_parts(),
            upload: Duration::from_millis(size.saturating_mul(1000) / SLOWEST),
        })
    }

    fn random(&self) -> f64 {
        let mut jitter = self.jitter.lock().unwrap_or_else(PoisonError::into_inner);
        let seeded = || fastrand::Rng::with_seed(crate::platform::random());
        jitter.get_or_insert_with(seeded).f64()
    }
}

/// A call between its first attempt and its last.
struct CallInProgress<'a> {
    core: &'a Core,
    request: &'a Request,
    settings: &'a Settings,
    telemetry: &'a mut Telemetry,
    /// Latest start of the first attempt.
    begin_by: Instant,
    /// Latest end of the call: `begin_by` plus the time allowed for sending the body.
    deadline: Instant,
    route: Route<'a>,
    attempts: u32,
    /// The error of the last attempt.
    last: Option<Error>,
}

/// An attempt that has ended.
struct Attempted {
    evidence: Evidence,
    /// When the head of the reply arrived. Without a reply, when the attempt ended.
    answered: Instant,
    /// The length of the pause that began at `answered`.
    paused: Option<Duration>,
    /// Drawn once for the attempt, so that the pause computed from the head of a 429 and the one
    /// computed from the whole reply are equal.
    jitter: f64,
}

impl<'a> CallInProgress<'a> {
    fn new(
        core: &'a Core,
        request: &'a Request,
        settings: &'a Settings,
        started: Instant,
        telemetry: &'a mut Telemetry,
    ) -> Self {
        // Neither overflows: the settings are capped.
        let begin_by = started.checked_add(settings.deadline).unwrap_or(started);
        let deadline = begin_by.checked_add(request.upload).unwrap_or(begin_by);
        let end_by = settings.end_by.unwrap_or(deadline);
        Self {
            core,
            request,
            settings,
            telemetry,
            begin_by: begin_by.min(end_by),
            deadline: deadline.min(end_by),
            route: core.hosts.route(),
            attempts: 0,
            last: None,
        }
    }

    /// Waits until the rate limits allow the next attempt.
    async fn permit(&mut self) -> Result<Permit, Error> {
        let operation = self.request.operation;
        // The time allowed for sending the body is not for waiting before the first attempt.
        let latest = match self.attempts {
            0 => self.begin_by,
            _ => self.deadline,
        };
        let permit = self
            .core
            .permits
            .acquire(operation, self.settings.rate_limits, latest);
        permit.await.map_err(|refused| match self.last.take() {
            Some(error) => error.with_retry_after(refused.wait),
            None => Error::not_sent(ErrorKind::NoPermit(refused.reason))
                .with_retry_after(refused.wait)
                .during(operation, 0),
        })
    }

    /// Sends the request once.
    async fn attempt(&mut self) -> Attempted {
        let (core, host) = (self.core, self.route.host());
        let started = Instant::now();
        let total = self.settings.timeout.saturating_add(self.request.upload);
        let limits = Limits {
            total: total.min(self.deadline.saturating_duration_since(started)),
            idle: self.settings.timeout,
        };
        self.attempts += 1;
        let wire = Arc::new(Wire::new(started, limits.total));
        self.telemetry.attempt_started(&host.site, &wire);
        let jitter = core.random();
        let (mut answered, mut paused) = (None, None);
        let retry = &self.settings.retry;
        let head = |status, headers: &HeaderMap| {
            let arrived = *answered.insert(Instant::now());
            paused = pause_after(retry, status, headers, (jitter, now()));
            if let Some(pause) = paused {
                core.permits.pause(arrived, pause);
            }
        };
        let evidence = core.attempt(self.request, host, wire, limits, head).await;
        Attempted {
            evidence,
            answered: answered.unwrap_or_else(Instant::now),
            paused,
            jitter,
        }
    }

    /// Judges an attempt, and updates the host, the permits and the telemetry.
    fn judged(
        &mut self,
        Attempted {
            evidence,
            answered,
            paused,
            jitter,
        }: Attempted,
        permit: Permit,
    ) -> (Result<Success, Error>, Next) {
        let (host, operation) = (self.route.host(), self.request.operation);
        let received = evidence
            .answer
            .as_ref()
            .map_or(0, |answer| answer.body.len());
        if evidence.was_counted() {
            drop(permit);
        } else {
            permit.unused();
        }
        let policy = Policy {
            operation,
            retry: &self.settings.retry,
            rewindable: self.request.rewindable,
            failures_are_errors: self.settings.failures_are_errors,
            per_item: self.settings.per_item,
            versioned: host.site.versioned,
        };
        let situation = Situation {
            attempt: self.attempts,
            left: self.deadline.saturating_duration_since(Instant::now()),
            has_budget: host.has_retry(),
            has_other_host: self.route.has_fresh(),
            jitter,
            now: now(),
        };
        let (result, step) = verdict(&policy, evidence, &situation);
        let result = match result {
            Ok(success) => Ok(Success {
                reply: success.reply.after(self.attempts),
                ..success
            }),
            Err(error) => Err(error
                .at(&host.site.name)
                .through(|| self.core.http.proxy(&host.base_url))
                .during(operation, self.attempts)
                .following(self.last.as_ref())),
        };
        self.telemetry.attempt_ended(
            result.as_ref().map(|success| &success.reply),
            received as u64,
            step.next,
        );
        host.attempted(step.reached, step.answered);
        if step.moves_on {
            self.route.advance();
        }
        if step.charged {
            self.route.host().take_retry();
        }
        let next = match (step.pause, step.next) {
            (None, next) => {
                // The body of the 429 reports another error than a rate limit.
                if let Some(pause) = paused {
                    self.core.permits.resume(answered, pause);
                }
                next
            }
            (Some(pause), next) => {
                self.core.permits.confirm(answered, pause);
                match next {
                    // The permit of the next attempt waits for the end of the pause.
                    Next::Retry { reason, .. } => Next::Retry {
                        after: Duration::ZERO,
                        reason,
                    },
                    next => next,
                }
            }
        };
        (result, next)
    }
}

/// Polls and drops a call in its span. Unlike `Instrument`, it does not move the call.
struct InSpan<'a, F> {
    span: &'a Span,
    /// `None` after the end of the call.
    call: Pin<&'a mut Option<F>>,
}

impl<F: Future> Future for InSpan<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self { span, call } = &mut *self;
        span.in_scope(|| {
            let Some(running) = call.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            let polled = running.poll(cx);
            if polled.is_ready() {
                call.set(None);
            }
            polled
        })
    }
}

impl<F> Drop for InSpan<'_, F> {
    fn drop(&mut self) {
        if self.call.is_some() {
            self.span.in_scope(|| self.call.set(None));
        }
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
