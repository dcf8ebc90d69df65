//! The memory of the process. The only test in its file, because other tests would add to the memory.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // tests

mod support;

use std::time::Duration;

use serde_json::json;
use smtp2go_sandbox::Sandbox;
use support::{post, send};

const MB: usize = 1024 * 1024;

/// `keep_bytes` of the sandbox.
const BUDGET: usize = 3 * MB;

/// Allowance for other memory: buffers of requests, and what the allocator does not return.
const BASE: usize = 12 * MB;

/// The resident memory of this process in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

#[test]
fn memory_stays_within_the_budget_for_any_kind_of_request() {
    let sandbox = Sandbox::builder()
        // Retries of webhooks come only after the test.
        .webhook_speed(1)
        .keep_bytes(BUDGET)
        .start_blocking()
        .unwrap();
    let webhook = json!({ "url": "http://127.0.0.1:9/", "events": ["processed", "delivered"] });
    assert_eq!(post(&sandbox, "/webhook/add", &webhook).status, 200);
    let mail = |text: usize| {
        json!({
            "sender": "a@example.com", "to": ["b@example.net", "open@example.net"], "subject": "Hi",
            "text_body": "x".repeat(text),
        })
    };
    let mut file = mail(10);
    file["attachments"] = json!([{ "filename": "a.bin", "fileblob": "QUJD".repeat(MB / 12) }]);
    let mut nested = mail(10);
    nested["template_data"] = json!({ "a": vec![json!([0]); 1_000] });
    // The start of a message, in base64: a text and the head of an attachment.
    let head = "RnJvbTogYUBleGFtcGxlLmNvbQ0KVG86IGJAZXhhbXBsZS5uZXQNCkNvbnRlbnQtVHlwZTogbXVsdGlwYXJ0L21peGVkOyBib3VuZGFyeT14DQoNCi0teA0KDQpIaQ0KLS14DQpDb250ZW50LVR5cGU6IGFwcGxpY2F0aW9uL3BkZiANCg0K";
    let mime = json!({ "mime_email": head.to_owned() + &"QUJD".repeat(MB / 40) });
    let sms = json!({ "destination": ["+15550000001"], "content": "x".repeat(1_000) });
    let junk = vec![b'x'; MB];
    let before = resident();
    let mut sent = 0;
    for (request, path, count) in [
        (&mail(10), "/email/send", 800),
        (&file, "/email/send", 50),
        (&nested, "/email/send", 30),
        (&mime, "/email/mime", 60),
        (&mail(5_000), "/email/send", 500),
        (&sms, "/sms/send", 600),
    ] {
        for number in 0..count {
            assert_eq!(post(&sandbox, path, request).status, 200);
            if number % 50 == 0 {
                // A search fills the cache of the inbox.
                assert_eq!(send(&sandbox, "GET", "/?q=x", &[], b"").status, 200);
                sandbox.advance(Duration::from_millis(100));
            }
        }
        sent += count * request.to_string().len();
        let taken = resident().saturating_sub(before);
        assert!(
            taken < BUDGET * 3 / 2 + BASE,
            "{path}: the memory grew by {} MB",
            taken / MB
        );
    }
    for path in ["/v3/nothing", "/v3/email/send"] {
        for _ in 0..20 {
            assert!(send(&sandbox, "POST", path, &[], &junk).status > 400);
            sent += junk.len();
        }
    }
    let taken = resident().saturating_sub(before);
    assert!(
        taken < BUDGET * 3 / 2 + BASE,
        "the memory grew by {} MB",
        taken / MB
    );
    assert!(sent > 8 * BUDGET, "only {} MB were sent", sent / MB);
}
