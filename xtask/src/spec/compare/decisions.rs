//! `spec/decisions.yaml`: decided differences, each with its reason.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::load;

use super::places::{LIMITS, Operations, WEBHOOK, text};
use super::{ABSENT, Difference, Facts, NO_OTHER, facts};

/// The kinds of differences besides the limits.
const KINDS: [&str; 14] = [
    "operation",
    "parameter",
    "body",
    "status",
    "field",
    "envelope",
    "type",
    "sample",
    "required",
    "enum",
    "default",
    "format",
    "deprecated",
    "security",
];

/// An entry of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    at: String,
    kind: String,
    #[serde(default, deserialize_with = "recorded")]
    ours: Option<Value>,
    #[serde(default, deserialize_with = "recorded")]
    theirs: Option<Value>,
    #[serde(default)]
    except: Vec<String>,
    why: String,
}

/// Reads a key such as `theirs`. `theirs: null` records a null; a missing key records nothing.
fn recorded<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// A place, in which `*` matches any text.
#[derive(Debug)]
struct Pattern {
    operation: String,
    place: String,
}

impl Pattern {
    /// Parses the key `at`. It begins with a method and a path, or with `*` for all operations.
    fn new(at: &str) -> Self {
        let words = if at.starts_with("* ") || at == "*" {
            1
        } else {
            2
        };
        let mut parts = at.splitn(words + 1, ' ');
        let operation: Vec<&str> = parts.by_ref().take(words).collect();
        Self {
            operation: operation.join(" "),
            place: parts.next().unwrap_or_default().to_owned(),
        }
    }

    fn is_of(&self, operation: &str) -> bool {
        matches(&self.operation, operation)
    }

    fn is_at(&self, operation: &str, place: &str) -> bool {
        self.is_of(operation) && matches(&self.place, place)
    }
}

/// One decision.
#[derive(Debug)]
pub(super) struct Decision {
    /// Its name in messages: file, number and place.
    name: String,
    at: Pattern,
    except: Vec<Pattern>,
    kind: String,
    /// `None` matches any value; `Some(None)` matches an absent one.
    ours: Option<Option<String>>,
    theirs: Option<Option<String>>,
    why: String,
}

/// Reads the decisions in `yaml`, the text of `file`.
///
/// # Errors
///
/// If it is not YAML, or an entry has an unknown key or kind, or no reason.
pub(super) fn read(file: &str, yaml: &str) -> Result<Vec<Decision>, String> {
    let entries: Option<Vec<Entry>> =
        serde_saphyr::from_str(yaml).map_err(|error| format!("{file}: {}", load::brief(&error)))?;
    let mut decisions = Vec::new();
    for (index, entry) in entries.unwrap_or_default().into_iter().enumerate() {
        let name = format!(
            "{file}: entry {} (`{}`, {})",
            index + 1,
            entry.at,
            entry.kind
        );
        if entry.why.trim().is_empty() {
            return Err(format!("{name}: `why` is empty: state the reason"));
        }
        let kind = entry.kind.as_str();
        if !KINDS.contains(&kind) && !LIMITS.contains(&kind) {
            return Err(format!(
                "{name}: unknown kind: use {} or a limit such as maxLength",
                KINDS.join(", ")
            ));
        }
        // Several values of an enum are written as in reports: `a, b`.
        let shown = |value: Value| match value {
            Value::String(text) if text.contains(',') => text,
            value => text(&value),
        };
        let value = |value: Option<Value>| {
            value.map(|value| Some(shown(value)).filter(|text| text != ABSENT))
        };
        decisions.push(Decision {
            name,
            at: Pattern::new(&entry.at),
            except: entry.except.iter().map(|at| Pattern::new(at)).collect(),
            ours: value(entry.ours),
            theirs: value(entry.theirs),
            kind: entry.kind,
            why: entry.why.trim().to_owned(),
        });
    }
    Ok(decisions)
}

impl Decision {
    fn is_at(&self, difference: &Difference) -> bool {
        self.kind == difference.kind && self.is_about(&difference.operation, &difference.part)
    }

    fn is_about(&self, operation: &str, place: &str) -> bool {
        let is_there = |pattern: &Pattern| pattern.is_at(operation, place);
        is_there(&self.at) && !self.except.iter().any(is_there)
    }

    fn covers(&self, difference: &Difference) -> bool {
        let same = |recorded: &Option<Option<String>>, found: &Option<String>| {
            recorded.as_ref().is_none_or(|recorded| recorded == found)
        };
        self.is_at(difference)
            && same(&self.ours, &difference.ours)
            && same(&self.theirs, &difference.theirs)
    }

    /// Returns why the decision contradicts our document, regardless of the foreign ones.
    fn contradiction(&self, ours: &BTreeMap<&String, Facts>) -> Option<String> {
        let mut found = Vec::new();
        let mut exceptions: Vec<&Pattern> = self.except.iter().collect();
        for (name, facts) in ours.iter().filter(|(name, _)| self.at.is_of(name)) {
            for (place, facts) in facts {
                if self.is_about(name, place) {
                    found.push(facts);
                } else if matches(&self.at.place, place) {
                    exceptions.retain(|pattern| !pattern.is_at(name, place));
                }
            }
        }
        if let Some(Pattern { operation, place }) = exceptions.first() {
            return Some(format!(
                "the exception `{operation} {place}` matches no place of `at`"
            ));
        }
        let there = !found.is_empty();
        let exists = ["operation", "parameter", "body", "status", "field"];
        let absent = matches!(self.ours, Some(None));
        if exists.contains(&self.kind.as_str()) {
            // A wildcard may also match places that our document has.
            let exact = !self.at.operation.contains('*') && !self.at.place.contains('*');
            return match absent {
                true if there && exact => Some("our document has this place".to_owned()),
                false if !there => Some("our document has no such place".to_owned()),
                _ => None,
            };
        }
        if !there {
            return Some("our document has no such place".to_owned());
        }
        let recorded = self.ours.as_ref()?;
        let agrees = found
            .iter()
            .any(|facts| match facts.get(self.kind.as_str()) {
                // A difference of enums lists only values that one side has.
                Some(fact) if self.kind == "enum" || self.kind == "security" => {
                    let fact: Vec<&str> = fact.split(", ").collect();
                    let mut values = recorded.iter().flat_map(|values| values.split(", "));
                    values.all(|value| value == NO_OTHER || fact.contains(&value))
                }
                fact => fact == recorded.as_ref(),
            });
        match agrees || self.kind == "envelope" || self.kind == "sample" {
            true => None,
            false => Some(format!(
                "our document does not have `{}` at this place",
                recorded.as_deref().unwrap_or(ABSENT)
            )),
        }
    }
}

/// Marks the differences that are decided, and returns the decisions that are stale.
///
/// `read` has the operations of the foreign documents. If `whole` is false, these documents may
/// lack operations; then a decision without a difference is stale only if they have all operations
/// that it matches.
pub(super) fn decide(
    decisions: &[Decision],
    differences: &mut [Difference],
    ours: &Operations,
    read: &Operations,
    whole: bool,
) -> Vec<String> {
    let mut stale = Vec::new();
    let our_facts = ours
        .iter()
        .map(|(name, operation)| (name, facts(operation)));
    let our_facts = BTreeMap::from_iter(our_facts);
    for decision in decisions {
        if let Some(why) = decision.contradiction(&our_facts) {
            stale.push(format!("{}: {why}", decision.name));
            continue;
        }
        let mut used = false;
        for difference in differences.iter_mut() {
            if decision.covers(difference) {
                used = true;
                difference
                    .decided
                    .get_or_insert_with(|| decision.why.clone());
            }
        }
        // Our document lacks operations that only the vendor has.
        let operations = ours.keys().chain(read.keys());
        let about: Vec<&String> = operations.filter(|name| decision.at.is_of(name)).collect();
        let is_read = |name: &&String| read.contains_key(*name);
        let judged = match whole {
            // A document with all operations may still have no webhooks.
            true => {
                let expected = |name: &&String| !name.starts_with(WEBHOOK) || is_read(name);
                about.is_empty() || about.iter().any(expected)
            }
            false => !about.is_empty() && about.iter().all(is_read),
        };
        if used || !judged {
            continue;
        }
        let why = match differences.iter().find(|found| decision.is_at(found)) {
            Some(found) => format!("it is now {}", found.values()),
            None => "the difference no longer exists".to_owned(),
        };
        stale.push(format!("{}: stale: {why}", decision.name));
    }
    stale
}

/// Whether `text` matches `pattern`, in which `*` matches any text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, rest)) => text.strip_prefix(start).is_some_and(|text| {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| matches(rest, &text[at..]))
        }),
    }
}
