//! Reads the JSON of request bodies more strictly than `serde_json`.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Maximum number of JSON values in a body. A short value takes many times its size in memory. A
/// batch of 1,000 mails to 300 recipients each is within the limit.
const VALUES: usize = 500_000;

/// Reads a body, which must be one JSON object. An empty body is read as an empty object.
///
/// Refuses a key that occurs twice, because readers differ in which of the two values they use.
/// `serde_json` itself refuses text that is not UTF-8 and nesting of more than 128 levels.
pub(crate) fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    if body.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    let (mut repeated, mut values) = (None, 0);
    let keys = Keys {
        repeated: &mut repeated,
        values: &mut values,
    };
    // Invalid JSON is reported by the second pass, with its line and column.
    let _ = keys.deserialize(&mut serde_json::Deserializer::from_slice(body));
    if values > VALUES {
        return Err(Refusal::malformed(format!(
            "The body has more than {VALUES} values."
        )));
    }
    let value: Value = serde_json::from_slice(body).map_err(|error| {
        Refusal::malformed(format!(
            "The body is not valid JSON (line {}, column {}).",
            error.line(),
            error.column()
        ))
    })?;
    let Value::Object(object) = value else {
        return Err(Refusal::malformed("The body is not a JSON object."));
    };
    match repeated {
        Some(key) => Err(Refusal::field(key, "The field occurs twice.")),
        None => Ok(object),
    }
}

/// Counts the values of a document, and finds a key that is repeated within its object.
struct Keys<'a> {
    repeated: &'a mut Option<String>,
    values: &'a mut usize,
}

impl Keys<'_> {
    fn again(&mut self) -> Keys<'_> {
        Keys {
            repeated: self.repeated,
            values: self.values,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.values += 1;
        match *self.values > VALUES {
            true => Err(D::Error::custom("too many values")),
            false => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
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

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(self.again())?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = members.next_key::<String>()? {
            if keys.contains(&key) {
                *self.repeated = Some(key);
            } else {
                keys.insert(key);
            }
            members.next_value_seed(self.again())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_body_is_an_empty_object() {
        for body in ["", " \r\n", "{}"] {
            assert!(object(body.as_bytes()).unwrap().is_empty());
        }
    }

    #[test]
    fn equal_keys_of_different_objects_are_accepted() {
        let body = br#"{"a":{"a":[{"a":1},{"a":null}]},"b":{"a":1.5,"c":"x","d":true,"e":-1}}"#;
        assert_eq!(object(body).unwrap().len(), 2);
    }

    #[test]
    fn repeated_key_is_refused_by_name() {
        for body in [
            r#"{"a":1,"b":{"c":1,"c":2}}"#,
            r#"{"c":1,"c":1}"#,
            r#"{"a":[[{"c":1,"\u0063":2}]]}"#,
        ] {
            let refusal = object(body.as_bytes()).unwrap_err();
            assert_eq!(refusal.field.unwrap().field, "c", "{body}");
        }
    }

    #[test]
    fn body_with_more_than_500_000_values_is_refused() {
        for (item, count, allowed) in [
            ("[0]", VALUES / 2 - 1, true),
            ("[0]", VALUES / 2 + 1, false),
            (r#"{"":0}"#, VALUES / 2 + 1, false),
        ] {
            let body = format!(r#"{{"a":[{}]}}"#, vec![item; count].join(","));
            assert_eq!(
                object(body.as_bytes()).is_ok(),
                allowed,
                "{count} of {item}"
            );
        }
    }

    #[test]
    fn body_that_is_not_one_json_object_is_refused() {
        let deep = [b"[".repeat(200_000), b"]".repeat(200_000)].concat();
        let deep_object = [
            b"{\"a\":".repeat(5_000).as_slice(),
            b"1",
            &b"}".repeat(5_000),
        ]
        .concat();
        let table: [&[u8]; 11] = [
            b"[]",
            b"\"text\"",
            b"null",
            b"7",
            b"{",
            b"{} {}",
            b"{\"a\":\"\xff\"}",
            b"\xef\xbb\xbf{}",
            br#"{"a":"\ud800"}"#,
            &deep,
            &deep_object,
        ];
        for body in table {
            assert!(object(body).is_err());
        }
    }
}
