//! Streams of results, for paginated searches.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::changes::lines;
use super::groups::{Flavour, Takes, qualified, refer, takes};
use super::types::{Identifiers, Structs, data_type, shape_type};
use crate::docs;
use crate::lower::{Object, Operation, Pagination, Scalar, Shape, View};
use crate::names::identifier;

/// Returns the method that returns the stream, if the operation has pages.
///
/// # Errors
///
/// If the pagination has a form that the checks of the spec refuse.
pub(super) fn method(
    view: &View,
    structs: &Structs,
    operation: &Operation,
    flavour: Flavour,
) -> Result<Option<TokenStream>, String> {
    match &operation.pagination {
        Some(pages) => derive(view, structs, operation, pages, flavour)
            .map(Some)
            .ok_or_else(|| {
                format!(
                    "the pagination of {} can't become a stream: {pages:?}",
                    operation.id
                )
            }),
        None => Ok(None),
    }
}

fn derive(
    view: &View,
    structs: &Structs,
    operation: &Operation,
    pages: &Pagination,
    flavour: Flavour,
) -> Option<TokenStream> {
    let Takes::Request(request) = takes(view, operation) else {
        return None;
    };
    let reply = operation.reply.as_deref()?;
    let request = Struct::of(view, structs, request)?;
    let data = Data::of(view, structs, reply)?;
    let in_request = |field: &str, scalar| {
        let (ident, shape) = request.field(field)?;
        (*shape == Shape::One(scalar)).then(|| quote!(|request| &mut request.#ident))
    };
    let (list, items) = data.at(&pages.items)?;
    let Shape::List(item) = list else { return None };
    let item = qualified(shape_type(&Shape::One(item.clone())));
    let constant = identifier(&operation.id.to_uppercase());
    let reply = format_ident!("{reply}");
    let call = if pages.style == "token" {
        let token = in_request(&pages.request, Scalar::Text)?;
        let (Shape::One(Scalar::Text), newest) = data.at(pages.reply.as_deref()?)? else {
            return None;
        };
        quote! {
            Items::by_token::<_, types::#reply>(
                self.client,
                &operations::#constant,
                request,
                #token,
                |data| data #newest.as_deref(),
                |data| data #items,
            )
        }
    } else {
        let page = in_request(&pages.request, Scalar::Integer)?;
        let size = match &pages.size {
            Some(field) => {
                let size = in_request(field, Scalar::Integer)?;
                let default = request.default(field);
                quote!(Some((#size, #default)))
            }
            None => quote!(None),
        };
        // If the data is the list, it is already borrowed and needs no `&`.
        let found = if items.is_empty() {
            quote!(|data| data)
        } else {
            quote!(|data| &data #items)
        };
        quote! {
            Items::by_number::<_, types::#reply>(
                self.client,
                &operations::#constant,
                request,
                ByNumber { page: #page, size: #size, found: #found },
                |data| data #items,
            )
        }
    };
    let name = format_ident!("{}_all", operation.action);
    let group = identifier(&operation.group);
    let (about, call) = match flavour {
        Flavour::Async => {
            let action = identifier(&operation.action).to_string();
            (lines(&docs::stream(&action)), call)
        }
        Flavour::Blocking => (
            refer(operation, &name.to_string(), docs::ITERATOR),
            quote!(iterate(self.client, self.client.client.#group().#name(request))),
        ),
    };
    // The blocking method calls the async one, which is deprecated too.
    let deprecated = operation.deprecated.then(|| match flavour {
        Flavour::Async => quote!(#[deprecated]),
        Flavour::Blocking => quote!(#[deprecated] #[allow(deprecated)]),
    });
    let request = format_ident!("{}", request.object.name);
    let data = qualified(data_type(view, &reply.to_string()));
    Some(quote! {
        #(#about)*
        #deprecated
        #[inline]
        pub fn #name(&self, request: types::#request) -> Items<#item, #data> {
            #call
        }
    })
}

/// An object with the identifiers of its fields.
struct Struct<'a> {
    object: &'a Object,
    idents: &'a Identifiers,
}

impl<'a> Struct<'a> {
    fn of(view: &'a View, structs: &'a Structs, name: &str) -> Option<Self> {
        Some(Self {
            object: view.object(name)?,
            idents: structs.get(name)?,
        })
    }

    /// Returns the identifier and the shape of an optional field.
    fn field(&self, wire: &str) -> Option<(&'a proc_macro2::Ident, &'a Shape)> {
        let field = self.object.fields.iter().find(|field| field.wire == wire)?;
        let plain = !field.required && field.always_send.is_none();
        plain.then_some((self.idents.get(wire)?, &field.shape))
    }

    /// Returns the default of a field as code: an `Option` of a number.
    fn default(&self, wire: &str) -> TokenStream {
        let field = self.object.fields.iter().find(|field| field.wire == wire);
        let default = field.and_then(|field| field.default.as_ref());
        match default.and_then(|text| text.parse().ok()) {
            Some(number) => {
                let number = proc_macro2::Literal::i64_unsuffixed(number);
                quote!(Some(#number))
            }
            None => quote!(None),
        }
    }
}

/// The part of a reply that a caller receives.
enum Data<'a> {
    /// The whole reply or an object in it, and the pointer to it.
    Struct(Struct<'a>, &'static str),
    /// `data`, unchanged.
    Plain(&'a Shape),
}

impl<'a> Data<'a> {
    fn of(view: &'a View, structs: &'a Structs, reply: &str) -> Option<Self> {
        Some(match view.data(reply) {
            None => Self::Struct(Struct::of(view, structs, reply)?, ""),
            Some(Shape::One(Scalar::Object(name))) => {
                Self::Struct(Struct::of(view, structs, name)?, "/data")
            }
            Some(shape) => Self::Plain(shape),
        })
    }

    /// Returns the shape at a pointer into the reply, and the code that accesses it from the data.
    fn at(&self, pointer: &str) -> Option<(&'a Shape, TokenStream)> {
        match self {
            Self::Plain(shape) => (pointer == "/data").then(|| (*shape, quote!())),
            Self::Struct(object, base) => {
                let wire = pointer.strip_prefix(base)?.strip_prefix('/')?;
                let (ident, shape) = object.field(wire)?;
                Some((shape, quote!(.#ident)))
            }
        }
    }
}
