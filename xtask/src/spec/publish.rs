//! The published folder: the spec, an offline reference, a landing page, JSON Schemas of the webhook
//! events, and the guide.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::collection::COLLECTION;
use crate::document::{Document, JSON, map};
use crate::spec::clients::LANGUAGES;
use crate::spec::guide;
use crate::spec::tools::{self, Tools};
use crate::twin::TWIN;
use crate::{SPEC, known, load, schema};

const LANDING: &str = include_str!("landing.html");

/// Content security policy of the pages: inline scripts only, and nothing is fetched.
const POLICY: &str = "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                      script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                      font-src data:; worker-src blob:\">";

/// Images that Redoc's page would fetch.
const LOGOS: [&str; 2] = [
    "https://cdn.redoc.ly/redoc/logo-mini-full.svg",
    "https://cdn.redoc.ly/redoc/logo-mini.svg",
];

/// Links of the landing page, besides the schemas of webhooks.
const LINKED: [&str; 7] = [
    "guide/index.html",
    "reference.html",
    "openapi.yaml",
    "openapi.json",
    "openapi-3.1.json",
    "smtp2go.postman_collection.json",
    "CHANGELOG.md",
];

/// The browser that opens the pages.
const BROWSER: &str = "chromium-headless-shell";

/// Creates the folder `out`, or replaces it.
///
/// # Errors
///
/// If `out` contains anything but an earlier publication, a tool fails, or a file can't be written.
#[allow(clippy::print_stdout)]
pub fn publish(root: &Path, tools: &Tools, out: &Path) -> Result<(), String> {
    let spec = load::load(&root.join(SPEC)).map_err(|problems| problems.to_string())?;
    let spelled_out = known::spelled_out(&spec.document);
    let document = Document::new(&spelled_out);
    if out.exists() {
        // `spec/` itself has an openapi.yaml, so that file alone does not mark a publication.
        let earlier = ["openapi.yaml", "webhooks"]
            .iter()
            .all(|name| out.join(name).exists());
        if !earlier && out.read_dir().is_ok_and(|mut files| files.next().is_some()) {
            return Err(format!(
                "{} is not empty, and is not an earlier publication: choose another folder",
                out.display()
            ));
        }
        std::fs::remove_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    }
    let schemas = out.join("webhooks");
    std::fs::create_dir_all(&schemas).map_err(|error| format!("{}: {error}", schemas.display()))?;
    for (from, to) in [
        (SPEC, "openapi.yaml"),
        ("spec/openapi.json", "openapi.json"),
        (TWIN, "openapi-3.1.json"),
        (COLLECTION, "smtp2go.postman_collection.json"),
        ("CHANGELOG.md", "CHANGELOG.md"),
    ] {
        tools::write(&out.join(to), tools::read(&root.join(from))?)?;
    }
    let mut names = Vec::new();
    for (name, schema) in events(document) {
        tools::write(&schemas.join(&name), crate::json(&schema))?;
        names.push(name);
    }
    tools::write(&out.join("index.html"), landing(document, &names))?;
    tools::write(&out.join("reference.html"), reference(tools, out)?)?;
    guide::build(root, tools.target(), &out.join(guide::FOLDER))?;
    println!(
        "{}: index.html, {}, webhooks/{}",
        out.display(),
        LINKED.join(", "),
        names.join(", webhooks/")
    );
    Ok(())
}

/// Returns Redoc's page, without anything that it would fetch.
fn reference(tools: &Tools, out: &Path) -> Result<String, String> {
    let page = out.join("reference.html");
    tools::stdout(
        tools
            .npm("redocly")
            .args([
                "build-docs",
                "spec/openapi.json",
                "--inlineBundle",
                "--openapi.router=hash",
                "--output",
            ])
            .arg(&page),
    )?;
    let mut text = tools::read(&page)?;
    for logo in LOGOS {
        text = text.replace(logo, "data:,");
    }
    match text.split_once("<head>") {
        Some((before, after)) => Ok(format!("{before}<head>\n  {POLICY}{after}")),
        None => Err("Redoc's page has no head".to_owned()),
    }
}

/// Returns the file name and JSON Schema of each webhook's payload.
fn events(document: Document<'_>) -> Vec<(String, Value)> {
    document
        .webhooks()
        .into_iter()
        .map(|webhook| {
            let schema = &webhook.value["requestBody"]["content"][JSON]["schema"];
            (
                format!("{}.schema.json", webhook.name),
                schema::published(document, schema),
            )
        })
        .collect()
}

fn landing(document: Document<'_>, schemas: &[String]) -> String {
    let info = &document.root()["info"];
    let languages = LANGUAGES.iter().map(|language| {
        let files = language.files.iter().map(|file| file.text);
        let blocks = [language.commands]
            .into_iter()
            .chain(files)
            .map(str::trim_end);
        let blocks = blocks.filter(|block| !block.is_empty()).map(|block| {
            let block = escaped(block);
            format!("<pre><code>{block}</code></pre>\n")
        });
        let blocks: String = blocks.collect();
        format!("<h3>{}</h3>\n{blocks}", escaped(language.name))
    });
    let links: Vec<_> = schemas
        .iter()
        .map(|name| format!("<a href=\"webhooks/{0}\">{0}</a>", escaped(name)))
        .collect();
    LANDING
        .replace(
            "{{title}}",
            &escaped(info["title"].as_str().unwrap_or_default()),
        )
        .replace(
            "{{version}}",
            &escaped(info["version"].as_str().unwrap_or_default()),
        )
        .replace(
            "{{revision}}",
            &escaped(info["x-smtp2go-revision"].as_str().unwrap_or_default()),
        )
        .replace("{{operations}}", &document.operations().len().to_string())
        .replace("{{webhooks}}", &links.join(", "))
        .replace("{{languages}}", &languages.collect::<String>())
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Opens the published pages in a browser, and checks that they show every operation and fetch
/// nothing.
///
/// # Errors
///
/// If an operation is missing, a page requests something outside of the folder, or there is no
/// browser.
#[allow(clippy::print_stdout)]
pub fn check(root: &Path, out: &Path) -> Result<(), String> {
    let spec = load::load(&root.join(SPEC)).map_err(|problems| problems.to_string())?;
    let document = Document::new(&spec.document);
    let out = out
        .canonicalize()
        .map_err(|error| format!("{}: {error}", out.display()))?;
    let profile =
        tempfile::tempdir().map_err(|error| format!("can't create a temporary folder: {error}"))?;
    hears(profile.path())?;
    let guide = out.join(guide::FOLDER);
    let pages = guide::check(&guide)?;
    open(&guide, "index.html", profile.path())?;
    println!("the guide has {pages} pages, and all of its links lead somewhere");
    let landing = open(&out, "index.html", profile.path())?;
    for link in LINKED {
        if !landing.contains(&format!("href=\"{link}\"")) || !out.join(link).exists() {
            return Err(format!("index.html has no link to {link}"));
        }
    }
    let tags: BTreeSet<_> = document
        .operations()
        .iter()
        .filter_map(|operation| operation.value["tags"][0].as_str())
        .collect();
    let mut seen = 0;
    for tag in tags {
        // The reference shows one group at a time.
        let page = open(&out, &format!("reference.html#/{tag}"), profile.path())?;
        for operation in document.operations() {
            let id = operation.value["operationId"].as_str().unwrap_or_default();
            if operation.value["tags"][0] == tag {
                let text = |name: &str| escaped(operation.value[name].as_str().unwrap_or_default());
                // The description is Markdown: only its first words are plain text.
                let description = text("description");
                let words = description.split(['`', '*', '[', '&', '\n']).next();
                for part in [
                    format!("href=\"#/{tag}/{id}\""),
                    format!(">{}<", text("summary")),
                    format!(">{}<", escaped(operation.path)),
                    words.unwrap_or_default().trim().to_owned(),
                ] {
                    if !page.contains(&part) {
                        return Err(format!(
                            "reference.html#/{tag} does not show {id}: it has no {part}"
                        ));
                    }
                }
                seen += 1;
            }
        }
    }
    println!("the reference shows {seen} operations, and nothing was fetched");
    Ok(())
}

/// Checks that a page that fetches something is detected.
fn hears(profile: &Path) -> Result<(), String> {
    let fetches = "<img src=\"http://pictures.example/dot.png\"><script>fetch('http://calls.example/')</script>";
    tools::write(&profile.join("fetches.html"), fetches)?;
    let Err(found) = open(profile, "fetches.html", profile) else {
        return Err("the browser's log does not show the requests of a test page".to_owned());
    };
    match ["pictures.example", "calls.example"].map(|host| found.contains(host)) {
        [true, true] => Ok(()),
        _ => Err(format!("the browser did not open a page: {found}")),
    }
}

/// Returns the page after its scripts have run.
fn open(out: &Path, page: &str, profile: &Path) -> Result<String, String> {
    let log = profile.join("net.json");
    let mut browser = Command::new(BROWSER);
    browser
        .args([
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-sync",
        ])
        .args([
            "--disable-background-networking",
            "--disable-component-update",
        ])
        .args([
            "--disable-domain-reliability",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ])
        .args(["--virtual-time-budget=20000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--log-net-log={}", log.display()))
        .arg(format!("file://{}/{page}", out.display()));
    let text = tools::stdout(&mut browser)?;
    let log: Value = serde_json::from_str(&tools::read(&log)?)
        .map_err(|error| format!("the browser's log: {error}"))?;
    let mut asked = BTreeSet::new();
    urls(&log["events"], &mut asked);
    if asked.is_empty() {
        return Ok(text);
    }
    Err(format!(
        "{page} requests {}",
        asked.into_iter().collect::<Vec<_>>().join(", ")
    ))
}

/// Collects the URLs that the browser requested.
fn urls(value: &Value, into: &mut BTreeSet<String>) {
    for (key, member) in map(value) {
        match member.as_str() {
            Some(url)
                if key == "url"
                    && !url.starts_with("file:")
                    && !url.starts_with("data:")
                    && url.contains("://") =>
            {
                into.insert(url.to_owned());
            }
            _ => urls(member, into),
        }
    }
    for item in crate::document::list(value) {
        urls(item, into);
    }
}
