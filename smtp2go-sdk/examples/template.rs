//! Sends a mail from a template of the account, with data from a struct.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example template
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example template -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use serde::Serialize;
use smtp2go_sdk::Email;
use support::{Result, Setup};

/// Values for the template's placeholders.
#[derive(Serialize)]
struct Welcome<'a> {
    name: &'a str,
    products: Vec<&'a str>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    let data = Welcome {
        name: "Jane",
        products: vec!["chair", "table"],
    };
    // The template has the subject and the bodies.
    let mail = Email::from_template(setup.sender, "welcome")
        .to(setup.recipient)
        .template_data(data);
    let sent = setup.client.send(mail).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));
    Ok(())
}
