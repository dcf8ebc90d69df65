//! The tests that the SDK's README and `docs/testing.md` show.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use std::time::Duration;

use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Certainty, Client, Email, blocking};

#[tokio::test]
async fn new_user_is_welcomed() {
    let sandbox = Sandbox::start().await.unwrap();
    let builder = Client::builder(sandbox.key()).base_url(sandbox.base_url());
    let client = builder.build().unwrap();

    let mail = Email::new("noreply@example.com", "Welcome")
        .to("jane@example.net")
        .text("Hi");
    client.send(mail).await.unwrap(); // your own code instead

    sandbox.assert_mail(|mail| mail.subject() == Some("Welcome"));
}

fn client(sandbox: &Sandbox) -> Client {
    let builder = Client::builder(sandbox.key()).base_url(sandbox.base_url());
    builder.build().unwrap()
}

fn welcome(address: &str) -> Email {
    Email::new("noreply@example.com", "Welcome")
        .to(address)
        .text("Hi")
        .idempotency_key("user-7/welcome")
}

#[test]
fn new_user_is_welcomed_without_async() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let builder = blocking::Client::builder(sandbox.key()).base_url(sandbox.base_url());
    let client = builder.build().unwrap();

    client.send(welcome("jane@example.net")).unwrap(); // your own code instead

    sandbox.assert_mail(|mail| mail.subject() == Some("Welcome"));
}

#[tokio::test]
async fn mail_whose_reply_is_lost_is_unknown_and_accepted() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox
        .faults()
        .add("email_send:nth=1:close".parse::<Fault>().unwrap());

    let sent = client(&sandbox).send(welcome("jane@example.net")).await;

    assert_eq!(sent.unwrap_err().certainty(), Certainty::Unknown);
    assert_eq!(sandbox.mails().len(), 1);
}

#[tokio::test]
async fn address_that_bounces_is_suppressed() {
    let sandbox = Sandbox::start().await.unwrap();
    sandbox.freeze();
    let client = client(&sandbox);
    client.send(welcome("bounce@example.net")).await.unwrap();

    sandbox.advance(Duration::from_secs(1)); // the mail bounces after 50 ms

    let found = client.suppression().lookup("bounce@example.net").await;
    assert_eq!(found.unwrap().len(), 1);
}
