//! Speed of parsing events, compared with serde_json into a plain struct:
//! `cargo bench -p smtp2go-types --bench webhook`. The table is in the README of this crate.

#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use smtp2go_types::webhook::parse;

#[path = "../tests/webhook/support.rs"]
#[allow(dead_code)]
mod support;

/// The baseline: a struct with only the text fields. It skips lists and numbers, drops unknown
/// members, and compares keys case-sensitively.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Plain {
    event: Option<String>,
    time: Option<String>,
    sendtime: Option<String>,
    id: Option<String>,
    email_id: Option<String>,
    sender: Option<String>,
    from: Option<String>,
    from_address: Option<String>,
    from_name: Option<String>,
    rcpt: Option<String>,
    auth: Option<String>,
    subject: Option<String>,
    #[serde(rename = "message-id")]
    message_header: Option<String>,
    srchost: Option<String>,
    host: Option<String>,
    message: Option<String>,
    context: Option<String>,
    bounce: Option<String>,
    #[serde(rename = "user-agent")]
    user_agent: Option<String>,
    client: Option<String>,
    #[serde(rename = "client-device")]
    client_device: Option<String>,
    #[serde(rename = "client-os")]
    client_os: Option<String>,
    #[serde(rename = "geoip-continent")]
    geoip_continent: Option<String>,
    #[serde(rename = "geoip-country")]
    geoip_country: Option<String>,
    #[serde(rename = "geoip-city")]
    geoip_city: Option<String>,
    #[serde(rename = "opened-at")]
    opened_at: Option<String>,
    #[serde(rename = "clicked-at")]
    clicked_at: Option<String>,
    link: Option<String>,
    message_id: Option<String>,
    destination_number: Option<String>,
    source_number: Option<String>,
    message_content: Option<String>,
    region: Option<String>,
    status_code: Option<String>,
    submitted_timestamp: Option<String>,
    received_timestamp: Option<String>,
}

/// Prints the best of several runs over all bodies, as a row of the table.
fn measure(name: &str, bodies: &[String], run: impl Fn(&str)) {
    let bytes: usize = bodies.iter().map(String::len).sum();
    let mut best = Duration::MAX;
    for _ in 0..30 {
        const ROUNDS: u32 = 200;
        let start = Instant::now();
        for _ in 0..ROUNDS {
            for body in bodies {
                run(black_box(body));
            }
        }
        best = best.min(start.elapsed() / ROUNDS);
    }
    let seconds = best.as_secs_f64();
    println!(
        "| {name} | {:.0} | {:.0} |",
        bytes as f64 / 1e6 / seconds,
        bodies.len() as f64 / seconds
    );
}

fn main() {
    let payloads = support::payloads();
    let json: Vec<_> = payloads.iter().map(Value::to_string).collect();
    let form: Vec<_> = payloads.iter().map(support::form).collect();
    let all: usize = json.iter().map(String::len).sum();
    println!(
        "{} events, {} bytes each on average\n",
        json.len(),
        all / json.len()
    );
    println!("| | MB/s | events/s |\n| --- | ---: | ---: |");
    measure("JSON, `webhook::parse`", &json, |body| {
        black_box(parse("application/json", body)).unwrap();
    });
    measure("JSON, serde_json into a plain struct", &json, |body| {
        black_box(serde_json::from_str::<Plain>(body)).unwrap();
    });
    measure("JSON, serde_json into a `Value`", &json, |body| {
        black_box(serde_json::from_str::<Value>(body)).unwrap();
    });
    measure("form, `webhook::parse`", &form, |body| {
        black_box(parse("application/x-www-form-urlencoded", body)).unwrap();
    });
}
