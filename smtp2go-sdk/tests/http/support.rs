//! The sandbox, which fails on purpose where a test says so, and clients for it.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use serde_json::Value;
use smtp2go_sandbox::{Call, Fault, Sandbox};
use smtp2go_sdk::{Client, ClientBuilder, RetryPolicy};

use crate::log_watch::watched;

/// A made-up key.
pub(crate) const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

/// A sandbox where this happens to every call.
pub(crate) fn sandbox(fault: Fault) -> Sandbox {
    in_turn([fault], |fault, _| fault)
}

/// A sandbox that answers every call with 200 and this body.
pub(crate) fn answering(body: &str) -> Sandbox {
    sandbox(answer(200, body))
}

/// A sandbox where each of these happens to one call, in this order.
pub(crate) fn one_by_one(faults: impl IntoIterator<Item = Fault>) -> Sandbox {
    in_turn(faults, Fault::nth)
}

fn in_turn(faults: impl IntoIterator<Item = Fault>, when: fn(Fault, u64) -> Fault) -> Sandbox {
    let builder = Sandbox::builder().key(KEY);
    let faults = (1..).zip(faults);
    let builder = faults.fold(builder, |builder, (n, fault)| builder.fault(when(fault, n)));
    // On a thread of its own, whatever a test does to its own.
    builder.start_blocking().unwrap()
}

/// An answer in place of the sandbox's.
pub(crate) fn answer(status: u16, body: &str) -> Fault {
    Fault::status(status).body("application/json", body)
}

/// What tests do with a sandbox.
pub(crate) trait Tested {
    /// A builder of clients for it, which send once.
    fn builder(&self) -> ClientBuilder;

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// The one call so far.
    fn call(&self) -> Call;
}

impl Tested for Sandbox {
    fn builder(&self) -> ClientBuilder {
        Client::builder(watched(self.key()))
            .base_url(self.base_url())
            .retry(RetryPolicy::none())
            .timeout(Duration::from_secs(10))
    }

    fn call(&self) -> Call {
        let mut calls = self.calls();
        assert_eq!(calls.len(), 1);
        calls.remove(0)
    }
}

/// What a call sent, as text.
pub(crate) fn body(call: &Call) -> &str {
    std::str::from_utf8(call.body()).unwrap()
}

/// What a call sent, as JSON.
pub(crate) fn json(call: &Call) -> Value {
    serde_json::from_slice(call.body()).unwrap()
}

/// Waits until there were so many calls.
pub(crate) async fn called(sandbox: &Sandbox, count: usize) {
    let called = async {
        while sandbox.calls().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let patience = Duration::from_secs(60);
    assert!(
        tokio::time::timeout(patience, called).await.is_ok(),
        "{count} calls are not made"
    );
}

/// A URL where nobody listens.
pub(crate) fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}/v3", listener.local_addr().unwrap())
}

/// An HTTP client as a user would set up: with what reqwest does by default, but for the proxies of
/// the environment.
pub(crate) fn own_http() -> reqwest::ClientBuilder {
    let http = reqwest::Client::builder().no_proxy();
    // reqwest would look for a provider that the program has installed, and panic.
    #[cfg(feature = "rustls-ring")]
    let http = http.tls_backend_preconfigured(trusting(rustls::RootCertStore::empty()));
    http
}

/// TLS that trusts these certificates.
#[cfg(feature = "rustls-ring")]
pub(crate) fn trusting(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
