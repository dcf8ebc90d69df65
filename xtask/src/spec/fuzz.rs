//! Tests with other tools: Schemathesis calls the sandbox, and the SDK calls Prism.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::check;
use crate::document::{Document, list, map};
use crate::spec::sandbox::{self, Sandbox};
use crate::spec::tools::{self, Tools};
use crate::{SPEC, load};

/// Calls every operation of a sandbox with Schemathesis, with at most `cases` valid and `cases`
/// invalid bodies.
///
/// # Errors
///
/// If a reply does not match the spec.
pub fn schemathesis(root: &Path, tools: &Tools, cases: u32) -> Result<(), String> {
    let spec = load::load(&root.join(SPEC)).map_err(|problems| problems.to_string())?;
    let folder = tools.scratch("schemathesis")?;
    let document = folder.join("openapi.json");
    tools::write(&document, closed(&spec.document).to_string())?;
    let sandbox = Sandbox::start(root, &["--strict", "--stateless"])?;
    let mut command = tools.pypi("schemathesis");
    command
        .arg("run")
        .arg(&document)
        .args(["--url", &sandbox.base_url])
        .args(["--header", &format!("X-Smtp2go-Api-Key: {}", sandbox.key)])
        // Every run makes the same choices, so no seed is needed.
        .arg("--generation-deterministic")
        .args([
            "--max-examples",
            &cases.to_string(),
            "--phases",
            "examples,coverage,fuzzing",
        ])
        .args([
            "--suppress-health-check",
            "all",
            "--warnings",
            "off",
            "--no-color",
        ])
        .args([
            "--continue-on-failure",
            "--no-shrink",
            "--request-timeout",
            "20",
        ])
        .current_dir(&folder);
    tools::run(&mut command)
}

/// Returns the spec with rules of its extensions and descriptions as JSON Schema:
///
/// - where the service refuses unknown values, the values are an `enum`;
/// - the smallest 64-bit integer is excluded, because the sandbox can't distinguish it from smaller
///   numbers;
/// - an empty body is the same as `{}` if no field is required;
/// - an optional text is not empty, except in edits, which can clear a value;
/// - files have a name and an `http` or `https` URL, a batch has a mail, and a text message has a text;
/// - the `custom_headers` of webhooks are left out, because no keyword describes headers of any shape;
/// - a field that becomes a header is printable, or an address if it is for addresses;
/// - a mail has a body, and a MIME message a sender and a recipient.
pub fn closed(document: &Value) -> Value {
    let view = Document::new(document);
    let mut closed = document.clone();
    for (name, component) in view.schemas() {
        for (field, property) in map(&component["properties"]) {
            if property["format"] == "int64" && property.get("minimum").is_none() {
                closed["components"]["schemas"][name]["properties"][field]["minimum"] =
                    (i64::MIN + 1).into();
            }
            let optional = !list(&component["required"]).contains(&field.as_str().into());
            let place = &mut closed["components"]["schemas"][name]["properties"][field];
            close_text(name, field, place, optional);
            if property["x-smtp2go-known-words-only"] != true {
                continue;
            }
            let resolved = view.resolve(property);
            let place = &mut closed["components"]["schemas"][name]["properties"][field];
            let words =
                |schema: &Value| json!({ "type": "string", "enum": schema["x-extensible-enum"] });
            if resolved["type"] == "array" {
                place["items"] = words(view.resolve(&resolved["items"]));
            } else {
                *place = words(resolved);
            }
        }
    }
    require_content(view, &mut closed);
    for name in ["WebhookAddRequest", "WebhookEditRequest"] {
        if let Some(fields) = closed["components"]["schemas"][name]["properties"].as_object_mut() {
            fields.remove("custom_headers");
        }
    }
    let filled = |field: &str, pattern: &str| json!({ "required": [field], "properties": { field: { "pattern": pattern } } });
    for name in ["EmailSendRequest", "BatchEmail"] {
        closed["components"]["schemas"][name]["anyOf"] = json!([
            filled("text_body", "."),
            filled("html_body", "[A-Za-z]"),
            filled("template_id", "."),
        ]);
    }
    for operation in view.operations() {
        let body = &operation.value["requestBody"]["content"][crate::document::JSON]["schema"];
        if list(&view.resolve(body)["required"]).is_empty() {
            closed["paths"][operation.path][operation.method]["requestBody"]["required"] =
                false.into();
        }
    }
    closed
}

/// Excludes the empty text where a strict sandbox refuses it: in optional fields of requests that are not
/// edits, and in the subaccount of all requests.
fn require_content(view: Document<'_>, closed: &mut Value) {
    for operation in view.operations() {
        let id = operation.value["operationId"].as_str().unwrap_or_default();
        let edits = id.ends_with("_edit") || id.ends_with("_patch");
        let body = &operation.value["requestBody"]["content"][crate::document::JSON]["schema"];
        let mut names = BTreeSet::new();
        for name in check::direct_references(body) {
            check::reach(view, name, &mut names);
        }
        for name in names {
            let component = view.schema(name);
            for (field, property) in map(&component["properties"]) {
                let resolved = view.resolve(property);
                let is_subaccount = operation.value["x-smtp2go-subaccount"] == **field;
                if resolved["type"] != "string"
                    || resolved["format"] == "byte"
                    || property["default"] == ""
                    || resolved["default"] == ""
                    || list(&component["required"]).contains(&field.as_str().into())
                    || (edits && !is_subaccount)
                {
                    continue;
                }
                let place = &mut closed["components"]["schemas"][name]["properties"][field];
                // Keywords beside `$ref` have no effect.
                if place.get("$ref").is_some() {
                    *place = json!({ "allOf": [place.take()] });
                }
                place["minLength"] = 1.into();
            }
        }
    }
    closed["components"]["schemas"]["EmailBatchRequest"]["properties"]["emails"]["minItems"] =
        1.into();
}

/// Restricts a field, such as a header or an address, to values that the sandbox accepts.
fn close_text(component: &str, field: &str, place: &mut Value, optional: bool) {
    const ADDRESS: &str = "^[a-z]{1,9}@[a-z]{1,9}[.][a-z]{1,9}$";
    const ADDRESS_OR_NOTHING: &str = "^([a-z]{1,9}@[a-z]{1,9}[.][a-z]{1,9})?$";
    // From: a@example.com, To: b@example.net
    const MESSAGE: &str = "RnJvbTogYUBleGFtcGxlLmNvbQ0KVG86IGJAZXhhbXBsZS5uZXQNCg0KSGVsbG8NCg==";
    let is_request = component.ends_with("Request") || component == "BatchEmail";
    let is_header = place["x-smtp2go-header"] == true;
    let is_list = place["type"] == "array";
    let text = if is_list { &mut place["items"] } else { place };
    let is_address = is_header && text["format"] == "mailbox";
    match field {
        "mime_email" => text["enum"] = json!([MESSAGE]),
        "bounce_notifications" if is_request => text["enum"] = json!(["from", "drop"]),
        // An entry that is removed need not be an address.
        "allowed_senders" | "allowed_recipients" if is_request && !component.contains("Remove") => {
            text["pattern"] = ADDRESS.into();
        }
        "email_address" if component == "SuppressionAddRequest" => text["pattern"] = ADDRESS.into(),
        "content" if component == "SmsSendRequest" => text["minLength"] = 1.into(),
        "filename" if component == "Attachment" => text["pattern"] = "^[ -~]+$".into(),
        "url" if component == "Attachment" => {
            text["pattern"] = "^https?://[a-z]{1,9}[.][a-z]{1,9}/[a-z]{0,9}$".into();
        }
        "header" if component == "CustomHeader" => text["pattern"] = "^X-[A-Za-z]+$".into(),
        _ if is_address && optional && !is_list => text["pattern"] = ADDRESS_OR_NOTHING.into(),
        _ if is_address => text["pattern"] = ADDRESS.into(),
        _ if is_header => text["pattern"] = "^[ -~]*$".into(),
        _ => {}
    }
}

/// Calls every operation of a Prism mock with the SDK, by the group's method and by the raw client.
/// If a request violates the spec, Prism reports it in the reply's header `sl-violations`.
///
/// # Errors
///
/// If Prism reports a violation, or the SDK can't decode a reply; also if Prism reports none for a
/// request that is invalid on purpose.
pub fn prism(root: &Path, tools: &Tools) -> Result<(), String> {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .map_err(|error| format!("there is no free port: {error}"))?
        .port();
    let build = [
        "build",
        "--quiet",
        "--package",
        "smtp2go-tests",
        "--example",
        "drive",
    ];
    tools::run(sandbox::cargo(root).args(build))?;
    let mut command = tools.npm("prism");
    command.args([
        "mock",
        "--verboseLevel",
        "warn",
        "--port",
        &port.to_string(),
        SPEC,
    ]);
    let mock = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("can't start Prism: {error}"))?;
    let _mock = Running(mock);
    // Prism does not report when it is ready; a minute is more than enough.
    let ready = (0..600).any(|_| {
        std::thread::sleep(Duration::from_millis(100));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    if !ready {
        return Err("Prism does not listen".to_owned());
    }
    let url = format!("http://127.0.0.1:{port}");
    tools::run(
        sandbox::cargo(root)
            .args([
                "run",
                "--quiet",
                "--package",
                "smtp2go-tests",
                "--example",
                "drive",
                "--",
            ])
            .arg(url),
    )
}

/// A process that is killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
