//! Calls into code of the program, whose panics must not end a worker.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs the call, and logs a panic. Returns `None` if it panicked.
pub(crate) fn call<T>(name: &str, call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        tracing::error!(target: "smtp2go_outbox", "{name} panicked");
    }
    result.ok()
}
