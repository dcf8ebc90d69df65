//! Sends a finished MIME message.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example mime
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example mime -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::Mime;
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    // The API reads sender and recipients from the headers.
    let (sender, recipient) = (&setup.sender, &setup.recipient);
    let message = format!(
        "From: {sender}\r\nTo: {recipient}\r\nSubject: Hello\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nComposed elsewhere.\r\n"
    );
    // Mime::from_path reads a file while it is sent.
    let sent = setup.client.send_mime(Mime::from_bytes(message)).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));
    Ok(())
}
