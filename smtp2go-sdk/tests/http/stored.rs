//! Sends mails that were stored as JSON.

use std::path::Path;
use std::time::{Duration, SystemTime};

use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::{Attachment, Certainty, Client, Email};

use crate::log_watch::watched;
use crate::support::Tested;

fn with_file(path: &Path) -> Email {
    Email::new("a@example.com", "Hello")
        .to("b@example.net")
        .text("Hello")
        .attach(Attachment::from_bytes("a.txt", "x"))
        .attach(Attachment::from_path(path))
        .idempotency_key("order-42")
}

/// Writes the mail as JSON and reads it back, as another program would.
fn stored(mail: &Email) -> Email {
    serde_json::from_str(&serde_json::to_string(mail).unwrap()).unwrap()
}

async fn started() -> (Sandbox, Client) {
    let sandbox = Sandbox::builder().strict(true).start().await.unwrap();
    let client = Client::builder(watched(sandbox.key())).base_url(sandbox.base_url());
    (sandbox, client.build().unwrap())
}

#[tokio::test]
async fn stored_mail_is_sent_as_the_mail() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "12345").unwrap();
    let (sandbox, client) = started().await;
    let mail = with_file(file.path());
    client.send(stored(&mail)).await.unwrap();
    client.send(stored(&stored(&mail))).await.unwrap();
    client.send(mail).await.unwrap();
    let calls = sandbox.calls();
    assert_eq!(calls.len(), 3);
    assert_eq!(calls[0].body(), calls[2].body());
    assert_eq!(calls[1].body(), calls[2].body());
}

#[tokio::test]
async fn size_of_a_stored_mail_is_the_size_of_its_request() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "%PDF-1.7 12345").unwrap();
    let (sandbox, client) = started().await;
    let mail = with_file(file.path());
    let size = mail.size().unwrap();
    client.send(mail).await.unwrap();
    assert_eq!(sandbox.call().body().len() as u64, size);

    let missing = with_file(Path::new("/no/such/file")).size().unwrap_err();
    assert_eq!(missing.field_errors()[0].field, "attachments[1]");
}

#[tokio::test]
async fn file_that_changed_since_the_mail_was_stored_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.pdf");
    let (sandbox, client) = started().await;
    let longer: fn(&Path) = |path| std::fs::write(path, "123456").unwrap();
    let later: fn(&Path) = |path| {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        let time = SystemTime::now() + Duration::from_secs(60);
        file.set_modified(time).unwrap();
    };
    for (change, expected) in [
        (
            longer,
            "size changed from 5 to 6 bytes after the mail was stored",
        ),
        (
            later,
            "modification time differs from the one stored with the mail",
        ),
    ] {
        std::fs::write(&path, "12345").unwrap();
        let mail = stored(&with_file(&path));
        change(&path);
        let size = mail.size().unwrap_err();
        let single = client.send(mail.clone()).await.unwrap_err();
        let batch = client.send_batch([mail]).await.unwrap_err();
        for (error, field) in [
            (size, "attachments[1]"),
            (single, "attachments[1]"),
            (batch, "emails[0].attachments[1]"),
        ] {
            assert_eq!(
                (error.kind(), error.certainty()),
                ("content", Certainty::NotSent)
            );
            let problem = &error.field_errors()[0];
            assert_eq!(problem.field, field);
            let expected = format!("{}: {expected}", path.display());
            assert_eq!(problem.message, expected);
        }
    }
    // Without size and time, the file is sent as it is.
    let json = format!(
        r#"{{"version":1,"sender":"a@example.com","to":["b@example.net"],"subject":"x","text_body":"x",
            "attachments":[{{"path":{:?}}}]}}"#,
        path.to_str().unwrap()
    );
    client
        .send(serde_json::from_str(&json).unwrap())
        .await
        .unwrap();
    let mails = sandbox.mails();
    assert_eq!(mails.len(), 1);
    assert_eq!(
        mails[0].request()["attachments"][0]["filename"],
        "report.pdf"
    );
}
