//! The raw door leads into the same core.

use crate::log_watch::watched;
use crate::mail::assert_line_break_refused;
use crate::support::{KEY, Tested, answer, answering, body, sandbox};
use smtp2go_sandbox::Fault;
use smtp2go_sdk::types::{
    BatchEmail, EmailBatchRequest, EmailSendRequest, IpAuthRemoveRequest, TemplateViewRequest,
};
use smtp2go_sdk::{Error, KeyLocation};

const VIEWED: &str = r#"{"request_id":"r-1","data":{"id":"welcome","subject":"Hello"}}"#;

fn request() -> TemplateViewRequest {
    TemplateViewRequest::new("welcome")
}

#[tokio::test]
async fn requests_are_the_same_through_both_doors() {
    for location in [KeyLocation::Header, KeyLocation::Bearer, KeyLocation::Body] {
        let server = sandbox(answer(200, VIEWED).header("X-Extra", "1"));
        let client = server.builder().key_location(location).build().unwrap();
        let typed = client.template().view(request()).await.unwrap();
        let raw = client.raw().template_view(&request()).await.unwrap();
        assert_eq!(raw.data.as_ref(), Some(&*typed));
        assert_eq!(raw.request_id.as_deref(), typed.request_id());
        assert_eq!(raw.headers()["x-extra"], "1");
        let requests = server.calls();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].head(), requests[1].head());
        assert_eq!(requests[0].body(), requests[1].body());
    }
}

#[tokio::test]
async fn requests_are_checked_before_they_are_sent() {
    let server = answering("{}");
    let raw = server.client().raw();
    let to = ["b@example.net\r\nBcc: c@example.org"];
    let request = EmailSendRequest::new("a@example.com", to);
    let error = raw.email_send(&request).await.unwrap_err();
    assert_line_break_refused(&error, "to[0]");
    let item = BatchEmail::new("a@example.com", to, "Hi");
    let request = EmailBatchRequest::new([item]);
    let error = raw.email_batch(&request).await.unwrap_err();
    assert_line_break_refused(&error, "emails[0].to[0]");
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn errors_are_the_same_through_both_doors() {
    let refused = r#"{"request_id":"r","data":{"error":"no","error_code":"E_ApiResponseCodes.API_EXCEPTION"}}"#;
    let facts = |error: &Error| {
        (
            (
                error.status(),
                error.code(),
                error.certainty(),
                error.attempts(),
            ),
            (
                error.operation().unwrap().id,
                error.request_id().map(ToOwned::to_owned),
            ),
            (
                error.body().cloned(),
                error.to_string(),
                format!("{error:?}"),
            ),
        )
    };
    for fault in [
        answer(400, refused),
        answer(200, refused),
        Fault::status(429).header("Retry-After", "3"),
        Fault::status(502).html("<html>"),
        Fault::status(307).header("Location", "http://192.0.2.1/"),
        answer(599, "own"),
    ] {
        let server = sandbox(fault);
        let client = server.client();
        let typed = client.template().view(request()).await.unwrap_err();
        // Of another client: a 429 holds back the whole client.
        let other = server.client();
        let raw = other.raw().template_view(&request()).await.unwrap_err();
        assert_eq!(facts(&raw), facts(&typed));
        assert_eq!(raw.retry_after(), typed.retry_after());
    }
}

#[tokio::test]
async fn an_unreadable_success_keeps_its_body() {
    let server = answering(r#"{"request_id":"r","data":"#);
    let error = server
        .client()
        .raw()
        .template_view(&request())
        .await
        .unwrap_err();
    assert!(error.is_decode());
    assert_eq!(error.request_id(), Some("r"));
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(error.certainty(), smtp2go_sdk::Certainty::Unknown);
}

#[tokio::test]
async fn other_successes_pass_too() {
    for (status, body) in [(200, "{}"), (201, ""), (202, "done")] {
        let server = sandbox(answer(status, body));
        let remove = IpAuthRemoveRequest::new("192.0.2.1");
        server.client().raw().ip_auth_remove(&remove).await.unwrap();
        assert_eq!(server.call().header("x-smtp2go-api-key"), Some(KEY));
    }
}

#[tokio::test]
async fn a_key_that_an_operation_wants_in_its_body_gets_there() {
    let server = answering("{}");
    let client = server.client();
    let view = smtp2go_sdk::types::IpAllowListViewRequest::new();
    client.raw().ip_allow_list_view(&view).await.unwrap();
    assert_eq!(body(&server.call()), format!(r#"{{"api_key":"{KEY}"}}"#));
}

#[test]
fn debug_shows_no_key() {
    let client = smtp2go_sdk::Client::builder(watched(KEY))
        .base_url("http://localhost/v3")
        .build()
        .unwrap();
    let shown = format!("{:?}", client.raw());
    assert!(!shown.contains("0123456789"), "{shown}");
}
