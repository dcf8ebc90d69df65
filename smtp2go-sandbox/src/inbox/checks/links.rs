//! The links of a mail, and what is suspicious about them. None is requested.

use std::collections::HashSet;
use std::net::IpAddr;

use serde::Serialize;

use super::scan::HtmlPart;

/// Maximum number of listed links. All are counted.
const LISTED: usize = 500;

/// Maximum number of characters of a listed link.
const SHOWN_LINK: usize = 2_000;

/// Maximum number of characters of a link's text.
const SHOWN_TEXT: usize = 200;

/// Extensions of file names that look like a host, such as `report.pdf`.
const EXTENSIONS: &[&str] = &[
    "csv", "doc", "docx", "gif", "html", "ics", "jpeg", "jpg", "md", "mp4", "pdf", "png", "ppt",
    "pptx", "svg", "txt", "webp", "xls", "xlsx", "xml", "zip",
];

/// The links of a mail.
#[derive(Debug, Default, Serialize)]
pub(crate) struct LinkReport {
    /// Number of values of `href`.
    pub(crate) links: usize,
    /// Number of values of `src`, `background` and `poster`.
    pub(crate) images: usize,
    /// Number of URLs in the plain text.
    pub(crate) text_urls: usize,
    /// Number of links with a problem.
    pub(crate) suspicious: usize,
    /// The first links in order, those of the HTML before those of the text.
    pub(crate) list: Vec<FoundLink>,
    /// There are more links than the list has.
    pub(crate) truncated: bool,
}

/// A link.
#[derive(Debug, Serialize)]
pub(crate) struct FoundLink {
    /// `link`, `image` or `text`.
    pub(crate) kind: &'static str,
    pub(crate) url: String,
    /// The text inside the link, or the image's `alt`.
    pub(crate) text: String,
    pub(crate) line: usize,
    /// Why the link is suspicious. Empty if it is not.
    pub(crate) problems: Vec<String>,
}

impl LinkReport {
    /// Number of all links.
    pub(crate) fn count(&self) -> usize {
        self.links + self.images + self.text_urls
    }

    /// The listed links, suspicious ones first.
    pub(crate) fn suspicious_first(&self) -> impl Iterator<Item = &FoundLink> {
        let listed = |suspicious: bool| {
            let list = self.list.iter();
            list.filter(move |link| link.problems.is_empty() != suspicious)
        };
        listed(true).chain(listed(false))
    }
}

/// Collects the links of a mail.
pub(super) struct LinkFinder<'a> {
    report: LinkReport,
    /// The names of the inline images.
    inlines: HashSet<&'a str>,
    element: String,
    /// The line and URL of the link whose text is being read.
    open: Option<(usize, String)>,
    text: String,
    /// The line and URL of the image whose attributes are being read.
    source: Option<(usize, String)>,
    alt: String,
}

impl<'a> LinkFinder<'a> {
    pub(super) fn new(inlines: HashSet<&'a str>) -> Self {
        Self {
            report: LinkReport::default(),
            inlines,
            element: String::new(),
            open: None,
            text: String::new(),
            source: None,
            alt: String::new(),
        }
    }

    pub(super) fn see(&mut self, line: usize, part: &HtmlPart<'_>) {
        match part {
            HtmlPart::Start(name) => {
                // A link ends where the next one starts.
                if *name == "a" {
                    self.close();
                }
                self.element.clear();
                self.element.push_str(name);
            }
            HtmlPart::Attribute("href", value) => match self.element.as_str() {
                "a" | "area" => self.open = Some((line, value.trim().to_owned())),
                "base" | "link" => {}
                _ => self.add("link", line, value.trim(), ""),
            },
            HtmlPart::Attribute("src" | "background" | "poster", value) => {
                self.source = Some((line, value.trim().to_owned()));
            }
            HtmlPart::Attribute("alt", value) => {
                self.alt.clear();
                self.alt.extend(value.chars().take(SHOWN_TEXT));
            }
            HtmlPart::Started => {
                if let Some((line, url)) = self.source.take() {
                    let alt = std::mem::take(&mut self.alt);
                    if self.open.is_some() && self.text.is_empty() {
                        self.text.push_str(&alt);
                    }
                    self.add("image", line, &url, &alt);
                }
                self.alt.clear();
                if self.element == "area" {
                    self.close();
                }
            }
            HtmlPart::Text(text) if self.open.is_some() && self.text.len() < SHOWN_TEXT => {
                self.text.extend(text.chars().take(SHOWN_TEXT));
            }
            HtmlPart::End("a") => self.close(),
            _ => {}
        }
    }

    fn close(&mut self) {
        let text = std::mem::take(&mut self.text);
        if let Some((line, url)) = self.open.take() {
            let words: Vec<_> = text.split_whitespace().collect();
            self.add("link", line, &url, &words.join(" "));
        }
    }

    /// Adds the URLs of a plain text.
    pub(super) fn text(&mut self, text: &str) {
        self.close();
        let mut line = 1;
        let mut read = 0;
        for place in memchr::memmem::find_iter(text.as_bytes(), "://") {
            let before = text.get(read..place).unwrap_or_default();
            // A URL that was read already.
            if before.is_empty() {
                continue;
            }
            let scheme = ["http", "https"].into_iter().find(|scheme| {
                let start = before.len().checked_sub(scheme.len());
                let found = start.and_then(|start| before.get(start..));
                let letter = start.and_then(|start| before.get(..start)?.chars().next_back());
                found.is_some_and(|found| found.eq_ignore_ascii_case(scheme))
                    && !letter.is_some_and(char::is_alphanumeric)
            });
            let Some(scheme) = scheme else {
                continue;
            };
            let start = place - scheme.len();
            line +=
                memchr::memchr_iter(b'\n', text.as_bytes().get(read..start).unwrap_or_default())
                    .count();
            let rest = text.get(start..).unwrap_or_default();
            let ends = |letter: char| letter.is_whitespace() || "<>\"".contains(letter);
            let url = rest.get(..rest.find(ends).unwrap_or(rest.len()));
            let url = url.unwrap_or_default();
            read = start + url.len();
            // Marks after a URL belong to the sentence.
            let url = url.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', '\'', ']']);
            self.add("text", line, url, "");
        }
    }

    fn add(&mut self, kind: &'static str, line: usize, url: &str, text: &str) {
        let problems = self.problems(kind, url, text);
        let report = &mut self.report;
        match kind {
            "link" => report.links += 1,
            "image" => report.images += 1,
            _ => report.text_urls += 1,
        }
        report.suspicious += usize::from(!problems.is_empty());
        if report.list.len() >= LISTED {
            report.truncated = true;
            return;
        }
        report.list.push(FoundLink {
            kind,
            url: cut_to(url, SHOWN_LINK),
            text: cut_to(text, SHOWN_TEXT),
            line,
            problems,
        });
    }

    fn problems(&self, kind: &str, url: &str, text: &str) -> Vec<String> {
        let mut problems = Vec::new();
        let mut add = |problem: &str| problems.push(problem.to_owned());
        if url.is_empty() {
            add("has no URL");
            return problems;
        }
        if has_placeholder(url) || has_placeholder(text) {
            add("has a placeholder that was not filled in");
        }
        let Some((scheme, rest)) = scheme(url) else {
            if !url.starts_with('#') && !has_placeholder(url) {
                add(match url.starts_with("//") || looks_like_host(url) {
                    true => "has no scheme: write https:// before it",
                    false => "is relative, and a mail has no base URL: write the whole URL",
                });
            }
            return problems;
        };
        match scheme.as_str() {
            "http" => add("uses http, not https"),
            "https" | "mailto" | "tel" | "sms" => {}
            "cid" if self.inlines.contains(rest) => {}
            "cid" => add("names no inline image of this mail"),
            "data" if kind == "image" => {}
            "javascript" | "vbscript" | "data" => add("runs code, and mail clients remove it"),
            "file" => add("leads to a file on the reader's machine"),
            _ => {}
        }
        if let "http" | "https" = scheme.as_str() {
            let (user, host) = authority(rest);
            if host.is_empty() {
                add("has no host");
            } else if is_local(&host) {
                add("leads to this machine or a private network");
            }
            if user {
                add("has a user name before the host, which hides the host");
            }
            if let Some(shown) = shown_host(text).filter(|shown| !same_host(shown, &host)) {
                problems.push(format!(
                    "shows {}, but leads to {}",
                    cut_to(&shown, 100),
                    cut_to(&host, 100)
                ));
            }
        }
        problems
    }

    pub(super) fn report(mut self) -> LinkReport {
        self.close();
        self.report
    }
}

/// Whether a text has a placeholder of a template, such as `{{name}}`.
pub(super) fn has_placeholder(text: &str) -> bool {
    let is_open = |(start, end)| {
        let rest = text.split_once(start).map(|(_, rest)| rest);
        rest.is_some_and(|rest: &str| rest.contains(end))
    };
    [("{{", "}}"), ("{%", "%}"), ("%7B%7B", "%7D%7D")]
        .into_iter()
        .any(is_open)
}

/// Splits a URL after its scheme, which is returned in lower case.
fn scheme(url: &str) -> Option<(String, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let mut letters = scheme.chars();
    let is_scheme = letters.next()?.is_ascii_alphabetic()
        && letters.all(|letter| letter.is_ascii_alphanumeric() || "+-.".contains(letter));
    // `localhost:8080` and `example.com:8080` have a port.
    let is_port = scheme != "tel" && rest.starts_with(|next: char| next.is_ascii_digit());
    let is_host = scheme.contains('.') || scheme == "localhost";
    (is_scheme && !(is_port && is_host)).then(|| (scheme.to_ascii_lowercase(), rest))
}

/// Returns whether there is a user before the host, and the host in lower case.
fn authority(rest: &str) -> (bool, String) {
    let rest = rest.trim_start_matches(['/', '\\']);
    let end = rest.find(['/', '\\', '?', '#']).unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    let (user, host) = match authority.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, authority),
    };
    let host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    (user, host.trim_end_matches('.').to_lowercase())
}

fn is_local(host: &str) -> bool {
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unspecified()
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
        Err(_) => {
            host == "localhost"
                || [".localhost", ".local", ".internal", ".test", ".home.arpa"]
                    .iter()
                    .any(|end| host.ends_with(end))
        }
    }
}

/// Whether a URL without a scheme starts with a host.
fn looks_like_host(url: &str) -> bool {
    let host = url.split(['/', '?', '#', ':']).next().unwrap_or_default();
    let (name, top) = host.rsplit_once('.').unwrap_or_default();
    let top = top.to_ascii_lowercase();
    !name.is_empty()
        && top.len() >= 2
        && top.bytes().all(|byte| byte.is_ascii_alphabetic())
        && !EXTENSIONS.contains(&top.as_str())
        && !name.contains(|letter: char| !letter.is_alphanumeric() && !"-.".contains(letter))
}

/// Returns the host that a link's text shows, if it is a URL or a host.
fn shown_host(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return None;
    }
    match scheme(text) {
        Some((scheme, rest)) if scheme == "http" || scheme == "https" => {
            Some(authority(rest).1).filter(|host| !host.is_empty())
        }
        Some(_) => None,
        None => looks_like_host(text).then(|| authority(text).1),
    }
}

fn same_host(one: &str, other: &str) -> bool {
    let bare = |host: &str| host.strip_prefix("www.").unwrap_or(host).to_owned();
    bare(one) == bare(other)
}

/// Cuts a text to a number of characters.
fn cut_to(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::scan;
    use super::*;

    fn report(html: &str, text: &str) -> LinkReport {
        let mut finder = LinkFinder::new(HashSet::from(["logo.png"]));
        scan(html, |line, part| finder.see(line, &part));
        finder.text(text);
        finder.report()
    }

    fn listed(report: &LinkReport) -> Vec<(&str, &str, &str, usize)> {
        let list = report.list.iter();
        list.map(|link| (link.kind, link.url.as_str(), link.text.as_str(), link.line))
            .collect()
    }

    #[test]
    fn links_of_both_parts_are_listed_with_their_text_and_line() {
        let html = "<a href='https://a.example/?b=1&amp;c'>Hello\n <b>Jane</b></a>\n\
                    <A HREF=https://b.example><img alt=Logo src=cid:logo.png></a>\
                    <map><area href=https://c.example></map><p background=https://d.example/x.png>\
                    <a href=#top>Top<a href=https://e.example>open";
        let text =
            "See http://f.example/a, or\n(HTTPS://g.example/b?c=d://e).\nxhttps://h https://";
        let found = report(html, text);
        assert_eq!(
            listed(&found),
            [
                ("link", "https://a.example/?b=1&c", "Hello Jane", 1),
                ("image", "cid:logo.png", "Logo", 3),
                ("link", "https://b.example", "Logo", 3),
                ("link", "https://c.example", "", 3),
                ("image", "https://d.example/x.png", "", 3),
                ("link", "#top", "Top", 3),
                ("link", "https://e.example", "open", 3),
                ("text", "http://f.example/a", "", 1),
                ("text", "HTTPS://g.example/b?c=d://e", "", 2),
                ("text", "https://", "", 3),
            ]
        );
        assert_eq!((found.links, found.images, found.text_urls), (5, 2, 3));
        assert_eq!((found.count(), found.suspicious), (10, 2));
        let first = found.suspicious_first().take(3);
        let first: Vec<_> = first.map(|link| link.url.as_str()).collect();
        assert_eq!(
            first,
            ["http://f.example/a", "https://", "https://a.example/?b=1&c"]
        );
        assert_eq!(found.suspicious_first().count(), 10);
    }

    #[test]
    fn suspicious_links_are_flagged() {
        for (url, text, expected) in [
            ("https://a.example/", "Read on", ""),
            ("https://www.a.example/", "a.example", ""),
            ("https://a.example/", "https://A.example/x", ""),
            ("https://a.example/", "report.pdf", ""),
            ("https://a.example/", "at a.example or b.example", ""),
            ("mailto:a@a.example", "a@b.example", ""),
            ("tel:123", "", ""),
            ("#a", "", ""),
            ("", "", "no URL"),
            ("http://a.example", "", "uses http"),
            ("//a.example", "", "no scheme"),
            ("www.a.example/x", "", "no scheme"),
            ("a.example:8080", "", "no scheme"),
            ("/x", "", "relative"),
            ("index.html", "", "relative"),
            ("?a", "", "relative"),
            ("JavaScript:x()", "", "runs code"),
            ("data:text/html,x", "", "runs code"),
            ("file:///etc", "", "a file on"),
            ("https://localhost:3000/x", "", "this machine"),
            ("https://10.0.0.1/", "", "private network"),
            ("https://[::1]:1/", "", "this machine"),
            ("https://a.test", "", "this machine"),
            ("https://?x", "", "no host"),
            ("https://a.example@b.example/", "", "user name"),
            ("https://a.example/{{id}}", "", "placeholder"),
            ("{{url}}", "", "placeholder"),
            ("https://a.example/", "Hi {{name}}", "placeholder"),
            (
                "https://a.example/",
                "b.example",
                "shows b.example, but leads to a.example",
            ),
            (
                "https://a.example/",
                "https://b.example/x",
                "shows b.example",
            ),
            (
                "https://a.example.b.example/",
                "www.a.example",
                "shows www.a.example",
            ),
            ("cid:logo.png", "", ""),
            ("cid:other.png", "", "no inline image"),
        ] {
            let found = LinkFinder::new(HashSet::from(["logo.png"])).problems("link", url, text);
            match expected {
                "" => assert!(found.is_empty(), "{url}: {found:?}"),
                part => assert!(
                    found.len() == 1 && found[0].contains(part),
                    "{url}: {found:?}"
                ),
            }
        }
        let image = LinkFinder::new(HashSet::new()).problems("image", "data:image/png,x", "");
        assert!(image.is_empty());
    }

    #[test]
    fn long_list_of_long_links_is_cut_but_counted() {
        let link = format!(
            "<a href=https://a.example/{}>{}</a>",
            "é".repeat(3_000),
            "x ".repeat(300)
        );
        let found = report(&link.repeat(LISTED + 10), &"http://a ".repeat(20));
        assert_eq!((found.links, found.text_urls), (LISTED + 10, 20));
        assert_eq!((found.list.len(), found.truncated), (LISTED, true));
        assert_eq!(found.list[0].url.chars().count(), SHOWN_LINK + 1);
        assert!(found.list[0].text.chars().count() <= SHOWN_TEXT + 1);
        assert_eq!(found.suspicious, 20);
    }
}
