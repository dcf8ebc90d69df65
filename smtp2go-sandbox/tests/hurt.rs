//! Hostile inputs of 1 MB are handled within a time limit: see `support/hurt.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

#[path = "support/hurt.rs"]
mod hurt;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Size of the inputs in bytes. Quadratic code takes many minutes for this size.
const SIZE: usize = 1024 * 1024;

/// Time limit of a request. Generous enough for a debug build on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

/// Maximum size of a reply in bytes.
const LONGEST: usize = 40 * 1024 * 1024;

#[test]
fn hostile_input_of_1_mb_is_handled_within_the_time_limit() {
    let next = AtomicUsize::new(0);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(row) = hurt::ROWS.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(why) = check(row) {
                        wrong.lock().unwrap().push(format!("{}: {why}", row.name));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn check(row: &'static hurt::Row) -> Result<(), String> {
    let (sender, receiver) = mpsc::channel();
    // A thread that exceeds the limit is abandoned.
    thread::spawn(move || {
        let answered = sender.clone();
        let done = hurt::run(row, SIZE, move || drop(answered.send(None)));
        sender.send(Some(done))
    });
    let outcome = loop {
        match receiver.recv_timeout(LIMIT) {
            Ok(Some(done)) => break done.map_err(|error| error.to_string())?,
            Ok(None) => {}
            Err(_) => return Err(format!("no reply within {LIMIT:?}")),
        }
    };
    match outcome.longest {
        0..=LONGEST => {}
        longest => return Err(format!("a reply has {longest} bytes")),
    }
    // An input that is refused too early would test nothing.
    match outcome.statuses == row.statuses && outcome.refusal.contains(row.refusal) {
        true => Ok(()),
        false => Err(format!(
            "statuses {:?}, expected {:?}; refusal {}, expected {:?}",
            outcome.statuses, row.statuses, outcome.refusal, row.refusal
        )),
    }
}
