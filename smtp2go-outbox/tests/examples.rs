//! Every example runs offline, to its end.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;

/// What each example prints. `shop` is a server, which `shop.rs` beside this file runs.
const PRINTS: &[(&str, &[&str])] = &[
    (
        "mail_after_commit",
        &[
            "order 1: Some(Queued)\norder 1 again: Some(Known)\norder 2: None\n\
             order 3: 1 row\norder 3 again: 0 rows\n",
            "received: Your order 1\nthe local SMTP2GO received: Your order 3\n",
        ],
    ),
    (
        "newsletter",
        &[
            "killed\nstopped: exit status: 0\nended: exit status: 0\n60 recipients, at most 1 mail each\n",
        ],
    ),
    (
        "login_codes",
        &[
            "jane: Queued\njane's browser repeats the request: Known\n\
             kim's first code, cancelled: Done\n",
            "sent to jane@example.net: Your code is 271828. It is valid for 10 minutes.\n\
             sent to kim@example.net: Your code is 161803. It is valid for 10 minutes.\n\
             sent to reader0@example.net: What is new.\n",
            "\nlee: cancelled, Some(\"expired\")\n",
        ],
    ),
    (
        "bounces",
        &[
            "order-42/bounce: bounced\norder-42/jane: delivered\n",
            "jane@example.net: we have sent you a mail",
            "bounce@example.net: mail to this address came back",
        ],
    ),
    (
        "many_machines",
        &[
            "sent: 40\n",
            "ok: true\nmails sent: 40\nmachines that sent: 2\nthe local SMTP2GO received: 40\n",
        ],
    ),
];

fn names() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Where cargo puts the examples: beside the tests of their package.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let mut path = folder.join("examples").join(name);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        path.exists(),
        "cargo has not built {name}: `cargo test` without `--test` does"
    );
    path
}

#[test]
fn all_examples_run_offline() {
    let tested = PRINTS.iter().map(|(name, _)| (*name).to_owned());
    let tested: BTreeSet<_> = tested.chain(["shop".to_owned()]).collect();
    assert_eq!(tested, names());
    for (name, parts) in PRINTS {
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
        // What it logs is watched: a leak would have ended it.
        assert!(
            errors.contains("heard smtp2go_outbox\n"),
            "{name}: {errors}"
        );
        for part in *parts {
            assert!(text.contains(part), "{name}: {part:?} is not in {text}");
        }
    }
}
