//! Third stage: progenitor, on an OpenAPI document made from the Rust view.
//!
//! What trips progenitor or its types (constraints, vocabularies, defaults, several statuses) is not
//! in the view's document; the next stage puts it back in Rust's terms.

use openapiv3::OpenAPI;
use progenitor_impl::{GenerationSettings, Generator, InterfaceStyle, TagStyle};
use serde_json::{Map, Value, json};

use crate::document::JSON;
use crate::lower::{Object, Role, Scalar, Shape, View};

/// Runs progenitor: types in `mod types`, and a client whose methods are the operations.
///
/// # Errors
///
/// What progenitor says about the view.
pub fn generate(view: &View) -> Result<syn::File, String> {
    let api: OpenAPI = serde_json::from_value(document(view))
        .map_err(|error| format!("the Rust view is not OpenAPI: {error}"))?;
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_tag(TagStyle::Merged);
    let tokens = Generator::new(&settings)
        .generate_tokens(&api)
        .map_err(|error| format!("progenitor: {error}"))?;
    syn::parse2(tokens).map_err(|error| format!("progenitor's code does not parse: {error}"))
}

/// The view as an OpenAPI document.
pub fn document(view: &View) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in &view.operations {
        let mut response = json!({ "description": "" });
        if let Some(reply) = &operation.reply {
            response["content"] = content(reply);
        }
        let mut value = json!({
            "operationId": operation.id,
            "tags": [operation.group],
            "summary": operation.summary,
            "description": operation.description,
            "deprecated": operation.deprecated,
            "responses": { "200": response },
        });
        if let Some(request) = &operation.request {
            value["requestBody"] = json!({ "required": true, "content": content(request) });
        }
        paths.entry(&operation.path).or_insert_with(|| json!({}))
            [operation.method.to_lowercase()] = value;
    }
    let mut schemas = Map::new();
    for object in &view.objects {
        schemas.insert(object.name.clone(), component(object));
    }
    for vocabulary in &view.vocabularies {
        schemas.insert(vocabulary.name.clone(), json!({ "type": "string" }));
    }
    json!({
        "openapi": "3.0.3",
        "info": { "title": view.title, "version": view.version },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn content(name: &str) -> Value {
    json!({ JSON: { "schema": { "$ref": reference(name) } } })
}

fn reference(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

fn component(object: &Object) -> Value {
    let properties: Map<_, _> = object
        .fields
        .iter()
        .map(|field| (field.wire.clone(), shape(&field.shape)))
        .collect();
    let required: Vec<_> = object
        .fields
        .iter()
        .filter(|field| field.required && object.role == Role::Request)
        .map(|field| &field.wire)
        .collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn shape(shape: &Shape) -> Value {
    match shape {
        Shape::One(inner) => scalar(inner),
        Shape::List(inner) => json!({ "type": "array", "items": scalar(inner) }),
        Shape::Map(inner) => json!({ "type": "object", "additionalProperties": scalar(inner) }),
    }
}

fn scalar(scalar: &Scalar) -> Value {
    match scalar {
        Scalar::Text
        | Scalar::Timestamp
        | Scalar::Date
        | Scalar::Secret
        | Scalar::Url
        | Scalar::TextOrObject => json!({ "type": "string" }),
        Scalar::Integer => json!({ "type": "integer", "format": "int64" }),
        Scalar::Number => json!({ "type": "number", "format": "double" }),
        Scalar::Boolean => json!({ "type": "boolean" }),
        Scalar::Any => json!({}),
        Scalar::Word(name) | Scalar::Object(name) => json!({ "$ref": reference(name) }),
    }
}
