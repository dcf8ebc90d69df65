//! The errors and replies that users can make for their tests, compared with those of real calls.

use smtp2go_sandbox::Fault;
use smtp2go_sdk::test_util::{Failure, FakeReply};
use smtp2go_sdk::types::{TemplateResponse, TemplateViewRequest};
use smtp2go_sdk::{Certainty, Client, Email, Error, operations};

use crate::log_watch::watched;
use crate::support::{KEY, Tested, answer, nowhere, sandbox};

async fn send(client: &Client) -> Result<smtp2go_sdk::Reply<smtp2go_sdk::Sent>, Error> {
    client
        .send(
            Email::new("a@example.com", "Hi")
                .to("b@example.net")
                .text("Hi"),
        )
        .await
}

/// The facts of an error that code decides by.
fn facts(error: &Error) -> String {
    format!(
        "{} {:?} {:?} {:?} {:?} {error} {error:?}",
        error.kind(),
        error.certainty(),
        error.is_rate_limited(),
        error.retry_after(),
        error.failures(),
    )
}

#[tokio::test]
async fn fake_reply_is_judged_like_a_real_one() {
    for (status, body) in [
        (
            200,
            r#"{"request_id":"r-1","data":{"succeeded":1,"failed":0,"email_id":"1a"}}"#,
        ),
        (
            200,
            r#"{"data":{"succeeded":0,"failed":1,"failures":["550 no"]}}"#,
        ),
        (200, r#"{"data":{}}"#),
        (200, r#"{"data":{"error":"no"}}"#),
        (200, "<html>"),
        (302, ""),
        (
            400,
            r#"{"data":{"error":"no","error_code":"E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD"}}"#,
        ),
        (401, r#"{"data":{"error":"no"}}"#),
        (408, ""),
        (429, "{}"),
        (500, "{}"),
        (501, "{}"),
        (503, "<html>"),
    ] {
        let server = sandbox(answer(status, body).header("Retry-After", "30"));
        let real = send(&server.client()).await;
        let fake = FakeReply::new(status, body)
            .header("Retry-After", "30")
            .sent();
        match (real, fake) {
            (Ok(real), Ok(fake)) => {
                assert_eq!(*real, *fake);
                assert_eq!(real.request_id(), fake.request_id());
            }
            (Err(real), Err(fake)) => assert_eq!(facts(&real), facts(&fake)),
            (real, fake) => panic!("{status} {body}: {real:?} {fake:?}"),
        }
    }
}

#[tokio::test]
async fn fake_failure_without_a_reply_is_like_a_real_one() {
    let send_to = |url: String| {
        let builder = Client::builder(watched(KEY)).base_url(url);
        let client = builder
            .retry(smtp2go_sdk::RetryPolicy::none())
            .build()
            .unwrap();
        async move { send(&client).await.unwrap_err() }
    };
    let lost = sandbox(Fault::close());
    for (real, failure) in [
        (send_to(nowhere()).await, Failure::Connect),
        (send_to(lost.base_url().to_owned()).await, Failure::Lost),
    ] {
        let fake = failure.error(&operations::EMAIL_SEND);
        assert_eq!(
            (real.kind(), real.certainty(), real.attempts()),
            (fake.kind(), fake.certainty(), fake.attempts())
        );
        assert_eq!(
            (real.is_connect(), real.is_timeout()),
            (fake.is_connect(), fake.is_timeout())
        );
    }
    for (failure, kind, certainty) in [
        (
            Failure::ConnectTimeout,
            "connect_timeout",
            Certainty::NotSent,
        ),
        (Failure::Upload, "connection", Certainty::NotSent),
        (Failure::Timeout, "timeout", Certainty::Unknown),
    ] {
        let error = failure.error(&operations::EMAIL_SEND);
        assert_eq!((error.kind(), error.certainty()), (kind, certainty));
    }
}

#[tokio::test]
async fn fake_reply_to_a_group_s_method_is_decoded() {
    let body = r#"{"request_id":"r-1","data":{"id":"welcome","subject":"Hi"}}"#;
    let view = &operations::TEMPLATE_VIEW;
    let fake = FakeReply::new(200, body)
        .call::<TemplateResponse>(view)
        .unwrap();
    let server = sandbox(answer(200, body));
    let request = TemplateViewRequest::new("welcome");
    let real = server.client().template().view(request).await.unwrap();
    assert_eq!(real.into_inner(), fake.into_inner());
    let error = FakeReply::new(200, "[]")
        .call::<TemplateResponse>(view)
        .unwrap_err();
    assert!(error.is_decode(), "{error}");
    assert_eq!(FakeReply::new(200, body).raw(view).unwrap().body(), body);
}

#[test]
fn fake_reply_that_is_not_http_is_a_config_error() {
    for reply in [
        FakeReply::new(99, "{}"),
        FakeReply::new(1000, "{}"),
        FakeReply::new(200, "{}").header("a b", "c"),
        FakeReply::new(200, "{}").header("a", "b\n"),
    ] {
        assert!(reply.sent().unwrap_err().is_config());
    }
}
