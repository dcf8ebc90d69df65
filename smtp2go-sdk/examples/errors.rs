//! Shows what an error contains, and how to react to it.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example errors
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::error::Error as _;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{CallOptions, Certainty, Client, Email, Error, ErrorCode};

fn mail() -> Email {
    Email::new("Acme <noreply@example.com>", "Welcome")
        .to("jane@example.net")
        .text("Hello Jane")
}

/// Returns how to react to an error.
fn advice(error: &Error) -> String {
    // First the errors that a later attempt would have too.
    if error.is_validation() {
        let fields = error.field_errors().iter();
        let fields: Vec<_> = fields.map(ToString::to_string).collect();
        return format!("correct {}", fields.join(" and "));
    }
    if error.is_auth() || error.is_config() {
        return "tell the operator: the configuration is wrong".to_owned();
    }
    // `ErrorCode` is an open enum: the API can add codes.
    if error.code() == Some(ErrorCode::ApiException) {
        let id = error.request_id().unwrap_or("?");
        return format!("ask the support about request {id}");
    }
    // Then the temporary errors. The SDK has already retried where that is safe.
    if error.is_rate_limited() {
        return match error.retry_after() {
            Some(wait) => format!("put it back into the queue for {} s", wait.as_secs()),
            None => "put it back into the queue".to_owned(),
        };
    }
    match error.certainty() {
        Certainty::NotSent => "send it again: it was not sent".to_owned(),
        Certainty::Rejected => format!("give up, it was refused: {:?}", error.failures()),
        // Sending again could send the mail twice. `Client::find_sent` looks up whether it was sent, and
        // `Client::send_once` does all of this.
        Certainty::Unknown => "look it up before you send it again".to_owned(),
    }
}

async fn show(what: &str, client: &Client, mail: Email) {
    println!("\n{what}");
    match client.send(mail).await {
        Ok(sent) => println!("  sent as {:?}", sent.email_id),
        Err(error) => {
            // Display is one line for people. Log Debug instead: it has no addresses and no bodies.
            println!("  {error}");
            if let Some(source) = error.source() {
                println!("  because: {source}");
            }
            println!(
                "  {:?} after {} attempts",
                error.certainty(),
                error.attempts()
            );
            println!("  → {}", advice(&error));
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    support::watch_if_asked();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    // A local SMTP2GO that fails on purpose.
    let sandbox = Sandbox::start().await?;
    let faults = sandbox.faults();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .deadline(Duration::from_secs(20))
        .build()?;

    show(
        "A mail with an invalid address",
        &client,
        mail().to("jane@"),
    )
    .await;

    faults.add(Fault::status(403));
    show("A key that may not send", &client, mail()).await;

    faults.clear().add(Fault::status(400).json(&json!({
        "request_id": "aa253464-0bd0-467a-b24b-6159dcd7be60",
        "data": { "error": "something is off", "error_code": "E_ApiResponseCodes.API_EXCEPTION" },
    })));
    show("An error of the API", &client, mail()).await;

    faults.clear().add(Fault::failed("550 no such mailbox"));
    show("A refusal with status 200", &client, mail()).await;
    let raw = client.with_options(CallOptions::new().failures_are_errors(false));
    let sent = raw.send(mail()).await?;
    println!(
        "  as a reply, with failures_are_errors off: failed {:?}, {:?}",
        sent.failed, sent.failures
    );

    faults
        .clear()
        .add(Fault::status(502).html("<html>Bad Gateway</html>"));
    show("A failing gateway", &client, mail()).await;

    faults.clear().add(Fault::reset());
    show("A lost connection", &client, mail()).await;

    // Last, because a 429 pauses all calls of the client.
    faults.clear().add(Fault::status(429));
    show("Too many calls", &client, mail()).await;
    show("The next call", &client, mail()).await;
    Ok(())
}
