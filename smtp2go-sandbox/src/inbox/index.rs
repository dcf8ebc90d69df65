//! The mails as the list and its search want them, kept so that ten thousand are found quickly.

use super::content::{self, Content};
use crate::keep::Log;
use crate::mail::Mail;
use crate::weight::Weight;
use crate::world::Shared;

/// How much of what a mail says is searched, in bytes.
const SEARCHED: usize = 64 * 1024;

/// What the list has of a mail. It is kept with the mail.
pub(crate) struct Entry {
    pub(super) subject: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) files: usize,
    /// In lower case.
    text: String,
}

/// The mails of a sandbox in their order, each with an entry.
pub(super) fn entries(shared: &Shared) -> Log<Mail> {
    let mails = shared.world().mails.clone();
    let mut made = Vec::new();
    for mail in mails.iter() {
        mail.entry().get_or_init(|| {
            let entry = Entry::new(mail);
            made.push((mail.number(), size_of::<Entry>() + entry.weight()));
            Box::new(entry)
        });
    }
    let mut world = shared.world();
    for (number, bytes) in made {
        world.ledger.charge(number, bytes);
    }
    mails
}

impl Entry {
    fn new(mail: &Mail) -> Self {
        let content = Content::of(mail);
        let subject = content::subject(mail);
        let from = content::readable(mail, mail.sender());
        let to = content::readable(mail, &mail.to().join(", "));
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
        text.shrink_to_fit();
        Self {
            files: content.files.len(),
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

impl Weight for Entry {
    fn weight(&self) -> usize {
        self.subject.weight() + self.from.weight() + self.to.weight() + self.text.weight()
    }
}

/// How many words a search has at most; those after them do not count.
const WORDS: usize = 20;

/// The words of a search, in lower case.
pub(super) fn words(search: &str) -> Vec<String> {
    let words = search.split_whitespace().take(WORDS);
    words.map(str::to_lowercase).collect()
}
