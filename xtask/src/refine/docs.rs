//! From the spec's descriptions to rustdoc.

use proc_macro2::TokenStream;
use quote::quote;

/// Doc attributes for paragraphs of Markdown; empty ones are left out.
pub(super) fn docs<S: AsRef<str>>(paragraphs: impl IntoIterator<Item = S>) -> TokenStream {
    let lines = doc_lines(paragraphs);
    let lines = lines.iter().map(|line| {
        if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        }
    });
    quote!(#(#[doc = #lines])*)
}

fn doc_lines<S: AsRef<str>>(paragraphs: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in paragraphs {
        let paragraph = paragraph.as_ref().trim();
        if paragraph.is_empty() {
            continue;
        }
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut open = None;
        for line in paragraph.lines() {
            match (open, fence(line)) {
                // Whatever language it names: rustdoc would compile and run Rust, which it also takes
                // code without a language for.
                (None, Some((marks, _))) => {
                    lines.push(format!("{marks}text"));
                    open = Some(marks);
                }
                (Some(marks), Some((end, ""))) if end.starts_with(marks) => {
                    lines.push(marks.to_owned());
                    open = None;
                }
                (Some(_), _) => lines.push(line.trim_end().to_owned()),
                (None, None) => lines.extend(wrap(line)),
            }
        }
        lines.extend(open.map(str::to_owned));
    }
    lines
}

/// The marks of a line that begins or ends a block of code, and what follows them.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mark = ['`', '~']
        .into_iter()
        .find(|mark| line.starts_with(*mark))?;
    let rest = line.trim_start_matches(mark);
    let marks = line.strip_suffix(rest)?;
    (marks.len() >= 3 && !rest.contains('`')).then(|| (marks, rest.trim()))
}

/// Breaks a line at 96 columns where it has spaces, and escapes what rustdoc would take for markup.
fn wrap(line: &str) -> Vec<String> {
    // Marks within a line would begin a block of code in a list, or where the line is broken.
    let line = line.replace("```", "'''").replace("~~~", "\\~~~");
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in escape(&line).split_whitespace() {
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
    fn code_blocks_are_text() {
        for (description, expected) in [
            ("```\nlet a: = <1>;\n```", "```text|let a: = <1>;|```"),
            (
                "```rust\npanic!()\n```\nafter",
                "```text|panic!()|```|after",
            ),
            ("```rust,no_run\nx\n```", "```text|x|```"),
            (
                "```json\n{\n  \"a\": 1\n}\n```",
                "```text|{|  \"a\": 1|}|```",
            ),
            ("~~~\nx\n~~~", "~~~text|x|~~~"),
            ("````\n```\nx\n````", "````text|```|x|````"),
            (
                "before\n\n  ```\n  x\n\n  y\n  ```",
                "before||```text|  x||  y|```",
            ),
            ("```\nnever ends", "```text|never ends|```"),
            // Within a list, and with what CommonMark takes for no fence.
            ("- ```\n  x\n  ```", "- '''|x|```text|```"),
            ("1. ~~~", r"1. \~~~"),
            ("see ```x```", "see '''x'''"),
            // Code by indentation is text of the paragraph.
            ("before\n\n    let a = 1;\n\n\tb", "before||let a = 1;||b"),
            ("``x``", "``x``"),
        ] {
            assert_eq!(
                doc_lines([description]).join("|"),
                expected,
                "{description}"
            );
        }
        // Nor where a line is broken.
        let long = format!("{} ```x``` ~~~", "word ".repeat(18));
        let lines = doc_lines([long]);
        assert!(lines.iter().all(|line| fence(line).is_none()), "{lines:?}");
    }

    #[test]
    fn long_lines_are_wrapped() {
        let lines = wrap(&"word ".repeat(40));
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() <= 96));
    }
}
