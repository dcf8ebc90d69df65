//! Sends one mail and many mails, and searches over all pages, with the blocking client.
//!
//! ```text
//! cargo run -p smtp2go-sdk --features blocking --example blocking
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --features blocking --example blocking -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Email;
use smtp2go_sdk::types::ActivitySearchRequest;
use support::{BlockingSetup, Result};

fn main() -> ExitCode {
    support::run_blocking(example)
}

fn example(setup: BlockingSetup) -> Result {
    // Outside of this repository: `blocking::Client::from_env()?`.
    let client = setup.client;

    let order = |number: u32| {
        Email::new(setup.sender.clone(), format!("Order {number}"))
            .to(setup.recipient.clone())
            .text("It is on its way.")
    };
    let sent = client.send(order(1042))?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));

    // Many mails, up to eight at once. This thread reads the input, as the calls end.
    let mut sending = client.send_all((1043..1046).map(|number| (number, order(number))), 8);
    for outcome in &mut sending {
        if let Err(error) = outcome.result {
            println!("order {}: {error}", outcome.key);
        }
    }
    println!("{}", sending.report());

    // The groups are those of the async client, with iterators in place of streams.
    for event in client.activity().search_all(ActivitySearchRequest::new()) {
        let event = event?;
        println!(
            "{} {}",
            event
                .event
                .map_or("?".to_owned(), |event| event.to_string()),
            event.recipient.unwrap_or_default()
        );
    }
    Ok(())
}
