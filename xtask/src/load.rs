//! First stage: YAML text to a checked document.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::check;
use crate::problem::Problems;

/// A spec that passed all checks.
#[derive(Clone, Debug)]
pub struct Spec {
    /// The document, with its keys in the order of the file.
    pub document: Value,
    /// First 16 hexadecimal digits of the SHA-256 of the file.
    pub hash: String,
}

/// Reads and checks the spec at `path`.
///
/// # Errors
///
/// If the spec has problems. The error lists all of them, each with its JSON pointer and a remedy.
pub fn load(path: &Path) -> Result<Spec, Problems> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&name, &text),
        Err(error) => {
            let mut problems = Problems::new(name);
            problems.add("", format!("cannot be read: {error}"), "check the path");
            Err(problems)
        }
    }
}

/// Checks a spec's text. Messages call the file `name`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(name: &str, text: &str) -> Result<Spec, Problems> {
    let mut problems = Problems::new(name);
    let document = match yaml(text) {
        Ok(document) => document,
        Err(message) => {
            problems.add("", message, "fix the YAML syntax");
            return Err(problems);
        }
    };
    check::check(&document, &mut problems);
    // The checks above give better messages; this one covers the rest.
    if problems.list().is_empty()
        && let Err(error) = serde_json::from_value::<openapiv3::OpenAPI>(document.clone())
    {
        problems.add(
            "",
            format!("is not OpenAPI 3.0: {error}"),
            "compare with the OpenAPI 3.0.3 specification",
        );
    }
    let hash = Sha256::digest(text.as_bytes())
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    problems.or(Spec { document, hash })
}

/// Reads YAML, which includes JSON.
pub(crate) fn yaml(text: &str) -> Result<Value, String> {
    serde_saphyr::from_str(text).map_err(|error| format!("is not YAML: {}", brief(&error)))
}

/// Returns the parser's message, without the source excerpt and the parser's options.
pub(crate) fn brief(error: &serde_saphyr::Error) -> String {
    let message = error.to_string();
    let line = message.lines().next().unwrap_or_default();
    let line = line.split(", set ").next().unwrap_or(line);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
