//! Fourth stage: turns progenitor's single file into the committed files.

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

/// Files to write, by path from the root of the repository.
pub type Files = BTreeMap<String, String>;

/// The path and the content of generated Rust files.
type Modules = Vec<(String, proc_macro2::TokenStream)>;

/// Refines progenitor's code into Rust files that begin with `mark`.
///
/// # Errors
///
/// If progenitor's code has an unexpected form; the message names the missing item.
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

/// Prints a file with an empty line between items and methods, which prettyplease does not insert.
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
