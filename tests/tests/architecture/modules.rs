//! The module tables of ARCHITECTURE.md.

use std::collections::BTreeSet;
use std::path::Path;

use crate::{markdown_table, read, root};

#[test]
fn document_has_a_row_for_each_module() {
    let document = read("ARCHITECTURE.md");
    let mut wrong = Vec::new();
    for folder in [
        "smtp2go-types/src",
        "smtp2go-sdk/src",
        "smtp2go-outbox/src",
        "smtp2go-sandbox/src",
        "xtask/src",
    ] {
        let (_, section) = document.split_once(&format!("### `{folder}`")).unwrap();
        let rows = markdown_table(section, "| Module |");
        let documented: BTreeSet<String> = rows.into_iter().map(|row| row[0].clone()).collect();
        let mut files = BTreeSet::new();
        collect(&root().join(folder), "", &mut files);
        let missing = files.difference(&documented);
        wrong.extend(missing.map(|file| format!("{folder}/{file} has no row")));
        let stale = documented.difference(&files);
        wrong.extend(stale.map(|file| format!("{folder}/{file} has a row and does not exist")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_decision_is_linked_and_short() {
    for entry in std::fs::read_dir(root().join("docs/decisions")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("docs/decisions/{name}");
        for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
            assert!(read(document).contains(&path), "{document} lacks {path}");
        }
        let words = read(&path).split_whitespace().count();
        assert!(
            words <= 450,
            "{path} has {words} words: keep it to one page"
        );
    }
}

/// Collects the Rust files below a folder, without the crate's root, tests and generated code.
fn collect(folder: &Path, prefix: &str, files: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let path = format!("{prefix}{name}");
        if entry.file_type().unwrap().is_dir() {
            if name != "generated" {
                collect(&entry.path(), &format!("{path}/"), files);
            }
        } else if name.ends_with(".rs") && name != "tests.rs" && path != "lib.rs" {
            files.insert(path);
        }
    }
}
