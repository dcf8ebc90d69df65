//! Tables of other versions.

use smtp2go_outbox::{Dedup, Outbox, Put, State};
use smtp2go_sdk::webhook::{Claim, Deduplicator};

use crate::support::{Fixture, empty_fixtures, insert, mail, record, sandbox, work, worker};

/// The tables of version 1, as they were published.
const POSTGRES_1: &str = include_str!("old/postgres-1.sql");
const SQLITE_1: &str = include_str!("old/sqlite-1.sql");

const VERSION_1: &str = "
    CREATE TABLE smtp2go_outbox_migrations (
        version    integer PRIMARY KEY,
        applied_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP
    );
    INSERT INTO smtp2go_outbox_migrations (version) VALUES (1);
    INSERT INTO smtp2go_outbox (key, state, fence, email_id) VALUES ('sent', 'sent', 5, '1a');";

const MAIL: &str = r#"{"version": 1, "sender": "shop@example.com", "to": ["jane@example.net"],
    "subject": "Hi", "text_body": "Hi"}"#;

async fn run(url: &str, sql: &str) {
    let sql = sqlx::AssertSqlSafe(sql.to_owned());
    if url.starts_with("postgres") {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    } else {
        let path = url.strip_prefix("sqlite:").unwrap();
        let pool = sqlx::SqlitePool::connect(path).await.unwrap();
        sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    }
}

#[test]
fn published_migrations_are_unchanged() {
    for (now, then) in [
        (include_str!("../../src/store/postgres-1.sql"), POSTGRES_1),
        (include_str!("../../src/store/sqlite-1.sql"), SQLITE_1),
    ] {
        assert_eq!(now, then);
    }
}

#[tokio::test]
async fn tables_of_version_1_are_upgraded_with_their_rows() {
    for Fixture { outbox, url, .. } in &empty_fixtures().await {
        let tables = if url.starts_with("postgres") {
            POSTGRES_1
        } else {
            SQLITE_1
        };
        run(url, &format!("{tables};\n{VERSION_1}")).await;
        insert(url, "old", MAIL).await;
        let error = outbox.health().await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "tables have version 1, and this program needs 2: run `smtp2go-outbox migrate`"
        );
        outbox.migrate().await.unwrap();
        outbox.health().await.unwrap();
        assert_eq!(record(outbox, "sent").await.state, State::Sent);
        assert_eq!(outbox.put(mail("old")).await.unwrap(), Put::Known);
        let (sandbox, client) = sandbox(|builder| builder).await;
        work(worker(outbox, &client), outbox).await;
        assert_eq!(sandbox.mails().len(), 1);
        // Columns new in version 2.
        let claim = Dedup::new(outbox).claim("e").await.unwrap();
        assert!(matches!(claim, Claim::Claimed(_)));
    }
}

#[tokio::test]
async fn concurrent_starts_migrate_once() {
    for Fixture { outbox, url, .. } in &empty_fixtures().await {
        let mut others = Vec::new();
        for _ in 0..5 {
            others.push(Outbox::connect(url).await.unwrap());
        }
        let all = others.iter().map(|other| {
            let other = other.clone();
            tokio::spawn(async move { other.migrate().await })
        });
        for migrated in all.collect::<Vec<_>>() {
            migrated.await.unwrap().unwrap();
        }
        outbox.migrate().await.unwrap();
        outbox.health().await.unwrap();
    }
}

#[tokio::test]
async fn tables_of_a_later_version_are_refused() {
    for Fixture { outbox, url, .. } in &empty_fixtures().await {
        outbox.migrate().await.unwrap();
        run(
            url,
            "INSERT INTO smtp2go_outbox_migrations (version) VALUES (99)",
        )
        .await;
        let expected = "tables have version 99, and this program knows versions up to 2: upgrade smtp2go-outbox";
        let error = outbox.migrate().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        let error = outbox.health().await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}
