//! Checks the extensions `x-smtp2go-…`: their values and their places. `spec/README.md` explains
//! each.

use serde_json::Value;

use crate::document::{Document, JSON, OperationAt, list, map};
use crate::problem::{Problems, join};

/// The prefix of every extension that is this document's own.
pub(crate) const PREFIX: &str = "x-smtp2go-";

/// Extensions that are known beyond this project.
const KNOWN_ELSEWHERE: [&str; 2] = ["x-webhooks", "x-extensible-enum"];

/// The revision of this document, as opposed to the version of the API.
const REVISION: &str = "/info/x-smtp2go-revision";

const EVIDENCE: [&str; 6] = [
    "live",
    "sample",
    "schema",
    "docs",
    "inferred",
    "third-party",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum ExtensionPlace {
    Operation,
    Schema,
    Elsewhere,
}

/// Checks every extension in the document.
pub(crate) fn check(document: Document<'_>, problems: &mut Problems) {
    visit(document.root(), "", ExtensionPlace::Elsewhere, problems);
    let revision = document.root().pointer(REVISION);
    if revision.is_some_and(|revision| !revision.as_str().is_some_and(is_day)) {
        problems.add(
            REVISION,
            "the extension `x-smtp2go-revision` is malformed",
            "write a day in quotes, as '2026-03-02'",
        );
    }
    for operation in document.operations() {
        operation_extensions(document, &operation, problems);
    }
    for (name, component) in document.schemas() {
        let pointer = join("/components/schemas", name);
        schemas(document, component, &pointer, problems);
    }
}

/// Checks the extensions of a schema and of the schemas inside it.
fn schemas(document: Document<'_>, schema: &Value, pointer: &str, problems: &mut Problems) {
    schema_extensions(document, schema, pointer, problems);
    for (name, property) in map(&schema["properties"]) {
        let at = join(&join(pointer, "properties"), name);
        schemas(document, property, &at, problems);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            schemas(document, &schema[inner], &join(pointer, inner), problems);
        }
    }
    for (index, part) in list(&schema["oneOf"]).iter().enumerate() {
        schemas(
            document,
            part,
            &join(&join(pointer, "oneOf"), index),
            problems,
        );
    }
}

fn visit(value: &Value, pointer: &str, place: ExtensionPlace, problems: &mut Problems) {
    if let Value::Array(items) = value {
        for (index, item) in items.iter().enumerate() {
            visit(item, &join(pointer, index), place, problems);
        }
    }
    for (key, member) in map(value) {
        let at = join(pointer, key);
        if key.starts_with("x-") && at != "/x-webhooks" && place != ExtensionPlace::Elsewhere
            || key.starts_with(PREFIX)
        {
            placed(key, &at, place, problems);
            continue;
        }
        match (place, key.as_str()) {
            (_, "example" | "examples" | "default") => {}
            (ExtensionPlace::Elsewhere, "schema") => {
                visit(member, &at, ExtensionPlace::Schema, problems);
            }
            (ExtensionPlace::Elsewhere, _) if pointer == "/components/schemas" => {
                visit(member, &at, ExtensionPlace::Schema, problems);
            }
            (ExtensionPlace::Elsewhere, "get" | "put" | "post" | "delete" | "patch")
                if pointer.starts_with("/paths/") =>
            {
                visit(member, &at, ExtensionPlace::Operation, problems);
            }
            (ExtensionPlace::Operation, _) => {
                visit(member, &at, ExtensionPlace::Elsewhere, problems);
            }
            // A property may have any name, `x-…` included.
            (ExtensionPlace::Schema, "properties") => {
                for (name, property) in map(member) {
                    visit(property, &join(&at, name), ExtensionPlace::Schema, problems);
                }
            }
            (place, _) => visit(member, &at, place, problems),
        }
    }
}

fn placed(key: &str, pointer: &str, place: ExtensionPlace, problems: &mut Problems) {
    let operation = [
        "kind",
        "repeat-safe",
        "rate-limit",
        "max-body-bytes",
        "pagination",
        "subaccount",
        "failure-in-200",
        "key-in-body",
        "evidence",
    ];
    let schema = [
        "sensitive",
        "also",
        "also-named",
        "known-words-only",
        "header",
        "refused",
        "max-days-ahead",
        "always-send",
        "aliases",
        "based-on",
        "ignored",
        "known-errors",
        "evidence",
    ];
    if KNOWN_ELSEWHERE.contains(&key) || pointer == REVISION {
        return;
    }
    let name = key.strip_prefix(PREFIX).unwrap_or(key);
    if !operation.contains(&name) && !schema.contains(&name) && name != "revision" {
        problems.add(
            pointer,
            format!("the extension `{key}` is unknown"),
            "correct the spelling; spec/README.md lists all extensions",
        );
    } else if !(place == ExtensionPlace::Operation && operation.contains(&name)
        || place == ExtensionPlace::Schema && schema.contains(&name))
    {
        problems.add(
            pointer,
            format!("the extension `{key}` does not belong here"),
            "spec/README.md lists where it may occur",
        );
    }
}

/// Checks the extensions of one operation or schema, and reports each malformed one.
struct Extensions<'a, 'p> {
    value: &'a Value,
    pointer: &'a str,
    problems: &'p mut Problems,
}

impl<'a> Extensions<'a, '_> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.value.get(format!("{PREFIX}{name}"))
    }

    fn malformed(&mut self, name: &str, remedy: &str) {
        self.problems.add(
            join(self.pointer, format!("{PREFIX}{name}")),
            format!("the extension `{PREFIX}{name}` is malformed"),
            remedy,
        );
    }

    /// Reports the extension if it is present and `sound` returns false.
    fn expect(&mut self, name: &str, remedy: &str, sound: impl FnOnce(&'a Value) -> bool) {
        if self.get(name).is_some_and(|value| !sound(value)) {
            self.malformed(name, remedy);
        }
    }
}

fn is_day(text: &str) -> bool {
    let shape = text.bytes().map(|byte| match byte {
        b'0'..=b'9' => b'0',
        other => other,
    });
    shape.eq(*b"0000-00-00")
}

fn one_of(value: &Value, words: &[&str]) -> bool {
    value.as_str().is_some_and(|word| words.contains(&word))
}

fn only_keys(value: &Value, keys: &[&str]) -> bool {
    value.is_object() && map(value).keys().all(|key| keys.contains(&key.as_str()))
}

fn operation_extensions(
    document: Document<'_>,
    operation: &OperationAt<'_>,
    problems: &mut Problems,
) {
    let request = document.resolve(&operation.value["requestBody"]["content"][JSON]["schema"]);
    let reply = &operation.value["responses"]["200"];
    let reply = &document.response(reply)["content"][JSON]["schema"];
    let takes = |field: &Value| {
        field
            .as_str()
            .is_some_and(|field| request["properties"].get(field).is_some())
    };
    let answers = |pointer: &Value| {
        pointer.as_str().is_some_and(|pointer| {
            pointer.starts_with('/') && document.schema_at(reply, pointer).is_some()
        })
    };
    let mut on = Extensions {
        value: operation.value,
        pointer: &operation.pointer,
        problems,
    };
    for (name, remedy) in [
        ("kind", "add one of read, write, send"),
        ("repeat-safe", "add true or false"),
        ("max-body-bytes", "add 1048576, or the limit of the service"),
    ] {
        if on.get(name).is_none() {
            on.problems.add(
                on.pointer,
                format!("the operation has no `{PREFIX}{name}`"),
                remedy,
            );
        }
    }
    on.expect("kind", "write one of read, write, send", |value| {
        one_of(value, &["read", "write", "send"])
    });
    on.expect("repeat-safe", "write true or false", Value::is_boolean);
    on.expect("max-body-bytes", "write a number above 0", |value| {
        value.as_u64().is_some_and(|bytes| bytes > 0)
    });
    on.expect(
        "rate-limit",
        "write {requests: 60, per: minute}; per is second, minute, hour or day",
        |value| {
            only_keys(value, &["requests", "per"])
                && value["requests"]
                    .as_u64()
                    .is_some_and(|count| count > 0 && u32::try_from(count).is_ok())
                && one_of(&value["per"], &["second", "minute", "hour", "day"])
        },
    );
    let paginates = |value: &Value| {
        only_keys(value, &["style", "in", "out", "items", "size"])
            && takes(&value["in"])
            && answers(&value["items"])
            && (value.get("size").is_none() || takes(&value["size"]))
            && match value["style"].as_str() {
                Some("token") => answers(&value["out"]),
                Some("page") => value.get("out").is_none(),
                _ => false,
            }
    };
    on.expect(
        "pagination",
        "write {style: token|page, in: FIELD, out: /POINTER (token only), items: /POINTER, \
         size: FIELD (optional)}, all of them existing",
        paginates,
    );
    if let Some(pages) = on.get("pagination").filter(|pages| paginates(pages)) {
        for (problem, remedy) in no_stream(document, operation, request, reply, pages) {
            let at = join(on.pointer, format!("{PREFIX}pagination"));
            on.problems.add(at, problem, remedy);
        }
    }
    on.expect("subaccount", "name a field of the request", takes);
    on.expect("key-in-body", "name a field of the request", takes);
    on.expect(
        "failure-in-200",
        "write {count: /POINTER, messages: /POINTER, succeeded: /POINTER, id: /POINTER, status: \
         /POINTER}, at least one of `succeeded`, `id` and `status`, all of them existing in the \
         reply",
        |value| {
            let keys = ["count", "messages", "succeeded", "id", "status"];
            let confirms = keys.iter().skip(2).any(|key| value.get(key).is_some());
            let exist = map(value).values().all(&answers);
            only_keys(value, &keys) && confirms && exist
        },
    );
    on.expect("evidence", &EVIDENCE.join(", "), |value| {
        one_of(value, &EVIDENCE)
    });
}

/// Reports why a pagination whose places exist can't become a stream of results.
fn no_stream(
    document: Document<'_>,
    operation: &OperationAt<'_>,
    request: &Value,
    reply: &Value,
    pages: &Value,
) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    if one_of(
        &operation.value[format!("{PREFIX}kind")],
        &["write", "send"],
    ) {
        found.push((
            "pages are fetched ahead, so the operation must be a `read`".to_owned(),
            "remove `pagination`",
        ));
    }
    let id = operation.value["operationId"].as_str().unwrap_or_default();
    let stream = format!("{id}_all");
    if document
        .operations()
        .iter()
        .any(|other| other.value["operationId"] == stream)
    {
        found.push((
            format!("the stream of `{id}` would have the name of the operation `{stream}`"),
            "give that operation another operationId",
        ));
    }
    let type_of = |schema: &Value| {
        let schema = schema["oneOf"].get(0).unwrap_or(schema);
        // A value of an open enum is text on the wire, but has its own Rust type.
        let is_enum = schema.get("x-extensible-enum").is_some();
        let kind = schema["type"].as_str().filter(|_| !is_enum);
        kind.unwrap_or_default().to_owned()
    };
    let number = match pages["style"].as_str() {
        Some("page") => "integer",
        _ => "string",
    };
    for (key, wanted) in [("in", number), ("size", "integer")] {
        let Some(field) = pages[key].as_str() else {
            continue;
        };
        let kind = type_of(document.resolve(&request["properties"][field]));
        if kind != wanted || list(&request["required"]).iter().any(|name| name == field) {
            found.push((
                format!("the field `{field}` can't serve as `{key}`"),
                "name an optional field: an integer for pages and sizes, a string for tokens",
            ));
        }
    }
    let base = match document.schema_at(reply, "/data") {
        Some(_) => "/data",
        None => "",
    };
    for (key, wanted) in [("out", "string"), ("items", "array")] {
        let Some(pointer) = pages[key].as_str() else {
            continue;
        };
        let kind = document.schema_at(reply, pointer).map(type_of);
        let below = pointer.strip_prefix(base);
        if kind.as_deref() != Some(wanted)
            || below.is_none_or(|below| below.matches('/').count() > 1)
        {
            found.push((
                format!("`{pointer}` can't serve as `{key}`"),
                "point to a list for the items and to a string for the token; to `/data` itself or \
                 right below it, or right below the root where a reply has no `data`",
            ));
        }
    }
    found
}

fn schema_extensions(
    document: Document<'_>,
    schema: &Value,
    pointer: &str,
    problems: &mut Problems,
) {
    let resolved = document.resolve(schema);
    let words = |value: &Value| -> Vec<String> {
        list(&value["x-extensible-enum"])
            .iter()
            .filter_map(|word| Some(word.as_str()?.to_owned()))
            .collect()
    };
    let item = document.resolve(&resolved["items"]);
    let mut on = Extensions {
        value: schema,
        pointer,
        problems,
    };
    if let Some(vocabulary) = schema.get("x-extensible-enum") {
        let mut names: Vec<_> = words(schema)
            .iter()
            .map(|word| crate::names::pascal_case(word))
            .collect();
        names.sort();
        names.dedup();
        if schema["type"] != "string" || names.is_empty() || names.len() != list(vocabulary).len() {
            on.problems.add(
                join(pointer, "x-extensible-enum"),
                "the extension `x-extensible-enum` is malformed",
                "list distinct values, in a component of type string",
            );
        }
    }
    on.expect(
        "sensitive",
        "write true; allowed on a string or any JSON",
        |value| {
            *value == Value::Bool(true)
                && (resolved["type"] == "string" || resolved.get("type").is_none())
        },
    );
    on.expect("also", "list JSON types", |value| {
        let types = ["string", "integer", "number", "boolean", "object", "array"];
        !list(value).is_empty() && list(value).iter().all(|word| one_of(word, &types))
    });
    on.expect("also-named", "list other names of the property", |value| {
        !list(value).is_empty() && list(value).iter().all(Value::is_string)
    });
    on.expect(
        "known-words-only",
        "write true; allowed on a field whose type is an open enum",
        |value| {
            *value == Value::Bool(true)
                && (!words(resolved).is_empty()
                    || resolved["type"] == "array" && !words(item).is_empty())
        },
    );
    on.expect(
        "header",
        "write true; allowed on a string or a list of strings",
        |value| {
            let text = |schema: &Value| {
                schema["type"] == "string" && schema.get("x-extensible-enum").is_none()
            };
            *value == Value::Bool(true)
                && (text(resolved) || resolved["type"] == "array" && text(item))
        },
    );
    on.expect(
        "refused",
        "write a list of strings; allowed on a string",
        |value| {
            let texts = list(value);
            resolved["type"] == "string"
                && resolved.get("x-extensible-enum").is_none()
                && !texts.is_empty()
                && texts.iter().all(Value::is_string)
        },
    );
    on.expect(
        "max-days-ahead",
        "write a number; allowed on a timestamp",
        |value| resolved["format"] == "timestamp" && value.as_u64().is_some_and(|days| days > 0),
    );
    on.expect(
        "based-on",
        "write {reply: COMPONENT, names: {FIELD: FIELD OF THE REPLY}, unset: {TEXT FIELD: [TEXT]}}, of \
         the same types",
        |value| {
            let reply = value["reply"].as_str().and_then(|name| {
                let mut components = document.schemas().into_iter();
                components.find(|(component, _)| *component == name)
            });
            reply.is_some_and(|(_, reply)| {
                let is_text = |field: &String| {
                    document.resolve(&schema["properties"][field])["type"] == "string"
                };
                let texts = |texts: &Value| {
                    !list(texts).is_empty() && list(texts).iter().all(Value::is_string)
                };
                only_keys(value, &["reply", "names", "unset"])
                    && map(&value["unset"])
                        .iter()
                        .all(|(field, values)| is_text(field) && texts(values))
                    && map(&value["names"]).iter().all(|(field, name)| {
                        let name = name.as_str().unwrap_or_default();
                        let ours = document.resolve(&schema["properties"][field]);
                        let theirs = document.resolve(&reply["properties"][name]);
                        ours["type"].is_string() && ours["type"] == theirs["type"]
                    })
            })
        },
    );
    on.expect(
        "ignored",
        "list names that the object does not have",
        |value| {
            let is_other = |name: &Value| {
                let name = name.as_str();
                name.is_some_and(|name| schema["properties"].get(name).is_none())
            };
            schema["additionalProperties"] == false
                && !list(value).is_empty()
                && list(value).iter().all(is_other)
        },
    );
    on.expect(
        "known-errors",
        "list {contains: [TEXT, …] or code: CODE, cause: key|sender|rate, rejected: true (optional), \
         evidence: …}",
        |value| {
            let texts = |value: &Value| {
                let filled = |text: &Value| text.as_str().is_some_and(|text| !text.is_empty());
                !list(value).is_empty() && list(value).iter().all(filled)
            };
            !list(value).is_empty()
                && list(value).iter().all(|error| {
                    only_keys(
                        error,
                        &["contains", "code", "cause", "rejected", "evidence"],
                    ) && match (error.get("contains"), error.get("code")) {
                        (Some(parts), None) => texts(parts),
                        (None, Some(code)) => code.as_str().is_some_and(|code| !code.is_empty()),
                        _ => false,
                    } && one_of(&error["cause"], &["key", "sender", "rate"])
                        && one_of(&error["evidence"], &EVIDENCE)
                        && error
                            .get("rejected")
                            .is_none_or(|value| *value == Value::Bool(true))
                })
        },
    );
    // The generated types default to `false`.
    on.expect(
        "always-send",
        "write true; allowed on a boolean with `default: false`",
        |value| {
            *value == Value::Bool(true)
                && resolved["type"] == "boolean"
                && schema["default"] == Value::Bool(false)
        },
    );
    on.expect(
        "aliases",
        "map other spellings to values of this enum",
        |value| {
            let words = words(schema);
            value.is_object()
                && map(value).iter().all(|(alias, word)| {
                    !words.contains(alias)
                        && word
                            .as_str()
                            .is_some_and(|word| words.iter().any(|w| w == word))
                })
        },
    );
    on.expect("evidence", &EVIDENCE.join(", "), |value| {
        one_of(value, &EVIDENCE)
    });
}
