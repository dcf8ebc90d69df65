//! Runs in the worker: kills or stops the process at a point that its outbox or client reports.
//!
//! Product code has no hook for this. The points are tracing events of the outbox and reports to the
//! observer of the client.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use smtp2go_sdk::{AttemptReport, Observer};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::point::{Blow, Point, Trap};

/// The target of the outbox's events.
const TARGET: &str = "smtp2go_outbox";
/// Values of the field `step` of the outbox's events, with their points.
const STEPS: [(&str, Point); 4] = [
    ("claim", Point::BeforeWrite),
    ("claimed", Point::AfterWrite),
    ("send", Point::BeforeSend),
    ("answered", Point::BeforeRecord),
];

/// Receives the events of the outbox and the reports of the client.
#[derive(Debug)]
pub(crate) struct Trapper {
    trap: Option<Trap>,
    count: AtomicU64,
    /// The outbox's events, for diagnosis.
    log: File,
}

impl Trapper {
    pub(crate) fn new(trap: Option<Trap>, log: File) -> Self {
        let count = AtomicU64::new(0);
        Self { trap, count, log }
    }

    fn reached(&self, point: Point) {
        let Some(trap) = self.trap.filter(|trap| trap.point == point) else {
            return;
        };
        if self.count.fetch_add(1, Ordering::SeqCst) + 1 != trap.nth {
            return;
        }
        // One write, so that lines don't mix.
        let _ = std::io::stdout().write_all(b"reached\n");
        let signal = match trap.blow {
            Blow::Kill => Signal::SIGKILL,
            Blow::Stop => Signal::SIGSTOP,
        };
        let _ = kill(Pid::this(), signal);
    }
}

impl Observer for &'static Trapper {
    fn attempt_ended(&self, attempt: &AttemptReport<'_>) {
        if attempt.operation.id == "email_send" && attempt.status.is_some() {
            self.reached(Point::AfterReply);
        }
    }
}

/// [`Trapper`] as the subscriber of a process.
#[derive(Debug)]
pub(crate) struct Events(pub(crate) &'static Trapper);

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(TARGET) && metadata.is_event()
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let Line {
            step,
            message,
            fields,
        } = &line;
        let text = format!("{:.3} {step}{message}{fields}\n", now.as_secs_f64());
        let _ = (&self.0.log).write_all(text.as_bytes());
        for (step, point) in STEPS {
            if line.step == step {
                self.0.reached(point);
            }
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// An event as text.
#[derive(Default)]
struct Line {
    step: String,
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "step" => value.clone_into(&mut self.step),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}
