//! A reply that reports failures with status 200 is an error at every entry point, unless
//! `failures_are_errors` is off.

use crate::support::{Tested, answering};
use smtp2go_sdk::types::{EmailMimeRequest, EmailSendRequest};
use smtp2go_sdk::{
    Body, CallOptions, Certainty, Client, Email, Error, Mime, SendState, operations,
};

const FAILED: &str = r#"{"request_id":"r-1","data":{"succeeded":0,"failed":1,"failures":["550 jane@example.net: no"],"email_id":""}}"#;
const PARTLY: &str = r#"{"request_id":"r-1","data":{"succeeded":1,"failed":1,"failures":["550 jane@example.net: no"],"email_id":"1aBcDe"}}"#;

fn email() -> Email {
    Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi")
}

fn request() -> EmailSendRequest {
    EmailSendRequest::new("a@example.com", ["b@example.net"])
        .subject("Hi")
        .text_body("Hi")
}

/// The result of an entry point: number and texts of failures, if its data is typed, and the raw body.
type Said = Result<(Option<(i64, Vec<String>)>, Vec<u8>), Error>;

async fn at_all_entry_points(client: &Client) -> Vec<(&'static str, Said)> {
    let mime = || Mime::from_bytes(&b"From: a@example.com\r\nTo: b@example.net\r\n\r\nHi"[..]);
    let mut found = Vec::new();
    for (name, result) in [
        ("send", client.send(email()).await),
        ("send_mime", client.send_mime(mime()).await),
    ] {
        let said = result.map(|reply| {
            let data = (reply.failed.unwrap(), reply.failures.clone());
            (Some(data), reply.body().to_vec())
        });
        found.push((name, said));
    }
    for (name, result) in [
        ("group send", client.email().send(request()).await),
        (
            "group mime",
            client.email().mime(EmailMimeRequest::new("SGk=")).await,
        ),
    ] {
        let said = result.map(|reply| {
            let data = (reply.failed.unwrap(), reply.failures.clone());
            (Some(data), reply.body().to_vec())
        });
        found.push((name, said));
    }
    let executed = client
        .execute(&operations::EMAIL_SEND, Body::json(&request()).unwrap())
        .await;
    found.push(("execute", executed.map(|r| (None, r.body().to_vec()))));
    #[cfg(feature = "raw")]
    {
        let raw = client.raw();
        let said = raw.email_send(&request()).await.map_err(Error::from);
        found.push((
            "raw",
            said.map(|reply| {
                let reply = reply.into_inner();
                let body = serde_json::to_vec(&reply).unwrap();
                let (_, data) = smtp2go_sdk::types::Envelope::into_parts(reply);
                (Some((data.failed.unwrap(), data.failures)), body)
            }),
        ));
    }
    found
}

#[tokio::test]
async fn failure_in_200_is_an_error_at_every_entry_point() {
    for (body, certainty, id) in [
        (FAILED, Certainty::Rejected, None),
        (PARTLY, Certainty::Unknown, Some("1aBcDe")),
    ] {
        let server = answering(body);
        for (entry_point, said) in at_all_entry_points(&server.client()).await {
            let error = said.unwrap_err();
            assert_eq!(error.certainty(), certainty, "{entry_point}");
            assert_eq!(
                error.failures(),
                ["550 jane@example.net: no"],
                "{entry_point}"
            );
            assert_eq!(error.email_id(), id, "{entry_point}");
            assert_eq!(error.request_id(), Some("r-1"), "{entry_point}");
            assert_eq!(error.kind(), "failed_in_200", "{entry_point}");
            let debug = format!("{error:?}");
            assert!(
                !debug.contains("jane") && !debug.contains("1aBcDe"),
                "{debug}"
            );
        }
    }
}

#[tokio::test]
async fn failure_in_200_is_a_reply_if_the_setting_is_off() {
    for body in [FAILED, PARTLY] {
        let server = answering(body);
        let of_client = server.builder().failures_are_errors(false);
        let of_call = CallOptions::new().failures_are_errors(false);
        for client in [
            of_client.build().unwrap(),
            server.client().with_options(of_call),
        ] {
            for (entry_point, said) in at_all_entry_points(&client).await {
                let (data, bytes) = said.unwrap_or_else(|error| panic!("{entry_point}: {error}"));
                if let Some((failed, failures)) = data {
                    assert_eq!(failed, 1, "{entry_point}");
                    assert_eq!(failures, ["550 jane@example.net: no"], "{entry_point}");
                }
                let text = String::from_utf8(bytes).unwrap();
                assert!(
                    text.contains("550 jane@example.net"),
                    "{entry_point}: {text}"
                );
            }
            // The setting can be turned on again for some calls.
            let strict = client.with_options(CallOptions::new().failures_are_errors(true));
            strict.send(email()).await.unwrap_err();
        }
    }
    // A reported error is an error with either setting.
    let server = answering(r#"{"data":{"error":"no"}}"#);
    let client = server.builder().failures_are_errors(false).build().unwrap();
    for (entry_point, said) in at_all_entry_points(&client).await {
        assert_eq!(said.unwrap_err().kind(), "error_in_200", "{entry_point}");
    }
}

#[tokio::test]
async fn report_does_not_count_a_failure_in_200_as_sent() {
    for (body, state) in [(FAILED, SendState::Rejected), (PARTLY, SendState::Unknown)] {
        let server = answering(body);
        for errors in [true, false] {
            let client = server.builder().failures_are_errors(errors);
            let mut sending = client.build().unwrap().send_all([email()], 1);
            let outcome = sending.next().await.unwrap();
            assert_eq!(outcome.result.is_err(), errors);
            let report = sending.report();
            assert!(report.states().eq([(&(), state)]), "{report}");
        }
    }
}
