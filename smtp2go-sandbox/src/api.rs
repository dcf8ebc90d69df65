//! The operations of the API, read from the spec.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::schema::Schema;

/// Generated from the spec by `cargo xtask regen`.
const EMBEDDED: &str = include_str!("generated/api.json");

/// Every operation that the sandbox serves.
#[derive(Debug)]
pub(crate) struct Api {
    operations: Vec<Operation>,
    /// Schema of mail events. `None` if the document has none.
    pub(crate) email_event: Option<Schema>,
    /// Schema of events of text messages.
    pub(crate) sms_event: Option<Schema>,
}

/// One operation: a method on a path.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) id: String,
    /// Name of the group, and of the file in `operations` that handles it.
    pub(crate) group: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Maximum body size in bytes.
    pub(crate) max_body_bytes: usize,
    /// Field of the schema that contains the key, if there is one.
    pub(crate) key_in_body: Option<String>,
    /// Field that names a subaccount, if there is one.
    pub(crate) subaccount: Option<String>,
    pub(crate) rate_limit: Option<RateLimit>,
    pub(crate) request: Schema,
    #[cfg(test)]
    pub(crate) request_example: Option<Value>,
    /// Schema of the reply. `None` if the spec has no reply body.
    pub(crate) reply: Option<Schema>,
    /// Example of the reply. `None` if the spec has no reply body.
    pub(crate) reply_example: Option<Value>,
    /// Examples of the reply by name, if there are several.
    pub(crate) reply_examples: Map<String, Value>,
}

/// Maximum number of calls in any `second`, `minute`, `hour` or `day`.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RateLimit {
    pub(crate) requests: usize,
    pub(crate) per: String,
}

impl RateLimit {
    pub(crate) fn per(&self) -> Duration {
        Duration::from_secs(match self.per.as_str() {
            "second" => 1,
            "minute" => 60,
            "hour" => 3_600,
            _ => 86_400,
        })
    }
}

/// The result of looking up a method and a path.
#[derive(Debug)]
pub(crate) enum Lookup<'a> {
    Found(&'a Operation),
    /// The path exists only with these methods.
    WrongMethod(Vec<&'a str>),
    /// The path would exist with `/v3` before it.
    MissingV3,
    UnknownPath,
}

#[derive(Deserialize)]
struct Document {
    operations: Vec<OperationRow>,
    #[serde(rename = "$defs")]
    definitions: Map<String, Value>,
    #[serde(default)]
    webhooks: Map<String, Value>,
}

#[derive(Deserialize)]
struct OperationRow {
    id: String,
    method: String,
    path: String,
    max_body_bytes: usize,
    key_in_body: Option<String>,
    #[serde(default)]
    group: String,
    subaccount: Option<String>,
    rate_limit: Option<RateLimit>,
    request: Option<Value>,
    reply: Option<Value>,
    #[cfg(test)]
    request_example: Option<Value>,
    reply_example: Option<Value>,
    #[serde(default)]
    reply_examples: Map<String, Value>,
}

impl Api {
    /// Returns the API of the embedded document, which a process parses once.
    pub(crate) fn embedded() -> Result<Arc<Self>, String> {
        static API: OnceLock<Result<Arc<Api>, String>> = OnceLock::new();
        API.get_or_init(|| Self::parse(EMBEDDED).map(Arc::new))
            .clone()
    }

    pub(crate) fn parse(document: &str) -> Result<Self, String> {
        let document: Document = serde_json::from_str(document)
            .map_err(|error| format!("cannot parse the embedded API document: {error}"))?;
        // An operation without a request body allows no fields.
        let nothing = json!({ "type": "object", "additionalProperties": false });
        let operations = document
            .operations
            .into_iter()
            .map(|row| Operation {
                request: Schema::new(
                    &format!("the request of {}", row.id),
                    row.request.as_ref().unwrap_or(&nothing),
                    &document.definitions,
                ),
                reply: row.reply.as_ref().map(|reply| {
                    let name = format!("the reply of {}", row.id);
                    Schema::new(&name, reply, &document.definitions)
                }),
                group: row.group,
                subaccount: row.subaccount,
                rate_limit: row.rate_limit,
                #[cfg(test)]
                request_example: row.request_example,
                id: row.id,
                method: row.method,
                path: row.path,
                max_body_bytes: row.max_body_bytes,
                key_in_body: row.key_in_body,
                reply_example: row.reply_example,
                reply_examples: row.reply_examples,
            })
            .collect();
        let event = |name: &str| {
            let schema = document.webhooks.get(name)?;
            Some(Schema::new(name, schema, &document.definitions))
        };
        Ok(Self {
            operations,
            email_event: event("email_event"),
            sms_event: event("sms_event"),
        })
    }

    /// Looks up a method and a path. The path must start with `/v3` unless `allow_missing_v3` is set.
    pub(crate) fn find(&self, method: &str, path: &str, allow_missing_v3: bool) -> Lookup<'_> {
        let below = path
            .strip_prefix("/v3")
            .filter(|rest| rest.starts_with('/'));
        let has_v3 = below.is_some();
        let path = below.unwrap_or(path);
        let mut methods = Vec::new();
        for operation in &self.operations {
            if operation.path == path {
                if !has_v3 && !allow_missing_v3 {
                    return Lookup::MissingV3;
                }
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

    /// The ids of all operations.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &str> {
        self.operations
            .iter()
            .map(|operation| operation.id.as_str())
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        &self.operations
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture() -> Api {
        Api::parse(include_str!("../tests/fixture.json")).unwrap()
    }

    fn operation<'a>(api: &'a Api, path: &str) -> &'a Operation {
        match api.find("POST", path, true) {
            Lookup::Found(operation) => operation,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn every_embedded_schema_compiles() {
        let api = Api::embedded().unwrap();
        assert!(!api.operations.is_empty());
        for operation in &api.operations {
            operation.request.check(&json!({})).unwrap();
        }
    }

    #[test]
    fn every_example_matches_its_schema() {
        for operation in &Api::embedded().unwrap().operations {
            if let Some(example) = &operation.request_example {
                let error = operation.request.check(example).unwrap();
                assert!(error.is_none(), "{}: {error:?}", operation.id);
            }
            let examples = operation.reply_examples.values();
            for example in examples.chain(&operation.reply_example) {
                let schema = operation.reply.as_ref().unwrap();
                let error = schema.mismatch(example).unwrap();
                assert_eq!(error, None, "{}", operation.id);
            }
        }
    }

    #[test]
    fn path_without_v3_is_found_only_if_allowed() {
        let api = fixture();
        let found = |path, allowed| match api.find("POST", path, allowed) {
            Lookup::Found(operation) => operation.id.clone(),
            other => format!("{other:?}"),
        };
        assert_eq!(found("/v3/email/send", false), "email_send");
        assert_eq!(found("/v3/email/send", true), "email_send");
        assert_eq!(found("/email/send", true), "email_send");
        assert_eq!(found("/email/send", false), "MissingV3");
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
            for allowed in [false, true] {
                assert_eq!(found(unknown, allowed), "UnknownPath", "{unknown}");
            }
        }
        assert!(matches!(
            api.find("PATCH", "/v3/email/send", false),
            Lookup::WrongMethod(methods) if methods == ["POST"]
        ));
    }

    #[test]
    fn error_names_the_invalid_field() {
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
            let error = send.request.check(&body).unwrap().unwrap();
            assert_eq!(error.field, expected, "{body}");
            assert!(!error.message.contains("example"), "{}", error.message);
        }
    }

    #[test]
    fn operation_without_a_request_body_refuses_every_field() {
        let api = Api::parse(
            r##"{ "operations": [{ "id": "a", "method": "POST", "path": "/a", "max_body_bytes": 9,
                  "key_in_body": null, "request": null, "reply_example": null }], "$defs": {} }"##,
        )
        .unwrap();
        let operation = operation(&api, "/a");
        assert!(operation.request.check(&json!({})).unwrap().is_none());
        let error = operation
            .request
            .check(&json!({ "b": { "c": 1 } }))
            .unwrap()
            .unwrap();
        assert_eq!(error.field, "b");
        assert_eq!(error.message, "The field is unknown.");
    }

    #[test]
    fn recursive_definition_is_included_once() {
        let api = Api::parse(
            r##"{ "operations": [{ "id": "a", "method": "POST", "path": "/a", "max_body_bytes": 9,
                  "key_in_body": null, "request": { "$ref": "#/$defs/Node" }, "reply_example": null }],
                  "$defs": { "Other": {}, "Node": { "type": "object", "additionalProperties": false,
                  "properties": { "next": { "$ref": "#/$defs/Node" } } } } }"##,
        )
        .unwrap();
        let operation = operation(&api, "/a");
        assert!(!operation.request.defines("Other"));
        let error = operation
            .request
            .check(&json!({ "next": { "next": { "nxt": 1 } } }))
            .unwrap()
            .unwrap();
        assert_eq!(error.field, "next.next.nxt");
    }
}
