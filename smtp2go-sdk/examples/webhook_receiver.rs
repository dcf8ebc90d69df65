//! Receives the events of mail: starts a receiver in axum and a local SMTP2GO that posts to it, sends
//! mail, and prints the events of the mail.
//!
//! ```text
//! cargo run -p smtp2go-sdk --features axum --example webhook_receiver
//! ```
//!
//! The example never calls the real service, which could not reach a receiver on this machine.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::time::Duration;

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::{EmailEvent, EmailEventKind};
use smtp2go_sdk::webhook::{Auth, Event, MemoryDeduplicator, Receiver, StoreError, axum::router};
use smtp2go_sdk::{Client, Email};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

mod support;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    support::watch_if_asked();
    let sandbox = Sandbox::start().await?;
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()?;

    // The receiver answers at once, and `main` processes the events.
    let auth = Auth::bearer("EXAMPLE-long-random-token")?;
    let receiver = Receiver::new(auth.clone()).deduplicate(MemoryDeduplicator::new());
    let (queue, mut events) = mpsc::channel(100);
    let app = router("/webhook", receiver, move |event: Event| {
        let queue = queue.clone();
        // An error is a 500, after which the service posts the event again.
        async move { queue.try_send(event).map_err(StoreError::from) }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    // Registers the account's webhook.
    let wanted = [
        EmailEventKind::Processed,
        EmailEventKind::Delivered,
        EmailEventKind::Open,
        EmailEventKind::Click,
        EmailEventKind::Bounce,
    ];
    let ensured = client.ensure_webhook(&url, wanted, &auth).await?;
    if let Some(difference) = ensured.differences.first() {
        return Err(format!("the webhook differs from the requested one: {difference}").into());
    }
    println!("events are posted to {url}");

    // For some well-known recipients, the local SMTP2GO simulates a click or a bounce.
    let recipients = [
        "jane@example.net",
        "click@example.net",
        "bounce@example.net",
    ];
    for recipient in recipients {
        let mail = Email::new("Acme <noreply@example.com>", "Your order")
            .to(recipient)
            .html("<a href=\"https://example.com/orders/7\">Order 7</a>");
        client.send(mail).await?;
        println!("sent to {recipient}");
    }

    // Events of jane: processed, delivered; of click: processed, delivered, open, click; of bounce:
    // processed, bounce.
    for _ in 0..8 {
        let next = tokio::time::timeout(Duration::from_secs(30), events.recv());
        let event = next.await?.ok_or("the receiver is gone")?;
        match event {
            Event::Email(event) => show(&event),
            other => println!("{:?}", other.name()),
        }
    }
    Ok(())
}

fn show(event: &EmailEvent) {
    let kind = event.event.as_ref().map_or("?", EmailEventKind::as_str);
    let whom: Vec<_> = event.concerns().collect();
    let more = match &event.event {
        Some(EmailEventKind::Bounce) => format!(
            "{}: {}",
            match event.is_hard_bounce() {
                Some(true) => "for good",
                Some(false) => "for now",
                None => "unknown kind",
            },
            event.message.as_deref().unwrap_or_default()
        ),
        Some(EmailEventKind::Open) => {
            let reader = event.reader();
            format!(
                "with {}",
                reader.and_then(|reader| reader.client).unwrap_or("?")
            )
        }
        Some(EmailEventKind::Click) => event.target().unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    println!(
        "{}",
        format!("{kind:9}  {:18}  {more}", whom.join(", ")).trim_end()
    );
}
