//! The request types and the spec agree on what may be sent, both ways.

// A test that fails, fails by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Map, Value, json};
use smtp2go_tests::contract::REQUESTS;

/// Values of each request.
const VALUES: usize = 10;

/// The components as JSON Schemas, with what only extensions say in them.
fn definitions() -> Value {
    let path = support::root().join("tests/sandbox/src/generated/api.json");
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

/// The field that a client fills in by itself, which the types lack.
const KEY: &str = "api_key";

fn with_key(mut sent: Value, of: &Value) -> Value {
    if let (Some(key), Some(sent)) = (of.get(KEY), sent.as_object_mut()) {
        sent.entry(KEY).or_insert_with(|| key.clone());
    }
    sent
}

#[test]
fn what_the_spec_allows_can_be_sent_and_is_allowed_as_it_is_sent() {
    let definitions = definitions();
    let validators = validators(&definitions);
    let mut rng = Rng::with_seed(20_260_907);
    for request in REQUESTS {
        for _ in 0..VALUES {
            let value = Values {
                definitions: &definitions,
                rng: &mut rng,
            }
            .of(&definitions[request.name]);
            let validator = &validators[request.name];
            assert!(
                validator.is_valid(&value),
                "{}: a bad generator made {value:#}",
                request.name
            );
            let sent = (request.check)(&value)
                .unwrap_or_else(|error| panic!("{}: {error}\n{value:#}", request.name));
            let sent = with_key(sent, &value);
            if let Err(error) = validator.validate(&sent) {
                panic!(
                    "{}: sends what the spec forbids: {error}\n{sent:#}",
                    request.name
                );
            }
            for (field, value) in value.as_object().unwrap() {
                assert_eq!(
                    sent.get(field),
                    Some(value),
                    "{}.{field} changed on the way",
                    request.name
                );
            }
        }
    }
}

#[test]
fn what_the_spec_forbids_is_refused() {
    let definitions = definitions();
    let validators = validators(&definitions);
    let mut rng = Rng::with_seed(20_260_908);
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for request in REQUESTS {
        let schema = &definitions[request.name];
        for _ in 0..VALUES {
            let value = Values {
                definitions: &definitions,
                rng: &mut rng,
            }
            .of(schema);
            for (rule, broken) in breaches(&definitions, schema, &value) {
                assert!(
                    !validators[request.name].is_valid(&broken),
                    "{}: {rule} is not broken in {broken:#}",
                    request.name
                );
                if rule == "required" && value.get(KEY).is_some() && broken.get(KEY).is_none() {
                    continue;
                }
                let taken = (request.check)(&broken);
                assert!(
                    taken.is_err(),
                    "{}: breaks {rule}, and is sent: {broken:#}",
                    request.name
                );
                *refused.entry(rule).or_default() += 1;
            }
        }
    }
    for rule in [
        "required",
        "maxItems",
        "minItems",
        "maxLength",
        "minLength",
        "maximum",
        "minimum",
        "enum",
    ] {
        assert!(
            refused.get(rule).is_some_and(|count| *count > 0),
            "nothing broke {rule}: {refused:?}"
        );
    }
}

/// Makes values that a schema allows.
struct Values<'a> {
    definitions: &'a Value,
    rng: &'a mut Rng,
}

/// Follows references to where a schema says its type.
fn resolved<'a>(definitions: &'a Value, mut schema: &'a Value) -> &'a Value {
    loop {
        schema = match (schema["$ref"].as_str(), schema["allOf"].get(0)) {
            (Some(name), _) => &definitions[name.rsplit('/').next().unwrap()],
            // What stands beside `allOf` is a closed vocabulary at most, which says it all.
            (None, Some(only)) if schema.get("enum").is_none() => only,
            _ => return schema,
        };
    }
}

impl Values<'_> {
    fn of(&mut self, schema: &Value) -> Value {
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
                let count = self.rng.u64(least..=most);
                (0..count)
                    .map(|_| self.of(&schema["items"]))
                    .collect::<Vec<_>>()
                    .into()
            }
            "object" => {
                let mut members = Map::new();
                for (name, property) in schema["properties"].as_object().into_iter().flatten() {
                    if requires(schema, name) || self.rng.bool() {
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

/// `value` with one rule broken, once for each rule that can be broken in it, and which.
fn breaches(definitions: &Value, schema: &Value, value: &Value) -> Vec<(&'static str, Value)> {
    let schema = resolved(definitions, schema);
    let mut broken = Vec::new();
    if schema.get("enum").is_some() {
        broken.push((
            "enum",
            if value.is_string() {
                json!("a-word-of-tomorrow")
            } else {
                json!(7)
            },
        ));
        return broken;
    }
    match value {
        Value::String(_) => {
            if let Some(most) = schema["maxLength"].as_u64() {
                broken.push((
                    "maxLength",
                    "x".repeat(usize::try_from(most).unwrap() + 1).into(),
                ));
            }
            if let Some(least) = schema["minLength"].as_u64().filter(|least| *least > 0) {
                broken.push((
                    "minLength",
                    "x".repeat(usize::try_from(least).unwrap() - 1).into(),
                ));
            }
        }
        Value::Number(_) => {
            let (least, most) = (schema["minimum"].as_i64(), schema["maximum"].as_i64());
            // The range of the type itself is no rule of the spec.
            if let Some(least) = least.filter(|least| *least > i64::from(i32::MIN)) {
                broken.push(("minimum", (least - 1).into()));
                if let Some(most) = most.filter(|most| *most < i64::from(i32::MAX)) {
                    broken.push(("maximum", (most + 1).into()));
                }
            }
        }
        Value::Array(items) => {
            let filler = items.first().cloned().unwrap_or(Value::Null);
            if let Some(most) = schema["maxItems"].as_u64().filter(|_| !items.is_empty()) {
                broken.push((
                    "maxItems",
                    vec![filler; usize::try_from(most).unwrap() + 1].into(),
                ));
            }
            if schema["minItems"].as_u64().is_some_and(|least| least > 0) {
                broken.push(("minItems", json!([])));
            }
            for (index, item) in items.iter().enumerate().take(1) {
                for (rule, item) in breaches(definitions, &schema["items"], item) {
                    let mut items = items.clone();
                    items[index] = item;
                    broken.push((rule, items.into()));
                }
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if requires(schema, name) {
                    let mut members = members.clone();
                    members.remove(name);
                    broken.push(("required", members.into()));
                }
                for (rule, member) in breaches(definitions, &schema["properties"][name], member) {
                    let mut members = members.clone();
                    members.insert(name.clone(), member);
                    broken.push((rule, members.into()));
                }
            }
        }
        _ => {}
    }
    broken
}
