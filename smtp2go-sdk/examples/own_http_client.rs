//! Calls through an HTTP client of your own: here with hosts resolved by hand, and a certificate
//! authority of your own if `CA_FILE` names one (PEM). Counts what happens with an observer.
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

/// Counts calls that failed, and all others.
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
        // These four are what our own client has, and what yours should have too: redirects would
        // take the key elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(Duration::from_secs(5))
        .pool_idle_timeout(Duration::from_secs(60))
        // And this is why there is a client of one's own here.
        .no_proxy()
        .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    if let Some(path) = std::env::var_os("CA_FILE") {
        let certificate = reqwest::Certificate::from_pem(&std::fs::read(path)?)?;
        http = http.tls_certs_only([certificate]);
    }
    Ok(http.build()?)
}

async fn run() -> Result {
    // reqwest's rustls takes the provider that the program has installed. With reqwest's default
    // features it brings one along.
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
