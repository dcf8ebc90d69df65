//! Reads the events of sent mail as a stream, from a local SMTP2GO unless there is a key in the
//! environment.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example activity_stream
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example activity_stream
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::Client;
use smtp2go_sdk::types::ActivitySearchRequest;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("SMTP2GO_API_KEY").is_some() {
        return list(&Client::from_env()?).await;
    }
    let sandbox = Sandbox::start().await?;
    println!(
        "SMTP2GO_API_KEY is not set: asking a local SMTP2GO at {}, whose two pages are alike",
        sandbox.base_url()
    );
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;
    list(&client).await
}

async fn list(client: &Client) -> Result<(), Box<dyn Error>> {
    // Without dates, the events of today; the largest page, to make few calls.
    let today = ActivitySearchRequest::new().limit(1000);

    // The next page is fetched while this one is printed.
    let mut events = client.activity().search_all(today);
    let mut count = 0;
    while let Some(event) = events.try_next().await? {
        count += 1;
        println!(
            "{}  {:<12}  {}  {}",
            event.date.as_ref().map_or("?", |date| date.as_str()),
            event.event.as_ref().map_or("?", |kind| kind.as_str()),
            event.email_id.as_deref().unwrap_or("?"),
            event.subject.as_deref().unwrap_or_default(),
        );
    }
    println!("{count} events");
    Ok(())
}
