//! The crate over real HTTP, on the loopback interface.
// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod client;
mod events;
mod mail;
mod pages;
#[cfg(feature = "raw")]
mod raw;
mod retry;
mod subaccount;
mod support;
