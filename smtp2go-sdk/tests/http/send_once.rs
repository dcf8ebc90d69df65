//! `send_once`: a mail is sent once, even if the request or its reply is lost.

use std::future::Future;
use std::time::Duration;

use smtp2go_sandbox::{ApiKey, Fault, Sandbox, SandboxBuilder};
use smtp2go_sdk::{Certainty, Client, Email, RetryPolicy, SendOnce};

use crate::log_watch::watched;
use crate::support::{KEY, body};

fn mail() -> Email {
    Email::new("a@example.com", "Hello")
        .idempotency_key("order-42")
        .to("jane@example.net")
        .text("Hello")
}

/// A sandbox on the test's own runtime, so that a paused clock works.
async fn sandbox(change: impl FnOnce(SandboxBuilder) -> SandboxBuilder) -> (Sandbox, Client) {
    let builder = change(Sandbox::builder().key(KEY).strict(true));
    let sandbox = builder.start().await.unwrap();
    let client = client(&sandbox, KEY);
    (sandbox, client)
}

fn client(sandbox: &Sandbox, key: &str) -> Client {
    Client::builder(watched(key))
        .base_url(sandbox.base_url())
        .retry(RetryPolicy::none())
        .build()
        .unwrap()
}

/// How often an operation was called.
fn count(sandbox: &Sandbox, operation: &str) -> usize {
    let calls = sandbox.calls();
    let of = calls
        .iter()
        .filter(|call| call.operation() == Some(operation));
    of.count()
}

fn lost(nth: u64, is_sent: bool) -> Fault {
    Fault::reset()
        .on("email_send")
        .nth(nth)
        .carried_out(is_sent)
}

#[tokio::test(start_paused = true)]
async fn mail_is_accepted_once_if_mail_or_reply_is_lost() {
    for (faults, looked_up, sends) in [
        (vec![], false, 1),
        // The reply is lost.
        (vec![lost(1, true)], true, 1),
        // The mail is lost.
        (vec![lost(1, false)], false, 2),
        // The mail is lost, and then the reply to its second send.
        (vec![lost(1, false), lost(2, true)], true, 2),
        (
            vec![
                lost(1, true),
                Fault::status(503).on("activity_search").first(2),
            ],
            true,
            1,
        ),
    ] {
        let text = format!("{faults:?}");
        let (sandbox, client) =
            sandbox(|builder| faults.into_iter().fold(builder, SandboxBuilder::fault)).await;
        let sent = client.send_once(mail()).await.unwrap();
        let mails = sandbox.mails();
        assert_eq!(mails.len(), 1, "{text}");
        assert_eq!(
            sent.email_id.as_deref(),
            Some(mails[0].email_id()),
            "{text}"
        );
        assert_eq!(
            (sent.looked_up, count(&sandbox, "email_send")),
            (looked_up, sends),
            "{text}"
        );
        assert!(sent.request_id().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn mail_lost_in_every_send_returns_the_error_of_the_last_send() {
    for (resends, sends) in [(0, 1), (1, 2), (3, 4)] {
        let (sandbox, client) =
            sandbox(|builder| builder.fault(Fault::reset().on("email_send").carried_out(false)))
                .await;
        let settings = SendOnce::new()
            .deadline(Duration::from_secs(86_400))
            .lag(Duration::from_secs(60))
            .give_up_after(Duration::from_secs(90))
            .max_resends(resends);
        let error = client.send_once_with(mail(), settings).await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.operation().unwrap().id, "email_send");
        assert_eq!(count(&sandbox, "email_send"), sends);
        assert_eq!(sandbox.mails().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn send_once_returns_the_error_of_the_send_at_the_deadline() {
    let lagging = Duration::from_secs(365 * 86_400);
    for (deadline, lag, searches) in [
        // The deadline is too short for a look-up.
        (100, 120, 0),
        // A look-up every five seconds.
        (100, 20, 16),
    ] {
        let (sandbox, client) =
            sandbox(|builder| builder.activity_lag(lagging).fault(lost(1, true))).await;
        let settings = SendOnce::new()
            .deadline(Duration::from_secs(deadline))
            .lag(Duration::from_secs(lag));
        let error = client.send_once_with(mail(), settings).await.unwrap_err();
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.operation().unwrap().id, "email_send");
        let found = count(&sandbox, "activity_search");
        // Calls take time, so there can be fewer look-ups.
        assert!(found <= searches && found >= searches / 2, "{found}");
        assert_eq!(sandbox.mails().len(), 1);
    }
}

#[tokio::test]
async fn look_up_waits_for_the_lag_of_the_activity() {
    let lag = Duration::from_secs(1);
    let (sandbox, client) = sandbox(|builder| builder.activity_lag(lag).fault(lost(1, true))).await;
    let sent = client
        .send_once_with(mail(), SendOnce::new().lag(lag))
        .await
        .unwrap();
    assert!(sent.looked_up);
    assert_eq!(count(&sandbox, "email_send"), 1);
}

#[tokio::test]
async fn proven_outcome_is_not_looked_up() {
    for (fault, certainty) in [
        (Fault::refuse(), Certainty::NotSent),
        (Fault::status(400), Certainty::Rejected),
        (Fault::failed("refused"), Certainty::Rejected),
    ] {
        let (sandbox, client) = sandbox(|builder| builder.fault(fault)).await;
        let error = client.send_once(mail()).await.unwrap_err();
        assert_eq!(error.certainty(), certainty, "{error}");
        assert_eq!(count(&sandbox, "activity_search"), 0);
    }
    let (sandbox, client) = sandbox(|builder| builder).await;
    let keyless = Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi");
    let error = client.send_once(keyless).await.unwrap_err();
    assert!(error.is_config(), "{error}");
    assert_eq!(sandbox.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn mail_scheduled_after_the_deadline_is_not_waited_for() {
    let (sandbox, client) = sandbox(|builder| builder.fault(lost(1, true))).await;
    let at = sandbox.now() + Duration::from_secs(7_200);
    let error = client.send_once(mail().schedule(at)).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert_eq!(sandbox.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn error_names_the_search_that_the_key_does_not_permit() {
    let second = "api-1123456789abcdefABCDEF0123456789";
    let (sandbox, _) = sandbox(|builder| {
        let key = ApiKey::new(second).endpoints(["/email/send"]);
        builder.api_key(key).fault(lost(1, true))
    })
    .await;
    let error = client(&sandbox, second)
        .send_once(mail())
        .await
        .unwrap_err();
    assert_eq!(error.certainty(), Certainty::Unknown);
    assert!(error.to_string().contains("/activity/search"), "{error}");
    assert_eq!(count(&sandbox, "activity_search"), 1);
    assert_eq!(count(&sandbox, "email_send"), 1);
}

#[tokio::test(start_paused = true)]
async fn dropped_send_once_sends_no_second_mail() {
    // Dropped during the wait for the reply, and during later waits.
    for seconds in [0, 1, 60, 125, 600] {
        let (sandbox, client) = sandbox(|builder| builder.fault(lost(1, false))).await;
        let call = client.send_once(mail());
        let limit = Duration::from_secs(seconds);
        let ended = tokio::time::timeout(limit, call).await;
        assert!(ended.is_err());
        tokio::time::sleep(Duration::from_secs(3_600)).await;
        assert!(count(&sandbox, "email_send") <= 1);
        assert_eq!(sandbox.mails().len(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn look_up_covers_the_first_attempt() {
    // The activity shows the first mail only after the mail counted as absent and was sent again.
    let (sandbox, client) = sandbox(|builder| {
        let builder = builder.fault(lost(1, true)).fault(lost(2, false));
        builder.fault(
            Fault::status(200)
                .json(&serde_json::json!({ "data": { "events": [] } }))
                .on("activity_search")
                .first(2),
        )
    })
    .await;
    let settings = SendOnce::new().give_up_after(Duration::from_secs(140));
    let sent = client.send_once_with(mail(), settings).await.unwrap();
    assert!(sent.looked_up);
    let searches = sandbox.calls();
    let mut starts = searches
        .iter()
        .filter(|call| call.operation() == Some("activity_search"))
        .map(|call| {
            let request: serde_json::Value = serde_json::from_str(body(call)).unwrap();
            request["start_date"].clone()
        });
    let first = starts.next().unwrap();
    assert!(starts.all(|start| start == first));
    assert_eq!(sandbox.mails().len(), 1);
}

#[test]
fn future_of_send_once_is_send() {
    fn assert_send(_: impl Future + Send) {}
    let client = Client::builder(watched(KEY))
        .base_url("http://localhost")
        .build()
        .unwrap();
    assert_send(client.send_once(mail()));
}
