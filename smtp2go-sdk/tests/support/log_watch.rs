//! Checks everything that is logged while tests run, at every level and by every crate, for keys,
//! passwords and addresses. A line with any of them ends the whole process, so that no task or thread
//! can swallow the failure.
//!
//! Every client of the suite is built with `Client::builder(watched(key))`, and every password is passed
//! as in `Auth::bearer(watched("t0ken"))`. This turns the check on and registers the secret. A test of
//! the workspace (`tests/tests/tracing.rs`) fails if a client or a password is not registered. Examples
//! are checked if the test that runs them sets [`ASKED`].

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

/// Environment variable that turns the check on in a program. Its value is a list of passwords,
/// separated by spaces. The program then prints to standard error the name of each target that logs.
pub(crate) const ASKED: &str = "SMTP2GO_TEST_WATCH";

/// Number of characters of a key that count as a leak.
const ENOUGH: usize = 8;

/// Minimum length of a password: a shorter one could be part of any other text.
pub(crate) const SHORTEST: usize = 5;

static SEEN: Mutex<Seen> = Mutex::new(Seen {
    keys: BTreeSet::new(),
    passwords: BTreeSet::new(),
    targets: BTreeSet::new(),
});

struct Seen {
    /// The start of each registered key.
    keys: BTreeSet<String>,
    /// The passwords, and the part of each in base64 that does not depend on the text around it.
    passwords: BTreeSet<String>,
    /// The targets that have logged something.
    targets: BTreeSet<String>,
}

fn seen() -> MutexGuard<'static, Seen> {
    SEEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Turns the check on.
pub(crate) fn on() {
    static ON: Once = Once::new();
    ON.call_once(|| {
        tracing::subscriber::set_global_default(Watch).unwrap();
        log::set_logger(&Watch).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
    });
}

/// Turns the check on, registers a key or a password, and returns it.
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

/// Encodes `before` bytes and the text as base64. Returns the characters that depend only on the text.
fn in_base64(text: &str, before: usize) -> String {
    let mut bytes = vec![0; before];
    bytes.extend(text.bytes());
    let encoded = STANDARD.encode(&bytes);
    let inner = (before * 8).div_ceil(6)..bytes.len() * 8 / 6;
    encoded.get(inner).unwrap().to_owned()
}

/// Turns the check on if [`ASKED`] is set.
pub(crate) fn if_asked() {
    if let Ok(passwords) = std::env::var(ASKED) {
        on();
        for password in passwords.split_whitespace() {
            watched(password);
        }
    }
}

/// Whether a target that starts with `target` has logged something.
pub(crate) fn heard(target: &str) -> bool {
    seen().targets.iter().any(|heard| heard.starts_with(target))
}

/// Returns the kind of secret that a line contains.
pub(crate) fn secret(line: &str) -> Option<&'static str> {
    let mut keys = line.split("api-").skip(1);
    if keys.any(|key| key.bytes().take_while(u8::is_ascii_alphanumeric).count() >= ENOUGH) {
        return Some("a key");
    }
    if seen().keys.iter().any(|key| line.contains(key)) {
        return Some("a part of a key");
    }
    // Unchanged, and decoded as a URL or as a form.
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
        // Written directly, because the test harness captures the macros' output.
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
