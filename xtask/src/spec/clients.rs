//! Clients in other languages, generated from the spec and tried against the sandbox.

use std::path::Path;

use crate::SPEC;
use crate::spec::sandbox::Sandbox;
use crate::spec::tools::{self, Tools};

/// A language, and what its users type.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// As one writes it.
    pub name: &'static str,
    /// What makes a client of `openapi.yaml`, a command a line.
    pub commands: &'static str,
    /// The generator of openapi-generator, if it is that one.
    pub generator: Option<&'static str>,
}

/// Every language that `spec/README.md` and the landing page speak of.
pub const LANGUAGES: [Language; 7] = [
    Language {
        name: "TypeScript",
        commands: "npm install openapi-fetch && npm install --save-dev openapi-typescript typescript\n\
                   npx openapi-typescript openapi.yaml --default-non-nullable=false --output schema.d.ts",
        generator: None,
    },
    Language {
        name: "Python",
        commands: "pip install openapi-python-client httpx attrs\n\
                   openapi-python-client generate --path openapi.yaml --meta none --output-path smtp2go_api",
        generator: None,
    },
    generated(
        "Java",
        "openapi-generator-cli generate -i openapi.yaml -g java -o smtp2go-java --library native",
        "java",
    ),
    generated(
        "Go",
        "openapi-generator-cli generate -i openapi.yaml -g go -o smtp2go-go",
        "go",
    ),
    generated(
        "PHP",
        "openapi-generator-cli generate -i openapi.yaml -g php -o smtp2go-php",
        "php",
    ),
    generated(
        "Ruby",
        "openapi-generator-cli generate -i openapi.yaml -g ruby -o smtp2go-ruby",
        "ruby",
    ),
    generated(
        "C#",
        "openapi-generator-cli generate -i openapi.yaml -g csharp -o smtp2go-csharp",
        "csharp",
    ),
];

const fn generated(
    name: &'static str,
    commands: &'static str,
    generator: &'static str,
) -> Language {
    Language {
        name,
        commands,
        generator: Some(generator),
    }
}

/// Generates the TypeScript and Python clients and has them send a mail, search the activity and
/// read an error.
///
/// # Errors
///
/// If a generator leaves something out, a compiler refuses what it made, or a call does not do what
/// it should.
#[allow(clippy::print_stdout)]
pub fn check(root: &Path, tools: &Tools) -> Result<(), String> {
    let sandbox = Sandbox::start(root, &["--strict"])?;
    println!("TypeScript");
    typescript(root, tools, &sandbox)?;
    println!("Python");
    python(root, tools, &sandbox)
}

fn typescript(root: &Path, tools: &Tools, sandbox: &Sandbox) -> Result<(), String> {
    let folder = tools.scratch("client-typescript")?;
    tools::copy(&root.join("tests/clients/typescript"), &folder)?;
    tools::stdout(
        tools
            .npm("openapi-typescript")
            .args([SPEC, "--default-non-nullable=false", "--output"])
            .arg(folder.join("schema.d.ts")),
    )?;
    tools::run(tools.npm("tsc").arg("--project").arg(&folder))?;
    let mut node = std::process::Command::new("node");
    sandbox.tell(&mut node);
    tools::run(node.arg(folder.join("out/client.js")))
}

fn python(root: &Path, tools: &Tools, sandbox: &Sandbox) -> Result<(), String> {
    let folder = tools.scratch("client-python")?;
    let mut generate = tools.pypi("openapi-python-client");
    generate
        .args([
            "generate",
            "--path",
            SPEC,
            "--meta",
            "none",
            "--output-path",
        ])
        .arg(folder.join("smtp2go_api"));
    let made = tools::output(&mut generate)?;
    // It succeeds when it leaves out what it does not understand, and says so here only.
    let said = String::from_utf8_lossy(&made.stderr);
    if !made.status.success() || !said.trim().is_empty() {
        return Err(format!(
            "{} leaves something out:\n{said}",
            tools::shown(&generate)
        ));
    }
    let mut python = tools.pypi("python");
    sandbox.tell(&mut python);
    tools::run(
        python
            .arg(root.join("tests/clients/python/client.py"))
            .env("PYTHONPATH", &folder),
    )
}

/// Generates the clients that openapi-generator makes, and checks them as far as the machine can:
/// with the language's own compiler or parser where there is one.
///
/// # Errors
///
/// If a generator fails, or a check does not pass.
#[allow(clippy::print_stdout)]
pub fn check_generated(tools: &Tools) -> Result<(), String> {
    for language in LANGUAGES {
        let Some(generator) = language.generator else {
            continue;
        };
        let folder = tools.scratch(&format!("client-{generator}"))?;
        let mut generate = tools.pypi("openapi-generator-cli");
        generate
            .args(["generate", "-i", SPEC, "-g", generator, "-o"])
            .arg(&folder);
        if generator == "java" {
            generate.args(["--library", "native"]);
        }
        let said = tools::output(&mut generate)?;
        if !said.status.success() {
            return Err(format!(
                "{} failed\n{}",
                tools::shown(&generate),
                String::from_utf8_lossy(&said.stderr)
            ));
        }
        println!("{}: {}", language.name, checked(generator, &folder)?);
    }
    Ok(())
}

/// What was checked of a client.
fn checked(generator: &str, folder: &Path) -> Result<String, String> {
    let (program, arguments, ends): (&str, &[&str], &str) = match generator {
        "go" => ("gofmt", &["-l", "-e"], "go"),
        "php" => ("php", &["-l"], "php"),
        "ruby" => ("ruby", &["-c"], "rb"),
        _ => {
            return Ok(format!(
                "generated, {} files; no compiler is asked",
                files(folder, "")?.len()
            ));
        }
    };
    let sources = files(folder, ends)?;
    if sources.is_empty() {
        return Err(format!("there are no .{ends} files"));
    }
    for source in &sources {
        let mut command = std::process::Command::new(program);
        command.args(arguments).arg(source);
        match command.output() {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                return Err(format!("{} failed\n{said}", tools::shown(&command)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(format!(
                    "generated, {} files; {program} is not here to check them",
                    sources.len()
                ));
            }
            Err(error) => return Err(format!("{}: {error}", tools::shown(&command))),
        }
    }
    Ok(format!("{} files pass {program}", sources.len()))
}

/// The files below a folder whose extension is `ends`, or all of them if it is empty.
fn files(folder: &Path, ends: &str) -> Result<Vec<std::path::PathBuf>, String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries =
            std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries {
            let path = entry.map_err(|error| error.to_string())?.path();
            if path.is_dir() {
                folders.push(path);
            } else if ends.is_empty() || path.extension().is_some_and(|extension| extension == ends)
            {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
