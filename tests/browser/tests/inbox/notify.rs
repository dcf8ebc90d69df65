//! Notifications of new mail.

use serde_json::{Value, json};

use crate::support::{Browser, email, run, sandbox};

/// Replaces the browser's notifications by a list, because a headless browser shows none.
const STUB: &str = "window.notices = []; \
    window.Notification = class { \
      static permission = sessionStorage.getItem('permission') ?? 'default'; \
      static asked = 0; \
      static async requestPermission() { \
        this.asked += 1; \
        sessionStorage.setItem('permission', 'granted'); \
        return (this.permission = 'granted'); \
      } \
      constructor(title, options) { Object.assign(this, options, { title }); notices.push(this); } \
      addEventListener(kind, listener) { this[kind] = listener; } \
      close() {} \
    };";

async fn with_script(script: &str) -> Browser {
    let browser = Browser::open().await;
    browser
        .command(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": script }),
        )
        .await;
    browser
}

#[test]
fn new_mail_shows_a_notification_only_after_the_user_allows_it() {
    run(async {
        let (sandbox, client) = sandbox().await;
        client.send(email("Before")).await.unwrap();
        let browser = with_script(STUB).await;
        browser.goto(&sandbox.inbox_url()).await;
        browser
            .until("return document.querySelectorAll('#rows > li').length === 1")
            .await;
        let count = "return document.querySelectorAll('#rows > li').length";
        client.send(email("Not asked")).await.unwrap();
        browser.until(&format!("{count} === 2")).await;
        assert_eq!(
            browser
                .run("return [Notification.asked, notices.length]")
                .await,
            json!([0, 0])
        );

        browser.click("#notify").await;
        browser
            .until(
                "return document.querySelector('#notify').getAttribute('aria-pressed') === 'true'",
            )
            .await;
        assert_eq!(browser.run("return Notification.asked").await, 1);
        browser.until("return known === 2").await;
        // In the background, the list waits until it is seen again.
        browser
            .run("Object.defineProperty(document, 'hidden', { get: () => window.away, configurable: true }); window.away = true")
            .await;
        client.send(email("Your report")).await.unwrap();
        browser.until("return notices.length === 1").await;
        let notice = browser
            .run("return [notices[0].title, notices[0].body]")
            .await;
        assert_eq!(
            notice,
            json!([
                "Acme <noreply@example.com>: Your report",
                "to Jane <jane@example.net>"
            ])
        );
        browser.run("window.away = false; notices[0].click()").await;
        browser
            .until("return document.querySelector('#title')?.innerText === 'Your report'")
            .await;

        // Many at once are counted.
        browser.run("notices.length = 0").await;
        let many: Vec<_> = (0..20)
            .map(|number| email(&format!("Mail {number}")))
            .collect();
        let sent = client.send_batch(many).await.unwrap();
        assert_eq!(sent.into_iter().count(), 20);
        browser
            .until("return notices.some(one => one.title === 'Mail 19') || notices.some(one => one.title.endsWith('Mail 19'))")
            .await;
        browser
            .until("return notices.at(-1).title.endsWith('more new mails')")
            .await;
        let shown = browser.run("return notices.length").await;
        assert!(shown.as_u64().unwrap() < 20, "{shown}");

        // The choice survives a reload, and can be taken back.
        browser.goto(&sandbox.inbox_url()).await;
        browser
            .until(
                "return document.querySelector('#notify').getAttribute('aria-pressed') === 'true'",
            )
            .await;
        browser.until("return known === 23").await;
        browser.click("#notify").await;
        browser
            .until(
                "return document.querySelector('#notify').getAttribute('aria-pressed') === 'false'",
            )
            .await;
        client.send(email("Not wanted")).await.unwrap();
        browser
            .until("return document.querySelector('#rows .subject').innerText === 'Not wanted'")
            .await;
        assert_eq!(browser.run("return notices").await, json!([]));
        browser.close().await;
    });
}

#[test]
fn button_is_absent_where_notifications_are_not_available() {
    run(async {
        let (sandbox, _client) = sandbox().await;
        for script in [
            "delete window.Notification",
            "Object.defineProperty(Notification, 'permission', { value: 'denied' })",
        ] {
            let browser = with_script(script).await;
            browser.goto(&sandbox.inbox_url()).await;
            browser
                .until("return document.querySelector('#link').dataset.state === 'live'")
                .await;
            let shown = "return document.querySelector('#notify').checkVisibility()";
            assert_eq!(browser.run(shown).await, Value::Bool(false), "{script}");
            browser.close().await;
        }
    });
}
