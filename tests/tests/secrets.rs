//! `Debug` of the generated types omits all secrets: those that an `Auth` puts into a webhook, and those
//! in URLs and in fields that the spec marks.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;
mod support;

use log_watch::watched;
use serde_json::{Map, Value};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::Client;
use smtp2go_sdk::types::webhook::parse;
use smtp2go_sdk::types::{EmailEventKind, WebhookRemoveRequest};
use smtp2go_sdk::webhook::Auth;
use smtp2go_tests::decode::OPERATIONS;

/// Part of every secret.
const HUSH: &str = "hush";
const SECRET: &str = "hush-s3cret";
/// `SECRET` and `user:SECRET` in base64.
const ENCODED: [&str; 2] = ["aHVzaC1zM2NyZXQ=", "dXNlcjpodXNoLXMzY3JldA=="];
const URL: &str = "https://hush:hush@acme.example/hush/hush?hush=hush#hush";

fn assert_hushed(debug: &str, what: &str) {
    for secret in [HUSH, ENCODED[0], ENCODED[1]] {
        assert!(!debug.contains(secret), "{what}: {debug}");
    }
}

#[tokio::test]
async fn debug_omits_the_secrets_of_auth() {
    for auth in [
        Auth::bearer(watched(SECRET)).unwrap(),
        Auth::basic("user", watched(SECRET)).unwrap(),
        Auth::basic_in_url("user", watched(SECRET)).unwrap(),
        Auth::secret_path(watched(SECRET)).unwrap(),
        Auth::secret_query("token", watched(SECRET)).unwrap(),
    ] {
        let sandbox = Sandbox::builder().start().await.unwrap();
        let client = Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .build()
            .unwrap();
        let url = "https://acme.example/webhook";
        let mut id = None;
        for kind in [EmailEventKind::Bounce, EmailEventKind::Open] {
            let ensured = client.ensure_webhook(url, [kind], &auth).await.unwrap();
            assert_hushed(&format!("{:?} {ensured:?}", ensured.webhook), "webhook");
            id = ensured.webhook.id;
        }
        let remove = WebhookRemoveRequest::new(id.unwrap());
        let removed = client.webhook().remove(remove).await.unwrap();
        assert_hushed(&format!("{removed:?}"), "removed");

        let mut holding = Vec::new();
        let calls = sandbox.calls();
        for call in &calls {
            let path = call.path().strip_prefix("/v3").unwrap();
            let operation = OPERATIONS.iter().find(|known| known.path == path).unwrap();
            for (codec, body) in [
                (operation.request, call.body()),
                (operation.reply, call.reply()),
            ] {
                let coded = codec.unwrap()(std::str::from_utf8(body).unwrap()).unwrap();
                assert_hushed(&coded.debug, path);
                let json = coded.value.to_string();
                if json.contains(HUSH) || json.contains(ENCODED[1]) {
                    holding.push(path);
                }
            }
        }
        // Requests and replies that contain the secret.
        let expected = [
            "/webhook/add",
            "/webhook/add",
            "/webhook/view",
            "/webhook/view",
            "/webhook/edit",
            "/webhook/edit",
            "/webhook/view",
            "/webhook/remove",
        ];
        assert_eq!(holding, expected, "{auth:?}");
    }
}

/// Returns a value with all fields of a schema, with secrets in the marked ones.
fn full(spec: &Value, schema: &Value) -> Value {
    let schema = match schema["$ref"].as_str() {
        Some(reference) => spec.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    if let Some(only) = schema["allOf"].get(0) {
        return full(spec, only);
    }
    let schema = schema["oneOf"].get(0).unwrap_or(schema);
    match schema["type"].as_str() {
        Some("string") if schema["format"] == "url" => URL.into(),
        None if schema["x-smtp2go-sensitive"] == true => serde_json::json!([{ "X-Key": SECRET }]),
        Some("string") if schema["x-smtp2go-sensitive"] == true => SECRET.into(),
        Some("string") => "plain".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => vec![full(spec, &schema["items"])].into(),
        Some("object") => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            let members = properties.map(|(name, property)| (name.clone(), full(spec, property)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        _ => Value::Null,
    }
}

#[test]
fn debug_omits_urls_and_sensitive_fields_of_every_type() {
    let spec = support::spec();
    let mut holding = 0;
    for operation in OPERATIONS {
        let about = &spec["paths"][operation.path][operation.method.to_lowercase()];
        for (body, codec) in [
            (&about["requestBody"], operation.request),
            (&about["responses"]["200"], operation.reply),
        ] {
            let Some(codec) = codec else { continue };
            let value = full(&spec, &body["content"]["application/json"]["schema"]);
            let coded = codec(&value.to_string()).unwrap();
            assert_hushed(&coded.debug, operation.path);
            holding += usize::from(coded.value.to_string().contains(HUSH));
        }
    }
    // The number of bodies with such a field.
    assert!(holding >= 25, "{holding}");
    for (name, item) in spec["x-webhooks"].as_object().unwrap() {
        let schema = &item["post"]["requestBody"]["content"]["application/json"]["schema"];
        let event = parse(None, full(&spec, schema).to_string()).unwrap();
        assert_hushed(&format!("{event:?}"), name);
        let json = serde_json::to_string(&event).unwrap();
        assert_eq!(json.contains(HUSH), name == "email_event", "{name}: {json}");
    }
}

/// Collects pointers to string properties that are URLs according to their example or name.
fn urls(value: &Value, pointer: &str, found: &mut Vec<(String, Value)>) {
    for (name, property) in value["properties"].as_object().into_iter().flatten() {
        let at = format!("{pointer}/{name}");
        let texts = [&property["example"], &property["default"]];
        let is_url = |text: &&Value| text.as_str().is_some_and(|text| text.contains("://"));
        let named = ["url", "uri", "link", "href"]
            .iter()
            .any(|word| name.split(['_', '-']).any(|part| part == *word));
        if property["type"] == "string" && (named || texts.iter().any(is_url)) {
            found.push((at, property.clone()));
        }
    }
}

#[test]
fn every_url_of_the_spec_has_the_format_url() {
    let spec = support::spec();
    let mut found = Vec::new();
    for (name, component) in spec["components"]["schemas"].as_object().unwrap() {
        urls(component, name, &mut found);
    }
    for (pointer, property) in &found {
        assert_eq!(property["format"], "url", "{pointer}");
    }
    assert!(found.len() >= 7, "{found:?}");
    // The same places in examples of whole bodies.
    let mut names = Vec::new();
    let mut note = |body: &Value| collect(body, "", &mut names);
    for operation in support::operations(&spec) {
        note(&operation.request);
        note(&operation.reply);
    }
    support::webhooks(&spec)
        .iter()
        .for_each(|(_, body)| note(body));
    names.sort();
    names.dedup();
    assert_eq!(names, ["setup_link", "url"]);
}

/// Collects the names of the members that are URLs.
fn collect(value: &Value, name: &str, names: &mut Vec<String>) {
    match value {
        Value::String(text) if text.starts_with("http") => names.push(name.to_owned()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, names)),
        Value::Object(members) => {
            for (name, member) in members {
                collect(member, name, names);
            }
        }
        _ => {}
    }
}
