//! The public surface of generated code in a few lines, for snapshots that people read.

use quote::ToTokens;
use syn::{Fields, ImplItem, Item, Visibility};

/// What a generated Rust file offers: types with their fields, and methods.
///
/// Setters are left out: each field that is an `Option` has one of its name.
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
                    if let ImplItem::Fn(method) = member
                        && public(&method.vis)
                        && !is_setter(method)
                        && method.sig.ident != "validate"
                    {
                        lines.push(format!("{owner}: {}", compact(&method.sig)));
                    }
                }
            }
            Item::Impl(item) => {
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
