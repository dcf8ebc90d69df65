//! Turns an OpenAPI document, 3.0 or 3.1, into operations and trees of fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::document::{METHODS, list, map};

/// The keywords that limit a value.
pub(super) const LIMITS: [&str; 13] = [
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "pattern",
    "minProperties",
    "maxProperties",
];

/// The type of a missing body, or of one whose content is not described.
pub(super) const NO_BODY: &str = "no body";

/// A body, a field, the items of a list (`[]`) or the values of a map (`.*`).
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Node {
    /// Whether a schema describes it. Otherwise it is only in a sample.
    pub(super) described: bool,
    /// Allowed JSON types. Empty if any type is allowed.
    pub(super) types: BTreeSet<String>,
    /// Types of `x-smtp2go-also`.
    pub(super) also: BTreeSet<String>,
    /// Types of its values in samples.
    pub(super) sampled: BTreeSet<String>,
    /// Values of the enum, open or not. Empty if there is none.
    pub(super) values: BTreeSet<String>,
    /// Other spellings of its values, each with the value.
    pub(super) aliases: BTreeMap<String, String>,
    /// Texts and numbers in samples.
    pub(super) examples: BTreeSet<String>,
    /// Descriptions. Those of a list also apply to its items.
    pub(super) prose: BTreeSet<String>,
    /// Limits, `default`, `format`, `deprecated`, and `required` of a body or parameter.
    pub(super) attributes: BTreeMap<&'static str, Value>,
    /// Names of the required fields.
    pub(super) required: BTreeSet<String>,
    /// Children, by `.name`, `[]` or `.*`.
    pub(super) children: BTreeMap<String, Node>,
}

/// Prefix of the names of webhooks.
pub(super) const WEBHOOK: &str = "WEBHOOK ";

/// One operation, or a webhook.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ComparedOperation {
    /// Alternatives, each with all required schemes: `header x-api-key`, `http bearer`.
    pub(super) security: BTreeSet<String>,
    pub(super) deprecated: bool,
    /// Parts, by name: `request`, `reply 200`, `query page`.
    pub(super) parts: BTreeMap<String, Node>,
}

/// Operations, by name: `POST /email/send`, `WEBHOOK email_event`.
pub(super) type Operations = BTreeMap<String, ComparedOperation>;

/// Whether examples are read as well as schemas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Samples {
    Read,
    Skip,
}

/// Converts `document`.
///
/// # Errors
///
/// If it is not OpenAPI 3, or a `$ref` points to a missing place or to another file.
pub(super) fn operations(document: &Value, samples: Samples) -> Result<Operations, String> {
    let reader = Reader { document, samples };
    // `3.1` without quotes is a number in YAML.
    let version = match &document["openapi"] {
        Value::Number(number) => Some(number.to_string()),
        other => other.as_str().map(str::to_owned),
    };
    match version {
        Some(version) if version.starts_with("3.") => {}
        Some(version) => return Err(format!("OpenAPI {version}: only 3.0 and 3.1 are supported")),
        None => return Err("not an OpenAPI 3 document: it has no `openapi: 3.…`".to_owned()),
    }
    if !document["paths"].is_object() && !document["webhooks"].is_object() {
        return Err("it has no `paths`".to_owned());
    }
    let mut operations = Operations::new();
    for kind in ["paths", "webhooks", "x-webhooks"] {
        for (path, item) in map(&document[kind]) {
            let item = reader
                .resolved(item)
                .map_err(|error| format!("{path}: {error}"))?;
            for (method, value) in map(item) {
                if !METHODS.contains(&method.as_str()) {
                    continue;
                }
                let name = match kind {
                    "paths" => format!(
                        "{} {}",
                        method.to_uppercase(),
                        reader.path(path, item, value)
                    ),
                    _ => format!("{WEBHOOK}{path}"),
                };
                let mut operation = reader
                    .operation(item, value)
                    .map_err(|error| format!("{name}: {error}"))?;
                // The security of the document is that of the service.
                if kind != "paths" && value["security"].is_null() {
                    operation.security.clear();
                }
                if operations.insert(name.clone(), operation).is_some() {
                    return Err(format!("{name} is described twice"));
                }
            }
        }
    }
    Ok(operations)
}

struct Reader<'a> {
    document: &'a Value,
    samples: Samples,
}

impl<'a> Reader<'a> {
    /// Returns the path with the server's path, without `/v3` and a trailing slash.
    fn path(&self, path: &str, item: &Value, operation: &Value) -> String {
        let server = [operation, item, self.document]
            .into_iter()
            .find_map(|owner| owner["servers"].get(0))
            .unwrap_or(&Value::Null);
        let mut url = server["url"].as_str().unwrap_or_default().to_owned();
        for (name, variable) in map(&server["variables"]) {
            let default = variable["default"].as_str().unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), default);
        }
        let base = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => &url,
        };
        let whole = format!("/{base}/{path}");
        let mut segments: Vec<&str> = whole.split('/').filter(|part| !part.is_empty()).collect();
        if segments.first() == Some(&"v3") {
            segments.remove(0);
        }
        format!("/{}", segments.join("/"))
    }

    fn operation(&self, item: &'a Value, value: &'a Value) -> Result<ComparedOperation, String> {
        let mut operation = ComparedOperation {
            security: self.security(value),
            deprecated: value["deprecated"] == true,
            ..ComparedOperation::default()
        };
        for owner in [item, value] {
            for parameter in list(&owner["parameters"]) {
                let parameter = self.resolved(parameter)?;
                let text = |key: &str| parameter[key].as_str().unwrap_or_default().to_owned();
                let mut node = self.body(parameter)?;
                node.require(parameter);
                let name = format!("{} {}", text("in"), text("name"));
                operation.parts.insert(name, node);
            }
        }
        let request = self.resolved(&value["requestBody"])?;
        if !request.is_null() {
            let mut node = self.body(self.media(request))?;
            node.require(request);
            operation.parts.insert("request".to_owned(), node);
        }
        for (status, reply) in map(&value["responses"]) {
            let name = match status.as_str() {
                "default" => "reply default".to_owned(),
                status => format!("reply {}", status.to_uppercase()),
            };
            let node = self.body(self.media(self.resolved(reply)?));
            let node = node.map_err(|error| format!("{name}: {error}"))?;
            operation.parts.insert(name, node);
        }
        Ok(operation)
    }

    fn security(&self, operation: &Value) -> BTreeSet<String> {
        let requirements = match &operation["security"] {
            Value::Null => &self.document["security"],
            own => own,
        };
        let scheme = |name: &String| {
            let scheme = &self.document["components"]["securitySchemes"][name];
            let text = |key: &str| scheme[key].as_str().unwrap_or_default().to_lowercase();
            match text("type").as_str() {
                "apikey" => format!("{} {}", text("in"), text("name")),
                "http" => format!("http {}", text("scheme")),
                "" => name.clone(),
                other => other.to_owned(),
            }
        };
        let mut alternatives: BTreeSet<String> = list(requirements)
            .iter()
            .map(|requirement| {
                let schemes: BTreeSet<String> = map(requirement).keys().map(scheme).collect();
                Vec::from_iter(schemes).join(" with ")
            })
            .map(|schemes| match schemes.is_empty() {
                true => "none".to_owned(),
                false => schemes,
            })
            .collect();
        if alternatives.is_empty() {
            alternatives.insert("none".to_owned());
        }
        alternatives
    }

    /// Returns the JSON content of a body, or the first content if there is no JSON.
    fn media(&self, body: &'a Value) -> &'a Value {
        let content = map(&body["content"]);
        content
            .iter()
            .find(|(name, _)| name.contains("json"))
            .or_else(|| content.iter().next())
            .map_or(&Value::Null, |(_, media)| media)
    }

    /// Reads an object with a `schema` and perhaps samples.
    fn body(&self, owner: &'a Value) -> Result<Node, String> {
        let mut node = match &owner["schema"] {
            Value::Null => Node::of_type(NO_BODY),
            schema => self.schema(schema, &mut Vec::new())?,
        };
        if self.samples == Samples::Read {
            let named = map(&owner["examples"]).values();
            let named: Vec<&Value> = named
                .map(|sample| Ok(&self.resolved(sample)?["value"]))
                .collect::<Result<_, String>>()?;
            for sample in named.into_iter().chain([&owner["example"]]) {
                // Some tools write a sample of the whole body as a text.
                let parsed = sample.as_str().map(serde_json::from_str::<Value>);
                match parsed {
                    Some(Ok(parsed)) if parsed.is_object() || parsed.is_array() => {
                        node.add_sample(&parsed);
                    }
                    _ if sample.is_null() => {}
                    _ => node.add_sample(sample),
                }
            }
        }
        Ok(node)
    }

    /// `trail` contains the followed `$ref`s, so that a recursive schema ends.
    fn schema(&self, schema: &'a Value, trail: &mut Vec<&'a str>) -> Result<Node, String> {
        let mut node = Node::own(schema);
        for (name, property) in map(&schema["properties"]) {
            let child = self.schema(property, trail)?;
            node.children.insert(format!(".{name}"), child);
        }
        if !schema["items"].is_null() || node.types.contains("array") {
            let mut items = self.schema(&schema["items"], trail)?;
            items.prose.extend(node.prose.iter().cloned());
            node.children.insert("[]".to_owned(), items);
        }
        if schema["additionalProperties"].is_object() {
            let values = self.schema(&schema["additionalProperties"], trail)?;
            node.children.insert(".*".to_owned(), values);
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.target(reference)?;
            if trail.contains(&reference) {
                node = node.both(Node::own(target));
            } else {
                trail.push(reference);
                node = node.both(self.schema(target, trail)?);
                trail.pop();
            }
        }
        for part in list(&schema["allOf"]) {
            node = node.both(self.schema(part, trail)?);
        }
        for keyword in ["oneOf", "anyOf"] {
            let mut united: Option<Node> = None;
            for branch in list(&schema[keyword]) {
                let branch = self.schema(branch, trail)?;
                united = Some(match united {
                    Some(united) => united.either(branch),
                    None => branch,
                });
            }
            if let Some(united) = united {
                node = node.both(united);
            }
        }
        // A keyword of 3.0 that documents of 3.1 also use.
        if schema["nullable"] == true && !node.types.is_empty() {
            node.types.insert("null".to_owned());
        }
        if self.samples == Samples::Read {
            let samples = list(&schema["examples"]).iter();
            for sample in samples.chain(schema.get("example")) {
                node.add_sample(sample);
            }
        }
        Ok(node)
    }

    /// Follows `$ref`s outside of schemas.
    fn resolved(&self, value: &'a Value) -> Result<&'a Value, String> {
        let mut value = value;
        for _ in 0..16 {
            match value["$ref"].as_str() {
                Some(reference) => value = self.target(reference)?,
                None => return Ok(value),
            }
        }
        Err("more than 16 `$ref`s follow each other: remove the cycle".to_owned())
    }

    fn target(&self, reference: &str) -> Result<&'a Value, String> {
        let Some(pointer) = reference.strip_prefix('#') else {
            return Err(format!(
                "`$ref: {reference}` points to another file: bundle the document first"
            ));
        };
        let pointer = pointer.replace("%7B", "{").replace("%7D", "}");
        self.document
            .pointer(&pointer)
            .ok_or_else(|| format!("`$ref: {reference}` has no target"))
    }
}

impl Node {
    fn of_type(name: &str) -> Self {
        Self {
            described: true,
            types: BTreeSet::from([name.to_owned()]),
            ..Self::default()
        }
    }

    /// Reads a schema itself, without its parts and fields.
    fn own(schema: &Value) -> Self {
        let mut node = Self {
            described: true,
            types: texts(&schema["type"]),
            also: texts(&schema["x-smtp2go-also"]),
            prose: texts(&schema["description"]),
            aliases: map(&schema["x-smtp2go-aliases"])
                .iter()
                .map(|(alias, value)| (alias.clone(), text(value)))
                .collect(),
            required: match &schema["required"] {
                // Some documents have a boolean on the field itself.
                Value::Array(_) => texts(&schema["required"]),
                _ => BTreeSet::new(),
            },
            ..Self::default()
        };
        let implied = [("properties", "object"), ("items", "array")];
        for (keyword, name) in implied {
            if schema["type"].is_null() && !schema[keyword].is_null() {
                node.types.insert(name.to_owned());
            }
        }
        let values = ["enum", "x-extensible-enum"].map(|keyword| list(&schema[keyword]));
        node.values = values
            .into_iter()
            .flatten()
            .chain(schema.get("const"))
            .filter(|value| !value.is_null())
            .map(text)
            .collect();
        for keyword in LIMITS.into_iter().chain(["default", "format"]) {
            if let Some(value) = schema
                .get(keyword)
                .filter(|value| !is_no_limit(keyword, value))
            {
                node.attributes.insert(keyword, value.clone());
            }
        }
        if schema["deprecated"] == true {
            node.attributes.insert("deprecated", true.into());
        }
        // 3.0 has a boolean beside the limit, 3.1 the limit itself.
        for (exclusive, limit) in [
            ("exclusiveMinimum", "minimum"),
            ("exclusiveMaximum", "maximum"),
        ] {
            if let Some(Value::Bool(set)) = node.attributes.get(exclusive).cloned() {
                node.attributes.remove(exclusive);
                if set && let Some(value) = node.attributes.remove(limit) {
                    node.attributes.insert(exclusive, value);
                }
            }
        }
        node
    }

    fn require(&mut self, owner: &Value) {
        self.attributes
            .insert("required", (owner["required"] == true).into());
    }

    /// Combines two schemas that both apply. Where they conflict, `self` wins.
    pub(super) fn both(mut self, other: Self) -> Self {
        let common: BTreeSet<String> = self.types.intersection(&other.types).cloned().collect();
        if self.types.is_empty() {
            self.types.clone_from(&other.types);
        } else if !common.is_empty() {
            self.types = common;
        }
        self.required.extend(other.required.iter().cloned());
        if self.values.is_empty() {
            self.values.clone_from(&other.values);
        }
        self.with(other, Self::both)
    }

    /// Combines two alternative schemas.
    fn either(mut self, other: Self) -> Self {
        let limits = self.loosest(&other);
        let null = BTreeSet::from(["null".to_owned()]);
        if self.types != null && other.types != null {
            self.required = &self.required & &other.required;
        }
        self.types = match self.types.is_empty() || other.types.is_empty() {
            true => BTreeSet::new(),
            false => &self.types | &other.types,
        };
        self.values.extend(other.values.iter().cloned());
        let mut united = self.with(other, Self::either);
        united
            .attributes
            .retain(|keyword, _| !LIMITS.contains(keyword));
        united.attributes.extend(limits);
        united
    }

    /// Returns the limits of two alternatives: the loosest, or none if one of them has none.
    fn loosest(&self, other: &Self) -> BTreeMap<&'static str, Value> {
        let mut limits = BTreeMap::new();
        for keyword in LIMITS {
            let [own, others] = [self, other].map(|node| node.attributes.get(keyword));
            let limit = match (own, others) {
                (Some(own), Some(others)) => looser(keyword, own, others),
                (Some(limit), None) if !other.admits(keyword) => Some(limit),
                (None, Some(limit)) if !self.admits(keyword) => Some(limit),
                _ => None,
            };
            limits.extend(limit.map(|limit| (keyword, limit.clone())));
        }
        limits
    }

    /// Whether the schema allows values to which the keyword applies.
    fn admits(&self, keyword: &str) -> bool {
        let types: &[&str] = match keyword {
            "minLength" | "maxLength" | "pattern" => &["string"],
            "minItems" | "maxItems" | "uniqueItems" => &["array"],
            "minProperties" | "maxProperties" => &["object"],
            _ => &["integer", "number"],
        };
        self.types.is_empty() || types.iter().any(|name| self.types.contains(*name))
    }

    fn with(mut self, other: Self, merge: fn(Self, Self) -> Self) -> Self {
        self.described |= other.described;
        self.also.extend(other.also);
        self.sampled.extend(other.sampled);
        self.aliases.extend(other.aliases);
        self.examples.extend(other.examples);
        self.prose.extend(other.prose);
        for (keyword, value) in other.attributes {
            self.attributes.entry(keyword).or_insert(value);
        }
        for (name, child) in other.children {
            let merged = match self.children.remove(&name) {
                Some(own) => merge(own, child),
                None => child,
            };
            self.children.insert(name, merged);
        }
        self
    }

    fn add_sample(&mut self, sample: &Value) {
        let name = match sample {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        self.sampled.insert(name.to_owned());
        if sample.is_number() || sample.as_str().is_some_and(|value| !value.is_empty()) {
            self.examples.insert(text(sample));
        }
        for item in list(sample) {
            self.children
                .entry("[]".to_owned())
                .or_default()
                .add_sample(item);
        }
        for (name, member) in map(sample) {
            let mut key = format!(".{name}");
            if !self.children.contains_key(&key) && self.children.contains_key(".*") {
                key = ".*".to_owned();
            }
            self.children.entry(key).or_default().add_sample(member);
        }
    }

    /// Returns the value that `word` means.
    pub(super) fn known(&self, word: &str) -> Option<&str> {
        let mut values = self.values.iter().chain(self.aliases.values());
        let value = values.find(|value| value.eq_ignore_ascii_case(word));
        let value = value.or_else(|| self.aliases.get(word));
        value.map(String::as_str)
    }

    /// Returns types in samples that the schema does not allow.
    pub(super) fn oddly_sampled(&self, allowed: &Self) -> Vec<&str> {
        let fits = |name: &String| {
            allowed.types.is_empty()
                || allowed.types.contains(name)
                || allowed.also.contains(name)
                || (name == "integer" && allowed.types.contains("number"))
        };
        let odd = self.sampled.iter().filter(|name| !fits(name));
        odd.map(String::as_str).collect()
    }

    /// Returns the types of the schema as text, `null` last.
    pub(super) fn type_text(&self) -> String {
        let types = match self.described {
            true => &self.types,
            false => &self.sampled,
        };
        let mut names: Vec<&str> = types.iter().map(String::as_str).collect();
        names.sort_by_key(|name| *name == "null");
        match names.is_empty() {
            true => "any".to_owned(),
            false => names.join(" or "),
        }
    }
}

/// Whether the keyword with this value has no effect.
fn is_no_limit(keyword: &str, value: &Value) -> bool {
    match keyword {
        "minLength" | "minItems" | "minProperties" => value == 0,
        "uniqueItems" => value == false,
        _ => false,
    }
}

/// Returns the looser limit. `None` if neither includes the other.
fn looser<'a>(keyword: &str, one: &'a Value, other: &'a Value) -> Option<&'a Value> {
    let lower = keyword.starts_with("min") || keyword == "exclusiveMinimum";
    let upper = keyword.starts_with("max") || keyword == "exclusiveMaximum";
    match (one.as_f64(), other.as_f64()) {
        (Some(a), Some(b)) if lower => Some(if a <= b { one } else { other }),
        (Some(a), Some(b)) if upper => Some(if a >= b { one } else { other }),
        _ => (one == other).then_some(one),
    }
}

/// Returns a text, or the texts of a list.
fn texts(value: &Value) -> BTreeSet<String> {
    let one = value.as_str().map(str::to_owned);
    one.into_iter()
        .chain(list(value).iter().map(text))
        .collect()
}

/// Returns a value as text: without quotes, unless it is blank or has a comma.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) if !text.trim().is_empty() && !text.contains(',') => text.clone(),
        Value::Number(number) => match number.as_f64() {
            // 1 and 1.0 are the same limit.
            Some(float) if float.fract() == 0.0 && float.abs() < 1e15 => format!("{float}"),
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}
