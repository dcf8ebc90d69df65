//! Reads lists of rows, and deletes rows and personal data.

use std::time::{Duration, SystemTime};

use super::row::{COLUMNS, record};
use super::{Store, on, time};
use crate::error::Error;
use crate::record::{Record, State};
use crate::time::seconds;

/// Rows read or deleted at a time, so that no statement holds locks for long.
const BATCH: i64 = 1000;

/// Which rows [`Store::list`] returns, in the order of their keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListOf<'a> {
    pub(crate) state: Option<State>,
    /// Only keys after this one.
    pub(crate) after: &'a str,
    pub(crate) limit: u32,
}

/// The values of [`Health`](crate::Health), as the database has them.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) now: SystemTime,
    /// `not_before` of the due mail that has waited longest.
    pub(crate) oldest_due: Option<SystemTime>,
    /// Of the leases that have ended, the end of the oldest.
    pub(crate) oldest_lease: Option<SystemTime>,
    /// Of the look-ups that are due, the time of the oldest.
    pub(crate) oldest_look_up: Option<SystemTime>,
    /// Start of the first failed attempt of the mail that has failed for the longest time.
    pub(crate) failing_since: Option<SystemTime>,
    pub(crate) failed_look_ups: u64,
    pub(crate) rejected: u64,
    pub(crate) held: u64,
}

impl Store {
    async fn records(
        &self,
        condition: &str,
        limit: u32,
    ) -> Result<Vec<(Record, SystemTime)>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM smtp2go_outbox {condition} LIMIT $1");
        let sql = self.engine().sql(&sql);
        on!(self, pool => {
            let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(pool).await?;
            let mut records = Vec::with_capacity(rows.len());
            for row in rows {
                records.push((record!(row), time(sqlx::Row::try_get(&row, "now")?)));
            }
            Ok(records)
        })
    }

    /// Returns mails in `sending` whose lease has ended.
    pub(crate) async fn expired(&self, limit: u32) -> Result<Vec<(Record, SystemTime)>, Error> {
        self.records(
            "USING(smtp2go_outbox_lease)
             WHERE state = 'sending' AND lease_until <= NOW() ORDER BY lease_until",
            limit,
        )
        .await
    }

    /// Returns unknown mails whose look-up is due.
    pub(crate) async fn to_look_up(&self, limit: u32) -> Result<Vec<(Record, SystemTime)>, Error> {
        self.records(
            "USING(smtp2go_outbox_look)
             WHERE state = 'unknown' AND look_at <= NOW() ORDER BY look_at",
            limit,
        )
        .await
    }

    pub(crate) async fn list(&self, of: ListOf<'_>) -> Result<Vec<Record>, Error> {
        // The state is a constant in the statement, so that the database can use a partial index.
        let state = of.state.map(|state| format!("AND state = '{state}'"));
        let sql = format!(
            "SELECT {COLUMNS} FROM smtp2go_outbox WHERE key > $1 {} ORDER BY key LIMIT $2",
            state.unwrap_or_default()
        );
        let sql = self.engine().sql(&sql);
        on!(self, pool => {
            let query = sqlx::query(sql).bind(of.after).bind(i64::from(of.limit));
            let rows = query.fetch_all(pool).await?;
            let mut records = Vec::with_capacity(rows.len());
            for row in rows {
                records.push(record!(row));
            }
            Ok(records)
        })
    }

    pub(crate) async fn counts(&self) -> Result<Vec<(State, u64)>, Error> {
        let sql = "SELECT state, count(*) FROM smtp2go_outbox GROUP BY state";
        let rows: Vec<(String, i64)> =
            on!(self, pool => sqlx::query_as(sql).fetch_all(pool).await?);
        let counts = rows.into_iter().map(|(state, count)| {
            Ok((
                super::row::state(&state)?,
                u64::try_from(count).unwrap_or_default(),
            ))
        });
        counts.collect()
    }

    pub(crate) async fn load(&self) -> Result<Load, Error> {
        let due = |priority: u8| {
            format!(
                "(SELECT UNIX(not_before) FROM smtp2go_outbox USING(smtp2go_outbox_due)
                  WHERE state = 'queued' AND priority = {priority} AND not_before <= NOW()
                  ORDER BY not_before LIMIT 1)"
            )
        };
        let sql = format!(
            "SELECT CLOCK(), {}, {}, {},
                (SELECT UNIX(lease_until) FROM smtp2go_outbox USING(smtp2go_outbox_lease)
                 WHERE state = 'sending' AND lease_until <= NOW() ORDER BY lease_until LIMIT 1),
                (SELECT UNIX(look_at) FROM smtp2go_outbox USING(smtp2go_outbox_look)
                 WHERE state = 'unknown' AND look_at <= NOW() ORDER BY look_at LIMIT 1),
                (SELECT UNIX(failing_since) FROM smtp2go_outbox USING(smtp2go_outbox_failing)
                 WHERE failing_since IS NOT NULL ORDER BY failing_since LIMIT 1),
                (SELECT count(*) FROM smtp2go_outbox USING(smtp2go_outbox_look)
                 WHERE state = 'unknown' AND reason LIKE 'look_up_%'),
                (SELECT count(*) FROM smtp2go_outbox WHERE state = 'rejected'),
                (SELECT count(*) FROM smtp2go_outbox WHERE state = 'held')",
            due(0),
            due(1),
            due(2)
        );
        type Row = (
            f64,
            Option<f64>,
            Option<f64>,
            Option<f64>,
            Option<f64>,
            Option<f64>,
            Option<f64>,
            i64,
            i64,
            i64,
        );
        let sql = self.engine().sql(&sql);
        let (now, high, normal, low, lease, look_up, failing, failed_look_ups, rejected, held): Row =
            on!(self, pool => sqlx::query_as(sql).fetch_one(pool).await?);
        let oldest = [high, normal, low].into_iter().flatten().reduce(f64::min);
        Ok(Load {
            now: time(now),
            oldest_due: oldest.map(time),
            oldest_lease: lease.map(time),
            oldest_look_up: look_up.map(time),
            failing_since: failing.map(time),
            failed_look_ups: u64::try_from(failed_look_ups).unwrap_or_default(),
            rejected: u64::try_from(rejected).unwrap_or_default(),
            held: u64::try_from(held).unwrap_or_default(),
        })
    }

    /// Deletes rows in a final state that did not change for this long.
    pub(crate) async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        let finals = State::ALL.into_iter().filter(|state| state.is_final());
        let finals: Vec<_> = finals.map(|state| format!("'{state}'")).collect();
        let finals = finals.join(", ");
        // One pass over all keys, in batches.
        let next = "SELECT max(key) FROM
            (SELECT key FROM smtp2go_outbox WHERE key > $1 ORDER BY key LIMIT $2) AS batch";
        let delete = format!(
            "DELETE FROM smtp2go_outbox WHERE key > $1 AND key <= $2
             AND state IN ({finals}) AND updated_at <= NOW() - SECS($3)"
        );
        let (mut after, mut deleted) = (String::new(), 0);
        loop {
            let last: Option<String> = on!(self, pool => {
                sqlx::query_scalar(next).bind(&after).bind(BATCH).fetch_one(pool).await?
            });
            let Some(last) = last else {
                return Ok(deleted);
            };
            let delete = self.engine().sql(&delete);
            deleted += on!(self, pool => {
                let query = sqlx::query(delete).bind(&after).bind(&last);
                let query = query.bind(seconds(older_than));
                query.execute(pool).await?.rows_affected()
            });
            after = last;
        }
    }

    /// Returns the next rows after a key that have content or an error text.
    pub(crate) async fn personal(&self, after: &str) -> Result<Vec<Personal>, Error> {
        let sql = "SELECT key, CAST(mail AS text), sealed, error FROM smtp2go_outbox
            WHERE key > $1 AND (mail IS NOT NULL OR sealed IS NOT NULL OR error IS NOT NULL)
            ORDER BY key LIMIT $2";
        type Row = (String, Option<String>, Option<Vec<u8>>, Option<String>);
        let rows: Vec<Row> = on!(self, pool => {
            sqlx::query_as(sql).bind(after).bind(CONTENTS_AT_A_TIME).fetch_all(pool).await?
        });
        let personal = |(key, mail, sealed, error)| Personal {
            key,
            mail,
            sealed,
            error,
        };
        Ok(rows.into_iter().map(personal).collect())
    }

    /// Deletes the error text of a mail, and with `content` also its content. Returns `false` if
    /// the mail's state does not allow it.
    pub(crate) async fn erase(&self, key: &str, content: bool) -> Result<bool, Error> {
        let (content, states) = if content {
            (
                "mail = NULL, sealed = NULL,",
                "'queued', 'sending', 'unknown', 'held'",
            )
        } else {
            ("", "'sending', 'unknown'")
        };
        let sql = self.engine().sql(&format!(
            "UPDATE smtp2go_outbox SET {content} error = NULL, updated_at = NOW()
             WHERE key = $1 AND state NOT IN ({states})"
        ));
        on!(self, pool => Ok(sqlx::query(sql).bind(key).execute(pool).await?.rows_affected() == 1))
    }

    /// Deletes the gates of a sender's rate.
    pub(crate) async fn erase_gates(&self, address: &str) -> Result<(), Error> {
        let sql = "DELETE FROM smtp2go_outbox_gate WHERE name LIKE 'sender:_:%'
                   AND substr(name, 10) = $1";
        on!(self, pool => sqlx::query(sql).bind(address).execute(pool).await.map(drop)?);
        Ok(())
    }
}

/// Fewer than [`BATCH`], because rows with content are large.
const CONTENTS_AT_A_TIME: i64 = 16;

/// The parts of a row that can contain addresses.
#[derive(Debug)]
pub(crate) struct Personal {
    pub(crate) key: String,
    pub(crate) mail: Option<String>,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) error: Option<String>,
}
