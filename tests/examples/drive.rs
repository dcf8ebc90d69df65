//! Calls every operation of a Prism mock through the group's method and the raw client, with the
//! spec's examples, at the given base URL. Fails if a call gets no reply, or if Prism reports in
//! the header `sl-violations` that a request violates the spec.

// The example fails by panics.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use serde_json::Value;
use smtp2go_sdk::Client;
use smtp2go_tests::entry_points::ENTRY_POINTS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const JSON: &str = "application/json";

/// Header with the violations that Prism finds in a request.
const HEADER: &str = "\r\nsl-violations:";

#[tokio::main]
async fn main() {
    let url = std::env::args().nth(1).expect("usage: drive BASE_URL");
    let prism = url
        .strip_prefix("http://")
        .expect("the base URL must begin with http://");
    let ear = Ear::open(prism.to_owned()).await;
    let client = Client::builder("api-EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0")
        .base_url(format!("http://{}", ear.address))
        .build()
        .unwrap();

    // Check that a violation is detected.
    let wrong = r#"{"sender":"a@example.com","to":"b@example.com","Subject":7}"#;
    post(&ear.address, "/email/send", wrong, "code=200").await;
    let found = ear.violations();
    assert!(
        found.iter().any(|found| found.contains("request")),
        "Prism reports no violation by {wrong}"
    );

    let spec = support::spec();
    let asked = named_examples(&ear, &spec).await;
    let before = ear.successes();
    let mut failures = Vec::new();
    for (operation, entry_points) in support::operations(&spec).iter().zip(ENTRY_POINTS) {
        assert_eq!(operation.id, entry_points.id);
        let request = operation.request.to_string();
        if let Err(error) = (entry_points.call)(&client, &client.raw(), &request).await {
            failures.push(format!("{}: {error}", entry_points.id));
        }
        let found = ear.violations().into_iter();
        failures.extend(found.map(|found| format!("{}: {found}", entry_points.id)));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let replies = ear.successes() - before;
    assert!(
        replies >= 2 * ENTRY_POINTS.len(),
        "received only {replies} replies"
    );
    println!(
        "{} operations through both entry points: {replies} replies, none with a violation; \
         {asked} examples asked for by name",
        ENTRY_POINTS.len()
    );
}

/// Requests each named example of `/email/send` from the mock, including errors, and returns their
/// number.
async fn named_examples(ear: &Ear, spec: &Value) -> usize {
    let operation = &spec["paths"]["/email/send"]["post"];
    let request = support::examples(&operation["requestBody"]["content"][JSON]);
    let request = request[0].1.to_string();
    let mut asked = 0;
    for (status, response) in operation["responses"].as_object().unwrap() {
        let shared = response["$ref"].as_str().map(|at| &at[1..]);
        let response = shared.map_or(response, |at| spec.pointer(at).unwrap());
        for (name, example) in support::examples(&response["content"][JSON]) {
            let prefer = format!("code={status}, example={name}");
            let reply = post(&ear.address, "/email/send", &request, &prefer).await;
            let (head, body) = reply.split_once("\r\n\r\n").unwrap();
            assert!(
                head.starts_with(&format!("HTTP/1.1 {status} ")),
                "{prefer}: {head}"
            );
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(body, example, "{prefer}");
            asked += 1;
        }
    }
    assert_eq!(ear.violations(), [""; 0]);
    assert!(asked >= 10, "only {asked} examples have a name");
    asked
}

/// A proxy between client and mock, which records every reply.
struct Ear {
    address: String,
    heard: Arc<Mutex<String>>,
    told: Mutex<usize>,
}

impl Ear {
    async fn open(mock: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heard = Arc::new(Mutex::new(String::new()));
        let hears = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mock = TcpStream::connect(&mock).await.unwrap();
                tokio::spawn(pass(client, mock, Arc::clone(&hears)));
            }
        });
        Self {
            address,
            heard,
            told: Mutex::new(0),
        }
    }

    /// Returns the number of replies with status 200.
    fn successes(&self) -> usize {
        self.heard.lock().unwrap().matches("HTTP/1.1 200").count()
    }

    /// Returns the violations in replies since the last call.
    fn violations(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        let mut told = self.told.lock().unwrap();
        let new = &heard[std::mem::replace(&mut *told, heard.len())..];
        let headers = new.split(HEADER).skip(1);
        headers
            .map(|rest| rest.lines().next().unwrap_or_default().trim().to_owned())
            .collect()
    }
}

async fn pass(client: TcpStream, mock: TcpStream, hears: Arc<Mutex<String>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_mock, mut to_mock) = mock.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_mock).await;
        let _ = to_mock.shutdown().await;
    });
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from_mock.read(&mut bytes).await {
        // Recorded before it is forwarded, so that it is present once the client has the reply.
        let text = String::from_utf8_lossy(&bytes[..count]);
        hears.lock().unwrap().push_str(&text);
        if to_client.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// Sends a body unchanged, with the header `Prefer` to select a reply, and returns the whole reply.
async fn post(address: &str, path: &str, body: &str, prefer: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Prefer: {prefer}\r\nX-Smtp2go-Api-Key: api-EXAMPLE0EXAMPLE0EXAMPLE0EXAMPLE0\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).await.unwrap();
    String::from_utf8(reply).unwrap()
}
