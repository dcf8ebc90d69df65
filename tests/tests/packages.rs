//! The files of a published package besides its code.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // tests

use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .args(["--offline", "--quiet"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns the names and directories of the packages to publish.
fn published() -> Vec<(String, String)> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version=1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .filter(|package| package["publish"].is_null())
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let name = package["name"].as_str().unwrap().to_owned();
            (name, manifest.parent().unwrap().display().to_string())
        })
        .collect()
}

#[test]
fn package_has_readme_licences_and_changelog() {
    let packages = published();
    assert!(packages.len() >= 3, "{packages:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for (name, directory) in packages {
        let list = cargo(&["package", "--list", "--allow-dirty", "--package", &name]);
        let list: Vec<&str> = list.lines().collect();
        assert!(list.contains(&"README.md"), "{name} has no README.md");
        for file in ["LICENSE-MIT", "LICENSE-APACHE", "CHANGELOG.md"] {
            assert!(list.contains(&file), "{name} has no {file}");
            // A symbolic link; git without support for these writes its target's path instead.
            let packed = std::fs::read_to_string(Path::new(&directory).join(file)).unwrap();
            let shared = std::fs::read_to_string(root.join(file)).unwrap();
            assert_eq!(
                packed, shared,
                "{file} of {name} is not a link to the root's"
            );
        }
    }
}
