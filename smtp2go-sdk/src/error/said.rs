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
use smtp2go_types::{SendResult, readable};

use crate::error::FieldError;
use crate::operation::FailureIn200;

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
    whole_or_repaired(body, read).0
}

/// As [`inspect`], and what the reply says of the mail that was sent, in the places that the
/// specification names. Also whether the reply is an object and nothing else: there may be something
/// to find in others.
pub(crate) fn inspect_mail(body: &[u8], places: FailureIn200) -> (Findings, SendResult, bool) {
    let FailureIn200 {
        succeeded,
        count,
        messages,
        id,
    } = places;
    let ((found, result), whole) = whole_or_repaired(body, |text| {
        let mut mail = [succeeded, count, messages, id, SCHEDULE_ID].map(|pointer| Place {
            pointer,
            value: None,
        });
        let (found, whole) = read_with(text, &mut mail);
        match result(mail.map(|place| place.value)) {
            Ok(result) => ((found, result), whole),
            Err(_) => ((found, SendResult::default()), false),
        }
    });
    (found, result, whole)
}

/// Reads a reply as it is, which nearly all can be, or else what can be read of it when repaired.
fn whole_or_repaired<T>(body: &[u8], read: impl Fn(&str) -> (T, bool)) -> (T, bool) {
    match std::str::from_utf8(body).map(&read) {
        Ok((found, true)) => (found, true),
        _ => read(&readable(body)),
    }
}

fn read(text: &str) -> (Findings, bool) {
    read_with(text, &mut [])
}

/// Also whether the text is an object and nothing else.
fn read_with<'de>(text: &'de str, places: &mut [Place<'de>]) -> (Findings, bool) {
    let (mut root, mut data) = (Findings::default(), Findings::default());
    let mut json = serde_json::Deserializer::from_str(text);
    let level = Level {
        found: &mut root,
        places: &mut [],
        data: Some((&mut data, places)),
    };
    let read = level.deserialize(&mut json).and_then(|()| json.end());
    let whole = read.is_ok() && text.trim_start().starts_with('{');
    (data.or(root), whole)
}

/// The id of a scheduled mail, of which the operation table says nothing.
const SCHEDULE_ID: &str = "/data/schedule_id";

/// A member of `data` to look for, which all the places are that the specification names, as a test
/// holds.
struct Place<'de> {
    pointer: &'static str,
    value: Option<&'de RawValue>,
}

/// What they say. Fails for half of a surrogate pair, of which there are none in what is repaired.
fn result(
    [succeeded, failed, failures, email_id, schedule_id]: [Option<&RawValue>; 5],
) -> serde_json::Result<SendResult> {
    let mut result = SendResult::default();
    result.succeeded = succeeded.and_then(count);
    result.failed = failed.and_then(count);
    if let Some(failures) = failures {
        add_texts(failures, DEPTH, &mut result.failures)?;
    }
    result.email_id = email_id.map(id).transpose()?.flatten();
    result.schedule_id = schedule_id.map(id).transpose()?.flatten();
    Ok(result)
}

/// The id that a value is, or the first one of a list: as JSON, if it is neither text nor a number.
fn id(value: &RawValue) -> serde_json::Result<Option<String>> {
    if kind(value) == b'"' {
        return text(value).map(filled);
    }
    let mut found = Vec::new();
    add_texts(value, DEPTH, &mut found)?;
    Ok(found.into_iter().next())
}

/// The whole number that a value is or spells, as it may in the types; a part of one counts as one.
fn count(value: &RawValue) -> Option<i64> {
    let text = text(value).ok().flatten();
    let number = text.as_deref().unwrap_or(value.get()).trim();
    number.parse().ok().or_else(|| {
        let float: f64 = number.parse().ok()?;
        #[allow(clippy::cast_possible_truncation)]
        Some(float.ceil() as i64)
    })
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

/// A text with more than white space in it.
pub(crate) fn filled(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.chars().all(char::is_whitespace))
}

/// The texts in a list of texts, or in what stands in its place.
pub(crate) fn texts(value: &RawValue) -> Vec<String> {
    let mut found = Vec::new();
    // What can't be read is half of a surrogate pair, and in what is repaired there are none.
    let _ = add_texts(value, DEPTH, &mut found);
    found
}

fn add_texts(value: &RawValue, depth: u8, found: &mut Vec<String>) -> serde_json::Result<()> {
    match kind(value) {
        b'n' => {}
        b'"' => found.extend(filled(text(value)?)),
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
    // Without a copy of the only one, which may be long.
    Ok(match found.as_mut_slice() {
        [only] => std::mem::take(only),
        texts => texts.join(separator),
    })
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

/// Reads one level of the envelope into `found` and `places`, and the one below into `data`.
struct Level<'a, 'de> {
    found: &'a mut Findings,
    places: &'a mut [Place<'de>],
    data: Option<(&'a mut Findings, &'a mut [Place<'de>])>,
}

/// What the name of a member means.
enum Member {
    RequestId,
    Error,
    ErrorCode,
    Fields,
    Data,
    /// The place of that index.
    Place(usize),
    Other,
}

/// Reads a member's name, of which no copy is made.
struct Name<'a, 'de>(&'a [Place<'de>]);

impl<'de> DeserializeSeed<'de> for Name<'_, 'de> {
    type Value = Member;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Member, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_, '_> {
    type Value = Member;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E>(self, name: &str) -> Result<Member, E> {
        Ok(match name {
            "request_id" => Member::RequestId,
            "error" => Member::Error,
            "error_code" => Member::ErrorCode,
            "field_validation_errors" => Member::Fields,
            "data" => Member::Data,
            _ => {
                let is_at = |place: &Place<'_>| place.pointer.strip_prefix("/data/") == Some(name);
                match self.0.iter().position(is_at) {
                    Some(index) => Member::Place(index),
                    None => Member::Other,
                }
            }
        })
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
        while let Some(member) = map.next_key_seed(Name(self.places))? {
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
                    Some((found, places)) => map.next_value_seed(Level {
                        found,
                        places,
                        data: None,
                    })?,
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
                Member::Place(index) => match self.places.get_mut(index) {
                    Some(place) => place.value = Some(map.next_value()?),
                    None => drop(map.next_value::<IgnoredAny>()?),
                },
                Member::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }

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
}

/// Text that means something: not empty, null, false or zero. Lists and objects are passed over.
struct Text(Option<String>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value: &RawValue = Deserialize::deserialize(deserializer)?;
        let json = value.get();
        Ok(Self(match kind(value) {
            b'"' => filled(text(value).map_err(D::Error::custom)?),
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

    const PLACES: FailureIn200 = crate::operations::EMAIL_SEND.failure_in_200.unwrap();

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
                r#"{{"field_validation_errors":{0},"data":{{"failures":{0}}}}}"#,
                deep(depth)
            );
            let found = [
                inspect_mail(body.as_bytes(), PLACES).1.failures.remove(0),
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
    fn the_places_that_the_specification_names_are_members_of_the_data() {
        for operation in crate::operations::OPERATIONS {
            let Some(places) = operation.failure_in_200 else {
                continue;
            };
            for pointer in [places.succeeded, places.count, places.messages, places.id] {
                let name = pointer.strip_prefix("/data/").unwrap();
                assert!(!name.contains('/') && !name.is_empty(), "{}", operation.id);
            }
        }
    }

    #[test]
    fn what_became_of_a_mail_is_read_on_the_way() {
        let read = |body: &str| {
            let (found, mail, whole) = inspect_mail(body.as_bytes(), PLACES);
            let alone = inspect(body.as_bytes());
            assert_eq!(format!("{found:?}"), format!("{alone:?}"), "{body}");
            (serde_json::to_value(mail).unwrap(), whole)
        };
        for (body, mail, whole) in [
            (
                r#"{"data":{"succeeded":1,"failed":0,"failures":[],"email_id":"e","schedule_id":"s"}}"#,
                json!({"succeeded": 1, "failed": 0, "email_id": "e", "schedule_id": "s"}),
                true,
            ),
            (
                r#"{"request_id":"r","failed":3,"data":{"failed":"2","error":"e","x":{"failed":7}}}"#,
                json!({"failed": 2}),
                true,
            ),
            (
                r#"{"data":{"failed":1,"failed":0},"email_id":"e"}"#,
                json!({"failed": 0}),
                true,
            ),
            (
                r#"{"data":{"failed":1},"data":{"failed":2,"x":[{"failed":9}]},"request_id":"r"}"#,
                json!({"failed": 2}),
                true,
            ),
            (
                r#"{"data":{"failures":["a",null,"",{"b":1},["c"]],"email_id":12}}"#,
                json!({"failures": ["a", r#"{"b":1}"#, "c"], "email_id": "12"}),
                true,
            ),
            (
                r#"{"data":{"failed":1,"failures":["bad \udc80"]}}"#,
                json!({"failed": 1, "failures": ["bad \u{fffd}"]}),
                true,
            ),
            (
                r#"{"data":{"failures":"a","email_id":" ","schedule_id":null}}"#,
                json!({"failures": ["a"]}),
                true,
            ),
            (r#"{"data":{"\u0066ailed":1}}"#, json!({"failed": 1}), true),
            (
                "\u{feff}{\"data\":{\"failed\":1}}",
                json!({"failed": 1}),
                true,
            ),
            (r#"{"data":[{"failed":1}],"failed":"1"}"#, json!({}), true),
            (" {} ", json!({}), true),
            // Broken off, followed by rubbish, and no object.
            (
                r#"{"data":{"failed":1,"failures":["brok"#,
                json!({"failed": 1}),
                false,
            ),
            (
                r#"{"data":{"failed":1}} trailing"#,
                json!({"failed": 1}),
                false,
            ),
            ("", json!({}), false),
            ("<html>", json!({}), false),
            (r#"[{"data":{"failed":1}}]"#, json!({}), false),
            ("null", json!({}), false),
        ] {
            assert_eq!(read(body), (mail, whole), "{body}");
        }
    }

    #[test]
    fn counts_may_be_text() {
        for (value, number) in [
            (json!(1), Some(1)),
            (json!("1"), Some(1)),
            (json!(" 2 "), Some(2)),
            (json!("01"), Some(1)),
            (json!("+1"), Some(1)),
            (json!("-1"), Some(-1)),
            (json!(1.0), Some(1)),
            (json!("1e3"), Some(1000)),
            (json!(0.5), Some(1)),
            (json!("1."), Some(1)),
            (json!("+.5"), Some(1)),
            (json!("1e400"), Some(i64::MAX)),
            (json!(0), Some(0)),
            (json!("0"), Some(0)),
            (json!("none"), None),
            (json!("1,5"), None),
            (json!(null), None),
            (json!([1]), None),
        ] {
            let raw = serde_json::value::to_raw_value(&value).unwrap();
            assert_eq!(count(&raw), number, "{value}");
        }
    }
}
