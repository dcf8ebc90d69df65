//! Ten thousand mails.

use fantoccini::Locator;
use smtp2go_sdk::Email;

use crate::support::{Browser, run, sandbox};

#[test]
fn ten_thousand_mails_can_be_scrolled_and_searched() {
    const MAILS: usize = 10_000;
    const AT_ONCE: usize = 100;
    run(async {
        let (sandbox, client) = sandbox().await;
        for first in (0..MAILS).step_by(AT_ONCE) {
            let mails = (first..first + AT_ONCE).map(|number| {
                Email::new("Acme <noreply@example.com>", format!("Invoice {number}"))
                    .to(format!("customer{number}@example.net"))
                    .text(format!(
                        "Invoice {number} is due. {}",
                        "Thank you. ".repeat(100)
                    ))
            });
            let batch = client.send_batch(mails.collect::<Vec<_>>()).await.unwrap();
            assert_eq!(batch.into_iter().count(), AT_ONCE);
        }
        assert_eq!(sandbox.mails().len(), MAILS);
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        // Scrolls to the end at once, like dragging the scroll bar.
        browser
            .until(&format!(
                "const list = document.querySelector('#list'); list.scrollTop = list.scrollHeight; \
                 return document.querySelectorAll('#rows > li').length === {MAILS}"
            ))
            .await;
        let last = "return document.querySelector('#rows > li:last-child .subject').textContent";
        assert_eq!(browser.run(last).await, "Invoice 0");
        // A new mail is added at the top, and loaded mails stay.
        client
            .send(crate::support::email("A new one"))
            .await
            .unwrap();
        browser
            .until("return document.querySelector('#rows .subject').textContent === 'A new one'")
            .await;
        let count = "return document.querySelectorAll('#rows > li').length";
        assert_eq!(browser.run(count).await, MAILS + 1);

        // A row below the newest ones is marked when it is opened, though the page of its mail does not have it.
        browser.click("#rows > li:last-child a").await;
        browser
            .until(
                "const row = document.querySelector('#rows > li:last-child'); \
                 return row.className === 'read' && row.querySelector('a').hasAttribute('aria-current')",
            )
            .await;

        // A search that finds more than a page replaces all rows, and so does its end.
        let type_in = |text: &str| {
            format!(
                "const box = document.querySelector('#search'); box.value = '{text}'; \
                 box.dispatchEvent(new Event('input', {{ bubbles: true }}))"
            )
        };
        browser.run(&type_in("subject:\"invoice 47\"")).await;
        browser
            .until(
                "const rows = [...document.querySelectorAll('#rows > li')]; \
                 return rows.length >= 100 && rows.every(row => row.textContent.includes('47'))",
            )
            .await;
        browser.run(&type_in("")).await;
        browser
            .until(
                "const more = document.querySelector('#more a').href; \
                 return !more.includes('q=') \
                   && document.querySelector('#rows .subject').textContent === 'A new one'",
            )
            .await;

        let search = browser.window.find(Locator::Css("#search")).await.unwrap();
        search.send_keys("DUE invoice 4711").await.unwrap();
        browser
            .until("return document.querySelectorAll('#rows > li').length === 1")
            .await;
        let found = "return document.querySelector('#rows .subject').textContent";
        assert_eq!(browser.run(found).await, "Invoice 4711");
        search.send_keys(" not there").await.unwrap();
        browser
            .until("return document.body.innerText.includes('Nothing found')")
            .await;
        browser.close().await;
    });
}
