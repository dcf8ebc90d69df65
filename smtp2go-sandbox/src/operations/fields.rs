//! Reading requests that their schema allows, and comparing what they name.

use std::collections::HashSet;

use serde_json::Value;

use crate::mail::list;
use crate::refusal::Refusal;

/// A text, if it was sent.
pub(crate) fn text<'a>(request: &'a Value, field: &str) -> Option<&'a str> {
    request.get(field)?.as_str()
}

/// A text that the operation cannot do without, although its schema does not ask for it.
pub(crate) fn needed<'a>(request: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    text(request, field).ok_or_else(|| Refusal::field(field, "The field is required."))
}

pub(crate) fn flag(request: &Value, field: &str) -> Option<bool> {
    request.get(field)?.as_bool()
}

pub(crate) fn integer(request: &Value, field: &str) -> Option<i64> {
    request.get(field)?.as_i64()
}

/// The texts of a list; none if it was not sent.
pub(crate) fn texts<'a>(request: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list(request, field).iter();
    items.filter_map(Value::as_str).collect()
}

/// How many terms a search may have, and other lists of which each item costs time again and again.
const MOST: usize = 100;

/// The texts of a list that may not have many.
pub(crate) fn few<'a>(request: &'a Value, field: &str) -> Result<Vec<&'a str>, Refusal> {
    let texts = texts(request, field);
    check_few(texts.len(), field)?;
    Ok(texts)
}

/// Refuses more items than there may be, by the name of their field.
pub(crate) fn check_few(count: usize, field: &str) -> Result<(), Refusal> {
    match count {
        0..=MOST => Ok(()),
        _ => Err(Refusal::field(
            field,
            format!("The value has more than {MOST} items."),
        )),
    }
}

/// The texts of a list, to look others up in.
pub(crate) fn set<'a>(request: &'a Value, field: &str) -> HashSet<&'a str> {
    texts(request, field).into_iter().collect()
}

/// One of the words that the documentation names for a field.
pub(crate) fn word<'a>(
    request: &'a Value,
    field: &str,
    words: &[&str],
) -> Result<Option<&'a str>, Refusal> {
    match text(request, field) {
        Some(word) if !words.contains(&word) => Err(Refusal::field(
            field,
            format!("The value is none of {}.", words.join(", ")),
        )),
        word => Ok(word),
    }
}

/// Refuses a text whose count of characters is not in the documented range.
pub(crate) fn check_length(
    request: &Value,
    field: &str,
    least: usize,
    most: usize,
) -> Result<(), Refusal> {
    match text(request, field).map(|text| text.chars().count()) {
        Some(count) if !(least..=most).contains(&count) => Err(Refusal::field(
            field,
            format!("The value has not {least} to {most} characters."),
        )),
        _ => Ok(()),
    }
}

/// Whether a list is to be sorted downwards; upwards without the field.
pub(crate) fn descending(request: &Value, field: &str) -> Result<bool, Refusal> {
    Ok(word(request, field, &["asc", "desc"])? == Some("desc"))
}

/// The field `page_size`, 100 without it.
pub(crate) fn page_size(request: &Value) -> Result<usize, Refusal> {
    match integer(request, "page_size").map(usize::try_from) {
        None => Ok(100),
        Some(Ok(size)) if size > 0 => Ok(size),
        Some(_) => Err(Refusal::exception("page_size has to be at least 1.")),
    }
}

/// Whether one text occurs in another, upper and lower case being the same.
pub(crate) fn occurs(part: &str, text: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Whether it looks like `local@domain`.
pub(crate) fn is_address(text: &str) -> bool {
    let blank = |character: char| character.is_whitespace() || character.is_control();
    text.rsplit_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !local.contains(blank) && is_domain(domain)
    })
}

/// Whether it is one address as mail is sent from and to: `a@b.c`, `Name <a@b.c>` or
/// `"Doe, J" <a@b.c>`. A domain may have a single label here.
pub(crate) fn is_mailbox(text: &str) -> bool {
    if text.contains(char::is_control) {
        return false;
    }
    // What is quoted may be anything: a letter stands for it.
    let mut plain = String::new();
    let mut characters = text.trim().chars();
    while let Some(character) = characters.next() {
        if character != '"' {
            plain.push(character);
            continue;
        }
        loop {
            match characters.next() {
                Some('"') => break,
                Some('\\') => drop(characters.next()),
                Some(_) => {}
                None => return false,
            }
        }
        plain.push('q');
    }
    let address = match plain.split_once('<') {
        Some((name, _)) if name.contains([',', ';', '>']) => return false,
        Some((_, rest)) => rest.strip_suffix('>'),
        None => Some(plain.as_str()),
    };
    let parts = address.and_then(|address| address.split_once('@'));
    parts.is_some_and(|(local, domain)| {
        let apart = |character: char| character.is_whitespace() || "<>,;@".contains(character);
        let literal = domain.starts_with('[') && domain.ends_with(']');
        !local.is_empty()
            && !local.contains(apart)
            && (domain.split('.').all(is_label) || (literal && !domain.contains(apart)))
    })
}

/// Whether it looks like a domain of two labels or more.
pub(crate) fn is_domain(text: &str) -> bool {
    text.contains('.') && text.split('.').all(is_label)
}

/// Whether it looks like one label of a domain; letters of any alphabet count.
pub(crate) fn is_label(text: &str) -> bool {
    let inner = |character: char| character.is_alphanumeric() || "-_".contains(character);
    !text.is_empty() && text.chars().count() <= 63 && text.chars().all(inner)
}

/// What follows the `@`, in lower case; empty without one.
pub(crate) fn domain_of(address: &str) -> String {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    domain.trim().to_lowercase()
}

/// Whether an entry of a list, an address or a domain, is about an address. A domain is about its
/// own addresses only, not about those of its subdomains.
pub(crate) fn covers(entry: &str, address: &str) -> bool {
    let (entry, address) = (entry.to_lowercase(), address.to_lowercase());
    let domain = domain_of(&address);
    entry == address || (!domain.is_empty() && entry.trim_start_matches('@') == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_addresses_or_domains() {
        for (entry, address, expected) in [
            ("a@example.com", "A@Example.com", true),
            ("a@example.com", "b@example.com", false),
            ("Example.com", "b@example.COM", true),
            ("@example.com", "b@example.com", true),
            ("example.com", "b@mail.example.com", false),
            ("example.com", "example.com", true),
            ("com", "b@example.com", false),
            ("", "example.com", false),
            ("@", "example.com", false),
            ("@", "b@", false),
        ] {
            assert_eq!(covers(entry, address), expected, "{entry} {address}");
        }
    }

    #[test]
    fn mailbox_is_one_address_with_or_without_a_name() {
        for text in [
            "a@b.c",
            " a@b.c ",
            "<a@b.c>",
            "Name <a@b.c>",
            "J. Größe (sales) <a+tag@b-c.example.com>",
            "a@b.c <a@b.c>",
            r#""Doe, J" <a@b.c>"#,
            r#""a \" <x@y.z>, b" <a@b.c>"#,
            r#""a b"@example.com"#,
            "root@localhost",
            "a@[192.0.2.1]",
            "jörg@müller.example.com",
        ] {
            assert!(is_mailbox(text), "{text}");
        }
        for text in [
            "",
            " ",
            "nope",
            "@b.c",
            "a@",
            "a@b..c",
            "a b@c.d",
            "a@b c.d",
            "a@b@c.d",
            "Name",
            "Name <>",
            "Name <nope>",
            "Jane <jane@example.net",
            "Jane jane@example.net>",
            "Jane <jane@example.net> x",
            "Jane <<jane@example.net>>",
            "a@b.c,d@e.f",
            "a@b.c, d@e.f",
            "a@b.c;d@e.f",
            "a@b.c, D <d@e.f>",
            "C <a@b.c>, D <d@e.f>",
            "Doe, J <a@b.c>",
            r#""Jane <jane@example.net>"#,
            "a@b.c\r\nBcc: d@e.f",
            "A\nB <a@b.c>",
        ] {
            assert!(!is_mailbox(text), "{text}");
        }
    }

    #[test]
    fn addresses_and_domains_are_told_from_other_text() {
        for (text, address, domain) in [
            ("a@example.com", true, false),
            ("example.com", false, true),
            ("mail.example.com", false, true),
            ("example", false, false),
            ("a@example", false, false),
            ("@example.com", false, false),
            ("a b@example.com", false, false),
            ("exa mple.com", false, false),
            ("example..com", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (is_address(text), is_domain(text)),
                (address, domain),
                "{text}"
            );
        }
    }
}
