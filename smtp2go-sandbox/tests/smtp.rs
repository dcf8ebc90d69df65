//! Mail over SMTP, sent by a client on a raw socket.

// clippy.toml allows these in tests, but not in what tests share.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use smtp2go_sandbox::{EventKind, Fault, Mail, Sandbox, SandboxBuilder};
use support::smtp::{Client, auth};
use support::{Reply, post, send};

/// A timeout that no test reaches.
const LONG: Duration = Duration::from_secs(600);

/// A timeout that a test waits for. Long enough for a local client to send its commands.
const SHORT: Duration = Duration::from_millis(300);

const MESSAGE: &str =
    "From: Acme <a@example.com>\r\nTo: Jane <b@example.net>\r\nSubject: Hi\r\n\r\nHello";

fn patient() -> SandboxBuilder {
    Sandbox::builder()
        .smtp(0)
        .head_timeout(LONG)
        .idle_timeout(LONG)
}

fn start() -> Sandbox {
    patient().start_blocking().unwrap()
}

fn get(sandbox: &Sandbox, path: &str) -> Reply {
    send(sandbox, "GET", path, &[], b"")
}

/// Makes a call and asserts that it succeeds.
fn call(sandbox: &Sandbox, path: &str, body: &serde_json::Value) -> Reply {
    let reply = post(sandbox, path, body);
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    reply
}

/// Returns the only mail.
fn mail(sandbox: &Sandbox) -> Mail {
    sandbox.assert_mails(1).remove(0)
}

/// Each dialogue is a list of commands and replies. `{auth}` stands for AUTH PLAIN with valid
/// credentials.
#[test]
fn command_gets_the_reply_of_the_standard() {
    let dialogues: &[&[(&str, &str)]] = &[
        &[
            (
                "EHLO test",
                "250-localhost|250-SIZE 52428800|250-8BITMIME|250-SMTPUTF8|250-PIPELINING|\
                 250-ENHANCEDSTATUSCODES|250 AUTH PLAIN LOGIN",
            ),
            ("NOOP", "250 2.0.0 OK"),
            ("noop with words", "250 2.0.0 OK"),
            ("RSET", "250 2.0.0 OK"),
            ("VRFY a@example.com", "252 2.0.0 send a message to find out"),
            ("EXPN list", "502 5.5.1 EXPN is not implemented"),
            (
                "STARTTLS",
                "502 5.5.1 the sandbox has no TLS: switch it off in the client",
            ),
            ("BDAT 3 LAST", "502 5.5.1 BDAT is not implemented"),
            ("HELLO", "500 5.5.1 unknown command"),
            ("", "500 5.5.1 unknown command"),
            ("NOOP \u{7}", "501 5.5.2 the line has a control character"),
            ("QUIT", "221 2.0.0 goodbye"),
        ],
        &[
            ("NOOP", "250 2.0.0 OK"),
            ("MAIL FROM:<a@example.com>", "503 5.5.1 EHLO comes first"),
            ("AUTH LOGIN", "503 5.5.1 EHLO comes first"),
            ("DATA", "503 5.5.1 EHLO comes first"),
            ("HELO test", "250 localhost"),
            (
                "MAIL FROM:<a@example.com>",
                "530 5.7.0 log in first: AUTH PLAIN or LOGIN, as an SMTP user",
            ),
            ("RCPT TO:<b@example.net>", "503 5.5.1 MAIL comes first"),
            ("DATA", "503 5.5.1 MAIL and RCPT come first"),
        ],
        &[
            ("EHLO test", "250"),
            ("AUTH", "501 5.5.2 use AUTH PLAIN or AUTH LOGIN"),
            (
                "AUTH CRAM-MD5",
                "504 5.5.4 unknown mechanism \"CRAM-MD5\": use PLAIN or LOGIN",
            ),
            (
                "AUTH PLAIN AGEAYg==",
                "535 5.7.8 there is no SMTP user \"a\"",
            ),
            (
                "AUTH PLAIN AHNhbmRib3gAYg==",
                "535 5.7.8 wrong password for the SMTP user \"sandbox\"",
            ),
            (
                "AUTH PLAIN YQ==",
                "501 5.5.2 the credentials are not base64 of a name and a password",
            ),
            ("AUTH PLAIN", "334 "),
            (
                "*",
                "501 5.5.2 the credentials are not base64 of a name and a password",
            ),
            ("auth login", "334 VXNlcm5hbWU6"),
            (
                "*",
                "501 5.5.2 the credentials are not base64 of a name and a password",
            ),
            ("auth login", "334 VXNlcm5hbWU6"),
            ("c2FuZGJveA==", "334 UGFzc3dvcmQ6"),
            (
                "*",
                "501 5.5.2 the credentials are not base64 of a name and a password",
            ),
            ("auth login c2FuZGJveA==", "334 UGFzc3dvcmQ6"),
            ("AHNhbmRib3gAYg==", "535"),
            ("MAIL FROM:<a@example.com>", "530"),
            ("{auth}", "235 2.7.0 OK"),
            ("{auth}", "503 5.5.1 AUTH comes once, and before MAIL"),
        ],
        &[
            ("EHLO test", "250"),
            ("{auth}", "235"),
            ("MAIL a@example.com", "501 5.5.2 use FROM:<address>"),
            ("MAIL FROM:a@example.com", "501 5.5.2 use FROM:<address>"),
            ("MAIL FROM:<a@example.com", "501 5.5.2 use FROM:<address>"),
            (
                "MAIL FROM:<a@example.com>SIZE=1",
                "501 5.5.2 use FROM:<address>",
            ),
            (
                "MAIL FROM:<a b@example.com>",
                "501 5.1.7 the address has a character that is not allowed; found: \"a b@example.com\"",
            ),
            (
                "MAIL FROM:<a@example.com> SIZE=x",
                "501 5.5.4 SIZE is not a number of bytes",
            ),
            (
                "MAIL FROM:<a@example.com> SIZE=52428801",
                "552 5.3.4 the message exceeds 52428800 bytes",
            ),
            (
                "MAIL FROM:<a@example.com> BODY=BINARY",
                "501 5.5.4 BODY has to be 7BIT or 8BITMIME",
            ),
            (
                "MAIL FROM:<a@example.com> RET=FULL",
                "555 5.5.4 unknown parameter \"RET=FULL\"",
            ),
            (
                "MAIL FROM:<é@example.com>",
                r#"553 5.6.7 "\u{e9}@example.com" is not ASCII: say SMTPUTF8 with MAIL"#,
            ),
            (
                "mail from: <a@example.com> size=52428800 body=8bitmime auth=<>",
                "250 2.1.0 OK",
            ),
            (
                "MAIL FROM:<a@example.com>",
                "503 5.5.1 there is a sender already; RSET removes it",
            ),
            ("DATA", "503 5.5.1 MAIL and RCPT come first"),
            ("RCPT b@example.net", "501 5.5.2 use TO:<address>"),
            (
                "RCPT TO:<b@example.net> NOTIFY=NEVER",
                "555 5.5.4 unknown parameter \"NOTIFY=NEVER\"",
            ),
            ("RCPT TO:<>", "501 5.1.3 the address has no @; found: \"\""),
            (
                "RCPT TO:<b>",
                "501 5.1.3 the address has no @; found: \"b\"",
            ),
            ("RCPT TO:<é@example.net>", "553"),
            (r#"rcpt to:<"b>c"@example.net>"#, "250 2.1.5 OK"),
            ("RCPT TO:<Postmaster>", "250 2.1.5 OK"),
            ("RCPT TO:<postmaster>", "250 2.1.5 OK"),
            ("RCPT TO:<postmaster@>", "501"),
            ("RCPT TO:<@a,@b.test:user@example.com>", "250 2.1.5 OK"),
            ("RCPT TO:<@a:>", "501"),
            ("RCPT TO:<@a,b:user@example.com>", "501"),
            ("RCPT TO:<a:user@example.com>", "501"),
            ("RCPT TO:<@a:postmaster>", "250 2.1.5 OK"),
            ("RSET", "250"),
            ("RCPT TO:<b@example.net>", "503"),
            ("MAIL FROM:<é@example.com> SMTPUTF8", "250"),
            ("RCPT TO:<ü@example.net>", "250"),
            ("EHLO again", "250"),
            ("RCPT TO:<b@example.net>", "503"),
            ("MAIL FROM:<>", "250"),
        ],
    ];
    let sandbox = start();
    for (number, dialogue) in dialogues.iter().enumerate() {
        let mut client = Client::connect(&sandbox);
        for (said, expected) in *dialogue {
            let said = said.replace("{auth}", &auth(sandbox.smtp_username(), sandbox.key()));
            let reply = client.say(&said);
            let as_expected = match expected.len() {
                3 => reply.starts_with(expected),
                _ => reply == *expected,
            };
            assert!(as_expected, "{number}, {said}: {reply}, not {expected}");
        }
    }
    sandbox.assert_no_mail();
}

#[test]
fn mail_has_the_recipients_of_the_envelope_and_its_unchanged_source() {
    let sandbox = start();
    sandbox.freeze();
    let mut client = Client::log_in(&sandbox);
    let to = ["b@example.net", "blind@example.org", "b@example.net"];
    let message = "From: Acme <a@example.com>\r\nTo: Jane <B@example.net>, not@example.net\r\n\
                   Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.com>\r\n\r\n\
                   caf\u{e9}\r\n..two dots\r\n";
    let reply = client.send("bounces@example.com", &to, message);
    let mail = mail(&sandbox);
    assert_eq!(reply, format!("250 2.0.0 OK id={}", mail.email_id()));
    assert_eq!(mail.recipients(), ["b@example.net", "blind@example.org"]);
    assert_eq!(mail.sender(), "Acme <a@example.com>");
    assert_eq!(mail.to(), ["Jane <B@example.net>", "not@example.net"]);
    assert_eq!(mail.bcc(), ["blind@example.org"]);
    assert_eq!(mail.header("message-id").unwrap(), "<1@example.com>");
    assert_eq!((mail.operation(), mail.username()), ("smtp", "sandbox"));
    let kept = message.replace("..two", ".two") + "\r\n";
    assert_eq!(String::from_utf8(mail.mime().unwrap()).unwrap(), kept);
    let envelope = json!({ "sender": "bounces@example.com", "recipients": to });
    assert_eq!(mail.request(), envelope);

    // Events, activity and archive are the same as for mail over HTTP.
    sandbox.advance(Duration::from_secs(1));
    let events = sandbox.events();
    let events: Vec<_> = events
        .iter()
        .map(|event| (event.kind(), event.recipient()))
        .collect();
    let expected = [
        (EventKind::Processed, None),
        (EventKind::Delivered, Some("b@example.net")),
        (EventKind::Delivered, Some("blind@example.org")),
    ];
    assert_eq!(events, expected);
    let activity = post(
        &sandbox,
        "/activity/search",
        &json!({ "search_usernames": ["sandbox"] }),
    );
    assert_eq!(
        activity.json()["data"]["total_events"],
        3,
        "{}",
        activity.body
    );
    let archive = post(
        &sandbox,
        "/archive/search",
        &json!({ "username": "sandbox" }),
    );
    assert!(
        archive.body.contains("blind@example.org"),
        "{}",
        archive.body
    );
    let shown = get(&sandbox, &format!("/_sandbox/mails/{}", mail.email_id())).json();
    assert_eq!(
        (&shown["operation"], &shown["mime"]),
        (&json!("smtp"), &json!(kept))
    );
    let page = get(&sandbox, &format!("/_inbox/mails/{}", mail.email_id()));
    assert!(page.body.contains("<code>smtp</code>"), "{}", page.body);
}

#[test]
fn message_without_headers_is_accepted() {
    let sandbox = start();
    let mut client = Client::log_in(&sandbox);
    assert!(
        client
            .send("a@example.com", &["b@example.net"], "\r\nHello")
            .starts_with("250 ")
    );
    let mail = mail(&sandbox);
    assert_eq!((mail.sender(), mail.subject()), ("a@example.com", None));
    assert_eq!(mail.bcc(), ["b@example.net"]);
    let inbox = get(&sandbox, "/");
    assert!(inbox.body.contains("b@example.net"), "{}", inbox.body);
}

#[test]
fn message_without_a_body_is_refused() {
    let sandbox = start();
    let mut client = Client::log_in(&sandbox);
    let headers = MESSAGE.trim_end_matches("Hello");
    for (message, is_refused) in [
        ("", true),
        (headers, true),
        (&format!("{headers}\r\n\r\n"), true),
        (&format!("{headers} "), false),
        (MESSAGE, false),
    ] {
        let reply = client.send("a@example.com", &["b@example.net"], message);
        let expected = if is_refused { "550 5.6.0 " } else { "250 " };
        assert!(reply.starts_with(expected), "{message:?}: {reply}");
    }
    sandbox.assert_mails(2);
}

#[test]
fn postmaster_and_source_routes_are_recipients() {
    let sandbox = start();
    let mut client = Client::log_in(&sandbox);
    let to = ["Postmaster", "@a.test,@b.test:jane@example.net"];
    assert!(
        client
            .send("@c.test:a@example.com", &to, MESSAGE)
            .starts_with("250 ")
    );
    let mail = mail(&sandbox);
    assert_eq!(mail.recipients(), ["Postmaster", "jane@example.net"]);
    assert_eq!(mail.request()["sender"], "a@example.com");
    let page = get(&sandbox, &format!("/_inbox/mails/{}", mail.email_id()));
    assert!(page.body.contains("Postmaster"), "{}", page.body);
}

#[test]
fn pipelined_commands_get_their_replies_in_order() {
    let sandbox = start();
    let mut client = Client::silent(&sandbox);
    let auth = auth(sandbox.smtp_username(), sandbox.key());
    let mail = "MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c>\r\nDATA\r\n";
    let sent =
        format!("EHLO test\r\n{auth}\r\n{mail}{MESSAGE}\r\n.\r\n{mail}\r\nHi\r\n.\r\nQUIT\r\n");
    client.write(sent);
    let replies = client.rest();
    let codes = replies.lines().filter(|line| line.as_bytes()[3] == b' ');
    let codes: Vec<_> = codes.map(|line| &line[..3]).collect();
    let once = ["250", "250", "501", "354", "250"];
    assert_eq!(
        codes,
        [&["220", "250", "235"][..], &once, &once, &["221"]].concat(),
        "{replies}"
    );
    sandbox.assert_mails(2);
}

#[test]
fn smtp_user_is_restricted_by_its_status_and_limit() {
    let sandbox = start();
    let app = json!({ "username": "mailer", "email_password": "EXAMPLE-password-1" });
    call(&sandbox, "/users/smtp/add", &app);
    let login = auth("mailer", "EXAMPLE-password-1");
    let mut client = Client::connect(&sandbox);
    client.say("EHLO test");
    assert_eq!(client.say(&login), "235 2.7.0 OK");
    let to = ["b@example.net"];
    assert!(
        client
            .send("a@example.com", &to, MESSAGE)
            .starts_with("250 ")
    );
    assert_eq!(mail(&sandbox).username(), "mailer");

    // Changes take effect for the next mail on the same connection.
    let patch = |change: serde_json::Value| {
        let mut change = change;
        change["username"] = "mailer".into();
        let key = [("X-Smtp2go-Api-Key", sandbox.key())];
        let body = change.to_string();
        let reply = send(
            &sandbox,
            "PATCH",
            "/v3/users/smtp/edit",
            &key,
            body.as_bytes(),
        );
        assert_eq!(reply.status, 200, "{}", reply.body);
    };
    patch(
        json!({ "custom_ratelimit": true, "custom_ratelimit_value": 1, "custom_ratelimit_period": "1 hour" }),
    );
    let reply = client.send("a@example.com", &to, MESSAGE);
    assert!(
        reply.starts_with("451 4.7.1 The rate limit of mailer is reached"),
        "{reply}"
    );
    patch(json!({ "custom_ratelimit": false, "status": "sandbox" }));
    assert!(
        client
            .send("a@example.com", &to, MESSAGE)
            .starts_with("250 ")
    );
    let events = sandbox.events();
    assert_eq!(events.last().unwrap().kind(), EventKind::Reject);
    patch(json!({ "status": "blocked" }));
    let blocked = "the SMTP user \"mailer\" is blocked";
    assert_eq!(
        client.say("MAIL FROM:<a@example.com>"),
        format!("550 5.7.1 {blocked}")
    );
    let mut other = Client::connect(&sandbox);
    other.say("EHLO test");
    assert_eq!(other.say(&login), format!("535 5.7.8 {blocked}"));
    call(
        &sandbox,
        "/users/smtp/remove",
        &json!({ "username": "mailer" }),
    );
    assert!(
        client
            .say("MAIL FROM:<a@example.com>")
            .starts_with("530 5.7.0 ")
    );
    sandbox.assert_mails(2);
}

#[test]
fn authenticated_ip_address_needs_no_password() {
    let sandbox = patient()
        .ip_auth([127, 0, 0, 1].into())
        .start_blocking()
        .unwrap();
    let mut client = Client::connect(&sandbox);
    client.say("HELO test");
    assert!(
        client
            .send("a@example.com", &["b@example.net"], MESSAGE)
            .starts_with("250 ")
    );
    assert_eq!(mail(&sandbox).username(), "127.0.0.1");
}

#[test]
fn ip_address_not_on_the_allow_list_is_refused() {
    let sandbox = start();
    call(
        &sandbox,
        "/ip_allow_list",
        &json!({ "api_key": sandbox.key(), "type": "smtp", "enabled": true }),
    );
    let mut client = Client::connect(&sandbox);
    client.say("EHLO test");
    let login = auth(sandbox.smtp_username(), sandbox.key());
    let refused = "535 5.7.8 127.0.0.1 is not on the IP allow list for SMTP";
    assert_eq!(client.say(&login), refused);
    let entry = json!({ "api_key": sandbox.key(), "type": "smtp", "ip_address": "127.0.0.1" });
    call(&sandbox, "/ip_allow_list/add", &entry);
    assert_eq!(client.say(&login), "235 2.7.0 OK");
}

#[test]
fn unverified_senders_and_suppressed_recipients_are_refused() {
    let sandbox = patient()
        .sender_domains(["example.com"])
        .start_blocking()
        .unwrap();
    let mut client = Client::log_in(&sandbox);
    // The sender is that of the header, as for mail over HTTP.
    let foreign = MESSAGE.replace("a@example.com", "a@example.org");
    let reply = client.send("a@example.com", &["b@example.net"], &foreign);
    let refused =
        "550 5.7.1 The sender is not verified: the domain \"example.org\" is not on this account.";
    assert_eq!(reply, refused);
    // Each sender of the header counts, and a header that can't be read has none.
    for (from, code) in [
        ("a@example.com, ceo@example.org", "550 5.7.1"),
        ("CEO, Bank <ceo@example.org>", "550 5.6.0"),
        ("nope", "550 5.6.0"),
    ] {
        let message = MESSAGE.replace("Acme <a@example.com>", from);
        let reply = client.send("a@example.com", &["b@example.net"], &message);
        assert!(reply.starts_with(code), "{from}: {reply}");
    }
    let nameless = MESSAGE.replacen("From:", "X-From:", 1);
    let reply = client.send("", &["b@example.net"], &nameless);
    assert!(reply.starts_with("550 5.7.1"), "{reply}");
    sandbox.assert_no_mail();

    // Only the suppressed recipients get nothing.
    let to = ["refuse@example.net", "b@example.net"];
    assert!(
        client
            .send("a@example.com", &to, MESSAGE)
            .starts_with("250 ")
    );
    sandbox.assert_mails(1);
    let reply = client.send(
        "a@example.com",
        &["refuse@example.net", "refuse@example.org"],
        MESSAGE,
    );
    let refused = "550-5.1.1 Recipient <refuse@example.net> refused: the recipient is suppressed|\
                   550 5.1.1 Recipient <refuse@example.org> refused: the recipient is suppressed";
    assert_eq!(reply, refused);
    sandbox.assert_mails(1);

    call(
        &sandbox,
        "/allowed_recipients/update",
        &json!({ "enabled": true, "allowed_recipients": ["c@example.net"] }),
    );
    let reply = client.send("a@example.com", &["b@example.net"], MESSAGE);
    let refused = "550 5.7.1 The allowed recipients of the account do not include b@example.net.";
    assert_eq!(reply, refused);
}

#[test]
fn webhook_events_have_the_name_of_the_smtp_user() {
    let sandbox = start();
    let endpoint = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", endpoint.local_addr().unwrap());
    call(
        &sandbox,
        "/webhook/add",
        &json!({ "url": url, "events": ["processed"] }),
    );
    let mut client = Client::log_in(&sandbox);
    assert!(
        client
            .send("a@example.com", &["b@example.net"], MESSAGE)
            .starts_with("250 ")
    );
    let (stream, _) = endpoint.accept().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut lines = BufReader::new(stream).lines();
    let has_name =
        |line: String| line.contains(r#""auth":"sandbox""#) || line.contains("auth=sandbox");
    assert!(lines.any(|line| has_name(line.unwrap())));
}

#[test]
fn refusals_and_messages_are_recorded_without_passwords() {
    let sandbox = start();
    let mut client = Client::connect(&sandbox);
    client.say("EHLO test");
    client.say(&auth("mailer", "EXAMPLE-password-1"));
    client.say(&auth(sandbox.smtp_username(), sandbox.key()));
    client.say("STARTTLS");
    let to = ["b@example.net"];
    client.send("a@example.com", &to, MESSAGE);
    client.send("a@example.com", &["refuse@example.net"], MESSAGE);
    let calls = sandbox.calls();
    let lines: Vec<_> = calls.iter().map(ToString::to_string).collect();
    let expected = [
        r#"SMTP AUTH 535 refused: there is no SMTP user "mailer""#,
        "SMTP STARTTLS 502 refused: the sandbox has no TLS: switch it off in the client",
        "SMTP DATA 250",
        "SMTP DATA 550 refused: Recipient <refuse@example.net> refused: the recipient is suppressed",
    ];
    assert_eq!(lines, expected);
    assert_eq!(calls[0].head(), b"AUTH\r\n");
    let accepted = &calls[2];
    assert!(accepted.accepted() && accepted.operation() == Some("smtp"));
    assert_eq!(
        accepted.head(),
        b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n"
    );
    assert_eq!(accepted.body(), format!("{MESSAGE}\r\n").as_bytes());
    assert!(!calls[3].accepted());
    let page = get(&sandbox, "/_inbox/calls/2");
    assert!(page.body.contains("SMTP DATA") && !page.body.contains("User-Agent"));
}

#[test]
fn bare_cr_or_lf_around_the_dot_smuggles_no_second_message() {
    let sandbox = start();
    let second = "MAIL FROM:<evil@example.com>\r\nRCPT TO:<c@example.net>\r\nDATA\r\nx\r\n.\r\n";
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r"] {
        let mut client = Client::log_in(&sandbox);
        let message = format!("{MESSAGE}{end}{second}");
        let message = message.strip_suffix("\r\n.\r\n").unwrap();
        let reply = client.send("a@example.com", &["b@example.net"], message);
        assert_eq!(
            reply, "550 5.6.0 the message has a bare CR or LF: end lines with CRLF",
            "{end:?}"
        );
        assert_eq!(client.say("NOOP"), "250 2.0.0 OK", "{end:?}");
    }
    sandbox.assert_no_mail();
}

#[test]
fn input_that_is_not_smtp_closes_the_connection() {
    let sandbox = start();
    let login = auth(sandbox.smtp_username(), sandbox.key());
    let dialogue = format!(
        "EHLO x\r\n{login}\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nx\r\n.\r\n"
    );
    let long = "x".repeat(5_000);
    for (sent, expected) in [
        // A form that a web page posts.
        (
            format!("POST / HTTP/1.1\r\nHost: a\r\n\r\n{dialogue}"),
            "500 5.5.1 unknown command",
        ),
        (
            "\x16\x03\x01\n".to_owned(),
            "500 5.5.2 the line ends with a bare LF: end lines with CRLF",
        ),
        (
            dialogue.replace('\r', ""),
            "500 5.5.2 the line ends with a bare LF: end lines with CRLF",
        ),
        (
            format!("EHLO {long}\r\n{dialogue}"),
            "500 5.5.2 the line exceeds 4096 bytes",
        ),
        (
            format!("EHLO x\r\nNOOP {long}\r\n{dialogue}"),
            "500 5.5.2 the line exceeds 4096 bytes",
        ),
        (
            format!("EHLO x\r\nAUTH PLAIN\r\n{long}\r\n{dialogue}"),
            "500 5.5.2 the line exceeds 4096 bytes",
        ),
    ] {
        let mut client = Client::connect(&sandbox);
        client.write(&sent);
        let replies = client.rest();
        assert_eq!(replies.lines().last(), Some(expected), "{sent}");
    }
    sandbox.assert_no_mail();
}

#[test]
fn connection_beyond_the_limit_gets_421() {
    let sandbox = patient().max_connections(2).start_blocking().unwrap();
    let mut held = vec![Client::connect(&sandbox), Client::connect(&sandbox)];
    let refused = "421 4.3.2 all 2 connections are in use: close some, or raise \
                   --max-connections\r\n";
    assert_eq!(Client::silent(&sandbox).rest(), refused);
    // HTTP and SMTP share the limit.
    assert_eq!(get(&sandbox, "/_sandbox").status, 503);
    assert_eq!(held[0].say("NOOP"), "250 2.0.0 OK");
    held.pop();
    while sandbox.open_connections() > 1 {
        sleep(Duration::from_millis(2));
    }
    assert_eq!(get(&sandbox, "/_sandbox").status, 200);
}

#[test]
fn silent_client_is_disconnected_after_the_timeout() {
    let sandbox = Sandbox::builder()
        .smtp(0)
        .head_timeout(SHORT)
        .idle_timeout(LONG);
    let sandbox = sandbox.start_blocking().unwrap();
    let mut half = Client::connect(&sandbox);
    half.write("EHLO te");
    let mut logged_in = Client::log_in(&sandbox);
    let ends = "421 4.4.2 no command came for 0.3 s\r\n";
    assert_eq!(half.rest(), ends);
    assert_eq!(logged_in.say("NOOP"), "250 2.0.0 OK");

    let sandbox = Sandbox::builder()
        .smtp(0)
        .head_timeout(LONG)
        .idle_timeout(SHORT);
    let sandbox = sandbox.start_blocking().unwrap();
    let mut idle = Client::log_in(&sandbox);
    assert_eq!(idle.rest(), ends);
    let mut client = Client::log_in(&sandbox);
    client.write("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nHello\n.\n");
    let rest = client.rest();
    let last = "421 4.4.2 no further line of the message and no final dot came for 0.3 s";
    assert_eq!(rest.lines().last(), Some(last));
    sandbox.assert_no_mail();
}

#[test]
fn too_big_message_is_read_to_its_end_and_refused() {
    let sandbox = start();
    let mut client = Client::log_in(&sandbox);
    let line = format!("\r\n{}\r\n", "x".repeat(1020));
    for (lines, expected) in [
        (51_200, "250 2.0.0 OK id=1SaNdB-000001-00"),
        (51_201, "552 5.3.4 the message exceeds 52428800 bytes"),
    ] {
        client.write("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n");
        for _ in 0..3 {
            client.reply();
        }
        client.write(line.repeat(lines));
        assert_eq!(client.say("."), expected);
    }
    assert_eq!(mail(&sandbox).mime().unwrap().len(), 52_428_800);
    let refused = &sandbox.calls()[1];
    assert_eq!(
        (refused.body(), refused.body_bytes()),
        (&b""[..], 51_201 * 1024)
    );
}

#[test]
fn messages_beyond_the_memory_limit_get_452() {
    let sandbox = patient().keep_bytes(1_000_000).start_blocking().unwrap();
    // The limit for all bodies is 128 MiB, and capacity grows by doubling.
    let part = "\r\n".to_owned() + &"x".repeat(36_000_000);
    let mut clients: Vec<_> = (0..3)
        .map(|_| {
            let mut client = Client::log_in(&sandbox);
            client.write("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n");
            for _ in 0..3 {
                client.reply();
            }
            client.write(&part);
            client
        })
        .collect();
    let codes: Vec<_> = clients
        .iter_mut()
        .map(|client| client.say("\r\n.")[..3].to_owned())
        .collect();
    assert!(codes.contains(&"452".to_owned()), "{codes:?}");
    // Messages with a reply no longer count.
    let reply = clients[0].send("a@example.com", &["b@example.net"], &part);
    assert!(reply.starts_with("250 "), "{reply}");
}

#[test]
fn recipient_after_the_hundredth_is_refused() {
    let sandbox = start();
    let mut client = Client::log_in(&sandbox);
    client.say("MAIL FROM:<a@example.com>");
    for number in 0..100 {
        assert_eq!(
            client.say(&format!("RCPT TO:<b{number}@example.net>")),
            "250 2.1.5 OK"
        );
    }
    let reply = client.say("RCPT TO:<c@example.net>");
    assert_eq!(reply, "452 4.5.3 the message has 100 recipients already");
    client.say("DATA");
    assert!(client.say("\r\nHello\r\n.").starts_with("250 "));
    assert_eq!(mail(&sandbox).recipients().len(), 100);
}

#[test]
fn fault_applies_to_http_only() {
    let sandbox = patient()
        .fault(Fault::refuse())
        .fault(Fault::status(503))
        .start_blocking()
        .unwrap();
    let mut client = Client::log_in(&sandbox);
    assert!(
        client
            .send("a@example.com", &["b@example.net"], MESSAGE)
            .starts_with("250 ")
    );
}

#[test]
fn dropped_sandbox_closes_its_connections() {
    let sandbox = start();
    let address = sandbox.smtp_address().unwrap();
    let mut client = Client::log_in(&sandbox);
    drop(sandbox);
    assert_eq!(client.rest(), "");
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn dropped_async_sandbox_closes_its_connections() {
    let sandbox = patient().start().await.unwrap();
    let address = sandbox.smtp_address().unwrap();
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut lines = tokio::io::BufReader::new(stream);
    let mut text = String::new();
    tokio::io::AsyncBufReadExt::read_line(&mut lines, &mut text)
        .await
        .unwrap();
    drop(sandbox);
    tokio::io::AsyncReadExt::read_to_string(&mut lines, &mut text)
        .await
        .unwrap();
    assert_eq!(text, "220 localhost ESMTP smtp2go-sandbox\r\n");
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn smtp_is_off_by_default_and_impossible_if_stateless() {
    let sandbox = Sandbox::start_blocking().unwrap();
    assert_eq!(sandbox.smtp_address(), None);
    let error = Sandbox::builder()
        .smtp(0)
        .stateless(true)
        .start_blocking()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "a stateless sandbox keeps no mail, and so has no SMTP"
    );
}

/// Sends random bytes and random parts of commands, without a valid login.
#[test]
fn random_input_gets_valid_replies_and_delivers_nothing() {
    let sandbox = Sandbox::builder().smtp(0).start_blocking().unwrap();
    let parts: [&[u8]; 18] = [
        b"EHLO x",
        b"AUTH PLAIN ",
        b"AUTH LOGIN",
        b"AHNhbmRib3gAYg==",
        b"MAIL FROM:",
        b"<a@example.com>",
        b"RCPT TO:",
        b"<b@example.net>",
        b"DATA",
        b".",
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\n",
        b"\"",
        b"<",
        b"RSET",
        b" SIZE=",
    ];
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut sent = if random.bool() {
            b"EHLO x\r\n".to_vec()
        } else {
            Vec::new()
        };
        for _ in 0..random.usize(..60) {
            match random.u8(..4) {
                0 => sent.extend((0..random.usize(..9)).map(|_| random.u8(..))),
                _ => sent.extend_from_slice(parts[random.usize(..parts.len())]),
            }
        }
        let mut client = Client::silent(&sandbox);
        // The server may have closed the connection.
        let _ = client.0.get_mut().write_all(&sent);
        let _ = client.0.get_mut().shutdown(std::net::Shutdown::Write);
        let mut replies = Vec::new();
        let _ = client.0.read_to_end(&mut replies);
        let replies = String::from_utf8(replies).unwrap();
        for reply in replies.lines() {
            let code = reply.get(..3).and_then(|code| code.parse::<u16>().ok());
            assert!(
                code.is_some_and(|code| (200..600).contains(&code)),
                "seed {seed}: {replies}"
            );
        }
    }
    sandbox.assert_no_mail();
    let mut client = Client::log_in(&sandbox);
    assert!(
        client
            .send("a@example.com", &["b@example.net"], MESSAGE)
            .starts_with("250 ")
    );
}
