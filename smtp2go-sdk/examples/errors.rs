//! What an error knows, and what to do about it.
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

/// What to do next.
fn advice(error: &Error) -> String {
    // First what is wrong for sure and won't mend itself.
    if error.is_validation() {
        let fields = error.field_errors().iter();
        let fields: Vec<_> = fields.map(ToString::to_string).collect();
        return format!("correct {}", fields.join(" and "));
    }
    if error.is_auth() || error.is_config() {
        return "tell the operator: the set-up is wrong".to_owned();
    }
    // The API's own codes are an open list.
    if error.code() == Some(ErrorCode::ApiException) {
        let id = error.request_id().unwrap_or("?");
        return format!("ask the support about request {id}");
    }
    // Then what time may mend. The SDK has retried by now where that does no harm.
    if error.is_rate_limited() {
        return match error.retry_after() {
            Some(wait) => format!("put it back into the queue for {} s", wait.as_secs()),
            None => "put it back into the queue".to_owned(),
        };
    }
    match error.certainty() {
        Certainty::NotSent => "send it again: it never got there".to_owned(),
        Certainty::Rejected => format!("give up, it was refused: {:?}", error.failures()),
        // Sending it again might send it twice. `Client::find_sent` tells whether it was sent, and
        // `Client::send_once` does all of this.
        Certainty::Unknown => "look for it before you send it again".to_owned(),
    }
}

async fn show(what: &str, client: &Client, mail: Email) {
    println!("\n{what}");
    match client.send(mail).await {
        Ok(sent) => println!("  sent as {:?}", sent.email_id),
        Err(error) => {
            // One line for people. For logs there is Debug: it has no addresses and no bodies.
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
    // A local SMTP2GO that misbehaves on purpose.
    let sandbox = Sandbox::start().await?;
    let faults = sandbox.faults();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .deadline(Duration::from_secs(20))
        .build()?;

    show("A mail without an address", &client, mail().to("jane@")).await;

    faults.add(Fault::status(403));
    show("A key that must not send", &client, mail()).await;

    faults.clear().add(Fault::status(400).json(&json!({
        "request_id": "aa253464-0bd0-467a-b24b-6159dcd7be60",
        "data": { "error": "something is off", "error_code": "E_ApiResponseCodes.API_EXCEPTION" },
    })));
    show("An error of the API", &client, mail()).await;

    faults.clear().add(Fault::failed("550 no such mailbox"));
    show("A refusal in a success", &client, mail()).await;
    let raw = client.with_options(CallOptions::new().failures_are_errors(false));
    let sent = raw.send(mail()).await?;
    println!(
        "  or as a reply, if you ask: failed {:?}, {:?}",
        sent.failed, sent.failures
    );

    faults
        .clear()
        .add(Fault::status(502).html("<html>Bad Gateway</html>"));
    show("A gateway in trouble", &client, mail()).await;

    faults.clear().add(Fault::reset());
    show("A connection that is lost", &client, mail()).await;

    // Last, since it holds back every call of the client.
    faults.clear().add(Fault::status(429));
    show("Too many calls", &client, mail()).await;
    show("And the next", &client, mail()).await;
    Ok(())
}
