//! The default date ranges of searches, and the activity lag, over HTTP. The sandbox is strict: it
//! checks every reply against the spec.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{Sandbox, SandboxBuilder};
use smtp2go_types::Timestamp;
use support::{post, send};

const DAY: u64 = 86_400;

/// Starts a strict sandbox whose clock is frozen at noon.
fn sandbox(change: impl FnOnce(SandboxBuilder) -> SandboxBuilder) -> Sandbox {
    let builder = change(Sandbox::builder().strict(true));
    let sandbox = builder.start_blocking().unwrap();
    sandbox.freeze();
    let now = Timestamp::from(sandbox.now()).unix_seconds().unwrap();
    let noon = 43_200 - now.rem_euclid(86_400) + 86_400;
    advance(&sandbox, noon.unsigned_abs());
    sandbox
}

fn advance(sandbox: &Sandbox, seconds: u64) {
    sandbox.advance(Duration::from_secs(seconds));
}

fn data(sandbox: &Sandbox, path: &str, request: &Value) -> Value {
    let reply = post(sandbox, path, request);
    assert_eq!(reply.status, 200, "{path} {request} {}", reply.body);
    reply.json()["data"].clone()
}

fn send_mail(sandbox: &Sandbox, key: &str) {
    let request = json!({
        "sender": "a@example.com", "to": ["b@example.net"], "subject": "Hi", "text_body": "Hello",
        "custom_headers": [{ "header": "X-Idempotency-Key", "value": key }],
    });
    data(sandbox, "/email/send", &request);
}

/// Returns a count in a reply, or the length of a list.
fn count(data: &Value, pointer: &str) -> u64 {
    let found = data.pointer(pointer).unwrap();
    let length = || u64::try_from(found.as_array()?.len()).ok();
    found.as_u64().or_else(length).unwrap()
}

#[test]
fn search_without_dates_covers_the_documented_range() {
    let sandbox = sandbox(|builder| builder);
    send_mail(&sandbox, "k");
    data(
        &sandbox,
        "/sms/send",
        &json!({ "destination": ["+15550001"], "content": "Hi" }),
    );
    sandbox.receive_sms("+15550001", "+15550002", "Hi");
    data(
        &sandbox,
        "/suppression/add",
        &json!({ "email_address": "kim@example.net" }),
    );
    // The path, the pointer to the count, and the ages in days at which an entry is found.
    let windows: [(&str, &str, RangeInclusive<u64>); 8] = [
        ("/activity/search", "/total_events", 0..=0),
        ("/archive/search", "/email_count", 0..=0),
        ("/email/search", "/count", 0..=0),
        ("/sms/summary", "/total_messages", 0..=0),
        ("/sms/view-sent", "/messages", 0..=7),
        ("/sms/view-received", "/messages", 0..=7),
        ("/stats/email_history", "/count", 0..=30),
        // The default end is the start of today.
        ("/suppression/view", "/total_results", 1..=30),
    ];
    for age in 0..33 {
        for (path, pointer, listed) in &windows {
            let found = count(&data(&sandbox, path, &json!({})), pointer);
            assert_eq!(found > 0, listed.contains(&age), "{path} after {age} days");
        }
        advance(&sandbox, DAY);
    }
}

#[test]
fn search_after_midnight_finds_mail_of_the_day_before_only_with_a_start_date() {
    let sandbox = sandbox(|builder| builder);
    advance(&sandbox, 43_200 - 60);
    send_mail(&sandbox, "k");
    advance(&sandbox, 120);
    let path = "/activity/search";
    assert_eq!(data(&sandbox, path, &json!({}))["total_events"], 0);
    let start = Timestamp::from(sandbox.now() - Duration::from_secs(600));
    let request = json!({ "start_date": start.as_str() });
    assert_eq!(data(&sandbox, path, &request)["total_events"], 2);
    // The end of a range is exclusive.
    let sent = Timestamp::from(sandbox.now() - Duration::from_secs(120));
    let request = json!({ "start_date": start.as_str(), "end_date": sent.as_str() });
    assert_eq!(data(&sandbox, path, &request)["total_events"], 0);
    let request = json!({ "start_date": sent.as_str() });
    assert_eq!(data(&sandbox, path, &request)["total_events"], 2);
}

#[test]
fn suppression_of_today_is_found_only_with_an_end_date_in_the_future() {
    let sandbox = sandbox(|builder| builder);
    data(
        &sandbox,
        "/suppression/add",
        &json!({ "email_address": "kim@example.net" }),
    );
    let total =
        |request: &Value| data(&sandbox, "/suppression/view", request)["total_results"].clone();
    assert_eq!(total(&json!({})), 0);
    assert_eq!(total(&json!({ "start_date": "2000-01-01" })), 0);
    assert_eq!(total(&json!({ "end_date": "2999-01-01" })), 1);
}

#[test]
fn event_is_found_when_the_activity_lag_is_over() {
    let sandbox = sandbox(|builder| builder.activity_lag(Duration::from_secs(120)));
    send_mail(&sandbox, "order-42");
    let search = json!({ "custom_headers": ["x-idempotency-key"] });
    // A mail is processed at once and delivered a second later.
    for (wait, found) in [(0, 0), (119, 0), (1, 1), (1, 2)] {
        advance(&sandbox, wait);
        let data = data(&sandbox, "/activity/search", &search);
        assert_eq!(data["total_events"], found, "{wait}");
        for event in data["events"].as_array().unwrap() {
            assert_eq!(event["custom_headers"]["x-idempotency-key"], "order-42");
        }
    }
    // A new lag also applies to past events, and a reset keeps it.
    let admin = |method: &str, body: &str| {
        send(&sandbox, method, "/_sandbox/activity", &[], body.as_bytes())
    };
    assert_eq!(admin("GET", "").json()["lag"], 120.0);
    assert_eq!(admin("POST", r#"{"lag":3600.5}"#).json()["lag"], 3600.5);
    assert_eq!(
        data(&sandbox, "/activity/search", &search)["total_events"],
        0
    );
    assert_eq!(admin("POST", r#"{"lag":-1}"#).status, 400);
    sandbox.set_activity_lag(Duration::from_secs(60));
    sandbox.reset();
    assert_eq!(admin("GET", "").json()["lag"], 60.0);
}

#[test]
fn event_that_appears_between_two_pages_does_not_shift_them() {
    let sandbox = sandbox(|builder| builder.activity_lag(Duration::from_secs(10)));
    for number in 0..5 {
        send_mail(&sandbox, &number.to_string());
        advance(&sandbox, 1);
    }
    advance(&sandbox, 8);
    let mut request = json!({ "limit": 2, "event_types": ["processed"],
                              "custom_headers": ["X-Idempotency-Key"] });
    let mut seen = Vec::new();
    loop {
        let data = data(&sandbox, "/activity/search", &request);
        let events = data["events"].as_array().unwrap().iter();
        seen.extend(events.map(|event| {
            let key = &event["custom_headers"]["X-Idempotency-Key"];
            key.as_str().unwrap().to_owned()
        }));
        let Some(token) = data.get("continue_token") else {
            break;
        };
        request["continue_token"] = token.clone();
        advance(&sandbox, 60);
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
}
