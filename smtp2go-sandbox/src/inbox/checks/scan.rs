//! Splits HTML into elements, attributes and texts, each with its line, much like a browser does.
//!
//! The time is linear, and nothing recurses: the light tokenizers for HTML recurse for each attribute
//! of an element, which overflows the stack for a hostile mail.

use std::borrow::Cow;

use memchr::{memchr, memchr_iter, memmem};

/// A part of HTML. Names are in lower case, values and texts have their references decoded.
#[derive(Debug, PartialEq)]
pub(super) enum HtmlPart<'a> {
    Start(&'a str),
    /// An attribute of the element that started last.
    Attribute(&'a str, &'a str),
    /// All attributes of the element were seen.
    Started,
    End(&'a str),
    Text(&'a str),
    Comment,
    Doctype,
}

/// Elements whose content is text up to their end tag.
const RAW: &[&str] = &[
    "iframe", "noembed", "noframes", "script", "style", "textarea", "title", "xmp",
];

/// Calls `each` with every part of the HTML and its line.
pub(super) fn scan(html: &str, each: impl FnMut(usize, HtmlPart<'_>)) {
    let mut scanner = HtmlScanner {
        html,
        place: 0,
        lines: Lines { place: 0, line: 1 },
        each,
    };
    scanner.run();
}

struct HtmlScanner<'a, F> {
    html: &'a str,
    /// Where the scanner is, in bytes.
    place: usize,
    lines: Lines,
    each: F,
}

/// Returns the lines of places, which must be in ascending order.
struct Lines {
    place: usize,
    line: usize,
}

impl Lines {
    fn at(&mut self, html: &str, place: usize) -> usize {
        let passed = html.as_bytes().get(self.place..place).unwrap_or_default();
        self.line += memchr_iter(b'\n', passed).count();
        self.place = self.place.max(place);
        self.line
    }
}

impl<'a, F: FnMut(usize, HtmlPart<'_>)> HtmlScanner<'a, F> {
    fn rest(&self) -> &'a str {
        self.html.get(self.place..).unwrap_or_default()
    }

    fn tell(&mut self, place: usize, part: HtmlPart<'_>) {
        let line = self.lines.at(self.html, place);
        (self.each)(line, part);
    }

    /// Takes the text up to the first place where `ends` is true, or up to the end.
    fn take(&mut self, ends: impl Fn(u8) -> bool) -> &'a str {
        let rest = self.rest();
        // All delimiters are ASCII, so that this is between two characters.
        let end = rest.bytes().position(ends).unwrap_or(rest.len());
        self.place += end;
        rest.get(..end).unwrap_or_default()
    }

    fn run(&mut self) {
        // Where the text began that was read last.
        let mut text = 0;
        let mut from = 0;
        while let Some(found) = memchr(b'<', self.html.as_bytes().get(from..).unwrap_or_default()) {
            let tag = from + found;
            let after = self.html.get(tag + 1..).unwrap_or_default();
            let mut bytes = after.bytes();
            let is_tag = match (bytes.next(), bytes.next()) {
                (Some(b'!' | b'?'), _) => true,
                (Some(b'/'), Some(next)) => next != b'>',
                (Some(next), _) => next.is_ascii_alphabetic(),
                (None, _) => false,
            };
            if !is_tag {
                from = tag + 1;
                continue;
            }
            self.text(text, tag);
            self.place = tag;
            self.tag(tag, after);
            (text, from) = (self.place, self.place);
        }
        self.text(text, self.html.len());
    }

    fn text(&mut self, start: usize, end: usize) {
        let text = self.html.get(start..end).unwrap_or_default();
        if !text.is_empty() {
            self.tell(start, HtmlPart::Text(&decoded(text)));
        }
    }

    /// Reads a tag, a comment or a doctype, from `<` up to and including its end.
    fn tag(&mut self, tag: usize, after: &str) {
        if after.starts_with("!--") {
            self.tell(tag, HtmlPart::Comment);
            let inside = self.html.as_bytes().get(tag + 4..).unwrap_or_default();
            self.place = comment_end(inside).map_or(self.html.len(), |end| tag + 4 + end);
            return;
        }
        if let Some(name) = after.strip_prefix('/') {
            self.place = tag + 2;
            if name.starts_with(|first: char| first.is_ascii_alphabetic()) {
                let name = self.name();
                self.tell(tag, HtmlPart::End(&name));
            }
            self.skip_to_end();
            return;
        }
        if after.starts_with(['!', '?']) {
            let is_doctype = after
                .get(1..8)
                .is_some_and(|name| name.eq_ignore_ascii_case("doctype"));
            let part = if is_doctype {
                HtmlPart::Doctype
            } else {
                HtmlPart::Comment
            };
            self.tell(tag, part);
            self.skip_to_end();
            return;
        }
        self.place = tag + 1;
        let name = self.name();
        self.tell(tag, HtmlPart::Start(&name));
        self.attributes();
        self.tell(self.place, HtmlPart::Started);
        if RAW.contains(&name.as_ref()) {
            let rest = self.rest();
            let end = raw_end(rest, &name);
            let text = rest.get(..end).unwrap_or_default();
            if !text.is_empty() {
                self.tell(self.place, HtmlPart::Text(text));
            }
            self.place += end;
        }
    }

    fn name(&mut self) -> Cow<'a, str> {
        lower(self.take(|byte| byte.is_ascii_whitespace() || byte == b'/' || byte == b'>'))
    }

    fn skip_to_end(&mut self) {
        self.take(|byte| byte == b'>');
        self.place = (self.place + 1).min(self.html.len());
    }

    /// Reads attributes up to and including the end of the tag.
    fn attributes(&mut self) {
        loop {
            self.take(|byte| !byte.is_ascii_whitespace() && byte != b'/');
            let start = self.place;
            match self.rest().bytes().next() {
                None => return,
                Some(b'>') => {
                    self.place += 1;
                    return;
                }
                // Part of the name, if it is its first character.
                Some(b'=') => self.place += 1,
                Some(_) => {}
            }
            self.take(|byte| byte.is_ascii_whitespace() || b"/>=".contains(&byte));
            let name = lower(self.html.get(start..self.place).unwrap_or_default());
            let named = self.place;
            self.take(|byte| !byte.is_ascii_whitespace());
            let value = match self.rest().strip_prefix('=') {
                Some(_) => {
                    self.place += 1;
                    self.value()
                }
                None => {
                    self.place = named;
                    ""
                }
            };
            self.tell(start, HtmlPart::Attribute(&name, &decoded(value)));
        }
    }

    fn value(&mut self) -> &'a str {
        self.take(|byte| !byte.is_ascii_whitespace());
        match self.rest().bytes().next() {
            Some(quote @ (b'"' | b'\'')) => {
                self.place += 1;
                let value = self.take(|byte| byte == quote);
                self.place = (self.place + 1).min(self.html.len());
                value
            }
            _ => self.take(|byte| byte.is_ascii_whitespace() || byte == b'>'),
        }
    }
}

/// Returns the length of a comment's text and its `-->`. `inside` is the HTML after `<!--`. `<!-->` and
/// `<!--->` are whole comments.
fn comment_end(inside: &[u8]) -> Option<usize> {
    if inside.starts_with(b">") {
        return Some(1);
    }
    if inside.starts_with(b"->") {
        return Some(2);
    }
    memmem::find(inside, b"-->").map(|end| end + 3)
}

/// Returns the place of the end tag of an element whose content is text.
fn raw_end(rest: &str, name: &str) -> usize {
    let found = memmem::find_iter(rest.as_bytes(), b"</").find(|place| {
        let tag = rest.get(place + 2..).unwrap_or_default().as_bytes();
        let ends = tag
            .get(name.len())
            .is_none_or(|next| next.is_ascii_whitespace() || *next == b'/' || *next == b'>');
        ends && tag
            .get(..name.len())
            .is_some_and(|tag| tag.eq_ignore_ascii_case(name.as_bytes()))
    });
    found.unwrap_or(rest.len())
}

fn lower(name: &str) -> Cow<'_, str> {
    match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    }
}

/// Decodes the references that URLs and short texts have: numbers, and the names below.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        decoded.push_str(before);
        // The longest is `&#x10FFFF;`.
        let end = after.bytes().take(10).position(|byte| byte == b';');
        let name = end.and_then(|end| after.get(..end)).unwrap_or_default();
        match reference(name) {
            Some(letter) => {
                decoded.push(letter);
                rest = after.get(name.len() + 1..).unwrap_or_default();
            }
            None => {
                decoded.push('&');
                rest = after;
            }
        }
    }
    decoded.push_str(rest);
    decoded.into()
}

fn reference(name: &str) -> Option<char> {
    let Some(number) = name.strip_prefix('#') else {
        return Some(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => '\u{a0}',
            "colon" => ':',
            "sol" => '/',
            "Tab" => '\t',
            "NewLine" => '\n',
            _ => return None,
        });
    };
    let code = match number.strip_prefix(['x', 'X']) {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => number.parse(),
    };
    char::from_u32(code.ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(html: &str) -> Vec<String> {
        let mut parts = Vec::new();
        scan(html, |line, part| parts.push(format!("{line} {part:?}")));
        parts
    }

    #[test]
    fn parts_have_the_line_where_they_start() {
        let html =
            "<!DOCTYPE html>\n<p\n hidden\n title='a &amp; b'>é\n<B>x</b\n><!-- c\n --><br/>";
        assert_eq!(
            parts(html),
            [
                "1 Doctype",
                "1 Text(\"\\n\")",
                "2 Start(\"p\")",
                "3 Attribute(\"hidden\", \"\")",
                "4 Attribute(\"title\", \"a & b\")",
                "4 Started",
                "4 Text(\"é\\n\")",
                "5 Start(\"b\")",
                "5 Started",
                "5 Text(\"x\")",
                "5 End(\"b\")",
                "6 Comment",
                "7 Start(\"br\")",
                "7 Started",
            ]
        );
    }

    #[test]
    fn attributes_are_read_in_any_spelling() {
        let attributes = |html: &str| {
            let mut found = Vec::new();
            scan(html, |_, part| {
                if let HtmlPart::Attribute(name, value) = part {
                    found.push(format!("{name}={value}"));
                }
            });
            found.join("|")
        };
        for (html, expected) in [
            ("<p a = b c>", "a=b|c="),
            ("<p A=\"b c\"d='\"'/e=f/g>", "a=b c|d=\"|e=f/g"),
            ("<p =a b==c>", "=a=|b==c"),
            ("<p\u{c}a=&#104;&#X69;&lt;&no;&>", "a=hi<&no;&"),
            ("<p a=\">\">", "a=>"),
            ("<p a='b", "a=b"),
            ("<p a=", "a="),
            ("<p é=ü>", "é=ü"),
            ("</p a=b><!a=b><?a=b>< p a=b>", ""),
        ] {
            assert_eq!(attributes(html), expected, "{html}");
        }
    }

    #[test]
    fn comments_and_malformed_tags_end_like_in_a_browser() {
        for (html, expected) in [
            ("a < b", "Text(\"a < b\")"),
            ("<", "Text(\"<\")"),
            ("</", "Text(\"</\")"),
            ("</>a", "Text(\"</>a\")"),
            ("<!-->a", "Comment Text(\"a\")"),
            ("<!--->a", "Comment Text(\"a\")"),
            ("<!-- -> <b> --->a", "Comment Text(\"a\")"),
            ("<!--a<b>", "Comment"),
            ("<!a>b", "Comment Text(\"b\")"),
            ("</1>b", "Text(\"b\")"),
            (
                "<script></scripts><b></SCRIPT >",
                "Start(\"script\") Started Text(\"</scripts><b>\") End(\"script\")",
            ),
            ("<title>a", "Start(\"title\") Started Text(\"a\")"),
        ] {
            let found: Vec<_> = parts(html)
                .iter()
                .map(|part| part[2..].to_owned())
                .collect();
            assert_eq!(found.join(" "), expected, "{html}");
        }
    }

    #[test]
    fn style_sheet_is_one_text() {
        assert_eq!(
            parts("<style>a<b{}</style>\n<p>"),
            [
                "1 Start(\"style\")",
                "1 Started",
                "1 Text(\"a<b{}\")",
                "1 End(\"style\")",
                "1 Text(\"\\n\")",
                "2 Start(\"p\")",
                "2 Started",
            ]
        );
    }
}
