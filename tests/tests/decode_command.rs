//! The program of `cargo xtask decode`.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

fn start(arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_decode"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Writes on another thread, so that full pipes can't block each other.
fn feed(mut stdin: ChildStdin, input: Vec<u8>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        // A program may end without reading, which closes the pipe.
        let _ = stdin.write_all(&input);
    })
}

fn decode(arguments: &[&str], input: impl Into<Vec<u8>>) -> Output {
    let mut child = start(arguments);
    let writer = feed(child.stdin.take().unwrap(), input.into());
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
fn reply_is_read_from_standard_input() {
    let reply = r#"{"request_id":"r","data":{"email_id":"1a","failed":"0","foo":1}}"#;
    let (code, out, err) = parts(&decode(&["POST", "/email/send"], reply));
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"request_id": "r", "data": {"email_id": "1a", "failed": 0, "foo": 1}})
    );
    assert_eq!(err, "unknown: data.foo\n");
}

#[test]
fn requests_webhooks_and_files_are_decoded() {
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
fn undecodable_input_is_an_error_with_its_exit_code() {
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
fn each_json_line_gets_an_answer() {
    let line = r#"{"method":"POST","path":"/email/send","body":{"data":{"email_id":"1a"}}}"#;
    let (code, out, _) = parts(&decode(&["--lines"], format!("{line}\n").repeat(5_000)));
    assert_eq!(code, Some(0));
    assert_eq!(out.lines().count(), 5_000);

    let mixed = format!("{line}\nnonsense\n{{\"method\":\"POST\",\"path\":\"/x\",\"body\":1}}\n");
    let (code, out, err) = parts(&decode(&["--lines", "-"], mixed));
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

fn answers(output: &Output) -> Vec<serde_json::Value> {
    let (_, out, err) = parts(output);
    assert_eq!(err, "");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn line_that_is_not_utf8_is_an_error_of_that_line() {
    let line = br#"{"method":"POST","path":"/email/send","body":{"data":{"email_id":"1a"}}}"#;
    let mut bad = line.to_vec();
    bad[60] = 0xFF;
    // The last line has no line break.
    let input = [&line[..], &bad, b"\xff", b"", b" ", line].join(&b"\r\n"[..]);
    let output = decode(&["--lines"], input);
    assert_eq!(output.status.code(), Some(1));
    let answers = answers(&output);
    let ok: Vec<_> = answers.iter().map(|answer| &answer["ok"]).collect();
    assert_eq!(ok, [true, false, false, true]);
    assert!(answers[1]["error"].as_str().unwrap().contains("UTF-8"));
}

#[test]
fn each_line_is_answered_before_the_next_is_read() {
    let mut child = start(&["--lines"]);
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    let (sender, answers) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines() {
            sender.send(line.unwrap()).unwrap();
        }
    });
    let line = |id: u32| {
        format!(
            r#"{{"method":"POST","path":"/email/send","body":{{"data":{{"email_id":"{id}"}}}}}}"#
        )
    };
    let mut rest = String::new();
    for id in 0..20 {
        // Every second write includes the beginning of the next line.
        let mut text = format!("{rest}{}\n", line(id));
        if !rest.is_empty() {
            text = format!("{rest}\n");
        }
        rest = String::new();
        if id % 2 == 0 {
            let next = line(id + 1);
            let (start, end) = next.split_at(9);
            text.push_str(start);
            rest = end.to_owned();
        }
        stdin.write_all(text.as_bytes()).unwrap();
        let answer = answers.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(
            answer.contains(&format!(r#""email_id":"{id}""#)),
            "{answer}"
        );
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    reader.join().unwrap();
}

#[test]
fn closed_output_is_not_an_error() {
    let line = r#"{"method":"POST","path":"/email/send","body":{"data":{"email_id":"1a"}}}"#;
    let results = vec![r#"{"username":"someone","new":1}"#; 20_000].join(",");
    for (arguments, input, says) in [
        (&["--lines"][..], format!("{line}\n").repeat(20_000), ""),
        (
            &["POST", "/users/smtp/view"],
            format!(r#"{{"data":{{"results":[{results}]}}}}"#),
            "unknown: data.results[].new\n",
        ),
    ] {
        let mut child = start(arguments);
        let writer = feed(child.stdin.take().unwrap(), input.into_bytes());
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert!(first.starts_with('{'), "{first}");
        let mut err = String::new();
        let mut stderr = child.stderr.take().unwrap();
        stderr.read_to_string(&mut err).unwrap();
        assert_eq!(err, says);
        assert_eq!(child.wait().unwrap().code(), Some(0));
        writer.join().unwrap();
    }
}

#[test]
fn forms_are_decoded() {
    let (code, out, err) = parts(&decode(
        &["--webhook"],
        " event=bounce&Subject=a+b&X-Y=%31\n",
    ));
    assert_eq!((code, err.as_str()), (Some(0), "unknown: X-Y\n"));
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"event": "bounce", "subject": "a b", "X-Y": "1"})
    );

    let lines = concat!(
        r#"{"body":"event=bounce&Subject=a+b"}"#,
        "\n",
        r#"{"body":{"event":"bounce","subject":"a b"}}"#,
        "\n",
        r#"{"body":"{\"event\":\"bounce\",\"subject\":\"a b\"}"}"#,
        "\n",
        r#"{"body":"nonsense"}"#,
    );
    let answers = answers(&decode(&["--webhook", "--lines"], lines));
    for answer in &answers[..3] {
        assert_eq!(
            answer["value"],
            serde_json::json!({"event": "bounce", "subject": "a b"})
        );
    }
    assert_eq!((answers.len(), &answers[3]["ok"]), (4, &false.into()));
}
