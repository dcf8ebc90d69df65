//! Writes a checked mail as JSON.
//!
//! The functions fail only if a reader was used since the check, or a file differs from what a stored
//! mail records.

use super::attachment::{Attachment, AttachmentSource};
use super::check::REPLY_TO;
use super::email::{Email, EmailFormat, EmailParts, EmailTemplate};
use super::mailbox::Mailbox;
use super::media_type::guess;
use super::schedule;
use crate::body::content::{Files, SizedContent, about};
use crate::body::json::JsonWriter;
use crate::{Body, FieldError};

/// Encodes the request for one mail. `key_header` is the name of the header for its key.
pub(super) fn encode_single(
    email: &Email,
    key_header: &str,
    files: &Files,
) -> Result<Body, FieldError> {
    let mut json = JsonWriter::with_capacity(capacity(email));
    write_email(
        &email.parts,
        EmailFormat::Single,
        key_header,
        "",
        files,
        &mut json,
    )?;
    Ok(json.finish())
}

/// Encodes the request for a batch.
pub(super) fn encode_batch(
    emails: &[Email],
    key_header: &str,
    files: &Files,
) -> Result<Body, FieldError> {
    let mut json = JsonWriter::with_capacity(emails.iter().map(capacity).sum());
    json.open("{");
    json.key("emails");
    json.open("[");
    for (index, email) in emails.iter().enumerate() {
        let path = format!("emails[{index}].");
        write_email(
            &email.parts,
            EmailFormat::BatchItem,
            key_header,
            &path,
            files,
            &mut json,
        )?;
    }
    json.close("]");
    json.close("}");
    Ok(json.finish())
}

/// Returns the number of bytes to reserve for the text of a usual mail.
fn capacity(email: &Email) -> usize {
    let EmailParts { html, text, .. } = &*email.parts;
    let bodies = [html, text].into_iter().flatten();
    1024 + bodies.map(String::len).sum::<usize>()
}

/// Writes a mail. `path` precedes the names of its fields in errors.
fn write_email(
    parts: &EmailParts,
    format: EmailFormat,
    key_header: &str,
    path: &str,
    files: &Files,
    json: &mut JsonWriter,
) -> Result<(), FieldError> {
    json.open("{");
    json.key("sender");
    json.string(&parts.sender.to_string());
    write_mailboxes("to", &parts.to, json);
    write_mailboxes("cc", &parts.cc, json);
    write_mailboxes("bcc", &parts.bcc, json);
    let subject = match (&parts.subject, format) {
        (Some(subject), _) => Some(subject.as_str()),
        // The API requires the field, also if the template has the subject.
        (None, EmailFormat::BatchItem) => Some(""),
        (None, EmailFormat::Single) => None,
    };
    write_text("subject", subject, json);
    write_text("html_body", parts.html(), json);
    write_text("text_body", parts.text(), json);
    write_headers(parts, key_header, json);
    if let Some(EmailTemplate { id, data }) = &parts.template {
        write_text("template_id", Some(id), json);
        if let Some(Ok(data)) = data {
            json.key("template_data");
            json.value(data);
        }
    }
    schedule::write(parts.schedule.as_ref(), json);
    if format == EmailFormat::Single {
        json.key("fastaccept");
        json.value(if parts.fastaccept { "true" } else { "false" });
    }
    write_attachments("attachments", &parts.attachments, path, files, json)?;
    write_attachments("inlines", &parts.inlines, path, files, json)?;
    parts.extra.write(json);
    json.close("}");
    Ok(())
}

fn write_text(key: &'static str, text: Option<&str>, json: &mut JsonWriter) {
    if let Some(text) = text {
        json.key(key);
        json.string(text);
    }
}

fn write_mailboxes(key: &'static str, mailboxes: &[Mailbox], json: &mut JsonWriter) {
    if mailboxes.is_empty() {
        return;
    }
    json.key(key);
    json.open("[");
    for mailbox in mailboxes {
        json.string(&mailbox.to_header());
    }
    json.close("]");
}

fn write_headers(parts: &EmailParts, key_header: &str, json: &mut JsonWriter) {
    if parts.headers.is_empty() && parts.reply_to.is_empty() && parts.key.is_none() {
        return;
    }
    json.key("custom_headers");
    json.open("[");
    for (name, value) in &parts.headers {
        write_header(name, value, json);
    }
    if !parts.reply_to.is_empty() {
        let addresses: Vec<_> = parts.reply_to.iter().map(ToString::to_string).collect();
        write_header(REPLY_TO, &addresses.join(", "), json);
    }
    if let Some(key) = &parts.key {
        let is_it = |(name, _): &(String, String)| name.trim().eq_ignore_ascii_case(key_header);
        if !parts.headers.iter().any(is_it) {
            write_header(key_header, key, json);
        }
    }
    json.close("]");
}

fn write_header(name: &str, value: &str, json: &mut JsonWriter) {
    json.open("{");
    write_text("header", Some(name), json);
    write_text("value", Some(value), json);
    json.close("}");
}

fn write_attachments(
    key: &'static str,
    attachments: &[Attachment],
    path: &str,
    files: &Files,
    json: &mut JsonWriter,
) -> Result<(), FieldError> {
    if attachments.is_empty() {
        return Ok(());
    }
    json.key(key);
    json.open("[");
    for (index, attachment) in attachments.iter().enumerate() {
        json.open("{");
        json.key("filename");
        json.string(&attachment.filename);
        json.key("mimetype");
        let mimetype = attachment.mimetype.as_deref();
        match &attachment.source {
            AttachmentSource::Content(content) => {
                let field = format!("{path}{key}[{index}]");
                let content = content.sized(&field, files)?;
                check_recorded(attachment, &content, field)?;
                let guess = || guess(&attachment.filename, content.start());
                json.string(mimetype.unwrap_or_else(guess));
                json.key("fileblob");
                json.base64(content);
            }
            AttachmentSource::Url(url) => {
                json.string(mimetype.unwrap_or_else(|| guess(&attachment.filename, &[])));
                json.key("url");
                json.string(url);
            }
        }
        json.close("}");
    }
    json.close("]");
    Ok(())
}

/// Fails if a file differs from what the stored mail records.
fn check_recorded(
    attachment: &Attachment,
    content: &SizedContent,
    field: String,
) -> Result<(), FieldError> {
    let recorded = attachment.recorded.as_ref().zip(attachment.path());
    let difference =
        recorded.and_then(|(recorded, path)| Some(about(path, recorded.difference(content)?)));
    match difference {
        Some(message) => Err(FieldError { field, message }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use smtp2go_types::{BatchEmail, EmailSendRequest};

    use super::*;
    use crate::IDEMPOTENCY_HEADER;

    #[tokio::test]
    async fn media_type_of_files_and_bytes_is_guessed_by_content() {
        let path = tempfile::NamedTempFile::new().unwrap();
        let pdf = b"%PDF-1.7 and more than what is read in advance";
        std::fs::write(path.path(), pdf).unwrap();
        let email = Email::new("a@example.com", "x")
            .attach(Attachment::from_path(path.path()).filename("scan"))
            .attach(Attachment::from_bytes("scan", &pdf[..]));
        let files = Files::look(email.paths()).await.unwrap();
        let json = encode_single(&email, IDEMPOTENCY_HEADER, &files)
            .unwrap()
            .into_text();
        assert_eq!(
            json.matches(r#""mimetype":"application/pdf""#).count(),
            2,
            "{json}"
        );
    }

    /// Fields of `EmailSendRequest` that a mail has no setter for, each with its reason.
    const LEFT_OUT: [&str; 0] = [];

    #[tokio::test]
    async fn mail_has_every_field_of_its_request() {
        let file = || Attachment::from_bytes("a.png", "x");
        let with = |email: Email| {
            email
                .to("b@example.net")
                .cc("c@example.net")
                .bcc("d@example.net")
                .subject("x")
                .html("x")
                .text("x")
                .header("X-A", "x")
                .schedule("2026-03-03")
                .attach(file())
                .inline(file())
                .template_data(serde_json::json!({}))
        };
        let email = with(Email::from_template("a@example.com", "t"));
        let single = encode_single(&email, IDEMPOTENCY_HEADER, &Files::default()).unwrap();
        let batch = encode_batch(&[email], IDEMPOTENCY_HEADER, &Files::default()).unwrap();
        let [single, batch]: [serde_json::Value; 2] =
            [single, batch].map(|body| serde_json::from_str(&body.into_text()).unwrap());
        for (json, listed) in [
            (&single, EmailSendRequest::FIELDS),
            (&batch["emails"][0], BatchEmail::FIELDS),
        ] {
            let mut written: Vec<_> = json
                .as_object()
                .unwrap()
                .keys()
                .map(String::as_str)
                .collect();
            written.extend(LEFT_OUT);
            let mut listed = listed.to_vec();
            written.sort_unstable();
            listed.sort_unstable();
            assert_eq!(written, listed);
        }
    }
}
