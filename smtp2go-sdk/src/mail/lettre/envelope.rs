//! Compares the envelope of a message with its headers.
//!
//! SMTP delivers to the recipients in the envelope, whatever the headers say. The API has no
//! envelope: it reads sender and recipients from the headers. If the two differ, a mail goes to the
//! wrong people.
//!
//! Address lists are read here and not by a crate, for the reasons in
//! `docs/decisions/own-address-list-reader.md`.

use std::fmt::Write;

use smtp2go_types::validation::Check;

use crate::mail::header_fields::HeaderFields;

/// Addresses that differ between the envelope and the headers.
#[derive(Clone, Default)]
pub(crate) struct EnvelopeDifference {
    /// The sender of the envelope, if the headers name others.
    sender: Option<String>,
    /// Recipients that no header names, with their index in the envelope.
    hidden: Vec<(usize, String)>,
    /// Recipients that the headers name and the envelope does not.
    unlisted: Vec<String>,
}

impl EnvelopeDifference {
    /// Compares an envelope with the headers of a message.
    pub(crate) fn new<'a>(
        sender: Option<&'a str>,
        recipients: impl Iterator<Item = &'a str>,
        message: &[u8],
    ) -> Self {
        let headers = HeaderFields::read(message);
        let from = addresses(&headers, &["From", "Sender"]);
        let named = addresses(&headers, &["To", "Cc", "Bcc"]);
        let recipients: Vec<_> = recipients
            .map(|text| (text, ListedAddress::of_envelope(text)))
            .collect();
        let is_named = |address: &Option<ListedAddress>| {
            address.as_ref().is_some_and(|found| named.contains(found))
        };
        let mut unlisted: Vec<_> = named
            .iter()
            .filter(|address| {
                !recipients
                    .iter()
                    .any(|(_, to)| to.as_ref() == Some(address))
            })
            .map(|address| address.text.clone())
            .collect();
        unlisted.sort_unstable();
        unlisted.dedup();
        Self {
            sender: sender
                .filter(|sender| {
                    ListedAddress::of_envelope(sender).is_none_or(|sender| !from.contains(&sender))
                })
                .map(ToOwned::to_owned),
            hidden: recipients
                .iter()
                .enumerate()
                .filter(|(_, (_, address))| !is_named(address))
                .map(|(index, (text, _))| (index, (*text).to_owned()))
                .collect(),
            unlisted,
        }
    }

    /// Removes the hidden recipients, and returns a header `Bcc` with them. `None` if there are none.
    /// Recipients that can't be encoded are left unchanged.
    pub(crate) fn bcc(&mut self) -> Option<String> {
        let (written, left) = std::mem::take(&mut self.hidden)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, address)| ListedAddress::of_envelope(address).is_some());
        self.hidden = left;
        let mut header = String::new();
        for (index, (_, address)) in written.iter().enumerate() {
            let before = if index == 0 { "Bcc: " } else { ",\r\n " };
            // Writing to a String does not fail.
            let _ = write!(header, "{before}{address}");
        }
        (!header.is_empty()).then(|| header + "\r\n")
    }

    /// Reports each address that differs.
    pub(crate) fn check(&self, check: &mut Check) {
        check.at("envelope", |check| {
            if let Some(sender) = &self.sender {
                check.at("from", |check| {
                    check.problem(format!(
                        "{sender:?} is not in the message's From or Sender, from which the API reads \
                         the sender"
                    ));
                });
            }
            for (index, address) in &self.hidden {
                check.at_index("to", *index, |check| {
                    check.problem(format!(
                        "{address:?} would get nothing: the API reads recipients from the \
                         message's To, Cc and Bcc, which do not have this address"
                    ));
                });
            }
            for address in &self.unlisted {
                check.at("to", |check| {
                    check.problem(format!(
                        "{address:?} is not in the envelope, but would get the mail: the message's \
                         To, Cc or Bcc has this address"
                    ));
                });
            }
        });
    }
}

/// An address in a form that can be compared: without needless quotes and escapes, comments and white
/// space, and with the domain in lower case.
#[derive(Clone, Debug, Default)]
struct ListedAddress {
    local: String,
    domain: String,
    /// The address as written, without comments and white space.
    text: String,
}

impl PartialEq for ListedAddress {
    fn eq(&self, other: &Self) -> bool {
        (&self.local, &self.domain) == (&other.local, &other.domain)
    }
}

impl ListedAddress {
    /// Reads an address of an envelope. `None` if a header with this text would name another address,
    /// or several.
    fn of_envelope(text: &str) -> Option<Self> {
        if text.contains(char::is_control) {
            return None;
        }
        let mut list = AddressListReader::default();
        list.read(text);
        let (only, rest) = list.found.split_first()?;
        (rest.is_empty() && only.text == text).then(|| only.clone())
    }
}

/// Returns the addresses in all fields with these names.
fn addresses(fields: &HeaderFields, names: &[&str]) -> Vec<ListedAddress> {
    let mut list = AddressListReader::default();
    for name in names {
        fields.values(name).for_each(|value| list.read(value));
    }
    list.found
}

/// Reads a list of addresses according to RFC 5322, with the obsolete syntax: names, comments, groups,
/// routes. Names are skipped, and not decoded.
#[derive(Default)]
struct AddressListReader {
    found: Vec<ListedAddress>,
    /// The text that may become an address.
    current: ListedAddress,
    /// Whether `current` is past its `@`.
    in_domain: bool,
    /// State of the angle brackets: text after them does not belong to the address.
    angle: AngleBrackets,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum AngleBrackets {
    #[default]
    None,
    Inside,
    Past,
}

impl AddressListReader {
    fn read(&mut self, value: &str) {
        let mut chars = value.chars();
        while let Some(c) = chars.next() {
            match c {
                '(' => skip_comment(&mut chars),
                '"' => self.quoted(&mut chars),
                '[' if self.in_domain => {
                    self.push('[');
                    for c in chars.by_ref().filter(|c| !c.is_whitespace()) {
                        self.push(c);
                        if c == ']' {
                            break;
                        }
                    }
                }
                '<' => {
                    self.forget();
                    self.angle = AngleBrackets::Inside;
                }
                '>' => {
                    if self.angle == AngleBrackets::Inside {
                        self.end();
                    }
                    self.angle = AngleBrackets::Past;
                }
                // The name of a group, or a route, ends here.
                ':' => self.forget(),
                // Between two hosts of a route.
                ',' if self.angle == AngleBrackets::Inside => self.forget(),
                ',' | ';' => {
                    self.end();
                    self.angle = AngleBrackets::None;
                }
                '@' if !self.in_domain => {
                    self.in_domain = true;
                    self.current.text.push('@');
                }
                c if c.is_whitespace() => {}
                c => self.push(c),
            }
        }
        self.end();
        self.angle = AngleBrackets::None;
    }

    /// Reads the rest of a quoted string.
    fn quoted(&mut self, chars: &mut std::str::Chars<'_>) {
        self.current.text.push('"');
        while let Some(c) = chars.next() {
            self.current.text.push(c);
            let c = match c {
                '"' => return,
                '\\' => match chars.next() {
                    Some(escaped) => {
                        self.current.text.push(escaped);
                        escaped
                    }
                    None => return,
                },
                c => c,
            };
            if !self.in_domain {
                self.current.local.push(c);
            }
        }
    }

    fn push(&mut self, c: char) {
        self.current.text.push(c);
        if self.in_domain {
            self.current.domain.extend(c.to_lowercase());
        } else {
            self.current.local.push(c);
        }
    }

    /// Drops text that is not an address.
    fn forget(&mut self) {
        self.current = ListedAddress::default();
        self.in_domain = false;
    }

    /// Ends the current word of the header, and keeps it if it is an address.
    fn end(&mut self) {
        let address = std::mem::take(&mut self.current);
        self.in_domain = false;
        let is_address = !address.local.is_empty() && !address.domain.is_empty();
        if is_address && self.angle != AngleBrackets::Past {
            self.found.push(address);
        }
    }
}

/// Skips to the end of a comment. Comments may be nested.
fn skip_comment(chars: &mut std::str::Chars<'_>) {
    let mut depth = 1_usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: &str) -> Vec<String> {
        let mut list = AddressListReader::default();
        list.read(value);
        let found = list.found.into_iter();
        found.map(|a| format!("{}@{}", a.local, a.domain)).collect()
    }

    #[test]
    fn address_lists_are_read_in_every_form() {
        for (value, expected) in [
            ("a@example.com", &["a@example.com"][..]),
            (" <a@example.com> ", &["a@example.com"]),
            ("A B <a@Example.COM>", &["a@example.com"]),
            (
                "a@example.com, b@example.net",
                &["a@example.com", "b@example.net"],
            ),
            (r#""B, A <x@y.z>" <a@example.com>"#, &["a@example.com"]),
            (
                r#""a \" b" <a@example.com>,b@c.test"#,
                &["a@example.com", "b@c.test"],
            ),
            (
                "=?utf-8?q?Zo=C3=AB=2C_x?= <z@example.com>",
                &["z@example.com"],
            ),
            (
                "(x@y.z, (nested \\) <q@r.s>)) a@example.com (Jane)",
                &["a@example.com"],
            ),
            ("a (here) @ example (there) . com", &["a@example.com"]),
            ("undisclosed-recipients:;", &[]),
            ("undisclosed-recipients: ;, a@b.test", &["a@b.test"]),
            (
                "Team \"A: B\": Jo <jo@example.com>, k@example.com; Lee <l@example.net>",
                &["jo@example.com", "k@example.com", "l@example.net"],
            ),
            (
                "<@relay.test,@other.test:a@example.com>",
                &["a@example.com"],
            ),
            (
                "a@[192.0.2.1], <b@[IPv6:2001:DB8::1]>",
                &["a@[192.0.2.1]", "b@[ipv6:2001:db8::1]"],
            ),
            (r#""a b"@example.com"#, &["a b@example.com"]),
            (r#""a@b"@example.com"#, &["a@b@example.com"]),
            (r#""j\oe"@example.com"#, &["joe@example.com"]),
            ("zoë@EXÄMPLE.com", &["zoë@exämple.com"]),
            ("Jane Doe, , nobody", &[]),
            ("Jane <a@example.com> b@example.com", &["a@example.com"]),
            ("Jane <a@example.com", &["a@example.com"]),
            ("", &[]),
            ("\"", &[]),
            ("(", &[]),
            ("<>", &[]),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn envelope_recipient_must_be_a_single_bare_address() {
        for text in [
            "a@example.com",
            r#""a, b"@example.com"#,
            "a@[192.0.2.1]",
            "zoë@example.com",
        ] {
            assert!(ListedAddress::of_envelope(text).is_some(), "{text}");
        }
        for text in [
            "",
            "a",
            "@example.com",
            "a@b.test,c@d.test",
            "a, b@example.com",
            "A <a@example.com>",
            "a@b.test\r\nBcc: c@d.test",
            "a b@example.com",
        ] {
            assert!(ListedAddress::of_envelope(text).is_none(), "{text}");
        }
    }

    #[test]
    fn header_fields_are_unfolded_and_end_at_the_empty_line() {
        let message = b"TO: a@b.test,\r\n\tc@d.test\nto:e@f.test\r\nX: y\r\n z@z.test\r\n\r\nTo: g@h.test\r\n";
        let found = addresses(&HeaderFields::read(message), &["To", "Cc"]);
        let found: Vec<_> = found.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(found, ["a@b.test", "c@d.test", "e@f.test"]);
        assert!(addresses(&HeaderFields::read(b""), &["To"]).is_empty());
        // Not UTF-8, as old programs write it.
        let found = addresses(&HeaderFields::read(b"To: Zo\xeb <z@b.test>"), &["To"]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn bcc_header_has_the_recipients_that_can_be_encoded() {
        let to = ["a@b.test", "c@d.test", "e@f.test", "x, y@z.test"];
        let message = b"From: s@b.test\r\nTo: c@d.test\r\n\r\n";
        let mut found = EnvelopeDifference::new(Some("S@B.test"), to.into_iter(), message);
        assert!(found.sender.is_some(), "the part before the @ has a case");
        assert_eq!(found.bcc().unwrap(), "Bcc: a@b.test,\r\n e@f.test\r\n");
        assert_eq!(found.hidden, [(3, "x, y@z.test".to_owned())]);
        assert_eq!(found.bcc(), None);
    }
}
