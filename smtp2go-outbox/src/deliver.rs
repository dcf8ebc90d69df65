//! Delivers one mail per call, for programs that run a job queue.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::decide::{Action, Known, decide};
use crate::error::Error;
use crate::record::Record;
use crate::store::Claim;
use crate::time::later;
use crate::worker::{Stop, Worker};

/// Maximum number of steps in one call. A step is a send, a look-up, a wait for another process's claim, or a read
/// after another process changed the row.
const STEPS: u32 = 8;

/// Wait before the row is read again after another process claimed it, which takes effect when that process
/// commits. Doubles with each wait.
const FIRST_WAIT: Duration = Duration::from_millis(10);

/// The result of [`Worker::deliver`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Delivery {
    /// The row after the call.
    pub record: Record,
    /// Call again after this time. `None` if the mail is [final](crate::State::is_final) or held.
    pub again_in: Option<Duration>,
}

impl Worker {
    /// Does everything that is due for one mail: sends it, or looks it up. Call it from the jobs of
    /// a job queue, instead of [`run_until`](Worker::run_until).
    ///
    /// Any number of processes may call it for a mail, any number of times: only one sends the mail. If
    /// [`again_in`](Delivery::again_in) is set, call it again after that time. After an error, call it again at
    /// any time. If the future is dropped during a send, the mail becomes unknown when its lease ends.
    ///
    /// Returns `None` if the table has no mail with this key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn deliver(&self, key: &str) -> Result<Option<Delivery>, Error> {
        let inner = &self.inner;
        let store = &inner.outbox.store;
        let (_running, mut stop) = watch::channel(Stop::No);
        let mut looked_up = false;
        let mut wait = FIRST_WAIT;
        for step in 1..=STEPS {
            let Some((record, now)) = store.get(key).await? else {
                return Ok(None);
            };
            let policy = inner.settings.policy();
            let at = match decide(&record, Known::Nothing, &policy, now) {
                Action::Nothing => {
                    return Ok(Some(Delivery {
                        record,
                        again_in: None,
                    }));
                }
                Action::Wait(at) => at,
                Action::Claim => match inner.claim(Some(key)).await? {
                    Claim::Claimed(claimed) => {
                        inner.run(Arc::new(*claimed), &mut stop).await;
                        continue;
                    }
                    // A rate limit moved the mail to a later time.
                    Claim::Moved => continue,
                    Claim::Nothing => match store.paused_until().await? {
                        Some(until) => until,
                        None if step == STEPS => continue,
                        None => {
                            tokio::time::sleep(wait).await;
                            wait *= 2;
                            continue;
                        }
                    },
                },
                // Still due after a look-up: another process has the right to make look-ups.
                Action::LookUp if looked_up => later(now, inner.settings.sweep),
                Action::LookUp => {
                    looked_up = true;
                    inner.look_up_due().await?;
                    continue;
                }
                Action::Write(_) => {
                    let outbox = &inner.outbox;
                    let settled = outbox.settle(&record, now, Known::Nothing, &policy, None);
                    settled.await?;
                    continue;
                }
            };
            return Ok(Some(Delivery {
                record,
                again_in: Some(at.duration_since(now).unwrap_or_default()),
            }));
        }
        let found = store.get(key).await?;
        Ok(found.map(|(record, _)| Delivery {
            again_in: Some(inner.settings.sweep).filter(|_| !record.state.is_final()),
            record,
        }))
    }
}
