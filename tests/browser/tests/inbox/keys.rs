//! The inbox without a mouse.

use fantoccini::Locator;
use fantoccini::key::Key;

use crate::support::{Browser, Look, email, run, sandbox};

fn key(key: Key) -> String {
    key.to_string()
}

async fn focus_is(browser: &Browser, subject: &str) {
    browser
        .until(&format!(
            "const row = document.activeElement; \
             return row.matches('#rows a:focus-visible') && row.innerText.includes('{subject}') \
               && getComputedStyle(row).outlineStyle !== 'none'"
        ))
        .await;
}

#[test]
fn keys_move_through_the_list_open_and_close_a_mail() {
    run(async {
        let (sandbox, client) = sandbox().await;
        for subject in ["First", "Second", "Third"] {
            client.send(email(subject)).await.unwrap();
        }
        let browser = Browser::open().await;
        for look in [false, true].map(|dark| Look { dark, phone: false }) {
            browser.look(look).await;
            browser.goto(&sandbox.inbox_url()).await;
            browser.press("j").await;
            focus_is(&browser, "Third").await;
            browser.press("j").await;
            focus_is(&browser, "Second").await;
            browser.press(&key(Key::Down)).await;
            focus_is(&browser, "First").await;
            // The list ends here.
            browser.press("j").await;
            focus_is(&browser, "First").await;
            browser.press(&key(Key::Up)).await;
            focus_is(&browser, "Second").await;
            browser.press("k").await;
            focus_is(&browser, "Third").await;
            browser.press("j").await;
            browser.press(&key(Key::Enter)).await;
            browser
                .until("return document.activeElement.id === 'title' && document.activeElement.innerText === 'Second'")
                .await;
            browser.press("j").await;
            focus_is(&browser, "First").await;
            browser.press("k").await;
            focus_is(&browser, "Second").await;
            browser.press(&key(Key::Escape)).await;
            browser
                .until("return document.querySelector('#title') === null")
                .await;
            focus_is(&browser, "Second").await;
        }
        browser.close().await;
    });
}

#[test]
fn deleting_a_mail_focuses_its_neighbour_in_the_list() {
    run(async {
        let (sandbox, client) = sandbox().await;
        for subject in ["First", "Second", "Third"] {
            client.send(email(subject)).await.unwrap();
        }
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        for (moves, gone, next, left) in [(2, "Second", "First", 2), (0, "First", "Third", 1)] {
            for _ in 0..moves {
                browser.press("j").await;
            }
            browser.press(&key(Key::Enter)).await;
            browser
                .until(&format!(
                    "return document.querySelector('#title')?.innerText === '{gone}'"
                ))
                .await;
            browser
                .run("document.querySelector('#delete').focus()")
                .await;
            browser.press(&key(Key::Enter)).await;
            browser
                .until(
                    "return document.querySelector('#title') === null && location.pathname === '/'",
                )
                .await;
            focus_is(&browser, next).await;
            browser
                .until(&format!(
                    "return document.querySelectorAll('#rows > li').length === {left} \
                       && document.querySelector('#tab-Mail .count').innerText.trim() === '{left}'"
                ))
                .await;
        }
        assert_eq!(sandbox.mails().len(), 1);
        assert_eq!(sandbox.mails()[0].subject(), Some("Third"));
        browser.close().await;
    });
}

#[test]
fn mails_found_are_deleted_after_a_question_and_read_mails_lose_their_mark() {
    run(async {
        let (sandbox, client) = sandbox().await;
        for subject in ["Report 1", "Report 2", "Invoice"] {
            client.send(email(subject)).await.unwrap();
        }
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        let marked = |count: usize| {
            format!("return document.querySelectorAll('#rows > li.unread').length === {count}")
        };
        browser.until(&marked(3)).await;
        browser.press("j").await;
        browser.press(&key(Key::Enter)).await;
        browser.until(&marked(2)).await;
        // With the words that are still being typed.
        browser.press("/").await;
        browser.press("report").await;
        browser.click("#delete-found").await;
        browser
            .until("return document.querySelector('h1').innerText === 'Delete 2 mails?'")
            .await;
        browser.click("button.danger").await;
        browser
            .until("return location.pathname === '/' && document.querySelectorAll('#rows > li').length === 1")
            .await;
        assert_eq!(sandbox.mails().len(), 1);
        browser.close().await;
    });
}

#[test]
fn keys_on_a_phone_open_the_next_mail() {
    run(async {
        let (sandbox, client) = sandbox().await;
        for subject in ["First", "Second"] {
            client.send(email(subject)).await.unwrap();
        }
        let browser = Browser::open().await;
        browser
            .look(Look {
                dark: false,
                phone: true,
            })
            .await;
        browser.goto(&sandbox.inbox_url()).await;
        browser.click("#rows a").await;
        let shown = |subject: &str| {
            format!(
                "return document.querySelector('#title')?.innerText === '{subject}' && document.activeElement.id === 'title'"
            )
        };
        browser.until(&shown("Second")).await;
        browser.press("j").await;
        browser.until(&shown("First")).await;
        browser.press(&key(Key::Escape)).await;
        focus_is(&browser, "First").await;
        browser.close().await;
    });
}

#[test]
fn keys_typed_in_a_field_are_not_shortcuts() {
    run(async {
        let (sandbox, client) = sandbox().await;
        client.send(email("Jack? j/k")).await.unwrap();
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        browser.press("/").await;
        browser
            .until("return document.activeElement.id === 'search'")
            .await;
        browser.press("jack? j/k").await;
        let value = "return document.querySelector('#search').value";
        assert_eq!(browser.run(value).await, "jack? j/k");
        browser
            .until(
                "return location.search.includes('jack') && document.activeElement.id === 'search'",
            )
            .await;
        assert_eq!(
            browser
                .run("return document.querySelector('dialog[open]')")
                .await,
            serde_json::Value::Null
        );
        // On a page without a search, the key does nothing.
        browser
            .goto(&format!("{}_inbox/faults", sandbox.inbox_url()))
            .await;
        let rule = browser.window.find(Locator::Css("#rule")).await.unwrap();
        rule.send_keys("?/jk").await.unwrap();
        assert_eq!(
            browser
                .run("return document.querySelector('#rule').value")
                .await,
            "?/jk"
        );
        browser.close().await;
    });
}

#[test]
fn question_mark_lists_the_shortcuts_and_they_can_be_turned_off() {
    run(async {
        let (sandbox, client) = sandbox().await;
        client.send(email("Hi")).await.unwrap();
        let browser = Browser::open().await;
        browser.goto(&sandbox.inbox_url()).await;
        let open = "return document.querySelector('dialog[open]') !== null";
        let closed = "return document.querySelector('dialog[open]') === null";
        browser.press("?").await;
        browser.until(open).await;
        let text = browser
            .run("return document.querySelector('#keys').innerText")
            .await;
        for said in ["j", "k", "Enter", "Esc", "/", "?"] {
            assert!(text.as_str().unwrap().contains(said), "{said}: {text}");
        }
        // The list behind the dialog does not move.
        browser.press("j").await;
        assert_eq!(
            browser
                .run("return document.activeElement.closest('#rows')")
                .await,
            serde_json::Value::Null
        );
        browser.press(&key(Key::Escape)).await;
        browser.until(closed).await;
        browser.click("#keys-open").await;
        browser.until(open).await;
        browser.click("#keys-on").await;
        browser.click("#keys form button").await;
        browser.until(closed).await;
        browser.goto(&sandbox.inbox_url()).await;
        browser.press("?").await;
        browser.press("j").await;
        assert_eq!(browser.run(closed).await, true);
        assert_eq!(
            browser
                .run("return document.activeElement === document.body")
                .await,
            true
        );
        browser.close().await;
    });
}
