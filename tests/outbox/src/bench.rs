//! Measures the throughput of two workers, the cost of a claim, and the queries of an idle worker.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clap::Args;
use smtp2go_sandbox::Sandbox;
use smtp2go_sdk::Client;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::Result;
use crate::cluster::Cluster;
use crate::database::Pool;

/// The file with the results, beside this package's manifest, and the heading of the section to replace.
const RESULTS: &str = "RESULTS.md";
const HEADING: &str = "# Throughput\n";

const FEW: i64 = 1_000;
const MANY: i64 = 1_000_000;
/// Number of claims whose average cost is measured.
const CLAIMS_MEASURED: i64 = 500;
const WORKERS: usize = 2;
/// Number of mails that a worker sends at once, and of connections that the baseline has per worker.
const CONCURRENCY: usize = 8;
/// Number of rounds in which baseline and workers alternate. The median counts.
const ROUNDS: usize = 3;
/// Duration of a round, after its warm-up.
const ROUND: Duration = Duration::from_secs(8);
const WARM_UP: Duration = Duration::from_secs(2);
const IDLE: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(60);

/// Inserts copies of one mail, each with a different key instead of `$2`.
const FILL: &str = "INSERT INTO smtp2go_outbox (key, mail)
    SELECT $2 || number, replace($3, $2, $2 || number)::json
    FROM generate_series(1, $1) AS number";
/// The baseline, a bare queue: makes the same changes to a row as the outbox, but sends nothing.
const CLAIM: &str =
    "UPDATE smtp2go_outbox SET state = 'sending', fence = nextval('smtp2go_outbox_fence'),
        owner = 'baseline', attempt_since = statement_timestamp(), attempts = attempts + 1,
        lease_until = statement_timestamp() + interval '90 s', updated_at = statement_timestamp()
    WHERE key = (SELECT key FROM smtp2go_outbox
        WHERE state = 'queued' AND priority = 1 AND not_before <= statement_timestamp()
        ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING key, fence, CAST(mail AS text)";
const RECORD: &str = "UPDATE smtp2go_outbox SET state = 'sent', email_id = $3,
        sent_at = statement_timestamp(), updated_at = statement_timestamp()
    WHERE key = $1 AND fence = $2 AND state = 'sending'";
/// The number of claims, since each claim takes a value of this sequence. Counting rows would cost more
/// than the claims.
const CLAIMED: &str = "SELECT last_value FROM smtp2go_outbox_fence";
/// The number of the outbox's claims, and the average time and pages of a claim.
const CLAIMS: &str = "SELECT sum(calls)::bigint, sum(total_exec_time) / sum(calls),
        (sum(shared_blks_hit + shared_blks_read) / sum(calls))::float8
    FROM pg_stat_statements
    WHERE query LIKE '%''sending''%' OR query LIKE '%lease_until = %attempts + %'";
const CALLS: &str = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements
    WHERE query NOT LIKE '%pg_stat_statements%'";

#[derive(Debug, Args)]
pub(crate) struct WorkerArguments {
    #[arg(long)]
    database: String,
    #[arg(long)]
    base_url: String,
    #[arg(long)]
    key: String,
}

/// A worker process with the outbox's defaults. Runs until SIGTERM.
pub(crate) async fn worker(arguments: WorkerArguments) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let base_url = arguments.base_url.as_str();
    let client = Client::builder(arguments.key).base_url(base_url).build()?;
    let connections = u32::try_from(CONCURRENCY + 2)?;
    let outbox = Pool::open(&arguments.database, connections)?.outbox();
    let worker = outbox.worker(client).concurrency(CONCURRENCY).build()?;
    worker
        .run_until(async move { terminate.recv().await.unwrap_or_default() })
        .await?;
    Ok(())
}

/// Runs all measurements, and prints and writes the table.
pub(crate) async fn run() -> Result<()> {
    let bench = Bench::start().await?;
    bench.fill("few-", FEW).await?;
    let few = bench.claims().await?;
    bench.fill("many-", MANY).await?;
    let many = bench.claims().await?;
    let (mut baseline, mut workers) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        baseline.push(bench.baseline().await?);
        workers.push(bench.workers().await?);
    }
    let (baseline, workers) = (median(baseline), median(workers));
    let idle = bench.idle().await?;

    let mut table = String::new();
    writeln!(table, "| | measured | limit |\n| --- | --- | --- |")?;
    let mut row = |name: &str, measured: String, limit: &str| {
        writeln!(table, "| {name} | {measured} | {limit} |")
    };
    row(
        "mails a second, 2 workers, 1,000,000 queued",
        format!("{workers:.0}"),
        "",
    )?;
    row(
        "baseline: claims and commits a second, nothing sent",
        format!("{baseline:.0}"),
        "",
    )?;
    row("ratio", format!("{:.2}", workers / baseline), "≥ 0.5")?;
    row("a claim with 1,000 queued", few.to_string(), "")?;
    row("a claim with 1,000,000 queued", many.to_string(), "")?;
    row(
        "ratio of the times",
        format!("{:.2}", many.millis / few.millis),
        "≤ 2",
    )?;
    row(
        "queries a second of an idle worker",
        format!("{idle:.2}"),
        "≤ 2",
    )?;
    let machine =
        "SELECT split_part(current_setting('server_version'), ' ', 1), current_date::text";
    let (server, date): (String, String) = sqlx::query_as(machine).fetch_one(&bench.pool).await?;
    let cores = std::thread::available_parallelism()?;
    writeln!(table, "\n{cores} cores, PostgreSQL {server}, {date}.")?;
    println!("{table}");
    write(&table)
}

/// Replaces the section in the file.
fn write(table: &str) -> Result<()> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RESULTS);
    let before = std::fs::read_to_string(&path)?;
    let before = before.split(HEADING).next().unwrap_or_default();
    let text = format!(
        "{before}{HEADING}\nWritten by `cargo xtask bench outbox`. The [README](README.md) says what is measured. \
         Other work of the\nmachine changes the figures, the first ratio too.\n\n{table}"
    );
    std::fs::write(path, text)?;
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

struct Bench {
    /// Stopped on drop.
    _cluster: Cluster,
    database: String,
    pool: PgPool,
    sandbox: Sandbox,
}

/// The average cost of a claim.
struct ClaimCost {
    millis: f64,
    pages: f64,
}

impl std::fmt::Display for ClaimCost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ms, {:.0} pages", self.millis, self.pages)
    }
}

impl Bench {
    async fn start() -> Result<Self> {
        let cluster = Cluster::start(true).ok_or("PostgreSQL is not installed")?;
        let database = cluster.database();
        let connections = u32::try_from(WORKERS * CONCURRENCY)?;
        let pool = PgPoolOptions::new().max_connections(connections);
        let pool = pool.connect_lazy(&database)?;
        let load = "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'";
        sqlx::query(load).execute(&pool).await?;
        cluster.kill();
        cluster.up();
        let create = "CREATE EXTENSION pg_stat_statements";
        // The pool's connection was closed, which the first query detects.
        let _ = sqlx::query(create).execute(&pool).await;
        let create = create.replace("EXTENSION", "EXTENSION IF NOT EXISTS");
        sqlx::query(AssertSqlSafe(create)).execute(&pool).await?;
        Pool::Postgres(pool.clone()).outbox().migrate().await?;
        let sandbox = Sandbox::builder().keep_mails(1_000).start().await?;
        Ok(Self {
            _cluster: cluster,
            database,
            pool,
            sandbox,
        })
    }

    /// Queues copies of a mail.
    async fn fill(&self, prefix: &str, count: i64) -> Result<()> {
        let outbox = Pool::Postgres(self.pool.clone()).outbox();
        let mail = crate::mails::mail(1, u64::MAX, prefix.to_owned(), Path::new(""));
        outbox.put(mail).await?;
        let mail = outbox
            .mail(prefix)
            .await?
            .ok_or("the mail is not in the table")?;
        let delete = "DELETE FROM smtp2go_outbox WHERE key = $1";
        sqlx::query(delete).bind(prefix).execute(&self.pool).await?;
        let fill = sqlx::query(FILL).bind(count).bind(prefix).bind(mail);
        fill.execute(&self.pool).await?;
        sqlx::query("VACUUM ANALYZE smtp2go_outbox")
            .execute(&self.pool)
            .await?;
        sqlx::query("CHECKPOINT").execute(&self.pool).await?;
        Ok(())
    }

    /// Returns the number of claims so far.
    async fn claimed(&self) -> Result<i64> {
        Ok(sqlx::query_scalar(CLAIMED).fetch_one(&self.pool).await?)
    }

    async fn forget_statements(&self) -> Result<()> {
        sqlx::query("SELECT pg_stat_statements_reset()")
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Starts worker processes, which are killed on drop.
    fn start_workers(&self, count: usize) -> Result<Vec<Child>> {
        let program = std::env::current_exe()?;
        let start = |_| {
            let mut command = Command::new(&program);
            command
                .arg("bench-worker")
                .arg("--database")
                .arg(&self.database);
            command.arg("--base-url").arg(self.sandbox.base_url());
            command.arg("--key").arg(self.sandbox.key());
            command.stdin(Stdio::null()).kill_on_drop(true).spawn()
        };
        Ok((0..count).map(start).collect::<std::io::Result<_>>()?)
    }

    /// Lets a worker send some mails, and returns the average cost of its claims.
    async fn claims(&self) -> Result<ClaimCost> {
        self.forget_statements().await?;
        let last = self.claimed().await? + CLAIMS_MEASURED;
        let worker = self.start_workers(1)?;
        let reached = async {
            while self.claimed().await? < last {
                sleep(Duration::from_millis(5)).await;
            }
            Result::Ok(())
        };
        timeout(PATIENCE, reached).await??;
        drop(worker);
        let (calls, millis, pages): (i64, f64, f64) =
            sqlx::query_as(CLAIMS).fetch_one(&self.pool).await?;
        if calls < CLAIMS_MEASURED - CONCURRENCY as i64 {
            return Err(format!("{calls} claims were found in pg_stat_statements").into());
        }
        Ok(ClaimCost { millis, pages })
    }

    /// Returns claims and commits per second.
    async fn baseline(&self) -> Result<f64> {
        let mut tasks = JoinSet::new();
        for _ in 0..WORKERS * CONCURRENCY {
            let pool = self.pool.clone();
            tasks.spawn(async move {
                loop {
                    let claim = sqlx::query_as(CLAIM).fetch_one(&pool).await;
                    let (key, fence, _mail): (String, i64, String) = claim?;
                    let record = sqlx::query(RECORD)
                        .bind(key)
                        .bind(fence)
                        .bind("1SaNdB-000001-00");
                    record.execute(&pool).await?;
                }
            });
        }
        let rate = self.rate(async || self.claimed().await);
        tokio::select! {
            rate = rate => rate,
            Some(ended) = tasks.join_next() => ended?,
        }
    }

    /// Returns mails per second.
    async fn workers(&self) -> Result<f64> {
        let _workers = self.start_workers(WORKERS)?;
        self.rate(async || Ok(self.accepted())).await
    }

    /// Returns the growth of a count per second, after the warm-up.
    async fn rate(&self, count: impl AsyncFn() -> Result<i64>) -> Result<f64> {
        sleep(WARM_UP).await;
        let (before, started) = (count().await?, Instant::now());
        sleep(ROUND).await;
        let grown = count().await? - before;
        Ok(grown as f64 / started.elapsed().as_secs_f64())
    }

    /// Returns the number of mails that the sandbox has accepted.
    fn accepted(&self) -> i64 {
        let count = self.sandbox.mails().len() + self.sandbox.dropped().mails;
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    /// Returns the queries per second of one worker with an empty table.
    async fn idle(&self) -> Result<f64> {
        sqlx::query("TRUNCATE smtp2go_outbox")
            .execute(&self.pool)
            .await?;
        let _worker = self.start_workers(1)?;
        sleep(WARM_UP).await;
        self.forget_statements().await?;
        sleep(IDLE).await;
        let calls: i64 = sqlx::query_scalar(CALLS).fetch_one(&self.pool).await?;
        Ok(calls as f64 / IDLE.as_secs_f64())
    }
}
