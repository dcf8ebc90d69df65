//! graphile_worker as the trigger, with its jobs in the database of the outbox.

#[path = "../../../smtp2go-outbox/tests/support/cluster.rs"]
mod cluster;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use cluster::Cluster;
use engines::{JOBS, MAILS, all_sent, assert_one_mail_each, key, local, queue, worker};
use graphile_worker::{
    IntoTaskHandlerResult, JobSpec, TaskHandler, WorkerContext, WorkerContextExt, WorkerOptions,
};
use serde::{Deserialize, Serialize};
use smtp2go_outbox::{Outbox, Worker};
use sqlx::PgPool;

#[derive(Clone, Debug)]
struct Mailer {
    worker: Arc<Worker>,
    runs: Arc<AtomicUsize>,
}

/// The job.
#[derive(Deserialize, Serialize)]
struct Deliver {
    key: String,
}

impl TaskHandler for Deliver {
    const IDENTIFIER: &'static str = "deliver";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let mailer = context.get_ext::<Mailer>().ok_or("no mailer")?;
        mailer.runs.fetch_add(1, Ordering::Relaxed);
        // After an error the queue runs the job again, with a backoff.
        let delivery = mailer.worker.deliver(&self.key).await;
        let delivery = delivery.map_err(|error| error.to_string())?;
        if let Some(wait) = delivery.and_then(|delivery| delivery.again_in) {
            let wait = TimeDelta::from_std(wait).map_err(|error| error.to_string())?;
            let again = JobSpec {
                run_at: Some(Utc::now() + wait),
                ..JobSpec::default()
            };
            let added = context.add_job(self, again).await;
            added.map_err(|error| error.to_string())?;
        }
        Ok::<(), String>(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mail_whose_job_runs_several_times_is_sent_once() {
    let Some(cluster) = Cluster::start(false) else {
        println!("skipped: PostgreSQL is not installed");
        return;
    };
    let (sandbox, client) = local().await;
    let pool = PgPool::connect(&cluster.database()).await.unwrap();
    let outbox = Outbox::postgres(pool.clone());
    outbox.migrate().await.unwrap();
    queue(&outbox).await;

    let mailer = Mailer {
        worker: Arc::new(worker(&outbox, client)),
        runs: Arc::default(),
    };
    let engine = WorkerOptions::default()
        .concurrency(4)
        .pg_pool(pool)
        .define_job::<Deliver>()
        .add_extension(mailer.clone())
        .init()
        .await
        .unwrap();
    let jobs = engine.create_utils();
    for _ in 0..JOBS {
        for number in 0..MAILS {
            let job = Deliver { key: key(number) };
            jobs.add_job(job, JobSpec::default()).await.unwrap();
        }
    }
    let end = async {
        all_sent(&outbox).await;
        while mailer.runs.load(Ordering::Relaxed) < JOBS * MAILS {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        ended = engine.run() => ended.unwrap(),
        () = end => {}
    }
    assert_one_mail_each(&sandbox);
}
