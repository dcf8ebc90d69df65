//! `outbox-trial`: the program of this package.

#![allow(clippy::panic)] // only where it cannot run

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    return smtp2go_outbox_tests::main();
    #[cfg(not(target_os = "linux"))]
    panic!("the trials of the outbox need Linux");
}
