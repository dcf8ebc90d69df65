//! What the list knows of the mails: a cache of their texts, so that searching ten thousand mails is fast,
//! and which of them were read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// The searched text in lower case. It starts with the subject, the sender and the recipients.
    text: String,
    /// The byte offsets in `text` at which the subject, the sender and the recipients end.
    ends: [usize; 3],
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
    /// The numbers of the mails whose page was shown.
    read: BTreeSet<u64>,
}

impl MailIndex {
    pub(crate) fn new(keep_bytes: usize) -> Self {
        Self {
            made: Mutex::default(),
            limit: keep_bytes / 4,
        }
    }

    fn made(&self) -> MutexGuard<'_, Made> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a mail as read. Returns whether it was unread.
    pub(super) fn mark_read(&self, mail: &Mail) -> bool {
        self.made().read.insert(mail.number())
    }

    pub(super) fn is_read(&self, mail: &Mail) -> bool {
        self.made().read.contains(&mail.number())
    }

    /// Whether a mail matches all terms of a search.
    pub(super) fn finds(&self, search: &MailSearch, mail: &Mail) -> bool {
        search.is_empty() || self.of(mail).has(search, || self.is_read(mail))
    }

    /// Returns the entry of a mail, from the cache if it has one.
    pub(super) fn of(&self, mail: &Mail) -> Arc<MailEntry> {
        if let Some(entry) = self.made().entries.get(&mail.number()) {
            return Arc::clone(entry);
        }
        let entry = Arc::new(MailEntry::new(mail));
        let mut made = self.made();
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

    /// Forgets the mails that were dropped, deleted or reset.
    pub(super) fn tidy(&self, shared: &Shared) {
        let world = shared.world();
        let mut made = self.made();
        if made.read.len() > world.mails.len() {
            made.read.retain(|number| world.ledger.has(*number));
        }
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
        let add = |text: &mut String, part: &str| {
            for letter in part.chars().flat_map(char::to_lowercase) {
                if text.len() >= SEARCHED {
                    return;
                }
                text.push(letter);
            }
            text.push('\n');
        };
        add(&mut text, subject);
        let subject_end = text.len();
        add(&mut text, from);
        let from_end = text.len();
        for part in [mail.to(), mail.cc(), mail.bcc()].into_iter().flatten() {
            add(&mut text, part);
        }
        let ends = [subject_end, from_end, text.len()];
        add(&mut text, mail.email_id());
        for tag in &tags {
            add(&mut text, tag);
        }
        for file in &content.files {
            add(&mut text, &file.filename);
        }
        add(&mut text, content.text.unwrap_or_default());
        add(
            &mut text,
            &content::without_tags(content.html.unwrap_or_default()),
        );
        text.shrink_to_fit();
        Self {
            files: content.files.len(),
            subject: cut(subject),
            from: cut(from),
            to: recipients(mail),
            tags,
            text,
            ends,
        }
    }

    /// Whether the mail matches all terms of a search.
    fn has(&self, search: &MailSearch, is_read: impl Fn() -> bool) -> bool {
        let [subject, from, to] = self.ends;
        let has = |range: Range<usize>, word: &str| {
            let part = self.text.get(range);
            part.is_some_and(|part| part.contains(word))
        };
        search.0.iter().all(|term| {
            let word = term.word.as_str();
            let fits = match term.place {
                SearchedPlace::Anywhere => has(0..self.text.len(), word),
                SearchedPlace::Subject => has(0..subject, word),
                SearchedPlace::From => has(subject..from, word),
                SearchedPlace::To => has(from..to, word),
                SearchedPlace::Tag => self.tags.iter().any(|tag| tag.to_lowercase() == word),
                SearchedPlace::Attachment => self.files > 0,
                SearchedPlace::Read => is_read(),
                SearchedPlace::Unread => !is_read(),
            };
            fits != term.excluded
        })
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

/// A search for mails. A mail must match all terms.
#[derive(Debug, Default, PartialEq)]
pub(super) struct MailSearch(Vec<InboxTerm>);

/// A word, or a phrase in quotation marks, in lower case. A `-` before the term excludes the mails that
/// match it.
#[derive(Debug, PartialEq)]
struct InboxTerm {
    place: SearchedPlace,
    word: String,
    excluded: bool,
}

/// Where a term is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum SearchedPlace {
    Anywhere,
    Subject,
    From,
    /// All recipients.
    To,
    /// The tags, one of which must equal the term.
    Tag,
    /// Whether the mail has files.
    Attachment,
    /// Whether the mail's page was shown.
    Read,
    Unread,
}

const PREFIXES: &[(&str, SearchedPlace)] = &[
    ("subject:", SearchedPlace::Subject),
    ("from:", SearchedPlace::From),
    ("to:", SearchedPlace::To),
    (TAG, SearchedPlace::Tag),
];

const TAG: &str = "tag:";

/// Words that ask for a property of the mail.
const PROPERTIES: &[(&str, SearchedPlace)] = &[
    ("has:attachment", SearchedPlace::Attachment),
    ("is:read", SearchedPlace::Read),
    ("is:unread", SearchedPlace::Unread),
];

impl MailSearch {
    pub(super) fn new(search: &str) -> Self {
        let mut terms = Vec::new();
        let mut rest = search.trim_start();
        while !rest.is_empty() && terms.len() < WORDS {
            let without = rest.strip_prefix('-');
            let without = without.filter(|rest| !rest.is_empty() && !rest.starts_with(' '));
            let term = without.unwrap_or(rest);
            let prefixed = PREFIXES.iter().find_map(|(prefix, place)| {
                let (start, value) = term.split_at_checked(prefix.len())?;
                start
                    .eq_ignore_ascii_case(prefix)
                    .then_some((*place, value))
            });
            let (mut place, value) = prefixed.unwrap_or((SearchedPlace::Anywhere, term));
            let (word, after) = match value.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
                None => first_word(value),
            };
            let property = PROPERTIES
                .iter()
                .find(|(known, _)| word.eq_ignore_ascii_case(known));
            if let (SearchedPlace::Anywhere, Some((_, property))) = (place, property) {
                place = *property;
            }
            terms.push(InboxTerm {
                place,
                word: word.to_lowercase(),
                excluded: without.is_some(),
            });
            rest = after.trim_start();
        }
        Self(terms)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the search for a tag.
    pub(super) fn for_tag(tag: &str) -> String {
        match tag.contains(char::is_whitespace) {
            true => format!("{TAG}\"{tag}\""),
            false => format!("{TAG}{tag}"),
        }
    }
}

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
    fn search_is_split_into_terms() {
        use SearchedPlace::{Anywhere, Attachment, From, Read, Subject, Tag, To, Unread};
        for (search, expected) in [
            ("", &[][..]),
            (
                " Hello  wOrld ",
                &[(Anywhere, "hello", false), (Anywhere, "world", false)],
            ),
            (
                "a tag:Sale -b",
                &[
                    (Anywhere, "a", false),
                    (Tag, "sale", false),
                    (Anywhere, "b", true),
                ],
            ),
            (
                "TAG:\"Big Sale\" x",
                &[(Tag, "big sale", false), (Anywhere, "x", false)],
            ),
            ("tag:\"open end", &[(Tag, "open end", false)]),
            ("tag: x", &[(Tag, "", false), (Anywhere, "x", false)]),
            (
                "\"Two words\" é",
                &[(Anywhere, "two words", false), (Anywhere, "é", false)],
            ),
            ("tagé", &[(Anywhere, "tagé", false)]),
            (
                "-From:a@ to:\"B C\" Subject:x",
                &[
                    (From, "a@", true),
                    (To, "b c", false),
                    (Subject, "x", false),
                ],
            ),
            ("-has:Attachment", &[(Attachment, "has:attachment", true)]),
            (
                "is:unread -IS:read",
                &[(Unread, "is:unread", false), (Read, "is:read", true)],
            ),
            (
                "- a-b has:",
                &[
                    (Anywhere, "-", false),
                    (Anywhere, "a-b", false),
                    (Anywhere, "has:", false),
                ],
            ),
        ] {
            let found = MailSearch::new(search).0;
            let found: Vec<_> = found
                .iter()
                .map(|term| (term.place, term.word.as_str(), term.excluded))
                .collect();
            assert_eq!(found, expected, "{search}");
        }
        for tag in ["sale", "big sale", "é"] {
            assert_eq!(MailSearch::new(&MailSearch::for_tag(tag)).0[0].word, tag);
        }
        let many = MailSearch::new(&"tag:a b ".repeat(1_000));
        assert_eq!(many.0.len(), WORDS);
    }
}
