//! Deduplication over a table of a database, here SQLite: it holds across restarts, and for all
//! processes that share the database. Another database wants other placeholders and its own way to
//! insert or replace in one statement; the rest stays the same.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, params};
use smtp2go_sdk::webhook::{Claim, Deduplicator, StoreError, Token};

/// `until` is when a claim expires or a handled event is forgotten, in seconds since 1970; `token` is
/// null for a handled one.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS webhook_events (
    key TEXT PRIMARY KEY, token INTEGER, until INTEGER NOT NULL
) WITHOUT ROWID";

/// Handled events in a table.
#[derive(Clone, Debug)]
pub struct TableDeduplicator {
    connection: Arc<Mutex<Connection>>,
    lease: Duration,
    keep: Duration,
}

impl TableDeduplicator {
    /// In this database, where the table is created if need be.
    pub fn new(connection: Connection) -> rusqlite::Result<Self> {
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute(TABLE, ())?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            lease: Duration::from_secs(60),
            keep: Duration::from_secs(5 * 24 * 60 * 60),
        })
    }

    /// How long a handler has.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// Forgets what has expired. Call it now and then.
    pub async fn purge(&self) -> Result<usize, StoreError> {
        self.run(move |connection| {
            connection.execute("DELETE FROM webhook_events WHERE until <= ?1", [now()])
        })
        .await
    }

    /// Off the threads that serve: a database takes its time.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.connection.clone();
        let work = move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(work).await??)
    }
}

impl Deduplicator for TableDeduplicator {
    async fn claim(&self, key: &str) -> Result<Claim, StoreError> {
        let (key, token) = (key.to_owned(), Token::random());
        let until = now() + seconds(self.lease);
        self.run(move |connection| {
            // One statement, so that of several at once only one changes the row.
            let claimed = connection.execute(
                "INSERT INTO webhook_events (key, token, until) VALUES (?1, ?2, ?3)
                 ON CONFLICT (key) DO UPDATE SET token = ?2, until = ?3 WHERE until <= ?4",
                params![key, bits(token), until, now()],
            )?;
            if claimed == 1 {
                return Ok(Claim::Claimed(token));
            }
            let held: Option<Option<i64>> = connection
                .query_row(
                    "SELECT token FROM webhook_events WHERE key = ?1",
                    [&key],
                    |row| row.get(0),
                )
                .optional()?;
            Ok(match held {
                Some(None) => Claim::Done,
                // Or released in this moment; then it comes again.
                Some(Some(_)) | None => Claim::Busy,
            })
        })
        .await
    }

    async fn commit(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let key = key.to_owned();
        let until = now() + seconds(self.keep);
        self.run(move |connection| {
            let sql =
                "UPDATE webhook_events SET token = NULL, until = ?3 WHERE key = ?1 AND token = ?2";
            connection
                .execute(sql, params![key, bits(token), until])
                .map(drop)
        })
        .await
    }

    async fn release(&self, key: &str, token: Token) -> Result<(), StoreError> {
        let key = key.to_owned();
        self.run(move |connection| {
            let sql = "DELETE FROM webhook_events WHERE key = ?1 AND token = ?2";
            connection.execute(sql, params![key, bits(token)]).map(drop)
        })
        .await
    }
}

/// The token as SQLite holds it, which has no unsigned integers.
fn bits(token: Token) -> i64 {
    token.value().cast_signed()
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX / 2)
}

fn now() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, seconds)
}
