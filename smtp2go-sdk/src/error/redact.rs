//! Masks keys, addresses and long texts in errors and `Debug`.

/// Start of an API key.
pub(crate) const KEY_PREFIX: &str = "api-";
/// Number of letters and digits after the prefix of a key.
pub(crate) const KEY_LENGTH: usize = 32;

/// Longest excerpt of the API's text that Display shows, in characters.
const SHOWN: usize = 300;
/// Longest id or code that logs and observers receive.
const LONGEST: usize = 64;

/// Returns `text` with everything that has the form of a key masked.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(KEY_PREFIX) {
        masked.push_str(before);
        masked.push_str(KEY_PREFIX);
        let run = after.bytes().take_while(u8::is_ascii_alphanumeric).count();
        rest = after;
        if run >= KEY_LENGTH {
            masked.push('…');
            rest = after.get(run..).unwrap_or_default();
        }
    }
    masked.push_str(rest);
    masked
}

/// Returns `text` without keys, cut to a readable length.
pub(crate) fn excerpt(text: &str) -> String {
    // Masked before the cut, because a part of a key would not be recognised.
    let text = mask(text.trim());
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

/// Returns `text` if it can be an id, a code or a field path, and otherwise "…": if it has more
/// than 300 bytes, has other characters, such as the `@` of an address, or contains an API key.
pub(crate) fn name(text: &str) -> &str {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"._-[]".contains(&byte);
    if text.len() <= SHOWN && text.bytes().all(known) && mask(text) == text {
        text
    } else {
        "…"
    }
}

/// Whether a text from a reply has the form of an id and does not contain a key.
pub(crate) fn is_id(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(known) && mask(text) == text
}

/// Whether a text from a reply has the form of an error code: capital letters, digits and underscores,
/// with or without the API's prefix.
pub(crate) fn is_code(text: &str) -> bool {
    let word = text.rsplit('.').next().unwrap_or_default();
    let prefix = text.strip_suffix(word).unwrap_or_default();
    let known = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    (1..=LONGEST).contains(&text.len())
        && matches!(prefix, "" | super::CODE_PREFIX)
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.bytes().all(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_is_masked_in_any_text() {
        const KEY: &str = "api-0123456789abcdefABCDEF0123456789";
        assert_eq!(
            mask(&format!("key {KEY} or '{KEY}x' is off")),
            "key api-… or 'api-…' is off"
        );
        for plain in ["", "api-", "an api-key", "api-api-api-", "äpi-ö"] {
            assert_eq!(mask(plain), plain);
        }
        assert_eq!(mask(&format!("api-{KEY}")), "api-api-…");
    }
}
