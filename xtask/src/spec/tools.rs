//! The tools in other languages that check and test the spec, at the versions pinned in
//! `spec/tools`. They are installed below cargo's target folder, and run offline from there.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The folder with the pinned versions.
const PINS: &str = "spec/tools";

/// The installed tools.
#[derive(Debug)]
pub struct Tools {
    root: PathBuf,
    folder: PathBuf,
    target: PathBuf,
}

impl Tools {
    /// Installs tools that are missing or differ from `spec/tools`; with `full` also
    /// openapi-generator.
    ///
    /// # Errors
    ///
    /// If npm, node or python3 is missing, or an installation fails.
    pub fn install(root: &Path, full: bool) -> Result<Self, String> {
        let target = target(root);
        let tools = Self {
            root: root.to_owned(),
            folder: target.join("spec-tools"),
            target,
        };
        std::thread::scope(|scope| {
            let node = scope.spawn(|| tools.node());
            tools.python("requirements.txt")?;
            if full {
                tools.python("requirements-full.txt")?;
            }
            joined(node)
        })?;
        Ok(tools)
    }

    fn node(&self) -> Result<(), String> {
        let files = ["package.json", "package-lock.json", ".npmrc"];
        self.once("node", &files, |folder| {
            run(Command::new("npm")
                .args([
                    "ci",
                    "--ignore-scripts",
                    "--no-audit",
                    "--no-fund",
                    "--loglevel=error",
                ])
                .current_dir(folder))
        })
    }

    fn python(&self, requirements: &str) -> Result<(), String> {
        let venv = self.folder.join("python");
        if !venv.join("bin/python").exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        }
        self.once("python", &[requirements], |folder| {
            run(Command::new(venv.join("bin/python"))
                .args([
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    // Most of its code is never run.
                    "--no-compile",
                    "-r",
                ])
                .arg(folder.join(requirements)))
        })
    }

    /// Runs `install` in a folder with copies of `files`, unless it succeeded before with the same
    /// contents.
    fn once(
        &self,
        name: &str,
        files: &[&str],
        install: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<(), String> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        let mut hash = Sha256::new();
        for file in files {
            let from = self.root.join(PINS).join(file);
            let bytes = std::fs::read(&from).map_err(|error| at(&from, &error))?;
            hash.update(&bytes);
            write(&folder.join(file), &bytes)?;
        }
        let hash: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let stamp = folder.join(format!(".installed-{}", files[0]));
        if std::fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == hash) {
            return Ok(());
        }
        install(&folder)?;
        write(&stamp, hash.as_bytes())
    }

    /// Returns an empty folder below that of the node modules, so that node finds them.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf, String> {
        let folder = self.folder.join("node").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| at(&folder, &error))?;
        Ok(folder)
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Returns the command of a tool from npm.
    pub(crate) fn npm(&self, name: &str) -> Command {
        let mut command = Command::new(self.folder.join("node/node_modules/.bin").join(name));
        // The first disables Redocly's telemetry; the second disables that of many tools.
        command
            .env("REDOCLY_TELEMETRY", "off")
            .env("DO_NOT_TRACK", "1")
            .env("NO_COLOR", "1");
        command
            .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
            .current_dir(&self.root);
        command
    }

    /// Returns the command of a tool from PyPI, or of `python` itself.
    pub(crate) fn pypi(&self, name: &str) -> Command {
        let bin = self.folder.join("python/bin");
        let mut command = Command::new(bin.join(name));
        let mut path = vec![bin];
        path.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        if let Ok(path) = std::env::join_paths(path) {
            // The generator of Python clients runs its own ruff.
            command.env("PATH", path);
        }
        command.current_dir(&self.root);
        command
    }

    /// Returns a tool's version in `spec/tools`.
    pub(crate) fn version(&self, name: &str) -> Result<String, String> {
        let read = |file: &str| {
            let path = self.root.join(PINS).join(file);
            std::fs::read_to_string(&path).map_err(|error| at(&path, &error))
        };
        let package: Value = serde_json::from_str(&read("package.json")?)
            .map_err(|error| format!("{PINS}/package.json: {error}"))?;
        if let Some(version) = package["devDependencies"][name].as_str() {
            return Ok(version.to_owned());
        }
        let lines = read("requirements.txt")? + &read("requirements-full.txt")?;
        lines
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix("=="))
            .map(str::to_owned)
            .ok_or_else(|| format!("{PINS} does not pin {name}"))
    }
}

/// Cargo's target folder.
pub(crate) fn target(root: &Path) -> PathBuf {
    root.join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Joins a thread and returns its result; its panic is propagated.
pub(crate) fn joined<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Names the file of an error.
pub(crate) fn at(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

/// Writes a file. The error names it.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result<(), String> {
    std::fs::write(path, bytes).map_err(|error| at(path, &error))
}

/// Reads a text file. The error names it.
pub(crate) fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| at(path, &error))
}

/// Runs a command, which inherits our output.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .stdin(Stdio::null())
        .status()
        .map_err(|error| missing(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed: {status}", shown(command)))
    }
}

/// Runs a command and returns its output, even if it fails.
pub(crate) fn output(command: &mut Command) -> Result<Output, String> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| missing(command, &error))
}

/// Runs a command and returns its standard output.
///
/// # Errors
///
/// If it fails, with its output.
pub(crate) fn stdout(command: &mut Command) -> Result<String, String> {
    let output = output(command)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    let error = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "{} failed: {}\n{text}{error}",
        shown(command),
        output.status
    ))
}

fn missing(command: &Command, error: &std::io::Error) -> String {
    format!(
        "can't run `{}`: {error}",
        command.get_program().to_string_lossy()
    )
}

/// Returns the command line, without the folders of the tool.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
    format!("`{}`", words.join(" "))
}
