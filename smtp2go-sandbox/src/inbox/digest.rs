//! Summaries of calls, for the list of calls.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::index::{self, MailIndex, cut};
use super::view::without_password;
use crate::call::Call;
use crate::mail::Mail;
use crate::sms::Sms;
use crate::world::World;

/// Maximum total size in bytes of the bodies that are parsed for a page. Calls beyond the limit have no
/// digest of their body.
const PARSED: usize = 2 * 1024 * 1024;

/// Maximum number of fields in a digest.
const FIELDS: usize = 4;

/// Fields that a digest shows without their name.
const BARE: &[&str] = &["to", "destination", "subject", "content"];

/// Fields that a digest shows first, in this order.
const FIRST: &[&str] = &[
    "to",
    "destination",
    "id",
    "template_name",
    "email_address",
    "domain",
    "url",
    "username",
    "subject",
    "template_id",
];

/// Parts of the names of fields that are left out: secrets, and bodies of mails.
const LEFT_OUT: &[&str] = &["key", "password", "token", "secret", "auth", "body", "mime"];

/// The first message that each call of a page sent.
pub(super) struct Messages {
    mails: HashMap<u64, Mail>,
    sms: HashMap<u64, Sms>,
    /// Number of bytes that may still be parsed.
    room: usize,
}

impl Messages {
    pub(super) fn of<'a>(world: &World, calls: impl Iterator<Item = &'a Call>) -> Self {
        let wanted: HashSet<u64> = calls
            .filter(|call| !call.messages.is_empty())
            .map(|call| call.messages.start)
            .collect();
        let mails = world.mails.iter();
        let mails = mails.filter(|mail| wanted.contains(&mail.number()));
        let sms = world.sms.iter();
        let sms = sms.filter(|sms| wanted.contains(&sms.number()));
        Self {
            mails: mails.map(|mail| (mail.number(), mail.clone())).collect(),
            sms: sms.map(|sms| (sms.number(), sms.clone())).collect(),
            room: PARSED,
        }
    }

    /// Returns the recipients and the subject of a call that sent a message, else the fields of its
    /// body. Empty if there are none.
    pub(super) fn digest(&mut self, call: &Call, entries: &MailIndex) -> Digest {
        let first = call.messages.start;
        let mut parts = Vec::new();
        if let Some(mail) = self.mails.get(&first) {
            let entry = entries.of(mail);
            parts.extend([cut_more(&entry.to), cut_more(&entry.subject)]);
            if let Some(id) = mail.fields().get("template_id").and_then(Value::as_str) {
                parts.push(format!("template_id: {}", cut_more(id)));
            }
        } else if let Some(sms) = self.sms.get(&first) {
            parts.extend([cut_more(sms.destination()), cut_more(sms.content())]);
        } else {
            return self.of_body(call);
        }
        Digest::of(parts, call.messages.end - first)
    }

    fn of_body(&mut self, call: &Call) -> Digest {
        let size = call.body().len();
        if size > self.room {
            return Digest::default();
        }
        self.room -= size;
        match serde_json::from_slice(call.body()) {
            Ok(Value::Object(fields)) => of_fields(&fields),
            _ => Digest::default(),
        }
    }
}

/// The two lines that summarize a call in the list.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Digest {
    /// The recipients, or the first field.
    pub(super) lead: String,
    /// The subject, or the other fields.
    pub(super) rest: String,
}

impl Digest {
    /// Makes the digest of a call that sent `count` messages, from the parts of the first message.
    fn of(mut parts: Vec<String>, count: u64) -> Self {
        parts.retain(|part| !part.is_empty());
        let mut parts = parts.into_iter();
        let lead = parts.next().unwrap_or_default();
        let rest = parts.collect::<Vec<_>>().join(" · ");
        Self {
            lead: cut(&lead),
            rest: cut(&more(rest, count)),
        }
    }
}

/// Adds the number of further messages.
fn more(text: String, count: u64) -> String {
    match count {
        0 | 1 => text,
        count => format!("{text} and {} more", count - 1)
            .trim_start()
            .to_owned(),
    }
}

/// Truncates a part of a digest to 80 characters.
fn cut_more(text: &str) -> String {
    index::cut_to(text, 80)
}

fn of_fields(fields: &Map<String, Value>) -> Digest {
    if let Some(Value::Array(mails)) = fields.get("emails")
        && let Some(Value::Object(first)) = mails.first()
    {
        return Digest::of(parts(first), count(mails));
    }
    Digest::of(parts(fields), 1)
}

fn parts(fields: &Map<String, Value>) -> Vec<String> {
    let first = FIRST.iter().filter_map(|name| fields.get_key_value(*name));
    let others = fields.iter().filter(|(name, _)| {
        let secret = LEFT_OUT.iter().any(|part| name.contains(part));
        !secret && !FIRST.contains(&name.as_str())
    });
    let parts = first.chain(others).filter_map(|(name, value)| {
        let text = short(value)?;
        Some(match BARE.contains(&name.as_str()) {
            true => text,
            false => format!("{}: {text}", cut_more(name)),
        })
    });
    parts.take(FIELDS).collect()
}

fn count(items: &[Value]) -> u64 {
    u64::try_from(items.len()).unwrap_or(u64::MAX)
}

/// Writes a text, a number, a flag, or the first text of a list. `None` for anything else.
fn short(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(cut_more(&without_password(text))),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Array(items) => {
            let first = cut_more(items.first()?.as_str()?);
            Some(more(first, count(items)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The fields of each body are in alphabetical order: whether serde_json keeps another order depends
    /// on the features that other crates of the build enable.
    #[test]
    fn digest_of_a_body_names_its_important_fields_and_no_secrets() {
        for (body, lead, rest) in [
            (
                json!({ "api_key": "k", "attachments": [{ "filename": "a" }], "html_body": "<p>",
                        "sender": "a@example.com", "subject": "Hi", "text_body": "x",
                        "to": ["b@example.net", "c@example.net"] }),
                "b@example.net and 1 more",
                "Hi · sender: a@example.com",
            ),
            (
                json!({ "emails": [{ "to": ["b@example.net"], "subject": "Hi" }, {}, {}] }),
                "b@example.net",
                "Hi and 2 more",
            ),
            (
                json!({ "domain": "example.com", "auth_token": "t", "password": "p" }),
                "domain: example.com",
                "",
            ),
            (
                json!({ "auth_header_value": "secret", "disabled": false, "events": ["open", "click"],
                        "url": "http://user:pass@127.0.0.1/hook" }),
                "url: http://127.0.0.1/hook",
                "disabled: false · events: open and 1 more",
            ),
            (
                json!({ "destination": ["+6421"], "content": "Hi" }),
                "+6421",
                "Hi",
            ),
            (
                json!({ "subject": "", "to": [], "id": null, "x": {} }),
                "",
                "",
            ),
            (
                json!({ "a": 1, "b": 2, "c": 3, "d": 4, "e": 5 }),
                "a: 1",
                "b: 2 · c: 3 · d: 4",
            ),
        ] {
            let Value::Object(fields) = &body else {
                unreachable!()
            };
            let expected = Digest {
                lead: lead.to_owned(),
                rest: rest.to_owned(),
            };
            assert_eq!(of_fields(fields), expected, "{body}");
        }
    }

    #[test]
    fn long_value_is_cut() {
        let long = "é".repeat(500);
        let fields = Map::from_iter([("subject".to_owned(), long.into())]);
        assert_eq!(of_fields(&fields).lead.chars().count(), 81);
    }
}
