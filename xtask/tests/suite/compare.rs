//! `spec compare`: what differs between foreign documents and ours, and what is decided.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xtask::spec::compare::{self, Report};

use crate::fixture;
use crate::random::Random;

const OURS: &str = include_str!("compare/ours.yaml");
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
fn document_and_itself_have_no_differences() {
    let report = with(&[("ours.yaml", OURS)], "", false).unwrap();
    assert_eq!(lines(&report), [""; 0]);
}

#[test]
fn foreign_document_with_each_kind_of_difference_has_all_reported() {
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

/// Changes tried by the random test.
const CASES: u64 = 800;

#[test]
fn random_change_at_any_depth_is_the_only_difference() {
    let spec = fixture::repository().join(xtask::SPEC);
    let documents = one_by_one(&xtask::load::load(&spec).unwrap().document);
    let mut kinds = BTreeSet::new();
    for case in 0..CASES {
        let mut random = Random(case);
        let (name, before) = random.of(&documents);
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

/// A document for each operation, in which every use of a component is a copy, so that each place is
/// changed alone. It has no examples, in which a removed field would still be.
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

/// The place of every schema, and the pointer to it.
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
/// if the node has nothing of the kind.
fn change(document: &mut Value, name: &str, random: &mut Random) -> Option<(String, &'static str)> {
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
    let (part, pointer) = random.of(&bodies);
    let pointer = format!("{pointer}/content/application~1json/schema");
    if let Some(schema) = operation.pointer(&pointer) {
        schemas(schema, &format!("{name} {part} "), pointer, &mut found);
    }
    let kind = random.below(11);
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
            let status = random.of(&statuses);
            replies.remove(status);
            return Some((format!("{name} reply {status}"), "status"));
        }
        3 if random.below(4) == 0 => {
            operation["deprecated"] = (operation["deprecated"] != true).into();
            return Some((name.to_owned(), "deprecated"));
        }
        _ => {}
    }
    if found.is_empty() {
        return None;
    }
    let (place, pointer) = random.of(&found).clone();
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
            let property = random.of(&properties);
            schema["properties"].as_object_mut()?.shift_remove(property);
            Some((format!("{place}{dot}{property}"), "field"))
        }
        5 if !properties.is_empty() => {
            schema["properties"]["new"] =
                json!({"type": "object", "properties": {"id": {"type": "string"}}});
            Some((format!("{place}{dot}new"), "field"))
        }
        6 if !properties.is_empty() => {
            let property = json!(random.of(&properties));
            let mut required = schema["required"].as_array().cloned().unwrap_or_default();
            match required.iter().position(|name| *name == property) {
                Some(at) => drop(required.remove(at)),
                None => required.push(property.clone()),
            }
            schema["required"] = required.into();
            Some((format!("{place}{dot}{}", property.as_str()?), "required"))
        }
        7 if schema["type"].is_string() => {
            match random.below(2) {
                0 => schema["nullable"] = (schema["nullable"] != true).into(),
                _ => {
                    schema["type"] = if schema["type"] == "boolean" {
                        "string"
                    } else {
                        "boolean"
                    }
                    .into()
                }
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
