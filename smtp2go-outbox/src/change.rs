//! Decides the change of a row and writes it, and repeats both if another process changed the row
//! meanwhile.

use std::time::SystemTime;

use crate::decide::{Action, Change, Known, Policy, Request, decide, is_expired};
use crate::entry::Requested;
use crate::error::Error;
use crate::foreign;
use crate::observer::StateChange;
use crate::outbox::Outbox;
use crate::record::{Record, State};
use crate::store::Content;

/// Maximum number of tries to write a row that other processes change. A try fails only if another
/// process has changed the row, and a mail has few changes.
const ROUNDS: u32 = 16;

impl Outbox {
    /// Decides how a row changes after news about its mail, and writes the change. If another
    /// process changed the row meanwhile, reads the row and decides again. Returns the new state,
    /// or `None` if nothing changes.
    pub(crate) async fn settle(
        &self,
        record: &Record,
        now: SystemTime,
        known: Known,
        policy: &Policy,
        mail: Option<&str>,
    ) -> Result<Option<State>, Error> {
        let (mut record, mut now) = (record.clone(), now);
        for _ in 0..ROUNDS {
            let Action::Write(change) = decide(&record, known.clone(), policy, now) else {
                tracing::debug!(
                    target: "smtp2go_outbox",
                    key = record.key,
                    state = record.state.as_str(),
                    fence = record.fence,
                    "no change: the mail is settled or belongs to another attempt"
                );
                return Ok(None);
            };
            if self.write(&record, &change, now, mail).await? {
                return Ok(Some(change.state));
            }
            match self.store.get(&record.key).await? {
                Some(current) => (record, now) = current,
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Writes a change, and reports it. Returns `false` if the row has changed meanwhile.
    pub(crate) async fn write(
        &self,
        record: &Record,
        change: &Change,
        now: SystemTime,
        mail: Option<&str>,
    ) -> Result<bool, Error> {
        let content = if change.is_accepted() && record.has_mail {
            let read;
            let mail = match mail {
                None if self.bodies.needs_content() => {
                    read = self.store.mail(&record.key).await?;
                    read.as_deref()
                }
                mail => mail,
            };
            self.bodies.of(&record.key, mail)
        } else {
            Content::Keep
        };
        if !self.store.write(record, change, &content).await? {
            return Ok(false);
        }
        if change.state != record.state {
            self.report(record, change, now);
        }
        Ok(true)
    }

    /// Reports that a worker has claimed a mail.
    pub(crate) fn report_claim(&self, claimed: &Record, now: SystemTime) {
        let before = Record {
            state: State::Queued,
            ..claimed.clone()
        };
        self.report(&before, &Change::to(State::Sending), now);
    }

    fn report(&self, record: &Record, change: &Change, now: SystemTime) {
        tracing::info!(
            target: "smtp2go_outbox",
            key = record.key,
            from = record.state.as_str(),
            to = change.state.as_str(),
            reason = change.reason,
            fence = record.fence,
            attempts = record.attempts,
            "state changed"
        );
        if let Some(observer) = &self.observer {
            let age = now.duration_since(record.created_at);
            let change = StateChange {
                key: &record.key,
                from: record.state,
                to: change.state,
                reason: change.reason.as_deref(),
                attempts: record.attempts,
                age: age.unwrap_or_default(),
            };
            foreign::call("the observer", || observer.state_changed(&change));
        }
    }

    /// Applies an operator's request.
    pub(crate) async fn request(&self, key: &str, request: Request) -> Result<Requested, Error> {
        let Some((record, now)) = self.store.get(key).await? else {
            return Ok(Requested::NoSuchKey);
        };
        let retries = matches!(request, Request::Retry | Request::Resend);
        if retries && !record.has_mail {
            return Err(Error::mail(format!(
                "mail {key:?} can't be sent again: its content was deleted"
            )));
        }
        let known = Known::Request(request);
        let policy = Policy::default();
        let settled = self.settle(&record, now, known, &policy, None);
        Ok(match settled.await? {
            Some(_) => Requested::Done,
            None => match self.store.get(key).await? {
                None => Requested::NoSuchKey,
                Some((record, now)) if retries && is_expired(&record, now) => Requested::Expired,
                Some((record, _)) if retries && record.unknown_since.is_some() => {
                    Requested::InDoubt
                }
                Some((record, _)) => Requested::NotIn(record.state),
            },
        })
    }
}
