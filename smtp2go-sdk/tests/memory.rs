//! Memory that a mail takes. The test measures the peak of its process, so the sandbox, which keeps
//! every request, runs in another one.

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

/// Environment variable that is set in the process that runs the sandbox.
const SERVES: &str = "SMTP2GO_TEST_SERVES";

/// Runs the sandbox until its standard input ends. Prints its URL first, and the size of each request
/// last.
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

/// Starts this test as a process that runs the sandbox.
fn sandbox() -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "large_file_takes_no_more_memory_than_a_small_one",
        ])
        .arg("--nocapture")
        .env(SERVES, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Peak memory of this process in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn large_file_takes_no_more_memory_than_a_small_one() {
    if std::env::var_os(SERVES).is_some() {
        return serve();
    }
    let mut sandbox = sandbox();
    let mut lines = BufReader::new(sandbox.stdout.take().unwrap()).lines();
    let mut printed = |what: &str| {
        lines
            .by_ref()
            .find_map(|line| Some(line.unwrap().strip_prefix(what)?.to_owned()))
            .unwrap()
    };
    let client = Client::builder(watched(KEY))
        .base_url(printed("url "))
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
        // The base64, and the JSON around it.
        let bytes: u64 = printed("bytes ").parse().unwrap();
        assert!(bytes > size.div_ceil(3) * 4, "{bytes}");
    }
    sandbox.wait().unwrap();
    let grown = peaks[1] - peaks[0];
    assert!(grown < 2048, "36 MiB took {grown} KiB more than 1 MiB");
}
