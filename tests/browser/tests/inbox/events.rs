//! The buttons on a mail.

use serde_json::Value;

use crate::support::{Browser, Receiver, run, sandbox};
use smtp2go_sdk::Email;

#[test]
fn each_button_posts_an_event_that_the_page_shows() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        let browser = Browser::open().await;
        for (button, event, bounce) in [
            ("open", "open", None),
            ("click", "click", None),
            ("soft-bounce", "bounce", Some("soft")),
            ("hard-bounce", "bounce", Some("hard")),
            ("spam", "spam", None),
            ("unsubscribe", "unsubscribe", None),
        ] {
            let recipient = format!("{button}-button@example.net");
            let mail = Email::new("a@example.com", button)
                .to(recipient.as_str())
                .html("<a href='https://example.org/'>a link</a>");
            let sent = client.send(mail).await.unwrap();
            let id = sent.email_id.as_deref().unwrap().to_owned();
            browser
                .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
                .await;
            browser.click(&format!("button[value={button}]")).await;
            let body = receiver.wait_for(event, &recipient).await;
            assert_eq!(body["email_id"], id.as_str());
            let said = bounce.map_or(Value::Null, Value::from);
            assert_eq!(body["bounce"], said, "{button}");
            // The last event on the page is this one, and it was accepted.
            browser
                .until(&format!(
                    "const last = [...document.querySelectorAll('.timeline > li')].at(-1); \
                     return last !== undefined && last.innerText.includes('{recipient}') \
                       && last.innerText.includes('accepted: 200') \
                       && !last.querySelector('.badge').innerText.includes('delivered')"
                ))
                .await;
        }
        // An impossible event is an error on the page, and nothing is posted.
        browser.click("button[value=hard-bounce]").await;
        browser.until("return document.querySelector('.timeline > li:last-child').innerText.includes('bounce')").await;
        browser.click("button[value=hard-bounce]").await;
        browser
            .until("return document.querySelector('.error[role=alert]') !== null")
            .await;

        browser.click("#tab-Deliveries").await;
        browser
            .until("return document.querySelectorAll('#rows > li').length > 6")
            .await;
        browser.click("#rows a").await;
        browser
            .until("return document.querySelector('#attempts').innerText.includes('200')")
            .await;
        browser.click("#detail form button").await;
        browser
            .until("return document.querySelectorAll('#attempts tbody tr').length === 2")
            .await;
        browser.close().await;
    });
}
