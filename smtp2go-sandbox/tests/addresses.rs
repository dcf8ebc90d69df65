//! Validation of addresses in every field, in MIME messages and in every mode.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use smtp2go_sandbox::{Sandbox, SandboxBuilder};
use support::smtp::Client as SmtpClient;
use support::{Reply, post};

/// Rows: a text, whether a field that takes one address accepts it, and the number of addresses in a header
/// with this text. The number is 0 if the header is refused or contains no address.
const TABLE: [(&str, bool, usize); 100] = [
    // Bare.
    ("a@b.c", true, 1),
    ("jane@example.net", true, 1),
    ("jane.doe@example.net", true, 1),
    ("jane+tag@example.net", true, 1),
    ("jane_doe@example.net", true, 1),
    ("jane-doe@mail.example.net", true, 1),
    ("1@example.net", true, 1),
    ("JANE@EXAMPLE.NET", true, 1),
    ("o'neil@example.net", true, 1),
    ("!#$%&'*+-/=?^_`{|}~@example.net", true, 1),
    ("jane@ex-ample.net", true, 1),
    ("jane@1and1.example.net", true, 1),
    ("jane@_dmarc.example.net", true, 1),
    ("root@localhost", true, 1),
    ("jane@[192.0.2.1]", true, 1),
    ("jane@[IPv6:2001:db8::1]", true, 1),
    ("zoë@example.net", true, 1),
    ("jane@exämple.net", true, 1),
    ("用户@例子.example.net", true, 1),
    ("उदाहरण@उदाहरण.example.net", true, 1),
    ("jane@xn--exmple-cua.net", true, 1),
    (" jane@example.net ", true, 1),
    // Quoted.
    (r#""jane doe"@example.net"#, true, 1),
    (r#""jane@home"@example.net"#, true, 1),
    (r#""a <b, c"@example.net"#, true, 1),
    (r#""j\"oe"@example.net"#, true, 1),
    (r#""".a@example.net"#, true, 1),
    // With a name.
    ("<jane@example.net>", true, 1),
    ("Jane <jane@example.net>", true, 1),
    ("Jane<jane@example.net>", true, 1),
    ("Jane Doe <jane@example.net>", true, 1),
    ("J. Doe <jane@example.net>", true, 1),
    ("Jane Größe <jane@example.net>", true, 1),
    (r#""Doe, Jane" <jane@example.net>"#, true, 1),
    (r#""Jane \"J\" Doe" <jane@example.net>"#, true, 1),
    (r#""Jane <x@y.z>" <jane@example.net>"#, true, 1),
    (r#""" <jane@example.net>"#, true, 1),
    ("jane@example.net <jane@example.net>", true, 1),
    ("[Team] <jane@example.net>", true, 1),
    ("=?utf-8?q?Zo=C3=AB?= <zoe@example.net>", true, 1),
    ("O'Neil <jane@example.net>", true, 1),
    ("Jane < jane@example.net >", true, 1),
    ("Jane 🙂 <jane@example.net>", true, 1),
    // With comments, and in obsolete forms.
    ("jane@example.net (Jane)", true, 1),
    ("(Jane) jane@example.net", true, 1),
    ("jane (at home) @ example.net", true, 1),
    ("Jane (sales, EMEA) <jane@example.net>", true, 1),
    ("jane@example.net (a (nested) one)", true, 1),
    ("jane . doe@example . net", true, 1),
    ("<@relay.example.org:jane@example.net>", true, 1),
    // More than one address, and groups.
    ("a@b.c,d@e.f", false, 2),
    ("a@b.c, d@e.f", false, 2),
    ("A <a@b.c>, D <d@e.f>", false, 2),
    ("a@b.c, D <d@e.f>, g@h.i", false, 3),
    ("a@b.c,", false, 1),
    (", a@b.c", false, 1),
    ("a@b.c,,d@e.f", false, 2),
    ("Team: a@b.c;", false, 1),
    ("Team: a@b.c, D <d@e.f>;", false, 2),
    ("Team: a@b.c;, Others: d@e.f;", false, 2),
    ("a@b.c (one, two), d@e.f", false, 2),
    ("Doe, Jane <jane@example.net>", false, 0),
    ("a@b.c;d@e.f", false, 0),
    ("a@b.c d@e.f", false, 0),
    ("a@b.c <d@e.f> g@h.i", false, 0),
    ("undisclosed-recipients:;", false, 0),
    ("Team: a@b.c", false, 0),
    ("Re: Jane <jane@example.net>", false, 0),
    // Without an address.
    ("", false, 0),
    (" ", false, 0),
    ("nope", false, 0),
    ("example.net", false, 0),
    ("@example.net", false, 0),
    ("jane@", false, 0),
    ("@", false, 0),
    ("jane", false, 0),
    ("Jane <>", false, 0),
    ("<>", false, 0),
    ("Jane <nope>", false, 0),
    ("(jane@example.net)", false, 0),
    // Invalid syntax.
    ("Jane <jane@example.net", false, 0),
    ("Jane jane@example.net>", false, 0),
    ("Jane <<jane@example.net>>", false, 0),
    ("Jane <jane@example.net> Doe", false, 0),
    (r#""Jane <jane@example.net>"#, false, 0),
    ("jane@example.net (Jane", false, 0),
    ("jane doe@example.net", false, 0),
    ("jane@exam ple.net", false, 0),
    ("jane@@example.net", false, 0),
    ("jane@home@example.net", false, 0),
    (".jane@example.net", false, 0),
    ("jane.@example.net", false, 0),
    ("jane..doe@example.net", false, 0),
    ("jane@example..net", false, 0),
    ("jane@-example.net", false, 0),
    ("jane@example.net.", false, 0),
    ("jane@exa$mple.net", false, 0),
    ("jane@[192.0.2.256]", false, 0),
    ("jane\u{200b}@example.net", false, 0),
    ("jane\\@example.net", false, 0),
];

fn sandboxes() -> [Sandbox; 4] {
    let started = |builder: SandboxBuilder| builder.start_blocking().unwrap();
    [
        started(Sandbox::builder()),
        started(Sandbox::builder().refuse_unknown(true)),
        started(Sandbox::builder().strict(true)),
        started(Sandbox::builder().stateless(true)),
    ]
}

fn mail(changes: &Value) -> Value {
    let mut mail = json!({
        "sender": "a@example.com", "to": ["b@example.net"], "subject": "Hi", "text_body": "Hello",
    });
    for (field, value) in changes.as_object().unwrap() {
        mail[field] = value.clone();
    }
    mail
}

/// Returns the field that a validation error names. `None` if the call succeeded.
fn refused(reply: &Reply) -> Option<String> {
    match reply.status {
        200 => None,
        _ => {
            assert_eq!(reply.status, 400, "{reply:?}");
            let data = reply.json()["data"].take();
            assert_eq!(
                data["error_code"], "E_ApiResponseCodes.NON_VALIDATING_IN_PAYLOAD",
                "{reply:?}"
            );
            let field = &data["field_validation_errors"]["fieldname"];
            Some(field.as_str().unwrap().to_owned())
        }
    }
}

/// Texts of the table that are valid in a header but contain no address. `/email/mime` refuses a message
/// without recipients. Over SMTP, the recipients are those of the envelope.
const EMPTY: [&str; 4] = ["", " ", "undisclosed-recipients:;", "(jane@example.net)"];

#[test]
fn mail_over_smtp_is_accepted_only_with_valid_address_headers() {
    let sandbox = Sandbox::builder().smtp(0).start_blocking().unwrap();
    let mut client = SmtpClient::log_in(&sandbox);
    for (text, _, listed) in TABLE {
        for header in ["To", "Cc", "Reply-To", "Sender"] {
            let message = format!("From: a@example.com\r\n{header}: {text}\r\n\r\nHello");
            let reply = client.send("a@example.com", &["b@example.net"], &message);
            let expected = match listed > 0 || EMPTY.contains(&text) {
                true => "250 ",
                false => "550 5.6.0 ",
            };
            assert!(reply.starts_with(expected), "{header}: {text:?}: {reply}");
            if listed > 0 && header == "To" {
                let mail = sandbox.mails().pop().unwrap();
                assert_eq!(mail.to().len(), listed, "{text:?}");
                assert_eq!(mail.recipients(), ["b@example.net"]);
            }
        }
    }
}

fn send_mime(sandbox: &Sandbox, message: &str) -> Reply {
    let request = json!({ "mime_email": STANDARD.encode(message) });
    post(sandbox, "/email/mime", &request)
}

#[test]
fn fields_and_headers_accept_exactly_the_valid_addresses() {
    let sandbox = Sandbox::start_blocking().unwrap();
    for (text, one, listed) in TABLE {
        for (field, value) in [("to", json!([text])), ("sender", json!(text))] {
            let reply = post(&sandbox, "/email/send", &mail(&json!({ field: value })));
            let expected = (!one).then(|| field.to_owned());
            assert_eq!(refused(&reply), expected, "{field} {text:?}");
        }
        let message = format!("From: a@example.com\r\nTo: {text}\r\n\r\nHello\r\n");
        let reply = send_mime(&sandbox, &message);
        let expected = (listed == 0).then(|| "mime_email".to_owned());
        assert_eq!(refused(&reply), expected, "To: {text:?}");
        if listed > 0 {
            let mail = sandbox.mails().pop().unwrap();
            assert_eq!(mail.to().len(), listed, "{text:?}");
            assert!(mail.recipients().iter().all(|to| to.contains('@')));
        }
    }
}

#[test]
fn wrong_address_is_refused_in_every_field_and_mode() {
    let message =
        |header: &str| json!({ "mime_email": STANDARD.encode(format!("{header}\r\n\r\nx")) });
    let batch = |changes: &Value| json!({ "emails": [mail(&json!({})), mail(changes)] });
    let reply_to =
        |value: &str| json!({ "custom_headers": [{ "header": "Reply-To", "value": value }] });
    let table = [
        ("email/send", mail(&json!({ "to": [""] })), "to"),
        (
            "email/send",
            mail(&json!({ "to": ["b@example.net", "nope"] })),
            "to",
        ),
        ("email/send", mail(&json!({ "cc": ["a@b.c,d@e.f"] })), "cc"),
        (
            "email/send",
            mail(&json!({ "bcc": ["Jane <jane@example.net"] })),
            "bcc",
        ),
        ("email/send", mail(&json!({ "sender": "Jane" })), "sender"),
        ("email/send", mail(&json!({ "sender": "" })), "sender"),
        (
            "email/send",
            mail(&reply_to("nope")),
            "custom_headers[0].value",
        ),
        (
            "email/batch",
            batch(&json!({ "sender": "nope" })),
            "emails[1].sender",
        ),
        (
            "email/batch",
            batch(&json!({ "bcc": [""] })),
            "emails[1].bcc",
        ),
        (
            "email/batch",
            batch(&reply_to("a@")),
            "emails[1].custom_headers[0].value",
        ),
        ("email/mime", message("To: b@example.net"), "mime_email"),
        ("email/mime", message("From: a@example.com"), "mime_email"),
        (
            "email/mime",
            message("From: a@example.com\r\nTo: nope"),
            "mime_email",
        ),
        (
            "email/mime",
            message("From: nope\r\nTo: b@example.net"),
            "mime_email",
        ),
        (
            "suppression/add",
            json!({ "email_address": "nope" }),
            "email_address",
        ),
        (
            "suppression/add",
            json!({ "email_address": "A <a@b.c>" }),
            "email_address",
        ),
        (
            "single_sender_emails/add",
            json!({ "email_address": "nope" }),
            "email_address",
        ),
        (
            "single_sender_emails/add",
            json!({ "email_address": "A <a@b.c>" }),
            "email_address",
        ),
        (
            "allowed_senders/add",
            json!({ "allowed_senders": ["nope"] }),
            "allowed_senders",
        ),
        (
            "allowed_senders/update",
            json!({ "allowed_senders": ["b.c", "a@"], "mode": "whitelist" }),
            "allowed_senders",
        ),
        (
            "allowed_recipients/add",
            json!({ "allowed_recipients": [""] }),
            "allowed_recipients",
        ),
        (
            "allowed_recipients/update",
            json!({ "allowed_recipients": ["a b@c.d"], "enabled": true }),
            "allowed_recipients",
        ),
        (
            "api_keys/add",
            json!({ "audit_email": "nope" }),
            "audit_email",
        ),
        (
            "api_keys/add",
            json!({ "bounce_notifications": "nope" }),
            "bounce_notifications",
        ),
        (
            "users/smtp/add",
            json!({ "username": "user1", "audit_email": "a@b.c,d@e.f" }),
            "audit_email",
        ),
        (
            "subaccount/add",
            json!({ "fullname": "A", "subaccount_email": "nope", "limit": 10000 }),
            "subaccount_email",
        ),
    ];
    for sandbox in sandboxes() {
        for (path, request, field) in &table {
            let reply = post(&sandbox, &format!("/{path}"), request);
            assert_eq!(refused(&reply).as_deref(), Some(*field), "{path} {request}");
        }
        assert!(sandbox.mails().is_empty());
    }
}

#[test]
fn control_character_in_a_header_is_refused() {
    let file = |field: &str, value: &str| {
        let mut file = json!({ "filename": "a", "mimetype": "text/plain", "fileblob": "aGk=" });
        file[field] = value.into();
        mail(&json!({ "attachments": [file.clone()], "inlines": [file] }))
    };
    let header = |name: &str, value: &str| {
        mail(&json!({ "custom_headers": [{ "header": name, "value": value }] }))
    };
    let template = |subject: &str| {
        json!({ "id": "welcome", "template_name": "A", "subject": subject, "html_body": "a",
                "text_body": "a" })
    };
    let hook = |value: &str| json!({ "url": "http://127.0.0.1:9/", "auth_header_type": "bearer", "auth_header_value": value });
    let bad = "a\r\nBcc: c@example.org";
    let table = [
        ("email/send", mail(&json!({ "subject": bad })), "subject"),
        (
            "email/send",
            mail(&json!({ "to": ["A\n <b@example.net>"] })),
            "to",
        ),
        (
            "email/send",
            mail(&json!({ "sender": format!("a@example.com{bad}") })),
            "sender",
        ),
        (
            "email/send",
            file("filename", bad),
            "attachments[0].filename",
        ),
        (
            "email/send",
            file("mimetype", bad),
            "attachments[0].mimetype",
        ),
        ("email/send", header("X-A", bad), "custom_headers[0].value"),
        (
            "email/send",
            header("X-A\r\nX-B", "b"),
            "custom_headers[0].header",
        ),
        ("email/send", header("X A", "b"), "custom_headers[0].header"),
        ("email/send", header("X:A", "b"), "custom_headers[0].header"),
        ("email/send", header("", "b"), "custom_headers[0].header"),
        (
            "email/batch",
            json!({ "emails": [mail(&json!({ "subject": bad }))] }),
            "emails[0].subject",
        ),
        ("template/add", template(bad), "subject"),
        ("webhook/add", hook(bad), "auth_header_value"),
    ];
    for sandbox in sandboxes() {
        for (path, request, field) in &table {
            let reply = post(&sandbox, &format!("/{path}"), request);
            assert_eq!(refused(&reply).as_deref(), Some(*field), "{path} {request}");
        }
    }
    let sandbox = Sandbox::start_blocking().unwrap();
    assert_eq!(
        post(&sandbox, "/template/add", &template("Hi {{{name}}}")).status,
        200
    );
    let filled = |name: &str| {
        let mail = json!({ "template_id": "welcome", "template_data": { "name": name } });
        refused(&post(&sandbox, "/email/send", &self::mail(&mail)))
    };
    assert_eq!(filled("Jane"), None);
    assert_eq!(filled(bad).as_deref(), Some("template_data"));
}

#[test]
fn mail_without_a_body_is_refused() {
    let table = [
        (json!({}), true),
        (json!({ "text_body": "" }), true),
        (json!({ "html_body": "" }), true),
        (json!({ "html_body": " " }), true),
        (
            json!({ "html_body": "", "template_id": "", "text_body": "" }),
            true,
        ),
        (json!({ "text_body": "   " }), false),
        (json!({ "text_body": "", "html_body": "<p>" }), false),
    ];
    for (index, sandbox) in sandboxes().iter().enumerate() {
        for (bodies, is_refused) in &table {
            let mut mail = mail(&json!({}));
            mail.as_object_mut().unwrap().remove("text_body");
            mail.as_object_mut()
                .unwrap()
                .extend(bodies.as_object().unwrap().clone());
            let bodies = bodies.as_object().unwrap();
            let mut empty = bodies.keys().filter(|name| bodies[*name] == "");
            let expected = match empty.next() {
                // The strict one refuses the empty text.
                Some(field) if index == 2 => Some(field.as_str()),
                _ => is_refused.then_some("html_body"),
            };
            let found = refused(&post(sandbox, "/email/send", &mail));
            assert_eq!(found.as_deref(), expected, "{mail}");
        }
    }
}

#[test]
fn mime_message_is_split_into_decoded_parts() {
    let sandbox = Sandbox::start_blocking().unwrap();
    let message = "From: =?utf-8?q?Zo=C3=AB?= <zoe@example.com>\r\n\
        To: Team: a@example.net, \"B, C\" <b@example.net>;\r\n\
        Cc: (boss) c@example.net\r\nSubject: =?utf-8?q?caf=C3=A9?=\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: multipart/alternative; boundary=y\r\n\r\n\
        --y\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        Y2Fmw6k=\r\n\
        --y\r\nContent-Type: text/html\r\n\r\n<a href=\"https://example.com/\">x</a>\r\n--y--\r\n\
        --x\r\nContent-Type: text/csv; name=a.csv\r\nContent-Disposition: attachment\r\n\r\n1,2\r\n\
        --x\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\n\
        aGk=\r\n--x--\r\n";
    assert_eq!(send_mime(&sandbox, message).status, 200);
    let mail = sandbox.mails().pop().unwrap();
    assert_eq!(mail.subject(), Some("café"));
    assert_eq!(mail.sender(), "Zoë <zoe@example.com>");
    assert_eq!(mail.to(), ["a@example.net", "\"B, C\" <b@example.net>"]);
    assert_eq!(
        mail.recipients(),
        ["a@example.net", "b@example.net", "c@example.net"]
    );
    assert_eq!(mail.text_body(), Some("café"));
    assert_eq!(
        mail.html_body().map(str::trim),
        Some("<a href=\"https://example.com/\">x</a>")
    );
    assert_eq!(mail.links(), ["https://example.com/"]);
    let attachment = &mail.attachments()[0];
    assert_eq!(attachment.filename, "a.csv");
    assert_eq!(attachment.content, b"1,2");
    let inline = &mail.inlines()[0];
    assert_eq!(inline.content_id.as_deref(), Some("logo"));
    assert_eq!(inline.content, b"hi");
    assert_eq!((mail.attachments().len(), mail.inlines().len()), (1, 1));
}
