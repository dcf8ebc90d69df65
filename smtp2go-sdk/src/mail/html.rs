//! Finds the inline images that HTML loads.

use std::collections::BTreeSet;

use memchr::memchr_iter;
use percent_encoding::percent_decode_str;

/// Elements whose content is text, or is not shown.
const OPAQUE: [&str; 8] = [
    "script", "style", "textarea", "title", "xmp", "iframe", "noembed", "template",
];

/// Returns what follows `cid:` where a mail program loads a URL: in the attributes `src`, `srcset`,
/// `background` and `poster`, and in `url()` of CSS. Leaves out text that may not be the name of an
/// image, such as a URL with a fragment or an unknown character reference.
pub(super) fn loaded_images(html: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if !has_cid(html) {
        return names;
    }
    let mut rest = html;
    while let Some((_, tag)) = rest.split_once('<') {
        rest = if let Some(comment) = tag.strip_prefix("!--") {
            after(comment, "-->")
        } else if tag.starts_with(|c: char| c.is_ascii_alphabetic()) {
            read_tag(tag, &mut names)
        } else if tag.starts_with(['!', '?', '/']) {
            after(tag, ">")
        } else {
            tag
        };
    }
    names
}

/// The text of HTML in which images can be mentioned.
pub(super) struct Mentions {
    /// The text unchanged, with character references decoded, and with percent-encoding decoded too.
    texts: [String; 3],
    /// All character references are known.
    is_certain: bool,
}

impl Mentions {
    pub(super) fn new(html: &str) -> Self {
        let (plain, is_certain) = unescape(html);
        let decoded = percent_decoded(&plain);
        Self {
            texts: [html.to_owned(), plain, decoded],
            is_certain,
        }
    }

    /// Whether `cid:` and the name of an image may be anywhere.
    pub(super) fn may_have(&self, name: &str) -> bool {
        let has_name = |text: &String| {
            text.match_indices(':').any(|(colon, _)| {
                let (before, after) = text.split_at(colon);
                let found = after.get(1..=name.len());
                ends_with_cid(before) && found.is_some_and(|found| found.eq_ignore_ascii_case(name))
            })
        };
        !self.is_certain || self.texts.iter().any(has_name)
    }
}

/// Returns whether `reference`, the text after `cid:`, refers to the image `name`.
pub(super) fn refers_to(reference: &str, name: &str) -> bool {
    reference.eq_ignore_ascii_case(name) || percent_decoded(reference).eq_ignore_ascii_case(name)
}

fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn has_cid(html: &str) -> bool {
    memchr_iter(b':', html.as_bytes()).any(|colon| html.get(..colon).is_some_and(ends_with_cid))
}

fn ends_with_cid(text: &str) -> bool {
    let end = text.len().checked_sub(3).and_then(|at| text.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case("cid"))
}

/// The text after the first `end`. Empty if there is none.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Reads a tag, without its `<`, and the content of an opaque element. Returns the text after it.
fn read_tag<'a>(tag: &'a str, names: &mut BTreeSet<String>) -> &'a str {
    let (element, mut rest) = split_at(tag, |c| c.is_ascii_whitespace() || matches!(c, '/' | '>'));
    let mut found = Vec::new();
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(content) = rest.strip_prefix('>') {
            names.extend(found);
            return skip_opaque(element, content, names);
        }
        let (name, after_name) = split_at(rest, |c| {
            c.is_ascii_whitespace() || matches!(c, '/' | '>' | '=')
        });
        if name.is_empty() && !after_name.starts_with('=') {
            // The tag has no end, so it is not shown.
            return "";
        }
        let after_name = after_name.trim_ascii_start();
        let Some(value) = after_name.strip_prefix('=').map(str::trim_ascii_start) else {
            rest = after_name;
            continue;
        };
        let (value, after_value) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let value = value.get(1..).unwrap_or_default();
                match value.split_once(quote) {
                    Some(split) => split,
                    None => return "",
                }
            }
            _ => split_at(value, |c| c.is_ascii_whitespace() || c == '>'),
        };
        rest = after_value;
        read_attribute(name, value, &mut found);
    }
}

/// Splits before the first character for which `end` is true.
fn split_at(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

fn skip_opaque<'a>(element: &str, content: &'a str, names: &mut BTreeSet<String>) -> &'a str {
    if !OPAQUE
        .iter()
        .any(|other| element.eq_ignore_ascii_case(other))
    {
        return content;
    }
    let end = content.match_indices("</").find(|(at, _)| {
        let name = content.get(at + 2..at + 2 + element.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(element))
    });
    let (content, rest) = content.split_at(end.map_or(content.len(), |(at, _)| at));
    if element.eq_ignore_ascii_case("style") {
        names.extend(css_images(content));
    }
    rest
}

fn read_attribute(name: &str, value: &str, found: &mut Vec<String>) {
    let (value, is_certain) = unescape(value);
    if !is_certain {
        return;
    }
    match name.to_ascii_lowercase().as_str() {
        "src" | "background" | "poster" => found.extend(image(&value)),
        "srcset" => found.extend(srcset_images(&value)),
        "style" => found.extend(css_images(&value)),
        _ => {}
    }
}

/// Returns what follows `cid:` in a URL, if it is certainly the name of an image.
fn image(url: &str) -> Option<String> {
    let url = url.trim();
    let name = url.get(4..).filter(|_| url.get(..4).is_some_and(has_cid))?;
    let is_certain = !name.is_empty() && !name.contains(['#', '?', '\\']);
    is_certain.then(|| name.to_owned())
}

/// The images among the candidates of a `srcset`, such as `cid:a.png 1x, cid:b.png 2x`.
fn srcset_images(srcset: &str) -> Vec<String> {
    let mut images = Vec::new();
    let mut rest = srcset;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let (url, after_url) = split_at(rest, |c| c.is_ascii_whitespace());
        if url.is_empty() {
            return images;
        }
        images.extend(image(url.trim_end_matches(',')));
        // A comma at the end of the URL ends the candidate, too.
        rest = if url.ends_with(',') {
            after_url
        } else {
            after(after_url, ",")
        };
    }
}

/// The images in `url()`, outside of comments and strings.
fn css_images(css: &str) -> Vec<String> {
    let mut images = Vec::new();
    let mut rest = css;
    let mut in_word = false;
    while let Some(c) = rest.chars().next() {
        let after_c = rest.get(c.len_utf8()..).unwrap_or_default();
        let is_url = !in_word
            && rest
                .get(..4)
                .is_some_and(|f| f.eq_ignore_ascii_case("url("));
        in_word = c.is_alphanumeric() || matches!(c, '-' | '_' | '\\');
        rest = if let Some(comment) = rest.strip_prefix("/*") {
            after(comment, "*/")
        } else if matches!(c, '"' | '\'') {
            skip_string(after_c, c)
        } else if is_url {
            let url = rest.get(4..).unwrap_or_default().trim_ascii_start();
            let quote = url.chars().next().filter(|c| matches!(c, '"' | '\''));
            let unquoted = quote
                .and_then(|quote| url.strip_prefix(quote))
                .unwrap_or(url);
            match unquoted.split_once(quote.unwrap_or(')')) {
                Some((url, after_url)) => {
                    images.extend(image(url));
                    after_url
                }
                None => "",
            }
        } else {
            after_c
        };
    }
    images
}

/// The text after a string of CSS, which may have escaped quotes.
fn skip_string(text: &str, quote: char) -> &str {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let ends = *c == quote && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        ends
    });
    end.and_then(|(at, c)| text.get(at + c.len_utf8()..))
        .unwrap_or_default()
}

/// Replaces the character references that are common in URLs and styles. Also returns whether no
/// other reference is left.
fn unescape(text: &str) -> (String, bool) {
    let mut plain = String::with_capacity(text.len());
    let mut is_certain = true;
    let mut rest = text;
    while let Some((before, reference)) = rest.split_once('&') {
        plain.push_str(before);
        // The longest known name is `#x10FFFF`.
        let end = reference.bytes().take(10).position(|byte| byte == b';');
        let known = end.and_then(|end| {
            let name = reference.get(..end)?;
            Some((character(name)?, reference.get(end + 1..)?))
        });
        rest = match known {
            Some((c, after)) => {
                plain.push(c);
                after
            }
            None => {
                plain.push('&');
                is_certain &= !reference.starts_with(|c: char| c == '#' || c.is_alphanumeric());
                reference
            }
        };
    }
    plain.push_str(rest);
    (plain, is_certain)
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "apos" => Some('\''),
        "gt" => Some('>'),
        "lt" => Some('<'),
        "quot" => Some('"'),
        _ => {
            let number = name.strip_prefix('#')?;
            let number = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(number.ok()?)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mentions_image(html: &str, name: &str) -> bool {
        Mentions::new(html).may_have(name)
    }

    #[test]
    fn image_is_loaded_where_html_loads_a_url() {
        for (html, name) in [
            (r#"<img src="cid:a.png">"#, "a.png"),
            ("<img src='CID:a.png'>", "a.png"),
            ("<IMG SRC=cid:a.png>", "a.png"),
            ("<img\nalt\n=\nx\nsrc =\n cid:a.png>", "a.png"),
            ("<img src=cid:a.png />", "a.png"),
            ("<img hidden src=\" cid:a.png \"/>", "a.png"),
            ("<img alt=\"a > b\" src=\"cid:a.png\">", "a.png"),
            (r#"<img alt="x" src="cid:a%2Eb&amp;c.png">"#, "a.b&c.png"),
            (r#"<img src="cid:%zz%C3%A9.png">"#, "%zzé.png"),
            (r#"<img src="cid:logo(1).png">"#, "logo(1).png"),
            ("<img src=cid:logo(1).png>", "logo(1).png"),
            (r#"<img src="cid:ana's.png">"#, "ana's.png"),
            (r#"<img src="cid:ana&#39;s.png">"#, "ana's.png"),
            (r#"<img src="cid:ana&#x27;s.png">"#, "ana's.png"),
            (r#"<img srcset="cid:a.png, x">"#, "a.png"),
            (r#"<img srcset="x 1x, cid:a.png 2x">"#, "a.png"),
            (r#"<table background="cid:a.png">"#, "a.png"),
            (r#"<video poster="cid:a.png">"#, "a.png"),
            (r#"<i style="background: url('cid:a.png')">"#, "a.png"),
            (r#"<i style="background: URL( cid:a.png )">"#, "a.png"),
            (
                r#"<i style="background: url(&quot;cid:a(1).png&quot;)">"#,
                "a(1).png",
            ),
            (
                r#"<i style="content: 'x\'y' url(&#39;cid:a.png&#39;)">"#,
                "a.png",
            ),
            ("<style>i { background: url(cid:a.png) }</style>", "a.png"),
            (
                "<STYLE>/* x */ i { background: url('cid:a.png') }</Style>",
                "a.png",
            ),
            ("<!-- x --><img src=cid:a.png>", "a.png"),
            ("<![if !mso]><img src=cid:a.png><![endif]>", "a.png"),
            ("<title>x</title><p>1 < 2</p><img src=cid:a.png>", "a.png"),
        ] {
            let found = loaded_images(html);
            assert_eq!(found.len(), 1, "{html}");
            assert!(found.iter().all(|found| refers_to(found, name)), "{html}");
            assert!(mentions_image(html, name), "{html}");
        }
        let both = loaded_images(r#"<img srcset="cid:a.png 1x,cid:b.png 2x" src="cid:c.png">"#);
        assert_eq!(
            both.into_iter().collect::<Vec<_>>(),
            ["a.png", "b.png", "c.png"]
        );
    }

    #[test]
    fn image_mentioned_where_html_loads_no_url_is_not_loaded() {
        for html in [
            r#"<a href="cid:a.png">x</a>"#,
            r#"<img data-src="cid:a.png">"#,
            r#"<input value="cid:a.png">"#,
            r#"<img alt="src=cid:a.png">"#,
            r#"<img alt='<img src="cid:a.png">'>"#,
            r#"<p>write "cid:a.png" there</p>"#,
            "<p>an image (cid:a.png), src=cid:a.png, url(cid:a.png)</p>",
            "<code>&lt;img src=\"cid:a.png\"&gt;</code>",
            "<!-- <img src=\"cid:a.png\"> -->",
            "<!--[if mso]><v:fill src=\"cid:a.png\"/><![endif]-->",
            "<textarea><img src=cid:a.png></textarea>",
            "<script>x = '<img src=cid:a.png>'</script>",
            "<style>/* url(cid:a.png) */</style>",
            "<style>i::after { content: \"url(cid:a.png)\" }</style>",
            "<style>i { x: curl(cid:a.png) }</style>",
            r#"<img src="x?y=cid:a.png">"#,
            r#"<img src="cid:a.png#icon">"#,
            r#"<img src="cid:a.png&copy;">"#,
            r#"<img src="cid:a.png"#,
            "<img src=cid:a.png",
            "< img src=cid:a.png>",
            "cid:a.png",
            "<p>cid:a%2Epng</p>",
            "<p>CID:a&#46;png</p>",
            "<p>cid:A.PNG</p>",
            // An unknown character reference.
            "<img src='cid&colon;a.png'>",
        ] {
            assert!(loaded_images(html).is_empty(), "{html}");
            assert!(mentions_image(html, "a.png"), "{html}");
        }
    }

    #[test]
    fn ampersands_take_linear_time() {
        let html = format!("<p title='{}'>cid:x", "&".repeat(1 << 20));
        assert!(loaded_images(&html).is_empty());
        assert!(!mentions_image(&html, "a.png"));
    }

    #[test]
    fn html_without_a_reference_to_the_image_does_not_mention_it() {
        for html in [
            "",
            ":",
            "cid",
            "é:cid",
            "<p>a.png</p>",
            "<img src=\"a.png\">",
            "<img src=\"cid:\">",
            "<img src=\"cid:b.png\">",
        ] {
            assert!(!mentions_image(html, "a.png"), "{html}");
        }
        assert!(loaded_images("<img src=\"cid:\"><img src=cid>").is_empty());
    }
}
