//! Adds a sender domain, and prints the DNS records to publish for it. Uses a local SMTP2GO unless
//! SMTP2GO_API_KEY is set.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example domains
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example domains -- news.example.com
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Client;
use smtp2go_sdk::types::{DomainAddRequest, DomainEntry};
use support::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run_with_client(example).await
}

async fn example(client: &Client) -> Result {
    let domain = support::argument("DOMAIN", "news.example.com")?;
    let list = client.domain().add(DomainAddRequest::new(domain)).await?;

    let heading = ["TYPE", "NAME", "VALUE", "VERIFIED"].map(str::to_owned);
    let rows: Vec<_> = [heading]
        .into_iter()
        .chain(list.domains.iter().flat_map(records))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths = [0, 1, 2].map(|column| width(column).unwrap_or_default());
    for [kind, name, value, verified] in &rows {
        let [first, second, third] = widths;
        println!("{kind:first$}  {name:second$}  {value:third$}  {verified}");
    }
    Ok(())
}

/// Returns each DNS record of a domain: type, name, value, and whether SMTP2GO has verified it.
fn records(entry: &DomainEntry) -> Vec<[String; 4]> {
    let Some(domain) = &entry.domain else {
        return Vec::new();
    };
    let full = domain.fulldomain.as_deref().unwrap_or_default();
    // `…_expected` is the target to publish; older replies have `…_value` alone.
    let record = |name: String, targets: [&Option<String>; 2], verified: Option<bool>| {
        let verified = match verified {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let mut targets = targets.into_iter().flatten();
        let value = targets.find(|target| !target.is_empty())?.clone();
        Some(["CNAME".to_owned(), name, value, verified.to_owned()])
    };
    let dkim = domain.dkim_selector.as_ref().and_then(|selector| {
        let name = format!("{selector}._domainkey.{full}");
        record(
            name,
            [&domain.dkim_expected, &domain.dkim_value],
            domain.dkim_verified,
        )
    });
    let return_path = domain.rpath_selector.as_ref().and_then(|selector| {
        let name = format!("{selector}.{full}");
        record(
            name,
            [&domain.rpath_expected, &domain.rpath_value],
            domain.rpath_verified,
        )
    });
    let tracking = entry.trackers.iter().filter_map(|tracker| {
        let name = tracker.fulldomain.clone()?;
        record(
            name,
            [&tracker.cname_expected, &tracker.cname_value],
            tracker.cname_verified,
        )
    });
    dkim.into_iter()
        .chain(return_path)
        .chain(tracking)
        .collect()
}
