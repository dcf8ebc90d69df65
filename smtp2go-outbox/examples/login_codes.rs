//! Sends login codes ahead of a newsletter, and none that is no longer valid.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example login_codes
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::time::{Duration, SystemTime};

use smtp2go_outbox::{Entry, Outbox, Priority, Put, Requested, State};
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
    println!(
        "jane: {:?}",
        queue_code(&outbox, "jane", 1, "271828").await?
    );
    println!(
        "jane clicks twice: {:?}",
        queue_code(&outbox, "jane", 1, "271828").await?
    );
    println!("kim: {:?}", queue_code(&outbox, "kim", 2, "314159").await?);
    // Kim asks again before the first code is sent.
    outbox.cancel("login/kim/2").await?;
    println!(
        "kim asks again: {:?}",
        queue_code(&outbox, "kim", 3, "161803").await?
    );
    let cancelled = cancel_expired(&outbox, SystemTime::now()).await?;
    println!("{cancelled} codes expired");

    let worker = outbox.worker(client).concurrency(1).build()?;
    worker.run_until(all_settled(&outbox)).await?;
    for mail in sandbox.mails() {
        let text = mail.text_body().unwrap_or_default();
        println!(
            "the local SMTP2GO received for {}: {text}",
            mail.to().join(", ")
        );
    }
    // An outage of more than ten minutes.
    queue_code(&outbox, "jane", 4, "577215").await?;
    let later = SystemTime::now() + VALID + Duration::from_secs(1);
    let cancelled = cancel_expired(&outbox, later).await?;
    println!("{cancelled} code expired");
    Ok(())
}

async fn queue_code(outbox: &Outbox, user: &str, request: u32, code: &str) -> Result<Put> {
    let mail = Email::new("Acme <login@example.com>", "Your login code")
        .to(format!("{user}@example.net"))
        .text(format!("Your code is {code}. It is valid for 10 minutes."))
        .idempotency_key(format!("login/{user}/{request}"));
    let entry = Entry::new(mail).priority(Priority::High);
    Ok(outbox.put(entry).await?)
}

/// Call it every minute.
async fn cancel_expired(outbox: &Outbox, now: SystemTime) -> Result<usize> {
    let mut cancelled = 0;
    for state in [State::Queued, State::Unknown] {
        let mut after = String::new();
        loop {
            let page = outbox.list(Some(state), &after).await?;
            let Some(last) = page.last() else { break };
            after.clone_from(&last.key);
            for code in page.iter().filter(|mail| mail.key.starts_with("login/")) {
                if now
                    .duration_since(code.created_at)
                    .is_ok_and(|age| age > VALID)
                {
                    // An unknown mail is held first; only a held one can be cancelled.
                    outbox.hold(&code.key).await?;
                    if outbox.cancel(&code.key).await? == Requested::Done {
                        cancelled += 1;
                    }
                }
            }
        }
    }
    Ok(cancelled)
}
