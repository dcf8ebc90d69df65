//! The committed types and raw client are progenitor's code: without the changes of
//! `refine::changes`, they equal progenitor's output, token for token.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use progenitor_impl::Generator;
use syn::{Item, ItemStruct};
use xtask::load;
use xtask::lower::{self, View};
use xtask::refine::Files;
use xtask::refine::changes::{self, CHANGES, Code};
use xtask::{SPEC, generate};

use crate::fixture;

const TYPES: &str = "smtp2go-types/src/generated/";
const CLIENT: &str = "smtp2go-sdk/src/generated/raw/";

/// Returns progenitor's output for a view, unchanged.
fn made(view: &View) -> Code {
    let api = serde_json::from_value(generate::document(view)).unwrap();
    let settings = generate::settings(view).unwrap();
    let tokens = Generator::new(&settings).generate_tokens(&api).unwrap();
    Code::of(syn::parse2(tokens).unwrap()).unwrap()
}

/// Returns progenitor's items in generated files.
fn found(files: &Files) -> Code {
    let mut code = Code::default();
    for (path, text) in files {
        let items = || syn::parse_file(text).unwrap().items;
        if let Some(name) = path.strip_prefix(TYPES) {
            let structs = items().into_iter().filter_map(|item| match item {
                Item::Struct(item) => Some(item),
                _ => None,
            });
            code.types.insert(name.to_owned(), structs.collect());
        } else if let Some(name) = path.strip_prefix(CLIENT) {
            code.client.insert(name.to_owned(), items());
        }
    }
    code
}

/// Prints an item. Both sides are printed by prettyplease, which adds a comma after the last of
/// some generic arguments.
fn printed(item: Item) -> String {
    prettyplease::unparse(&syn::File {
        shebang: None,
        attrs: Vec::new(),
        items: vec![item],
        frontmatter: None,
    })
}

/// Undoes the changes, and returns every item with the number of its occurrences.
fn original(mut code: Code) -> BTreeMap<String, usize> {
    changes::undo(&mut code);
    let structs = code.types.into_values().flatten().map(Item::Struct);
    let client = code.client.into_values().flatten();
    let mut items = BTreeMap::new();
    for item in structs.chain(client) {
        *items.entry(printed(item)).or_default() += 1;
    }
    items
}

/// Returns the differences.
fn difference(made: &BTreeMap<String, usize>, files: &Files) -> Result<usize, String> {
    let found = original(found(files));
    let mut text = String::new();
    for (item, count) in made {
        if found.get(item) != Some(count) {
            write!(
                text,
                "progenitor generates this, but it is not committed:\n{item}"
            )
            .unwrap();
        }
    }
    for (item, count) in &found {
        if made.get(item) != Some(count) {
            write!(
                text,
                "this is committed, but progenitor does not generate it:\n{item}"
            )
            .unwrap();
        }
    }
    if text.is_empty() {
        Ok(found.len())
    } else {
        Err(text)
    }
}

/// Returns the files of both crates on disk.
fn committed(root: &Path) -> Files {
    let mut files = Files::new();
    for folder in [TYPES, CLIENT] {
        for entry in fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            let text = fs::read_to_string(&path).unwrap();
            files.insert(format!("{folder}{name}"), text);
        }
    }
    files
}

fn real() -> (View, Files) {
    let root = fixture::repository();
    let spec = load::load(&root.join(SPEC)).unwrap_or_else(|problems| panic!("{problems}"));
    (lower::lower(&spec), committed(&root))
}

#[test]
fn committed_code_equals_progenitors_output() {
    let (view, files) = real();
    let made = original(made(&view));
    let count = difference(&made, &files).unwrap_or_else(|text| panic!("{text}"));
    let least = view.objects.len() + view.operations.len();
    assert!(count > least, "{count} items");
}

#[test]
fn code_of_the_fixture_equals_progenitors_output() {
    let view = lower::lower(&fixture::spec());
    let made = original(made(&view));
    difference(&made, &fixture::files()).unwrap_or_else(|text| panic!("{text}"));
}

/// The real code; the next test tries many edits on the small fixture.
#[test]
fn renamed_field_in_committed_code_is_detected() {
    let (view, mut files) = real();
    let text = files.get_mut(&format!("{TYPES}sms.rs")).unwrap();
    *text = text.replacen("    pub content: String,", "    pub contents: String,", 1);
    let difference = difference(&original(made(&view)), &files).unwrap_err();
    assert!(difference.contains("pub contents: "), "{difference}");
}

#[test]
fn edited_code_is_detected() {
    let made = original(made(&lower::lower(&fixture::spec())));
    let files = fixture::files();
    let types = format!("{TYPES}parcel.rs");
    let client = format!("{CLIENT}parcel.rs");
    let main = format!("{CLIENT}mod.rs");
    let field = "    pub sender: String,";
    let attribute = "#[non_exhaustive]\npub struct";
    let method = "    pub async fn parcel_send<'a>";
    for (path, from, to) in [
        // A field renamed, with another type, removed, private, or with another comment.
        (&types, field, "    pub from: String,".to_owned()),
        (&types, field, "    pub sender: Option<String>,".to_owned()),
        (&types, field, String::new()),
        (&types, field, "    sender: String,".to_owned()),
        (&types, "Who sends it.", "Whoever sends it.".to_owned()),
        // A derive or an attribute that no change adds, and an additional struct.
        (
            &types,
            "Debug, PartialEq",
            "Debug, Eq, PartialEq".to_owned(),
        ),
        (&types, attribute, "#[must_use]\npub struct".to_owned()),
        (&types, attribute, format!("pub struct Own;\n\n{attribute}")),
        // An argument, a method's code, and an additional method.
        (
            &client,
            "body: &'a types::ParcelSendRequest",
            "body: types::ParcelSendRequest".to_owned(),
        ),
        (&client, "200..=299", "200..=201".to_owned()),
        (&client, "self.exec(", "self.send(".to_owned()),
        (&client, method, format!("    pub fn own() {{}}\n{method}")),
        // The client itself.
        (&main, "self.baseurl.as_str()", "\"\"".to_owned()),
        (&main, "Client: ClientHooks<crate::Client>,", String::new()),
    ] {
        let mut edited = files.clone();
        let text = edited.get_mut(path).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        *text = text.replacen(from, &to, 1);
        let difference = difference(&made, &edited);
        assert!(
            difference.is_err(),
            "{path}: {from} changed to {to} is not detected"
        );
    }
    for path in [types, client] {
        let mut without = files.clone();
        without.remove(&path).unwrap();
        assert!(
            difference(&made, &without).is_err(),
            "{path}: the missing file is not detected"
        );
    }
}

/// Serde's attributes are not compared: the macro's call has the names.
#[test]
fn wire_names_equal_progenitors_renames() {
    let (view, files) = real();
    for (view, files) in [
        (view, files),
        (lower::lower(&fixture::spec()), fixture::files()),
    ] {
        let mut wanted = BTreeMap::new();
        for item in made(&view).types.into_values().flatten() {
            wanted.insert(item.ident.to_string(), renamed(&item));
        }
        let mut found = BTreeMap::new();
        for (_, text) in files.iter().filter(|(path, _)| path.starts_with(TYPES)) {
            for item in syn::parse_file(text).unwrap().items {
                if let Item::Macro(item) = item
                    && item
                        .mac
                        .path
                        .segments
                        .iter()
                        .any(|segment| segment.ident == "object")
                {
                    let (name, members) = members(&item.mac.tokens);
                    found.insert(name, members);
                }
            }
        }
        assert!(wanted.values().flatten().any(|(ident, wire)| ident != wire));
        assert_eq!(found, wanted);
    }
}

/// Returns the fields of progenitor's struct, with their names on the wire.
fn renamed(item: &ItemStruct) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for field in &item.fields {
        let ident = field.ident.as_ref().unwrap().to_string();
        let wire = changes::wire_name(field);
        if ident != "extra" {
            names.insert(ident, wire);
        }
    }
    names
}

/// Returns the struct, fields and names in a call of `object::request!` or `object::reply!`:
/// `Name { field, field = "name" | "other name" } …`.
fn members(tokens: &proc_macro2::TokenStream) -> (String, BTreeMap<String, String>) {
    let mut tokens = tokens.clone().into_iter();
    let name = tokens.next().unwrap().to_string();
    let Some(proc_macro2::TokenTree::Group(group)) = tokens.next() else {
        panic!("{name} has no members");
    };
    let mut names = BTreeMap::new();
    let text: Vec<String> = group
        .stream()
        .into_iter()
        .map(|token| token.to_string())
        .collect();
    for member in text
        .split(|token| token == ",")
        .filter(|member| !member.is_empty())
    {
        let wire = match member.iter().position(|token| token == "=") {
            Some(at) => member[at + 1].trim_matches('"'),
            None => member[0].trim_start_matches("r#"),
        };
        names.insert(member[0].clone(), wire.to_owned());
    }
    (name, names)
}

#[test]
fn list_of_changes_is_short_and_explained() {
    assert!(CHANGES.len() <= 10);
    for change in CHANGES {
        assert!(!change.what.is_empty() && !change.why.is_empty());
    }
}

/// CONTRIBUTING.md has the same list.
#[test]
fn list_of_changes_is_in_contributing() {
    let text = fs::read_to_string(fixture::repository().join("CONTRIBUTING.md")).unwrap();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for change in CHANGES {
        assert!(text.contains(change.what), "missing: {}", change.what);
    }
}
