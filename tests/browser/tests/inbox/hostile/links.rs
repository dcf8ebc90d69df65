//! Clicked links: the opened page gets no information about the inbox and no access to it.

use fantoccini::Locator;
use serde_json::json;
use smtp2go_sdk::Email;

use super::{click_on_everything, fill, listening, look_at, nothing_asked_or_run};
use crate::support::{eventually, run, sandbox};

/// Links that would replace the mail or the inbox.
const HELD: &[&str] = &[
    "<a target=_self href=EVIL/self>x</a>",
    "<a target=_SELF rel=opener href=EVIL/self>x</a>",
    "<a target=_self href=//HOST/self>x</a>",
    "<a target=_self download href=EVIL/download>x</a><a download=x.html href=EVIL/download>x</a>",
    "<a target=_self ping=EVIL/ping href='#x'>x</a><a target=_self attributionsrc='https://HOST/a' href='#x'>x</a>",
    "<a target=_top href=EVIL/top>x</a>",
    "<a target=_parent href=EVIL/parent>x</a>",
    "<base target=_self><base target=_top><a target=_TOP href=EVIL/top>x</a>",
    "<map name=m><area target=_self shape=rect coords=0,0,99,99 href=EVIL/area></map><img usemap=#m width=99 height=99>",
    "<svg><a target=_self href=EVIL/svg><text y=20>x</text></a></svg>",
    "<svg><a target=_top xlink:href=EVIL/svg><text y=20>x</text></a></svg>",
    "<math><mtext target=_self href=EVIL/math>x</mtext></math>",
    "<a target=_self href='view-source:EVIL/v'>x</a><a target=_self href='blob:EVIL/1'>x</a><a target=_self href='filesystem:EVIL/1'>x</a>",
];

/// Links that open in a new window.
const OPENING: &[&str] = &[
    "<a href=EVIL/a>x</a>",
    "<a target='' href=EVIL/a>x</a>",
    "<a target=_unfencedTop href=EVIL/a>x</a>",
    "<a target=_blank rel=opener href=EVIL/a>x</a>",
    "<a target=name href=EVIL/a>x</a>",
    "<a target=name rel=opener referrerpolicy=unsafe-url href=EVIL/a>x</a>",
    "<meta name=referrer content=unsafe-url><a referrerpolicy=unsafe-url href=EVIL/a>x</a>",
    "<a target='_blank ' rel='opener external' href=//HOST/a>x</a>",
    "<svg><a target=name rel=opener href=EVIL/a><text y=20>x</text></a></svg>",
    "<map name=m><area target=name rel=opener shape=rect coords=0,0,99,99 href=EVIL/a></map><img usemap=#m width=99 height=99>",
];

#[test]
fn link_targeting_the_inbox_requests_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        for (number, link) in HELD.iter().enumerate() {
            let mail = Email::new("a@example.com", "Links")
                .to("b@example.net")
                .html(fill(link, number));
            let sent = client.send(mail).await.unwrap();
            let id = sent.email_id.as_deref().unwrap();
            browser
                .goto(&format!("{}_inbox/mails/{id}", sandbox.inbox_url()))
                .await;
            click_on_everything(&browser, &sandbox, link).await;
        }
        // Time for late requests.
        browser.goto(&sandbox.inbox_url()).await;
        nothing_asked_or_run(&browser, "a link").await;
        browser.close().await;
    });
}

#[test]
fn page_opened_by_a_link_has_no_opener_and_no_referrer() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        for (number, link) in OPENING.iter().enumerate() {
            let mail = Email::new("a@example.com", "Links")
                .to("b@example.net")
                .html(fill(link, number));
            let sent = client.send(mail).await.unwrap();
            let id = sent.email_id.as_deref().unwrap();
            let page = format!("{}_inbox/mails/{id}", sandbox.inbox_url());
            browser.goto(&page).await;
            let own = browser.window.window().await.unwrap();
            let frame = browser.window.find(Locator::Css("iframe")).await.unwrap();
            frame.enter_frame().await.unwrap();
            browser.click("a, area").await;
            let host = format!("Host: evil-{number}.example");
            let head = eventually(|| {
                let seen = browser.outside.seen();
                seen.into_iter().find(|head| head.contains(&host))
            });
            let head = head.await.expect("the link is opened");
            let head = head.to_ascii_lowercase();
            for header in ["\r\nreferer:", "\r\norigin:", "\r\ncookie:"] {
                assert!(!head.contains(header), "{link}: {head}");
            }
            let mut windows = browser.window.windows().await.unwrap();
            windows.retain(|window| *window != own);
            assert_eq!(windows.len(), 1, "{link}");
            let opened = windows.remove(0);
            browser.window.switch_to_window(opened).await.unwrap();
            browser
                .until("return location.href.includes('evil-')")
                .await;
            let state = browser.run("return [opener, document.referrer]").await;
            assert_eq!(state, json!([null, ""]), "{link}");
            browser.window.close_window().await.unwrap();
            browser.window.switch_to_window(own).await.unwrap();
            let address = browser.window.current_url().await.unwrap();
            assert_eq!(address.as_str(), page, "{link}");
        }
        browser.close().await;
    });
}

#[test]
fn link_to_the_page_of_another_mail_does_not_turn_remote_content_on() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        let mail = |html: String| {
            Email::new("a@example.com", "Link")
                .to("b@example.net")
                .html(html)
        };
        let html = "<img src=http://evil.example/pixel>".to_owned();
        let first = client.send(mail(html)).await.unwrap();
        let first = first.email_id.as_deref().unwrap();
        let toggle = format!("/_inbox/mails/{first}?remote=1");
        let frame = format!("/_inbox/mails/{first}/html?remote=1");
        let html = format!(
            "<a href='{toggle}'>x</a><a target=name href='{toggle}'>x</a><a target=_self href='{toggle}'>x</a>\
             <a href='{frame}'>x</a><a target=_self href='{frame}'>x</a>"
        );
        look_at(
            &browser,
            &client,
            &sandbox,
            mail(html),
            "a link to another mail",
        )
        .await;
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}
