//! Debug of the SDK's own types is for logs, so it shows no address, content or secret. Display of
//! errors is one line.

use std::error::Error as _;
use std::fmt::Debug;

use serde_json::json;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::{EmailEventKind, WebhookAddRequest, WebhookFormat};
use smtp2go_sdk::webhook::{Auth, MemoryDeduplicator, Receiver, RequestHead, Subscription};
use smtp2go_sdk::{Attachment, Body, CallOptions, Email, Mailbox, Mime, RetryPolicy, operations};

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answer, sandbox};

/// Part of every address, name, text, file and password in the tests. Debug must not show it.
const HUSH: &str = "hush";
const SECRET: &str = "hush-s3cret";

/// The Debug texts.
#[derive(Default)]
struct Shown(Vec<String>);

impl Shown {
    fn add(&mut self, what: impl Debug) {
        self.0.push(format!("{what:?}"));
        self.0.push(format!("{what:#?}"));
    }

    fn error(&mut self, error: &smtp2go_sdk::Error) {
        self.add(error);
        self.add(error.field_errors());
        self.add(error.code());
        let mut source = error.source();
        while let Some(error) = source {
            self.add(error);
            source = error.source();
        }
    }
}

fn email() -> Email {
    Email::new("Hush <hush@hush.example>", "hush subject")
        .to("hush.to@hush.example")
        .cc(("Hush, Jane", "hush.cc@hush.example"))
        .bcc("hush.bcc@hush.example")
        .reply_to("hush.reply@hush.example")
        .header("X-Hush", "hush header")
        .text("hush text")
        .html("<p>hush html <img src=\"cid:hush.png\">")
        .attach(Attachment::from_bytes("hush.txt", &b"hush file"[..]))
        .inline(Attachment::from_bytes("hush.png", &b"hush image"[..]))
}

#[tokio::test]
async fn debug_shows_no_address_content_or_secret() {
    let mut shown = Shown::default();
    let folder = tempfile::Builder::new().prefix(HUSH).tempdir().unwrap();
    let path = folder.path().join("hush.bin");
    std::fs::write(&path, "hush").unwrap();

    // Valid and invalid mail.
    shown.add(email());
    shown.add(
        Email::from_template("hush@hush.example", "welcome").template_data(json!({ "a": HUSH })),
    );
    for text in ["Hush <hush@hush.example>", "hush@", "hush"] {
        shown.add(Mailbox::from(text));
        if let Err(error) = text.parse::<Mailbox>() {
            shown.add(error);
        }
    }
    for file in [
        Attachment::from_bytes("hush.txt", &b"hush"[..]),
        Attachment::from_path(&path),
        Attachment::from_url("hush.txt", "https://hush.example/hush"),
    ] {
        shown.add(file);
    }
    shown.add(Mime::from_bytes(&b"Subject: hush"[..]));
    shown.add(Mime::from_path(&path));
    shown.add(Body::from(r#"{"hush":"hush"}"#));
    let invalid = email().to("hush at hush.example").header("hush:", HUSH);
    let problems = invalid.validate().unwrap_err();
    shown.add(&problems);
    shown.add(problems.problems());

    // Clients.
    let server = Sandbox::builder().key(KEY).start().await.unwrap();
    let builder = server.builder().retry(RetryPolicy::none());
    let client = builder.clone().build().unwrap();
    shown.add(&builder);
    shown.add(&client);
    shown.add(client.with_options(CallOptions::new()));
    shown.add(CallOptions::new());
    shown.add(builder.base_url("https://hush:hush@hush.example/"));
    #[cfg(feature = "raw")]
    shown.add(client.raw());
    #[cfg(feature = "lettre")]
    shown.add(smtp2go_sdk::LettreTransport::new(client.clone()));

    // Results of calls.
    shown.add(client.send(email()).await.unwrap());
    let mut sending = client.send_all([email(), invalid.clone()], 1);
    shown.add(&sending);
    while let Some(outcome) = sending.next().await {
        shown.add(outcome);
    }
    shown.add(sending.handle());
    shown.add(sending.report());
    shown.add(client.execute(&operations::EMAIL_SEND, Body::json(&json!({
        "sender": "hush@hush.example", "to": ["hush@hush.example"], "subject": HUSH, "text_body": HUSH,
    })).unwrap()).await.unwrap());
    shown.error(&client.send(invalid).await.unwrap_err());
    let gone = email().attach(Attachment::from_path(folder.path().join("hush")));
    shown.error(&client.send(gone).await.unwrap_err());

    // Errors of replies that quote addresses and the key.
    let words = "hush@hush.example";
    let evil = json!({
        "request_id": words,
        "data": {
            "error": format!("{words} is not yours, {KEY}"),
            "error_code": format!("E_ApiResponseCodes.{words}"),
            "field_validation_errors": { "fieldname": words, "message": words },
            "failed": 1,
            "failures": [words],
        },
    });
    for fault in [
        Fault::status(400).json(&evil),
        Fault::status(200).json(&evil),
        Fault::status(503).body("text/plain", words),
        Fault::status(307).header("Location", "https://hush.example/hush"),
        Fault::failed(format!("550 {words}")),
        answer(200, "[\"hush\"]"),
        Fault::close(),
        Fault::truncated(),
    ] {
        let server = sandbox(fault);
        let client = server.client();
        shown.error(&client.send(email()).await.unwrap_err());
        let lenient = client.with_options(CallOptions::new().failures_are_errors(false));
        if let Ok(sent) = lenient.send(email()).await {
            assert_eq!(sent.failures.len(), 1);
            shown.add(sent);
        }
        match client.send_batch([email(), email()]).await {
            Ok(batch) => {
                batch.failures().for_each(|(_, error)| shown.error(error));
                shown.add(batch);
            }
            Err(error) => shown.error(&error),
        }
    }

    // Webhooks.
    for auth in [
        Auth::bearer(watched(SECRET)).unwrap(),
        Auth::basic(HUSH, watched(SECRET)).unwrap(),
        Auth::basic_in_url(HUSH, watched(SECRET)).unwrap(),
        Auth::secret_path(watched(SECRET)).unwrap(),
        Auth::secret_query("token", watched(SECRET)).unwrap(),
    ] {
        shown.add(&auth);
        let receiver = Receiver::new(auth.clone()).deduplicate(MemoryDeduplicator::new());
        shown.add(&receiver);
        let head = RequestHead::new("/hush?hush=hush").authorization(b"hush".as_slice());
        shown.add(head);
        let refused = receiver.receive(&head, b"{hush").unwrap_err();
        shown.add(&refused);
        let subscription = Subscription::email([EmailEventKind::Bounce])
            .usernames(["hush@hush.example"])
            .format(WebhookFormat::Json);
        shown.add(&subscription);
        let url = "https://hush.example/webhook";
        let ensured = client
            .ensure_webhook(url, subscription, &auth)
            .await
            .unwrap();
        shown.add(ensured);
    }
    let request = WebhookAddRequest::new("https://example.com/").auth_header_value(watched(SECRET));
    request.validate().unwrap();
    shown.add(request);

    assert!(shown.0.len() > 100);
    let leaks: Vec<_> = shown
        .0
        .iter()
        .filter(|text| {
            let text = text.to_lowercase();
            [HUSH, "@", "jane", "0123456789"]
                .iter()
                .any(|part| text.contains(part))
        })
        .collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    // Debug still shows useful facts.
    let all = shown.0.join("\n");
    for there in [
        "to: 1",
        "9 bytes",
        "status: 400",
        "Some(Unknown(\"…\"))",
        "\"to[1]\"",
        "usernames: Some(1)",
        "\"email_send\"",
    ] {
        assert!(all.contains(there), "{there} in {all}");
    }
}

/// Text that starts another line, colours a terminal, and reorders and hides what follows.
const ODD: &str = "a\r\nb\u{2028}c\u{1b}[31md\u{85}e\u{202e}f\u{2066}g\u{200f}h\u{200b}i";

fn is_fit(text: &str) -> bool {
    let hides = |c| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{200f}');
    !text.contains(char::is_control) && !text.contains(hides)
}

/// Display of an error and of everything in it.
fn said(error: &smtp2go_sdk::Error) -> Vec<String> {
    let mut said = vec![error.to_string()];
    said.extend(error.field_errors().iter().map(ToString::to_string));
    said.extend(error.code().map(|code| code.to_string()));
    let mut source = error.source();
    while let Some(error) = source {
        said.push(error.to_string());
        source = error.source();
    }
    said
}

#[tokio::test]
async fn foreign_text_in_errors_stays_on_one_line_in_order() {
    let mut errors = Vec::new();
    let evil = json!({
        "request_id": ODD,
        "data": {
            "error": ODD,
            "error_code": ODD,
            "field_validation_errors": { "fieldname": ODD, "message": ODD },
            "failed": 1,
            "failures": [ODD],
        },
    });
    for fault in [
        Fault::status(400).json(&evil),
        Fault::status(200).json(&evil),
        Fault::status(503).body("text/plain", ODD),
        Fault::failed(ODD),
    ] {
        let server = sandbox(fault);
        let client = server.client();
        errors.push(client.send(email()).await.unwrap_err());
        if let Err(error) = client.send_batch([email()]).await {
            errors.push(error);
        }
    }
    let server = Sandbox::builder().key(KEY).start().await.unwrap();
    let client = server.builder().retry(RetryPolicy::none()).build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    for mail in [
        email().to(ODD),
        email().to(format!("{ODD} <a@example.com>")),
        email().to(format!("{ODD}@example.com")),
        email().to(format!("a@{ODD}")),
        email().header(ODD, "x"),
        email().attach(Attachment::from_bytes(ODD, "x")),
        email().attach(Attachment::from_bytes("x", "x").mimetype(ODD)),
        email().attach(Attachment::from_path(folder.path().join(ODD))),
        email().attach(Attachment::from_url("x", ODD)),
        email().inline(Attachment::from_bytes(ODD, "x")),
        email().html(format!("<img src=\"cid:{ODD}\">")),
    ] {
        errors.push(client.send(mail).await.unwrap_err());
    }
    errors.push(
        client
            .ensure_webhook(ODD, [EmailEventKind::Open], None)
            .await
            .unwrap_err(),
    );
    errors.push(server.builder().base_url(ODD).build().unwrap_err());
    errors.push(ODD.parse::<smtp2go_sdk::Region>().unwrap_err());
    let mut said: Vec<_> = errors.iter().flat_map(said).collect();
    said.push(ODD.parse::<Mailbox>().unwrap_err().to_string());
    for body in [
        format!("{{\"{ODD}\":"),
        format!("{{{ODD}}}"),
        format!("[\"{ODD}\"]"),
        ODD.to_owned(),
        format!("{ODD}=1"),
    ] {
        let receiver = Receiver::without_authentication();
        let refused = receiver.receive(&RequestHead::new(ODD), body.as_bytes());
        said.push(refused.unwrap_err().to_string());
    }
    let unknown = WebhookAddRequest::new("https://example.com/").events([ODD]);
    said.push(unknown.validate().unwrap_err().to_string());

    // Differences quote the service's values.
    let shows = |data| Fault::status(200).json(&json!({ "data": data }));
    let webhook = json!({ "id": 1, "url": "https://example.com/", "usernames": [ODD] });
    server
        .faults()
        .add(shows(json!([webhook])).on("webhook_view"));
    server.faults().add(shows(webhook).on("webhook_edit"));
    let wanted = Subscription::email([EmailEventKind::Open]).usernames(["b"]);
    let ensured = client
        .ensure_webhook("https://example.com/", wanted, None)
        .await
        .unwrap();
    said.extend(ensured.differences.iter().map(ToString::to_string));

    assert!(said.len() > 30, "{}", said.len());
    let unfit: Vec<_> = said.iter().filter(|text| !is_fit(text)).collect();
    assert!(unfit.is_empty(), "{unfit:#?}");
    // The harmless part of the text is kept.
    assert!(
        said.iter().filter(|text| text.contains("[31md")).count() > 15,
        "{said:#?}"
    );
}
