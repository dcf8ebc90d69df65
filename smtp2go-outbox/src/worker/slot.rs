//! A slot claims a mail, sends it, and starts over. A worker has one slot for each mail that it may send at once,
//! so no claimed mail waits.
//!
//! If slots find no mail, one of them waits for mail: the scout. The other idle slots wait to become the scout. So
//! an idle worker makes one query at a time, however many slots it has.

use std::sync::Arc;

use tokio::sync::{Mutex, OwnedMutexGuard, watch};
use tokio::time::sleep;

use super::{Backoff, Shared};
use crate::store::Claim;

/// The activities that a worker must stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stop {
    No,
    Claiming,
    Sending,
}

/// Runs a slot until claiming has to stop.
pub(super) async fn slot(
    inner: Arc<Shared>,
    scout: Arc<Mutex<()>>,
    mut stop: watch::Receiver<Stop>,
) {
    let mut place: Option<OwnedMutexGuard<()>> = None;
    let mut wait = Backoff::default();
    while *stop.borrow() == Stop::No {
        if let Some(pause) = inner.outages.left() {
            stopped_or(&mut stop, sleep(pause)).await;
            continue;
        }
        match inner.claim(None).await {
            Ok(Claim::Claimed(claimed)) => {
                place = None;
                wait = Backoff::default();
                inner.run(Arc::new(*claimed), &mut stop).await;
            }
            Ok(Claim::Moved) => wait = Backoff::default(),
            idle if place.is_none() => {
                let mut taken = None;
                stopped_or(&mut stop, async {
                    taken = Some(scout.clone().lock_owned().await);
                })
                .await;
                place = taken;
                if let Err(error) = idle {
                    stopped_or(&mut stop, wait.after(&error)).await;
                }
            }
            Ok(Claim::Nothing) => {
                wait = Backoff::default();
                let woken = async {
                    tokio::select! {
                        () = inner.outbox.wake.notified() => {}
                        () = sleep(inner.settings.poll) => {}
                    }
                };
                stopped_or(&mut stop, woken).await;
            }
            Err(error) => stopped_or(&mut stop, wait.after(&error)).await,
        }
    }
}

/// Waits, but ends early if claiming has to stop.
async fn stopped_or(stop: &mut watch::Receiver<Stop>, wait: impl Future<Output = ()>) {
    tokio::select! {
        () = async { drop(stop.wait_for(|stop| *stop != Stop::No).await) } => {}
        () = wait => {}
    }
}
