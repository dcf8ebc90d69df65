//! Inputs of 1 MB that are made to hurt: see `support/hurt.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // tests

#[path = "support/hurt.rs"]
mod hurt;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// An input of this size takes code whose time grows with the square of it many minutes.
const SIZE: usize = 1024 * 1024;

/// No request of a row takes longer, in a debug build on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(10);

/// No answer is longer.
const LONGEST: usize = 40 * 1024 * 1024;

#[test]
fn inputs_that_are_made_to_hurt_end_in_time() {
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
    // A thread that has no end is given up.
    thread::spawn(move || {
        let answered = sender.clone();
        let done = hurt::run(row, SIZE, move || drop(answered.send(None)));
        sender.send(Some(done))
    });
    let outcome = loop {
        match receiver.recv_timeout(LIMIT) {
            Ok(Some(done)) => break done.map_err(|error| error.to_string())?,
            Ok(None) => {}
            Err(_) => return Err(format!("no end within {LIMIT:?}")),
        }
    };
    match outcome.longest {
        0..=LONGEST => {}
        longest => return Err(format!("an answer of {longest} bytes")),
    }
    // One that is refused too early hurts nobody.
    match outcome.statuses == row.statuses && outcome.refusal.contains(row.refusal) {
        true => Ok(()),
        false => Err(format!(
            "{:?}, not {:?}: {}, not {:?}",
            outcome.statuses, row.statuses, outcome.refusal, row.refusal
        )),
    }
}
