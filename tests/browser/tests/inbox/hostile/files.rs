//! Files of a mail are only saved, never shown or run.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use smtp2go_sdk::types::{self, EmailSendRequest};
use smtp2go_sdk::{Attachment, Email};

use super::{fill, listening, look_at_id, nothing_happened};
use crate::support::{run, sandbox};

/// Attached files: name, type and content.
const FILES: &[(&str, &str, &str)] = &[
    (
        "page.html",
        "text/html",
        "<script>SCRIPT</script><img src=EVIL/file>",
    ),
    (
        "page.html",
        "text/html; charset=utf-7",
        "+ADw-img src+AD0-EVIL/file+AD4-",
    ),
    ("page.htm", "", "<script>SCRIPT</script><img src=EVIL/file>"),
    (
        "page.txt",
        "text/plain",
        "<script>SCRIPT</script><img src=EVIL/file>",
    ),
    (
        "image.png",
        "image/png",
        "<script>SCRIPT</script><img src=EVIL/file>",
    ),
    (
        "none",
        "x-none/x",
        "<!doctype html><script>SCRIPT</script><img src=EVIL/file>",
    ),
    (
        "image.svg",
        "image/svg+xml",
        "<svg xmlns='http://www.w3.org/2000/svg' onload=\"SCRIPT\"><image href='EVIL/file'/><style>@import 'EVIL/file.css';</style></svg>",
    ),
    (
        "page.xhtml",
        "application/xhtml+xml",
        "<html xmlns='http://www.w3.org/1999/xhtml'><script>SCRIPT</script><img src='EVIL/file'/></html>",
    ),
    (
        "data.xml",
        "text/xml",
        "<?xml-stylesheet type='text/xsl' href='EVIL/x.xsl'?><!DOCTYPE x SYSTEM 'EVIL/dtd' [<!ENTITY e SYSTEM 'EVIL/entity'>]><x>&e;</x>",
    ),
    (
        "data.xml",
        "application/xml",
        "<?xml-stylesheet type='text/css' href='EVIL/x.css'?><x:script xmlns:x='http://www.w3.org/1999/xhtml'>SCRIPT</x:script>",
    ),
    (
        "page.mht",
        "multipart/related",
        "MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<script>SCRIPT</script><img src=EVIL/file>",
    ),
    (
        "mail.eml",
        "message/rfc822",
        "Content-Type: text/html\r\n\r\n<script>SCRIPT</script><img src=EVIL/file>",
    ),
    (
        "file.pdf",
        "application/pdf",
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI(EVIL/pdf)>>>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]/AA<</O<</S/JavaScript/JS(app.launchURL\\('EVIL/js'\\))>>>>>>endobj\ntrailer<</Root 1 0 R>>",
    ),
    ("script.js", "text/javascript", "SCRIPT"),
    ("style.css", "text/css", "@import 'EVIL/file.css';"),
    ("movie.swf", "application/x-shockwave-flash", "FWS"),
    (
        "app.webmanifest",
        "application/manifest+json",
        "{\"start_url\":\"EVIL\"}",
    ),
    (
        "feed.xml",
        "application/rss+xml",
        "<rss><script xmlns='http://www.w3.org/1999/xhtml'>SCRIPT</script></rss>",
    ),
    (
        "replace",
        "multipart/x-mixed-replace; boundary=x",
        "--x\r\nContent-Type: text/html\r\n\r\n<script>SCRIPT</script>\r\n--x--",
    ),
    (
        "\"><img src=x onerror=alert(1)>.html",
        "text/html",
        "<img src=EVIL/file>",
    ),
    ("\u{202e}fdp.html", "text/HTML", "<img src=EVIL/file>"),
];

/// HTML that refers to the mail's own files.
const USES: &str = "<iframe src=files/0></iframe><object data=files/0 type=text/html></object>\
    <embed src=files/0><img src=files/0><script src=files/0></script><link rel=stylesheet href=files/0>\
    <style>@import 'files/0';</style><svg><use href='files/0#a' /><image href=files/0 /></svg>\
    <iframe src=raw></iframe><a target=_self href=files/0>x</a><a target=_top href=files/0>x</a>\
    <a href=files/0>x</a><a target=_self href=raw>x</a>";

#[test]
fn hostile_file_is_saved_and_not_shown() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        for (number, (name, kind, content)) in FILES.iter().enumerate() {
            let mut file =
                types::Attachment::new(*name).fileblob(STANDARD.encode(fill(content, number)));
            if !kind.is_empty() {
                file = file.mimetype(*kind);
            }
            // `Email` refuses some of these names; other clients don't.
            let mail = EmailSendRequest::new("a@example.com", ["b@example.net"])
                .subject(*name)
                .html_body(USES)
                .attachments([file]);
            let sent = client.email().send(mail).await;
            let sent = sent.unwrap_or_else(|error| panic!("{name}: {error}"));
            let id = sent.email_id.as_deref().unwrap();
            look_at_id(&browser, &sandbox, id, name).await;
            // The reply at its address is always a download.
            let files = format!("{}_inbox/mails/{id}/files/0", sandbox.inbox_url());
            browser.run(&format!("fetch('{files}').then(reply => window.kept = ['content-type', \
                'content-disposition', 'x-content-type-options'].map(name => reply.headers.get(name)))")).await;
            browser.until("return Array.isArray(window.kept)").await;
            let kept = browser.run("return kept").await;
            assert_eq!(kept[0], "application/octet-stream", "{name}");
            assert!(
                kept[1].as_str().unwrap().starts_with("attachment;"),
                "{name}: {kept}"
            );
            assert_eq!(kept[2], "nosniff", "{name}");
            let page = browser.window.current_url().await.unwrap();
            browser.click(".chip").await;
            browser.window.goto(&files).await.unwrap();
            nothing_happened(&browser, name).await;
            assert_eq!(browser.window.current_url().await.unwrap(), page, "{name}");
        }
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}

/// Inline images: type and content.
const INLINES: &[(&str, &str)] = &[
    (
        "image/svg+xml",
        "<svg xmlns='http://www.w3.org/2000/svg' xmlns:xlink='http://www.w3.org/1999/xlink' id='a' onload=\"SCRIPT\"><script>SCRIPT</script><image xlink:href='EVIL/i' href='EVIL/i2' width='9' height='9'/><style>@import 'EVIL/i.css';*{fill:url(EVIL/fill)}</style><foreignObject><img xmlns='http://www.w3.org/1999/xhtml' src='EVIL/i3' onerror=\"SCRIPT\"/><iframe xmlns='http://www.w3.org/1999/xhtml' src='EVIL/i4'/></foreignObject><a href=\"javascript:SCRIPT\"><text y='20'>x</text></a></svg>",
    ),
    (
        "image/svg+xml",
        "<?xml-stylesheet href='EVIL/x.css'?><!DOCTYPE svg SYSTEM 'EVIL/dtd' [<!ENTITY e SYSTEM 'EVIL/e'>]><svg xmlns='http://www.w3.org/2000/svg'>&e;</svg>",
    ),
    ("image/html", "<script>SCRIPT</script><img src=EVIL/i>"),
    ("image/x-xbitmap", "<script>SCRIPT</script><img src=EVIL/i>"),
    ("image/png", "<script>SCRIPT</script><img src=EVIL/i>"),
    ("text/html", "<script>SCRIPT</script><img src=EVIL/i>"),
    ("text/css", "@import 'EVIL/i.css';"),
    (
        "image/svg+xml;charset=utf-7",
        "+ADw-svg onload+AD0-SCRIPT+AD4-",
    ),
];

const SHOWN: &str = "<img src='cid:i'><img src=cid:i><iframe src='cid:i'></iframe><object data='cid:i'></object>\
    <object data='cid:i' type=text/html></object><embed src='cid:i'><iframe srcdoc=\"<img src='cid:i'>\"></iframe>\
    <link rel=stylesheet href='cid:i'><script src='cid:i'></script><style>@import 'cid:i';p{background:url(cid:i)}</style>\
    <p>x</p><svg width=9 height=9><image href='cid:i' width=9 height=9 /><use href='cid:i' /><script href='cid:i' /></svg>\
    <video poster='cid:i' src='cid:i'><track default src='cid:i'></video><input type=image src='cid:i'>\
    <a target=_self href='cid:i'>x</a><a target=_top href='cid:i'>x</a><a href='cid:i'>x</a>\
    <meta http-equiv=refresh content='0;url=cid:i'>";

#[test]
fn hostile_inline_image_requests_and_runs_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        for (number, (kind, content)) in INLINES.iter().enumerate() {
            let kind = fill(kind, number);
            let image = Attachment::from_bytes("i", fill(content, number)).mimetype(&kind);
            let mail = Email::new("a@example.com", "Inline")
                .to("b@example.net")
                .html(SHOWN)
                .inline(image);
            let sent = client.send(mail).await;
            let sent = sent.unwrap_or_else(|error| panic!("{kind}: {error}"));
            look_at_id(&browser, &sandbox, sent.email_id.as_deref().unwrap(), &kind).await;
        }
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}
