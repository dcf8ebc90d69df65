//! Runs every example offline and checks its output.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "support/log_watch.rs"]
mod log_watch;

/// Prefix of the passwords and tokens in the examples, by which they are found in logs.
const PASSWORDS: &str = "EXAMPLE-";

/// Texts that the output of each example must contain.
const SAYS: &[(&str, &[&str])] = &[
    (
        "send",
        &["sent as ", "to[0]: ", "subject: ", "certainty: NotSent"],
    ),
    (
        "template",
        &["template welcome", r#""products":["chair","table"]"#],
    ),
    ("inline_image", &["inline   dot.svg (61 bytes)"]),
    (
        "attachment",
        &[
            "attached about.md (",
            "attached data.bin (1000 bytes)",
            "attached today.log (16 bytes)",
        ],
    ),
    (
        "batch",
        &["0: sent as ", "2: sent as ", "subject  Invoice 3"],
    ),
    ("schedule", &["scheduled as ", "cancelled", " +0000"]),
    (
        "webhook_queue",
        &[
            "posted 1: HTTP/1.1 200 OK\nposted 1: HTTP/1.1 200 OK\nposted 2: HTTP/1.1 200 OK",
            r#"worked on Some("2")"#,
        ],
    ),
    #[cfg(feature = "axum")]
    (
        "webhook_receiver",
        &[
            "sent to bounce@example.net",
            "\nprocessed  jane@example.net\n",
            "\ndelivered  jane@example.net\n",
            "\nopen       click@example.net   with ",
            "\nclick      click@example.net   https://example.com/orders/7\n",
            "\nbounce     bounce@example.net  for good: 5",
        ],
    ),
    ("mime", &["sent as ", "from     Acme"]),
    (
        "send_once",
        &[
            "order 41: sent as ",
            ", looked up: true\norder 42: sent as ",
            ", looked up: false\norder 43: ",
            "the request may have been processed\norder 43: sent: true\n",
            "Your order 41\nthe local SMTP2GO received: Your order 42\n\
             the local SMTP2GO received: Your order 43\n",
        ],
    ),
    (
        "bulk",
        &[
            "invoice 1: sent as ",
            "invoice 5: sent as ",
            "5 taken: 5 sent, 0 rejected, 0 not sent, 0 unknown; 0 not taken",
        ],
    ),
    #[cfg(feature = "lettre")]
    (
        "lettre",
        &[
            "sent as ",
            "envelope.to[1]: \"noreply@example.com\" would get nothing",
            "to       Jane <jane@example.net>",
        ],
    ),
    (
        "errors",
        &[
            "→ correct to[1]: ",
            "→ tell the operator",
            "→ ask the support about request aa253464",
            "→ give up, it was refused: [\"550 no such mailbox\"]",
            "failed Some(1), [\"550 no such mailbox\"]",
            "→ look it up before you send it again",
            "→ put it back into the queue for ",
            "NotSent after 0 attempts",
        ],
    ),
    (
        "own_http_client",
        &["sent as ", "Counts { good: 1, bad: 0 }"],
    ),
    ("activity_stream", &["  processed     ", "\n6 events\n"]),
    #[cfg(feature = "blocking")]
    ("blocking", &["sent as ", "from     Acme"]),
    (
        "suppression",
        &[
            "added: ",
            "kim@example.net is suppressed: Asked by phone",
            "removed: ",
            r#"/suppression/add {"email_address":"kim@example.net","#,
            r#"/suppression/view {"email_address":"kim@example.net""#,
            r#""reasons":["manual"]}"#,
        ],
    ),
    (
        "sms",
        &[
            " sent\n",
            r#"/sms/send {"destination":["+15555550123"],"#,
            "/sms/view-sent {}",
        ],
    ),
    (
        "webhook_setup",
        &[
            "added ",
            "edited ",
            "removed ",
            r#"/webhook/add {"url":"https://hooks.example.com/smtp2go","#,
            "/webhook/remove ",
        ],
    ),
    (
        "domains",
        // The tracking record of a new domain has an expected target only.
        &[
            "TYPE   NAME ",
            "  VERIFIED\n",
            "\nCNAME  ",
            "._domainkey.",
            "  track.smtp2go.net   no\n",
        ],
    ),
    (
        "subaccount",
        &[
            "example-north (example-north)",
            "/stats/email_cycle: the client is for a subaccount",
            "(NotSent)",
            r#"/domain/view {"subaccount_id":"example-north"}"#,
        ],
    ),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// The names of all examples.
fn names() -> BTreeSet<String> {
    let files = std::fs::read_dir(folder()).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Path of an example, which cargo builds next to the tests of its package.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    let mut path = folder.join("examples").join(name);
    path.set_extension(std::env::consts::EXE_EXTENSION);
    path
}

#[test]
fn all_examples_run_offline() {
    let names = names();
    for (name, _) in SAYS {
        assert!(names.contains(*name), "there is no example {name}");
    }
    for name in names {
        let program = program(&name);
        if !program.exists() {
            assert!(
                name.starts_with("webhook_") || SAYS.iter().all(|(says, _)| **says != name),
                "{name} is missing: run `cargo test` without `--test`, which builds the examples"
            );
            // The example needs a feature that is off.
            continue;
        }
        let output = Command::new(program)
            .env_remove("SMTP2GO_API_KEY")
            .env_remove("SMTP2GO_REGION")
            .env_remove("SMTP2GO_BASE_URL")
            .env(log_watch::ASKED, PASSWORDS)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {text}{errors}");
        // The example checked its own log: a secret in it would have ended the process.
        let heard = errors.lines().any(|line| line == "heard smtp2go_sdk");
        let calls = name != "webhook_queue";
        assert_eq!(heard, calls, "{name}: {errors}");
        for (_, parts) in SAYS.iter().filter(|(says, _)| **says == name) {
            for part in *parts {
                assert!(text.contains(part), "{name}: {part:?} is not in {text}");
            }
        }
    }
}
