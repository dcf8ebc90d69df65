//! Tests of the last stage: comparing with the disk, and writing.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use xtask::refine::Files;
use xtask::write::{self, Drift};

use crate::fixture;

/// A file that is generated from the fixture.
const ONE: &str = "smtp2go-types/src/generated/parcel.rs";
const OTHER: &str = "tests/src/generated/mod.rs";

/// Fails if a generated file was edited, or `cargo xtask regen` forgotten.
#[test]
fn repository_has_the_generated_files_of_its_spec() {
    let root = fixture::repository();
    let files = xtask::files(&root).unwrap_or_else(|error| panic!("{error}"));
    let drift = write::compare(&root, &files).unwrap();
    assert!(
        drift.is_empty(),
        "run `cargo xtask regen`:\n{}",
        lines(&drift).join("\n")
    );
}

fn lines(drift: &[Drift]) -> Vec<String> {
    drift.iter().map(ToString::to_string).collect()
}

/// Returns a folder with all files generated from the fixture.
fn written() -> (TempDir, Files) {
    let folder = tempfile::tempdir().unwrap();
    let files = fixture::files();
    write::write(folder.path(), &files).unwrap();
    (folder, files)
}

/// Returns every file below `root` with its content.
fn contents(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), fs::read(path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn missing_files_are_written_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let files = fixture::files();
    let missing: Vec<_> = files.keys().cloned().map(Drift::Missing).collect();
    assert_eq!(write::compare(folder.path(), &files).unwrap(), missing);
    assert!(
        contents(folder.path()).is_empty(),
        "comparing writes nothing"
    );

    assert_eq!(write::write(folder.path(), &files).unwrap(), missing);
    assert_eq!(write::compare(folder.path(), &files).unwrap(), []);
    let wanted: Vec<_> = files
        .iter()
        .map(|(path, text)| (folder.path().join(path), text.clone().into_bytes()))
        .collect();
    let mut found = contents(folder.path());
    found.sort_by(|a, b| a.0.as_os_str().cmp(b.0.as_os_str()));
    assert_eq!(found, wanted, "other files are left");
}

#[test]
fn second_write_changes_nothing() {
    let (folder, files) = written();
    let time = || {
        fs::metadata(folder.path().join(ONE))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = time();
    assert_eq!(write::write(folder.path(), &files).unwrap(), []);
    assert_eq!(time(), before);
}

#[test]
fn stale_missing_and_orphaned_files_are_reported_and_fixed() {
    let (folder, files) = written();
    let root = folder.path();
    fs::write(root.join(ONE), "// edited\n").unwrap();
    fs::remove_file(root.join(OTHER)).unwrap();
    let orphan = "smtp2go-sdk/src/generated/raw/letter.rs";
    fs::write(root.join(orphan), "").unwrap();
    fs::create_dir_all(root.join("tests/src/generated/old")).unwrap();
    fs::write(root.join("tests/src/generated/old/file.json"), "").unwrap();
    // Hand-written files lie beside the generated folders.
    fs::write(root.join("smtp2go-types/src/lib.rs"), "// by hand\n").unwrap();

    let drift = write::compare(root, &files).unwrap();
    assert_eq!(
        lines(&drift),
        [
            format!("stale: {ONE}"),
            format!("missing: {OTHER}"),
            format!("orphaned: {orphan}"),
            "orphaned: tests/src/generated/old/file.json".to_owned(),
        ]
    );
    assert_eq!(write::write(root, &files).unwrap(), drift);
    assert_eq!(write::compare(root, &files).unwrap(), []);
    assert!(!root.join(orphan).exists());
    assert_eq!(
        fs::read_to_string(root.join("smtp2go-types/src/lib.rs")).unwrap(),
        "// by hand\n"
    );
}

/// Carriage returns, as in a checkout on Windows, are a difference too.
#[test]
fn file_that_differs_in_one_byte_is_stale() {
    let (folder, files) = written();
    let text = files[ONE].replace('\n', "\r\n");
    fs::write(folder.path().join(ONE), text).unwrap();
    let drift = write::compare(folder.path(), &files).unwrap();
    assert_eq!(drift, [Drift::Stale(ONE.to_owned())]);
}

/// A file in place of a folder, or the reverse: the error names it, and existing files are
/// unchanged.
#[test]
fn failed_write_changes_nothing() {
    for block in [
        in_place_of_a_file as fn(&Path) -> PathBuf,
        in_place_of_a_folder,
    ] {
        let (folder, mut files) = written();
        let root = folder.path();
        for text in files.values_mut() {
            text.push_str("// more\n");
        }
        let blocked = block(root);
        let before = contents(root);

        let error = write::write(root, &files).unwrap_err().to_string();
        assert!(error.contains(&*blocked.to_string_lossy()), "{error}");
        assert!(contents(root) == before, "{error}");
    }
}

fn in_place_of_a_file(root: &Path) -> PathBuf {
    let path = root.join(OTHER);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    path
}

fn in_place_of_a_folder(root: &Path) -> PathBuf {
    let path = root.join("tests/src");
    fs::remove_dir_all(&path).unwrap();
    fs::write(&path, "a file").unwrap();
    path
}

/// The page with the table of endpoints.
const PAGE: &str = "docs/endpoints.md";

/// A new path with its components in the real spec, and all files generated from it.
#[test]
fn new_endpoint_in_the_real_spec_is_generated_everywhere() {
    let repository = fixture::repository();
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("spec")).unwrap();
    fs::create_dir(root.join("docs")).unwrap();
    fs::copy(repository.join(PAGE), root.join(PAGE)).unwrap();
    let spec = fs::read_to_string(repository.join(xtask::SPEC)).unwrap();
    fs::write(root.join(xtask::SPEC), &spec).unwrap();
    let before = xtask::files(root).unwrap();

    let spec = spec.replacen("\npaths:\n", &format!("\npaths:\n{PATH}"), 1);
    let spec = spec.replacen("\n  schemas:\n", &format!("\n  schemas:\n{COMPONENTS}"), 1);
    fs::write(root.join(xtask::SPEC), spec).unwrap();
    let after = xtask::files(root).unwrap();

    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        after.keys().collect::<Vec<_>>(),
        "a new operation of a known group needs no new file"
    );
    for (path, added) in [
        (
            PAGE,
            "| `email().praise` | `POST /email/praise` | Praise an email |",
        ),
        (
            "smtp2go-types/src/generated/email.rs",
            "pub fn new(email_id: impl Into<String>) -> Self",
        ),
        (
            "smtp2go-types/src/generated/email.rs",
            "pub struct EmailPraiseResponse",
        ),
        (
            "smtp2go-sdk/src/generated/groups/email.rs",
            "pub async fn praise(",
        ),
        ("smtp2go-sdk/src/generated/operations.rs", "&EMAIL_PRAISE,"),
        (
            "smtp2go-sdk/src/generated/raw/email.rs",
            "pub async fn email_praise<'a>(",
        ),
        (
            "smtp2go-sdk/src/generated/raw_types.rs",
            "validate_json::<types::EmailPraiseRequest>",
        ),
        (
            "tests/src/generated/mod.rs",
            "email_praise \"POST\" \"/email/praise\" email praise",
        ),
        (
            "smtp2go-sandbox/src/generated/api.json",
            "\"id\": \"email_praise\"",
        ),
        ("spec/openapi.json", "\"/email/praise\": {"),
        ("spec/openapi-3.1.json", "\"/email/praise\": {"),
        (
            "spec/smtp2go.postman_collection.json",
            "{{baseUrl}}/email/praise",
        ),
    ] {
        assert!(!before[path].contains(added), "{path}: {added}");
        assert!(after[path].contains(added), "{path}: {added}");
    }
}

const PATH: &str = "  /email/praise:
    post:
      operationId: email_praise
      tags: [email]
      summary: Praise an email
      description: Made up.
      x-smtp2go-kind: write
      x-smtp2go-repeat-safe: true
      x-smtp2go-max-body-bytes: 1048576
      requestBody:
        required: true
        content:
          application/json:
            schema:
              $ref: '#/components/schemas/EmailPraiseRequest'
            example:
              email_id: 1vK3pQ-7RtZxA-2M
      responses:
        '200':
          description: Praised.
          content:
            application/json:
              schema:
                $ref: '#/components/schemas/EmailPraiseResponse'
              example:
                praised: true
";

const COMPONENTS: &str = "    EmailPraiseRequest:
      type: object
      description: What to praise.
      additionalProperties: false
      required: [email_id]
      properties:
        email_id:
          type: string
          description: The email.
    EmailPraiseResponse:
      type: object
      description: What came of it.
      properties:
        praised:
          type: boolean
          description: True.
";

#[test]
fn page_without_its_markers_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("spec")).unwrap();
    fs::create_dir(root.join("docs")).unwrap();
    fs::write(root.join(xtask::SPEC), fixture::TEXT).unwrap();
    let begin = "<!-- endpoints: written by `cargo xtask regen` -->";
    for (text, message) in [("# Parcels\n", begin), (begin, "<!-- /endpoints -->")] {
        fs::write(root.join(PAGE), text).unwrap();
        let error = xtask::files(root).unwrap_err().to_string();
        assert!(error.contains(PAGE) && error.contains(message), "{error}");
    }
    fs::remove_file(root.join(PAGE)).unwrap();
    let error = xtask::files(root).unwrap_err().to_string();
    assert!(error.contains(PAGE), "{error}");

    let text = format!("# Parcels\n\n{begin}\nold\n<!-- /endpoints -->\n\nThe end.\n");
    fs::write(root.join(PAGE), text).unwrap();
    insta::assert_snapshot!("endpoints", xtask::files(root).unwrap()[PAGE]);
}

/// The error has all problems and the file's name.
#[test]
fn broken_spec_generates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("spec")).unwrap();
    let text = fixture::TEXT.replace("x-smtp2go-kind: read", "x-smtp2go-kind: look");
    fs::write(root.join(xtask::SPEC), text).unwrap();
    let Err(xtask::Error::Spec(problems)) = xtask::files(root) else {
        panic!("the spec is broken");
    };
    assert_eq!(problems.list().len(), 4);
    let text = problems.to_string();
    assert_eq!(text.lines().count(), 4);
    assert!(
        text.lines()
            .all(|line| line.contains("openapi.yaml#/paths/")),
        "{text}"
    );
}
