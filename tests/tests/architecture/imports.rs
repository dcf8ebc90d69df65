//! Imports between the layers of `smtp2go-sdk/src`.
//!
//! A layer is a module at the crate's root. Each module of `generated/` belongs to one of these
//! layers.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit_mut::{self, VisitMut};
use syn::{Item, ItemUse, Macro, Path, UseTree};

use crate::sources::{Module, modules};
use crate::{markdown_table, read, root};

struct Layer {
    name: &'static str,
    modules: &'static [&'static str],
    may_use: &'static [&'static str],
}

const fn layer(
    name: &'static str,
    modules: &'static [&'static str],
    may_use: &'static [&'static str],
) -> Layer {
    Layer {
        name,
        modules,
        may_use,
    }
}

/// The layers, from the top down: each may use some of those below it.
#[rustfmt::skip]
const LAYERS: [Layer; 16] = [
    layer("test_util", &["test_util"],
        &["mail", "client", "call", "error", "operations", "operation"]),
    layer("unsubscribe", &["unsubscribe"],
        &[]),
    layer("raw", &["raw", "generated::raw", "generated::raw_types"],
        &["client", "call", "body", "error", "operations", "operation"]),
    layer("blocking", &["blocking", "generated::blocking"],
        &["mail", "client", "call", "body", "error", "operations", "operation"]),
    layer("webhook", &["webhook"],
        &["client", "error", "platform"]),
    layer("mail", &["mail"],
        &["suppression", "client", "call", "body", "error", "operations", "operation", "platform"]),
    layer("suppression", &["suppression"],
        &["groups", "error"]),
    layer("groups", &["generated::groups"],
        &["client", "call", "error", "operations"]),
    layer("client", &["client"],
        &["call", "body", "region", "error", "operation", "platform"]),
    layer("call", &["call"],
        &["body", "region", "error", "operations", "operation", "platform"]),
    layer("body", &["body"],
        &["error", "platform"]),
    layer("region", &["region"],
        &["error"]),
    layer("error", &["error"],
        &["operations", "operation", "platform"]),
    layer("operations", &["generated::operations"],
        &["operation"]),
    layer("operation", &["operation"],
        &[]),
    layer("platform", &["platform"],
        &[]),
];

#[test]
fn layers_import_only_what_the_table_allows() {
    let modules = modules(&root().join("smtp2go-sdk/src/lib.rs"));
    let exports = root_exports(&modules);
    let mut forbidden = BTreeSet::new();
    for module in &modules {
        let from_path = module.path.join("::");
        // The root only exports, and `generated` only lists modules.
        if matches!(from_path.as_str(), "" | "generated") {
            continue;
        }
        let from = layer_of(&module.path);
        for target in imports(module) {
            let Some(target) = at_home(target, &exports) else {
                continue;
            };
            let to = layer_of(&target);
            if to.name != from.name && !from.may_use.contains(&to.name) {
                forbidden.insert(format!(
                    "{} must not use {}: crate::{from_path} uses crate::{}",
                    from.name,
                    to.name,
                    target.join("::")
                ));
            }
        }
    }
    let forbidden: Vec<_> = forbidden.into_iter().collect();
    assert!(forbidden.is_empty(), "{}", forbidden.join("\n"));
}

#[test]
fn layers_use_only_layers_below_them() {
    for (index, layer) in LAYERS.iter().enumerate() {
        for used in layer.may_use {
            let below = LAYERS.iter().skip(index + 1);
            assert!(
                below.map(|layer| layer.name).any(|name| name == *used),
                "{} uses {used}, which is not below it",
                layer.name
            );
        }
    }
}

#[test]
fn architecture_md_has_the_same_table() {
    let documented = markdown_table(&read("ARCHITECTURE.md"), "| Layer |");
    let held: Vec<Vec<String>> = LAYERS
        .iter()
        .map(|layer| {
            vec![
                layer.name.to_owned(),
                layer.modules.join(", "),
                layer.may_use.join(", "),
            ]
        })
        .collect();
    assert_eq!(documented, held);
}

/// Returns the layer with the longest module path that contains this item or module.
fn layer_of(path: &[String]) -> &'static Layer {
    let path = path.join("::");
    let contains = |module: &str| {
        path.strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    LAYERS
        .iter()
        .find(|layer| layer.modules.iter().any(|module| contains(module)))
        .unwrap_or_else(|| panic!("crate::{path} is in no layer"))
}

/// Follows a re-export at the crate's root. Returns `None` for one of another crate.
fn at_home(path: Vec<String>, exports: &BTreeMap<String, Vec<String>>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    let Some(home) = exports.get(first) else {
        return Some(path);
    };
    let mut home = home.clone();
    if home.first().is_some_and(|name| name == "smtp2go_types") {
        return None;
    }
    home.extend_from_slice(rest);
    Some(home)
}

/// Returns the names that the crate's root exports, each with the path that it stands for.
fn root_exports(modules: &[Module]) -> BTreeMap<String, Vec<String>> {
    let root = modules
        .iter()
        .find(|module| module.path.is_empty())
        .unwrap();
    let mut exports = BTreeMap::new();
    for item in &root.items {
        if let Item::Use(item) = item {
            leaves(&item.tree, &mut Vec::new(), &mut |path, name| {
                exports.insert(name, path);
            });
        }
    }
    exports
}

/// Calls `found` with the path and the new name of everything that a `use` names.
fn leaves(tree: &UseTree, path: &mut Vec<String>, found: &mut impl FnMut(Vec<String>, String)) {
    let mut leaf = |name: String, new_name: String| {
        let mut path = path.clone();
        path.push(name);
        found(path, new_name);
    };
    match tree {
        UseTree::Name(tree) => leaf(tree.ident.to_string(), tree.ident.to_string()),
        UseTree::Rename(tree) => leaf(tree.ident.to_string(), tree.rename.to_string()),
        UseTree::Glob(_) => found(path.clone(), "*".to_owned()),
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            leaves(&tree.tree, path, found);
            path.pop();
        }
        UseTree::Group(tree) => {
            for tree in &tree.items {
                leaves(tree, path, found);
            }
        }
    }
}

/// Returns the paths within the crate that a module names, from the crate's root.
fn imports(module: &Module) -> BTreeSet<Vec<String>> {
    let mut imports = Imports {
        module: &module.path,
        found: BTreeSet::new(),
    };
    for mut item in module.items.clone() {
        imports.visit_item_mut(&mut item);
    }
    imports.found
}

struct Imports<'a> {
    module: &'a [String],
    found: BTreeSet<Vec<String>>,
}

impl Imports<'_> {
    /// Adds a path that starts with `crate`, `self` or `super`; others are of other crates or of
    /// the module itself.
    fn add(&mut self, path: &[String]) {
        let mut absolute = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.to_vec(),
            _ => return,
        };
        for name in path {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => drop(absolute.pop()),
                _ => absolute.push(name.clone()),
            }
        }
        self.found.insert(absolute);
    }
}

impl VisitMut for Imports<'_> {
    fn visit_item_use_mut(&mut self, item: &mut ItemUse) {
        leaves(&item.tree, &mut Vec::new(), &mut |path, _| self.add(&path));
    }

    fn visit_path_mut(&mut self, path: &mut Path) {
        let names: Vec<_> = path
            .segments
            .iter()
            .map(|part| part.ident.to_string())
            .collect();
        self.add(&names);
        visit_mut::visit_path_mut(self, path);
    }

    fn visit_macro_mut(&mut self, call: &mut Macro) {
        let tokens = call.tokens.to_string().replace(' ', "");
        for start in ["crate::", "super::"] {
            for (at, _) in tokens.match_indices(start) {
                let is_path = |c: char| c.is_alphanumeric() || matches!(c, '_' | ':');
                let path = tokens[at..].split(|c| !is_path(c)).next().unwrap();
                let names: Vec<_> = path.split("::").map(str::to_owned).collect();
                self.add(&names);
            }
        }
        visit_mut::visit_macro_mut(self, call);
    }

    // `pub(super)` is not an import.
    fn visit_visibility_mut(&mut self, _: &mut syn::Visibility) {}
}
