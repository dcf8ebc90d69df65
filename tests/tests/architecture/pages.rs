//! The pages of `docs/` about a task show code of programs that run in CI.

use std::collections::BTreeSet;

use super::{read, root};

/// Folders with the programs of the pages.
const PROGRAMS: [&str; 2] = ["smtp2go-outbox/examples/", "smtp2go-sdk/examples/"];

const MAX_LINES: usize = 120;

#[test]
fn code_of_pages_occurs_in_their_programs() {
    let mut pages = 0;
    let readme = read("README.md");
    for entry in std::fs::read_dir(root().join("docs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".md") || name == "faq.md" {
            continue;
        }
        pages += 1;
        let page = read(&format!("docs/{name}"));
        assert!(page.lines().count() <= MAX_LINES, "{name} is too long");
        let link = format!("](docs/{name})");
        assert!(readme.contains(&link), "README.md does not link to {name}");

        let programs = programs(&page);
        assert!(!programs.is_empty(), "{name} links to no program");
        for (language, code) in blocks(&page) {
            match language {
                "console" | "sh" => assert_commands(&name, &code),
                _ => {
                    let shown = programs.iter().any(|(path, program)| {
                        path.ends_with(extension(language)) && program.contains(&code)
                    });
                    assert!(shown, "{name}: not in {:?}: {code}", paths(&programs));
                }
            }
        }
    }
    assert_ne!(pages, 0);
}

/// Returns the programs that a page links to, with their code.
fn programs(page: &str) -> Vec<(String, String)> {
    let links = page.split("](../").skip(1);
    let links: BTreeSet<&str> = links
        .filter_map(|rest| Some(rest.split_once(')')?.0))
        .collect();
    let programs = links
        .into_iter()
        .filter(|link| PROGRAMS.iter().any(|folder| link.starts_with(folder)));
    programs
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
        other => panic!("a code block in {other}: add it to this test"),
    }
}

fn assert_commands(name: &str, code: &str) {
    for command in code.lines().filter_map(|line| {
        let command = line.strip_prefix("$ ").unwrap_or(line);
        command.strip_prefix("cargo run -p ")
    }) {
        let (package, example) = command.split_once(" --example ").unwrap();
        let path = format!("{package}/examples/{example}.rs");
        assert!(root().join(&path).exists(), "{name}: {path} does not exist");
    }
}

fn paths(programs: &[(String, String)]) -> Vec<&str> {
    programs.iter().map(|(path, _)| path.as_str()).collect()
}
