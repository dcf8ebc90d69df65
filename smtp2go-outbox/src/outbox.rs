//! `Outbox`: the table, and what programs do with it.

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
/// See the [crate](crate) for the whole. Each method is one statement or one short transaction.
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
    /// A worker takes one connection of the pool for notifications, and others while it reads and writes. Does
    /// nothing yet: call [`migrate`](Self::migrate) before the first use.
    #[cfg(feature = "postgres")]
    #[must_use]
    pub fn postgres(pool: sqlx::PgPool) -> Self {
        Self::new(Store::Postgres(pool))
    }

    /// Opens an outbox in an SQLite file, which is created if it is missing, and migrates it.
    ///
    /// The connections use [`sqlite_options`](Self::sqlite_options).
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

    /// Returns an outbox over your own SQLite pool. Its connections must have the settings of
    /// [`sqlite_options`](Self::sqlite_options).
    #[cfg(feature = "sqlite")]
    #[must_use]
    pub fn sqlite(pool: sqlx::SqlitePool) -> Self {
        Self::new(Store::Sqlite(pool))
    }

    /// Returns the settings that an SQLite file with an outbox needs: `journal_mode = WAL`,
    /// `synchronous = FULL`, `busy_timeout` of 30 seconds and `foreign_keys = ON`.
    ///
    /// With these, a committed mail survives the end of the process, and a power cut if the disk honours
    /// `fsync`. With `synchronous = NORMAL` a power cut can undo the last commits, so that a mail is sent
    /// twice. The file must be on a local disk. Begin a transaction that writes with
    /// `pool.begin_with("BEGIN IMMEDIATE")`: one that begins by reading can fail as busy at once.
    #[cfg(feature = "sqlite")]
    pub fn sqlite_options(path: impl AsRef<std::path::Path>) -> sqlx::sqlite::SqliteConnectOptions {
        durable(sqlx::sqlite::SqliteConnectOptions::new().filename(path))
    }

    /// Connects to `postgres://…` or opens `sqlite:PATH`, in the forms that sqlx reads. Migrates nothing.
    ///
    /// # Errors
    /// If the URL is of neither kind, the database is in memory only, or it can't be reached.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        #[cfg(feature = "postgres")]
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options: sqlx::postgres::PgConnectOptions = url.parse()?;
            // A pool would only say that it waited for too long.
            let connection = sqlx::ConnectOptions::connect(&options).await?;
            sqlx::Connection::close(connection).await?;
            return Ok(Self::postgres(sqlx::PgPool::connect_with(options).await?));
        }
        #[cfg(feature = "sqlite")]
        if url.starts_with("sqlite:") {
            if url.contains(":memory:") || url.contains("mode=memory") {
                return Err(Error::settings(
                    "an SQLite database in memory keeps no mail: use sqlite:PATH",
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

    /// Sets what happens to the content of accepted mails. Default: [`Bodies::Keep`]. Set the same in each
    /// process.
    #[must_use]
    pub fn bodies(mut self, bodies: Bodies) -> Self {
        self.bodies = bodies;
        self
    }

    /// Sets the maximum size of a mail's JSON in the table, in bytes. Default: 10 MiB. Attachments in
    /// memory count with four thirds of their size; those by path or URL don't count.
    #[must_use]
    pub fn max_mail_bytes(mut self, limit: usize) -> Self {
        self.max_mail_bytes = limit;
        self
    }

    /// Sets the name of the header in which webhook events have the mail's key. Default:
    /// [`IDEMPOTENCY_HEADER`]. Must be the header of the client that sends, see
    /// [`ClientBuilder::idempotency_header`](smtp2go_sdk::ClientBuilder::idempotency_header).
    #[must_use]
    pub fn idempotency_header(mut self, name: impl Into<String>) -> Self {
        self.key_header = name.into();
        self
    }

    /// Sets the observer of this process.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Creates the tables, or upgrades them to this version. Idempotent, and safe from several programs at
    /// once.
    ///
    /// The versions are in `smtp2go_outbox_migrations`, so your own `sqlx::migrate!` is not disturbed.
    ///
    /// # Errors
    /// If the database fails, or the tables are of a later version.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.store.migrate().await
    }

    /// Queues a mail. Needs an [idempotency key](smtp2go_sdk::Email::idempotency_key). MIME messages, also those of
    /// lettre, can't be queued.
    ///
    /// Its files are read when it is sent. A mail that can't be sent then is held.
    ///
    /// # Errors
    /// One that [`is_mail`](Error::is_mail) if the mail has no key, is [invalid](smtp2go_sdk::Email::validate),
    /// contains U+0000, which PostgreSQL can't store, is larger than [`max_mail_bytes`](Self::max_mail_bytes),
    /// or has an attachment from a reader; else one that [`is_database`](Error::is_database).
    pub async fn put(&self, mail: impl Into<Entry>) -> Result<Put, Error> {
        let entry = mail.into();
        let (key, json) = self.row(&entry)?;
        let inserted = self.store.insert(&new_row(&entry, key, &json)).await?;
        Ok(self.after_put(inserted))
    }

    /// Queues a mail in your own transaction: the mail is sent if and only if the transaction commits.
    /// Otherwise like [`put`](Self::put). A known key does not fail the transaction.
    ///
    /// `connection` is a `&mut` of a connection or transaction of sqlx, to the database of this outbox.
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
    /// Those of [`put`](Self::put). One that [`is_mail`](Error::is_mail) leaves the transaction usable. After
    /// an error of the database, roll it back: `commit` would answer `Ok` and save nothing.
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

    /// The key and the JSON of a mail.
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
            return Err(refused(&"it contains U+0000"));
        }
        if entry.tenant.contains('\0') {
            return Err(refused(&"its tenant contains U+0000"));
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

    /// Returns the row of a key.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn get(&self, key: &str) -> Result<Option<Record>, Error> {
        let found = self.store.get(key).await?;
        Ok(found.map(|(record, _)| record))
    }

    /// Returns the JSON of a mail. `None` if there is no such key, or the content was deleted or encrypted.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn mail(&self, key: &str) -> Result<Option<String>, Error> {
        self.store.mail(key).await
    }

    /// Returns up to 100 rows in the order of their keys: those of one state, or all with `None`.
    ///
    /// `after` is the last key of the page before; empty for the first page. A page with fewer than 100
    /// rows is the last.
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

    /// Returns the number of mails in each state that has any. Reads the whole table.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn counts(&self) -> Result<Vec<(State, u64)>, Error> {
        let mut counts = self.store.counts().await?;
        counts.sort_unstable();
        Ok(counts)
    }

    /// Queues a mail again that is held, rejected by the API, or cancelled. A mail that was held while its
    /// outcome was unknown may then be sent twice.
    ///
    /// It is sent at once, or at its [`not_before`](Record::not_before) if that is later.
    ///
    /// # Errors
    /// If the content was deleted, or the database fails.
    pub async fn retry(&self, key: &str) -> Result<Requested, Error> {
        let requested = self.request(key, Request::Retry).await?;
        self.wake.notify_one();
        Ok(requested)
    }

    /// Retries all mails of a state, as [`retry`](Self::retry) does. Returns the number of mails that are
    /// queued now. Those without content are left out.
    ///
    /// # Errors
    /// If the database fails. The mails before stay queued.
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

    /// Holds a mail that is queued or unknown, until a person decides. It is not looked up meanwhile: see
    /// [`look_up`](Self::look_up).
    ///
    /// # Errors
    /// If the database fails.
    pub async fn hold(&self, key: &str) -> Result<Requested, Error> {
        self.request(key, Request::Hold).await
    }

    /// Has a held mail looked up whose outcome was unknown, as if it had not been held.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn look_up(&self, key: &str) -> Result<Requested, Error> {
        self.request(key, Request::LookUp).await
    }

    /// Checks that the tables exist and are of this version.
    ///
    /// # Errors
    /// One that [`is_settings`](Error::is_settings) if not, or the database fails.
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

    /// Deletes rows in a [final](State::is_final) state that did not change for this long. Returns their
    /// number. After that, the same key can be queued again: keep rows for as long as a key may come again
    /// for the same mail.
    ///
    /// # Errors
    /// If the database fails. Rows deleted before stay deleted.
    pub async fn purge(&self, older_than: Duration) -> Result<u64, Error> {
        self.store.clear_gates().await?;
        self.store.purge(older_than).await
    }

    /// Returns a builder of a worker that sends the mails with this client.
    ///
    /// The client's key needs the permissions for `/email/send` and, for look-ups, `/activity/search`.
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

/// Whether a JSON text has the escape of U+0000: one with an even number of backslashes before it.
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
