//! A cache of the mails' texts for the list and its search, so that searching ten thousand mails is
//! fast.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::content::{self, Content};
use crate::mail::Mail;
use crate::weight::Weight;
use crate::world::Shared;

/// Maximum size of a mail's searched text in bytes.
const SEARCHED: usize = 64 * 1024;

/// Maximum number of characters of a subject, a sender or the recipients in the list.
const SHOWN: usize = 200;

/// A mail's entry in the list.
pub(crate) struct MailEntry {
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) files: usize,
    pub(super) tags: Vec<String>,
    /// The searched text in lower case.
    text: String,
}

/// The entries of the newest mails that were shown or searched, by the mails' numbers. Their memory
/// is not part of the sandbox's budget, so that viewing mails does not drop any.
pub(crate) struct MailIndex {
    made: Mutex<Made>,
    limit: usize,
}

#[derive(Default)]
struct Made {
    entries: BTreeMap<u64, Arc<MailEntry>>,
    bytes: usize,
}

impl MailIndex {
    pub(crate) fn new(keep_bytes: usize) -> Self {
        Self {
            made: Mutex::default(),
            limit: keep_bytes / 4,
        }
    }

    /// Returns the entry of a mail, from the cache if it has one.
    pub(super) fn of(&self, mail: &Mail) -> Arc<MailEntry> {
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = made().entries.get(&mail.number()) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(MailEntry::new(mail));
        let mut made = made();
        made.bytes += entry.bytes();
        if let Some(same) = made.entries.insert(mail.number(), Arc::clone(&entry)) {
            made.bytes -= same.bytes();
        }
        while made.bytes > self.limit
            && let Some((_, oldest)) = made.entries.pop_first()
        {
            made.bytes -= oldest.bytes();
        }
        entry
    }

    /// Removes the entries of mails that were dropped or reset.
    pub(super) fn tidy(&self, shared: &Shared) {
        let world = shared.world();
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.entries.len() > world.mails.len() {
            made.entries.retain(|number, _| world.ledger.has(*number));
            made.bytes = made.entries.values().map(|entry| entry.bytes()).sum();
        }
    }
}

impl MailEntry {
    fn new(mail: &Mail) -> Self {
        let content = Content::of(mail);
        let subject = mail.subject().unwrap_or_default();
        let from = mail.sender();
        let tags = mail.tags();
        let mut text = String::new();
        let mut add = |part: &str| {
            for letter in part.chars().flat_map(char::to_lowercase) {
                if text.len() >= SEARCHED {
                    return;
                }
                text.push(letter);
            }
            text.push('\n');
        };
        for part in [subject, from] {
            add(part);
        }
        for part in mail.to() {
            add(part);
        }
        add(mail.email_id());
        for tag in &tags {
            add(tag);
        }
        for part in [mail.cc(), mail.bcc()].into_iter().flatten() {
            add(part);
        }
        for file in &content.files {
            add(&file.filename);
        }
        add(content.text.unwrap_or_default());
        add(&content::without_tags(content.html.unwrap_or_default()));
        text.shrink_to_fit();
        Self {
            files: content.files.len(),
            subject: cut(subject),
            from: cut(from),
            to: recipients(mail),
            tags,
            text,
        }
    }

    /// Whether all words of a search occur in the searched text, and the mail has all its tags.
    pub(super) fn has(&self, search: &MailSearch) -> bool {
        let has_tag = |tag: &String| self.tags.iter().any(|one| one.to_lowercase() == *tag);
        let mut words = search.words.iter();
        words.all(|word| self.text.contains(word.as_str())) && search.tags.iter().all(has_tag)
    }

    /// Memory of the entry, with its place in the map.
    fn bytes(&self) -> usize {
        let texts = [&self.subject, &self.from, &self.to, &self.text];
        let texts = texts.map(Weight::weight).iter().sum::<usize>();
        size_of::<Self>() + texts + self.tags.weight() + 64
    }
}

/// Cuts a text to the length in the list.
pub(super) fn cut(text: &str) -> String {
    cut_to(text, SHOWN)
}

/// Cuts a text after a number of characters.
pub(super) fn cut_to(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Writes the recipients in `to` that fit into the list, and the number of the others.
pub(super) fn recipients(mail: &Mail) -> String {
    let mut all = mail.to();
    if all.is_empty() {
        all = mail.recipients();
    }
    let (mut text, mut shown) = (String::new(), 0);
    for one in &all {
        if text.len() >= SHOWN {
            break;
        }
        if shown > 0 {
            text.push_str(", ");
        }
        text.push_str(&cut(one));
        shown += 1;
    }
    match all.len() - shown {
        0 => cut(&text),
        more => format!("{} and {more} more", cut(&text)),
    }
}

/// Maximum number of words of a search. Further words are ignored.
const WORDS: usize = 20;

/// A search for mails: words, and tags as `tag:name` or `tag:"two words"`, in lower case.
#[derive(Debug, Default, PartialEq)]
pub(super) struct MailSearch {
    words: Vec<String>,
    tags: Vec<String>,
}

impl MailSearch {
    pub(super) fn new(search: &str) -> Self {
        let mut found = Self::default();
        let mut rest = search.trim_start();
        while !rest.is_empty() && found.words.len() + found.tags.len() < WORDS {
            let tag = rest.get(..TAG.len()).zip(rest.get(TAG.len()..));
            let tag = tag.filter(|(start, _)| start.eq_ignore_ascii_case(TAG));
            let quoted = tag.and_then(|(_, value)| value.strip_prefix('"'));
            let (word, after) = match (quoted, tag) {
                (Some(quoted), _) => quoted.split_once('"').unwrap_or((quoted, "")),
                (None, Some((_, value))) => first_word(value),
                (None, None) => first_word(rest),
            };
            let list = match tag {
                Some(_) => &mut found.tags,
                None => &mut found.words,
            };
            list.push(word.to_lowercase());
            rest = after.trim_start();
        }
        found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.tags.is_empty()
    }

    /// Writes the search for a tag.
    pub(super) fn for_tag(tag: &str) -> String {
        match tag.contains(char::is_whitespace) {
            true => format!("{TAG}\"{tag}\""),
            false => format!("{TAG}{tag}"),
        }
    }
}

const TAG: &str = "tag:";

fn first_word(text: &str) -> (&str, &str) {
    text.split_at(text.find(char::is_whitespace).unwrap_or(text.len()))
}

/// Splits a search into words in lower case.
pub(super) fn words(search: &str) -> Vec<String> {
    let words = search.split_whitespace().take(WORDS);
    words.map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_is_split_into_words_and_tags() {
        for (search, words, tags) in [
            ("", &[][..], &[][..]),
            (" Hello  wOrld ", &["hello", "world"], &[]),
            ("a tag:Sale b", &["a", "b"], &["sale"]),
            ("TAG:\"Big Sale\" x", &["x"], &["big sale"]),
            ("tag:\"open end", &[], &["open end"]),
            ("tag: x", &["x"], &[""]),
            ("\"tag:\" é", &["\"tag:\"", "é"], &[]),
            ("tagé", &["tagé"], &[]),
        ] {
            let expected = MailSearch {
                words: words.iter().map(|word| (*word).to_owned()).collect(),
                tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            };
            assert_eq!(MailSearch::new(search), expected, "{search}");
        }
        for tag in ["sale", "big sale", "é"] {
            assert_eq!(MailSearch::new(&MailSearch::for_tag(tag)).tags, [tag]);
        }
        let many = MailSearch::new(&"tag:a b ".repeat(1_000));
        assert_eq!(many.words.len() + many.tags.len(), WORDS);
    }
}
