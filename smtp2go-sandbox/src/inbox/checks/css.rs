//! Splits style sheets into rules and declarations, each with its line.

/// A part of a style sheet, as written.
#[derive(Debug, PartialEq)]
pub(super) enum CssPart<'a> {
    /// The name of an at-rule, and the text after it.
    AtRule(&'a str, &'a str),
    Selector(&'a str),
    /// The name and the value.
    Declaration(&'a str, &'a str),
    /// The start of a style rule inside another.
    Nesting,
    Comment,
}

/// What a block contains.
#[derive(Clone, Copy, PartialEq)]
enum CssBlock {
    Rules,
    /// Steps of an animation, whose selectors are percentages.
    Steps,
    Declarations,
}

/// Calls `each` with every part of a style sheet and the part's line. The first line of the style
/// sheet is `line`.
pub(super) fn style_sheet(css: &str, line: usize, each: impl FnMut(usize, CssPart<'_>)) {
    read(css, line, CssBlock::Rules, each);
}

/// Like [`style_sheet`], for the value of a `style` attribute.
pub(super) fn style_attribute(css: &str, line: usize, each: impl FnMut(usize, CssPart<'_>)) {
    read(css, line, CssBlock::Declarations, each);
}

fn read(css: &str, first: usize, outside: CssBlock, mut each: impl FnMut(usize, CssPart<'_>)) {
    let css = without_comments(css, first, &mut each);
    let mut blocks = Vec::new();
    // The text that was read since the last delimiter, and the line of its first letter.
    let (mut start, mut started) = (0, None);
    let mut line = first;
    let (mut quote, mut open) = (None, 0_usize);
    let bytes = css.as_bytes();
    let mut place = 0;
    while let Some(byte) = bytes.get(place).copied() {
        if started.is_none() && !byte.is_ascii_whitespace() {
            started = Some(line);
        }
        match (byte, quote) {
            (b'\\', _) => {
                // The next character is not a delimiter, but may be a line break.
                line += usize::from(bytes.get(place + 1) == Some(&b'\n'));
                place += 1;
            }
            // A quote without an end ends with its line.
            (b'\n', _) => {
                line += 1;
                quote = None;
            }
            (_, Some(end)) => quote = quote.filter(|_| byte != end),
            (b'"' | b'\'', None) => quote = Some(byte),
            (b'(', None) => open += 1,
            (b')', None) => open = open.saturating_sub(1),
            (b'{' | b'}' | b';', None) if open == 0 => {
                let piece = css.get(start..place).unwrap_or_default().trim();
                let inside = blocks.last().copied().unwrap_or(outside);
                let line = started.take().unwrap_or(line);
                if byte == b'{' {
                    blocks.push(block(piece, inside, line, &mut each));
                } else {
                    statement(piece, inside, line, &mut each);
                    if byte == b'}' {
                        blocks.pop();
                    }
                }
                start = place + 1;
            }
            _ => {}
        }
        place += 1;
    }
    let piece = css.get(start..).unwrap_or_default().trim();
    let inside = blocks.last().copied().unwrap_or(outside);
    statement(piece, inside, started.unwrap_or(line), &mut each);
}

/// Reports the start of a block. Returns what it contains.
fn block(
    start: &str,
    inside: CssBlock,
    line: usize,
    each: &mut impl FnMut(usize, CssPart<'_>),
) -> CssBlock {
    if let Some((name, rest)) = at_rule(start) {
        each(line, CssPart::AtRule(name, rest));
        let is = |end: &str| name.to_ascii_lowercase().ends_with(end);
        return match inside {
            _ if is("keyframes") => CssBlock::Steps,
            _ if is("font-face") || is("page") || is("property") => CssBlock::Declarations,
            inside => inside,
        };
    }
    match inside {
        CssBlock::Rules => each(line, CssPart::Selector(start)),
        CssBlock::Declarations => {
            each(line, CssPart::Nesting);
            each(line, CssPart::Selector(start));
        }
        CssBlock::Steps => {}
    }
    CssBlock::Declarations
}

/// Reports a declaration, or an at-rule without a block.
fn statement(text: &str, inside: CssBlock, line: usize, each: &mut impl FnMut(usize, CssPart<'_>)) {
    if let Some((name, rest)) = at_rule(text) {
        each(line, CssPart::AtRule(name, rest));
    } else if inside == CssBlock::Declarations
        && let Some((name, value)) = text.split_once(':')
    {
        each(line, CssPart::Declaration(name.trim(), value.trim()));
    }
}

fn at_rule(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('@')?;
    let ends = |letter: char| !letter.is_alphanumeric() && letter != '-';
    Some(text.split_at(text.find(ends).unwrap_or(text.len())))
}

/// Reports the comments, and replaces each by a space and its line breaks.
fn without_comments(css: &str, first: usize, each: &mut impl FnMut(usize, CssPart<'_>)) -> String {
    let mut text = String::with_capacity(css.len());
    let (mut rest, mut line) = (css, first);
    let breaks = |text: &str| memchr::memchr_iter(b'\n', text.as_bytes()).count();
    while let Some((before, after)) = rest.split_once("/*") {
        text.push_str(before);
        line += breaks(before);
        each(line, CssPart::Comment);
        let (comment, after) = after.split_once("*/").unwrap_or((after, ""));
        text.push(' ');
        text.extend(std::iter::repeat_n('\n', breaks(comment)));
        line += breaks(comment);
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(css: &str) -> Vec<String> {
        let mut parts = Vec::new();
        style_sheet(css, 3, |line, part| parts.push(format!("{line} {part:?}")));
        parts
    }

    #[test]
    fn rules_and_declarations_have_the_line_where_they_start() {
        let css = "@import url(a;b.css);\n/* x\n */ a,\nb { color : red;\n\n width:1px }\n\
                   @media (a) {\n c { d: e } }\n@keyframes f { 50% { g: h } }\n\
                   @font-face { src: url('x}') }";
        assert_eq!(
            parts(css),
            [
                "4 Comment",
                "3 AtRule(\"import\", \" url(a;b.css)\")",
                "5 Selector(\"a,\\nb\")",
                "6 Declaration(\"color\", \"red\")",
                "8 Declaration(\"width\", \"1px\")",
                "9 AtRule(\"media\", \" (a)\")",
                "10 Selector(\"c\")",
                "10 Declaration(\"d\", \"e\")",
                "11 AtRule(\"keyframes\", \" f\")",
                "11 Declaration(\"g\", \"h\")",
                "12 AtRule(\"font-face\", \"\")",
                "12 Declaration(\"src\", \"url('x}')\")",
            ]
        );
    }

    #[test]
    fn rule_inside_a_rule_is_reported_as_nesting() {
        assert_eq!(
            parts("a { &:hover { b: c } d: e }"),
            [
                "3 Selector(\"a\")",
                "3 Nesting",
                "3 Selector(\"&:hover\")",
                "3 Declaration(\"b\", \"c\")",
                "3 Declaration(\"d\", \"e\")",
            ]
        );
    }

    #[test]
    fn broken_style_sheet_is_read_to_its_end() {
        for css in [
            "{", "}", "}}a{b:c", "a{b:'", "a{b:(", "/*", "a{b:c\\", "@", "a{:}", "\\",
        ] {
            parts(css);
        }
        assert_eq!(
            parts("}}a{b:c").last().unwrap(),
            "3 Declaration(\"b\", \"c\")"
        );
    }

    #[test]
    fn style_attribute_is_read_as_declarations() {
        let mut parts = Vec::new();
        style_attribute("color:red; background: url(data:a;b)", 7, |line, part| {
            parts.push(format!("{line} {part:?}"));
        });
        assert_eq!(
            parts,
            [
                "7 Declaration(\"color\", \"red\")",
                "7 Declaration(\"background\", \"url(data:a;b)\")",
            ]
        );
    }
}
