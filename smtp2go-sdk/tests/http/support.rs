//! Sandboxes with faults, and clients for them.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use serde_json::Value;
use smtp2go_sandbox::{Call, Fault, Sandbox};
use smtp2go_sdk::{Client, ClientBuilder, RetryPolicy};

use crate::log_watch::watched;

/// A made-up key.
pub(crate) const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

/// A sandbox that applies this fault to every call.
pub(crate) fn sandbox(fault: Fault) -> Sandbox {
    in_turn([fault], |fault, _| fault)
}

/// A sandbox that answers every call with 200 and this body.
pub(crate) fn answering(body: &str) -> Sandbox {
    sandbox(answer(200, body))
}

/// A sandbox that applies each of these faults to one call, in this order.
pub(crate) fn one_by_one(faults: impl IntoIterator<Item = Fault>) -> Sandbox {
    in_turn(faults, Fault::nth)
}

fn in_turn(faults: impl IntoIterator<Item = Fault>, when: fn(Fault, u64) -> Fault) -> Sandbox {
    let builder = Sandbox::builder().key(KEY);
    let faults = (1..).zip(faults);
    let builder = faults.fold(builder, |builder, (n, fault)| builder.fault(when(fault, n)));
    // On a separate thread, so that a test that blocks its thread does not block the sandbox.
    builder.start_blocking().unwrap()
}

/// A fault that replaces the sandbox's answer with this one.
pub(crate) fn answer(status: u16, body: &str) -> Fault {
    Fault::status(status).body("application/json", body)
}

/// Methods of a sandbox for tests.
pub(crate) trait Tested {
    /// A builder of clients for the sandbox, without retries.
    fn builder(&self) -> ClientBuilder;

    fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    /// Returns the call that was received. Panics unless there is exactly one.
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

/// The body that a call sent, as text.
pub(crate) fn body(call: &Call) -> &str {
    std::str::from_utf8(call.body()).unwrap()
}

/// The body that a call sent, as JSON.
pub(crate) fn json(call: &Call) -> Value {
    serde_json::from_slice(call.body()).unwrap()
}

/// Waits until the sandbox has received `count` calls.
pub(crate) async fn called(sandbox: &Sandbox, count: usize) {
    let called = async {
        while sandbox.calls().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let patience = Duration::from_secs(60);
    assert!(
        tokio::time::timeout(patience, called).await.is_ok(),
        "fewer than {count} calls"
    );
}

/// A URL on which no server listens.
pub(crate) fn nowhere() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    format!("http://{}/v3", listener.local_addr().unwrap())
}

/// An HTTP client as a user would build it: reqwest's defaults, except that the environment's proxies
/// are not used.
pub(crate) fn own_http() -> reqwest::ClientBuilder {
    let http = reqwest::Client::builder().no_proxy();
    // Without this, reqwest requires an installed provider and panics.
    #[cfg(feature = "rustls-ring")]
    let http = http.tls_backend_preconfigured(trusting(rustls::RootCertStore::empty()));
    http
}

/// A TLS configuration that trusts these certificates.
#[cfg(feature = "rustls-ring")]
pub(crate) fn trusting(roots: rustls::RootCertStore) -> rustls::ClientConfig {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}
