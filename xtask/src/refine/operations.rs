//! The operation table: the client's data about each operation.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::Modules;
use super::changes::lines;
use crate::docs;
use crate::lower::{FailureIn200, KnownError, Operation, View};
use crate::names::{identifier, pascal_case};

/// Returns `operations`, and the `mod` of all generated modules of the SDK.
pub(super) fn modules(view: &View) -> Modules {
    let rows = view.operations.iter().map(row);
    let names = view
        .operations
        .iter()
        .map(|operation| identifier(&operation.id.to_uppercase()));
    let known_errors = view.known_errors.iter().map(known_error);
    let operations = quote! {
        #![allow(unused_imports)]
        use std::time::Duration;
        use http::Method;
        use crate::operation::{
            Cause, FailureIn200, Kind, KnownError, Operation, PageStyle, Pagination, RateLimit, Sign,
        };

        #(#rows)*

        /// Every operation, in the order of the specification.
        pub static OPERATIONS: &[&Operation] = &[#(&#names),*];

        /// The meaning of known errors.
        pub(crate) static KNOWN_ERRORS: &[KnownError] = &[#(#known_errors),*];
    };
    let module = quote! {
        /// One struct per API group, whose blocking methods are its operations.
        #[cfg(all(feature = "blocking", not(target_family = "wasm")))]
        pub mod blocking;
        /// One struct per API group, whose methods are its operations.
        pub mod groups;
        /// The client's data about each operation.
        pub mod operations;
        #[cfg(all(feature = "raw", not(target_family = "wasm")))]
        pub mod raw;
        #[cfg(all(feature = "raw", not(target_family = "wasm")))]
        pub mod raw_types;
    };
    vec![
        ("operations".to_owned(), operations),
        ("raw_types".to_owned(), raw_types(view)),
        ("mod".to_owned(), module),
    ]
}

/// Returns a table with the types of each operation for the raw client's hooks, which don't receive
/// them.
fn raw_types(view: &View) -> TokenStream {
    let rows = view.operations.iter().map(|operation| {
        let constant = identifier(&operation.id.to_uppercase());
        let path = |name: &String| {
            let name = format_ident!("{name}");
            quote!(types::#name)
        };
        let request = operation.request.as_ref().map(path);
        let check = optional(request.map(|request| quote!(validate_json::<#request>)));
        let reply = operation.reply.as_ref().map_or(quote!(()), path);
        quote!((&operations::#constant, #check, readable::<#reply>))
    });
    quote! {
        use smtp2go_types as types;
        use smtp2go_types::validation::validate_json;
        use super::operations;
        use crate::raw::{Row, readable};

        /// Every operation.
        pub(crate) static ROWS: &[Row] = &[#(#rows),*];
    }
}

fn known_error(error: &KnownError) -> TokenStream {
    let KnownError {
        contains,
        code,
        cause,
        rejected,
    } = error;
    let cause = identifier(&pascal_case(cause));
    let sign = match code {
        Some(code) => quote!(Sign::Code(#code)),
        None => quote!(Sign::Text(&[#(#contains),*])),
    };
    quote!(KnownError { sign: #sign, cause: Cause::#cause, rejected: #rejected })
}

fn optional(value: Option<TokenStream>) -> TokenStream {
    match value {
        Some(value) => quote!(Some(#value)),
        None => quote!(None),
    }
}

fn row(operation: &Operation) -> TokenStream {
    let about = lines(&docs::call(operation));
    let constant = identifier(&operation.id.to_uppercase());
    let Operation {
        id,
        group,
        path,
        deprecated,
        repeat_safe,
        ..
    } = operation;
    let method = identifier(&operation.method);
    let kind = identifier(&pascal_case(&operation.kind));
    let rate = optional(operation.rate_limit.map(|(count, seconds)| {
        let count = proc_macro2::Literal::u64_unsuffixed(count);
        let seconds = proc_macro2::Literal::u64_unsuffixed(seconds);
        quote!(RateLimit { requests: #count, per: Duration::from_secs(#seconds) })
    }));
    let bytes = optional(operation.max_body_bytes.map(|bytes| {
        let bytes = proc_macro2::Literal::u64_unsuffixed(bytes);
        quote!(#bytes)
    }));
    let text = |value: &Option<String>| optional(value.as_ref().map(|value| quote!(#value)));
    let pagination = optional(operation.pagination.as_ref().map(|pages| {
        let style = identifier(&pascal_case(&pages.style));
        let (request, items) = (&pages.request, &pages.items);
        let (reply, size) = (text(&pages.reply), text(&pages.size));
        quote! {
            Pagination {
                style: PageStyle::#style,
                request: #request,
                reply: #reply,
                items: #items,
                size: #size,
            }
        }
    }));
    let subaccount = text(&operation.subaccount);
    let failure = optional(operation.failure_in_200.as_ref().map(|failure| {
        let FailureIn200 {
            count,
            messages,
            succeeded,
            id,
            status,
        } = failure;
        let [count, messages, succeeded, id, status] =
            [count, messages, succeeded, id, status].map(text);
        quote! {
            FailureIn200 {
                count: #count,
                messages: #messages,
                succeeded: #succeeded,
                id: #id,
                status: #status,
            }
        }
    }));
    let key_in_body = text(&operation.key_in_body);
    quote! {
        #(#about)*
        pub static #constant: Operation = Operation {
            id: #id,
            group: #group,
            method: Method::#method,
            path: #path,
            kind: Kind::#kind,
            repeat_safe: #repeat_safe,
            deprecated: #deprecated,
            rate_limit: #rate,
            max_body_bytes: #bytes,
            pagination: #pagination,
            subaccount: #subaccount,
            failure_in_200: #failure,
            key_in_body: #key_in_body,
        };
    }
}
