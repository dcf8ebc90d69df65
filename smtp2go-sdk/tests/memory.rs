//! What memory a mail takes. Alone in its process, since it looks at the most that the process
//! ever had.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // helpers of tests

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use smtp2go_sdk::{Attachment, Client, Email};

const MIB: u64 = 1024 * 1024;

/// A server that reads requests, keeps nothing, and answers.
fn server() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // Ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            answer(&mut BufReader::new(stream.unwrap()));
        }
    });
    address
}

fn answer(stream: &mut BufReader<TcpStream>) {
    let mut line = String::new();
    let mut length = 0;
    while stream.read_line(&mut line).unwrap() > 0 {
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            let mut buffer = [0; 16 * 1024];
            while length > 0 {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "the request broke off");
                length -= read;
            }
            let body = r#"{"data":{"email_id":"1"}}"#;
            let size = body.len();
            let reply = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n{body}");
            stream.get_mut().write_all(reply.as_bytes()).unwrap();
        }
        line.clear();
    }
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
    let folder = tempfile::tempdir().unwrap();
    let client = Client::builder("api-00000000000000000000000000000000")
        .base_url(format!("http://{}/v3", server()))
        .build()
        .unwrap();
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
    let grown = peaks[1] - peaks[0];
    assert!(grown < 2048, "36 MiB took {grown} KiB more than 1 MiB");
}
