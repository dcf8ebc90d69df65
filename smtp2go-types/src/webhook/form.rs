//! `application/x-www-form-urlencoded`.

use super::members::{Member, Members};

/// Reads the members of a form, in order. Returns `None` if there are more than `most`.
///
/// A pair without `=` is a key with an empty value. Invalid percent escapes are kept, and invalid
/// UTF-8 is replaced.
pub(super) fn read(text: &str, most: usize) -> Option<Members<'_>> {
    form_urlencoded::parse(text.trim().as_bytes())
        .enumerate()
        .map(|(index, (key, value))| (index < most).then_some((key, Member::Text(value))))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    #[test]
    fn escapes_are_decoded_and_invalid_ones_kept() {
        for (escaped, plain) in [
            ("a+b%20c", "a b c"),
            ("%c3%A9", "\u{e9}"),
            ("%FF", "\u{fffd}"),
            ("100%", "100%"),
            ("%4", "%4"),
            ("%+1%zz", "% 1%zz"),
            ("%2B%2525", "+%25"),
            ("é%+1", "é% 1"),
            ("", ""),
        ] {
            let form = format!("{escaped}={escaped}");
            let members = read(&form, 1).unwrap();
            let (key, value) = members.first().unwrap();
            assert_eq!((&**key, value.as_text().unwrap()), (plain, plain));
        }
        let members = read("plain=plain", 1).unwrap();
        assert!(matches!(members.first().unwrap().0, Cow::Borrowed(_)));
    }

    #[test]
    fn pairs_keep_their_order() {
        let members = read("a=1&&b&c=d=e&=f\r\n", 4).unwrap();
        let pairs: Vec<_> = members
            .iter()
            .map(|(key, value)| (&**key, value.as_text().unwrap()))
            .collect();
        assert_eq!(pairs, [("a", "1"), ("b", ""), ("c", "d=e"), ("", "f")]);
    }

    #[test]
    fn more_members_than_the_limit_are_refused() {
        assert!(read("a&b&c", 2).is_none());
        assert!(read("a&b&c", 3).is_some());
    }
}
