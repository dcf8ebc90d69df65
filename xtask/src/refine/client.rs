//! The raw client: progenitor's methods, by API group, as ways into the core.
//!
//! Name, argument and types of a method are progenitor's. What it does is not: progenitor's code
//! would make a request of its own, which the core makes again, and needs a crate with a part of reqwest
//! that nothing else here does.

use std::collections::BTreeMap;

use quote::quote;
use syn::{
    FnArg, GenericArgument, ImplItem, ImplItemFn, Item, PathArguments, ReturnType, Type,
    parse_quote,
};

use super::Modules;
use super::changes::{Code, lines};
use crate::docs;
use crate::lower::{Operation, View};
use crate::names::identifier;

/// A module of methods per group, and their `mod`.
pub(super) fn modules(view: &View, code: &Code) -> Result<Modules, String> {
    let mut methods: BTreeMap<String, &ImplItemFn> = BTreeMap::new();
    for item in code.client.values().flatten() {
        if let Item::Impl(item) = item
            && item.trait_.is_none()
        {
            for member in &item.items {
                if let ImplItem::Fn(method) = member {
                    methods.insert(method.sig.ident.to_string(), method);
                }
            }
        }
    }
    let names: Vec<_> = view
        .groups
        .iter()
        .map(|(group, _)| identifier(group))
        .collect();
    let mut modules = vec![("mod".to_owned(), quote!(#(mod #names;)*))];
    for (group, _) in &view.groups {
        let mut members = Vec::new();
        for operation in view.operations.iter().filter(|op| op.group == *group) {
            let method = methods
                .remove(identifier(&operation.id).to_string().as_str())
                .ok_or_else(|| format!("progenitor made no method {}", operation.id))?;
            members.push(way_in(method, operation)?);
        }
        modules.push((
            group.clone(),
            quote! {
                #![allow(unused_imports)]
                use smtp2go_types as types;
                use crate::raw::Client;
                use crate::client::encode;
                use crate::{Body, Error, Reply, operations};

                impl Client { #(#members)* }
            },
        ));
    }
    // What is left is progenitor's own (`new`, `new_with_client`), which `client.raw()` replaces.
    Ok(modules)
}

/// The method as one that calls the core, and answers with this crate's reply and error. Inline as those of
/// the groups are.
fn way_in(method: &ImplItemFn, operation: &Operation) -> Result<ImplItemFn, String> {
    let name = &method.sig.ident;
    let constant = identifier(&operation.id.to_uppercase());
    let call = format!("`{} {}`", operation.method, operation.path);
    let about = docs::text([&docs::summary(operation), &call]);
    let about = lines(&format!("{about}\n\n{}", docs::operation(operation)));
    let deprecated = method
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("deprecated"));
    let (arguments, body) = match method.sig.inputs.iter().skip(1).collect::<Vec<_>>()[..] {
        [] => (quote!(), quote!(Ok(Body::empty()))),
        [FnArg::Typed(argument)] => match argument.ty.as_ref() {
            Type::Reference(reference) => {
                let kind = &reference.elem;
                (quote!(body: &#kind), quote!(encode(body)))
            }
            _ => return Err(format!("progenitor's {name} takes something but a body")),
        },
        _ => return Err(format!("progenitor's {name} takes more than a body")),
    };
    let value = match &method.sig.output {
        ReturnType::Type(_, kind) => first_argument(kind).and_then(first_argument),
        ReturnType::Default => None,
    }
    .ok_or_else(|| format!("progenitor's {name} does not return a Result<ResponseValue<…>, …>"))?;
    Ok(parse_quote! {
        #(#about)*
        #(#deprecated)*
        #[inline]
        pub async fn #name(&self, #arguments) -> Result<Reply<#value>, Error> {
            self.call(&operations::#constant, #body).await
        }
    })
}

/// `T` of `Name<T, …>`.
fn first_argument(kind: &Type) -> Option<&Type> {
    let Type::Path(path) = kind else { return None };
    match &path.path.segments.last()?.arguments {
        PathArguments::AngleBracketed(arguments) => match arguments.args.first()? {
            GenericArgument::Type(kind) => Some(kind),
            _ => None,
        },
        _ => None,
    }
}
