//! Checks of a mail's headers, parts and size that need no network.

use std::time::{Duration, UNIX_EPOCH};

use mail_parser::DateTime;
use serde::Serialize;

use super::links::has_placeholder;
use crate::address;
use crate::inbox::view;
use crate::mail::Mail;

/// Headers that a message has at most once (RFC 5322, 2045, 2369 and 8058).
const SINGLE: &[&str] = &[
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// Maximum length of a line without its end (RFC 5322, 2.1.1).
const LONGEST_LINE: usize = 998;

/// Maximum number of characters of a subject that mail clients on a desktop show.
const LONG_SUBJECT: usize = 78;

/// Maximum length in bytes of `List-Unsubscribe`.
const LONGEST_UNSUBSCRIBE: usize = 5_000;

/// Size of HTML in bytes above which Gmail shows only the first part.
const CLIPPED: usize = 102 * 1024;

/// Size of a message in bytes above which many receivers refuse it.
const LARGE: usize = 20 * 1024 * 1024;

/// Maximum size of a message in bytes.
const LARGEST: usize = 50 * 1024 * 1024;

/// Maximum difference between `Date` and the time when the mail was accepted.
const CLOCK_SKEW: Duration = Duration::from_secs(24 * 60 * 60);

/// The result of a check.
#[derive(Debug, Serialize)]
pub(crate) struct HeaderCheck {
    pub(crate) name: &'static str,
    pub(crate) verdict: HeaderVerdict,
    /// Why the check passed, or what to change if it did not.
    pub(crate) advice: String,
}

/// Whether a check has passed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HeaderVerdict {
    Pass,
    Warn,
    Fail,
}

use HeaderVerdict::{Fail, Pass, Warn};

impl HeaderVerdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Pass => "pass",
            Warn => "warn",
            Fail => "fail",
        }
    }

    /// The CSS class.
    pub(crate) fn tone(self) -> &'static str {
        match self {
            Pass => "good",
            Warn => "warn",
            Fail => "bad",
        }
    }
}

type Found = (HeaderVerdict, String);

fn found(verdict: HeaderVerdict, advice: &str) -> Found {
    (verdict, advice.to_owned())
}

/// The headers of a mail, with the values of each name in order.
struct GivenHeaders(Vec<(String, String)>);

impl GivenHeaders {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let of_name = self.0.iter();
        let of_name = of_name.filter(move |(other, _)| other.eq_ignore_ascii_case(name));
        of_name.map(|(_, value)| value.trim())
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut all = self.0.iter();
        let found = all.find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.trim())
    }
}

/// Checks a mail. Returns failures first, then warnings, then passes.
pub(super) fn check(mail: &Mail) -> Vec<HeaderCheck> {
    let headers = GivenHeaders(mail.headers());
    let rows: [(&'static str, Found); 14] = [
        ("List-Unsubscribe", list_unsubscribe(&headers)),
        ("List-Unsubscribe-Post", one_click(&headers)),
        ("From", from(&headers)),
        ("Reply-To", reply_to(&headers)),
        ("Subject", subject(mail)),
        ("Date", date(mail, &headers)),
        ("Message-ID", message_id(&headers)),
        ("Repeated headers", repeated(&headers)),
        ("Automatic mail", automatic(&headers)),
        ("Parts", parts(mail)),
        ("Placeholders", placeholders(mail)),
        ("Long lines", lines(mail, &headers)),
        ("Size of the HTML", html_size(mail)),
        ("Size of the message", size(mail)),
    ];
    let checks = rows
        .into_iter()
        .map(|(name, (verdict, advice))| HeaderCheck {
            name,
            verdict,
            advice,
        });
    let mut checks: Vec<_> = checks.collect();
    checks.sort_by_key(|check| match check.verdict {
        Fail => 0,
        Warn => 1,
        Pass => 2,
    });
    checks
}

/// Returns the URLs in angle brackets.
fn unsubscribe_urls(value: &str) -> impl Iterator<Item = &str> {
    let parts = value.split('<').skip(1);
    parts.filter_map(|part| part.split_once('>').map(|(url, _)| url.trim()))
}

fn has_scheme(url: &str, scheme: &str) -> bool {
    let start = url.get(..scheme.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn list_unsubscribe(headers: &GivenHeaders) -> Found {
    let Some(value) = headers.get("List-Unsubscribe") else {
        return found(
            Warn,
            "Missing. Newsletters need it: add List-Unsubscribe with an https URL in angle \
             brackets. Mail that answers an action of the recipient does without.",
        );
    };
    if value.len() > LONGEST_UNSUBSCRIBE {
        found(Fail, "Longer than 5,000 characters: shorten its URLs.")
    } else if unsubscribe_urls(value).next().is_none() {
        found(Fail, "Has no URL in angle brackets: write <https://…>.")
    } else if unsubscribe_urls(value).any(|url| has_scheme(url, "https://")) {
        found(Pass, "Has an https URL.")
    } else {
        found(
            Warn,
            "Has no https URL: add one. Gmail and Yahoo require one-click unsubscribe of bulk senders.",
        )
    }
}

fn one_click(headers: &GivenHeaders) -> Found {
    let has_https = headers
        .get("List-Unsubscribe")
        .is_some_and(|value| unsubscribe_urls(value).any(|url| has_scheme(url, "https://")));
    match headers.get("List-Unsubscribe-Post") {
        Some(value) if !value.eq_ignore_ascii_case("List-Unsubscribe=One-Click") => found(
            Fail,
            "Its value must be List-Unsubscribe=One-Click (RFC 8058).",
        ),
        Some(_) if !has_https => found(
            Fail,
            "Needs an https URL in List-Unsubscribe, to which mail clients can post.",
        ),
        Some(_) => found(Pass, "Allows one-click unsubscribe (RFC 8058)."),
        None if has_https => found(
            Warn,
            "Missing: add List-Unsubscribe-Post: List-Unsubscribe=One-Click, to allow one-click \
             unsubscribe (RFC 8058).",
        ),
        None => found(Pass, "Not needed without an https URL in List-Unsubscribe."),
    }
}

/// Returns the domain of the first address of a header.
fn domain(value: &str) -> Option<String> {
    let first = address::mailboxes(value).next()?.ok()?;
    let (_, domain) = first.address.rsplit_once('@')?;
    Some(domain.to_ascii_lowercase())
}

fn from(headers: &GivenHeaders) -> Found {
    let value = headers.get("From").unwrap_or_default();
    let mut addresses = address::mailboxes(value);
    match (addresses.next(), addresses.next()) {
        (Some(Ok(_)), Some(_)) if headers.get("Sender").is_none() => found(
            Fail,
            "Has several addresses: keep one, or add the header Sender with the one that sends.",
        ),
        (Some(Ok(_)), Some(_)) => found(
            Warn,
            "Has several addresses: keep one, because DMARC checks expect one.",
        ),
        (Some(Ok(one)), None) if one.name.is_empty() => found(
            Warn,
            "Has no name: write Name <address>, which mail clients show in their lists.",
        ),
        (Some(Ok(_)), None) => found(Pass, "Has one address, with a name."),
        (None, _) => found(Fail, "Has no address."),
        (Some(Err(_)), _) => found(Fail, "Is not an address: write Name <address>."),
    }
}

fn reply_to(headers: &GivenHeaders) -> Found {
    let Some(value) = headers.get("Reply-To") else {
        return found(Pass, "Missing: replies go to From.");
    };
    match (domain(value), headers.get("From").and_then(domain)) {
        (None, _) => found(Fail, "Is not an address: replies get lost."),
        (Some(reply), Some(from)) if reply != from => found(
            Warn,
            "Has another domain than From, which some spam filters count: use the same one if you \
             can.",
        ),
        _ => found(Pass, "Has the domain of From."),
    }
}

fn subject(mail: &Mail) -> Found {
    let subject = mail.subject().unwrap_or_default().trim();
    let length = subject.chars().take(LONG_SUBJECT + 1).count();
    let is_reply = ["re:", "fw:", "fwd:"]
        .iter()
        .any(|start| has_scheme(subject, start));
    match length {
        0 => found(Fail, "Missing or empty."),
        _ if is_reply && mail.header("In-Reply-To").is_none() => found(
            Warn,
            "Looks like a reply, but In-Reply-To is missing: spam filters count that.",
        ),
        1..=LONG_SUBJECT => found(
            Pass,
            "Short enough for most mail clients. Phones show about 40 characters.",
        ),
        _ => found(
            Warn,
            "Longer than 78 characters: mail clients cut it. Put what matters first.",
        ),
    }
}

fn date(mail: &Mail, headers: &GivenHeaders) -> Found {
    let Some(value) = headers.get("Date") else {
        return found(Warn, "Missing: set it to the time when the mail is sent.");
    };
    let Some(date) = DateTime::parse_rfc822(value).filter(DateTime::is_valid) else {
        return found(
            Fail,
            "Is not a date of RFC 5322: mail clients may sort the mail wrongly.",
        );
    };
    let accepted = mail.accepted_at().duration_since(UNIX_EPOCH);
    let accepted = accepted.map_or(0, |time| i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
    match date.to_timestamp().abs_diff(accepted) > CLOCK_SKEW.as_secs() {
        true => found(
            Warn,
            "Differs from the time of sending by more than a day: check the clock.",
        ),
        false => found(Pass, "Is the time of sending."),
    }
}

fn message_id(headers: &GivenHeaders) -> Found {
    let Some(value) = headers.get("Message-ID") else {
        return found(
            Warn,
            "Missing: set one, so that replies and reports can refer to the mail.",
        );
    };
    let inside = value
        .strip_prefix('<')
        .and_then(|value| value.strip_suffix('>'));
    let parts = inside.and_then(|inside| inside.split_once('@'));
    let is_part = |part: &str| {
        !part.is_empty() && !part.contains(|c: char| c.is_whitespace() || "<>@".contains(c))
    };
    match parts {
        Some((left, right)) if is_part(left) && is_part(right) => {
            found(Pass, "Has the form <left@right>.")
        }
        _ => found(Fail, "Must have the form <left@right>, without spaces."),
    }
}

fn repeated(headers: &GivenHeaders) -> Found {
    let repeated = SINGLE
        .iter()
        .filter(|name| headers.all(name).nth(1).is_some());
    let repeated: Vec<_> = repeated.copied().collect();
    match repeated.as_slice() {
        [] => found(Pass, "No header occurs more often than allowed."),
        names => (
            Fail,
            format!("Keep only one of each: {}.", names.join(", ")),
        ),
    }
}

fn automatic(headers: &GivenHeaders) -> Found {
    let auto = headers.get("Auto-Submitted");
    let auto = auto
        .and_then(|value| value.split(';').next())
        .map(str::trim);
    let known = ["no", "auto-generated", "auto-replied", "auto-notified"];
    match auto {
        Some(value) if !known.iter().any(|one| one.eq_ignore_ascii_case(value)) => found(
            Fail,
            "Auto-Submitted must be no, auto-generated, auto-replied or auto-notified.",
        ),
        Some(_) => found(
            Pass,
            "Auto-Submitted says whether a program has written the mail.",
        ),
        None if headers.get("Precedence").is_some() => found(
            Pass,
            "Precedence keeps most vacation replies away. Auto-Submitted is the standard.",
        ),
        None => found(
            Pass,
            "Neither Auto-Submitted nor Precedence. Auto-Submitted: auto-generated keeps vacation \
             replies away.",
        ),
    }
}

fn parts(mail: &Mail) -> Found {
    let has = |part: Option<&str>| part.is_some_and(|part| !part.trim().is_empty());
    match (has(mail.html_body()), has(mail.text_body())) {
        (true, true) => found(Pass, "Has HTML and plain text."),
        (false, true) => found(Pass, "Has plain text only, which every mail client shows."),
        (true, false) => found(
            Warn,
            "Has no plain text: add it for readers and spam filters that don't take HTML.",
        ),
        (false, false) => found(Fail, "Has neither HTML nor plain text."),
    }
}

fn placeholders(mail: &Mail) -> Found {
    let places = [
        ("the subject", mail.subject()),
        ("the HTML", mail.html_body()),
        ("the plain text", mail.text_body()),
    ];
    let with = places
        .iter()
        .filter(|(_, text)| text.is_some_and(has_placeholder));
    let with: Vec<_> = with.map(|(name, _)| *name).collect();
    match with.as_slice() {
        [] => found(Pass, "No {{…}} or {%…%} was left."),
        places => (
            Warn,
            format!(
                "A placeholder such as {{{{…}}}} was left in {}.",
                places.join(" and ")
            ),
        ),
    }
}

fn lines(mail: &Mail, headers: &GivenHeaders) -> Found {
    let too_long = match mail.mime() {
        Some(message) => {
            let mut lines = message.split(|byte| *byte == b'\n');
            // A carriage return is not part of the line.
            lines.position(|line| line.strip_suffix(b"\r").unwrap_or(line).len() > LONGEST_LINE)
        }
        // The service writes the message, and can fold a header only at a space.
        None => headers.0.iter().position(|(_, value)| {
            let mut words = value.split_ascii_whitespace();
            // A folded line starts with a space.
            words.any(|word| word.len() + 1 > LONGEST_LINE)
        }),
    };
    match (too_long, mail.is_mime()) {
        (None, true) => found(Pass, "No line is longer than 998 bytes."),
        (None, false) => found(Pass, "Every header can be folded into lines of 998 bytes."),
        (Some(line), true) => (
            Fail,
            format!(
                "Line {} is longer than 998 bytes: encode the part, or break the line.",
                line + 1
            ),
        ),
        (Some(_), false) => found(
            Fail,
            "A header has a word that does not fit into a line of 998 bytes: shorten it.",
        ),
    }
}

fn html_size(mail: &Mail) -> Found {
    match mail.html_body().map_or(0, str::len) {
        0 => found(Pass, "There is no HTML."),
        bytes if bytes > CLIPPED => (
            Warn,
            format!(
                "{}: Gmail shows only the first 102 KB. Shorten it.",
                view::size(bytes)
            ),
        ),
        bytes => (
            Pass,
            format!("{}: Gmail shows all of it.", view::size(bytes)),
        ),
    }
}

fn size(mail: &Mail) -> Found {
    let bytes = mail.size();
    let size = view::size(bytes);
    match bytes {
        _ if bytes > LARGEST => (
            Fail,
            format!("{size}: more than the 50 MB that the service takes."),
        ),
        _ if bytes > LARGE => (
            Warn,
            format!("{size}: many receivers refuse more than 20 to 25 MB. Link to large files."),
        ),
        _ => (
            Pass,
            format!("About {size} with encoded files. The service takes 50 MB."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(list: &[(&str, &str)]) -> GivenHeaders {
        let list = list.iter();
        GivenHeaders(
            list.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn unsubscribe_headers_are_checked() {
        let long = format!("<https://a.example/{}>", "x".repeat(LONGEST_UNSUBSCRIBE));
        for (url, post, expected) in [
            (None, None, (Warn, Pass)),
            (
                Some("<https://a.example>"),
                Some("List-Unsubscribe=One-Click"),
                (Pass, Pass),
            ),
            (
                Some("<mailto:a@a.example>, <HTTPS://a>"),
                None,
                (Pass, Warn),
            ),
            (Some("<https://a.example>"), Some("yes"), (Pass, Fail)),
            (Some("<mailto:a@a.example>"), None, (Warn, Pass)),
            (
                Some("<mailto:a@a.example>"),
                Some("List-Unsubscribe=One-Click"),
                (Warn, Fail),
            ),
            (
                Some("<http://a.example>, <mailto:a@a.example>"),
                None,
                (Warn, Pass),
            ),
            (Some("https://a.example"), None, (Fail, Pass)),
            (Some(long.as_str()), None, (Fail, Warn)),
        ] {
            let mut list = Vec::new();
            list.extend(url.map(|url| ("list-unsubscribe", url)));
            list.extend(post.map(|post| ("List-Unsubscribe-Post", post)));
            let given = headers(&list);
            let checked = (list_unsubscribe(&given).0, one_click(&given).0);
            assert_eq!(checked, expected, "{list:?}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        for (list, expected) in [
            (&[][..], (Fail, Pass)),
            (&[("From", "A <a@a.example>")], (Pass, Pass)),
            (&[("From", "a@a.example")], (Warn, Pass)),
            (&[("From", "nobody")], (Fail, Pass)),
            (&[("From", "a@a.example, b@a.example")], (Fail, Pass)),
            (
                &[
                    ("From", "a@a.example, b@a.example"),
                    ("Sender", "a@a.example"),
                ],
                (Warn, Pass),
            ),
            (
                &[("From", "A <a@a.example>"), ("Reply-To", "b@A.example")],
                (Pass, Pass),
            ),
            (
                &[("From", "A <a@a.example>"), ("Reply-To", "b@b.example")],
                (Pass, Warn),
            ),
            (
                &[("From", "A <a@a.example>"), ("Reply-To", "b")],
                (Pass, Fail),
            ),
        ] {
            let given = headers(list);
            assert_eq!((from(&given).0, reply_to(&given).0), expected, "{list:?}");
        }
    }

    #[test]
    fn message_id_has_a_left_and_a_right_part() {
        for (value, expected) in [
            ("<a@b.example>", Pass),
            ("a@b.example", Fail),
            ("<a>", Fail),
            ("<@b>", Fail),
            ("<a b@c>", Fail),
            ("<a@b@c>", Fail),
            ("", Fail),
        ] {
            assert_eq!(
                message_id(&headers(&[("Message-Id", value)])).0,
                expected,
                "{value}"
            );
        }
        assert_eq!(message_id(&headers(&[])).0, Warn);
    }

    #[test]
    fn repeated_and_automatic_headers_are_checked() {
        let twice = headers(&[
            ("to", "a"),
            ("To", "b"),
            ("Received", "a"),
            ("Received", "b"),
        ]);
        assert_eq!(
            repeated(&twice),
            (Fail, "Keep only one of each: To.".to_owned())
        );
        assert_eq!(repeated(&headers(&[("To", "a")])).0, Pass);
        for (name, value, expected) in [
            ("Auto-Submitted", "auto-generated; x=y", Pass),
            ("Auto-Submitted", "yes", Fail),
            ("Precedence", "bulk", Pass),
            ("X", "", Pass),
        ] {
            assert_eq!(automatic(&headers(&[(name, value)])).0, expected, "{value}");
        }
    }
}
