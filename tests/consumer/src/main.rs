//! A program as a user would write it, with the SDK's default features and nothing else.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;

use smtp2go_sdk::types::EmailSendRequest;
use smtp2go_sdk::{Certainty, Client, RetryPolicy};

const KEY: &str = "api-00000000000000000000000000000000";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mail = EmailSendRequest::new("a@example.com", ["b@example.net"])
        .subject("Hello")
        .text_body("Hello");

    // Plain HTTP on loopback: a reply is read.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let server = std::thread::spawn(move || answer(&listener));
    let client = Client::builder(KEY)
        .base_url(format!("http://{address}/v3"))
        .build()?;
    let sent = client.email().send(mail.clone()).await?;
    assert_eq!(sent.email_id.as_deref(), Some("1a"));
    server.join().map_err(|_| "the server failed")??;

    // HTTPS: there is a TLS provider, and a port where nobody listens is an error that says so.
    let free = TcpListener::bind("127.0.0.1:0")?;
    let address = free.local_addr()?;
    drop(free);
    let client = Client::builder(KEY)
        .base_url(format!("https://{address}/v3"))
        .retry(RetryPolicy::none())
        .build()?;
    let error = client.email().send(mail.clone()).await.unwrap_err();
    assert!(error.is_connect(), "{error}");
    assert_eq!(error.certainty(), Certainty::NotSent);

    // The raw door is there by default, and ends in the same error.
    let error = client.raw().email_send(&mail).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent);
    println!("the SDK works with its default features");
    Ok(())
}

fn answer(listener: &TcpListener) -> std::io::Result<()> {
    let (stream, _) = listener.accept()?;
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let reply =
        r#"{"request_id":"r","data":{"succeeded":1,"failed":0,"failures":[],"email_id":"1a"}}"#;
    write!(
        reader.get_mut(),
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{reply}",
        reply.len()
    )
}
