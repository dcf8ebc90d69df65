//! Converts OpenAPI 3.0 schemas to JSON Schema 2020-12.

use serde_json::{Map, Value, json};

use crate::document::{Document, list, map, reference_name};

/// Returns every component as an entry of `$defs`.
pub(crate) fn definitions(document: Document<'_>) -> Value {
    document
        .schemas()
        .iter()
        .map(|(name, component)| (name.clone(), convert(document, component)))
        .collect::<Map<_, _>>()
        .into()
}

/// Converts a schema. References point to `$defs` of the same document.
///
/// `nullable` becomes a type, and rules of extensions (a request accepts only known values) become
/// constraints. `x-smtp2go-header` and `x-smtp2go-ignored` stay, because no keyword expresses them.
/// Descriptions, examples and defaults are left out, except an empty text as the default: it says that
/// an empty text is a value.
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
            "default" if value == "" => {
                converted.insert(key.clone(), value.clone());
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
            | "maximum"
            | "x-smtp2go-header"
            | "x-smtp2go-ignored" => {
                converted.insert(key.clone(), value.clone());
            }
            _ => {}
        }
    }
    // Only the formats of numbers are constraints.
    let range = match (schema["type"].as_str(), schema["format"].as_str()) {
        (Some("integer"), Some("int32")) => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        // The smallest integer is excluded: smaller numbers are read as floats, and rounded to it.
        (Some("integer"), Some("int64")) => Some((i64::MIN + 1, i64::MAX)),
        _ => None,
    };
    if let Some((least, most)) = range {
        for (limit, number) in [("minimum", least), ("maximum", most)] {
            converted.entry(limit).or_insert_with(|| number.into());
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

/// Returns a schema to publish: self-contained, with its documentation.
pub(crate) fn published(document: Document<'_>, schema: &Value) -> Value {
    let mut names = std::collections::BTreeSet::new();
    for name in crate::check::direct_references(schema) {
        crate::check::reach(document, name, &mut names);
    }
    let definitions: Map<_, _> = names
        .into_iter()
        .map(|name| {
            let component = document.schema(name);
            let mut converted = convert(document, component);
            annotate(component, &mut converted);
            (name.to_owned(), converted)
        })
        .collect();
    let mut whole = Map::new();
    whole.insert(
        "$schema".to_owned(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    if let Value::Object(members) = convert(document, schema) {
        whole.extend(members);
    }
    whole.insert("$defs".to_owned(), definitions.into());
    whole.into()
}

/// Adds the documentation that `convert` leaves out.
fn annotate(schema: &Value, converted: &mut Value) {
    if let Value::Object(members) = &mut *converted {
        for key in ["description", "default", "deprecated", "x-extensible-enum"] {
            if let Some(value) = schema.get(key) {
                members.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(example) = schema.get("example") {
            members.insert("examples".to_owned(), json!([example]));
        }
    }
    for (name, property) in map(&schema["properties"]) {
        if reference_name(property).is_none() {
            annotate(property, &mut converted["properties"][name]);
        }
    }
    for key in ["items", "additionalProperties"] {
        if schema[key].is_object() && reference_name(&schema[key]).is_none() {
            annotate(&schema[key], &mut converted[key]);
        }
    }
}
