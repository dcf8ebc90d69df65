//! `spec compare`: differences between foreign documents and ours, and decisions.

use std::collections::BTreeSet;
use std::process::Command;

use fastrand::Rng;
use serde_json::{Value, json};
use xtask::spec::compare::{self, Report};

use crate::fixture;
use crate::random::any;

const OURS: &str = include_str!("compare/ours.yaml");
const AUGUST: &str = include_str!("compare/august.yaml");
const AWKWARD: &str = include_str!("compare/awkward.yaml");

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn with(foreign: &[(&str, &str)], decisions: &str, partial: bool) -> Result<Report, String> {
    let foreign: Vec<(String, String)> = foreign
        .iter()
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        .collect();
    compare::compare(&yaml(OURS), &foreign, decisions, partial)
}

fn lines(report: &Report) -> Vec<String> {
    let differences = report.differences.iter();
    differences.map(ToString::to_string).collect()
}

#[test]
fn document_compared_with_itself_has_no_differences() {
    let report = with(&[("ours.yaml", OURS)], "", false).unwrap();
    assert_eq!(lines(&report), [""; 0]);
}

#[test]
fn each_kind_of_difference_is_reported() {
    let report = with(&[("awkward.yaml", AWKWARD)], "", false).unwrap();
    insta::assert_snapshot!(lines(&report).join("\n"));
    let kinds: BTreeSet<&str> = report.differences.iter().map(|found| found.kind).collect();
    let all = [
        "body",
        "default",
        "deprecated",
        "enum",
        "envelope",
        "field",
        "format",
        "maxItems",
        "operation",
        "parameter",
        "required",
        "sample",
        "security",
        "status",
        "type",
    ];
    assert_eq!(kinds, BTreeSet::from(all));
}

/// Number of changes in the random test.
const CASES: u64 = 800;

#[test]
fn random_change_at_any_depth_is_the_only_difference() {
    let spec = fixture::repository().join(xtask::SPEC);
    let documents = one_by_one(&xtask::load::load(&spec).unwrap().document);
    let mut kinds = BTreeSet::new();
    for case in 0..CASES {
        let mut random = Rng::with_seed(case);
        let (name, before) = any(&mut random, &documents);
        let mut after = before.clone();
        let Some((place, kind)) = change(&mut after, name, &mut random) else {
            continue;
        };
        kinds.insert(kind);
        let foreign = [("changed".to_owned(), after.to_string())];
        let report = compare::compare(before, &foreign, "", false).unwrap();
        let found = report.differences.iter();
        let found: Vec<(&str, &str)> = found.map(|one| (one.place.as_str(), one.kind)).collect();
        assert_eq!(found, [(place.as_str(), kind)], "case {case}");
    }
    let tried = "default deprecated enum field maxItems maxLength maximum operation required security status type";
    assert_eq!(Vec::from_iter(kinds).join(" "), tried);
}

/// Returns a document for each operation, in which every use of a component is a copy, so that a
/// change affects one place. It has no examples, because these would still have a removed field.
fn one_by_one(document: &Value) -> Vec<(String, Value)> {
    let mut documents = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let mut operation = operation.clone();
            let replies = operation["responses"].as_object_mut().unwrap();
            replies.retain(|status, _| ["200", "400", "429"].contains(&status.as_str()));
            let copy = json!({
                "openapi": document["openapi"],
                "servers": document["servers"],
                "security": document["security"],
                "components": {"securitySchemes": document["components"]["securitySchemes"]},
                "paths": {path: {method: inline(&operation, document)}},
            });
            documents.push((format!("{} {path}", method.to_uppercase()), copy));
        }
    }
    documents
}

fn inline(value: &Value, document: &Value) -> Value {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(items) => return items.iter().map(|item| inline(item, document)).collect(),
        other => return other.clone(),
    };
    let mut own = json!({});
    for (name, member) in members {
        if !["example", "examples", "$ref", "allOf"].contains(&name.as_str())
            || member["type"].is_string()
        {
            own[name] = inline(member, document);
        }
    }
    let reference = members
        .get("$ref")
        .or_else(|| value.pointer("/allOf/0/$ref"));
    if let Some(Value::String(reference)) = reference {
        let mut target = inline(document.pointer(&reference[1..]).unwrap(), document);
        target
            .as_object_mut()
            .unwrap()
            .extend(own.as_object().unwrap().clone());
        return target;
    }
    own
}

/// Returns the place of every schema, and the pointer to it.
fn schemas(schema: &Value, place: &str, pointer: String, into: &mut Vec<(String, String)>) {
    let (start, dot) = match place.ends_with(' ') {
        true => (place, ""),
        false => (place, "."),
    };
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let pointer = format!("{pointer}/properties/{name}");
        schemas(property, &format!("{start}{dot}{name}"), pointer, into);
    }
    if schema["items"].is_object() {
        schemas(
            &schema["items"],
            &format!("{place}[]"),
            format!("{pointer}/items"),
            into,
        );
    }
    if schema["additionalProperties"].is_object() {
        let pointer = format!("{pointer}/additionalProperties");
        schemas(
            &schema["additionalProperties"],
            &format!("{start}{dot}*"),
            pointer,
            into,
        );
    }
    into.push((place.trim_end().to_owned(), pointer));
}

/// Changes one node of the only operation, and returns its place and the kind of the change. `None`
/// if the node has no such attribute.
fn change(document: &mut Value, name: &str, random: &mut Rng) -> Option<(String, &'static str)> {
    let (method, path) = name.split_once(' ')?;
    let root = format!(
        "/paths/{}/{}",
        path.replace('/', "~1"),
        method.to_lowercase()
    );
    let operation = document.pointer_mut(&root)?;
    let mut found = Vec::new();
    let bodies = [
        ("request", "/requestBody"),
        ("reply 200", "/responses/200"),
        ("reply 400", "/responses/400"),
    ];
    let (part, pointer) = any(random, &bodies);
    let pointer = format!("{pointer}/content/application~1json/schema");
    if let Some(schema) = operation.pointer(&pointer) {
        schemas(schema, &format!("{name} {part} "), pointer, &mut found);
    }
    let kind = random.usize(..11);
    match kind {
        0 => {
            document["paths"] = json!({});
            return Some((name.to_owned(), "operation"));
        }
        1 => {
            operation["security"] = json!([{"BearerKey": []}]);
            return Some((name.to_owned(), "security"));
        }
        2 => {
            let replies = operation["responses"].as_object_mut()?;
            let statuses: Vec<String> = replies.keys().cloned().collect();
            let status = any(random, &statuses);
            replies.remove(status);
            return Some((format!("{name} reply {status}"), "status"));
        }
        3 if random.usize(..4) == 0 => {
            operation["deprecated"] = (operation["deprecated"] != true).into();
            return Some((name.to_owned(), "deprecated"));
        }
        _ => {}
    }
    if found.is_empty() {
        return None;
    }
    let (place, pointer) = any(random, &found).clone();
    let schema = operation.pointer_mut(&pointer)?;
    let dot = if pointer.ends_with("/schema") {
        " "
    } else {
        "."
    };
    let properties: Vec<String> = schema["properties"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name.clone())
        .collect();
    let limit = match schema["type"].as_str() {
        Some("string") => "maxLength",
        Some("array") => "maxItems",
        _ => "maximum",
    };
    match kind {
        3 => {
            schema["deprecated"] = (schema["deprecated"] != true).into();
            Some((place, "deprecated"))
        }
        4 if !properties.is_empty() => {
            let property = any(random, &properties);
            schema["properties"].as_object_mut()?.shift_remove(property);
            Some((format!("{place}{dot}{property}"), "field"))
        }
        5 if !properties.is_empty() => {
            schema["properties"]["new"] =
                json!({"type": "object", "properties": {"id": {"type": "string"}}});
            Some((format!("{place}{dot}new"), "field"))
        }
        6 if !properties.is_empty() => {
            let property = json!(any(random, &properties));
            let mut required = schema["required"].as_array().cloned().unwrap_or_default();
            match required.iter().position(|name| *name == property) {
                Some(at) => drop(required.remove(at)),
                None => required.push(property.clone()),
            }
            schema["required"] = required.into();
            Some((format!("{place}{dot}{}", property.as_str()?), "required"))
        }
        7 if schema["type"].is_string() => {
            match random.usize(..2) {
                0 => schema["nullable"] = (schema["nullable"] != true).into(),
                _ if schema["type"] == "boolean" => schema["type"] = "string".into(),
                _ => schema["type"] = "boolean".into(),
            }
            Some((place, "type"))
        }
        8 if schema["type"] == "string" || schema["type"] == "integer" => {
            let keyword = if schema["enum"].is_array() {
                "enum"
            } else {
                "x-extensible-enum"
            };
            let mut values = schema[keyword].as_array().cloned().unwrap_or_default();
            values.push(json!("another"));
            schema[keyword] = values.into();
            Some((place, "enum"))
        }
        9 => {
            schema[limit] = json!(7919);
            Some((place, limit))
        }
        10 => {
            schema["default"] = json!("another");
            Some((place, "default"))
        }
        _ => None,
    }
}

/// Returns `ours.yaml` with `from` replaced by `to`, as a foreign document.
fn edited(from: &str, to: &str) -> String {
    assert!(OURS.contains(from), "{from}");
    OURS.replacen(from, to, 1)
}

#[test]
fn equivalent_notations_are_no_difference() {
    let rows = [
        // A part and its equivalent notation.
        ("https://api.example.com/v3", "/v3/"),
        ("https://api.example.com/v3", "https://eu.example.com"),
        ("/parcel/send:", "/parcel/send/:"),
        (
            "weight: {type: number, minimum: 0, exclusiveMinimum: true}",
            "weight: {type: number, exclusiveMinimum: 0.0}",
        ),
        (
            "count: {type: integer}",
            "count: {allOf: [{type: integer}, {description: Parcels.}]}",
        ),
        (
            "count: {type: integer}",
            "count: {type: integer, example: 3, description: Parcels.}",
        ),
        (
            "sender: {type: string, format: mailbox}",
            "sender: {type: string, minLength: 0}",
        ),
        (
            "nullable: true\n          allOf: [{$ref: '#/components/schemas/State'}]",
            "anyOf: [{$ref: '#/components/schemas/State'}, {type: 'null'}]",
        ),
        (
            "        '400': {$ref: '#/components/responses/Refused'}\n        '401': {$ref: '#/components/responses/Refused'}",
            "        4XX: {$ref: '#/components/responses/Refused'}",
        ),
        ("        5XX: {", "        '503': {"),
        ("        5XX: {", "        default: {"),
        (
            "content: {application/json:",
            "content: {text/plain: {}, application/problem+json:",
        ),
        ("Key: []}, {Bearer", "Bearer: []}, {Key"),
        ("openapi: 3.0.3", "openapi: 3.0"),
        ("openapi: 3.0.3", "openapi: 3.1"),
    ];
    for (from, to) in rows {
        let report = with(&[("theirs.yaml", &edited(from, to))], "", false).unwrap();
        assert_eq!(lines(&report), [""; 0], "{to}");
    }
}

#[test]
fn only_the_loosest_limit_of_all_alternatives_counts() {
    let limited = |schema: &str| {
        edited(
            "note: {type: string, format: text, deprecated: true}",
            schema,
        )
    };
    let rows = [
        (
            "oneOf: [{maxLength: 24}, {maxLength: 12}]",
            "maxLength: ours absent, theirs 24",
        ),
        (
            "anyOf: [{maxLength: 12}, {maxLength: 24}]",
            "maxLength: ours absent, theirs 24",
        ),
        ("anyOf: [{maxLength: 12}, {maxLength: 24}, {}]", ""),
        ("anyOf: [{}, {maxLength: 12}]", ""),
        (
            "anyOf: [{type: string, minLength: 3}, {type: string, minLength: 2}]",
            "minLength: ours absent, theirs 2",
        ),
        (
            "anyOf: [{maxLength: 12}, {type: 'null'}]",
            "maxLength: ours absent, theirs 12",
        ),
        (
            "anyOf: [{type: 'null'}, {maxLength: 12}]",
            "maxLength: ours absent, theirs 12",
        ),
        ("anyOf: [{pattern: a}, {pattern: b}]", ""),
        (
            "anyOf: [{pattern: a}, {pattern: a}]",
            "pattern: ours absent, theirs a",
        ),
        (
            "maxLength: 9, anyOf: [{minLength: 2}, {}]",
            "maxLength: ours absent, theirs 9",
        ),
    ];
    for (schema, expected) in rows {
        let schema = format!("note: {{type: string, format: text, deprecated: true, {schema}}}");
        let report = with(&[("theirs.yaml", &limited(&schema))], "", false).unwrap();
        let found = lines(&report);
        let found: Vec<&str> = found
            .iter()
            .filter(|line| !line.contains("  type: "))
            .map(String::as_str)
            .collect();
        let place = "POST /parcel/send  request note  ";
        let expected: Vec<String> =
            Vec::from_iter((!expected.is_empty()).then(|| format!("{place}{expected}")));
        assert_eq!(found, expected, "{schema}");
    }
}

#[test]
fn values_listed_in_a_description_are_compared() {
    let absent = "ours \"\", opened, opt-out, sent, theirs absent";
    let rows = [
        ("The events: sent, opened, opt-out.", ""),
        ("The events: Sent, opened or opt-out", ""),
        ("One of `sent`, `open` and `opt-out`", ""),
        ("'sent' | 'opened' | 'opt-out'", ""),
        ("**sent**, **opened** and **opt-out** by mail", ""),
        (
            "* **sent** as mail\n* **opened**: by somebody\n* *opt-out*",
            "",
        ),
        ("sent/opened/opt-out", ""),
        ("[\"sent\", \"opened\", \"opt-out\"]", ""),
        ("Events (sent, opened, opt-out) to post.", ""),
        ("sent (as mail), opened (by somebody),\nopt-out.", ""),
        ("What to post:\n- sent\n- opened\n- opt-out", ""),
        (
            "1. `sent` as mail\n2. `opened` by\n   somebody\n3. `opt-out`",
            "",
        ),
        (
            "Events:\nsent: as mail\nopened: by somebody\nopt-out - no more",
            "",
        ),
        ("<ul><li>sent</li><li>opened</li><li>opt-out</li></ul>", ""),
        ("Either sent or opened; or opened, opt-out by mail.", ""),
        (
            "Events: sent or opened.",
            "ours opt-out, theirs no other, in prose",
        ),
        (
            "Post sent, opened, or any of them.",
            "ours opt-out, theirs no other, in prose",
        ),
        (
            "sent, opened, opt-out, replied.",
            "ours no other, theirs replied, in prose",
        ),
        (
            "sent, `replied` by mail",
            "ours opened, opt-out, theirs replied, in prose",
        ),
        (
            "* sent\n* replied",
            "ours opened, opt-out, theirs replied, in prose",
        ),
        ("", absent),
        ("Events to post.", absent),
        ("Events, such as sent.", absent),
        (
            "Mail that was sent and read by it, or dropped and lost.",
            absent,
        ),
        ("sent, replied, bounced", absent),
    ];
    for (description, expected) in rows {
        for (list, items) in [(description, ""), ("", description)] {
            let foreign = edited(
                "events: {type: array, items: {$ref: '#/components/schemas/Event'}}",
                &format!(
                    "events: {{type: array, description: {}, items: {{type: string, description: {}}}}}",
                    json!(list),
                    json!(items)
                ),
            );
            let report = with(&[("theirs.yaml", &foreign)], "", false).unwrap();
            let place = "POST /parcel/send  request events[]  enum: ";
            let expected = (!expected.is_empty()).then(|| format!("{place}{expected}"));
            assert_eq!(lines(&report), Vec::from_iter(expected), "{description}");
        }
    }
}

#[test]
fn unknown_value_in_a_sample_is_a_difference() {
    let rows = [
        ("example: [sent]", ""),
        ("example: [open, '']", ""),
        ("example: [sent, xml, 7]", "7, xml"),
        ("examples: [[sent], [xml]]", "xml"),
        (
            "items: {type: string, x-extensible-enum: [sent, opened, opt-out, ''], example: xml}",
            "xml",
        ),
    ];
    for (sample, expected) in rows {
        let items = "items: {$ref: '#/components/schemas/Event'}";
        let sample = match sample.starts_with("items") {
            true => sample.to_owned(),
            false => format!("{items}, {sample}"),
        };
        let foreign = edited(
            &format!("type: array, {items}"),
            &format!("type: array, {sample}"),
        );
        let report = with(&[("theirs.yaml", &foreign)], "", false).unwrap();
        let found = lines(&report);
        let found: Vec<&str> = found
            .iter()
            .filter(|line| line.contains("  enum: "))
            .map(String::as_str)
            .collect();
        let line = format!(
            "POST /parcel/send  request events[]  enum: ours no other, theirs {expected}, in a sample only"
        );
        let expected = (!expected.is_empty()).then_some(line.as_str());
        assert_eq!(found, Vec::from_iter(expected), "{sample}");
    }
}

#[test]
fn webhooks_are_compared_if_the_document_has_any() {
    let event = "properties: {event: {$ref: '#/components/schemas/Event'}}";
    let rows = [
        ("x-webhooks:", "webhooks:", vec![]),
        ("x-webhooks:", "x-more:", vec![]),
        (
            event,
            "properties: {event: {type: string, enum: [sent, opened, opt-out, '', lost]}, id: {type: string}}",
            vec![
                "WEBHOOK parcel_event  request event  enum: ours no other, theirs lost",
                "WEBHOOK parcel_event  request id  field: ours absent, theirs string",
            ],
        ),
        (
            "  parcel_event:",
            "  parcel:",
            vec![
                "WEBHOOK parcel  operation: ours absent, theirs present",
                "WEBHOOK parcel_event  operation: ours present, theirs absent",
            ],
        ),
    ];
    for (from, to, expected) in rows {
        let report = with(&[("theirs.yaml", &edited(from, to))], "", false).unwrap();
        assert_eq!(lines(&report), expected, "{to}");
    }
    // Without paths, and with security that differs from the document's.
    let alone =
        "{openapi: 3.1.0, security: [], webhooks: {parcel_event: {post: {responses: {200: {}}}}}}";
    let report = with(&[("theirs.yaml", alone)], "", true).unwrap();
    assert_eq!(
        lines(&report),
        ["WEBHOOK parcel_event  request  body: ours object, theirs absent"]
    );
}

#[test]
fn recursive_schema_ends_where_it_repeats() {
    let foreign = edited(
        "    State: {",
        "    Tree: {type: object, properties: {leaf: {type: string}, more: {type: array, items: {$ref: '#/components/schemas/Tree'}}}}\n    State: {",
    );
    let foreign = foreign.replace(
        "seen: {type: boolean}",
        "seen: {$ref: '#/components/schemas/Tree'}",
    );
    let report = with(&[("theirs.yaml", &foreign)], "", true).unwrap();
    assert!(lines(&report).contains(
        &"POST /parcel/send  reply 200 data.seen  type: ours boolean, theirs object".to_owned()
    ));
}

#[test]
fn missing_operation_is_a_difference_unless_partial() {
    let only = edited(
        "  /parcel/drop:\n    post:\n      responses: {'200': {description: Gone.}}\n",
        "",
    );
    let found = |partial| lines(&with(&[("theirs.yaml", &only)], "", partial).unwrap());
    assert_eq!(
        found(false),
        ["POST /parcel/drop  operation: ours present, theirs absent"]
    );
    assert_eq!(found(true), [""; 0]);
    let report = with(&[("theirs.yaml", &only)], "", false).unwrap();
    assert_eq!(
        report.text(false),
        found(false)[0].clone() + "\n1 open, 0 decided"
    );
}

#[test]
fn operation_in_two_files_must_be_the_same() {
    let same = with(&[("one.yaml", OURS), ("two.yaml", OURS)], "", false).unwrap();
    assert_eq!(lines(&same), [""; 0]);
    let rows = [
        // The text in the other file, and the place where the two differ.
        (
            "count: {type: integer}",
            "count: {type: number}",
            "POST /parcel/list reply 200 data[].count (type)",
        ),
        (
            "sender: {type: string, format: mailbox}",
            "from: {type: string}",
            "POST /parcel/send request from (only one of them has it)",
        ),
        (
            "maxItems: 100",
            "maxItems: 100, example: [1]",
            "POST /parcel/send request to (sample)",
        ),
        (
            "  /parcel/list:\n    post:\n",
            "  /parcel/list:\n    post:\n      deprecated: true\n",
            "POST /parcel/list (deprecated)",
        ),
    ];
    for (from, to, expected) in rows {
        let other = edited(from, to);
        let error = with(&[("one.yaml", OURS), ("two.yaml", &other)], "", false).unwrap_err();
        assert_eq!(
            error,
            format!("one.yaml and two.yaml differ about {expected}: compare one of them")
        );
    }
}

#[test]
fn unusable_document_is_refused_with_the_name_of_the_file() {
    let refused = "'#/components/responses/Refused'";
    let rows = [
        (
            "- just\n- a list".to_owned(),
            "it.yaml: not an OpenAPI 3 document: it has no `openapi: 3.…`",
        ),
        (
            "swagger: '2.0'\npaths: {}".to_owned(),
            "it.yaml: not an OpenAPI 3 document: it has no `openapi: 3.…`",
        ),
        (
            "openapi: 4.0.0\npaths: {}".to_owned(),
            "it.yaml: OpenAPI 4.0.0: only 3.0 and 3.1 are supported",
        ),
        ("openapi: 3.1.0".to_owned(), "it.yaml: it has no `paths`"),
        ("openapi: [".to_owned(), "it.yaml: is not YAML: "),
        (
            edited(refused, "'parts.yaml#/Refused'"),
            "it.yaml: POST /parcel/send: `$ref: parts.yaml#/Refused` points to another file: bundle the document first",
        ),
        (
            edited(refused, "'#/components/responses/Gone'"),
            "it.yaml: POST /parcel/send: `$ref: #/components/responses/Gone` has no target",
        ),
        (
            edited(
                "  /parcel/list:",
                "  /v3/parcel/send: {post: {}}\n  /parcel/list:",
            ),
            "it.yaml: POST /parcel/send is described twice",
        ),
    ];
    for (text, expected) in rows {
        let text = text.replace("https://api.example.com/v3", "https://api.example.com");
        let error = with(&[("it.yaml", &text)], "", false).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn decision_covers_the_difference_that_it_records() {
    let foreign = edited("maxItems: 100", "maxItems: 50");
    let foreign = foreign.replace("count: {type: integer}", "count: {type: string}");
    let decided = "
        - {at: POST /parcel/send request to, kind: maxItems, ours: 100, theirs: 50, why: Live.}
        - {at: '* reply 200 data*.count', kind: type, theirs: string, why: Samples have integers.}
    ";
    let report = with(&[("theirs.yaml", &foreign)], decided, false).unwrap();
    assert_eq!(report.stale, [""; 0]);
    assert_eq!(
        lines(&report),
        [
            "POST /parcel/list  reply 200 data[].count  type: ours integer, theirs string (decided: Samples have integers.)",
            "POST /parcel/send  reply 200 data.count  type: ours integer, theirs string (decided: Samples have integers.)",
            "POST /parcel/send  request to  maxItems: ours 100, theirs 50 (decided: Live.)",
            "POST /parcel/view  reply 200 data[].count  type: ours integer, theirs string (decided: Samples have integers.)",
        ]
    );
    assert_eq!(report.text(false), "0 open, 4 decided");
    assert_eq!(
        report.text(true),
        lines(&report).join("\n") + "\n0 open, 4 decided"
    );
    let json = serde_json::to_value(&report.differences[2]).unwrap();
    assert_eq!(
        json,
        json!({"place": "POST /parcel/send request to", "kind": "maxItems", "ours": "100", "theirs": "50", "decided": "Live."})
    );
}

#[test]
fn place_in_except_is_not_covered_by_the_decision() {
    let foreign = OURS.replace("x-extensible-enum: [low, high, '']", "description: Speed.");
    let foreign = foreign.replace("x-extensible-enum: [open, done]", "description: State.");
    let open = |except: &str| {
        let decision = format!("- {{at: '* *', {except} kind: enum, theirs: absent, why: W.}}");
        let report = with(&[("theirs.yaml", &foreign)], &decision, false).unwrap();
        let open = report.open().map(|found| found.place.clone());
        (open.collect::<Vec<_>>(), report.stale)
    };
    let urgency = "POST /parcel/send request urgency".to_owned();
    let state = "POST /parcel/send reply 200 data.state".to_owned();
    let rows = [
        ("", vec![], ""),
        ("except: [],", vec![], ""),
        (
            "except: [POST /parcel/send request urgency],",
            vec![urgency.clone()],
            "",
        ),
        (
            "except: ['* request *', POST *send reply 200 *],",
            vec![state, urgency],
            "",
        ),
        (
            "except: [POST /parcel/send request speed],",
            vec![],
            "the exception `POST /parcel/send request speed` matches no place of `at`",
        ),
    ];
    for (except, expected, wrong) in rows {
        let (found, stale) = open(except);
        match wrong {
            "" => assert_eq!((found, stale.as_slice()), (expected, &[][..]), "{except}"),
            wrong => assert!(stale[0].ends_with(wrong), "{stale:?}"),
        }
    }
}

#[test]
fn stale_decision_is_reported_and_covers_nothing() {
    let foreign = edited("maxItems: 100", "maxItems: 50");
    let only = foreign.split_once("  /parcel/list:").unwrap().0.to_owned()
        + foreign
            .split_once("components:")
            .map(|(_, rest)| format!("components:{rest}"))
            .unwrap()
            .as_str();
    // The decision, its problem, and whether `--partial` reports it too.
    let rows = [
        (
            "{at: POST /parcel/send request to, kind: maxItems, theirs: 20, why: W.}",
            "stale: it is now ours 100, theirs 50",
            true,
        ),
        (
            "{at: POST /parcel/send request sender, kind: type, why: W.}",
            "stale: the difference no longer exists",
            true,
        ),
        (
            "{at: POST /parcel/list reply 200, kind: envelope, why: W.}",
            "stale: the difference no longer exists",
            false,
        ),
        (
            "{at: '* reply 200', kind: envelope, why: W.}",
            "stale: the difference no longer exists",
            false,
        ),
        (
            "{at: POST /parcel/mail, kind: operation, ours: absent, theirs: present, why: W.}",
            "stale: the difference no longer exists",
            false,
        ),
        (
            "{at: POST /parcel/send request from, kind: type, why: W.}",
            "our document has no such place",
            true,
        ),
        (
            "{at: POST /parcel/send request to, kind: maxItems, ours: 99, why: W.}",
            "our document does not have `99` at this place",
            true,
        ),
        (
            "{at: POST /parcel/send request urgency, kind: enum, ours: 'low, later', why: W.}",
            "our document does not have `low, later` at this place",
            true,
        ),
        (
            "{at: POST /parcel/send request to, kind: field, ours: absent, why: W.}",
            "our document has this place",
            true,
        ),
        (
            "{at: POST /parcel/send request from, kind: field, why: W.}",
            "our document has no such place",
            true,
        ),
    ];
    for (decision, expected, always) in rows {
        let decisions = format!("- {decision}");
        let report = with(&[("theirs.yaml", &foreign)], &decisions, false).unwrap();
        assert_eq!(report.stale.len(), 1, "{decision}");
        assert!(
            report.stale[0].starts_with("spec/decisions.yaml: entry 1 (`"),
            "{:?}",
            report.stale
        );
        assert!(report.stale[0].ends_with(expected), "{:?}", report.stale);
        assert_eq!(report.open().count(), 1, "{decision}");
        let partial = with(&[("theirs.yaml", &only)], &decisions, true).unwrap();
        assert_eq!(!partial.stale.is_empty(), always, "{decision}");
    }
}

#[test]
fn decision_can_cover_an_operation_that_only_the_foreign_document_has() {
    let foreign = edited(
        "  /parcel/list:",
        "  /parcel/mail: {post: {}}\n  /parcel/list:",
    );
    let rows = [
        ("ours: absent, theirs: present", "", 0),
        (
            "ours: absent, theirs: absent",
            "spec/decisions.yaml: entry 1 (`POST /parcel/mail`, operation): stale: it is now ours absent, theirs present",
            1,
        ),
    ];
    for (recorded, stale, open) in rows {
        let decision = format!("- {{at: POST /parcel/mail, kind: operation, {recorded}, why: W.}}");
        for partial in [false, true] {
            let report = with(&[("theirs.yaml", &foreign)], &decision, partial).unwrap();
            assert_eq!(report.stale.join("\n"), stale, "{recorded}");
            assert_eq!(report.open().count(), open, "{recorded}");
        }
    }
}

#[test]
fn webhook_decision_is_checked_only_if_the_document_has_webhooks() {
    let decision = "- {at: WEBHOOK parcel_event request *, kind: type, why: W.}";
    let everything = "- {at: '* *', kind: type, why: W.}";
    let none = edited("x-webhooks:", "x-more:");
    let rows = [
        (OURS, decision, 1),
        (none.as_str(), decision, 0),
        (OURS, everything, 1),
        (none.as_str(), everything, 1),
    ];
    for (foreign, decision, stale) in rows {
        let report = with(&[("theirs.yaml", foreign)], decision, false).unwrap();
        assert_eq!(report.stale.len(), stale, "{decision} {:?}", report.stale);
    }
}

#[test]
fn broken_decision_is_refused() {
    let rows = [
        ("- {at: POST /x, kind: type}", "missing field `why`"),
        (
            "- {at: POST /x, kind: type, why: ' '}",
            "entry 1 (`POST /x`, type): `why` is empty: state the reason",
        ),
        (
            "- {at: POST /x, kind: type, because: B., why: W.}",
            "unknown field `because`",
        ),
        (
            "- {at: POST /x, kind: typo, why: W.}",
            "entry 1 (`POST /x`, typo): unknown kind: use operation,",
        ),
        ("at: POST /x", "spec/decisions.yaml: "),
    ];
    for (decisions, expected) in rows {
        let error = with(&[("theirs.yaml", OURS)], decisions, false).unwrap_err();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with("spec/decisions.yaml: "), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[test]
fn decisions_of_the_repository_match_our_document() {
    let root = fixture::repository();
    let spec = xtask::load::load(&root.join(xtask::SPEC)).unwrap().document;
    let decisions = std::fs::read_to_string(root.join(compare::DECISIONS)).unwrap();
    let nothing = json!({"openapi": "3.1.0", "paths": {}}).to_string();
    let foreign = [("nothing.json".to_owned(), nothing)];
    // With --partial, no decision is checked against the foreign document.
    let report = compare::compare(&spec, &foreign, &decisions, true).unwrap();
    assert_eq!(report.stale, [""; 0]);
}

#[test]
fn value_that_the_vendor_removed_is_not_covered_by_a_decision() {
    let root = fixture::repository();
    let spec = xtask::load::load(&root.join(xtask::SPEC)).unwrap().document;
    let decisions = std::fs::read_to_string(root.join(compare::DECISIONS)).unwrap();
    let documents = one_by_one(&spec);
    let reply = "responses/200/content/application~1json/schema/properties/data/properties";
    let rows = [
        ("POST /email/send", "responses/400".to_owned(), "reply 400"),
        (
            "POST /ip_allow_list/add",
            "responses/429".to_owned(),
            "reply 429",
        ),
        (
            "POST /activity/search",
            "requestBody/content/application~1json/schema/properties/region/x-extensible-enum"
                .to_owned(),
            "request region",
        ),
        (
            "POST /allowed_senders/view",
            format!("{reply}/mode/x-extensible-enum"),
            "reply 200 data.mode",
        ),
        (
            "POST /sms/send",
            format!("{reply}/messages/items/properties/status/x-extensible-enum"),
            "reply 200 data.messages[].status",
        ),
        (
            "POST /webhook/add",
            format!("{reply}/output_format/default"),
            "reply 200 data.output_format",
        ),
    ];
    let mut foreign = Vec::new();
    let mut expected = BTreeSet::new();
    for (operation, lost, place) in rows {
        let (_, document) = documents
            .iter()
            .find(|(name, _)| name == operation)
            .unwrap();
        let mut document = without_descriptions(document);
        let (method, path) = operation.split_once(' ').unwrap();
        let lost = format!(
            "/paths/{}/{}/{lost}",
            path.replace('/', "~1"),
            method.to_lowercase()
        );
        let (parent, name) = lost.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap();
        parent.as_object_mut().unwrap().shift_remove(name).unwrap();
        foreign.push((operation.to_owned(), document.to_string()));
        expected.insert(format!("{operation} {place}"));
    }
    let report = compare::compare(&spec, &foreign, &decisions, true).unwrap();
    let open: BTreeSet<String> = report.open().map(|found| found.place.clone()).collect();
    assert_eq!(open, expected);
}

/// Removes descriptions, because ours list the values of enums.
fn without_descriptions(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .filter(|(name, member)| *name != "description" || !member.is_string())
            .map(|(name, member)| (name.clone(), without_descriptions(member)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_descriptions).collect(),
        other => other.clone(),
    }
}

#[test]
fn august_document_differs_by_the_changes_until_november() {
    let root = fixture::repository();
    let spec = xtask::load::load(&root.join(xtask::SPEC)).unwrap().document;
    let decisions = std::fs::read_to_string(root.join(compare::DECISIONS)).unwrap();
    let foreign = [("august.yaml".to_owned(), AUGUST.to_owned())];
    let report = compare::compare(&spec, &foreign, &decisions, true).unwrap();
    assert_eq!(report.stale, [""; 0]);
    let open: Vec<String> = report.open().map(ToString::to_string).collect();
    insta::assert_snapshot!(open.join("\n"));
}

#[test]
fn command_fails_if_a_difference_is_open_or_a_file_is_unusable() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
            .args(["spec", "compare"])
            .args(arguments)
            .current_dir(fixture::repository())
            .output()
            .unwrap();
        let [out, err] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code().unwrap(), out, err)
    };
    let august = "xtask/tests/suite/compare/august.yaml";
    let (code, out, _) = run(&["spec/openapi.json"]);
    assert_eq!(
        (code, out.as_str()),
        (1, "0 open, 1 decided\n"),
        "all other decisions are stale"
    );
    let (code, out, err) = run(&["--partial", "--json", august]);
    assert!(
        err.ends_with(
            " differences are open: change spec/openapi.yaml, or state the reason in spec/decisions.yaml\n"
        ),
        "{err}"
    );
    let json: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["stale"]), (1, &json!([])));
    assert!(json["differences"][0]["place"].is_string(), "{out}");
    let nothing = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&nothing, r#"{"openapi": "3.1.0", "paths": {}}"#).unwrap();
    let (code, out, err) = run(&["--partial", nothing.path().to_str().unwrap()]);
    assert_eq!(
        (code, out.as_str(), err.as_str()),
        (0, "0 open, 0 decided\n", "")
    );
    let (code, out, err) = run(&["gone.yaml"]);
    assert_eq!((code, out.as_str(), err.lines().count()), (1, "", 1));
    assert!(err.starts_with("gone.yaml: "), "{err}");
    assert_eq!(run(&[]).0, 2);
}
