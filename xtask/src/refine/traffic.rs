//! What the tests need of every operation: its codecs, a call through each door, and what the types
//! say of themselves.

use quote::{format_ident, quote};

use super::Modules;
use super::groups::{Takes, takes};
use crate::lower::{Role, View};
use crate::names::identifier;

/// `codecs`, `contract` and `doors`, and their `mod`.
pub(super) fn modules(view: &View) -> Modules {
    vec![
        (
            "mod".to_owned(),
            quote!(
                pub(crate) mod codecs;
                pub(crate) mod contract;
                pub(crate) mod doors;
            ),
        ),
        ("codecs".to_owned(), codecs(view)),
        ("contract".to_owned(), contract(view)),
        ("doors".to_owned(), doors(view)),
    ]
}

fn codecs(view: &View) -> proc_macro2::TokenStream {
    let codec = |name: &Option<String>, codec: &str| match name {
        Some(name) => {
            let (name, codec) = (format_ident!("{name}"), format_ident!("{codec}"));
            quote!(Some(#codec::<types::#name>))
        }
        None => quote!(None),
    };
    let rows = view.operations.iter().map(|operation| {
        let (method, path) = (&operation.method, &operation.path);
        let request = codec(&operation.request, "codec");
        let reply = codec(&operation.reply, "reply_codec");
        quote!(Operation { method: #method, path: #path, request: #request, reply: #reply })
    });
    quote! {
        use smtp2go_types as types;
        use crate::decode::{Operation, codec, reply_codec};

        /// Every operation.
        pub static OPERATIONS: &[Operation] = &[#(#rows),*];
    }
}

fn contract(view: &View) -> proc_macro2::TokenStream {
    let requests = view
        .objects
        .iter()
        .filter(|object| object.role == Role::Request);
    let requests = requests.map(|object| {
        let (name, object) = (&object.name, format_ident!("{}", object.name));
        quote!(Request { name: #name, check: check::<types::#object> })
    });
    let schemas = view.objects.iter().map(|object| {
        let (name, object) = (&object.name, format_ident!("{}", object.name));
        quote!((#name, schema::<types::#object>))
    });
    quote! {
        use smtp2go_types as types;
        use crate::contract::{Request, check};
        #[cfg(feature = "schemars")]
        use crate::contract::{Schema, schema};

        /// Every object that is sent.
        pub static REQUESTS: &[Request] = &[#(#requests),*];

        /// Every object, and its schema going by its type.
        #[cfg(feature = "schemars")]
        pub static SCHEMAS: &[(&str, Schema)] = &[#(#schemas),*];
    }
}

fn doors(view: &View) -> proc_macro2::TokenStream {
    let rows = view.operations.iter().map(|operation| {
        let id = &operation.id;
        let function = identifier(id);
        let (group, action) = (identifier(&operation.group), identifier(&operation.action));
        let (request, argument) = match takes(view, operation) {
            Takes::Request(_) => (quote!(request), quote!(serde_json::from_str(request)?)),
            Takes::Nothing => (quote!(_), quote!()),
        };
        let deprecated = operation.deprecated.then(|| quote!(#[allow(deprecated)]));
        quote! {
            Door {
                id: #id,
                call: |client, raw, request| Box::pin(#function(client, raw, request)),
                #deprecated
                blocking: |client, #request| answer(client.#group().#action(#argument)?),
            }
        }
    });
    let functions = view.operations.iter().map(|operation| {
        let function = identifier(&operation.id);
        let (group, action) = (identifier(&operation.group), identifier(&operation.action));
        let raw = match &operation.request {
            Some(request) => {
                let name = format_ident!("{request}");
                quote!(raw.#function(&serde_json::from_str::<types::#name>(request)?).await?)
            }
            None => quote!(raw.#function().await?),
        };
        let raw = if operation.reply.is_some() {
            quote!(serde_json::to_value(#raw.into_inner())?)
        } else {
            quote!({ #raw; serde_json::Value::Null })
        };
        let argument = match takes(view, operation) {
            Takes::Request(_) => quote!(serde_json::from_str(request)?),
            Takes::Nothing => quote!(),
        };
        let unused = operation
            .request
            .is_none()
            .then(|| quote!(let _ = request;));
        let deprecated = operation.deprecated.then(|| quote!(#[allow(deprecated)]));
        quote! {
            #deprecated
            async fn #function(client: &Client, raw: &raw::Client, request: &str) -> Outcome {
                #unused
                let reply = client.#group().#action(#argument).await?;
                let body = reply.body().to_vec();
                let data = serde_json::to_value(reply.into_inner())?;
                let raw = #raw;
                Ok(Answers { data, body, raw })
            }
        }
    });
    quote! {
        use smtp2go_sdk::{Client, raw};
        use smtp2go_types as types;
        use crate::doors::{Answers, Door, Outcome, answer};

        /// Every operation.
        pub static DOORS: &[Door] = &[#(#rows),*];

        #(#functions)*
    }
}
