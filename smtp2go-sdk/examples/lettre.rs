//! Sends lettre's messages through the API: with a transport that replaces lettre's SMTP transport, and
//! with the client itself.
//!
//! ```text
//! cargo run -p smtp2go-sdk --features lettre --example lettre
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --features lettre --example lettre -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use lettre::message::{Attachment, MultiPart, SinglePart};
use lettre::{AsyncTransport, Message};
use smtp2go_sdk::LettreTransport;
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    let notes =
        Attachment::new("notes.txt".to_owned()).body("Hello".to_owned(), "text/plain".parse()?);
    let message = Message::builder()
        .from(setup.sender.parse()?)
        .to(setup.recipient.parse()?)
        .subject("Composed with lettre")
        .multipart(
            MultiPart::mixed()
                .singlepart(SinglePart::plain("See the notes.".to_owned()))
                .singlepart(notes),
        )?;

    // The one line that differs from lettre's own transports.
    let mailer = LettreTransport::new(setup.client.clone());
    let sent = mailer.send(message.clone()).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("-"));

    // The API reads recipients from the headers, and lettre removes the header Bcc by default. So the
    // hidden copy would not be sent, which is an error.
    let hidden = Message::builder()
        .from(setup.sender.parse()?)
        .to(setup.recipient.parse()?)
        .bcc(setup.sender.parse()?)
        .subject("With a hidden copy")
        .body("Hello".to_owned())?;
    if let Err(error) = setup.client.send_mime(&hidden).await {
        println!("{error}");
    }
    Ok(())
}
