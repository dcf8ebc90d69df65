//! Names of types within a crate.

use std::collections::{BTreeMap, BTreeSet};

use syn::{Item, Visibility};

use crate::root;
use crate::sources::modules;

/// If two types share a name, a reader has to look up which one is meant. Public types are exempt,
/// because their module is part of the name: `Client` and `blocking::Client`.
#[test]
fn private_types_of_a_crate_have_distinct_names() {
    let mut shared = Vec::new();
    for crate_root in [
        "smtp2go-types/src/lib.rs",
        "smtp2go-sdk/src/lib.rs",
        "smtp2go-outbox/src/lib.rs",
        "smtp2go-sandbox/src/lib.rs",
        "xtask/src/lib.rs",
    ] {
        // For each name: the places, and whether a private type has it.
        let mut places: BTreeMap<String, (BTreeSet<String>, bool)> = BTreeMap::new();
        for module in modules(&root().join(crate_root)) {
            if module.path.iter().any(|name| name == "generated") {
                continue;
            }
            for (name, is_public) in module.items.iter().filter_map(named_type) {
                let (modules, has_private) = places.entry(name).or_default();
                modules.insert(format!("crate::{}", module.path.join("::")));
                *has_private |= !is_public;
            }
        }
        for (name, (modules, has_private)) in places {
            if has_private && modules.len() > 1 {
                let modules: Vec<_> = modules.into_iter().collect();
                shared.push(format!("{crate_root}: {name} in {}", modules.join(", ")));
            }
        }
    }
    assert!(shared.is_empty(), "shared names:\n{}", shared.join("\n"));
}

/// Returns the name of a type or trait, and whether it is public.
fn named_type(item: &Item) -> Option<(String, bool)> {
    let (name, visibility) = match item {
        Item::Struct(item) => (&item.ident, &item.vis),
        Item::Enum(item) => (&item.ident, &item.vis),
        Item::Union(item) => (&item.ident, &item.vis),
        Item::Trait(item) => (&item.ident, &item.vis),
        Item::Type(item) => (&item.ident, &item.vis),
        _ => return None,
    };
    Some((
        name.to_string(),
        matches!(visibility, Visibility::Public(_)),
    ))
}
