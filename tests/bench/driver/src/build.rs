//! Cost of building a program that sends one mail.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::median;
use crate::run::{Program, Result, run};
use crate::table::{Row, Table, Unit};

/// Number of clean builds of each program. The median counts.
const ROUNDS: usize = 3;

/// Cargo, in the folder of the benchmark.
pub struct Cargo {
    folder: PathBuf,
    target: PathBuf,
}

/// A program and its features.
type Variant = (&'static str, &'static [&'static str]);

const HAND_RING: Variant = ("hand", &["ring"]);
const HAND_DEFAULT: Variant = ("hand", &["reqwest-default"]);
const SDK_DEFAULT: Variant = ("sdk", &["default"]);
const SDK_RAW: Variant = ("sdk", &["default", "raw"]);

/// Maximum number of crates in the dependency tree of the program with the SDK's default features, and the
/// number that the feature `raw` adds.
const CRATES: u64 = 89;
const CRATES_OF_RAW: u64 = 7;

/// The cost of building a program.
struct Built {
    /// CPU time of all compilers, in milliseconds.
    cpu: u64,
    /// Elapsed time with two jobs, in milliseconds.
    wall: u64,
    /// Bytes of the stripped program.
    size: u64,
}

impl Cargo {
    pub fn new(folder: &Path) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| folder.join("target"), PathBuf::from);
        Self {
            folder: folder.to_owned(),
            target,
        }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
        command
            .args(arguments)
            .arg("--locked")
            .current_dir(&self.folder);
        // Cargo's variables in the environment would make it rebuild some crates.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if [
                "CARGO_PKG_",
                "CARGO_MANIFEST_",
                "CARGO_PRIMARY_",
                "CARGO_CRATE_",
                "CARGO_BIN_",
            ]
            .iter()
            .any(|prefix| text.starts_with(prefix))
                || text == "LD_LIBRARY_PATH"
            {
                command.env_remove(&name);
            }
        }
        command
    }

    /// Builds the program that sends many mails.
    pub fn load(&self, name: &str) -> Result<Program> {
        let bin = format!("{name}-load");
        run(self
            .command(&["build", "--quiet", "--profile", "profiling"])
            .args(["--package", name, "--bin", &bin])
            .env("CARGO_TARGET_DIR", &self.target))?;
        Ok(Program {
            path: self.target.join("profiling").join(bin),
        })
    }

    /// Builds the program that sends one mail, and all that it depends on, in an empty folder.
    fn clean(&self, (name, features): Variant) -> Result<Built> {
        let target = self.target.join("clean");
        let gone = || match std::fs::remove_dir_all(&target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone()?;
        // Fetched first, so that downloads are not measured.
        run(&mut self.command(&["fetch", "--quiet"]))?;
        let begun = Instant::now();
        let (_, _, cpu) = run(self
            .command(&["build", "--quiet", "--release", "--no-default-features"])
            .args(["--jobs", "2"])
            .args(["--features", &features.join(",")])
            .args(["--package", name, "--bin", name])
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("RUSTFLAGS") // also no other linker
            .env_remove("RUSTC_WRAPPER"))?;
        let wall = begun.elapsed();
        let size = target.join("release").join(name).metadata()?.len();
        gone()?;
        Ok(Built {
            cpu: u64::try_from(cpu.as_millis())?,
            wall: u64::try_from(wall.as_millis())?,
            size,
        })
    }

    /// Returns the number of crates in the program's dependency tree.
    fn crates(&self, (name, features): Variant) -> Result<u64> {
        let mut command = self.command(&["tree", "--quiet", "--no-default-features"]);
        command
            .args(["--features", &features.join(",")])
            .args(["--package", name, "--prefix", "none"])
            .args(["--edges", "normal", "--format", "{p}"]);
        let (tree, ..) = run(&mut command)?;
        let crates: BTreeSet<_> = tree
            .lines()
            .filter(|line| !line.is_empty())
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>())
            .collect();
        // The program itself does not count.
        Ok(crates.len().saturating_sub(1) as u64)
    }

    /// Returns the versions of rustc and of the relevant crates.
    pub fn versions(&self) -> Result<Vec<String>> {
        let (rustc, ..) = run(Command::new("rustc").arg("--version"))?;
        let (tree, ..) = run(self
            .command(&["tree", "--quiet", "--prefix", "none", "--format", "{p}"])
            .args(["--package", "hand", "--package", "sdk"]))?;
        let named = [
            "reqwest",
            "hyper",
            "serde_json",
            "tokio",
            "rustls",
            "smtp2go-sdk",
        ];
        let versions: BTreeSet<_> = tree
            .lines()
            .map(|line| line.split(' ').take(2).collect::<Vec<_>>())
            .filter(|parts| named.contains(&parts[0]))
            .map(|parts| parts.join(" "))
            .collect();
        Ok(std::iter::once(rustc.trim().to_owned())
            .chain(versions)
            .collect())
    }
}

pub fn measure(cargo: &Cargo, table: &mut Table) -> Result<()> {
    let crates = |variant| cargo.crates(variant);
    let (hand, sdk) = (crates(HAND_RING)?, crates(SDK_DEFAULT)?);
    table.add(Row::limit(
        "crates, same TLS",
        Unit::Count,
        [hand, sdk],
        CRATES,
    ));
    table.add(Row::limit(
        "crates, same TLS, with `raw`",
        Unit::Count,
        [hand, crates(SDK_RAW)?],
        CRATES + CRATES_OF_RAW,
    ));
    table.add(Row::measured(
        "crates, both by default",
        Unit::Count,
        [crates(HAND_DEFAULT)?, sdk],
    ));

    let variants = [HAND_RING, HAND_DEFAULT, SDK_DEFAULT];
    let mut built = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (index, variant) in variants.into_iter().enumerate() {
            built[index].push(cargo.clean(variant)?);
        }
    }
    let of = |what: fn(&Built) -> u64| {
        built
            .each_ref()
            .map(|rounds| median(rounds.iter().map(what).collect()))
    };
    let [hand, hand_default, sdk] = of(|built| built.wall);
    table.add(Row::ratio(
        "time of a clean build with two jobs, same TLS",
        Unit::Milliseconds,
        [hand, sdk],
        1.20,
    ));
    table.add(Row::measured(
        "time of a clean build with two jobs, both by default",
        Unit::Milliseconds,
        [hand_default, sdk],
    ));
    let [hand, hand_default, sdk] = of(|built| built.cpu);
    for (name, found) in [
        ("CPU of a clean build, same TLS", [hand, sdk]),
        ("CPU of a clean build, both by default", [hand_default, sdk]),
    ] {
        table.add(Row::measured(name, Unit::Milliseconds, found));
    }
    let [hand, hand_default, sdk] = of(|built| built.size);
    table.add(Row::ratio(
        "stripped program, same TLS",
        Unit::Mib,
        [hand, sdk],
        1.15,
    ));
    table.add(Row::measured(
        "stripped program, both by default",
        Unit::Mib,
        [hand_default, sdk],
    ));
    Ok(())
}
