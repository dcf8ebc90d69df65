//! Measures the time and memory that the sandbox takes to accept and list many mails. Default:
//! 10,000 mails of 2 KB, sent on four connections.
//!
//! `cargo run --release -p smtp2go-sandbox --example load [MAILS]`

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use smtp2go_sandbox::Sandbox;

const CONNECTIONS: usize = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let count: usize = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 10_000,
    };
    let before = resident();
    let sandbox = Sandbox::start_blocking()?;
    let mail = mail();
    let start = Instant::now();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|first| {
                let (sandbox, mail) = (&sandbox, mail.as_str());
                let share = (first..count).step_by(CONNECTIONS).len();
                scope.spawn(move || send(sandbox, mail, share))
            })
            .collect();
        senders.into_iter().try_for_each(|sender| {
            let sent = sender.join();
            sent.unwrap_or_else(|_| Err(io::Error::other("a sending thread panicked")))
        })
    })?;
    let sent = start.elapsed();
    let start = Instant::now();
    let mut stream = connect(&sandbox)?;
    let path = format!("/_sandbox/mails?limit={count}");
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes())?;
    let list = read(&mut stream)?;
    let listed = start.elapsed();
    let found = String::from_utf8(list)?.matches("\"email_id\"").count();
    if found != count {
        return Err(format!("the list has {found} mails instead of {count}").into());
    }
    let mut out = io::stdout().lock();
    writeln!(out, "{count} mails of {} bytes", mail.len())?;
    writeln!(out, "accepted in {}", seconds(sent))?;
    writeln!(out, "listed in   {}", seconds(listed))?;
    if let (Some(before), Some(after)) = (before, resident()) {
        writeln!(
            out,
            "memory      {} MB more",
            after.saturating_sub(before) / 1024
        )?;
    }
    Ok(())
}

/// Returns a mail of about 2 KB as JSON.
fn mail() -> String {
    let text = "All work and no play makes Jack a dull boy. ".repeat(42);
    format!(
        r#"{{"sender":"Acme <noreply@example.com>","to":["Jane <jane@example.net>"],"subject":"Report","text_body":"{text}"}}"#
    )
}

fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

/// Sends a mail `count` times on one connection.
fn send(sandbox: &Sandbox, mail: &str, count: usize) -> io::Result<()> {
    let mut stream = connect(sandbox)?;
    let request = format!(
        "POST /v3/email/send HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{mail}",
        sandbox.key(),
        mail.len(),
    );
    for _ in 0..count {
        stream.write_all(request.as_bytes())?;
        read(&mut stream)?;
    }
    Ok(())
}

fn connect(sandbox: &Sandbox) -> io::Result<TcpStream> {
    let address = sandbox.base_url().trim_start_matches("http://");
    let stream = TcpStream::connect(address.trim_end_matches("/v3"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads the body of a reply, which must have status 200 and a `Content-Length`.
fn read(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut space = [0; 16 * 1024];
    loop {
        let count = stream.read(&mut space)?;
        bytes.extend_from_slice(space.get(..count).unwrap_or_default());
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(head) = head.map(|at| at + 4) else {
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            continue;
        };
        let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
        if !text.starts_with("http/1.1 200") {
            return Err(io::Error::other(text));
        }
        let length = text
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
            .unwrap_or(0);
        let mut body = bytes.split_off(head);
        let have = body.len();
        body.resize(length, 0);
        if let Some(rest) = body.get_mut(have..) {
            stream.read_exact(rest)?;
        }
        return Ok(body);
    }
}

/// Returns the resident memory of this process in KiB. `None` if the system does not provide it.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
