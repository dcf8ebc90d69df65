//! Sends each mail once although a local SMTP2GO loses mails and replies.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example send_once
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::time::{Duration, SystemTime};

use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Client, Email, FindSent, Found, SendOnce};
use support::Result;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    support::watch_if_asked();
    let lost = |nth, sent| Fault::reset().on("email_send").nth(nth).carried_out(sent);
    let sandbox = Sandbox::builder()
        .activity_lag(Duration::from_millis(300))
        .fault(lost(1, true))
        .fault(lost(2, false))
        .fault(lost(4, true))
        .start()
        .await?;
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;

    // Short times, because the local SMTP2GO's activity lags by 0.3 seconds, not by minutes.
    let lag = Duration::from_millis(400);
    let short_times = SendOnce::new()
        .lag(lag)
        .margin(Duration::ZERO)
        .give_up_after(Duration::from_secs(1));

    // The reply to the first mail is lost, and so is the second mail.
    for order in [41, 42] {
        send(&client, order, short_times).await?;
    }
    // The third mail is sent, and its reply is lost.
    let started = SystemTime::now();
    if let Err(error) = client.send(confirmation(43)).await {
        println!("order 43: {error}");
    }
    let was_sent = look_up(&client, 43, started, SystemTime::now(), lag).await?;
    println!("order 43: sent: {was_sent}");

    for mail in sandbox.mails() {
        println!(
            "the local SMTP2GO received: {}",
            mail.subject().unwrap_or("?")
        );
    }
    Ok(())
}

fn confirmation(order: u32) -> Email {
    Email::new("Acme <noreply@example.com>", format!("Your order {order}"))
        .to("jane@example.net")
        .text("Thank you.")
        .idempotency_key(format!("order-{order}/confirmation"))
}

async fn send(client: &Client, order: u32, settings: SendOnce) -> Result {
    let sent = client
        .send_once_with(confirmation(order), settings)
        .await?
        .into_inner();
    println!(
        "order {order}: sent as {}, looked up: {}",
        sent.email_id.unwrap_or_default(),
        sent.looked_up
    );
    Ok(())
}

async fn look_up(
    client: &Client,
    order: u32,
    started: SystemTime,
    ended: SystemTime,
    lag: Duration,
) -> Result<bool> {
    let wanted = FindSent::new(format!("order-{order}/confirmation"), started)
        .until(ended)
        .to("jane@example.net")
        .lag(lag);
    loop {
        match client.find_sent(&wanted).await? {
            Found::Sent { .. } => return Ok(true),
            Found::Absent => return Ok(false),
            Found::NotYet { look_again_at } => {
                let wait = look_again_at.duration_since(SystemTime::now());
                tokio::time::sleep(wait.unwrap_or_default()).await;
            }
            other => return Err(format!("order {order}: {other:?}").into()),
        }
    }
}
