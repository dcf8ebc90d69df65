//! Puts events into a queue, answers at once, and processes the events afterwards, because the service
//! waits only 10 seconds for an answer. The queue is a bounded channel: when it is full, the receiver
//! answers 500, and the service posts the event again. In production, use a queue that outlives the
//! process.
//!
//! ```text
//! cargo run -p smtp2go-sdk --features axum --example webhook_queue
//! ```

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use axum::http::StatusCode;
use smtp2go_sdk::webhook::{Auth, Event, MemoryDeduplicator, Receiver, axum::router};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

mod support;

const TOKEN: &str = "EXAMPLE-long-random-token";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    support::watch_if_asked();
    let (queue, mut events) = mpsc::channel::<Event>(1_000);

    let receiver = Receiver::new(Auth::bearer(TOKEN)?).deduplicate(MemoryDeduplicator::new());
    let app = router("/webhook", receiver, move |event| {
        let queue = queue.clone();
        async move {
            match queue.try_send(event) {
                Ok(()) => StatusCode::OK,
                // The queue is full: the service posts the event again.
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });

    // Posts in place of the service: two events, and a duplicate of the first.
    for id in ["1", "1", "2"] {
        let body = format!("event=delivered&email_id={id}&rcpt=jane%40example.net");
        println!("posted {id}: {}", post(address, &body).await?);
    }

    for _ in 0..2 {
        let event = events.recv().await.ok_or("the queue is closed")?;
        // Stands for slow work.
        tokio::time::sleep(Duration::from_millis(10)).await;
        if let Some(event) = event.as_email() {
            println!("worked on {:?} for {:?}", event.email_id, event.rcpt);
        }
    }
    Ok(())
}

/// Posts an event as the service does. Returns the first line of the answer.
async fn post(address: SocketAddr, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!(
        "POST /webhook HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.lines().next().unwrap_or_default().to_owned())
}
