//! Tests of the second stage: the Rust view of the fixture.

use std::fmt::Write as _;

use xtask::lower::{Field, Limits, Scalar, Shape, View, lower};

use crate::fixture;

#[test]
fn view_of_the_fixture_is_unchanged() {
    insta::assert_snapshot!("view", text(&lower(&fixture::spec())));
}

/// Formats a view: a line per operation, field and value, followed by its unusual attributes.
fn text(view: &View) -> String {
    let mut text = format!("{} {}\n", view.title, view.version);
    for (name, description) in &view.groups {
        line(&mut text, 0, &format!("group {name}: {description}"));
    }
    for operation in &view.operations {
        let (request, reply) = (name(&operation.request), name(&operation.reply));
        let (method, path) = (&operation.method, &operation.path);
        line(&mut text, 0, "");
        line(
            &mut text,
            0,
            &format!("{}: {method} {path} {request} -> {reply}", operation.id),
        );
        line(
            &mut text,
            1,
            &format!("{} . {}", operation.group, operation.action),
        );
        line(&mut text, 1, &format!("summary: {}", operation.summary));
        line(
            &mut text,
            1,
            &format!("description: {}", operation.description),
        );
        let repeat = if operation.repeat_safe {
            "safe"
        } else {
            "unsafe"
        };
        line(
            &mut text,
            1,
            &format!("{}, {repeat} to repeat", operation.kind),
        );
        for (name, value) in [
            ("deprecated", operation.deprecated.then(String::new)),
            (
                "rate limit",
                operation.rate_limit.map(|rate| format!("{rate:?}")),
            ),
            (
                "bytes",
                operation.max_body_bytes.map(|bytes| bytes.to_string()),
            ),
            (
                "pages",
                operation
                    .pagination
                    .as_ref()
                    .map(|pages| format!("{pages:?}")),
            ),
            ("subaccount", operation.subaccount.clone()),
            (
                "failure in 200",
                operation
                    .failure_in_200
                    .as_ref()
                    .map(|at| format!("{at:?}")),
            ),
            ("key in body", operation.key_in_body.clone()),
            ("error", operation.error.clone()),
            ("evidence", operation.evidence.clone()),
        ] {
            if let Some(value) = value {
                line(&mut text, 1, &format!("{name}: {value}"));
            }
        }
    }
    for object in &view.objects {
        let (role, group) = (object.role, name(&object.group));
        line(&mut text, 0, "");
        line(
            &mut text,
            0,
            &format!(
                "{} ({role:?}, {group}): {}",
                object.name, object.description
            ),
        );
        for field in &object.fields {
            line(&mut text, 1, &self::field(field));
        }
    }
    for open_enum in &view.open_enums {
        let (title, group) = (&open_enum.name, name(&open_enum.group));
        line(&mut text, 0, "");
        line(
            &mut text,
            0,
            &format!("{title} (words, {group}): {}", open_enum.description),
        );
        for (word, variant, aliases) in &open_enum.words {
            line(&mut text, 1, &format!("{word:?} {variant} {aliases:?}"));
        }
    }
    line(&mut text, 0, "");
    for webhook in &view.webhooks {
        line(
            &mut text,
            0,
            &format!("webhook {}: {}", webhook.name, webhook.object),
        );
    }
    text
}

fn line(text: &mut String, indent: usize, content: &str) {
    let line = format!("{}{content}", "  ".repeat(indent));
    writeln!(text, "{}", line.trim_end()).unwrap();
}

fn name(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or("none")
}

fn field(field: &Field) -> String {
    let mut facts = vec![shape(&field.shape)];
    for (fact, holds) in [
        ("required", field.required),
        ("deprecated", field.deprecated),
    ] {
        if holds {
            facts.push(fact.to_owned());
        }
    }
    if let Some(value) = field.always_send {
        facts.push(format!("always {value}"));
    }
    if let Some(default) = &field.default {
        facts.push(format!("default {default}"));
    }
    if !field.also_named.is_empty() {
        facts.push(format!("also {}", field.also_named.join(" ")));
    }
    facts.extend(limits(&field.limits));
    facts.extend(
        limits(&field.item_limits)
            .iter()
            .map(|limit| format!("each {limit}")),
    );
    if let Some(evidence) = &field.evidence {
        facts.push(format!("evidence {evidence}"));
    }
    format!(
        "{}: {} // {}",
        field.wire,
        facts.join(", "),
        field.description
    )
}

fn shape(shape: &Shape) -> String {
    let scalar = match shape.scalar() {
        Scalar::Word(name) | Scalar::Object(name) => name.clone(),
        scalar => format!("{scalar:?}"),
    };
    match shape {
        Shape::One(_) => scalar,
        Shape::List(_) => format!("list of {scalar}"),
        Shape::Map(_) => format!("map of {scalar}"),
    }
}

fn limits(limits: &Limits) -> Vec<String> {
    let mut facts = Vec::new();
    let range = |min: Option<String>, max: Option<String>| {
        format!("{}..{}", min.unwrap_or_default(), max.unwrap_or_default())
    };
    let (min, max) = (limits.min, limits.max);
    if min.is_some() || max.is_some() {
        facts.push(format!(
            "count {}",
            range(min.map(|n| n.to_string()), max.map(|n| n.to_string()))
        ));
    }
    let (min, max) = (limits.minimum, limits.maximum);
    if min.is_some() || max.is_some() {
        facts.push(range(
            min.map(|n| n.to_string()),
            max.map(|n| n.to_string()),
        ));
    }
    if !limits.one_of.is_empty() {
        facts.push(format!("one of {:?}", limits.one_of));
    }
    if limits.known {
        facts.push("known words".to_owned());
    }
    facts
}
