//! `Outbox`: the table, and the methods that programs call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use smtp2go_sdk::{Client, IDEMPOTENCY_HEADER};
use tokio::sync::Notify;

use crate::content::Bodies;
use crate::decide::Request;
use crate::entry::{Entry, Put, Requested};
use crate::error::Error;
use crate::observer::Observer;
use crate::record::{Record, State};
use crate::settings::WorkerBuilder;
use crate::store::{Connection, ListOf, NewRow, Store};

/// Default of [`Outbox::max_mail_bytes`].
const MAX_MAIL_BYTES: usize = 10 * 1024 * 1024;

/// Rows on a page of [`Outbox::list`].
const PAGE: u32 = 100;

/// A table of mails in your database. Clones share the pool.
///
/// The documentation of the [crate](crate) describes the table and the guarantees.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) store: Store,
    pub(crate) bodies: Bodies,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Wakes the workers of this process.
    pub(crate) wake: Arc<Notify>,
    pub(crate) key_header: String,
    max_mail_bytes: usize,
}

impl Outbox {
    fn new(store: Store) -> Self {
        Self {
            store,
            bodies: Bodies::default(),
            observer: None,
            wake: Arc::new(Notify::new()),
            key_header: IDEMPOTENCY_HEADER.to_owned(),
            max_mail_bytes: MAX_MAIL_BYTES,
        }
    }

    /// Returns an outbox in a PostgreSQL database, version 12 or later. The tables are in the first schema
    /// of the connection's `search_path`.
    ///
    /// A worker takes one connection of the pool for notifications, and others while it reads and writes. This
    /// function creates no tables: call [`migrate`](Self::migrate) before the first use.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(pool: sqlx::PgPool) -> Self {
        Self::new(Store::Postgres(pool))
    }

    /// Opens an outbox in an SQLite file with [`sqlite_options`](Self::sqlite_options), and migrates it. Creates
    /// the file if it is missing.
    ///
    /// # Errors
    /// If the file can't be opened or migrated.
    #[cfg(feature = "sqlite")]
    pub async fn open_sqlite(path: impl AsRef<std::path::Path>) -> Result<Self, Error> {
        let options = Self::sqlite_options(path);
        let outbox = Self::sqlite(sqlx::SqlitePool::connect_with(options).await?);
        outbox.migrate().await?;
        Ok(outbox)
    }

    /// Returns an outbox over your own SQLite pool, whose connections must have the settings of
    /// [`sqlite_options`](Self::sqlite_options). Creates no tables: call [`migrate`](Self::migrate).
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::new(Store::Sqlite(pool))
    }

    /// Returns the settings that an SQLite file with an outbox needs: `journal_mode = WAL`,
    /// `synchronous = FULL`, `busy_timeout` of 30 seconds and `foreign_keys = ON`.
    ///
    /// With these settings, a committed mail survives a crash of the process, and also a power cut if the disk
    /// honours `fsync`. With `synchronous = NORMAL` a power cut can undo the last commits, and then a mail is sent
    /// twice. The file must be on a local disk.
    ///
    /// Begin a transaction that writes with `pool.begin_with("BEGIN IMMEDIATE")`. A transaction that reads before
    /// it writes can otherwise fail with "database is locked" at once.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_options(path: impl AsRef<std::path::Path>) -> sqlx::sqlite::SqliteConnectOptions {
        durable(sqlx::sqlite::SqliteConnectOptions::new().filename(path))
    }

    /// Connects to `postgres://…` or opens `sqlite:PATH`, in the forms that sqlx reads. Creates no tables: call
    /// [`migrate`](Self::migrate).
    ///
    /// # Errors
    /// If the URL has another scheme, the database is in memory only, or it can't be reached.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        #[cfg(feature = "postgres")]
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options: sqlx::postgres::PgConnectOptions = url.parse()?;
            // First without a pool: the pool's error would be a timeout, without the cause.
            let connection = sqlx::ConnectOptions::connect(&options).await?;
            sqlx::Connection::close(connection).await?;
            return Ok(Self::postgres(sqlx::PgPool::connect_with(options).await?));
        }
        #[cfg(feature = "sqlite")]
        if url.starts_with("sqlite:") {
            if url.contains(":memory:") || url.contains("mode=memory") {
                return Err(Error::settings(
                    "an SQLite database in memory loses its mails: use sqlite:PATH",
                ));
            }
            let options = durable(url.parse()?);
            return Ok(Self::sqlite(sqlx::SqlitePool::connect_with(options).await?));
        }
        // Not the URL itself, which can contain a password.
        let scheme = url.split(':').next().unwrap_or_default();
        Err(Error::settings(format!(
            "database URL has the scheme {scheme:?}: use postgres://… or sqlite:PATH"
        )))
    }

    /// Sets what happens to the content of accepted mails. Default: [`Bodies::Keep`]. Set the same value in each
    /// process that sends mails or records events.
    #[must_use]
    pub fn bodies(mut self, bodies: Bodies) -> Self {
        self.bodies = bodies;
        self
    }

    /// Sets the maximum size of a mail's JSON, in bytes. Default: 10 MiB. An attachment in memory takes four
    /// thirds of its size, because it is encoded as base64. The content of an attachment by path or URL does
    /// not count.
    #[must_use]
    pub fn max_mail_bytes(mut self, limit: usize) -> Self {
        self.max_mail_bytes = limit;
        self
    }

    /// Sets the name of the header that has a mail's key in webhook events. Default: [`IDEMPOTENCY_HEADER`]. Must
    /// be the [`idempotency_header`](smtp2go_sdk::ClientBuilder::idempotency_header) of the client that sends.
    #[must_use]
    pub fn idempotency_header(mut self, name: impl Into<String>) -> Self {
        self.key_header = name.into();
        self
    }

    /// Sets the observer, which receives the changes that this outbox and its clones make.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Creates the tables, or upgrades them to this version. Idempotent. Several programs can call it at once.
    ///
    /// The version is stored in `smtp2go_outbox_migrations`, so your own `sqlx::migrate!` works as before.
    ///
    /// # Errors
    /// If the database fails, or the tables have a later version.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.store.migrate().await
    }

    /// Queues a mail, which needs an [idempotency key](smtp2go_sdk::Email::idempotency_key). MIME messages and
    /// lettre's messages can't be queued.
    ///
    /// A worker reads attached files when it sends the mail, and holds the mail if a file is missing or has
    /// changed.
    ///
    /// # Errors
    /// - [`is_mail`](Error::is_mail) if the mail has no key, is [invalid](smtp2go_sdk::Email::validate), is larger
    ///   than [`max_mail_bytes`](Self::max_mail_bytes), has an attachment from a reader or a missing file, or
    ///   contains U+0000, which PostgreSQL can't store.
    /// - [`is_database`](Error::is_database) if the database fails.
    pub async fn put(&self, mail: impl Into<Entry>) -> Result<Put, Error> {
        let entry = mail.into();
        let (key, json) = self.row(&entry)?;
        let inserted = self.store.insert(&new_row(&entry, key, &json)).await?;
        Ok(self.after_put(inserted))
    }

    /// Queues a mail in your own transaction: the mail is sent if and only if the transaction commits.
    /// Otherwise like [`put`](Self::put). If the table already has the key, the transaction stays usable.
    ///
    /// `connection` is a `&mut` reference to a connection or transaction of sqlx, in the database of this outbox.
    ///
    /// ```no_run
    /// # #[cfg(feature = "postgres")]
    /// # async fn example(pool: sqlx::PgPool, outbox: smtp2go_outbox::Outbox) -> Result<(), Box<dyn std::error::Error>> {
    /// use smtp2go_sdk::Email;
    ///
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("INSERT INTO orders (id) VALUES (42)").execute(&mut *transaction).await?;
    /// let mail = Email::new("shop@example.com", "Your order 42")
    ///     .to("jane@example.net")
    ///     .text("Thank you.")
    ///     .idempotency_key("order-42/confirmation");
    /// outbox.put_in(&mut transaction, mail).await?;
    /// transaction.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`put`](Self::put). If [`is_mail`](Error::is_mail) is true, the transaction stays usable. After an
    /// error of the database, roll it back: in PostgreSQL, `commit` would return `Ok` and save nothing.
    pub async fn put_in(
        &self,
        connection: impl Into<Connection<'_>>,
        mail: impl Into<Entry>,
    ) -> Result<Put, Error> {
        let entry = mail.into();
        let (key, json) = self.row(&entry)?;
        let row = new_row(&entry, key, &json);
        let inserted = Store::insert_in(connection.into(), &row).await?;
        Ok(self.after_put(inserted))
    }

    fn after_put(&self, inserted: bool) -> Put {
        if inserted {
            self.wake.notify_one();
            Put::Queued
        } else {
            Put::Known
        }
    }

    /// Returns the key and the JSON of a mail.
    fn row<'a>(&self, entry: &'a Entry) -> Result<(&'a str, String), Error> {
        let key = entry.mail.key().ok_or_else(|| {
            Error::mail("mail has no idempotency key: set one with Email::idempotency_key")
        })?;
        let refused = |problem: &dyn fmt::Display| {
            Error::mail(format!("mail {key:?} can't be stored: {problem}"))
        };
        entry.mail.validate().map_err(|error| refused(&error))?;
        let json = serde_json::to_string(&entry.mail).map_err(|error| refused(&error))?;
        if has_nul(&json) {
            return Err(refused(&"the mail contains U+0000"));
        }
        if entry.tenant.contains('\0') {
            return Err(refused(&"the tenant contains U+0000"));
        }
        let limit = self.max_mail_bytes;
        if json.len() > limit {
            return Err(Error::mail(format!(
                "mail {key:?} has {} bytes as JSON, and the limit is {limit} (max_mail_bytes): \
                 attach large files by path or URL",
                json.len()
            )));
        }
        Ok((key, json))
    }

    /// Returns the row with this key, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(&self, key: &str) -> Result<Option<Record>, Error> {
        let found = self.store.get(key).await?;
        Ok(found.map(|(record, _)| record))
    }

    /// Returns the JSON of a mail. `None` if the table does not have the key, or the content was deleted or
    /// encrypted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mail(&self, key: &str) -> Result<Option<String>, Error> {
        self.store.mail(key).await
    }

    /// Returns up to 100 rows in the order of their keys: the rows in `state`, or in any state if
    /// it is `None`.
    ///
    /// `after` is the last key of the previous page, and empty for the first page. A page with fewer than 100
    /// rows is the last one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list(&self, state: Option<State>, after: &str) -> Result<Vec<Record>, Error> {
        let of = ListOf {
            state,
            after,
            limit: PAGE,
        };
        self.store.list(of).await
    }

    /// Returns the number of mails in each state; states without mails are left out. Reads the
    /// whole table.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn counts(&self) -> Result<Vec<(State, u64)>, Error> {
        let mut counts = self.store.counts().await?;
        counts.sort_unstable();
        Ok(counts)
    }

    /// Queues a mail again if it is held, cancelled or rejected by the API. Changes nothing if the
    /// mail [may have been sent](Requested::InDoubt).
    ///
    /// A worker sends the mail at once, or at its [`not_before`](Record::not_before) if that is later.
    ///
    /// # Errors
    /// If the mail's content was deleted, or the database fails.
    pub async fn retry(&self, key: &str) -> Result<Requested, Error> {
        let requested = self.request(key, Request::Retry).await?;
        self.wake.notify_one();
        Ok(requested)
    }

    /// Queues a mail again as [`retry`](Self::retry) does, even if it may have been sent, so it may
    /// be sent twice. Prefer [`look_up`](Self::look_up) unless the activity no longer covers the
    /// attempt.
    ///
    /// # Errors
    /// Those of [`retry`](Self::retry).
    pub async fn resend(&self, key: &str) -> Result<Requested, Error> {
        let requested = self.request(key, Request::Resend).await?;
        self.wake.notify_one();
        Ok(requested)
    }

    /// Retries all mails in a state, as [`retry`](Self::retry) does, except those whose content was deleted.
    /// Returns the number of mails that it queued.
    ///
    /// # Errors
    /// If the database fails. Mails that were queued before the failure stay queued.
    pub async fn retry_all(&self, state: State) -> Result<u64, Error> {
        let (mut after, mut queued) = (String::new(), 0);
        loop {
            let page = self.list(Some(state), &after).await?;
            let Some(last) = page.last() else {
                self.wake.notify_one();
                return Ok(queued);
            };
            after.clone_from(&last.key);
            for record in page.iter().filter(|record| record.has_mail) {
                let requested = self.request(&record.key, Request::Retry).await?;
                queued += u64::from(requested == Requested::Done);
            }
        }
    }

    /// Holds a mail that is queued or unknown, until an operator decides. Workers neither send it
    /// nor look it up meanwhile.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn hold(&self, key: &str) -> Result<Requested, Error> {
        self.request(key, Request::Hold).await
    }

    /// Sets a held mail whose outcome is unknown to the state [`Unknown`](State::Unknown), so that a worker
    /// looks it up.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn look_up(&self, key: &str) -> Result<Requested, Error> {
        self.request(key, Request::LookUp).await
    }

    /// Checks that the tables exist and have the version of this crate.
    ///
    /// # Errors
    /// [`is_settings`](Error::is_settings) if they don't. [`is_database`](Error::is_database) if the database
    /// fails.
    pub async fn check(&self) -> Result<(), Error> {
        self.store.check_version().await
    }

    /// Cancels a mail that is queued or held.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn cancel(&self, key: &str) -> Result<Requested, Error> {
        self.request(key, Request::Cancel).await
    }

    /// Deletes rows in a [final](State::is_final) state that did not change for the time `older_than`. Returns
    /// their number. A program can then queue mails with the same keys again, so keep a row for as long as a
    /// program may repeat the call that queued its mail.
    ///
    /// # Errors
    /// If the database fails. Rows that were deleted before the failure stay deleted.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        self.store.clear_gates().await?;
        self.store.purge(older_than).await
    }

    /// Returns a builder of a worker that sends the mails with this client.
    ///
    /// The client's API key must permit `/email/send` and, for look-ups, `/activity/search`.
    pub fn worker(&self, client: Client) -> WorkerBuilder {
        WorkerBuilder::new(self.clone(), client)
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox")
            .field("bodies", &self.bodies)
            .field("max_mail_bytes", &self.max_mail_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "sqlite")]
fn durable(options: sqlx::sqlite::SqliteConnectOptions) -> sqlx::sqlite::SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    options
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30))
        .foreign_keys(true)
}

/// Whether a JSON text contains the escape of U+0000. An odd number of backslashes before the `u`
/// makes it an escape.
fn has_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json.as_bytes().iter().take(at).rev();
        before.take_while(|byte| **byte == b'\\').count() % 2 == 0
    })
}

fn new_row<'a>(entry: &'a Entry, key: &'a str, mail: &'a str) -> NewRow<'a> {
    NewRow {
        key,
        mail,
        tenant: &entry.tenant,
        priority: entry.priority.number(),
        not_before: entry.not_before,
        not_after: entry.not_after,
    }
}
