//! Sends one mail, to a local SMTP2GO unless there is a key in the environment.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example quickstart
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example quickstart -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::Client;
use smtp2go_sdk::types::{Attachment, EmailSendRequest};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error>> {
    if std::env::var_os("SMTP2GO_API_KEY").is_some() {
        let mut arguments = std::env::args().skip(1);
        let (Some(sender), Some(recipient)) = (arguments.next(), arguments.next()) else {
            return Err(
                "SMTP2GO_API_KEY is set: name a SENDER and a RECIPIENT to send for real".into(),
            );
        };
        return send(&Client::from_env()?, &sender, &recipient).await;
    }

    let sandbox = Sandbox::start().await?;
    println!(
        "SMTP2GO_API_KEY is not set: sending to a local SMTP2GO at {}",
        sandbox.base_url()
    );
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;
    send(
        &client,
        "Acme <noreply@example.com>",
        "Jane <jane@example.net>",
    )
    .await?;

    for mail in sandbox.mails() {
        println!("the local SMTP2GO received:");
        println!("  from     {}", mail.sender());
        println!("  to       {}", mail.to().join(", "));
        println!("  subject  {}", mail.subject().unwrap_or_default());
        println!("  text     {}", mail.text_body().unwrap_or_default());
        println!("  html     {}", mail.html_body().unwrap_or_default());
        for attachment in mail.attachments() {
            println!(
                "  attached {} ({} bytes)",
                attachment.filename,
                attachment.content.len()
            );
        }
    }
    Ok(())
}

async fn send(client: &Client, sender: &str, recipient: &str) -> Result<(), Box<dyn Error>> {
    let report = "month,mails\n2026-10,1042\n";
    let mail = EmailSendRequest::new(sender, [recipient])
        .subject("Your report")
        .text_body("Your report is attached.")
        .html_body("<h1>Your report</h1><p>It is attached.</p>")
        .attachments([Attachment::new("report.csv")
            .mimetype("text/csv")
            .fileblob(STANDARD.encode(report))]);
    let sent = client.email().send(mail).await?;
    println!(
        "sent: email_id {}, request_id {}",
        sent.email_id.as_deref().unwrap_or("(none)"),
        sent.request_id().unwrap_or("(none)")
    );
    Ok(())
}
