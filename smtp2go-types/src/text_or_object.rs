//! A value that is text or an object.

use serde_core::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::{Map, Value};

use crate::lenient::{self, Lenient, Opened, Scalar};

/// A value of a reply that is text or an object.
///
/// For some operations the API's schema and its sample disagree about which of the two it is. The
/// default is empty text. A number or boolean decodes as text.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema), schemars(untagged))]
pub enum TextOrObject {
    /// Plain text, usually a sentence for people.
    Text(String),
    /// An object with unknown keys.
    Object(Map<String, Value>),
}

impl TextOrObject {
    /// Returns the text, or `None` if the value is an object.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Object(_) => None,
        }
    }

    /// Returns the object, or `None` if the value is text.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map<String, Value>> {
        match self {
            Self::Text(_) => None,
            Self::Object(object) => Some(object),
        }
    }
}

impl Default for TextOrObject {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

impl From<&str> for TextOrObject {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for TextOrObject {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Map<String, Value>> for TextOrObject {
    fn from(object: Map<String, Value>) -> Self {
        Self::Object(object)
    }
}

impl Lenient for TextOrObject {
    fn from_scalar(scalar: Scalar<'_>) -> Option<Self> {
        Some(Self::Text(scalar.into_text()))
    }

    fn from_object<'de, A: de::MapAccess<'de>>(object: A) -> Result<Option<Self>, A::Error> {
        match lenient::open(object)? {
            Opened::Number(number) => Ok(number.map(Self::Text)),
            Opened::Object(object) => {
                Map::deserialize(de::value::MapAccessDeserializer::new(object))
                    .map(|map| Some(Self::Object(map)))
            }
        }
    }
}

impl Serialize for TextOrObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for TextOrObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::read::<Option<_>, _>(deserializer)?
            .ok_or_else(|| de::Error::custom("expected text or an object"))
    }
}

#[cfg(test)]
mod tests {
    use super::TextOrObject;

    #[test]
    fn text_and_object_survive_a_round_trip() {
        for json in [
            r#""closed""#,
            r#"{"deep":{"list":[1,null]},"id":"1"}"#,
            r#""""#,
            "{}",
        ] {
            let value: TextOrObject = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&value).unwrap(), json);
            assert_eq!(value.as_text().is_some(), value.as_object().is_none());
        }
        assert_eq!(TextOrObject::default(), TextOrObject::from(""));
    }

    #[test]
    fn other_scalars_become_text_and_lists_are_refused() {
        let number: TextOrObject = serde_json::from_str("12").unwrap();
        assert_eq!(number.as_text(), Some("12"));
        assert!(serde_json::from_str::<TextOrObject>("[1]").is_err());
        assert!(serde_json::from_str::<TextOrObject>("null").is_err());
    }
}
