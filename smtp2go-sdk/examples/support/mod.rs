//! Code that the examples share: the client and the exit code. The client uses the account of
//! SMTP2GO_API_KEY, or a local SMTP2GO if that is not set.

#![allow(dead_code, clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use smtp2go_sandbox::{ApiKey, Sandbox, SandboxBuilder};
#[cfg(feature = "blocking")]
use smtp2go_sdk::blocking;
use smtp2go_sdk::types::TemplateAddRequest;
use smtp2go_sdk::{Client, Email};

#[path = "../../tests/support/log_watch.rs"]
mod log_watch;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Client and addresses for an example.
pub(crate) struct Setup {
    pub(crate) client: Client,
    /// An address that the account may send from.
    pub(crate) sender: String,
    pub(crate) recipient: String,
}

/// Client and addresses for an example that is not async.
#[cfg(feature = "blocking")]
pub(crate) struct BlockingSetup {
    pub(crate) client: blocking::Client,
    pub(crate) sender: String,
    pub(crate) recipient: String,
}

/// Runs an example that sends mail, and prints the mail that a local SMTP2GO received.
pub(crate) async fn run(example: impl AsyncFnOnce(Setup) -> Result) -> ExitCode {
    end(send(example).await)
}

/// Runs an example that only needs a client, and prints the calls that a local SMTP2GO received.
pub(crate) async fn run_with_client(example: impl AsyncFnOnce(&Client) -> Result) -> ExitCode {
    end(call(example).await)
}

/// Like [`run`], for an example that is not async.
#[cfg(feature = "blocking")]
pub(crate) fn run_blocking(example: impl FnOnce(BlockingSetup) -> Result) -> ExitCode {
    end(block(example))
}

/// Searches all log output for secrets, if the test that runs the examples requests it.
pub(crate) fn watch_if_asked() {
    log_watch::if_asked();
}

/// Returns the first argument of the example. Without an argument, returns `offline` for a local
/// SMTP2GO, and is an error for a real account.
pub(crate) fn argument(name: &str, offline: &str) -> Result<String> {
    match std::env::args().nth(1) {
        Some(argument) => Ok(argument),
        None if has_key() => {
            Err(format!("SMTP2GO_API_KEY is set: pass a {name} as argument").into())
        }
        None => Ok(offline.to_owned()),
    }
}

fn end(result: Result) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether there is a key in the environment.
fn has_key() -> bool {
    // An empty variable counts as not set, as it does for the client.
    std::env::var_os("SMTP2GO_API_KEY").is_some_and(|key| !key.is_empty())
}

/// Returns the builder of a local SMTP2GO with a domain and a subaccount, which some examples list.
fn local() -> SandboxBuilder {
    let subaccount =
        ApiKey::new("api-EXAMPLE0NORTH0EXAMPLE0NORTH00000").subaccount("example-north");
    Sandbox::builder()
        .sender_domains(["example.com"])
        .api_key(subaccount)
}

fn announce(sandbox: &Sandbox) {
    println!(
        "SMTP2GO_API_KEY is not set: calling a local SMTP2GO at {}",
        sandbox.base_url()
    );
}

/// Returns a client for the account in the environment, or else starts a local SMTP2GO and returns
/// a client for that.
async fn connect() -> Result<(Client, Option<Sandbox>)> {
    watch_if_asked();
    if has_key() {
        return Ok((Client::from_env()?, None));
    }
    let sandbox = local().start().await?;
    announce(&sandbox);
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;
    Ok((client, Some(sandbox)))
}

/// Returns the addresses of sender and recipient.
fn people() -> Result<(String, String)> {
    if !has_key() {
        return Ok((
            "Acme <noreply@example.com>".to_owned(),
            "Jane <jane@example.net>".to_owned(),
        ));
    }
    let mut arguments = std::env::args().skip(1);
    let people = arguments.next().zip(arguments.next());
    Ok(people.ok_or(
        "SMTP2GO_API_KEY is set: pass SENDER and RECIPIENT as arguments to send real mail",
    )?)
}

#[cfg(feature = "blocking")]
fn block(example: impl FnOnce(BlockingSetup) -> Result) -> Result {
    watch_if_asked();
    let sandbox = if has_key() {
        None
    } else {
        Some(local().start_blocking()?)
    };
    let client = match &sandbox {
        Some(sandbox) => {
            announce(sandbox);
            blocking::Client::builder(sandbox.key())
                .base_url(sandbox.base_url())
                .build()?
        }
        None => blocking::Client::from_env()?,
    };
    let (sender, recipient) = people()?;
    example(BlockingSetup {
        client,
        sender,
        recipient,
    })?;
    if let Some(sandbox) = sandbox {
        show(&sandbox);
    }
    Ok(())
}

async fn send(example: impl AsyncFnOnce(Setup) -> Result) -> Result {
    let (client, sandbox) = connect().await?;
    let (sender, recipient) = people()?;
    if sandbox.is_some() {
        let welcome = TemplateAddRequest::new(
            "Welcome",
            "welcome",
            "Welcome, {{ name }}",
            "<p>Your products: {{#each products}}{{ this }} {{/each}}</p>",
            "Your products: {{#each products}}{{ this }} {{/each}}",
        );
        client.template().add(welcome).await?;
    }
    example(Setup {
        client,
        sender,
        recipient,
    })
    .await?;
    if let Some(sandbox) = sandbox {
        show(&sandbox);
        if std::env::args().any(|argument| argument == "--keep") {
            println!("see it at {} until Ctrl-C", sandbox.inbox_url());
            std::future::pending::<()>().await;
        }
    }
    Ok(())
}

async fn call(example: impl AsyncFnOnce(&Client) -> Result) -> Result {
    let (client, sandbox) = connect().await?;
    let mut before = 0;
    if let Some(sandbox) = &sandbox {
        create_events(&client, sandbox).await?;
        before = sandbox.calls().len();
    }
    example(&client).await?;
    for call in sandbox.iter().flat_map(Sandbox::calls).skip(before) {
        println!(
            "the local SMTP2GO received: {} {}",
            call.path(),
            String::from_utf8_lossy(call.body())
        );
    }
    Ok(())
}

/// Sends two mails, one of which is clicked and one of which bounces, for examples that list events.
async fn create_events(client: &Client, sandbox: &Sandbox) -> Result {
    for recipient in ["click@example.net", "bounce@example.net"] {
        let mail = Email::new("Acme <noreply@example.com>", "Your order")
            .to(recipient)
            .html("<a href=\"https://example.com/orders/7\">Order 7</a>");
        client.send(mail).await?;
    }
    // By then all events have occurred.
    sandbox.advance(Duration::from_secs(1));
    Ok(())
}

fn show(sandbox: &Sandbox) {
    for mail in sandbox.mails() {
        println!("the local SMTP2GO received:");
        println!("  from     {}", mail.sender());
        println!("  to       {}", mail.to().join(", "));
        for (name, value) in [
            ("subject ", mail.subject()),
            ("text    ", mail.text_body()),
            ("html    ", mail.html_body()),
            ("schedule", mail.request()["schedule"].as_str()),
            ("template", mail.request()["template_id"].as_str()),
        ] {
            if let Some(value) = value {
                println!("  {name} {value}");
            }
        }
        let data = &mail.request()["template_data"];
        if !data.is_null() {
            println!("  data     {data}");
        }
        for (what, files) in [
            ("attached", mail.attachments()),
            ("inline  ", mail.inlines()),
        ] {
            for file in files {
                println!("  {what} {} ({} bytes)", file.filename, file.content.len());
            }
        }
    }
}
