//! Sends with your own HTTP client. It resolves a host to a fixed address. If the variable `CA_FILE`
//! names a PEM file, it trusts only the certificate authority in that file. An observer counts the
//! calls.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example own_http_client
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::{CallReport, Client, Email, Observer};
use support::Result;

/// Counts failed calls and successful calls.
#[derive(Debug, Default)]
struct Counts {
    good: AtomicU64,
    bad: AtomicU64,
}

impl Observer for Counts {
    fn call_ended(&self, call: &CallReport<'_>) {
        let count = if call.error.is_none() {
            &self.good
        } else {
            &self.bad
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

fn http_client() -> Result<reqwest::Client> {
    let mut http = reqwest::Client::builder()
        // The SDK's own client has these four settings. Set them too: a followed redirect would send
        // the key to another host.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(60))
        // The reasons for your own client.
        .no_proxy()
        .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    if let Some(path) = std::env::var_os("CA_FILE") {
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(path)?)?;
        http = http.tls_certs_only([certificate]);
    }
    Ok(http.build()?)
}

async fn run() -> Result {
    // reqwest's rustls uses the provider that the program has installed. With reqwest's default
    // features, no installed provider is needed.
    let _ = rustls::crypto::ring::default_provider().install_default();

    let sandbox = Sandbox::start().await?;
    let counts = Arc::new(Counts::default());
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url().replace("127.0.0.1", "localhost"))
        .http_client(http_client()?)
        .observer(counts.clone())
        .build()?;
    let mail = Email::new("Acme <noreply@example.com>", "Welcome")
        .to("jane@example.net")
        .text("Hello Jane");
    let sent = client.send(mail).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));
    println!("{counts:?}");
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::watch_if_asked();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
