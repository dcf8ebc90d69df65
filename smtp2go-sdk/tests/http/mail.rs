//! Sends mail, mostly to a sandbox that checks every request against the spec.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::log_watch::watched;
use crate::support::{Tested, answering};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::types::{
    Attachment as File64, BatchEmail, CustomHeader, EmailBatchRequest, EmailSendRequest,
    TemplateAddRequest,
};
use smtp2go_sdk::{Attachment, Body, Certainty, Client, Email, Error, KeyLocation, Mailbox, Mime};

/// Random bytes.
fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut random = Rng::with_seed(seed);
    (0..size).map(|_| random.u8(..)).collect()
}

/// A text with characters that JSON and HTML escape.
fn text(random: &mut Rng, longest: usize) -> String {
    const PARTS: [&str; 12] = [
        "a", "Hello ", "\"", "\\", "\n", "\t", "é", "日本", "🎉", "\u{1}", "</p>", "{{ x }}",
    ];
    (0..random.usize(..=longest))
        .filter_map(|_| random.choice(PARTS))
        .collect()
}

/// A sandbox that refuses requests that the spec does not allow.
async fn strict() -> Sandbox {
    Sandbox::builder().strict(true).start().await.unwrap()
}

fn client(sandbox: &Sandbox) -> Client {
    Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap()
}

fn mail() -> Email {
    Email::new("Acme <noreply@example.com>", "Hello")
        .to("jane@example.net")
        .text("Hello")
}

fn fields(error: &Error) -> Vec<&str> {
    error
        .field_errors()
        .iter()
        .map(|problem| problem.field.as_str())
        .collect()
}

#[tokio::test]
async fn control_characters_in_headers_are_refused_by_every_entry_point() {
    let server = answering("{}");
    let client = server.client();
    let to = "b@example.net\r\nBcc: c@example.org";
    let request = EmailSendRequest::new("a@example.com", [to]).text_body("Hi");
    let item = BatchEmail::new("a@example.com", [to], "Hi").text_body("Hi");
    let mail = || Email::new("a@example.com", "Hi").to(to).text("Hi");
    for (result, field) in [
        (client.email().send(request).await.map(drop), "to[0]"),
        (
            client
                .email()
                .batch(EmailBatchRequest::new([item]))
                .await
                .map(drop),
            "emails[0].to[0]",
        ),
        (client.send(mail()).await.map(drop), "to[0]"),
        (
            client.send_batch([mail()]).await.map(drop),
            "emails[0].to[0]",
        ),
    ] {
        assert_line_break_refused(&result.unwrap_err(), field);
    }
    assert!(server.calls().is_empty());
}

/// Asserts that a request was not sent because of a line break in one field.
pub(crate) fn assert_line_break_refused(error: &Error, field: &str) {
    assert!(error.is_validation(), "{error}");
    assert_eq!(error.certainty(), Certainty::NotSent);
    assert_eq!(fields(error), [field]);
    let expected = "a line break or another control character is not allowed";
    assert_eq!(error.field_errors()[0].message, expected, "{field}");
}

#[tokio::test]
async fn mail_with_every_field_arrives_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.pdf");
    let data = noise(1, 300_001);
    std::fs::write(&path, &data).unwrap();
    for location in [KeyLocation::Header, KeyLocation::Body] {
        let sandbox = strict().await;
        let client = Client::builder(watched(sandbox.key()))
            .base_url(sandbox.base_url())
            .key_location(location)
            .build()
            .unwrap();
        let email = Email::new("Acme <noreply@example.com>", "Report \"10\"")
            .to("Doe, Jane <jane@example.net>")
            .to_all(["a@example.net", "b@example.net"])
            .cc(("Zoë", "zoe@example.net"))
            .bcc(Mailbox::new("hidden@example.net"))
            .reply_to("help@example.com")
            .reply_to(("Doe, J.", "j@example.com"))
            .header("X-Order", "7")
            .text("Hello\n")
            .html("<img src=\"cid:logo.png\">")
            .attach(Attachment::from_path(&path))
            .attach(Attachment::from_bytes("notes", data.clone()).mimetype("text/x-notes"))
            .attach(Attachment::from_url(
                "terms.pdf",
                "https://example.com/terms.pdf",
            ))
            .attach(Attachment::from_reader(
                "r.bin",
                io_reader(data.clone()),
                300_001,
            ))
            .attach(Attachment::from_blocking_reader(
                "b.bin",
                io::Cursor::new(data.clone()),
                300_001,
            ))
            .attach(Attachment::from_bytes("empty.txt", ""))
            .inline(Attachment::from_bytes("logo.png", &b"\x89PNG"[..]));
        let sent = client.send(email).await.unwrap();
        assert!(sent.email_id.is_some() && sent.request_id().is_some());
        assert_eq!(sent.schedule_id, None);

        let mails = sandbox.mails();
        let mail = &mails[0];
        assert_eq!(Some(mail.email_id()), sent.email_id.as_deref());
        assert_eq!(mail.sender(), "Acme <noreply@example.com>");
        assert_eq!(
            mail.to(),
            [
                "\"Doe, Jane\" <jane@example.net>",
                "a@example.net",
                "b@example.net"
            ]
        );
        assert_eq!(mail.cc(), ["Zoë <zoe@example.net>"]);
        assert_eq!(mail.bcc(), ["hidden@example.net"]);
        assert_eq!(mail.subject(), Some("Report \"10\""));
        let request = mail.request();
        assert_eq!(
            request["custom_headers"],
            serde_json::json!([
                {"header": "X-Order", "value": "7"},
                {"header": "Reply-To", "value": "help@example.com, \"Doe, J.\" <j@example.com>"},
            ])
        );
        assert_eq!(request["fastaccept"], false);
        assert_eq!(
            request["attachments"][2]["url"],
            "https://example.com/terms.pdf"
        );
        let files = mail.attachments();
        for index in [0, 1, 3, 4] {
            assert!(files[index].content == data, "file {index}");
        }
        let names: Vec<_> = files.iter().map(|file| file.filename.as_str()).collect();
        assert_eq!(
            names,
            [
                "report.pdf",
                "notes",
                "terms.pdf",
                "r.bin",
                "b.bin",
                "empty.txt"
            ]
        );
        for (index, mimetype) in [
            (0, "application/pdf"),
            (1, "text/x-notes"),
            (3, "application/octet-stream"),
        ] {
            assert_eq!(request["attachments"][index]["mimetype"], mimetype);
        }
        assert_eq!(mail.inlines()[0].content, b"\x89PNG");
        let calls = sandbox.calls();
        assert_eq!(calls.len(), 1);
    }
}

/// An asynchronous reader that yields at most 4999 bytes at a time, and is pending on every third poll.
fn io_reader(data: Vec<u8>) -> impl tokio::io::AsyncRead + Send + 'static {
    struct Halting(io::Cursor<Vec<u8>>, usize);
    impl tokio::io::AsyncRead for Halting {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<io::Result<()>> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            let mut space = vec![0; buffer.remaining().min(4999)];
            let read = self.0.read(&mut space)?;
            buffer.put_slice(&space[..read]);
            std::task::Poll::Ready(Ok(()))
        }
    }
    Halting(io::Cursor::new(data), 0)
}

/// A random mail, as an `Email` and as the generated type.
fn pair(seed: u64, folder: &Path) -> (Email, EmailSendRequest) {
    let random = &mut Rng::with_seed(seed);
    // A strict sandbox refuses an empty text that could be left out.
    let subject = text(random, 8).replace(['\n', '\t', '\u{1}'], " ");
    let subject = format!("x{subject}");
    let body = format!("x{}", text(random, 60));
    let mut to = vec!["ana@example.com".to_owned()];
    to.extend((0..random.usize(..4)).map(|n| format!("n{n}@example.net")));
    let mut email = Email::new("Acme <a@example.com>", &subject)
        .to_all(&to)
        .text(&body);
    let mut request = EmailSendRequest::new("Acme <a@example.com>", &to)
        .subject(subject)
        .text_body(body)
        .fastaccept(random.bool());
    email = email.fastaccept(request.fastaccept);
    if random.bool() {
        let html = format!("<p>{}</p><img src='cid:i.gif'>", text(random, 200));
        email = email.html(&html);
        request = request.html_body(html);
        let image = noise(seed, random.usize(..50));
        request = request.inlines([File64::new("i.gif")
            .mimetype("image/gif")
            .fileblob(STANDARD.encode(&image))]);
        email = email.inline(Attachment::from_bytes("i.gif", image));
    }
    if random.bool() {
        email = email.cc("Cy <c@example.com>").bcc("d@example.com");
        request = request.cc(["Cy <c@example.com>"]).bcc(["d@example.com"]);
    }
    if random.bool() {
        let value = text(random, 5).replace(['\n', '\t', '\u{1}'], " ");
        request = request.custom_headers([
            CustomHeader::new("X-Value", &value),
            CustomHeader::new("Reply-To", "\"B, B\" <b@example.com>"),
        ]);
        email = email
            .header("X-Value", value)
            .reply_to("B, B <b@example.com>");
    }
    let mut files = Vec::new();
    for index in 0..random.usize(..4) {
        let content = noise(seed ^ index as u64, random.usize(..200_000));
        let (name, mimetype) =
            [("ü.csv", "text/csv"), ("b", "application/octet-stream")][random.usize(..2)];
        files.push(
            File64::new(name)
                .mimetype(mimetype)
                .fileblob(STANDARD.encode(&content)),
        );
        let size = content.len() as u64;
        email = email.attach(match random.usize(..4) {
            0 => Attachment::from_bytes(name, content),
            1 => Attachment::from_reader(name, io_reader(content), size),
            2 => Attachment::from_blocking_reader(name, io::Cursor::new(content), size),
            _ => {
                let path = folder.join(format!("{seed}-{index}"));
                std::fs::write(&path, content).unwrap();
                Attachment::from_path(path).filename(name)
            }
        });
    }
    if !files.is_empty() {
        request = request.attachments(files);
    }
    (email, request)
}

#[tokio::test]
async fn random_mail_is_encoded_like_the_generated_type() {
    let sandbox = strict().await;
    let client = client(&sandbox);
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..60 {
        let (email, request) = pair(seed, folder.path());
        client.send(email).await.unwrap();
        let mails = sandbox.mails();
        let written = mails.last().unwrap().request();
        let expected = serde_json::to_value(&request).unwrap();
        assert!(written == expected, "seed {seed}");
    }
}

#[tokio::test]
async fn all_problems_are_in_one_error_and_nothing_is_sent() {
    let sandbox = strict().await;
    let client = client(&sandbox);
    let far = SystemTime::now() + Duration::from_secs(4 * 24 * 60 * 60);
    let email = Email::new("nobody", "Hi\r\nBcc: x@example.com")
        .to_all(vec!["a@example.com"; 100])
        .to("b@example..com")
        .reply_to("x")
        .header("content-type", "text/html")
        .header("X: Y", "a\nb")
        .header("Reply-To", "c@example.com")
        .schedule(far)
        .attach(Attachment::from_path("no/such/report.pdf"))
        .attach(Attachment::from_bytes("a\u{0}b", "").mimetype("pdf"))
        .attach(Attachment::from_url("x", "ftp://example.com/x"))
        .inline(Attachment::from_bytes("a b.png", ""))
        .inline(Attachment::from_bytes("c.png", ""))
        .inline(Attachment::from_bytes("c.png", ""));
    let error = client.send(email).await.unwrap_err();
    assert_eq!(
        fields(&error),
        [
            "sender",
            "to",
            "to[100]",
            "reply_to[0]",
            "subject",
            "text_body",
            "custom_headers[0].header",
            "custom_headers[1].header",
            "custom_headers[1].value",
            "custom_headers[2].header",
            "schedule",
            "attachments[0]",
            "attachments[1].filename",
            "attachments[1].mimetype",
            "attachments[2].url",
            "inlines[0].filename",
            "inlines[1].filename",
            "inlines[2].filename",
            "inlines[0].filename",
            "inlines[2].filename",
        ]
    );
    assert!(error.is_validation());
    assert_eq!(
        (error.certainty(), error.attempts()),
        (Certainty::NotSent, 0)
    );
    assert_eq!(error.operation().unwrap().id, "email_send");
    let (shown, debug) = (error.to_string(), format!("{error:?}"));
    assert!(
        shown.contains("no/such/report.pdf") && !shown.contains('\n'),
        "{shown}"
    );
    assert!(
        !debug.contains("report") && !debug.contains("example"),
        "{debug}"
    );

    for (email, field) in [
        (Email::new("a@example.com", "x").text("x"), "to"),
        (mail().text(""), "text_body"),
        (mail().schedule("2020-01-01"), "schedule"),
        (mail().schedule("soon"), "schedule"),
        (mail().html("<img src=\"cid:none.png\">"), "html_body"),
        (
            mail().template_data(BTreeMap::<&str, &str>::new()),
            "template_id",
        ),
        (template().template_data([1]), "template_data"),
        (
            template().template_data(BTreeMap::from([(vec![1], 1)])),
            "template_data",
        ),
        (template().subject("x"), "subject"),
        (template().text("x"), "text_body"),
        (
            Email::from_template("a@example.com", "").to("b@example.com"),
            "template_id",
        ),
        (mail().cc("x"), "cc[0]"),
        (
            mail().attach(Attachment::from_path(std::env::temp_dir()).filename("x")),
            "attachments[0]",
        ),
    ] {
        let error = client.send(email).await.unwrap_err();
        assert_eq!(fields(&error), [field], "{error}");
    }
    assert!(sandbox.calls().is_empty());
}

#[tokio::test]
async fn custom_header_that_has_its_own_setter_is_refused() {
    let sandbox = strict().await;
    let client = client(&sandbox);
    for (name, place) in [
        ("From", "Email::new"),
        ("to", "Email::to"),
        ("CC", "Email::cc"),
        ("Bcc ", "Email::bcc"),
        ("subject", "Email::subject"),
    ] {
        let error = client.send(mail().header(name, "x")).await.unwrap_err();
        assert_eq!(fields(&error), ["custom_headers[0].header"], "{name}");
        assert!(error.to_string().contains(place), "{error}");
    }
    // Each is allowed, but not both.
    let twice = mail().header("Reply-To", "c@example.com");
    let twice = twice
        .header("X-Order", "7")
        .header("reply-to", "d@example.com");
    let error = client.send(twice).await.unwrap_err();
    assert_eq!(fields(&error), ["custom_headers[2].header"]);
    let text = "duplicate Reply-To, which makes a mail invalid: reply_to puts several";
    assert!(error.to_string().contains(text), "{error}");
    assert!(sandbox.calls().is_empty());

    // Headers without a setter.
    let others = [
        "Reply-To",
        "Sender",
        "Date",
        "Message-ID",
        "X-To",
        "Resent-To",
    ];
    for name in others {
        let mail = mail().header(name, "c@example.com");
        client.send(mail).await.unwrap();
    }
    assert_eq!(sandbox.mails().len(), others.len());
}

/// Adds the template that [`template`] uses.
async fn add_template(client: &Client) {
    let body = "{{ number }}: {{#each lines}}{{ this }}{{/each}}";
    let welcome = TemplateAddRequest::new("Welcome", "welcome", "Order {{ number }}", body, body);
    client.template().add(welcome).await.unwrap();
}

fn template() -> Email {
    Email::from_template("a@example.com", "welcome").to("b@example.com")
}

#[tokio::test]
async fn template_and_schedule_are_sent() {
    #[derive(serde::Serialize)]
    struct Order<'a> {
        number: u32,
        lines: [&'a str; 2],
    }
    let sandbox = strict().await;
    let client = client(&sandbox);
    let order = Order {
        number: 7,
        lines: ["a", "b"],
    };
    add_template(&client).await;
    client.send(template().template_data(&order)).await.unwrap();
    let time = SystemTime::now() + Duration::from_secs(3600);
    let sent = client.send(mail().schedule(time)).await.unwrap();
    assert!(sent.schedule_id.is_some());

    let mails = sandbox.mails();
    assert_eq!(
        mails[0].request(),
        serde_json::json!({
            "sender": "a@example.com", "to": ["b@example.com"], "template_id": "welcome",
            "template_data": {"number": 7, "lines": ["a", "b"]}, "fastaccept": false,
        })
    );
    assert_eq!(mails[0].subject(), Some("Order 7"));
    assert_eq!(mails[0].text_body(), Some("7: ab"));
    let request = mails[1].request();
    let schedule = request["schedule"].as_str().unwrap();
    assert!(
        schedule.ends_with(" +0000") && schedule.len() == 25,
        "{schedule}"
    );
}

#[tokio::test]
async fn size_limit_is_checked_without_reading_the_file() {
    let sandbox = strict().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.zip");
    // A sparse file, which takes no space on disk.
    File::create(&path).unwrap().set_len(40_000_000).unwrap();
    let email = mail().attach(Attachment::from_path(&path));
    email.validate().unwrap();
    let error = client(&sandbox).send(email).await.unwrap_err();
    assert!(error.is_validation());
    assert!(
        error.to_string().contains("the limit of 52428800 bytes"),
        "{error}"
    );
    let error = client(&sandbox).send_mime(path).await.unwrap_err();
    assert!(
        error.to_string().contains("the limit of 52428800 bytes"),
        "{error}"
    );
    assert!(sandbox.calls().is_empty());
}

/// An empty reader that calls a function when it is read.
struct Then<F>(Option<F>);

impl<F: FnOnce()> Read for Then<F> {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        if let Some(then) = self.0.take() {
            then();
        }
        Ok(0)
    }
}

#[tokio::test]
async fn file_that_changes_after_the_check_aborts_the_request() {
    type Change = fn(&PathBuf);
    let changes: [(Change, &str); 4] = [
        (|path| std::fs::write(path, "other").unwrap(), "to 5 bytes"),
        (
            |path| {
                let mut file = File::options().append(true).open(path).unwrap();
                file.write_all(b"more").unwrap();
            },
            "from 4000 to 4004 bytes",
        ),
        (
            |path| {
                let file = File::options().write(true).open(path).unwrap();
                file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            },
            "modification time changed",
        ),
        (|path| std::fs::remove_file(path).unwrap(), "report.pdf"),
    ];
    for (change, says) in changes {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.pdf");
        std::fs::write(&path, vec![1; 4000]).unwrap();
        let changed = path.clone();
        // This attachment is read after the file was checked and before the file is sent.
        let first = Then(Some(move || change(&changed)));
        let server = answering("{}");
        let email = mail()
            .attach(Attachment::from_blocking_reader("first", first, 0))
            .attach(Attachment::from_path(&path));
        let error = server.client().send(email).await.unwrap_err();
        assert_eq!(fields(&error), ["attachments[1]"]);
        assert!(error.to_string().contains(says), "{error}");
        assert!(error.is_validation() && !error.is_connect() && !error.is_timeout());
        assert_eq!(
            (error.certainty(), error.attempts()),
            (Certainty::NotSent, 1)
        );
        assert!(!format!("{error:?}").contains("report.pdf"));
        // The server counts only whole requests.
        assert_eq!(server.calls().len(), 0);
    }
}

#[tokio::test]
async fn reader_of_wrong_length_or_used_twice_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no more"))
        }
    }
    let data = || io::Cursor::new(vec![1; 10]);
    for (file, says) in [
        (Attachment::from_reader("a", data(), 11), "ends 1 byte "),
        (Attachment::from_reader("a", data(), 9), "content is longer"),
        (Attachment::from_reader("a", data(), 0), "content is longer"),
        (
            Attachment::from_blocking_reader("a", data(), 11),
            "ends 1 byte ",
        ),
        (
            Attachment::from_blocking_reader("a", data(), 9),
            "content is longer",
        ),
        (Attachment::from_blocking_reader("a", Broken, 9), "no more"),
        (
            Attachment::from_blocking_reader("a", Then(Some(|| panic!("on purpose"))), 0),
            "the reader panicked",
        ),
    ] {
        let server = answering("{}");
        let error = server.client().send(mail().attach(file)).await.unwrap_err();
        assert_eq!(fields(&error), ["attachments[0]"]);
        assert!(error.to_string().contains(says), "{error}");
        assert_eq!(error.certainty(), Certainty::NotSent);
        assert_eq!(server.calls().len(), 0);
    }

    let sandbox = strict().await;
    let client = client(&sandbox);
    let email = mail().attach(Attachment::from_reader("a", data(), 10));
    client.send(email.clone()).await.unwrap();
    let error = client.send(email).await.unwrap_err();
    assert!(error.to_string().contains("already used"), "{error}");
    assert_eq!(
        (fields(&error), error.attempts()),
        (vec!["attachments[0]"], 0)
    );
    assert_eq!(sandbox.calls().len(), 1);
}

#[tokio::test]
async fn mime_message_from_any_source_is_sent_unchanged() {
    let text = "From: a@example.com\r\nTo: b@example.net\r\n\r\nHello\r\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("1.eml");
    std::fs::write(&path, text).unwrap();
    let sandbox = strict().await;
    let client = client(&sandbox);
    for message in [
        Mime::from_bytes(text),
        Mime::from(text.as_bytes().to_vec()),
        Mime::from(&*path),
        Mime::from_reader(io_reader(text.into()), text.len() as u64),
        Mime::from_blocking_reader(text.as_bytes(), text.len() as u64).fastaccept(true),
    ] {
        let sent = client.send_mime(message).await.unwrap();
        assert!(sent.email_id.is_some());
    }
    let mails = sandbox.mails();
    assert_eq!(mails.len(), 5);
    for mail in &mails {
        assert_eq!(mail.mime().as_deref(), Some(text.as_bytes()));
    }
    assert_eq!(mails[0].request()["fastaccept"], false);
    assert_eq!(mails[4].request()["fastaccept"], true);
    let time = SystemTime::now() + Duration::from_secs(60);
    let sent = client
        .send_mime(Mime::from_bytes(text).schedule(time))
        .await
        .unwrap();
    assert!(sent.schedule_id.is_some());

    for (message, field) in [
        (Mime::from_bytes(""), "mime_email"),
        (
            Mime::from_path(folder.path().join("none.eml")),
            "mime_email",
        ),
        (Mime::from_bytes("x").schedule("2020-01-01"), "schedule"),
    ] {
        let error = client.send_mime(message).await.unwrap_err();
        assert_eq!(
            (fields(&error), error.certainty()),
            (vec![field], Certainty::NotSent)
        );
    }
}

#[tokio::test]
async fn batch_has_an_outcome_for_each_mail() {
    let sandbox = strict().await;
    let client = client(&sandbox);
    add_template(&client).await;
    let time = SystemTime::now() + Duration::from_secs(3600);
    let mails = [
        mail(),
        mail()
            .schedule(time)
            .attach(Attachment::from_bytes("a.txt", "hello")),
        template(),
    ];
    let batch = client.send_batch(mails).await.unwrap();
    assert!(batch.request_id().is_some() && batch.failures().next().is_none());
    assert_eq!(batch.reply().status(), 200);
    let sent = batch.into_sent().unwrap();
    assert!(sent[0].email_id.is_some() && sent[1].schedule_id.is_some());
    let kept = sandbox.mails();
    assert_eq!(kept[1].attachments()[0].content, b"hello");
    assert_eq!(kept[2].request()["subject"], "");
    assert!(kept[0].request().get("fastaccept").is_none());

    let wrong = [
        mail(),
        mail().to("x").fastaccept(true),
        mail().attach(Attachment::from_path("none")),
    ];
    let error = client.send_batch(wrong).await.unwrap_err();
    assert_eq!(
        fields(&error),
        [
            "emails[1].to[1]",
            "emails[1].fastaccept",
            "emails[2].attachments[0]"
        ]
    );
    let error = client.send_batch([]).await.unwrap_err();
    assert_eq!(fields(&error), ["emails"]);
    assert_eq!(sandbox.calls().len(), 2);
}

#[tokio::test]
async fn results_of_a_batch_keep_their_order() {
    let results = r#"{"request_id":"r-1","data":[
        null,
        {"email_id":"1a"},
        {"error":"bad sender","error_code":"E_ApiResponseCodes.API_EXCEPTION"},
        {"email_id":"","failed":1,"failures":["no such host"]},
        "refused",
        {},
        {"email_id":"1b","failed":"1"},
        {"schedule_id":"s","email_id":null,"failed":0},
        {"failed":1,"failures":["half a pair: \udc80"]}
    ]}"#;
    let server = answering(results);
    let batch = server.client().send_batch(vec![mail(); 9]).await.unwrap();
    let failed: Vec<_> = batch
        .failures()
        .map(|(index, error)| {
            assert_eq!(error.request_id(), Some("r-1"));
            assert_eq!(error.operation().unwrap().id, "email_batch");
            assert_eq!(error.attempts(), 1);
            (index, error.certainty(), error.failures().join(" "))
        })
        .collect();
    let unknown = |index, text: &str| (index, Certainty::Unknown, text.to_owned());
    let rejected = |index, text: &str| (index, Certainty::Rejected, text.to_owned());
    assert_eq!(
        failed,
        [
            unknown(0, ""),
            rejected(2, "bad sender"),
            rejected(3, "no such host"),
            unknown(4, "refused"),
            unknown(5, ""),
            unknown(6, ""),
            rejected(8, "half a pair: \u{fffd}"),
        ]
    );
    let outcomes = batch.outcomes();
    assert_eq!(
        outcomes[1].as_ref().unwrap().email_id.as_deref(),
        Some("1a")
    );
    assert_eq!(
        outcomes[7].as_ref().unwrap().schedule_id.as_deref(),
        Some("s")
    );
    let error = outcomes[2].as_ref().unwrap_err();
    assert_eq!(error.message(), Some("bad sender"));
    assert_eq!(error.code(), Some(smtp2go_sdk::ErrorCode::ApiException));
    assert!(
        outcomes[0]
            .as_ref()
            .unwrap_err()
            .to_string()
            .contains("does not say that the message was accepted")
    );
    assert!(batch.into_sent().is_err());

    for (body, says) in [
        (r#"{"data":[{"email_id":"1a"}]}"#, "1 result for 2"),
        (r#"{"data":[null,null,null]}"#, "3 results for 2"),
        (r#"{"data":null}"#, "0 results for 2"),
        ("{}", "0 results for 2"),
    ] {
        let server = answering(body);
        let error = server
            .client()
            .send_batch(vec![mail(); 2])
            .await
            .unwrap_err();
        assert!(
            error.is_decode() && error.to_string().contains(says),
            "{error}"
        );
        assert_eq!(error.certainty(), Certainty::Unknown);
        assert_eq!(error.body().unwrap(), body);
    }
}

#[tokio::test]
async fn failure_with_status_200_is_an_error() {
    let body = r#"{"data":{"succeeded":0,"failed":1,"failures":["no"],"email_id":""}}"#;
    let server = answering(body);
    let error = server.client().send(mail()).await.unwrap_err();
    assert_eq!(
        (error.certainty(), error.failures()),
        (Certainty::Rejected, &["no".to_owned()][..])
    );
}

#[test]
fn mail_with_a_reader_is_unwind_safe() {
    fn assert_unwind_safe<T: Send + Sync + UnwindSafe + RefUnwindSafe>() {}
    assert_unwind_safe::<Attachment>();
    assert_unwind_safe::<Email>();
    assert_unwind_safe::<Mime>();
    assert_unwind_safe::<Body>();
}

#[test]
fn calls_are_send_and_fail_outside_of_a_runtime() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let client = Client::builder(watched(crate::support::KEY))
        .base_url("http://localhost")
        .build()
        .unwrap();
    drop(assert_send(client.send(mail())));
    drop(assert_send(client.send_batch([mail()])));
    drop(assert_send(client.send_mime(Mime::from_bytes("x"))));

    let email = mail().attach(Attachment::from_path("x"));
    let mut call = std::pin::pin!(client.send(email));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let std::task::Poll::Ready(result) = call.as_mut().poll(&mut context) else {
        panic!("the call is pending without a runtime");
    };
    assert!(result.unwrap_err().is_config());
}
