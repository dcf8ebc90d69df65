//! The findings of other linters about the document.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::SPEC;
use crate::document::list;
use crate::spec::tools::{self, Tools};
use crate::twin::TWIN;

/// The files that the linters read. Findings in both count.
const LINTED: [&str; 2] = [SPEC, TWIN];

/// Minimum score of Redocly.
const LEAST_SCORE: f64 = 90.0;

/// The findings of one tool.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The tool and its rule set.
    pub tool: String,
    /// The version of the tool.
    pub version: String,
    /// The figure, in the form of `spec/README.md`.
    pub figure: String,
    /// The problems, as text of the tool; empty if there are none.
    pub wrong: String,
}

/// Runs all tools in parallel.
///
/// # Errors
///
/// If a tool can't be run, or its output can't be parsed.
pub fn ask(root: &Path, tools: &Tools) -> Result<Vec<Finding>, String> {
    std::thread::scope(|scope| {
        [
            scope.spawn(|| redocly(tools)),
            scope.spawn(|| spectral(tools)),
            scope.spawn(|| score(tools)),
            scope.spawn(|| validator(tools)),
            scope.spawn(|| typos(root, tools)),
        ]
        .map(tools::joined)
        .into_iter()
        .collect()
    })
}

fn finding(
    tools: &Tools,
    tool: &str,
    package: &str,
    figure: String,
    wrong: String,
) -> Result<Finding, String> {
    Ok(Finding {
        tool: tool.to_owned(),
        version: tools.version(package)?,
        figure,
        wrong,
    })
}

/// Runs a tool that prints JSON, and ignores its exit code.
fn json(command: &mut Command) -> Result<Value, String> {
    let output = tools::output(command)?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        format!(
            "{} printed no JSON\n{}{}",
            tools::shown(command),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

fn redocly(tools: &Tools) -> Result<Finding, String> {
    let (mut errors, mut warnings) = (0, 0);
    let mut wrong = Vec::new();
    for file in LINTED {
        let said = json(tools.npm("redocly").args([
            "lint",
            "--config=spec/tools/redocly.yaml",
            "--format=json",
            file,
        ]))?;
        let count = |what: &str| {
            said["totals"][what]
                .as_u64()
                .ok_or("redocly printed no totals")
        };
        errors += count("errors")?;
        warnings += count("warnings")?;
        wrong.extend(list(&said["problems"]).iter().map(|problem| {
            format!(
                "{file}: {}: {} ({})",
                problem["ruleId"], problem["message"], problem["location"][0]["pointer"]
            )
        }));
    }
    finding(
        tools,
        "Redocly `recommended-strict`, errors/warnings",
        "@redocly/cli",
        format!("{errors}/{warnings}"),
        wrong.join("\n"),
    )
}

fn spectral(tools: &Tools) -> Result<Finding, String> {
    let mut errors = 0;
    let mut wrong = Vec::new();
    for file in LINTED {
        let said = json(tools.npm("spectral").args([
            "lint",
            "--quiet",
            "--ruleset=spec/tools/spectral.yaml",
            "--format=json",
            file,
        ]))?;
        for problem in said.as_array().ok_or("spectral printed no list")? {
            errors += usize::from(problem["severity"] == 0);
            wrong.push(format!(
                "{file}: {}: {} ({})",
                problem["code"], problem["message"], problem["path"]
            ));
        }
    }
    let figure = format!("{errors}/{}", wrong.len() - errors);
    finding(
        tools,
        "Spectral `spectral:oas`, errors/warnings",
        "@stoplight/spectral-cli",
        figure,
        wrong.join("\n"),
    )
}

fn score(tools: &Tools) -> Result<Finding, String> {
    let said = json(tools.npm("redocly").args(["score", "--format=json", SPEC]))?;
    let score = said["agentReadiness"]
        .as_f64()
        .ok_or("redocly printed no score")?;
    let wrong = if score < LEAST_SCORE {
        format!(
            "the minimum is {LEAST_SCORE}; by kind: {}",
            said["subscores"]
        )
    } else {
        String::new()
    };
    finding(
        tools,
        "Redocly score",
        "@redocly/cli",
        format!("{score:.1}"),
        wrong,
    )
}

fn validator(tools: &Tools) -> Result<Finding, String> {
    let mut wrong = String::new();
    for file in [SPEC, "spec/openapi.json", TWIN] {
        let output = tools::output(tools.pypi("openapi-spec-validator").arg(file))?;
        if !output.status.success() {
            wrong.push_str(&String::from_utf8_lossy(&output.stdout));
            wrong.push_str(&String::from_utf8_lossy(&output.stderr));
        }
    }
    let figure = if wrong.is_empty() { "valid" } else { "invalid" };
    finding(
        tools,
        "openapi-spec-validator",
        "openapi-spec-validator",
        figure.to_owned(),
        wrong,
    )
}

fn typos(root: &Path, tools: &Tools) -> Result<Finding, String> {
    let mut command = tools.pypi("typos");
    command.args([
        "--config=spec/tools/typos.toml",
        "--format=brief",
        SPEC,
        "spec/README.md",
    ]);
    for path in [
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "docs",
        "smtp2go-outbox",
        "smtp2go-sandbox/README.md",
        "smtp2go-sandbox/REFERENCE.md",
        "smtp2go-sandbox/src",
        "smtp2go-sdk/README.md",
        "smtp2go-sdk/examples",
        "smtp2go-sdk/src",
        "smtp2go-types/README.md",
    ] {
        if root.join(path).exists() {
            command.arg(path);
        }
    }
    let output = tools::output(&mut command)?;
    let mut wrong = String::from_utf8_lossy(&output.stdout).into_owned();
    if wrong.is_empty() && !output.status.success() {
        wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    }
    let count = wrong.lines().count();
    finding(tools, "typos", "typos", count.to_string(), wrong)
}

/// Returns the rows of the table in `spec/README.md` for these findings, without the columns for
/// other documents.
pub fn rows(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| {
            format!(
                "| {} | {} | {} |",
                finding.tool, finding.version, finding.figure
            )
        })
        .collect()
}
