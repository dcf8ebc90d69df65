//! What a request of the inbox asks for.

use axum::body::Bytes;
use form_urlencoded::parse;

/// The fields of a query or of a form; of several with one name the first.
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

    /// The value of a field without the spaces around it; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        let mut fields = self.0.iter();
        let found = fields.find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.trim())
    }

    pub(super) fn number(&self, name: &str) -> Option<usize> {
        self.get(name).parse().ok()
    }
}

/// A query with one field, or nothing if it is empty.
pub(super) fn query(name: &str, value: &str) -> String {
    if value.is_empty() {
        return String::new();
    }
    let mut query = form_urlencoded::Serializer::new("?".to_owned());
    query.append_pair(name, value);
    query.finish()
}
