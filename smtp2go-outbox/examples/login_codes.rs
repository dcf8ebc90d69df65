//! Sends login codes before a newsletter, except codes that have expired.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example login_codes
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::time::{Duration, SystemTime};

use smtp2go_outbox::{Entry, Error, Outbox, Priority, Put};
use smtp2go_sdk::Email;
use support::{Result, all_settled};

const VALID: Duration = Duration::from_secs(10 * 60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let (sandbox, client) = support::local(|sandbox| sandbox).await?;
    let folder = tempfile::tempdir()?;
    let outbox = Outbox::open_sqlite(folder.path().join("outbox.db")).await?;

    for number in 0..3 {
        let mail = Email::new("Acme <news@example.com>", "News")
            .to(format!("reader{number}@example.net"))
            .text("What is new.")
            .idempotency_key(format!("news-2026-11/{number}"));
        outbox.put(Entry::new(mail).priority(Priority::Low)).await?;
    }
    let now = SystemTime::now();
    let put = queue_code(&outbox, "jane", 1, "271828", now).await?;
    println!("jane: {put:?}");
    let put = queue_code(&outbox, "jane", 1, "271828", now).await?;
    println!("jane's browser repeats the request: {put:?}");
    queue_code(&outbox, "kim", 2, "314159", now).await?;
    // Kim asks for another code before a worker sends the first one.
    let cancelled = outbox.cancel("login/2").await?;
    println!("kim's first code, cancelled: {cancelled:?}");
    queue_code(&outbox, "kim", 3, "161803", now).await?;
    // Lee asked for a code eleven minutes ago, and no worker has run since.
    queue_code(&outbox, "lee", 4, "577215", now - (VALID + VALID / 10)).await?;

    let worker = outbox.worker(client).concurrency(1).build()?;
    worker.run_until(all_settled(&outbox)).await?;
    for mail in sandbox.mails() {
        let to = mail.to().join(", ");
        println!("sent to {to}: {}", mail.text_body().unwrap_or_default());
    }
    if let Some(record) = outbox.get("login/4").await? {
        println!("lee: {}, {:?}", record.state, record.reason);
    }
    Ok(())
}

async fn queue_code(
    outbox: &Outbox,
    user: &str,
    request: u32,
    code: &str,
    requested_at: SystemTime,
) -> std::result::Result<Put, Error> {
    let mail = Email::new("Acme <login@example.com>", "Your login code")
        .to(format!("{user}@example.net"))
        .text(format!("Your code is {code}. It is valid for 10 minutes."))
        .idempotency_key(format!("login/{request}"));
    let entry = Entry::new(mail)
        .priority(Priority::High)
        .not_after(requested_at + VALID);
    outbox.put(entry).await
}
