//! Formats replies. Non-ASCII and control characters in quoted text are escaped.

use std::fmt;

/// Maximum number of characters of a text that are sent. A reply line has at most 512 bytes.
const LONGEST: usize = 480;

/// A reply with a status code, an enhanced status code (RFC 3463) and a text for each line.
#[derive(Debug, PartialEq)]
pub(super) struct SmtpReply {
    pub(super) code: u16,
    /// The enhanced status code (RFC 3463). Empty if the reply has none.
    enhanced: &'static str,
    lines: Vec<String>,
}

impl SmtpReply {
    pub(super) fn new(code: u16, enhanced: &'static str, text: impl Into<String>) -> Self {
        Self::of_lines(code, enhanced, vec![text.into()])
    }

    /// Creates a reply of several lines. `lines` must not be empty.
    pub(super) fn of_lines(code: u16, enhanced: &'static str, lines: Vec<String>) -> Self {
        Self {
            code,
            enhanced,
            lines,
        }
    }

    pub(super) fn refuses(&self) -> bool {
        self.code >= 400
    }

    /// Returns the texts, joined by semicolons.
    pub(super) fn text(&self) -> String {
        self.lines.join("; ")
    }
}

/// Writes the reply in the form in which it is sent.
impl fmt::Display for SmtpReply {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines.iter().enumerate() {
            let more = if index + 1 < self.lines.len() {
                '-'
            } else {
                ' '
            };
            write!(formatter, "{}{more}", self.code)?;
            if !self.enhanced.is_empty() {
                write!(formatter, "{} ", self.enhanced)?;
            }
            let mut text = String::new();
            for letter in line.chars().take(LONGEST) {
                match letter {
                    ' '..='~' => text.push(letter),
                    // A client's text must not start a new line.
                    _ => text.extend(letter.escape_default()),
                }
            }
            text.truncate(LONGEST);
            write!(formatter, "{text}\r\n")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_client_stays_in_its_line() {
        let reply = SmtpReply::new(550, "5.7.1", "a\r\n250 é <b@example.net>\0");
        let sent = "550 5.7.1 a\\r\\n250 \\u{e9} <b@example.net>\\u{0}\r\n";
        assert_eq!(reply.to_string(), sent);
        let long = SmtpReply::new(550, "", "é".repeat(10_000)).to_string();
        assert!(long.len() <= 512, "{}", long.len());
    }

    #[test]
    fn lines_before_the_last_one_have_a_hyphen() {
        let lines = vec!["a".to_owned(), "b".to_owned()];
        let reply = SmtpReply::of_lines(250, "2.0.0", lines);
        assert_eq!(reply.to_string(), "250-2.0.0 a\r\n250 2.0.0 b\r\n");
    }
}
