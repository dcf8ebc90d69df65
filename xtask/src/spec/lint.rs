//! Style rules for the document. [`crate::load`] checks that it is valid.
//!
//! Each rule has a name, which begins its messages, and a test with a document that breaks it.

use std::fmt;

use serde_json::Value;

use crate::document::{self, Document, JSON, list, map, reference_name};
use crate::known;
use crate::problem::{Problems, join};

/// Every operation must have a response for each of these statuses.
const ERRORS: [&str; 10] = [
    "400", "401", "402", "403", "404", "429", "500", "502", "503", "504",
];

/// The vendor's documentation.
const VENDOR: &str = "https://developers.smtp2go.com";

/// The extension with the date of this document.
const REVISION: &str = "x-smtp2go-revision";

/// Minimum share of uses of objects by `$ref`, in percent.
const REFERENCES: usize = 95;

/// Maximum length of a summary, in characters, because it is a line in a table.
const SUMMARY: usize = 60;

/// A format; words, at least one of which its descriptions must contain; and phrases that only its
/// descriptions may contain.
const FORMAT_WORDS: [(&str, &[&str], &[&str]); 15] = [
    ("byte", &["base64"], &["standard base64"]),
    ("date", &["day"], &["The first day"]),
    ("domain", &["domain", "host", "cname"], &[]),
    ("html", &["html"], &["as HTML"]),
    ("id", &["id", "ids"], &["a UUID"]),
    ("ip", &["ip"], &["The IP address"]),
    ("mailbox", &["address", "addresses"], &["`Name <address>`"]),
    ("numeric", &["number"], &["number as text"]),
    ("password", &["key", "password"], &["The password"]),
    ("period", &["period"], &["The period of the"]),
    (
        "phone",
        &["number", "numbers"],
        &["The number to send", "The numbers to send"],
    ),
    (
        "timestamp",
        &["when", "time", "moment", "period"],
        &["RFC 3339"],
    ),
    ("token", &["page"], &["The token"]),
    ("url", &["url"], &["The URL"]),
    (
        "username",
        &["user", "users", "username", "key", "keys"],
        &["The name of the user"],
    ),
];

type Rule = fn(Document<'_>, &mut Found<'_>);

/// The rules: name, requirement, and check.
const RULES: [(&str, &str, Rule); 15] = [
    (
        "described",
        "every tag, operation, schema, property and response has a description that is a sentence",
        described,
    ),
    (
        "revision",
        "`info` has the document's revision, and the CHANGELOG has the same one",
        revision,
    ),
    (
        "external-docs",
        "every operation links to the vendor's documentation",
        external_docs,
    ),
    (
        "summaries",
        "summaries are short, unique, and have no full stop",
        summaries,
    ),
    (
        "examples",
        "every body that has a schema has an example",
        examples,
    ),
    (
        "example-names",
        "examples use only reserved addresses and hosts",
        example_names,
    ),
    (
        "errors",
        "every operation refers to all shared error responses, which have named examples",
        errors,
    ),
    (
        "statuses",
        "each response has one status: generators refuse `default` and ranges such as `5XX`",
        statuses,
    ),
    (
        "references",
        "objects are components that are used by `$ref`",
        by_reference,
    ),
    ("formats", "every string and number has a `format`", formats),
    (
        "format-words",
        "a description contains a word of its `format`: `address` for a `mailbox`, `number` for a `phone`",
        format_words,
    ),
    (
        "widths",
        "numbers with the same name have the same `format`",
        widths,
    ),
    (
        "known-values",
        "the description of an open enum ends with its values, in the order of `x-extensible-enum`",
        known_values,
    ),
    (
        "defaults",
        "no `default` beside `allOf`, where client generators read it as a name",
        defaults,
    ),
    (
        "security",
        "every security scheme is used, and every used scheme is described",
        security,
    ),
];

/// The findings of the rules, and statistics of the document.
#[derive(Debug)]
pub struct Report {
    /// All problems.
    pub problems: Problems,
    /// The statistics.
    pub figures: Figures,
}

/// The statistics of a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Operations.
    pub operations: usize,
    /// Components that are schemas.
    pub schemas: usize,
    /// Properties of all components.
    pub properties: usize,
    /// Examples of bodies.
    pub examples: usize,
    /// Uses of objects by `$ref`.
    pub referred: usize,
    /// Inline objects, mostly free-form maps.
    pub in_place: usize,
}

impl Figures {
    /// Returns the share of uses of objects by `$ref`, in percent, rounded down.
    pub fn reference_share(&self) -> usize {
        (self.referred * 100)
            .checked_div(self.referred + self.in_place)
            .unwrap_or(100)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations, {} schemas and {} properties, all described; {} examples, all valid; \
             {} % of the uses of objects by reference",
            self.operations,
            self.schemas,
            self.properties,
            self.examples,
            self.reference_share()
        )
    }
}

/// Returns the names of the rules, each with its requirement.
pub fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    RULES.iter().map(|(name, wants, _)| (*name, *wants))
}

/// Applies all rules to a document that passed [`crate::load`]. Messages call it `file`.
pub fn lint(file: &str, document: &Value) -> Report {
    let mut problems = Problems::new(file);
    let document = Document::new(document);
    for (rule, _, check) in RULES {
        check(
            document,
            &mut Found {
                rule,
                problems: &mut problems,
            },
        );
    }
    Report {
        problems,
        figures: figures(document),
    }
}

/// Collects the problems of one rule.
struct Found<'a> {
    rule: &'static str,
    problems: &'a mut Problems,
}

impl Found<'_> {
    fn add(&mut self, pointer: impl Into<String>, message: impl fmt::Display, remedy: &str) {
        let message = format!("{}: {message}", self.rule);
        self.problems.add(pointer, message, remedy);
    }
}

fn described(document: Document<'_>, found: &mut Found<'_>) {
    let root = document.root();
    sentence(&root["info"], "/info", found);
    for part in ["tags", "servers"] {
        for (index, item) in list(&root[part]).iter().enumerate() {
            sentence(item, &join(&join("", part), index), found);
        }
    }
    for part in ["securitySchemes", "responses"] {
        let pointer = join("/components", part);
        for (name, item) in map(&root["components"][part]) {
            sentence(item, &join(&pointer, name), found);
        }
    }
    for operation in document.operations() {
        sentence(operation.value, &operation.pointer, found);
        let responses = join(&operation.pointer, "responses");
        for (status, response) in map(&operation.value["responses"]) {
            sentence(
                document.response(response),
                &join(&responses, status),
                found,
            );
        }
    }
    for webhook in document.webhooks() {
        sentence(webhook.value, &webhook.pointer, found);
    }
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        sentence(component, &pointer, found);
        let pointer = join(&pointer, "properties");
        for (name, property) in map(&component["properties"]) {
            // A reference has the description of its target.
            let described = match reference_name(property) {
                Some(name) => document.schema(name),
                None => property,
            };
            sentence(described, &join(&pointer, name), found);
        }
    }
}

/// Checks that a description begins with a capital, code or a number, ends like a sentence, repeats
/// no word and is finished.
fn sentence(value: &Value, pointer: &str, found: &mut Found<'_>) {
    let text = value["description"].as_str().unwrap_or_default().trim();
    if text.is_empty() {
        found.add(pointer, "there is no description", "describe it");
        return;
    }
    let at = join(pointer, "description");
    let opens = |first: char| first.is_uppercase() || first.is_ascii_digit() || first == '`';
    if !text.starts_with(opens) || !text.ends_with(['.', '!', '?']) {
        found.add(
            &at,
            "the description is not a sentence",
            "begin with a capital and end with a full stop",
        );
    }
    let words: Vec<_> = text.split_whitespace().collect();
    if let Some(pair) = words.windows(2).find(|pair| pair[0] == pair[1]) {
        let message = format!("`{} {}` repeats a word", pair[0], pair[1]);
        found.add(&at, message, "remove one of them");
    }
    let unfinished = |word: &&str| {
        ["TODO", "TBD", "FIXME", "XXX"]
            .iter()
            .any(|mark| word.contains(mark))
    };
    if let Some(mark) = words.into_iter().find(unfinished) {
        found.add(
            &at,
            format!("`{mark}` marks an unfinished text"),
            "finish it",
        );
    }
}

fn revision(document: Document<'_>, found: &mut Found<'_>) {
    if !document.root()["info"][REVISION].is_string() {
        found.add(
            "/info",
            format!("there is no `{REVISION}`"),
            "write the day of the change, and name it in CHANGELOG.md",
        );
    }
}

fn external_docs(document: Document<'_>, found: &mut Found<'_>) {
    for operation in document.operations() {
        let docs = &operation.value["externalDocs"];
        let pointer = join(&operation.pointer, "externalDocs");
        let url = docs["url"].as_str().unwrap_or_default();
        if url != VENDOR && !url.starts_with(&format!("{VENDOR}/")) {
            found.add(
                join(&pointer, "url"),
                format!("`{url}` is not a page of the vendor's documentation"),
                &format!("write {VENDOR}, or the operation's page if it is known"),
            );
        }
        sentence(docs, &pointer, found);
    }
}

fn summaries(document: Document<'_>, found: &mut Found<'_>) {
    let mut seen = std::collections::BTreeMap::new();
    for operation in document.operations() {
        let summary = operation.value["summary"].as_str().unwrap_or_default();
        let at = join(&operation.pointer, "summary");
        if summary.is_empty() || summary.chars().count() > SUMMARY || summary.ends_with('.') {
            found.add(
                &at,
                format!("`{summary}` is not a valid summary"),
                "use 1 to 60 characters without a full stop",
            );
        }
        if let Some(other) = seen.insert(summary, operation.pointer.clone()) {
            found.add(
                &at,
                format!("#{other} has the same summary"),
                "make the summaries different",
            );
        }
    }
}

fn examples(document: Document<'_>, found: &mut Found<'_>) {
    for operation in document.operations() {
        let body = &operation.value["requestBody"]["content"];
        if body[JSON].is_null() {
            found.add(
                &operation.pointer,
                "the operation has no JSON body",
                "add one; an operation without parameters has the body `{}`",
            );
        }
    }
    for (pointer, content) in contents(document) {
        if content.get("schema").is_some() && document::examples(content).is_empty() {
            found.add(pointer, "the body has no example", "add `example`");
        }
    }
}

/// Returns every body of a request, reply or event, in each of its media types, with its place.
fn contents<'a>(document: Document<'a>) -> Vec<(String, &'a Value)> {
    let mut bodies = Vec::new();
    let mut add = |pointer: String, body: &'a Value| {
        let pointer = join(&pointer, "content");
        for (media, content) in map(&body["content"]) {
            bodies.push((join(&pointer, media), content));
        }
    };
    let bodies_of = document
        .operations()
        .into_iter()
        .map(|operation| (operation.pointer, operation.value))
        .chain(
            document
                .webhooks()
                .into_iter()
                .map(|webhook| (webhook.pointer, webhook.value)),
        );
    for (pointer, value) in bodies_of {
        add(join(&pointer, "requestBody"), &value["requestBody"]);
        for (status, response) in map(&value["responses"]) {
            add(join(&join(&pointer, "responses"), status), response);
        }
    }
    for (name, response) in map(&document.root()["components"]["responses"]) {
        add(join("/components/responses", name), response);
    }
    bodies
}

fn example_names(document: Document<'_>, found: &mut Found<'_>) {
    for (pointer, content) in contents(document) {
        for (at, value) in document::examples(content) {
            names_in(value, &format!("{pointer}{at}"), found);
        }
    }
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        for (name, property) in map(&component["properties"]) {
            names_in(
                &property["example"],
                &join(&join(&join(&pointer, "properties"), name), "example"),
                found,
            );
        }
    }
}

fn names_in(value: &Value, pointer: &str, found: &mut Found<'_>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                names_in(member, &join(pointer, name), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                names_in(item, &join(pointer, index), found);
            }
        }
        Value::String(text) => {
            for host in hosts(text).filter(|host| !reserved(host)) {
                found.add(
                    pointer,
                    format!("`{host}` is not a reserved name"),
                    "use example.com, .net or .org, or a name under .example or .test",
                );
            }
        }
        _ => {}
    }
}

/// Returns the hosts in a text, which follow `@` or `://`.
fn hosts(text: &str) -> impl Iterator<Item = &str> {
    let starts = text
        .match_indices('@')
        .map(|(at, _)| at + 1)
        .chain(text.match_indices("://").map(|(at, mark)| at + mark.len()));
    starts.filter_map(|start| {
        let rest = text.get(start..)?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-');
        let host = rest.get(..end.unwrap_or(rest.len()))?.trim_end_matches('.');
        // A user name before the host of a URL has its own `@`.
        (host.contains('.') && !rest.get(host.len()..)?.starts_with(['@', ':'])).then_some(host)
    })
}

fn reserved(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let under = |name: &str| {
        host.strip_suffix(name)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    [
        "example.com",
        "example.net",
        "example.org",
        "example",
        "test",
    ]
    .iter()
    .any(|name| under(name))
}

fn errors(document: Document<'_>, found: &mut Found<'_>) {
    for operation in document.operations() {
        let responses = map(&operation.value["responses"]);
        for status in ERRORS {
            let shared = responses
                .get(status)
                .and_then(|response| response["$ref"].as_str())
                .is_some_and(|at| at.starts_with("#/components/responses/"));
            if !shared {
                found.add(
                    join(&operation.pointer, "responses"),
                    format!(
                        "the response {status} is missing, or not shared with the other operations"
                    ),
                    "refer to `#/components/responses/…`",
                );
            }
        }
    }
    for (name, response) in map(&document.root()["components"]["responses"]) {
        let content = &response["content"][JSON];
        if reference_name(&content["schema"]).is_none() || map(&content["examples"]).is_empty() {
            found.add(
                join("/components/responses", name),
                "the error has no JSON body with schema and named examples",
                "add the error schema and a typical body of each kind",
            );
        }
    }
}

fn statuses(document: Document<'_>, found: &mut Found<'_>) {
    let operations = document.operations().into_iter();
    let operations = operations.map(|operation| (operation.pointer, operation.value));
    let webhooks = document.webhooks().into_iter();
    let webhooks = webhooks.map(|webhook| (webhook.pointer, webhook.value));
    for (pointer, value) in operations.chain(webhooks) {
        let pointer = join(&pointer, "responses");
        for status in map(&value["responses"]).keys() {
            if status.len() != 3 || !status.bytes().all(|byte| byte.is_ascii_digit()) {
                found.add(
                    join(&pointer, status),
                    format!("`{status}` is not one status"),
                    "write a response for each status",
                );
            }
        }
    }
}

fn by_reference(document: Document<'_>, found: &mut Found<'_>) {
    let figures = figures(document);
    if figures.reference_share() < REFERENCES {
        found.add(
            "/components/schemas",
            format!(
                "only {} % of the uses of objects are a `$ref`",
                figures.reference_share()
            ),
            "make components of the others; the minimum is 95 %",
        );
    }
}

fn formats(document: Document<'_>, found: &mut Found<'_>) {
    schemas(document, &mut |pointer, schema| {
        let kind = schema["type"].as_str().unwrap_or_default();
        if ["string", "integer", "number"].contains(&kind) && schema["format"].as_str().is_none() {
            found.add(
                pointer,
                format!("this {kind} has no `format`"),
                "add one of those that spec/README.md lists",
            );
        }
    });
}

fn format_words(document: Document<'_>, found: &mut Found<'_>) {
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        let properties = map(&component["properties"]).iter();
        let properties =
            properties.map(|(name, value)| (join(&join(&pointer, "properties"), name), value));
        for (pointer, property) in properties.chain([(pointer.clone(), component)]) {
            let text = property["description"].as_str().unwrap_or_default();
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let inner = [&property["items"], &property["additionalProperties"]];
            let parts = list(&property["oneOf"]).iter().chain(inner);
            for schema in parts.chain([property]) {
                if let Some(format) = schema["format"].as_str()
                    && let Some(problem) = misses(format, &text)
                {
                    found.add(
                        &pointer,
                        problem,
                        "correct the format, or describe the value with such a word",
                    );
                }
            }
        }
    }
}

/// Returns the problem of a description with a format.
fn misses(format: &str, description: &str) -> Option<String> {
    let lower = description.to_lowercase();
    let mut words = lower.split(|c: char| !c.is_alphanumeric());
    for (other, wanted, phrases) in FORMAT_WORDS {
        if other == format {
            if !words.any(|word| wanted.contains(&word)) {
                let wanted = wanted.join("`, `");
                return Some(format!(
                    "the format is `{format}`, but the description has none of the words `{wanted}`"
                ));
            }
        } else if let Some(phrase) = phrases.iter().find(|phrase| description.contains(*phrase)) {
            return Some(format!(
                "the description says \"{phrase}\", as one of the format `{other}` does; \
                 the format is `{format}`"
            ));
        }
    }
    None
}

fn widths(document: Document<'_>, found: &mut Found<'_>) {
    let mut seen = std::collections::BTreeMap::new();
    schemas(document, &mut |pointer, schema| {
        if !["integer", "number"]
            .iter()
            .any(|kind| schema["type"] == *kind)
        {
            return;
        }
        let Some((_, property)) = pointer.rsplit_once("/properties/") else {
            return;
        };
        // `ip_pool` and `ippool` are the same setting.
        let name = property.split('/').next().unwrap_or_default();
        let name = name.replace(['_', '-'], "");
        let format = schema["format"].as_str().unwrap_or_default();
        let (first, at) = seen
            .entry(name)
            .or_insert_with(|| (format, pointer.to_owned()));
        if *first != format {
            found.add(
                pointer,
                format!("the format is `{format}`, but that of #{at} is `{first}`"),
                "use the same format for both",
            );
        }
    });
}

fn known_values(document: Document<'_>, found: &mut Found<'_>) {
    for (name, component) in document.schemas() {
        let Some(sentence) = known::sentence(component) else {
            continue;
        };
        let text = component["description"].as_str().unwrap_or_default();
        let words: Vec<_> = text.split_whitespace().collect();
        if !words.join(" ").ends_with(&sentence) {
            found.add(
                join(&join("/components/schemas", name), "description"),
                "the description does not end with the known values",
                &format!("end it with \"{sentence}\""),
            );
        }
    }
}

fn defaults(document: Document<'_>, found: &mut Found<'_>) {
    schemas(document, &mut |pointer, schema| {
        if schema.get("allOf").is_some() && schema.get("default").is_some() {
            found.add(
                pointer,
                "there is a `default` beside `allOf`",
                "move it to the component, or say \"Without it, …\" in the description",
            );
        }
    });
}

/// Calls `visit` for every schema in a component, beginning with the component's own.
fn schemas<'a>(document: Document<'a>, visit: &mut dyn FnMut(&str, &'a Value)) {
    fn inner<'a>(schema: &'a Value, pointer: &str, visit: &mut dyn FnMut(&str, &'a Value)) {
        visit(pointer, schema);
        for (name, property) in map(&schema["properties"]) {
            inner(property, &join(&join(pointer, "properties"), name), visit);
        }
        for key in ["items", "additionalProperties"] {
            if schema[key].is_object() {
                inner(&schema[key], &join(pointer, key), visit);
            }
        }
        for key in ["allOf", "oneOf"] {
            for (index, part) in list(&schema[key]).iter().enumerate() {
                inner(part, &join(&join(pointer, key), index), visit);
            }
        }
    }
    for (name, component) in document.schemas() {
        inner(component, &join("/components/schemas", name), visit);
    }
}

fn security(document: Document<'_>, found: &mut Found<'_>) {
    let root = document.root();
    let schemes = map(&root["components"]["securitySchemes"]);
    let used: Vec<_> = list(&root["security"])
        .iter()
        .flat_map(|way| map(way).keys())
        .collect();
    for name in schemes.keys().filter(|name| !used.contains(name)) {
        found.add(
            join("/components/securitySchemes", name),
            "the security scheme is not used",
            "add it to `security` at the root, or remove it",
        );
    }
    for name in used
        .iter()
        .filter(|name| !schemes.contains_key(name.as_str()))
    {
        found.add(
            "/security",
            format!("`{name}` is not described"),
            "add it to `securitySchemes`",
        );
    }
    if used.is_empty() {
        found.add(
            "/security",
            "the operation requires no key",
            "list the security schemes",
        );
    }
}

fn figures(document: Document<'_>) -> Figures {
    let mut figures = Figures {
        operations: document.operations().len(),
        schemas: document.schemas().len(),
        ..Figures::default()
    };
    let is_object = |schema: &Value| schema["type"] == "object";
    let mut count = |schema: &Value, component: bool| {
        if let Some(name) = reference_name(schema) {
            figures.referred += usize::from(is_object(document.schema(name)));
        } else if !component {
            figures.in_place += usize::from(is_object(schema));
        }
    };
    schemas(document, &mut |pointer, schema| {
        // `/components/schemas/NAME` is where it is defined, not used.
        count(schema, pointer.matches('/').count() == 3);
    });
    let contents = contents(document);
    for (_, content) in &contents {
        count(&content["schema"], false);
    }
    figures.examples = contents
        .iter()
        .map(|(_, content)| document::examples(content).len())
        .sum();
    figures.properties = document
        .schemas()
        .values()
        .map(|component| map(&component["properties"]).len())
        .sum();
    figures
}
