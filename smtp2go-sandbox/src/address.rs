//! Parses and checks email addresses.
//!
//! JSON fields, the headers of MIME messages and SMTP all use this module. It follows RFC 5322 with
//! comments, groups and the obsolete routes, RFC 5321 (lengths, domains, literals), and RFC 6531
//! (letters of any alphabet). A domain may have a single label.
//! `docs/decisions/own-address-list-reader.md` explains why the parser is our own and not from a
//! crate.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// Headers that contain addresses.
pub(crate) const HEADERS: [&str; 6] = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"];

/// Maximum number of characters that a refusal quotes.
pub(crate) const EXCERPT: usize = 100;

const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 255;
const LONGEST_LABEL: usize = 63;

/// An address with its optional name.
#[derive(Debug, PartialEq)]
pub(crate) struct Mailbox<'a> {
    /// The text of the mailbox, without surrounding white space and the name of its group.
    pub(crate) written: &'a str,
    /// The text before the angle brackets. Empty for an address without a name.
    pub(crate) name: &'a str,
    /// `local@domain`, without comments and white space.
    pub(crate) address: String,
}

/// Why a text is not an address.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AddressFault(&'static str);

impl AddressFault {
    /// Returns the error message for `text`. The message quotes the text like the service's message.
    pub(crate) fn refuse(self, text: &str) -> String {
        let found: String = text.chars().take(EXCERPT).collect();
        format!("Was expecting a valid RFC-822 formatted email, and found: {found:?} ({self}).")
    }
}

impl fmt::Display for AddressFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

const CONTROL: AddressFault =
    AddressFault("a line break or another control character is not allowed");
const BRACKETS: AddressFault = AddressFault("the brackets < and > do not match");

/// Reads exactly one address, with or without a name: `a@b.c`, `Name <a@b.c>`, `"Doe, J" <a@b.c>`.
pub(crate) fn mailbox(text: &str) -> Result<Mailbox<'_>, AddressFault> {
    // Tabs are allowed in headers only.
    if text.contains(char::is_control) {
        return Err(CONTROL);
    }
    let mut reader = Mailboxes::new(text);
    reader.one_only = true;
    reader
        .next()
        .unwrap_or(Err(AddressFault("there is no address")))
}

/// Iterates over the addresses of an unfolded header, and over the members of its groups. Ends after the
/// first error.
pub(crate) fn mailboxes(header: &str) -> Mailboxes<'_> {
    Mailboxes::new(header)
}

/// Checks that a text is `local@domain` without name, brackets, comments and white space, as between
/// the angle brackets of `MAIL FROM:<…>` and `RCPT TO:<…>`.
pub(crate) fn check(text: &str) -> Result<(), AddressFault> {
    match addr_spec(text)? == text {
        true => Ok(()),
        false => Err(AddressFault(
            "write only the address, without a name, brackets, comments or white space",
        )),
    }
}

/// Returns the address in a mailbox, or the trimmed text if it is not a mailbox.
pub(crate) fn bare(text: &str) -> String {
    mailbox(text).map_or_else(|_| text.trim().to_owned(), |mailbox| mailbox.address)
}

/// Removes the quotes around a name or parts of it, and the backslashes inside the quotes.
pub(crate) fn unquoted(name: &str) -> String {
    let mut unquoted = String::new();
    let mut is_quoted = false;
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => unquoted.extend(characters.next()),
            other => unquoted.push(other),
        }
    }
    unquoted
}

/// Whether a text has the form of a domain.
pub(crate) fn is_domain(text: &str) -> bool {
    text.len() <= LONGEST_DOMAIN && text.split('.').all(is_label)
}

/// Whether a text has the form of a domain's label.
pub(crate) fn is_label(text: &str) -> bool {
    let allowed = |c: char| match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || "-_".contains(c),
        false => is_visible(c),
    };
    !text.is_empty()
        && text.len() <= LONGEST_LABEL
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text.chars().all(allowed)
}

/// Iterator over the addresses of a header. It does not collect them, because a message may have
/// millions.
#[derive(Debug)]
pub(crate) struct Mailboxes<'a> {
    tokens: Tokens<'a>,
    /// Whether the position is inside a group, `Name: …;`.
    in_group: bool,
    /// Whether more than one address is an error.
    one_only: bool,
    ended: bool,
}

impl<'a> Mailboxes<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            tokens: Tokens { text, place: 0 },
            in_group: false,
            one_only: false,
            ended: false,
        }
    }

    /// Reads the next address. `None` at the end.
    fn read(&mut self) -> Result<Option<Mailbox<'a>>, AddressFault> {
        let mut start = self.tokens.place;
        let mut brackets: Option<(usize, Option<usize>)> = None;
        loop {
            let place = self.tokens.place;
            let token = self.tokens.next().transpose()?;
            let inside = matches!(brackets, Some((_, None)));
            match token {
                Some(Token::Special('<')) if brackets.is_none() => brackets = Some((place, None)),
                Some(Token::Special('>')) if inside => {
                    brackets = brackets.map(|(open, _)| (open, Some(place)));
                }
                Some(Token::Special('<' | '>')) => return Err(BRACKETS),
                // These separate the hosts of an obsolete route.
                Some(Token::Special(',' | ':')) if inside => {}
                Some(Token::Special(',' | ';' | ':')) if self.one_only => {
                    return Err(AddressFault(
                        "more than one address, or a name that has to be quoted",
                    ));
                }
                Some(Token::Special(':')) if !self.in_group && brackets.is_none() => {
                    self.in_group = true;
                    start = self.tokens.place;
                }
                None | Some(Token::Special(',' | ';')) => {
                    let (is_end, closes) = (token.is_none(), token == Some(Token::Special(';')));
                    if is_end && self.in_group {
                        return Err(AddressFault("a group has to end with a semicolon"));
                    }
                    if closes && !self.in_group {
                        return Err(AddressFault("addresses are separated by commas"));
                    }
                    self.in_group &= !closes;
                    let written = self.tokens.text.get(start..place).unwrap_or_default();
                    if !Tokens::new(written).is_blank() {
                        return self.mailbox(written, start, brackets).map(Some);
                    }
                    if is_end {
                        return Ok(None);
                    }
                    start = self.tokens.place;
                }
                Some(Token::Special(':')) => {
                    return Err(AddressFault("a name with a colon has to be quoted"));
                }
                Some(Token::Blank | Token::Comment) => {}
                Some(_) if matches!(brackets, Some((_, Some(_)))) => {
                    return Err(AddressFault("there is text after the address"));
                }
                Some(_) => {}
            }
        }
    }

    fn mailbox(
        &self,
        written: &'a str,
        start: usize,
        brackets: Option<(usize, Option<usize>)>,
    ) -> Result<Mailbox<'a>, AddressFault> {
        let text = |from, to| self.tokens.text.get(from..to).unwrap_or_default();
        let (name, address) = match brackets {
            None => ("", written),
            Some((open, Some(close))) => (text(start, open).trim(), text(open + 1, close)),
            Some((_, None)) => return Err(BRACKETS),
        };
        let address = match (brackets, address.split_once(':')) {
            // The address follows the hosts of an obsolete route, which are ignored.
            (Some(_), Some((route, address))) if route.trim_start().starts_with('@') => address,
            _ => address,
        };
        Ok(Mailbox {
            written: written.trim(),
            name,
            address: addr_spec(address)?,
        })
    }
}

impl<'a> Iterator for Mailboxes<'a> {
    type Item = Result<Mailbox<'a>, AddressFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// Reads `local@domain`, and removes comments and white space.
fn addr_spec(text: &str) -> Result<String, AddressFault> {
    let mut address = String::new();
    let mut at = None;
    let mut follows_word = false;
    for token in Tokens::new(text) {
        match token? {
            Token::Blank | Token::Comment => continue,
            Token::Special('.') if follows_word => address.push('.'),
            Token::Special('@') if follows_word && at.is_none() => {
                at = Some(address.len());
                address.push('@');
            }
            Token::Special('.' | '@') => {
                return Err(AddressFault("a dot or @ needs text before and after it"));
            }
            Token::Atom(word) if !follows_word => {
                if !word.chars().all(is_visible) {
                    return Err(AddressFault("the address has an invisible character"));
                }
                address.push_str(word);
            }
            Token::Quoted(word) if !follows_word && at.is_none() => address.push_str(word),
            Token::Literal(word) if at.is_some_and(|at| at + 1 == address.len()) => {
                address.push_str(word);
            }
            _ => {
                return Err(AddressFault(
                    "the address has a character that is not allowed",
                ));
            }
        }
        follows_word = !address.ends_with(['.', '@']);
        if address.len() > LONGEST_LOCAL + 1 + LONGEST_DOMAIN {
            return Err(AddressFault("the address is too long"));
        }
    }
    let Some((local, domain)) =
        at.and_then(|at| Some((address.get(..at)?, address.get(at + 1..)?)))
    else {
        return Err(AddressFault("the address has no @"));
    };
    if local.len() > LONGEST_LOCAL {
        return Err(AddressFault(
            "the part before the @ is longer than 64 bytes",
        ));
    }
    if !is_domain(domain) && !is_literal(domain) {
        return Err(AddressFault("the part after the @ is not a domain"));
    }
    Ok(address)
}

/// Whether a domain is an IP address in brackets. Some programs omit the tag `IPv6:`.
fn is_literal(domain: &str) -> bool {
    let inner = domain
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| match inner.get(..5) {
        Some(tag) if tag.eq_ignore_ascii_case("IPv6:") => inner
            .get(5..)
            .is_some_and(|rest| rest.parse::<Ipv6Addr>().is_ok()),
        _ => inner.parse::<IpAddr>().is_ok(),
    })
}

/// Whether an address may contain a non-ASCII character. White space, invisible characters and
/// characters that change the text direction are not allowed.
fn is_visible(character: char) -> bool {
    !character.is_whitespace()
        && !matches!(
            character,
            '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{feff}'
        )
        && !matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Blank,
    Comment,
    /// A quoted string, including its quotes.
    Quoted(&'a str),
    /// A domain literal, including its brackets.
    Literal(&'a str),
    Atom(&'a str),
    Special(char),
}

/// Splits a header into tokens (RFC 5322, 3.2).
#[derive(Debug)]
struct Tokens<'a> {
    text: &'a str,
    place: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, place: 0 }
    }

    /// Whether the text has only comments and white space.
    fn is_blank(&mut self) -> bool {
        self.all(|token| matches!(token, Ok(Token::Blank | Token::Comment)))
    }

    /// Reads up to the `close` that matches the `open` before `place`. Returns the text from `open` to
    /// `close`, both included.
    fn until(&mut self, open: char, close: char) -> Result<&'a str, AddressFault> {
        let start = self.place - open.len_utf8();
        let rest = self.text.get(self.place..).unwrap_or_default();
        let (mut depth, mut escaped) = (1_usize, false);
        for (index, character) in rest.char_indices() {
            if character.is_control() && character != '\t' {
                return Err(CONTROL);
            }
            match character {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == close => depth -= 1,
                // Only comments nest.
                '(' if open == '(' => depth += 1,
                _ => {}
            }
            if depth == 0 {
                self.place += index + close.len_utf8();
                return Ok(self.text.get(start..self.place).unwrap_or_default());
            }
        }
        Err(AddressFault(match open {
            '"' => "a quote is not closed",
            '(' => "a comment is not closed",
            _ => "a bracket [ is not closed",
        }))
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, AddressFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.place..)?;
        let first = rest.chars().next()?;
        let start = self.place;
        self.place += first.len_utf8();
        let token = match first {
            ' ' | '\t' => Ok(Token::Blank),
            '(' => self.until('(', ')').map(|_| Token::Comment),
            '"' => self.until('"', '"').map(Token::Quoted),
            '[' => self.until('[', ']').map(Token::Literal),
            _ if is_atext(first) => {
                let end = rest.find(|c| !is_atext(c)).unwrap_or(rest.len());
                self.place = start + end;
                Ok(Token::Atom(rest.get(..end).unwrap_or_default()))
            }
            _ if first.is_control() => Err(CONTROL),
            _ => Ok(Token::Special(first)),
        };
        Some(token)
    }
}

/// Whether a character may occur in an atom. Accepts most non-ASCII characters, because names may have
/// them; [`addr_spec`] is stricter.
fn is_atext(character: char) -> bool {
    match character.is_ascii() {
        true => character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character),
        false => !character.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(header: &str) -> Result<Vec<String>, AddressFault> {
        mailboxes(header)
            .map(|mailbox| mailbox.map(|mailbox| mailbox.address))
            .collect()
    }

    #[test]
    fn header_may_have_names_groups_comments_and_routes() {
        for (header, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("undisclosed-recipients:;", &[]),
            ("a@b.test", &["a@b.test"]),
            ("a@b.test,c@d.test", &["a@b.test", "c@d.test"]),
            ("a@b.test, , C <c@d.test>,", &["a@b.test", "c@d.test"]),
            (
                "Team: a@b.test, (of \\) us) C <c@d.test>;, e@f.test",
                &["a@b.test", "c@d.test", "e@f.test"],
            ),
            ("x:;y: a@b.test ;", &["a@b.test"]),
            ("(b@c.test, (d)) a@b.test (A, B)", &["a@b.test"]),
            (
                r#""B, A <x@y.z>" <a@b.test>, "a \" b" <c@d.test>"#,
                &["a@b.test", "c@d.test"],
            ),
            ("<@r.test,@s.test:a@b.test>", &["a@b.test"]),
            ("a (x) . b\t@ (y) c . test", &["a.b@c.test"]),
            ("<a@[IPv6:2001:db8::1]>", &["a@[IPv6:2001:db8::1]"]),
            (r#""a <b, c"@d.test"#, &[r#""a <b, c"@d.test"#]),
        ] {
            let expected = expected.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(addresses(header), Ok(expected), "{header}");
        }
        for header in [
            "a@b.test, nope",
            "a@b.test; c@d.test",
            "Team: a@b.test",
            "Team: Other: a@b.test;;",
            "A <a@b.test> c, d@e.test",
            "a@b.test (",
            "\"a@b.test",
            "a@b.test\r\nBcc: c@d.test",
            "A\rB <a@b.test>",
        ] {
            assert!(addresses(header).is_err(), "{header}");
        }
    }

    #[test]
    fn mailbox_has_its_name_and_its_text_as_written() {
        let found = |header| mailboxes(header).next().unwrap().unwrap();
        let mailbox = found(r#"Team: "Doe, J" (us) < j@b.test > (x) ;"#);
        assert_eq!(mailbox.name, r#""Doe, J" (us)"#);
        assert_eq!(mailbox.address, "j@b.test");
        assert_eq!(mailbox.written, r#""Doe, J" (us) < j@b.test > (x)"#);
        assert_eq!(found(" a@b.test ").written, "a@b.test");
        assert_eq!(bare("A <a@b.test>"), "a@b.test");
        assert_eq!(bare(" nope "), "nope");
    }

    #[test]
    fn check_accepts_only_a_bare_address() {
        for text in [
            "a@b.test",
            r#""a b"@c.test"#,
            "a@[192.0.2.1]",
            "a@[2001:db8::1]",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
        for text in [
            "",
            "a",
            " a@b.test",
            "<a@b.test>",
            "a@b.test (x)",
            "a .b@c.test",
            "a@b.test,c@d.test",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn address_with_a_part_that_is_too_long_is_refused() {
        let (local, label) = ("a".repeat(64), "b".repeat(63));
        let domain = [label.as_str(); 4].join(".");
        assert_eq!(domain.len(), 255);
        assert_eq!(check(&format!("{local}@{domain}")), Ok(()));
        for text in [
            format!("a{local}@b.test"),
            format!("é{}@b.test", "a".repeat(63)),
            format!("a@b{label}.test"),
            format!("a@{domain}.c"),
        ] {
            assert!(check(&text).is_err(), "{text}");
        }
    }
}
