//! The effects of faults on a client.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use support::{connect, post, read};

fn mail() -> Value {
    json!({
        "sender": "a@example.com",
        "to": ["b@example.net"],
        "subject": "Hi",
        "text_body": "Hello",
    })
}

/// Writes a request that sends a mail, and leaves the connection open.
fn write(stream: &mut TcpStream, sandbox: &Sandbox) {
    write_to(stream, sandbox, "/email/send", &mail());
}

fn write_to(stream: &mut TcpStream, sandbox: &Sandbox, path: &str, body: &Value) {
    let body = body.to_string();
    let length = body.len();
    let key = sandbox.key();
    let request = format!(
        "POST /v3{path} HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {key}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads until the connection ends. Returns the kind of an I/O error.
fn rest(stream: &mut TcpStream) -> Result<String, ErrorKind> {
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn fault_of_an_operation_applies_to_a_request_that_arrives_byte_by_byte() {
    let sandbox = Sandbox::builder()
        .fault(Fault::status(503).on("email_send").nth(2))
        .fault(Fault::close_before_reading().on("email_send").nth(3))
        .start_blocking()
        .unwrap();
    // Uses one connection, so that a request line follows a complete request.
    let mut stream = connect(&sandbox);
    let mut begin = || {
        for byte in b"POST /v3/email/send HTTP/1.1\r\n" {
            stream.write_all(&[*byte]).unwrap();
            std::thread::sleep(Duration::from_millis(1));
        }
        stream.try_clone().unwrap()
    };
    for status in [200, 503] {
        let mut stream = begin();
        let (key, body) = (sandbox.key(), mail().to_string());
        let length = body.len();
        let remainder = format!(
            "Host: localhost\r\nX-Smtp2go-Api-Key: {key}\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(remainder.as_bytes()).unwrap();
        assert_eq!(read(&mut stream, true).status, status);
    }
    assert_eq!(rest(&mut begin()), Ok(String::new()));
    let operations: Vec<_> = sandbox
        .calls()
        .iter()
        .map(|call| call.operation().map(str::to_owned))
        .collect();
    assert_eq!(operations, vec![Some("email_send".to_owned()); 3]);
}

#[test]
fn fault_closes_or_resets_the_connection_before_or_after_the_request() {
    for (fault, end, name, received) in [
        (
            Fault::close_before_reading(),
            Ok(String::new()),
            "close before reading",
            false,
        ),
        (
            Fault::reset_before_reading(),
            Err(ErrorKind::ConnectionReset),
            "reset before reading",
            false,
        ),
        (Fault::close(), Ok(String::new()), "close", true),
        (
            Fault::reset(),
            Err(ErrorKind::ConnectionReset),
            "reset",
            true,
        ),
    ] {
        let sandbox = Sandbox::builder()
            .fault(fault.nth(1))
            .start_blocking()
            .unwrap();
        let mut stream = connect(&sandbox);
        write(&mut stream, &sandbox);
        assert_eq!(rest(&mut stream), end, "{name}");
        assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
        let calls = sandbox.calls();
        assert_eq!(calls.len(), 2, "{name}");
        let call = &calls[0];
        assert_eq!(call.fault(), Some(name));
        assert_eq!((call.received(), call.accepted()), (received, received));
        assert_eq!(call.status(), 0);
        assert_eq!(call.operation(), Some("email_send"));
        assert_eq!((call.method(), call.path()), ("POST", "/v3/email/send"));
        assert_eq!(sandbox.mails().len(), 1 + usize::from(received));
        assert_eq!((calls[1].fault(), calls[1].accepted()), (None, true));
    }
}

#[test]
fn refused_connection_is_not_recorded_as_a_call() {
    let sandbox = Sandbox::builder()
        .fault(Fault::refuse().nth(1))
        .start_blocking()
        .unwrap();
    assert_eq!(rest(&mut connect(&sandbox)), Ok(String::new()));
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert_eq!(sandbox.calls().len(), 1);
}

#[test]
fn each_request_of_a_connection_has_its_own_fault() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox
        .faults()
        .add(Fault::status(503).on("email_send").nth(2))
        .add(Fault::reset_before_reading().on("email_send").nth(4))
        .add(Fault::status(500).on("template_view"));
    let mut stream = connect(&sandbox);
    for status in [200, 503, 200] {
        write(&mut stream, &sandbox);
        assert_eq!(read(&mut stream, true).status, status);
    }
    write(&mut stream, &sandbox);
    assert_eq!(rest(&mut stream), Err(ErrorKind::ConnectionReset));
    let accepted: Vec<_> = sandbox
        .calls()
        .iter()
        .map(smtp2go_sandbox::Call::accepted)
        .collect();
    assert_eq!(accepted, [true, false, true, false]);
    assert_eq!(sandbox.mails().len(), 2);
}

#[test]
fn reply_of_a_fault_has_its_status_headers_and_body() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let faults = sandbox.faults();
    for (fault, status, body, head) in [
        (
            Fault::status(429).header("Retry-After", "7"),
            429,
            "",
            "retry-after: 7",
        ),
        (
            Fault::status(502).html("<html>Bad Gateway</html>"),
            502,
            "<html>Bad Gateway</html>",
            "content-type: text/html",
        ),
        (
            Fault::status(400)
                .json(&json!({ "a": 1 }))
                .header("no good", "x"),
            400,
            r#"{"a":1}"#,
            "content-type: application/json",
        ),
        (Fault::status(777), 500, "", "content-length: 0"),
    ] {
        faults.clear().add(fault);
        let reply = post(&sandbox, "/email/send", &mail());
        assert_eq!((reply.status, reply.body.as_str()), (status, body));
        assert!(reply.head.contains(head), "{}", reply.head);
        assert!(!reply.head.contains("no good"));
    }
    assert!(sandbox.mails().is_empty());

    faults.clear().add(Fault::status(502).carried_out(true));
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 502);
    assert_eq!(sandbox.mails().len(), 1);
    assert!(sandbox.calls().last().unwrap().accepted());

    faults.clear().add(Fault::failed("550 no"));
    let reply = post(&sandbox, "/email/send", &mail());
    assert_eq!(reply.status, 200);
    assert_eq!(reply.json()["data"]["failed"], 1);
    assert_eq!(reply.json()["data"]["failures"], json!(["550 no"]));
    assert_eq!(sandbox.mails().len(), 1);

    // A fault does not make an invalid request accepted.
    faults.clear().add(Fault::close());
    let mut stream = connect(&sandbox);
    stream
        .write_all(b"POST /v3/email/send HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
        .unwrap();
    assert_eq!(rest(&mut stream), Ok(String::new()));
    let calls = sandbox.calls();
    let call = calls.last().unwrap();
    assert!(call.received() && !call.accepted() && call.refused().is_some());
}

#[test]
fn fault_failed_has_the_form_of_each_operations_reply_and_fault_reset_applies_to_any_operation() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let faults = sandbox.faults();
    let sms = json!({ "destination": ["+15550002001", "+15550002002"], "content": "Hi" });
    let batch = json!({ "emails": [mail(), mail()] });
    let failed = json!({ "email_id": "", "succeeded": 0, "failed": 1, "failures": ["550 no"] });
    let message = |n: &Value| json!({ "destination": n, "message_id": "", "status": "failed" });
    let messages = [
        message(&sms["destination"][0]),
        message(&sms["destination"][1]),
    ];
    for (operation, path, request, data) in [
        ("email_mime", "/email/mime", &mail(), failed.clone()),
        (
            "email_batch",
            "/email/batch",
            &batch,
            json!([failed, failed]),
        ),
        (
            "sms_send",
            "/sms/send",
            &sms,
            json!({ "statuses": { "failed": 2 }, "total_sent": 0, "messages": messages }),
        ),
    ] {
        faults.clear().add(Fault::failed("550 no").on(operation));
        let reply = post(&sandbox, path, request);
        assert_eq!((reply.status, &reply.json()["data"]), (200, &data));
    }
    assert!(sandbox.mails().is_empty() && sandbox.sms().is_empty());
    faults.clear().add(Fault::reset().on("sms_*"));
    let mut stream = connect(&sandbox);
    write_to(&mut stream, &sandbox, "/sms/send", &sms);
    assert_eq!(rest(&mut stream), Err(ErrorKind::ConnectionReset));
    assert_eq!(sandbox.sms().len(), 2);
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
}

#[test]
fn call_has_its_head_and_body_exactly_as_sent() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mut stream = connect(&sandbox);
    let heads = ["x-Odd-CASE:  two  words \r\n", ""].map(|header| {
        let head = format!("POST /v3/x?y HTTP/1.1\r\nHost: a\r\n{header}Content-Length: 4\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"\r\n\r\n").unwrap();
        assert_eq!(read(&mut stream, true).status, 404);
        head
    });
    let calls = sandbox.calls();
    for (call, head) in calls.iter().zip(&heads) {
        assert_eq!(
            (call.head(), call.body()),
            (head.as_bytes(), &b"\r\n\r\n"[..])
        );
    }
    assert_eq!(calls[0].header("X-ODD-case"), Some("two  words"));
    assert_eq!(calls[1].header("x-odd-case"), None);
    assert_eq!(sandbox.open_connections(), 1);
    drop(stream);
    while sandbox.open_connections() > 0 {
        std::thread::yield_now();
    }
}

#[test]
fn connection_ends_when_idle_after_a_complete_reply() {
    for (fault, end) in [
        (Fault::close_when_idle(), Ok(String::new())),
        (Fault::reset_when_idle(), Err(ErrorKind::ConnectionReset)),
    ] {
        let sandbox = Sandbox::builder()
            .fault(fault.nth(2))
            .start_blocking()
            .unwrap();
        let mut stream = connect(&sandbox);
        for _ in 0..2 {
            write(&mut stream, &sandbox);
            let reply = read(&mut stream, true);
            assert_eq!(reply.status, 200);
            assert!(!reply.head.contains("connection: close"), "{}", reply.head);
        }
        assert_eq!(rest(&mut stream), end);
        while sandbox.open_connections() > 0 {
            std::thread::yield_now();
        }
        assert_eq!(sandbox.mails().len(), 2);
    }
}

#[test]
fn reply_is_truncated_stalled_or_delayed_by_a_fault() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let faults = sandbox.faults();
    let whole = post(&sandbox, "/template/search", &json!({})).body;

    faults.add(Fault::truncated());
    let mut stream = connect(&sandbox);
    write(&mut stream, &sandbox);
    let answer = rest(&mut stream).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(body.starts_with('{') && !body.ends_with('}'), "{body}");
    assert_eq!(sandbox.mails().len(), 1);

    faults.clear().add(Fault::stall());
    let mut stream = connect(&sandbox);
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    write(&mut stream, &sandbox);
    assert!(rest(&mut stream).is_err());
    // The sandbox may not have read the request within the read timeout.
    while sandbox.calls().len() < 3 {
        std::thread::yield_now();
    }
    assert_eq!(sandbox.calls()[2].status(), 0);
    assert!(sandbox.calls()[2].accepted());
    drop(stream);

    // Replies of any status are truncated. A truncated head counts as no reply.
    let page = || Fault::status(502).html("0123456789");
    for (fault, says, body, status) in [
        (
            page().then(Fault::truncated()),
            "status 502, truncate",
            "01234",
            502,
        ),
        (
            Fault::status(502).then(Fault::truncated()),
            "status 502, truncate",
            "",
            502,
        ),
        (
            page().then(Fault::truncated_head()),
            "status 502, truncate head",
            "",
            0,
        ),
    ] {
        faults.clear().add(fault);
        let mut stream = connect(&sandbox);
        write(&mut stream, &sandbox);
        let answer = rest(&mut stream).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        let end = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        assert_eq!(
            (end, answer.contains("\r\n\r\n")),
            (body, status > 0),
            "{answer}"
        );
        let calls = sandbox.calls();
        let call = calls.last().unwrap();
        assert_eq!((call.fault(), call.status()), (Some(says), status));
        assert!(!call.accepted());
    }

    // A stalled connection stays open.
    for (fault, received, gets) in [
        (page().then(Fault::stalled_halfway()), true, "01234"),
        (Fault::stall_before_reading(), false, ""),
    ] {
        faults.clear().add(fault);
        let mut stream = connect(&sandbox);
        stream
            .set_read_timeout(Some(Duration::from_millis(50)))
            .unwrap();
        write(&mut stream, &sandbox);
        let mut answer = Vec::new();
        while !answer.ends_with(gets.as_bytes()) || answer.is_empty() != gets.is_empty() {
            let mut byte = [0];
            if stream.read_exact(&mut byte).is_ok() {
                answer.push(byte[0]);
            }
        }
        assert!(rest(&mut stream).is_err());
        while sandbox.calls().last().unwrap().received() != received {
            std::thread::yield_now();
        }
    }
    // A client that starts a TLS handshake is recorded because a fault applies to it.
    connect(&sandbox).write_all(b"\x16\x03\x01").unwrap();
    while sandbox.calls().last().unwrap().method() != "TLS" {
        std::thread::yield_now();
    }

    faults.clear().add(Fault::delay(Duration::from_millis(1)));
    let reply = post(&sandbox, "/template/search", &json!({}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.len(), whole.len());
}
