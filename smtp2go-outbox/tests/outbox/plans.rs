//! The cost of a claim does not grow with the table.

use std::time::Duration;

use smtp2go_outbox::Outbox;
use tokio::time::sleep;

use crate::support::{Fixture, postgres, sandbox, worker};

const MAIL: &str = r#"{"version": 1, "sender": "shop@example.com", "to": ["jane@example.net"],
    "subject": "Hi", "text_body": "Hi"}"#;

/// Returns the number of sequential scans of the table, and of rows that index scans returned.
async fn scans(pool: &sqlx::PgPool) -> (i64, i64) {
    sqlx::query_as(
        "SELECT seq_scan, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'smtp2go_outbox'",
    )
    .fetch_one(pool)
    .await
    .unwrap()
}

#[tokio::test]
async fn claim_reads_one_row_of_the_index_at_any_size() {
    for (rows, later) in [(1_000, 0), (100_000, 0), (100, 50_000)] {
        let Some(Fixture { url, .. }) = postgres().await else {
            return;
        };
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        // Mails of later times come first in every order except that of the index.
        sqlx::query(
            "INSERT INTO smtp2go_outbox (key, mail, not_before)
             SELECT 'k' || n, $1::json, now() + CASE WHEN n <= $3 THEN interval '1 day' ELSE '0' END
             FROM generate_series(1, $2 + $3) AS n",
        )
        .bind(MAIL)
        .bind(rows)
        .bind(later)
        .execute(&pool)
        .await
        .unwrap();
        sqlx::raw_sql("VACUUM ANALYZE smtp2go_outbox")
            .execute(&pool)
            .await
            .unwrap();
        let before = scans(&pool).await;
        let (sandbox, client) = sandbox(|builder| builder).await;
        // A separate pool: its statistics are complete once it is closed.
        let workers = sqlx::PgPool::connect(&url).await.unwrap();
        let outbox = Outbox::postgres(workers.clone());
        let worker = worker(&outbox, &client).concurrency(2).listen(false);
        // Without look-ups and sweeps, because these are counted too.
        let worker = worker.sweep_every(Duration::from_secs(600));
        let sent = async {
            while sandbox.mails().len() < 50 {
                sleep(Duration::from_millis(1)).await;
            }
        };
        worker.build().unwrap().run_until(sent).await.unwrap();
        workers.close().await;
        let count = i64::try_from(sandbox.mails().len()).unwrap();
        let after = loop {
            let after = scans(&pool).await;
            if after.1 - before.1 >= count {
                break after;
            }
            sleep(Duration::from_millis(20)).await;
        };
        assert_eq!(after.0, before.0, "sequential scans with {rows} rows");
        // The claim reads the row by one index and again by the key, and the outcome by the key; a row that
        // another worker has locked is read too.
        let read = after.1 - before.1;
        assert!(
            read <= 6 * count,
            "{read} rows read for {count} mails of {rows}"
        );
    }
}
