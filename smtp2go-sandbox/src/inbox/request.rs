//! Reads the query or form of an inbox request.

use axum::body::Bytes;
use form_urlencoded::parse;

/// The fields of a query or a form. If a name occurs several times, the first value applies.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(super) fn of_query(query: Option<&str>) -> Self {
        Self::of(query.unwrap_or_default().as_bytes())
    }

    pub(super) fn of_form(body: &Bytes) -> Self {
        Self::of(body)
    }

    fn of(text: &[u8]) -> Self {
        Self(parse(text).into_owned().collect())
    }

    /// Returns a field's trimmed value. Empty if the field is missing.
    pub(super) fn get(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        let found = fields.find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.get(name).parse().ok()
    }
}

/// Writes a query with one field. Empty if the value is empty.
pub(super) fn query(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let mut query = form_urlencoded::Serializer::new("?".to_owned());
    query.append_pair(name, value);
    query.finish()
}
