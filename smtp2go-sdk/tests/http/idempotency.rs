//! Idempotency keys in requests.

use std::path::PathBuf;

use serde_json::{Value, json};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::ValidationError;
use smtp2go_sdk::{Certainty, Client, Email, Error, IDEMPOTENCY_HEADER, Mime};

use crate::log_watch::watched;

const KEY: &str = "order-42/confirmation";
const MESSAGE: &str =
    "From: a@example.com\r\nTo: b@example.net\r\nSubject: Hello\r\n\r\nX-Idempotency-Key: body\r\n";

async fn sandbox() -> Sandbox {
    Sandbox::builder().strict(true).start().await.unwrap()
}

/// A client whose idempotency header has this name, or the default name.
fn client(sandbox: &Sandbox, header: Option<&str>) -> Client {
    let builder = Client::builder(watched(sandbox.key())).base_url(sandbox.base_url());
    let builder = match header {
        Some(header) => builder.idempotency_header(header),
        None => builder,
    };
    builder.build().unwrap()
}

fn mail() -> Email {
    Email::new("a@example.com", "Hello")
        .to("b@example.net")
        .text("Hello")
}

fn problems(error: &ValidationError) -> Vec<String> {
    error.problems().iter().map(ToString::to_string).collect()
}

/// The problems of a mail that was not sent.
fn refused(error: &Error) -> Vec<String> {
    assert!(error.is_validation(), "{error}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    let problems = error.field_errors().iter();
    problems
        .map(|problem| format!("{}: {}", problem.field, problem.message))
        .collect()
}

#[tokio::test]
async fn key_is_sent_once_in_the_client_s_header() {
    let order = json!({"header": "X-Order", "value": "7"});
    for (header, name) in [(None, IDEMPOTENCY_HEADER), (Some("X-Once"), "X-Once")] {
        let sandbox = sandbox().await;
        let client = client(&sandbox, header);
        assert_eq!(client.idempotency_header(), name);
        let key = json!({"header": name, "value": KEY});
        let lower = name.to_lowercase();
        let written = json!({"header": &lower, "value": KEY});
        for (mail, expected) in [
            (mail(), Value::Null),
            (mail().idempotency_key(KEY), json!([key])),
            (
                mail().idempotency_key("x").idempotency_key(KEY),
                json!([key]),
            ),
            (
                mail().header("X-Order", "7").idempotency_key(KEY),
                json!([order, key]),
            ),
            (
                mail().header(&lower, KEY).idempotency_key(KEY),
                json!([written]),
            ),
        ] {
            let sent = client.send(mail.clone()).await.unwrap();
            let mails = sandbox.mails();
            let single = mails
                .iter()
                .find(|mail| Some(mail.email_id()) == sent.email_id.as_deref());
            assert_eq!(single.unwrap().request()["custom_headers"], expected);
            let batch = client.send_batch([mail]).await.unwrap();
            assert_eq!(batch.failures().count(), 0);
            let mails = sandbox.mails();
            let last = mails.iter().max_by_key(|mail| mail.accepted_at()).unwrap();
            assert_eq!(last.operation(), "email_batch");
            assert_eq!(last.request()["custom_headers"], expected);
        }
    }
}

#[tokio::test]
async fn key_that_is_not_a_safe_header_value_is_refused() {
    let sandbox = sandbox().await;
    let client = client(&sandbox, None);
    let long = "x".repeat(256);
    for (key, expected) in [
        ("", "the key is empty"),
        (&*long, "256 bytes, at most 255 are allowed"),
        ("a\r\nBcc: c@example.org", "only printable ASCII is allowed"),
        ("a\tb", "only printable ASCII is allowed"),
        ("bestellung-für-42", "only printable ASCII is allowed"),
        (" a", "a space at the start or end is not allowed"),
        ("a ", "a space at the start or end is not allowed"),
        (
            "=?utf-8?q?a?=",
            "\"=?\" is not allowed: it starts an encoded word",
        ),
    ] {
        let expected = format!("idempotency_key: {expected}");
        let mail = mail().idempotency_key(key);
        assert_eq!(problems(&mail.validate().unwrap_err()), [&*expected]);
        assert_eq!(
            refused(&client.send(mail.clone()).await.unwrap_err()),
            [&*expected]
        );
        let error = client.send_batch([mail]).await.unwrap_err();
        assert_eq!(refused(&error), [format!("emails[0].{expected}")]);
        let message = Mime::from_bytes(MESSAGE).idempotency_key(key);
        assert_eq!(
            refused(&client.send_mime(message).await.unwrap_err()),
            [expected]
        );
    }
    for key in ["a", "order 42 ~!\"#", &long[1..]] {
        client.send(mail().idempotency_key(key)).await.unwrap();
    }
}

#[tokio::test]
async fn header_with_another_value_is_refused() {
    let sandbox = sandbox().await;
    let client = client(&sandbox, Some("X-Once"));
    let expected = "custom_headers[1].value: X-Once has another value than idempotency_key, which sets \
                    this header";
    let mail = mail()
        .header(IDEMPOTENCY_HEADER, "other")
        .header("x-once", "other")
        .idempotency_key(KEY);
    assert_eq!(refused(&client.send(mail).await.unwrap_err()), [expected]);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.eml");
    let text = format!("X-ONCE: other\r\n{MESSAGE}");
    std::fs::write(&path, &text).unwrap();
    let expected =
        "mime_email: X-Once has another value than idempotency_key, which sets this header";
    for message in [Mime::from_bytes(text), Mime::from_path(&path)] {
        let error = client.send_mime(message.idempotency_key(KEY)).await;
        assert_eq!(refused(&error.unwrap_err()), [expected]);
    }
    assert!(sandbox.mails().is_empty());
}

#[tokio::test]
async fn key_is_the_first_line_of_a_mime_message() {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("1.eml");
    std::fs::write(&path, MESSAGE).unwrap();
    let sandbox = sandbox().await;
    let client = client(&sandbox, None);
    // Each remainder of the line's length divided by 3.
    for key in ["order-42", "order-421", "order-4210"] {
        for message in [
            Mime::from_bytes(MESSAGE),
            Mime::from_path(&path),
            Mime::from_reader(MESSAGE.as_bytes(), MESSAGE.len() as u64),
        ] {
            let message = message.idempotency_key(key);
            assert_eq!(message.key(), Some(key));
            let sent = client.send_mime(message).await.unwrap();
            let mails = sandbox.mails();
            let mail = mails
                .iter()
                .find(|mail| Some(mail.email_id()) == sent.email_id.as_deref());
            let text = String::from_utf8(mail.unwrap().mime().unwrap()).unwrap();
            let line = text.strip_suffix(MESSAGE).unwrap();
            let (name, value) = line.split_once(':').unwrap();
            assert_eq!((name, value.trim()), (IDEMPOTENCY_HEADER, key));
            assert!(value.ends_with("\r\n"), "{value:?}");
        }
    }
}

#[tokio::test]
async fn mime_message_that_already_has_the_header_is_sent_unchanged() {
    let sandbox = sandbox().await;
    let client = client(&sandbox, None);
    // Folded, as a program may write it.
    let text = format!("x-idempotency-key:\r\n {KEY}\r\n{MESSAGE}");
    client
        .send_mime(Mime::from_bytes(text.clone()).idempotency_key(KEY))
        .await
        .unwrap();
    assert_eq!(sandbox.mails()[0].mime().unwrap(), text.into_bytes());
}

#[cfg(feature = "lettre")]
#[tokio::test]
async fn key_header_of_a_lettre_message_is_its_idempotency_key() {
    use lettre::{AsyncTransport, Message};
    use smtp2go_sdk::IdempotencyKey;

    let message = |key: &str| {
        Message::builder()
            .from("a@example.com".parse().unwrap())
            .to("b@example.net".parse().unwrap())
            .header(IdempotencyKey::new(key))
            .body("Hello".to_owned())
            .unwrap()
    };
    let sandbox = sandbox().await;
    let long = "long ".repeat(50) + "12345";
    for key in [KEY, &long] {
        let message = message(key);
        assert_eq!(Mime::from(&message).key(), Some(key));
        let formatted = message.formatted();
        for (header, line) in [(None, ""), (Some("X-Once"), "X-Once:")] {
            AsyncTransport::send(&client(&sandbox, header), message.clone())
                .await
                .unwrap();
            let mails = sandbox.mails();
            let last = mails.iter().max_by_key(|mail| mail.accepted_at()).unwrap();
            let sent = last.mime().unwrap();
            let added = sent.strip_suffix(&*formatted).unwrap();
            let added = String::from_utf8(added.to_vec()).unwrap();
            assert_eq!(added.is_empty(), line.is_empty(), "{added}");
            assert!(added.starts_with(line), "{added}");
        }
    }
    let bad = message("a\r\nBcc: c@example.org");
    assert!(
        !String::from_utf8(bad.formatted())
            .unwrap()
            .contains("\r\nBcc")
    );
    let error = client(&sandbox, None).send_mime(bad).await.unwrap_err();
    assert!(
        refused(&error)[0].starts_with("idempotency_key: "),
        "{error}"
    );
}
