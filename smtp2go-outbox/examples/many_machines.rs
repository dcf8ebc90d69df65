//! Sends the mails of one PostgreSQL table with two workers, as two machines would, and prints their health and
//! metrics.
//!
//! ```text
//! cargo run -p smtp2go-outbox --example many_machines
//! ```
//!
//! Needs PostgreSQL's programs to start a server of its own.

#![allow(clippy::print_stdout)]

#[path = "../tests/support/cluster.rs"]
mod cluster;
mod support;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use smtp2go_outbox::{Entry, Observer, Outbox, State, StateChange};
use smtp2go_sandbox::Fault;
use smtp2go_sdk::{Client, Email};
use sqlx::PgPool;
use support::{Result, all_settled};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result {
    let Some(cluster) = cluster::Cluster::start(false) else {
        println!("skipped: PostgreSQL is not installed");
        return Ok(());
    };
    let url = cluster.database();
    let slow = Fault::delay(Duration::from_millis(30)).on("email_send");
    let (sandbox, client) = support::local(|sandbox| sandbox.fault(slow)).await?;

    let outbox = Outbox::postgres(PgPool::connect(&url).await?);
    outbox.migrate().await?;
    for number in 0..40 {
        let mail = Email::new("Shop <shop@example.com>", "Your order")
            .to(format!("customer{number}@example.net"))
            .text("Thank you.")
            .idempotency_key(format!("order-{number}/confirmation"));
        let tenant = if number % 2 == 0 { "north" } else { "south" };
        outbox.put(Entry::new(mail).tenant(tenant)).await?;
    }

    let metrics = Arc::new(Metrics::default());
    tokio::try_join!(
        machine("a", &url, &client, &metrics),
        machine("b", &url, &client, &metrics),
    )?;

    watch(&outbox).await?;
    println!("mails sent: {}", metrics.sent.load(Ordering::Relaxed));
    let mut machines = BTreeMap::new();
    for record in outbox.list(Some(State::Sent), "").await? {
        let owner = record.owner.unwrap_or_default();
        let machine = owner.split('-').next().unwrap_or_default().to_owned();
        *machines.entry(machine).or_insert(0) += 1;
    }
    println!("machines that sent: {}", machines.len());
    println!("the local SMTP2GO received: {}", sandbox.mails().len());
    Ok(())
}

/// Runs the worker of one machine, until all mails are settled.
async fn machine(name: &str, url: &str, client: &Client, metrics: &Arc<Metrics>) -> Result {
    let outbox = Outbox::postgres(PgPool::connect(url).await?).observer(metrics.clone());
    let fifty = NonZeroU32::new(50).ok_or("zero")?;
    let worker = outbox
        .worker(client.clone())
        .name(format!("{name}-"))
        .concurrency(4)
        .tenant_rate(fifty, Duration::from_secs(1))
        .build()?;
    worker.run_until(all_settled(&outbox)).await?;
    Ok(())
}

#[derive(Default)]
struct Metrics {
    sent: AtomicU64,
}

impl Observer for Metrics {
    fn state_changed(&self, change: &StateChange<'_>) {
        if change.to == State::Sent {
            self.sent.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn watch(outbox: &Outbox) -> Result {
    for (state, count) in outbox.counts().await? {
        println!("{state}: {count}");
    }
    let health = outbox.health().await?;
    println!("oldest due mail: {} s", health.oldest_due.as_secs());
    println!("ok: {}", health.is_ok(Duration::from_secs(300)));
    Ok(())
}
