//! Makes foreign text safe for a log or a terminal.

use std::borrow::Cow;

/// Makes text from the API, a file name or an address safe for one line of a log or a terminal:
/// control characters and line separators become spaces, and characters that reorder or hide text
/// become `�`. Borrowed if nothing is replaced.
///
/// Replaced are the control characters, U+2028 and U+2029; the marks, embeddings, overrides and
/// isolates of bidirectional text (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069); and
/// U+200B, U+2060 and U+FEFF, which have no width. Errors of this crate and of the SDK already do
/// this.
///
/// ```
/// use smtp2go_types::one_line;
///
/// assert_eq!(one_line("no such user\r\nfdp.\u{202e}exe"), "no such user  fdp.�exe");
/// ```
#[must_use]
pub fn one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unfit) {
        return Cow::Borrowed(text);
    }
    let fit = |c: char| match c {
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        c if is_unfit(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(fit).collect()
}

/// Whether a character breaks a line, reorders the text around it, or can't be seen.
fn is_unfit(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{061c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2060}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::one_line;
    use std::borrow::Cow;

    #[test]
    fn characters_that_break_lines_reorder_or_hide_text_are_replaced() {
        for c in ('\0'..='\u{1f}').chain('\u{7f}'..='\u{9f}') {
            assert_eq!(one_line(&format!("a{c}b")), "a b", "{c:?}");
        }
        for c in ['\u{2028}', '\u{2029}'] {
            assert_eq!(one_line(&format!("a{c}b")), "a b", "{c:?}");
        }
        let hidden = ('\u{202a}'..='\u{202e}')
            .chain('\u{2066}'..='\u{2069}')
            .chain("\u{61c}\u{200b}\u{200e}\u{200f}\u{2060}\u{feff}".chars());
        for c in hidden {
            assert_eq!(one_line(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
    }

    #[test]
    fn other_text_is_borrowed() {
        for text in [
            "",
            "plain",
            "Zoë Ångström",
            "日本語",
            "שלום",
            // Joiners are part of letters and emoji.
            "\u{645}\u{6cc}\u{200c}\u{62e}\u{648}\u{627}\u{647}\u{645}",
            "\u{1f468}\u{200d}\u{1f4bb}",
        ] {
            assert!(matches!(one_line(text), Cow::Borrowed(same) if same == text));
        }
    }
}
