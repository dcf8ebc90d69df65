//! The headers that a mail goes out with.

use crate::clock;
use crate::mail::{Mail, bare_address};

/// The header with the id of the schedule, which the service puts on scheduled mail.
const SCHEDULE_ID: &str = "X-Smtp2go-Schedule-Id";

impl Mail {
    /// The headers of the mail, in order: those of the MIME message, unfolded, or what the service
    /// makes of the request, with the `custom_headers` and, if none was sent, a made-up Message-ID.
    /// That of a scheduled mail also has `X-Smtp2go-Schedule-Id`. Values are not encoded, and those
    /// of a MIME message not decoded. Blind copies are left out of what the service makes.
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
                let custom = self.custom_headers();
                let given = |name: &str| {
                    let mut names = custom.iter().map(|(name, _)| *name);
                    names.any(|given| given.eq_ignore_ascii_case(name))
                };
                add("From", self.sender().to_owned());
                add("To", self.to().join(", "));
                if !self.cc().is_empty() {
                    add("Cc", self.cc().join(", "));
                }
                if let Some(subject) = self.subject() {
                    add("Subject", subject.to_owned());
                }
                if !given("Date") {
                    add("Date", clock::rfc5322(self.accepted_at()));
                }
                if !given("Message-ID") {
                    add("Message-ID", self.made_up_message_id());
                }
                for (name, value) in custom {
                    add(name, value.to_owned());
                }
            }
        }
        if let Some(id) = self.schedule_id() {
            add(SCHEDULE_ID, id.to_owned());
        }
        headers
    }

    /// The value of a header, the first if there are several; upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut headers = self.headers().into_iter();
        let found = headers.find(|(header, _)| header.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    /// The addresses of the links in the HTML, in order, as they are written there but for `&amp;`:
    /// those with `http` or `https`.
    pub fn links(&self) -> Vec<String> {
        self.html_body().map(links).unwrap_or_default()
    }

    /// The `custom_headers` of the request.
    pub(crate) fn custom_headers(&self) -> Vec<(&str, &str)> {
        let text = |header: &'_ serde_json::Value, name: &str| {
            header
                .get(name)
                .and_then(serde_json::Value::as_str)
                .is_some()
        };
        crate::mail::list(self.request(), "custom_headers")
            .iter()
            .filter(|header| text(header, "header") && text(header, "value"))
            .filter_map(|header| Some((header["header"].as_str()?, header["value"].as_str()?)))
            .collect()
    }

    /// All headers as they are written in a message.
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

    pub(crate) fn sender_address(&self) -> &str {
        bare_address(self.sender())
    }

    /// The name before the sender's address, without quotes; empty if there is none.
    pub(crate) fn sender_name(&self) -> String {
        let name = match self.sender().rsplit_once('<') {
            Some((name, _)) => name.trim(),
            None => "",
        };
        match name
            .strip_prefix('"')
            .and_then(|name| name.strip_suffix('"'))
        {
            Some(quoted) => quoted.replace("\\\"", "\"").replace("\\\\", "\\"),
            None => name.to_owned(),
        }
    }

    fn sender_domain(&self) -> &str {
        let address = self.sender_address();
        address
            .rsplit_once('@')
            .map_or("example.com", |(_, domain)| domain)
    }

    /// The sender on the envelope: at the service an address below the sender's domain.
    pub(crate) fn envelope_sender(&self) -> String {
        format!("bounces@mail.{}", self.sender_domain())
    }

    /// About how many bytes the message has.
    pub(crate) fn size(&self) -> usize {
        if let Some(message) = self.mime() {
            return message.len();
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

    fn files_encoded(&self, field: &str) -> usize {
        let files = crate::mail::list(self.request(), field).iter();
        files
            .filter_map(|file| file.get("fileblob")?.as_str())
            .map(str::len)
            .sum()
    }
}

/// The values of `href` that lead to the web.
fn links(html: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lower = html.to_ascii_lowercase();
    let mut from = 0;
    while let Some(at) = lower.get(from..).and_then(|rest| rest.find("href")) {
        from += at + "href".len();
        let rest = html.get(from..).unwrap_or_default().trim_start();
        let Some(rest) = rest.strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let value = match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => rest.get(1..).and_then(|rest| rest.split(quote).next()),
            _ => rest
                .split(|character: char| character.is_whitespace() || character == '>')
                .next(),
        };
        let value = value.unwrap_or_default().trim().replace("&amp;", "&");
        let scheme = value.get(..8).unwrap_or(&value).to_ascii_lowercase();
        if scheme.starts_with("http://") || scheme.starts_with("https://") {
            found.push(value);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_however_they_are_written() {
        let html =
            r#"<a href="https://example.com/a?b=1&amp;c=2">x</a> <A HREF='http://example.net'>
            y</a><a href=HTTPS://example.org/z>z</a><a href="mailto:a@example.com">m</a>
            <a href="javascript:alert(1)">j</a><a href="/relative">r</a> href <a href="#
                .to_owned()
                + "\"https://example.com/unclosed";
        assert_eq!(
            links(&html),
            [
                "https://example.com/a?b=1&c=2",
                "http://example.net",
                "HTTPS://example.org/z",
                "https://example.com/unclosed",
            ]
        );
        assert!(links("href=é").is_empty());
    }
}
