//! The positions and sizes of the parts of a page.

use serde_json::Value;
use smtp2go_sdk::{Attachment, Email};

use crate::support::{Browser, Look, Receiver, email, run, sandbox};

/// A script: whether the frame has the height of the mail, and the measured copy is removed.
const FITTED: &str = "return document.querySelector('.mail-frame').style.height !== '' \
     && document.querySelectorAll('iframe').length === 1";

const HEIGHT: &str = "return document.querySelector('.mail-frame').getBoundingClientRect().height";

#[test]
fn events_and_actions_of_a_short_mail_are_visible_without_scrolling() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        let mail = email("Your report")
            .html("<h1>Hello Jane</h1><p>Your report is attached.</p>")
            .attach(Attachment::from_bytes("report.csv", "a,b\n"));
        let sent = client.send(mail).await.unwrap();
        receiver.wait_for("delivered", "jane@example.net").await;
        let browser = Browser::open().await;
        let id = sent.email_id.as_deref().unwrap();
        for (width, height) in [(1280, 800), (1000, 800), (800, 800)] {
            browser.size(width, height).await;
            browser
                .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
                .await;
            browser.until(FITTED).await;
            browser
                .until(
                    "return document.querySelector('#events').innerText.includes('accepted: 200')",
                )
                .await;
            let hidden = browser
                .run(
                    "return [...document.querySelectorAll('.mail-frame, .side button, .side .button, .side select, #events li')] \
                       .map(one => [one, one.getBoundingClientRect()]) \
                       .filter(([, at]) => at.top < 0 || at.left < 0 || at.bottom > innerHeight || at.right > innerWidth || at.width === 0) \
                       .map(([one, at]) => one.outerHTML.slice(0, 80) + ' ends at ' + at.right + ',' + at.bottom)",
                )
                .await;
            assert_eq!(hidden, Value::Array(Vec::new()), "{width} x {height}");
            let beside = "return document.querySelector('.side').getBoundingClientRect().left \
                 >= document.querySelector('.main').getBoundingClientRect().right";
            assert_eq!(browser.run(beside).await, true, "{width} x {height}");
        }
        browser.close().await;
    });
}

#[test]
fn frame_has_the_height_of_its_mail_within_bounds() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = Browser::open().await;
        let block = |height: u32| {
            format!("<body style='margin:0'><div style='height:{height}px'>x</div></body>")
        };
        for (html, least, most) in [
            (block(10), 50.0, 100.0),
            (block(300), 300.0, 310.0),
            (block(5_000), 600.0, 800.0),
            // A height that depends on the frame's would grow with it.
            ("<div style='height:100vh'></div>".to_owned(), 50.0, 100.0),
            // Names of elements hide properties of the document.
            (
                format!(
                    "<form name=documentElement><input name=scrollHeight></form>{}",
                    block(50)
                ),
                100.0,
                800.0,
            ),
        ] {
            browser.size(1280, 800).await;
            let mail = Email::new("a@example.com", "Hi").to("b@example.net");
            let sent = client.send(mail.html(html.as_str())).await.unwrap();
            let id = sent.email_id.as_deref().unwrap();
            browser
                .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
                .await;
            browser
                .until("return document.querySelectorAll('iframe').length === 1")
                .await;
            let height = browser.run(HEIGHT).await.as_f64().unwrap();
            assert!((least..=most).contains(&height), "{html}: {height} pixels");
        }
        // Text that is broken into more lines needs a higher frame.
        let text = format!("<p>{}</p>", "word ".repeat(150));
        let mail = Email::new("a@example.com", "Hi").to("b@example.net");
        let sent = client.send(mail.html(text.as_str())).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        browser
            .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
            .await;
        browser.until(FITTED).await;
        let wide = browser.run(HEIGHT).await.as_f64().unwrap();
        browser.click("#width-phone + span").await;
        browser.until(&format!("{HEIGHT} > {}", wide + 50.0)).await;
        browser.click("#width-full + span").await;
        browser.until(&format!("{HEIGHT} === {wide}")).await;
        browser.size(390, 844).await;
        let higher = format!("{HEIGHT} > {}", wide + 50.0);
        browser.until(&higher).await;
        browser.close().await;
    });
}

#[test]
fn text_of_buttons_and_tabs_does_not_wrap_on_a_phone() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        let mail = email("Your report").html("<p>Hello</p>");
        let sent = client.send(mail).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        receiver.wait_for("delivered", "jane@example.net").await;
        sandbox
            .faults()
            .add(smtp2go_sandbox::Fault::status(503).on("email_send").nth(99));
        let browser = Browser::open().await;
        browser
            .look(Look {
                dark: false,
                phone: true,
            })
            .await;
        for page in [
            "",
            &format!("_inbox/mails/{id}"),
            "_inbox/calls/0",
            "_inbox/sms",
            "_inbox/webhooks/0",
            "_inbox/registered",
            "_inbox/templates",
            "_inbox/suppressions",
            "_inbox/faults",
            "_inbox/reset",
        ] {
            browser
                .goto(&format!("{}{page}", sandbox.inbox_url()))
                .await;
            let broken = browser
                .run(
                    "return [...document.querySelectorAll('button, .button, .tabs a, .sections a')] \
                       .filter(one => one.checkVisibility()) \
                       .filter(one => { \
                         const range = document.createRange(); \
                         range.selectNodeContents(one); \
                         const tops = [...range.getClientRects()].map(at => at.bottom); \
                         return Math.max(...tops) - Math.min(...tops) > 12; \
                       }).map(one => one.outerHTML)",
                )
                .await;
            assert_eq!(broken, Value::Array(Vec::new()), "{page}");
            let wide = "return document.documentElement.scrollWidth <= innerWidth";
            assert_eq!(browser.run(wide).await, true, "{page}");
        }
        browser.close().await;
    });
}
