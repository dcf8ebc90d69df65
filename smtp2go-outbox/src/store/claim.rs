//! Claims mails: changes `queued` to `sending`, and commits that before the first byte is sent.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::gate::reserve;
use super::row::{COLUMNS, record};
use super::{Store, on, time};
use crate::error::Error;
use crate::record::Record;
use crate::time::seconds;

/// The rate limits of senders and tenants.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Rates {
    /// The time between two mails of a sender.
    pub(crate) sender: Option<Duration>,
    /// The time between two mails of a tenant.
    pub(crate) tenant: Option<Duration>,
    /// An unused permit expires after this time, or after the rate's interval if that is longer.
    pub(crate) slack: Duration,
}

impl Rates {
    fn is_none(self) -> bool {
        self.sender.is_none() && self.tenant.is_none()
    }
}

/// The result of a claim.
#[derive(Debug)]
pub(crate) enum Claim {
    Claimed(Box<Claimed>),
    /// A rate limit moved a mail to a later time.
    Moved,
    /// No mail is due, or all workers pause.
    Nothing,
}

/// A claimed mail, in the state `sending`.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) record: Record,
    /// The mail's JSON. `None` if the row has none.
    pub(crate) mail: Option<String>,
    /// The database's time of the claim.
    now: SystemTime,
    /// The moment just before the claim's statement. The lease lasts at least from this moment for its
    /// full length.
    pub(crate) before: Instant,
    /// The moment `before`, by the machine's clock.
    wall: SystemTime,
}

impl Claimed {
    /// The database's time now.
    pub(crate) fn now(&self) -> SystemTime {
        let now = self.now.checked_add(self.before.elapsed());
        now.unwrap_or(self.now)
    }

    /// Returns how long the machine was suspended since the claim, while `Instant` stood still. A clock that was
    /// set forward counts too.
    pub(crate) fn suspended(&self) -> Duration {
        let wall = self.wall.elapsed().unwrap_or_default();
        wall.saturating_sub(self.before.elapsed())
    }
}

/// Selects the due mail of one priority that has waited longest. The priority is a constant, so the query reads
/// one entry of the index.
const DUE: &str = "
    SELECT key FROM smtp2go_outbox USING(smtp2go_outbox_due)
    WHERE state = 'queued' AND priority = {priority} AND not_before <= NOW()
    ORDER BY not_before LIMIT 1 SKIP_LOCKED";

const PAUSED: &str =
    "EXISTS (SELECT 1 FROM smtp2go_outbox_gate WHERE name = 'pause' AND until > NOW())";

/// A permit counts as due if its time is at most this many seconds ahead.
const SOON: f64 = 0.001;

/// Sets the columns that a claim changes.
const CLAIM: &str = "
    UPDATE smtp2go_outbox SET
        state = 'sending', fence = FENCE(), owner = $1, lease_until = NOW() + SECS($2),
        attempt_since = NOW(), attempts = attempts + 1, updated_at = NOW()";

/// Returns SQL for the key of the next due mail of all priorities. Null during a pause.
fn next() -> String {
    let due = |priority: &str| format!("({})", DUE.replace("{priority}", priority));
    let (high, normal, low) = (due("0"), due("1"), due("2"));
    format!("CASE WHEN {PAUSED} THEN NULL ELSE COALESCE({high}, {normal}, {low}) END")
}

impl Store {
    /// Claims the next due mail, or the mail with this key if it is due.
    pub(crate) async fn claim(
        &self,
        key: Option<&str>,
        owner: &str,
        lease: Duration,
        rates: Rates,
    ) -> Result<Claim, Error> {
        tracing::trace!(target: "smtp2go_outbox", step = "claim");
        let (before, wall) = (Instant::now(), SystemTime::now());
        let claim = match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) if rates.is_none() && key.is_none() => {
                let next = next();
                let sql = format!(
                    "{CLAIM} WHERE key = ({next}) AND state = 'queued'
                     RETURNING {COLUMNS}, CAST(mail AS text) AS mail"
                );
                let row = sqlx::query(self.engine().sql(&sql))
                    .bind(owner)
                    .bind(seconds(lease))
                    .fetch_optional(pool)
                    .await?;
                match row {
                    None => Claim::Nothing,
                    Some(row) => Claim::Claimed(Box::new(Claimed {
                        record: record!(row),
                        mail: sqlx::Row::try_get(&row, "mail")?,
                        now: time(sqlx::Row::try_get(&row, "now")?),
                        before,
                        wall,
                    })),
                }
            }
            _ => {
                let since = (before, wall);
                self.claim_in_steps(key, owner, lease, rates, since).await?
            }
        };
        if let Claim::Claimed(claimed) = &claim {
            let Record { key, fence, .. } = &claimed.record;
            tracing::trace!(target: "smtp2go_outbox", step = "claimed", key, fence);
        }
        Ok(claim)
    }

    /// Claims in a transaction with several statements.
    async fn claim_in_steps(
        &self,
        key: Option<&str>,
        owner: &str,
        lease: Duration,
        rates: Rates,
        (before, wall): (Instant, SystemTime),
    ) -> Result<Claim, Error> {
        let engine = self.engine();
        let select = match key {
            None => format!("SELECT {} AS key", next()),
            Some(_) => format!(
                "SELECT key FROM smtp2go_outbox WHERE key = $1 AND state = 'queued'
                 AND not_before <= NOW() AND NOT {PAUSED} SKIP_LOCKED"
            ),
        };
        on!(self, pool => {
            if key.is_none() {
                // Without a lock first: an idle worker makes one query, and does not hold up writers.
                let due = sqlx::query_scalar(engine.sql(&select.replace("SKIP_LOCKED", "")));
                let due: Option<String> = due.fetch_one(pool).await?;
                if due.is_none() {
                    return Ok(Claim::Nothing);
                }
            }
            let mut transaction = pool.begin_with(engine.begin()).await?;
            let mut query = sqlx::query_scalar(engine.sql(&select));
            if let Some(key) = key {
                query = query.bind(key);
            }
            let found: Option<Option<String>> = query.fetch_optional(&mut *transaction).await?;
            let Some(key) = found.flatten() else {
                return Ok(Claim::Nothing);
            };
            if !rates.is_none() {
                let sql = format!("SELECT {COLUMNS} FROM smtp2go_outbox WHERE key = $1");
                let row = sqlx::query(engine.sql(&sql)).bind(&key);
                let row = row.fetch_one(&mut *transaction).await?;
                let record = record!(row);
                let now: SystemTime = time(sqlx::Row::try_get(&row, "now")?);
                let mut wait = 0.0f64;
                for (name, interval) in gates(&record, rates, now) {
                    wait = wait.max(reserve!(engine, &mut *transaction, &name, interval));
                }
                if wait > SOON {
                    let sql = "UPDATE smtp2go_outbox SET not_before = NOW() + SECS($2),
                               reserved = true, updated_at = NOW() WHERE key = $1";
                    let query = sqlx::query(engine.sql(sql)).bind(&key).bind(wait);
                    query.execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    return Ok(Claim::Moved);
                }
            }
            #[cfg(feature = "sqlite")]
            if matches!(self, Self::Sqlite(_)) {
                sqlx::query("UPDATE smtp2go_outbox_fence SET last = last + 1")
                    .execute(&mut *transaction)
                    .await?;
            }
            let sql = format!(
                "{CLAIM} WHERE key = $3 RETURNING {COLUMNS}, CAST(mail AS text) AS mail"
            );
            let row = sqlx::query(engine.sql(&sql))
                .bind(owner)
                .bind(seconds(lease))
                .bind(&key)
                .fetch_one(&mut *transaction)
                .await?;
            let claimed = Claimed {
                record: record!(row),
                mail: sqlx::Row::try_get(&row, "mail")?,
                now: time(sqlx::Row::try_get(&row, "now")?),
                before,
                wall,
            };
            transaction.commit().await?;
            Ok(Claim::Claimed(Box::new(claimed)))
        })
    }

    /// Extends the lease of an attempt to this length from now. Returns `false` if the lease has ended.
    pub(crate) async fn extend(&self, record: &Record, lease: Duration) -> Result<bool, Error> {
        let sql = self.engine().sql(
            "UPDATE smtp2go_outbox SET lease_until = NOW() + SECS($3)
             WHERE key = $1 AND fence = $2 AND state = 'sending' AND lease_until > NOW()",
        );
        on!(self, pool => {
            let query = sqlx::query(sql).bind(record.key.as_str()).bind(record.fence);
            let query = query.bind(seconds(lease));
            Ok(query.execute(pool).await?.rows_affected() == 1)
        })
    }
}

/// Returns the gates of the rates for which a mail still needs a permit. Each priority has its own gates, so that
/// a newsletter does not delay a login code. An old permit counts as expired: otherwise, when stopped workers
/// start again, they would send all mails with permits at once.
fn gates(
    record: &Record,
    rates: Rates,
    now: SystemTime,
) -> impl Iterator<Item = (String, Duration)> {
    let late = now.duration_since(record.not_before).unwrap_or_default();
    let has_permit = move |interval: Duration| record.reserved && late <= interval.max(rates.slack);
    let priority = record.priority.number();
    let sender = rates.sender.map(|interval| {
        let sender = address(record.sender.as_deref().unwrap_or_default());
        (format!("sender:{priority}:{sender}"), interval)
    });
    let tenant = rates.tenant.filter(|_| !record.tenant.is_empty());
    let tenant = tenant.map(|interval| (format!("tenant:{priority}:{}", record.tenant), interval));
    sender
        .into_iter()
        .chain(tenant)
        .filter(move |(_, interval)| !has_permit(*interval))
}

/// Returns the address of `Name <address>`, in lower case.
pub(crate) fn address(mailbox: &str) -> String {
    let inner = mailbox.rsplit_once('<').map_or(mailbox, |(_, rest)| {
        rest.split_once('>').map_or(rest, |(inner, _)| inner)
    });
    inner.trim().to_lowercase()
}
