//! The program `smtp2go-sandbox`, for use from other languages and from a shell.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use smtp2go_sandbox::{Call, Dropped, Fault, Sandbox};

use crate::given_up_log::GivenUpLog;

mod given_up_log;
mod health;

const EXAMPLES: &str = "\
Examples:
  smtp2go-sandbox
      Listens on http://127.0.0.1:4020/v3.
  smtp2go-sandbox --port 0 >sandbox.env &
      Listens on a free port. When the sandbox is ready, it prints lines for a shell:
      SMTP2GO_BASE_URL=http://127.0.0.1:PORT/v3, SMTP2GO_API_KEY=KEY, and SMTP2GO_API_ROOT, which is
      the base URL for the official clients for Go and Rust.
  smtp2go-sandbox -- npm test
      Runs a command with these variables in its environment, on a free port. Exits when the command
      ends, with its status.
  smtp2go-sandbox --smtp 2525
      Also accepts mail over SMTP. Prints four more lines, or sets them for a COMMAND:
      SMTP2GO_SMTP_HOST, SMTP2GO_SMTP_PORT, SMTP2GO_SMTP_USERNAME and SMTP2GO_SMTP_PASSWORD.
  smtp2go-sandbox --strict --sender-domain example.com
      Refuses unknown fields and nulls, and mail from any other domain.
  smtp2go-sandbox --fault email_send:first=3:status=429:retry-after=2
      Replies 429 to the first three calls of /email/send.
  smtp2go-sandbox --seed 7 --fault 'email_*:chance=0.1:reset'
      Accepts each mail, but resets the connection in 10% of the calls, the same ones in each run.
  smtp2go-sandbox --keep-mails 1000 --keep-bytes 64M
      Drops the oldest mail beyond 1,000 mails or 64 MiB.
  smtp2go-sandbox --data sandbox.redb
      Saves mails, keys, templates and other state in a file, and restores them at the next start.
  smtp2go-sandbox --host 0.0.0.0 --expose --key api-0123456789abcdef0123456789abcdef
      Accepts connections from other machines and containers.

Then, for example:
  curl http://127.0.0.1:4020/v3/email/send -H \"X-Smtp2go-Api-Key: $SMTP2GO_API_KEY\" \\
      -d '{\"sender\":\"a@example.com\",\"to\":[\"b@example.net\"],\"subject\":\"Hi\",\"text_body\":\"Hello\"}'
  curl http://127.0.0.1:4020/_sandbox/mails

A fault rule is a list of parts, separated by colons:
  operation   email_send, email_*
  condition   nth=3, nth=3-7, first=5, chance=0.1, seed=42
  reply       failed=REASON, status=503. status= may have a header (retry-after=7,
              header=NAME=VALUE) and a body (json, html, json=VALUE, html=TEXT, text=TEXT)
  connection  refuse, close-before-reading, reset-before-reading, stall-before-reading, delay=2s,
              close, reset, stall, truncate-head, truncate, stall-halfway, close-when-idle,
              reset-when-idle
A rule needs a reply or a connection effect, and may have one of each. carried-out=yes or
carried-out=no sets whether the sandbox carries out the call, for example accepts the mail.";

/// Time that a command has to end after a signal, before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// Time for the replies to requests in progress, after the data file failed.
const LAST_REPLIES: Duration = Duration::from_millis(500);

/// A local SMTP2GO for tests: checks requests against the API's specification, replies like the
/// service and keeps the mail. Nothing leaves the machine.
#[derive(Debug, Parser)]
#[command(name = "smtp2go-sandbox", version, after_help = EXAMPLES)]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    task: Option<Task>,

    /// Port to listen on; 0 is any free port [default: 4020; 0 with a COMMAND]
    #[arg(long)]
    port: Option<u16>,

    /// Port to accept mail over SMTP on, without TLS; 0 is any free port [default: no SMTP]
    #[arg(long, value_name = "PORT", conflicts_with = "stateless")]
    smtp: Option<u16>,

    /// Address to listen on; an address beyond loopback needs --expose and --key
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    host: IpAddr,

    /// Allows --host to be an address that other machines can reach
    #[arg(long, requires = "key")]
    expose: bool,

    /// Additional host name that browsers may use for the inbox; programs need it only for a GET of
    /// /_sandbox by a public name (not by a name such as sandbox or host.docker.internal)
    #[arg(long, value_name = "NAME")]
    allowed_host: Vec<String>,

    /// Maximum number of open connections; another one gets status 503
    #[arg(long, value_name = "N", default_value_t = 512)]
    max_connections: usize,

    /// API key [default: an invented key that is always the same]
    #[arg(long)]
    key: Option<String>,

    /// Seed of generated values and of faults with chance=
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Makes calls fail on purpose; may be given several times
    #[arg(long, value_name = "RULE")]
    fault: Vec<Fault>,

    /// Refuses unknown fields, which the service ignores
    #[arg(long)]
    refuse_unknown: bool,

    /// Refuses null and empty text in fields that can be left out; the service treats both as absent
    #[arg(long)]
    refuse_null: bool,

    /// Both --refuse-unknown and --refuse-null; the sandbox's own replies are checked too
    #[arg(long)]
    strict: bool,

    /// Also serves calls without /v3 in their path
    #[arg(long)]
    allow_missing_v3: bool,

    /// Status for an unknown key: 401 as documented, or 500 as observed
    #[arg(long, value_name = "STATUS", default_value_t = 401,
          value_parser = clap::value_parser!(u16).range(400..=599))]
    unknown_key_status: u16,

    /// Replies with the specification's examples and keeps no mail
    #[arg(long)]
    stateless: bool,

    /// Refuses mail from senders that are not verified
    #[arg(long)]
    enforce_senders: bool,

    /// Domain that is verified from the start; implies --enforce-senders; may be given several times
    #[arg(long, value_name = "DOMAIN")]
    sender_domain: Vec<String>,

    /// Also posts events to webhooks on other machines, by http:// only
    #[arg(long)]
    remote_webhooks: bool,

    /// Factor by which retries of failed webhooks are faster than at the service
    #[arg(long, value_name = "TIMES", default_value_t = 3600)]
    webhook_speed: u32,

    /// Seconds until an event is found by /activity/search; the service takes about 120
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    activity_lag: Duration,

    /// Number of mails to keep; the oldest are dropped with their events and calls
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = count)]
    keep_mails: usize,

    /// Memory for mails, events and calls, in bytes or with K, M or G; beyond it, the oldest are
    /// dropped. Bodies of requests in progress take up to half of it in addition (at least 128M)
    #[arg(long, value_name = "SIZE", default_value = "1G", value_parser = size)]
    keep_bytes: usize,

    /// File to save the state in, created if missing; a change survives a restart or a crash once its
    /// call has a reply
    #[arg(long, value_name = "FILE", conflicts_with = "stateless")]
    data: Option<PathBuf>,

    /// Does not log calls, dropped mails and webhook deliveries that were given up
    #[arg(long, short)]
    quiet: bool,

    /// Command to run with SMTP2GO_BASE_URL, SMTP2GO_API_KEY and SMTP2GO_API_ROOT in its environment;
    /// the sandbox exits with it
    #[arg(last = true)]
    command: Vec<String>,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Ends with status 0 if a sandbox answers, else with a line and status 1
    Health(health::Health),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(asked)
            if matches!(
                asked.kind(),
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
            ) =>
        {
            // A closed pipe is not an error.
            let _ = asked.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let text = error.to_string();
            let lines = text.lines().map(str::trim);
            let lines: Vec<_> = lines
                .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
                .filter(|line| !line.is_empty())
                .collect();
            say(format_args!("{}; see --help", lines.join(" ")));
            return ExitCode::from(2);
        }
    };
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            say(format_args!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes a line to standard error, ignoring errors.
fn say(message: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{message}");
}

/// Keeps the text of redb's panics off standard error. A damaged data file can make it panic; the sandbox
/// catches that, and its error names the file.
fn silence_redb() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(std::panic::Location::file);
        if !place.is_some_and(|file| file.contains("redb-")) {
            usual(panic);
        }
    }));
}

fn run(arguments: Arguments) -> io::Result<ExitCode> {
    if let Some(Task::Health(health)) = arguments.task {
        return health.check().map(|()| ExitCode::SUCCESS);
    }
    let usual = if arguments.command.is_empty() {
        4020
    } else {
        0
    };
    let port = arguments.port.unwrap_or(usual);
    let mut builder = Sandbox::builder()
        .port(port)
        .host(arguments.host)
        .expose(arguments.expose)
        .max_connections(arguments.max_connections)
        .seed(arguments.seed)
        .refuse_unknown(arguments.refuse_unknown || arguments.strict)
        .refuse_null(arguments.refuse_null || arguments.strict)
        .allow_missing_v3(arguments.allow_missing_v3)
        .unknown_key_status(arguments.unknown_key_status)
        .enforce_senders(arguments.enforce_senders)
        .remote_webhooks(arguments.remote_webhooks)
        .webhook_speed(arguments.webhook_speed)
        .activity_lag(arguments.activity_lag)
        .keep_mails(arguments.keep_mails)
        .keep_bytes(arguments.keep_bytes)
        .stateless(arguments.stateless);
    if let Some(port) = arguments.smtp {
        builder = builder.smtp(port);
    }
    for name in arguments.allowed_host {
        builder = builder.allowed_host(name);
    }
    if let Some(key) = arguments.key {
        builder = builder.key(key);
    }
    if let Some(path) = arguments.data {
        builder = builder.data(path);
    }
    if !arguments.sender_domain.is_empty() {
        builder = builder.sender_domains(arguments.sender_domain);
    }
    for fault in arguments.fault {
        builder = builder.fault(fault);
    }
    let given_up = Arc::new(GivenUpLog::default());
    if !arguments.quiet {
        let log_given_up = Arc::clone(&given_up);
        builder = builder
            .on_call(log)
            .on_drop(log_drop)
            .on_give_up(move |delivery| log_given_up.line(delivery).into_iter().for_each(say));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let windows = Arc::clone(&given_up);
    let ended = runtime.block_on(async {
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(given_up_log::WINDOW).await;
                windows.end_window().into_iter().for_each(say);
            }
        });
        // Registered before the output shows that the sandbox runs, so that no signal is missed.
        let signal = signal()?;
        silence_redb();
        let started = builder.start().await;
        // From here on, a panic is a bug.
        drop(std::panic::take_hook());
        let sandbox = started?;
        let mut environment = vec![
            ("SMTP2GO_BASE_URL", sandbox.base_url().to_owned()),
            ("SMTP2GO_API_KEY", sandbox.key().to_owned()),
            // Without it, the official clients for Go and Rust call the service.
            ("SMTP2GO_API_ROOT", sandbox.base_url().to_owned()),
        ];
        if let Some(address) = sandbox.smtp_address() {
            environment.extend([
                ("SMTP2GO_SMTP_HOST", address.ip().to_string()),
                ("SMTP2GO_SMTP_PORT", address.port().to_string()),
                ("SMTP2GO_SMTP_USERNAME", sandbox.smtp_username().to_owned()),
                ("SMTP2GO_SMTP_PASSWORD", sandbox.key().to_owned()),
            ]);
        }
        let inbox = || match arguments.quiet {
            true => {}
            false => say(format_args!("inbox: {}", sandbox.inbox_url())),
        };
        if let Some((program, rest)) = arguments.command.split_first() {
            let child = Command::new(program).args(rest).envs(environment).spawn();
            let child = child
                .map_err(|error| io::Error::new(error.kind(), format!("{program}: {error}")))?;
            inbox();
            let end = async {
                tokio::select! {
                    () = signal => {}
                    error = sandbox.data_error() => say(format_args!("error: {error}")),
                }
            };
            return end_with(child, end).await;
        }
        let mut out = io::stdout().lock();
        for (name, value) in environment {
            // A closed standard output is not an error.
            let _ = writeln!(out, "{name}={value}");
        }
        let _ = out.flush();
        drop(out);
        inbox();
        tokio::select! {
            () = signal => Ok(ExitCode::SUCCESS),
            error = sandbox.data_error() => {
                // So that requests in progress get their 500.
                tokio::time::sleep(LAST_REPLIES).await;
                Err(error)
            }
        }
    });
    given_up.end_window().into_iter().for_each(say);
    ended
}

/// Waits for a command to end. After a signal, waits for [`GRACE`] and kills it.
async fn end_with(mut child: Child, signal: impl Future<Output = ()>) -> io::Result<ExitCode> {
    let status = tokio::select! {
        status = ended(&mut child) => status?,
        () = signal => match tokio::time::timeout(GRACE, ended(&mut child)).await {
            Ok(status) => status?,
            Err(_) => {
                child.kill()?;
                child.wait()?
            }
        }
    };
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn ended(child: &mut Child) -> io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Logs a call with the time of day (UTC).
fn log(call: &Call) {
    let since = call.time().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs() % 86_400);
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    say(format_args!(
        "{hours:02}:{minutes:02}:{:02} {call}",
        seconds % 60
    ));
}

/// Logs that data was dropped.
fn log_drop(dropped: &Dropped) {
    say(format_args!(
        "dropped the oldest data: {dropped} so far (limits: --keep-mails, --keep-bytes)"
    ));
}

/// Parses a number of mails, at least 1.
fn count(text: &str) -> Result<usize, String> {
    let count = text
        .parse()
        .map_err(|_| "expected a number of mails".to_owned());
    count.and_then(|count| match count {
        0 => Err("must be at least 1".to_owned()),
        count => Ok(count),
    })
}

/// Parses a number of seconds, such as `120` or `0.5`.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().map(Duration::try_from_secs_f64);
    seconds
        .and_then(Result::ok)
        .ok_or_else(|| "expected a number of seconds, 0 or more".to_owned())
}

/// Parses a size in bytes: `1048576`, `512K`, `64M`, `2G`, also with `iB` or `B` after the letter.
fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default().trim_start();
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => Some(0),
        "K" | "KB" | "KIB" => Some(10),
        "M" | "MB" | "MIB" => Some(20),
        "G" | "GB" | "GIB" => Some(30),
        _ => None,
    };
    let bytes = digits
        .parse::<usize>()
        .ok()
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift));
    bytes.ok_or_else(|| "expected a size such as 1048576, 512K, 64M or 2G".to_owned())
}

/// Returns a future that ends with the first SIGINT or SIGTERM after this call (Ctrl-C on systems
/// without signals).
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
            // Ctrl-C can't be observed: run until killed.
            std::future::pending::<()>().await;
        }
    })
}
