//! Each method of the types that every program uses has an example.

use std::path::Path;

use super::root;

const TYPES: [&str; 2] = ["Client", "Email"];

#[test]
fn every_method_of_client_and_email_has_an_example() {
    let mut methods = 0;
    let mut wrong = Vec::new();
    for folder in [
        "client",
        "mail",
        "webhook",
        "suppression.rs",
        "generated/groups",
    ] {
        let path = root().join("smtp2go-sdk/src").join(folder);
        visit(&path, &mut |file, item| {
            let syn::Item::Impl(block) = item else { return };
            let syn::Type::Path(target) = &*block.self_ty else {
                return;
            };
            let target = target.path.segments.last().unwrap().ident.to_string();
            if block.trait_.is_some() || !TYPES.contains(&target.as_str()) {
                return;
            }
            for member in &block.items {
                let syn::ImplItem::Fn(method) = member else {
                    continue;
                };
                if !matches!(method.vis, syn::Visibility::Public(_)) {
                    continue;
                }
                methods += 1;
                let documented = method.attrs.iter().any(|attribute| {
                    let syn::Meta::NameValue(pair) = &attribute.meta else {
                        return false;
                    };
                    quote::quote!(#pair).to_string().contains("```")
                });
                if !documented {
                    let name = &method.sig.ident;
                    wrong.push(format!("{}: {target}::{name}", file.display()));
                }
            }
        });
    }
    assert!(methods > 60, "{methods}");
    assert!(wrong.is_empty(), "no example:\n{}", wrong.join("\n"));
}

/// Calls `each` with the items of a file, or of the files below a folder.
fn visit(path: &Path, each: &mut dyn FnMut(&Path, &syn::Item)) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            visit(&entry.unwrap().path(), each);
        }
    } else {
        let text = std::fs::read_to_string(path).unwrap();
        for item in &syn::parse_file(&text).unwrap().items {
            each(path, item);
        }
    }
}
