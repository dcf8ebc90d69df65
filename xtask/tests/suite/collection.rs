//! The collection for Postman and Bruno.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xtask::collection::{COLLECTION, collection};

use crate::fixture;

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(fixture::repository().join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn collection_has_every_operation_with_its_example() {
    let (document, collection) = (read("spec/openapi.json"), read(COLLECTION));
    let mut requests = Vec::new();
    for folder in collection["item"].as_array().unwrap() {
        for request in folder["item"].as_array().unwrap() {
            requests.push((&folder["name"], request));
        }
    }
    let names: BTreeSet<_> = requests
        .iter()
        .map(|(_, request)| request["name"].as_str())
        .collect();
    assert_eq!(
        names.len(),
        requests.len(),
        "`newman --folder` finds a request by its name"
    );

    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            let (folder, request) = requests
                .iter()
                .find(|(_, request)| request["name"] == operation["summary"])
                .unwrap_or_else(|| panic!("{path} is missing"));
            assert_eq!(**folder, operation["tags"][0], "{path}");
            let request = &request["request"];
            assert_eq!(request["method"], method.to_uppercase(), "{path}");
            assert_eq!(request["url"]["raw"], format!("{{{{baseUrl}}}}{path}"));
            let url: Vec<_> = request["url"]["path"]
                .as_array()
                .unwrap()
                .iter()
                .map(|part| part.as_str().unwrap())
                .collect();
            assert_eq!(format!("/{}", url.join("/")), *path);
            let headers = json!([
                { "key": "X-Smtp2go-Api-Key", "value": "{{apiKey}}" },
                { "key": "Content-Type", "value": "application/json" },
            ]);
            assert_eq!(request["header"], headers, "{path}");

            let content = &operation["requestBody"]["content"]["application/json"];
            let named = content["examples"]
                .as_object()
                .and_then(|all| all.values().next());
            let mut example = content
                .get("example")
                .or_else(|| named?.get("value"))
                .unwrap()
                .clone();
            if let Some(field) = operation["x-smtp2go-key-in-body"].as_str() {
                example[field] = json!("{{apiKey}}");
            }
            let body: Value =
                serde_json::from_str(request["body"]["raw"].as_str().unwrap()).unwrap();
            assert_eq!(body, example, "{path}");
        }
    }
    assert_eq!(operations, requests.len());
}

#[test]
fn variables_have_the_first_server_and_no_key() {
    assert_eq!(
        read(COLLECTION)["variable"],
        json!([
            { "key": "baseUrl", "value": "https://api.smtp2go.com/v3" },
            { "key": "apiKey", "value": "" },
        ])
    );
}

#[test]
fn first_of_several_examples_is_the_body() {
    let mut document = fixture::spec().document;
    let content = "/paths/~1parcel~1send/post/requestBody/content/application~1json";
    let content = document
        .pointer_mut(content)
        .unwrap()
        .as_object_mut()
        .unwrap();
    content.remove("example").unwrap();
    content.insert(
        "examples".to_owned(),
        json!({ "z": { "value": { "a": 1 } }, "b": { "value": 2 } }),
    );
    let made = Value::Object(collection(&document));
    let body = &made["item"][0]["item"][0]["request"]["body"];
    assert_eq!(body["raw"], "{\n  \"a\": 1\n}");
}
