//! A client for SMTP on a plain socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smtp2go_sandbox::Sandbox;

/// A client that waits for each reply.
pub(crate) struct Client(pub(crate) BufReader<TcpStream>);

impl Client {
    /// Connects and reads the greeting.
    pub(crate) fn connect(sandbox: &Sandbox) -> Self {
        let mut client = Self::silent(sandbox);
        assert!(client.reply().starts_with("220 "));
        client
    }

    pub(crate) fn silent(sandbox: &Sandbox) -> Self {
        let stream = TcpStream::connect(sandbox.smtp_address().unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    /// Connects, sends EHLO and logs in.
    pub(crate) fn log_in(sandbox: &Sandbox) -> Self {
        let mut client = Self::connect(sandbox);
        assert!(client.say("EHLO test").starts_with("250-"));
        let reply = client.say(&auth(sandbox.smtp_username(), sandbox.key()));
        assert_eq!(reply, "235 2.7.0 OK");
        client
    }

    pub(crate) fn write(&mut self, text: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(text.as_ref()).unwrap();
    }

    /// Sends a line, and returns the reply.
    pub(crate) fn say(&mut self, line: &str) -> String {
        self.write(format!("{line}\r\n"));
        self.reply()
    }

    /// Reads a reply. Its lines are joined by `|`.
    pub(crate) fn reply(&mut self) -> String {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).unwrap();
            let text = line.strip_suffix("\r\n");
            assert!(text.is_some(), "{line:?} {lines:?}");
            let line = text.unwrap();
            lines.push(line.to_owned());
            if line.as_bytes()[3] == b' ' {
                return lines.join("|");
            }
        }
    }

    /// Reads until the server closes the connection.
    pub(crate) fn rest(&mut self) -> String {
        let mut text = String::new();
        self.0.read_to_string(&mut text).unwrap();
        text
    }

    /// Sends a message, and returns the last reply.
    pub(crate) fn send(&mut self, from: &str, to: &[&str], message: &str) -> String {
        assert_eq!(self.say(&format!("MAIL FROM:<{from}>")), "250 2.1.0 OK");
        for to in to {
            assert_eq!(self.say(&format!("RCPT TO:<{to}>")), "250 2.1.5 OK");
        }
        assert!(self.say("DATA").starts_with("354 "));
        self.say(&format!("{message}\r\n."))
    }
}

pub(crate) fn auth(username: &str, password: &str) -> String {
    let credentials = STANDARD.encode(format!("\0{username}\0{password}"));
    format!("AUTH PLAIN {credentials}")
}
