//! Trials of the outbox: kills its workers at every point of a send and counts the mails, and
//! measures its throughput. See this package's README.

#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, clippy::print_stderr)] // a program

mod bench;
// If a server does not start, the program panics.
#[allow(clippy::panic)]
#[path = "../../../smtp2go-outbox/tests/support/cluster.rs"]
mod cluster;
mod database;
mod mails;
mod point;
mod relay;
mod run;
mod schedule;
mod supervise;
mod times;
mod trap;
mod verdict;
mod worker;

use std::process::ExitCode;

use clap::Parser;

use database::Engine;
use run::Options;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Trials of the outbox. `cargo xtask kill-test` and `cargo xtask bench outbox` start this program.
#[derive(Debug, Parser)]
#[command(name = "outbox-trial")]
enum Cli {
    /// Kill workers and the database, and count the mails.
    Kill {
        #[arg(long)]
        engine: Engine,
        #[arg(long)]
        mails: u64,
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Worker processes. Default: 4 with PostgreSQL, 1 with SQLite.
        #[arg(long)]
        workers: Option<usize>,
        /// Hold mails that SMTP2GO did not accept, instead of sending them again.
        #[arg(long)]
        hold: bool,
    },
    /// Measure the throughput and the cost of a claim.
    Bench,
    /// One worker process of a kill test.
    #[command(hide = true)]
    Worker(worker::Arguments),
    /// One worker process of a benchmark.
    #[command(hide = true)]
    BenchWorker(bench::WorkerArguments),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: Cli) -> Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    match cli {
        Cli::Kill {
            engine,
            mails,
            seed,
            workers,
            hold,
        } => {
            let workers = workers.unwrap_or(match engine {
                Engine::Postgres => 4,
                Engine::Sqlite => 1,
            });
            let options = Options {
                engine,
                mails,
                seed,
                workers,
                hold,
            };
            let folder = tempfile::Builder::new().prefix("outbox-trial-").tempdir()?;
            let report = runtime.block_on(run::run(options, folder.path()))?;
            if !report.is_good() {
                println!("the logs of the workers are in {}", folder.keep().display());
            }
            println!("{report}");
            Ok(report.is_good())
        }
        Cli::Bench => runtime.block_on(bench::run()).map(|()| true),
        Cli::BenchWorker(arguments) => runtime.block_on(bench::worker(arguments)).map(|()| true),
        Cli::Worker(arguments) => runtime.block_on(worker::run(arguments)).map(|()| true),
    }
}
