//! `spec compare`: what differs between foreign documents and ours, and what is decided.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use xtask::spec::compare::{self, DECISIONS, Report};

use crate::fixture;

const OURS: &str = include_str!("compare/ours.yaml");
const AWKWARD: &str = include_str!("compare/awkward.yaml");

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

fn with(foreign: &[(&str, &str)], decisions: &str, partial: bool) -> Result<Report, String> {
    let foreign: Vec<(String, String)> = foreign
        .iter()
        .map(|(file, text)| ((*file).to_owned(), (*text).to_owned()))
        .collect();
    compare::compare(&yaml(OURS), &foreign, decisions, partial)
}

fn lines(report: &Report) -> Vec<String> {
    let differences = report.differences.iter();
    differences.map(ToString::to_string).collect()
}

#[test]
fn document_and_itself_have_no_differences() {
    let report = with(&[("ours.yaml", OURS)], "", false).unwrap();
    assert_eq!(lines(&report), [""; 0]);
}

#[test]
fn foreign_document_with_each_kind_of_difference_has_all_reported() {
    let report = with(&[("awkward.yaml", AWKWARD)], "", false).unwrap();
    insta::assert_snapshot!(lines(&report).join("\n"));
    let kinds: BTreeSet<&str> = report.differences.iter().map(|found| found.kind).collect();
    let all = [
        "body",
        "default",
        "deprecated",
        "enum",
        "envelope",
        "field",
        "format",
        "maxItems",
        "operation",
        "parameter",
        "required",
        "sample",
        "security",
        "status",
        "type",
    ];
    assert_eq!(kinds, BTreeSet::from(all));
}
