//! Many mails, a few at a time, with an outcome for each as it comes in.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example bulk
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example bulk -- SENDER RECIPIENT
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
    // Any iterator or stream will do, of any length: mails are made as they are sent. The number
    // is a key of ours, which comes back with the outcome.
    let mails = (1..=5).map(|number| {
        let mail = Email::new(&setup.sender, format!("Invoice {number}"))
            .to(&setup.recipient)
            .text("Please pay.");
        (number, mail)
    });
    let mut sending = setup.client.send_all(mails, 2);
    while let Some(outcome) = sending.next().await {
        let number = outcome.key;
        match outcome.result {
            Ok(sent) => println!("invoice {number}: sent as {:?}", sent.email_id),
            Err(error) => {
                match error.certainty() {
                    Certainty::Unknown => println!("invoice {number}: look before you repeat it"),
                    _ => println!("invoice {number}: not sent"),
                }
                println!("{error}");
                // It would be the same for all: wait for those under way, and begin no more.
                if error.is_auth() || error.is_connect() {
                    sending.stop();
                }
            }
        }
    }
    println!("{}", sending.report());
    Ok(())
}
