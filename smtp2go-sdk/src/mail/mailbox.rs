//! Mail addresses with display names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use smtp2go_types::one_line;
use smtp2go_types::validation::header_fault;

/// An address, with or without a display name: `jane@example.com`, `Jane <jane@example.com>`,
/// `"Doe, Jane" <jane@example.com>`.
///
/// `From`, which the setters of [`Email`](crate::Email) use, accepts any text. If the text is not an
/// address, sending the mail is a validation error that names the field. [`FromStr`] returns the
/// error immediately.
///
/// Display quotes the name if necessary, even if the parsed text did not. Nothing is encoded: names
/// and addresses may have letters of any alphabet. Debug shows no name and no address.
///
/// Characters that make a recipient see another name or address are invalid. In a name these are
/// control characters, the line separators U+2028 and U+2029, and the embeddings, overrides and
/// isolates of bidirectional text (U+202A to U+202E, U+2066 to U+2069). The marks U+061C, U+200E and
/// U+200F, which names in Arabic or Hebrew can need, are valid in a name. In an address the marks,
/// and characters without width, are invalid too.
///
/// ```
/// use smtp2go_sdk::Mailbox;
///
/// let jane: Mailbox = "Doe, Jane <jane@example.com>".parse()?;
/// assert_eq!(jane.name(), Some("Doe, Jane"));
/// assert_eq!(jane.address(), "jane@example.com");
/// assert_eq!(jane.to_string(), r#""Doe, Jane" <jane@example.com>"#);
/// assert_eq!(Mailbox::from(("Doe, Jane", "jane@example.com")), jane);
/// # Ok::<(), smtp2go_sdk::MailboxError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Mailbox {
    name: Option<String>,
    address: String,
    /// Why the mailbox is invalid. `None` if it is valid.
    fault: Option<String>,
}

impl Mailbox {
    /// Makes a mailbox of a bare address.
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            fault: fault("", &address),
            name: None,
            address,
        }
    }

    /// Makes a mailbox of a display name and an address. The name is not parsed. An empty name is
    /// left out.
    pub fn named(name: impl Into<String>, address: impl Into<String>) -> Self {
        let (name, address) = (name.into(), address.into());
        Self {
            fault: fault(&name, &address),
            name: (!name.is_empty()).then_some(name),
            address,
        }
    }

    /// Returns the display name, without quotes.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// Returns the address without the name. If the address is invalid, returns the text that was
    /// given for it.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Returns whether the address can be sent to. Only its form is checked, according to RFC 5321
    /// and RFC 6531. An IP address in brackets for a domain is invalid.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.fault.is_none()
    }

    /// Returns the name and the address as a header has them, the name in quotes if it needs them.
    pub(super) fn to_header(&self) -> Cow<'_, str> {
        let Some(name) = &self.name else {
            return Cow::Borrowed(&self.address);
        };
        if needs_quotes(name) {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            return format!("\"{escaped}\" <{}>", self.address).into();
        }
        [name, " <", &self.address, ">"].concat().into()
    }

    /// Returns why the mailbox is invalid. `None` if it is valid.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    fn parse(text: &str) -> Self {
        let text = text.trim();
        let Some((name, address)) = text.strip_suffix('>').and_then(split_at_bracket) else {
            return Self::new(text);
        };
        let name = name.trim();
        let several = !name.starts_with('"') && name.contains('@') && name.contains(',');
        let unquoted = unquote(name).unwrap_or_else(|| name.to_owned());
        let mut mailbox = Self::named(unquoted, address.trim());
        if several {
            mailbox.fault = Some(format!("{text:?} is more than one address"));
        }
        mailbox
    }
}

/// Returns why an address or its name, which may be empty, is invalid.
fn fault(name: &str, address: &str) -> Option<String> {
    let options = Options::default()
        .without_display_text()
        .without_domain_literal();
    if let Some(fault) = header_fault(name).or_else(|| header_fault(address)) {
        return Some(fault.to_owned());
    }
    if let Err(error) = EmailAddress::parse_with_options(address, options) {
        return Some(format!("{address:?} is not an address: {error}"));
    }
    // email_address 0.2.10 accepts any non-ASCII character in quotes.
    if !address.is_ascii()
        && let Cow::Owned(_) = one_line(address)
    {
        let what = "it has an invisible character";
        return Some(format!("{address:?} is not an address: {what}"));
    }
    has_override(name).then(|| {
        "the display name has a line separator or overrides the direction of text".to_owned()
    })
}

/// Whether a text has a line separator, or an embedding, override or isolate of bidirectional text:
/// with one, `\u{202e}fdp.exe` looks like `exe.pdf`.
pub(super) fn has_override(text: &str) -> bool {
    let is_one = |c| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.is_ascii() && text.contains(is_one)
}

/// Splits at the first `<` that is not in quotes.
fn split_at_bracket(text: &str) -> Option<(&str, &str)> {
    let (mut quoted, mut escaped) = (false, false);
    let at = text.find(|c| {
        let bracket = c == '<' && !quoted;
        if escaped {
            escaped = false;
        } else if c == '"' {
            quoted = !quoted;
        } else {
            escaped = quoted && c == '\\';
        }
        bracket
    });
    match at {
        Some(at) => Some((text.get(..at)?, text.get(at + 1..)?)),
        // A quote without an end is part of a name.
        None => text.split_once('<'),
    }
}

/// Returns the content of a quoted string. `None` if the text is not one.
fn unquote(text: &str) -> Option<String> {
    let mut inner = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut unquoted = String::with_capacity(text.len());
    while let Some(c) = inner.next() {
        match c {
            '\\' => unquoted.push(inner.next()?),
            '"' => return None,
            c => unquoted.push(c),
        }
    }
    Some(unquoted)
}

/// Whether a name has to be quoted: it is more than words of RFC 5322's `atext`.
fn needs_quotes(name: &str) -> bool {
    let plain = |c: char| {
        !c.is_ascii()
            || c.is_ascii_alphanumeric()
            || matches!(c, ' ' | '!' | '#'..='\'' | '*' | '+' | '-' | '/')
            || matches!(c, '=' | '?' | '^'..='`' | '{'..='~')
    };
    name.starts_with(' ') || name.ends_with(' ') || !name.chars().all(plain)
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_header())
    }
}

/// Shows whether there is a name, and whether the mailbox is valid. Shows no name and no address.
impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("has_name", &self.name.is_some())
            .field("is_valid", &self.is_valid())
            .finish_non_exhaustive()
    }
}

impl FromStr for Mailbox {
    type Err = MailboxError;

    fn from_str(text: &str) -> Result<Self, MailboxError> {
        let mailbox = Self::parse(text);
        match mailbox.fault {
            None => Ok(mailbox),
            Some(fault) => Err(MailboxError(fault)),
        }
    }
}

impl From<&str> for Mailbox {
    fn from(text: &str) -> Self {
        Self::parse(text)
    }
}

impl From<String> for Mailbox {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<&String> for Mailbox {
    fn from(text: &String) -> Self {
        Self::parse(text)
    }
}

impl From<&Mailbox> for Mailbox {
    fn from(mailbox: &Mailbox) -> Self {
        mailbox.clone()
    }
}

/// A display name and an address.
impl<N: Into<String>, A: Into<String>> From<(N, A)> for Mailbox {
    fn from((name, address): (N, A)) -> Self {
        Self::named(name, address)
    }
}

/// Error for a text that is not an address. Display quotes the text; Debug does not.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxError(String);

impl fmt::Debug for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailboxError(…)")
    }
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for MailboxError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_text_is_parsed_and_written() {
        for (text, name, address, written) in [
            ("a@example.com", None, "a@example.com", "a@example.com"),
            (" <a@example.com> ", None, "a@example.com", "a@example.com"),
            (
                "Jane Doe<a@example.com>",
                Some("Jane Doe"),
                "a@example.com",
                "Jane Doe <a@example.com>",
            ),
            (
                "Doe, Jane <a@example.com>",
                Some("Doe, Jane"),
                "a@example.com",
                "\"Doe, Jane\" <a@example.com>",
            ),
            (
                r#""a \"b\" <c@d.e> \\" <a@example.com>"#,
                Some(r#"a "b" <c@d.e> \"#),
                "a@example.com",
                r#""a \"b\" <c@d.e> \\" <a@example.com>"#,
            ),
            (
                r#"Jane "JD" Doe <a@example.com>"#,
                Some(r#"Jane "JD" Doe"#),
                "a@example.com",
                r#""Jane \"JD\" Doe" <a@example.com>"#,
            ),
            (
                "a@example.com <a@example.com>",
                Some("a@example.com"),
                "a@example.com",
                "\"a@example.com\" <a@example.com>",
            ),
            (
                "Zoë Ångström <zoë@exämple.com>",
                Some("Zoë Ångström"),
                "zoë@exämple.com",
                "Zoë Ångström <zoë@exämple.com>",
            ),
            (
                "\"a b\"@example.com",
                None,
                "\"a b\"@example.com",
                "\"a b\"@example.com",
            ),
            (
                "5\" disk <a@example.com>",
                Some("5\" disk"),
                "a@example.com",
                "\"5\\\" disk\" <a@example.com>",
            ),
        ] {
            let mailbox: Mailbox = text.parse().unwrap();
            assert_eq!(mailbox.name(), name, "{text}");
            assert_eq!(mailbox.address(), address, "{text}");
            assert_eq!(mailbox.to_string(), written);
            assert_eq!(Mailbox::from(written), mailbox, "{text}");
        }
        assert_eq!(
            Mailbox::named("", "a@example.com"),
            Mailbox::new("a@example.com")
        );
    }

    #[test]
    fn text_that_is_not_an_address_is_invalid() {
        for text in [
            "",
            "jane",
            "jane@",
            "@example.com",
            "a@b@example.com",
            "a b@example.com",
            "a@example..com",
            "a@exa mple.com",
            "a@[192.0.2.1]",
            "a@example.com, b@example.com",
            "a@example.com, B <b@example.com>",
            "Jane <>",
            "Jane <a@example.com",
            "Jane a@example.com>",
            "Jane <<a@example.com>>",
            "Jane <a@example.com> <b@example.com>",
            "a@example.com (Jane)",
            "a@example.com\r\nBcc: b@example.com",
            "Jane\r\nBcc: <a@example.com>",
            "a\u{0}@example.com",
        ] {
            let mailbox = Mailbox::from(text);
            assert!(!mailbox.is_valid(), "{text}");
            let error = text.parse::<Mailbox>().unwrap_err().to_string();
            assert!(!error.contains(['\r', '\n', '\0']), "{error}");
        }
        assert!(!Mailbox::named("a\nb", "a@example.com").is_valid());
    }

    #[test]
    fn characters_that_disguise_text_are_invalid() {
        for (c, in_name) in [
            ('\u{2028}', false),
            ('\u{2029}', false),
            ('\u{202a}', false),
            ('\u{202b}', false),
            ('\u{202c}', false),
            ('\u{202d}', false),
            ('\u{202e}', false),
            ('\u{2066}', false),
            ('\u{2067}', false),
            ('\u{2068}', false),
            ('\u{2069}', false),
            ('\u{0}', false),
            ('\u{85}', false),
            // Names in Arabic or Hebrew can need these.
            ('\u{61c}', true),
            ('\u{200e}', true),
            ('\u{200f}', true),
            ('\u{200b}', true),
            ('\u{feff}', true),
            ('é', true),
            ('ש', true),
        ] {
            let name = format!("Ja{c}ne");
            for mailbox in [
                Mailbox::named(name.as_str(), "a@example.com"),
                Mailbox::from(format!("\"{name}\" <a@example.com>")),
            ] {
                assert_eq!(mailbox.is_valid(), in_name, "{c:?}");
            }
            for local in [format!("ja{c}ne"), format!("\"ja{c}ne\"")] {
                let mailbox = Mailbox::new(format!("{local}@example.com"));
                // Versions of the parser differ in what else they take in quotes.
                if !c.is_alphabetic() {
                    let fault = mailbox.fault().unwrap();
                    assert!(!fault.contains(c), "{fault}");
                }
            }
        }
    }
}
