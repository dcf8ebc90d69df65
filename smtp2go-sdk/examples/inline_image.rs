//! Sends a mail whose HTML shows an inline image.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example inline_image
//! SMTP2GO_API_KEY=api-… cargo run -p smtp2go-sdk --example inline_image -- SENDER RECIPIENT
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::process::ExitCode;

use smtp2go_sdk::{Attachment, Email};
use support::{Result, Setup};

const DOT: &str = r#"<svg xmlns="http://www.w3.org/2000/svg"><circle r="9"/></svg>"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::run(example).await
}

async fn example(setup: Setup) -> Result {
    // The HTML refers to the image by its file name. An image that is missing, or that the HTML does
    // not mention, is an error before anything is sent.
    let mail = Email::new(setup.sender, "A dot")
        .to(setup.recipient)
        .html(r#"<p>Look: <img src="cid:dot.svg" alt="a dot"></p>"#)
        .text("There is a dot in the HTML.")
        .inline(Attachment::from_bytes("dot.svg", DOT));
    let sent = setup.client.send(mail).await?;
    println!("sent as {}", sent.email_id.as_deref().unwrap_or("(no id)"));
    Ok(())
}
