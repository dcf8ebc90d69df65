//! Clients in other languages, generated from the spec and tested against the sandbox.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::SPEC;
use crate::collection::COLLECTION;
use crate::document::list;
use crate::spec::sandbox::{Sandbox, cargo};
use crate::spec::tools::{self, Tools};
use crate::twin::TWIN;

/// A language, with the commands and files for its users.
#[derive(Clone, Copy, Debug)]
pub struct Language {
    /// Display name.
    pub name: &'static str,
    /// The commands that generate a client, one per line.
    pub commands: &'static str,
    /// Files to write. The last one is a program that sends a mail and prints its id.
    pub files: &'static [File],
    /// Whether only the full tier checks it.
    pub full: bool,
    /// Tests the generated client.
    check: fn(&Trial<'_>) -> Result<(), String>,
}

/// A short file.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// The language in Markdown's fences.
    pub fence: &'static str,
    /// The file's name.
    pub name: &'static str,
    /// The content.
    pub text: &'static str,
}

macro_rules! file {
    ($fence:literal, $name:literal, $from:literal) => {
        File {
            fence: $fence,
            name: $name,
            text: include_str!(concat!("../../../tests/clients/", $from)),
        }
    };
}

/// All languages in `spec/README.md` and on the landing page.
pub const LANGUAGES: [Language; 12] = [
    Language {
        name: "curl",
        commands: "",
        files: &[file!("sh", "send.sh", "curl/send.sh")],
        full: false,
        check: curl,
    },
    Language {
        name: "TypeScript",
        commands: "npm install openapi-fetch && npm install --save-dev openapi-typescript typescript @types/node\n\
                   npx openapi-typescript openapi.yaml --default-non-nullable=false --output schema.d.ts",
        files: &[file!("ts", "send.ts", "typescript/send.ts")],
        full: false,
        check: typescript,
    },
    Language {
        name: "TypeScript with hey-api",
        commands: "npm install --save-dev @hey-api/openapi-ts typescript @types/node\n\
                   npx openapi-ts --input openapi.yaml --output smtp2go",
        files: &[file!("ts", "send.ts", "hey-api/send.ts")],
        full: true,
        check: script,
    },
    Language {
        name: "TypeScript with orval",
        commands: "npm install --save-dev orval typescript @types/node\n\
                   npx orval --config orval.config.ts",
        files: &[
            file!("ts", "orval.config.ts", "orval/orval.config.ts"),
            file!("ts", "send.ts", "orval/send.ts"),
        ],
        full: true,
        check: script,
    },
    Language {
        name: "TypeScript with oazapfts",
        commands: "npm install @oazapfts/runtime && npm install --save-dev oazapfts typescript @types/node\n\
                   npx oazapfts openapi.yaml smtp2go.ts",
        files: &[file!("ts", "send.ts", "oazapfts/send.ts")],
        full: true,
        check: script,
    },
    Language {
        name: "Python",
        commands: "pip install openapi-python-client httpx attrs\n\
                   openapi-python-client generate --path openapi.yaml --meta none --output-path smtp2go_api",
        files: &[file!("python", "send.py", "python/send.py")],
        full: false,
        check: python,
    },
    Language {
        name: "Java",
        commands: "openapi-generator-cli generate -i openapi.yaml -g java -o smtp2go-java --library native \
                   --additional-properties openApiNullable=false,useJakartaEe=true",
        files: &[file!("java", "Send.java", "java/Send.java")],
        full: true,
        check: java,
    },
    Language {
        name: "Go",
        commands: "openapi-generator-cli generate -i openapi.yaml -g go -o smtp2go-go --package-name smtp2go \
                   --git-host example.com --git-user-id acme --git-repo-id smtp2go",
        files: &[file!("go", "main.go", "go/main.go")],
        full: true,
        check: go,
    },
    Language {
        name: "PHP",
        commands: "openapi-generator-cli generate -i openapi.yaml -g php -o smtp2go-php",
        files: &[file!("php", "send.php", "php/send.php")],
        full: true,
        check: php,
    },
    Language {
        name: "Ruby",
        commands: "openapi-generator-cli generate -i openapi.yaml -g ruby -o smtp2go-ruby",
        files: &[file!("ruby", "send.rb", "ruby/send.rb")],
        full: true,
        check: ruby,
    },
    Language {
        name: "C#",
        commands: "openapi-generator-cli generate -i openapi.yaml -g csharp -o smtp2go-csharp",
        files: &[],
        full: true,
        check: csharp,
    },
    Language {
        name: "Rust with progenitor",
        commands: "cargo add progenitor chrono reqwest serde serde_json tokio \
                   --features chrono/serde,reqwest/json,serde/derive,tokio/macros,tokio/rt",
        files: &[file!("rust", "src/main.rs", "progenitor/src/main.rs")],
        full: true,
        check: progenitor,
    },
];

/// The commands that generate types from `openapi-3.1.json`, as in `spec/README.md`.
pub const TYPED: [Language; 2] = [
    Language {
        name: "Types by openapi-typescript",
        commands: "npm install --save-dev openapi-typescript\n\
                   npx openapi-typescript openapi-3.1.json --default-non-nullable=false --output schema.ts",
        files: &[file!("ts", "types.ts", "typed/openapi-typescript.ts")],
        full: true,
        check: typed,
    },
    Language {
        name: "Types by hey-api",
        commands: "npm install --save-dev @hey-api/openapi-ts\n\
                   npx openapi-ts --input openapi-3.1.json --output smtp2go",
        files: &[file!("ts", "types.ts", "typed/hey-api.ts")],
        full: true,
        check: typed,
    },
];

/// Paths of the requests of the Postman collection that are run. None depends on another one.
const CALLED: [&str; 3] = ["/email/send", "/activity/search", "/template/add"];

/// The tool for the languages that only the full tier checks.
const GENERATOR: &str = "openapi-generator-cli";

/// The package that pins the dependencies of progenitor's client.
const CRATE: &str = "tests/clients/progenitor";

/// A key that the sandbox does not know.
const NO_KEY: &str = "api-00000000000000000000000000000000";

/// The URL of the service, which is replaced by the sandbox's.
const SERVICE: &str = "https://api.smtp2go.com/v3";

/// Generates the clients with the commands in [`LANGUAGES`], and runs the documented program of each,
/// which sends a mail. The clients in TypeScript and Python also search the activity and read an error.
/// Without `full`, skips the languages that are marked as full. Also runs requests of the collection.
///
/// # Errors
///
/// If a generator skips something, its code does not compile, or a call fails.
#[allow(clippy::print_stdout)]
pub fn check(root: &Path, tools: &Tools, full: bool) -> Result<(), String> {
    let sandbox = Sandbox::start(root, &["--strict"])?;
    let all = LANGUAGES.iter().chain(&TYPED);
    for language in all.filter(|language| full || !language.full) {
        println!("{}", language.name);
        let trial = Trial::make(root, tools, &sandbox, language)?;
        (language.check)(&trial).map_err(|error| format!("{}: {error}", language.name))?;
    }
    println!("{COLLECTION}");
    collection(root, tools, &sandbox).map_err(|error| format!("{COLLECTION}: {error}"))
}

/// A generated client in a separate folder, with its test program.
struct Trial<'a> {
    root: &'a Path,
    tools: &'a Tools,
    sandbox: &'a Sandbox,
    folder: PathBuf,
}

impl<'a> Trial<'a> {
    /// Copies the documents and the language's files to a folder, and runs the language's commands there.
    /// In the documents, the sandbox is the first server.
    fn make(
        root: &'a Path,
        tools: &'a Tools,
        sandbox: &'a Sandbox,
        language: &Language,
    ) -> Result<Self, String> {
        let folder = tools.scratch(&format!("client-{}", language.name.replace(' ', "-")))?;
        let trial = Self {
            root,
            tools,
            sandbox,
            folder,
        };
        for path in [SPEC, "spec/openapi.json", TWIN] {
            let document = tools::read(&root.join(path))?;
            trial.write(path.trim_start_matches("spec/"), &document)?;
        }
        for file in language.files {
            trial.write(file.name, file.text)?;
        }
        for command in language.commands.split(['\n', '&']) {
            trial.command(command)?;
        }
        Ok(trial)
    }

    /// Writes a file with the sandbox's URL in place of the service's.
    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        tools::write(&path, text.replace(SERVICE, &self.sandbox.base_url))
    }

    /// Runs a command as documented, with the pinned tools.
    fn command(&self, line: &str) -> Result<(), String> {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut command = match words.as_slice() {
            [] => return Ok(()),
            // The packages are already installed, at pinned versions.
            ["npm" | "pip", "install", packages @ ..] => {
                let mut named = packages.iter().filter(|word| !word.starts_with('-'));
                return named.try_for_each(|name| self.tools.version(name).map(drop));
            }
            ["cargo", "add", crates @ ..] => {
                let pins = tools::read(&self.root.join(CRATE).join("Cargo.toml"))?;
                let mut named = crates.iter().take_while(|word| !word.starts_with('-'));
                return match named.find(|name| !pins.contains(&format!("\n{name} = "))) {
                    Some(name) => Err(format!("{CRATE}/Cargo.toml lacks the dependency {name}")),
                    None => Ok(()),
                };
            }
            ["npx", tool, ..] => self.tools.npm(tool),
            [tool, ..] => self.tools.pypi(tool),
        };
        let skipped = if words[0] == "npx" { 2 } else { 1 };
        command
            .args(words.iter().skip(skipped))
            .current_dir(&self.folder);
        if words[0] == GENERATOR {
            // Its tests and documentation are not needed.
            command.arg(
                "--global-property=apiTests=false,modelTests=false,apiDocs=false,modelDocs=false",
            );
        }
        let made = tools::output(&mut command)?;
        let said = String::from_utf8_lossy(&made.stderr);
        // This generator succeeds even if it skips something, and reports it only in this output.
        let silent = words[0] == "openapi-python-client";
        if !made.status.success() || silent && !said.trim().is_empty() {
            let out = String::from_utf8_lossy(&made.stdout);
            return Err(format!("{} failed\n{out}{said}", tools::shown(&command)));
        }
        Ok(())
    }

    /// Returns a command that runs in the folder, with the sandbox's URL and key in its
    /// environment.
    fn program(&self, name: impl AsRef<std::ffi::OsStr>) -> Command {
        self.here(Command::new(name))
    }

    fn here(&self, mut command: Command) -> Command {
        self.sandbox.tell(&mut command);
        command.current_dir(&self.folder);
        command
    }

    /// Runs the documented program: it must print the id of a mail in the sandbox, and fail with an
    /// unknown key.
    fn sends(&self, mut send: Command) -> Result<(), String> {
        let id = tools::stdout(&mut send)?;
        let id = id.trim();
        has_mail(self.sandbox, id).map_err(|error| format!("{}: {error}", tools::shown(&send)))?;
        send.env("SMTP2GO_API_KEY", NO_KEY);
        if tools::output(&mut send)?.status.success() {
            return Err(format!("{} succeeds with a wrong key", tools::shown(&send)));
        }
        Ok(())
    }

    /// Returns the files in and below a folder of the client with this extension.
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

/// Fails if the sandbox has no mail with this id.
fn has_mail(sandbox: &Sandbox, id: &str) -> Result<(), String> {
    let mails = sandbox.get("/_sandbox/mails")?;
    match !id.is_empty() && mails.contains(&format!("\"{id}\"")) {
        true => Ok(()),
        false => Err(format!("the sandbox has no mail with the id `{id}`")),
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
    // Declarations are not checked: those of node and of browsers take longer than everything else.
    let schema = trial.folder.join("schema.d.ts");
    std::fs::rename(&schema, trial.folder.join("schema.ts"))
        .map_err(|error| format!("{}: {error}", schema.display()))?;
    tools::run(trial.tools.npm("tsc").arg("--project").arg(&trial.folder))?;
    tools::run(trial.program("node").arg("out/client.js"))?;
    let mut send = trial.program("node");
    send.arg("out/send.js");
    trial.sends(send)
}

/// Runs a program of one file.
fn script(trial: &Trial<'_>) -> Result<(), String> {
    compile(trial, "send.ts")?;
    let mut send = trial.program("node");
    send.arg("out/send.js");
    trial.sends(send)
}

/// Compiles valid and invalid uses of the types.
fn typed(trial: &Trial<'_>) -> Result<(), String> {
    let text = tools::read(&trial.root.join("tests/clients/typed/typed.ts"))?;
    trial.write("typed.ts", &text)?;
    compile(trial, "typed.ts")
}

/// Compiles a file and its imports.
fn compile(trial: &Trial<'_>, file: &str) -> Result<(), String> {
    let mut tsc = trial.tools.npm("tsc");
    tsc.args(["--strict", "--skipLibCheck", "--target", "es2022"])
        .args(["--module", "nodenext", "--types", "node", "--outDir", "out"])
        .arg(file)
        .current_dir(&trial.folder);
    tools::stdout(&mut tsc).map(drop)
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
    // The generator's jar contains the Jackson that its clients need; the annotations come from
    // Debian.
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
    // A program in the client's own module needs no `replace`.
    let (from, to) = ("main.go", "smtp2go-go/send");
    let text = tools::read(&trial.folder.join(from))?;
    trial.write(&format!("{to}/{from}"), &text)?;
    let go = || {
        let mut go = trial.program("go");
        // The client needs only the standard library: nothing is downloaded.
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
    // Composer's file, for the packages of Debian.
    let autoload = "<?php\n\
        require_once '/usr/share/php/GuzzleHttp/autoload.php';\n\
        spl_autoload_register(function (string $class): void {\n\
            [$space, $lib] = ['OpenAPI\\\\Client\\\\', __DIR__ . '/../smtp2go-php/lib/'];\n\
            if (str_starts_with($class, $space)) {\n\
                require_once $lib . strtr(substr($class, strlen($space)), '\\\\', '/') . '.php';\n\
            }\n\
        });\n";
    trial.write("vendor/autoload.php", autoload)?;
    // Loads each class, which also checks its parent class.
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
    // Loads all files.
    let mut send = trial.program("ruby");
    send.args(["-I", "smtp2go-ruby/lib", "send.rb"]);
    trial.sends(send)
}

fn progenitor(trial: &Trial<'_>) -> Result<(), String> {
    for file in ["Cargo.toml", "Cargo.lock"] {
        let text = tools::read(&trial.root.join(CRATE).join(file))?;
        trial.write(file, &text)?;
    }
    let mut send = trial.here(cargo(&trial.folder));
    send.args(["run", "--quiet", "--locked"])
        .env("CARGO_TARGET_DIR", trial.tools.target());
    trial.sends(send)
}

fn csharp(trial: &Trial<'_>) -> Result<(), String> {
    let parse = trial.root.join("tests/clients/csharp/parse.py");
    let mut python = trial.here(trial.tools.pypi("python"));
    tools::run(python.arg(parse).arg("smtp2go-csharp"))
}

/// Runs requests of the collection with newman: the sandbox must accept them, have the mail, and
/// refuse all of them with an unknown key.
fn collection(root: &Path, tools: &Tools, sandbox: &Sandbox) -> Result<(), String> {
    let folder = tools.scratch("collection")?;
    let text = tools::read(&root.join(COLLECTION))?;
    let collection: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let requests = list(&collection["item"]).iter();
    let requests: Vec<_> = requests.flat_map(|group| list(&group["item"])).collect();
    let mut names = Vec::new();
    for path in CALLED {
        let url = format!("{{{{baseUrl}}}}{path}");
        let request = requests
            .iter()
            .find(|request| request["request"]["url"]["raw"] == *url)
            .ok_or_else(|| format!("no request has the URL {url}"))?;
        names.push(request["name"].as_str().unwrap_or_default());
    }
    let run = |key: &str| {
        let replies = folder.join("replies.json");
        let mut newman = tools.npm("newman");
        newman.arg("run").arg(root.join(COLLECTION));
        names.iter().for_each(|name| {
            newman.args(["--folder", name]);
        });
        newman
            .args(["--env-var", &format!("baseUrl={}", sandbox.base_url)])
            .args(["--env-var", &format!("apiKey={key}")])
            .args(["--reporters", "json", "--reporter-json-export"])
            .arg(&replies);
        tools::stdout(&mut newman)?;
        let replies: Value = serde_json::from_str(&tools::read(&replies)?)
            .map_err(|error| format!("newman's report: {error}"))?;
        Ok::<_, String>(list(&replies["run"]["executions"]).to_vec())
    };
    for (key, status) in [(sandbox.key.as_str(), 200), (NO_KEY, 401)] {
        let calls = run(key)?;
        let wrong = calls.iter().find(|call| call["response"]["code"] != status);
        if let Some(call) = wrong {
            let (name, code) = (&call["item"]["name"], &call["response"]["code"]);
            return Err(format!("{name}: got status {code}, expected {status}"));
        }
        if calls.len() != names.len() {
            return Err(format!(
                "newman made {} calls, expected {}",
                calls.len(),
                names.len()
            ));
        }
        let body = calls.first().map(body).unwrap_or_default();
        match body["data"]["email_id"].as_str() {
            Some(id) => has_mail(sandbox, id)?,
            None if status == 200 => return Err(format!("no mail was sent: {body}")),
            None => {}
        }
    }
    Ok(())
}

/// Returns the body of a reply from newman's report.
fn body(call: &Value) -> Value {
    let bytes = list(&call["response"]["stream"]["data"]).iter();
    let bytes = bytes.filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
    serde_json::from_slice(&bytes.collect::<Vec<_>>()).unwrap_or_default()
}
