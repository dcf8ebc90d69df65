//! The program `smtp2go-outbox`: runs and operates the outbox of programs in any language.

mod log;

use std::fmt;
use std::io::{self, Write};
use std::num::NonZeroU32;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use smtp2go_outbox::{Bodies, Dedup, OnAbsent, Outbox, Record, Requested, State, WorkerBuilder};
use smtp2go_sdk::Client;
use smtp2go_sdk::types::{Timestamp, one_line};

const EXAMPLES: &str = "\
Examples:
  export DATABASE_URL=postgres://shop@db.example.com/shop SMTP2GO_API_KEY=api-...
  smtp2go-outbox migrate
  smtp2go-outbox run --concurrency 16
  smtp2go-outbox list --state held
  smtp2go-outbox purge --older-than 30d

Queue a mail with any driver:
  INSERT INTO smtp2go_outbox (key, mail) VALUES ('order-42/confirmation',
      '{\"version\": 1, \"sender\": \"shop@example.com\", \"to\": [\"jane@example.net\"],
        \"subject\": \"Your order\", \"text_body\": \"Thank you.\"}')
  ON CONFLICT DO NOTHING;";

/// Sends each mail in the table smtp2go_outbox of your database once, through SMTP2GO.
#[derive(Debug, Parser)]
#[command(name = "smtp2go-outbox", version, after_help = EXAMPLES)]
struct Arguments {
    /// postgres://… or sqlite:PATH
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, global = true)]
    database_url: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Create the tables, or upgrade them
    Migrate,
    /// Send mails until SIGINT or SIGTERM. The environment variables SMTP2GO_API_KEY, SMTP2GO_REGION,
    /// SMTP2GO_BASE_URL and SMTP2GO_ALLOW_HTTP configure the client
    Run(Box<Run>),
    /// List mails, one per line: key, state, attempts, reason, email_id
    List {
        /// Only mails in this state
        #[arg(long)]
        state: Option<State>,
    },
    /// Show a row
    Show { key: String },
    /// Queue a held, rejected or cancelled mail again
    Retry {
        #[arg(required_unless_present = "state")]
        key: Option<String>,
        /// Retry all mails in this state, instead of one key
        #[arg(long, conflicts_with = "key")]
        state: Option<State>,
        /// Retry the mail even if an earlier attempt may have sent it
        #[arg(long, conflicts_with = "state")]
        may_send_twice: bool,
    },
    /// Hold a queued or unknown mail
    Hold { key: String },
    /// Let workers look up a held mail whose outcome is unknown
    LookUp { key: String },
    /// Cancel a queued or held mail
    Cancel { key: String },
    /// Show the number of mails in each state
    Counts,
    /// Delete rows of finished mails that did not change for a time, and webhook events that are no longer needed
    Purge {
        /// Minimum time since the last change, such as 30d, 12h, 15m or 90s
        #[arg(long, value_parser = duration)]
        older_than: Duration,
    },
    /// Delete the content of all mails from or to an address. Cancels those that are queued or held
    Erase { address: String },
    /// Show the backlog and failures. Fails if a mail or look-up waits for too long, a mail is
    /// held, or look-ups fail
    Health {
        /// How long a due mail or look-up may wait
        #[arg(long, value_parser = duration, default_value = "5m")]
        limit: Duration,
    },
}

#[derive(Debug, clap::Args)]
struct Run {
    /// How many mails to send at once
    #[arg(long, value_name = "N", default_value_t = 8)]
    concurrency: usize,

    /// Hold a mail after a look-up proved that it was not sent, instead of sending it again
    #[arg(long)]
    hold_absent: bool,

    /// Maximum number of times to send a mail again after a look-up proved that it was not sent
    #[arg(
        long,
        value_name = "N",
        default_value_t = 3,
        conflicts_with = "hold_absent"
    )]
    resends: u32,

    /// Only poll for mails. For a connection through a pooler that does not support LISTEN
    #[arg(long)]
    no_listen: bool,

    /// Delete the content of a mail once it is sent
    #[arg(long)]
    delete_bodies: bool,

    /// How long sends may continue after a signal
    #[arg(long, value_parser = duration, default_value = "30s")]
    drain: Duration,

    /// Log only failures, no changes of a mail's state
    #[arg(long, short)]
    quiet: bool,

    /// Beginning of the worker's name in the table, such as the name of the host
    #[arg(long)]
    name: Option<String>,

    /// Maximum rate of each sender for all workers together, such as 100/1m
    #[arg(long, value_parser = rate)]
    sender_rate: Option<Rate>,

    /// Maximum rate of each tenant for all workers together, such as 100/1m
    #[arg(long, value_parser = rate)]
    tenant_rate: Option<Rate>,

    #[command(flatten)]
    times: Times,
}

type Rate = (NonZeroU32, Duration);

/// The settings of `WorkerBuilder` with the same names. `WorkerBuilder` has their defaults.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Times, such as 90s or 15m")]
struct Times {
    /// Time limit for sending one mail [default: 60s]
    #[arg(long, value_parser = duration)]
    send_deadline: Option<Duration>,

    /// How long a mail belongs to the worker that claimed it. Must be longer than send-deadline and
    /// lease-margin together [default: 90s]
    #[arg(long, value_parser = duration)]
    lease: Option<Duration>,

    /// Time between the latest end of a send and the end of its lease [default: 5s]
    #[arg(long, value_parser = duration)]
    lease_margin: Option<Duration>,

    /// How often an idle worker looks for mail [default: 1s]
    #[arg(long, value_parser = duration)]
    poll: Option<Duration>,

    /// How often to check for leases that have ended, and for mails to look up [default: 5s]
    #[arg(long, value_parser = duration)]
    sweep_every: Option<Duration>,

    /// Time from an attempt to the first look-up of an unknown mail [default: 2m]
    #[arg(long, value_parser = duration)]
    look_up_after: Option<Duration>,

    /// Largest expected difference between the clocks of the database and of the API [default: 5m]
    #[arg(long, value_parser = duration)]
    look_up_margin: Option<Duration>,

    /// How long other workers make no look-ups after this worker's last one [default: 60s]
    #[arg(long, value_parser = duration)]
    look_up_handover: Option<Duration>,

    /// Time from the end of its lease until a mail that is not found counts as not sent [default: 15m]
    #[arg(long, value_parser = duration)]
    give_up_after: Option<Duration>,

    /// How long SMTP2GO keeps the account's activity [default: 5d]
    #[arg(long, value_parser = duration)]
    retention: Option<Duration>,
}

impl Times {
    fn set(&self, mut worker: WorkerBuilder) -> WorkerBuilder {
        type Setter = fn(WorkerBuilder, Duration) -> WorkerBuilder;
        let settings: [(Option<Duration>, Setter); 10] = [
            (self.send_deadline, WorkerBuilder::send_deadline),
            (self.lease, WorkerBuilder::lease),
            (self.lease_margin, WorkerBuilder::lease_margin),
            (self.poll, WorkerBuilder::poll),
            (self.sweep_every, WorkerBuilder::sweep_every),
            (self.look_up_after, WorkerBuilder::look_up_after),
            (self.look_up_margin, WorkerBuilder::look_up_margin),
            (self.look_up_handover, WorkerBuilder::look_up_handover),
            (self.give_up_after, WorkerBuilder::give_up_after),
            (self.retention, WorkerBuilder::retention),
        ];
        for (time, set) in settings {
            if let Some(time) = time {
                worker = set(worker, time);
            }
        }
        worker
    }
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(shown)
            if matches!(
                shown.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            let _ = shown.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let text = error.to_string();
            let lines = text.lines().map(str::trim);
            let lines: Vec<_> = lines
                .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
                .filter(|line| !line.is_empty())
                .collect();
            return failed(format_args!("{}; see --help", lines.join(" ")), 2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => failed(format_args!("error: {}", one_line(&error.to_string())), 1),
    }
}

/// Returns whether the reader of the output has closed it, as `head` does.
fn is_broken_pipe(error: &(dyn std::error::Error + 'static)) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn failed(text: fmt::Arguments<'_>, code: u8) -> ExitCode {
    let _ = writeln!(io::stderr(), "{text}");
    ExitCode::from(code)
}

type Failure = Box<dyn std::error::Error>;

async fn run(arguments: Arguments) -> Result<(), Failure> {
    let url = arguments
        .database_url
        .filter(|url| !url.is_empty())
        .ok_or("no database: set DATABASE_URL or --database-url")?;
    let outbox = Outbox::connect(&url).await?;
    if !matches!(arguments.command, Command::Migrate) {
        outbox.check().await?;
    }
    match arguments.command {
        Command::Migrate => outbox.migrate().await?,
        Command::Run(run) => send(outbox, *run).await?,
        Command::List { state } => list(&outbox, state).await?,
        Command::Show { key } => match outbox.get(&key).await? {
            Some(record) => show(&record)?,
            None => return Err(no_such(&key)),
        },
        Command::Retry {
            key: Some(key),
            may_send_twice,
            ..
        } => {
            let done = match may_send_twice {
                true => outbox.resend(&key).await?,
                false => outbox.retry(&key).await?,
            };
            requested(&key, done)?;
        }
        Command::Retry {
            key: None, state, ..
        } => {
            let mails = outbox.retry_all(state.unwrap_or(State::Held)).await?;
            line(format_args!("{mails} mails queued"))?;
        }
        Command::Hold { key } => requested(&key, outbox.hold(&key).await?)?,
        Command::LookUp { key } => requested(&key, outbox.look_up(&key).await?)?,
        Command::Counts => {
            for (state, count) in outbox.counts().await? {
                line(format_args!("{state}\t{count}"))?;
            }
        }
        Command::Cancel { key } => requested(&key, outbox.cancel(&key).await?)?,
        Command::Purge { older_than } => {
            let rows = outbox.purge(older_than).await?;
            Dedup::new(&outbox).purge().await?;
            line(format_args!("{rows} rows deleted"))?;
        }
        Command::Erase { address } => {
            let erased = outbox.erase(&address).await?;
            line(format_args!("{} mails erased", erased.mails))?;
            if erased.busy > 0 {
                let text = "mails are being sent or looked up: run the command again later";
                return Err(format!("{} {text}", erased.busy).into());
            }
        }
        Command::Health { limit } => health(&outbox, limit).await?,
    }
    Ok(())
}

async fn send(outbox: Outbox, run: Run) -> Result<(), Failure> {
    let client = Client::from_env()?;
    let level = match run.quiet {
        true => tracing::Level::WARN,
        false => tracing::Level::INFO,
    };
    tracing::subscriber::set_global_default(log::Log(level))?;
    let bodies = if run.delete_bodies {
        Bodies::Delete
    } else {
        Bodies::Keep
    };
    let mut worker = outbox
        .bodies(bodies)
        .worker(client)
        .name(run.name.unwrap_or_default())
        .concurrency(run.concurrency)
        .drain(run.drain)
        .listen(!run.no_listen);
    worker = run.times.set(worker);
    if let Some((count, period)) = run.sender_rate {
        worker = worker.sender_rate(count, period);
    }
    if let Some((count, period)) = run.tenant_rate {
        worker = worker.tenant_rate(count, period);
    }
    worker = worker.on_absent(match run.hold_absent {
        true => OnAbsent::Hold,
        false => OnAbsent::Resend {
            at_most: run.resends,
        },
    });
    let signal = signal()?;
    Ok(worker.build()?.run_until(signal).await?)
}

async fn list(outbox: &Outbox, state: Option<State>) -> Result<(), Failure> {
    let mut after = String::new();
    loop {
        let page = outbox.list(state, &after).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after.clone_from(&last.key);
        for record in &page {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            line(format_args!(
                "{}\t{}\t{}\t{}\t{}",
                one_line(&record.key),
                record.state,
                record.attempts,
                one_line(&text(&record.reason)),
                one_line(&text(&record.email_id)),
            ))?;
        }
    }
}

fn show(record: &Record) -> Result<(), Failure> {
    let time = |time: SystemTime| Some(Timestamp::from(time).as_str().to_owned());
    let fields = [
        ("key", Some(record.key.clone())),
        ("state", Some(record.state.to_string())),
        ("reason", record.reason.clone()),
        ("error", record.error.clone()),
        ("tenant", Some(record.tenant.clone())),
        ("sender", record.sender.clone()),
        (
            "priority",
            Some(format!("{:?}", record.priority).to_lowercase()),
        ),
        ("not_before", time(record.not_before)),
        ("not_after", record.not_after.and_then(time)),
        (
            "may have been sent since",
            // A mail that was queued again was proven absent.
            record
                .unknown_since
                .filter(|_| record.state != State::Queued && record.state != State::Sending)
                .and_then(time),
        ),
        ("attempts", Some(record.attempts.to_string())),
        ("resends", Some(record.resends.to_string())),
        ("owner", record.owner.clone()),
        ("attempt_since", record.attempt_since.and_then(time)),
        ("lease_until", record.lease_until.and_then(time)),
        ("look_at", record.look_at.and_then(time)),
        ("email_id", record.email_id.clone()),
        ("schedule_id", record.schedule_id.clone()),
        ("event", record.event.clone()),
        ("created_at", time(record.created_at)),
        ("updated_at", time(record.updated_at)),
        ("sent_at", record.sent_at.and_then(time)),
        ("has_mail", Some(record.has_mail.to_string())),
    ];
    for (name, value) in fields {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            line(format_args!("{name}: {}", one_line(&value)))?;
        }
    }
    Ok(())
}

async fn health(outbox: &Outbox, limit: Duration) -> Result<(), Failure> {
    let health = outbox.health().await?;
    let waits = [
        ("oldest due", health.oldest_due),
        ("oldest failing", health.oldest_failing),
        ("oldest lease over", health.oldest_lease),
        ("oldest look-up due", health.oldest_look_up),
    ];
    let counts = [
        ("failed look-ups", health.failed_look_ups),
        ("held", health.held),
    ];
    for (name, wait) in waits.into_iter().chain([("paused for", health.paused)]) {
        line(format_args!("{name}: {} s", wait.as_secs()))?;
    }
    for (name, count) in counts.into_iter().chain([("rejected", health.rejected)]) {
        line(format_args!("{name}: {count}"))?;
    }
    if health.is_ok(limit) {
        return Ok(());
    }
    let long = waits.into_iter().filter(|(_, wait)| *wait > limit);
    let some = counts.into_iter().filter(|(_, count)| *count > 0);
    let bad: Vec<_> = long
        .map(|(name, _)| name)
        .chain(some.map(|(name, _)| name))
        .collect();
    Err(format!("not ok: {}", bad.join(", ")).into())
}

fn requested(key: &str, requested: Requested) -> Result<(), Failure> {
    match requested {
        Requested::Done => Ok(()),
        Requested::NotIn(state) => Err(format!("{key} is {state}: nothing was changed").into()),
        Requested::Expired => Err(format!("{key}: not_after is past, nothing was changed").into()),
        Requested::InDoubt => Err(format!(
            "{key} may have been sent: use look-up, or retry with --may-send-twice"
        )
        .into()),
        _ => Err(no_such(key)),
    }
}

fn no_such(key: &str) -> Failure {
    format!("{key}: no such key").into()
}

fn line(text: fmt::Arguments<'_>) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Parses a number with a unit: `90s`, `15m`, `12h` or `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let unit = text.chars().last().unwrap_or_default();
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => 0,
    };
    let number = text.strip_suffix(unit).and_then(|n| n.parse::<u32>().ok());
    match number {
        Some(number) if seconds > 0 => Ok(Duration::from_secs(u64::from(number) * seconds)),
        _ => Err("not a duration such as 90s, 15m, 12h or 30d".to_owned()),
    }
}

/// Parses a count and its period: `100/1m`.
fn rate(text: &str) -> Result<Rate, String> {
    let rate = text.split_once('/').and_then(|(count, period)| {
        let period = duration(period).ok().filter(|period| !period.is_zero())?;
        Some((count.parse().ok()?, period))
    });
    rate.ok_or_else(|| "not a rate such as 100/1m".to_owned())
}

/// Returns a future that completes at the first SIGINT or SIGTERM after the call.
#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Without signals, the worker runs until it is killed.
            std::future::pending::<()>().await;
        }
    })
}
