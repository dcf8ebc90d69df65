//! Compares foreign OpenAPI documents with ours.

mod decisions;
mod places;
mod prose;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::spec::tools;
use crate::{SPEC, load};

use places::{ComparedOperation, LIMITS, NO_BODY, Node, Operations, Samples, WEBHOOK, text};

/// The decisions, from the root of the repository.
pub const DECISIONS: &str = "spec/decisions.yaml";

/// The text in reports and decisions for an absent value.
const ABSENT: &str = "absent";

/// The text for a side whose values all occur on the other side too.
const NO_OTHER: &str = "no other";

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The operation and the place in it: `POST /email/send request to[]`.
    pub place: String,
    #[serde(skip)]
    operation: String,
    #[serde(skip)]
    part: String,
    /// The kind: `field`, `type`, `required`, `maxItems` …
    pub kind: &'static str,
    /// The value in our document.
    pub ours: Option<String>,
    /// The value in the foreign document.
    pub theirs: Option<String>,
    /// The reason of the decision that covers it.
    pub decided: Option<String>,
}

impl Difference {
    fn values(&self) -> String {
        let [ours, theirs] =
            [&self.ours, &self.theirs].map(|value| value.as_deref().unwrap_or(ABSENT));
        format!("ours {ours}, theirs {theirs}")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if !self.part.is_empty() {
            write!(f, "  {}", self.part)?;
        }
        write!(f, "  {}: {}", self.kind, self.values())?;
        match &self.decided {
            Some(why) => write!(f, " (decided: {why})"),
            None => Ok(()),
        }
    }
}

/// The result of a comparison.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// All differences, by operation.
    pub differences: Vec<Difference>,
    /// Decisions that no longer apply, with the reasons.
    pub stale: Vec<String>,
}

/// The options of a comparison and its output.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// OpenAPI documents, 3.0 or 3.1, YAML or JSON. Each operation must be in only one of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The files cover only some of the operations: ignore that the others are missing.
    #[arg(long)]
    partial: bool,
    /// Show the decided differences too, with the reasons.
    #[arg(long, conflicts_with = "json")]
    all: bool,
    /// Print JSON, with all differences.
    #[arg(long)]
    json: bool,
}

/// Prints the differences between the files and our document.
///
/// # Errors
///
/// If a file cannot be read, a difference is open, or a decision is stale.
pub fn run(root: &Path, options: &Options) -> Result<(), String> {
    let mut foreign = Vec::new();
    for file in &options.files {
        foreign.push((file.display().to_string(), tools::read(file)?));
    }
    let ours = load::load(&root.join(SPEC)).map_err(|problems| problems.to_string())?;
    let decisions = tools::read(&root.join(DECISIONS))?;
    let report = compare(&ours.document, &foreign, &decisions, options.partial)?;
    let text = match options.json {
        true => serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?,
        false => report.text(options.all),
    };
    // Unlike `println!`, does not panic if the reader has closed the pipe, as `head` does.
    writeln!(std::io::stdout(), "{text}").map_err(|error| format!("standard output: {error}"))?;
    let open = report.open().count();
    let mut wrong = report.stale.clone();
    if open > 0 {
        let what = if open == 1 {
            "difference is"
        } else {
            "differences are"
        };
        wrong.push(format!(
            "{open} {what} open: change {SPEC}, or state the reason in {DECISIONS}"
        ));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(wrong.join("\n")),
    }
}

impl Report {
    /// The differences that no decision covers.
    pub fn open(&self) -> impl Iterator<Item = &Difference> {
        self.differences
            .iter()
            .filter(|difference| difference.decided.is_none())
    }

    /// Returns a line for each difference, and their number. Decided ones only if `all`.
    pub fn text(&self, all: bool) -> String {
        let shown = |difference: &&Difference| all || difference.decided.is_none();
        let differences = self.differences.iter().filter(shown);
        let lines: String = differences.map(|shown| format!("{shown}\n")).collect();
        let open = self.open().count();
        format!(
            "{lines}{open} open, {} decided",
            self.differences.len() - open
        )
    }
}

/// Compares the documents `foreign` (names and texts) with `ours`. With `partial`, the foreign
/// documents may lack operations.
///
/// # Errors
///
/// If a text is not OpenAPI 3, two of them differ about an operation, or `decisions` is invalid.
pub fn compare(
    ours: &Value,
    foreign: &[(String, String)],
    decisions: &str,
    partial: bool,
) -> Result<Report, String> {
    let ours =
        places::operations(ours, Samples::Skip).map_err(|error| format!("{SPEC}: {error}"))?;
    let decisions = decisions::read(DECISIONS, decisions)?;
    let mut theirs = Operations::new();
    let mut sources: BTreeMap<String, &str> = BTreeMap::new();
    for (file, content) in foreign {
        // JSON may be indented by tabs, which YAML forbids.
        let document = serde_json::from_str(content).or_else(|_| load::yaml(content));
        let document = document.map_err(|error| format!("{file}: {error}"))?;
        let operations = places::operations(&document, Samples::Read);
        for (name, operation) in operations.map_err(|error| format!("{file}: {error}"))? {
            if let Some(other) = sources.insert(name.clone(), file)
                && let Some(place) = theirs.get(&name).and_then(|one| clash(one, &operation))
            {
                return Err(format!(
                    "{other} and {file} differ about {name}{place}: compare one of them"
                ));
            }
            theirs.insert(name, operation);
        }
    }
    // Documents of OpenAPI 3.0 can't have webhooks.
    let has_webhooks = theirs.keys().any(|name| name.starts_with(WEBHOOK));
    let optional = |name: &str| partial || (name.starts_with(WEBHOOK) && !has_webhooks);
    let mut differences = Vec::new();
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        let mut comparison = Comparison {
            operation: name,
            found: &mut differences,
        };
        match (ours.get(name), theirs.get(name)) {
            (Some(ours), Some(theirs)) => comparison.operations(ours, theirs),
            (Some(_), None) if optional(name) => {}
            (ours, theirs) => {
                let values = [ours, theirs].map(|side| side.map(|_| "present".to_owned()));
                comparison.add("", "operation", values);
            }
        }
    }
    let stale = decisions::decide(&decisions, &mut differences, &ours, &theirs, !partial);
    Ok(Report { differences, stale })
}

/// The differences of one operation.
struct Comparison<'a> {
    operation: &'a str,
    found: &'a mut Vec<Difference>,
}

/// A value of our document and of the foreign one.
type Both<T> = [T; 2];

impl Comparison<'_> {
    fn add(&mut self, part: &str, kind: &'static str, [ours, theirs]: Both<Option<String>>) {
        self.found.push(Difference {
            place: format!("{} {part}", self.operation).trim_end().to_owned(),
            operation: self.operation.to_owned(),
            part: part.trim_end().to_owned(),
            kind,
            ours,
            theirs,
            decided: None,
        });
    }

    fn differ(&mut self, part: &str, kind: &'static str, values: Both<Option<String>>) {
        if values[0] != values[1] {
            self.add(part, kind, values);
        }
    }

    /// Reports the values that only one side has.
    fn sets(&mut self, part: &str, kind: &'static str, [ours, theirs]: Both<&BTreeSet<String>>) {
        if ours != theirs {
            let values = [(ours, theirs), (theirs, ours)].map(|(own, other)| {
                let more = joined(&(own - other)).unwrap_or_else(|| NO_OTHER.to_owned());
                (!own.is_empty()).then_some(more)
            });
            self.add(part, kind, values);
        }
    }

    /// Compares enums. The foreign one may be a list in a description.
    fn values(&mut self, at: &str, ours: &Node, theirs: &Node) {
        let listed = match ours.values.is_empty() || !theirs.values.is_empty() {
            true => None,
            false => prose::listed(&theirs.prose, ours),
        };
        let Some(listed) = listed else {
            return self.sets(at, "enum", [ours, theirs].map(|node| &node.values));
        };
        // Prose does not list the empty text.
        let own = ours.values.iter().filter(|value| *value != "\"\"").cloned();
        let own: BTreeSet<String> = own.collect();
        if own != listed {
            let more = [&own - &listed, &listed - &own];
            let [own, listed] =
                more.map(|more| joined(&more).unwrap_or_else(|| NO_OTHER.to_owned()));
            self.add(at, "enum", [Some(own), Some(format!("{listed}, in prose"))]);
        }
    }

    fn operations(&mut self, ours: &ComparedOperation, theirs: &ComparedOperation) {
        let both = [ours, theirs];
        self.sets("", "security", both.map(|side| &side.security));
        self.differ("", "deprecated", both.map(|side| flag(side.deprecated)));
        let names: BTreeSet<&String> = ours.parts.keys().chain(theirs.parts.keys()).collect();
        for name in names {
            let (kind, other) = match (part(ours, name), part(theirs, name)) {
                (Some(ours), Some(theirs)) => {
                    self.nodes(&format!("{name} "), ours, theirs);
                    continue;
                }
                (Some(_), None) => (kind_of(name), theirs),
                _ => (kind_of(name), ours),
            };
            // Single codes of a range are compared, if the other side has them.
            let codes = name.trim_end_matches("XX").trim_end_matches("default");
            if codes != name && other.parts.keys().any(|other| other.starts_with(codes)) {
                continue;
            }
            let values = both.map(|side| {
                side.parts.get(name).map(|node| match kind {
                    "status" => "present".to_owned(),
                    _ => node.type_text(),
                })
            });
            self.add(name, kind, values);
        }
    }

    /// Compares the nodes at the place `at`. For a whole body, `at` ends in a space.
    fn nodes(&mut self, at: &str, ours: &Node, theirs: &Node) {
        if let Some(theirs) = self.lined_up(at, ours, theirs) {
            return self.nodes(at, ours, &theirs);
        }
        let both = [ours, theirs];
        let odd = theirs.oddly_sampled(ours);
        if theirs.described && ours.types != theirs.types {
            let contradicting = theirs.oddly_sampled(theirs);
            let mut text = theirs.type_text();
            if !contradicting.is_empty() {
                text += &format!(" (sample: {})", contradicting.join(" or "));
            }
            self.add(at, "type", [Some(ours.type_text()), Some(text)]);
        } else if !odd.is_empty() {
            self.add(
                at,
                "sample",
                [Some(ours.type_text()), Some(odd.join(" or "))],
            );
        }
        if theirs.described {
            self.values(at, ours, theirs);
            let others = ["default", "deprecated", "required", "format"];
            for keyword in LIMITS.into_iter().chain(others) {
                let values = both.map(|node| node.attributes.get(keyword).map(text));
                // Each of our fields has a format, most of which are our own.
                if keyword != "format" || values[1].is_some() {
                    self.differ(at, keyword, values);
                }
            }
        }
        if !ours.values.is_empty() {
            let known =
                |value: &String| theirs.values.contains(value) || ours.known(value).is_some();
            let odd = theirs.examples.iter().filter(|value| !known(value));
            if let Some(odd) = joined(&odd.cloned().collect()) {
                let values = [NO_OTHER.to_owned(), format!("{odd}, in a sample only")];
                self.add(at, "enum", values.map(Some));
            }
        }
        // A list that may arrive as its only item, or the reverse.
        let is = |node: &Node, name: &str| node.types.contains(name);
        let single = is(ours, "array") && ours.also.contains("object") && is(theirs, "object");
        let several = is(ours, "object") && ours.also.contains("array") && is(theirs, "array");
        match (ours.children.get("[]"), theirs.children.get("[]")) {
            (Some(ours), None) if single => self.children(&child(at, "[]"), ours, theirs),
            (None, Some(theirs)) if several => self.children(at, ours, theirs),
            _ => self.children(at, ours, theirs),
        }
    }

    fn children(&mut self, at: &str, ours: &Node, theirs: &Node) {
        let disjoint = theirs.described
            && !ours.types.is_empty()
            && !theirs.types.is_empty()
            && ours.types.is_disjoint(&theirs.types);
        // The difference in type is enough, or one side has no fields.
        let silent = |node: &Node| disjoint || !node.described || node.types.is_empty();
        let map = ours.children.get(".*");
        let names: BTreeSet<&String> = ours.children.keys().chain(theirs.children.keys()).collect();
        for name in names {
            let place = child(at, name);
            let own = ours.children.get(name);
            match (own.or(map), theirs.children.get(name)) {
                (Some(node), Some(other)) => {
                    let field = name.strip_prefix('.').filter(|_| own.is_some());
                    if let Some(field) = field.filter(|_| other.described) {
                        let required = [ours, theirs].map(|node| node.required.contains(field));
                        self.differ(&place, "required", required.map(flag));
                    } else if theirs.described && !other.described && field.is_some() {
                        let sampled = format!("{}, in a sample only", other.type_text());
                        self.add(&place, "field", [Some(node.type_text()), Some(sampled)]);
                    }
                    self.nodes(&place, node, other);
                }
                (Some(node), None) if own.is_some() && !silent(theirs) => {
                    self.add(&place, "field", [Some(node.type_text()), None]);
                }
                // A map without a schema may contain anything, so a sample adds nothing.
                (None, Some(other))
                    if !silent(ours) && (other.described || !ours.children.is_empty()) =>
                {
                    let only = if other.described {
                        ""
                    } else {
                        ", in a sample only"
                    };
                    let text = format!("{}{only}", other.type_text());
                    self.add(&place, "field", [None, Some(text)]);
                }
                _ => {}
            }
        }
    }

    /// Removes an envelope from `theirs` that ours lacks, or adds a missing one. Otherwise the
    /// fields inside would not be compared.
    fn lined_up(&mut self, at: &str, ours: &Node, theirs: &Node) -> Option<Node> {
        let envelope = [".request_id", ".data"];
        let named: BTreeSet<&str> = theirs
            .children
            .iter()
            .filter(|(_, child)| child.described)
            .map(|(name, _)| name.as_str())
            .collect();
        let has = envelope.map(|name| ours.children.contains_key(name));
        let known = !ours.types.is_empty() && !ours.types.contains(NO_BODY);
        let text = Some("request_id, data".to_owned());
        let mut rest = theirs.clone();
        if named == BTreeSet::from(envelope) && has == [false, false] && known {
            self.add(at, "envelope", [None, text]);
            let data = rest.children.remove(".data")?;
            rest.children.remove(".request_id");
            // The rest was in samples, which are right.
            let sampled = Node {
                sampled: rest.sampled,
                children: rest.children,
                ..Node::default()
            };
            return Some(data.both(sampled));
        }
        let is_reply = at.starts_with("reply ") && at.ends_with(' ');
        let lacks = !named.is_empty() && envelope.iter().all(|name| !named.contains(name));
        if is_reply && has == [true, true] && lacks {
            self.add(at, "envelope", [text, None]);
            let sampled = rest.children.remove(".data").unwrap_or_default();
            rest.children.remove(".request_id");
            rest.sampled.clear();
            // The rest of the envelope is ours: the difference was already reported.
            let mut lined_up = ours.clone();
            lined_up
                .children
                .insert(".data".to_owned(), rest.both(sampled));
            return Some(lined_up);
        }
        None
    }
}

/// Returns the part with this name. A reply is also found by its range of codes, or as the default.
fn part<'a>(operation: &'a ComparedOperation, name: &str) -> Option<&'a Node> {
    let code = name.strip_prefix("reply ");
    let range = code.and_then(|code| Some(format!("reply {}XX", code.get(..1)?)));
    let get = |name: &str| operation.parts.get(name);
    get(name)
        .or_else(|| get(&range?))
        .or_else(|| code.and_then(|_| get("reply default")))
}

fn kind_of(part: &str) -> &'static str {
    match part.split(' ').next() {
        Some("request") => "body",
        Some("reply") => "status",
        _ => "parameter",
    }
}

/// Returns the place of a child, whose name is `.name`, `[]` or `.*`.
fn child(at: &str, name: &str) -> String {
    match at.ends_with(' ') {
        true => format!("{at}{}", name.strip_prefix('.').unwrap_or(name)),
        false => format!("{at}{name}"),
    }
}

fn flag(value: bool) -> Option<String> {
    Some(value.to_string())
}

fn joined(values: &BTreeSet<String>) -> Option<String> {
    let text = Vec::from_iter(values.iter().cloned()).join(", ");
    (!values.is_empty()).then_some(text)
}

/// Returns the first difference between two descriptions of an operation: ` reply 200 data (type)`.
fn clash(one: &ComparedOperation, other: &ComparedOperation) -> Option<String> {
    let [one, other] = [one, other].map(facts);
    let places: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
    places.into_iter().find_map(|place| {
        let space = if place.is_empty() { "" } else { " " };
        let (Some(one), Some(other)) = (one.get(place), other.get(place)) else {
            return Some(format!("{space}{place} (only one of them has it)"));
        };
        let kinds: BTreeSet<&&str> = one.keys().chain(other.keys()).collect();
        let kind = kinds
            .into_iter()
            .find(|kind| one.get(**kind) != other.get(**kind))?;
        Some(format!("{space}{place} ({kind})"))
    })
}

/// The facts at each place of an operation, by kind of difference.
type Facts = BTreeMap<String, BTreeMap<&'static str, String>>;

fn facts(operation: &ComparedOperation) -> Facts {
    let mut whole = BTreeMap::from([("deprecated", operation.deprecated.to_string())]);
    whole.extend(joined(&operation.security).map(|security| ("security", security)));
    let mut found = Facts::from([(String::new(), whole)]);
    for (name, node) in &operation.parts {
        add_facts(&format!("{name} "), node, None, &mut found);
    }
    found
}

fn add_facts(at: &str, node: &Node, required: Option<bool>, into: &mut Facts) {
    let mut facts = BTreeMap::from([("type", node.type_text())]);
    facts.extend(required.map(|required| ("required", required.to_string())));
    facts.extend(joined(&node.values).map(|values| ("enum", values)));
    facts.extend(joined(&node.sampled).map(|types| ("sample", types)));
    facts.extend(joined(&node.examples).map(|values| ("values in samples", values)));
    facts.extend(joined(&node.prose).map(|text| ("description", text)));
    facts.extend(
        node.attributes
            .iter()
            .map(|(keyword, value)| (*keyword, text(value))),
    );
    into.insert(at.trim_end().to_owned(), facts);
    for (name, next) in &node.children {
        let required = name
            .strip_prefix('.')
            .map(|name| node.required.contains(name));
        add_facts(&child(at, name), next, required, into);
    }
}
