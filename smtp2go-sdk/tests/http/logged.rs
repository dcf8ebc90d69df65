//! Tests of `log_watch`: it checks every logged line, and a secret in one ends the process.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::log_watch::{heard, secret, watched};
use crate::support::{KEY, Tested, answering, own_http};
use smtp2go_sdk::Email;

#[test]
fn secrets_are_found_in_a_line() {
    watched("api-WATCHED0watched0WATCHED0watched0");
    watched("hidd3n/ \u{e9}+");
    for (line, expected) in [
        (format!("key={KEY}"), Some("a key")),
        ("api-SANDBOX0SANDBOX0".to_owned(), Some("a key")),
        ("key=…CHED0 WATCHED0…".to_owned(), Some("a part of a key")),
        ("to=\"jane@example.net\"".to_owned(), Some("an address")),
        (
            "url=/x?to=jane%40example.net".to_owned(),
            Some("an address"),
        ),
        (
            "Authorization: Bearer hidd3n/ \u{e9}+".to_owned(),
            Some("a password"),
        ),
        (
            "path=\"/hidd3n%2F%20%C3%A9+\"".to_owned(),
            Some("a password"),
        ),
        (
            "query=\"a=hidd3n%2f+%c3%a9%2B\"".to_owned(),
            Some("a password"),
        ),
        ("Authorization: Basic dXNlcjpoaWRkZW4=".to_owned(), None),
        ("server.address=\"eu-api.smtp2go.com\"".to_owned(), None),
        ("operation=\"api_keys_add\" attempt=1".to_owned(), None),
    ] {
        assert_eq!(secret(&line), expected, "{line}");
    }
    for user in ["a", "ab", "abc"] {
        let basic = STANDARD.encode(format!("{user}:hidd3n/ \u{e9}+"));
        assert_eq!(
            secret(&format!("Basic {basic}")),
            Some("a password"),
            "{basic}"
        );
    }
}

#[tokio::test]
async fn events_of_tracing_and_log_are_checked() {
    let server = answering(r#"{"data":{"email_id":"1"}}"#);
    let http = own_http().build().unwrap();
    let client = server.builder().http_client(http).build().unwrap();
    let email = Email::new("a@example.com", "Hi").to("b@example.net");
    client.send(email.text("Hi")).await.unwrap();
    // smtp2go_sdk logs with tracing, reqwest with the crate log.
    assert!(heard("smtp2go_sdk") && heard("reqwest"));
}

/// Logs secrets in a second process.
#[test]
fn leak_ends_the_process() {
    const LEAK: &str = "SMTP2GO_TEST_LEAK";
    if let Ok(way) = std::env::var(LEAK) {
        watched(KEY);
        watched("hidd3n");
        // On a thread, where a panic would not end the process.
        let _ = std::thread::spawn(move || match way.as_str() {
            "event" => tracing::trace!(to = "jane@example.net"),
            "span" => drop(tracing::trace_span!("call", key = KEY)),
            "later" => {
                let span = tracing::trace_span!("call", auth = tracing::field::Empty);
                span.record("auth", "hidd3n");
            }
            "log" => log::trace!("to jane@example.net"),
            _ => tracing::trace!("nothing"),
        })
        .join();
        return;
    }
    for (way, what) in [
        ("event", Some("an address")),
        ("span", Some("a key")),
        ("later", Some("a password")),
        ("log", Some("an address")),
        ("none", None),
    ] {
        let again = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "logged::leak_ends_the_process"])
            .env(LEAK, way)
            .output()
            .unwrap();
        let says = String::from_utf8_lossy(&again.stderr);
        assert_eq!(again.status.success(), what.is_none(), "{way}: {says}");
        let what = what.unwrap_or_default();
        assert!(says.contains(what), "{way}: {says}");
    }
}
