//! README.md and the pages of `docs/` show code that CI compiles or runs, and their links lead
//! somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use super::{read, root};

/// Folders with the programs of the pages.
const PROGRAMS: [&str; 4] = [
    "smtp2go-outbox/examples/",
    "smtp2go-sdk/examples/",
    "tests/tests/",
    "tests/workers/",
];

/// The list of all pages.
const INDEX: &str = "README.md";

/// The page with the table of endpoints, which may exceed [`MAX_LINES`].
const ENDPOINTS: &str = "endpoints.md";

const MAX_LINES: usize = 130;

const MAX_README_LINES: usize = 170;

/// READMEs that crates.io shows, where relative links lead nowhere.
const CRATE_PAGES: [&str; 4] = [
    "smtp2go-outbox/README.md",
    "smtp2go-sandbox/README.md",
    "smtp2go-sdk/README.md",
    "smtp2go-types/README.md",
];

fn pages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("docs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages: Vec<_> = names.filter(|name| name.ends_with(".md")).collect();
    assert!(pages.len() > 10, "{pages:?}");
    pages
}

#[test]
fn every_page_is_short_and_in_the_index() {
    assert!(read("README.md").lines().count() <= MAX_README_LINES);
    let index = read(&format!("docs/{INDEX}"));
    for name in pages() {
        let page = read(&format!("docs/{name}"));
        let lines = page.lines().count();
        assert!(
            lines <= MAX_LINES || name == ENDPOINTS,
            "{name} is too long"
        );
        let linked = index.contains(&format!("]({name})"));
        assert!(linked || name == INDEX, "docs/{INDEX} lacks {name}");
    }
}

#[test]
fn code_of_pages_is_tested_or_occurs_in_their_programs() {
    let doc_tests = read("tests/src/lib.rs");
    let mut compared = 0;
    for name in pages() {
        let page = read(&format!("docs/{name}"));
        let is_tested = doc_tests.contains(&format!("include_str!(\"../../docs/{name}\")"));
        let programs = programs(&page);
        for (language, code) in blocks(&page) {
            match language {
                "console" | "sh" => assert_commands(&name, &code),
                "dockerfile" | "toml" => {}
                _ if is_tested => assert!(language.starts_with("rust"), "{name}: {language}"),
                // `tests/consumer` compiles it.
                _ if name == "faq.md" => {}
                _ => {
                    compared += 1;
                    let shown = programs.iter().any(|(path, program)| {
                        path.ends_with(extension(language)) && program.contains(&code)
                    });
                    assert!(shown, "{name}: not in {:?}: {code}", paths(&programs));
                }
            }
        }
    }
    assert_ne!(compared, 0);
}

/// GitHub and crates.io show the lines that rustdoc hides.
#[test]
fn programs_of_pages_have_no_hidden_lines() {
    let mut documents: Vec<String> = pages().iter().map(|name| format!("docs/{name}")).collect();
    documents.push("README.md".to_owned());
    documents.extend(CRATE_PAGES.map(str::to_owned));
    for document in documents {
        for (language, code) in blocks(&read(&document)) {
            let mut lines = code.lines();
            let hidden = lines.find(|line| *line == "#" || line.starts_with("# "));
            let hidden = hidden.filter(|_| language.starts_with("rust"));
            assert_eq!(hidden, None, "{document}");
        }
    }
}

/// A doc test does not compile a function with `#[tokio::test]`.
#[test]
fn tests_in_readmes_are_run() {
    let tests = without_indentation(&read("tests/tests/docs.rs"));
    let mut compared = 0;
    let path = "smtp2go-sdk/README.md";
    for (_, code) in blocks(&read(path)) {
        if let Some(start) = code.find("#[tokio::test]") {
            compared += 1;
            let shown = tests.contains(&code[start..]);
            assert!(shown, "{path}: not in tests/tests/docs.rs: {code}");
        }
    }
    assert_eq!(compared, 1);
}

#[test]
fn links_of_documents_lead_to_files_and_headings() {
    let mut documents: Vec<String> = pages().iter().map(|name| format!("docs/{name}")).collect();
    for entry in std::fs::read_dir(root().join("docs/decisions")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        documents.push(format!("docs/decisions/{name}"));
    }
    let others = [
        "README",
        "ARCHITECTURE",
        "CONTRIBUTING",
        "SECURITY",
        "spec/README",
    ];
    documents.extend(others.map(|name| format!("{name}.md")));
    documents.push("smtp2go-sandbox/REFERENCE.md".to_owned());

    let mut wrong = Vec::new();
    let mut count = 0;
    for document in &documents {
        for link in links(&read(document)) {
            count += 1;
            let (path, heading) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => PathBuf::from(document),
                _ => beside(document, path),
            };
            if !root().join(&target).exists() {
                wrong.push(format!("{document}: {link}: no such file"));
            } else if !heading.is_empty() {
                let text = read(target.to_str().unwrap());
                if !headings(&text).contains(heading) {
                    wrong.push(format!("{document}: {link}: no such heading"));
                }
            }
        }
    }
    assert!(count > 100, "{count} links");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn crate_pages_have_no_relative_links() {
    for path in CRATE_PAGES {
        let page = read(path);
        for link in links(&page) {
            let heading = link.strip_prefix('#');
            let ok = heading.is_some_and(|heading| headings(&page).contains(heading));
            assert!(ok, "{path}: {link} breaks once published");
        }
    }
}

/// Returns the targets of links and pictures that are not URLs.
fn links(text: &str) -> Vec<String> {
    let prose = text
        .split("\n```")
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\n");
    let targets = prose.split("](").skip(1);
    let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
    let targets = targets.filter(|target| !target.contains("://") && !target.contains(' '));
    targets.map(str::to_owned).collect()
}

/// Returns the ids of the headings.
fn headings(text: &str) -> BTreeSet<String> {
    let prose = text
        .split("\n```")
        .step_by(2)
        .collect::<Vec<_>>()
        .join("\n");
    let lines = prose.lines().filter(|line| line.starts_with('#'));
    let ids = lines.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let title = title.replace(' ', "-");
        title
            .chars()
            .filter(|letter| letter.is_alphanumeric() || matches!(letter, '-' | '_'))
            .collect()
    });
    ids.collect()
}

/// Resolves a relative path in a document.
fn beside(document: &str, path: &str) -> PathBuf {
    let mut resolved = PathBuf::from(document);
    resolved.pop();
    for part in Path::new(path).components() {
        match part {
            Component::ParentDir => drop(resolved.pop()),
            part => resolved.push(part),
        }
    }
    resolved
}

/// Returns the programs that a page links to, with their code.
fn programs(page: &str) -> Vec<(String, String)> {
    let links = links(page);
    let links = links.iter().filter_map(|link| link.strip_prefix("../"));
    let programs: BTreeSet<&str> = links
        .filter(|link| PROGRAMS.iter().any(|folder| link.starts_with(folder)))
        .collect();
    programs
        .into_iter()
        .map(|path| (path.to_owned(), without_indentation(&read(path))))
        .collect()
}

/// Returns the code blocks of a page, each with its language.
fn blocks(page: &str) -> Vec<(&str, String)> {
    let fenced = page.split("\n```").skip(1).step_by(2);
    let blocks = fenced.map(|block| {
        let (language, code) = block.split_once('\n').unwrap();
        (language, without_indentation(code))
    });
    blocks.collect()
}

/// Removes indentation, so that a block can be from within a function. Lines begin and end with a
/// line break.
fn without_indentation(code: &str) -> String {
    let lines = code.lines().map(|line| format!("{}\n", line.trim()));
    format!("\n{}", lines.collect::<String>())
}

fn extension(language: &str) -> &str {
    match language {
        "rust" => ".rs",
        "python" => ".py",
        "sql" => ".sql",
        "toml" => ".toml",
        other => panic!("a code block in {other}: add it to this test"),
    }
}

fn assert_commands(name: &str, code: &str) {
    for command in code.lines().filter_map(|line| {
        let command = line.strip_prefix("$ ").unwrap_or(line);
        command.strip_prefix("cargo run -p ")
    }) {
        let (package, rest) = command.split_once(' ').unwrap();
        let (_, example) = rest.split_once("--example ").unwrap();
        let path = format!("{package}/examples/{example}.rs");
        assert!(root().join(&path).exists(), "{name}: {path} does not exist");
    }
}

fn paths(programs: &[(String, String)]) -> Vec<&str> {
    programs.iter().map(|(path, _)| path.as_str()).collect()
}
