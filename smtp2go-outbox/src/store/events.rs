//! Stores webhook events: with a token while they are being handled, and without one after that.

use std::time::Duration;

use super::{Store, on};
use crate::error::Error;
use crate::time::seconds;

impl Store {
    /// Claims an event. Returns `false` if it is claimed or handled.
    pub(crate) async fn claim_event(
        &self,
        key: &str,
        token: i64,
        lease: Duration,
    ) -> Result<bool, Error> {
        // One statement, so that only one of several processes claims the event.
        let sql = self.engine().sql(
            "INSERT INTO smtp2go_outbox_events (key, token, until)
             VALUES ($1, $2, NOW() + SECS($3))
             ON CONFLICT (key) DO UPDATE SET token = excluded.token, until = excluded.until
             WHERE smtp2go_outbox_events.until <= NOW()",
        );
        on!(self, pool => {
            let query = sqlx::query(sql).bind(key).bind(token).bind(seconds(lease));
            Ok(query.execute(pool).await?.rows_affected() == 1)
        })
    }

    /// Returns whether an event was handled. `None` if the table does not have the event.
    pub(crate) async fn event_is_handled(&self, key: &str) -> Result<Option<bool>, Error> {
        let sql = "SELECT token IS NULL FROM smtp2go_outbox_events WHERE key = $1";
        on!(self, pool => Ok(sqlx::query_scalar(sql).bind(key).fetch_optional(pool).await?))
    }

    /// Marks an event as handled, and keeps it for this long.
    pub(crate) async fn commit_event(
        &self,
        key: &str,
        token: i64,
        keep: Duration,
    ) -> Result<(), Error> {
        let sql = self.engine().sql(
            "UPDATE smtp2go_outbox_events SET token = NULL, until = NOW() + SECS($3)
             WHERE key = $1 AND token = $2",
        );
        on!(self, pool => {
            let query = sqlx::query(sql).bind(key).bind(token).bind(seconds(keep));
            query.execute(pool).await.map(drop)?;
        });
        Ok(())
    }

    /// Releases a claim.
    pub(crate) async fn release_event(&self, key: &str, token: i64) -> Result<(), Error> {
        let sql = "DELETE FROM smtp2go_outbox_events WHERE key = $1 AND token = $2";
        on!(self, pool => sqlx::query(sql).bind(key).bind(token).execute(pool).await.map(drop)?);
        Ok(())
    }

    /// Returns up to 1000 keys of events that follow `after`, in order.
    pub(crate) async fn event_keys(&self, after: &str) -> Result<Vec<String>, Error> {
        let sql = "SELECT key FROM smtp2go_outbox_events WHERE key > $1 ORDER BY key LIMIT 1000";
        on!(self, pool => Ok(sqlx::query_scalar(sql).bind(after).fetch_all(pool).await?))
    }

    /// Deletes an event.
    pub(crate) async fn forget_event(&self, key: &str) -> Result<(), Error> {
        let sql = "DELETE FROM smtp2go_outbox_events WHERE key = $1";
        on!(self, pool => sqlx::query(sql).bind(key).execute(pool).await.map(drop)?);
        Ok(())
    }

    /// Deletes handled events whose time has passed, and claims that have expired. Returns their number.
    pub(crate) async fn forget_events(&self) -> Result<u64, Error> {
        let sql = self
            .engine()
            .sql("DELETE FROM smtp2go_outbox_events WHERE until <= NOW()");
        on!(self, pool => Ok(sqlx::query(sql).execute(pool).await?.rows_affected()))
    }
}
