//! The mails as the list and its search want them, kept so that ten thousand are found quickly.

use std::sync::{Arc, Mutex, PoisonError};

use super::content::{self, Content};
use crate::mail::Mail;

/// How much of what a mail says is searched.
const SEARCHED: usize = 64 * 1024;

/// The mails of a sandbox in their order, made when somebody looks.
#[derive(Default)]
pub(crate) struct Index(Mutex<Vec<Arc<Entry>>>);

/// A mail for the list.
pub(super) struct Entry {
    pub(super) mail: Mail,
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) files: usize,
    /// In lower case.
    text: String,
}

impl Index {
    /// All entries, brought up to these mails.
    pub(super) fn entries(&self, mails: &[Mail]) -> Vec<Arc<Entry>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = entries.len().checked_sub(1);
        let same = last.is_none_or(|last| {
            let known = entries.get(last).map(|entry| &entry.mail);
            matches!((known, mails.get(last)), (Some(known), Some(mail)) if known.is(mail))
        });
        if !same {
            // The sandbox was reset.
            entries.clear();
        }
        for mail in mails.iter().skip(entries.len()) {
            entries.push(Arc::new(Entry::new(mail)));
        }
        entries.clone()
    }
}

impl Entry {
    fn new(mail: &Mail) -> Self {
        let content = Content::of(mail);
        let subject = content::subject(mail);
        let from = content::readable(mail, mail.sender());
        let to = content::readable(mail, &mail.to().join(", "));
        let mut text = String::new();
        let mut add = |part: &str| {
            let left = SEARCHED.saturating_sub(text.len());
            text.extend(part.chars().flat_map(char::to_lowercase).take(left));
            text.push('\n');
        };
        for part in [subject.as_str(), &from, &to, mail.email_id()] {
            add(part);
        }
        for part in [mail.cc(), mail.bcc()].into_iter().flatten() {
            add(&content::readable(mail, part));
        }
        for file in &content.files {
            add(&file.name);
        }
        add(content.text.as_deref().unwrap_or_default());
        add(&content::without_tags(
            content.html.as_deref().unwrap_or_default(),
        ));
        Self {
            files: content.files.len(),
            mail: mail.clone(),
            subject,
            from,
            to,
            text,
        }
    }

    /// Whether all words, in lower case, occur in it.
    pub(super) fn has(&self, words: &[String]) -> bool {
        words.iter().all(|word| self.text.contains(word.as_str()))
    }
}

/// How many words a search has at most; those after them do not count.
const WORDS: usize = 20;

/// The words of a search, in lower case.
pub(super) fn words(search: &str) -> Vec<String> {
    let words = search.split_whitespace().take(WORDS);
    words.map(str::to_lowercase).collect()
}
