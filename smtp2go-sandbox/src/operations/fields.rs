//! Reading requests that their schema allows, and comparing what they name.

use std::collections::HashSet;

use serde_json::Value;

use crate::address;
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

/// Refuses a text that is not an address alone.
pub(crate) fn check_address(field: &str, text: &str) -> Result<(), Refusal> {
    address::check(text).map_err(|fault| Refusal::field(field, fault.refuse(text)))
}

/// Refuses a text that is neither an address nor a domain, which may have an `@` before it.
pub(crate) fn check_entry(field: &str, text: &str) -> Result<(), Refusal> {
    let domain = text.strip_prefix('@').unwrap_or(text);
    if is_domain(domain) || address::check(text).is_ok() {
        return Ok(());
    }
    let found: String = text.chars().take(address::EXCERPT).collect();
    Err(Refusal::field(
        field,
        format!("Was expecting an email address or a domain, and found: {found:?}."),
    ))
}

/// Whether it looks like a domain of two labels or more.
pub(crate) fn is_domain(text: &str) -> bool {
    text.contains('.') && address::is_domain(text)
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
    fn entries_of_lists_are_checked() {
        for entry in [
            "a@example.com",
            "example.com",
            "@example.com",
            "a@localhost",
        ] {
            assert!(check_entry("field", entry).is_ok(), "{entry}");
        }
        for entry in [
            "",
            "@",
            "nope",
            "A <a@b.test>",
            "a b@example.com",
            "exa mple.com",
            "a..b",
        ] {
            assert!(check_entry("field", entry).is_err(), "{entry}");
        }
    }
}
