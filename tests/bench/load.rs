// Part of both programs: their arguments, their mail, and their report.

use std::error::Error;
use std::path::PathBuf;

pub const KEY: &str = "api-00000000000000000000000000000000";
pub const SENDER: &str = "Acme <noreply@example.com>";
pub const RECIPIENT: &str = "Jane Doe <jane@example.net>";
pub const SUBJECT: &str = "Your order 10042 is on its way";
/// The HTML body, with quotes and line breaks. The whole mail has about 2 KB.
pub const HTML: &str = include_str!("mail.html");
pub const TEXT: &str = include_str!("mail.txt");
/// Number of concurrent mails in the mode `flight`.
pub const IN_FLIGHT: usize = 64;

/// The way in which mails are sent.
pub enum Mode {
    /// One mail after the other.
    Send,
    /// One mail after the other, through the generated method.
    Group,
    /// Many at a time.
    Flight,
    /// Mails with this file attached, which the SDK reads from disk.
    Path(PathBuf),
    /// Mails with this file attached, which was read into memory before.
    Memory(PathBuf),
}

/// Parses the arguments `BASE-URL MODE COUNT [FILE]`.
pub fn arguments() -> Result<(String, Mode, usize), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| {
        arguments
            .next()
            .ok_or(format!("argument {what} is missing"))
    };
    let (base_url, mode, count) = (next("BASE-URL")?, next("MODE")?, next("COUNT")?);
    let mode = match mode.as_str() {
        "send" => Mode::Send,
        "group" => Mode::Group,
        "flight" => Mode::Flight,
        "path" => Mode::Path(next("FILE")?.into()),
        "memory" => Mode::Memory(next("FILE")?.into()),
        other => return Err(format!("unknown MODE {other}").into()),
    };
    Ok((base_url, mode, count.parse()?))
}

/// Prints the peak memory of the process, in KiB.
pub fn report() -> Result<(), Box<dyn Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let peak = line.and_then(|line| line.split_whitespace().nth(1));
    println!("{}", peak.ok_or("no VmHWM")?);
    Ok(())
}
