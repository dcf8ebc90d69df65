//! Code of both tests: a local SMTP2GO that loses replies, and a worker with short times.

use std::collections::BTreeMap;
use std::time::Duration;

use smtp2go_outbox::{Outbox, State, Worker};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Client, Email};

/// Number of queued mails.
pub const MAILS: usize = 10;

/// Number of jobs for each mail.
pub const JOBS: usize = 3;

/// Starts a local SMTP2GO. It accepts the first mail but loses the reply, and loses the second mail.
pub async fn local() -> (Sandbox, Client) {
    let lost = |nth, sent| Fault::reset().on("email_send").nth(nth).carried_out(sent);
    let sandbox = Sandbox::builder()
        .fault(lost(1, true))
        .fault(lost(2, false))
        .start()
        .await
        .unwrap();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

/// Returns a worker whose `deliver` the jobs call. Its times are seconds instead of minutes,
/// because the local activity has no lag.
pub fn worker(outbox: &Outbox, client: Client) -> Worker {
    let ms = Duration::from_millis;
    outbox
        .worker(client)
        .send_deadline(ms(1500))
        .lease_margin(ms(100))
        .lease(ms(2000))
        .look_up_after(ms(200))
        .look_up_margin(ms(0))
        .look_up_handover(ms(300))
        .give_up_after(ms(1000))
        .sweep_every(ms(200))
        .build()
        .unwrap()
}

pub fn key(number: usize) -> String {
    format!("order-{number}/confirmation")
}

pub async fn queue(outbox: &Outbox) {
    for number in 0..MAILS {
        let mail = Email::new("Shop <shop@example.com>", "Your order")
            .to(format!("customer{number}@example.net"))
            .text("Thank you.")
            .idempotency_key(key(number));
        outbox.put(mail).await.unwrap();
    }
}

pub async fn all_sent(outbox: &Outbox) {
    while outbox.counts().await.unwrap() != [(State::Sent, MAILS as u64)] {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Asserts that each recipient has one mail.
pub fn assert_one_mail_each(sandbox: &Sandbox) {
    let mut inbox = BTreeMap::new();
    for mail in sandbox.mails() {
        *inbox.entry(mail.to().join(", ")).or_insert(0) += 1;
    }
    assert_eq!(inbox.len(), MAILS);
    assert!(inbox.values().all(|mails| *mails == 1), "{inbox:?}");
}
