//! Fourth stage: from progenitor's one file to the code that is committed.

pub mod changes;
mod client;
mod groups;
mod operations;
mod pages;
mod traffic;
mod types;

use std::collections::BTreeMap;

use crate::lower::View;
use changes::Code;
use groups::Flavour;

/// Files to write, by their path from the root of the repository.
pub type Files = BTreeMap<String, String>;

/// Where a generated Rust file goes, and what is in it.
type Modules = Vec<(String, proc_macro2::TokenStream)>;

/// Refines progenitor's code into Rust files, each opening with `mark`.
///
/// # Errors
///
/// Where progenitor's code is not what this stage knows; the message says what was missing.
pub fn refine(view: &View, file: syn::File, mark: &str) -> Result<Files, String> {
    let code = Code::of(file)?;
    let names = types::names(&code);
    let code = changes::apply(code, view);
    let mut files = Files::new();
    let modules = [
        (
            "smtp2go-types/src/generated",
            types::modules(view, &code, &names)?,
        ),
        ("smtp2go-sdk/src/generated/raw", client::modules(view, code)),
        (
            "smtp2go-sdk/src/generated/groups",
            groups::modules(view, &names, Flavour::Async)?,
        ),
        (
            "smtp2go-sdk/src/generated/blocking",
            groups::modules(view, &names, Flavour::Blocking)?,
        ),
        ("smtp2go-sdk/src/generated", operations::modules(view)),
    ];
    for (folder, modules) in modules {
        for (name, tokens) in modules {
            let file = syn::parse2(tokens)
                .map_err(|error| format!("{folder}/{name}.rs does not parse: {error}"))?;
            let text = format!("// {mark}\n\n{}", print(file));
            files.insert(format!("{folder}/{name}.rs"), text);
        }
    }
    let text = format!("// {mark}\n\n{}", traffic::module(view));
    files.insert("tests/src/generated/mod.rs".to_owned(), text);
    Ok(files)
}

/// Prints a file with an empty line between items and methods, which prettyplease leaves out.
fn print(file: syn::File) -> String {
    let is_line = |item: &syn::Item| matches!(item, syn::Item::Use(_) | syn::Item::Mod(_));
    let mut text = String::new();
    let mut after_line = true;
    let mut attrs = file.attrs;
    for (index, item) in file.items.into_iter().enumerate() {
        let line = is_line(&item);
        if index > 0 && !(line && after_line) {
            text.push('\n');
        }
        after_line = line;
        let item = prettyplease::unparse(&syn::File {
            shebang: None,
            attrs: std::mem::take(&mut attrs),
            items: vec![item],
            frontmatter: None,
        });
        text.push_str(&item.replace("\n    }\n    ///", "\n    }\n\n    ///"));
    }
    text
}
