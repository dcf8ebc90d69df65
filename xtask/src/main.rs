//! `cargo xtask`: commands for maintainers.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::{Args, Parser, Subcommand};
use xtask::{spec, write};

/// Tasks of this repository.
///
/// Exit codes: 0 success; 1 the spec is broken, generated files are stale, or something does not
/// decode; 2 wrong arguments.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Generate code, spec/*.json and the table of docs/endpoints.md from spec/openapi.yaml.
    ///
    /// Exit codes: 0 success; 1 the spec is broken, a file cannot be written, or (with --check) a
    /// file is stale, missing or orphaned.
    Regen {
        /// Write nothing; list all stale, missing and orphaned files.
        #[arg(long)]
        check: bool,
    },
    /// Decode captured traffic with the generated types.
    ///
    /// Prints the decoded value as JSON on stdout, and a line `unknown: …` on stderr for each field
    /// that the types do not have. In an event, these include mail headers that the webhook copies,
    /// because they can't be distinguished from new fields.
    ///
    /// Exit codes: 0 decoded, even with unknown fields; 1 the body does not decode, or the file
    /// can't be read; 2 unknown operation, or wrong arguments.
    Decode(Decode),
    /// Measure the cost of a mail, compared with a hand-written client, and write the table to
    /// tests/bench/RESULTS.md. See tests/bench/README.md.
    ///
    /// Exit codes: 0 success; 1 something can't be built or run; 2 wrong arguments.
    Bench {
        /// Run only these groups, and print the results instead of writing them: instructions, cpu,
        /// attachments, build. Two groups run alone and write their results: hurt, and outbox (to
        /// tests/outbox/RESULTS.md).
        groups: Vec<String>,
    },
    /// Kill the workers of an outbox at every point of a send, and count what the sandbox accepted.
    /// See tests/outbox/README.md.
    ///
    /// The last line has the counts. Exit codes: 0 each mail was accepted once, and each point was
    /// reached 20 times; 1 otherwise, or something can't be built or run; 2 wrong arguments.
    KillTest(KillTest),
    /// Check, compare, test and publish spec/openapi.yaml: lint, diff, compare, clients, fuzz,
    /// mock, publish.
    ///
    /// Exit codes: 0 success; 1 a check failed; 2 wrong arguments.
    #[command(subcommand)]
    Spec(spec::Task),
    /// Build what a release of the sandbox has for people without Rust, into target/dist: an archive,
    /// packages for npm and pip, an image for Docker, and SHA256SUMS.
    ///
    /// Runs on linux-x64. Needs npm and python3; without buildah there is no image, and a line says so.
    /// CONTRIBUTING.md has the steps of a release.
    ///
    /// Exit codes: 0 built; 1 something can't be built; 2 wrong arguments.
    Dist,
    /// Write the data of the inbox's HTML check anew, from the npm package of Can I email.
    ///
    /// Needs npm and tar. Exit codes: 0 written; 1 npm or tar fails, or a feature is new and nothing
    /// says how to find it; 2 wrong arguments.
    Caniemail,
    /// Build the Workers of tests/workers for wasm32, check their size, and run them in workerd.
    ///
    /// Takes the target from rustup, or else from Debian's packages; where neither has it, a line says so.
    /// Needs linux-x64 and npm. See tests/workers/README.md.
    ///
    /// Exit codes: 0 success, or skipped; 1 something can't be built, or a test failed; 2 wrong arguments.
    Workers {
        /// Only compile smtp2go-types, and only if the target is installed.
        #[arg(long, conflicts_with = "debian")]
        types: bool,
        /// Take Debian's packages even if rustup has the target.
        #[arg(long)]
        debian: bool,
    },
    /// Run the checks that must pass: .ci/run, and with --full also the slow ones.
    Ci {
        /// Also run the clients in Java, Go, PHP, Ruby, C# and Rust, Prism, more cases of
        /// Schemathesis, Cloudflare Workers, and the pages in a browser.
        #[arg(long)]
        full: bool,
    },
}

#[derive(Args)]
struct Decode {
    /// METHOD PATH [FILE]: the call, as `POST /email/send`, and the captured body (`-` or nothing
    /// for standard input). With --webhook only [FILE].
    #[arg(value_name = "METHOD PATH [FILE|-]", num_args = 0..=3)]
    arguments: Vec<String>,
    /// The body is a request, not a reply.
    #[arg(long, conflicts_with = "webhook")]
    request: bool,
    /// The body is one that the service posted to a webhook: JSON, or a form if it does not start
    /// with `{`.
    #[arg(long)]
    webhook: bool,
    /// Read JSON lines `{"method","path","body"}` from [FILE|-], and print JSON lines
    /// `{"ok","value","unknown","error"}`. With --webhook, a body that is a JSON string is the text
    /// of a form.
    #[arg(long)]
    lines: bool,
}

#[derive(Args)]
struct KillTest {
    /// sqlite or postgres.
    #[arg(long)]
    engine: String,
    /// Number of mails.
    #[arg(long)]
    mails: u64,
    /// Seed for the faults and the times at which workers are killed. Scheduling of the processes
    /// still varies.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Worker processes. Default: 4 with postgres, 1 with sqlite.
    #[arg(long)]
    workers: Option<usize>,
    /// Hold mails that SMTP2GO did not accept, instead of sending them again.
    #[arg(long)]
    hold: bool,
}

#[allow(clippy::print_stderr)]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let root = root();
    let done = match cli.task {
        Task::Regen { check } => regen(&root, check),
        Task::Decode(arguments) => decode(&root, &arguments),
        Task::Bench { groups } if groups == ["outbox"] => outbox_trial(&root, true, ["bench"]),
        Task::Bench { groups } => bench(&root, &groups),
        Task::KillTest(options) => outbox_trial(&root, false, options.arguments()),
        Task::Spec(task) => spec::run(&root, &task).map(|()| ExitCode::SUCCESS),
        Task::Dist => xtask::dist::dist(&root).map(|()| ExitCode::SUCCESS),
        Task::Caniemail => xtask::caniemail::update(&root).map(|()| ExitCode::SUCCESS),
        Task::Workers { types, debian } => {
            let option = types.then_some("--types").or(debian.then_some("--debian"));
            spec::script(&root, ".ci/workers/run", option).map(|()| ExitCode::SUCCESS)
        }
        Task::Ci { full } => spec::ci(&root, full).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("{error}");
        ExitCode::FAILURE
    })
}

/// Returns the root of the repository, the parent of this package's folder.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or(package.clone(), Path::to_owned)
}

#[allow(clippy::print_stdout, clippy::print_stderr)]
fn regen(root: &Path, check: bool) -> Result<ExitCode, String> {
    let files = xtask::files(root).map_err(|error| error.to_string())?;
    if check {
        let drift = write::compare(root, &files).map_err(|error| error.to_string())?;
        if drift.is_empty() {
            println!("{} files are up to date", files.len());
            return Ok(ExitCode::SUCCESS);
        }
        for change in &drift {
            eprintln!("{change}");
        }
        eprintln!("run `cargo xtask regen`");
        return Ok(ExitCode::FAILURE);
    }
    let done = write::write(root, &files).map_err(|error| error.to_string())?;
    for change in &done {
        println!(
            "{}",
            match change {
                write::Drift::Stale(path) => format!("updated {path}"),
                write::Drift::Missing(path) => format!("created {path}"),
                write::Drift::Orphaned(path) => format!("removed {path}"),
            }
        );
    }
    println!("{} of {} files changed", done.len(), files.len());
    Ok(ExitCode::SUCCESS)
}

/// Runs the decoder. It needs the generated types, so it can't be part of this program.
fn decode(root: &Path, decode: &Decode) -> Result<ExitCode, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .args([
            "run",
            "--quiet",
            "--package",
            "smtp2go-tests",
            "--bin",
            "decode",
        ])
        .arg("--manifest-path")
        .arg(root.join("Cargo.toml"))
        .arg("--");
    for (set, flag) in [
        (decode.request, "--request"),
        (decode.webhook, "--webhook"),
        (decode.lines, "--lines"),
    ] {
        if set {
            command.arg(flag);
        }
    }
    let status = command
        .args(&decode.arguments)
        .status()
        .map_err(|error| format!("can't run cargo: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

impl KillTest {
    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec![
            "kill".to_owned(),
            format!("--engine={}", self.engine),
            format!("--mails={}", self.mails),
            format!("--seed={}", self.seed),
        ];
        arguments.extend(self.workers.map(|count| format!("--workers={count}")));
        arguments.extend(self.hold.then(|| "--hold".to_owned()));
        arguments
    }
}

/// Runs the trials of the outbox. Names no package, so that they are built with the features of
/// `cargo test --workspace`.
fn outbox_trial(
    root: &Path,
    release: bool,
    arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
) -> Result<ExitCode, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--bin", "outbox-trial"]);
    command.args(release.then_some("--release"));
    command.arg("--manifest-path").arg(root.join("Cargo.toml"));
    let status = command
        .arg("--")
        .args(arguments)
        .status()
        .map_err(|error| format!("can't run cargo: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// Runs the benchmark, which is a separate workspace.
fn bench(root: &Path, groups: &[String]) -> Result<ExitCode, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--release", "--locked"])
        .args(["--package", "driver", "--manifest-path"])
        .arg(root.join("tests/bench/Cargo.toml"))
        .arg("--")
        .args(groups)
        .status()
        .map_err(|error| format!("can't run cargo: {error}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}
