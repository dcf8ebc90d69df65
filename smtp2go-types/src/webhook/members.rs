//! Assigns the members of a payload to the fields of an event.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde_core::de::value::{MapAccessDeserializer, MapDeserializer, SeqAccessDeserializer};
use serde_core::de::{
    DeserializeOwned, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};
use serde_core::{Deserialize, forward_to_deserialize_any};
use serde_json::Value;

use super::parse::{MAX_MEMBERS, MAX_VALUES};
use crate::lenient::{Lenient, Scalar};
use crate::object::Object;
use crate::values_beyond;

/// The members in the order of the document, with duplicates.
pub(super) type Members<'de> = Vec<(Cow<'de, str>, Member<'de>)>;

/// The value of a member. Most are texts, which are borrowed until they reach their field.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Member<'de> {
    Text(Cow<'de, str>),
    Other(Value),
}

/// The type of a payload's field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A text, a value of an open enum or a time.
    Text,
    Integer,
    List,
    /// A type with its own rules. No payload has such a field yet.
    #[allow(dead_code, reason = "for generated code")]
    Other,
}

/// A type that a payload decodes to. Generated code implements it with [`payload!`].
pub(crate) trait Payload: Object + DeserializeOwned {
    /// Its fields, sorted by name, in lower case.
    const FIELDS: &'static [(&'static str, Shape)];
    /// Pairs of an alternative name and the name of its field.
    const ALSO_NAMED: &'static [(&'static str, &'static str)];
}

/// Implements [`Payload`].
macro_rules! payload {
    ($name:ident { $($field:literal $(| $other:literal)*: $shape:ident),* $(,)? }) => {
        impl $crate::webhook::Payload for $name {
            const FIELDS: &'static [(&'static str, $crate::webhook::Shape)] =
                &[$(($field, $crate::webhook::Shape::$shape)),*];
            const ALSO_NAMED: &'static [(&'static str, &'static str)] =
                &[$($(($other, $field),)*)*];
        }
    };
}
pub(crate) use payload;

impl<'de> Member<'de> {
    #[cfg(test)]
    pub(super) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }

    /// Returns a text, number or boolean as text.
    pub(super) fn to_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Other(Value::Number(number)) => Some(Cow::Owned(number.to_string())),
            Self::Other(Value::Bool(value)) => Some(Cow::Owned(value.to_string())),
            Self::Other(_) => None,
        }
    }

    /// Whether the value is empty for this shape. An empty value does not replace the value of
    /// another spelling.
    fn is_nothing(&self, shape: Shape) -> bool {
        match self {
            Self::Other(Value::Null) => true,
            Self::Other(Value::Array(items)) if shape == Shape::List => {
                items.iter().all(Value::is_null)
            }
            Self::Text(text) => shape == Shape::List && (text.is_empty() || is_empty_list(text)),
            Self::Other(_) => false,
        }
    }

    /// Whether the value is an empty text. It does not replace another value.
    fn is_empty(&self) -> bool {
        matches!(self, Self::Text(text) if text.is_empty())
    }

    fn into_value(self) -> Value {
        match self {
            Self::Text(text) => Value::String(text.into_owned()),
            Self::Other(value) => value,
        }
    }

    /// Whether a field of this shape holds the value without loss.
    fn fits(&self, shape: Shape) -> bool {
        let is_scalar = |value: &Value| !matches!(value, Value::Array(_) | Value::Object(_));
        match (shape, self) {
            (Shape::Text, Self::Text(_)) => true,
            // Not a boolean: a time can't be one.
            (Shape::Text, Self::Other(value)) => value.is_number(),
            (Shape::Integer, Self::Text(text)) => {
                i64::from_scalar(Scalar::Text(Cow::Borrowed(text))).is_some()
            }
            (Shape::Integer, Self::Other(Value::Number(number))) => {
                i64::from_scalar(Scalar::Number(number.to_string())).is_some()
            }
            (Shape::List, Self::Other(Value::Array(items))) => items.iter().all(is_scalar),
            (Shape::List, Self::Other(Value::Object(_))) | (Shape::Integer, Self::Other(_)) => {
                false
            }
            (Shape::List | Shape::Other, _) => true,
        }
    }

    /// Appends a second value of the same key, as a form writes a list.
    fn join(self, next: Self) -> Self {
        let next = next.into_value();
        Self::Other(Value::Array(match self {
            Self::Other(Value::Array(mut items)) => {
                items.push(next);
                items
            }
            first => vec![first.into_value(), next],
        }))
    }
}

/// Whether the text is an empty JSON list.
fn is_empty_list(text: &str) -> bool {
    let mut rest = text.bytes().filter(|byte| !b" \t\r\n".contains(byte));
    (rest.next(), rest.next(), rest.next()) == (Some(b'['), Some(b']'), None)
}

/// Splits a text into the list that it stands for. Returns `None` if it is not a list, or exceeds the
/// limits of a payload.
fn split(text: &str) -> Option<Vec<Value>> {
    if values_beyond(text.as_bytes(), MAX_VALUES).is_some() {
        return None;
    }
    if text.trim_start().starts_with('[')
        && let Ok(items) = serde_json::from_str::<Vec<String>>(text)
    {
        return Some(items.into_iter().map(Value::String).collect());
    }
    let items = text.split(|c: char| matches!(c, ',' | ';') || c.is_whitespace());
    let items = items.filter(|item| !item.is_empty());
    let items: Vec<_> = items.take(MAX_MEMBERS + 1).collect();
    if items.len() > MAX_MEMBERS {
        return None;
    }
    // Only if all items are addresses: other texts may contain a comma.
    let all = items.iter().all(|item| {
        let mut parts = item.split('@');
        let has = |part: Option<&str>| part.is_some_and(|part| !part.is_empty());
        has(parts.next()) && has(parts.next()) && parts.next().is_none() && !item.contains('"')
    });
    (all && items.len() > 1).then(|| items.into_iter().map(Value::from).collect())
}

/// Returns the sort key of a field's spelling. The first spelling wins: lower case comes first,
/// then the order is that of the bytes. The order of the members does not matter, because a stored
/// event is read back in another order.
pub(super) fn rank(spelling: &str) -> (bool, &str) {
    let has_capital = spelling.bytes().any(|byte| byte.is_ascii_uppercase());
    (has_capital, spelling)
}

/// Reads a `T` from the members. If `repeats`, a repeated key is a list, as in a form; otherwise
/// the last one wins, as in JSON.
pub(super) fn settle<'de, T: Payload>(members: Members<'de>, repeats: bool) -> Option<T> {
    struct Found<'de> {
        spelling: Cow<'de, str>,
        value: Member<'de>,
    }
    let mut fields: Vec<Option<Found<'de>>> = Vec::new();
    fields.resize_with(T::FIELDS.len(), || None);
    let mut rest = Vec::new();
    for (key, value) in members {
        let Some((index, shape)) = field_of::<T>(&key) else {
            rest.push((key, value));
            continue;
        };
        if value.is_nothing(shape) {
            continue;
        }
        let Some(field) = fields.get_mut(index) else {
            continue;
        };
        if !value.fits(shape) {
            rest.push((key, value));
            continue;
        }
        match field {
            None => {
                *field = Some(Found {
                    spelling: key,
                    value,
                });
            }
            Some(found) if found.spelling == key => {
                if repeats && shape == Shape::List {
                    let first = std::mem::replace(&mut found.value, Member::Other(Value::Null));
                    found.value = first.join(value);
                } else if !value.is_empty() || found.value.is_empty() {
                    found.value = value;
                }
            }
            Some(found) => {
                let mut loser = Found {
                    spelling: key,
                    value,
                };
                // A value that is not empty wins, then the field's own name.
                let order = |found: &Found<'de>| {
                    (
                        found.value.is_empty(),
                        field_also_named::<T>(&found.spelling).is_some(),
                    )
                };
                let orders = (order(&loser), order(found));
                if orders.0 < orders.1
                    || orders.0 == orders.1 && rank(&loser.spelling) < rank(&found.spelling)
                {
                    std::mem::swap(found, &mut loser);
                }
                rest.push((loser.spelling, loser.value));
            }
        }
    }
    // `extra` drops a value that did not fit if another one under the same name did, and a text that
    // its field has already under another spelling. (Not for `event`, whose values have aliases.)
    rest.retain(|(key, value)| {
        let Some((index, shape)) = field_of::<T>(key) else {
            return true;
        };
        let (Some((name, _)), Some(Some(found))) = (T::FIELDS.get(index), fields.get(index)) else {
            return true;
        };
        let is_text = shape == Shape::Text && *name != "event";
        let same = is_text
            && value
                .to_text()
                .is_some_and(|text| found.value.to_text() == Some(text));
        name != key && !same
    });
    let found = T::FIELDS
        .iter()
        .zip(fields)
        .filter_map(|((name, shape), found)| {
            let value = match (shape, found?.value) {
                (Shape::List, Member::Text(text)) => match split(&text) {
                    Some(items) => Member::Other(Value::Array(items)),
                    None => Member::Text(text),
                },
                (_, value) => value,
            };
            Some((*name, value))
        });
    let mut payload = T::deserialize(MapDeserializer::new(found)).ok()?;
    *payload.extra_mut() = map(rest, repeats);
    Some(payload)
}

/// Returns the field that a key names, in any spelling.
fn field_of<T: Payload>(key: &str) -> Option<(usize, Shape)> {
    let small = if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(key.to_ascii_lowercase())
    } else {
        Cow::Borrowed(key)
    };
    let find = |name: &str| {
        let index = T::FIELDS
            .binary_search_by(|(field, _)| (*field).cmp(name))
            .ok()?;
        T::FIELDS.get(index).map(|(_, shape)| (index, *shape))
    };
    // Some form encoders add brackets to lists.
    let marked = || {
        let name = small.strip_suffix("[]")?;
        find(name).filter(|(_, shape)| *shape == Shape::List)
    };
    find(&small)
        .or_else(marked)
        .or_else(|| find(field_also_named::<T>(&small)?))
}

/// Returns the field that has the key as another name, ignoring letter case.
fn field_also_named<T: Payload>(key: &str) -> Option<&'static str> {
    let mut names = T::ALSO_NAMED.iter();
    let found = names.find(|(other, _)| other.eq_ignore_ascii_case(key));
    found.map(|(_, field)| *field)
}

/// Returns the members under their own names.
pub(super) fn map(members: Members<'_>, repeats: bool) -> BTreeMap<String, Value> {
    let mut map = BTreeMap::new();
    for (key, value) in members {
        match map.entry(key.into_owned()) {
            Entry::Vacant(entry) => {
                entry.insert(value.into_value());
            }
            Entry::Occupied(mut entry) if repeats => {
                let value = value.into_value();
                match entry.get_mut() {
                    Value::Array(values) => values.push(value),
                    first if *first != value => *first = Value::Array(vec![first.take(), value]),
                    _ => {}
                }
            }
            Entry::Occupied(mut entry) => {
                entry.insert(value.into_value());
            }
        }
    }
    map
}

/// The members of a JSON object, or of any other map of serde.
pub(super) struct EventMembers<'de>(pub(super) Members<'de>);

impl<'de> Deserialize<'de> for EventMembers<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(32);
                while let Some(EventKey(key)) = object.next_key()? {
                    if members.len() == MAX_MEMBERS {
                        return Err(A::Error::custom(format_args!(
                            "more than {MAX_MEMBERS} members"
                        )));
                    }
                    members.push((key, object.next_value()?));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Object).map(Self)
    }
}

/// A key, borrowed if possible.
struct EventKey<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for EventKey<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match deserializer.deserialize_str(MemberVisitor)? {
            Member::Text(text) => Ok(Self(text)),
            Member::Other(_) => Err(D::Error::custom("a key is not a text")),
        }
    }
}

impl<'de> Deserialize<'de> for Member<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(MemberVisitor)
    }
}

struct MemberVisitor;

impl<'de> Visitor<'de> for MemberVisitor {
    type Value = Member<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Member<'de>, E> {
        Ok(Member::Text(Cow::Owned(text)))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Member<'de>, E> {
        Ok(Member::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Member<'de>, E> {
        Ok(Member::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Member<'de>, E> {
        Ok(Member::Other(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Member<'de>, E> {
        Ok(Member::Other(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Other(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Member<'de>, E> {
        Ok(Member::Other(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Member<'de>, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Member<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(list)).map(Member::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<Member<'de>, A::Error> {
        Value::deserialize(MapAccessDeserializer::new(object)).map(Member::Other)
    }
}

impl<'de> Deserializer<'de> for Member<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        match self {
            Self::Text(Cow::Borrowed(text)) => visitor.visit_borrowed_str(text),
            Self::Text(Cow::Owned(text)) => visitor.visit_string(text),
            Self::Other(value) => value.deserialize_any(visitor),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'de> IntoDeserializer<'de, serde_json::Error> for Member<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
