//! The client.

use std::error::Error as _;
use std::future::Future;
use std::time::{Duration, Instant};

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answer, answering, body, nowhere, sandbox};
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::{IpAuthRemoveRequest, SmsSendRequest, TemplateViewRequest};
use smtp2go_sdk::{Body, Certainty, Client, Email, Error, KeyLocation, RetryPolicy, operations};

const VIEWED: &str = r#"{"request_id":"r-1","data":{"id":"welcome","subject":"Hello"}}"#;

fn request() -> TemplateViewRequest {
    TemplateViewRequest::new("welcome")
}

async fn view_error(client: &Client) -> Error {
    let error = client.template().view(request()).await.unwrap_err();
    assert_eq!(error.operation().unwrap().id, "template_view");
    let shown = format!("{error} {error:?}");
    assert!(
        !shown.contains("0123456789") && !shown.contains("welcome"),
        "{shown}"
    );
    error
}

#[tokio::test]
async fn typed_call_sends_the_request_and_decodes_the_reply() {
    let server = sandbox(answer(200, VIEWED).header("X-Extra", "1"));
    let client = server
        .builder()
        .user_agent("acme-shop/2.1")
        .build()
        .unwrap();
    let reply = client.template().view(request()).await.unwrap();
    assert_eq!(reply.subject.as_deref(), Some("Hello"));
    assert_eq!(reply.request_id(), Some("r-1"));
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["x-extra"], "1");
    assert_eq!(reply.body(), VIEWED);
    assert_eq!(reply.into_inner().id.as_deref(), Some("welcome"));

    let sent = server.call();
    assert!(
        sent.head()
            .starts_with(b"POST /v3/template/view HTTP/1.1\r\n")
    );
    assert_eq!(body(&sent), r#"{"id":"welcome"}"#);
    for (name, value) in [
        ("x-smtp2go-api-key", KEY),
        ("content-type", "application/json"),
        ("accept", "application/json"),
        ("content-length", "16"),
        (
            "user-agent",
            concat!("acme-shop/2.1 smtp2go-sdk/", env!("CARGO_PKG_VERSION")),
        ),
    ] {
        assert_eq!(sent.header(name), Some(value));
    }
    assert_eq!(sent.header("authorization"), None);
    assert_eq!(sent.header("transfer-encoding"), None);
}

#[tokio::test]
async fn key_is_sent_at_the_chosen_location() {
    let in_body = format!(r#"{{"api_key":"{KEY}","id":"welcome"}}"#);
    let bearer = format!("Bearer {KEY}");
    let plain = r#"{"id":"welcome"}"#;
    for (location, header, authorization, expected) in [
        (KeyLocation::Header, Some(KEY), None, plain),
        (KeyLocation::Bearer, None, Some(bearer.as_str()), plain),
        (KeyLocation::Body, None, None, in_body.as_str()),
    ] {
        let server = answering(VIEWED);
        let client = server.builder().key_location(location).build().unwrap();
        client.template().view(request()).await.unwrap();
        let sent = server.call();
        assert_eq!(sent.header("x-smtp2go-api-key"), header);
        assert_eq!(sent.header("authorization"), authorization);
        assert_eq!(body(&sent), expected);
        assert_eq!(
            sent.header("content-length"),
            Some(expected.len().to_string().as_str())
        );
    }
}

#[tokio::test]
async fn key_required_in_the_body_is_sent_there_with_either_location() {
    for location in [KeyLocation::Header, KeyLocation::Body] {
        let server = answering("{}");
        let client = server.builder().key_location(location).build().unwrap();
        client
            .execute(&operations::IP_ALLOW_LIST_VIEW, Body::empty())
            .await
            .unwrap();
        let sent = server.call();
        assert_eq!(body(&sent), format!(r#"{{"api_key":"{KEY}"}}"#));
        assert_eq!(
            sent.header("x-smtp2go-api-key").is_some(),
            location == KeyLocation::Header
        );

        let broken = client
            .execute(&operations::IP_ALLOW_LIST_VIEW, "[1]".into())
            .await;
        let error = broken.unwrap_err();
        assert!(error.is_config());
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::NotSent, 0)
        );
    }
}

#[tokio::test]
async fn call_without_a_body_sends_an_empty_object() {
    let server = answering(VIEWED);
    let client = server.client();
    let reply = client
        .execute(&operations::TEMPLATE_VIEW, Vec::new().into())
        .await
        .unwrap();
    assert_eq!(reply.body(), VIEWED);
    assert_eq!(reply.request_id(), Some("r-1"));
    assert_eq!(body(&server.call()), "{}");
}

#[tokio::test]
async fn untyped_reply_may_have_any_body() {
    for body in ["", "{}", r#"{"request_id":"r-1"}"#, "done"] {
        let server = sandbox(Fault::status(200).html(body));
        let reply = server
            .client()
            .ip_auth()
            .remove(remove_request())
            .await
            .unwrap();
        assert_eq!(reply.body(), body);
        assert_eq!(reply.request_id().is_some(), body.contains("r-1"));
    }
}

fn remove_request() -> IpAuthRemoveRequest {
    IpAuthRemoveRequest::new("192.0.2.1")
}

#[tokio::test]
async fn invalid_request_is_not_sent() {
    let server = answering(VIEWED);
    let nobody = SmsSendRequest::new(Vec::<String>::new(), "Code 1234");
    let error = server.client().sms().send(nobody).await.unwrap_err();
    assert!(error.is_validation() && !error.is_config());
    assert_eq!(error.field_errors()[0].field, "destination");
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::NotSent, 0)
    );
    assert!(error.to_string().contains("destination: "), "{error}");
    assert!(error.source().is_none());
    assert!(server.calls().is_empty());
}

#[tokio::test]
async fn body_over_the_limit_is_not_sent() {
    let server = answering(VIEWED);
    let limit = operations::TEMPLATE_VIEW.max_body_bytes.unwrap();
    let fill = |size: u64| {
        let filler = "x".repeat(usize::try_from(size).unwrap() - r#"{"id":""}"#.len());
        Body::from(format!(r#"{{"id":"{filler}"}}"#))
    };
    let client = server.client();
    let error = client
        .execute(&operations::TEMPLATE_VIEW, fill(limit + 1))
        .await
        .unwrap_err();
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::NotSent, 0)
    );
    let shown = error.to_string();
    assert!(shown.contains(&limit.to_string()) && shown.contains(&(limit + 1).to_string()));
    assert!(server.calls().is_empty());

    client
        .execute(&operations::TEMPLATE_VIEW, fill(limit))
        .await
        .unwrap();
    assert_eq!(server.call().body().len() as u64, limit);
}

#[tokio::test]
async fn error_has_every_detail_of_the_reply() {
    let body = r#"{"request_id":"r-2","data":{"error":"no such template","error_code":"E_ApiResponseCodes.API_EXCEPTION"}}"#;
    // The content type of an error is not trusted.
    let server = sandbox(Fault::status(400).html(body).header("Retry-After", "7"));
    let error = view_error(&server.client()).await;
    assert_eq!(error.status().unwrap(), 400);
    assert_eq!(error.request_id(), Some("r-2"));
    assert_eq!(error.message(), Some("no such template"));
    assert_eq!(error.body().unwrap(), body);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::Rejected, 1)
    );
    assert_eq!(
        error.to_string(),
        "POST /template/view: HTTP 400 API_EXCEPTION: no such template (request r-2)"
    );
}

#[tokio::test]
async fn failure_reported_with_status_200_is_an_error() {
    let body = r#"{"request_id":"r-3","data":{"succeeded":0,"failed":1,"failures":["550 no"],"email_id":""}}"#;
    let server = answering(body);
    let error = server
        .client()
        .execute(&operations::EMAIL_SEND, "{}".into())
        .await
        .unwrap_err();
    assert_eq!(error.failures(), ["550 no"]);
    assert_eq!(error.status().unwrap(), 200);
    assert_eq!(error.certainty(), Certainty::Rejected);
}

#[tokio::test]
async fn call_whose_reply_can_t_be_decoded_is_unknown() {
    for body in ["", "<html>", r#"{"request_id":"r-4","data":"#] {
        let server = answering(body);
        let error = view_error(&server.client()).await;
        assert!(error.is_decode());
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::Unknown, 1)
        );
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(error.body().unwrap(), body);
        assert_eq!(error.request_id().is_some(), body.contains("r-4"));
    }
}

#[tokio::test]
async fn redirect_is_not_followed() {
    let elsewhere = answering(VIEWED);
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/template/view", elsewhere.base_url());
        let server = sandbox(Fault::status(status).header("Location", location));
        let error = view_error(&server.client()).await;
        assert_eq!(error.status().unwrap(), status);
        assert!(error.headers().unwrap().contains_key("location"));
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert!(
            error.to_string().contains("redirect to 127.0.0.1"),
            "{error}"
        );
    }
    assert!(elsewhere.calls().is_empty());
}

#[tokio::test]
async fn call_over_a_refused_connection_is_not_sent() {
    let builder = Client::builder(watched(KEY))
        .base_url(nowhere())
        .retry(RetryPolicy::none());
    let error = view_error(&builder.build().unwrap()).await;
    assert!(error.is_connect() && !error.is_timeout());
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::NotSent, 1)
    );
    assert!(error.status().is_none());
    // The source has the details, and Display does not repeat them.
    let source = error.source().unwrap().to_string();
    assert!(!error.to_string().contains(&source), "{error}: {source}");
}

#[tokio::test]
async fn call_whose_connection_is_lost_after_the_request_is_unknown() {
    for fault in [
        Fault::close_before_reading(),
        Fault::reset_before_reading(),
        Fault::close(),
        Fault::reset(),
        Fault::truncated_head(),
    ] {
        let server = sandbox(fault);
        let error = view_error(&server.client()).await;
        assert!(!error.is_connect() && !error.is_timeout(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(server.calls().len(), 1, "not sent twice");
    }
}

#[tokio::test]
async fn truncated_reply_keeps_the_body_that_arrived() {
    for (status, certainty) in [
        (200, Certainty::Unknown),
        (400, Certainty::Rejected),
        (429, Certainty::Rejected),
        (502, Certainty::Unknown),
    ] {
        let server = sandbox(answer(status, VIEWED).then(Fault::truncated()));
        let error = view_error(&server.client()).await;
        assert_eq!(error.status().unwrap(), status);
        assert_eq!(error.certainty(), certainty);
        assert_eq!(error.request_id(), Some("r-1"));
        assert_eq!(error.body().unwrap(), &VIEWED[..VIEWED.len() / 2]);
        assert!(!error.is_timeout() && !error.is_decode());
    }
}

#[tokio::test]
async fn reply_is_read_up_to_the_limit() {
    let limit = VIEWED.len() as u64;
    let chunked = |fault: Fault| fault.header("Transfer-Encoding", "chunked");
    for streamed in [false, true] {
        let framed = |fault| if streamed { chunked(fault) } else { fault };
        // Exactly at the limit.
        let server = sandbox(framed(answer(200, VIEWED)));
        let client = server.builder().max_reply_bytes(limit).build().unwrap();
        assert_eq!(
            client.template().view(request()).await.unwrap().body(),
            VIEWED
        );

        let tight = server.builder().max_reply_bytes(limit - 1);
        let tight = tight.retry(RetryPolicy::new().min_backoff(Duration::ZERO));
        let error = view_error(&tight.build().unwrap()).await;
        assert_eq!(error.kind(), "reply_too_large");
        assert_eq!(error.status().unwrap(), 200);
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::Unknown, 1)
        );
        assert!(
            error.to_string().contains(&format!("{} bytes", limit - 1)),
            "{error}"
        );
        // Content-Length is enough to refuse a reply.
        let kept = if streamed {
            &VIEWED[..VIEWED.len() - 1]
        } else {
            ""
        };
        assert_eq!(error.body().unwrap(), kept);

        // With an error status, the body up to the limit is kept.
        let said = r#"{"request_id":"r-2","data":{"error":"no such template","more":"#;
        let long = format!("{said}\"{}\"}}}}", "x".repeat(200_000));
        let server = sandbox(framed(answer(400, &long)));
        let client = server.builder().max_reply_bytes(said.len() as u64);
        let error = view_error(&client.build().unwrap()).await;
        assert_eq!(error.status().unwrap(), 400);
        assert_eq!(error.certainty(), Certainty::Rejected);
        assert_eq!(error.message(), Some("no such template"));
        assert_eq!(error.request_id(), Some("r-2"));
        assert_eq!(error.body().unwrap(), said);
    }
}

#[tokio::test]
async fn send_with_a_reply_over_the_limit_is_unknown() {
    let server = Sandbox::builder().key(KEY).start().await.unwrap();
    let client = server.builder().max_reply_bytes(10).build().unwrap();
    let mail = Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi");
    let error = client.send(mail).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.certainty()),
        ("reply_too_large", Certainty::Unknown)
    );
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn call_to_a_silent_server_times_out_as_unknown() {
    let limit = Duration::from_millis(200);
    for (fault, status) in [
        (Fault::stall_before_reading(), None),
        (Fault::stall(), None),
        (
            answer(200, VIEWED).then(Fault::stalled_halfway()),
            Some(200),
        ),
    ] {
        let server = sandbox(fault);
        let client = server.builder().timeout(limit).build().unwrap();
        let started = Instant::now();
        let error = view_error(&client).await;
        assert!(started.elapsed() >= limit);
        assert!(error.is_timeout() && !error.is_connect(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.status().map(|status| status.as_u16()), status);
    }
}

#[test]
fn call_outside_of_a_runtime_is_an_error() {
    let client = Client::builder(watched(KEY))
        .base_url("http://localhost")
        .build()
        .unwrap();
    let templates = client.template();
    let mut call = std::pin::pin!(templates.view(request()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match call.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => {
            let error = result.unwrap_err();
            assert!(
                error.is_config() && error.to_string().contains("tokio"),
                "{error}"
            );
        }
        std::task::Poll::Pending => panic!("the call is pending without a runtime"),
    }
}

#[test]
fn typed_calls_are_send() {
    fn assert_send<T: Send>(_: &T) {}
    let client = Client::builder(watched(KEY))
        .base_url("http://localhost")
        .build()
        .unwrap();
    assert_send(&client.template().view(request()));
    #[cfg(feature = "raw")]
    {
        let raw = client.raw();
        let request = request();
        assert_send(&raw.template_view(&request));
    }
}

#[cfg(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
))]
#[tokio::test]
async fn call_with_a_failed_tls_handshake_is_not_sent() {
    // The server replies in plain text to a TLS handshake.
    let server = answering(VIEWED);
    let builder = server
        .builder()
        .base_url(server.base_url().replace("http:", "https:"));
    let client = match builder.build() {
        Ok(client) => client,
        // A system without certificates.
        Err(error) => return assert!(error.is_config()),
    };
    let error = view_error(&client).await;
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert!(server.calls().is_empty());
}

#[cfg(any(
    feature = "rustls-ring",
    feature = "rustls-aws-lc",
    feature = "native-tls"
))]
#[tokio::test]
async fn call_with_a_stalled_tls_handshake_is_not_sent() {
    let server = sandbox(Fault::stall_before_reading());
    let url = server.base_url().replace("http:", "https:");
    let limits = server
        .builder()
        .base_url(url)
        .timeout(Duration::from_millis(200));
    // By the timeout of the attempt, where only the seal is proof, and by the connect timeout.
    for builder in [
        limits.clone(),
        limits.connect_timeout(Duration::from_millis(100)),
    ] {
        let client = match builder.build() {
            Ok(client) => client,
            // A system without certificates.
            Err(error) => return assert!(error.is_config()),
        };
        let error = view_error(&client).await;
        assert!(error.is_timeout(), "{error:?}");
        assert_eq!(error.certainty(), Certainty::NotSent);
    }
    assert!(server.calls().iter().all(|call| !call.received()));
}

#[tokio::test]
async fn large_body_arrives_whole() {
    let server = answering(r#"{"data":{"email_id":"1a"}}"#);
    let sent = format!(
        r#"{{"mime_email":"{}"}}"#,
        "0123456789abcdef".repeat(200_000)
    );
    let client = server
        .builder()
        .key_location(KeyLocation::Body)
        .build()
        .unwrap();
    client
        .execute(&operations::EMAIL_MIME, sent.clone().into())
        .await
        .unwrap();
    assert_eq!(
        body(&server.call()),
        sent.replacen('{', &format!(r#"{{"api_key":"{KEY}","#), 1)
    );
}
