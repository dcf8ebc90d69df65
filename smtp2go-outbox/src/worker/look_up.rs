//! Looks unknown mails up in the activity, many with one search.

use std::time::{Duration, SystemTime};

use smtp2go_sdk::types::Timestamp;
use smtp2go_sdk::{CallOptions, Email, FindSent, Found as SdkFound, RetryPolicy};
use tokio::time::{MissedTickBehavior, interval};

use super::Shared;
use super::outcome::Trouble;
use crate::decide::{Found, Known};
use crate::error::Error;
use crate::foreign;
use crate::observer::LookUpReport;
use crate::record::Record;
use crate::time::later;

/// Maximum number of mails that one search looks up.
const MAILS: u32 = 500;

/// One search covers the attempts that began at most this long after the oldest one. The search reads
/// all mail of the account from the oldest attempt on, so a longer window would make it expensive.
const WINDOW: Duration = Duration::from_secs(60 * 60);

impl Shared {
    /// Looks up the unknown mails whose look-up is due, unless another worker has the right to make look-ups.
    pub(crate) async fn look_up_due(&self) -> Result<(), Error> {
        let store = &self.outbox.store;
        let mut due = store.to_look_up(MAILS).await?;
        let since = |record: &Record| {
            let first = record.unknown_since.or(record.attempt_since);
            first.unwrap_or(record.created_at)
        };
        let Some(first) = due.iter().map(|(record, _)| since(record)).min() else {
            return Ok(());
        };
        let hold = self.settings.look_up_handover;
        if !store.take_look_up(&self.owner, hold).await? {
            return Ok(());
        }
        let last = later(first, WINDOW);
        due.retain(|(record, _)| since(record) <= last);
        let mut wanted = Vec::with_capacity(due.len());
        for (record, now) in &due {
            let mail = match due.len() {
                // The search for a single mail is limited to its recipient, so that it stays cheap.
                1 => store.mail(&record.key).await?,
                _ => None,
            };
            wanted.push(self.wanted(record, mail.as_deref(), since(record), *now));
        }
        let options = CallOptions::new().retry(self.settings.retry(RetryPolicy::new()));
        let client = self.client.with_options(options);
        let found = self.while_holding(client.find_all_sent(&wanted)).await;
        // Restarts the time for which other workers make no look-ups.
        store.take_look_up(&self.owner, hold).await?;
        let mut report = LookUpReport {
            mails: due.len(),
            ..LookUpReport::default()
        };
        let mut found = match found {
            Ok(found) => Ok(found.into_iter()),
            Err(error) => {
                tracing::warn!(
                    target: "smtp2go_outbox",
                    kind = error.kind(),
                    code = error.code().as_ref().map(ToString::to_string),
                    mails = due.len(),
                    "look-up failed; retrying. The API key must permit /activity/search"
                );
                let wait = error.retry_after().unwrap_or_default();
                if error.is_rate_limited() {
                    self.pause_after(Trouble::RateLimited(wait)).await;
                }
                Err((format!("look_up_{}", error.kind()), wait))
            }
        };
        let step = (self.settings.look_up_after / 4).max(Duration::from_secs(1));
        for (record, now) in &due {
            let found = match &mut found {
                Ok(found) => found.next().map(answer),
                Err((reason, wait)) => Some(Found::Failed {
                    reason: reason.clone(),
                    look_again_at: later(*now, step.max(*wait)),
                }),
            };
            let Some(found) = found else { continue };
            match found {
                Found::Sent { .. } => report.found += 1,
                Found::Absent => report.absent += 1,
                _ => {}
            }
            let known = Known::LookUp(record.fence, found);
            let policy = self.settings.policy();
            let settled = self.outbox.settle(record, *now, known, &policy, None);
            settled.await?;
        }
        tracing::debug!(
            target: "smtp2go_outbox",
            mails = report.mails,
            found = report.found,
            absent = report.absent,
            "looked up"
        );
        if let Some(observer) = &self.outbox.observer {
            foreign::call("the observer", || observer.looked_up(&report));
        }
        Ok(())
    }

    /// Keeps the right to make look-ups while a search runs.
    async fn while_holding<T>(&self, search: impl Future<Output = T>) -> T {
        let hold = self.settings.look_up_handover;
        let mut tick = interval((hold / 3).max(Duration::from_millis(10)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut search = std::pin::pin!(search);
        loop {
            tokio::select! {
                found = &mut search => return found,
                _ = tick.tick() => {
                    let _ = self.outbox.store.take_look_up(&self.owner, hold).await;
                }
            }
        }
    }

    fn wanted(
        &self,
        record: &Record,
        mail: Option<&str>,
        since: SystemTime,
        now: SystemTime,
    ) -> FindSent {
        let settings = &self.settings;
        let mail: Option<Email> = mail.and_then(|json| serde_json::from_str(json).ok());
        let mut wanted = FindSent::new(record.key.as_str(), since)
            // Not the time of the outcome: bytes of a broken connection can arrive later.
            .until(record.lease_until.unwrap_or(now))
            .margin(settings.look_up_margin)
            .lag(settings.look_up_after)
            .give_up_after(settings.give_up_after)
            .retention(settings.retention)
            .now(now);
        if let Some(to) = mail.as_ref().and_then(|mail| mail.parts().to().first()) {
            wanted = wanted.to(to.clone());
        }
        if let Some(region) = &settings.look_up_region {
            wanted = wanted.region(region.clone());
        }
        let schedule = record.schedule.as_deref().map(Timestamp::new);
        match schedule.and_then(|schedule| schedule.to_system_time()) {
            Some(schedule) => wanted.scheduled(schedule),
            None => wanted,
        }
    }
}

fn answer(found: SdkFound) -> Found {
    match found {
        SdkFound::Sent { email_id, .. } => Found::Sent { email_id },
        SdkFound::NotYet { look_again_at, .. } => Found::NotYet { look_again_at },
        SdkFound::Absent => Found::Absent,
        // Also for a variant that a later version of the SDK adds: it must not count as a proof of absence.
        _ => Found::TooOld,
    }
}
