//! Gates: times that all workers share, before which they don't send or look up.

use std::time::{Duration, SystemTime};

use super::{Store, on, time};
use crate::error::Error;
use crate::time::seconds;

/// Takes the next permit of a rate within a transaction, and returns the seconds until it is due.
macro_rules! reserve {
    ($engine:expr, $connection:expr, $name:expr, $interval:expr) => {{
        let sql = $engine.sql(
            "INSERT INTO smtp2go_outbox_gate (name, until) VALUES ($1, NOW() + SECS($2))
             ON CONFLICT (name) DO UPDATE SET until = SECS($2) + CASE
                 WHEN smtp2go_outbox_gate.until > NOW() THEN smtp2go_outbox_gate.until ELSE NOW()
             END
             RETURNING UNIX(until) - $2 - CLOCK()",
        );
        let interval: std::time::Duration = $interval;
        let query = sqlx::query_scalar(sql).bind($name).bind(seconds(interval));
        let wait: f64 = query.fetch_one($connection).await?;
        wait
    }};
}
pub(super) use reserve;

impl Store {
    /// Pauses all workers for this long, unless a longer pause is set.
    pub(crate) async fn pause(&self, wait: Duration) -> Result<(), Error> {
        let sql = self.engine().sql(
            "INSERT INTO smtp2go_outbox_gate (name, until) VALUES ('pause', NOW() + SECS($1))
             ON CONFLICT (name) DO UPDATE SET until = excluded.until
             WHERE excluded.until > smtp2go_outbox_gate.until",
        );
        on!(self, pool => sqlx::query(sql).bind(seconds(wait)).execute(pool).await.map(drop)?);
        Ok(())
    }

    /// Returns the end of the pause of all workers, if there is one.
    pub(crate) async fn paused_until(&self) -> Result<Option<SystemTime>, Error> {
        let sql = self.engine().sql(
            "SELECT UNIX(until) FROM smtp2go_outbox_gate WHERE name = 'pause' AND until > NOW()",
        );
        let until: Option<f64> =
            on!(self, pool => sqlx::query_scalar(sql).fetch_optional(pool).await?);
        Ok(until.map(time))
    }

    /// Takes or keeps the right to make look-ups, for this long. Returns `false` if another worker has it.
    pub(crate) async fn take_look_up(&self, owner: &str, hold: Duration) -> Result<bool, Error> {
        let sql = self.engine().sql(
            "INSERT INTO smtp2go_outbox_gate (name, until, owner)
             VALUES ('look-up', NOW() + SECS($2), $1)
             ON CONFLICT (name) DO UPDATE SET until = excluded.until, owner = excluded.owner
             WHERE smtp2go_outbox_gate.owner = excluded.owner
                OR smtp2go_outbox_gate.until <= NOW()",
        );
        on!(self, pool => {
            let query = sqlx::query(sql).bind(owner).bind(seconds(hold));
            Ok(query.execute(pool).await?.rows_affected() == 1)
        })
    }

    /// Deletes the gates whose time passed more than an hour ago.
    pub(crate) async fn clear_gates(&self) -> Result<(), Error> {
        let sql = self
            .engine()
            .sql("DELETE FROM smtp2go_outbox_gate WHERE until <= NOW() - SECS(3600)");
        on!(self, pool => sqlx::query(sql).execute(pool).await.map(drop)?);
        Ok(())
    }
}
