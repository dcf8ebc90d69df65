//! Statements and transactions on the tables. `decide` makes the decisions.

mod claim;
mod events;
mod gate;
mod migrate;
mod queries;
mod row;
mod sql;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sql::Engine;

use crate::decide::Change;
use crate::error::Error;
use crate::record::{Record, State};
use row::{COLUMNS, record};

pub(crate) use claim::{Claim, Claimed, Rates, address};
pub(crate) use queries::{ListOf, Personal};

/// A pool of connections to either engine.
#[derive(Clone, Debug)]
pub(crate) enum Store {
    #[cfg(feature = "postgres")]
    Postgres(sqlx::PgPool),
    #[cfg(feature = "sqlite")]
    Sqlite(sqlx::SqlitePool),
}

/// Runs the same code with the pool of either engine. The types of rows and arguments differ, so the
/// code is compiled for each.
macro_rules! on {
    ($store:expr, $pool:ident => $body:expr) => {
        match $store {
            #[cfg(feature = "postgres")]
            $crate::store::Store::Postgres($pool) => $body,
            #[cfg(feature = "sqlite")]
            $crate::store::Store::Sqlite($pool) => $body,
        }
    };
}
use on;

/// A row to insert.
#[derive(Clone, Debug)]
pub(crate) struct NewRow<'a> {
    pub(crate) key: &'a str,
    pub(crate) mail: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) priority: i16,
    pub(crate) not_before: Option<SystemTime>,
    pub(crate) not_after: Option<SystemTime>,
}

/// The change of an accepted mail's content.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Keep,
    Delete,
    Replace(Vec<u8>),
}

/// A `&mut` reference to your connection or transaction, for [`Outbox::put_in`](crate::Outbox::put_in).
#[derive(Debug)]
pub struct Connection<'a>(pub(crate) AnyConnection<'a>);

#[derive(Debug)]
pub(crate) enum AnyConnection<'a> {
    #[cfg(feature = "postgres")]
    Postgres(&'a mut sqlx::PgConnection),
    #[cfg(feature = "sqlite")]
    Sqlite(&'a mut sqlx::SqliteConnection),
}

#[cfg(feature = "postgres")]
impl<'a> From<&'a mut sqlx::PgConnection> for Connection<'a> {
    fn from(connection: &'a mut sqlx::PgConnection) -> Self {
        Self(AnyConnection::Postgres(connection))
    }
}

#[cfg(feature = "postgres")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Postgres>> for Connection<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Postgres>) -> Self {
        Self(AnyConnection::Postgres(&mut *transaction))
    }
}

#[cfg(feature = "sqlite")]
impl<'a> From<&'a mut sqlx::SqliteConnection> for Connection<'a> {
    fn from(connection: &'a mut sqlx::SqliteConnection) -> Self {
        Self(AnyConnection::Sqlite(connection))
    }
}

#[cfg(feature = "sqlite")]
impl<'a> From<&'a mut sqlx::Transaction<'_, sqlx::Sqlite>> for Connection<'a> {
    fn from(transaction: &'a mut sqlx::Transaction<'_, sqlx::Sqlite>) -> Self {
        Self(AnyConnection::Sqlite(&mut *transaction))
    }
}

const INSERT: &str = "
    INSERT INTO smtp2go_outbox (key, mail, tenant, priority, not_before, not_after)
    VALUES ($1, JSON($2), $3, $4, COALESCE(AT($5), NOW()), AT($6))
    ON CONFLICT DO NOTHING";

macro_rules! insert {
    ($engine:expr, $row:expr, $on:expr) => {{
        let query = sqlx::query($engine.sql(INSERT))
            .bind($row.key)
            .bind($row.mail)
            .bind($row.tenant)
            .bind($row.priority)
            .bind($row.not_before.map(unix))
            .bind($row.not_after.map(unix));
        query.execute($on).await?.rows_affected() == 1
    }};
}

impl Store {
    fn engine(&self) -> Engine {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Engine::Postgres,
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Engine::Sqlite,
        }
    }

    /// Inserts a mail. Returns `false` if the table already has the key.
    pub(crate) async fn insert(&self, row: &NewRow<'_>) -> Result<bool, Error> {
        Ok(on!(self, pool => insert!(self.engine(), row, pool)))
    }

    /// Inserts a mail with the caller's connection.
    pub(crate) async fn insert_in(
        connection: Connection<'_>,
        row: &NewRow<'_>,
    ) -> Result<bool, Error> {
        Ok(match connection.0 {
            #[cfg(feature = "postgres")]
            AnyConnection::Postgres(connection) => insert!(Engine::Postgres, row, connection),
            #[cfg(feature = "sqlite")]
            AnyConnection::Sqlite(connection) => insert!(Engine::Sqlite, row, connection),
        })
    }

    /// Writes a change. Returns `false` if the row no longer has the fence and the state of the record.
    pub(crate) async fn write(
        &self,
        record: &Record,
        change: &Change,
        content: &Content,
    ) -> Result<bool, Error> {
        let keeps = change.state == State::Unknown || change.event.is_some();
        let kept = |old: &Option<String>| old.clone().filter(|_| keeps);
        let (delete, sealed) = match content {
            Content::Keep => (false, None),
            Content::Delete => (true, None),
            Content::Replace(sealed) => (true, Some(sealed.as_slice())),
        };
        let sql = self.engine().sql(
            "UPDATE smtp2go_outbox SET
                state = $4,
                not_before = COALESCE(AT($5), not_before),
                look_at = AT($6),
                resends = $7,
                unknown_since = CASE
                    WHEN $4 = 'unknown' THEN COALESCE(unknown_since, attempt_since)
                    WHEN $4 IN ('held', 'cancelled') AND $10 <> 'absent' THEN unknown_since
                    WHEN $4 = 'queued' AND $7 > 0 THEN unknown_since
                END,
                failing_since = CASE WHEN $4 = 'queued' AND $16 THEN COALESCE(failing_since, attempt_since) END,
                email_id = COALESCE($8, email_id),
                schedule_id = COALESCE($9, schedule_id),
                reason = $10,
                error = $11,
                event = COALESCE($12, event),
                sent_at = CASE WHEN $13 THEN COALESCE(sent_at, NOW()) ELSE sent_at END,
                mail = CASE WHEN $14 THEN NULL ELSE mail END,
                sealed = COALESCE($15, sealed),
                reserved = $16,
                updated_at = NOW()
             WHERE key = $1 AND fence = $2 AND state = $3",
        );
        let resends = i32::try_from(change.resends.unwrap_or(record.resends)).unwrap_or(i32::MAX);
        on!(self, pool => {
            let query = sqlx::query(sql)
                .bind(record.key.as_str())
                .bind(record.fence)
                .bind(record.state.as_str())
                .bind(change.state.as_str())
                .bind(change.not_before.map(unix))
                .bind(change.look_at.map(unix))
                .bind(resends)
                .bind(change.email_id.as_deref())
                .bind(change.schedule_id.as_deref())
                .bind(change.reason.clone().or_else(|| kept(&record.reason)))
                .bind(change.error.clone().or_else(|| kept(&record.error)))
                .bind(change.event.as_deref())
                .bind(change.is_accepted())
                .bind(delete)
                .bind(sealed)
                .bind(change.reserved);
            Ok(query.execute(pool).await?.rows_affected() == 1)
        })
    }

    /// Returns the maximum number of connections of a PostgreSQL pool. SQLite has no notifications,
    /// so its limit does not matter.
    pub(crate) fn most_connections(&self) -> u32 {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => pool.options().get_max_connections(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => u32::MAX,
        }
    }

    /// Returns the row with this key, and the database's time.
    pub(crate) async fn get(&self, key: &str) -> Result<Option<(Record, SystemTime)>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM smtp2go_outbox WHERE key = $1");
        let sql = self.engine().sql(&sql);
        on!(self, pool => {
            let row = sqlx::query(sql).bind(key).fetch_optional(pool).await?;
            Ok(match row {
                Some(row) => Some((record!(row), time(sqlx::Row::try_get(&row, "now")?))),
                None => None,
            })
        })
    }

    /// Returns the key of the newest mail with this `email_id`. A local SMTP2GO that was restarted gives its ids
    /// again.
    pub(crate) async fn key_of(&self, email_id: &str) -> Result<Option<String>, Error> {
        let sql =
            "SELECT key FROM smtp2go_outbox WHERE email_id = $1 ORDER BY created_at DESC LIMIT 1";
        on!(self, pool => Ok(sqlx::query_scalar(sql).bind(email_id).fetch_optional(pool).await?))
    }

    /// Returns the content of a mail, if the row has it unencrypted.
    pub(crate) async fn mail(&self, key: &str) -> Result<Option<String>, Error> {
        let sql = "SELECT CAST(mail AS text) FROM smtp2go_outbox WHERE key = $1";
        let mail: Option<Option<String>> =
            on!(self, pool => sqlx::query_scalar(sql).bind(key).fetch_optional(pool).await?);
        Ok(mail.flatten())
    }
}

/// Maximum time of a row in seconds since 1970. Later times, such as PostgreSQL's `infinity`, are set to it.
const LATEST: f64 = 9e10;

/// Returns the seconds since 1970.
fn unix(time: SystemTime) -> f64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64().min(LATEST)
}

/// Returns the time of these seconds since 1970. Negative numbers count as zero.
fn time(seconds: f64) -> SystemTime {
    let seconds = seconds.clamp(0.0, LATEST);
    let since = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH)
}
