//! Rules for the sources that the compiler does not check: imports between layers, the single file
//! that judges replies, distinct names of private types, lists of features, examples, and the code on
//! documentation pages.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod examples;
mod features;
mod imports;
mod modules;
mod names;
mod pages;
mod sources;
mod verdict;

use std::path::PathBuf;

/// Reads a file of the repository.
fn read(path: &str) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the rows of the first Markdown table whose header row begins like this. Cells are
/// trimmed, without backticks.
fn markdown_table(text: &str, header: &str) -> Vec<Vec<String>> {
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    let rows = lines
        .skip_while(|line| !line.starts_with(header))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: Vec<Vec<String>> = rows
        .map(|row| {
            let cells = row.trim_matches('|').split('|');
            cells
                .map(|cell| cell.replace('`', "").trim().to_owned())
                .collect()
        })
        .collect();
    assert!(!rows.is_empty(), "no table with the header {header:?}");
    rows
}
