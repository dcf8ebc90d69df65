//! The document follows our rules, and each rule detects a violation.

use serde_json::{Value, json};
use xtask::spec::lint;

use crate::fixture;

fn spec() -> Value {
    xtask::load::load(&fixture::repository().join(xtask::SPEC))
        .unwrap()
        .document
}

/// Sets the value at the JSON pointer, or removes it if `None`.
type Edit = (&'static str, Option<Value>);

#[test]
fn spec_follows_every_rule() {
    let report = lint::lint(xtask::SPEC, &spec());
    assert_eq!(report.problems.list(), [], "{}", report.problems);
    assert!(report.figures.operations >= 74, "{}", report.figures);
    let share = report.figures.reference_share();
    assert!(share >= 95, "{}", report.figures);
    let readme = std::fs::read_to_string(fixture::repository().join("spec/README.md")).unwrap();
    let row = format!("| Object schemas used by reference | our own count | {share} % |");
    assert!(readme.contains(&row), "spec/README.md has no row `{row}`");
    // One per request and reply, and those of errors and events.
    assert!(report.figures.examples > 2 * 70, "{}", report.figures);
}

#[test]
fn changelog_names_the_revision_of_the_document() {
    let changelog = std::fs::read_to_string(fixture::repository().join("CHANGELOG.md")).unwrap();
    let newest = changelog
        .lines()
        .find_map(|line| line.strip_prefix("Document revision "))
        .unwrap();
    let revision = spec()["info"]["x-smtp2go-revision"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        newest.starts_with(&format!("{revision}:")),
        "{newest} is not {revision}"
    );
}

#[test]
fn violation_of_each_rule_is_reported() {
    let send = "/paths/~1email~1send/post";
    let at = |rest: &str| Box::leak(format!("{send}{rest}").into_boxed_str());
    #[rustfmt::skip]
    let rows: Vec<(&str, Edit, &str)> = vec![
        ("described", ("/info/description", None), "there is no description"),
        ("described", ("/tags/0/description", Some("".into())), "there is no description"),
        ("described", ("/servers/1/description", None), "there is no description"),
        ("described", ("/components/securitySchemes/BearerKey/description", None), "there is no description"),
        ("described", ("/components/responses/NotFound/description", Some("nothing".into())), "not a sentence"),
        ("described", (at("/description"), Some("Sends mail".into())), "not a sentence"),
        ("described", (at("/responses/200/description"), Some("It was was accepted.".into())), "repeats a word"),
        ("described", ("/x-webhooks/email_event/post/description", Some("TODO: say what.".into())), "unfinished text"),
        ("described", ("/components/schemas/SendResult/description", Some("a result.".into())), "not a sentence"),
        ("described", ("/components/schemas/SendResult/properties/failed/description", None), "there is no description"),
        ("revision", ("/info/x-smtp2go-revision", None), "there is no `x-smtp2go-revision`"),
        ("external-docs", (at("/externalDocs"), None), "is not a page of the vendor's documentation"),
        ("external-docs", (at("/externalDocs/url"), Some("https://developers.smtp2go.community/".into())), "is not a page of the vendor's documentation"),
        ("external-docs", (at("/externalDocs/description"), None), "there is no description"),
        ("summaries", (at("/summary"), Some("Send an email.".into())), "is not a valid summary"),
        ("summaries", (at("/summary"), Some("Send ".repeat(13).into())), "is not a valid summary"),
        ("summaries", (at("/summary"), Some("Send a ready MIME message".into())), "has the same summary"),
        ("examples", (at("/requestBody"), None), "has no JSON body"),
        ("examples", (at("/requestBody/content/application~1json/example"), None), "has no example"),
        ("examples", (at("/responses/200/content/application~1json/examples"), None), "has no example"),
        ("example-names", (at("/requestBody/content/application~1json/example/sender"), Some("Ana <ana@acme.io>".into())), "`acme.io`"),
        ("example-names", (at("/requestBody/content/application~1json/example/html_body"), Some("<a href='https://www.acme.io/'>".into())), "`www.acme.io`"),
        ("example-names", (at("/responses/200/content/application~1json/examples/failed/value/data/failures/0"), Some("Ask ana@acme.io.".into())), "`acme.io`"),
        ("errors", (at("/responses/429"), None), "the response 429 is missing"),
        ("errors", (at("/responses/504"), Some(json!({"description": "Broken."}))), "the response 504 is missing"),
        ("errors", ("/components/responses/Forbidden/content/application~1json/examples", None), "no JSON body with schema and named examples"),
        ("errors", ("/components/responses/Forbidden/content", None), "no JSON body with schema and named examples"),
        ("statuses", (at("/responses"), Some(json!({"5XX": {"description": "Broken."}}))), "`5XX` is not one status"),
        ("statuses", (at("/responses"), Some(json!({"default": {"description": "Broken."}}))), "`default` is not one status"),
        ("statuses", ("/x-webhooks/email_event/post/responses", Some(json!({"2XX": {"description": "Taken."}}))), "`2XX` is not one status"),
        ("formats", ("/components/schemas/SendResult/properties/failed/format", None), "this integer has no `format`"),
        ("formats", ("/components/schemas/EmailSendRequest/properties/to/items/format", None), "this string has no `format`"),
        ("formats", ("/components/schemas/RequestId/format", None), "this string has no `format`"),
        ("format-words", ("/components/schemas/SmsSendRequest/properties/sender/format", Some("mailbox".into())), "the format is `mailbox`, but the description has none of"),
        ("format-words", ("/components/schemas/EmailSendRequest/properties/to/items/format", Some("text".into())), "says \"`Name <address>`\", as one of the format `mailbox`"),
        ("format-words", ("/components/schemas/RequestId/description", Some("Quote it to support.".into())), "has none of the words `id`, `ids`"),
        ("widths", ("/components/schemas/SmtpUser/properties/custom_ratelimit_value/format", Some("int64".into())), "the format is `int64`, but that of #/components/schemas/ApiKeysAddRequest"),
        ("widths", ("/components/schemas/ApiKey/properties/ippool/format", Some("int32".into())), "the format is `int32`"),
        ("known-values", ("/components/schemas/SortDirection/description", Some("The order of a list.".into())), "does not end with the known values"),
        ("known-values", ("/components/schemas/SortDirection/x-extensible-enum", Some(json!(["desc", "asc"]))), "does not end with the known values"),
        ("known-values", ("/components/schemas/WebhookAuthType/x-extensible-enum/2", None), "does not end with the known values"),
        ("defaults", ("/components/schemas/ApiKeysAddRequest/properties/status", Some(json!({"allOf": [{"$ref": "#/components/schemas/SenderStatus"}], "description": "A.", "default": "allowed"}))), "there is a `default` beside `allOf`"),
        ("security", ("/security/1", None), "the security scheme is not used"),
        ("security", ("/security/0", Some(json!({"Cookie": []}))), "`Cookie` is not described"),
        ("security", ("/security", Some(json!([]))), "the operation requires no key"),
    ];
    let sound = spec();
    let mut broken = std::collections::BTreeSet::new();
    for (rule, (pointer, value), message) in rows {
        let mut spec = sound.clone();
        edit(&mut spec, pointer, value);
        let report = lint::lint("openapi.yaml", &spec);
        let found = report.problems.list().iter().any(|problem| {
            problem.message.starts_with(&format!("{rule}: ")) && problem.message.contains(message)
        });
        assert!(
            found,
            "{rule} does not report {pointer}: {}",
            report.problems
        );
        broken.insert(rule);
    }

    // Enough inline objects.
    let mut spec = sound;
    for (name, component) in spec["components"]["schemas"].as_object_mut().unwrap() {
        if component["type"] == "object" && name.ends_with("Request") {
            component["properties"]["extra"] = json!({"type": "object", "description": "More.", "properties": {"a": {"type": "boolean", "description": "A."}}});
        }
    }
    let report = lint::lint("openapi.yaml", &spec);
    let found = |problem: &xtask::Problem| problem.message.starts_with("references: ");
    assert!(
        report.problems.list().iter().any(found),
        "{}",
        report.problems
    );
    broken.insert("references");

    let rules: std::collections::BTreeSet<_> = lint::rules().map(|(name, _)| name).collect();
    assert_eq!(broken, rules, "a rule has no test");
}

#[test]
fn descriptions_list_known_values_in_json_but_not_in_rust() {
    let spec = xtask::load::load(&fixture::repository().join(xtask::SPEC)).unwrap();
    let files = xtask::from_spec(&spec).unwrap();
    let json: Value = serde_json::from_str(&files["spec/openapi.json"]).unwrap();
    let schemas = &json["components"]["schemas"];
    let resolved = |schema: &Value| {
        let reference = schema["$ref"]
            .as_str()
            .or(schema["allOf"][0]["$ref"].as_str());
        reference.map_or(schema.clone(), |at| json.pointer(&at[1..]).unwrap().clone())
    };
    let mut found = 0;
    for (name, component) in schemas.as_object().unwrap() {
        for (field, property) in component["properties"].as_object().into_iter().flatten() {
            let mut of = resolved(property);
            if of["type"] == "array" {
                of = resolved(&of["items"]);
            }
            let Some(text) = property["description"].as_str() else {
                continue;
            };
            let wanted = usize::from(of.get("x-extensible-enum").is_some());
            assert_eq!(
                text.matches("Known values: `").count(),
                wanted,
                "{name}.{field}"
            );
            found += wanted;
        }
    }
    assert!(found >= 20, "{found}");
    for (file, text) in files.iter().filter(|(file, _)| file.ends_with(".rs")) {
        assert!(!text.contains("Known values"), "{file}");
    }
}

fn edit(spec: &mut Value, pointer: &str, value: Option<Value>) {
    assert!(spec.pointer(pointer).is_some(), "there is no {pointer}");
    if let Some(value) = value {
        *spec.pointer_mut(pointer).unwrap() = value;
        return;
    }
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let key = key.replace("~1", "/");
    match spec.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.remove(&key)),
        Value::Array(items) => drop(items.remove(key.parse().unwrap())),
        other => panic!("{other} has no members"),
    }
}
