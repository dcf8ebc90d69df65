//! Takes screenshots of the inbox: in every `Look`, for developers, and the one in `docs/testing.md`.
//!
//! They are written to the folder `screenshots` beside the build. With `UPDATE_SCREENSHOT` set, the
//! screenshot of `docs/testing.md` is replaced too.

use std::path::Path;

use serde_json::json;
use smtp2go_sdk::types::{SmsSendRequest, TemplateAddRequest};
use smtp2go_sdk::{Attachment, Email};

use crate::support::{Browser, Look, Receiver, folder, run, sandbox};

const INVOICE: &str = "<div style='font:16px/1.5 sans-serif;max-width:560px;margin:24px auto;color:#223'>\
<div style='background:#0b6e69;color:#fff;padding:20px 24px;border-radius:10px 10px 0 0;font-size:22px'>Acme</div>\
<div style='border:1px solid #dde;border-top:0;padding:24px;border-radius:0 0 10px 10px'>\
<h1 style='font-size:20px;margin:0 0 12px'>Thank you, Jane</h1>\
<p>Your order of <b>two desk lamps</b> is on its way. It should be with you on Friday.</p>\
<p><a href='https://example.com/orders/1042' style='background:#0b6e69;color:#fff;padding:10px 18px;border-radius:6px;text-decoration:none;display:inline-block'>Follow your order</a></p>\
<p style='color:#667;font-size:13px'>Acme, 1 Example Street. <a href='https://example.com/unsubscribe'>Unsubscribe</a></p></div></div>";

#[test]
fn screenshots_of_the_inbox_are_written() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = Browser::open().await;
        let folder_of_pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
        std::fs::create_dir_all(&folder_of_pictures).unwrap();
        let picture = async |name: &str| {
            let bytes = browser.window.screenshot().await.unwrap();
            assert!(bytes.starts_with(b"\x89PNG"), "{name}");
            std::fs::write(folder_of_pictures.join(format!("{name}.png")), &bytes).unwrap();
            bytes
        };
        let inbox = sandbox.inbox_url();
        for look in Look::ALL {
            browser.look(look).await;
            browser.goto(&inbox).await;
            picture(&format!("empty-{}", look.name())).await;
        }
        let receiver = Receiver::open().await;
        client.webhook().add(receiver.webhook()).await.unwrap();
        for (subject, to) in [
            ("Confirm your address", "peter@example.org"),
            ("Your weekly summary", "bounce@example.net"),
            ("Password changed", "open@example.com"),
            ("Invoice 2026-1041", "Accounting <billing@example.org>"),
            ("We miss you", "unsubscribe@example.net"),
        ] {
            let mail = Email::new("Acme <noreply@example.com>", subject)
                .to(to)
                .text("Hello");
            client.send(mail).await.unwrap();
        }
        client
            .sms()
            .send(SmsSendRequest::new(["+64211234567"], "Your code is 1042"))
            .await
            .unwrap();
        let mail = Email::new("Acme <orders@example.com>", "Your order 1042 is on its way")
            .to("Jane Doe <jane@example.net>")
            .cc("sales@example.com")
            .html(INVOICE)
            .text("Your order is on its way.")
            .header("X-Tags", "order, Big sale")
            .attach(Attachment::from_bytes("invoice-1042.pdf", vec![0; 48_213]));
        let sent = client.send(mail).await.unwrap();
        let id = sent.email_id.as_deref().unwrap();
        receiver.wait_for("delivered", "jane@example.net").await;
        let mail = format!("{inbox}_inbox/mails/{id}");
        browser.goto(&mail).await;
        browser.click("button[value=click]").await;
        receiver.wait_for("click", "jane@example.net").await;
        sandbox
            .faults()
            .add(smtp2go_sandbox::Fault::status(503).on("email_send").nth(9));
        let template = TemplateAddRequest::new(
            "Receipt",
            "receipt",
            "Your receipt, {{ name }}",
            "<h1>Thank you, {{ name }}</h1><p>You paid {{ amount }}.</p>",
            "You paid {{ amount }}.",
        )
        .template_variables(
            json!({ "name": "Jane", "amount": "42 EUR" })
                .as_object()
                .unwrap()
                .clone(),
        )
        .tags(["billing"]);
        client.template().add(template).await.unwrap();
        browser.goto(&format!("{inbox}_inbox/registered")).await;
        let registered = browser
            .run("return document.querySelector('#rows a').href")
            .await;
        let registered = registered.as_str().unwrap().to_owned();
        for (name, address) in [
            ("mail", mail.clone()),
            ("headers", format!("{mail}?part=headers")),
            ("checks", format!("{mail}?part=checks")),
            ("list", inbox.clone()),
            ("search", format!("{inbox}?q=nothing-like-it")),
            ("call", format!("{inbox}_inbox/calls/6")),
            ("sms", format!("{inbox}_inbox/sms")),
            ("webhook", format!("{inbox}_inbox/webhooks/1")),
            ("calls", format!("{inbox}_inbox/calls")),
            ("webhooks", format!("{inbox}_inbox/webhooks")),
            ("registered", registered),
            ("template", format!("{inbox}_inbox/templates/0/receipt")),
            ("suppression", format!("{inbox}_inbox/suppressions/0/0")),
            ("faults", format!("{inbox}_inbox/faults")),
            ("missing", format!("{inbox}_inbox/mails/none")),
            ("reset", format!("{inbox}_inbox/reset")),
            ("delete", format!("{inbox}_inbox/delete?q=acme")),
            ("source", format!("{mail}?part=source")),
            ("templates", format!("{inbox}_inbox/templates")),
            ("suppressions", format!("{inbox}_inbox/suppressions")),
        ] {
            for look in Look::ALL {
                browser.look(look).await;
                browser.goto(&address).await;
                browser
                    .until("return document.querySelector('#link').dataset.state === 'live'")
                    .await;
                let bytes = picture(&format!("{name}-{}", look.name())).await;
                if name == "mail"
                    && look.name() == "desktop-light"
                    && std::env::var_os("UPDATE_SCREENSHOT").is_some()
                {
                    std::fs::write(folder().join("../../smtp2go-sandbox/screenshot.png"), bytes)
                        .unwrap();
                }
                if !look.phone {
                    browser.size(800, 800).await;
                    browser.goto(&address).await;
                    let scheme = if look.dark { "dark" } else { "light" };
                    picture(&format!("{name}-tablet-{scheme}")).await;
                }
            }
        }
        browser
            .look(Look {
                dark: false,
                phone: true,
            })
            .await;
        browser.goto(&mail).await;
        browser.size(390, 1900).await;
        picture("mail-phone-whole").await;
        browser.close().await;
    });
}
