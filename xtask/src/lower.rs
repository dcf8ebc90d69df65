//! Second stage: the Rust view of the spec.
//!
//! In: a checked spec. Out: a [`View`], plain values for the later stages. The published document
//! describes the API; the view describes the Rust code:
//!
//! | in the document | in the view |
//! | --- | --- |
//! | operation `sms_send` with the tag `sms` | [`Operation`] `send` of the group `sms`, with the names of its request and reply |
//! | a component that only operations of `sms` reach | [`Object`] of the group `sms`; [`Role::Request`] if a request reaches it |
//! | `destination: {type: array, items: {type: string}, maxItems: 100}`, required | [`Field`] of the shape `List(Text)`, required, with the limit `max: 100` |
//! | the same in a reply | the same shape, never required |
//! | `format: timestamp`, `format: password`, `x-extensible-enum` | [`Scalar::Timestamp`], [`Scalar::Secret`], [`Scalar::Word`] |

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::{reach, reached};
use crate::document::{Document, JSON, is_map, list, map, reference_name};
use crate::known;
use crate::load::Spec;
use crate::names::pascal_case;

/// A spec, in Rust's terms.
#[derive(Clone, Debug)]
pub struct View {
    /// `info.title`.
    pub title: String,
    /// `info.version`.
    pub version: String,
    /// API groups in the order of the document, each with its description.
    pub groups: Vec<(String, String)>,
    /// Operations in the order of the document.
    pub operations: Vec<Operation>,
    /// Objects in the order of the document.
    pub objects: Vec<Object>,
    /// Open enums in the order of the document.
    pub open_enums: Vec<OpenEnum>,
    /// Payloads that the service posts to its users.
    pub webhooks: Vec<Webhook>,
    /// The value of `x-smtp2go-known-errors`.
    pub known_errors: Vec<KnownError>,
}

/// The meaning of a known error.
#[derive(Clone, Debug)]
pub struct KnownError {
    /// Parts of its text.
    pub contains: Vec<String>,
    /// The end of its code.
    pub code: Option<String>,
    /// `key` or `sender`.
    pub cause: String,
    /// Whether the error proves, with any status, that the call was not processed.
    pub rejected: bool,
}

/// One call of the API.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The operation id, `<group>_<action>`.
    pub id: String,
    /// The API group: the tag in the document.
    pub group: String,
    /// The id without its group.
    pub action: String,
    /// The HTTP method, in capitals.
    pub method: String,
    /// The path as in the document, relative to the server's URL.
    pub path: String,
    /// The summary, one line.
    pub summary: String,
    /// The description, in Markdown.
    pub description: String,
    /// Whether the document marks it as deprecated.
    pub deprecated: bool,
    /// The request object; `None` if the operation has no request body.
    pub request: Option<String>,
    /// The reply object; `None` if the body is not known.
    pub reply: Option<String>,
    /// The object in the body of a status from 400 to 499.
    pub error: Option<String>,
    /// The value of `x-smtp2go-kind`.
    pub kind: String,
    /// The value of `x-smtp2go-repeat-safe`.
    pub repeat_safe: bool,
    /// The value of `x-smtp2go-rate-limit`, as a number and seconds.
    pub rate_limit: Option<(u64, u64)>,
    /// The value of `x-smtp2go-max-body-bytes`.
    pub max_body_bytes: Option<u64>,
    /// The value of `x-smtp2go-pagination`.
    pub pagination: Option<Pagination>,
    /// The value of `x-smtp2go-subaccount`.
    pub subaccount: Option<String>,
    /// The value of `x-smtp2go-failure-in-200`.
    pub failure_in_200: Option<FailureIn200>,
    /// The value of `x-smtp2go-key-in-body`.
    pub key_in_body: Option<String>,
    /// The value of `x-smtp2go-evidence`.
    pub evidence: Option<String>,
}

/// The places in the reply to a send that show whether a message was accepted: pointers, in which
/// `*` means each item of a list.
#[derive(Clone, Debug)]
pub struct FailureIn200 {
    /// The number of failures.
    pub count: Option<String>,
    /// The reasons.
    pub messages: Option<String>,
    /// The number of successes.
    pub succeeded: Option<String>,
    /// The id of the accepted message.
    pub id: Option<String>,
    /// The status of each message.
    pub status: Option<String>,
}

/// The pagination of a list of results.
#[derive(Clone, Debug)]
pub struct Pagination {
    /// The style of pagination, `token` or `page`.
    pub style: String,
    /// The request field for the next page.
    pub request: String,
    /// Pointer to the next page's token in the reply. Only for the style `token`.
    pub reply: Option<String>,
    /// Pointer to the list of results in the reply.
    pub items: String,
    /// The request field for the number of results per page.
    pub size: Option<String>,
}

/// Whether an object is sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The object is sent to the service.
    Request,
    /// The object is received from the service, in a reply or by a webhook.
    Reply,
}

/// A struct to generate.
#[derive(Clone, Debug)]
pub struct Object {
    /// Name of the component and of the struct.
    pub name: String,
    /// The only group that uses it; `None` if several do.
    pub group: Option<String>,
    /// Whether the struct is sent or received.
    pub role: Role,
    /// The description, in Markdown.
    pub description: String,
    /// In the order of the document.
    pub fields: Vec<Field>,
    /// `x-smtp2go-also`: other JSON types that may occur in its place.
    pub also: Vec<String>,
    /// The member that the client fills in, which therefore is not a field.
    pub injected: Option<String>,
    /// `x-smtp2go-based-on`: the reply with the state that a request sets.
    pub based_on: Option<BasedOn>,
}

/// The source of the current state for a request that sets the whole state.
#[derive(Clone, Debug)]
pub struct BasedOn {
    /// The object with the state.
    pub reply: String,
    /// Pairs of a field of the request and the different name of this field in the reply.
    pub names: Vec<(String, String)>,
    /// Pairs of a field of the request and the values in the reply that mean "not set".
    pub unset: Vec<(String, Vec<String>)>,
}

/// A field to generate.
#[derive(Clone, Debug)]
pub struct Field {
    /// The name on the wire.
    pub wire: String,
    /// The description, in Markdown.
    pub description: String,
    /// Whether the document marks it as deprecated.
    pub deprecated: bool,
    /// The shape of the value.
    pub shape: Shape,
    /// Whether a request requires it. Never true for replies.
    pub required: bool,
    /// The value to send if the field is not set.
    pub always_send: Option<bool>,
    /// `default`, as JSON, for the documentation only.
    pub default: Option<String>,
    /// Other names that the field may have in a reply.
    pub also_named: Vec<String>,
    /// Constraints of the value, checked before it is sent.
    pub limits: Limits,
    /// Constraints of each item of a list, checked before it is sent.
    pub item_limits: Limits,
    /// The value of `x-smtp2go-evidence`.
    pub evidence: Option<String>,
}

/// A single value, a list or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One value.
    One(Scalar),
    /// A list.
    List(Scalar),
    /// A map from names to values.
    Map(Scalar),
}

impl Shape {
    /// Returns the type of the value, of the items or of the values of the map.
    pub fn scalar(&self) -> &Scalar {
        match self {
            Self::One(scalar) | Self::List(scalar) | Self::Map(scalar) => scalar,
        }
    }
}

/// The type of a single value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scalar {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// Any JSON.
    Any,
    /// A time in one of the API's layouts.
    Timestamp,
    /// A day.
    Date,
    /// Text that must not be shown.
    Secret,
    /// A URL. Only its scheme and host may be shown.
    Url,
    /// Any JSON that must not be shown.
    SecretJson,
    /// Text or an object.
    TextOrObject,
    /// A value of the open enum of this name.
    Word(String),
    /// An object of this name.
    Object(String),
}

/// The checks before sending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Minimum number of characters or items.
    pub min: Option<u64>,
    /// Maximum number of characters or items.
    pub max: Option<u64>,
    /// Minimum of a number.
    pub minimum: Option<f64>,
    /// Maximum of a number.
    pub maximum: Option<f64>,
    /// The only numbers allowed.
    pub one_of: Vec<i64>,
    /// Whether only known values are allowed.
    pub known: bool,
    /// Whether the text becomes a header. Such a text can't contain control characters.
    pub header: bool,
    /// Maximum number of days that a time may be in the future.
    pub days_ahead: Option<u64>,
    /// Texts that the service refuses, in any letter case.
    pub refused: Vec<String>,
}

/// An open enum to generate.
#[derive(Clone, Debug)]
pub struct OpenEnum {
    /// Name of the component and of the enum.
    pub name: String,
    /// The only group that uses it; `None` if several do.
    pub group: Option<String>,
    /// The description, in Markdown.
    pub description: String,
    /// For each value, the value, its variant, and other spellings of it.
    pub words: Vec<(String, String, Vec<String>)>,
}

/// A payload that the service posts.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The key under `x-webhooks`.
    pub name: String,
    /// Name of the object in the body.
    pub object: String,
}

impl Object {
    /// Whether the struct has a default: all its fields are optional.
    pub fn has_default(&self) -> bool {
        self.fields.iter().all(|field| !field.required)
    }
}

impl View {
    /// Returns the operation with this id.
    pub fn operation(&self, id: &str) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    /// Returns the object with this name.
    pub fn object(&self, name: &str) -> Option<&Object> {
        self.objects.iter().find(|object| object.name == name)
    }

    /// Returns the shape of a reply's `data`; `None` if the reply has none.
    pub fn data(&self, reply: &str) -> Option<&Shape> {
        let data = self.object(reply)?.fields.iter();
        Some(&data.into_iter().find(|field| field.wire == "data")?.shape)
    }
}

/// Converts a checked spec into the view.
pub fn lower(spec: &Spec) -> View {
    let document = Document::new(&spec.document);
    let owners = owners(document);
    let (requests, _) = reached(document);
    let mut objects = Vec::new();
    let mut open_enums = Vec::new();
    for (name, component) in document.schemas() {
        let group = owners.get(name.as_str()).cloned().flatten();
        if component["type"] == "object" && !map(component).is_empty() && !is_map(component) {
            let role = if requests.contains(name.as_str()) {
                Role::Request
            } else {
                Role::Reply
            };
            objects.push(object(document, name, group, role, component));
        } else if component.get("x-extensible-enum").is_some() {
            open_enums.push(open_enum(name, group, component));
        }
    }
    let mut operations: Vec<_> = document
        .operations()
        .iter()
        .map(|operation| {
            let mut lowered = lower_operation(document, operation.value);
            lowered.method = operation.method.to_uppercase();
            operation.path.clone_into(&mut lowered.path);
            lowered
        })
        .collect();
    for operation in &mut operations {
        let is_object = |name: &String| objects.iter().any(|object| object.name == *name);
        operation.error = operation.error.take().filter(is_object);
    }
    // The client inserts the key, and ignores one in the request.
    for operation in &operations {
        if let (Some(request), Some(key)) = (&operation.request, &operation.key_in_body)
            && let Some(object) = objects.iter_mut().find(|object| object.name == *request)
        {
            object.fields.retain(|field| field.wire != *key);
            object.injected = Some(key.clone());
        }
    }
    View {
        title: text(&spec.document["info"]["title"]),
        version: text(&spec.document["info"]["version"]),
        groups: list(&spec.document["tags"])
            .iter()
            .map(|tag| (text(&tag["name"]), text(&tag["description"])))
            .collect(),
        operations,
        objects,
        open_enums,
        webhooks: document
            .webhooks()
            .iter()
            .filter_map(|webhook| {
                let schema = &webhook.value["requestBody"]["content"][JSON]["schema"];
                Some(Webhook {
                    name: webhook.name.to_owned(),
                    object: reference_name(schema)?.to_owned(),
                })
            })
            .collect(),
        known_errors: document
            .schemas()
            .into_iter()
            .flat_map(|(_, component)| list(&component["x-smtp2go-known-errors"]))
            .map(|error| KnownError {
                contains: list(&error["contains"]).iter().map(text).collect(),
                code: optional_text(&error["code"]),
                cause: text(&error["cause"]),
                rejected: error["rejected"] == Value::Bool(true),
            })
            .collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().trim().to_owned()
}

fn optional_text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// Returns for each component the only group that reaches it; `None` if several do, or none.
fn owners(document: Document<'_>) -> BTreeMap<String, Option<String>> {
    let mut owners: BTreeMap<String, Option<String>> = BTreeMap::new();
    let mut claim = |group: &Value, content: &Value| {
        let Some(name) = reference_name(&content[JSON]["schema"]) else {
            return;
        };
        let mut names = std::collections::BTreeSet::new();
        reach(document, name, &mut names);
        let group = optional_text(group);
        for name in names {
            owners
                .entry(name.to_owned())
                .and_modify(|owner| {
                    if *owner != group {
                        *owner = None;
                    }
                })
                .or_insert_with(|| group.clone());
        }
    };
    for operation in document.operations() {
        let group = &operation.value["tags"][0];
        claim(group, &operation.value["requestBody"]["content"]);
        for response in map(&operation.value["responses"]).values() {
            claim(group, &document.response(response)["content"]);
        }
    }
    for webhook in document.webhooks() {
        claim(
            &webhook.value["tags"][0],
            &webhook.value["requestBody"]["content"],
        );
    }
    owners
}

fn object(
    document: Document<'_>,
    name: &str,
    group: Option<String>,
    role: Role,
    component: &Value,
) -> Object {
    let required = list(&component["required"]);
    let fields = map(&component["properties"])
        .iter()
        .map(|(wire, schema)| field(document, wire, schema, required, role))
        .collect();
    Object {
        name: name.to_owned(),
        group,
        role,
        description: text(&component["description"]),
        fields,
        also: list(&component["x-smtp2go-also"])
            .iter()
            .map(text)
            .collect(),
        injected: None,
        based_on: component.get("x-smtp2go-based-on").map(|based_on| BasedOn {
            reply: text(&based_on["reply"]),
            names: map(&based_on["names"])
                .iter()
                .map(|(field, name)| (field.clone(), text(name)))
                .collect(),
            unset: map(&based_on["unset"])
                .iter()
                .map(|(field, texts)| (field.clone(), list(texts).iter().map(text).collect()))
                .collect(),
        }),
    }
}

fn field(
    document: Document<'_>,
    wire: &str,
    schema: &Value,
    required: &[Value],
    role: Role,
) -> Field {
    let resolved = document.resolve(schema);
    let described = if schema.get("description").is_some() {
        schema
    } else {
        resolved
    };
    let shape = shape(document, schema, resolved);
    let extension = |name: &str| schema.get(name).or_else(|| resolved.get(name));
    let mut limits = limits(resolved, role);
    // A minimum of zero for a count is useful for validators, but not in Rust's documentation.
    if role == Role::Reply && limits.minimum == Some(0.0) {
        limits.minimum = None;
    }
    let mut item_limits = match shape {
        Shape::List(_) => self::limits(document.resolve(&resolved["items"]), role),
        _ => Limits::default(),
    };
    if extension("x-smtp2go-known-words-only").is_some() {
        match shape {
            Shape::List(_) => item_limits.known = true,
            _ => limits.known = true,
        }
    }
    if extension("x-smtp2go-header").is_some() {
        match shape {
            Shape::List(_) => item_limits.header = true,
            _ => limits.header = true,
        }
    }
    if let Some(refused) = extension("x-smtp2go-refused") {
        limits.refused = list(refused).iter().map(text).collect();
    }
    let always_send = extension("x-smtp2go-always-send").and(schema["default"].as_bool());
    Field {
        wire: wire.to_owned(),
        description: known::without(&text(&described["description"])).to_owned(),
        deprecated: schema["deprecated"] == Value::Bool(true),
        required: role == Role::Request
            && always_send.is_none()
            && required.iter().any(|name| name == wire),
        always_send,
        default: extension("default").map(Value::to_string),
        also_named: extension("x-smtp2go-also-named")
            .map(|names| list(names).iter().map(text).collect())
            .unwrap_or_default(),
        shape,
        limits,
        item_limits,
        evidence: extension("x-smtp2go-evidence").and_then(optional_text),
    }
}

fn shape(document: Document<'_>, schema: &Value, resolved: &Value) -> Shape {
    let main = resolved["oneOf"].get(0).unwrap_or(resolved);
    match main["type"].as_str() {
        Some("array") => Shape::List(scalar(document, &main["items"])),
        Some("object") if is_map(main) => {
            let values = &main["additionalProperties"];
            Shape::Map(if values.is_object() {
                scalar(document, values)
            } else {
                Scalar::Any
            })
        }
        _ => Shape::One(scalar(document, schema)),
    }
}

fn scalar(document: Document<'_>, schema: &Value) -> Scalar {
    let resolved = document.resolve(schema);
    let main = resolved["oneOf"].get(0).unwrap_or(resolved);
    let extension = |name: &str| schema.get(name).or_else(|| resolved.get(name));
    let named = || document.component_of(schema).unwrap_or_default().to_owned();
    match main["type"].as_str() {
        Some("string") if main.get("x-extensible-enum").is_some() => Scalar::Word(named()),
        Some("string") if extension("x-smtp2go-sensitive").is_some() => Scalar::Secret,
        Some("string") if main["format"] == "url" => Scalar::Url,
        Some("string") if main["format"] == "timestamp" => Scalar::Timestamp,
        Some("string") if main["format"] == "date" => Scalar::Date,
        Some("string")
            if extension("x-smtp2go-also")
                .is_some_and(|types| list(types).iter().any(|name| name == "object")) =>
        {
            Scalar::TextOrObject
        }
        Some("string") => Scalar::Text,
        Some("integer") => Scalar::Integer,
        Some("number") => Scalar::Number,
        Some("boolean") => Scalar::Boolean,
        Some("object") if !is_map(main) => Scalar::Object(named()),
        None if extension("x-smtp2go-sensitive").is_some() => Scalar::SecretJson,
        _ => Scalar::Any,
    }
}

fn limits(schema: &Value, role: Role) -> Limits {
    // The Rust type is wider than `int32`, as replies need, so requests are limited to its range. A
    // list of allowed numbers makes that limit unnecessary.
    let narrow =
        role == Role::Request && schema["format"] == "int32" && schema.get("enum").is_none();
    let width = |limit: i32| narrow.then(|| f64::from(limit));
    let count = |one: &str, other: &str| schema[one].as_u64().or_else(|| schema[other].as_u64());
    Limits {
        min: count("minItems", "minLength"),
        max: count("maxItems", "maxLength"),
        minimum: schema["minimum"].as_f64().or_else(|| width(i32::MIN)),
        maximum: schema["maximum"].as_f64().or_else(|| width(i32::MAX)),
        one_of: list(&schema["enum"])
            .iter()
            .filter_map(Value::as_i64)
            .collect(),
        known: false,
        header: false,
        days_ahead: schema["x-smtp2go-max-days-ahead"].as_u64(),
        refused: Vec::new(),
    }
}

fn open_enum(name: &str, group: Option<String>, component: &Value) -> OpenEnum {
    let aliases = map(&component["x-smtp2go-aliases"]);
    let words = list(&component["x-extensible-enum"])
        .iter()
        .filter_map(Value::as_str)
        .map(|word| {
            let spellings = aliases
                .iter()
                .filter(|(_, main)| *main == word)
                .map(|(alias, _)| alias.clone())
                .collect();
            (word.to_owned(), pascal_case(word), spellings)
        })
        .collect();
    OpenEnum {
        name: name.to_owned(),
        group,
        description: known::without(&text(&component["description"])).to_owned(),
        words,
    }
}

fn lower_operation(document: Document<'_>, value: &Value) -> Operation {
    let id = text(&value["operationId"]);
    let group = text(&value["tags"][0]);
    let action = id
        .strip_prefix(&format!("{group}_"))
        .unwrap_or(&id)
        .to_owned();
    let body = |content: &Value| optional_text(&content["content"][JSON]["schema"]["$ref"]);
    let component = |reference: Option<String>| {
        Some(reference?.rsplit('/').next().unwrap_or_default().to_owned())
    };
    let extension = |name: &str| &value[format!("x-smtp2go-{name}")];
    let rate = extension("rate-limit");
    let seconds = match rate["per"].as_str() {
        Some("second") => 1,
        Some("minute") => 60,
        Some("hour") => 3_600,
        _ => 86_400,
    };
    let pages = extension("pagination");
    let failure = extension("failure-in-200");
    Operation {
        action,
        method: String::new(),
        path: String::new(),
        summary: text(&value["summary"]),
        description: text(&value["description"]),
        deprecated: value["deprecated"] == Value::Bool(true),
        request: component(body(&value["requestBody"])),
        reply: component(body(document.response(&value["responses"]["200"]))),
        error: map(&value["responses"])
            .iter()
            .filter(|(status, _)| status.starts_with('4'))
            .find_map(|(_, response)| component(body(document.response(response)))),
        kind: text(extension("kind")),
        repeat_safe: *extension("repeat-safe") == Value::Bool(true),
        rate_limit: rate["requests"].as_u64().map(|count| (count, seconds)),
        max_body_bytes: extension("max-body-bytes").as_u64(),
        pagination: pages.is_object().then(|| Pagination {
            style: text(&pages["style"]),
            request: text(&pages["in"]),
            reply: optional_text(&pages["out"]),
            items: text(&pages["items"]),
            size: optional_text(&pages["size"]),
        }),
        subaccount: optional_text(extension("subaccount")),
        failure_in_200: failure.is_object().then(|| FailureIn200 {
            count: optional_text(&failure["count"]),
            messages: optional_text(&failure["messages"]),
            succeeded: optional_text(&failure["succeeded"]),
            id: optional_text(&failure["id"]),
            status: optional_text(&failure["status"]),
        }),
        key_in_body: optional_text(extension("key-in-body")),
        evidence: optional_text(extension("evidence")),
        id,
        group,
    }
}
