//! The server of the benchmark: accepts every mail and keeps only counts.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Default)]
struct Counts {
    mails: AtomicU64,
    bytes: AtomicU64,
}

/// Prints its port, and serves until the process is killed.
pub fn serve() -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{}", listener.local_addr()?.port());
    let counts = Arc::new(Counts::default());
    for stream in listener.incoming() {
        let (stream, counts) = (stream?, counts.clone());
        // The counts show clients that abort.
        std::thread::spawn(move || answer(stream, &counts));
    }
    Ok(())
}

fn answer(stream: TcpStream, counts: &Counts) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(64 * 1024, stream);
    let (mut line, mut buffer) = (String::new(), vec![0; 64 * 1024]);
    loop {
        let mut size = 0;
        let mut counting = false;
        loop {
            line.clear();
            if stream.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            counting |= line.starts_with("GET /counts ");
            let lower = line.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                size = value.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut left = size;
        while left > 0 {
            let space = left.min(buffer.len());
            let read = stream.read(&mut buffer[..space])?;
            if read == 0 {
                return Ok(());
            }
            left -= read;
        }
        let body = if counting {
            let [mails, bytes] = [&counts.mails, &counts.bytes].map(|n| n.load(Ordering::SeqCst));
            format!("{mails} {bytes}")
        } else {
            counts.mails.fetch_add(1, Ordering::SeqCst);
            counts.bytes.fetch_add(size as u64, Ordering::SeqCst);
            r#"{"request_id":"aa253464-0bd0-467a-b24b-6159dcd7be60","data":{"succeeded":1,"failed":0,"failures":[],"email_id":"1er8bV-6Tw0Mi-7h"}}"#
                .to_owned()
        };
        let reply = format!(
            "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Mon, 23 Nov 2026 09:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: keep-alive\r\n\r\n{body}",
            body.len()
        );
        stream.get_mut().write_all(reply.as_bytes())?;
    }
}

/// Returns the numbers of mails and of body bytes that the server on this port has received.
pub fn counts(port: u16) -> io::Result<(u64, u64)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.write_all(b"GET /counts HTTP/1.1\r\nConnection: close\r\n\r\n")?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line)? > 0 {
        if let Some(size) = line.trim().strip_prefix("Content-Length: ") {
            let size = size.parse::<usize>().map_err(io::Error::other)?;
            while line != "\r\n" {
                line.clear();
                stream.read_line(&mut line)?;
            }
            let mut body = vec![0; size];
            stream.read_exact(&mut body)?;
            let body = String::from_utf8_lossy(&body).into_owned();
            let parsed = body
                .split_once(' ')
                .and_then(|(mails, bytes)| Some((mails.parse().ok()?, bytes.parse().ok()?)));
            return parsed.ok_or_else(|| io::Error::other(format!("invalid counts: {body}")));
        }
        line.clear();
    }
    Err(io::Error::other("the server returned no counts"))
}
