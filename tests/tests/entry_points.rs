//! Every operation through each entry point, against the sandbox.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;
mod support;

use log_watch::watched;
use serde_json::{Value, json};
use smtp2go_sandbox::{Call, Sandbox};
use smtp2go_sdk::{Client, blocking};
use smtp2go_tests::entry_points::ENTRY_POINTS;
use support::Operation;

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}

/// Removes the values that differ in every reply.
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

/// A sandbox without state, because the spec's examples refer to none.
async fn stateless() -> Sandbox {
    Sandbox::builder()
        .strict(true)
        .stateless(true)
        .start()
        .await
        .unwrap()
}

#[tokio::test]
async fn group_and_raw_method_send_and_read_the_same() {
    let operations = support::operations(&support::spec());
    assert_eq!(operations.len(), ENTRY_POINTS.len());
    for (operation, entry_points) in operations.iter().zip(ENTRY_POINTS) {
        assert_eq!(operation.id, entry_points.id);
        let sandbox = stateless().await;
        let client = Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let request = operation.request.to_string();
        let answers = (entry_points.call)(&client, &client.raw(), &request)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", entry_points.id));

        let calls = sandbox.calls();
        assert_eq!(calls.len(), 2, "{}", entry_points.id);
        for call in &calls {
            assert_sent(call, operation, sandbox.key());
        }
        assert_eq!(calls[0].body(), calls[1].body(), "{}", entry_points.id);

        if operation.reply.is_null() {
            assert!(
                answers.body.is_empty() && answers.raw.is_null(),
                "{}",
                entry_points.id
            );
            continue;
        }
        let body = without_ids(parsed(&answers.body));
        let raw = without_ids(answers.raw);
        assert_eq!(strip(&raw), strip(&body), "{}", entry_points.id);
        assert_handed_out(answers.data, &body, entry_points.id);
    }
}

#[tokio::test]
async fn blocking_method_sends_and_reads_the_same() {
    for (operation, entry_points) in support::operations(&support::spec())
        .iter()
        .zip(ENTRY_POINTS)
    {
        let sandbox = stateless().await;
        let client = blocking::Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let request = operation.request.to_string();
        let (data, body) =
            tokio::task::spawn_blocking(move || (entry_points.blocking)(&client, &request))
                .await
                .unwrap()
                .unwrap_or_else(|error| panic!("{}: {error}", entry_points.id));

        let calls = sandbox.calls();
        assert_eq!(calls.len(), 1, "{}", entry_points.id);
        assert_sent(&calls[0], operation, sandbox.key());
        if operation.reply.is_null() {
            assert!(body.is_empty(), "{}", entry_points.id);
        } else {
            assert_handed_out(data, &without_ids(parsed(&body)), entry_points.id);
        }
    }
}

/// Checks that the call is the operation's, with the request of the spec's example.
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

/// Checks that a group's method returned the `data` of the reply, or the whole reply if it has no `data`.
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

/// Removes nulls, empty values and the difference between 1 and 1.0.
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
