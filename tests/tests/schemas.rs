//! The JSON Schemas of the Rust types (feature `schemars`) match the spec.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeSet;

use serde_json::Value;
use smtp2go_tests::contract::{REQUESTS, SCHEMAS};

/// The field that the client fills in, which the types lack.
const KEY: &str = "api_key";

fn names(schema: &Value) -> BTreeSet<&str> {
    let names = schema["properties"].as_object().into_iter().flatten();
    names.map(|(name, _)| name.as_str()).collect()
}

#[test]
fn types_have_the_fields_of_the_spec() {
    let spec = support::spec();
    for (name, schema) in SCHEMAS {
        let (schema, component) = (schema(), &spec["components"]["schemas"][name]);
        let mut wanted = names(component);
        let sent = REQUESTS.iter().any(|request| request.name == *name);
        if sent && name.starts_with("IpAllowList") {
            wanted.remove(KEY);
        }
        assert_eq!(names(&schema), wanted, "{name}");
    }
}

#[test]
fn request_types_have_the_required_fields_and_types_of_the_spec() {
    let spec = support::spec();
    let mut fields = 0;
    for request in REQUESTS {
        let name = request.name;
        let (_, schema) = SCHEMAS.iter().find(|(other, _)| other == &name).unwrap();
        let (schema, component) = (schema(), &spec["components"]["schemas"][name]);
        let required = |schema: &Value| -> BTreeSet<String> {
            let names = schema["required"].as_array().into_iter().flatten();
            names
                .map(|name| name.as_str().unwrap().to_owned())
                .filter(|name| name != KEY)
                .collect()
        };
        // A field that is always sent has a default.
        let always: BTreeSet<_> = component["properties"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, property)| property.get("x-smtp2go-always-send").is_some())
            .map(|(name, _)| name.clone())
            .collect();
        let without = |names: BTreeSet<String>| &names - &always;
        assert_eq!(
            without(required(&schema)),
            without(required(component)),
            "{name}"
        );
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            let wanted = types(&spec, &component["properties"][field]);
            let found: BTreeSet<_> = types(&schema, property)
                .into_iter()
                .filter(|kind| kind != "null")
                .collect();
            assert!(
                wanted.is_subset(&found) || wanted.is_empty(),
                "{name}.{field}: {found:?} instead of {wanted:?}"
            );
            fields += 1;
        }
    }
    assert!(fields > 200, "{fields}");
}

/// Returns the JSON types that a schema allows, `array` with those of its items; none if it allows
/// all.
fn types(root: &Value, schema: &Value) -> BTreeSet<String> {
    if let Some(reference) = schema["$ref"].as_str() {
        return types(
            root,
            root.pointer(reference.trim_start_matches('#')).unwrap(),
        );
    }
    let mut found = BTreeSet::new();
    for key in ["allOf", "anyOf", "oneOf"] {
        for part in schema[key].as_array().into_iter().flatten() {
            found.extend(types(root, part));
        }
    }
    let kinds = match &schema["type"] {
        Value::String(kind) => vec![kind.clone()],
        Value::Array(kinds) => kinds
            .iter()
            .map(|kind| kind.as_str().unwrap().to_owned())
            .collect(),
        _ => Vec::new(),
    };
    for kind in kinds {
        if kind == "array" {
            for item in types(root, &schema["items"]) {
                found.insert(format!("array of {item}"));
            }
        }
        found.insert(kind);
    }
    found
}
