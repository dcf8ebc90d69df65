//! The README's first command, and its failures.

#![allow(clippy::unwrap_used)] // helpers of tests

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use smtp2go_sandbox::Sandbox;

/// Path of the example, which cargo builds next to the tests of its package.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(|deps| deps.parent()).unwrap();
    let program = folder
        .join("examples/quickstart")
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        program.exists(),
        "{} is missing: run `cargo test` without `--test`, which builds the examples",
        program.display()
    );
    program
}

fn quickstart(environment: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(program())
        .args(arguments)
        .env_remove("SMTP2GO_API_KEY")
        .env_remove("SMTP2GO_REGION")
        .env_remove("SMTP2GO_BASE_URL")
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

fn one_line_and_failure(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.trim_end().lines().count(), 1, "{text}");
    text
}

#[test]
fn without_key_mail_goes_to_the_sandbox() {
    // An empty key counts as not set.
    let output = quickstart(&[("SMTP2GO_API_KEY", "")], &[]);
    assert!(output.status.success(), "{output:?}");

    let output = quickstart(&[], &[]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    for part in [
        "calling a local SMTP2GO at http://127.0.0.1:",
        "sent: email_id ",
        "subject  Your report",
        "attached report.csv (25 bytes)",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

#[test]
fn keep_option_serves_a_page_with_the_mail() {
    let mut child = Command::new(program())
        .arg("--keep")
        .env_remove("SMTP2GO_API_KEY")
        .env_remove("SMTP2GO_REGION")
        .env_remove("SMTP2GO_BASE_URL")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let page = lines.find_map(|line| {
        let line = line.unwrap();
        let (_, rest) = line.split_once("see it at http://")?;
        Some(rest.split(' ').next()?.to_owned())
    });
    let page = page.map(|address| {
        let address = address.trim_end_matches('/');
        let mut stream = TcpStream::connect(address).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    });
    child.kill().unwrap();
    child.wait().unwrap();
    let page = page.unwrap();
    assert!(page.contains("Your report"), "{page}");
}

#[test]
fn with_key_mail_goes_to_the_api() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let environment = [
        ("SMTP2GO_API_KEY", sandbox.key()),
        ("SMTP2GO_BASE_URL", sandbox.base_url()),
    ];
    let output = quickstart(&environment, &["a@example.com", "b@example.net"]);
    assert!(output.status.success(), "{output:?}");
    let mails = sandbox.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0].to(), ["b@example.net"]);

    let text = one_line_and_failure(&quickstart(&environment, &[]));
    assert!(text.contains("SENDER"), "{text}");
}

#[test]
fn failure_is_one_line_and_exit_code_1() {
    let sandbox = Sandbox::builder()
        .sender_domains(["example.com"])
        .start_blocking()
        .unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = format!("http://{}/v3", free.local_addr().unwrap());
    drop(free);
    let other_key = "api-ffffffffffffffffffffffffffffffff";
    for (key, base, sender, says) in [
        (
            "nonsense",
            sandbox.base_url(),
            "a@example.com",
            "SMTP2GO_API_KEY",
        ),
        (other_key, sandbox.base_url(), "a@example.com", "401"),
        (
            sandbox.key(),
            sandbox.base_url(),
            "a@example.org",
            "verified",
        ),
        (
            sandbox.key(),
            &closed,
            "a@example.com",
            "connect to 127.0.0.1",
        ),
    ] {
        let environment = [("SMTP2GO_API_KEY", key), ("SMTP2GO_BASE_URL", base)];
        let text = one_line_and_failure(&quickstart(&environment, &[sender, "b@example.net"]));
        assert!(text.contains(says), "{says:?} is not in {text}");
        assert!(!text.contains(key), "the key is in {text}");
    }
}
