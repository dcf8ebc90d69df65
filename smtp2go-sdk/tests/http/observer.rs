//! Reports to the observer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::log_watch::watched;
use crate::support::nowhere;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::operation::Operation;
use smtp2go_sdk::types::{SmsSendRequest, TemplateViewRequest};
use smtp2go_sdk::{
    AttemptReport, Body, CallReport, Certainty, Client, ClientBuilder, Email, Next, Observer,
    RetryPolicy,
};

/// Writes a line for each report.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn note(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Notes {
    fn call_started(&self, operation: &'static Operation) {
        self.note(format!("start {}", operation.id));
    }

    fn attempt_ended(&self, attempt: &AttemptReport<'_>) {
        let AttemptReport {
            attempt,
            status,
            error,
            certainty,
            next,
            bytes_sent,
            ..
        } = *attempt;
        let status = status.map(|status| status.as_u16());
        let next = match next {
            Next::Done => "done".to_owned(),
            Next::Retry { reason, .. } => format!("retry {reason}"),
            Next::Stop { reason } => format!("stop {reason}"),
            other => format!("{other:?}"),
        };
        let sent = bytes_sent > 0;
        self.note(format!(
            "attempt {attempt} {status:?} {error:?} {certainty:?} {sent} {next}"
        ));
    }

    fn call_ended(&self, call: &CallReport<'_>) {
        let CallReport {
            operation,
            attempts,
            status,
            error,
            certainty,
            ..
        } = *call;
        let status = status.map(|status| status.as_u16());
        let id = operation.id;
        self.note(format!(
            "end {id} {attempts} {status:?} {error:?} {certainty:?}"
        ));
    }
}

fn observed(url: &str, key: &str) -> (ClientBuilder, Arc<Notes>) {
    let notes = Arc::new(Notes::default());
    let builder = Client::builder(watched(key))
        .base_url(url)
        .retry(RetryPolicy::new().min_backoff(Duration::ZERO))
        .observer(notes.clone());
    (builder, notes)
}

fn view() -> TemplateViewRequest {
    TemplateViewRequest::new("welcome")
}

/// A sandbox that has every template.
fn stateless() -> Sandbox {
    Sandbox::builder()
        .strict(true)
        .stateless(true)
        .start_blocking()
        .unwrap()
}

#[tokio::test]
async fn own_operation_is_reported_with_its_id() {
    static READS: Operation = Operation::post("/stats/email_reads");
    let server = stateless();
    let (builder, notes) = observed(server.base_url(), server.key());
    let call = builder
        .build()
        .unwrap()
        .execute(&READS, Body::empty())
        .await;
    call.unwrap_err();
    assert_eq!(
        notes.take(),
        [
            "start /stats/email_reads",
            r#"attempt 1 Some(404) Some("status") Some(Rejected) true stop final"#,
            r#"end /stats/email_reads 1 Some(404) Some("status") Some(Rejected)"#,
        ]
    );
}

#[tokio::test]
async fn attempts_and_calls_are_reported_in_order() {
    let server = stateless();
    let (builder, notes) = observed(server.base_url(), server.key());
    let client = builder.build().unwrap();

    client.template().view(view()).await.unwrap();
    assert_eq!(
        notes.take(),
        [
            "start template_view",
            "attempt 1 Some(200) None None true done",
            "end template_view 1 Some(200) None None",
        ]
    );

    server.faults().add(Fault::status(503).nth(1));
    server.faults().add(Fault::reset().nth(2));
    client.template().view(view()).await.unwrap();
    assert_eq!(
        notes.take(),
        [
            "start template_view",
            r#"attempt 1 Some(503) Some("status") Some(Unknown) true retry repeat_safe"#,
            r#"attempt 2 None Some("connection") Some(Unknown) true retry repeat_safe"#,
            "attempt 3 Some(200) None None true done",
            "end template_view 3 Some(200) None None",
        ]
    );

    server.faults().clear();
    server.faults().add(Fault::status(502).nth(1));
    let mail = Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi");
    client.send(mail).await.unwrap_err();
    assert_eq!(
        notes.take(),
        [
            "start email_send",
            r#"attempt 1 Some(502) Some("status") Some(Unknown) true stop not_repeat_safe"#,
            r#"end email_send 1 Some(502) Some("status") Some(Unknown)"#,
        ]
    );

    // A call without an attempt is reported too, at every entry point.
    let nobody = Email::new("a@example.com", "Hi");
    client.send(nobody.clone()).await.unwrap_err();
    client.send_batch([nobody]).await.unwrap_err();
    let no_numbers = SmsSendRequest::new(Vec::<String>::new(), "Hi");
    client.sms().send(no_numbers).await.unwrap_err();
    let told = notes.take();
    let ends: Vec<_> = told.iter().filter(|line| line.starts_with("end")).collect();
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(
        ends,
        [
            r#"end email_send 0 None Some("validation") Some(NotSent)"#,
            r#"end email_batch 0 None Some("validation") Some(NotSent)"#,
            r#"end sms_send 0 None Some("validation") Some(NotSent)"#,
        ]
    );
}

#[tokio::test]
async fn undecodable_reply_is_reported_as_an_error() {
    let server = stateless();
    let (builder, notes) = observed(server.base_url(), server.key());
    let client = builder.build().unwrap();
    server
        .faults()
        .add(Fault::status(200).html("<html>").first(1))
        .add(Fault::failed("550 no").nth(2));
    client.template().view(view()).await.unwrap_err();
    let told = notes.take();
    assert_eq!(
        told.last().unwrap(),
        r#"end template_view 1 Some(200) Some("decode") Some(Unknown)"#
    );
    let mail = Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi");
    client.send(mail).await.unwrap_err();
    let told = notes.take();
    assert_eq!(
        told.last().unwrap(),
        r#"end email_send 1 Some(200) Some("failed_in_200") Some(Rejected)"#
    );
}

#[tokio::test]
async fn failover_is_reported_as_a_retry() {
    let server = stateless();
    let (builder, notes) = observed(&nowhere(), server.key());
    let client = builder.failover_urls([server.base_url()]).build().unwrap();
    client.template().view(view()).await.unwrap();
    assert_eq!(
        notes.take()[1],
        r#"attempt 1 None Some("connect") Some(NotSent) false retry not_sent"#
    );
}

#[tokio::test]
async fn dropped_call_is_reported_as_cancelled() {
    let server = stateless();
    let (builder, notes) = observed(server.base_url(), server.key());
    let client = builder.build().unwrap();
    server.faults().add(Fault::stall().nth(1));
    let short = Duration::from_millis(300);
    let templates = client.template();
    let call = tokio::time::timeout(short, templates.view(view()));
    call.await.unwrap_err();
    assert_eq!(
        notes.take(),
        [
            "start template_view",
            r#"attempt 1 None Some("cancelled") Some(Unknown) true stop cancelled"#,
            r#"end template_view 1 None Some("cancelled") Some(Unknown)"#,
        ]
    );

    // Dropped while it waits for its retry.
    server
        .faults()
        .add(Fault::status(429).header("Retry-After", "60").nth(1));
    let call = tokio::time::timeout(short, templates.view(view()));
    call.await.unwrap_err();
    assert_eq!(
        notes.take(),
        [
            "start template_view",
            r#"attempt 1 Some(429) Some("status") Some(Rejected) true retry rate_limited"#,
            r#"end template_view 1 None Some("cancelled") Some(Rejected)"#,
        ]
    );
}

#[tokio::test]
async fn report_has_sizes_hosts_and_ids() {
    #[derive(Default)]
    struct Sizes(Mutex<Vec<(u64, u64, bool)>>);
    impl Observer for Sizes {
        fn call_ended(&self, call: &CallReport<'_>) {
            assert_eq!(call.region, None);
            assert!(call.host.unwrap().starts_with("127.0.0.1:"));
            let id = call.request_id.is_some();
            let row = (call.bytes_sent, call.bytes_received, id);
            self.0.lock().unwrap().push(row);
        }
    }
    let server = stateless();
    let sizes = Arc::new(Sizes::default());
    let client = Client::builder(watched(server.key()))
        .base_url(server.base_url())
        .observer(sizes.clone())
        .build()
        .unwrap();
    let reply = client.template().view(view()).await.unwrap();
    let sent = server.calls()[0].body().len() as u64;
    let received = reply.body().len() as u64;
    assert_eq!(*sizes.0.lock().unwrap(), [(sent, received, true)]);
}

#[tokio::test]
async fn panic_of_the_observer_does_not_affect_the_call() {
    struct Panics;
    impl Observer for Panics {
        fn call_started(&self, _: &'static Operation) {
            panic!("on purpose");
        }
        fn attempt_ended(&self, _: &AttemptReport<'_>) {
            panic!("on purpose");
        }
        fn call_ended(&self, _: &CallReport<'_>) {
            panic!("on purpose");
        }
    }
    let server = stateless();
    let client = Client::builder(watched(server.key()))
        .base_url(server.base_url())
        .retry(RetryPolicy::none())
        .observer(Panics)
        .build()
        .unwrap();
    client.template().view(view()).await.unwrap();
    server.faults().add(Fault::close().nth(1));
    let error = client.template().view(view()).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown);
}
