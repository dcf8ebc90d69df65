//! apalis as the trigger, with its jobs in SQLite.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use apalis::prelude::*;
use apalis_sqlite::SqliteStorage;
use engines::{JOBS, MAILS, all_sent, assert_one_mail_each, key, local, queue, worker};
use smtp2go_outbox::{Outbox, Worker};
use sqlx::SqlitePool;

#[derive(Clone)]
struct Mailer {
    worker: Arc<Worker>,
    runs: Arc<AtomicUsize>,
}

/// The job. Its argument is the mail's key.
async fn deliver(key: String, mailer: Data<Mailer>) -> Result<(), BoxDynError> {
    mailer.runs.fetch_add(1, Ordering::Relaxed);
    while let Some(delivery) = mailer.worker.deliver(&key).await? {
        // Delays of the queue are not used: see README.md.
        match delivery.again_in {
            Some(wait) => tokio::time::sleep(wait).await,
            None => break,
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_whose_job_runs_several_times_is_sent_once() {
    let (sandbox, client) = local().await;
    let folder = tempfile::tempdir().unwrap();
    let outbox = Outbox::open_sqlite(folder.path().join("outbox.db"));
    let outbox = outbox.await.unwrap();
    queue(&outbox).await;

    // A separate file, because the queue changes `synchronous`, and its migrations use sqlx's
    // table.
    let jobs = folder.path().join("jobs.db");
    let jobs = SqlitePool::connect_with(Outbox::sqlite_options(jobs));
    let jobs = jobs.await.unwrap();
    SqliteStorage::setup(&jobs).await.unwrap();
    let mut storage = SqliteStorage::new(&jobs);
    for _ in 0..JOBS {
        for number in 0..MAILS {
            storage.push(key(number)).await.unwrap();
        }
    }

    let mailer = Mailer {
        worker: Arc::new(worker(&outbox, client)),
        runs: Arc::default(),
    };
    let runs = mailer.runs.clone();
    let end = async move {
        all_sent(&outbox).await;
        while runs.load(Ordering::Relaxed) < JOBS * MAILS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<_, std::io::Error>(())
    };
    WorkerBuilder::new("mailer")
        .backend(storage)
        .data(mailer)
        .build(deliver)
        .run_until(end)
        .await
        .unwrap();
    assert_one_mail_each(&sandbox);
}
