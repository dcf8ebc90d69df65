//! Documentation of the generated items: wrapped, escaped, with limits, defaults and evidence. The
//! texts of structs, fields and the raw client's methods go through progenitor.
//!
//! In: a part of the [`View`](crate::lower::View). Out: Markdown, such as
//! `"Who gets it.\n\nFrom 1 to 3 items. Each: At most 320 characters."`

use crate::lower::{Field, Limits, Object, OpenEnum, Operation, Scalar, Shape};

/// Documentation of `extra`; progenitor emits none.
pub(crate) const EXTRA: &str = "Members that this version has no field for, under their own names.";

/// Joins paragraphs of Markdown; empty ones are left out.
fn text<S: AsRef<str>>(paragraphs: impl IntoIterator<Item = S>) -> String {
    doc_lines(paragraphs).join("\n")
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
                // Replaces any language: rustdoc would compile and run Rust, and code without a
                // language.
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

/// Returns the fence of a line that begins or ends a code block, and the text after it.
fn fence(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let mark = ['`', '~']
        .into_iter()
        .find(|mark| line.starts_with(*mark))?;
    let rest = line.trim_start_matches(mark);
    let marks = line.strip_suffix(rest)?;
    (marks.len() >= 3 && !rest.contains('`')).then(|| (marks, rest.trim()))
}

/// Documentation of a struct.
pub(crate) fn object(object: &Object) -> String {
    text([&object.description])
}

/// Documentation of a field: its description, limits, default and evidence.
pub(crate) fn field(field: &Field) -> String {
    let mut notes = Vec::new();
    notes.extend(limits(&field.shape, &field.limits));
    let item = Shape::One(field.shape.scalar().clone());
    notes.extend(limits(&item, &field.item_limits).map(|text| format!("Each: {text}")));
    if field.limits.known || field.item_limits.known {
        notes.push(
            "`validate()` refuses unlisted values, unless they are made by `unlisted`.".to_owned(),
        );
    }
    if !field.limits.refused.is_empty() {
        let refused = field.limits.refused.join(", ");
        notes.push(format!("Refused before sending: {refused}."));
    }
    if field.always_send.is_some() {
        notes.push("This client always sends it.".to_owned());
    }
    if let Some(default) = &field.default {
        notes.push(format!("Default: `{default}`."));
    }
    let deprecated = if field.deprecated { "Deprecated." } else { "" };
    text([
        &field.description,
        &notes.join(" "),
        deprecated,
        evidence(field.evidence.as_deref()),
    ])
}

fn limits(shape: &Shape, limits: &Limits) -> Option<String> {
    // The range of the number's format is checked, but not worth documenting.
    let width = [i32::MIN, i32::MAX].map(|limit| Some(f64::from(limit)));
    if [limits.minimum, limits.maximum] == width {
        return None;
    }
    let unit = match shape {
        Shape::List(_) | Shape::Map(_) => " items",
        Shape::One(Scalar::Text | Scalar::Secret | Scalar::Url) => " characters",
        Shape::One(_) => "",
    };
    let min = limits.min.map(|n| n.to_string());
    let min = min.or_else(|| limits.minimum.map(|n| n.to_string()));
    let max = limits.max.map(|n| n.to_string());
    let max = max.or_else(|| limits.maximum.map(|n| n.to_string()));
    match (min, max) {
        (Some(min), Some(max)) => Some(format!("From {min} to {max}{unit}.")),
        (Some(min), None) => Some(format!("At least {min}{unit}.")),
        (None, Some(max)) => Some(format!("At most {max}{unit}.")),
        (None, None) if !limits.one_of.is_empty() => {
            let numbers: Vec<_> = limits.one_of.iter().map(ToString::to_string).collect();
            Some(format!("One of {}.", numbers.join(", ")))
        }
        (None, None) => None,
    }
}

/// One-line summary of an operation.
pub(crate) fn summary(operation: &Operation) -> String {
    text([format!("{}.", operation.summary.trim_end_matches('.'))])
}

/// Description and facts of an operation, without method and path.
pub(crate) fn operation(operation: &Operation) -> String {
    let mut facts = vec![match (operation.kind.as_str(), operation.repeat_safe) {
        ("read", _) => "Read-only.".to_owned(),
        ("send", false) => "Not idempotent: a repeated call sends again.".to_owned(),
        (_, true) => "Idempotent.".to_owned(),
        (_, false) => "Not idempotent.".to_owned(),
    }];
    if let Some((count, seconds)) = operation.rate_limit {
        let per = match seconds {
            1 => "second",
            60 => "minute",
            3_600 => "hour",
            _ => "day",
        };
        facts.push(format!("Rate limit: {count} calls a {per}."));
    }
    if let Some(bytes) = operation.max_body_bytes {
        let size = bytes / 1_048_576;
        facts.push(format!("Maximum request size: {size} MB."));
    }
    if operation.subaccount.is_some() {
        facts.push("A key of the master account can call it for a subaccount.".to_owned());
    }
    if operation.key_in_body.is_some() {
        facts.push("This client puts the key into the body.".to_owned());
    }
    if operation.failure_in_200.is_some() {
        facts.push("A reply that does not confirm the send is an error of this client.".to_owned());
    }
    text([
        &operation.description,
        &facts.join(" "),
        evidence(operation.evidence.as_deref()),
    ])
}

/// Wraps a line at 96 columns, and escapes text that rustdoc would read as markup.
fn wrap(line: &str) -> Vec<String> {
    // A fence within a line could begin a code block in a list or after the line break.
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

/// Escapes `<`, `>`, `[` and `]` outside of code spans, and makes addresses links.
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

// Items that progenitor does not generate.

/// Documentation of a group's accessor on the client, with an example.
pub(crate) fn group(description: &str, example: &str) -> String {
    format!("{}\n\n{example}", text([description]))
}

/// Documentation of the struct that an accessor returns.
pub(crate) fn group_struct(group: &str, description: &str) -> String {
    let whole = format!("The operations of the API group `{group}`.");
    text([description, &whole])
}

/// Documentation of a group's method.
pub(crate) fn method(operation: &Operation) -> String {
    let (summary, call) = (summary(operation), call(operation));
    format!("{summary}\n\n{call}\n\n{}", self::operation(operation))
}

/// Documentation of an operation in the table.
pub(crate) fn call(operation: &Operation) -> String {
    format!("`{} {}`", operation.method, operation.path)
}

/// Documentation of a blocking method: a summary, and a link to the async method.
pub(crate) fn blocking(short: &str, method: &str) -> String {
    format!(
        "{short}\n\nBlocking; [the async method](crate::groups::{method}) has the full documentation."
    )
}

/// Documentation of a method that returns a stream of results.
pub(crate) fn stream(action: &str) -> String {
    format!(
        "Returns a stream over the results of all pages of [`{action}`](Self::{action}): see [`Items`]."
    )
}

/// Summary of a method that returns an iterator of results.
pub(crate) const ITERATOR: &str = "Returns an iterator over the results of all pages.";

/// Documentation of a request's constructor.
pub(crate) fn constructor(required: &[&str]) -> String {
    if required.is_empty() {
        return "Creates a request with no field set.".to_owned();
    }
    text([format!(
        "Creates a request with the required fields: `{}`.",
        required.join("`, `")
    )])
}

/// Documentation of the constant for a maximum.
pub(crate) fn maximum(field: &Field) -> String {
    let name = &field.wire;
    text([match field.limits.days_ahead {
        Some(_) => format!("Maximum number of days that `{name}` is ahead."),
        None => format!("Maximum number of items in `{name}`."),
    }])
}

/// Documentation of a request's setter.
pub(crate) fn setter(field: &str) -> String {
    format!("Sets [`{field}`](Self::{field}).")
}

/// Documentation of the method that fills a request with the state in a reply.
pub(crate) const BASED_ON: &str = "\
Sets every field that is not set yet to its value in `current`, and adds the members of `current` that
this version has no field for. Does not copy empty lists and masked secrets. The edit may reset
these, so set such a secret again.";

/// Documentation of an open enum.
pub(crate) fn open_enum(open_enum: &OpenEnum) -> String {
    text([&open_enum.description])
}

/// Documentation of a value of an open enum.
pub(crate) fn word(word: &str) -> String {
    if word.is_empty() {
        return "The empty value.".to_owned();
    }
    format!("`{word}`")
}

/// Returns the meaning of `x-smtp2go-evidence`, as a sentence.
fn evidence(evidence: Option<&str>) -> &'static str {
    match evidence {
        Some("live") => "Known from live traffic rather than from the vendor's schema.",
        Some("sample") => "Known from the vendor's samples rather than from its schema.",
        Some("schema") => "As in the vendor's schema; the vendor's samples differ.",
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
    fn code_blocks_are_marked_as_text() {
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
            // Within a list, and text that CommonMark does not read as a fence.
            ("- ```\n  x\n  ```", "- '''|x|```text|```"),
            ("1. ~~~", r"1. \~~~"),
            ("see ```x```", "see '''x'''"),
            // Indented code becomes text of the paragraph.
            ("before\n\n    let a = 1;\n\n\tb", "before||let a = 1;||b"),
            ("``x``", "``x``"),
        ] {
            assert_eq!(
                doc_lines([description]).join("|"),
                expected,
                "{description}"
            );
        }
        // A line break doesn't create a fence either.
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
