//! The error of the outbox.

use std::error::Error as StdError;
use std::fmt;

use smtp2go_sdk::types::one_line;
use smtp2go_sdk::webhook::IntoStatus;

/// The error of a method of the outbox. Display is one line. Display and Debug contain no content of mails, but
/// the [source](StdError::source) can.
pub struct Error {
    kind: Kind,
}

enum Kind {
    Database(sqlx::Error),
    Mail(String),
    Settings(String),
}

impl Error {
    pub(crate) fn mail(text: impl Into<String>) -> Self {
        Self {
            kind: Kind::Mail(text.into()),
        }
    }

    pub(crate) fn settings(text: impl Into<String>) -> Self {
        Self {
            kind: Kind::Settings(text.into()),
        }
    }

    /// Returns whether the database failed. The source is the [`sqlx::Error`].
    #[must_use]
    pub fn is_database(&self) -> bool {
        matches!(self.kind, Kind::Database(_))
    }

    /// Returns whether the mail is the cause, so that it can't be queued or retried: see
    /// [`Outbox::put`](crate::Outbox::put) and [`Outbox::retry`](crate::Outbox::retry).
    #[must_use]
    pub fn is_mail(&self) -> bool {
        matches!(self.kind, Kind::Mail(_))
    }

    /// Returns whether a setting is wrong, or the tables are missing or have another version.
    #[must_use]
    pub fn is_settings(&self) -> bool {
        matches!(self.kind, Kind::Settings(_))
    }

    /// Returns whether the same call can succeed later: the database can't be reached, is busy or
    /// is shutting down.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match &self.kind {
            Kind::Database(error) => is_temporary(error),
            Kind::Mail(_) | Kind::Settings(_) => false,
        }
    }
}

fn is_temporary(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        // SQLSTATE classes of PostgreSQL: connection, rollback, resources, intervention. SQLite's result
        // codes are numbers, of which the lowest byte counts: busy, locked, I/O error, full.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let class = ["08", "40", "53", "55", "57", "58"];
            match code.parse::<u32>() {
                Ok(number) if code.len() < 5 => matches!(number & 0xff, 5 | 6 | 10 | 13),
                _ => class.iter().any(|class| code.starts_with(class)),
            }
        }),
        _ => false,
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self {
            kind: Kind::Database(error),
        }
    }
}

/// Leaves out the details of the database, which quote the row.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Error").field(&self.to_string()).finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Database(sqlx::Error::Database(error)) => {
                write!(f, "database: {}", one_line(error.message()))
            }
            Kind::Database(error) => write!(f, "database: {}", one_line(&error.to_string())),
            Kind::Mail(text) | Kind::Settings(text) => f.write_str(text),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match &self.kind {
            Kind::Database(error) => Some(error),
            Kind::Mail(_) | Kind::Settings(_) => None,
        }
    }
}

/// The status 500, after which the service posts the event again.
impl IntoStatus for Error {
    fn into_status(self) -> http::StatusCode {
        http::StatusCode::INTERNAL_SERVER_ERROR
    }
}
