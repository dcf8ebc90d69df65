//! Assertions on received mail, and their failure messages.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde_json::json;
use smtp2go_sandbox::{Fault, Sandbox};
use support::post;

/// Runs an assertion that fails, and returns its message.
fn failure(assertion: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(assertion)).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn failed_assertion_lists_what_was_received() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.assert_no_mail();
    let message = failure(|| drop(sandbox.assert_mail(|_| true)));
    assert!(
        message.contains("no mail was received\nno call was received"),
        "{message}"
    );

    let mail = json!({ "sender": "a@example.com", "to": ["Jane <jane@example.net>"], "cc": ["c@example.org"],
                       "subject": "Hi", "text_body": "Hello, ".repeat(20) });
    post(&sandbox, "/email/send", &mail);
    let found = sandbox.assert_mail(|mail| mail.recipients().contains(&"c@example.org"));
    assert_eq!(found.subject(), Some("Hi"));
    assert_eq!(sandbox.assert_mails(1).len(), 1);
    sandbox.faults().add(Fault::status(502).nth(2));
    post(&sandbox, "/email/send", &json!({ "to": [] }));
    post(&sandbox, "/email/send", &mail);
    for message in [
        failure(|| drop(sandbox.assert_mail(|mail| mail.subject() == Some("Welcome")))),
        failure(|| drop(sandbox.assert_mails(2))),
        failure(|| sandbox.assert_no_mail()),
    ] {
        for part in [
            "1 mail was received:",
            "1. a@example.com -> jane@example.net, c@example.org: \"Hi\" \"Hello, Hello, ",
            "…\" (email_send)",
            "3 calls were received, 2 with problems:",
            "POST /v3/email/send 400 refused: ",
            "POST /v3/email/send 502 fault: status 502, not carried out",
        ] {
            assert!(message.contains(part), "{part}: {message}");
        }
    }
}

#[test]
fn blocking_wait_without_a_runtime_returns_the_next_mail() {
    let sandbox = Sandbox::start_blocking().unwrap();
    assert!(sandbox.wait_for_mail_blocking(Duration::ZERO).is_none());
    let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "text_body": "Hello" });
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| sandbox.wait_for_mail_blocking(Duration::from_secs(60)));
        post(&sandbox, "/email/send", &mail);
        assert_eq!(waiting.join().unwrap().unwrap().to(), ["b@example.net"]);
    });
}

#[test]
fn on_call_receives_every_call_with_its_outcome() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let sandbox = Sandbox::builder()
        .on_call(move |call| sender.send(call.to_string()).unwrap())
        .fault(Fault::reset_before_reading().nth(2))
        .start_blocking()
        .unwrap();
    post(&sandbox, "/email/send", &json!({}));
    drop(std::panic::catch_unwind(AssertUnwindSafe(|| {
        post(&sandbox, "/email/send", &json!({}))
    })));
    let lines: Vec<_> = receiver.iter().take(2).collect();
    assert_eq!(
        lines[0],
        "POST /v3/email/send 400 refused: sender: The field is required."
    );
    assert_eq!(
        lines[1],
        "POST /v3/email/send --- fault: reset before reading, not read"
    );
}
