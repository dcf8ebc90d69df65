//! The crate over real HTTP, on the loopback interface.
// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod client;
mod pages;
mod mail;
#[cfg(feature = "raw")]
mod raw;
mod subaccount;
mod retry;
mod support;
