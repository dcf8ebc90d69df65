//! Random requests made from the spec. The sandbox must not refuse a valid request as invalid. It
//! must refuse an invalid request, and name the invalid field.
//!
//! `SANDBOX_RANDOM=500` sets the number of requests per operation. Default: 8.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;

use fastrand::Rng;
use serde_json::{Map, Value, json};
use smtp2go_sandbox::Sandbox;
use support::{Reply, connect, read};

/// The operations as the sandbox reads them.
const DOCUMENT: &str = include_str!("../src/generated/api.json");

/// Default number of requests per operation and test.
const CASES: u64 = 8;

/// Maximum nesting of optional fields.
const DEPTH: usize = 6;

/// Fields that a handler may refuse although the schema allows them, because only the spec's prose
/// or an open enum restricts them: the operation (or `*`), the field without indexes, and the
/// reason.
const PROSE: &[(&str, &str, &str)] = &[
    (
        "email_send",
        "html_body",
        "a mail needs a body or a template",
    ),
    (
        "email_batch",
        "emails.html_body",
        "a mail needs a body or a template",
    ),
    (
        "*",
        "attachments.fileblob",
        "must be base64 unless there is a url",
    ),
    (
        "*",
        "inlines.fileblob",
        "must be base64 unless there is a url",
    ),
    (
        "*",
        "emails.attachments.fileblob",
        "must be base64 unless there is a url",
    ),
    (
        "*",
        "emails.inlines.fileblob",
        "must be base64 unless there is a url",
    ),
    (
        "*",
        "custom_headers.header",
        "must be a name of a header that the service does not set",
    ),
    (
        "*",
        "emails.custom_headers.header",
        "must be a name of a header that the service does not set",
    ),
    (
        "email_mime",
        "mime_email",
        "must be base64 of a message with a sender and recipients",
    ),
    ("*", "audit_email", "must be an address without a name"),
    (
        "single_sender_emails_add",
        "email_address",
        "must be an address without a name",
    ),
    (
        "suppression_add",
        "email_address",
        "must be an address or a domain",
    ),
    ("*", "allowed_senders", "must be addresses or domains"),
    ("*", "allowed_recipients", "must be addresses or domains"),
    ("*", "schedule", "must be a time in the next three days"),
    (
        "*",
        "emails.schedule",
        "must be a time in the next three days",
    ),
    ("*", "start_date", "must be a time"),
    ("*", "end_date", "must be a time"),
    ("*", "continue_token", "must come from the previous page"),
    ("*", "sort", "must be a value of an open enum"),
    ("*", "sort_direction", "must be a value of an open enum"),
    ("*", "states", "must be a value of an open enum"),
    ("*", "status", "must be a value of an open enum"),
    ("*", "type", "must be a value of an open enum"),
    ("*", "ip_address", "must be an IP address"),
    ("*", "new_ip_address", "must be an IP address"),
    (
        "*",
        "bounce_notifications",
        "must be from, drop or an address",
    ),
    ("*", "custom_ratelimit_period", "must be a duration"),
    (
        "smtp_users_add",
        "email_password",
        "must be a strong password",
    ),
    (
        "smtp_users_edit",
        "email_password",
        "must be a strong password",
    ),
    (
        "smtp_users_patch",
        "email_password",
        "must be a strong password",
    ),
    ("*", "attachments.filename", "must not be empty"),
    ("*", "inlines.filename", "must not be empty"),
    ("*", "emails.attachments.filename", "must not be empty"),
    ("*", "emails.inlines.filename", "must not be empty"),
    ("*", "attachments.url", "must be an http or https URL"),
    ("*", "inlines.url", "must be an http or https URL"),
    (
        "*",
        "emails.attachments.url",
        "must be an http or https URL",
    ),
    ("*", "emails.inlines.url", "must be an http or https URL"),
    ("email_batch", "emails", "must not be empty"),
    ("email_search", "filter_query", "must be a valid query"),
    ("sms_send", "destination", "must be a phone number"),
    ("sms_send", "content", "must not be empty"),
    ("*", "custom_headers", "must not have control characters"),
    ("email_scheduled_search", "page", "must not be negative"),
    ("email_scheduled_search", "limit", "must not be negative"),
    (
        "stats_email_history",
        "group_by",
        "must be a value of an open enum",
    ),
    ("*", "url", "must be an http or https URL"),
];

/// The operations of the document.
struct Api {
    operations: Vec<Value>,
    definitions: Map<String, Value>,
}

impl Api {
    fn read() -> Self {
        let mut document: Value = serde_json::from_str(DOCUMENT).unwrap();
        let Value::Object(definitions) = document["$defs"].take() else {
            panic!("no definitions");
        };
        let Value::Array(operations) = document["operations"].take() else {
            panic!("no operations");
        };
        Self {
            operations,
            definitions,
        }
    }

    /// Resolves references, and merges `allOf` with the keywords beside it.
    fn resolve(&self, schema: &Value) -> Map<String, Value> {
        let mut whole = schema.as_object().unwrap().clone();
        if let Some(target) = whole.remove("$ref") {
            let name = target.as_str().unwrap().strip_prefix("#/$defs/").unwrap();
            whole.extend(self.resolve(&self.definitions[name]));
        }
        if let Some(Value::Array(parts)) = whole.remove("allOf") {
            for part in &parts {
                for (name, value) in self.resolve(part) {
                    let known = whole.insert(name.clone(), value.clone());
                    assert!(
                        known.is_none_or(|known| known == value || annotates(&name)),
                        "{schema}"
                    );
                }
            }
        }
        whole
    }
}

/// Keywords that don't restrict values.
fn annotates(keyword: &str) -> bool {
    [
        "description",
        "title",
        "default",
        "example",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
    ]
    .contains(&keyword)
        || keyword.starts_with("x-")
}

/// The types that a schema allows. Empty if it allows any type.
fn types(schema: &Map<String, Value>) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn bound(schema: &Map<String, Value>, keyword: &str) -> Option<usize> {
    let bound = schema.get(keyword)?.as_u64()?;
    Some(usize::try_from(bound).unwrap())
}

/// Makes a value that the schema allows.
fn allowed(api: &Api, schema: &Value, random: &mut Rng, depth: usize) -> Value {
    let schema = &api.resolve(schema);
    for keyword in schema.keys() {
        let known = [
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "enum",
            "format",
            "minimum",
            "maximum",
            "minLength",
            "maxLength",
            "minItems",
            "maxItems",
            "x-smtp2go-header",
        ];
        // Fails if the spec starts to use another keyword.
        assert!(
            known.contains(&keyword.as_str()) || annotates(keyword),
            "{keyword}"
        );
    }
    if let Some(Value::Array(words)) = schema.get("enum") {
        return random.choice(words).unwrap().clone();
    }
    let types = types(schema);
    let kind = random.choice(&types).copied().unwrap_or("string");
    match kind {
        "null" => Value::Null,
        "boolean" => random.bool().into(),
        "integer" => {
            let least = schema.get("minimum").and_then(Value::as_i64).unwrap_or(-5);
            let most = schema
                .get("maximum")
                .and_then(Value::as_i64)
                .unwrap_or(least + 1_000);
            match random.u8(..4) {
                0 => least.into(),
                1 => most.into(),
                _ => random.i64(least..=most).into(),
            }
        }
        "number" => (f64::from(random.u8(..)) / 4.0).into(),
        "string" => text(schema, random).into(),
        "array" => {
            let least = bound(schema, "minItems").unwrap_or(0);
            let most = bound(schema, "maxItems").unwrap_or(least + 3);
            // Sometimes the maximum number of items.
            let most = if random.u8(..8) == 0 {
                most
            } else {
                most.min(least + 3)
            };
            let count = if depth > DEPTH {
                least
            } else {
                random.usize(least..=most)
            };
            let items = schema.get("items").cloned().unwrap_or_else(|| json!({}));
            (0..count)
                .map(|_| allowed(api, &items, random, depth + 1))
                .collect()
        }
        "object" => {
            let mut object = Map::new();
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                let is_required = required(schema).contains(&name.as_str());
                if is_required || (depth <= DEPTH && random.bool()) {
                    let value = allowed(api, property, random, depth + 1);
                    // A strict sandbox refuses most optional fields that are empty.
                    if is_required || value != "" {
                        object.insert(name.clone(), value);
                    }
                }
            }
            let more = schema
                .get("additionalProperties")
                .unwrap_or(&Value::Bool(true));
            if more != false {
                for _ in 0..random.usize(..3) {
                    let more = if more.is_object() {
                        more.clone()
                    } else {
                        json!({})
                    };
                    let name = format!("made_up_{}", random.u8(..));
                    object.insert(name, allowed(api, &more, random, depth + 1));
                }
            }
            object.into()
        }
        other => panic!("the type {other}"),
    }
}

fn required(schema: &Map<String, Value>) -> Vec<&str> {
    let required = schema.get("required").and_then(Value::as_array);
    required
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn is_header(schema: &Map<String, Value>) -> bool {
    schema.get("x-smtp2go-header") == Some(&Value::Bool(true))
}

/// Makes a text of a valid length, sometimes of the maximum length.
fn text(schema: &Map<String, Value>, random: &mut Rng) -> String {
    // Other formats only describe a text. Of those, the sandbox checks email addresses.
    if schema.get("format") == Some(&Value::from("date")) {
        return format!(
            "20{:02}-{:02}-{:02}",
            random.u8(..30),
            random.u8(1..=12),
            random.u8(1..=28)
        );
    }
    if schema.get("format") == Some(&Value::from("mailbox")) {
        let forms = [
            "a@b.c",
            "Jane <jane@example.net>",
            "\"Doe, J\" <j@example.org>",
        ];
        return (*random.choice(&forms).unwrap()).to_owned();
    }
    let least = bound(schema, "minLength").unwrap_or(0);
    let most = bound(schema, "maxLength").unwrap_or(least + 12);
    let length = match random.u8(..4) {
        0 => least,
        1 => most,
        _ => random.usize(least..=most),
    };
    let letters = [
        'a', 'Z', '0', '@', '.', ' ', '"', '<', 'é', '語', '🙂', '\u{0}',
    ];
    // Headers must not have control characters.
    let letters = &letters[..letters.len() - usize::from(is_header(schema))];
    // Lengths are in characters, not in bytes.
    (0..length)
        .map(|_| *random.choice(letters).unwrap())
        .collect()
}

/// Adds every kind of invalid value made from a valid one to `found`: the path of the field, and the
/// changed value.
fn forbidden(
    api: &Api,
    schema: &Value,
    value: &Value,
    path: &str,
    found: &mut Vec<(String, Value)>,
) {
    let schema = &api.resolve(schema);
    let types = types(schema);
    let mut add = |path: &str, value: Value| found.push((path.to_owned(), value));
    if !types.is_empty() && !path.is_empty() {
        for (kind, other) in [
            ("null", Value::Null),
            ("boolean", true.into()),
            ("string", "text".into()),
            ("array", json!([])),
            ("object", json!({})),
            ("number", json!(1.5)),
        ] {
            if !types.contains(&kind) {
                add(path, other);
            }
        }
    }
    if schema.contains_key("enum") {
        add(path, "made up".into());
    }
    match value {
        Value::String(_) => {
            if schema.get("format") == Some(&Value::from("date")) {
                add(path, "2026-02-30".into());
            }
            if is_header(schema) {
                add(path, "a@b.c\n".into());
                if schema.get("format") == Some(&Value::from("mailbox")) {
                    add(path, "nope".into());
                }
            }
            if let Some(least) = bound(schema, "minLength").filter(|least| *least > 0) {
                add(path, "é".repeat(least - 1).into());
            }
            if let Some(most) = bound(schema, "maxLength") {
                add(path, "é".repeat(most + 1).into());
            }
        }
        Value::Number(_) => {
            // A limit may be the one of 64-bit integers; then a number beyond them is used.
            if let Some(least) = schema.get("minimum").and_then(Value::as_i64) {
                add(path, least.checked_sub(1).map_or(json!(-1e19), Value::from));
            }
            if let Some(most) = schema.get("maximum").and_then(Value::as_i64) {
                add(
                    path,
                    most.checked_add(1).map_or(json!(1u64 << 63), Value::from),
                );
            }
        }
        Value::Array(items) => {
            // A list of addresses is named without the place in it.
            if is_header(schema) {
                add(path, json!(["nope"]));
            }
            if let Some(least) = bound(schema, "minItems").filter(|least| *least > 0) {
                add(path, items.iter().take(least - 1).cloned().collect());
            }
            if let (Some(most), Some(item)) = (bound(schema, "maxItems"), items.first()) {
                add(path, vec![item.clone(); most + 1].into());
            }
            let schema = schema.get("items").cloned().unwrap_or_else(|| json!({}));
            // Changing one item is enough.
            if let Some(item) = items.first() {
                let mut inner = Vec::new();
                forbidden(api, &schema, item, &format!("{path}[0]"), &mut inner);
                found.extend(inner.into_iter().map(|(path, broken)| {
                    let mut items = items.clone();
                    items[0] = broken;
                    (path, items.into())
                }));
            }
        }
        Value::Object(members) => {
            let at = |name: &str| match path {
                "" => name.to_owned(),
                path => format!("{path}.{name}"),
            };
            for name in required(schema) {
                let mut rest = members.clone();
                rest.remove(name);
                add(&at(name), rest.into());
            }
            if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
                for more in [json!(1), Value::Null] {
                    let mut members = members.clone();
                    members.insert("made_up".to_owned(), more);
                    add(&at("made_up"), members.into());
                }
            }
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, member) in members {
                let known = properties.and_then(|properties| properties.get(name));
                let more = schema
                    .get("additionalProperties")
                    .filter(|more| more.is_object());
                if let Some(property) = known.or(more) {
                    let mut inner = Vec::new();
                    forbidden(api, property, member, &at(name), &mut inner);
                    found.extend(inner.into_iter().map(|(path, broken)| {
                        let mut members = members.clone();
                        members.insert(name.clone(), broken);
                        (path, members.into())
                    }));
                }
            }
        }
        _ => {}
    }
}

/// A connection that is used for all calls.
struct Client<'a> {
    sandbox: &'a Sandbox,
    stream: TcpStream,
}

impl<'a> Client<'a> {
    fn new(sandbox: &'a Sandbox) -> Self {
        Self {
            sandbox,
            stream: connect(sandbox),
        }
    }

    fn call(&mut self, operation: &Value, body: &Value) -> Reply {
        let body = body.to_string();
        let request = format!(
            "{} /v3{} HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
            operation["method"].as_str().unwrap(),
            operation["path"].as_str().unwrap(),
            self.sandbox.key(),
            body.len(),
        );
        self.stream.write_all(request.as_bytes()).unwrap();
        read(&mut self.stream, true)
    }
}

/// Returns the field that a validation error names. `None` for any other reply.
fn refused(reply: &Reply) -> Option<String> {
    if reply.status != 400 {
        return None;
    }
    let data = reply.json()["data"].take();
    (data["error_code"] == "E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD").then(|| {
        data["field_validation_errors"]["fieldname"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    })
}

fn cases() -> u64 {
    std::env::var("SANDBOX_RANDOM").map_or(CASES, |cases| cases.parse().unwrap())
}

/// Returns an operation's request schema, and a valid request. If the operation takes a key in the body,
/// the request has `key`.
fn make(api: &Api, operation: &Value, key: &str, random: &mut Rng) -> (Value, Value) {
    let schema = match &operation["request"] {
        Value::Null => json!({ "type": "object", "additionalProperties": false }),
        schema => schema.clone(),
    };
    let mut request = allowed(api, &schema, random, 0);
    if let Some(field) = operation["key_in_body"].as_str() {
        request[field] = key.into();
    }
    (schema, request)
}

fn sandbox(stateless: bool) -> Sandbox {
    let builder = Sandbox::builder().strict(true).stateless(stateless);
    builder.start_blocking().unwrap()
}

#[test]
fn request_that_the_spec_allows_is_not_refused() {
    let api = Api::read();
    let sandbox = sandbox(true);
    let mut client = Client::new(&sandbox);
    for operation in &api.operations {
        for case in 0..cases() {
            let mut random = Rng::with_seed(case);
            let (_, request) = make(&api, operation, sandbox.key(), &mut random);
            let reply = client.call(operation, &request);
            let id = operation["id"].as_str().unwrap();
            let prose = refused(&reply).is_some_and(|field| is_prose(id, &without_places(&field)));
            assert!(
                reply.status == 200 || prose,
                "{id}, case {case}: {request}\n{}",
                reply.body
            );
        }
    }
}

#[test]
fn request_that_the_spec_forbids_is_refused_with_the_name_of_the_field() {
    let api = Api::read();
    let sandbox = sandbox(true);
    let mut client = Client::new(&sandbox);
    for operation in &api.operations {
        let id = &operation["id"];
        let mut tried = 0;
        for case in 0..cases().div_ceil(4) {
            let mut random = Rng::with_seed(case);
            let (schema, request) = make(&api, operation, sandbox.key(), &mut random);
            let mut found = Vec::new();
            forbidden(&api, &schema, &request, "", &mut found);
            for (path, broken) in found {
                let reply = client.call(operation, &broken);
                // An invalid key is refused before the field is checked.
                if operation["key_in_body"] == path && reply.status == 401 {
                    continue;
                }
                let field = refused(&reply);
                assert_eq!(
                    field,
                    Some(path),
                    "{id}, case {case}: {broken}\n{}",
                    reply.body
                );
                tried += 1;
            }
        }
        assert!(tried >= 2, "{id}: {tried}");
    }
}

#[test]
fn empty_text_in_an_optional_field_is_refused_except_in_edits() {
    let api = Api::read();
    let sandbox = sandbox(true);
    let mut client = Client::new(&sandbox);
    let (mut refusals, mut accepted) = (0, 0);
    for operation in &api.operations {
        let id = operation["id"].as_str().unwrap();
        let (schema, request) = make(&api, operation, sandbox.key(), &mut Rng::with_seed(0));
        let schema = api.resolve(&schema);
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let property = api.resolve(property);
            if !types(&property).contains(&"string") || required(&schema).contains(&name.as_str()) {
                continue;
            }
            let mut request = request.clone();
            request[name] = "".into();
            let reply = client.call(operation, &request);
            let is_value = property.get("default") == Some(&Value::from(""))
                || (["_edit", "_patch"].iter().any(|end| id.ends_with(end))
                    && operation["subaccount"] != **name);
            match is_value {
                true => {
                    accepted += 1;
                    assert!(
                        !reply.body.contains("leave the field out"),
                        "{id} {name}: {reply:?}"
                    );
                }
                false => {
                    refusals += 1;
                    assert_eq!(refused(&reply).as_ref(), Some(name), "{id}: {reply:?}");
                    assert!(reply.body.contains("The value is empty"), "{id}: {reply:?}");
                }
            }
        }
    }
    assert!(refusals > 50 && accepted > 20, "{refusals} {accepted}");
}

/// A sandbox with state may refuse a request, for example because an object does not exist, but not
/// as invalid. It is strict, so that it also checks its own replies.
#[test]
fn handlers_do_not_refuse_valid_requests_as_invalid() {
    let api = Api::read();
    let sandbox = sandbox(false);
    let mut unknown = BTreeMap::new();
    for operation in &api.operations {
        let id = operation["id"].as_str().unwrap();
        for case in 0..cases() {
            // The last request may have blocked the key. A reset also makes each case independent of
            // the previous ones.
            sandbox.reset();
            let mut random = Rng::with_seed(case);
            let (_, request) = make(&api, operation, sandbox.key(), &mut random);
            let reply = Client::new(&sandbox).call(operation, &request);
            let told = || format!("{id}, case {case}: {request}\n{}", reply.body);
            assert!(reply.status < 500, "{}", told());
            if let Some(field) = refused(&reply) {
                let field = without_places(&field);
                if !is_prose(id, &field) {
                    unknown.entry((id, field.clone())).or_insert_with(told);
                }
            }
        }
    }
    assert!(unknown.is_empty(), "not in PROSE: {unknown:#?}");
}

/// Whether [`PROSE`] has the field.
fn is_prose(id: &str, field: &str) -> bool {
    let mut known = PROSE.iter();
    known.any(|(of, name, _)| (*of == id || *of == "*") && *name == field)
}

/// Removes the indexes from a field: `a[0].b` becomes `a.b`.
fn without_places(field: &str) -> String {
    let parts = field
        .split('.')
        .map(|part| part.split('[').next().unwrap_or_default());
    parts.collect::<Vec<_>>().join(".")
}
