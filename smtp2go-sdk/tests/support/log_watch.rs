//! Watches everything that is logged while tests run, at every level and of every crate, for what
//! must never be: keys, passwords and addresses. A line with any of them ends the whole process, so
//! that no task or thread can swallow the failure.
//!
//! Every client of the suite is built as `Client::builder(watched(key))`, and every password goes into
//! what takes it as `Auth::bearer(watched("t0ken"))`: that switches the watch on, and tells it what to
//! look for. A test of the workspace (`tests/tests/tracing.rs`) holds them to it. Examples are watched
//! where the test that runs them asks for it, by [`ASKED`].

#![allow(dead_code)] // each test binary uses a part
#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// The variable that asks a program to watch itself, and has what to look for beside keys and
/// addresses. It then says on its standard error whom it has heard.
pub(crate) const ASKED: &str = "SMTP2GO_TEST_WATCH";

/// So much of a key is as good as the key.
const ENOUGH: usize = 8;

/// A shorter password could be part of any other text.
pub(crate) const SHORTEST: usize = 5;

static SEEN: Mutex<Seen> = Mutex::new(Seen {
    keys: BTreeSet::new(),
    passwords: BTreeSet::new(),
    targets: BTreeSet::new(),
});

struct Seen {
    /// What may not be logged of the keys that clients were given.
    keys: BTreeSet<String>,
    /// The passwords, and what is the same of each in base64, whatever is around it.
    passwords: BTreeSet<String>,
    /// Who has logged something.
    targets: BTreeSet<String>,
}

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Watches from now on.
pub(crate) fn on() {
    static ON: Once = Once::new();
    ON.call_once(|| {
        tracing::subscriber::set_global_default(Watch).unwrap();
        log::set_logger(&Watch).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// Watches from now on, for this key or password too, which it returns.
pub(crate) fn watched<S: AsRef<str>>(secret: S) -> S {
    on();
    let text = secret.as_ref();
    if let Some(key) = text.strip_prefix("api-") {
        let part = key.get(..ENOUGH).map(str::to_owned);
        seen().keys.extend(part);
    } else {
        assert!(text.len() >= SHORTEST, "{text:?} could be any text");
        let mut seen = seen();
        seen.passwords.insert(text.to_owned());
        seen.passwords
            .extend((0..3).map(|before| in_base64(text, before)));
    }
    secret
}

/// The characters in base64 that depend on nothing but the text, after so many other bytes.
fn in_base64(text: &str, before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend(text.bytes());
    let encoded = STANDARD.encode(&bytes);
    let inner = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    encoded.get(inner).unwrap().to_owned()
}

/// Watches from now on if the environment asks for it.
pub(crate) fn if_asked() {
    if let Ok(passwords) = std::env::var(ASKED) {
        on();
        for password in passwords.split_whitespace() {
            watched(password);
        }
    }
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
    // As it is, and as it would be in an address or in a form.
    let spaced = line.replace('+', " ");
    let decoded = |text| percent_decode_str(text).decode_utf8_lossy();
    let lines = [line.into(), decoded(line), decoded(&spaced)];
    if lines.iter().any(|line| line.contains('@')) {
        return Some("an address");
    }
    let seen = seen();
    let mut passwords = seen.passwords.iter();
    passwords
        .any(|password| lines.iter().any(|line| line.contains(password)))
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
        if std::env::var_os(ASKED).is_some() {
            let _ = writeln!(std::io::stderr(), "heard {target}");
        }
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
