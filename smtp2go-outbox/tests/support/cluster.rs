//! A PostgreSQL cluster for one test program: in a folder of its own, on a free port of the loopback,
//! as an unprivileged user.

// Each test program uses only some of it.
#![allow(dead_code, unreachable_pub)]
#![allow(clippy::expect_used)] // helpers of tests

use std::fs;
use std::io::{self, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

/// The unprivileged user, if the tests run as root, which PostgreSQL refuses.
const USER: &str = "nobody";

/// A running cluster. When it is dropped or the process ends in any way, the server is stopped and
/// the data deleted, so it can be in a `static`.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    /// Process that cleans up when its input ends.
    cleaner: Child,
    port: u16,
    databases: AtomicU32,
}

impl Cluster {
    /// Starts a cluster, or returns `None` if PostgreSQL is not installed: the caller then prints a line
    /// and passes. With `durable`, commits wait for the disk (`fsync`).
    pub fn start(durable: bool) -> Option<Self> {
        let binaries = binaries()?;
        let folder = tempfile::Builder::new()
            .prefix("smtp2go-outbox-")
            .tempdir()
            .expect("can't create a folder for the cluster")
            .keep();
        if root() {
            let done = Command::new("chown").arg(USER).arg(&folder).status();
            assert!(
                done.expect("chown").success(),
                "can't set the owner of the cluster's folder"
            );
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("no free port")
            .port();
        let mut stop = Command::new(binaries.join("pg_ctl"));
        stop.args(["stop", "--mode=immediate", "--silent", "--pgdata"]);
        stop.arg(folder.join("data"));
        let stop = as_user(&stop);
        let cleaner = Command::new("sh")
            .args([
                "-c",
                r#"trap '' HUP INT TERM; folder=$1; shift; cat; "$@"; rm -rf "$folder""#,
                "sh",
            ])
            .arg(&folder)
            .arg(stop.get_program())
            .args(stop.get_args())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir(&folder)
            .spawn()
            .expect("a shell");
        let cluster = Self {
            folder,
            binaries,
            cleaner,
            port,
            databases: AtomicU32::new(0),
        };
        let data = cluster.data();
        cluster.run("initdb", |initdb| {
            initdb
                .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
                .args(["--no-locale", "--no-sync", "--pgdata"])
                .arg(&data);
        });
        let on = if durable { "on" } else { "off" };
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = ''\n\
             max_connections = 200\nshared_buffers = 64MB\nfsync = {on}\nsynchronous_commit = {on}\n\
             full_page_writes = {on}\nlogging_collector = off\nlog_min_messages = fatal\n"
        );
        fs::OpenOptions::new()
            .append(true)
            .open(data.join("postgresql.conf"))
            .and_then(|mut file| file.write_all(settings.as_bytes()))
            .expect("can't write the cluster's settings");
        cluster.up();
        Some(cluster)
    }

    /// Starts the server, also after [`kill`](Self::kill). Returns when it accepts connections.
    pub fn up(&self) {
        let log = self.folder.join("log");
        self.run("pg_ctl", |ctl| {
            ctl.args(["start", "--wait", "--silent", "--timeout=60", "--pgdata"])
                .arg(self.data())
                .arg("--log")
                .arg(&log);
        });
    }

    /// Ends the server's processes with SIGKILL, as a power cut would.
    pub fn kill(&self) {
        let processes = self.processes();
        let _ = Command::new("kill")
            .arg("-KILL")
            .args(&processes)
            .stderr(Stdio::null())
            .status();
        while processes.iter().any(|process| is_running(process)) {
            thread::sleep(Duration::from_millis(5));
        }
        // The file names the killed server, whose zombie may still exist.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Creates an empty database, and returns its URL.
    pub fn database(&self) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let url = self.url("postgres");
        self.run("psql", |psql| {
            psql.args(["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"])
                .arg(format!("--command=CREATE DATABASE {name}"))
                .arg(&url);
        });
        self.url(&name)
    }

    /// Returns the URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the folder of PostgreSQL's programs, such as `psql`.
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Returns the ids of the server's process and its children.
    fn processes(&self) -> Vec<String> {
        let Ok(file) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return Vec::new();
        };
        let server = file.lines().next().unwrap_or_default().trim().to_owned();
        let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"));
        let children = children.unwrap_or_default();
        let children: Vec<_> = children.split_whitespace().map(str::to_owned).collect();
        [server].into_iter().chain(children).collect()
    }

    /// Runs one of PostgreSQL's programs as the unprivileged user.
    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command)) {
        let mut command = Command::new(self.binaries.join(program));
        arguments(&mut command);
        let Output { status, stderr, .. } = self.output(&command).expect(program);
        let said = String::from_utf8_lossy(&stderr);
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        assert!(status.success(), "{program}: {said}\n{log}");
    }

    fn output(&self, command: &Command) -> io::Result<Output> {
        let mut run = as_user(command);
        // The server inherits open files: pipes would never end.
        let errors = fs::File::create(self.folder.join("errors"))?;
        let status = run
            .current_dir(&self.folder)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .status()?;
        let stderr = fs::read(self.folder.join("errors"))?;
        Ok(Output {
            status,
            stdout: Vec::new(),
            stderr,
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.cleaner.stdin.take());
        let _ = self.cleaner.wait();
    }
}

/// Returns the command. If the tests run as root, it runs as the unprivileged user.
fn as_user(command: &Command) -> Command {
    let mut run = if root() {
        let mut run = Command::new("setpriv");
        run.args(["--reuid", USER, "--clear-groups", "--"]);
        run.arg(command.get_program());
        run
    } else {
        Command::new(command.get_program())
    };
    run.args(command.get_args());
    run
}

/// Returns the folder with `initdb`, `pg_ctl` and `postgres`: from `PATH`, or Debian's folder.
fn binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path);
    let on_path = on_path.filter_map(|folder| fs::canonicalize(folder.join("initdb")).ok());
    let on_path = on_path.filter_map(|file| file.parent().map(Path::to_owned));
    let mut versions: Vec<_> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    on_path
        .chain(versions.into_iter().rev())
        .find(|folder| folder.join("pg_ctl").exists() && folder.join("postgres").exists())
}

/// Whether the process exists and is not a zombie.
fn is_running(process: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !matches!(state, 'Z' | 'X'))
}

fn root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|id| id.stdout.starts_with(b"0\n"))
}
