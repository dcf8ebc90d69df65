//! Tests of the third and fourth stage: the code generated from the fixture, file by file.

use crate::fixture;

/// All files except those in `spec`, which repeat the fixture. The snapshots leave out the first
/// line.
#[test]
fn fixture_generates_these_files() {
    let mut differing = Vec::new();
    for (path, text) in fixture::files() {
        if path.starts_with("spec/") {
            continue;
        }
        let name = path.replace("/src/generated", "").replace(['/', '.'], "_");
        let body = if path.ends_with(".rs") {
            text.split_once("\n\n").unwrap().1.to_owned()
        } else {
            one_line_each(&text)
        };
        // Caught, so that one run writes the new snapshots of all files.
        let snapshot = || insta::assert_snapshot!(name, body);
        if std::panic::catch_unwind(snapshot).is_err() {
            differing.push(path);
        }
    }
    assert!(differing.is_empty(), "{differing:?}");
}

/// Formats the sandbox's JSON with a line per operation and definition.
fn one_line_each(text: &str) -> String {
    let api: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut lines = Vec::new();
    for operation in api["operations"].as_array().unwrap() {
        lines.push(operation.to_string());
    }
    for (name, schema) in api["$defs"].as_object().unwrap() {
        lines.push(format!("{name}: {schema}"));
    }
    lines.join("\n")
}

#[test]
fn generated_file_names_its_source() {
    let spec = fixture::spec();
    for (path, text) in &fixture::files() {
        let opening: String = text.lines().take(2).collect();
        assert!(
            opening.contains("@generated") && opening.contains(xtask::SPEC),
            "{path}: {opening}"
        );
        let twin = path == "spec/openapi.json";
        assert_eq!(text.contains(&spec.hash), twin, "{path}: {opening}");
    }
}

#[test]
fn edited_sentence_changes_files_of_its_group_and_the_documents() {
    for (sentence, files) in [
        (
            "Needed to open it",
            &[
                "smtp2go-types/src/generated/parcel.rs",
                "spec/openapi-3.1.json",
                "spec/openapi.json",
            ][..],
        ),
        (
            "A thing in a parcel",
            &[
                "smtp2go-types/src/generated/parcel.rs",
                "spec/openapi-3.1.json",
                "spec/openapi.json",
            ],
        ),
        (
            "Lists parcels, newest first",
            &[
                "smtp2go-sdk/src/generated/groups/parcel.rs",
                "smtp2go-sdk/src/generated/raw/parcel.rs",
                "spec/openapi-3.1.json",
                "spec/openapi.json",
                "spec/smtp2go.postman_collection.json",
            ],
        ),
    ] {
        let edited = fixture::TEXT.replacen(sentence, "Another sentence", 1);
        let edited = xtask::load::parse(xtask::SPEC, &edited).unwrap();
        let edited = xtask::from_spec(&edited).unwrap();
        let before = fixture::files();
        assert!(before.keys().eq(edited.keys()));
        let differing: Vec<_> = before
            .iter()
            .filter(|(path, text)| edited[*path] != **text)
            .map(|(path, _)| path.as_str())
            .collect();
        assert_eq!(differing, files, "{sentence}");
    }
}

#[test]
fn json_spec_lists_known_values_in_field_descriptions() {
    let files = fixture::files();
    let mut twin: serde_json::Value = serde_json::from_str(&files["spec/openapi.json"]).unwrap();
    twin.as_object_mut().unwrap().remove("x-generated");
    let spec = fixture::spec().document;
    for (field, values) in [
        (
            "ParcelSendRequest/properties/type",
            "`box`, `crossed-out`, `2nd_class`, `unknown`, `self`",
        ),
        (
            "ParcelSearchRequest/properties/states",
            "`\"\"`, `moving`, `delivered`",
        ),
        ("ParcelSearchRequest/properties/sizes", "`s`, `xl`"),
        (
            "ParcelMoveRequest/properties/state",
            "`\"\"`, `moving`, `delivered`",
        ),
        ("Depot/properties/sizes", "`s`, `xl`"),
        ("DepotPatchRequest/properties/largest", "`s`, `xl`"),
    ] {
        let at = format!("/components/schemas/{field}/description");
        let text = spec.pointer(&at).unwrap();
        let with_values = format!("{} Known values: {values}.", text.as_str().unwrap());
        assert_eq!(*twin.pointer(&at).unwrap(), with_values, "{field}");
        *twin.pointer_mut(&at).unwrap() = text.clone();
    }
    assert_eq!(twin, spec);
}

#[test]
fn surface_of_the_fixture_is_unchanged() {
    let mut text = String::new();
    for (path, code) in &fixture::files() {
        if path.ends_with(".rs") && !path.starts_with("tests/") {
            let surface = xtask::surface::surface(code).unwrap();
            if !surface.is_empty() {
                text.push_str(&format!("{path}\n\n{surface}\n"));
            }
        }
    }
    insta::assert_snapshot!("surface", text);
}

#[test]
fn surface_of_text_that_is_not_rust_is_an_error() {
    assert!(xtask::surface::surface("struct {").is_err());
}

/// A second run, beginning with the text.
#[test]
fn second_generation_gives_the_same_files() {
    assert!(fixture::files() == fixture::files());
}
