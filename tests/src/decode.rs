//! Decodes captured traffic with the generated types, and lists members without a field.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smtp2go_types::webhook::{self, Event};
use smtp2go_types::{Envelope, KeepUnknown, UnknownMembers, readable};

/// Decodes a JSON text into a type.
pub type Codec = fn(&str) -> Result<Coded, String>;

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// The value, encoded again.
    pub value: Value,
    /// Paths of members that the type has no field for.
    pub unknown: Vec<String>,
    /// The `Debug` output of the value.
    pub debug: String,
}

/// An operation's codecs; `None` if the spec describes no body.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    /// The method, in capitals.
    pub method: &'static str,
    /// The path, without `/v3`.
    pub path: &'static str,
    /// The codec of its request.
    pub request: Option<Codec>,
    /// The codec of its reply with status 200.
    pub reply: Option<Codec>,
}

macro_rules! codecs {
    (@ $codec:ident) => {
        None
    };
    (@ $codec:ident $body:ident) => {
        Some($codec::<smtp2go_types::$body>)
    };
    ($(
        $id:ident $method:literal $path:literal $group:ident $action:ident
        [$($taken:ident)?] [$($request:ident)?] [$($reply:ident)?];
    )*) => {
        /// Every operation.
        pub static OPERATIONS: &[Operation] = &[$(
            Operation {
                method: $method,
                path: $path,
                request: codecs!(@ codec $($request)?),
                reply: codecs!(@ reply_codec $($reply)?),
            },
        )*];
    };
}
crate::generated::operations!(codecs);

/// The codec of a request, which keeps unlisted fields.
///
/// # Errors
///
/// If the JSON is invalid, or does not fit the type.
pub fn codec<T: Serialize + Debug + UnknownMembers>(text: &str) -> Result<Coded, String>
where
    KeepUnknown<T>: DeserializeOwned,
{
    let request = serde_json::from_str(text);
    let KeepUnknown(value) = request.map_err(|error| error.to_string())?;
    coded(&value)
}

/// The codec of a reply. For some operations the reply may be any JSON.
///
/// # Errors
///
/// As [`codec`].
pub fn reply_codec<T: DeserializeOwned + Serialize + Debug + UnknownMembers + Envelope>(
    text: &str,
) -> Result<Coded, String> {
    match serde_json::from_str::<T>(text) {
        Ok(value) => coded(&value),
        Err(error) => coded(&T::unknown().ok_or_else(|| error.to_string())?),
    }
}

fn coded<T: Serialize + Debug + UnknownMembers>(value: &T) -> Result<Coded, String> {
    Ok(Coded {
        value: serde_json::to_value(value).map_err(|error| error.to_string())?,
        unknown: value.unknown_members(),
        debug: format!("{value:?}"),
    })
}

/// The kind of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// A request.
    Request,
    /// A reply with status 200.
    Reply,
    /// An event that the service posted to a webhook.
    Webhook,
}

/// A decoded body.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The decoded value, encoded again.
    pub value: Value,
    /// Paths of members that have no field or don't fit it, such as `data.results[].foo`; sorted,
    /// without duplicates.
    pub unknown: Vec<String>,
}

/// The reason why a body was not decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The spec has no such operation.
    NoOperation(String),
    /// The body does not fit the types.
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

/// Decodes one body. For webhooks, `method` and `path` (with `/v3` or without) are ignored, and the
/// body may be a form or JSON.
///
/// # Errors
///
/// If there is no such operation, or the body does not decode.
pub fn decode(side: Side, method: &str, path: &str, text: &str) -> Result<Decoded, Failure> {
    let codec = match side {
        Side::Webhook => return event(text),
        Side::Request => operation(method, path)?.request,
        Side::Reply => operation(method, path)?.reply,
    };
    let Some(codec) = codec else {
        // The body is not documented, so any body is accepted, even an empty one.
        let unknown = match text.trim() {
            "" => Vec::new(),
            text => lost(&parse(text).unwrap_or_else(|_| text.into()), &Value::Null),
        };
        return Ok(Decoded {
            value: Value::Null,
            unknown,
        });
    };
    let (mut decoded, original) = read(side, codec, text)?;
    decoded.unknown.extend(lost(&original, &decoded.value));
    decoded.unknown.sort();
    decoded.unknown.dedup();
    Ok(decoded)
}

/// Returns the decoded body, and the body as JSON. Replies are read like in the client, and
/// repaired if necessary.
fn read(side: Side, codec: Codec, text: &str) -> Result<(Decoded, Value), Failure> {
    let codec =
        |text: &str| codec(text).map(|Coded { value, unknown, .. }| Decoded { value, unknown });
    let decoded = codec(text);
    if side == Side::Request {
        return Ok((decoded.map_err(Failure::Body)?, parse(text)?));
    }
    let readable = readable(text.as_bytes());
    let decoded = decoded.or_else(|failure| codec(&readable).map_err(|_| failure));
    Ok((decoded.map_err(Failure::Body)?, parse(&readable)?))
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

/// Decodes an event. Members without a field are reported as unknown. These include mail headers
/// that the webhook copies, which can't be distinguished from new fields. All members of an unknown
/// event are reported.
fn event(text: &str) -> Result<Decoded, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::Body(error.to_string());
    let event = webhook::parse_with_limit(None, text, usize::MAX).map_err(|e| failure(&e))?;
    let unknown = match &event {
        Event::Email(event) => Some(&event.extra),
        Event::Sms(event) => Some(&event.extra),
        Event::Unknown(event) => Some(&event.members),
        _ => None,
    };
    let unknown = unknown.into_iter().flat_map(BTreeMap::keys);
    let unknown = unknown.cloned().collect();
    let value = serde_json::to_value(&event).map_err(|e| failure(&e))?;
    Ok(Decoded { value, unknown })
}

/// Returns paths in `original` that are missing in `kept`: values that did not fit their fields.
fn lost(original: &Value, kept: &Value) -> Vec<String> {
    let mut found = Vec::new();
    add_lost(original, kept, String::new(), &mut found);
    found
}

/// Adds the paths of lost values to `into`, except nulls and empty values. Those in an unknown field are
/// kept and reported by the type.
fn add_lost(original: &Value, kept: &Value, place: String, into: &mut Vec<String>) {
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
    // A list without its envelope, which is accepted.
    if let (Value::Array(_), Value::Object(members)) = (original, kept)
        && let Some(kept) = members.values().next()
        && (members.len(), kept.is_array()) == (1, true)
    {
        return add_lost(original, kept, place, into);
    }
    match (original, kept) {
        (Value::Object(members), Value::Object(kept)) => {
            // Members without a field are kept under their names, so a missing name is an
            // alternative name of a field, which is present under its own name.
            let mut renamed = kept.keys().filter(|name| !members.contains_key(*name));
            for (name, member) in members {
                let kept = kept.get(name).or_else(|| kept.get(renamed.next()?));
                let dot = if place.is_empty() { "" } else { "." };
                let place = format!("{place}{dot}{name}");
                add_lost(member, kept.unwrap_or(&Value::Null), place, into);
            }
        }
        (Value::Array(items), Value::Array(kept)) => {
            // Nulls in a list are dropped, so the other items are compared in order.
            let mut kept = kept.iter();
            for item in items.iter().filter(|item| !item.is_null()) {
                let kept = kept.next().unwrap_or(&Value::Null);
                add_lost(item, kept, format!("{place}[]"), into);
            }
        }
        // A single value that became a list of one, which is accepted.
        (_, Value::Array(kept)) if kept.len() == 1 => add_lost(original, &kept[0], place, into),
        (_, Value::Null) | (Value::Object(_) | Value::Array(_), _) => into.push(match place {
            place if place.is_empty() => "(the whole body)".to_owned(),
            place => place,
        }),
        _ => {}
    }
}
