//! Access to the spec for tests.
#![allow(dead_code)] // each test file uses a part

use std::path::{Path, PathBuf};

use serde_json::Value;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn spec() -> Value {
    let text = std::fs::read_to_string(root().join("spec/openapi.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) request: Value,
    /// The first example; null if the body is not documented.
    pub(crate) reply: Value,
    /// All examples, each with its name if it has one.
    pub(crate) replies: Vec<(String, Value)>,
    pub(crate) key_in_body: bool,
}

pub(crate) fn operations(spec: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in spec["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let json = |body: &Value| examples(&body["content"]["application/json"]);
            let first = |examples: &[(String, Value)]| {
                examples
                    .first()
                    .map_or(Value::Null, |(_, value)| value.clone())
            };
            let replies = json(&operation["responses"]["200"]);
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                request: first(&json(&operation["requestBody"])),
                reply: first(&replies),
                replies,
                key_in_body: operation.get("x-smtp2go-key-in-body").is_some(),
            });
        }
    }
    operations
}

/// Returns the examples of a body's content, each with its name if it has one.
pub(crate) fn examples(content: &Value) -> Vec<(String, Value)> {
    let one = content
        .get("example")
        .map(|value| (String::new(), value.clone()));
    let named = content["examples"].as_object().into_iter().flatten();
    let named = named.map(|(name, example)| (name.clone(), example["value"].clone()));
    one.into_iter().chain(named).collect()
}

/// Returns all examples of webhooks' payloads, with names.
pub(crate) fn webhooks(spec: &Value) -> Vec<(String, Value)> {
    let mut payloads = Vec::new();
    for (name, item) in spec["x-webhooks"].as_object().unwrap() {
        for (media, content) in item["post"]["requestBody"]["content"].as_object().unwrap() {
            for (kind, example) in examples(content) {
                payloads.push((format!("{name} {media} {kind}"), example));
            }
        }
    }
    payloads
}
