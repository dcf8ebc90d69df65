//! What users can name, by API group, in snapshots that are read before they are accepted.

// A test that fails, fails by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::Path;

/// One snapshot per group: its types, its methods, its blocking methods, its raw methods.
#[test]
fn the_public_surface_is_as_reviewed() {
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

fn surface(path: &Path) -> String {
    let code = std::fs::read_to_string(path).unwrap();
    let surface = xtask::surface::surface(&code).unwrap();
    let name = path.strip_prefix(support::root()).unwrap();
    format!("// {}\n{surface}\n", name.display())
}
