//! Suppresses an address, looks the suppression up, and removes it. Uses a local SMTP2GO unless
//! SMTP2GO_API_KEY is set.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example suppression
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example suppression
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Client;
use smtp2go_sdk::types::{SuppressionAddRequest, SuppressionRemoveRequest, SuppressionType};
use support::Result;

const ADDRESS: &str = "kim@example.net";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run_with_client(example).await
}

async fn example(client: &Client) -> Result {
    // An address, or a domain.
    let request = SuppressionAddRequest::new(ADDRESS).block_description("Asked by phone");
    let added = client.suppression().add(request).await?;
    println!("added: {}", added.added.unwrap_or_default());

    // Finds suppressions of any age. A list without dates has only those of the last 30 days before
    // today.
    for suppression in client.suppression().lookup(ADDRESS).await? {
        println!(
            "{} is suppressed: {}",
            suppression.email_address.as_deref().unwrap_or("?"),
            suppression.block_description.as_deref().unwrap_or_default()
        );
    }

    // An address can be suppressed for several reasons. `Manual` is that of added ones.
    let request = SuppressionRemoveRequest::new(ADDRESS, [SuppressionType::Manual]);
    let removed = client.suppression().remove(request).await?;
    for row in &removed.suppressions {
        println!("removed: {}", row.removed.unwrap_or_default());
    }
    Ok(())
}
