//! Mail that is not sent to suppressed recipients.

use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::SuppressionAddRequest;
use smtp2go_sdk::{CallOptions, Certainty, Client, Email, Mime};

use crate::support::Tested;

/// Suppresses addresses in the sandbox, and returns a client that skips suppressed recipients.
async fn checking(sandbox: &Sandbox, suppressed: &[&str]) -> Client {
    let client = sandbox.client();
    for address in suppressed {
        let request = SuppressionAddRequest::new(*address);
        client.suppression().add(request).await.unwrap();
    }
    client.with_options(CallOptions::new().skip_suppressed(true))
}

fn mail(to: &[&str]) -> Email {
    Email::new("a@example.com", "Hi")
        .to_all(to.iter().copied())
        .text("Hi")
}

fn addresses(mailboxes: &[smtp2go_sdk::Mailbox]) -> Vec<&str> {
    mailboxes
        .iter()
        .map(smtp2go_sdk::Mailbox::address)
        .collect()
}

/// Number of calls of an operation.
fn count(sandbox: &Sandbox, path: &str) -> usize {
    let calls = sandbox.calls();
    calls
        .iter()
        .filter(|call| call.path().ends_with(path))
        .count()
}

#[tokio::test]
async fn suppressed_recipients_are_left_out_and_reported() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = checking(&sandbox, &["Kim@example.net", "example.org"]).await;
    let mail = mail(&["kim@example.net", "Lou <lou@example.net>"])
        .cc("mia@example.org")
        .cc("LOU@example.net")
        .bcc("noa@example.org");
    let sent = client.send(mail.clone()).await.unwrap();
    assert_eq!(
        addresses(&sent.skipped),
        ["kim@example.net", "mia@example.org", "noa@example.org"]
    );
    assert!(!format!("{sent:?}").contains("kim"), "{sent:?}");
    let mails = sandbox.mails();
    assert_eq!(mails[0].recipients().len(), 2);
    // One look-up for each address.
    assert_eq!(count(&sandbox, "/suppression/view"), 4);

    let sent = sandbox.client().send(mail).await;
    assert!(sent.is_err() || sent.unwrap().skipped.is_empty());
    assert_eq!(count(&sandbox, "/suppression/view"), 4);
}

#[tokio::test]
async fn nothing_is_sent_if_nobody_is_left() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = checking(&sandbox, &["kim@example.net"]).await;
    let mail = mail(&["kim@example.net"]).cc("lou@example.net");
    let error = client.send(mail.idempotency_key("k")).await.unwrap_err();
    assert!(error.is_suppressed() && error.is_validation());
    assert_eq!(
        (error.kind(), error.certainty()),
        ("suppressed", Certainty::NotSent)
    );
    assert_eq!(error.field_errors()[0].field, "to[0]");
    let text = error.to_string();
    assert!(
        text.contains("all recipients in `to` are suppressed; nothing was sent; to[0]: "),
        "{text}"
    );
    assert_eq!(count(&sandbox, "/email/send"), 0);
}

#[tokio::test]
async fn failed_look_up_sends_nothing() {
    for (fault, rate_limited) in [
        (Fault::status(403), false),
        (Fault::status(503), false),
        (Fault::status(429), true),
        (Fault::stall(), false),
    ] {
        let sandbox = Sandbox::start_blocking().unwrap();
        sandbox.faults().add(fault.on("suppression_view"));
        let client = checking(&sandbox, &[]).await;
        let hurried = CallOptions::new().timeout(std::time::Duration::from_millis(200));
        let client = client.with_options(hurried);
        let error = client.send(mail(&["kim@example.net"])).await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_eq!(error.operation().unwrap().id, "suppression_view");
        assert_eq!(error.is_rate_limited(), rate_limited);
        assert!(
            error.to_string().contains("the mail was not sent"),
            "{error}"
        );
        assert_eq!(count(&sandbox, "/email/send"), 0);
    }
}

#[tokio::test]
async fn recipients_of_an_invalid_mail_are_not_looked_up() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = checking(&sandbox, &["kim@example.net"]).await;
    let error = client
        .send(mail(&["kim@example.net", "nobody"]))
        .await
        .unwrap_err();
    assert_eq!(error.field_errors()[0].field, "to[1]");
    assert_eq!(count(&sandbox, "/suppression/view"), 0);
}

#[tokio::test]
async fn send_all_and_send_once_skip_suppressed_recipients() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = checking(&sandbox, &["kim@example.net"]).await;
    let both = mail(&["kim@example.net", "lou@example.net"]).idempotency_key("k");
    let mut sending = client.send_all([both.clone(), mail(&["kim@example.net"])], 2);
    while let Some(outcome) = sending.next().await {
        match outcome.result {
            Ok(sent) => assert_eq!(addresses(&sent.skipped), ["kim@example.net"]),
            Err(error) => assert!(error.is_suppressed()),
        }
    }
    let report = sending.report();
    assert_eq!((report.sent(), report.not_sent()), (1, 1));
    let sent = client.send_once(both).await.unwrap();
    assert_eq!(addresses(&sent.skipped), ["kim@example.net"]);
}

#[tokio::test]
async fn batch_and_mime_message_are_refused() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let client = checking(&sandbox, &[]).await;
    let message = Mime::from_bytes("From: a@example.com\r\nTo: b@example.net\r\n\r\nHi");
    for error in [
        client.send_mime(message).await.unwrap_err(),
        client
            .send_batch([mail(&["b@example.net"])])
            .await
            .unwrap_err(),
    ] {
        assert!(error.is_config(), "{error}");
        assert!(error.to_string().contains("skip_suppressed"), "{error}");
    }
    assert!(sandbox.calls().is_empty());
}
