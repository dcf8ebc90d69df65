//! The program behind `cargo xtask decode`, which documents its arguments.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::{self, BufRead, Read, Write};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use smtp2go_tests::decode::{Failure, Side, decode};

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
            eprintln!("wrong arguments; see `cargo xtask decode --help`");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::FAILURE
    })
}

fn open(file: &str) -> Result<Box<dyn BufRead>, String> {
    if file == "-" {
        return Ok(Box::new(io::stdin().lock()));
    }
    let opened = std::fs::File::open(file).map_err(|error| format!("{file}: {error}"))?;
    Ok(Box::new(io::BufReader::new(opened)))
}

fn one(side: Side, method: &str, path: &str, file: &str) -> Result<ExitCode, String> {
    let mut text = String::new();
    open(file)?
        .read_to_string(&mut text)
        .map_err(|error| format!("{file}: {error}"))?;
    match decode(side, method, path, &text) {
        Ok(decoded) => {
            println!("{:#}", decoded.value);
            for field in decoded.unknown {
                eprintln!("unknown: {field}");
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(failure) => {
            eprintln!("{failure}");
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
    let mut output = io::BufWriter::new(io::stdout().lock());
    let mut all = true;
    for line in open(file)?.lines() {
        let line = line.map_err(|error| format!("{file}: {error}"))?;
        if line.trim().is_empty() {
            continue;
        }
        let answer = answer(side, &line);
        all &= answer.ok;
        let done = serde_json::to_writer(&mut output, &answer)
            .map_err(io::Error::from)
            .and_then(|()| output.write_all(b"\n"));
        if let Err(error) = done {
            return Err(format!("the answer cannot be written: {error}"));
        }
    }
    output
        .flush()
        .map_err(|error| format!("the answers cannot be written: {error}"))?;
    Ok(if all {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn answer(side: Side, line: &str) -> Answer {
    let decoded = serde_json::from_str::<Line<'_>>(line)
        .map_err(|error| format!("no line {{\"method\",\"path\",\"body\"}}: {error}"))
        .and_then(|line| {
            decode(side, &line.method, &line.path, line.body.get())
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
