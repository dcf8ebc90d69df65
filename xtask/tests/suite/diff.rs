//! Changes between two documents, and whether they are breaking.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use xtask::spec::diff;

use crate::fixture;

fn spec() -> Value {
    xtask::load::load(&fixture::repository().join(xtask::SPEC))
        .unwrap()
        .document
}

#[test]
fn document_compared_with_itself_has_no_changes() {
    assert_eq!(diff::api(&spec(), &spec()), []);
}

#[test]
fn api_changes_are_described_and_classified() {
    let request = "/components/schemas/EmailSendRequest";
    let reply = "/components/schemas/SendResult";
    // The place, the new value, whether the change is breaking, and the text.
    #[rustfmt::skip]
    let rows: Vec<(String, Option<Value>, bool, &str)> = vec![
        ("/paths/~1email~1send".to_owned(), None, true, "The operation `email_send` (`POST /email/send`) is gone."),
        ("/paths/~1email~1send/post/deprecated".to_owned(), Some(true.into()), false, "`email_send` is deprecated."),
        ("/paths/~1email~1send/post/x-smtp2go-repeat-safe".to_owned(), Some(true.into()), false, "`x-smtp2go-repeat-safe` of `email_send` is true now, and was false."),
        ("/paths/~1email~1send/post/requestBody/content/application~1json/schema/$ref".to_owned(), Some("#/components/schemas/EmailMimeRequest".into()), true, "The request of `email_send` is a `EmailMimeRequest` now"),
        (format!("{request}/properties/subject"), None, true, "`EmailSendRequest.subject` is gone."),
        (format!("{request}/properties/priority"), Some(json!({"type": "string", "description": "New."})), false, "New field `EmailSendRequest.priority`."),
        (format!("{request}/required"), Some(json!(["sender", "subject"])), true, "`EmailSendRequest.subject` is required now."),
        (format!("{request}/properties/to/maxItems"), Some(50.into()), true, "`maxItems` of `EmailSendRequest.to` is 50 now."),
        (format!("{request}/properties/to/maxItems"), Some(500.into()), false, "`maxItems` of `EmailSendRequest.to` is 500 now."),
        (format!("{request}/properties/to/maxItems"), None, false, "`maxItems` of `EmailSendRequest.to` is gone now."),
        (format!("{request}/properties/subject/type"), Some("integer".into()), true, "is `integer` now, and was `string`."),
        (format!("{reply}/properties/failed/nullable"), Some(true.into()), true, "`SendResult.failed` may be null now."),
        (format!("{reply}/properties/queue"), Some(json!({"type": "string", "description": "New."})), false, "New field `SendResult.queue`."),
        ("/components/schemas/SortDirection/x-extensible-enum".to_owned(), Some(json!(["asc"])), true, "`SortDirection` no longer lists \"desc\"."),
        ("/components/schemas/SortDirection/x-extensible-enum".to_owned(), Some(json!(["asc", "desc", "none"])), false, "`SortDirection` lists \"none\" too."),
        ("/components/schemas/Extra".to_owned(), Some(json!({"type": "object"})), false, "New schema `Extra`."),
        ("/components/schemas/IpAllowListType/default".to_owned(), Some("api".into()), false, "The default of `IpAllowListType` is \"api\" now, and was \"smtp\"."),
        ("/components/schemas/SortDirection/enum".to_owned(), Some(json!(["asc", "desc"])), true, "`SortDirection` accepts only"),
        (format!("{request}/properties/custom_headers/x-smtp2go-known-words-only"), Some(true.into()), true, "`EmailSendRequest.custom_headers` accepts only listed values now."),
        (format!("{request}/properties/html_body/x-smtp2go-header"), Some(true.into()), true, "`EmailSendRequest.html_body` refuses control characters now."),
        (format!("{request}/properties/schedule/x-smtp2go-max-days-ahead"), Some(2.into()), true, "`x-smtp2go-max-days-ahead` of `EmailSendRequest.schedule` is 2 now."),
        (format!("{request}/properties/subject/x-smtp2go-refused"), Some(json!(["x"])), true, "`EmailSendRequest.subject` refuses \"x\" now."),
        ("/components/schemas/CustomHeader/properties/header/x-smtp2go-refused".to_owned(), None, false, "`CustomHeader.header` no longer refuses \"MIME-Version\"."),
        (format!("{request}/properties/subject/x-smtp2go-header"), None, false, "`EmailSendRequest.subject` accepts control characters now."),
        (format!("{reply}/additionalProperties"), Some(false.into()), false, "`SendResult` no longer allows additional fields."),
        ("/paths/~1email~1send/post/tags".to_owned(), Some(json!(["sms"])), true, "`email_send` is in the group `sms` now, and was in `email`."),
        ("/x-webhooks/sms_event".to_owned(), None, true, "The webhook `sms_event` is gone."),
        ("/x-webhooks/call_event".to_owned(), Some(json!({"post": {}})), false, "New webhook `call_event`."),
        ("/security".to_owned(), Some(json!([{"BearerKey": []}])), true, "Authentication changed."),
    ];
    let before = spec();
    for (pointer, value, breaking, text) in rows {
        let mut after = before.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent = after.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        let key = key.replace("~1", "/");
        match value {
            Some(value) => drop(parent.insert(key, value)),
            None => drop(parent.remove(&key).unwrap()),
        }
        let changes = diff::api(&before, &after);
        let found = changes.iter().find(|change| change.text.contains(text));
        assert_eq!(
            found.map(|change| change.breaking),
            Some(breaking),
            "{pointer}: {changes:?}"
        );
        let others = changes.iter().filter(|change| !change.text.contains(text));
        assert!(
            others.clone().all(|change| !change.breaking) || breaking,
            "{pointer}: {changes:?}"
        );
    }
}

#[test]
fn request_that_accepts_more_is_not_breaking() {
    let closed = spec_with("SubaccountAddRequest", "limit", "enum", json!([2000, 5000]));
    let open = spec_with("SubaccountAddRequest", "limit", "enum", Value::Null);
    let changes = diff::api(&closed, &open);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(!changes[0].breaking, "{changes:?}");
    let changes = diff::api(&open, &closed);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].breaking, "{changes:?}");
}

#[test]
fn values_of_a_map_are_compared() {
    let of = |words: Value| {
        let map = json!({"type": "object", "additionalProperties": {"type": "integer", "minimum": words}});
        let mut spec = spec();
        spec["components"]["schemas"]["EmailSendRequest"]["properties"]["counts"] = map;
        spec
    };
    let changes = diff::api(&of(1.into()), &of(2.into()));
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].breaking, "{changes:?}");
}

/// Returns the spec with one keyword of a field set, or removed if `Null`.
fn spec_with(schema: &str, field: &str, keyword: &str, value: Value) -> Value {
    let mut spec = spec();
    let place = spec["components"]["schemas"][schema]["properties"][field]
        .as_object_mut()
        .unwrap();
    match value {
        Value::Null => drop(place.remove(keyword)),
        value => drop(place.insert(keyword.to_owned(), value)),
    }
    spec
}

#[test]
fn rust_surface_changes_are_described_and_classified() {
    let surface = |body: &str| {
        BTreeMap::from([(
            "surface.snap".to_owned(),
            format!("---\nsource: x\n---\n{body}"),
        )])
    };
    let before = surface(
        "// types/mail.rs\nstruct Mail\n  to: Vec<String>\nMail: fn new(to: String) -> Self\n  .to(impl Into<String>)\n  \
         checks \"to\", | items | 1..=100\nenum Kind: Open, Click\n// sdk/raw/mail.rs\nClient: async fn send(& self) -> Result<()>\n",
    );
    assert_eq!(diff::rust(&before, &before), []);
    let rows = [
        (
            "  to: Vec<String>\n",
            "  to: String\n",
            true,
            "`Mail to` is `String` now, and was `Vec<String>`.",
        ),
        (
            "  to: Vec<String>\n",
            "  to: Vec<String>\n  cc: Vec<String>\n",
            false,
            "New: `Mail cc`: `Vec<String>`.",
        ),
        (
            "  .to(impl Into<String>)\n",
            "",
            true,
            "`Mail .to` is gone.",
        ),
        (
            "new(to: String)",
            "new()",
            true,
            "`Mail::new` is `fn new() -> Self` now",
        ),
        (
            "Open, Click",
            "Open",
            true,
            "`enum Kind` no longer has `Click`.",
        ),
        (
            "Open, Click",
            "Open, Click, Bounce",
            false,
            "`enum Kind` has `Bounce` too.",
        ),
        ("1..=100", "1..=50", true, "checks"),
        (
            "async fn send",
            "async fn post",
            true,
            "`raw Client::send` is gone.",
        ),
    ];
    for (from, to, breaking, text) in rows {
        let after: BTreeMap<_, _> = before
            .iter()
            .map(|(name, body)| (name.clone(), body.replace(from, to)))
            .collect();
        assert_ne!(after, before, "{from}");
        let changes = diff::rust(&before, &after);
        let found = changes.iter().find(|change| change.text.contains(text));
        assert_eq!(
            found.map(|change| change.breaking),
            Some(breaking),
            "{from} -> {to}: {changes:?}"
        );
    }
}

#[test]
fn version_allows_breaking_changes_by_cargos_rules() {
    for (before, after, admits) in [
        ("0.1.0", "0.1.1", false),
        ("0.1.0", "0.2.0", true),
        ("0.1.9", "1.0.0", true),
        ("0.0.1", "0.0.2", true),
        ("1.2.3", "1.3.0", false),
        ("1.2.3", "2.0.0", true),
        ("1.2.3", "1.2.3", false),
        ("2.0.0", "1.9.0", false),
        ("0.2.0", "0.1.9", false),
        ("1.0.0", "2.0.0-beta.1", true),
    ] {
        assert_eq!(
            diff::admits_breaking(before, after),
            admits,
            "{before} -> {after}"
        );
    }
}

#[test]
fn breaking_change_is_refused_until_the_version_is_raised() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let git = |arguments: &[&str]| {
        let done = std::process::Command::new("git")
            .args(["-c", "user.name=Ana", "-c", "user.email=ana@example.com"])
            .args(["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"])
            .args(arguments)
            .current_dir(root)
            .output()
            .unwrap();
        assert!(done.status.success(), "{arguments:?}: {done:?}");
    };
    let write = |path: &str, text: &str| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let version = |version: &str| {
        write(
            "Cargo.toml",
            &format!("[workspace.package]\nversion = \"{version}\"\n"),
        );
    };
    let surface = |items: &str| {
        write(
            "tests/tests/snapshots/surface__types.snap",
            &format!("---\nsource: x\n---\n{items}"),
        );
    };
    let before = spec();
    let api = |spec: &Value| write("spec/openapi.json", &spec.to_string());
    let check = |revision| diff::run(root, revision, false, true);

    git(&["init", "--quiet"]);
    write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n");
    version("0.1.0");
    surface("struct Mail\n  to: String\n");
    api(&before);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "Begin"]);
    let mut broken = before.clone();
    broken["paths"]
        .as_object_mut()
        .unwrap()
        .remove("/email/send");
    api(&broken);
    assert_eq!(check(None), Ok(()), "nothing is released");
    write("CHANGELOG.md", "# Changelog\n\n## Unreleased\n\n## 0.1.0\n");
    let refused = check(None).unwrap_err();
    assert!(
        refused.contains("has 0.1.0, but there is no tag"),
        "{refused}"
    );
    assert!(check(Some("HEAD")).is_err(), "a revision is given");

    git(&["tag", "v0.1.0"]);
    let refused = check(None).unwrap_err();
    assert!(
        refused.contains("the version went from 0.1.0 to 0.1.0"),
        "{refused}"
    );
    version("0.1.1");
    assert!(check(None).is_err());
    version("0.2.0");
    assert_eq!(check(None), Ok(()));

    // The same for only the Rust surface.
    version("0.1.1");
    api(&before);
    assert_eq!(check(None), Ok(()), "nothing changed");
    surface("struct Mail\n  to: Vec<String>\n");
    assert!(check(None).is_err());
    surface("struct Mail\n  cc: String\n  to: String\n");
    assert_eq!(check(None), Ok(()), "an addition");
    assert!(check(Some("v9")).is_err(), "the revision is unknown");
}

#[test]
fn changes_of_one_kind_share_a_line() {
    let before = spec();
    let mut after = before.clone();
    for (_, component) in after["components"]["schemas"].as_object_mut().unwrap() {
        for (_, property) in component["properties"]
            .as_object_mut()
            .into_iter()
            .flatten()
        {
            if property
                .get("format")
                .is_some_and(|format| format == "text")
            {
                property["format"] = "html".into();
            }
            if property["type"] == "integer" {
                property["minimum"] = (-5).into();
            }
        }
    }
    let paths = after["paths"].as_object_mut().unwrap();
    paths.retain(|path, _| !path.starts_with("/stats/"));
    let changes = diff::api(&before, &after);
    let told = diff::summary(&changes);
    assert!(changes.len() > 200, "{}", changes.len());
    assert!(told.len() < 30, "{told:#?}");
    assert!(
        told.iter()
            .all(|line| line.breaking || line.text.len() < 400),
        "{told:#?}"
    );
    // Breaking changes are still named.
    for change in changes.iter().filter(|change| change.breaking) {
        let name = change.text.split('`').nth(1).unwrap();
        let names = |line: &&diff::Change| line.breaking && line.text.contains(name);
        assert!(told.iter().any(|line| names(&line)), "{name}: {told:#?}");
    }
    let formats = told
        .iter()
        .find(|line| line.text.contains("the format `html`"));
    assert!(
        formats.unwrap().text.contains(" more has the format"),
        "{told:#?}"
    );
    // A few changes are listed one by one.
    let few = &changes[..1];
    assert_eq!(diff::summary(few), few);
}
