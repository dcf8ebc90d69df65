//! Parsing never panics, and every event survives a round trip.
//!
//! ```text
//! cargo install cargo-fuzz
//! cargo fuzz run --fuzz-dir tests/fuzz --sanitizer none webhook tests/fuzz/corpus/webhook -- -max_total_time=60
//! ```
//!
//! On a stable compiler, set RUSTC_BOOTSTRAP=1. Only a nightly compiler has sanitizers: leave out
//! `--sanitizer none` there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use smtp2go_types::webhook::{Event, parse};

fuzz_target!(|body: &[u8]| {
    // The first byte chooses the content type.
    let Some((first, body)) = body.split_first() else {
        return;
    };
    let content_type = match first % 3 {
        0 => None,
        1 => Some("application/json"),
        _ => Some("application/x-www-form-urlencoded"),
    };
    let Ok(event) = parse(content_type, body) else {
        return;
    };
    assert!(event.dedup_key().is_none_or(|key| key.len() < 3_000));
    let json = serde_json::to_string(&event).unwrap();
    let again: Event = serde_json::from_str(&json).unwrap();
    let (one, other) = (value(&event), value(&again));
    assert!(same(&one, &other), "{one}\n{other}");
});

fn value(event: &Event) -> Value {
    serde_json::to_value(event).unwrap()
}

/// Whether two values are equal, except for the last digit of a float, which serde_json may read
/// differently.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) if one.is_f64() => {
            let (one, other) = (one.as_f64().unwrap(), other.as_f64().unwrap());
            (one - other).abs() <= one.abs() * 1e-9
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(a, b)| same(a, b))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .zip(other)
                    .all(|((a, x), (b, y))| a == b && same(x, y))
        }
        // A float that was read as text of a field.
        _ => one == other,
    }
}
