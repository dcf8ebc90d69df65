//! Receivers over real HTTP, in each framework, and the webhook of an account.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod ensure;
mod fired;
mod payloads;
mod posting;
mod receivers;
#[path = "../support/watch.rs"]
mod watch;
