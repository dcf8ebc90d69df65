//! A run of the kill test, from the empty table to the verdict.

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::ValueEnum as _;
use smtp2go_sandbox::{Fault, Sandbox};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::database::{Database, Engine};
use crate::point::{Blow, Point};
use crate::relay::Relay;
use crate::schedule::Schedule;
use crate::supervise::{Progress, Shared, keep, lock};
use crate::verdict::{Evidence, Verdict, judge};
use crate::{Result, mails, times};

/// The options of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) engine: Engine,
    pub(crate) mails: u64,
    pub(crate) seed: u64,
    pub(crate) workers: usize,
    pub(crate) hold: bool,
}

/// Minimum number of SIGKILLs at each point.
const KILLS: u64 = 20;
/// Number of kills of the database's server in a run.
const DATABASE_KILLS: u64 = 3;
/// Downtime of the database's server after a kill.
const DATABASE_GONE: Duration = Duration::from_secs(2);
/// Interval at which the table is read.
const LOOK: Duration = Duration::from_millis(300);
/// Interval of progress lines, in seconds.
const SHOW: u64 = 10;
/// Time limit of a run without mails. Each 10 mails add a second.
const LIMIT: Duration = Duration::from_secs(120);

/// Faults of calls to `/email/send`: the fault in the sandbox's syntax, and its chance in 10,000.
const FAULTS: [(&str, u32); 14] = [
    ("reset-before-reading", 150),
    ("close-before-reading", 50),
    ("stall-before-reading", 50),
    ("reset", 150),
    ("close", 50),
    ("stall", 50),
    ("truncate", 100),
    ("truncate-head", 50),
    ("stall-halfway", 50),
    ("close-when-idle", 100),
    ("status=500:json", 100),
    ("status=500:carried-out=yes:json", 50),
    ("status=502:carried-out=yes:html", 50),
    ("status=502:html", 50),
];
/// Faults of look-ups, with the same columns.
const LOOK_UP_FAULTS: [(&str, u32); 3] =
    [("reset", 200), ("status=500:json", 200), ("truncate", 200)];

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Report {
    options: Options,
    verdict: Verdict,
    /// Kills and stops that the run should have reached but did not.
    missing: Vec<String>,
    points: String,
    lives: u64,
    database_kills: u64,
    elapsed: Duration,
    faults: Vec<(String, u64)>,
}

/// Runs the test in an empty folder.
pub(crate) async fn run(options: Options, folder: &Path) -> Result<Report> {
    let started = Instant::now();
    let database = Arc::new(Database::start(options.engine, folder).await?);
    let sandbox = sandbox(options.seed).await?;
    let large = mails::write_large_file(folder)?;
    let sandbox_address: SocketAddr = sandbox
        .base_url()
        .trim_start_matches("http://")
        .trim_end_matches("/v3")
        .parse()?;
    let kills = KILLS + options.mails / 1_000;
    // Each takes longer than a lease.
    let stops = if options.mails < 1_000 { 1 } else { 3 };
    let schedule = Schedule::new(options.seed, kills, stops);
    let (release, share) = watch::channel(schedule.share(options.mails, 0, 0));
    let (finish, done) = watch::channel(false);
    let mut arguments = vec![
        format!("--database={}", database.url()),
        format!("--key={}", sandbox.key()),
        format!("--mails={}", options.mails),
        format!("--large={}", large.display()),
    ];
    arguments.extend(options.hold.then(|| "--hold".to_owned()));
    let shared = Arc::new(Shared {
        schedule: Mutex::new(schedule),
        progress: Mutex::new(Progress {
            left: options.mails,
            ..Progress::default()
        }),
        share,
        done,
        arguments,
        folder: folder.to_owned(),
        mails: options.mails,
        workers: options.workers,
    });
    let mut workers = JoinSet::new();
    for number in 0..options.workers {
        let relay = Relay::start(sandbox_address)?;
        workers.spawn(keep(Arc::clone(&shared), number, relay));
    }
    let database_kills = AtomicU64::new(0);
    let watcher = watch_table(&shared, &database, &release, &database_kills);
    let limit = LIMIT + Duration::from_millis(100 * options.mails);
    tokio::select! {
        watched = watcher => watched?,
        // A worker ends only with an error before all is done.
        Some(ended) = workers.join_next() => ended??,
        () = sleep(limit) => {}
    }
    let _ = finish.send(true);
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    let database_kills = database_kills.into_inner();
    let put = lock(&shared.progress).put;
    let (orders, rows) = database.orders_and_rows().await?;
    let evidence = Evidence {
        put: (1..=put).map(mails::key).collect(),
        orders,
        rows,
        inbox: mails::inbox(&sandbox),
    };
    let mut verdict = judge(&evidence, options.hold);
    let missing_puts = options.mails - put;
    if missing_puts > 0 {
        verdict
            .problems
            .push(format!("{missing_puts} mails were not queued in time"));
    }
    if sandbox.dropped().mails > 0 {
        return Err("the sandbox dropped mails: it ran out of memory".into());
    }
    let schedule = lock(&shared.schedule);
    let mut missing = schedule.missing();
    if database.can_be_killed() && database_kills < DATABASE_KILLS {
        missing.push(format!(
            "kills of the database: {database_kills} of {DATABASE_KILLS}"
        ));
    }
    let lives = lock(&shared.progress).lives;
    let active = sandbox.faults().list();
    // Without the body of the reply.
    let faults = active.iter().map(|fault| {
        let rule = fault.fault().to_string();
        let rule = rule.split(['{', '<']).next().unwrap_or_default();
        (rule.to_owned(), fault.struck())
    });
    Ok(Report {
        options,
        verdict,
        missing,
        points: points(&schedule),
        lives,
        database_kills,
        elapsed: started.elapsed(),
        faults: faults.collect(),
    })
}

async fn sandbox(seed: u64) -> Result<Sandbox> {
    let sandbox = Sandbox::builder().seed(seed).start().await?;
    let faults = sandbox.faults();
    let limited = format!("status=429:retry-after={}:json", times::RETRY_AFTER);
    let sends = FAULTS.iter().copied().chain([(limited.as_str(), 50)]);
    let sends = sends.map(|fault| ("email_send", fault));
    let look_ups = LOOK_UP_FAULTS.map(|fault| ("activity_search", fault));
    for (number, (operation, (fault, chance))) in (0..).zip(sends.chain(look_ups)) {
        let fault: Fault = fault.parse()?;
        let chance = f64::from(chance) / 10_000.0;
        faults.add(
            fault
                .on(operation)
                .chance(chance, seed.wrapping_add(number)),
        );
    }
    Ok(sandbox)
}

/// Follows the table until every mail is done, and kills the database's server in between.
async fn watch_table(
    shared: &Shared,
    database: &Database,
    release: &watch::Sender<u64>,
    kills: &AtomicU64,
) -> Result<()> {
    let started = Instant::now();
    let mut shown = 0;
    loop {
        sleep(LOOK).await;
        let Ok(counts) = database.counts().await else {
            // Not yet migrated, or the server is down.
            continue;
        };
        let put = lock(&shared.progress).put;
        let ended = counts.ended.min(shared.mails);
        lock(&shared.progress).left = shared.mails - ended;
        let share = lock(&shared.schedule).share(shared.mails, put, counts.queued);
        release.send_modify(|released| *released = share.max(*released));
        let seconds = started.elapsed().as_secs();
        if seconds / SHOW > shown {
            shown = seconds / SHOW;
            let kills = lock(&shared.schedule).total(Blow::Kill);
            let open = counts.open;
            eprintln!("{seconds} s: put {put}, open {open}, ended {ended}, kills {kills}");
        }
        let due = ended * (DATABASE_KILLS + 1) / shared.mails.max(1);
        if database.can_be_killed() && kills.load(Ordering::SeqCst) < due.min(DATABASE_KILLS) {
            database.kill(DATABASE_GONE).await?;
            kills.fetch_add(1, Ordering::SeqCst);
            continue;
        }
        if put == shared.mails && counts.open == 0 && ended == shared.mails {
            return Ok(());
        }
    }
}

fn points(schedule: &Schedule) -> String {
    let mut points = String::new();
    for point in Point::value_variants() {
        let kills = schedule.sent(Blow::Kill, Some(*point));
        points += &format!("{} {kills}, ", point.name());
    }
    let random = schedule.sent(Blow::Kill, None);
    let stops = schedule.total(Blow::Stop);
    points + &format!("at random {random}, stopped {stops}")
}

impl Report {
    /// Whether the run passed.
    pub(crate) fn is_good(&self) -> bool {
        self.verdict.problems.is_empty() && self.missing.is_empty()
    }
}

/// Lists the faults and the problems. The last line has the counts.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 30;
        for (fault, struck) in &self.faults {
            writeln!(f, "fault {struck:5} × {fault}")?;
        }
        for missing in &self.missing {
            writeln!(f, "not reached: {missing}")?;
        }
        let problems = &self.verdict.problems;
        for problem in problems.iter().take(SHOWN) {
            writeln!(f, "wrong: {problem}")?;
        }
        if problems.len() > SHOWN {
            writeln!(f, "wrong: {} more", problems.len() - SHOWN)?;
        }
        let Options {
            engine,
            mails,
            seed,
            workers,
            hold,
        } = self.options;
        let Verdict {
            once,
            twice,
            lost,
            unknown,
            held,
            ..
        } = self.verdict;
        let hold = if hold { ", hold" } else { "" };
        let verdict = if self.is_good() { "ok" } else { "FAILED" };
        write!(
            f,
            "{verdict}: {engine}, {mails} mails, {workers} workers, seed {seed}{hold}: \
             accepted once {once}, twice {twice}, lost {lost}, unknown {unknown}, held {held}; \
             killed {}; workers started {}, database killed {}; {} s",
            self.points,
            self.lives,
            self.database_kills,
            self.elapsed.as_secs(),
        )
    }
}
