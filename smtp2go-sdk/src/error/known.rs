//! Finds the errors that the spec lists (`x-smtp2go-known-errors`).

use crate::operation::Sign;
pub(crate) use crate::operation::{Cause, KnownError};
use crate::operations::KNOWN_ERRORS;

/// Returns the first listed error with this code or this text.
pub(crate) fn find(code: Option<&str>, text: Option<&str>) -> Option<&'static KnownError> {
    KNOWN_ERRORS.iter().find(|known| match known.sign {
        Sign::Text(parts) => text.is_some_and(|text| parts.iter().all(|part| has(text, part))),
        Sign::Code(end) => code.is_some_and(|code| code.ends_with(end)),
    })
}

fn has(text: &str, part: &str) -> bool {
    // Only the start is searched: the API's texts are short, and a hostile one could be long.
    let text = text.as_bytes();
    let mut windows = text.get(..4096).unwrap_or(text).windows(part.len());
    windows.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
