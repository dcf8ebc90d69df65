//! Checks of one mail: what mail clients don't support, its links, and its headers.
//!
//! Nothing is requested. The time is linear in the size of the mail.

mod css;
mod headers;
mod html;
mod links;
mod scan;
mod support;

use serde::Serialize;

use super::content::Content;
use crate::mail::Mail;

pub(super) use support::LICENCE;

use headers::{HeaderCheck, HeaderVerdict};
use html::{FeatureFinder, HtmlReport};
use links::{LinkFinder, LinkReport};

/// Maximum size in bytes of the HTML and of the text that are checked. The rest is left out.
const CHECKED: usize = 1024 * 1024;

/// The results for a mail, as the page shows them and as `/_sandbox` returns them.
#[derive(Debug, Serialize)]
pub(crate) struct MailChecks {
    /// `None` for a mail without HTML.
    pub(crate) html: Option<HtmlReport>,
    pub(crate) links: LinkReport,
    pub(crate) headers: Vec<HeaderCheck>,
}

impl MailChecks {
    pub(crate) fn of(mail: &Mail) -> Self {
        let content = Content::of(mail);
        let inlines = content.files.iter();
        let inlines = inlines.filter_map(|file| file.content_id.as_deref());
        let mut links = LinkFinder::new(inlines.collect());
        let html = content.html.map(|html| {
            let checked = first_part(html);
            let mut features = FeatureFinder::new();
            scan::scan(checked, |line, part| {
                features.see(line, &part);
                links.see(line, &part);
            });
            features.report(checked.len() < html.len())
        });
        links.text(first_part(content.text.unwrap_or_default()));
        Self {
            html,
            links: links.report(),
            headers: headers::check(mail),
        }
    }

    pub(super) fn failed(&self) -> usize {
        self.count(HeaderVerdict::Fail)
    }

    pub(super) fn warned(&self) -> usize {
        self.count(HeaderVerdict::Warn)
    }

    fn count(&self, verdict: HeaderVerdict) -> usize {
        let headers = self.headers.iter();
        headers.filter(|check| check.verdict == verdict).count()
    }
}

/// Cuts a text to [`CHECKED`] bytes.
fn first_part(text: &str) -> &str {
    let mut end = text.len().min(CHECKED);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
