//! Sends the same mails with smtp2go-sdk and with a hand-written client, measures both, and writes
//! the table. See the README of the benchmark.

mod build;
mod hurt;
mod run;
mod server;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use build::Cargo;
use run::{Program, Result, Server};
use table::{Row, Table, Unit};

/// Number of rounds that alternate between the programs, for measurements that vary. The median counts.
const ROUNDS: usize = 7;
/// Number of rounds with many mails in flight. There are more than of other measurements, because the
/// kernel uses more than half of the CPU time, and its share varies with the load of the machine.
const FLIGHT_ROUNDS: usize = 41;
/// Number of mails in each of two runs. The difference between the runs is measured.
const INSTRUCTIONS: [u64; 2] = [200, 1200];
const FLIGHT: [u64; 2] = [640, 20_640];
const FILES: [u64; 2] = [1, 5];
const MIB: u64 = 1024 * 1024;
const GROUPS: [&str; 5] = ["instructions", "cpu", "attachments", "build", "hurt"];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let done = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve"] => server::serve().map_err(Into::into),
        ref groups if groups.iter().all(|group| GROUPS.contains(group)) => measure(groups),
        _ => Err(format!("unknown group of rows: use {}", GROUPS.join(", ")).into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures the rows of some groups, or of all, and then writes the table.
fn measure(groups: &[&str]) -> Result<()> {
    let wanted = |group| groups.is_empty() || groups.contains(&group);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cargo = Cargo::new(&folder);
    let mut table = Table::default();
    if GROUPS[..3].iter().any(|group| wanted(group)) {
        let [hand, sdk] = ["hand", "sdk"].map(|name| cargo.load(name));
        let programs = [hand?, sdk?];
        let server = Server::start()?;
        if wanted("instructions") {
            instructions(&programs, &server, &mut table)?;
        }
        if wanted("cpu") {
            cpu(&programs, &server, &mut table)?;
        }
        if wanted("attachments") {
            attachments(&programs, &server, &mut table)?;
        }
    }
    if wanted("build") {
        build::measure(&cargo, &mut table)?;
    }
    if !table.is_empty() {
        println!("{table}");
    }
    let path = folder.join("RESULTS.md");
    let hurt = match wanted("hurt") {
        true => hurt::measure(&folder)?,
        false => String::new(),
    };
    println!("{hurt}");
    let document = match groups {
        [] => Some(table.document(&cargo)? + &hurt),
        // Runs alone, because it takes a few minutes.
        ["hurt"] => {
            let known = std::fs::read_to_string(&path)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            Some(hurt::replace(&known, &hurt))
        }
        _ => None,
    };
    if let Some(document) = document {
        std::fs::write(&path, document).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("written to {}", path.display());
    }
    Ok(())
}

fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

/// Measures both programs alternately, and returns the median of each.
fn rounds(count: usize, mut measure: impl FnMut(usize) -> Result<u64>) -> Result<[u64; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for _ in 0..count {
        for (program, values) in found.iter_mut().enumerate() {
            values.push(measure(program)?);
        }
    }
    Ok(found.map(median))
}

fn instructions(programs: &[Program; 2], server: &Server, table: &mut Table) -> Result<()> {
    let mut hand = None;
    for (mode, name, budget) in [
        ("send", "instructions per mail, `client.send`", 0.95),
        (
            "group",
            "instructions per mail, `client.email().send`",
            1.10,
        ),
    ] {
        let measure = |program: &Program| -> Result<u64> {
            let [few, many] = INSTRUCTIONS;
            let base = program.instructions(server, mode, few)?;
            Ok((program.instructions(server, mode, many)? - base) / (many - few))
        };
        let by_hand = match hand {
            Some(known) => known,
            None => measure(&programs[0])?,
        };
        hand = Some(by_hand);
        let by_sdk = measure(&programs[1])?;
        table.add(Row::ratio(name, Unit::Count, [by_hand, by_sdk], budget));
    }
    Ok(())
}

fn cpu(programs: &[Program; 2], server: &Server, table: &mut Table) -> Result<()> {
    let found = rounds(FLIGHT_ROUNDS, |program| {
        let [few, many] = FLIGHT;
        let base = programs[program].measure(server, "flight", few, None)?.cpu;
        let all = programs[program].measure(server, "flight", many, None)?.cpu;
        nanos(all.saturating_sub(base) / u32::try_from(many - few)?)
    })?;
    table.add(Row::ratio(
        "CPU per mail, 64 in flight",
        Unit::Nanoseconds,
        found,
        1.0,
    ));
    Ok(())
}

fn nanos(time: std::time::Duration) -> Result<u64> {
    Ok(u64::try_from(time.as_nanos())?)
}

fn attachments(programs: &[Program; 2], server: &Server, table: &mut Table) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("smtp2go-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let _removed = Removed(folder.clone());
    let file = |name: &str, size: u64| -> Result<PathBuf> {
        let path = folder.join(name);
        // Bytes without holes or repetitions, the same in each run.
        let mut bytes = vec![0; usize::try_from(size)?];
        fastrand::Rng::with_seed(size).fill(&mut bytes);
        std::fs::write(&path, bytes)?;
        Ok(path)
    };
    let (small, large) = (file("small.pdf", MIB)?, file("large.pdf", 36 * MIB)?);
    for (name, mode, path, budget) in [
        ("peak memory, a 1 MiB file from a path", "path", &small, 8),
        ("peak memory, a 36 MiB file from a path", "path", &large, 8),
        ("peak memory, 36 MiB in memory", "memory", &large, 44),
    ] {
        let found = rounds(3, |program| {
            let run = programs[program].measure(server, mode, 1, Some(path))?;
            if run.size < path.metadata()?.len() * 4 / 3 {
                return Err(format!("a mail of {} bytes lacks its file", run.size).into());
            }
            Ok(run.peak * 1024)
        })?;
        table.add(Row::limit(name, Unit::Mib, found, budget * MIB));
    }
    for (name, mode, budget) in [
        (
            "CPU of a mail with a 36 MiB file from a path",
            "path",
            Some(0.35),
        ),
        ("CPU of a mail with 36 MiB in memory", "memory", None),
    ] {
        let found = rounds(ROUNDS, |program| {
            let [few, many] = FILES;
            let base = programs[program].measure(server, mode, few, Some(&large))?;
            let all = programs[program].measure(server, mode, many, Some(&large))?;
            nanos(all.cpu.saturating_sub(base.cpu) / u32::try_from(many - few)?)
        })?;
        table.add(match budget {
            Some(budget) => Row::ratio(name, Unit::Nanoseconds, found, budget),
            None => Row::measured(name, Unit::Nanoseconds, found),
        });
    }
    Ok(())
}

/// A folder that is removed on drop.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
