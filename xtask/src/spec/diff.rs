//! Changes since a revision, for callers of the API and for users of the Rust crates.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::check::reached;
use crate::document::{Document, JSON, list, map};
use crate::spec::tools;

/// Where the snapshots of the Rust surface are.
const SNAPSHOTS: &str = "tests/tests/snapshots";

/// The limits of a schema, and whether a larger value allows more.
const LIMITS: [(&str, bool); 7] = [
    ("minLength", false),
    ("minItems", false),
    ("minimum", false),
    ("maxLength", true),
    ("maxItems", true),
    ("x-smtp2go-max-days-ahead", true),
    ("maximum", true),
];

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// Whether the change can break existing users.
    pub breaking: bool,
    /// The change, as a sentence.
    pub text: String,
}

/// As a line of a CHANGELOG.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let breaking = if self.breaking { "**Breaking:** " } else { "" };
        write!(f, "- {breaking}{}", self.text)
    }
}

/// Collects changes.
#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, breaking: bool, text: impl Into<String>) {
        self.0.push(Change {
            breaking,
            text: text.into(),
        });
    }

    fn sorted(mut self) -> Vec<Change> {
        self.0.sort_by_key(|change| !change.breaking);
        self.0
    }
}

/// Prints the changes since `revision`. Groups changes of one kind in one line, unless `all`.
///
/// # Errors
///
/// If git does not know the revision. With `check`, also if there is a breaking change without a
/// new major version.
#[allow(clippy::print_stdout)]
pub fn run(root: &Path, revision: Option<&str>, all: bool, check: bool) -> Result<(), String> {
    let revision = match revision {
        Some(revision) => revision.to_owned(),
        None => match last_release(root)? {
            Some(tag) => tag,
            None if check => {
                let changelog = tools::read(&root.join("CHANGELOG.md"))?;
                if let Some(release) = released(&changelog) {
                    return Err(format!(
                        "CHANGELOG.md has {release}, but there is no tag `v…` to compare with: fetch the tags"
                    ));
                }
                println!("there is no release yet: nothing to check");
                return Ok(());
            }
            None => return Err("there is no release yet (tag `v…`): name a revision".to_owned()),
        },
    };
    let before = json(&show(root, &revision, "spec/openapi.json")?)?;
    let after = json(&tools::read(&root.join("spec/openapi.json"))?)?;
    let api = api(&before, &after);
    let rust = rust(&old_surface(root, &revision)?, &new_surface(root)?);
    for (title, changes) in [("API", &api), ("Rust", &rust)] {
        println!("### {title}, since {revision}\n");
        if changes.is_empty() {
            println!("- Nothing changed.");
        }
        let lines = match all {
            true => changes.clone(),
            false => summary(changes),
        };
        for line in lines {
            println!("{line}");
        }
        println!();
    }
    if !check {
        return Ok(());
    }
    let (before, after) = (
        version(&show(root, &revision, "Cargo.toml")?)?,
        version(&tools::read(&root.join("Cargo.toml"))?)?,
    );
    if admits_breaking(&before, &after) || !api.iter().chain(&rust).any(|change| change.breaking) {
        return Ok(());
    }
    Err(format!(
        "breaking change, but the version went from {before} to {after}: raise its first number that is not 0, in Cargo.toml"
    ))
}

/// Maximum number of changes of one kind that are listed one by one.
const ALIKE: usize = 3;

/// Maximum number of items named in a line about several items. Breaking changes name all.
const NAMED: usize = 6;

/// Whether the change is breaking, and the text before and after the item.
type Kind<'a> = (bool, &'a str, &'a str);

/// Groups changes of one kind, in the order of the first of each kind.
pub fn summary(changes: &[Change]) -> Vec<Change> {
    let mut kinds: Vec<(Kind<'_>, Vec<&str>)> = Vec::new();
    for change in changes {
        let (head, subject, tail) = parted(&change.text);
        let kind = (change.breaking, head, tail);
        match kinds.iter_mut().find(|(other, _)| *other == kind) {
            Some((_, subjects)) => subjects.push(subject),
            None => kinds.push((kind, vec![subject])),
        }
    }
    let mut lines = Vec::new();
    for ((breaking, head, tail), subjects) in kinds {
        let mut add = |subject: &str| {
            lines.push(Change {
                breaking,
                text: format!("{head}{subject}{tail}"),
            });
        };
        if subjects.len() <= ALIKE {
            subjects.into_iter().for_each(add);
            continue;
        }
        let named = match breaking {
            true => subjects.len(),
            false => NAMED.min(subjects.len()),
        };
        let (named, more) = subjects.split_at(named);
        let more = match more.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        let each = match head {
            "" => "Each of ",
            head if head.ends_with("of ") => "each of ",
            _ => "",
        };
        add(&format!("{each}{}{more}", named.join(", ")));
    }
    lines
}

/// Splits a sentence into the text before its item, the item in backticks, and the text after.
fn parted(text: &str) -> (&str, &str, &str) {
    let mut from = 0;
    while let Some((start, end)) = text[from..].find('`').and_then(|start| {
        let start = from + start;
        let end = text[start + 1..].find('`')? + start + 2;
        Some((start, end))
    }) {
        let word = &text[start + 1..end - 1];
        if !LIMITS.iter().any(|(limit, _)| *limit == word) && !word.starts_with("x-") {
            return (&text[..start], &text[start..end], &text[end..]);
        }
        from = end;
    }
    (text, "", "")
}

fn git(root: &Path, arguments: &[&str]) -> Result<String, String> {
    tools::stdout(Command::new("git").args(arguments).current_dir(root))
}

fn show(root: &Path, revision: &str, path: &str) -> Result<String, String> {
    git(root, &["show", &format!("{revision}:{path}")])
}

fn last_release(root: &Path) -> Result<Option<String>, String> {
    let tags = git(
        root,
        &[
            // A candidate comes before its release.
            "-c",
            "versionsort.suffix=-",
            "tag",
            "--list",
            "v[0-9]*",
            "--merged",
            "HEAD",
            "--sort=-version:refname",
        ],
    )?;
    Ok(tags.lines().next().map(str::to_owned))
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("spec/openapi.json: {error}"))
}

/// Returns the last release in the changelog.
fn released(changelog: &str) -> Option<&str> {
    let mut titles = changelog
        .lines()
        .filter_map(|line| line.strip_prefix("## "));
    titles.find(|title| *title != "Unreleased")
}

/// Returns the version of the workspace.
fn version(manifest: &str) -> Result<String, String> {
    let mut lines = manifest
        .lines()
        .skip_while(|line| *line != "[workspace.package]");
    lines
        .find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'))
        .map(str::to_owned)
        .ok_or_else(|| "Cargo.toml has no version for the workspace".to_owned())
}

/// Whether cargo's rules allow breaking changes between these versions: the first number that is
/// not 0 must increase.
pub fn admits_breaking(before: &str, after: &str) -> bool {
    let numbers = |version: &str| -> Vec<u64> {
        let version = version.split(['-', '+']).next().unwrap_or_default();
        version
            .split('.')
            .map(|number| number.parse().unwrap_or(0))
            .collect()
    };
    let (before, after) = (numbers(before), numbers(after));
    let leading = before
        .iter()
        .position(|number| *number != 0)
        .unwrap_or(before.len());
    before
        .iter()
        .zip(&after)
        .take(leading + 1)
        .any(|(before, after)| after > before)
        && after.as_slice() > before.as_slice()
}

/// Returns the changes for callers of the API and for generated clients.
pub fn api(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Changes::default();
    let (before, after) = (Document::new(before), Document::new(after));
    calling(before, after, &mut changes);
    operations(before, after, &mut changes);
    webhooks(before, after, &mut changes);
    let (sent_before, received_before) = reached(before);
    let (sent_after, received_after) = reached(after);
    let sent: BTreeSet<_> = sent_before.union(&sent_after).collect();
    let received: BTreeSet<_> = received_before.union(&received_after).collect();
    for (name, old) in before.schemas() {
        match after.schemas().get(name) {
            None => changes.add(true, format!("The schema `{name}` is gone.")),
            Some(new) => {
                let direction = Direction {
                    sent: sent.iter().any(|other| **other == name),
                    received: received.iter().any(|other| **other == name),
                };
                component(name, old, new, direction, &mut changes);
            }
        }
    }
    for name in after.schemas().keys() {
        if !before.schemas().contains_key(name) {
            changes.add(false, format!("New schema `{name}`."));
        }
    }
    changes.sorted()
}

/// Whether a component is sent, received, or both.
#[derive(Clone, Copy)]
struct Direction {
    sent: bool,
    received: bool,
}

/// Compares the servers and the authentication.
fn calling(before: Document<'_>, after: Document<'_>, changes: &mut Changes) {
    let (before, after) = (before.root(), after.root());
    let urls = |root: &Value| -> BTreeSet<String> {
        let servers = list(&root["servers"]).iter();
        let urls = servers.filter_map(|server| server["url"].as_str());
        urls.map(str::to_owned).collect()
    };
    let (old, new) = (urls(before), urls(after));
    for url in old.difference(&new) {
        changes.add(true, format!("The server `{url}` is gone."));
    }
    for url in new.difference(&old) {
        changes.add(false, format!("New server `{url}`."));
    }
    let schemes = |root: &Value| root["components"]["securitySchemes"].clone();
    if (&before["security"], schemes(before)) != (&after["security"], schemes(after)) {
        // An additional method is not breaking.
        let ways = list(&after["security"]);
        let kept = list(&before["security"])
            .iter()
            .all(|way| ways.contains(way))
            && map(&schemes(before))
                .iter()
                .all(|(name, scheme)| schemes(after).get(name) == Some(scheme));
        changes.add(!kept, "Authentication changed.");
    }
}

fn webhooks(before: Document<'_>, after: Document<'_>, changes: &mut Changes) {
    let payloads = |document: Document<'_>| -> BTreeMap<String, String> {
        let webhooks = document.webhooks().into_iter();
        let payload = |value: &Value| shape(&value["requestBody"]["content"][JSON]["schema"]);
        webhooks
            .map(|webhook| (webhook.name.to_owned(), payload(webhook.value)))
            .collect()
    };
    let (before, after) = (payloads(before), payloads(after));
    for (name, old) in &before {
        match after.get(name) {
            None => changes.add(true, format!("The webhook `{name}` is gone.")),
            Some(new) if new != old => changes.add(
                true,
                format!("The webhook `{name}` posts {new} now, instead of {old}."),
            ),
            Some(_) => {}
        }
    }
    for name in after.keys().filter(|name| !before.contains_key(*name)) {
        changes.add(false, format!("New webhook `{name}`."));
    }
}

fn operations(before: Document<'_>, after: Document<'_>, changes: &mut Changes) {
    let by_id = |document: Document<'_>| -> BTreeMap<String, (String, Value)> {
        let operations = document.operations().into_iter();
        let entry = |operation: crate::document::OperationAt<'_>| {
            let id = operation.value["operationId"]
                .as_str()
                .unwrap_or_default()
                .to_owned();
            let call = format!("{} {}", operation.method.to_uppercase(), operation.path);
            (id, (call, operation.value.clone()))
        };
        operations.map(entry).collect()
    };
    let (before, after) = (by_id(before), by_id(after));
    for (id, (call, old)) in &before {
        let Some((new_call, new)) = after.get(id) else {
            changes.add(true, format!("The operation `{id}` (`{call}`) is gone."));
            continue;
        };
        if call != new_call {
            changes.add(
                true,
                format!("`{id}` is `{new_call}` now, and was `{call}`."),
            );
        }
        let group = |operation: &Value| {
            let tag = operation["tags"][0].as_str();
            tag.unwrap_or_default().to_owned()
        };
        if group(old) != group(new) {
            // Generated clients have a module or a class for each group.
            let (old, new) = (group(old), group(new));
            changes.add(
                true,
                format!("`{id}` is in the group `{new}` now, and was in `{old}`."),
            );
        }
        let must = |operation: &Value| operation["requestBody"]["required"] == true;
        if must(new) && !must(old) {
            changes.add(true, format!("`{id}` must have a body now."));
        }
        if old["deprecated"] != new["deprecated"] {
            let now = if new["deprecated"] == true {
                "is deprecated"
            } else {
                "is no longer deprecated"
            };
            changes.add(false, format!("`{id}` {now}."));
        }
        for (part, old, new) in [
            ("request", &old["requestBody"], &new["requestBody"]),
            ("reply", &old["responses"]["200"], &new["responses"]["200"]),
        ] {
            let (old, new) = (
                &old["content"][JSON]["schema"],
                &new["content"][JSON]["schema"],
            );
            if old != new {
                // Documenting a reply that was not known is not breaking.
                changes.add(
                    !old.is_null(),
                    format!(
                        "The {part} of `{id}` is {} now, and was {}.",
                        shape(new),
                        shape(old)
                    ),
                );
            }
        }
        let kinds = old.as_object().into_iter().flatten().map(|(key, _)| key);
        let kinds: BTreeSet<_> = kinds
            .chain(map(new).keys())
            .filter(|key| key.starts_with("x-"))
            .collect();
        for key in kinds.into_iter().filter(|key| old[*key] != new[*key]) {
            changes.add(
                false,
                format!(
                    "`{key}` of `{id}` is {} now, and was {}.",
                    new[key], old[key]
                ),
            );
        }
    }
    for (id, (call, _)) in after.iter().filter(|(id, _)| !before.contains_key(*id)) {
        changes.add(false, format!("New operation `{id}` (`{call}`)."));
    }
}

fn component(name: &str, old: &Value, new: &Value, direction: Direction, changes: &mut Changes) {
    value(&format!("`{name}`"), old, new, direction, changes);
    let required =
        |schema: &Value, name: &str| list(&schema["required"]).iter().any(|field| field == name);
    for (field, before) in map(&old["properties"]) {
        let path = format!("`{name}.{field}`");
        let Some(after) = new["properties"].get(field) else {
            changes.add(true, format!("{path} is gone."));
            continue;
        };
        value(&path, before, after, direction, changes);
        match (required(old, field), required(new, field)) {
            (false, true) => changes.add(direction.sent, format!("{path} is required now.")),
            (true, false) => changes.add(direction.received, format!("{path} may be missing now.")),
            _ => {}
        }
    }
    for field in map(&new["properties"]).keys() {
        if old["properties"].get(field).is_none() {
            let must = required(new, field);
            let which = if must { "required " } else { "" };
            changes.add(
                direction.sent && must,
                format!("New {which}field `{name}.{field}`."),
            );
        }
    }
}

/// Compares two schemas at the same place.
fn value(path: &str, old: &Value, new: &Value, direction: Direction, changes: &mut Changes) {
    if shape(old) != shape(new) {
        changes.add(
            true,
            format!("{path} is {} now, and was {}.", shape(new), shape(old)),
        );
        return;
    }
    match (old["nullable"] == true, new["nullable"] == true) {
        (false, true) => changes.add(direction.received, format!("{path} may be null now.")),
        (true, false) => changes.add(direction.sent, format!("{path} is never null now.")),
        _ => {}
    }
    if new["deprecated"] == true && old["deprecated"] != true {
        changes.add(false, format!("{path} is deprecated."));
    }
    for (limit, at_most) in LIMITS {
        let (before, after) = (old[limit].as_f64(), new[limit].as_f64());
        let tighter = match (before, after) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(before), Some(after)) => (after < before) == at_most && after != before,
        };
        if before != after {
            let now = after.map_or("gone".to_owned(), |after| after.to_string());
            changes.add(
                tighter && direction.sent,
                format!("`{limit}` of {path} is {now} now."),
            );
        }
    }
    for key in ["enum", "x-extensible-enum"] {
        let (before, after) = (list(&old[key]), list(&new[key]));
        if key == "enum" && before.is_empty() != after.is_empty() {
            if after.is_empty() {
                let text = format!(
                    "{path} accepts any value now, and accepted only {}.",
                    old[key]
                );
                changes.add(direction.received, text);
            } else {
                let text = format!("{path} accepts only {} now.", new[key]);
                changes.add(direction.sent, text);
            }
            continue;
        }
        for word in before.iter().filter(|word| !after.contains(word)) {
            changes.add(true, format!("{path} no longer lists {word}."));
        }
        for word in after.iter().filter(|word| !before.contains(word)) {
            // A new value of an open enum is not breaking; one of a closed enum is.
            let breaking = key == "enum" && direction.received;
            changes.add(breaking, format!("{path} lists {word} too."));
        }
    }
    let closed = |schema: &Value| schema["x-smtp2go-known-words-only"] == true;
    match (closed(old), closed(new)) {
        (false, true) => changes.add(
            direction.sent,
            format!("{path} accepts only listed values now."),
        ),
        (true, false) => changes.add(false, format!("{path} accepts unlisted values now.")),
        _ => {}
    }
    let header = |schema: &Value| schema["x-smtp2go-header"] == true;
    match (header(old), header(new)) {
        (false, true) => changes.add(
            direction.sent,
            format!("{path} refuses control characters now."),
        ),
        (true, false) => changes.add(false, format!("{path} accepts control characters now.")),
        _ => {}
    }
    let [before, after] = [old, new].map(|schema| list(&schema["x-smtp2go-refused"]));
    for text in after.iter().filter(|text| !before.contains(text)) {
        changes.add(direction.sent, format!("{path} refuses {text} now."));
    }
    for text in before.iter().filter(|text| !after.contains(text)) {
        changes.add(false, format!("{path} no longer refuses {text}."));
    }
    match (
        old["additionalProperties"] == false,
        new["additionalProperties"] == false,
    ) {
        (false, true) => changes.add(
            direction.sent,
            format!("{path} no longer allows additional fields."),
        ),
        (true, false) => changes.add(false, format!("{path} allows additional fields now.")),
        _ => {}
    }
    match (old.get("default"), new.get("default")) {
        (old, new) if old == new => {}
        (Some(old), None) => {
            changes.add(false, format!("{path} has no default now; it was {old}."));
        }
        (old, new) => {
            let [old, new] = [old, new].map(|value| value.map_or("none".into(), Value::to_string));
            changes.add(
                false,
                format!("The default of {path} is {new} now, and was {old}."),
            );
        }
    }
    if old.get("format") != new.get("format") && !new["format"].is_null() {
        changes.add(
            false,
            format!(
                "{path} has the format `{}` now.",
                new["format"].as_str().unwrap_or_default()
            ),
        );
    }
    for (part, key) in [("an item", "items"), ("a value", "additionalProperties")] {
        if old[key].is_object() {
            let path = format!("{part} of {path}");
            value(&path, &old[key], &new[key], direction, changes);
        }
    }
}

/// Returns a short description of a schema, for messages and for comparison.
fn shape(schema: &Value) -> String {
    let reference = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str());
    if let Some(reference) = reference {
        return format!("a `{}`", reference.rsplit('/').next().unwrap_or_default());
    }
    if let Some(parts) = schema["oneOf"].as_array() {
        let parts: Vec<_> = parts.iter().map(shape).collect();
        return parts.join(" or ");
    }
    match schema["type"].as_str() {
        Some("array") => format!("a list, each item {}", shape(&schema["items"])),
        Some("object") if schema["additionalProperties"].is_object() => {
            format!(
                "a map, each value {}",
                shape(&schema["additionalProperties"])
            )
        }
        Some(kind) => format!("`{kind}`"),
        None => "anything".to_owned(),
    }
}

/// File name and text of each snapshot.
type Surface = BTreeMap<String, String>;

fn old_surface(root: &Path, revision: &str) -> Result<Surface, String> {
    let names = git(
        root,
        &["ls-tree", "--name-only", revision, &format!("{SNAPSHOTS}/")],
    )?;
    let surfaces = names.lines().filter(|path| path.contains("/surface__"));
    surfaces
        .map(|path| Ok((path.to_owned(), show(root, revision, path)?)))
        .collect()
}

fn new_surface(root: &Path) -> Result<Surface, String> {
    let folder = root.join(SNAPSHOTS);
    let entries =
        std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut surface = Surface::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if name.starts_with("surface__") {
            surface.insert(format!("{SNAPSHOTS}/{name}"), tools::read(&path)?);
        }
    }
    Ok(surface)
}

/// Returns the changes for users of the Rust crates, from the snapshots of their surface.
pub fn rust(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<Change> {
    let mut changes = Changes::default();
    let (before, after) = (items(before), items(after));
    for (item, old) in &before {
        match after.get(item) {
            None => changes.add(true, format!("`{item}` is gone.")),
            Some(new) if new == old => {}
            Some(new) if item.starts_with("enum ") => {
                let variants =
                    |text: &str| text.split(", ").map(str::to_owned).collect::<BTreeSet<_>>();
                let (old, new) = (variants(old), variants(new));
                for variant in old.difference(&new) {
                    changes.add(true, format!("`{item}` no longer has `{variant}`."));
                }
                for variant in new.difference(&old) {
                    changes.add(false, format!("`{item}` has `{variant}` too."));
                }
            }
            Some(new) => changes.add(true, format!("`{item}` is `{new}` now, and was `{old}`.")),
        }
    }
    for (item, text) in after.iter().filter(|(item, _)| !before.contains_key(*item)) {
        // A new check refuses requests that were accepted before.
        let is_check = item.contains(" checks ");
        let text = if text.is_empty() {
            String::new()
        } else {
            format!(": `{text}`")
        };
        changes.add(is_check, format!("New: `{item}`{text}."));
    }
    changes.sorted()
}

/// Returns all items, each with its content.
fn items(surface: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut items = BTreeMap::new();
    for (file, text) in surface {
        // A snapshot begins with a header between two lines of dashes.
        let body = text.splitn(3, "---\n").nth(2).unwrap_or(text);
        let mut owner = String::new();
        // Methods of the group, of the raw client and of the blocking one have the same names.
        let mut part = file.as_str();
        for line in body.lines() {
            if let Some(path) = line.strip_prefix("// ") {
                part = path;
                owner.clear();
            } else if let Some(member) = line.strip_prefix("  ") {
                let name = member
                    .find([':', '('])
                    .filter(|_| !member.starts_with("checks "));
                let (name, text) = name.map_or((member, ""), |end| member.split_at(end));
                items.insert(
                    format!("{owner} {name}").trim().to_owned(),
                    text.trim_start_matches(": ").to_owned(),
                );
            } else if let Some(name) = line.strip_prefix("struct ") {
                name.clone_into(&mut owner);
                items.insert(line.to_owned(), String::new());
            } else if let Some((name, variants)) = line
                .strip_prefix("enum ")
                .and_then(|rest| rest.split_once(": "))
            {
                name.clone_into(&mut owner);
                items.insert(format!("enum {name}"), variants.to_owned());
            } else if let Some((owner, signature)) = line
                .split_once(": ")
                .filter(|(_, rest)| rest.contains("fn "))
            {
                let name = signature.split_once("fn ").map_or("", |(_, rest)| rest);
                let name = name.split(['(', '<']).next().unwrap_or_default();
                let client = ["raw", "blocking"]
                    .into_iter()
                    .find(|client| part.contains(&format!("/{client}/")))
                    .map_or_else(String::new, |client| format!("{client} "));
                items.insert(format!("{client}{owner}::{name}"), signature.to_owned());
            } else if let Some((name, text)) = line.split_once(": ") {
                items.insert(name.to_owned(), text.to_owned());
            }
        }
    }
    items
}
