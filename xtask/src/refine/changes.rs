//! All changes to the items that progenitor generates. The rest of the committed files is added
//! beside these items.
//!
//! In: progenitor's file. Out: the same items, by target file. An example of a row of [`CHANGES`]
//! is "one `#[doc]` a line": `#[doc = "One.\n\nTwo."]` becomes three attributes. Each row has an
//! inverse, which removes something, sorts, or inserts a fixed text, but generates nothing. A test
//! applies the inverses to the committed files and compares the rest, token for token, with
//! progenitor's output.

use std::collections::BTreeMap;

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::visit_mut::VisitMut;
use syn::{
    Attribute, Expr, ExprLit, Field, Fields, ImplItem, Item, ItemImpl, ItemStruct, Lit, Meta,
    parse_quote,
};

use crate::docs;
use crate::lower::View;

/// Progenitor's items, by file name without its extension.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// Structs.
    pub types: BTreeMap<String, Vec<ItemStruct>>,
    /// The client.
    pub client: BTreeMap<String, Vec<Item>>,
}

/// A kind of change.
#[derive(Clone, Copy, Debug)]
pub struct Change {
    /// The change.
    pub what: &'static str,
    /// The reason.
    pub why: &'static str,
    apply: fn(&mut Code, &View),
    undo: fn(&mut Code),
}

/// All kinds of changes, in the order in which they are applied.
pub const CHANGES: [Change; 8] = [
    Change {
        what: "`Client::new`, `mod prelude` and `mod error` are left out",
        why: "`Client::new` unwraps, and `client.raw()` is in its place; nothing uses the modules",
        apply: |code, _| leave_out(code),
        undo: leave_out,
    },
    Change {
        what: "items move into a file per API group, methods into one `impl` a file",
        why: "an edit of the spec shows up in the files of its group",
        apply: |code, view| {
            move_structs(code, view);
            move_methods(code, view);
        },
        undo: gather,
    },
    Change {
        what: "fields are in the order of the spec",
        why: "requests are sent and documentation is read in that order; progenitor sorts by name",
        apply: |code, view| {
            for item in code.structs() {
                let object = view.object(&item.ident.to_string());
                let fields = object.map_or(&[][..], |object| &object.fields);
                let place = |field: &Field| {
                    let wire = wire_name(field);
                    fields.iter().position(|field| field.wire == wire)
                };
                sort_fields(item, |field| (place(field).is_none(), place(field)));
            }
        },
        undo: |code| {
            for item in code.structs() {
                let name = |field: &Field| field.ident.as_ref().map(ToString::to_string);
                sort_fields(item, |field| {
                    let name = name(field);
                    (name.as_deref() == Some("extra"), name)
                });
            }
        },
    },
    Change {
        what: "documentation has one `#[doc]` a line",
        why: "that is how it is printed as `///`",
        apply: |code, _| code.visit(&mut Docs { split: true }),
        undo: |code| code.visit(&mut Docs { split: false }),
    },
    Change {
        what: "`extra` is documented",
        why: "progenitor gives it no documentation, and every public item has some",
        apply: |code, _| {
            for field in code.fields().filter(|field| is_extra(field)) {
                field.attrs.splice(0..0, lines(docs::EXTRA));
            }
        },
        undo: |code| {
            for field in code.fields().filter(|field| is_extra(field)) {
                field
                    .attrs
                    .retain(|attribute| !attribute.path().is_ident("doc"));
            }
        },
    },
    Change {
        what: "derives and attributes of serde are left out",
        why: "`object::request!` and `object::reply!` write that code: see their module",
        apply: |code, _| leave_out_serde(code),
        undo: leave_out_serde,
    },
    Change {
        what: "`Option`, `Vec` and `String` have short paths",
        why: "they read better, and nothing else in those files has these names",
        apply: |code, _| code.visit_types(&mut Paths { short: true }),
        undo: |code| code.visit_types(&mut Paths { short: false }),
    },
    Change {
        what: "`#[non_exhaustive]`, `#[deprecated]`, attributes of schemars, and lines with `use` and \
               `mod` are added",
        why: "progenitor emits none of the attributes, and files need their imports",
        // Later stages add these, because only they know the content.
        apply: |_, _| {},
        undo: leave_out_added,
    },
];

/// Applies all changes.
pub(crate) fn apply(mut code: Code, view: &View) -> Code {
    for change in CHANGES {
        (change.apply)(&mut code, view);
    }
    code
}

/// Undoes all changes. The result has progenitor's items, sorted.
pub fn undo(code: &mut Code) {
    for change in CHANGES.iter().rev() {
        (change.undo)(code);
    }
}

impl Code {
    /// Collects progenitor's items, unchanged.
    ///
    /// # Errors
    ///
    /// If progenitor generated no types, or types that are not structs.
    pub fn of(file: syn::File) -> Result<Self, String> {
        let mut code = Self::default();
        for item in file.items {
            match item {
                Item::Mod(module) if module.ident == "types" => {
                    let (_, items) = module.content.unwrap_or_default();
                    code.types.insert(String::new(), structs(items)?);
                }
                item => code.client.entry(String::new()).or_default().push(item),
            }
        }
        if code.types.is_empty() {
            return Err("progenitor generated no module `types`".to_owned());
        }
        Ok(code)
    }

    fn structs(&mut self) -> impl Iterator<Item = &mut ItemStruct> {
        self.types.values_mut().flatten()
    }

    fn fields(&mut self) -> impl Iterator<Item = &mut Field> {
        self.structs().flat_map(|item| item.fields.iter_mut())
    }

    fn visit_types(&mut self, visitor: &mut impl VisitMut) {
        for item in self.structs() {
            visitor.visit_item_struct_mut(item);
        }
    }

    fn visit(&mut self, visitor: &mut impl VisitMut) {
        self.visit_types(visitor);
        for item in self.client.values_mut().flatten() {
            visitor.visit_item_mut(item);
        }
    }
}

/// Returns the structs in `mod types`, whose only other item is `mod error`.
fn structs(items: Vec<Item>) -> Result<Vec<ItemStruct>, String> {
    let mut structs = Vec::new();
    for item in items {
        match item {
            Item::Struct(item) => structs.push(item),
            Item::Mod(module) if module.ident == "error" => {}
            other => {
                let text = other.into_token_stream().to_string();
                let start: String = text.chars().take(80).collect();
                return Err(format!(
                    "progenitor generated an item that is not a struct: {start}"
                ));
            }
        }
    }
    Ok(structs)
}

fn leave_out(code: &mut Code) {
    for items in code.client.values_mut() {
        items.retain(|item| !matches!(item, Item::Mod(module) if module.ident == "prelude"));
        for methods in items.iter_mut().filter_map(methods) {
            methods
                .items
                .retain(|item| !matches!(item, ImplItem::Fn(method) if method.sig.ident == "new"));
        }
        items.retain_mut(|item| methods(item).is_none_or(|block| !block.items.is_empty()));
    }
}

/// Returns the item if it is an `impl Client` without a trait.
fn methods(item: &mut Item) -> Option<&mut ItemImpl> {
    match item {
        Item::Impl(item) if item.trait_.is_none() => Some(item),
        _ => None,
    }
}

/// The file for items that several groups use.
pub(crate) const SHARED: &str = "shared";

/// The file of the client itself.
pub(crate) const MAIN: &str = "mod";

fn move_structs(code: &mut Code, view: &View) {
    let mut made: Vec<_> = std::mem::take(&mut code.types)
        .into_values()
        .flatten()
        .collect();
    for object in &view.objects {
        let group = object.group.as_deref().unwrap_or(SHARED);
        if let Some(index) = made.iter().position(|item| item.ident == object.name) {
            let file = code.types.entry(group.to_owned()).or_default();
            file.push(made.swap_remove(index));
        }
    }
    if !made.is_empty() {
        // Not an object of the view: the comparison with progenitor reports it.
        code.types.insert(String::new(), made);
    }
}

fn move_methods(code: &mut Code, view: &View) {
    let mut main = Vec::new();
    for mut item in std::mem::take(&mut code.client).into_values().flatten() {
        let Some(block) = methods(&mut item) else {
            main.push(item);
            continue;
        };
        let all = std::mem::take(&mut block.items);
        let block = block.clone();
        for member in all {
            let group = match &member {
                ImplItem::Fn(method) => view.operation(&method.sig.ident.to_string()),
                _ => None,
            }
            .map(|operation| operation.group.clone());
            let Some(group) = group else {
                let block = ItemImpl {
                    items: vec![member],
                    ..block.clone()
                };
                main.push(Item::Impl(block));
                continue;
            };
            let file = code
                .client
                .entry(group)
                .or_insert_with(|| vec![Item::Impl(block.clone())]);
            if let Some(block) = file.iter_mut().find_map(methods) {
                block.items.push(member);
            }
        }
    }
    code.client.insert(MAIN.to_owned(), main);
}

/// Moves all items into one file, sorted, with each method in a separate `impl`.
fn gather(code: &mut Code) {
    let mut types: Vec<_> = std::mem::take(&mut code.types)
        .into_values()
        .flatten()
        .collect();
    types.sort_by_key(|item| item.ident.to_string());
    code.types.insert(String::new(), types);

    let mut client = Vec::new();
    for mut item in std::mem::take(&mut code.client).into_values().flatten() {
        match methods(&mut item) {
            Some(block) => {
                for member in std::mem::take(&mut block.items) {
                    let block = ItemImpl {
                        items: vec![member],
                        ..block.clone()
                    };
                    client.push(Item::Impl(block));
                }
            }
            None => client.push(item),
        }
    }
    client.sort_by_key(|item: &Item| item.to_token_stream().to_string());
    code.client.insert(String::new(), client);
}

fn sort_fields<K: Ord>(item: &mut ItemStruct, key: impl Fn(&Field) -> K) {
    if let Fields::Named(fields) = &mut item.fields {
        let mut sorted: Vec<_> = std::mem::take(&mut fields.named).into_iter().collect();
        sorted.sort_by_key(key);
        fields.named.extend(sorted);
    }
}

/// Returns `#[doc]` attributes, one per line.
pub(crate) fn lines(text: &str) -> Vec<Attribute> {
    let line = |line: &str| {
        let line = if line.is_empty() {
            String::new()
        } else {
            format!(" {line}")
        };
        parse_quote!(#[doc = #line])
    };
    text.lines().map(line).collect()
}

struct Docs {
    /// True: splits documentation into one attribute per line. False: joins these attributes.
    split: bool,
}

impl VisitMut for Docs {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        let texts: Vec<_> = attributes.iter().filter_map(doc).collect();
        if texts.is_empty() {
            return;
        }
        // Some are already one per line.
        let is_line = |text: &String| text.is_empty() || text.starts_with(' ');
        let texts: Vec<_> = texts
            .iter()
            .map(|text| {
                if is_line(text) {
                    text.get(1..).unwrap_or_default()
                } else {
                    text
                }
            })
            .collect();
        let text = texts.join("\n");
        let text = text.trim_end_matches('\n');
        attributes.retain(|attribute| doc(attribute).is_none());
        let docs = match self.split {
            true => lines(text),
            false => vec![parse_quote!(#[doc = #text])],
        };
        attributes.splice(0..0, docs);
    }
}

fn doc(attribute: &Attribute) -> Option<String> {
    match &attribute.meta {
        Meta::NameValue(meta) if meta.path.is_ident("doc") => match &meta.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn is_extra(field: &Field) -> bool {
    field.ident.as_ref().is_some_and(|ident| ident == "extra")
}

fn leave_out_serde(code: &mut Code) {
    for item in code.structs() {
        for attribute in &mut item.attrs {
            if attribute.path().is_ident("derive")
                && let Meta::List(list) = &mut attribute.meta
            {
                list.tokens = without_serde(list.tokens.clone());
            }
        }
        let is_serde = |attribute: &Attribute| attribute.path().is_ident("serde");
        item.attrs.retain(|attribute| !is_serde(attribute));
        for field in &mut item.fields {
            field.attrs.retain(|attribute| !is_serde(attribute));
        }
    }
}

/// Returns the traits of a `derive` without serde's, which progenitor names by their paths.
fn without_serde(derives: TokenStream) -> TokenStream {
    use syn::parse::Parser;
    use syn::punctuated::Punctuated;
    let paths = Punctuated::<syn::Path, syn::Token![,]>::parse_terminated;
    match paths.parse2(derives.clone()) {
        Ok(paths) => {
            let ours = paths.iter().filter(|path| {
                path.segments
                    .first()
                    .is_none_or(|first| first.ident != "serde")
            });
            quote!(#(#ours),*)
        }
        Err(_) => derives,
    }
}

struct Paths {
    /// True: shortens the paths. False: restores the long ones.
    short: bool,
}

impl VisitMut for Paths {
    fn visit_path_mut(&mut self, path: &mut syn::Path) {
        for (long, name) in [
            (quote!(::std::option::Option), "Option"),
            (quote!(::std::vec::Vec), "Vec"),
            (quote!(::std::string::String), "String"),
        ] {
            let Some(last) = path.segments.last().filter(|last| last.ident == name) else {
                continue;
            };
            let arguments = last.arguments.clone();
            let mut bare = path.clone();
            if let Some(last) = bare.segments.last_mut() {
                last.arguments = syn::PathArguments::None;
            }
            let bare = bare.to_token_stream().to_string();
            let mut other: syn::Path = match self.short {
                true if bare == long.to_string() => {
                    let ident = &last.ident;
                    parse_quote!(#ident)
                }
                false if bare == name => parse_quote!(#long),
                _ => continue,
            };
            if let Some(last) = other.segments.last_mut() {
                last.arguments = arguments;
            }
            *path = other;
        }
        syn::visit_mut::visit_path_mut(self, path);
    }

    // Derives don't have these paths.
    fn visit_attribute_mut(&mut self, _: &mut Attribute) {}
}

struct Added;

impl VisitMut for Added {
    fn visit_attributes_mut(&mut self, attributes: &mut Vec<Attribute>) {
        attributes.retain(|attribute| {
            let is = |name| attribute.path().is_ident(name);
            let of_schemars = || match &attribute.meta {
                Meta::List(list) => list
                    .tokens
                    .to_string()
                    .starts_with(r#"feature = "schemars""#),
                _ => false,
            };
            !(is("non_exhaustive") || is("deprecated") || is("cfg_attr") && of_schemars())
        });
    }
}

fn leave_out_added(code: &mut Code) {
    code.visit(&mut Added);
    for items in code.client.values_mut() {
        items.retain(|item| match item {
            Item::Mod(module) => module.content.is_some(),
            Item::Use(item) => item
                .tree
                .to_token_stream()
                .to_string()
                .starts_with("progenitor_client"),
            _ => true,
        });
    }
}

/// Returns the name on the wire of progenitor's field: that of `rename`, or the field's own.
pub fn wire_name(field: &Field) -> String {
    let ident = field
        .ident
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut wire = ident.trim_start_matches("r#").to_owned();
    for attribute in field.attrs.iter().filter(|a| a.path().is_ident("serde")) {
        // Only `rename` matters; an attribute that does not parse has no `rename`.
        let _ = attribute.parse_nested_meta(|meta| {
            let value = match meta.value() {
                Ok(value) => value.parse::<syn::LitStr>()?.value(),
                Err(_) => return Ok(()),
            };
            if meta.path.is_ident("rename") {
                wire = value;
            }
            Ok(())
        });
    }
    wire
}
