//! Checks a spec before anything is generated from it.
//!
//! In: the document as JSON. Out: all [problems](Problems), each with its place, a message and a
//! remedy:
//!
//! ```text
//! #/components/schemas/SmsPart: the schema has no description (add a `description`; the documentation is generated from it)
//! ```
//!
//! [`check`] runs the checks, which follow in this file in the same order: references, operations
//! with their groups, bodies and responses, schemas, cycles, directions, and examples. Those of our
//! own extensions are in [`extensions`]. Later stages rely on these checks and do not repeat them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::document::{
    self, Document, JSON, METHODS, OperationAt, is_map, list, map, reference_name,
};
use crate::extensions;
use crate::names;
use crate::problem::{Problems, join};
use crate::schema;

/// The only keywords that a schema may use: those that every later stage understands.
const KEYWORDS: [&str; 20] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "default",
    "deprecated",
    "description",
    "enum",
    "example",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "nullable",
    "oneOf",
    "properties",
    "required",
];

/// The formats of each type. A format describes a value but refuses none; spec/README.md explains
/// each format.
const FORMATS: [(&str, &[&str]); 3] = [
    ("integer", &["int32", "int64"]),
    ("number", &["double"]),
    (
        "string",
        &[
            "byte",
            "date",
            "domain",
            "html",
            "id",
            "ip",
            "mailbox",
            "numeric",
            "password",
            "period",
            "phone",
            "text",
            "timestamp",
            "token",
            "url",
            "username",
            "word",
        ],
    ),
];

/// Methods of every request type, besides the setters of its fields.
const RESERVED: [&str; 4] = ["new", "check", "validate", "based_on"];

/// Names that a group can't have: those of modules, and of methods of the client.
const TAKEN: [&str; 15] = [
    "builder",
    "call",
    "call_empty",
    "ensure_webhook",
    "execute",
    "for_subaccount",
    "from_env",
    "mod",
    "raw",
    "send",
    "send_all",
    "send_batch",
    "send_mime",
    "shared",
    "with_options",
];

/// Runs every check on `document`.
pub(crate) fn check(document: &Value, problems: &mut Problems) {
    references(document, document, "", problems);
    let document = Document::new(document);
    operations(document, problems);
    let mut names = BTreeMap::new();
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        if !names::is_type_name(name) {
            problems.add(
                &pointer,
                format!("`{name}` is not a valid component name"),
                "write it in PascalCase (`SmsPart`), letters and digits only; names that generated \
                 code has already (`Date`) are taken",
            );
        }
        if let Some(other) = names.insert(name.to_lowercase(), name) {
            problems.add(
                &pointer,
                format!("`{name}` differs from `{other}` only in case"),
                "choose another name",
            );
        }
        if list(&component["allOf"]).len() + usize::from(reference_name(component).is_some()) > 0 {
            problems.add(
                &pointer,
                "the component is only an alias of another component",
                "refer to the other component directly",
            );
            continue;
        }
        schema(
            document,
            component,
            &pointer,
            SchemaPlace::Component,
            problems,
        );
    }
    cycles(document, problems);
    directions(document, problems);
    extensions::check(document, problems);
    examples(document, problems);
}

fn references(root: &Value, value: &Value, pointer: &str, problems: &mut Problems) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let target = reference.strip_prefix('#');
                if target.and_then(|target| root.pointer(target)).is_none() {
                    problems.add(
                        pointer,
                        format!("`$ref: {reference}` does not exist in this file"),
                        "correct the reference, or add the target under `components`",
                    );
                }
            }
            for (key, member) in members {
                // An example may contain anything.
                if key != "example" && key != "default" {
                    references(root, member, &join(pointer, key), problems);
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                references(root, item, &join(pointer, index), problems);
            }
        }
        _ => {}
    }
}

fn operations(document: Document<'_>, problems: &mut Problems) {
    for (path, item) in map(&document.root()["paths"]) {
        let pointer = join("/paths", path);
        if !path.starts_with('/') || path.contains(['{', '}', '?', '#']) {
            problems.add(
                &pointer,
                "the path does not start with `/`, or has parameters",
                "operations of this API take everything in their body",
            );
        }
        for key in map(item).keys() {
            if !METHODS.contains(&key.as_str()) {
                problems.add(
                    join(&pointer, key),
                    format!("`{key}` is not supported on a path"),
                    "keep only operations",
                );
            }
        }
    }
    let tags = tags(document, problems);
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    for operation in document.operations() {
        operation_id(&operation, &tags, &mut seen, problems);
        described(operation.value, &operation.pointer, "operation", problems);
        if operation.value["summary"]
            .as_str()
            .is_none_or(str::is_empty)
        {
            problems.add(
                &operation.pointer,
                "the operation has no summary",
                "describe the operation in one line",
            );
        }
        if operation.value.get("parameters").is_some() {
            problems.add(
                join(&operation.pointer, "parameters"),
                "parameters are not supported",
                "operations of this API take everything in their body",
            );
        }
        if let Some(body) = operation.value.get("requestBody") {
            let pointer = join(&operation.pointer, "requestBody");
            object_content(document, body, &pointer, &["example"], problems);
        }
        responses(document, &operation, problems);
    }
    for webhook in document.webhooks() {
        described(webhook.value, &webhook.pointer, "webhook", problems);
        tag(webhook.value, &webhook.pointer, &tags, problems);
        let pointer = join(&webhook.pointer, "requestBody");
        object_content(
            document,
            &webhook.value["requestBody"],
            &pointer,
            &["example", "examples"],
            problems,
        );
    }
}

/// Checks the API groups. Each becomes a module and a method.
fn tags<'a>(document: Document<'a>, problems: &mut Problems) -> BTreeSet<&'a str> {
    let mut tags = BTreeSet::new();
    for (index, tag) in list(&document.root()["tags"]).iter().enumerate() {
        let name = tag["name"].as_str().unwrap_or_default();
        described(tag, &join("/tags", index), "API group", problems);
        let taken = TAKEN.contains(&name);
        if !names::is_snake_case(name) || taken || !tags.insert(name) {
            problems.add(
                join("/tags", index),
                format!("`{name}` is not a valid group name, or occurs twice"),
                "list each group once, in snake_case; names of modules and of the client's methods are reserved",
            );
        }
    }
    tags
}

/// Returns the tag of an operation or webhook.
fn tag<'a>(
    value: &'a Value,
    pointer: &str,
    tags: &BTreeSet<&str>,
    problems: &mut Problems,
) -> Option<&'a str> {
    match list(&value["tags"]) {
        [Value::String(tag)] if tags.contains(tag.as_str()) => Some(tag),
        _ => {
            problems.add(
                join(pointer, "tags"),
                "expected exactly one tag, which `tags` at the root describes",
                "name its API group",
            );
            None
        }
    }
}

fn operation_id<'a>(
    operation: &OperationAt<'a>,
    tags: &BTreeSet<&str>,
    seen: &mut BTreeMap<&'a str, String>,
    problems: &mut Problems,
) {
    let pointer = &operation.pointer;
    let tag = tag(operation.value, pointer, tags, problems);
    let Some(id) = operation.value["operationId"].as_str() else {
        problems.add(pointer, "there is no operationId", "add `<group>_<action>`");
        return;
    };
    let at = join(pointer, "operationId");
    if let Some(other) = seen.insert(id, pointer.clone()) {
        problems.add(
            &at,
            format!("the operationId `{id}` is also that of #{other}"),
            "give each operation its own operationId",
        );
    }
    let action = tag.and_then(|tag| id.strip_prefix(tag)?.strip_prefix('_'));
    let sound = |action: Option<&str>| action.is_some_and(names::is_snake_case);
    if !names::is_snake_case(id) || (tag.is_some() && !sound(action)) {
        problems.add(
            &at,
            format!("the operationId `{id}` is malformed"),
            "write `<group>_<action>` in snake_case, the group being the tag",
        );
    }
}

fn described(value: &Value, pointer: &str, what: &str, problems: &mut Problems) {
    if value["description"].as_str().is_none_or(str::is_empty) {
        problems.add(
            pointer,
            format!("the {what} has no description"),
            "add a `description`; the documentation is generated from it",
        );
    }
}

/// Checks that a body is JSON, and that its schema is a component that is an object.
fn object_content(
    document: Document<'_>,
    body: &Value,
    pointer: &str,
    examples: &[&str],
    problems: &mut Problems,
) {
    let at = join(&join(pointer, "content"), JSON);
    let content = &body["content"][JSON];
    let schema = &content["schema"];
    let component = reference_name(schema).map(|name| document.schema(name));
    if component.is_some_and(Value::is_null) {
        // A dangling reference, already reported.
        return;
    }
    if component.is_none_or(|component| component["type"] != "object") {
        problems.add(
            join(&at, "schema"),
            "the body is not a component of type `object`",
            "refer to one with `$ref: '#/components/schemas/…'`",
        );
    } else if component.is_some_and(is_map) {
        problems.add(
            join(&at, "schema"),
            "the body is an object without properties",
            "add its properties, or leave `content` out of a 200",
        );
    }
    if !examples.iter().any(|key| content.get(key).is_some()) {
        problems.add(
            &at,
            "there is no example",
            "add `example`; the sandbox and the tests use it",
        );
    }
}

fn responses(document: Document<'_>, operation: &OperationAt<'_>, problems: &mut Problems) {
    let pointer = join(&operation.pointer, "responses");
    let all = map(&operation.value["responses"]);
    match all.get("200") {
        None => problems.add(
            &pointer,
            "there is no 200 response",
            "add the response; leave `content` out if its body is not known",
        ),
        Some(response) => {
            let elsewhere = response["$ref"].as_str();
            let response = document.response(response);
            if elsewhere.is_some_and(|at| !at.starts_with("#/components/responses/"))
                || response["description"].as_str().is_none_or(str::is_empty)
            {
                problems.add(
                    join(&pointer, "200"),
                    "expected a response with a description",
                    "add a `description`, and put the schema into `content`",
                );
            }
            if response.get("content").is_some() {
                let pointer = join(&pointer, "200");
                object_content(
                    document,
                    response,
                    &pointer,
                    &["example", "examples"],
                    problems,
                );
            }
        }
    }
    let mut errors = BTreeMap::new();
    for (status, response) in all.iter().filter(|(status, _)| status.as_str() != "200") {
        let schema = &document.response(response)["content"][JSON]["schema"];
        if !schema.is_null() {
            errors.entry(schema.to_string()).or_insert(status);
        }
    }
    if errors.len() > 1 {
        let statuses: Vec<_> = errors.values().map(|status| status.as_str()).collect();
        problems.add(
            &pointer,
            format!(
                "the errors {} have different schemas",
                statuses.join(" and ")
            ),
            "use one error schema everywhere",
        );
    }
}

/// The place of a schema, which decides its allowed forms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SchemaPlace {
    Component,
    Property,
    Inner,
}

fn schema(
    document: Document<'_>,
    value: &Value,
    pointer: &str,
    place: SchemaPlace,
    problems: &mut Problems,
) {
    if reference_name(value).is_some() {
        if map(value).len() > 1 {
            problems.add(
                pointer,
                "siblings of `$ref` are ignored in OpenAPI 3.0",
                "put the `$ref` into `allOf`",
            );
        }
        return;
    }
    if let Some(other) = value.get("$ref") {
        problems.add(
            pointer,
            format!(
                "`$ref: {}` is not a component",
                other.as_str().unwrap_or_default()
            ),
            "refer to one with `$ref: '#/components/schemas/…'`",
        );
    }
    for key in map(value).keys() {
        if !KEYWORDS.contains(&key.as_str()) && key != "type" && !key.starts_with("x-") {
            problems.add(
                join(pointer, key),
                format!("the keyword `{key}` is not supported in this document"),
                "describe the constraint in the description",
            );
        }
    }
    if place != SchemaPlace::Inner {
        described(value, pointer, "schema", problems);
    }
    let kind = value["type"].as_str();
    if value.get("nullable").is_some() && kind.is_none() {
        problems.add(
            join(pointer, "nullable"),
            "`nullable` has no effect without a `type`",
            "add the type, or remove `nullable`",
        );
    }
    for combined in ["allOf", "oneOf"] {
        let parts = list(&value[combined]);
        let at = join(pointer, combined);
        if value.get(combined).is_none() {
            continue;
        }
        let sound = match combined {
            "allOf" => parts.len() == 1 && reference_name(&parts[0]).is_some(),
            _ => parts.len() > 1 && parts.iter().all(is_scalar_or_list),
        };
        if !sound {
            problems.add(
                &at,
                format!("this form of `{combined}` is not supported"),
                "use `allOf` with one `$ref`, and `oneOf` with plain types only, the main one first",
            );
        }
        for (index, part) in parts.iter().enumerate() {
            schema(
                document,
                part,
                &join(&at, index),
                SchemaPlace::Inner,
                problems,
            );
        }
    }
    typed(document, value, kind, pointer, place, problems);
}

fn is_scalar_or_list(value: &Value) -> bool {
    matches!(
        value["type"].as_str(),
        Some("string" | "integer" | "number" | "boolean" | "array")
    )
}

fn typed(
    document: Document<'_>,
    value: &Value,
    kind: Option<&str>,
    pointer: &str,
    place: SchemaPlace,
    problems: &mut Problems,
) {
    let vocabulary = value.get("x-extensible-enum").is_some();
    if vocabulary && place != SchemaPlace::Component {
        problems.add(
            join(pointer, "x-extensible-enum"),
            "an open enum must be a component",
            "make it a component and refer to it",
        );
    }
    if value.get("enum").is_some() && kind != Some("integer") {
        problems.add(
            join(pointer, "enum"),
            "`enum` closes a set of values that the service may extend",
            "make it a component with `x-extensible-enum`",
        );
    }
    let formats = FORMATS.iter().find(|(of, _)| kind == Some(*of));
    if let Some(format) = value.get("format")
        && !formats.is_some_and(|(_, known)| known.iter().any(|known| format == known))
    {
        problems.add(
            join(pointer, "format"),
            format!("the format {format} is not known for this type"),
            "use one that spec/README.md lists",
        );
    }
    let properties = map(&value["properties"]);
    match kind {
        Some("string" | "integer" | "number" | "boolean") | None => {}
        Some("array") => {
            if value.get("items").is_none() {
                problems.add(pointer, "the list has no `items`", "add `items`");
            } else if document.resolve(&value["items"])["type"] == "array" {
                problems.add(
                    join(pointer, "items"),
                    "lists of lists are not supported",
                    "leave the items untyped (`items: {}`)",
                );
            }
            let at = join(pointer, "items");
            schema(document, &value["items"], &at, SchemaPlace::Inner, problems);
        }
        Some("object") => {
            if place != SchemaPlace::Component && !properties.is_empty() {
                problems.add(
                    pointer,
                    "an object with properties must be a component",
                    "make it a component and refer to it",
                );
            }
            if value["additionalProperties"].is_object() {
                let at = join(pointer, "additionalProperties");
                let inner = &value["additionalProperties"];
                schema(document, inner, &at, SchemaPlace::Inner, problems);
            }
        }
        Some(other) => problems.add(
            join(pointer, "type"),
            format!("`{other}` is not a type"),
            "use string, integer, number, boolean, array or object",
        ),
    }
    let mut fields = BTreeMap::new();
    if value["additionalProperties"] == Value::Bool(true) {
        fields.insert("other".to_owned(), "additionalProperties");
    }
    for (name, property) in properties {
        let at = join(&join(pointer, "properties"), name);
        let field = names::field_name(name);
        if field.is_empty() {
            problems.add(
                &at,
                format!("`{name}` has no letter or digit for a field name"),
                "remove it",
            );
        } else if let Some(other) = fields.insert(field, name) {
            problems.add(
                &at,
                format!("`{name}` and `{other}` would be the same field"),
                "remove one, or put it into `x-smtp2go-also-named` of the other",
            );
        }
        schema(document, property, &at, SchemaPlace::Property, problems);
    }
    for name in list(&value["required"]).iter().filter_map(Value::as_str) {
        if !properties.contains_key(name) {
            problems.add(
                join(pointer, "required"),
                format!("`{name}` is required but not a property"),
                "add the property, or remove the name from `required`",
            );
        }
    }
}

/// Finds components that contain themselves: a struct can't.
fn cycles(document: Document<'_>, problems: &mut Problems) {
    for name in document.schemas().keys() {
        let mut inner = BTreeSet::new();
        for next in direct_references(document.schema(name)) {
            reach(document, next, &mut inner);
        }
        if inner.contains(name.as_str()) {
            problems.add(
                join("/components/schemas", name),
                format!("`{name}` contains itself"),
                "leave the inner schema untyped",
            );
        }
    }
}

pub(crate) fn direct_references(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    match schema {
        Value::Object(members) => {
            found.extend(reference_name(schema));
            // Examples may contain anything, `$ref` included.
            for (key, member) in members {
                if key != "example" && key != "default" {
                    found.extend(direct_references(member));
                }
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(direct_references)),
        _ => {}
    }
    found
}

/// Adds `name` and every component that it refers to.
pub(crate) fn reach<'a>(document: Document<'a>, name: &'a str, into: &mut BTreeSet<&'a str>) {
    if into.insert(name) {
        for next in direct_references(document.schema(name)) {
            reach(document, next, into);
        }
    }
}

/// Returns the components reached from requests, and those reached from replies and webhooks.
pub(crate) fn reached(document: Document<'_>) -> (BTreeSet<&str>, BTreeSet<&str>) {
    let (mut requests, mut replies) = (BTreeSet::new(), BTreeSet::new());
    for operation in document.operations() {
        let request = &operation.value["requestBody"]["content"][JSON]["schema"];
        if let Some(name) = reference_name(request) {
            reach(document, name, &mut requests);
        }
        for response in map(&operation.value["responses"]).values() {
            let reply = &document.response(response)["content"][JSON]["schema"];
            if let Some(name) = reference_name(reply) {
                reach(document, name, &mut replies);
            }
        }
    }
    for webhook in document.webhooks() {
        let payload = &webhook.value["requestBody"]["content"][JSON]["schema"];
        if let Some(name) = reference_name(payload) {
            reach(document, name, &mut replies);
        }
    }
    (requests, replies)
}

/// Requests are strict and replies are lenient, so an object can't be used in both.
fn directions(document: Document<'_>, problems: &mut Problems) {
    let (requests, replies) = reached(document);
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        let (sent, received) = (
            requests.contains(name.as_str()),
            replies.contains(name.as_str()),
        );
        if !sent && !received {
            problems.add(
                &pointer,
                format!("`{name}` is not used"),
                "refer to it, or remove it",
            );
        }
        if component["type"] != "object" {
            continue;
        }
        if sent && received {
            problems.add(
                &pointer,
                format!("`{name}` is both sent and received"),
                "make two components: requests are strict, replies are not",
            );
        }
        for name in map(&component["properties"]).keys() {
            if name == "extra" {
                problems.add(
                    join(&join(&pointer, "properties"), name),
                    "an object can't have a field `extra`: its type keeps unknown members there",
                    "first rename that member in xtask/src/generate.rs",
                );
            }
            if sent && RESERVED.contains(&name.as_str()) {
                problems.add(
                    join(&join(&pointer, "properties"), name),
                    format!(
                        "a request can't have a field `{name}`: its type has a method of this name"
                    ),
                    "first rename the method in xtask/src/refine/types.rs",
                );
            }
        }
        if sent && !received && component["additionalProperties"] != Value::Bool(false) {
            problems.add(
                &pointer,
                format!("`{name}` is sent, but allows other properties"),
                "add `additionalProperties: false`",
            );
        }
    }
}

/// Checks that every example matches its schema.
fn examples(document: Document<'_>, problems: &mut Problems) {
    let definitions = schema::definitions(document);
    let mut bodies = Vec::new();
    for operation in document.operations() {
        let request = join(&operation.pointer, "requestBody");
        bodies.push((request, &operation.value["requestBody"]));
        for (status, response) in map(&operation.value["responses"]) {
            if response.get("$ref").is_none() {
                let pointer = join(&join(&operation.pointer, "responses"), status);
                bodies.push((pointer, response));
            }
        }
    }
    for (name, response) in map(&document.root()["components"]["responses"]) {
        bodies.push((join("/components/responses", name), response));
    }
    for webhook in document.webhooks() {
        let pointer = join(&webhook.pointer, "requestBody");
        bodies.push((pointer, &webhook.value["requestBody"]));
    }
    for (pointer, body) in bodies {
        for (media, content) in map(&body["content"]) {
            let pointer = join(&join(&pointer, "content"), media);
            let values: Vec<_> = document::examples(content)
                .into_iter()
                .map(|(at, value)| (format!("{pointer}{at}"), value))
                .collect();
            validate(
                document,
                &definitions,
                &content["schema"],
                &values,
                problems,
            );
        }
    }
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        scalar_examples(document, &definitions, component, &pointer, problems);
    }
}

/// Checks `example` and `default` of schemas and their properties.
fn scalar_examples(
    document: Document<'_>,
    definitions: &Value,
    schema: &Value,
    pointer: &str,
    problems: &mut Problems,
) {
    let values: Vec<_> = ["example", "default"]
        .into_iter()
        .filter_map(|key| Some((join(pointer, key), schema.get(key)?)))
        .collect();
    validate(document, definitions, schema, &values, problems);
    for (name, property) in map(&schema["properties"]) {
        let at = join(&join(pointer, "properties"), name);
        scalar_examples(document, definitions, property, &at, problems);
    }
}

fn validate(
    document: Document<'_>,
    definitions: &Value,
    schema: &Value,
    values: &[(String, &Value)],
    problems: &mut Problems,
) {
    if values.is_empty() {
        return;
    }
    let mut root = schema::convert(document, schema);
    let mut names = BTreeSet::new();
    for name in direct_references(schema) {
        reach(document, name, &mut names);
    }
    if names.iter().any(|name| document.schema(name).is_null()) {
        // A dangling reference, which is reported elsewhere.
        return;
    }
    root["$defs"] = names
        .into_iter()
        .map(|name| (name.to_owned(), definitions[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let validator = match jsonschema::validator_for(&root) {
        Ok(validator) => validator,
        Err(error) => {
            let pointer = values.first().map_or("", |(pointer, _)| pointer);
            problems.add(
                pointer,
                format!("the schema is invalid: {error}"),
                "compare with the JSON Schema specification",
            );
            return;
        }
    };
    for (pointer, value) in values {
        for error in validator.iter_errors(value) {
            problems.add(
                format!("{pointer}{}", error.instance_path()),
                format!("the schema refuses this example: {error}"),
                "correct the example or the schema",
            );
        }
    }
}
