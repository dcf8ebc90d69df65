//! Addresses of mail.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use email_address::{EmailAddress, Options};
use smtp2go_types::one_line;
use smtp2go_types::validation::header_fault;

/// An address, with or without a display name: `jane@example.com`, `Jane <jane@example.com>`,
/// `"Doe, Jane" <jane@example.com>`.
///
/// Made from text with `From`, as the setters of [`Email`](crate::Email) do it, it may be invalid;
/// the mail then fails its check, with the field named. [`FromStr`] refuses at once.
///
/// Display quotes the name where it has to be quoted, whether the text that it came from did or
/// not. Nothing is encoded: names and addresses may have letters of any alphabet. Debug, which is for
/// logs, shows neither.
///
/// What makes a recipient see another name or address than the one that is there is invalid. In a
/// name these are control characters, the line separators U+2028 and U+2029, and the embeddings,
/// overrides and isolates of bidirectional text (U+202A to U+202E, U+2066 to U+2069); its marks
/// (U+061C, U+200E, U+200F), which names in Arabic or Hebrew can need, are valid. In an address the
/// marks, and characters without width, are invalid too.
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
    /// An address, or `name <address>` without quotes, as most are written: then nothing more has to
    /// be made to write it.
    text: String,
    /// Bytes of the name, if there is one.
    name: Option<usize>,
    fault: Option<String>,
}

/// What is between a name and its address, and what is behind that.
const BRACKETS: (&str, &str) = (" <", ">");

impl Mailbox {
    /// A bare address.
    pub fn new(address: impl Into<String>) -> Self {
        let address = address.into();
        Self {
            fault: fault("", &address),
            text: address,
            name: None,
        }
    }

    /// An address with a display name, which is taken as it is. An empty one is left out.
    pub fn named(name: impl Into<String>, address: impl Into<String>) -> Self {
        Self::of(&name.into(), &address.into())
    }

    fn of(name: &str, address: &str) -> Self {
        if name.is_empty() {
            return Self::new(address);
        }
        let (open, close) = BRACKETS;
        let length = name.len() + open.len() + address.len() + close.len();
        let mut text = String::with_capacity(length);
        for part in [name, open, address, close] {
            text.push_str(part);
        }
        Self {
            text,
            name: Some(name.len()),
            fault: fault(name, address),
        }
    }

    /// The display name, without quotes.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.text.get(..self.name?)
    }

    /// The address alone; if it is invalid, whatever text is in its place.
    #[must_use]
    pub fn address(&self) -> &str {
        let (open, close) = BRACKETS;
        self.name
            .and_then(|name| self.text.get(name + open.len()..))
            .and_then(|text| text.strip_suffix(close))
            .unwrap_or(&self.text)
    }

    /// Whether it can be sent to. Only the form is checked, as RFC 5321 and RFC 6531 have it; an
    /// IP address in brackets for a domain is refused.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.fault.is_none()
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// Bytes of its text, or a little more.
    pub(crate) fn size(&self) -> usize {
        self.text.len() + 8
    }

    /// What Display shows.
    pub(crate) fn text(&self) -> Cow<'_, str> {
        let Some(name) = self.name().filter(|name| needs_quotes(name)) else {
            return Cow::Borrowed(&self.text);
        };
        let mut text = String::with_capacity(self.size());
        text.push('"');
        for c in name.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
        text.push_str(self.text.get(name.len()..).unwrap_or_default());
        Cow::Owned(text)
    }

    fn parse(text: &str) -> Self {
        let text = text.trim();
        let Some((name, address)) = text.strip_suffix('>').and_then(split_at_bracket) else {
            return Self::new(text);
        };
        let name = name.trim();
        let several = !name.starts_with('"') && name.contains('@') && name.contains(',');
        let unquoted = unquote(name);
        let mut mailbox = Self::of(unquoted.as_deref().unwrap_or(name), address.trim());
        if several {
            mailbox.fault = Some(format!("{text:?} is more than one address"));
        }
        mailbox
    }
}

/// What is wrong with an address and its name, which may be empty.
fn fault(name: &str, address: &str) -> Option<String> {
    let options = Options::default()
        .without_display_text()
        .without_domain_literal();
    if let Some(fault) = header_fault(name).or_else(|| header_fault(address)) {
        return Some(fault.to_owned());
    }
    if !is_plain(address)
        && let Err(error) = EmailAddress::parse_with_options(address, options)
    {
        return Some(format!("{address:?} is not an address: {error}"));
    }
    // In quotes, email_address 0.2.10 takes whatever is not ASCII.
    if let Cow::Owned(_) = one_line(address) {
        let what = "it has an invisible character";
        return Some(format!("{address:?} is not an address: {what}"));
    }
    has_override(name).then(|| {
        "the display name has a line separator or overrides the direction of text".to_owned()
    })
}

/// Whether a text has a line separator, or an embedding, override or isolate of bidirectional text:
/// with one, `\u{202e}fdp.exe` looks like `exe.pdf`. All begin with the same byte.
pub(super) fn has_override(text: &str) -> bool {
    let is_one = |c| matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.as_bytes().contains(&0xE2) && text.contains(is_one)
}

/// Whether a text is an address beyond doubt: plain words with dots between them, as nearly all
/// are. The parser, which knows the rest, takes several times as long.
fn is_plain(address: &str) -> bool {
    // Neither the part before the `@` nor a part of the domain can then be too long.
    if address.len() > 64 {
        return false;
    }
    // Whether a word has to begin, and whether the domain has.
    let (mut begins, mut domain) = (true, false);
    for byte in address.bytes() {
        begins = match byte {
            b'.' if !begins => true,
            b'@' if !begins && !domain => {
                domain = true;
                true
            }
            _ if byte.is_ascii_alphanumeric() => false,
            _ => return false,
        };
    }
    domain && !begins
}

/// What is before and after the first `<` that is not in quotes.
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

/// The text of a quoted string, if that is all there is.
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

/// Whether a name needs quotes: it does unless all of it is words of RFC 5322's `atext`.
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
        f.write_str(&self.text())
    }
}

/// Shows whether it has a name and is valid, and neither name nor address.
impl fmt::Debug for Mailbox {
    #[inline]
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

/// A text that is not an address. Its Display quotes the text; Debug does not.
#[derive(Clone, PartialEq, Eq)]
pub struct MailboxError(String);

impl fmt::Debug for MailboxError {
    #[inline]
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
    fn what_is_valid_is_read_and_written() {
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
    fn what_is_plain_the_parser_takes_too() {
        const LETTERS: [char; 11] = ['a', 'Z', '0', '9', '@', '@', '.', '.', '-', 'é', '<'];
        let options = Options::default()
            .without_display_text()
            .without_domain_literal();
        let mut random = fastrand::Rng::with_seed(11);
        let mut plain = 0;
        for _ in 0..20_000 {
            let length = random.usize(0..9);
            let text: String = (0..length).filter_map(|_| random.choice(LETTERS)).collect();
            if is_plain(&text) {
                plain += 1;
                let parsed = EmailAddress::parse_with_options(&text, options);
                assert!(parsed.is_ok(), "{text}");
            }
        }
        assert!(plain > 100, "{plain}");
        for length in [62, 63, 64] {
            let word = "a".repeat(length);
            for text in [format!("{word}@b"), format!("b@{word}")] {
                assert_eq!(is_plain(&text), length < 63);
                let parsed = EmailAddress::parse_with_options(&text, options);
                assert!(parsed.is_ok() || !is_plain(&text));
            }
        }
        for odd in [
            "", "@", "a@", "@a", ".a@b", "a.@b", "a..b@c", "a@b.", "a@.b", "a@b@c",
        ] {
            assert!(!is_plain(odd), "{odd}");
        }
        assert!(is_plain("Jane.Doe99@mail.example.com"));
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
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
    fn what_makes_names_and_addresses_look_like_others_is_refused() {
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
