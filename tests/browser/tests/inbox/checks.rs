//! The checks of a mail, the widths of its preview, small images, and tags.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fantoccini::Locator;
use fantoccini::key::Key;
use smtp2go_sdk::Attachment;

use crate::support::{Browser, email, run, sandbox};

/// A PNG of one pixel.
pub(crate) fn png() -> Vec<u8> {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    STANDARD.decode(png).unwrap()
}

/// Sends a key to the element that has the focus.
async fn press(browser: &Browser, key: Key) {
    let element = browser.window.active_element().await.unwrap();
    element.send_keys(&key.to_string()).await.unwrap();
}

#[test]
fn checks_are_reached_by_keyboard_and_request_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let mail = email("Your report").html(
            "<p style='display:grid'>\n<a href='http://other.example/x'>shop.example</a>\
             <img src='https://images.example/a.webp'>",
        );
        let sent = client.send(mail).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        let browser = Browser::open().await;
        browser
            .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
            .await;
        // From the first tab to the last.
        browser
            .run("document.querySelector('.tabs a').focus()")
            .await;
        for _ in 0..5 {
            press(&browser, Key::Tab).await;
        }
        let focused = "return document.activeElement.textContent";
        assert_eq!(browser.run(focused).await, "Checks");
        press(&browser, Key::Enter).await;
        browser
            .until("return document.querySelector('#checks-html') !== null")
            .await;
        // The focus stays on the tab, and the first finding is one of the next stops.
        browser.until(&format!("{focused} === 'Checks'")).await;
        for _ in 0..5 {
            press(&browser, Key::Tab).await;
            if browser.run("return document.activeElement.localName").await == "summary" {
                break;
            }
        }
        let finding = "return document.activeElement.parentElement.id";
        assert_eq!(browser.run(finding).await, "finding-1");
        press(&browser, Key::Enter).await;
        browser
            .until("return document.querySelector('#finding-1').open")
            .await;
        let text = browser
            .run("return document.querySelector('.part').innerText")
            .await;
        let text = text.as_str().unwrap();
        for part in [
            "display:grid",
            "Outlook",
            "line 1",
            "uses http",
            "shows shop.example, but leads to other.example",
            "None was requested",
            "List-Unsubscribe",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(browser.outside.connections(), 0);
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}

#[test]
fn arrow_keys_change_the_width_of_the_preview() {
    run(async {
        let (sandbox, client) = sandbox().await;
        for subject in ["First", "Second"] {
            let mail = email(subject).html("<p>Hello</p>");
            client.send(mail).await.unwrap();
        }
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        browser.click("#rows a").await;
        browser
            .until("return document.querySelector('.mail-frame') !== null")
            .await;
        browser
            .run("document.querySelector('#width-full').focus()")
            .await;
        let width = |expected: &str| {
            format!("return document.querySelector('.mail-frame').clientWidth {expected}")
        };
        for expected in ["=== 768", "=== 390"] {
            press(&browser, Key::Right).await;
            browser.until(&width(expected)).await;
            let fits = "return document.documentElement.scrollWidth <= innerWidth";
            assert_eq!(browser.run(fits).await, true, "{expected}");
        }
        // It stays for the next mail, and after a reload.
        browser.click("#rows li:last-child a").await;
        browser
            .until("return document.querySelector('#title').innerText === 'First'")
            .await;
        browser.until(&width("=== 390")).await;
        let address = browser.window.current_url().await.unwrap();
        browser.goto(address.as_str()).await;
        browser.until(&width("=== 390")).await;
        browser.click("#width-full + span").await;
        browser
            .until(&width(
                "+ 2 === document.querySelector('.part').clientWidth",
            ))
            .await;
        browser.close().await;
    });
}

#[test]
fn images_are_shown_small_and_run_no_script() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let svg = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'>\
                   <script>document.documentElement.setAttribute('data-ran', '1')</script>\
                   <image href='https://images.example/a.png'/></svg>";
        let mail = email("Images")
            .attach(Attachment::from_bytes("a.png", png()))
            .attach(Attachment::from_bytes("b.svg", svg.as_bytes().to_vec()))
            .attach(Attachment::from_bytes("c.png", b"<script>".to_vec()));
        let sent = client.send(mail).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        let browser = Browser::open().await;
        let mail = format!("{}_inbox/mails/{id}", sandbox.inbox_url());
        browser.goto(&mail).await;
        browser
            .until(
                "const all = [...document.querySelectorAll('.thumbnail')]; \
                 return all.length === 2 && all.every(one => one.complete && one.naturalWidth > 0)",
            )
            .await;
        // Opened on its own, too.
        browser
            .window
            .goto(&format!("{mail}/files/1/image"))
            .await
            .unwrap();
        browser
            .until("return document.readyState === 'complete' && document.documentElement.localName === 'svg'")
            .await;
        let ran = "return document.documentElement.hasAttribute('data-ran')";
        assert_eq!(browser.run(ran).await, false);
        assert_eq!(browser.outside.connections(), 0);
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}

#[test]
fn tag_filters_the_list() {
    run(async {
        let (sandbox, client) = sandbox().await;
        for (subject, tags) in [
            ("First", "welcome, Big sale"),
            ("Second", "welcome"),
            ("Third", ""),
        ] {
            let mail = email(subject).header("X-Tags", tags);
            client.send(mail).await.unwrap();
        }
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        let tag = browser
            .window
            .find(Locator::LinkText("Big sale"))
            .await
            .unwrap();
        tag.click().await.unwrap();
        let rows = |count: usize| {
            format!("return document.querySelectorAll('#rows > li').length === {count}")
        };
        browser.until(&rows(1)).await;
        let search = "return document.querySelector('#search').value";
        assert_eq!(browser.run(search).await, "tag:\"Big sale\"");
        // In the open mail, by keyboard.
        browser.click("#rows a").await;
        browser
            .until("return document.querySelector('#detail .tag') !== null")
            .await;
        browser
            .run("document.querySelector('#detail .tag').focus()")
            .await;
        press(&browser, Key::Enter).await;
        browser.until(&rows(2)).await;
        assert_eq!(browser.run(search).await, "tag:welcome");
        browser.close().await;
    });
}
