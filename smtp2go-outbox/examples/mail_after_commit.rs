//! Queues each mail in the transaction of its order, so that there is no order without its mail, and no mail
//! without its order.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example mail_after_commit
//! ```

#![allow(clippy::print_stdout)]

mod support;

use smtp2go_outbox::{Outbox, Put};
use smtp2go_sdk::Email;
use sqlx::SqlitePool;
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

    for (id, paid) in [(1, true), (1, true), (2, false), (3, true)] {
        let put = order(&pool, &outbox, id, paid).await?;
        println!("order {id}: {put:?}");
    }

    let worker = outbox.worker(client).build()?;
    worker.run_until(all_settled(&outbox)).await?;
    for record in outbox.list(None, "").await? {
        println!("{}: {}", record.key, record.state);
    }
    println!("the local SMTP2GO received: {}", sandbox.mails().len());
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
        .to("jane@example.net")
        .text("Thank you.")
        .idempotency_key(format!("order-{id}/confirmation"));
    let put = outbox.put_in(&mut transaction, mail).await?;
    if !paid {
        // Dropping the transaction rolls it back.
        return Ok(None);
    }
    transaction.commit().await?;
    Ok(Some(put))
}
