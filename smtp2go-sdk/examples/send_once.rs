//! Sends mails once although replies are lost, to a local SMTP2GO that loses them.
//!
//! ```text
//! cargo run -p smtp2go-sdk --example send_once
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::time::{Duration, SystemTime};

use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Certainty, Client, Email, FindSent, Found, SendOnce};
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

    // The reply to the first mail is lost, and so is the second mail. The third arrives.
    for order in [41, 42] {
        send(&client, order).await?;
    }
    look_up(&client, 43).await?;

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

async fn send(client: &Client, order: u32) -> Result {
    // Short times, since the local activity has no lag of minutes.
    let settings = SendOnce::new()
        .lag(Duration::from_millis(400))
        .margin(Duration::ZERO)
        .give_up_after(Duration::from_secs(1));
    let sent = client.send_once_with(confirmation(order), settings).await?;
    println!(
        "order {order}: sent as {}{}",
        sent.email_id.as_deref().unwrap_or("?"),
        if sent.looked_up {
            ", found in the activity"
        } else {
            ""
        }
    );
    Ok(())
}

async fn look_up(client: &Client, order: u32) -> Result {
    let mail = confirmation(order);
    let started = SystemTime::now();
    match client.send(mail.clone()).await {
        Err(error) if error.certainty() == Certainty::Unknown => {
            println!("order {order}: {error}");
        }
        other => println!("order {order}: {other:?}"),
    }
    let wanted = FindSent::of(&mail, started)?
        .until(SystemTime::now())
        .lag(Duration::from_millis(400));
    loop {
        match client.find_sent(&wanted).await? {
            Found::Sent { email_id, .. } => {
                println!("order {order}: sent as {}", email_id.unwrap_or_default());
                return Ok(());
            }
            Found::Absent => {
                println!("order {order}: not sent, safe to send again");
                return Ok(());
            }
            Found::NotYet { look_again_at } => {
                let wait = look_again_at.duration_since(SystemTime::now());
                tokio::time::sleep(wait.unwrap_or_default()).await;
            }
            other => return Err(format!("order {order}: {other:?}").into()),
        }
    }
}
