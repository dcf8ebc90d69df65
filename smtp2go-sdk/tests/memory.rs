//! What memory a mail takes. Alone in its process, since it looks at the most that the process
//! ever had: the sandbox, which keeps what it was sent, has one of its own.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};

use log_watch::watched;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Attachment, Client, Email};

#[path = "support/log_watch.rs"]
mod log_watch;

const MIB: u64 = 1024 * 1024;

const KEY: &str = "api-0123456789abcdefABCDEF0123456789";

/// Whether this process is the sandbox's.
const SERVES: &str = "SMTP2GO_TEST_SERVES";

/// Tells where the sandbox is, and serves until the end of the input, and then tells how much was
/// received.
fn serve() {
    let body = serde_json::json!({"data": {"email_id": "1"}});
    let answer = Fault::status(200).json(&body);
    let sandbox = Sandbox::builder().fault(answer).start_blocking().unwrap();
    let mut out = std::io::stdout();
    writeln!(out, "\nurl {}", sandbox.base_url()).unwrap();
    out.flush().unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    for call in sandbox.calls() {
        writeln!(out, "\nbytes {}", call.body().len()).unwrap();
    }
}

/// Another process of this test, which serves.
fn sandbox() -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "a_large_file_takes_no_more_memory_than_a_small_one",
        ])
        .arg("--nocapture")
        .env(SERVES, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_large_file_takes_no_more_memory_than_a_small_one() {
    if std::env::var_os(SERVES).is_some() {
        return serve();
    }
    let mut sandbox = sandbox();
    let mut says = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let mut told = |what: &str| {
        says.by_ref()
            .find_map(|line| Some(line.unwrap().strip_prefix(what)?.to_owned()))
            .unwrap()
    };
    let client = Client::builder(watched(KEY))
        .base_url(told("url "))
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data.bin");
    let mut peaks = Vec::new();
    for size in [MIB, 36 * MIB] {
        File::create(&path).unwrap().set_len(size).unwrap();
        let before = peak();
        let mail = Email::new("a@example.com", "x")
            .to("b@example.net")
            .text("x")
            .attach(Attachment::from_path(&path));
        client.send(mail).await.unwrap();
        peaks.push(peak());
        println!(
            "{size} bytes: peak {before} KiB before, {} KiB after",
            peak()
        );
    }
    drop(sandbox.stdin.take());
    for size in [MIB, 36 * MIB] {
        // As base64, and all that is around it.
        let bytes: u64 = told("bytes ").parse().unwrap();
        assert!(bytes > size.div_ceil(3) * 4, "{bytes}");
    }
    sandbox.wait().unwrap();
    let grown = peaks[1] - peaks[0];
    assert!(grown < 2048, "36 MiB took {grown} KiB more than 1 MiB");
}
