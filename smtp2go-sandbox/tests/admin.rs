//! The admin endpoints, over HTTP.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use smtp2go_sandbox::{Fault, Sandbox};
use support::{Reply, address, post, send};

fn mail(to: &str) -> Value {
    json!({ "sender": "A <a@example.com>", "to": [to], "subject": "Hi", "text_body": "Hello",
            "attachments": [{ "filename": "a.txt", "mimetype": "text/plain", "fileblob": "aGk=" }] })
}

fn get(sandbox: &Sandbox, path: &str) -> Value {
    let reply = call(sandbox, "GET", path, "");
    assert_eq!(reply.status, 200, "{path}: {reply:?}");
    assert!(reply.head.contains("content-type: application/json"));
    for header in [
        "x-content-type-options: nosniff",
        "cache-control: no-store",
        "cross-origin-resource-policy: same-origin",
    ] {
        assert!(reply.head.contains(header), "{path}: {}", reply.head);
    }
    reply.json()
}

fn call(sandbox: &Sandbox, method: &str, path: &str, body: &str) -> Reply {
    send(
        sandbox,
        method,
        &format!("/_sandbox{path}"),
        &[],
        body.as_bytes(),
    )
}

#[test]
fn mails_are_listed_and_filtered_by_recipient_and_subject() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.freeze();
    for to in ["Jane <jane@example.net>", "bo@example.org"] {
        assert_eq!(post(&sandbox, "/email/send", &mail(to)).status, 200);
    }
    sandbox.advance(Duration::from_secs(60));
    let all = get(&sandbox, "/mails");
    assert_eq!(all["total"], 2);
    assert_eq!(all["mails"][1]["to"], json!(["bo@example.org"]));
    for (query, count) in [
        ("?to=jane@example.net", 1),
        ("?to=JANE%40example.net&wait=60", 1),
        ("?to=other@example.net", 0),
        ("?to=other@example.net&wait=0.01", 0),
        ("?subject=Hi", 2),
        ("?subject=Hi&offset=1", 1),
        ("?limit=1", 1),
        // A part of the subject, in any case.
        ("?subject=h", 2),
        ("?subject=Ho", 0),
    ] {
        let found = get(&sandbox, &format!("/mails{query}"));
        assert_eq!(found["mails"].as_array().unwrap().len(), count, "{query}");
    }
    for query in ["?too=x", "?limit=x", "?wait=61", "?wait=-1", "?wait=NaN"] {
        let refused = call(&sandbox, "GET", &format!("/mails{query}"), "");
        assert_eq!(refused.status, 400, "{query}: {refused:?}");
    }
    let id = sandbox.mails()[0].email_id().to_owned();
    let one = get(&sandbox, &format!("/mails/{id}"));
    assert_eq!(one["text_body"], "Hello");
    assert_eq!(one["attachments"][0]["content"], "aGk=");
    assert_eq!(one["request"], mail("Jane <jane@example.net>"));
    let events: Vec<_> = one["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event"])
        .collect();
    assert_eq!(events, ["processed", "delivered"]);
    assert_eq!(get(&sandbox, "/events")["total"], 4);
    assert_eq!(call(&sandbox, "GET", "/mails/none", "").status, 404);
}

#[test]
fn plus_in_a_filter_matches_a_plus_or_a_space() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mut sent = mail("Jane <jane+tag@example.net>");
    sent["subject"] = "Offer 1+1 for you".into();
    assert_eq!(post(&sandbox, "/email/send", &sent).status, 200);
    for (query, count) in [
        ("?to=jane+tag@example.net", 1),
        ("?to=jane%2Btag@example.net", 1),
        ("?to=Jane+%3Cjane+tag@example.net%3E", 1),
        ("?to=jane@example.net", 0),
        ("?subject=offer+1+1", 1),
        ("?subject=Offer%201%2B1%20for", 1),
        ("?subject=1%2B2", 0),
    ] {
        let found = get(&sandbox, &format!("/mails{query}"));
        assert_eq!(found["total"], count, "{query}");
    }
}

#[test]
fn list_with_wait_returns_when_a_matching_mail_arrives() {
    let sandbox = Sandbox::start_blocking().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&sandbox, "/mails?to=b@example.net&wait=60"));
        for to in ["a@example.net", "b@example.net"] {
            post(&sandbox, "/email/send", &mail(to));
        }
        assert_eq!(waiting.join().unwrap()["total"], 1);
    });
}

#[test]
fn page_of_long_mails_ends_early_and_the_next_page_continues() {
    let sandbox = Sandbox::start_blocking().unwrap();
    for _ in 0..20 {
        let mut mail = mail("b@example.net");
        mail["subject"] = "x".repeat(1024 * 1024).into();
        assert_eq!(post(&sandbox, "/email/send", &mail).status, 200);
    }
    for filter in ["", "&to=b@example.net"] {
        let (mut after, mut numbers) = (0, Vec::new());
        let mut pages = 0;
        loop {
            let page = get(
                &sandbox,
                &format!("/mails?limit=1000000&after={after}{filter}"),
            );
            let mails = page["mails"].as_array().unwrap();
            numbers.extend(mails.iter().map(|mail| mail["number"].as_u64().unwrap()));
            pages += 1;
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => break,
            }
        }
        assert_eq!(pages, 2, "{filter}");
        assert_eq!(numbers, (1..=20).collect::<Vec<_>>(), "{filter}");
    }
}

#[test]
fn wait_for_mail_continues_after_a_reset() {
    let sandbox = Sandbox::start_blocking().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| get(&sandbox, "/mails?to=b@example.net&wait=60"));
        for to in ["a@example.net", "a@example.net"] {
            post(&sandbox, "/email/send", &mail(to));
            // Gives the waiting request time to look at each mail.
            std::thread::sleep(Duration::from_millis(50));
        }
        sandbox.reset();
        for to in ["b@example.net", "c@example.net"] {
            post(&sandbox, "/email/send", &mail(to));
        }
        assert_eq!(waiting.join().unwrap()["mails"][0]["number"], 1);
    });
}

#[test]
fn calls_of_the_api_are_listed_and_admin_requests_are_not() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.faults().add(Fault::status(503).nth(2));
    post(&sandbox, "/email/send", &json!({}));
    get(&sandbox, "");
    post(&sandbox, "/email/send", &mail("b@example.net"));
    let calls = get(&sandbox, "/calls");
    assert_eq!(calls["total"], 2);
    assert_eq!(
        calls["calls"][0]["refused"],
        "sender: The field is required."
    );
    assert_eq!(calls["calls"][0]["key_in"], "header");
    assert_eq!(calls["calls"][1]["fault"], "status 503");
    assert_eq!(calls["calls"][1]["status"], 503);
    let one = get(&sandbox, "/calls/1");
    let head = one["head"].as_str().unwrap();
    assert!(
        head.starts_with("POST /v3/") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    assert_eq!(one["body"], "{}");
    assert!(
        one["reply"]
            .as_str()
            .unwrap()
            .contains("NON_VALIDATING_IN_PAYLOAD")
    );
    for number in ["0", "3", "x", "-1"] {
        assert_eq!(
            call(&sandbox, "GET", &format!("/calls/{number}"), "").status,
            404
        );
    }
}

#[test]
fn faults_can_be_added_listed_and_removed() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let add = |rule: &str| {
        call(
            &sandbox,
            "POST",
            "/faults",
            &json!({ "rule": rule }).to_string(),
        )
    };
    let added = add("nth=2:email_send:status=503");
    assert_eq!(added.status, 200);
    assert_eq!(
        added.json(),
        json!({ "id": 1, "rule": "email_send:nth=2:status=503", "seen": 0, "struck": 0 })
    );
    assert_eq!(add("template_*:close").json()["id"], 2);
    let statuses = [(); 3].map(|()| post(&sandbox, "/email/send", &mail("b@example.net")).status);
    assert_eq!(statuses, [200, 503, 200]);
    let list = get(&sandbox, "/faults");
    assert_eq!(
        (&list["faults"][0]["seen"], &list["faults"][0]["struck"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(list["total"], 2);
    for (body, expected) in [
        (r#"{"rule":"email_send:nth=x:reset"}"#, "rule: column 12: "),
        (r#"{"rule":1}"#, "rule: the value must be a string"),
        // No request could remove these faults again.
        (r#"{"rule":"refuse"}"#, "shut out the admin endpoints"),
        (
            r#"{"rule":"chance=1:refuse"}"#,
            "shut out the admin endpoints",
        ),
        (r#"{"rules":"reset"}"#, "unknown field \"rules\""),
        ("{}", "rule: the field is required"),
        ("[]", "not a JSON object"),
        ("reset", "not valid JSON"),
        ("", "not valid JSON"),
    ] {
        let refused = call(&sandbox, "POST", "/faults", body);
        assert_eq!(refused.status, 400);
        let error = refused.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(call(&sandbox, "DELETE", "/faults/1", "").status, 200);
    assert_eq!(call(&sandbox, "DELETE", "/faults/1", "").status, 404);
    assert_eq!(sandbox.faults().list().len(), 1);
    assert_eq!(call(&sandbox, "DELETE", "/faults", "").json()["removed"], 1);
    assert!(sandbox.faults().list().is_empty());
}

#[test]
fn fault_does_not_apply_to_admin_endpoints() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.faults().add(Fault::reset_before_reading());
    assert_eq!(get(&sandbox, "")["faults"], 1);
    assert_eq!(sandbox.faults().list()[0].seen(), 0);
    assert_eq!(call(&sandbox, "DELETE", "/faults", "").status, 200);
    assert_eq!(
        post(&sandbox, "/email/send", &mail("b@example.net")).status,
        200
    );
}

#[test]
fn clock_can_be_frozen_advanced_and_resumed() {
    let sandbox = Sandbox::start_blocking().unwrap();
    assert_eq!(get(&sandbox, "/clock")["frozen"], false);
    assert_eq!(
        call(&sandbox, "POST", "/clock/freeze", "").json()["frozen"],
        true
    );
    let before = sandbox.now();
    let advanced = call(&sandbox, "POST", "/clock/advance", r#"{"seconds":3600.5}"#);
    assert_eq!(advanced.status, 200);
    assert_eq!(sandbox.now(), before + Duration::from_millis(3_600_500));
    for body in [
        r#"{"seconds":-1}"#,
        r#"{"seconds":"1"}"#,
        r#"{"seconds":1e300}"#,
        // The year 10000 and later.
        r#"{"seconds":253402300800}"#,
        r#"{"seconds":8e18}"#,
        "{}",
    ] {
        assert_eq!(
            call(&sandbox, "POST", "/clock/advance", body).status,
            400,
            "{body}"
        );
    }
    assert_eq!(
        call(&sandbox, "POST", "/clock/resume", "").json()["frozen"],
        false
    );
    assert!(sandbox.now() >= before + Duration::from_millis(3_600_500));
}

#[test]
fn deleting_a_mail_deletes_its_events_and_call_and_does_not_count_as_dropping() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let send_mail = |mail: &Value| {
        let reply = post(&sandbox, "/email/send", mail).json();
        reply["data"]["email_id"].as_str().unwrap().to_owned()
    };
    let ids = ["b@example.net", "c@example.net"].map(|to| send_mail(&mail(to)));
    let path = format!("/mails/{}", ids[0]);
    let deleted = call(&sandbox, "DELETE", &path, "");
    assert_eq!(
        (deleted.status, deleted.json()["deleted"] == true),
        (200, true)
    );
    let gone = call(&sandbox, "DELETE", &path, "");
    assert_eq!(gone.status, 404, "{}", gone.body);
    for (list, left) in [("mails", 1), ("calls", 1)] {
        let list = get(&sandbox, &format!("/{list}"))[list]
            .as_array()
            .unwrap()
            .len();
        assert_eq!(list, left);
    }
    let events = get(&sandbox, "/events");
    assert!(!events.to_string().contains(&ids[0]), "{events}");
    assert!(events.to_string().contains(&ids[1]), "{events}");
    let about = get(&sandbox, "");
    for (kind, count) in about["dropped"].as_object().unwrap() {
        assert_eq!(count, 0, "{kind}");
    }

    let mut later = mail("d@example.net");
    let due = sandbox.now() + Duration::from_secs(3_600);
    let due = due.duration_since(std::time::UNIX_EPOCH).unwrap();
    later["schedule"] = due.as_secs().into();
    let path = format!("/mails/{}", send_mail(&later));
    let refused = call(&sandbox, "DELETE", &path, "");
    assert_eq!(refused.status, 409);
    assert!(
        refused.body.contains("/email/scheduled/remove"),
        "{}",
        refused.body
    );
    assert_eq!(sandbox.mails().len(), 2);
}

#[test]
fn event_on_demand_is_recorded_and_impossible_event_gets_409() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.freeze();
    let rule = r#"{"recipient":"@example.org","outcome":"soft-bounce"}"#;
    assert_eq!(call(&sandbox, "POST", "/delivery", rule).status, 200);
    for to in ["jane@example.net", "bo@example.org"] {
        post(&sandbox, "/email/send", &mail(to));
    }
    sandbox.advance(Duration::from_secs(60));
    let mails = sandbox.mails();
    let happen = |mail: usize, body: &str| {
        let path = format!("/mails/{}/events", mails[mail].email_id());
        call(&sandbox, "POST", &path, body)
    };
    let opened = happen(0, r#"{"event":"open"}"#);
    assert_eq!(opened.status, 200, "{opened:?}");
    assert_eq!(opened.json()["recipient"], "jane@example.net");
    let spam = r#"{"event":"spam","recipient":"Jane <jane@example.net>"}"#;
    assert_eq!(happen(0, spam).status, 200);
    let kinds: Vec<_> = sandbox
        .events()
        .iter()
        .map(|event| event.kind().webhook_name())
        .collect();
    assert_eq!(
        kinds,
        [
            "processed",
            "processed",
            "delivered",
            "bounce",
            "open",
            "spam"
        ]
    );
    for (mail, body, status) in [
        (0, r#"{"event":"opend"}"#, 400),
        (0, r#"{"event":"open","link":"https://example.com/"}"#, 400),
        (0, r#"{"event":"open","recipient":1}"#, 400),
        (
            0,
            r#"{"event":"open","recipient":"other@example.net"}"#,
            409,
        ),
        (0, r#"{"event":"click","link":"https://example.com/"}"#, 409),
        (1, r#"{"event":"opened"}"#, 409),
    ] {
        let refused = happen(mail, body);
        assert_eq!(refused.status, status, "{body}: {refused:?}");
        assert!(refused.json()["error"].is_string());
    }
    let none = call(
        &sandbox,
        "POST",
        "/mails/none/events",
        r#"{"event":"open"}"#,
    );
    assert_eq!(none.status, 404);
    let rule = r#"{"recipient":"*","outcome":"x"}"#;
    assert_eq!(call(&sandbox, "POST", "/delivery", rule).status, 400);
    assert_eq!(call(&sandbox, "DELETE", "/delivery", "").status, 200);
    post(&sandbox, "/email/send", &mail("bo@example.org"));
    sandbox.advance(Duration::from_secs(60));
    let events = sandbox.events();
    assert_eq!(events.last().unwrap().kind().webhook_name(), "delivered");
}

#[test]
fn text_messages_and_webhooks_are_listed() {
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox.freeze();
    // A port without a listener.
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let hook = json!({ "url": format!("http://{free}/hook"), "events": ["processed"], "output_format": "json" });
    assert_eq!(post(&sandbox, "/webhook/add", &hook).status, 200);
    post(&sandbox, "/email/send", &mail("b@example.net"));
    let sms =
        json!({ "destination": ["+6421000001"], "content": "Code 1", "sender": "+6421000002" });
    assert_eq!(post(&sandbox, "/sms/send", &sms).status, 200);
    let list = get(&sandbox, "/sms");
    assert_eq!(list["sms"][0]["content"], "Code 1");
    let received = r#"{"from":"+6421000001","to":"+6421000002","content":"Hi"}"#;
    assert_eq!(call(&sandbox, "POST", "/sms/receive", received).status, 200);
    let view = post(&sandbox, "/sms/view-received", &json!({}));
    assert!(view.body.contains("\"Hi\""), "{view:?}");
    let webhook = loop {
        let list = get(&sandbox, "/webhooks");
        assert_eq!(list["total"], 1);
        if list["webhooks"][0]["state"] == "waiting" {
            break list["webhooks"][0].clone();
        }
        std::thread::yield_now();
    };
    assert_eq!(webhook["url"], hook["url"]);
    assert_eq!(webhook["event"]["event"], "processed");
    assert!(webhook["body"].as_str().unwrap().starts_with('{'));
    assert!(webhook["attempts"][0]["error"].is_string(), "{webhook}");
    assert!(webhook["next_attempt"].is_string());
    assert_eq!(call(&sandbox, "POST", "/webhooks/1/again", "").status, 200);
    assert_eq!(call(&sandbox, "POST", "/webhooks/2/again", "").status, 404);
}

#[test]
fn get_and_cross_site_requests_change_nothing() {
    let sandbox = Sandbox::start_blocking().unwrap();
    post(&sandbox, "/email/send", &mail("b@example.net"));
    for path in ["/reset", "/clock/freeze", "/clock/resume", "/clock/advance"] {
        assert_eq!(call(&sandbox, "GET", path, "").status, 405, "{path}");
    }
    let host = address(&sandbox);
    let own = format!("http://{host}");
    for (headers, status) in [
        (
            vec![("Host", "evil.example"), ("Origin", "http://evil.example")],
            403,
        ),
        (
            vec![("Host", host.as_str()), ("Origin", "http://evil.example")],
            403,
        ),
        (vec![("Host", host.as_str()), ("Origin", "null")], 403),
        (
            vec![("Host", host.as_str()), ("Sec-Fetch-Site", "cross-site")],
            403,
        ),
        (vec![("Host", host.as_str()), ("Origin", own.as_str())], 200),
        (vec![("Host", host.as_str())], 200),
    ] {
        let sandbox_mails = sandbox.mails().len();
        let reply = support::send_with_hosts(&sandbox, "POST", "/_sandbox/reset", &headers, b"");
        assert_eq!(reply.status, status, "{headers:?}: {reply:?}");
        assert!(!reply.head.contains("access-control"));
        if status == 200 {
            assert_eq!(sandbox.mails().len(), 0);
            post(&sandbox, "/email/send", &mail("b@example.net"));
        } else {
            assert_eq!(sandbox.mails().len(), sandbox_mails);
        }
    }
    let reply = support::send_with_hosts(
        &sandbox,
        "GET",
        "/_sandbox/mails",
        &[("Host", "evil.example")],
        b"",
    );
    assert_eq!(reply.status, 403);
    assert!(!reply.body.contains("b@example.net"));
}

#[test]
fn one_connection_serves_the_api_and_the_admin_endpoints() {
    use std::io::Write;
    let sandbox = Sandbox::start_blocking().unwrap();
    sandbox
        .faults()
        .add(Fault::status(503).on("email_send").nth(2));
    let mut stream = support::connect(&sandbox);
    let body = mail("b@example.net").to_string();
    for (path, body, status) in [
        ("/v3/email/send", body.as_str(), 200),
        ("/_sandbox/clock/freeze", "ignored", 200),
        ("/_sandbox/none", "ignored", 404),
        ("/v3/email/send", &body, 503),
        ("/v3/email/send", &body, 200),
    ] {
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nX-Smtp2go-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{body}",
            sandbox.key(),
            body.len(),
        );
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(support::read(&mut stream, true).status, status, "{path}");
    }
    assert_eq!(sandbox.calls().len(), 3);
}

#[test]
fn body_beyond_1_mib_gets_413() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let long = " ".repeat(1024 * 1024 + 1);
    assert_eq!(call(&sandbox, "POST", "/faults", &long).status, 413);
}

#[test]
fn every_listed_endpoint_exists() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let about = get(&sandbox, "");
    for endpoint in about["endpoints"].as_array().unwrap() {
        let mut words = endpoint.as_str().unwrap().splitn(3, ' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.split('?').next().unwrap();
        let reply = send(
            &sandbox,
            method,
            path,
            &[],
            words.next().unwrap_or_default().as_bytes(),
        );
        let expected = if path.contains(char::is_uppercase) {
            404
        } else {
            200
        };
        assert_eq!(reply.status, expected, "{endpoint}: {reply:?}");
        if expected == 404 {
            assert!(!reply.body.contains("unknown endpoint"), "{reply:?}");
        }
    }
}
