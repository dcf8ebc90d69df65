//! Runs programs, and measures their cost.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

use crate::server;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The core that the measured programs run on, and that of the server.
const CORES: [&str; 2] = ["0", "1"];

/// CPU time, in user space and kernel, of all children that have ended.
fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = |time: nix::sys::time::TimeVal| {
        Duration::from_secs(time.tv_sec().unsigned_abs())
            + Duration::from_micros(time.tv_usec().unsigned_abs())
    };
    Ok(micros(usage.user_time()) + micros(usage.system_time()))
}

/// Runs a command. Returns its standard output, its standard error and its CPU time.
pub fn run(command: &mut Command) -> Result<(String, String, Duration)> {
    let before = children()?;
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("can't run {:?}: {error}", command.get_program()))?;
    let cpu = children()?.saturating_sub(before);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(format!("{command:?}: {}\n{stderr}", output.status).into());
    }
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((stdout, stderr, cpu))
}

/// The server, in a separate process that is killed on drop.
pub struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub fn start() -> Result<Self> {
        let mut child = Command::new("taskset")
            .args(["--cpu-list", CORES[1]])
            .arg(std::env::current_exe()?)
            .arg("serve")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("can't run taskset: {error}"))?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or("the server printed nothing")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line)?;
        let port = line.trim().parse()?;
        Ok(Self { child, port })
    }

    fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v3", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One of the two programs that send mails.
pub struct Program {
    pub path: PathBuf,
}

/// The cost of a program.
pub struct Run {
    pub cpu: Duration,
    /// Peak memory, in KiB.
    pub peak: u64,
    /// Bytes of a mail's body.
    pub size: u64,
}

impl Program {
    /// Lets the program send `count` mails, under `wrapper` if it is not empty, and checks that the
    /// server received them.
    fn send<S: AsRef<OsStr>>(
        &self,
        wrapper: &[S],
        server: &Server,
        mode: &str,
        count: u64,
        file: Option<&Path>,
    ) -> Result<(Run, String)> {
        let (mails, bytes) = server::counts(server.port)?;
        let mut command = Command::new("taskset");
        command
            .args(["--cpu-list", CORES[0]])
            .args(wrapper)
            .arg(&self.path)
            .args([&server.base_url(), mode, &count.to_string()])
            .args(file);
        let (stdout, stderr, cpu) = run(&mut command)?;
        let (mails_now, bytes_now) = server::counts(server.port)?;
        let received = mails_now - mails;
        if received != count {
            return Err(format!("{command:?} sent {received} mails instead of {count}").into());
        }
        let run = Run {
            cpu,
            peak: stdout.trim().parse()?,
            size: (bytes_now - bytes) / count,
        };
        Ok((run, stderr))
    }

    /// Measures the program while it sends mails.
    pub fn measure(
        &self,
        server: &Server,
        mode: &str,
        count: u64,
        file: Option<&Path>,
    ) -> Result<Run> {
        Ok(self.send::<&str>(&[], server, mode, count, file)?.0)
    }

    /// Returns the number of instructions for `count` mails.
    pub fn instructions(&self, server: &Server, mode: &str, count: u64) -> Result<u64> {
        let wrapper = [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/null",
        ];
        let (_, stderr) = self.send(&wrapper, server, mode, count, None)?;
        let collected = stderr
            .lines()
            .find_map(|line| line.split_once("Collected : "))
            .ok_or_else(|| format!("no count in callgrind's output:\n{stderr}"))?;
        Ok(collected.1.trim().parse()?)
    }
}
