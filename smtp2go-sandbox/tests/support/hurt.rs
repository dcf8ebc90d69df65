//! Hostile inputs of a given size: mails, searches, templates and requests. At 1 MB, code with
//! quadratic time takes many minutes for them. `tests/hurt.rs` limits the time of each, and
//! `examples/hurt.rs` measures how the time grows.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use smtp2go_sandbox::Sandbox;

/// A case: requests that are sent to a new sandbox, one after the other.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The expected statuses in order, without consecutive duplicates.
    pub(crate) statuses: &'static [u16],
    /// Text that the first reply with 400 must contain. Empty if none is expected.
    pub(crate) refusal: &'static str,
    /// Makes requests of about this total size in bytes.
    pub(crate) requests: fn(usize) -> Vec<Request>,
}

pub(crate) struct Request {
    method: &'static str,
    /// `{id}` is replaced by the id of the first mail.
    path: String,
    body: Vec<u8>,
    /// Use the API key that the last `/api_keys/add` returned, instead of the main key.
    with_last_key: bool,
}

/// Number of mails in cases that list many large mails.
const MANY: usize = 100;

/// Placeholder at the end of a form for the token of the sandbox's pages.
const TOKEN: &str = "{token}";

/// The result of a case.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) time: Duration,
    /// Size of the longest reply in bytes.
    pub(crate) longest: usize,
    /// The statuses in order, without consecutive duplicates.
    pub(crate) statuses: Vec<u16>,
    /// The first reply with 400.
    pub(crate) refusal: String,
}

/// Sends the requests of a case, each after the reply to the previous one, and calls `answered` after
/// each reply.
pub(crate) fn run(row: &Row, size: usize, answered: impl Fn()) -> io::Result<Outcome> {
    let requests = (row.requests)(size);
    let sandbox = Sandbox::start_blocking()?;
    let mut key = String::new();
    let mut outcome = Outcome::default();
    for request in requests {
        let mut path = request.path;
        if path.contains("{id}") {
            let mails = sandbox.mails();
            let id = mails.first().map(smtp2go_sandbox::Mail::email_id);
            path = path.replace("{id}", id.unwrap_or_default());
        }
        let mut body = request.body;
        if body.ends_with(TOKEN.as_bytes()) {
            let (_, page) = exchange(&sandbox, "GET", "/_inbox/reset", "", b"")?;
            let page = String::from_utf8_lossy(&page);
            let token = page.split("name=\"token\" value=\"").nth(1);
            let token = token.and_then(|rest| rest.split('"').next());
            body.truncate(body.len() - TOKEN.len());
            body.extend_from_slice(format!("token={}", token.unwrap_or_default()).as_bytes());
        }
        let with = match request.with_last_key {
            true => &key,
            false => sandbox.key(),
        };
        let begun = Instant::now();
        let reply = exchange(&sandbox, request.method, &path, with, &body)?;
        outcome.time += begun.elapsed();
        let (status, body) = reply;
        if outcome.statuses.last() != Some(&status) {
            outcome.statuses.push(status);
        }
        if status == 400 && outcome.refusal.is_empty() {
            outcome.refusal = String::from_utf8_lossy(&body).into_owned();
        }
        answered();
        outcome.longest = outcome.longest.max(body.len());
        if path == "/v3/api_keys/add"
            && let Ok(reply) = serde_json::from_slice::<Value>(&body)
            && let Some(made) = reply["data"][0]["api_key"].as_str()
        {
            made.clone_into(&mut key);
        }
    }
    Ok(outcome)
}

fn exchange(
    sandbox: &Sandbox,
    method: &str,
    path: &str,
    key: &str,
    body: &[u8],
) -> io::Result<(u16, Vec<u8>)> {
    let address = sandbox.base_url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address.trim_end_matches("/v3"))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         X-Smtp2go-Api-Key: {key}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    let status = reply
        .get(9..12)
        .and_then(|status| std::str::from_utf8(status).ok());
    let status = status.and_then(|status| status.parse().ok()).unwrap_or(0);
    let head = reply.windows(4).position(|four| four == b"\r\n\r\n");
    let body = reply.split_off(head.map_or(reply.len(), |head| head + 4));
    Ok((status, body))
}

/// Returns a request to the API.
fn call(path: &str, body: &Value) -> Request {
    raw_call(path, body.to_string().into_bytes())
}

fn raw_call(path: &str, body: Vec<u8>) -> Request {
    Request {
        method: "POST",
        path: format!("/v3/{path}"),
        body,
        with_last_key: false,
    }
}

/// Returns a POST request to the inbox or the admin endpoints.
fn own(path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request {
        method: "POST",
        path: path.to_owned(),
        body: body.into(),
        with_last_key: false,
    }
}

fn get(path: impl Into<String>) -> Request {
    Request {
        method: "GET",
        path: path.into(),
        body: Vec::new(),
        with_last_key: false,
    }
}

/// Returns a mail with these fields.
fn mail(fields: Value) -> Value {
    let mut mail = json!({ "sender": "a@example.com", "to": ["b@example.net"], "subject": "Hi",
                           "text_body": "Hello" });
    if let (Value::Object(mail), Value::Object(fields)) = (&mut mail, fields) {
        mail.extend(fields);
    }
    mail
}

/// Sends a mail, and requests every page and list that shows it.
fn looked_at(sent: Request) -> Vec<Request> {
    let mut requests = vec![sent, get("/")];
    for part in [
        "",
        "?part=text",
        "?part=headers",
        "?part=source",
        "?part=request",
        "?part=checks",
        "/html",
        "/raw",
    ] {
        requests.push(get(format!("/_inbox/mails/{{id}}{part}")));
    }
    requests.push(get("/_inbox/calls/0"));
    requests.push(get("/_sandbox/mails/{id}"));
    requests.push(get("/_sandbox/calls/1"));
    requests.push(call("archive/search", &json!({})));
    requests.push(call(
        "activity/search",
        &json!({ "include_headers": true, "limit": 1000 }),
    ));
    requests
}

/// Sends a mail with this HTML, repeated, and requests its pages.
fn html(size: usize, text: &str) -> Vec<Request> {
    let mail = mail(json!({ "html_body": fill(size, text) }));
    shown(call("email/send", &mail))
}

/// Sends a mail, and requests its pages and its HTML.
fn shown(sent: Request) -> Vec<Request> {
    vec![
        sent,
        get("/"),
        get("/_inbox/mails/{id}"),
        get("/_inbox/mails/{id}?part=checks"),
        get("/_inbox/mails/{id}/html"),
    ]
}

/// Sends a mail with these style rules, repeated, in a `<style>` element and in a `style` attribute.
fn css(size: usize, text: &str) -> Vec<Request> {
    let css = fill(size / 2, text);
    let html = format!("<p style=\"{css}\"><style>{css}");
    shown(call("email/send", &mail(json!({ "html_body": html }))))
}

/// Sends a MIME message, and requests the pages that parse it.
fn mime(message: &str) -> Vec<Request> {
    vec![
        call(
            "email/mime",
            &json!({ "mime_email": base64(message.as_bytes()) }),
        ),
        get("/"),
        get("/_inbox/mails/{id}?part=headers"),
        call("activity/search", &json!({})),
    ]
}

/// Sends a message with these headers, repeated.
fn headers(size: usize, headers: &str) -> Vec<Request> {
    let headers = fill(size * 3 / 4, headers);
    mime(&format!(
        "From: a@example.com\r\nTo: b@example.net\r\nX: y\r\n{headers}\r\n\r\nHello\r\n"
    ))
}

/// Sends a message with this part and a text part, because a message without a body is refused.
fn beside_a_text(part: &str) -> Vec<Request> {
    mime(&format!(
        "From: a@example.com\r\nTo: b@example.net\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=first\r\n\r\n--first\r\n\r\nHello\r\n\
         --first\r\n{part}"
    ))
}

/// Sends a message with this part, repeated.
fn parts(size: usize, part: &str) -> Vec<Request> {
    let parts = fill(size * 3 / 4, part);
    beside_a_text(&format!(
        "Content-Type: multipart/mixed; boundary=x\r\n\r\n{parts}\r\n--x--\r\n"
    ))
}

/// Sends a message with one part with this header and this text, repeated.
fn part(size: usize, header: &str, text: &str) -> Vec<Request> {
    let text = fill(size * 3 / 4, text);
    beside_a_text(&format!("{header}\r\n\r\n{text}\r\n"))
}

/// Repeats a text until it has about `size` bytes.
fn fill(size: usize, text: &str) -> String {
    text.repeat(size / text.len())
}

/// Makes texts from ascending numbers, until they have about `size` bytes together with their separators.
fn numbered(size: usize, text: impl Fn(usize) -> String) -> Vec<String> {
    let mut texts = Vec::new();
    let mut bytes = 0;
    while bytes < size {
        let text = text(texts.len());
        bytes += text.len() + 3;
        texts.push(text);
    }
    texts
}

/// Makes 100 long terms, the maximum of a search.
fn long_terms(size: usize) -> Vec<String> {
    (0..100)
        .map(|number| format!("{number}{}", fill(size / 250, "x")))
        .collect()
}

fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn template(text: &str) -> Request {
    let template = json!({ "id": "welcome", "template_name": "Welcome", "subject": "Hi",
                           "html_body": text, "text_body": "Hello" });
    call("template/add", &template)
}

/// Repeats a tag, padded to 128 bytes. With denser tags, the template would exceed the account's memory
/// limit and be refused before it is parsed.
fn tags(size: usize, tag: &str) -> String {
    fill(size - 500, &format!("{tag:x<128}"))
}

/// Adds a template, and sends a mail that renders it with this data.
fn filled_in(text: &str, data: &Value) -> Vec<Request> {
    let mail = mail(json!({ "template_id": "welcome", "template_data": data }));
    vec![
        template(text),
        call("email/send", &mail),
        get("/_inbox/mails/{id}"),
    ]
}

/// Makes a batch of as many mails as fit, with recipients by number.
fn batch(size: usize, recipient: impl Fn(usize) -> String) -> Request {
    let mails = (0..size / 120).map(|number| {
        json!({ "sender": "a@example.com", "to": [recipient(number)], "subject": "a",
                "html_body": "<a href=http://a>" })
    });
    call(
        "email/batch",
        &json!({ "emails": mails.collect::<Vec<_>>() }),
    )
}

/// Adds a webhook for all events at a port without a listener.
fn webhook(headers: &[String]) -> Request {
    let events = [
        "processed",
        "delivered",
        "open",
        "click",
        "bounce",
        "spam",
        "unsubscribe",
        "reject",
    ];
    let webhook = json!({ "url": "http://127.0.0.1:1/", "events": events, "headers": headers,
                          "sms_events": ["sending", "submitted", "delivered"], "output_format": "json" });
    call("webhook/add", &webhook)
}

/// Makes recipients who click the first link.
fn clickers(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("click+{number}@example.net"))
        .collect()
}

/// Advances the clock so that all events happen.
fn later() -> Request {
    own("/_sandbox/clock/advance", "{\"seconds\": 60}")
}

/// Adds a long list twice, replaces, removes and adds it again, and sends mail to its addresses.
fn list(size: usize, path: &str, field: &str) -> Vec<Request> {
    let entries = numbered(size / 2, |number| format!("{number}@example.net"));
    let request = json!({ field: entries, "mode": "whitelist", "enabled": true });
    let mut requests: Vec<_> = ["add", "add", "update", "remove", "add", "view"]
        .iter()
        .map(|action| call(&format!("{path}/{action}"), &request))
        .collect();
    requests.push(batch(size / 2, |number| format!("{number}@example.net")));
    requests
}

pub(crate) const ROWS: &[Row] = &[
    // HTML.
    Row {
        name: "links without an end",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "href=http://"),
    },
    Row {
        name: "links without a value",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "href "),
    },
    Row {
        name: "links in open quotes",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<a href=\"http://'"),
    },
    Row {
        name: "links by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<a href=http://a>a</a>"),
    },
    Row {
        name: "a long link that many follow",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let html = format!("<a href=\"http://{}\">", "a".repeat(size));
            let mail = mail(json!({ "html_body": html, "to": clickers(100), "cc": clickers(100) }));
            let mut requests = vec![webhook(&[])];
            requests.extend([call("email/send", &mail), later(), get("/_sandbox/events")]);
            requests
        },
    },
    Row {
        name: "an image that is shown often",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let image = json!({ "filename": "a", "mimetype": "image/png",
                                "fileblob": base64(&vec![0; size / 4]) });
            let html = fill(size / 2, "<img src=cid:a>");
            shown(call(
                "email/send",
                &mail(json!({ "html_body": html, "inlines": [image] })),
            ))
        },
    },
    Row {
        name: "references to no image",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let image = json!({ "filename": "cid:a", "mimetype": "image/png", "fileblob": "aGk=" });
            let html = fill(size, "cid:");
            shown(call(
                "email/send",
                &mail(json!({ "html_body": html, "inlines": [image] })),
            ))
        },
    },
    Row {
        name: "images by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let names = numbered(size / 8, |number| number.to_string());
            let images: Vec<_> = names
                .iter()
                .map(
                    |name| json!({ "filename": name, "mimetype": "image/png", "fileblob": "aGk=" }),
                )
                .collect();
            let html: String = names
                .iter()
                .map(|name| format!("<img src=cid:{name}>"))
                .collect();
            shown(call(
                "email/send",
                &mail(json!({ "html_body": html, "inlines": images })),
            ))
        },
    },
    Row {
        name: "open tags",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<link<"),
    },
    // The checks of a mail.
    Row {
        name: "checks: signs without tags",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<"),
    },
    Row {
        name: "checks: elements in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<div>"),
    },
    Row {
        name: "checks: attributes of one element",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let attributes = numbered(size, |number| format!("a{number}=\"b\"")).join(" ");
            let html = format!("<p {attributes} {}>", fill(size / 8, "href=a src=b alt=c "));
            shown(call("email/send", &mail(json!({ "html_body": html }))))
        },
    },
    Row {
        name: "checks: open comments",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<!--<!"),
    },
    Row {
        name: "checks: references",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<a href=&am>&notit&#x"),
    },
    Row {
        name: "checks: links that are suspicious in each way",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "<a href=\"http://a@localhost/{{b\">c.example</a>"),
    },
    Row {
        name: "checks: a link with a long text",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let html = format!("<a href=http://a>{}", fill(size / 2, "a<b>"));
            let text = fill(size / 2, "{{ {%");
            let mail = mail(json!({ "html_body": html, "text_body": text, "subject": text }));
            shown(call("email/send", &mail))
        },
    },
    Row {
        name: "checks: URLs in a text",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            ["http://", "http://a ", "://", "xhttp://a\n"]
                .into_iter()
                .flat_map(|text| {
                    let mail = mail(json!({ "text_body": fill(size, text) }));
                    shown(call("email/send", &mail))
                })
                .collect()
        },
    },
    Row {
        name: "checks: rules and declarations",
        statuses: &[200],
        refusal: "",
        requests: |size| css(size, "a:hover,.b>c{d:calc(1px + 2em) url(e.png)}"),
    },
    Row {
        name: "checks: open blocks",
        statuses: &[200],
        refusal: "",
        requests: |size| css(size, "@media(a){b{"),
    },
    Row {
        name: "checks: open brackets in a selector",
        statuses: &[200],
        refusal: "",
        requests: |size| css(size, "a:b(["),
    },
    Row {
        name: "checks: open quotes and comments in a style sheet",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let mut requests = css(size, "a{b:'c/*");
            requests.extend(css(size, "a:url(;\\"));
            requests
        },
    },
    Row {
        name: "checks: candidates of one image",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let html = format!("<img srcset=\"{}\">", fill(size, "a.png, "));
            shown(call("email/send", &mail(json!({ "html_body": html }))))
        },
    },
    Row {
        name: "checks: a long List-Unsubscribe",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let header = |name, text| json!({ "header": name, "value": fill(size / 6, text) });
            let headers = json!([
                header("List-Unsubscribe", "<"),
                header("In-Reply-To", "<("),
                header("Message-ID", "<@"),
                header("Date", "1 "),
                header("Auto-Submitted", ";"),
            ]);
            shown(call(
                "email/send",
                &mail(json!({ "custom_headers": headers })),
            ))
        },
    },
    Row {
        name: "tags by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let header = |value: String| json!([{ "header": "X-Tags", "value": value }]);
            let many = numbered(size / 2, |number| format!("t{number}")).join(",");
            let mut requests = Vec::new();
            for value in [
                many,
                fill(size / 2, "a,"),
                fill(size / 2, ","),
                fill(size / 2, "É"),
            ] {
                requests.extend(shown(call(
                    "email/send",
                    &mail(json!({ "custom_headers": header(value) })),
                )));
            }
            let search = fill((size / 2).min(60_000), "tag:%22a+");
            requests.push(get(format!("/?q={search}")));
            requests
        },
    },
    Row {
        name: "small images by the thousand",
        statuses: &[200, 404],
        refusal: "",
        requests: |size| {
            let image = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01";
            let image = json!({ "filename": "a.png", "fileblob": base64(image) });
            let mut jpeg = b"\xff\xd8".to_vec();
            jpeg.extend(b"\xff\xd8\0\x02".repeat(size / 16));
            let jpeg = json!({ "filename": "a.jpg", "fileblob": base64(&jpeg) });
            let mut files = vec![image; size / 200];
            files.push(jpeg);
            let last = files.len() - 1;
            let mut requests = shown(call("email/send", &mail(json!({ "attachments": files }))));
            requests.push(get("/_inbox/mails/{id}/files/0/image"));
            requests.push(get(format!("/_inbox/mails/{{id}}/files/{last}/image")));
            requests
        },
    },
    Row {
        name: "letters that grow in lower case",
        statuses: &[200],
        refusal: "",
        requests: |size| html(size, "\u{130}"),
    },
    Row {
        name: "a long text",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            looked_at(call(
                "email/send",
                &mail(json!({ "text_body": fill(size, "é\n") })),
            ))
        },
    },
    // Other parts of a mail.
    Row {
        name: "headers by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let header = json!({ "header": "a", "value": "é" });
            let headers = vec![header; size / 30];
            let names: Vec<_> = (0..100).map(|number| format!("X-{number}")).collect();
            let mail = mail(json!({ "custom_headers": headers, "to": clickers(5) }));
            vec![
                webhook(&names),
                call("email/send", &mail),
                get("/_inbox/mails/{id}?part=headers"),
                get("/_inbox/mails/{id}?part=source"),
                later(),
                call("activity/search", &json!({ "include_headers": true })),
            ]
        },
    },
    Row {
        name: "a long header for the webhooks of many recipients",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let headers = json!([{ "header": "X-Long", "value": fill(size, "a") }]);
            let mail = mail(json!({ "custom_headers": headers, "to": clickers(100) }));
            let mut requests = vec![webhook(&["X-Long".to_owned(), "To".to_owned()])];
            requests.extend([call("email/send", &mail), later(), get("/_inbox/webhooks")]);
            requests.push(get("/_sandbox/webhooks"));
            requests
        },
    },
    Row {
        name: "a long subject of a mail to many",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let to = |kind: &str| -> Vec<_> {
                let numbers = 0..20;
                numbers
                    .map(|number| format!("{kind}+{number}@example.net"))
                    .collect()
            };
            let mail = mail(
                json!({ "subject": fill(size, "É"), "to": to("open"), "cc": to("bounce"),
                                    "bcc": to("spam") }),
            );
            let filter = json!({ "search": "x|y|z", "search_subject": "x", "limit": 1000 });
            let query = "subject:x OR subject:y OR subject:z";
            let query = json!({ "filter_query": query, "ignore_case": true });
            vec![
                webhook(&[]),
                call("email/send", &mail),
                later(),
                call("activity/search", &filter),
                call("activity/search", &json!({ "limit": 1000 })),
                call("email/search", &query),
                call("email/search", &json!({})),
                call("suppression/view", &json!({})),
                get("/_sandbox/webhooks"),
            ]
        },
    },
    Row {
        name: "long names of many recipients",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let name = fill(size / 60, "é");
            let to = |kind: &str| -> Vec<_> {
                (0..20)
                    .map(|number| format!("{name} <{kind}+{number}@example.net>"))
                    .collect()
            };
            let mail = mail(json!({ "to": to("open"), "cc": to("bounce"), "bcc": to("click") }));
            let mut requests = vec![webhook(&["To".to_owned()])];
            requests.extend([call("email/send", &mail), later()]);
            requests.push(call(
                "activity/search",
                &json!({ "include_headers": true, "limit": 1000 }),
            ));
            requests.push(call("stats/email_history", &json!({})));
            requests.push(get("/_inbox/mails/{id}"));
            requests
        },
    },
    Row {
        name: "files by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let file = json!({ "filename": "a", "fileblob": "" });
            shown(call(
                "email/send",
                &mail(json!({ "attachments": vec![file; size / 30] })),
            ))
        },
    },
    Row {
        name: "a long file",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let file =
                json!({ "filename": fill(size / 2, "é"), "fileblob": fill(size / 2, " a GVs") });
            shown(call("email/send", &mail(json!({ "attachments": [file] }))))
        },
    },
    // MIME.
    Row {
        name: "mime: headers by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| headers(size, "a:b\r\n"),
    },
    Row {
        name: "mime: a folded header",
        statuses: &[200],
        refusal: "",
        requests: |size| headers(size, " a\r\n"),
    },
    Row {
        name: "mime: encoded words",
        statuses: &[200],
        refusal: "",
        requests: |size| headers(size, "Subject: =?utf-8?q?a?=\r\n"),
    },
    Row {
        name: "mime: one subject of encoded words",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let words = fill(size * 3 / 4, "=?utf-8?q?a?= ");
            mime(&format!(
                "From: {words} <a@example.com>\r\nTo: b@example.net\r\nSubject: {words}\r\n\r\nHello\r\n"
            ))
        },
    },
    Row {
        name: "mime: open encoded words",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let words = fill(size / 4, "=?utf-8?q?");
            mime(&format!(
                "From: {words} <a@example.com>\r\nTo: b@example.net\r\nSubject: {words}\r\n\
                 X: {words}\r\n\r\nHello\r\n"
            ))
        },
    },
    Row {
        name: "mime: as many recipients as it may have",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let to: Vec<_> = (0..400)
                .map(|number| format!("open+{number}@example.net"))
                .collect();
            let more = fill(size / 2, "a:b\r\n");
            let mut requests = vec![webhook(&["a".to_owned(), "To".to_owned()])];
            requests.extend(mime(&format!(
                "From: a@example.com\r\nTo: {}\r\n{more}\r\nHello\r\n",
                to.join(", ")
            )));
            requests.push(later());
            requests
        },
    },
    Row {
        name: "mime: recipients by the thousand",
        statuses: &[400, 200, 404, 200],
        refusal: "more than 1000 recipients",
        requests: |size| {
            let to = numbered(size * 3 / 4, |number| format!("{number}@a.example"));
            mime(&format!(
                "From: a@example.com\r\nTo: {}\r\n\r\nHello\r\n",
                to.join(", ")
            ))
        },
    },
    Row {
        name: "mime: one recipient by the thousand",
        statuses: &[400, 200, 404, 200],
        refusal: "more than 1000 recipients",
        requests: |size| {
            let to = fill(size * 3 / 4, "b@a.example,");
            mime(&format!("From: a@example.com\r\nTo: {to}\r\n\r\nHello\r\n"))
        },
    },
    Row {
        name: "mime: comments in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let (open, close) = (fill(size / 6, "("), fill(size / 6, ")"));
            mime(&format!(
                "From: a@example.com {open}{close}\r\nTo: b@example.net {open}{close}\r\n\
                 Date: {open}\r\n\r\nHello\r\n"
            ))
        },
    },
    Row {
        name: "mime: open quotes and groups",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let open = fill(size / 4, "\"<a:");
            let (quoted, groups) = (fill(size / 4, "<a:"), fill(size / 4, "a:;,"));
            mime(&format!(
                "From: \"{quoted}\" <a@example.com>\r\nTo: {groups}b@example.net\r\n\
                 References: {open}\r\n\r\nHello\r\n"
            ))
        },
    },
    Row {
        name: "mime: an open quote",
        statuses: &[400, 200, 404, 200],
        refusal: "From",
        requests: |size| {
            let open = fill(size * 3 / 4, "\"<a:");
            mime(&format!(
                "From: {open}\r\nTo: b@example.net\r\n\r\nHello\r\n"
            ))
        },
    },
    Row {
        name: "mime: parameters by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let names = numbered(size * 3 / 4, |number| format!("; name*{number}*=utf-8''a"));
            let names = names.concat();
            beside_a_text(&format!(
                "Content-Type: image/png{names}\r\nContent-Disposition: attachment{names}\r\n\r\nHello\r\n"
            ))
        },
    },
    Row {
        name: "mime: empty parts",
        statuses: &[200],
        refusal: "",
        requests: |size| parts(size, "--x\r\n\r\n\r\n"),
    },
    Row {
        name: "mime: texts by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| parts(size, "--x\r\nContent-Type: text/html\r\n\r\na\r\n"),
    },
    Row {
        name: "mime: boundaries that are none",
        statuses: &[200],
        refusal: "",
        requests: |size| parts(size, "--y\r\n"),
    },
    Row {
        name: "mime: dashes",
        statuses: &[200],
        refusal: "",
        requests: |size| parts(size, "-"),
    },
    Row {
        name: "mime: multiparts in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let parts = numbered(size / 2, |number| {
                format!(
                    "Content-Type: multipart/mixed; boundary=\"b{number}\"\r\n\r\n--b{number}\r\n"
                )
            });
            let message = parts.concat();
            beside_a_text(&format!("{message}\r\nHello\r\n"))
        },
    },
    Row {
        name: "mime: multiparts of one boundary in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            part(
                size,
                "Content-Type: multipart/mixed; boundary=x",
                "--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
            )
        },
    },
    Row {
        name: "mime: messages in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            part(
                size,
                "Content-Type: message/rfc822",
                "Content-Type: message/rfc822\r\n\r\n",
            )
        },
    },
    Row {
        name: "mime: digests in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            part(
                size,
                "Content-Type: multipart/digest; boundary=x",
                "--x\r\n\r\nContent-Type: multipart/digest; boundary=x\r\n\r\n",
            )
        },
    },
    Row {
        name: "mime: encoded messages in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let mut message = "From: a@example.com\r\n\r\nHello\r\n".to_owned();
            while message.len() < size / 2 {
                let header = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64";
                message = format!("{header}\r\n\r\n{}", base64(message.as_bytes()));
            }
            beside_a_text(&message)
        },
    },
    Row {
        name: "mime: messages in parts in one another",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            part(
                size,
                "Content-Type: multipart/mixed; boundary=x",
                "--x\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
            )
        },
    },
    Row {
        name: "mime: quoted-printable",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            part(
                size,
                "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable",
                "=\r\n=E",
            )
        },
    },
    Row {
        name: "mime: base64 with rubbish in it",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            part(
                size,
                "Content-Type: image/png\r\nContent-Transfer-Encoding: base64",
                "aGk= -",
            )
        },
    },
    Row {
        name: "mime: utf-7",
        statuses: &[200],
        refusal: "",
        requests: |size| part(size, "Content-Type: text/html; charset=utf-7", "+ADw-"),
    },
    Row {
        name: "mime: no end of the headers",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let rest = fill(size * 3 / 4, "a");
            mime(&format!(
                "From: a@example.com\r\nTo: b@example.net\r\n{rest}"
            ))
        },
    },
    // Many mails.
    Row {
        name: "mails with long recipients, and lists of them",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let name = fill(size * 9 / 1_000, "a");
            let to: Vec<_> = (0..100)
                .map(|number| format!("{name} <b{number}@example.net>"))
                .collect();
            let mail = json!({ "sender": "a@example.com", "to": to, "subject": "a",
                               "text_body": "a" });
            let mail = mail.to_string().into_bytes();
            let mut requests: Vec<_> = (0..MANY)
                .map(|_| raw_call("email/send", mail.clone()))
                .collect();
            for path in [
                "/_sandbox/mails",
                "/_sandbox/mails?limit=1000000",
                "/_sandbox/mails?to=b7@example.net",
                "/_sandbox/mails?to=none@example.net",
                "/_sandbox/events",
                "/",
                "/?q=b99",
                "/?q=nothing",
                "/_inbox/mails/{id}",
            ] {
                requests.push(get(path));
            }
            requests
        },
    },
    Row {
        name: "mails with a long subject and sender, and lists of them",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let long = fill(size * 9 / 20, "é");
            let mail =
                mail(json!({ "sender": format!("{long} <a@example.com>"), "subject": long }));
            let mail = mail.to_string().into_bytes();
            let mut requests: Vec<_> = (0..MANY)
                .map(|_| raw_call("email/send", mail.clone()))
                .collect();
            for path in [
                "/_sandbox/mails",
                "/_sandbox/mails?subject=a",
                "/",
                "/?q=nothing",
                "/_sandbox/calls",
                "/_inbox/calls",
            ] {
                requests.push(get(path));
            }
            requests
        },
    },
    Row {
        name: "a batch that is opened",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let mut requests = vec![
                batch(size, |number| format!("open+{number}@example.net")),
                later(),
                get("/"),
                get("/?q=a+b+c"),
                get("/_sandbox/mails?to=open%2B0@example.net"),
            ];
            for path in [
                "activity/search",
                "email/search",
                "archive/search",
                "stats/email_history",
            ] {
                requests.push(call(path, &json!({ "limit": 1000 })));
            }
            requests.push(call("stats/email_summary", &json!({})));
            requests
        },
    },
    Row {
        name: "a batch that bounces, and another one",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let bounce = |number| format!("bounce+{number}@example.net");
            vec![
                batch(size / 2, bounce),
                later(),
                batch(size / 2, bounce),
                later(),
                call("suppression/view", &json!({})),
            ]
        },
    },
    Row {
        name: "a batch that waits for its time",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let in_an_hour = SystemTime::now() + Duration::from_secs(3_600);
            let seconds = in_an_hour
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs();
            let mails = (0..size / 250).map(|number| {
                mail(json!({ "to": [format!("{number}@example.net")], "schedule": seconds }))
            });
            vec![
                call(
                    "email/batch",
                    &json!({ "emails": mails.collect::<Vec<_>>() }),
                ),
                call(
                    "email/scheduled/search",
                    &json!({ "search": fill(size / 2, "É") }),
                ),
            ]
        },
    },
    Row {
        name: "text messages with a long text",
        statuses: &[200, 400, 200],
        refusal: "content",
        requests: |size| {
            let to: Vec<_> = (0..100)
                .map(|number| format!("+1555555{number:04}"))
                .collect();
            let mut requests = vec![webhook(&[])];
            requests.push(call(
                "sms/send",
                &json!({ "destination": to, "content": fill(size - 4_000, "é") }),
            ));
            requests.push(call(
                "sms/send",
                &json!({ "destination": to, "content": "é".repeat(9_999) }),
            ));
            requests.push(later());
            requests.push(get("/_inbox/sms"));
            requests.push(get("/_sandbox/sms"));
            requests.push(call("sms/summary", &json!({})));
            requests.push(call("sms/view-sent", &json!({})));
            requests
        },
    },
    // Lists.
    Row {
        name: "allowed senders",
        statuses: &[200, 400],
        refusal: "do not include the sender a@example.com",
        requests: |size| list(size, "allowed_senders", "allowed_senders"),
    },
    Row {
        name: "allowed recipients",
        statuses: &[200],
        refusal: "",
        requests: |size| list(size, "allowed_recipients", "allowed_recipients"),
    },
    Row {
        name: "endpoints of a key",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let endpoints: Vec<_> = (0..100)
                .map(|number| format!("/{number}{}", fill(size / 250, "*0")))
                .collect();
            let mut requests = vec![call(
                "api_keys/add",
                &json!({ "endpoints": ["/api_keys/add", "*0*0*0"] }),
            )];
            let mut add = call("api_keys/add", &json!({ "endpoints": endpoints }));
            add.with_last_key = true;
            requests.push(add);
            requests.push(call("api_keys/add", &json!({ "endpoints": endpoints })));
            requests.push(call(
                "api_keys/view",
                &json!({ "search": fill(size / 2, "é") }),
            ));
            requests
        },
    },
    Row {
        name: "events and headers of a webhook",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let names = numbered(size / 4, |number| format!("X-{number}"));
            let webhook = json!({ "url": "http://127.0.0.1:1/", "events": names,
                                  "headers": names.get(..100), "usernames": names.get(..100) });
            vec![
                call("webhook/add", &webhook),
                call("email/send", &mail(json!({}))),
                later(),
            ]
        },
    },
    Row {
        name: "subaccounts of a domain and of a search",
        statuses: &[200, 400, 200],
        refusal: "does not exist",
        requests: |size| {
            let ids = numbered(size / 2, |number| number.to_string());
            let same = vec!["381204"; size / 20];
            let terms = long_terms(size);
            vec![
                call("email/send", &mail(json!({}))),
                call(
                    "domain/add",
                    &json!({ "domain": "example.com", "subaccount_access": { "subaccounts": ids } }),
                ),
                call("activity/search", &json!({ "subaccounts": ids })),
                call("stats/email_history", &json!({ "subaccounts": same })),
                call("subaccounts/search", &json!({ "search_terms": terms })),
            ]
        },
    },
    Row {
        name: "labels of a domain",
        statuses: &[400, 200, 400],
        refusal: "domain",
        requests: |size| {
            vec![
                call(
                    "domain/add",
                    &json!({ "domain": fill(size - 500, "a.") + "a" }),
                ),
                call("domain/view", &json!({})),
                call(
                    "single_sender_emails/add",
                    &json!({ "email_address": "a@".to_owned() + &fill(size - 500, "a.") + "a" }),
                ),
            ]
        },
    },
    Row {
        name: "reasons to lift a suppression for",
        statuses: &[200, 400, 200],
        refusal: "more than 100 items",
        requests: |size| {
            let reasons = numbered(size / 2, |number| number.to_string());
            vec![
                batch(size / 2, |number| format!("bounce+{number}@example.net")),
                later(),
                call(
                    "suppression/remove",
                    &json!({ "email_address": "a@example.net", "reasons": reasons }),
                ),
                call(
                    "suppression/view",
                    &json!({ "recipients": reasons, "fuzzy": true, "start_date": "2000-01-01" }),
                ),
                call("suppression/view", &json!({ "reasons": reasons })),
                call(
                    "suppression/view",
                    &json!({ "recipients": long_terms(size), "fuzzy": true, "start_date": "2000-01-01" }),
                ),
            ]
        },
    },
    // Searches.
    Row {
        name: "a query of terms by the thousand",
        statuses: &[200, 400, 200, 400, 200],
        refusal: "more than 100 items",
        requests: |size| {
            vec![
                call(
                    "email/send",
                    &mail(json!({ "subject": fill(size / 2, "é"), "to": clickers(100) })),
                ),
                later(),
                call(
                    "email/search",
                    &json!({ "filter_query": fill(size / 2, "subject:a OR ") + "subject:b", "ignore_case": true }),
                ),
                call(
                    "email/search",
                    &json!({ "filter_query": format!("subject:{}", long_terms(size).join(" OR subject:")),
                             "ignore_case": true }),
                ),
                call(
                    "email/search",
                    &json!({ "filter_query": fill(size / 2, "subject:a ") }),
                ),
                call(
                    "email/search",
                    &json!({ "filter_query": fill(size / 2, "NOT ") }),
                ),
                call(
                    "email/search",
                    &json!({ "email_id": numbered(size / 2, |number| number.to_string()) }),
                ),
            ]
        },
    },
    Row {
        name: "a long term in a long text",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let text = fill(size / 2, "a");
            let term = fill(size / 5, "a") + "b" + &fill(size / 5, "a");
            let query = json!({ "filter_query": format!("subject:{term}"), "ignore_case": true });
            vec![
                call(
                    "email/send",
                    &mail(json!({ "subject": text, "to": clickers(100) })),
                ),
                later(),
                call("email/search", &query),
                call("activity/search", &json!({ "search": term })),
                call("archive/search", &json!({ "headers": term })),
            ]
        },
    },
    Row {
        name: "activity: terms by the thousand",
        statuses: &[200, 400, 200, 400],
        refusal: "more than 100 items",
        requests: |size| {
            vec![
                call(
                    "email/send",
                    &mail(json!({ "subject": fill(size / 2, "é"), "to": clickers(100) })),
                ),
                later(),
                call(
                    "activity/search",
                    &json!({ "search": fill(size / 2, "a|") }),
                ),
                call(
                    "activity/search",
                    &json!({ "search": long_terms(size).join("|") }),
                ),
                call(
                    "activity/search",
                    &json!({ "search_usernames": numbered(size / 2, |number| number.to_string()) }),
                ),
                call(
                    "activity/search",
                    &json!({ "event_types": ["opened"], "custom_headers": numbered(size / 2, |number| number.to_string()) }),
                ),
                call(
                    "activity/search",
                    &json!({ "custom_headers": numbered(size / 2, |number| number.to_string()) }),
                ),
            ]
        },
    },
    Row {
        name: "templates: terms and tags by the thousand",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let names = numbered(size / 4, |number| number.to_string());
            let template = json!({ "id": "welcome", "template_name": "a", "subject": fill(size / 4, "é"),
                                   "html_body": "a", "text_body": "a", "tags": names });
            vec![
                call("template/add", &template),
                call(
                    "template/search",
                    &json!({ "search_terms": long_terms(size), "fuzzy_search": true }),
                ),
                call(
                    "template/search",
                    &json!({ "tags": numbered(size / 4, |number| format!("x{number}")) }),
                ),
            ]
        },
    },
    Row {
        name: "the inbox: words by the thousand",
        statuses: &[200, 404, 200],
        refusal: "",
        requests: |size| {
            // The HTTP server does not accept a URL of 1 MB.
            let words = numbered((size / 2).min(60_000), |number| number.to_string()).join("+");
            let mut requests = vec![
                call(
                    "email/send",
                    &mail(json!({ "text_body": fill(size / 2, "é") })),
                ),
                raw_call(&fill((size / 2).min(50_000), "a"), Vec::new()),
            ];
            for _ in 0..20 {
                requests.push(call(
                    "email/send",
                    &mail(json!({ "text_body": "a".repeat(60_000) })),
                ));
            }
            requests.push(get(format!("/?q={words}")));
            requests.push(get(format!("/_inbox/calls?q={words}")));
            requests
        },
    },
    Row {
        name: "the inbox: long templates, webhooks, suppressions and calls",
        statuses: &[200, 303, 200],
        refusal: "",
        requests: |size| {
            let words = numbered((size / 2).min(60_000), |number| number.to_string()).join("+");
            let long = fill(size / 8, "é");
            let template = json!({ "id": "welcome", "template_name": "a", "subject": "{{ a }}",
                                   "html_body": fill(size / 4, "<p>é"), "text_body": "{{ a }}",
                                   "template_variables": { "a": long } });
            let webhook = json!({ "url": format!("http://127.0.0.1:9/{}", fill((size / 2).min(50_000), "a")),
                                  "events": ["processed", "delivered"],
                                  "custom_headers": { "a": long } });
            let suppression = json!({ "email_address": "kim@example.com", "block_description": fill(size / 2, "é") });
            let object: serde_json::Map<_, _> = numbered(size / 2, |number| number.to_string())
                .into_iter()
                .map(|name| (name, json!([{}])))
                .collect();
            let mut requests = vec![
                call("template/add", &template),
                call("webhook/add", &webhook),
                call("suppression/add", &suppression),
                call("email/search", &object.into()),
                call(
                    "email/send",
                    &mail(json!({ "to": clickers(100), "subject": fill(size / 4, "é") })),
                ),
                later(),
                own(
                    "/_inbox/clock",
                    format!("do=advance&by={}1s&", fill(size / 2, "0")) + TOKEN,
                ),
            ];
            for page in [
                "registered",
                "templates",
                "suppressions",
                "webhooks",
                "calls",
            ] {
                requests.push(get(format!("/_inbox/{page}")));
                requests.push(get(format!("/_inbox/{page}?q={words}")));
            }
            for page in [
                "registered/1",
                "templates/0/welcome",
                "templates/0/welcome/html",
                "suppressions/0/0",
                "news?after=0",
            ] {
                requests.push(get(format!("/_inbox/{page}")));
            }
            requests
        },
    },
    // Templates.
    Row {
        name: "template: as many tags as fit",
        statuses: &[400, 404],
        refusal: "too many tags for its size",
        requests: |size| filled_in(&tags(size, "{{a}}"), &json!({})),
    },
    Row {
        name: "template: one tag after a long text",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            filled_in(
                &(fill(size - 2_000, "a") + &"{{a}}\n".repeat(20)),
                &json!({ "a": 1 }),
            )
        },
    },
    Row {
        name: "template: as many values as fit",
        statuses: &[400, 404],
        refusal: "limit of 64 MiB",
        requests: |size| {
            let tag = format!("{{{{lookup{}}}}}", " a".repeat(1_000));
            filled_in(&fill(size - 500, &tag), &json!({}))
        },
    },
    Row {
        name: "template: else if",
        statuses: &[400, 404],
        refusal: "nested more than 100 deep",
        requests: |size| {
            filled_in(
                &format!("{{{{#if a}}}}{}{{{{/if}}}}", tags(size, "{{else if a}}")),
                &json!({}),
            )
        },
    },
    Row {
        name: "template: open blocks",
        statuses: &[400, 404],
        refusal: "nested more than 100 deep",
        requests: |size| filled_in(&tags(size, "{{#if a}}"), &json!({})),
    },
    Row {
        name: "template: open braces",
        statuses: &[400, 404],
        refusal: "a tag",
        requests: |size| filled_in(&tags(size, "{{"), &json!({})),
    },
    Row {
        name: "template: a list in one another",
        statuses: &[400, 404],
        refusal: "a tag contains a list",
        requests: |size| filled_in(&("{{a ".to_owned() + &fill(size - 500, "[")), &json!({})),
    },
    Row {
        name: "template: each in each",
        statuses: &[200, 400, 404],
        refusal: "more than 1000000 steps",
        requests: |size| {
            let text = "{{#each a}}{{#each ../a}}{{#each ../../a}}{{/each}}{{/each}}{{/each}}";
            filled_in(text, &json!({ "a": vec![0; size / 8] }))
        },
    },
    Row {
        name: "template: a long value, often",
        statuses: &[200, 400, 404],
        refusal: "exceeds 8 MiB",
        requests: |size| {
            filled_in(
                "{{#each a}}{{../b}}{{/each}}",
                &json!({ "a": vec![0; size / 4], "b": fill(size / 2, "<") }),
            )
        },
    },
    Row {
        name: "template: a long value that is not shown",
        statuses: &[200, 400, 404],
        refusal: "needs more than 5 s",
        requests: |size| {
            let text = "{{#each a}}{{#if (lookup ../this \"b\")}}{{/if}}{{/each}}";
            filled_in(
                text,
                &json!({ "a": vec![0; size / 4], "b": fill(size / 2, "<") }),
            )
        },
    },
    Row {
        name: "template: a partial in itself",
        statuses: &[400, 404],
        refusal: "includes itself",
        requests: |size| {
            filled_in(
                "{{#*inline \"p\"}}{{> p}}{{/inline}}{{> p}}",
                &json!({ "a": fill(size, "a") }),
            )
        },
    },
    Row {
        name: "template: a partial for each",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let text = "{{#*inline \"p\"}}{{/inline}}{{#each a}}{{> p @root}}{{/each}}";
            filled_in(text, &json!({ "a": vec![0; size / 8] }))
        },
    },
    Row {
        name: "template: tags in a long text",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let text = "{{a}}".to_owned() + &"x".repeat(size / 100 - 10);
            filled_in(&text.repeat(100), &json!({ "a": 1 }))
        },
    },
    Row {
        name: "template: partials in one another that copy the data",
        statuses: &[200, 400, 404],
        refusal: "copy more than 64 MiB",
        requests: |size| {
            let mut text = "{{#*inline \"p0\"}}{{/inline}}".to_owned();
            for number in 1..95 {
                let inner = number - 1;
                text +=
                    &format!("{{{{#*inline \"p{number}\"}}}}{{{{> p{inner} x=1}}}}{{{{/inline}}}}");
            }
            filled_in(&(text + "{{> p94}}"), &json!({ "a": fill(size, "a") }))
        },
    },
    Row {
        name: "template: a partial with many variables that copy the data",
        statuses: &[200, 400, 404],
        refusal: "copy more than 64 MiB",
        requests: |size| {
            let variables: String = (0..300).map(|number| format!(" x{number}=this")).collect();
            filled_in(
                &format!("{{{{#*inline \"p\"}}}}{{{{/inline}}}}{{{{> p{variables}}}}}"),
                &json!({ "a": fill(size, "a") }),
            )
        },
    },
    Row {
        name: "template: a text as the members of an object",
        statuses: &[200, 400, 404],
        refusal: "copy more than 64 MiB",
        requests: |size| {
            filled_in(
                "{{#*inline \"p\"}}{{/inline}}{{> p a x=1}}",
                &json!({ "a": fill(size, "a") }),
            )
        },
    },
    Row {
        name: "template: subexpressions that copy the data",
        statuses: &[200, 400, 404],
        refusal: "copy more than 64 MiB",
        requests: |size| {
            let copies = " (lookup this \"a\")".repeat(200);
            filled_in(
                &format!("{{{{#if b{copies}}}}}{{{{/if}}}}"),
                &json!({ "a": fill(size, "a") }),
            )
        },
    },
    Row {
        name: "template: a batch",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let mail = mail(json!({ "template_id": "welcome", "template_data": { "a": "b" } }));
            let mails = vec![mail; size / 150];
            vec![
                template("Hello {{a}}"),
                call("email/batch", &json!({ "emails": mails })),
                later(),
            ]
        },
    },
    Row {
        name: "template: data as a text",
        statuses: &[200, 400, 404],
        refusal: "template_data",
        requests: |size| {
            filled_in(
                "{{a}}",
                &Value::String(format!("{{\"a\":{}", fill(size, "["))),
            )
        },
    },
    // Requests.
    Row {
        name: "json: open lists",
        statuses: &[400],
        refusal: "not valid JSON",
        requests: |size| vec![raw_call("email/send", fill(size, "[").into_bytes())],
    },
    Row {
        name: "json: numbers",
        statuses: &[400],
        refusal: "more than 500000 values",
        requests: |size| {
            vec![
                call("email/send", &json!({ "to": vec![0; size / 2] })),
                call("email/batch", &json!({ "emails": vec![0; size / 4] })),
            ]
        },
    },
    Row {
        name: "json: objects for mails",
        statuses: &[400],
        refusal: "emails[0].sender",
        requests: |size| {
            vec![call(
                "email/batch",
                &json!({ "emails": vec![json!({}); size / 3] }),
            )]
        },
    },
    Row {
        name: "json: fields that are not known",
        statuses: &[400, 200],
        refusal: "sender",
        requests: |size| {
            let members = numbered(size, |number| format!("\"{number}\":0")).join(",");
            let inner = format!("{{\"emails\":[{{{members}}}]}}");
            vec![
                raw_call("email/send", format!("{{{members}}}").into_bytes()),
                raw_call("email/batch", inner.into_bytes()),
                get("/_inbox/calls"),
                get("/_inbox/calls/0"),
            ]
        },
    },
    Row {
        name: "json: one key again and again",
        statuses: &[400],
        refusal: "occurs twice",
        requests: |size| {
            let members = fill(size, "\"a\":0,");
            vec![raw_call(
                "email/send",
                format!("{{{members}\"a\":0}}").into_bytes(),
            )]
        },
    },
    Row {
        name: "json: escapes",
        statuses: &[200],
        refusal: "",
        requests: |size| {
            let text = fill(size, "\\u00e9");
            let body = format!(
                "{{\"sender\":\"{text} <a@example.com>\",\"to\":[\"b@example.net\"],\"text_body\":\"a\"}}"
            );
            shown(raw_call("email/send", body.into_bytes()))
        },
    },
    Row {
        name: "json: a long schedule, period and password",
        statuses: &[400],
        refusal: "schedule",
        requests: |size| {
            let digits = fill(size - 500, "1");
            vec![
                call("email/send", &mail(json!({ "schedule": digits }))),
                call(
                    "users/smtp/add",
                    &json!({ "username": "u", "email_password": fill(size / 3, "1"), "custom_ratelimit_period": fill(size / 2, "1:") }),
                ),
                call(
                    "stats/email_history",
                    &json!({ "start_date": fill(size - 500, "2026-") }),
                ),
                call(
                    "webhook/add",
                    &json!({ "url": format!("http://127.0.0.1/{digits}"), "events": ["processed"] }),
                ),
            ]
        },
    },
    // The sandbox's own endpoints.
    Row {
        name: "a rule for faults",
        statuses: &[400, 200, 400, 200, 422, 500],
        refusal: "only one of nth",
        requests: |size| {
            let rule = |rule: String| own("/_sandbox/faults", json!({ "rule": rule }).to_string());
            vec![
                rule(fill(size - 100, "nth=1:")),
                rule(format!("status=500:{}", fill(size - 100, "header=a=b:"))),
                rule(format!(
                    "status=500:header=a={}",
                    fill(size / 2 - 100, "\\:")
                )),
                rule(fill(size - 100, "*a")),
                rule(format!("status=500:json={}", fill(size - 100, "["))),
                get("/_inbox/faults"),
                own("/_inbox/faults", fill(size - 100, "a=%41&") + TOKEN),
                call("email/send", &mail(json!({}))),
            ]
        },
    },
    Row {
        name: "outcomes and messages by hand",
        statuses: &[400, 200, 400, 409, 200],
        refusal: "longer than 1000 bytes",
        requests: |size| {
            let long = fill(size - 200, "a");
            vec![
                own(
                    "/_sandbox/delivery",
                    json!({ "recipient": format!("{long}@"), "outcome": "open" }).to_string(),
                ),
                call("email/send", &mail(json!({}))),
                own(
                    "/_sandbox/mails/{id}/events",
                    json!({ "event": long }).to_string(),
                ),
                own(
                    "/_sandbox/mails/{id}/events",
                    json!({ "event": "open", "recipient": long }).to_string(),
                ),
                own(
                    "/_sandbox/sms/receive",
                    json!({ "from": long, "to": "1", "content": "STOP" }).to_string(),
                ),
                get("/_inbox/sms"),
            ]
        },
    },
];
