//! The endpoint table of `docs/endpoints.md`, between two markers.

use crate::lower::View;

/// The page with the table.
pub(crate) const PAGE: &str = "docs/endpoints.md";

const BEGIN: &str = "<!-- endpoints: written by `cargo xtask regen` -->";
const END: &str = "<!-- /endpoints -->";

/// Returns `text` with the table of `view` between its markers.
///
/// # Errors
///
/// If a marker is missing.
pub(crate) fn with_table(text: &str, view: &View) -> Result<String, String> {
    let (before, rest) = text
        .split_once(BEGIN)
        .ok_or_else(|| format!("{PAGE} has no line `{BEGIN}`"))?;
    let (_, after) = rest
        .split_once(END)
        .ok_or_else(|| format!("{PAGE} has no line `{END}`"))?;
    Ok(format!("{before}{BEGIN}\n\n{}\n{END}{after}", table(view)))
}

fn table(view: &View) -> String {
    let mut table = String::from("| Method | Endpoint | What it does |\n| --- | --- | --- |\n");
    for operation in &view.operations {
        let deprecated = if operation.deprecated {
            " (deprecated)"
        } else {
            ""
        };
        let stream = match operation.pagination {
            Some(_) => format!(", `{}_all`", operation.action),
            None => String::new(),
        };
        table.push_str(&format!(
            "| `{}().{}`{stream} | `{} {}` | {}{deprecated} |\n",
            operation.group, operation.action, operation.method, operation.path, operation.summary
        ));
    }
    table
}
