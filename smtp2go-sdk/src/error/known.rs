//! What an error proves by its text or its code. The list is the spec's.

use crate::operations::KNOWN_ERRORS;

/// An error that the spec lists.
#[derive(Debug)]
pub(crate) struct KnownError {
    pub(crate) sign: Sign,
    pub(crate) cause: Cause,
    /// Whether the call was not processed, whatever the status.
    pub(crate) rejected: bool,
}

/// What an error is recognised by.
#[derive(Debug)]
pub(crate) enum Sign {
    /// Parts of its text, whatever their letter case.
    Text(&'static [&'static str]),
    /// The end of its code.
    Code(&'static str),
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The key: it is unknown, disabled, or of an account in another region.
    Key,
    /// The sender, who is not verified.
    Sender,
}

/// The first error in the list that has this code or this text.
pub(crate) fn find(code: Option<&str>, text: Option<&str>) -> Option<&'static KnownError> {
    KNOWN_ERRORS.iter().find(|known| match known.sign {
        Sign::Text(parts) => text.is_some_and(|text| parts.iter().all(|part| has(text, part))),
        Sign::Code(end) => code.is_some_and(|code| code.ends_with(end)),
    })
}

fn has(text: &str, part: &str) -> bool {
    let mut windows = text.as_bytes().windows(part.len());
    windows.any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}
