//! The operations of the API, as the specification describes them.

use std::sync::{Arc, OnceLock};

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::refusal::FieldError;

/// Written by `cargo xtask regen` from the specification.
const EMBEDDED: &str = include_str!("generated/api.json");

/// Every operation that the sandbox serves.
#[derive(Debug)]
pub(crate) struct Api {
    operations: Vec<Operation>,
}

/// One operation: a method on a path.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// The longest body, in bytes, that the service takes.
    pub(crate) max_body_bytes: usize,
    /// The body field that belongs to the request and holds the key, if there is one.
    pub(crate) key_in_body: Option<String>,
    /// The example reply, `None` where no body is known.
    pub(crate) reply_example: Option<Value>,
    /// A schema that stands on its own: all definitions that it needs are in it.
    schema: Value,
    /// Compiled at the first request: a test uses few of the operations.
    validator: OnceLock<Result<Validator, String>>,
}

/// What is known of a method and a path.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    Found(&'a Operation),
    /// The path exists, with these methods.
    WrongMethod(Vec<&'a str>),
    UnknownPath,
}

#[derive(Deserialize)]
struct Document {
    operations: Vec<Row>,
    #[serde(rename = "$defs")]
    definitions: Map<String, Value>,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    method: String,
    path: String,
    max_body_bytes: usize,
    key_in_body: Option<String>,
    request: Option<Value>,
    reply_example: Option<Value>,
}

impl Api {
    /// The API of the embedded document, which is read once in a process.
    pub(crate) fn embedded() -> Result<Arc<Self>, String> {
        static API: OnceLock<Result<Arc<Api>, String>> = OnceLock::new();
        API.get_or_init(|| Self::parse(EMBEDDED).map(Arc::new))
            .clone()
    }

    pub(crate) fn parse(document: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(document)
            .map_err(|error| format!("the description of the API cannot be read: {error}"))?;
        let operations = document
            .operations
            .into_iter()
            .map(|row| Operation {
                schema: self_contained(row.request, &document.definitions),
                id: row.id,
                method: row.method,
                path: row.path,
                max_body_bytes: row.max_body_bytes,
                key_in_body: row.key_in_body,
                reply_example: row.reply_example,
                validator: OnceLock::new(),
            })
            .collect();
        Ok(Self { operations })
    }

    /// Looks up a request, whose path may or may not begin with `/v3`.
    pub(crate) fn find(&self, method: &str, path: &str) -> Lookup<'_> {
        let path = match path.strip_prefix("/v3") {
            Some(rest) if rest.starts_with('/') => rest,
            _ => path,
        };
        let mut methods = Vec::new();
        for operation in &self.operations {
            if operation.path == path {
                if operation.method == method {
                    return Lookup::Found(operation);
                }
                methods.push(operation.method.as_str());
            }
        }
        if methods.is_empty() {
            Lookup::UnknownPath
        } else {
            Lookup::WrongMethod(methods)
        }
    }

    /// The longest body that any operation takes: more than that need not be kept.
    pub(crate) fn max_body_bytes(&self) -> usize {
        self.operations
            .iter()
            .map(|operation| operation.max_body_bytes)
            .max()
            .unwrap_or_default()
    }
}

impl Operation {
    /// Checks a body against the request's schema and names the first field that is wrong. The
    /// error of the outer result is a schema that does not compile.
    pub(crate) fn check(&self, body: &Value) -> Result<Option<FieldError>, String> {
        let validator = self
            .validator
            .get_or_init(|| {
                jsonschema::draft202012::options()
                    .offline()
                    .should_validate_formats(true)
                    .build(&self.schema)
                    .map_err(|error| format!("the schema of {} is broken: {error}", self.id))
            })
            .as_ref()
            .map_err(Clone::clone)?;
        Ok(validator
            .validate(body)
            .err()
            .map(|error| field_error(&error, body)))
    }
}

/// Puts the definitions that a schema reaches into the schema itself. An operation without a
/// request body takes no fields.
fn self_contained(request: Option<Value>, definitions: &Map<String, Value>) -> Value {
    let request =
        request.unwrap_or_else(|| json!({ "type": "object", "additionalProperties": false }));
    let mut needed = Map::new();
    gather(&request, definitions, &mut needed);
    json!({ "allOf": [request], "$defs": needed })
}

fn gather(schema: &Value, definitions: &Map<String, Value>, needed: &mut Map<String, Value>) {
    match schema {
        Value::Object(members) => {
            let name = members
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| target.strip_prefix("#/$defs/"));
            if let Some(name) = name
                && let Some(definition) = definitions.get(name)
                && !needed.contains_key(name)
            {
                needed.insert(name.to_owned(), definition.clone());
                gather(definition, definitions, needed);
            }
            for member in members.values() {
                gather(member, definitions, needed);
            }
        }
        Value::Array(items) => {
            for item in items {
                gather(item, definitions, needed);
            }
        }
        _ => {}
    }
}

/// Puts an error in our words. The field is named as `attachments[0].filename`; a property that is
/// missing or unknown is named itself, not the object around it.
fn field_error(error: &ValidationError<'_>, body: &Value) -> FieldError {
    let mut field = String::new();
    for segment in error.instance_path().iter() {
        match segment {
            LocationSegment::Index(index) => field.push_str(&format!("[{index}]")),
            LocationSegment::Property(name) => push_name(&mut field, &name),
        }
    }
    let unknown = match error.kind() {
        ValidationErrorKind::Required { property } => {
            push_name(&mut field, property.as_str().unwrap_or_default());
            return FieldError {
                field,
                message: "The field is required.".to_owned(),
            };
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => unexpected.first(),
        // So it is said of an object that takes no properties at all.
        ValidationErrorKind::FalseSchema => body
            .pointer(error.instance_path().as_str())
            .filter(|_| {
                error
                    .schema_path()
                    .as_str()
                    .ends_with("/additionalProperties")
            })
            .and_then(Value::as_object)
            .and_then(|object| object.keys().next()),
        _ => None,
    };
    let message = match unknown {
        Some(name) => {
            push_name(&mut field, name);
            "The field is not known.".to_owned()
        }
        // Masked: the value may be an address, or megabytes of an attachment.
        None => error.masked_with("The value").to_string(),
    };
    FieldError { field, message }
}

fn push_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Api {
        Api::parse(include_str!("../tests/fixture.json")).unwrap()
    }

    fn operation<'a>(api: &'a Api, path: &str) -> &'a Operation {
        match api.find("POST", path) {
            Lookup::Found(operation) => operation,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_embedded_schema_compiles() {
        let api = Api::embedded().unwrap();
        assert!(!api.operations.is_empty());
        for operation in &api.operations {
            operation.check(&json!({})).unwrap();
        }
    }

    #[test]
    fn a_path_is_served_at_the_root_and_below_v3() {
        let api = fixture();
        assert!(matches!(
            api.find("POST", "/email/send"),
            Lookup::Found(found) if found.id == "email_send"
        ));
        assert!(matches!(
            api.find("POST", "/v3/email/send"),
            Lookup::Found(_)
        ));
        for unknown in [
            "",
            "/",
            "/v3",
            "/v3/",
            "/v3email/send",
            "/v3/v3/email/send",
            "/email",
            "/email/send/",
        ] {
            assert!(
                matches!(api.find("POST", unknown), Lookup::UnknownPath),
                "{unknown}"
            );
        }
        assert!(
            matches!(api.find("PATCH", "/email/send"), Lookup::WrongMethod(methods) if methods == ["POST"])
        );
    }

    #[test]
    fn the_wrong_field_is_named() {
        let api = fixture();
        let send = operation(&api, "/email/send");
        let table = [
            (json!({ "to": ["b@example.net"] }), "sender"),
            (
                json!({ "sender": "a@example.com", "to": "b@example.net" }),
                "to",
            ),
            (
                json!({ "sender": "a@example.com", "to": ["b@example.net", 7] }),
                "to[1]",
            ),
            (
                json!({ "sender": "a@example.com", "to": ["b@example.net"], "attachments": [{}] }),
                "attachments[0].filename",
            ),
            (
                json!({ "sender": "a@example.com", "to": ["b@example.net"],
                        "inlines": [{ "filename": "a", "cid": "b" }] }),
                "inlines[0].cid",
            ),
            (
                json!({ "sender": "a@example.com", "to": ["b@example.net"], "reply_to": "c" }),
                "reply_to",
            ),
        ];
        for (body, expected) in table {
            let error = send.check(&body).unwrap().unwrap();
            assert_eq!(error.field, expected, "{body}");
            assert!(!error.message.contains("example"), "{}", error.message);
        }
    }

    #[test]
    fn without_a_declared_body_no_field_is_taken() {
        let api = Api::parse(
            r##"{ "operations": [{ "id": "a", "method": "POST", "path": "/a", "max_body_bytes": 9,
                  "key_in_body": null, "request": null, "reply_example": null }], "$defs": {} }"##,
        )
        .unwrap();
        let operation = operation(&api, "/a");
        assert!(operation.check(&json!({})).unwrap().is_none());
        let error = operation
            .check(&json!({ "b": { "c": 1 } }))
            .unwrap()
            .unwrap();
        assert_eq!(error.field, "b");
        assert_eq!(error.message, "The field is not known.");
    }

    #[test]
    fn definitions_that_refer_to_themselves_are_gathered_once() {
        let api = Api::parse(
            r##"{ "operations": [{ "id": "a", "method": "POST", "path": "/a", "max_body_bytes": 9,
                  "key_in_body": null, "request": { "$ref": "#/$defs/Node" }, "reply_example": null }],
                  "$defs": { "Other": {}, "Node": { "type": "object", "additionalProperties": false,
                  "properties": { "next": { "$ref": "#/$defs/Node" } } } } }"##,
        )
        .unwrap();
        let operation = operation(&api, "/a");
        assert!(operation.schema["$defs"].get("Other").is_none());
        let error = operation
            .check(&json!({ "next": { "next": { "nxt": 1 } } }))
            .unwrap()
            .unwrap();
        assert_eq!(error.field, "next.next.nxt");
    }
}
