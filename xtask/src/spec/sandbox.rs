//! A running sandbox, for programs that are not Rust.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::spec::tools;

/// A sandbox in a separate process, which is killed on drop.
#[derive(Debug)]
pub(crate) struct Sandbox {
    process: Child,
    pub(crate) base_url: String,
    pub(crate) key: String,
}

impl Sandbox {
    /// Builds and starts a sandbox on a free port, with these flags.
    pub(crate) fn start(root: &Path, flags: &[&str]) -> Result<Self, String> {
        tools::run(cargo(root).args(["build", "--quiet", "--bin", "smtp2go-sandbox"]))?;
        let mut run = cargo(root);
        run.args(["run", "--quiet", "--bin", "smtp2go-sandbox", "--"]);
        run.args(["--port", "0", "--quiet"]);
        run.args(flags);
        let mut process = run
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("can't start the sandbox: {error}"))?;
        let mut lines = process
            .stdout
            .take()
            .map(|out| BufReader::new(out).lines())
            .into_iter()
            .flatten();
        let mut told = |name: &str| {
            let line = lines.next()?.ok()?;
            line.strip_prefix(name)?
                .strip_prefix('=')
                .map(str::to_owned)
        };
        let (Some(base_url), Some(key)) = (told("SMTP2GO_BASE_URL"), told("SMTP2GO_API_KEY"))
        else {
            let _ = process.kill();
            let _ = process.wait();
            return Err("the sandbox ended before it was ready".to_owned());
        };
        Ok(Self {
            process,
            base_url,
            key,
        })
    }

    /// Returns the reply to a GET of a path, including the head.
    pub(crate) fn get(&self, path: &str) -> Result<String, String> {
        let host = self.base_url.trim_start_matches("http://");
        let host = host.split('/').next().unwrap_or(host);
        let get = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(host)?;
            write!(
                stream,
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
            )?;
            let mut reply = String::new();
            stream.read_to_string(&mut reply)?;
            Ok(reply)
        };
        get().map_err(|error| format!("no reply of the sandbox to {path}: {error}"))
    }

    /// Puts the URL and the key into a program's environment.
    pub(crate) fn tell(&self, command: &mut Command) {
        command
            .env("SMTP2GO_BASE_URL", &self.base_url)
            .env("SMTP2GO_API_KEY", &self.key);
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Cargo replaced itself by the sandbox, so there is no child process.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns a command of cargo for this repository.
pub(crate) fn cargo(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    command
}
