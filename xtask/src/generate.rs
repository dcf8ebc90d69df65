//! Third stage: progenitor, on an OpenAPI document made from the Rust view.
//!
//! In: the [`View`]. Out: progenitor's code as one file, with the structs in `mod types` and a
//! client whose methods are the operations. The document describes the Rust type of each field in
//! OpenAPI's terms. `refine` adds what progenitor does not support (limits, open enums, other
//! names):
//!
//! | field in Rust | property in the document |
//! | --- | --- |
//! | `Option<T>` | not required |
//! | `T` | required |
//! | `Vec<T>` in a reply | an array, not required |
//! | `Option<Vec<T>>` in a request | an array, not required, `nullable` |
//! | a scalar or an open enum of ours | a format or component that the [`settings`] replace |
//! | `extra` | `additionalProperties` |

use openapiv3::OpenAPI;
use progenitor_impl::{
    GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle, TypePatch,
};
use quote::quote;
use serde_json::{Map, Value, json};

use crate::docs;
use crate::document::JSON;
use crate::lower::{Field, Object, Role, Scalar, Shape, View};

/// The component for any JSON. With `{}`, progenitor would make maps of it `serde_json::Map`s.
pub(crate) const ANY: &str = "Json";

/// Documentation of the client.
const CLIENT: &str = "\
`Client::raw` of the crate's root returns one, whose requests go through that client.
`new_with_client` takes a base URL and an HTTP client because progenitor's clients do; neither is used
for requests.";

/// Runs progenitor.
///
/// # Errors
///
/// If progenitor refuses the view.
pub fn generate(view: &View) -> Result<syn::File, String> {
    let api: OpenAPI = serde_json::from_value(document(view))
        .map_err(|error| format!("the Rust view is not valid OpenAPI: {error}"))?;
    let tokens = Generator::new(&settings(view)?)
        .generate_tokens(&api)
        .map_err(|error| format!("progenitor: {error}"))?;
    syn::parse2(tokens).map_err(|error| format!("progenitor's code does not parse: {error}"))
}

/// Progenitor's settings: our types, and the client's hooks.
///
/// # Errors
///
/// Only if progenitor's schema type changes.
pub fn settings(view: &View) -> Result<GenerationSettings, String> {
    let mut settings = GenerationSettings::new();
    settings
        .with_interface(InterfaceStyle::Positional)
        .with_tag(TagStyle::Merged)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::Client))
        .with_map_type("BTreeMap")
        .with_derive("PartialEq")
        .with_replacement(ANY, "::serde_json::Value", std::iter::empty());
    for scalar in [
        Scalar::Timestamp,
        Scalar::Date,
        Scalar::Secret,
        Scalar::Url,
        Scalar::SecretJson,
        Scalar::TextOrObject,
    ] {
        let schema = serde_json::from_value(self::scalar(&scalar))
            .map_err(|error| format!("no schema for {scalar:?}: {error}"))?;
        let name = match scalar {
            Scalar::Url => "SecretUrl".to_owned(),
            scalar => format!("{scalar:?}"),
        };
        settings.with_conversion(schema, name, std::iter::empty());
    }
    for open_enum in &view.open_enums {
        settings.with_replacement(&open_enum.name, &open_enum.name, std::iter::empty());
    }
    // For progenitor, `extra` has no default.
    let mut default = TypePatch::default();
    default.with_derive("Default");
    for object in view.objects.iter().filter(|object| object.has_default()) {
        settings.with_patch(&object.name, &default);
    }
    Ok(settings)
}

/// Returns the view as an OpenAPI document.
pub fn document(view: &View) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in &view.operations {
        let mut response = json!({ "description": "" });
        if let Some(reply) = &operation.reply {
            response["content"] = content(reply);
        }
        let mut responses = json!({ "2XX": response });
        if let Some(error) = &operation.error {
            responses["4XX"] = json!({ "description": "", "content": content(error) });
        }
        let mut value = json!({
            "operationId": operation.id,
            "tags": [operation.group],
            "summary": docs::summary(operation),
            "description": docs::operation(operation),
            "responses": responses,
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
    for name in view.open_enums.iter().map(|open_enum| &open_enum.name) {
        schemas.insert(name.clone(), json!({ "type": "string" }));
    }
    schemas.insert(ANY.to_owned(), json!({ "type": "string" }));
    json!({
        "openapi": "3.0.3",
        "info": { "title": view.title, "version": view.version, "description": CLIENT },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

fn content(name: &str) -> Value {
    json!({ JSON: { "schema": reference(name) } })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn component(object: &Object) -> Value {
    let mut properties: Map<_, _> = object
        .fields
        .iter()
        .map(|field| (field.wire.clone(), property(object, field)))
        .collect();
    if properties.is_empty() {
        // Progenitor would turn an object without properties into a map.
        properties.insert("extra".to_owned(), shape(&Shape::Map(Scalar::Any)));
        return json!({
            "type": "object",
            "description": docs::object(object),
            "properties": properties,
        });
    }
    let required: Vec<_> = object
        .fields
        .iter()
        .filter(|field| field.required)
        .map(|field| &field.wire)
        .collect();
    json!({
        "type": "object",
        "description": docs::object(object),
        "properties": properties,
        "required": required,
        "additionalProperties": reference(ANY),
    })
}

fn property(object: &Object, field: &Field) -> Value {
    let mut schema = shape(&field.shape);
    if schema.get("$ref").is_some() {
        // Siblings of `$ref` are dropped.
        schema = json!({ "allOf": [schema] });
    }
    schema["description"] = docs::field(field).into();
    if object.role == Role::Request && !field.required && !matches!(field.shape, Shape::One(_)) {
        schema["nullable"] = true.into();
    }
    if let Some(value) = field.always_send {
        schema["default"] = value.into();
    }
    schema
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
        Scalar::Text => json!({ "type": "string" }),
        // Our types, by name.
        Scalar::Timestamp
        | Scalar::Date
        | Scalar::Secret
        | Scalar::Url
        | Scalar::SecretJson
        | Scalar::TextOrObject => {
            json!({ "type": "string", "format": format!("{scalar:?}") })
        }
        Scalar::Integer => json!({ "type": "integer", "format": "int64" }),
        Scalar::Number => json!({ "type": "number", "format": "double" }),
        Scalar::Boolean => json!({ "type": "boolean" }),
        Scalar::Any => reference(ANY),
        Scalar::Word(name) | Scalar::Object(name) => reference(name),
    }
}
