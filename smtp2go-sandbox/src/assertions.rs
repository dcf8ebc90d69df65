//! Assertions whose failure message lists what was received.
// Assertions panic.
#![allow(clippy::panic)]

use std::fmt::Write;
use std::sync::Arc;

use crate::call::Call;
use crate::keep::{Log, LogLimits};
use crate::mail::Mail;
use crate::sandbox::Sandbox;

/// Maximum number of characters of a mail's text in [`Sandbox::received`].
const EXCERPT: usize = 60;

impl Sandbox {
    /// Returns the first mail for which `matches` returns true.
    ///
    /// ```
    /// use smtp2go_sandbox::Sandbox;
    ///
    /// # fn sign_up(address: &str, sandbox: &Sandbox) {
    /// #     use std::io::{Read, Write};
    /// #     let at = sandbox.base_url().trim_start_matches("http://").trim_end_matches("/v3");
    /// #     let mut stream = std::net::TcpStream::connect(at).unwrap();
    /// #     let mail = format!(
    /// #         r#"{{"sender":"a@example.com","to":["{address}"],"subject":"Welcome","text_body":"Hello"}}"#
    /// #     );
    /// #     write!(
    /// #         stream,
    /// #         "POST /v3/email/send HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\
    /// #          X-Smtp2go-Api-Key: {}\r\nContent-Length: {}\r\n\r\n{mail}",
    /// #         sandbox.key(),
    /// #         mail.len(),
    /// #     ).unwrap();
    /// #     stream.read_to_string(&mut String::new()).unwrap();
    /// # }
    /// # fn main() -> std::io::Result<()> {
    /// let sandbox = Sandbox::start_blocking()?;
    /// sign_up("jane@example.net", &sandbox);
    /// let mail = sandbox.assert_mail(|mail| mail.to() == ["jane@example.net"]);
    /// assert_eq!(mail.subject(), Some("Welcome"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if no mail matches. The message contains [`received`](Self::received): all mails, how
    /// many were dropped, and the calls that failed.
    #[track_caller]
    pub fn assert_mail(&self, matches: impl Fn(&Mail) -> bool) -> Mail {
        match self.mails().into_iter().find(matches) {
            Some(mail) => mail,
            None => panic!("no mail matches; {}", self.received()),
        }
    }

    /// Asserts that `count` mails were received, including dropped ones. Returns the mails that are
    /// kept.
    ///
    /// # Panics
    ///
    /// Panics if more or fewer mails were received. The message contains
    /// [`received`](Self::received).
    #[track_caller]
    pub fn assert_mails(&self, count: usize) -> Vec<Mail> {
        let (mails, total) = {
            let world = self.shared.world();
            (world.mails.to_vec(), world.mails.total())
        };
        if total != count {
            panic!("expected {count} mails; {}", self.received());
        }
        mails
    }

    /// Asserts that no mail was received. Does not wait: mail that is sent in the background may
    /// still arrive later.
    ///
    /// # Panics
    ///
    /// Panics if a mail was received. The message contains [`received`](Self::received).
    #[track_caller]
    pub fn assert_no_mail(&self) {
        self.assert_mails(0);
    }

    /// Describes what was received, for the message of a failed test: a line for each mail, and one
    /// for each call that was refused, failed, had a fault or had ignored fields.
    pub fn received(&self) -> String {
        let world = self.shared.world();
        let (mails, calls) = (world.mails.clone(), world.calls.clone());
        let budget = world.ledger.budget();
        drop(world);
        describe(&mails, &calls, budget)
    }
}

fn describe(mails: &Log<Mail>, calls: &Log<Arc<Call>>, budget: LogLimits) -> String {
    let mut text = match mails.total() {
        0 => "no mail was received".to_owned(),
        1 => "1 mail was received:".to_owned(),
        count => format!("{count} mails were received:"),
    };
    if mails.dropped() > 0 {
        // Writing to a String does not fail.
        let _ = write!(
            text,
            "\n  the oldest {} of them were dropped (keep_mails {}, keep_bytes {})",
            mails.dropped(),
            budget.mails,
            budget.bytes,
        );
    }
    for (index, mail) in mails.numbered() {
        let subject = mail.subject().unwrap_or_default();
        let body = mail.text_body().or_else(|| mail.html_body());
        let _ = write!(
            text,
            "\n  {}. {} -> {}: {subject:?} {:?} ({})",
            index + 1,
            mail.sender(),
            mail.recipients().join(", "),
            excerpt(body.unwrap_or_default()),
            mail.operation(),
        );
    }
    let odd: Vec<_> = calls.iter().filter(|call| call.is_odd()).collect();
    let _ = match (calls.total(), odd.len()) {
        (0, _) => write!(text, "\nno call was received"),
        (count, 0) => write!(text, "\n{count} calls were received, without problems"),
        (count, odd) => write!(text, "\n{count} calls were received, {odd} with problems:"),
    };
    for call in odd {
        let _ = write!(text, "\n  {call}");
    }
    if calls.dropped() > 0 {
        let dropped = calls.dropped();
        let _ = write!(text, "\nthe oldest {dropped} calls were dropped");
    }
    text
}

fn excerpt(text: &str) -> String {
    let mut short: String = text.chars().take(EXCERPT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
