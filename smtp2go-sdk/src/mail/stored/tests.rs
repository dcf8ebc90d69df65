use std::io;

use fastrand::Rng;
use serde_json::{Value, json};
use smtp2go_types::EmailSendRequest;

use super::*;

/// Returns a mail that has every part.
fn full() -> Email {
    Email::new("Acme <noreply@example.com>", "Your order")
        .to("Jane <jane@example.net>")
        .to("\"Doe, John\" <john@example.net>")
        .cc("sales@example.com")
        .bcc("archive@example.com")
        .reply_to("support@example.com")
        .html("<img src=\"cid:logo.png\">")
        .text("Grüße\n")
        .header("X-Order", "42")
        .schedule("2026-12-01T09:00:00Z")
        .fastaccept(true)
        .attach(Attachment::from_bytes("a.csv", "x,y\n").mimetype("text/csv"))
        .attach(Attachment::from_url("t.pdf", "https://example.com/t.pdf"))
        .inline(Attachment::from_bytes("logo.png", &b"\x89PNG"[..]))
        .extra("newer", json!({"b": [1, null]}))
        .idempotency_key("order-42/confirmation")
}

fn text(email: &Email) -> String {
    serde_json::to_string(email).unwrap()
}

fn read(json: &str) -> Result<Email, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn full_mail_is_written_in_the_documented_format() {
    let expected = r#"{
  "version": 1,
  "idempotency_key": "order-42/confirmation",
  "sender": "Acme <noreply@example.com>",
  "to": [
    "Jane <jane@example.net>",
    "\"Doe, John\" <john@example.net>"
  ],
  "cc": [
    "sales@example.com"
  ],
  "bcc": [
    "archive@example.com"
  ],
  "reply_to": [
    "support@example.com"
  ],
  "subject": "Your order",
  "html_body": "<img src=\"cid:logo.png\">",
  "text_body": "Grüße\n",
  "custom_headers": [
    {
      "header": "X-Order",
      "value": "42"
    }
  ],
  "schedule": "2026-12-01T09:00:00Z",
  "fastaccept": true,
  "attachments": [
    {
      "filename": "a.csv",
      "mimetype": "text/csv",
      "fileblob": "eCx5Cg=="
    },
    {
      "filename": "t.pdf",
      "url": "https://example.com/t.pdf"
    }
  ],
  "inlines": [
    {
      "filename": "logo.png",
      "fileblob": "iVBORw=="
    }
  ],
  "extra": {
    "newer": {"b":[1,null]}
  }
}"#;
    assert_eq!(serde_json::to_string_pretty(&full()).unwrap(), expected);
    assert_eq!(read(expected).unwrap(), full());
}

#[test]
fn every_field_of_the_request_has_a_member() {
    let mail = full().template_data(json!({})).subject("x");
    let mut mail = mail;
    mail.edit().template = Some(EmailTemplate {
        id: "t".to_owned(),
        data: Some(Ok("{}".to_owned())),
    });
    let stored: Value = serde_json::from_str(&text(&mail)).unwrap();
    let mut members: Vec<_> = stored.as_object().unwrap().keys().collect();
    members.retain(|name| !["version", "idempotency_key", "reply_to", "extra"].contains(&&***name));
    let mut fields = EmailSendRequest::FIELDS.to_vec();
    fields.sort_unstable();
    members.sort_unstable();
    assert_eq!(members, fields);
}

/// A text with characters that JSON escapes, and with those of addresses.
fn any_text(random: &mut Rng) -> String {
    const PARTS: [&str; 12] = [
        "a", "Hello ", "\"", "\\", "\n", "\u{0}", "é", "日本", "🎉", "\u{7f}", "null", "{}",
    ];
    (0..random.usize(..6))
        .filter_map(|_| random.choice(PARTS))
        .collect()
}

fn any_mailbox(random: &mut Rng) -> Mailbox {
    let n = random.u8(..);
    match random.u8(..4) {
        0 => Mailbox::new(format!("a{n}@example.com")),
        1 => Mailbox::named(format!("N \"{n}\", \\"), "b@example.net"),
        2 => Mailbox::from(format!("Zoë {n} <zoë@example.org>")),
        _ => Mailbox::from("not an address"),
    }
}

fn any_file(random: &mut Rng) -> Attachment {
    let name = any_text(random);
    let file = match random.u8(..3) {
        0 => Attachment::from_url(name, any_text(random)),
        1 => Attachment {
            recorded: Some(RecordedFile {
                size: random.bool().then(|| random.u64(..)),
                modified: Some("2026-11-28T17:04:31.204518733Z".into()),
            }),
            ..Attachment::from_path("/no/such/file.pdf")
        },
        _ => {
            let size = random.usize(..70);
            let bytes: Vec<u8> = (0..size).map(|_| random.u8(..)).collect();
            Attachment::from_bytes(name, bytes)
        }
    };
    match random.bool() {
        true => file.mimetype(any_text(random)),
        false => file,
    }
}

fn any_mail(seed: u64) -> Email {
    let random = &mut Rng::with_seed(seed);
    let mut mail = match random.u8(..4) {
        0 => Email::from_template(any_mailbox(random), any_text(random)),
        1 => Email::bare(any_mailbox(random)),
        _ => Email::new(any_mailbox(random), any_text(random)),
    };
    for _ in 0..random.u8(..12) {
        mail = match random.u8(..15) {
            0 => mail.to(any_mailbox(random)),
            1 => mail.cc(any_mailbox(random)),
            2 => mail.bcc(any_mailbox(random)),
            3 => mail.reply_to(any_mailbox(random)),
            4 => mail.subject(any_text(random)),
            5 => mail.html(any_text(random)),
            6 => mail.text(any_text(random)),
            7 => mail.header(any_text(random), any_text(random)),
            8 => mail.template_data(json!({any_text(random): [random.u64(..), any_text(random)]})),
            9 => mail.schedule(any_text(random)),
            10 => mail.fastaccept(random.bool()),
            11 => mail.attach(any_file(random)),
            12 => mail.inline(any_file(random)),
            13 => mail.extra(any_text(random), random.i64(..)),
            _ => mail.idempotency_key(any_text(random)),
        };
    }
    mail
}

#[test]
fn any_mail_is_read_as_it_was_written() {
    for seed in 0..2000 {
        let mail = any_mail(seed);
        let stored = text(&mail);
        let again = read(&stored).unwrap();
        assert_eq!(again, mail, "seed {seed}: {stored}");
        assert_eq!(text(&again), stored, "seed {seed}");
        // As a database does that parses JSON: members are in another order.
        let value = serde_json::to_value(&mail).unwrap();
        let parsed = read(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(parsed.unwrap(), mail, "seed {seed}: {stored}");
        assert_eq!(serde_json::from_value::<Email>(value).unwrap(), mail);
    }
}

#[test]
fn numbers_keep_all_their_digits() {
    let number = "340282366920938463463374607431768211455.0000000000000000000001";
    let json = format!(
        r#"{{"version":1,"sender":"a@example.com","template_id":"t","template_data":{{"n":{number}}},"extra":{{"n":{number}}}}}"#
    );
    let mail = read(&json).unwrap();
    assert_eq!(text(&mail), json);
    let parts = mail.parts();
    assert_eq!(
        parts.template_data(),
        Some(&*format!(r#"{{"n":{number}}}"#))
    );
    assert_eq!(parts.extra().next(), Some(("n", number)));
}

#[test]
fn null_and_empty_list_count_as_missing() {
    let stored = text(&full());
    let nulls = r#"{"version":1,"sender":"a@example.com","idempotency_key":null,"to":null,"cc":[],"bcc":null,
        "reply_to":null,"subject":null,"html_body":null,"text_body":null,"custom_headers":null,"template_id":null,
        "template_data":null,"schedule":null,"fastaccept":null,"attachments":[],"inlines":null,"extra":null}"#;
    assert_eq!(
        read(nulls).unwrap(),
        Email::bare(Mailbox::new("a@example.com"))
    );
    let value: Value = serde_json::from_str(&stored).unwrap();
    for name in value.as_object().unwrap().keys() {
        assert!(nulls.contains(&format!("\"{name}\"")), "{name}");
    }
}

#[test]
fn broken_json_is_refused_and_the_error_names_the_member() {
    for (json, expected) in [
        ("[]", "a mail: expected an object"),
        ("\"x\"", "a mail: expected an object"),
        ("{}", "version: missing, write 1"),
        (r#"{"version":null}"#, "version: missing, write 1"),
        (r#"{"version":"1"}"#, "version: expected a whole number"),
        (
            r#"{"version":2,"newer":1}"#,
            "version: 2 is not supported, this version of smtp2go-sdk reads version 1",
        ),
        (r#"{"version":1}"#, "sender: missing"),
        (
            r#"{"version":1,"sender":{"name":"a"}}"#,
            "sender: expected a string",
        ),
        (r#"{"version":1,"version":1}"#, "version: duplicate member"),
    ] {
        assert_eq!(read(json).unwrap_err(), expected, "{json}");
    }
    for (member, expected) in [
        (r#""to":"b@example.net""#, "to: expected a list of strings"),
        (
            r#""to":["b@example.net",1]"#,
            "to: expected a list of strings",
        ),
        (r#""recipient":"x""#, "recipient: unknown member"),
        (r#""re\npl":"x""#, "re\\npl: unknown member"),
        (r#""subject":1"#, "subject: expected a string"),
        (
            r#""subject":"a","subject":"b""#,
            "subject: duplicate member",
        ),
        (
            r#""fastaccept":"yes""#,
            "fastaccept: expected true or false",
        ),
        (
            r#""schedule":1772439300"#,
            "schedule: expected a time in a string",
        ),
        (
            r#""template_data":"{}""#,
            "template_data: expected an object",
        ),
        (
            r#""template_data":[1]"#,
            "template_data: expected an object",
        ),
        (r#""extra":[]"#, "extra: expected an object"),
        (r#""extra":{"a":1,"a":2}"#, "extra.a: duplicate member"),
        (
            r#""custom_headers":{}"#,
            "custom_headers: expected a list of objects",
        ),
        (
            r#""custom_headers":["a: b"]"#,
            "custom_headers[0]: expected an object",
        ),
        (
            r#""custom_headers":[{"header":"a"}]"#,
            "custom_headers[0].value: missing",
        ),
        (
            r#""custom_headers":[{"header":"a","value":"b","name":"c"}]"#,
            "custom_headers[0].name: unknown member",
        ),
        (
            r#""attachments":[{"filename":"a"}]"#,
            "attachments[0]: needs exactly one of fileblob, url and path",
        ),
        (
            r#""attachments":[{"filename":"a","fileblob":"","url":"x"}]"#,
            "attachments[0]: needs exactly one of fileblob, url and path",
        ),
        (
            r#""inlines":[{"filename":"a","url":"x"},{"filename":"a","fileblob":"eA"}]"#,
            "inlines[1].fileblob: not standard base64 with padding and without line breaks",
        ),
        (
            r#""inlines":[{"fileblob":"eA=="}]"#,
            "inlines[0].filename: missing",
        ),
        (
            r#""attachments":[{"filename":"a","url":"x","size":1}]"#,
            "attachments[0]: size and modified are for an attachment with a path",
        ),
        (
            r#""attachments":[{"path":"x","size":-1}]"#,
            "attachments[0].size: expected a whole number of bytes",
        ),
        (
            r#""attachments":[{"path":"x","modified":"soon"}]"#,
            "attachments[0].modified: not a time, such as 2026-11-28T17:04:31Z",
        ),
        (
            r#""attachments":[{"path":"x","mode":"r"}]"#,
            "attachments[0].mode: unknown member",
        ),
    ] {
        let json = format!(r#"{{"version":1,"sender":"a@example.com",{member}}}"#);
        assert_eq!(read(&json).unwrap_err(), expected, "{json}");
    }
    // Not JSON at all: serde_json's own error, with its place.
    assert!(read(r#"{"version":1,"#).unwrap_err().contains("line 1"));
}

#[test]
fn part_that_cannot_be_stored_is_an_error_that_names_it() {
    let mail = || Email::new("a@example.com", "x").attach(Attachment::from_bytes("a", "x"));
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.pdf");
    let no_file = format!("attachments[1]: {}: ", missing.display());
    let directory = format!(
        "inlines[0]: {}: not a regular file",
        folder.path().display()
    );
    let data = std::collections::BTreeMap::from([(vec![1], 1)]);
    for (mail, expected) in [
        (
            mail().attach(Attachment::from_reader("r.bin", tokio::io::empty(), 1)),
            "attachments[1]: \"r.bin\": a reader can't be stored: use Attachment::from_bytes or from_path",
        ),
        (
            mail().inline(Attachment::from_blocking_reader("b.bin", io::empty(), 1)),
            "inlines[0]: \"b.bin\": a reader can't be stored: use Attachment::from_bytes or from_path",
        ),
        (mail().attach(Attachment::from_path(&missing)), &no_file),
        (
            mail().inline(Attachment::from_path(folder.path())),
            &directory,
        ),
        (mail().to(Mailbox::new("Jane <b@example.net>")), "to[0]: "),
        (mail().cc(Mailbox::new(" b@example.net")), "cc[0]: "),
        (mail().to("a@example.com, B <b@example.net>"), "to[0]: "),
        (
            mail().template_data(data),
            "template_data: the data can't be written as JSON: ",
        ),
    ] {
        let error = serde_json::to_string(&mail).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn path_that_is_not_utf_8_cannot_be_stored() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let path = std::path::Path::new(OsStr::from_bytes(b"/x\xff"));
    let mail = Email::new("a@example.com", "x").attach(Attachment::from_path(path));
    let error = serde_json::to_string(&mail).unwrap_err().to_string();
    assert!(error.ends_with("the path is not UTF-8"), "{error}");
}

#[test]
fn stored_file_has_absolute_path_size_and_time_of_the_first_store() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "12345").unwrap();
    let mail = Email::new("a@example.com", "x").attach(Attachment::from_path(file.path()));
    let stored = text(&mail);
    let value: Value = serde_json::from_str(&stored).unwrap();
    let recorded = &value["attachments"][0];
    assert_eq!(recorded["path"], file.path().to_str().unwrap());
    assert_eq!(recorded["size"], 5);
    assert!(recorded["modified"].as_str().unwrap().ends_with('Z'));
    let again = read(&stored).unwrap();
    assert_ne!(again, mail, "the stored mail has size and time");
    drop(file);
    assert_eq!(text(&again), stored);

    let relative = Attachment {
        recorded: Some(RecordedFile::default()),
        ..Attachment::from_path("report.pdf")
    };
    let relative = text(&Email::new("a@example.com", "x").attach(relative));
    let value: Value = serde_json::from_str(&relative).unwrap();
    let path = value["attachments"][0]["path"].as_str().unwrap();
    assert!(std::path::Path::new(path).is_absolute(), "{path}");
}

#[test]
fn file_name_of_a_path_is_optional() {
    let json = |name: &str| {
        format!(
            r#"{{"version":1,"sender":"a@example.com","attachments":[{{{name}"path":"/tmp/b.pdf"}}]}}"#
        )
    };
    for (name, expected) in [("", "b.pdf"), (r#""filename":"c.pdf","#, "c.pdf")] {
        let mail = read(&json(name)).unwrap();
        assert_eq!(mail.parts().attachments()[0].file_name(), expected);
    }
}

#[test]
fn mails_are_equal_if_all_parts_are() {
    type Change = fn(Email) -> Email;
    let changes: [Change; 16] = [
        |mail| mail.to("x@example.net"),
        |mail| mail.cc("x@example.net"),
        |mail| mail.bcc("x@example.net"),
        |mail| mail.reply_to("x@example.net"),
        |mail| mail.subject("x"),
        |mail| mail.html("x"),
        |mail| mail.text("x"),
        |mail| mail.header("X-A", "x"),
        |mail| mail.template_data(json!({"a": 1})),
        |mail| mail.schedule("2026-12-02"),
        |mail| mail.fastaccept(false),
        |mail| mail.attach(Attachment::from_bytes("a.csv", "x,y\n").mimetype("text/csv")),
        |mail| mail.inline(Attachment::from_path("x")),
        |mail| mail.extra("newer", 2),
        |mail| mail.extra("newest", 2),
        |mail| mail.idempotency_key("x"),
    ];
    assert_eq!(full(), full());
    for (index, change) in changes.iter().enumerate() {
        assert_ne!(change(full()), full(), "{index}");
        assert_eq!(change(full()), change(full()), "{index}");
    }
    let reader = || {
        let reader = Attachment::from_blocking_reader("r", io::empty(), 0);
        full().attach(reader)
    };
    let mail = reader();
    assert_eq!(mail, mail.clone());
    assert_ne!(mail, reader());
}
