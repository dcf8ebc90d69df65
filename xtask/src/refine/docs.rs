//! From the spec's descriptions to rustdoc.

use proc_macro2::TokenStream;
use quote::quote;

/// Doc attributes for paragraphs of Markdown; empty ones are left out.
pub(super) fn docs<S: AsRef<str>>(paragraphs: impl IntoIterator<Item = S>) -> TokenStream {
    let mut lines = Vec::new();
    for paragraph in paragraphs {
        let paragraph = paragraph.as_ref().trim();
        if paragraph.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        for line in paragraph.lines() {
            lines.extend(wrap(line));
        }
    }
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote!(#(#[doc = #lines])*)
}

/// Breaks a line at 96 columns where it has spaces, and escapes what rustdoc would take for markup.
fn wrap(line: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in escape(line).split_whitespace() {
        if !current.is_empty() && current.len() + word.len() > 95 {
            lines.push(std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

/// Outside code spans, `<`, `>`, `[` and `]` stand for themselves and addresses are links.
fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for (index, part) in line.split('`').enumerate() {
        if index > 0 {
            escaped.push('`');
        }
        if index % 2 == 1 {
            escaped.push_str(part);
            continue;
        }
        for (index, word) in part.split(' ').enumerate() {
            if index > 0 {
                escaped.push(' ');
            }
            if word.starts_with("https://") || word.starts_with("http://") {
                let bare = word.trim_end_matches(['.', ',', ';', ')']);
                escaped.push_str(&format!("<{bare}>{}", &word[bare.len()..]));
                continue;
            }
            for c in word.chars() {
                if matches!(c, '<' | '>' | '[' | ']' | '*') {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
        }
    }
    escaped
}

/// What `x-smtp2go-evidence` means, as a sentence.
pub(super) fn evidence(evidence: Option<&str>) -> &'static str {
    match evidence {
        Some("live") => "Known from live traffic rather than from the vendor's schema.",
        Some("sample") => "Known from the vendor's samples rather than from its schema.",
        Some("schema") => "As in the vendor's schema, against its samples.",
        Some("docs") => "Known from the vendor's guides rather than from its schema.",
        Some("inferred") => "Inferred, not documented.",
        Some("third-party") => "Reported by third parties, not documented.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_outside_code() {
        assert_eq!(
            escape("a <b> `c <d> [e]` [f] see https://example.com/x."),
            r"a \<b\> `c <d> [e]` \[f\] see <https://example.com/x>."
        );
    }

    #[test]
    fn long_lines_are_wrapped() {
        let lines = wrap(&"word ".repeat(40));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 96));
    }
}
