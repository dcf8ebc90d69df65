//! What mail clients support: the data of Can I email.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Written by `cargo xtask caniemail`.
const FEATURES: &str = include_str!("../../../assets/caniemail/features.json");

/// The licence of the data.
pub(in crate::inbox) const LICENCE: &str = include_str!("../../../assets/caniemail/LICENSE");

/// The features, and the clients that were tested.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Support {
    /// Day of the last change of the data.
    pub(super) date: String,
    /// The family and the platform of each client.
    pub(super) clients: Vec<(String, String)>,
    pub(super) features: Vec<Feature>,
}

/// A feature of HTML or CSS.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Feature {
    pub(super) slug: String,
    pub(super) title: String,
    /// Patterns that find the feature in HTML: each is a kind and a name, such as `element svg`.
    find: Vec<String>,
    /// Support by each client, one letter each: `y` full, `a` partial, `n` none, otherwise unknown.
    pub(super) support: String,
}

/// The data, with the features indexed by pattern.
pub(super) struct Known {
    pub(super) support: Support,
    by_pattern: HashMap<String, Vec<usize>>,
}

pub(super) static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    // A test reads the file, so that it never fails here.
    let support: Support = serde_json::from_str(FEATURES).unwrap_or_default();
    let mut by_pattern: HashMap<String, Vec<usize>> = HashMap::new();
    for (place, feature) in support.features.iter().enumerate() {
        for pattern in &feature.find {
            by_pattern.entry(pattern.clone()).or_default().push(place);
        }
    }
    Known {
        support,
        by_pattern,
    }
});

impl Known {
    /// Returns the indexes in [`Support::features`] of the features with this pattern.
    pub(super) fn find(&self, pattern: &str) -> &[usize] {
        self.by_pattern.get(pattern).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds that `html.rs` looks for.
    const KINDS: &[&str] = &[
        "at",
        "attribute",
        "css",
        "element",
        "function",
        "html",
        "image",
        "keyword",
        "link",
        "media",
        "meta",
        "property",
        "pseudo",
        "selector",
        "type",
        "unit",
        "value",
    ];

    #[test]
    fn file_has_support_of_each_client_and_a_pattern_for_each_feature() {
        let support: Support = serde_json::from_str(FEATURES).unwrap();
        assert!(support.features.len() > 300 && support.clients.len() > 40);
        for feature in &support.features {
            assert_eq!(
                feature.support.len(),
                support.clients.len(),
                "{}",
                feature.slug
            );
            assert!(
                feature
                    .support
                    .bytes()
                    .all(|letter| b"yanu".contains(&letter))
            );
            assert!(!feature.find.is_empty(), "{}", feature.slug);
            for pattern in &feature.find {
                let (kind, name) = pattern.split_once(' ').unwrap();
                assert!(
                    KINDS.contains(&kind) && !name.is_empty(),
                    "{}",
                    feature.slug
                );
            }
        }
        assert!(LICENCE.contains("MIT License") && LICENCE.contains("Copyright"));
    }
}
