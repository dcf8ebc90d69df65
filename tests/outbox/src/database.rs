//! The supervisor's access to the database of a run, with plain SQL, because the table is the
//! interface.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use clap::ValueEnum;
use smtp2go_outbox::Outbox;
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{PgPool, SqlitePool};
use tokio::time::sleep;

use crate::Result;
use crate::cluster::Cluster;
use crate::supervise::lock;
use crate::verdict::Row;

/// Connections of the supervisor.
const CONNECTIONS: u32 = 2;
const COUNTS: &str = "SELECT state, count(*) FROM smtp2go_outbox GROUP BY state";
const ROWS: &str = "SELECT key, state, email_id FROM smtp2go_outbox";
const ORDERS: &str = "SELECT key FROM orders";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        })
    }
}

#[derive(Debug)]
pub(crate) struct Database {
    url: String,
    pool: Pool,
    cluster: Option<Mutex<Cluster>>,
}

/// A connection pool for SQLite or PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    pub(crate) fn open(url: &str, connections: u32) -> Result<Self> {
        Ok(match url.strip_prefix("sqlite:") {
            Some(path) => {
                let pool = SqlitePoolOptions::new().max_connections(connections);
                Self::Sqlite(pool.connect_lazy_with(Outbox::sqlite_options(path)))
            }
            None => {
                let pool = PgPoolOptions::new().max_connections(connections);
                Self::Postgres(pool.connect_lazy(url)?)
            }
        })
    }

    pub(crate) fn outbox(&self) -> Outbox {
        match self {
            Self::Sqlite(pool) => Outbox::sqlite(pool.clone()),
            Self::Postgres(pool) => Outbox::postgres(pool.clone()),
        }
    }
}

/// Numbers of mails in the table, by state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) queued: u64,
    /// Queued, sending or unknown.
    pub(crate) open: u64,
    /// In any other state.
    pub(crate) ended: u64,
}

/// Runs the same expression on the pool of either engine.
macro_rules! on {
    ($pool:expr, $with:ident => $do:expr) => {
        match $pool {
            Pool::Sqlite($with) => $do,
            Pool::Postgres($with) => $do,
        }
    };
}

impl Database {
    /// Starts a PostgreSQL server with its data in `folder`, or chooses an SQLite file in it. Does not create
    /// the outbox's tables.
    pub(crate) async fn start(engine: Engine, folder: &Path) -> Result<Self> {
        match engine {
            Engine::Sqlite => {
                let url = format!("sqlite:{}", folder.join("outbox.sqlite").display());
                let pool = Pool::open(&url, CONNECTIONS)?;
                Ok(Self {
                    url,
                    pool,
                    cluster: None,
                })
            }
            Engine::Postgres => {
                let cluster = tokio::task::block_in_place(|| Cluster::start(true));
                let cluster =
                    cluster.ok_or("PostgreSQL is not installed: apt-get install postgresql")?;
                let url = tokio::task::block_in_place(|| cluster.database());
                let pool = Pool::open(&url, CONNECTIONS)?;
                let cluster = Some(Mutex::new(cluster));
                Ok(Self { url, pool, cluster })
            }
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Whether the database is a separate server. With SQLite, killing a worker also kills its
    /// database.
    pub(crate) fn can_be_killed(&self) -> bool {
        self.cluster.is_some()
    }

    /// Kills the server's processes, and starts it again on the same data.
    pub(crate) async fn kill(&self, gone: Duration) -> Result<()> {
        let Some(cluster) = &self.cluster else {
            return Ok(());
        };
        lock(cluster).kill();
        sleep(gone).await;
        tokio::task::block_in_place(|| lock(cluster).up());
        Ok(())
    }

    pub(crate) async fn counts(&self) -> Result<Counts> {
        let states: Vec<(String, i64)> =
            on!(&self.pool, pool => sqlx::query_as(COUNTS).fetch_all(pool).await?);
        let mut counts = Counts::default();
        for (state, count) in states {
            let count = u64::try_from(count)?;
            match state.as_str() {
                "queued" => {
                    counts.queued = count;
                    counts.open += count;
                }
                "sending" | "unknown" => counts.open += count,
                _ => counts.ended += count,
            }
        }
        Ok(counts)
    }

    /// The keys of the orders, and the outbox's rows.
    pub(crate) async fn orders_and_rows(
        &self,
    ) -> Result<(BTreeSet<String>, BTreeMap<String, Row>)> {
        let orders: Vec<(String,)> =
            on!(&self.pool, pool => sqlx::query_as(ORDERS).fetch_all(pool).await?);
        let rows: Vec<(String, String, Option<String>)> =
            on!(&self.pool, pool => sqlx::query_as(ROWS).fetch_all(pool).await?);
        let rows = rows
            .into_iter()
            .map(|(key, state, email_id)| (key, Row { state, email_id }));
        Ok((
            orders.into_iter().map(|(key,)| key).collect(),
            rows.collect(),
        ))
    }
}
