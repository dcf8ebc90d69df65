//! The tables of features in the documents match each crate's Cargo.toml.

use crate::{markdown_table, read};

struct Feature {
    name: String,
    is_default: bool,
    comment: String,
}

/// Reads `[features]` of a Cargo.toml: a line for each, with a comment above it.
fn features(manifest: &str) -> Vec<Feature> {
    let text = read(manifest);
    let (_, section) = text.split_once("\n[features]\n").unwrap();
    let section = section.split("\n[").next().unwrap();
    let mut defaults = Vec::new();
    let mut comment = String::new();
    let mut features = Vec::new();
    for line in section.lines() {
        if let Some(text) = line.strip_prefix('#') {
            comment.push_str(text);
        } else if let Some((name, enabled)) = line.split_once(" = ") {
            if name == "default" {
                let names = enabled.trim_matches(['[', ']']).split(", ");
                defaults = names
                    .map(|name| name.trim_matches('"').to_owned())
                    .collect();
                continue;
            }
            features.push(Feature {
                name: name.to_owned(),
                is_default: defaults.iter().any(|default| default == name),
                comment: std::mem::take(&mut comment),
            });
        }
    }
    assert!(!features.is_empty(), "{manifest} has no features");
    features
}

#[test]
fn every_feature_has_a_comment() {
    for manifest in [
        "smtp2go-types/Cargo.toml",
        "smtp2go-sdk/Cargo.toml",
        "smtp2go-outbox/Cargo.toml",
        "smtp2go-sandbox/Cargo.toml",
    ] {
        for feature in features(manifest) {
            assert!(!feature.comment.is_empty(), "{manifest}: {}", feature.name);
        }
    }
}

#[test]
fn feature_tables_list_every_feature() {
    for (manifest, document) in [
        ("smtp2go-types/Cargo.toml", "smtp2go-types/README.md"),
        ("smtp2go-sdk/Cargo.toml", "smtp2go-sdk/README.md"),
        ("smtp2go-outbox/Cargo.toml", "smtp2go-outbox/README.md"),
        ("smtp2go-sandbox/Cargo.toml", "smtp2go-sandbox/README.md"),
    ] {
        let listed: Vec<(String, bool)> = markdown_table(&read(document), "| Feature | Default |")
            .into_iter()
            .map(|row| (row[0].clone(), row[1] == "yes"))
            .collect();
        let held: Vec<_> = features(manifest)
            .into_iter()
            .map(|feature| (feature.name, feature.is_default))
            .collect();
        assert_eq!(listed, held, "{document}");
    }
}

#[test]
fn ci_builds_each_feature_alone() {
    let features = features("smtp2go-sdk/Cargo.toml");
    let names: Vec<_> = features
        .iter()
        .map(|feature| feature.name.as_str())
        .collect();
    let line = format!("for feature in {}; do", names.join(" "));
    assert!(read(".ci/run").contains(&line), ".ci/run lacks {line:?}");
}
