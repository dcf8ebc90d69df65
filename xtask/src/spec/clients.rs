//! Clients in other languages, generated from the spec and tried against the sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// A program that sends a mail with that client and prints its id.
    pub example: Option<Example>,
    /// Tries the generated client.
    check: fn(&Trial<'_>) -> Result<(), String>,
}

/// A program of a few lines.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The language, as Markdown's fences name it.
    pub fence: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// What is in it.
    pub text: &'static str,
}

macro_rules! example {
    ($fence:literal, $folder:literal, $file:literal) => {
        Some(Example {
            fence: $fence,
            file: $file,
            text: include_str!(concat!("../../../tests/clients/", $folder, "/", $file)),
        })
    };
}

/// Every language that `spec/README.md` and the landing page speak of.
pub const LANGUAGES: [Language; 8] = [
    Language {
        name: "curl",
        commands: "",
        example: example!("sh", "curl", "send.sh"),
        check: curl,
    },
    Language {
        name: "TypeScript",
        commands: "npm install openapi-fetch && npm install --save-dev openapi-typescript typescript @types/node\n\
                   npx openapi-typescript openapi.yaml --default-non-nullable=false --output schema.d.ts",
        example: example!("ts", "typescript", "send.ts"),
        check: typescript,
    },
    Language {
        name: "Python",
        commands: "pip install openapi-python-client httpx attrs\n\
                   openapi-python-client generate --path openapi.yaml --meta none --output-path smtp2go_api",
        example: example!("python", "python", "send.py"),
        check: python,
    },
    Language {
        name: "Java",
        commands: "openapi-generator-cli generate -i openapi.yaml -g java -o smtp2go-java --library native \
                   --additional-properties openApiNullable=false,useJakartaEe=true",
        example: example!("java", "java", "Send.java"),
        check: java,
    },
    Language {
        name: "Go",
        commands: "openapi-generator-cli generate -i openapi.yaml -g go -o smtp2go-go --package-name smtp2go \
                   --git-host example.com --git-user-id acme --git-repo-id smtp2go",
        example: example!("go", "go", "main.go"),
        check: go,
    },
    Language {
        name: "PHP",
        commands: "openapi-generator-cli generate -i openapi.yaml -g php -o smtp2go-php",
        example: example!("php", "php", "send.php"),
        check: php,
    },
    Language {
        name: "Ruby",
        commands: "openapi-generator-cli generate -i openapi.yaml -g ruby -o smtp2go-ruby",
        example: example!("ruby", "ruby", "send.rb"),
        check: ruby,
    },
    Language {
        name: "C#",
        commands: "openapi-generator-cli generate -i openapi.yaml -g csharp -o smtp2go-csharp",
        example: None,
        check: csharp,
    },
];

/// The tool of the languages that only the full tier checks.
const GENERATOR: &str = "openapi-generator-cli";

/// Where the service is. The sandbox takes its place.
const SERVICE: &str = "https://api.smtp2go.com/v3";

impl Language {
    /// Whether only the full tier checks it.
    pub fn full(&self) -> bool {
        self.commands.starts_with(GENERATOR)
    }
}

/// Makes the clients with the commands that [`LANGUAGES`] shows, and has each send a mail by the
/// program that is shown there; those in TypeScript and Python also search the activity and read an
/// error. With `full` the clients of openapi-generator too.
///
/// # Errors
///
/// If a generator leaves something out, a compiler refuses what it made, or a call does not do what
/// it should.
#[allow(clippy::print_stdout)]
pub fn check(root: &Path, tools: &Tools, full: bool) -> Result<(), String> {
    let sandbox = Sandbox::start(root, &["--strict"])?;
    for language in LANGUAGES.iter().filter(|language| full || !language.full()) {
        println!("{}", language.name);
        let trial = Trial::make(root, tools, &sandbox, language)?;
        (language.check)(&trial).map_err(|error| format!("{}: {error}", language.name))?;
    }
    Ok(())
}

/// A generated client in a folder of its own, beside the program that is to try it.
struct Trial<'a> {
    root: &'a Path,
    tools: &'a Tools,
    sandbox: &'a Sandbox,
    folder: PathBuf,
}

impl<'a> Trial<'a> {
    /// Runs the commands of a language where `openapi.yaml` lies, with the sandbox as its first
    /// server.
    fn make(
        root: &'a Path,
        tools: &'a Tools,
        sandbox: &'a Sandbox,
        language: &Language,
    ) -> Result<Self, String> {
        let folder = tools.scratch(&format!("client-{}", language.name))?;
        let trial = Self {
            root,
            tools,
            sandbox,
            folder,
        };
        let spec = tools::read(&root.join(SPEC))?;
        trial.write("openapi.yaml", &spec)?;
        for command in language.commands.split(['\n', '&']) {
            trial.command(command)?;
        }
        if let Some(example) = language.example {
            trial.write(example.file, example.text)?;
        }
        Ok(trial)
    }

    /// Writes a file that speaks of the service so that it speaks of the sandbox.
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        tools::write(&path, text.replace(SERVICE, &self.sandbox.base_url))
    }

    /// Runs a line as it is shown, with the tools that are pinned.
    fn command(&self, line: &str) -> Result<(), String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut command = match words.as_slice() {
            [] => return Ok(()),
            // Here they are there already: all of them, as they have versions.
            ["npm" | "pip", "install", packages @ ..] => {
                let mut named = packages.iter().filter(|word| !word.starts_with('-'));
                return named.try_for_each(|name| self.tools.version(name).map(drop));
            }
            ["npx", tool, ..] => self.tools.npm(tool),
            [tool, ..] => self.tools.pypi(tool),
        };
        let skipped = if words[0] == "npx" { 2 } else { 1 };
        command
            .args(words.iter().skip(skipped))
            .current_dir(&self.folder);
        if words[0] == GENERATOR {
            // Its tests and pages are of no use here.
            command.arg(
                "--global-property=apiTests=false,modelTests=false,apiDocs=false,modelDocs=false",
            );
        }
        let made = tools::output(&mut command)?;
        let said = String::from_utf8_lossy(&made.stderr);
        // This one succeeds when it leaves out what it does not understand, and says so here only.
        let silent = words[0] == "openapi-python-client";
        if !made.status.success() || silent && !said.trim().is_empty() {
            let out = String::from_utf8_lossy(&made.stdout);
            return Err(format!("{} failed\n{out}{said}", tools::shown(&command)));
        }
        Ok(())
    }

    /// A program that runs in the folder and knows the sandbox.
    fn program(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        self.here(Command::new(name))
    }

    fn here(&self, mut command: Command) -> Command {
        self.sandbox.tell(&mut command);
        command.current_dir(&self.folder);
        command
    }

    /// Runs the program that is shown: it prints the id of a mail that the sandbox has, and fails
    /// with a key that the sandbox does not know.
    fn sends(&self, mut send: Command) -> Result<(), String> {
        let id = tools::stdout(&mut send)?;
        let id = id.trim();
        let mails = self.sandbox.get("/_sandbox/mails")?;
        if id.is_empty() || !mails.contains(&format!("\"{id}\"")) {
            return Err(format!(
                "{} printed `{id}`, which is no mail of the sandbox",
                tools::shown(&send)
            ));
        }
        send.env("SMTP2GO_API_KEY", format!("api-{}", "0".repeat(32)));
        if tools::output(&mut send)?.status.success() {
            return Err(format!("{} succeeds with a wrong key", tools::shown(&send)));
        }
        Ok(())
    }

    /// The files of a folder in the client and below, by the end of their names.
    fn files(&self, folder: &str, ends: &str) -> Result<Vec<PathBuf>, String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.join(folder)];
        while let Some(folder) = folders.pop() {
            let entries = std::fs::read_dir(&folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
            for entry in entries {
                let path = entry.map_err(|error| error.to_string())?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == ends) {
                    found.push(path);
                }
            }
        }
        found.sort();
        if found.is_empty() {
            return Err(format!("{folder} has no .{ends} files"));
        }
        Ok(found)
    }
}

fn curl(trial: &Trial<'_>) -> Result<(), String> {
    let mut send = trial.program("sh");
    send.args([
        "-c",
        "reply=$(sh send.sh) && echo \"$reply\" | sed 's/.*\"email_id\": *\"\\([^\"]*\\)\".*/\\1/'",
    ]);
    trial.sends(send)
}

fn typescript(trial: &Trial<'_>) -> Result<(), String> {
    for file in ["client.ts", "tsconfig.json"] {
        let text = tools::read(&trial.root.join("tests/clients/typescript").join(file))?;
        trial.write(file, &text)?;
    }
    // Declarations go unchecked: those of node and of browsers take longer than all the rest.
    let schema = trial.folder.join("schema.d.ts");
    std::fs::rename(&schema, trial.folder.join("schema.ts"))
        .map_err(|error| format!("{}: {error}", schema.display()))?;
    tools::run(trial.tools.npm("tsc").arg("--project").arg(&trial.folder))?;
    tools::run(trial.program("node").arg("out/client.js"))?;
    let mut send = trial.program("node");
    send.arg("out/send.js");
    trial.sends(send)
}

fn python(trial: &Trial<'_>) -> Result<(), String> {
    let python = || trial.here(trial.tools.pypi("python"));
    let client = trial.root.join("tests/clients/python/client.py");
    tools::run(python().arg(client).env("PYTHONPATH", &trial.folder))?;
    let mut send = python();
    send.arg("send.py");
    trial.sends(send)
}

fn java(trial: &Trial<'_>) -> Result<(), String> {
    // The generator's jar holds the Jackson that its clients want; the annotations come from Debian.
    let jar = tools::stdout(trial.tools.pypi("python").args([
        "-c",
        "import openapi_generator_cli as it; print(it.__path__[0], end='/openapi-generator.jar')",
    ]))?;
    let path = format!("{jar}:/usr/share/java/jakarta-annotation-api.jar");
    let mut javac = trial.program("javac");
    javac
        .args(["-proc:none", "-nowarn", "-d", "classes", "-cp", &path])
        .args(trial.files("smtp2go-java/src/main", "java")?)
        .arg("Send.java");
    tools::stdout(&mut javac)?;
    let mut send = trial.program("java");
    send.args(["-cp", &format!("classes:{path}"), "Send"]);
    trial.sends(send)
}

fn go(trial: &Trial<'_>) -> Result<(), String> {
    // A program of the client's own module needs no `replace` to find it.
    let (from, to) = ("main.go", "smtp2go-go/send");
    let text = tools::read(&trial.folder.join(from))?;
    trial.write(&format!("{to}/{from}"), &text)?;
    let go = || {
        let mut go = trial.program("go");
        // The client wants nothing but the standard library: there is nothing to download.
        go.env("GOFLAGS", "-mod=mod")
            .env("GOPROXY", "off")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .current_dir(trial.folder.join("smtp2go-go"));
        go
    };
    tools::stdout(go().args(["vet", "./..."]))?;
    tools::stdout(go().args(["build", "-o", "sends", "./send"]))?;
    trial.sends(trial.program(trial.folder.join("smtp2go-go/sends")))
}

fn php(trial: &Trial<'_>) -> Result<(), String> {
    // What composer would write, for the packages of Debian.
    let autoload = "<?php\n\
        require_once '/usr/share/php/GuzzleHttp/autoload.php';\n\
        spl_autoload_register(function (string $class): void {\n\
            [$space, $lib] = ['OpenAPI\\\\Client\\\\', __DIR__ . '/../smtp2go-php/lib/'];\n\
            if (str_starts_with($class, $space)) {\n\
                require_once $lib . strtr(substr($class, strlen($space)), '\\\\', '/') . '.php';\n\
            }\n\
        });\n";
    trial.write("vendor/autoload.php", autoload)?;
    // Loading a class takes more than parsing it: what it extends has to fit.
    let load = "require 'vendor/autoload.php'; foreach (array_slice($argv, 1) as $file) require_once $file;";
    let mut php = trial.program("php");
    php.args(["-d", "display_errors=stderr", "-r", load, "--"])
        .args(trial.files("smtp2go-php/lib", "php")?);
    tools::stdout(&mut php)?;
    let mut send = trial.program("php");
    send.arg("send.php");
    trial.sends(send)
}

fn ruby(trial: &Trial<'_>) -> Result<(), String> {
    // It loads all of its files at once.
    let mut send = trial.program("ruby");
    send.args(["-I", "smtp2go-ruby/lib", "send.rb"]);
    trial.sends(send)
}

fn csharp(trial: &Trial<'_>) -> Result<(), String> {
    let parse = trial.root.join("tests/clients/csharp/parse.py");
    let mut python = trial.here(trial.tools.pypi("python"));
    tools::run(python.arg(parse).arg("smtp2go-csharp"))
}
