//! Reads from a reply's bytes what says how the call went, whatever else is in them.
//!
//! Nothing here fails: what can't be read is absent. What was found before the JSON broke off
//! is kept.

use std::fmt;

use serde_core::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::Value;
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

/// Reads the envelope of a reply. The members of `data` win over those of the root.
pub(crate) fn inspect(body: &[u8]) -> Findings {
    inspect_with(body, None).0
}

/// As [`inspect`], and reads the value at a JSON pointer on the way: see [`at`].
pub(crate) fn inspect_with(body: &[u8], pointer: Option<&str>) -> Found {
    // Nearly all replies are read as they are.
    if let Ok(text) = std::str::from_utf8(body)
        && let (found, true) = read(text, body, pointer)
    {
        return found;
    }
    read(&readable(body), body, pointer).0
}

/// What was found.
type Found = (Findings, Option<Value>);

/// Also whether the text could be read to the end of its value.
fn read(text: &str, body: &[u8], pointer: Option<&str>) -> (Found, bool) {
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
    let value = match pointer {
        _ if root_member.is_some() => in_root,
        _ if data_member.is_some() => in_data,
        other => other.and_then(|pointer| at(body, pointer)),
    };
    ((data.or(root), value), whole)
}

/// The value at a JSON pointer, if there is one. Object members only: the pointers of the
/// operation table go through no list, and their names need no escapes.
pub(crate) fn at(body: &[u8], pointer: &str) -> Option<Value> {
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
    found
}

/// Whether a count is more than zero; numbers and numeric text count.
pub(crate) fn is_positive(count: &Value) -> bool {
    match count {
        Value::Number(number) => number.as_f64().is_some_and(|number| number > 0.0),
        // By the reader that is there already, and not a second one for numbers.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(number @ Value::Number(_)) => is_positive(&number),
            _ => false,
        },
        _ => false,
    }
}

/// The texts in a list of texts, or in what stands in its place.
pub(crate) fn texts(value: Value) -> Vec<String> {
    let mut found = Vec::new();
    add_texts(value, &mut found);
    found
}

fn add_texts(value: Value, found: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::String(text) if text.trim().is_empty() => {}
        Value::String(text) => found.push(text),
        Value::Array(items) => {
            for item in items {
                add_texts(item, found);
            }
        }
        // Not by Display, which can also write on many lines and so takes twice the code.
        other => found.extend(serde_json::to_string(&other)),
    }
}

/// The fields that failed, in any shape they come: an object with `fieldname` and `message`, a
/// list of such objects, a map from field to text, or bare text.
fn field_errors(value: Value, found: &mut Vec<FieldError>) {
    match value {
        Value::Array(items) => {
            for item in items {
                field_errors(item, found);
            }
        }
        Value::Object(map) if map.contains_key("fieldname") => {
            let mut error = FieldError {
                field: String::new(),
                message: String::new(),
            };
            // Not by `remove`, which is a lot of code.
            for (name, value) in map {
                match &*name {
                    "fieldname" => error.field = texts(value).join(", "),
                    "message" => error.message = texts(value).join("; "),
                    _ => {}
                }
            }
            found.push(error);
        }
        Value::Object(map) => {
            for (field, message) in map {
                let message = texts(message).join("; ");
                found.push(FieldError { field, message });
            }
        }
        other => {
            for message in texts(other) {
                let field = String::new();
                found.push(FieldError { field, message });
            }
        }
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
type Wanted<'a> = Option<(&'a str, &'a mut Option<Value>)>;

/// Reads one level of the envelope into `found`, and the one below into `data`.
struct Level<'a> {
    found: &'a mut Findings,
    wanted: Wanted<'a>,
    data: Option<(&'a mut Findings, Wanted<'a>)>,
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

impl<'de> DeserializeSeed<'de> for Level<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_> {
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
                    self.found.fields.clear();
                    field_errors(value, &mut self.found.fields);
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
struct Walk<'p, 'f> {
    path: std::str::Split<'p, char>,
    found: &'f mut Option<Value>,
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        match self.path.next() {
            None => {
                *self.found = Some(Value::deserialize(deserializer)?);
                Ok(())
            }
            Some(name) => deserializer.deserialize_any(Step { name, walk: self }),
        }
    }
}

/// One step of a walk: the member to look for.
struct Step<'p, 'f> {
    name: &'p str,
    walk: Walk<'p, 'f>,
}

impl<'de> Visitor<'de> for Step<'_, '_> {
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
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) if !text.trim().is_empty() => Some(text),
            Value::Number(number) if number.as_f64() != Some(0.0) => Some(number.to_string()),
            Value::Bool(true) => Some("true".to_owned()),
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
    fn half_a_surrogate_pair_hides_nothing() {
        let body = br#"{"data":{"error":"bad \udc80","error_code":"X"}}"#;
        let found = inspect(body);
        assert_eq!(found.error.as_deref(), Some("bad \u{fffd}"));
        assert_eq!(found.error_code.as_deref(), Some("X"));
    }

    #[test]
    fn pointers_find_members_only() {
        let body =
            br#"{"x":[1],"data":{"y":{"failed":9},"failed":"2","failures":["a",null,{"b":1}]}}"#;
        assert_eq!(at(body, "/data/failed"), Some(json!("2")));
        assert_eq!(at(body, "/data/y/failed"), Some(json!(9)));
        assert_eq!(at(body, "/x"), Some(json!([1])));
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
            texts(at(body, "/data/failures").unwrap()),
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
                let (found, value) = inspect_with(body.as_bytes(), Some(pointer));
                assert_eq!(value, at(body.as_bytes(), pointer), "{pointer} of {body}");
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
            (json!(1.0), true),
            (json!(0), false),
            (json!("0"), false),
            (json!("none"), false),
            (json!(null), false),
            (json!([1]), false),
        ] {
            assert_eq!(is_positive(&count), positive, "{count}");
        }
    }
}
