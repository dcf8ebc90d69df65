//! The events of the vendor's button "Test this webhook", with a receiver that deduplicates.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::cell::Cell;

use serde_json::Value;
use smtp2go_sdk::webhook::{MemoryDeduplicator, Receiver, RequestHead};

const EVENTS: &str = include_str!("../../smtp2go-types/tests/webhook/vendor.jsonl");
const FORM: &str = "application/x-www-form-urlencoded";

/// Posts the body, and returns the status and how often the handler was called.
async fn post(receiver: &Receiver, content_type: &str, body: &str) -> (u16, u32) {
    let handled = Cell::new(0);
    let head = RequestHead::new("/webhook").content_type(content_type);
    let answer = receiver
        .handle(&head, body.as_bytes(), |event| {
            assert!(event.as_email().is_some(), "{body}");
            handled.set(handled.get() + 1);
            std::future::ready(())
        })
        .await;
    (answer.status().as_u16(), handled.get())
}

fn form(event: &Value) -> String {
    let mut pairs = Vec::new();
    for (name, value) in event.as_object().unwrap() {
        let text = match value {
            Value::Array(items) => items[0].as_str(),
            value => value.as_str(),
        };
        let encoded = percent_encoding::utf8_percent_encode(
            text.unwrap(),
            percent_encoding::NON_ALPHANUMERIC,
        );
        pairs.push(format!("{name}={encoded}"));
    }
    pairs.join("&")
}

#[tokio::test]
async fn vendor_test_event_is_handled_once_in_both_formats() {
    let receiver = Receiver::without_authentication().deduplicate(MemoryDeduplicator::new());
    for line in EVENTS.lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        // Posted twice, and once more as a form.
        for (content_type, body, handled) in [
            ("application/json", line.to_owned(), 1),
            ("application/json", line.to_owned(), 0),
            (FORM, form(&event), 0),
        ] {
            let answer = post(&receiver, content_type, &body).await;
            assert_eq!(answer, (200, handled), "{body}");
        }
        // The button is pressed again a second later: the id is the same.
        let later = line.replace("10:02:04Z", "10:02:05Z");
        assert_eq!(post(&receiver, "", &later).await, (200, 1), "{later}");
    }
}

#[tokio::test]
async fn rejections_in_the_same_second_are_all_handled() {
    let receiver = Receiver::without_authentication().deduplicate(MemoryDeduplicator::new());
    let reject = EVENTS.lines().find(|line| line.contains("\"reject\""));
    let reject = reject.unwrap();
    assert!(reject.contains(r#""email_id":"Unavailable""#), "{reject}");
    for subject in ["Invoice 7", "Invoice 8"] {
        let body = reject.replace(r#""Test""#, &format!("{subject:?}"));
        assert_eq!(post(&receiver, "", &body).await, (200, 1), "{body}");
        assert_eq!(post(&receiver, "", &body).await, (200, 0), "{body}");
    }
}
