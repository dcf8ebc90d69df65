//! Validates requests and replies against JSON Schema.

use std::fmt::Write;
use std::sync::OnceLock;

use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};
use smtp2go_types::validation::header_fault;

use crate::address;
use crate::refusal::FieldError;
use crate::world::Strictness;

/// A self-contained JSON Schema, including the definitions that it needs.
#[derive(Debug)]
pub(crate) struct Schema {
    /// Name of the described value, for errors.
    name: String,
    root: Value,
    /// Compiled on first use, because a test uses few operations.
    validator: OnceLock<Result<Validator, String>>,
}

impl Schema {
    pub(crate) fn new(name: &str, schema: &Value, definitions: &Map<String, Value>) -> Self {
        let mut needed = Map::new();
        gather(schema, definitions, &mut needed);
        Self {
            name: name.to_owned(),
            root: json!({ "allOf": [schema], "$defs": needed }),
            validator: OnceLock::new(),
        }
    }

    /// Fails if the schema does not compile.
    fn validator(&self) -> Result<&Validator, String> {
        self.validator
            .get_or_init(|| {
                jsonschema::draft202012::options()
                    .offline()
                    .should_validate_formats(true)
                    .build(&self.root)
                    .map_err(|error| format!("invalid schema of {}: {error}", self.name))
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    /// Checks a request, and returns the first invalid field. Fails if the schema does not compile.
    pub(crate) fn check(&self, body: &Value) -> Result<Option<FieldError>, String> {
        let wrong = self.validator()?.validate(body).err();
        let wrong = wrong.map(|error| field_error(&error, body));
        Ok(wrong.or_else(|| self.check_headers(&self.root, body, &mut String::new())))
    }

    /// Checks the fields that become headers (`x-smtp2go-header`): finds a text that is not a valid
    /// header, or not a valid address in a field for addresses. Like the service's error, the error
    /// names a list without an index. An optional field may be empty. Restores `path` before it
    /// returns.
    fn check_headers(
        &self,
        schema: &Value,
        value: &Value,
        path: &mut String,
    ) -> Option<FieldError> {
        let schema = self.resolve(schema);
        let length = path.len();
        match value {
            Value::Object(members) => members.iter().find_map(|(name, member)| {
                let property = self.resolve(schema.get("properties")?.get(name)?);
                push_name(path, name);
                let empty = *member == "" && !requires(schema, name);
                let wrong = match is_header(property) {
                    true if empty => None,
                    true => self
                        .header_fault(property, member)
                        .map(|message| FieldError {
                            field: path.clone(),
                            message,
                        }),
                    false => self.check_headers(property, member, path),
                };
                path.truncate(length);
                wrong
            }),
            Value::Array(items) => {
                let schema = self.resolve(schema.get("items")?);
                // Checked once for all items.
                schema.get("properties")?;
                items.iter().enumerate().find_map(|(index, item)| {
                    // Writing to a text does not fail.
                    let _ = write!(path, "[{index}]");
                    let wrong = self.check_headers(schema, item, path);
                    path.truncate(length);
                    wrong
                })
            }
            _ => None,
        }
    }

    /// Returns why a text, or a text of a list, is not a valid header or address.
    fn header_fault(&self, schema: &Value, value: &Value) -> Option<String> {
        match value {
            Value::Array(items) => {
                let schema = self.resolve(schema.get("items")?);
                items
                    .iter()
                    .find_map(|item| self.header_fault(schema, item))
            }
            Value::String(text) if schema.get("format").is_some_and(|of| of == "mailbox") => {
                address::mailbox(text).err().map(|fault| fault.refuse(text))
            }
            Value::String(text) => {
                header_fault(text).map(|fault| format!("The value can't be a header: {fault}."))
            }
            _ => None,
        }
    }

    /// Checks a reply, and returns where it does not match. Also reports members that the schema does
    /// not list, although the schemas of replies allow them.
    pub(crate) fn mismatch(&self, reply: &Value) -> Result<Option<String>, String> {
        if let Err(error) = self.validator()?.validate(reply) {
            let pointer = error.instance_path().as_str().to_owned();
            let what = error.masked_with("the value");
            return Ok(Some(format!("{}: {pointer}: {what}", self.name)));
        }
        let unknown = self.unknown(&self.root, reply, "");
        Ok(unknown.map(|pointer| format!("{}: {pointer}: not in the spec", self.name)))
    }

    /// Returns the pointer to a member that the schema does not list.
    fn unknown(&self, schema: &Value, value: &Value, pointer: &str) -> Option<String> {
        let schema = self.resolve(schema);
        match value {
            Value::Object(members) => members.iter().find_map(|(name, member)| {
                let at = format!("{pointer}/{name}");
                let known = schema.get("properties").and_then(|all| all.get(name));
                match (known, schema.get("additionalProperties")) {
                    (Some(property), _) => self.unknown(property, member, &at),
                    (None, None) if schema.get("properties").is_some() => Some(at),
                    (None, Some(other)) if other.is_object() => self.unknown(other, member, &at),
                    _ => None,
                }
            }),
            Value::Array(items) => {
                let schema = schema.get("items")?;
                let mut items = items.iter().enumerate();
                items.find_map(|(index, item)| {
                    self.unknown(schema, item, &format!("{pointer}/{index}"))
                })
            }
            _ => None,
        }
    }

    /// Removes what a lenient sandbox ignores: nulls, empty strings in optional fields (unless
    /// `keep_empty`), and unknown fields. Keeps what `strictness` refuses. Objects with arbitrary
    /// members are not changed.
    pub(crate) fn clean(
        &self,
        request: &mut Value,
        strictness: Strictness,
        keep_empty: bool,
    ) -> Cleaned {
        let mut passed = Passed {
            strictness,
            keep_empty,
            path: String::new(),
            cleaned: Cleaned::default(),
        };
        self.clean_at(&self.root, request, &mut passed);
        let mut cleaned = passed.cleaned;
        // Sorted, because the order of serde_json's members depends on the build's features.
        cleaned.ignored.sort_unstable();
        cleaned.empty.sort_unstable();
        cleaned
    }

    /// Restores `passed.path` before it returns.
    fn clean_at(&self, schema: &Value, value: &mut Value, passed: &mut Passed) {
        let schema = self.resolve(schema);
        let length = passed.path.len();
        match value {
            Value::Object(members) => {
                let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
                let tolerated = schema.get("x-smtp2go-ignored").and_then(Value::as_array);
                let tolerates =
                    |name: &str| tolerated.is_some_and(|all| all.iter().any(|known| known == name));
                members.retain(|name, member| {
                    let property = schema.get("properties").and_then(|all| all.get(name));
                    push_name(&mut passed.path, name);
                    let kept = match property {
                        Some(property) if member.is_null() => {
                            passed.strictness.nulls || self.takes_null(property)
                        }
                        Some(property)
                            if *member == ""
                                && !passed.keep_empty
                                && !requires(schema, name)
                                && !self.is_file(property) =>
                        {
                            let is_refused =
                                passed.strictness.nulls && !self.may_be_empty(property);
                            if is_refused {
                                passed.cleaned.empty.push(passed.path.clone());
                            }
                            passed.strictness.nulls
                        }
                        Some(property) => {
                            self.clean_at(property, member, passed);
                            true
                        }
                        None if closed && (!passed.strictness.unknown || tolerates(name)) => {
                            passed.cleaned.ignored.push(passed.path.clone());
                            false
                        }
                        None => true,
                    };
                    passed.path.truncate(length);
                    kept
                });
            }
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    // Resolved once for all items.
                    let schema = self.resolve(schema);
                    for (index, item) in items.iter_mut().enumerate() {
                        // Scalars have nothing to remove.
                        if !item.is_object() && !item.is_array() {
                            continue;
                        }
                        // Writing to a String does not fail.
                        let _ = write!(passed.path, "[{index}]");
                        self.clean_at(schema, item, passed);
                        passed.path.truncate(length);
                    }
                }
            }
            _ => {}
        }
    }

    fn takes_null(&self, schema: &Value) -> bool {
        let null = Value::from("null");
        match self.resolve(schema).get("type") {
            Some(Value::Array(types)) => types.contains(&null),
            Some(only) => *only == null,
            None => true,
        }
    }

    /// Whether the value is the content of a file, which may be empty.
    fn is_file(&self, schema: &Value) -> bool {
        self.resolve(schema)
            .get("format")
            .is_some_and(|format| format == "byte")
    }

    /// Whether the field's default is an empty string, which then is a value like any other.
    fn may_be_empty(&self, schema: &Value) -> bool {
        let default = schema.get("default");
        default.or_else(|| self.resolve(schema).get("default")) == Some(&Value::from(""))
    }

    /// Follows `$ref` and the first schema of `allOf` to the actual definition.
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        // The bound is a safeguard: the spec has no cycles of references.
        for _ in 0..64 {
            let definition = schema
                .get("$ref")
                .and_then(Value::as_str)
                .and_then(|target| self.root.pointer(target.strip_prefix('#')?));
            match definition.or_else(|| schema.get("allOf")?.get(0)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    #[cfg(test)]
    pub(crate) fn defines(&self, name: &str) -> bool {
        self.root["$defs"].get(name).is_some()
    }
}

fn requires(schema: &Value, name: &str) -> bool {
    let required = schema.get("required").and_then(Value::as_array);
    required.is_some_and(|all| all.iter().any(|known| known == name))
}

fn is_header(schema: &Value) -> bool {
    schema.get("x-smtp2go-header") == Some(&Value::Bool(true))
}

/// The fields that [`Schema::clean`] found, sorted.
#[derive(Debug, Default)]
pub(crate) struct Cleaned {
    /// Unknown fields, which were removed.
    pub(crate) ignored: Vec<String>,
    /// Optional fields with an empty string, which the strictness refuses.
    pub(crate) empty: Vec<String>,
}

/// State of [`Schema::clean`].
struct Passed {
    strictness: Strictness,
    keep_empty: bool,
    /// Path of the current value.
    path: String,
    cleaned: Cleaned,
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

/// Converts a validation error. Names the field as `attachments[0].filename`; for a missing or unknown
/// property, names the property, not its object.
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
        // The kind of error for an object that allows no properties at all.
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
            "The field is unknown.".to_owned()
        }
        None if error.instance().is_null() => "The value is null: leave the field out.".to_owned(),
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

    fn schema() -> Schema {
        let definitions = json!({
            "Item": { "type": "object", "additionalProperties": false, "required": ["name"],
                      "properties": { "name": { "type": "string" }, "note": { "type": ["string", "null"] },
                                      "file": { "type": "string", "format": "byte" },
                                      "kind": { "$ref": "#/$defs/Kind" } } },
            "Kind": { "type": "string", "default": "" },
        });
        let schema = json!({
            "type": "object", "additionalProperties": false,
            "properties": {
                "items": { "type": "array", "items": { "$ref": "#/$defs/Item" } },
                "first": { "allOf": [{ "$ref": "#/$defs/Item" }] },
                "data": { "type": "object", "additionalProperties": true },
                "count": { "type": "integer" },
            }
        });
        let Value::Object(definitions) = definitions else {
            unreachable!()
        };
        Schema::new("a test", &schema, &definitions)
    }

    #[test]
    fn clean_removes_nulls_empty_strings_and_unknown_fields() {
        let mut request = json!({
            "items": [{ "name": "a", "cid": 1 }, { "name": null, "note": null },
                      { "name": "", "note": "", "file": "" }],
            "first": { "name": "b", "x": null },
            "data": { "x": null, "y": [{ "z": 1 }], "w": "" },
            "count": null,
            "reply_to": "c",
        });
        let mut kept = request.clone();
        let cleaned = schema().clean(&mut request, Strictness::default(), false);
        assert_eq!(cleaned.ignored, ["first.x", "items[0].cid", "reply_to"]);
        let expected = json!({
            "items": [{ "name": "a" }, { "note": null }, { "name": "", "file": "" }],
            "first": { "name": "b" },
            "data": { "x": null, "y": [{ "z": 1 }], "w": "" },
        });
        assert_eq!(request, expected);
        schema().clean(&mut kept, Strictness::default(), true);
        assert_eq!(
            kept["items"][2],
            json!({ "name": "", "note": "", "file": "" })
        );
    }

    #[test]
    fn strict_clean_keeps_empty_strings_and_reports_those_of_optional_fields() {
        let request = json!({
            "items": [{ "name": "", "note": "", "file": "" }],
            "first": { "name": "b", "note": "", "kind": "" },
            "data": { "w": "" },
        });
        for (keep_empty, expected) in [(false, &["first.note", "items[0].note"][..]), (true, &[])] {
            let mut kept = request.clone();
            let cleaned = schema().clean(&mut kept, Strictness::FULL, keep_empty);
            assert_eq!(cleaned.empty, expected);
            assert_eq!(kept, request);
        }
    }

    #[test]
    fn reply_with_a_wrong_type_or_an_unlisted_member_is_a_mismatch() {
        let definitions = Map::new();
        let reply = json!({
            "type": "object",
            "properties": {
                "list": { "type": "array", "items": { "type": "object", "properties": { "a": { "type": "string" } } } },
                "map": { "type": "object", "additionalProperties": { "type": "integer" } },
                "any": {},
            }
        });
        let schema = Schema::new("a test", &reply, &definitions);
        for (reply, expected) in [
            (json!({}), None),
            (
                json!({ "list": [{ "a": "" }], "map": { "x": 1 }, "any": { "x": 1 } }),
                None,
            ),
            (
                json!({ "list": [{}, { "b": 1 }] }),
                Some("a test: /list/1/b: "),
            ),
            (json!({ "list": [{ "a": 1 }] }), Some("a test: /list/0/a: ")),
            (json!({ "map": { "x": "" } }), Some("a test: /map/x: ")),
            (json!({ "other": 1 }), Some("a test: /other: ")),
        ] {
            let found = schema.mismatch(&reply).unwrap();
            match expected {
                None => assert_eq!(found, None),
                Some(start) => assert!(found.as_deref().unwrap().starts_with(start), "{found:?}"),
            }
        }
    }
}
