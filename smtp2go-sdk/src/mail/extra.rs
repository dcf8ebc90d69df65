//! Fields of a request that this version does not list.

use serde_json::Value;

use crate::body::json::JsonWriter;

/// Additional fields, in the order in which they were set.
#[derive(Clone, Default)]
pub(super) struct ExtraFields(Vec<(String, String)>);

impl ExtraFields {
    /// Adds a field, or replaces it.
    pub(super) fn set(&mut self, name: String, value: &Value) {
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value.to_string()));
    }

    /// Returns names and values, in the order in which they were set.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, json)| (name.as_str(), json.as_str()))
    }

    pub(super) fn names(&self) -> impl ExactSizeIterator<Item = &String> {
        self.0.iter().map(|(name, _)| name)
    }

    /// Writes the fields as further members of an object.
    pub(super) fn write(&self, json: &mut JsonWriter) {
        for (name, value) in &self.0 {
            json.any_key(name);
            json.value(value);
        }
    }
}

/// Takes names, all of them different, and values as JSON.
impl FromIterator<(String, String)> for ExtraFields {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// Compares the values as JSON, in any order of the fields.
impl PartialEq for ExtraFields {
    fn eq(&self, other: &Self) -> bool {
        let has = |(name, json): (&str, &str)| {
            other
                .iter()
                .any(|(other, value)| other == name && is_same_json(value, json))
        };
        self.0.len() == other.0.len() && self.iter().all(has)
    }
}

/// Whether two texts are the same JSON, in any order of members and with any white space.
pub(super) fn is_same_json(a: &str, b: &str) -> bool {
    let value = |text: &str| serde_json::from_str::<Value>(text).ok();
    a == b || value(a).is_some_and(|a| Some(a) == value(b))
}
