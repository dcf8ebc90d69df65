//! Sends one mail. Uses a local SMTP2GO unless SMTP2GO_API_KEY is set.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example quickstart
//! cargo run -p smtp2go-sdk --example quickstart -- --keep
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example quickstart -- SENDER RECIPIENT
//! ```
//!
//! With `--keep` the local SMTP2GO keeps running, with a page that shows the mail.

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::{Attachment, Email};
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    let mail = Email::new(setup.sender, "Your report")
        .to(setup.recipient)
        .text("Your report is attached.")
        .html("<h1>Your report</h1><p>It is attached.</p>")
        .attach(Attachment::from_bytes(
            "report.csv",
            "month,mails\n2026-10,1042\n",
        ));
    let sent = setup.client.send(mail).await?;
    println!(
        "sent: email_id {}, request_id {}",
        sent.email_id.as_deref().unwrap_or("(none)"),
        sent.request_id().unwrap_or("(none)")
    );
    Ok(())
}
