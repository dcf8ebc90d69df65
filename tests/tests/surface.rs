//! The public API, by API group, in snapshots for review.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

/// One snapshot per group: its types, its methods, its blocking methods, its raw methods.
#[test]
fn generated_surface_matches_the_reviewed_snapshots() {
    let root = support::root();
    let spec = support::spec();
    let mut groups: Vec<&str> = spec["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    groups.push("shared");
    for group in groups {
        let mut text = String::new();
        for folder in [
            "smtp2go-types/src/generated",
            "smtp2go-sdk/src/generated/groups",
            "smtp2go-sdk/src/generated/blocking",
            "smtp2go-sdk/src/generated/raw",
        ] {
            let path = root.join(folder).join(format!("{group}.rs"));
            if path.exists() {
                text.push_str(&surface(&path));
            }
        }
        insta::assert_snapshot!(format!("surface_{group}"), text);
    }
}

/// One snapshot per folder of hand-written code.
#[test]
fn hand_written_surface_matches_the_reviewed_snapshots() {
    for (name, folder) in [
        ("sdk", "smtp2go-sdk/src"),
        ("sdk_blocking", "smtp2go-sdk/src/blocking"),
        ("sdk_body", "smtp2go-sdk/src/body"),
        ("sdk_call", "smtp2go-sdk/src/call"),
        ("sdk_client", "smtp2go-sdk/src/client"),
        ("sdk_error", "smtp2go-sdk/src/error"),
        ("sdk_mail", "smtp2go-sdk/src/mail"),
        ("sdk_mail_bulk", "smtp2go-sdk/src/mail/bulk"),
        ("sdk_mail_find_sent", "smtp2go-sdk/src/mail/find_sent"),
        ("sdk_mail_lettre", "smtp2go-sdk/src/mail/lettre"),
        ("sdk_webhook", "smtp2go-sdk/src/webhook"),
        ("types", "smtp2go-types/src"),
        ("types_webhook", "smtp2go-types/src/webhook"),
        ("outbox", "smtp2go-outbox/src"),
        ("outbox_worker", "smtp2go-outbox/src/worker"),
        ("sandbox", "smtp2go-sandbox/src"),
    ] {
        let entries = std::fs::read_dir(support::root().join(folder)).unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
        files.sort();
        let surfaces = files.iter().map(|path| surface(path));
        // Without files that have no public items.
        let text: String = surfaces
            .filter(|surface| surface.trim_end().lines().count() > 1)
            .collect();
        insta::assert_snapshot!(format!("surface_{name}"), text);
    }
}

fn surface(path: &Path) -> String {
    let code = std::fs::read_to_string(path).unwrap();
    let surface = xtask::surface::surface(&code).unwrap();
    let name = path.strip_prefix(support::root()).unwrap();
    format!("// {}\n{surface}\n", name.display())
}
