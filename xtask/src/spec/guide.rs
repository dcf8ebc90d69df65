//! The guide in the published folder: the README and the pages of `docs/`, made by mdbook.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use crate::spec::tools::{self, at};

/// The folder of the guide in the published one.
pub(crate) const FOLDER: &str = "guide";

const VERSION: &str = "0.5.4";

/// The list of pages, with a section for each heading.
const INDEX: &str = "docs/README.md";

/// Pages besides those of `docs/`, because these link to them.
const MORE: [(&str, &str); 14] = [
    ("smtp2go-sdk", "smtp2go-sdk/README.md"),
    ("smtp2go-outbox", "smtp2go-outbox/README.md"),
    ("smtp2go-sandbox", "smtp2go-sandbox/README.md"),
    ("Reference of the sandbox", "smtp2go-sandbox/REFERENCE.md"),
    ("smtp2go-types", "smtp2go-types/README.md"),
    ("The OpenAPI document", "spec/README.md"),
    ("The benchmark", "tests/bench/README.md"),
    ("Contributing", "CONTRIBUTING.md"),
    ("Architecture", "ARCHITECTURE.md"),
    ("Security", "SECURITY.md"),
    ("Changes", "CHANGELOG.md"),
    ("Results of the benchmark", "tests/bench/RESULTS.md"),
    ("Trials of the outbox", "tests/outbox/README.md"),
    ("Results of the trials", "tests/outbox/RESULTS.md"),
];

const CONFIGURATION: &str = "[book]
title = \"SMTP2GO for Rust\"
language = \"en\"
src = \"src\"

[build]
use-default-preprocessors = false

[output.html]
no-section-label = true

[output.html.playground]
runnable = false

[output.html.fold]
enable = true
";

/// Builds the guide into `out`.
///
/// # Errors
///
/// If mdbook can't be installed or fails, or a file can't be read or written.
pub(crate) fn build(root: &Path, target: &Path, out: &Path) -> Result<(), String> {
    let book = target.join("guide");
    if book.exists() {
        std::fs::remove_dir_all(&book).map_err(|error| at(&book, &error))?;
    }
    let mut pages = vec![("Start".to_owned(), "README.md".to_owned())];
    let mut summary = "# Summary\n\n[Start](README.md)\n".to_owned();
    for line in tools::read(&root.join(INDEX))?.lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            summary += &format!("\n# {heading}\n\n");
        } else if let Some((title, page)) = entry(line) {
            summary += &format!("- [{title}](docs/{page})\n");
            pages.push((title.to_owned(), format!("docs/{page}")));
        }
    }
    summary += "\n# The project\n\n";
    let decisions = root.join("docs/decisions");
    let entries = std::fs::read_dir(&decisions).map_err(|error| at(&decisions, &error))?;
    let mut decisions = BTreeSet::new();
    for entry in entries {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        decisions.insert(format!("docs/decisions/{}", name.to_string_lossy()));
    }
    let more = MORE.map(|(title, page)| (title.to_owned(), page.to_owned()));
    let index = ("All pages".to_owned(), INDEX.to_owned());
    for (title, page) in more.into_iter().chain([index]) {
        summary += &format!("- [{title}]({page})\n");
        pages.push((title, page));
    }
    summary += "\n# Decisions\n\n";
    for page in decisions {
        let text = tools::read(&root.join(&page))?;
        let title = text.lines().next().unwrap_or_default();
        let title = title.trim_start_matches("# ").to_owned();
        summary += &format!("- [{title}]({page})\n");
        pages.push((title, page));
    }

    let source = book.join("src");
    for (_, page) in &pages {
        let text = tools::read(&root.join(page))?;
        for link in linked(page, &text) {
            copy(root, &source, &link)?;
        }
        copy(root, &source, Path::new(page))?;
    }
    tools::write(&source.join("SUMMARY.md"), summary)?;
    tools::write(&book.join("book.toml"), CONFIGURATION)?;
    tools::stdout(
        Command::new(mdbook(target)?)
            .args(["build", "--dest-dir"])
            .arg(out)
            .arg(&book),
    )?;
    Ok(())
}

/// Installs mdbook below the target folder, unless it is there, and returns its path.
fn mdbook(target: &Path) -> Result<PathBuf, String> {
    let folder = target.join("tools");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    tools::run(
        Command::new(cargo)
            .args(["install", "mdbook", "--version", VERSION])
            .args(["--locked", "--no-default-features", "--quiet", "--root"])
            .arg(&folder)
            .env_remove("RUSTFLAGS"),
    )?;
    Ok(folder.join("bin/mdbook"))
}

/// Returns title and file of a line of the index such as `- [Title](page.md): more`.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (title, rest) = line.strip_prefix("- [")?.split_once("](")?;
    Some((title, rest.split_once(')')?.0))
}

/// Returns the files that a page links to or shows, except other pages.
fn linked(page: &str, text: &str) -> BTreeSet<PathBuf> {
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
    let targets = targets.filter_map(|target| target.split('#').next());
    targets
        .filter(|target| !target.is_empty() && !target.contains([':', ' ']))
        .filter(|target| !target.ends_with(".md"))
        .map(|target| {
            let mut path = PathBuf::from(page);
            path.pop();
            for part in Path::new(target).components() {
                match part {
                    Component::ParentDir => drop(path.pop()),
                    part => path.push(part),
                }
            }
            path
        })
        .collect()
}

/// Copies a file with its path. Folders and missing files are left out: the check of the links
/// reports them.
fn copy(root: &Path, source: &Path, path: &Path) -> Result<(), String> {
    let from = root.join(path);
    if !from.is_file() {
        return Ok(());
    }
    let to = source.join(path);
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder).map_err(|error| at(folder, &error))?;
    }
    std::fs::copy(&from, &to)
        .map(drop)
        .map_err(|error| at(&from, &error))
}

/// Checks that all links of the guide lead to files, and that its pages fetch nothing.
///
/// # Errors
///
/// If a link is broken or a page fetches something. The error lists all such places.
pub(crate) fn check(out: &Path) -> Result<usize, String> {
    let mut pages = Vec::new();
    html(out, &mut pages)?;
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in &pages {
        let text = tools::read(page)?;
        for (attribute, value) in references(&text) {
            let name = page.strip_prefix(out).unwrap_or(page).display();
            if value.contains("://") {
                if attribute == "src" {
                    wrong.push(format!("{name} fetches {value}"));
                }
                continue;
            }
            count += 1;
            let (path, id) = value.split_once('#').unwrap_or((value, ""));
            let target = match path {
                "" => page.clone(),
                _ => page.parent().unwrap_or(out).join(path),
            };
            if value.starts_with("mailto:") || value.starts_with("data:") {
                continue;
            }
            if !target.exists() {
                wrong.push(format!("{name}: {value} does not exist"));
            } else if !id.is_empty() && !tools::read(&target)?.contains(&format!("id=\"{id}\"")) {
                wrong.push(format!("{name}: {value}: no such heading"));
            }
        }
    }
    if pages.len() < 20 || count < 500 {
        return Err(format!("{} pages with {count} links", pages.len()));
    }
    if wrong.is_empty() {
        return Ok(pages.len());
    }
    Err(wrong.join("\n"))
}

fn html(folder: &Path, pages: &mut Vec<PathBuf>) -> Result<(), String> {
    for entry in std::fs::read_dir(folder).map_err(|error| at(folder, &error))? {
        let path = entry.map_err(|error| at(folder, &error))?.path();
        if path.is_dir() {
            html(&path, pages)?;
        } else if path.extension().is_some_and(|end| end == "html") {
            // It is written for the root of a server.
            if !path.ends_with("404.html") {
                pages.push(path);
            }
        }
    }
    Ok(())
}

/// Returns the values of `href` and `src` in a page.
fn references(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    for name in ["href", "src"] {
        let start = format!(" {name}=\"");
        let values = text.split(start.as_str()).skip(1);
        found.extend(values.filter_map(|rest| Some((name, rest.split_once('"')?.0))));
    }
    found
}
