//! The inbox over HTTP, without a browser: pages, security headers, and forms.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

mod support;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use smtp2go_sandbox::Sandbox;
use support::{Reply, send};

fn get(sandbox: &Sandbox, path: &str) -> Reply {
    send(sandbox, "GET", path, &[], b"")
}

/// The token in the forms of the sandbox's pages.
fn token(sandbox: &Sandbox) -> String {
    let page = get(sandbox, "/_inbox/reset").body;
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap();
    let token = rest.split('"').next().unwrap();
    assert_eq!(token.len(), 32);
    token.to_owned()
}

/// Submits a form as a browser without the script does.
fn post(sandbox: &Sandbox, path: &str, form: &str) -> Reply {
    let form = format!("{form}&token={}", token(sandbox));
    post_as_is(sandbox, path, &form)
}

fn post_as_is(sandbox: &Sandbox, path: &str, form: &str) -> Reply {
    let headers = [
        ("Content-Type", "application/x-www-form-urlencoded"),
        ("Origin", "http://localhost"),
    ];
    send(sandbox, "POST", path, &headers, form.as_bytes())
}

fn call(sandbox: &Sandbox, path: &str, request: &serde_json::Value) -> Reply {
    let key = [("X-Smtp2go-Api-Key", sandbox.key())];
    send(sandbox, "POST", path, &key, request.to_string().as_bytes())
}

/// Starts a sandbox with one mail, and returns the path of its page.
fn with_mail() -> (Sandbox, String) {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mail = json!({
        "sender": "a@example.com", "to": ["b@example.net"], "subject": "<b>Hi</b> & 'bye'",
        "html_body": "<script>x</script><img src=\"cid:dot.png\"><a href=https://example.org/>x</a>",
        "text_body": "Hello </pre><script>alert(1)</script>",
        "attachments": [{ "filename": "a \"b\".html", "mimetype": "text/html",
                          "fileblob": "PHNjcmlwdD4=" }],
        "inlines": [{ "filename": "dot.png", "mimetype": "image/png", "fileblob": "aGk=" }],
    });
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    let id = sandbox.mails()[0].email_id().to_owned();
    (sandbox, format!("/_inbox/mails/{id}"))
}

#[test]
fn pages_escape_content_and_have_a_security_policy() {
    let (sandbox, mail) = with_mail();
    for path in [
        "/",
        "/?q=hello",
        &mail,
        &format!("{mail}?part=text"),
        &format!("{mail}?part=headers"),
        &format!("{mail}?part=source"),
        &format!("{mail}?part=request"),
        &format!("{mail}?part=checks"),
        "/_inbox/calls",
        "/_inbox/calls/0",
        "/_inbox/sms",
        "/_inbox/webhooks",
        "/_inbox/registered",
        "/_inbox/templates",
        "/_inbox/suppressions",
        "/_inbox/faults",
        "/_inbox/reset",
        "/_inbox/delete?q=hello",
    ] {
        let page = get(&sandbox, path);
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self';",
            "x-content-type-options: nosniff",
            "x-frame-options: deny",
            "content-type: text/html; charset=utf-8",
        ] {
            assert!(page.head.contains(header), "{path}: {}", page.head);
        }
        assert!(!page.body.contains("<b>Hi</b>"), "{path}");
        assert!(!page.body.contains("<script>"), "{path}");
        // The policy forbids inline styles and scripts.
        assert!(
            !page.body.contains(" style=") && !page.body.contains(" onclick="),
            "{path}"
        );
    }
    for path in [
        "/_inbox/mails/none",
        "/_inbox/calls/9",
        "/_inbox/sms/x",
        "/_inbox/webhooks/0",
        "/_inbox/registered/1",
        "/_inbox/templates/0/none",
        "/_inbox/templates/9/none",
        "/_inbox/suppressions/0/0",
        "/_inbox/suppressions/9/0",
        "/_inbox/x",
    ] {
        let page = get(&sandbox, path);
        assert_eq!(page.status, 404, "{path}");
        assert!(page.body.contains("<h1"), "{path}");
    }
    // Requests to the inbox are not recorded as calls.
    assert_eq!(sandbox.calls().len(), 1);
}

#[test]
fn html_files_and_source_of_a_mail_are_served_under_their_own_policies() {
    let (sandbox, mail) = with_mail();
    let frame = get(&sandbox, &format!("{mail}/html"));
    assert!(frame.body.contains("<script>x</script>"), "{}", frame.body);
    assert!(
        frame.body.contains("data:image/png;base64,aGk="),
        "{}",
        frame.body
    );
    for part in [
        "sandbox allow-popups",
        "default-src 'none'",
        "img-src data:;",
        "frame-ancestors 'self'",
    ] {
        assert!(frame.head.contains(part), "{}", frame.head);
    }
    assert!(
        !frame.head.contains("allow-scripts") && !frame.head.contains("http:"),
        "{}",
        frame.head
    );

    // The inline image is file 0, and the attachment file 1.
    let file = get(&sandbox, &format!("{mail}/files/1"));
    assert_eq!(file.body, "<script>");
    for part in [
        "content-type: application/octet-stream",
        "content-disposition: attachment; filename=\"a _b_.html\"",
        "x-content-type-options: nosniff",
        "content-security-policy: sandbox;",
    ] {
        assert!(file.head.contains(part), "{}", file.head);
    }
    assert_eq!(get(&sandbox, &format!("{mail}/files/2")).status, 404);
    let raw = get(&sandbox, &format!("{mail}/raw"));
    assert!(
        raw.head.contains("content-disposition: attachment"),
        "{}",
        raw.head
    );
    assert!(raw.body.contains("multipart/"), "{}", raw.body);
}

#[test]
fn checks_of_a_mail_are_on_its_page_and_in_json() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mail = json!({
        "sender": "A <a@example.com>", "to": ["b@example.net"], "subject": "Hi {{name}}",
        "html_body": "<p style=\"display: grid\">\n<a href=\"http://a.example/<x>\">b.example</a>",
        "text_body": "https://c.example",
        "custom_headers": [{ "header": "List-Unsubscribe", "value": "<https://a.example/u>" }],
    });
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    let id = sandbox.mails()[0].email_id().to_owned();
    let checks = get(&sandbox, &format!("/_sandbox/mails/{id}/checks"));
    assert_eq!(checks.status, 200, "{}", checks.body);
    let checks: serde_json::Value = serde_json::from_str(&checks.body).unwrap();
    let grid = &checks["html"]["findings"][0];
    assert_eq!(
        (&grid["title"], &grid["lines"]),
        (&json!("display:grid"), &json!([1]))
    );
    assert!(
        grid["not_supported"]["percent"].as_f64().unwrap() > 10.0,
        "{grid}"
    );
    assert_eq!(checks["html"]["truncated"], false);
    let links = &checks["links"];
    assert_eq!(
        (&links["links"], &links["text_urls"], &links["suspicious"]),
        (&json!(1), &json!(1), &json!(1))
    );
    assert_eq!(
        links["list"][0]["problems"].as_array().unwrap().len(),
        2,
        "{links}"
    );
    let verdict = |name: &str| {
        let mut headers = checks["headers"].as_array().unwrap().iter();
        headers.find(|check| check["name"] == name).unwrap()["verdict"].clone()
    };
    assert_eq!(verdict("List-Unsubscribe"), "pass");
    assert_eq!(verdict("List-Unsubscribe-Post"), "warn");
    assert_eq!(verdict("Placeholders"), "warn");
    assert_eq!(verdict("Date"), "pass");

    let page = get(&sandbox, &format!("/_inbox/mails/{id}?part=checks")).body;
    for part in [
        "display:grid",
        "http://a.example/&#60;x&#62;",
        "shows b.example, but leads to a.example",
        "None was requested",
        "List-Unsubscribe-Post",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("href=\"http://a.example"), "{page}");
    assert!(
        get(&sandbox, "/_inbox/caniemail.txt")
            .body
            .contains("MIT License")
    );
    let none = get(&sandbox, "/_sandbox/mails/none/checks");
    assert_eq!(none.status, 404);
}

#[test]
fn html_beyond_1_mb_is_not_checked_and_the_page_says_so() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let html = "é".repeat(512 * 1024) + "<p style=\"display:grid\">";
    let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": "a",
                       "html_body": html });
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    let id = sandbox.mails()[0].email_id().to_owned();
    let checks = get(&sandbox, &format!("/_sandbox/mails/{id}/checks")).body;
    let checks: serde_json::Value = serde_json::from_str(&checks).unwrap();
    assert_eq!(checks["html"]["truncated"], true);
    assert_eq!(checks["html"]["features"], 0);
    let page = get(&sandbox, &format!("/_inbox/mails/{id}?part=checks")).body;
    assert!(page.contains("Only the first 1 MB"), "{page}");
}

#[test]
fn images_are_served_by_their_content_and_run_nothing() {
    let sandbox = Sandbox::start_blocking().unwrap();
    // A PNG of one pixel, HTML with the name of an image, and an SVG with a script.
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let svg =
        "PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciPjxzY3JpcHQ+eDwvc2NyaXB0Pjwvc3ZnPg==";
    let file = |name: &str, content: &str| json!({ "filename": name, "fileblob": content });
    let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": "a",
                       "text_body": "a",
                       "attachments": [file("a.png", png), file("b.png", "PHNjcmlwdD4="),
                                       file("c.svg", svg), file("d.txt", png)] });
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    let mail = format!("/_inbox/mails/{}", sandbox.mails()[0].email_id());
    for (number, expected) in [
        (0, Some("image/png")),
        (1, None),
        (2, Some("image/svg+xml")),
        (3, Some("image/png")),
        (4, None),
    ] {
        let path = format!("{mail}/files/{number}/image");
        let image = send(&sandbox, "HEAD", &path, &[], b"");
        match expected {
            Some(kind) => {
                assert_eq!(image.status, 200, "{number}");
                for part in [
                    &format!("content-type: {kind}"),
                    "x-content-type-options: nosniff",
                    "content-security-policy: sandbox; default-src 'none'",
                ] {
                    assert!(image.head.contains(part), "{number}: {}", image.head);
                }
            }
            None => assert_eq!(image.status, 404, "{number}"),
        }
    }
    let page = get(&sandbox, &mail).body;
    assert_eq!(page.matches("class=\"thumbnail\"").count(), 3, "{page}");
}

#[test]
fn tags_of_a_header_are_shown_and_filter_the_list() {
    let sandbox = Sandbox::start_blocking().unwrap();
    for (number, tags) in ["welcome, Big Sale", "welcome", "welcomed", ""]
        .iter()
        .enumerate()
    {
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"],
                           "subject": format!("Mail no{number}"), "text_body": "a",
                           "custom_headers": [{ "header": "x-tags", "value": tags }] });
        assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    }
    let rows = |path: &str| get(&sandbox, path).body.matches("<li id=\"row-").count();
    assert_eq!(rows("/?q=tag%3Awelcome"), 2);
    assert_eq!(rows("/?q=tag%3A%22big+sale%22"), 1);
    assert_eq!(rows("/?q=tag%3Awelcome+%22no1+mail%22"), 0);
    assert_eq!(rows("/?q=tag%3Awelcome+mail+no1"), 1);
    assert_eq!(rows("/?q=welcome"), 3);
    let list = get(&sandbox, "/").body;
    let link = "<a class=\"tag\" href=\"/?q=tag%3A%22Big+Sale%22\">Big Sale</a>";
    assert_eq!(list.matches(link).count(), 1, "{list}");
    let mail = get(
        &sandbox,
        &format!("/_inbox/mails/{}", sandbox.mails()[0].email_id()),
    )
    .body;
    assert_eq!(mail.matches(link).count(), 2, "{mail}");
    // Tags of a MIME message may be encoded.
    let message =
        "From: a@example.com\r\nTo: b@example.net\r\nX-Tags: =?utf-8?q?caf=C3=A9?=\r\n\r\na";
    let message = STANDARD.encode(message);
    let sent = call(
        &sandbox,
        "/v3/email/mime",
        &json!({ "mime_email": message }),
    );
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert_eq!(rows("/?q=tag%3Acaf%C3%A9"), 1);
}

#[test]
fn remote_content_is_loaded_only_with_the_token_of_a_page() {
    let (sandbox, mail) = with_mail();
    let other = Sandbox::start_blocking().unwrap();
    let (own, others) = (token(&sandbox), token(&other));
    assert_ne!(own, others);
    let frame = |query: &str| get(&sandbox, &format!("{mail}/html{query}"));
    let page = |query: &str| get(&sandbox, &format!("{mail}?part=html{query}")).body;
    let open = frame(&format!("?remote=1&token={own}"));
    assert!(
        open.head.contains("img-src data: http: https:"),
        "{}",
        open.head
    );
    let src = format!("src=\"{mail}/html?remote=1&#38;token={own}\"");
    let turned_on = page(&format!("&remote=1&token={own}"));
    assert!(turned_on.contains(&src), "{turned_on}");
    // A link in the mail may lead to both pages, and browsers may not send `Sec-Fetch-Site`.
    for token in ["", "&token=", &format!("&token={others}"), "&token=1"] {
        let refused = frame(&format!("?remote=1{token}"));
        assert_eq!(refused.status, 403, "{token}");
        assert!(!refused.head.contains("http:"), "{}", refused.head);
        let closed = page(&format!("&remote=1{token}"));
        assert!(closed.contains(&format!("src=\"{mail}/html\"")), "{closed}");
    }
    // Without remote content, the frame does not contain the token.
    assert!(!frame("").body.contains(&own));
}

#[test]
fn form_without_the_token_is_refused_and_changes_nothing() {
    let (sandbox, mail) = with_mail();
    let others = token(&Sandbox::start_blocking().unwrap());
    sandbox
        .faults()
        .add(smtp2go_sandbox::Fault::status(503).nth(99));
    sandbox.freeze();
    let begun = sandbox.now();
    let events = format!("{mail}/events");
    for (path, form) in [
        ("/_inbox/reset", ""),
        ("/_inbox/faults", "effect=reset"),
        ("/_inbox/faults/clear", ""),
        ("/_inbox/faults/1/remove", ""),
        ("/_inbox/webhooks/0/again", ""),
        ("/_inbox/clock", "do=advance&by=90d"),
        (&events, "recipient=b%40example.net&event=spam"),
    ] {
        for token in ["", "&token=", &format!("&token={others}")] {
            let refused = post_as_is(&sandbox, path, &format!("{form}{token}"));
            assert_eq!(refused.status, 403, "{path} {token}");
            assert!(refused.body.contains("reload the page"), "{}", refused.body);
        }
    }
    assert_eq!(
        (sandbox.mails().len(), sandbox.faults().list().len()),
        (1, 1)
    );
    assert_eq!(sandbox.now(), begun);
    let mut events = sandbox.events().into_iter();
    assert!(events.all(|event| event.kind().webhook_name() != "spam"));
}

#[test]
fn every_post_form_has_the_token() {
    let (sandbox, mail) = with_mail();
    let hook = json!({ "url": "http://127.0.0.1:9/hook", "events": ["open"] });
    assert_eq!(call(&sandbox, "/v3/webhook/add", &hook).status, 200);
    sandbox
        .faults()
        .add(smtp2go_sandbox::Fault::status(503).nth(99));
    post(
        &sandbox,
        &format!("{mail}/events"),
        "recipient=b%40example.net&event=open",
    );
    let token = format!(
        "><input type=\"hidden\" name=\"token\" value=\"{}\">",
        token(&sandbox)
    );
    let mut forms = 0;
    for path in [
        &mail,
        "/_inbox/faults",
        "/_inbox/reset",
        "/_inbox/delete",
        "/_inbox/webhooks/0",
    ] {
        let page = get(&sandbox, path).body;
        for form in page.split("<form").skip(1) {
            let (head, _) = form.split_once('>').unwrap();
            if head.contains("method=\"post\"") {
                assert!(form[head.len()..].starts_with(&token), "{path}: {form}");
                forms += 1;
            }
        }
    }
    assert_eq!(forms, 12);
}

#[test]
fn forms_work_without_the_script() {
    let (sandbox, mail) = with_mail();
    let events = format!("{mail}/events");
    let done = post(&sandbox, &events, "recipient=b%40example.net&event=open");
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(
        done.head
            .contains(&format!("location: {}", mail.to_lowercase())),
        "{}",
        done.head
    );
    let page = get(&sandbox, &mail);
    assert!(page.body.contains("opened"), "{}", page.body);
    for form in [
        "recipient=c%40example.net&event=open",
        "recipient=b%40example.net&event=nonsense",
        "",
    ] {
        let refused = post(&sandbox, &events, form);
        assert_eq!(refused.status, 422, "{form}");
        assert!(refused.body.contains("role=\"alert\""), "{form}");
    }

    let fault = "operation=email_send&times=nth%3D1&effect=status%3D503";
    assert_eq!(post(&sandbox, "/_inbox/faults", fault).status, 303);
    assert_eq!(sandbox.faults().list().len(), 1);
    assert!(get(&sandbox, "/_inbox/faults").body.contains("status=503"));
    let wrong = post(&sandbox, "/_inbox/faults", "rule=email_send%3Awhat");
    assert_eq!(wrong.status, 422);
    assert!(
        wrong.body.contains("value=\"email_send:what\""),
        "{}",
        wrong.body
    );
    // The fault neither applies to the inbox nor counts its requests.
    assert_eq!(get(&sandbox, "/").status, 200);
    assert_eq!(sandbox.faults().list()[0].seen(), 0);
    assert_eq!(post(&sandbox, "/_inbox/faults/1/remove", "").status, 303);
    assert!(sandbox.faults().list().is_empty());

    let before = sandbox.now();
    let advanced = post(&sandbox, "/_inbox/clock", "do=advance&by=2d");
    assert_eq!(advanced.status, 303);
    assert!(sandbox.now() >= before + Duration::from_secs(2 * 86_400));
    assert_eq!(post(&sandbox, "/_inbox/clock", "do=freeze&by=").status, 303);
    let frozen = sandbox.now();
    for (form, error) in [
        (
            "do=advance&by=",
            "by: expected a duration such as 90s, 5m, 2h or 3d, not &#34;&#34;",
        ),
        ("do=advance&by=90", "not &#34;90&#34;"),
        ("do=advance&by=-1s", "not &#34;-1s&#34;"),
        ("do=advance&by=1e999s", "not &#34;1e999s&#34;"),
        (
            "do=advance&by=9999999d",
            "by: moves the clock beyond the year 9999",
        ),
        (
            "do=stop",
            "do: unknown value &#34;stop&#34;: use advance, freeze or resume",
        ),
    ] {
        let refused = post(&sandbox, "/_inbox/clock", form);
        assert_eq!(refused.status, 422, "{form}");
        assert!(refused.body.contains(error), "{form}: {}", refused.body);
    }
    assert_eq!(sandbox.now(), frozen);
    assert_eq!(post(&sandbox, "/_inbox/clock", "do=resume").status, 303);

    assert_eq!(post(&sandbox, "/_inbox/reset", "").status, 303);
    assert!(sandbox.mails().is_empty());
    assert!(get(&sandbox, "/").body.contains("No mail yet"));
}

#[test]
fn deleted_mail_leaves_the_list_and_keeps_the_search() {
    let (sandbox, mail) = with_mail();
    let path = format!("{mail}/delete");
    let refused = post_as_is(&sandbox, &path, "");
    assert_eq!((refused.status, sandbox.mails().len()), (403, 1));
    let done = post(&sandbox, &format!("{path}?q=hi&part=text"), "");
    assert_eq!(done.status, 303, "{}", done.body);
    assert!(done.head.contains("location: /?q=hi\r\n"), "{}", done.head);
    let list = get(&sandbox, "/").body;
    assert!(list.contains("No mail yet"), "{list}");
    assert!(
        list.contains("Mail<span class=\"count\"> 0</span>"),
        "{list}"
    );
    assert!(
        list.contains("Calls<span class=\"count\"> 0</span>"),
        "{list}"
    );
    for gone in [get(&sandbox, &mail), post(&sandbox, &path, "")] {
        assert_eq!(gone.status, 404);
        assert!(
            gone.body.contains("It may have been deleted"),
            "{}",
            gone.body
        );
    }
}

#[test]
fn mails_that_the_user_was_asked_about_are_deleted_and_no_others() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let send = |subject: &str, schedule: Option<u64>| {
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": subject,
                           "text_body": "Hello", "schedule": schedule });
        let reply = call(&sandbox, "/v3/email/send", &mail);
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    let subjects = || -> Vec<String> {
        let mails = sandbox.mails();
        mails
            .iter()
            .map(|mail| mail.subject().unwrap().to_owned())
            .collect()
    };
    let tomorrow = sandbox.now() + Duration::from_secs(24 * 60 * 60);
    let tomorrow = tomorrow.duration_since(std::time::UNIX_EPOCH).unwrap();
    send("Report 1", None);
    send("Report 2", None);
    send("Report 3", Some(tomorrow.as_secs()));
    send("Invoice", None);

    // Returns the form of the page that asks, after checking what it asks.
    let form = |page: &str, question: &str| -> String {
        assert!(page.contains(question), "{page}");
        let field = |name: &str| {
            let (_, rest) = page
                .split_once(&format!("name=\"{name}\" value=\""))
                .unwrap();
            format!("{name}={}", rest.split('"').next().unwrap())
        };
        [field("q"), field("before"), field("count")].join("&")
    };
    let asked = get(&sandbox, "/_inbox/delete?q=report").body;
    let asked = form(&asked, "Delete 2 mails?");
    send("Report 4", None);
    assert_eq!(post_as_is(&sandbox, "/_inbox/delete", &asked).status, 403);
    assert_eq!(subjects().len(), 5);

    // The scheduled mail becomes due: the search finds one more of the mails that the user saw.
    sandbox.freeze();
    sandbox.advance(Duration::from_secs(25 * 60 * 60));
    let again = post(&sandbox, "/_inbox/delete", &asked);
    assert_eq!((again.status, subjects().len()), (409, 5));
    let asked = form(&again.body, "Delete 4 mails?");
    let reply = post(&sandbox, "/_inbox/delete", &asked);
    assert_eq!(
        (reply.status, subjects()),
        (303, vec!["Invoice".to_owned()])
    );

    let asked = get(&sandbox, "/_inbox/delete?q=nothing").body;
    form(&asked, "Delete 0 mails?");
    assert!(!asked.contains("class=\"danger\""), "{asked}");
    let asked = get(&sandbox, "/_inbox/delete").body;
    let asked = form(&asked, "deletes all mail,");
    // Mails after a reset get other numbers.
    assert_eq!(post(&sandbox, "/_inbox/reset", "").status, 303);
    send("Later", None);
    for stale in [asked.as_str(), "q=", ""] {
        assert_eq!(
            post(&sandbox, "/_inbox/delete", stale).status,
            409,
            "{stale}"
        );
        assert_eq!(subjects(), ["Later"]);
    }
    let asked = form(&get(&sandbox, "/_inbox/delete").body, "Delete 1 mail?");
    assert_eq!(post(&sandbox, "/_inbox/delete", &asked).status, 303);
    assert!(subjects().is_empty());
}

#[test]
fn mail_is_unread_until_its_page_was_shown() {
    let (sandbox, mail) = with_mail();
    let unread = || {
        let list = get(&sandbox, "/").body;
        assert_eq!(list.matches("<li id=\"row-").count(), 1);
        list.contains("class=\"unread\"") && list.contains("Unread: ")
    };
    let rows = |search: &str| {
        let list = get(&sandbox, &format!("/?q={search}")).body;
        list.matches("<li id=\"row-").count()
    };
    for path in [
        "/_inbox/calls/0",
        &format!("{mail}/raw"),
        &format!("{mail}/html"),
    ] {
        assert_eq!(get(&sandbox, path).status, 200, "{path}");
    }
    assert!(unread());
    assert_eq!([rows("is:unread"), rows("is:read")], [1, 0]);
    assert_eq!(get(&sandbox, &mail).status, 200);
    assert!(!unread());
    assert_eq!(
        [rows("is:unread"), rows("is:read"), rows("-is:unread")],
        [0, 1, 1]
    );
}

#[test]
fn request_of_another_site_or_host_is_refused_and_changes_nothing() {
    let (sandbox, mail) = with_mail();
    for (path, form) in [
        ("/_inbox/reset", ""),
        ("/_inbox/faults", "effect=reset"),
        ("/_inbox/faults/clear", ""),
        ("/_inbox/clock", "do=freeze"),
        ("/_inbox/delete", ""),
        (
            &format!("{mail}/events"),
            "recipient=b%40example.net&event=spam",
        ),
        (&format!("{mail}/delete"), ""),
    ] {
        for headers in [
            [("Origin", "http://evil.example"), ("X", "")],
            [("Origin", "null"), ("X", "")],
            [("Sec-Fetch-Site", "cross-site"), ("X", "")],
            [("Sec-Fetch-Site", "same-site"), ("X", "")],
        ] {
            let form = format!("{form}&token={}", token(&sandbox));
            let reply = send(&sandbox, "POST", path, &headers, form.as_bytes());
            assert_eq!(reply.status, 403, "{path} {headers:?}");
        }
        // A GET changes nothing.
        let looked = get(&sandbox, &format!("{path}?{form}"));
        assert!(
            [200, 405].contains(&looked.status),
            "{path}: {}",
            looked.status
        );
    }
    for path in ["/", &mail, "/_inbox/live", "/_inbox/calls"] {
        let headers = [("Host", "rebound.example")];
        let reply = support::send_with_hosts(&sandbox, "GET", path, &headers, b"");
        assert_eq!(reply.status, 403, "{path}");
    }
    assert_eq!(sandbox.mails().len(), 1);
    assert!(sandbox.faults().list().is_empty());
    assert!(
        sandbox
            .events()
            .iter()
            .all(|event| event.kind().webhook_name() != "spam")
    );
}

#[test]
fn search_finds_mails_by_words_in_any_letter_case() {
    let sandbox = Sandbox::start_blocking().unwrap();
    for number in 0..120 {
        let mail = json!({ "sender": "a@example.com", "to": [format!("b{number}@example.net")],
                           "subject": format!("Mail {number}"),
                           "html_body": format!("<p>Straße <b>number</b> {number}</p>") });
        assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    }
    let rows = |path: &str| get(&sandbox, path).body.matches("<li id=\"row-").count();
    assert_eq!(rows("/"), 100);
    assert_eq!(rows("/?before=20"), 20);
    assert_eq!(rows("/?q=b77%40EXAMPLE.net"), 1);
    assert_eq!(rows("/?q=STRA%C3%9Fe+119"), 1);
    assert_eq!(rows("/?q=number"), 100);
    assert_eq!(rows("/?q=nothing"), 0);
    assert_eq!(rows(&format!("/?q={}", sandbox.mails()[5].email_id())), 1);
    assert_eq!(rows("/_inbox/calls?q=email%2Fsend"), 100);
    assert_eq!(rows("/_inbox/calls?before=20"), 20);
    assert_eq!(rows("/_inbox/calls?q=B77%40example.net"), 1);
    assert_eq!(rows("/_inbox/calls?q=mail+77+200"), 1);
    let refused = json!({ "sender": "a@example.com", "to": ["refused@example.net"] });
    assert_eq!(call(&sandbox, "/v3/email/send", &refused).status, 400);
    assert_eq!(rows("/_inbox/calls?q=refused%40example.net+400"), 1);

    for text in ["Your code is 271828", "Straße"] {
        let sms = json!({ "destination": ["+64211234567", "+64217654321"], "content": text });
        assert_eq!(call(&sandbox, "/v3/sms/send", &sms).status, 200);
    }
    assert_eq!(rows("/_inbox/sms"), 4);
    assert_eq!(rows("/_inbox/sms?q=STRA%C3%9Fe"), 2);
    assert_eq!(rows("/_inbox/sms?q=271828+7654321"), 1);
    assert_eq!(rows("/_inbox/sms?q=nothing"), 0);
    assert_eq!(rows("/_inbox/calls?q=271828"), 1);
}

#[test]
fn search_can_be_restricted_to_subject_sender_recipients_or_attachments() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mut first = json!({ "sender": "shop@example.com", "to": ["jane@example.net"],
                            "cc": ["carl@example.net"], "subject": "First order",
                            "text_body": "second shop" });
    assert_eq!(call(&sandbox, "/v3/email/send", &first).status, 200);
    first["sender"] = "news@example.com".into();
    first["to"] = json!(["shop@example.net"]);
    first["cc"] = json!([]);
    first["subject"] = "Second".into();
    first["attachments"] = json!([{ "filename": "a.txt", "fileblob": "aGk=" }]);
    assert_eq!(call(&sandbox, "/v3/email/send", &first).status, 200);
    for (search, found) in [
        ("second", &["First order", "Second"][..]),
        ("subject:second", &["Second"]),
        ("-subject:second", &["First order"]),
        ("from:shop", &["First order"]),
        ("to:shop", &["Second"]),
        ("to:carl", &["First order"]),
        ("has:attachment", &["Second"]),
        ("-has:attachment", &["First order"]),
        ("%22second+shop%22", &["First order", "Second"]),
        ("%22shop+second%22", &[]),
        ("shop+-jane", &["Second"]),
    ] {
        let page = get(&sandbox, &format!("/?q={search}")).body;
        let shown: Vec<_> = ["First order", "Second"]
            .into_iter()
            .filter(|subject| page.contains(&format!("class=\"subject\">{subject}<")))
            .collect();
        assert_eq!(shown, found, "{search}");
    }
}

#[test]
fn row_of_a_long_mail_is_truncated() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let name = "é".repeat(5_000);
    let to: Vec<_> = (0..100)
        .map(|number| format!("{name} <b{number}@example.net>"))
        .collect();
    let mail = json!({ "sender": format!("{name} <a@example.com>"), "to": to, "subject": name,
                       "text_body": "x" });
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    let few = json!({ "sender": "a@example.com", "to": ["b@example.net", "c@example.net"],
                      "text_body": "x" });
    assert_eq!(call(&sandbox, "/v3/email/send", &few).status, 200);
    let page = get(&sandbox, "/").body;
    assert!(page.len() < 16 * 1024, "{} bytes", page.len());
    assert!(page.contains("… and 99 more"), "{page}");
    assert!(page.contains(">b@example.net, c@example.net<"), "{page}");
}

#[test]
fn searching_a_full_inbox_drops_no_mail() {
    let sandbox = Sandbox::builder()
        .keep_bytes(2 * 1024 * 1024)
        .start_blocking()
        .unwrap();
    // No events happen during the test.
    sandbox.freeze();
    let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"],
                       "text_body": "word ".repeat(400) });
    while sandbox.dropped().mails == 0 {
        assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    }
    let kept = sandbox.mails().len();
    // The mails exceed the search cache.
    assert!(kept * 2_000 > 2 * 1024 * 1024 / 16);
    for path in ["/?q=word", "/?q=word+nothing", "/"] {
        assert_eq!(get(&sandbox, path).status, 200);
    }
    let page = get(&sandbox, "/?q=word&before=100000").body;
    assert_eq!(page.matches("<li id=\"row-").count(), kept.min(500));
    assert_eq!(sandbox.mails().len(), kept);
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    assert!(sandbox.mails().len() >= kept - 1);
}

#[tokio::test]
async fn open_page_does_not_keep_a_dropped_sandbox_alive() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let sandbox = Sandbox::start().await.unwrap();
    let address = sandbox.inbox_url();
    let address = address
        .trim_start_matches("http://")
        .trim_end_matches('/')
        .to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let request = format!("GET /_inbox/live HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("event: change") {
        assert!(stream.read_buf(&mut text).await.unwrap() > 0);
    }
    drop(sandbox);
    // The stream ends.
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while stream.read_buf(&mut text).await.is_ok_and(|read| read > 0) {}
    });
    assert!(ended.await.is_ok());
}

#[test]
fn measured_frame_has_the_pages_origin_only_with_the_token_and_runs_no_scripts() {
    let (sandbox, mail) = with_mail();
    let template = json!({ "id": "welcome", "template_name": "Welcome", "subject": "Hi",
                           "html_body": "<script>x</script>{{ name }}", "text_body": "Hi",
                           "template_variables": { "name": "Jane" } });
    assert_eq!(call(&sandbox, "/v3/template/add", &template).status, 200);
    let own = token(&sandbox);
    for (page, frame) in [
        (mail.clone(), format!("{mail}/html")),
        (
            "/_inbox/templates/0/welcome".to_owned(),
            "/_inbox/templates/0/welcome/html".to_owned(),
        ),
    ] {
        let measured = format!("data-measured=\"{frame}?measured=1&");
        assert!(get(&sandbox, &page).body.contains(&measured), "{page}");
        let copy = get(&sandbox, &format!("{frame}?measured=1&token={own}"));
        assert_eq!(copy.status, 200);
        let policy = "content-security-policy: sandbox allow-same-origin; default-src 'none'; \
                      img-src data:; style-src 'unsafe-inline'; font-src data:; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'self'";
        assert!(copy.head.contains(policy), "{}", copy.head);
        for query in ["", "?measured=1", "?measured=1&token=x"] {
            let other = get(&sandbox, &format!("{frame}{query}"));
            assert!(!other.head.contains("allow-same-origin"), "{}", other.head);
        }
    }
    // Both at once would let remote content run with the page's origin.
    let both = get(
        &sandbox,
        &format!("{mail}/html?remote=1&measured=1&token={own}"),
    );
    assert!(!both.head.contains("allow-same-origin"), "{}", both.head);
}

#[test]
fn pages_of_the_state_escape_content_and_hide_secrets() {
    let sandbox = Sandbox::start_blocking().unwrap();
    for (path, request) in [
        (
            "/v3/template/add",
            json!({ "id": "a/b ?é", "template_name": "<b>Name</b>", "subject": "<b>{{ x }}</b>",
                    "html_body": "<b>{{ x }}</b>", "text_body": "<b>", "tags": ["<b>"],
                    "template_variables": { "x": "<script>" } }),
        ),
        (
            "/v3/template/add",
            json!({ "id": "broken", "template_name": "Broken", "subject": "{{> none}}",
                    "html_body": "x", "text_body": "x" }),
        ),
        (
            "/v3/webhook/add",
            json!({ "url": "https://user:secret@example.com/hook", "events": ["open"],
                    "auth_header_type": "bearer", "auth_header_value": "secret" }),
        ),
        (
            "/v3/suppression/add",
            json!({ "email_address": "a@example.com", "block_description": "<b>why</b>" }),
        ),
    ] {
        let reply = call(&sandbox, path, &request);
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    }
    for (path, says) in [
        ("/_inbox/templates", "broken"),
        ("/_inbox/templates/0/a%2Fb%20%3F%C3%A9", "Rendered HTML"),
        ("/_inbox/templates/0/broken", "Not rendered: "),
        ("/_inbox/registered", "https://example.com/hook"),
        ("/_inbox/registered/1", "bearer"),
        ("/_inbox/suppressions", "a@example.com"),
        ("/_inbox/suppressions/0/0", "manual"),
        ("/_inbox/calls", "webhook_add"),
    ] {
        let page = get(&sandbox, path);
        assert_eq!(page.status, 200, "{path}");
        assert!(page.body.contains(says), "{path}: {}", page.body);
        // Brands are bold in the page's head.
        let content = page.body.split("</header>").nth(1).unwrap_or_default();
        for hidden in ["<b>Name", "<b>why", "<b>{{", "<script>", "secret"] {
            assert!(!content.contains(hidden), "{path} has {hidden}: {content}");
        }
    }
    let frame = get(&sandbox, "/_inbox/templates/0/a%2Fb%20%3F%C3%A9/html");
    assert!(
        frame.body.ends_with("<b>&lt;script&gt;</b>"),
        "{}",
        frame.body
    );
}

#[test]
fn lists_of_the_state_are_paged_and_searched() {
    let sandbox = Sandbox::start_blocking().unwrap();
    for number in 0..650 {
        let entry = json!({ "email_address": format!("kim{number}@example.com") });
        assert_eq!(call(&sandbox, "/v3/suppression/add", &entry).status, 200);
    }
    let rows = |path: &str| {
        let page = get(&sandbox, path).body;
        page.matches("<li id=\"row-").count()
    };
    assert_eq!(rows("/_inbox/suppressions"), 100);
    let page = get(&sandbox, "/_inbox/suppressions").body;
    assert!(page.contains("/_inbox/suppressions?skip=100"), "{page}");
    assert_eq!(rows("/_inbox/suppressions?skip=100"), 500);
    assert_eq!(rows("/_inbox/suppressions?skip=600"), 50);
    assert_eq!(rows("/_inbox/suppressions?q=KIM64"), 11);
    assert_eq!(rows("/_inbox/suppressions?q=kim+nobody"), 0);
    // The newest is the first.
    let first = page.find("kim649@").unwrap();
    assert!(first < page.find("kim648@").unwrap());
}

#[test]
fn news_lists_the_mails_after_the_given_number() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let news = |query: &str| -> Value {
        let reply = get(&sandbox, &format!("/_inbox/news{query}"));
        assert_eq!(reply.status, 200);
        serde_json::from_str(&reply.body).unwrap()
    };
    assert_eq!(news(""), json!({ "total": 0, "mails": [], "more": 0 }));
    for number in 0..5 {
        let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"],
                           "subject": format!("Mail {number}"), "text_body": "x" });
        assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    }
    assert_eq!(news("?after=5")["mails"], json!([]));
    assert_eq!(news("")["total"], 5);
    let last = news("?after=4");
    let href = format!("/_inbox/mails/{}", sandbox.mails()[4].email_id());
    let expected = json!([{ "href": href, "subject": "Mail 4", "from": "a@example.com",
                            "to": "b@example.net" }]);
    assert_eq!((&last["mails"], &last["more"]), (&expected, &json!(0)));
    // After a reset, numbers start again.
    for after in ["?after=0", "?after=99"] {
        let all = news(after);
        assert_eq!(all["more"], 2, "{all}");
        let subjects: Vec<_> = (0..3)
            .map(|place| &all["mails"][place]["subject"])
            .collect();
        assert_eq!(subjects, ["Mail 2", "Mail 3", "Mail 4"]);
    }
}

#[test]
fn posting_a_delivery_again_leads_back_to_the_page_of_the_button() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let hook = json!({ "url": "https://example.com/hook", "events": ["processed"] });
    assert_eq!(call(&sandbox, "/v3/webhook/add", &hook).status, 200);
    let mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "text_body": "x" });
    assert_eq!(call(&sandbox, "/v3/email/send", &mail).status, 200);
    let id = sandbox.mails()[0].email_id().to_owned();
    for (form, query, target) in [
        (
            format!("mail={id}"),
            "?q=x&part=text",
            format!("/_inbox/mails/{id}?q=x&part=text"),
        ),
        (String::new(), "?q=x", "/_inbox/webhooks/0?q=x".to_owned()),
        (
            "mail=//example.com".to_owned(),
            "",
            "/_inbox/webhooks/0".to_owned(),
        ),
    ] {
        let path = format!("/_inbox/webhooks/0/again{query}");
        let done = post(&sandbox, &path, &form);
        assert_eq!(done.status, 303, "{}", done.body);
        let location = format!("location: {}\r\n", target.to_lowercase());
        assert!(done.head.contains(&location), "{}", done.head);
    }
    assert_eq!(sandbox.webhook_deliveries()[0].attempts().len(), 4);
}

#[test]
fn search_of_deliveries_looks_through_all_of_them() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let hook = json!({ "url": "https://example.com/hook", "events": ["processed"] });
    assert_eq!(call(&sandbox, "/v3/webhook/add", &hook).status, 200);
    let mails: Vec<_> = (0..1_250)
        .map(|number| {
            json!({ "sender": "a@example.com", "to": [format!("b{number}@example.net")],
                    "subject": "x", "text_body": "x" })
        })
        .collect();
    for mails in mails.chunks(100) {
        let batch = json!({ "emails": mails });
        let reply = call(&sandbox, "/v3/email/batch", &batch);
        assert_eq!(reply.status, 200, "{}", reply.body);
    }
    let rows = |query: &str| {
        let page = get(&sandbox, &format!("/_inbox/webhooks{query}")).body;
        page.matches("<li id=\"row-").count()
    };
    assert_eq!(rows(""), 100);
    assert_eq!(rows("?before=1150"), 500);
    assert_eq!(rows("?before=150"), 150);
    assert_eq!(rows("?q=b7%40EXAMPLE.net"), 1);
    assert_eq!(rows("?q=given+up+TLS+processed+example.com%2Fhook"), 100);
    assert_eq!(rows("?q=TLS&before=1000"), 500);
    assert_eq!(rows("?q=accepted"), 0);
}
