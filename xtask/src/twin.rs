//! The document in OpenAPI 3.1, whose own keywords say what 3.0 leaves to extensions.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::document::{list, map, reference_name};

/// The file, from the root of the repository.
pub const TWIN: &str = "spec/openapi-3.1.json";

/// The version that the twin declares.
const VERSION: &str = "3.1.1";

/// Where components are.
const SCHEMAS: &str = "#/components/schemas/";

/// Converts a document from OpenAPI 3.0 to 3.1.
///
/// An open enum becomes a choice of its known values, which are a component of their own, and any
/// text. Its known values alone are allowed where `x-smtp2go-known-words-only` says so.
#[must_use]
pub fn twin(document: &Value) -> Map<String, Value> {
    let mut open = BTreeSet::new();
    open_uses(document, &mut open);
    let twin = Twin { open };
    let members = map(document).iter().map(|(key, value)| {
        let (key, value) = match key.as_str() {
            "openapi" => ("openapi", VERSION.into()),
            "x-webhooks" => ("webhooks", twin.part(value)),
            "info" => ("info", info(value)),
            key => (key, twin.part(value)),
        };
        (key.to_owned(), value)
    });
    members.collect()
}

/// `info`, whose description names the keywords that change.
fn info(info: &Value) -> Value {
    let mut info = info.clone();
    if let Some(Value::String(text)) = info.get_mut("description") {
        *text = text
            .replace("`x-webhooks`", "`webhooks`")
            .replace("`x-extensible-enum`", "`anyOf`");
    }
    info
}

/// The components that are referred to where values that are not known are allowed too.
fn open_uses<'a>(value: &'a Value, into: &mut BTreeSet<&'a str>) {
    if !known_only(value) {
        into.extend(reference_name(value));
        let parts = map(value).values().chain(list(value));
        parts.for_each(|part| open_uses(part, into));
    }
}

/// The component with the known values of an open enum.
fn known(name: &str) -> String {
    format!("Known{name}")
}

fn known_only(schema: &Value) -> bool {
    schema["x-smtp2go-known-words-only"] == Value::Bool(true)
}

fn nullable(schema: &Value) -> bool {
    schema["nullable"] == Value::Bool(true)
}

struct Twin<'a> {
    open: BTreeSet<&'a str>,
}

impl Twin<'_> {
    /// A part outside schemas.
    fn part(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => {
                let members = members.iter().map(|(key, value)| {
                    let value = match key.as_str() {
                        "schema" => self.schema(value),
                        "schemas" => self.components(value),
                        // Data, whatever its members are called.
                        "example" | "examples" => value.clone(),
                        _ => self.part(value),
                    };
                    (key.clone(), value)
                });
                members.collect::<Map<_, _>>().into()
            }
            Value::Array(items) => items.iter().map(|item| self.part(item)).collect(),
            plain => plain.clone(),
        }
    }

    fn components(&self, schemas: &Value) -> Value {
        let mut components = Map::new();
        for (name, of) in map(schemas) {
            let mut component = self.schema(of);
            let (Some(values), Value::Object(members)) =
                (of.get("x-extensible-enum"), &mut component)
            else {
                components.insert(name.clone(), component);
                continue;
            };
            if !self.open.contains(name.as_str()) {
                members.insert("enum".to_owned(), values.clone());
                components.insert(name.clone(), component);
                continue;
            }
            // In one component, TypeScript would make a plain `string` of `"a" | string`.
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

    /// A schema of OpenAPI 3.0 as one of 3.1, which is JSON Schema 2020-12. The values of an open
    /// enum are left to [`Twin::components`].
    fn schema(&self, of: &Value) -> Value {
        let mut converted = Map::new();
        for (key, value) in map(of) {
            let (key, value) = match key.as_str() {
                "nullable" | "x-extensible-enum" => continue,
                "type" if nullable(of) => ("type", json!([value, "null"])),
                "example" => ("examples", json!([value])),
                "properties" => {
                    let of = map(value).iter();
                    let converted = of.map(|(name, of)| (name.clone(), self.schema(of)));
                    ("properties", converted.collect::<Map<_, _>>().into())
                }
                "items" | "additionalProperties" if value.is_object() => {
                    (key.as_str(), self.schema(value))
                }
                "allOf" | "oneOf" => {
                    let parts = list(value).iter().map(|part| self.schema(part));
                    (key.as_str(), parts.collect())
                }
                key => (key, value.clone()),
            };
            converted.insert(key.to_owned(), value);
        }
        let mut converted = converted.into();
        if known_only(of) {
            self.close(&mut converted);
        }
        converted
    }

    /// Lets a field, or the items of a list, take known values only.
    fn close(&self, field: &mut Value) {
        for pointer in ["/allOf/0/$ref", "/items/$ref"] {
            if let Some(Value::String(reference)) = field.pointer_mut(pointer)
                && let Some(name) = reference.strip_prefix(SCHEMAS)
                && self.open.contains(name)
            {
                *reference = format!("{SCHEMAS}{}", known(name));
            }
        }
    }
}
