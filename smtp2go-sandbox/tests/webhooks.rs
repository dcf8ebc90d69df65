//! Webhooks: the events that endpoints receive, and retries.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use smtp2go_sandbox::{EventKind, Outcome, Sandbox, SandboxBuilder, WebhookDelivery, WebhookState};
use support::post;

/// A request that an endpoint received.
struct Posted {
    /// Names are in lower case.
    headers: BTreeMap<String, String>,
    path: String,
    body: String,
}

impl Posted {
    fn fields(&self) -> BTreeMap<String, String> {
        if self.headers["content-type"] == "application/json" {
            let value: Value = serde_json::from_str(&self.body).unwrap();
            let fields = value.as_object().unwrap().iter();
            let text = |value: &Value| match value {
                Value::String(text) => text.clone(),
                Value::Array(items) => {
                    let items = items.iter().map(|item| item.as_str().unwrap());
                    items.collect::<Vec<_>>().join(",")
                }
                other => other.to_string(),
            };
            return fields
                .map(|(name, value)| (name.clone(), text(value)))
                .collect();
        }
        assert_eq!(
            self.headers["content-type"],
            "application/x-www-form-urlencoded"
        );
        let fields = self
            .body
            .split('&')
            .map(|field| field.split_once('=').unwrap());
        fields
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    String::from_utf8(decoded).unwrap()
}

/// Starts an endpoint that replies with these statuses in order, and then repeats the last one. 0
/// closes the connection without a reply; 1 leaves it open without a reply.
fn endpoint(statuses: &'static [u16]) -> (String, Receiver<Posted>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut silent = Vec::new();
        for (place, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let mut head = Vec::new();
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            let head = String::from_utf8(head).unwrap();
            let mut lines = head.lines();
            let first = lines.next().unwrap();
            let path = first
                .strip_prefix("POST ")
                .unwrap()
                .split(' ')
                .next()
                .unwrap()
                .to_owned();
            let headers: BTreeMap<_, _> = lines
                .filter_map(|line| line.split_once(": "))
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect();
            let mut body = vec![0; headers["content-length"].parse().unwrap()];
            stream.read_exact(&mut body).unwrap();
            let posted = Posted {
                headers,
                path,
                body: String::from_utf8(body).unwrap(),
            };
            if sender.send(posted).is_err() {
                return;
            }
            match statuses.get(place).or(statuses.last()).unwrap() {
                0 => drop(stream),
                1 => silent.push(stream),
                status => {
                    let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            }
        }
    });
    (address, receiver)
}

fn strict() -> SandboxBuilder {
    Sandbox::builder().strict(true)
}

fn started(builder: SandboxBuilder) -> Sandbox {
    let sandbox = builder.start_blocking().unwrap();
    sandbox.freeze();
    sandbox
}

fn add(sandbox: &Sandbox, webhook: &Value) -> Value {
    let reply = post(sandbox, "/webhook/add", webhook);
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.json()["data"].clone()
}

fn send_to(sandbox: &Sandbox, recipient: &str) {
    let mail = json!({
        "sender": "\"Acme, Inc\" <noreply@example.com>", "to": [recipient], "subject": "Größe & Co",
        "html_body": "<a href=\"https://example.com/pay?a=1&amp;b=2\">Pay</a>",
        "custom_headers": [{ "header": "x-order-id", "value": "1042 = ü" }],
    });
    let reply = post(sandbox, "/email/send", &mail);
    assert_eq!(reply.status, 200, "{}", reply.body);
}

/// Waits until a condition holds that another thread fulfils.
fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "condition not met within 20 s"
        );
        thread::sleep(Duration::from_millis(2));
    }
}

fn is_idle(delivery: &WebhookDelivery) -> bool {
    !matches!(
        delivery.state(),
        WebhookState::Queued | WebhookState::Sending
    )
}

/// Waits until no delivery is queued or being posted.
fn settle(sandbox: &Sandbox) {
    until(|| sandbox.webhook_deliveries().iter().all(is_idle));
}

const MAIL_EVENTS: [&str; 9] = [
    "processed",
    "delivered",
    "open",
    "click",
    "bounce",
    "spam",
    "unsubscribe",
    "reject",
    "resubscribe",
];

const SMS_EVENTS: [&str; 6] = [
    "sending",
    "submitted",
    "delivered",
    "failed",
    "rejected",
    "opt-out",
];

#[test]
fn every_event_is_posted_in_both_formats_with_each_kind_of_authorization() {
    let formats = [
        ("json", "application/json"),
        ("form", "application/x-www-form-urlencoded"),
    ];
    let kinds = [
        ("bearer", "t0ken", "", Some("Bearer t0ken")),
        ("basic", "dXNlcjpwYXNz", "", Some("Basic dXNlcjpwYXNz")),
        ("", "", "us%40er:p%3Ass@", Some("Basic dXNAZXI6cDpzcw==")),
        ("", "ignored", "", None),
    ];
    let sandbox = started(strict());
    let mut posted = Vec::new();
    for (format, content_type) in formats {
        for (kind, value, user, authorization) in kinds {
            let (address, receiver) = endpoint(&[200]);
            add(
                &sandbox,
                &json!({
                    "url": format!("http://{user}{address}/hook?key=x"), "events": MAIL_EVENTS,
                    "sms_events": SMS_EVENTS, "headers": ["X-Order-Id", "X-None"],
                    "output_format": format, "auth_header_type": kind, "auth_header_value": value,
                }),
            );
            posted.push((receiver, content_type, authorization, address));
        }
    }
    for recipient in [
        "kim",
        "hardbounce",
        "softbounce",
        "spam",
        "resubscribe",
        "click",
        "reject",
    ] {
        send_to(&sandbox, &format!("{recipient}@example.net"));
    }
    let numbers = [
        "+15555550123",
        "+15555550002",
        "+15555550003",
        "+15555550004",
    ];
    let text = json!({ "destination": numbers, "content": "Your code is 204816." });
    assert_eq!(post(&sandbox, "/sms/send", &text).status, 200);
    sandbox.advance(Duration::from_secs(1));
    settle(&sandbox);

    let events = sandbox.events();
    let mut kinds: Vec<_> = events
        .iter()
        .map(|event| event.kind().webhook_name())
        .collect();
    assert_eq!(kinds.len(), 7 + 7 + 5 + 12);
    kinds.sort_unstable();
    kinds.dedup();
    // Hard and soft bounces have the same name.
    assert_eq!(kinds.len(), 15, "{kinds:?}");
    assert_eq!(
        sandbox.webhook_deliveries().len(),
        events.len() * posted.len()
    );
    for (receiver, content_type, authorization, address) in posted {
        let posted: Vec<_> = receiver.try_iter().collect();
        assert_eq!(posted.len(), events.len());
        for posted in posted {
            assert_eq!(posted.path, "/hook?key=x");
            assert_eq!(posted.headers["host"], address);
            assert_eq!(posted.headers["content-type"], content_type);
            let authorized = posted.headers.get("authorization").map(String::as_str);
            assert_eq!(authorized, authorization);
            let fields = posted.fields();
            let event = events
                .iter()
                .find(|event| event.id() == fields["id"])
                .unwrap();
            assert_eq!(fields["event"], event.kind().webhook_name());
            let field = |name: &str| fields.get(name).map(String::as_str);
            if let Some(mail) = event.mail() {
                assert_eq!(fields["email_id"], mail.email_id());
                assert_eq!(fields["subject"], "Größe & Co");
                assert_eq!(fields["from_name"], "Acme, Inc");
                assert_eq!(fields["auth"], "api-SANDBOX0SAND");
                assert_eq!(fields["X-Order-Id"], "1042 = ü");
                assert_eq!(field("X-None"), None);
                assert_eq!(field("rcpt"), event.recipient());
                assert_eq!(field("recipients").is_some(), event.recipient().is_none());
                let form = content_type != "application/json";
                assert_eq!(field("Subject").is_some(), form);
                assert_eq!(field("Message-Id").is_some(), form);
            }
            if let Some(sms) = event.sms() {
                assert_eq!(fields["destination_number"], sms.destination());
                assert_eq!(fields["region"], "US");
            }
            match event.kind() {
                EventKind::HardBounce => assert_eq!(fields["bounce"], "hard"),
                EventKind::SoftBounce => assert_eq!(fields["bounce"], "soft"),
                EventKind::Open => assert_eq!(fields["read-secs"], "15"),
                EventKind::Click => assert_eq!(fields["url"], "https://example.com/pay?a=1&b=2"),
                EventKind::Reject => assert_eq!(fields["context"], "Unavailable"),
                EventKind::SmsOptOut => assert_eq!(fields["message_content"], "STOP"),
                _ => {}
            }
        }
    }
}

/// Fields of every event of a mail, including the header that the webhook copies.
const OF_MAIL: &str = "event time sendtime id email_id sender from from_address from_name auth \
                       subject message-id X-Order-Id";

/// Fields of an open or a click.
const OF_READER: &str = "rcpt srchost user-agent client client-device client-os geoip-continent \
                         geoip-country geoip-city";

/// Fields of every event of a text message.
const OF_SMS: &str = "event id message_id destination_number source_number message_content region \
                      retry_count status_code submitted_timestamp received_timestamp";

#[test]
fn event_has_the_fields_of_its_kind_and_no_others() {
    use EventKind::{
        Click, Delivered, HardBounce, Open, Processed, Reject, Resubscribe, SmsDelivered,
        SmsFailed, SmsOptOut, SmsRejected, SmsSending, SmsSubmitted, SoftBounce, Spam, Unsubscribe,
    };
    let mail = |more: &[&str]| [&[OF_MAIL], more].concat().join(" ");
    let table = [
        (Processed, mail(&["recipients srchost"])),
        (Delivered, mail(&["rcpt host message context"])),
        (HardBounce, mail(&["rcpt host message context bounce"])),
        (SoftBounce, mail(&["rcpt host message context bounce"])),
        (Open, mail(&[OF_READER, "read-secs opened-at"])),
        (Click, mail(&[OF_READER, "clicked-at url"])),
        (Spam, mail(&["rcpt"])),
        (Unsubscribe, mail(&["rcpt"])),
        (Resubscribe, mail(&["rcpt"])),
        (Reject, mail(&["rcpt message context"])),
        (SmsSending, OF_SMS.to_owned()),
        (SmsSubmitted, OF_SMS.to_owned()),
        (SmsDelivered, OF_SMS.to_owned()),
        (SmsFailed, OF_SMS.to_owned()),
        (SmsRejected, OF_SMS.to_owned()),
        (SmsOptOut, OF_SMS.to_owned()),
    ];
    let sandbox = started(strict());
    for format in ["json", "form"] {
        // The sandbox does not post to https, but lists the deliveries.
        add(
            &sandbox,
            &json!({ "url": "https://example.com/", "events": MAIL_EVENTS,
                     "sms_events": SMS_EVENTS, "headers": ["X-Order-Id"],
                     "output_format": format }),
        );
    }
    let recipients = [
        "kim",
        "hardbounce",
        "softbounce",
        "spam",
        "resubscribe",
        "click",
        "reject",
    ];
    let recipients = recipients.map(|name| format!("{name}@example.net"));
    let message = json!({
        "sender": "Acme <noreply@example.com>", "to": recipients, "subject": "Hi",
        "html_body": "<a href=\"https://example.com/pay\">Pay</a>",
        "custom_headers": [{ "header": "X-Order-Id", "value": "1042" }],
    });
    assert_eq!(post(&sandbox, "/email/send", &message).status, 200);
    let numbers = ["+15555550002", "+15555550003", "+15555550004"];
    let text = json!({ "destination": numbers, "content": "Your code is 204816." });
    assert_eq!(post(&sandbox, "/sms/send", &text).status, 200);
    sandbox.advance(Duration::from_secs(1));

    let deliveries = sandbox.webhook_deliveries();
    for (kind, expected) in table {
        let of_kind = deliveries
            .iter()
            .filter(|delivery| delivery.event().kind() == kind);
        let mut formats = Vec::new();
        for delivery in of_kind {
            let is_form = delivery.content_type() != "application/json";
            let body = String::from_utf8(delivery.body()).unwrap();
            let mut expected: Vec<_> = expected.split_whitespace().collect();
            if is_form && delivery.event().mail().is_some() {
                expected.extend(["Subject", "Message-Id"]);
            }
            expected.sort_unstable();
            let mut names: Vec<_> = match is_form {
                true => body
                    .split('&')
                    .map(|field| decode(field.split_once('=').unwrap().0))
                    .collect(),
                false => {
                    let event: Value = serde_json::from_str(&body).unwrap();
                    let members = event.as_object().unwrap();
                    for (name, value) in members {
                        let is_right = match name.as_str() {
                            "recipients" => *value == json!(recipients),
                            "retry_count" => value.is_u64(),
                            _ => value.is_string(),
                        };
                        assert!(is_right, "{kind:?} {name}: {value}");
                    }
                    members.keys().cloned().collect()
                }
            };
            names.sort_unstable();
            assert_eq!(names, expected, "{kind:?} {}", delivery.content_type());
            formats.push(is_form);
        }
        formats.sort_unstable();
        formats.dedup();
        assert_eq!(formats, [false, true], "{kind:?}");
    }
}

#[test]
fn format_of_times_texts_and_lists_matches_the_service() {
    let sandbox = started(strict());
    let mut receivers = Vec::new();
    for format in ["json", "form"] {
        let (address, receiver) = endpoint(&[200]);
        add(
            &sandbox,
            &json!({ "url": format!("http://{address}/"), "events": ["processed", "open"],
                     "output_format": format }),
        );
        receivers.push(receiver);
    }
    let mail = json!({ "sender": "a@example.com", "to": ["open@example.net", "kim@example.net"],
                       "subject": "Hi", "text_body": "x" });
    assert_eq!(post(&sandbox, "/email/send", &mail).status, 200);
    sandbox.advance(Duration::from_secs(1));
    settle(&sandbox);
    let accepted = sandbox.mails()[0].accepted_at();
    let (second, micros) = {
        let since = accepted.duration_since(std::time::UNIX_EPOCH).unwrap();
        let whole = std::time::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        let text = smtp2go_types::Timestamp::from(whole).to_string();
        (text.trim_end_matches('Z').to_owned(), since.subsec_micros())
    };
    for receiver in receivers {
        let posted: Vec<_> = receiver.try_iter().map(|posted| posted.fields()).collect();
        let find = |kind: &str| {
            posted
                .iter()
                .find(|fields| fields["event"] == kind)
                .unwrap()
        };
        let (processed, open) = (find("processed"), find("open"));
        for fields in [processed, open] {
            assert_eq!(fields["sendtime"], format!("{second}.{micros:06}+00:00"));
            assert!(fields["time"].ends_with('Z') && fields["time"].contains('T'));
        }
        assert_eq!(processed["recipients"], "open@example.net,kim@example.net");
        assert_eq!(open["read-secs"], "15");
        for (name, other) in [("Subject", "subject"), ("Message-Id", "message-id")] {
            assert!(open.get(name).is_none_or(|text| *text == open[other]));
        }
    }
}

#[test]
fn disabled_webhook_gets_nothing_until_it_is_enabled() {
    let sandbox = started(strict());
    let (address, receiver) = endpoint(&[500, 200]);
    let headers = json!([{ "name": "X-Tenant", "value": "7" }]);
    let webhook = add(
        &sandbox,
        &json!({ "url": format!("http://{address}/"), "events": ["processed"],
                 "custom_headers": headers }),
    );
    assert_eq!(webhook["disabled"], false);
    assert_eq!(webhook["custom_headers"], headers);
    let set = |disabled: bool| {
        let edit = json!({ "id": webhook["id"], "disabled": disabled });
        let edited = post(&sandbox, "/webhook/edit", &edit).json()["data"].clone();
        assert_eq!(edited["disabled"], disabled);
        assert_eq!(edited["custom_headers"], headers);
    };
    // The first attempt fails, and the webhook is disabled before the retry.
    send_to(&sandbox, "kim@example.net");
    settle(&sandbox);
    set(true);
    send_to(&sandbox, "lou@example.net");
    sandbox.advance(Duration::from_secs(1));
    settle(&sandbox);
    let deliveries = sandbox.webhook_deliveries();
    assert_eq!(deliveries.len(), 1);
    assert_eq!(deliveries[0].state(), WebhookState::GivenUp);
    assert_eq!(
        deliveries[0].attempts()[1].error(),
        Some("the webhook is disabled")
    );
    assert_eq!(receiver.try_iter().count(), 1);

    set(false);
    send_to(&sandbox, "kim@example.net");
    settle(&sandbox);
    let posted = receiver.try_recv().unwrap();
    assert!(!posted.headers.contains_key("x-tenant"));
    // Any JSON value is accepted and returned unchanged.
    for headers in [json!({ "X-A": "1" }), json!("X-A: 1"), json!(7)] {
        let edit = json!({ "id": webhook["id"], "custom_headers": headers });
        let edited = post(&sandbox, "/webhook/edit", &edit).json()["data"].clone();
        assert_eq!(edited["custom_headers"], headers);
    }
    let plain = add(&sandbox, &json!({ "url": "http://example.com/" }));
    assert!(plain.get("custom_headers").is_none());
}

#[test]
fn opt_out_is_posted_only_to_webhooks_that_subscribe_to_it() {
    let sandbox = started(Sandbox::builder());
    let mut receivers = Vec::new();
    for (sms_events, count) in [
        (json!(["opt-out"]), 1),
        (
            json!(["sending", "submitted", "delivered", "failed", "rejected"]),
            0,
        ),
    ] {
        let (address, receiver) = endpoint(&[200]);
        let url = format!("http://{address}/");
        let webhook = add(&sandbox, &json!({ "url": url, "sms_events": sms_events }));
        assert_eq!(webhook["sms_events"], sms_events);
        receivers.push((receiver, count));
    }
    sandbox.receive_sms("+15555550123", "+15555550100", " stop ");
    sandbox.receive_sms("+15555550124", "+15555550100", "Stop it");
    settle(&sandbox);
    for (receiver, count) in receivers {
        let posted: Vec<_> = receiver.try_iter().map(|posted| posted.fields()).collect();
        assert_eq!(posted.len(), count);
        for fields in posted {
            assert_eq!(fields["event"], "opt-out");
            assert_eq!(fields["destination_number"], "+15555550123");
            assert_eq!(fields["source_number"], "+15555550100");
            assert_eq!(fields["message_content"], " stop ");
        }
    }
}

#[test]
fn webhook_receives_only_events_and_usernames_that_it_subscribes_to() {
    let other = "api-OTHER0OTHER0OTHER0OTHER0OTHER000";
    let sandbox = started(strict().api_key(smtp2go_sandbox::ApiKey::new(other)));
    let mut receivers = Vec::new();
    for (events, sms_events, usernames, count) in [
        (json!(["delivered"]), json!([]), json!([]), 1),
        (
            json!(["delivered"]),
            json!([]),
            json!(["api-SANDBOX0SAND"]),
            1,
        ),
        (
            json!(["delivered", "processed"]),
            json!(["failed"]),
            json!(["api-OTHER0OTHER"]),
            0,
        ),
        (json!([]), json!(["delivered", "submitted"]), json!([]), 2),
        (json!(["bounce"]), json!([]), json!([]), 0),
    ] {
        let (address, receiver) = endpoint(&[204]);
        let webhook = add(
            &sandbox,
            &json!({ "url": format!("http://{address}"), "events": events,
                     "sms_events": sms_events, "usernames": usernames }),
        );
        assert_eq!(webhook["output_format"], "form");
        receivers.push((receiver, count));
    }
    let (removed, never) = endpoint(&[200]);
    let id = add(
        &sandbox,
        &json!({ "url": format!("http://{removed}"), "events": ["delivered"] }),
    );
    send_to(&sandbox, "kim@example.net");
    assert_eq!(
        post(&sandbox, "/webhook/remove", &json!({ "id": id["id"] })).status,
        200
    );
    let text = json!({ "destination": ["+15555550123"], "content": "Hello" });
    post(&sandbox, "/sms/send", &text);
    sandbox.advance(Duration::from_secs(1));
    settle(&sandbox);
    for (receiver, count) in receivers {
        assert_eq!(receiver.try_iter().count(), count);
    }
    assert_eq!(never.try_iter().count(), 0);
}

#[test]
fn failed_delivery_is_retried_on_schedule_until_it_is_accepted() {
    let sandbox = started(strict().webhook_timeout(Duration::from_millis(100)));
    let (address, receiver) = endpoint(&[500, 0, 1, 301, 200]);
    add(
        &sandbox,
        &json!({ "url": format!("http://{address}/"), "events": ["delivered"] }),
    );
    send_to(&sandbox, "kim@example.net");
    sandbox.advance(Duration::from_millis(50));
    let began = sandbox.now();
    for _ in 0..4 {
        settle(&sandbox);
        let WebhookState::Waiting(next) = sandbox.webhook_deliveries()[0].state() else {
            panic!("{:?}", sandbox.webhook_deliveries());
        };
        // 7½ minutes at the service.
        assert_eq!(next, sandbox.now() + Duration::from_millis(125));
        sandbox.advance(Duration::from_millis(124));
        assert!(is_idle(&sandbox.webhook_deliveries()[0]));
        sandbox.advance(Duration::from_millis(1));
    }
    settle(&sandbox);
    let delivery = &sandbox.webhook_deliveries()[0];
    assert_eq!(delivery.state(), WebhookState::Accepted);
    let statuses: Vec<_> = delivery
        .attempts()
        .iter()
        .map(smtp2go_sandbox::WebhookAttempt::status)
        .collect();
    assert_eq!(statuses, [Some(500), None, None, Some(301), Some(200)]);
    let attempts = delivery.attempts().iter();
    let times = attempts.map(|attempt| attempt.time().duration_since(began).unwrap().as_millis());
    assert_eq!(times.collect::<Vec<_>>(), [0, 125, 250, 375, 500]);
    assert_eq!(
        delivery.attempts()[2].error(),
        Some("no reply within 0.1 s")
    );
    assert!(
        delivery.attempts()[1]
            .error()
            .unwrap()
            .starts_with("no reply: ")
    );
    // Every attempt has the same body.
    let bodies: Vec<_> = receiver.try_iter().map(|posted| posted.body).collect();
    assert_eq!(bodies.len(), 5);
    assert!(bodies.iter().all(|body| body.as_bytes() == delivery.body()));
    assert!(sandbox.post_webhook_again(0));
    assert!(!sandbox.post_webhook_again(1));
    settle(&sandbox);
    assert_eq!(sandbox.webhook_deliveries()[0].attempts().len(), 6);
}

#[test]
fn delivery_is_given_up_after_35_attempts_or_at_once_for_a_forbidden_url() {
    let sandbox = started(strict().webhook_speed(u32::MAX));
    let (address, receiver) = endpoint(&[503]);
    // A port without a listener.
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    for url in [
        format!("http://{address}"),
        format!("http://{closed}"),
        "https://localhost/hook".to_owned(),
        "http://example.com/hook".to_owned(),
    ] {
        add(&sandbox, &json!({ "url": url, "events": ["processed"] }));
    }
    send_to(&sandbox, "kim@example.net");
    for _ in 0..40 {
        settle(&sandbox);
        sandbox.advance(Duration::from_millis(1));
    }
    let deliveries = sandbox.webhook_deliveries();
    let attempts: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.attempts().len())
        .collect();
    assert_eq!(attempts, [35, 35, 1, 1]);
    for delivery in &deliveries {
        assert_eq!(delivery.state(), WebhookState::GivenUp);
    }
    assert_eq!(receiver.try_iter().count(), 35);
    let error = |place: usize| deliveries[place].attempts()[0].error().unwrap().to_owned();
    assert!(error(1).starts_with("cannot connect: "), "{}", error(1));
    assert!(error(2).contains("TLS"), "{}", error(2));
    assert!(error(3).contains("loopback"), "{}", error(3));
}

#[test]
fn on_give_up_receives_each_delivery_that_is_given_up() {
    let (sender, given_up) = mpsc::channel();
    let sandbox = started(Sandbox::builder().on_give_up(move |delivery| {
        let last = delivery.attempts().last().unwrap().error().unwrap();
        let state = delivery.state();
        let _ = sender.send((delivery.url().to_owned(), state, last.to_owned()));
    }));
    let (address, _receiver) = endpoint(&[200]);
    for url in [
        format!("http://{address}"),
        "https://localhost/hook".to_owned(),
    ] {
        add(&sandbox, &json!({ "url": url, "events": ["processed"] }));
    }
    send_to(&sandbox, "kim@example.net");
    for _ in 0..2 {
        settle(&sandbox);
        let (url, state, error) = given_up.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(url, "https://localhost/hook");
        assert_eq!(state, WebhookState::GivenUp);
        assert!(error.contains("TLS"), "{error}");
        assert!(sandbox.post_webhook_again(1));
    }
    let (_, _, error) = given_up.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(error.contains("TLS"), "{error}");
    drop(sandbox);
    assert_eq!(given_up.try_iter().count(), 0);
}

#[test]
fn at_most_16_deliveries_are_posted_at_a_time_and_a_reset_drops_the_rest() {
    let sandbox = started(strict().webhook_timeout(Duration::from_secs(60)));
    let (address, receiver) = endpoint(&[1]);
    add(
        &sandbox,
        &json!({ "url": format!("http://{address}"), "events": ["processed"] }),
    );
    for _ in 0..20 {
        send_to(&sandbox, "kim@example.net");
    }
    for _ in 0..16 {
        receiver.recv_timeout(Duration::from_secs(20)).unwrap();
    }
    let states = |sandbox: &Sandbox, state| {
        let deliveries = sandbox.webhook_deliveries();
        deliveries
            .iter()
            .filter(|delivery| delivery.state() == state)
            .count()
    };
    assert_eq!(states(&sandbox, WebhookState::Sending), 16);
    assert_eq!(states(&sandbox, WebhookState::Queued), 4);
    sandbox.reset();
    assert!(sandbox.webhook_deliveries().is_empty());
    let (address, receiver) = endpoint(&[200]);
    add(
        &sandbox,
        &json!({ "url": format!("http://{address}"), "events": ["processed"] }),
    );
    send_to(&sandbox, "kim@example.net");
    settle(&sandbox);
    assert_eq!(receiver.try_iter().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_for_webhooks_returns_true_when_all_are_posted_and_false_on_timeout() {
    let sandbox = strict().start().await.unwrap();
    let (address, receiver) = endpoint(&[503, 200]);
    let url = format!("http://{address}");
    add(&sandbox, &json!({ "url": url, "events": ["processed"] }));
    send_to(&sandbox, "kim@example.net");
    assert!(sandbox.wait_for_webhooks(Duration::from_secs(20)).await);
    assert!(!sandbox.webhook_deliveries()[0].attempts().is_empty());
    // The clock runs, so that the retry happens without `advance`.
    until(|| sandbox.webhook_deliveries()[0].state() == WebhookState::Accepted);
    assert_eq!(receiver.try_iter().count(), 2);
    let (silent, _receiver) = endpoint(&[1]);
    add(
        &sandbox,
        &json!({ "url": format!("http://{silent}"), "events": ["processed"] }),
    );
    send_to(&sandbox, "kim@example.net");
    assert!(!sandbox.wait_for_webhooks(Duration::from_millis(50)).await);
}

#[test]
fn webhook_can_be_added_viewed_edited_and_removed() {
    let sandbox = started(strict());
    let first = add(
        &sandbox,
        &json!({ "url": "https://hooks.example.com/a", "events": ["open", "open"] }),
    );
    assert_eq!(first["events"], json!(["open"]));
    let second = add(
        &sandbox,
        &json!({ "url": "http://user:pass@hooks.example.com" }),
    );
    assert_ne!(first["id"], second["id"]);
    let edit = json!({ "id": first["id"], "output_format": "json", "headers": ["X-Order-Id"],
                       "auth_header_type": "bearer", "auth_header_value": "t0ken" });
    let edited = post(&sandbox, "/webhook/edit", &edit).json()["data"].clone();
    assert_eq!(edited["url"], "https://hooks.example.com/a");
    assert_eq!(edited["auth_header_value"], "t0ken");
    let view =
        |sandbox: &Sandbox| post(sandbox, "/webhook/view", &json!({})).json()["data"].clone();
    assert_eq!(view(&sandbox), json!([edited, second]));
    let removed = post(&sandbox, "/webhook/remove", &json!({ "id": first["id"] }));
    assert_eq!(removed.json()["data"], edited);
    for path in ["/webhook/remove", "/webhook/edit"] {
        let again = post(&sandbox, path, &json!({ "id": first["id"] }));
        assert_eq!(again.status, 400);
        assert_eq!(
            again.json()["data"]["error_code"],
            "E_ApiResponseCodes.API_EXCEPTION"
        );
    }
    assert_eq!(view(&sandbox), json!([second]));
    for (wrong, field) in [
        (json!({ "url": "ftp://example.com" }), "url"),
        (json!({ "url": "example.com" }), "url"),
        (
            json!({ "url": "http://example.com", "output_format": "xml" }),
            "output_format",
        ),
        (
            json!({ "url": "http://example.com", "auth_header_type": "digest" }),
            "auth_header_type",
        ),
        (
            json!({ "url": "http://example.com", "events": ["opened"] }),
            "events[0]",
        ),
    ] {
        let reply = post(&sandbox, "/webhook/add", &wrong);
        assert_eq!(reply.status, 400, "{wrong}");
        assert_eq!(
            reply.json()["data"]["field_validation_errors"]["fieldname"],
            field
        );
    }
    for _ in 1..10 {
        add(&sandbox, &json!({ "url": "http://example.com" }));
    }
    assert_eq!(
        post(
            &sandbox,
            "/webhook/add",
            &json!({ "url": "http://example.com" })
        )
        .status,
        400
    );
}

#[test]
fn event_on_demand_happens_unless_it_contradicts_previous_events() {
    let sandbox = started(strict());
    let (address, receiver) = endpoint(&[200]);
    add(
        &sandbox,
        &json!({ "url": format!("http://{address}"), "events": ["open", "click", "bounce", "spam"] }),
    );
    send_to(&sandbox, "Kim <kim@example.net>");
    sandbox.delivery().on("lou@example.net", Outcome::Hold);
    send_to(&sandbox, "lou@example.net");
    let mails = sandbox.mails();
    let (kim, lou) = (&mails[0], &mails[1]);
    let delivery = sandbox.delivery();
    // The mail is still in transit, so that it is delivered first.
    let opened = delivery.open(kim, "KIM@example.net").unwrap();
    assert_eq!(opened.recipient(), Some("kim@example.net"));
    let link = "https://example.com/pay?a=1&b=2";
    delivery.click(kim, "kim@example.net", link).unwrap();
    delivery.spam(kim, "kim@example.net").unwrap();
    sandbox.advance(Duration::from_secs(60));
    delivery.soft_bounce(lou, "lou@example.net").unwrap();
    delivery.hard_bounce(lou, "Lou <lou@example.net>").unwrap();
    for (error, reason) in [
        (
            delivery.open(kim, "lou@example.net"),
            "the mail has no recipient lou@example.net",
        ),
        (
            delivery.open(lou, "lou@example.net"),
            "it was not delivered",
        ),
        (
            delivery.hard_bounce(lou, "lou@example.net"),
            "already bounced",
        ),
        (
            delivery.resubscribe(kim, "kim@example.net"),
            "the recipient has not unsubscribed",
        ),
        (
            delivery.click(kim, "kim@example.net", "https://example.com"),
            "no link to",
        ),
        (
            delivery.happen(kim, "kim@example.net", EventKind::Processed),
            "cannot be made on demand",
        ),
        (
            delivery.happen(kim, "kim@example.net", EventKind::SmsFailed),
            "cannot be made on demand",
        ),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let kinds: Vec<_> = sandbox.events().iter().map(|event| event.kind()).collect();
    use EventKind::{Click, Delivered, HardBounce, Open, Processed, SoftBounce, Spam};
    let expected = [
        Processed, Processed, Delivered, Open, Click, Spam, SoftBounce, HardBounce,
    ];
    assert_eq!(kinds, expected);
    settle(&sandbox);
    let mut events: Vec<_> = receiver
        .try_iter()
        .map(|posted| posted.fields()["event"].clone())
        .collect();
    events.sort_unstable();
    assert_eq!(events, ["bounce", "bounce", "click", "open", "spam"]);
}
