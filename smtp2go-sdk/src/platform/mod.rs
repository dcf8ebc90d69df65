//! The functions that differ between native programs and WebAssembly in a JavaScript runtime, under the
//! same names: the clock, waiting, waking, random numbers and the HTTP client.

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{blocking, random, run_later, sync, time, transport};
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{blocking, random, run_later, sync, time, transport};

/// Why [`blocking`] did not return a result.
#[derive(Debug)]
#[cfg_attr(target_family = "wasm", allow(dead_code))]
pub(crate) enum NotRun {
    /// There is no tokio runtime.
    NoRuntime,
    /// The work panicked, or the runtime is shutting down.
    Ended,
}
