//! What the API has added since this version: values, fields and operations.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::operation::{FailureIn200, Kind, Operation};
use smtp2go_sdk::types::{
    EmailEventKind, SmsEventKind, SuppressionType, SuppressionViewRequest, WebhookAddRequest,
    WebhookEditRequest, WebhookViewRequest,
};
use smtp2go_sdk::{Body, Certainty, Error, KeyLocation, RetryPolicy};

#[cfg(feature = "blocking")]
use crate::log_watch::watched;
use crate::support::{KEY, Tested, answer, answering, body, json as sent, one_by_one, sandbox};

// Values

#[tokio::test]
async fn unlisted_value_is_sent_and_misspelt_one_refused() {
    let server = answering(r#"{"data":{"id":1}}"#);
    let client = server.client();
    let request = WebhookAddRequest::new("https://example.com/webhook");
    for (event, refused) in [
        (EmailEventKind::from("opn"), true),
        (EmailEventKind::from("read"), true),
        (EmailEventKind::unlisted("Open"), true),
        (EmailEventKind::unlisted("spam-complaint"), true),
        (EmailEventKind::unlisted("open"), false),
        (EmailEventKind::unlisted("read"), false),
    ] {
        let before = server.calls().len();
        let request = request.clone().events([event.clone()]);
        let result = client.webhook().add(request).await;
        assert_eq!(result.is_err_and(|error| error.is_validation()), refused);
        let calls = server.calls().split_off(before);
        let events: Vec<_> = calls
            .iter()
            .map(|call| sent(call)["events"].clone())
            .collect();
        let expected = if refused {
            vec![]
        } else {
            vec![json!([event])]
        };
        assert_eq!(events, expected, "{event:?}");
    }
    // Refused also where any value is taken from text.
    let request = SuppressionViewRequest::new();
    let spelt = request.clone().suppression_types(["Bounce"]);
    client.suppression().view(spelt).await.unwrap();
    let spelt = request.suppression_types([SuppressionType::unlisted("Bounce")]);
    let error = client.suppression().view(spelt).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST /suppression/view: invalid request, nothing was sent: \
         suppression_types[0]: \"Bounce\" is not listed, but \"bounce\" is"
    );
}

#[tokio::test]
async fn unlisted_value_of_a_reply_can_be_sent_back() {
    let shown = r#"{"data":[{"id":7,"events":["open","Read"],"sms_events":"opt-out"}]}"#;
    let server = one_by_one([answer(200, shown), answer(200, "{}")]);
    let client = server.client();
    let webhooks = client
        .webhook()
        .view(WebhookViewRequest::new())
        .await
        .unwrap();
    assert_eq!(webhooks[0].events, [EmailEventKind::Open, "Read".into()]);
    assert_eq!(webhooks[0].sms_events, [SmsEventKind::from("opt-out")]);

    let edit = WebhookEditRequest::new(7)
        .events(webhooks[0].events.clone())
        .sms_events(webhooks[0].sms_events.clone());
    client.webhook().edit(edit).await.unwrap();
    assert_eq!(
        sent(&server.calls()[1]),
        json!({"id": 7, "events": ["open", "Read"], "sms_events": ["opt-out"]})
    );
}

// Operations

static READS: Operation = Operation::post("/stats/email_reads");

#[tokio::test]
async fn operation_of_ones_own_is_called() {
    let server = answering(r#"{"request_id":"r-1","data":{"reads":3}}"#);
    let client = server.client();
    let reply = client.execute(&READS, Body::from(r#"{"days":7}"#)).await;
    let reply = reply.unwrap();
    assert_eq!(reply.request_id(), Some("r-1"));
    assert_eq!(reply.json::<Value>().unwrap()["data"]["reads"], 3);
    assert!(reply.json::<Vec<u8>>().unwrap_err().is_decode());
    let call = server.call();
    assert_eq!(
        (call.method(), call.path()),
        ("POST", "/v3/stats/email_reads")
    );
    assert_eq!(call.header("x-smtp2go-api-key"), Some(KEY));
    assert_eq!(body(&call), r#"{"days":7}"#);

    // In place, and by another method.
    let patch = const { &Operation::new(http::Method::PATCH, "/thing") };
    client.execute(patch, Body::empty()).await.unwrap();
    assert_eq!(server.calls()[1].method(), "PATCH");
}

#[tokio::test]
async fn error_of_ones_own_operation_names_it() {
    let server = Sandbox::builder().key(KEY).start_blocking().unwrap();
    let error = server.client().execute(&READS, Body::empty()).await;
    let error = error.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(404));
    assert_eq!(error.operation().unwrap().id, "/stats/email_reads");
    let line = error.to_string();
    assert!(line.starts_with("POST /stats/email_reads: "), "{line}");

    static NAMED: Operation = Operation::post("/stats/email_reads").named("stats_email_reads");
    let error = server.client().execute(&NAMED, Body::empty()).await;
    assert_eq!(
        error.unwrap_err().operation().unwrap().id,
        "stats_email_reads"
    );
}

#[tokio::test]
async fn ones_own_operation_is_only_retried_if_it_says_so() {
    static SAFE: Operation = Operation::post("/stats/email_reads")
        .kind(Kind::Read)
        .repeat_safe(true);
    for (operation, fault, calls) in [
        (&READS, Fault::status(503), 1),
        (&READS, Fault::reset(), 1),
        (&READS, Fault::refuse().first(1), 0),
        (&SAFE, Fault::status(503), 3),
        (&SAFE, Fault::reset(), 3),
    ] {
        let shown = format!("{operation:?} {fault:?}");
        let server = sandbox(fault);
        let retry = RetryPolicy::new().min_backoff(Duration::ZERO);
        let client = server.builder().retry(retry).build().unwrap();
        let error = client.execute(operation, Body::empty()).await.unwrap_err();
        assert_eq!(server.calls().len(), calls, "{shown}: {error}");
    }
}

#[tokio::test]
async fn ones_own_operation_keeps_its_limits() {
    static LIMITED: Operation = Operation::post("/thing/add")
        .rate_limit(2, Duration::from_secs(3600))
        .max_body_bytes(20)
        .subaccount("subaccount_id")
        .key_in_body("api_key");
    let server = answering("{}");
    let client = server
        .builder()
        .key_location(KeyLocation::Bearer)
        .build()
        .unwrap();
    let refused = |error: &Error| error.certainty() == Certainty::NotSent;

    let error = client.execute(&LIMITED, Body::empty()).await.unwrap_err();
    assert!(refused(&error), "{error}");
    let large = Body::from(vec![b' '; 1024 * 1024 + 1]);
    let error = client.execute(&READS, large).await.unwrap_err();
    assert!(refused(&error), "{error}");
    let error = client
        .for_subaccount("4c1f")
        .execute(&READS, Body::empty())
        .await;
    assert!(refused(&error.unwrap_err()));
    assert_eq!(server.calls().len(), 0);

    static PACED: Operation = Operation::post("/thing/add")
        .rate_limit(2, Duration::from_secs(3600))
        .subaccount("subaccount_id")
        .key_in_body("api_key");
    let theirs = client.for_subaccount("4c1f");
    for _ in 0..2 {
        theirs.execute(&PACED, Body::empty()).await.unwrap();
    }
    let started = Instant::now();
    let error = theirs.execute(&PACED, Body::empty()).await.unwrap_err();
    assert!(error.is_rate_limited() && refused(&error), "{error}");
    assert!(started.elapsed() < Duration::from_secs(60));
    assert_eq!(server.calls().len(), 2);
    assert_eq!(
        sent(&server.calls()[0]),
        json!({"api_key": KEY, "subaccount_id": "4c1f"})
    );
}

#[tokio::test]
async fn failure_in_200_of_ones_own_operation_is_an_error() {
    static SEND: Operation = Operation::post("/email/send_later")
        .kind(Kind::Send)
        .failure_in_200(FailureIn200::MAIL);
    let failed = r#"{"data":{"succeeded":0,"failed":1,"failures":["no such sender"]}}"#;
    let server = answering(failed);
    let error = server
        .client()
        .execute(&SEND, Body::empty())
        .await
        .unwrap_err();
    assert_eq!(error.failures(), ["no such sender"]);
    assert_eq!(error.certainty(), Certainty::Rejected);
    let server = answering(r#"{"data":{"error":"no","error_code":"E_X"}}"#);
    let error = server
        .client()
        .execute(&READS, Body::empty())
        .await
        .unwrap_err();
    assert_eq!(error.certainty(), Certainty::Rejected);
}

#[tokio::test]
async fn path_to_another_place_sends_nothing() {
    static ELSEWHERE: [Operation; 5] = [
        Operation::post("//127.0.0.1/thing"),
        Operation::post("http://127.0.0.1/thing"),
        Operation::post(":9/thing"),
        Operation::post("/../thing"),
        Operation::post("/thing?key=1"),
    ];
    let server = answering("{}");
    for operation in &ELSEWHERE {
        let error = server.client().execute(operation, Body::empty()).await;
        let error = error.unwrap_err();
        assert!(error.is_config() && error.certainty() == Certainty::NotSent);
        assert!(error.to_string().contains(operation.path), "{error}");
    }
    assert_eq!(server.calls().len(), 0);
}

#[cfg(feature = "blocking")]
#[test]
fn blocking_client_calls_ones_own_operation() {
    let server = answering(r#"{"data":{"reads":3}}"#);
    let client = smtp2go_sdk::blocking::Client::builder(watched(KEY))
        .base_url(server.base_url())
        .build()
        .unwrap();
    let reply = client.execute(&READS, Body::empty()).unwrap();
    assert_eq!(reply.json::<Value>().unwrap()["data"]["reads"], 3);
    assert_eq!(server.call().path(), "/v3/stats/email_reads");
}
