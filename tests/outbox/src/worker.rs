//! A worker process: sends mails of the outbox, and queues mails if it is the first process.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use smtp2go_outbox::{OnAbsent, Outbox};
use smtp2go_sdk::{Client, Email, RetryPolicy};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::database::Pool;
use crate::point::Trap;
use crate::trap::{Events, Trapper};
use crate::{Result, mails, times};

/// Maximum number of mails that a worker sends at once.
const CONCURRENCY: usize = 2;
const CONNECTIONS: u32 = 8;
/// Before every mail whose number is a multiple of this, a transaction is rolled back.
const ROLLED_BACK: u64 = 10;
/// Maximum number of resends of one mail, which can be killed in mid-body many times.
const RESENDS: u32 = 100;
/// Wait before a failed database call is retried.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    database: String,
    #[arg(long)]
    base_url: String,
    #[arg(long)]
    key: String,
    /// Number of mails of the run.
    #[arg(long)]
    mails: u64,
    /// The file that large mails have attached.
    #[arg(long)]
    large: PathBuf,
    #[arg(long)]
    log: PathBuf,
    #[command(flatten)]
    trap: Option<Trap>,
    #[arg(long)]
    hold: bool,
    /// Queue mails, starting with this number. Each line of standard input raises the last number.
    #[arg(long)]
    put_from: Option<u64>,
}

/// Runs until SIGTERM.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let log = File::options()
        .append(true)
        .create(true)
        .open(&arguments.log)?;
    // The subscriber lives as long as the process.
    let trapper: &'static Trapper = Box::leak(Box::new(Trapper::new(arguments.trap, log)));
    tracing::subscriber::set_global_default(Events(trapper))?;
    let (tell, share) = watch::channel(0);
    std::thread::spawn(move || follow_supervisor(&tell));

    let client = Client::builder(arguments.key.as_str())
        .base_url(arguments.base_url.as_str())
        .timeout(times::TIMEOUT)
        .retry(RetryPolicy::none().rate_limit_wait(times::RATE_LIMIT.0, times::RATE_LIMIT.1))
        .observer(trapper)
        .build()?;
    let pool = Pool::open(&arguments.database, CONNECTIONS)?;
    let outbox = pool.outbox();
    // The server may be down when the worker starts.
    while let Err(error) = prepare(&pool, &outbox).await {
        eprintln!("{error}");
        sleep(AGAIN).await;
    }
    if let Some(first) = arguments.put_from {
        let putter = Putter {
            pool: pool.clone(),
            outbox: outbox.clone(),
            mails: arguments.mails,
            large: arguments.large,
        };
        tokio::spawn(async move { putter.put_all(first, share).await });
    }
    let on_absent = match arguments.hold {
        true => OnAbsent::Hold,
        false => OnAbsent::Resend { at_most: RESENDS },
    };
    let worker = outbox
        .worker(client)
        .concurrency(CONCURRENCY)
        .send_deadline(times::DEADLINE)
        .lease(times::LEASE)
        .lease_margin(times::LEASE_MARGIN)
        .poll(times::POLL)
        .sweep_every(times::SWEEP)
        .drain(times::DRAIN)
        .look_up_after(times::LAG)
        .look_up_margin(times::MARGIN)
        .look_up_handover(times::HANDOVER)
        .give_up_after(times::GIVE_UP)
        .on_absent(on_absent)
        .backoff(times::BACKOFF.0, times::BACKOFF.1)
        .outage_pause(times::BACKOFF.0, times::BACKOFF.1)
        .rate_limit_pause(times::RATE_LIMIT.0, times::RATE_LIMIT.1)
        .build()?;
    worker
        .run_until(async move { terminate.recv().await.unwrap_or_default() })
        .await?;
    Ok(())
}

/// Reads from standard input how many mails may be queued. Ends the process when the supervisor
/// closes the pipe.
fn follow_supervisor(share: &watch::Sender<u64>) {
    for line in std::io::stdin().lines().map_while(std::result::Result::ok) {
        share.send_replace(line.parse().unwrap_or_default());
    }
    std::process::exit(1);
}

async fn prepare(pool: &Pool, outbox: &Outbox) -> Result<()> {
    const ORDERS: &str = "CREATE TABLE IF NOT EXISTS orders (key text PRIMARY KEY)";
    match pool {
        Pool::Sqlite(pool) => sqlx::query(ORDERS).execute(pool).await.map(|_| ())?,
        Pool::Postgres(pool) => sqlx::query(ORDERS).execute(pool).await.map(|_| ())?,
    }
    outbox.migrate().await?;
    Ok(())
}

/// Queues mails.
struct Putter {
    pool: Pool,
    outbox: Outbox,
    mails: u64,
    large: PathBuf,
}

impl Putter {
    /// Queues mails one by one, and reports each mail whose commit was acknowledged.
    async fn put_all(&self, first: u64, mut share: watch::Receiver<u64>) {
        for number in first..=self.mails {
            if share.wait_for(|share| *share >= number).await.is_err() {
                return;
            }
            if number.is_multiple_of(ROLLED_BACK) {
                self.put(number, mails::key_of_rolled_back(number), false)
                    .await;
            }
            self.put(number, mails::key(number), true).await;
            // One write, so that lines don't mix.
            let _ = std::io::stdout().write_all(format!("put {number}\n").as_bytes());
        }
    }

    /// Writes an order and its mail. After an error the commit may have happened; repeating the
    /// same key is harmless.
    async fn put(&self, number: u64, key: String, commit: bool) {
        let mail = mails::mail(number, self.mails, key.clone(), &self.large);
        while let Err(error) = self.try_put(&key, mail.clone(), commit).await {
            eprintln!("{key}: {error}");
            sleep(AGAIN).await;
        }
    }

    /// Writes an order and its mail in one transaction.
    async fn try_put(&self, key: &str, mail: Email, commit: bool) -> Result<()> {
        const ORDER: &str = "INSERT INTO orders (key) VALUES ($1) ON CONFLICT DO NOTHING";
        macro_rules! in_transaction {
            ($begin:expr) => {{
                let mut transaction = $begin.await?;
                let order = sqlx::query(ORDER).bind(key);
                order.execute(&mut *transaction).await?;
                self.outbox.put_in(&mut transaction, mail).await?;
                match commit {
                    true => transaction.commit().await?,
                    false => transaction.rollback().await?,
                }
            }};
        }
        match &self.pool {
            Pool::Sqlite(pool) => in_transaction!(pool.begin_with("BEGIN IMMEDIATE")),
            Pool::Postgres(pool) => in_transaction!(pool.begin()),
        }
        Ok(())
    }
}
