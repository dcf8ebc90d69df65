//! Writes a mail as JSON, and reads it. [`Email`] documents the format.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_core::ser::SerializeMap;
use serde_core::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;
use smtp2go_types::Timestamp;

use super::attachment::{Attachment, AttachmentKind};
use super::email::{Email, EmailParts, EmailTemplate};
use super::extra::ExtraFields;
use super::mailbox::Mailbox;
use super::recorded::RecordedFile;
use super::strict_object::StrictObject;
use crate::body::content::about;

/// Version of the format.
const VERSION: u64 = 1;

impl Serialize for Email {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let EmailParts {
            sender,
            to,
            cc,
            bcc,
            reply_to,
            subject,
            html,
            text,
            headers,
            template,
            schedule,
            fastaccept,
            attachments,
            inlines,
            extra,
            key,
        } = &*self.parts;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        optional(&mut map, "idempotency_key", key)?;
        map.serialize_entry("sender", &stored_mailbox("sender", sender)?)?;
        for (name, list) in [("to", to), ("cc", cc), ("bcc", bcc), ("reply_to", reply_to)] {
            let addresses = list.iter().enumerate();
            let addresses: Result<Vec<_>, S::Error> = addresses
                .map(|(index, mailbox)| stored_mailbox(&format!("{name}[{index}]"), mailbox))
                .collect();
            non_empty(&mut map, name, &addresses?)?;
        }
        optional(&mut map, "subject", subject)?;
        optional(&mut map, "html_body", html)?;
        optional(&mut map, "text_body", text)?;
        let headers: Vec<_> = headers.iter().map(StoredHeader).collect();
        non_empty(&mut map, "custom_headers", &headers)?;
        if let Some(EmailTemplate { id, data }) = template {
            // Data without a template is written too, so that `validate` reports it after reading.
            if !id.is_empty() || data.is_none() {
                map.serialize_entry("template_id", id)?;
            }
            if let Some(data) = data {
                let data = data
                    .as_ref()
                    .map_err(|fault| about_field("template_data", fault))?;
                map.serialize_entry("template_data", raw::<S::Error>("template_data", data)?)?;
            }
        }
        optional(
            &mut map,
            "schedule",
            &schedule.as_ref().map(Timestamp::as_str),
        )?;
        if *fastaccept {
            map.serialize_entry("fastaccept", fastaccept)?;
        }
        for (name, list) in [("attachments", attachments), ("inlines", inlines)] {
            let files: Vec<_> = list
                .iter()
                .enumerate()
                .map(|(index, file)| StoredAttachment {
                    field: format!("{name}[{index}]"),
                    file,
                })
                .collect();
            non_empty(&mut map, name, &files)?;
        }
        if extra.iter().len() > 0 {
            map.serialize_entry("extra", &StoredExtra(extra))?;
        }
        map.end()
    }
}

fn optional<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: &Option<impl Serialize>,
) -> Result<(), M::Error> {
    match value {
        Some(value) => map.serialize_entry(name, value),
        None => Ok(()),
    }
}

fn non_empty<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    list: &[impl Serialize],
) -> Result<(), M::Error> {
    match list {
        [] => Ok(()),
        list => map.serialize_entry(name, list),
    }
}

/// Returns the error for a field that can't be stored.
fn about_field<E: serde_core::ser::Error>(field: &str, fault: impl std::fmt::Display) -> E {
    E::custom(format_args!("{field}: {fault}"))
}

/// Returns the text of a mailbox. An error if the text would be read as another mailbox.
fn stored_mailbox<E: serde_core::ser::Error>(field: &str, mailbox: &Mailbox) -> Result<String, E> {
    let text = mailbox.to_string();
    if Mailbox::from(text.as_str()) == *mailbox {
        return Ok(text);
    }
    Err(about_field(
        field,
        mailbox.fault().unwrap_or("not an address"),
    ))
}

/// Returns a JSON text as a [`RawValue`], which serde writes unchanged.
fn raw<'a, E: serde_core::ser::Error>(field: &str, json: &'a str) -> Result<&'a RawValue, E> {
    serde_json::from_str(json).map_err(|error| about_field(field, error))
}

struct StoredHeader<'a>(&'a (String, String));

impl Serialize for StoredHeader<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (header, value) = self.0;
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("header", header)?;
        map.serialize_entry("value", value)?;
        map.end()
    }
}

struct StoredExtra<'a>(&'a ExtraFields);

impl Serialize for StoredExtra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = self.0.iter();
        let mut map = serializer.serialize_map(Some(fields.len()))?;
        for (name, json) in fields {
            map.serialize_entry(name, raw::<S::Error>(name, json)?)?;
        }
        map.end()
    }
}

struct StoredAttachment<'a> {
    /// Name of the field in errors.
    field: String,
    file: &'a Attachment,
}

impl Serialize for StoredAttachment<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Attachment {
            filename,
            mimetype,
            source: _,
            recorded,
        } = self.file;
        let fault = |fault: &dyn std::fmt::Display| about_field::<S::Error>(&self.field, fault);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("filename", filename)?;
        optional(&mut map, "mimetype", mimetype)?;
        match self.file.kind() {
            AttachmentKind::Bytes(bytes) => {
                map.serialize_entry("fileblob", &STANDARD.encode(bytes))?;
            }
            AttachmentKind::Url(url) => map.serialize_entry("url", url)?,
            AttachmentKind::Path(path) => {
                let absolute = std::path::absolute(path);
                let absolute = absolute.map_err(|error| fault(&about(path, error)))?;
                let text = absolute.to_str();
                let text = text.ok_or_else(|| fault(&about(path, "the path is not UTF-8")))?;
                let file = match recorded {
                    Some(recorded) => recorded.clone(),
                    None => RecordedFile::of(path).map_err(|error| fault(&about(path, error)))?,
                };
                map.serialize_entry("path", text)?;
                optional(&mut map, "size", &file.size)?;
                optional(&mut map, "modified", &file.modified)?;
            }
            AttachmentKind::Reader { .. } => {
                let what = "a reader can't be stored: use Attachment::from_bytes or from_path";
                return Err(fault(&format_args!("{filename:?}: {what}")));
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Email {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Box::<RawValue>::deserialize(deserializer)?;
        read_mail(&json).map_err(de::Error::custom)
    }
}

/// Reads a mail. The error names the first member that is wrong.
fn read_mail(json: &RawValue) -> Result<Email, String> {
    let mut mail = StrictObject::read(json, "")?;
    match mail.optional::<u64>("version", "a whole number")? {
        Some(VERSION) => {}
        Some(other) => {
            return Err(format!(
                "version: {other} is not supported, this version of smtp2go-sdk reads version {VERSION}"
            ));
        }
        None => return Err(format!("version: missing, write {VERSION}")),
    }
    let sender: String = mail.required("sender", "a string")?;
    let mut email = Email::bare(Mailbox::from(sender));
    let parts = email.edit();
    parts.key = mail.optional("idempotency_key", "a string")?;
    for (name, list) in [
        ("to", &mut parts.to),
        ("cc", &mut parts.cc),
        ("bcc", &mut parts.bcc),
        ("reply_to", &mut parts.reply_to),
    ] {
        let addresses: Option<Vec<String>> = mail.optional(name, "a list of strings")?;
        list.extend(addresses.into_iter().flatten().map(Mailbox::from));
    }
    parts.subject = mail.optional("subject", "a string")?;
    parts.html = mail.optional("html_body", "a string")?;
    parts.text = mail.optional("text_body", "a string")?;
    for mut header in mail.objects("custom_headers")? {
        let name = header.required("header", "a string")?;
        parts
            .headers
            .push((name, header.required("value", "a string")?));
        header.finish()?;
    }
    let id: Option<String> = mail.optional("template_id", "a string")?;
    let data = mail.object("template_data")?;
    if id.is_some() || data.is_some() {
        parts.template = Some(EmailTemplate {
            id: id.unwrap_or_default(),
            data: data.map(|data| Ok(data.get().to_owned())),
        });
    }
    let schedule: Option<String> = mail.optional("schedule", "a time in a string")?;
    parts.schedule = schedule.map(Timestamp::new);
    parts.fastaccept = mail
        .optional("fastaccept", "true or false")?
        .unwrap_or_default();
    for (name, list) in [
        ("attachments", &mut parts.attachments),
        ("inlines", &mut parts.inlines),
    ] {
        for file in mail.objects(name)? {
            list.push(read_attachment(file)?);
        }
    }
    if let Some(extra) = mail.object("extra")? {
        let fields = StrictObject::read(extra, "extra")?.into_rest().into_iter();
        parts.extra = fields
            .map(|(name, json)| (name, json.get().to_owned()))
            .collect();
    }
    mail.finish()?;
    Ok(email)
}

fn read_attachment(mut members: StrictObject<'_>) -> Result<Attachment, String> {
    let blob: Option<String> = members.optional("fileblob", "a string")?;
    let url: Option<String> = members.optional("url", "a string")?;
    let path: Option<String> = members.optional("path", "a string")?;
    let mimetype = members.optional("mimetype", "a string")?;
    let name: Option<String> = members.optional("filename", "a string")?;
    let recorded = RecordedFile {
        size: members.optional("size", "a whole number of bytes")?,
        modified: members
            .optional::<String>("modified", "a time in a string")?
            .map(Timestamp::new),
    };
    if let Some(time) = &recorded.modified
        && time.to_system_time().is_none()
    {
        return Err(members.fault("modified", "not a time, such as 2026-11-28T17:04:31Z"));
    }
    let is_recorded = recorded != RecordedFile::default();
    let mut file = match (blob, url, path) {
        (Some(blob), None, None) => match STANDARD.decode(blob) {
            Ok(bytes) => Attachment::from_bytes("", bytes),
            Err(_) => {
                let what = "not standard base64 with padding and without line breaks";
                return Err(members.fault("fileblob", what));
            }
        },
        (None, Some(url), None) => Attachment::from_url("", url),
        (None, None, Some(path)) => Attachment {
            recorded: is_recorded.then(|| recorded.clone()),
            ..Attachment::from_file(PathBuf::from(path))
        },
        _ => return Err(members.fault("", "needs exactly one of fileblob, url and path")),
    };
    if is_recorded && file.recorded.is_none() {
        return Err(members.fault("", "size and modified are for an attachment with a path"));
    }
    match name {
        Some(name) => file.filename = name,
        None if file.path().is_none() => return Err(members.fault("filename", "missing")),
        None => {}
    }
    file.mimetype = mimetype;
    members.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests;
