//! Finds lists of values in descriptions, where the vendor has most of its enums.

use std::collections::BTreeSet;

use super::places::Node;

/// A word that may be a value.
#[derive(Clone, Copy)]
struct Item<'a> {
    word: &'a str,
    /// In quotes, or alone between separators. Otherwise it may be part of a phrase.
    alone: bool,
}

enum Token<'a> {
    Word(Item<'a>),
    /// A comma, `|`, `/`, "and" or "or".
    Separator,
    /// Other punctuation.
    Break,
}

/// Returns the values that `descriptions` list. A list counts if it has at least two items and half
/// of them are ours. `None` if there is no such list.
pub(super) fn listed(descriptions: &BTreeSet<String>, ours: &Node) -> Option<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for description in descriptions {
        let text = without_tags(description);
        let mut runs = by_line(&text);
        let chunks = chunks(&text);
        runs.extend(chunks.iter().flat_map(|chunk| inline(chunk)));
        for run in runs {
            let mut own = BTreeSet::new();
            let mut others = BTreeSet::new();
            for item in run {
                match ours.known(item.word) {
                    Some(value) => own.insert(value.to_owned()),
                    None => item.alone && others.insert(item.word.to_owned()),
                };
            }
            if own.len() + others.len() >= 2 && own.len() >= others.len() {
                found.append(&mut own);
                found.append(&mut others);
            }
        }
    }
    (!found.is_empty()).then_some(found)
}

/// `text` with a line break for each HTML tag.
fn without_tags(text: &str) -> String {
    let mut parts = text.split('<');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('\n');
        plain.push_str(part.split_once('>').map_or(part, |(_, after)| after));
    }
    plain
}

/// Splits a text into the texts in parentheses and the text outside of them.
fn chunks(text: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut outer = Vec::new();
    let mut current = String::new();
    for character in text.chars() {
        match character {
            '(' => outer.push(std::mem::take(&mut current)),
            ')' => {
                let around = outer.pop().unwrap_or_default();
                done.push(std::mem::replace(&mut current, around));
            }
            other => current.push(other),
        }
    }
    done.extend(outer);
    done.push(current);
    done
}

fn tokens(text: &str) -> Vec<Token<'_>> {
    // `*` is that of bold text.
    const QUOTES: [char; 8] = ['`', '"', '\'', '“', '”', '‘', '’', '*'];
    let is_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let mut found = Vec::new();
    let mut quoted = false;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(first.len_utf8()));
        found.extend(match word {
            "and" | "or" | "," | "|" | "/" => Some(Token::Separator),
            _ if word.contains(char::is_alphanumeric) => Some(Token::Word(Item {
                word,
                alone: quoted && after.starts_with(QUOTES),
            })),
            _ if word.starts_with(QUOTES) || first.is_whitespace() => None,
            _ => Some(Token::Break),
        });
        quoted = word.starts_with(QUOTES);
        rest = after;
    }
    found
}

/// Finds lists in running text: `a, b or c`.
fn inline(text: &str) -> Vec<Vec<Item<'_>>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    // The words since the last separator.
    let mut segment: Vec<Item<'_>> = Vec::new();
    for token in tokens(text).into_iter().chain([Token::Break]) {
        let separates = match token {
            Token::Word(item) => {
                segment.push(item);
                continue;
            }
            Token::Separator => true,
            Token::Break => false,
        };
        if let [only] = segment.as_mut_slice() {
            only.alone = true;
        }
        // The first word of a phrase may end a list, and the last one may begin another.
        if !run.is_empty() {
            run.extend(segment.first());
        }
        if segment.len() > 1 || !separates {
            runs.push(std::mem::take(&mut run));
        }
        if run.is_empty() && separates {
            run.extend(segment.last());
        }
        segment.clear();
    }
    runs
}

/// Finds lists whose lines begin with an item, with or without a bullet.
fn by_line(text: &str) -> Vec<Vec<Item<'_>>> {
    let mut bulleted = Vec::new();
    let mut runs = vec![Vec::new()];
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let without_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
        let bullets = ["- ", "* ", "+ ", "• ", ". ", ") "];
        let rest = bullets
            .iter()
            .find_map(|bullet| without_number.strip_prefix(bullet));
        let words = tokens(rest.unwrap_or(line));
        let item = match words.as_slice() {
            // A line of one word and a colon introduces a list.
            [Token::Word(_), Token::Break] if line.ends_with(':') => None,
            [Token::Word(item)] | [Token::Word(item), Token::Break, ..] => Some(*item),
            [Token::Word(item), ..] if item.alone && rest.is_some() => Some(*item),
            _ => None,
        };
        let item = item.map(|item| Item {
            alone: true,
            ..item
        });
        match (item, runs.last_mut()) {
            (Some(item), _) if rest.is_some() => bulleted.push(item),
            (Some(item), Some(run)) => run.push(item),
            _ => runs.push(Vec::new()),
        }
    }
    runs.push(bulleted);
    runs
}
