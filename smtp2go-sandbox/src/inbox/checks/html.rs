//! Compares the HTML of a mail with what mail clients support.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::css::{self, CssPart};
use super::scan::HtmlPart;
use super::support::KNOWN;

/// Maximum number of lines that are listed for a feature.
const LINES: usize = 5;

/// Maximum length in bytes of a name that is looked up. The features' names are shorter.
const NAME: usize = 64;

/// The features of a mail's HTML that some mail clients don't support.
#[derive(Debug, Serialize)]
pub(crate) struct HtmlReport {
    /// Number of known features in the HTML.
    pub(crate) features: usize,
    /// Percentage of clients that fully support a feature, averaged over the features. The next two
    /// fields are the percentages of partial and of missing support.
    pub(crate) supported: f64,
    pub(crate) partly_supported: f64,
    pub(crate) not_supported: f64,
    /// The features with the least support first.
    pub(crate) findings: Vec<Finding>,
    /// Only the first part of the HTML was checked.
    pub(crate) truncated: bool,
    /// Day of the data.
    pub(crate) data_date: &'static str,
}

/// A feature that some mail clients don't support.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub(crate) title: &'static str,
    /// The page about the feature.
    pub(crate) url: String,
    pub(crate) not_supported: Share,
    pub(crate) partly_supported: Share,
    /// Number of the feature's occurrences.
    pub(crate) count: usize,
    /// The first lines with the feature.
    pub(crate) lines: Vec<usize>,
}

/// A share of the clients that were tested.
#[derive(Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) percent: f64,
    /// The families of these clients. If only some platforms of a family belong to the share, they
    /// follow in parentheses.
    pub(crate) clients: Vec<String>,
}

/// The occurrences of a feature.
#[derive(Default)]
struct Hits {
    count: usize,
    lines: Vec<usize>,
}

/// Collects the features of HTML.
pub(super) struct FeatureFinder {
    hits: BTreeMap<usize, Hits>,
    /// Reused for each look-up.
    pattern: String,
    element: String,
    meta: bool,
}

impl FeatureFinder {
    pub(super) fn new() -> Self {
        Self {
            hits: BTreeMap::new(),
            pattern: String::new(),
            element: String::new(),
            meta: false,
        }
    }

    pub(super) fn see(&mut self, line: usize, part: &HtmlPart<'_>) {
        match part {
            HtmlPart::Start(name) => {
                self.element.clear();
                self.element.push_str(name.get(..NAME).unwrap_or(name));
                self.meta = *name == "meta";
                self.hit(line, "element", name);
            }
            HtmlPart::Attribute(name, value) => self.attribute(line, name, value),
            HtmlPart::Text(text) if self.element == "style" => {
                css::style_sheet(text, line, |line, part| self.css(line, &part));
            }
            HtmlPart::End(_) => self.element.clear(),
            HtmlPart::Comment => self.hit(line, "html", "comment"),
            HtmlPart::Doctype => self.hit(line, "html", "doctype"),
            HtmlPart::Started | HtmlPart::Text(_) => {}
        }
    }

    fn attribute(&mut self, line: usize, name: &str, value: &str) {
        self.hit(line, "attribute", name);
        let value = value.trim();
        match name {
            "style" => css::style_attribute(value, line, |line, part| self.css(line, &part)),
            "type" => {
                let pair = format!("{}={}", self.element, value.get(..NAME).unwrap_or(value));
                self.hit(line, "type", &pair);
            }
            "name" if self.meta => self.hit(line, "meta", value),
            "href" if value.starts_with('#') => self.hit(line, "link", "#"),
            "href" => match value.get(..7) {
                Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => {
                    self.hit(line, "link", "mailto");
                }
                _ => {}
            },
            "src" | "background" | "poster" => self.image(line, value),
            "srcset" => {
                for candidate in value.split(", ") {
                    let url = candidate.split_whitespace().next();
                    self.image(line, url.unwrap_or_default());
                }
            }
            _ => {}
        }
    }

    fn css(&mut self, line: usize, part: &CssPart<'_>) {
        match part {
            CssPart::AtRule(name, rest) => {
                self.hit(line, "at", name);
                if name.eq_ignore_ascii_case("media") {
                    for condition in rest.split('(').skip(1) {
                        let ends = |letter: char| !letter.is_alphanumeric() && letter != '-';
                        let end = condition.find(ends).unwrap_or(condition.len());
                        self.hit(line, "media", condition.get(..end).unwrap_or_default());
                    }
                }
            }
            CssPart::Selector(text) => self.selector(line, text),
            CssPart::Declaration(name, value) => {
                match name.starts_with("--") {
                    true => self.hit(line, "css", "variable"),
                    false => self.hit(line, "property", name),
                }
                self.value(line, name, value);
            }
            CssPart::Nesting => self.hit(line, "css", "nesting"),
            CssPart::Comment => self.hit(line, "css", "comment"),
        }
    }

    fn selector(&mut self, line: usize, text: &str) {
        // Whether the last simple selector is part of the same compound, and white space after it.
        let (mut compound, mut space) = (false, false);
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
            let combinator = match first {
                '>' => "child",
                '+' => "adjacent-sibling",
                '~' => "general-sibling",
                ',' => "grouping",
                _ => "",
            };
            if first.is_whitespace() {
                space = compound;
                continue;
            }
            if !combinator.is_empty() {
                self.hit(line, "selector", combinator);
                (compound, space) = (false, false);
                continue;
            }
            if compound && space {
                self.hit(line, "selector", "descendant");
                compound = false;
            }
            space = false;
            match first {
                '.' | '#' => {
                    if compound {
                        self.hit(line, "selector", "chaining");
                    }
                    let kind = if first == '.' { "class" } else { "id" };
                    self.hit(line, "selector", kind);
                    rest = after_name(rest).1;
                }
                '[' => {
                    self.hit(line, "selector", "attribute");
                    rest = rest.split_once(']').map_or("", |(_, after)| after);
                }
                ':' => {
                    let (name, after) = after_name(rest.trim_start_matches(':'));
                    self.hit(line, "pseudo", name);
                    rest = after;
                    // What is in brackets has signs of its own.
                    if let Some(inside) = rest.strip_prefix('(') {
                        rest = inside.split_once(')').map_or("", |(_, after)| after);
                    }
                }
                '*' => self.hit(line, "selector", "universal"),
                _ if first.is_alphabetic() => {
                    self.hit(line, "selector", "type");
                    rest = after_name(rest).1;
                }
                _ => {}
            }
            compound = true;
        }
    }

    fn value(&mut self, line: usize, name: &str, value: &str) {
        let mut rest = value;
        while let Some(first) = rest.chars().next() {
            if let '"' | '\'' = first {
                let inside = rest.get(1..).unwrap_or_default();
                rest = inside.split_once(first).map_or("", |(_, after)| after);
            } else if first == '#' {
                rest = after_name(rest.get(1..).unwrap_or_default()).1;
            } else if first.is_ascii_digit() {
                let number = |letter: char| letter.is_ascii_digit() || letter == '.';
                let unit = rest.trim_start_matches(number);
                if let Some(after) = unit.strip_prefix('%') {
                    self.hit(line, "unit", "%");
                    rest = after;
                } else {
                    let (unit, after) = after_name(unit);
                    self.hit(line, "unit", unit);
                    rest = after;
                }
            } else if first == '!' {
                let (word, after) = after_name(rest.get(1..).unwrap_or_default().trim_start());
                if word.eq_ignore_ascii_case("important") {
                    self.hit(line, "css", "important");
                }
                rest = after;
            } else if let Some(after) = rest.strip_prefix(['-', '+'])
                && after.starts_with(|next: char| next.is_ascii_digit() || next == '.')
            {
                rest = after;
            } else if first.is_alphabetic() || first == '-' {
                let (word, after) = after_name(rest);
                rest = after;
                if let Some(inside) = after.strip_prefix('(') {
                    self.hit(line, "function", word);
                    if word.eq_ignore_ascii_case("url") {
                        let (url, after) = inside.split_once(')').unwrap_or((inside, ""));
                        self.image(line, url.trim().trim_matches(['"', '\'']));
                        rest = after;
                    }
                } else if !word.is_empty() {
                    self.hit(line, "keyword", word);
                    if name.len() + word.len() < NAME {
                        self.hit(line, "value", &format!("{name}={word}"));
                    }
                } else {
                    rest = rest.get(1..).unwrap_or_default();
                }
            } else {
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }

    /// Records the format of an image, which it derives from the URL.
    fn image(&mut self, line: usize, url: &str) {
        if let Some((head, _)) = url
            .strip_prefix("data:")
            .and_then(|data| data.split_once(','))
        {
            if head.ends_with(";base64") {
                self.hit(line, "image", "base64");
            }
            let kind = head
                .split(';')
                .next()
                .and_then(|kind| kind.strip_prefix("image/"));
            let kind = kind.map(|kind| kind.split('+').next().unwrap_or(kind));
            self.hit(line, "image", kind.unwrap_or_default());
            return;
        }
        let path = url.split(['?', '#']).next().unwrap_or_default();
        if let Some((_, extension)) = path.rsplit_once('.') {
            self.hit(line, "image", extension);
        }
    }

    fn hit(&mut self, line: usize, kind: &str, name: &str) {
        if name.is_empty() || name.len() > NAME {
            return;
        }
        self.pattern.clear();
        let _ = write!(self.pattern, "{kind} {name}");
        self.pattern.make_ascii_lowercase();
        for place in KNOWN.find(&self.pattern) {
            let hits = self.hits.entry(*place).or_default();
            hits.count += 1;
            if hits.lines.len() < LINES && hits.lines.last() != Some(&line) {
                hits.lines.push(line);
            }
        }
    }

    pub(super) fn report(self, truncated: bool) -> HtmlReport {
        let support = &KNOWN.support;
        let mut findings = Vec::new();
        let (mut not, mut partly) = (0.0, 0.0);
        let features = self.hits.len();
        for (place, hits) in self.hits {
            let Some(feature) = support.features.get(place) else {
                continue;
            };
            let [not_supported, partly_supported] =
                ['n', 'a'].map(|letter| share(&feature.support, letter));
            not += not_supported.percent;
            partly += partly_supported.percent;
            if not_supported.clients.is_empty() && partly_supported.clients.is_empty() {
                continue;
            }
            findings.push(Finding {
                title: &feature.title,
                url: format!("https://www.caniemail.com/features/{}/", feature.slug),
                not_supported,
                partly_supported,
                count: hits.count,
                lines: hits.lines,
            });
        }
        let percents = |one: &Finding| (one.not_supported.percent, one.partly_supported.percent);
        findings.sort_by(|a, b| {
            let ((a, partly_a), (b, partly_b)) = (percents(a), percents(b));
            b.total_cmp(&a).then(partly_b.total_cmp(&partly_a))
        });
        let mean = |sum: f64| match features {
            0 => 0.0,
            // There are a few hundred features.
            features => rounded(sum / features as f64),
        };
        let (not_supported, partly_supported) = (mean(not), mean(partly));
        HtmlReport {
            features,
            supported: rounded(100.0 - not_supported - partly_supported),
            partly_supported,
            not_supported,
            findings,
            truncated,
            data_date: &support.date,
        }
    }
}

/// Returns the share of the clients whose letter in `support` is `letter`, among the clients whose
/// support is known.
fn share(support: &str, letter: char) -> Share {
    let clients = &KNOWN.support.clients;
    let known = support.chars().filter(|one| *one != 'u').count();
    let mut families: BTreeMap<&str, (usize, Vec<&str>)> = BTreeMap::new();
    for ((family, platform), one) in clients.iter().zip(support.chars()) {
        if one == 'u' {
            continue;
        }
        let (all, with) = families.entry(family).or_default();
        *all += 1;
        if one == letter {
            with.push(platform);
        }
    }
    let count: usize = families.values().map(|(_, with)| with.len()).sum();
    let named = families
        .into_iter()
        .filter(|(_, (_, with))| !with.is_empty());
    Share {
        percent: match known {
            0 => 0.0,
            known => rounded(count as f64 * 100.0 / known as f64),
        },
        clients: named
            .map(|(family, (all, with))| match with.len() == all {
                true => family.to_owned(),
                false => format!("{family} ({})", with.join(", ")),
            })
            .collect(),
    }
}

/// Rounds to one decimal.
fn rounded(percent: f64) -> f64 {
    (percent * 10.0).round() / 10.0
}

/// Splits a text after the name that it starts with.
fn after_name(text: &str) -> (&str, &str) {
    let ends = |letter: char| !letter.is_alphanumeric() && letter != '-' && letter != '_';
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn finder(html: &str) -> FeatureFinder {
        let mut finder = FeatureFinder::new();
        scan(html, |line, part| finder.see(line, &part));
        finder
    }

    fn slugs(html: &str) -> Vec<&'static str> {
        let hits = finder(html).hits.into_keys();
        hits.map(|place| KNOWN.support.features[place].slug.as_str())
            .collect()
    }

    #[test]
    fn features_are_found_where_they_occur_and_nowhere_else() {
        for (html, expected) in [
            ("", &[][..]),
            ("color: red; display: flex", &[]),
            ("<p>", &["html-p"]),
            (
                "<!doctype html><!-- x -->",
                &["html-comments", "html-doctype"],
            ),
            ("<input type=TEXT>", &["html-input-text"]),
            ("<meta name=color-scheme>", &["html-meta-color-scheme"]),
            ("<a href=#x>", &["html-anchor-links"]),
            ("<a href=MAILTO:a@example.com>", &["html-mailto-links"]),
            (
                "<b style='Display: Flex'>",
                &["css-display", "css-display-flex"],
            ),
            (
                "<b style='margin-left: 1.5em'>",
                &["css-margin", "css-unit-em"],
            ),
            ("<b style='--a: 1'>", &["css-variables"]),
            (
                "<b style='margin: -1px -.5rem'>",
                &["css-margin", "css-unit-px", "css-unit-rem"],
            ),
            (
                "<b style='left: calc(1vw + 50%) ! important'>",
                &[
                    "css-important",
                    "css-left-right-top-bottom",
                    "css-unit-calc",
                    "css-unit-percent",
                    "css-unit-vw",
                ],
            ),
            ("<b style='color: #1em; x: \"9px\"'>", &[]),
            (
                "<b background=a.webp?b.gif>",
                &["html-background", "image-webp"],
            ),
            ("<b style='x: url(\"a.svg\")'>", &["image-svg"]),
            (
                "<b poster='data:image/png;base64,aGk='>",
                &["image-base64", "image-png"],
            ),
            (
                "<style>@media (Orientation: x){}</style>",
                &["css-at-media", "css-at-media-orientation", "html-style"],
            ),
            (
                "<style>a:hover{}</style>",
                &["css-pseudo-class-hover", "css-selector-type", "html-style"],
            ),
            (
                "<style>*>#a{}</style>",
                &[
                    "css-selector-child",
                    "css-selector-id",
                    "css-selector-universal",
                    "html-style",
                ],
            ),
            (
                "<style>.a.b{}</style>",
                &["css-selector-chaining", "css-selector-class", "html-style"],
            ),
            (
                "<style>.a .b{}</style>",
                &[
                    "css-selector-class",
                    "css-selector-descendant",
                    "html-style",
                ],
            ),
            (
                "<style>.a , .b{}</style>",
                &["css-selector-class", "css-selector-grouping", "html-style"],
            ),
            (
                "<style>:nth-child(2n + 1)[a~=b]{}</style>",
                &[
                    "css-pseudo-class-nth-child",
                    "css-selector-attribute",
                    "html-style",
                ],
            ),
        ] {
            let mut expected = expected.to_vec();
            expected.sort_unstable();
            let mut found = slugs(html);
            found.sort_unstable();
            assert_eq!(found, expected, "{html}");
        }
    }

    #[test]
    fn findings_name_lines_and_clients_and_start_with_the_worst() {
        let html =
            "<p>\n<b style='display:grid'>\n<b style='display:grid'><b style='display:grid'>";
        let report = finder(html).report(false);
        assert_eq!(report.features, 3);
        let grid = &report.findings[0];
        assert_eq!((grid.title, grid.count), ("display:grid", 3));
        assert_eq!(grid.lines, [2, 3]);
        assert_eq!(
            grid.url,
            "https://www.caniemail.com/features/css-display-grid/"
        );
        let not = &grid.not_supported;
        assert!(not.percent > 10.0 && not.percent < 100.0, "{}", not.percent);
        assert!(
            not.clients
                .iter()
                .any(|client| client.starts_with("Outlook (")),
            "{not:?}"
        );
        let percents: Vec<_> = report
            .findings
            .iter()
            .map(|one| one.not_supported.percent)
            .collect();
        assert!(percents.is_sorted_by(|a, b| a >= b), "{percents:?}");
        let sum = report.supported + report.partly_supported + report.not_supported;
        assert!((sum - 100.0).abs() < 0.2, "{sum}");
    }

    #[test]
    fn share_counts_only_clients_whose_support_is_known() {
        let clients = KNOWN.support.clients.len();
        let mut support = "u".repeat(clients - 2) + "yn";
        assert_eq!(share(&support, 'n').percent, 50.0);
        support = "n".repeat(clients);
        let all = share(&support, 'n');
        assert_eq!(all.percent, 100.0);
        assert!(all.clients.contains(&"Gmail".to_owned()), "{all:?}");
        assert_eq!(share(&"u".repeat(clients), 'n').percent, 0.0);
    }
}
