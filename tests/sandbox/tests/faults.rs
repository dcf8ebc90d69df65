//! Faults, as a client meets them.

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

/// Writes a mail to a connection, and leaves it open.
fn write(stream: &mut TcpStream, sandbox: &Sandbox) {
    let body = mail().to_string();
    let length = body.len();
    let key = sandbox.key();
    let request = format!(
        "POST /v3/email/send HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {key}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// What is left to read: bytes until the end, or the kind of the error.
fn rest(stream: &mut TcpStream) -> Result<String, ErrorKind> {
    let mut text = String::new();
    match stream.read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.kind()),
    }
}

#[test]
fn connections_are_closed_or_reset() {
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
fn a_refused_connection_is_no_call() {
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
fn answers_are_as_told() {
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

    // What is refused is not accepted by a fault.
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
fn half_an_answer_or_none() {
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
    // It may not have been read yet, however long that was.
    while sandbox.calls().len() < 3 {
        std::thread::yield_now();
    }
    assert_eq!(sandbox.calls()[2].status(), 0);
    assert!(sandbox.calls()[2].accepted());
    drop(stream);

    faults.clear().add(Fault::delay(Duration::from_millis(1)));
    let reply = post(&sandbox, "/template/search", &json!({}));
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body.len(), whole.len());
}
