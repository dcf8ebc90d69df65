//! The limits on idle connections, on the number of connections and on slow requests.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use smtp2go_sandbox::{Fault, Sandbox, SandboxBuilder};
use support::{connect, post, read, send};

/// A timeout that ends within a test. Longer than a request takes.
const SHORT: Duration = Duration::from_millis(300);

/// A timeout that does not end within a test.
const LONG: Duration = Duration::from_secs(600);

fn patient() -> SandboxBuilder {
    Sandbox::builder().head_timeout(LONG).idle_timeout(LONG)
}

fn mail() -> serde_json::Value {
    json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": "Hi", "text_body": "x" })
}

fn write_mail(stream: &mut TcpStream, sandbox: &Sandbox) {
    let body = mail().to_string();
    let (length, key) = (body.len(), sandbox.key());
    let request = format!(
        "POST /v3/email/send HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {key}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).unwrap();
}

/// Reads until the end of the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn assert_open(stream: &mut TcpStream, what: &str) {
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    let error = stream.read(&mut [0]).map_err(|error| error.kind());
    let silent = [Err(ErrorKind::WouldBlock), Err(ErrorKind::TimedOut)];
    assert!(silent.contains(&error), "{what}: {error:?}");
}

#[test]
fn thousand_half_open_connections_do_not_lock_out_a_client() {
    let sandbox = Sandbox::builder()
        .max_connections(40)
        .head_timeout(SHORT)
        .start_blocking()
        .unwrap();
    // In four rounds, because both ends are open files of this process.
    for _ in 0..4 {
        let half_open: Vec<_> = (0..250)
            .map(|number| {
                let mut stream = connect(&sandbox);
                if number % 2 == 0 {
                    // Fails if the connection was refused and is already closed.
                    let _ = stream.write_all(b"POST /v3/email/send HTTP/1.1\r\nHost: a\r\n");
                }
                stream
            })
            .collect();
        // The connections are still open.
        let begun = std::time::Instant::now();
        loop {
            let mut stream = connect(&sandbox);
            let request = b"GET /_sandbox HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(request);
            let mut answer = String::new();
            // With so many refused connections, one may be reset without its reply.
            let _ = stream.read_to_string(&mut answer);
            if answer.starts_with("HTTP/1.1 200") {
                break;
            }
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 503"),
                "{answer}"
            );
            assert!(begun.elapsed() < Duration::from_secs(20), "locked out");
        }
        drop(half_open);
    }
}

#[test]
fn connection_beyond_the_limit_gets_503_with_the_reason() {
    let sandbox = patient().max_connections(2).start_blocking().unwrap();
    let mut held: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = connect(&sandbox);
            write_mail(&mut stream, &sandbox);
            assert_eq!(read(&mut stream, true).status, 200);
            stream
        })
        .collect();
    for request in [&b""[..], b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"] {
        let mut refused = connect(&sandbox);
        refused.write_all(request).unwrap();
        let answer = rest(&mut refused);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(answer.contains("Connection: close\r\n"), "{answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let error = body["error"].as_str().unwrap();
        assert!(error.contains("2 connections") && error.contains("--max-connections"));
    }
    // Open connections still work.
    write_mail(&mut held[0], &sandbox);
    assert_eq!(read(&mut held[0], true).status, 200);
    drop(held.pop());
    while sandbox.open_connections() > 1 {
        sleep(Duration::from_millis(2));
    }
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
}

#[test]
fn streams_and_waits_leave_connections_for_other_requests() {
    let sandbox = patient().max_connections(9).start_blocking().unwrap();
    let live = || {
        let mut stream = connect(&sandbox);
        let request = b"GET /_inbox/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        let status = String::from_utf8(status[9..].to_vec()).unwrap();
        (status, stream)
    };
    let wait = || send(&sandbox, "GET", "/_sandbox/mails?wait=9", &[], b"");
    let mut streams: Vec<_> = (0..2).map(|_| live()).collect();
    assert!(streams.iter().all(|(status, _)| status == "200"));
    assert_eq!(live().0, "503");
    let refused = wait();
    assert_eq!(refused.status, 503);
    let error = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(
        error.contains("2 requests are already waiting") && error.contains("--max-connections"),
        "{error}"
    );
    // Requests that need not wait still get replies.
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert_eq!(wait().status, 200);
    drop(streams.pop());
    let begun = std::time::Instant::now();
    while live().0 != "200" {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "no permit was released within 20 s"
        );
        sleep(Duration::from_millis(2));
    }
    // At least one request may wait.
    let sandbox = patient().max_connections(1).start_blocking().unwrap();
    let wait = send(&sandbox, "GET", "/_sandbox/mails?wait=0.01", &[], b"");
    assert_eq!(wait.status, 200);
}

#[test]
fn body_beyond_the_total_size_limit_of_bodies_in_progress_gets_503() {
    const MB: usize = 1_000_000;
    // The minimum of the limit: 128 MiB.
    let sandbox = patient().keep_bytes(MB).start_blocking().unwrap();
    let key = ("X-Smtp2go-Api-Key", sandbox.key());
    let held: Vec<_> = (0..3)
        .map(|_| {
            let mut stream = connect(&sandbox);
            let head = format!(
                "POST /v3/email/send HTTP/1.1\r\nHost: localhost\r\n{}: {}\r\n\
                 Content-Length: {}\r\n\r\n",
                key.0,
                key.1,
                43 * MB + 1,
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&vec![b'x'; 43 * MB]).unwrap();
            stream
        })
        .collect();
    let large = vec![b'x'; 6 * MB];
    let send_large = |headers: &[_]| send(&sandbox, "POST", "/v3/email/send", headers, &large);
    let begun = std::time::Instant::now();
    // The last bytes may still be in socket buffers.
    let refused = loop {
        let reply = send_large(&[key]);
        if reply.status == 503 {
            break reply.json();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", reply.body);
    };
    let error = refused["data"]["error"].as_str().unwrap();
    assert!(error.contains("134217728 bytes"), "{error}");
    assert!(error.contains("--keep-bytes"), "{error}");
    // A small body and a body without the key still have room.
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert_eq!(send_large(&[]).status, 401);
    drop(held);
    while send_large(&[key]).status == 503 {
        assert!(begun.elapsed() < Duration::from_secs(40));
    }
}

#[test]
fn slow_head_gets_408() {
    let sandbox = Sandbox::builder()
        .head_timeout(SHORT)
        .idle_timeout(LONG)
        .start_blocking()
        .unwrap();
    // Sends a byte at a time, without ever completing the head.
    let mut stream = connect(&sandbox);
    let mut dripping = stream.try_clone().unwrap();
    let dripper = std::thread::spawn(move || {
        let mut bytes = b"GET / HTTP/1.1\r\n"
            .iter()
            .chain(b"A: b\r\n".iter().cycle());
        while dripping.write_all(&[*bytes.next().unwrap()]).is_ok() {
            sleep(Duration::from_millis(10));
        }
    });
    let mut answer = Vec::new();
    // The connection may be reset after the reply, because the client sends more.
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(
        answer.contains("{\"error\":\"the head of the request"),
        "{answer}"
    );
    drop(stream);
    dripper.join().unwrap();

    // The second request of a connection has the same time limit.
    let mut stream = connect(&sandbox);
    write_mail(&mut stream, &sandbox);
    assert_eq!(read(&mut stream, true).status, 200);
    stream.write_all(b"POST /v3/email").unwrap();
    assert!(rest(&mut stream).starts_with("HTTP/1.1 408 "));
    // A connection without a request is closed without a reply.
    assert_eq!(rest(&mut connect(&sandbox)), "");
}

#[test]
fn idle_connection_is_closed() {
    let sandbox = Sandbox::builder()
        .head_timeout(LONG)
        .idle_timeout(SHORT)
        .start_blocking()
        .unwrap();
    for path in ["/v3/email/send", "/_sandbox", "/"] {
        let mut stream = connect(&sandbox);
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        for _ in 0..2 {
            stream.write_all(request.as_bytes()).unwrap();
            read(&mut stream, true);
        }
        assert_eq!(rest(&mut stream), "", "{path}");
    }
    while sandbox.open_connections() > 0 {
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn stalled_body_gets_408() {
    let sandbox = Sandbox::builder()
        .head_timeout(LONG)
        .idle_timeout(SHORT)
        .start_blocking()
        .unwrap();
    for (path, origin) in [
        ("/v3/email/send", ""),
        ("/_sandbox/faults", ""),
        ("/_inbox/reset", ""),
        ("/v3/email/send", "Origin: http://evil.example\r\n"),
    ] {
        for body in ["", "{\"sender\":"] {
            let mut stream = connect(&sandbox);
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\n{origin}Content-Length: 99\r\n\r\n{body}"
            );
            stream.write_all(request.as_bytes()).unwrap();
            let answer = rest(&mut stream);
            assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
            assert!(answer.contains("no byte of the request's body"), "{answer}");
        }
    }
    assert!(sandbox.calls().is_empty());
}

#[test]
fn connection_of_a_client_that_does_not_read_is_closed() {
    let sandbox = Sandbox::builder()
        .head_timeout(LONG)
        .idle_timeout(SHORT)
        .start_blocking()
        .unwrap();
    // More than fits into socket buffers.
    let body = "x".repeat(16 * 1024 * 1024);
    send(&sandbox, "POST", "/v3/email/send", &[], body.as_bytes());
    let mut stream = connect(&sandbox);
    stream
        .write_all(b"GET /_sandbox/calls/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    while sandbox.open_connections() == 0 {
        sleep(Duration::from_millis(2));
    }
    while sandbox.open_connections() > 0 {
        sleep(Duration::from_millis(2));
    }
}

#[test]
fn connection_stalled_by_a_fault_does_not_time_out_or_use_up_the_limit() {
    std::thread::scope(|scope| {
        for fault in [
            "stall-before-reading",
            "stall",
            "stall-halfway",
            "status=502:html:stall",
            "delay=10m",
        ] {
            scope.spawn(move || assert_stalls(fault));
        }
    });
}

fn assert_stalls(fault: &str) {
    let rule = format!("email_send:nth=1:{fault}");
    let sandbox = Sandbox::builder()
        .max_connections(1)
        .head_timeout(SHORT)
        .idle_timeout(SHORT)
        .fault(rule.parse::<Fault>().unwrap())
        .start_blocking()
        .unwrap();
    let mut stream = connect(&sandbox);
    write_mail(&mut stream, &sandbox);
    while sandbox.calls().is_empty() {
        sleep(Duration::from_millis(2));
    }
    if fault == "stall-halfway" {
        let mut byte = [0];
        while byte != *b"{" {
            stream.read_exact(&mut byte).unwrap();
        }
    }
    sleep(3 * SHORT);
    // Reads the rest of the half body.
    stream
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    while stream.read(&mut [0; 256]).is_ok_and(|read| read > 0) {}
    assert_open(&mut stream, fault);
    // The limit is one connection, which is free for another client.
    assert_eq!(
        post(&sandbox, "/email/send", &mail()).status,
        200,
        "{fault}"
    );
    assert_open(&mut stream, fault);
}

#[test]
fn connection_with_a_slow_reply_is_not_idle() {
    let sandbox = Sandbox::builder()
        .head_timeout(SHORT)
        .idle_timeout(SHORT)
        .fault(Fault::delay(4 * SHORT).on("email_send"))
        .start_blocking()
        .unwrap();
    let mut live = connect(&sandbox);
    live.write_all(b"GET /_inbox/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .unwrap();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| {
            let path = "/_sandbox/mails?to=none@example.net&wait=1.2";
            send(&sandbox, "GET", path, &[], b"").status
        });
        assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
        assert_eq!(waits.join().unwrap(), 200);
    });
    // The event stream continues: one event at its start, one for the mail.
    let mut text = Vec::new();
    while String::from_utf8_lossy(&text)
        .matches("event: change")
        .count()
        < 2
    {
        let mut chunk = [0; 1024];
        let read = live.read(&mut chunk).unwrap();
        assert!(read > 0, "the stream ended after {text:?}");
        text.extend_from_slice(&chunk[..read]);
    }
    assert_eq!(post(&sandbox, "/email/send", &mail()).status, 200);
    assert_open_or_more(&mut live);
}

/// Asserts that the connection is open or has unread bytes.
fn assert_open_or_more(stream: &mut TcpStream) {
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    assert_ne!(stream.read(&mut [0]).ok(), Some(0));
}

#[test]
fn slow_templates_do_not_delay_admin_endpoints_and_the_inbox() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let each = "{{#each a}}{{#each ../a}}{{#each ../../a}}{{/each}}{{/each}}{{/each}}";
    let template = json!({ "id": "welcome", "template_name": "Welcome", "subject": "Hi",
                           "html_body": each, "text_body": "Hello" });
    assert_eq!(post(&sandbox, "/template/add", &template).status, 200);
    let mut slow = mail();
    slow["template_id"] = "welcome".into();
    slow["template_data"] = json!({ "a": vec![0; 2_000] });
    std::thread::scope(|scope| {
        // One for each of the four permits, and one that waits.
        let sent: Vec<_> = (0..5)
            .map(|_| scope.spawn(|| post(&sandbox, "/email/send", &slow).status))
            .collect();
        // More rounds than would pass before the templates are being rendered.
        let mut rounds = 0;
        while sent.iter().all(|one| !one.is_finished()) {
            for path in ["/_sandbox/clock", "/_sandbox/mails", "/"] {
                assert_eq!(send(&sandbox, "GET", path, &[], b"").status, 200);
            }
            rounds += 1;
        }
        assert!(rounds > 10, "{rounds}");
        for one in sent {
            assert_eq!(one.join().unwrap(), 400);
        }
    });
}
