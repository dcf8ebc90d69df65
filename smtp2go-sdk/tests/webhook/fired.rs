//! Events that the sandbox posts to a receiver in each framework.

#![allow(clippy::panic)] // helpers of tests

use std::time::Duration;

use smtp2go_sandbox::{EventKind, Sandbox, WebhookAttempt, WebhookDelivery, WebhookState};
use smtp2go_sdk::types::{
    BounceKind, EmailEvent, EmailEventKind, SmsEvent, SmsEventKind, SmsEventName, SmsSendRequest,
    WebhookFormat,
};
use smtp2go_sdk::webhook::{Auth, Change, Event, MemoryDeduplicator, Receiver, Subscription};
use smtp2go_sdk::{Client, Email};

use crate::log_watch::watched;
use crate::posting::{Framework, Inbox};

const FORMATS: [WebhookFormat; 2] = [WebhookFormat::Json, WebhookFormat::Form];
/// Timeout that a busy machine does not reach.
const PATIENCE: Duration = Duration::from_secs(60);
const LINK: &str = "https://example.com/pay?a=1&b=2";

/// Each kind of secret.
fn auths(secret: &str) -> [Auth; 5] {
    [
        Auth::bearer(watched("t0ken-".to_owned() + secret)).unwrap(),
        Auth::basic("user", watched(format!("p:a/ss {secret}"))).unwrap(),
        Auth::basic_in_url("us@er", watched(format!("p:a/ss {secret}"))).unwrap(),
        Auth::secret_path(watched(format!("s3cret/ +%\u{e9}{secret}"))).unwrap(),
        Auth::secret_query("token", watched(format!("s3cret/ +%&\u{e9}{secret}"))).unwrap(),
    ]
}

/// A subscription to all events.
fn everything() -> Subscription {
    use EmailEventKind::{
        Bounce, Click, Delivered, Open, Processed, Reject, Resubscribe, Spam, Unsubscribe,
    };
    use SmsEventKind::{Failed, OptOut, Rejected, Sending, Submitted};
    Subscription::email([
        Processed,
        Delivered,
        Open,
        Click,
        Bounce,
        Spam,
        Unsubscribe,
        Reject,
        Resubscribe,
    ])
    .and_sms([
        Sending,
        Submitted,
        SmsEventKind::Delivered,
        Failed,
        Rejected,
        OptOut,
    ])
    .headers(["X-Order-Id"])
}

/// A sandbox with a frozen clock, so that events occur only when the test advances it.
async fn start() -> (Sandbox, Client) {
    let sandbox = Sandbox::builder()
        .strict(true)
        .webhook_timeout(PATIENCE)
        .start()
        .await
        .unwrap();
    sandbox.freeze();
    let client = Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

async fn send(client: &Client, to: &str) {
    let mail = Email::new("\"Acme, Inc\" <noreply@example.com>", "Größe & Co")
        .to(to)
        .html("<a href=\"https://example.com/pay?a=1&amp;b=2\">Pay</a>")
        .header("X-Order-Id", "1042 = ü");
    client.send(mail).await.unwrap();
}

/// Triggers every kind of event of mail and of text messages.
async fn live(sandbox: &Sandbox, client: &Client) {
    for name in [
        "jane",
        "hardbounce",
        "softbounce",
        "spam",
        "resubscribe",
        "click",
        "reject",
    ] {
        send(client, &format!("{name}@example.net")).await;
    }
    // Delivered, failed, rejected, and answered with STOP.
    let numbers = [
        "+15555550123",
        "+15555550002",
        "+15555550003",
        "+15555550004",
    ];
    let text = SmsSendRequest::new(numbers, "Your code is 204816.");
    client.sms().send(text).await.unwrap();
    sandbox.advance(Duration::from_secs(1));
}

async fn settle(sandbox: &Sandbox) {
    assert!(sandbox.wait_for_webhooks(PATIENCE).await);
}

/// The status of every attempt at every delivery, in order.
fn statuses(sandbox: &Sandbox) -> Vec<Vec<Option<u16>>> {
    let deliveries = sandbox.webhook_deliveries();
    let attempts = deliveries.iter().map(WebhookDelivery::attempts);
    attempts
        .map(|attempts| attempts.iter().map(WebhookAttempt::status).collect())
        .collect()
}

/// The id of an event, which the sandbox and the receiver share.
fn id(event: &Event) -> String {
    match event {
        Event::Email(event) => event.id.clone(),
        Event::Sms(event) => event.id.clone(),
        _ => None,
    }
    .unwrap_or_else(|| panic!("{event:?}"))
}

fn check_email(event: &EmailEvent, fired: &smtp2go_sandbox::Event) {
    let mail = fired.mail().unwrap();
    assert_eq!(event.email_id.as_deref(), Some(mail.email_id()));
    assert_eq!(event.subject.as_deref(), Some("Größe & Co"));
    assert_eq!(event.from_name.as_deref(), Some("Acme, Inc"));
    assert!(event.message_id.is_some());
    assert_eq!(event.extra["X-Order-Id"], "1042 = ü");
    assert_eq!(event.rcpt.as_deref(), fired.recipient());
    assert_eq!(event.concerns().collect::<Vec<_>>(), mail.recipients());
    assert!(event.time.is_some() && event.sendtime.is_some());
    use EmailEventKind::{
        Bounce, Click, Delivered, Open, Processed, Reject, Resubscribe, Spam, Unsubscribe,
    };
    let kind = match fired.kind() {
        EventKind::Processed => Processed,
        EventKind::Delivered => Delivered,
        EventKind::HardBounce | EventKind::SoftBounce => Bounce,
        EventKind::Open => Open,
        EventKind::Click => Click,
        EventKind::Spam => Spam,
        EventKind::Unsubscribe => Unsubscribe,
        EventKind::Resubscribe => Resubscribe,
        EventKind::Reject => Reject,
        other => panic!("{other:?}"),
    };
    assert_eq!(event.event, Some(kind));
    let bounce = match fired.kind() {
        EventKind::HardBounce => Some(BounceKind::Hard),
        EventKind::SoftBounce => Some(BounceKind::Soft),
        _ => None,
    };
    assert_eq!(event.bounce, bounce);
    assert_eq!(event.message.as_deref(), fired.detail("message"));
    let is_open = fired.kind() == EventKind::Open;
    assert_eq!(event.read_secs, is_open.then_some(15));
    let is_click = fired.kind() == EventKind::Click;
    assert_eq!(event.target(), is_click.then_some(LINK));
    assert_eq!(event.reader().is_some(), is_open || is_click);
}

fn check_sms(event: &SmsEvent, fired: &smtp2go_sandbox::Event) {
    use SmsEventName::{OptOut, SmsDelivered, SmsFailed, SmsRejected, SmsSending, SmsSubmitted};
    let sms = fired.sms().unwrap();
    let (kind, content) = match fired.kind() {
        EventKind::SmsSending => (SmsSending, sms.content()),
        EventKind::SmsSubmitted => (SmsSubmitted, sms.content()),
        EventKind::SmsDelivered => (SmsDelivered, sms.content()),
        EventKind::SmsFailed => (SmsFailed, sms.content()),
        EventKind::SmsRejected => (SmsRejected, sms.content()),
        EventKind::SmsOptOut => (OptOut, "STOP"),
        other => panic!("{other:?}"),
    };
    assert_eq!(event.event, Some(kind));
    assert_eq!(event.message_id.as_deref(), Some(sms.message_id()));
    assert_eq!(event.destination_number.as_deref(), Some(sms.destination()));
    assert_eq!(event.message_content.as_deref(), Some(content));
    assert_eq!(event.retry_count, Some(0));
}

#[tokio::test]
async fn every_event_kind_arrives_typed_in_both_formats_with_each_auth() {
    for framework in Framework::ALL {
        let (sandbox, client) = start().await;
        let mut receivers = Vec::new();
        for auth in auths("") {
            for format in FORMATS {
                let inbox = Inbox::new();
                let url = framework.serve(Receiver::new(auth.clone()), &inbox).await;
                let wanted = everything().format(format.clone());
                let ensured = client.ensure_webhook(&url, wanted, &auth).await.unwrap();
                assert_eq!(ensured.change, Change::Created, "{auth:?}");
                assert_eq!(ensured.differences, [], "{auth:?}");
                receivers.push((inbox, format!("{framework:?} {auth:?} {format:?}")));
            }
        }
        live(&sandbox, &client).await;
        settle(&sandbox).await;

        let fired = sandbox.events();
        let mut kinds: Vec<_> = fired.iter().map(|event| event.kind()).collect();
        kinds.sort_unstable_by_key(|kind| format!("{kind:?}"));
        kinds.dedup();
        assert_eq!(kinds.len(), 16, "{kinds:?}");
        for delivery in sandbox.webhook_deliveries() {
            assert_eq!(delivery.state(), WebhookState::Accepted, "{delivery:?}");
        }
        for (inbox, which) in receivers {
            let events = inbox.take();
            assert_eq!(events.len(), fired.len(), "{which}");
            for fired in &fired {
                let mut found = events.iter().filter(|event| id(event) == fired.id());
                let event = found.next().unwrap_or_else(|| panic!("{which}: {fired:?}"));
                assert_eq!(found.next(), None, "{which}");
                match event {
                    Event::Email(event) => check_email(event, fired),
                    Event::Sms(event) => check_sms(event, fired),
                    other => panic!("{which}: {other:?}"),
                }
            }
        }
    }
}

#[tokio::test]
async fn wrong_secrets_are_refused_until_the_webhook_has_the_right_ones() {
    for framework in Framework::ALL {
        let (sandbox, client) = start().await;
        let mut receivers = Vec::new();
        for (old, new) in auths("old").into_iter().zip(auths("new")) {
            let inbox = Inbox::new();
            let url = framework.serve(Receiver::new(new.clone()), &inbox).await;
            let wanted = [EmailEventKind::Processed];
            let ensured = client.ensure_webhook(&url, wanted, &old).await.unwrap();
            assert!(ensured.is_as_asked(), "{old:?}");
            receivers.push((url, new, inbox));
        }
        send(&client, "jane@example.net").await;
        settle(&sandbox).await;
        assert_eq!(statuses(&sandbox), vec![vec![Some(401)]; 5]);

        for (url, new, inbox) in &receivers {
            assert_eq!(inbox.take(), [], "{framework:?} {new:?}");
            let wanted = [EmailEventKind::Processed];
            let ensured = client.ensure_webhook(url, wanted, new).await.unwrap();
            // A different secret path is a different webhook, by design.
            let is_path = *new == Auth::secret_path(watched("s3cret/ +%\u{e9}new")).unwrap();
            let change = match is_path {
                true => Change::Created,
                false => Change::Updated,
            };
            assert_eq!((ensured.change, ensured.differences), (change, vec![]));
        }
        send(&client, "jane@example.net").await;
        settle(&sandbox).await;
        for (_, new, inbox) in &receivers {
            assert_eq!(inbox.take().len(), 1, "{framework:?} {new:?}");
        }
    }
}

/// Advances the frozen clock to the next attempt of a delivery.
async fn next_attempt(sandbox: &Sandbox) {
    let deliveries = sandbox.webhook_deliveries();
    let next = deliveries.iter().filter_map(|delivery| {
        let WebhookState::Waiting(time) = delivery.state() else {
            return None;
        };
        time.duration_since(sandbox.now()).ok()
    });
    sandbox.advance(next.max().unwrap());
    settle(sandbox).await;
}

#[tokio::test]
async fn failed_event_is_posted_again_and_duplicate_is_skipped() {
    for framework in [Framework::AxumRouter, Framework::Parts, Framework::Hyper] {
        for format in FORMATS {
            let (sandbox, client) = start().await;
            let inbox = Inbox::new();
            let auth = Auth::bearer(watched("t0ken")).unwrap();
            let receiver = Receiver::new(auth.clone()).deduplicate(MemoryDeduplicator::new());
            let url = framework.serve(receiver, &inbox).await;
            let wanted = Subscription::email([EmailEventKind::Processed]).format(format);
            let ensured = client.ensure_webhook(&url, wanted, &auth).await.unwrap();
            assert!(ensured.is_as_asked());

            inbox.answer_with(500);
            send(&client, "jane@example.net").await;
            settle(&sandbox).await;
            next_attempt(&sandbox).await;
            inbox.answer_with(200);
            next_attempt(&sandbox).await;
            assert_eq!(
                sandbox.webhook_deliveries()[0].state(),
                WebhookState::Accepted
            );
            assert_eq!(statuses(&sandbox), [[Some(500), Some(500), Some(200)]]);
            let events = inbox.take();
            assert_eq!(events.len(), 3, "{framework:?}");
            assert!(events.iter().all(|event| *event == events[0]));

            assert!(sandbox.post_webhook_again(0));
            settle(&sandbox).await;
            assert_eq!(statuses(&sandbox)[0].last(), Some(&Some(200)));
            assert_eq!(inbox.take(), [], "a duplicate is recognised");

            // An event of another mail is not a duplicate.
            send(&client, "jane@example.net").await;
            settle(&sandbox).await;
            assert_eq!(inbox.take().len(), 1);
        }
    }
}

#[tokio::test]
async fn ensure_webhook_writes_only_if_settings_differ() {
    let (sandbox, client) = start().await;
    let url = "http://127.0.0.1:9/hook";
    let (bearer, basic) = (
        Auth::bearer(watched("t0ken")).unwrap(),
        Auth::basic("user", watched("passw0rd")).unwrap(),
    );
    let writes = || {
        let calls = sandbox.calls();
        let paths = calls.iter().map(|call| call.path().to_owned());
        paths.filter(|path| !path.ends_with("/view")).count()
    };
    let opens = || Subscription::email([EmailEventKind::Open]);
    for (wanted, auth, change, count) in [
        (opens(), Some(&bearer), Change::Created, 1),
        (opens(), Some(&bearer), Change::Unchanged, 1),
        (everything(), Some(&bearer), Change::Updated, 2),
        (everything(), Some(&bearer), Change::Unchanged, 2),
        (
            everything().format(WebhookFormat::Form),
            Some(&bearer),
            Change::Updated,
            3,
        ),
        (opens(), Some(&basic), Change::Updated, 4),
        (opens(), None, Change::Updated, 5),
        (opens(), None, Change::Unchanged, 5),
    ] {
        let ensured = client
            .ensure_webhook(url, wanted.clone(), auth)
            .await
            .unwrap();
        let found = (ensured.change, ensured.differences, writes());
        assert_eq!(found, (change, vec![], count), "{wanted:?}");
        assert!(!ensured.secret_unseen);
        assert_eq!(ensured.duplicates, [] as [i64; 0]);
    }

    // The service would ignore the value. The SDK refuses it before sending.
    let unknown = [EmailEventKind::from("opnd")];
    let error = client.ensure_webhook(url, unknown, None).await.unwrap_err();
    assert!(error.is_validation(), "{error}");
    assert!(error.to_string().contains("opnd"), "{error}");
    assert_eq!(writes(), 5);

    // Nine more webhooks reach the limit of a paid plan.
    for port in 10..19 {
        let url = format!("http://127.0.0.1:{port}/hook");
        let ensured = client.ensure_webhook(url, opens(), None).await.unwrap();
        assert_eq!(ensured.change, Change::Created);
    }
    let url = "http://127.0.0.1:19/hook";
    let error = client.ensure_webhook(url, opens(), None).await.unwrap_err();
    let says = "the account already has 10 webhooks";
    assert!(error.to_string().contains(says), "{error}");
}
