//! The headers of a sent mail.

use crate::address;
use crate::clock;
use crate::mail::{Mail, custom_header, list};
use crate::mime;

/// The headers that the service adds. `Date` and `Message-ID` are added unless `custom_headers` has
/// them.
const OWN: [&str; 6] = ["From", "To", "Cc", "Subject", "Date", "Message-ID"];

const HREF: &[u8] = b"href";

/// Maximum length of a link in bytes. Each click event keeps its link, and browsers may not open
/// longer ones.
const LONGEST_LINK: usize = 8 * 1024;

/// The header that the service adds to scheduled mail.
const SCHEDULE_ID: &str = "X-Smtp2go-Schedule-Id";

/// The header with a mail's tags, separated by commas.
const TAGS: &str = "X-Tags";

/// Maximum number of a mail's tags. Further ones are ignored.
const MOST_TAGS: usize = 20;

/// Maximum number of characters of a tag. Longer ones are cut.
const LONGEST_TAG: usize = 40;

impl Mail {
    /// Returns the headers of the sent mail, in order.
    ///
    /// For a MIME message, these are its headers, unfolded but not decoded. For any other mail, they
    /// are the headers that the service makes from the request, without `Bcc`, and the
    /// `custom_headers`; values are not encoded, and `Message-ID` is generated unless the request has
    /// it. A scheduled mail also has `X-Smtp2go-Schedule-Id`.
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        match self.mime_headers() {
            Some(mime) => {
                for (name, value) in mime {
                    add(name, value.trim().to_owned());
                }
            }
            None => {
                for name in OWN {
                    if let Some(value) = self.own_header(name) {
                        add(name, value);
                    }
                }
                for (name, value) in self.custom_headers() {
                    add(name, value.to_owned());
                }
            }
        }
        if let Some(id) = self.schedule_id() {
            add(SCHEDULE_ID, id.to_owned());
        }
        headers
    }

    /// Returns the value of the first header with this name, ignoring letter case.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut own = OWN.iter().filter(|_| !self.is_mime());
        let own = own.find(|own| own.eq_ignore_ascii_case(name));
        own.and_then(|own| self.own_header(own))
            .or_else(|| self.given_header(name).map(str::to_owned))
            .or_else(|| {
                let id = self.schedule_id()?;
                let wanted = name.eq_ignore_ascii_case(SCHEDULE_ID);
                wanted.then(|| id.to_owned())
            })
    }

    /// Returns the tags in the header `X-Tags`, each once.
    pub(crate) fn tags(&self) -> Vec<String> {
        tags(&mime::decoded(self.given_header(TAGS).unwrap_or_default()))
    }

    /// Returns the value of one of the [`OWN`] headers.
    fn own_header(&self, name: &str) -> Option<String> {
        match name {
            "From" => Some(self.sender().to_owned()),
            "To" => Some(self.to().join(", ")),
            "Cc" => Some(self.cc().join(", ")).filter(|cc| !cc.is_empty()),
            "Subject" => self.subject().map(str::to_owned),
            _ if self.given_header(name).is_some() => None,
            "Date" => Some(clock::rfc5322(self.accepted_at())),
            _ => Some(self.made_up_message_id()),
        }
    }

    /// Returns the `http` and `https` links of the HTML, in order, with `&amp;` decoded. Links longer
    /// than 8 KiB are left out.
    pub fn links(&self) -> Vec<String> {
        self.each_link().collect()
    }

    pub(crate) fn each_link(&self) -> impl Iterator<Item = String> {
        links(self.html_body().unwrap_or_default())
    }

    /// The `custom_headers` of the request.
    fn custom_headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let headers = list(self.fields(), "custom_headers").iter();
        headers.filter_map(custom_header)
    }

    /// Writes all headers as in a message.
    pub(crate) fn header_block(&self) -> String {
        let lines = self.headers().into_iter();
        lines
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect()
    }

    pub(crate) fn message_id(&self) -> String {
        self.header("Message-ID")
            .unwrap_or_else(|| self.made_up_message_id())
    }

    fn made_up_message_id(&self) -> String {
        format!("<{}@{}>", self.email_id(), self.sender_domain())
    }

    /// The sender's display name, without quotes. Empty if there is none.
    pub(crate) fn sender_name(&self) -> String {
        let mailbox = address::mailboxes(self.sender()).next();
        let name = mailbox
            .and_then(Result::ok)
            .map_or("", |mailbox| mailbox.name);
        address::unquoted(name)
    }

    fn sender_domain(&self) -> &str {
        let address = self.sender_address();
        address
            .rsplit_once('@')
            .map_or("example.com", |(_, domain)| domain)
    }

    /// The envelope sender: like at the service, an address in a subdomain of the sender's domain.
    pub(crate) fn envelope_sender(&self) -> String {
        format!("bounces@mail.{}", self.sender_domain())
    }

    /// Approximate size of the message in bytes.
    pub(crate) fn size(&self) -> usize {
        *self.known_size().get_or_init(|| self.find_size())
    }

    fn find_size(&self) -> usize {
        if let Some(size) = self.mime_size() {
            return size;
        }
        let files = [
            self.files_encoded("attachments"),
            self.files_encoded("inlines"),
        ];
        let bodies = [self.html_body(), self.text_body()];
        self.header_block().len()
            + bodies.into_iter().flatten().map(str::len).sum::<usize>()
            + files.into_iter().sum::<usize>()
    }
}

fn tags(value: &str) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for part in value.split(',') {
        // A search has tags with spaces in quotes.
        let words = part.split(|c: char| c.is_whitespace() || c.is_control() || c == '"');
        let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
        let tag: String = words.join(" ").chars().take(LONGEST_TAG).collect();
        let lower = tag.to_lowercase();
        if !tag.is_empty() && !tags.iter().any(|one| one.to_lowercase() == lower) {
            tags.push(tag);
        }
        if tags.len() == MOST_TAGS {
            break;
        }
    }
    tags
}

/// Finds the `http` and `https` values of `href`, in order, except those longer than
/// [`LONGEST_LINK`].
///
/// Like in a browser, the search continues after a value, so that the time is linear in the size of
/// the HTML.
fn links(html: &str) -> impl Iterator<Item = String> {
    let mut rest = html;
    std::iter::from_fn(move || {
        loop {
            let place = find_href(rest)?;
            rest = rest.get(place + HREF.len()..)?;
            let Some(value) = rest.trim_start().strip_prefix('=') else {
                continue;
            };
            let value = value.trim_start();
            let (value, after) = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let value = value.get(1..).unwrap_or_default();
                    value.split_once(quote).unwrap_or((value, ""))
                }
                _ => {
                    let ends = |character: char| character.is_whitespace() || character == '>';
                    value.split_at(value.find(ends).unwrap_or(value.len()))
                }
            };
            rest = after;
            if value.len() > LONGEST_LINK {
                continue;
            }
            let value = value.trim().replace("&amp;", "&");
            let scheme = value.get(..8).unwrap_or(&value).to_ascii_lowercase();
            if scheme.starts_with("http://") || scheme.starts_with("https://") {
                return Some(value);
            }
        }
    })
}

/// Finds the next `href`, ignoring letter case.
fn find_href(html: &str) -> Option<usize> {
    let mut places = html.as_bytes().windows(HREF.len());
    places.position(|window| window.eq_ignore_ascii_case(HREF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_separated_by_commas_and_bounded() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("welcome", &["welcome"]),
            ("Big  sale, \"new\",big sale,\tnew", &["Big sale", "new"]),
        ] {
            assert_eq!(tags(value), expected, "{value}");
        }
        let many: Vec<_> = (0..10_000).map(|number| number.to_string()).collect();
        assert_eq!(tags(&many.join(",")).len(), MOST_TAGS);
        assert_eq!(tags(&"é".repeat(100_000))[0].chars().count(), LONGEST_TAG);
    }

    #[test]
    fn links_are_found_in_any_letter_case_and_quoting() {
        let html =
            r#"<a href="https://example.com/a?b=1&amp;c=2">x</a> <A HREF='http://example.net'>
            y</a><a href=HTTPS://example.org/z>z</a><a href="mailto:a@example.com">m</a>
            <a href="javascript:alert(1)">j</a><a href="/relative">r</a> href <a href="#
                .to_owned()
                + "\"https://example.com/unclosed";
        let found: Vec<_> = links(&html).collect();
        assert_eq!(
            found,
            [
                "https://example.com/a?b=1&c=2",
                "http://example.net",
                "HTTPS://example.org/z",
                "https://example.com/unclosed",
            ]
        );
        assert_eq!(links("href=é").next(), None);
        let long = format!("href=http://{} href=http://b", "a".repeat(LONGEST_LINK));
        assert_eq!(links(&long).collect::<Vec<_>>(), ["http://b"]);
    }
}
