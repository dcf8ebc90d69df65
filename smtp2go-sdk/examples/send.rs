//! Sends a mail with Bcc, Reply-To and a custom header, and prints the errors of an invalid mail.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example send
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example send -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::{Email, Mailbox};
use support::{Result, Setup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    // An address is a text, a name and an address, or a `Mailbox`. Names are quoted as needed.
    let recipient: Mailbox = setup.recipient.parse()?;
    let mail = Email::new(&setup.sender, "Order 1042")
        .to(&recipient)
        .bcc(("Archive, mail", recipient.address()))
        .reply_to("Support <support@example.com>")
        .header("X-Order", "1042")
        .text("It is on its way.")
        .html("<p>It is on its <b>way</b>.</p>");
    let sent = setup.client.send(mail).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));

    // One error lists all problems, and nothing is sent.
    let mail = Email::new(setup.sender, "Order\n1043")
        .to("jane@")
        .to(recipient);
    if let Err(error) = setup.client.send(mail).await {
        for problem in error.field_errors() {
            println!("{}: {}", problem.field, problem.message);
        }
        println!("certainty: {:?}", error.certainty());
    }
    Ok(())
}
