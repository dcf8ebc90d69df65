//! `/email/search`: sent mail by recipient. It is deprecated at the service.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::fields::{check_few, flag, integer, set, text};
use super::history::{Copy, copies, time};
use super::{Context, Reply};
use crate::clock;
use crate::event::EventKind;
use crate::paging::page;
use crate::refusal::Refusal;

pub(crate) fn answer(context: &Context<'_>, request: &Value) -> Result<Reply, Refusal> {
    let start = time(request, "start_date")?;
    let start = start.unwrap_or_else(|| clock::day_start(context.now(), 0));
    let end = time(request, "end_date")?;
    let ignore_case = flag(request, "ignore_case").unwrap_or(false);
    let query = match text(request, "filter_query") {
        Some(query) if !query.trim().is_empty() => SearchQuery::new(query, ignore_case)?,
        _ => SearchQuery::default(),
    };
    let ids = set(request, "email_id");
    let only = |field: &str| flag(request, field).unwrap_or(false);
    let mut known = HashMap::new();
    let mut found = copies(context.world, context.account);
    found.retain(|copy| {
        let sent = copy.mail.accepted_at();
        // The range includes both ends.
        sent >= start
            && end.is_none_or(|end| sent <= end)
            && (ids.is_empty() || ids.contains(copy.mail.email_id()))
            && text(request, "username").is_none_or(|name| name == copy.mail.username())
            && (!only("opened_only") || copy.had(EventKind::Open).is_some())
            && (!only("clicked_only") || copy.had(EventKind::Click).is_some())
            && query.takes(copy, &mut known)
    });
    let total = found.len();
    let limit = integer(request, "limit").and_then(|limit| usize::try_from(limit).ok());
    let token = text(request, "continue_token");
    let found = found.into_iter().map(|copy| (copy.place, copy));
    let mut page = page(found, limit.unwrap_or(5_000), "continue_token", token)?;
    let emails = page.rows(show);
    let mut data = json!({ "count": total, "emails": emails });
    if let Some(token) = page.token {
        data["continue_token"] = token.into();
    }
    Ok(Reply::Data(data))
}

/// The status of a mail for a recipient, as this call names it.
fn status(copy: &Copy) -> &'static str {
    let last = copy.events.last().map(|event| event.kind());
    match last {
        Some(EventKind::Delivered | EventKind::Resubscribe) => "delivered",
        Some(EventKind::HardBounce | EventKind::SoftBounce) => "bounce",
        Some(EventKind::Open | EventKind::Click) => "opened",
        Some(EventKind::Spam) => "spam",
        Some(EventKind::Unsubscribe) => "unsubscribed",
        Some(EventKind::Reject) => "refused",
        _ => "processed",
    }
}

fn show(copy: &Copy) -> Value {
    let delivery = [
        EventKind::Delivered,
        EventKind::HardBounce,
        EventKind::SoftBounce,
    ];
    let attempt = copy
        .events
        .iter()
        .rev()
        .find(|event| delivery.contains(&event.kind()));
    let process_status = match (copy.had(EventKind::Reject), attempt) {
        (Some(_), _) => "rejected",
        (None, Some(_)) => "completed",
        (None, None) => "processing",
    };
    let opens = copy
        .events
        .iter()
        .filter(|event| event.kind() == EventKind::Open);
    let opens: Vec<_> = opens
        .map(|event| {
            json!({
                "recipient": copy.recipient,
                "opened_at": clock::spaced(event.time()),
                "ip_address": event.detail("srchost").unwrap_or_default(),
                "read_secs": event.detail("read-secs").unwrap_or_default(),
                "user_agent": event.detail("user-agent").unwrap_or_default(),
            })
        })
        .collect();
    let mut row = json!({
        "email_id": copy.mail.email_id(),
        "email_ts": clock::spaced(copy.mail.accepted_at()),
        "sender": copy.mail.sender_address(),
        "recipient": copy.recipient,
        "process_status": process_status,
        "status": status(copy),
        "total_opens": opens.len(),
        "opens": opens,
    });
    if let Some(delivered) = copy.had(EventKind::Delivered) {
        row["delivered_at"] = clock::spaced(delivered.time()).into();
    }
    if let Some(attempt) = attempt {
        let response = attempt.detail("message").unwrap_or_default();
        row["host"] = attempt.detail("host").unwrap_or_default().into();
        row["response"] = response.into();
        let code = response
            .split(' ')
            .next()
            .and_then(|code| code.parse::<u16>().ok());
        if let Some(code) = code {
            row["smtpcode"] = code.into();
        }
    }
    row
}

/// A query of `field:term` pairs with AND, OR and NOT. AND binds closer than OR and may be left out. A
/// term with spaces is quoted; a quote in it is escaped with a backslash. A term matches if the field's
/// value contains it.
#[derive(Default)]
struct SearchQuery {
    /// A mail matches if all terms of one alternative match. An empty list matches every mail.
    alternatives: Vec<Vec<SearchTerm>>,
    ignore_case: bool,
}

struct SearchTerm {
    not: bool,
    field: String,
    term: String,
}

impl SearchQuery {
    fn new(query: &str, ignore_case: bool) -> Result<Self, Refusal> {
        let refuse = |why: String| Refusal::field("filter_query", why);
        let mut alternatives = vec![Vec::new()];
        let mut not = false;
        let words = words(query).ok_or_else(|| refuse("A quote is not closed.".to_owned()))?;
        for word in words {
            match word.as_str() {
                "AND" => {}
                "OR" => alternatives.push(Vec::new()),
                "NOT" => not = !not,
                word => {
                    let (field, term) = word
                        .split_once(':')
                        .ok_or_else(|| refuse(format!("{word:?} must be field:term.")))?;
                    if !FIELDS.contains(&field) {
                        return Err(refuse(format!(
                            "The field {field:?} is unknown: use one of {}.",
                            FIELDS.join(", ")
                        )));
                    }
                    if let Some(parts) = alternatives.last_mut() {
                        parts.push(SearchTerm {
                            not,
                            field: field.to_owned(),
                            term: match ignore_case {
                                true => term.to_lowercase(),
                                false => term.to_owned(),
                            },
                        });
                    }
                    not = false;
                }
            }
        }
        let terms = alternatives.iter().map(Vec::len).sum();
        check_few(terms, "filter_query")?;
        if not || alternatives.iter().any(Vec::is_empty) {
            return Err(refuse("A term is missing.".to_owned()));
        }
        Ok(Self {
            alternatives,
            ignore_case,
        })
    }

    /// Whether a copy matches. Caches results that depend only on the mail in `known`, because a mail
    /// may be long and have a hundred recipients.
    fn takes(&self, copy: &Copy, known: &mut HashMap<String, Vec<Option<bool>>>) -> bool {
        if self.alternatives.is_empty() {
            return true;
        }
        let count = self.alternatives.iter().map(Vec::len).sum();
        let known = known
            .entry(copy.mail.email_id().to_owned())
            .or_insert_with(|| vec![None; count]);
        let mut number = 0;
        let mut any = false;
        for parts in &self.alternatives {
            let mut all = true;
            for part in parts {
                let known = known.get_mut(number);
                number += 1;
                all = all && self.holds(part, copy, known);
            }
            any |= all;
        }
        any
    }

    fn holds(&self, part: &SearchTerm, copy: &Copy, known: Option<&mut Option<bool>>) -> bool {
        let look = || {
            let value = value(copy, &part.field);
            let value = match self.ignore_case {
                true => value.to_lowercase(),
                false => value,
            };
            value.contains(&part.term) != part.not
        };
        match known {
            Some(known) if !OF_COPY.contains(&part.field.as_str()) => {
                *known.get_or_insert_with(look)
            }
            _ => look(),
        }
    }
}

/// The fields that a query may name: those of the reply and of the mail. The service does not
/// document its own list.
const FIELDS: [&str; 8] = [
    "email_id",
    "sender",
    "recipient",
    "to",
    "subject",
    "status",
    "username",
    "response",
];

/// The fields that differ between the recipients of a mail.
const OF_COPY: [&str; 3] = ["recipient", "status", "response"];

fn value(copy: &Copy, field: &str) -> String {
    match field {
        "email_id" => copy.mail.email_id().to_owned(),
        "sender" => copy.mail.sender().to_owned(),
        "to" => copy.mail.to().join(", "),
        "subject" => copy.mail.subject().unwrap_or_default().to_owned(),
        "status" => status(copy).to_owned(),
        "username" => copy.mail.username().to_owned(),
        "response" => {
            let mut events = copy.events.iter().rev();
            let response = events.find_map(|event| event.detail("message"));
            response.unwrap_or_default().to_owned()
        }
        _ => copy.recipient.clone(),
    }
}

/// Splits a query at spaces outside quotes, and removes the quotes. A backslash before a quote or a
/// backslash makes it part of the word. `None` if a quote is not closed.
fn words(query: &str) -> Option<Vec<String>> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut before = ' ';
    let mut characters = query.chars().peekable();
    while let Some(character) = characters.next() {
        let begins = before.is_whitespace() || before == ':';
        let escaped = match character {
            '\\' => characters.next_if(|next| matches!(next, '\'' | '"' | '\\')),
            _ => None,
        };
        match (quote, character) {
            _ if escaped.is_some() => {
                if let Some(word) = words.last_mut() {
                    word.extend(escaped);
                }
            }
            (None, '"') => quote = Some('"'),
            (None, '\'') if begins => quote = Some('\''),
            (Some(open), _) if character == open => quote = None,
            (None, blank) if blank.is_whitespace() => words.push(String::new()),
            (_, other) => {
                if let Some(word) = words.last_mut() {
                    word.push(other);
                }
            }
        }
        before = character;
    }
    words.retain(|word| !word.is_empty());
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_may_be_in_single_or_double_quotes() {
        for (query, expected) in [
            ("", &[][..]),
            ("subject:a", &["subject:a"]),
            (r#"subject:"a b" OR"#, &["subject:a b", "OR"]),
            ("subject:'a b' to:c", &["subject:a b", "to:c"]),
            ("'subject:a b'", &["subject:a b"]),
            ("subject:it's to:c", &["subject:it's", "to:c"]),
            (r#"subject:"it's a" x"#, &["subject:it's a", "x"]),
            (r#"subject:'say "a b"'"#, &[r#"subject:say "a b""#]),
            (r"subject:'it\'s a' x", &["subject:it's a", "x"]),
            (r"subject:\'tis x", &["subject:'tis", "x"]),
            (r#"subject:"a \"b\" c""#, &[r#"subject:a "b" c"#]),
            (r"subject:'a\\' x", &[r"subject:a\", "x"]),
            (r"subject:a\b\", &[r"subject:a\b\"]),
        ] {
            assert_eq!(words(query).unwrap(), expected, "{query}");
        }
        for query in [
            r#"subject:"a"#,
            "subject:'a",
            r#"""#,
            r"subject:'a\'",
            r#"a "b" ""#,
        ] {
            assert_eq!(words(query), None, "{query}");
        }
    }
}
