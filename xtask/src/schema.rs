//! From OpenAPI 3.0 schemas to JSON Schema 2020-12: the one place that knows the difference.

use serde_json::{Map, Value, json};

use crate::document::{Document, list, map, reference_name};

/// Every component as an entry of `$defs`.
pub(crate) fn definitions(document: Document<'_>) -> Value {
    document
        .schemas()
        .iter()
        .map(|(name, component)| (name.clone(), convert(document, component)))
        .collect::<Map<_, _>>()
        .into()
}

/// One schema. References lead to `$defs` of the same document.
///
/// `nullable` becomes a type, and what only extensions say in OpenAPI (a request takes known words
/// only) becomes a constraint. Descriptions, defaults and examples are left out.
pub(crate) fn convert(document: Document<'_>, schema: &Value) -> Value {
    if let Some(name) = reference_name(schema) {
        return json!({ "$ref": format!("#/$defs/{name}") });
    }
    let mut converted = Map::new();
    for (key, value) in map(schema) {
        match key.as_str() {
            "properties" => {
                let properties: Map<_, _> = map(value)
                    .iter()
                    .map(|(name, property)| (name.clone(), convert(document, property)))
                    .collect();
                converted.insert(key.clone(), properties.into());
            }
            "items" | "additionalProperties" if value.is_object() => {
                converted.insert(key.clone(), convert(document, value));
            }
            "allOf" | "oneOf" => {
                let parts: Vec<_> = list(value)
                    .iter()
                    .map(|part| convert(document, part))
                    .collect();
                // A number that is integral matches both `integer` and `number`.
                let key = if key == "oneOf" { "anyOf" } else { key };
                converted.insert(key.to_owned(), parts.into());
            }
            "type" if schema["nullable"] == Value::Bool(true) => {
                converted.insert(key.clone(), json!([value, "null"]));
            }
            "type"
            | "required"
            | "enum"
            | "format"
            | "additionalProperties"
            | "minItems"
            | "maxItems"
            | "minLength"
            | "maxLength"
            | "minimum"
            | "maximum" => {
                converted.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    if schema["x-smtp2go-known-words-only"] == Value::Bool(true) {
        close(document, schema, &mut converted);
    }
    converted.into()
}

fn close(document: Document<'_>, schema: &Value, converted: &mut Map<String, Value>) {
    let resolved = document.resolve(schema);
    if resolved["type"] == "array" {
        let words = document.resolve(&resolved["items"])["x-extensible-enum"].clone();
        converted.insert("items".to_owned(), json!({ "enum": words }));
    } else {
        converted.insert("enum".to_owned(), resolved["x-extensible-enum"].clone());
    }
}
