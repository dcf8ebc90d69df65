//! Every example runs offline to its end, and prints the output on its page in `docs/`.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;

/// An example that is a server; `shop.rs` beside this file runs it.
const SERVER: &str = "shop";

fn names() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Returns the path of an example's program, which cargo builds next to the tests of its package.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let mut path = folder.join("examples").join(name);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "{name} is not built: run `cargo test` without `--test`"
    );
    path
}

/// Returns the output of an example on its page in `docs/`.
fn expected(name: &str) -> String {
    let page = name.replace('_', "-");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../docs/{page}.md"));
    let page = std::fs::read_to_string(&path).unwrap();
    let command = format!("```console\n$ cargo run -p smtp2go-outbox --example {name}\n");
    let (_, rest) = page.split_once(&command).unwrap();
    let (output, _) = rest.split_once("```").unwrap();
    output.to_owned()
}

#[test]
fn examples_run_offline_and_print_what_their_pages_show() {
    let names = names();
    assert!(names.contains(SERVER));
    for name in names.iter().filter(|name| *name != SERVER) {
        let output = Command::new(program(name))
            .env(log_watch::ASKED, "EXAMPLE-")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {text}{errors}");
        if text.starts_with("skipped: PostgreSQL is not installed") {
            println!("{name}: {text}");
            continue;
        }
        // Its log is watched: a leaked secret ends the program.
        assert!(
            errors.contains("heard smtp2go_outbox\n"),
            "{name}: {errors}"
        );
        assert_eq!(text, expected(name), "{name}");
    }
}
