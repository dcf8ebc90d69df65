//! Finds the modules of a crate by its `mod` items, without test-only code.

use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, Item, ItemMod};

/// A module of a crate.
pub(crate) struct Module {
    /// Its path from the crate's root, such as `["call", "attempt"]`; empty for the root.
    pub(crate) path: Vec<String>,
    /// Its items, without modules and `#[cfg(test)]` code.
    pub(crate) items: Vec<Item>,
}

/// Reads the modules of a crate from its root file, usually `src/lib.rs`.
pub(crate) fn modules(root_file: &Path) -> Vec<Module> {
    let folder = root_file.parent().unwrap();
    let mut modules = Vec::new();
    collect(&items(root_file), Vec::new(), folder, &mut modules);
    modules
}

/// Adds the module with these items and all below it. `folder` is where the files of its `mod`
/// items are.
fn collect(items: &[Item], path: Vec<String>, folder: &Path, modules: &mut Vec<Module>) {
    let mut own = Vec::new();
    for item in items.iter().filter(|item| !is_test_only(item)) {
        let Item::Mod(module) = item else {
            own.push(item.clone());
            continue;
        };
        let name = module.ident.to_string();
        let folder = folder.join(&name);
        let mut path = path.clone();
        path.push(name);
        if let Some((_, items)) = &module.content {
            collect(items, path, &folder, modules);
        } else {
            let file = module_file(module, &folder);
            collect(&self::items(&file), path, &folder, modules);
        }
    }
    modules.push(Module { path, items: own });
}

/// Returns `name.rs` or `name/mod.rs`.
fn module_file(module: &ItemMod, folder: &Path) -> PathBuf {
    let by_name = folder.with_extension("rs");
    let has_path = module.attrs.iter().any(|attr| attr.path().is_ident("path"));
    assert!(
        !has_path,
        "`#[path]` is for tests only: {}",
        by_name.display()
    );
    if by_name.exists() {
        by_name
    } else {
        folder.join("mod.rs")
    }
}

fn items(file: &Path) -> Vec<Item> {
    let code =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    syn::parse_file(&code).unwrap().items
}

/// Whether an item has `#[cfg(test)]`, or `#[cfg(doctest)]`.
fn is_test_only(item: &Item) -> bool {
    let is_test = |attr: &Attribute| {
        let condition = attr.meta.to_token_stream().to_string();
        matches!(condition.as_str(), "cfg (test)" | "cfg (doctest)")
    };
    attributes(item).iter().any(is_test)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
