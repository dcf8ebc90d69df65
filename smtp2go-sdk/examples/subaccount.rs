//! Lists the sender domains of every subaccount. Read-only. Uses a local SMTP2GO unless SMTP2GO_API_KEY
//! is set. The key must belong to a master account.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example subaccount
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example subaccount
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Client;
use smtp2go_sdk::types::{DomainViewRequest, SubaccountSearchRequest};
use support::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run_with_client(list).await
}

async fn list(client: &Client) -> Result {
    let mut subaccounts = client
        .subaccount()
        .search_all(SubaccountSearchRequest::new());
    while let Some(subaccount) = subaccounts.try_next().await? {
        let Some(id) = subaccount.id else { continue };
        println!("{} ({id})", subaccount.name.unwrap_or_default());

        // Shares the connections of `client`. Every call is for this subaccount.
        let theirs = client.for_subaccount(&id);
        let domains = theirs.domain().view(DomainViewRequest::new()).await?;
        for entry in &domains.domains {
            let name = entry
                .domain
                .as_ref()
                .and_then(|domain| domain.fulldomain.as_deref());
            println!("  {}", name.unwrap_or("?"));
        }

        // An operation that can't be called for a subaccount is refused before anything is sent.
        if let Err(error) = theirs.stats().email_cycle().await {
            println!("  {error} ({:?})", error.certainty());
        }
    }
    Ok(())
}
