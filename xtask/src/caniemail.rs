//! `cargo xtask caniemail`: writes the data of the inbox's HTML check, from the npm package `caniemail`.
//!
//! The package has the data of <https://www.caniemail.com>. Its licence is copied too.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::document::{list, map};
use crate::spec::tools::{read, run, stdout, write};

/// The package and its version.
const PACKAGE: &str = "caniemail@2.0.2";

/// The folder of the written files, from the root of the repository.
pub(crate) const FOLDER: &str = "smtp2go-sandbox/assets/caniemail";

/// Features that can't be found in HTML.
const LEFT_OUT: &[&str] = &["bimi"];

/// Features whose keywords are their CSS properties.
const BY_KEYWORDS: &[&str] = &[
    "css-block-inline-size",
    "css-border",
    "css-border-inline-block",
    "css-border-inline-block-individual",
    "css-border-inline-block-longhand",
    "css-border-radius-logical",
    "css-column-layout-properties",
    "css-grid-template",
    "css-inset",
    "css-margin",
    "css-margin-block-start-end",
    "css-margin-inline-block",
    "css-margin-inline-start-end",
    "css-overflow",
    "css-padding-block-start-end",
    "css-padding-inline-block",
    "css-padding-inline-start-end",
];

/// The patterns of features whose title and slug don't give one. See [`find`].
const PATTERNS: &[(&str, &[&str])] = &[
    ("amp", &["attribute ⚡4email", "attribute amp4email"]),
    (
        "css-at-media-device-pixel-ratio",
        &[
            "media -webkit-device-pixel-ratio",
            "media -webkit-min-device-pixel-ratio",
            "media -webkit-max-device-pixel-ratio",
        ],
    ),
    ("css-at-media-hover", &["media hover", "media any-hover"]),
    (
        "css-border-radius",
        &[
            "property border-radius",
            "property border-top-left-radius",
            "property border-top-right-radius",
            "property border-bottom-left-radius",
            "property border-bottom-right-radius",
        ],
    ),
    ("css-color-scheme", &["property color-scheme"]),
    ("css-comments", &["css comment"]),
    (
        "css-conic-gradient",
        &[
            "function conic-gradient",
            "function repeating-conic-gradient",
        ],
    ),
    (
        "css-display-flex",
        &["value display=flex", "value display=inline-flex"],
    ),
    (
        "css-display-grid",
        &["value display=grid", "value display=inline-grid"],
    ),
    ("css-display-none", &["value display=none"]),
    ("css-flex-direction", &["value flex-direction=column"]),
    ("css-flex-wrap", &["value flex-wrap=wrap"]),
    (
        "css-gap",
        &["property gap", "property column-gap", "property row-gap"],
    ),
    ("css-important", &["css important"]),
    ("css-inert-attribute", &["attribute inert"]),
    (
        "css-intrinsic-size",
        &[
            "keyword fit-content",
            "keyword min-content",
            "keyword max-content",
        ],
    ),
    (
        "css-left-right-top-bottom",
        &[
            "property left",
            "property right",
            "property top",
            "property bottom",
        ],
    ),
    (
        "css-linear-gradient",
        &[
            "function linear-gradient",
            "function repeating-linear-gradient",
        ],
    ),
    (
        "css-modern-color",
        &[
            "function lch",
            "function oklch",
            "function lab",
            "function oklab",
        ],
    ),
    ("css-nesting", &["css nesting"]),
    (
        "css-padding",
        &[
            "property padding",
            "property padding-top",
            "property padding-right",
            "property padding-bottom",
            "property padding-left",
        ],
    ),
    (
        "css-radial-gradient",
        &[
            "function radial-gradient",
            "function repeating-radial-gradient",
        ],
    ),
    ("css-rgb", &["function rgb"]),
    ("css-rgba", &["function rgba"]),
    (
        "css-scroll-snap",
        &[
            "property scroll-snap-type",
            "property scroll-snap-align",
            "property scroll-snap-stop",
        ],
    ),
    (
        "css-sytem-ui",
        &[
            "keyword system-ui",
            "keyword ui-serif",
            "keyword ui-sans-serif",
            "keyword ui-rounded",
            "keyword ui-monospace",
        ],
    ),
    ("css-unit-calc", &["function calc"]),
    ("css-unit-initial", &["keyword initial"]),
    ("css-unit-percent", &["unit %"]),
    ("css-variables", &["function var", "css variable"]),
    ("html-address", &["element address"]),
    ("html-anchor-links", &["link #"]),
    ("html-comments", &["html comment"]),
    ("html-doctype", &["html doctype"]),
    (
        "html-h1-h6",
        &[
            "element h1",
            "element h2",
            "element h3",
            "element h4",
            "element h5",
            "element h6",
        ],
    ),
    ("html-image-maps", &["element map", "attribute usemap"]),
    ("html-lists", &["element ul", "element ol", "element dl"]),
    ("html-mailto-links", &["link mailto"]),
    ("html-meta-color-scheme", &["meta color-scheme"]),
    (
        "html-semantics",
        &[
            "element article",
            "element aside",
            "element details",
            "element figcaption",
            "element figure",
            "element footer",
            "element header",
            "element main",
            "element mark",
            "element nav",
            "element section",
            "element summary",
            "element time",
        ],
    ),
    ("html-srcset", &["attribute srcset", "attribute sizes"]),
    ("html-svg", &["element svg"]),
    ("image-heif", &["image heif", "image heic"]),
    ("image-jpg", &["image jpg", "image jpeg"]),
    ("image-tiff", &["image tiff", "image tif"]),
];

/// Fetches the package with npm, and writes its data and its licence.
///
/// # Errors
///
/// If npm or tar fails, a file can't be read or written, or a feature has no pattern.
pub fn update(root: &Path) -> Result<(), String> {
    let folder =
        tempfile::tempdir().map_err(|error| format!("can't create a temporary folder: {error}"))?;
    let mut pack = Command::new("npm");
    pack.args(["pack", "--silent", PACKAGE]);
    let archive = stdout(pack.current_dir(folder.path()))?;
    let mut unpack = Command::new("tar");
    unpack.args(["-xzf", archive.trim()]);
    run(unpack.current_dir(folder.path()))?;
    let package = folder.path().join("package");
    let data = read(&package.join("data/caniemail.json"))?;
    let data = serde_json::from_str(&data)
        .map_err(|error| format!("{PACKAGE}, data/caniemail.json: {error}"))?;
    let licence = format!(
        "features.json is made from data/caniemail.json of the npm package {PACKAGE}, which has the\n\
         data of https://www.caniemail.com. The package has this licence:\n\n{}",
        read(&package.join("LICENSE"))?
    );
    let out = root.join(FOLDER);
    std::fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    write(&out.join("features.json"), compact(&data)?)?;
    write(&out.join("LICENSE"), licence)?;
    Ok(())
}

/// Returns the features as JSON, one per line. Each has its patterns, and for each client a letter for the
/// support by its latest version: `y` full, `a` partial, `n` none, `u` unknown.
fn compact(data: &Value) -> Result<String, String> {
    let features = list(&data["data"]);
    let mut clients: Vec<(&str, &str)> = Vec::new();
    for feature in features {
        for (family, platforms) in map(&feature["stats"]) {
            for platform in map(platforms).keys() {
                clients.push((family, platform));
            }
        }
    }
    clients.sort_unstable();
    clients.dedup();
    let names = &data["nicenames"];
    let name = |kind: &str, key: &str| names[kind][key].as_str().unwrap_or(key).to_owned();
    let clients_json: Vec<_> = clients
        .iter()
        .map(|(family, platform)| json!([name("family", family), name("platform", platform)]))
        .collect();
    let date = data["last_update_date"].as_str().unwrap_or_default();
    let mut text = format!(
        "{{\"source\":{},\"date\":{},\"clients\":{},\"features\":[",
        json!(PACKAGE),
        json!(date.get(..10).unwrap_or(date)),
        json!(clients_json)
    );
    let mut separator = "\n";
    for feature in features {
        let slug = feature["slug"].as_str().unwrap_or_default();
        if LEFT_OUT.contains(&slug) {
            continue;
        }
        let support: String = clients
            .iter()
            .map(|(family, platform)| {
                let versions = map(&feature["stats"][family][platform]);
                let latest = versions.values().next_back().and_then(Value::as_str);
                latest.and_then(|flags| flags.chars().next()).unwrap_or('u')
            })
            .collect();
        let title = feature["title"].as_str().unwrap_or_default().trim();
        let line = json!({ "slug": slug, "title": title, "find": find(slug, title, feature)?,
                           "support": support });
        let _ = write!(text, "{separator}{line}");
        separator = ",\n";
    }
    text.push_str("\n]}\n");
    Ok(text)
}

/// Returns the patterns that find a feature in a mail: each is a kind and a name, such as
/// `element svg`. `inbox/checks/html.rs` of the sandbox has the kinds.
fn find(slug: &str, title: &str, feature: &Value) -> Result<Vec<String>, String> {
    if let Some((_, patterns)) = PATTERNS.iter().find(|(name, _)| *name == slug) {
        return Ok(patterns.iter().map(|one| (*one).to_owned()).collect());
    }
    let is_name = |text: &str| {
        let mut bytes = text.bytes();
        !text.is_empty()
            && bytes.all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte))
    };
    let plain = title
        .trim_end_matches(" shorthand")
        .trim_end_matches(" property");
    if BY_KEYWORDS.contains(&slug) {
        let keywords = feature["keywords"].as_str().unwrap_or_default();
        let mut found: Vec<_> = keywords.split(',').chain([plain]).map(str::trim).collect();
        found.retain(|name| is_name(name));
        found.sort_unstable();
        found.dedup();
        return Ok(found
            .iter()
            .map(|name| format!("property {name}"))
            .collect());
    }
    for (prefix, kind) in [
        ("css-at-media-", "media"),
        ("css-at-", "at"),
        ("css-function-", "function"),
        ("css-pseudo-class-", "pseudo"),
        ("css-pseudo-element-", "pseudo"),
        ("css-selector-", "selector"),
        ("css-unit-", "unit"),
        ("image-", "image"),
    ] {
        if let Some(name) = slug.strip_prefix(prefix) {
            return Ok(vec![format!("{kind} {name}")]);
        }
    }
    if slug.starts_with("css-") && is_name(plain) {
        return Ok(vec![format!("property {plain}")]);
    }
    if let Some(name) = title
        .strip_suffix(" attribute")
        .filter(|name| is_name(name))
    {
        return Ok(vec![format!("attribute {name}")]);
    }
    let tag = title.trim_end_matches(" element").strip_prefix('<');
    if let Some(tag) = tag.and_then(|tag| tag.strip_suffix('>')) {
        if let Some((element, kind)) = tag
            .strip_suffix('"')
            .and_then(|tag| tag.split_once(" type=\""))
        {
            return Ok(vec![format!("type {element}={kind}")]);
        }
        if is_name(tag) {
            return Ok(vec![format!("element {tag}")]);
        }
    }
    Err(format!(
        "the feature {slug} ({title}) has no pattern: add one to PATTERNS in xtask/src/caniemail.rs"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pattern_of_a_feature_comes_from_its_slug_title_or_keywords() {
        for (slug, title, expected) in [
            ("css-box-shadow", "box-shadow", "property box-shadow"),
            ("css-font", "font shorthand", "property font"),
            (
                "css-at-media-orientation",
                "@media (orientation)",
                "media orientation",
            ),
            ("css-pseudo-class-has", ":has()", "pseudo has"),
            ("html-align", "align attribute", "attribute align"),
            ("html-base", "<base>", "element base"),
            (
                "html-input-text",
                "<input type=\"text\"> element",
                "type input=text",
            ),
            ("html-svg", "Embedded <svg> image", "element svg"),
        ] {
            assert_eq!(find(slug, title, &json!({})).unwrap(), [expected], "{slug}");
        }
        let margin = json!({ "keywords": "margin-left, margin-right" });
        let found = find("css-margin", "margin", &margin).unwrap();
        assert_eq!(
            found,
            [
                "property margin",
                "property margin-left",
                "property margin-right"
            ]
        );
        let error = find("html-new", "Something new", &json!({})).unwrap_err();
        assert!(error.contains("html-new"), "{error}");
    }

    #[test]
    fn support_is_that_of_the_latest_version_of_a_client() {
        let data = json!({
            "last_update_date": "2026-05-13 14:45:41 +0000",
            "nicenames": { "family": { "outlook": "Outlook" }, "platform": { "macos": "macOS" } },
            "data": [
                { "slug": "css-color", "title": "color",
                  "stats": { "outlook": { "macos": { "2019-10": "y", "16.80": "n #1" } } } },
                { "slug": "bimi", "title": "BIMI", "stats": {} },
                { "slug": "html-p", "title": "<p> element",
                  "stats": { "x": { "ios": { "1": "a #2" } } } },
            ],
        });
        let written: Value = serde_json::from_str(&compact(&data).unwrap()).unwrap();
        let expected = json!({
            "source": PACKAGE, "date": "2026-05-13",
            "clients": [["Outlook", "macOS"], ["x", "ios"]],
            "features": [
                { "slug": "css-color", "title": "color", "find": ["property color"], "support": "nu" },
                { "slug": "html-p", "title": "<p> element", "find": ["element p"], "support": "ua" },
            ],
        });
        assert_eq!(written, expected);
    }
}
