//! Watches everything that is logged while tests run, at every level and of every crate, for what
//! must never be: keys, passwords and addresses. A line with any of them ends the whole process, so
//! that no task or thread can swallow the failure.
//!
//! Every client of the suite is built as `Client::builder(watched(key))`, which switches it on; a
//! test of the workspace (`tests/tests/tracing.rs`) holds them to it.

#![allow(dead_code)] // each test binary uses a part

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// What the tests use as passwords and tokens, as it is and as it is sent.
const PASSWORDS: [&str; 9] = [
    "t0ken", "0ther", "s3cret", "pa:ss", "p:a/ss", "p/ss", "p%2Fss", "dXNlcjpw", "passw0rd",
];

/// So much of a key is as good as the key.
const ENOUGH: usize = 8;

static SEEN: Mutex<Seen> = Mutex::new(Seen {
    keys: BTreeSet::new(),
    targets: BTreeSet::new(),
});

struct Seen {
    /// What may not be logged of the keys that clients were given.
    keys: BTreeSet<String>,
    /// Who has logged something.
    targets: BTreeSet<String>,
}

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches from now on, for this key too, which it returns.
pub(crate) fn watched<K: AsRef<str>>(key: K) -> K {
    static ON: Once = Once::new();
    ON.call_once(|| {
        tracing::subscriber::set_global_default(Watch).unwrap();
        log::set_logger(&Watch).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
    let part = key.as_ref().trim_start_matches("api-").get(..ENOUGH);
    seen().keys.extend(part.map(str::to_owned));
    key
}

/// Whether something was logged under a target that begins so.
pub(crate) fn heard(target: &str) -> bool {
    seen().targets.iter().any(|heard| heard.starts_with(target))
}

/// What is secret in a line, if anything is.
pub(crate) fn secret(line: &str) -> Option<&'static str> {
    let mut keys = line.split("api-").skip(1);
    if keys.any(|key| key.bytes().take_while(u8::is_ascii_alphanumeric).count() >= ENOUGH) {
        return Some("a key");
    }
    if seen().keys.iter().any(|key| line.contains(key)) {
        return Some("a part of a key");
    }
    if line.contains('@') || line.contains("%40") {
        return Some("an address");
    }
    let mut passwords = PASSWORDS.iter();
    passwords
        .any(|password| line.contains(password))
        .then_some("a password")
}

fn check(target: &str, line: &str) {
    if let Some(what) = secret(line) {
        // Past what captures the output of tests.
        let _ = writeln!(std::io::stderr(), "{target} has logged {what}: {line}");
        std::process::exit(101);
    }
    let mut seen = seen();
    if !seen.targets.contains(target) {
        seen.targets.insert(target.to_owned());
    }
}

struct Watch;

/// The fields of a span or an event, as text.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = write!(self.0, "{field}={value:?} ");
    }
}

impl Subscriber for Watch {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(format!("{} ", span.metadata().name()));
        span.record(&mut line);
        check(span.metadata().target(), &line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        check("a span", &line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        check(event.metadata().target(), &line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl log::Log for Watch {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        check(record.target(), &record.args().to_string());
    }

    fn flush(&self) {}
}
