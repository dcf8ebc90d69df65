//! The known values of an open enum, as a sentence in its description, because client generators
//! don't read `x-extensible-enum`.
//!
//! In the YAML, the sentence ends the component's description. In `openapi.json`, every property
//! with its own description has it too, because generators show that description.

use serde_json::Value;

use crate::document::{Document, list, map};

/// The beginning of the sentence.
const OPENS: &str = "Known values: ";

/// Returns the sentence for a component with `x-extensible-enum`; `None` for any other.
pub(crate) fn sentence(component: &Value) -> Option<String> {
    let values: Vec<_> = list(component.get("x-extensible-enum")?)
        .iter()
        .map(|value| match value.as_str() {
            Some("") | None => "`\"\"`".to_owned(),
            Some(value) => format!("`{value}`"),
        })
        .collect();
    Some(format!("{OPENS}{}.", values.join(", ")))
}

/// Removes the sentence from a description, for Rust, where the variants show the values.
pub(crate) fn without(description: &str) -> &str {
    match description.rsplit_once(OPENS) {
        Some((before, _)) => before.trim_end(),
        None => description,
    }
}

/// Returns the document with the sentence in the description of every property whose type is an
/// open enum or a list of one.
pub(crate) fn spelled_out(spec: &Value) -> Value {
    let document = Document::new(spec);
    let mut spelled_out = spec.clone();
    for (name, component) in document.schemas() {
        for (field, property) in map(&component["properties"]) {
            let resolved = document.resolve(property);
            let of = match resolved["type"] == "array" {
                true => document.resolve(&resolved["items"]),
                false => resolved,
            };
            if let (Some(text), Some(sentence)) = (property["description"].as_str(), sentence(of)) {
                let text = format!("{} {sentence}", text.trim_end());
                spelled_out["components"]["schemas"][name]["properties"][field]["description"] =
                    text.into();
            }
        }
    }
    spelled_out
}
