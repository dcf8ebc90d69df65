//! What a sandbox remembers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::api::Api;
use crate::call::Call;
use crate::faults::Rules;
use crate::mail::Mail;

/// What the server and the [`Sandbox`](crate::Sandbox) that owns it have in common.
pub(crate) struct Shared {
    pub(crate) api: Arc<Api>,
    pub(crate) key: String,
    /// The domains that may send, in lower case; `None`: all may.
    pub(crate) sender_domains: Option<Vec<String>>,
    /// Notified of every new mail.
    pub(crate) arrivals: watch::Sender<()>,
    pub(crate) rules: Rules,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) mails: Vec<Mail>,
    pub(crate) calls: Vec<Call>,
    /// How many of the mails were handed out by `wait_for_mail`.
    handed_out: usize,
    requests: u64,
    messages: u64,
    schedules: u64,
}

impl Shared {
    pub(crate) fn new(api: Arc<Api>, key: String, sender_domains: Option<Vec<String>>) -> Self {
        Self {
            api,
            key,
            sender_domains,
            arrivals: watch::Sender::new(()),
            rules: Rules::default(),
            state: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // No holder leaves the state half-changed, so that a panic in one (of a `Vec` out of
        // memory, say) does no harm to it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn next_request_id(&mut self) -> String {
        self.requests += 1;
        uuid_like(1, self.requests)
    }

    pub(crate) fn next_schedule_id(&mut self) -> String {
        self.schedules += 1;
        uuid_like(2, self.schedules)
    }

    /// An id in the style of Exim: 6, 6 and 2 letters and digits.
    pub(crate) fn next_email_id(&mut self) -> String {
        self.messages += 1;
        format!("1SaNdB-{}-00", base62(self.messages))
    }

    /// The first mail that was not handed out before.
    pub(crate) fn next_mail(&mut self) -> Option<Mail> {
        let mail = self.mails.get(self.handed_out)?.clone();
        self.handed_out += 1;
        Some(mail)
    }
}

/// A version 4 UUID in form; the first part says what it is the id of.
fn uuid_like(kind: u32, number: u64) -> String {
    format!("{kind:08x}-0000-4000-8000-{number:012x}")
}

/// The number in base 62, at least six digits wide.
fn base62(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.len() < 6 {
        // Below 62, so the conversion cannot fail.
        let digit = u8::try_from(number % 62).unwrap_or_default();
        digits.push(match digit {
            0..=9 => b'0' + digit,
            10..=35 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        });
        number /= 62;
    }
    digits.iter().rev().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_shapes_and_differ() {
        assert_eq!(base62(0), "000000");
        assert_eq!(base62(61), "00000z");
        assert_eq!(base62(62), "000010");
        assert_eq!(base62(u64::MAX).len(), 11);

        let mut state = State::default();
        assert_eq!(state.next_email_id(), "1SaNdB-000001-00");
        assert_eq!(state.next_email_id(), "1SaNdB-000002-00");
        let ids = [state.next_request_id(), state.next_schedule_id()];
        assert!(ids.iter().all(|id| id.len() == 36));
        assert_ne!(ids[0], ids[1]);
    }
}
