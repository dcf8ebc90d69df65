//! Resource groups: `client.template().view(…)`, of the async and of the blocking client.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Attribute;

use super::Modules;
use super::changes::lines;
use super::pages;
use super::types::{Structs, data_type};
use crate::docs;
use crate::lower::{Operation, View};
use crate::names::{identifier, pascal_case};

/// The clients that have groups. Both have the same groups and methods.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Flavour {
    Async,
    Blocking,
}

/// Returns one module per group, and `mod`, which re-exports their structs.
pub(super) fn modules(view: &View, structs: &Structs, flavour: Flavour) -> Result<Modules, String> {
    let names: Vec<_> = view
        .groups
        .iter()
        .map(|(group, _)| identifier(group))
        .collect();
    let mut modules = vec![(
        "mod".to_owned(),
        quote! {
            #(mod #names;)*
            #(pub use self::#names::*;)*
        },
    )];
    for (group, description) in &view.groups {
        let accessor = identifier(group);
        let name = format_ident!("{}Group", pascal_case(group));
        let example = example(view, group, flavour);
        let about = lines(&docs::group(description, &example));
        let of = lines(&docs::group_struct(group, description));
        let mut methods = Vec::new();
        let mut paged = TokenStream::new();
        for operation in view.operations.iter().filter(|op| op.group == *group) {
            methods.push(method(view, operation, flavour));
            if let Some(stream) = pages::method(view, structs, operation, flavour)? {
                methods.push(stream);
                paged = match flavour {
                    Flavour::Async => quote!(
                        use crate::client::pages::{ByNumber, Items};
                    ),
                    Flavour::Blocking => quote!(
                        use crate::blocking::{Items, iterate};
                    ),
                };
            }
        }
        let imports = match flavour {
            Flavour::Async => quote!(
                use crate::{Client, Error, Reply};
            ),
            Flavour::Blocking => quote!(
                use crate::blocking::Client;
                use crate::{Error, Reply};
            ),
        };
        modules.push((
            group.clone(),
            quote! {
                #![allow(unused_imports)]
                use smtp2go_types as types;
                use crate::operations;
                #paged
                #imports

                #(#of)*
                #[derive(Clone, Copy, Debug)]
                pub struct #name<'a> {
                    pub(crate) client: &'a Client,
                }

                impl Client {
                    #(#about)*
                    pub fn #accessor(&self) -> #name<'_> {
                        #name { client: self }
                    }
                }

                impl #name<'_> { #(#methods)* }
            },
        ));
    }
    Ok(modules)
}

/// Writes an example that calls the group's first look-up without required fields, or only returns the group if it
/// has no such look-up.
fn example(view: &View, group: &str, flavour: Flavour) -> String {
    let look_ups = view.operations.iter().filter(|operation| {
        operation.group == *group && operation.kind == "read" && !operation.deprecated
    });
    let mut calls = look_ups.filter_map(|operation| match takes(view, operation) {
        Takes::Nothing => Some((operation, String::new())),
        Takes::Request(request) => {
            let has_default = view.object(request)?.has_default();
            has_default.then(|| (operation, format!("types::{request}::new()")))
        }
    });
    let (is_async, client, waited) = match flavour {
        Flavour::Async => ("async ", "smtp2go_sdk::Client", ".await"),
        Flavour::Blocking => ("", "smtp2go_sdk::blocking::Client", ""),
    };
    let accessor = identifier(group);
    let result = match calls.next() {
        Some((operation, argument)) => {
            let method = identifier(&operation.action);
            format!("client.{accessor}().{method}({argument}){waited}?")
        }
        None => format!("client.{accessor}()"),
    };
    let import = match result.contains("types::") {
        true => "use smtp2go_sdk::types;\n\n",
        false => "",
    };
    format!(
        "```no_run\n{import}\
         # {is_async}fn example(client: {client}) -> Result<(), smtp2go_sdk::Error> {{\n\
         let reply = {result};\n\
         println!(\"{{reply:?}}\");\n\
         # Ok(())\n# }}\n```"
    )
}

/// Returns the method of an operation. It is inline, so that it and its JSON code are compiled only
/// for programs that call it.
fn method(view: &View, operation: &Operation, flavour: Flavour) -> TokenStream {
    let about = match flavour {
        Flavour::Async => lines(&docs::method(operation)),
        Flavour::Blocking => refer(operation, &operation.action, &docs::summary(operation)),
    };
    let name = identifier(&operation.action);
    let constant = identifier(&operation.id.to_uppercase());
    let deprecated = operation.deprecated.then(|| quote!(#[deprecated]));
    let (data, reply) = match &operation.reply {
        Some(reply) => {
            let name = format_ident!("{reply}");
            (qualified(data_type(view, reply)), quote!(types::#name))
        }
        None => (quote!(()), quote!(())),
    };
    let (parameter, call) = match takes(view, operation) {
        Takes::Request(request) => {
            let request = format_ident!("{request}");
            (
                quote!(request: types::#request),
                quote!(call::<_, #reply>(&operations::#constant, &request)),
            )
        }
        Takes::Nothing => (
            quote!(),
            quote!(call_empty::<#reply>(&operations::#constant)),
        ),
    };
    let (asynchronous, waited) = match flavour {
        Flavour::Async => (quote!(async), quote!(.await)),
        Flavour::Blocking => (quote!(), quote!()),
    };
    quote! {
        #(#about)*
        #deprecated
        #[inline]
        pub #asynchronous fn #name(&self, #parameter) -> Result<Reply<#data>, Error> {
            self.client.#call #waited
        }
    }
}

/// Documentation of a blocking method: a summary, and a link to the async method.
pub(super) fn refer(operation: &Operation, method: &str, short: &str) -> Vec<Attribute> {
    let method = identifier(method);
    let group = pascal_case(&operation.group);
    lines(&docs::blocking(short, &format!("{group}Group::{method}")))
}

/// The parameter of a group's method.
pub(super) enum Takes<'a> {
    Request(&'a str),
    Nothing,
}

/// Returns the parameter of a method. A request without fields needs none.
pub(super) fn takes<'a>(view: &View, operation: &'a Operation) -> Takes<'a> {
    match &operation.request {
        Some(request)
            if view
                .object(request)
                .is_none_or(|object| !object.fields.is_empty()) =>
        {
            Takes::Request(request)
        }
        _ => Takes::Nothing,
    }
}

/// Adds the path of the types crate to its types; the standard library's types are kept.
pub(super) fn qualified(kind: TokenStream) -> TokenStream {
    use proc_macro2::TokenTree;
    let ours = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_uppercase())
            && !matches!(name, "String" | "Vec" | "Value" | "BTreeMap")
    };
    let mut qualified = TokenStream::new();
    for token in kind {
        match &token {
            TokenTree::Ident(ident) if ours(&ident.to_string()) => {
                qualified.extend(quote!(types::#ident));
            }
            TokenTree::Ident(ident) if ident == "BTreeMap" => {
                qualified.extend(quote!(::std::collections::BTreeMap));
            }
            _ => qualified.extend([token]),
        }
    }
    qualified
}
