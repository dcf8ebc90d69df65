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
            text,
        }
    }

    /// Whether all `words`, which are in lower case, occur in the searched text.
    pub(super) fn has(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.text.contains(word.as_str()))
    }

    /// Memory of the entry, with its place in the map.
    fn bytes(&self) -> usize {
        let texts = [&self.subject, &self.from, &self.to, &self.text];
        size_of::<Self>() + texts.map(Weight::weight).iter().sum::<usize>() + 64
    }
}

/// Cuts a text to the length in the list.
fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// Writes the recipients in `to` that fit into the list, and the number of the others.
fn recipients(mail: &Mail) -> String {
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

/// Splits a search into words in lower case.
pub(super) fn words(search: &str) -> Vec<String> {
    let words = search.split_whitespace().take(WORDS);
    words.map(str::to_lowercase).collect()
}
