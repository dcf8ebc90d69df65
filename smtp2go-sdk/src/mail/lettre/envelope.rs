//! Whether the headers of a message say what its envelope says.
//!
//! Over SMTP a message goes to those whom the envelope names, whatever is in its headers. The API
//! has no envelope: it reads sender and recipients from the headers. So the two have to agree, or
//! a mail goes to other people than the program meant.

use std::fmt::Write;

use smtp2go_types::validation::Check;

/// Where a message is to go by its envelope, as far as its headers say something else.
#[derive(Clone, Default)]
pub(crate) struct Disagreement {
    /// The sender, if it is none of those in the headers.
    sender: Option<String>,
    /// Recipients whom no header names, by their place in the envelope.
    hidden: Vec<(usize, String)>,
    /// Recipients whom the headers name and the envelope does not.
    uninvited: Vec<String>,
}

impl Disagreement {
    /// Compares an envelope with the headers of a message.
    pub(crate) fn new<'a>(
        sender: Option<&'a str>,
        recipients: impl Iterator<Item = &'a str>,
        message: &[u8],
    ) -> Self {
        let headers = Headers::read(message);
        let from = headers.addresses(&["From", "Sender"]);
        let named = headers.addresses(&["To", "Cc", "Bcc"]);
        let recipients: Vec<_> = recipients
            .map(|text| (text, Address::of_envelope(text)))
            .collect();
        let is_named =
            |address: &Option<Address>| address.as_ref().is_some_and(|found| named.contains(found));
        let mut uninvited: Vec<_> = named
            .iter()
            .filter(|address| {
                !recipients
                    .iter()
                    .any(|(_, to)| to.as_ref() == Some(address))
            })
            .map(|address| address.text.clone())
            .collect();
        uninvited.sort_unstable();
        uninvited.dedup();
        Self {
            sender: sender
                .filter(|sender| {
                    Address::of_envelope(sender).is_none_or(|sender| !from.contains(&sender))
                })
                .map(ToOwned::to_owned),
            hidden: recipients
                .iter()
                .enumerate()
                .filter(|(_, (_, address))| !is_named(address))
                .map(|(index, (text, _))| (index, (*text).to_owned()))
                .collect(),
            uninvited,
        }
    }

    /// A header `Bcc` for those whom no header names, who then are named; `None` if there are
    /// none. Who can't be written into a header is left as he is.
    pub(crate) fn bcc(&mut self) -> Option<String> {
        let (written, left) = std::mem::take(&mut self.hidden)
            .into_iter()
            .partition::<Vec<_>, _>(|(_, address)| Address::of_envelope(address).is_some());
        self.hidden = left;
        let mut header = String::new();
        for (index, (_, address)) in written.iter().enumerate() {
            let before = if index == 0 { "Bcc: " } else { ",\r\n " };
            // Writing to a String does not fail.
            let _ = write!(header, "{before}{address}");
        }
        (!header.is_empty()).then(|| header + "\r\n")
    }

    /// Reports it.
    pub(crate) fn check(&self, check: &mut Check) {
        check.at("envelope", |check| {
            if let Some(sender) = &self.sender {
                check.at("from", |check| {
                    check.problem(format!(
                        "{sender:?} is not in the message's From or Sender, which the API takes \
                         the sender from"
                    ));
                });
            }
            for (index, address) in &self.hidden {
                check.at_index("to", *index, |check| {
                    check.problem(format!(
                        "{address:?} would get nothing: the API reads recipients from the \
                         message's To, Cc and Bcc, and none of them names this one"
                    ));
                });
            }
            for address in &self.uninvited {
                check.at("to", |check| {
                    check.problem(format!(
                        "{address:?} is not in the envelope and would get the mail all the same: \
                         the message's headers name this recipient"
                    ));
                });
            }
        });
    }
}

/// An address in a form that can be compared: what is quoted or escaped without need, comments,
/// white space and the case of the domain make no difference.
#[derive(Clone, Debug, Default)]
struct Address {
    local: String,
    domain: String,
    /// As it was written, more or less.
    text: String,
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        (&self.local, &self.domain) == (&other.local, &other.domain)
    }
}

impl Address {
    /// The address in an envelope, unless a header would take it for another, or for several.
    fn of_envelope(text: &str) -> Option<Self> {
        if text.contains(char::is_control) {
            return None;
        }
        let mut list = Reader::default();
        list.read(text);
        let (only, rest) = list.found.split_first()?;
        (rest.is_empty() && only.text == text).then(|| only.clone())
    }
}

/// The header fields of a message that may hold addresses, unfolded.
struct Headers(Vec<(String, String)>);

impl Headers {
    fn read(message: &[u8]) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in message.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            if line.is_empty() {
                break;
            }
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push_str(&line);
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim_end().to_owned(), value.to_owned()));
            }
        }
        Self(fields)
    }

    /// The addresses in all fields of these names.
    fn addresses(&self, names: &[&str]) -> Vec<Address> {
        let mut list = Reader::default();
        for (name, value) in &self.0 {
            if names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) {
                list.read(value);
            }
        }
        list.found
    }
}

/// Reads a list of addresses as RFC 5322 has it, the obsolete forms included: names, comments,
/// groups, routes. Names are not looked at, so neither is what is encoded in them.
#[derive(Default)]
struct Reader {
    found: Vec<Address>,
    /// What may become an address.
    current: Address,
    /// Whether `current` is past its `@`.
    in_domain: bool,
    /// Whether `current` is between angle brackets, or was: then nothing after it belongs to it.
    angle: Angle,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Angle {
    #[default]
    None,
    Inside,
    Past,
}

impl Reader {
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
                    self.angle = Angle::Inside;
                }
                '>' => {
                    if self.angle == Angle::Inside {
                        self.end();
                    }
                    self.angle = Angle::Past;
                }
                // The name of a group, or a route, ends here.
                ':' => self.forget(),
                // Between two hosts of a route.
                ',' if self.angle == Angle::Inside => self.forget(),
                ',' | ';' => {
                    self.end();
                    self.angle = Angle::None;
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
        self.angle = Angle::None;
    }

    /// The rest of a quoted string.
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

    /// Drops what turned out to be no address.
    fn forget(&mut self) {
        self.current = Address::default();
        self.in_domain = false;
    }

    /// Keeps what was read, if it is an address.
    fn end(&mut self) {
        let address = std::mem::take(&mut self.current);
        self.in_domain = false;
        let is_address = !address.local.is_empty() && !address.domain.is_empty();
        if is_address && self.angle != Angle::Past {
            self.found.push(address);
        }
    }
}

/// Skips to the end of a comment, which may hold others.
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
        let mut list = Reader::default();
        list.read(value);
        let found = list.found.into_iter();
        found.map(|a| format!("{}@{}", a.local, a.domain)).collect()
    }

    #[test]
    fn addresses_are_found_in_every_form() {
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
    fn an_address_of_an_envelope_is_one_address() {
        for text in [
            "a@example.com",
            r#""a, b"@example.com"#,
            "a@[192.0.2.1]",
            "zoë@example.com",
        ] {
            assert!(Address::of_envelope(text).is_some(), "{text}");
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
            assert!(Address::of_envelope(text).is_none(), "{text}");
        }
    }

    #[test]
    fn fields_are_unfolded_and_end_at_the_empty_line() {
        let message = b"TO: a@b.test,\r\n\tc@d.test\nto:e@f.test\r\nX: y\r\n z@z.test\r\n\r\nTo: g@h.test\r\n";
        let found = Headers::read(message).addresses(&["To", "Cc"]);
        let found: Vec<_> = found.iter().map(|a| a.text.as_str()).collect();
        assert_eq!(found, ["a@b.test", "c@d.test", "e@f.test"]);
        assert!(Headers::read(b"").0.is_empty());
        // Not UTF-8, as old programs write it.
        let found = Headers::read(b"To: Zo\xeb <z@b.test>").addresses(&["To"]);
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn a_bcc_header_names_whom_it_can() {
        let to = ["a@b.test", "c@d.test", "e@f.test", "x, y@z.test"];
        let message = b"From: s@b.test\r\nTo: c@d.test\r\n\r\n";
        let mut found = Disagreement::new(Some("S@B.test"), to.into_iter(), message);
        assert!(found.sender.is_some(), "the part before the @ has a case");
        assert_eq!(found.bcc().unwrap(), "Bcc: a@b.test,\r\n e@f.test\r\n");
        assert_eq!(found.hidden, [(3, "x, y@z.test".to_owned())]);
        assert_eq!(found.bcc(), None);
    }
}
