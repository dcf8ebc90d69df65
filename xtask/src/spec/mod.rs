//! `cargo xtask spec`: checks, compares, tests and publishes the document.

pub mod clients;
pub mod compare;
pub mod diff;
pub mod fuzz;
mod guide;
pub mod lint;
pub mod publish;
mod sandbox;
pub mod score;
pub mod tools;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use crate::spec::tools::Tools;
use crate::{SPEC, load};

/// The subcommands of `cargo xtask spec`.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Check spec/openapi.yaml against our rules; with --tools also with other linters.
    ///
    /// Without --tools it is offline and needs only Rust. `cargo test` does the same.
    Lint {
        /// Also run Redocly, Spectral, openapi-spec-validator and typos, at the versions of
        /// spec/tools, and compare the figures with the table in spec/README.md.
        #[arg(long)]
        tools: bool,
        /// List the rules instead.
        #[arg(long, conflicts_with = "tools")]
        rules: bool,
    },
    /// Print the changes since a revision, as text for the CHANGELOG: the API and the Rust surface.
    Diff {
        /// A git revision. Default: the last release (tag `v…`).
        revision: Option<String>,
        /// List changes of one kind one by one.
        #[arg(long)]
        all: bool,
        /// Fail if there is a breaking change, but the version in Cargo.toml was not raised
        /// accordingly.
        #[arg(long)]
        check: bool,
    },
    /// Compare foreign OpenAPI documents, such as the vendor's, with spec/openapi.yaml.
    ///
    /// Prints the differences without a decision in spec/decisions.yaml. Exit codes: 0 no
    /// difference is open; 1 a difference is open, a decision is stale, or a file cannot be read; 2
    /// wrong arguments.
    Compare(compare::Options),
    /// Generate clients in other languages, and test them and the collection against the sandbox.
    Clients {
        /// Also clients in Java, Go, PHP, Ruby, C# and Rust, further generators for TypeScript, and
        /// the types of OpenAPI 3.1.
        #[arg(long)]
        full: bool,
    },
    /// Call the sandbox with valid and invalid requests, by Schemathesis.
    Fuzz {
        /// Maximum number of test cases per operation.
        #[arg(long, default_value_t = 10)]
        cases: u32,
    },
    /// Call a Prism mock of the spec with the SDK, by the groups' methods and by the raw client.
    Mock,
    /// Create the files to publish: the spec, an offline API reference, a landing page, JSON Schemas of the
    /// webhook events, and a guide: README.md and docs/.
    ///
    /// Installs mdbook below the target folder by cargo.
    Publish {
        /// The target folder. An earlier publication in it is replaced.
        #[arg(long, default_value = "target/spec")]
        out: PathBuf,
        /// Open the pages in headless Chromium: check that they show every operation and fetch
        /// nothing.
        #[arg(long)]
        check: bool,
    },
}

/// Runs a subcommand.
///
/// # Errors
///
/// If the subcommand fails. The error is the text to print.
pub fn run(root: &Path, task: &Task) -> Result<(), String> {
    match task {
        Task::Lint { rules: true, .. } => {
            print_rules();
            Ok(())
        }
        Task::Lint { tools, .. } => lint(root, *tools),
        Task::Diff {
            revision,
            all,
            check,
        } => diff::run(root, revision.as_deref(), *all, *check),
        Task::Compare(options) => compare::run(root, options),
        Task::Clients { full } => {
            let tools = Tools::install(root, *full)?;
            clients::check(root, &tools, *full)
        }
        Task::Fuzz { cases } => fuzz::schemathesis(root, &Tools::install(root, false)?, *cases),
        Task::Mock => fuzz::prism(root, &Tools::install(root, false)?),
        Task::Publish { out, check } => {
            let out = root.join(out);
            publish::publish(root, &Tools::install(root, false)?, &out)?;
            if *check {
                publish::check(root, &out)?;
            }
            Ok(())
        }
    }
}

#[allow(clippy::print_stdout)]
fn print_rules() {
    for (name, wants) in lint::rules() {
        println!("{name}: {wants}");
    }
}

#[allow(clippy::print_stdout)]
fn lint(root: &Path, with_tools: bool) -> Result<(), String> {
    let spec = load::load(&root.join(SPEC)).map_err(|problems| problems.to_string())?;
    let report = lint::lint(SPEC, &spec.document);
    report
        .problems
        .or(())
        .map_err(|problems| problems.to_string())?;
    println!("{SPEC}: {}", report.figures);
    if !with_tools {
        return Ok(());
    }
    let findings = score::ask(root, &Tools::install(root, false)?)?;
    let readme = tools::read(&root.join("spec/README.md"))?;
    let mut wrong = Vec::new();
    for (finding, row) in findings.iter().zip(score::rows(&findings)) {
        println!("{row}");
        if !finding.wrong.is_empty() {
            wrong.push(format!("{}:\n{}", finding.tool, finding.wrong));
        }
        if !readme.contains(&row) {
            wrong.push(format!("spec/README.md has no row `{row}`"));
        }
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

/// Runs `.ci/run`, and with `full` also the slow checks.
///
/// # Errors
///
/// If a check fails.
pub fn ci(root: &Path, full: bool) -> Result<(), String> {
    script(root, ".ci/run", full.then_some("--full"))
}

/// Runs a script of the repository.
///
/// # Errors
///
/// If it fails.
pub fn script(root: &Path, path: &str, option: Option<&str>) -> Result<(), String> {
    let mut command = std::process::Command::new(root.join(path));
    command.args(option).current_dir(root);
    tools::run(&mut command)
}
