//! A sandbox for programs that are not Rust: prints its base URL and its key, a line each, and runs
//! until its standard input ends. Takes `--strict` and `--stateless`.

use std::io::{self, Read, Write};

use smtp2go_sandbox::Sandbox;

fn main() -> io::Result<()> {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let sandbox = Sandbox::builder()
        .strict(asked("--strict"))
        .stateless(asked("--stateless"))
        .start_blocking()?;
    let mut out = io::stdout().lock();
    writeln!(out, "{}\n{}", sandbox.base_url(), sandbox.key())?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
