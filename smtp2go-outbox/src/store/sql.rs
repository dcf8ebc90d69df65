//! Writes the SQL of each engine from one text:
//!
//! | In the text | PostgreSQL | SQLite |
//! | --- | --- | --- |
//! | `NOW()` | time of the statement | time of the statement, in seconds since 1970 |
//! | `CLOCK()` | the same in seconds since 1970 | the same |
//! | `AT($1)` | the parameter, in seconds since 1970, as a time | the parameter |
//! | `SECS($1)` | the parameter, in seconds, as an interval | the parameter |
//! | `UNIX(column)` | the column in seconds since 1970 | the column |
//! | `JSON($1)` | the parameter as `json` | the parameter |
//! | `FENCE()` | the next fence | the fence that the transaction has taken |
//! | `SKIP_LOCKED` | `FOR UPDATE SKIP LOCKED` | nothing: one writer at a time |
//! | `USING(index)` | nothing | `INDEXED BY index`: without `ANALYZE`, SQLite's planner doesn't know which is best |

use sqlx::AssertSqlSafe;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    #[cfg(feature = "postgres")]
    Postgres,
    #[cfg(feature = "sqlite")]
    Sqlite,
}

/// The time in seconds since 1970, with milliseconds, in every version of SQLite.
#[cfg(feature = "sqlite")]
const SQLITE_NOW: &str = "((julianday('now') - 2440587.5) * 86400.0)";

impl Engine {
    /// Returns the statement for this engine. The text must not contain values from outside of the crate.
    pub(super) fn sql(self, text: &str) -> AssertSqlSafe<String> {
        const FUNCTIONS: [&str; 8] = [
            "NOW", "CLOCK", "AT", "SECS", "UNIX", "JSON", "FENCE", "USING",
        ];
        let mut text = text.replace("SKIP_LOCKED", self.skip_locked());
        for name in FUNCTIONS {
            text = self.replace(&text, name);
        }
        AssertSqlSafe(text)
    }

    fn replace(self, text: &str, name: &str) -> String {
        let call = format!("{name}(");
        let mut parts = text.split(&call);
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            // The end of a longer name, such as CONCAT.
            if out.ends_with(|last: char| last.is_ascii_alphanumeric() || last == '_') {
                out.push_str(&call);
                out.push_str(part);
                continue;
            }
            let (argument, rest) = part.split_once(')').unwrap_or((part, ""));
            out.push_str(&self.call(name, argument));
            out.push_str(rest);
        }
        out
    }

    fn call(self, name: &str, argument: &str) -> String {
        match self {
            // Not clock_timestamp(): it is volatile, so PostgreSQL would not use an index for a comparison.
            #[cfg(feature = "postgres")]
            Self::Postgres => match name {
                "NOW" => "statement_timestamp()".to_owned(),
                "CLOCK" => "extract(epoch FROM statement_timestamp())::float8".to_owned(),
                "AT" => format!("to_timestamp({argument})"),
                "SECS" => format!("make_interval(secs => {argument})"),
                "UNIX" => format!("extract(epoch FROM {argument})::float8"),
                "JSON" => format!("{argument}::json"),
                "FENCE" => "nextval('smtp2go_outbox_fence')".to_owned(),
                _ => String::new(),
            },
            #[cfg(feature = "sqlite")]
            Self::Sqlite => match name {
                "NOW" | "CLOCK" => SQLITE_NOW.to_owned(),
                "FENCE" => "(SELECT last FROM smtp2go_outbox_fence)".to_owned(),
                "USING" => format!("INDEXED BY {argument}"),
                _ => argument.to_owned(),
            },
        }
    }

    /// Returns the statement that begins a transaction that writes. In SQLite, a transaction that reads first
    /// would fail if another one writes before it does.
    pub(super) fn begin(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "BEGIN",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    fn skip_locked(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres => "FOR UPDATE SKIP LOCKED",
            #[cfg(feature = "sqlite")]
            Self::Sqlite => "",
        }
    }
}

#[cfg(all(test, feature = "postgres", feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn query_text_is_translated_for_each_engine() {
        let text =
            "SELECT UNIX(a), CONCAT(b) FROM t USING(i) WHERE c <= NOW() + SECS($1) SKIP_LOCKED";
        assert_eq!(
            Engine::Postgres.sql(text).0,
            "SELECT extract(epoch FROM a)::float8, CONCAT(b) FROM t  WHERE c <= \
             statement_timestamp() + make_interval(secs => $1) FOR UPDATE SKIP LOCKED"
        );
        assert_eq!(
            Engine::Sqlite.sql(text).0,
            format!("SELECT a, CONCAT(b) FROM t INDEXED BY i WHERE c <= {SQLITE_NOW} + $1 ")
        );
    }
}
