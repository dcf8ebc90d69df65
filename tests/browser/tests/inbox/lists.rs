//! The lists of calls, deliveries, webhooks, templates and suppressions.

use serde_json::{Value, json};
use smtp2go_sdk::types::{DomainAddRequest, TemplateAddRequest, WebhookAddRequest};

use crate::support::{Browser, Receiver, email, run, sandbox};

/// A script that returns the texts of the list's rows, without line breaks.
const ROWS: &str = "return [...document.querySelectorAll('#rows > li')].map(row => row.innerText.replace(/\\s+/g, ' '))";

async fn rows(browser: &Browser) -> Vec<String> {
    let rows = browser.run(ROWS).await;
    serde_json::from_value(rows).unwrap()
}

#[test]
fn row_of_a_call_shows_its_operation_status_and_main_values() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let mail = email("Your report").to("c@example.net");
        client.send(mail).await.unwrap();
        let batch = [email("One"), email("Two")];
        let sent = client.send_batch(batch.to_vec()).await.unwrap();
        assert_eq!(sent.into_iter().count(), 2);
        client
            .domain()
            .add(DomainAddRequest::new("mail.example.com"))
            .await
            .unwrap();
        let template = TemplateAddRequest::new("Welcome", "welcome", "Hi", "Hi", "Hi");
        client.template().add(template).await.unwrap();
        let hook = WebhookAddRequest::new("http://127.0.0.1:9/hook");
        client.webhook().add(hook).await.unwrap();
        sandbox
            .faults()
            .add(smtp2go_sandbox::Fault::status(400).nth(1));
        client.send(email("Refused")).await.unwrap_err();
        let browser = Browser::open().await;
        browser
            .goto(&format!("{}_inbox/calls", sandbox.inbox_url()))
            .await;
        let rows = rows(&browser).await;
        assert_eq!(rows.len(), 6);
        for (row, texts) in rows.iter().rev().zip([
            &[
                "jane@example.net",
                "c@example.net",
                "Your report",
                "email_send",
                "200",
            ][..],
            &["jane@example.net", "One and 1 more", "email_batch", "200"],
            &["mail.example.com", "domain_add", "200"],
            &["welcome", "template_add", "200"],
            &["http://127.0.0.1:9/hook", "webhook_add", "200"],
            &["jane@example.net", "Refused", "email_send", "400"],
        ]) {
            for text in texts {
                assert!(row.contains(text), "{text} is not in {row}");
            }
        }
        browser.close().await;
    });
}

#[test]
fn deliveries_are_found_by_url_event_recipient_and_state() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        // Given up at once: the sandbox has no TLS.
        let other = WebhookAddRequest::new("https://user:secret@hooks.example.com/other")
            .events(["delivered"]);
        client.webhook().add(other).await.unwrap();
        client.send(email("Hi")).await.unwrap();
        client
            .send(email("Hi").to("bounce@example.net"))
            .await
            .unwrap();
        receiver.wait_for("delivered", "jane@example.net").await;
        receiver.wait_for("bounce", "bounce@example.net").await;
        let browser = Browser::open().await;
        let list = format!("{}_inbox/webhooks", sandbox.inbox_url());
        for (search, all_contain) in [
            ("hooks.example.com", "hooks.example.com/other"),
            ("OTHER delivered", "hooks.example.com/other"),
            ("bounce@example.net", "bounce@example.net"),
            ("given up", "given up"),
            ("accepted: 200", "accepted: 200"),
        ] {
            browser.goto(&list).await;
            browser
                .until("return document.querySelector('#link').dataset.state === 'live'")
                .await;
            let all = rows(&browser).await.len();
            browser.press("/").await;
            browser.press(search).await;
            let found = format!(
                "const rows = [...document.querySelectorAll('#rows > li')]; \
                 return rows.length > 0 && rows.length < {all} && rows.every(row => row.innerText.includes('{all_contain}'))"
            );
            browser.until(&found).await;
        }
        let text = browser.run("return document.body.innerHTML").await;
        assert!(!text.as_str().unwrap().contains("secret"));
        browser.goto(&format!("{list}?q=nothing+like+it")).await;
        browser
            .until("return document.body.innerText.includes('Nothing found')")
            .await;
        browser.close().await;
    });
}

#[test]
fn delivery_that_was_given_up_is_marked_on_every_page() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let hook = WebhookAddRequest::new("https://hooks.example.com/").events(["delivered"]);
        client.webhook().add(hook).await.unwrap();
        let sent = client.send(email("Hi")).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        let browser = Browser::open().await;
        for page in [
            "_inbox/webhooks",
            "_inbox/webhooks/0",
            &format!("_inbox/mails/{id}"),
        ] {
            browser
                .goto(&format!("{}{page}", sandbox.inbox_url()))
                .await;
            browser
                .until(
                    "return [...document.querySelectorAll('.badge.bad')] \
                       .some(badge => badge.innerText.includes('given up'))",
                )
                .await;
        }
        browser.close().await;
    });
}

#[test]
fn webhooks_templates_and_suppressions_have_pages_in_the_navigation() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        let template = TemplateAddRequest::new(
            "Welcome mail",
            "welcome",
            "Welcome {{ name }}",
            "<h1>Hello {{ name }}</h1><script>document.title = 'ran'</script>",
            "Hello {{ name }}",
        )
        .template_variables(json!({ "name": "Jane" }).as_object().unwrap().clone());
        client.template().add(template).await.unwrap();
        client
            .send(email("Bounced").to("bounce@example.net"))
            .await
            .unwrap();
        receiver.wait_for("bounce", "bounce@example.net").await;
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        for (tab, row, texts) in [
            (
                "Webhooks",
                "/hook",
                &["bounce", "json", "Newest deliveries", "accepted: 200"][..],
            ),
            (
                "Templates",
                "Welcome mail",
                &[
                    "Welcome {{ name }}",
                    "Welcome Jane",
                    "Hello Jane",
                    "<h1>Hello {{ name }}</h1>",
                ],
            ),
            ("Suppressions", "bounce@example.net", &["bounce", "Bounced"]),
        ] {
            browser.click(&format!("#tab-{tab}")).await;
            let listed = format!(
                "return document.querySelector('#tab-{tab}').getAttribute('aria-current') === 'page' \
                   && document.querySelectorAll('#rows > li').length === 1 \
                   && document.querySelector('#rows').innerText.includes('{row}')"
            );
            browser.until(&listed).await;
            browser.click("#rows a").await;
            for text in texts {
                let text = Value::from(*text);
                browser
                    .until(&format!(
                        "return document.querySelector('#detail').innerText.includes({text})"
                    ))
                    .await;
            }
            if tab == "Templates" {
                let frame = browser
                    .window
                    .find(fantoccini::Locator::Css("iframe"))
                    .await
                    .unwrap();
                frame.enter_frame().await.unwrap();
                browser
                    .until("return document.body.innerText === 'Hello Jane'")
                    .await;
                assert_eq!(browser.run("return document.title").await, "");
                browser.window.enter_parent_frame().await.unwrap();
            }
            // Its address shows the same without the script's help.
            browser
                .until("return location.pathname.split('/').length > 3")
                .await;
            let address = browser.window.current_url().await.unwrap();
            browser.goto(address.as_str()).await;
            browser
                .until("return document.querySelector('#rows a').hasAttribute('aria-current')")
                .await;
            browser
                .goto(&format!(
                    "{}_inbox/{}?q=nothing-like-it",
                    sandbox.inbox_url(),
                    match tab {
                        "Webhooks" => "registered",
                        "Templates" => "templates",
                        _ => "suppressions",
                    }
                ))
                .await;
            browser
                .until("return document.body.innerText.includes('Nothing found')")
                .await;
        }
        browser.close().await;
    });
}
