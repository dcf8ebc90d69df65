//! The limits on what the sandbox keeps, and the order in which it drops the oldest data.

#![allow(clippy::unwrap_used)] // tests

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{EventKind, Sandbox};
use support::{Reply, post, send};

fn get(sandbox: &Sandbox, path: &str) -> Reply {
    send(sandbox, "GET", path, &[], b"")
}

fn admin(sandbox: &Sandbox, path: &str) -> Value {
    let reply = get(sandbox, path);
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply.json()
}

fn mail(number: usize) -> Value {
    json!({
        "sender": "a@example.com", "to": ["b@example.net"], "subject": format!("Mail {number}"),
        "text_body": "Hello",
    })
}

/// Sends a mail, which must be accepted, and waits for its delivery. Returns its id.
fn send_mail(sandbox: &Sandbox, mail: &Value) -> String {
    let reply = post(sandbox, "/email/send", mail);
    assert_eq!(reply.status, 200, "{}", reply.body);
    sandbox.advance(Duration::from_secs(1));
    let id = &reply.json()["data"]["email_id"];
    id.as_str().unwrap().to_owned()
}

/// Starts a sandbox with a frozen clock that keeps `keep` mails, and sends it `count` mails.
fn with_mails(keep: usize, count: usize) -> (Sandbox, Vec<String>) {
    let sandbox = Sandbox::builder()
        .keep_mails(keep)
        .start_blocking()
        .unwrap();
    sandbox.freeze();
    let ids = (0..count).map(|number| send_mail(&sandbox, &mail(number)));
    let ids = ids.collect();
    (sandbox, ids)
}

#[test]
fn dropping_a_mail_drops_its_events_deliveries_and_call() {
    let sandbox = Sandbox::builder().keep_mails(3).start_blocking().unwrap();
    sandbox.freeze();
    // No one listens on this port: each delivery waits for a retry.
    let webhook = json!({ "url": "http://127.0.0.1:9/", "events": ["processed", "delivered"] });
    assert_eq!(post(&sandbox, "/webhook/add", &webhook).status, 200);
    let ids: Vec<_> = (0..5)
        .map(|number| send_mail(&sandbox, &mail(number)))
        .collect();

    let kept: Vec<_> = sandbox
        .mails()
        .iter()
        .map(|mail| mail.email_id().to_owned())
        .collect();
    assert_eq!(kept, ids[2..]);
    let of = |id: &str| ids[2..].iter().any(|kept| kept == id);
    let events = sandbox.events();
    assert_eq!(events.len(), 6);
    assert!(
        events
            .iter()
            .all(|event| of(event.mail().unwrap().email_id()))
    );
    let deliveries = sandbox.webhook_deliveries();
    assert_eq!(deliveries.len(), 6);
    assert!(
        deliveries
            .iter()
            .all(|one| of(one.event().mail().unwrap().email_id()))
    );
    // The calls of the three mails, and the call that added the webhook.
    assert_eq!(sandbox.calls().len(), 4);
    let dropped = sandbox.dropped();
    assert_eq!((dropped.mails, dropped.events), (2, 4));
    assert_eq!((dropped.webhook_deliveries, dropped.calls), (4, 2));

    sandbox.reset();
    assert_eq!(sandbox.dropped(), Default::default());
    sandbox.reset();
    assert_eq!(send_mail(&sandbox, &mail(9)), ids[0]);
    assert_eq!(sandbox.mails().len(), 1);
}

#[test]
fn batch_is_dropped_mail_by_mail_and_its_call_with_the_last_mail() {
    let sandbox = Sandbox::builder().keep_mails(3).start_blocking().unwrap();
    let batch = json!({ "emails": (0..4).map(mail).collect::<Vec<_>>() });
    assert_eq!(post(&sandbox, "/email/batch", &batch).status, 200);
    let subjects = || -> Vec<_> {
        let mails = sandbox.mails();
        mails
            .iter()
            .map(|mail| mail.subject().unwrap().to_owned())
            .collect()
    };
    assert_eq!(subjects(), ["Mail 1", "Mail 2", "Mail 3"]);
    for number in 4..6 {
        send_mail(&sandbox, &mail(number));
    }
    assert_eq!(subjects(), ["Mail 3", "Mail 4", "Mail 5"]);
    assert_eq!(sandbox.calls()[0].operation(), Some("email_batch"));
    send_mail(&sandbox, &mail(6));
    assert!(
        sandbox
            .calls()
            .iter()
            .all(|call| call.operation() == Some("email_send"))
    );
}

#[test]
fn totals_and_statistics_include_dropped_mails() {
    let (sandbox, _) = with_mails(2, 5);
    let about = admin(&sandbox, "/_sandbox");
    assert_eq!((&about["mails"], &about["events"]), (&json!(5), &json!(10)));
    assert_eq!(
        (&about["calls"], &about["dropped"]["mails"]),
        (&json!(5), &json!(3))
    );
    assert!(about["kept_bytes"].as_u64() <= about["keep_bytes"].as_u64());
    for (list, total) in [("mails", 5), ("events", 10), ("calls", 5)] {
        let list = admin(&sandbox, &format!("/_sandbox/{list}"));
        assert_eq!(list["total"], total, "{list}");
    }
    let summary = post(&sandbox, "/stats/email_summary", &json!({})).json();
    assert_eq!(summary["data"]["email_count"], 5);
    assert_eq!(summary["data"]["cycle_used"], 5);
    for group in ["email_address", "username", "domain"] {
        let request = json!({ "group_by": group });
        let history = post(&sandbox, "/stats/email_history", &request).json();
        assert_eq!(history["data"]["history"][0]["used"], 5, "{history}");
        assert_eq!(history["data"]["count"], 1);
    }
    let page = get(&sandbox, "/").body;
    assert!(page.contains("<span class=\"count\"> 5</span>"), "{page}");
    assert_eq!(sandbox.assert_mails(5).len(), 2);
}

#[test]
fn statistics_include_dropped_text_messages() {
    let sandbox = Sandbox::builder()
        .keep_bytes(20_000)
        .start_blocking()
        .unwrap();
    let sms = json!({ "destination": ["+15555550123"], "content": "x".repeat(161) });
    for _ in 0..30 {
        assert_eq!(post(&sandbox, "/sms/send", &sms).status, 200);
        sandbox.advance(Duration::from_secs(1));
    }
    let dropped = sandbox.dropped().sms;
    assert!(dropped > 0 && dropped < 30, "{dropped}");
    assert_eq!(sandbox.sms().len(), 30 - dropped);
    let summary = post(&sandbox, "/sms/summary", &json!({})).json();
    assert_eq!(summary["data"]["total_messages"], 30);
    assert_eq!(summary["data"]["total_units"], 60);
    let id = "00000003-0000-4000-8000-000000000001";
    let gone = get(&sandbox, &format!("/_inbox/sms/{id}"));
    assert_eq!(gone.status, 410);
}

#[test]
fn page_of_a_dropped_mail_responds_410_with_the_reason() {
    let (sandbox, ids) = with_mails(2, 5);
    let list = get(&sandbox, "/").body;
    assert!(list.contains("3 older mails were dropped"), "{list}");
    let calls = get(&sandbox, "/_inbox/calls").body;
    assert!(calls.contains("3 older calls were dropped"), "{calls}");
    for (path, status) in [
        (format!("/_inbox/mails/{}", ids[0]), 410),
        (format!("/_inbox/mails/{}/html", ids[0]), 410),
        (format!("/_inbox/mails/{}/raw", ids[0]), 410),
        (format!("/_inbox/mails/{}/files/0", ids[0]), 410),
        (format!("/_inbox/mails/{}", ids[4]), 200),
        ("/_inbox/mails/1SaNdB-000009-00".to_owned(), 404),
        ("/_inbox/calls/0".to_owned(), 410),
        ("/_inbox/calls/4".to_owned(), 200),
        ("/_inbox/calls/9".to_owned(), 404),
        (format!("/_sandbox/mails/{}", ids[0]), 410),
        (format!("/_sandbox/mails/{}", ids[4]), 200),
        ("/_sandbox/mails/1SaNdB-000009-00".to_owned(), 404),
        ("/_sandbox/calls/1".to_owned(), 410),
        ("/_sandbox/calls/5".to_owned(), 200),
        ("/_sandbox/calls/6".to_owned(), 404),
    ] {
        let reply = get(&sandbox, &path);
        assert_eq!(reply.status, status, "{path}");
        let said = reply.body.contains("dropped");
        assert!(said || status != 410, "{path}: {}", reply.body);
    }
}

#[test]
fn dropping_mails_between_pages_skips_no_other_mail() {
    let (sandbox, _) = with_mails(20, 20);
    let request = |token: &Value| {
        let mut request = json!({ "limit": 4, "event_types": ["processed"] });
        if !token.is_null() {
            request["continue_token"] = token.clone();
        }
        post(&sandbox, "/activity/search", &request).json()["data"].clone()
    };
    let subjects = |data: &Value, list: &str| -> Vec<String> {
        let items = data[list].as_array().unwrap().iter();
        items
            .map(|item| item["subject"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = request(&Value::Null);
    assert_eq!(
        subjects(&first, "events"),
        ["Mail 0", "Mail 1", "Mail 2", "Mail 3"]
    );
    let path = "/_sandbox/mails?limit=4";
    let admin_first = admin(&sandbox, path);
    assert_eq!(admin_first["next"], 4);
    let admin_found = admin(&sandbox, &format!("{path}&to=b@example.net"));
    assert_eq!(admin_found["next"], 4);
    // Moves the clock past the second of the first search.
    sandbox.advance(Duration::from_secs(60));
    for number in 20..26 {
        send_mail(&sandbox, &mail(number));
    }
    // Mails 0 to 5 were dropped.
    let expected = ["Mail 6", "Mail 7", "Mail 8", "Mail 9"];
    let second = request(&first["continue_token"]);
    assert_eq!(subjects(&second, "events"), expected);
    for query in [
        "after=4",
        "offset=4",
        "after=4&to=b@example.net",
        "after=6&offset=0",
    ] {
        let page = admin(&sandbox, &format!("{path}&{query}"));
        assert_eq!(subjects(&page, "mails"), expected, "{query}");
        assert_eq!(page["next"], 10, "{query}");
        assert_eq!(page["dropped"], 6, "{query}");
    }
    let last = admin(&sandbox, "/_sandbox/mails?after=24");
    assert_eq!(subjects(&last, "mails"), ["Mail 24", "Mail 25"]);
    assert!(last["next"].is_null());
}

#[test]
fn failed_assertion_shows_how_many_mails_were_dropped() {
    let (sandbox, _) = with_mails(2, 3);
    let received = sandbox.received();
    assert!(received.starts_with("3 mails were received:"), "{received}");
    assert!(
        received.contains("the oldest 1 of them were dropped (keep_mails 2"),
        "{received}"
    );
    assert!(received.contains("\n  2. a@example.com"), "{received}");
    let failed = catch_unwind(AssertUnwindSafe(|| {
        sandbox.assert_mail(|mail| mail.subject().is_none())
    }));
    let message = failed.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("were dropped"), "{message}");
    let failed = catch_unwind(AssertUnwindSafe(|| sandbox.assert_no_mail()));
    assert!(failed.is_err());
}

#[test]
fn wait_for_mail_skips_dropped_mails() {
    let (sandbox, ids) = with_mails(2, 3);
    let next = || {
        let mail = sandbox.wait_for_mail_blocking(Duration::ZERO);
        mail.map(|mail| mail.email_id().to_owned())
    };
    assert_eq!(next().as_ref(), Some(&ids[1]));
    assert_eq!(next().as_ref(), Some(&ids[2]));
    assert_eq!(next(), None);
}

#[test]
fn on_drop_is_called_after_the_first_drop_and_each_tenfold_growth() {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let report = Arc::clone(&reported);
    let sandbox = Sandbox::builder()
        .keep_mails(1)
        .on_drop(move |dropped| report.lock().unwrap().push(dropped.mails))
        .start_blocking()
        .unwrap();
    for number in 0..31 {
        send_mail(&sandbox, &mail(number));
    }
    // A mail is dropped with two events and a call.
    assert_eq!(*reported.lock().unwrap(), [1, 3, 25]);
}

#[test]
fn scheduled_mail_is_kept_until_it_is_sent() {
    let sandbox = Sandbox::builder().keep_mails(2).start_blocking().unwrap();
    sandbox.freeze();
    let mut scheduled = mail(0);
    let due = sandbox.now() + Duration::from_secs(3_600);
    let due = due.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    scheduled["schedule"] = due.into();
    let id = send_mail(&sandbox, &scheduled);
    for number in 1..6 {
        send_mail(&sandbox, &mail(number));
    }
    assert_eq!(sandbox.mails().len(), 3);
    assert_eq!(sandbox.mails()[0].email_id(), id);
    let waiting = post(&sandbox, "/email/scheduled/search", &json!({})).json();
    assert_eq!(waiting["data"].as_array().unwrap().len(), 1);
    sandbox.advance(Duration::from_secs(3_600));
    // Once sent, the scheduled mail counts as the newest.
    assert_eq!(sandbox.mails().len(), 2);
    assert_eq!(sandbox.mails()[0].email_id(), id);
    assert_eq!(
        sandbox.events().last().unwrap().kind(),
        EventKind::Delivered
    );
    for number in 6..8 {
        send_mail(&sandbox, &mail(number));
    }
    assert!(sandbox.mails().iter().all(|mail| mail.email_id() != id));
}

#[test]
fn scheduled_mail_beyond_its_share_of_the_budget_is_refused() {
    let sandbox = Sandbox::builder()
        .keep_bytes(100_000)
        .start_blocking()
        .unwrap();
    sandbox.freeze();
    let due = sandbox.now() + Duration::from_secs(3_600);
    let due = due.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let mut request = mail(0);
    request["schedule"] = due.into();
    let mut ids = Vec::new();
    let refused = loop {
        let reply = post(&sandbox, "/email/send", &request);
        if reply.status != 200 {
            break reply;
        }
        let id = &reply.json()["data"]["schedule_id"];
        ids.push(id.as_str().unwrap().to_owned());
        assert!(ids.len() < 1_000);
    };
    assert_eq!(refused.status, 400);
    assert!(
        refused.body.contains("bytes of scheduled mail"),
        "{}",
        refused.body
    );
    assert_eq!(sandbox.mails().len(), ids.len());
    // Mail without a schedule is still accepted, and cancelling a scheduled mail makes room.
    send_mail(&sandbox, &mail(1));
    let remove = json!({ "schedule_id": ids[0] });
    assert_eq!(
        post(&sandbox, "/email/scheduled/remove", &remove).status,
        200
    );
    assert_eq!(post(&sandbox, "/email/send", &request).status, 200);
}

#[test]
fn call_without_a_known_key_or_operation_keeps_1024_bytes_of_its_body() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let key = sandbox.key().to_owned();
    let long = "x".repeat(100_000);
    let mut request = mail(0);
    request["text_body"] = long.as_str().into();
    let plain = request.to_string();
    request["api_key"] = key.as_str().into();
    let with_key = request.to_string();
    let header = ("X-Smtp2go-Api-Key", key.as_str());
    let wrong = ("X-Smtp2go-Api-Key", "api-WRONG");
    for (path, headers, body, status, whole) in [
        ("/v3/email/send", &[][..], &plain, 401, false),
        ("/v3/email/send", &[wrong], &plain, 401, false),
        ("/v3/nothing", &[header], &plain, 404, false),
        ("/v3/nothing", &[], &plain, 404, false),
        ("/v3/email/send", &[header], &plain, 200, true),
        ("/v3/email/send", &[], &with_key, 200, true),
        ("/v3/email/send", &[header], &long, 400, true),
        ("/v3/email/send", &[wrong], &with_key, 401, false),
    ] {
        let reply = send(&sandbox, "POST", path, headers, body.as_bytes());
        assert_eq!(reply.status, status, "{path} {headers:?}: {}", reply.body);
        let calls = sandbox.calls();
        let call = calls.last().unwrap();
        assert_eq!(call.body_bytes(), body.len(), "{path} {headers:?}");
        let kept = if whole { body.len() } else { 1_024 };
        assert_eq!(call.body(), &body.as_bytes()[..kept], "{path} {headers:?}");
        assert_eq!(call.refused().is_some(), status != 200);
        let number = calls.len() - 1;
        let page = get(&sandbox, &format!("/_inbox/calls/{number}")).body;
        assert!(
            page.contains(if body.len() > 100_000 {
                "97."
            } else {
                "97.6 KB"
            }),
            "{page}"
        );
    }
}

#[test]
fn flood_of_calls_without_a_key_drops_no_mail() {
    let sandbox = Sandbox::builder()
        .keep_bytes(1_000_000)
        .start_blocking()
        .unwrap();
    let id = send_mail(&sandbox, &mail(0));
    let path = format!("/{}", "p".repeat(30_000));
    for _ in 0..100 {
        let reply = send(
            &sandbox,
            "POST",
            &path,
            &[("X-A", &"a".repeat(5_000))],
            &[b'x'; 5_000],
        );
        assert_eq!(reply.status, 404);
    }
    assert_eq!(sandbox.mails()[0].email_id(), id);
    assert!(sandbox.dropped().calls > 0);
    let kept = admin(&sandbox, "/_sandbox")["kept_bytes"].as_u64().unwrap();
    assert!(kept < 150_000, "{kept}");
}

/// The start of a MIME message, in base64: a text part and the headers of an attachment.
const MIME_HEAD: &str = "RnJvbTogYUBleGFtcGxlLmNvbQ0KVG86IGJAZXhhbXBsZS5uZXQNCkNvbnRlbnQtVHlwZTogbXVsdGlwYXJ0L21peGVkOyBib3VuZGFyeT14DQoNCi0teA0KDQpIaQ0KLS14DQpDb250ZW50LVR5cGU6IGFwcGxpY2F0aW9uL3BkZiANCg0K";

#[test]
fn body_of_a_large_mail_is_kept_in_memory_only_once() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let blob = "QUJD".repeat(250_000);
    let kept = || admin(&sandbox, "/_sandbox")["kept_bytes"].as_u64().unwrap();
    let mut file = mail(0);
    file["attachments"] = json!([{ "filename": "a.bin", "fileblob": blob }]);
    let batch = json!({ "emails": [file, file, mail(1)] });
    let mime = json!({ "mime_email": format!("{MIME_HEAD}{blob}") });
    for (path, request) in [
        ("/email/send", &file),
        ("/email/batch", &batch),
        ("/email/mime", &mime),
    ] {
        let before = kept();
        let size = request.to_string().len() as u64;
        assert_eq!(post(&sandbox, path, request).status, 200);
        let taken = kept() - before;
        assert!(
            taken < size + size / 10 && taken > size,
            "{path}: {taken} for {size}"
        );
    }
    let mails = sandbox.mails();
    assert_eq!(mails[0].request(), file);
    assert_eq!(mails[0].attachments()[0].content.len(), 750_000);
    assert_eq!(
        mails[2].attachments()[0].content,
        mails[0].attachments()[0].content
    );
    assert_eq!(mails[4].mime().unwrap().len(), 750_135);
    assert_eq!(mails[4].request(), mime);
}

#[test]
fn viewing_the_inbox_drops_no_mail() {
    let sandbox = Sandbox::builder()
        .keep_bytes(1_000_000)
        .start_blocking()
        .unwrap();
    let kept = || admin(&sandbox, "/_sandbox")["kept_bytes"].as_u64().unwrap();
    let mail = |number| {
        let mut mail = mail(number);
        mail["text_body"] = format!("word{number} {}", "x".repeat(2_000)).into();
        mail
    };
    let mut sent = 0;
    // Seven eighths of the budget are for messages.
    while kept() < 850_000 {
        send_mail(&sandbox, &mail(sent));
        sent += 1;
    }
    assert_eq!(sandbox.dropped(), Default::default());
    let before = kept();
    let newest = format!("Mail {}<", sent - 1);
    assert!(get(&sandbox, "/").body.contains(&newest));
    // The search cache is limited to a quarter of the budget. Mails that don't fit are found too.
    for number in [0, sent / 2, sent - 1] {
        let found = get(&sandbox, &format!("/?q=WORD{number}")).body;
        assert!(found.contains(&format!("Mail {number}")), "{found}");
        assert!(!found.contains(&format!("Mail {}<", number + 1)), "{found}");
    }
    assert_eq!(kept(), before);
    send_mail(&sandbox, &mail(sent));
    assert_eq!(sandbox.mails().len(), sent + 1);
    sandbox.reset();
    assert!(get(&sandbox, "/?q=word").body.contains("No mail"));
}

#[test]
fn sending_limit_of_a_key_counts_dropped_mails() {
    let sandbox = Sandbox::builder().keep_mails(1).start_blocking().unwrap();
    let key = json!({
        "endpoints": ["/email/send"], "custom_ratelimit": true, "custom_ratelimit_value": 3,
        "custom_ratelimit_period": "1 hour",
    });
    let added = post(&sandbox, "/api_keys/add", &key).json();
    let key = added["data"][0]["api_key"].as_str().unwrap();
    let body = mail(0).to_string();
    let statuses: Vec<_> = (0..5)
        .map(|_| {
            let headers = [("X-Smtp2go-Api-Key", key)];
            send(
                &sandbox,
                "POST",
                "/v3/email/send",
                &headers,
                body.as_bytes(),
            )
            .status
        })
        .collect();
    assert_eq!(statuses, [200, 200, 200, 400, 400]);
}

#[test]
fn dropped_mail_cannot_be_opened() {
    let (sandbox, _) = with_mails(1, 1);
    let mail_before = sandbox.mails().remove(0);
    send_mail(&sandbox, &mail(1));
    let error = sandbox
        .delivery()
        .open(&mail_before, "b@example.net")
        .unwrap_err();
    assert!(error.to_string().contains("dropped"), "{error}");
    let newest = sandbox.mails().remove(0);
    assert!(sandbox.delivery().open(&newest, "b@example.net").is_ok());
    sandbox.reset();
    send_mail(&sandbox, &mail(2));
    assert!(sandbox.delivery().open(&newest, "b@example.net").is_err());
}

#[test]
fn requests_can_add_only_100_faults_and_1000_delivery_rules() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let add =
        |path: &str, body: Value| send(&sandbox, "POST", path, &[], body.to_string().as_bytes());
    let fault = || add("/_sandbox/faults", json!({ "rule": "nth=9999:status=503" })).status;
    let statuses: Vec<_> = (0..101).map(|_| fault()).collect();
    assert_eq!((statuses[99], statuses[100]), (200, 409));
    let rule = |recipient: String| {
        add(
            "/_sandbox/delivery",
            json!({ "recipient": recipient, "outcome": "open" }),
        )
        .status
    };
    assert_eq!(rule("a".repeat(1_001)), 400);
    let statuses: Vec<_> = (0..1_001)
        .map(|number| rule(format!("{number}@example.net")))
        .collect();
    assert_eq!((statuses[999], statuses[1_000]), (200, 409));
}
