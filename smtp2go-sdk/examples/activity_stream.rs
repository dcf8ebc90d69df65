//! Reads the events of sent mail as a stream. Uses a local SMTP2GO unless SMTP2GO_API_KEY is set.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example activity_stream
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example activity_stream
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Client;
use smtp2go_sdk::types::ActivitySearchRequest;
use support::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run_with_client(list).await
}

async fn list(client: &Client) -> Result {
    // Without dates, the search covers today. The largest page makes few calls.
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
