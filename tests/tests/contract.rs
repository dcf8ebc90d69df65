//! The request types and the spec allow the same requests.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use serde_json::{Map, Value, json};
use smtp2go_tests::contract::REQUESTS;

/// Number of values per request.
const VALUES: usize = 10;

/// The components as JSON Schemas, including the rules of extensions.
fn definitions() -> Value {
    let path = support::root().join("smtp2go-sandbox/src/generated/api.json");
    let text = std::fs::read_to_string(path).unwrap();
    let mut api: Value = serde_json::from_str(&text).unwrap();
    api["$defs"].take()
}

fn validators(definitions: &Value) -> BTreeMap<&'static str, jsonschema::Validator> {
    REQUESTS
        .iter()
        .map(|request| {
            let name = request.name;
            let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": definitions });
            (name, jsonschema::validator_for(&schema).unwrap())
        })
        .collect()
}

/// The field that the client fills in, which the types lack.
const KEY: &str = "api_key";

fn with_key(mut sent: Value, of: &Value) -> Value {
    if let (Some(key), Some(sent)) = (of.get(KEY), sent.as_object_mut()) {
        sent.entry(KEY).or_insert_with(|| key.clone());
    }
    sent
}

#[test]
fn request_that_the_spec_allows_is_accepted_and_sent_as_valid_json() {
    let definitions = definitions();
    let validators = validators(&definitions);
    let mut rng = Rng::with_seed(20_260_907);
    for request in REQUESTS {
        for _ in 0..VALUES {
            let value = Values::new(&definitions, &mut rng).of(&definitions[request.name]);
            let validator = &validators[request.name];
            assert!(
                validator.is_valid(&value),
                "{}: the test's generator made an invalid value {value:#}",
                request.name
            );
            let sent = (request.check)(&value)
                .unwrap_or_else(|error| panic!("{}: {error}\n{value:#}", request.name));
            let sent = with_key(sent, &value);
            if let Err(error) = validator.validate(&sent) {
                panic!(
                    "{}: sends a request that the spec forbids: {error}\n{sent:#}",
                    request.name
                );
            }
            for (field, value) in value.as_object().unwrap() {
                assert_eq!(
                    sent.get(field),
                    Some(value),
                    "{}.{field} was changed",
                    request.name
                );
            }
        }
    }
}

#[test]
fn request_that_the_spec_forbids_is_refused() {
    let definitions = definitions();
    let validators = validators(&definitions);
    let mut rng = Rng::with_seed(20_260_908);
    let mut refused = BTreeSet::new();
    for request in REQUESTS {
        let schema = &definitions[request.name];
        // The first value has all fields.
        for filling in [Filling::All, Filling::Some] {
            let value = Values {
                filling,
                ..Values::new(&definitions, &mut rng)
            }
            .of(schema);
            for (place, rule, broken) in breaches(&definitions, schema, &value) {
                assert!(
                    !validators[request.name].is_valid(&broken),
                    "{}{place}: {rule} is not broken in {broken:#}",
                    request.name
                );
                if rule == "required" && value.get(KEY).is_some() && broken.get(KEY).is_none() {
                    continue;
                }
                let taken = (request.check)(&broken);
                assert!(
                    taken.is_err(),
                    "{}{place}: breaks {rule}, and is sent: {broken:#}",
                    request.name
                );
                refused.insert((format!("{}{place}", request.name), rule));
            }
        }
    }
    let spec = support::spec();
    let mut wanted = BTreeSet::new();
    for request in REQUESTS {
        let schema = json!({ "$ref": format!("#/components/schemas/{}", request.name) });
        rules(&spec, &schema, request.name, &mut wanted);
    }
    let missing: Vec<_> = wanted.difference(&refused).collect();
    assert!(missing.is_empty(), "no value broke {missing:#?}");
    assert!(wanted.len() > 100, "{}", wanted.len());
}

/// Collects the contents below a value, each with its place.
fn contents<'a>(value: &'a Value, at: &str, into: &mut Vec<(String, &'a Value)>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at} {name}");
        if name == "content" {
            let media = member.as_object().unwrap();
            into.extend(
                media
                    .iter()
                    .map(|(media, content)| (format!("{at} {media}"), content)),
            );
        } else {
            contents(member, &at, into);
        }
    }
}

#[test]
fn every_example_matches_its_schema() {
    let definitions = definitions();
    let spec = support::spec();
    let mut bodies = Vec::new();
    for part in ["paths", "x-webhooks"] {
        contents(&spec[part], part, &mut bodies);
    }
    contents(&spec["components"]["responses"], "responses", &mut bodies);
    let mut named = 0;
    for (at, content) in bodies {
        let reference = content["schema"]["$ref"].as_str().unwrap();
        let name = reference.rsplit('/').next().unwrap();
        let schema = json!({ "$ref": format!("#/$defs/{name}"), "$defs": definitions });
        let validator = jsonschema::validator_for(&schema).unwrap();
        let examples = support::examples(content);
        assert!(!examples.is_empty(), "{at} has no example");
        for (name, example) in examples {
            if let Err(error) = validator.validate(&example) {
                panic!("{at} {name}: {error}");
            }
            named += usize::from(!name.is_empty());
        }
    }
    assert!(named >= 30, "{named}");
}

/// Collects the fields of a request that become headers, with `[]` for the items of a list.
fn header_fields(spec: &Value, schema: &Value, place: &str, into: &mut Vec<String>) {
    let mark = schema["x-smtp2go-header"] == true;
    let schema = target(spec, schema);
    let list = schema["items"].is_object();
    if mark {
        into.push(format!("{place}{}", if list { "[]" } else { "" }));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let place = if place.is_empty() {
            name.clone()
        } else {
            format!("{place}.{name}")
        };
        header_fields(spec, property, &place, into);
    }
    if list {
        header_fields(spec, &schema["items"], &format!("{place}[]"), into);
    }
}

/// Returns `value` with `text` in a field; lists in its path use their first item.
fn with_text(value: &Value, field: &str, text: &str) -> Value {
    let mut value = value.clone();
    let pointer = format!("/{}", field.replace("[]", "/0").replace('.', "/"));
    *value.pointer_mut(&pointer).unwrap() = text.into();
    value
}

#[test]
fn control_characters_are_refused_in_header_fields() {
    let spec = support::spec();
    let definitions = definitions();
    let mut rng = Rng::with_seed(20_261_129);
    let mut found = BTreeSet::new();
    for request in REQUESTS {
        let schema = &spec["components"]["schemas"][request.name];
        let mut fields = Vec::new();
        header_fields(&spec, schema, "", &mut fields);
        let value = Values {
            filling: Filling::All,
            ..Values::new(&definitions, &mut rng)
        }
        .of(&definitions[request.name]);
        for field in fields {
            let path = field.replace("[]", "[0]");
            for c in "\0\t\n\u{b}\r\u{1b}\x1f \x7f\u{80}\u{85}\u{9f}é日".chars() {
                let refused = (request.check)(&with_text(&value, &field, &format!("a{c}b@c.d")));
                let problem =
                    format!("{path}: a line break or another control character is not allowed");
                let is_refused = refused.is_err_and(|error| error.contains(&problem));
                assert_eq!(is_refused, c.is_control(), "{} {path} {c:?}", request.name);
            }
            found.insert(format!("{}.{field}", request.name));
        }
    }
    let found: Vec<_> = found.iter().map(String::as_str).collect();
    assert_eq!(
        found,
        [
            "ApiKeysAddRequest.audit_email",
            "ApiKeysEditRequest.audit_email",
            "ApiKeysPatchRequest.audit_email",
            "Attachment.filename",
            "Attachment.mimetype",
            "BatchEmail.attachments[].filename",
            "BatchEmail.attachments[].mimetype",
            "BatchEmail.bcc[]",
            "BatchEmail.cc[]",
            "BatchEmail.custom_headers[].header",
            "BatchEmail.custom_headers[].value",
            "BatchEmail.inlines[].filename",
            "BatchEmail.inlines[].mimetype",
            "BatchEmail.sender",
            "BatchEmail.subject",
            "BatchEmail.to[]",
            "CustomHeader.header",
            "CustomHeader.value",
            "EmailBatchRequest.emails[].attachments[].filename",
            "EmailBatchRequest.emails[].attachments[].mimetype",
            "EmailBatchRequest.emails[].bcc[]",
            "EmailBatchRequest.emails[].cc[]",
            "EmailBatchRequest.emails[].custom_headers[].header",
            "EmailBatchRequest.emails[].custom_headers[].value",
            "EmailBatchRequest.emails[].inlines[].filename",
            "EmailBatchRequest.emails[].inlines[].mimetype",
            "EmailBatchRequest.emails[].sender",
            "EmailBatchRequest.emails[].subject",
            "EmailBatchRequest.emails[].to[]",
            "EmailSendRequest.attachments[].filename",
            "EmailSendRequest.attachments[].mimetype",
            "EmailSendRequest.bcc[]",
            "EmailSendRequest.cc[]",
            "EmailSendRequest.custom_headers[].header",
            "EmailSendRequest.custom_headers[].value",
            "EmailSendRequest.inlines[].filename",
            "EmailSendRequest.inlines[].mimetype",
            "EmailSendRequest.sender",
            "EmailSendRequest.subject",
            "EmailSendRequest.to[]",
            "IpAuthPatchRequest.audit_email",
            "SingleSenderEmailsAddRequest.email_address",
            "SmtpUsersAddRequest.audit_email",
            "SmtpUsersEditRequest.audit_email",
            "SmtpUsersPatchRequest.audit_email",
            "SubaccountAddRequest.subaccount_email",
            "TemplateAddRequest.subject",
            "TemplateEditRequest.subject",
            "WebhookAddRequest.auth_header_value",
            "WebhookEditRequest.auth_header_value",
        ]
    );
}

/// Collects the rules of the spec that a value of this schema can break, each with its place as
/// names of fields.
fn rules(spec: &Value, schema: &Value, place: &str, into: &mut BTreeSet<(String, &'static str)>) {
    if schema["x-smtp2go-known-words-only"] == true {
        let list = target(spec, schema)["type"] == "array";
        into.insert((format!("{place}{}", if list { "[]" } else { "" }), "enum"));
    }
    let schema = target(spec, schema);
    for rule in [
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minimum",
        "maximum",
        "enum",
    ] {
        let says_nothing = match rule {
            "minLength" | "minItems" => schema[rule] == 0,
            _ => false,
        };
        // A field of the format `int32` must be within its range.
        let by_format = matches!(rule, "minimum" | "maximum")
            && schema["format"] == "int32"
            && schema.get("enum").is_none();
        if (schema.get(rule).is_some() || by_format) && !says_nothing {
            into.insert((place.to_owned(), rule));
        }
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if requires(schema, name) && name != KEY {
            into.insert((format!("{place}.{name}"), "required"));
        }
        rules(spec, property, &format!("{place}.{name}"), into);
    }
    if schema["items"].is_object() {
        rules(spec, &schema["items"], &format!("{place}[]"), into);
    }
}

/// Follows references to a schema.
fn target<'a>(spec: &'a Value, mut schema: &'a Value) -> &'a Value {
    while let Some(reference) = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str())
    {
        schema = spec.pointer(reference.trim_start_matches('#')).unwrap();
    }
    schema
}

#[test]
fn validation_accepts_exactly_what_the_spec_allows() {
    let definitions = definitions();
    let validators = validators(&definitions);
    let mut rng = Rng::with_seed(20_261_123);
    let (mut passed, mut refused) = (0, 0);
    for request in REQUESTS {
        for _ in 0..4 * VALUES {
            // Of the right types, within or beyond the limits.
            let value = Values {
                slip: 12,
                ..Values::new(&definitions, &mut rng)
            }
            .of(&definitions[request.name]);
            let allowed = validators[request.name].is_valid(&value);
            match (request.check)(&value) {
                Ok(sent) => {
                    let sent = with_key(sent, &value);
                    assert!(
                        validators[request.name].is_valid(&sent) || lacks_key(&value, request.name),
                        "{}: passes, but the spec forbids it: {sent:#}",
                        request.name
                    );
                    passed += 1;
                }
                Err(error) => {
                    assert!(
                        !allowed,
                        "{}: refused, but the spec allows it: {error}\n{value:#}",
                        request.name
                    );
                    refused += 1;
                }
            }
        }
    }
    assert!(passed > 500 && refused > 100, "{passed} and {refused}");
}

/// Whether a request only lacks the key, which the client fills in.
fn lacks_key(value: &Value, name: &str) -> bool {
    name.starts_with("IpAllowList") && value.get(KEY).is_none()
}

/// Which optional parts a value has.
#[derive(Clone, Copy, PartialEq)]
enum Filling {
    /// Optional fields are present at random, and lists may be empty.
    Some,
    /// All fields are present, and lists have two items if allowed.
    All,
}

/// Makes random values that a schema allows.
struct Values<'a> {
    definitions: &'a Value,
    rng: &'a mut Rng,
    filling: Filling,
    /// On average, one in `slip` values breaks a rule. 0: no value does.
    slip: u32,
}

/// Follows references to the schema that has the type.
fn resolved<'a>(definitions: &'a Value, mut schema: &'a Value) -> &'a Value {
    loop {
        schema = match (schema["$ref"].as_str(), schema["allOf"].get(0)) {
            (Some(name), _) => &definitions[name.rsplit('/').next().unwrap()],
            // The only possible sibling of `allOf` is a closed enum, which is sufficient.
            (None, Some(only)) if schema.get("enum").is_none() => only,
            _ => return schema,
        };
    }
}

impl<'a> Values<'a> {
    fn new(definitions: &'a Value, rng: &'a mut Rng) -> Self {
        Self {
            definitions,
            rng,
            filling: Filling::Some,
            slip: 0,
        }
    }

    fn slips(&mut self) -> bool {
        self.slip > 0 && self.rng.u32(..self.slip) == 0
    }

    /// Returns a value that breaks a rule, at the rate of `slip`. `None` if the value is to stay, or if no rule
    /// applies to it.
    fn slipped(&mut self, schema: &Value, value: &Value) -> Option<Value> {
        if !self.slips() {
            return None;
        }
        let mut breaches = breaches(self.definitions, schema, value);
        if breaches.is_empty() {
            return None;
        }
        let (_, _, broken) = breaches.swap_remove(self.rng.usize(..breaches.len()));
        Some(broken)
    }

    fn of(&mut self, schema: &Value) -> Value {
        let value = self.good(schema);
        self.slipped(schema, &value).unwrap_or(value)
    }

    fn good(&mut self, schema: &Value) -> Value {
        let schema = resolved(self.definitions, schema);
        if let Some(words) = schema["enum"].as_array() {
            return words[self.rng.usize(..words.len())].clone();
        }
        match kind(schema) {
            "string" => match schema["format"].as_str() {
                Some("date") => "2026-03-02".into(),
                Some("timestamp") => "2026-03-02T08:15:01Z".into(),
                _ => {
                    let least = schema["minLength"].as_u64().unwrap_or(0);
                    let most = schema["maxLength"]
                        .as_u64()
                        .unwrap_or(least + 12)
                        .min(least + 12);
                    let length = self.rng.u64(least..=most);
                    let letters = ['a', 'Z', ' ', '0', '.', '_', '@', '\u{e9}'];
                    let text: String = (0..length)
                        .map(|_| letters[self.rng.usize(..letters.len())])
                        .collect();
                    text.into()
                }
            },
            "integer" => {
                let least = schema["minimum"].as_i64().unwrap_or(i64::MIN);
                let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
                self.rng.i64(least..=most).into()
            }
            "number" => f64::from(self.rng.i32(..)).into(),
            "boolean" => self.rng.bool().into(),
            "array" => {
                let least = schema["minItems"].as_u64().unwrap_or(0);
                let most = schema["maxItems"]
                    .as_u64()
                    .unwrap_or(least + 3)
                    .min(least + 3);
                let least = match self.filling {
                    Filling::All => most.min(least.max(2)),
                    Filling::Some => least,
                };
                let count = self.rng.u64(least..=most);
                (0..count)
                    .map(|_| self.of(&schema["items"]))
                    .collect::<Vec<_>>()
                    .into()
            }
            "object" => {
                let mut members = Map::new();
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    let wanted = requires(schema, name) || self.filling == Filling::All;
                    if wanted || self.rng.bool() {
                        members.insert(name.clone(), self.of(property));
                    }
                }
                if schema.get("properties").is_none()
                    && schema["additionalProperties"] != Value::Bool(false)
                    && self.rng.bool()
                {
                    members.insert("days".to_owned(), 3.into());
                }
                members.into()
            }
            _ => json!({ "name": "Bo" }),
        }
    }
}

fn kind(schema: &Value) -> &str {
    let kind = &schema["type"];
    kind.as_str()
        .or_else(|| kind[0].as_str())
        .unwrap_or_default()
}

fn requires(schema: &Value, name: &str) -> bool {
    schema["required"]
        .as_array()
        .is_some_and(|names| names.iter().any(|required| required == name))
}

/// A place in a value, by the names of its fields; the rule that is broken there; and the whole
/// value.
type Breach = (String, &'static str, Value);

/// Returns `value` with one rule broken, once for each rule, and the rule.
fn breaches(definitions: &Value, schema: &Value, value: &Value) -> Vec<Breach> {
    let schema = resolved(definitions, schema);
    let mut broken = Vec::new();
    let mut add = |rule, value| broken.push((String::new(), rule, value));
    if schema.get("enum").is_some() {
        let other = match value.is_string() {
            true => json!("a-word-of-tomorrow"),
            false => json!(7),
        };
        add("enum", other);
        return broken;
    }
    match value {
        Value::String(_) => {
            let text = |length: u64| Value::from("x".repeat(usize::try_from(length).unwrap()));
            if let Some(most) = schema["maxLength"].as_u64() {
                add("maxLength", text(most + 1));
            }
            if let Some(least) = schema["minLength"].as_u64().filter(|least| *least > 0) {
                add("minLength", text(least - 1));
            }
        }
        Value::Number(_) => {
            let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
            // The types hold an `int64`, so a number beyond it can't be tested.
            let range = [i64::MIN + 1, i64::MAX];
            if let Some(least) = least.filter(|limit| !range.contains(limit)) {
                add("minimum", (least - 1).into());
            }
            if let Some(most) = most.filter(|limit| !range.contains(limit)) {
                add("maximum", (most + 1).into());
            }
        }
        Value::Array(items) => {
            let filler = items.first().cloned().unwrap_or(Value::Null);
            if let Some(most) = schema["maxItems"].as_u64().filter(|_| !items.is_empty()) {
                let many = vec![filler; usize::try_from(most).unwrap() + 1];
                add("maxItems", many.into());
            }
            if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
                add("minItems", json!([]));
            }
            // The last item, so that all items must be checked.
            if let Some((last, others)) = items.split_last() {
                for (place, rule, item) in breaches(definitions, &schema["items"], last) {
                    let mut items = others.to_vec();
                    items.push(item);
                    broken.push((format!("[]{place}"), rule, items.into()));
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if requires(schema, name) {
                    let mut members = members.clone();
                    members.remove(name);
                    broken.push((format!(".{name}"), "required", members.into()));
                }
                for (place, rule, member) in
                    breaches(definitions, &schema["properties"][name], member)
                {
                    let mut members = members.clone();
                    members.insert(name.clone(), member);
                    broken.push((format!(".{name}{place}"), rule, members.into()));
                }
            }
        }
        _ => {}
    }
    broken
}
