//! Creates and upgrades the tables. The version is in `smtp2go_outbox_migrations`, not in sqlx's
//! `_sqlx_migrations`, so that the caller's `sqlx::migrate!` works in the same database.

use super::{Store, on};
use crate::error::Error;

/// The statements of one migration for each engine. A published migration never changes.
struct Migration {
    #[cfg(feature = "postgres")]
    postgres: &'static str,
    #[cfg(feature = "sqlite")]
    sqlite: &'static str,
}

const MIGRATIONS: [Migration; 2] = [
    Migration {
        #[cfg(feature = "postgres")]
        postgres: include_str!("postgres-1.sql"),
        #[cfg(feature = "sqlite")]
        sqlite: include_str!("sqlite-1.sql"),
    },
    Migration {
        #[cfg(feature = "postgres")]
        postgres: include_str!("postgres-2.sql"),
        #[cfg(feature = "sqlite")]
        sqlite: include_str!("sqlite-2.sql"),
    },
];

/// The version of the tables that this version of the crate uses.
#[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)]
pub(crate) const VERSION: i32 = MIGRATIONS.len() as i32;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS smtp2go_outbox_migrations (
    version    integer PRIMARY KEY,
    applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
)";

impl Store {
    /// Upgrades the tables to this version, in one transaction.
    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        self.migrate_to(VERSION).await
    }

    pub(super) async fn migrate_to(&self, version: i32) -> Result<(), Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(pool) => {
                let mut transaction = pool.begin().await?;
                // If two programs start at once, the second waits. Only this crate uses the number.
                sqlx::query("SELECT pg_advisory_xact_lock(5782640149)")
                    .execute(&mut *transaction)
                    .await?;
                sqlx::raw_sql(TABLE).execute(&mut *transaction).await?;
                let found: Option<i32> =
                    sqlx::query_scalar("SELECT max(version) FROM smtp2go_outbox_migrations")
                        .fetch_one(&mut *transaction)
                        .await?;
                for (number, migration) in pending(found, version)? {
                    sqlx::raw_sql(migration.postgres)
                        .execute(&mut *transaction)
                        .await?;
                    sqlx::query("INSERT INTO smtp2go_outbox_migrations (version) VALUES ($1)")
                        .bind(number)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => {
                let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
                sqlx::raw_sql(TABLE).execute(&mut *transaction).await?;
                let found: Option<i32> =
                    sqlx::query_scalar("SELECT max(version) FROM smtp2go_outbox_migrations")
                        .fetch_one(&mut *transaction)
                        .await?;
                for (number, migration) in pending(found, version)? {
                    sqlx::raw_sql(migration.sqlite)
                        .execute(&mut *transaction)
                        .await?;
                    sqlx::query("INSERT INTO smtp2go_outbox_migrations (version) VALUES ($1)")
                        .bind(number)
                        .execute(&mut *transaction)
                        .await?;
                }
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    /// Returns an error if the tables are missing or have another version.
    pub(crate) async fn check_version(&self) -> Result<(), Error> {
        let sql = "SELECT max(version) FROM smtp2go_outbox_migrations";
        let found: Result<Option<i32>, sqlx::Error> =
            on!(self, pool => sqlx::query_scalar(sql).fetch_one(pool).await);
        match found {
            Ok(Some(VERSION)) => Ok(()),
            Ok(found) => {
                pending(found, VERSION).map(drop)?;
                Err(Error::settings(format!(
                    "tables have version {}, and this program needs {VERSION}: run `smtp2go-outbox migrate`",
                    found.unwrap_or_default()
                )))
            }
            Err(sqlx::Error::Database(error)) if is_missing_table(&*error) => Err(Error::settings(
                "table smtp2go_outbox_migrations is missing: run `smtp2go-outbox migrate`",
            )),
            Err(error) => Err(error.into()),
        }
    }
}

impl Store {
    /// Returns an error if the SQLite database can lose a commit in a power cut.
    pub(crate) async fn check_durability(&self) -> Result<(), Error> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Ok(()),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => {
                let synchronous: i64 = sqlx::query_scalar("PRAGMA synchronous")
                    .fetch_one(pool)
                    .await?;
                // 2 is FULL, 3 EXTRA.
                if synchronous < 2 {
                    return Err(Error::settings(
                        "SQLite's setting `synchronous` must be FULL: use Outbox::sqlite_options",
                    ));
                }
                Ok(())
            }
        }
    }
}

fn is_missing_table(error: &dyn sqlx::error::DatabaseError) -> bool {
    let code = error.code();
    code.as_deref() == Some("42P01") || error.message().starts_with("no such table")
}

/// Returns the migrations that are missing, with their numbers.
fn pending(
    found: Option<i32>,
    wanted: i32,
) -> Result<impl Iterator<Item = (i32, &'static Migration)>, Error> {
    let found = found.unwrap_or_default();
    if found > VERSION {
        return Err(Error::settings(format!(
            "tables have version {found}, and this program knows versions up to {VERSION}: upgrade smtp2go-outbox"
        )));
    }
    Ok((1..=wanted)
        .zip(&MIGRATIONS)
        .filter(move |(number, _)| *number > found))
}
