//! The known values of an open enum, as a sentence of its description: generators of clients know nothing of
//! `x-extensible-enum`.
//!
//! In the YAML the component has the sentence, which ends its description. In `openapi.json` every property
//! with a description of its own has it too, since that is the one that generators show.

use serde_json::Value;

use crate::document::{Document, list, map};

/// What the sentence opens with.
const OPENS: &str = "Known values: ";

/// The sentence for a component with `x-extensible-enum`; `None` for any other.
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

/// A description without the sentence, for Rust, where the variants show the values.
pub(crate) fn without(description: &str) -> &str {
    match description.rsplit_once(OPENS) {
        Some((before, _)) => before.trim_end(),
        None => description,
    }
}

/// The document with the sentence in the description of every property that holds an open enum or a list of
/// one.
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
