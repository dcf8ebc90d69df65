//! The spec, as the tests read it.
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
    /// Null where nothing is known of the body.
    pub(crate) reply: Value,
    pub(crate) key_in_body: bool,
}

pub(crate) fn operations(spec: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    for (path, item) in spec["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let example = |body: &Value| body["content"]["application/json"]["example"].clone();
            operations.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                request: example(&operation["requestBody"]),
                reply: example(&operation["responses"]["200"]),
                key_in_body: operation.get("x-smtp2go-key-in-body").is_some(),
            });
        }
    }
    operations
}

/// Every example of a webhook's payload, named.
pub(crate) fn webhooks(spec: &Value) -> Vec<(String, Value)> {
    let mut payloads = Vec::new();
    for (name, item) in spec["x-webhooks"].as_object().unwrap() {
        for (media, content) in item["post"]["requestBody"]["content"].as_object().unwrap() {
            if let Some(example) = content.get("example") {
                payloads.push((format!("{name} {media}"), example.clone()));
            }
            for (kind, example) in content["examples"].as_object().into_iter().flatten() {
                payloads.push((format!("{name} {kind}"), example["value"].clone()));
            }
        }
    }
    payloads
}
