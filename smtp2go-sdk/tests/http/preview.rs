//! A mail as JSON and as MIME, compared with what is sent.

use mail_parser::{MessageParser, MimeHeaders};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::{Attachment, Email};

use crate::support::{Tested, body};

fn mail() -> Email {
    let lines = "A line.\nGrüße\n".repeat(40);
    Email::new(
        ("Jürgen, Müller & Söhne", "noreply@example.com"),
        "Größe: 42 €, für Sie ausgesucht",
    )
    .to("Jane <jane@example.net>")
    .to(("Doe, John", "john@example.net"))
    .cc("copy@example.net")
    .bcc("hidden@example.net")
    .header("X-Order", "42")
    .one_click_unsubscribe("https://example.com/u/0b9f2c7d")
    .text(lines)
    .html("<p>ü</p><img src=\"cid:logo.png\">")
    .inline(Attachment::from_bytes("logo.png", &b"\x89PNG\r\n"[..]))
    .attach(Attachment::from_bytes("größe.csv", "a,b\n".repeat(100)))
}

#[tokio::test]
async fn json_preview_equals_the_sent_body() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let json = mail().to_json().unwrap();
    assert_eq!(json.len() as u64, mail().size().unwrap());
    sandbox.client().send(mail()).await.unwrap();
    assert_eq!(body(&sandbox.call()), json);
}

#[test]
fn mime_preview_is_parsed_as_the_same_mail() {
    let message = mail().to_mime().unwrap();
    let read = MessageParser::default().parse(message.as_bytes()).unwrap();
    let addresses = |list: Option<&mail_parser::Address<'_>>| -> Vec<_> {
        let list = list.unwrap().iter();
        list.map(|to| {
            (
                to.name().unwrap_or_default().to_owned(),
                to.address().unwrap().to_owned(),
            )
        })
        .collect()
    };
    let pair = |name: &str, address: &str| (name.to_owned(), address.to_owned());
    let from = pair("Jürgen, Müller & Söhne", "noreply@example.com");
    assert_eq!(addresses(read.from()), [from]);
    let to = [
        pair("Jane", "jane@example.net"),
        pair("Doe, John", "john@example.net"),
    ];
    assert_eq!(addresses(read.to()), to);
    assert_eq!(addresses(read.cc()), [pair("", "copy@example.net")]);
    assert_eq!(addresses(read.bcc()), [pair("", "hidden@example.net")]);
    assert_eq!(read.subject(), Some("Größe: 42 €, für Sie ausgesucht"));
    let text = read.body_text(0).unwrap().replace("\r\n", "\n");
    assert_eq!(text.trim_end(), mail().parts().text().unwrap().trim_end());
    let html = read.body_html(0).unwrap();
    assert_eq!(html.trim_end(), mail().parts().html().unwrap());
    let files: Vec<_> = read
        .attachments()
        .map(|file| {
            (
                file.attachment_name(),
                file.content_id(),
                file.contents().to_vec(),
            )
        })
        .collect();
    let csv = "a,b\n".repeat(100).into_bytes();
    let logo = b"\x89PNG\r\n".to_vec();
    assert_eq!(
        files,
        [
            (Some("logo.png"), Some("logo.png"), logo),
            (Some("größe.csv"), None, csv),
        ]
    );
}

#[tokio::test]
async fn one_click_unsubscribe_is_two_headers() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let mail = mail().one_click_unsubscribe("https://example.com/u/2");
    sandbox.client().send(mail).await.unwrap();
    let sent = crate::support::json(&sandbox.call());
    let headers = sent["custom_headers"].as_array().unwrap();
    let values = |name: &str| -> Vec<_> {
        let found = headers.iter().filter(|header| header["header"] == name);
        found
            .map(|header| header["value"].as_str().unwrap())
            .collect()
    };
    assert_eq!(values("List-Unsubscribe"), ["<https://example.com/u/2>"]);
    assert_eq!(
        values("List-Unsubscribe-Post"),
        ["List-Unsubscribe=One-Click"]
    );
}

#[test]
fn one_click_unsubscribe_needs_one_https_url() {
    let plain = || {
        Email::new("a@example.com", "Hi")
            .to("b@example.net")
            .text("Hi")
    };
    let both = |target: &str| {
        let mail = plain().header("List-Unsubscribe", target);
        mail.header("list-unsubscribe-post", "List-Unsubscribe=One-Click")
    };
    for mail in [
        plain().one_click_unsubscribe("http://example.com/u"),
        plain().one_click_unsubscribe("https://"),
        plain().one_click_unsubscribe("https://example.com/a b"),
        plain().one_click_unsubscribe("https://example.com/>"),
        plain().one_click_unsubscribe("mailto:leave@example.com"),
        plain().one_click_unsubscribe("https://example.com/ü"),
        both("https://example.com/u"),
        both("<mailto:leave@example.com>"),
        both("<https://example.com/u>").header("List-Unsubscribe", "<https://example.com/2>"),
        plain().header("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ] {
        let error = mail.validate().unwrap_err().to_string();
        assert!(error.contains("one-click unsubscribe needs"), "{error}");
    }
    for mail in [
        plain().one_click_unsubscribe("https://example.com/u?t=1&l=2"),
        both("<mailto:leave@example.com>, <https://example.com/u>"),
        plain().header("List-Unsubscribe", "<mailto:leave@example.com>"),
    ] {
        mail.validate().unwrap();
    }
}
