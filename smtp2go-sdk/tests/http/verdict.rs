//! Whether a call counts as sent: it depends on the time left, on how much of the body was sent,
//! and on the head of the reply.

use std::time::{Duration, Instant};

use crate::log_watch::watched;
use crate::support::{Tested, answer, answering, called, one_by_one, sandbox};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::{Attachment, CallOptions, Certainty, Client, Email, RetryPolicy};

fn mail() -> Email {
    Email::new("Acme <noreply@example.com>", "Hello")
        .to("jane@example.net")
        .text("Hello")
}

fn large_mail(size: usize) -> Email {
    mail().attach(Attachment::from_bytes("a.bin", vec![7; size]))
}

#[tokio::test]
async fn deadline_that_is_zero_or_has_passed_sends_nothing() {
    let sandbox = Sandbox::builder().start_blocking().unwrap();
    let client = Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    // The allowance for two megabytes is half a minute.
    for email in [mail(), large_mail(2_000_000)] {
        let options = CallOptions::new;
        for late in [
            options().deadline(Duration::ZERO),
            options().deadline(Duration::from_nanos(1)),
            options().end_by(Instant::now()),
        ] {
            let late = client.with_options(late);
            let error = late.send(email.clone()).await.unwrap_err();
            assert_eq!(error.kind(), "deadline");
            assert_eq!(error.certainty(), Certainty::NotSent);
            assert_eq!(error.attempts(), 0);
        }
    }
    assert!(sandbox.calls().is_empty());
}

#[tokio::test]
async fn pause_begins_at_the_head_of_a_429() {
    let stalled = answer(429, r#"{"data":{"error":"too many requests"}}"#)
        .header("Retry-After", "30")
        .then(Fault::stalled_halfway())
        .nth(1);
    let sandbox = sandbox(stalled);
    let client = sandbox
        .builder()
        .deadline(Duration::from_secs(5))
        .build()
        .unwrap();
    let first = tokio::spawn({
        let client = client.clone();
        async move { client.send(mail()).await }
    });
    called(&sandbox, 1).await;
    // Waits until the head of the 429 has arrived.
    let held = loop {
        let quick = client.with_options(CallOptions::new().deadline(Duration::from_millis(50)));
        match quick.send(mail()).await {
            Err(error) if error.kind() == "paused" => break error,
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    assert_eq!(held.certainty(), Certainty::NotSent);
    assert!(held.retry_after().unwrap() > Duration::from_secs(25));
    assert!(
        !first.is_finished(),
        "the body of the first reply has not ended"
    );
    let before = sandbox.calls().len();
    for _ in 0..25 {
        let error = client.send(mail()).await.unwrap_err();
        assert_eq!(error.kind(), "paused");
    }
    assert_eq!(sandbox.calls().len(), before);
    first.abort();
}

#[tokio::test]
async fn reply_that_arrived_while_the_runtime_was_blocked_is_read() {
    let sandbox = sandbox(Fault::delay(Duration::from_millis(50)));
    let client = sandbox
        .builder()
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    for _ in 0..5 {
        let seen = sandbox.calls().len();
        let call = tokio::spawn({
            let client = client.clone();
            async move { client.send(mail()).await }
        });
        called(&sandbox, seen + 1).await;
        // Blocks the runtime beyond the timeout. The reply arrives in the meantime.
        std::thread::sleep(Duration::from_millis(400));
        let sent = call.await.unwrap().unwrap();
        assert!(sent.email_id.is_some());
    }
}

#[tokio::test]
async fn upload_that_breaks_before_its_last_byte_is_not_sent() {
    let sandbox = sandbox(Fault::reset_before_reading());
    let retry = RetryPolicy::new().min_backoff(Duration::ZERO);
    let client = sandbox
        .builder()
        .retry(retry.max_backoff(Duration::ZERO))
        .build()
        .unwrap();
    let error = client.send(large_mail(30_000_000)).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::NotSent, "{error}");
    assert_eq!(error.attempts(), 3);
    assert!(sandbox.calls().iter().all(|call| !call.received()));
}

#[tokio::test]
async fn upload_that_stalls_times_out_as_not_sent() {
    let sandbox = sandbox(Fault::stall_before_reading());
    let client = sandbox
        .builder()
        .timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let started = Instant::now();
    let error = client.send(large_mail(30_000_000)).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(error.to_string().contains("was not sent whole"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn error_of_a_404_hints_at_a_missing_version_in_the_base_url() {
    for (path, hinted) in [
        ("", true),
        ("/api", true),
        ("/v3", false),
        ("/proxy/v3/", false),
    ] {
        let sandbox = sandbox(Fault::status(404));
        let url = sandbox.base_url().replace("/v3", path);
        let client = sandbox.builder().base_url(url).build().unwrap();
        let error = client.send(mail()).await.unwrap_err();
        assert_eq!(error.status().unwrap(), 404);
        assert_eq!(error.to_string().contains("/v3"), hinted, "{path}: {error}");
    }
}

#[tokio::test]
async fn error_in_a_batch_has_the_number_of_attempts() {
    let refused = r#"{"data":[{"failed":1},{"email_id":"1a"}]}"#;
    let limited = Fault::status(429).header("Retry-After", "0");
    let sandbox = one_by_one([limited, answer(200, refused)]);
    let client = sandbox
        .builder()
        .retry(RetryPolicy::new().min_backoff(Duration::ZERO))
        .build()
        .unwrap();
    let batch = client.send_batch([mail(), mail()]).await.unwrap();
    let outcomes = batch.outcomes();
    let error = outcomes[0].as_ref().unwrap_err();
    assert_eq!((error.attempts(), batch.reply().attempts()), (2, 2));
    assert!(outcomes[1].is_ok());
}

#[tokio::test]
async fn error_explains_a_status_200_that_is_not_from_the_api() {
    for (body, words) in [
        (
            "<html>sign in</html>",
            "an HTML page, not from the API itself",
        ),
        ("signed out", "captive portal"),
        ("", "the reply is empty"),
    ] {
        let error = answering(body).client().send(mail()).await.unwrap_err();
        assert!(error.is_decode());
        let text = error.to_string();
        assert!(text.contains(words), "{text}");
        assert!(text.contains("may have been processed"), "{text}");
    }
}
