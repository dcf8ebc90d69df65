//! Reads of many rows, and deletions.

use std::time::{Duration, SystemTime};

use super::row::{COLUMNS, record};
use super::{Store, on, time};
use crate::error::Error;
use crate::record::{Record, State};

/// Rows deleted or read at a time, so that no statement holds locks for long.
const BATCH: i64 = 1000;

/// Which rows [`Store::list`] returns, in the order of their keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ListOf<'a> {
    pub(crate) state: Option<State>,
    /// Only keys after this one.
    pub(crate) after: &'a str,
    pub(crate) limit: u32,
}

/// What waits in the table, for [`Health`](crate::Health).
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) now: SystemTime,
    /// `not_before` of the due mail that waits longest.
    pub(crate) oldest_due: Option<SystemTime>,
    /// End of the lease that ran out first.
    pub(crate) oldest_lease: Option<SystemTime>,
    /// When the mail that is unknown for the longest time was to be looked up.
    pub(crate) oldest_look_up: Option<SystemTime>,
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

    /// Returns mails in `sending` whose lease is over.
    pub(crate) async fn expired(&self, limit: u32) -> Result<Vec<(Record, SystemTime)>, Error> {
        self.records(
            "USING(smtp2go_outbox_lease)
             WHERE state = 'sending' AND lease_until <= NOW() ORDER BY lease_until",
            limit,
        )
        .await
    }

    /// Returns unknown mails that are to be looked up.
    pub(crate) async fn to_look_up(&self, limit: u32) -> Result<Vec<(Record, SystemTime)>, Error> {
        self.records(
            "USING(smtp2go_outbox_look)
             WHERE state = 'unknown' AND look_at <= NOW() ORDER BY look_at",
            limit,
        )
        .await
    }

    pub(crate) async fn list(&self, of: ListOf<'_>) -> Result<Vec<Record>, Error> {
        // The state is a constant of the statement, so that a partial index can serve it.
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
            i64,
        );
        let sql = self.engine().sql(&sql);
        let (now, high, normal, low, lease, look_up, held): Row =
            on!(self, pool => sqlx::query_as(sql).fetch_one(pool).await?);
        let oldest = [high, normal, low].into_iter().flatten().reduce(f64::min);
        Ok(Load {
            now: time(now),
            oldest_due: oldest.map(time),
            oldest_lease: lease.map(time),
            oldest_look_up: look_up.map(time),
            held: u64::try_from(held).unwrap_or_default(),
        })
    }

    /// Deletes rows in a final state that did not change for this long.
    pub(crate) async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        let finals = State::ALL.into_iter().filter(|state| state.is_final());
        let finals: Vec<_> = finals.map(|state| format!("'{state}'")).collect();
        let finals = finals.join(", ");
        // One pass over the keys, whatever is deleted.
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
                let query = query.bind(older_than.as_secs_f64());
                query.execute(pool).await?.rows_affected()
            });
            after = last;
        }
    }

    /// Returns the next rows after a key that may contain an address, with their content: what is in
    /// clear and contains the text, and all that is sealed.
    pub(crate) async fn containing(
        &self,
        address: &str,
        after: &str,
    ) -> Result<Vec<Containing>, Error> {
        // `%` and `_` of the address match too much, and the caller compares.
        let sql = "SELECT key, fence, state, CAST(mail AS text), sealed, error FROM smtp2go_outbox
            WHERE key > $1 AND (sealed IS NOT NULL OR lower(CAST(mail AS text)) LIKE $2
                                OR lower(error) LIKE $2)
            ORDER BY key LIMIT $3";
        type Row = (
            String,
            i64,
            String,
            Option<String>,
            Option<Vec<u8>>,
            Option<String>,
        );
        let pattern = format!("%{address}%");
        let rows: Vec<Row> = on!(self, pool => {
            let query = sqlx::query_as(sql).bind(after).bind(&pattern).bind(ERASED_AT_A_TIME);
            query.fetch_all(pool).await?
        });
        let rows = rows
            .into_iter()
            .map(|(key, fence, state, mail, sealed, error)| {
                Ok(Containing {
                    key,
                    fence,
                    state: super::row::state(&state)?,
                    mail,
                    sealed,
                    error,
                })
            });
        rows.collect()
    }

    /// Deletes the content of a mail, unless its state has changed. A mail that waits is cancelled.
    pub(crate) async fn erase(&self, row: &Containing) -> Result<bool, Error> {
        let sql = self.engine().sql(
            "UPDATE smtp2go_outbox SET
                mail = NULL, sealed = NULL, error = NULL, updated_at = NOW(),
                reason = CASE WHEN state IN ('queued', 'held') THEN 'erased' ELSE reason END,
                state = CASE WHEN state IN ('queued', 'held') THEN 'cancelled' ELSE state END
             WHERE key = $1 AND fence = $2 AND state = $3",
        );
        on!(self, pool => {
            let query = sqlx::query(sql).bind(&row.key).bind(row.fence).bind(row.state.as_str());
            Ok(query.execute(pool).await?.rows_affected() == 1)
        })
    }

    /// Deletes an address from the helper tables.
    pub(crate) async fn erase_beside(&self, address: &str) -> Result<(), Error> {
        let gates = "DELETE FROM smtp2go_outbox_gate WHERE name LIKE 'sender:_:%'
                     AND substr(name, 10) = $1";
        on!(self, pool => sqlx::query(gates).bind(address).execute(pool).await.map(drop)?);
        let events = "DELETE FROM smtp2go_outbox_events WHERE lower(key) LIKE $1";
        let pattern = format!("%{address}%");
        on!(self, pool => sqlx::query(events).bind(&pattern).execute(pool).await.map(drop)?);
        Ok(())
    }
}

/// Rows with content are large.
const ERASED_AT_A_TIME: i64 = 100;

/// A row that may contain an address.
#[derive(Debug)]
pub(crate) struct Containing {
    pub(crate) key: String,
    fence: i64,
    pub(crate) state: State,
    pub(crate) mail: Option<String>,
    pub(crate) sealed: Option<Vec<u8>>,
    pub(crate) error: Option<String>,
}
