//! Access to the parts of an OpenAPI document.

use serde_json::{Map, Value};

use crate::problem::join;

/// The HTTP methods that a path item may have.
pub(crate) const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

/// Media type of every request and reply of this API.
pub(crate) const JSON: &str = "application/json";

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// A document, with methods to access its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Document<'a> {
    root: &'a Value,
}

/// An operation and its place.
#[derive(Clone, Debug)]
pub(crate) struct OperationAt<'a> {
    pub(crate) path: &'a str,
    pub(crate) method: &'a str,
    pub(crate) pointer: String,
    pub(crate) value: &'a Value,
}

/// A webhook and where it stands.
#[derive(Clone, Debug)]
pub(crate) struct WebhookAt<'a> {
    pub(crate) name: &'a str,
    pub(crate) pointer: String,
    pub(crate) value: &'a Value,
}

impl<'a> Document<'a> {
    pub(crate) fn new(root: &'a Value) -> Self {
        Self { root }
    }

    pub(crate) fn root(self) -> &'a Value {
        self.root
    }

    pub(crate) fn schemas(self) -> &'a Map<String, Value> {
        map(&self.root["components"]["schemas"])
    }

    pub(crate) fn schema(self, name: &str) -> &'a Value {
        self.schemas().get(name).unwrap_or(&Value::Null)
    }

    pub(crate) fn operations(self) -> Vec<OperationAt<'a>> {
        let mut operations = Vec::new();
        for (path, item) in map(&self.root["paths"]) {
            let pointer = join("/paths", path);
            for (method, value) in map(item) {
                if METHODS.contains(&method.as_str()) {
                    operations.push(OperationAt {
                        path,
                        method,
                        pointer: join(&pointer, method),
                        value,
                    });
                }
            }
        }
        operations
    }

    pub(crate) fn webhooks(self) -> Vec<WebhookAt<'a>> {
        map(&self.root["x-webhooks"])
            .iter()
            .map(|(name, item)| WebhookAt {
                name,
                pointer: join(&join("/x-webhooks", name), "post"),
                value: &item["post"],
            })
            .collect()
    }

    /// Follows `$ref` and a single `allOf` to the schema that has the type.
    pub(crate) fn resolve(self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // The checks refuse cycles; the limit is for documents that are not checked yet.
        for _ in 0..64 {
            if let Some(name) = reference_name(schema) {
                schema = self.schema(name);
            } else if let Some(only) = schema["allOf"].get(0) {
                schema = only;
            } else {
                break;
            }
        }
        schema
    }

    /// Returns the component that a schema refers to, directly or through a single `allOf`.
    pub(crate) fn component_of(self, schema: &'a Value) -> Option<&'a str> {
        reference_name(schema).or_else(|| reference_name(schema["allOf"].get(0)?))
    }

    /// Follows a `$ref` to a response.
    pub(crate) fn response(self, value: &'a Value) -> &'a Value {
        value["$ref"]
            .as_str()
            .and_then(|reference| reference.strip_prefix('#'))
            .and_then(|pointer| self.root.pointer(pointer))
            .unwrap_or(value)
    }

    /// Returns the schema at a pointer into a *value* of `schema`. `None` if there is no such
    /// place.
    pub(crate) fn schema_at(self, schema: &'a Value, pointer: &str) -> Option<&'a Value> {
        let mut schema = self.resolve(schema);
        for segment in pointer.split('/').skip(1) {
            schema = self.resolve(match segment {
                "*" => schema.get("items")?,
                name => schema["properties"].get(name)?,
            });
        }
        Some(schema)
    }
}

/// Returns the members of `value`; none if it is not an object.
pub(crate) fn map(value: &Value) -> &Map<String, Value> {
    value.as_object().unwrap_or(&EMPTY)
}

/// Returns the items of `value`; none if it is not an array.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Returns the examples of a body, each with its place below the body's content.
pub(crate) fn examples(content: &Value) -> Vec<(String, &Value)> {
    let one = content
        .get("example")
        .map(|value| ("/example".to_owned(), value));
    let named = map(&content["examples"]).iter().map(|(name, example)| {
        let at = join(&join("/examples", name), "value");
        (at, &example["value"])
    });
    one.into_iter().chain(named).collect()
}

/// Returns NAME of `$ref: '#/components/schemas/NAME'`.
pub(crate) fn reference_name(schema: &Value) -> Option<&str> {
    schema["$ref"]
        .as_str()?
        .strip_prefix("#/components/schemas/")
}

/// Whether a schema is an object without properties that accepts any members, or any of one type.
pub(crate) fn is_map(schema: &Value) -> bool {
    schema["type"] == "object"
        && map(&schema["properties"]).is_empty()
        && schema["additionalProperties"] != Value::Bool(false)
}
