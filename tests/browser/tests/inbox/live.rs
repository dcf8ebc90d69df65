//! The inbox while an application sends.

use std::time::Duration;

use fantoccini::Locator;
use fantoccini::key::Key;
use smtp2go_sdk::Attachment;

use crate::support::{Browser, Look, email, eventually, run, sandbox};

#[test]
fn new_mail_appears_without_a_reload() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        browser
            .until("return document.body.innerText.includes('No mail yet')")
            .await;
        browser
            .until("return document.querySelector('#link').dataset.state === 'live'")
            .await;
        browser.run("window.notReloaded = true").await;

        let mail = email("Your report")
            .html("<h1>Hello <b>Jane</b></h1>")
            .attach(Attachment::from_bytes("report.csv", "month,mails\n"));
        client.send(mail).await.unwrap();
        browser
            .until("return document.querySelectorAll('#rows > li').length === 1")
            .await;
        client.send(email("The second")).await.unwrap();
        browser
            .until("return document.querySelectorAll('#rows > li').length === 2")
            .await;
        let first = "return document.querySelector('#rows > li .subject').textContent";
        assert_eq!(browser.run(first).await, "The second");
        browser
            .until("return document.querySelector('#tab-Mail .count').textContent.trim() === '2'")
            .await;

        // It is opened by keyboard, and a screen reader reads its title next.
        browser
            .run("document.querySelector('#rows a').focus()")
            .await;
        let window = &browser.window;
        let row = window.active_element().await.unwrap();
        row.send_keys(&Key::Down.to_string()).await.unwrap();
        let row = window.active_element().await.unwrap();
        row.send_keys(&Key::Enter.to_string()).await.unwrap();
        browser
            .until("return document.activeElement.id === 'title'")
            .await;
        browser
            .until("return document.activeElement.innerText === 'Your report'")
            .await;
        browser
            .until("return document.querySelector('#detail').innerText.includes('report.csv')")
            .await;
        browser
            .until("return document.querySelector('#events').innerText.includes('delivered')")
            .await;
        let frame = window.find(Locator::Css("iframe")).await.unwrap();
        frame.enter_frame().await.unwrap();
        let text = window
            .find(Locator::Css("h1"))
            .await
            .unwrap()
            .text()
            .await
            .unwrap();
        assert_eq!(text, "Hello Jane");
        window.enter_parent_frame().await.unwrap();

        // New mails don't change the open mail.
        browser
            .run("window.frame = document.querySelector('iframe')")
            .await;
        client.send(email("The third")).await.unwrap();
        browser
            .until("return document.querySelectorAll('#rows > li').length === 3")
            .await;
        assert_eq!(browser.run("return window.frame.isConnected").await, true);

        for (part, says) in [
            ("Text", "Hello Jane"),
            ("Headers", "noreply@example.com"),
            ("Source", "MIME-Version"),
            ("Request", "\"sender\""),
        ] {
            let link = window.find(Locator::LinkText(part)).await.unwrap();
            link.click().await.unwrap();
            let says =
                format!("return document.querySelector('.part').innerText.includes('{says}')");
            browser.until(&says).await;
        }
        assert_eq!(browser.run("return window.notReloaded").await, true);
        browser.window.back().await.unwrap();
        browser
            .until("return document.querySelector('.tabs [aria-current]').innerText === 'Source'")
            .await;

        // The page reports the end of the sandbox.
        drop(sandbox);
        browser
            .until("return !document.querySelector('#lost').hidden")
            .await;
        browser.close().await;
    });
}

#[test]
fn phone_shows_either_list_or_mail() {
    run(async {
        let (sandbox, client) = sandbox().await;
        client.send(email("Your report")).await.unwrap();
        let browser = Browser::open().await;
        browser
            .look(Look {
                dark: false,
                phone: true,
            })
            .await;
        browser.goto(&sandbox.inbox_url()).await;
        let wide = "return document.documentElement.scrollWidth <= innerWidth";
        assert_eq!(browser.run(wide).await, true);
        browser.click("#rows a").await;
        let hidden = "return getComputedStyle(document.querySelector('.list')).display === 'none'";
        browser.until(hidden).await;
        assert_eq!(browser.run(wide).await, true);
        browser.click(".back").await;
        browser.until(&hidden.replace("===", "!==")).await;
        for page in [
            "_inbox/calls",
            "_inbox/faults",
            "_inbox/webhooks",
            "_inbox/registered",
            "_inbox/templates",
            "_inbox/suppressions",
            "_inbox/sms",
            "_inbox/reset",
        ] {
            browser
                .goto(&format!("{}{page}", sandbox.inbox_url()))
                .await;
            assert_eq!(browser.run(wide).await, true, "{page}");
        }
        browser.close().await;
    });
}

#[test]
fn faults_page_sets_faults_and_reset_page_resets() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = Browser::open().await;
        browser
            .goto(&format!("{}_inbox/faults", sandbox.inbox_url()))
            .await;
        browser
            .run("document.querySelector('#effect').value = 'status=500:json'")
            .await;
        browser
            .run("document.querySelector('#operation').value = 'email_send'")
            .await;
        browser.click("form.grid button.primary").await;
        browser
            .until("return document.querySelector('#active').innerText.includes('email_send')")
            .await;
        client.send(email("Hi")).await.unwrap_err();
        let struck = "return document.querySelector('#active td').innerText !== '0'";
        browser.until(struck).await;
        browser.click("#active td button").await;
        browser
            .until("return document.querySelector('#active').innerText.includes('None')")
            .await;
        client.send(email("Hi")).await.unwrap();
        assert_eq!(sandbox.mails().len(), 1);

        let rule = browser.window.find(Locator::Css("#rule")).await.unwrap();
        rule.send_keys("email_send:nonsense").await.unwrap();
        rule.send_keys(&Key::Enter.to_string()).await.unwrap();
        browser
            .until("return document.querySelector('#rule-error') !== null")
            .await;

        // Calls show the reason of their failure.
        browser
            .goto(&format!("{}_inbox/calls?q=fault", sandbox.inbox_url()))
            .await;
        browser
            .goto(&format!("{}_inbox/calls/0", sandbox.inbox_url()))
            .await;
        browser
            .until("return document.querySelector('.warning').innerText.includes('status 500')")
            .await;

        browser
            .goto(&format!("{}_inbox/reset", sandbox.inbox_url()))
            .await;
        browser.click("button.danger").await;
        browser
            .until("return document.body.innerText.includes('No mail yet')")
            .await;
        assert!(sandbox.mails().is_empty());
        browser.close().await;
    });
}

#[test]
fn clock_is_set_from_the_page() {
    run(async {
        let (sandbox, _client) = sandbox().await;
        let browser = Browser::open().await;
        let page = format!("{}_inbox/faults", sandbox.inbox_url());
        browser.goto(&page).await;
        let before = sandbox.now();
        let field = browser.window.find(Locator::Css("#by")).await.unwrap();
        field.send_keys("3d").await.unwrap();
        browser.click("button[value=advance]").await;
        let days = Duration::from_secs(3 * 86_400);
        eventually(|| (sandbox.now() >= before + days).then_some(()))
            .await
            .expect("the clock advances");
        browser
            .until("return document.querySelector('#by')?.value === ''")
            .await;

        browser.click("button[value=freeze]").await;
        browser
            .until("return document.querySelector('#clock').innerText.includes('stands still')")
            .await;
        let frozen = sandbox.now();
        let field = browser.window.find(Locator::Css("#by")).await.unwrap();
        field.send_keys("soon").await.unwrap();
        field.send_keys(&Key::Enter.to_string()).await.unwrap();
        browser
            .until("return document.querySelector('#clock-error')?.innerText.startsWith('by: expected a duration such as 90s')")
            .await;
        assert_eq!(sandbox.now(), frozen);
        browser.click("button[value=resume]").await;
        browser
            .until("return document.querySelector('#clock').innerText.includes('runs')")
            .await;
        browser.close().await;
    });
}
