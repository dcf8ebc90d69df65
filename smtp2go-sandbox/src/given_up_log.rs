//! The program's log of webhook deliveries that were given up.

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use smtp2go_sandbox::WebhookDelivery;

/// Maximum number of lines in a [`WINDOW`]. Further deliveries are counted in one line.
const LINES: usize = 10;

/// Time after which a new count of lines starts.
pub(crate) const WINDOW: Duration = Duration::from_secs(10);

/// Maximum number of characters of a URL or an error in a line.
const SHOWN: usize = 200;

/// Limits the number of lines, so that many deliveries that are given up don't flood the log.
#[derive(Debug, Default)]
pub(crate) struct GivenUpLog(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    lines: usize,
    /// Number of deliveries without a line of their own.
    more: usize,
}

impl GivenUpLog {
    /// Returns the line of a delivery. `None` beyond the limit.
    pub(crate) fn line(&self, delivery: &WebhookDelivery) -> Option<String> {
        self.takes_line().then(|| {
            let last = delivery.attempts().last();
            let outcome = match last.map(|last| (last.status(), last.error())) {
                Some((Some(status), _)) => format!("status {status}"),
                Some((None, Some(error))) => error.to_owned(),
                _ => "no attempt".to_owned(),
            };
            let kind = delivery.event().kind().webhook_name();
            write_line(delivery.url(), kind, delivery.attempts().len(), &outcome)
        })
    }

    fn takes_line(&self) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let takes = window.lines < LINES;
        match takes {
            true => window.lines += 1,
            false => window.more += 1,
        }
        takes
    }

    /// Starts a new window. Returns a line with the number of deliveries that got no line of their own
    /// in the previous window, if there were any.
    pub(crate) fn end_window(&self) -> Option<String> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Window { more, .. } = std::mem::take(&mut *window);
        match more {
            0 => None,
            1 => Some("gave up 1 more webhook delivery".to_owned()),
            more => Some(format!("gave up {more} more webhook deliveries")),
        }
    }
}

/// Writes a line with the host and path of the URL: the rest may contain secrets.
fn write_line(url: &str, event: &str, attempts: usize, outcome: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let times = if attempts == 1 { "attempt" } else { "attempts" };
    let mut line = String::from("gave up a webhook delivery: ");
    for letter in host.chars().chain(path.chars()).take(SHOWN) {
        // Writing to memory does not fail.
        let _ = write!(line, "{}", letter.escape_debug());
    }
    let _ = write!(line, " {event} after {attempts} {times}: ");
    for letter in outcome.chars().take(SHOWN) {
        match letter {
            '"' | '\'' => line.push(letter),
            letter => {
                let _ = write!(line, "{}", letter.escape_debug());
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_has_host_and_path_but_no_secrets() {
        for (url, shown) in [
            (
                "http://user:pass@127.0.0.1:9/hook?key=secret#x",
                "127.0.0.1:9/hook",
            ),
            ("https://example.com", "example.com"),
            ("https://example.com?key=a@b/c", "example.com"),
            ("http://a@b@example.com/x@y", "example.com/x@y"),
            ("http://example.com/\u{1b}\n", "example.com/\\u{1b}\\n"),
        ] {
            assert_eq!(
                write_line(url, "open", 35, "status 500"),
                format!("gave up a webhook delivery: {shown} open after 35 attempts: status 500")
            );
        }
        let long = "é".repeat(5_000);
        let line = write_line(&long, "open", 1, &long);
        assert!(line.chars().count() < 500, "{line}");
        assert!(line.contains(" open after 1 attempt: é"), "{line}");
    }

    #[test]
    fn deliveries_beyond_the_limit_are_counted_in_one_line() {
        let log = GivenUpLog::default();
        assert_eq!(log.end_window(), None);
        let lines = (0..25).filter(|_| log.takes_line()).count();
        assert_eq!(lines, LINES);
        let summary = log.end_window();
        assert_eq!(
            summary.as_deref(),
            Some("gave up 15 more webhook deliveries")
        );
        assert!(log.takes_line());
        assert_eq!(log.end_window(), None);
    }
}
