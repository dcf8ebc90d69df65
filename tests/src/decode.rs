//! Decodes captured traffic with the generated types, and says what they do not know.

use std::collections::BTreeSet;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smtp2go_types::Vocabulary;

pub use crate::generated::codecs::{OPERATIONS, WEBHOOKS};

/// Decodes a JSON text as some type and encodes it again.
pub type Codec = fn(&str) -> Result<Value, String>;

/// An operation's codecs; `None` where the spec describes no body.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// In capitals.
    pub method: &'static str,
    /// Without `/v3`.
    pub path: &'static str,
    /// Of its request.
    pub request: Option<Codec>,
    /// Of its 200.
    pub reply: Option<Codec>,
}

/// A webhook's codec.
#[derive(Clone, Copy, Debug)]
pub struct Webhook {
    /// Its key under `x-webhooks`.
    pub name: &'static str,
    /// Whether an `event` of this name is one of its own.
    pub knows: fn(&str) -> bool,
    /// Of its payload.
    pub payload: Codec,
}

/// The codec of `T`.
///
/// # Errors
///
/// What is wrong with the JSON, or with its shape.
pub fn codec<T: DeserializeOwned + Serialize>(text: &str) -> Result<Value, String> {
    let value: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
    serde_json::to_value(&value).map_err(|error| error.to_string())
}

/// Whether `V` has this word.
pub fn knows<V: Vocabulary>(word: &str) -> bool {
    !V::from_word(word).is_unknown()
}

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What we sent.
    Request,
    /// What the service answered with 200.
    Reply,
    /// What the service posted to a webhook.
    Webhook,
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// What the types kept, encoded again.
    pub value: Value,
    /// Paths of what they did not, such as `data.results[].foo`; each once, sorted.
    pub unknown: Vec<String>,
}

/// Why there is nothing decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The spec has no such operation.
    NoOperation(String),
    /// The body is not what the types take.
    Body(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoOperation(call) => write!(f, "the spec has no operation {call}"),
            Self::Body(message) => write!(f, "does not decode: {message}"),
        }
    }
}

impl std::error::Error for Failure {}

/// Decodes one body. `method` and `path` (with `/v3` or without) are not looked at for webhooks.
///
/// # Errors
///
/// If there is no such operation, or the body does not decode.
pub fn decode(side: Side, method: &str, path: &str, text: &str) -> Result<Decoded, Failure> {
    let codec = match side {
        Side::Webhook => Some(webhook(text)),
        Side::Request => operation(method, path)?.request,
        Side::Reply => operation(method, path)?.reply,
    };
    let (value, original) = match codec {
        Some(codec) => (codec(text).map_err(Failure::Body)?, parse(text)?),
        // Nothing is known of the body, so anything will do, nothing included.
        None if text.trim().is_empty() => (Value::Null, Value::Null),
        None => (Value::Null, parse(text)?),
    };
    let mut candidates = Vec::new();
    lost(&original, &value, Place::default(), &mut candidates);
    let unknown: BTreeSet<String> = candidates
        .into_iter()
        .filter(|place| !is_read(&original, &place.pointer, &value, codec))
        .map(|place| match place.shown {
            shown if shown.is_empty() => "(the whole body)".to_owned(),
            shown => shown,
        })
        .collect();
    Ok(Decoded {
        value,
        unknown: unknown.into_iter().collect(),
    })
}

/// Whether what stands at `pointer` has an influence on what is decoded. It has where it is read
/// under another name or in another shape than it is written.
fn is_read(original: &Value, pointer: &str, value: &Value, codec: Option<Codec>) -> bool {
    let (Some(codec), Some((parent, key))) = (codec, pointer.rsplit_once('/')) else {
        return false;
    };
    let mut without = original.clone();
    match without.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
        _ => return false,
    }
    codec(&without.to_string()).as_ref() != Ok(value)
}

fn parse(text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text).map_err(|error| Failure::Body(error.to_string()))
}

fn operation(method: &str, path: &str) -> Result<&'static Operation, Failure> {
    let short = path.strip_prefix("/v3").unwrap_or(path);
    OPERATIONS
        .iter()
        .find(|operation| operation.method.eq_ignore_ascii_case(method) && operation.path == short)
        .ok_or_else(|| Failure::NoOperation(format!("{method} {path}")))
}

/// Payloads do not say what they are, but for the word in `event`. Mail is what most events are about.
fn webhook(text: &str) -> Codec {
    let event = serde_json::from_str::<Value>(text)
        .ok()
        .and_then(|payload| Some(payload.get("event")?.as_str()?.to_owned()))
        .unwrap_or_default();
    WEBHOOKS
        .iter()
        .find(|webhook| (webhook.knows)(&event))
        .or(WEBHOOKS.first())
        .map_or(codec::<Value>, |webhook| webhook.payload)
}

/// Where something stands, for people and for programs.
#[derive(Clone, Debug, Default)]
struct Place {
    shown: String,
    pointer: String,
}

impl Place {
    fn member(&self, name: &str) -> Self {
        let dot = if self.shown.is_empty() { "" } else { "." };
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Self {
            shown: format!("{}{dot}{name}", self.shown),
            pointer: format!("{}/{escaped}", self.pointer),
        }
    }

    fn item(&self, index: usize) -> Self {
        Self {
            shown: format!("{}[]", self.shown),
            pointer: format!("{}/{index}", self.pointer),
        }
    }
}

/// Collects the places in `original` that have no counterpart in `kept`. Nulls and empty values have
/// nothing to lose.
fn lost(original: &Value, kept: &Value, place: Place, into: &mut Vec<Place>) {
    let empty = match original {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    };
    if empty {
        return;
    }
    match (original, kept) {
        (Value::Object(members), Value::Object(kept)) => {
            for (name, member) in members {
                let kept = kept.get(name).unwrap_or(&Value::Null);
                lost(member, kept, place.member(name), into);
            }
        }
        (Value::Array(items), Value::Array(kept)) => {
            // Nulls in a list are dropped, so what is left is compared in order.
            let mut kept = kept.iter();
            for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
                let kept = kept.next().unwrap_or(&Value::Null);
                lost(item, kept, place.item(index), into);
            }
        }
        // A single value became a list of one: a tolerated shape.
        (_, Value::Array(kept)) if kept.len() == 1 => lost(original, &kept[0], place, into),
        (_, Value::Null) | (Value::Object(_) | Value::Array(_), _) => into.push(place),
        _ => {}
    }
}
