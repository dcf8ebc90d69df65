//! Sends a newsletter with a program that is killed, restarted, stopped, and restarted again. In
//! the end, each recipient has exactly one mail.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example newsletter
//! ```
//!
//! Without an argument, this program is the operator: it starts itself with the path of the database as the
//! argument, and kills, stops and restarts that process.

#![allow(clippy::print_stdout)]

mod support;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use smtp2go_outbox::{Entry, Outbox, Priority};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::Email;
use sqlx::SqlitePool;
use support::{Result, all_settled};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

const RECIPIENTS: usize = 60;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    match std::env::args().nth(1) {
        Some(database) => send(&database).await,
        None => operate().await,
    }
}

/// Queues the newsletter, and sends it.
async fn send(database: &str) -> Result {
    let client = support::client_from_env()?;
    let pool = SqlitePool::connect_with(Outbox::sqlite_options(database)).await?;
    let outbox = Outbox::sqlite(pool.clone());
    outbox.migrate().await?;

    // Idempotent: after a restart, all keys are known.
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    for number in 0..RECIPIENTS {
        let mail = Email::new("Acme <news@example.com>", "News of November")
            .to(format!("reader{number}@example.net"))
            .text("What is new.")
            .idempotency_key(format!("news-2026-11/{number}"));
        let entry = Entry::new(mail).priority(Priority::Low);
        outbox.put_in(&mut transaction, entry).await?;
    }
    transaction.commit().await?;

    let hundred = NonZeroU32::new(100).ok_or("zero")?;
    let worker = outbox
        .worker(client)
        .concurrency(4)
        .sender_rate(hundred, Duration::from_secs(1))
        .drain(Duration::from_secs(10));
    let worker = support::with_short_times(worker).build()?;
    let mut terminate = signal(SignalKind::terminate())?;
    let end = async {
        tokio::select! {
            _ = terminate.recv() => {}
            () = all_settled(&outbox) => {}
        }
    };
    worker.run_until(end).await?;
    Ok(())
}

/// Starts the sending process three times, and counts the received mails.
async fn operate() -> Result {
    let slow = Fault::delay(Duration::from_millis(50)).on("email_send");
    let (sandbox, _) = support::local(|sandbox| sandbox.fault(slow)).await?;
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("news.db");

    let mut program = start(&sandbox, &database)?;
    wait_for(&sandbox, 10).await;
    program.kill().await?;
    println!("killed");

    let mut program = start(&sandbox, &database)?;
    wait_for(&sandbox, 30).await;
    let id = program.id().ok_or("the program has ended")?;
    Command::new("kill").arg(id.to_string()).status().await?;
    println!("stopped: {}", program.wait().await?);

    let mut program = start(&sandbox, &database)?;
    println!("ended: {}", program.wait().await?);
    let mut inbox = BTreeMap::new();
    for mail in sandbox.mails() {
        *inbox.entry(mail.to().join(", ")).or_insert(0) += 1;
    }
    let most = inbox.values().max().copied().unwrap_or(0);
    println!("{} recipients, at most {most} mail each", inbox.len());
    Ok(())
}

fn start(sandbox: &Sandbox, database: &Path) -> Result<Child> {
    Ok(Command::new(std::env::current_exe()?)
        .arg(database)
        .env("SMTP2GO_API_KEY", sandbox.key())
        .env("SMTP2GO_BASE_URL", sandbox.base_url())
        .kill_on_drop(true)
        .spawn()?)
}

async fn wait_for(sandbox: &Sandbox, mails: usize) {
    while sandbox.mails().len() < mails {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
