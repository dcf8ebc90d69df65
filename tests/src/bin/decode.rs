//! The program behind `cargo xtask decode`, which documents its arguments.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use smtp2go_tests::decode::{Failure, Side, decode};
use smtp2go_types::one_line;

fn main() -> ExitCode {
    let mut side = Side::Reply;
    let mut lines = false;
    let mut arguments = Vec::new();
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--request" => side = Side::Request,
            "--webhook" => side = Side::Webhook,
            "--lines" => lines = true,
            _ => arguments.push(argument),
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match (arguments.as_slice(), lines, side) {
        ([], true, _) => every_line(side, "-"),
        ([file], true, _) => every_line(side, file),
        ([], false, Side::Webhook) => one(side, "", "", "-"),
        ([file], false, Side::Webhook) => one(side, "", "", file),
        ([method, path], false, Side::Request | Side::Reply) => one(side, method, path, "-"),
        ([method, path, file], false, Side::Request | Side::Reply) => one(side, method, path, file),
        _ => {
            say("wrong arguments; see `cargo xtask decode --help`");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|message| {
        say(message);
        ExitCode::FAILURE
    })
}

/// Writes a line to standard error. Ignores a closed pipe.
fn say(message: impl Display) {
    let _ = writeln!(io::stderr(), "{}", one_line(&message.to_string()));
}

/// Returns whether the reader of standard output still reads. A closed pipe is not an error.
fn written(done: io::Result<()>) -> Result<Reader, String> {
    match done {
        Ok(()) => Ok(Reader::Reads),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::IsGone),
        Err(error) => Err(format!("standard output: {error}")),
    }
}

#[derive(PartialEq)]
enum Reader {
    Reads,
    IsGone,
}

fn open(file: &str) -> Result<BufReader<Box<dyn Read>>, String> {
    let opened: Box<dyn Read> = if file == "-" {
        Box::new(io::stdin().lock())
    } else {
        Box::new(std::fs::File::open(file).map_err(|error| format!("{file}: {error}"))?)
    };
    // Larger than the buffer of standard input, so that this one bypasses it: input that is not in
    // this buffer has not been read yet.
    Ok(BufReader::with_capacity(1 << 16, opened))
}

fn one(side: Side, method: &str, path: &str, file: &str) -> Result<ExitCode, String> {
    let mut bytes = Vec::new();
    open(file)?
        .read_to_end(&mut bytes)
        .map_err(|error| format!("{file}: {error}"))?;
    let text = match side {
        Side::Request => String::from_utf8(bytes).map_err(|error| format!("{file}: {error}"))?,
        // As in the client.
        Side::Reply | Side::Webhook => String::from_utf8_lossy(&bytes).into_owned(),
    };
    match decode(side, method, path, &text) {
        Ok(decoded) => {
            let mut output = BufWriter::new(io::stdout().lock());
            let done = writeln!(output, "{:#}", decoded.value).and_then(|()| output.flush());
            written(done)?;
            for field in decoded.unknown {
                say(format_args!("unknown: {field}"));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            say(&failure);
            Ok(ExitCode::from(match failure {
                Failure::NoOperation(_) => 2,
                Failure::Body(_) => 1,
            }))
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(default)]
    method: String,
    #[serde(default)]
    path: String,
    #[serde(borrow)]
    body: &'a RawValue,
}

#[derive(Serialize)]
struct Answer {
    ok: bool,
    value: Value,
    unknown: Vec<String>,
    error: Option<String>,
}

fn every_line(side: Side, file: &str) -> Result<ExitCode, String> {
    let mut input = open(file)?;
    let mut output = BufWriter::new(io::stdout().lock());
    let mut all = true;
    let mut line = Vec::new();
    loop {
        // A caller that writes a line and waits gets its answer before the next line is read.
        if !input.buffer().contains(&b'\n') && written(output.flush())? == Reader::IsGone {
            break;
        }
        line.clear();
        let read = input
            .read_until(b'\n', &mut line)
            .map_err(|error| format!("{file}: {error}"))?;
        if read == 0 {
            break;
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let answer = answer(side, &line);
        all &= answer.ok;
        let done = serde_json::to_writer(&mut output, &answer)
            .map_err(io::Error::from)
            .and_then(|()| output.write_all(b"\n"));
        if written(done)? == Reader::IsGone {
            break;
        }
    }
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn answer(side: Side, line: &[u8]) -> Answer {
    let decoded = str::from_utf8(line)
        .map_err(|error| format!("the line is not UTF-8: {error}"))
        .and_then(|line| {
            serde_json::from_str::<Line<'_>>(line).map_err(|error| {
                format!("expected a line {{\"method\",\"path\",\"body\"}}: {error}")
            })
        })
        .and_then(|line| {
            let body = line.body.get();
            // A form is a JSON string.
            let form = match side {
                Side::Webhook => serde_json::from_str::<String>(body).ok(),
                Side::Request | Side::Reply => None,
            };
            decode(
                side,
                &line.method,
                &line.path,
                form.as_deref().unwrap_or(body),
            )
            .map_err(|failure| failure.to_string())
        });
    match decoded {
        Ok(decoded) => Answer {
            ok: true,
            value: decoded.value,
            unknown: decoded.unknown,
            error: None,
        },
        Err(error) => Answer {
            ok: false,
            value: Value::Null,
            unknown: Vec::new(),
            error: Some(error),
        },
    }
}
