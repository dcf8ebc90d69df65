//! The document in OpenAPI 3.1, which must be equivalent to the one in 3.0.3.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use xtask::twin::{TWIN, twin};

use crate::fixture;

/// Components of 3.0, and their form in 3.1.
#[test]
fn constructs_of_3_0_are_converted_to_3_1() {
    let open = json!({ "$ref": "#/components/schemas/Open" });
    let table = [
        (
            json!({ "A": { "type": "string", "nullable": true, "description": "d", "example": null } }),
            json!({ "A": { "type": ["string", "null"], "description": "d", "examples": [null] } }),
        ),
        (
            json!({ "A": { "type": "integer", "nullable": false, "minimum": 1, "enum": [1, 2] } }),
            json!({ "A": { "type": "integer", "minimum": 1, "enum": [1, 2] } }),
        ),
        (
            json!({ "A": {
                "type": "object",
                "required": ["example"],
                "properties": { "example": { "type": "string", "example": "nullable" } },
                "additionalProperties": false,
            } }),
            json!({ "A": {
                "type": "object",
                "required": ["example"],
                "properties": { "example": { "type": "string", "examples": ["nullable"] } },
                "additionalProperties": false,
            } }),
        ),
        (
            json!({ "A": {
                "type": "array",
                "items": { "type": "object", "additionalProperties": { "type": "number", "nullable": true } },
            } }),
            json!({ "A": {
                "type": "array",
                "items": { "type": "object", "additionalProperties": { "type": ["number", "null"] } },
            } }),
        ),
        (
            json!({ "A": { "oneOf": [{ "type": "number" }, { "type": "string", "nullable": true }] } }),
            json!({ "A": { "oneOf": [{ "type": "number" }, { "type": ["string", "null"] }] } }),
        ),
        (
            json!({
                "Open": { "type": "string", "format": "word", "x-extensible-enum": ["a", "b"], "default": "a" },
                "Reply": { "type": "object", "properties": { "a": open } },
                "Request": { "type": "object", "properties": {
                    "one": { "allOf": [open], "x-smtp2go-known-words-only": true },
                    "list": { "type": "array", "items": open, "x-smtp2go-known-words-only": true },
                } },
            }),
            json!({
                "Open": {
                    "format": "word",
                    "default": "a",
                    "anyOf": [{ "$ref": "#/components/schemas/KnownOpen" }, { "type": "string" }],
                },
                "KnownOpen": {
                    "type": "string",
                    "description": "The values of `Open` that are known today.",
                    "enum": ["a", "b"],
                },
                "Reply": { "type": "object", "properties": { "a": open } },
                "Request": { "type": "object", "properties": {
                    "one": { "allOf": [open], "x-smtp2go-known-words-only": true },
                    "list": { "type": "array", "items": open, "x-smtp2go-known-words-only": true },
                } },
            }),
        ),
    ];
    for (from, to) in table {
        let document = json!({ "components": { "schemas": from } });
        assert_eq!(twin(&document)["components"]["schemas"], to, "{from}");
    }
}

#[test]
fn webhooks_are_moved_and_body_examples_kept() {
    let example = json!({ "schema": { "nullable": true, "example": 1 }, "examples": { "x": 2 } });
    let schema = |of: Value| json!({ "content": { "application/json": { "schema": of, "example": example } } });
    let of = schema(json!({ "type": "string", "nullable": true }));
    let to = schema(json!({ "type": ["string", "null"] }));
    let document = json!({
        "openapi": "3.0.3",
        "info": { "description": "See `x-webhooks` and `x-extensible-enum`." },
        "paths": { "/a": { "post": { "requestBody": of, "responses": { "200": of } } } },
        "x-webhooks": { "event": { "post": { "requestBody": of } } },
        "components": { "responses": { "Bad": of } },
    });
    let wanted = json!({
        "openapi": "3.1.1",
        "info": { "description": "See `webhooks` and `anyOf`." },
        "paths": { "/a": { "post": { "requestBody": to, "responses": { "200": to } } } },
        "webhooks": { "event": { "post": { "requestBody": to } } },
        "components": { "responses": { "Bad": to } },
    });
    assert_eq!(Value::Object(twin(&document)), wanted);
}

/// The meaning of a schema, in a form that is the same for OpenAPI 3.0 and 3.1.
#[derive(Debug, PartialEq)]
struct Said {
    types: BTreeSet<String>,
    reference: Value,
    required: Value,
    values: Value,
    limits: Vec<Value>,
    description: Value,
}

/// Returns each schema within the components, by its JSON pointer.
fn places(document: &Value) -> BTreeMap<String, Said> {
    let schemas = &document["components"]["schemas"];
    let mut places = BTreeMap::new();
    for (name, schema) in schemas.as_object().unwrap() {
        let made = name
            .strip_prefix("Known")
            .is_some_and(|name| schemas.get(name).is_some());
        if !made {
            place(schemas, schema, name, &mut places);
        }
    }
    places
}

fn place(schemas: &Value, schema: &Value, at: &str, into: &mut BTreeMap<String, Said>) {
    let Some(members) = schema.as_object() else {
        return;
    };
    // An open enum of 3.1 has its type in one choice, and its values in a component.
    let (known, any) = (&schema["anyOf"][0]["$ref"], &schema["anyOf"][1]);
    let own = if any.is_null() { schema } else { any };
    let mut types: BTreeSet<_> = match &own["type"] {
        Value::Array(types) => types.iter().map(ToString::to_string).collect(),
        Value::Null => BTreeSet::new(),
        kind => [kind.to_string()].into(),
    };
    if schema["nullable"] == true {
        types.insert("\"null\"".to_owned());
    }
    let values = match known.as_str() {
        Some(known) => &schemas[known.rsplit('/').next().unwrap()]["enum"],
        None => schema.get("x-extensible-enum").unwrap_or(&schema["enum"]),
    };
    let limits = [
        "minimum",
        "maximum",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "format",
        "default",
        "deprecated",
    ];
    let said = Said {
        types,
        reference: schema["$ref"].clone(),
        required: schema["required"].clone(),
        values: values.clone(),
        limits: limits.map(|limit| schema[limit].clone()).to_vec(),
        description: schema["description"].clone(),
    };
    into.insert(at.to_owned(), said);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        place(schemas, property, &format!("{at}/{name}"), into);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = members.get(key) {
            place(schemas, inner, &format!("{at}/{key}"), into);
        }
    }
    for key in ["allOf", "oneOf"] {
        for (index, part) in schema[key].as_array().into_iter().flatten().enumerate() {
            place(schemas, part, &format!("{at}/{key}/{index}"), into);
        }
    }
}

fn read(path: &str) -> Value {
    let text = std::fs::read_to_string(fixture::repository().join(path)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn every_schema_of_the_real_document_is_equivalent_in_both_versions() {
    let old = xtask::load::load(&fixture::repository().join(xtask::SPEC)).unwrap();
    let (old, new) = (old.document, read(TWIN));
    let (before, after) = (places(&old), places(&new));
    assert!(before.len() > 1_000, "{} places", before.len());
    assert!(before.keys().eq(after.keys()));
    for (at, said) in &before {
        assert_eq!(&after[at], said, "{at}");
    }
    for (from, to) in [("paths", "paths"), ("x-webhooks", "webhooks")] {
        let (from, to) = (&old[from], &new[to]);
        assert!(!from.is_null() && from == to, "bodies refer to components");
    }
    let text = new.to_string();
    for gone in [
        "\"nullable\"",
        "x-extensible-enum",
        "x-webhooks",
        "\"example\":{\"type",
    ] {
        assert!(!text.contains(gone), "{gone}");
    }
}

/// The schemas are JSON Schema: the examples of all bodies are valid, and a wrong type is not.
#[test]
fn examples_of_the_real_document_match_the_schemas_of_3_1() {
    let document = read(TWIN);
    let validator = |reference: &str| {
        let schema = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$ref": reference,
            "components": document["components"],
        });
        jsonschema::validator_for(&schema).unwrap()
    };
    let mut bodies = 0;
    let mut all = vec![&document];
    while let Some(value) = all.pop() {
        if let Some(reference) = value["schema"]["$ref"].as_str() {
            let named = value["examples"].as_object().into_iter().flatten();
            let examples = named.map(|(_, example)| &example["value"]);
            for example in examples.chain(value.get("example")) {
                if let Err(error) = validator(reference).validate(example) {
                    panic!("{reference}: {error}");
                }
                bodies += 1;
            }
        }
        all.extend(
            value
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, value)| value),
        );
        all.extend(value.as_array().into_iter().flatten());
    }
    assert!(bodies > 148, "{bodies}");

    let event = validator("#/components/schemas/ActivityEvent");
    for (value, valid) in [
        (json!("delivered"), true),
        (json!("new"), true),
        (json!(1), false),
    ] {
        assert_eq!(event.is_valid(&value), valid, "{value}");
    }
}
