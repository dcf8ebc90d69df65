//! The table: inserts, requests, reads and deletions.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::json;
use smtp2go_outbox::{Bodies, Dedup, Entry, Outbox, Priority, Put, Requested, Seal, State};
use smtp2go_sandbox::Fault;
use smtp2go_sdk::webhook::{Claim, Deduplicator};
use smtp2go_sdk::{Attachment, Email};

use crate::support::{
    Fixture, fixtures, insert, mail, postgres, record, sandbox, sqlite, work, worker,
};

#[tokio::test]
async fn row_has_the_settings_of_the_entry() {
    for Fixture { outbox, .. } in &fixtures().await {
        let not_before = SystemTime::now() + Duration::from_secs(3600);
        let entry = Entry::new(mail("login/1"))
            .priority(Priority::High)
            .tenant("acme")
            .not_before(not_before);
        outbox.put(entry).await.unwrap();
        let row = record(outbox, "login/1").await;
        assert_eq!(row.state, State::Queued);
        assert_eq!(row.priority, Priority::High);
        assert_eq!(row.tenant, "acme");
        assert_eq!(row.sender.as_deref(), Some("Shop <shop@example.com>"));
        let apart = row.not_before.duration_since(not_before);
        let apart = apart.unwrap_or_else(|error| error.duration());
        assert!(apart < Duration::from_millis(1), "{apart:?}");
        assert_eq!(row.fence, 0);
        let json = outbox.mail("login/1").await.unwrap().unwrap();
        let stored: Email = serde_json::from_str(&json).unwrap();
        assert_eq!(stored, mail("login/1"));
        assert_eq!(outbox.get("other").await.unwrap(), None);
        assert_eq!(outbox.mail("other").await.unwrap(), None);
    }
}

#[tokio::test]
async fn invalid_mail_is_refused() {
    let large = mail("k").text("x".repeat(2000));
    let reader = mail("k").attach(Attachment::from_reader("a.txt", tokio::io::empty(), 0));
    let no_key = Email::new("a@example.com", "Hi")
        .to("b@example.net")
        .text("Hi");
    for (mail, expected) in [
        (
            large,
            "bytes as JSON, and the limit is 1000 (max_mail_bytes): attach large files by path or URL",
        ),
        (reader, "a.txt"),
        (
            no_key,
            "mail has no idempotency key: set one with Email::idempotency_key",
        ),
    ] {
        let outbox = sqlite().await.outbox.max_mail_bytes(1000);
        let error = outbox.put(mail).await.unwrap_err();
        assert!(error.is_mail());
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn refused_mail_leaves_the_transaction_usable() {
    let Some(Fixture { outbox, url, .. }) = postgres().await else {
        return;
    };
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::query("CREATE TABLE orders (id int)")
        .execute(&pool)
        .await
        .unwrap();
    for unfit in [
        mail("text").text("a\0b"),
        mail("backslash").text("\\\0"),
        mail("no\0"),
        mail(&"k".repeat(256)),
        mail("Schlüssel"),
        mail(""),
        mail("recipient").to("nobody"),
    ] {
        let mut transaction = pool.begin().await.unwrap();
        let error = outbox.put_in(&mut transaction, unfit).await.unwrap_err();
        assert!(error.is_mail(), "{error}");
        sqlx::query("INSERT INTO orders VALUES (1)")
            .execute(&mut *transaction)
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }
    // A backslash before the letters of the escape.
    let fit = mail("letters").text("C:\\u0000");
    assert_eq!(outbox.put(fit).await.unwrap(), Put::Queued);
}

#[tokio::test]
async fn role_with_only_the_insert_privilege_can_queue_mail() {
    let Some(Fixture { outbox, url, .. }) = postgres().await else {
        return;
    };
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let sql = "CREATE ROLE shop; GRANT INSERT ON smtp2go_outbox TO shop";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    sqlx::raw_sql("SET LOCAL ROLE shop")
        .execute(&mut *transaction)
        .await
        .unwrap();
    for expected in [Put::Queued, Put::Known] {
        let put = outbox.put_in(&mut transaction, mail("k")).await.unwrap();
        assert_eq!(put, expected);
    }
}

#[tokio::test]
async fn mail_with_an_infinite_or_very_late_time_is_sent() {
    for Fixture { outbox, url, .. } in &fixtures().await {
        let far = SystemTime::now() + Duration::from_secs(10_000_000_000_000);
        outbox
            .put(Entry::new(mail("far")).not_after(far))
            .await
            .unwrap();
        if url.starts_with("postgres") {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            let sql = "UPDATE smtp2go_outbox SET not_after = 'infinity', not_before = '-infinity'";
            sqlx::query(sql).execute(&pool).await.unwrap();
        }
        let (_sandbox, client) = sandbox(|builder| builder).await;
        work(worker(outbox, &client), outbox).await;
        assert_eq!(record(outbox, "far").await.state, State::Sent);
    }
}

#[tokio::test]
async fn sqlite_urls_of_sqlx_open_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("the outbox.db");
    let outbox = Outbox::open_sqlite(&path).await.unwrap();
    outbox.put(mail("k")).await.unwrap();
    let path = path.display().to_string();
    for url in [
        format!("sqlite:{path}"),
        format!("sqlite://{}?mode=rwc", path.replace(' ', "%20")),
    ] {
        let same = Outbox::connect(&url).await.unwrap();
        assert!(same.get("k").await.unwrap().is_some(), "{url}");
    }
}

#[tokio::test]
async fn database_that_can_lose_a_commit_is_refused() {
    let fixture = sqlite().await;
    let path = fixture.url.strip_prefix("sqlite:").unwrap();
    let lax = sqlx::sqlite::SqliteSynchronous::Normal;
    let options = Outbox::sqlite_options(path).synchronous(lax);
    let outbox = Outbox::sqlite(sqlx::SqlitePool::connect_with(options).await.unwrap());
    let (_sandbox, client) = sandbox(|builder| builder).await;
    let worker = worker(&outbox, &client).build().unwrap();
    let error = worker.run_until(std::future::pending()).await.unwrap_err();
    assert!(error.is_settings(), "{error}");
}

#[tokio::test]
async fn debug_of_errors_and_rows_contains_no_addresses() {
    for Fixture { outbox, url, .. } in &fixtures().await {
        outbox.put(mail("k")).await.unwrap();
        assert!(!format!("{:?}", record(outbox, "k").await).contains('@'));
        let json = r#""a@example.com""#;
        let error = if url.starts_with("postgres") {
            let pool = sqlx::PgPool::connect(url).await.unwrap();
            let sql = "INSERT INTO smtp2go_outbox (key, mail, priority) VALUES ('x', $1::json, 9)";
            sqlx::query(sql)
                .bind(json)
                .execute(&pool)
                .await
                .unwrap_err()
        } else {
            let pool = sqlx::SqlitePool::connect(url).await.unwrap();
            let sql = "INSERT INTO smtp2go_outbox (key, mail, priority) VALUES ('x', $1, 9)";
            sqlx::query(sql)
                .bind(json)
                .execute(&pool)
                .await
                .unwrap_err()
        };
        let error = smtp2go_outbox::Error::from(error);
        assert!(
            error.is_database() && !format!("{error:?} {error}").contains('@'),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn sqlite_refuses_an_invalid_time() {
    let fixture = sqlite().await;
    let pool = sqlx::SqlitePool::connect(&fixture.url).await.unwrap();
    for (time, is_good) in [
        ("'2026-11-30 10:00:00'", false),
        ("1795960219137", false),
        ("1795960219.5", true),
    ] {
        for column in ["not_before", "not_after"] {
            let sql = format!(
                "INSERT INTO smtp2go_outbox (key, {column}) VALUES ('{column}{is_good}', {time})"
            );
            let inserted = sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&pool).await;
            assert_eq!(inserted.is_ok(), is_good, "{column} {time}");
        }
    }
}

#[tokio::test]
async fn mail_and_order_are_committed_together() {
    let Some(Fixture { outbox, url, .. }) = postgres().await else {
        return;
    };
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE orders (id int)")
        .execute(&pool)
        .await
        .unwrap();
    for (commits, puts) in [(true, Put::Queued), (false, Put::Known)] {
        let mut transaction = pool.begin().await.unwrap();
        // A known key leaves the transaction usable.
        let put = outbox.put_in(&mut transaction, mail("order-1")).await;
        assert_eq!(put.unwrap(), puts);
        let put = outbox.put_in(&mut transaction, mail("order-2")).await;
        assert_eq!(put.unwrap(), puts);
        sqlx::query("INSERT INTO orders VALUES (1)")
            .execute(&mut *transaction)
            .await
            .unwrap();
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
    }
    let mut transaction = pool.begin().await.unwrap();
    outbox
        .put_in(&mut *transaction, mail("order-3"))
        .await
        .unwrap();
    transaction.rollback().await.unwrap();
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM orders")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(orders, 1);
    assert_eq!(outbox.counts().await.unwrap(), [(State::Queued, 2)]);
}

#[tokio::test]
async fn mail_and_order_are_committed_together_on_sqlite() {
    let fixture = sqlite().await;
    let path = fixture.url.strip_prefix("sqlite:").unwrap();
    let options = Outbox::sqlite_options(path);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let outbox = &fixture.outbox;
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let put = outbox.put_in(&mut transaction, mail("order-1")).await;
    assert_eq!(put.unwrap(), Put::Queued);
    transaction.commit().await.unwrap();
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let put = outbox.put_in(&mut transaction, mail("order-1")).await;
    assert_eq!(put.unwrap(), Put::Known);
    let put = outbox.put_in(&mut *transaction, mail("order-2")).await;
    assert_eq!(put.unwrap(), Put::Queued);
    transaction.rollback().await.unwrap();
    assert_eq!(outbox.counts().await.unwrap(), [(State::Queued, 1)]);
}

#[tokio::test]
async fn inserted_row_is_sent_or_held() {
    let good = r#"{"version": 1, "sender": "shop@example.com", "to": ["jane@example.net"],
                   "subject": "Your order", "text_body": "Thank you."}"#;
    let other_key = good.replace("\"version\"", "\"idempotency_key\": \"x\", \"version\"");
    let rows = [
        ("good", good, State::Sent, None),
        (
            "unread",
            r#"{"version": 1, "odd": 1}"#,
            State::Held,
            Some("unreadable"),
        ),
        (
            "newer",
            r#"{"version": 99}"#,
            State::Held,
            Some("unreadable"),
        ),
        ("list", "[]", State::Held, Some("unreadable")),
        (
            "other",
            other_key.as_str(),
            State::Held,
            Some("key_mismatch"),
        ),
        (
            "no-recipient",
            r#"{"version": 1, "sender": "shop@example.com", "to": [], "subject": "a", "text_body": "b"}"#,
            State::Held,
            Some("validation"),
        ),
    ];
    for Fixture { outbox, url, .. } in &fixtures().await {
        for (key, json, ..) in rows {
            insert(url, key, json).await;
        }
        let (sandbox, client) = sandbox(|builder| builder).await;
        work(worker(outbox, &client), outbox).await;
        for (key, _, state, reason) in rows {
            let row = record(outbox, key).await;
            assert_eq!(
                (row.state, row.reason.as_deref()),
                (state, reason),
                "{row:?}"
            );
            assert_eq!(row.error.is_some(), state == State::Held, "{row:?}");
        }
        let mails = sandbox.mails();
        assert_eq!(mails.len(), 1);
        // The mail has the key of its row.
        assert_eq!(
            mails[0].header("X-Idempotency-Key").as_deref(),
            Some("good")
        );
    }
}

#[tokio::test]
async fn list_pages_cover_all_keys_of_a_state() {
    for Fixture { outbox, .. } in &fixtures().await {
        for number in 0..230 {
            outbox
                .put(mail(&format!("order-{number:03}")))
                .await
                .unwrap();
        }
        assert_eq!(outbox.hold("order-007").await.unwrap(), Requested::Done);
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = outbox.list(Some(State::Queued), &after).await.unwrap();
            seen.extend(page.iter().map(|row| row.key.clone()));
            match page.last() {
                Some(last) if page.len() == 100 => after = last.key.clone(),
                _ => break,
            }
        }
        assert_eq!(seen.len(), 229);
        assert!(seen.is_sorted());
        let held = outbox.list(Some(State::Held), "").await.unwrap();
        assert_eq!(held.len(), 1);
        assert_eq!(
            outbox.counts().await.unwrap(),
            [(State::Queued, 229), (State::Held, 1)]
        );
        assert_eq!(outbox.list(None, "order-228").await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn requests_change_only_mails_in_a_fitting_state() {
    for Fixture { outbox, .. } in &fixtures().await {
        outbox.put(mail("k")).await.unwrap();
        for (request, expected, state) in [
            ("retry", Requested::NotIn(State::Queued), State::Queued),
            ("hold", Requested::Done, State::Held),
            ("hold", Requested::NotIn(State::Held), State::Held),
            ("cancel", Requested::Done, State::Cancelled),
            ("hold", Requested::NotIn(State::Cancelled), State::Cancelled),
            ("retry", Requested::Done, State::Queued),
        ] {
            let requested = match request {
                "retry" => outbox.retry("k").await,
                "hold" => outbox.hold("k").await,
                _ => outbox.cancel("k").await,
            };
            assert_eq!(requested.unwrap(), expected, "{request}");
            assert_eq!(record(outbox, "k").await.state, state, "{request}");
        }
        let requested = outbox.cancel("other").await;
        assert_eq!(requested.unwrap(), Requested::NoSuchKey);
    }
}

/// Reverses the bytes. Fails to open bytes that start with a zero.
struct Reversed;

impl Seal for Reversed {
    fn seal(&self, _: &str, mail: &str) -> Result<Vec<u8>, Box<dyn StdError + Send + Sync>> {
        Ok(mail.bytes().rev().collect())
    }

    fn open(&self, _: &str, sealed: &[u8]) -> Result<String, Box<dyn StdError + Send + Sync>> {
        Ok(String::from_utf8(sealed.iter().rev().copied().collect())?)
    }
}

#[tokio::test]
async fn content_of_sent_mail_is_kept_deleted_or_encrypted() {
    for (bodies, has_mail) in [
        (Bodies::Keep, true),
        (Bodies::Delete, false),
        (Bodies::Seal(Arc::new(Reversed)), false),
    ] {
        for fixture in fixtures().await {
            let outbox = fixture.outbox.clone().bodies(bodies.clone());
            // One mail settled by its reply, one by a look-up, and one refused.
            let data = json!({"error": "no", "error_code": "E_ApiResponseCodes.API_EXCEPTION"});
            let refusal = json!({"request_id": "a", "data": data});
            let (_sandbox, client) = sandbox(|builder| {
                let lost = Fault::reset().on("email_send").nth(1).carried_out(true);
                let refused = Fault::status(400).json(&refusal).on("email_send").nth(3);
                builder.fault(lost).fault(refused)
            })
            .await;
            for key in ["1", "2", "3"] {
                outbox.put(mail(key)).await.unwrap();
            }
            work(worker(&outbox, &client).concurrency(1), &outbox).await;
            for (key, state, has_mail) in [
                ("1", State::Sent, has_mail),
                ("2", State::Sent, has_mail),
                // It can still be retried.
                ("3", State::Rejected, true),
            ] {
                let row = record(&outbox, key).await;
                assert_eq!(
                    (row.state, row.has_mail),
                    (state, has_mail),
                    "{bodies:?} {row:?}"
                );
            }
            let erased = outbox.erase("JANE@example.net").await.unwrap();
            let all = if matches!(bodies, Bodies::Delete) {
                1
            } else {
                3
            };
            assert_eq!((erased.mails, erased.busy), (all, 0), "{bodies:?}");
            let erased = outbox.erase("jane@example.net").await.unwrap();
            assert_eq!(erased.mails, 0, "{bodies:?}");
            let error = outbox.retry("3").await.unwrap_err();
            assert_eq!(
                error.to_string(),
                "mail \"3\" can't be sent again: its content was deleted"
            );
        }
    }
}

#[tokio::test]
async fn erasure_finds_the_address_in_every_field() {
    for Fixture { outbox, url, .. } in &fixtures().await {
        let new = |key: &str, from: &str| Email::new(from, "Hi").text("Hi").idempotency_key(key);
        for mail in [
            new("to", "a@example.com").to("Jane Doe <Jane@Example.net>"),
            new("cc", "a@example.com")
                .to("b@example.net")
                .cc("jane@example.net"),
            new("bcc", "a@example.com")
                .to("b@example.net")
                .bcc("jane@example.net"),
            new("sender", "Jane <jane@example.net>").to("b@example.net"),
            new("reply_to", "a@example.com")
                .to("b@example.net")
                .reply_to("jane@example.net"),
            // Mails of other people.
            new("longer", "a@example.com").to("mary-jane@example.net"),
            new("text", "a@example.com")
                .to("b@example.net")
                .text("jane@example.net"),
        ] {
            outbox.put(mail).await.unwrap();
        }
        // In the form of Python's json.dumps.
        let json = r#"{"version": 1, "sender": "a@example.com", "to": ["\u006aane@example.net"],
            "subject": "Hi", "text_body": "Hi"}"#;
        insert(url, "escaped", json).await;
        let dedup = Dedup::new(outbox);
        for key in [
            "delivered/1/jane@example.net/-",
            "delivered/1/mary-jane@example.net/-",
        ] {
            dedup.claim(key).await.unwrap();
        }
        let erased = outbox.erase("jane@example.net").await.unwrap();
        assert_eq!((erased.mails, erased.busy), (6, 0));
        let again = dedup.claim("delivered/1/jane@example.net/-").await.unwrap();
        assert!(matches!(again, Claim::Claimed(_)));
        let other = dedup
            .claim("delivered/1/mary-jane@example.net/-")
            .await
            .unwrap();
        assert_eq!(other, Claim::Busy);
        for key in ["to", "cc", "bcc", "sender", "reply_to", "escaped"] {
            let row = record(outbox, key).await;
            assert_eq!(
                (row.state, row.reason.as_deref(), row.has_mail, row.sender),
                (State::Cancelled, Some("erased"), false, None)
            );
        }
        for key in ["longer", "text"] {
            assert_eq!(record(outbox, key).await.state, State::Queued);
        }
        assert!(outbox.erase(" ").await.unwrap_err().is_settings());
    }
}

#[tokio::test]
async fn erasure_of_an_error_text_keeps_a_mail_to_other_recipients() {
    for Fixture { outbox, .. } in &fixtures().await {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ann@example.net.txt");
        std::fs::write(&path, "x").unwrap();
        let attached = mail("k").attach(Attachment::from_path(&path));
        outbox.put(attached).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        let (_sandbox, client) = sandbox(|builder| builder).await;
        work(worker(outbox, &client), outbox).await;
        let held = record(outbox, "k").await;
        assert!(held.error.unwrap().contains("ann@example.net"));
        for (who, mails, has_error) in [
            ("nn@example.net.txt", 0, true),
            ("ann@example.net.txt", 1, false),
        ] {
            assert_eq!(outbox.erase(who).await.unwrap().mails, mails);
            let row = record(outbox, "k").await;
            assert_eq!(
                (row.state, row.has_mail, row.error.is_some()),
                (State::Held, true, has_error)
            );
        }
    }
}

#[tokio::test]
async fn purge_deletes_settled_rows_by_age() {
    for Fixture { outbox, .. } in &fixtures().await {
        for number in 0..1100 {
            let key = format!("{number:04}");
            outbox.put(mail(&key)).await.unwrap();
            if number % 10 != 0 {
                assert_eq!(outbox.cancel(&key).await.unwrap(), Requested::Done);
            }
        }
        assert_eq!(outbox.purge(Duration::from_secs(3600)).await.unwrap(), 0);
        assert_eq!(outbox.purge(Duration::ZERO).await.unwrap(), 990);
        assert_eq!(outbox.counts().await.unwrap(), [(State::Queued, 110)]);
        assert_eq!(outbox.put(mail("0001")).await.unwrap(), Put::Queued);
    }
}

#[tokio::test]
async fn health_reports_the_oldest_waiting_mail_and_held_mails() {
    for Fixture { outbox, .. } in &fixtures().await {
        let idle = outbox.health().await.unwrap();
        assert_eq!(idle.oldest_due, Duration::ZERO);
        assert!(idle.is_ok(Duration::ZERO));
        let hour = Duration::from_secs(3600);
        let late = Entry::new(mail("late")).not_before(SystemTime::now() - hour);
        let later = Entry::new(mail("later")).not_before(SystemTime::now() + hour);
        outbox.put(late).await.unwrap();
        outbox.put(later).await.unwrap();
        let health = outbox.health().await.unwrap();
        assert!(health.oldest_due >= hour, "{health:?}");
        assert!(!health.is_ok(hour) && health.is_ok(hour * 2), "{health:?}");
        assert_eq!(outbox.hold("late").await.unwrap(), Requested::Done);
        let health = outbox.health().await.unwrap();
        assert_eq!((health.held, health.oldest_due), (1, Duration::ZERO));
        assert!(!health.is_ok(hour));
    }
}
