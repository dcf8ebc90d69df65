//! Limits the number of values in a JSON text, and so the memory for decoding it.

/// Number that a list or an object counts as, in addition to its items or members. Decoded, it
/// takes hundreds of bytes even if it is empty.
const CONTAINER: usize = 16;

/// Returns the offset at which a JSON text exceeds `limit` values, or `None` if it does not.
///
/// Each item of a list and each member of an object counts as 1, at every depth, and each list and
/// object as 16 more. A limit on bytes alone does not limit the memory for decoding: `{}` in a list
/// may become a struct of several hundred bytes.
///
/// Neither decodes nor allocates. Text that is not JSON is counted as if it were.
///
/// ```
/// use smtp2go_types::values_beyond;
///
/// let json = br#"{"events":[1,2,3]}"#;
/// assert_eq!(values_beyond(json, 36), None);
/// assert_eq!(values_beyond(json, 35), Some(14));
/// ```
#[must_use]
pub fn values_beyond(json: &[u8], limit: usize) -> Option<usize> {
    // A text of this length can't exceed the limit.
    if json.len().saturating_mul(CONTAINER + 1) <= limit {
        return None;
    }
    // Much faster than the exact count, and never less, because it also counts inside strings.
    if json.iter().map(|byte| weight(*byte)).sum::<usize>() <= limit {
        return None;
    }
    let mut count = 0;
    let mut is_string = false;
    let mut bytes = json.iter().enumerate();
    while let Some((offset, byte)) = bytes.next() {
        match byte {
            b'"' => is_string = !is_string,
            b'\\' if is_string => {
                bytes.next();
            }
            _ if is_string => {}
            byte => {
                count += weight(*byte);
                if count > limit {
                    return Some(offset);
                }
            }
        }
    }
    None
}

/// Number that a byte outside of strings counts as: a comma precedes an item or member, and a
/// bracket the first one.
const fn weight(byte: u8) -> usize {
    match byte {
        b',' => 1,
        b'[' | b'{' => CONTAINER + 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_and_brackets_within_strings_are_not_counted() {
        for (json, count) in [
            ("", 0),
            ("1", 0),
            ("[]", 17),
            ("{}", 17),
            ("[1]", 17),
            ("[1,2,3]", 19),
            (r#"{"a":1,"b":[2]}"#, 35),
            ("[[[[", 68),
            (r#"["[{,","\"[,",",\\"]"#, 19),
            (r#"["\\",1]"#, 18),
            // Invalid or incomplete JSON.
            ("a,b", 1),
            (r#"["a,b"#, 17),
            (r#"["\"#, 17),
        ] {
            assert_eq!(values_beyond(json.as_bytes(), count), None, "{json}");
            if count > 0 {
                assert!(
                    values_beyond(json.as_bytes(), count - 1).is_some(),
                    "{json}"
                );
            }
        }
    }

    #[test]
    fn offset_is_that_of_the_first_value_beyond_the_limit() {
        let json = br#"{"a,b":[1,2,3]}"#;
        for (limit, offset) in [(0, 0), (17, 7), (34, 9), (35, 11)] {
            assert_eq!(values_beyond(json, limit), Some(offset), "{limit}");
        }
        assert_eq!(values_beyond(json, 36), None);
    }
}
