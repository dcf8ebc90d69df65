//! axe checks every page in every look.

use serde_json::{Value, json};
use smtp2go_sdk::Attachment;
use smtp2go_sdk::types::TemplateAddRequest;

use crate::support::{Browser, Look, Receiver, email, folder, run, sandbox};

/// Returns axe-core, which `npm install` in the package's folder installs.
fn axe() -> String {
    let path = folder().join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: run `npm install` in tests/browser",
            path.display()
        )
    })
}

#[test]
fn every_page_passes_axe() {
    run(async {
        let axe = axe();
        let (sandbox, client) = sandbox().await;
        let browser = Browser::open().await;
        let inbox = sandbox.inbox_url();
        let at = |path: &str| format!("{inbox}{path}");
        let mut pages = vec![inbox.clone(), at("_inbox/calls"), at("_inbox/sms")];
        for page in ["webhooks", "registered", "templates", "suppressions"] {
            pages.push(at(&format!("_inbox/{page}")));
        }
        check(&browser, &axe, &pages).await;

        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        let mail = email("Your report")
            .html("<p style='display:grid'>Hello <a href='http://a.example'>b.example</a></p>")
            .cc("c@example.net")
            .header("X-Tags", "report, Big sale")
            .attach(Attachment::from_bytes("dot.png", crate::checks::png()))
            .attach(Attachment::from_bytes("report.csv", "a,b\n"));
        let sent = client.send(mail).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        client
            .send(email("Bounced").to("bounce@example.net"))
            .await
            .unwrap();
        sandbox
            .faults()
            .add(smtp2go_sandbox::Fault::status(400).nth(1));
        let _ = client.send(email("Refused")).await;
        let template =
            TemplateAddRequest::new("Welcome", "welcome", "<p>Hi {{ name }}</p>", "Hi", "Hi");
        client.template().add(template).await.unwrap();
        receiver.wait_for("delivered", "jane@example.net").await;
        receiver.wait_for("bounce", "bounce@example.net").await;
        browser.goto(&at("_inbox/registered")).await;
        let hook = "return document.querySelector('#rows a').getAttribute('href').slice(1)";
        let hook = browser.run(hook).await.as_str().unwrap().to_owned();
        let mail = format!("_inbox/mails/{id}");
        let pages = [
            String::new(),
            "?q=nothing-like-it".to_owned(),
            mail.clone(),
            format!("{mail}?part=text"),
            format!("{mail}?part=headers"),
            format!("{mail}?part=source"),
            format!("{mail}?part=checks"),
            "_inbox/mails/none".to_owned(),
            "_inbox/calls/0".to_owned(),
            "_inbox/calls/3".to_owned(),
            "_inbox/webhooks/0".to_owned(),
            "_inbox/webhooks?q=nothing-like-it".to_owned(),
            hook,
            "_inbox/templates/0/welcome".to_owned(),
            "_inbox/suppressions/0/0".to_owned(),
            "_inbox/faults".to_owned(),
            "_inbox/reset".to_owned(),
            "_inbox/delete?q=report".to_owned(),
        ];
        let pages: Vec<_> = pages.iter().map(|page| at(page)).collect();
        check(&browser, &axe, &pages).await;
        browser.close().await;
    });
}

async fn check(browser: &Browser, axe: &str, pages: &[String]) {
    for page in pages {
        for look in Look::ALL {
            browser.look(look).await;
            browser.goto(page).await;
            violations(browser, axe, &format!("{page}, {}", look.name())).await;
        }
    }
    browser.press("?").await;
    for look in Look::ALL {
        browser.look(look).await;
        violations(browser, axe, &format!("the keys, {}", look.name())).await;
    }
}

/// Asserts that axe finds nothing on the open page.
async fn violations(browser: &Browser, axe: &str, what: &str) {
    browser.run(axe).await;
    // The frame shows a foreign mail, which is not checked.
    let script = "const done = arguments[arguments.length - 1]; \
         axe.run({ exclude: ['iframe'] }, { iframes: false }) \
            .then(result => done(result.violations.map(one => \
                ({ rule: one.id, help: one.help, at: one.nodes.map(node => node.html) }))), \
                error => done([{ rule: String(error) }]))";
    let found = browser
        .window
        .execute_async(script, Vec::new())
        .await
        .unwrap();
    assert_eq!(found, json!([]), "{what}: {found:#}");
    let passed = browser.run("return typeof axe").await;
    assert_ne!(passed, Value::from("undefined"));
}
