//! Stops mail to an address, looks at what stops it, and lets mail through again; with a local
//! SMTP2GO unless there is a key in the environment.
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

    // Whatever its age. A list without dates has the last 30 days, and not today.
    for suppression in client.suppression().lookup(ADDRESS).await? {
        println!(
            "{} is suppressed: {}",
            suppression.email_address.as_deref().unwrap_or("?"),
            suppression.block_description.as_deref().unwrap_or_default()
        );
    }

    // An address can be suppressed for several reasons; what was added by hand is one of them.
    let request = SuppressionRemoveRequest::new(ADDRESS, [SuppressionType::Manual]);
    let removed = client.suppression().remove(request).await?;
    for row in &removed.suppressions {
        println!("removed: {}", row.removed.unwrap_or_default());
    }
    Ok(())
}
