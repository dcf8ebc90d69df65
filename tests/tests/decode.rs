//! Every example of the spec decodes, complete or damaged, without loss.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use serde_json::{Value, json};
use smtp2go_tests::decode::{Decoded, Side, decode};

/// A value that no enum lists.
const UNKNOWN: &str = "a-word-of-tomorrow";

struct Sample {
    name: String,
    side: Side,
    method: String,
    path: String,
    body: Value,
}

impl Sample {
    fn decode(&self, body: &Value) -> Result<Decoded, String> {
        decode(self.side, &self.method, &self.path, &body.to_string())
            .map_err(|failure| format!("{}: {failure}\n{body:#}", self.name))
    }
}

fn samples(sides: &[Side]) -> Vec<Sample> {
    let spec = support::spec();
    let mut samples = Vec::new();
    for operation in support::operations(&spec) {
        let replies = operation.replies.iter();
        let replies = replies.map(|(name, body)| (Side::Reply, name.as_str(), body));
        for (side, name, body) in replies.chain([(Side::Request, "", &operation.request)]) {
            samples.push(Sample {
                name: format!("{side:?} of {} {name}", operation.id),
                side,
                method: operation.method.clone(),
                path: operation.path.clone(),
                body: body.clone(),
            });
        }
    }
    for (name, mut body) in support::webhooks(&spec) {
        // Examples of forms have keys in capitals, which are read into their fields.
        for key in ["Message-Id", "Subject"] {
            if let Some(value) = body.as_object_mut().unwrap().remove(key) {
                body[key.to_lowercase()] = value;
            }
        }
        samples.push(Sample {
            name,
            side: Side::Webhook,
            method: String::new(),
            path: String::new(),
            body,
        });
    }
    samples.retain(|sample| sides.contains(&sample.side));
    assert!(samples.len() > 20);
    samples
}

/// Removes values that re-encoding may drop.
fn substance(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), substance(member)))
            .filter(|(_, member)| !is_empty(member))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items
            .iter()
            .filter(|item| !item.is_null())
            .map(substance)
            .collect::<Vec<_>>()
            .into(),
        other => other.clone(),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Whether two values are equal, ignoring the notation of scalars.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (one, other) => one == other,
    }
}

/// Whether the client fills in this field of a request, so that the type lacks it.
fn is_injected(sample: &Sample, field: &str) -> bool {
    sample.side == Side::Request
        && field == "api_key"
        && support::operations(&support::spec())
            .iter()
            .any(|operation| operation.path == sample.path && operation.key_in_body)
}

#[test]
fn every_example_survives_a_round_trip() {
    for sample in samples(&[Side::Request, Side::Reply, Side::Webhook]) {
        let decoded = sample.decode(&sample.body).unwrap();
        let mut original = substance(&sample.body);
        if let Value::Object(members) = &mut original {
            members.retain(|field, _| !is_injected(&sample, field));
        }
        let mut value = substance(&decoded.value);
        if sample.side == Side::Request && original.get("fastaccept").is_none() {
            // The only field that is always sent.
            if let Value::Object(members) = &mut value {
                members.remove("fastaccept");
            }
        }
        assert!(
            same(&original, &value),
            "{}: {original:#}\nbecame\n{value:#}",
            sample.name
        );
        let unknown: Vec<_> = decoded
            .unknown
            .iter()
            .filter(|field| !is_injected(&sample, field))
            // A mail header that the webhook copies.
            .filter(|field| sample.side != Side::Webhook || !field.starts_with("X-"))
            .collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", sample.name);
    }
}

/// Collects pointers to every value inside `value`.
fn places(value: &Value, pointer: &str, into: &mut Vec<String>) {
    let mut visit = |key: String, value: &Value| {
        let key = key.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{pointer}/{key}");
        into.push(pointer.clone());
        places(value, &pointer, into);
    };
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                visit(key.clone(), member);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                visit(index.to_string(), item);
            }
        }
        _ => {}
    }
}

fn without(value: &Value, pointer: &str) -> Value {
    let mut value = value.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(members) => {
            members.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        Value::Array(items) => {
            items.remove(key.parse().unwrap());
        }
        _ => unreachable!("a pointer leads through objects and lists"),
    }
    value
}

fn replaced(value: &Value, pointer: &str, by: Value) -> Value {
    let mut value = value.clone();
    *value.pointer_mut(pointer).unwrap() = by;
    value
}

#[test]
fn damaged_reply_or_event_decodes_without_the_damaged_value() {
    let mut count = 0;
    for sample in samples(&[Side::Reply, Side::Webhook]) {
        let mut pointers = Vec::new();
        places(&sample.body, "", &mut pointers);
        for pointer in pointers {
            count += 1;
            let (parent, key) = pointer.rsplit_once('/').unwrap();
            let dropped = without(&sample.body, &pointer);
            let expected = substance(&dropped);
            let decoded = sample.decode(&dropped).unwrap();
            assert!(
                same(&expected, &substance(&decoded.value)),
                "{} without {pointer}: {:#}",
                sample.name,
                decoded.value
            );

            let nulled = replaced(&sample.body, &pointer, Value::Null);
            let decoded = sample.decode(&nulled).unwrap();
            assert!(
                same(&substance(&nulled), &substance(&decoded.value)),
                "{} with null at {pointer}: {:#}",
                sample.name,
                decoded.value
            );

            if sample.body.pointer(&pointer).unwrap().is_string() {
                let changed = replaced(&sample.body, &pointer, json!(UNKNOWN));
                let decoded = sample.decode(&changed).unwrap();
                assert_eq!(
                    decoded.value.pointer(&pointer),
                    Some(&json!(UNKNOWN)),
                    "{} with a new value at {pointer}",
                    sample.name
                );
            }

            // At most the value of an unexpected shape is lost.
            for odd in [json!({"odd": [1]}), json!([[1]]), json!(true), json!(1.5)] {
                let changed = replaced(&sample.body, &pointer, odd.clone());
                let decoded = sample.decode(&changed).unwrap();
                if sample.body.pointer(parent).unwrap().is_object() {
                    let rest = |value: &Value| {
                        let mut rest = substance(value);
                        if let Some(Value::Object(members)) = rest.pointer_mut(parent) {
                            members.remove(&key.replace("~1", "/").replace("~0", "~"));
                        }
                        substance(&rest)
                    };
                    assert!(
                        same(&rest(&sample.body), &rest(&decoded.value)),
                        "{} with {odd} at {pointer}: {:#}",
                        sample.name,
                        decoded.value
                    );
                }
            }
        }
    }
    assert!(count > 1_000, "{count} places");
}

/// Fields that may have any members, so that none is reported as unknown.
const FREE: [&str; 5] = [
    "custom_headers",
    "email_client",
    "metadata",
    "template_data",
    "template_variables",
];

#[test]
fn extra_field_at_any_depth_is_kept_and_reported() {
    for extra in [json!("new"), json!(""), json!([]), json!({}), json!(null)] {
        for sample in samples(&[Side::Request, Side::Reply, Side::Webhook]) {
            extra_field_is_kept_and_named(&sample, &extra);
        }
    }
}

fn extra_field_is_kept_and_named(sample: &Sample, extra: &Value) {
    let mut pointers = vec![String::new()];
    places(&sample.body, "", &mut pointers);
    for pointer in pointers {
        let mut changed = sample.body.clone();
        let Some(Value::Object(members)) = changed.pointer_mut(&pointer) else {
            continue;
        };
        members.insert("x_new".to_owned(), extra.clone());
        let decoded = sample.decode(&changed).unwrap();
        let kept = decoded.value.pointer(&format!("{pointer}/x_new"));
        let named = decoded.unknown.iter().any(|path| path.ends_with("x_new"));
        // Only in a request, these are a list of objects.
        let list = sample.side == Side::Request && pointer.contains("custom_headers");
        let free = !list && FREE.iter().any(|name| pointer.contains(name));
        // In a map it is an entry, not a field; an empty one that does not fit loses nothing.
        let counts = pointer.ends_with("/statuses");
        let headers = sample.side == Side::Reply && pointer.ends_with("/custom_headers");
        let keeps = !counts && (!headers || extra.is_string());
        let news = !(free || counts && is_empty(extra));
        assert_eq!(
            (kept, named),
            (keeps.then_some(extra), news),
            "{}: an extra field {extra} at {pointer:?}",
            sample.name
        );
    }
}

#[test]
fn unknown_fields_have_readable_paths() {
    let body =
        r#"{"data":{"results":[{"username":"a","new":1},{"new":2}],"odd/name":{"a":1}},"more":1}"#;
    let decoded = decode(Side::Reply, "post", "/v3/users/smtp/view", body).unwrap();
    assert_eq!(
        decoded.unknown,
        ["data.odd/name", "data.results[].new", "more"]
    );
}

#[test]
fn unknown_field_with_empty_value_is_reported() {
    let body = r#"{"data":{"a":"","b":[],"c":{},"d":null,"failures":[],"email_id":""},"e":null}"#;
    let decoded = decode(Side::Reply, "POST", "/email/send", body).unwrap();
    assert_eq!(
        decoded.unknown,
        ["data.a", "data.b", "data.c", "data.d", "e"]
    );
}

#[test]
fn field_under_an_alternative_name_is_not_reported() {
    let body = r#"{"data":[{"username":"a","custom_ratelimit":true}]}"#;
    let decoded = decode(Side::Reply, "POST", "/api_keys/view", body).unwrap();
    assert_eq!(decoded.unknown, [] as [&str; 0]);
    assert_eq!(decoded.value["data"][0]["custom_rate_limit"], json!(true));
}

#[test]
fn value_that_does_not_fit_its_field_is_reported() {
    for (body, unknown) in [
        (r#"{"data":{"email_id":["a"]}}"#, "data.email_id"),
        (r#"{"data":{"failed":"none"}}"#, "data.failed"),
        (r#"{"request_id":{"id":"r"}}"#, "request_id"),
        (r#"{"data":{"failures":[{"text":"no"}]}}"#, "data.failures"),
    ] {
        let decoded = decode(Side::Reply, "POST", "/email/send", body).unwrap();
        assert_eq!(decoded.unknown, [unknown], "{body}");
    }
    // Under an alternative name too.
    let body = r#"{"data":[{"custom_ratelimit":"some","new":1}]}"#;
    let decoded = decode(Side::Reply, "POST", "/api_keys/view", body).unwrap();
    assert_eq!(decoded.unknown, ["data[].custom_ratelimit", "data[].new"]);
}

#[test]
fn large_reply_with_many_new_fields_decodes() {
    let mut event = json!({"email_id": "1a", "x": 1});
    for index in 0..20 {
        event[format!("new{index}")] = json!("new");
    }
    let body = json!({"data": {"events": vec![event; 2_000]}}).to_string();
    let decoded = decode(Side::Reply, "POST", "/activity/search", &body).unwrap();
    assert_eq!(decoded.unknown.len(), 21);
    assert!(decoded.unknown.contains(&"data.events[].x".to_owned()));
    assert_eq!(
        decoded.value["data"]["events"].as_array().unwrap().len(),
        2_000
    );
}

#[test]
fn reply_that_needs_repair_decodes_as_in_the_client() {
    let twice =
        r#"{"request_id":"a","data":{"email_id":"1","email_id":"2","x":1},"request_id":"b"}"#;
    let decoded = decode(Side::Reply, "POST", "/email/send", twice).unwrap();
    assert_eq!(
        decoded.value,
        json!({"request_id": "b", "data": {"email_id": "2", "x": 1}})
    );
    assert_eq!(decoded.unknown, ["data.x"]);

    let damaged = "\u{feff}{\"data\":{\"email_id\":\"\\ud800\"}}";
    let decoded = decode(Side::Reply, "POST", "/email/send", damaged).unwrap();
    assert_eq!(decoded.value["data"]["email_id"], json!("\u{fffd}"));

    // Requests are not repaired.
    let request = r#"{"id":"a","id":"b"}"#;
    assert!(decode(Side::Request, "POST", "/template/view", request).is_err());
}

#[test]
fn reply_that_is_a_list_is_not_read_by_position() {
    for body in [r#"["r",{"email_id":"1a"}]"#, r#""text""#, "7", "true"] {
        match decode(Side::Reply, "POST", "/email/send", body) {
            Err(_) => {}
            Ok(decoded) => {
                assert_eq!(decoded.unknown, ["(the whole body)"], "{body}");
                assert!(decoded.value.get("request_id").is_none(), "{body}");
            }
        }
    }
}

#[test]
fn list_without_its_envelope_decodes() {
    let body = r#"[{"subject":"s","new":1},{"new":2}]"#;
    let decoded = decode(Side::Reply, "POST", "/email/scheduled/search", body).unwrap();
    assert_eq!(decoded.value["data"][0]["subject"], json!("s"));
    assert_eq!(decoded.unknown, ["data[].new"]);
}

fn webhook(text: &str) -> Decoded {
    decode(Side::Webhook, "", "", text).unwrap_or_else(|failure| panic!("{text}: {failure}"))
}

#[test]
fn form_decodes_like_json() {
    let decoded = webhook(
        "event=open&rcpt=ana%40example.com&read-secs=15&Subject=Caf%C3%A9+%26+more\
         &Message-Id=%3C1%40example.com%3E&recipients=ana%40example.com&X-Order=7&from_name=\n",
    );
    assert_eq!(
        decoded.value,
        json!({
            "event": "open", "rcpt": "ana@example.com", "read-secs": 15,
            "subject": "Caf\u{e9} & more", "message-id": "<1@example.com>",
            "recipients": ["ana@example.com"], "X-Order": "7", "from_name": "",
        })
    );
    assert_eq!(decoded.unknown, ["X-Order"]);
}

#[test]
fn event_members_without_a_field_are_reported() {
    let rows = [
        (
            r#"{"event":"open","email_id":"1","Neu":"abc"}"#,
            &["Neu"][..],
        ),
        (
            r#"{"event":"open","X-Order":"7","from_name":""}"#,
            &["X-Order"],
        ),
        (
            r#"{"event":"click","fresh":"","list":[],"none":null}"#,
            &["fresh", "list", "none"],
        ),
        (
            r#"{"event":"click","url":"https://example.com","Subject":"s"}"#,
            &[],
        ),
        (r#"{"event":"open","subject":["a"]}"#, &["subject"]),
        (
            r#"{"event":"sms_failed","retry_count":"3","carrier":"c"}"#,
            &["carrier"],
        ),
        (r#"{"event":"quarantined","id":"1"}"#, &["event", "id"]),
        ("event=bounce&subject=s&fresh=", &["fresh"]),
    ];
    for (text, expected) in rows {
        assert_eq!(webhook(text).unknown, expected, "{text}");
    }
}

#[test]
fn form_keys_are_read_in_any_letter_case() {
    // The key in lower case is the field, at any position; the other one is kept.
    for form in [
        "subject=small&Subject=large&event=click",
        "Event=click&Subject=large&subject=small",
    ] {
        assert_eq!(
            webhook(form).value,
            json!({"event": "click", "subject": "small", "Subject": "large"})
        );
    }
    assert_eq!(
        webhook("event=open&MESSAGE-ID=a&Message-Id=b").value,
        json!({"event": "open", "message-id": "a", "Message-Id": "b"})
    );
    // Keys of another payload type.
    assert_eq!(
        webhook("EVENT=sms_failed&Retry_Count=3&Subject=s").value,
        json!({"event": "sms_failed", "retry_count": 3, "Subject": "s"})
    );
    assert_eq!(
        webhook("email_id=1&recipients=a&recipients=b&recipients=b&rcpt=a&rcpt=a&&x").value,
        json!({"email_id": "1", "recipients": ["a", "b", "b"], "rcpt": "a", "x": ""})
    );
}

#[test]
fn every_webhook_example_decodes_the_same_as_a_form() {
    for sample in samples(&[Side::Webhook, Side::Request, Side::Reply]) {
        if sample.side != Side::Webhook {
            continue;
        }
        let escape =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let mut form = Vec::new();
        for (key, value) in sample.body.as_object().unwrap() {
            let values = match value {
                Value::Array(values) => values.clone(),
                value => vec![value.clone()],
            };
            for value in values {
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                form.push(format!("{}={}", escape(key), escape(&value)));
            }
        }
        let from_json = sample.decode(&sample.body).unwrap();
        assert_eq!(webhook(&form.join("&")), from_json, "{}", sample.name);
    }
}

#[test]
fn body_that_is_neither_json_nor_a_form_is_an_error() {
    for text in [
        "",
        " ",
        "nonsense",
        "[1]",
        "7",
        "\"a=b\"",
        "{\"event\":\"a=b\"",
    ] {
        assert!(decode(Side::Webhook, "", "", text).is_err(), "{text}");
    }
}

#[test]
fn undocumented_reply_may_be_any_body() {
    for body in ["null", "[]", "{}", r#""sent""#] {
        decode(Side::Reply, "POST", "/single_sender_emails/add", body).unwrap();
        let other = decode(Side::Reply, "POST", "/single_sender_emails/view", body);
        assert_eq!(other.is_ok(), body == "{}", "{body}");
    }
}
