//! Converts the API's names to Rust's.

/// Whether a text is `lower_snake_case`, as operationIds and groups must be.
pub(crate) fn is_snake_case(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('_')
        && !text.contains("__")
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Names that generated modules import.
const TAKEN: [&str; 18] = [
    "BTreeMap",
    "Check",
    "Date",
    "Default",
    "Into",
    "IntoIterator",
    "Json",
    "Option",
    "Result",
    "Secret",
    "SecretJson",
    "SecretUrl",
    "Self",
    "String",
    "TextOrObject",
    "Timestamp",
    "Validate",
    "Vec",
];

/// Whether a text is `PascalCase` as progenitor writes it, and not a name that generated code uses
/// itself.
pub(crate) fn is_type_name(text: &str) -> bool {
    let capital = |c: &u8| c.is_ascii_uppercase();
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|c| c.is_ascii_alphanumeric())
        && !text
            .as_bytes()
            .windows(2)
            .any(|two| two.iter().all(capital))
        && !TAKEN.contains(&text)
}

/// Returns the field name of a property: `last-scan`, `lastScan` → `last_scan`.
pub(crate) fn field_name(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let starts = c.is_uppercase() && name.ends_with(|last: char| last.is_ascii_lowercase());
        if (starts || !c.is_alphanumeric()) && !name.is_empty() && !name.ends_with('_') {
            name.push('_');
        }
        if c.is_alphanumeric() {
            name.extend(c.to_lowercase());
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    name
}

/// `soft-bounced`, `email_send` → `SoftBounced`, `EmailSend`. The empty value is `None`.
pub(crate) fn pascal_case(word: &str) -> String {
    let name: String = word
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (first, rest) = part.split_at(1);
            first.to_ascii_uppercase() + rest
        })
        .collect();
    match name.chars().next() {
        None => "None".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("N{name}"),
        Some(_) if name == "Self" || name == "Unknown" => format!("{name}Word"),
        Some(_) => name,
    }
}

/// Returns an identifier, raw if it is a keyword.
pub(crate) fn identifier(word: &str) -> proc_macro2::Ident {
    syn::parse_str(word).unwrap_or_else(|_| {
        // `self`, `super`, `crate` and `Self` can't be raw.
        syn::parse_str(&format!("r#{word}")).unwrap_or_else(|_| quote::format_ident!("{word}_"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_become_rust_names() {
        for (word, name) in [
            ("soft-bounced", "SoftBounced"),
            ("sms_opt-out", "SmsOptOut"),
            ("Active", "Active"),
            ("", "None"),
            ("2fa", "N2fa"),
            ("unknown", "UnknownWord"),
        ] {
            assert_eq!(pascal_case(word), name);
        }
        assert_eq!(identifier("move").to_string(), "r#move");
        assert_eq!(identifier("view").to_string(), "view");
        assert_eq!(identifier("self").to_string(), "self_");
        assert!(is_snake_case("ip_auth_view") && !is_snake_case("ipAuth") && !is_snake_case("a_"));
        assert!(is_type_name("SmsPart2") && !is_type_name("SMSPart") && !is_type_name("Date"));
        for word in [
            "last-scan",
            "lastScan",
            "last.Scan",
            "Last Scan",
            "-last_scan-",
        ] {
            assert_eq!(field_name(word), "last_scan");
        }
    }
}
