//! Measures how the time for hostile inputs grows if their size doubles from 0.5 MB to 1 MB. The
//! time of linear code doubles; that of quadratic code becomes four times as long. Prints a
//! Markdown table.
//!
//! `cargo run --release -p smtp2go-sandbox --example hurt [PART OF A NAME]`

use std::error::Error;
use std::io::{self, Write};
use std::time::Duration;

#[path = "../tests/support/hurt.rs"]
mod hurt;

const HALF: usize = 512 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let part = std::env::args().nth(1).unwrap_or_default();
    let mut out = io::stdout().lock();
    writeln!(out, "| input | 0.5 MB | 1 MB | growth | longest answer |")?;
    writeln!(out, "| --- | --- | --- | --- | --- |")?;
    for row in hurt::ROWS.iter().filter(|row| row.name.contains(&part)) {
        // Warm-up: the first run compiles schemas.
        hurt::run(row, 16 * 1024, || {})?;
        let [half, whole] = [HALF, 2 * HALF].map(|size| best(row, size));
        let (half, whole) = (half?, whole?);
        if whole.statuses != row.statuses || !whole.refusal.contains(row.refusal) {
            let (name, found) = (row.name, &whole.statuses);
            return Err(format!(
                "{name}: unexpected statuses {found:?} or refusal {}",
                whole.refusal
            )
            .into());
        }
        let growth = whole.time.as_secs_f64() / half.time.as_secs_f64();
        writeln!(
            out,
            "| {} | {} | {} | {growth:.1} | {} KB |",
            row.name,
            milliseconds(half.time),
            milliseconds(whole.time),
            whole.longest / 1024,
        )?;
    }
    Ok(())
}

/// Returns the fastest of three runs. Other load on the machine only makes runs slower.
fn best(row: &hurt::Row, size: usize) -> io::Result<hurt::Outcome> {
    let mut best = hurt::run(row, size, || {})?;
    for _ in 0..2 {
        let next = hurt::run(row, size, || {})?;
        if next.time < best.time {
            best = next;
        }
    }
    Ok(best)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}
