//! The examples that read an account, against the local SMTP2GO that they start themselves.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests

use std::process::Command;

/// What an example prints without a key. Cargo builds the examples beside the tests.
fn printed(example: &str) -> String {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = folder
        .join("examples")
        .join(example)
        .with_extension(std::env::consts::EXE_EXTENSION);
    let output = Command::new(&program)
        .env_remove("SMTP2GO_API_KEY")
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; `cargo test` without `--test` builds it",
                program.display()
            )
        });
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn activity_is_read_page_by_page() {
    let text = printed("activity_stream");
    let parts = ["http://127.0.0.1:", "  processed     ", "\n6 events\n"];
    assert_says(&text, &parts);
}

#[test]
fn subaccounts_are_looked_into() {
    let text = printed("subaccount");
    let parts = [
        "Example North (4c1f0e7a9b)",
        "/stats/email_cycle: the client is for a subaccount",
        "(NotSent)",
        r#"/domain/view {"subaccount_id":"4c1f0e7a9b"}"#,
    ];
    assert_says(&text, &parts);
    assert_eq!(text.matches("received:").count(), 2, "{text}");
}
