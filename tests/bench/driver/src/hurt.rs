//! Cost of adversarial inputs in the sandbox.

use std::path::Path;
use std::process::Command;

use crate::run::{Result, run};

/// Heading of the section, which is the last one of the document.
const TITLE: &str = "\n# What hurts the sandbox\n";

/// Runs the sandbox's own example, which prints the table, and returns the section.
pub fn measure(folder: &Path) -> Result<String> {
    let mut command = Command::new("cargo");
    command
        .current_dir(folder.join("../.."))
        .args(["run", "--quiet", "--release", "--locked"])
        .args(["--package", "smtp2go-sandbox", "--example", "hurt"]);
    let (table, _, _) = run(&mut command)?;
    Ok(format!(
        "{TITLE}\n\
         Time for the requests of inputs of 0.5 MB and 1 MB that are made to take long, in a release build,\n\
         the best of three. Growth is about 2 where code is linear, and 4 where it is quadratic; below some\n\
         milliseconds it says nothing. Written by `cargo xtask bench`, or `cargo xtask bench hurt` alone.\n\n\
         {table}"
    ))
}

/// Returns the document with the section replaced.
pub fn replace(document: &str, section: &str) -> String {
    let before = document.split(TITLE).next().unwrap_or_default();
    format!("{before}{section}")
}
