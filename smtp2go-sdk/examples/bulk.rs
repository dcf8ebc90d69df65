//! Sends many mails, a few at a time, and prints the outcome of each when its call ends.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example bulk
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example bulk -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::{Email, SendState};
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    // The input is any iterator or stream, so mails can be made as they are sent. The number is the
    // key, which comes back with the outcome and in the report.
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
                println!("invoice {number}: {error}");
                // All mails would fail like this: start no more, and wait for those in flight.
                if error.is_auth() || error.is_connect() {
                    sending.stop();
                }
            }
        }
    }
    let report = sending.report();
    println!("{report}");
    for (number, state) in report.states() {
        match state {
            SendState::Sent => {}
            SendState::Unknown => println!("invoice {number}: look it up before you send it again"),
            _ => println!("invoice {number}: not sent"),
        }
    }
    Ok(())
}
