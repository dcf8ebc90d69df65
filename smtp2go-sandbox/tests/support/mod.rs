//! A small HTTP/1.1 client on a plain socket, which sends requests exactly as written.

// No test file uses everything.
#![allow(dead_code)]

pub(crate) mod smtp;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;
use smtp2go_sandbox::Sandbox;

#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The head in lower case.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Sends a request to `path`, which is not joined to the base URL.
pub(crate) fn send(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let headers = [&[("Host", "localhost")], headers].concat();
    send_with_hosts(sandbox, method, path, &headers, body)
}

/// Like [`send`], but does not add the header `Host`.
pub(crate) fn send_with_hosts(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut stream = connect(sandbox);
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body).unwrap();

    read(&mut stream, method != "HEAD")
}

/// Reads one reply, which must have a `Content-Length`, and leaves the connection open.
pub(crate) fn read(stream: &mut TcpStream, with_body: bool) -> Reply {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .unwrap();
    let mut body = vec![
        0;
        if with_body {
            length.parse().unwrap()
        } else {
            0
        }
    ];
    stream.read_exact(&mut body).unwrap();
    Reply {
        status: head[9..12].parse().unwrap(),
        head,
        body: String::from_utf8(body).unwrap(),
    }
}

/// Posts a JSON value below `/v3` with the key in the header.
pub(crate) fn post(sandbox: &Sandbox, path: &str, body: &Value) -> Reply {
    let headers = [
        ("X-Smtp2go-Api-Key", sandbox.key()),
        ("Content-Type", "application/json"),
    ];
    let body = body.to_string();
    send(
        sandbox,
        "POST",
        &format!("/v3{path}"),
        &headers,
        body.as_bytes(),
    )
}

pub(crate) fn connect(sandbox: &Sandbox) -> TcpStream {
    let stream = TcpStream::connect(address(sandbox)).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

pub(crate) fn address(sandbox: &Sandbox) -> String {
    let address = sandbox.base_url().strip_prefix("http://").unwrap();
    address.strip_suffix("/v3").unwrap().to_owned()
}
