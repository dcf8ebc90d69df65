//! The raw client: progenitor's code, with the imports of its files.
//!
//! In: the client after [`changes`](super::changes). Out: `mod`, with the struct and its traits,
//! and a module per API group that begins with `use super::*;`.

use quote::quote;
use syn::{ImplItem, Item, parse_quote};

use super::Modules;
use super::changes::{Code, MAIN};
use crate::lower::View;
use crate::names::identifier;

/// Returns a module of methods per group, and their `mod`.
pub(super) fn modules(view: &View, mut code: Code) -> Modules {
    let main = code.client.remove(MAIN).unwrap_or_default();
    let (imports, main): (Vec<_>, Vec<_>) = main
        .into_iter()
        .partition(|item| matches!(item, Item::Use(_)));
    let names = code.client.keys().map(|group| identifier(group));
    let mut modules = vec![(
        MAIN.to_owned(),
        quote! {
            #(mod #names;)*
            #(#imports)*
            use smtp2go_types as types;
            #(#main)*
        },
    )];
    for (group, mut items) in code.client {
        for item in &mut items {
            deprecate(view, item);
        }
        modules.push((group, quote!(use super::*; #(#items)*)));
    }
    modules
}

/// Marks the methods of deprecated operations.
fn deprecate(view: &View, item: &mut Item) {
    let Item::Impl(block) = item else { return };
    for member in &mut block.items {
        if let ImplItem::Fn(method) = member
            && let Some(operation) = view.operation(&method.sig.ident.to_string())
            && operation.deprecated
        {
            method.attrs.push(parse_quote!(#[deprecated]));
        }
    }
}
