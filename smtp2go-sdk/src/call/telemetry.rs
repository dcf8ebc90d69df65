//! Telemetry of a call: its span, its events, and its reports to the observer.
//!
//! Telemetry has no key, body, address or error text. A text from a reply is passed on only if it has
//! the form of an id or a code.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::platform::time::Instant;
use tracing::field::{Empty, Value};
use tracing::{Span, debug, info, info_span, warn};

use super::attempt::Wire;
use super::cancel::CallCancel;
use super::failover::Site;
use super::verdict::cancelled;
use super::{AttemptReport, CallReport, Next, Observer, RawReply};
use crate::error::redact::{is_code, is_id};
use crate::error::{Certainty, Error, ErrorCode};
use crate::operation::Operation;

/// The target of spans and events.
const TARGET: &str = "smtp2go_sdk";
/// The error of a call that was dropped before it ended.
const CANCELLED: &str = "cancelled";

/// The telemetry of one call. If it is dropped before [`ended`](Self::ended), the call was cancelled.
pub(crate) struct Telemetry {
    operation: &'static Operation,
    observer: Option<Arc<dyn Observer>>,
    /// Receives each attempt, so that another task can cancel the call.
    cancel: Option<Arc<CallCancel>>,
    span: Span,
    /// `None` if there is neither an observer nor a subscriber.
    started: Option<Instant>,
    attempts: u32,
    running: Option<RunningAttempt>,
    site: Option<Arc<Site>>,
    /// Certainty that covers all attempts that have failed.
    certainty: Certainty,
    sent: u64,
    received: u64,
    ended: bool,
}

/// An attempt that has not ended.
struct RunningAttempt {
    wire: Arc<Wire>,
    site: Arc<Site>,
    started: Instant,
}

/// The outcome of an attempt or a call.
#[derive(Clone, Copy)]
struct End<'a> {
    status: Option<http::StatusCode>,
    certainty: Option<Certainty>,
    error: Option<&'static str>,
    code: Option<&'a str>,
    request_id: Option<&'a str>,
}

impl<'a> End<'a> {
    fn new(result: Result<&'a RawReply, &'a Error>) -> Self {
        match result {
            Ok(reply) => Self {
                status: Some(reply.status()),
                certainty: None,
                error: None,
                code: None,
                request_id: reply.request_id().filter(|id| is_id(id)),
            },
            Err(error) => Self {
                status: error.status(),
                certainty: Some(error.certainty()),
                error: Some(error.kind()),
                code: error
                    .code_ref()
                    .map(ErrorCode::as_str)
                    .filter(|code| is_code(code)),
                request_id: error.request_id().filter(|id| is_id(id)),
            },
        }
    }

    fn cancelled(certainty: Certainty) -> Self {
        Self {
            status: None,
            certainty: Some(certainty),
            error: Some(CANCELLED),
            code: None,
            request_id: None,
        }
    }

    /// OpenTelemetry's `error.type`: the status if that is the error, else the error's kind.
    fn error_type(&self) -> Option<&str> {
        match (self.error, &self.status) {
            (Some("status"), Some(status)) => Some(status.as_str()),
            (error, _) => error,
        }
    }
}

impl Telemetry {
    pub(crate) fn new(
        operation: &'static Operation,
        observer: Option<Arc<dyn Observer>>,
        cancel: Option<Arc<CallCancel>>,
    ) -> Self {
        let span = info_span!(
            target: TARGET,
            "smtp2go",
            otel.kind = "client",
            otel.status_code = Empty,
            operation = operation.id,
            http.request.method = operation.method.as_str(),
            url.template = operation.path,
            server.address = Empty,
            server.port = Empty,
            region = Empty,
            attempt = Empty,
            http.request.resend_count = Empty,
            http.response.status_code = Empty,
            error.r#type = Empty,
            code = Empty,
            certainty = Empty,
            request_id = Empty,
            elapsed_ms = Empty,
        );
        let telemetry = Self {
            operation,
            started: (observer.is_some() || !span.is_disabled()).then(Instant::now),
            observer,
            cancel,
            span,
            attempts: 0,
            running: None,
            site: None,
            certainty: Certainty::NotSent,
            sent: 0,
            received: 0,
            ended: false,
        };
        telemetry.notify(|observer| observer.call_started(operation));
        telemetry
    }

    /// The span that the call runs in.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Records the start of an attempt.
    pub(crate) fn attempt_started(&mut self, site: &Arc<Site>, wire: &Arc<Wire>) {
        self.attempts = self.attempts.saturating_add(1);
        if let Some(cancel) = &self.cancel {
            cancel.attempt_started(wire);
        }
        if self.started.is_none() {
            return;
        }
        self.site = Some(site.clone());
        self.running = Some(RunningAttempt {
            wire: wire.clone(),
            site: site.clone(),
            started: Instant::now(),
        });
    }

    /// Reports the end of an attempt. `received` is the number of bytes of the reply's body.
    pub(crate) fn attempt_ended(
        &mut self,
        result: Result<&RawReply, &Error>,
        received: u64,
        next: Next,
    ) {
        if let Some(cancel) = &self.cancel {
            cancel.attempt_ended(result.err().map(Error::certainty));
        }
        if self.started.is_none() && matches!(next, Next::Done) {
            return;
        }
        let end = End::new(result);
        if let Next::Retry { .. } | Next::Stop { .. } = next {
            self.decided(&end, next);
        }
        if let Some(certainty) = end.certainty {
            // The error's certainty covers all attempts so far.
            self.certainty = certainty;
        }
        if let Some(running) = self.running.take() {
            self.report(&running, end, received, next);
        }
    }

    /// Logs the decision whether to retry.
    fn decided(&self, end: &End<'_>, next: Next) {
        let attempt = self.attempts;
        let operation = self.operation.id;
        let error = end.error_type();
        let certainty = end.certainty.map(Certainty::as_str);
        match next {
            Next::Retry { after, reason } => info!(
                target: TARGET,
                operation,
                attempt,
                decision = "retry",
                reason,
                wait_ms = millis(after),
                error.r#type = error,
                certainty,
                "retrying"
            ),
            Next::Stop { reason } => debug!(
                target: TARGET,
                operation,
                attempt,
                decision = "stop",
                reason,
                wait_ms = 0_u64,
                error.r#type = error,
                certainty,
                "not retrying"
            ),
            Next::Done => {}
        }
    }

    fn report(&mut self, running: &RunningAttempt, end: End<'_>, received: u64, next: Next) {
        let sent = running.wire.sent();
        self.sent = self.sent.saturating_add(sent);
        self.received = self.received.saturating_add(received);
        let report = AttemptReport {
            operation: self.operation,
            host: &running.site.name,
            region: running.site.region,
            attempt: self.attempts,
            status: end.status,
            error: end.error,
            certainty: end.certainty,
            elapsed: running.started.elapsed(),
            bytes_sent: sent,
            bytes_received: received,
            next,
        };
        self.notify(|observer| observer.attempt_ended(&report));
    }

    /// Reports the end of the call.
    pub(crate) fn ended(&mut self, result: Result<&RawReply, &Error>) {
        if self.started.is_none() {
            self.ended = true;
        } else {
            self.end(End::new(result));
        }
    }

    fn end(&mut self, end: End<'_>) {
        let Some(started) = self.started else { return };
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = started.elapsed();
        let site = self.site.as_deref();
        if !self.span.is_disabled() {
            self.record("attempt", &self.attempts);
            if self.attempts > 1 {
                self.record("http.request.resend_count", &(self.attempts - 1));
            }
            if let Some(site) = site {
                self.record("server.address", &&*site.address);
                self.record("server.port", &site.port);
                if let Some(region) = site.region {
                    self.record("region", &region.as_str());
                }
            }
            if let Some(status) = end.status {
                self.record("http.response.status_code", &status.as_u16());
            }
            if let Some(error) = end.error_type() {
                self.record("error.type", &error);
                self.record("otel.status_code", &"ERROR");
            }
            if let Some(code) = end.code {
                self.record("code", &code);
            }
            if let Some(certainty) = end.certainty {
                self.record("certainty", &certainty.as_str());
            }
            if let Some(id) = end.request_id {
                self.record("request_id", &id);
            }
            self.record("elapsed_ms", &millis(elapsed));
        }
        let report = CallReport {
            operation: self.operation,
            host: site.map(|site| &*site.name),
            region: site.and_then(|site| site.region),
            attempts: self.attempts,
            status: end.status,
            error: end.error,
            code: end.code,
            certainty: end.certainty,
            request_id: end.request_id,
            elapsed,
            bytes_sent: self.sent,
            bytes_received: self.received,
        };
        self.notify(|observer| observer.call_ended(&report));
    }

    // Not inlined, because many places call it.
    #[inline(never)]
    fn record(&self, field: &str, value: &dyn Value) {
        self.span.record(field, value);
    }

    /// Notifies the observer. A panic of the observer must not affect the call.
    fn notify(&self, report: impl FnOnce(&dyn Observer)) {
        if let Some(observer) = &self.observer {
            let _ = catch_unwind(AssertUnwindSafe(|| report(&**observer)));
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        // A dropped call has left its span, in which its reports belong.
        let span = self.span.clone();
        let _inside = span.enter();
        if let Some(running) = self.running.take() {
            // Sealed first, so that nothing more is sent after the certainty is decided.
            let certainty = cancelled(running.wire.seal());
            self.certainty = self.certainty.and(certainty);
            self.report(
                &running,
                End::cancelled(certainty),
                0,
                Next::Stop { reason: CANCELLED },
            );
        }
        self.end(End::cancelled(self.certainty));
    }
}

/// Logs that `send_all` takes no mail for `wait`, after the API asked for `asked`.
pub(crate) fn send_all_paused(wait: std::time::Duration, asked: std::time::Duration) {
    warn!(
        target: TARGET,
        operation = crate::operations::EMAIL_SEND.id,
        reason = "rate_limited",
        wait_ms = millis(wait),
        asked_ms = millis(asked),
        "send_all is paused"
    );
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Mutex, PoisonError};
    use std::task::{Context, Waker};

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber, trace};

    use super::*;
    use crate::call::verdict::tests::LOOKUP;
    use crate::error::redact::{is_code, is_id};
    use crate::log_watch::watched;
    use crate::{Body, Client};

    /// Records the number of open spans for each event.
    #[derive(Clone, Default)]
    struct Depths(Arc<(AtomicU64, Mutex<Vec<u64>>)>);

    impl Subscriber for Depths {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            let depth = self.0.0.load(Ordering::SeqCst);
            let mut depths = self.0.1.lock().unwrap_or_else(PoisonError::into_inner);
            depths.push(depth);
        }

        fn enter(&self, _: &Id) {
            self.0.0.fetch_add(1, Ordering::SeqCst);
        }

        fn exit(&self, _: &Id) {
            self.0.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Logs when it is dropped, as the HTTP layer does.
    struct Logs;

    impl Drop for Logs {
        fn drop(&mut self) {
            trace!("dropped");
        }
    }

    impl Observer for Logs {
        fn call_ended(&self, _: &CallReport<'_>) {
            trace!("ended");
        }
    }

    #[tokio::test]
    async fn completed_or_cancelled_call_ends_in_its_span() {
        let client = Client::builder(watched("api-0123456789abcdefABCDEF0123456789"))
            .base_url("http://localhost")
            .observer(Logs)
            .build()
            .unwrap();
        for cancelled in [true, false] {
            let depths = Depths::default();
            let _guard = tracing::subscriber::set_default(depths.clone());
            {
                let body = || async {
                    let _logs = Logs;
                    if cancelled {
                        std::future::pending::<()>().await;
                    }
                    Body::json(&std::collections::BTreeMap::from([(vec![1], 1)]))
                };
                let call =
                    client.perform_as(&LOOKUP, body, |success| Ok(success.reply), |reply| reply);
                let mut call = std::pin::pin!(call);
                let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                assert_eq!(polled.is_pending(), cancelled);
            }
            let (left, depths) = &*depths.0;
            assert_eq!(left.load(Ordering::SeqCst), 0);
            assert_eq!(*depths.lock().unwrap(), [1, 1], "cancelled: {cancelled}");
        }
    }

    #[test]
    fn telemetry_passes_on_only_ids_and_codes() {
        let long = "a".repeat(65);
        for (text, id, code) in [
            ("aa253464-0bd0-467a-b24b-6159dcd7be60", true, false),
            ("r_1", true, false),
            ("API_EXCEPTION", true, true),
            ("E_ApiResponseCodes.NEW_2", false, true),
            ("jane.EXAMPLE", false, false),
            ("jane@example.com", false, false),
            ("Jane", true, false),
            ("64200000001", true, false),
            ("api-0123456789abcdefABCDEF0123456789", false, false),
            ("no such thing", false, false),
            ("r\n", false, false),
            ("", false, false),
            (&long, false, false),
        ] {
            assert_eq!((is_id(text), is_code(text)), (id, code), "{text}");
        }
    }
}
