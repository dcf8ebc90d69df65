//! Converts the result of a call into the outcome of an attempt.

use std::time::Duration;

use http::StatusCode;
use smtp2go_sdk::{Certainty, Error, Reply, Sent};

use crate::decide::Outcome;

/// What the result of a send shows about the API. Decides whether later sends pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The result says nothing about the API.
    None,
    /// The API replied normally: any trouble is over.
    Over,
    /// The API asks for a pause of this length.
    RateLimited(Duration),
    /// The API fails, for all workers.
    Api,
    /// This worker can't reach the API, or may not use it.
    Worker,
}

/// Maximum wait after a reply, even if its `Retry-After` is longer: a broken proxy must not stop
/// all workers for a day.
const LONGEST_PAUSE: Duration = Duration::from_secs(60 * 60);

/// Kinds of errors that every attempt at the same mail repeats, so a retry is useless.
const UNFIT: [&str; 5] = [
    "validation",
    "too_large",
    "serialize",
    "content",
    "suppressed",
];

/// Converts the result of a send. `pause` is the pause after a 429 without `Retry-After`.
pub(super) fn outcome(result: Result<Reply<Sent>, Error>, pause: Duration) -> (Outcome, Trouble) {
    let error = match result {
        Ok(sent) => {
            let outcome = Outcome::Accepted {
                email_id: sent.email_id.clone(),
                schedule_id: sent.schedule_id.clone(),
            };
            return (outcome, Trouble::Over);
        }
        Err(error) => error,
    };
    let kind = error.kind();
    if error.is_rate_limited() && error.certainty() != Certainty::Unknown {
        let wait = wait(&error).unwrap_or(pause);
        let outcome = Outcome::NotSent {
            reason: "rate_limited".to_owned(),
            retry_after: Some(wait),
        };
        return (outcome, Trouble::RateLimited(wait));
    }
    match error.certainty() {
        Certainty::NotSent if UNFIT.contains(&kind) => {
            let outcome = Outcome::Unfit {
                reason: kind.to_owned(),
                error: error.to_string(),
            };
            (outcome, Trouble::None)
        }
        Certainty::NotSent => {
            let outcome = Outcome::NotSent {
                reason: kind.to_owned(),
                retry_after: wait(&error),
            };
            (outcome, Trouble::Worker)
        }
        // Concerns the worker's key, not the mail: another worker, or this one with another key,
        // can send it.
        Certainty::Rejected if error.is_auth() => {
            tracing::error!(
                target: "smtp2go_outbox",
                code = error.code().as_ref().map(ToString::to_string),
                "the API refuses the worker's API key: mails stay queued"
            );
            let outcome = Outcome::NotSent {
                reason: "auth".to_owned(),
                retry_after: None,
            };
            (outcome, Trouble::Worker)
        }
        // The reply has no message of the API: it comes from a proxy, a filter or a wrong host.
        Certainty::Rejected if is_from_elsewhere(&error) => {
            let outcome = Outcome::NotSent {
                reason: reason(&error),
                retry_after: wait(&error),
            };
            (outcome, Trouble::Worker)
        }
        Certainty::Rejected => {
            let outcome = Outcome::Refused {
                reason: reason(&error),
                error: error.to_string(),
            };
            (outcome, Trouble::Over)
        }
        Certainty::Unknown => {
            let server = error
                .status()
                .is_some_and(|status| status.is_server_error());
            let outcome = Outcome::Unknown {
                reason: reason(&error),
            };
            (
                outcome,
                if server {
                    Trouble::Api
                } else {
                    Trouble::Worker
                },
            )
        }
    }
}

/// Returns the wait that the reply asks for, limited to the maximum.
fn wait(error: &Error) -> Option<Duration> {
    error.retry_after().map(|wait| wait.min(LONGEST_PAUSE))
}

fn is_from_elsewhere(error: &Error) -> bool {
    let is_too_large = error.status() == Some(StatusCode::PAYLOAD_TOO_LARGE);
    let says_nothing = error.code().is_none() && error.message().is_none();
    error.kind() == "status" && says_nothing && !is_too_large
}

/// Returns the code, status or kind of an error. Leaves out its text, which can quote addresses.
fn reason(error: &Error) -> String {
    match (error.code(), error.status()) {
        (Some(code), _) => code.to_string(),
        (None, Some(status)) if !status.is_success() => status.as_u16().to_string(),
        _ => error.kind().to_owned(),
    }
}
