//! The verdict of each entry point on each reply, as tables in reviewed snapshots.

// Tests fail by panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../../smtp2go-sdk/tests/support/log_watch.rs"]
mod log_watch;

use std::fmt::Write;

use log_watch::watched;
use smtp2go_sandbox::{Fault, Sandbox};
use smtp2go_sdk::types::{
    BatchEmail, EmailBatchRequest, EmailMimeRequest, EmailSendRequest, SmsSendRequest,
};
use smtp2go_sdk::{Batch, Body, Client, Email, Error, Mime, blocking, operations};
use tokio::runtime::Runtime;

/// Replies with status 200 to `/email/send` and `/email/mime`.
const MAIL: &[&str] = &[
    // Report a success.
    r#"{"data":{"succeeded":1,"failed":0,"failures":[],"email_id":"1a"}}"#,
    r#"{"data":{"email_id":"1a"}}"#,
    r#"{"data":{"schedule_id":"s1"}}"#,
    r#"{"data":{"succeeded":1}}"#,
    r#"{"data":{"succeeded":"1","failed":"0"}}"#,
    r#"{"data":{"email_id":["1a"]}}"#,
    r#"{"data":{"email_id":7}}"#,
    r#"{"data":{"email_id":"1a","error":null,"error_code":"","field_validation_errors":{}}}"#,
    r#"{"data":{"email_id":"1a","failed":false,"failures":null,"errors":[],"status":"ok"}}"#,
    // Report a failure.
    r#"{"data":{"error":"no"}}"#,
    r#"{"error":"no"}"#,
    r#"{"data":{"error_code":"E_ApiResponseCodes.API_EXCEPTION"}}"#,
    r#"{"data":{"error":{"why":"no"}}}"#,
    r#"{"data":{"error":["no"]}}"#,
    r#"{"data":{"error":true}}"#,
    r#"{"data":{"field_validation_errors":{"fieldname":"to","message":"no"}}}"#,
    r#"{"data":{"failed":1,"succeeded":0,"failures":["no"],"email_id":""}}"#,
    r#"{"data":{"failed":1}}"#,
    r#"{"data":{"failed":true}}"#,
    r#"{"data":{"failed":["no"]}}"#,
    r#"{"data":{"failed":"yes"}}"#,
    r#"{"data":{"failures":["no"]}}"#,
    r#"{"data":{"failures":"no"}}"#,
    r#"{"data":{"errors":["no"]}}"#,
    r#"{"errors":[{"message":"no"}]}"#,
    r#"{"data":{"status":"error"}}"#,
    r#"{"status":"failed","data":{}}"#,
    // Report both.
    r#"{"data":{"error":"no","email_id":"1a"}}"#,
    r#"{"error":"no","data":{"email_id":"1a"}}"#,
    r#"{"data":{"error":"no","schedule_id":"s1"}}"#,
    r#"{"data":{"error":"no","succeeded":1}}"#,
    r#"{"data":{"error":"no","succeeded":true}}"#,
    r#"{"email_id":"1a","data":{"error":"no"}}"#,
    r#"{"data":{"failed":1,"succeeded":1}}"#,
    r#"{"data":{"failed":1,"email_id":"1a"}}"#,
    r#"{"data":{"failures":["no"],"email_id":"1a"}}"#,
    r#"{"data":{"status":"error","email_id":"1a"}}"#,
    r#"{"data":{"field_validation_errors":["no"],"email_id":"1a"}}"#,
    r#"{"data":{"email_id":"1a"},"data":{"error":"no"}}"#,
    r#"{"data":{"error":"no"},"data":{"email_id":"1a"}}"#,
    r#"{"error":"no","data":[{"email_id":"1a"}]}"#,
    r#"{"data":{"error":"no","results":[{"succeeded":1}]}}"#,
    r#"{"data":{"failed":1,"data":{"email_id":"1a"}}}"#,
    r#"{"error":"no","data":"1er4b2-4tgh"}"#,
    // Report neither.
    r#"{"data":{"email_id":"null"}}"#,
    "{}",
    r#"{"request_id":"r"}"#,
    r#"{"data":null}"#,
    r#"{"data":false}"#,
    r#"{"data":"nope"}"#,
    r#"{"data":[]}"#,
    r#"{"data":{}}"#,
    r#"{"data":{"succeeded":0}}"#,
    r#"{"data":{"succeeded":0,"failed":0}}"#,
    r#"{"data":{"email_id":""}}"#,
    r#"{"data":{"email_id":null}}"#,
    r#"{"data":{"email_id":true}}"#,
    r#"{"data":{"email_id":{"id":"1a"}}}"#,
    r#"{"email_id":"1a"}"#,
    r#"{"data":{"status":"queued"}}"#,
    // Incomplete, or not a reply.
    r#"{"data":{"email_id":"1a"#,
    r#"{"data":{"email_id":"1a","x":1"#,
    r#"{"data":{"error":"no","x":1"#,
    r#"{"data":{"failed":1,"failures":["no"#,
    r#"{"data":{"error":"no"}} and more"#,
    r#"[{"email_id":"1a"}]"#,
    "null",
    "",
    "<html>sign in</html>",
    "accepted",
];

/// Results of one mail in a reply to `/email/batch`.
const RESULT: &[&str] = &[
    r#"{"email_id":"1a"}"#,
    r#"{"schedule_id":"s1"}"#,
    r#"{"succeeded":1}"#,
    r#"{"email_id":"1a","failed":0,"failures":[],"error":null}"#,
    r#"{"error":"no"}"#,
    r#"{"error":{"why":"no"}}"#,
    r#"{"failed":1,"failures":["no"]}"#,
    r#"{"failed":true}"#,
    r#"{"status":"error"}"#,
    r#"{"field_validation_errors":{"to":"no"}}"#,
    r#"{"succeeded":1,"failed":1}"#,
    r#"{"email_id":"1a","error":"no"}"#,
    r#"{"email_id":"1a","failed":1}"#,
    r#""1a""#,
    r#""no such sender""#,
    r#"[{"email_id":"1a"}]"#,
    r#"["1a"]"#,
    r#"[{"error":"no"}]"#,
    "[]",
    "{}",
    r#"{"email_id":""}"#,
    r#"{"succeeded":0}"#,
    "null",
    "false",
    "0",
];

/// Replies to `/email/batch`, of one mail.
const BATCH: &[&str] = &[
    r#"{"data":[{"email_id":"1a"}]}"#,
    r#"{"data":{"email_id":"1a"}}"#,
    r#"{"error":"no","data":[{"email_id":"1a"}]}"#,
    r#"{"error":"no","data":[{"failed":1}]}"#,
    r#"{"error":"no","data":[{}]}"#,
    r#"{"errors":["no"],"data":[{"email_id":"1a"}]}"#,
    r#"{"email_id":"1a","data":[{"failed":1}]}"#,
    r#"{"error":"no","data":{"results":[{"email_id":"1a"}]}}"#,
    r#"{"error":"no","data":[]}"#,
    r#"{"error":"no"}"#,
    r#"{"data":{"error":"no"}}"#,
    r#"{"data":{"error":"no","email_id":"1a"}}"#,
    r#"{"data":[{"email_id":"1a"},{"email_id":"1b"}]}"#,
    r#"{"data":[]}"#,
    r#"{"data":null}"#,
    "{}",
    r#"{"data":[{"email_id":"1a"}"#,
    r#"{"data":[{"email_id":"1a"}]} and more"#,
    r#"[{"email_id":"1a"}]"#,
    "<html>sign in</html>",
    "",
];

/// Replies to `/sms/send`.
const SMS: &[&str] = &[
    r#"{"data":{"statuses":{"queued":2},"total_sent":2,"messages":[{"message_id":"m","status":"queued"}]}}"#,
    r#"{"data":{"total_sent":1}}"#,
    r#"{"data":{"messages":[{"status":"submitted"}]}}"#,
    r#"{"data":{"total_sent":1,"messages":[{"status":"queued"},{"status":"rejected"}]}}"#,
    r#"{"data":{"total_sent":0,"statuses":{"failed":1},"messages":[{"message_id":"m","status":"failed"}]}}"#,
    r#"{"data":{"total_sent":0,"messages":[{"status":"rejected"},{"status":"expired"}]}}"#,
    r#"{"data":{"total_sent":0,"status":"failed"}}"#,
    r#"{"data":{"error":"no credit"}}"#,
    r#"{"data":{"error":"no credit","total_sent":1}}"#,
    r#"{"data":{"total_sent":1,"messages":[{"status":"failed"}]}}"#,
    r#"{"data":{"total_sent":0,"messages":[{"status":"queued"}]}}"#,
    r#"{"data":{"total_sent":0,"messages":[{"message_id":"m","status":"undelivered"}]}}"#,
    r#"{"data":{"messages":[{"message_id":"m","status":"undelivered"}]}}"#,
    r#"{"error":"no","data":[{"total_sent":2}]}"#,
    r#"{"data":{"total_sent":0}}"#,
    r#"{"data":{"total_sent":0,"messages":[]}}"#,
    r#"{"data":{"messages":[{"message_id":"m"}]}}"#,
    r#"{"data":{}}"#,
    "{}",
    r#"{"data":{"total_sent":1"#,
    "<html>sign in</html>",
];

fn verdict<T>(result: Result<T, Error>) -> String {
    let error = match result {
        Ok(_) => return "ok".to_owned(),
        Err(error) => error,
    };
    let mut text = format!("{:?}, {}", error.certainty(), error.kind());
    for id in [error.email_id(), error.schedule_id()]
        .into_iter()
        .flatten()
    {
        write!(text, ", id {id}").unwrap();
    }
    text
}

/// Returns the common verdict of the entry points. Fails if they differ.
fn agreed(reply: &str, verdicts: Vec<(&str, String)>) -> String {
    let (_, first) = verdicts[0].clone();
    for (entry_point, verdict) in verdicts {
        assert_eq!(verdict, first, "{reply} by {entry_point}");
    }
    first
}

/// A server that answers every call with 200 and this body.
struct Server {
    _sandbox: Sandbox,
    client: Client,
    blocking: blocking::Client,
    runtime: Runtime,
}

impl Server {
    fn answering(body: &str) -> Self {
        let fault = Fault::status(200).body("application/json", body);
        let sandbox = Sandbox::builder().fault(fault).start_blocking().unwrap();
        let url = sandbox.base_url();
        Self {
            client: Client::builder(watched(sandbox.key()))
                .base_url(url)
                .build()
                .unwrap(),
            blocking: blocking::Client::builder(watched(sandbox.key()))
                .base_url(url)
                .build()
                .unwrap(),
            runtime: Runtime::new().unwrap(),
            _sandbox: sandbox,
        }
    }
}

fn email() -> Email {
    Email::new("a@example.com", "Hello")
        .to("b@example.net")
        .text("Hello")
}

/// Writes a row of a table.
fn row(table: &mut String, reply: &str, verdict: &str) {
    let reply = if reply.is_empty() { "(empty)" } else { reply };
    writeln!(table, "{reply}\n    {verdict}").unwrap();
}

#[test]
fn entry_points_agree_on_a_reply_to_a_mail() {
    let mime = "From: a@example.com\r\nTo: b@example.net\r\n\r\nHello";
    let mut table = String::new();
    for reply in MAIL {
        let server = Server::answering(reply);
        let (client, blocking) = (&server.client, &server.blocking);
        let send = EmailSendRequest::new("a@example.com", ["b@example.net"]).text_body("Hello");
        let send_mime = EmailMimeRequest::new("RnJvbTogYUBleGFtcGxlLmNvbQ0KDQo=");
        let body = || Body::from(r#"{"sender":"a@example.com"}"#);
        let mut verdicts = server.runtime.block_on(async {
            let raw = client.raw();
            let mut all = client.send_all([email()], 1);
            vec![
                ("send", verdict(client.send(email()).await)),
                (
                    "send_mime",
                    verdict(client.send_mime(mime.as_bytes().to_vec()).await),
                ),
                ("send_all", verdict(all.next().await.unwrap().result)),
                (
                    "email().send",
                    verdict(client.email().send(send.clone()).await),
                ),
                (
                    "email().mime",
                    verdict(client.email().mime(send_mime.clone()).await),
                ),
                (
                    "execute",
                    verdict(client.execute(&operations::EMAIL_SEND, body()).await),
                ),
                (
                    "raw",
                    verdict(raw.email_send(&send).await.map_err(Error::from)),
                ),
                (
                    "raw mime",
                    verdict(raw.email_mime(&send_mime).await.map_err(Error::from)),
                ),
            ]
        });
        verdicts.extend([
            ("blocking send", verdict(blocking.send(email()))),
            (
                "blocking send_mime",
                verdict(blocking.send_mime(Mime::from_bytes(mime))),
            ),
            (
                "blocking email().send",
                verdict(blocking.email().send(send)),
            ),
        ]);
        row(&mut table, reply, &agreed(reply, verdicts));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn entry_points_agree_on_a_result_of_a_batch() {
    let mut table = String::new();
    for result in RESULT {
        let reply = format!(r#"{{"data":[{result}]}}"#);
        row(&mut table, result, &batch_verdict(&reply));
    }
    insta::assert_snapshot!(table);
}

#[test]
fn entry_points_agree_on_a_reply_to_a_batch() {
    let mut table = String::new();
    for reply in BATCH {
        row(&mut table, reply, &batch_verdict(reply));
    }
    insta::assert_snapshot!(table);
}

/// Returns the verdict on the only mail of a batch, and that of the entry points that judge the
/// whole reply.
fn batch_verdict(reply: &str) -> String {
    let server = Server::answering(reply);
    let (client, blocking) = (&server.client, &server.blocking);
    let item = BatchEmail::new("a@example.com", ["b@example.net"], "Hello").text_body("Hello");
    let request = EmailBatchRequest::new([item]);
    let (batch, whole) = server.runtime.block_on(async {
        let body = Body::from(r#"{"emails":[]}"#);
        let whole = vec![
            (
                "email().batch",
                verdict(client.email().batch(request.clone()).await),
            ),
            (
                "execute",
                verdict(client.execute(&operations::EMAIL_BATCH, body).await),
            ),
            (
                "raw",
                verdict(
                    client
                        .raw()
                        .email_batch(&request)
                        .await
                        .map_err(Error::from),
                ),
            ),
        ];
        let batch = client.send_batch([email()]).await;
        (batch.and_then(Batch::into_sent), whole)
    });
    let blocking = blocking.send_batch([email()]);
    let items = vec![
        ("send_batch", verdict(batch)),
        ("blocking", verdict(blocking.and_then(Batch::into_sent))),
    ];
    let whole = agreed(reply, whole);
    format!("{}; the whole: {whole}", agreed(reply, items))
}

#[test]
fn entry_points_agree_on_a_reply_to_an_sms() {
    let mut table = String::new();
    for reply in SMS {
        let server = Server::answering(reply);
        let (client, blocking) = (&server.client, &server.blocking);
        let sms = SmsSendRequest::new(["+15555550123"], "Hello");
        let mut verdicts = server.runtime.block_on(async {
            let body = Body::from("{}");
            vec![
                ("sms().send", verdict(client.sms().send(sms.clone()).await)),
                (
                    "execute",
                    verdict(client.execute(&operations::SMS_SEND, body).await),
                ),
                (
                    "raw",
                    verdict(client.raw().sms_send(&sms).await.map_err(Error::from)),
                ),
            ]
        });
        verdicts.push(("blocking", verdict(blocking.sms().send(sms))));
        row(&mut table, reply, &agreed(reply, verdicts));
    }
    insta::assert_snapshot!(table);
}
