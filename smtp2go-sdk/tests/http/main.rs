//! The crate over real HTTP, on the loopback interface.
// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

#[cfg(feature = "blocking")]
mod blocking;
mod bulk;
mod client;
mod events;
mod failures;
mod find_sent;
mod growth;
#[cfg(feature = "http2")]
mod http2;
mod http_client;
mod idempotency;
#[cfg(feature = "lettre")]
mod lettre;
#[path = "../support/log_watch.rs"]
mod log_watch;
mod logged;
mod mail;
mod observer;
mod pages;
#[cfg(feature = "http2")]
mod peer;
mod preview;
mod proxy;
#[cfg(feature = "raw")]
mod raw;
mod retry;
mod runtimes;
mod send_once;
mod set_key;
mod shown;
mod skip_suppressed;
mod stored;
mod subaccount;
mod support;
mod suppression;
#[cfg(feature = "test-util")]
mod test_util;
mod verdict;
