//! Idempotency keys of mails.

use smtp2go_types::validation::Check;

/// Maximum length of a key in bytes.
const MAX_KEY: usize = 255;
/// The start of an encoded word, which mail programs decode into other text.
const ENCODED_WORD: &str = "=?";

/// Checks a mail's key.
pub(super) fn check_key(key: &str, check: &mut Check) {
    if let Some(fault) = key_fault(key) {
        check.at("idempotency_key", |check| check.problem(fault));
    }
}

/// Returns the fault of a key, if it has one.
pub(super) fn key_fault(key: &str) -> Option<String> {
    Some(if key.is_empty() {
        "the key is empty".to_owned()
    } else if key.len() > MAX_KEY {
        format!("{} bytes, at most {MAX_KEY} are allowed", key.len())
    } else if !key.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        "only printable ASCII is allowed".to_owned()
    } else if key.starts_with(' ') || key.ends_with(' ') {
        "a space at the start or end is not allowed".to_owned()
    } else if key.contains(ENCODED_WORD) {
        format!("{ENCODED_WORD:?} is not allowed: it starts an encoded word")
    } else {
        return None;
    })
}

/// Reports a mail whose own header of this name differs from its key.
pub(super) fn report_other_value(header: &str, check: &mut Check) {
    check.problem(format!(
        "{header} has another value than idempotency_key, which sets this header"
    ));
}
