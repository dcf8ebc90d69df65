//! `spec/README.md` shows the commands and programs that the tests run.

use std::fmt::Write;

use xtask::spec::clients::{LANGUAGES, Language, TYPED};

use crate::fixture;

#[test]
fn readme_shows_the_commands_and_programs_that_tests_run() {
    let path = fixture::repository().join("spec/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    for (chapter, languages) in [
        ("A client in your language", &LANGUAGES[..]),
        ("OpenAPI 3.1", &TYPED),
    ] {
        let (_, chapter) = readme.split_once(&format!("\n## {chapter}\n")).unwrap();
        let (chapter, _) = chapter.split_once("\n## ").unwrap();
        shows(chapter, languages);
    }
}

/// Checks that a chapter has a section and a table row per language.
fn shows(chapter: &str, languages: &[Language]) {
    let mut sections = chapter.split("\n### ");
    let table = sections.next().unwrap();
    for (language, section) in languages.iter().zip(sections.by_ref()) {
        let (name, section) = section.split_once('\n').unwrap();
        assert_eq!(name, language.name);
        let mut shown = String::new();
        if !language.commands.is_empty() {
            writeln!(shown, "```sh\n{}\n```", language.commands).unwrap();
        }
        for file in language.files {
            writeln!(shown, "```{}\n{}```", file.fence, file.text).unwrap();
        }
        assert_eq!(blocks(section), shown, "{name}");
        let tier = if language.full { "full" } else { "both" };
        let row = |line: &&str| line.starts_with(&format!("| {name} |"));
        let row = table.lines().find(row).unwrap_or_default();
        assert!(row.ends_with(&format!("| {tier} |")), "{name}: {row}");
    }
    assert_eq!(sections.next(), None, "a language without a test");
}

/// Returns only the fenced blocks of a text.
fn blocks(text: &str) -> String {
    let mut inside = false;
    let mut blocks = String::new();
    for line in text.lines() {
        let fence = line.starts_with("```");
        if inside || fence {
            blocks.push_str(line);
            blocks.push('\n');
        }
        inside ^= fence;
    }
    blocks
}
