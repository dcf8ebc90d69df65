//! Calls of the program's own code, whose panics must not end a worker.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// `None` if the call panicked.
pub(crate) fn call<T>(name: &str, call: impl FnOnce() -> T) -> Option<T> {
    let result = catch_unwind(AssertUnwindSafe(call));
    if result.is_err() {
        tracing::error!(target: "smtp2go_outbox", "{name} panicked");
    }
    result.ok()
}
