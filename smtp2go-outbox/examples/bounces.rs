//! Records whether mails were delivered or bounced. Refuses sign-ups with an address that bounced
//! before.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example bounces
//! ```

#![allow(clippy::print_stdout)]

mod support;

use std::time::Duration;

use smtp2go_outbox::{Dedup, Outbox, State};
use smtp2go_sdk::types::EmailEventKind;
use smtp2go_sdk::webhook::axum::router;
use smtp2go_sdk::webhook::{Auth, Event, Receiver, Subscription};
use smtp2go_sdk::{Client, Email};
use support::{Result, all_settled};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let (_sandbox, client) = support::local(|sandbox| sandbox).await?;
    let folder = tempfile::tempdir()?;
    let outbox = Outbox::open_sqlite(folder.path().join("outbox.db")).await?;
    receive_events(&client, &outbox).await?;

    // In the local SMTP2GO, mail to bounce@… bounces.
    for name in ["jane", "bounce"] {
        let mail = Email::new("Shop <shop@example.com>", "Your order")
            .to(format!("{name}@example.net"))
            .text("Thank you.")
            .idempotency_key(format!("order-42/{name}"));
        outbox.put(mail).await?;
    }
    let worker = outbox.worker(client.clone()).build()?;
    worker.run_until(all_settled(&outbox)).await?;
    // Wait until the outbox has recorded the events.
    while !outbox.list(Some(State::Sent), "").await?.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    for record in outbox.list(None, "").await? {
        println!("{}: {}", record.key, record.state);
    }
    for address in ["jane@example.net", "bounce@example.net"] {
        println!("{address}: {}", may_confirm(&client, address).await?);
    }
    Ok(())
}

async fn receive_events(client: &Client, outbox: &Outbox) -> Result {
    let auth = Auth::bearer("EXAMPLE-long-random-token")?;
    let receiver = Receiver::new(auth.clone()).deduplicate(Dedup::new(outbox));
    let outbox = outbox.clone();
    let app = router("/webhook", receiver, move |event: Event| {
        let outbox = outbox.clone();
        // After an error the status is 500, and the service posts the event again.
        async move { outbox.record(&event).await.map(drop) }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/webhook", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });

    let events = Subscription::email([
        EmailEventKind::Delivered,
        EmailEventKind::Bounce,
        EmailEventKind::Spam,
        EmailEventKind::Reject,
    ])
    .and_header(client.idempotency_header());
    let ensured = client.ensure_webhook(&url, events, &auth).await?;
    match ensured.differences.first() {
        None => Ok(()),
        Some(difference) => Err(format!("the webhook differs: {difference}").into()),
    }
}

/// Returns the text shown to a user who signs up with this address.
async fn may_confirm(client: &Client, address: &str) -> Result<&'static str> {
    let suppressions = client.suppression().lookup(address).await?;
    Ok(if suppressions.is_empty() {
        "we have sent you a mail: confirm your address"
    } else {
        "mail to this address came back: use another one"
    })
}
