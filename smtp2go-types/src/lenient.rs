//! Reads the fields of replies, so that an unexpected value does not make the whole reply
//! unreadable.
//!
//! A [`Field`] accepts every JSON value. A value that it can't hold is skipped, and the field stays
//! empty:
//!
//! ```text
//! {"sent": "12", "failed": [], "names": "Ana", "size": 1.5}
//!     sent: Option<i64>     Some(12)      a number as text is a number
//!     failed: Option<i64>   None          a list is no number: skipped
//!     names: Vec<String>    ["Ana"]       one value in place of a list of it
//!     size: Option<i64>     None          not an integer: skipped
//! ```
//!
//! # Reading this file
//!
//! [`Lenient`] is a single value (text, number, timestamp, object): it converts each kind of JSON
//! value, and returns `None` for a value that it can't hold. [`Field`] is a field of a struct: an
//! `Option`, `Vec` or `BTreeMap` of a `Lenient`. [`FieldVisitor`] turns serde's calls into those of
//! `Field`. Nothing is buffered: values are read, or skipped, in the order in which they come.
//!
//! # Limits
//!
//! Errors come only from serde_json, for input that it can't read. They make the whole document
//! fail: broken JSON, half of a surrogate pair in text (which [`readable`](crate::readable)
//! repairs), and, in a value that is kept as JSON, a number like `1e400` or more than 127 levels.
//!
//! Fields call `deserialize_any`, so the format must be self-describing, as JSON is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde_core::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};
use serde_json::{Number, Value};

/// With the feature `arbitrary_precision` of serde_json, which any crate in the build can turn on,
/// a number is represented as an object. Its only member has this name, and the number as text. The
/// name is private to serde_json, but has never changed.
pub(crate) const NUMBER: &str = "$serde_json::private::Number";

/// A JSON value that is not null, a list or an object.
pub(crate) enum Scalar<'a> {
    Bool(bool),
    Integer(i128),
    /// A fraction, or an integer beyond 64 bits, which serde_json rounds.
    Float(f64),
    /// The digits of a number, with serde_json's feature `arbitrary_precision`.
    Number(String),
    Text(Cow<'a, str>),
}

impl Scalar<'_> {
    /// Returns the value as text: text as it is, other values as JSON.
    pub(crate) fn into_text(self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Float(value) => Number::from_f64(value)
                .map_or_else(|| value.to_string(), |number| number.to_string()),
            Self::Number(text) => text,
            Self::Text(text) => text.into_owned(),
        }
    }
}

/// A single value of a reply. Each method receives one kind of JSON value and returns `None` if the
/// type can't hold it, as the default methods do.
pub(crate) trait Lenient: Sized {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self>;

    /// Returns the value for a null in a map. Elsewhere null is the same as absent. Only [`Value`]
    /// can hold null.
    fn from_null() -> Option<Self> {
        None
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        drain_list(list)?;
        Ok(None)
    }

    /// The object may be a number, see [`NUMBER`] and [`open`].
    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        match open(object)? {
            Opened::Number(number) => Ok(number.map(Scalar::Number).and_then(Self::from_scalar)),
            Opened::Object(object) => {
                drain_object(object)?;
                Ok(None)
            }
        }
    }
}

/// A field of a reply. Each method receives one kind of JSON value and never fails.
pub(crate) trait Field: Sized {
    fn null() -> Self;
    fn scalar(scalar: Scalar<'_>) -> Self;
    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error>;
    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error>;

    /// Whether the field is empty.
    fn is_absent(&self) -> bool;
}

/// One value. `None` for null and for values that `T` can't hold.
impl<T: Lenient> Field for Option<T> {
    fn null() -> Self {
        None
    }

    fn scalar(scalar: Scalar<'_>) -> Self {
        T::from_scalar(scalar)
    }

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        T::from_list(list)
    }

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        T::from_object(object)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// A list. A single value becomes a list of one; null and empty text become the empty list. Items
/// that are null or that `T` can't hold are dropped.
impl<T: Lenient> Field for Vec<T> {
    fn null() -> Self {
        Self::new()
    }

    fn scalar(scalar: Scalar<'_>) -> Self {
        match &scalar {
            Scalar::Text(text) if text.is_empty() => Self::new(),
            _ => T::from_scalar(scalar).into_iter().collect(),
        }
    }

    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut items = Self::new();
        while let Some(LenientField(item)) = list.next_element::<LenientField<Option<T>>>()? {
            items.extend(item);
        }
        Ok(items)
    }

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        Ok(T::from_object(object)?.into_iter().collect())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// An object with arbitrary keys. Anything else becomes the empty map. Values that `T` can't hold
/// are dropped, and the last of equal keys wins.
impl<T: Lenient> Field for BTreeMap<String, T> {
    fn null() -> Self {
        Self::new()
    }

    fn scalar(_: Scalar<'_>) -> Self {
        Self::new()
    }

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Self, A::Error> {
        drain_list(list)?;
        Ok(Self::new())
    }

    fn object<'de, A: MapAccess<'de>>(object: A) -> Result<Self, A::Error> {
        let mut entries = Self::new();
        let mut object = match open(object)? {
            Opened::Number(_) => return Ok(entries),
            Opened::Object(object) => object,
        };
        while let Some((key, LenientField(value))) =
            object.next_entry::<String, LenientField<Option<T>>>()?
        {
            match value.or_else(T::from_null) {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        Ok(entries)
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// Reads a member's value into a field, after the member's name was read.
pub(crate) fn fill<'de, F: Field, A: MapAccess<'de>>(
    field: &mut F,
    object: &mut A,
) -> Result<(), A::Error> {
    *field = object.next_value::<LenientField<F>>()?.0;
    Ok(())
}

/// [`fill`] for a field with several names: an empty value under one name doesn't replace a value
/// under another name.
pub(crate) fn fill_unless_null<'de, F: Field, A: MapAccess<'de>>(
    field: &mut F,
    object: &mut A,
) -> Result<(), A::Error> {
    let value = object.next_value::<LenientField<F>>()?.0;
    if !value.is_absent() {
        *field = value;
    }
    Ok(())
}

/// Reads a value by the rules of the field type `F`.
pub(crate) fn read<'de, F: Field, D: Deserializer<'de>>(deserializer: D) -> Result<F, D::Error> {
    deserializer.deserialize_any(FieldVisitor(PhantomData))
}

fn drain_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

pub(crate) fn drain_object<'de, A: MapAccess<'de>>(mut object: A) -> Result<(), A::Error> {
    while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Reads a [`Field`] through serde.
struct LenientField<F>(F);

impl<'de, F: Field> Deserialize<'de> for LenientField<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer).map(LenientField)
    }
}

/// Calls the method of [`Field`] for the kind of JSON value.
struct FieldVisitor<F>(PhantomData<F>);

impl<'de, F: Field> Visitor<'de> for FieldVisitor<F> {
    type Value = F;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<F, E> {
        Ok(F::null())
    }

    fn visit_none<E: Error>(self) -> Result<F, E> {
        Ok(F::null())
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<F, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<F, D::Error> {
        inner.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<F, E> {
        Ok(F::scalar(Scalar::Bool(value)))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<F, E> {
        Ok(F::scalar(Scalar::Integer(value.into())))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<F, E> {
        Ok(F::scalar(Scalar::Integer(value.into())))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<F, E> {
        Ok(F::scalar(Scalar::Integer(value)))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<F, E> {
        Ok(F::scalar(match i128::try_from(value) {
            Ok(value) => Scalar::Integer(value),
            Err(_) => Scalar::Text(value.to_string().into()),
        }))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<F, E> {
        Ok(F::scalar(Scalar::Float(value)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<F, E> {
        Ok(F::scalar(Scalar::Text(value.into())))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<F, E> {
        Ok(F::scalar(Scalar::Text(value.into())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<F, A::Error> {
        F::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, object: A) -> Result<F, A::Error> {
        F::object(object)
    }
}

/// An object after its first key was read.
pub(crate) enum Opened<A> {
    /// A number, as text: see [`NUMBER`]. The object was read to its end.
    Number(Option<String>),
    Object(Resumed<A>),
}

/// Reads the first key to find out whether the object is a number.
pub(crate) fn open<'de, A: MapAccess<'de>>(mut object: A) -> Result<Opened<A>, A::Error> {
    let first = object.next_key::<String>()?;
    if first.as_deref() != Some(NUMBER) {
        return Ok(Opened::Object(Resumed {
            first,
            rest: object,
        }));
    }
    let number = object.next_value::<LenientField<Option<String>>>()?.0;
    drain_object(object)?;
    Ok(Opened::Number(number))
}

/// An object whose first key was already read; it is returned again as the first key.
pub(crate) struct Resumed<A> {
    first: Option<String>,
    rest: A,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Resumed<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, A::Error> {
        match self.first.take() {
            Some(key) => seed.deserialize(key.into_deserializer()).map(Some),
            None => self.rest.next_key_seed(seed),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.rest.next_value_seed(seed)
    }
}

/// Returns a float as an integer if it has no fraction and fits 64 bits.
fn whole(value: f64) -> Option<i64> {
    /// 2⁶³. -2⁶³ itself is excluded, because smaller integers are rounded to it.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    // Exact: the value is whole and within the limit.
    (value.fract() == 0.0 && value.abs() < LIMIT).then_some(value as i64)
}

impl Lenient for String {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        Some(scalar.into_text())
    }
}

impl Lenient for i64 {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        match scalar {
            Scalar::Bool(_) => None,
            Scalar::Integer(value) => value.try_into().ok(),
            Scalar::Float(value) => whole(value),
            scalar @ (Scalar::Number(_) | Scalar::Text(_)) => {
                let text = scalar.into_text();
                let text = text.trim();
                // Only "12.0" is read as a float, not integers that are too large.
                match text.parse::<i128>() {
                    Ok(value) => value.try_into().ok(),
                    Err(_) => text.parse().ok().and_then(whole),
                }
            }
        }
    }
}

impl Lenient for f64 {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        match scalar {
            Scalar::Bool(_) => None,
            Scalar::Integer(value) => Some(value as f64),
            Scalar::Float(value) => Some(value),
            // Rust also parses "inf" and "nan", which JSON can't represent.
            scalar @ (Scalar::Number(_) | Scalar::Text(_)) => scalar
                .into_text()
                .trim()
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite()),
        }
    }
}

impl Lenient for bool {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        match scalar {
            Scalar::Bool(value) => Some(value),
            Scalar::Text(text) if text.trim().eq_ignore_ascii_case("true") => Some(true),
            Scalar::Text(text) if text.trim().eq_ignore_ascii_case("false") => Some(false),
            scalar => match i64::from_scalar(scalar)? {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
        }
    }
}

impl Lenient for Value {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        Some(match scalar {
            Scalar::Bool(value) => Self::Bool(value),
            // Beyond 64 bits it becomes a float, as in `serde_json`.
            Scalar::Integer(value) => {
                Number::from_i128(value).map_or_else(|| Self::from(value as f64), Self::Number)
            }
            Scalar::Float(value) => value.into(),
            Scalar::Number(text) => Self::Number(text.parse().ok()?),
            Scalar::Text(text) => Self::String(text.into_owned()),
        })
    }

    fn from_null() -> Option<Self> {
        Some(Self::Null)
    }

    fn from_list<'de, A: SeqAccess<'de>>(list: A) -> Result<Option<Self>, A::Error> {
        Self::deserialize(SeqAccessDeserializer::new(list)).map(Some)
    }

    fn from_object<'de, A: MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        match open(object)? {
            Opened::Number(number) => Ok(number.map(Scalar::Number).and_then(Self::from_scalar)),
            Opened::Object(object) => {
                Self::deserialize(MapAccessDeserializer::new(object)).map(Some)
            }
        }
    }
}

#[cfg(test)]
#[allow(dead_code, unreachable_pub, reason = "the macro is for public enums")]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write;

    use serde_core::Deserialize;
    use serde_json::{Value, json};

    use crate::{Date, OpenEnum, Secret, TextOrObject, Timestamp, UnknownMembers};

    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    enum Colour {
        Red,
        Unknown(crate::UnknownValue),
    }
    crate::open_enum::open_enum!(Colour { Red = "red" | "rouge" });

    /// A fixture in the form of generated code, with `Reply` below.
    #[derive(Clone, Debug, Default, PartialEq)]
    #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
    struct Inner {
        id: Option<i64>,
        #[cfg_attr(
            feature = "schemars",
            schemars(default, skip_serializing_if = "Vec::is_empty")
        )]
        parts: Vec<Inner>,
        #[cfg_attr(feature = "schemars", schemars(flatten))]
        extra: BTreeMap<String, Value>,
    }
    crate::object::reply!(Inner { id, parts });

    macro_rules! reply {
        ($($field:ident, $list:ident, $map:ident: $type:ty;)*) => {
            #[derive(Clone, Debug, Default, PartialEq)]
            #[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
            struct Reply {
                $(
                    $field: Option<$type>,
                    #[cfg_attr(feature = "schemars", schemars(default))]
                    $list: Vec<$type>,
                    #[cfg_attr(feature = "schemars", schemars(default))]
                    $map: BTreeMap<String, $type>,
                )*
                last: Option<String>,
                #[cfg_attr(feature = "schemars", schemars(flatten))]
                extra: BTreeMap<String, Value>,
            }
            crate::object::reply!(Reply { $($field, $list, $map,)* last });

            const FIELDS: &[&str] = &[$(stringify!($field), stringify!($list), stringify!($map)),*];
        };
    }
    reply! {
        text, texts, text_map: String;
        integer, integers, integer_map: i64;
        float, floats, float_map: f64;
        truth, truths, truth_map: bool;
        time, times, time_map: Timestamp;
        date, dates, date_map: Date;
        secret, secrets, secret_map: Secret;
        colour, colours, colour_map: Colour;
        either, eithers, either_map: TextOrObject;
        value, values, value_map: Value;
        inner, inners, inner_map: Inner;
    }

    /// Decodes a document by all of serde_json's readers, and asserts that the results are equal.
    fn decode(json: &str) -> Reply {
        let reply: Reply =
            serde_json::from_str(json).unwrap_or_else(|error| panic!("{json}: {error}"));
        assert_eq!(
            serde_json::from_slice::<Reply>(json.as_bytes()).unwrap(),
            reply,
            "{json}"
        );
        assert_eq!(
            serde_json::from_reader::<_, Reply>(json.as_bytes()).unwrap(),
            reply,
            "{json}"
        );
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(Reply::deserialize(&value).unwrap(), reply, "{json}");
        assert_eq!(
            serde_json::from_value::<Reply>(value).unwrap(),
            reply,
            "{json}"
        );
        reply
    }

    /// Checks that the field of each row, decoded from the first JSON and encoded again, is the second
    /// JSON. Null means that the field is omitted.
    fn table(rows: &[(&str, &str, Value)]) {
        for (field, json, expected) in rows {
            let reply = decode(&format!(r#"{{"{field}":{json},"last":"here"}}"#));
            assert_eq!(reply.last.as_deref(), Some("here"), "{field}: {json}");
            let written = serde_json::to_value(&reply).unwrap();
            let written = written.get(field).unwrap_or(&Value::Null);
            assert_eq!(written, expected, "{field}: {json}");
        }
    }

    #[test]
    fn scalars_are_converted_or_left_empty() {
        table(&[
            ("text", r#""a""#, json!("a")),
            ("text", r#""a\n\u00e9\"""#, json!("a\né\"")),
            ("text", r#""""#, json!("")),
            ("text", "12", json!("12")),
            (
                "text",
                "-9223372036854775808",
                json!("-9223372036854775808"),
            ),
            (
                "text",
                "18446744073709551615",
                json!("18446744073709551615"),
            ),
            ("text", "1.5", json!("1.5")),
            ("text", "2.0", json!("2.0")),
            ("text", "true", json!("true")),
            ("text", "null", Value::Null),
            ("text", r#"["a"]"#, Value::Null),
            ("text", r#"{"a":"b"}"#, Value::Null),
            ("integer", "12", json!(12)),
            ("integer", r#""12""#, json!(12)),
            ("integer", r#"" -12 ""#, json!(-12)),
            ("integer", "12.0", json!(12)),
            ("integer", r#""12.0""#, json!(12)),
            ("integer", "1e3", json!(1000)),
            ("integer", "12.5", Value::Null),
            ("integer", r#""12.5""#, Value::Null),
            ("integer", "9223372036854775807", json!(i64::MAX)),
            ("integer", "-9223372036854775808", json!(i64::MIN)),
            ("integer", r#""-9223372036854775808""#, json!(i64::MIN)),
            ("integer", "9223372036854775808", Value::Null),
            ("integer", "-9223372036854775809", Value::Null),
            ("integer", r#""9223372036854775808""#, Value::Null),
            ("integer", r#""-9223372036854775809""#, Value::Null),
            (
                "integer",
                "123456789012345678901234567890123456789012345678901234567890",
                Value::Null,
            ),
            ("integer", r#""""#, Value::Null),
            ("integer", r#""twelve""#, Value::Null),
            ("integer", r#""nan""#, Value::Null),
            ("integer", "true", Value::Null),
            ("integer", "[12]", Value::Null),
            ("integer", "{}", Value::Null),
            ("float", "1.5", json!(1.5)),
            ("float", "2", json!(2.0)),
            ("float", r#""1.5""#, json!(1.5)),
            ("float", r#""0""#, json!(0.0)),
            (
                "float",
                "18446744073709551616",
                json!(18_446_744_073_709_551_616.0),
            ),
            ("float", r#""inf""#, Value::Null),
            ("float", r#""NaN""#, Value::Null),
            ("float", r#""1e999""#, Value::Null),
            ("float", r#""1.5%""#, Value::Null),
            ("float", "false", Value::Null),
            ("truth", "true", json!(true)),
            ("truth", "false", json!(false)),
            ("truth", r#""true""#, json!(true)),
            ("truth", r#""False""#, json!(false)),
            ("truth", "1", json!(true)),
            ("truth", "0.0", json!(false)),
            ("truth", r#""0""#, json!(false)),
            ("truth", r#""1""#, json!(true)),
            ("truth", "2", Value::Null),
            ("truth", r#""yes""#, Value::Null),
            ("truth", "[true]", Value::Null),
            (
                "time",
                r#""2026-03-02 08:15:00""#,
                json!("2026-03-02 08:15:00"),
            ),
            ("time", r#""""#, json!("")),
            ("time", "1772439300", json!("1772439300")),
            ("time", "1772439300.5", json!("1772439300.5")),
            ("time", "true", Value::Null),
            ("time", "{}", Value::Null),
            ("date", r#""2026-03-02""#, json!("2026-03-02")),
            ("date", "20260302", json!("20260302")),
            ("date", "false", Value::Null),
            ("secret", r#""hunter2""#, json!("hunter2")),
            ("secret", "1234", json!("1234")),
            ("secret", "[]", Value::Null),
            ("colour", r#""red""#, json!("red")),
            ("colour", r#""rouge""#, json!("red")),
            ("colour", r#""blue""#, json!("blue")),
            ("colour", "3", json!("3")),
            ("colour", "null", Value::Null),
            ("colour", r#"["red"]"#, Value::Null),
            ("either", r#""closed""#, json!("closed")),
            (
                "either",
                r#"{"id":[1,{"a":null}]}"#,
                json!({"id": [1, {"a": null}]}),
            ),
            ("either", "7", json!("7")),
            ("either", "[1]", Value::Null),
            (
                "value",
                r#"{"a":[1,"b",null,2.5,{"c":true}]}"#,
                json!({"a": [1, "b", null, 2.5, {"c": true}]}),
            ),
            ("value", "[1,[2]]", json!([1, [2]])),
            ("value", "18446744073709551615", json!(u64::MAX)),
            ("value", "-1", json!(-1)),
            ("value", "false", json!(false)),
            ("value", r#""""#, json!("")),
            ("value", "null", Value::Null),
            (
                "inner",
                r#"{"id":"7","new":[{}]}"#,
                json!({"id": 7, "new": [{}]}),
            ),
            ("inner", "{}", json!({})),
            ("inner", "[]", Value::Null),
            ("inner", r#"[{"id":7}]"#, Value::Null),
            ("inner", r#""7""#, Value::Null),
            ("inner", "true", Value::Null),
        ]);
    }

    #[test]
    fn single_values_become_lists_and_bad_items_are_dropped() {
        table(&[
            ("texts", r#"["a","b"]"#, json!(["a", "b"])),
            (
                "texts",
                r#"["a",null,1,true,{},["x"],""]"#,
                json!(["a", "1", "true", ""]),
            ),
            ("texts", r#""a""#, json!(["a"])),
            ("texts", "5", json!(["5"])),
            ("texts", r#""""#, Value::Null),
            ("texts", "null", Value::Null),
            ("texts", "[]", Value::Null),
            ("texts", r#"{"a":"b"}"#, Value::Null),
            ("integers", r#"[1,"2",3.0,"x",null,[4]]"#, json!([1, 2, 3])),
            ("integers", r#""4""#, json!([4])),
            ("integers", r#""x""#, Value::Null),
            ("floats", r#"["0.5",1]"#, json!([0.5, 1.0])),
            ("truths", r#"["true",0,"maybe"]"#, json!([true, false])),
            ("times", r#"["2026-03-02",0]"#, json!(["2026-03-02", "0"])),
            ("colours", r#"["rouge","blue"]"#, json!(["red", "blue"])),
            ("colours", r#""red""#, json!(["red"])),
            ("secrets", r#""hunter2""#, json!(["hunter2"])),
            ("eithers", r#"["a",{"b":1},[]]"#, json!(["a", {"b": 1}])),
            ("eithers", r#"{"b":1}"#, json!([{"b": 1}])),
            (
                "values",
                r#"[[1],null,{"a":null}]"#,
                json!([[1], {"a": null}]),
            ),
            ("values", r#"{"a":1}"#, json!([{"a": 1}])),
            ("values", "3", json!([3])),
            (
                "inners",
                r#"[{"id":1},null,{"id":"2"},"x",[]]"#,
                json!([{"id": 1}, {"id": 2}]),
            ),
            ("inners", r#"{"id":1}"#, json!([{"id": 1}])),
            ("inners", r#""""#, Value::Null),
            ("inners", r#""none""#, Value::Null),
            (
                "inner",
                r#"{"parts":{"parts":[{"id":"3","parts":""}],"id":[]}}"#,
                json!({"parts": [{"parts": [{"id": 3}]}]}),
            ),
        ]);
    }

    #[test]
    fn bad_map_values_are_dropped() {
        table(&[
            (
                "text_map",
                r#"{"a":"b","c":1,"d":null,"e":[],"f":{}}"#,
                json!({"a": "b", "c": "1"}),
            ),
            ("text_map", r#"{"a":"b","a":"c"}"#, json!({"a": "c"})),
            ("text_map", "[]", Value::Null),
            ("text_map", r#"["a"]"#, Value::Null),
            ("text_map", r#""""#, Value::Null),
            ("text_map", "1.5", Value::Null),
            ("text_map", "null", Value::Null),
            ("integer_map", r#"{"a":"1","b":"x"}"#, json!({"a": 1})),
            ("colour_map", r#"{"a":"rouge"}"#, json!({"a": "red"})),
            (
                "value_map",
                r#"{"a":null,"b":[null],"c":{"d":1}}"#,
                json!({"a": null, "b": [null], "c": {"d": 1}}),
            ),
            (
                "inner_map",
                r#"{"a":{"id":1},"b":[],"c":null}"#,
                json!({"a": {"id": 1}}),
            ),
        ]);
    }

    #[test]
    fn absent_field_is_empty_and_unknown_field_is_kept() {
        assert_eq!(decode("{}"), Reply::default());
        assert_eq!(serde_json::to_string(&Reply::default()).unwrap(), "{}");
        let foreign = r#"{"":null,"foreign":{"deep":[1,{}]},"inner":{"new":2}}"#;
        let reply = decode(foreign);
        assert_eq!(
            reply.extra,
            BTreeMap::from([
                (String::new(), Value::Null),
                ("foreign".to_owned(), json!({"deep": [1, {}]})),
            ])
        );
        let written = serde_json::to_value(&reply).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(foreign).unwrap());
        assert_eq!(reply.unknown_members(), ["", "foreign", "inner.new"]);
    }

    #[test]
    fn integers_beyond_64_bits_are_text() {
        let reply = decode(r#"{"text":123456789012345678901234567890}"#);
        let text = reply.text.unwrap();
        assert_eq!(
            text.parse::<f64>().unwrap(),
            123_456_789_012_345_678_901_234_567_890_f64
        );
    }

    #[test]
    fn deep_nesting_in_a_field_that_can_t_hold_it_is_skipped() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        for field in [
            "text", "integer", "truth", "time", "colour", "inner", "text_map",
        ] {
            let json = format!(r#"{{"{field}":{deep},"last":"here"}}"#);
            let reply: Reply = serde_json::from_str(&json).unwrap();
            assert_eq!(
                reply,
                Reply {
                    last: Some("here".to_owned()),
                    ..Reply::default()
                }
            );
        }
    }

    #[test]
    fn broken_json_is_an_error() {
        for json in [
            r#"{"text":"#,
            r#"{"text":[1,}"#,
            r#"{"texts":["a""#,
            r#"{"text_map":{"a":"#,
            r#"{"inner":{"id":1"#,
            r#"{"integer":{"a":[1"#,
            r#"{"value":{"a":[1"#,
            r#"{"text":tru}"#,
        ] {
            assert!(serde_json::from_str::<Reply>(json).is_err(), "{json}");
        }
    }

    /// The form of `serde_json`'s numbers with its feature `arbitrary_precision`.
    #[test]
    fn arbitrary_precision_numbers_are_numbers() {
        let number = |text: &str| format!(r#"{{"$serde_json::private::Number":"{text}"}}"#);
        table(&[
            ("integer", &number("12"), json!(12)),
            ("integer", &number("12.5"), Value::Null),
            ("integers", &number("12"), json!([12])),
            ("float", &number("1.50"), json!(1.5)),
            ("truth", &number("1"), json!(true)),
            ("time", &number("1772439300"), json!("1772439300")),
            ("text", &number("1.50"), json!("1.50")),
            ("texts", &number("12"), json!(["12"])),
            ("text_map", &number("12"), Value::Null),
            ("value", &number("12"), json!(12)),
            ("either", &number("12"), json!("12")),
            ("inner", &number("12"), Value::Null),
            ("inners", &number("12"), Value::Null),
        ]);
    }

    /// Appends a JSON value with up to `depth` levels of nesting.
    fn write_json(random: &mut fastrand::Rng, json: &mut String, depth: u32) {
        const SCALARS: &[&str] = &[
            "null",
            "true",
            "false",
            "0",
            "1",
            "-1",
            "12",
            "2.5",
            "-0.0",
            "1e3",
            "1e300",
            "9223372036854775807",
            "18446744073709551615",
            "123456789012345678901234567890",
            r#""""#,
            r#"" ""#,
            r#""0""#,
            r#""true""#,
            r#""12.5""#,
            r#""red""#,
            r#""blue""#,
            r#""2026-03-02T08:15:00Z""#,
            r#""\u0000\ud83d\ude00""#,
            r#""日本""#,
        ];
        match random.u8(..if depth == 0 { 1 } else { 3 }) {
            0 => json.push_str(SCALARS[random.usize(..SCALARS.len())]),
            1 => {
                json.push('[');
                for index in 0..random.u8(..4) {
                    if index > 0 {
                        json.push(',');
                    }
                    write_json(random, json, depth - 1);
                }
                json.push(']');
            }
            _ => {
                json.push('{');
                for (index, key) in ["id", "parts", "id", "a", ""].into_iter().enumerate() {
                    if random.bool() {
                        if index > 0 && !json.ends_with('{') {
                            json.push(',');
                        }
                        write!(json, "{key:?}:").unwrap();
                        write_json(random, json, depth - 1);
                    }
                }
                json.push('}');
            }
        }
    }

    #[test]
    fn random_values_in_every_field_never_fail() {
        let mut random = fastrand::Rng::with_seed(0x5eed_2026);
        for _ in 0..200 {
            let mut json = "{".to_owned();
            for field in FIELDS {
                write!(json, "{field:?}:").unwrap();
                write_json(&mut random, &mut json, 4);
                json.push(',');
            }
            json.push_str(r#""last":"here"}"#);
            let reply = decode(&json);
            assert_eq!(reply.last.as_deref(), Some("here"), "{json}");

            // A round trip gives the same reply.
            let written = serde_json::to_string(&reply).unwrap();
            assert_eq!(decode(&written), reply, "{json}");
        }
    }

    #[test]
    fn unknown_enum_value_is_kept() {
        let reply = decode(r#"{"colour":"blue"}"#);
        assert_eq!(reply.colour, Some(Colour::from("blue")));
        assert!(reply.colour.unwrap().is_unknown());
    }

    #[cfg(feature = "schemars")]
    #[test]
    fn every_kind_of_field_has_a_schema() {
        let schema = serde_json::to_value(schemars::schema_for!(Reply)).unwrap();
        assert_eq!(schema.get("required"), None);
        let definitions = schema.get("$defs").unwrap();
        let definition = |name: &str| definitions.get(name).unwrap().clone();
        assert_eq!(definition("Secret")["format"], "password");
        // Secrets occur in replies too.
        assert_eq!(definition("Secret").get("writeOnly"), None);
        assert_eq!(definition("Secret")["type"], "string");
        assert_eq!(definition("Date")["format"], "date");
        assert_eq!(definition("Timestamp")["type"], "string");
        assert_eq!(definition("Timestamp").get("format"), None);
        assert_eq!(definition("Colour")["x-extensible-enum"], json!(["red"]));
        assert!(definition("TextOrObject").get("anyOf").is_some());
    }
}
