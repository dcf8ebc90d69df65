//! The delivery of mail, and the searches and statistics about it, over HTTP. The sandbox is strict:
//! it checks every reply against the spec.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{ApiKey, EventKind, Outcome, Sandbox};
use smtp2go_types::Timestamp;
use support::{post, send};

const DAY: Duration = Duration::from_secs(86_400);

/// Starts a strict sandbox whose clock is frozen at noon of the next day.
fn sandbox() -> Sandbox {
    frozen(Sandbox::builder().strict(true).start_blocking().unwrap())
}

fn frozen(sandbox: Sandbox) -> Sandbox {
    sandbox.freeze();
    let now = Timestamp::from(sandbox.now()).unix_seconds().unwrap();
    let noon = 43_200 - now.rem_euclid(86_400) + 86_400;
    sandbox.advance(Duration::from_secs(noon.unsigned_abs()));
    sandbox
}

/// The sandbox's time plus `by`, with whole seconds.
fn later(sandbox: &Sandbox, by: Duration) -> String {
    Timestamp::from(sandbox.now() + by).to_string()[..19].to_owned() + "Z"
}

fn data(sandbox: &Sandbox, path: &str, request: &Value) -> Value {
    let reply = post(sandbox, path, request);
    assert_eq!(reply.status, 200, "{path} {request} {}", reply.body);
    match reply.body.is_empty() {
        true => Value::Null,
        false => reply.json()["data"].clone(),
    }
}

fn refused_field(sandbox: &Sandbox, path: &str, request: &Value) -> String {
    let reply = post(sandbox, path, request);
    assert_eq!(reply.status, 400, "{path} {request} {}", reply.body);
    let data = &reply.json()["data"];
    assert_eq!(
        data["error_code"],
        "E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD"
    );
    data["field_validation_errors"]["fieldname"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn mail(changes: &Value) -> Value {
    let mut mail = json!({
        "sender": "Acme <noreply@example.com>", "to": ["kim@example.net"], "subject": "Hi",
        "html_body": "<a href='https://example.com/x'>x</a>",
    });
    for (field, value) in changes.as_object().unwrap() {
        match value.is_null() {
            true => drop(mail.as_object_mut().unwrap().remove(field)),
            false => mail[field] = value.clone(),
        }
    }
    mail
}

fn kinds(sandbox: &Sandbox) -> Vec<EventKind> {
    sandbox.events().iter().map(|event| event.kind()).collect()
}

#[test]
fn request_that_only_the_specs_prose_forbids_is_refused() {
    let sandbox = sandbox();
    let text = |text: &str| json!({ "html_body": null, "text_body": text });
    let file = |field: &str, value: &str| {
        let mut file = json!({ "filename": "a", "url": "https://example.com/a" });
        file[field] = value.into();
        json!({ "attachments": [file] })
    };
    let table = [
        (json!({ "html_body": null }), Some("html_body")),
        (json!({ "html_body": " \n" }), Some("html_body")),
        (json!({ "html_body": " ", "text_body": "x" }), None),
        (text(" "), None),
        (
            json!({ "custom_headers": [{ "header": "content-type", "value": "x" }] }),
            Some("custom_headers[0].header"),
        ),
        (
            json!({ "custom_headers": [{ "header": "X-A", "value": "" }, { "header": "MIME-Version", "value": "2" }] }),
            Some("custom_headers[1].header"),
        ),
        (
            json!({ "custom_headers": [{ "header": "Reply-To", "value": "a@example.com" }] }),
            None,
        ),
        (
            json!({ "custom_headers": [{ "header": "from", "value": "a@example.com" }] }),
            Some("custom_headers[0].header"),
        ),
        (
            json!({ "custom_headers": [{ "header": "To", "value": "a@example.com" }] }),
            Some("custom_headers[0].header"),
        ),
        (
            json!({ "custom_headers": [{ "header": "Subject", "value": "Ho" }] }),
            Some("custom_headers[0].header"),
        ),
        (
            json!({ "cc": ["a@example.com"], "custom_headers": [{ "header": "Cc", "value": "b@example.com" }] }),
            Some("custom_headers[0].header"),
        ),
        (
            json!({ "cc": [], "custom_headers": [{ "header": "Cc", "value": "b@example.com" }] }),
            None,
        ),
        (file("filename", ""), Some("attachments[0].filename")),
        (file("url", "nope"), Some("attachments[0].url")),
        (
            file("url", "ftp://example.com/a"),
            Some("attachments[0].url"),
        ),
        (file("url", "/a.pdf"), Some("attachments[0].url")),
        (
            file("url", "https://example.com/a\r\nX-A: b"),
            Some("attachments[0].url"),
        ),
        (
            file("url", "https://example.com/a\n"),
            Some("attachments[0].url"),
        ),
        (file("url", "HTTPS://example.com/a?b=c%20d"), None),
        (
            json!({ "inlines": [{ "filename": "", "fileblob": "aGk=" }] }),
            Some("inlines[0].filename"),
        ),
        (
            json!({ "inlines": [{ "filename": "a", "url": "file:///etc/passwd" }] }),
            Some("inlines[0].url"),
        ),
        (json!({ "schedule": "soon" }), Some("schedule")),
        (
            json!({ "schedule": later(&sandbox, Duration::ZERO) }),
            Some("schedule"),
        ),
        (json!({ "schedule": "2020-01-01" }), Some("schedule")),
        (
            json!({ "schedule": later(&sandbox, 3 * DAY + Duration::from_secs(1)) }),
            Some("schedule"),
        ),
        (json!({ "schedule": later(&sandbox, 3 * DAY) }), None),
        (
            json!({ "schedule": later(&sandbox, Duration::from_secs(1)) }),
            None,
        ),
    ];
    for (changes, field) in table {
        let mail = mail(&changes);
        let batch = json!({ "emails": [mail] });
        match field {
            None => {
                data(&sandbox, "/email/send", &mail);
                data(&sandbox, "/email/batch", &batch);
            }
            Some(field) => {
                assert_eq!(refused_field(&sandbox, "/email/send", &mail), field);
                let field = format!("emails[0].{field}");
                assert_eq!(refused_field(&sandbox, "/email/batch", &batch), field);
            }
        }
    }
}

#[test]
fn request_without_content_or_with_broken_headers_is_refused() {
    let sandbox = sandbox();
    let hook = |headers: Value| json!({ "url": "https://example.com/", "custom_headers": headers });
    for (path, request, field) in [
        ("/email/batch", json!({ "emails": [] }), "emails"),
        (
            "/sms/send",
            json!({ "destination": ["+15555550199"], "content": "" }),
            "content",
        ),
        (
            "/webhook/add",
            hook(json!("X-A: b\r\nX-C: d")),
            "custom_headers",
        ),
        ("/webhook/add", hook(json!(["a", "b\n"])), "custom_headers"),
        (
            "/webhook/add",
            hook(json!({ "X-A": "b\rc" })),
            "custom_headers",
        ),
        (
            "/webhook/add",
            hook(json!({ "X-A\r\n": "b" })),
            "custom_headers",
        ),
        (
            "/webhook/add",
            hook(json!([{ "header": "X-A", "value": "b\nc" }])),
            "custom_headers",
        ),
    ] {
        assert_eq!(refused_field(&sandbox, path, &request), field, "{request}");
    }
    data(
        &sandbox,
        "/webhook/add",
        &hook(json!([{ "header": "X-A", "value": "b" }])),
    );
}

#[test]
fn template_that_renders_a_blank_body_is_refused() {
    let sandbox = sandbox();
    let template = json!({
        "id": "blank", "template_name": "Blank", "subject": "Hi",
        "html_body": " {{html}} ", "text_body": "{{text}}",
    });
    data(&sandbox, "/template/add", &template);
    let filled = |values: Value| {
        mail(
            &json!({ "subject": null, "html_body": null, "template_id": "blank", "template_data": values }),
        )
    };
    for values in [json!({}), json!({ "html": " ", "text": "" })] {
        let mail = filled(values);
        let field = refused_field(&sandbox, "/email/send", &mail);
        assert_eq!(field, "template_data");
        let mut batched = mail.clone();
        batched["subject"] = "".into();
        let batch = json!({ "emails": [batched] });
        let field = refused_field(&sandbox, "/email/batch", &batch);
        assert_eq!(field, "emails[0].template_data");
    }
    for values in [json!({ "html": "x" }), json!({ "text": " " })] {
        data(&sandbox, "/email/send", &filled(values));
    }
    let mut twice = filled(json!({ "text": "x" }));
    twice["custom_headers"] = json!([{ "header": "Subject", "value": "Ho" }]);
    let field = refused_field(&sandbox, "/email/send", &twice);
    assert_eq!(field, "custom_headers[0].header");
}

#[test]
fn scheduled_mail_is_listed_cancelled_or_sent_when_it_is_due() {
    let sandbox = sandbox();
    let hours = |hours: u64| later(&sandbox, Duration::from_secs(hours * 3_600));
    let mut ids = Vec::new();
    for (subject, to, hour) in [
        ("Third", "kim", 3),
        ("First", "lou", 1),
        ("Second", "mia", 2),
    ] {
        let mail = mail(&json!({
            "subject": subject, "to": [format!("{to}@example.net")], "schedule": hours(hour),
        }));
        let sent = data(&sandbox, "/email/send", &mail);
        ids.push(sent["schedule_id"].as_str().unwrap().to_owned());
    }
    // From: a@example.com, To: b@example.net
    let mime = "RnJvbTogYUBleGFtcGxlLmNvbQ0KVG86IGJAZXhhbXBsZS5uZXQNCg0KSGkNCg==";
    let mime = json!({ "mime_email": mime, "schedule": hours(4) });
    data(&sandbox, "/email/mime", &mime);
    for (filter, found) in [
        (json!({}), json!(["First", "Second", "Third", ""])),
        (json!({ "limit": 2 }), json!(["First", "Second"])),
        (json!({ "limit": 2, "page": 2 }), json!(["Third", ""])),
        (json!({ "limit": 2, "page": 3 }), json!([])),
        (json!({ "search_subject": "sec" }), json!(["Second"])),
        (json!({ "search_recipient": "LOU@" }), json!(["First"])),
        (
            json!({ "search_sender": "acme" }),
            json!(["First", "Second", "Third"]),
        ),
        (json!({ "search": "b@example" }), json!([""])),
        (json!({ "schedule_id": ids[0] }), json!(["Third"])),
        (json!({ "schedule_id": "x" }), json!([])),
    ] {
        let rows = data(&sandbox, "/email/scheduled/search", &filter);
        let subjects = rows
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["subject"].clone());
        assert_eq!(subjects.collect::<Value>(), found, "{filter}");
    }
    let rows = data(&sandbox, "/email/scheduled/search", &json!({}));
    assert_eq!(rows[0]["schedule"], hours(1));
    assert_eq!(rows[0]["schedule_id"], ids[1]);
    assert_eq!(rows[0]["recipients"], "lou@example.net");

    let remove = json!({ "schedule_id": ids[2] });
    data(&sandbox, "/email/scheduled/remove", &remove);
    assert_eq!(
        post(&sandbox, "/email/scheduled/remove", &remove).status,
        400
    );
    let waiting = &sandbox.mails()[0];
    let error = sandbox
        .delivery()
        .open(waiting, "kim@example.net")
        .unwrap_err();
    assert!(error.to_string().contains("scheduled"), "{error}");
    sandbox.advance(DAY);
    let sent: Vec<_> = sandbox
        .events()
        .iter()
        .filter(|event| event.kind() == EventKind::Delivered)
        .map(|event| event.mail().unwrap().subject().map(str::to_owned))
        .collect();
    assert_eq!(
        sent,
        [Some("First".to_owned()), Some("Third".to_owned()), None]
    );
    assert_eq!(
        data(&sandbox, "/email/scheduled/search", &json!({})),
        json!([])
    );
    let third = &sandbox.mails()[0];
    assert_eq!(
        third.header("x-smtp2go-schedule-id").as_ref(),
        Some(&ids[0])
    );
}

#[test]
fn recipient_or_rule_decides_the_outcome_and_the_suppression() {
    let sandbox = sandbox();
    sandbox
        .delivery()
        .on("@example.org", Outcome::HardBounce)
        .on("VIP@example.org", Outcome::Click)
        .on("postmaster@", Outcome::Reject);
    let last = |recipient: &str| {
        let to = json!({ "to": [recipient] });
        data(&sandbox, "/email/send", &mail(&to));
        sandbox.advance(Duration::from_secs(1));
        let events = sandbox.events();
        let last = events
            .iter()
            .rev()
            .find(|event| event.recipient() == Some(recipient));
        last.map(|event| event.kind())
    };
    for (recipient, kind) in [
        ("kim@example.net", Some(EventKind::Delivered)),
        ("Bounce+1@example.net", Some(EventKind::HardBounce)),
        ("hard-bounce@example.com", Some(EventKind::HardBounce)),
        ("soft-bounce@example.com", Some(EventKind::SoftBounce)),
        ("reject@example.net", Some(EventKind::Reject)),
        ("spam@example.net", Some(EventKind::Spam)),
        ("unsubscribe@example.net", Some(EventKind::Unsubscribe)),
        ("resubscribe@example.net", Some(EventKind::Resubscribe)),
        ("open@example.net", Some(EventKind::Open)),
        ("click@example.net", Some(EventKind::Click)),
        ("hold@example.net", None),
        ("lou@example.org", Some(EventKind::HardBounce)),
        ("vip@example.org", Some(EventKind::Click)),
        ("postmaster@example.net", Some(EventKind::Reject)),
        ("bouncer@example.net", Some(EventKind::Delivered)),
    ] {
        assert_eq!(last(recipient), kind, "{recipient}");
    }
    let suppressed = data(
        &sandbox,
        "/suppression/view",
        &json!({ "end_date": "2999-01-01" }),
    );
    let rows = suppressed["results"].as_array().unwrap().iter();
    let rows: Vec<_> = rows
        .map(|row| {
            format!(
                "{} {}",
                row["reason"].as_str().unwrap(),
                row["email_address"].as_str().unwrap()
            )
        })
        .collect();
    let expected = [
        "bounce Bounce+1@example.net",
        "bounce hard-bounce@example.com",
        "spam spam@example.net",
        "unsubscribe unsubscribe@example.net",
        "bounce lou@example.org",
    ];
    assert_eq!(rows, expected);
    assert_eq!(
        suppressed["results"][0]["complaint"],
        "550 5.1.1 no such mailbox"
    );
    sandbox.delivery().clear();
    assert_eq!(last("mia@example.org"), Some(EventKind::Delivered));
}

#[test]
fn mail_is_refused_only_if_all_recipients_are_suppressed() {
    let sandbox = sandbox();
    data(
        &sandbox,
        "/suppression/add",
        &json!({ "email_address": "lou@example.net" }),
    );
    let lou = mail(&json!({ "to": ["Lou <LOU@example.net>"], "cc": ["refuse@example.net"] }));
    let sent = data(&sandbox, "/email/send", &lou);
    assert_eq!(
        (&sent["succeeded"], &sent["failed"], &sent["email_id"]),
        (&json!(0), &json!(1), &json!(""))
    );
    assert_eq!(sent["failures"].as_array().unwrap().len(), 2);
    assert!(
        sent["failures"][0]
            .as_str()
            .unwrap()
            .contains("suppressed (manual)"),
        "{sent}"
    );
    assert!(sandbox.mails().is_empty());
    assert_eq!(
        kinds(&sandbox),
        [EventKind::Processed, EventKind::Reject, EventKind::Reject]
    );

    let both = mail(&json!({ "bcc": ["lou@example.net"] }));
    let batch = data(&sandbox, "/email/batch", &json!({ "emails": [lou, both] }));
    assert_eq!(batch[0]["failed"], 1);
    assert_eq!(batch[1]["email_id"], sandbox.mails()[0].email_id());
    sandbox.advance(Duration::from_secs(1));
    let last = kinds(&sandbox).split_off(6);
    assert_eq!(
        last,
        [
            EventKind::Processed,
            EventKind::Reject,
            EventKind::Delivered
        ]
    );

    // `fastaccept` accepts the mail without checks; it is rejected later.
    let fast = mail(&json!({ "to": ["lou@example.net"], "fastaccept": true }));
    let sent = data(&sandbox, "/email/send", &fast);
    assert_eq!(sent.as_object().unwrap().len(), 1);
    assert_eq!(sandbox.mails().len(), 2);
    assert_eq!(kinds(&sandbox).last(), Some(&EventKind::Reject));
}

#[test]
fn mail_with_a_template_has_the_rendered_subject_and_bodies() {
    let sandbox = sandbox();
    let template = json!({
        "id": "welcome", "template_name": "Welcome", "subject": "Hi {{name}}",
        "html_body": "<p>{{name}} {{#each items}}[{{this}}]{{/each}}</p>", "text_body": "{{name}}{{missing}}",
    });
    data(&sandbox, "/template/add", &template);
    let change = json!({
        "subject": "ignored", "html_body": null, "template_id": "welcome",
        "template_data": { "name": "A & B", "items": [1, 2] },
    });
    data(&sandbox, "/email/send", &mail(&change));
    data(
        &sandbox,
        "/email/batch",
        &json!({ "emails": [mail(&change)] }),
    );
    for mail in sandbox.mails() {
        assert_eq!(mail.subject(), Some("Hi A & B"));
        assert_eq!(mail.html_body(), Some("<p>A &amp; B [1][2]</p>"));
        assert_eq!(mail.text_body(), Some("A & B"));
        assert_eq!(mail.header("Subject").as_deref(), Some("Hi A & B"));
    }
    let unknown = mail(&json!({ "template_id": "unknown" }));
    assert_eq!(post(&sandbox, "/email/send", &unknown).status, 400);
    assert_eq!(sandbox.mails().len(), 2);
}

#[test]
fn lenient_sandbox_accepts_the_quirks_of_official_clients() {
    let sandbox = frozen(Sandbox::start_blocking().unwrap());
    let template = json!({
        "id": "welcome", "template_name": "Welcome", "subject": "Hi {{name}}",
        "html_body": "x", "text_body": "x",
    });
    data(&sandbox, "/template/add", &template);
    let now = Timestamp::from(sandbox.now()).unix_seconds().unwrap();
    let change = json!({
        "template_id": "welcome", "template_data": "{\"name\":\"Kim\"}", "schedule": now + 60,
    });
    data(&sandbox, "/email/send", &mail(&change));
    sandbox.advance(Duration::from_secs(59));
    assert!(sandbox.events().is_empty());
    sandbox.advance(Duration::from_secs(1));
    assert_eq!(kinds(&sandbox).first(), Some(&EventKind::Processed));
    assert_eq!(sandbox.mails()[0].subject(), Some("Hi Kim"));
    let webhook =
        json!({ "url": "http://localhost", "events": ["opened", "open"], "sms_events": ["x"] });
    assert_eq!(
        data(&sandbox, "/webhook/add", &webhook)["events"],
        json!(["open"])
    );
    assert_eq!(
        sandbox.calls().last().unwrap().ignored(),
        ["events[0]", "sms_events[0]"]
    );
}

/// Starts a sandbox with the events of four mails, one of them of a subaccount.
fn busy() -> Sandbox {
    let other = "api-SUBACCOUNT00SUBACCOUNT00SUBACCOU";
    let builder = Sandbox::builder().strict(true);
    let builder = builder.api_key(ApiKey::new(other).subaccount("sub-1"));
    let sandbox = frozen(builder.start_blocking().unwrap());
    let order = json!([{ "header": "X-Order", "value": "7" }, { "header": "Reply-To", "value": "help@example.com" }]);
    for changes in [
        json!({ "subject": "Invoice 7", "to": ["Kim <click@example.net>"], "bcc": ["lou@example.net"],
                "custom_headers": order }),
        json!({ "subject": "Offer", "to": ["spam@example.net"], "sender": "offers@example.org" }),
        json!({ "subject": "Invoice 8", "to": ["bounce@example.net", "softbounce@example.net"] }),
    ] {
        data(&sandbox, "/email/send", &mail(&changes));
        sandbox.advance(Duration::from_secs(1));
    }
    let body = mail(&json!({ "subject": "Sub", "to": ["unsubscribe@example.net"] })).to_string();
    let headers = [("X-Smtp2go-Api-Key", other)];
    assert_eq!(
        send(
            &sandbox,
            "POST",
            "/v3/email/send",
            &headers,
            body.as_bytes()
        )
        .status,
        200
    );
    sandbox.advance(Duration::from_secs(1));
    sandbox
}

#[test]
fn activity_search_filters_and_pages_events() {
    let sandbox = busy();
    let found = |filter: &Value| -> Vec<String> {
        let found = data(&sandbox, "/activity/search", filter);
        let events = found["events"].as_array().unwrap();
        assert_eq!(found["total_events"], events.len());
        let event = |event: &Value| {
            let subject = event["subject"].as_str().unwrap();
            format!("{} {subject}", event["event"].as_str().unwrap())
        };
        events.iter().map(event).collect()
    };
    let all = found(&json!({}));
    assert_eq!(all.len(), 5 + 3 + 3 + 3);
    let table = [
        (
            json!({ "event_types": ["opened", "clicked"] }),
            vec!["opened Invoice 7", "clicked Invoice 7"],
        ),
        (
            json!({ "event_types": ["hard-bounced", "soft-bounced"] }),
            vec!["hard-bounced Invoice 8", "soft-bounced Invoice 8"],
        ),
        (
            json!({ "search_subject": "OFFER", "event_types": ["spam", "opened"] }),
            vec!["spam Offer"],
        ),
        (
            json!({ "search_sender": "offers@", "event_types": ["delivered"] }),
            vec!["delivered Offer"],
        ),
        (
            json!({ "search_recipient": "lou@" }),
            vec!["processed Invoice 7", "delivered Invoice 7"],
        ),
        (
            json!({ "search": "nothing|offer" , "event_types": ["processed"] }),
            vec!["processed Offer"],
        ),
        (
            json!({ "search": "lou@example.net" , "event_types": ["clicked"] }),
            vec!["clicked Invoice 7"],
        ),
        (
            json!({ "search_email_id": sandbox.mails()[1].email_id(), "event_types": ["processed"] }),
            vec!["processed Offer"],
        ),
        (
            json!({ "subaccounts": ["sub-1"] }),
            vec!["processed Sub", "delivered Sub", "unsubscribed Sub"],
        ),
        (
            json!({ "search_usernames": ["api-SUBACCOUNT00"], "event_types": ["processed"] }),
            vec!["processed Sub"],
        ),
        (
            json!({ "only_latest": true }),
            vec![
                "clicked Invoice 7",
                "spam Offer",
                "soft-bounced Invoice 8",
                "unsubscribed Sub",
            ],
        ),
        (
            json!({ "only_latest_by_sent": true, "subaccounts": [] }),
            vec![],
        ),
        (
            json!({ "start_date": later(&sandbox, Duration::from_secs(1)) }),
            vec![],
        ),
        (
            json!({ "end_date": later(&sandbox, DAY), "event_types": ["spam"] }),
            vec!["spam Offer"],
        ),
        (json!({ "end_date": "2020-01-01" }), vec![]),
    ];
    for (filter, expected) in table {
        assert_eq!(found(&filter), expected, "{filter}");
    }
    assert_eq!(
        refused_field(
            &sandbox,
            "/activity/search",
            &json!({ "start_date": "soon" })
        ),
        "start_date"
    );
    assert_eq!(
        refused_field(
            &sandbox,
            "/activity/search",
            &json!({ "event_types": ["open"] })
        ),
        "event_types[0]"
    );
    assert_eq!(
        refused_field(
            &sandbox,
            "/activity/search",
            &json!({ "continue_token": "x" })
        ),
        "continue_token"
    );

    let details =
        json!({ "include_headers": true, "custom_headers": ["X-Order", "X-None"], "limit": 4 });
    let page = data(&sandbox, "/activity/search", &details);
    assert_eq!(page["total_events"], all.len());
    let processed = &page["events"][0];
    assert_eq!(processed["custom_headers"], json!({ "X-Order": "7" }));
    assert!(
        processed["headers"]
            .as_str()
            .unwrap()
            .contains("\r\nX-Order: 7\r\n"),
        "{processed}"
    );
    assert_eq!(processed["reply_to"], "help@example.com");
    assert_eq!(
        processed["recipients"],
        json!(["click@example.net", "lou@example.net"])
    );
    assert_eq!(processed["delivery_attempts"].as_array().unwrap().len(), 2);
    assert_eq!(processed["delivery_attempts"][0]["host"], "192.0.2.25");
    assert_eq!(page["events"][1]["smtp_response"], "250 2.0.0 accepted");

    // The pages together have the same events.
    let mut request = json!({ "limit": 5 });
    let mut paged = Vec::new();
    loop {
        let page = data(&sandbox, "/activity/search", &request);
        paged.extend(page["events"].as_array().unwrap().clone());
        match page.get("continue_token") {
            Some(token) => request["continue_token"] = token.clone(),
            None => break,
        }
    }
    assert_eq!(
        json!(paged),
        data(&sandbox, "/activity/search", &json!({}))["events"]
    );

    // The default range is today.
    sandbox.advance(DAY);
    assert!(found(&json!({})).is_empty());
}

#[test]
fn search_beyond_its_rate_limit_gets_429_until_a_minute_has_passed() {
    let sandbox = sandbox();
    for (path, limit) in [("/activity/search", 60), ("/email/search", 20)] {
        for _ in 0..limit {
            data(&sandbox, path, &json!({}));
        }
        let reply = post(&sandbox, path, &json!({}));
        assert_eq!(reply.status, 429);
        assert_eq!(
            reply.json()["data"]["error_code"],
            "E_ApiResponseCodes.REQ_LIMIT_EXCEEDED"
        );
        sandbox.advance(Duration::from_secs(60));
        data(&sandbox, path, &json!({}));
    }
}

#[test]
fn email_search_and_archive_find_sent_mail_by_filter() {
    let sandbox = busy();
    let found = |path: &str, filter: &Value| -> Vec<String> {
        let found = data(&sandbox, path, filter);
        let emails = found["emails"].as_array().unwrap().iter();
        let field = if path == "/email/search" {
            "recipient"
        } else {
            "subject"
        };
        emails
            .map(|email| email[field].as_str().unwrap().to_owned())
            .collect()
    };
    let (click, lou, spam) = ("click@example.net", "lou@example.net", "spam@example.net");
    let (hard, soft) = ("bounce@example.net", "softbounce@example.net");
    let first = sandbox.mails()[0].email_id().to_owned();
    for (filter, expected) in [
        (json!({}), vec![click, lou, spam, hard, soft]),
        (json!({ "opened_only": true }), vec![click]),
        (json!({ "clicked_only": true }), vec![click]),
        (json!({ "email_id": [first] }), vec![click, lou]),
        (json!({ "username": "other" }), vec![]),
        (
            json!({ "filter_query": "subject:Invoice NOT recipient:bounce" }),
            vec![click, lou],
        ),
        (
            json!({ "filter_query": "status:spam OR sender:noreply AND status:delivered" }),
            vec![lou, spam],
        ),
        (json!({ "filter_query": "subject:\"invoice 8\"" }), vec![]),
        (
            json!({ "filter_query": "subject:\"invoice 8\"", "ignore_case": true }),
            vec![hard, soft],
        ),
        (
            json!({ "filter_query": "subject:'invoice 8'", "ignore_case": true }),
            vec![hard, soft],
        ),
        (
            json!({ "filter_query": r"subject:'invoice\' 8'", "ignore_case": true }),
            vec![],
        ),
        (json!({ "filter_query": " ", "limit": 1 }), vec![click]),
        (json!({ "limit": 1 }), vec![click]),
        (json!({ "end_date": "2020-01-01" }), vec![]),
    ] {
        assert_eq!(found("/email/search", &filter), expected, "{filter}");
    }
    for wrong in [
        "subject",
        "colour:red",
        "NOT",
        "subject:x OR",
        "AND",
        "subject:\"x",
        "subject:'x",
    ] {
        let request = json!({ "filter_query": wrong });
        assert_eq!(
            refused_field(&sandbox, "/email/search", &request),
            "filter_query",
            "{wrong}"
        );
        sandbox.advance(Duration::from_secs(60));
    }
    let all = data(&sandbox, "/email/search", &json!({}));
    let email = |place: usize| &all["emails"][place];
    assert_eq!(
        (&email(0)["status"], &email(0)["total_opens"]),
        (&json!("opened"), &json!(1))
    );
    assert_eq!(
        (&email(3)["status"], &email(3)["smtpcode"]),
        (&json!("bounce"), &json!(550))
    );

    for (filter, expected) in [
        (json!({}), vec!["Invoice 7", "Offer", "Invoice 8"]),
        (json!({ "recipient": lou }), vec!["Invoice 7"]),
        (json!({ "recipient": "lou" }), vec![]),
        (json!({ "sender": "offers@example.org" }), vec!["Offer"]),
        (json!({ "subject": "Invoice 8" }), vec!["Invoice 8"]),
        (json!({ "subject": "Invoice" }), vec![]),
        (json!({ "headers": "X-Order: 7" }), vec!["Invoice 7"]),
        (json!({ "username": "other" }), vec![]),
        (json!({ "limit": 2 }), vec!["Invoice 7", "Offer"]),
    ] {
        assert_eq!(found("/archive/search", &filter), expected, "{filter}");
    }
    let page = data(&sandbox, "/archive/search", &json!({ "limit": 2 }));
    assert_eq!(page["email_count"], 3);
    let rest = json!({ "limit": 2, "continue_token": page["continue_token"] });
    assert_eq!(found("/archive/search", &rest), ["Invoice 8"]);
    let one = data(&sandbox, "/archive/email", &json!({ "email_id": first }));
    assert_eq!(one, page["emails"][0]);
    assert_eq!(
        post(&sandbox, "/archive/email", &json!({ "email_id": "x" })).status,
        400
    );
}

#[test]
fn statistics_count_mails_bounces_and_complaints() {
    let sandbox = busy();
    let stats = |path: &str, request: &Value| data(&sandbox, &format!("/stats/{path}"), request);
    let nothing = json!({});
    let expected = json!({ "emails": 3, "rejects": 0, "softbounces": 1, "hardbounces": 1, "bounce_percent": "66.67" });
    assert_eq!(stats("email_bounces", &nothing), expected);
    let expected = json!({ "emails": 3, "rejects": 0, "spams": 1, "spam_percent": "33.33" });
    assert_eq!(
        stats("email_spam", &json!({ "username": "api-SANDBOX0SAND" })),
        expected
    );
    let expected =
        json!({ "emails": 0, "rejects": 0, "unsubscribes": 0, "unsubscribe_percent": "0.00" });
    assert_eq!(
        stats("email_unsubs", &json!({ "username": "other" })),
        expected
    );
    let cycle = stats("email_cycle", &nothing);
    assert_eq!(
        (&cycle["cycle_used"], &cycle["cycle_remaining"]),
        (&json!(3), &json!(9_997))
    );
    assert!(cycle["cycle_start"].as_str().unwrap() < cycle["cycle_end"].as_str().unwrap());
    let summary = stats("email_summary", &nothing);
    assert_eq!(
        (
            &summary["email_count"],
            &summary["opens"],
            &summary["clicks"]
        ),
        (&json!(3), &json!(1), &json!(1))
    );
    assert_eq!(summary["cycle_used"], 3);

    let used = |request: &Value, group_by: &str| -> Value {
        let history = stats("email_history", request);
        let rows = history["history"].as_array().unwrap();
        assert_eq!(history["count"], rows.len());
        rows.iter()
            .map(|row| json!([row[group_by], row["used"]]))
            .collect()
    };
    for (group_by, expected) in [
        (
            "email_address",
            json!([["noreply@example.com", 3], ["offers@example.org", 1]]),
        ),
        ("domain", json!([["example.com", 3], ["example.org", 1]])),
        (
            "username",
            json!([["api-SANDBOX0SAND", 3], ["api-SUBACCOUNT00", 1]]),
        ),
        ("subaccount", json!([["", 3], ["sub-1", 1]])),
    ] {
        assert_eq!(
            used(&json!({ "group_by": group_by }), group_by),
            expected,
            "{group_by}"
        );
    }
    let sub = json!({ "subaccounts": ["sub-1"], "group_by": "domain" });
    assert_eq!(used(&sub, "domain"), json!([["example.com", 1]]));
    assert_eq!(
        used(&json!({ "end_date": "2020-01-01" }), "email_address"),
        json!([])
    );
    let total = stats("email_history", &nothing);
    assert_eq!(total["bounce_percent_total"], 50.0);
    assert_eq!(
        refused_field(
            &sandbox,
            "/stats/email_history",
            &json!({ "group_by": "x" })
        ),
        "group_by"
    );
}
