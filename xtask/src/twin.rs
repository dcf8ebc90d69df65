//! The document in OpenAPI 3.1, which has keywords for what needs extensions in 3.0.

use serde_json::{Map, Value, json};

use crate::document::{list, map};

/// The file, from the root of the repository.
pub const TWIN: &str = "spec/openapi-3.1.json";

/// The version in the converted document.
const VERSION: &str = "3.1.1";

/// Where components are.
const SCHEMAS: &str = "#/components/schemas/";

/// Converts a document from OpenAPI 3.0 to 3.1.
///
/// An open enum becomes a choice between its known values, in a separate component, and any text.
/// This applies to requests too, so that a client can send newer values.
#[must_use]
pub fn twin(document: &Value) -> Map<String, Value> {
    let members = map(document).iter().map(|(key, value)| {
        let (key, value) = match key.as_str() {
            "openapi" => ("openapi", VERSION.into()),
            "x-webhooks" => ("webhooks", part(value)),
            "info" => ("info", info(value)),
            key => (key, part(value)),
        };
        (key.to_owned(), value)
    });
    members.collect()
}

/// Converts `info`, whose description names keywords that change.
fn info(info: &Value) -> Value {
    let mut info = info.clone();
    if let Some(Value::String(text)) = info.get_mut("description") {
        *text = text
            .replace("`x-webhooks`", "`webhooks`")
            .replace("`x-extensible-enum`", "`anyOf`");
    }
    info
}

/// Returns the name of the component with the known values of an open enum.
fn known(name: &str) -> String {
    format!("Known{name}")
}

fn nullable(schema: &Value) -> bool {
    schema["nullable"] == Value::Bool(true)
}

/// Converts a part outside of schemas.
fn part(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| {
                let value = match key.as_str() {
                    "schema" => schema(value),
                    "schemas" => components(value),
                    // Data: its members are not keywords.
                    "example" | "examples" => value.clone(),
                    _ => part(value),
                };
                (key.clone(), value)
            });
            members.collect::<Map<_, _>>().into()
        }
        Value::Array(items) => items.iter().map(part).collect(),
        plain => plain.clone(),
    }
}

fn components(schemas: &Value) -> Value {
    let mut components = Map::new();
    for (name, of) in map(schemas) {
        let mut component = schema(of);
        let (Some(values), Value::Object(members)) = (of.get("x-extensible-enum"), &mut component)
        else {
            components.insert(name.clone(), component);
            continue;
        };
        // In one component, TypeScript would reduce `"a" | string` to `string`.
        let reference = format!("{SCHEMAS}{}", known(name));
        let any = members.shift_remove("type");
        let choices = json!([{ "$ref": reference }, { "type": any }]);
        members.insert("anyOf".to_owned(), choices);
        components.insert(name.clone(), component);
        let known_values = json!({
            "type": "string",
            "description": format!("The values of `{name}` that are known today."),
            "enum": values,
        });
        components.insert(known(name), known_values);
    }
    components.into()
}

/// Converts a schema of OpenAPI 3.0 to 3.1, which is JSON Schema 2020-12. [`components`] converts
/// the values of open enums.
fn schema(of: &Value) -> Value {
    let mut converted = Map::new();
    for (key, value) in map(of) {
        let (key, value) = match key.as_str() {
            "nullable" | "x-extensible-enum" => continue,
            "type" if nullable(of) => ("type", json!([value, "null"])),
            "example" => ("examples", json!([value])),
            "properties" => {
                let of = map(value).iter();
                let converted = of.map(|(name, of)| (name.clone(), schema(of)));
                ("properties", converted.collect::<Map<_, _>>().into())
            }
            "items" | "additionalProperties" if value.is_object() => (key.as_str(), schema(value)),
            "allOf" | "oneOf" => {
                let parts = list(value).iter().map(schema);
                (key.as_str(), parts.collect())
            }
            key => (key, value.clone()),
        };
        converted.insert(key.to_owned(), value);
    }
    converted.into()
}
