//! Webhook receivers over real HTTP in each framework, and registration of the account's webhook.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod ensure;
mod fired;
#[path = "../support/log_watch.rs"]
mod log_watch;
mod payloads;
mod posting;
mod receivers;
mod state;
