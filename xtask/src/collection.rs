//! The operations as a collection for Postman and Bruno.

use serde_json::{Map, Value, json};

use crate::document::{self, Document, JSON, OperationAt, list, map};

/// The file, from the root of the repository.
pub const COLLECTION: &str = "spec/smtp2go.postman_collection.json";

/// The format of the file.
const FORMAT: &str = "https://schema.getpostman.com/json/collection/v2.1.0/collection.json";

/// Converts a document to a collection: a folder per tag, a request per operation.
///
/// The base URL and the API key are variables; bodies are the examples of the document.
#[must_use]
pub fn collection(document: &Value) -> Map<String, Value> {
    let document = Document::new(document);
    let root = document.root();
    let operations = document.operations();
    let folders = list(&root["tags"]).iter().map(|tag| {
        let of_tag = operations
            .iter()
            .filter(|operation| operation.value["tags"][0] == tag["name"]);
        let requests: Vec<_> = of_tag
            .map(|operation| request(document, operation))
            .collect();
        json!({ "name": tag["name"], "description": tag["description"], "item": requests })
    });
    let folders: Vec<_> = folders.collect();
    let whole = json!({
        "info": {
            "name": root["info"]["title"],
            "version": root["info"]["version"],
            "description": "Set the variable `apiKey` to an API key. `baseUrl` chooses the region.",
            "schema": FORMAT,
        },
        "item": folders,
        "variable": [
            { "key": "baseUrl", "value": root["servers"][0]["url"] },
            { "key": "apiKey", "value": "" },
        ],
    });
    map(&whole).clone()
}

fn request(document: Document<'_>, operation: &OperationAt<'_>) -> Value {
    let path: Vec<_> = operation.path.split('/').skip(1).collect();
    let mut headers = Vec::new();
    if let Some(name) = key_header(document) {
        headers.push(json!({ "key": name, "value": "{{apiKey}}" }));
    }
    let mut request = json!({
        "method": operation.method.to_uppercase(),
        "url": {
            "raw": format!("{{{{baseUrl}}}}{}", operation.path),
            "host": ["{{baseUrl}}"],
            "path": path,
        },
        "description": operation.value["description"],
    });
    let examples = document::examples(&operation.value["requestBody"]["content"][JSON]);
    if let Some((_, example)) = examples.first() {
        headers.push(json!({ "key": "Content-Type", "value": JSON }));
        let mut body = (*example).clone();
        if let Some(field) = operation.value["x-smtp2go-key-in-body"].as_str() {
            body[field] = "{{apiKey}}".into();
        }
        request["body"] = json!({
            "mode": "raw",
            "raw": format!("{body:#}"),
            "options": { "raw": { "language": "json" } },
        });
    }
    request["header"] = headers.into();
    json!({ "name": operation.value["summary"], "request": request })
}

/// Returns the header for the API key.
fn key_header(document: Document<'_>) -> Option<&str> {
    let schemes = map(&document.root()["components"]["securitySchemes"]);
    let header = schemes.values().find(|scheme| scheme["in"] == "header")?;
    header["name"].as_str()
}
