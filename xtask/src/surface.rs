//! The public surface of generated code in a few lines, for snapshots that people read.

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, Visibility};

/// What a generated Rust file offers: types with their fields, and methods.
///
/// A setter has the name of its field, so that only what it takes is shown, and of `validate` what it
/// checks.
///
/// # Errors
///
/// If `code` is not Rust.
pub fn surface(code: &str) -> Result<String, String> {
    let file = syn::parse_file(code).map_err(|error| error.to_string())?;
    let mut lines = Vec::new();
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
                        Some(syn::FnArg::Typed(argument)) if is_setter(method) => {
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
                    lines.push(format!(
                        "{owner}: {path}, {} = {}",
                        data.ident,
                        compact(&data.ty)
                    ));
                }
            }
            Item::Static(item) if public(&item.vis) => {
                lines.push(format!("static {}: {}", item.ident, compact(&item.ty)));
            }
            _ => {}
        }
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}

/// The limits in a generated `check`, a line each.
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

fn public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_setter(method: &syn::ImplItemFn) -> bool {
    matches!(method.sig.inputs.first(), Some(syn::FnArg::Receiver(this)) if this.mutability.is_some())
}

fn compact_variant(variant: &syn::Variant) -> String {
    format!("{}{}", variant.ident, compact(&variant.fields))
}

/// Tokens with the spaces that people would put.
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
