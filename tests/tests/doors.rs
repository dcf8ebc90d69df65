//! Every operation through each door, against the sandbox.

// A test that fails, fails by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;
mod support;

use log_watch::watched;
use serde_json::{Value, json};
use smtp2go_sandbox::{Call, Sandbox};
use smtp2go_sdk::{Client, blocking};
use smtp2go_tests::doors::DOORS;
use support::Operation;

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// What is fresh in every reply.
fn without_ids(mut reply: Value) -> Value {
    if let Value::Object(members) = &mut reply {
        members.remove("request_id");
        if let Some(Value::Object(data)) = members.get_mut("data") {
            for id in ["request_id", "email_id", "schedule_id"] {
                data.remove(id);
            }
        }
        if let Some(Value::Array(items)) = members.get_mut("data") {
            for item in items.iter_mut().filter_map(Value::as_object_mut) {
                item.remove("email_id");
                item.remove("schedule_id");
            }
        }
    }
    reply
}

/// The requests are the spec's examples, which no state goes with.
async fn stateless() -> Sandbox {
    Sandbox::builder()
        .strict(true)
        .stateless(true)
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn both_doors_send_and_read_the_same() {
    let operations = support::operations(&support::spec());
    assert_eq!(operations.len(), DOORS.len());
    for (operation, door) in operations.iter().zip(DOORS) {
        assert_eq!(operation.id, door.id);
        let sandbox = stateless().await;
        let client = Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let request = operation.request.to_string();
        let answers = (door.call)(&client, &client.raw(), &request)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", door.id));

        let calls = sandbox.calls();
        assert_eq!(calls.len(), 2, "{}", door.id);
        for call in &calls {
            assert_sent(call, operation, sandbox.key());
        }
        assert_eq!(calls[0].body(), calls[1].body(), "{}", door.id);

        if operation.reply.is_null() {
            assert!(
                answers.body.is_empty() && answers.raw.is_null(),
                "{}",
                door.id
            );
            continue;
        }
        let body = without_ids(parsed(&answers.body));
        let raw = without_ids(answers.raw);
        assert_eq!(strip(&raw), strip(&body), "{}", door.id);
        assert_handed_out(answers.data, &body, door.id);
    }
}

#[tokio::test]
async fn the_blocking_door_sends_and_reads_the_same() {
    for (operation, door) in support::operations(&support::spec()).iter().zip(DOORS) {
        let sandbox = stateless().await;
        let client = blocking::Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let request = operation.request.to_string();
        let (data, body) = tokio::task::spawn_blocking(move || (door.blocking)(&client, &request))
            .await
            .unwrap()
            .unwrap_or_else(|error| panic!("{}: {error}", door.id));

        let calls = sandbox.calls();
        assert_eq!(calls.len(), 1, "{}", door.id);
        assert_sent(&calls[0], operation, sandbox.key());
        if operation.reply.is_null() {
            assert!(body.is_empty(), "{}", door.id);
        } else {
            assert_handed_out(data, &without_ids(parsed(&body)), door.id);
        }
    }
}

/// The call is the operation's, with the request of the spec's example.
fn assert_sent(call: &Call, operation: &Operation, key: &str) {
    let id = operation.id.as_str();
    assert_eq!(call.operation(), Some(id));
    assert_eq!(call.method(), operation.method);
    assert_eq!(call.status(), 200);
    let mut sent = parsed(call.body());
    let mut wanted = operation.request.clone();
    if operation.key_in_body {
        assert_eq!(sent["api_key"], key, "{id}");
        sent.as_object_mut().unwrap().remove("api_key");
        wanted.as_object_mut().unwrap().remove("api_key");
    }
    if sent.get("fastaccept") == Some(&Value::Bool(false)) {
        sent.as_object_mut().unwrap().remove("fastaccept");
        wanted.as_object_mut().unwrap().remove("fastaccept");
    }
    assert_eq!(sent, wanted, "{id}");
}

/// A group's method hands out `data`, or all of a reply that has none.
fn assert_handed_out(data: Value, body: &Value, id: &str) {
    let (wanted, data) = match body.get("data") {
        Some(wanted) => (
            strip(wanted),
            without_ids(json!({ "data": data }))["data"].clone(),
        ),
        None => (strip(body), without_ids(data)),
    };
    assert_eq!(strip(&data), wanted, "{id}");
}

/// Without nulls, empty values and the difference between 1 and 1.0.
fn strip(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), strip(member)))
            .filter(|(_, member)| match member {
                Value::Null => false,
                Value::Array(items) => !items.is_empty(),
                Value::Object(members) => !members.is_empty(),
                Value::String(text) => !text.is_empty(),
                _ => true,
            })
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(strip).collect::<Vec<_>>().into(),
        Value::Number(number) => number.as_f64().into(),
        other => other.clone(),
    }
}
