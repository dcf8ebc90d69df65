//! Queues each mail in the transaction of its order: no order without its mail, no mail without its order.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example mail_after_commit
//! ```

#![allow(clippy::print_stdout)]

mod support;

use smtp2go_outbox::{Outbox, Put};
use smtp2go_sdk::Email;
use sqlx::{SqliteConnection, SqlitePool};
use support::{Result, all_settled};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let (sandbox, client) = support::local(|sandbox| sandbox).await?;
    let folder = tempfile::tempdir()?;
    let options = Outbox::sqlite_options(folder.path().join("shop.db"));
    let pool = SqlitePool::connect_with(options).await?;
    let outbox = Outbox::sqlite(pool.clone());
    outbox.migrate().await?;
    sqlx::query("CREATE TABLE orders (id INTEGER PRIMARY KEY, email TEXT NOT NULL)")
        .execute(&pool)
        .await?;

    println!("order 1: {:?}", order(&pool, &outbox, 1, true).await?);
    println!("order 1 again: {:?}", order(&pool, &outbox, 1, true).await?);
    println!("order 2: {:?}", order(&pool, &outbox, 2, false).await?);
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    println!("order 3: {} row", insert(&mut transaction).await?);
    println!("order 3 again: {} rows", insert(&mut transaction).await?);
    transaction.commit().await?;

    let worker = outbox.worker(client).build()?;
    worker.run_until(all_settled(&outbox)).await?;
    for mail in sandbox.mails() {
        println!(
            "the local SMTP2GO received: {}",
            mail.subject().unwrap_or("?")
        );
    }
    Ok(())
}

async fn order(pool: &SqlitePool, outbox: &Outbox, id: u32, paid: bool) -> Result<Option<Put>> {
    let mut transaction = pool.begin_with("BEGIN IMMEDIATE").await?;
    sqlx::query("INSERT INTO orders VALUES ($1, $2) ON CONFLICT DO NOTHING")
        .bind(id)
        .bind("jane@example.net")
        .execute(&mut *transaction)
        .await?;
    let mail = Email::new("Shop <shop@example.com>", format!("Your order {id}"))
        .to("Jane <jane@example.net>")
        .text("Thank you.")
        .idempotency_key(format!("order-{id}/confirmation"));
    let put = outbox.put_in(&mut transaction, mail).await?;
    if !paid {
        transaction.rollback().await?;
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(put))
}

/// Queues a mail as a program in another language does.
async fn insert(connection: &mut SqliteConnection) -> Result<u64> {
    let mail = r#"{
        "version": 1,
        "sender": "Shop <shop@example.com>",
        "to": ["Jane <jane@example.net>"],
        "subject": "Your order 3",
        "text_body": "Thank you."
    }"#;
    let done = sqlx::query(
        "INSERT INTO smtp2go_outbox (key, mail) VALUES ($1, $2) ON CONFLICT DO NOTHING",
    )
    .bind("order-3/confirmation")
    .bind(mail)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
