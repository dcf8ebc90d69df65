//! Sends many mails in one request, with an outcome for each.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example batch
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example batch -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::{Certainty, Email};
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    let mails = (1..=3).map(|number| {
        Email::new(&setup.sender, format!("Invoice {number}"))
            .to(&setup.recipient)
            .text("Please pay.")
    });
    for (index, outcome) in setup
        .client
        .send_batch(mails)
        .await?
        .into_iter()
        .enumerate()
    {
        match outcome {
            Ok(sent) => println!(
                "{index}: sent as {}",
                sent.email_id.as_deref().unwrap_or("-")
            ),
            Err(error) if error.certainty() == Certainty::Rejected => {
                println!("{index}: refused: {error}");
            }
            Err(error) => println!("{index}: look it up before you send it again: {error}"),
        }
    }
    Ok(())
}
