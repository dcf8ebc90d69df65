//! What the examples share: a client, for the account of the key in the environment or else for a
//! local SMTP2GO, and how they end.

#![allow(dead_code, clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::process::ExitCode;

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::Client;

pub(crate) type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// What an example works with.
pub(crate) struct Setup {
    pub(crate) client: Client,
    /// Whom mail is from: an address that the account may send from.
    pub(crate) sender: String,
    pub(crate) recipient: String,
}

/// Runs an example, and shows the mail that a local SMTP2GO received from it.
pub(crate) async fn run(example: impl AsyncFnOnce(Setup) -> Result) -> ExitCode {
    match try_run(example).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn try_run(example: impl AsyncFnOnce(Setup) -> Result) -> Result {
    if std::env::var_os("SMTP2GO_API_KEY").is_some() {
        let mut arguments = std::env::args().skip(1);
        let (Some(sender), Some(recipient)) = (arguments.next(), arguments.next()) else {
            return Err(
                "SMTP2GO_API_KEY is set: name a SENDER and a RECIPIENT to send for real".into(),
            );
        };
        let client = Client::from_env()?;
        return example(Setup {
            client,
            sender,
            recipient,
        })
        .await;
    }

    let sandbox = Sandbox::start().await?;
    println!(
        "SMTP2GO_API_KEY is not set: sending to a local SMTP2GO at {}",
        sandbox.base_url()
    );
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;
    example(Setup {
        client,
        sender: "Acme <noreply@example.com>".to_owned(),
        recipient: "Jane <jane@example.net>".to_owned(),
    })
    .await?;
    show(&sandbox);
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
