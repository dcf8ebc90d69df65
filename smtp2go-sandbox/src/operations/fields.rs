//! Reads fields of valid requests, and compares addresses and domains.

use std::collections::HashSet;

use axum::http::Uri;
use serde_json::Value;

use crate::address;
use crate::mail::list;
use crate::refusal::Refusal;

/// Returns a string field. `None` if it is missing.
pub(crate) fn text<'a>(request: &'a Value, field: &str) -> Option<&'a str> {
    request.get(field)?.as_str()
}

/// Returns a string field that the operation requires although its schema does not.
pub(crate) fn needed<'a>(request: &'a Value, field: &str) -> Result<&'a str, Refusal> {
    text(request, field).ok_or_else(|| Refusal::field(field, "The field is required."))
}

pub(crate) fn flag(request: &Value, field: &str) -> Option<bool> {
    request.get(field)?.as_bool()
}

pub(crate) fn integer(request: &Value, field: &str) -> Option<i64> {
    request.get(field)?.as_i64()
}

/// Returns the strings of a list. Empty if the list is missing.
pub(crate) fn texts<'a>(request: &'a Value, field: &str) -> Vec<&'a str> {
    let items = list(request, field).iter();
    items.filter_map(Value::as_str).collect()
}

/// Maximum number of items of lists whose items are each compared with many values, such as search
/// terms.
const MOST: usize = 100;

/// Returns the strings of a list of at most [`MOST`] items.
pub(crate) fn few<'a>(request: &'a Value, field: &str) -> Result<Vec<&'a str>, Refusal> {
    let texts = texts(request, field);
    check_few(texts.len(), field)?;
    Ok(texts)
}

/// Refuses more than [`MOST`] items.
pub(crate) fn check_few(count: usize, field: &str) -> Result<(), Refusal> {
    match count {
        0..=MOST => Ok(()),
        _ => Err(Refusal::field(
            field,
            format!("The value has more than {MOST} items."),
        )),
    }
}

/// Returns the strings of a list as a set.
pub(crate) fn set<'a>(request: &'a Value, field: &str) -> HashSet<&'a str> {
    texts(request, field).into_iter().collect()
}

/// Returns a string field that must have one of the documented values.
pub(crate) fn word<'a>(
    request: &'a Value,
    field: &str,
    words: &[&str],
) -> Result<Option<&'a str>, Refusal> {
    match text(request, field) {
        Some(word) if !words.contains(&word) => Err(Refusal::field(
            field,
            format!("The value must be one of {}.", words.join(", ")),
        )),
        word => Ok(word),
    }
}

/// Refuses a string whose length in characters is outside the documented range.
pub(crate) fn check_length(
    request: &Value,
    field: &str,
    least: usize,
    most: usize,
) -> Result<(), Refusal> {
    match text(request, field).map(|text| text.chars().count()) {
        Some(count) if !(least..=most).contains(&count) => Err(Refusal::field(
            field,
            format!("The value must have {least} to {most} characters."),
        )),
        _ => Ok(()),
    }
}

/// Whether to sort in descending order. Default: ascending.
pub(crate) fn descending(request: &Value, field: &str) -> Result<bool, Refusal> {
    Ok(word(request, field, &["asc", "desc"])? == Some("desc"))
}

/// Returns the field `page_size`. Default: 100.
pub(crate) fn page_size(request: &Value) -> Result<usize, Refusal> {
    match integer(request, "page_size").map(usize::try_from) {
        None => Ok(100),
        Some(Ok(size)) if size > 0 => Ok(size),
        Some(_) => Err(Refusal::exception("page_size must be at least 1.")),
    }
}

/// Whether a text contains another, ignoring letter case.
pub(crate) fn occurs(part: &str, text: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}

/// Refuses a text that is not an `http` or `https` URL.
pub(crate) fn check_url(field: &str, text: &str) -> Result<(), Refusal> {
    let uri = text.parse::<Uri>().ok();
    let good = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    match good {
        true => Ok(()),
        false => Err(Refusal::field(
            field,
            "The value must be an http or https URL.",
        )),
    }
}

/// Refuses a text that is not an address without a name.
pub(crate) fn check_address(field: &str, text: &str) -> Result<(), Refusal> {
    address::check(text).map_err(|fault| Refusal::field(field, fault.refuse(text)))
}

/// Refuses a text that is neither an address nor a domain. A domain may have a leading `@`.
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

/// Whether a text has the form of a domain with at least two labels.
pub(crate) fn is_domain(text: &str) -> bool {
    text.contains('.') && address::is_domain(text)
}

/// Returns the domain of an address in lower case. Empty without an `@`.
pub(crate) fn domain_of(address: &str) -> String {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    domain.trim().to_lowercase()
}

/// Whether an entry, an address or a domain, includes an address. A domain does not include its
/// subdomains.
pub(crate) fn covers(entry: &str, address: &str) -> bool {
    let (entry, address) = (entry.to_lowercase(), address.to_lowercase());
    let domain = domain_of(&address);
    entry == address || (!domain.is_empty() && entry.trim_start_matches('@') == domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entry_covers_an_address_or_all_addresses_of_a_domain() {
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
    fn list_entry_must_be_an_address_or_a_domain() {
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
