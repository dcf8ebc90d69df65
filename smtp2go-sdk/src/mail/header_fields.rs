//! Reads the header of a message.

/// The header fields of a message, unfolded.
pub(super) struct HeaderFields(Vec<(String, String)>);

impl HeaderFields {
    pub(super) fn read(message: &[u8]) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in message.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            if line.is_empty() {
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push_str(&line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim_end().to_owned(), value.to_owned()));
            }
        }
        Self(fields)
    }

    /// Returns the values of the fields with this name.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.0.iter();
        let named = fields.filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}
