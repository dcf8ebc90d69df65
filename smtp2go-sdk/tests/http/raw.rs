//! The raw client: progenitor's methods over the SDK's core.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::log_watch::watched;
use crate::mail::assert_line_break_refused;
use crate::support::{KEY, Tested, answer, answering, body, nowhere, sandbox};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::raw::{Error as RawError, ResponseValue};
use smtp2go_sdk::types::{
    BatchEmail, EmailBatchRequest, EmailSendRequest, EmptyRequest, ErrorResponse,
    IpAuthRemoveRequest, SingleSenderEmailsAddRequest, SmsEventKind, TemplateViewRequest,
    TemplateViewRequest as Request, WebhookAddRequest,
};
use smtp2go_sdk::{
    CallOptions, CallReport, Certainty, Client, Error, KeyLocation, Observer, RetryPolicy,
};

const VIEWED: &str = r#"{"request_id":"r-1","data":{"id":"welcome","subject":"Hello"}}"#;
const REFUSED: &str =
    r#"{"request_id":"r","data":{"error":"no","error_code":"E_ApiResponseCodes.API_EXCEPTION"}}"#;

fn request() -> Request {
    TemplateViewRequest::new("welcome")
}

#[tokio::test]
async fn raw_request_equals_the_request_of_the_group() {
    for location in [KeyLocation::Header, KeyLocation::Bearer, KeyLocation::Body] {
        let server = sandbox(answer(200, VIEWED).header("X-Extra", "1"));
        let client = server.builder().key_location(location).build().unwrap();
        let typed = client.template().view(request()).await.unwrap();
        let raw = client.raw().template_view(&request()).await.unwrap();
        assert_eq!(raw.data.as_ref(), Some(&*typed));
        assert_eq!(raw.request_id.as_deref(), typed.request_id());
        assert_eq!(raw.headers()["x-extra"], "1");
        assert_eq!(raw.status(), 200);
        let requests = server.calls();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].head(), requests[1].head());
        assert_eq!(requests[0].body(), requests[1].body());
    }
}

/// The variant of progenitor's error.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Variant {
    /// `ErrorResponse`.
    Typed,
    /// `CommunicationError`, whose source is the SDK's error.
    Ours,
}
use Variant::{Ours, Typed};

/// Returns `None` for a variant that the hook never returns.
fn variant(error: &RawError) -> Option<Variant> {
    match error {
        RawError::ErrorResponse(_) => Some(Typed),
        RawError::CommunicationError(http) => {
            let source = http.source().unwrap();
            assert!(source.is::<Error>(), "{source:?}");
            assert!(http.url().is_none(), "{http:?}");
            Some(Ours)
        }
        _ => None,
    }
}

/// All public facts of an error. The port of the host is removed from the text, because it differs.
fn facts(error: &Error) -> impl PartialEq + std::fmt::Debug {
    let text = error.to_string();
    let text = match text.split_once("127.0.0.1:") {
        Some((before, after)) => format!("{before}{}", after.trim_start_matches(char::is_numeric)),
        None => text,
    };
    (
        (error.kind(), error.status(), error.code()),
        (error.certainty(), error.attempts(), error.retry_after()),
        (error.operation().unwrap().id, error.body().cloned()),
        error.request_id().map(ToOwned::to_owned),
        (error.field_errors().to_vec(), error.failures().to_vec()),
        (text, format!("{error:?}")),
    )
}

#[tokio::test]
async fn invalid_request_of_the_raw_client_is_not_sent() {
    let server = answering("{}");
    let raw = server.client().raw();
    let to = ["b@example.net\r\nBcc: c@example.org"];
    let request = EmailSendRequest::new("a@example.com", to);
    let error = Error::from(raw.email_send(&request).await.unwrap_err());
    assert_line_break_refused(&error, "to[0]");
    let item = BatchEmail::new("a@example.com", to, "Hi");
    let request = EmailBatchRequest::new([item]);
    let error = Error::from(raw.email_batch(&request).await.unwrap_err());
    assert_line_break_refused(&error, "emails[0].to[0]");
    for (name, message) in [
        ("ID", "not a new field: use `id`"),
        ("id", "duplicate field `id`"),
        (
            "api_key",
            "not allowed here: the client sends the key, and `for_subaccount` sets the subaccount",
        ),
    ] {
        let request = self::request().extra(name, "x");
        let error = Error::from(raw.template_view(&request).await.unwrap_err());
        assert!(error.is_validation(), "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    assert!(server.calls().is_empty());
}

/// The raw client checks JSON, in which a value of an open enum may be new.
#[tokio::test]
async fn unlisted_value_is_sent_unless_it_is_misspelt() {
    let server = answering("{}");
    let raw = server.client().raw();
    for (kind, sent) in [
        (SmsEventKind::unlisted("rerouted"), true),
        (SmsEventKind::from("rerouted"), true),
        (SmsEventKind::from("Delivered"), false),
        (SmsEventKind::unlisted("DELIVERED"), false),
    ] {
        let shown = format!("{kind:?}");
        let request = WebhookAddRequest::new("https://example.com/hook").sms_events([kind]);
        let result = raw.webhook_add(&request.extra("new", 1)).await;
        assert_eq!(result.is_ok(), sent, "{shown}");
    }
    let calls = server.calls();
    assert_eq!(calls.len(), 2);
    for body in calls.iter().map(body) {
        assert!(
            body.contains(r#""rerouted""#) && body.contains(r#""new":1"#),
            "{body}"
        );
    }
}

#[tokio::test]
async fn failure_converts_to_the_error_of_the_group() {
    let fields = r#"{"request_id":"r","data":{"error":"bad","error_code":"E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD","field_validation_errors":{"fieldname":"id","message":"no"},"new":[1]}}"#;
    for (fault, wanted) in [
        (answer(400, REFUSED), Typed),
        (answer(400, fields), Typed),
        (answer(400, "{}"), Typed),
        (answer(401, r#"{"error":"no","error_code":"X"}"#), Typed),
        (answer(404, REFUSED), Typed),
        (answer(408, REFUSED), Typed),
        (answer(429, REFUSED).header("Retry-After", "3"), Typed),
        (Fault::status(400).html("<html>"), Ours),
        (answer(400, ""), Ours),
        (Fault::status(429).header("Retry-After", "3"), Ours),
        (answer(500, REFUSED), Ours),
        (Fault::status(500).html("<html>"), Ours),
        (answer(599, "own"), Ours),
        (
            Fault::status(307).header("Location", "http://192.0.2.1/"),
            Ours,
        ),
        // A success that reports a failure, and successes that can't be decoded.
        (answer(200, REFUSED), Ours),
        (answer(200, r#"{"request_id":"r","data":"#), Ours),
        (Fault::status(200).html("<html>"), Ours),
        (answer(201, "[]"), Ours),
        (answer(200, ""), Ours),
        // No answer, or an incomplete one.
        (Fault::close(), Ours),
        (Fault::reset(), Ours),
        (Fault::truncated_head(), Ours),
        (Fault::truncated(), Ours),
        (Fault::stall(), Ours),
        (Fault::stalled_halfway(), Ours),
    ] {
        let shown = format!("{fault:?}");
        // One server for each client, so that both count their requests from 1.
        let servers = [sandbox(fault.clone()), sandbox(fault)];
        let [client, other] = servers.each_ref().map(|server| {
            let builder = server.builder().timeout(Duration::from_millis(300));
            builder.build().unwrap()
        });
        let typed = client.template().view(request()).await.unwrap_err();
        let raw = other.raw().template_view(&request()).await.unwrap_err();
        assert_eq!(variant(&raw), Some(wanted), "{shown}");
        assert_eq!(facts(&Error::of(&raw)), facts(&typed), "{shown}");
        assert_eq!(facts(&Error::from(raw)), facts(&typed), "{shown}");
    }
}

#[tokio::test]
async fn failure_before_sending_converts_to_the_error_of_the_group() {
    let server = answering(VIEWED);
    let none = CallOptions::new().deadline(Duration::ZERO);
    for client in [
        server.client().with_options(none),
        server.client().for_subaccount(""),
        Client::builder(watched(KEY))
            .base_url(nowhere())
            .retry(RetryPolicy::none())
            .build()
            .unwrap(),
    ] {
        let typed = client.template().view(request()).await.unwrap_err();
        let raw = client.raw().template_view(&request()).await.unwrap_err();
        assert_eq!(variant(&raw), Some(Ours));
        assert_eq!(Error::of(&raw).certainty(), Certainty::NotSent);
        assert_eq!(facts(&Error::of(&raw)), facts(&typed));
    }
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn refusal_after_a_retry_keeps_attempts_and_certainty() {
    for (faults, certainty, attempts) in [
        (&[503, 400][..], Certainty::Unknown, 2),
        (&[400], Certainty::Rejected, 1),
    ] {
        let faults = faults.iter().map(|status| answer(*status, REFUSED));
        let server = crate::support::one_by_one(faults);
        let quick = RetryPolicy::new().min_backoff(Duration::ZERO);
        let client = server.builder().retry(quick).build().unwrap();
        let raw = client.raw().template_view(&request()).await.unwrap_err();
        let RawError::ErrorResponse(answer) = &raw else {
            panic!("{raw:?}");
        };
        let explained = answer.data.as_ref().unwrap();
        assert_eq!(explained.error.as_deref(), Some("no"));
        let error = Error::of(&raw);
        assert_eq!(error.attempts(), attempts);
        assert_eq!(error.certainty(), certainty);
        assert_eq!(error.operation().unwrap().id, "template_view");
        // The header that carries these facts to `Error::of` is removed.
        let headers = error.headers().unwrap();
        assert!(
            headers
                .keys()
                .all(|name| !name.as_str().contains("smtp2go-sdk"))
        );
    }
}

#[tokio::test]
async fn wait_after_a_429_is_kept() {
    let server = sandbox(answer(429, REFUSED));
    let raw = server.client().raw().template_view(&request()).await;
    let wait = Error::from(raw.unwrap_err()).retry_after().unwrap();
    assert!((60..=75).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn question_mark_converts_the_error() {
    async fn call(client: &Client) -> Result<(), Error> {
        client.raw().template_view(&request()).await?;
        Ok(())
    }
    let server = sandbox(answer(404, REFUSED));
    let error = call(&server.client()).await.unwrap_err();
    assert_eq!(error.clone().status(), error.status());
    assert_eq!(error.request_id(), Some("r"));
}

#[test]
fn error_not_made_by_a_hook_is_converted() {
    let json = || serde_json::from_str::<i64>("x").unwrap_err();
    let headers = || reqwest::header::HeaderMap::new();
    let refused: ErrorResponse = serde_json::from_str(REFUSED).unwrap();
    let response = |status: u16| {
        let answer = reqwest::Response::from(hyper::Response::new(""));
        let mut answer = hyper::Response::<reqwest::Body>::from(answer);
        *answer.status_mut() = status.try_into().unwrap();
        answer.into()
    };
    let build = || reqwest::Proxy::all("http://[").unwrap_err();
    for (error, kind, certainty) in [
        (
            RawError::InvalidRequest("a header".into()),
            "config",
            Certainty::NotSent,
        ),
        (
            RawError::Custom("a hook".into()),
            "config",
            Certainty::NotSent,
        ),
        (
            RawError::CommunicationError(build()),
            "serialize",
            Certainty::NotSent,
        ),
        (
            RawError::ResponseBodyError(build()),
            "serialize",
            Certainty::NotSent,
        ),
        (
            RawError::InvalidUpgrade(build()),
            "serialize",
            Certainty::NotSent,
        ),
        (
            RawError::InvalidResponsePayload("x".into(), json()),
            "decode",
            Certainty::Unknown,
        ),
        (
            RawError::UnexpectedResponse(response(404)),
            "status",
            Certainty::Rejected,
        ),
        (
            RawError::UnexpectedResponse(response(503)),
            "status",
            Certainty::Unknown,
        ),
        (
            RawError::ErrorResponse(ResponseValue::new(
                refused,
                reqwest::StatusCode::NOT_FOUND,
                headers(),
            )),
            "status",
            Certainty::Rejected,
        ),
    ] {
        let ours = Error::of(&error);
        assert_eq!(
            (ours.kind(), ours.certainty()),
            (kind, certainty),
            "{ours:?}"
        );
    }
}

#[tokio::test]
async fn other_success_statuses_are_accepted() {
    for (status, body) in [(200, "{}"), (201, ""), (202, "done")] {
        let server = sandbox(answer(status, body));
        let remove = IpAuthRemoveRequest::new("192.0.2.1");
        server.client().raw().ip_auth_remove(&remove).await.unwrap();
        assert_eq!(server.call().header("x-smtp2go-api-key"), Some(KEY));
    }
}

/// Damaged text is repaired, members of the wrong type are left out, and a reply of undocumented shape
/// may be anything.
#[tokio::test]
async fn raw_reply_is_decoded_like_the_typed_one() {
    for reply in [
        VIEWED.to_owned(),
        format!("\u{feff}{VIEWED}"),
        VIEWED.replace("Hello", r"\ud800"),
        VIEWED.replace(r#""Hello""#, "[7]"),
        VIEWED.replace(r#""Hello""#, r#""Hello","new":{"a":1}"#),
    ] {
        let server = answering(&reply);
        let client = server.client();
        let typed = client.template().view(request()).await.unwrap();
        let raw = client.raw().template_view(&request()).await.unwrap();
        assert_eq!(raw.data.as_ref(), Some(&*typed), "{reply}");
    }
    for reply in ["", "sent", "null", r#""sent""#, r#"{"request_id":"r"}"#] {
        let server = answering(reply);
        let client = server.client();
        let add = SingleSenderEmailsAddRequest::new("a@example.com");
        let typed = client
            .single_sender_emails()
            .add(add.clone())
            .await
            .unwrap();
        let raw = client.raw().single_sender_emails_add(&add).await.unwrap();
        assert_eq!(raw.request_id.as_deref(), typed.request_id(), "{reply}");
    }
}

#[tokio::test]
async fn key_is_added_to_the_body_if_the_operation_requires_it() {
    let server = answering("{}");
    let client = server.client();
    let view = smtp2go_sdk::types::IpAllowListViewRequest::new();
    client.raw().ip_allow_list_view(&view).await.unwrap();
    assert_eq!(body(&server.call()), format!(r#"{{"api_key":"{KEY}"}}"#));
}

#[tokio::test]
async fn request_without_fields_is_an_empty_object() {
    let server = answering("{}");
    let empty = EmptyRequest::new();
    server
        .client()
        .raw()
        .stats_email_cycle(&empty)
        .await
        .unwrap();
    assert_eq!(body(&server.call()), "{}");
}

/// Records how calls end.
#[derive(Default)]
struct Ends(Mutex<Vec<(String, Option<&'static str>)>>);

impl Observer for Ends {
    fn call_ended(&self, call: &CallReport<'_>) {
        let end = (call.operation.id.to_owned(), call.error);
        self.0.lock().unwrap().push(end);
    }
}

#[tokio::test]
async fn observer_sees_unreadable_replies() {
    for (reply, error) in [(VIEWED, None), ("<html>", Some("decode"))] {
        let server: Sandbox = answering(reply);
        let ends = Arc::new(Ends::default());
        let client = server.builder().observer(ends.clone()).build().unwrap();
        let _ = client.raw().template_view(&request()).await;
        let seen = std::mem::take(&mut *ends.0.lock().unwrap());
        assert_eq!(seen, [("template_view".to_owned(), error)]);
    }
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
