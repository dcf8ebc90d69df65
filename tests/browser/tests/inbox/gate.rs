//! Foreign pages, DNS rebinding and links in mails can't control the sandbox.

use fantoccini::Locator;
use serde_json::{Value, json};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::WebhookAddRequest;
use smtp2go_sdk::{Client, Email};

use crate::support::{Browser, email, eventually, run, sandbox};

/// Returns the URL of a sandbox's inbox with another host name.
fn under(name: &str, sandbox: &Sandbox) -> String {
    sandbox.inbox_url().replace("127.0.0.1", name)
}

/// Returns the replies that a page can read, or the errors.
async fn fetched(browser: &Browser, base: &str, requests: Value) -> Vec<Value> {
    let script = format!(
        "window.fetched = undefined;
        const requests = {requests};
        Promise.all(requests.map(([path, options]) => fetch('{base}' + path, options).then(
            async (reply) => [reply.status, await reply.text()],
            (error) => [0, String(error)],
        ))).then((all) => {{ window.fetched = all; }})"
    );
    browser.run(&script).await;
    browser.until("return window.fetched !== undefined").await;
    let all = browser.run("return window.fetched").await;
    all.as_array().unwrap().clone()
}

#[test]
fn page_on_a_rebound_name_reads_and_changes_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        client.send(email("Private")).await.unwrap();
        let hook = WebhookAddRequest::new("http://127.0.0.1:9/hook")
            .auth_header_type("bearer")
            .auth_header_value("EXAMPLE-s3cret");
        client.webhook().add(hook).await.unwrap();
        let browser = Browser::open_with_own_name("evil.example.com").await;
        browser.goto(&under("evil.example.com", &sandbox)).await;
        browser
            .until("return document.body.innerText.includes('--allowed-host')")
            .await;

        // Each request as the browser sends it, and with all that a page can change.
        let disguise = json!({ "User-Agent": "curl/8", "Accept-Language": "*" });
        let key = json!({ "X-Smtp2go-Api-Key": sandbox.key() });
        let mut requests = Vec::new();
        for path in [
            "",
            "_sandbox",
            "_sandbox/mails",
            "_sandbox/calls/1",
            "_inbox/calls",
        ] {
            requests.push(json!([path, {}]));
            requests.push(json!([path, { "headers": disguise, "referrerPolicy": "no-referrer" }]));
            requests.push(json!([path, { "cache": "reload", "credentials": "omit" }]));
        }
        for path in ["v3/activity/search", "v3/webhook/view", "v3/email/send"] {
            let post = json!({ "method": "POST", "headers": key, "body": "{}" });
            requests.push(json!([path, post]));
            let post = json!({ "method": "POST", "headers": key, "body": "{}",
                               "referrerPolicy": "no-referrer" });
            requests.push(json!([path, post]));
        }
        for path in ["_sandbox/reset", "_sandbox/clock/freeze", "_inbox/reset"] {
            requests.push(json!([path, { "method": "POST" }]));
        }
        requests.push(json!(["_sandbox/faults", { "method": "DELETE" }]));
        let all = fetched(&browser, "/", Value::from(requests)).await;
        for reply in &all {
            assert_eq!(reply[0], 403, "{reply}");
            let text = reply[1].as_str().unwrap();
            assert!(
                !text.contains("jane@") && !text.contains("s3cret"),
                "{text}"
            );
        }
        assert_eq!(sandbox.mails().len(), 1);
        // Requests for the API are in the log.
        let calls = sandbox.calls();
        let refused = calls.iter().filter(|call| call.status() == 403);
        assert_eq!(refused.count(), 6);
        browser.close().await;
    });
}

#[test]
fn page_of_another_site_changes_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        client.send(email("Private")).await.unwrap();
        let other = Sandbox::start().await.unwrap();
        let browser = Browser::open_with_own_name("evil.example.com").await;
        // Any page; its content does not matter.
        browser.goto(&under("evil.example.com", &other)).await;
        let mail = json!({ "api_key": sandbox.key(), "sender": "a@example.com",
                           "to": ["b@example.net"], "subject": "Planted", "text_body": "x" });
        let base = sandbox.inbox_url();
        let plain = json!({ "method": "POST", "mode": "no-cors", "body": mail.to_string() });
        let cors = json!({ "method": "POST", "body": mail.to_string() });
        let requests = json!([
            ["v3/email/send", plain],
            ["v3/email/send", cors],
            ["_sandbox/reset", { "method": "POST", "mode": "no-cors" }],
            ["_sandbox/reset", { "method": "POST" }],
            ["_sandbox/mails", {}],
            ["_sandbox/mails", { "mode": "no-cors" }],
            ["_inbox/reset", { "method": "POST", "mode": "no-cors" }],
        ]);
        for reply in fetched(&browser, &base, requests).await {
            // No reply, or none that the page can read.
            assert_eq!(reply[0], 0, "{reply}");
        }
        let script = format!(
            "navigator.sendBeacon('{base}v3/email/send', '{mail}');
            window.heard = 0;
            new WebSocket('{base}_inbox/live'.replace('http', 'ws')).onopen = () => {{ heard += 1; }};
            new EventSource('{base}_inbox/live').onopen = () => {{ heard += 1; }};
            for (const [method, action, type] of [
                ['POST', '_sandbox/reset', 'text/plain'],
                ['POST', '_inbox/reset', 'application/x-www-form-urlencoded'],
                ['POST', 'v3/email/send', 'multipart/form-data'],
                ['GET', '_sandbox/mails', 'text/plain'],
            ]) {{
                const frame = document.createElement('iframe');
                frame.name = 'frame-' + document.forms.length;
                document.body.append(frame);
                const form = document.body.appendChild(document.createElement('form'));
                Object.assign(form, {{ method, action: '{base}' + action, enctype: type, target: frame.name }});
                frame.onload = () => {{ heard += 10; }};
                form.submit();
            }}"
        );
        browser.run(&script).await;
        let refused = eventually(|| {
            let calls = sandbox.calls();
            let refused = calls.iter().filter(|call| call.status() == 403).count();
            // Two fetches, the beacon and the form.
            (refused >= 4).then_some(())
        });
        refused.await.expect("the requests arrive");
        // All forms have a reply, in their frames.
        browser.until("return heard >= 40").await;
        assert_eq!(
            browser.run("return heard % 10").await,
            0,
            "a stream was opened"
        );
        assert_eq!(sandbox.mails().len(), 1);
        assert!(
            sandbox
                .calls()
                .iter()
                .filter(|call| call.accepted())
                .count()
                == 1
        );
        browser.close().await;
    });
}

/// Starts a sandbox with an allowed host name for which the browser does not send the origin.
async fn named(name: &str) -> (Sandbox, Client) {
    let sandbox = Sandbox::builder().allowed_host(name).start().await.unwrap();
    let client = Client::builder(sandbox.key())
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

#[test]
fn link_in_a_mail_does_not_turn_remote_content_on() {
    run(async {
        let (sandbox, client) = named("sandbox.test").await;
        let browser = Browser::open_with_own_name("sandbox.test").await;
        let base = under("sandbox.test", &sandbox);
        let sent = client.send(email("The first")).await.unwrap();
        let first = sent.email_id.clone().unwrap();
        // Ids are counted, so a mail can guess its own.
        let own = first.replace("000001", "000002");
        let links: String = [
            format!("{base}_inbox/mails/{own}/html?remote=1"),
            format!("{base}_inbox/mails/{own}?part=html&remote=1"),
            format!("/_inbox/mails/{own}?part=html&remote=1&token="),
            "?remote=1".to_owned(),
            "html?remote=1".to_owned(),
        ]
        .iter()
        .flat_map(|link| {
            ["_blank", "_self", "_top"]
                .map(|target| format!("<a href='{link}' target={target}>x</a> "))
        })
        .collect();
        let html = format!("{links}<img src=http://tracker.example/pixel>");
        let mail = Email::new("a@example.com", "Hi")
            .to("b@example.net")
            .html(html);
        let sent = client.send(mail).await.unwrap();
        assert_eq!(sent.email_id.as_deref(), Some(own.as_str()));
        let page = format!("{base}_inbox/mails/{own}");

        for number in 0..15 {
            browser.goto(&page).await;
            let before = browser.window.windows().await.unwrap().len();
            let frame = browser.window.find(Locator::Css("iframe")).await.unwrap();
            frame.enter_frame().await.unwrap();
            let links = browser.window.find_all(Locator::Css("a")).await.unwrap();
            assert_eq!(links.len(), 15);
            let _ = links[number].click().await;
            browser.window.enter_parent_frame().await.unwrap();
            let windows = browser.window.windows().await.unwrap();
            if windows.len() > before {
                let own = browser.window.window().await.unwrap();
                for window in windows.into_iter().filter(|window| *window != own) {
                    browser.window.switch_to_window(window).await.unwrap();
                    browser
                        .until("return document.readyState === 'complete' && location.href !== 'about:blank'")
                        .await;
                    browser.window.close_window().await.unwrap();
                }
                browser.window.switch_to_window(own).await.unwrap();
            }
            let seen = browser.outside.seen();
            assert!(seen.is_empty(), "link {number} asked for {seen:?}");
        }

        // The page's own button does turn it on.
        browser.goto(&page).await;
        let button = Locator::LinkText("Load remote content");
        let button = browser.window.find(button).await.unwrap();
        button.click().await.unwrap();
        let seen = eventually(|| {
            let seen = browser.outside.seen();
            (!seen.is_empty()).then_some(seen)
        });
        let seen = seen.await.unwrap();
        assert!(
            seen.len() == 1 && seen[0].starts_with("GET /pixel "),
            "{seen:?}"
        );

        // The page's forms work too, under this name.
        browser.goto(&format!("{base}_inbox/faults")).await;
        browser.click("form.grid button.primary").await;
        browser
            .until("return document.querySelector('#active').innerText.includes('status=503')")
            .await;
        browser.goto(&format!("{base}_inbox/reset")).await;
        browser.click("button.danger").await;
        browser
            .until("return document.body.innerText.includes('No mail yet')")
            .await;
        assert!(sandbox.mails().is_empty());
        browser.close().await;
    });
}
