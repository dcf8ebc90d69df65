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
