//! The raw client: progenitor's methods, by API group, with this crate's error.

use std::collections::BTreeMap;

use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{ImplItem, ImplItemFn, Item, parse_quote};

use super::Modules;
use super::groups::operation_docs;
use crate::lower::View;
use crate::names::identifier;

/// `mod` with the client itself, and a module of methods per group.
pub(super) fn modules(view: &View, code: &syn::File) -> Result<Modules, String> {
    let mut header = Vec::new();
    let mut methods: BTreeMap<String, ImplItemFn> = BTreeMap::new();
    for item in &code.items {
        match item {
            Item::Struct(item) if item.ident == "Client" => {
                let mut item = item.clone();
                item.attrs
                    .retain(|attribute| !attribute.path().is_ident("doc"));
                header.push(quote! {
                    /// The raw client: one method per operation, named by its operationId.
                    #item
                });
            }
            Item::Impl(item) if item.trait_.is_none() => {
                for member in &item.items {
                    if let ImplItem::Fn(method) = member {
                        methods.insert(method.sig.ident.to_string(), method.clone());
                    }
                }
            }
            Item::Impl(item) if implements(item, "ClientInfo") => header.push(quote!(#item)),
            _ => {}
        }
    }
    let names: Vec<_> = view
        .groups
        .iter()
        .map(|(group, _)| identifier(group))
        .collect();
    let mut modules = vec![(
        "mod".to_owned(),
        quote! {
            #(mod #names;)*

            use progenitor_client::ClientInfo;
            use smtp2go_types as types;

            #(#header)*
        },
    )];
    for (group, _) in &view.groups {
        let mut members = Vec::new();
        for operation in view.operations.iter().filter(|op| op.group == *group) {
            let mut method = methods
                .remove(identifier(&operation.id).to_string().as_str())
                .ok_or_else(|| format!("progenitor made no method {}", operation.id))?;
            truthful(&mut method, &operation.id)?;
            let about = operation_docs(operation);
            method
                .attrs
                .retain(|attribute| !attribute.path().is_ident("doc"));
            members.push(quote! { #about #method });
        }
        modules.push((
            group.clone(),
            quote! {
                #![allow(unused_imports)]
                use super::{Client, types};
                use progenitor_client::{ClientHooks, ClientInfo, Error, OperationInfo, ResponseValue};

                impl Client { #(#members)* }
            },
        ));
    }
    // What is left is progenitor's own (`new`, `new_with_client`), which `client.raw()` replaces.
    Ok(modules)
}

fn implements(item: &syn::ItemImpl, name: &str) -> bool {
    item.trait_.as_ref().is_some_and(|(path, _)| {
        path.segments
            .last()
            .is_some_and(|segment| segment.ident == name)
    })
}

/// Wraps a method's body so that it answers with this crate's error, which keeps the truth about a
/// failure, instead of progenitor's.
fn truthful(method: &mut ImplItemFn, id: &str) -> Result<(), String> {
    let name = &method.sig.ident;
    let constant = identifier(&id.to_uppercase());
    let syn::ReturnType::Type(_, kind) = &method.sig.output else {
        return Err(format!("progenitor's {name} returns nothing"));
    };
    let progenitors = kind.clone();
    let value = match kind.as_ref() {
        syn::Type::Path(path) => {
            path.path
                .segments
                .last()
                .and_then(|segment| match &segment.arguments {
                    syn::PathArguments::AngleBracketed(arguments) => {
                        arguments.args.first().cloned()
                    }
                    _ => None,
                })
        }
        _ => None,
    }
    .ok_or_else(|| format!("progenitor's {name} does not return a Result"))?;
    let mut body = method.block.clone();
    Undecorated.visit_block_mut(&mut body);
    method.sig.output = parse_quote!(-> Result<#value, crate::Error>);
    // Without a body no other lifetime is there to tell `'a` from.
    if method.sig.inputs.len() == 1 {
        method.sig.generics = syn::Generics::default();
        method.sig.inputs = parse_quote!(&self);
    }
    method.block = parse_quote!({
        let result: #progenitors = async #body.await;
        result.map_err(|error| crate::raw::error(&crate::operations::#constant, error))
    });
    Ok(())
}

/// Takes out what `exec` replaces anyway: an `api-version` header that this API does not know.
struct Undecorated;

impl VisitMut for Undecorated {
    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain(|statement| {
            let text = quote!(#statement).to_string();
            !text.contains("header_map") || text.contains("let mut request")
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_expr_mut(&mut self, expression: &mut syn::Expr) {
        visit_mut::visit_expr_mut(self, expression);
        if let syn::Expr::MethodCall(call) = expression
            && call.method == "headers"
            && matches!(call.args.first(), Some(syn::Expr::Path(path)) if path.path.is_ident("header_map"))
        {
            *expression = (*call.receiver).clone();
        }
    }
}
