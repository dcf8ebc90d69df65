//! A short text of the public API of code, for snapshots.

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, TraitItem, UseTree, Visibility};

/// Lists the public items of a Rust file: re-exports, types with their fields, traits, functions
/// and methods. Does not descend into modules.
///
/// A setter is shown by its name and parameter type, and `validate` by its checks.
///
/// # Errors
///
/// If `code` is not Rust.
pub fn surface(code: &str) -> Result<String, String> {
    let file = syn::parse_file(code).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
    // `Name<…>` is a private type of the file.
    let own = |owner: &str| {
        file.items.iter().any(|item| {
            let (ident, visibility) = match item {
                Item::Struct(item) => (&item.ident, &item.vis),
                Item::Enum(item) => (&item.ident, &item.vis),
                _ => return false,
            };
            !public(visibility) && owner.split('<').next().is_some_and(|name| ident == name)
        })
    };
    for item in &file.items {
        match item {
            Item::Struct(item) if public(&item.vis) => {
                lines.push(format!("struct {}", item.ident));
                if let Fields::Named(fields) = &item.fields {
                    for field in fields.named.iter().filter(|field| public(&field.vis)) {
                        let name = field.ident.as_ref().map(ToString::to_string);
                        let name = name.unwrap_or_default();
                        lines.push(format!("  {name}: {}", compact(&field.ty)));
                    }
                }
            }
            Item::Enum(item) if public(&item.vis) => {
                let variants: Vec<_> = item.variants.iter().map(compact_variant).collect();
                lines.push(format!("enum {}: {}", item.ident, variants.join(", ")));
            }
            Item::Impl(item) if item.trait_.is_none() => {
                let owner = compact(&item.self_ty);
                for member in &item.items {
                    let ImplItem::Fn(method) = member else {
                        continue;
                    };
                    let name = &method.sig.ident;
                    match method.sig.inputs.last() {
                        Some(syn::FnArg::Typed(argument))
                            if is_setter(method) && public(&method.vis) =>
                        {
                            lines.push(format!("  .{name}({})", compact(&argument.ty)));
                        }
                        _ if public(&method.vis) && name != "validate" => {
                            lines.push(format!("{owner}: {}", compact(&method.sig)));
                        }
                        _ => {}
                    }
                }
            }
            Item::Impl(item) => {
                let checks = item.items.iter().find_map(|member| match member {
                    ImplItem::Fn(method) if method.sig.ident == "check" => Some(&method.block),
                    _ => None,
                });
                if let Some(block) = checks.filter(|block| !block.stmts.is_empty()) {
                    lines.extend(checked(block));
                }
                if let Some((path, _)) = &item.trait_
                    && let Some(ImplItem::Type(data)) = item.items.first()
                {
                    let (path, owner) = (compact(path), compact(&item.self_ty));
                    if !own(&owner) {
                        let (name, kind) = (&data.ident, compact(&data.ty));
                        lines.push(format!("{owner}: {path}, {name} = {kind}"));
                    }
                }
            }
            Item::Static(item) if public(&item.vis) => {
                lines.push(format!("static {}: {}", item.ident, compact(&item.ty)));
            }
            Item::Const(item) if public(&item.vis) => {
                lines.push(format!("const {}: {}", item.ident, compact(&item.ty)));
            }
            Item::Type(item) if public(&item.vis) => {
                let generics = compact(&item.generics);
                lines.push(format!(
                    "type {}{generics}: {}",
                    item.ident,
                    compact(&item.ty)
                ));
            }
            Item::Fn(item) if public(&item.vis) => {
                lines.push(format!("{}: {}", item.sig.ident, compact(&item.sig)));
            }
            Item::Trait(item) if public(&item.vis) => {
                let supertraits = compact(&item.supertraits);
                lines.push(format!("trait {}: {supertraits}", item.ident));
                for member in &item.items {
                    if let TraitItem::Fn(method) = member {
                        lines.push(format!("{}: {}", item.ident, compact(&method.sig)));
                    }
                }
            }
            Item::Mod(item) if public(&item.vis) => lines.push(format!("mod {}: ", item.ident)),
            Item::Use(item) if public(&item.vis) => named(&item.tree, &mut Vec::new(), &mut lines),
            _ => {}
        }
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// Returns the limits in a generated `check`, one per line.
fn checked(block: &syn::Block) -> Vec<String> {
    let text = compact(block);
    text.split("check.at")
        .skip(1)
        .map(|part| {
            let part = part.trim_start_matches("_index").trim_start_matches('(');
            let end = part.find(';').unwrap_or(part.len());
            let part = part.get(..end).unwrap_or(part);
            format!(
                "  checks {}",
                part.trim_end_matches(')').replace("| check |", "").trim()
            )
        })
        .collect()
}

/// Returns the names of a `pub use`, one per line.
fn named(tree: &UseTree, path: &mut Vec<String>, lines: &mut Vec<String>) {
    let line = |name: String, path: &[String]| format!("use {name}: {}", path.join("::"));
    match tree {
        UseTree::Path(tree) => {
            path.push(tree.ident.to_string());
            named(&tree.tree, path, lines);
            path.pop();
        }
        UseTree::Name(tree) => lines.push(line(tree.ident.to_string(), path)),
        UseTree::Rename(tree) => {
            path.push(tree.ident.to_string());
            lines.push(line(tree.rename.to_string(), path));
            path.pop();
        }
        UseTree::Glob(_) => lines.push(line(format!("{}::*", path.join("::")), &[])),
        UseTree::Group(tree) => {
            for tree in &tree.items {
                named(tree, path, lines);
            }
        }
    }
}

fn public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_setter(method: &syn::ImplItemFn) -> bool {
    matches!(method.sig.inputs.first(), Some(syn::FnArg::Receiver(this))
        if matches!(this.kind, syn::ReceiverKind::Value) && this.mutability.is_some())
}

fn compact_variant(variant: &syn::Variant) -> String {
    let mut variant = variant.clone();
    for field in &mut variant.fields {
        field.attrs.clear();
    }
    format!("{}{}", variant.ident, compact(&variant.fields))
}

/// Formats tokens with usual spacing.
fn compact(tokens: &impl ToTokens) -> String {
    let mut text = tokens.to_token_stream().to_string();
    for (from, to) in [
        (" :: ", "::"),
        (":: ", "::"),
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" ,", ","),
        (",::", ", ::"),
        (" :", ":"),
        (" (", "("),
        ("( ", "("),
        (" )", ")"),
        (",)", ")"),
        ("& ", "&"),
        ("->", " ->"),
        ("  ", " "),
    ] {
        text = text.replace(from, to);
    }
    text
}
