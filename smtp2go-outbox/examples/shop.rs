//! A web shop with PostgreSQL. `POST /orders` writes an order and its mail in one transaction. The program
//! `smtp2go-outbox` sends the mails. `tests/shop.rs` runs both programs.
//!
//! ```text
//! DATABASE_URL=postgres://… cargo run -p smtp2go-outbox --example shop
//! curl --data jane@example.net http://127.0.0.1:PORT/orders
//! ```

#![allow(clippy::print_stdout)]

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use smtp2go_outbox::Outbox;
use smtp2go_sdk::Email;
use sqlx::PgPool;
use tokio::net::TcpListener;

#[derive(Clone)]
struct Shop {
    pool: PgPool,
    outbox: Outbox,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pool = PgPool::connect(&std::env::var("DATABASE_URL")?).await?;
    let outbox = Outbox::postgres(pool.clone());
    outbox.migrate().await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS orders \
         (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, email text NOT NULL)",
    )
    .execute(&pool)
    .await?;

    let app = Router::new()
        .route("/orders", post(order))
        .with_state(Shop { pool, outbox });
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// Places an order. The body is the customer's address. Returns the order's number.
async fn order(State(shop): State<Shop>, address: String) -> Result<String, StatusCode> {
    place(&shop, &address)
        .await
        .map(|id| id.to_string())
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn place(
    shop: &Shop,
    address: &str,
) -> Result<i64, Box<dyn std::error::Error + Send + Sync>> {
    let mut transaction = shop.pool.begin().await?;
    let id: i64 = sqlx::query_scalar("INSERT INTO orders (email) VALUES ($1) RETURNING id")
        .bind(address)
        .fetch_one(&mut *transaction)
        .await?;
    let mail = Email::new("Shop <shop@example.com>", format!("Your order {id}"))
        .to(address)
        .text("Thank you.")
        .idempotency_key(format!("order-{id}/confirmation"));
    shop.outbox.put_in(&mut transaction, mail).await?;
    transaction.commit().await?;
    Ok(id)
}
