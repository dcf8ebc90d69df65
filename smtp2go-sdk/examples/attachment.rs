//! Sends attachments from a file, from memory, and from a reader.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example attachment
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example attachment -- SENDER RECIPIENT
//! ```

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
    // A file is read while it is sent, so a large file takes no more memory than a small one.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    // A reader needs the length of its content. It can be read once, so the mail is not retried.
    let log = "started\nstopped\n";
    let mail = Email::new(setup.sender, "Files")
        .to(setup.recipient)
        .text("There they are.")
        .attach(Attachment::from_path(file).filename("about.md"))
        .attach(Attachment::from_bytes("data.bin", vec![0; 1000]).mimetype("application/x-zeros"))
        .attach(Attachment::from_reader(
            "today.log",
            log.as_bytes(),
            log.len() as u64,
        ));
    let sent = setup.client.send(mail).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));
    Ok(())
}
