//! Reads from a reply's bytes what says how the call went, whatever else is in them.
//!
//! Nothing here fails: what can't be read is absent. What was found before the JSON broke off
//! is kept. What has no type is kept as its JSON text: `serde_json::Value` is a lot of code, which
//! every program would have.

use std::fmt;

use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess,
    Visitor,
};
use serde_json::value::RawValue;
use smtp2go_types::readable;

use crate::error::FieldError;

/// What a reply's envelope tells, from the root and from `data` together.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) request_id: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_code: Option<String>,
    pub(crate) fields: Vec<FieldError>,
}

impl Findings {
    /// Whether the envelope reports an error, whatever the status says.
    pub(crate) fn is_error(&self) -> bool {
        self.error.is_some() || self.error_code.is_some()
    }

    /// Takes over what `self` lacks.
    fn or(self, other: Self) -> Self {
        Self {
            request_id: self.request_id.or(other.request_id),
            error: self.error.or(other.error),
            error_code: self.error_code.or(other.error_code),
            fields: if self.fields.is_empty() {
                other.fields
            } else {
                self.fields
            },
        }
    }
}

/// How deep lists of texts or of failed fields are looked into.
const DEPTH: u8 = 4;

/// Reads the envelope of a reply. The members of `data` win over those of the root.
pub(crate) fn inspect(body: &[u8]) -> Findings {
    inspect_with(body, None).0
}

/// As [`inspect`], and says on the way whether the count at a JSON pointer is positive: see [`at`].
pub(crate) fn inspect_with(body: &[u8], count: Option<&str>) -> (Findings, bool) {
    inspect_and(body, count, |value| value.is_some_and(is_positive))
}

/// As [`inspect`], and makes something of the value at a JSON pointer on the way.
fn inspect_and<T>(
    body: &[u8],
    pointer: Option<&str>,
    make: fn(Option<&RawValue>) -> T,
) -> (Findings, T) {
    // Nearly all replies are read as they are.
    if let Ok(text) = std::str::from_utf8(body)
        && let (found, true) = read(text, body, pointer, make)
    {
        return found;
    }
    read(&readable(body), body, pointer, make).0
}

/// Also whether the text could be read to the end of its value.
fn read<T>(
    text: &str,
    body: &[u8],
    pointer: Option<&str>,
    make: fn(Option<&RawValue>) -> T,
) -> ((Findings, T), bool) {
    let (mut root, mut data) = (Findings::default(), Findings::default());
    let (mut in_root, mut in_data) = (None, None);
    // A member of the root or of `data`, which has no other meaning.
    let member = |prefix| {
        let name: &str = pointer?.strip_prefix(prefix)?;
        (!name.contains('/') && Member::of(name, None) == Member::Other).then_some(name)
    };
    let (root_member, data_member) = (member("/"), member("/data/"));
    let seed = Level {
        found: &mut root,
        wanted: root_member.map(|name| (name, &mut in_root)),
        data: Some((&mut data, data_member.map(|name| (name, &mut in_data)))),
    };
    let whole = seed
        .deserialize(&mut serde_json::Deserializer::from_str(text))
        .is_ok();
    let made = match pointer {
        _ if root_member.is_some() => make(in_root),
        _ if data_member.is_some() => make(in_data),
        other => make(other.and_then(|pointer| at(body, pointer)).as_deref()),
    };
    ((data.or(root), made), whole)
}

/// The value at a JSON pointer, if there is one. Object members only: the pointers of the
/// operation table go through no list, and their names need no escapes.
pub(crate) fn at(body: &[u8], pointer: &str) -> Option<Box<RawValue>> {
    let text = readable(body);
    let mut path = pointer.split('/');
    // What precedes the first slash is empty.
    path.next();
    let mut found = None;
    let _ = Walk {
        path,
        found: &mut found,
    }
    .deserialize(&mut serde_json::Deserializer::from_str(&text));
    found.map(RawValue::to_owned)
}

/// Whether a count is more than zero; numbers and numeric text count, as they do in the types.
pub(crate) fn is_positive(count: &RawValue) -> bool {
    let text = text(count).ok().flatten();
    let number = text.as_deref().unwrap_or(count.get());
    number.trim().parse().is_ok_and(|number: f64| number > 0.0)
}

/// What a JSON value is, by its first character.
pub(crate) fn kind(value: &RawValue) -> u8 {
    value.get().bytes().next().unwrap_or_default()
}

/// The text that a value is, if it is one.
fn text(value: &RawValue) -> serde_json::Result<Option<String>> {
    match kind(value) {
        b'"' => serde_json::from_str(value.get()).map(Some),
        _ => Ok(None),
    }
}

/// The texts in a list of texts, or in what stands in its place.
pub(crate) fn texts(value: &RawValue) -> Vec<String> {
    let mut found = Vec::new();
    // What can't be read is half of a surrogate pair, and `at` has replaced these.
    let _ = add_texts(value, DEPTH, &mut found);
    found
}

fn add_texts(value: &RawValue, depth: u8, found: &mut Vec<String>) -> serde_json::Result<()> {
    match kind(value) {
        b'n' => {}
        b'"' => found.extend(text(value)?.filter(|text| !text.trim().is_empty())),
        b'[' if depth > 0 => {
            for item in serde_json::from_str::<Vec<&RawValue>>(value.get())? {
                add_texts(item, depth - 1, found)?;
            }
        }
        _ => found.push(value.get().to_owned()),
    }
    Ok(())
}

fn joined(value: &RawValue, separator: &str) -> serde_json::Result<String> {
    let mut found = Vec::new();
    add_texts(value, DEPTH, &mut found)?;
    Ok(found.join(separator))
}

/// The fields that failed, in any shape they come: an object with `fieldname` and `message`, a
/// list of such objects, a map from field to text, or bare text.
fn field_errors(
    value: &RawValue,
    depth: u8,
    found: &mut Vec<FieldError>,
) -> serde_json::Result<()> {
    match kind(value) {
        b'[' if depth > 0 => {
            for item in serde_json::from_str::<Vec<&RawValue>>(value.get())? {
                field_errors(item, depth - 1, found)?;
            }
        }
        b'{' => {
            let Members(members) = serde_json::from_str(value.get())?;
            let named = |wanted| members.iter().rfind(|(name, _)| name == wanted);
            if let Some((_, field)) = named("fieldname") {
                let message = named("message").map(|(_, message)| joined(message, "; "));
                found.push(FieldError {
                    field: joined(field, ", ")?,
                    message: message.transpose()?.unwrap_or_default(),
                });
            } else {
                for (field, message) in members {
                    let message = joined(message, "; ")?;
                    found.push(FieldError { field, message });
                }
            }
        }
        _ => {
            let mut messages = Vec::new();
            add_texts(value, depth, &mut messages)?;
            found.extend(messages.into_iter().map(|message| FieldError {
                field: String::new(),
                message,
            }));
        }
    }
    Ok(())
}

/// The members of an object in their order.
pub(crate) struct Members<'de>(pub(crate) Vec<(String, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = object.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The rest of a visitor that looks into maps and passes over everything else.
macro_rules! ignore_all_but_maps {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            Ok(())
        }

        fn visit_bool<E>(self, _: bool) -> Result<(), E> {
            Ok(())
        }

        fn visit_i64<E>(self, _: i64) -> Result<(), E> {
            Ok(())
        }

        fn visit_u64<E>(self, _: u64) -> Result<(), E> {
            Ok(())
        }

        fn visit_f64<E>(self, _: f64) -> Result<(), E> {
            Ok(())
        }

        fn visit_str<E>(self, _: &str) -> Result<(), E> {
            Ok(())
        }

        fn visit_unit<E>(self) -> Result<(), E> {
            Ok(())
        }
    };
}

/// A member to look for, and where its value goes.
type Wanted<'a, 'de> = Option<(&'a str, &'a mut Option<&'de RawValue>)>;

/// Reads one level of the envelope into `found`, and the one below into `data`.
struct Level<'a, 'de> {
    found: &'a mut Findings,
    wanted: Wanted<'a, 'de>,
    data: Option<(&'a mut Findings, Wanted<'a, 'de>)>,
}

/// What the name of a member means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    RequestId,
    Error,
    ErrorCode,
    Fields,
    Data,
    Wanted,
    Other,
}

impl Member {
    fn of(name: &str, wanted: Option<&str>) -> Self {
        match name {
            "request_id" => Self::RequestId,
            "error" => Self::Error,
            "error_code" => Self::ErrorCode,
            "field_validation_errors" => Self::Fields,
            "data" => Self::Data,
            _ if wanted == Some(name) => Self::Wanted,
            _ => Self::Other,
        }
    }
}

/// Reads a member's name, of which no copy is made.
struct Name<'a> {
    wanted: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Member, E> {
        Ok(Member::of(name, self.wanted))
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the envelope of a reply")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            let wanted = self.wanted.as_ref().map(|(name, _)| *name);
            let Some(member) = map.next_key_seed(Name { wanted })? else {
                break;
            };
            match member {
                Member::RequestId => self.found.request_id = map.next_value::<Text>()?.0,
                Member::Error => self.found.error = map.next_value::<Text>()?.0,
                Member::ErrorCode => self.found.error_code = map.next_value::<Text>()?.0,
                Member::Fields => {
                    let value = map.next_value()?;
                    let fields = &mut self.found.fields;
                    fields.clear();
                    field_errors(value, DEPTH, fields).map_err(A::Error::custom)?;
                }
                Member::Data => match &mut self.data {
                    Some((found, wanted)) => map.next_value_seed(Level {
                        found,
                        wanted: wanted.as_mut().map(|(name, value)| (*name, &mut **value)),
                        data: None,
                    })?,
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
                Member::Wanted => {
                    let value = map.next_value()?;
                    if let Some((_, found)) = &mut self.wanted {
                        **found = Some(value);
                    }
                }
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

    ignore_all_but_maps!();
}

/// Walks down one path and reads the value at its end.
struct Walk<'p, 'f, 'de> {
    path: std::str::Split<'p, char>,
    found: &'f mut Option<&'de RawValue>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        match self.path.next() {
            None => {
                *self.found = Some(Deserialize::deserialize(deserializer)?);
                Ok(())
            }
            Some(name) => deserializer.deserialize_any(Step { name, walk: self }),
        }
    }
}

/// One step of a walk: the member to look for.
struct Step<'p, 'f, 'de> {
    name: &'p str,
    walk: Walk<'p, 'f, 'de>,
}

impl<'de> Visitor<'de> for Step<'_, '_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the member {}", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Walk { path, found } = self.walk;
        while let Some(key) = map.next_key::<String>()? {
            if key == self.name {
                map.next_value_seed(Walk {
                    path: path.clone(),
                    found: &mut *found,
                })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    ignore_all_but_maps!();
}

/// Text that means something: not empty, null, false or zero. Lists and objects are passed over.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: &RawValue = Deserialize::deserialize(deserializer)?;
        let json = value.get();
        Ok(Self(match kind(value) {
            b'"' => text(value)
                .map_err(D::Error::custom)?
                .filter(|text| !text.trim().is_empty()),
            b'-' | b'0'..=b'9' if !matches!(serde_json::from_str(json), Ok(0.0)) => {
                Some(json.to_owned())
            }
            b't' => Some(json.to_owned()),
            _ => None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields(body: &str) -> Vec<(String, String)> {
        inspect(body.as_bytes())
            .fields
            .into_iter()
            .map(|e| (e.field, e.message))
            .collect()
    }

    #[test]
    fn envelopes_are_read_at_both_levels() {
        for body in [
            r#"{"request_id":"r","data":{"error":"e","error_code":"c"}}"#,
            r#"{"request_id":"r","error":"e","error_code":"c"}"#,
            r#"{"request_id":"r","error":"e","error_code":"c","data":null}"#,
            r#"{"error":"e","error_code":"c","data":[1,{}],"request_id":"r"}"#,
            r#"{"error":"e","error_code":"c","data":"gone","request_id":"r"}"#,
            r#"{"data":{"request_id":"r","error":"e","error_code":"c","data":{"error":"x"}}}"#,
            r#"{"error":"x","data":{"request_id":"r","error":"e","error_code":"c"},"error":"y"}"#,
            // Broken off, and followed by rubbish.
            r#"{"request_id":"r","data":{"error":"e","error_code":"c","field_val"#,
            r#"{"request_id":"r","data":{"error":"e","error_code":"c"}} trailing"#,
        ] {
            let found = inspect(body.as_bytes());
            assert_eq!(found.request_id.as_deref(), Some("r"), "{body}");
            assert_eq!(found.error.as_deref(), Some("e"), "{body}");
            assert_eq!(found.error_code.as_deref(), Some("c"), "{body}");
        }
        let odd = inspect(b"{\"request_id\":\"r\",\"error\":\"caf\xe9\"}");
        assert_eq!(odd.error.as_deref(), Some("caf\u{fffd}"));
    }

    #[test]
    fn nothing_is_made_up() {
        for body in [
            "",
            " ",
            "null",
            "[]",
            "<html>",
            "{",
            "7",
            "\"error\"",
            r#"{"error":""}"#,
        ] {
            let found = inspect(body.as_bytes());
            assert!(!found.is_error() && found.request_id.is_none() && found.fields.is_empty());
        }
        for error in [
            json!(null),
            json!(""),
            json!(false),
            json!(0),
            json!({}),
            json!(["a"]),
        ] {
            let body = json!({"data": {"error": error, "error_code": ""}}).to_string();
            assert!(!inspect(body.as_bytes()).is_error(), "{body}");
        }
    }

    #[test]
    fn failed_fields_come_in_any_shape() {
        let pair = |field: &str, message: &str| (field.to_owned(), message.to_owned());
        for (shape, expected) in [
            (
                r#"{"fieldname":"to","message":"bad"}"#,
                vec![pair("to", "bad")],
            ),
            (
                r#"[{"fieldname":"to","message":"bad"}]"#,
                vec![pair("to", "bad")],
            ),
            (
                r#"{"cc":["a","b"],"to":"bad"}"#,
                vec![pair("cc", "a; b"), pair("to", "bad")],
            ),
            (
                r#"[{"to":"bad"},"and more"]"#,
                vec![pair("to", "bad"), pair("", "and more")],
            ),
            (r#""bad""#, vec![pair("", "bad")]),
            ("null", vec![]),
            ("[]", vec![]),
            ("{}", vec![]),
        ] {
            for body in [
                format!(r#"{{"data":{{"field_validation_errors":{shape}}}}}"#),
                format!(r#"{{"field_validation_errors":{shape},"data":{{}}}}"#),
            ] {
                assert_eq!(fields(&body), expected, "{body}");
            }
        }
    }

    #[test]
    fn lists_in_lists_are_looked_into_a_few_times() {
        let deep = |depth| format!("{}\"a\"{}", "[".repeat(depth), "]".repeat(depth));
        for (depth, as_text) in [(1, false), (4, false), (5, true), (100_000, true)] {
            let body = format!(
                r#"{{"list":{0},"field_validation_errors":{0}}}"#,
                deep(depth)
            );
            let found = [
                texts(&at(body.as_bytes(), "/list").unwrap()).remove(0),
                fields(&body).remove(0).1,
            ];
            for text in found {
                assert_eq!(text.starts_with('['), as_text, "{depth}");
                assert_eq!(text == "a", !as_text, "{depth}");
            }
        }
    }

    #[test]
    fn half_a_surrogate_pair_hides_nothing() {
        let body = br#"{"data":{"error":"bad \udc80","error_code":"X"}}"#;
        let found = inspect(body);
        assert_eq!(found.error.as_deref(), Some("bad \u{fffd}"));
        assert_eq!(found.error_code.as_deref(), Some("X"));
        let body = r#"{"field_validation_errors":[{"fieldname":"to","message":"\udc80"}]}"#;
        assert_eq!(fields(body), [("to".to_owned(), "\u{fffd}".to_owned())]);
    }

    #[test]
    fn pointers_find_members_only() {
        let body =
            br#"{"x":[1],"data":{"y":{"failed":9},"failed":"2","failures":["a",null,{"b":1}]}}"#;
        let at = |body, pointer| at(body, pointer).map(|value| value.get().to_owned());
        for (pointer, value) in [
            ("/data/failed", "\"2\""),
            ("/data/y/failed", "9"),
            ("/x", "[1]"),
        ] {
            assert_eq!(at(body, pointer).as_deref(), Some(value));
        }
        for absent in [
            "/failed",
            "/x/0",
            "/data/failed/x",
            "/data/none",
            "/",
            "/data/",
        ] {
            assert_eq!(at(body, absent), None, "{absent}");
        }
        assert_eq!(
            texts(&super::at(body, "/data/failures").unwrap()),
            ["a", r#"{"b":1}"#]
        );
        for broken in ["", "[", "<html>", "{\"data\":"] {
            assert_eq!(at(broken.as_bytes(), "/data/failed"), None);
        }
    }

    #[test]
    fn one_pass_finds_what_two_do() {
        for body in [
            r#"{"request_id":"r","failed":3,"data":{"failed":"2","error":"e","x":{"failed":7}}}"#,
            r#"{"failed":3,"data":{"failed":1,"failed":0},"failed":4}"#,
            r#"{"data":{"failed":1},"data":{"failed":2,"x":[{"failed":9}]},"request_id":"r"}"#,
            r#"{"data":{"failed":1},"data":null,"error":"e"}"#,
            r#"{"data":{"failed":1,"failures":["brok"#,
            r#"{"data":{"\u0066ailed":1}}"#,
            r#"{"data":[{"failed":1}],"failed":"1"}"#,
            "",
            "<html>",
        ] {
            for pointer in [
                "/data/failed",
                "/failed",
                "/data/x",
                "/data/x/failed",
                "/data/error",
                "/data",
                "/request_id",
                "/none",
                "",
            ] {
                let text = |value: Option<&RawValue>| value.map(|value| value.get().to_owned());
                let (found, value) = inspect_and(body.as_bytes(), Some(pointer), text);
                let walked = text(at(body.as_bytes(), pointer).as_deref());
                assert_eq!(value, walked, "{pointer} of {body}");
                let alone = inspect(body.as_bytes());
                assert_eq!(format!("{found:?}"), format!("{alone:?}"), "{body}");
            }
        }
    }

    #[test]
    fn counts_may_be_text() {
        for (count, positive) in [
            (json!(1), true),
            (json!("1"), true),
            (json!(" 2 "), true),
            (json!("01"), true),
            (json!("+1"), true),
            (json!("-1"), false),
            (json!(1.0), true),
            (json!(0), false),
            (json!("0"), false),
            (json!("none"), false),
            (json!(null), false),
            (json!([1]), false),
        ] {
            let raw = serde_json::value::to_raw_value(&count).unwrap();
            assert_eq!(is_positive(&raw), positive, "{count}");
        }
    }
}
