//! Types: additions to progenitor's structs, and the open enums.
//!
//! In: the structs after [`changes`](super::changes), and the view. Out: a module per API group.
//! The additions to `pub struct SmsSendRequest { … }` are the call of `object::request!` that reads
//! and writes it, `new(…)`, a setter for each optional field, and `Validate` with the spec's
//! limits.

use std::collections::BTreeMap;

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, ItemStruct, parse_quote};

use super::Modules;
use super::changes::{Code, SHARED, lines, wire_name};
use crate::docs;
use crate::lower::{Field, Limits, Object, OpenEnum, Role, Scalar, Shape, View};
use crate::names::identifier;

/// Returns one module per group, `shared` for types that several groups use, and `mod`, which
/// re-exports all.
pub(super) fn modules(view: &View, code: &Code, names: &Structs) -> Result<Modules, String> {
    let mut by_group: BTreeMap<String, Vec<TokenStream>> = BTreeMap::new();
    for (group, items) in &code.types {
        let module = by_group.entry(group.clone()).or_default();
        for item in items {
            let name = item.ident.to_string();
            let (object, idents) = (view.object(&name), names.get(&name));
            let (Some(object), Some(idents)) = (object, idents) else {
                return Err(format!(
                    "progenitor generated a struct that is not a component: {name}"
                ));
            };
            module.push(structure(view, object, item.clone(), idents)?);
        }
    }
    for open_enum in &view.open_enums {
        let group = open_enum.group.clone().unwrap_or_else(|| SHARED.to_owned());
        by_group
            .entry(group)
            .or_default()
            .push(enumeration(open_enum));
    }
    let names: Vec<Ident> = by_group.keys().map(|name| identifier(name)).collect();
    let mut modules: Modules = vec![(
        "mod".to_owned(),
        quote! {
            #(mod #names;)*
            #(pub use self::#names::*;)*
        },
    )];
    for (group, items) in by_group {
        let mut text = TokenStream::new();
        text.extend(quote! {
            #![allow(unused_imports)]
            use crate::generated::*;
            use crate::validation::{Check, Validate};
            use crate::{Date, Secret, SecretJson, SecretUrl, TextOrObject, Timestamp};
            use std::collections::BTreeMap;
        });
        text.extend(items);
        modules.push((group, text));
    }
    Ok(modules)
}

/// Identifiers of the fields of a struct that progenitor generated, by wire name.
pub(super) type Identifiers = BTreeMap<String, Ident>;

/// Identifiers of the fields of all structs, by the name of the struct.
pub(super) type Structs = BTreeMap<String, Identifiers>;

/// Returns progenitor's identifiers of the fields of all structs.
pub(super) fn names(code: &Code) -> Structs {
    let fields = |item: &ItemStruct| {
        let fields = item.fields.iter();
        fields
            .filter_map(|field| Some((wire_name(field), field.ident.clone()?)))
            .collect()
    };
    let structs = code.types.values().flatten();
    structs
        .map(|item| (item.ident.to_string(), fields(item)))
        .collect()
}

/// Returns progenitor's struct with its attributes and additions.
fn structure(
    view: &View,
    object: &Object,
    mut item: ItemStruct,
    idents: &Identifiers,
) -> Result<TokenStream, String> {
    item.attrs.extend([
        parse_quote!(#[cfg_attr(feature = "schemars", derive(::schemars::JsonSchema))]),
        parse_quote!(#[non_exhaustive]),
    ]);
    let mut fields = Vec::new();
    for field in &object.fields {
        let ident = idents.get(&field.wire).ok_or_else(|| {
            format!(
                "progenitor generated no field {}.{}",
                object.name, field.wire
            )
        })?;
        fields.push((ident, field));
    }
    for member in &mut item.fields {
        let field = fields
            .iter()
            .find(|(ident, _)| member.ident.as_ref() == Some(*ident));
        member.attrs.extend(match field {
            Some((ident, field)) => schema(object, ident, field),
            None => Some(parse_quote!(#[cfg_attr(feature = "schemars", schemars(flatten))])),
        });
    }
    let added = match object.role {
        Role::Request => request(view, object, &fields)?,
        Role::Reply => reply(view, object, &fields),
    };
    Ok(quote!(#item #added))
}

fn scalar_type(scalar: &Scalar) -> TokenStream {
    match scalar {
        Scalar::Text => quote!(String),
        Scalar::Integer => quote!(i64),
        Scalar::Number => quote!(f64),
        Scalar::Boolean => quote!(bool),
        Scalar::Any => quote!(::serde_json::Value),
        Scalar::Timestamp => quote!(Timestamp),
        Scalar::Date => quote!(Date),
        Scalar::Secret => quote!(Secret),
        Scalar::Url => quote!(SecretUrl),
        Scalar::SecretJson => quote!(SecretJson),
        Scalar::TextOrObject => quote!(TextOrObject),
        Scalar::Word(name) | Scalar::Object(name) => {
            let ident = format_ident!("{name}");
            quote!(#ident)
        }
    }
}

pub(super) fn shape_type(shape: &Shape) -> TokenStream {
    let inner = scalar_type(shape.scalar());
    match shape {
        Shape::One(_) => inner,
        Shape::List(_) => quote!(Vec<#inner>),
        Shape::Map(_) => quote!(BTreeMap<String, #inner>),
    }
}

/// Returns the schemars attribute of a field, if it needs one.
fn schema(object: &Object, ident: &Ident, field: &Field) -> Option<Attribute> {
    let wire = &field.wire;
    let rename = (ident != wire).then(|| quote!(rename = #wire));
    let default = match (object.role, &field.shape) {
        (Role::Request, _) => field.always_send.map(|_| quote!(default)),
        (Role::Reply, Shape::One(_)) => None,
        (Role::Reply, Shape::List(_)) => {
            Some(quote!(default, skip_serializing_if = "Vec::is_empty"))
        }
        (Role::Reply, Shape::Map(_)) => {
            Some(quote!(default, skip_serializing_if = "BTreeMap::is_empty"))
        }
    };
    let words: Vec<_> = rename.into_iter().chain(default).collect();
    (!words.is_empty())
        .then(|| parse_quote!(#[cfg_attr(feature = "schemars", schemars(#(#words),*))]))
}

/// Returns a member for `object::reply!` and `object::request!`: the field, and its wire name if the two
/// differ, as for `r#type`.
fn member(ident: &Ident, wire: &str) -> TokenStream {
    let name = (ident != wire).then(|| quote!(= #wire));
    quote!(#ident #name)
}

// Requests

fn request(
    view: &View,
    object: &Object,
    fields: &[(&Ident, &Field)],
) -> Result<TokenStream, String> {
    let name = format_ident!("{}", object.name);
    let wire = fields
        .iter()
        .map(|(ident, field)| member(ident, &field.wire));
    let names: Vec<_> = fields
        .iter()
        .filter(|(_, field)| field.required)
        .map(|(_, field)| &field.wire)
        .collect();
    let required = (!names.is_empty()).then(|| quote!(, required = [#(#names),*]));
    let injected = object
        .injected
        .as_ref()
        .map(|name| quote!(, injected = #name));
    let maximums = fields
        .iter()
        .filter_map(|(ident, field)| maximum(ident, field));
    let constructor = constructor(fields);
    let setters = fields
        .iter()
        .filter(|(_, field)| !field.required)
        .map(|(ident, field)| setter(ident, field));
    let based_on = based_on(view, object, fields)?;
    let validate = validation(&name, fields);
    Ok(quote! {
        crate::object::request!(#name { #(#wire),* } #required #injected);

        impl #name {
            #(#maximums)*
            #constructor
            #(#setters)*
            #based_on
        }

        #validate
    })
}

/// Returns the method that fills a request with the state in a reply.
fn based_on(
    view: &View,
    object: &Object,
    fields: &[(&Ident, &Field)],
) -> Result<Option<TokenStream>, String> {
    let Some(based_on) = &object.based_on else {
        return Ok(None);
    };
    let reply = view.object(&based_on.reply).ok_or_else(|| {
        format!(
            "{}: `x-smtp2go-based-on`: {} is not an object of the document",
            object.name, based_on.reply
        )
    })?;
    let mut fills = Vec::new();
    for (ident, field) in fields.iter().filter(|(_, field)| !field.required) {
        let aliases = based_on
            .names
            .iter()
            .filter(|(name, _)| *name == field.wire);
        let names = std::iter::once(&field.wire).chain(aliases.map(|(_, name)| name));
        for name in names {
            let Some(shown) = reply.fields.iter().find(|shown| shown.wire == *name) else {
                continue;
            };
            if shown.shape != field.shape {
                return Err(format!(
                    "{}.{name} and {}.{} have different types",
                    reply.name, object.name, field.wire
                ));
            }
            let shown = identifier(name);
            let unset = based_on.unset.iter().find(|(name, _)| *name == field.wire);
            let value = match (&field.shape, unset) {
                (Shape::One(Scalar::Text), Some((_, texts))) => {
                    quote!(current.#shown.filter(|text| ![#(#texts),*].contains(&text.as_str())))
                }
                (Shape::One(Scalar::Secret), _) => quote!(crate::object::unmasked(current.#shown)),
                (Shape::One(_), _) => quote!(current.#shown),
                (Shape::List(_) | Shape::Map(_), _) => {
                    quote!(crate::object::filled(current.#shown))
                }
            };
            fills.push(quote!(self.#ident = self.#ident.or(#value);));
        }
    }
    let reply = format_ident!("{}", reply.name);
    let about = lines(docs::BASED_ON);
    Ok(Some(quote! {
        #(#about)*
        #[must_use]
        pub fn based_on(mut self, current: #reply) -> Self {
            #(#fills)*
            crate::object::carry(&mut self, current.extra);
            self
        }
    }))
}

/// Returns the constant for the maximum number of items of a list, or of days that a time is ahead.
fn maximum(ident: &Ident, field: &Field) -> Option<TokenStream> {
    let (max, kind) = match field.shape {
        Shape::List(_) => (field.limits.max?, quote!(usize)),
        _ => (field.limits.days_ahead?, quote!(u64)),
    };
    let max = Literal::u64_unsuffixed(max);
    let about = lines(&docs::maximum(field));
    let name = maximum_name(ident, field);
    Some(quote! {
        #(#about)*
        pub const #name: #kind = #max;
    })
}

fn maximum_name(ident: &Ident, field: &Field) -> Ident {
    let name = ident.unraw().to_string().to_uppercase();
    match field.limits.days_ahead {
        Some(_) => format_ident!("MAX_{name}_DAYS"),
        None => format_ident!("MAX_{name}"),
    }
}

/// Returns a parameter's type, and the expression that converts it to the field's type.
fn parameter(shape: &Shape, name: &Ident) -> (TokenStream, TokenStream) {
    let inner = scalar_type(shape.scalar());
    // Type inference fails for literals with `Into`.
    let plain = matches!(
        shape.scalar(),
        Scalar::Integer | Scalar::Number | Scalar::Boolean
    );
    let (item, convert) = if plain {
        (inner, quote!())
    } else {
        (quote!(impl Into<#inner>), quote!(.map(Into::into)))
    };
    match shape {
        Shape::One(_) if plain => (item, quote!(#name)),
        Shape::One(_) => (item, quote!(#name.into())),
        Shape::List(_) => (
            quote!(impl IntoIterator<Item = #item>),
            quote!(#name.into_iter()#convert.collect()),
        ),
        Shape::Map(_) => (
            quote!(impl IntoIterator<Item = (impl Into<String>, #item)>),
            if plain {
                quote!(#name.into_iter().map(|(key, value)| (key.into(), value)).collect())
            } else {
                quote!(#name.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
            },
        ),
    }
}

fn constructor(fields: &[(&Ident, &Field)]) -> TokenStream {
    let required: Vec<_> = fields.iter().filter(|(_, field)| field.required).collect();
    let names: Vec<_> = required
        .iter()
        .map(|(_, field)| field.wire.as_str())
        .collect();
    let about = lines(&docs::constructor(&names));
    let all_absent = fields
        .iter()
        .all(|(_, field)| !field.required && field.always_send.is_none());
    if all_absent {
        // Inline, like the checks, so that they are compiled only for programs that use them.
        return quote! {
            #(#about)*
            #[inline]
            #[must_use]
            pub fn new() -> Self {
                Self::default()
            }
        };
    }
    let parameters = required.iter().map(|(ident, field)| {
        let (kind, _) = parameter(&field.shape, ident);
        quote!(#ident: #kind)
    });
    let values = fields.iter().map(|(ident, field)| {
        if field.required {
            let (_, value) = parameter(&field.shape, ident);
            if value.to_string() == ident.to_string() {
                value
            } else {
                quote!(#ident: #value)
            }
        } else if let Some(value) = field.always_send {
            quote!(#ident: #value)
        } else {
            quote!(#ident: None)
        }
    });
    quote! {
        #(#about)*
        #[must_use]
        pub fn new(#(#parameters),*) -> Self {
            Self { #(#values,)* extra: BTreeMap::new() }
        }
    }
}

fn setter(ident: &Ident, field: &Field) -> TokenStream {
    let about = lines(&docs::setter(&ident.to_string()));
    let (kind, value) = parameter(&field.shape, ident);
    let value = if field.always_send.is_some() {
        value
    } else {
        quote!(Some(#value))
    };
    quote! {
        #(#about)*
        #[must_use]
        pub fn #ident(mut self, #ident: #kind) -> Self {
            self.#ident = #value;
            self
        }
    }
}

fn validation(name: &Ident, fields: &[(&Ident, &Field)]) -> TokenStream {
    let checks: Vec<_> = fields
        .iter()
        .filter_map(|(ident, field)| field_check(ident, field))
        .collect();
    quote! {
        impl Validate for #name {
            #[inline]
            fn check(&self, check: &mut Check) {
                #(#checks)*
                check.extra(Self::FIELDS, self.extra.keys());
            }
        }
    }
}

fn field_check(ident: &Ident, field: &Field) -> Option<TokenStream> {
    let wire = &field.wire;
    let own = match &field.shape {
        Shape::One(scalar) => value_checks(scalar, &field.limits),
        Shape::List(_) | Shape::Map(_) => {
            let (min, mut max) = (option(field.limits.min), option(field.limits.max));
            if maximum(ident, field).is_some() {
                let name = maximum_name(ident, field);
                max = quote!(Some(Self::#name));
            }
            (field.limits.min.is_some() || field.limits.max.is_some())
                .then(|| quote!(|check| check.count(value.len(), #min, #max)))
        }
    };
    let each = match &field.shape {
        Shape::List(scalar) => value_checks(scalar, &field.item_limits),
        _ => None,
    };
    if own.is_none() && each.is_none() {
        return None;
    }
    let own = own.map(|own| quote!(check.at(#wire, #own);));
    let each = each.map(|each| {
        quote! {
            for (index, value) in value.iter().enumerate() {
                check.at_index(#wire, index, #each);
            }
        }
    });
    Some(if field.required || field.always_send.is_some() {
        quote! {
            let value = &self.#ident;
            #own
            #each
        }
    } else {
        quote! {
            if let Some(value) = &self.#ident {
                #own
                #each
            }
        }
    })
}

fn option(value: Option<impl ToString>) -> TokenStream {
    match value {
        Some(value) => {
            // Without a suffix, as in hand-written code.
            let literal: TokenStream = value.to_string().parse().unwrap_or_default();
            quote!(Some(#literal))
        }
        None => quote!(None),
    }
}

/// Returns a closure that checks `value`.
fn value_checks(scalar: &Scalar, limits: &Limits) -> Option<TokenStream> {
    let mut checks = Vec::new();
    match scalar {
        Scalar::Object(_) => checks.push(quote!(value.check(check))),
        Scalar::Date => checks.push(quote!(check.date(value))),
        Scalar::Word(_) if limits.known => checks.push(quote!(check.known(value))),
        Scalar::Word(_) => checks.push(quote!(check.spelling(value))),
        Scalar::Text | Scalar::Secret | Scalar::Url => {
            let text = if *scalar == Scalar::Secret {
                quote!(value.expose())
            } else {
                quote!(value)
            };
            if limits.min.is_some() || limits.max.is_some() {
                let (min, max) = (option(limits.min), option(limits.max));
                checks.push(quote!(check.length(#text, #min, #max)));
            }
            if limits.header {
                checks.push(quote!(check.header(#text)));
            }
            if !limits.refused.is_empty() {
                let refused = &limits.refused;
                checks.push(quote!(check.refused(#text, &[#(#refused),*])));
            }
        }
        Scalar::Integer => {
            if limits.minimum.is_some() || limits.maximum.is_some() {
                let (min, max) = (
                    option(limits.minimum.map(|n| n as i64)),
                    option(limits.maximum.map(|n| n as i64)),
                );
                checks.push(quote!(check.range(*value, #min, #max)));
            }
            if !limits.one_of.is_empty() {
                let numbers = limits
                    .one_of
                    .iter()
                    .map(|n| proc_macro2::Literal::i64_unsuffixed(*n));
                checks.push(quote!(check.one_of(*value, &[#(#numbers),*])));
            }
        }
        Scalar::Number if limits.minimum.is_some() || limits.maximum.is_some() => {
            let (min, max) = (
                option(limits.minimum.map(|n| format!("{n:?}"))),
                option(limits.maximum.map(|n| format!("{n:?}"))),
            );
            checks.push(quote!(check.range_f64(*value, #min, #max)));
        }
        _ => {}
    }
    match checks.as_slice() {
        [] => None,
        // Long closures are statements: they read better, and clippy accepts them.
        [only] if only.to_string().len() < 60 => Some(quote!(|check| #only)),
        all => Some(quote!(|check| { #(#all;)* })),
    }
}

// Replies

fn reply(view: &View, object: &Object, fields: &[(&Ident, &Field)]) -> TokenStream {
    let name = format_ident!("{}", object.name);
    let wire = fields.iter().map(|(ident, field)| {
        let member = member(ident, &field.wire);
        let aliases = &field.also_named;
        quote!(#member #(| #aliases)*)
    });
    // A reply that is a list without its envelope.
    let list = fields
        .iter()
        .find(|(_, field)| field.wire == "data" && matches!(field.shape, Shape::List(_)))
        .filter(|_| object.also.iter().any(|also| also == "array"))
        .map(|(ident, _)| quote!(, list = #ident));
    let envelope = view
        .operations
        .iter()
        .any(|operation| operation.reply.as_ref() == Some(&object.name))
        .then(|| envelope(view, object, &name));
    let payload = payload(view, object, fields);
    quote! {
        crate::object::reply!(#name { #(#wire),* } #list);

        #payload
        #envelope
    }
}

/// Returns the data for the parser of events: the payload's fields, sorted by name, and their
/// shapes.
fn payload(view: &View, object: &Object, fields: &[(&Ident, &Field)]) -> Option<TokenStream> {
    if !view.webhooks.iter().any(|hook| hook.object == object.name) {
        return None;
    }
    let name = format_ident!("{}", object.name);
    let mut rows: Vec<_> = fields
        .iter()
        .map(|(_, field)| {
            let shape = match &field.shape {
                Shape::List(_) => "List",
                Shape::One(Scalar::Integer) => "Integer",
                Shape::One(
                    Scalar::Text
                    | Scalar::Timestamp
                    | Scalar::Date
                    | Scalar::Secret
                    | Scalar::Url
                    | Scalar::Word(_),
                ) => "Text",
                _ => "Other",
            };
            (
                field.wire.as_str(),
                &field.also_named,
                format_ident!("{shape}"),
            )
        })
        .collect();
    rows.sort();
    let rows = rows
        .iter()
        .map(|(wire, others, shape)| quote!(#wire #(| #others)*: #shape));
    Some(quote!(crate::webhook::payload!(#name { #(#rows),* });))
}

/// Returns the type of the part of a reply that a caller receives: `data`, or the whole reply if it
/// has no `data`.
pub(super) fn data_type(view: &View, reply: &str) -> TokenStream {
    match view.data(reply) {
        Some(shape) => shape_type(shape),
        None => {
            let name = format_ident!("{reply}");
            quote!(#name)
        }
    }
}

fn envelope(view: &View, object: &Object, name: &Ident) -> TokenStream {
    let data = data_type(view, &object.name);
    let has_id = |object: &Object| object.fields.iter().any(|field| field.wire == "request_id");
    let (root_id, root_copy) = if has_id(object) {
        (quote!(self.request_id), quote!(self.request_id.clone()))
    } else {
        (quote!(None), quote!(None))
    };
    let body = match view.data(&object.name) {
        None => quote!((#root_copy, self)),
        Some(Shape::One(Scalar::Object(inner))) if view.object(inner).is_some_and(has_id) => {
            quote! {
                let id = #root_id;
                let data = self.data.unwrap_or_default();
                (id.or_else(|| data.request_id.clone()), data)
            }
        }
        Some(Shape::One(_)) => quote!((#root_id, self.data.unwrap_or_default())),
        Some(_) => quote!((#root_id, self.data)),
    };
    let unknown = object.also.iter().any(|also| also == "string").then(|| {
        quote! {
            fn unknown() -> Option<Self> { Some(Self::default()) }
        }
    });
    quote! {
        impl crate::Envelope for #name {
            type Data = #data;
            fn into_parts(self) -> (Option<String>, Self::Data) { #body }
            #unknown
        }
    }
}

// Open enums

fn enumeration(open_enum: &OpenEnum) -> TokenStream {
    let name = format_ident!("{}", open_enum.name);
    let about = lines(&docs::open_enum(open_enum));
    let variants = open_enum.words.iter().map(|(word, variant, _)| {
        let variant = format_ident!("{variant}");
        let about = lines(&docs::word(word));
        quote!(#(#about)* #variant,)
    });
    let words = open_enum.words.iter().map(|(word, variant, aliases)| {
        let variant = format_ident!("{variant}");
        quote!(#variant = #word #(| #aliases)*)
    });
    quote! {
        #(#about)*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum #name {
            #(#variants)*
            /// A value that this version does not list.
            Unknown(crate::UnknownValue),
        }

        crate::open_enum::open_enum!(#name { #(#words),* });
    }
}
