//! Schedules a mail, and then cancels it.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example schedule
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example schedule -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use smtp2go_sdk::Email;
use smtp2go_sdk::types::EmailScheduledRemoveRequest;
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    // At most three days ahead.
    let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
    let mail = Email::new(setup.sender, "Your appointment")
        .to(setup.recipient)
        .text("It is today.")
        .schedule(tomorrow);
    let sent = setup.client.send(mail).await?;
    let id = sent.schedule_id.as_deref().ok_or("no schedule_id")?;
    println!("scheduled as {id}");

    let cancel = EmailScheduledRemoveRequest::new(id);
    setup.client.email().scheduled_remove(cancel).await?;
    println!("cancelled");
    Ok(())
}
