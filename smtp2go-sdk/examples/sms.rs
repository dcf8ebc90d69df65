//! Sends a text message, and lists the sent messages. Uses a local SMTP2GO unless SMTP2GO_API_KEY
//! is set.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example sms
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example sms -- +15555550123
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Client;
use smtp2go_sdk::types::{SmsSendRequest, SmsViewSentRequest};
use support::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run_with_client(example).await
}

async fn example(client: &Client) -> Result {
    let number = support::argument("NUMBER", "+15555550123")?;
    // Up to 100 numbers, each with its country code.
    let request = SmsSendRequest::new([number], "Your table is booked for 7 pm.");
    let sent = client.sms().send(request).await?;
    println!("{} sent", sent.total_sent.unwrap_or_default());
    for message in &sent.messages {
        println!(
            "to {}: {}, id {}",
            message.destination.as_deref().unwrap_or("?"),
            message
                .status
                .as_ref()
                .map_or("?", |status| status.as_str()),
            message.message_id.as_deref().unwrap_or("?")
        );
    }

    // Without dates: the last 7 days.
    let list = client.sms().view_sent(SmsViewSentRequest::new()).await?;
    for sms in &list.messages {
        println!(
            "{}: {}",
            sms.destination_address.as_deref().unwrap_or("?"),
            sms.status.as_deref().unwrap_or("?")
        );
    }
    Ok(())
}
