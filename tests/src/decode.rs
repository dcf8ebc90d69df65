//! Decodes captured traffic with the generated types, and says what they do not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smtp2go_types::webhook::{self, Event};
use smtp2go_types::{Envelope, readable};

pub use crate::generated::codecs::OPERATIONS;

/// Decodes a JSON text as some type and encodes it again.
pub type Codec = fn(&str) -> Result<Coded, String>;

/// A value of some type.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// It, encoded again.
    pub value: Value,
    /// What its `Debug` shows.
    pub debug: String,
}

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

/// The codec of `T`.
///
/// # Errors
///
/// What is wrong with the JSON, or with its shape.
pub fn codec<T: DeserializeOwned + Serialize + Debug>(text: &str) -> Result<Coded, String> {
    let value: T = serde_json::from_str(text).map_err(|error| error.to_string())?;
    coded(&value)
}

fn coded<T: Serialize + Debug>(value: &T) -> Result<Coded, String> {
    Ok(Coded {
        value: serde_json::to_value(value).map_err(|error| error.to_string())?,
        debug: format!("{value:?}"),
    })
}

/// The codec of a reply, which for some operations may be anything.
///
/// # Errors
///
/// As for [`codec`].
pub fn reply_codec<T: DeserializeOwned + Serialize + Debug + Envelope>(
    text: &str,
) -> Result<Coded, String> {
    codec::<T>(text).or_else(|error| {
        let unknown = T::unknown().ok_or(error)?;
        coded(&unknown)
    })
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

/// Decodes one body. `method` and `path` (with `/v3` or without) are not looked at for webhooks, whose
/// body may be a form as well as JSON.
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
    let (value, original) = match codec {
        Some(codec) => read(side, codec, text)?,
        // Nothing is known of the body, so anything will do, nothing included.
        None if text.trim().is_empty() => (Value::Null, Value::Null),
        None => {
            let original = parse(text).unwrap_or_else(|_| Value::String(text.to_owned()));
            (Value::Null, original)
        }
    };
    let mut candidates = Vec::new();
    lost(&original, &value, Place::default(), &mut candidates);
    let unknown: BTreeSet<String> = unread(&original, &value, codec, candidates)
        .into_iter()
        .map(|shown| match shown {
            shown if shown.is_empty() => "(the whole body)".to_owned(),
            shown => shown,
        })
        .collect();
    Ok(Decoded {
        value,
        unknown: unknown.into_iter().collect(),
    })
}

/// What the types make of a body, and the body as it is. What is received is read as the client reads
/// it, repaired if need be.
fn read(side: Side, codec: Codec, text: &str) -> Result<(Value, Value), Failure> {
    let codec = |text: &str| codec(text).map(|coded| coded.value);
    let value = codec(text);
    if side == Side::Request {
        return Ok((value.map_err(Failure::Body)?, parse(text)?));
    }
    let readable = readable(text.as_bytes());
    let value = value.or_else(|failure| codec(&readable).map_err(|_| failure));
    Ok((value.map_err(Failure::Body)?, parse(&readable)?))
}

/// Those of `candidates`, as they are shown, that have no influence on what is decoded. One has where
/// it is read under another name or in another shape than it is written.
///
/// Decoding takes long, so it is not done for each place. What is shown alike and is of one kind is
/// removed together, and all of that at once before it is tried in halves.
fn unread(
    original: &Value,
    value: &Value,
    codec: Option<Codec>,
    candidates: Vec<Place>,
) -> Vec<String> {
    let mut unread = Vec::new();
    let mut groups: BTreeMap<(String, Kind), Vec<String>> = BTreeMap::new();
    for place in candidates {
        if place.is_member {
            let group = groups.entry((place.shown, place.kind)).or_default();
            group.push(place.pointer);
        } else {
            unread.push(place.shown);
        }
    }
    let groups: Vec<Group> = groups
        .into_iter()
        .map(|((shown, _), pointers)| Group { shown, pointers })
        .collect();
    match codec {
        Some(codec) => halve(original, value, codec, &groups, &mut unread),
        None => unread.extend(groups.into_iter().map(|group| group.shown)),
    }
    unread
}

/// Places that are shown alike.
struct Group {
    shown: String,
    pointers: Vec<String>,
}

/// Finds the groups without influence, with a few decodings for each that has one.
fn halve(
    original: &Value,
    value: &Value,
    codec: Codec,
    groups: &[Group],
    unread: &mut Vec<String>,
) {
    if groups.is_empty() {
        return;
    }
    let mut without = original.clone();
    for pointer in groups.iter().flat_map(|group| &group.pointers) {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(Value::Object(members)) = without.pointer_mut(parent)
        {
            members.remove(&key.replace("~1", "/").replace("~0", "~"));
        }
    }
    let decoded = codec(&without.to_string()).map(|coded| coded.value);
    if decoded.as_ref() == Ok(value) {
        unread.extend(groups.iter().map(|group| group.shown.clone()));
    } else if groups.len() > 1 {
        let (one, other) = groups.split_at(groups.len() / 2);
        halve(original, value, codec, one, unread);
        halve(original, value, codec, other, unread);
    }
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

/// A posted event, of which the types keep everything: what an event is that they do not know, nobody
/// can say, so all of its members are unknown.
fn event(text: &str) -> Result<Decoded, Failure> {
    let failure = |error: &dyn std::fmt::Display| Failure::Body(error.to_string());
    let event = webhook::parse_with_limit(None, text, usize::MAX).map_err(|e| failure(&e))?;
    let unknown = match &event {
        Event::Unknown(event) => event.members.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let value = serde_json::to_value(&event).map_err(|e| failure(&e))?;
    Ok(Decoded { value, unknown })
}

/// Where something stands, for people and for programs.
#[derive(Clone, Debug, Default)]
struct Place {
    shown: String,
    pointer: String,
    is_member: bool,
    kind: Kind,
}

/// What stands there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    #[default]
    Scalar,
    Text,
    List,
    Object,
}

impl Kind {
    fn of(value: &Value) -> Self {
        match value {
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::List,
            Value::Object(_) => Self::Object,
            _ => Self::Scalar,
        }
    }
}

impl Place {
    fn member(&self, name: &str) -> Self {
        let dot = if self.shown.is_empty() { "" } else { "." };
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Self {
            shown: format!("{}{dot}{name}", self.shown),
            pointer: format!("{}/{escaped}", self.pointer),
            is_member: true,
            kind: Kind::default(),
        }
    }

    fn item(&self, index: usize) -> Self {
        Self {
            shown: format!("{}[]", self.shown),
            pointer: format!("{}/{index}", self.pointer),
            is_member: false,
            kind: Kind::default(),
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
    // A list without the object that should be around it: a tolerated shape.
    if let (Value::Array(_), Value::Object(members)) = (original, kept)
        && let Some(kept) = members.values().next()
        && (members.len(), kept.is_array()) == (1, true)
    {
        return lost(original, kept, place, into);
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
        (_, Value::Null) | (Value::Object(_) | Value::Array(_), _) => into.push(Place {
            kind: Kind::of(original),
            ..place
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Map;
    use std::cell::Cell;

    thread_local! {
        static DECODED: Cell<usize> = const { Cell::new(0) };
    }

    /// Knows `kept`, and reads it under the names `alias…` as well.
    fn counting(text: &str) -> Result<Coded, String> {
        DECODED.set(DECODED.get() + 1);
        let Ok(Value::Array(items)) = serde_json::from_str(text) else {
            return Err("no list".to_owned());
        };
        let item = |item: &Value| -> Value {
            let members = item.as_object().into_iter().flatten();
            members
                .filter(|(name, value)| {
                    *name == "kept" || (name.starts_with("alias") && value.is_number())
                })
                .map(|(name, value)| (name.replace("alias", "known"), value.clone()))
                .collect::<Map<_, _>>()
                .into()
        };
        coded(&items.iter().map(item).collect::<Vec<_>>())
    }

    fn unknown(original: &Value) -> (Vec<String>, usize) {
        let (value, _) = read(Side::Reply, counting, &original.to_string()).unwrap_or_default();
        let mut candidates = Vec::new();
        lost(original, &value, Place::default(), &mut candidates);
        DECODED.set(0);
        let mut unknown = unread(original, &value, Some(counting), candidates);
        unknown.sort();
        (unknown, DECODED.get())
    }

    #[test]
    fn decodings_are_few() {
        let item = serde_json::json!({"kept": 1, "new": 1});
        let (fields, decoded) = unknown(&vec![item; 1_000].into());
        assert_eq!(fields, ["[].new"]);
        assert_eq!(decoded, 1);

        let mut item = Map::from_iter([("alias".to_owned(), 1.into())]);
        item.extend((0..1_000).map(|index| (format!("new{index}"), index.into())));
        let (fields, decoded) = unknown(&vec![Value::Object(item); 3].into());
        assert_eq!(fields.len(), 1_000);
        assert!(!fields.contains(&"[].alias".to_owned()));
        assert!(decoded < 25, "{decoded}");

        // All of them are read, so each has to be tried.
        let item: Map<_, _> = (0..100)
            .map(|index| (format!("alias{index}"), index.into()))
            .collect();
        let (fields, decoded) = unknown(&vec![Value::Object(item); 10].into());
        assert_eq!(fields, [] as [&str; 0]);
        assert!(decoded < 200, "{decoded}");
    }

    #[test]
    fn a_field_that_is_read_in_one_shape_only_is_named() {
        let (fields, _) = unknown(&serde_json::json!([{"alias": 1}, {"alias": "one"}]));
        assert_eq!(fields, ["[].alias"]);
    }
}
