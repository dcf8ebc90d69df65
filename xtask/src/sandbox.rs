//! Data of the sandbox: operations, JSON Schemas and examples, in one JSON file.

use serde_json::{Map, Value, json};

use crate::document::{self, Document, JSON, list, map};
use crate::schema;

/// Returns the sandbox's file.
pub(crate) fn api(document: Document<'_>, mark: &str) -> Value {
    let operations: Vec<_> = document
        .operations()
        .iter()
        .map(|operation| {
            let request = &operation.value["requestBody"]["content"][JSON];
            let reply = &document.response(&operation.value["responses"]["200"])["content"][JSON];
            let schema = |content: &Value| match content["schema"].is_null() {
                true => Value::Null,
                false => schema::convert(document, &content["schema"]),
            };
            let first = |content| {
                let examples = document::examples(content);
                examples.first().map(|(_, value)| (*value).clone())
            };
            let mut row = json!({
                "id": operation.value["operationId"],
                "method": operation.method.to_uppercase(),
                "path": operation.path,
                "group": operation.value["tags"][0],
                "max_body_bytes": operation.value["x-smtp2go-max-body-bytes"],
                "key_in_body": operation.value["x-smtp2go-key-in-body"],
                "subaccount": operation.value["x-smtp2go-subaccount"],
                "rate_limit": operation.value["x-smtp2go-rate-limit"],
                "pagination": operation.value["x-smtp2go-pagination"],
                "request": schema(request),
                "reply": schema(reply),
                "request_example": first(request),
                "reply_example": first(reply),
            });
            let named = map(&reply["examples"]).iter();
            let named: Map<_, _> = named
                .map(|(name, example)| (name.clone(), example["value"].clone()))
                .collect();
            if !named.is_empty() {
                row["reply_examples"] = named.into();
            }
            row
        })
        .collect();
    let mut api = Map::new();
    api.insert("x-generated".to_owned(), mark.into());
    api.insert("operations".to_owned(), operations.into());
    let webhooks = document.webhooks().into_iter().map(|webhook| {
        let body = &webhook.value["requestBody"]["content"][JSON]["schema"];
        (webhook.name.to_owned(), event(document, body))
    });
    api.insert(
        "webhooks".to_owned(),
        webhooks.collect::<Map<_, _>>().into(),
    );
    api.insert("$defs".to_owned(), schema::definitions(document));
    api.into()
}

/// Returns the schema of an event. It allows every type that was seen in a field, because the sandbox, like
/// the service, does not always post the documented type.
fn event(document: Document<'_>, schema: &Value) -> Value {
    let component = document.resolve(schema);
    let mut event = schema::convert(document, component);
    for (name, property) in map(&component["properties"]) {
        let mut types = vec![property["type"].clone()];
        types.extend_from_slice(list(&property["x-smtp2go-also"]));
        if types.len() > 1 {
            event["properties"][name]["type"] = types.into();
        }
    }
    event
}
