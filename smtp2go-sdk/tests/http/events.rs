//! Events and lists of sent mail and text messages, read from a strict sandbox.

use std::time::{Duration, SystemTime};

use smtp2go_sandbox::{Sandbox, WebhookState};
use smtp2go_sdk::types::{
    ActivityEvent, ActivitySearchRequest, EmailEventKind, EmailScheduledRemoveRequest,
    EmailScheduledSearchRequest, SmsSendRequest, SmsViewSentRequest, StatsEmailSummaryRequest,
    WebhookAddRequest, WebhookViewRequest,
};
use smtp2go_sdk::{Certainty, Client, Email};

use crate::log_watch::watched;

async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::builder().strict(true).start().await.unwrap();
    let client = Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

fn mail(to: &str) -> Email {
    Email::new("Acme <noreply@example.com>", "Hello")
        .to(to)
        .html("<a href=\"https://example.com/\">Hello</a>")
}

#[tokio::test]
async fn activity_and_summary_show_the_events_of_mail() {
    let (sandbox, client) = start().await;
    for recipient in [
        "click@example.net",
        "bounce@example.net",
        "jane@example.net",
    ] {
        client.send(mail(recipient)).await.unwrap();
    }
    sandbox.advance(Duration::from_secs(1));
    let since = SystemTime::now() - Duration::from_secs(3_600);
    let request = ActivitySearchRequest::new().start_date(since).limit(2);
    let mut events = client.activity().search_all(request);
    let mut kinds = Vec::new();
    while let Some(event) = events.try_next().await.unwrap() {
        kinds.push(event.event.unwrap());
    }
    use ActivityEvent::{Clicked, Delivered, HardBounced, Opened, Processed};
    let count = |kind: &ActivityEvent| kinds.iter().filter(|known| *known == kind).count();
    let counts = [Processed, Delivered, HardBounced, Opened, Clicked].map(|kind| count(&kind));
    assert_eq!(counts, [3, 2, 1, 1, 1]);
    assert_eq!(kinds.len(), 8);

    let request = StatsEmailSummaryRequest::new();
    let summary = client.stats().email_summary(request).await.unwrap();
    assert_eq!(
        (summary.email_count, summary.hardbounces),
        (Some(3), Some(1))
    );
    // The bounce has suppressed the address.
    let error = client.send(mail("bounce@example.net")).await.unwrap_err();
    assert_eq!(error.certainty(), Certainty::Rejected);
    assert!(error.failures()[0].contains("suppressed"), "{error}");
}

#[tokio::test]
async fn scheduled_mail_is_listed_until_it_is_cancelled() {
    let (_sandbox, client) = start().await;
    let time = SystemTime::now() + Duration::from_secs(3_600);
    let mut ids = Vec::new();
    for _ in 0..3 {
        let sent = client.send(mail("jane@example.net").schedule(time)).await;
        ids.push(sent.unwrap().schedule_id.clone().unwrap());
    }
    let remove = EmailScheduledRemoveRequest::new(&ids[1]);
    client.email().scheduled_remove(remove).await.unwrap();
    let request = EmailScheduledSearchRequest::new().limit(1);
    let mut scheduled = client.email().scheduled_search_all(request);
    let mut found = Vec::new();
    while let Some(mail) = scheduled.try_next().await.unwrap() {
        found.push(mail.schedule_id.unwrap());
    }
    assert_eq!(found, [ids[0].clone(), ids[2].clone()]);
}

#[tokio::test]
async fn webhook_and_text_message_are_listed() {
    let (sandbox, client) = start().await;
    // No server listens on this port, so the delivery waits for its next attempt.
    let hook =
        WebhookAddRequest::new("http://127.0.0.1:9/hook").events([EmailEventKind::Processed]);
    let added = client.webhook().add(hook).await.unwrap();
    let webhooks = client
        .webhook()
        .view(WebhookViewRequest::new())
        .await
        .unwrap();
    assert_eq!(webhooks[0].id, added.id);
    client.send(mail("jane@example.net")).await.unwrap();
    assert!(sandbox.wait_for_webhooks(Duration::from_secs(20)).await);
    let delivery = &sandbox.webhook_deliveries()[0];
    assert!(
        matches!(delivery.state(), WebhookState::Waiting(_)),
        "{delivery:?}"
    );

    let text = SmsSendRequest::new(["+15555550123"], "Hello");
    let sent = client.sms().send(text).await.unwrap();
    assert_eq!(sent.total_sent, Some(1));
    sandbox.advance(Duration::from_secs(1));
    let listed = client
        .sms()
        .view_sent(SmsViewSentRequest::new())
        .await
        .unwrap();
    assert_eq!(
        listed.messages[0].status.as_deref(),
        Some("Arrived on the phone")
    );
}
