//! Programs with one database: an application, the workers of `smtp2go-outbox run`, and the check
//! of their results.

#![allow(dead_code)] // each test program uses a part

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use smtp2go_outbox::{Outbox, State};
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::IDEMPOTENCY_HEADER;
use sqlx::PgPool;
use tokio::process::{Child, Command};

/// Starts `smtp2go-outbox run` with short times.
pub(crate) fn worker(database: &str, sandbox: &Sandbox) -> Child {
    Command::new(env!("CARGO_BIN_EXE_smtp2go-outbox"))
        .args(["run", "--quiet", "--concurrency=4"])
        .args(["--send-deadline=2s", "--lease=4s", "--lease-margin=1s"])
        .args([
            "--sweep-every=1s",
            "--look-up-after=1s",
            "--look-up-margin=0s",
        ])
        .args(["--look-up-handover=1s", "--give-up-after=3s"])
        .env("DATABASE_URL", database)
        .env("SMTP2GO_API_KEY", sandbox.key())
        .env("SMTP2GO_BASE_URL", sandbox.base_url())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Starts an example, and waits for the line that says it is ready.
pub(crate) fn example(name: &str, database: &str) -> Child {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(std::path::Path::parent).unwrap();
    let program: PathBuf = folder.join("examples").join(name);
    assert!(
        program.exists(),
        "{name} is not built: run `cargo test` without `--test`"
    );
    Command::new(program)
        .env("DATABASE_URL", database)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Waits until workers are done with all mails.
pub(crate) async fn settled(database: &str) {
    let outbox = Outbox::connect(database).await.unwrap();
    let open = [State::Queued, State::Sending, State::Unknown];
    while outbox
        .counts()
        .await
        .unwrap()
        .iter()
        .any(|(state, _)| open.contains(state))
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Compares the application's table, the outbox's and the sandbox's inbox. `wanted` selects the key and
/// the recipient of each mail that the application wants sent. Returns their number.
pub(crate) async fn agreement(database: &str, sandbox: &Sandbox, wanted: &'static str) -> usize {
    let pool = PgPool::connect(database).await.unwrap();
    let wanted: Vec<(String, String)> = sqlx::query_as(wanted).fetch_all(&pool).await.unwrap();
    let sent: Vec<(String, String)> =
        sqlx::query_as("SELECT key, mail -> 'to' ->> 0 FROM smtp2go_outbox WHERE state = 'sent'")
            .fetch_all(&pool)
            .await
            .unwrap();
    let inbox = sandbox.mails().into_iter().map(|mail| {
        let request = mail.request();
        let headers = request["custom_headers"].as_array().unwrap();
        let is_key = |header: &&Value| header["header"] == IDEMPOTENCY_HEADER;
        let key = headers.iter().find(is_key).unwrap()["value"].as_str();
        (key.unwrap().to_owned(), mail.to().join(", "))
    });
    let (mut inbox, mut sent, mut wanted) = (inbox.collect::<Vec<_>>(), sent, wanted);
    for list in [&mut inbox, &mut sent, &mut wanted] {
        list.sort_unstable();
    }
    assert_eq!(
        sent, wanted,
        "the outbox differs from the application's table"
    );
    assert_eq!(
        inbox, wanted,
        "the inbox differs from the application's table"
    );
    wanted.len()
}
