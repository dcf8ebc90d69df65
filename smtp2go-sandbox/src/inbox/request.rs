//! Reads the query or form of an inbox request.

use axum::body::Bytes;
use form_urlencoded::{Serializer, parse};

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
    after("?".to_owned()).append_pair(name, value).finish()
}

/// Appends a query to an address that ends with `?`.
pub(super) fn after(address: String) -> Serializer<'static, String> {
    let start = address.len();
    Serializer::for_suffix(address, start)
}

/// Encodes a text as a segment of a path.
pub(super) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
