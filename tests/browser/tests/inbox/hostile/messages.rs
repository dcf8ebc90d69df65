//! MIME messages in encodings and structures that hide their content.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use fantoccini::Locator;
use smtp2go_sdk::Mime;

use super::{fill, listening, look_at_id, nothing_happened};
use crate::support::{run, sandbox};

const EVIL: &str = "<p>decoded<script>SCRIPT</script><img src=EVIL/mime onerror=\"SCRIPT\">\
    <link rel=preconnect href=EVIL><a target=_self href=EVIL/self>x-not-clicked</a>\
    <a href=\"javascript:SCRIPT\">x</a><meta http-equiv=refresh content='0;url=EVIL/refresh'>";

const HEAD: &str = "From: a@example.com\r\nTo: b@example.net\r\nMIME-Version: 1.0\r\n";

/// Returns a message with these headers and body.
fn message(headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = format!("{HEAD}{headers}\r\n\r\n");
    [head.as_bytes(), body.as_ref()].concat()
}

fn html(charset: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    message(&format!("Content-Type: text/html; charset={charset}"), body)
}

fn utf16(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(to_bytes).collect()
}

/// Encodes everything as UTF-7.
fn utf7(text: &str) -> String {
    format!(
        "+{}-",
        STANDARD_NO_PAD.encode(utf16(text, u16::to_be_bytes))
    )
}

/// Encodes only HTML's special characters as UTF-7.
fn utf7_of_markup(text: &str) -> String {
    let special = |one: char| "<>\"'=&+".contains(one);
    text.chars()
        .map(|one| match special(one) {
            true => utf7(one.encode_utf8(&mut [0; 4])),
            false => one.to_string(),
        })
        .collect()
}

fn multipart(kind: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for part in parts {
        body.extend_from_slice(b"--x\r\n");
        body.extend_from_slice(part);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--x--\r\n");
    message(&format!("Content-Type: multipart/{kind}; boundary=x"), body)
}

/// Puts a message into another, `depth` times.
fn forwarded(mut inner: Vec<u8>, depth: usize) -> Vec<u8> {
    for _ in 0..depth {
        inner = message("Subject: Fwd\r\nContent-Type: message/rfc822", inner);
    }
    inner
}

/// Returns the messages, by description.
fn messages(evil: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = evil.as_bytes();
    let little = utf16(evil, u16::to_le_bytes);
    let big = utf16(evil, u16::to_be_bytes);
    let with = |mark: &[u8], text: &[u8]| [mark, text].concat();
    let base64 = |charset: &str, body: &[u8]| {
        let headers = format!(
            "Content-Type: text/html; charset={charset}\r\nContent-Transfer-Encoding: base64"
        );
        message(&headers, STANDARD.encode(body))
    };
    let part = |headers: &str, body: &[u8]| with(format!("{headers}\r\n\r\n").as_bytes(), body);
    let html_part = part("Content-Type: text/html; charset=utf-8", bytes);
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg'><script>1</script><foreignObject>{evil}</foreignObject></svg>"
    );
    vec![
        // UTF-7.
        ("utf-7, all of it", html("utf-7", utf7(evil))),
        ("utf-7, markup", html("\"UTF-7\"", utf7_of_markup(evil))),
        ("utf-7 by another name", html("unicode-1-1-utf-7", utf7(evil))),
        ("utf-7 in base64", base64("utf-7", utf7(evil).as_bytes())),
        ("utf-7, not ended", html("utf-7", utf7(evil).trim_end_matches('-'))),
        ("utf-7, half a unit", html("utf-7", "+PAAAPA-<p>decoded+2AA-x+P+-")),
        ("utf-7 that says utf-8", html("utf-8", utf7(evil))),
        ("utf-7 that says nothing", message("Content-Type: text/html", utf7_of_markup(evil))),
        (
            "utf-7 by a meta element",
            html("us-ascii", format!("<meta charset=utf-7><p>decoded{}", utf7_of_markup(evil))),
        ),
        (
            "utf-7 in headers",
            message(
                "Subject: =?utf-7?q?+ADw-script+AD4-1+ADw-/script+AD4-?=\r\nReply-To: \
                 =?utf-7?b?K0FEdy1pbWcgc3JjK0FEMC14K0FENC0=?= <c@example.com>\r\nContent-Type: \
                 text/html; charset=utf-7",
                utf7(evil),
            ),
        ),
        ("utf-7 in a text", message("Content-Type: text/plain; charset=utf-7", utf7(evil))),
        // UTF-16 and UTF-32.
        ("utf-16 with a mark, little", html("utf-16", with(b"\xff\xfe", &little))),
        ("utf-16 with a mark, big", html("utf-16", with(b"\xfe\xff", &big))),
        ("utf-16 without a mark, little", html("utf-16", &little)),
        ("utf-16 without a mark, big", html("utf-16", &big)),
        ("utf-16le", html("utf-16le", &little)),
        ("utf-16be", html("utf-16be", &big)),
        ("utf-16le with a mark", html("utf-16le", with(b"\xff\xfe", &little))),
        ("utf-16be with the other mark", html("utf-16be", with(b"\xff\xfe", &big))),
        ("utf-16 with two marks", html("utf-16", with(b"\xff\xfe\xff\xfe", &little))),
        ("utf-16le in base64", base64("utf-16le", &little)),
        ("utf-16be in base64", base64("utf-16", &with(b"\xfe\xff", &big))),
        ("utf-16 with half a unit", html("utf-16le", &little[..little.len() - 1])),
        ("utf-16 with half a pair", html("utf-16be", with(b"\xd8\x00", &big))),
        ("utf-16 that says utf-8", html("utf-8", with(b"\xff\xfe", &little))),
        ("utf-16 that says nothing", message("Content-Type: text/html", with(b"\xfe\xff", &big))),
        ("utf-8 that says utf-16", html("utf-16", bytes)),
        ("utf-8 with a mark that says utf-16", html("utf-16le", with(b"\xef\xbb\xbf", bytes))),
        (
            "utf-32",
            html("utf-32le", evil.chars().flat_map(|one| u32::from(one).to_le_bytes()).collect::<Vec<_>>()),
        ),
        ("ucs-2", html("iso-10646-ucs-2", &big)),
        // Other wrong declarations of the encoding.
        ("unknown charset", html("no-such", bytes)),
        ("two charsets", html("utf-8; charset=utf-7", utf7(evil))),
        ("charset in pieces", html("ignored; charset*0=ut; charset*1=f-7", utf7(evil))),
        ("charset with markup", html("\"><script>1</script>", bytes)),
        ("iso-2022-jp", html("iso-2022-jp", with(b"<p title=\"\x1b$B\"", &with(b"\x1b(B>", bytes)))),
        ("iso-2022-kr", html("iso-2022-kr", with(b"\x1b$)C\x0e", bytes))),
        ("hz-gb-2312", html("hz-gb-2312", with(b"~{<p title=\"~}\">", bytes))),
        ("shift_jis that eats a quote", html("shift_jis", with(b"<p title=\"\x81\">", bytes))),
        ("gbk that eats a quote", html("gbk", with(b"<p title=\"\x81\"\x81\">", bytes))),
        ("big5", html("big5", with(b"<p title=\"\xa1\">", bytes))),
        ("x-user-defined", html("x-user-defined", bytes)),
        ("ebcdic", html("ibm037", b"\x4c\xa2\x83\x99\x89\x97\xa3\x6e\xf1\x4c\x61\xa2\x83\x99\x89\x97\xa3\x6e")),
        ("overlong utf-8", html("utf-8", with(b"\xc0\xbcscript\xc0\xbe1\xc0\xbc/script\xc0\xbe", bytes))),
        ("broken utf-8", html("utf-8", with(b"\xff\xfe\xc3\x28", bytes))),
        ("utf-8 with zeros", html("utf-8", evil.replace("script", "scr\0ipt").replace("link", "li\0nk"))),
        (
            "broken base64",
            message("Content-Type: text/html\r\nContent-Transfer-Encoding: base64", b"PHNjcmlwd*==\xff"),
        ),
        (
            "base64 in base64",
            message(
                "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\nContent-Transfer-Encoding: 7bit",
                STANDARD.encode(bytes),
            ),
        ),
        (
            "quoted-printable",
            message(
                "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable",
                format!("=3Cp>de=\r\ncoded=ZZ=3Clin=\r\nk rel=3Dpreconnect>{}", evil.replace('=', "=3D")),
            ),
        ),
        (
            "uuencode",
            message("Content-Type: text/html\r\nContent-Transfer-Encoding: x-uuencode", "begin 644 x.html\r\n#/'`^\r\n`\r\nend"),
        ),
        ("headers with markup", message(
            "Subject: =?utf-8?b?PHNjcmlwdD4=?= =?x?q?=zz?=\r\nX: \"><script>1</script>\r\n\
             List-Unsubscribe: <javascript:1>, <http://evil-901.example/unsubscribe>\r\n\
             Disposition-Notification-To: <a@evil-901.example>\r\nContent-Base: http://evil-901.example/\r\n\
             Content-Location: http://evil-901.example/page\r\nLink: <http://evil-901.example>; rel=preconnect\r\n\
             Refresh: 0;url=http://evil-901.example/\r\nContent-Type: text/html",
            bytes,
        )),
        // A message in a message.
        ("forwarded", forwarded(html("utf-8", bytes), 1)),
        ("forwarded three times", forwarded(html("utf-16le", &little), 3)),
        ("forwarded three hundred times", forwarded(html("utf-8", bytes), 300)),
        ("forwarded without headers", message("Content-Type: message/rfc822", bytes)),
        ("forwarded in base64", message(
            "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64",
            STANDARD.encode(html("utf-7", utf7(evil))),
        )),
        ("forwarded as a file", multipart("mixed", &[
            &part("Content-Type: text/plain", b"See the file."),
            &part(
                "Content-Type: message/rfc822; name=x.html\r\nContent-Disposition: attachment; filename=x.html",
                &html("utf-8", bytes),
            ),
        ])),
        ("forwarded inline, beside HTML", multipart("mixed", &[
            &html_part,
            &part("Content-Type: message/rfc822\r\nContent-Disposition: inline", &html("utf-8", bytes)),
            &part("Content-Type: message/global", &html("utf-8", bytes)),
            &part("Content-Type: text/rfc822-headers", HEAD.as_bytes()),
        ])),
        ("digest", multipart("digest", &[&part("", &html("utf-8", bytes)), &part("", &html("utf-7", utf7(evil)))])),
        ("forwarded multipart with the same boundary", forwarded(multipart("mixed", &[&html_part, &html_part]), 2)),
        ("message/partial", message("Content-Type: message/partial; id=x; number=1; total=1", html("utf-8", bytes))),
        ("message/external-body", message(
            "Content-Type: message/external-body; access-type=URL; URL=\"http://evil-901.example/body\"",
            "Content-Type: text/html\r\n\r\n",
        )),
        ("message/delivery-status", multipart("report; report-type=delivery-status", &[
            &html_part,
            &part("Content-Type: message/delivery-status", bytes),
            &part("Content-Type: message/rfc822", &html("utf-8", bytes)),
        ])),
        // Structures.
        ("nested multiparts", {
            let nested: String = (0..200)
                .map(|depth| {
                    format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n")
                })
                .collect();
            message(nested.trim_end(), bytes)
        }),
        ("empty parts", message("Content-Type: multipart/mixed; boundary=x", "--x\r\n--x\r\n\r\n--x--")),
        ("no boundary", message("Content-Type: multipart/mixed", bytes)),
        ("boundary in HTML", multipart("alternative", &[&part("Content-Type: text/html", b"<p>decoded<!--\r\n--x\r\n"), &html_part])),
        ("alternatives", multipart("alternative", &[
            &part("Content-Type: text/plain", bytes),
            &part("Content-Type: text/x-amp-html", bytes),
            &part("Content-Type: text/watch-html", bytes),
            &part("Content-Type: text/enriched", bytes),
            &part("Content-Type: text/calendar", b"BEGIN:VEVENT\r\nURL:http://evil-901.example/\r\nATTACH:http://evil-901.example/a\r\nEND:VEVENT"),
            &html_part,
        ])),
        ("related, with files shown inline", multipart("related", &[
            &part("Content-Type: text/html", format!(
                "{evil}<img src=cid:svg><iframe src=cid:html></iframe><object data=cid:svg></object>\
                 <a target=_self href=cid:svg>x</a><a href=cid:html>x</a><img src=http://evil-901.example/located>\
                 <svg><use href='cid:svg#a' /></svg><style>@import 'cid:css';p{{background:url(cid:svg)}}</style>"
            ).as_bytes()),
            &part("Content-Type: image/svg+xml\r\nContent-ID: <svg>", svg.as_bytes()),
            &part("Content-Type: text/html\r\nContent-ID: <html>", bytes),
            &part("Content-Type: text/css\r\nContent-ID: <css>", b"@import 'http://evil-901.example/css';"),
            &part("Content-Type: image/png\r\nContent-ID: <svg\" onerror=1>\r\nContent-Location: http://evil-901.example/located", bytes),
        ])),
        ("cid of one letter", multipart("related", &[
            &part("Content-Type: text/html", format!("{evil}<img src=cid:x><li cid:xnk rel=preconnect>").as_bytes()),
            &part("Content-Type: image/png\r\nContent-ID: <x>", bytes),
        ])),
        ("svg", message("Content-Type: image/svg+xml", &svg)),
        ("xhtml", message("Content-Type: application/xhtml+xml", format!("<html xmlns='http://www.w3.org/1999/xhtml'><body>{evil}</body></html>"))),
        ("xml with a stylesheet", message("Content-Type: text/xml", "<?xml-stylesheet type='text/xsl' href='http://evil-901.example/x.xsl'?><x/>")),
        ("html by another case", message("content-type: TEXT/HTML ; CharSet=UTF-8 ; x=\"", bytes)),
        ("html that says it is a file", message("Content-Type: text/html; name=x.exe\r\nContent-Disposition: attachment", bytes)),
        ("two types", message("Content-Type: text/plain\r\nContent-Type: text/html", bytes)),
        ("mixed replace", multipart("x-mixed-replace", &[&html_part, &html_part])),
        ("signed", multipart("signed; protocol=\"application/pgp-signature\"", &[&html_part, &part("Content-Type: application/pgp-signature", bytes)])),
    ]
}

/// The messages that the sandbox refuses, because they have no text and no HTML.
const WITHOUT_BODY: [&str; 6] = [
    "empty parts",
    "no boundary",
    "svg",
    "xhtml",
    "xml with a stylesheet",
    "html that says it is a file",
];

#[test]
fn hostile_message_requests_and_runs_nothing() {
    run(async {
        let (sandbox, client) = sandbox().await;
        let browser = listening().await;
        let messages = messages(&fill(EVIL, 901));
        let (mut decoded, mut refused) = (Vec::new(), Vec::new());
        for (what, message) in &messages {
            let mime = Mime::from_bytes(message.clone());
            let sent = match client.send_mime(mime).await {
                Ok(sent) => sent,
                // Then there is no mail to look at, but the page of the call shows the message.
                Err(error) => {
                    assert!(error.to_string().contains("has no body"), "{what}: {error}");
                    refused.push(*what);
                    let call = sandbox.calls().len() - 1;
                    let page = format!("{}_inbox/calls/{call}", sandbox.inbox_url());
                    browser.goto(&page).await;
                    nothing_happened(&browser, what).await;
                    continue;
                }
            };
            let id = sent.email_id.as_deref().unwrap();
            for part in ["?part=text", "?part=headers", "?part=source"] {
                let page = format!("{}_inbox/mails/{id}{part}", sandbox.inbox_url());
                browser.goto(&page).await;
                nothing_happened(&browser, what).await;
            }
            let page = format!("{}_inbox/mails/{id}", sandbox.inbox_url());
            browser.goto(&page).await;
            nothing_happened(&browser, what).await;
            let Ok(frame) = browser.window.find(Locator::Css("iframe")).await else {
                continue;
            };
            frame.enter_frame().await.unwrap();
            let body = browser.window.find(Locator::Css("body")).await.unwrap();
            if body.text().await.unwrap().contains("decoded") {
                decoded.push(*what);
            }
            browser.window.enter_parent_frame().await.unwrap();
            look_at_id(&browser, &sandbox, id, what).await;
        }
        assert_eq!(refused, WITHOUT_BODY);
        // Otherwise there was nothing to block.
        for what in [
            "utf-7, all of it",
            "utf-16le",
            "utf-16 with a mark, big",
            "utf-32",
        ] {
            assert!(
                decoded.contains(&what),
                "{what} was not decoded; {decoded:?} were"
            );
        }
        assert_eq!(browser.close_and_count_lookups().await, 0);
    });
}
