//! The licences of the libraries that the sandbox's program links, for its packages.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::caniemail;
use crate::document::list;
use crate::spec::tools::{at, read, stdout};

/// The platform of the packages.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

/// Licence of the static C library on Debian, where the packages are built.
const GLIBC: &str = "/usr/share/doc/libc6-dev/copyright";

/// A linked library and its licence.
struct Library {
    /// The name and the version.
    name: String,
    /// The SPDX expression of the licence.
    expression: String,
    /// Where a reader finds the library.
    source: String,
    /// The licence texts in its package.
    texts: Vec<String>,
}

/// Returns a text file with the licences of the libraries that a package's program links: the crates, Rust's standard
/// library, the C library and the data built into the program. The text depends only on Cargo.lock, the toolchain, the
/// C library and that data.
///
/// # Errors
///
/// Fails if cargo does not have the crates, or if a licence can't be read.
pub(crate) fn third_party(root: &Path, package: &str) -> Result<String, String> {
    let mut libraries = crates(root, package)?;
    libraries.push(standard_library(root)?);
    libraries.push(Library {
        name: "GNU C Library".to_owned(),
        expression: "LGPL-2.1-or-later".to_owned(),
        source: "https://www.gnu.org/software/libc/".to_owned(),
        texts: vec![read(Path::new(GLIBC))?],
    });
    libraries.push(Library {
        name: "Data of Can I email".to_owned(),
        expression: "MIT".to_owned(),
        source: "https://www.caniemail.com".to_owned(),
        texts: vec![read(&root.join(caniemail::FOLDER).join("LICENSE"))?],
    });
    Ok(page(package, &libraries))
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    stdout(Command::new(cargo).args(arguments).current_dir(root))
}

/// Returns the crates of other authors that a package links, sorted. Procedural macros and build scripts
/// are not linked.
fn crates(root: &Path, package: &str) -> Result<Vec<Library>, String> {
    let tree = cargo(
        root,
        &[
            "tree",
            "--locked",
            "--package",
            package,
            "--edges",
            "normal,no-proc-macro",
            "--target",
            PLATFORM,
            "--prefix",
            "none",
            "--format",
            "{p}",
        ],
    )?;
    // A line is `name v1.2.3`, perhaps followed by a path or `(*)`.
    let linked: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.next()?.strip_prefix('v')?))
        })
        .collect();
    let metadata = cargo(
        root,
        &[
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            PLATFORM,
        ],
    )?;
    let metadata: Value =
        serde_json::from_str(&metadata).map_err(|error| format!("cargo metadata: {error}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut crates = Vec::new();
    for about in list(&metadata["packages"]) {
        let (name, version) = (text(&about["name"]), text(&about["version"]));
        let is_ours = about["source"].is_null();
        if is_ours || !linked.contains(&(name.as_str(), version.as_str())) {
            continue;
        }
        let manifest = PathBuf::from(text(&about["manifest_path"]));
        let folder = manifest.parent().unwrap_or(Path::new(""));
        let mut texts = texts(folder)?;
        if let Some(file) = about["license_file"].as_str() {
            texts.push(read(&folder.join(file))?);
        }
        let expression = text(&about["license"]);
        if expression.is_empty() && texts.is_empty() {
            return Err(format!("the crate {name} {version} has no licence"));
        }
        let authors: Vec<_> = list(&about["authors"]).iter().map(text).collect();
        let source = [authors.join(", "), text(&about["repository"])].join(" ");
        crates.push(Library {
            name: format!("{name} {version}"),
            expression,
            source: source.trim().to_owned(),
            texts,
        });
    }
    crates.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(crates)
}

fn standard_library(root: &Path) -> Result<Library, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    let sysroot = stdout(command.args(["--print", "sysroot"]).current_dir(root))?;
    let folder = Path::new(sysroot.trim()).join("share/doc/rust/licenses");
    let texts = ["Apache-2.0.txt", "MIT.txt"].map(|name| read(&folder.join(name)));
    Ok(Library {
        name: "Rust standard library".to_owned(),
        expression: "MIT OR Apache-2.0".to_owned(),
        source: "The Rust Project Contributors https://github.com/rust-lang/rust".to_owned(),
        texts: texts.into_iter().collect::<Result<_, _>>()?,
    })
}

/// Returns the licence texts in a package's folder, in the order of their names.
fn texts(folder: &Path) -> Result<Vec<String>, String> {
    const STARTS: [&str; 6] = [
        "licen",
        "unlicen",
        "copying",
        "copyright",
        "notice",
        "authors",
    ];
    let mut texts = Vec::new();
    for path in sorted(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        if !STARTS.iter().any(|start| name.starts_with(start)) || name.ends_with(".rs") {
            continue;
        }
        if path.is_dir() {
            for path in sorted(&path)? {
                texts.push(read(&path)?);
            }
        } else {
            texts.push(read(&path)?);
        }
    }
    Ok(texts)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| at(folder, &error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths
        .collect::<Result<_, _>>()
        .map_err(|error| at(folder, &error))?;
    paths.sort();
    Ok(paths)
}

/// Returns the text of the file. A licence text that several libraries share is written once.
fn page(package: &str, libraries: &[Library]) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut page = format!(
        "Libraries in the program {package}, each with its licence and the numbers of its licence texts below.\n\n"
    );
    for library in libraries {
        let mut numbers = Vec::new();
        for text in &library.texts {
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            let text = lines.join("\n").trim_matches('\n').to_owned();
            let known = texts.iter().position(|known| *known == text);
            let place = known.unwrap_or_else(|| {
                texts.push(text);
                texts.len() - 1
            });
            numbers.push(format!("[{}]", place + 1));
        }
        let numbers = match numbers.is_empty() {
            true => "no text in its package".to_owned(),
            false => numbers.join(" "),
        };
        let Library {
            name,
            expression,
            source,
            ..
        } = library;
        // Writing to a String does not fail.
        let _ = writeln!(page, "{name}\n    {expression}: {numbers}\n    {source}");
    }
    for (index, text) in texts.iter().enumerate() {
        let line = "-".repeat(80);
        let _ = write!(page, "\n{line}\n[{}]\n\n{text}\n", index + 1);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_several_libraries_is_written_once() {
        let library = |name: &str, texts: &[&str]| Library {
            name: name.to_owned(),
            expression: "MIT".to_owned(),
            source: "Jane".to_owned(),
            texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        };
        let page = page(
            "a",
            &[
                library("one 1.0.0", &["Same \r\ntext\n"]),
                library("two 2.0.0", &["Other", "\nSame\ntext"]),
                library("three 3.0.0", &[]),
            ],
        );
        assert!(
            page.contains("one 1.0.0\n    MIT: [1]\n    Jane\n"),
            "{page}"
        );
        assert!(page.contains("two 2.0.0\n    MIT: [2] [1]\n"), "{page}");
        assert!(page.contains("three 3.0.0\n    MIT: no text"), "{page}");
        assert_eq!(page.matches("Same\ntext").count(), 1, "{page}");
    }

    #[test]
    fn linked_crates_of_the_sandbox_have_their_licences() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let crates = crates(root, "smtp2go-sandbox").unwrap();
        let find = |name: &str| {
            let mut crates = crates.iter();
            crates.find(|library| library.name.split(' ').next() == Some(name))
        };
        let tokio = find("tokio").unwrap();
        assert_eq!(tokio.expression, "MIT");
        assert!(tokio.texts[0].contains("Permission is hereby granted"));
        assert!(find("mail-parser").unwrap().texts.len() >= 2);
        // Ours, a procedural macro, a dependency of tests, and a platform's.
        for name in ["smtp2go-types", "serde_derive", "insta", "windows-sys"] {
            assert!(find(name).is_none(), "{name}");
        }
    }
}
