//! Outboxes of both engines, a sandbox, and a worker with short times.

use std::sync::OnceLock;
use std::time::Duration;

use smtp2go_outbox::{Outbox, Record, State, WorkerBuilder};
use smtp2go_sandbox::{Sandbox, SandboxBuilder};
use smtp2go_sdk::{Client, Email};
use tempfile::TempDir;

use crate::cluster::Cluster;
use crate::log_watch::watched;

/// An outbox with an empty table, and its database.
pub(crate) struct Fixture {
    pub(crate) outbox: Outbox,
    /// For [`Outbox::connect`].
    pub(crate) url: String,
    _folder: Option<TempDir>,
}

/// Returns an outbox on SQLite, and one on PostgreSQL if that is installed.
pub(crate) async fn fixtures() -> Vec<Fixture> {
    let fixtures = empty_fixtures().await;
    for fixture in &fixtures {
        fixture.outbox.migrate().await.unwrap();
    }
    fixtures
}

pub(crate) async fn sqlite() -> Fixture {
    let fixture = empty_sqlite().await;
    fixture.outbox.migrate().await.unwrap();
    fixture
}

pub(crate) async fn postgres() -> Option<Fixture> {
    let fixture = empty_postgres().await?;
    fixture.outbox.migrate().await.unwrap();
    Some(fixture)
}

/// Like [`fixtures`], but without tables.
pub(crate) async fn empty_fixtures() -> Vec<Fixture> {
    let mut fixtures = vec![empty_sqlite().await];
    fixtures.extend(empty_postgres().await);
    fixtures
}

async fn empty_sqlite() -> Fixture {
    let folder = TempDir::new().unwrap();
    let url = format!("sqlite:{}", folder.path().join("outbox.db").display());
    Fixture {
        outbox: Outbox::connect(&url).await.unwrap(),
        url,
        _folder: Some(folder),
    }
}

async fn empty_postgres() -> Option<Fixture> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    let Some(cluster) = CLUSTER.get_or_init(|| Cluster::start(false)) else {
        println!("skipped on PostgreSQL, which is not installed");
        return None;
    };
    let url = cluster.database();
    Some(Fixture {
        outbox: Outbox::connect(&url).await.unwrap(),
        url,
        _folder: None,
    })
}

/// Inserts a mail as a program in another language does.
pub(crate) async fn insert(url: &str, key: &str, json: &str) {
    if let Some(path) = url.strip_prefix("sqlite:") {
        let pool = sqlx::SqlitePool::connect(path).await.unwrap();
        let sql = "INSERT INTO smtp2go_outbox (key, mail) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql).bind(key).bind(json);
        query.execute(&pool).await.unwrap();
    } else {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        let sql = "INSERT INTO smtp2go_outbox (key, mail) VALUES ($1, CAST($2 AS json))
                   ON CONFLICT DO NOTHING";
        let query = sqlx::query(sql).bind(key).bind(json);
        query.execute(&pool).await.unwrap();
    }
}

pub(crate) fn mail(key: &str) -> Email {
    Email::new("Shop <shop@example.com>", "Your order")
        .to("Jane <jane@example.net>")
        .text("Thank you.")
        .idempotency_key(key)
}

pub(crate) async fn sandbox(
    change: impl FnOnce(SandboxBuilder) -> SandboxBuilder,
) -> (Sandbox, Client) {
    let sandbox = change(Sandbox::builder().strict(true)).start().await;
    let sandbox = sandbox.unwrap();
    let client = Client::builder(watched(sandbox.key()))
        .base_url(sandbox.base_url())
        .build()
        .unwrap();
    (sandbox, client)
}

pub(crate) fn worker(outbox: &Outbox, client: &Client) -> WorkerBuilder {
    let ms = Duration::from_millis;
    outbox
        .worker(client.clone())
        .concurrency(4)
        .send_deadline(ms(1500))
        .lease_margin(ms(100))
        .lease(ms(2000))
        .poll(ms(20))
        .sweep_every(ms(50))
        .drain(ms(3000))
        .look_up_after(ms(100))
        .look_up_margin(ms(0))
        .look_up_handover(ms(300))
        .give_up_after(ms(1000))
        .backoff(ms(10), ms(100))
        .outage_pause(ms(10), ms(50))
        .rate_limit_pause(ms(50), ms(100))
}

/// Runs a worker until all mails are settled or held.
pub(crate) async fn work(builder: WorkerBuilder, outbox: &Outbox) {
    let worker = builder.build().unwrap();
    worker.run_until(idle(outbox)).await.unwrap();
}

/// Waits until all mails are settled or held.
pub(crate) async fn idle(outbox: &Outbox) {
    loop {
        let counts = outbox.counts().await.unwrap();
        if counts
            .iter()
            .all(|(state, _)| state.is_final() || *state == State::Held)
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn record(outbox: &Outbox, key: &str) -> Record {
    outbox.get(key).await.unwrap().unwrap()
}
