//! The program behind `cargo xtask decode`.

// A test that fails, fails by a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::process::{Command, Output, Stdio};

fn decode(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_decode"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Beside the reading: neither pipe may be full while the other waits.
    let writer = std::thread::spawn(move || {
        // A program that ends without reading closes the pipe, which is its right.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn parts(output: &Output) -> (Option<i32>, String, String) {
    (
        output.status.code(),
        String::from_utf8(output.stdout.clone()).unwrap(),
        String::from_utf8(output.stderr.clone()).unwrap(),
    )
}

#[test]
fn a_reply_from_standard_input() {
    let reply = r#"{"request_id":"r","data":{"email_id":"1a","failed":"0","foo":1}}"#;
    let (code, out, err) = parts(&decode(&["POST", "/email/send"], reply));
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"request_id": "r", "data": {"email_id": "1a", "failed": 0}})
    );
    assert_eq!(err, "unknown: data.foo\n");
}

#[test]
fn requests_webhooks_and_files() {
    let request = r#"{"id":"welcome"}"#;
    let (code, out, _) = parts(&decode(
        &["--request", "post", "/v3/template/view", "-"],
        request,
    ));
    assert_eq!(code, Some(0));
    assert!(out.contains("\"welcome\""));

    let (code, out, _) = parts(&decode(
        &["--webhook"],
        r#"{"event":"sms_failed","retry_count":"3"}"#,
    ));
    assert_eq!(code, Some(0));
    assert!(out.contains("\"retry_count\": 3"), "{out}");

    let mut file = std::env::temp_dir();
    file.push(format!("decode-command-{}.json", std::process::id()));
    std::fs::write(&file, r#"{"data":["/email/send"]}"#).unwrap();
    let name = file.to_str().unwrap();
    let (code, out, _) = parts(&decode(&["POST", "/api_keys/permissions", name], ""));
    std::fs::remove_file(&file).unwrap();
    assert_eq!(code, Some(0));
    assert!(out.contains("/email/send"));
}

#[test]
fn what_cannot_be_decoded() {
    for (arguments, input, code, says) in [
        (
            &["POST", "/email/send"][..],
            "{\"data\":",
            1,
            "does not decode",
        ),
        (&["--request", "POST", "/email/send"], "{}", 1, "sender"),
        (
            &["POST", "/email/none"],
            "{}",
            2,
            "no operation POST /email/none",
        ),
        (
            &["POST", "/email/send", "/no/such/file"],
            "",
            1,
            "/no/such/file",
        ),
        (&["POST"], "", 2, "--help"),
    ] {
        let (found, out, err) = parts(&decode(arguments, input));
        assert_eq!(found, Some(code), "{arguments:?}: {err}");
        assert_eq!(out, "");
        assert_eq!(err.lines().count(), 1, "{err}");
        assert!(err.contains(says), "{says:?} is not in {err}");
    }
}

#[test]
fn json_lines() {
    let line = r#"{"method":"POST","path":"/email/send","body":{"data":{"email_id":"1a"}}}"#;
    let (code, out, _) = parts(&decode(&["--lines"], &format!("{line}\n").repeat(5_000)));
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().count(), 5_000);

    let mixed = format!("{line}\nnonsense\n{{\"method\":\"POST\",\"path\":\"/x\",\"body\":1}}\n");
    let (code, out, err) = parts(&decode(&["--lines", "-"], &mixed));
    assert_eq!((code, err.as_str()), (Some(1), ""));
    let answers: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ok: Vec<_> = answers
        .iter()
        .map(|answer| answer["ok"].as_bool().unwrap())
        .collect();
    assert_eq!(ok, [true, false, false]);
    assert_eq!(answers[0]["unknown"], serde_json::json!([]));
    assert!(answers[2]["error"].as_str().unwrap().contains("POST /x"));
}
